// Asks a person to confirm something on their phone, and waits for the answer.
//
//     confirm (--url BASE_URL | --production) [--token TOKEN] [--timeout SECONDS] [QUESTION]
//
// The token may also stand in the environment's MFA_TOKEN, where other users of the machine cannot read
// it off the list of processes. HyperID's production is asked only where --production says so.
//
// Exit status: 0 the person approved, 1 they did not, 2 something went wrong.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

#include <mfa.hpp>

enum status { approved = 0, not_approved = 1, failed = 2 };

struct settings {
    std::optional<std::string> url;
    std::string token;
    std::string question = "Sign in?";
    std::optional<std::chrono::milliseconds> timeout;
};

// Ctrl-C ends the call. A cancel object may be triggered from a signal handler. The handler's pointer is
// set before it is installed.
static const mfa::cancel* interrupted = nullptr;

extern "C" void on_interrupt(int)
{
    interrupted->trigger();
}

static void catch_interrupts(const mfa::cancel& cancel)
{
    interrupted = &cancel;
    struct sigaction action = {};
    action.sa_handler = on_interrupt;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
}

static const char* in_words(mfa::decision decision)
{
    switch (decision) {
    case mfa::decision::approved:
        return "approved";
    case mfa::decision::denied:
        return "denied";
    case mfa::decision::expired:
        return "not answered before the request expired";
    case mfa::decision::cancelled:
        return "cancelled";
    case mfa::decision::failed:
        return "failed";
    case mfa::decision::pending:
        return "waiting for the person";
    default:
        return "not known";
    }
}

// Called as soon as the id is known, and then after each poll.
static mfa::waiting show_progress(const mfa::snapshot& so_far)
{
    if (so_far.polls() == 0) {
        // A server program would save the id here, so that a crash does not lose it.
        std::cerr << "Request " << so_far.id() << " is on the phone.\n";
    } else {
        std::cerr << so_far.elapsed().count() / 1000 << " s, " << so_far.polls()
                  << " polls: " << in_words(so_far.decision()) << '\n';
    }
    return mfa::waiting::go_on;
}

static void explain(const mfa::error& error)
{
    std::cerr << error.name() << ": " << error.message() << '\n' << error.advice() << '\n';
    if (const auto number = error.provider_code()) {
        std::cerr << "The provider's own number is " << *number << ".\n";
    }
    if (const auto time = error.retry_after()) {
        std::cerr << "The server asks to wait " << time->count() << " ms before the next request.\n";
    }
    if (error.outcome_unknown()) {
        std::cerr << "The request may have reached the phone all the same. Do not repeat it blindly, or "
                     "the person is asked twice.\n";
    }
}

// Ctrl-C: whether the request is off the phone again.
static void explain_interruption(const mfa::error& error)
{
    if (error.withdrawn()) {
        std::cerr << "The request was withdrawn from the phone.\n";
    } else if (const auto& known = error.last_known()) {
        std::cerr << "Request " << known->id()
                  << " could not be withdrawn: it stays on the phone until it expires.\n";
    } else if (error.outcome_unknown()) {
        explain(error);
    }
}

static status conclude(const mfa::result<mfa::transaction>& answer)
{
    // The only question that opens the door: `ok()` alone says that there is an answer.
    if (mfa::is_approved(answer)) {
        std::cout << "Approved.\n";
        return approved;
    }
    if (answer.ok()) {
        std::cout << "Not approved: " << in_words(answer.value().decision()) << ".\n";
        return not_approved;
    }
    if (answer.code() == MFA_ERR_CANCELLED) {
        std::cout << "Not approved: interrupted.\n";
        explain_interruption(answer.error());
        return not_approved;
    }
    explain(answer.error());
    return failed;
}

static mfa::client_options client_options(const std::optional<std::string>& url)
{
    mfa::client_options options;
    options.base_url = url;
    // For a sandbox on this machine; libmfa refuses http to any other.
    options.allow_loopback_http = url && url->rfind("http://", 0) == 0;
    return options;
}

static status confirm(const mfa::hyperid& client, const settings& settings, const mfa::cancel& cancel)
{
    mfa::request request;
    request.question = settings.question;
    request.code = mfa::control_code().value();
    std::cerr << settings.question << "\nApprove only if the phone shows the code " << *request.code
              << ". Ctrl-C gives up.\n";
    mfa::wait_options wait;
    wait.on_update = show_progress;
    // When time is up, and after Ctrl-C, take the request back instead of leaving it on the phone. If the
    // person answers at that very moment, their answer counts.
    wait.cancel_on_timeout = true;
    wait.withdraw_on_cancel = true;
    mfa::call_options options;
    options.timeout = settings.timeout;
    options.cancel = cancel;
    return conclude(client.confirm(settings.token, request, wait, options));
}

// Nothing when the arguments cannot be used.
static std::optional<settings> read_arguments(int argc, char** argv)
{
    settings settings;
    if (const char* token = std::getenv("MFA_TOKEN")) {
        settings.token = token;
    }
    bool production = false;
    for (int i = 1; i < argc; i++) {
        const std::string word = argv[i];
        if (word.rfind('-', 0) != 0) {
            settings.question = word;
        } else if (word == "--production") {
            production = true;
        } else if (i + 1 == argc) {
            return std::nullopt;
        } else if (word == "--url") {
            settings.url = argv[++i];
        } else if (word == "--token") {
            settings.token = argv[++i];
        } else if (word == "--timeout") {
            char* end = nullptr;
            const long seconds = std::strtol(argv[++i], &end, 10);
            if (*end != '\0' || seconds < 1 || seconds > 86400) {
                return std::nullopt;
            }
            settings.timeout = std::chrono::seconds(seconds);
        } else {
            return std::nullopt;
        }
    }
    // Nothing that is left out or misspelt asks a real person.
    if (settings.url.has_value() == production) {
        return std::nullopt;
    }
    return settings.token.empty() ? std::nullopt : std::optional(settings);
}

int main(int argc, char** argv)
{
    const auto settings = read_arguments(argc, argv);
    if (!settings) {
        std::cerr << "usage: confirm (--url BASE_URL | --production) [--token TOKEN] [--timeout SECONDS] [QUESTION]\n"
                     "The token may also stand in the environment's MFA_TOKEN.\n";
        return failed;
    }
    try {
        const auto client = mfa::hyperid::create(client_options(settings->url)).value();
        const mfa::cancel cancel;
        catch_interrupts(cancel);
        const auto status = confirm(client, *settings, cancel);
        // The handler must not find an object that is gone.
        std::signal(SIGINT, SIG_DFL);
        return status;
    } catch (const mfa::exception& e) {
        explain(e.error());
        return failed;
    }
}
