/*
 * A program of the day on which this ABI began to be judged. It is never changed (README.md says
 * when it may be): whatever libmfa becomes, this must go on working against it.
 *
 * It knows only the header beside it. Every struct that it passes ends where that header says, and
 * is followed by bytes that a library which trusts its own sizeof would read as fields, or destroy.
 * What it checks are facts that hold for good: codes, decisions, resets, sizes. It does not check
 * how long something takes, how often libmfa asks, or texts.
 */
#define _POSIX_C_SOURCE 200809L

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mfa.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define GENEROUS_MS 20000

/* The header beside it, and no other. */
#define IS(name, condition) typedef char name[(condition) ? 1 : -1]
#if UINTPTR_MAX == UINT64_MAX
IS(error_is, sizeof(mfa_error) == 296);
IS(client_options_is, sizeof(mfa_client_options) == 96);
IS(call_options_is, sizeof(mfa_call_options) == 16);
IS(availability_is, sizeof(mfa_availability) == 8);
IS(two_factor_types_is, sizeof(mfa_two_factor_types) == 76);
IS(transaction_is, sizeof(mfa_transaction) == 32);
IS(registration_is, sizeof(mfa_registration) == 16);
IS(request_is, sizeof(mfa_request) == 64);
IS(wait_options_is, sizeof(mfa_wait_options) == 56);
#endif

/* Checks --------------------------------------------------------------------------------------- */

static int passed;
static int failed;

static void check(int ok, const char *name, const char *what)
{
    if (ok) {
        passed++;
        printf("ok %s: %s\n", name, what);
    } else {
        failed++;
        printf("not ok %s: %s\n", name, what);
    }
}

static void check_int(const char *name, const char *what, long long got, long long wanted)
{
    char text[300];

    snprintf(text, sizeof text, "%s (%lld, wanted %lld)", what, got, wanted);
    check(got == wanted, name, text);
}

/* Memory --------------------------------------------------------------------------------------- */

#define BEHIND 128
#define MARK 0xA5

struct block {
    unsigned char *bytes;
    size_t size;
};

static struct block blocks[4000];
static size_t blocks_used;

/* All-zero bytes plus struct_size, and behind them what no library may look at. */
static void *make(size_t told)
{
    unsigned char *bytes = (unsigned char *)malloc(told + BEHIND);
    uint32_t struct_size = (uint32_t)told;

    if (bytes == NULL || blocks_used == COUNT(blocks)) {
        printf("not ok setup: no memory\n");
        exit(2);
    }
    memset(bytes, 0, told);
    memset(bytes + told, MARK, BEHIND);
    memcpy(bytes, &struct_size, sizeof struct_size);
    blocks[blocks_used].bytes = bytes;
    blocks[blocks_used++].size = told;
    return bytes;
}

#define MAKE(type) ((type *)make(sizeof(type)))
/* As a program of a later day would pass it: longer, and zero beyond what anybody knows. */
#define MAKE_LONGER(type) ((type *)make(4096))

/* Leaves in an out struct what a careless caller leaves there. */
static void *litter(void *out, size_t size)
{
    memset((unsigned char *)out + 4, 0x5A, size - 4);
    return out;
}

/* Frees all, and tells whether anything behind a struct was touched, or a struct_size. */
static void check_memory(const char *name)
{
    size_t i;
    size_t j;
    int whole = 1;

    for (i = 0; i < blocks_used; i++) {
        uint32_t struct_size;

        memcpy(&struct_size, blocks[i].bytes, sizeof struct_size);
        whole = whole && struct_size == blocks[i].size;
        for (j = 0; j < BEHIND; j++) {
            whole = whole && blocks[i].bytes[blocks[i].size + j] == MARK;
        }
        free(blocks[i].bytes);
    }
    blocks_used = 0;
    check(whole, name, "no struct_size was changed, and nothing behind a struct");
}

/* The sandbox ---------------------------------------------------------------------------------- */

static mfa_hyperid *client;
static mfa_capillary *capillary;
static const char *hyperid_url;
static const char *capillary_url;

static const char *from_environment(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL || value[0] == 0) {
        printf("not ok setup: %s is not set\n", name);
        exit(2);
    }
    return value;
}

/* Each token is a person of its own; the sandbox remembers people. */
static const char *person(const char *behaviours)
{
    static char texts[16][300];
    static unsigned next;
    char *text = texts[next++ % 16];

    snprintf(text, sizeof texts[0], "sandbox-%s#c%ld-%u", behaviours, (long)getpid(), next);
    return text;
}

static const char *same_person(const char *behaviours, const char *token)
{
    static char text[300];

    snprintf(text, sizeof text, "sandbox-%s%s", behaviours, strchr(token, '#'));
    return text;
}

static mfa_request *question(void)
{
    mfa_request *request = MAKE(mfa_request);

    request->question = "Sign in?";
    request->code = "42";
    return request;
}

static mfa_wait_options *quick(void)
{
    mfa_wait_options *wait = MAKE(mfa_wait_options);

    wait->first_poll_ms = 1;
    wait->min_interval_ms = 50;
    wait->max_interval_ms = 200;
    return wait;
}

static mfa_call_options *within(uint32_t timeout_ms)
{
    mfa_call_options *options = MAKE(mfa_call_options);

    options->timeout_ms = timeout_ms;
    return options;
}

static mfa_error *make_error(void)
{
    return (mfa_error *)litter(MAKE(mfa_error), sizeof(mfa_error));
}

static mfa_transaction *make_transaction(void)
{
    return (mfa_transaction *)litter(MAKE(mfa_transaction), sizeof(mfa_transaction));
}

/* What the header says without a network ------------------------------------------------------- */

struct number {
    const char *name;
    long long here;
    long long for_ever;
};

