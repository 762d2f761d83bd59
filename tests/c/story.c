/*
 * The library against the sandbox: each behaviour of a person, of the provider and of the network,
 * chosen by the token, and what the caller gets to see of it.
 */
#include "check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static mfa_hyperid *client;
static const char *url;

/* Tokens ---------------------------------------------------------------------------------------- */

/* The sandbox remembers people, and may be older than this run: so each token gets a person of its
 * own. `text` may hold several tokens; a few are in use at once. */
static const char *fresh(const char *behaviours)
{
    static char texts[8][300];
    static int next;
    char *text = texts[next++ % 8];

    snprintf(text, sizeof texts[0], "sandbox-%s#%ld-%d", behaviours, (long)getpid(), next);
    return text;
}

/* Another token of the same person. */
static const char *same_person(const char *behaviours, const char *token)
{
    static char text[300];

    snprintf(text, sizeof text, "sandbox-%s%s", behaviours, strchr(token, '#'));
    return text;
}

/* The phone's list ------------------------------------------------------------------------------ */

static void read_all(int fd, char *text, size_t size)
{
    size_t used = 0;
    struct pollfd wait;

    wait.fd = fd;
    wait.events = POLLIN;
    for (;;) {
        ssize_t n;

        poll(&wait, 1, 20000);
        n = recv(fd, text + used, size - 1 - used, 0);
        if (n <= 0) {
            break;
        }
        used += (size_t)n;
    }
    text[used] = 0;
}

