/*
 * What the misuse of calls has in common: each call that goes over the network, with arguments that a
 * test makes wrong, and what must then be true: the right code, an `err` that says so, an `out` that
 * decides nothing, and not one connection made.
 *
 * A new call belongs into `calls` (src/ffi/guard_tests.rs misses it).
 */
#ifndef MFA_TESTS_MISUSE_H
#define MFA_TESTS_MISUSE_H

#include "check.h"

/* A row's `wanted` for what is allowed: the peer's refusal, so the request has reached it. */
#define REACHES_THE_SERVER (-1)

/* What a call takes. */
enum {
    REQUEST = 1,
    WAIT = 2,
    OUT_STRUCT = 4,
    OUT_ID = 8,
    ID = 16,
    BRAND = 32,
    HYPERID = 64,
    /* It waits in the call itself, or a waiter carries it. */
    BLOCKS = 128,
    OUT_TICKET = 256,
    EVERY = 0
};

/* The arguments of any call. */
struct args {
    const mfa_hyperid *hyperid;
    const mfa_capillary *capillary;
    const char *token;
    const char *brand;
    const char *device;
    int64_t id;
    mfa_request request;
    mfa_wait_options wait;
    mfa_call_options options;
    mfa_error err;
    int64_t out_id;
    uint64_t out_ticket;
    /* What is passed: the above, or NULL, or a block of unusual size. */
    mfa_request *request_at;
    mfa_wait_options *wait_at;
    mfa_call_options *options_at;
    void *out_at;
    int64_t *out_id_at;
    uint64_t *out_ticket_at;
    mfa_error *err_at;
};

struct call {
    const char *name;
    int takes;
    size_t out_first_size;
    size_t out_size;
    mfa_code (*run)(struct args *a);
};

static inline mfa_code run_availability(struct args *a)
{
    return mfa_hyperid_availability(a->hyperid, a->token, a->options_at,
                                    (mfa_availability *)a->out_at, a->err_at);
}

static inline mfa_code run_types(struct args *a)
{
    return mfa_hyperid_two_factor_types(a->hyperid, a->token, a->options_at,
                                        (mfa_two_factor_types *)a->out_at, a->err_at);
}

static inline mfa_code run_start(struct args *a)
{
    return mfa_hyperid_start(a->hyperid, a->token, a->request_at, a->options_at, a->out_id_at,
                             a->err_at);
}

static inline mfa_code run_status(struct args *a)
{
    return mfa_hyperid_status(a->hyperid, a->token, a->id, a->options_at,
                              (mfa_transaction *)a->out_at, a->err_at);
}

static inline mfa_code run_cancel(struct args *a)
{
    return mfa_hyperid_cancel(a->hyperid, a->token, a->id, a->options_at, a->err_at);
}

static inline mfa_code run_wait(struct args *a)
{
    return mfa_hyperid_wait(a->hyperid, a->token, a->id, a->wait_at, a->options_at,
                            (mfa_transaction *)a->out_at, a->err_at);
}

static inline mfa_code run_confirm(struct args *a)
{
    return mfa_hyperid_confirm(a->hyperid, a->token, a->request_at, a->wait_at, a->options_at,
                               (mfa_transaction *)a->out_at, a->err_at);
}

static inline mfa_code run_registered(struct args *a)
{
    return mfa_capillary_is_mfa_registered(a->capillary, a->brand, a->device, a->token,
                                           a->options_at, (mfa_registration *)a->out_at, a->err_at);
}

/* What the wait that was added comes to, told as if the call had come to it. */
static inline mfa_code drive_to_the_end(mfa_waiter *waiter, struct args *a)
{
    int64_t until = now_ms() + 20000;
    mfa_event event = MFA_EVENT_INIT;
    mfa_transaction transaction = MFA_TRANSACTION_INIT;
    mfa_error why = MFA_ERROR_INIT;

    while (event.kind != MFA_EVENT_ENDED && now_ms() < until) {
        need(mfa_waiter_next(waiter, 100, &event, &transaction, &why, NULL) == MFA_OK, "next");
    }
    if (a->out_ticket_at != &a->out_ticket || event.ticket == a->out_ticket) {
        a->out_ticket = 0;
    }
    if (a->err_at == &a->err && a->err.code == MFA_OK) {
        a->err = why;
    }
    return event.code;
}

