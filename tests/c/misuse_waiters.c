/*
 * A waiter's calls with wrong arguments, but for the two that add (misuse.h has them among the calls
 * that go over the network): the right code, an `err` that says so, and no event lost.
 */
#include "waiter.h"

#define ARGUMENT MFA_ERR_INVALID_ARGUMENT
#define POINTER MFA_ERR_NULL_POINTER
#define SIZE MFA_ERR_STRUCT_SIZE

static mfa_hyperid *client;
static mfa_waiter *waiter;

/* mfa_waiter_new -------------------------------------------------------------------------------- */

static int dummy;

/* Any pointer that is not NULL: `_new` must replace it whatever happens. */
static mfa_waiter *garbage(void)
{
    return (mfa_waiter *)(void *)&dummy;
}

static void judge_new(const mfa_waiter_options *options, const char *what, mfa_code wanted)
{
    mfa_error err = MFA_ERROR_INIT;
    mfa_waiter *out = garbage();
    mfa_code got = mfa_waiter_new(client, options, &out, &err);
    char name[120];

    snprintf(name, sizeof name, "mfa_waiter_new: %s", what);
    check(got == wanted && err.code == wanted && (out != NULL) == (wanted == MFA_OK) &&
              out != garbage() && err.provider == (wanted == MFA_OK ? 0 : MFA_PROVIDER_HYPERID),
          name, "%s in place of %s, \"%s\"", mfa_code_name(got), mfa_code_name(wanted), err.message);
    if (got == MFA_OK) {
        mfa_waiter_free(out);
    }
}

static void sized_options(size_t block, uint32_t told, size_t tail, mfa_code wanted)
{
    mfa_waiter_options options = MFA_WAITER_OPTIONS_INIT;
    char *bytes = (char *)block_of(&options, sizeof options, block, told);
    char what[80];

    if (tail != 0) {
        bytes[tail] = 1;
    }
    snprintf(what, sizeof what, "options of size %lu%s", (unsigned long)told,
             tail != 0 ? ", not zero behind" : "");
    judge_new((const mfa_waiter_options *)(const void *)bytes, what, wanted);
    free(bytes);
}

static void news(void)
{
    mfa_waiter_options options = MFA_WAITER_OPTIONS_INIT;
    mfa_error err = MFA_ERROR_INIT;
    mfa_waiter *out = garbage();
    size_t size = sizeof options;

    judge_new(NULL, "options NULL", MFA_OK);
    options.max_connections = 1;
    options.max_requests_per_second = 1;
    judge_new(&options, "the least", MFA_OK);
    options.max_connections = UINT32_MAX;
    options.max_requests_per_second = UINT32_MAX;
    judge_new(&options, "the most", MFA_OK);
    options.flags = 1;
    judge_new(&options, "flags 1", ARGUMENT);
    options.flags = 0x80000000;
    judge_new(&options, "flags, the highest bit", ARGUMENT);
    sized_options(4, 0, 0, SIZE);
    sized_options(FIRST_SIZE_WAITER_OPTIONS - 1, FIRST_SIZE_WAITER_OPTIONS - 1, 0, SIZE);
    sized_options(FIRST_SIZE_WAITER_OPTIONS, FIRST_SIZE_WAITER_OPTIONS, 0, MFA_OK);
    sized_options(4, 4097, 0, SIZE);
    sized_options(4, UINT32_MAX, 0, SIZE);
    sized_options(4096, 4096, 0, MFA_OK);
    sized_options(size + 8, (uint32_t)size + 8, size, ARGUMENT);
    check_code("mfa_waiter_new: client NULL", mfa_waiter_new(NULL, NULL, &out, &err), POINTER, &err);
    check(out == NULL, "and out is NULL", "it is not");
    check_code("mfa_waiter_new: out NULL", mfa_waiter_new(client, NULL, NULL, &err), POINTER, &err);
    check_int("mfa_waiter_new: err NULL", mfa_waiter_new(NULL, NULL, NULL, NULL), POINTER);
    err.struct_size = 1;
    out = garbage();
    check(mfa_waiter_new(client, NULL, &out, &err) == SIZE && out == NULL,
          "mfa_waiter_new: err of size 1", "it was taken, or out is not NULL");
}

