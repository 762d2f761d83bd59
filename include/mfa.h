/* Generated from src/ffi by build.rs with cbindgen. Do not edit: `cargo xtask header` writes it. */

/**
 * @file mfa.h
 * libmfa: ask a person for a second factor, and trust the answer.
 *
 * EXAMPLE
 *
 *     #include <mfa.h>
 *     #include <stdio.h>
 *     #include <stdlib.h>
 *
 *     static int32_t on_update(void *user_data, const mfa_transaction *so_far) {
 *       (void)user_data;
 *       if (so_far->polls == 0) printf("asked: %lld\n", (long long)so_far->transaction_id);  // save the id now
 *       return 0;                                                                            // go on
 *     }
 *
 *     int main(void) {
 *       const char *url = getenv("MFA_BASE_URL"), *token = getenv("MFA_TOKEN");
 *       if (!url || !token) return 2;                    // no URL would be HyperID's production
 *       mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;
 *       options.base_url = url;
 *       options.flags = MFA_CLIENT_ALLOW_LOOPBACK_HTTP;  // for the sandbox on this machine
 *       mfa_hyperid *client = NULL;
 *       mfa_error err = MFA_ERROR_INIT;
 *       mfa_code code = mfa_hyperid_new(&options, &client, &err);   // once; keep it for all people
 *       mfa_transaction answer = MFA_TRANSACTION_INIT;
 *       if (code == MFA_OK) {
 *         mfa_request request = MFA_REQUEST_INIT;
 *         request.question = "Sign in?";
 *         mfa_wait_options wait = MFA_WAIT_OPTIONS_INIT;
 *         wait.on_update = on_update;
 *         code = mfa_hyperid_confirm(client, token, &request, &wait, NULL, &answer, &err);
 *       }
 *       if (code != MFA_OK) fprintf(stderr, "%s: %s\n", mfa_code_name(code), err.message);
 *       if (mfa_is_approved(code, &answer)) puts("welcome");         // the only test that opens a door
 *       mfa_hyperid_free(client);
 *       return mfa_is_approved(code, &answer) ? 0 : 1;
 *     }
 *
 * Save the id as soon as it is known: `on_update` is called with it once before the first poll (`polls`
 * is 0), from within `mfa_hyperid_confirm`; a waiter says `MFA_EVENT_STARTED`. With the id any later run
 * of the program can go on (`mfa_hyperid_wait`) or take the question back (`mfa_hyperid_cancel`).
 *
 * THE RULES
 *
 *  1. Return. Every fallible function returns an `mfa_code`: `MFA_OK` (0) or one `MFA_ERR_...`.
 *     Answers go to a struct through `out`. What a person decided is data in that struct, never an
 *     error code; what went wrong is a code, never a decision. `MFA_OK` means that an answer was
 *     read, and the answer may be "no":
 *
 *         if (mfa_is_approved(mfa_hyperid_confirm(..., &t, NULL), &t)) grant();     // right
 *         if (mfa_hyperid_confirm(..., &t, NULL) == MFA_OK) grant();                // WRONG
 *         if (mfa_event_is_approved(&event, &t)) grant();        // right, of mfa_waiter_next's event
 *
 *  2. Fail closed. Every `out` struct is reset at entry to "no decision". A code other than
 *     `MFA_OK` never stands beside an approval. Unknown, missing or contradictory input from a
 *     server never approves.
 *  3. Errors. The last parameter of a fallible function is `mfa_error *err`. It may be NULL, is
 *     owned by the caller, needs no free, is reset at entry, and says what happened this time,
 *     without secrets. There is no thread-local state, and errno is not used.
 *  4. Structs begin with `struct_size`. Initialise each with its `MFA_..._INIT` macro; all-zero bytes
 *     plus `struct_size = sizeof(...)` are equivalent, and the zero of every input field means its
 *     default. From another language: zero it, then set `struct_size`. Sizes below the first
 *     release's or above 4096 are refused (`MFA_ERR_STRUCT_SIZE`), as are unknown flags, unknown
 *     enumerators, and a non-zero byte in a field that the loaded library is too old to know
 *     (`MFA_ERR_INVALID_ARGUMENT`).
 *  5. Handles are opaque: `_new` makes one, `_free` frees it, `_free(NULL)` does nothing. Client
 *     handles are safe to use from any number of threads at once. Freeing a handle while a call
 *     uses it is the caller's error. A cancel object outlives every call that it was given to.
 *  6. Strings in are NUL-terminated UTF-8, borrowed for the call. Strings out are static, or in a
 *     `char` array of a struct. The library never hands out memory that the caller must free, nor
 *     frees the caller's.
 *  7. Time. Every call blocks and obeys one deadline that covers name resolution, connecting, TLS,
 *     repeated requests and waiting; it ends within 50 ms of its cancel object being triggered,
 *     wherever it is (2 s where the caller asked to withdraw the request). `MFA_ERR_TIMEOUT` means the
 *     call's own deadline and nothing else; `MFA_ERR_CANCELLED` the caller's wish. Nothing means "for
 *     ever". Clocks are monotonic. A waiter's functions never wait, but for `mfa_waiter_next`, whose
 *     `timeout_ms` bounds it; what its waits promise holds while somebody calls that.
 *  8. The host process is a guest house. No panic crosses the boundary (`MFA_ERR_INTERNAL`).
 *     Signal handlers, loggers and the environment are left alone; no SIGPIPE is raised; the library
 *     stays loaded once loaded. The environment is read only inside `_new`, and only when a flag asks
 *     for it.
 *     Descriptors: none of libmfa's is ever 0, 1 or 2. A forked child never uses its parent's; it may
 *     have closed them and opened others under their numbers, so it neither writes to nor closes them
 *     either: those that it has not closed stay open in it until it ends or calls exec. Handles made
 *     before the fork work in the child, but for waiters (`MFA_ERR_FORKED`), which it can only free.
 *     Names are looked up by the system's resolver, on a thread of libmfa's that blocks all signals:
 *     one for each name, sixteen at the most in a process, the only threads that libmfa starts. Each
 *     may outlive its call by as long as the resolver takes. What that does is the system's: it may
 *     read variables (RES_OPTIONS, LOCALDOMAIN and the like) and open descriptors of its own.
 *     Threads: pthread_cancel (in its default, deferred form) acts after a call, not in it, nor in
 *     the callbacks of the call. A calling thread needs 64 KiB of stack at the most, and what its
 *     callbacks need; a build without optimisation needs more.
 *     Memory: when there is none left, the process is aborted, as Rust does. No call reports it.
 *  9. Callbacks run on the calling thread with no lock held. They may call libmfa, except to free
 *     what the call uses, and must not unwind or longjmp. Their own time does not count into rule
 *     7's bound. None is called after the call or handle that owns it has ended. A string that a
 *     callback returns is copied at once.
 * 10. Secrets (tokens, passwords, keys) are zeroed by the library when it drops its own copies, and
 *     never appear in logs or errors. So is what a server echoes of them. Inside the TLS and JSON
 *     libraries a few copies stay that nobody can zero (docs/security.md). Your own copies are yours
 *     to zero.
 *
 * Inputs. Tokens are 1-16 384 characters, each 0x21-0x7E. `base_url` is https; http only with
 * `MFA_CLIENT_ALLOW_LOOPBACK_HTTP` and only to this machine. Transaction ids are above 0. Whatever
 * is refused is refused before a byte is sent.
 */

#ifndef MFA_H
#define MFA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The library: its version and the sizes of its structs --------------------------------------- */

/**
 * The version of this header: major, minor and patch.
 */
#define MFA_VERSION_MAJOR 0

/**
 * See `MFA_VERSION_MAJOR`.
 */
#define MFA_VERSION_MINOR 1

/**
 * See `MFA_VERSION_MAJOR`.
 */
#define MFA_VERSION_PATCH 0

/**
 * Rises only when a program built against an older header would break; the SONAME's number.
 * A binding needs `mfa_abi_version()` equal to the one that it was written for.
 */
#define MFA_ABI_VERSION 1

/**
 * The version of the loaded library, for example "0.1.0". Static; never NULL. Any thread.
 */
const char *mfa_version(void);

/**
 * `MFA_ABI_VERSION` of the loaded library. Any thread.
 */
uint32_t mfa_abi_version(void);

/**
 * The size in bytes that a struct has in the loaded library, by its name ("mfa_transaction"); 0:
 * no such struct, or NULL. A binding needs at least the size that it uses. Any thread.
 */
size_t mfa_struct_size(const char *struct_name);

/* Errors -------------------------------------------------------------------------------------- */

