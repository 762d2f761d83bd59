// Every call against the sandbox: each decision, each group of errors, text of all kinds.
#include "check.hpp"

#include <functional>
#include <thread>

static void the_questions(const mfa::hyperid& client)
{
    check(client.availability(fresh("approve")).value().available(), "availability: linked");
    check(!client.availability(fresh("no-app")).value().available(), "availability: not linked");
    const auto types = client.two_factor_types(fresh("methods-3,0,9")).value();
    check(types.has(mfa::method::app) && types.has(mfa::method::email) && types.has(mfa::method::other) &&
              !types.has(mfa::method::sms) && !types.has(mfa::method::totp),
          "two_factor_types: which");
    check(types.count() == 3 && types.raw() == std::vector<std::int32_t>{3, 0, 9}, "two_factor_types: the server's own");
    const auto none = client.two_factor_types(fresh("methods-none")).value();
    check(none.count() == 0 && none.raw().empty(), "two_factor_types: none");
}

static void registrations()
{
    const auto client = need(mfa::capillary::create(loopback_options(sandbox_url("MFA_TEST_CAPILLARY_URL"))));
    const auto state = [&](const char* brand, const std::string& token) {
        return client.is_mfa_registered(brand, "my-device", token).value();
    };
    const auto yes = state("demo-brand", fresh("registered"));
    check(yes.state() == mfa::registration_state::registered && yes.raw_code() == 200 && yes.http_status() == 200,
          "is_mfa_registered: registered");
    check(state("demo-brand", fresh("not-registered")).state() == mfa::registration_state::not_registered,
          "is_mfa_registered: not registered");
    check(state("no-mfa-brand", fresh("registered")).state() == mfa::registration_state::not_enabled,
          "is_mfa_registered: not enabled");
    const auto refused = client.is_mfa_registered("demo-brand", "my-device", fresh("token-expired"));
    check_code("is_mfa_registered: token expired", refused, MFA_ERR_TOKEN_EXPIRED);
    check(refused.error().provider() == mfa::provider::capillary && refused.error().provider_code() == 401,
          "is_mfa_registered: the provider's number");
    check_code("is_mfa_registered: an empty brand", client.is_mfa_registered("", "d", "t"), MFA_ERR_INVALID_ARGUMENT);
}

static void decisions(const mfa::hyperid& client)
{
    const struct {
        const char* behaviours;
        mfa::decision decision;
    } rows[] = {
        {"approve", mfa::decision::approved},        {"deny", mfa::decision::denied},
        {"expire", mfa::decision::expired},          {"declined", mfa::decision::cancelled},
        {"failed", mfa::decision::failed},           {"approve-after-0", mfa::decision::approved},
        {"deny-after-0+empty-500*2@status", mfa::decision::denied},
    };
    for (const auto& row : rows) {
        const auto answer = client.confirm(fresh(row.behaviours), question(), quick());
        const bool approved = row.decision == mfa::decision::approved;
        check(answer.ok() && answer.value().decision() == row.decision && mfa::is_approved(answer) == approved &&
                  answer.value().approved() == approved && answer.value().id() > UINT32_MAX &&
                  answer.value().polls() > 0,
              std::string("confirm: ") + row.behaviours, in_words(answer.error()));
    }
    const auto unknown = client.confirm(fresh("unknown-status-50"), question(), quick(), within(300ms));
    check_code("confirm: an unknown state", unknown, MFA_ERR_TIMEOUT);
    check(unknown.error().last_known()->decision() == mfa::decision::unknown, "confirm: an unknown state is kept");
}

