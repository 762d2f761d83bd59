/*
 * `_new` of each provider with wrong options: the right code, an `err` that says so without a secret,
 * and no client.
 */
#include "check.h"

struct client_row {
    const char *what;
    const char *base_url;
    const char *ca_pem;
    const char *proxy_url;
    const char *user_agent;
    uint32_t flags;
    int32_t log_level;
    mfa_code wanted;
};

static char long_agent[258];

#define LOOPBACK MFA_CLIENT_ALLOW_LOOPBACK_HTTP
#define GOOD "https://mfa.example"
#define URL(what, url, flags, wanted) { what, url, NULL, NULL, NULL, flags, 0, wanted }
#define BAD_URL(url) URL("base_url " url, url, LOOPBACK, MFA_ERR_INVALID_URL)
#define INSECURE(url, flags) URL("base_url " url, url, flags, MFA_ERR_INSECURE_URL)
#define FINE_URL(url, flags) URL("base_url " url, url, flags, MFA_OK)
#define BAD_PROXY(what, proxy) { what, GOOD, NULL, proxy, NULL, 0, 0, MFA_ERR_INVALID_URL }
/* A test key, published and nobody's (tests/pem/make.sh). */
#define CERTIFICATE \
    "-----BEGIN CERTIFICATE-----\n" \
    "MIIBjTCCATOgAwIBAgIUdu94uliV73joF3VwNwRYVJg4DcgwCgYIKoZIzj0EAwIw\n" \
    "GzEZMBcGA1UEAwwQbGlibWZhIHRlc3QgcDI1NjAgFw0yNjExMjUxNzU0MjdaGA8y\n" \
    "MTI2MTEwMTE3NTQyN1owGzEZMBcGA1UEAwwQbGlibWZhIHRlc3QgcDI1NjBZMBMG\n" \
    "ByqGSM49AgEGCCqGSM49AwEHA0IABCVr/pcT6UomaXCYgekLakQEKizKF01qs0YS\n" \
    "A7BfmbdygjYEU6LJOHmdkHKj5FdfKFVKkwgxgvTAVx+z5HdY/fSjUzBRMB0GA1Ud\n" \
    "DgQWBBSmV08y+QHSFNTzu5GNBVPI4HQLaTAfBgNVHSMEGDAWgBSmV08y+QHSFNTz\n" \
    "u5GNBVPI4HQLaTAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIGKg\n" \
    "zMgL3LaMerCeErxDrKxU/HtrrmVySXqTakclNqApAiEAuZV3/somU+FFnY072aNf\n" \
    "P6c32THMrbkFwdOsHu0Ul/s=\n" \
    "-----END CERTIFICATE-----\n"
#define KEY \
    "-----BEGIN PRIVATE KEY-----\n" \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXsuWDkO+/k3E+gKq\n" \
    "iKb/TmN03Akk4uBNOF1BbYLKTM6hRANCAAQla/6XE+lKJmlwmIHpC2pEBCosyhdN\n" \
    "arNGEgOwX5m3coI2BFOiyTh5nZByo+RXXyhVSpMIMYL0wFcfs+R3WP30\n" \
    "-----END PRIVATE KEY-----\n"

#define BAD_CA(what, pem) { what, GOOD, pem, NULL, NULL, 0, 0, MFA_ERR_INVALID_CA }

