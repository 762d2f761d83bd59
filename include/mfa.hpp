/**
 * @file mfa.hpp
 * libmfa for C++17: ask a person for a second factor, and trust the answer.
 *
 *     auto client = mfa::hyperid::create().value();
 *     if (mfa::is_approved(client.confirm(token, "Sign in?"))) grant();
 *
 * A thin layer over <mfa.h>, whose rules hold here too: handles that free themselves, callables,
 * `std::chrono`, and one result type. It is header-only; link libmfa. Every name is in `mfa`; those
 * in `mfa::detail` are not for you.
 *
 *  - Answers. A call that returned says `ok()`, and the answer may still be "no". Grant on
 *    `mfa::is_approved(result)` or `transaction::approved()` and on nothing else. Neither a result
 *    nor an answer has a truth value: `if (client.confirm(...))` does not compile.
 *  - Errors. Each fallible call returns a `result`. Its `value()` throws `mfa::exception`; without
 *    exceptions (`-fno-exceptions`) it prints the error and aborts. `ok()`, `code()` and `error()`
 *    never throw. The codes are those of <mfa.h>: `MFA_ERR_TIMEOUT` and so on.
 *  - Strings are UTF-8. One with a NUL byte in it is refused (`MFA_ERR_INVALID_ARGUMENT`), because C
 *    would cut it there, and so is a null pointer as a parameter (`MFA_ERR_NULL_POINTER`). A parameter
 *    is borrowed for the call. An option owns its text, so that it may be put together on the spot:
 *    `request.question = "Pay " + amount + "?"`.
 *  - Times are `std::chrono::milliseconds`. Leave one out for its default. One that is negative, or
 *    above 2^32-1, is refused; so is 0, which C would take for "the default", where it is no time.
 *  - Callables run on the thread that made the call, with no lock held. They may use libmfa, but not
 *    destroy what the call uses. An exception in one never crosses C.
 *  - Many at once. `hyperid::confirm` takes a thread for each person who looks at their phone; a
 *    `waiter` needs one for all of them, or a place in the loop that a program has already.
 *  - Threads. A client may be used by any number of threads at once, a waiter too but for `next`; to
 *    move or to destroy one, or to change an options struct, is a matter for one. What was moved from
 *    refuses its calls (`MFA_ERR_NULL_POINTER`).
 *  - Memory. Copies that this layer makes of access tokens are wiped; yours are yours. Without
 *    memory, this layer throws `std::bad_alloc` as anywhere else in C++; libmfa under it aborts the
 *    process (rule 8).
 *
 * Files with and without exceptions may be linked into one program, but may not pass each other
 * these types: the linker says so.
 */
#ifndef MFA_HPP
#define MFA_HPP

#if !defined(__cplusplus)
#error "mfa.hpp is for C++; in C, include mfa.h"
#elif (defined(_MSVC_LANG) ? _MSVC_LANG : __cplusplus) < 201703L
#error "mfa.hpp needs C++17 or newer: compile with -std=c++17 (MSVC: /std:c++17), or include mfa.h"
#else

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>
#if __has_include(<version>)
#include <version>
#endif
#ifdef __cpp_lib_jthread
#include <stop_token>
#endif

#include <mfa.h>

/* Private to this file, and undefined at its end. */
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define MFA_HPP_EXCEPTIONS 1
#else
#define MFA_HPP_EXCEPTIONS 0
#endif

