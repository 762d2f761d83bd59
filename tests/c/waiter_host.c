/*
 * A waiter in its host: driven by the host's own loop, woken from threads and signal handlers, used
 * from many threads, forked, and freed with waits under way.
 */
#include "waiter.h"

#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

static mfa_hyperid *client;

static const char *fresh(const char *behaviours, char *text, size_t size)
{
    static int next;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    pthread_mutex_lock(&lock);
    snprintf(text, size, "sandbox-%s#h%ld-%d", behaviours, (long)getpid(), next++);
    pthread_mutex_unlock(&lock);
    return text;
}

static void confirm(mfa_waiter *waiter, struct story *story, const char *behaviours,
                    const mfa_wait_options *wait, uint32_t timeout_ms)
{
    char token[300];

    add_confirm(waiter, story, fresh(behaviours, token, sizeof token), wait, timeout_ms);
}

/* Waking ---------------------------------------------------------------------------------------- */

static mfa_code next_for(mfa_waiter *waiter, uint32_t timeout_ms, mfa_event *event)
{
    mfa_transaction transaction = MFA_TRANSACTION_INIT;

    event->struct_size = sizeof *event;
    return mfa_waiter_next(waiter, timeout_ms, event, &transaction, NULL, NULL);
}

/* Whether another thread is in `next` already. */
static int is_driven(mfa_waiter *waiter)
{
    mfa_event event = MFA_EVENT_INIT;

    return next_for(waiter, 0, &event) == MFA_ERR_BUSY;
}

struct driver {
    mfa_waiter *waiter;
    uint32_t timeout_ms;
    mfa_code code;
    mfa_event event;
    int64_t ended_at;
};

static void *drive_once(void *argument)
{
    struct driver *driver = (struct driver *)argument;

    /* Whoever looks whether it is inside may be so itself. */
    do {
        driver->code = next_for(driver->waiter, driver->timeout_ms, &driver->event);
    } while (driver->code == MFA_ERR_BUSY);
    driver->ended_at = now_ms();
    return NULL;
}

/* A thread that is in `next`. */
static pthread_t in_next(struct driver *driver, mfa_waiter *waiter, uint32_t timeout_ms)
{
    int64_t until = now_ms() + PATIENCE_MS;
    pthread_t thread;

    memset(driver, 0, sizeof *driver);
    driver->waiter = waiter;
    driver->timeout_ms = timeout_ms;
    need(pthread_create(&thread, NULL, drive_once, driver) == 0, "pthread_create");
    while (!is_driven(waiter)) {
        need(now_ms() < until, "a thread that is in next");
        pause_ms(1);
    }
    return thread;
}

static void woken_from_a_thread(void)
{
    mfa_waiter *waiter = waiter_for(client);
    mfa_event event = MFA_EVENT_INIT;
    struct driver driver;
    pthread_t thread;
    int64_t began;

    thread = in_next(&driver, waiter, 60000);
    began = now_ms();
    mfa_waiter_wake(waiter);
    pthread_join(thread, NULL);
    check(driver.code == MFA_OK && driver.event.kind == MFA_EVENT_NONE &&
              driver.ended_at - began < GENEROUS_MS,
          "wake ends the next under way", "%s, kind %d, after %lld ms", mfa_code_name(driver.code),
          (int)driver.event.kind, (long long)(driver.ended_at - began));
    /* Before it begins; several count as one. */
    mfa_waiter_wake(waiter);
    mfa_waiter_wake(waiter);
    began = now_ms();
    check_int("wake ends the next to begin", next_for(waiter, 60000, &event), MFA_OK);
    check(event.kind == MFA_EVENT_NONE && now_ms() - began < GENEROUS_MS, "at once", "kind %d",
          (int)event.kind);
    began = now_ms();
    next_for(waiter, 200, &event);
    check(now_ms() - began >= 190, "and no other", "the next one ended after %lld ms",
          (long long)(now_ms() - began));
    mfa_waiter_free(waiter);
}

static mfa_waiter *woken_by_signal;
static volatile sig_atomic_t signals;

