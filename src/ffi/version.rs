//! Which library this is, and how large its structs are.

use std::ffi::{CStr, c_char};

use crate::error::Provider;
use crate::ffi::call_options::mfa_call_options;
use crate::ffi::capillary::mfa_registration;
use crate::ffi::client_options::mfa_client_options;
use crate::ffi::error::mfa_error;
use crate::ffi::event::mfa_event;
use crate::ffi::guard::{Export, guard};
use crate::ffi::hyperid::{mfa_availability, mfa_two_factor_types};
use crate::ffi::memory::{AbiStruct, check_layout};
use crate::ffi::request::mfa_request;
use crate::ffi::transaction::mfa_transaction;
use crate::ffi::wait_options::mfa_wait_options;
use crate::ffi::waiter::mfa_waiter_options;

/// The version of this header: major, minor and patch.
pub const MFA_VERSION_MAJOR: u32 = 0;
/// See `MFA_VERSION_MAJOR`.
pub const MFA_VERSION_MINOR: u32 = 1;
/// See `MFA_VERSION_MAJOR`.
pub const MFA_VERSION_PATCH: u32 = 0;
/// Rises only when a program built against an older header would break; the SONAME's number.
/// A binding needs `mfa_abi_version()` equal to the one that it was written for.
pub const MFA_ABI_VERSION: u32 = 1;

const _: () =
    assert!(matches!(u32::from_str_radix(env!("CARGO_PKG_VERSION_MAJOR"), 10), Ok(MFA_VERSION_MAJOR)));
const _: () =
    assert!(matches!(u32::from_str_radix(env!("CARGO_PKG_VERSION_MINOR"), 10), Ok(MFA_VERSION_MINOR)));
const _: () =
    assert!(matches!(u32::from_str_radix(env!("CARGO_PKG_VERSION_PATCH"), 10), Ok(MFA_VERSION_PATCH)));

pub(super) const VERSION: Export =
    Export { name: "mfa_version", provider: Provider::None, asks_a_person: false };

/// The version of the loaded library, for example "0.1.0". Static; never NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mfa_version() -> *const c_char {
    const TEXT: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };
    guard(&VERSION, TEXT.as_ptr(), || TEXT.as_ptr())
}

pub(super) const ABI_VERSION: Export =
    Export { name: "mfa_abi_version", provider: Provider::None, asks_a_person: false };

/// `MFA_ABI_VERSION` of the loaded library. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mfa_abi_version() -> u32 {
    guard(&ABI_VERSION, MFA_ABI_VERSION, || MFA_ABI_VERSION)
}

pub(super) const STRUCT_SIZE: Export =
    Export { name: "mfa_struct_size", provider: Provider::None, asks_a_person: false };

/// The size in bytes that a struct has in the loaded library, by its name ("mfa_transaction"); 0:
/// no such struct, or NULL. A binding needs at least the size that it uses. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_struct_size(struct_name: *const c_char) -> usize {
    guard(&STRUCT_SIZE, 0, || {
        if struct_name.is_null() {
            return 0;
        }
        // SAFETY: not NULL, so a NUL-terminated string, guaranteed by the caller.
        let name = unsafe { CStr::from_ptr(struct_name) }.to_bytes();
        SIZES.iter().find(|(known, _)| known.as_bytes() == name).map_or(0, |(_, size)| *size)
    })
}

const SIZES: &[(&str, usize)] = &[
    size_of_struct::<mfa_error>(),
    size_of_struct::<mfa_client_options>(),
    size_of_struct::<mfa_call_options>(),
    size_of_struct::<mfa_availability>(),
    size_of_struct::<mfa_two_factor_types>(),
    size_of_struct::<mfa_transaction>(),
    size_of_struct::<mfa_registration>(),
    size_of_struct::<mfa_request>(),
    size_of_struct::<mfa_wait_options>(),
    size_of_struct::<mfa_waiter_options>(),
    size_of_struct::<mfa_event>(),
];

const fn size_of_struct<T: AbiStruct>() -> (&'static str, usize) {
    check_layout::<T>();
    (T::NAME, size_of::<T>())
}
