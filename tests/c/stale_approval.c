/*
 * An approval from yesterday must not survive in a struct that is used again: whatever makes a
 * call fail, its `out` says "no decision" afterwards, and `mfa_is_approved` says no, even when it
 * is asked with MFA_OK by a program that has mixed up its codes.
 */
#include "check.h"

static const char *hyperid_url;
static const char *capillary_url;

/* Every out struct of the library, each filled with yesterday's good news. */
struct stale {
    mfa_transaction transaction;
    mfa_availability availability;
    mfa_two_factor_types types;
    mfa_registration registration;
    int64_t id;
};

static void fill(struct stale *stale)
{
    memset(stale, 0x01, sizeof *stale);
    stale->transaction.struct_size = sizeof stale->transaction;
    stale->transaction.decision = MFA_DECISION_APPROVED;
    stale->transaction.transaction_id = 4711;
    stale->availability.struct_size = sizeof stale->availability;
    stale->availability.available = 1;
    stale->types.struct_size = sizeof stale->types;
    stale->types.methods = MFA_METHOD_APP;
    stale->registration.struct_size = sizeof stale->registration;
    stale->registration.state = MFA_REGISTRATION_REGISTERED;
    stale->id = 4711;
}

/* The arguments with which a call is made to fail. */
struct failing {
    const mfa_hyperid *hyperid;
    const mfa_capillary *capillary;
    const char *token;
    const char *brand;
    int64_t id;
    mfa_request request;
    mfa_wait_options wait;
    mfa_call_options options;
    mfa_error *err;
};

static mfa_error error;

static struct failing failing_at(const mfa_hyperid *hyperid, const mfa_capillary *capillary)
{
    static const mfa_request request = MFA_REQUEST_INIT;
    static const mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;
    static const mfa_error empty = MFA_ERROR_INIT;
    struct failing f;

    memset(&f, 0, sizeof f);
    error = empty;
    f.hyperid = hyperid;
    f.capillary = capillary;
    f.token = "sandbox-approve";
    f.brand = "demo-brand";
    f.id = 4294967297;
    f.request = request;
    f.request.question = "Sign in?";
    f.wait = wait;
    f.wait.min_interval_ms = 50;
    f.options = within(120, NULL);
    f.err = &error;
    return f;
}

/* `kept_id`: the id that the call knew, which may stay in the transaction; 0: none. */
static void check_transaction(const char *call, const char *why, mfa_code code,
                              const mfa_transaction *t, int64_t kept_id)
{
    char name[160];
    int decided = t->decision >= MFA_DECISION_APPROVED && t->decision <= MFA_DECISION_FAILED;
    int id_ok = t->transaction_id == 0 || kept_id < 0 || t->transaction_id == kept_id;

    snprintf(name, sizeof name, "%s wiped: %s", call, why);
    check(code != MFA_OK && !decided && !mfa_is_approved(MFA_OK, t) &&
              !mfa_is_approved(code, t) && id_ok && t->polls < 1000 && t->elapsed_ms < 100000,
          name, "%s, decision %d, id %lld", mfa_code_name(code), (int)t->decision,
          (long long)t->transaction_id);
}

static int types_are_wiped(const mfa_two_factor_types *types)
{
    int i;

    for (i = 0; i < 16; i++) {
        if (types->raw[i] != -1) {
            return 0;
        }
    }
    return types->methods == 0 && types->count == 0;
}

static void hyperid_calls(const struct failing *f, const char *why)
{
    struct stale s;
    char name[160];
    mfa_code code;

    fill(&s);
    code = mfa_hyperid_availability(f->hyperid, f->token, &f->options, &s.availability, f->err);
    snprintf(name, sizeof name, "availability wiped: %s", why);
    check(code != MFA_OK && s.availability.available == 0, name, "%s", mfa_code_name(code));
    code = mfa_hyperid_two_factor_types(f->hyperid, f->token, &f->options, &s.types, f->err);
    snprintf(name, sizeof name, "two_factor_types wiped: %s", why);
    check(code != MFA_OK && types_are_wiped(&s.types), name, "%s", mfa_code_name(code));
    code = mfa_hyperid_start(f->hyperid, f->token, &f->request, &f->options, &s.id, f->err);
    snprintf(name, sizeof name, "start's id wiped: %s", why);
    check(code != MFA_OK && s.id == 0, name, "%s, id %lld", mfa_code_name(code), (long long)s.id);
    code = mfa_hyperid_status(f->hyperid, f->token, f->id, &f->options, &s.transaction, f->err);
    check_transaction("status", why, code, &s.transaction, f->id);
    fill(&s);
    code = mfa_hyperid_wait(f->hyperid, f->token, f->id, &f->wait, &f->options, &s.transaction,
                            f->err);
    check_transaction("wait", why, code, &s.transaction, f->id);
    fill(&s);
    code = mfa_hyperid_confirm(f->hyperid, f->token, &f->request, &f->wait, &f->options,
                               &s.transaction, f->err);
    check_transaction("confirm", why, code, &s.transaction, -1);
}

