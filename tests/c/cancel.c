/*
 * A call ends soon after its cancel object is triggered, and at its deadline, wherever it is:
 * resolving a name, connecting, waiting for the proxy, in the TLS handshake, waiting for an answer,
 * between two polls.
 * Other calls of the same client go on.
 *
 * The rules promise 50 ms. What is asserted here is far more generous, because a busy machine may
 * let a thread wait; the benchmark tells the real figures.
 */
#include "check.h"

#include <dirent.h>
#include <netdb.h>
#include <signal.h>
#include <sys/time.h>

/* A resolver that can be held ------------------------------------------------------------------- */

/*
 * The system's resolver cannot be made slow without changing the machine, so this program brings
 * its own: the linker and the loader take a program's definition before the C library's, for the
 * program and for the libraries that it uses. All else is real: libmfa's threads, its waiting and
 * its giving up. The names end in ".test", which is set aside for tests and never exists.
 */
static pthread_mutex_t resolver_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t resolver_free = PTHREAD_COND_INITIALIZER;
static int resolver_held;
static int resolver_entered;
static int resolver_left;

static struct addrinfo *loopback_result(void)
{
    struct {
        struct addrinfo info;
        struct sockaddr_in address;
    } *both = (void *)calloc(1, sizeof *both);

    need(both != NULL, "calloc");
    both->address = loopback_address(0);
    both->info.ai_family = AF_INET;
    both->info.ai_socktype = SOCK_STREAM;
    both->info.ai_addrlen = sizeof both->address;
    both->info.ai_addr = (struct sockaddr *)&both->address;
    return &both->info;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **result)
{
    (void)service;
    (void)hints;
    pthread_mutex_lock(&resolver_lock);
    resolver_entered++;
    while (resolver_held) {
        pthread_cond_wait(&resolver_free, &resolver_lock);
    }
    resolver_left++;
    pthread_mutex_unlock(&resolver_lock);
    if (name != NULL && strstr(name, "unknown") != NULL) {
        return EAI_NONAME;
    }
    *result = loopback_result();
    return 0;
}

/* It came from this program, so it goes here too. */
void freeaddrinfo(struct addrinfo *list)
{
    free(list);
}

static void hold_resolver(int held)
{
    pthread_mutex_lock(&resolver_lock);
    resolver_held = held;
    pthread_cond_broadcast(&resolver_free);
    pthread_mutex_unlock(&resolver_lock);
}

static int resolver_count(const int *counter)
{
    int value;

    pthread_mutex_lock(&resolver_lock);
    value = *counter;
    pthread_mutex_unlock(&resolver_lock);
    return value;
}

static int wait_for_resolver(const int *counter, int wanted)
{
    int64_t until = now_ms() + 20000;

    while (resolver_count(counter) < wanted && now_ms() < until) {
        pause_ms(1);
    }
    return resolver_count(counter) >= wanted;
}

/* Lets the held look-ups return, and waits for it, so that no thread outlives the test. */
static void release_resolver(void)
{
    hold_resolver(0);
    wait_for_resolver(&resolver_left, resolver_count(&resolver_entered));
}

/* Where a call can be --------------------------------------------------------------------------- */

struct place {
    const char *name;
    /* What the call meets there. */
    struct listener listener;
    struct silent silent;
    struct peer peer;
    char url[80];
    const char *proxy_url;
    /* How many connections to the silent address are on their way before the call. */
    int connecting_before;
    int entered_before;
    /* Whether the request has been sent by then. */
    int sent;
    int connecting;
    int (*enter)(struct place *place);
    int (*reached)(struct place *place);
    void (*leave)(struct place *place);
};

static int resolving_enter(struct place *place)
{
    static int number;

    place->entered_before = resolver_count(&resolver_entered);
    hold_resolver(1);
    /* A new name each time: answers are kept for a while. */
    snprintf(place->url, sizeof place->url, "https://name-%d.test:1", ++number);
    return 1;
}

static int resolving_reached(struct place *place)
{
    return wait_for_resolver(&resolver_entered, place->entered_before + 1);
}

static void resolving_leave(struct place *place)
{
    (void)place;
    release_resolver();
}

