/*
 * The layout of every struct, as constants: a binding that was written by hand from the header
 * relies on each of them. They are asserted while compiling, so a library that changes one cannot
 * even build this program; what only the loaded library knows is asked at run time.
 *
 * The numbers hold where pointers have 64 bits.
 */
#include "check.h"


/* C99 has no static_assert; an array of negative size is as good. */
#define ASSERT_AT_COMPILE_TIME(name, condition) typedef char name[(condition) ? 1 : -1]

#define STRUCT(type, size, alignment)                                                           \
    struct type##_behind_a_char {                                                               \
        char first;                                                                             \
        type value;                                                                             \
    };                                                                                          \
    ASSERT_AT_COMPILE_TIME(type##_has_its_size, sizeof(type) == (size));                        \
    ASSERT_AT_COMPILE_TIME(type##_has_its_alignment,                                            \
                           offsetof(struct type##_behind_a_char, value) == (alignment))

#define FIELD(type, field, offset, size)                                                        \
    ASSERT_AT_COMPILE_TIME(type##_##field##_has_its_place, offsetof(type, field) == (offset));  \
    ASSERT_AT_COMPILE_TIME(type##_##field##_has_its_size, sizeof(((type *)0)->field) == (size))

#if UINTPTR_MAX == UINT64_MAX

STRUCT(mfa_error, 296, 4);
FIELD(mfa_error, struct_size, 0, 4);
FIELD(mfa_error, code, 4, 4);
FIELD(mfa_error, provider, 8, 4);
FIELD(mfa_error, has_provider_code, 12, 4);
FIELD(mfa_error, provider_code, 16, 4);
FIELD(mfa_error, http_status, 20, 4);
FIELD(mfa_error, retry_after_ms, 24, 4);
FIELD(mfa_error, flags, 28, 4);
FIELD(mfa_error, attempts, 32, 4);
FIELD(mfa_error, os_error, 36, 4);
FIELD(mfa_error, message, 40, 256);

STRUCT(mfa_client_options, 96, 8);
FIELD(mfa_client_options, struct_size, 0, 4);
FIELD(mfa_client_options, flags, 4, 4);
FIELD(mfa_client_options, base_url, 8, 8);
FIELD(mfa_client_options, request_timeout_ms, 16, 4);
FIELD(mfa_client_options, connect_timeout_ms, 20, 4);
FIELD(mfa_client_options, ca_pem, 24, 8);
FIELD(mfa_client_options, proxy_url, 32, 8);
FIELD(mfa_client_options, user_agent, 40, 8);
FIELD(mfa_client_options, max_idle_connections, 48, 4);
FIELD(mfa_client_options, log_level, 52, 4);
FIELD(mfa_client_options, log, 56, 8);
FIELD(mfa_client_options, log_user_data, 64, 8);
FIELD(mfa_client_options, client_cert_pem, 72, 8);
FIELD(mfa_client_options, client_key_pem, 80, 8);
FIELD(mfa_client_options, headers, 88, 8);

STRUCT(mfa_call_options, 16, 8);
FIELD(mfa_call_options, struct_size, 0, 4);
FIELD(mfa_call_options, timeout_ms, 4, 4);
FIELD(mfa_call_options, cancel, 8, 8);

STRUCT(mfa_availability, 8, 4);
FIELD(mfa_availability, struct_size, 0, 4);
FIELD(mfa_availability, available, 4, 4);

STRUCT(mfa_two_factor_types, 76, 4);
FIELD(mfa_two_factor_types, struct_size, 0, 4);
FIELD(mfa_two_factor_types, methods, 4, 4);
FIELD(mfa_two_factor_types, count, 8, 4);
FIELD(mfa_two_factor_types, raw, 12, 64);

STRUCT(mfa_transaction, 32, 8);
FIELD(mfa_transaction, struct_size, 0, 4);
FIELD(mfa_transaction, decision, 4, 4);
FIELD(mfa_transaction, transaction_id, 8, 8);
FIELD(mfa_transaction, raw_status, 16, 4);
FIELD(mfa_transaction, raw_complete_result, 20, 4);
FIELD(mfa_transaction, polls, 24, 4);
FIELD(mfa_transaction, elapsed_ms, 28, 4);

STRUCT(mfa_registration, 16, 4);
FIELD(mfa_registration, struct_size, 0, 4);
FIELD(mfa_registration, state, 4, 4);
FIELD(mfa_registration, raw_code, 8, 4);
FIELD(mfa_registration, http_status, 12, 4);

STRUCT(mfa_request, 64, 8);
FIELD(mfa_request, struct_size, 0, 4);
FIELD(mfa_request, flags, 4, 4);
FIELD(mfa_request, template_id, 8, 4);
FIELD(mfa_request, reserved, 12, 4);
FIELD(mfa_request, question, 16, 8);
FIELD(mfa_request, values_json, 24, 8);
FIELD(mfa_request, code, 32, 8);
FIELD(mfa_request, device_id, 40, 8);
FIELD(mfa_request, device_desc, 48, 8);
FIELD(mfa_request, ip, 56, 8);

STRUCT(mfa_wait_options, 56, 8);
FIELD(mfa_wait_options, struct_size, 0, 4);
FIELD(mfa_wait_options, first_poll_ms, 4, 4);
FIELD(mfa_wait_options, min_interval_ms, 8, 4);
FIELD(mfa_wait_options, max_interval_ms, 12, 4);
FIELD(mfa_wait_options, cancel_on_timeout, 16, 4);
FIELD(mfa_wait_options, flags, 20, 4);
FIELD(mfa_wait_options, on_update, 24, 8);
FIELD(mfa_wait_options, on_update_user_data, 32, 8);
FIELD(mfa_wait_options, access_token_provider, 40, 8);
FIELD(mfa_wait_options, access_token_provider_user_data, 48, 8);

STRUCT(mfa_waiter_options, 16, 4);
FIELD(mfa_waiter_options, struct_size, 0, 4);
FIELD(mfa_waiter_options, flags, 4, 4);
FIELD(mfa_waiter_options, max_connections, 8, 4);
FIELD(mfa_waiter_options, max_requests_per_second, 12, 4);

STRUCT(mfa_event, 32, 8);
FIELD(mfa_event, struct_size, 0, 4);
FIELD(mfa_event, kind, 4, 4);
FIELD(mfa_event, ticket, 8, 8);
FIELD(mfa_event, user_data, 16, 8);
FIELD(mfa_event, code, 24, 4);
FIELD(mfa_event, reserved, 28, 4);

#endif

/* The fixed surface's numbers, which bindings copy. */
#define NUMBER(name, value) ASSERT_AT_COMPILE_TIME(name##_has_its_number, (name) == (value))

NUMBER(MFA_OK, 0);
NUMBER(MFA_ABI_VERSION, 1);
NUMBER(MFA_PROVIDER_NONE, 0);
NUMBER(MFA_PROVIDER_HYPERID, 1);
NUMBER(MFA_PROVIDER_CAPILLARY, 2);
NUMBER(MFA_ERROR_RETRYABLE, 1);
NUMBER(MFA_ERROR_OUTCOME_UNKNOWN, 2);
NUMBER(MFA_CLIENT_ALLOW_LOOPBACK_HTTP, 1);
NUMBER(MFA_CLIENT_PROXY_FROM_ENV, 2);
NUMBER(MFA_LOG_OFF, 0);
NUMBER(MFA_LOG_ERROR, 1);
NUMBER(MFA_LOG_WARN, 2);
NUMBER(MFA_LOG_INFO, 3);
NUMBER(MFA_LOG_DEBUG, 4);
NUMBER(MFA_DECISION_NONE, 0);
NUMBER(MFA_DECISION_APPROVED, 1);
NUMBER(MFA_DECISION_DENIED, 2);
NUMBER(MFA_DECISION_EXPIRED, 3);
NUMBER(MFA_DECISION_CANCELLED, 4);
NUMBER(MFA_DECISION_FAILED, 5);
NUMBER(MFA_DECISION_PENDING, 6);
NUMBER(MFA_DECISION_UNKNOWN, 7);
NUMBER(MFA_REQUEST_ANY_CODE, 1);
NUMBER(MFA_WAIT_WITHDRAW_ON_CANCEL, 1);
NUMBER(MFA_WAIT_REPORT_UPDATES, 2);
NUMBER(MFA_WAIT_ASK_FOR_TOKEN, 4);
NUMBER(MFA_CANCEL_WITHDRAW, 1);
NUMBER(MFA_EVENT_NONE, 0);
NUMBER(MFA_EVENT_STARTED, 1);
NUMBER(MFA_EVENT_UPDATE, 2);
NUMBER(MFA_EVENT_TOKEN_REFUSED, 3);
NUMBER(MFA_EVENT_ENDED, 4);
NUMBER(MFA_METHOD_APP, 1);
NUMBER(MFA_METHOD_TOTP, 2);
NUMBER(MFA_METHOD_SMS, 4);
NUMBER(MFA_METHOD_EMAIL, 8);
NUMBER(MFA_METHOD_OTHER, 16);
NUMBER(MFA_REGISTRATION_NONE, 0);
NUMBER(MFA_REGISTRATION_REGISTERED, 1);
NUMBER(MFA_REGISTRATION_NOT_REGISTERED, 2);
NUMBER(MFA_REGISTRATION_NOT_ENABLED, 3);
ASSERT_AT_COMPILE_TIME(mfa_code_is_an_int32, sizeof(mfa_code) == 4 && (mfa_code)-1 < 0);

static const mfa_error error_init = MFA_ERROR_INIT;
static const mfa_client_options client_options_init = MFA_CLIENT_OPTIONS_INIT;
static const mfa_call_options call_options_init = MFA_CALL_OPTIONS_INIT;
static const mfa_availability availability_init = MFA_AVAILABILITY_INIT;
static const mfa_two_factor_types two_factor_types_init = MFA_TWO_FACTOR_TYPES_INIT;
static const mfa_transaction transaction_init = MFA_TRANSACTION_INIT;
static const mfa_registration registration_init = MFA_REGISTRATION_INIT;
static const mfa_request request_init = MFA_REQUEST_INIT;
static const mfa_wait_options wait_options_init = MFA_WAIT_OPTIONS_INIT;
static const mfa_waiter_options waiter_options_init = MFA_WAITER_OPTIONS_INIT;
static const mfa_event event_init = MFA_EVENT_INIT;

struct row {
    const char *name;
    size_t size;
    const void *init;
};

#define ROW(name) { "mfa_" #name, sizeof(mfa_##name), &name##_init }

static const struct row rows[] = {
    ROW(error),       ROW(client_options),   ROW(call_options),
    ROW(availability), ROW(two_factor_types), ROW(transaction),
    ROW(registration), ROW(request),          ROW(wait_options),
    ROW(waiter_options), ROW(event),
};

/* "All-zero bytes plus struct_size are equivalent": a NULL is all zero on every system that has
 * this library, and there is no padding whose bytes could differ. */
static int is_size_and_zeros(const struct row *row)
{
    const unsigned char *bytes = (const unsigned char *)row->init;
    uint32_t struct_size;
    size_t i;

    memcpy(&struct_size, bytes, sizeof struct_size);
    for (i = sizeof struct_size; i < row->size; i++) {
        if (bytes[i] != 0) {
            return 0;
        }
    }
    return struct_size == row->size;
}

int main(void)
{
    char name[80];
    size_t i;

    check(1, "layout at compile time", "this program would not exist");
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(name, sizeof name, "size of %s in the library", rows[i].name);
        check_int(name, (long long)mfa_struct_size(rows[i].name), (long long)rows[i].size);
        snprintf(name, sizeof name, "initialiser of %s", rows[i].name);
        check(is_size_and_zeros(&rows[i]), name, "it is not its size followed by zeros");
    }
    check_int("size of no struct", (long long)mfa_struct_size("mfa_transactions"), 0);
    check_int("size of an opaque type", (long long)mfa_struct_size("mfa_hyperid"), 0);
    check_int("size of an empty name", (long long)mfa_struct_size(""), 0);
    check_int("size of NULL", (long long)mfa_struct_size(NULL), 0);
    check_int("size of a name that is not UTF-8", (long long)mfa_struct_size("mfa_error\xff"), 0);
    return check_finish();
}
