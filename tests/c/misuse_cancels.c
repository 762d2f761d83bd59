/*
 * Cancel objects and handles, used wrongly or not at all: see misuse.h.
 */
#include "misuse.h"

static void cancels(void)
{
    mfa_cancel *cancel = mfa_cancel_new();
    struct args a;
    int i;

    check(cancel != NULL, "mfa_cancel_new", "it returned NULL");
    mfa_cancel_trigger(NULL);
    mfa_cancel_free(NULL);
    mfa_hyperid_free(NULL);
    mfa_capillary_free(NULL);
    mfa_waiter_free(NULL);
    mfa_waiter_wake(NULL);
    check(1, "trigger(NULL) and free(NULL) do nothing", "they crashed");
    mfa_cancel_trigger(cancel);
    mfa_cancel_trigger(cancel);
    for (i = 0; i < (int)COUNT(calls); i++) {
        prepare(&a, &calls[i], 0);
        a.options.cancel = cancel;
        if (calls[i].takes & OUT_TICKET) {
            judge(&calls[i], &a, "a cancel object in place of mfa_waiter_cancel", ARGUMENT);
            continue;
        }
        judge(&calls[i], &a, "triggered before", MFA_ERR_CANCELLED);
        prepare(&a, &calls[i], 0);
        a.options.cancel = cancel;
        a.token = "";
        judge(&calls[i], &a, "triggered before, and wrong besides", MFA_ERR_INVALID_ARGUMENT);
    }
    mfa_cancel_free(cancel);
}

/* Not triggered, never waited on, or waited on and let go: each is freed without a trace. */
static void unused_cancels(void)
{
    mfa_cancel *cancel = mfa_cancel_new();
    struct args a;

    prepare(&a, &calls[0], 1);
    a.options.cancel = cancel;
    judge(&calls[0], &a, "with a cancel that nobody triggers", REACHES_THE_SERVER);
    mfa_cancel_free(cancel);
    cancel = mfa_cancel_new();
    mfa_cancel_free(cancel);
}

int main(void)
{
    set_up();
    cancels();
    unused_cancels();
    tear_down();
    return check_finish();
}
