/*
 * A program that knows libmfa and its sandbox by their files alone, and loads them as Python's ctypes and .NET
 * do: from their own folder, with what they need from the system's.
 *
 *     loaded MFA_DLL MFA_SANDBOX_DLL TOKEN
 *
 * Exit status: 0 the person approved, 1 they did not, 2 something went wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

#include <mfa.h>
#include <mfa_sandbox.h>

enum { APPROVED = 0, NOT_APPROVED = 1, FAILED = 2 };

/* What Windows gives for a name; a function's own type makes it callable. */
#define FUNCTION(library, name) ((__typeof__(&name))(void (*)(void))function_of(library, #name))

static FARPROC function_of(HMODULE library, const char *name)
{
    FARPROC function = GetProcAddress(library, name);

    if (function == NULL) {
        fprintf(stderr, "there is no %s\n", name);
        exit(FAILED);
    }
    return function;
}

static HMODULE load(const char *file)
{
    char whole[MAX_PATH];
    HMODULE library;

    GetFullPathNameA(file, sizeof whole, whole, NULL);
    library = LoadLibraryExA(whole, NULL, LOAD_LIBRARY_SEARCH_DEFAULT_DIRS | LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR);
    if (library == NULL) {
        fprintf(stderr, "%s cannot be loaded: error %lu\n", whole, GetLastError());
        exit(FAILED);
    }
    return library;
}

static int ask(HMODULE mfa, const char *url, const char *token)
{
    mfa_client_options options = MFA_CLIENT_OPTIONS_INIT;
    mfa_request request = MFA_REQUEST_INIT;
    mfa_transaction answer = MFA_TRANSACTION_INIT;
    mfa_error err = MFA_ERROR_INIT;
    mfa_hyperid *client = NULL;
    mfa_code code;

    options.base_url = url;
    options.flags = MFA_CLIENT_ALLOW_LOOPBACK_HTTP;
    request.question = "Pay?";
    code = FUNCTION(mfa, mfa_hyperid_new)(&options, &client, &err);
    if (code == MFA_OK)
        code = FUNCTION(mfa, mfa_hyperid_confirm)(client, token, &request, NULL, NULL, &answer, &err);
    FUNCTION(mfa, mfa_hyperid_free)(client);
    if (code != MFA_OK) {
        fprintf(stderr, "%s: %s\n", FUNCTION(mfa, mfa_code_name)(code), err.message);
        return FAILED;
    }
    return FUNCTION(mfa, mfa_is_approved)(code, &answer) ? APPROVED : NOT_APPROVED;
}

int main(int argc, char **argv)
{
    HMODULE mfa, double_of_the_provider;
    struct mfa_sandbox *sandbox;
    int verdict;

    if (argc != 4)
        return FAILED;
    mfa = load(argv[1]);
    double_of_the_provider = load(argv[2]);
    if (FUNCTION(mfa, mfa_abi_version)() != MFA_ABI_VERSION)
        return FAILED;
    sandbox = FUNCTION(double_of_the_provider, mfa_sandbox_new)(NULL);
    if (sandbox == NULL)
        return FAILED;
    verdict = ask(mfa, FUNCTION(double_of_the_provider, mfa_sandbox_hyperid_url)(sandbox), argv[3]);
    FUNCTION(double_of_the_provider, mfa_sandbox_free)(sandbox);
    return verdict;
}
