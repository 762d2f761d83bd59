/*
 * What the C tests and benchmarks share: checks that are counted, a listener that proves that nothing was sent,
 * an address that never completes a connection, and a scripted peer in a thread.
 *
 * Include it first: it asks for POSIX. Everything is `static inline`, so that a program may leave
 * out what it does not need and still compile without a warning.
 */
#ifndef MFA_TESTS_CHECK_H
#define MFA_TESTS_CHECK_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#ifdef _WIN32
#include "posix_on_windows.h"
#else
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#endif

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mfa.h"

/* Checks -------------------------------------------------------------------------------------- */

static int checks_passed;
static int checks_failed;

/* Prints `ok NAME` or `not ok NAME: WHY`; the reason is a format with its values. */
static inline int check(int ok, const char *name, const char *why, ...)
{
    va_list values;

    if (ok) {
        checks_passed++;
        printf("ok %s\n", name);
        return 1;
    }
    checks_failed++;
    printf("not ok %s: ", name);
    va_start(values, why);
    vprintf(why, values);
    va_end(values);
    printf("\n");
    fflush(stdout);
    return 0;
}

static inline int check_int(const char *name, long long got, long long wanted)
{
    return check(got == wanted, name, "%lld in place of %lld", got, wanted);
}

/* A call's code, and that `err` tells the same. */
static inline int check_code(const char *name, mfa_code got, mfa_code wanted, const mfa_error *err)
{
    int same = got == wanted && err->code == wanted && (err->message[0] != 0) == (wanted != MFA_OK);
    return check(same, name, "%s in place of %s (err: %s, \"%s\")", mfa_code_name(got),
                 mfa_code_name(wanted), mfa_code_name(err->code), err->message);
}

/* The last line, and what main returns. */
static inline int check_finish(void)
{
    printf("%d passed, %d failed\n", checks_passed, checks_failed);
    fflush(stdout);
    return checks_failed == 0 ? 0 : 1;
}

/* What no test can go on without. */
static inline void need(int ok, const char *what)
{
    if (!ok) {
        printf("not ok setup: %s: %s\n", what, strerror(errno));
        exit(2);
    }
}

/* The address of the sandbox, from the environment. */
static inline const char *sandbox_url(const char *variable)
{
    const char *url = getenv(variable);

    if (url == NULL || url[0] == 0) {
        printf("not ok setup: %s is not set\n", variable);
        exit(2);
    }
    return url;
}

/* The sizes at the first release: the least that any later library accepts, so they are written
 * out and not taken from sizeof, which grows. A struct with pointers has two. */
#define POINTERS(count) ((count) * sizeof(void *))
#define FIRST_SIZE_ERROR 296
#define FIRST_SIZE_CLIENT_OPTIONS (24 + POINTERS(9))
#define FIRST_SIZE_CALL_OPTIONS (8 + POINTERS(1))
#define FIRST_SIZE_AVAILABILITY 8
#define FIRST_SIZE_TWO_FACTOR_TYPES 76
#define FIRST_SIZE_TRANSACTION 32
#define FIRST_SIZE_REGISTRATION 16
#define FIRST_SIZE_REQUEST (16 + POINTERS(6))
#define FIRST_SIZE_WAIT_OPTIONS (24 + POINTERS(4))
#define FIRST_SIZE_WAITER_OPTIONS 16
#define FIRST_SIZE_EVENT (24 + POINTERS(1))

/* Blocks -------------------------------------------------------------------------------------- */

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A struct in a block of its own: `block` bytes long, whose struct_size says `told`. */
static inline void *block_of(const void *init, size_t size, size_t block, uint32_t told)
{
    char *bytes = (char *)calloc(1, block);

    need(bytes != NULL, "calloc");
    memcpy(bytes, init, size < block ? size : block);
    memcpy(bytes, &told, sizeof told);
    return bytes;
}

static inline int all_bytes_are(const char *bytes, size_t size, char wanted)
{
    size_t i;

    for (i = 0; i < size; i++) {
        if (bytes[i] != wanted) {
            return 0;
        }
    }
    return 1;
}

/* A text of `size - 1` letters. */
static inline void fill_text(char *text, size_t size)
{
    memset(text, 'a', size - 1);
    text[size - 1] = 0;
}

