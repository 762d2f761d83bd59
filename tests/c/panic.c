/*
 * No panic crosses the boundary: for each function one is planted, and what comes back is an error
 * or a harmless value; the next call works.
 *
 * Only a library built with `RUSTFLAGS='--cfg mfa_plant_panics'` can plant them (by the name in the
 * environment's MFA_PLANT_PANIC), so this runs only when MFA_TEST_PANICS is 1. The messages on the
 * standard error are Rust's own panic hook's, which libmfa leaves alone.
 */
#include "check.h"

#define REFUSAL "{\"result\":-3,\"status\":{\"success\":false,\"code\":9999,\"message\":\"no\"}}"

static mfa_hyperid *hyperid;
static mfa_capillary *capillary;
static mfa_waiter *waiter;

static void plant(const char *function)
{
    need(setenv("MFA_PLANT_PANIC", function, 1) == 0, "setenv");
}

static void unplant(void)
{
    need(unsetenv("MFA_PLANT_PANIC") == 0, "unsetenv");
}

/* What every fallible call is given, and what it leaves behind. */
struct result {
    mfa_code code;
    mfa_error err;
    mfa_transaction transaction;
    mfa_availability availability;
    mfa_two_factor_types types;
    mfa_registration registration;
    mfa_event event;
    int64_t id;
    uint64_t ticket;
    void *handle;
    char text[3];
};

static void stale(struct result *r)
{
    memset(r, 0x01, sizeof *r);
    r->err.struct_size = sizeof r->err;
    r->transaction.struct_size = sizeof r->transaction;
    r->transaction.decision = MFA_DECISION_APPROVED;
    r->availability.struct_size = sizeof r->availability;
    r->availability.available = 1;
    r->types.struct_size = sizeof r->types;
    r->types.methods = MFA_METHOD_APP;
    r->registration.struct_size = sizeof r->registration;
    r->registration.state = MFA_REGISTRATION_REGISTERED;
    r->event.struct_size = sizeof r->event;
    r->event.kind = MFA_EVENT_ENDED;
    r->event.code = MFA_OK;
    r->id = 4711;
    r->ticket = 4711;
    r->handle = r;
    memcpy(r->text, "12", 3);
}

static void call_hyperid_new(struct result *r)
{
    mfa_hyperid *made = (mfa_hyperid *)r->handle;

    r->code = mfa_hyperid_new(NULL, &made, &r->err);
    r->handle = made;
    if (r->code == MFA_OK) {
        mfa_hyperid_free(made);
    }
}

static void call_capillary_new(struct result *r)
{
    mfa_capillary *made = (mfa_capillary *)r->handle;
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;

    options.base_url = "https://mfa.example";
    r->code = mfa_capillary_new(&options, &made, &r->err);
    r->handle = made;
    if (r->code == MFA_OK) {
        mfa_capillary_free(made);
    }
}

static void call_availability(struct result *r)
{
    r->code = mfa_hyperid_availability(hyperid, "token", NULL, &r->availability, &r->err);
}

static void call_types(struct result *r)
{
    r->code = mfa_hyperid_two_factor_types(hyperid, "token", NULL, &r->types, &r->err);
}

static void call_start(struct result *r)
{
    mfa_request request = MFA_REQUEST_INIT;

    request.question = "Sign in?";
    r->code = mfa_hyperid_start(hyperid, "token", &request, NULL, &r->id, &r->err);
}

static void call_status(struct result *r)
{
    r->code = mfa_hyperid_status(hyperid, "token", 1, NULL, &r->transaction, &r->err);
}

static void call_cancel(struct result *r)
{
    r->code = mfa_hyperid_cancel(hyperid, "token", 1, NULL, &r->err);
}

static void call_wait(struct result *r)
{
    r->code = mfa_hyperid_wait(hyperid, "token", 1, NULL, NULL, &r->transaction, &r->err);
}

