// Says which library it runs with, by the C++ binding.
#include <iostream>

#include <mfa.hpp>

int main()
{
    const auto client = mfa::hyperid::create({});

    if (!client.ok()) {
        std::cerr << client.error().message() << '\n';
        return 1;
    }
    std::cout << "libmfa " << mfa_version() << '\n';
    return mfa_abi_version() == MFA_ABI_VERSION ? 0 : 1;
}
