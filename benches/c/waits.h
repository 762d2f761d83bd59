/*
 * What the programs of the part `waits` share: thousands of people who are asked and whose answers are
 * waited for. Each program carries the same waits in its own way, against benches/server's
 * waits_server, at the word of whoever holds its standard input:
 *
 *     PROGRAM PLAIN_PORT TLS_PORT CA_FILE [VARIANT]
 *
 *     waits TRANSPORT COUNT OVER_MS FILE   asks COUNT people, who come over OVER_MS (0: all at once),
 *                                          and waits for each; FILE: when each approval was there
 *     idle MS                              its loop with the ticker alone
 *     version                              what it is made of
 *
 * Each command is answered with one line, "ok name=value..." or "failed" and why; `errors` counts what
 * went wrong, apart from approvals that did not come. It ends with its standard input.
 */
#ifndef BENCH_WAITS_H
#define BENCH_WAITS_H

#define _GNU_SOURCE
#include "check.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>

#define NS_PER_MS 1000000LL
#define NS_PER_S 1000000000LL

#define WAITS_PATH_AVAILABILITY "/mfa-client/availability-check"
#define WAITS_PATH_START "/mfa-client/transaction/start/v2"
#define WAITS_PATH_STATUS "/mfa-client/transaction/status-get"
#define WAITS_QUESTION "Sign in?"
/* As libmfa sends it. */
#define WAITS_START_BODY                                                                           \
    "{\"template_id\":4,\"values\":\"{\\\"version\\\":1,\\\"action\\\":{\\\"type\\\":\\\"question\\\"," \
    "\\\"action_info\\\":\\\"Sign in?\\\"}}\"}"

/* Of one wait. An approval that is later does not count. */
#define WAITS_TIMEOUT_MS 60000
#define WAITS_REQUEST_TIMEOUT_MS 30000
#define WAITS_CONNECT_TIMEOUT_MS 10000
#define WAITS_MOST_CONNECTIONS 256

static int waits_ports[2];
static const char *waits_ca_file;
static const char *waits_variant = "";

/* Tokens ---------------------------------------------------------------------------------------- */

/* Of the length of a signed token with some claims; each person has one of their own. */
#define WAITS_TOKEN_LENGTH 1100

static inline void waits_token(char token[WAITS_TOKEN_LENGTH + 1], long person)
{
    int head = snprintf(token, WAITS_TOKEN_LENGTH, "token-of-person-%08ld.", person);

    memset(token + head, 'x', (size_t)(WAITS_TOKEN_LENGTH - head));
    token[WAITS_TOKEN_LENGTH] = 0;
}

/* Approvals ------------------------------------------------------------------------------------- */

struct waits_approval {
    int64_t id;
    int64_t at;
};

static struct waits_approval *waits_approvals;
static long waits_approved;
static long waits_room;

static inline void waits_expect(long count)
{
    waits_approvals = calloc((size_t)count, sizeof *waits_approvals);
    need(waits_approvals != NULL, "calloc");
    waits_approved = 0;
    waits_room = count;
}

/* As soon as the program knows of it. */
static inline void waits_note_approval(int64_t id)
{
    need(waits_approved < waits_room, "more approvals than waits");
    waits_approvals[waits_approved].id = id;
    waits_approvals[waits_approved].at = now_ns();
    waits_approved++;
}

static inline void waits_write_approvals(const char *file)
{
    FILE *out = fopen(file, "w");
    long i;

    need(out != NULL, file);
    for (i = 0; i < waits_approved; i++) {
        fprintf(out, "%lld %lld\n", (long long)waits_approvals[i].id,
                (long long)waits_approvals[i].at);
    }
    need(fclose(out) == 0, file);
}

/* The policy, as libmfa's defaults have it ------------------------------------------------------ */

static inline double waits_random(void)
{
    static uint64_t state = 88172645463325252ULL;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / 9007199254740992.0;
}

/* When to ask again, for a wait whose id was known at `known`. */
static inline int64_t waits_next_poll(int64_t now, int64_t known)
{
    double interval = (double)(now - known) / 10;

    if (interval < (double)NS_PER_S) {
        interval = (double)NS_PER_S;
    }
    interval *= 1 + waits_random() / 4;
    if (interval > 10.0 * (double)NS_PER_S) {
        interval = 10.0 * (double)NS_PER_S;
    }
    return now + (int64_t)interval;
}

/* Timers: the numbers of waits, the earliest first ---------------------------------------------- */

struct waits_timer {
    int64_t at;
    long wait;
};

static struct waits_timer *waits_heap;
static long waits_heap_size;

static inline void waits_timers_for(long count)
{
    waits_heap = calloc((size_t)count + 1, sizeof *waits_heap);
    need(waits_heap != NULL, "calloc");
    waits_heap_size = 0;
}

