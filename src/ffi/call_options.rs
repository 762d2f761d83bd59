//! `mfa_call_options`.

use std::time::Duration;

use crate::error::Error;
use crate::ffi::cancel::mfa_cancel;
use crate::ffi::memory::{AbiStruct, POINTER, field_sizes, read_input};
use crate::options::CallOptions;

/// What bounds one call. NULL wherever it is taken: the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mfa_call_options {
    /// `sizeof(mfa_call_options)`; set by `MFA_CALL_OPTIONS_INIT`.
    pub struct_size: u32,
    /// Milliseconds: the deadline of the whole call, over name resolution, connecting, TLS,
    /// repeated requests and waiting. 0: the client's `request_timeout_ms`; for wait and confirm
    /// 120 000. Nothing means "for ever".
    pub timeout_ms: u32,
    /// Ends the call when triggered; borrowed for the call. NULL: it cannot be cancelled.
    pub cancel: *mut mfa_cancel,
}

// SAFETY: repr(C), begins with the u32; an integer and a pointer are valid for zero and for what a
// caller sets.
unsafe impl AbiStruct for mfa_call_options {
    const NAME: &'static str = "mfa_call_options";
    const FIRST_SIZE: usize = 8 + POINTER;
    const FIELDS: &'static [usize] = field_sizes!(mfa_call_options { struct_size, timeout_ms, cancel });
}

/// # Safety
/// `pointer` is NULL or points to options as the header describes them, valid for `'a`.
pub(super) unsafe fn call_options<'a>(pointer: *const mfa_call_options) -> Result<CallOptions<'a>, Error> {
    // SAFETY: passed on from the caller.
    let Some(given) = (unsafe { read_input(pointer) })? else { return Ok(CallOptions::default()) };
    // Whole, so that no field is left unread.
    let mfa_call_options { struct_size: _, timeout_ms, cancel } = given;
    Ok(CallOptions {
        timeout: (timeout_ms != 0).then(|| Duration::from_millis(u64::from(timeout_ms))),
        // SAFETY: NULL, or a cancel object that outlives the call, guaranteed by the caller.
        cancel: unsafe { cancel.as_ref() }.map(|cancel| &cancel.0),
    })
}
