/*
 * How long a call takes to return after its cancel object was triggered, by where it was, and how
 * late it returns after its deadline. Prints a Markdown table; times are in microseconds.
 *
 *     cancel_delay [ROUNDS]      (200 unless told otherwise)
 *
 * Everything is on this machine and in this process: listeners that stay silent, a queue that is
 * full, and one small server. The rules promise 50 ms; the table tells what it really is.
 */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <mfa.h>

#define MOST_ROUNDS 10000
/* Near enough to be watched from the start. */
#define SHORT_DEADLINE_MS 50
/* Far enough for a receive to wait by itself first. */
#define LONG_DEADLINE_MS 2300
/* So many of the long ones wait at once. */
#define AT_ONCE 10
/* Long enough for a call to come to where it waits. */
#define SETTLE_MS 5

static int rounds = 200;

static void need(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(2);
    }
}

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Listeners ------------------------------------------------------------------------------------- */

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    return address;
}

/* The system completes connections for it; nobody reads from them. */
static int listen_on_loopback(int backlog, int *port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    need(fd >= 0, "socket");
    need(bind(fd, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    need(listen(fd, backlog) == 0, "listen");
    need(getsockname(fd, (struct sockaddr *)&address, &size) == 0, "getsockname");
    *port = ntohs(address.sin_port);
    return fd;
}

static void drop_connection(int listener)
{
    struct pollfd wait;

    wait.fd = listener;
    wait.events = POLLIN;
    if (poll(&wait, 1, 0) == 1) {
        close(accept(listener, NULL, NULL));
    }
}

/* Connects until the system drops the request, because the listener's queue is full. */
static void fill_queue(int port)
{
    struct sockaddr_in address = loopback(port);
    struct pollfd wait;

    wait.events = POLLOUT;
    do {
        wait.fd = socket(AF_INET, SOCK_STREAM, 0);
        need(wait.fd >= 0, "socket");
        need(fcntl(wait.fd, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
        /* The descriptors stay open to the end of the program. */
        connect(wait.fd, (struct sockaddr *)&address, sizeof address);
    } while (poll(&wait, 1, 200) == 1);
}

/* Answers each request on one connection after another: the person has not answered yet. */
static void *serve_pending(void *argument)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                 "Content-Length: 35\r\n\r\n"
                                 "{\"result\":0,\"transaction_status\":0}";
    int listener = *(int *)argument;
    char request[4096];

    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd < 0) {
            return NULL;
        }
        /* A request of this size comes in one piece. */
        while (recv(fd, request, sizeof request, 0) > 0) {
            send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
        }
        close(fd);
    }
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

static mfa_hyperid *client_at(const char *scheme, int port)
{
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;
    mfa_error err = MFA_ERROR_INIT;
    mfa_hyperid *client = NULL;
    char url[64];

    snprintf(url, sizeof url, "%s://127.0.0.1:%d", scheme, port);
    options.base_url = url;
    options.flags = MFA_CLIENT_ALLOW_LOOPBACK_HTTP;
    if (mfa_hyperid_new(&options, &client, &err) != MFA_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(2);
    }
    return client;
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
    poll(NULL, 0, SETTLE_MS);
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

static void measure_cancel(const char *what, const char *scheme, int listener, int port,
                           int is_wait)
{
    mfa_hyperid *client = client_at(scheme, port);
    int i;

    for (i = 0; i < rounds; i++) {
        measured[i] = delay_of_cancel(client, is_wait);
        if (listener >= 0) {
            drop_connection(listener);
        }
    }
    mfa_hyperid_free(client);
    print_row(what);
}

static void measure_lateness(int listener, int port, int deadline_ms, int at_once)
{
    mfa_hyperid *client = client_at("http", port);
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
    int silent_port;
    int full_port;
    int server_port;
    int silent = listen_on_loopback(64, &silent_port);
    int full = listen_on_loopback(0, &full_port);
    int server = listen_on_loopback(64, &server_port);
    pthread_t thread;

    if (argc > 1) {
        rounds = atoi(argv[1]);
    }
    if (rounds < 1 || rounds > MOST_ROUNDS) {
        fprintf(stderr, "usage: cancel_delay [ROUNDS], 1-%d\n", MOST_ROUNDS);
        return 2;
    }
    fill_queue(full_port);
    need(pthread_create(&thread, NULL, serve_pending, &server) == 0, "pthread_create");
    printf("| trigger to return, %d rounds each | p50 us | p99 us | max us |\n", rounds);
    printf("|---|---|---|---|\n");
    measure_cancel("waiting for an answer", "http", silent, silent_port, 0);
    measure_cancel("between polls", "http", -1, server_port, 1);
    measure_cancel("connecting to a silent address", "http", -1, full_port, 0);
    measure_cancel("in the TLS handshake", "https", silent, silent_port, 0);
    measure_lateness(silent, silent_port, SHORT_DEADLINE_MS, 1);
    measure_lateness(silent, silent_port, LONG_DEADLINE_MS, AT_ONCE);
    /* Wakes the server's accept. */
    shutdown(server, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(server);
    close(full);
    close(silent);
    return 0;
}