/* Cancelling and tokens ------------------------------------------------------------------------- */

static mfa_code cancel_one(mfa_waiter *of, uint64_t ticket, uint32_t flags, mfa_error *err)
{
    return mfa_waiter_cancel(of, ticket, flags, err);
}

static mfa_code cancel_all(mfa_waiter *of, uint64_t ticket, uint32_t flags, mfa_error *err)
{
    (void)ticket;
    return mfa_waiter_cancel_all(of, flags, err);
}

static mfa_code give_token(mfa_waiter *of, uint64_t ticket, uint32_t flags, mfa_error *err)
{
    return mfa_waiter_give_token(of, ticket, flags == 0 ? "token" : "a b", err);
}

struct about_a_ticket {
    const char *name;
    int names_one;
    mfa_code (*run)(mfa_waiter *of, uint64_t ticket, uint32_t flags, mfa_error *err);
};

static const struct about_a_ticket abouts[] = {
    { "mfa_waiter_cancel", 1, cancel_one },
    { "mfa_waiter_cancel_all", 0, cancel_all },
    { "mfa_waiter_give_token", 1, give_token },
};

static void wrong_tickets(const struct about_a_ticket *about, uint64_t ended)
{
    mfa_error err = MFA_ERROR_INIT;
    mfa_code unknown = about->names_one ? ARGUMENT : MFA_OK;

    printf("%s\n", about->name);
    check_code("waiter NULL", about->run(NULL, ended, 0, &err), POINTER, &err);
    check_int("err NULL", about->run(NULL, ended, 0, NULL), POINTER);
    check_code("an ended ticket", about->run(waiter, ended, 0, &err), MFA_OK, &err);
    check_code("ticket 0", about->run(waiter, 0, 0, &err), unknown, &err);
    check_code("a ticket that was never given out", about->run(waiter, ended + 1, 0, &err), unknown,
               &err);
    check_code("the highest ticket", about->run(waiter, UINT64_MAX, 0, &err), unknown, &err);
    check_code("flags 2, or a bad token", about->run(waiter, ended, 2, &err), ARGUMENT, &err);
    check_code("flags, the highest bit", about->run(waiter, ended, 0x80000000, &err), ARGUMENT, &err);
    err.struct_size = FIRST_SIZE_ERROR - 1;
    check_int("err too small by one", about->run(waiter, ended, 0, &err), SIZE);
}

static void wrong_tokens(uint64_t ended)
{
    static char long_token[16386];
    mfa_error err = MFA_ERROR_INIT;

    fill_text(long_token, sizeof long_token);
    check_code("mfa_waiter_give_token: NULL", mfa_waiter_give_token(waiter, ended, NULL, &err), MFA_OK,
               &err);
    check_code("mfa_waiter_give_token: empty", mfa_waiter_give_token(waiter, ended, "", &err), ARGUMENT,
               &err);
    check_code("mfa_waiter_give_token: of 16384",
               mfa_waiter_give_token(waiter, ended, long_token + 1, &err), MFA_OK, &err);
    check_code("mfa_waiter_give_token: of 16385",
               mfa_waiter_give_token(waiter, ended, long_token, &err), ARGUMENT, &err);
    check_code("mfa_waiter_give_token: with LF", mfa_waiter_give_token(waiter, ended, "a\n", &err),
               ARGUMENT, &err);
    check_code("mfa_waiter_give_token: not UTF-8",
               mfa_waiter_give_token(waiter, ended, "a\xff", &err), MFA_ERR_INVALID_UTF8, &err);
}

/* mfa_waiter_next ------------------------------------------------------------------------------- */

/* What is passed to `next`, stale: as if it told of an approval. */
struct passed {
    mfa_event event;
    mfa_transaction transaction;
    mfa_error why;
    mfa_error err;
};

