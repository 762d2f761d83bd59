/*
 * Asks what a person can confirm with: whether they have linked HyperID's authenticator app, which
 * second factors they have set up, and whether MFA is registered for them at Capillary.
 *
 *     check (--url BASE_URL | --production) [--token TOKEN]
 *           [--capillary-url BASE_URL --brand BRAND --device DEVICE --authorized-token TOKEN]
 *
 * HyperID is asked when there is a token (--token, or MFA_TOKEN in the environment), Capillary when
 * there is a --capillary-url. Nothing of this grants anything: to let somebody in, see confirm.c.
 *
 * Exit status: 0 every question was answered, 2 something went wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mfa.h>

struct settings {
    const char *url;
    const char *token;
    const char *capillary_url;
    const char *brand;
    const char *device;
    const char *authorized_token;
};

/* Returns 0, so that a failure can be told and passed on in one line. */
static int fail(const char *what, const mfa_error *err)
{
    fprintf(stderr, "%s: %s: %s\n", what, mfa_code_name(err->code), err->message);
    fprintf(stderr, "%s\n", mfa_code_message(err->code));
    if (err->flags & MFA_ERROR_RETRYABLE) {
        fprintf(stderr, "It may succeed later");
        if (err->retry_after_ms > 0) {
            fprintf(stderr, ": the server asks to wait %u ms", (unsigned)err->retry_after_ms);
        }
        fprintf(stderr, ".\n");
    }
    return 0;
}

static mfa_client_options client_options(const char *url)
{
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;

    options.base_url = url;
    options.request_timeout_ms = 10000;
    if (url != NULL && strncmp(url, "http://", 7) == 0) {
        /* For a sandbox on this machine; libmfa refuses http to any other. */
        options.flags = MFA_CLIENT_ALLOW_LOOPBACK_HTTP;
    }
    return options;
}

static int show_availability(const mfa_hyperid *client, const char *token)
{
    mfa_availability availability = MFA_AVAILABILITY_INIT;
    mfa_error err = MFA_ERROR_INIT;

    if (mfa_hyperid_availability(client, token, NULL, &availability, &err) != MFA_OK) {
        return fail("availability", &err);
    }
    printf("authenticator app: %s\n", availability.available ? "linked" : "not linked");
    return 1;
}

static int show_methods(const mfa_hyperid *client, const char *token)
{
    static const char *const names[] = { "app", "one-time password", "SMS", "e-mail", "other" };
    mfa_two_factor_types types = MFA_TWO_FACTOR_TYPES_INIT;
    mfa_error err = MFA_ERROR_INIT;
    int bit;

    if (mfa_hyperid_two_factor_types(client, token, NULL, &types, &err) != MFA_OK) {
        return fail("second factors", &err);
    }
    printf("second factors: %u", (unsigned)types.count);
    /* The flags MFA_METHOD_... are the bits 0 to 4, in this order. */
    for (bit = 0; bit < 5; bit++) {
        if (types.methods & (1u << bit)) {
            printf(", %s", names[bit]);
        }
    }
    printf("\n");
    return 1;
}

static int ask_hyperid(const struct settings *settings)
{
    mfa_client_options options = client_options(settings->url);
    mfa_error err = MFA_ERROR_INIT;
    mfa_hyperid *client = NULL;
    int ok;

    if (mfa_hyperid_new(&options, &client, &err) != MFA_OK) {
        return fail("HyperID", &err);
    }
    ok = show_availability(client, settings->token);
    ok = show_methods(client, settings->token) && ok;
    mfa_hyperid_free(client);
    return ok;
}

static const char *in_words(int32_t state)
{
    switch (state) {
    case MFA_REGISTRATION_REGISTERED:
        return "registered";
    case MFA_REGISTRATION_NOT_REGISTERED:
        return "not registered";
    case MFA_REGISTRATION_NOT_ENABLED:
        return "not enabled for this brand";
    default:
        return "not known";
    }
}

static int ask_capillary(const struct settings *settings)
{
    mfa_client_options options = client_options(settings->capillary_url);
    mfa_registration found = MFA_REGISTRATION_INIT;
    mfa_error err = MFA_ERROR_INIT;
    mfa_capillary *client = NULL;
    mfa_code code;

    if (mfa_capillary_new(&options, &client, &err) != MFA_OK) {
        return fail("Capillary", &err);
    }
    code = mfa_capillary_is_mfa_registered(client, settings->brand, settings->device,
                                           settings->authorized_token, NULL, &found, &err);
    mfa_capillary_free(client);
    if (code != MFA_OK) {
        return fail("Capillary", &err);
    }
    printf("Capillary MFA: %s\n", in_words(found.state));
    return 1;
}

static int usage(void)
{
    fprintf(stderr, "usage: check (--url BASE_URL | --production) [--token TOKEN]\n"
                    "             [--capillary-url BASE_URL --brand BRAND --device DEVICE "
                    "--authorized-token TOKEN]\n"
                    "The token may also stand in the environment's MFA_TOKEN.\n");
    return 0;
}

/* Returns 0 when the arguments cannot be used. */
static int read_arguments(int argc, char **argv, struct settings *s)
{
    struct {
        const char *name;
        const char **value;
    } known[] = {
        { "--url", NULL },    { "--token", NULL },  { "--capillary-url", NULL },
        { "--brand", NULL },  { "--device", NULL }, { "--authorized-token", NULL },
    };
    size_t k;
    int i, production = 0;

    memset(s, 0, sizeof *s);
    s->token = getenv("MFA_TOKEN");
    known[0].value = &s->url;
    known[1].value = &s->token;
    known[2].value = &s->capillary_url;
    known[3].value = &s->brand;
    known[4].value = &s->device;
    known[5].value = &s->authorized_token;
    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--production") == 0) {
            production = 1;
            continue;
        }
        for (k = 0; k < 6 && strcmp(argv[i], known[k].name) != 0; k++) {
        }
        if (k == 6 || i + 1 == argc) {
            return usage();
        }
        *known[k].value = argv[++i];
    }
    /* Nothing that is left out or misspelt asks about a real person. */
    if (s->token != NULL && (s->url == NULL) != production) {
        return usage();
    }
    return (s->token != NULL || s->capillary_url != NULL) ? 1 : usage();
}

int main(int argc, char **argv)
{
    struct settings settings;
    int ok = 1;

    if (!read_arguments(argc, argv, &settings)) {
        return 2;
    }
    if (settings.token != NULL) {
        ok = ask_hyperid(&settings);
    }
    if (settings.capillary_url != NULL) {
        ok = ask_capillary(&settings) && ok;
    }
    return ok ? 0 : 2;
}