static void on_alarm(int number)
{
    (void)number;
    signals++;
    mfa_waiter_wake(woken_by_signal);
}

static void woken_from_a_signal_handler(void)
{
    struct sigaction action;
    struct itimerval in;
    mfa_event event = MFA_EVENT_INIT;
    int64_t began = now_ms();

    woken_by_signal = waiter_for(client);
    memset(&action, 0, sizeof action);
    memset(&in, 0, sizeof in);
    action.sa_handler = on_alarm;
    need(sigaction(SIGALRM, &action, NULL) == 0, "sigaction");
    in.it_value.tv_usec = 200000;
    need(setitimer(ITIMER_REAL, &in, NULL) == 0, "setitimer");
    check_int("next", next_for(woken_by_signal, 60000, &event), MFA_OK);
    check(signals == 1 && event.kind == MFA_EVENT_NONE && now_ms() - began < 200 + GENEROUS_MS,
          "woken from a signal handler", "%d signals, kind %d, after %lld ms", (int)signals,
          (int)event.kind, (long long)(now_ms() - began));
    /* A handler that does not wake does not end it either. */
    action.sa_handler = SIG_IGN;
    need(sigaction(SIGALRM, &action, NULL) == 0, "sigaction");
    mfa_waiter_free(woken_by_signal);
}

static void on_nothing(int number)
{
    (void)number;
    signals++;
}

/* EINTR is not the end of its time. */
static void not_woken_by_signals(void)
{
    mfa_waiter *waiter = waiter_for(client);
    struct sigaction action;
    struct itimerval every;
    mfa_event event = MFA_EVENT_INIT;
    int64_t began = now_ms();

    memset(&action, 0, sizeof action);
    memset(&every, 0, sizeof every);
    action.sa_handler = on_nothing;
    need(sigaction(SIGALRM, &action, NULL) == 0, "sigaction");
    every.it_value.tv_usec = 20000;
    every.it_interval.tv_usec = 20000;
    signals = 0;
    need(setitimer(ITIMER_REAL, &every, NULL) == 0, "setitimer");
    check_int("next", next_for(waiter, 300, &event), MFA_OK);
    check(now_ms() - began >= 290 && signals > 0, "signals alone do not end it",
          "it ended after %lld ms and %d signals", (long long)(now_ms() - began), (int)signals);
    memset(&every, 0, sizeof every);
    need(setitimer(ITIMER_REAL, &every, NULL) == 0, "setitimer");
    mfa_waiter_free(waiter);
}

/* The descriptor -------------------------------------------------------------------------------- */

static int is_readable(int fd, int timeout_ms)
{
    struct pollfd wait;
    int ready;

    wait.fd = fd;
    wait.events = POLLIN;
    do {
        ready = poll(&wait, 1, timeout_ms);
    } while (ready < 0 && errno == EINTR);
    return ready == 1;
}

/* Drives by poll(2) alone: whatever `next` has to do, the descriptor tells. */
static void driven_by_poll(void)
{
    static const char *const behaviours[] = { "approve-after-300", "deny-after-200", "no-app", "never" };
    mfa_waiter *waiter = waiter_for(client);
    mfa_wait_options wait = quickly(MFA_WAIT_REPORT_UPDATES);
    struct story stories[COUNT(behaviours)];
    int64_t until = now_ms() + PATIENCE_MS;
    int fd = (int)mfa_waiter_fd(waiter);
    int turns = 0;
    size_t i;

    check(fd > 2 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "the descriptor is above 2, and not inherited",
          "it is %d", fd);
    next_for(waiter, 0, &stories[0].last);
    check(!is_readable(fd, 0), "it is not readable without work", "it is");
    for (i = 0; i < COUNT(behaviours); i++) {
        confirm(waiter, &stories[i], behaviours[i], &wait, i == 3 ? 1500 : 20000);
    }
    check(is_readable(fd, 0), "it is readable when a wait is added", "it is not");
    while (mfa_waiter_count(waiter) > 0 && now_ms() < until && is_readable(fd, 10000)) {
        turns++;
        take(waiter, 0);
    }
    for (i = 0; i < COUNT(behaviours); i++) {
        check(stories[i].ended == 1 && stories[i].fault == NULL, behaviours[i], "%s",
              stories[i].fault == NULL ? "it has not ended" : stories[i].fault);
    }
    check_int("a timer is told too", stories[3].last.code, MFA_ERR_TIMEOUT);
    check(turns < 1000, "and nothing spins", "%d turns", turns);
    check_int("it keeps its number", (long long)mfa_waiter_fd(waiter), fd);
    take(waiter, 0);
    check(!is_readable(fd, 0), "it is not readable when all have ended", "it is");
    mfa_waiter_wake(waiter);
    check(is_readable(fd, 0), "wake makes it readable", "it does not");
    take(waiter, 0);
    check(!is_readable(fd, 0), "until next was called", "it still is");
    mfa_waiter_free(waiter);
}

