/*
 * Many waits on one thread, against the sandbox: what each wait's events tell of people, tokens,
 * deadlines and cancels.
 */
#include "waiter.h"

#define REPORT MFA_WAIT_REPORT_UPDATES
#define ASK MFA_WAIT_ASK_FOR_TOKEN
#define UNKNOWN MFA_ERROR_OUTCOME_UNKNOWN

static mfa_hyperid *client;
static mfa_waiter *waiter;

/* The sandbox remembers people, and may be older than this run: so each token gets a person of its
 * own. A few texts are in use at once. */
static const char *fresh(const char *behaviours)
{
    static char texts[64][300];
    static int next;
    char *text = texts[next++ % 64];

    snprintf(text, sizeof texts[0], "sandbox-%s#w%ld-%d", behaviours, (long)getpid(), next);
    return text;
}

/* Another token of the same person. */
static const char *same_person(const char *behaviours, const char *token)
{
    static char text[300];

    snprintf(text, sizeof text, "sandbox-%s%s", behaviours, strchr(token, '#'));
    return text;
}

static void nothing_is_left(const char *name)
{
    check_int(name, mfa_waiter_count(waiter), 0);
    check_int("and no event comes", take(waiter, 0), MFA_EVENT_NONE);
}

/* Answers --------------------------------------------------------------------------------------- */

struct ending {
    const char *behaviours;
    mfa_code code;
    int32_t decision;
    int started;
    uint32_t flags;
};

static const struct ending endings[] = {
    { "approve-after-90", MFA_OK, MFA_DECISION_APPROVED, 1, 0 },
    { "deny-after-90", MFA_OK, MFA_DECISION_DENIED, 1, 0 },
    { "expire-after-90", MFA_OK, MFA_DECISION_EXPIRED, 1, 0 },
    { "failed-after-90", MFA_OK, MFA_DECISION_FAILED, 1, 0 },
    { "declined-after-90", MFA_OK, MFA_DECISION_CANCELLED, 1, 0 },
    { "no-app", MFA_ERR_AUTHENTICATOR_NOT_LINKED, MFA_DECISION_NONE, 0, 0 },
    { "token-expired", MFA_ERR_TOKEN_EXPIRED, MFA_DECISION_NONE, 0, 0 },
    { "token-invalid@start", MFA_ERR_TOKEN_INVALID, MFA_DECISION_NONE, 0, 0 },
    { "no-scope", MFA_ERR_ACCESS_DENIED, MFA_DECISION_NONE, 0, 0 },
    { "lose-start", MFA_ERR_CONNECTION_LOST, MFA_DECISION_NONE, 0, UNKNOWN },
    { "approve-after-90+close-before-answer*2@status", MFA_OK, MFA_DECISION_APPROVED, 1, 0 },
    { "approve-after-90+refuse--1*2@status", MFA_OK, MFA_DECISION_APPROVED, 1, 0 },
    { "approve-after-90+wrong-id@status", MFA_ERR_CONTRADICTORY_ANSWER, MFA_DECISION_NONE, 1, 0 },
};

static void judge_ending(const struct ending *row, struct story *story)
{
    const mfa_transaction *t = &story->transaction;
    int approved;

    if (!finish(waiter, story, row->behaviours)) {
        return;
    }
    approved = mfa_event_is_approved(&story->last, t);
    check(story->last.code == row->code && story->started == row->started && story->updates == 0 &&
              story->refusals == 0 && (row->code != MFA_OK || t->decision == row->decision) &&
              approved == (row->decision == MFA_DECISION_APPROVED) &&
              (t->transaction_id != 0) == row->started &&
              (story->why.flags & UNKNOWN) == row->flags,
          row->behaviours, "%s (%s, flags %u), decision %d, %d STARTED, %d UPDATE, id %lld",
          mfa_code_name(story->last.code), story->why.message, (unsigned)story->why.flags,
          (int)t->decision, story->started, story->updates, (long long)t->transaction_id);
}

