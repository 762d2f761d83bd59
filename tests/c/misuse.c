/*
 * Every function, called wrongly in every way that the header names: the right code each time, an
 * `err` that says so, an `out` that decides nothing, and not one connection made.
 *
 * Structs of unusual size lie in blocks of exactly the size that the library may touch, so that
 * valgrind sees one byte too many.
 */
#include "check.h"

/* A row's `wanted` for what is allowed: the peer's refusal, so the request has reached it. */
#define REACHES_THE_SERVER (-1)

/* What a call takes. */
enum {
    REQUEST = 1,
    WAIT = 2,
    OUT_STRUCT = 4,
    OUT_ID = 8,
    ID = 16,
    BRAND = 32,
    HYPERID = 64,
    EVERY = 0
};

/* The arguments of any call. */
struct args {
    const mfa_hyperid *hyperid;
    const mfa_capillary *capillary;
    const char *token;
    const char *brand;
    const char *device;
    int64_t id;
    mfa_request request;
    mfa_wait_options wait;
    mfa_call_options options;
    mfa_error err;
    int64_t out_id;
    /* What is passed: the above, or NULL, or a block of unusual size. */
    mfa_request *request_at;
    mfa_wait_options *wait_at;
    mfa_call_options *options_at;
    void *out_at;
    int64_t *out_id_at;
    mfa_error *err_at;
};

struct call {
    const char *name;
    int takes;
    size_t out_first_size;
    size_t out_size;
    mfa_code (*run)(struct args *a);
};

static mfa_code run_availability(struct args *a)
{
    return mfa_hyperid_availability(a->hyperid, a->token, a->options_at,
                                    (mfa_availability *)a->out_at, a->err_at);
}

static mfa_code run_types(struct args *a)
{
    return mfa_hyperid_two_factor_types(a->hyperid, a->token, a->options_at,
                                        (mfa_two_factor_types *)a->out_at, a->err_at);
}

static mfa_code run_start(struct args *a)
{
    return mfa_hyperid_start(a->hyperid, a->token, a->request_at, a->options_at, a->out_id_at,
                             a->err_at);
}

static mfa_code run_status(struct args *a)
{
    return mfa_hyperid_status(a->hyperid, a->token, a->id, a->options_at,
                              (mfa_transaction *)a->out_at, a->err_at);
}

static mfa_code run_cancel(struct args *a)
{
    return mfa_hyperid_cancel(a->hyperid, a->token, a->id, a->options_at, a->err_at);
}

static mfa_code run_wait(struct args *a)
{
    return mfa_hyperid_wait(a->hyperid, a->token, a->id, a->wait_at, a->options_at,
                            (mfa_transaction *)a->out_at, a->err_at);
}

static mfa_code run_confirm(struct args *a)
{
    return mfa_hyperid_confirm(a->hyperid, a->token, a->request_at, a->wait_at, a->options_at,
                               (mfa_transaction *)a->out_at, a->err_at);
}

static mfa_code run_registered(struct args *a)
{
    return mfa_capillary_is_mfa_registered(a->capillary, a->brand, a->device, a->token,
                                           a->options_at, (mfa_registration *)a->out_at, a->err_at);
}