#define NUMBER(name, value) { #name, (name), (value) }

/* The enumerators of mfa_code; the library must still call each by its name. */
static const struct number codes[] = {
    NUMBER(MFA_OK, 0),
    NUMBER(MFA_ERR_INVALID_ARGUMENT, 1),
    NUMBER(MFA_ERR_NULL_POINTER, 2),
    NUMBER(MFA_ERR_STRUCT_SIZE, 3),
    NUMBER(MFA_ERR_INVALID_UTF8, 4),
    NUMBER(MFA_ERR_INVALID_URL, 5),
    NUMBER(MFA_ERR_INSECURE_URL, 6),
    NUMBER(MFA_ERR_INVALID_CA, 7),
    NUMBER(MFA_ERR_TIMEOUT, 110),
    NUMBER(MFA_ERR_DNS, 111),
    NUMBER(MFA_ERR_CONNECT, 112),
    NUMBER(MFA_ERR_CONNECT_TIMEOUT, 113),
    NUMBER(MFA_ERR_TLS, 114),
    NUMBER(MFA_ERR_CONNECTION_LOST, 115),
    NUMBER(MFA_ERR_REQUEST_TIMEOUT, 116),
    NUMBER(MFA_ERR_PROXY, 117),
    NUMBER(MFA_ERR_MALFORMED_ANSWER, 210),
    NUMBER(MFA_ERR_ANSWER_TOO_LARGE, 211),
    NUMBER(MFA_ERR_CONTRADICTORY_ANSWER, 212),
    NUMBER(MFA_ERR_HTTP_STATUS, 213),
    NUMBER(MFA_ERR_TOKEN_EXPIRED, 310),
    NUMBER(MFA_ERR_TOKEN_INVALID, 311),
    NUMBER(MFA_ERR_ACCESS_DENIED, 312),
    NUMBER(MFA_ERR_UNAVAILABLE, 460),
    NUMBER(MFA_ERR_RATE_LIMITED, 461),
    NUMBER(MFA_ERR_PROVIDER_INVALID_PARAMETERS, 462),
    NUMBER(MFA_ERR_TRANSACTION_NOT_FOUND, 463),
    NUMBER(MFA_ERR_DEVICE_NOT_FOUND, 464),
    NUMBER(MFA_ERR_TEMPLATE_NOT_FOUND, 465),
    NUMBER(MFA_ERR_ALREADY_EXPIRED, 466),
    NUMBER(MFA_ERR_ALREADY_COMPLETED, 467),
    NUMBER(MFA_ERR_ALREADY_CANCELLED, 468),
    NUMBER(MFA_ERR_AUTHENTICATOR_NOT_LINKED, 469),
    NUMBER(MFA_ERR_PROVIDER_REFUSED, 470),
    NUMBER(MFA_ERR_CANCELLED, 550),
    NUMBER(MFA_ERR_INTERNAL, 900),
};

/* Numbers that stand in structs; what they mean is seen in the calls below. */
static const struct number numbers[] = {
    NUMBER(MFA_PROVIDER_NONE, 0),
    NUMBER(MFA_PROVIDER_HYPERID, 1),
    NUMBER(MFA_PROVIDER_CAPILLARY, 2),
    NUMBER(MFA_ERROR_RETRYABLE, 1),
    NUMBER(MFA_ERROR_OUTCOME_UNKNOWN, 2),
    NUMBER(MFA_CLIENT_ALLOW_LOOPBACK_HTTP, 1),
    NUMBER(MFA_CLIENT_PROXY_FROM_ENV, 2),
    NUMBER(MFA_LOG_OFF, 0),
    NUMBER(MFA_LOG_ERROR, 1),
    NUMBER(MFA_LOG_WARN, 2),
    NUMBER(MFA_LOG_INFO, 3),
    NUMBER(MFA_LOG_DEBUG, 4),
    NUMBER(MFA_DECISION_NONE, 0),
    NUMBER(MFA_DECISION_APPROVED, 1),
    NUMBER(MFA_DECISION_DENIED, 2),
    NUMBER(MFA_DECISION_EXPIRED, 3),
    NUMBER(MFA_DECISION_CANCELLED, 4),
    NUMBER(MFA_DECISION_FAILED, 5),
    NUMBER(MFA_DECISION_PENDING, 6),
    NUMBER(MFA_DECISION_UNKNOWN, 7),
    NUMBER(MFA_REQUEST_ANY_CODE, 1),
    NUMBER(MFA_METHOD_APP, 1),
    NUMBER(MFA_METHOD_TOTP, 2),
    NUMBER(MFA_METHOD_SMS, 4),
    NUMBER(MFA_METHOD_EMAIL, 8),
    NUMBER(MFA_METHOD_OTHER, 16),
    NUMBER(MFA_REGISTRATION_NONE, 0),
    NUMBER(MFA_REGISTRATION_REGISTERED, 1),
    NUMBER(MFA_REGISTRATION_NOT_REGISTERED, 2),
    NUMBER(MFA_REGISTRATION_NOT_ENABLED, 3),
};

static void the_library(void)
{
    char text[100];
    size_t i;

    check(mfa_abi_version() == MFA_ABI_VERSION, "library", "it has the program's ABI version");
    check(mfa_version()[0] != 0, "library", "it has a version");
    for (i = 0; i < COUNT(codes); i++) {
        const char *name = mfa_code_name((mfa_code)codes[i].for_ever);

        snprintf(text, sizeof text, "%lld is called so", codes[i].for_ever);
        check(strcmp(name, codes[i].name) == 0, codes[i].name, text);
        check(codes[i].here == codes[i].for_ever, codes[i].name, "the header's number");
        check(mfa_code_message((mfa_code)codes[i].for_ever)[0] != 0, codes[i].name, "has a text");
    }
    for (i = 0; i < COUNT(numbers); i++) {
        check(numbers[i].here == numbers[i].for_ever, numbers[i].name, "the header's number");
    }
    check(strcmp(mfa_code_name(99999), "MFA_ERR_?") == 0, "library", "a number without a name");
    check(mfa_code_message(99999)[0] != 0, "library", "a number without a name has a text");
}

