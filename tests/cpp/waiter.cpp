// A waiter: many people at once on one thread, callables, tokens, cancels, resuming, threads, a forked
// child, a loop of the program's own, and callables that throw.
#include "check.hpp"

#include <algorithm>
#include <map>
#include <poll.h>
#include <set>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

static constexpr auto patience = 60s;

static mfa::waiter waiter_for(const mfa::hyperid& client, const mfa::waiter_options& options = {})
{
    return need(mfa::waiter::create(client, options));
}

// Drives until it holds, or for so long that something must be wrong.
template <class Condition>
static bool drive(mfa::waiter& waiter, Condition holds)
{
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end || !waiter.next(100ms).ok()) {
            return false;
        }
    }
    return true;
}

static bool drain(mfa::waiter& waiter)
{
    return drive(waiter, [&] { return waiter.count() == 0; });
}

// What the callables of one wait saw.
struct seen {
    int started = 0;
    int updates = 0;
    int refusals = 0;
    int ends = 0;
    std::int64_t id = 0;
    std::uint64_t ticket = 0;
    bool in_order = true;
    std::optional<mfa::ended> end;
    mfa_code refusal = MFA_OK;
};

static mfa::wait_callbacks callbacks(seen& seen)
{
    mfa::wait_callbacks calls;
    calls.on_started = [&seen](std::uint64_t ticket, const mfa::snapshot& so_far) {
        seen.in_order = seen.in_order && seen.started == 0 && seen.updates == 0 && seen.ends == 0;
        seen.started++;
        seen.id = so_far.id();
        seen.ticket = ticket;
    };
    calls.on_ended = [&seen](const mfa::ended& end) {
        seen.ends++;
        seen.in_order = seen.in_order && (seen.ticket == 0 || seen.ticket == end.ticket());
        seen.end = end;
    };
    return calls;
}

static mfa_code code_of(const seen& seen) { return seen.end ? seen.end->answer().code() : MFA_ERR_NOT_ENDED; }

static void check_end(const std::string& name, const seen& seen, mfa_code wanted)
{
    const bool same = seen.ends == 1 && code_of(seen) == wanted;
    const auto found = seen.end ? in_words(seen.end->answer().error()) : "nothing";
    check(same && seen.in_order, name, std::to_string(seen.ends) + " ends, " + found);
}

struct person {
    const char* behaviours;
    mfa::decision decision;
};

static constexpr person people[] = {
    {"approve-after-0", mfa::decision::approved},    {"deny-after-0", mfa::decision::denied},
    {"expire-after-0", mfa::decision::expired},      {"declined-after-0", mfa::decision::cancelled},
    {"failed-after-0", mfa::decision::failed},       {"approve-after-300", mfa::decision::approved},
    {"deny-after-300+slow-50", mfa::decision::denied}, {"approve+wrong-id", mfa::decision::none},
};

static bool is_as_wanted(const seen& seen, const person& person)
{
    const bool once = seen.started == 1 && seen.ends == 1 && seen.in_order && seen.id > 0;
    if (!once || mfa::is_approved(*seen.end) != (person.decision == mfa::decision::approved)) {
        return false;
    }
    const auto& answer = seen.end->answer();
    if (person.decision == mfa::decision::none) {
        return !answer.ok() && !seen.end->approved();
    }
    return answer.ok() && answer.value().decision() == person.decision && answer.value().id() == seen.id &&
           mfa::is_approved(answer) == seen.end->approved();
}