static inline mfa_code run_added(struct args *a, int asks)
{
    mfa_waiter *waiter = NULL;
    mfa_code code;

    need(a->hyperid == NULL || mfa_waiter_new(a->hyperid, NULL, &waiter, NULL) == MFA_OK, "a waiter");
    if (asks) {
        code = mfa_waiter_confirm(waiter, a->token, a->request_at, a->wait_at, a->options_at, NULL,
                                  a->out_ticket_at, a->err_at);
    } else {
        code = mfa_waiter_wait(waiter, a->token, a->id, a->wait_at, a->options_at, NULL,
                               a->out_ticket_at, a->err_at);
    }
    if (code == MFA_OK) {
        code = drive_to_the_end(waiter, a);
    } else if (mfa_waiter_count(waiter) != 0) {
        code = MFA_ERR_NOT_ENDED;
    }
    mfa_waiter_free(waiter);
    return code;
}

static inline mfa_code run_added_confirm(struct args *a)
{
    return run_added(a, 1);
}

static inline mfa_code run_added_wait(struct args *a)
{
    return run_added(a, 0);
}

static const struct call calls[] = {
    { "mfa_hyperid_availability", HYPERID | OUT_STRUCT, FIRST_SIZE_AVAILABILITY,
      sizeof(mfa_availability), run_availability },
    { "mfa_hyperid_two_factor_types", HYPERID | OUT_STRUCT, FIRST_SIZE_TWO_FACTOR_TYPES,
      sizeof(mfa_two_factor_types), run_types },
    { "mfa_hyperid_start", HYPERID | REQUEST | OUT_ID, 0, 0, run_start },
    { "mfa_hyperid_status", HYPERID | ID | OUT_STRUCT, FIRST_SIZE_TRANSACTION,
      sizeof(mfa_transaction), run_status },
    { "mfa_hyperid_cancel", HYPERID | ID, 0, 0, run_cancel },
    { "mfa_hyperid_wait", HYPERID | BLOCKS | ID | WAIT | OUT_STRUCT, FIRST_SIZE_TRANSACTION,
      sizeof(mfa_transaction), run_wait },
    { "mfa_hyperid_confirm", HYPERID | BLOCKS | REQUEST | WAIT | OUT_STRUCT, FIRST_SIZE_TRANSACTION,
      sizeof(mfa_transaction), run_confirm },
    { "mfa_waiter_confirm", HYPERID | REQUEST | WAIT | OUT_TICKET, 0, 0, run_added_confirm },
    { "mfa_waiter_wait", HYPERID | ID | WAIT | OUT_TICKET, 0, 0, run_added_wait },
    { "mfa_capillary_is_mfa_registered", BRAND | OUT_STRUCT, FIRST_SIZE_REGISTRATION,
      sizeof(mfa_registration), run_registered },
};

/* Where refused calls would go, and where allowed ones go. */
static struct listener nobody;
static struct peer server;
static mfa_hyperid *hyperid_nobody;
static mfa_hyperid *hyperid_server;
static mfa_capillary *capillary_nobody;
static mfa_capillary *capillary_server;

/* HyperID: access denied. Capillary: refused with a number that has no name. */
static const char refusal[] =
    "{\"result\":-3,\"status\":{\"success\":false,\"code\":9999,\"message\":\"no\"}}";

static char stale_out[128];

/* The second field says "approved", "available" or "registered", each of which is 1. */
static inline void make_stale(void *out, size_t size)
{
    uint32_t struct_size = (uint32_t)size;
    int32_t yes = 1;

    memset(out, 0x5a, size);
    memcpy(out, &struct_size, sizeof struct_size);
    memcpy((char *)out + 4, &yes, sizeof yes);
}

static inline int32_t first_decision(const void *out)
{
    int32_t value;

    memcpy(&value, (const char *)out + 4, sizeof value);
    return value;
}