/* Connections to `port` that have been asked for and not yet been granted (Linux). */
static int connecting_to(int port)
{
    FILE *table = fopen("/proc/net/tcp", "r");
    char line[300];
    int count = 0;

    if (table == NULL) {
        return 0;
    }
    while (fgets(line, sizeof line, table) != NULL) {
        unsigned remote;
        unsigned state;

        if (sscanf(line, " %*d: %*x:%*x %*x:%x %x", &remote, &state) == 2) {
            count += (int)remote == port && state == 2;
        }
    }
    fclose(table);
    return count;
}

static int connecting_enter(struct place *place)
{
    int silent = silent_open(&place->silent);

    snprintf(place->url, sizeof place->url, "%s", place->silent.listener.url);
    place->connecting_before = connecting_to(place->silent.listener.port);
    return silent;
}

static int connecting_reached(struct place *place)
{
    int64_t until = now_ms() + 20000;

    while (connecting_to(place->silent.listener.port) <= place->connecting_before) {
        if (now_ms() > until) {
            return 0;
        }
        pause_ms(1);
    }
    return 1;
}

static void connecting_leave(struct place *place)
{
    silent_close(&place->silent);
}

static int handshake_enter(struct place *place)
{
    peer_start(&place->peer, PEER_IS_SILENT, "");
    snprintf(place->url, sizeof place->url, "%s", place->peer.listener.tls_url);
    return 1;
}

static int handshake_reached(struct place *place)
{
    return peer_wait_for(&place->peer, &place->peer.bytes_seen, 1);
}

static void peer_leave(struct place *place)
{
    peer_stop(&place->peer);
}

static int answer_enter(struct place *place)
{
    peer_start(&place->peer, PEER_IS_SILENT, "");
    snprintf(place->url, sizeof place->url, "%s", place->peer.listener.url);
    return 1;
}

static int answer_reached(struct place *place)
{
    return peer_wait_for(&place->peer, &place->peer.requests, 1);
}

/* The proxy takes the connection and says nothing. */
static int proxy_enter(struct place *place)
{
    peer_start(&place->peer, PEER_IS_SILENT, "");
    snprintf(place->url, sizeof place->url, "https://behind-a-proxy.test");
    place->proxy_url = place->peer.listener.url;
    return 1;
}

static struct place places[] = {
    { .name = "resolving", .connecting = 1, .enter = resolving_enter,
      .reached = resolving_reached, .leave = resolving_leave },
    { .name = "connecting", .connecting = 1, .enter = connecting_enter,
      .reached = connecting_reached, .leave = connecting_leave },
    { .name = "waiting for the proxy", .connecting = 1, .enter = proxy_enter,
      .reached = handshake_reached, .leave = peer_leave },
    { .name = "in the TLS handshake", .connecting = 1, .enter = handshake_enter,
      .reached = handshake_reached, .leave = peer_leave },
    { .name = "waiting for an answer", .sent = 1, .enter = answer_enter,
      .reached = answer_reached, .leave = peer_leave },
};

#define PLACES (sizeof places / sizeof places[0])

/* A start in a thread of its own ---------------------------------------------------------------- */

struct job {
    mfa_hyperid *client;
    mfa_call_options options;
    mfa_code code;
    mfa_error err;
    int64_t id;
    int64_t began;
    int64_t ended;
    pthread_t thread;
};

static void *run_start(void *argument)
{
    struct job *job = (struct job *)argument;
    mfa_request request = MFA_REQUEST_INIT;

    request.question = "Sign in?";
    job->id = 77;
    job->began = now_ms();
    job->code = mfa_hyperid_start(job->client, "token", &request, &job->options, &job->id,
                                  &job->err);
    job->ended = now_ms();
    return NULL;
}

static void job_begin(struct job *job, mfa_hyperid *client, mfa_call_options options)
{
    static const mfa_error empty = MFA_ERROR_INIT;

    memset(job, 0, sizeof *job);
    job->err = empty;
    job->client = client;
    job->options = options;
    need(pthread_create(&job->thread, NULL, run_start, job) == 0, "pthread_create");
}