static void many_people(const mfa::hyperid& client)
{
    constexpr std::size_t count = 200;
    mfa::waiter_options options;
    options.max_connections = 16;
    auto waiter = waiter_for(client, options);
    std::vector<seen> all(count);
    std::set<std::uint64_t> tickets;
    for (std::size_t i = 0; i < count; i++) {
        tickets.insert(
            waiter.confirm(fresh(people[i % std::size(people)].behaviours), question(), callbacks(all[i]), quick())
                .value());
    }
    check(tickets.size() == count && tickets.count(0) == 0, "many: each has its ticket");
    check(waiter.count() == count, "many: count", std::to_string(waiter.count()));
    check(drain(waiter), "many: all end");
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < count; i++) {
        wrong += is_as_wanted(all[i], people[i % std::size(people)]) ? 0 : 1;
        tickets.erase(all[i].ticket);
    }
    check(wrong == 0, "many: each gets its own person's answer", std::to_string(wrong));
    check(tickets.empty(), "many: each is told its ticket");
    check(waiter.next(0ms).value() == mfa::event_kind::none, "many: nothing is left");
}

// One person who approves after a while, and how often `next` said what.
static std::map<mfa::event_kind, int> what_happens(mfa::waiter& waiter, const mfa::wait_callbacks& calls)
{
    std::map<mfa::event_kind, int> kinds;
    static_cast<void>(waiter.confirm(fresh("approve-after-500"), question(), calls, quick()).value());
    const auto end = std::chrono::steady_clock::now() + patience;
    while (waiter.count() > 0 && std::chrono::steady_clock::now() < end) {
        kinds[waiter.next(50ms).value()]++;
    }
    return kinds;
}

static void what_next_says(const mfa::hyperid& client)
{
    auto waiter = waiter_for(client);
    seen it;
    auto calls = callbacks(it);
    auto kinds = what_happens(waiter, calls);
    check(kinds[mfa::event_kind::ended] == 1, "next: it ends");
    check(kinds[mfa::event_kind::update] == 0, "next: no updates unless on_update is there");

    calls.on_update = [&](std::uint64_t ticket, const mfa::snapshot& so_far) {
        it.updates++;
        it.in_order = it.in_order && it.started == 1 && ticket == it.ticket && so_far.id() == it.id &&
                      so_far.decision() == mfa::decision::pending && so_far.polls() > 0;
    };
    it = seen();
    kinds = what_happens(waiter, calls);
    check_end("next: updates", it, MFA_OK);
    check(it.updates > 0 && kinds[mfa::event_kind::update] == it.updates, "next: each update is an event");
    check(kinds[mfa::event_kind::started] == 1 && kinds[mfa::event_kind::ended] == 1, "next: one start, one end");
}

static mfa::wait_callbacks callbacks_with_token(seen& seen)
{
    auto calls = callbacks(seen);
    calls.on_token_refused = [&seen](std::uint64_t ticket, const mfa::snapshot&, const mfa::error& refusal) {
        seen.refusals++;
        seen.ticket = ticket;
        seen.refusal = refusal.code();
    };
    return calls;
}

static void fresh_tokens(const mfa::hyperid& client)
{
    auto waiter = waiter_for(client);
    const auto behaviours = "token-expires-after-1+approve-after-400";
    seen later;
    const auto token = fresh(behaviours);
    static_cast<void>(waiter.confirm(token, question(), callbacks_with_token(later), quick()).value());
    check(drive(waiter, [&] { return later.refusals == 1; }) && later.refusal == MFA_ERR_TOKEN_EXPIRED,
          "token: it is asked for");
    check_code("token: one with a NUL", waiter.give_token(later.ticket, std::string_view("cut\0here", 8)),
               MFA_ERR_INVALID_ARGUMENT);
    check_code("token: none that it could be", waiter.give_token(later.ticket, "not one"), MFA_ERR_INVALID_ARGUMENT);
    check_code("token: given later", waiter.give_token(later.ticket, same_person("phone", token)), MFA_OK);
    check(drain(waiter), "token: it goes on");
    check_end("token: the answer with the new one", later, MFA_OK);
    check(later.refusals == 1 && mfa::is_approved(*later.end), "token: approved, and asked for once");
    check_code("token: for one that has ended", waiter.give_token(later.ticket, "token"), MFA_OK);

    seen at_once;
    auto calls = callbacks_with_token(at_once);
    const auto expired = fresh(behaviours);
    calls.on_token_refused = [&](std::uint64_t ticket, const mfa::snapshot&, const mfa::error&) {
        check_code("token: given at once", waiter.give_token(ticket, same_person("phone", expired)), MFA_OK);
    };
    static_cast<void>(waiter.confirm(expired, question(), calls, quick()).value());
    check(drain(waiter) && at_once.end && mfa::is_approved(*at_once.end), "token: given by the callable");

    seen given_up, never_asked;
    auto gives_up = callbacks(given_up);
    gives_up.on_token_refused = [&](std::uint64_t ticket, const mfa::snapshot&, const mfa::error&) {
        check_code("token: give_up", waiter.give_up(ticket), MFA_OK);
    };
    static_cast<void>(waiter.confirm(fresh(behaviours), question(), gives_up, quick()).value());
    static_cast<void>(waiter.confirm(fresh(behaviours), question(), callbacks(never_asked), quick()).value());
    check(drain(waiter), "token: both end");
    check_end("token: given up", given_up, MFA_ERR_TOKEN_EXPIRED);
    check_end("token: without on_token_refused", never_asked, MFA_ERR_TOKEN_EXPIRED);
    check(given_up.end->answer().error().last_known()->id() == given_up.id, "token: the id is known");
}

