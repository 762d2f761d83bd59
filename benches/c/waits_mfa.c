/*
 * libmfa's waiter: one thread for all of them, in an epoll loop of the program's own. Besides what
 * waits.h says it knows:
 *
 *     resume TRANSPORT COUNT FILE         waits, all at once, for what others have started
 *     steady TRANSPORT COUNT MS FILE      the same, and for one that has ended another one comes
 *     closed TRANSPORT IN_FLIGHT COUNT    COUNT waits for what is approved already, IN_FLIGHT at once
 *     adds TRANSPORT COUNT                adds waits while another thread is in `next`, then cancels all
 */
#include "waits.h"

/* So many events, and then the loop's others have their turn: as docs/server.md says. */
#define EVENTS_AT_ONCE 64
#define EVENTS_FOR (5 * NS_PER_MS)

static mfa_hyperid *client;
static mfa_waiter *waiter;
static int loop;

static long count;
static long added;
static long ended;
static long errors;
static int64_t last_started_at;

static char *read_file(const char *name)
{
    FILE *file = fopen(name, "r");
    char *text = calloc(1, 65536);

    need(file != NULL && text != NULL && fread(text, 1, 65535, file) > 0, name);
    fclose(file);
    return text;
}

static void open_waiter(int is_tls)
{
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;
    mfa_waiter_options its_options = MFA_WAITER_OPTIONS_INIT;
    mfa_error err = MFA_ERROR_INIT;
    char *ca = is_tls ? read_file(waits_ca_file) : NULL;
    char url[64];

    snprintf(url, sizeof url, "%s://127.0.0.1:%d", is_tls ? "https" : "http", waits_ports[is_tls]);
    options.base_url = url;
    options.flags = MFA_CLIENT_ALLOW_LOOPBACK_HTTP;
    options.ca_pem = ca;
    options.request_timeout_ms = WAITS_REQUEST_TIMEOUT_MS;
    options.connect_timeout_ms = WAITS_CONNECT_TIMEOUT_MS;
    its_options.max_connections = WAITS_MOST_CONNECTIONS;
    need(mfa_hyperid_new(&options, &client, &err) == MFA_OK, err.message);
    need(mfa_waiter_new(client, &its_options, &waiter, &err) == MFA_OK, err.message);
    free(ca);
}

static void close_waiter(void)
{
    mfa_waiter_free(waiter);
    mfa_hyperid_free(client);
}

static void open_loop(void)
{
    struct epoll_event event;

    loop = epoll_create1(EPOLL_CLOEXEC);
    need(loop >= 0, "epoll_create1");
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.fd = (int)mfa_waiter_fd(waiter);
    need(epoll_ctl(loop, EPOLL_CTL_ADD, event.data.fd, &event) == 0, "epoll_ctl");
    waits_start_ticker(loop);
}

static void note_failure(const mfa_error *err)
{
    if (errors++ == 0) {
        fprintf(stderr, "libmfa: %s: %s\n", mfa_code_name(err->code), err->message);
    }
}

static void add_confirm(void)
{
    static mfa_call_options call = MFA_CALL_OPTIONS_INIT;
    static mfa_request request = MFA_REQUEST_INIT;
    char token[WAITS_TOKEN_LENGTH + 1];
    mfa_error err = MFA_ERROR_INIT;
    uint64_t ticket;

    waits_token(token, added++);
    call.timeout_ms = WAITS_TIMEOUT_MS;
    request.question = WAITS_QUESTION;
    if (mfa_waiter_confirm(waiter, token, &request, NULL, &call, NULL, &ticket, &err) != MFA_OK) {
        note_failure(&err);
        ended++;
    }
}

/* For what somebody else has started: its ids are far from those that this server gives out. */
static void add_wait(const mfa_wait_options *wait)
{
    static mfa_call_options call = MFA_CALL_OPTIONS_INIT;
    char token[WAITS_TOKEN_LENGTH + 1];
    mfa_error err = MFA_ERROR_INIT;
    uint64_t ticket;

    waits_token(token, added % 10000);
    call.timeout_ms = WAITS_TIMEOUT_MS;
    if (mfa_waiter_wait(waiter, token, 1000000000 + added, wait, &call, NULL, &ticket, &err) !=
        MFA_OK) {
        note_failure(&err);
        ended++;
    }
    added++;
}

/* Returns what kind of event there was. */
static int32_t take_event(uint32_t timeout_ms)
{
    mfa_event event = MFA_EVENT_INIT;
    mfa_transaction answer = MFA_TRANSACTION_INIT;
    mfa_error why = MFA_ERROR_INIT;
    mfa_error err = MFA_ERROR_INIT;

    need(mfa_waiter_next(waiter, timeout_ms, &event, &answer, &why, &err) == MFA_OK, err.message);
    if (event.kind == MFA_EVENT_STARTED) {
        last_started_at = now_ns();
    }
    if (event.kind == MFA_EVENT_ENDED) {
        ended++;
        if (mfa_event_is_approved(&event, &answer)) {
            waits_note_approval(answer.transaction_id);
        } else if (why.code != MFA_ERR_CANCELLED) {
            note_failure(&why);
        }
    }
    return event.kind;
}