static mfa_hyperid *client_for(const struct place *place, uint32_t connect_timeout_ms,
                               uint32_t request_timeout_ms)
{
    mfa_client_options options = loopback_options(place->url);

    options.proxy_url = place->proxy_url;
    options.connect_timeout_ms = connect_timeout_ms;
    options.request_timeout_ms = request_timeout_ms;
    return hyperid_with(&options);
}

static const char *named(const char *what, const struct place *place)
{
    static char name[160];

    snprintf(name, sizeof name, "%s %s", what, place->name);
    return name;
}

static void check_flags(const char *what, const struct place *place, const struct job *job)
{
    uint32_t unknown = place->sent ? MFA_ERROR_OUTCOME_UNKNOWN : 0;

    check((job->err.flags & MFA_ERROR_OUTCOME_UNKNOWN) == unknown && job->id == 0 &&
              job->err.http_status == 0 && job->err.attempts == 1,
          named(what, place), "flags %u, id %lld, attempts %u", (unsigned)job->err.flags,
          (long long)job->id, (unsigned)job->err.attempts);
}

static void cancelled_at(struct place *place)
{
    mfa_cancel *cancel = mfa_cancel_new();
    mfa_hyperid *client = client_for(place, 0, 0);
    struct job job;
    int64_t triggered;

    job_begin(&job, client, within(60000, cancel));
    check(place->reached(place), named("the call is", place), "it never came there");
    triggered = now_ms();
    mfa_cancel_trigger(cancel);
    pthread_join(job.thread, NULL);
    check_code(named("cancelled", place), job.code, MFA_ERR_CANCELLED, &job.err);
    check(job.ended - triggered < GENEROUS_MS, named("soon after a cancel", place), "%lld ms",
          (long long)(job.ended - triggered));
    check_flags("outcome and id after a cancel", place, &job);
    mfa_hyperid_free(client);
    mfa_cancel_free(cancel);
}

static void deadline_at(struct place *place)
{
    mfa_hyperid *client = client_for(place, 0, 0);
    struct job job;

    job_begin(&job, client, within(150, NULL));
    pthread_join(job.thread, NULL);
    check_code(named("deadline", place), job.code, MFA_ERR_TIMEOUT, &job.err);
    check(job.ended - job.began >= 149 && job.ended - job.began < 150 + GENEROUS_MS,
          named("the deadline is kept", place), "%lld ms", (long long)(job.ended - job.began));
    check_flags("outcome and id at a deadline", place, &job);
    mfa_hyperid_free(client);
}

/* The bounds of a connection and of an exchange have codes of their own. */
static void other_bounds_at(struct place *place)
{
    mfa_hyperid *client = client_for(place, 150, 0);
    struct job job;

    if (place->connecting) {
        job_begin(&job, client, within(60000, NULL));
        pthread_join(job.thread, NULL);
        check_code(named("connect_timeout", place), job.code, MFA_ERR_CONNECT_TIMEOUT, &job.err);
        check_flags("outcome and id at connect_timeout", place, &job);
    }
    mfa_hyperid_free(client);
    client = client_for(place, 0, 150);
    job_begin(&job, client, within(60000, NULL));
    pthread_join(job.thread, NULL);
    check_code(named("request_timeout", place), job.code, MFA_ERR_REQUEST_TIMEOUT, &job.err);
    check_flags("outcome and id at request_timeout", place, &job);
    job_begin(&job, client, within(0, NULL));
    pthread_join(job.thread, NULL);
    check_code(named("request_timeout as the call's own deadline", place), job.code,
               MFA_ERR_TIMEOUT, &job.err);
    mfa_hyperid_free(client);
}

static void at_each_place(void)
{
    size_t i;

    for (i = 0; i < PLACES; i++) {
        static void (*const tests[])(struct place *) = { cancelled_at, deadline_at,
                                                         other_bounds_at };
        size_t t;

        for (t = 0; t < sizeof tests / sizeof tests[0]; t++) {
            if (places[i].enter(&places[i])) {
                tests[t](&places[i]);
            } else {
                printf("skipped %s: this system has no such place\n", places[i].name);
            }
            places[i].leave(&places[i]);
        }
    }
}

/* Between polls --------------------------------------------------------------------------------- */

#define PENDING "{\"result\":0,\"transaction_status\":0,\"transaction_complete_result\":0}"
#define APPROVED "{\"result\":0,\"transaction_status\":1,\"transaction_complete_result\":0}"

