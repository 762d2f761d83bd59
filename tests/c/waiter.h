/*
 * What the tests of waiters have in common: a story for each wait, written from its events, and what
 * each story must keep to.
 */
#ifndef MFA_TESTS_WAITER_H
#define MFA_TESTS_WAITER_H

#include "check.h"

/* How long a test goes on before it gives up. */
#define PATIENCE_MS 30000

/* What has happened to one wait; its address is the wait's user_data. */
struct story {
    uint64_t ticket;
    int started;
    int updates;
    int refusals;
    int ended;
    /* What no story may have: events in a wrong order, or with values that do not belong there. */
    const char *fault;
    int64_t id;
    mfa_event last;
    mfa_transaction transaction;
    mfa_error why;
};

static inline mfa_waiter *waiter_with(const mfa_hyperid *client, const mfa_waiter_options *options)
{
    mfa_error err = MFA_ERROR_INIT;
    mfa_waiter *waiter = NULL;

    if (mfa_waiter_new(client, options, &waiter, &err) != MFA_OK) {
        printf("not ok setup: mfa_waiter_new: %s\n", err.message);
        exit(2);
    }
    return waiter;
}

static inline mfa_waiter *waiter_for(const mfa_hyperid *client)
{
    return waiter_with(client, NULL);
}

/* Polls soon, and often. */
static inline mfa_wait_options quickly(uint32_t flags)
{
    mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;

    wait.min_interval_ms = 50;
    wait.max_interval_ms = 200;
    wait.flags = flags;
    return wait;
}

static inline void add_confirm(mfa_waiter *waiter, struct story *story, const char *token,
                               const mfa_wait_options *wait, uint32_t timeout_ms)
{
    mfa_error err = MFA_ERROR_INIT;
    mfa_request request = MFA_REQUEST_INIT;
    mfa_call_options options = within(timeout_ms, NULL);

    memset(story, 0, sizeof *story);
    request.question = "Sign in?";
    if (mfa_waiter_confirm(waiter, token, &request, wait, &options, story, &story->ticket, &err) !=
        MFA_OK) {
        printf("not ok setup: mfa_waiter_confirm: %s\n", err.message);
        exit(2);
    }
}

static inline void add_wait(mfa_waiter *waiter, struct story *story, const char *token, int64_t id,
                            const mfa_wait_options *wait, uint32_t timeout_ms)
{
    mfa_error err = MFA_ERROR_INIT;
    mfa_call_options options = within(timeout_ms, NULL);

    memset(story, 0, sizeof *story);
    if (mfa_waiter_wait(waiter, token, id, wait, &options, story, &story->ticket, &err) != MFA_OK) {
        printf("not ok setup: mfa_waiter_wait: %s\n", err.message);
        exit(2);
    }
}

static inline const char *fault_of(const struct story *story, const mfa_event *event,
                                   const mfa_transaction *transaction, const mfa_error *why)
{
    int has_ended = event->kind == MFA_EVENT_ENDED;
    int explains = event->kind == MFA_EVENT_TOKEN_REFUSED || (has_ended && event->code != MFA_OK);

    if (event->ticket != story->ticket) {
        return "the ticket is another's";
    }
    if (story->ended) {
        return "an event came after the end";
    }
    if (!has_ended && event->code != MFA_ERR_NOT_ENDED) {
        return "a code came before the end";
    }
    if (transaction->decision == MFA_DECISION_APPROVED && !(has_ended && event->code == MFA_OK)) {
        return "an approval stands beside something else";
    }
    if (mfa_event_is_approved(event, transaction) !=
        (has_ended && event->code == MFA_OK && transaction->decision == MFA_DECISION_APPROVED)) {
        return "mfa_event_is_approved says otherwise";
    }
    if ((why->code != MFA_OK) != explains || (why->message[0] != 0) != explains) {
        return "why is there without a reason, or not there";
    }
    if (explains && (why->provider != MFA_PROVIDER_HYPERID || (has_ended && why->code != event->code))) {
        return "why tells of something else";
    }
    if (event->kind == MFA_EVENT_STARTED && (story->started || story->updates)) {
        return "STARTED came late, or twice";
    }
    if (event->kind == MFA_EVENT_STARTED && transaction->transaction_id <= 0) {
        return "STARTED has no id";
    }
    if (story->id != 0 && !has_ended && transaction->transaction_id != story->id) {
        return "the id changed";
    }
    return NULL;
}

static inline void write_story(const mfa_event *event, const mfa_transaction *transaction,
                               const mfa_error *why)
{
    struct story *story = (struct story *)event->user_data;
    const char *fault = fault_of(story, event, transaction, why);

    story->fault = story->fault == NULL ? fault : story->fault;
    story->started += event->kind == MFA_EVENT_STARTED;
    story->updates += event->kind == MFA_EVENT_UPDATE;
    story->refusals += event->kind == MFA_EVENT_TOKEN_REFUSED;
    story->ended += event->kind == MFA_EVENT_ENDED;
    story->id = transaction->transaction_id != 0 ? transaction->transaction_id : story->id;
    story->last = *event;
    story->transaction = *transaction;
    story->why = *why;
}

/* Takes one event into its story. Returns its kind; -1: `next` failed. */
static inline int take(mfa_waiter *waiter, uint32_t timeout_ms)
{
    mfa_event event = MFA_EVENT_INIT;
    mfa_transaction transaction = MFA_TRANSACTION_INIT;
    mfa_error why = MFA_ERROR_INIT;
    mfa_error err = MFA_ERROR_INIT;
    mfa_code code = mfa_waiter_next(waiter, timeout_ms, &event, &transaction, &why, &err);

    if (code != MFA_OK || err.code != MFA_OK) {
        check(0, "mfa_waiter_next", "%s, %s", mfa_code_name(code), err.message);
        return -1;
    }
    if (event.kind == MFA_EVENT_NONE) {
        if (event.ticket != 0 || event.user_data != NULL || event.code != MFA_ERR_NOT_ENDED ||
            transaction.decision != MFA_DECISION_NONE || why.code != MFA_OK) {
            check(0, "MFA_EVENT_NONE", "something stands beside it");
        }
        return MFA_EVENT_NONE;
    }
    write_story(&event, &transaction, &why);
    return event.kind;
}

/* Drives the waiter until the counter has reached `wanted`; 0: it has not, in good time. */
static inline int drive_until(mfa_waiter *waiter, const int *counter, int wanted)
{
    int64_t until = now_ms() + PATIENCE_MS;

    while (*counter < wanted && now_ms() < until) {
        if (take(waiter, 100) < 0) {
            return 0;
        }
    }
    return *counter >= wanted;
}

/* Drives until the story has ended, and judges what every story must keep to. */
static inline int finish(mfa_waiter *waiter, struct story *story, const char *name)
{
    int ended = drive_until(waiter, &story->ended, 1);

    return check(ended && story->fault == NULL, name, "%s",
                 ended ? story->fault : "it has not ended in time");
}

#endif
