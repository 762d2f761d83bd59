/*
 * A calling thread needs 64 KiB of stack at the most, whatever the caller asks and the server answers.
 *
 * Each piece of work runs on a painted stack of that size with nothing readable below it, so that more
 * is a crash; how much was used is printed. That includes what the C library keeps on a thread's stack
 * (a few kB), and this program's own frames. Room must be left for a signal handler.
 *
 * Optional, from the environment: MFA_TEST_TLS_URL, the https address of a sandbox, and
 * MFA_TEST_TLS_CA, the file of its authority.
 */
/* MAP_ANONYMOUS is not in POSIX. */
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "check.h"

#include <netdb.h>
#include <sys/mman.h>

#define PROMISED ((size_t)64 * 1024)
#define FOR_A_SIGNAL ((size_t)16 * 1024)
#define PAINT 0xa5

/* The sanitizers put their own things on every stack. */
#if defined(__SANITIZE_ADDRESS__)
#define STACK (8 * PROMISED)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STACK (8 * PROMISED)
#endif
#endif
/* glibc has no thread with less there; what is used is measured all the same. */
#if !defined(STACK) && defined(__aarch64__) && defined(__GLIBC__)
#define STACK (2 * PROMISED)
#define MOST (PROMISED - FOR_A_SIGNAL)
#endif
#ifndef STACK
#define STACK PROMISED
#endif
#ifndef MOST
#define MOST (STACK - FOR_A_SIGNAL)
#endif

/* What the work is done with, and what came of it; a thread with so little stack prints nothing. */
static struct {
    mfa_client_options options;
    mfa_hyperid *client;
    mfa_capillary *capillary;
    mfa_cancel *cancel;
    const char *token;
    const char *values;
    mfa_code code;
    mfa_error err;
    mfa_transaction transaction;
    int64_t id;
} now;

static size_t worst;

static void *run_work(void *argument)
{
    void (*const *work)(void) = (void (*const *)(void))argument;

    (*work)();
    return NULL;
}

/* A stack is this file's memory: read as a file, it is no stack, where valgrind lets nobody look. */
static int file;
static unsigned char image[STACK];

static void open_file(void)
{
    FILE *temporary = tmpfile();

    need(temporary != NULL, "tmpfile");
    file = dup(fileno(temporary));
    fclose(temporary);
    need(file >= 0, "dup");
}

static void paint(void)
{
    memset(image, PAINT, STACK);
    need(pwrite(file, image, STACK, 0) == (ssize_t)STACK, "write to a file");
}

static size_t used_of_stack(void)
{
    size_t unused = 0;

    need(pread(file, image, STACK, 0) == (ssize_t)STACK, "read from a file");
    while (unused < STACK && image[unused] == PAINT) {
        unused++;
    }
    return STACK - unused;
}