// The question alone, where a request would say no more.
static void a_question_is_enough(const mfa::hyperid& client)
{
    const std::string text = "Pay 12.00?";
    check(mfa::is_approved(client.confirm(fresh("approve-after-0"), "Pay 12.00?", quick())), "question: a literal");
    const auto denied = client.confirm(fresh("deny-after-0"), text, quick(), within(10s));
    check(denied.ok() && !mfa::is_approved(denied), "question: a string, and the answer is no");
    const auto cut = std::string_view(text).substr(0, 3);
    check(mfa::is_approved(client.confirm(fresh("approve-after-0"), cut, quick())), "question: a part of one");
    const auto braced = client.confirm(fresh("approve-after-0"), {"Pay?"}, quick());
    check(mfa::is_approved(braced), "question: a request in braces is one still");
    check(client.start(fresh("never"), text).ok(), "question: start");
    check_code("question: empty", client.confirm(fresh("approve"), ""), MFA_ERR_INVALID_ARGUMENT);
    check_code("question: a NUL byte", client.confirm(fresh("approve"), std::string("Pay\0?", 5)),
               MFA_ERR_INVALID_ARGUMENT);
    auto waiter = need(mfa::waiter::create(client));
    bool approved = false;
    mfa::wait_callbacks calls;
    calls.on_ended = [&](const mfa::ended& end) { approved = mfa::is_approved(end); };
    check(waiter.confirm(fresh("approve-after-0"), text, calls, quick()).ok(), "question: a waiter takes it");
    while (waiter.count() > 0 && waiter.next(1s).ok()) {
    }
    check(approved, "question: and asks it");
}

// As `std::getenv` has it for what is not set.
static void no_text_at_all(const mfa::hyperid& client)
{
    const char* none = std::getenv("MFA_TEST_NOBODY_SETS_THIS");
    char* none_to_write = std::getenv("MFA_TEST_NOBODY_SETS_THIS");
    const auto never = fresh("never");
    check_code("null: availability", client.availability(none), MFA_ERR_NULL_POINTER);
    check_code("null: two_factor_types", client.two_factor_types(none_to_write), MFA_ERR_NULL_POINTER);
    check_code("null: start", client.start(none, question()), MFA_ERR_NULL_POINTER);
    check_code("null: status", client.status(none, 1), MFA_ERR_NULL_POINTER);
    check_code("null: cancel", client.cancel(none, 1), MFA_ERR_NULL_POINTER);
    check_code("null: wait", client.wait(none, 1), MFA_ERR_NULL_POINTER);
    check_code("null: confirm", client.confirm(none, question()), MFA_ERR_NULL_POINTER);
    check_code("null: confirm's question", client.confirm(never, none), MFA_ERR_INVALID_ARGUMENT);
    check_code("null: start's question", client.start(never, none_to_write), MFA_ERR_INVALID_ARGUMENT);
    const auto of_capillary = need(mfa::capillary::create(loopback_options(sandbox_url("MFA_TEST_CAPILLARY_URL"))));
    check_code("null: brand", of_capillary.is_mfa_registered(none, "d", "t"), MFA_ERR_NULL_POINTER);
    check_code("null: device", of_capillary.is_mfa_registered("b", none, "t"), MFA_ERR_NULL_POINTER);
    const auto refused = of_capillary.is_mfa_registered("b", "d", none);
    check_code("null: authorized_token", refused, MFA_ERR_NULL_POINTER);
    check(refused.error().message() == "authorized_token is a null pointer", "null: which", refused.error().message());
    auto waiter = need(mfa::waiter::create(client));
    mfa::wait_callbacks calls;
    calls.on_ended = [](const mfa::ended&) {};
    check_code("null: a waiter's confirm", waiter.confirm(none, question(), calls), MFA_ERR_NULL_POINTER);
    check_code("null: a waiter's wait", waiter.wait(none, 1, calls), MFA_ERR_NULL_POINTER);
    // In C, NULL would give up.
    check_code("null: give_token", waiter.give_token(1, none), MFA_ERR_NULL_POINTER);
    check(waiter.count() == 0, "null: nothing was added");
}