/* All at once, so that each gets its own. */
static void people_decide(void)
{
    struct story stories[COUNT(endings)];
    mfa_wait_options wait = quickly(0);
    size_t i;

    for (i = 0; i < COUNT(endings); i++) {
        add_confirm(waiter, &stories[i], fresh(endings[i].behaviours), &wait, 20000);
    }
    check_int("mfa_waiter_count counts them", mfa_waiter_count(waiter), (long long)COUNT(endings));
    for (i = 0; i < COUNT(endings); i++) {
        judge_ending(&endings[i], &stories[i]);
    }
    nothing_is_left("all have ended");
}

/* Waits for what was started before, among them one that does not exist. */
static void waits_by_id(void)
{
    mfa_wait_options wait = quickly(0);
    mfa_request request = MFA_REQUEST_INIT;
    mfa_error err = MFA_ERROR_INIT;
    struct story known;
    struct story unknown;
    const char *token = fresh("deny-after-90");
    int64_t id = 0;

    request.question = "Sign in?";
    check_code("start", mfa_hyperid_start(client, token, &request, NULL, &id, &err), MFA_OK, &err);
    add_wait(waiter, &known, token, id, &wait, 20000);
    add_wait(waiter, &unknown, token, 77, &wait, 20000);
    finish(waiter, &known, "a wait by its id");
    check(known.last.code == MFA_OK && known.transaction.decision == MFA_DECISION_DENIED &&
              known.transaction.transaction_id == id && known.started == 0,
          "it has its answer, and no STARTED", "%s, decision %d, %d STARTED",
          mfa_code_name(known.last.code), (int)known.transaction.decision, known.started);
    finish(waiter, &unknown, "a wait for no transaction");
    check(unknown.last.code == MFA_ERR_TRANSACTION_NOT_FOUND && unknown.transaction.transaction_id == 77,
          "it is not found", "%s, id %lld", mfa_code_name(unknown.last.code),
          (long long)unknown.transaction.transaction_id);
}

/* Updates --------------------------------------------------------------------------------------- */

static void updates(void)
{
    static const char *const finals[] = { "approve-after-400", "deny-after-400", "expire-after-400",
                                          "declined-after-400", "failed-after-400" };
    struct story stories[COUNT(finals)];
    mfa_wait_options wait = quickly(REPORT);
    size_t i;

    for (i = 0; i < COUNT(finals); i++) {
        add_confirm(waiter, &stories[i], fresh(finals[i]), &wait, 20000);
    }
    for (i = 0; i < COUNT(finals); i++) {
        finish(waiter, &stories[i], finals[i]);
        /* The poll with the final answer makes none. */
        check(stories[i].updates > 0 && (uint32_t)stories[i].updates < stories[i].transaction.polls,
              "an UPDATE for each poll but the last", "%d UPDATE after %u polls", stories[i].updates,
              (unsigned)stories[i].transaction.polls);
    }
}

/* Tokens ---------------------------------------------------------------------------------------- */

static int give(struct story *story, const char *token)
{
    mfa_error err = MFA_ERROR_INIT;
    mfa_code code = mfa_waiter_give_token(waiter, story->ticket, token, &err);

    return check_code("mfa_waiter_give_token", code, MFA_OK, &err);
}

static void a_token_is_refused(const char *behaviours, const char *then, int started)
{
    mfa_wait_options wait = quickly(ASK);
    const char *token = fresh(behaviours);
    struct story story;

    add_confirm(waiter, &story, token, &wait, 20000);
    check(drive_until(waiter, &story.refusals, 1), behaviours, "there was no TOKEN_REFUSED");
    check(story.why.code == MFA_ERR_TOKEN_EXPIRED && story.why.attempts > 0 && story.started == started &&
              (story.transaction.transaction_id != 0) == started,
          "why tells the refusal", "%s, %d STARTED", mfa_code_name(story.why.code), story.started);
    give(&story, then == NULL ? NULL : same_person(then, token));
    finish(waiter, &story, behaviours);
    if (then == NULL) {
        check_int("without another token it ends with the refusal", story.last.code,
                  MFA_ERR_TOKEN_EXPIRED);
    } else {
        check(mfa_event_is_approved(&story.last, &story.transaction) && story.refusals == 1,
              "with another token it goes on", "%s, %d TOKEN_REFUSED",
              mfa_code_name(story.last.code), story.refusals);
    }
}