#ifdef __linux__
/* Events that nobody has taken keep it readable, level-triggered. */
static void driven_by_epoll(void)
{
    mfa_waiter *waiter = waiter_for(client);
    mfa_wait_options wait = quickly(0);
    struct story stories[10];
    struct epoll_event event;
    int64_t until = now_ms() + PATIENCE_MS;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int wrong = 0;
    size_t i;

    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    need(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, (int)mfa_waiter_fd(waiter), &event) == 0, "epoll");
    for (i = 0; i < COUNT(stories); i++) {
        confirm(waiter, &stories[i], "approve-after-100", &wait, 20000);
    }
    /* One event for each time that it is readable, though there are more. */
    while (mfa_waiter_count(waiter) > 0 && now_ms() < until && epoll_wait(epoll, &event, 1, 10000) == 1) {
        take(waiter, 0);
    }
    for (i = 0; i < COUNT(stories); i++) {
        wrong += !mfa_event_is_approved(&stories[i].last, &stories[i].transaction) ||
                 stories[i].fault != NULL;
    }
    check_int("driven by epoll, level-triggered", wrong, 0);
    close(epoll);
    mfa_waiter_free(waiter);
}

/* Edge-triggered: `next` until NONE. */
static void driven_by_edges(void)
{
    mfa_waiter *waiter = waiter_for(client);
    mfa_wait_options wait = quickly(0);
    struct story stories[10];
    struct epoll_event event;
    int64_t until = now_ms() + PATIENCE_MS;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int wrong = 0;
    size_t i;

    memset(&event, 0, sizeof event);
    event.events = EPOLLIN | EPOLLET;
    need(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, (int)mfa_waiter_fd(waiter), &event) == 0, "epoll");
    for (i = 0; i < COUNT(stories); i++) {
        confirm(waiter, &stories[i], "deny-after-100", &wait, 20000);
    }
    while (mfa_waiter_count(waiter) > 0 && now_ms() < until && epoll_wait(epoll, &event, 1, 10000) == 1) {
        while (take(waiter, 0) > MFA_EVENT_NONE) {
        }
    }
    for (i = 0; i < COUNT(stories); i++) {
        wrong += stories[i].transaction.decision != MFA_DECISION_DENIED || stories[i].fault != NULL;
    }
    check_int("driven by epoll, edge-triggered", wrong, 0);
    close(epoll);
    mfa_waiter_free(waiter);
}
#endif

/* Threads --------------------------------------------------------------------------------------- */

static void busy(void)
{
    mfa_waiter *waiter = waiter_for(client);
    mfa_event event = MFA_EVENT_INIT;
    mfa_transaction transaction = MFA_TRANSACTION_INIT;
    mfa_error err = MFA_ERROR_INIT;
    struct driver driver;
    pthread_t thread = in_next(&driver, waiter, 60000);

    event.code = MFA_OK;
    event.kind = MFA_EVENT_ENDED;
    transaction.decision = MFA_DECISION_APPROVED;
    check_code("a second thread in next",
               mfa_waiter_next(waiter, 1000, &event, &transaction, NULL, &err), MFA_ERR_BUSY, &err);
    check(event.kind == MFA_EVENT_NONE && event.code == MFA_ERR_NOT_ENDED &&
              transaction.decision == MFA_DECISION_NONE && err.provider == MFA_PROVIDER_HYPERID,
          "is told nothing", "kind %d, code %d", (int)event.kind, (int)event.code);
    mfa_waiter_wake(waiter);
    pthread_join(thread, NULL);
    check_int("and the first one goes on", driver.code, MFA_OK);
    check_int("then it is free again", next_for(waiter, 0, &event), MFA_OK);
    mfa_waiter_free(waiter);
}