/**
 * What a call returned. The ranges say who must act:
 *
 * - 1-99: the calling program is wrong
 * - 100-199: the network failed, or the call's deadline passed
 * - 200-299: the server's answer cannot be trusted
 * - 300-399: the credential was refused
 * - 400-499: the provider refused the request
 * - 500-599: the caller ended the call
 * - 900-999: libmfa itself failed
 *
 * Numbers are never reused, and none is an HTTP status.
 */
typedef int32_t mfa_code;

enum {
  /** The call did what it was asked.
   *  Read the answer; this code alone never means that anybody approved. */
  MFA_OK = 0,
  /** An argument has a value that is not allowed.
   *  Correct the argument that the message names; nothing was sent. */
  MFA_ERR_INVALID_ARGUMENT = 1,
  /** An argument that must not be `NULL` is `NULL`.
   *  Pass the argument that the message names; nothing was sent. */
  MFA_ERR_NULL_POINTER = 2,
  /** A struct's size is below the first release's or above 4096.
   *  Initialise the struct as the header says; in a binding this is a defect of it. Nothing was sent. */
  MFA_ERR_STRUCT_SIZE = 3,
  /** A string is not valid UTF-8.
   *  Convert the argument that the message names to UTF-8; nothing was sent. */
  MFA_ERR_INVALID_UTF8 = 4,
  /** A URL is malformed, or has a part that is not allowed.
   *  Use https://host[:port][/prefix], without user info, query or fragment; nothing was sent. */
  MFA_ERR_INVALID_URL = 5,
  /** The URL is http, which would send the token in clear.
   *  Use https; for a server on this machine set `MFA_CLIENT_ALLOW_LOOPBACK_HTTP`. */
  MFA_ERR_INSECURE_URL = 6,
  /** `ca_pem` holds no certificate, or one that cannot be used as a root.
   *  Pass one or more PEM blocks "BEGIN CERTIFICATE", each a CA's certificate. */
  MFA_ERR_INVALID_CA = 7,
  /** Another thread is driving the waiter.
   *  Let one thread at a time drive a waiter. */
  MFA_ERR_BUSY = 8,
  /** The handle belongs to the process that forked this one.
   *  Make a new one in this process. */
  MFA_ERR_FORKED = 9,
  /** The event does not end its wait, so that there is no outcome yet.
   *  Go on until the event that ends it. */
  MFA_ERR_NOT_ENDED = 10,
  /** The call's own deadline passed.
   *  Allow more time, or ask again later; `out` holds what was known last. */
  MFA_ERR_TIMEOUT = 110,
  /** The server's name could not be resolved.
   *  Check the base URL and this machine's name resolution. */
  MFA_ERR_DNS = 111,
  /** No connection could be made.
   *  Check that the server is up and reachable; `os_error` says why the last address failed. */
  MFA_ERR_CONNECT = 112,
  /** No connection was ready within `connect_timeout_ms` (name, TCP and TLS together).
   *  Check the network, a firewall perhaps, or allow more time to connect. */
  MFA_ERR_CONNECT_TIMEOUT = 113,
  /** TLS failed: the certificate is not trusted, or the handshake broke.
   *  Read the message: it tells expiry, a wrong host and an unknown issuer apart. */
  MFA_ERR_TLS = 114,
  /** The connection ended or was reset before a whole answer had arrived.
   *  Ask again, unless `MFA_ERROR_OUTCOME_UNKNOWN` is set: then the request may have been carried out. */
  MFA_ERR_CONNECTION_LOST = 115,
  /** One exchange took longer than `request_timeout_ms` while the call's deadline lay further off.
   *  Ask again, unless `MFA_ERROR_OUTCOME_UNKNOWN` is set, or raise `request_timeout_ms`. */
  MFA_ERR_REQUEST_TIMEOUT = 116,
  /** The proxy refused to connect, or gave an answer that is not HTTP.
   *  Check the proxy's address and credentials; `http_status` holds its answer. */
  MFA_ERR_PROXY = 117,
  /** The answer is not what the protocol allows: broken HTTP, not JSON, a field missing or of a wrong type.
   *  Check that `base_url` names the provider itself; nothing in the answer was believed. */
  MFA_ERR_MALFORMED_ANSWER = 210,
  /** The answer's header or body is larger, or its JSON nested deeper, than any genuine answer.
   *  Check that `base_url` names the provider itself; the connection was dropped. */
  MFA_ERR_ANSWER_TOO_LARGE = 211,
  /** The answer contradicts itself or the question, for example by naming another transaction.
   *  Treat it as no answer; report it to the provider if it goes on. */
  MFA_ERR_CONTRADICTORY_ANSWER = 212,
  /** The server answered with an HTTP status that has no meaning here, a redirect among them.
   *  See `http_status`; check `base_url` and what stands between this machine and the provider. */
  MFA_ERR_HTTP_STATUS = 213,
  /** The token has expired.
   *  Get a fresh token and ask again. */
  MFA_ERR_TOKEN_EXPIRED = 310,
  /** The server does not accept the token.
   *  Sign in again; check that the token belongs to this server. */
  MFA_ERR_TOKEN_INVALID = 311,
  /** The token is good but does not allow this call: a scope is missing.
   *  Request the scope when signing in (HyperID: mfa-client, second-factor-auth-client). */
  MFA_ERR_ACCESS_DENIED = 312,
  /** The service is temporarily unavailable.
   *  Ask again later; `retry_after_ms` says when, if the server said so. */
  MFA_ERR_UNAVAILABLE = 460,
  /** Too many requests.
   *  Ask again later; `retry_after_ms` says when, if the server said so. */
  MFA_ERR_RATE_LIMITED = 461,
  /** The provider found the request's parameters invalid.
   *  Check the request's fields against the provider's documentation; `provider_code` holds its number. */
  MFA_ERR_PROVIDER_INVALID_PARAMETERS = 462,
  /** The provider knows no such transaction for this token.
   *  Check the id, and that the token belongs to the user who was asked. */
  MFA_ERR_TRANSACTION_NOT_FOUND = 463,
  /** The provider found no device of the user to ask on.
   *  Let the user link the authenticator app again, or leave `device_id` out. */
  MFA_ERR_DEVICE_NOT_FOUND = 464,
  /** The provider knows no such template.
   *  Check `template_id`; 4 is the plain question. */
  MFA_ERR_TEMPLATE_NOT_FOUND = 465,
  /** The transaction cannot be cancelled: it has expired.
   *  Nothing is left to do; start a new one if the answer is still wanted. */
  MFA_ERR_ALREADY_EXPIRED = 466,
  /** The transaction cannot be cancelled: the person has answered already.
   *  Read the status: the answer is there and must not be dropped. */
  MFA_ERR_ALREADY_COMPLETED = 467,
  /** The transaction cannot be cancelled: it has been cancelled or declined already.
   *  Nothing is left to do. */
  MFA_ERR_ALREADY_CANCELLED = 468,
  /** The person has not linked the authenticator app, so nobody can be asked.
   *  Let the person link the app first, or use another factor; no push was sent. */
  MFA_ERR_AUTHENTICATOR_NOT_LINKED = 469,
  /** The provider refused with a number that libmfa has no name for.
   *  Look `provider_code` up in the provider's documentation. */
  MFA_ERR_PROVIDER_REFUSED = 470,
  /** The caller ended the call, with its `cancel` or from a callback.
   *  A started transaction goes on until it is cancelled or expires, unless `MFA_ERROR_WITHDRAWN` is set; `out` holds what was known last. */
  MFA_ERR_CANCELLED = 550,
  /** libmfa itself failed; this is a defect, or the system refused it a resource.
   *  Report it with the message; do not treat the call as an answer. */
  MFA_ERR_INTERNAL = 900
};

/**
 * No provider: the error arose before one was chosen.
 */
#define MFA_PROVIDER_NONE 0

/**
 * HyperID.
 */
#define MFA_PROVIDER_HYPERID 1

/**
 * Capillary.
 */
#define MFA_PROVIDER_CAPILLARY 2

/**
 * In `mfa_error.flags`: the same call may succeed later, and repeating it does no harm.
 */
#define MFA_ERROR_RETRYABLE 1

/**
 * In `mfa_error.flags`: a request that asks a person was sent, and no valid refusal came back.
 * It may have been carried out: do not repeat it blindly, or the person is asked twice. A valid
 * refusal is HyperID's own, or HTTP 400, 401, 405, 411, 413, 414, 415, 429 or 431 to a request of
 * which everything had been sent before anything came back.
 */