/* On a connection that has served before, a refusal of start alone might be a slipped answer's. */
static void a_token_is_refused_at_start(void)
{
    mfa_hyperid *usual_client = client;
    mfa_waiter *usual = waiter;

    client = hyperid_at(sandbox_url("MFA_TEST_HYPERID_URL"));
    waiter = waiter_for(client);
    a_token_is_refused("token-expired@start+connection-close@availability", "approve-after-90", 0);
    mfa_waiter_free(waiter);
    mfa_hyperid_free(client);
    waiter = usual;
    client = usual_client;
}

static void tokens(void)
{
    mfa_wait_options wait = quickly(ASK);
    const char *token = fresh("token-expired");
    struct story story;
    uint64_t ticket;
    mfa_error err = MFA_ERROR_INIT;

    a_token_is_refused("token-expired@availability", "approve-after-90", 0);
    a_token_is_refused_at_start();
    a_token_is_refused("token-expires-after-1", "approve", 1);
    a_token_is_refused("token-expired@availability", NULL, 0);
    a_token_is_refused("token-expires-after-1", NULL, 1);

    /* The deadline comes first. */
    add_confirm(waiter, &story, token, &wait, 500);
    finish(waiter, &story, "no token by the deadline");
    check(story.last.code == MFA_ERR_TIMEOUT && story.refusals == 1 &&
              strstr(story.why.message, "TOKEN_EXPIRED") != NULL,
          "is a timeout that tells the refusal", "%s, %d TOKEN_REFUSED, \"%s\"",
          mfa_code_name(story.last.code), story.refusals, story.why.message);

    /* A token that is there before it is asked for. */
    token = fresh("token-expired@availability");
    add_confirm(waiter, &story, token, &wait, 20000);
    give(&story, same_person("approve-after-90", token));
    finish(waiter, &story, "a token given before");
    check(mfa_event_is_approved(&story.last, &story.transaction) && story.refusals == 0,
          "serves the next exchange", "%s, %d TOKEN_REFUSED", mfa_code_name(story.last.code),
          story.refusals);

    /* Cancelled while it stands still. */
    add_confirm(waiter, &story, fresh("token-expired"), &wait, 20000);
    check(drive_until(waiter, &story.refusals, 1), "TOKEN_REFUSED", "it did not come");
    check_code("cancel", mfa_waiter_cancel(waiter, story.ticket, 0, &err), MFA_OK, &err);
    finish(waiter, &story, "cancelled where a token is asked for");
    check_int("is cancelled", story.last.code, MFA_ERR_CANCELLED);

    /* An ended ticket is left alone; one that was never given out is refused. */
    ticket = story.ticket;
    check_code("a token for an ended wait", mfa_waiter_give_token(waiter, ticket, "t", &err), MFA_OK,
               &err);
    check_code("cancel of an ended wait", mfa_waiter_cancel(waiter, ticket, 0, &err), MFA_OK, &err);
    check_code("a token for a later ticket", mfa_waiter_give_token(waiter, ticket + 1, "t", &err),
               MFA_ERR_INVALID_ARGUMENT, &err);
    check_code("cancel of a later ticket", mfa_waiter_cancel(waiter, ticket + 1, 0, &err),
               MFA_ERR_INVALID_ARGUMENT, &err);
    nothing_is_left("tokens: all have ended");
}

/* Cancelling ------------------------------------------------------------------------------------ */