static void call_confirm(struct result *r)
{
    mfa_request request = MFA_REQUEST_INIT;

    request.question = "Sign in?";
    r->code = mfa_hyperid_confirm(hyperid, "token", &request, NULL, NULL, &r->transaction, &r->err);
}

static void call_control_code(struct result *r)
{
    r->code = mfa_control_code(r->text, sizeof r->text, &r->err);
}

static void call_registered(struct result *r)
{
    r->code = mfa_capillary_is_mfa_registered(capillary, "b", "d", "token", NULL, &r->registration,
                                              &r->err);
}

static void call_waiter_new(struct result *r)
{
    mfa_waiter *made = (mfa_waiter *)r->handle;

    r->code = mfa_waiter_new(hyperid, NULL, &made, &r->err);
    r->handle = made;
    if (r->code == MFA_OK) {
        mfa_waiter_free(made);
    }
}

static void call_waiter_confirm(struct result *r)
{
    mfa_request request = MFA_REQUEST_INIT;

    request.question = "Sign in?";
    r->code = mfa_waiter_confirm(waiter, "token", &request, NULL, NULL, NULL, &r->ticket, &r->err);
}

static void call_waiter_wait(struct result *r)
{
    r->code = mfa_waiter_wait(waiter, "token", 1, NULL, NULL, NULL, &r->ticket, &r->err);
}

static void call_waiter_cancel(struct result *r)
{
    r->code = mfa_waiter_cancel(waiter, 1, 0, &r->err);
}

static void call_waiter_cancel_all(struct result *r)
{
    r->code = mfa_waiter_cancel_all(waiter, 0, &r->err);
}

static void call_waiter_give_token(struct result *r)
{
    r->code = mfa_waiter_give_token(waiter, 1, "token", &r->err);
}

static void call_waiter_next(struct result *r)
{
    r->code = mfa_waiter_next(waiter, 0, &r->event, &r->transaction, NULL, &r->err);
}

static int ticket_is_reset(const struct result *r)
{
    return r->ticket == 0;
}

static int event_is_reset(const struct result *r)
{
    return r->event.kind == MFA_EVENT_NONE && r->event.code == MFA_ERR_NOT_ENDED &&
           r->transaction.decision == 0;
}

static int id_is_reset(const struct result *r)
{
    return r->id == 0;
}

static int handle_is_reset(const struct result *r)
{
    return r->handle == NULL;
}

static int transaction_is_reset(const struct result *r)
{
    return r->transaction.decision == 0 && !mfa_is_approved(MFA_OK, &r->transaction);
}

static int availability_is_reset(const struct result *r)
{
    return r->availability.available == 0;
}

static int types_are_reset(const struct result *r)
{
    return r->types.methods == 0;
}

static int registration_is_reset(const struct result *r)
{
    return r->registration.state == 0;
}

static int text_is_reset(const struct result *r)
{
    return r->text[0] == 0;
}

static int nothing_to_reset(const struct result *r)
{
    return r->code != MFA_OK;
}

#define NOBODY 0
#define A_PERSON 1

struct fallible {
    const char *name;
    int32_t provider;
    int asks;
    void (*call)(struct result *r);
    int (*is_reset)(const struct result *r);
    mfa_code otherwise;
};