#define MFA_ERROR_OUTCOME_UNKNOWN 2

/**
 * In `mfa_error.flags`: the transaction was withdrawn, as the wait's options asked, and the
 * provider confirmed that it is cancelled.
 */
#define MFA_ERROR_WITHDRAWN 4

/**
 * Why a call failed. Owned by the caller, needs no free; may be NULL wherever it is taken.
 *
 * Reset at entry of each call, so `code` is 0 after success. A `struct_size` that is not allowed
 * leaves the struct untouched and the call refused with `MFA_ERR_STRUCT_SIZE`.
 */
typedef struct mfa_error {
  /**
   * `sizeof(mfa_error)`; set by `MFA_ERROR_INIT`.
   */
  uint32_t struct_size;
  /**
   * The code, as returned.
   */
  int32_t code;
  /**
   * Whose call it was: `MFA_PROVIDER_...`.
   */
  int32_t provider;
  /**
   * 1: `provider_code` holds the provider's number; 0: there is none.
   */
  int32_t has_provider_code;
  /**
   * The provider's own number: HyperID's `result`, Capillary's `status.code`.
   */
  int32_t provider_code;
  /**
   * The HTTP status of the answer that failed the call; 0: no answer arrived.
   */
  int32_t http_status;
  /**
   * Milliseconds that the server asked to wait before the next request; 0: not given.
   */
  uint32_t retry_after_ms;
  /**
   * Any of `MFA_ERROR_...`.
   */
  uint32_t flags;
  /**
   * Requests that this call began.
   */
  uint32_t attempts;
  /**
   * The system's own error number where one was the cause: errno, and on Windows Winsock's (10061 for a
   * refused connection, 11001 for a name that is not known); 0: none.
   */
  int32_t os_error;
  /**
   * What happened this time: UTF-8, NUL-terminated, cut at a character boundary, without
   * secrets. For logs and developers; programs decide by `code`.
   */
  char message[256];
} mfa_error;

/**
 * The name of a code, for example "MFA_ERR_TIMEOUT". Static; never NULL: "MFA_ERR_?" for a number
 * that this version does not know. Any thread.
 */
const char *mfa_code_name(mfa_code code);

/**
 * What a code means and what to do about it, in English. Static; never NULL. Any thread.
 */
const char *mfa_code_message(mfa_code code);

/* Cancelling ---------------------------------------------------------------------------------- */

/**
 * Ends calls before their time. Make one with `mfa_cancel_new`, name it in `mfa_call_options`,
 * trigger it from any thread. It outlives every call that it was given to, may serve many calls
 * at once, and once triggered stays so for good.
 */
typedef struct mfa_cancel mfa_cancel;

/**
 * Makes a cancel object; free it with `mfa_cancel_free`. NULL only after a defect in libmfa: without
 * memory it does not return at all (rule 8).
 */
mfa_cancel *mfa_cancel_new(void);

/**
 * Ends every call that uses `cancel`, now and later: each returns `MFA_ERR_CANCELLED` within 50 ms,
 * wherever it is (2 s where it is to withdraw the request). Any thread, any number of times; never
 * blocks, and may be called from a signal handler (it stores a flag and calls write(2)). In a forked
 * child it ends the child's calls and not its parent's. NULL does nothing.
 */
void mfa_cancel_trigger(mfa_cancel *cancel);

/**
 * Frees a cancel object. No call may still use it. NULL does nothing.
 */
void mfa_cancel_free(mfa_cancel *cancel);

/* Setting up a client ------------------------------------------------------------------------- */

/**
 * In `mfa_client_options.flags`: allow http:// to 127.0.0.0/8, [::1] and exactly "localhost".
 * For a server on this machine, such as the sandbox; the token is sent in clear.
 */
#define MFA_CLIENT_ALLOW_LOOPBACK_HTTP 1

/**
 * In `mfa_client_options.flags`: without a `proxy_url`, take the proxy from the environment, read
 * in `_new` alone: the first of `https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY` that is not
 * empty, as a `proxy_url` or as host:port. Unless `no_proxy`, or if that is empty `NO_PROXY`, names
 * the host: entries between commas, semicolons and white space, each `*`, a name or a domain above
 * (`example.com`, `.example.com`; `*.example.com` for what is below it alone), an address, any of
 * them with a port, or a block of addresses (`10.0.0.0/8`, `[fd00::]/8`). An entry that is not
 * understood is passed over. A proxy that is not UTF-8, not http or otherwise malformed is
 * `MFA_ERR_INVALID_URL`, never a direct connection. This machine's own addresses are never proxied
 * then; `HTTP_PROXY` is never looked at.
 */
#define MFA_CLIENT_PROXY_FROM_ENV 2

/**
 * Log nothing.
 */
#define MFA_LOG_OFF 0

/**
 * Log what fails a call.
 */
#define MFA_LOG_ERROR 1

/**
 * And what deserves a look: a connection in clear, a repeated request, a failure that a wait retries.
 */
#define MFA_LOG_WARN 2

/**
 * And what happens seldom: a client made.
 */
#define MFA_LOG_INFO 3

/**
 * And one line for each request: path, outcome, times, whether the connection was new.
 */
#define MFA_LOG_DEBUG 4

/**
 * Takes a log line: `level` is `MFA_LOG_...`, `message` is UTF-8 without secrets, valid during the
 * call only. Called on the thread that made the call into libmfa, with no lock held. It may call
 * libmfa, whose log lines are then left out, but must not free what the call uses, nor unwind or
 * longjmp.
 */
typedef void (*mfa_log_fn)(void *user_data, int32_t level, const char *message);

/**
 * How a client is set up. All of it is copied in `_new`. The zero of each field is its default.
 */
typedef struct mfa_client_options {
  /**
   * `sizeof(mfa_client_options)`; set by `MFA_CLIENT_OPTIONS_INIT`.
   */
  uint32_t struct_size;
  /**
   * Any of `MFA_CLIENT_...`; unknown bits are refused.
   */
  uint32_t flags;
  /**
   * https://host[:port][/prefix]; no user info, query or fragment. NULL: HyperID's production;
   * required for Capillary, which has a host for each region.
   */
  const char *base_url;
  /**
   * Milliseconds: the longest that one exchange may take, and a call that names no deadline.
   * 0: 30 000.
   */
  uint32_t request_timeout_ms;
  /**
   * Milliseconds: the longest that name, TCP and TLS of one connection, and a proxy's CONNECT, may
   * take together, over all addresses of the name; beyond it the attempt fails with
   * `MFA_ERR_CONNECT_TIMEOUT`. An address that refuses, closes, resets or garbles the connection
   * before the request is sent gives way to the next at once; one that accepts and is silent has
   * half of what is left of this time, and from then on gives way to the first other that
   * accepts. After a failure the others have two seconds to accept. A certificate that is refused
   * and a proxy's refusal end the attempt. 0: 10 000.
   */
  uint32_t connect_timeout_ms;
  /**
   * One or more certificates in PEM that are trusted in place of the built-in roots. NULL: those.
   * Each counts: one that cannot be used is refused with the number of its block
   * (`MFA_ERR_INVALID_CA`). What can be used has an RSA (2 048 to 8 192 bits), P-256 or P-384 key.
   *
   * PEM here, in `client_cert_pem` and in `client_key_pem`: blocks "-----BEGIN ...-----" to
   * "-----END ...-----" with base64 between them, with any line ends or none, indented, or glued
   * together. A certificate's label is CERTIFICATE or X509 CERTIFICATE. Text outside the blocks is
   * not ours and may be in any encoding, but what is nearly a BEGIN or END line is refused; a byte
   * order mark does no harm. Keys, parameters and certificate requests beside the certificates are
   * passed over, and blocks behind a "#". All else is refused, with its block or line: unknown
   * labels, TRUSTED CERTIFICATE, PKCS #7, revocation lists (nothing checks them), DER, a file's
   * name, a backslash and an "n" in place of a line end.
   */
  const char *ca_pem;
  /**
   * An HTTP proxy that is asked to CONNECT: http://[user[:password]@]host[:port], user and
   * password percent-encoded. NULL: none, or the environment's. Connections in clear, which stay
   * on this machine, are never proxied.
   */
  const char *proxy_url;
  /**
   * Appended to libmfa's own User-Agent: at most 256 bytes, each 0x20-0x7E. NULL: nothing.
   */
  const char *user_agent;
  /**
   * The most idle connections that are kept. 0: 64.
   */
  uint32_t max_idle_connections;
  /**
   * The most that is logged: `MFA_LOG_...`.
   */
  int32_t log_level;
  /**
   * Where it is logged. NULL: nowhere. Called until the client is freed.
   */
  mfa_log_fn log;
  /**
   * Handed to `log`, which may be called on several threads at once.
   */
  void *log_user_data;
  /**
   * The certificate in PEM, as `ca_pem` describes it, then those that lead to its root, that the
   * client shows to a server which asks for one (mutual TLS); together with `client_key_pem`, and
   * perhaps in the same file as the key. NULL: none.
   */
  const char *client_cert_pem;
  /**
   * Its private key in PEM, as `ca_pem` describes it: exactly one block PRIVATE KEY (PKCS #8), RSA
   * PRIVATE KEY (PKCS #1) or EC PRIVATE KEY (SEC 1), not encrypted. RSA of 2 048 to 4 096 bits,
   * P-256, P-384 or Ed25519. Certificates and parameters beside it are passed over.
   */
  const char *client_key_pem;
  /**
   * Headers that are sent with every request in addition to libmfa's own: lines "Name: value",
   * separated by a newline; at most 32, each value 1-16 384 characters, each 0x20-0x7E. For what
   * a provider's installation asks for beyond its documentation. A header that libmfa sends
   * itself (HyperID's Authorization among them) is refused. NULL: none.
   */
  const char *headers;
} mfa_client_options;

