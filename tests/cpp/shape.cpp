// What the types are: no truth values, what can be moved and copied, results, use after move. All but
// the compiler's part runs without a server.
#include "check.hpp"

#include <type_traits>

// Answers and results have no truth value, and nothing that turns into one.
template <class T>
constexpr bool has_no_truth_value = !std::is_convertible_v<T, bool> && !std::is_constructible_v<bool, T> &&
                                    !std::is_constructible_v<bool, T&> &&
                                    !std::is_constructible_v<bool, const T&>;

static_assert(has_no_truth_value<mfa::transaction>);
static_assert(has_no_truth_value<mfa::snapshot>);
static_assert(has_no_truth_value<mfa::availability>);
static_assert(has_no_truth_value<mfa::two_factor_types>);
static_assert(has_no_truth_value<mfa::registration>);
static_assert(has_no_truth_value<mfa::registration_state>);
static_assert(has_no_truth_value<mfa::decision>);
static_assert(has_no_truth_value<mfa::done>);
static_assert(has_no_truth_value<mfa::error>);
static_assert(has_no_truth_value<mfa::ended>);
static_assert(has_no_truth_value<mfa::event_kind>);
static_assert(has_no_truth_value<mfa::cancelling>);
static_assert(has_no_truth_value<mfa::hyperid>);
static_assert(has_no_truth_value<mfa::waiter>);
static_assert(has_no_truth_value<mfa::capillary>);
static_assert(has_no_truth_value<mfa::result<mfa::transaction>>);
static_assert(has_no_truth_value<mfa::result<mfa::availability>>);
static_assert(has_no_truth_value<mfa::result<mfa::two_factor_types>>);
static_assert(has_no_truth_value<mfa::result<mfa::registration>>);
static_assert(has_no_truth_value<mfa::result<mfa::done>>);
static_assert(has_no_truth_value<mfa::result<mfa::event_kind>>);
static_assert(has_no_truth_value<mfa::result<std::int64_t>>);
static_assert(has_no_truth_value<mfa::result<std::uint64_t>>);
static_assert(has_no_truth_value<mfa::result<std::string>>);

// Only a transaction, and the end of a wait, can say that the person approved; progress and errors cannot.
template <class T, class = void>
constexpr bool can_approve = false;
template <class T>
constexpr bool can_approve<T, std::void_t<decltype(std::declval<const T&>().approved())>> = true;

static_assert(can_approve<mfa::transaction>);
static_assert(can_approve<mfa::ended>);
static_assert(!can_approve<mfa::snapshot>);
static_assert(!std::is_convertible_v<mfa::snapshot, mfa::transaction>);
static_assert(!std::is_constructible_v<mfa::transaction, mfa::snapshot>);

// Clients can be moved and not copied; a cancel object is shared.
template <class T>
constexpr bool is_move_only = std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T> &&
                              !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;

static_assert(is_move_only<mfa::hyperid>);
static_assert(is_move_only<mfa::capillary>);
static_assert(is_move_only<mfa::waiter>);
static_assert(!std::is_default_constructible_v<mfa::hyperid> && !std::is_default_constructible_v<mfa::waiter>);
static_assert(std::is_copy_constructible_v<mfa::ended> && std::is_copy_assignable_v<mfa::ended>);
static_assert(std::is_copy_constructible_v<mfa::cancel> && std::is_copy_assignable_v<mfa::cancel>);
static_assert(std::is_copy_constructible_v<mfa::result<mfa::transaction>>);
static_assert(std::is_nothrow_copy_constructible_v<mfa::error>);
#if defined(__cpp_exceptions)
static_assert(!std::is_constructible_v<mfa::text, std::nullptr_t>);

static_assert(std::is_base_of_v<std::runtime_error, mfa::exception>);
static_assert(std::is_nothrow_copy_constructible_v<mfa::exception>);
#endif