/* What the log callback of a waiter's client does with it. */
static struct {
    mfa_waiter *waiter;
    pthread_t thread;
    int lines;
    int elsewhere;
    int busy;
    int other;
    int added;
    struct story story;
} logged;

static void log_and_call(void *user_data, int32_t level, const char *message)
{
    mfa_event event = MFA_EVENT_INIT;
    mfa_error err = MFA_ERROR_INIT;
    mfa_code code;

    (void)user_data;
    (void)level;
    (void)message;
    logged.lines++;
    logged.elsewhere += !pthread_equal(pthread_self(), logged.thread);
    if (logged.waiter == NULL) {
        return;
    }
    code = next_for(logged.waiter, 0, &event);
    logged.busy += code == MFA_ERR_BUSY;
    logged.other += code != MFA_ERR_BUSY;
    logged.other += mfa_waiter_count(logged.waiter) == 0;
    logged.other += mfa_waiter_cancel(logged.waiter, 1000000, 0, &err) != MFA_ERR_INVALID_ARGUMENT;
    if (!logged.added) {
        mfa_wait_options wait = quickly(0);

        logged.added = 1;
        confirm(logged.waiter, &logged.story, "deny-after-0", &wait, 20000);
    }
}

static void called_from_the_log(void)
{
    mfa_client_options options = loopback_options(sandbox_url("MFA_TEST_HYPERID_URL"));
    mfa_wait_options wait = quickly(0);
    mfa_hyperid *logging;
    mfa_waiter *waiter;
    struct story story;

    options.log_level = MFA_LOG_DEBUG;
    options.log = log_and_call;
    logged.thread = pthread_self();
    logging = hyperid_with(&options);
    waiter = waiter_for(logging);
    confirm(waiter, &story, "approve-after-0", &wait, 20000);
    logged.waiter = waiter;
    finish(waiter, &story, "a waiter with a log");
    check(logged.busy > 0 && logged.other == 0, "in the log, next is busy and all else works",
          "%d times busy, %d times not", logged.busy, logged.other);
    check_int("log lines come on the thread that called", logged.elsewhere, 0);
    finish(waiter, &logged.story, "what the log has added");
    check_int("has its answer", logged.story.transaction.decision, MFA_DECISION_DENIED);
    logged.waiter = NULL;
    mfa_waiter_free(waiter);
    mfa_hyperid_free(logging);
}

#define ADDERS 4
#define EACH 50

struct adder {
    pthread_t thread;
    mfa_waiter *waiter;
    int number;
    struct story stories[EACH];
    /* The longest that one call took. */
    int64_t slowest_us;
};

/* Every fourth is cancelled at once, by the ticket that the add has told. */
static void *add_many(void *argument)
{
    struct adder *adder = (struct adder *)argument;
    mfa_wait_options wait = quickly(0);
    int i;

    for (i = 0; i < EACH; i++) {
        int64_t began = now_us();

        confirm(adder->waiter, &adder->stories[i], i % 2 ? "deny-after-100" : "approve-after-100", &wait,
                60000);
        if (i % 4 == 3) {
            mfa_waiter_cancel(adder->waiter, adder->stories[i].ticket, 0, NULL);
        }
        began = now_us() - began;
        adder->slowest_us = began > adder->slowest_us ? began : adder->slowest_us;
    }
    return NULL;
}

static int is_as_expected(const struct story *story, int i)
{
    int answered = story->last.code == MFA_OK &&
                   story->transaction.decision == (i % 2 ? MFA_DECISION_DENIED : MFA_DECISION_APPROVED);

    return story->fault == NULL && story->ended == 1 &&
           (answered || (i % 4 == 3 && story->last.code == MFA_ERR_CANCELLED));
}

