//! The C ABI: conversions and guards, no logic. The header is generated from this file.
//!
//! No panic crosses the boundary, and `unsafe` is nowhere else in this crate.
#![allow(non_camel_case_types)]
// Each function says in words what its pointers must be; the header repeats the rules once.
#![allow(clippy::missing_safety_doc)]

use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::LazyLock;
use std::time::Duration;

use crate::{DecideError, Decision, LoggedRequest, Options, Sandbox, Transaction, help_text};

/// It was done.
pub const MFA_SANDBOX_OK: i32 = 0;
/// An argument is NULL, not UTF-8, out of range or of a wrong size.
pub const MFA_SANDBOX_ERR_INVALID_ARGUMENT: i32 = 1;
/// There is no such transaction or token.
pub const MFA_SANDBOX_ERR_NOT_FOUND: i32 = 2;
/// The transaction has ended already.
pub const MFA_SANDBOX_ERR_ENDED: i32 = 3;
/// A defect of the sandbox itself.
pub const MFA_SANDBOX_ERR_INTERNAL: i32 = 900;

/// Option flag: https with a certification authority of its own.
pub const MFA_SANDBOX_TLS: u32 = 1;
/// Option flag: listen on every interface; the phone page's address then holds a secret.
pub const MFA_SANDBOX_LAN: u32 = 2;
/// Option flag: Capillary's codes under the HTTP status as well.
pub const MFA_SANDBOX_CAPILLARY_HTTP_STATUS: u32 = 4;
/// Option flag: refuse what the provider's own clients send beside its documentation: for a client's own
/// tests. Without it that is taken, and the answer's header `Sandbox-Unusual` says what it was.
pub const MFA_SANDBOX_STRICT: u32 = 8;

/// Decision: completed, complete result 0.
pub const MFA_SANDBOX_APPROVE: i32 = 1;
/// Decision: completed, complete result 1.
pub const MFA_SANDBOX_DENY: i32 = 2;
/// Decision: status 4, waved away by the person.
pub const MFA_SANDBOX_DECLINE: i32 = 3;
/// Decision: status 3.
pub const MFA_SANDBOX_FAIL: i32 = 4;
/// Decision: status 2, before its life is over.
pub const MFA_SANDBOX_EXPIRE: i32 = 5;

const ALL_FLAGS: u32 =
    MFA_SANDBOX_TLS | MFA_SANDBOX_LAN | MFA_SANDBOX_CAPILLARY_HTTP_STATUS | MFA_SANDBOX_STRICT;

/// A running sandbox. Safe to use from any number of threads at once, except to free it.
pub struct mfa_sandbox {
    sandbox: Sandbox,
    provider_url: CString,
    phone_url: CString,
    ca_pem: Option<CString>,
}

/// How a sandbox is started. All zero behind `struct_size` is the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mfa_sandbox_options {
    /// `sizeof(mfa_sandbox_options)`.
    pub struct_size: u32,
    /// `MFA_SANDBOX_TLS`, `MFA_SANDBOX_LAN`, `MFA_SANDBOX_CAPILLARY_HTTP_STATUS`, `MFA_SANDBOX_STRICT`.
    pub flags: u32,
    /// 0: any free one.
    pub port: u32,
    /// How long a transaction waits for the person; 0: 120,000.
    pub life_ms: u32,
    /// How long a connection may be idle; 0: 60,000.
    pub idle_timeout_ms: u32,
    /// 0.
    pub reserved: u32,
    /// The first transaction's id, the next ones follow; at most 2 to the 62nd. 0: another one in every run,
    /// too large for 32 bits, so that a client that keeps ids in 32 bits is found out.
    pub first_id: i64,
}

