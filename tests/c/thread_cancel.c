/*
 * pthread_cancel of a thread that is inside a call acts after the call, callbacks included, and the
 * thread's own setting is as it was. It would unwind the library's frames otherwise, which ends the
 * process.
 */
#include "check.h"

#define PENDING "{\"result\":0,\"transaction_status\":0}"
#define AVAILABLE "{\"result\":0,\"is_available\":true}"

/* What a call is made with; none of it is the thread's, which may end at any moment. */
static struct peer peer;
static mfa_hyperid *client;
static mfa_capillary *capillary;
static mfa_cancel *fresh_cancel;

/* How far the thread came. */
struct run {
    mfa_code (*call)(void);
    mfa_code code;
    int returned;
    int state_after;
    int ended_by_cancel;
};

static struct run run;

/* A request goes out and nothing comes back, so each of these waits in the system. */
static mfa_call_options silent(void)
{
    return within(150, NULL);
}

static mfa_code call_availability(void)
{
    mfa_call_options options = silent();
    mfa_availability a = MFA_AVAILABILITY_INIT;

    return mfa_hyperid_availability(client, "token", &options, &a, NULL);
}

static mfa_code call_two_factor_types(void)
{
    mfa_call_options options = silent();
    mfa_two_factor_types types = MFA_TWO_FACTOR_TYPES_INIT;

    return mfa_hyperid_two_factor_types(client, "token", &options, &types, NULL);
}

static mfa_code call_start(void)
{
    mfa_call_options options = silent();
    mfa_request request = MFA_REQUEST_INIT;
    int64_t id;

    request.question = "Sign in?";
    return mfa_hyperid_start(client, "token", &request, &options, &id, NULL);
}

static mfa_code call_status(void)
{
    mfa_call_options options = silent();
    mfa_transaction t = MFA_TRANSACTION_INIT;

    return mfa_hyperid_status(client, "token", 5, &options, &t, NULL);
}

static mfa_code call_cancel(void)
{
    mfa_call_options options = silent();

    return mfa_hyperid_cancel(client, "token", 5, &options, NULL);
}

static mfa_code call_wait(void)
{
    mfa_call_options options = silent();
    mfa_transaction t = MFA_TRANSACTION_INIT;

    return mfa_hyperid_wait(client, "token", 5, NULL, &options, &t, NULL);
}

static mfa_code call_confirm(void)
{
    mfa_call_options options = silent();
    mfa_request request = MFA_REQUEST_INIT;
    mfa_transaction t = MFA_TRANSACTION_INIT;

    request.question = "Sign in?";
    return mfa_hyperid_confirm(client, "token", &request, NULL, &options, &t, NULL);
}

/* Making, adding, driving and freeing are one call here. */
static mfa_code call_waiter(void)
{
    mfa_call_options options = silent();
    mfa_event event = MFA_EVENT_INIT;
    mfa_transaction t = MFA_TRANSACTION_INIT;
    mfa_waiter *waiter = NULL;
    uint64_t ticket = 0;

    mfa_waiter_new(client, NULL, &waiter, NULL);
    mfa_waiter_wait(waiter, "token", 5, NULL, &options, NULL, &ticket, NULL);
    mfa_waiter_wake(waiter);
    while (mfa_waiter_next(waiter, 20000, &event, &t, NULL, NULL) == MFA_OK &&
           event.kind != MFA_EVENT_ENDED) {
    }
    mfa_waiter_free(waiter);
    return event.code;
}

static mfa_code call_is_mfa_registered(void)
{
    mfa_call_options options = silent();
    mfa_registration r = MFA_REGISTRATION_INIT;

    return mfa_capillary_is_mfa_registered(capillary, "brand", "device", "token", &options, &r, NULL);
}

static mfa_code call_resolving(void)
{
    mfa_call_options options = silent();
    mfa_availability a = MFA_AVAILABILITY_INIT;
    mfa_hyperid *named = hyperid_at("https://name.test");
    mfa_code code = mfa_hyperid_availability(named, "token", &options, &a, NULL);

    mfa_hyperid_free(named);
    /* Whether that name is refused at once is up to the machine's resolver. */
    return code == MFA_ERR_DNS ? MFA_ERR_TIMEOUT : code;
}

/* Closing descriptors and writing to them are points where a thread may be cancelled, too. */
static mfa_code call_trigger_and_free(void)
{
    mfa_cancel_trigger(fresh_cancel);
    mfa_cancel_free(fresh_cancel);
    mfa_hyperid_free(client);
    return MFA_ERR_TIMEOUT;
}

