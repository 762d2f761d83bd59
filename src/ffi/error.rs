//! `mfa_error` and the texts of the codes.

use std::ffi::c_char;

use crate::error::{Code, Error, Provider};
use crate::ffi::guard::{Export, guard};
use crate::ffi::memory::{AbiStruct, Place, copy_text, field_sizes};

/// As the header's `mfa_code`, which build.rs writes from the code table.
///
/// cbindgen:ignore
pub type mfa_code = i32;

/// No provider: the error arose before one was chosen.
pub const MFA_PROVIDER_NONE: i32 = 0;
/// HyperID.
pub const MFA_PROVIDER_HYPERID: i32 = 1;
/// Capillary.
pub const MFA_PROVIDER_CAPILLARY: i32 = 2;

const _: () = assert!(MFA_PROVIDER_NONE == Provider::None as i32);
const _: () = assert!(MFA_PROVIDER_HYPERID == Provider::HyperId as i32);
const _: () = assert!(MFA_PROVIDER_CAPILLARY == Provider::Capillary as i32);

/// In `mfa_error.flags`: the same call may succeed later, and repeating it does no harm.
pub const MFA_ERROR_RETRYABLE: u32 = 1;
/// In `mfa_error.flags`: a request that asks a person was sent, and no valid refusal came back.
/// It may have been carried out: do not repeat it blindly, or the person is asked twice. A valid
/// refusal is HyperID's own, or HTTP 400, 401, 405, 411, 413, 414, 415, 429 or 431 to a request of
/// which everything had been sent before anything came back.
pub const MFA_ERROR_OUTCOME_UNKNOWN: u32 = 2;
/// In `mfa_error.flags`: the transaction was withdrawn, as the wait's options asked, and the
/// provider confirmed that it is cancelled.
pub const MFA_ERROR_WITHDRAWN: u32 = 4;

/// Why a call failed. Owned by the caller, needs no free; may be NULL wherever it is taken.
///
/// Reset at entry of each call, so `code` is 0 after success. A `struct_size` that is not allowed
/// leaves the struct untouched and the call refused with `MFA_ERR_STRUCT_SIZE`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mfa_error {
    /// `sizeof(mfa_error)`; set by `MFA_ERROR_INIT`.
    pub struct_size: u32,
    /// The code, as returned.
    pub code: i32,
    /// Whose call it was: `MFA_PROVIDER_...`.
    pub provider: i32,
    /// 1: `provider_code` holds the provider's number; 0: there is none.
    pub has_provider_code: i32,
    /// The provider's own number: HyperID's `result`, Capillary's `status.code`.
    pub provider_code: i32,
    /// The HTTP status of the answer that failed the call; 0: no answer arrived.
    pub http_status: i32,
    /// Milliseconds that the server asked to wait before the next request; 0: not given.
    pub retry_after_ms: u32,
    /// Any of `MFA_ERROR_...`.
    pub flags: u32,
    /// Requests that this call began.
    pub attempts: u32,
    /// The system's own error number where one was the cause: errno, and on Windows Winsock's (10061 for a
    /// refused connection, 11001 for a name that is not known); 0: none.
    pub os_error: i32,
    /// What happened this time: UTF-8, NUL-terminated, cut at a character boundary, without
    /// secrets. For logs and developers; programs decide by `code`.
    pub message: [c_char; 256],
}

// SAFETY: repr(C), begins with the u32; integers are valid for any bytes.
unsafe impl AbiStruct for mfa_error {
    const NAME: &'static str = "mfa_error";
    const FIRST_SIZE: usize = 296;
    const FIELDS: &'static [usize] = field_sizes!(mfa_error {
        struct_size,
        code,
        provider,
        has_provider_code,
        provider_code,
        http_status,
        retry_after_ms,
        flags,
        attempts,
        os_error,
        message,
    });
}

const EMPTY: mfa_error = mfa_error {
    struct_size: 0,
    code: 0,
    provider: 0,
    has_provider_code: 0,
    provider_code: 0,
    http_status: 0,
    retry_after_ms: 0,
    flags: 0,
    attempts: 0,
    os_error: 0,
    message: [0; 256],
};

impl From<&Error> for mfa_error {
    fn from(error: &Error) -> Self {
        // Whole, so that a field which the core adds is not forgotten here.
        let Error {
            code,
            message,
            provider,
            provider_code,
            http_status,
            retry_after,
            retryable,
            outcome_unknown,
            withdrawn,
            attempts,
            os_error,
            is_hearsay: _,
        } = error;
        let flag = |is_set: &bool, bit| if *is_set { bit } else { 0 };
        let mut text = EMPTY.message;
        copy_text(message, &mut text);
        mfa_error {
            struct_size: 0,
            code: *code as i32,
            provider: *provider as i32,
            has_provider_code: i32::from(provider_code.is_some()),
            provider_code: provider_code.unwrap_or(0),
            http_status: http_status.map_or(0, i32::from),
            retry_after_ms: retry_after.map_or(0, |d| u32::try_from(d.as_millis()).unwrap_or(u32::MAX)),
            flags: flag(retryable, MFA_ERROR_RETRYABLE)
                | flag(outcome_unknown, MFA_ERROR_OUTCOME_UNKNOWN)
                | flag(withdrawn, MFA_ERROR_WITHDRAWN),
            attempts: *attempts,
            os_error: os_error.unwrap_or(0),
            message: text,
        }
    }
}

/// Resets the caller's struct. `None`: the caller wants none.
///
/// # Safety
/// `err` is NULL or points to an `mfa_error` whose `struct_size` is set, writable for that size
/// until the place is dropped.
pub(super) unsafe fn reset_error(err: *mut mfa_error) -> Result<Option<Place<mfa_error>>, Code> {
    if err.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and passed on from the caller.
    let place = unsafe { Place::new(err) }.map_err(|_| Code::StructSize)?;
    place.write(&EMPTY);
    Ok(Some(place))
}

pub(super) const CODE_NAME: Export =
    Export { name: "mfa_code_name", provider: Provider::None, asks_a_person: false };

/// The name of a code, for example "MFA_ERR_TIMEOUT". Static; never NULL: "MFA_ERR_?" for a number
/// that this version does not know. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mfa_code_name(code: mfa_code) -> *const c_char {
    guard(&CODE_NAME, c"MFA_ERR_?".as_ptr(), || {
        Code::from_number(code).map_or(c"MFA_ERR_?", Code::c_name).as_ptr()
    })
}

pub(super) const CODE_MESSAGE: Export =
    Export { name: "mfa_code_message", provider: Provider::None, asks_a_person: false };

/// What a code means and what to do about it, in English. Static; never NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mfa_code_message(code: mfa_code) -> *const c_char {
    let unknown = c"A code that this version of libmfa does not know. Treat it as a failure.";
    guard(&CODE_MESSAGE, unknown.as_ptr(), || {
        Code::from_number(code).map_or(unknown, Code::c_message).as_ptr()
    })
}