static const struct call calls[] = {
    { "availability", HYPERID | OUT_STRUCT, FIRST_SIZE_AVAILABILITY,
      sizeof(mfa_availability), run_availability },
    { "two_factor_types", HYPERID | OUT_STRUCT, FIRST_SIZE_TWO_FACTOR_TYPES,
      sizeof(mfa_two_factor_types), run_types },
    { "start", HYPERID | REQUEST | OUT_ID, 0, 0, run_start },
    { "status", HYPERID | ID | OUT_STRUCT, FIRST_SIZE_TRANSACTION,
      sizeof(mfa_transaction), run_status },
    { "cancel", HYPERID | ID, 0, 0, run_cancel },
    { "wait", HYPERID | ID | WAIT | OUT_STRUCT, FIRST_SIZE_TRANSACTION,
      sizeof(mfa_transaction), run_wait },
    { "confirm", HYPERID | REQUEST | WAIT | OUT_STRUCT, FIRST_SIZE_TRANSACTION,
      sizeof(mfa_transaction), run_confirm },
    { "is_mfa_registered", BRAND | OUT_STRUCT, FIRST_SIZE_REGISTRATION,
      sizeof(mfa_registration), run_registered },
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Where refused calls would go, and where allowed ones go. */
static struct listener nobody;
static struct peer server;
static mfa_hyperid *hyperid_nobody;
static mfa_hyperid *hyperid_server;
static mfa_capillary *capillary_nobody;
static mfa_capillary *capillary_server;

/* HyperID: access denied. Capillary: refused with a number that has no name. */
static const char refusal[] =
    "{\"result\":-3,\"status\":{\"success\":false,\"code\":9999,\"message\":\"no\"}}";

static char stale_out[128];
static char long_token[16386];
static char long_text[32770];
static char long_brand[1026];

/* The second field says "approved", "available" or "registered", each of which is 1. */
static void make_stale(void *out, size_t size)
{
    uint32_t struct_size = (uint32_t)size;
    int32_t yes = 1;

    memset(out, 0x5a, size);
    memcpy(out, &struct_size, sizeof struct_size);
    memcpy((char *)out + 4, &yes, sizeof yes);
}

static int32_t first_decision(const void *out)
{
    int32_t value;

    memcpy(&value, (const char *)out + 4, sizeof value);
    return value;
}

static void prepare(struct args *a, const struct call *call, int reaches)
{
    static const mfa_request request = MFA_REQUEST_INIT;
    static const mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;
    static const mfa_error err = MFA_ERROR_INIT;

    memset(a, 0, sizeof *a);
    a->hyperid = reaches ? hyperid_server : hyperid_nobody;
    a->capillary = reaches ? capillary_server : capillary_nobody;
    a->token = "sandbox-approve";
    a->brand = "demo-brand";
    a->device = "device";
    a->id = 4294967297;
    a->request = request;
    a->request.question = "Sign in?";
    a->wait = wait;
    /* Should a call be made after all, the test goes on soon. */
    a->options = within(reaches ? 20000 : 1000, NULL);
    a->err = err;
    a->err.code = 77;
    a->out_id = 77;
    a->request_at = &a->request;
    a->wait_at = &a->wait;
    a->options_at = &a->options;
    a->out_at = stale_out;
    a->out_id_at = &a->out_id;
    a->err_at = &a->err;
    make_stale(stale_out, call->out_size == 0 ? sizeof stale_out : call->out_size);
}

static mfa_code expected(const struct call *call, mfa_code wanted)
{
    if (wanted != REACHES_THE_SERVER) {
        return wanted;
    }
    return call->takes & HYPERID ? MFA_ERR_ACCESS_DENIED : MFA_ERR_PROVIDER_REFUSED;
}

static int err_tells(const struct call *call, const mfa_error *err, mfa_code code)
{
    int provider = call->takes & HYPERID ? MFA_PROVIDER_HYPERID : MFA_PROVIDER_CAPILLARY;

    return err->code == code && err->message[0] != 0 && err->provider == provider &&
           err->flags == 0 && err->os_error == 0;
}

static int out_decides_nothing(const struct call *call, const struct args *a)
{
    if (call->takes & OUT_ID && a->out_id_at != NULL) {
        return a->out_id == 0;
    }
    return !(call->takes & OUT_STRUCT) || a->out_at == NULL || first_decision(a->out_at) == 0;
}

/* Runs a prepared call and judges all of it. */
static void judge(const struct call *call, struct args *a, const char *what, mfa_code wanted)
{
    char name[160];
    mfa_code code = expected(call, wanted);
    mfa_code got = call->run(a);
    int told = a->err_at != &a->err || err_tells(call, &a->err, code);
    int reset = out_decides_nothing(call, a);
    int quiet = listener_saw_nothing(&nobody);

    snprintf(name, sizeof name, "%s: %s", call->name, what);
    check(got == code && told && reset && quiet, name,
          "%s in place of %s; err %s, provider %d, flags %u, \"%s\"%s%s", mfa_code_name(got),
          mfa_code_name(code), mfa_code_name(a->err.code), (int)a->err.provider,
          (unsigned)a->err.flags, a->err.message, reset ? "" : "; out not reset",
          quiet ? "" : "; a connection was made");
}

/* Wrong values -------------------------------------------------------------------------------- */

struct row {
    const char *what;
    int needs;
    void (*apply)(struct args *a, const char *text, int64_t number);
    const char *text;
    int64_t number;
    mfa_code wanted;
};

/* One little function for each argument; the unused parameters are the table's price. */
#define SETS(name, statement)                                                                   \
    static void name(struct args *a, const char *text, int64_t number)                          \
    {                                                                                           \
        (void)a;                                                                                \
        (void)text;                                                                             \
        (void)number;                                                                           \
        statement;                                                                              \
    }

SETS(client, a->hyperid = NULL; a->capillary = NULL)
SETS(token, a->token = text)
SETS(brand, a->brand = text)
SETS(device, a->device = text)
SETS(id, a->id = number)
SETS(request_null, a->request_at = NULL)
SETS(wait_null, a->wait_at = NULL)
SETS(options_null, a->options_at = NULL)
SETS(out_null, a->out_at = NULL)
SETS(out_id_null, a->out_id_at = NULL)
SETS(err_null, a->err_at = NULL; a->token = NULL)
SETS(question, a->request.question = text)
SETS(values, a->request.values_json = text; a->request.template_id = (int32_t)number;
     a->request.question = NULL)
SETS(values_too, a->request.values_json = text)
SETS(template, a->request.template_id = (int32_t)number)
SETS(no_question, a->request.question = NULL; a->request.template_id = (int32_t)number)
SETS(control_code, a->request.code = text; a->request.flags = (uint32_t)number)
SETS(device_id, a->request.device_id = text)
SETS(device_desc, a->request.device_desc = text)
SETS(ip, a->request.ip = text)
SETS(request_flags, a->request.flags = (uint32_t)number)
SETS(reserved, a->request.reserved = (uint32_t)number)
SETS(wait_flags, a->wait.flags = (uint32_t)number)
SETS(cancel_on_timeout, a->wait.cancel_on_timeout = (int32_t)number)
SETS(max_interval, a->wait.max_interval_ms = (uint32_t)number)
SETS(max_below_min, a->wait.min_interval_ms = (uint32_t)number + 1;
     a->wait.max_interval_ms = (uint32_t)number)
SETS(min_interval, a->wait.min_interval_ms = (uint32_t)number)

#define ARGUMENT MFA_ERR_INVALID_ARGUMENT
#define POINTER MFA_ERR_NULL_POINTER
#define UTF8 MFA_ERR_INVALID_UTF8
#define REACHES REACHES_THE_SERVER

static const struct row rows[] = {
    { "nothing wrong", EVERY, id, NULL, 4294967297, REACHES },
    { "client NULL", EVERY, client, NULL, 0, POINTER },
    { "token NULL", EVERY, token, NULL, 0, POINTER },
    { "err NULL beside another fault", EVERY, err_null, NULL, 0, POINTER },
    { "options NULL", EVERY, options_null, NULL, 0, REACHES },
    { "out NULL", OUT_STRUCT, out_null, NULL, 0, POINTER },
    { "out_transaction_id NULL", OUT_ID, out_id_null, NULL, 0, POINTER },
    { "request NULL", REQUEST, request_null, NULL, 0, POINTER },
    { "wait NULL", WAIT, wait_null, NULL, 0, REACHES },
    { "brand NULL", BRAND, brand, NULL, 0, POINTER },
    { "device_id NULL", BRAND, device, NULL, 0, POINTER },

    { "token empty", EVERY, token, "", 0, ARGUMENT },
    { "token of 16384", EVERY, token, long_token + 1, 0, REACHES },
    { "token of 16385", EVERY, token, long_token, 0, ARGUMENT },
    { "token with a space", EVERY, token, "a b", 0, ARGUMENT },
    { "token with a space behind", EVERY, token, "ab ", 0, ARGUMENT },
    { "token with CR LF", EVERY, token, "ab\r\nX-More: 1", 0, ARGUMENT },
    { "token with LF", EVERY, token, "ab\n", 0, ARGUMENT },
    { "token with a tab", EVERY, token, "a\tb", 0, ARGUMENT },
    { "token with 0x01", EVERY, token, "a\x01", 0, ARGUMENT },
    { "token with 0x7F", EVERY, token, "ab\x7f", 0, ARGUMENT },
    { "token not ASCII", EVERY, token, "ab\xc3\xa9", 0, ARGUMENT },
    { "token not UTF-8", EVERY, token, "ab\xff", 0, UTF8 },
    { "token cut in a character", EVERY, token, "ab\xc3", 0, UTF8 },
    { "token of an overlong character", EVERY, token, "ab\xc0\x80", 0, UTF8 },

    { "brand empty", BRAND, brand, "", 0, ARGUMENT },
    { "brand of 1024", BRAND, brand, long_brand + 1, 0, REACHES },
    { "brand of 1025", BRAND, brand, long_brand, 0, ARGUMENT },
    { "brand not UTF-8", BRAND, brand, "b\xff", 0, UTF8 },
    { "device_id empty", BRAND, device, "", 0, ARGUMENT },
    { "device_id of 1025", BRAND, device, long_brand, 0, ARGUMENT },
    { "device_id not UTF-8", BRAND, device, "\xed\xa0\x80", 0, UTF8 },

    { "transaction_id 0", ID, id, NULL, 0, ARGUMENT },
    { "transaction_id -1", ID, id, NULL, -1, ARGUMENT },
    { "the lowest transaction_id", ID, id, NULL, INT64_MIN, ARGUMENT },
    { "the highest transaction_id", ID, id, NULL, INT64_MAX, REACHES },

    { "no question", REQUEST, question, NULL, 0, ARGUMENT },
    { "no question, template 99", REQUEST, no_question, NULL, 99, REACHES },
    { "question empty", REQUEST, question, "", 0, ARGUMENT },
    { "question of 32768", REQUEST, question, long_text + 1, 0, REACHES },
    { "question of 32769", REQUEST, question, long_text, 0, ARGUMENT },
    { "question not UTF-8", REQUEST, question, "Sign in\xff", 0, UTF8 },
    { "question for template 2", REQUEST, template, NULL, 2, ARGUMENT },
    { "question for template 4", REQUEST, template, NULL, 4, REACHES },
    { "question and values_json", REQUEST, values_too, "{}", 0, ARGUMENT },
    { "values_json an object", REQUEST, values, "{\"amount\":\"1\"}", 2, REACHES },
    { "values_json without template_id", REQUEST, values, "{}", 0, ARGUMENT },
    { "values_json empty", REQUEST, values, "", 2, ARGUMENT },
    { "values_json a list", REQUEST, values, "[]", 2, ARGUMENT },
    { "values_json null", REQUEST, values, "null", 2, ARGUMENT },
    { "values_json a string", REQUEST, values, "\"{}\"", 2, ARGUMENT },
    { "values_json cut", REQUEST, values, "{\"a\":", 2, ARGUMENT },
    { "values_json with more behind", REQUEST, values, "{} {}", 2, ARGUMENT },
    { "values_json not UTF-8", REQUEST, values, "{\"a\":\"\xff\"}", 2, UTF8 },
    { "code of two digits", REQUEST, control_code, "07", 0, REACHES },
    { "code empty", REQUEST, control_code, "", 0, ARGUMENT },
    { "code of one digit", REQUEST, control_code, "7", 0, ARGUMENT },
    { "code of three digits", REQUEST, control_code, "123", 0, ARGUMENT },
    { "code with a letter", REQUEST, control_code, "1a", 0, ARGUMENT },
    { "code with a sign", REQUEST, control_code, "+1", 0, ARGUMENT },
    { "code of other digits", REQUEST, control_code, "\xd9\xa1\xd9\xa2", 0, ARGUMENT },
    { "code not UTF-8", REQUEST, control_code, "1\xff", 0, UTF8 },
    { "any code", REQUEST, control_code, "abc", MFA_REQUEST_ANY_CODE, REACHES },
    { "any code, but empty", REQUEST, control_code, "", MFA_REQUEST_ANY_CODE, ARGUMENT },
    { "request.device_id empty", REQUEST, device_id, "", 0, ARGUMENT },
    { "request.device_id not UTF-8", REQUEST, device_id, "\x80", 0, UTF8 },
    { "device_desc too long", REQUEST, device_desc, long_text, 0, ARGUMENT },
    { "device_desc not UTF-8", REQUEST, device_desc, "\xfe", 0, UTF8 },
    { "ip empty", REQUEST, ip, "", 0, ARGUMENT },
    { "ip not UTF-8", REQUEST, ip, "1.2.3.4\xff", 0, UTF8 },
    { "request.flags 2", REQUEST, request_flags, NULL, 2, ARGUMENT },
    { "request.flags, the highest bit", REQUEST, request_flags, NULL, 0x80000000, ARGUMENT },
    { "reserved 1", REQUEST, reserved, NULL, 1, ARGUMENT },

    { "wait.flags 1", WAIT, wait_flags, NULL, MFA_WAIT_WITHDRAW_ON_CANCEL, REACHES },
    { "wait.flags 2", WAIT, wait_flags, NULL, 2, ARGUMENT },
    { "wait.flags, all bits", WAIT, wait_flags, NULL, UINT32_MAX, ARGUMENT },
    { "cancel_on_timeout 2", WAIT, cancel_on_timeout, NULL, 2, ARGUMENT },
    { "cancel_on_timeout -1", WAIT, cancel_on_timeout, NULL, -1, ARGUMENT },
    { "cancel_on_timeout 1", WAIT, cancel_on_timeout, NULL, 1, REACHES },
    { "max_interval below min_interval", WAIT, max_below_min, NULL, 50, ARGUMENT },
    { "max_interval below the default minimum", WAIT, max_interval, NULL, 999, ARGUMENT },
    { "max_interval at the default minimum", WAIT, max_interval, NULL, 1000, REACHES },
    { "min_interval above the default maximum", WAIT, min_interval, NULL, 10001, REACHES },
};

static void wrong_values(const struct call *call)
{
    struct args a;
    size_t i;

    for (i = 0; i < COUNT(rows); i++) {
        const struct row *row = &rows[i];

        if ((call->takes & row->needs) == row->needs) {
            prepare(&a, call, row->wanted == REACHES_THE_SERVER);
            row->apply(&a, row->text, row->number);
            judge(call, &a, row->what, row->wanted);
        }
    }
}

/* Wrong sizes --------------------------------------------------------------------------------- */

/* A struct in a block of its own: `block` bytes long, whose struct_size says `told`. */
static void *block_of(const void *init, size_t size, size_t block, uint32_t told)
{
    char *bytes = (char *)calloc(1, block);

    need(bytes != NULL, "calloc");
    memcpy(bytes, init, size < block ? size : block);
    memcpy(bytes, &told, sizeof told);
    return bytes;
}

struct input {
    const char *name;
    int needs;
    size_t first_size;
    size_t size;
    size_t in_args;
    void (*put)(struct args *a, void *block);
};

static void put_request(struct args *a, void *block)
{
    a->request_at = (mfa_request *)block;
}

static void put_wait(struct args *a, void *block)
{
    a->wait_at = (mfa_wait_options *)block;
}

static void put_options(struct args *a, void *block)
{
    a->options_at = (mfa_call_options *)block;
}

static const struct input inputs[] = {
    { "request", REQUEST, FIRST_SIZE_REQUEST, sizeof(mfa_request),
      offsetof(struct args, request), put_request },
    { "wait", WAIT, FIRST_SIZE_WAIT_OPTIONS, sizeof(mfa_wait_options),
      offsetof(struct args, wait), put_wait },
    { "options", EVERY, FIRST_SIZE_CALL_OPTIONS, sizeof(mfa_call_options),
      offsetof(struct args, options), put_options },
};

/* `tail` is the offset of one byte that is not zero; 0: none. */
static void sized_input(const struct call *call, const struct input *input, size_t block,
                        uint32_t told, size_t tail, mfa_code wanted)
{
    struct args a;
    char what[80];
    char *bytes;

    prepare(&a, call, wanted == REACHES_THE_SERVER);
    bytes = (char *)block_of((char *)&a + input->in_args, input->size, block, told);
    if (tail != 0) {
        bytes[tail] = 1;
    }
    input->put(&a, bytes);
    snprintf(what, sizeof what, "%s of size %lu%s", input->name, (unsigned long)told,
             tail != 0 ? ", not zero behind" : "");
    judge(call, &a, what, wanted);
    free(bytes);
}

static void wrong_input_sizes(const struct call *call)
{
    size_t i;

    for (i = 0; i < COUNT(inputs); i++) {
        const struct input *in = &inputs[i];
        size_t first = in->first_size;
        size_t size = in->size;

        if ((call->takes & in->needs) != in->needs) {
            continue;
        }
        sized_input(call, in, 4, 0, 0, MFA_ERR_STRUCT_SIZE);
        sized_input(call, in, 4, 4, 0, MFA_ERR_STRUCT_SIZE);
        sized_input(call, in, first - 1, (uint32_t)first - 1, 0, MFA_ERR_STRUCT_SIZE);
        sized_input(call, in, first, (uint32_t)first, 0, REACHES_THE_SERVER);
        sized_input(call, in, 4, 4097, 0, MFA_ERR_STRUCT_SIZE);
        sized_input(call, in, 4, UINT32_MAX, 0, MFA_ERR_STRUCT_SIZE);
        sized_input(call, in, size + 1, (uint32_t)size + 1, 0, REACHES_THE_SERVER);
        sized_input(call, in, 4096, 4096, 0, REACHES_THE_SERVER);
        sized_input(call, in, size + 1, (uint32_t)size + 1, size, MFA_ERR_INVALID_ARGUMENT);
        sized_input(call, in, 4096, 4096, 4095, MFA_ERR_INVALID_ARGUMENT);
    }
}

static int all_bytes_are(const char *bytes, size_t size, char wanted)
{
    size_t i;

    for (i = 0; i < size; i++) {
        if (bytes[i] != wanted) {
            return 0;
        }
    }
    return 1;
}

static void sized_out(const struct call *call, size_t block, uint32_t told, mfa_code wanted)
{
    struct args a;
    char what[80];
    char *bytes = (char *)malloc(block);
    uint32_t kept;

    need(bytes != NULL, "malloc");
    prepare(&a, call, wanted == REACHES_THE_SERVER);
    memset(bytes, 0x5a, block);
    memcpy(bytes, &told, sizeof told);
    a.out_at = block >= 8 ? bytes : NULL;
    if (block < 8) {
        /* Too small for a decision: nothing but the size may be looked at. */
        mfa_code got;

        a.out_at = bytes;
        got = call->run(&a);
        snprintf(what, sizeof what, "%s: out of size %lu", call->name, (unsigned long)told);
        check(got == wanted && listener_saw_nothing(&nobody), what, "%s", mfa_code_name(got));
        free(bytes);
        return;
    }
    snprintf(what, sizeof what, "out of size %lu", (unsigned long)told);
    judge(call, &a, what, wanted);
    memcpy(&kept, bytes, sizeof kept);
    snprintf(what, sizeof what, "%s: out of size %lu keeps its size and tail", call->name,
             (unsigned long)told);
    if (wanted == MFA_ERR_STRUCT_SIZE) {
        check(kept == told && all_bytes_are(bytes + 8, block - 8, 0x5a), what, "it does not");
    } else {
        check(kept == told && all_bytes_are(bytes + call->out_size, block - call->out_size, 0x5a),
              what, "it does not");
    }
    free(bytes);
}

static void wrong_out_sizes(const struct call *call)
{
    size_t first = call->out_first_size;
    size_t size = call->out_size;

    if (!(call->takes & OUT_STRUCT)) {
        return;
    }
    sized_out(call, 4, 0, MFA_ERR_STRUCT_SIZE);
    sized_out(call, 4, 4, MFA_ERR_STRUCT_SIZE);
    sized_out(call, 4, 7, MFA_ERR_STRUCT_SIZE);
    if (first > 8) {
        sized_out(call, 8, 8, MFA_ERR_STRUCT_SIZE);
        sized_out(call, first - 1, (uint32_t)first - 1, MFA_ERR_STRUCT_SIZE);
    }
    sized_out(call, 8, 4097, MFA_ERR_STRUCT_SIZE);
    sized_out(call, 8, UINT32_MAX, MFA_ERR_STRUCT_SIZE);
    sized_out(call, size + 1, (uint32_t)size + 1, REACHES_THE_SERVER);
    sized_out(call, 4096, 4096, REACHES_THE_SERVER);
}

/* A bad err is left as it is, and the call refused, though nothing else is wrong. */
static void sized_err(const struct call *call, size_t block, uint32_t told)
{
    struct args a;
    char name[80];
    char *bytes = (char *)malloc(block);
    mfa_code got;
    int untouched;

    need(bytes != NULL, "malloc");
    prepare(&a, call, 0);
    memset(bytes, 0x5a, block);
    memcpy(bytes, &told, sizeof told);
    a.err_at = (mfa_error *)bytes;
    got = call->run(&a);
    untouched = memcmp(bytes, &told, 4) == 0 && all_bytes_are(bytes + 4, block - 4, 0x5a);
    snprintf(name, sizeof name, "%s: err of size %lu", call->name, (unsigned long)told);
    check(got == MFA_ERR_STRUCT_SIZE && untouched && out_decides_nothing(call, &a) &&
              listener_saw_nothing(&nobody),
          name, "%s%s", mfa_code_name(got), untouched ? "" : "; it was written to");
    free(bytes);
}

static void larger_err(const struct call *call)
{
    struct args a;
    char name[80];
    char *bytes = (char *)malloc(4096);
    uint32_t told = 4096;
    mfa_code got;

    need(bytes != NULL, "malloc");
    prepare(&a, call, 0);
    memset(bytes, 0x5a, 4096);
    memcpy(bytes, &told, sizeof told);
    a.err_at = (mfa_error *)bytes;
    a.token = "";
    got = call->run(&a);
    snprintf(name, sizeof name, "%s: err of size 4096", call->name);
    check(got == ARGUMENT && ((mfa_error *)bytes)->code == ARGUMENT &&
              all_bytes_are(bytes + sizeof(mfa_error), 4096 - sizeof(mfa_error), 0x5a),
          name, "%s, or the tail was written to", mfa_code_name(got));
    free(bytes);
}

/* Each field is written, also one that a later release has appended. */
static void written_err(const struct call *call)
{
    struct args a;
    char name[80];
    const char *bytes = (const char *)&a.err;
    mfa_code got;

    prepare(&a, call, 0);
    memset(&a.err, 0x5a, sizeof a.err);
    a.err.struct_size = sizeof a.err;
    a.token = "";
    got = call->run(&a);
    snprintf(name, sizeof name, "%s: err is written to its end", call->name);
    check(got == ARGUMENT && memchr(bytes + 4, 0x5a, sizeof a.err - 4) == NULL, name,
          "%s, or a byte is what it was before", mfa_code_name(got));
}

static void wrong_err_sizes(const struct call *call)
{
    written_err(call);
    sized_err(call, 4, 0);
    sized_err(call, FIRST_SIZE_ERROR - 1, FIRST_SIZE_ERROR - 1);
    sized_err(call, 4, 4097);
    sized_err(call, 4, UINT32_MAX);
    larger_err(call);
}

/* Clients ------------------------------------------------------------------------------------- */

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
    { "hyperid_new", MFA_PROVIDER_HYPERID, new_hyperid },
    { "capillary_new", MFA_PROVIDER_CAPILLARY, new_capillary },
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
    check_code("hyperid_new: out NULL", mfa_hyperid_new(NULL, NULL, &err), MFA_ERR_NULL_POINTER,
               &err);
    check_code("capillary_new: out NULL", mfa_capillary_new(NULL, NULL, &err),
               MFA_ERR_NULL_POINTER, &err);
    check_int("capillary_new: out and err NULL", mfa_capillary_new(NULL, NULL, NULL),
              MFA_ERR_NULL_POINTER);
    memset(small, 0, sizeof small);
    check(mfa_hyperid_new(NULL, &client, (mfa_error *)(void *)small) == MFA_ERR_STRUCT_SIZE &&
              client == NULL && all_bytes_are(small, sizeof small, 0),
          "hyperid_new: err of size 0", "it was not refused, or a struct was written to");
}

