// The binding without exceptions and RTTI: the same answers; `value()` of an error says so and aborts.
// With exceptions it compiles as well, and the last check is another.
#include "check.hpp"

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

static void answers(const mfa::hyperid& client)
{
    check(mfa::is_approved(client.confirm(fresh("approve"), question(), quick())), "approved");
    check(!mfa::is_approved(client.confirm(fresh("deny"), question(), quick())), "denied");
    const auto lost = client.confirm(fresh("never"), question(), quick(), within(300ms));
    check_code("timeout", lost, MFA_ERR_TIMEOUT);
    check(lost.error().last_known()->id() > 0, "the id is known");
    int updates = 0;
    auto wait = quick();
    wait.on_update = [&](const mfa::snapshot&) { return ++updates < 2 ? mfa::waiting::go_on : mfa::waiting::stop; };
    check_code("on_update", client.confirm(fresh("never"), question(), wait), MFA_ERR_CANCELLED);
    wait.on_update = nullptr;
    wait.access_token_provider = [&] { return std::optional<std::string>(); };
    check_code("access_token_provider", client.confirm(fresh("token-expires-after-1+phone"), question(), wait),
               MFA_ERR_TOKEN_EXPIRED);
    check_code("NUL", client.availability(std::string_view("a\0b", 3)), MFA_ERR_INVALID_ARGUMENT);
}

static void many_waits(const mfa::hyperid& client)
{
    auto waiter = mfa::waiter::create(client).value();
    int approved = 0, denied = 0, refused = 0;
    mfa::wait_callbacks calls;
    calls.on_token_refused = [&](std::uint64_t ticket, const mfa::snapshot&, const mfa::error&) {
        check_code("waiter: give_up", waiter.give_up(ticket), MFA_OK);
    };
    calls.on_ended = [&](const mfa::ended& end) {
        approved += mfa::is_approved(end) ? 1 : 0;
        denied += end.answer().ok() && !end.approved() ? 1 : 0;
        refused += end.answer().code() == MFA_ERR_TOKEN_EXPIRED ? 1 : 0;
    };
    for (const char* behaviours : {"approve", "deny", "token-expires-after-1+phone", "approve"}) {
        static_cast<void>(waiter.confirm(fresh(behaviours), question(), calls, quick()).value());
    }
    while (waiter.count() > 0 && waiter.next(60s).ok()) {
    }
    check(approved == 2 && denied == 1 && refused == 1, "waiter: each answer");
    check_code("waiter: nothing to call", waiter.confirm("token", question(), {}), MFA_ERR_INVALID_ARGUMENT);
}

// What a child that asks an error for its value writes to its standard error, and how it ends.
static void value_of_an_error(const mfa::hyperid& client)
{
    int out[2];
    if (pipe(out) != 0) {
        check(false, "pipe");
        return;
    }
    const auto bad = client.availability("");
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        dup2(out[1], STDERR_FILENO);
        std::signal(SIGABRT, SIG_DFL);
#if defined(__cpp_exceptions)
        try {
            static_cast<void>(bad.value());
        } catch (const mfa::exception& e) {
            std::fprintf(stderr, "caught: %s\n", e.what());
            std::abort();
        }
#else
        static_cast<void>(bad.value());
#endif
        _exit(0);
    }
    close(out[1]);
    char text[1000] = "";
    std::string said;
    for (ssize_t n; (n = read(out[0], text, sizeof text)) > 0;) {
        said.append(text, static_cast<std::size_t>(n));
    }
    close(out[0]);
    int status = 0;
    waitpid(child, &status, 0);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "value() of an error does not return");
    check(said.find("MFA_ERR_INVALID_ARGUMENT: ") != said.npos, "value() of an error says why", said);
}

int main()
{
    const auto client = hyperid_here();
    answers(client);
    many_waits(client);
    value_of_an_error(client);
    return check_finish();
}