/* Runs `work` and checks its code. */
static void on_a_small_stack(const char *name, void (*work)(void), mfa_code wanted)
{
    const size_t guard = 64 * 1024;
    static const mfa_error empty = MFA_ERROR_INIT;
    static const mfa_transaction none = MFA_TRANSACTION_INIT;
    unsigned char *memory =
        (unsigned char *)mmap(NULL, guard + STACK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *stack = memory + guard;
    pthread_attr_t attributes;
    pthread_t thread;
    size_t used;

    need(memory != MAP_FAILED, "mmap");
    paint();
    need(mmap(stack, STACK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == stack, "mmap");
    need(pthread_attr_init(&attributes) == 0, "pthread_attr_init");
    need(pthread_attr_setstack(&attributes, stack, STACK) == 0, "pthread_attr_setstack");
    now.err = empty;
    now.transaction = none;
    /* A crash would take the name with it. */
    printf("   %s\n", name);
    fflush(stdout);
    need(pthread_create(&thread, &attributes, run_work, (void *)&work) == 0, "pthread_create");
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    used = used_of_stack();
    worst = used > worst ? used : worst;
    munmap(memory, guard + STACK);
    check(now.code == wanted && used <= MOST, name, "%s (\"%s\"), %lu bytes", mfa_code_name(now.code),
          now.err.message, (unsigned long)used);
    printf("   %lu bytes\n", (unsigned long)used);
}

/* The calls ------------------------------------------------------------------------------------- */

static mfa_call_options in_time(void)
{
    return within(20000, now.cancel);
}

static void nothing(void)
{
    now.code = MFA_OK;
}

static void make_client(void)
{
    now.code = mfa_hyperid_new(&now.options, &now.client, &now.err);
}

static void make_capillary(void)
{
    now.code = mfa_capillary_new(&now.options, &now.capillary, &now.err);
}

static void availability(void)
{
    mfa_call_options options = in_time();
    mfa_availability a = MFA_AVAILABILITY_INIT;

    now.code = mfa_hyperid_availability(now.client, now.token, &options, &a, &now.err);
}

static void two_factor_types(void)
{
    mfa_call_options options = in_time();
    mfa_two_factor_types types = MFA_TWO_FACTOR_TYPES_INIT;

    now.code = mfa_hyperid_two_factor_types(now.client, now.token, &options, &types, &now.err);
}

static void start(void)
{
    mfa_call_options options = in_time();
    mfa_request request = MFA_REQUEST_INIT;

    request.template_id = 2;
    request.values_json = now.values;
    now.code = mfa_hyperid_start(now.client, now.token, &request, &options,
                                 &now.transaction.transaction_id, &now.err);
}

static void status(void)
{
    mfa_call_options options = in_time();
    mfa_transaction t = MFA_TRANSACTION_INIT;

    now.code = mfa_hyperid_status(now.client, now.token, now.id, &options, &t, &now.err);
}

static void cancel_transaction(void)
{
    mfa_call_options options = in_time();

    now.code = mfa_hyperid_cancel(now.client, now.token, now.id, &options, &now.err);
}

static void wait_for_answer(void)
{
    mfa_call_options options = in_time();
    mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;

    wait.min_interval_ms = 20;
    now.code = mfa_hyperid_wait(now.client, now.token, now.id, &wait, &options, &now.transaction,
                                &now.err);
}

static void confirm(void)
{
    mfa_call_options options = in_time();
    mfa_request request = MFA_REQUEST_INIT;
    mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;

    request.question = "Sign in?";
    wait.min_interval_ms = 20;
    now.code = mfa_hyperid_confirm(now.client, now.token, &request, &wait, &options, &now.transaction,
                                   &now.err);
    now.id = now.transaction.transaction_id;
}

/* The same in a waiter, from its making to its end. */
static void confirm_in_a_waiter(void)
{
    mfa_call_options options = in_time();
    mfa_request request = MFA_REQUEST_INIT;
    mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;
    mfa_event event = MFA_EVENT_INIT;
    mfa_waiter *waiter = NULL;
    uint64_t ticket = 0;

    request.question = "Sign in?";
    wait.min_interval_ms = 20;
    options.cancel = NULL;
    now.code = mfa_waiter_new(now.client, NULL, &waiter, &now.err);
    if (now.code == MFA_OK) {
        now.code = mfa_waiter_confirm(waiter, now.token, &request, &wait, &options, NULL, &ticket, &now.err);
    }
    while (now.code == MFA_OK && event.kind != MFA_EVENT_ENDED) {
        now.code = mfa_waiter_next(waiter, 1000, &event, &now.transaction, NULL, &now.err);
    }
    now.code = now.code == MFA_OK ? event.code : now.code;
    mfa_waiter_free(waiter);
}

static void is_mfa_registered(void)
{
    mfa_call_options options = in_time();
    mfa_registration r = MFA_REGISTRATION_INIT;

    now.code = mfa_capillary_is_mfa_registered(now.capillary, "demo-brand", "d", now.token, &options, &r,
                                               &now.err);
}

/* All that neither waits nor fails. */
static void the_small_ones(void)
{
    char code[3];
    mfa_cancel *cancel = mfa_cancel_new();

    mfa_cancel_trigger(cancel);
    mfa_cancel_free(cancel);
    mfa_code_name(mfa_abi_version() + (mfa_code)mfa_struct_size(mfa_version()));
    mfa_code_message(MFA_ERR_TLS);
    now.code = mfa_control_code(code, sizeof code, &now.err);
}

static void free_client(void)
{
    mfa_hyperid_free(now.client);
    mfa_capillary_free(now.capillary);
    now.client = NULL;
    now.capillary = NULL;
    now.code = MFA_OK;
}

/* Servers and answers --------------------------------------------------------------------------------------- */

static void log_line(void *user_data, int32_t level, const char *message)
{
    (void)user_data;
    (void)level;
    (void)message;
}

static char *nested(int depth, const char *opening, const char *innermost, const char *closing)
{
    size_t size = (size_t)depth * (strlen(opening) + strlen(closing)) + strlen(innermost) + 1;
    char *text = (char *)calloc(1, size);
    char *end = text;
    int i;

    need(text != NULL, "calloc");
    for (i = 0; i < depth; i++) {
        end += sprintf(end, "%s", opening);
    }
    end += sprintf(end, "%s", innermost);
    for (i = 0; i < depth; i++) {
        end += sprintf(end, "%s", closing);
    }
    return text;
}

/* Objects and arrays by turns; `depth` is even. */
static void start_with_values(const char *name, int depth, mfa_code wanted)
{
    char *values = nested(depth / 2, "{\"a\":[", "", "]}");

    now.values = values;
    on_a_small_stack(name, start, wanted);
    free(values);
}

static void every_call(const char *hyperid, const char *capillary)
{
    on_a_small_stack("a HyperID client", make_client, MFA_OK);
    on_a_small_stack("availability", availability, MFA_OK);
    on_a_small_stack("two_factor_types", two_factor_types, MFA_OK);
    now.id = 999;
    on_a_small_stack("a wait for what does not exist", wait_for_answer, MFA_ERR_TRANSACTION_NOT_FOUND);
    on_a_small_stack("confirm", confirm, MFA_OK);
    on_a_small_stack("confirm in a waiter", confirm_in_a_waiter, MFA_OK);
    on_a_small_stack("status", status, MFA_OK);
    on_a_small_stack("wait", wait_for_answer, MFA_OK);
    on_a_small_stack("cancel", cancel_transaction, MFA_ERR_ALREADY_COMPLETED);
    start_with_values("values_json as deep as is allowed", 32, MFA_OK);
    start_with_values("values_json that is too deep", 34, MFA_ERR_INVALID_ARGUMENT);
    start_with_values("values_json much too deep", 10000, MFA_ERR_INVALID_ARGUMENT);
    start_with_values("values_json as deep as a JSON reader goes", 126, MFA_ERR_INVALID_ARGUMENT);
    if (capillary != NULL) {
        now.options.base_url = capillary;
        on_a_small_stack("a Capillary client", make_capillary, MFA_OK);
        now.token = "sandbox-registered";
        on_a_small_stack("is_mfa_registered", is_mfa_registered, MFA_OK);
        now.token = "sandbox-approve";
        now.options.base_url = hyperid;
    }
    on_a_small_stack("the small ones", the_small_ones, MFA_OK);
    on_a_small_stack("frees", free_client, MFA_OK);
}

static void at_the_sandbox(void)
{
    now.options = loopback_options(sandbox_url("MFA_TEST_HYPERID_URL"));
    now.options.log_level = MFA_LOG_DEBUG;
    now.options.log = log_line;
    now.token = "sandbox-approve";
    every_call(now.options.base_url, sandbox_url("MFA_TEST_CAPILLARY_URL"));
}

static void over_tls(void)
{
    static char pem[65536];
    const char *url = getenv("MFA_TEST_TLS_URL");
    const char *ca = getenv("MFA_TEST_TLS_CA");
    FILE *file;

    if (url == NULL || ca == NULL) {
        printf("skipped TLS: MFA_TEST_TLS_URL and MFA_TEST_TLS_CA are not set\n");
        return;
    }
    file = fopen(ca, "r");
    need(file != NULL && fread(pem, 1, sizeof pem - 1, file) > 0, ca);
    fclose(file);
    now.options.base_url = url;
    now.options.ca_pem = pem;
    every_call(url, NULL);
    now.options.ca_pem = NULL;
    on_a_small_stack("a client with the built-in roots", make_client, MFA_OK);
    on_a_small_stack("a server that they do not trust", availability, MFA_ERR_TLS);
    on_a_small_stack("its free", free_client, MFA_OK);
    now.options.ca_pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    on_a_small_stack("a certificate that is none", make_client, MFA_ERR_INVALID_CA);
    now.options.ca_pem = NULL;
}

static struct peer peer;

static void answered(const char *name, const char *body, mfa_code wanted)
{
    peer_set(&peer, PEER_ANSWERS, body);
    on_a_small_stack(name, availability, wanted);
}

/* As deep as an answer may be, in each way that the reader goes down. */
static void deep_answers(void)
{
    static const char frame[] = "{\"result\":0,\"is_available\":true,\"more\":%s}";
    char body[900];
    char *inner;

    now.options.base_url = peer.listener.url;
    on_a_small_stack("a client for a strange server", make_client, MFA_OK);
    inner = nested(15, "{\"a\\u0062\":", "1", "}");
    snprintf(body, sizeof body, frame, inner);
    answered("a deep answer", body, MFA_OK);
    free(inner);
    inner = nested(15, "[", "", "]");
    snprintf(body, sizeof body, frame, inner);
    answered("a deep answer of arrays", body, MFA_OK);
    free(inner);
    inner = nested(16, "{\"is_available\":", "true", "}");
    answered("a deep answer of known fields", inner, MFA_ERR_MALFORMED_ANSWER);
    free(inner);
    inner = nested(400, "[", "", "]");
    snprintf(body, sizeof body, frame, inner);
    answered("an answer that is too deep", body, MFA_ERR_ANSWER_TOO_LARGE);
    free(inner);
    answered("no JSON", "<html>", MFA_ERR_MALFORMED_ANSWER);
    peer_set(&peer, PEER_CLOSES_ON_BYTES, "");
    on_a_small_stack("a lost connection", status, MFA_ERR_CONNECTION_LOST);
    on_a_small_stack("frees of that", free_client, MFA_OK);
}

static void without_a_server(void)
{
    struct listener closed;

    closed_port(&closed);
    now.options.base_url = closed.url;
    on_a_small_stack("a client for nobody", make_client, MFA_OK);
    on_a_small_stack("nobody listens", confirm, MFA_ERR_CONNECT);
    on_a_small_stack("nobody listens, in a waiter", confirm_in_a_waiter, MFA_ERR_CONNECT);
    on_a_small_stack("frees of that client", free_client, MFA_OK);
    now.options.base_url = "https://name.test";
    on_a_small_stack("a client for an unknown name", make_client, MFA_OK);
    on_a_small_stack("an unknown name", confirm, MFA_ERR_DNS);
    on_a_small_stack("frees of that other client", free_client, MFA_OK);
}

/* In place of the C library's, which would ask the network. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **result)
{
    (void)name;
    (void)service;
    (void)hints;
    (void)result;
    return EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *list)
{
    (void)list;
}

int main(void)
{
    open_file();
    now.cancel = mfa_cancel_new();
    on_a_small_stack("nothing at all", nothing, MFA_OK);
    at_the_sandbox();
    over_tls();
    peer_start(&peer, PEER_ANSWERS, "");
    deep_answers();
    peer_stop(&peer);
    without_a_server();
    printf("   at most %lu bytes of %lu\n", (unsigned long)worst, (unsigned long)STACK);
    mfa_cancel_free(now.cancel);
    close(file);
    return check_finish();
}