static void cancels(const mfa::hyperid& client)
{
    auto waiter = waiter_for(client);
    seen left, withdrawn, other;
    const auto token = fresh("never");
    const auto first = waiter.confirm(token, question(), callbacks(left), quick()).value();
    const auto second = waiter.confirm(fresh("phone"), question(), callbacks(withdrawn), quick()).value();
    static_cast<void>(waiter.confirm(fresh("phone"), question(), callbacks(other), quick()).value());
    check(drive(waiter, [&] { return left.started + withdrawn.started + other.started == 3; }), "cancel: three start");
    std::thread elsewhere([&] {
        check_code("cancel: one", waiter.cancel(first), MFA_OK);
        check_code("cancel: one, withdrawn", waiter.cancel(second, mfa::cancelling::withdraw), MFA_OK);
    });
    check(drive(waiter, [&] { return left.ends + withdrawn.ends == 2; }), "cancel: both end");
    elsewhere.join();
    check(other.ends == 0 && waiter.count() == 1, "cancel: the third goes on");
    check_end("cancel: left", left, MFA_ERR_CANCELLED);
    check_end("cancel: withdrawn", withdrawn, MFA_ERR_CANCELLED);
    check(left.end->answer().error().last_known()->id() == left.id && !left.end->answer().error().withdrawn(),
          "cancel: its id is known, and it was not withdrawn");
    check(withdrawn.end->answer().error().withdrawn(), "cancel: the provider confirmed it");
    check(client.status(token, left.id).value().decision() == mfa::decision::pending, "cancel: it is still there");
    check_code("cancel: twice", waiter.cancel(first), MFA_OK);
    check_code("cancel: a ticket that was never given out", waiter.cancel(first + 1000), MFA_ERR_INVALID_ARGUMENT);
    check_code("cancel: ticket 0", waiter.cancel(0), MFA_ERR_INVALID_ARGUMENT);
    check_code("cancel: all", waiter.cancel_all(mfa::cancelling::withdraw), MFA_OK);
    check(drain(waiter) && other.end->answer().error().withdrawn(), "cancel: all end");
}