struct waiting {
    mfa_hyperid *client;
    mfa_wait_options wait;
    mfa_call_options options;
    mfa_transaction out;
    mfa_error err;
    mfa_code code;
    int64_t ended;
    pthread_t thread;
    pthread_mutex_t lock;
    int updates;
};

static int32_t count_update(void *user_data, const mfa_transaction *so_far)
{
    struct waiting *w = (struct waiting *)user_data;

    (void)so_far;
    pthread_mutex_lock(&w->lock);
    w->updates++;
    pthread_mutex_unlock(&w->lock);
    return 0;
}

static void *run_wait(void *argument)
{
    struct waiting *w = (struct waiting *)argument;

    w->code = mfa_hyperid_wait(w->client, "token", 5, &w->wait, &w->options, &w->out, &w->err);
    w->ended = now_ms();
    return NULL;
}

static void waiting_begin(struct waiting *w, mfa_hyperid *client, uint32_t interval_ms,
                          mfa_call_options options)
{
    static const mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;
    static const mfa_transaction out = MFA_TRANSACTION_INIT;
    static const mfa_error err = MFA_ERROR_INIT;

    memset(w, 0, sizeof *w);
    w->client = client;
    w->wait = wait;
    w->out = out;
    w->err = err;
    w->wait.min_interval_ms = interval_ms;
    w->wait.max_interval_ms = interval_ms;
    w->wait.on_update = count_update;
    w->wait.on_update_user_data = w;
    w->options = options;
    need(pthread_mutex_init(&w->lock, NULL) == 0, "pthread_mutex_init");
    need(pthread_create(&w->thread, NULL, run_wait, w) == 0, "pthread_create");
}

static int waiting_updates(struct waiting *w, int wanted)
{
    int64_t until = now_ms() + 20000;
    int updates = 0;

    while (updates < wanted && now_ms() < until) {
        pthread_mutex_lock(&w->lock);
        updates = w->updates;
        pthread_mutex_unlock(&w->lock);
        pause_ms(1);
    }
    return updates >= wanted;
}

static void waiting_end(struct waiting *w)
{
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
}

static void between_polls(void)
{
    struct peer peer;
    mfa_cancel *cancel = mfa_cancel_new();
    mfa_hyperid *client;
    struct waiting ended;
    struct waiting other;
    int64_t triggered;

    peer_start(&peer, PEER_ANSWERS, PENDING);
    client = hyperid_at(peer.listener.url);
    waiting_begin(&ended, client, 50000, within(100000, cancel));
    waiting_begin(&other, client, 50, within(60000, NULL));
    check(waiting_updates(&ended, 1) && waiting_updates(&other, 1), "two waits, between polls",
          "there was no poll");
    triggered = now_ms();
    mfa_cancel_trigger(cancel);
    pthread_join(ended.thread, NULL);
    check_code("cancelled between polls", ended.code, MFA_ERR_CANCELLED, &ended.err);
    check(ended.ended - triggered < GENEROUS_MS, "soon after a cancel between polls", "%lld ms",
          (long long)(ended.ended - triggered));
    check(ended.out.transaction_id == 5 && ended.out.decision == MFA_DECISION_PENDING &&
              ended.out.polls == 1,
          "the id and the last state are in out", "id %lld, decision %d",
          (long long)ended.out.transaction_id, (int)ended.out.decision);
    peer_set(&peer, PEER_ANSWERS, APPROVED);
    waiting_end(&other);
    check(mfa_is_approved(other.code, &other.out), "another wait of the same client goes on", "%s",
          mfa_code_name(other.code));
    pthread_mutex_destroy(&ended.lock);
    waiting_begin(&ended, client, 50000, within(60000, cancel));
    waiting_end(&ended);
    check_code("a cancel stays triggered", ended.code, MFA_ERR_CANCELLED, &ended.err);
    check(ended.out.polls == 0 && ended.out.transaction_id == 5, "and then nothing is asked",
          "%u polls", (unsigned)ended.out.polls);
    mfa_hyperid_free(client);
    mfa_cancel_free(cancel);
    peer_stop(&peer);
}