/* The rest ------------------------------------------------------------------------------------ */

static void control_codes(void)
{
    mfa_error err = MFA_ERROR_INIT;
    char out[4] = "abc";
    int i;
    int good = 1;

    check_code("control_code: NULL", mfa_control_code(NULL, 3, &err), MFA_ERR_NULL_POINTER, &err);
    check_code("control_code: NULL of size 0", mfa_control_code(NULL, 0, &err),
               MFA_ERR_NULL_POINTER, &err);
    check_code("control_code: size 0", mfa_control_code(out, 0, &err), MFA_ERR_INVALID_ARGUMENT,
               &err);
    check(strcmp(out, "abc") == 0, "control_code: size 0 is not written to", "it is \"%s\"", out);
    check_code("control_code: size 2", mfa_control_code(out, 2, &err), MFA_ERR_INVALID_ARGUMENT,
               &err);
    check(out[0] == 0, "control_code: size 2 is made empty", "it is \"%s\"", out);
    err.struct_size = 1;
    check_int("control_code: err of size 1", mfa_control_code(out, 3, &err), MFA_ERR_STRUCT_SIZE);
    check_int("control_code: err NULL", mfa_control_code(out, 3, NULL), MFA_OK);
    memset(&err, 0x5a, sizeof err);
    err.struct_size = sizeof err;
    check(mfa_control_code(out, 3, &err) == MFA_OK &&
              all_bytes_are((const char *)&err + 4, sizeof err - 4, 0),
          "control_code: err is reset to its end", "it failed, or a byte is not 0");
    for (i = 0; i < 500; i++) {
        memset(out, 'x', sizeof out);
        good = good && mfa_control_code(out, 3, NULL) == MFA_OK && strlen(out) == 2 &&
               out[0] >= '0' && out[0] <= '9' && out[1] >= '0' && out[1] <= '9' && out[3] == 'x';
    }
    check(good, "control_code: two digits each time", "it was \"%s\"", out);
}