/* Bounding a call ----------------------------------------------------------------------------- */

/**
 * What bounds one call. NULL wherever it is taken: the defaults.
 */
typedef struct mfa_call_options {
  /**
   * `sizeof(mfa_call_options)`; set by `MFA_CALL_OPTIONS_INIT`.
   */
  uint32_t struct_size;
  /**
   * Milliseconds: the deadline of the whole call, over name resolution, connecting, TLS,
   * repeated requests and waiting. 0: the client's `request_timeout_ms`; for wait and confirm
   * 120 000. Nothing means "for ever".
   */
  uint32_t timeout_ms;
  /**
   * Ends the call when triggered; borrowed for the call. NULL: it cannot be cancelled.
   */
  mfa_cancel *cancel;
} mfa_call_options;

/* What a person decided ----------------------------------------------------------------------- */

/**
 * No answer has been read.
 */
#define MFA_DECISION_NONE 0

/**
 * The person approved. Test it with `mfa_is_approved`.
 */
#define MFA_DECISION_APPROVED 1

/**
 * The person refused.
 */
#define MFA_DECISION_DENIED 2

/**
 * The request expired before the person answered.
 */
#define MFA_DECISION_EXPIRED 3

/**
 * The request was cancelled, or declined without an answer.
 */
#define MFA_DECISION_CANCELLED 4

/**
 * The request failed (a status that the provider's documentation leaves out).
 */
#define MFA_DECISION_FAILED 5

/**
 * The person has not answered yet.
 */
#define MFA_DECISION_PENDING 6

/**
 * The server sent a status, or beside "completed" a result, that this version does not know. Not an
 * approval. A wait goes on with an unknown status, and ends with an unknown result.
 */
#define MFA_DECISION_UNKNOWN 7

/**
 * What is known of a transaction. Reset at entry of each call that fills it.
 */
typedef struct mfa_transaction {
  /**
   * `sizeof(mfa_transaction)`; set by `MFA_TRANSACTION_INIT`.
   */
  uint32_t struct_size;
  /**
   * What the person decided: `MFA_DECISION_...`. APPROVED stands only beside `MFA_OK`.
   */
  int32_t decision;
  /**
   * The transaction's id; 0: none is known. `mfa_hyperid_wait` and `mfa_hyperid_confirm` tell it
   * beside an error too, once it is known.
   */
  int64_t transaction_id;
  /**
   * The server's `transaction_status`; -1: it sent none.
   */
  int32_t raw_status;
  /**
   * The server's `transaction_complete_result`; -1: it sent none. It has meaning only beside
   * status 1, and is 0 in a pending answer too: never decide by it.
   */
  int32_t raw_complete_result;
  /**
   * How often the call asked for the state.
   */
  uint32_t polls;
  /**
   * Milliseconds since the call began.
   */
  uint32_t elapsed_ms;
} mfa_transaction;

/**
 * Whether the person approved: 1 only when `code`, as the call returned it, is `MFA_OK` and
 * `transaction`, as the same call filled it, says `MFA_DECISION_APPROVED`; else 0, also for NULL
 * or a `struct_size` that is not allowed. The only test that should open a door: `MFA_OK` alone
 * says that an answer was read, and the answer may be "no". Any thread.
 */
int32_t mfa_is_approved(mfa_code code, const mfa_transaction *transaction);

/* What to ask --------------------------------------------------------------------------------- */

/**
 * In `mfa_request.flags`: `code` may be any text, not only two digits.
 */
#define MFA_REQUEST_ANY_CODE 1

/**
 * What to ask the person (HyperID's `transaction/start/v2`). Strings are borrowed for the call;
 * each is UTF-8, not empty, and at most 32 768 bytes long.
 */
typedef struct mfa_request {
  /**
   * `sizeof(mfa_request)`; set by `MFA_REQUEST_INIT`.
   */
  uint32_t struct_size;
  /**
   * Any of `MFA_REQUEST_...`; unknown bits are refused.
   */
  uint32_t flags;
  /**
   * Which screen the app shows: 2 transaction, 3 exchange, 4 question, 15 sign message; others
   * exist, and an unknown one is refused by the server (`MFA_ERR_TEMPLATE_NOT_FOUND`). 0:
   * template 4, and `question` is required.
   */
  int32_t template_id;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * Template 4: the text shown to the person.
   */
  const char *question;
  /**
   * Any template: its parameters as a JSON object, nested at most 32 deep; together with
   * `question`: refused.
   */
  const char *values_json;
  /**
   * The control code that your program shows and the app shows too, so that the person can
   * compare them: two digits (see `mfa_control_code`). NULL: none.
   */
  const char *code;
  /**
   * Identifies the device that the person acts from. NULL: not given.
   */
  const char *device_id;
  /**
   * Describes that device to the person. NULL: not given.
   */
  const char *device_desc;
  /**
   * That device's address. NULL: not given.
   */
  const char *ip;
} mfa_request;

/* How to wait --------------------------------------------------------------------------------- */

/**
 * In `mfa_wait_options.flags`: when the cancel object or `on_update` ends the wait, withdraw the
 * transaction first: cancel it, and read its state once more, within 2 s and never past the
 * deadline. An answer to a start that is on its way is read on within the same 2 s, so that its
 * transaction can be withdrawn. A decision that is read then (approved, denied, expired) is the
 * answer, and the call returns `MFA_OK`; else it returns `MFA_ERR_CANCELLED`, with
 * `MFA_ERROR_WITHDRAWN` where the provider confirmed that the transaction is cancelled.
 */
#define MFA_WAIT_WITHDRAW_ON_CANCEL 1

/**
 * In `mfa_wait_options.flags` of `mfa_waiter_confirm` and `mfa_waiter_wait` alone: an
 * `MFA_EVENT_UPDATE` after each poll that brought no final answer.
 */
#define MFA_WAIT_REPORT_UPDATES 2

/**
 * In `mfa_wait_options.flags` of `mfa_waiter_confirm` and `mfa_waiter_wait` alone: an
 * `MFA_EVENT_TOKEN_REFUSED` each time that the server refuses the token as expired or invalid, and time
 * until the deadline for `mfa_waiter_give_token`. A token so given that is refused before it has served
 * once ends the wait, as any refused token does without this flag.
 */
#define MFA_WAIT_ASK_FOR_TOKEN 4

/**
 * Called after each poll with what is known so far, and by `mfa_hyperid_confirm` once as soon as
 * the id is known (`polls` is 0), so that a program can save the id and show the control code.
 * `so_far` is valid during the call only. Non-zero ends the wait with `MFA_ERR_CANCELLED`, unless
 * `so_far` holds the final answer already. On the calling thread, with no lock held; it may call
 * libmfa, but must not free what the call uses, nor unwind or longjmp.
 */
typedef int32_t (*mfa_update_fn)(void *user_data, const mfa_transaction *so_far);

/**
 * Called when the server refused the token as expired or invalid: returns a fresh one, which is
 * copied at once, or NULL to give up. What was refused is then sent once more with it; a start only
 * if the refusal was the provider's own and the token is another one. Called again when a token that has
 * served is refused later; one that is refused before it has served once ends the wait. Not called
 * while a transaction is being withdrawn. Rules as `mfa_update_fn`.
 */
typedef const char *(*mfa_token_fn)(void *user_data);

