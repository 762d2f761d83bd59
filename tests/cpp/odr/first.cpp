// One program of two files that both include the binding: first.cpp and second.cpp. They may be compiled
// with different standards, and with and without exceptions.
#include "../check.hpp"

int answer_from_the_second_file(const char* url);

int main()
{
    const auto url = sandbox_url();
    auto made = mfa::hyperid::create(loopback_options(url));
    check(made.ok(), "a client in the first file", in_words(made.error()));
    check(mfa::is_approved(made.value().confirm(fresh("approve-after-0"), question(), quick())), "the first file's answer");
    check(answer_from_the_second_file(url.c_str()) == 1, "the second file's answer");
#if defined(__cpp_exceptions)
    bool caught = false;
    try {
        static_cast<void>(made.value().availability("").value());
    } catch (const mfa::exception&) {
        caught = true;
    }
    check(caught, "value() throws here, however the other file was compiled");
    auto wait = quick();
    wait.on_update = [](const mfa::snapshot&) -> mfa::waiting { throw 17; };
    caught = false;
    try {
        static_cast<void>(made.value().confirm(fresh("never"), question(), wait));
    } catch (int) {
        caught = true;
    }
    check(caught, "what a callable throws is caught here, however the other file was compiled");
#endif
    return check_finish();
}