static void approvals(void)
{
    mfa_transaction yes = MFA_TRANSACTION_INIT;
    mfa_code code;
    int32_t decision;
    int granted = 0;

    yes.decision = MFA_DECISION_APPROVED;
    check_int("is_approved: OK and approved", mfa_is_approved(MFA_OK, &yes), 1);
    check_int("is_approved: NULL", mfa_is_approved(MFA_OK, NULL), 0);
    for (code = -3; code < 1100; code++) {
        granted += code != MFA_OK && mfa_is_approved(code, &yes) != 0;
    }
    check_int("is_approved: codes other than OK", granted, 0);
    for (decision = -3; decision < 300; decision++) {
        yes.decision = decision;
        granted += decision != MFA_DECISION_APPROVED && mfa_is_approved(MFA_OK, &yes) != 0;
    }
    yes.decision = 0x01000000;
    granted += mfa_is_approved(MFA_OK, &yes) != 0;
    check_int("is_approved: decisions other than APPROVED", granted, 0);
    yes.decision = MFA_DECISION_APPROVED;
    yes.struct_size = 0;
    check_int("is_approved: size 0", mfa_is_approved(MFA_OK, &yes), 0);
    yes.struct_size = FIRST_SIZE_TRANSACTION - 1;
    check_int("is_approved: size too small by one", mfa_is_approved(MFA_OK, &yes), 0);
    yes.struct_size = 4097;
    check_int("is_approved: size 4097", mfa_is_approved(MFA_OK, &yes), 0);
    yes.struct_size = UINT32_MAX;
    check_int("is_approved: the highest size", mfa_is_approved(MFA_OK, &yes), 0);
    yes.struct_size = 4096;
    check_int("is_approved: a newer caller's", mfa_is_approved(MFA_OK, &yes), 1);
}