static void take_events(void)
{
    int64_t until = now_ns() + EVENTS_FOR;
    int i;

    for (i = 0; i < EVENTS_AT_ONCE && now_ns() < until; i++) {
        if (take_event(0) == MFA_EVENT_NONE) {
            return;
        }
    }
}

static void come_round(int timeout_ms)
{
    struct epoll_event events[2];
    int ready = epoll_wait(loop, events, 2, timeout_ms);
    int i;

    for (i = 0; i < ready; i++) {
        if (events[i].data.fd == waits_ticker) {
            waits_tick(1);
        } else {
            take_events();
        }
    }
}

static void waits(long over_ms, const char *file)
{
    int64_t began = now_ns();

    waits_expect(count);
    open_loop();
    while (ended < count) {
        while (added < waits_come(began, count, over_ms)) {
            add_confirm();
        }
        come_round(added < count ? 1 : -1);
    }
    waits_write_approvals(file);
    printf("ok errors=%ld approved=%ld started_ns=%lld", errors, waits_approved,
           (long long)(last_started_at - began));
    waits_print_stalls();
}

static void resume(const char *file)
{
    waits_expect(count);
    while (added < count) {
        add_wait(NULL);
    }
    while (ended < count) {
        take_event(1000);
    }
    waits_write_approvals(file);
    printf("ok errors=%ld approved=%ld\n", errors, waits_approved);
}

static void steady(long in_flight, long ms, const char *file)
{
    int64_t until = now_ns() + ms * NS_PER_MS;

    /* More than come. */
    waits_expect(in_flight * (ms / 100 + 2));
    while (now_ns() < until) {
        while (added - ended < in_flight) {
            add_wait(NULL);
        }
        take_event(10);
    }
    waits_write_approvals(file);
    printf("ok errors=%ld approved=%ld\n", errors, waits_approved);
}

static int64_t cpu_ns(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * NS_PER_S + used.tv_nsec;
}

/* Each is one exchange. With this interval they are not spread over a second. */
static void closed(long in_flight)
{
    mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;
    long warm = count / 10;
    int64_t began = 0;
    int64_t cpu = 0;

    wait.min_interval_ms = 1;
    waits_expect(count + warm);
    while (ended < count + warm) {
        if (began == 0 && ended >= warm) {
            began = now_ns();
            cpu = cpu_ns();
        }
        while (added - ended < in_flight && added < count + warm) {
            add_wait(&wait);
        }
        take_event(1000);
    }
    printf("ok errors=%ld approved=%ld cpu_ns=%lld wall_ns=%lld\n", errors, waits_approved,
           (long long)((cpu_ns() - cpu) / count), (long long)((now_ns() - began) / count));
}

static void *take_all_events(void *unused)
{
    while (__atomic_load_n(&ended, __ATOMIC_SEQ_CST) < count) {
        take_event(1000);
    }
    return unused;
}

static void adds(void)
{
    uint32_t *times = calloc((size_t)count, sizeof *times);
    mfa_error err = MFA_ERROR_INIT;
    int64_t began, total, cancelled;
    pthread_t next;
    uint32_t p99;
    long i;

    need(times != NULL, "calloc");
    waits_expect(count);
    need(pthread_create(&next, NULL, take_all_events, NULL) == 0, "pthread_create");
    /* It is in `next`, and the waiter has had its first turn. */
    pause_ms(50);
    began = now_ns();
    for (i = 0; i < count; i++) {
        int64_t before = now_ns();

        add_wait(NULL);
        times[i] = (uint32_t)(now_ns() - before);
    }
    total = now_ns() - began;
    p99 = waits_quantile(times, count, 990);
    /* Some are between two polls, some are asking. */
    pause_ms(4000);
    need(mfa_waiter_count(waiter) == (uint32_t)count, "all are waited for");
    cancelled = now_ns();
    need(mfa_waiter_cancel_all(waiter, 0, &err) == MFA_OK, err.message);
    pthread_join(next, NULL);
    cancelled = now_ns() - cancelled;
    printf("ok errors=%ld total_ns=%lld p99_ns=%u worst_ns=%u cancelled_ns=%lld\n", errors,
           (long long)total, p99, times[count - 1], (long long)cancelled);
    free(times);
}

static int obey(const char *command, int is_tls, const char *rest)
{
    char file[256] = "";
    long second = 0;

    if (strcmp(command, "version") == 0) {
        printf("ok version=libmfa %s\n", mfa_version());
        return 1;
    }
    open_waiter(is_tls);
    if (strcmp(command, "waits") == 0 && sscanf(rest, "%ld %ld %255s", &count, &second, file) == 3) {
        waits(second, file);
    } else if (strcmp(command, "resume") == 0 && sscanf(rest, "%ld %255s", &count, file) == 2) {
        resume(file);
    } else if (strcmp(command, "steady") == 0 &&
               sscanf(rest, "%ld %ld %255s", &count, &second, file) == 3) {
        steady(count, second, file);
    } else if (strcmp(command, "closed") == 0 && sscanf(rest, "%ld %ld", &second, &count) == 2) {
        closed(second);
    } else if (strcmp(command, "adds") == 0 && sscanf(rest, "%ld", &count) == 1) {
        adds();
    } else {
        return 0;
    }
    close_waiter();
    return 1;
}

int main(int argc, char **argv)
{
    return waits_main(argc, argv, obey);
}
