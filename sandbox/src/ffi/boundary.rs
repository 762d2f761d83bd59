//! What every function needs: no panic crosses, and a pointer becomes what is behind it.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::time::Duration;

use super::types::{MOST_STRUCT, mfa_sandbox};

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

/// Copies a text with a NUL behind it, cut where `size` bytes are full; its whole length without the NUL.
///
/// # Safety
/// `buffer` is NULL, or has `size` writable bytes.
pub(super) unsafe fn write_text(text: &[u8], buffer: *mut c_char, size: u32) -> i32 {
    if !buffer.is_null() && size > 0 {
        let length = text.len().min(size as usize - 1);
        // SAFETY: `size` bytes are writable by this function's contract; `length` is less than that, and the text is
        // ours, so the two do not overlap.
        unsafe {
            ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast::<u8>(), length);
            buffer.add(length).write(0);
        }
    }
    i32::try_from(text.len()).unwrap_or(i32::MAX)
}

/// A struct that begins with its size, as much of it as both sides know; what only the caller knows must be zero, so
/// that no wish is ignored in silence.
///
/// # Safety
/// `given` points to as many readable bytes as its first member states. `T` is valid for every bit pattern.
pub(super) unsafe fn read_struct<T: Copy>(given: *const T, least: usize) -> Result<T, String> {
    // SAFETY: every version of each struct begins with its size.
    let size = unsafe { ptr::read_unaligned(given.cast::<u32>()) } as usize;
    if !(least..=MOST_STRUCT).contains(&size) {
        return Err(format!(
            "struct_size is {size}, and must be {least} to {MOST_STRUCT}: use the _INIT macro"
        ));
    }
    // SAFETY: the caller vouches for `size` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(given.cast::<u8>(), size) };
    let (known, unknown) = bytes.split_at(size.min(size_of::<T>()));
    if unknown.iter().any(|byte| *byte != 0) {
        return Err("a member is set that this sandbox does not know: it is older than its header".to_owned());
    }
    // What an older caller does not know is zero.
    let mut whole = MaybeUninit::<T>::zeroed();
    // SAFETY: no more bytes than `T` has; zeroes and any others are a `T` by this function's contract.
    unsafe {
        ptr::copy_nonoverlapping(known.as_ptr(), whole.as_mut_ptr().cast::<u8>(), known.len());
        Ok(whole.assume_init())
    }
}

/// A text that may be left out; an error, naming it, if it is not UTF-8.
///
/// # Safety
/// As for [`text`].
pub(super) unsafe fn optional<'a>(name: &str, given: *const c_char) -> Result<Option<&'a str>, String> {
    if given.is_null() {
        return Ok(None);
    }
    // SAFETY: by this function's contract.
    unsafe { text(given) }.map(Some).ok_or(format!("{name} is not UTF-8"))
}

pub(super) fn milliseconds(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}