/// A transaction at one moment. A text that was not sent is empty; one that does not fit is cut at a
/// character's boundary.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mfa_sandbox_transaction_info {
    /// `sizeof(mfa_sandbox_transaction_info)`, set by the caller.
    pub struct_size: u32,
    /// 0 pending, 1 completed, 2 expired, 3 failed, 4 cancelled or declined; -1: nothing was found.
    pub status: i32,
    /// As returned by start.
    pub id: i64,
    /// 0 approved, 1 denied; 0 while it is pending, too.
    pub complete_result: i32,
    /// As sent.
    pub template_id: i32,
    /// How long it still lives; 0 when it has ended.
    pub remaining_ms: u32,
    /// How many status answers were asked for.
    pub polls: u32,
    /// The person asked.
    pub user: [c_char; 128],
    /// Template 4: the text shown to the person.
    pub question: [c_char; 1024],
    /// As sent: a string that holds JSON. An object in its place: its text.
    pub values: [c_char; 2048],
    /// The control code, as sent.
    pub code: [c_char; 64],
    /// As sent.
    pub device_id: [c_char; 128],
    /// As sent.
    pub device_desc: [c_char; 256],
    /// As sent.
    pub ip: [c_char; 64],
}

/// The sizes at the first release: the least that is ever accepted, whatever joins later.
const LEAST_OPTIONS: usize = 24;
const LEAST_INFO: usize = 3744;
const MOST_STRUCT: usize = 4096;

const OPTIONS: usize = size_of::<mfa_sandbox_options>();

const _: () = assert!(OPTIONS == 32);
const _: () = assert!(std::mem::offset_of!(mfa_sandbox_options, first_id) == LEAST_OPTIONS);
const _: () = assert!(size_of::<mfa_sandbox_transaction_info>() == LEAST_INFO);

/// Runs `work`; a panic becomes `fallback` instead of crossing into C.
fn guard<T>(fallback: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(fallback)
}

/// The handle behind a pointer.
///
/// # Safety
/// `handle` is NULL or came from `mfa_sandbox_new` and is not freed before the call's end.
unsafe fn handle<'a>(handle: *const mfa_sandbox) -> Option<&'a mfa_sandbox> {
    // SAFETY: NULL gives None; else a live Box, never borrowed mutably, by this function's contract.
    unsafe { handle.as_ref() }
}

/// The text behind a pointer, if it is UTF-8.
///
/// # Safety
/// `text` is NULL or NUL-terminated and unchanged during the call.
unsafe fn text<'a>(text: *const c_char) -> Option<&'a str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL, and NUL-terminated by this function's contract.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}

fn milliseconds(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

/// Starts a sandbox. `options` may be NULL. Returns NULL if the options are wrong or the port is taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_new(options: *const mfa_sandbox_options) -> *mut mfa_sandbox {
    guard(ptr::null_mut(), || {
        // SAFETY: NULL or a struct of the size it states, by the header's rules.
        let Some(options) = (unsafe { read_options(options) }) else {
            return ptr::null_mut();
        };
        match start(options) {
            Some(handle) => Box::into_raw(Box::new(handle)),
            None => ptr::null_mut(),
        }
    })
}

/// Reads as much as both sides know; what only the caller knows must be zero, so that no wish is ignored
/// in silence.
///
/// # Safety
/// `options` is NULL or points to as many readable bytes as its first member states.
unsafe fn read_options(options: *const mfa_sandbox_options) -> Option<Options> {
    if options.is_null() {
        return Some(Options::default());
    }
    // SAFETY: every version of the struct begins with its size.
    let size = unsafe { ptr::read_unaligned(options.cast::<u32>()) } as usize;
    if !(LEAST_OPTIONS..=MOST_STRUCT).contains(&size) {
        return None;
    }
    // SAFETY: the caller vouches for `size` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(options.cast::<u8>(), size) };
    let (known, unknown) = bytes.split_at(size.min(OPTIONS));
    if unknown.iter().any(|byte| *byte != 0) {
        return None;
    }
    // What an older caller does not know is zero.
    let mut whole = [0; OPTIONS];
    whole[..known.len()].copy_from_slice(known);
    // SAFETY: as many bytes as the struct has, and every bit pattern is valid for integers.
    to_options(&unsafe { ptr::read_unaligned(whole.as_ptr().cast::<mfa_sandbox_options>()) })
}

