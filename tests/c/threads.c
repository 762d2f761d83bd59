/*
 * One client, eight threads, calls of every kind for people who behave differently: each call gets
 * its own person's answer, and never another's.
 */
#include "check.h"

#define THREADS 8
#define ROUNDS 60

static mfa_hyperid *client;
static mfa_capillary *capillary;

/* A person, and what every question about them must bring. */
struct person {
    const char *behaviours;
    int available;
    int32_t decision;
    uint32_t methods;
};

static const struct person people[] = {
    { "approve-after-0+methods-0", 1, MFA_DECISION_APPROVED, MFA_METHOD_APP },
    { "deny-after-0+methods-1", 1, MFA_DECISION_DENIED, MFA_METHOD_TOTP },
    { "expire-after-0+methods-2", 1, MFA_DECISION_EXPIRED, MFA_METHOD_SMS },
    { "declined-after-0+methods-3", 1, MFA_DECISION_CANCELLED, MFA_METHOD_EMAIL },
    { "failed-after-0+methods-0,1", 1, MFA_DECISION_FAILED, MFA_METHOD_APP | MFA_METHOD_TOTP },
    { "no-app+methods-2,3", 0, MFA_DECISION_NONE, MFA_METHOD_SMS | MFA_METHOD_EMAIL },
    { "approve-after-20+slow-5+methods-1,3", 1, MFA_DECISION_APPROVED,
      MFA_METHOD_TOTP | MFA_METHOD_EMAIL },
    { "deny-after-20+connection-close@status+methods-0,3", 1, MFA_DECISION_DENIED,
      MFA_METHOD_APP | MFA_METHOD_EMAIL },
};

#define PEOPLE (sizeof people / sizeof people[0])

struct worker {
    pthread_t thread;
    int number;
    unsigned random;
    int calls;
    int wrong;
    char why[200];
    /* The id that this worker's last confirm or start was given. */
    int64_t ids[ROUNDS];
    int id_count;
};

/* A small generator, so that a failing run can be repeated. */
static unsigned next_random(struct worker *w)
{
    w->random = w->random * 1103515245u + 12345u;
    return (w->random >> 16) & 0x7fff;
}

static void expect(struct worker *w, int right, const char *what, mfa_code code)
{
    w->calls++;
    if (!right) {
        w->wrong++;
        snprintf(w->why, sizeof w->why, "%s: %s", what, mfa_code_name(code));
    }
}

static void keep_id(struct worker *w, int64_t id)
{
    if (id > 0) {
        w->ids[w->id_count++] = id;
    }
}

static void do_availability(struct worker *w, const struct person *p, const char *token)
{
    mfa_availability a = MFA_AVAILABILITY_INIT;
    mfa_code code = mfa_hyperid_availability(client, token, NULL, &a, NULL);

    expect(w, code == MFA_OK && a.available == p->available, "availability", code);
}

static void do_types(struct worker *w, const struct person *p, const char *token)
{
    mfa_two_factor_types t = MFA_TWO_FACTOR_TYPES_INIT;
    mfa_code code = mfa_hyperid_two_factor_types(client, token, NULL, &t, NULL);
    /* Who has not linked the app is not said to have it. */
    uint32_t methods = p->methods;

    expect(w, code == MFA_OK && t.methods == methods, "two_factor_types", code);
}

static void do_confirm(struct worker *w, const struct person *p, const char *token)
{
    mfa_request request = MFA_REQUEST_INIT;
    mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;
    mfa_transaction t = MFA_TRANSACTION_INIT;
    mfa_error err = MFA_ERROR_INIT;
    mfa_code code;
    int right;

    request.question = "Sign in?";
    wait.min_interval_ms = 20;
    wait.max_interval_ms = 40;
    code = mfa_hyperid_confirm(client, token, &request, &wait, NULL, &t, &err);
    if (p->available) {
        right = code == MFA_OK && t.decision == p->decision && t.transaction_id > 0;
    } else {
        right = code == MFA_ERR_AUTHENTICATOR_NOT_LINKED && t.transaction_id == 0;
    }
    right = right && err.code == code &&
            mfa_is_approved(code, &t) == (p->decision == MFA_DECISION_APPROVED);
    expect(w, right, "confirm", code);
    keep_id(w, t.transaction_id);
}

static void do_steps(struct worker *w, const struct person *p, const char *token)
{
    mfa_request request = MFA_REQUEST_INIT;
    mfa_transaction t = MFA_TRANSACTION_INIT;
    int64_t id = 0;
    mfa_code code;

    request.question = "Pay?";
    code = mfa_hyperid_start(client, token, &request, NULL, &id, NULL);
    if (!p->available) {
        expect(w, code == MFA_ERR_DEVICE_NOT_FOUND && id == 0, "start", code);
        return;
    }
    expect(w, code == MFA_OK && id > 0, "start", code);
    keep_id(w, id);
    code = mfa_hyperid_status(client, token, id, NULL, &t, NULL);
    expect(w,
           code == MFA_OK && t.transaction_id == id &&
               (t.decision == MFA_DECISION_PENDING || t.decision == p->decision),
           "status", code);
}

static void do_registration(struct worker *w, const struct person *p, const char *token)
{
    static const char *const tokens[] = { "sandbox-registered", "sandbox-not-registered" };
    mfa_registration r = MFA_REGISTRATION_INIT;
    int which = (int)(next_random(w) % 3);
    const char *brand = which == 2 ? "no-mfa-brand" : "demo-brand";
    mfa_code code = mfa_capillary_is_mfa_registered(capillary, brand, "device", tokens[which % 2],
                                                    NULL, &r, NULL);

    (void)p;
    (void)token;
    expect(w, code == MFA_OK && r.state == which + MFA_REGISTRATION_REGISTERED, "is_mfa_registered",
           code);
}

