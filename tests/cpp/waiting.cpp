// Waits: deadlines, cancels from another thread and from a stop token, progress, tokens that expire,
// and callables that throw.
//
// The rules promise an end within 50 ms of a cancel; what is asserted is more generous, because a busy
// machine may let a thread wait.
#include "check.hpp"

#include <csignal>
#include <thread>

static constexpr auto generous = 2000ms;

class stopwatch {
public:
    [[nodiscard]] std::chrono::milliseconds took() const
    {
        return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start_);
    }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

static void check_took(const std::string& name, std::chrono::milliseconds took, std::chrono::milliseconds least)
{
    check(took >= least - 10ms && took < least + generous, name, "it took " + std::to_string(took.count()) + " ms");
}

static void deadlines(const mfa::hyperid& client)
{
    const stopwatch confirming;
    const auto answer = client.confirm(fresh("never"), question(), quick(), within(400ms));
    check_took("deadline: confirm keeps it", confirming.took(), 400ms);
    check_code("deadline: confirm", answer, MFA_ERR_TIMEOUT);
    const auto known = answer.error().last_known();
    check(known && known->id() > 0 && known->decision() == mfa::decision::pending && known->polls() > 0 &&
              known->elapsed() > 0ms,
          "deadline: the id and the last state are known");

    const stopwatch asking;
    check_code("deadline: availability", client.availability(fresh("silent"), within(200ms)), MFA_ERR_TIMEOUT);
    check_took("deadline: availability keeps it", asking.took(), 200ms);
    auto options = loopback_options(sandbox_url());
    options.request_timeout = 150ms;
    const auto hasty = need(mfa::hyperid::create(options));
    const stopwatch by_default;
    check(!hasty.availability(fresh("silent")).ok(), "deadline: the client's own");
    check_took("deadline: the client's own is kept", by_default.took(), 150ms);

    auto wait = quick();
    wait.cancel_on_timeout = true;
    const auto token = fresh("phone");
    const auto withdrawn = client.confirm(token, question(), wait, within(600ms));
    check_code("deadline: cancel_on_timeout", withdrawn, MFA_ERR_TIMEOUT);
    check(withdrawn.error().last_known()->decision() == mfa::decision::cancelled, "deadline: it was cancelled");
}

static void withdrawn_at_a_wish(const mfa::hyperid& client)
{
    auto wait = quick();
    wait.withdraw_on_cancel = true;
    wait.on_update = [](const mfa::snapshot& so_far) {
        return so_far.polls() == 1 ? mfa::waiting::stop : mfa::waiting::go_on;
    };
    const auto answer = client.confirm(fresh("phone"), question(), wait, within(20s));
    check_code("withdraw: cancelled", answer, MFA_ERR_CANCELLED);
    check(answer.error().withdrawn(), "withdraw: confirmed");
    check(answer.error().last_known()->decision() == mfa::decision::cancelled, "withdraw: it was cancelled");
    wait.withdraw_on_cancel = false;
    const auto left = client.confirm(fresh("phone"), question(), wait, within(20s));
    check(!left.ok() && !left.error().withdrawn(), "withdraw: only when asked");
}

static void cancelled_elsewhere(const mfa::hyperid& client)
{
    const mfa::cancel stop;
    mfa::call_options options = within(20s);
    options.cancel = stop;
    const stopwatch watch;
    std::thread other([copy = stop] {
        std::this_thread::sleep_for(200ms);
        copy.trigger();
        copy.trigger();
    });
    const auto answer = client.confirm(fresh("never"), question(), quick(), options);
    check_took("cancel: soon", watch.took(), 200ms);
    other.join();
    check_code("cancel: from another thread", answer, MFA_ERR_CANCELLED);
    check(answer.error().last_known() && answer.error().last_known()->id() > 0, "cancel: the id is known");
    const auto id = answer.error().last_known()->id();
    check_code("cancel: for good", client.status(fresh("never"), id, options), MFA_ERR_CANCELLED);

    // Many calls at once, and a handle that nobody else keeps.
    mfa::call_options shared = within(20s);
    shared.cancel = mfa::cancel();
    std::thread calls[4];
    std::atomic<int> cancelled{0};
    for (auto& call : calls) {
        call = std::thread([&client, shared, &cancelled] {
            cancelled += client.availability(fresh("silent"), shared).code() == MFA_ERR_CANCELLED ? 1 : 0;
        });
    }
    std::this_thread::sleep_for(100ms);
    const auto kept = *shared.cancel;
    shared.cancel.reset();
    kept.trigger();
    for (auto& call : calls) {
        call.join();
    }
    check(cancelled == 4, "cancel: many calls at once", std::to_string(cancelled.load()));
    auto moved_from = mfa::cancel();
    const auto moved = std::move(moved_from);
    check(moved_from.native() == moved.native() && moved.native() != nullptr, "cancel: moving copies");
}