// What looks at updates returns `waiting`, or nothing; never a bool, of which nobody could say what it means.
struct says_yes {
    bool operator()(const mfa::snapshot&) const { return true; }
};
struct says_one {
    int operator()(const mfa::snapshot&) const { return 1; }
};
static_assert(!std::is_constructible_v<mfa::update_callback, says_yes>);
static_assert(!std::is_constructible_v<mfa::update_callback, says_one>);
static_assert(std::is_constructible_v<mfa::update_callback, void (*)(const mfa::snapshot&)>);
static_assert(std::is_constructible_v<mfa::update_callback, std::function<mfa::waiting(const mfa::snapshot&)>>);

static void in_words_of_the_library()
{
    check(to_string(mfa::decision::approved) == "approved" && to_string(mfa::decision::none) == "none" &&
              to_string(mfa::decision::unknown) == "unknown",
          "to_string: decisions");
    check(to_string(mfa::decision(99)) == "decision 99", "to_string: a decision of a newer library");
    check(to_string(mfa::registration_state::not_enabled) == "not_enabled" &&
              to_string(mfa::event_kind::token_refused) == "token_refused" &&
              to_string(mfa::provider::capillary) == "capillary" && to_string(mfa::method::totp) == "totp",
          "to_string: the others");
    check(mfa::to_string(mfa_code(MFA_ERR_TIMEOUT)) == "MFA_ERR_TIMEOUT" && mfa::to_string(mfa_code(99)) == "MFA_ERR_?",
          "to_string: codes");
    using namespace std;
    using namespace mfa;
    check(to_string(110) == "110", "to_string: a number stays one where both are in sight");
}

static mfa_error native_error()
{
    mfa_error native = MFA_ERROR_INIT;
    native.code = MFA_ERR_RATE_LIMITED;
    native.provider = MFA_PROVIDER_CAPILLARY;
    native.has_provider_code = 1;
    native.provider_code = -8;
    native.http_status = 429;
    native.retry_after_ms = 1500;
    native.flags = MFA_ERROR_RETRYABLE | MFA_ERROR_OUTCOME_UNKNOWN;
    native.attempts = 3;
    native.os_error = 110;
    std::snprintf(native.message, sizeof native.message, "slow down, bitte schön");
    return native;
}

static void errors_say_all()
{
    const mfa::error e(native_error());
    check(e.code() == MFA_ERR_RATE_LIMITED && e.name() == "MFA_ERR_RATE_LIMITED", "error: code and name");
    check(e.message() == "slow down, bitte schön", "error: message", e.message());
    check(e.advice() == mfa::code_message(e.code()) && !e.advice().empty(), "error: advice", e.advice());
    check(e.provider() == mfa::provider::capillary, "error: provider");
    check(e.provider_code() == -8 && e.http_status() == 429 && e.os_error() == 110, "error: numbers");
    check(e.retry_after() == 1500ms && e.attempts() == 3, "error: times");
    check(e.retryable() && e.outcome_unknown(), "error: flags");
    check(!e.last_known(), "error: no transaction");

    const mfa::error none;
    check(none.code() == MFA_OK && none.name() == "MFA_OK" && none.message().empty() &&
              !none.provider_code() && !none.http_status() && !none.retry_after() && !none.os_error() &&
              !none.retryable() && !none.outcome_unknown() && none.provider() == mfa::provider::none,
          "error: none");
    mfa_error zero = MFA_ERROR_INIT;
    zero.has_provider_code = 1;
    check(mfa::error(zero).provider_code() == 0, "error: the provider's number may be 0");
}

static void results()
{
    mfa::result<std::string> good = std::string("value");
    check(good.ok() && good.code() == MFA_OK && good.error().code() == MFA_OK, "result: a value");
    good.value() += "!";
    check(std::as_const(good).value() == "value!" && std::move(good).value() == "value!",
          "result: the value can be changed, read and moved");

    const mfa::result<std::string> bad = mfa::error(native_error());
    check(!bad.ok() && bad.code() == MFA_ERR_RATE_LIMITED && bad.error().attempts() == 3, "result: an error");
#if defined(__cpp_exceptions)
    std::string what;
    mfa_code code = MFA_OK;
    try {
        static_cast<void>(bad.value());
    } catch (const mfa::exception& e) {
        code = e.error().code();
    }
    check(code == MFA_ERR_RATE_LIMITED, "result: value() throws mfa::exception");
    try {
        static_cast<void>(mfa::result<std::string>(bad).value());
    } catch (const std::runtime_error& e) {
        what = e.what();
    }
    check(what == "MFA_ERR_RATE_LIMITED: slow down, bitte schön", "result: what()", what);
#endif
}