static void do_refusal(struct worker *w, const struct person *p, const char *token)
{
    mfa_availability a = MFA_AVAILABILITY_INIT;
    mfa_error err = MFA_ERROR_INIT;
    char refused[60];
    int number = 20 + (int)(next_random(w) % 900);
    mfa_code code;

    (void)p;
    (void)token;
    snprintf(refused, sizeof refused, "sandbox-refuse--%d", number);
    code = mfa_hyperid_availability(client, refused, NULL, &a, &err);
    expect(w, code == MFA_ERR_PROVIDER_REFUSED && err.provider_code == -number, "a refusal", code);
}

static void *work(void *argument)
{
    static void (*const kinds[])(struct worker *, const struct person *, const char *) = {
        do_availability, do_types, do_confirm, do_steps, do_registration, do_refusal
    };
    struct worker *w = (struct worker *)argument;
    int round;

    for (round = 0; round < ROUNDS; round++) {
        const struct person *p = &people[next_random(w) % PEOPLE];
        unsigned kind = next_random(w) % (sizeof kinds / sizeof kinds[0]);
        char token[160];

        snprintf(token, sizeof token, "sandbox-%s#%ld-%d-%d", p->behaviours, (long)getpid(),
                 w->number, round);
        kinds[kind](w, p, token);
    }
    return NULL;
}

static int same_ids(const struct worker *a, const struct worker *b)
{
    int same = 0;
    int i;
    int j;

    for (i = 0; i < a->id_count; i++) {
        for (j = 0; j < b->id_count; j++) {
            same += (a != b || i != j) && a->ids[i] == b->ids[j];
        }
    }
    return same;
}

static void a_random_mix(void)
{
    static struct worker workers[THREADS];
    char name[60];
    int same = 0;
    int i;
    int j;

    for (i = 0; i < THREADS; i++) {
        workers[i].number = i;
        workers[i].random = 4711u + (unsigned)i;
        need(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0, "pthread_create");
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        snprintf(name, sizeof name, "thread %d gets its own answers", i);
        check(workers[i].wrong == 0 && workers[i].calls >= ROUNDS, name, "%d of %d wrong; last: %s",
              workers[i].wrong, workers[i].calls, workers[i].why);
    }
    for (i = 0; i < THREADS; i++) {
        for (j = 0; j < THREADS; j++) {
            same += same_ids(&workers[i], &workers[j]);
        }
    }
    check_int("no id was given twice", same, 0);
}

/* Waits that one cancel ends ---------------------------------------------------------------------- */

struct waiter {
    pthread_t thread;
    mfa_cancel *cancel;
    int number;
    mfa_code code;
    mfa_transaction t;
    pthread_mutex_t *lock;
    int *started;
};

static int32_t started(void *user_data, const mfa_transaction *so_far)
{
    struct waiter *w = (struct waiter *)user_data;

    if (so_far->polls == 1) {
        pthread_mutex_lock(w->lock);
        ++*w->started;
        pthread_mutex_unlock(w->lock);
    }
    return 0;
}

static void *wait_for_nobody(void *argument)
{
    static const mfa_transaction empty = MFA_TRANSACTION_INIT;
    struct waiter *w = (struct waiter *)argument;
    mfa_request request = MFA_REQUEST_INIT;
    mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;
    mfa_call_options options = within(100000, w->cancel);
    char token[80];

    w->t = empty;
    request.question = "Sign in?";
    wait.on_update = started;
    wait.on_update_user_data = w;
    snprintf(token, sizeof token, "sandbox-never#%ld-w%d", (long)getpid(), w->number);
    w->code = mfa_hyperid_confirm(client, token, &request, &wait, &options, &w->t, NULL);
    return NULL;
}

static int read_under(pthread_mutex_t *lock, const int *value)
{
    int now;

    pthread_mutex_lock(lock);
    now = *value;
    pthread_mutex_unlock(lock);
    return now;
}

static void one_cancel_for_all(void)
{
    static struct waiter waiters[THREADS];
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    mfa_cancel *cancel = mfa_cancel_new();
    int64_t until = now_ms() + 30000;
    int waiting = 0;
    int right = 0;
    int i;

    for (i = 0; i < THREADS; i++) {
        waiters[i].cancel = cancel;
        waiters[i].number = i;
        waiters[i].lock = &lock;
        waiters[i].started = &waiting;
        need(pthread_create(&waiters[i].thread, NULL, wait_for_nobody, &waiters[i]) == 0,
             "pthread_create");
    }
    while (read_under(&lock, &waiting) < THREADS && now_ms() < until) {
        pause_ms(1);
    }
    check_int("all wait", read_under(&lock, &waiting), THREADS);
    mfa_cancel_trigger(cancel);
    for (i = 0; i < THREADS; i++) {
        pthread_join(waiters[i].thread, NULL);
        right += waiters[i].code == MFA_ERR_CANCELLED && waiters[i].t.transaction_id > 0 &&
                 waiters[i].t.decision == MFA_DECISION_PENDING;
    }
    check_int("one cancel ends them all, each with its id", right, THREADS);
    mfa_cancel_free(cancel);
}

int main(void)
{
    client = hyperid_at(sandbox_url("MFA_TEST_HYPERID_URL"));
    capillary = capillary_at(sandbox_url("MFA_TEST_CAPILLARY_URL"));
    a_random_mix();
    one_cancel_for_all();
    mfa_hyperid_free(client);
    mfa_capillary_free(capillary);
    return check_finish();
}
