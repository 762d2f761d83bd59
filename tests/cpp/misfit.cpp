// A loaded library that does not fit the header is refused with a sentence, before anything else is
// asked of it. What the library says about itself is replaced here.
#include <mfa.h>

#include <string>

namespace fake {

static std::uint32_t abi = MFA_ABI_VERSION;
static std::string too_small;
static int clients;

static uint32_t abi_version() { return abi; }
static size_t struct_size(const char *name) { return name == too_small ? 4 : mfa_struct_size(name); }

template <class Client>
mfa_code make(const mfa_client_options *, Client **, mfa_error *)
{
    clients++;
    return MFA_ERR_INTERNAL;
}

} // namespace fake

#define mfa_abi_version fake::abi_version
#define mfa_struct_size fake::struct_size
#define mfa_hyperid_new fake::make<mfa_hyperid>
#define mfa_capillary_new fake::make<mfa_capillary>

#include "check.hpp"

static void check_misfit(const std::string& name, const std::string& sentence)
{
    const auto found = mfa::detail::find_misfit();
    const auto said = found ? found->message() : "nothing";
    check(found && found->code() == MFA_ERR_STRUCT_SIZE && said.find(sentence) != said.npos, name, said);
}

int main()
{
    check(!mfa::detail::find_misfit(), "this library fits");
    fake::abi = MFA_ABI_VERSION + 1;
    check_misfit("another ABI does not", "does not fit this program: its ABI version is " +
                                             std::to_string(MFA_ABI_VERSION + 1) + ", not " +
                                             std::to_string(MFA_ABI_VERSION));
    fake::abi = MFA_ABI_VERSION;
    for (const char* name :
         {"mfa_error", "mfa_client_options", "mfa_call_options", "mfa_availability", "mfa_two_factor_types",
          "mfa_transaction", "mfa_registration", "mfa_request", "mfa_wait_options", "mfa_waiter_options",
          "mfa_event"}) {
        fake::too_small = name;
        check_misfit(std::string("a smaller ") + name + " does not", std::string("too old for ") + name);
    }
    // Looked up once in a program's life, when the first client is made.
    check_code("no client for HyperID", mfa::hyperid::create(), MFA_ERR_STRUCT_SIZE);
    fake::too_small.clear();
    check_code("nor for Capillary, later", mfa::capillary::create({}), MFA_ERR_STRUCT_SIZE);
    check(fake::clients == 0, "the library was not asked for one");
    return check_finish();
}