/* Time ---------------------------------------------------------------------------------------- */

/* What the rules promise in tens of milliseconds is tested with this slack, for busy machines. */
#define GENEROUS_MS 2000

static inline int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int64_t now_us(void)
{
    return now_ns() / 1000;
}

static inline int64_t now_ms(void)
{
    return now_us() / 1000;
}

static inline void pause_ms(int ms)
{
    poll(NULL, 0, ms);
}

/* Clients ------------------------------------------------------------------------------------- */

static inline mfa_client_options loopback_options(const char *url)
{
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;

    options.flags = MFA_CLIENT_ALLOW_LOOPBACK_HTTP;
    options.base_url = url;
    return options;
}

static inline mfa_hyperid *hyperid_with(const mfa_client_options *options)
{
    mfa_error err = MFA_ERROR_INIT;
    mfa_hyperid *client = NULL;

    if (mfa_hyperid_new(options, &client, &err) != MFA_OK) {
        printf("not ok setup: mfa_hyperid_new: %s\n", err.message);
        exit(2);
    }
    return client;
}

static inline mfa_hyperid *hyperid_at(const char *url)
{
    mfa_client_options options = loopback_options(url);
    return hyperid_with(&options);
}

static inline mfa_capillary *capillary_at(const char *url)
{
    mfa_client_options options = loopback_options(url);
    mfa_error err = MFA_ERROR_INIT;
    mfa_capillary *client = NULL;

    if (mfa_capillary_new(&options, &client, &err) != MFA_OK) {
        printf("not ok setup: mfa_capillary_new: %s\n", err.message);
        exit(2);
    }
    return client;
}

static inline mfa_call_options within(uint32_t timeout_ms, mfa_cancel *cancel)
{
    mfa_call_options options = MFA_CALL_OPTIONS_INIT;

    options.timeout_ms = timeout_ms;
    options.cancel = cancel;
    return options;
}

/* A listener that nobody serves --------------------------------------------------------------- */

/* The system completes connections for it, so one that was made waits to be accepted. */
struct listener {
    int fd;
    int port;
    char url[64];
    char tls_url[64];
};

static inline int make_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    need(fd >= 0, "socket");
    need(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0, "FD_CLOEXEC");
    need(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
    return fd;
}

static inline struct sockaddr_in loopback_address(int port)
{
    struct sockaddr_in address;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    return address;
}