/* One thread drives, four add and cancel: `write_story` compares the ticket of each event with the one
 * that the add has written, which must be there by then. */
static void adding_from_threads(void)
{
    static struct adder adders[ADDERS];
    mfa_waiter *waiter = waiter_for(client);
    int64_t until = now_ms() + 2 * PATIENCE_MS;
    int64_t slowest = 0;
    int wrong = 0;
    int ended = 0;
    int i;
    int k;

    for (i = 0; i < ADDERS; i++) {
        adders[i].waiter = waiter;
        adders[i].number = i;
        need(pthread_create(&adders[i].thread, NULL, add_many, &adders[i]) == 0, "pthread_create");
    }
    while (ended < ADDERS * EACH && now_ms() < until) {
        ended += take(waiter, 100) == MFA_EVENT_ENDED;
    }
    for (i = 0; i < ADDERS; i++) {
        pthread_join(adders[i].thread, NULL);
        slowest = adders[i].slowest_us > slowest ? adders[i].slowest_us : slowest;
        for (k = 0; k < EACH; k++) {
            wrong += !is_as_expected(&adders[i].stories[k], k);
        }
    }
    check_int("each that was added by another thread has ended", ended, ADDERS * EACH);
    check_int("with its own answer", wrong, 0);
    check_int("and none is left", mfa_waiter_count(waiter), 0);
    check(slowest < 1000 * GENEROUS_MS, "no add waited", "one took %lld us", (long long)slowest);
    mfa_waiter_free(waiter);
}

/* An add ends a `next` that waits for nothing else. */
static void *add_one(void *argument)
{
    struct driver *driver = (struct driver *)argument;
    mfa_wait_options wait = quickly(0);
    static struct story story;

    confirm(driver->waiter, &story, "no-app", &wait, 20000);
    return NULL;
}

static void an_add_is_driven_at_once(void)
{
    mfa_waiter *waiter = waiter_for(client);
    struct driver driver;
    struct driver adder;
    pthread_t thread = in_next(&driver, waiter, 60000);
    int64_t began = now_ms();

    adder.waiter = waiter;
    add_one(&adder);
    pthread_join(thread, NULL);
    check(driver.event.kind == MFA_EVENT_ENDED && driver.event.code == MFA_ERR_AUTHENTICATOR_NOT_LINKED &&
              driver.ended_at - began < GENEROUS_MS,
          "what is added while next waits is driven at once", "kind %d, %s, after %lld ms",
          (int)driver.event.kind, mfa_code_name(driver.event.code),
          (long long)(driver.ended_at - began));
    mfa_waiter_free(waiter);
}

/* Freeing --------------------------------------------------------------------------------------- */

static int open_descriptors(void)
{
    int count = 0;
    int fd;

    for (fd = 0; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) != -1;
    }
    return count;
}

/* Before anything, in a handshake or request, between polls, with events that nobody takes. */
static void freed_with_waits(void)
{
    static const char *const behaviours[] = { "never", "silent", "slow-5000@start", "approve-after-0",
                                              "token-expired", "no-app" };
    int before = open_descriptors();
    int round;
    size_t i;

    for (round = 0; round < 20; round++) {
        mfa_hyperid *own = hyperid_at(sandbox_url("MFA_TEST_HYPERID_URL"));
        mfa_waiter *waiter = waiter_for(own);
        mfa_wait_options wait = quickly(MFA_WAIT_REPORT_UPDATES | MFA_WAIT_ASK_FOR_TOKEN);
        static struct story stories[COUNT(behaviours)];
        int turns;

        for (i = 0; i < COUNT(behaviours); i++) {
            confirm(waiter, &stories[i], behaviours[i], &wait, 20000);
        }
        for (turns = 0; turns < round; turns++) {
            take(waiter, 10);
        }
        mfa_waiter_free(waiter);
        mfa_hyperid_free(own);
    }
    check_int("freed with waits under way: no descriptor is left", open_descriptors(), before);
}

/* Forking --------------------------------------------------------------------------------------- */