// A server that stops, and the next one, which goes on with what was saved.
static void a_restart(const mfa::hyperid& client)
{
    constexpr std::size_t count = 20;
    std::vector<std::string> tokens(count);
    std::vector<std::int64_t> saved(count);
    {
        auto waiter = waiter_for(client);
        std::size_t started = 0;
        for (std::size_t i = 0; i < count; i++) {
            tokens[i] = fresh("approve-after-2500");
            mfa::wait_callbacks calls;
            calls.on_started = [&, i](std::uint64_t, const mfa::snapshot& so_far) {
                saved[i] = so_far.id();
                started++;
            };
            calls.on_ended = [&, i](const mfa::ended& end) {
                saved[i] = end.answer().code() == MFA_ERR_CANCELLED ? saved[i] : 0;
            };
            static_cast<void>(waiter.confirm(tokens[i], question(), std::move(calls), quick()).value());
        }
        check(drive(waiter, [&] { return started == count; }), "restart: all are asked");
        check_code("restart: stop", waiter.cancel_all(), MFA_OK);
        check(drain(waiter), "restart: all are given back");
    }
    check(std::count(saved.begin(), saved.end(), 0) == 0, "restart: all are saved");
    auto waiter = waiter_for(client);
    std::vector<seen> all(count);
    for (std::size_t i = 0; i < count; i++) {
        static_cast<void>(waiter.wait(tokens[i], saved[i], callbacks(all[i]), quick()).value());
    }
    check(drain(waiter), "restart: all end");
    const bool approved = std::all_of(all.begin(), all.end(), [](const seen& seen) {
        return seen.started == 0 && seen.ends == 1 && mfa::is_approved(*seen.end);
    });
    check(approved, "restart: each answer arrives, and none is asked again");
}

static void deadlines_and_wakes(const mfa::hyperid& client)
{
    auto waiter = waiter_for(client);
    check(waiter.next(0ms).value() == mfa::event_kind::none, "wake: nothing to do");
    waiter.wake();
    waiter.wake();
    const auto start = std::chrono::steady_clock::now();
    check(waiter.next(patience).value() == mfa::event_kind::none, "wake: before next");
    check(waiter.next(50ms).value() == mfa::event_kind::none, "wake: several count as one");
    std::thread elsewhere([&] {
        std::this_thread::sleep_for(100ms);
        waiter.wake();
    });
    check(waiter.next(patience).value() == mfa::event_kind::none, "wake: from another thread");
    elsewhere.join();
    check(std::chrono::steady_clock::now() - start < patience / 2, "wake: soon");

    seen late;
    static_cast<void>(waiter.confirm(fresh("never"), question(), callbacks(late), quick(), within(400ms)).value());
    check(drain(waiter), "deadline: it ends");
    check_end("deadline: kept", late, MFA_ERR_TIMEOUT);
    check(late.end->answer().error().last_known()->id() == late.id, "deadline: the id is known");
    check_code("next: a negative time", waiter.next(-1ms), MFA_ERR_INVALID_ARGUMENT);
    check_code("next: too long a time", waiter.next(std::chrono::hours(24 * 365)), MFA_ERR_INVALID_ARGUMENT);
}

// In a poll(2) loop, with nothing called unless the descriptor is readable.
static void a_loop_of_ones_own(const mfa::hyperid& client)
{
    auto waiter = waiter_for(client);
    const auto fd = waiter.fd();
    if (!check(fd && *fd > 2, "fd: there is one")) {
        return;
    }
    std::vector<seen> all(20);
    for (auto& seen : all) {
        static_cast<void>(waiter.confirm(fresh("approve-after-300"), question(), callbacks(seen), quick()).value());
    }
    const auto end = std::chrono::steady_clock::now() + patience;
    pollfd watched = {*fd, POLLIN, 0};
    while (waiter.count() > 0 && std::chrono::steady_clock::now() < end) {
        if (poll(&watched, 1, 1000) == 1) {
            static_cast<void>(waiter.next(0ms).value());
        }
    }
    check(std::all_of(all.begin(), all.end(), [](const seen& seen) { return seen.end && mfa::is_approved(*seen.end); }),
          "fd: all are approved");
    check(waiter.fd() == fd, "fd: it keeps its number");
}

