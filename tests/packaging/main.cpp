// Says which library it runs with.
#include <iostream>

#include <mfa.h>

int main()
{
    mfa_hyperid *client = nullptr;
    mfa_error err = MFA_ERROR_INIT;

    if (mfa_hyperid_new(nullptr, &client, &err) != MFA_OK) {
        std::cerr << err.message << '\n';
        return 1;
    }
    mfa_hyperid_free(client);
    std::cout << "libmfa " << mfa_version() << '\n';
    return mfa_abi_version() == MFA_ABI_VERSION ? 0 : 1;
}