static inline void listener_open(struct listener *listener, int backlog)
{
    struct sockaddr_in address = loopback_address(0);
    socklen_t size = sizeof address;

    listener->fd = make_socket();
    need(bind(listener->fd, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    need(listen(listener->fd, backlog) == 0, "listen");
    need(getsockname(listener->fd, (struct sockaddr *)&address, &size) == 0, "getsockname");
    listener->port = ntohs(address.sin_port);
    snprintf(listener->url, sizeof listener->url, "http://127.0.0.1:%d", listener->port);
    snprintf(listener->tls_url, sizeof listener->tls_url, "https://127.0.0.1:%d", listener->port);
}

/* Whether nobody has connected since the last question. */
static inline int listener_saw_nothing(struct listener *listener)
{
    int fd = accept(listener->fd, NULL, NULL);

    if (fd >= 0) {
        close(fd);
        return 0;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

/* Waits for a connection and takes it; -1: none came in time. */
static inline int listener_accept(struct listener *listener, int timeout_ms)
{
    struct pollfd wait;

    wait.fd = listener->fd;
    wait.events = POLLIN;
    if (poll(&wait, 1, timeout_ms) != 1) {
        return -1;
    }
    return accept(listener->fd, NULL, NULL);
}

static inline void listener_close(struct listener *listener)
{
    close(listener->fd);
}

/* A port where nobody listens: it was free a moment ago. */
static inline void closed_port(struct listener *listener)
{
    listener_open(listener, 1);
    listener_close(listener);
}

/* An address that does not answer ------------------------------------------------------------- */

#define SILENT_FILL 16

/* A listener whose queue is full: the system drops further requests to connect. */
struct silent {
    struct listener listener;
    int fill[SILENT_FILL];
    int filled;
};

static inline int connects_at_once(int fd)
{
    struct pollfd wait;

    wait.fd = fd;
    wait.events = POLLOUT;
    return poll(&wait, 1, 200) == 1;
}

/* Returns 0 where this system completes connections however full the queue is. */
static inline int silent_open(struct silent *silent)
{
    struct sockaddr_in address;
    int connected = 1;

    listener_open(&silent->listener, 0);
    address = loopback_address(silent->listener.port);
    silent->filled = 0;
    while (connected && silent->filled < SILENT_FILL) {
        int fd = make_socket();

        connected = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
        connected = connected || connects_at_once(fd);
        silent->fill[silent->filled++] = fd;
    }
    return !connected;
}

static inline void silent_close(struct silent *silent)
{
    int i;

    for (i = 0; i < silent->filled; i++) {
        close(silent->fill[i]);
    }
    listener_close(&silent->listener);
}

/* A scripted peer ----------------------------------------------------------------------------- */

enum peer_does {
    PEER_ANSWERS,         /* each whole request gets the body, under HTTP 200 */
    PEER_IS_SILENT,       /* reads and never answers */
    PEER_CLOSES_AT_ONCE,  /* closes as soon as it has accepted */
    PEER_CLOSES_ON_BYTES, /* closes after the first read */
    PEER_RESETS_AT_ONCE,  /* RST as soon as it has accepted */
    PEER_RESETS_ON_BYTES  /* RST after the first read */
};

#define PEER_CONNECTIONS 64
#define PEER_BUFFER 70000

struct peer {
    struct listener listener;
    pthread_t thread;
    pthread_mutex_t lock;
    int stop[2];
    /* Under the lock. */
    enum peer_does does;
    const char *body;
    int connections;
    int bytes_seen;
    int requests;
    int requests_on[PEER_CONNECTIONS];
    /* The thread's own. */
    int fd[PEER_CONNECTIONS];
    size_t used[PEER_CONNECTIONS];
    char *buffer[PEER_CONNECTIONS];
};

static inline void peer_drop(struct peer *peer, int i, int reset)
{
    struct linger linger;

    linger.l_onoff = 1;
    linger.l_linger = 0;
    if (reset) {
        setsockopt(peer->fd[i], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    close(peer->fd[i]);
    peer->fd[i] = -1;
    free(peer->buffer[i]);
    peer->buffer[i] = NULL;
}

static inline void peer_accept(struct peer *peer)
{
    int fd = accept(peer->listener.fd, NULL, NULL);
    int i = peer->connections;

    if (fd < 0) {
        return;
    }
    if (i >= PEER_CONNECTIONS) {
        close(fd);
        return;
    }
    peer->connections++;
    peer->fd[i] = fd;
    peer->used[i] = 0;
    peer->buffer[i] = (char *)calloc(1, PEER_BUFFER);
    need(peer->buffer[i] != NULL, "calloc");
    if (peer->does == PEER_CLOSES_AT_ONCE || peer->does == PEER_RESETS_AT_ONCE) {
        peer_drop(peer, i, peer->does == PEER_RESETS_AT_ONCE);
    }
}

/* The length of the whole request at the beginning of `text`; 0: it is not all there yet. */
static inline size_t request_length(const char *text, size_t used)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strstr(text, "ontent-length:");
    size_t whole;

    if (length == NULL) {
        length = strstr(text, "ontent-Length:");
    }
    if (end == NULL || length == NULL) {
        return 0;
    }
    whole = (size_t)(end + 4 - text) + (size_t)strtoul(length + 14, NULL, 10);
    return whole <= used ? whole : 0;
}

static inline void peer_answer(struct peer *peer, int i)
{
    char answer[1000];
    size_t whole = request_length(peer->buffer[i], peer->used[i]);

    if (whole == 0) {
        return;
    }
    peer->used[i] -= whole;
    memmove(peer->buffer[i], peer->buffer[i] + whole, peer->used[i] + 1);
    peer->requests++;
    peer->requests_on[i]++;
    if (peer->does != PEER_ANSWERS) {
        return;
    }
    /* In one piece: a second small one would wait for the first to be acknowledged. */
    snprintf(answer, sizeof answer,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %u\r\n\r\n%s",
             (unsigned)strlen(peer->body), peer->body);
    /* MSG_NOSIGNAL, because one of the tests keeps SIGPIPE deadly to see whether libmfa raises it. */
    send(peer->fd[i], answer, strlen(answer), MSG_NOSIGNAL);
}

static inline void peer_read(struct peer *peer, int i)
{
    size_t room = PEER_BUFFER - 1 - peer->used[i];
    ssize_t n = recv(peer->fd[i], peer->buffer[i] + peer->used[i], room, 0);

    if (n <= 0) {
        peer_drop(peer, i, 0);
        return;
    }
    peer->bytes_seen += (int)n;
    peer->used[i] += (size_t)n;
    peer->buffer[i][peer->used[i]] = 0;
    if (peer->does == PEER_CLOSES_ON_BYTES || peer->does == PEER_RESETS_ON_BYTES) {
        peer_drop(peer, i, peer->does == PEER_RESETS_ON_BYTES);
        return;
    }
    peer_answer(peer, i);
}

static inline void *peer_main(void *argument)
{
    struct peer *peer = (struct peer *)argument;
    struct pollfd wait[PEER_CONNECTIONS + 2];
    int i;

    for (;;) {
        wait[0].fd = peer->stop[0];
        wait[1].fd = peer->listener.fd;
        for (i = 0; i < PEER_CONNECTIONS; i++) {
            wait[i + 2].fd = peer->fd[i];
        }
        for (i = 0; i < PEER_CONNECTIONS + 2; i++) {
            wait[i].events = POLLIN;
            wait[i].revents = 0;
        }
        poll(wait, PEER_CONNECTIONS + 2, -1);
        if (wait[0].revents != 0) {
            return NULL;
        }
        pthread_mutex_lock(&peer->lock);
        for (i = 0; i < PEER_CONNECTIONS; i++) {
            if (wait[i + 2].revents != 0 && peer->fd[i] >= 0) {
                peer_read(peer, i);
            }
        }
        if (wait[1].revents != 0) {
            peer_accept(peer);
        }
        pthread_mutex_unlock(&peer->lock);
    }
}

static inline void peer_start(struct peer *peer, enum peer_does does, const char *body)
{
    int i;

    memset(peer, 0, sizeof *peer);
    listener_open(&peer->listener, 64);
    need(pipe(peer->stop) == 0, "pipe");
    peer->does = does;
    peer->body = body;
    for (i = 0; i < PEER_CONNECTIONS; i++) {
        peer->fd[i] = -1;
    }
    need(pthread_mutex_init(&peer->lock, NULL) == 0, "pthread_mutex_init");
    need(pthread_create(&peer->thread, NULL, peer_main, peer) == 0, "pthread_create");
}

static inline void peer_set(struct peer *peer, enum peer_does does, const char *body)
{
    pthread_mutex_lock(&peer->lock);
    peer->does = does;
    peer->body = body;
    pthread_mutex_unlock(&peer->lock);
}

/* One of the peer's counters, as it is now. */
static inline int peer_count(struct peer *peer, const int *counter)
{
    int value;

    pthread_mutex_lock(&peer->lock);
    value = *counter;
    pthread_mutex_unlock(&peer->lock);
    return value;
}

/* Waits until the counter has reached `wanted`; 0: it has not, in good time. */
static inline int peer_wait_for(struct peer *peer, const int *counter, int wanted)
{
    int64_t until = now_ms() + 20000;

    while (peer_count(peer, counter) < wanted) {
        if (now_ms() >= until) {
            return 0;
        }
        pause_ms(1);
    }
    return 1;
}

static inline void peer_stop(struct peer *peer)
{
    int i;

    need(write(peer->stop[1], "", 1) == 1, "write to the pipe");
    pthread_join(peer->thread, NULL);
    for (i = 0; i < PEER_CONNECTIONS; i++) {
        if (peer->fd[i] >= 0) {
            peer_drop(peer, i, 0);
        }
    }
    close(peer->stop[0]);
    close(peer->stop[1]);
    listener_close(&peer->listener);
    pthread_mutex_destroy(&peer->lock);
}

#endif
