//! The log of provider requests.

use std::ffi::c_char;

use super::boundary::{guard, handle, milliseconds, text, write_text};
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

/// How many are open now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_open_connections(sandbox: *const mfa_sandbox) -> u64 {
    // SAFETY: by the header's rules.
    let handle = unsafe { handle(sandbox) };
    guard(0, || handle.map_or(0, |h| h.sandbox.open_connections() as u64))
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
        // SAFETY: by the header's rules.
        unsafe { write_text(&request_text(request), buffer, buffer_size) }
    })
}

/// Writes one provider request, counted from 1 to `mfa_sandbox_request_count(sandbox, NULL)`, as
/// `mfa_sandbox_last_request` does. Returns -1 if there is none, or if it is forgotten: the last 1,000 are kept.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_request(
    sandbox: *const mfa_sandbox,
    number: u64,
    buffer: *mut c_char,
    buffer_size: u32,
) -> i32 {
    guard(-1, || {
        // SAFETY: by the header's rules.
        let Some(request) = (unsafe { handle(sandbox) }).and_then(|h| h.sandbox.request(number)) else {
            return -1;
        };
        // SAFETY: by the header's rules.
        unsafe { write_text(&request_text(&request), buffer, buffer_size) }
    })
}

/// Empties the log of requests; the counters go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_clear_requests(sandbox: *const mfa_sandbox) {
    // SAFETY: by the header's rules.
    let handle = unsafe { handle(sandbox) };
    guard((), || {
        if let Some(handle) = handle {
            handle.sandbox.clear_requests();
        }
    });
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