static void capillary_call(const struct failing *f, const char *why)
{
    struct stale s;
    char name[160];
    mfa_code code;

    fill(&s);
    code = mfa_capillary_is_mfa_registered(f->capillary, f->brand, "device", f->token, &f->options,
                                           &s.registration, f->err);
    snprintf(name, sizeof name, "registration wiped: %s", why);
    check(code != MFA_OK && s.registration.state == MFA_REGISTRATION_NONE &&
              s.registration.raw_code == -1 && s.registration.http_status == 0,
          name, "%s, state %d, raw_code %d, http_status %d", mfa_code_name(code),
          (int)s.registration.state, (int)s.registration.raw_code,
          (int)s.registration.http_status);
}

static void every_call(const struct failing *f, const char *why)
{
    hyperid_calls(f, why);
    capillary_call(f, why);
}

/* The caller's own mistakes ------------------------------------------------------------------- */

static void caller_errors(const mfa_hyperid *hyperid, const mfa_capillary *capillary)
{
    struct failing f = failing_at(NULL, NULL);

    every_call(&f, "client NULL");
    f = failing_at(hyperid, capillary);
    f.token = NULL;
    every_call(&f, "token NULL");
    f.token = "not\xff utf8";
    every_call(&f, "token not UTF-8");
    f.token = "a b";
    every_call(&f, "token with a space");
    f = failing_at(hyperid, capillary);
    f.options.struct_size = 3;
    every_call(&f, "options of a wrong size");
    f = failing_at(hyperid, capillary);
    f.token = "";
    f.err = NULL;
    every_call(&f, "err NULL");
    f = failing_at(hyperid, capillary);
    error.struct_size = 5;
    every_call(&f, "err of a wrong size");
    check_int("an err of a wrong size is left alone", error.code, 0);
}

/* Mistakes that only some calls can make. */
static void callers_other_errors(const mfa_hyperid *hyperid)
{
    struct failing f = failing_at(hyperid, NULL);
    struct stale s;
    mfa_code code;

    fill(&s);
    code = mfa_hyperid_confirm(hyperid, f.token, NULL, NULL, NULL, &s.transaction, NULL);
    check_transaction("confirm", "request NULL", code, &s.transaction, 0);
    fill(&s);
    f.request.code = "x";
    code = mfa_hyperid_confirm(hyperid, f.token, &f.request, NULL, NULL, &s.transaction, NULL);
    check_transaction("confirm", "a code that is not two digits", code, &s.transaction, 0);
    fill(&s);
    f.wait.cancel_on_timeout = 2;
    code = mfa_hyperid_wait(hyperid, f.token, 1, &f.wait, NULL, &s.transaction, NULL);
    check_transaction("wait", "cancel_on_timeout 2", code, &s.transaction, 1);
    fill(&s);
    code = mfa_hyperid_status(hyperid, f.token, -1, NULL, &s.transaction, NULL);
    check_transaction("status", "id -1", code, &s.transaction, 0);
    fill(&s);
    code = mfa_hyperid_wait(hyperid, f.token, 0, NULL, NULL, &s.transaction, NULL);
    check_transaction("wait", "id 0", code, &s.transaction, 0);
}

