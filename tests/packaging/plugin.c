/* A plugin that has libmfa.a in it: what it does, leaves handlers for fork(2) and for the ends of threads. */
#include <mfa.h>

#include <stddef.h>

int ask(void);

int ask(void)
{
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;
    mfa_hyperid *client = NULL;
    mfa_code code = mfa_hyperid_new(&options, &client, NULL);

    mfa_hyperid_free(client);
    return code == MFA_OK;
}