/**
 * How to wait. NULL wherever it is taken: the defaults.
 *
 * Polls come after `min_interval_ms` or a tenth of the time for which the call has known the id,
 * whichever is more, and up to a quarter more at random; never after more than `max_interval_ms`.
 * A server that asks for more time with Retry-After gets it after a 429, and up to three times
 * `max_interval_ms` after any other answer; one last look shortly before the deadline is taken all
 * the same.
 */
typedef struct mfa_wait_options {
  /**
   * `sizeof(mfa_wait_options)`; set by `MFA_WAIT_OPTIONS_INIT`.
   */
  uint32_t struct_size;
  /**
   * Milliseconds before the first poll. 0: `mfa_hyperid_wait` polls at once,
   * `mfa_hyperid_confirm` after `min_interval_ms`.
   */
  uint32_t first_poll_ms;
  /**
   * Milliseconds: the least time between two polls. 0: 1 000.
   */
  uint32_t min_interval_ms;
  /**
   * Milliseconds: the most. 0: 10 000, or the minimum if that is more. Below the minimum: refused.
   */
  uint32_t max_interval_ms;
  /**
   * 1: before the deadline, withdraw the transaction: cancel it, and read its state once more. The
   * last 5 s of the deadline, or its last quarter if that is less, are kept for it. A decision that
   * is read then (approved, denied, expired) is the answer; else the call returns
   * `MFA_ERR_TIMEOUT`, with `MFA_ERROR_WITHDRAWN` where the provider confirmed that the transaction
   * is cancelled.
   */
  int32_t cancel_on_timeout;
  /**
   * `MFA_WAIT_WITHDRAW_ON_CANCEL` or 0, and in a waiter `MFA_WAIT_REPORT_UPDATES` and
   * `MFA_WAIT_ASK_FOR_TOKEN`; unknown bits are refused.
   */
  uint32_t flags;
  /**
   * Sees each update. NULL: none. In a waiter: NULL.
   */
  mfa_update_fn on_update;
  /**
   * Handed to `on_update`.
   */
  void *on_update_user_data;
  /**
   * Gives a fresh token. NULL: a refused token ends the wait. In a waiter: NULL.
   */
  mfa_token_fn access_token_provider;
  /**
   * Handed to `access_token_provider`.
   */
  void *access_token_provider_user_data;
} mfa_wait_options;

/* HyperID ------------------------------------------------------------------------------------- */

/**
 * In `mfa_two_factor_types.methods`: the Authenticator app (the server's number 0).
 */
#define MFA_METHOD_APP 1

/**
 * A one-time password from an app (1).
 */
#define MFA_METHOD_TOTP 2

/**
 * A code by SMS (2).
 */
#define MFA_METHOD_SMS 4

/**
 * A code by e-mail (3).
 */
#define MFA_METHOD_EMAIL 8

/**
 * A number that this version has no name for; see `raw`.
 */
#define MFA_METHOD_OTHER 16

/**
 * A client for HyperID: opaque, safe to use from any number of threads at once.
 */
typedef struct mfa_hyperid mfa_hyperid;

/**
 * Whether the person may be asked.
 */
typedef struct mfa_availability {
  /**
   * `sizeof(mfa_availability)`; set by `MFA_AVAILABILITY_INIT`.
   */
  uint32_t struct_size;
  /**
   * 1: the person has linked the authenticator app; 0: not, or no answer was read.
   */
  int32_t available;
} mfa_availability;

/**
 * The second factors that the person has set up.
 */
typedef struct mfa_two_factor_types {
  /**
   * `sizeof(mfa_two_factor_types)`; set by `MFA_TWO_FACTOR_TYPES_INIT`.
   */
  uint32_t struct_size;
  /**
   * Any of `MFA_METHOD_...`. The names are inferred from the provider's tables; `raw` is what
   * the server said.
   */
  uint32_t methods;
  /**
   * How many the server listed; may exceed 16.
   */
  uint32_t count;
  /**
   * The server's own numbers, in its order: the first 16; -1 in the rest.
   */
  int32_t raw[16];
} mfa_two_factor_types;

/**
 * Makes a client. Nothing is sent. Free it with `mfa_hyperid_free`.
 *
 * `options`: NULL for the defaults, HyperID's production among them. `out`: set to the client, or
 * to NULL on failure. Any thread.
 *
 * Errors: `MFA_ERR_INVALID_URL`, `MFA_ERR_INSECURE_URL`, `MFA_ERR_INVALID_CA`,
 * `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER` (`out`), `MFA_ERR_STRUCT_SIZE`,
 * `MFA_ERR_INVALID_UTF8`; `MFA_ERR_INTERNAL`.
 */
mfa_code mfa_hyperid_new(const mfa_client_options *options, mfa_hyperid **out, mfa_error *err);

/**
 * Frees a client and closes its connections. No call may still use it. NULL does nothing.
 */
void mfa_hyperid_free(mfa_hyperid *client);

/**
 * Asks whether the person has linked the authenticator app and so may be asked.
 * `POST /mfa-client/availability-check`; scope `mfa-client`.
 *
 * `access_token`: 1-16 384 characters, each 0x21-0x7E. Transient failures are retried, inside the
 * deadline. Any thread.
 *
 * Errors: `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`,
 * `MFA_ERR_INVALID_UTF8`; the network's (100-199) and the answer's (200-299), each of them;
 * `MFA_ERR_TOKEN_EXPIRED`, `MFA_ERR_TOKEN_INVALID`, `MFA_ERR_ACCESS_DENIED`; `MFA_ERR_UNAVAILABLE`,
 * `MFA_ERR_RATE_LIMITED`, `MFA_ERR_PROVIDER_INVALID_PARAMETERS`, `MFA_ERR_PROVIDER_REFUSED`;
 * `MFA_ERR_CANCELLED`; `MFA_ERR_INTERNAL`.
 */
mfa_code mfa_hyperid_availability(const mfa_hyperid *client,
                                  const char *access_token,
                                  const mfa_call_options *options,
                                  mfa_availability *out,
                                  mfa_error *err);

/**
 * Asks which second factors the person has set up.
 * `POST /2fa/types/get`; scope `second-factor-auth-client`.
 *
 * `access_token`: 1-16 384 characters, each 0x21-0x7E. Transient failures are retried, inside the
 * deadline. Any thread.
 *
 * Errors: `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`,
 * `MFA_ERR_INVALID_UTF8`; the network's (100-199) and the answer's (200-299), each of them;
 * `MFA_ERR_TOKEN_EXPIRED`, `MFA_ERR_TOKEN_INVALID`, `MFA_ERR_ACCESS_DENIED`; `MFA_ERR_UNAVAILABLE`,
 * `MFA_ERR_RATE_LIMITED`, `MFA_ERR_PROVIDER_INVALID_PARAMETERS`, `MFA_ERR_PROVIDER_REFUSED`;
 * `MFA_ERR_CANCELLED`; `MFA_ERR_INTERNAL`.
 */
mfa_code mfa_hyperid_two_factor_types(const mfa_hyperid *client,
                                      const char *access_token,
                                      const mfa_call_options *options,
                                      mfa_two_factor_types *out,
                                      mfa_error *err);

/**
 * Asks the person: a push to their phone. `POST /mfa-client/transaction/start/v2`; scope
 * `mfa-client`.
 *
 * `out_transaction_id`: set to the transaction's id, above 0; to 0 on failure. Never repeated by
 * itself once a byte was sent: see `MFA_ERROR_OUTCOME_UNKNOWN`. An answer to another question, or
 * with an id that an earlier start of this client has had, is `MFA_ERR_CONTRADICTORY_ANSWER` with
 * that flag. Any thread.
 *
 * Errors: `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`,
 * `MFA_ERR_INVALID_UTF8`; the network's (100-199) and the answer's (200-299), each of them;
 * `MFA_ERR_TOKEN_EXPIRED`, `MFA_ERR_TOKEN_INVALID`, `MFA_ERR_ACCESS_DENIED`; `MFA_ERR_UNAVAILABLE`,
 * `MFA_ERR_RATE_LIMITED`, `MFA_ERR_PROVIDER_INVALID_PARAMETERS`, `MFA_ERR_DEVICE_NOT_FOUND`,
 * `MFA_ERR_TEMPLATE_NOT_FOUND`, `MFA_ERR_PROVIDER_REFUSED`;
 * `MFA_ERR_CANCELLED`; `MFA_ERR_INTERNAL`.
 */
mfa_code mfa_hyperid_start(const mfa_hyperid *client,
                           const char *access_token,
                           const mfa_request *request,
                           const mfa_call_options *options,
                           int64_t *out_transaction_id,
                           mfa_error *err);

