/*
 * Every call with one argument that is wrong, and with what is just allowed: see misuse.h.
 */
#include "misuse.h"

static char long_token[16386];
static char long_text[32770];
static char long_brand[1026];

struct row {
    const char *what;
    int needs;
    void (*apply)(struct args *a, const char *text, int64_t number);
    const char *text;
    int64_t number;
    mfa_code wanted;
};

static int32_t go_on(void *user_data, const mfa_transaction *so_far)
{
    (void)user_data;
    (void)so_far;
    return 0;
}

static const char *no_token(void *user_data)
{
    (void)user_data;
    return NULL;
}

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
SETS(out_ticket_null, a->out_ticket_at = NULL)
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
SETS(on_update, a->wait.on_update = go_on)
SETS(token_provider, a->wait.access_token_provider = no_token)
SETS(user_data, a->wait.on_update_user_data = a; a->wait.access_token_provider_user_data = a)
SETS(min_interval, a->wait.min_interval_ms = (uint32_t)number)

static const struct row rows[] = {
    { "nothing wrong", EVERY, id, NULL, 4294967297, REACHES },
    { "client NULL", EVERY, client, NULL, 0, POINTER },
    { "token NULL", EVERY, token, NULL, 0, POINTER },
    { "err NULL beside another fault", EVERY, err_null, NULL, 0, POINTER },
    { "options NULL", EVERY, options_null, NULL, 0, REACHES },
    { "out NULL", OUT_STRUCT, out_null, NULL, 0, POINTER },
    { "out_transaction_id NULL", OUT_ID, out_id_null, NULL, 0, POINTER },
    { "out_ticket NULL", OUT_TICKET, out_ticket_null, NULL, 0, POINTER },
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
    { "wait.flags 2", WAIT | BLOCKS, wait_flags, NULL, MFA_WAIT_REPORT_UPDATES, ARGUMENT },
    { "wait.flags 4", WAIT | BLOCKS, wait_flags, NULL, MFA_WAIT_ASK_FOR_TOKEN, ARGUMENT },
    { "wait.flags 2", WAIT | OUT_TICKET, wait_flags, NULL, MFA_WAIT_REPORT_UPDATES, REACHES },
    { "wait.flags 4", WAIT | OUT_TICKET, wait_flags, NULL, MFA_WAIT_ASK_FOR_TOKEN, REACHES },
    { "on_update", WAIT | OUT_TICKET, on_update, NULL, 0, ARGUMENT },
    { "access_token_provider", WAIT | OUT_TICKET, token_provider, NULL, 0, ARGUMENT },
    { "user data of callbacks that are not there", WAIT, user_data, NULL, 0, REACHES },
    { "wait.flags 8", WAIT, wait_flags, NULL, 8, ARGUMENT },
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

int main(void)
{
    size_t i;

    fill_text(long_token, sizeof long_token);
    fill_text(long_text, sizeof long_text);
    fill_text(long_brand, sizeof long_brand);
    set_up();
    for (i = 0; i < COUNT(calls); i++) {
        wrong_values(&calls[i]);
    }
    tear_down();
    return check_finish();
}