static void stale(struct passed *p)
{
    memset(p, 0x5a, sizeof *p);
    p->event.struct_size = sizeof p->event;
    p->event.kind = MFA_EVENT_ENDED;
    p->event.code = MFA_OK;
    p->transaction.struct_size = sizeof p->transaction;
    p->transaction.decision = MFA_DECISION_APPROVED;
    p->why.struct_size = sizeof p->why;
    p->err.struct_size = sizeof p->err;
}

static void judge_next(const char *what, mfa_code got, const struct passed *p, mfa_code wanted)
{
    char name[120];

    snprintf(name, sizeof name, "mfa_waiter_next: %s", what);
    check(got == wanted && (p->err.struct_size != sizeof p->err || p->err.code == wanted), name,
          "%s in place of %s (err: %s, \"%s\")", mfa_code_name(got), mfa_code_name(wanted),
          mfa_code_name(p->err.code), p->err.message);
    snprintf(name, sizeof name, "mfa_waiter_next: %s: nothing is approved", what);
    check(!mfa_event_is_approved(&p->event, &p->transaction) && p->event.kind == MFA_EVENT_NONE, name,
          "kind %d, code %d, decision %d", (int)p->event.kind, (int)p->event.code,
          (int)p->transaction.decision);
}

/* Each is refused though an event waits, which is there afterwards. */
static void wrong_nexts(void)
{
    static const uint32_t sizes[] = { 8, FIRST_SIZE_EVENT - 1, 4097, UINT32_MAX };
    mfa_wait_options wait = quickly(0);
    struct passed p;
    struct story story;
    mfa_code code;
    size_t i;

    add_wait(waiter, &story, "token", 1, &wait, 20000);
    /* Its end is queued, behind which it can be seen only by taking it: so the descriptor tells. */
    mfa_waiter_cancel(waiter, story.ticket, 0, NULL);

    stale(&p);
    code = mfa_waiter_next(NULL, 1000, &p.event, &p.transaction, &p.why, &p.err);
    judge_next("waiter NULL", code, &p, POINTER);
    stale(&p);
    code = mfa_waiter_next(waiter, 1000, &p.event, NULL, &p.why, &p.err);
    judge_next("transaction NULL", code, &p, POINTER);
    stale(&p);
    p.event.kind = MFA_EVENT_NONE;
    code = mfa_waiter_next(waiter, 1000, NULL, &p.transaction, &p.why, &p.err);
    judge_next("out NULL", code, &p, POINTER);
    check(p.transaction.decision == MFA_DECISION_NONE && p.why.code == MFA_OK,
          "and the others are reset", "they are not");
    stale(&p);
    code = mfa_waiter_next(waiter, 1000, &p.event, &p.transaction, &p.err, &p.err);
    judge_next("why and err are the same", code, &p, ARGUMENT);
    for (i = 0; i < COUNT(sizes); i++) {
        stale(&p);
        p.event.struct_size = sizes[i];
        code = mfa_waiter_next(waiter, 1000, &p.event, &p.transaction, &p.why, &p.err);
        judge_next("out of a size that is not allowed", code, &p, SIZE);
        stale(&p);
        p.transaction.struct_size = sizes[i];
        code = mfa_waiter_next(waiter, 1000, &p.event, &p.transaction, &p.why, &p.err);
        judge_next("transaction of a size that is not allowed", code, &p, SIZE);
        check_int("and its decision is none", p.transaction.decision, MFA_DECISION_NONE);
        stale(&p);
        p.why.struct_size = sizes[i];
        code = mfa_waiter_next(waiter, 1000, &p.event, &p.transaction, &p.why, &p.err);
        judge_next("why of a size that is not allowed", code, &p, SIZE);
        check(all_bytes_are((const char *)&p.why + 4, sizeof p.why - 4, 0x5a), "and why is untouched",
              "it is not");
        stale(&p);
        p.err.struct_size = sizes[i];
        code = mfa_waiter_next(waiter, 1000, &p.event, &p.transaction, &p.why, &p.err);
        judge_next("err of a size that is not allowed", code, &p, SIZE);
    }
    check_int("no refused call has taken the event", mfa_waiter_count(waiter), 1);
    finish(waiter, &story, "it is still there");
    check_int("and says what happened", story.last.code, MFA_ERR_CANCELLED);
    stale(&p);
    check_int("mfa_waiter_next: why and err NULL",
              mfa_waiter_next(waiter, 0, &p.event, &p.transaction, NULL, NULL), MFA_OK);
}