static mfa_transaction approval()
{
    mfa_transaction native = MFA_TRANSACTION_INIT;
    native.decision = MFA_DECISION_APPROVED;
    native.transaction_id = 4294967297;
    native.raw_status = 1;
    native.polls = 3;
    native.elapsed_ms = 4001;
    return native;
}

static void approvals()
{
    const mfa::transaction yes(MFA_OK, approval());
    check(yes.approved(), "approved: MFA_OK with an approval");
    check(yes.id() == 4294967297 && yes.decision() == mfa::decision::approved && yes.raw_status() == 1 &&
              yes.raw_complete_result() == 0 && yes.polls() == 3 && yes.elapsed() == 4001ms,
          "transaction: every field");
    check(mfa::is_approved(mfa::result<mfa::transaction>(yes)), "is_approved: a result with an approval");
    check(!mfa::transaction(MFA_ERR_TIMEOUT, approval()).approved(), "approved: not beside another code");
    check(!mfa::is_approved(mfa::error(native_error())), "is_approved: not for an error");
    for (std::int32_t decision = -1; decision < 20; decision++) {
        auto native = approval();
        native.decision = decision;
        if (mfa::transaction(MFA_OK, native).approved() != (decision == MFA_DECISION_APPROVED)) {
            check(false, "approved: for no other decision", std::to_string(decision));
        }
    }
    auto wrong_size = approval();
    wrong_size.struct_size = 4;
    check(!mfa::transaction(MFA_OK, wrong_size).approved(), "approved: not for a struct of another size");
}

// Of all kinds, codes and decisions, one combination approves.
static void ends()
{
    mfa_error why = native_error();
    for (std::int32_t kind = MFA_EVENT_NONE; kind <= MFA_EVENT_ENDED + 1; kind++) {
        for (const mfa_code code : {MFA_OK, MFA_ERR_NOT_ENDED, MFA_ERR_TIMEOUT, MFA_ERR_CANCELLED}) {
            for (std::int32_t decision = -1; decision < 20; decision++) {
                mfa_event event = MFA_EVENT_INIT;
                event.kind = kind;
                event.ticket = 7;
                event.code = code;
                auto native = approval();
                native.decision = decision;
                const mfa::ended end(event, native, why);
                const bool answered = kind == MFA_EVENT_ENDED && code == MFA_OK;
                const bool wanted = answered && decision == MFA_DECISION_APPROVED;
                if (end.approved() != wanted || mfa::is_approved(end) != wanted ||
                    mfa::is_approved(end.answer()) != wanted || end.answer().ok() != answered) {
                    check(false, "ended: one combination approves",
                          std::to_string(kind) + ", " + std::to_string(code) + ", " + std::to_string(decision));
                }
            }
        }
    }
    mfa_event event = MFA_EVENT_INIT;
    event.kind = MFA_EVENT_ENDED;
    event.ticket = 1ULL << 40;
    event.code = MFA_ERR_RATE_LIMITED;
    const mfa::ended failed(event, approval(), why);
    check(failed.ticket() == 1ULL << 40 && failed.answer().code() == MFA_ERR_RATE_LIMITED, "ended: ticket and code");
    const auto known = failed.answer().error().last_known();
    check(known && known->id() == 4294967297, "ended: the id is known");
    check(!mfa::ended(event, mfa_transaction MFA_TRANSACTION_INIT, why).answer().error().last_known(),
          "ended: no id is known");
    why.code = MFA_OK;
    check(mfa::ended(event, approval(), why).answer().code() == MFA_ERR_RATE_LIMITED, "ended: the event's code counts");
}

static mfa::client_options here()
{
    return loopback_options("http://127.0.0.1:1");
}

