//! The log of provider requests.

use std::ffi::c_char;
use std::ptr;

use super::boundary::{guard, handle, milliseconds, text};
use super::types::mfa_sandbox;
use crate::LoggedRequest;

/// How many provider requests have arrived on a path as in "/mfa-client/availability-check"; NULL: on any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_request_count(sandbox: *const mfa_sandbox, path: *const c_char) -> u64 {
    guard(0, || {
        // SAFETY: by the header's rules.
        let Some(handle) = (unsafe { handle(sandbox) }) else {
            return 0;
        };
        if path.is_null() {
            return handle.sandbox.request_count();
        }
        // SAFETY: by the header's rules.
        unsafe { text(path) }.map_or(0, |path| handle.sandbox.request_count_for(path))
    })
}

/// Waits until so many provider requests have arrived on a path (NULL: on any); 1, or 0 if not in time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_wait_for_requests(
    sandbox: *const mfa_sandbox,
    path: *const c_char,
    count: u64,
    timeout_ms: u32,
) -> i32 {
    guard(0, || {
        // SAFETY: by the header's rules.
        let (Some(handle), path_text) = (unsafe { (handle(sandbox), text(path)) }) else {
            return 0;
        };
        if !path.is_null() && path_text.is_none() {
            return 0;
        }
        handle.sandbox.wait_for_requests(path_text, count, milliseconds(timeout_ms)).into()
    })
}

/// How many connections were ever accepted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_connection_count(sandbox: *const mfa_sandbox) -> u64 {
    // SAFETY: by the header's rules.
    let handle = unsafe { handle(sandbox) };
    guard(0, || handle.map_or(0, |h| h.sandbox.connection_count()))
}

/// Writes the last provider request on a path (NULL: on any) as text: request line, headers as sent, an
/// empty line, the body. Returns the whole text's length without its NUL, or -1 if there is none; what
/// does not fit into `buffer_size` bytes is cut. `buffer` may be NULL if `buffer_size` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_last_request(
    sandbox: *const mfa_sandbox,
    path: *const c_char,
    buffer: *mut c_char,
    buffer_size: u32,
) -> i32 {
    guard(-1, || {
        // SAFETY: by the header's rules.
        let (Some(handle), path_text) = (unsafe { (handle(sandbox), text(path)) }) else {
            return -1;
        };
        let requests = handle.sandbox.requests();
        let fits = |r: &&LoggedRequest| path.is_null() || path_text == Some(r.path.as_str());
        let Some(request) = requests.iter().rev().find(fits) else {
            return -1;
        };
        let bytes = request_text(request);
        if !buffer.is_null() && buffer_size > 0 {
            let length = bytes.len().min(buffer_size as usize - 1);
            // SAFETY: the caller vouches for `buffer_size` writable bytes; `length` is less than that, and
            // the text is ours, so the two do not overlap.
            unsafe {
                ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.cast::<u8>(), length);
                buffer.add(length).write(0);
            }
        }
        i32::try_from(bytes.len()).unwrap_or(i32::MAX)
    })
}

fn request_text(request: &LoggedRequest) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(&request.body);
    bytes
}
