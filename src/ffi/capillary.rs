//! `mfa_capillary` and its calls.

use std::ffi::c_char;
use std::mem::offset_of;

use crate::capillary::{Capillary, Registration, RegistrationState};
use crate::error::{Error, Provider};
use crate::ffi::call_options::{call_options, mfa_call_options};
use crate::ffi::client_options::{client_options, mfa_client_options};
use crate::ffi::error::{mfa_code, mfa_error};
use crate::ffi::guard::{Export, fallible, guard};
use crate::ffi::memory::{
    AbiStruct, Out, OutStruct, check_place, field_sizes, handle, required_text, reset_value,
};

/// No answer has been read.
pub const MFA_REGISTRATION_NONE: i32 = 0;
/// MFA is registered for the user.
pub const MFA_REGISTRATION_REGISTERED: i32 = 1;
/// The user exists and has not registered MFA.
pub const MFA_REGISTRATION_NOT_REGISTERED: i32 = 2;
/// The brand has no MFA.
pub const MFA_REGISTRATION_NOT_ENABLED: i32 = 3;

/// A client for Capillary: opaque, safe to use from any number of threads at once.
pub struct mfa_capillary(Capillary);

/// Whether MFA is registered for a user.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mfa_registration {
    /// `sizeof(mfa_registration)`; set by `MFA_REGISTRATION_INIT`.
    pub struct_size: u32,
    /// `MFA_REGISTRATION_...`. NONE beside any code other than `MFA_OK`.
    pub state: i32,
    /// The server's `status.code`; -1: no answer was read.
    pub raw_code: i32,
    /// The answer's HTTP status; 0: no answer was read.
    pub http_status: i32,
}

// SAFETY: repr(C), begins with the u32; integers are valid for any bytes.
unsafe impl AbiStruct for mfa_registration {
    const NAME: &'static str = "mfa_registration";
    const FIRST_SIZE: usize = 16;
    const FIELDS: &'static [usize] =
        field_sizes!(mfa_registration { struct_size, state, raw_code, http_status });
}

// SAFETY: 0 is MFA_REGISTRATION_NONE.
unsafe impl OutStruct for mfa_registration {
    const DECISION_AT: usize = offset_of!(mfa_registration, state);
    const RESET: Self =
        mfa_registration { struct_size: 0, state: MFA_REGISTRATION_NONE, raw_code: -1, http_status: 0 };
}

impl From<Registration> for mfa_registration {
    fn from(found: Registration) -> Self {
        let Registration { state, raw_code, http_status } = found;
        mfa_registration {
            struct_size: 0,
            state: match state {
                RegistrationState::Registered => MFA_REGISTRATION_REGISTERED,
                RegistrationState::NotRegistered => MFA_REGISTRATION_NOT_REGISTERED,
                RegistrationState::NotEnabled => MFA_REGISTRATION_NOT_ENABLED,
            },
            raw_code,
            http_status: i32::from(http_status),
        }
    }
}

pub(super) const NEW: Export =
    Export { name: "mfa_capillary_new", provider: Provider::Capillary, asks_a_person: false };

/// Makes a client. Nothing is sent. Free it with `mfa_capillary_free`.
///
/// `options`: `base_url` is required, because each region has a host of its own. `out`: set to the client,
/// or to NULL on failure. Any thread.
///
/// Errors: `MFA_ERR_INVALID_URL`, `MFA_ERR_INSECURE_URL`, `MFA_ERR_INVALID_CA`,
/// `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER` (`out`),
/// `MFA_ERR_STRUCT_SIZE`, `MFA_ERR_INVALID_UTF8`; `MFA_ERR_INTERNAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_capillary_new(
    options: *const mfa_client_options,
    out: *mut *mut mfa_capillary,
    err: *mut mfa_error,
) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller.
    unsafe {
        reset_value(out, std::ptr::null_mut());
        fallible(&NEW, err, || {
            check_place(out, "out")?;
            let options = client_options(options)?;
            let client = Capillary::new(&options)?;
            out.write(Box::into_raw(Box::new(mfa_capillary(client))));
            Ok(())
        })
    }
}

pub(super) const FREE: Export =
    Export { name: "mfa_capillary_free", provider: Provider::Capillary, asks_a_person: false };

/// Frees a client and closes its connections. No call may still use it. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_capillary_free(client: *mut mfa_capillary) {
    guard(&FREE, (), || {
        if !client.is_null() {
            // SAFETY: from `mfa_capillary_new`'s Box, and freed once, guaranteed by the caller.
            drop(unsafe { Box::from_raw(client) });
        }
    });
}

pub(super) const IS_MFA_REGISTERED: Export =
    Export { name: "mfa_capillary_is_mfa_registered", provider: Provider::Capillary, asks_a_person: false };

/// Asks whether MFA is registered for the user whom `authorized_token` belongs to.
/// `POST /auth/v1/mfa/token/isMfaRegistered`.
///
/// `brand`, `device_id`: as in the user's sign-in, 1-1024 bytes. `authorized_token`: 1-16 384
/// characters, each 0x21-0x7E. That MFA is not registered, or that the brand has none, are answers,
/// not errors. An HTTP 404 without Capillary's envelope is a wrong address (`MFA_ERR_HTTP_STATUS`),
/// not "not registered". Transient failures are retried, inside the deadline. Any thread.
///
/// Errors: `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`,
/// `MFA_ERR_INVALID_UTF8`; the network's (100-199) and the answer's (200-299), each of them;
/// `MFA_ERR_TOKEN_EXPIRED`, `MFA_ERR_TOKEN_INVALID`, `MFA_ERR_ACCESS_DENIED`; `MFA_ERR_UNAVAILABLE`,
/// `MFA_ERR_RATE_LIMITED`, `MFA_ERR_PROVIDER_REFUSED` with the provider's number; `MFA_ERR_CANCELLED`;
/// `MFA_ERR_INTERNAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_capillary_is_mfa_registered(
    client: *const mfa_capillary,
    brand: *const c_char,
    device_id: *const c_char,
    authorized_token: *const c_char,
    options: *const mfa_call_options,
    out: *mut mfa_registration,
    err: *mut mfa_error,
) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller.
    unsafe {
        let out = Out::reset(out);
        fallible(&IS_MFA_REGISTERED, err, || {
            let found = is_mfa_registered(client, brand, device_id, authorized_token, options, &out);
            out.set(&found?.into());
            Ok(())
        })
    }
}

/// # Safety
/// Each pointer is what the header asks for.
unsafe fn is_mfa_registered(
    client: *const mfa_capillary,
    brand: *const c_char,
    device_id: *const c_char,
    authorized_token: *const c_char,
    options: *const mfa_call_options,
    out: &Out<mfa_registration>,
) -> Result<Registration, Error> {
    // SAFETY: passed on from the caller.
    let (client, brand, device_id, token, options) = unsafe {
        (
            handle(client, "client")?,
            required_text(brand, "brand")?,
            required_text(device_id, "device_id")?,
            required_text(authorized_token, "authorized_token")?,
            call_options(options)?,
        )
    };
    out.check()?;
    client.0.is_mfa_registered(brand, device_id, token, &options)
}