static const mfa::cancel* interrupted;

static void cancelled_by_a_signal(const mfa::hyperid& client)
{
    const mfa::cancel stop;
    interrupted = &stop;
    std::signal(SIGUSR1, [](int) { interrupted->trigger(); });
    mfa::call_options options = within(20s);
    options.cancel = stop;
    std::thread other([] {
        std::this_thread::sleep_for(100ms);
        std::raise(SIGUSR1);
    });
    check_code("cancel: from a signal handler", client.confirm(fresh("never"), question(), quick(), options),
               MFA_ERR_CANCELLED);
    other.join();
    std::signal(SIGUSR1, SIG_DFL);
}

static void cancelled_by_a_stop_token(const mfa::hyperid& client)
{
#ifdef __cpp_lib_jthread
    // On the heap: gcc 12 with sanitizers takes one on the stack for uninitialised.
    const auto source = std::make_unique<std::stop_source>();
    mfa::call_options options = within(20s);
    options.cancel = source->get_token();
    const stopwatch watch;
    std::jthread other([&source] {
        std::this_thread::sleep_for(200ms);
        source->request_stop();
    });
    const auto answer = client.confirm(fresh("never"), question(), quick(), options);
    check_took("stop_token: soon", watch.took(), 200ms);
    check_code("stop_token: confirm", answer, MFA_ERR_CANCELLED);
    check_code("stop_token: requested before the call",
               client.availability(fresh("approve"), {.timeout = 5s, .cancel = source->get_token()}), MFA_ERR_CANCELLED);
    check_code("stop_token: one that nobody can request",
               client.availability(fresh("approve"), {.timeout = 5s, .cancel = std::stop_token()}), MFA_OK);

    // The thread's own token, and a handle that goes before the request comes.
    std::jthread worker([&client](std::stop_token stop) {
        check_code("stop_token: a jthread's", client.confirm(fresh("never"), question(), quick(), {.cancel = stop}),
                   MFA_ERR_CANCELLED);
    });
    std::this_thread::sleep_for(150ms);
    worker.request_stop();
    worker.join();
    std::stop_source late;
    for (int i = 0; i < 1000; i++) {
        const mfa::cancel gone(late.get_token());
    }
    const mfa::cancel stays(late.get_token());
    late.request_stop();
    check_code("stop_token: after many others", client.availability(fresh("approve"), {.cancel = stays}),
               MFA_ERR_CANCELLED);

    // Requests race with handles that come and go.
    for (int i = 0; i < 300; i++) {
        std::stop_source racing;
        std::jthread requester([&racing] { racing.request_stop(); });
        const mfa::cancel handle(racing.get_token());
    }
    check(true, "stop_token: a race of requests and handles");
#else
    static_cast<void>(client);
#endif
}

static void progress(const mfa::hyperid& client)
{
    std::int64_t first_id = 0;
    std::uint32_t polls = 0;
    bool in_order = true;
    auto last = mfa::decision::none;
    auto wait = quick();
    wait.on_update = [&](const mfa::snapshot& so_far) {
        in_order = in_order && so_far.polls() == polls++;
        first_id = polls == 1 ? so_far.id() : first_id;
        last = so_far.decision();
        // It may use libmfa.
        in_order = in_order && client.availability(fresh("approve")).value().available();
        return mfa::waiting::go_on;
    };
    const auto answer = client.confirm(fresh("approve-after-300"), question(), wait);
    check(mfa::is_approved(answer) && in_order && polls > 1 && answer.value().id() == first_id &&
              last == mfa::decision::approved,
          "on_update: each poll in order, and the id first");

    int looked = 0;
    wait.on_update = [&](const mfa::snapshot& so_far) { looked += so_far.id() > 0 ? 1 : 0; };
    const auto seen = client.confirm(fresh("approve-after-200"), question(), wait);
    check(mfa::is_approved(seen) && looked > 1, "on_update: one that returns nothing lets the wait go on");
    const std::function<void(const mfa::snapshot&)> nobody;
    wait.on_update = nobody;
    check(!wait.on_update, "on_update: an empty function is none");
    auto copied = wait.on_update;
    check(!copied && !mfa::update_callback(copied), "on_update: none stays none when it is copied");
    wait.on_update = [&](const mfa::snapshot& so_far) {
        return so_far.polls() == 2 ? mfa::waiting::stop : mfa::waiting::go_on;
    };
    const auto stopped = client.confirm(fresh("never"), question(), wait);
    check_code("on_update: ends the wait", stopped, MFA_ERR_CANCELLED);
    check(stopped.error().last_known()->polls() == 2, "on_update: the last state is known");
    wait.on_update = [&](const mfa::snapshot&) { return mfa::waiting::stop; };
    const auto token = fresh("approve-after-0");
    const auto id = client.start(token, question()).value();
    check(mfa::is_approved(client.wait(token, id, wait)), "on_update: an answer that is there counts");
}