/* A refused size of at least 8 still has its decision wiped; less has no room for one. */
static void refused_sizes(const mfa_hyperid *hyperid, const mfa_capillary *capillary)
{
    static const uint32_t sizes[] = { 8, 12, 4097, UINT32_MAX };
    struct stale s;
    char name[80];
    size_t i;

    for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        mfa_code code[4];

        fill(&s);
        s.transaction.struct_size = sizes[i];
        code[0] = mfa_hyperid_status(hyperid, "t", 1, NULL, &s.transaction, NULL);
        code[0] += s.transaction.decision;
        s.transaction.decision = MFA_DECISION_APPROVED;
        code[0] += mfa_hyperid_confirm(hyperid, "t", NULL, NULL, NULL, &s.transaction, NULL);
        snprintf(name, sizeof name, "decision wiped: out of size %lu", (unsigned long)sizes[i]);
        check(s.transaction.decision == 0 && code[0] == MFA_ERR_STRUCT_SIZE + MFA_ERR_NULL_POINTER,
              name, "decision %d", (int)s.transaction.decision);
        check_int(name, mfa_is_approved(MFA_OK, &s.transaction), 0);
        s.registration.struct_size = sizes[i] == 12 ? 15 : sizes[i];
        code[1] = mfa_capillary_is_mfa_registered(capillary, "b", "d", "t", NULL, &s.registration,
                                                  NULL);
        check(code[1] == MFA_ERR_STRUCT_SIZE && s.registration.state == 0, name, "state %d",
              (int)s.registration.state);
        s.types.struct_size = sizes[i];
        code[2] = mfa_hyperid_two_factor_types(hyperid, "t", NULL, &s.types, NULL);
        check(code[2] == MFA_ERR_STRUCT_SIZE && s.types.methods == 0, name, "methods %u",
              (unsigned)s.types.methods);
        if (sizes[i] > 4096) {
            s.availability.struct_size = sizes[i];
            code[3] = mfa_hyperid_availability(hyperid, "t", NULL, &s.availability, NULL);
            check(code[3] == MFA_ERR_STRUCT_SIZE && s.availability.available == 0, name,
                  "available %d", (int)s.availability.available);
        }
    }
}

/* The network --------------------------------------------------------------------------------- */

static void network_errors(void)
{
    struct listener closed;
    mfa_hyperid *hyperid;
    mfa_capillary *capillary;
    struct failing f;

    closed_port(&closed);
    hyperid = hyperid_at(closed.url);
    capillary = capillary_at(closed.url);
    f = failing_at(hyperid, capillary);
    every_call(&f, "connection refused");
    mfa_hyperid_free(hyperid);
    mfa_capillary_free(capillary);
}

static void triggered(const mfa_hyperid *hyperid, const mfa_capillary *capillary)
{
    mfa_cancel *cancel = mfa_cancel_new();
    struct failing f = failing_at(hyperid, capillary);

    f.options.cancel = cancel;
    mfa_cancel_trigger(cancel);
    every_call(&f, "cancelled");
    mfa_cancel_free(cancel);
}

/* The peer's trouble, whichever call meets it. */
static void peers_trouble(void)
{
    struct peer peer;
    mfa_hyperid *hyperid;
    mfa_capillary *capillary;
    struct failing f;

    peer_start(&peer, PEER_IS_SILENT, "");
    hyperid = hyperid_at(peer.listener.url);
    capillary = capillary_at(peer.listener.url);
    f = failing_at(hyperid, capillary);
    every_call(&f, "no answer before the deadline");
    peer_set(&peer, PEER_CLOSES_ON_BYTES, "");
    every_call(&f, "connection lost");
    peer_set(&peer, PEER_ANSWERS, "<html>");
    every_call(&f, "an answer that is not JSON");
    peer_set(&peer, PEER_ANSWERS, "");
    every_call(&f, "an empty answer");
    peer_set(&peer, PEER_ANSWERS, "{}");
    every_call(&f, "an answer without fields");
    peer_set(&peer, PEER_ANSWERS, "{\"result\":-99}");
    every_call(&f, "an unknown refusal");
    peer_set(&peer, PEER_ANSWERS, "{\"result\":1,\"transaction_status\":1}");
    every_call(&f, "a positive result");
    mfa_hyperid_free(hyperid);
    mfa_capillary_free(capillary);
    peer_stop(&peer);
}