fn to_options(given: &mfa_sandbox_options) -> Option<Options> {
    if given.flags & !ALL_FLAGS != 0 || given.reserved != 0 {
        return None;
    }
    let mut options = Options {
        port: u16::try_from(given.port).ok()?,
        tls: given.flags & MFA_SANDBOX_TLS != 0,
        lan: given.flags & MFA_SANDBOX_LAN != 0,
        capillary_http_status: given.flags & MFA_SANDBOX_CAPILLARY_HTTP_STATUS != 0,
        strict: given.flags & MFA_SANDBOX_STRICT != 0,
        ..Options::default()
    };
    if given.life_ms != 0 {
        options.life = milliseconds(given.life_ms);
    }
    if given.idle_timeout_ms != 0 {
        options.idle_timeout = milliseconds(given.idle_timeout_ms);
    }
    if given.first_id != 0 {
        options.first_id = Some(given.first_id);
    }
    Some(options)
}

fn start(options: Options) -> Option<mfa_sandbox> {
    let sandbox = Sandbox::start(options).ok()?;
    let provider_url = CString::new(sandbox.hyperid_url()).ok()?;
    let phone_url = CString::new(sandbox.phone_url()).ok()?;
    let ca_pem = sandbox.ca_pem().map(CString::new).transpose().ok()?;
    Some(mfa_sandbox { sandbox, provider_url, phone_url, ca_pem })
}

/// Stops the sandbox: ends its threads and closes its connections. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_free(sandbox: *mut mfa_sandbox) {
    if sandbox.is_null() {
        return;
    }
    guard((), || {
        // SAFETY: from `mfa_sandbox_new`, freed once, and used by no other call, by the header's rules.
        drop(unsafe { Box::from_raw(sandbox) });
    });
}

/// The sandbox's version, as in "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn mfa_sandbox_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Every behaviour a token can name, one a line, for people.
#[unsafe(no_mangle)]
pub extern "C" fn mfa_sandbox_behaviours() -> *const c_char {
    static TEXT: LazyLock<CString> = LazyLock::new(|| CString::new(help_text()).unwrap_or_default());
    guard(c"".as_ptr(), || TEXT.as_ptr())
}

/// Today's size of "mfa_sandbox_options" or "mfa_sandbox_transaction_info"; 0: no such struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_struct_size(struct_name: *const c_char) -> u32 {
    // SAFETY: NULL or NUL-terminated, by the header's rules.
    match unsafe { text(struct_name) } {
        Some("mfa_sandbox_options") => size_of::<mfa_sandbox_options>() as u32,
        Some("mfa_sandbox_transaction_info") => size_of::<mfa_sandbox_transaction_info>() as u32,
        _ => 0,
    }
}

/// The base URL for HyperID's calls.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_hyperid_url(sandbox: *const mfa_sandbox) -> *const c_char {
    // SAFETY: by the header's rules.
    unsafe { handle(sandbox) }.map_or(ptr::null(), |h| h.provider_url.as_ptr())
}

/// The base URL for Capillary's calls.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_capillary_url(sandbox: *const mfa_sandbox) -> *const c_char {
    // SAFETY: by the header's rules.
    unsafe { handle(sandbox) }.map_or(ptr::null(), |h| h.provider_url.as_ptr())
}

/// The phone page's address; with `MFA_SANDBOX_LAN` it holds a secret.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_phone_url(sandbox: *const mfa_sandbox) -> *const c_char {
    // SAFETY: by the header's rules.
    unsafe { handle(sandbox) }.map_or(ptr::null(), |h| h.phone_url.as_ptr())
}

/// With `MFA_SANDBOX_TLS`, the certificate of this run's authority; else NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_ca_pem(sandbox: *const mfa_sandbox) -> *const c_char {
    // SAFETY: by the header's rules.
    let pem = unsafe { handle(sandbox) }.and_then(|h| h.ca_pem.as_ref());
    pem.map_or(ptr::null(), |pem| pem.as_ptr())
}