// Refused before anything is kept or called.
static void what_is_refused(const mfa::hyperid& client)
{
    mfa::waiter_options none;
    none.max_connections = 0;
    check_code("refused: no connections", mfa::waiter::create(client, none), MFA_ERR_INVALID_ARGUMENT);
    none = {};
    none.max_requests_per_second = 0;
    check_code("refused: no requests", mfa::waiter::create(client, none), MFA_ERR_INVALID_ARGUMENT);

    auto waiter = waiter_for(client);
    seen it;
    const auto alive = std::make_shared<int>(0);
    auto calls = callbacks(it);
    calls.on_started = [alive](std::uint64_t, const mfa::snapshot&) {};
    const auto before = alive.use_count();
    auto wait = quick();
    wait.on_update = [](const mfa::snapshot&) { return mfa::waiting::go_on; };
    check_code("refused: on_update of wait_options", waiter.confirm("token", question(), calls, wait),
               MFA_ERR_INVALID_ARGUMENT);
    wait.on_update = nullptr;
    wait.access_token_provider = [] { return std::optional<std::string>(); };
    check_code("refused: access_token_provider", waiter.wait("token", 1, calls, wait), MFA_ERR_INVALID_ARGUMENT);
    check_code("refused: nothing to call in the end", waiter.wait("token", 1, {}), MFA_ERR_INVALID_ARGUMENT);
    check_code("refused: a token with a NUL", waiter.wait(std::string_view("a\0b", 3), 1, calls),
               MFA_ERR_INVALID_ARGUMENT);
    check_code("refused: no token", waiter.confirm("", question(), calls), MFA_ERR_INVALID_ARGUMENT);
    check_code("refused: no question", waiter.confirm("token", {}, calls), MFA_ERR_INVALID_ARGUMENT);
    check_code("refused: id 0", waiter.wait("token", 0, calls), MFA_ERR_INVALID_ARGUMENT);
    mfa::call_options options;
    options.cancel = mfa::cancel();
    check_code("refused: a cancel object", waiter.wait("token", 1, calls, {}, options), MFA_ERR_INVALID_ARGUMENT);
    check(waiter.count() == 0 && it.ends == 0 && alive.use_count() == before, "refused: nothing is kept or called");

    auto moved = std::move(waiter);
    check(waiter.native() == nullptr && moved.native() != nullptr, "moved: the handle went along");
    const auto refused = waiter.confirm("token", question(), calls);
    check_code("moved: confirm", refused, MFA_ERR_NULL_POINTER);
    check(refused.error().message() == "this waiter was moved from", "moved: it says so", refused.error().message());
    check_code("moved: wait", waiter.wait("token", 1, calls), MFA_ERR_NULL_POINTER);
    check_code("moved: cancel", waiter.cancel(1), MFA_ERR_NULL_POINTER);
    check_code("moved: cancel_all", waiter.cancel_all(), MFA_ERR_NULL_POINTER);
    check_code("moved: give_token", waiter.give_token(1, "token"), MFA_ERR_NULL_POINTER);
    check_code("moved: give_up", waiter.give_up(1), MFA_ERR_NULL_POINTER);
    check_code("moved: next", waiter.next(0ms), MFA_ERR_NULL_POINTER);
    waiter.wake();
    check(waiter.count() == 0 && !waiter.fd(), "moved: nothing is in it");
    auto gone = need(mfa::hyperid::create(loopback_options(sandbox_url())));
    const auto kept = std::move(gone);
    check_code("moved: a client", mfa::waiter::create(gone), MFA_ERR_NULL_POINTER);
}

static void moved_with_waits(const mfa::hyperid& client)
{
    seen it;
    auto first = waiter_for(client);
    static_cast<void>(first.confirm(fresh("approve-after-200"), question(), callbacks(it), quick()).value());
    check(drive(first, [&] { return it.started == 1; }), "moved: it starts");
    auto second = std::move(first);
    check(drain(second) && it.end && mfa::is_approved(*it.end), "moved: the waits went along");
}