struct phase {
    const char *name;
    const char *behaviours;
    /* When to cancel: at once, so long after the add, or when it has started. */
    int after_ms;
    int when_started;
    uint32_t flags;
    mfa_code code;
    int32_t decision;
    int has_id;
    uint32_t error_flags;
};

#define WITHDRAW MFA_CANCEL_WITHDRAW
#define WITHDRAWN MFA_ERROR_WITHDRAWN
#define NONE MFA_DECISION_NONE
#define PENDING MFA_DECISION_PENDING

static const struct phase phases[] = {
    { "before anything", "approve", 0, 0, 0, MFA_ERR_CANCELLED, NONE, 0, 0 },
    { "before anything, withdrawing", "approve", 0, 0, WITHDRAW, MFA_ERR_CANCELLED, NONE, 0, 0 },
    { "in availability", "slow-3000@availability", 300, 0, 0, MFA_ERR_CANCELLED, NONE, 0, 0 },
    { "in availability, withdrawing", "slow-3000@availability", 300, 0, WITHDRAW, MFA_ERR_CANCELLED,
      NONE, 0, 0 },
    { "in start", "never+slow-5000@start", 300, 0, 0, MFA_ERR_CANCELLED, NONE, 0, UNKNOWN },
    { "in start, withdrawing", "never+slow-900@start", 300, 0, WITHDRAW, MFA_ERR_CANCELLED, PENDING, 1,
      WITHDRAWN },
    { "in start that is silent, withdrawing", "never+silent@start", 300, 0, WITHDRAW,
      MFA_ERR_CANCELLED, NONE, 0, UNKNOWN },
    { "between polls", "never", 0, 1, 0, MFA_ERR_CANCELLED, PENDING, 1, 0 },
    { "between polls, withdrawing", "never", 0, 1, WITHDRAW, MFA_ERR_CANCELLED, PENDING, 1, WITHDRAWN },
    { "in a poll", "never+slow-5000@status", 300, 1, 0, MFA_ERR_CANCELLED, PENDING, 1, 0 },
    { "in a poll, withdrawing", "never+slow-500@status", 300, 1, WITHDRAW, MFA_ERR_CANCELLED, PENDING, 1,
      WITHDRAWN },
    { "answered meanwhile, withdrawing", "approve-after-10+slow-500*1@status", 300, 1, WITHDRAW, MFA_OK,
      MFA_DECISION_APPROVED, 1, 0 },
};

static void cancel_in(const struct phase *p)
{
    /* Where it is cancelled between polls, none is to come. */
    mfa_wait_options wait = quickly(0);
    mfa_error err = MFA_ERROR_INIT;
    struct story story;
    int64_t until;
    int64_t began;

    wait.first_poll_ms = p->when_started && p->after_ms == 0 ? 10000 : 0;
    add_confirm(waiter, &story, fresh(p->behaviours), &wait, 20000);
    if (p->when_started) {
        check(drive_until(waiter, &story.started, 1), p->name, "it has not started");
    }
    for (until = now_ms() + p->after_ms; now_ms() < until;) {
        take(waiter, 20);
    }
    check_code("cancel", mfa_waiter_cancel(waiter, story.ticket, p->flags, &err), MFA_OK, &err);
    began = now_ms();
    finish(waiter, &story, p->name);
    check(story.last.code == p->code && story.started <= p->has_id &&
              (story.transaction.transaction_id != 0) == p->has_id &&
              (p->code != MFA_OK || story.transaction.decision == p->decision) &&
              (story.why.flags & (UNKNOWN | WITHDRAWN)) == p->error_flags,
          p->name, "%s (%s, flags %u), decision %d, id %lld, %d STARTED",
          mfa_code_name(story.last.code), story.why.message, (unsigned)story.why.flags,
          (int)story.transaction.decision, (long long)story.transaction.transaction_id, story.started);
    check(now_ms() - began < (p->flags ? 2000 : 50) + GENEROUS_MS, "it ends soon", "after %lld ms",
          (long long)(now_ms() - began));
}