static inline void prepare(struct args *a, const struct call *call, int reaches)
{
    static const mfa_request request = MFA_REQUEST_INIT;
    static const mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;
    static const mfa_error err = MFA_ERROR_INIT;

    memset(a, 0, sizeof *a);
    a->hyperid = reaches ? hyperid_server : hyperid_nobody;
    a->capillary = reaches ? capillary_server : capillary_nobody;
    a->token = "sandbox-approve";
    a->brand = "demo-brand";
    a->device = "device";
    a->id = 4294967297;
    a->request = request;
    a->request.question = "Sign in?";
    a->wait = wait;
    /* Should a call be made after all, the test goes on soon. */
    a->options = within(reaches ? 20000 : 1000, NULL);
    a->err = err;
    a->err.code = 77;
    a->out_id = 77;
    a->out_ticket = 77;
    a->request_at = &a->request;
    a->wait_at = &a->wait;
    a->options_at = &a->options;
    a->out_at = stale_out;
    a->out_id_at = &a->out_id;
    a->out_ticket_at = &a->out_ticket;
    a->err_at = &a->err;
    make_stale(stale_out, call->out_size == 0 ? sizeof stale_out : call->out_size);
}

static inline mfa_code expected(const struct call *call, mfa_code wanted)
{
    if (wanted != REACHES_THE_SERVER) {
        return wanted;
    }
    return call->takes & HYPERID ? MFA_ERR_ACCESS_DENIED : MFA_ERR_PROVIDER_REFUSED;
}

static inline int err_tells(const struct call *call, const mfa_error *err, mfa_code code)
{
    int provider = call->takes & HYPERID ? MFA_PROVIDER_HYPERID : MFA_PROVIDER_CAPILLARY;

    return err->code == code && err->message[0] != 0 && err->provider == provider &&
           err->flags == 0 && err->os_error == 0;
}

static inline int out_decides_nothing(const struct call *call, const struct args *a)
{
    if (call->takes & OUT_ID && a->out_id_at != NULL) {
        return a->out_id == 0;
    }
    if (call->takes & OUT_TICKET && a->out_ticket_at != NULL) {
        return a->out_ticket == 0;
    }
    return !(call->takes & OUT_STRUCT) || a->out_at == NULL || first_decision(a->out_at) == 0;
}

/* Runs a prepared call and judges all of it. */
static inline void judge(const struct call *call, struct args *a, const char *what, mfa_code wanted)
{
    char name[160];
    mfa_code code = expected(call, wanted);
    mfa_code got = call->run(a);
    int told = a->err_at != &a->err || err_tells(call, &a->err, code);
    int reset = out_decides_nothing(call, a);
    int quiet = listener_saw_nothing(&nobody);

    snprintf(name, sizeof name, "%s: %s", call->name, what);
    check(got == code && told && reset && quiet, name,
          "%s in place of %s; err %s, provider %d, flags %u, \"%s\"%s%s", mfa_code_name(got),
          mfa_code_name(code), mfa_code_name(a->err.code), (int)a->err.provider,
          (unsigned)a->err.flags, a->err.message, reset ? "" : "; out not reset",
          quiet ? "" : "; a connection was made");
}

/* The codes that the tables name most. */
#define ARGUMENT MFA_ERR_INVALID_ARGUMENT
#define POINTER MFA_ERR_NULL_POINTER
#define UTF8 MFA_ERR_INVALID_UTF8
#define REACHES REACHES_THE_SERVER

static inline void set_up(void)
{
    listener_open(&nobody, 16);
    peer_start(&server, PEER_ANSWERS, refusal);
    hyperid_nobody = hyperid_at(nobody.url);
    capillary_nobody = capillary_at(nobody.url);
    hyperid_server = hyperid_at(server.listener.url);
    capillary_server = capillary_at(server.listener.url);
}

static inline void tear_down(void)
{
    mfa_hyperid_free(hyperid_nobody);
    mfa_hyperid_free(hyperid_server);
    mfa_capillary_free(capillary_nobody);
    mfa_capillary_free(capillary_server);
    peer_stop(&server);
    listener_close(&nobody);
}

#endif