// What is a text to a program, if the compiler knows how.
static void texts_of_many_kinds(const mfa::hyperid& client)
{
    struct own {
        std::string inside;
        operator std::string_view() const { return inside; }
    };
    const auto token = fresh("approve-after-0");
    check_code("text: a pointer", client.availability(token.c_str()), MFA_OK);
    check_code("text: a view", client.availability(std::string_view(token)), MFA_OK);
    check_code("text: a temporary", client.availability(std::string(token)), MFA_OK);
    check_code("text: a class that can be seen as one", client.availability(own{token}), MFA_OK);
    check_code("text: a NUL byte", client.availability(std::string_view("a\0b", 3)), MFA_ERR_INVALID_ARGUMENT);
    check_code("text: empty", client.availability(""), MFA_ERR_INVALID_ARGUMENT);
}

static void step_by_step(const mfa::hyperid& client)
{
    const auto token = fresh("approve-after-300");
    const auto id = client.start(token, question()).value();
    check(id > UINT32_MAX, "start: an id");
    const auto pending = client.status(token, id).value();
    check(pending.decision() == mfa::decision::pending && !pending.approved() && pending.id() == id, "status: pending");
    const auto answer = client.wait(token, id, quick());
    check(mfa::is_approved(answer) && answer.value().id() == id, "wait: approved");
    check(mfa::is_approved(client.status(token, id)), "status: approved");
    check_code("cancel: the person was faster", client.cancel(token, id), MFA_ERR_ALREADY_COMPLETED);

    const auto phone = fresh("phone");
    const auto second = client.start(phone, question()).value();
    check_code("cancel: in time", client.cancel(phone, second), MFA_OK);
    check(client.status(phone, second).value().decision() == mfa::decision::cancelled, "status: cancelled");
    check_code("cancel: twice", client.cancel(phone, second), MFA_ERR_ALREADY_CANCELLED);
    check_code("status: no such transaction", client.status(phone, second + 1000000), MFA_ERR_TRANSACTION_NOT_FOUND);
}

static void groups_of_errors(const mfa::hyperid& client)
{
    const auto asked = [&](const char* behaviours) {
        return client.confirm(fresh(behaviours), question(), quick(), within(1s));
    };
    const struct {
        const char* behaviours;
        mfa_code code;
    } rows[] = {
        {"close-before-answer@start", MFA_ERR_CONNECTION_LOST},
        {"silent@start", MFA_ERR_TIMEOUT},
        {"not-json@availability", MFA_ERR_MALFORMED_ANSWER},
        {"deep-nesting@availability", MFA_ERR_ANSWER_TOO_LARGE},
        {"wrong-id+approve-after-0", MFA_ERR_CONTRADICTORY_ANSWER},
        {"redirect@availability", MFA_ERR_HTTP_STATUS},
        {"token-expired", MFA_ERR_TOKEN_EXPIRED},
        {"token-invalid", MFA_ERR_TOKEN_INVALID},
        {"no-scope", MFA_ERR_ACCESS_DENIED},
        {"unavailable@start", MFA_ERR_UNAVAILABLE},
        {"rate-limited-9@availability", MFA_ERR_RATE_LIMITED},
        {"refuse--2@start", MFA_ERR_PROVIDER_INVALID_PARAMETERS},
        {"refuse--2@status", MFA_ERR_PROVIDER_INVALID_PARAMETERS},
        {"refuse--7@start", MFA_ERR_DEVICE_NOT_FOUND},
        {"refuse--8@start", MFA_ERR_TEMPLATE_NOT_FOUND},
        {"refuse--77@start", MFA_ERR_PROVIDER_REFUSED},
        {"no-app", MFA_ERR_AUTHENTICATOR_NOT_LINKED},
    };
    for (const auto& row : rows) {
        const auto answer = asked(row.behaviours);
        check_code(std::string("error: ") + row.behaviours, answer, row.code);
        check(!mfa::is_approved(answer) && !answer.error().advice().empty() &&
                  answer.error().provider() == mfa::provider::hyperid,
              std::string("error: no approval, advice: ") + row.behaviours);
    }
    const auto limited = asked("rate-limited-9@availability").error();
    check(limited.retry_after() == 9s && limited.retryable() && limited.http_status() == 429, "error: retry_after");
    const auto lost = asked("lose-start").error();
    check(lost.outcome_unknown() && !lost.last_known() && !lost.retryable(), "error: outcome unknown, no id");
    const auto contradiction = asked("wrong-id+approve-after-0").error();
    check(contradiction.last_known() && contradiction.last_known()->id() > 0, "error: the id is there beside it");
    check(asked("refuse--77@start").error().provider_code() == -77, "error: the provider's number");

    // The calling program, and the network.
    check_code("error: an empty token", client.availability(""), MFA_ERR_INVALID_ARGUMENT);
    check_code("error: a token that is none", client.availability("Füße"), MFA_ERR_INVALID_ARGUMENT);
    check_code("error: a token that is not UTF-8", client.availability("\xff"), MFA_ERR_INVALID_UTF8);
    check_code("error: no question", client.start(fresh("phone"), {}), MFA_ERR_INVALID_ARGUMENT);
    check_code("error: an id of 0", client.status(fresh("phone"), 0), MFA_ERR_INVALID_ARGUMENT);
    check_code("error: a negative id", client.wait(fresh("phone"), -1), MFA_ERR_INVALID_ARGUMENT);
    auto backwards = quick();
    backwards.max_interval = 10ms;
    check_code("error: intervals the wrong way round", client.wait(fresh("phone"), 1, backwards),
               MFA_ERR_INVALID_ARGUMENT);
    const auto nobody = need(mfa::hyperid::create(loopback_options("http://127.0.0.1:1")));
    const auto refused = nobody.availability("token", within(1s));
    check_code("error: nobody there", refused, MFA_ERR_CONNECT);
    check(refused.error().os_error().has_value() && refused.error().attempts() > 0, "error: the system's number");
}