static const struct client_row client_rows[] = {
    FINE_URL("https://mfa.example", 0),
    FINE_URL("https://mfa.example:8443/prefix/", 0),
    FINE_URL("https://[2001:db8::1]", 0),
    FINE_URL("http://127.0.0.1:1", LOOPBACK),
    FINE_URL("http://127.255.0.9:1", LOOPBACK),
    FINE_URL("http://[::1]:1", LOOPBACK),
    FINE_URL("http://localhost:1", LOOPBACK),
    BAD_URL(""),
    BAD_URL("mfa.example"),
    BAD_URL("//mfa.example"),
    BAD_URL("ftp://mfa.example"),
    BAD_URL("https://"),
    BAD_URL("https:///path"),
    BAD_URL("https://user@mfa.example"),
    BAD_URL("https://user:secret@mfa.example"),
    BAD_URL("https://mfa.example?query"),
    BAD_URL("https://mfa.example/#fragment"),
    BAD_URL("https://mfa.example:0"),
    BAD_URL("https://mfa.example:65536"),
    BAD_URL("https://mfa.example:"),
    BAD_URL("https://mfa.example:x"),
    BAD_URL("https://mfa.example\\@other.example"),
    BAD_URL(" https://mfa.example"),
    BAD_URL("https://mfa.example "),
    BAD_URL("https://mfa.example/a b"),
    BAD_URL("https://[::1"),
    BAD_URL("https://127.1"),
    BAD_URL("http://2130706433"),
    BAD_URL("http://0x7f000001"),
    URL("base_url with CR LF", "https://mfa.example\r\nX: 1", LOOPBACK, MFA_ERR_INVALID_URL),
    URL("base_url with 0x7F", "https://mfa.example/\x7f", LOOPBACK, MFA_ERR_INVALID_URL),
    URL("base_url not ASCII", "https://m\xc3\xbc.example", LOOPBACK, MFA_ERR_INVALID_URL),
    URL("base_url not UTF-8", "https://mfa.example/\xff", LOOPBACK, MFA_ERR_INVALID_UTF8),
    INSECURE("http://mfa.example", 0),
    INSECURE("http://mfa.example", LOOPBACK),
    INSECURE("http://10.0.0.1", LOOPBACK),
    INSECURE("http://0.0.0.0", LOOPBACK),
    INSECURE("http://localhost.example", LOOPBACK),
    INSECURE("http://localhost.", LOOPBACK),
    INSECURE("http://127.0.0.1", 0),
    INSECURE("http://[::1]", 0),
    INSECURE("http://localhost", 0),
    INSECURE("HTTP://127.0.0.1", 0),
    INSECURE("http://[::ffff:10.0.0.1]", LOOPBACK),
    BAD_CA("ca_pem empty", ""),
    BAD_CA("ca_pem without a certificate", "no certificate here"),
    BAD_CA("ca_pem cut", "-----BEGIN CERTIFICATE-----\nAAAA\n"),
    BAD_CA("ca_pem not base64", "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"),
    BAD_CA("ca_pem not a certificate",
           "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    BAD_CA("ca_pem a key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
    { "ca_pem bad beside http", "http://127.0.0.1:1", "none", NULL, NULL, LOOPBACK, 0,
      MFA_ERR_INVALID_CA },
    BAD_CA("ca_pem not UTF-8", "\xff"),
    BAD_CA("ca_pem not UTF-8 inside a block",
           "-----BEGIN CERTIFICATE-----\nAA\xff\n-----END CERTIFICATE-----\n"),
    { "ca_pem with Latin-1 and a BOM around", GOOD, "\xef\xbb\xbfZ\xfcrich\n" CERTIFICATE "\xe9", NULL,
      NULL, 0, 0, MFA_OK },
    { "user_agent", GOOD, NULL, NULL, "my-app/1.0 (test)", 0, 0, MFA_OK },
    { "user_agent of 256", GOOD, NULL, NULL, long_agent + 1, 0, 0, MFA_OK },
    { "user_agent of 257", GOOD, NULL, NULL, long_agent, 0, 0, MFA_ERR_INVALID_ARGUMENT },
    { "user_agent with LF", GOOD, NULL, NULL, "a\nb", 0, 0, MFA_ERR_INVALID_ARGUMENT },
    { "user_agent not ASCII", GOOD, NULL, NULL, "\xc3\xa9", 0, 0, MFA_ERR_INVALID_ARGUMENT },
    { "user_agent not UTF-8", GOOD, NULL, NULL, "\xff", 0, 0, MFA_ERR_INVALID_UTF8 },
    { "proxy_url", GOOD, NULL, "http://proxy.example:3128", NULL, 0, 0, MFA_OK },
    { "proxy_url with a password", GOOD, NULL, "http://me:%73ecret@[::1]:1/", NULL, 0, 0, MFA_OK },
    { "proxy_url from the environment", GOOD, NULL, NULL, NULL, MFA_CLIENT_PROXY_FROM_ENV, 0,
      MFA_OK },
    BAD_PROXY("proxy_url empty", ""),
    BAD_PROXY("proxy_url without a scheme", "proxy.example:3128"),
    BAD_PROXY("proxy_url for SOCKS", "socks5://proxy.example"),
    BAD_PROXY("proxy_url with a path", "http://me:secret@proxy.example/path"),
    BAD_PROXY("proxy_url with a query", "http://proxy.example?q"),
    BAD_PROXY("proxy_url without a host", "http://me:secret@"),
    BAD_PROXY("proxy_url with port 0", "http://me:secret@proxy.example:0"),
    BAD_PROXY("proxy_url with a broken escape", "http://me:secret%zz@proxy.example"),
    BAD_PROXY("proxy_url with LF", "http://me:secret@proxy.example\nX: 1"),
    BAD_PROXY("proxy_url not ASCII", "http://m\xc3\xa9:secret@proxy.example"),
    { "proxy_url not UTF-8", GOOD, NULL, "http://\xff", NULL, 0, 0, MFA_ERR_INVALID_UTF8 },
    { "proxy_url bad beside http", "http://127.0.0.1:1", NULL, "none", NULL, LOOPBACK, 0,
      MFA_ERR_INVALID_URL },
    { "flags, an unknown bit", GOOD, NULL, NULL, NULL, 0x4000, 0, MFA_ERR_INVALID_ARGUMENT },
    { "flags, the highest bit", GOOD, NULL, NULL, NULL, 0x80000000, 0, MFA_ERR_INVALID_ARGUMENT },
    { "log_level 4", GOOD, NULL, NULL, NULL, 0, MFA_LOG_DEBUG, MFA_OK },
    { "log_level 5", GOOD, NULL, NULL, NULL, 0, 5, MFA_ERR_INVALID_ARGUMENT },
    { "log_level -1", GOOD, NULL, NULL, NULL, 0, -1, MFA_ERR_INVALID_ARGUMENT },
};

static int dummy;

/* Any pointer that is not NULL: `_new` must replace it whatever happens. */
static void *garbage(void)
{
    return &dummy;
}

static mfa_code new_hyperid(const mfa_client_options *options, void **out, mfa_error *err)
{
    mfa_hyperid *client = (mfa_hyperid *)garbage();
    mfa_code code = mfa_hyperid_new(options, &client, err);

    *out = client;
    if (code == MFA_OK) {
        mfa_hyperid_free(client);
    }
    return code;
}

static mfa_code new_capillary(const mfa_client_options *options, void **out, mfa_error *err)
{
    mfa_capillary *client = (mfa_capillary *)garbage();
    mfa_code code = mfa_capillary_new(options, &client, err);

    *out = client;
    if (code == MFA_OK) {
        mfa_capillary_free(client);
    }
    return code;
}

struct maker {
    const char *name;
    int32_t provider;
    mfa_code (*make)(const mfa_client_options *options, void **out, mfa_error *err);
};

static const struct maker makers[] = {
    { "mfa_hyperid_new", MFA_PROVIDER_HYPERID, new_hyperid },
    { "mfa_capillary_new", MFA_PROVIDER_CAPILLARY, new_capillary },
};

static void judge_new(const struct maker *maker, const mfa_client_options *options,
                      const char *what, mfa_code wanted)
{
    mfa_error err = MFA_ERROR_INIT;
    char name[160];
    void *out = garbage();
    mfa_code got;

    err.code = 77;
    got = maker->make(options, &out, &err);
    snprintf(name, sizeof name, "%s: %s", maker->name, what);
    check(got == wanted && err.code == wanted && (wanted == MFA_OK) == (out != NULL) &&
              out != garbage() && err.provider == (wanted == MFA_OK ? 0 : maker->provider) &&
              strstr(err.message, "secret") == NULL,
          name, "%s in place of %s, provider %d, \"%s\"%s", mfa_code_name(got),
          mfa_code_name(wanted), (int)err.provider, err.message,
          out == garbage() ? "; out not reset" : "");
}

static void wrong_client_values(const struct maker *maker)
{
    size_t i;

    for (i = 0; i < COUNT(client_rows); i++) {
        const struct client_row *row = &client_rows[i];
        mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;

        options.base_url = row->base_url;
        options.ca_pem = row->ca_pem;
        options.proxy_url = row->proxy_url;
        options.user_agent = row->user_agent;
        options.flags = row->flags;
        options.log_level = row->log_level;
        judge_new(maker, &options, row->what, row->wanted);
    }
}

/* One without the other, or neither of use. Only https looks at them; the refusal is the same. */
static void wrong_client_certificates(const struct maker *maker)
{
    static const char block[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;

    options.base_url = GOOD;
    options.client_cert_pem = block;
    judge_new(maker, &options, "client_cert_pem alone", MFA_ERR_INVALID_ARGUMENT);
    options.client_key_pem = "no secret key here";
    judge_new(maker, &options, "client_key_pem without a key", MFA_ERR_INVALID_ARGUMENT);
    options.client_key_pem = "\xff";
    judge_new(maker, &options, "client_key_pem not UTF-8", MFA_ERR_INVALID_ARGUMENT);
    options.client_cert_pem = NULL;
    options.client_key_pem = "secret";
    judge_new(maker, &options, "client_key_pem alone", MFA_ERR_INVALID_ARGUMENT);
    options.client_cert_pem = "\xff";
    judge_new(maker, &options, "client_cert_pem not UTF-8", MFA_ERR_INVALID_ARGUMENT);
    options.client_cert_pem = "";
    judge_new(maker, &options, "client_cert_pem empty", MFA_ERR_INVALID_ARGUMENT);
    options.client_cert_pem = "Z\xfcrich\n" CERTIFICATE;
    options.client_key_pem = CERTIFICATE "Gen\xe8ve\n" KEY;
    judge_new(maker, &options, "client_cert_pem and client_key_pem with Latin-1 around", MFA_OK);
}

/* What would split a header, stand in for libmfa's own, or hide in silence. */
static void wrong_headers(const struct maker *maker)
{
    static const char *const bad[] = {
        "X-A", ": b", "X A: b", "X-A:", "X-A: b\rX-B: c", "X-A: b\x01", "X-A: \xc3\xbc", "Host: b",
        "content-length: 5", "X-A: b\nTransfer-Encoding: chunked", "Proxy-Authorization: b",
    };
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;
    char what[60];
    size_t i;

    options.base_url = GOOD;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        options.headers = bad[i];
        snprintf(what, sizeof what, "headers, number %d", (int)i);
        judge_new(maker, &options, what, MFA_ERR_INVALID_ARGUMENT);
    }
    options.headers = "X-A: \xff";
    judge_new(maker, &options, "headers not UTF-8", MFA_ERR_INVALID_UTF8);
    options.headers = "X-A: b\nX-B: c d\n";
    judge_new(maker, &options, "good headers", MFA_OK);
}

static void sized_client(const struct maker *maker, size_t block, uint32_t told, size_t tail,
                         mfa_code wanted)
{
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;
    char what[80];
    char *bytes;

    options.base_url = GOOD;
    bytes = (char *)block_of(&options, sizeof options, block, told);
    if (tail != 0) {
        bytes[tail] = 1;
    }
    snprintf(what, sizeof what, "options of size %lu%s", (unsigned long)told,
             tail != 0 ? ", not zero behind" : "");
    judge_new(maker, (const mfa_client_options *)(const void *)bytes, what, wanted);
    free(bytes);
}

static void wrong_client_sizes(const struct maker *maker)
{
    size_t size = sizeof(mfa_client_options);

    sized_client(maker, 4, 0, 0, MFA_ERR_STRUCT_SIZE);
    sized_client(maker, FIRST_SIZE_CLIENT_OPTIONS - 1, FIRST_SIZE_CLIENT_OPTIONS - 1, 0,
                 MFA_ERR_STRUCT_SIZE);
    sized_client(maker, FIRST_SIZE_CLIENT_OPTIONS, FIRST_SIZE_CLIENT_OPTIONS, 0, MFA_OK);
    sized_client(maker, 4, 4097, 0, MFA_ERR_STRUCT_SIZE);
    sized_client(maker, 4, UINT32_MAX, 0, MFA_ERR_STRUCT_SIZE);
    sized_client(maker, size + 8, (uint32_t)size + 8, 0, MFA_OK);
    sized_client(maker, 4096, 4096, 0, MFA_OK);
    sized_client(maker, size + 8, (uint32_t)size + 8, size, MFA_ERR_INVALID_ARGUMENT);
}

static void wrong_client_pointers(void)
{
    mfa_error err = MFA_ERROR_INIT;
    mfa_hyperid *client = (mfa_hyperid *)garbage();
    char small[sizeof(mfa_error)];

    judge_new(&makers[0], NULL, "options NULL", MFA_OK);
    judge_new(&makers[1], NULL, "options NULL, but there is no default address",
              MFA_ERR_INVALID_ARGUMENT);
    check_code("mfa_hyperid_new: out NULL", mfa_hyperid_new(NULL, NULL, &err), MFA_ERR_NULL_POINTER,
               &err);
    check_code("mfa_capillary_new: out NULL", mfa_capillary_new(NULL, NULL, &err),
               MFA_ERR_NULL_POINTER, &err);
    check_int("mfa_capillary_new: out and err NULL", mfa_capillary_new(NULL, NULL, NULL),
              MFA_ERR_NULL_POINTER);
    memset(small, 0, sizeof small);
    check(mfa_hyperid_new(NULL, &client, (mfa_error *)(void *)small) == MFA_ERR_STRUCT_SIZE &&
              client == NULL && all_bytes_are(small, sizeof small, 0),
          "mfa_hyperid_new: err of size 0", "it was not refused, or a struct was written to");
}

int main(void)
{
    size_t i;

    fill_text(long_agent, sizeof long_agent);
    for (i = 0; i < COUNT(makers); i++) {
        wrong_client_values(&makers[i]);
        wrong_client_certificates(&makers[i]);
        wrong_headers(&makers[i]);
        wrong_client_sizes(&makers[i]);
    }
    wrong_client_pointers();
    return check_finish();
}
