/*
 * What is compared. Each subject is a shared library with one export, so that loading it is loading
 * all that it needs, and so that one program (throughput.c) drives them all alike.
 *
 * Every subject does the same work on each call: it asks for a transaction's state with the same
 * headers and body, and reads `result`, `transaction_id`, `transaction_status` and
 * `transaction_complete_result` from the answer.
 */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H

#define BENCH_HOST "127.0.0.1"
#define BENCH_PATH "/mfa-client/transaction/status-get"
#define BENCH_ID 4242
#define BENCH_BODY "{\"transaction_id\":4242}"
/* What each call may take, and what connecting may. */
#define BENCH_TIMEOUT_MS 30000
#define BENCH_CONNECT_TIMEOUT_MS 10000

struct bench_target {
    int is_tls;
    int port;
    /* The CA in PEM. */
    const char *ca_file;
    const char *token;
};

struct bench_subject {
    const char *name;
    /* With the versions of what it is made of. */
    const char *(*version)(void);
    int can_tls;
    /* What all threads share. NULL: it failed. */
    void *(*open)(const struct bench_target *target);
    /* What one thread uses; handed what all share. NULL: it failed. */
    void *(*attach)(void *shared);
    /* One call: 1 for the right answer, 0 for anything else. */
    int (*call)(void *mine);
    void (*detach)(void *mine);
    void (*close)(void *shared);
};

/* The one export. */
const struct bench_subject *bench_subject(void);

#endif