/* What the person's phone shows, as JSON. */
static const char *phone(void)
{
    static char text[200000];
    char request[200];
    const char *port = strrchr(url, ':');
    struct sockaddr_in address = loopback_address(atoi(port + 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    need(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "connect to the sandbox");
    snprintf(request, sizeof request,
             "GET /phone/api/requests HTTP/1.1\r\nHost: 127.0.0.1%s\r\nConnection: close\r\n\r\n",
             port);
    need(send(fd, request, strlen(request), 0) == (ssize_t)strlen(request), "ask the sandbox");
    read_all(fd, text, sizeof text);
    close(fd);
    return text;
}

/* How many requests have reached the phone of the token's person. */
static int pushes(const char *token)
{
    char user[100];
    const char *at = phone();
    int count = 0;

    snprintf(user, sizeof user, "\"user\":\"%s\"", strchr(token, '#') + 1);
    while ((at = strstr(at, user)) != NULL) {
        count++;
        at++;
    }
    return count;
}

/* One call ------------------------------------------------------------------------------------- */

static mfa_request question(void)
{
    mfa_request request = MFA_REQUEST_INIT;

    request.question = "Sign in?";
    request.code = "42";
    return request;
}

static mfa_wait_options quick(void)
{
    mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;

    wait.min_interval_ms = 50;
    wait.max_interval_ms = 200;
    return wait;
}

static mfa_code confirm(const char *token, const mfa_wait_options *wait, uint32_t timeout_ms,
                        mfa_transaction *out, mfa_error *err)
{
    mfa_request request = question();
    mfa_call_options options = within(timeout_ms, NULL);
    static const mfa_error empty = MFA_ERROR_INIT;

    *err = empty;
    out->struct_size = sizeof *out;
    return mfa_hyperid_confirm(client, token, &request, wait, &options, out, err);
}

/* The person's decisions ------------------------------------------------------------------------ */

struct decided {
    const char *behaviours;
    int32_t decision;
    int32_t raw_status;
};

static const struct decided decisions[] = {
    { "approve", MFA_DECISION_APPROVED, 1 },
    { "approve-after-0", MFA_DECISION_APPROVED, 1 },
    { "deny-after-90", MFA_DECISION_DENIED, 1 },
    { "expire-after-90", MFA_DECISION_EXPIRED, 2 },
    { "failed-after-90", MFA_DECISION_FAILED, 3 },
    { "declined-after-90", MFA_DECISION_CANCELLED, 4 },
    /* Oddities that change nothing. */
    { "approve-after-90+id-as-string", MFA_DECISION_APPROVED, 1 },
    { "approve-after-90+id-missing", MFA_DECISION_APPROVED, 1 },
    { "approve-after-90+unknown-status-2", MFA_DECISION_APPROVED, 1 },
    { "deny-after-90+unknown-status-2", MFA_DECISION_DENIED, 1 },
    { "approve-after-90+chunked", MFA_DECISION_APPROVED, 1 },
    { "deny-after-90+interim", MFA_DECISION_DENIED, 1 },
    { "approve-after-90+until-close", MFA_DECISION_APPROVED, 1 },
    { "deny-after-90+connection-close", MFA_DECISION_DENIED, 1 },
    { "approve-after-90+close-after-answer@status", MFA_DECISION_APPROVED, 1 },
    { "approve-after-90+drip-1@status", MFA_DECISION_APPROVED, 1 },
    /* Trouble that passes. */
    { "approve-after-90+empty-500*1@availability", MFA_DECISION_APPROVED, 1 },
    { "approve-after-90+close-before-answer*2@status", MFA_DECISION_APPROVED, 1 },
    { "deny-after-90+close-mid-answer*1@status", MFA_DECISION_DENIED, 1 },
    { "approve-after-90+refuse--1*2@status", MFA_DECISION_APPROVED, 1 },
    { "deny-after-90+empty-500*2@status", MFA_DECISION_DENIED, 1 },
    /* An approval that nobody asked for does not turn a denial. */
    { "deny-after-90+second-answer", MFA_DECISION_DENIED, 1 },
    { "deny-after-90+second-answer-later-5@status", MFA_DECISION_DENIED, 1 },
    { "never+second-answer+expire-after-500", MFA_DECISION_NONE, 0 },
};

static void people_decide(void)
{
    mfa_wait_options wait = quick();
    mfa_transaction t = MFA_TRANSACTION_INIT;
    mfa_error err;
    size_t i;

    for (i = 0; i + 1 < COUNT(decisions); i++) {
        const struct decided *row = &decisions[i];
        mfa_code code = confirm(fresh(row->behaviours), &wait, 20000, &t, &err);
        int approved = row->decision == MFA_DECISION_APPROVED;

        check(code == MFA_OK && err.code == MFA_OK && t.decision == row->decision &&
                  t.raw_status == row->raw_status && mfa_is_approved(code, &t) == approved &&
                  t.transaction_id > UINT32_MAX && t.polls > 0,
              row->behaviours, "%s (%s), decision %d, raw_status %d, id %lld", mfa_code_name(code),
              err.message, (int)t.decision, (int)t.raw_status, (long long)t.transaction_id);
    }
    confirm(fresh(decisions[i].behaviours), &wait, 400, &t, &err);
    check(!mfa_is_approved(MFA_OK, &t), decisions[i].behaviours, "decision %d", (int)t.decision);
}

/* Failures of confirm --------------------------------------------------------------------------- */

#define UNKNOWN_OUTCOME MFA_ERROR_OUTCOME_UNKNOWN
#define RETRYABLE MFA_ERROR_RETRYABLE

struct refused {
    const char *behaviours;
    mfa_code code;
    uint32_t flags;
    int32_t provider_code;
    int32_t http_status;
    int has_id;
    int pushes;
};

static const struct refused refusals[] = {
    { "no-app", MFA_ERR_AUTHENTICATOR_NOT_LINKED, 0, 0, 0, 0, 0 },
    { "token-expired", MFA_ERR_TOKEN_EXPIRED, 0, -4, 200, 0, 0 },
    { "token-invalid", MFA_ERR_TOKEN_INVALID, 0, -5, 200, 0, 0 },
    { "no-scope", MFA_ERR_ACCESS_DENIED, 0, -3, 200, 0, 0 },
    { "refuse--2@availability", MFA_ERR_PROVIDER_INVALID_PARAMETERS, 0, -2, 200, 0, 0 },
    { "refuse--77@availability", MFA_ERR_PROVIDER_REFUSED, 0, -77, 200, 0, 0 },
    { "html-404@availability", MFA_ERR_HTTP_STATUS, 0, 0, 404, 0, 0 },
    { "redirect@availability", MFA_ERR_HTTP_STATUS, 0, 0, 302, 0, 0 },
    { "oversize@availability", MFA_ERR_ANSWER_TOO_LARGE, 0, 0, 200, 0, 0 },
    { "not-json@availability", MFA_ERR_MALFORMED_ANSWER, 0, 0, 200, 0, 0 },
    { "refuse--1@start", MFA_ERR_UNAVAILABLE, RETRYABLE, -1, 200, 0, 0 },
    { "refuse--2@start", MFA_ERR_PROVIDER_INVALID_PARAMETERS, 0, -2, 200, 0, 0 },
    { "refuse--3@start", MFA_ERR_ACCESS_DENIED, 0, -3, 200, 0, 0 },
    { "refuse--4@start", MFA_ERR_TOKEN_EXPIRED, 0, -4, 200, 0, 0 },
    { "refuse--5@start", MFA_ERR_TOKEN_INVALID, 0, -5, 200, 0, 0 },
    { "refuse--6@start", MFA_ERR_PROVIDER_REFUSED, 0, -6, 200, 0, 0 },
    { "refuse--7@start", MFA_ERR_DEVICE_NOT_FOUND, 0, -7, 200, 0, 0 },
    { "refuse--8@start", MFA_ERR_TEMPLATE_NOT_FOUND, 0, -8, 200, 0, 0 },
    { "lose-start+phone", MFA_ERR_CONNECTION_LOST, UNKNOWN_OUTCOME, 0, 0, 0, 1 },
    { "close-mid-answer@start+phone", MFA_ERR_CONNECTION_LOST, UNKNOWN_OUTCOME, 0, 200, 0, 1 },
    { "close-before-answer@start+phone", MFA_ERR_CONNECTION_LOST, UNKNOWN_OUTCOME, 0, 0, 0, 0 },
    { "html-503@start+phone", MFA_ERR_UNAVAILABLE, UNKNOWN_OUTCOME, 0, 503, 0, 0 },
    { "http-500@start+phone", MFA_ERR_HTTP_STATUS, UNKNOWN_OUTCOME, 0, 500, 0, 1 },
    { "start-without-id+phone", MFA_ERR_MALFORMED_ANSWER, UNKNOWN_OUTCOME, 0, 200, 0, 1 },
    { "start-id-zero+phone", MFA_ERR_MALFORMED_ANSWER, UNKNOWN_OUTCOME, 0, 200, 0, 1 },
    { "result-positive@start+phone", MFA_ERR_MALFORMED_ANSWER, UNKNOWN_OUTCOME, 1, 200, 0, 1 },
    { "refuse--6@status+phone", MFA_ERR_TRANSACTION_NOT_FOUND, 0, -6, 200, 1, 1 },
    { "refuse--3@status+phone", MFA_ERR_ACCESS_DENIED, 0, -3, 200, 1, 1 },
    { "refuse--5@status+phone", MFA_ERR_TOKEN_INVALID, 0, -5, 200, 1, 1 },
    { "wrong-id+approve-after-0", MFA_ERR_CONTRADICTORY_ANSWER, 0, 0, 200, 1, 1 },
    { "not-json@status+phone", MFA_ERR_MALFORMED_ANSWER, 0, 0, 200, 1, 1 },
    { "duplicate-key@status+phone", MFA_ERR_MALFORMED_ANSWER, 0, 0, 200, 1, 1 },
};

static void refusals_are_told_apart(void)
{
    mfa_wait_options wait = quick();
    mfa_transaction t = MFA_TRANSACTION_INIT;
    mfa_error err;
    size_t i;

    for (i = 0; i < COUNT(refusals); i++) {
        const struct refused *row = &refusals[i];
        const char *token = fresh(row->behaviours);
        mfa_code code = confirm(token, &wait, 20000, &t, &err);
        int pushed = pushes(token);
        /* Whether half an answer has an HTTP status is left open. */
        int status_ok = row->code == MFA_ERR_CONNECTION_LOST ||
                        row->code == MFA_ERR_ANSWER_TOO_LARGE || err.http_status == row->http_status;

        check(code == row->code && err.code == code && err.flags == row->flags &&
                  err.provider_code == row->provider_code &&
                  err.has_provider_code == (row->provider_code != 0) && status_ok &&
                  err.provider == MFA_PROVIDER_HYPERID && err.message[0] != 0 &&
                  (t.transaction_id > 0) == row->has_id && !mfa_is_approved(MFA_OK, &t) &&
                  pushed == row->pushes,
              row->behaviours,
              "%s (%s), flags %u, provider_code %d, http_status %d, id %lld, decision %d, %d pushes",
              mfa_code_name(code), err.message, (unsigned)err.flags, (int)err.provider_code,
              (int)err.http_status, (long long)t.transaction_id, (int)t.decision, pushed);
    }
}

static void nobody_answers(void)
{
    mfa_wait_options wait = quick();
    mfa_transaction t = MFA_TRANSACTION_INIT;
    mfa_error err;
    const char *token = fresh("phone");
    int64_t start = now_ms();

    check_code("never: deadline", confirm(token, &wait, 600, &t, &err), MFA_ERR_TIMEOUT, &err);
    check(now_ms() - start >= 590 && now_ms() - start < 600 + GENEROUS_MS,
          "never: the deadline is kept", "it took %lld ms", (long long)(now_ms() - start));
    check(t.transaction_id > 0 && t.decision == MFA_DECISION_PENDING && t.polls > 0 &&
              t.raw_status == 0,
          "never: id and last state", "id %lld, decision %d, polls %u",
          (long long)t.transaction_id, (int)t.decision, (unsigned)t.polls);
    check(strstr(phone(), "\"pending\":[]") == NULL, "never: the request goes on",
          "it is gone from the phone");
    check_code("never: it can still be cancelled",
               mfa_hyperid_cancel(client, token, t.transaction_id, NULL, &err), MFA_OK, &err);
}

static void cancel_on_timeout(void)
{
    mfa_wait_options wait = quick();
    mfa_call_options options = MFA_CALL_OPTIONS_INIT;
    mfa_transaction t = MFA_TRANSACTION_INIT;
    mfa_error err;
    const char *token = fresh("phone");

    wait.cancel_on_timeout = 1;
    check_code("cancel_on_timeout: deadline", confirm(token, &wait, 700, &t, &err),
               MFA_ERR_TIMEOUT, &err);
    check(t.transaction_id > 0 && t.raw_status == 4 && !mfa_is_approved(MFA_OK, &t),
          "cancel_on_timeout: cancelled at the provider", "raw_status %d", (int)t.raw_status);
    check_code("cancel_on_timeout: cancelled once",
               mfa_hyperid_cancel(client, token, t.transaction_id, &options, &err),
               MFA_ERR_ALREADY_CANCELLED, &err);
    /* The person answers in the last quarter: nobody polls then, and the cancel comes too late. */
    wait.min_interval_ms = 100000;
    wait.max_interval_ms = 100000;
    token = fresh("approve-after-200");
    check_code("cancel_on_timeout: the person was faster", confirm(token, &wait, 900, &t, &err),
               MFA_OK, &err);
    check(mfa_is_approved(MFA_OK, &t), "cancel_on_timeout: the late approval counts",
          "decision %d", (int)t.decision);
}

/* Ends the wait at the first poll. */
static int32_t end_it(void *user_data, const mfa_transaction *so_far)
{
    (void)user_data;
    return so_far->polls == 1;
}

static void withdraw_on_cancel(void)
{
    mfa_wait_options wait = quick();
    mfa_transaction t = MFA_TRANSACTION_INIT;
    mfa_error err;
    const char *token = fresh("phone");

    wait.on_update = end_it;
    check_code("without the flag it goes on", confirm(token, &wait, 20000, &t, &err),
               MFA_ERR_CANCELLED, &err);
    check(err.flags == 0 && t.decision == MFA_DECISION_PENDING, "without the flag it goes on: pending",
          "flags %u, decision %d", (unsigned)err.flags, (int)t.decision);
    wait.flags = MFA_WAIT_WITHDRAW_ON_CANCEL;
    check_code("withdrawn", confirm(token, &wait, 20000, &t, &err), MFA_ERR_CANCELLED, &err);
    check(err.flags == MFA_ERROR_WITHDRAWN && t.transaction_id > 0 && t.raw_status == 4 &&
              !mfa_is_approved(MFA_OK, &t),
          "withdrawn: the provider confirmed it", "flags %u, raw_status %d", (unsigned)err.flags,
          (int)t.raw_status);
    check_code("withdrawn: cancelled once",
               mfa_hyperid_cancel(client, token, t.transaction_id, NULL, &err),
               MFA_ERR_ALREADY_CANCELLED, &err);
    wait.flags = 1U << 31;
    check_code("unknown flags of a wait", confirm(token, &wait, 20000, &t, &err),
               MFA_ERR_INVALID_ARGUMENT, &err);
}

/* Callbacks ------------------------------------------------------------------------------------- */

struct updates {
    int calls;
    int in_order;
    int stop_at;
    int approvals;
    int inner_calls;
    mfa_code inner;
    const char *token;
    mfa_transaction first;
    mfa_transaction last;
};

static int32_t on_update(void *user_data, const mfa_transaction *so_far)
{
    struct updates *u = (struct updates *)user_data;

    if (u->calls == 0) {
        u->first = *so_far;
    } else {
        u->in_order = u->in_order && so_far->polls == u->last.polls + 1 &&
                      so_far->elapsed_ms >= u->last.elapsed_ms &&
                      so_far->transaction_id == u->first.transaction_id;
    }
    u->last = *so_far;
    u->approvals += so_far->decision == MFA_DECISION_APPROVED;
    if (u->inner_calls < 2 && u->token != NULL) {
        mfa_transaction t = MFA_TRANSACTION_INIT;

        u->inner_calls++;
        u->inner += mfa_hyperid_status(client, u->token, so_far->transaction_id, NULL, &t, NULL);
    }
    return ++u->calls == u->stop_at;
}

static struct updates watch(mfa_wait_options *wait, struct updates *u)
{
    memset(u, 0, sizeof *u);
    u->in_order = 1;
    wait->on_update = on_update;
    wait->on_update_user_data = u;
    return *u;
}

static void updates_come_in_order(void)
{
    mfa_wait_options wait = quick();
    mfa_transaction t = MFA_TRANSACTION_INIT;
    struct updates u;
    mfa_error err;
    const char *token = fresh("approve-after-400");

    watch(&wait, &u);
    u.token = token;
    check_code("on_update: confirm", confirm(token, &wait, 20000, &t, &err), MFA_OK, &err);
    check(u.first.polls == 0 && u.first.transaction_id > 0 &&
              u.first.decision == MFA_DECISION_PENDING && u.first.raw_status == -1 &&
              u.first.struct_size == sizeof u.first,
          "on_update: first the id", "polls %u, id %lld, decision %d", (unsigned)u.first.polls,
          (long long)u.first.transaction_id, (int)u.first.decision);
    check(u.in_order && u.calls >= 3 && u.last.polls == t.polls, "on_update: after each poll",
          "%d calls, %u polls", u.calls, (unsigned)t.polls);
    check(u.approvals == 1 && u.last.decision == MFA_DECISION_APPROVED,
          "on_update: the answer once, at the end", "%d approvals", u.approvals);
    check(u.inner_calls == 2 && u.inner == MFA_OK, "on_update may call libmfa", "code sum %d",
          (int)u.inner);
}

static void updates_end_the_wait(void)
{
    mfa_wait_options wait = quick();
    mfa_transaction t = MFA_TRANSACTION_INIT;
    struct updates u;
    mfa_error err;
    const char *token = fresh("phone");
    mfa_call_options options = within(20000, NULL);

    watch(&wait, &u);
    u.stop_at = 1;
    check_code("on_update ends it at once", confirm(token, &wait, 20000, &t, &err),
               MFA_ERR_CANCELLED, &err);
    check(t.transaction_id == u.first.transaction_id && t.transaction_id > 0 && t.polls == 0 &&
              err.flags == 0,
          "on_update ends it: the id is in out", "id %lld, polls %u, flags %u",
          (long long)t.transaction_id, (unsigned)t.polls, (unsigned)err.flags);
    watch(&wait, &u);
    u.stop_at = 2;
    check_code("on_update ends a wait",
               mfa_hyperid_wait(client, token, t.transaction_id, &wait, &options, &t, &err),
               MFA_ERR_CANCELLED, &err);
    check(u.first.polls == 1 && t.polls == 2 && t.decision == MFA_DECISION_PENDING,
          "in a wait the first update has one poll", "it has %u", (unsigned)u.first.polls);
    check_code("the request went on until now",
               mfa_hyperid_cancel(client, token, t.transaction_id, NULL, &err), MFA_OK, &err);
    watch(&wait, &u);
    u.stop_at = 2;
    check_code("an answer wins over on_update",
               confirm(fresh("approve-after-0"), &wait, 20000, &t, &err), MFA_OK, &err);
    check(mfa_is_approved(MFA_OK, &t) && u.calls == 2, "an answer wins over on_update: approved",
          "decision %d after %d calls", (int)t.decision, u.calls);
}

struct token_source {
    char text[300];
    const char *gives;
    int calls;
};

/* The buffer is the caller's: it is used again as soon as the library has looked at it. */
static const char *give_token(void *user_data)
{
    struct token_source *source = (struct token_source *)user_data;

    source->calls++;
    if (source->gives == NULL) {
        return NULL;
    }
    snprintf(source->text, sizeof source->text, "%s", source->gives);
    return source->text;
}

static int32_t spoil_token(void *user_data, const mfa_transaction *so_far)
{
    struct token_source *source = (struct token_source *)user_data;

    (void)so_far;
    memset(source->text, ' ', sizeof source->text - 1);
    return 0;
}

static void with_tokens(const char *name, const char *gives, mfa_code wanted, int wanted_calls)
{
    mfa_wait_options wait = quick();
    mfa_transaction t = MFA_TRANSACTION_INIT;
    struct token_source source;
    mfa_error err;
    const char *token = fresh("token-expires-after-2+approve-after-400");

    memset(&source, 0, sizeof source);
    if (gives != NULL && strchr(gives, ' ') == NULL) {
        gives = same_person(gives, token);
    }
    source.gives = gives;
    wait.access_token_provider = give_token;
    wait.access_token_provider_user_data = &source;
    wait.on_update = spoil_token;
    wait.on_update_user_data = &source;
    check_code(name, confirm(token, &wait, 20000, &t, &err), wanted, &err);
    check_int(name, source.calls, wanted_calls);
    check(t.transaction_id > 0 && mfa_is_approved(MFA_OK, &t) == (wanted == MFA_OK), name,
          "id %lld, decision %d", (long long)t.transaction_id, (int)t.decision);
}

static void tokens_expire(void)
{
    mfa_wait_options wait = quick();
    mfa_transaction t = MFA_TRANSACTION_INIT;
    mfa_error err;

    check_code("expired, no provider",
               confirm(fresh("token-expires-after-2+phone"), &wait, 20000, &t, &err),
               MFA_ERR_TOKEN_EXPIRED, &err);
    with_tokens("expired, a fresh token", "approve", MFA_OK, 1);
    with_tokens("expired twice, fresh tokens", "token-expires-after-50", MFA_OK, 1);
    with_tokens("expired, the provider gives up", NULL, MFA_ERR_TOKEN_EXPIRED, 1);
    with_tokens("expired, a token that is none", "a b", MFA_ERR_INVALID_ARGUMENT, 1);
    with_tokens("expired, the fresh one is refused", "token-expired", MFA_ERR_TOKEN_EXPIRED, 1);
    with_tokens("expired, the fresh one is invalid", "token-invalid", MFA_ERR_TOKEN_INVALID, 1);
}

/* One step at a time ---------------------------------------------------------------------------- */

static int64_t start(const char *token, mfa_error *err)
{
    mfa_request request = question();
    int64_t id = -1;
    char name[160];

    snprintf(name, sizeof name, "start: %.100s", token);
    check_code("start", mfa_hyperid_start(client, token, &request, NULL, &id, err), MFA_OK, err);
    check(id > UINT32_MAX, "start's id has more than 32 bits", "it is %lld", (long long)id);
    return id;
}

static void step_by_step(void)
{
    mfa_error err = MFA_ERROR_INIT;
    mfa_transaction t = MFA_TRANSACTION_INIT;
    const char *token = fresh("phone");
    int64_t id = start(token, &err);

    check_code("status", mfa_hyperid_status(client, token, id, NULL, &t, &err), MFA_OK, &err);
    check(t.decision == MFA_DECISION_PENDING && t.raw_status == 0 && t.raw_complete_result == 0 &&
              t.transaction_id == id && t.polls == 1 && !mfa_is_approved(MFA_OK, &t),
          "status: pending, with the complete result 0 that approves nothing",
          "decision %d, raw_status %d, raw_complete_result %d", (int)t.decision,
          (int)t.raw_status, (int)t.raw_complete_result);
    check_code("cancel", mfa_hyperid_cancel(client, token, id, NULL, &err), MFA_OK, &err);
    mfa_hyperid_status(client, token, id, NULL, &t, &err);
    check_int("status: cancelled", t.decision, MFA_DECISION_CANCELLED);
    check_code("cancel again", mfa_hyperid_cancel(client, token, id, NULL, &err),
               MFA_ERR_ALREADY_CANCELLED, &err);
    check_code("status of no transaction",
               mfa_hyperid_status(client, token, id + 1000000, NULL, &t, &err),
               MFA_ERR_TRANSACTION_NOT_FOUND, &err);
    check_int("status of no transaction: the provider's number", err.provider_code, -6);
    check_code("cancel of no transaction",
               mfa_hyperid_cancel(client, token, id + 1000000, NULL, &err),
               MFA_ERR_TRANSACTION_NOT_FOUND, &err);
}

static void too_late_to_cancel(void)
{
    mfa_error err = MFA_ERROR_INIT;
    mfa_transaction t = MFA_TRANSACTION_INIT;
    const char *token = fresh("approve-after-0");
    mfa_wait_options wait = quick();
    int64_t id = start(token, &err);
    mfa_code code = mfa_hyperid_wait(client, token, id, &wait, NULL, &t, &err);

    check(mfa_is_approved(code, &t), "wait: approved", "%s", mfa_code_name(code));
    check_code("cancel: the person was faster",
               mfa_hyperid_cancel(client, token, id, NULL, &err), MFA_ERR_ALREADY_COMPLETED, &err);
    token = fresh("expire-after-0");
    id = start(token, &err);
    mfa_hyperid_wait(client, token, id, &wait, NULL, &t, &err);
    check_code("cancel: expired", mfa_hyperid_cancel(client, token, id, NULL, &err),
               MFA_ERR_ALREADY_EXPIRED, &err);
}

static void text_travels_unharmed(void)
{
    static const char text[] = "\xc3\x9c" "berweisung 5 \xe2\x82\xac? \xe6\x82\xa8\xe5\xa5\xbd";
    mfa_error err = MFA_ERROR_INIT;
    mfa_request request = MFA_REQUEST_INIT;
    const char *token = fresh("phone");
    int64_t id = 0;

    request.question = text;
    request.code = "07";
    request.device_desc = "Zo\xc3\xab's \"laptop\"\n\\";
    check_code("a question that is not ASCII",
               mfa_hyperid_start(client, token, &request, NULL, &id, &err), MFA_OK, &err);
    check(strstr(phone(), text) != NULL, "it reaches the phone as it is", "it is not there");
    check(strstr(phone(), "Zo\xc3\xab's \\\"laptop\\\"\\n\\\\") != NULL,
          "quotes and backslashes too", "they are not there");
    mfa_hyperid_cancel(client, token, id, NULL, &err);
}

/* Availability and methods ---------------------------------------------------------------------- */

static void availability(void)
{
    mfa_availability a = MFA_AVAILABILITY_INIT;
    mfa_error err = MFA_ERROR_INIT;
    mfa_call_options options = within(20000, NULL);

    check_code("availability", mfa_hyperid_availability(client, fresh("approve"), NULL, &a, &err),
               MFA_OK, &err);
    check_int("available", a.available, 1);
    check_code("availability without the app",
               mfa_hyperid_availability(client, fresh("no-app"), &options, &a, &err), MFA_OK, &err);
    check_int("not available", a.available, 0);
    check_code("availability, repeated by itself",
               mfa_hyperid_availability(client, fresh("empty-500*2@availability"), &options, &a, &err), MFA_OK,
               &err);
    check_int("available at the third attempt", a.available, 1);
    options.timeout_ms = 400;
    check_code("availability, asked to come back later than the deadline",
               mfa_hyperid_availability(client, fresh("rate-limited-7"), &options, &a, &err),
               MFA_ERR_RATE_LIMITED, &err);
    check(err.retry_after_ms == 7000 && err.flags == MFA_ERROR_RETRYABLE && err.http_status == 429 &&
              err.attempts == 1,
          "rate limited: when to come back", "retry_after_ms %u, flags %u, attempts %u",
          (unsigned)err.retry_after_ms, (unsigned)err.flags, (unsigned)err.attempts);
}

struct methods {
    const char *behaviours;
    uint32_t methods;
    uint32_t count;
    int32_t first;
    int32_t last_kept;
};

static const struct methods method_rows[] = {
    { "approve", MFA_METHOD_APP | MFA_METHOD_EMAIL, 2, 0, -1 },
    { "methods-none", 0, 0, -1, -1 },
    { "methods-1,2", MFA_METHOD_TOTP | MFA_METHOD_SMS, 2, 1, -1 },
    { "methods-3,0,1,2", 15, 4, 3, -1 },
    { "methods-9", MFA_METHOD_OTHER, 1, 9, -1 },
    { "methods-0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", 31, 18, 0, 15 },
};

static void methods(void)
{
    mfa_error err = MFA_ERROR_INIT;
    mfa_two_factor_types types = MFA_TWO_FACTOR_TYPES_INIT;
    size_t i;

    for (i = 0; i < COUNT(method_rows); i++) {
        const struct methods *row = &method_rows[i];
        mfa_code code =
            mfa_hyperid_two_factor_types(client, fresh(row->behaviours), NULL, &types, &err);

        check(code == MFA_OK && types.methods == row->methods && types.count == row->count &&
                  types.raw[0] == row->first && types.raw[15] == row->last_kept,
              row->behaviours, "%s, methods %u, count %u, raw %d ... %d", mfa_code_name(code),
              (unsigned)types.methods, (unsigned)types.count, (int)types.raw[0],
              (int)types.raw[15]);
    }
    check_code("methods: the mirrored table, expired",
               mfa_hyperid_two_factor_types(client, fresh("refuse--2@types"), NULL, &types, &err),
               MFA_ERR_TOKEN_EXPIRED, &err);
    check_code("methods: the mirrored table, invalid",
               mfa_hyperid_two_factor_types(client, fresh("refuse--1@types"), NULL, &types, &err),
               MFA_ERR_TOKEN_INVALID, &err);
    check_code("methods: the mirrored table, parameters",
               mfa_hyperid_two_factor_types(client, fresh("refuse--5@types"), NULL, &types, &err),
               MFA_ERR_PROVIDER_INVALID_PARAMETERS, &err);
    check_code("methods: no scope",
               mfa_hyperid_two_factor_types(client, fresh("no-scope"), NULL, &types, &err),
               MFA_ERR_ACCESS_DENIED, &err);
}

/* Capillary ------------------------------------------------------------------------------------- */

struct registration {
    const char *behaviours;
    const char *brand;
    mfa_code code;
    int32_t state;
    int32_t number;
    int32_t http_status;
};

static const struct registration registrations[] = {
    { "registered", "demo-brand", MFA_OK, MFA_REGISTRATION_REGISTERED, 200, 200 },
    { "code-as-string", "demo-brand", MFA_OK, MFA_REGISTRATION_REGISTERED, 200, 200 },
    { "not-registered", "demo-brand", MFA_OK, MFA_REGISTRATION_NOT_REGISTERED, 404, 200 },
    { "not-registered+as-http-status", "demo-brand", MFA_OK, MFA_REGISTRATION_NOT_REGISTERED, 404,
      404 },
    { "registered", "no-mfa-brand", MFA_OK, MFA_REGISTRATION_NOT_ENABLED, 1513, 200 },
    { "registered", "another", MFA_ERR_TOKEN_INVALID, 0, 1504, 200 },
    { "token-invalid", "demo-brand", MFA_ERR_TOKEN_INVALID, 0, 1504, 200 },
    { "token-expired", "demo-brand", MFA_ERR_TOKEN_EXPIRED, 0, 401, 200 },
    { "refuse-1529", "demo-brand", MFA_ERR_TOKEN_EXPIRED, 0, 1529, 200 },
    { "refuse-1508", "demo-brand", MFA_ERR_PROVIDER_REFUSED, 0, 1508, 200 },
    { "contradiction", "demo-brand", MFA_ERR_CONTRADICTORY_ANSWER, 0, 1504, 200 },
    { "code-bool", "demo-brand", MFA_ERR_MALFORMED_ANSWER, 0, 0, 200 },
    { "not-json", "demo-brand", MFA_ERR_MALFORMED_ANSWER, 0, 0, 200 },
    { "html-404", "demo-brand", MFA_ERR_HTTP_STATUS, 0, 0, 404 },
    { "http-500", "demo-brand", MFA_ERR_CONTRADICTORY_ANSWER, 0, 200, 500 },
};

static void registration(mfa_capillary *capillary)
{
    mfa_error err = MFA_ERROR_INIT;
    mfa_registration r = MFA_REGISTRATION_INIT;
    char name[100];
    size_t i;

    for (i = 0; i < COUNT(registrations); i++) {
        const struct registration *row = &registrations[i];
        mfa_code code = mfa_capillary_is_mfa_registered(
            capillary, row->brand, "device", fresh(row->behaviours), NULL, &r, &err);
        int answered = row->code == MFA_OK;

        snprintf(name, sizeof name, "registration: %s, %s", row->behaviours, row->brand);
        check(code == row->code && r.state == row->state &&
                  r.raw_code == (answered ? row->number : -1) &&
                  r.http_status == (answered ? row->http_status : 0) &&
                  (answered || (err.provider == MFA_PROVIDER_CAPILLARY &&
                                err.provider_code == row->number &&
                                err.http_status == row->http_status)),
              name, "%s (%s), state %d, raw_code %d, http_status %d; err: number %d, HTTP %d",
              mfa_code_name(code), err.message, (int)r.state, (int)r.raw_code, (int)r.http_status,
              (int)err.provider_code, (int)err.http_status);
    }
}

/* Log lines ------------------------------------------------------------------------------------- */

struct log_book {
    int lines[MFA_LOG_DEBUG + 1];
    int secrets;
    int odd;
    int inner;
    mfa_code inner_code;
    mfa_hyperid *client;
};

static void log_line(void *user_data, int32_t level, const char *message)
{
    struct log_book *book = (struct log_book *)user_data;

    if (level < MFA_LOG_ERROR || level > MFA_LOG_DEBUG || message[0] == 0) {
        book->odd++;
        return;
    }
    book->lines[level]++;
    book->secrets += strstr(message, "sandbox-") != NULL || strstr(message, "Sign in") != NULL;
    if (book->client != NULL && !book->inner) {
        mfa_availability a = MFA_AVAILABILITY_INIT;

        book->inner = 1;
        book->inner_code = mfa_hyperid_availability(book->client, "sandbox-approve", NULL, &a, NULL);
    }
}

static void log_lines(void)
{
    mfa_client_options options = loopback_options(url);
    struct log_book book;
    mfa_request request = question();
    mfa_wait_options wait = quick();
    mfa_transaction t = MFA_TRANSACTION_INIT;
    mfa_error err = MFA_ERROR_INIT;
    mfa_code code;

    memset(&book, 0, sizeof book);
    options.log = log_line;
    options.log_user_data = &book;
    options.log_level = MFA_LOG_DEBUG;
    book.client = NULL;
    options.user_agent = "story/1";
    book.client = hyperid_with(&options);
    check(book.lines[MFA_LOG_WARN] >= 1, "log: a connection in clear is warned of", "it is not");
    code = mfa_hyperid_confirm(book.client, fresh("approve+empty-500*1@availability"), &request, &wait,
                               NULL, &t, &err);
    check(mfa_is_approved(code, &t), "log: the call goes on", "%s", mfa_code_name(code));
    check(book.lines[MFA_LOG_DEBUG] >= 3 && book.lines[MFA_LOG_WARN] >= 2 && book.odd == 0,
          "log: a line for each request, and one for the repetition", "%d, %d, %d odd",
          book.lines[MFA_LOG_DEBUG], book.lines[MFA_LOG_WARN], book.odd);
    mfa_hyperid_availability(book.client, "sandbox-token-invalid", NULL, NULL, &err);
    check_int("log: no token and no question in any line", book.secrets, 0);
    check(book.inner && book.inner_code == MFA_OK, "log: the callback may call libmfa", "%s",
          mfa_code_name(book.inner_code));
    mfa_hyperid_free(book.client);
}

int main(void)
{
    mfa_capillary *capillary;

    url = sandbox_url("MFA_TEST_HYPERID_URL");
    client = hyperid_at(url);
    capillary = capillary_at(sandbox_url("MFA_TEST_CAPILLARY_URL"));
    availability();
    methods();
    people_decide();
    refusals_are_told_apart();
    nobody_answers();
    cancel_on_timeout();
    withdraw_on_cancel();
    updates_come_in_order();
    updates_end_the_wait();
    tokens_expire();
    step_by_step();
    too_late_to_cancel();
    text_travels_unharmed();
    registration(capillary);
    log_lines();
    mfa_capillary_free(capillary);
    mfa_hyperid_free(client);
    return check_finish();
}
