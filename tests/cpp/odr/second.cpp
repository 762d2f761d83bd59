#include <mfa.hpp>
#include <mfa.hpp>

int answer_from_the_second_file(const char* url);

int answer_from_the_second_file(const char* url)
{
    mfa::client_options options;
    options.base_url = url;
    options.allow_loopback_http = true;
    const auto client = mfa::hyperid::create(options);
    mfa::request request;
    request.question = "Sign in?";
    mfa::wait_options wait;
    wait.min_interval = std::chrono::milliseconds(50);
    wait.on_update = [](const mfa::snapshot&) { return mfa::waiting::go_on; };
    return client.ok() && mfa::is_approved(client.value().confirm("sandbox-approve-after-0#second", request, wait)) ? 1 : 0;
}