static void text_of_all_kinds(const mfa::hyperid& client)
{
    const auto token = fresh("phone");
    for (const char* text : {"Zapłacić 5 € — Łucja?", "支払いますか？", "👩‍👩‍👧 ?", "\"quoted\" \\ <b>\n\t", "é"}) {
        mfa::request request;
        request.question = text;
        request.device_desc = std::string_view(text);
        request.any_code = true;
        request.code = text;
        check_code(std::string("text: ") + (text[0] == '"' ? "escapes" : text), client.start(token, request), MFA_OK);
    }
    mfa::request request;
    request.question = "a\xc3";
    check_code("text: cut in a character", client.start(token, request), MFA_ERR_INVALID_UTF8);
    request.question = "Sign in?";
    request.values_json = "{}";
    check_code("text: question and values", client.start(token, request), MFA_ERR_INVALID_ARGUMENT);
}

static void logs()
{
    std::string lines;
    auto options = loopback_options(sandbox_url());
    options.log_level = mfa::log_level::debug;
    options.log = [&](mfa::log_level, std::string_view message) { lines += std::string(message) + "\n"; };
    const auto client = need(mfa::hyperid::create(options));
    const auto token = fresh("approve");
    static_cast<void>(client.availability(token));
    check(lines.find("/mfa-client/availability-check") != lines.npos, "log: a line for the request", lines);
    check(lines.find(token) == lines.npos, "log: no token in it");
#if defined(__cpp_exceptions)
    options.log = [](mfa::log_level, std::string_view) { throw std::runtime_error("from a log"); };
    const auto rude = need(mfa::hyperid::create(options));
    check_code("log: one that throws changes nothing", rude.availability(token), MFA_OK);
#endif
}

int main()
{
    const auto client = hyperid_here();
    the_questions(client);
    registrations();
    decisions(client);
    a_question_is_enough(client);
    no_text_at_all(client);
    texts_of_many_kinds(client);
    step_by_step(client);
    groups_of_errors(client);
    text_of_all_kinds(client);
    logs();
    return check_finish();
}
