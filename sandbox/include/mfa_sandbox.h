/* mfa_sandbox.h: a local server that plays HyperID's and Capillary's MFA services, for tests and demos.
 *
 * Generated from sandbox/src/ffi.rs; do not edit.
 *
 * Rules
 *  - Functions that return int32_t and can fail return MFA_SANDBOX_OK or one MFA_SANDBOX_ERR_....
 *  - Strings in are NUL-terminated UTF-8 and borrowed for the call. Strings out belong to the handle and
 *    live until it is freed, or are static; nothing is to be freed but the handle.
 *  - A handle may be used by any number of threads at once. mfa_sandbox_free(NULL) does nothing.
 *  - A struct begins with struct_size: set it with the _INIT macro. Unknown flags are refused.
 *  - A NULL or unfit argument is refused; it never crashes. A pointer to freed memory is the caller's error.
 *
 * Which token does what: README.md, mfa-sandbox --help, or mfa_sandbox_behaviours().
 */

#ifndef MFA_SANDBOX_H
#define MFA_SANDBOX_H

#include <stdint.h>

/* Every member, in order: no warning in C99 nor in C++17. */
#define MFA_SANDBOX_OPTIONS_INIT { sizeof(mfa_sandbox_options), 0, 0, 0, 0, 0, 0, 0, 0, 0 }

#define MFA_SANDBOX_USER_INIT { sizeof(mfa_sandbox_user), 0, 0, 0, 0 }

#define MFA_SANDBOX_TRANSACTION_INFO_INIT \
    { sizeof(mfa_sandbox_transaction_info), 0, 0, 0, 0, 0, 0, {0}, {0}, {0}, {0}, {0}, {0}, {0} }

// It was done.
#define MFA_SANDBOX_OK 0

// An argument is NULL, not UTF-8, out of range or of a wrong size.
#define MFA_SANDBOX_ERR_INVALID_ARGUMENT 1

// There is no such transaction or token.
#define MFA_SANDBOX_ERR_NOT_FOUND 2

// The transaction has ended already.
#define MFA_SANDBOX_ERR_ENDED 3

// A defect of the sandbox itself.
#define MFA_SANDBOX_ERR_INTERNAL 900

// Option flag: https with a certification authority of its own.
#define MFA_SANDBOX_TLS 1

// Option flag: listen on every interface; the phone page's address then holds a secret.
#define MFA_SANDBOX_LAN 2

// Option flag: Capillary's codes under the HTTP status as well.
#define MFA_SANDBOX_CAPILLARY_HTTP_STATUS 4

// Option flag: refuse what the provider's own clients send beside its documentation: for a client's own
// tests. Without it that is taken, and the answer's header `Sandbox-Unusual` says what it was.
#define MFA_SANDBOX_STRICT 8

// Option flag: a line on the standard error for each request.
#define MFA_SANDBOX_LOG 16

// Flag of a person: has not linked the authenticator app.
#define MFA_SANDBOX_USER_NO_APP 1

// Flag of a person: Capillary: MFA is not registered.
#define MFA_SANDBOX_USER_NOT_REGISTERED 2

// Decision: completed, complete result 0.
#define MFA_SANDBOX_APPROVE 1

// Decision: completed, complete result 1.
#define MFA_SANDBOX_DENY 2

// Decision: status 4, waved away by the person.
#define MFA_SANDBOX_DECLINE 3

// Decision: status 3.
#define MFA_SANDBOX_FAIL 4

// Decision: status 2, before its life is over.
#define MFA_SANDBOX_EXPIRE 5

// A running sandbox. Safe to use from any number of threads at once, except to free it.
typedef struct mfa_sandbox mfa_sandbox;

// How a sandbox is started. All zero behind `struct_size` is the default.
typedef struct mfa_sandbox_options {
  // `sizeof(mfa_sandbox_options)`.
  uint32_t struct_size;
  // `MFA_SANDBOX_TLS`, `MFA_SANDBOX_LAN`, `MFA_SANDBOX_CAPILLARY_HTTP_STATUS`, `MFA_SANDBOX_STRICT`,
  // `MFA_SANDBOX_LOG`.
  uint32_t flags;
  // 0: any free one.
  uint32_t port;
  // How long a transaction waits for the person; 0: 120,000.
  uint32_t life_ms;
  // How long a connection may be idle; 0: 60,000.
  uint32_t idle_timeout_ms;
  // 0.
  uint32_t reserved;
  // The first transaction's id, the next ones follow; at most 2 to the 62nd. 0: another one in every run,
  // too large for 32 bits, so that a client that keeps ids in 32 bits is found out.
  int64_t first_id;
  // Any token that nobody has issued is this person's, who is asked on the page; one that is shaped as a JWT is
  // that of the person whom its `sub` names, and good until its `exp`; its signature is not looked at. NULL: such
  // a token is invalid.
  const char *any_token;
  // The web pages that may call the providers' paths (CORS), as in "http://localhost:3000", with blanks between
  // them. Never the phone page. NULL: none.
  const char *allow_origins;
  // The key of the interface for tests, 16 to 128 visible characters; NULL: another one in every run.
  const char *control_key;
} mfa_sandbox_options;

