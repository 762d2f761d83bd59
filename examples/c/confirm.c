/*
 * Asks a person to confirm something on their phone, and waits for the answer.
 *
 *     confirm (--url BASE_URL | --production) [--token TOKEN] [--timeout SECONDS] [QUESTION]
 *
 * The token may also stand in the environment's MFA_TOKEN, where other users of the machine cannot
 * read it off the list of processes. HyperID's production is asked only where --production says so.
 *
 * Exit status: 0 the person approved, 1 they did not, 2 something went wrong.
 */
#define _POSIX_C_SOURCE 200809L

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#include <io.h>
#define isatty _isatty
#define fileno _fileno
#else
#include <unistd.h>
#endif

#include <mfa.h>

enum { APPROVED = 0, NOT_APPROVED = 1, FAILED = 2 };

struct settings {
    const char *url;
    const char *token;
    const char *question;
    uint32_t timeout_ms;
};

/* Ctrl-C ends the call. `mfa_cancel_trigger` may be called from a signal handler, and from any thread:
 * on Windows the handler runs in one of its own. A second Ctrl-C ends the program, where the system puts
 * the handler back after the first. */
static mfa_cancel *interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    mfa_cancel_trigger(interrupted);
}

static const char *in_words(int32_t decision)
{
    switch (decision) {
    case MFA_DECISION_APPROVED:
        return "approved";
    case MFA_DECISION_DENIED:
        return "denied";
    case MFA_DECISION_EXPIRED:
        return "not answered before the request expired";
    case MFA_DECISION_CANCELLED:
        return "cancelled";
    case MFA_DECISION_FAILED:
        return "failed";
    case MFA_DECISION_PENDING:
        return "waiting for the person";
    default:
        return "not known";
    }
}

/* Called as soon as the id is known, and then after each poll. */
static int32_t show_progress(void *user_data, const mfa_transaction *so_far)
{
    int is_terminal = *(const int *)user_data;

    if (so_far->polls == 0) {
        /* A server program would save the id here, so that a crash does not lose it. */
        fprintf(stderr, "Request %lld is on the phone.\n", (long long)so_far->transaction_id);
        return 0;
    }
    /* On a terminal the line is written over and over. */
    fprintf(stderr, "%s%3u s, %u polls: %s%s", is_terminal ? "\r" : "",
            (unsigned)(so_far->elapsed_ms / 1000), (unsigned)so_far->polls,
            in_words(so_far->decision), is_terminal ? "        " : "\n");
    fflush(stderr);
    return 0;
}

static void explain(const mfa_error *err)
{
    fprintf(stderr, "%s: %s\n", mfa_code_name(err->code), err->message);
    fprintf(stderr, "%s\n", mfa_code_message(err->code));
    if (err->has_provider_code) {
        fprintf(stderr, "The provider's own number is %d.\n", (int)err->provider_code);
    }
    if (err->retry_after_ms > 0) {
        fprintf(stderr, "The server asks to wait %u ms before the next request.\n",
                (unsigned)err->retry_after_ms);
    }
    if (err->flags & MFA_ERROR_OUTCOME_UNKNOWN) {
        fprintf(stderr, "The request may have reached the phone all the same. "
                        "Do not repeat it blindly, or the person is asked twice.\n");
    }
}

/* Ctrl-C: whether the request is off the phone again. */
static void explain_interruption(const mfa_transaction *so_far, const mfa_error *err)
{
    if (err->flags & MFA_ERROR_WITHDRAWN) {
        fprintf(stderr, "The request was withdrawn from the phone.\n");
    } else if (so_far->transaction_id > 0) {
        fprintf(stderr, "Request %lld could not be withdrawn: it stays on the phone until it "
                        "expires.\n", (long long)so_far->transaction_id);
    } else if (err->flags & MFA_ERROR_OUTCOME_UNKNOWN) {
        explain(err);
    }
}

static int conclude(mfa_code code, const mfa_transaction *answer, const mfa_error *err)
{
    /* The only question that opens the door: MFA_OK alone says that there is an answer. */
    if (mfa_is_approved(code, answer)) {
        printf("Approved.\n");
        return APPROVED;
    }
    if (code == MFA_OK) {
        printf("Not approved: %s.\n", in_words(answer->decision));
        return NOT_APPROVED;
    }
    if (code == MFA_ERR_CANCELLED) {
        printf("Not approved: interrupted.\n");
        explain_interruption(answer, err);
        return NOT_APPROVED;
    }
    explain(err);
    return FAILED;
}

