// Asks what a person can confirm with: whether they have linked HyperID's authenticator app, which second
// factors they have set up, and whether MFA is registered for them at Capillary.
//
//     check (--url BASE_URL | --production) [--token TOKEN]
//           [--capillary-url BASE_URL --brand BRAND --device DEVICE --authorized-token TOKEN]
//
// HyperID is asked when there is a token (--token, or MFA_TOKEN in the environment), Capillary when there
// is a --capillary-url. Nothing of this grants anything: to let somebody in, see confirm.cpp.
//
// Exit status: 0 every question was answered, 2 something went wrong.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <utility>

#include <mfa.hpp>

using arguments = std::map<std::string, std::string>;

static mfa::client_options client_options(const std::string& url)
{
    mfa::client_options options;
    if (!url.empty()) {
        options.base_url = url;
    }
    options.request_timeout = std::chrono::seconds(10);
    // For a sandbox on this machine; libmfa refuses http to any other.
    options.allow_loopback_http = url.rfind("http://", 0) == 0;
    return options;
}

static void ask_hyperid(const arguments& given)
{
    const auto client = mfa::hyperid::create(client_options(given.at("--url"))).value();
    const auto& token = given.at("--token");

    const auto availability = client.availability(token).value();
    std::cout << "authenticator app: " << (availability.available() ? "linked" : "not linked") << '\n';

    const auto types = client.two_factor_types(token).value();
    const std::pair<mfa::method, const char*> names[] = {
        {mfa::method::app, "app"},      {mfa::method::totp, "one-time password"},
        {mfa::method::sms, "SMS"},      {mfa::method::email, "e-mail"},
        {mfa::method::other, "other"},
    };
    std::cout << "second factors: " << types.count();
    for (const auto& [method, name] : names) {
        if (types.has(method)) {
            std::cout << ", " << name;
        }
    }
    std::cout << '\n';
}

static const char* in_words(mfa::registration_state state)
{
    switch (state) {
    case mfa::registration_state::registered:
        return "registered";
    case mfa::registration_state::not_registered:
        return "not registered";
    case mfa::registration_state::not_enabled:
        return "not enabled for this brand";
    default:
        return "not known";
    }
}

static void ask_capillary(const arguments& given)
{
    const auto client = mfa::capillary::create(client_options(given.at("--capillary-url"))).value();
    const auto found =
        client.is_mfa_registered(given.at("--brand"), given.at("--device"), given.at("--authorized-token"));
    std::cout << "Capillary MFA: " << in_words(found.value().state()) << '\n';
}

// False when the arguments cannot be used.
static bool read_arguments(int argc, char** argv, arguments& given)
{
    if (const char* token = std::getenv("MFA_TOKEN")) {
        given["--token"] = token;
    }
    bool production = false;
    for (int i = 1; i < argc; i++) {
        if (std::string(argv[i]) == "--production") {
            production = true;
            continue;
        }
        if (given.count(argv[i]) == 0 || i + 1 == argc) {
            return false;
        }
        given[argv[i]] = argv[i + 1];
        i++;
    }
    // Nothing that is left out or misspelt asks about a real person.
    if (!given["--token"].empty() && given["--url"].empty() != production) {
        return false;
    }
    return !given["--token"].empty() || !given["--capillary-url"].empty();
}

int main(int argc, char** argv)
{
    arguments given = {{"--url", ""},   {"--token", ""},  {"--capillary-url", ""},
                       {"--brand", ""}, {"--device", ""}, {"--authorized-token", ""}};
    if (!read_arguments(argc, argv, given)) {
        std::cerr << "usage: check (--url BASE_URL | --production) [--token TOKEN]\n"
                     "             [--capillary-url BASE_URL --brand BRAND --device DEVICE "
                     "--authorized-token TOKEN]\n"
                     "The token may also stand in the environment's MFA_TOKEN.\n";
        return 2;
    }
    try {
        if (!given["--token"].empty()) {
            ask_hyperid(given);
        }
        if (!given["--capillary-url"].empty()) {
            ask_capillary(given);
        }
        return 0;
    } catch (const mfa::exception& e) {
        std::cerr << e.what() << '\n' << e.error().advice() << '\n';
        if (e.error().retryable()) {
            std::cerr << "It may succeed later.\n";
        }
        return 2;
    }
}
