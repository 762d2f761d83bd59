// Who lives how long: what a call uses while others let go of it, and calls at the end of a thread and
// of the program. What is freed is counted here, on its way to the library.
#include "check.hpp"

#include <dlfcn.h>
#include <thread>

static std::atomic<int> cancels_freed{0};

// In the library's place, also for the header's own uses.
extern "C" void mfa_cancel_free(mfa_cancel* cancel)
{
    using function = void (*)(mfa_cancel*);
    static const auto next = reinterpret_cast<function>(dlsym(RTLD_NEXT, "mfa_cancel_free"));
    cancels_freed++;
    next(cancel);
}

// A call keeps the cancel object that it was given, whatever becomes of the options meanwhile.
static void options_change_during_a_call(const mfa::hyperid& client)
{
    auto options = within(20s);
    options.cancel = mfa::cancel();
    auto wait = quick();
    int during = -1;
    const int before = cancels_freed;
    wait.on_update = [&](const mfa::snapshot& so_far) {
        if (so_far.polls() == 1) {
            options.cancel.reset();
            during = cancels_freed - before;
        }
        return so_far.polls() < 3 ? mfa::waiting::go_on : mfa::waiting::stop;
    };
    check_code("cancel: let go during its call", client.confirm(fresh("never"), question(), wait, options),
               MFA_ERR_CANCELLED);
    check(during == 0, "cancel: not freed during its call", std::to_string(during));
    check(cancels_freed - before == 1, "cancel: freed after its call", std::to_string(cancels_freed - before));
}

// What a temporary returns does not refer to the temporary.
static_assert(std::is_same_v<decltype(std::declval<mfa::snapshot>().native()), mfa_transaction>);
static_assert(std::is_same_v<decltype(std::declval<mfa::transaction>().native()), mfa_transaction>);
static_assert(std::is_same_v<decltype(std::declval<mfa::error>().native()), mfa_error>);
static_assert(std::is_same_v<decltype(std::declval<const mfa::snapshot&>().native()), const mfa_transaction&>);
static_assert(std::is_same_v<decltype(std::declval<const mfa::error&>().native()), const mfa_error&>);

static void what_a_temporary_returns(const mfa::hyperid& client)
{
    const auto token = fresh("approve");
    const auto& id = client.start(token, question()).value();
    const auto& transaction = client.status(token, id).value().native();
    const auto& error = client.availability("").error().native();
    check(transaction.transaction_id == id && error.code == MFA_ERR_INVALID_ARGUMENT, "temporaries: values, not references");
}

static std::atomic<int> answered{0};

// Asks when it is destroyed.
struct last_words {
    mfa::hyperid client;
    bool tell = false;
    explicit last_words(mfa::hyperid made) : client(std::move(made)) {}
    last_words(const last_words&) = delete;
    last_words& operator=(const last_words&) = delete;
    ~last_words()
    {
        const auto answer = client.availability(fresh("approve"), within(5s));
        answered += answer.ok() ? 1 : 0;
        if (tell) {
            std::printf("%s at the program's end\n", answer.ok() ? "ok a call" : "not ok a call");
            std::fflush(stdout);
            if (!answer.ok()) {
                std::_Exit(1);
            }
        }
    }
};

static void the_end_of_a_thread()
{
    std::thread thread([] {
        thread_local last_words older(hyperid_here());
        thread_local mfa::cancel cancel;
        static_cast<void>(older.client.availability(fresh("approve")));
        thread_local last_words newer(hyperid_here());
        cancel.trigger();
    });
    thread.join();
    check(answered == 2, "thread_local: calls at the thread's end", std::to_string(answered.load()));
}

// Moved while a call is made in its callback: the call goes on with the native client.
static void moves_during_a_call()
{
    auto first = hyperid_here();
    std::optional<mfa::hyperid> second;
    auto wait = quick();
    wait.on_update = [&](const mfa::snapshot&) {
        if (!second) {
            second = std::move(first);
        }
        return mfa::waiting::go_on;
    };
    check(mfa::is_approved(first.confirm(fresh("approve-after-300"), question(), wait)), "moved during its call");
    check_code("moved during its call: gone", first.availability("t"), MFA_ERR_NULL_POINTER);
    check_code("moved during its call: there", second->availability(fresh("approve")), MFA_OK);
}

static void moved_cancels()
{
    mfa::cancel first;
    auto second = std::move(first);
    first.trigger();
    auto& same = second;
    second = std::move(same);
    mfa::call_options options = within(2s);
    options.cancel = std::move(second);
    const auto copy = std::move(options);
    check(options.cancel && options.cancel->native() == copy.cancel->native(), "cancel: moving options copies it");
    check_code("cancel: triggered after it was moved", hyperid_here().availability("t", copy), MFA_ERR_CANCELLED);
}

int main()
{
    // Destroyed after main and after the main thread's own variables.
    static last_words at_exit(hyperid_here());
    static_cast<void>(at_exit.client.availability(fresh("approve")));
    const auto client = hyperid_here();
    options_change_during_a_call(client);
    what_a_temporary_returns(client);
    the_end_of_a_thread();
    moves_during_a_call();
    moved_cancels();
    at_exit.tell = true;
    return check_finish();
}