/// Makes any text a magic token; `behaviour` is what would follow "sandbox-", as in "deny-after-500".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_add_token(
    sandbox: *const mfa_sandbox,
    token: *const c_char,
    behaviour: *const c_char,
) -> i32 {
    guard(MFA_SANDBOX_ERR_INTERNAL, || {
        // SAFETY: by the header's rules.
        let (handle, token, behaviour) = unsafe { (handle(sandbox), text(token), text(behaviour)) };
        let (Some(handle), Some(token), Some(behaviour)) = (handle, token, behaviour) else {
            return MFA_SANDBOX_ERR_INVALID_ARGUMENT;
        };
        match handle.sandbox.add_token(token, behaviour) {
            Ok(()) => MFA_SANDBOX_OK,
            Err(_) => MFA_SANDBOX_ERR_INVALID_ARGUMENT,
        }
    })
}

/// From now on the token is expired.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_expire_token(sandbox: *const mfa_sandbox, token: *const c_char) -> i32 {
    // SAFETY: by the header's rules.
    let (handle, token) = unsafe { (handle(sandbox), text(token)) };
    invalidate(handle, token, Sandbox::expire_token)
}

/// From now on the token is invalid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_revoke_token(sandbox: *const mfa_sandbox, token: *const c_char) -> i32 {
    // SAFETY: by the header's rules.
    let (handle, token) = unsafe { (handle(sandbox), text(token)) };
    invalidate(handle, token, Sandbox::revoke_token)
}

fn invalidate(handle: Option<&mfa_sandbox>, token: Option<&str>, how: fn(&Sandbox, &str) -> bool) -> i32 {
    let (Some(handle), Some(token)) = (handle, token) else {
        return MFA_SANDBOX_ERR_INVALID_ARGUMENT;
    };
    guard(MFA_SANDBOX_ERR_INTERNAL, || {
        if how(&handle.sandbox, token) { MFA_SANDBOX_OK } else { MFA_SANDBOX_ERR_NOT_FOUND }
    })
}

/// Adds a Capillary brand, with MFA (`has_mfa` not 0) or without, or replaces one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_add_brand(
    sandbox: *const mfa_sandbox,
    brand: *const c_char,
    has_mfa: i32,
) -> i32 {
    guard(MFA_SANDBOX_ERR_INTERNAL, || {
        // SAFETY: by the header's rules.
        let (Some(handle), Some(brand)) = (unsafe { (handle(sandbox), text(brand)) }) else {
            return MFA_SANDBOX_ERR_INVALID_ARGUMENT;
        };
        handle.sandbox.add_brand(brand, has_mfa != 0);
        MFA_SANDBOX_OK
    })
}

/// Ends a pending transaction as the person would: `MFA_SANDBOX_APPROVE`, `_DENY`, `_DECLINE`, `_FAIL`,
/// `_EXPIRE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_decide(
    sandbox: *const mfa_sandbox,
    transaction_id: i64,
    decision: i32,
) -> i32 {
    guard(MFA_SANDBOX_ERR_INTERNAL, || {
        let decision = match decision {
            MFA_SANDBOX_APPROVE => Decision::Approve,
            MFA_SANDBOX_DENY => Decision::Deny,
            MFA_SANDBOX_DECLINE => Decision::Decline,
            MFA_SANDBOX_FAIL => Decision::Fail,
            MFA_SANDBOX_EXPIRE => Decision::Expire,
            _ => return MFA_SANDBOX_ERR_INVALID_ARGUMENT,
        };
        // SAFETY: by the header's rules.
        let Some(handle) = (unsafe { handle(sandbox) }) else {
            return MFA_SANDBOX_ERR_INVALID_ARGUMENT;
        };
        match handle.sandbox.decide(transaction_id, decision) {
            Ok(()) => MFA_SANDBOX_OK,
            Err(DecideError::NotFound) => MFA_SANDBOX_ERR_NOT_FOUND,
            Err(DecideError::Ended(_)) => MFA_SANDBOX_ERR_ENDED,
        }
    })
}

