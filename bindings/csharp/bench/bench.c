/* The same calls from C. The library's functions are handed in, so that both sides use one copy of it. */
#include <mfa.h>
#include <time.h>

struct library {
    mfa_code (*availability)(const mfa_hyperid *, const char *, const mfa_call_options *, mfa_availability *, mfa_error *);
    mfa_cancel *(*cancel_new)(void);
    void (*cancel_free)(mfa_cancel *);
};

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* Nanoseconds that a call takes, with a cancel object made for it or without one; -1: it failed. */
int64_t bench_availability(const struct library *mfa, const mfa_hyperid *client, const char *token, int32_t with_cancel)
{
    int64_t begin = now();
    mfa_availability answer = MFA_AVAILABILITY_INIT;
    mfa_error err = MFA_ERROR_INIT;
    mfa_call_options options = MFA_CALL_OPTIONS_INIT;
    mfa_code code;

    if (with_cancel) options.cancel = mfa->cancel_new();
    code = mfa->availability(client, token, &options, &answer, &err);
    if (with_cancel) mfa->cancel_free(options.cancel);
    return code == MFA_OK && answer.available == 1 ? now() - begin : -1;
}
