/* libmfa: one client, which all threads share. (With a cancel object: subject_mfa_cancel.c) */
#include <stdio.h>
#include <stdlib.h>

#include <mfa.h>

#include "subject.h"

struct shared {
    mfa_hyperid *client;
    mfa_call_options call;
    char token[64];
};

static const char *version(void)
{
    static char text[32];

    snprintf(text, sizeof text, "libmfa %s", mfa_version());
    return text;
}

static char *read_file(const char *name)
{
    FILE *file = fopen(name, "r");
    char *text = calloc(1, 65536);

    if (file == NULL || text == NULL || fread(text, 1, 65535, file) == 0) {
        perror(name);
        exit(2);
    }
    fclose(file);
    return text;
}

static void *open_client(const struct bench_target *target)
{
    struct shared *shared = calloc(1, sizeof *shared);
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;
    mfa_error err = MFA_ERROR_INIT;
    char *ca = target->is_tls ? read_file(target->ca_file) : NULL;
    char url[64];

    if (shared == NULL) {
        return NULL;
    }
    snprintf(shared->token, sizeof shared->token, "%s", target->token);
    shared->call.struct_size = sizeof shared->call;
#ifdef BENCH_WITH_CANCEL
    shared->call.cancel = mfa_cancel_new();
#endif
    snprintf(url, sizeof url, "%s://" BENCH_HOST ":%d", target->is_tls ? "https" : "http",
             target->port);
    options.base_url = url;
    options.flags = MFA_CLIENT_ALLOW_LOOPBACK_HTTP;
    options.ca_pem = ca;
    options.request_timeout_ms = BENCH_TIMEOUT_MS;
    options.connect_timeout_ms = BENCH_CONNECT_TIMEOUT_MS;
    options.max_idle_connections = 1024;
    if (mfa_hyperid_new(&options, &shared->client, &err) != MFA_OK) {
        fprintf(stderr, "%s\n", err.message);
        free(shared);
        shared = NULL;
    }
    free(ca);
    return shared;
}

static void *attach(void *shared)
{
    return shared;
}

static int call(void *mine)
{
    struct shared *shared = mine;
    mfa_transaction transaction = MFA_TRANSACTION_INIT;
    mfa_error err = MFA_ERROR_INIT;
    mfa_code code =
        mfa_hyperid_status(shared->client, shared->token, BENCH_ID, &shared->call, &transaction, &err);

    if (code != MFA_OK) {
        fprintf(stderr, "%s\n", err.message);
    }
    return mfa_is_approved(code, &transaction);
}

static void detach(void *mine)
{
    (void)mine;
}

static void close_client(void *mine)
{
    struct shared *shared = mine;

    mfa_hyperid_free(shared->client);
    mfa_cancel_free(shared->call.cancel);
    free(shared);
}

const struct bench_subject *bench_subject(void)
{
    static const struct bench_subject subject = {"libmfa", version, 1, open_client, attach, call,
                                                 detach,   close_client};

    return &subject;
}