static mfa_code make_client(const char *url, mfa_hyperid **client, mfa_error *err)
{
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;

    options.base_url = url;
    if (url != NULL && strncmp(url, "http://", 7) == 0) {
        /* For a sandbox on this machine; libmfa refuses http to any other. */
        options.flags = MFA_CLIENT_ALLOW_LOOPBACK_HTTP;
    }
    return mfa_hyperid_new(&options, client, err);
}

static int confirm(const mfa_hyperid *client, const struct settings *settings)
{
    mfa_request request = MFA_REQUEST_INIT;
    mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;
    mfa_call_options options = MFA_CALL_OPTIONS_INIT;
    mfa_transaction answer = MFA_TRANSACTION_INIT;
    mfa_error err = MFA_ERROR_INIT;
    char code[3];
    int is_terminal = isatty(fileno(stderr));
    mfa_code result = mfa_control_code(code, sizeof code, &err);

    if (result != MFA_OK) {
        explain(&err);
        return FAILED;
    }
    fprintf(stderr, "%s\nApprove only if the phone shows the code %s. Ctrl-C gives up.\n",
            settings->question, code);
    request.question = settings->question;
    request.code = code;
    wait.on_update = show_progress;
    wait.on_update_user_data = &is_terminal;
    /* When time is up, and after Ctrl-C, take the request back instead of leaving it on the phone.
     * If the person answers at that very moment, their answer counts. */
    wait.cancel_on_timeout = 1;
    wait.flags = MFA_WAIT_WITHDRAW_ON_CANCEL;
    options.timeout_ms = settings->timeout_ms;
    options.cancel = interrupted;
    result = mfa_hyperid_confirm(client, settings->token, &request, &wait, &options, &answer, &err);
    if (is_terminal && answer.polls > 0) {
        fprintf(stderr, "\n");
    }
    return conclude(result, &answer, &err);
}

static int usage(void)
{
    fprintf(stderr, "usage: confirm (--url BASE_URL | --production) [--token TOKEN] [--timeout SECONDS] "
                    "[QUESTION]\n"
                    "The token may also stand in the environment's MFA_TOKEN.\n");
    return 0;
}

/* Returns 0 when the arguments cannot be used. */
static int read_arguments(int argc, char **argv, struct settings *settings)
{
    int i, production = 0;

    settings->url = NULL;
    settings->token = getenv("MFA_TOKEN");
    settings->question = "Sign in?";
    settings->timeout_ms = 0;
    for (i = 1; i < argc; i++) {
        if (argv[i][0] != '-') {
            settings->question = argv[i];
        } else if (strcmp(argv[i], "--production") == 0) {
            production = 1;
        } else if (i + 1 == argc) {
            return usage();
        } else if (strcmp(argv[i], "--url") == 0) {
            settings->url = argv[++i];
        } else if (strcmp(argv[i], "--token") == 0) {
            settings->token = argv[++i];
        } else if (strcmp(argv[i], "--timeout") == 0) {
            char *end;
            long seconds = strtol(argv[++i], &end, 10);

            if (*end != '\0' || seconds < 1 || seconds > 86400) {
                return usage();
            }
            settings->timeout_ms = (uint32_t)seconds * 1000;
        } else {
            return usage();
        }
    }
    /* Nothing that is left out or misspelt asks a real person. */
    if ((settings->url == NULL) != production) {
        return usage();
    }
    return settings->token != NULL ? 1 : usage();
}

int main(int argc, char **argv)
{
    struct settings settings;
    mfa_error err = MFA_ERROR_INIT;
    mfa_hyperid *client = NULL;
    int status;

    if (!read_arguments(argc, argv, &settings)) {
        return FAILED;
    }
    /* NULL, should it ever come to that, only means that Ctrl-C ends nothing. */
    interrupted = mfa_cancel_new();
    if (make_client(settings.url, &client, &err) != MFA_OK) {
        explain(&err);
        mfa_cancel_free(interrupted);
        return FAILED;
    }
    signal(SIGINT, on_interrupt);
    status = confirm(client, &settings);
    /* The handler must not find a freed object. */
    signal(SIGINT, SIG_DFL);
    mfa_hyperid_free(client);
    mfa_cancel_free(interrupted);
    return status;
}