/**
 * Reads a transaction's state once, for programs that poll in a loop of their own.
 * `POST /mfa-client/transaction/status-get`; scope `mfa-client`.
 *
 * `transaction_id`: above 0. `MFA_OK` says only that the state was read: test it with
 * `mfa_is_approved`; `MFA_DECISION_PENDING` and `MFA_DECISION_UNKNOWN` may still change. Transient
 * failures are retried, inside the deadline. Any thread.
 *
 * Errors: `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`,
 * `MFA_ERR_INVALID_UTF8`; the network's (100-199) and the answer's (200-299), each of them;
 * `MFA_ERR_TOKEN_EXPIRED`, `MFA_ERR_TOKEN_INVALID`, `MFA_ERR_ACCESS_DENIED`; `MFA_ERR_UNAVAILABLE`,
 * `MFA_ERR_RATE_LIMITED`, `MFA_ERR_PROVIDER_INVALID_PARAMETERS`,
 * `MFA_ERR_TRANSACTION_NOT_FOUND`, `MFA_ERR_PROVIDER_REFUSED`;
 * `MFA_ERR_CANCELLED`; `MFA_ERR_INTERNAL`.
 */
mfa_code mfa_hyperid_status(const mfa_hyperid *client,
                            const char *access_token,
                            int64_t transaction_id,
                            const mfa_call_options *options,
                            mfa_transaction *out,
                            mfa_error *err);

/**
 * Cancels a transaction. `POST /mfa-client/transaction/cancel`; scope `mfa-client`.
 *
 * `MFA_ERR_ALREADY_COMPLETED`: the person answered first; read the status, do not drop it. Not
 * repeated by itself. Any thread.
 *
 * Errors: `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`,
 * `MFA_ERR_INVALID_UTF8`; the network's (100-199) and the answer's (200-299), each of them;
 * `MFA_ERR_TOKEN_EXPIRED`, `MFA_ERR_TOKEN_INVALID`, `MFA_ERR_ACCESS_DENIED`; `MFA_ERR_UNAVAILABLE`,
 * `MFA_ERR_RATE_LIMITED`, `MFA_ERR_PROVIDER_INVALID_PARAMETERS`,
 * `MFA_ERR_TRANSACTION_NOT_FOUND`, `MFA_ERR_ALREADY_EXPIRED`, `MFA_ERR_ALREADY_COMPLETED`,
 * `MFA_ERR_ALREADY_CANCELLED`, `MFA_ERR_PROVIDER_REFUSED`;
 * `MFA_ERR_CANCELLED`; `MFA_ERR_INTERNAL`.
 */
mfa_code mfa_hyperid_cancel(const mfa_hyperid *client,
                            const char *access_token,
                            int64_t transaction_id,
                            const mfa_call_options *options,
                            mfa_error *err);

/**
 * Waits until the person has answered, or the request has ended otherwise.
 *
 * `MFA_OK`: `out` holds the final answer, whichever it is; test it with `mfa_is_approved`.
 * Otherwise `out` holds the id and what was known last, never an approval. `MFA_ERR_TIMEOUT`: no
 * final answer by the deadline (120 s unless `options` says otherwise); `http_status`,
 * `provider_code` and `retry_after_ms` of `err` are then those of the last poll that failed, if any.
 * `MFA_ERR_CANCELLED`: the cancel object or `on_update` ended the wait; nothing more is sent, and the
 * transaction goes on, unless `MFA_WAIT_WITHDRAW_ON_CANCEL` says otherwise. An answer that was read
 * before is returned all the same.
 *
 * Retried, so that the wait goes on: failed connections and TLS handshakes, HTTP 408, 425, 429 and
 * 5xx, "temporarily unavailable", and "not found" in the first 2 s (in `mfa_hyperid_confirm`: 5 s
 * after its start).
 * What a proxy or a sign-in page may have said in the provider's place (3xx, 403 and 404 without
 * the provider's JSON, a page where JSON should be) is retried until nothing else has come for
 * 15 s, or a quarter of the deadline if that is less. A token that stays refused, access denied,
 * "not found" otherwise, and an answer that breaks the protocol end the wait with their code.
 *
 * An approval that does not name its transaction is believed only when a second look on a
 * connection opened for it says the same. Any thread.
 *
 * Errors: `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`,
 * `MFA_ERR_INVALID_UTF8`; the network's (100-199) and the answer's (200-299), each of them;
 * `MFA_ERR_TOKEN_EXPIRED`, `MFA_ERR_TOKEN_INVALID`, `MFA_ERR_ACCESS_DENIED`; `MFA_ERR_UNAVAILABLE`,
 * `MFA_ERR_RATE_LIMITED`, `MFA_ERR_PROVIDER_INVALID_PARAMETERS`,
 * `MFA_ERR_TRANSACTION_NOT_FOUND`, `MFA_ERR_PROVIDER_REFUSED`;
 * `MFA_ERR_CANCELLED`; `MFA_ERR_INTERNAL`.
 */
mfa_code mfa_hyperid_wait(const mfa_hyperid *client,
                          const char *access_token,
                          int64_t transaction_id,
                          const mfa_wait_options *wait,
                          const mfa_call_options *options,
                          mfa_transaction *out,
                          mfa_error *err);

/**
 * The whole story in one call: whether the person may be asked, asking, and waiting for the
 * answer.
 *
 * It does what `mfa_hyperid_availability`, `mfa_hyperid_start` and `mfa_hyperid_wait` do in turn, under
 * one deadline (120 s unless `options` says otherwise). `on_update` is called first when the id is known
 * and nothing was polled yet (`polls` is 0): the moment to save it.
 * `MFA_ERR_AUTHENTICATOR_NOT_LINKED`: the person has no app, and no push was sent. With
 * `MFA_ERROR_OUTCOME_UNKNOWN` a push may be out although `out` holds no id. With any other failure and
 * an id in `out` the question stays on the phone, unless `MFA_ERROR_WITHDRAWN` is set:
 * `mfa_hyperid_wait` goes on with it, `mfa_hyperid_cancel` takes it back. Start is sent a second time in
 * one case alone: HyperID itself refused the token as expired or invalid, and `access_token_provider`
 * gives another one. Any thread.
 *
 * Errors: `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`,
 * `MFA_ERR_INVALID_UTF8`; the network's (100-199) and the answer's (200-299), each of them;
 * `MFA_ERR_TOKEN_EXPIRED`, `MFA_ERR_TOKEN_INVALID`, `MFA_ERR_ACCESS_DENIED`; `MFA_ERR_UNAVAILABLE`,
 * `MFA_ERR_RATE_LIMITED`, `MFA_ERR_PROVIDER_INVALID_PARAMETERS`,
 * `MFA_ERR_TRANSACTION_NOT_FOUND`, `MFA_ERR_DEVICE_NOT_FOUND`, `MFA_ERR_TEMPLATE_NOT_FOUND`,
 * `MFA_ERR_AUTHENTICATOR_NOT_LINKED`, `MFA_ERR_PROVIDER_REFUSED`;
 * `MFA_ERR_CANCELLED`; `MFA_ERR_INTERNAL`.
 */
mfa_code mfa_hyperid_confirm(const mfa_hyperid *client,
                             const char *access_token,
                             const mfa_request *request,
                             const mfa_wait_options *wait,
                             const mfa_call_options *options,
                             mfa_transaction *out,
                             mfa_error *err);

/**
 * Writes a control code to `out`: two digits, zero padded, from a cryptographic source, and a NUL.
 * Show it beside the question and pass it as `mfa_request.code`.
 *
 * `out_size`: bytes at `out`, at least 3. On failure `out` is "" if it has room. Any thread.
 *
 * Errors: `MFA_ERR_NULL_POINTER`, `MFA_ERR_INVALID_ARGUMENT` (too little room), `MFA_ERR_STRUCT_SIZE`
 * (`err`); `MFA_ERR_INTERNAL`.
 */
mfa_code mfa_control_code(char *out, uint32_t out_size, mfa_error *err);

/* Many waits: what happens to each ------------------------------------------------------------ */

/**
 * Nothing happened: the time has passed, or somebody called `mfa_waiter_wake`.
 */
#define MFA_EVENT_NONE 0

/**
 * The person is being asked: the transaction's id is known, and should be saved now. Once for each
 * `mfa_waiter_confirm` that comes so far.
 */
#define MFA_EVENT_STARTED 1

/**
 * The state was asked for, without a final answer. Only with `MFA_WAIT_REPORT_UPDATES`.
 */