/// Waits for a pending transaction that was not returned before and returns the newest's id; 0: none in
/// time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_wait_for_transaction(
    sandbox: *const mfa_sandbox,
    timeout_ms: u32,
) -> i64 {
    guard(0, || {
        // SAFETY: by the header's rules.
        let Some(handle) = (unsafe { handle(sandbox) }) else {
            return 0;
        };
        let found = handle.sandbox.wait_for_transaction(milliseconds(timeout_ms));
        found.map_or(0, |transaction| transaction.id)
    })
}

/// Fills `out` with a transaction as it is now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_transaction(
    sandbox: *const mfa_sandbox,
    transaction_id: i64,
    out: *mut mfa_sandbox_transaction_info,
) -> i32 {
    guard(MFA_SANDBOX_ERR_INTERNAL, || {
        if out.is_null() {
            return MFA_SANDBOX_ERR_INVALID_ARGUMENT;
        }
        // SAFETY: every version of the struct begins with its size.
        let size = unsafe { ptr::read_unaligned(out.cast::<u32>()) };
        if !(LEAST_INFO..=MOST_STRUCT).contains(&(size as usize)) {
            return MFA_SANDBOX_ERR_INVALID_ARGUMENT;
        }
        // SAFETY: by the header's rules.
        let handle = unsafe { handle(sandbox) };
        let found = handle.and_then(|handle| handle.sandbox.transaction(transaction_id));
        let filled = info(size, found.as_ref());
        // SAFETY: the caller vouches for at least `LEAST_INFO` writable bytes, and this struct is no larger.
        unsafe { ptr::write_unaligned(out, filled) };
        match (handle, found) {
            (None, _) => MFA_SANDBOX_ERR_INVALID_ARGUMENT,
            (_, None) => MFA_SANDBOX_ERR_NOT_FOUND,
            _ => MFA_SANDBOX_OK,
        }
    })
}

fn info(struct_size: u32, transaction: Option<&Transaction>) -> mfa_sandbox_transaction_info {
    let optional = |text: fn(&Transaction) -> Option<&str>| transaction.and_then(text).unwrap_or("");
    mfa_sandbox_transaction_info {
        struct_size,
        status: transaction.map_or(-1, |t| t.status.number()),
        id: transaction.map_or(0, |t| t.id),
        complete_result: transaction.map_or(-1, |t| t.complete_result),
        template_id: transaction.map_or(0, |t| t.template_id as i32),
        remaining_ms: transaction.map_or(0, |t| u32::try_from(t.remaining.as_millis()).unwrap_or(u32::MAX)),
        polls: transaction.map_or(0, |t| u32::try_from(t.polls).unwrap_or(u32::MAX)),
        user: chars(optional(|t| Some(&t.user))),
        question: chars(optional(|t| t.question.as_deref())),
        values: chars(optional(|t| t.values.as_deref())),
        code: chars(optional(|t| t.code.as_deref())),
        device_id: chars(optional(|t| t.device_id.as_deref())),
        device_desc: chars(optional(|t| t.device_desc.as_deref())),
        ip: chars(optional(|t| t.ip.as_deref())),
    }
}

/// A NUL-terminated copy, cut at a character's boundary.
fn chars<const N: usize>(text: &str) -> [c_char; N] {
    let mut end = text.len().min(N - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(&text.as_bytes()[..end]) {
        *to = *from as c_char;
    }
    out
}

/// How many pushes went to phones: one for each transaction ever started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_push_count(sandbox: *const mfa_sandbox) -> u64 {
    // SAFETY: by the header's rules.
    let handle = unsafe { handle(sandbox) };
    guard(0, || handle.map_or(0, |h| h.sandbox.push_count()))
}

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
