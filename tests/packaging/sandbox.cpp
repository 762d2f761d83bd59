// A test of somebody's program: starts the sandbox, and lets a person say yes and no.
#include <iostream>
#include <memory>

#include <mfa.hpp>
#include <mfa_sandbox.h>

int main()
{
    const std::unique_ptr<mfa_sandbox, decltype(&mfa_sandbox_free)> sandbox(mfa_sandbox_new(nullptr),
                                                                           &mfa_sandbox_free);
    if (!sandbox) {
        return 1;
    }
    mfa::client_options options;
    options.base_url = mfa_sandbox_hyperid_url(sandbox.get());
    options.allow_loopback_http = true;
    const auto client = mfa::hyperid::create(options).value();
    const bool yes = mfa::is_approved(client.confirm("sandbox-approve-after-0", "Pay?"));
    const bool no = mfa::is_approved(client.confirm("sandbox-deny-after-0", "Pay?"));
    std::cout << "libmfa " << mfa_version() << '\n';
    return yes && !no && mfa_sandbox_push_count(sandbox.get()) == 2 ? 0 : 1;
}
