//! `mfa_call_options`.

use std::mem::offset_of;
use std::time::Duration;

use crate::error::Error;
use crate::ffi::cancel::mfa_cancel;
use crate::ffi::memory::{AbiStruct, read_input};
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

// SAFETY: repr(C), begins with the u32, two 32-bit fields and a pointer: no padding on 64-bit.
unsafe impl AbiStruct for mfa_call_options {
    const NAME: &'static str = "mfa_call_options";
    const FIRST_SIZE: usize = offset_of!(mfa_call_options, cancel) + size_of::<usize>();
}

/// # Safety
/// `pointer` is NULL or points to options as the header describes them, valid for `'a`.
pub(super) unsafe fn call_options<'a>(pointer: *const mfa_call_options) -> Result<CallOptions<'a>, Error> {
    // SAFETY: passed on from the caller.
    let Some(given) = (unsafe { read_input(pointer) })? else { return Ok(CallOptions::default()) };
    Ok(CallOptions {
        timeout: (given.timeout_ms != 0).then(|| Duration::from_millis(u64::from(given.timeout_ms))),
        // SAFETY: NULL, or a cancel object that outlives the call, says the caller.
        cancel: unsafe { given.cancel.as_ref() }.map(|cancel| &cancel.0),
    })
}