// A person. All zero behind `struct_size` is the default: has the app and the methods 0 and 3, any device is known,
// MFA is registered at Capillary, and is asked on the page.
typedef struct mfa_sandbox_user {
  // `sizeof(mfa_sandbox_user)`.
  uint32_t struct_size;
  // `MFA_SANDBOX_USER_NO_APP`, `MFA_SANDBOX_USER_NOT_REGISTERED`.
  uint32_t flags;
  // The second factors with commas between them, as in "0,3", or "none"; NULL: "0,3".
  const char *methods;
  // The registered devices, one a line; NULL: any device is known.
  const char *devices;
  // Behaviours as behind "sandbox-", without `#PERSON`; NULL: none.
  const char *behaviour;
} mfa_sandbox_user;

// A transaction at one moment. A text that was not sent is empty; one that does not fit is cut at a
// character's boundary.
typedef struct mfa_sandbox_transaction_info {
  // `sizeof(mfa_sandbox_transaction_info)`, set by the caller.
  uint32_t struct_size;
  // 0 pending, 1 completed, 2 expired, 3 failed, 4 cancelled or declined; -1: nothing was found.
  int32_t status;
  // As returned by start.
  int64_t id;
  // 0 approved, 1 denied; 0 while it is pending, too.
  int32_t complete_result;
  // As sent.
  int32_t template_id;
  // How long it still lives; 0 when it has ended.
  uint32_t remaining_ms;
  // How many status answers were asked for.
  uint32_t polls;
  // The person asked.
  char user[128];
  // Template 4: the text shown to the person.
  char question[1024];
  // As sent: a string that holds JSON. An object in its place: its text.
  char values[2048];
  // The control code, as sent.
  char code[64];
  // As sent.
  char device_id[128];
  // As sent.
  char device_desc[256];
  // As sent.
  char ip[64];
} mfa_sandbox_transaction_info;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Starts a sandbox. `options` may be NULL. Returns NULL if the options are wrong or the port is taken:
// `mfa_sandbox_new_why` says which.
struct mfa_sandbox *mfa_sandbox_new(const struct mfa_sandbox_options *options);

// Starts a sandbox as `mfa_sandbox_new` does. If it returns NULL, `why` holds a sentence for people, cut where
// `why_size` bytes are full; else an empty text. `why` may be NULL if `why_size` is 0.
struct mfa_sandbox *mfa_sandbox_new_why(const struct mfa_sandbox_options *options,
                                        char *why,
                                        uint32_t why_size);

// Stops the sandbox: ends its threads and closes its connections. NULL does nothing.
void mfa_sandbox_free(struct mfa_sandbox *sandbox);

// The sandbox's version, as in "0.1.0".
const char *mfa_sandbox_version(void);

// Every behaviour a token can name, one a line, for people.
const char *mfa_sandbox_behaviours(void);

// Today's size of "mfa_sandbox_options", "mfa_sandbox_transaction_info" or "mfa_sandbox_user"; 0: no such struct.
uint32_t mfa_sandbox_struct_size(const char *struct_name);

// The base URL for HyperID's calls.
const char *mfa_sandbox_hyperid_url(const struct mfa_sandbox *sandbox);

// The base URL for Capillary's calls.
const char *mfa_sandbox_capillary_url(const struct mfa_sandbox *sandbox);

// The phone page's address; with `MFA_SANDBOX_LAN` it holds a secret.
const char *mfa_sandbox_phone_url(const struct mfa_sandbox *sandbox);

// The interface for tests in other languages, over HTTP: README.md describes it.
const char *mfa_sandbox_control_url(const struct mfa_sandbox *sandbox);

// The key of this run, for the header `Sandbox-Key` of that interface.
const char *mfa_sandbox_control_key(const struct mfa_sandbox *sandbox);

// Forgets everything, as if it were started anew: people, tokens, brands, transactions, requests and their counters.
// The ids go on, or begin at `first_id` if that is not 0. Connections, addresses and the key stay.
int32_t mfa_sandbox_reset(const struct mfa_sandbox *sandbox,
                          int64_t first_id);

// With `MFA_SANDBOX_TLS`, the certificate of this run's authority; else NULL.
const char *mfa_sandbox_ca_pem(const struct mfa_sandbox *sandbox);

// Makes any text a magic token; `behaviour` is what would follow "sandbox-", as in "deny-after-500".
int32_t mfa_sandbox_add_token(const struct mfa_sandbox *sandbox, const char *token, const char *behaviour);

// Whether a behaviour can be used: `MFA_SANDBOX_OK`, and an empty text in `why`; else
// `MFA_SANDBOX_ERR_INVALID_ARGUMENT`, and a sentence for people, with the nearest name. What does not fit into
// `why_size` bytes is cut. `why` may be NULL if `why_size` is 0.
int32_t mfa_sandbox_check_behaviour(const char *behaviour,
                                    char *why,
                                    uint32_t why_size);