static void cancels(void)
{
    size_t i;

    for (i = 0; i < COUNT(phases); i++) {
        cancel_in(&phases[i]);
    }
    nothing_is_left("cancels: all have ended");
}

#define MANY 200

static void cancel_all(uint32_t flags, uint32_t wanted)
{
    static struct story stories[MANY];
    mfa_wait_options wait = quickly(0);
    mfa_error err = MFA_ERROR_INIT;
    int wrong = 0;
    int i;

    wait.first_poll_ms = 10000;
    for (i = 0; i < MANY; i++) {
        add_confirm(waiter, &stories[i], fresh("never"), &wait, 60000);
    }
    for (i = 0; i < MANY; i++) {
        wrong += !drive_until(waiter, &stories[i].started, 1);
    }
    check_int("all have started", wrong, 0);
    check_code("mfa_waiter_cancel_all", mfa_waiter_cancel_all(waiter, flags, &err), MFA_OK, &err);
    for (i = 0; i < MANY; i++) {
        wrong += !drive_until(waiter, &stories[i].ended, 1) || stories[i].fault != NULL ||
                 stories[i].last.code != MFA_ERR_CANCELLED || stories[i].transaction.transaction_id == 0 ||
                 (stories[i].why.flags & (UNKNOWN | WITHDRAWN)) != wanted;
    }
    check(wrong == 0, flags ? "cancel_all withdraws each" : "cancel_all ends each", "%d did not", wrong);
    nothing_is_left("cancel_all: all have ended");
}

/* Deadlines ------------------------------------------------------------------------------------- */

static void deadlines(void)
{
    mfa_wait_options wait = quickly(0);
    struct story plain;
    struct story withdrawn;
    struct story late;

    add_confirm(waiter, &plain, fresh("never"), &wait, 700);
    wait.cancel_on_timeout = 1;
    add_confirm(waiter, &withdrawn, fresh("never"), &wait, 1500);
    finish(waiter, &plain, "a deadline");
    check(plain.last.code == MFA_ERR_TIMEOUT && plain.transaction.transaction_id != 0 &&
              plain.transaction.decision == MFA_DECISION_PENDING,
          "ends it with what is known", "%s, decision %d", mfa_code_name(plain.last.code),
          (int)plain.transaction.decision);
    finish(waiter, &withdrawn, "a deadline that withdraws");
    check(withdrawn.last.code == MFA_ERR_TIMEOUT && (withdrawn.why.flags & WITHDRAWN) != 0,
          "has withdrawn", "%s, flags %u", mfa_code_name(withdrawn.last.code),
          (unsigned)withdrawn.why.flags);
    /* It counts from the add, whether or not somebody drives. */
    add_confirm(waiter, &late, fresh("never"), &wait, 100);
    pause_ms(150);
    finish(waiter, &late, "a deadline before anybody drives");
    check(late.last.code == MFA_ERR_TIMEOUT && late.started == 0 && (late.why.flags & UNKNOWN) == 0,
          "sends nothing", "%s, %d STARTED", mfa_code_name(late.last.code), late.started);
}

/* What was answered in time is not lost because nobody looked. */
static void a_late_caller(void)
{
    mfa_wait_options wait = quickly(0);
    struct story story;
    int64_t began = now_ms();

    wait.first_poll_ms = 300;
    add_confirm(waiter, &story, fresh("approve-after-0+slow-700@status"), &wait, 1500);
    drive_until(waiter, &story.started, 1);
    /* The poll is sent meanwhile, and answered before the deadline, at which nobody looks. */
    while (now_ms() - began < 700) {
        take(waiter, 10);
    }
    pause_ms(1500);
    finish(waiter, &story, "a late caller");
    check(mfa_event_is_approved(&story.last, &story.transaction), "gets its answer", "%s (%s)",
          mfa_code_name(story.last.code), story.why.message);
}

/* Out structs ----------------------------------------------------------------------------------- */