/* Everything but `_free` is refused. Returns how many calls were not. */
static int calls_in_a_child(mfa_waiter *waiter)
{
    mfa_request request = MFA_REQUEST_INIT;
    mfa_event event = MFA_EVENT_INIT;
    mfa_error err = MFA_ERROR_INIT;
    uint64_t ticket = 77;
    int wrong = 0;

    request.question = "Sign in?";
    wrong += mfa_waiter_confirm(waiter, "t", &request, NULL, NULL, NULL, &ticket, &err) != MFA_ERR_FORKED;
    wrong += ticket != 0 || err.code != MFA_ERR_FORKED;
    wrong += mfa_waiter_wait(waiter, "t", 1, NULL, NULL, NULL, &ticket, NULL) != MFA_ERR_FORKED;
    wrong += mfa_waiter_cancel(waiter, 1, 0, NULL) != MFA_ERR_FORKED;
    wrong += mfa_waiter_cancel_all(waiter, 0, NULL) != MFA_ERR_FORKED;
    wrong += mfa_waiter_give_token(waiter, 1, "t", NULL) != MFA_ERR_FORKED;
    wrong += next_for(waiter, 60000, &event) != MFA_ERR_FORKED;
    wrong += mfa_waiter_count(waiter) != 0;
    wrong += mfa_waiter_fd(waiter) != -1;
    mfa_waiter_wake(waiter);
    return wrong;
}

#define NUMBERS 64

/* A pipe under high numbers. */
static void high_pipe(int pair[2])
{
    int i;

    need(pipe(pair) == 0, "pipe");
    for (i = 0; i < 2; i++) {
        int high = fcntl(pair[i], F_DUPFD, 2 * NUMBERS);

        need(high >= 0, "F_DUPFD");
        close(pair[i]);
        pair[i] = high;
    }
}

/* The host has pipes of its own under the numbers that were the waiter's: nothing must come out of
 * them, not even their end. */
static int frees_by_number(mfa_waiter *waiter)
{
    int read_ends[NUMBERS];
    int wrong = 0;
    int fd;

    for (fd = 3; fd < NUMBERS; fd++) {
        int pair[2];

        high_pipe(pair);
        need(dup2(pair[1], fd) == fd, "dup2");
        close(pair[1]);
        read_ends[fd] = pair[0];
    }
    mfa_waiter_wake(waiter);
    wrong += mfa_waiter_cancel_all(waiter, 0, NULL) != MFA_ERR_FORKED;
    mfa_waiter_free(waiter);
    for (fd = 3; fd < NUMBERS; fd++) {
        wrong += is_readable(read_ends[fd], 0);
    }
    return wrong;
}

/* What the work comes to in a forked child; 100: it did not come to its end. The child ends by SIGKILL,
 * because a leak checker would have its say at any other end, and the parent's memory is no leak of its. */
static int in_a_child(int (*work)(mfa_waiter *waiter), mfa_waiter *waiter)
{
    int told[2];
    unsigned char result = 100;
    pid_t child;

    high_pipe(told);
    fflush(stdout);
    child = fork();
    need(child >= 0, "fork");
    if (child == 0) {
        alarm(60);
        result = (unsigned char)work(waiter);
        need(write(told[1], &result, 1) == 1, "write to the pipe");
        kill(getpid(), SIGKILL);
    }
    close(told[1]);
    if (read(told[0], &result, 1) != 1) {
        result = 100;
    }
    need(waitpid(child, NULL, 0) == child, "waitpid");
    close(told[0]);
    return result;
}

static int plain_free(mfa_waiter *waiter)
{
    mfa_waiter_free(waiter);
    return 0;
}

/* A waiter of the child's own, with the parent's client. */
static int own_waiter(mfa_waiter *waiter)
{
    mfa_wait_options wait = quickly(0);
    mfa_waiter *own = waiter_for(client);
    struct story story;
    int works;

    confirm(own, &story, "approve-after-50", &wait, 15000);
    works = drive_until(own, &story.ended, 1) && story.fault == NULL &&
            mfa_event_is_approved(&story.last, &story.transaction);
    mfa_waiter_free(own);
    mfa_waiter_free(waiter);
    return !works;
}