static void fresh_tokens(const mfa::hyperid& client)
{
    auto wait = quick();
    int asked = 0;
    auto token = fresh("token-expires-after-2+approve-after-500");
    wait.access_token_provider = [&]() -> std::optional<std::string> {
        asked++;
        return same_person("phone", token);
    };
    check(mfa::is_approved(client.confirm(token, question(), wait)) && asked == 1, "token: a fresh one goes on");
    wait.access_token_provider = [&]() -> std::optional<std::string> { return std::nullopt; };
    token = fresh("token-expires-after-1+phone");
    const auto given_up = client.confirm(token, question(), wait);
    check_code("token: none to be had", given_up, MFA_ERR_TOKEN_EXPIRED);
    check(given_up.error().last_known() && given_up.error().last_known()->id() > 0, "token: the id is known");
    wait.access_token_provider = [&]() -> std::optional<std::string> { return std::string("cut\0here", 8); };
    check_code("token: one with a NUL", client.confirm(fresh("token-expires-after-1+phone"), question(), wait),
               MFA_ERR_INVALID_ARGUMENT);
    wait.access_token_provider = [&]() -> std::optional<std::string> { return "not one"; };
    check(!client.confirm(fresh("token-expires-after-1+phone"), question(), wait).ok(), "token: one that is none");
}

#if defined(__cpp_exceptions)
struct thrown_here {
    int number;
};

static void callables_that_throw(const mfa::hyperid& client)
{
    auto wait = quick();
    int calls = 0;
    std::int64_t id = 0;
    wait.on_update = [&](const mfa::snapshot& so_far) -> mfa::waiting {
        id = so_far.id();
        if (++calls == 3) {
            throw thrown_here{calls};
        }
        return mfa::waiting::go_on;
    };
    int caught = 0;
    const auto token = fresh("never");
    try {
        static_cast<void>(client.confirm(token, question(), wait));
    } catch (const thrown_here& e) {
        caught = e.number;
    }
    check(caught == 3 && calls == 3, "on_update throws: the wait ends and it is caught");
    check_code("on_update throws: the client is as good as before", client.status(token, id), MFA_OK);

    wait.on_update = nullptr;
    wait.access_token_provider = []() -> std::optional<std::string> { throw std::invalid_argument("no token"); };
    std::string what;
    try {
        static_cast<void>(client.confirm(fresh("token-expires-after-1+phone"), question(), wait));
    } catch (const std::invalid_argument& e) {
        what = e.what();
    }
    check(what == "no token", "access_token_provider throws: it is caught", what);

    // An error of a call that a callable makes with value() comes through as it is.
    wait.on_update = [&](const mfa::snapshot&) {
        static_cast<void>(client.availability(fresh("token-expired")).value());
        return mfa::waiting::go_on;
    };
    mfa_code code = MFA_OK;
    try {
        static_cast<void>(client.confirm(fresh("never"), question(), wait));
    } catch (const mfa::exception& e) {
        code = e.error().code();
    }
    check(code == MFA_ERR_TOKEN_EXPIRED, "on_update throws: an mfa::exception from within");
    std::int64_t known = 0;
    try {
        static_cast<void>(client.confirm(fresh("never"), question(), quick(), within(300ms)).value());
    } catch (const mfa::exception& e) {
        known = e.error().last_known()->id();
    }
    check(known > 0, "value() throws: the id is in the exception");
}
#endif

int main()
{
    const auto client = hyperid_here();
    deadlines(client);
    withdrawn_at_a_wish(client);
    cancelled_elsewhere(client);
    cancelled_by_a_signal(client);
    cancelled_by_a_stop_token(client);
    progress(client);
    fresh_tokens(client);
#if defined(__cpp_exceptions)
    callables_that_throw(client);
#endif
    return check_finish();
}