static void deadline_between_polls(void)
{
    struct peer peer;
    mfa_hyperid *client;
    struct waiting w;
    int64_t began;

    peer_start(&peer, PEER_ANSWERS, PENDING);
    client = hyperid_at(peer.listener.url);
    began = now_ms();
    waiting_begin(&w, client, 50000, within(200, NULL));
    waiting_end(&w);
    check_code("deadline between polls", w.code, MFA_ERR_TIMEOUT, &w.err);
    check(w.ended - began >= 199 && w.ended - began < 200 + GENEROUS_MS,
          "the deadline is kept between polls", "%lld ms", (long long)(w.ended - began));
    mfa_hyperid_free(client);
    peer_stop(&peer);
}

/* Others go on ---------------------------------------------------------------------------------- */

/* Two calls wait for one look-up; one of them gives up. */
static void others_resolve_on(void)
{
    struct peer peer;
    char url[80];
    mfa_cancel *cancel = mfa_cancel_new();
    mfa_hyperid *client;
    struct job ended;
    struct job other;
    int before = resolver_count(&resolver_entered);

    peer_start(&peer, PEER_CLOSES_ON_BYTES, "");
    snprintf(url, sizeof url, "https://shared.test:%d", peer.listener.port);
    client = hyperid_at(url);
    hold_resolver(1);
    job_begin(&ended, client, within(60000, cancel));
    job_begin(&other, client, within(60000, NULL));
    check(wait_for_resolver(&resolver_entered, before + 1), "two calls, one look-up",
          "there was none");
    mfa_cancel_trigger(cancel);
    pthread_join(ended.thread, NULL);
    check_code("cancelled beside another look-up", ended.code, MFA_ERR_CANCELLED, &ended.err);
    release_resolver();
    pthread_join(other.thread, NULL);
    check(peer_count(&peer, &peer.connections) == 1 && other.code != MFA_ERR_CANCELLED &&
              other.code >= 100 && other.code < 200 && (other.err.flags & MFA_ERROR_OUTCOME_UNKNOWN) == 0,
          "the other one goes on to connect", "%s, %d connections", mfa_code_name(other.code),
          peer_count(&peer, &peer.connections));
    mfa_hyperid_free(client);
    mfa_cancel_free(cancel);
    peer_stop(&peer);
}

static int threads_now(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;

    need(tasks != NULL, "/proc/self/task");
    while (readdir(tasks) != NULL) {
        count++;
    }
    closedir(tasks);
    return count;
}

/* A look-up that ended after its only caller had given up says nothing about now. */
static void a_look_up_that_nobody_waited_for(void)
{
    mfa_cancel *cancel = mfa_cancel_new();
    mfa_hyperid *client = hyperid_at("https://unknown-then.test");
    int64_t until = now_ms() + 20000;
    int threads = threads_now();
    int before = resolver_count(&resolver_entered);
    struct job job;

    hold_resolver(1);
    job_begin(&job, client, within(60000, cancel));
    wait_for_resolver(&resolver_entered, before + 1);
    mfa_cancel_trigger(cancel);
    pthread_join(job.thread, NULL);
    release_resolver();
    while (threads_now() > threads && now_ms() < until) {
        pause_ms(1);
    }
    job_begin(&job, client, within(20000, NULL));
    pthread_join(job.thread, NULL);
    check_code("after an abandoned look-up", job.code, MFA_ERR_DNS, &job.err);
    check(resolver_count(&resolver_entered) >= before + 2, "the name is asked for again", "%d times",
          resolver_count(&resolver_entered) - before);
    mfa_hyperid_free(client);
    mfa_cancel_free(cancel);
}

static void unknown_names(void)
{
    mfa_hyperid *client = hyperid_at("https://unknown.test");
    struct job job;

    job_begin(&job, client, within(20000, NULL));
    pthread_join(job.thread, NULL);
    check_code("a name that does not exist", job.code, MFA_ERR_DNS, &job.err);
    mfa_hyperid_free(client);
}

