// What the C++ tests share: checks that are counted, the sandbox's address, and tokens.
//
// Each program of this folder is complete in one file, and prints `ok NAME` or `not ok NAME: why` for
// each check and `N passed, N failed` at the end; it exits with 0 only if none failed. Those that need
// a sandbox find it through MFA_TEST_HYPERID_URL and MFA_TEST_CAPILLARY_URL. `odr` is one program of
// two files. Everything is meant to be compiled as C++17 and C++20, with gcc and clang, with
// -Wall -Wextra -Wpedantic -Werror, under AddressSanitizer and UndefinedBehaviorSanitizer, and
// `without_exceptions.cpp` with -fno-exceptions -fno-rtti as well.
#ifndef MFA_TESTS_CHECK_HPP
#define MFA_TESTS_CHECK_HPP

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <mfa.hpp>

using namespace std::chrono_literals;

inline std::atomic<int> checks_passed{0};
inline std::atomic<int> checks_failed{0};

inline bool check(bool ok, const std::string& name, const std::string& why = "it does not hold")
{
    if (ok) {
        checks_passed++;
        std::printf("ok %s\n", name.c_str());
    } else {
        checks_failed++;
        std::printf("not ok %s: %s\n", name.c_str(), why.c_str());
        std::fflush(stdout);
    }
    return ok;
}

inline std::string in_words(const mfa::error& error)
{
    return error.name() + " (" + error.message() + ")";
}

// That a call ended with this code, and that its error tells the same.
template <class T>
bool check_code(const std::string& name, const mfa::result<T>& got, mfa_code wanted)
{
    const bool same = got.code() == wanted && got.ok() == (wanted == MFA_OK) &&
                      got.error().code() == wanted && got.error().message().empty() == (wanted == MFA_OK);
    return check(same, name, in_words(got.error()) + " in place of " + mfa::code_name(wanted));
}

// The last line, and what main returns.
inline int check_finish()
{
    std::printf("%d passed, %d failed\n", checks_passed.load(), checks_failed.load());
    return checks_failed == 0 ? 0 : 1;
}

inline std::string sandbox_url(const char* variable = "MFA_TEST_HYPERID_URL")
{
    const char* url = std::getenv(variable);
    if (url == nullptr || *url == 0) {
        std::printf("not ok setup: %s is not set\n", variable);
        std::exit(2);
    }
    return url;
}

inline mfa::client_options loopback_options(const std::string& url)
{
    mfa::client_options options;
    options.base_url = url;
    options.allow_loopback_http = true;
    return options;
}

// What no test can go on without.
template <class T>
T need(mfa::result<T> made)
{
    if (!made.ok()) {
        std::printf("not ok setup: %s\n", in_words(made.error()).c_str());
        std::exit(2);
    }
    return std::move(made).value();
}

inline mfa::hyperid hyperid_here() { return need(mfa::hyperid::create(loopback_options(sandbox_url()))); }

// The sandbox remembers people, and may be older than this run: so each token gets a person of its own.
inline std::string fresh(const std::string& behaviours)
{
    static const auto run = std::chrono::system_clock::now().time_since_epoch().count();
    static std::atomic<int> next{0};
    return "sandbox-" + behaviours + "#p" + std::to_string(run) + "-" + std::to_string(next++);
}

// Another token of the same person.
inline std::string same_person(const std::string& behaviours, const std::string& token)
{
    return "sandbox-" + behaviours + token.substr(token.find('#'));
}

inline mfa::request question()
{
    mfa::request request;
    request.question = "Sign in?";
    request.code = "42";
    return request;
}

inline mfa::wait_options quick()
{
    mfa::wait_options wait;
    wait.min_interval = 50ms;
    wait.max_interval = 200ms;
    return wait;
}

inline mfa::call_options within(std::chrono::milliseconds timeout)
{
    mfa::call_options options;
    options.timeout = timeout;
    return options;
}

#endif