#define MFA_EVENT_UPDATE 2

/**
 * The server refused the token, as `why` says. Only with `MFA_WAIT_ASK_FOR_TOKEN`. Nothing more is sent
 * for this ticket until `mfa_waiter_give_token`. Before `MFA_EVENT_STARTED` the id is 0.
 */
#define MFA_EVENT_TOKEN_REFUSED 3

/**
 * The wait has ended: `code` and the transaction are what the blocking call would have returned.
 * Exactly once for each ticket, and last.
 */
#define MFA_EVENT_ENDED 4

/**
 * What happened to one of many waits; `mfa_waiter_next` fills it, and resets it at entry.
 *
 * `MFA_EVENT_ENDED` alone says nothing of an answer: test it with `mfa_event_is_approved`.
 */
typedef struct mfa_event {
  /**
   * `sizeof(mfa_event)`; set by `MFA_EVENT_INIT`.
   */
  uint32_t struct_size;
  /**
   * What happened: `MFA_EVENT_...`.
   */
  int32_t kind;
  /**
   * Which wait, as `mfa_waiter_confirm` or `mfa_waiter_wait` told it; 0 beside `MFA_EVENT_NONE`.
   */
  uint64_t ticket;
  /**
   * As given with the wait; NULL beside `MFA_EVENT_NONE`.
   */
  void *user_data;
  /**
   * Beside `MFA_EVENT_ENDED`: what `mfa_hyperid_confirm` or `mfa_hyperid_wait` would have returned.
   * Beside all else: `MFA_ERR_NOT_ENDED`.
   */
  int32_t code;
  /**
   * 0.
   */
  uint32_t reserved;
} mfa_event;

/**
 * Whether the person approved: 1 only for `MFA_EVENT_ENDED` with `MFA_OK` and `MFA_DECISION_APPROVED`,
 * as one `mfa_waiter_next` filled both; else 0, also for NULL or a `struct_size` that is not allowed.
 * The only test of an event that should open a door. Any thread.
 */
int32_t mfa_event_is_approved(const mfa_event *event, const mfa_transaction *transaction);

/* Many waits: driving them -------------------------------------------------------------------- */

/**
 * In the `flags` of `mfa_waiter_cancel` and `mfa_waiter_cancel_all`: withdraw the transaction first, as
 * `MFA_WAIT_WITHDRAW_ON_CANCEL` would have it.
 */
#define MFA_CANCEL_WITHDRAW 1

/**
 * Carries any number of waits and confirms of one client, and needs no thread of its own: whoever calls
 * `mfa_waiter_next` drives them all. Opaque.
 *
 * In short: make one for a client; add people with `mfa_waiter_confirm` as they come, from any thread;
 * let one thread call `mfa_waiter_next` again and again, or call it with 0 ms whenever the descriptor of
 * `mfa_waiter_fd` is readable. Save the id when an event says `MFA_EVENT_STARTED`; when one says
 * `MFA_EVENT_ENDED`, let the person in if `mfa_event_is_approved` says so.
 *
 * All functions but `mfa_waiter_next` and `mfa_waiter_free` may be called from any thread, also while
 * another one is in `mfa_waiter_next`, and never wait. Log lines come on the thread that called. In a
 * forked child all but `mfa_waiter_free` are refused with `MFA_ERR_FORKED`.
 */
typedef struct mfa_waiter mfa_waiter;

/**
 * How a waiter works. NULL wherever it is taken: the defaults.
 */
typedef struct mfa_waiter_options {
  /**
   * `sizeof(mfa_waiter_options)`; set by `MFA_WAITER_OPTIONS_INIT`.
   */
  uint32_t struct_size;
  /**
   * 0; unknown bits are refused.
   */
  uint32_t flags;
  /**
   * The most connections that its waits have open at once; requests beyond wait their turn, starts
   * before polls. 0: 256.
   */
  uint32_t max_connections;
  /**
   * The most requests of all its waits together in a second. 0: no limit.
   */
  uint32_t max_requests_per_second;
} mfa_waiter_options;

/**
 * Makes a waiter for waits of `client`, which outlives it. Nothing is sent. Free it with
 * `mfa_waiter_free`.
 *
 * `options`: NULL for the defaults. `out`: set to the waiter, or to NULL on failure. Takes three
 * descriptors on Linux. Any thread.
 *
 * Errors: `MFA_ERR_NULL_POINTER`, `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_STRUCT_SIZE`; `MFA_ERR_INTERNAL`,
 * with `os_error` when the system has no descriptor left.
 */
mfa_code mfa_waiter_new(const mfa_hyperid *client,
                        const mfa_waiter_options *options,
                        mfa_waiter **out,
                        mfa_error *err);

/**
 * Frees a waiter and drops its waits, without an event; their transactions go on at the provider. No
 * other thread may be in one of its functions. To get each `user_data` back, call
 * `mfa_waiter_cancel_all` first, and `mfa_waiter_next` until `mfa_waiter_count` is 0. In a forked child
 * it frees what the child has and touches nothing of the parent's. NULL does nothing.
 */
void mfa_waiter_free(mfa_waiter *waiter);

/**
 * Adds a confirm, as `mfa_hyperid_confirm` would do it. Everything is copied; nothing is sent before
 * somebody calls `mfa_waiter_next`.
 *
 * `wait`: `on_update` and `access_token_provider` must be NULL; `MFA_WAIT_REPORT_UPDATES` and
 * `MFA_WAIT_ASK_FOR_TOKEN` ask for events in their place. `options`: its `cancel` must be NULL, since
 * `mfa_waiter_cancel` is there; the deadline counts from this call. `user_data` comes back with each
 * event, and is not looked at. `out_ticket`: set to the wait's ticket, above 0 and never used again by
 * this waiter, before another thread's `mfa_waiter_next` can return its first event; to 0 on failure.
 *
 * A code other than `MFA_OK` means that nothing was added and no event will come; whatever goes wrong
 * later is told by `MFA_EVENT_ENDED`. Any thread; does not wait.
 *
 * Errors: `MFA_ERR_NULL_POINTER`, `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_STRUCT_SIZE`,
 * `MFA_ERR_INVALID_UTF8`, `MFA_ERR_FORKED`; `MFA_ERR_INTERNAL`. Those of the confirm itself come in the
 * event.
 */
mfa_code mfa_waiter_confirm(mfa_waiter *waiter,
                            const char *access_token,
                            const mfa_request *request,
                            const mfa_wait_options *wait,
                            const mfa_call_options *options,
                            void *user_data,
                            uint64_t *out_ticket,
                            mfa_error *err);

/**
 * Adds a wait for a transaction that was started before (by `mfa_hyperid_start`, or by a confirm of an
 * earlier run of the program), as `mfa_hyperid_wait` would do it. `transaction_id`: above 0. Many that
 * are added together are spread over up to `min_interval_ms` rather than polled in one instant. The
 * other arguments, and when events come: `mfa_waiter_confirm`. Any thread; does not wait.
 *
 * Errors: `MFA_ERR_NULL_POINTER`, `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_STRUCT_SIZE`,
 * `MFA_ERR_INVALID_UTF8`, `MFA_ERR_FORKED`; `MFA_ERR_INTERNAL`. Those of the wait itself come in the event.
 */
mfa_code mfa_waiter_wait(mfa_waiter *waiter,
                         const char *access_token,
                         int64_t transaction_id,
                         const mfa_wait_options *wait,
                         const mfa_call_options *options,
                         void *user_data,
                         uint64_t *out_ticket,
                         mfa_error *err);

/**
 * Ends one wait: its `MFA_EVENT_ENDED` says `MFA_ERR_CANCELLED`, unless a final answer had been read, or
 * withdrawing found one. While a start is under way and is not to be withdrawn, it says
 * `MFA_ERROR_OUTCOME_UNKNOWN` too, and there is no id.
 *
 * Withdrawing needs a token that the server takes; without one the event has the id and no
 * `MFA_ERROR_WITHDRAWN`. To take back what nobody waits for, such as an earlier run's request, call
 * `mfa_waiter_wait` and then at once this function: a poll that is on its way already may go first. A second
 * cancel of a ticket may add `MFA_CANCEL_WITHDRAW`, and takes nothing away.
 *
 * `flags`: `MFA_CANCEL_WITHDRAW` or 0; unknown bits are refused. A ticket that has ended is left alone,
 * which is `MFA_OK`; a number that was never given out is refused. Any thread; does not wait.
 *
 * Errors: `MFA_ERR_NULL_POINTER`, `MFA_ERR_INVALID_ARGUMENT` (flags, ticket), `MFA_ERR_STRUCT_SIZE`
 * (`err`), `MFA_ERR_FORKED`; `MFA_ERR_INTERNAL`.
 */