/* The sandbox's trouble: magic tokens that end every call. */
static void sandbox_trouble(void)
{
    static const char *const tokens[] = {
        "sandbox-token-expired", "sandbox-token-invalid", "sandbox-refuse--99",
        "sandbox-html-404",      "sandbox-not-json",      "sandbox-duplicate-key",
        "sandbox-huge-number",   "sandbox-trailing-bytes", "sandbox-deep-nesting",
        "sandbox-redirect",      "sandbox-gzip",          "sandbox-oversize",
        "sandbox-endless-headers", "sandbox-truncated-content-length",
        "sandbox-close-mid-answer", "sandbox-stall-mid-answer", "sandbox-html-503",
        "unknown-token",
    };
    mfa_hyperid *hyperid = hyperid_at(hyperid_url);
    mfa_capillary *capillary = capillary_at(capillary_url);
    struct failing f = failing_at(hyperid, capillary);
    size_t i;

    /* Long enough for the largest answer, which is cut off and not timed out. */
    for (i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        f.token = tokens[i];
        every_call(&f, tokens[i]);
    }
    mfa_hyperid_free(hyperid);
    mfa_capillary_free(capillary);
}

/* A status answer that must not be believed, although it is nearly an approval. */
static void nearly_approvals(void)
{
    static const char *const tokens[] = {
        "sandbox-approve-after-0+wrong-id",
        "sandbox-approve-after-0+status-missing",
        "sandbox-approve-after-0+complete-result-missing",
        "sandbox-approve-after-0+complete-result-null",
        "sandbox-approve-after-0+complete-result-string",
        "sandbox-approve-after-0+negative-status",
        "sandbox-approve-after-0+result-missing@status",
        "sandbox-approve-after-0+result-positive@status",
        "sandbox-approve-after-0+duplicate-key@status",
        "sandbox-approve-after-0+trailing-bytes@status",
        "sandbox-approve-after-0+http-500@status",
        "sandbox-approve-after-0+http-201@status",
        "sandbox-approve-after-0+http-404@status",
        "sandbox-approve-after-0+set-transaction_complete_result=false@status",
        "sandbox-approve-after-0+set-transaction_complete_result=0.0@status",
        "sandbox-approve-after-0+set-transaction_status=true@status",
        "sandbox-approve-after-0+set-transaction_status=1.0@status",
        "sandbox-approve-after-0+set-transaction_status=\"1\"@status",
        "sandbox-approve-after-0+set-result=\"0\"@status",
        "sandbox-approve-after-0+set-result=null@status",
        "sandbox-never",
    };
    mfa_hyperid *client = hyperid_at(hyperid_url);
    struct failing f = failing_at(client, NULL);
    struct stale s;
    size_t i;

    f.options = within(1000, NULL);
    for (i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        mfa_code code;

        fill(&s);
        code = mfa_hyperid_confirm(client, tokens[i], &f.request, &f.wait, &f.options,
                                   &s.transaction, &error);
        check_transaction("confirm", tokens[i], code, &s.transaction, -1);
    }
    fill(&s);
    f.token = "sandbox-approve-after-0+set-transaction_complete_result=2@status";
    mfa_hyperid_confirm(client, f.token, &f.request, &f.wait, &f.options, &s.transaction, &error);
    check(s.transaction.decision == MFA_DECISION_UNKNOWN &&
              !mfa_is_approved(MFA_OK, &s.transaction),
          "confirm: an unknown complete result is no approval", "decision %d",
          (int)s.transaction.decision);
    mfa_hyperid_free(client);
}

int main(void)
{
    struct listener nobody;
    mfa_hyperid *hyperid;
    mfa_capillary *capillary;

    hyperid_url = sandbox_url("MFA_TEST_HYPERID_URL");
    capillary_url = sandbox_url("MFA_TEST_CAPILLARY_URL");
    listener_open(&nobody, 16);
    hyperid = hyperid_at(nobody.url);
    capillary = capillary_at(nobody.url);
    caller_errors(hyperid, capillary);
    callers_other_errors(hyperid);
    refused_sizes(hyperid, capillary);
    triggered(hyperid, capillary);
    check(listener_saw_nothing(&nobody), "none of these sent anything", "a connection was made");
    mfa_hyperid_free(hyperid);
    mfa_capillary_free(capillary);
    listener_close(&nobody);
    network_errors();
    peers_trouble();
    sandbox_trouble();
    nearly_approvals();
    return check_finish();
}
