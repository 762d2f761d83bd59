//! A sandbox from its start to its end, where it is, and what it can do.

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::LazyLock;

use super::boundary::{guard, handle, milliseconds, text};
use super::types::{
    ALL_FLAGS, LEAST_OPTIONS, MFA_SANDBOX_CAPILLARY_HTTP_STATUS, MFA_SANDBOX_LAN, MFA_SANDBOX_STRICT,
    MFA_SANDBOX_TLS, MOST_STRUCT, OPTIONS, mfa_sandbox, mfa_sandbox_options, mfa_sandbox_transaction_info,
};
use crate::{Options, Sandbox, help_text};

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