// Adds a person, or replaces one. `user` may be NULL: the default.
int32_t mfa_sandbox_add_user(const struct mfa_sandbox *sandbox,
                             const char *name,
                             const struct mfa_sandbox_user *user);

// Issues a token to a person, who is added with the defaults if not known, and is asked on the page unless a behaviour
// of the person's says otherwise. Any text will do. `scopes` with blanks between them; NULL: "mfa-client
// second-factor-auth-client". `lives_ms`: how long it is good; 0: until it is revoked or expired.
int32_t mfa_sandbox_issue_token(const struct mfa_sandbox *sandbox,
                                const char *token,
                                const char *user,
                                const char *scopes,
                                uint32_t lives_ms);

// Makes a token shaped as the providers' (three parts, HS256), issues it as `mfa_sandbox_issue_token` does, and writes
// it to `buffer`. Returns its length without its NUL, or -1 if an argument is wrong; one that does not fit into
// `buffer_size` bytes is cut: 2,048 are enough for names and scopes of usual length.
int32_t mfa_sandbox_issue_jwt(const struct mfa_sandbox *sandbox,
                              const char *user,
                              const char *scopes,
                              uint32_t lives_ms,
                              char *buffer,
                              uint32_t buffer_size);

// From now on the token is expired.
int32_t mfa_sandbox_expire_token(const struct mfa_sandbox *sandbox, const char *token);

// From now on the token is invalid.
int32_t mfa_sandbox_revoke_token(const struct mfa_sandbox *sandbox, const char *token);

// Adds a Capillary brand, with MFA (`has_mfa` not 0) or without, or replaces one.
int32_t mfa_sandbox_add_brand(const struct mfa_sandbox *sandbox, const char *brand, int32_t has_mfa);

// Ends a pending transaction as the person would: `MFA_SANDBOX_APPROVE`, `_DENY`, `_DECLINE`, `_FAIL`,
// `_EXPIRE`.
int32_t mfa_sandbox_decide(const struct mfa_sandbox *sandbox, int64_t transaction_id, int32_t decision);

// Waits for a pending transaction that was not returned before and returns the newest's id; 0: none in
// time.
int64_t mfa_sandbox_wait_for_transaction(const struct mfa_sandbox *sandbox, uint32_t timeout_ms);

// Fills `out` with a transaction as it is now.
int32_t mfa_sandbox_transaction(const struct mfa_sandbox *sandbox,
                                int64_t transaction_id,
                                struct mfa_sandbox_transaction_info *out);

// Writes the ids of all transactions, the oldest first, as many as fit into `capacity`. Returns how many there are.
// `ids` may be NULL if `capacity` is 0.
uint64_t mfa_sandbox_transactions(const struct mfa_sandbox *sandbox,
                                  int64_t *ids,
                                  uint32_t capacity);

// The next transaction gets this id, and the next ones follow; at most 2 to the 62nd. Refused if a transaction has it,
// or a larger one.
int32_t mfa_sandbox_set_first_id(const struct mfa_sandbox *sandbox,
                                 int64_t first_id);

// How many pushes went to phones: one for each transaction ever started.
uint64_t mfa_sandbox_push_count(const struct mfa_sandbox *sandbox);

// How many provider requests have arrived on a path as in "/mfa-client/availability-check"; NULL: on any.
uint64_t mfa_sandbox_request_count(const struct mfa_sandbox *sandbox, const char *path);

// Waits until so many provider requests have arrived on a path (NULL: on any); 1, or 0 if not in time.
int32_t mfa_sandbox_wait_for_requests(const struct mfa_sandbox *sandbox,
                                      const char *path,
                                      uint64_t count,
                                      uint32_t timeout_ms);

// How many connections were ever accepted.
uint64_t mfa_sandbox_connection_count(const struct mfa_sandbox *sandbox);

// How many are open now.
uint64_t mfa_sandbox_open_connections(const struct mfa_sandbox *sandbox);

// Writes the last provider request on a path (NULL: on any) as text: request line, headers as sent, an
// empty line, the body. Returns the whole text's length without its NUL, or -1 if there is none; what
// does not fit into `buffer_size` bytes is cut. `buffer` may be NULL if `buffer_size` is 0.
int32_t mfa_sandbox_last_request(const struct mfa_sandbox *sandbox,
                                 const char *path,
                                 char *buffer,
                                 uint32_t buffer_size);

// Writes one provider request, counted from 1 to `mfa_sandbox_request_count(sandbox, NULL)`, as
// `mfa_sandbox_last_request` does. Returns -1 if there is none, or if it is forgotten: the last 1,000 are kept.
int32_t mfa_sandbox_request(const struct mfa_sandbox *sandbox,
                            uint64_t number,
                            char *buffer,
                            uint32_t buffer_size);

// Empties the log of requests; the counters go on.
void mfa_sandbox_clear_requests(const struct mfa_sandbox *sandbox);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MFA_SANDBOX_H */