// Callables are let go of when their wait has ended, and with the waiter, which calls none of them.
static void callables_end(const mfa::hyperid& client)
{
    const auto alive = std::make_shared<int>(0);
    const auto before = alive.use_count();
    mfa::wait_callbacks calls;
    calls.on_ended = [kept = alive](const mfa::ended&) { ++*kept; };
    {
        auto waiter = waiter_for(client);
        static_cast<void>(waiter.confirm(fresh("approve-after-0"), question(), calls, quick()).value());
        static_cast<void>(waiter.confirm(fresh("never"), question(), calls, quick()).value());
        check(alive.use_count() > before + 1, "callables: they are kept");
        check(drive(waiter, [&] { return waiter.count() == 1; }) && *alive == 1, "callables: one is called");
        check(alive.use_count() == before + 2, "callables: let go of at the end", std::to_string(alive.use_count()));
    }
    check(*alive == 1 && alive.use_count() == before + 1, "callables: let go of with the waiter, and not called");
}

static void one_at_a_time(const mfa::hyperid& client)
{
    auto waiter = waiter_for(client);
    seen second;
    mfa_code nested = MFA_OK, elsewhere = MFA_OK;
    mfa::wait_callbacks calls;
    calls.on_ended = [&](const mfa::ended&) {
        nested = waiter.next(0ms).code();
        std::thread([&] { elsewhere = waiter.next(0ms).code(); }).join();
        // The others may be called, from anywhere.
        check_code("busy: adding from a callable",
                   waiter.confirm(fresh("approve-after-0"), question(), callbacks(second), quick()), MFA_OK);
    };
    static_cast<void>(waiter.confirm(fresh("approve-after-0"), question(), calls, quick()).value());
    check(drain(waiter), "busy: all end");
    check(nested == MFA_ERR_BUSY, "busy: next from a callable", mfa::code_name(nested));
    check(elsewhere == MFA_ERR_BUSY, "busy: next elsewhere during a callable", mfa::code_name(elsewhere));
    check(second.end && mfa::is_approved(*second.end), "busy: what a callable added ends, too");

    std::atomic<bool> waits{true};
    std::thread driver([&] {
        while (waits) {
            static_cast<void>(waiter.next(patience));
        }
    });
    const auto end = std::chrono::steady_clock::now() + patience;
    mfa_code code = MFA_OK;
    while (code != MFA_ERR_BUSY && std::chrono::steady_clock::now() < end) {
        code = waiter.next(0ms).code();
    }
    check(code == MFA_ERR_BUSY, "busy: two threads");
    waits = false;
    waiter.wake();
    driver.join();
}

static void many_threads_add(const mfa::hyperid& client)
{
    constexpr std::size_t threads = 4, each = 50;
    auto waiter = waiter_for(client);
    std::vector<seen> all(threads * each);
    std::atomic<std::size_t> added{0};
    std::vector<std::thread> adders;
    for (std::size_t t = 0; t < threads; t++) {
        adders.emplace_back([&, t] {
            for (std::size_t i = t * each; i < (t + 1) * each; i++) {
                const auto token = fresh(people[i % std::size(people)].behaviours);
                const auto ticket = waiter.confirm(token, question(), callbacks(all[i]), quick());
                // Refused ones among them.
                check(ticket.ok() && !waiter.confirm("", question(), callbacks(all[i])).ok(), "threads: an add");
                added++;
            }
        });
    }
    check(drive(waiter, [&] { return added == all.size() && waiter.count() == 0; }), "threads: all end");
    for (auto& adder : adders) {
        adder.join();
    }
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < all.size(); i++) {
        wrong += is_as_wanted(all[i], people[i % std::size(people)]) ? 0 : 1;
    }
    check(wrong == 0, "threads: each gets its own person's answer", std::to_string(wrong));
}

// What a child finds: 0, or the number of what is wrong.
static int in_the_child(mfa::waiter waiter)
{
    seen none;
    alarm(20);
    const mfa_code codes[] = {
        waiter.confirm("token", question(), callbacks(none)).code(),
        waiter.wait("token", 1, callbacks(none)).code(),
        waiter.cancel(1).code(),
        waiter.cancel_all().code(),
        waiter.give_token(1, "token").code(),
        waiter.next(0ms).code(),
    };
    int number = 1;
    for (const auto code : codes) {
        if (code != MFA_ERR_FORKED) {
            return number;
        }
        number++;
    }
    waiter.wake();
    return waiter.fd() || waiter.count() != 0 || none.ends != 0 ? number : 0;
}

