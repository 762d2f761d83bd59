/*
 * Which library this is, and that every code has a name and a text. The names are compared with the
 * header's own enumerators, spelled by the preprocessor, so that neither can drift.
 */
#include "check.h"

struct code {
    mfa_code code;
    mfa_code number;
    const char *name;
};

/* The numbers are written out once more, because they are part of the ABI. */
#define CODE(name, number) { name, number, #name }

static const struct code codes[] = {
    CODE(MFA_OK, 0),
    CODE(MFA_ERR_INVALID_ARGUMENT, 1),
    CODE(MFA_ERR_NULL_POINTER, 2),
    CODE(MFA_ERR_STRUCT_SIZE, 3),
    CODE(MFA_ERR_INVALID_UTF8, 4),
    CODE(MFA_ERR_INVALID_URL, 5),
    CODE(MFA_ERR_INSECURE_URL, 6),
    CODE(MFA_ERR_INVALID_CA, 7),
    CODE(MFA_ERR_BUSY, 8),
    CODE(MFA_ERR_FORKED, 9),
    CODE(MFA_ERR_NOT_ENDED, 10),
    CODE(MFA_ERR_TIMEOUT, 110),
    CODE(MFA_ERR_DNS, 111),
    CODE(MFA_ERR_CONNECT, 112),
    CODE(MFA_ERR_CONNECT_TIMEOUT, 113),
    CODE(MFA_ERR_TLS, 114),
    CODE(MFA_ERR_CONNECTION_LOST, 115),
    CODE(MFA_ERR_REQUEST_TIMEOUT, 116),
    CODE(MFA_ERR_PROXY, 117),
    CODE(MFA_ERR_MALFORMED_ANSWER, 210),
    CODE(MFA_ERR_ANSWER_TOO_LARGE, 211),
    CODE(MFA_ERR_CONTRADICTORY_ANSWER, 212),
    CODE(MFA_ERR_HTTP_STATUS, 213),
    CODE(MFA_ERR_TOKEN_EXPIRED, 310),
    CODE(MFA_ERR_TOKEN_INVALID, 311),
    CODE(MFA_ERR_ACCESS_DENIED, 312),
    CODE(MFA_ERR_UNAVAILABLE, 460),
    CODE(MFA_ERR_RATE_LIMITED, 461),
    CODE(MFA_ERR_PROVIDER_INVALID_PARAMETERS, 462),
    CODE(MFA_ERR_TRANSACTION_NOT_FOUND, 463),
    CODE(MFA_ERR_DEVICE_NOT_FOUND, 464),
    CODE(MFA_ERR_TEMPLATE_NOT_FOUND, 465),
    CODE(MFA_ERR_ALREADY_EXPIRED, 466),
    CODE(MFA_ERR_ALREADY_COMPLETED, 467),
    CODE(MFA_ERR_ALREADY_CANCELLED, 468),
    CODE(MFA_ERR_AUTHENTICATOR_NOT_LINKED, 469),
    CODE(MFA_ERR_PROVIDER_REFUSED, 470),
    CODE(MFA_ERR_CANCELLED, 550),
    CODE(MFA_ERR_INTERNAL, 900),
};

static const mfa_code unknown_codes[] = { -1, 11, 99, 100, 109, 118, 200, 404, 471, 500, 551, 899,
                                          901, 999, 1000, INT32_MAX, INT32_MIN };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static int is_known(mfa_code code)
{
    size_t i;

    for (i = 0; i < COUNT(codes); i++) {
        if (codes[i].number == code) {
            return 1;
        }
    }
    return 0;
}

static void each_code_has_a_name_and_a_text(void)
{
    const char *unknown = mfa_code_message(-1);
    size_t i;

    for (i = 0; i < COUNT(codes); i++) {
        const char *name = mfa_code_name(codes[i].code);
        const char *text = mfa_code_message(codes[i].code);

        check(codes[i].code == codes[i].number && strcmp(name, codes[i].name) == 0, codes[i].name,
              "it is %d and called %s", (int)codes[i].code, name);
        check(strlen(text) > 20 && strcmp(text, unknown) != 0, codes[i].name, "its text is \"%s\"",
              text);
    }
}

static void texts_differ(void)
{
    size_t i;
    size_t j;
    int same = 0;

    for (i = 0; i < COUNT(codes); i++) {
        for (j = 0; j < i; j++) {
            const char *text = mfa_code_message(codes[i].code);
            same += strcmp(text, mfa_code_message(codes[j].code)) == 0;
        }
    }
    check_int("no two codes have the same text", same, 0);
}

static void unknown_codes_are_told_as_such(void)
{
    char name[40];
    size_t i;

    for (i = 0; i < COUNT(unknown_codes); i++) {
        snprintf(name, sizeof name, "unknown code %d", (int)unknown_codes[i]);
        check(strcmp(mfa_code_name(unknown_codes[i]), "MFA_ERR_?") == 0, name, "it is called %s",
              mfa_code_name(unknown_codes[i]));
        check(strlen(mfa_code_message(unknown_codes[i])) > 20, name, "it has no text");
    }
}

/* A code that the library has and this table lacks: the table must grow with the header. */
static void the_table_is_complete(void)
{
    mfa_code code;
    int missing = 0;

    for (code = -2; code <= 2000; code++) {
        missing += !is_known(code) && strcmp(mfa_code_name(code), "MFA_ERR_?") != 0;
    }
    check_int("codes of the library that this test does not know", missing, 0);
}

int main(void)
{
    char version[40];

    snprintf(version, sizeof version, "%d.%d.%d", MFA_VERSION_MAJOR, MFA_VERSION_MINOR,
             MFA_VERSION_PATCH);
    check(strcmp(mfa_version(), version) == 0, "version", "the header says %s, the library %s",
          version, mfa_version());
    check(mfa_version() == mfa_version(), "the version is static", "it moves");
    check_int("ABI version", mfa_abi_version(), MFA_ABI_VERSION);
    each_code_has_a_name_and_a_text();
    texts_differ();
    unknown_codes_are_told_as_such();
    the_table_is_complete();
    return check_finish();
}
