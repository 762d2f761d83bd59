/* A library that does not fit: MISFIT_ABI is its ABI version, and its structs have MISFIT_SIZE bytes. */
#include <stddef.h>
#include <stdint.h>

const char *mfa_version(void) { return "9.8.7"; }
uint32_t mfa_abi_version(void) { return MISFIT_ABI; }
size_t mfa_struct_size(const char *struct_name) { (void)struct_name; return MISFIT_SIZE; }
