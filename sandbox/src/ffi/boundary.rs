//! What every function needs: no panic crosses, and a pointer becomes what is behind it.

use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::types::mfa_sandbox;

/// Runs `work`; a panic becomes `fallback` instead of crossing into C.
pub(super) fn guard<T>(fallback: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(fallback)
}

/// The handle behind a pointer.
///
/// # Safety
/// `handle` is NULL or came from `mfa_sandbox_new` and is not freed before the call's end.
pub(super) unsafe fn handle<'a>(handle: *const mfa_sandbox) -> Option<&'a mfa_sandbox> {
    // SAFETY: NULL gives None; else a live Box, never borrowed mutably, by this function's contract.
    unsafe { handle.as_ref() }
}

/// The text behind a pointer, if it is UTF-8.
///
/// # Safety
/// `text` is NULL or NUL-terminated and unchanged during the call.
pub(super) unsafe fn text<'a>(text: *const c_char) -> Option<&'a str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL, and NUL-terminated by this function's contract.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}

pub(super) fn milliseconds(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}