namespace mfa {
#if MFA_HPP_EXCEPTIONS
inline namespace with_exceptions {
#else
inline namespace without_exceptions {
#endif

/* The library --------------------------------------------------------------------------------- */

/// The version of the loaded library, for example "0.1.0".
[[nodiscard]] inline std::string version() { return mfa_version(); }

/// `MFA_ABI_VERSION` of the loaded library. `create` refuses to go on with another than this
/// header's.
[[nodiscard]] inline std::uint32_t abi_version() noexcept { return mfa_abi_version(); }

/// The name of a code: "MFA_ERR_TIMEOUT"; "MFA_ERR_?" for one that the library does not know.
[[nodiscard]] inline std::string code_name(mfa_code code) { return mfa_code_name(code); }

/// What a code means and what to do about it, in English.
[[nodiscard]] inline std::string code_message(mfa_code code) { return mfa_code_message(code); }

/// The same as `code_name`; named in full, `mfa::to_string(code)`, since a code is a number to the compiler. A template,
/// so that it never stands in the way of `std::to_string` of a number.
template <class Code, std::enable_if_t<std::is_same_v<Code, mfa_code>, int> = 0>
[[nodiscard]] std::string to_string(Code code)
{
    return code_name(code);
}

namespace detail {

/// The name of an enumerator, or its type's and its number for one of a newer library.
template <class Enum, std::size_t Count>
std::string name_of(Enum value, const std::pair<Enum, const char*> (&names)[Count], const char* type)
{
    for (const auto& [known, name] : names) {
        if (known == value) {
            return name;
        }
    }
    return std::string(type) + ' ' + std::to_string(static_cast<std::underlying_type_t<Enum>>(value));
}

} // namespace detail

/* What is known of a transaction --------------------------------------------------------------- */

/// What a person decided. A newer library may have values that are not listed; none is an approval.
enum class decision : std::int32_t {
    none = MFA_DECISION_NONE,           ///< No answer has been read.
    approved = MFA_DECISION_APPROVED,   ///< The person approved. Test it with `is_approved`.
    denied = MFA_DECISION_DENIED,       ///< The person refused.
    expired = MFA_DECISION_EXPIRED,     ///< The request expired before the person answered.
    cancelled = MFA_DECISION_CANCELLED, ///< It was cancelled, or declined without an answer.
    failed = MFA_DECISION_FAILED,       ///< It failed.
    pending = MFA_DECISION_PENDING,     ///< The person has not answered yet.
    unknown = MFA_DECISION_UNKNOWN      ///< A state that this version does not know.
};

/// Its name, for logs and screens: "approved"; "decision 99" for one of a newer library. Grant on `is_approved`.
[[nodiscard]] inline std::string to_string(decision value)
{
    constexpr std::pair<decision, const char*> names[] = {
        {decision::none, "none"},
        {decision::approved, "approved"},
        {decision::denied, "denied"},
        {decision::expired, "expired"},
        {decision::cancelled, "cancelled"},
        {decision::failed, "failed"},
        {decision::pending, "pending"},
        {decision::unknown, "unknown"},
    };
    return detail::name_of(value, names, "decision");
}

/// What was known of a transaction at one moment: for progress, and beside an error. It cannot say
/// that the person approved; only a `transaction` can.
class snapshot {
public:
    /// From C's struct.
    explicit snapshot(const mfa_transaction& native) noexcept : native_(native) {}

    /// The transaction's id, above 0; 0: none is known.
    [[nodiscard]] std::int64_t id() const noexcept { return native_.transaction_id; }
    /// What the person decided, so far.
    [[nodiscard]] mfa::decision decision() const noexcept { return mfa::decision(native_.decision); }
    /// The server's `transaction_status`; -1: it sent none.
    [[nodiscard]] std::int32_t raw_status() const noexcept { return native_.raw_status; }
    /// The server's `transaction_complete_result`; -1: it sent none. Never decide by it.
    [[nodiscard]] std::int32_t raw_complete_result() const noexcept { return native_.raw_complete_result; }
    /// How often the call asked for the state.
    [[nodiscard]] std::uint32_t polls() const noexcept { return native_.polls; }
    /// The time since the call began.
    [[nodiscard]] std::chrono::milliseconds elapsed() const noexcept
    {
        return std::chrono::milliseconds(native_.elapsed_ms);
    }
    /// C's struct.
    [[nodiscard]] const mfa_transaction& native() const& noexcept { return native_; }
    [[nodiscard]] mfa_transaction native() && noexcept { return native_; }

private:
    mfa_transaction native_;
};

/// A transaction as a call read it. It may say "no", or nothing yet.
class transaction : public snapshot {
public:
    /// From C: what the call returned, and the struct that the same call filled.
    transaction(mfa_code code, const mfa_transaction& native) noexcept : snapshot(native), code_(code) {}

    /// Whether the person approved: `mfa_is_approved` of the call's code and answer. The only test
    /// that should open a door.
    [[nodiscard]] bool approved() const noexcept { return mfa_is_approved(code_, &native()) == 1; }

private:
    mfa_code code_;
};

/* Errors and results --------------------------------------------------------------------------- */

/// Whose call it was.
enum class provider : std::int32_t {
    none = MFA_PROVIDER_NONE,          ///< Nobody's, or it is not known yet.
    hyperid = MFA_PROVIDER_HYPERID,    ///< HyperID.
    capillary = MFA_PROVIDER_CAPILLARY ///< Capillary.
};

/// Its name: that of the enumerator.
[[nodiscard]] inline std::string to_string(provider value)
{
    constexpr std::pair<provider, const char*> names[] = {
        {provider::none, "none"},
        {provider::hyperid, "hyperid"},
        {provider::capillary, "capillary"},
    };
    return detail::name_of(value, names, "provider");
}

/// Why a call failed. A value; holds no secrets.
class error {
public:
    /// No error: the code is `MFA_OK`.
    error() noexcept : native_() { native_.struct_size = sizeof native_; }
    /// From C's struct, with what was known of the transaction.
    explicit error(const mfa_error& native, std::optional<snapshot> last_known = std::nullopt) noexcept
        : native_(native), last_known_(last_known)
    {
    }

    /// The code: `MFA_ERR_...`. Programs decide by it.
    [[nodiscard]] mfa_code code() const noexcept { return native_.code; }
    /// The code's name: "MFA_ERR_TIMEOUT".
    [[nodiscard]] std::string name() const { return code_name(code()); }
    /// What happened this time, for logs and developers.
    [[nodiscard]] std::string message() const { return native_.message; }
    /// What the code means and what to do about it, with C's names: its `out` is `last_known()`, and a flag is
    /// `retryable()`, `outcome_unknown()` or `withdrawn()`.
    [[nodiscard]] std::string advice() const { return code_message(code()); }
    /// Whose call it was.
    [[nodiscard]] mfa::provider provider() const noexcept { return mfa::provider(native_.provider); }
    /// The provider's own number, if it gave one.
    [[nodiscard]] std::optional<std::int32_t> provider_code() const noexcept
    {
        return native_.has_provider_code != 0 ? std::optional(native_.provider_code) : std::nullopt;
    }
    /// The HTTP status of the answer that failed the call, if one arrived.
    [[nodiscard]] std::optional<std::int32_t> http_status() const noexcept
    {
        return native_.http_status != 0 ? std::optional(native_.http_status) : std::nullopt;
    }
    /// How long the server asked to wait before the next request, if it did.
    [[nodiscard]] std::optional<std::chrono::milliseconds> retry_after() const noexcept
    {
        const std::chrono::milliseconds asked(native_.retry_after_ms);
        return asked.count() != 0 ? std::optional(asked) : std::nullopt;
    }
    /// The same call may succeed later, and repeating it does no harm.
    [[nodiscard]] bool retryable() const noexcept { return (native_.flags & MFA_ERROR_RETRYABLE) != 0; }
    /// A request that asks a person may have been carried out: do not repeat it blindly, or the
    /// person is asked twice.
    [[nodiscard]] bool outcome_unknown() const noexcept
    {
        return (native_.flags & MFA_ERROR_OUTCOME_UNKNOWN) != 0;
    }
    /// The transaction was withdrawn, as `wait_options` asked, and the provider confirmed it.
    [[nodiscard]] bool withdrawn() const noexcept { return (native_.flags & MFA_ERROR_WITHDRAWN) != 0; }
    /// Requests that the call began.
    [[nodiscard]] std::uint32_t attempts() const noexcept { return native_.attempts; }
    /// The system's error number (errno), where one was the cause.
    [[nodiscard]] std::optional<std::int32_t> os_error() const noexcept
    {
        return native_.os_error != 0 ? std::optional(native_.os_error) : std::nullopt;
    }
    /// What was known of the transaction when `wait` or `confirm` failed: its id, for asking later or
    /// for cancelling it, and its last state. Nothing if no id was known.
    [[nodiscard]] const std::optional<snapshot>& last_known() const& noexcept { return last_known_; }
    [[nodiscard]] std::optional<snapshot> last_known() && noexcept { return last_known_; }
    /// C's struct.
    [[nodiscard]] const mfa_error& native() const& noexcept { return native_; }
    [[nodiscard]] mfa_error native() && noexcept { return native_; }

private:
    mfa_error native_;
    std::optional<snapshot> last_known_;
};

#if MFA_HPP_EXCEPTIONS
/// What `result::value()` throws. `what()` is the code's name and the message.
class exception : public std::runtime_error {
public:
    /// Of an error; a program's own will do.
    explicit exception(const mfa::error& error)
        : std::runtime_error(error.name() + ": " + error.message()), error_(error)
    {
    }

    /// All that is known of the failure.
    [[nodiscard]] const mfa::error& error() const noexcept { return error_; }

private:
    mfa::error error_;
};
#endif

namespace detail {

[[noreturn]] inline void no_value(const mfa::error& error)
{
#if MFA_HPP_EXCEPTIONS
    throw mfa::exception(error);
#else
    std::fprintf(stderr, "mfa::result has no value: %s: %s\n", mfa_code_name(error.code()),
                 error.native().message);
    std::abort();
#endif
}

} // namespace detail

/// What a call returned: a value, or the error that stands in its place. That there is a value says
/// that an answer was read, not that anybody approved; it has no truth value for that reason.
template <class T>
class [[nodiscard]] result {
public:
    /// From a value, or from the error in its place: `return error;` in a function of the program's own.
    result(T value) noexcept : value_(std::move(value)) {}
    result(const mfa::error& error) noexcept : error_(error) {}

    /// Whether there is a value. The answer in it may be "no".
    [[nodiscard]] bool ok() const noexcept { return value_.has_value(); }
    /// `MFA_OK` or the error's code.
    [[nodiscard]] mfa_code code() const noexcept { return error_.code(); }
    /// The error; one whose code is `MFA_OK` if there is none.
    [[nodiscard]] const mfa::error& error() const& noexcept { return error_; }
    [[nodiscard]] mfa::error error() && noexcept { return error_; }

    /// The value. If there is none: throws `mfa::exception`, or aborts without exceptions. Use
    /// `std::move(result).value()` for what can only be moved.
    [[nodiscard]] const T& value() const&
    {
        check();
        return *value_;
    }
    [[nodiscard]] T& value() &
    {
        check();
        return *value_;
    }
    [[nodiscard]] T value() &&
    {
        check();
        return std::move(*value_);
    }

private:
    void check() const
    {
        if (!value_) {
            detail::no_value(error_);
        }
    }

    mfa::error error_;
    std::optional<T> value_;
};

/// The value of a call that has nothing to say but that it was done.
struct done {};

/// Whether the call succeeded and the person approved. The only test that should open a door.
[[nodiscard]] inline bool is_approved(const result<transaction>& answer) noexcept
{
    return answer.ok() && answer.value().approved();
}

/// How one of a waiter's waits ended. The answer in it may be "no"; it has no truth value.
class ended {
public:
    /// From C: an event, and what the same `mfa_waiter_next` filled beside it.
    ended(const mfa_event& event, const mfa_transaction& transaction, const mfa_error& why)
        : ticket_(event.ticket), is_approved_(mfa_event_is_approved(&event, &transaction) == 1),
          answer_(read(event, transaction, why))
    {
    }

    /// Which wait: what `waiter::confirm` or `waiter::wait` returned.
    [[nodiscard]] std::uint64_t ticket() const noexcept { return ticket_; }
    /// Whether the person approved: `mfa_event_is_approved`. The only test that should open a door.
    [[nodiscard]] bool approved() const noexcept { return is_approved_; }
    /// What `hyperid::confirm` or `hyperid::wait` would have returned.
    [[nodiscard]] const result<transaction>& answer() const& noexcept { return answer_; }
    [[nodiscard]] result<transaction> answer() && noexcept { return answer_; }

private:
    static result<transaction> read(const mfa_event& event, const mfa_transaction& native, mfa_error why)
    {
        why.code = event.kind == MFA_EVENT_ENDED ? event.code : MFA_ERR_NOT_ENDED;
        if (why.code == MFA_OK) {
            return transaction(MFA_OK, native);
        }
        const bool known = native.transaction_id > 0;
        return error(why, known ? std::optional(snapshot(native)) : std::nullopt);
    }

    std::uint64_t ticket_;
    bool is_approved_;
    result<transaction> answer_;
};

/// Whether the wait ended with the person's approval. The only test that should open a door.
[[nodiscard]] inline bool is_approved(const ended& end) noexcept { return end.approved(); }

/// A control code: two random digits. Show it beside the question and pass it as `request::code`.
[[nodiscard]] inline result<std::string> control_code()
{
    char digits[3] = {};
    mfa_error err = MFA_ERROR_INIT;
    if (mfa_control_code(digits, sizeof digits, &err) != MFA_OK) {
        return mfa::error(err);
    }
    return std::string(digits);
}

/* Cancelling ----------------------------------------------------------------------------------- */

/// Ends calls before their time. A shared handle: copies are the same object, which lives as long
/// as the last of them; moving copies. Put it into `call_options`, and trigger it from any thread.
class cancel {
public:
    /// A new object. Should a defect in libmfa keep it from making one, each call that it is given to is
    /// refused; without memory, libmfa aborts the process.
    cancel() : native_(mfa_cancel_new(), &mfa_cancel_free) {}
    cancel(const cancel&) = default;
    cancel& operator=(const cancel&) = default;
    ~cancel() = default;

#ifdef __cpp_lib_jthread
    /// One that is triggered when a stop is requested (C++20): `options.cancel = stop_token`.
    cancel(std::stop_token stop)
    {
        struct linked {
            explicit linked(std::stop_token stop) : callback(std::move(stop), trigger_it{own}) {}
            struct trigger_it {
                const cancel& own;
                void operator()() const noexcept { own.trigger(); }
            };
            cancel own;
            std::stop_callback<trigger_it> callback;
        };
        auto both = std::make_shared<linked>(std::move(stop));
        native_ = std::shared_ptr<mfa_cancel>(both, both->own.native());
    }
#endif

    /// Ends every call that uses it, now and later, each with `MFA_ERR_CANCELLED`. Any thread, any
    /// number of times; never blocks; may be called from a signal handler. There is no way back.
    void trigger() const noexcept { mfa_cancel_trigger(native_.get()); }
    /// C's handle, for as long as this lives.
    [[nodiscard]] mfa_cancel* native() const noexcept { return native_.get(); }

private:
    std::shared_ptr<mfa_cancel> native_;
};

/* Options -------------------------------------------------------------------------------------- */

/// How much is logged.
enum class log_level : std::int32_t {
    off = MFA_LOG_OFF,     ///< Nothing.
    error = MFA_LOG_ERROR, ///< What fails a call.
    warn = MFA_LOG_WARN,   ///< And what deserves a look.
    info = MFA_LOG_INFO,   ///< And what happens seldom.
    debug = MFA_LOG_DEBUG  ///< And one line for each request.
};

/// Its name: that of the enumerator.
[[nodiscard]] inline std::string to_string(log_level value)
{
    constexpr std::pair<log_level, const char*> names[] = {
        {log_level::off, "off"},
        {log_level::error, "error"},
        {log_level::warn, "warn"},
        {log_level::info, "info"},
        {log_level::debug, "debug"},
    };
    return detail::name_of(value, names, "log_level");
}

/// Takes a log line, which is valid during the call only. It may be called on several threads at
/// once. It may use libmfa, whose log lines are then left out. What it throws is dropped: a log line
/// must not change an answer.
using log_callback = std::function<void(log_level level, std::string_view message)>;

/// How a client is set up. `create` copies all of it.
struct client_options {
    /// https://host[:port][/prefix]. Default: HyperID's production; required for Capillary.
    std::optional<std::string> base_url = std::nullopt;
    /// The longest that one exchange may take, and a call that names no deadline. Default: 30 s.
    std::optional<std::chrono::milliseconds> request_timeout = std::nullopt;
    /// The longest that name, TCP and TLS of one connection may take together. Default: 10 s.
    std::optional<std::chrono::milliseconds> connect_timeout = std::nullopt;
    /// PEM certificates that are trusted in place of the built-in roots.
    std::optional<std::string> ca_pem = std::nullopt;
    /// An HTTP proxy that is asked to CONNECT: http://[user[:password]@]host[:port].
    std::optional<std::string> proxy_url = std::nullopt;
    /// Appended to libmfa's own User-Agent.
    std::optional<std::string> user_agent = std::nullopt;
    /// The most idle connections that are kept; above 0. Default: 64.
    std::optional<std::uint32_t> max_idle_connections = std::nullopt;
    /// The client's certificate and those that lead to its root, in PEM (mutual TLS).
    std::optional<std::string> client_cert_pem = std::nullopt;
    /// Its private key in PEM.
    std::optional<std::string> client_key_pem = std::nullopt;
    /// Sent with every request in addition to libmfa's own: lines "Name: value", separated by "\n".
    std::optional<std::string> headers = std::nullopt;
    /// Allow http:// to this machine, for the sandbox; the token is sent in clear.
    bool allow_loopback_http = false;
    /// Without a `proxy_url`, take the proxy from the environment.
    bool proxy_from_env = false;
    /// The most that is logged.
    mfa::log_level log_level = mfa::log_level::off;
    /// Where it is logged. It lives as long as the client.
    log_callback log = nullptr;
};

/// What bounds one call.
struct call_options {
    /// The deadline of the whole call. Default: the client's `request_timeout`; 120 s for `wait` and
    /// `confirm`.
    std::optional<std::chrono::milliseconds> timeout = std::nullopt;
    /// Ends the call when triggered; the call keeps a copy. In C++20 a `std::stop_token` will do.
    std::optional<mfa::cancel> cancel = std::nullopt;
};

/// What to ask the person. Each text is UTF-8 and not empty.
struct request {
    /// The text shown to the person (template 4).
    std::optional<std::string> question = std::nullopt;
    /// Any template's parameters as a JSON object, in place of `question`.
    std::optional<std::string> values_json = std::nullopt;
    /// Which screen the app shows. Default: 4, a question.
    std::optional<std::int32_t> template_id = std::nullopt;
    /// The control code that your program shows and the app shows too; see `control_code()`.
    std::optional<std::string> code = std::nullopt;
    /// `code` may be any text, not only two digits.
    bool any_code = false;
    /// Identifies the device that the person acts from.
    std::optional<std::string> device_id = std::nullopt;
    /// Describes that device to the person.
    std::optional<std::string> device_desc = std::nullopt;
    /// That device's address.
    std::optional<std::string> ip = std::nullopt;
};

/// What an `update_callback` wants.
enum class waiting : std::int32_t {
    go_on = 0, ///< The wait goes on.
    stop = 1   ///< Ends the wait with `MFA_ERR_CANCELLED`, unless the final answer is there already.
};

/// Called with what is known: after each poll, also the one that brings the final answer, and by `confirm` once as
/// soon as the id is known (`polls()` is 0), so that a program can save the id. It returns `waiting`, or nothing: then the wait goes
/// on. What it throws ends the wait, and is thrown by the call that waits, also in place of a final answer.
class update_callback : public std::function<waiting(const snapshot& so_far)> {
    using looks_and_says = std::function<waiting(const snapshot& so_far)>;
    using only_looks = std::function<void(const snapshot& so_far)>;
    template <class Callable>
    using answer = std::invoke_result_t<std::decay_t<Callable>&, const snapshot&>;
    /// Copying is copying: wrapped once more, one that is empty would not be.
    template <class Callable, class Answer>
    using if_answers = std::enable_if_t<!std::is_base_of_v<update_callback, std::decay_t<Callable>> &&
                                            std::is_same_v<answer<Callable>, Answer>,
                                        Answer>;
    template <class Callable, class = void>
    struct fits : std::is_same<Callable, update_callback> {};
    template <class Callable>
    struct fits<Callable, std::void_t<answer<Callable>>>
        : std::disjunction<std::is_base_of<update_callback, Callable>, std::is_same<answer<Callable>, waiting>,
                           std::is_void<answer<Callable>>> {};

public:
    /// None.
    update_callback(std::nullptr_t = nullptr) noexcept {}
    /// One that says whether to go on.
    template <class Callable, class = if_answers<Callable, waiting>>
    update_callback(Callable&& callable) : looks_and_says(std::forward<Callable>(callable))
    {
    }
    /// One that returns nothing: the wait goes on.
    template <class Callable, class = if_answers<Callable, void>, class = void>
    update_callback(Callable&& callable) : update_callback(going_on(only_looks(std::forward<Callable>(callable))))
    {
    }
    // Here for what the compiler says then.
    template <class Callable, std::enable_if_t<!fits<std::decay_t<Callable>>::value, int> = 0>
    update_callback(Callable&& must_take_a_snapshot_and_return_waiting_or_nothing) = delete;

private:
    static update_callback going_on(only_looks look)
    {
        if (!look) {
            return nullptr;
        }
        return [look = std::move(look)](const snapshot& so_far) {
            look(so_far);
            return waiting::go_on;
        };
    }
};

/// Gives a fresh access token, of the same person, after the server refused the one in use; nothing: give
/// up. A fresh one that is refused, too, ends the wait. What it throws ends the wait, and is thrown by
/// the call that waits.
using token_callback = std::function<std::optional<std::string>()>;

/// How to wait.
struct wait_options {
    /// The time before the first poll; 0: at once. Default: `wait` polls at once, `confirm` after
    /// `min_interval`.
    std::optional<std::chrono::milliseconds> first_poll = std::nullopt;
    /// The least time between two polls. Default: 1 s.
    std::optional<std::chrono::milliseconds> min_interval = std::nullopt;
    /// The most; in between, polls come after a tenth of the time for which the call has known the id.
    /// Default: 10 s, or the minimum if that is more.
    std::optional<std::chrono::milliseconds> max_interval = std::nullopt;
    /// Before the deadline, withdraw the transaction: cancel it, and read its state once more. A
    /// decision that is read then is the answer; else the code is `MFA_ERR_TIMEOUT`, and
    /// `error().withdrawn()` says whether the provider confirmed it.
    bool cancel_on_timeout = false;
    /// When the cancel object or `on_update` ends the wait, withdraw the transaction first, within 2 s.
    /// A decision that is read then is the answer; else the code is `MFA_ERR_CANCELLED`, and
    /// `error().withdrawn()` says whether the provider confirmed it.
    bool withdraw_on_cancel = false;
    /// What to call with what is known so far.
    update_callback on_update = nullptr;
    /// What to call for a fresh token when the server refused the one in use. None: the wait ends then.
    token_callback access_token_provider = nullptr;
};

/// What a waiter calls for one wait, all of it from within `waiter::next`. Each is told the ticket, which
/// the call that added the wait may not have returned yet. What one throws is thrown by `next`; the
/// other waits are none the worse for it, and this one goes on unless it has ended.
struct wait_callbacks {
    /// The person is being asked: the id is known, and should be saved now. Once for each
    /// `waiter::confirm` that comes so far.
    std::function<void(std::uint64_t ticket, const snapshot& so_far)> on_started = nullptr;
    /// The state was asked for, without a final answer.
    std::function<void(std::uint64_t ticket, const snapshot& so_far)> on_update = nullptr;
    /// The server refused the access token. Nothing more is sent for this wait until `give_token` or
    /// `give_up`, here or later. Without this callable a refused token ends the wait.
    std::function<void(std::uint64_t ticket, const snapshot& so_far, const error& refusal)> on_token_refused =
        nullptr;
    /// The wait has ended; none of its callables is called again. Required. Grant on
    /// `mfa::is_approved(end)` and on nothing else.
    std::function<void(const ended& end)> on_ended = nullptr;
};

/// How a waiter works.
struct waiter_options {
    /// The most connections that its waits have open at once; above 0. Requests beyond wait their
    /// turn. Default: 256.
    std::optional<std::uint32_t> max_connections = std::nullopt;
    /// The most requests of all its waits together in a second; above 0. Default: no limit.
    std::optional<std::uint32_t> max_requests_per_second = std::nullopt;
};

/// What `waiter::cancel` does with the transaction.
enum class cancelling : std::uint32_t {
    leave = 0,                     ///< It stays on the person's phone; `wait` goes on with it later.
    withdraw = MFA_CANCEL_WITHDRAW ///< It is cancelled first, within 2 s. A decision read then counts.
};

/* Text ----------------------------------------------------------------------------------------- */

namespace detail {

/// Any kind of text, and neither a request nor what is in braces.
template <class Text>
using if_text = std::enable_if_t<std::is_convertible_v<const Text&, std::string_view>, int>;

/// Nothing for a null pointer, which is no text.
template <class Text>
std::optional<std::string_view> view_of(const Text& text)
{
    if constexpr (std::is_pointer_v<Text>) {
        if (text == nullptr) {
            return std::nullopt;
        }
    }
    return std::string_view(text);
}

} // namespace detail

/// A text that is lent to a call: a literal, a `std::string`, a `std::string_view`, or whatever converts to that. A null
/// pointer, as of `std::getenv`, is none: the call is refused (`MFA_ERR_NULL_POINTER`).
class text {
public:
    /// Of any kind of text.
    template <class Text, detail::if_text<Text> = 0>
    text(const Text& any) : view_(detail::view_of(any))
    {
    }
    text(std::nullptr_t) = delete;

    /// Nothing: it was a null pointer.
    [[nodiscard]] std::optional<std::string_view> view() const noexcept { return view_; }

private:
    std::optional<std::string_view> view_;
};

/* From C++ to C: what the clients share -------------------------------------------------------- */

namespace detail {

/// A struct of <mfa.h> with its defaults.
template <class Native>
Native defaults() noexcept
{
    Native native{};
    native.struct_size = sizeof native;
    return native;
}

inline mfa::error refusal(provider whose, mfa_code code, const std::string& message)
{
    auto native = defaults<mfa_error>();
    native.code = code;
    native.provider = static_cast<std::int32_t>(whose);
    message.copy(native.message, sizeof native.message - 1);
    return mfa::error(native);
}

/// Looks whether the loaded library is one that this header was written for.
inline std::optional<mfa::error> find_misfit()
{
    const auto misfit = [](const std::string& what) {
        return refusal(provider::none, MFA_ERR_STRUCT_SIZE,
                       "the loaded libmfa " + version() + " does not fit this program: " + what);
    };
    if (mfa_abi_version() != MFA_ABI_VERSION) {
        return misfit("its ABI version is " + std::to_string(mfa_abi_version()) + ", not " +
                      std::to_string(MFA_ABI_VERSION));
    }
    const struct {
        const char* name;
        std::size_t size;
    } used[] = {
        {"mfa_error", sizeof(mfa_error)},
        {"mfa_client_options", sizeof(mfa_client_options)},
        {"mfa_call_options", sizeof(mfa_call_options)},
        {"mfa_availability", sizeof(mfa_availability)},
        {"mfa_two_factor_types", sizeof(mfa_two_factor_types)},
        {"mfa_transaction", sizeof(mfa_transaction)},
        {"mfa_registration", sizeof(mfa_registration)},
        {"mfa_request", sizeof(mfa_request)},
        {"mfa_wait_options", sizeof(mfa_wait_options)},
        {"mfa_waiter_options", sizeof(mfa_waiter_options)},
        {"mfa_event", sizeof(mfa_event)},
    };
    for (const auto& it : used) {
        if (mfa_struct_size(it.name) < it.size) {
            return misfit(std::string("it is too old for ") + it.name);
        }
    }
    return std::nullopt;
}

/// The same, looked up once in a program's life.
inline const std::optional<mfa::error>& misfit()
{
    static const std::optional<mfa::error> found = find_misfit();
    return found;
}

inline void wipe(std::string& text) noexcept
{
    volatile char* bytes = text.data();
    for (std::size_t i = 0; i < text.size(); i++) {
        bytes[i] = 0;
    }
}

inline bool holds_nul(std::string_view text) noexcept { return text.find('\0') != text.npos; }

/// A NUL-terminated copy that is wiped in the end; NULL if there was no text.
class c_text {
public:
    explicit c_text(const text& of) : is_null_(!of.view()), text_(of.view().value_or(std::string_view())) {}
    c_text(const c_text&) = delete;
    c_text& operator=(const c_text&) = delete;
    ~c_text() { wipe(text_); }
    [[nodiscard]] const char* get() const noexcept { return is_null_ ? nullptr : text_.c_str(); }

private:
    bool is_null_;
    std::string text_;
};

/// Runs a callable so that what it throws is kept and does not reach C.
template <class Callable>
void keep_exceptions(std::exception_ptr& thrown, Callable callable) noexcept
{
#if MFA_HPP_EXCEPTIONS
    try {
        callable();
    } catch (...) {
        thrown = std::current_exception();
    }
#else
    static_cast<void>(thrown);
    callable();
#endif
}

/// C's `log`; `user_data` is the client's `log_callback`.
inline void call_log(void* user_data, std::int32_t level, const char* message) noexcept
{
    const auto& log = *static_cast<const log_callback*>(user_data);
    std::exception_ptr dropped;
    keep_exceptions(dropped, [&] { log(log_level(level), message); });
}

/// The callables of one wait, and what came of them.
struct wait_calls {
    const wait_options& options;
    provider whose;
    std::optional<c_text> token = std::nullopt;
    std::optional<mfa::error> refused = std::nullopt;
    std::exception_ptr thrown = nullptr;
};

/// C's `on_update`; `user_data` is a `wait_calls`.
inline std::int32_t call_update(void* user_data, const mfa_transaction* so_far) noexcept
{
    auto& calls = *static_cast<wait_calls*>(user_data);
    auto next = waiting::stop;
    keep_exceptions(calls.thrown, [&] { next = calls.options.on_update(snapshot(*so_far)); });
    return static_cast<std::int32_t>(next);
}

/// C's `access_token_provider`; `user_data` is a `wait_calls`, which keeps the token for C to copy.
inline const char* call_token_provider(void* user_data) noexcept
{
    auto& calls = *static_cast<wait_calls*>(user_data);
    calls.token.reset();
    keep_exceptions(calls.thrown, [&] {
        std::optional<std::string> fresh = calls.options.access_token_provider();
        if (!fresh) {
            return;
        }
        if (holds_nul(*fresh)) {
            calls.refused = refusal(calls.whose, MFA_ERR_INVALID_ARGUMENT,
                                    "the token of access_token_provider holds a NUL byte");
        } else {
            calls.token.emplace(*fresh);
        }
        wipe(*fresh);
    });
    return calls.token ? calls.token->get() : nullptr;
}

/// Turns arguments into C's, and keeps the first reason to refuse them.
class arguments {
public:
    explicit arguments(provider whose) noexcept : whose_(whose) {}

    void refuse(mfa_code code, const std::string& why)
    {
        if (!refused_) {
            refused_ = refusal(whose_, code, why);
        }
    }

    /// Why an argument was refused, if one was.
    [[nodiscard]] const std::optional<mfa::error>& refused() const noexcept { return refused_; }

    /// Makes the call, unless an argument was refused; returns what went wrong.
    template <class Call>
    std::optional<mfa::error> run(Call call) const
    {
        if (refused_) {
            return refused_;
        }
        auto err = defaults<mfa_error>();
        err.code = call(&err);
        return err.code == MFA_OK ? std::nullopt : std::optional(mfa::error(err));
    }

    c_text copy(const mfa::text& text, const char* name)
    {
        if (!text.view()) {
            refuse(MFA_ERR_NULL_POINTER, std::string(name) + " is a null pointer");
        } else if (holds_nul(*text.view())) {
            refuse(MFA_ERR_INVALID_ARGUMENT, std::string(name) + " holds a NUL byte");
        }
        return c_text(text);
    }

    const char* text(const std::optional<std::string>& text, const char* name)
    {
        if (text && holds_nul(*text)) {
            refuse(MFA_ERR_INVALID_ARGUMENT, std::string(name) + " holds a NUL byte");
        }
        return text ? text->c_str() : nullptr;
    }

    std::uint32_t time(const std::optional<std::chrono::milliseconds>& time, const char* name,
                       std::int64_t least = 1)
    {
        const std::int64_t count = time ? time->count() : 0;
        if (time && (count < least || count > std::int64_t{UINT32_MAX})) {
            refuse(MFA_ERR_INVALID_ARGUMENT,
                   std::string(name) + " is " + std::to_string(count) + " ms, which is not a time for it");
        }
        return static_cast<std::uint32_t>(count);
    }

    mfa_client_options client(const client_options& options)
    {
        auto native = defaults<mfa_client_options>();
        native.flags |= options.allow_loopback_http ? MFA_CLIENT_ALLOW_LOOPBACK_HTTP : 0U;
        native.flags |= options.proxy_from_env ? MFA_CLIENT_PROXY_FROM_ENV : 0U;
        native.base_url = text(options.base_url, "base_url");
        native.request_timeout_ms = time(options.request_timeout, "request_timeout");
        native.connect_timeout_ms = time(options.connect_timeout, "connect_timeout");
        native.ca_pem = text(options.ca_pem, "ca_pem");
        native.proxy_url = text(options.proxy_url, "proxy_url");
        native.user_agent = text(options.user_agent, "user_agent");
        native.max_idle_connections = count(options.max_idle_connections, "max_idle_connections");
        native.client_cert_pem = text(options.client_cert_pem, "client_cert_pem");
        native.client_key_pem = text(options.client_key_pem, "client_key_pem");
        native.headers = text(options.headers, "headers");
        native.log_level = static_cast<std::int32_t>(options.log_level);
        return native;
    }

    mfa_request request(const mfa::request& request)
    {
        auto native = defaults<mfa_request>();
        native.flags = request.any_code ? MFA_REQUEST_ANY_CODE : 0U;
        native.template_id = request.template_id.value_or(0);
        native.question = text(request.question, "question");
        native.values_json = text(request.values_json, "values_json");
        native.code = text(request.code, "code");
        native.device_id = text(request.device_id, "device_id");
        native.device_desc = text(request.device_desc, "device_desc");
        native.ip = text(request.ip, "ip");
        return native;
    }

    mfa_wait_options wait(wait_calls& calls)
    {
        auto native = schedule(calls.options);
        native.on_update = calls.options.on_update ? &call_update : nullptr;
        native.on_update_user_data = &calls;
        native.access_token_provider = calls.options.access_token_provider ? &call_token_provider : nullptr;
        native.access_token_provider_user_data = &calls;
        return native;
    }

    mfa_wait_options wait(const wait_options& options, const wait_callbacks& callbacks)
    {
        if (options.on_update || options.access_token_provider) {
            refuse(MFA_ERR_INVALID_ARGUMENT, "a waiter calls what is in wait_callbacks, not wait_options");
        }
        if (!callbacks.on_ended) {
            refuse(MFA_ERR_INVALID_ARGUMENT, "on_ended is empty");
        }
        auto native = schedule(options);
        native.flags |= callbacks.on_update ? MFA_WAIT_REPORT_UPDATES : 0U;
        native.flags |= callbacks.on_token_refused ? MFA_WAIT_ASK_FOR_TOKEN : 0U;
        return native;
    }

    mfa_waiter_options waiter(const waiter_options& options)
    {
        auto native = defaults<mfa_waiter_options>();
        native.max_connections = count(options.max_connections, "max_connections");
        native.max_requests_per_second = count(options.max_requests_per_second, "max_requests_per_second");
        return native;
    }

private:
    mfa_wait_options schedule(const wait_options& options)
    {
        auto native = defaults<mfa_wait_options>();
        native.first_poll_ms = time(options.first_poll, "first_poll", 0);
        // 0 is "at once" here, and the default there.
        if (options.first_poll && native.first_poll_ms == 0) native.first_poll_ms = 1;
        native.min_interval_ms = time(options.min_interval, "min_interval");
        native.max_interval_ms = time(options.max_interval, "max_interval");
        native.cancel_on_timeout = options.cancel_on_timeout ? 1 : 0;
        native.flags = options.withdraw_on_cancel ? MFA_WAIT_WITHDRAW_ON_CANCEL : 0U;
        return native;
    }

    // 0 is "the default" in C, and no number of anything here.
    std::uint32_t count(const std::optional<std::uint32_t>& count, const char* name)
    {
        if (count == 0U) {
            refuse(MFA_ERR_INVALID_ARGUMENT, std::string(name) + " is 0");
        }
        return count.value_or(0);
    }

    provider whose_;
    std::optional<mfa::error> refused_;
};

/// The arguments of one call of a client, with what every call has.
class call : public arguments {
public:
    call(provider whose, const void* client, const call_options& options, const char* what = "client")
        : arguments(whose), cancel_(options.cancel)
    {
        if (client == nullptr) {
            refuse(MFA_ERR_NULL_POINTER, std::string("this ") + what + " was moved from");
        }
        bounds.timeout_ms = time(options.timeout, "timeout");
        bounds.cancel = cancel_ ? cancel_->native() : nullptr;
        if (cancel_ && bounds.cancel == nullptr) {
            refuse(MFA_ERR_INTERNAL, "libmfa could not make the cancel object");
        }
    }

    mfa_call_options bounds = defaults<mfa_call_options>();

private:
    // The caller may let go of its own while the call runs, as a callable or another thread may do.
    std::optional<mfa::cancel> cancel_;
};

/// What a call that reads a transaction returns.
inline result<transaction> conclude(const std::optional<mfa::error>& failed, const mfa_transaction& native)
{
    if (!failed) {
        return transaction(MFA_OK, native);
    }
    const bool known = native.transaction_id > 0;
    return mfa::error(failed->native(), known ? std::optional(snapshot(native)) : std::nullopt);
}

/// What a call that waits returns, or throws.
inline result<transaction> conclude(const wait_calls& calls, const std::optional<mfa::error>& failed,
                                    const mfa_transaction& native)
{
#if MFA_HPP_EXCEPTIONS
    if (calls.thrown) {
        std::rethrow_exception(calls.thrown);
    }
#endif
    return conclude(failed && calls.refused ? calls.refused : failed, native);
}

/// The question alone; a null pointer is none, which is refused as one that was left out.
inline mfa::request asking(const text& question)
{
    mfa::request request;
    if (question.view()) {
        request.question = std::string(*question.view());
    }
    return request;
}

/// Frees a client, and after it the callable that it logs to.
template <class Native, void (*Free)(Native*)>
struct free_client {
    std::unique_ptr<log_callback> log;
    void operator()(Native* client) const noexcept { Free(client); }
};

template <class Native, void (*Free)(Native*)>
using client_handle = std::unique_ptr<Native, free_client<Native, Free>>;

template <class Native, void (*Free)(Native*), class New>
result<client_handle<Native, Free>> make_client(const client_options& options, New make, provider whose)
{
    if (misfit()) {
        return *misfit();
    }
    arguments in(whose);
    auto native = in.client(options);
    std::unique_ptr<log_callback> log;
    if (options.log) {
        log = std::make_unique<log_callback>(options.log);
        native.log = &call_log;
        native.log_user_data = log.get();
    }
    Native* client = nullptr;
    if (const auto failed = in.run([&](auto* err) { return make(&native, &client, err); })) {
        return *failed;
    }
    return client_handle<Native, Free>(client, free_client<Native, Free>{std::move(log)});
}

} // namespace detail

/* HyperID -------------------------------------------------------------------------------------- */

/// Whether the person may be asked.
class availability {
public:
    /// From C's struct.
    explicit availability(const mfa_availability& native) noexcept : native_(native) {}
    /// Whether the person has linked the authenticator app.
    [[nodiscard]] bool available() const noexcept { return native_.available == 1; }

private:
    mfa_availability native_;
};

/// A second factor.
enum class method : std::uint32_t {
    app = MFA_METHOD_APP,     ///< The authenticator app.
    totp = MFA_METHOD_TOTP,   ///< A one-time password from an app.
    sms = MFA_METHOD_SMS,     ///< A code by SMS.
    email = MFA_METHOD_EMAIL, ///< A code by e-mail.
    other = MFA_METHOD_OTHER  ///< One that this version has no name for; see `raw()`.
};

/// Its name: that of the enumerator.
[[nodiscard]] inline std::string to_string(method value)
{
    constexpr std::pair<method, const char*> names[] = {
        {method::app, "app"},
        {method::totp, "totp"},
        {method::sms, "sms"},
        {method::email, "email"},
        {method::other, "other"},
    };
    return detail::name_of(value, names, "method");
}

/// The second factors that the person has set up.
class two_factor_types {
public:
    /// From C's struct.
    explicit two_factor_types(const mfa_two_factor_types& native) noexcept : native_(native) {}
    /// Whether it is among them.
    [[nodiscard]] bool has(method method) const noexcept
    {
        return (native_.methods & static_cast<std::uint32_t>(method)) != 0;
    }
    /// How many the server listed; may be more than `raw()` holds.
    [[nodiscard]] std::uint32_t count() const noexcept { return native_.count; }
    /// The server's own numbers, in its order: the first 16.
    [[nodiscard]] std::vector<std::int32_t> raw() const
    {
        const std::size_t room = std::size(native_.raw);
        return {native_.raw, native_.raw + (count() < room ? count() : room)};
    }

private:
    mfa_two_factor_types native_;
};

/// A client for HyperID. Can be moved and not copied. Keep it: it keeps connections. Every call
/// blocks until its deadline at most, and may be made from any number of threads at once.
class hyperid {
public:
    /// Makes a client. Nothing is sent. Errors: the caller's only, and a loaded library that does not
    /// fit this header (`MFA_ERR_STRUCT_SIZE`).
    [[nodiscard]] static result<hyperid> create(const client_options& options = {})
    {
        auto made = detail::make_client<mfa_hyperid, mfa_hyperid_free>(options, mfa_hyperid_new,
                                                                       provider::hyperid);
        if (!made.ok()) {
            return made.error();
        }
        return hyperid(std::move(made).value());
    }

    /// Asks whether the person has linked the authenticator app and so may be asked.
    [[nodiscard]] result<mfa::availability> availability(const text& access_token,
                                                         const call_options& options = {}) const
    {
        detail::call in(provider::hyperid, native(), options);
        const auto token = in.copy(access_token, "access_token");
        auto out = detail::defaults<mfa_availability>();
        const auto failed = in.run([&](auto* err) {
            return mfa_hyperid_availability(native(), token.get(), &in.bounds, &out, err);
        });
        if (failed) {
            return *failed;
        }
        return mfa::availability(out);
    }

    /// Asks which second factors the person has set up.
    [[nodiscard]] result<mfa::two_factor_types> two_factor_types(const text& access_token,
                                                                 const call_options& options = {}) const
    {
        detail::call in(provider::hyperid, native(), options);
        const auto token = in.copy(access_token, "access_token");
        auto out = detail::defaults<mfa_two_factor_types>();
        const auto failed = in.run([&](auto* err) {
            return mfa_hyperid_two_factor_types(native(), token.get(), &in.bounds, &out, err);
        });
        if (failed) {
            return *failed;
        }
        return mfa::two_factor_types(out);
    }

    /// Asks the person: a push to their phone. Returns the transaction's id. Never repeated by itself
    /// once a byte was sent: see `error::outcome_unknown`.
    [[nodiscard]] result<std::int64_t> start(const text& access_token, const request& request,
                                             const call_options& options = {}) const
    {
        detail::call in(provider::hyperid, native(), options);
        const auto token = in.copy(access_token, "access_token");
        const auto asked = in.request(request);
        std::int64_t id = 0;
        const auto failed = in.run([&](auto* err) {
            return mfa_hyperid_start(native(), token.get(), &asked, &in.bounds, &id, err);
        });
        if (failed) {
            return *failed;
        }
        return id;
    }

    /// The same with the question alone: any text, not empty.
    template <class Text, detail::if_text<Text> = 0>
    [[nodiscard]] result<std::int64_t> start(const text& access_token, const Text& question,
                                             const call_options& options = {}) const
    {
        return start(access_token, detail::asking(question), options);
    }

    /// Reads a transaction's state once, for programs that poll in a loop of their own. `pending` and
    /// `unknown` may still change.
    [[nodiscard]] result<transaction> status(const text& access_token, std::int64_t transaction_id,
                                             const call_options& options = {}) const
    {
        detail::call in(provider::hyperid, native(), options);
        const auto token = in.copy(access_token, "access_token");
        auto out = detail::defaults<mfa_transaction>();
        const auto failed = in.run([&](auto* err) {
            return mfa_hyperid_status(native(), token.get(), transaction_id, &in.bounds, &out, err);
        });
        return detail::conclude(failed, out);
    }

    /// Cancels a transaction. `MFA_ERR_ALREADY_COMPLETED`: the person answered first; read the
    /// status, do not drop it.
    [[nodiscard]] result<done> cancel(const text& access_token, std::int64_t transaction_id,
                                      const call_options& options = {}) const
    {
        detail::call in(provider::hyperid, native(), options);
        const auto token = in.copy(access_token, "access_token");
        const auto failed = in.run([&](auto* err) {
            return mfa_hyperid_cancel(native(), token.get(), transaction_id, &in.bounds, err);
        });
        if (failed) {
            return *failed;
        }
        return done{};
    }

    /// Waits until the person has answered, or the request has ended otherwise. After an error,
    /// `error().last_known()` holds the id and the last state.
    [[nodiscard]] result<transaction> wait(const text& access_token, std::int64_t transaction_id,
                                           const wait_options& wait = {},
                                           const call_options& options = {}) const
    {
        detail::call in(provider::hyperid, native(), options);
        const auto token = in.copy(access_token, "access_token");
        detail::wait_calls calls{wait, provider::hyperid};
        const auto how = in.wait(calls);
        auto out = detail::defaults<mfa_transaction>();
        const auto failed = in.run([&](auto* err) {
            return mfa_hyperid_wait(native(), token.get(), transaction_id, &how, &in.bounds, &out, err);
        });
        return detail::conclude(calls, failed, out);
    }

    /// The whole story in one call: whether the person may be asked, asking, and waiting for the
    /// answer. `MFA_ERR_AUTHENTICATOR_NOT_LINKED`: the person has no app, and no push was sent. After
    /// an error, `error().last_known()` holds the id, if there is one, and the last state.
    [[nodiscard]] result<transaction> confirm(const text& access_token, const request& request,
                                              const wait_options& wait = {},
                                              const call_options& options = {}) const
    {
        detail::call in(provider::hyperid, native(), options);
        const auto token = in.copy(access_token, "access_token");
        const auto asked = in.request(request);
        detail::wait_calls calls{wait, provider::hyperid};
        const auto how = in.wait(calls);
        auto out = detail::defaults<mfa_transaction>();
        const auto failed = in.run([&](auto* err) {
            return mfa_hyperid_confirm(native(), token.get(), &asked, &how, &in.bounds, &out, err);
        });
        return detail::conclude(calls, failed, out);
    }

    /// The same with the question alone: `client.confirm(token, "Pay 12.00?")`. Any text, not empty.
    template <class Text, detail::if_text<Text> = 0>
    [[nodiscard]] result<transaction> confirm(const text& access_token, const Text& question,
                                              const wait_options& wait = {},
                                              const call_options& options = {}) const
    {
        return confirm(access_token, detail::asking(question), wait, options);
    }

    /// C's handle, for as long as this lives; NULL after it was moved from.
    [[nodiscard]] mfa_hyperid* native() const noexcept { return handle_.get(); }

private:
    using handle = detail::client_handle<mfa_hyperid, mfa_hyperid_free>;

    explicit hyperid(handle made) noexcept : handle_(std::move(made)) {}

    handle handle_;
};

/* Many waits ----------------------------------------------------------------------------------- */

/// What happened in a turn of `waiter::next`.
enum class event_kind : std::int32_t {
    none = MFA_EVENT_NONE,                   ///< The time has passed, or somebody called `wake`.
    started = MFA_EVENT_STARTED,             ///< `on_started` was called.
    update = MFA_EVENT_UPDATE,               ///< `on_update` was called.
    token_refused = MFA_EVENT_TOKEN_REFUSED, ///< `on_token_refused` was called.
    ended = MFA_EVENT_ENDED                  ///< `on_ended` was called.
};

/// Its name: that of the enumerator.
[[nodiscard]] inline std::string to_string(event_kind value)
{
    constexpr std::pair<event_kind, const char*> names[] = {
        {event_kind::none, "none"},
        {event_kind::started, "started"},
        {event_kind::update, "update"},
        {event_kind::token_refused, "token_refused"},
        {event_kind::ended, "ended"},
    };
    return detail::name_of(value, names, "event_kind");
}

/// Carries any number of waits and confirms of one client, without a thread of its own: whoever calls
/// `next` drives them all. Can be moved and not copied. Its client outlives it.
///
///     auto waiter = mfa::waiter::create(client).value();
///     mfa::wait_callbacks calls;
///     calls.on_started = [&](std::uint64_t, const mfa::snapshot& so_far) { save(so_far.id()); };
///     calls.on_ended = [&](const mfa::ended& end) { if (mfa::is_approved(end)) grant(); };
///     const auto ticket = waiter.confirm(token, request, calls);
///     while (waiter.count() > 0 && waiter.next(1s).ok()) {}
///
/// All but `next` may be called from any thread, also while `next` runs in another and from within a
/// callable, and never wait. Destroying it drops its waits without a call, and their transactions go
/// on; `cancel_all`, and `next` until `count()` is 0, ends them first. In a forked child it refuses all
/// calls (`MFA_ERR_FORKED`) and may be destroyed.
class waiter {
public:
    /// Makes a waiter. Nothing is sent.
    [[nodiscard]] static result<waiter> create(const hyperid& client, const waiter_options& options = {})
    {
        detail::call in(provider::hyperid, client.native(), {});
        const auto how = in.waiter(options);
        mfa_waiter* native = nullptr;
        if (const auto failed =
                in.run([&](auto* err) { return mfa_waiter_new(client.native(), &how, &native, err); })) {
            return *failed;
        }
        return waiter(std::make_unique<state>(native));
    }

    /// Adds a confirm, as `hyperid::confirm` would do it, and returns its ticket. Everything is copied;
    /// nothing is sent before somebody calls `next`. The deadline counts from here. The callables are
    /// in `calls`: those of `wait` must be empty, and so must the cancel of `options`, for which
    /// `cancel` is there. An error says that nothing was added and nothing will be called; whatever
    /// goes wrong later is told by `on_ended`.
    [[nodiscard]] result<std::uint64_t> confirm(const text& access_token, const request& request,
                                                wait_callbacks calls, const wait_options& wait = {},
                                                const call_options& options = {})
    {
        detail::call in(provider::hyperid, native(), options, "waiter");
        const auto token = in.copy(access_token, "access_token");
        const auto asked = in.request(request);
        const auto how = in.wait(wait, calls);
        return add(in, std::move(calls), [&](void* user_data, std::uint64_t* ticket, mfa_error* err) {
            return mfa_waiter_confirm(native(), token.get(), &asked, &how, &in.bounds, user_data, ticket, err);
        });
    }

    /// The same with the question alone: any text, not empty.
    template <class Text, detail::if_text<Text> = 0>
    [[nodiscard]] result<std::uint64_t> confirm(const text& access_token, const Text& question,
                                                wait_callbacks calls, const wait_options& wait = {},
                                                const call_options& options = {})
    {
        return confirm(access_token, detail::asking(question), std::move(calls), wait, options);
    }

    /// Adds a wait for a transaction that was started before, maybe by an earlier run of the program;
    /// otherwise as `confirm`. `on_started` is not called.
    [[nodiscard]] result<std::uint64_t> wait(const text& access_token, std::int64_t transaction_id,
                                             wait_callbacks calls, const wait_options& wait = {},
                                             const call_options& options = {})
    {
        detail::call in(provider::hyperid, native(), options, "waiter");
        const auto token = in.copy(access_token, "access_token");
        const auto how = in.wait(wait, calls);
        return add(in, std::move(calls), [&](void* user_data, std::uint64_t* ticket, mfa_error* err) {
            return mfa_waiter_wait(native(), token.get(), transaction_id, &how, &in.bounds, user_data, ticket,
                                   err);
        });
    }

    /// Ends a wait: `on_ended` comes from `next`, with `MFA_ERR_CANCELLED` unless there was or is a
    /// final answer. One that has ended is left alone. What nobody waits for is taken back by `wait`, and
    /// at once `cancel` with `cancelling::withdraw`.
    result<done> cancel(std::uint64_t ticket, cancelling what = cancelling::leave)
    {
        const detail::call in(provider::hyperid, native(), {}, "waiter");
        return tell(in, [&](auto* err) {
            return mfa_waiter_cancel(native(), ticket, static_cast<std::uint32_t>(what), err);
        });
    }

    /// Ends all waits that there are now.
    result<done> cancel_all(cancelling what = cancelling::leave)
    {
        const detail::call in(provider::hyperid, native(), {}, "waiter");
        return tell(in, [&](auto* err) {
            return mfa_waiter_cancel_all(native(), static_cast<std::uint32_t>(what), err);
        });
    }

    /// Gives a wait another access token of the same person, in answer to `on_token_refused`; before, it
    /// is kept for the next exchange. If it is refused, too, the wait ends. A wait that has ended is
    /// left alone.
    result<done> give_token(std::uint64_t ticket, const text& access_token)
    {
        detail::call in(provider::hyperid, native(), {}, "waiter");
        const auto token = in.copy(access_token, "access_token");
        return tell(in, [&](auto* err) { return mfa_waiter_give_token(native(), ticket, token.get(), err); });
    }

    /// There is no other token: the wait ends with the refusal.
    result<done> give_up(std::uint64_t ticket)
    {
        const detail::call in(provider::hyperid, native(), {}, "waiter");
        return tell(in, [&](auto* err) { return mfa_waiter_give_token(native(), ticket, nullptr, err); });
    }

    /// Drives all waits until something has happened to one of them, calls the callable that is for it,
    /// and says what it was; or until the time has passed (0: one turn, without waiting) or somebody
    /// called `wake`: then `event_kind::none`. One thread at a time; another one, and a callable, get
    /// `MFA_ERR_BUSY`. An error is this call's; what befell a wait is told to its callables.
    [[nodiscard]] result<event_kind> next(std::chrono::milliseconds timeout)
    {
        detail::call in(provider::hyperid, native(), {}, "waiter");
        const auto wait_ms = in.time(timeout, "timeout", 0);
        if (in.refused()) {
            return *in.refused();
        }
        const turn mine(state_->is_driven);
        if (!mine.is_ours) {
            return is_forked() ? forked() : busy();
        }
        auto event = detail::defaults<mfa_event>();
        auto so_far = detail::defaults<mfa_transaction>();
        auto why = detail::defaults<mfa_error>();
        const auto failed = in.run(
            [&](auto* err) { return mfa_waiter_next(native(), wait_ms, &event, &so_far, &why, err); });
        if (failed) {
            return *failed;
        }
        hand_out(event, so_far, why);
        return event_kind(event.kind);
    }

    /// How many waits have been added whose `on_ended` was not yet called.
    [[nodiscard]] std::uint32_t count() const noexcept { return mfa_waiter_count(native()); }

    /// Ends the `next` under way, else the next one to begin. Any thread; may be called from a signal
    /// handler.
    void wake() const noexcept { mfa_waiter_wake(native()); }

    /// A descriptor for a loop of the program's own: readable as long as `next(0ms)` would have
    /// something to do, and sometimes without. Never read, write or close it. Nothing: this system has
    /// none, or this is a forked child.
    [[nodiscard]] std::optional<int> fd() const noexcept
    {
        const auto native_fd = mfa_waiter_fd(native());
        return native_fd >= 0 ? std::optional(static_cast<int>(native_fd)) : std::nullopt;
    }

    /// C's handle, for as long as this lives; NULL after it was moved from. Do not take its events with
    /// `mfa_waiter_next`: their callables would not be called.
    [[nodiscard]] mfa_waiter* native() const noexcept { return state_ ? state_->native.get() : nullptr; }

private:
    struct free_waiter {
        void operator()(mfa_waiter* native) const noexcept { mfa_waiter_free(native); }
    };

    /// Stays where it is when the waiter is moved.
    struct state {
        explicit state(mfa_waiter* made) noexcept : native(made) {}

        std::mutex lock;
        /// By the `user_data` of each wait.
        std::unordered_map<void*, std::shared_ptr<const wait_callbacks>> callbacks;
        /// Somebody is in `next`, or in a callable that it called.
        std::atomic<bool> is_driven{false};
        /// Freed before the callables are.
        std::unique_ptr<mfa_waiter, free_waiter> native;
    };

    /// One thread's turn in `next`.
    class turn {
    public:
        explicit turn(std::atomic<bool>& is_driven) : is_ours(!is_driven.exchange(true)), is_driven_(is_driven) {}
        turn(const turn&) = delete;
        turn& operator=(const turn&) = delete;
        ~turn()
        {
            if (is_ours) {
                is_driven_ = false;
            }
        }

        const bool is_ours;

    private:
        std::atomic<bool>& is_driven_;
    };

    explicit waiter(std::unique_ptr<state> made) noexcept : state_(std::move(made)) {}

    static mfa::error busy()
    {
        return detail::refusal(provider::hyperid, MFA_ERR_BUSY,
                               "another thread, or a callable that called this, is in waiter::next");
    }

    static mfa::error forked()
    {
        return detail::refusal(provider::hyperid, MFA_ERR_FORKED,
                               "the waiter belongs to the process that forked this one");
    }

    // Ticket 0 was never given out, so this is refused in any process, and does nothing.
    [[nodiscard]] bool is_forked() const { return mfa_waiter_cancel(native(), 0, 0, nullptr) == MFA_ERR_FORKED; }

    // Without ownership in a forked child, where the lock of a thread that was not forked would never open.
    [[nodiscard]] std::unique_lock<std::mutex> lock() const
    {
        std::unique_lock<std::mutex> lock(state_->lock, std::try_to_lock);
        if (!lock.owns_lock() && !is_forked()) {
            lock.lock();
        }
        return lock;
    }

    template <class Add>
    result<std::uint64_t> add(const detail::arguments& in, wait_callbacks&& calls, Add add)
    {
        if (in.refused()) {
            return *in.refused();
        }
        const auto kept = std::make_shared<const wait_callbacks>(std::move(calls));
        void* user_data = const_cast<wait_callbacks*>(kept.get());
        {
            // Before the wait is there: another thread's `next` may be told of it at once.
            const auto locked = lock();
            if (!locked.owns_lock()) {
                return forked();
            }
            state_->callbacks.emplace(user_data, kept);
        }
        std::uint64_t ticket = 0;
        const auto failed = in.run([&](auto* err) { return add(user_data, &ticket, err); });
        if (failed) {
            static_cast<void>(take(user_data, true));
            return *failed;
        }
        return ticket;
    }

    template <class Call>
    static result<done> tell(const detail::arguments& in, Call call)
    {
        if (const auto failed = in.run(call)) {
            return *failed;
        }
        return done{};
    }

    // The callables of a wait; nothing for one that was added by C's own functions.
    std::shared_ptr<const wait_callbacks> take(void* user_data, bool is_over)
    {
        const auto locked = lock();
        const auto found = state_->callbacks.find(user_data);
        if (!locked.owns_lock() || found == state_->callbacks.end()) {
            return nullptr;
        }
        auto calls = found->second;
        if (is_over) {
            state_->callbacks.erase(found);
        }
        return calls;
    }

    void hand_out(const mfa_event& event, const mfa_transaction& so_far, const mfa_error& why)
    {
        if (event.kind == MFA_EVENT_NONE) {
            return;
        }
        const auto calls = take(event.user_data, event.kind == MFA_EVENT_ENDED);
        if (!calls) {
            return;
        }
        if (event.kind == MFA_EVENT_STARTED && calls->on_started) {
            calls->on_started(event.ticket, snapshot(so_far));
        } else if (event.kind == MFA_EVENT_UPDATE && calls->on_update) {
            calls->on_update(event.ticket, snapshot(so_far));
        } else if (event.kind == MFA_EVENT_TOKEN_REFUSED && calls->on_token_refused) {
            calls->on_token_refused(event.ticket, snapshot(so_far), error(why));
        } else if (event.kind == MFA_EVENT_ENDED) {
            calls->on_ended(ended(event, so_far, why));
        }
    }

    std::unique_ptr<state> state_;
};

/* Capillary ------------------------------------------------------------------------------------ */

/// Whether MFA is registered. A newer library may have values that are not listed.
enum class registration_state : std::int32_t {
    none = MFA_REGISTRATION_NONE,                     ///< No answer has been read.
    registered = MFA_REGISTRATION_REGISTERED,         ///< MFA is registered for the user.
    not_registered = MFA_REGISTRATION_NOT_REGISTERED, ///< The user has not registered MFA.
    not_enabled = MFA_REGISTRATION_NOT_ENABLED        ///< The brand has no MFA.
};

/// Its name: that of the enumerator.
[[nodiscard]] inline std::string to_string(registration_state value)
{
    constexpr std::pair<registration_state, const char*> names[] = {
        {registration_state::none, "none"},
        {registration_state::registered, "registered"},
        {registration_state::not_registered, "not_registered"},
        {registration_state::not_enabled, "not_enabled"},
    };
    return detail::name_of(value, names, "registration_state");
}

/// Whether MFA is registered for a user.
class registration {
public:
    /// From C's struct.
    explicit registration(const mfa_registration& native) noexcept : native_(native) {}
    /// The answer.
    [[nodiscard]] registration_state state() const noexcept { return registration_state(native_.state); }
    /// The server's `status.code`.
    [[nodiscard]] std::int32_t raw_code() const noexcept { return native_.raw_code; }
    /// The answer's HTTP status.
    [[nodiscard]] std::int32_t http_status() const noexcept { return native_.http_status; }

private:
    mfa_registration native_;
};

/// A client for Capillary. Otherwise as `hyperid`.
class capillary {
public:
    /// Makes a client. Nothing is sent. `options.base_url` is required.
    [[nodiscard]] static result<capillary> create(const client_options& options)
    {
        auto made = detail::make_client<mfa_capillary, mfa_capillary_free>(options, mfa_capillary_new,
                                                                           provider::capillary);
        if (!made.ok()) {
            return made.error();
        }
        return capillary(std::move(made).value());
    }

    /// Asks whether MFA is registered for the user whom `authorized_token` belongs to. `brand` and
    /// `device_id`: as in the user's sign-in. That it is not registered, or that the brand has no
    /// MFA, are answers, not errors.
    [[nodiscard]] result<registration> is_mfa_registered(const text& brand, const text& device_id,
                                                         const text& authorized_token,
                                                         const call_options& options = {}) const
    {
        detail::call in(provider::capillary, native(), options);
        const auto of_brand = in.copy(brand, "brand");
        const auto on_device = in.copy(device_id, "device_id");
        const auto token = in.copy(authorized_token, "authorized_token");
        auto out = detail::defaults<mfa_registration>();
        const auto failed = in.run([&](auto* err) {
            return mfa_capillary_is_mfa_registered(native(), of_brand.get(), on_device.get(), token.get(),
                                                   &in.bounds, &out, err);
        });
        if (failed) {
            return *failed;
        }
        return registration(out);
    }

    /// C's handle, for as long as this lives; NULL after it was moved from.
    [[nodiscard]] mfa_capillary* native() const noexcept { return handle_.get(); }

private:
    using handle = detail::client_handle<mfa_capillary, mfa_capillary_free>;

    explicit capillary(handle made) noexcept : handle_(std::move(made)) {}

    handle handle_;
};

} // inline namespace
} // namespace mfa

#undef MFA_HPP_EXCEPTIONS

#endif /* C++17 */
#endif /* MFA_HPP */
