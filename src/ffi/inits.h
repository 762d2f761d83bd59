/*
 * Initialisers: every field in order, so that they compile without a warning in C99 and C++17.
 *
 *     mfa_transaction transaction = MFA_TRANSACTION_INIT;
 */
#define MFA_ERROR_INIT { sizeof(mfa_error), 0, 0, 0, 0, 0, 0, 0, 0, 0, "" }
#define MFA_CLIENT_OPTIONS_INIT \
  { sizeof(mfa_client_options), 0, NULL, 0, 0, NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL }
#define MFA_CALL_OPTIONS_INIT { sizeof(mfa_call_options), 0, NULL }
#define MFA_AVAILABILITY_INIT { sizeof(mfa_availability), 0 }
#define MFA_TWO_FACTOR_TYPES_INIT { sizeof(mfa_two_factor_types), 0, 0, { 0 } }
#define MFA_TRANSACTION_INIT { sizeof(mfa_transaction), 0, 0, 0, 0, 0, 0 }
#define MFA_REGISTRATION_INIT { sizeof(mfa_registration), 0, 0, 0 }
#define MFA_REQUEST_INIT { sizeof(mfa_request), 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL }
#define MFA_WAIT_OPTIONS_INIT { sizeof(mfa_wait_options), 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL }
#define MFA_WAITER_OPTIONS_INIT { sizeof(mfa_waiter_options), 0, 0, 0 }
#define MFA_EVENT_INIT { sizeof(mfa_event), 0, 0, NULL, 0, 0 }