/* After a cancelled exchange the client is as good as new, and its connection is not used again. */
static void the_client_goes_on(void)
{
    struct peer peer;
    mfa_cancel *cancel = mfa_cancel_new();
    mfa_hyperid *client;
    struct job job;

    peer_start(&peer, PEER_IS_SILENT, "");
    client = hyperid_at(peer.listener.url);
    job_begin(&job, client, within(60000, cancel));
    peer_wait_for(&peer, &peer.requests, 1);
    mfa_cancel_trigger(cancel);
    pthread_join(job.thread, NULL);
    peer_set(&peer, PEER_ANSWERS, "{\"result\":0,\"transaction_id\":9}");
    job_begin(&job, client, within(60000, NULL));
    pthread_join(job.thread, NULL);
    check(job.code == MFA_OK && job.id == 9 && peer_count(&peer, &peer.requests_on[1]) == 1,
          "after a cancel, a call on a connection of its own", "%s, %d on the second",
          mfa_code_name(job.code), peer_count(&peer, &peer.requests_on[1]));
    mfa_hyperid_free(client);
    mfa_cancel_free(cancel);
    peer_stop(&peer);
}

/* Many calls, one trigger. */
static void one_cancel_for_many(void)
{
    struct peer peer;
    mfa_cancel *cancel = mfa_cancel_new();
    mfa_hyperid *client;
    struct job jobs[8];
    int cancelled = 0;
    int i;

    peer_start(&peer, PEER_IS_SILENT, "");
    client = hyperid_at(peer.listener.url);
    for (i = 0; i < 8; i++) {
        job_begin(&jobs[i], client, within(60000, cancel));
    }
    peer_wait_for(&peer, &peer.requests, 8);
    mfa_cancel_trigger(cancel);
    for (i = 0; i < 8; i++) {
        pthread_join(jobs[i].thread, NULL);
        cancelled += jobs[i].code == MFA_ERR_CANCELLED;
    }
    check_int("one cancel ends eight calls", cancelled, 8);
    mfa_hyperid_free(client);
    mfa_cancel_free(cancel);
    peer_stop(&peer);
}

/* A signal handler ------------------------------------------------------------------------------ */

static mfa_cancel *signal_cancel;

static void on_alarm(int number)
{
    (void)number;
    mfa_cancel_trigger(signal_cancel);
}

/* The handler runs on the very thread that waits inside the call. */
static void from_a_signal_handler(void)
{
    struct peer peer;
    struct sigaction action;
    struct itimerval timer;
    struct job job;

    memset(&action, 0, sizeof action);
    memset(&timer, 0, sizeof timer);
    peer_start(&peer, PEER_IS_SILENT, "");
    signal_cancel = mfa_cancel_new();
    memset(&job, 0, sizeof job);
    job.err.struct_size = sizeof job.err;
    job.client = hyperid_at(peer.listener.url);
    job.options = within(60000, signal_cancel);
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
    timer.it_value.tv_usec = 50000;
    setitimer(ITIMER_REAL, &timer, NULL);
    run_start(&job);
    check_code("cancelled from a signal handler", job.code, MFA_ERR_CANCELLED, &job.err);
    check(job.ended - job.began < 50 + GENEROUS_MS, "soon after the signal", "%lld ms",
          (long long)(job.ended - job.began));
    mfa_hyperid_free(job.client);
    mfa_cancel_free(signal_cancel);
    peer_stop(&peer);
}

static void triggered_before(void)
{
    struct listener nobody;
    mfa_cancel *cancel = mfa_cancel_new();
    mfa_hyperid *client;
    struct job job;

    listener_open(&nobody, 4);
    client = hyperid_at(nobody.url);
    mfa_cancel_trigger(cancel);
    job_begin(&job, client, within(60000, cancel));
    pthread_join(job.thread, NULL);
    check_code("triggered before the call", job.code, MFA_ERR_CANCELLED, &job.err);
    check(listener_saw_nothing(&nobody) && job.err.flags == 0, "and nothing was sent",
          "a connection was made, or flags are %u", (unsigned)job.err.flags);
    mfa_hyperid_free(client);
    mfa_cancel_free(cancel);
    listener_close(&nobody);
}

int main(void)
{
    at_each_place();
    between_polls();
    deadline_between_polls();
    others_resolve_on();
    unknown_names();
    a_look_up_that_nobody_waited_for();
    the_client_goes_on();
    one_cancel_for_many();
    from_a_signal_handler();
    triggered_before();
    return check_finish();
}