/* What cannot fail ------------------------------------------------------------------------------ */

static void plain_values(void)
{
    check_int("mfa_waiter_count: NULL", mfa_waiter_count(NULL), 0);
    check_int("mfa_waiter_fd: NULL", (long long)mfa_waiter_fd(NULL), -1);
    mfa_waiter_wake(NULL);
    mfa_waiter_free(NULL);
    check(1, "wake(NULL) and free(NULL) do nothing", "they crashed");
}

static void approvals(void)
{
    static const uint32_t bad_sizes[] = { 0, 8, FIRST_SIZE_EVENT - 1, 4097, UINT32_MAX };
    mfa_event event = MFA_EVENT_INIT;
    mfa_transaction yes = MFA_TRANSACTION_INIT;
    int32_t number;
    int granted = 0;
    size_t i;

    event.kind = MFA_EVENT_ENDED;
    yes.decision = MFA_DECISION_APPROVED;
    check_int("mfa_event_is_approved: ENDED, OK and approved", mfa_event_is_approved(&event, &yes), 1);
    check_int("mfa_event_is_approved: event NULL", mfa_event_is_approved(NULL, &yes), 0);
    check_int("mfa_event_is_approved: transaction NULL", mfa_event_is_approved(&event, NULL), 0);
    for (number = -300; number < 1100; number++) {
        event.kind = number;
        granted += number != MFA_EVENT_ENDED && mfa_event_is_approved(&event, &yes) != 0;
        event.kind = MFA_EVENT_ENDED;
        event.code = number;
        granted += number != MFA_OK && mfa_event_is_approved(&event, &yes) != 0;
        event.code = MFA_OK;
        yes.decision = number;
        granted += number != MFA_DECISION_APPROVED && mfa_event_is_approved(&event, &yes) != 0;
        yes.decision = MFA_DECISION_APPROVED;
    }
    for (i = 0; i < COUNT(bad_sizes); i++) {
        event.struct_size = bad_sizes[i];
        granted += mfa_event_is_approved(&event, &yes) != 0;
        event.struct_size = sizeof event;
        yes.struct_size = bad_sizes[i];
        granted += mfa_event_is_approved(&event, &yes) != 0;
        yes.struct_size = sizeof yes;
    }
    check_int("mfa_event_is_approved: all else", granted, 0);
    event.struct_size = 4096;
    yes.struct_size = 4096;
    check_int("mfa_event_is_approved: a newer caller's", mfa_event_is_approved(&event, &yes), 1);
}

int main(void)
{
    struct listener nobody;
    mfa_wait_options wait = quickly(0);
    struct story story;
    size_t i;

    listener_open(&nobody, 16);
    client = hyperid_at(nobody.url);
    news();
    waiter = waiter_for(client);
    add_wait(waiter, &story, "token", 1, &wait, 20000);
    check_int("cancel_all", mfa_waiter_cancel_all(waiter, 0, NULL), MFA_OK);
    finish(waiter, &story, "a wait that has ended");
    for (i = 0; i < COUNT(abouts); i++) {
        wrong_tickets(&abouts[i], story.ticket);
    }
    wrong_tokens(story.ticket);
    wrong_nexts();
    plain_values();
    approvals();
    mfa_waiter_free(waiter);
    mfa_hyperid_free(client);
    check(listener_saw_nothing(&nobody), "not one connection was made", "one was");
    listener_close(&nobody);
    return check_finish();
}