/* Whatever was in them: each is reset, and filled as far as the caller has it. */
static void out_structs(void)
{
    char block[4096];
    mfa_event *event = (mfa_event *)(void *)block;
    mfa_transaction transaction;
    mfa_error why;

    memset(block, 0x5a, sizeof block);
    memset(&transaction, 0x5a, sizeof transaction);
    memset(&why, 0x5a, sizeof why);
    event->struct_size = sizeof block;
    transaction.struct_size = sizeof transaction;
    why.struct_size = sizeof why;
    check_int("next", mfa_waiter_next(waiter, 0, event, &transaction, &why, NULL), MFA_OK);
    check(event->kind == MFA_EVENT_NONE && event->ticket == 0 && event->user_data == NULL &&
              event->code == MFA_ERR_NOT_ENDED && event->reserved == 0 &&
              event->struct_size == sizeof block &&
              all_bytes_are(block + sizeof *event, sizeof block - sizeof *event, 0x5a),
          "the event is reset, its tail left alone", "kind %d, code %d", (int)event->kind,
          (int)event->code);
    check(transaction.decision == MFA_DECISION_NONE && transaction.transaction_id == 0 &&
              transaction.raw_status == -1 && transaction.raw_complete_result == -1 &&
              transaction.polls == 0 && transaction.elapsed_ms == 0,
          "the transaction is reset", "decision %d", (int)transaction.decision);
    check(all_bytes_are((const char *)&why + 4, sizeof why - 4, 0), "why is reset", "it is not");
}

/* Tickets of two waiters are their own, and so are their events. */
static void two_waiters(void)
{
    mfa_waiter *other = waiter_for(client);
    mfa_wait_options wait = quickly(0);
    struct story ours;
    struct story theirs;

    add_confirm(waiter, &ours, fresh("approve-after-90"), &wait, 20000);
    add_confirm(other, &theirs, fresh("deny-after-90"), &wait, 20000);
    finish(waiter, &ours, "one waiter");
    check(theirs.started == 0 && theirs.ended == 0, "drives its own alone", "it told of the other's");
    finish(other, &theirs, "the other");
    check(ours.transaction.decision == MFA_DECISION_APPROVED &&
              theirs.transaction.decision == MFA_DECISION_DENIED,
          "each has its own answer", "%d, %d", (int)ours.transaction.decision,
          (int)theirs.transaction.decision);
    mfa_waiter_free(other);
}

/* More waits than connections, and no more requests than allowed. */
static void bounded(void)
{
    mfa_waiter_options options = MFA_WAITER_OPTIONS_INIT;
    mfa_wait_options wait = quickly(0);
    struct story stories[20];
    mfa_waiter *few;
    int64_t began = now_ms();
    size_t i;
    int wrong = 0;

    options.max_connections = 2;
    options.max_requests_per_second = 50;
    few = waiter_with(client, &options);
    for (i = 0; i < COUNT(stories); i++) {
        add_confirm(few, &stories[i], fresh("approve-after-0"), &wait, 60000);
    }
    for (i = 0; i < COUNT(stories); i++) {
        wrong += !drive_until(few, &stories[i].ended, 1) ||
                 !mfa_event_is_approved(&stories[i].last, &stories[i].transaction);
    }
    check_int("twenty on two connections", wrong, 0);
    /* Sixty requests, of which the first begins at once. */
    check(now_ms() - began >= 1100, "at fifty requests a second", "after %lld ms",
          (long long)(now_ms() - began));
    mfa_waiter_free(few);
}

int main(void)
{
    client = hyperid_at(sandbox_url("MFA_TEST_HYPERID_URL"));
    waiter = waiter_for(client);
    out_structs();
    people_decide();
    waits_by_id();
    updates();
    tokens();
    cancels();
    cancel_all(0, 0);
    cancel_all(WITHDRAW, WITHDRAWN);
    deadlines();
    a_late_caller();
    two_waiters();
    bounded();
    mfa_waiter_free(waiter);
    mfa_hyperid_free(client);
    return check_finish();
}
