/*
 * Asks a person, and then polls from the program's own loop, as a user interface or a server's
 * event loop would: `mfa_hyperid_status` reads the state once and comes back.
 *
 *     poll_once (--url BASE_URL | --production) [--token TOKEN] [QUESTION]
 *
 * Each call may take as long as its timeout, so a program whose loop must never stand still makes
 * them in a thread. Who can simply wait uses `mfa_hyperid_confirm`: see confirm.c.
 *
 * Exit status: 0 the person approved, 1 they did not, 2 something went wrong.
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#include <windows.h>
#else
#include <poll.h>
#include <time.h>
#endif

#include <mfa.h>

enum { APPROVED = 0, NOT_APPROVED = 1, FAILED = 2 };

#define TICK_MS 100
#define POLL_EVERY_MS 2000
#define GIVE_UP_AFTER_MS 120000

/* A clock that nobody sets. */
static int64_t now_ms(void)
{
#ifdef _WIN32
    return (int64_t)GetTickCount64();
#else
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
#endif
}

static int fail(const mfa_error *err)
{
    fprintf(stderr, "%s: %s\n%s\n", mfa_code_name(err->code), err->message,
            mfa_code_message(err->code));
    if (err->flags & MFA_ERROR_OUTCOME_UNKNOWN) {
        fprintf(stderr, "The request may have reached the phone all the same. "
                        "Do not repeat it blindly, or the person is asked twice.\n");
    }
    return FAILED;
}

/* One turn of the program's own work: drawing, other descriptors, timers. Here it only waits. */
static void do_other_work(void)
{
#ifdef _WIN32
    Sleep(TICK_MS);
#else
    poll(NULL, 0, TICK_MS);
#endif
}

static int may_still_change(int32_t decision)
{
    return decision == MFA_DECISION_PENDING || decision == MFA_DECISION_UNKNOWN;
}

static int give_up(const mfa_hyperid *client, const char *token, int64_t id)
{
    mfa_error err = MFA_ERROR_INIT;

    if (mfa_hyperid_cancel(client, token, id, NULL, &err) == MFA_OK) {
        printf("Not approved: nobody answered; the request was withdrawn.\n");
        return NOT_APPROVED;
    }
    return fail(&err);
}

static int loop(const mfa_hyperid *client, const char *token, int64_t id)
{
    mfa_call_options options = MFA_CALL_OPTIONS_INIT;
    mfa_transaction state = MFA_TRANSACTION_INIT;
    mfa_error err = MFA_ERROR_INIT;
    int64_t give_up_at = now_ms() + GIVE_UP_AFTER_MS;
    int64_t next_poll = now_ms();

    options.timeout_ms = 1000;
    while (now_ms() < give_up_at) {
        mfa_code code;

        do_other_work();
        if (now_ms() < next_poll) {
            continue;
        }
        code = mfa_hyperid_status(client, token, id, &options, &state, &err);
        next_poll = now_ms() + POLL_EVERY_MS;
        if (mfa_is_approved(code, &state)) {
            printf("Approved.\n");
            return APPROVED;
        }
        if (code == MFA_OK && !may_still_change(state.decision)) {
            printf("Not approved: decision %d.\n", (int)state.decision);
            return NOT_APPROVED;
        }
        if (code != MFA_OK && !(err.flags & MFA_ERROR_RETRYABLE)) {
            return fail(&err);
        }
        if (err.retry_after_ms > POLL_EVERY_MS) {
            next_poll = now_ms() + err.retry_after_ms;
        }
    }
    return give_up(client, token, id);
}

static int ask(const mfa_hyperid *client, const char *token, const char *question)
{
    mfa_request request = MFA_REQUEST_INIT;
    mfa_error err = MFA_ERROR_INIT;
    int64_t id = 0;
    char code[3];

    if (mfa_control_code(code, sizeof code, &err) != MFA_OK) {
        return fail(&err);
    }
    request.question = question;
    request.code = code;
    if (mfa_hyperid_start(client, token, &request, NULL, &id, &err) != MFA_OK) {
        return fail(&err);
    }
    printf("Request %lld is on the phone. It must show the code %s.\n", (long long)id, code);
    return loop(client, token, id);
}

int main(int argc, char **argv)
{
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;
    mfa_error err = MFA_ERROR_INIT;
    mfa_hyperid *client = NULL;
    const char *token = getenv("MFA_TOKEN");
    const char *question = "Sign in?";
    int i;
    int production = 0;
    int status;

    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--url") == 0 && i + 1 < argc) {
            options.base_url = argv[++i];
        } else if (strcmp(argv[i], "--token") == 0 && i + 1 < argc) {
            token = argv[++i];
        } else if (strcmp(argv[i], "--production") == 0) {
            production = 1;
        } else if (argv[i][0] != '-') {
            question = argv[i];
        } else {
            token = NULL;
            break;
        }
    }
    /* Nothing that is left out or misspelt asks a real person. */
    if (token == NULL || (options.base_url == NULL) != production) {
        fprintf(stderr, "usage: poll_once (--url BASE_URL | --production) [--token TOKEN] [QUESTION]\n");
        return FAILED;
    }
    if (options.base_url != NULL && strncmp(options.base_url, "http://", 7) == 0) {
        /* For a sandbox on this machine; libmfa refuses http to any other. */
        options.flags = MFA_CLIENT_ALLOW_LOOPBACK_HTTP;
    }
    if (mfa_hyperid_new(&options, &client, &err) != MFA_OK) {
        return fail(&err);
    }
    status = ask(client, token, question);
    mfa_hyperid_free(client);
    return status;
}