static void *run_call(void *argument)
{
    (void)argument;
    /* From now on the thread ends at the first point where it may. No address of a local variable is
     * taken here, because AddressSanitizer does not see that this frame ends then. */
    pthread_cancel(pthread_self());
    run.code = run.call();
    run.returned = 1;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &run.state_after);
    pthread_setcancelstate(run.state_after, NULL);
    pthread_testcancel();
    return NULL;
}

static void run_in_a_thread(void *(*body)(void *))
{
    pthread_t thread;
    void *result = NULL;

    need(pthread_create(&thread, NULL, body, NULL) == 0, "pthread_create");
    pthread_join(thread, &result);
    run.ended_by_cancel = result == PTHREAD_CANCELED;
}

static void cancelled_in(const char *name, mfa_code (*call)(void))
{
    memset(&run, 0, sizeof run);
    run.call = call;
    run_in_a_thread(run_call);
    check(run.returned && run.code == MFA_ERR_TIMEOUT, name, "it %s, with %s",
          run.returned ? "returned" : "did not return", mfa_code_name(run.code));
    check(run.state_after == PTHREAD_CANCEL_ENABLE, "the thread can be cancelled as before",
          "its state is %d", run.state_after);
    check(run.ended_by_cancel, "and is, after the call", "it ran to its end");
}

static void each_call(void)
{
    mfa_call_options options = silent();
    mfa_availability a = MFA_AVAILABILITY_INIT;

    cancelled_in("availability", call_availability);
    cancelled_in("two_factor_types", call_two_factor_types);
    cancelled_in("start", call_start);
    cancelled_in("status", call_status);
    cancelled_in("cancel", call_cancel);
    cancelled_in("wait", call_wait);
    cancelled_in("confirm", call_confirm);
    cancelled_in("a waiter", call_waiter);
    cancelled_in("is_mfa_registered", call_is_mfa_registered);
    cancelled_in("while resolving a name", call_resolving);

    /* An idle connection to close, and a cancel object that calls have waited on. */
    fresh_cancel = mfa_cancel_new();
    options.cancel = fresh_cancel;
    options.timeout_ms = 20000;
    peer_set(&peer, PEER_ANSWERS, AVAILABLE);
    check_int("a call before the frees",
              mfa_hyperid_availability(client, "token", &options, &a, NULL), MFA_OK);
    cancelled_in("trigger and free", call_trigger_and_free);
}

/* Callbacks ------------------------------------------------------------------------------------- */

static int updates;
static int state_in_callback;

static int32_t on_update(void *user_data, const mfa_transaction *so_far)
{
    (void)user_data;
    (void)so_far;
    updates++;
    pthread_testcancel();
    pause_ms(1);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state_in_callback);
    /* A call within the call gives back what it found. */
    call_status();
    pthread_testcancel();
    return 0;
}

static const char *give_token(void *user_data)
{
    (void)user_data;
    pthread_testcancel();
    return NULL;
}

static mfa_code call_wait_with_callbacks(void)
{
    mfa_call_options options = within(500, NULL);
    mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;
    mfa_transaction t = MFA_TRANSACTION_INIT;

    wait.min_interval_ms = 5;
    wait.max_interval_ms = 5;
    wait.on_update = on_update;
    wait.access_token_provider = give_token;
    return mfa_hyperid_wait(client, "token", 5, &wait, &options, &t, NULL);
}

static void in_callbacks(void)
{
    client = hyperid_at(peer.listener.url);
    peer_set(&peer, PEER_ANSWERS, PENDING);
    cancelled_in("wait with callbacks", call_wait_with_callbacks);
    check(updates > 1, "the callbacks ran to their end", "%d updates", updates);
    check_int("in them the thread is not cancelled", state_in_callback, PTHREAD_CANCEL_DISABLE);
    mfa_hyperid_free(client);
}

/* A thread that has switched it off itself stays so. */
static void *run_undisturbed(void *argument)
{
    (void)argument;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    run.code = call_status();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &run.state_after);
    return NULL;
}

static void a_thread_that_is_never_cancelled(void)
{
    memset(&run, 0, sizeof run);
    client = hyperid_at(peer.listener.url);
    run_in_a_thread(run_undisturbed);
    check_int("a thread that may not be cancelled makes a call", run.code, MFA_OK);
    check_int("and still may not", run.state_after, PTHREAD_CANCEL_DISABLE);
    mfa_hyperid_free(client);
}

int main(void)
{
    peer_start(&peer, PEER_IS_SILENT, "");
    client = hyperid_at(peer.listener.url);
    capillary = capillary_at(peer.listener.url);
    each_call();
    in_callbacks();
    a_thread_that_is_never_cancelled();
    mfa_capillary_free(capillary);
    peer_stop(&peer);
    return check_finish();
}
