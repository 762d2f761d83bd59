/* Says which library it runs with. */
#include <stdio.h>

#include <mfa.h>

int main(void)
{
    mfa_hyperid *client = NULL;
    mfa_error err = MFA_ERROR_INIT;

    if (mfa_hyperid_new(NULL, &client, &err) != MFA_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    mfa_hyperid_free(client);
    printf("libmfa %s\n", mfa_version());
    return mfa_abi_version() == MFA_ABI_VERSION ? 0 : 1;
}