static int fork_and_look(mfa::waiter& waiter)
{
    const pid_t child = fork();
    if (child == 0) {
        _exit(in_the_child(std::move(waiter)));
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void a_forked_child(const mfa::hyperid& client)
{
    auto waiter = waiter_for(client);
    seen it;
    static_cast<void>(waiter.confirm(fresh("approve-after-500"), question(), callbacks(it), quick()).value());
    check(drive(waiter, [&] { return it.started == 1; }), "fork: it starts");
    std::fflush(stdout);
    const int found = fork_and_look(waiter);
    check(found == 0, "fork: the child is refused everything, and may free it", std::to_string(found));
    check(drain(waiter) && it.end && mfa::is_approved(*it.end), "fork: the parent's wait is as before");

    // While others add and drive: what they have locked stays locked in the child.
    std::atomic<bool> goes_on{true};
    std::vector<std::thread> others;
    for (int i = 0; i < 2; i++) {
        others.emplace_back([&] {
            while (goes_on) {
                seen refused;
                static_cast<void>(waiter.wait("token", 0, callbacks(refused)));
            }
        });
    }
    others.emplace_back([&] {
        while (goes_on) {
            static_cast<void>(waiter.next(1ms));
        }
    });
    int wrong = 0;
    for (int i = 0; i < 100 && wrong == 0; i++) {
        wrong = fork_and_look(waiter);
    }
    goes_on = false;
    for (auto& other : others) {
        other.join();
    }
    check(wrong == 0, "fork: with all of it in use", std::to_string(wrong));
}

#if defined(__cpp_exceptions)
struct thrown_here {
    int number;
};

static void callables_that_throw(const mfa::hyperid& client)
{
    auto waiter = waiter_for(client);
    seen other, thrower;
    const auto alive = std::make_shared<int>(0);
    const auto before = alive.use_count();
    mfa::wait_callbacks calls;
    calls.on_started = [](std::uint64_t, const mfa::snapshot&) { throw thrown_here{1}; };
    calls.on_ended = [&, alive](const mfa::ended& end) {
        thrower.ends++;
        thrower.end = end;
        throw thrown_here{2};
    };
    static_cast<void>(waiter.confirm(fresh("approve-after-0"), question(), std::move(calls), quick()).value());
    static_cast<void>(waiter.confirm(fresh("approve-after-300"), question(), callbacks(other), quick()).value());
    std::vector<int> caught;
    const auto end = std::chrono::steady_clock::now() + patience;
    while (waiter.count() > 0 && std::chrono::steady_clock::now() < end) {
        try {
            static_cast<void>(waiter.next(50ms).value());
        } catch (const thrown_here& e) {
            caught.push_back(e.number);
        }
    }
    check(caught == std::vector<int>({1, 2}), "throws: next throws what its callable threw");
    check(thrower.ends == 1 && mfa::is_approved(*thrower.end), "throws: on_ended is called all the same, once");
    check(other.ends == 1 && mfa::is_approved(*other.end), "throws: the others are none the worse for it");
    check(alive.use_count() == before, "throws: it is let go of", std::to_string(alive.use_count()));
    check_code("throws: next goes on", waiter.next(0ms), MFA_OK);
}
#endif

int main()
{
    const auto client = hyperid_here();
    many_people(client);
    what_next_says(client);
    fresh_tokens(client);
    cancels(client);
    a_restart(client);
    deadlines_and_wakes(client);
    a_loop_of_ones_own(client);
    what_is_refused(client);
    moved_with_waits(client);
    callables_end(client);
    one_at_a_time(client);
    many_threads_add(client);
    a_forked_child(client);
#if defined(__cpp_exceptions)
    callables_that_throw(client);
#endif
    return check_finish();
}