#define SIZE(type, init)                                                                         \
    do {                                                                                         \
        type by_macro = init;                                                                    \
        type *by_zeros = MAKE(type);                                                             \
        check(mfa_struct_size(#type) >= sizeof(type), #type, "it has not become smaller");       \
        check(memcmp(&by_macro, by_zeros, sizeof by_macro) == 0, #type, "zeros are its _INIT");  \
    } while (0)

static void sizes(void)
{
    SIZE(mfa_error, MFA_ERROR_INIT);
    SIZE(mfa_client_options, MFA_CLIENT_OPTIONS_INIT);
    SIZE(mfa_call_options, MFA_CALL_OPTIONS_INIT);
    SIZE(mfa_availability, MFA_AVAILABILITY_INIT);
    SIZE(mfa_two_factor_types, MFA_TWO_FACTOR_TYPES_INIT);
    SIZE(mfa_transaction, MFA_TRANSACTION_INIT);
    SIZE(mfa_registration, MFA_REGISTRATION_INIT);
    SIZE(mfa_request, MFA_REQUEST_INIT);
    SIZE(mfa_wait_options, MFA_WAIT_OPTIONS_INIT);
    check(mfa_struct_size("mfa_no_struct") == 0, "sizes", "no such struct");
    check(mfa_struct_size(NULL) == 0, "sizes", "NULL");
    check_memory("sizes");
}

static void what_is_approved(void)
{
    mfa_transaction *t = MAKE(mfa_transaction);
    int32_t decision;

    for (decision = -1; decision < 20; decision++) {
        t->decision = decision;
        check_int("mfa_is_approved", "only 1 is", mfa_is_approved(MFA_OK, t), decision == 1);
        check_int("mfa_is_approved", "not with a code", mfa_is_approved(MFA_ERR_TIMEOUT, t), 0);
    }
    t->decision = MFA_DECISION_APPROVED;
    t->struct_size = sizeof *t - 1;
    check_int("mfa_is_approved", "not with a bad size", mfa_is_approved(MFA_OK, t), 0);
    t->struct_size = sizeof *t;
    check_int("mfa_is_approved", "not with NULL", mfa_is_approved(MFA_OK, NULL), 0);
    check_memory("mfa_is_approved");
}

/* Checks that `err` tells the same as the call. */
static void check_call(const char *name, mfa_code got, mfa_code wanted, const mfa_error *err)
{
    char text[400];

    snprintf(text, sizeof text, "%s, wanted %s (err: %ld, %.200s)", mfa_code_name(got),
             mfa_code_name(wanted), (long)err->code, err->message);
    check(got == wanted && err->code == wanted && (err->message[0] == 0) == (wanted == MFA_OK), name,
          text);
}

static void control_code(void)
{
    mfa_error *err = make_error();
    char code[4] = "???";

    check_call("mfa_control_code", mfa_control_code(code, sizeof code, err), MFA_OK, err);
    check(strlen(code) == 2 && strspn(code, "0123456789") == 2, "mfa_control_code", "two digits");
    check_call("mfa_control_code", mfa_control_code(code, 2, err), MFA_ERR_INVALID_ARGUMENT, err);
    check_call("mfa_control_code", mfa_control_code(NULL, 3, err), MFA_ERR_NULL_POINTER, err);
    check_memory("mfa_control_code");
}

/* Clients -------------------------------------------------------------------------------------- */

struct log_book {
    int lines;
    int odd;
};

static void log_line(void *user_data, int32_t level, const char *message)
{
    struct log_book *book = (struct log_book *)user_data;

    book->lines++;
    book->odd += level < MFA_LOG_ERROR || level > MFA_LOG_DEBUG || message[0] == 0;
}

static mfa_client_options *options_for(const char *url)
{
    mfa_client_options *options = MAKE(mfa_client_options);

    options->flags = MFA_CLIENT_ALLOW_LOOPBACK_HTTP;
    options->base_url = url;
    return options;
}

/* Every field is set once; what it means is the library's own tests' affair. */
static void every_option(void)
{
    mfa_client_options *options = options_for(hyperid_url);
    mfa_error *err = make_error();
    mfa_availability *a = MAKE(mfa_availability);
    mfa_log_fn log = log_line;
    struct log_book book = { 0, 0 };
    mfa_hyperid *own = NULL;

    options->request_timeout_ms = GENEROUS_MS;
    options->connect_timeout_ms = GENEROUS_MS;
    options->user_agent = "first/1";
    options->max_idle_connections = 2;
    options->log_level = MFA_LOG_DEBUG;
    options->log = log;
    options->log_user_data = &book;
    options->headers = "X-First: 1";
    check_call("all options", mfa_hyperid_new(options, &own, err), MFA_OK, err);
    check_call("all options", mfa_hyperid_availability(own, person("approve"), NULL, a, err), MFA_OK,
               err);
    check(book.lines > 0 && book.odd == 0, "all options", "it logs");
    mfa_hyperid_free(own);
    check_memory("all options");
}

static void refused_client(const char *what, const mfa_client_options *options, mfa_code wanted)
{
    mfa_error *err = make_error();
    mfa_hyperid *of_one = (mfa_hyperid *)err;
    mfa_capillary *of_other = (mfa_capillary *)err;

    check_call(what, mfa_hyperid_new(options, &of_one, err), wanted, err);
    check(of_one == NULL, what, "no client of HyperID's");
    check_call(what, mfa_capillary_new(options, &of_other, err), wanted, err);
    check(of_other == NULL, what, "no client of Capillary's");
}

static void refused_clients(void)
{
    mfa_client_options *o = options_for("https://user@example.com");

    refused_client("a URL with a user", o, MFA_ERR_INVALID_URL);
    o = options_for("http://example.com");
    refused_client("a URL in clear", o, MFA_ERR_INSECURE_URL);
    o = options_for("\xff");
    refused_client("a URL that is not UTF-8", o, MFA_ERR_INVALID_UTF8);
    o = options_for("https://example.com");
    o->ca_pem = "no certificate";
    refused_client("a CA that is none", o, MFA_ERR_INVALID_CA);
    o = options_for("https://example.com");
    o->client_cert_pem = "no certificate";
    refused_client("a client certificate without its key", o, MFA_ERR_INVALID_ARGUMENT);
    o = options_for("https://example.com");
    o->client_key_pem = "no key";
    refused_client("a client key without its certificate", o, MFA_ERR_INVALID_ARGUMENT);
    o = options_for("https://example.com");
    o->proxy_url = "gopher://example.com";
    o->flags = MFA_CLIENT_ALLOW_LOOPBACK_HTTP;
    refused_client("a proxy of another kind", o, MFA_ERR_INVALID_URL);
    o = options_for("https://example.com");
    o->flags = 0x80000000u;
    refused_client("a flag that nobody knows", o, MFA_ERR_INVALID_ARGUMENT);
    o = options_for("https://example.com");
    o->log_level = 1000;
    refused_client("a level that nobody knows", o, MFA_ERR_INVALID_ARGUMENT);
    o = options_for("https://example.com");
    o->struct_size = sizeof *o - 1;
    refused_client("a size below the first", o, MFA_ERR_STRUCT_SIZE);
    o->struct_size = 4097;
    refused_client("a size above the last", o, MFA_ERR_STRUCT_SIZE);
    o->struct_size = sizeof *o;
    check_memory("clients that are refused");
}

static void a_client_with_the_environment_s_proxy(void)
{
    static const char *const names[] = { "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
                                         "all_proxy",  "ALL_PROXY",  "no_proxy",    "NO_PROXY" };
    size_t i;
    mfa_client_options *options = options_for(hyperid_url);
    mfa_error *err = make_error();
    mfa_hyperid *own = NULL;

    for (i = 0; i < COUNT(names); i++) {
        unsetenv(names[i]);
    }
    options->flags |= MFA_CLIENT_PROXY_FROM_ENV;
    check_call("the environment's proxy", mfa_hyperid_new(options, &own, err), MFA_OK, err);
    mfa_hyperid_free(own);
    check_memory("the environment's proxy");
}

/* Calls ---------------------------------------------------------------------------------------- */

static void availability(void)
{
    mfa_availability *a = (mfa_availability *)litter(MAKE(mfa_availability), sizeof *a);
    mfa_error *err = make_error();

    check_call("available", mfa_hyperid_availability(client, person("approve"), NULL, a, err), MFA_OK,
               err);
    check_int("available", "with the app", a->available, 1);
    check_call("available", mfa_hyperid_availability(client, person("no-app"), NULL, a, err), MFA_OK,
               err);
    check_int("available", "without the app", a->available, 0);
    a->available = 1;
    check_call("available", mfa_hyperid_availability(client, person("token-invalid"), NULL, a, err),
               MFA_ERR_TOKEN_INVALID, err);
    check_int("available", "reset beside an error", a->available, 0);
    check_memory("available");
}

struct methods {
    const char *behaviours;
    uint32_t methods;
    uint32_t count;
    int32_t first;
    int32_t last;
};

static const struct methods method_rows[] = {
    { "methods-none", 0, 0, -1, -1 },
    { "methods-1,2", MFA_METHOD_TOTP | MFA_METHOD_SMS, 2, 1, -1 },
    { "methods-3,0,1,2", MFA_METHOD_EMAIL | MFA_METHOD_APP | MFA_METHOD_TOTP | MFA_METHOD_SMS, 4, 3, -1 },
    /* A later library may have a name for a number that had none; the numbers stay. */
    { "methods-0,1,2,3,0,1,2,3,0,1,2,3,0,1,2,3,0", 15, 17, 0, 3 },
};

static void two_factor_types(void)
{
    mfa_two_factor_types *types = MAKE(mfa_two_factor_types);
    mfa_error *err = make_error();
    size_t i;

    for (i = 0; i < COUNT(method_rows); i++) {
        const struct methods *row = &method_rows[i];

        litter(types, sizeof *types);
        check_call(row->behaviours,
                   mfa_hyperid_two_factor_types(client, person(row->behaviours), NULL, types, err),
                   MFA_OK, err);
        check_int(row->behaviours, "methods", types->methods, row->methods);
        check_int(row->behaviours, "count", types->count, row->count);
        check_int(row->behaviours, "the first number", types->raw[0], row->first);
        check_int(row->behaviours, "the last number", types->raw[15], row->last);
    }
    check_call("methods-254", mfa_hyperid_two_factor_types(client, person("methods-254"), NULL, types, err),
               MFA_OK, err);
    check(types->methods == MFA_METHOD_OTHER && types->raw[0] == 254, "methods-254", "has no name");
    check_call("methods", mfa_hyperid_two_factor_types(client, person("no-scope"), NULL, types, err),
               MFA_ERR_ACCESS_DENIED, err);
    check(types->methods == 0 && types->count == 0 && types->raw[0] == -1, "methods",
          "reset beside an error");
    check_memory("methods");
}

static int64_t start(const char *token)
{
    mfa_error *err = make_error();
    int64_t id = -1;

    check_call("start", mfa_hyperid_start(client, token, question(), within(GENEROUS_MS), &id, err),
               MFA_OK, err);
    check(id > 0, "start", "an id");
    return id;
}

static void step_by_step(void)
{
    mfa_error *err = make_error();
    mfa_transaction *t = make_transaction();
    const char *token = person("phone");
    int64_t id = start(token);

    check_call("status", mfa_hyperid_status(client, token, id, NULL, t, err), MFA_OK, err);
    check_int("status", "pending", t->decision, MFA_DECISION_PENDING);
    check_int("status", "the id", t->transaction_id, id);
    check_int("status", "raw_status", t->raw_status, 0);
    check_int("status", "raw_complete_result", t->raw_complete_result, 0);
    check(t->polls > 0, "status", "polls");
    check_int("status", "pending is not approved", mfa_is_approved(MFA_OK, t), 0);
    check_call("cancel", mfa_hyperid_cancel(client, token, id, within(GENEROUS_MS), err), MFA_OK, err);
    check_call("status", mfa_hyperid_status(client, token, id, within(GENEROUS_MS), t, err), MFA_OK, err);
    check_int("status", "cancelled", t->decision, MFA_DECISION_CANCELLED);
    check_int("status", "cancelled: raw_status", t->raw_status, 4);
    check_call("cancel", mfa_hyperid_cancel(client, token, id, NULL, err), MFA_ERR_ALREADY_CANCELLED, err);
    check_call("status", mfa_hyperid_status(client, token, id + 1000000, NULL, t, err),
               MFA_ERR_TRANSACTION_NOT_FOUND, err);
    check_int("status", "the provider's number", err->provider_code, -6);
    check_int("status", "it has one", err->has_provider_code, 1);
    check_int("status", "its provider", err->provider, MFA_PROVIDER_HYPERID);
    check_int("status", "its HTTP status", err->http_status, 200);
    check(err->attempts >= 1 && err->os_error == 0 && err->retry_after_ms == 0, "status",
          "attempts, no os_error, no retry_after_ms");
    check_int("status", "reset: no decision", t->decision, MFA_DECISION_NONE);
    check(t->raw_status == -1 && t->raw_complete_result == -1, "status", "reset: no numbers");
    token = person("approve-after-0");
    id = start(token);
    check_call("wait", mfa_hyperid_wait(client, token, id, quick(), within(GENEROUS_MS), t, err), MFA_OK,
               err);
    check_int("wait", "approved", mfa_is_approved(MFA_OK, t), 1);
    check_int("wait", "the id", t->transaction_id, id);
    check_call("cancel", mfa_hyperid_cancel(client, token, id, NULL, err), MFA_ERR_ALREADY_COMPLETED, err);
    check_memory("step by step");
}

struct decided {
    const char *behaviours;
    int32_t decision;
    int32_t raw_status;
};

static const struct decided decisions[] = {
    { "approve", MFA_DECISION_APPROVED, 1 },
    { "deny", MFA_DECISION_DENIED, 1 },
    { "expire-after-90", MFA_DECISION_EXPIRED, 2 },
    { "failed-after-90", MFA_DECISION_FAILED, 3 },
    { "declined-after-90", MFA_DECISION_CANCELLED, 4 },
    { "approve-after-90+unknown-status-2", MFA_DECISION_APPROVED, 1 },
};

static mfa_code confirm(const char *token, const mfa_wait_options *wait, uint32_t timeout_ms,
                        mfa_transaction *t, mfa_error *err)
{
    return mfa_hyperid_confirm(client, token, question(), wait, within(timeout_ms), t, err);
}

static void people_decide(void)
{
    size_t i;

    for (i = 0; i < COUNT(decisions); i++) {
        const struct decided *row = &decisions[i];
        mfa_transaction *t = make_transaction();
        mfa_error *err = make_error();
        mfa_code code = confirm(person(row->behaviours), quick(), GENEROUS_MS, t, err);

        check_call(row->behaviours, code, MFA_OK, err);
        check_int(row->behaviours, "decision", t->decision, row->decision);
        check_int(row->behaviours, "raw_status", t->raw_status, row->raw_status);
        check_int(row->behaviours, "mfa_is_approved", mfa_is_approved(code, t),
                  row->decision == MFA_DECISION_APPROVED);
        check(t->transaction_id > 0 && t->polls > 0, row->behaviours, "an id and polls");
    }
    check_memory("people decide");
}

struct refused {
    const char *behaviours;
    mfa_code code;
    uint32_t flags;
    int32_t provider_code;
};

static const struct refused refusals[] = {
    { "no-app", MFA_ERR_AUTHENTICATOR_NOT_LINKED, 0, 0 },
    { "token-expired", MFA_ERR_TOKEN_EXPIRED, 0, -4 },
    { "token-invalid", MFA_ERR_TOKEN_INVALID, 0, -5 },
    { "no-scope", MFA_ERR_ACCESS_DENIED, 0, -3 },
    { "refuse--2@start", MFA_ERR_PROVIDER_INVALID_PARAMETERS, 0, -2 },
    { "refuse--7@start", MFA_ERR_DEVICE_NOT_FOUND, 0, -7 },
    { "refuse--8@start", MFA_ERR_TEMPLATE_NOT_FOUND, 0, -8 },
    { "refuse--1@start", MFA_ERR_UNAVAILABLE, MFA_ERROR_RETRYABLE, -1 },
    { "refuse--77@start", MFA_ERR_PROVIDER_REFUSED, 0, -77 },
    { "lose-start+phone", MFA_ERR_CONNECTION_LOST, MFA_ERROR_OUTCOME_UNKNOWN, 0 },
    { "start-without-id+phone", MFA_ERR_MALFORMED_ANSWER, MFA_ERROR_OUTCOME_UNKNOWN, 0 },
    { "wrong-id+approve-after-0", MFA_ERR_CONTRADICTORY_ANSWER, 0, 0 },
};

static void refusals_keep_their_codes(void)
{
    const uint32_t known = MFA_ERROR_RETRYABLE | MFA_ERROR_OUTCOME_UNKNOWN;
    size_t i;

    for (i = 0; i < COUNT(refusals); i++) {
        const struct refused *row = &refusals[i];
        mfa_transaction *t = make_transaction();
        mfa_error *err = make_error();
        mfa_code code = confirm(person(row->behaviours), quick(), GENEROUS_MS, t, err);

        check_call(row->behaviours, code, row->code, err);
        check_int(row->behaviours, "flags", err->flags & known, row->flags);
        check_int(row->behaviours, "provider_code", err->provider_code, row->provider_code);
        check_int(row->behaviours, "not approved", t->decision == MFA_DECISION_APPROVED, 0);
    }
    check_memory("refusals");
}

static void answers_that_are_none(void)
{
    mfa_availability *a = MAKE(mfa_availability);
    mfa_error *err = make_error();

    check_call("rate limited", mfa_hyperid_availability(client, person("rate-limited-7"), within(5000), a, err),
               MFA_ERR_RATE_LIMITED, err);
    check_int("rate limited", "retry_after_ms", err->retry_after_ms, 7000);
    check_int("rate limited", "http_status", err->http_status, 429);
    check_int("rate limited", "has_provider_code", err->has_provider_code, 0);
    check(err->flags & MFA_ERROR_RETRYABLE, "rate limited", "may be repeated");
    check_call("HTTP 404", mfa_hyperid_availability(client, person("html-404@availability"), NULL, a, err),
               MFA_ERR_HTTP_STATUS, err);
    check_int("HTTP 404", "http_status", err->http_status, 404);
    check_call("too large", mfa_hyperid_availability(client, person("oversize@availability"), NULL, a, err),
               MFA_ERR_ANSWER_TOO_LARGE, err);
    check_int("too large", "not available", a->available, 0);
    check_memory("answers that are none");
}

/* Ends of a wait ------------------------------------------------------------------------------- */

struct updates {
    int calls;
    int stop_at;
    int small;
    int64_t id;
    mfa_cancel *cancel;
};

static int32_t on_update(void *user_data, const mfa_transaction *so_far)
{
    struct updates *u = (struct updates *)user_data;

    u->small += so_far->struct_size < sizeof *so_far;
    u->id = so_far->transaction_id;
    if (++u->calls != u->stop_at) {
        return 0;
    }
    mfa_cancel_trigger(u->cancel);
    return u->cancel == NULL;
}

static void nobody_answers(void)
{
    mfa_error *err = make_error();
    mfa_transaction *t = make_transaction();
    const char *token = person("phone");
    mfa_wait_options *wait = quick();

    check_call("no answer", confirm(token, quick(), 1500, t, err), MFA_ERR_TIMEOUT, err);
    check(t->transaction_id > 0, "no answer", "the id");
    check_int("no answer", "decision", t->decision, MFA_DECISION_PENDING);
    check_call("no answer", mfa_hyperid_cancel(client, token, t->transaction_id, NULL, err), MFA_OK, err);
    wait->cancel_on_timeout = 1;
    token = person("phone");
    check_call("cancel_on_timeout", confirm(token, wait, 2000, t, err), MFA_ERR_TIMEOUT, err);
    check(t->transaction_id > 0 && t->decision != MFA_DECISION_APPROVED, "cancel_on_timeout", "the id");
    check_call("cancel_on_timeout", mfa_hyperid_cancel(client, token, t->transaction_id, NULL, err),
               MFA_ERR_ALREADY_CANCELLED, err);
    check_memory("no answer");
}

static void the_caller_ends_it(void)
{
    mfa_error *err = make_error();
    mfa_transaction *t = make_transaction();
    mfa_wait_options *wait = quick();
    mfa_call_options *options = within(GENEROUS_MS);
    mfa_update_fn update = on_update;
    struct updates u = { 0, 2, 0, 0, NULL };
    const char *token = person("phone");

    wait->on_update = update;
    wait->on_update_user_data = &u;
    check_call("on_update", confirm(token, wait, GENEROUS_MS, t, err), MFA_ERR_CANCELLED, err);
    check(u.calls == 2 && u.small == 0, "on_update", "two calls, with a struct of a known size");
    check(t->transaction_id == u.id && u.id > 0, "on_update", "the id");
    options->cancel = u.cancel = mfa_cancel_new();
    u.calls = 0;
    check(u.cancel != NULL, "mfa_cancel_new", "makes one");
    check_call("mfa_cancel_trigger", mfa_hyperid_wait(client, token, u.id, wait, options, t, err),
               MFA_ERR_CANCELLED, err);
    check_call("a cancel object stays triggered",
               mfa_hyperid_status(client, token, u.id, options, t, err), MFA_ERR_CANCELLED, err);
    check_int("a cancel object stays triggered", "no decision", t->decision, MFA_DECISION_NONE);
    check_call("the request went on", mfa_hyperid_cancel(client, token, u.id, NULL, err), MFA_OK, err);
    mfa_cancel_free(u.cancel);
    mfa_cancel_free(NULL);
    mfa_cancel_trigger(NULL);
    check_memory("the caller ends it");
}

struct token_source {
    char text[300];
    int calls;
    int gives_up;
};

static const char *give_token(void *user_data)
{
    struct token_source *source = (struct token_source *)user_data;

    source->calls++;
    return source->gives_up ? NULL : source->text;
}

static void tokens_expire(void)
{
    mfa_error *err = make_error();
    mfa_transaction *t = make_transaction();
    mfa_wait_options *wait = quick();
    mfa_token_fn give = give_token;
    struct token_source source = { "", 0, 0 };
    const char *token = person("token-expires-after-2+approve-after-400");

    snprintf(source.text, sizeof source.text, "%s", same_person("approve", token));
    wait->access_token_provider = give;
    wait->access_token_provider_user_data = &source;
    check_call("a fresh token", confirm(token, wait, GENEROUS_MS, t, err), MFA_OK, err);
    check(source.calls == 1 && mfa_is_approved(MFA_OK, t), "a fresh token", "asked for once");
    source.gives_up = 1;
    token = person("token-expires-after-2+phone");
    check_call("no fresh token", confirm(token, wait, GENEROUS_MS, t, err), MFA_ERR_TOKEN_EXPIRED, err);
    check_int("no fresh token", "asked for once more", source.calls, 2);
    check_memory("tokens");
}

/* Requests ------------------------------------------------------------------------------------- */

static void every_field_of_a_request(void)
{
    mfa_error *err = make_error();
    mfa_request *request = question();
    mfa_transaction *t = make_transaction();
    const char *token = person("phone");
    int64_t id = 0;

    request->template_id = 4;
    request->flags = MFA_REQUEST_ANY_CODE;
    request->code = "any text";
    request->device_id = "device";
    request->device_desc = "a laptop";
    request->ip = "192.0.2.1";
    check_call("a request", mfa_hyperid_start(client, token, request, NULL, &id, err), MFA_OK, err);
    mfa_hyperid_cancel(client, token, id, NULL, err);
    request->values_json = "{\"a\":\"b\"}";
    check_call("a question and values", mfa_hyperid_start(client, token, request, NULL, &id, err),
               MFA_ERR_INVALID_ARGUMENT, err);
    check_int("a question and values", "no id", id, 0);
    request->question = NULL;
    request->template_id = 2;
    check_call("values", mfa_hyperid_start(client, token, request, NULL, &id, err), MFA_OK, err);
    mfa_hyperid_cancel(client, token, id, NULL, err);
    request->values_json = NULL;
    request->template_id = 0;
    check(mfa_hyperid_start(client, token, request, NULL, &id, err) != MFA_OK && err->code < 100,
          "template 4 without a question", "the caller's fault");
    request = question();
    request->reserved = 1;
    check_call("reserved", mfa_hyperid_start(client, token, request, NULL, &id, err),
               MFA_ERR_INVALID_ARGUMENT, err);
    request = question();
    request->flags = 0x80000000u;
    check_call("a flag of a request that nobody knows",
               mfa_hyperid_start(client, token, request, NULL, &id, err), MFA_ERR_INVALID_ARGUMENT, err);
    check_call("no request", mfa_hyperid_start(client, token, NULL, NULL, &id, err), MFA_ERR_NULL_POINTER,
               err);
    check_call("no id", mfa_hyperid_status(client, token, 0, NULL, t, err), MFA_ERR_INVALID_ARGUMENT, err);
    check_call("no token", mfa_hyperid_status(client, NULL, 1, NULL, t, err), MFA_ERR_NULL_POINTER, err);
    check_call("no client", mfa_hyperid_status(NULL, token, 1, NULL, t, err), MFA_ERR_NULL_POINTER, err);
    check_call("no out", mfa_hyperid_status(client, token, 1, NULL, NULL, err), MFA_ERR_NULL_POINTER, err);
    check_memory("requests");
}

/* Sizes that the caller tells ------------------------------------------------------------------- */

/* One byte less than the first release's size is refused for ever, and decides nothing. */
static void sizes_below_the_first(void)
{
    mfa_error *err = make_error();
    mfa_transaction *t = make_transaction();
    mfa_wait_options *wait = quick();
    mfa_call_options *options = within(GENEROUS_MS);
    const char *token = person("phone");

    t->struct_size = sizeof *t - 1;
    t->decision = MFA_DECISION_APPROVED;
    check_call("a short out struct", mfa_hyperid_status(client, token, 1, NULL, t, err),
               MFA_ERR_STRUCT_SIZE, err);
    check_int("a short out struct", "no decision", t->decision, MFA_DECISION_NONE);
    t->struct_size = sizeof *t;
    wait->struct_size = sizeof *wait - 1;
    check_call("short wait options", mfa_hyperid_wait(client, token, 1, wait, NULL, t, err),
               MFA_ERR_STRUCT_SIZE, err);
    wait->struct_size = sizeof *wait;
    options->struct_size = sizeof *options - 1;
    check_call("short call options", mfa_hyperid_status(client, token, 1, options, t, err),
               MFA_ERR_STRUCT_SIZE, err);
    options->struct_size = sizeof *options;
    err->struct_size = sizeof *err - 1;
    err->code = 4711;
    check_int("a short err", "is refused", mfa_hyperid_status(client, token, 1, NULL, t, err),
              MFA_ERR_STRUCT_SIZE);
    check_int("a short err", "is left alone", err->code, 4711);
    err->struct_size = sizeof *err;
    check_memory("sizes below the first");
}

/* The sizes of a later day: accepted for ever, as long as nothing unknown is set. */
static void sizes_of_a_later_day(void)
{
    mfa_error *err = MAKE_LONGER(mfa_error);
    mfa_client_options *options = MAKE_LONGER(mfa_client_options);
    mfa_request *request = MAKE_LONGER(mfa_request);
    mfa_wait_options *wait = MAKE_LONGER(mfa_wait_options);
    mfa_call_options *call = MAKE_LONGER(mfa_call_options);
    mfa_transaction *t = MAKE_LONGER(mfa_transaction);
    mfa_availability *a = MAKE_LONGER(mfa_availability);
    mfa_two_factor_types *types = MAKE_LONGER(mfa_two_factor_types);
    mfa_registration *r = MAKE_LONGER(mfa_registration);
    mfa_hyperid *own = NULL;

    options->flags = MFA_CLIENT_ALLOW_LOOPBACK_HTTP;
    options->base_url = hyperid_url;
    request->question = "Sign in?";
    wait->min_interval_ms = 50;
    wait->max_interval_ms = 200;
    call->timeout_ms = GENEROUS_MS;
    check_call("longer", mfa_hyperid_new(options, &own, err), MFA_OK, err);
    check_call("longer", mfa_hyperid_availability(own, person("approve"), call, a, err), MFA_OK, err);
    check_int("longer", "available", a->available, 1);
    check_call("longer", mfa_hyperid_two_factor_types(own, person("methods-1"), call, types, err), MFA_OK,
               err);
    check_int("longer", "methods", types->methods, MFA_METHOD_TOTP);
    check_call("longer", mfa_hyperid_confirm(own, person("approve"), request, wait, call, t, err), MFA_OK,
               err);
    check_int("longer", "approved", mfa_is_approved(MFA_OK, t), 1);
    check_call("longer", mfa_hyperid_confirm(own, person("deny"), request, wait, call, t, err), MFA_OK, err);
    check_int("longer", "denied", t->decision, MFA_DECISION_DENIED);
    check_call("longer", mfa_capillary_is_mfa_registered(capillary, "demo-brand", "device",
                                                         person("registered"), call, r, err),
               MFA_OK, err);
    check_int("longer", "registered", r->state, MFA_REGISTRATION_REGISTERED);
    /* The last byte belongs to a field that no library will ever know. */
    ((unsigned char *)request)[4095] = 1;
    check_call("an unknown field", mfa_hyperid_confirm(own, person("approve"), request, wait, call, t, err),
               MFA_ERR_INVALID_ARGUMENT, err);
    check_int("an unknown field", "no decision", t->decision, MFA_DECISION_NONE);
    mfa_hyperid_free(own);
    mfa_hyperid_free(NULL);
    check_memory("longer");
}

/* Capillary ------------------------------------------------------------------------------------ */

struct registered {
    const char *behaviours;
    const char *brand;
    mfa_code code;
    int32_t state;
    int32_t number;
};

static const struct registered registrations[] = {
    { "registered", "demo-brand", MFA_OK, MFA_REGISTRATION_REGISTERED, 200 },
    { "not-registered", "demo-brand", MFA_OK, MFA_REGISTRATION_NOT_REGISTERED, 404 },
    { "registered", "no-mfa-brand", MFA_OK, MFA_REGISTRATION_NOT_ENABLED, 1513 },
    { "token-expired", "demo-brand", MFA_ERR_TOKEN_EXPIRED, MFA_REGISTRATION_NONE, 401 },
    { "token-invalid", "demo-brand", MFA_ERR_TOKEN_INVALID, MFA_REGISTRATION_NONE, 1504 },
    { "contradiction", "demo-brand", MFA_ERR_CONTRADICTORY_ANSWER, MFA_REGISTRATION_NONE, 1504 },
};

static void registration(void)
{
    size_t i;

    for (i = 0; i < COUNT(registrations); i++) {
        const struct registered *row = &registrations[i];
        mfa_registration *r = (mfa_registration *)litter(MAKE(mfa_registration), sizeof *r);
        mfa_error *err = make_error();
        mfa_code code = mfa_capillary_is_mfa_registered(capillary, row->brand, "device",
                                                        person(row->behaviours), within(GENEROUS_MS), r, err);
        int answered = row->code == MFA_OK;

        check_call(row->behaviours, code, row->code, err);
        check_int(row->behaviours, "state", r->state, row->state);
        check_int(row->behaviours, "raw_code", r->raw_code, answered ? row->number : -1);
        check_int(row->behaviours, "http_status", r->http_status, answered ? 200 : 0);
        check_int(row->behaviours, "provider", err->provider, answered ? err->provider : MFA_PROVIDER_CAPILLARY);
        check_int(row->behaviours, "provider_code", err->provider_code, answered ? 0 : row->number);
    }
    mfa_capillary_free(NULL);
    check_memory("registration");
}

static void make_clients(void)
{
    mfa_error *err = make_error();

    check_call("mfa_hyperid_new", mfa_hyperid_new(options_for(hyperid_url), &client, err), MFA_OK, err);
    check(err->provider == MFA_PROVIDER_NONE || err->provider == MFA_PROVIDER_HYPERID, "mfa_hyperid_new",
          "err is reset");
    check_call("mfa_capillary_new", mfa_capillary_new(options_for(capillary_url), &capillary, err), MFA_OK,
               err);
    check_memory("clients");
    if (client == NULL || capillary == NULL) {
        printf("not ok setup: no client\n");
        exit(2);
    }
}

int main(void)
{
    hyperid_url = from_environment("MFA_TEST_HYPERID_URL");
    capillary_url = from_environment("MFA_TEST_CAPILLARY_URL");
    the_library();
    sizes();
    what_is_approved();
    control_code();
    make_clients();
    every_option();
    refused_clients();
    a_client_with_the_environment_s_proxy();
    availability();
    two_factor_types();
    step_by_step();
    people_decide();
    refusals_keep_their_codes();
    answers_that_are_none();
    nobody_answers();
    the_caller_ends_it();
    tokens_expire();
    every_field_of_a_request();
    sizes_below_the_first();
    sizes_of_a_later_day();
    registration();
    mfa_capillary_free(capillary);
    mfa_hyperid_free(client);
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