static const struct fallible fallibles[] = {
    { "mfa_hyperid_new", MFA_PROVIDER_HYPERID, NOBODY, call_hyperid_new, handle_is_reset, MFA_OK },
    { "mfa_hyperid_availability", MFA_PROVIDER_HYPERID, NOBODY,
      call_availability, availability_is_reset, MFA_ERR_ACCESS_DENIED },
    { "mfa_hyperid_two_factor_types", MFA_PROVIDER_HYPERID, NOBODY,
      call_types, types_are_reset, MFA_ERR_ACCESS_DENIED },
    { "mfa_hyperid_start", MFA_PROVIDER_HYPERID, A_PERSON,
      call_start, id_is_reset, MFA_ERR_ACCESS_DENIED },
    { "mfa_hyperid_status", MFA_PROVIDER_HYPERID, NOBODY,
      call_status, transaction_is_reset, MFA_ERR_ACCESS_DENIED },
    { "mfa_hyperid_cancel", MFA_PROVIDER_HYPERID, NOBODY,
      call_cancel, nothing_to_reset, MFA_ERR_ACCESS_DENIED },
    { "mfa_hyperid_wait", MFA_PROVIDER_HYPERID, NOBODY,
      call_wait, transaction_is_reset, MFA_ERR_ACCESS_DENIED },
    { "mfa_hyperid_confirm", MFA_PROVIDER_HYPERID, A_PERSON,
      call_confirm, transaction_is_reset, MFA_ERR_ACCESS_DENIED },
    { "mfa_waiter_new", MFA_PROVIDER_HYPERID, NOBODY, call_waiter_new, handle_is_reset, MFA_OK },
    /* An add sends nothing yet. */
    { "mfa_waiter_confirm", MFA_PROVIDER_HYPERID, NOBODY,
      call_waiter_confirm, ticket_is_reset, MFA_OK },
    { "mfa_waiter_wait", MFA_PROVIDER_HYPERID, NOBODY, call_waiter_wait, ticket_is_reset, MFA_OK },
    { "mfa_waiter_cancel", MFA_PROVIDER_HYPERID, NOBODY,
      call_waiter_cancel, nothing_to_reset, MFA_OK },
    { "mfa_waiter_cancel_all", MFA_PROVIDER_HYPERID, NOBODY,
      call_waiter_cancel_all, nothing_to_reset, MFA_OK },
    { "mfa_waiter_give_token", MFA_PROVIDER_HYPERID, NOBODY,
      call_waiter_give_token, nothing_to_reset, MFA_OK },
    { "mfa_waiter_next", MFA_PROVIDER_HYPERID, NOBODY, call_waiter_next, event_is_reset, MFA_OK },
    { "mfa_control_code", MFA_PROVIDER_NONE, NOBODY, call_control_code, text_is_reset, MFA_OK },
    { "mfa_capillary_new", MFA_PROVIDER_CAPILLARY, NOBODY,
      call_capillary_new, handle_is_reset, MFA_OK },
    { "mfa_capillary_is_mfa_registered", MFA_PROVIDER_CAPILLARY, NOBODY,
      call_registered, registration_is_reset, MFA_ERR_PROVIDER_REFUSED },
};

static void fallible(const struct fallible *f)
{
    struct result r;
    char name[100];

    stale(&r);
    plant(f->name);
    f->call(&r);
    unplant();
    snprintf(name, sizeof name, "%s: a panic becomes an error", f->name);
    check_int(name, r.code, MFA_ERR_INTERNAL);
    snprintf(name, sizeof name, "%s: and is told", f->name);
    check(r.err.code == MFA_ERR_INTERNAL && strstr(r.err.message, f->name) != NULL, name, "%d: %s",
          (int)r.err.code, r.err.message);
    snprintf(name, sizeof name, "%s: and whose call it was", f->name);
    check_int(name, r.err.provider, f->provider);
    snprintf(name, sizeof name, "%s: whether the person may have been asked", f->name);
    check_int(name, (r.err.flags & MFA_ERROR_OUTCOME_UNKNOWN) != 0, f->asks);
    snprintf(name, sizeof name, "%s: and leaves no answer", f->name);
    check(f->is_reset(&r), name, "out was not reset");
    stale(&r);
    f->call(&r);
    snprintf(name, sizeof name, "%s: the next call works", f->name);
    check_code(name, r.code, f->otherwise, &r.err);
}