static void use_after_move()
{
    auto first = need(mfa::hyperid::create(here()));
    auto second = std::move(first);
    check(first.native() == nullptr && second.native() != nullptr, "moved: the handle went along");
    const auto answer = first.availability("token");
    check_code("moved: availability", answer, MFA_ERR_NULL_POINTER);
    check(answer.error().message() == "this client was moved from", "moved: it says so", answer.error().message());
    check(answer.error().provider() == mfa::provider::hyperid, "moved: whose call it was");
    check_code("moved: two_factor_types", first.two_factor_types("token"), MFA_ERR_NULL_POINTER);
    check_code("moved: start", first.start("token", question()), MFA_ERR_NULL_POINTER);
    check_code("moved: status", first.status("token", 1), MFA_ERR_NULL_POINTER);
    check_code("moved: cancel", first.cancel("token", 1), MFA_ERR_NULL_POINTER);
    check_code("moved: wait", first.wait("token", 1), MFA_ERR_NULL_POINTER);
    check_code("moved: confirm", first.confirm("token", question()), MFA_ERR_NULL_POINTER);
    first = std::move(second);
    check_code("moved: back again", first.availability("token", within(2s)), MFA_ERR_CONNECT);
    auto& same = first;
    first = std::move(same);
    check(first.native() != nullptr, "moved: to itself");

    auto capillary = need(mfa::capillary::create(here()));
    const auto other = std::move(capillary);
    check_code("moved: is_mfa_registered", capillary.is_mfa_registered("b", "d", "t"), MFA_ERR_NULL_POINTER);
    check(capillary.is_mfa_registered("b", "d", "t").error().provider() == mfa::provider::capillary,
          "moved: whose call it was, Capillary");

    auto made = mfa::hyperid::create(here());
    const auto taken = std::move(made).value();
    check(made.ok() && made.value().native() == nullptr, "moved: out of a result");
    check_code("moved: what is left in the result", made.value().availability("t"), MFA_ERR_NULL_POINTER);
}

// A log that tells when it ends: not before the client that uses it.
static void the_log_lives_as_long_as_the_client()
{
    const auto alive = std::make_shared<int>(0);
    const std::weak_ptr<int> watch = alive;
    auto options = here();
    options.log_level = mfa::log_level::debug;
    options.log = [kept = alive](mfa::log_level, std::string_view) { ++*kept; };
    const auto before = alive.use_count();
    {
        auto client = need(mfa::hyperid::create(options));
        check(alive.use_count() == before + 1, "log: the client keeps a copy");
        check(*alive > 0, "log: http is worth a warning");
        auto moved = std::move(client);
        *alive = 0;
        static_cast<void>(moved.availability("token", within(500ms)));
        check(*alive > 0, "log: it moves with the client");
        moved = need(mfa::hyperid::create(here()));
        check(alive.use_count() == before, "log: dropped with its client, by assignment");
        moved = need(mfa::hyperid::create(options));
    }
    check(alive.use_count() == before, "log: dropped with its client");
    options.base_url = "ftp://nowhere";
    check_code("log: a client that could not be made", mfa::hyperid::create(options), MFA_ERR_INVALID_URL);
    check(alive.use_count() == before, "log: dropped when no client was made");
}

static void the_library()
{
    check(mfa::version() == mfa_version() && mfa::abi_version() == MFA_ABI_VERSION, "version");
    check(mfa::code_name(MFA_ERR_TLS) == "MFA_ERR_TLS" && mfa::code_name(123456) == "MFA_ERR_?", "code_name");
    const auto digits = mfa::control_code().value();
    check(digits.size() == 2 && digits.find_first_not_of("0123456789") == digits.npos, "control_code", digits);
    check_code("create: production", mfa::hyperid::create(), MFA_OK);
    check_code("create: Capillary needs a base_url", mfa::capillary::create({}), MFA_ERR_INVALID_ARGUMENT);
    mfa::client_options options;
    options.base_url = "http://example.com";
    check_code("create: http elsewhere", mfa::hyperid::create(options), MFA_ERR_INSECURE_URL);
    options.allow_loopback_http = true;
    check_code("create: http elsewhere, with leave", mfa::hyperid::create(options), MFA_ERR_INSECURE_URL);
}

int main()
{
    in_words_of_the_library();
    errors_say_all();
    results();
    approvals();
    ends();
    use_after_move();
    the_log_lives_as_long_as_the_client();
    the_library();
    return check_finish();
}