/* A host that has closed its standard descriptors: what it still writes there goes nowhere. */
static int low_numbers(mfa_waiter *waiter)
{
    mfa_wait_options wait = quickly(0);
    struct story story;
    mfa_waiter *own;
    int wrong = 0;
    int fd;

    for (fd = 0; fd < 3; fd++) {
        close(fd);
    }
    own = waiter_for(client);
    confirm(own, &story, "approve-after-100", &wait, 15000);
    while (!story.ended) {
        wrong += take(own, 10) < 0;
        for (fd = 0; fd < 3; fd++) {
            wrong += fcntl(fd, F_GETFD) != -1;
        }
    }
    wrong += !mfa_event_is_approved(&story.last, &story.transaction);
    mfa_waiter_free(own);
    mfa_waiter_free(waiter);
    return wrong > 50 ? 50 : wrong;
}

/* The parent's waiter goes on as if nothing had happened. */
static void forked(void)
{
    mfa_waiter *waiter = waiter_for(client);
    mfa_wait_options wait = quickly(0);
    struct story stories[8];
    int fd = (int)mfa_waiter_fd(waiter);
    int64_t until = now_ms() + PATIENCE_MS;
    int wrong = 0;
    size_t i;

    for (i = 0; i < COUNT(stories); i++) {
        confirm(waiter, &stories[i], i == 0 ? "approve-after-2000" : "deny-after-1500", &wait, 30000);
    }
    for (i = 0; i < COUNT(stories); i++) {
        drive_until(waiter, &stories[i].started, 1);
    }
    check_int("in a child all calls are refused", in_a_child(calls_in_a_child, waiter), 0);
    check_int("in a child free does nothing to the host's descriptors",
              in_a_child(frees_by_number, waiter), 0);
    check_int("in a child free works", in_a_child(plain_free, waiter), 0);
    check_int("a child has a waiter of its own", in_a_child(own_waiter, waiter), 0);
    check_int("no descriptor is 0, 1 or 2", in_a_child(low_numbers, waiter), 0);
    /* By the descriptor: a child that had let go of its queue would have taken the parent's entries. */
    while (mfa_waiter_count(waiter) > 0 && now_ms() < until && is_readable(fd, 10000)) {
        take(waiter, 0);
    }
    for (i = 0; i < COUNT(stories); i++) {
        wrong += !stories[i].ended || stories[i].fault != NULL || stories[i].last.code != MFA_OK ||
                 mfa_event_is_approved(&stories[i].last, &stories[i].transaction) != (i == 0);
    }
    check_int("the parent's waits have their answers", wrong, 0);
    mfa_waiter_free(waiter);
}

/* A child that is forked while another thread is in `next`, and so holds what it holds. */
static void forked_while_driven(void)
{
    mfa_waiter *waiter = waiter_for(client);
    mfa_wait_options wait = quickly(0);
    struct driver driver;
    struct story story;
    pthread_t thread;

    confirm(waiter, &story, "never", &wait, 30000);
    drive_until(waiter, &story.started, 1);
    thread = in_next(&driver, waiter, 60000);
    check_int("in a child of a driven waiter all calls are refused",
              in_a_child(calls_in_a_child, waiter), 0);
    check_int("in a child of a driven waiter free works", in_a_child(plain_free, waiter), 0);
    mfa_waiter_wake(waiter);
    pthread_join(thread, NULL);
    check_int("and the parent is woken", driver.code, MFA_OK);
    mfa_waiter_free(waiter);
}

int main(void)
{
    client = hyperid_at(sandbox_url("MFA_TEST_HYPERID_URL"));
    woken_from_a_thread();
    woken_from_a_signal_handler();
    not_woken_by_signals();
    driven_by_poll();
#ifdef __linux__
    driven_by_epoll();
    driven_by_edges();
#endif
    busy();
    called_from_the_log();
    adding_from_threads();
    an_add_is_driven_at_once();
    freed_with_waits();
    forked();
    forked_while_driven();
    mfa_hyperid_free(client);
    return check_finish();
}