static void plain_values(void)
{
    mfa_transaction yes = MFA_TRANSACTION_INIT;
    mfa_event ended = MFA_EVENT_INIT;

    plant("mfa_version");
    check(strcmp(mfa_version(), "") != 0, "mfa_version", "it is empty");
    plant("mfa_abi_version");
    check_int("mfa_abi_version", mfa_abi_version(), MFA_ABI_VERSION);
    plant("mfa_struct_size");
    check_int("mfa_struct_size", (long long)mfa_struct_size("mfa_error"), 0);
    plant("mfa_code_name");
    check(strcmp(mfa_code_name(MFA_OK), "MFA_ERR_?") == 0, "mfa_code_name", "it is a name");
    plant("mfa_code_message");
    check(mfa_code_message(MFA_OK) != NULL, "mfa_code_message", "it is NULL");
    yes.decision = MFA_DECISION_APPROVED;
    plant("mfa_is_approved");
    check_int("mfa_is_approved: a panic is no approval", mfa_is_approved(MFA_OK, &yes), 0);
    unplant();
    check_int("mfa_is_approved: the next call works", mfa_is_approved(MFA_OK, &yes), 1);
    ended.kind = MFA_EVENT_ENDED;
    plant("mfa_event_is_approved");
    check_int("mfa_event_is_approved: a panic is no approval", mfa_event_is_approved(&ended, &yes), 0);
    unplant();
    check_int("mfa_event_is_approved: the next call works", mfa_event_is_approved(&ended, &yes), 1);
    plant("mfa_waiter_count");
    check_int("mfa_waiter_count", mfa_waiter_count(waiter), 0);
    plant("mfa_waiter_fd");
    check_int("mfa_waiter_fd", (long long)mfa_waiter_fd(waiter), -1);
    plant("mfa_waiter_wake");
    mfa_waiter_wake(waiter);
    unplant();
    check(mfa_waiter_count(waiter) > 0 && mfa_waiter_fd(waiter) > 2, "a waiter: the next calls work",
          "count %u, fd %d", (unsigned)mfa_waiter_count(waiter), (int)mfa_waiter_fd(waiter));
}

/* A planted panic keeps `free` from freeing, so each is freed a second time, for good. */
static void handles(void)
{
    mfa_cancel *cancel;

    plant("mfa_cancel_new");
    check(mfa_cancel_new() == NULL, "mfa_cancel_new", "it is not NULL");
    unplant();
    cancel = mfa_cancel_new();
    check(cancel != NULL, "mfa_cancel_new: the next call works", "it is NULL");
    plant("mfa_cancel_trigger");
    mfa_cancel_trigger(cancel);
    plant("mfa_cancel_free");
    mfa_cancel_free(cancel);
    plant("mfa_waiter_free");
    mfa_waiter_free(waiter);
    plant("mfa_hyperid_free");
    mfa_hyperid_free(hyperid);
    plant("mfa_capillary_free");
    mfa_capillary_free(capillary);
    unplant();
    check(1, "trigger and free: a panic does not get out", "it did");
    mfa_cancel_trigger(cancel);
    mfa_cancel_free(cancel);
    mfa_waiter_free(waiter);
    mfa_hyperid_free(hyperid);
    mfa_capillary_free(capillary);
}

int main(void)
{
    const char *wanted = getenv("MFA_TEST_PANICS");
    struct peer peer;
    size_t i;

    if (wanted == NULL || strcmp(wanted, "1") != 0) {
        printf("skipped: MFA_TEST_PANICS is not 1\n");
        return check_finish();
    }
    peer_start(&peer, PEER_ANSWERS, REFUSAL);
    hyperid = hyperid_at(peer.listener.url);
    capillary = capillary_at(peer.listener.url);
    need(mfa_waiter_new(hyperid, NULL, &waiter, NULL) == MFA_OK, "a waiter");
    for (i = 0; i < sizeof fallibles / sizeof fallibles[0]; i++) {
        fallible(&fallibles[i]);
    }
    plain_values();
    handles();
    peer_stop(&peer);
    return check_finish();
}
