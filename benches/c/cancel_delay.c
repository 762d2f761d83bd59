/*
 * How long a call takes to return after its cancel object was triggered, by where it was, and how
 * late it returns after its deadline. Prints a Markdown table; times are in microseconds.
 *
 *     cancel_delay [ROUNDS]      (200 unless told otherwise)
 *
 * Everything is on this machine and in this process, as in the C tests: a listener that nobody
 * serves, one whose queue is full, and a scripted peer. The rules promise 50 ms; the table tells what it really is.
 */
#include "check.h"

#define MOST_ROUNDS 10000
/* Near enough to be watched from the start. */
#define SHORT_DEADLINE_MS 50
/* Far enough for a receive to wait by itself first. */
#define LONG_DEADLINE_MS 2300
/* So many of the long ones wait at once. */
#define AT_ONCE 10
/* Long enough for a call to come to where it waits. */
#define ARRIVAL_MS 5

static int rounds = 200;

/* A connection that was given up, if there is one: they would fill the queue. */
static void drop_connection(struct listener *listener)
{
    (void)listener_saw_nothing(listener);
}

/* One call -------------------------------------------------------------------------------------- */

struct call {
    mfa_hyperid *client;
    mfa_call_options options;
    int is_wait;
    mfa_code code;
    int64_t began;
    int64_t ended;
};

static void *run(void *argument)
{
    struct call *call = (struct call *)argument;
    mfa_transaction t = MFA_TRANSACTION_INIT;
    mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;

    wait.min_interval_ms = 60000;
    wait.max_interval_ms = 60000;
    call->began = now_us();
    if (call->is_wait) {
        call->code = mfa_hyperid_wait(call->client, "token", 1, &wait, &call->options, &t, NULL);
    } else {
        call->code = mfa_hyperid_status(call->client, "token", 1, &call->options, &t, NULL);
    }
    call->ended = now_us();
    return NULL;
}

static void expect(mfa_code got, mfa_code wanted)
{
    if (got != wanted) {
        fprintf(stderr, "%s in place of %s\n", mfa_code_name(got), mfa_code_name(wanted));
        exit(1);
    }
}

/* From the trigger to the call's return, in microseconds. */
static int64_t delay_of_cancel(mfa_hyperid *client, int is_wait)
{
    struct call call;
    pthread_t thread;
    int64_t triggered;

    memset(&call, 0, sizeof call);
    call.client = client;
    call.is_wait = is_wait;
    call.options.struct_size = sizeof call.options;
    call.options.timeout_ms = 60000;
    call.options.cancel = mfa_cancel_new();
    need(pthread_create(&thread, NULL, run, &call) == 0, "pthread_create");
    pause_ms(ARRIVAL_MS);
    triggered = now_us();
    mfa_cancel_trigger(call.options.cancel);
    pthread_join(thread, NULL);
    mfa_cancel_free(call.options.cancel);
    expect(call.code, MFA_ERR_CANCELLED);
    return call.ended - triggered;
}

/* How much later than their deadline so many calls, made at once, return, in microseconds. */
static void lateness(mfa_hyperid *client, int deadline_ms, int64_t *late, int count)
{
    struct call calls[AT_ONCE];
    pthread_t threads[AT_ONCE];
    int i;

    memset(calls, 0, sizeof calls);
    for (i = 0; i < count; i++) {
        calls[i].client = client;
        calls[i].options.struct_size = sizeof calls[i].options;
        calls[i].options.timeout_ms = (uint32_t)deadline_ms;
        need(pthread_create(&threads[i], NULL, run, &calls[i]) == 0, "pthread_create");
    }
    for (i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        expect(calls[i].code, MFA_ERR_TIMEOUT);
        late[i] = calls[i].ended - calls[i].began - (int64_t)deadline_ms * 1000;
    }
}

/* The table ------------------------------------------------------------------------------------- */

static int64_t measured[MOST_ROUNDS];

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void print_row(const char *what)
{
    qsort(measured, (size_t)rounds, sizeof measured[0], ascending);
    printf("| %s | %lld | %lld | %lld |\n", what, (long long)measured[rounds / 2],
           (long long)measured[rounds * 99 / 100], (long long)measured[rounds - 1]);
    fflush(stdout);
}

/* `listener`: the one that gets the connections and does not serve them, or NULL. */
static void measure_cancel(const char *what, const char *url, struct listener *listener, int is_wait)
{
    mfa_hyperid *client = hyperid_at(url);
    int i;

    for (i = 0; i < rounds; i++) {
        measured[i] = delay_of_cancel(client, is_wait);
        if (listener != NULL) {
            drop_connection(listener);
        }
    }
    mfa_hyperid_free(client);
    print_row(what);
}

static void measure_lateness(struct listener *listener, int deadline_ms, int at_once)
{
    mfa_hyperid *client = hyperid_at(listener->url);
    char what[80];
    int done = 0;

    while (done < rounds) {
        int count = rounds - done < at_once ? rounds - done : at_once;
        int i;

        lateness(client, deadline_ms, measured + done, count);
        for (i = 0; i < count; i++) {
            drop_connection(listener);
        }
        done += count;
    }
    mfa_hyperid_free(client);
    snprintf(what, sizeof what, "a deadline of %d ms, waiting for an answer: lateness",
             deadline_ms);
    print_row(what);
}

int main(int argc, char **argv)
{
    static struct peer pending;
    struct listener unserved;
    struct silent full;

    if (argc > 1) {
        rounds = atoi(argv[1]);
    }
    if (rounds < 1 || rounds > MOST_ROUNDS) {
        fprintf(stderr, "usage: cancel_delay [ROUNDS], 1-%d\n", MOST_ROUNDS);
        return 2;
    }
    listener_open(&unserved, 64);
    need(silent_open(&full), "an address that does not answer");
    /* The person has not answered yet. */
    peer_start(&pending, PEER_ANSWERS, "{\"result\":0,\"transaction_status\":0}");
    printf("| trigger to return, %d rounds each | p50 us | p99 us | max us |\n", rounds);
    printf("|---|---|---|---|\n");
    measure_cancel("waiting for an answer", unserved.url, &unserved, 0);
    measure_cancel("between polls", pending.listener.url, NULL, 1);
    measure_cancel("connecting to a silent address", full.listener.url, NULL, 0);
    measure_cancel("in the TLS handshake", unserved.tls_url, &unserved, 0);
    measure_lateness(&unserved, SHORT_DEADLINE_MS, 1);
    measure_lateness(&unserved, LONG_DEADLINE_MS, AT_ONCE);
    peer_stop(&pending);
    silent_close(&full);
    listener_close(&unserved);
    return 0;
}
