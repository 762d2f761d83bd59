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
 *  4. Structs begin with `struct_size`. Initialise each with its `MFA_..._INIT` macro; all-zero
 *     bytes plus `struct_size = sizeof(...)` are equivalent, and the zero of every input field
 *     means its default. From another language: zero it, then set `struct_size`. Sizes below the first release's or above 4096 are refused
 *     (`MFA_ERR_STRUCT_SIZE`), as are unknown flags, unknown enumerators, and a non-zero byte in
 *     a field that the loaded library is too old to know (`MFA_ERR_INVALID_ARGUMENT`).
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
 *     never appear in logs or errors. So is what a server echoes of them. Inside
 *     the TLS and JSON libraries a few copies stay that nobody can zero (docs/security.md). Your own copies are yours to zero.
 *
 * Inputs. Tokens are 1-16 384 characters, each 0x21-0x7E. `base_url` is https; http only with
 * `MFA_CLIENT_ALLOW_LOOPBACK_HTTP` and only to this machine. Transaction ids are above 0. Whatever
 * is refused is refused before a byte is sent.
 */