mfa_code mfa_waiter_cancel(mfa_waiter *waiter, uint64_t ticket, uint32_t flags, mfa_error *err);

/**
 * Ends all waits that the waiter has now, as `mfa_waiter_cancel` would each of them. Any thread; does not
 * wait.
 *
 * Errors: `MFA_ERR_NULL_POINTER`, `MFA_ERR_INVALID_ARGUMENT` (flags), `MFA_ERR_STRUCT_SIZE`
 * (`err`), `MFA_ERR_FORKED`; `MFA_ERR_INTERNAL`.
 */
mfa_code mfa_waiter_cancel_all(mfa_waiter *waiter, uint32_t flags, mfa_error *err);

/**
 * Gives a wait another token, which is copied, in answer to `MFA_EVENT_TOKEN_REFUSED`; before one it is
 * kept for the next exchange. `access_token`: as in `mfa_waiter_confirm`, and of the same person, since
 * with another's the transaction is not found; NULL: there is none, and the wait ends with the refusal.
 * So it does when this token is refused, too.
 *
 * A ticket that has ended is left alone, which is `MFA_OK`; a number that was never given out is
 * refused. Any thread; does not wait.
 *
 * Errors: `MFA_ERR_NULL_POINTER`, `MFA_ERR_INVALID_ARGUMENT` (ticket, token), `MFA_ERR_STRUCT_SIZE`
 * (`err`), `MFA_ERR_INVALID_UTF8`, `MFA_ERR_FORKED`; `MFA_ERR_INTERNAL`.
 */
mfa_code mfa_waiter_give_token(mfa_waiter *waiter,
                               uint64_t ticket,
                               const char *access_token,
                               mfa_error *err);

/**
 * Drives all waits until something has happened to one of them, `timeout_ms` milliseconds have passed,
 * or somebody has called `mfa_waiter_wake`. 0 ms: one turn, without waiting. Nothing happens unless
 * somebody calls it, and the deadlines and cancels of the waits are kept while somebody does.
 *
 * `MFA_OK`: `out` says what happened, to which wait; `MFA_EVENT_NONE` when the time has passed or it was
 * woken. `transaction`: what is known of the wait's transaction; an approval stands there only beside
 * `MFA_EVENT_ENDED` with `MFA_OK`, so test both with `mfa_event_is_approved`. `why`: what ended the wait
 * (beside a `code` other than `MFA_OK`), or refused its token; its `code` is 0 otherwise. `why` and `err`
 * may be NULL, and must not be the same. All are reset, and checked before an event is taken, so that no
 * refused call loses one.
 *
 * For each ticket: at most one `MFA_EVENT_STARTED`, which goes ahead of other tickets' events; at most
 * one `MFA_EVENT_UPDATE` waiting, which a newer one replaces; one `MFA_EVENT_TOKEN_REFUSED` for each
 * token that has to be replaced; and exactly one `MFA_EVENT_ENDED`, last. After it the ticket and `user_data` are the caller's again.
 *
 * One thread at a time: while one is inside, another, or the log callback of the same, gets
 * `MFA_ERR_BUSY`. The code tells only of this call; what a wait met is in `out` and `why`.
 *
 * Errors: `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`, `MFA_ERR_INVALID_ARGUMENT` (`why` and `err` are
 * the same), `MFA_ERR_BUSY`, `MFA_ERR_FORKED`; `MFA_ERR_INTERNAL`.
 */
mfa_code mfa_waiter_next(mfa_waiter *waiter,
                         uint32_t timeout_ms,
                         mfa_event *out,
                         mfa_transaction *transaction,
                         mfa_error *why,
                         mfa_error *err);

/**
 * How many waits have been added whose `MFA_EVENT_ENDED` was not yet taken. 0 for NULL, and in a forked
 * child. Any thread.
 */
uint32_t mfa_waiter_count(const mfa_waiter *waiter);

/**
 * Ends the `mfa_waiter_next` under way, else the next one to begin, with `MFA_EVENT_NONE`; an event goes
 * first, and uses it up. Several count as one, and none is lost. Any thread; never blocks, and may be
 * called from a signal handler (it stores a flag and calls write(2); Windows has no such handlers). In a
 * forked child it does nothing. NULL does nothing.
 */
void mfa_waiter_wake(mfa_waiter *waiter);

/**
 * A descriptor for a loop of the program's own (poll, epoll, libuv, asyncio...): readable as long as
 * `mfa_waiter_next` with 0 ms would have something to do, and sometimes without. It keeps its number
 * until the waiter is freed. Best registered level-triggered; edge-triggered, call `mfa_waiter_next`
 * with 0 ms until `MFA_EVENT_NONE`. Never read, write or close it. -1: this system has none (then let a
 * thread call `mfa_waiter_next`), a forked child, or NULL. Any thread.
 */
intptr_t mfa_waiter_fd(const mfa_waiter *waiter);

/* Capillary ----------------------------------------------------------------------------------- */

/**
 * No answer has been read.
 */
#define MFA_REGISTRATION_NONE 0

/**
 * MFA is registered for the user.
 */
#define MFA_REGISTRATION_REGISTERED 1

/**
 * The user exists and has not registered MFA.
 */
#define MFA_REGISTRATION_NOT_REGISTERED 2

/**
 * The brand has no MFA.
 */
#define MFA_REGISTRATION_NOT_ENABLED 3

/**
 * A client for Capillary: opaque, safe to use from any number of threads at once.
 */
typedef struct mfa_capillary mfa_capillary;

/**
 * Whether MFA is registered for a user.
 */
typedef struct mfa_registration {
  /**
   * `sizeof(mfa_registration)`; set by `MFA_REGISTRATION_INIT`.
   */
  uint32_t struct_size;
  /**
   * `MFA_REGISTRATION_...`. NONE beside any code other than `MFA_OK`.
   */
  int32_t state;
  /**
   * The server's `status.code`; -1: no answer was read.
   */
  int32_t raw_code;
  /**
   * The answer's HTTP status; 0: no answer was read.
   */
  int32_t http_status;
} mfa_registration;

/**
 * Makes a client. Nothing is sent. Free it with `mfa_capillary_free`.
 *
 * `options`: `base_url` is required, because each region has a host of its own. `out`: set to the client,
 * or to NULL on failure. Any thread.
 *
 * Errors: `MFA_ERR_INVALID_URL`, `MFA_ERR_INSECURE_URL`, `MFA_ERR_INVALID_CA`,
 * `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER` (`out`),
 * `MFA_ERR_STRUCT_SIZE`, `MFA_ERR_INVALID_UTF8`; `MFA_ERR_INTERNAL`.
 */
mfa_code mfa_capillary_new(const mfa_client_options *options, mfa_capillary **out, mfa_error *err);

/**
 * Frees a client and closes its connections. No call may still use it. NULL does nothing.
 */
void mfa_capillary_free(mfa_capillary *client);

/**
 * Asks whether MFA is registered for the user whom `authorized_token` belongs to.
 * `POST /auth/v1/mfa/token/isMfaRegistered`.
 *
 * `brand`, `device_id`: as in the user's sign-in, 1-1024 bytes. `authorized_token`: 1-16 384
 * characters, each 0x21-0x7E. That MFA is not registered, or that the brand has none, are answers,
 * not errors. An HTTP 404 without Capillary's envelope is a wrong address (`MFA_ERR_HTTP_STATUS`),
 * not "not registered". Transient failures are retried, inside the deadline. Any thread.
 *
 * Errors: `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`,
 * `MFA_ERR_INVALID_UTF8`; the network's (100-199) and the answer's (200-299), each of them;
 * `MFA_ERR_TOKEN_EXPIRED`, `MFA_ERR_TOKEN_INVALID`, `MFA_ERR_ACCESS_DENIED`; `MFA_ERR_UNAVAILABLE`,
 * `MFA_ERR_RATE_LIMITED`, `MFA_ERR_PROVIDER_REFUSED` with the provider's number; `MFA_ERR_CANCELLED`;
 * `MFA_ERR_INTERNAL`.
 */
mfa_code mfa_capillary_is_mfa_registered(const mfa_capillary *client,
                                         const char *brand,
                                         const char *device_id,
                                         const char *authorized_token,
                                         const mfa_call_options *options,
                                         mfa_registration *out,
                                         mfa_error *err);

#ifdef __cplusplus
}
#endif

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

#endif /* MFA_H */