static inline void waits_set_timer(long wait, int64_t at)
{
    long place = waits_heap_size++;

    while (place > 0 && waits_heap[(place - 1) / 2].at > at) {
        waits_heap[place] = waits_heap[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    waits_heap[place].at = at;
    waits_heap[place].wait = wait;
}

/* The next wait whose time has come; -1: none. */
static inline long waits_take_timer(int64_t now)
{
    struct waits_timer last;
    long first, place = 0;

    if (waits_heap_size == 0 || waits_heap[0].at > now) {
        return -1;
    }
    first = waits_heap[0].wait;
    last = waits_heap[--waits_heap_size];
    for (;;) {
        long child = 2 * place + 1;

        if (child >= waits_heap_size) {
            break;
        }
        if (child + 1 < waits_heap_size && waits_heap[child + 1].at < waits_heap[child].at) {
            child++;
        }
        if (waits_heap[child].at >= last.at) {
            break;
        }
        waits_heap[place] = waits_heap[child];
        place = child;
    }
    waits_heap[place] = last;
    return first;
}

static inline int64_t waits_first_timer(void)
{
    return waits_heap_size == 0 ? INT64_MAX : waits_heap[0].at;
}

/* The ticker: how long the loop lets others wait ------------------------------------------------ */

/* A millisecond each; it pauses while processor time is measured, of which it needs some itself. */
#define WAITS_MOST_TICKS 200000
#define WAITS_PAUSE_FROM_MS 3000
#define WAITS_PAUSE_UNTIL_MS 7000

static int waits_ticker = -1;
static int64_t waits_ticker_began;
static int64_t waits_next_tick;
static uint32_t *waits_late_us;
static long waits_ticks;

static inline void waits_arm_ticker(int64_t at)
{
    struct itimerspec when;

    memset(&when, 0, sizeof when);
    when.it_value.tv_sec = at / NS_PER_S;
    when.it_value.tv_nsec = at % NS_PER_S;
    when.it_interval.tv_nsec = NS_PER_MS;
    need(timerfd_settime(waits_ticker, TFD_TIMER_ABSTIME, &when, NULL) == 0, "timerfd_settime");
    waits_next_tick = at;
}

/* Joins the loop; its events have `data.fd` the ticker's. */
static inline void waits_start_ticker(int loop)
{
    struct epoll_event event;

    waits_late_us = calloc(WAITS_MOST_TICKS, sizeof *waits_late_us);
    waits_ticker = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    need(waits_ticker >= 0 && waits_late_us != NULL, "timerfd_create");
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.fd = waits_ticker;
    need(epoll_ctl(loop, EPOLL_CTL_ADD, waits_ticker, &event) == 0, "epoll_ctl");
    waits_ticker_began = now_ns();
    waits_ticks = 0;
    waits_arm_ticker(waits_ticker_began + NS_PER_MS);
}

/* The loop comes round: each tick since the last time was so late. */
static inline void waits_tick(int may_pause)
{
    int64_t now = now_ns();
    int64_t pause_from = waits_ticker_began + WAITS_PAUSE_FROM_MS * NS_PER_MS;
    int64_t pause_until = waits_ticker_began + WAITS_PAUSE_UNTIL_MS * NS_PER_MS;
    uint64_t count;

    if (read(waits_ticker, &count, sizeof count) < 0) {
        return;
    }
    for (; waits_next_tick <= now; waits_next_tick += NS_PER_MS) {
        if (waits_ticks < WAITS_MOST_TICKS) {
            waits_late_us[waits_ticks++] = (uint32_t)((now - waits_next_tick) / 1000);
        }
    }
    if (may_pause && now >= pause_from && now < pause_until) {
        waits_arm_ticker(pause_until);
    }
}

static inline int waits_ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Of numbers, the one below which so many of a thousand are. Sorts them. */
static inline uint32_t waits_quantile(uint32_t *numbers, long count, long per_mille)
{
    if (count == 0) {
        return 0;
    }
    qsort(numbers, (size_t)count, sizeof *numbers, waits_ascending);
    return numbers[(count - 1) * per_mille / 1000];
}

/* What the ticker says, at the end of a line. */
static inline void waits_print_stalls(void)
{
    uint32_t p999 = waits_quantile(waits_late_us, waits_ticks, 999);
    uint32_t worst = waits_quantile(waits_late_us, waits_ticks, 1000);

    printf(" late_p999_ns=%lld late_worst_ns=%lld\n", 1000LL * p999, 1000LL * worst);
}

static inline void waits_idle(int ms)
{
    int loop = epoll_create1(EPOLL_CLOEXEC);
    int64_t until = now_ns() + ms * NS_PER_MS;

    need(loop >= 0, "epoll_create1");
    waits_start_ticker(loop);
    while (now_ns() < until) {
        struct epoll_event event;

        if (epoll_wait(loop, &event, 1, 100) == 1) {
            waits_tick(0);
        }
    }
    printf("ok errors=0");
    waits_print_stalls();
    close(waits_ticker);
    close(loop);
}

/* How many of `count` people who come over `over_ms` are there. */
static inline long waits_come(int64_t began, long count, long over_ms)
{
    int64_t gone_ms = (now_ns() - began) / NS_PER_MS;

    return over_ms == 0 || gone_ms >= over_ms ? count : count * gone_ms / over_ms;
}

/* Commands -------------------------------------------------------------------------------------- */

/* What a program does with a line that is not `idle`; 0: it does not know it. */
typedef int (*waits_obey)(const char *command, int is_tls, const char *rest);

static inline int waits_main(int argc, char **argv, waits_obey obey)
{
    struct rlimit most;
    char line[512];

    if (argc < 4) {
        fprintf(stderr, "usage: %s PLAIN_PORT TLS_PORT CA_FILE [VARIANT]\n", argv[0]);
        return 2;
    }
    waits_ports[0] = atoi(argv[1]);
    waits_ports[1] = atoi(argv[2]);
    waits_ca_file = argv[3];
    waits_variant = argc > 4 ? argv[4] : "";
    need(getrlimit(RLIMIT_NOFILE, &most) == 0, "getrlimit");
    most.rlim_cur = most.rlim_max;
    need(setrlimit(RLIMIT_NOFILE, &most) == 0, "setrlimit");
    while (fgets(line, sizeof line, stdin) != NULL) {
        char command[16] = "";
        char first[16] = "";
        int rest = 0;

        sscanf(line, "%15s %15s%n", command, first, &rest);
        if (strcmp(command, "idle") == 0) {
            waits_idle(atoi(first));
        } else if (!obey(command, strcmp(first, "tls") == 0, line + rest)) {
            printf("failed: it does not know '%s'\n", command);
        }
        fflush(stdout);
    }
    return 0;
}

#endif