static void cancels(void)
{
    mfa_cancel *cancel = mfa_cancel_new();
    struct args a;
    int i;

    check(cancel != NULL, "cancel_new", "it returned NULL");
    mfa_cancel_trigger(NULL);
    mfa_cancel_free(NULL);
    mfa_hyperid_free(NULL);
    mfa_capillary_free(NULL);
    check(1, "trigger(NULL) and free(NULL) do nothing", "they crashed");
    mfa_cancel_trigger(cancel);
    mfa_cancel_trigger(cancel);
    for (i = 0; i < (int)COUNT(calls); i++) {
        prepare(&a, &calls[i], 0);
        a.options.cancel = cancel;
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

/* A text of `size - 1` letters. */
static void fill(char *text, size_t size)
{
    memset(text, 'a', size - 1);
    text[size - 1] = 0;
}

static void set_up(void)
{
    fill(long_token, sizeof long_token);
    fill(long_text, sizeof long_text);
    fill(long_brand, sizeof long_brand);
    fill(long_agent, sizeof long_agent);
    listener_open(&nobody, 16);
    peer_start(&server, PEER_ANSWERS, refusal);
    hyperid_nobody = hyperid_at(nobody.url);
    capillary_nobody = capillary_at(nobody.url);
    hyperid_server = hyperid_at(server.listener.url);
    capillary_server = capillary_at(server.listener.url);
}

static void tear_down(void)
{
    mfa_hyperid_free(hyperid_nobody);
    mfa_hyperid_free(hyperid_server);
    mfa_capillary_free(capillary_nobody);
    mfa_capillary_free(capillary_server);
    peer_stop(&server);
    listener_close(&nobody);
}

int main(void)
{
    size_t i;

    set_up();
    for (i = 0; i < COUNT(calls); i++) {
        wrong_values(&calls[i]);
        wrong_input_sizes(&calls[i]);
        wrong_out_sizes(&calls[i]);
        wrong_err_sizes(&calls[i]);
    }
    for (i = 0; i < COUNT(makers); i++) {
        wrong_client_values(&makers[i]);
        wrong_client_certificates(&makers[i]);
        wrong_headers(&makers[i]);
        wrong_client_sizes(&makers[i]);
    }
    wrong_client_pointers();
    control_codes();
    approvals();
    cancels();
    unused_cancels();
    tear_down();
    return check_finish();
}
