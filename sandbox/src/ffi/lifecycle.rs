//! A sandbox from its start to its end, where it is, and what it can do.

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::LazyLock;

use super::boundary::{guard, handle, milliseconds, optional, read_struct, text, write_text};
use super::types::{
    ALL_FLAGS, LEAST_OPTIONS, MFA_SANDBOX_CAPILLARY_HTTP_STATUS, MFA_SANDBOX_ERR_INTERNAL,
    MFA_SANDBOX_ERR_INVALID_ARGUMENT, MFA_SANDBOX_LAN, MFA_SANDBOX_LOG, MFA_SANDBOX_OK, MFA_SANDBOX_STRICT,
    MFA_SANDBOX_TLS, mfa_sandbox, mfa_sandbox_options, mfa_sandbox_transaction_info, mfa_sandbox_user,
};
use crate::{Options, Sandbox, help_text};

/// Starts a sandbox. `options` may be NULL. Returns NULL if the options are wrong or the port is taken:
/// `mfa_sandbox_new_why` says which.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_new(options: *const mfa_sandbox_options) -> *mut mfa_sandbox {
    // SAFETY: by the header's rules; no text is wanted.
    unsafe { mfa_sandbox_new_why(options, ptr::null_mut(), 0) }
}

/// Starts a sandbox as `mfa_sandbox_new` does. If it returns NULL, `why` holds a sentence for people, cut where
/// `why_size` bytes are full; else an empty text. `why` may be NULL if `why_size` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_new_why(
    options: *const mfa_sandbox_options,
    why: *mut c_char,
    why_size: u32,
) -> *mut mfa_sandbox {
    let started = guard(Err("the sandbox itself failed".to_owned()), || {
        // SAFETY: NULL or a struct of the size it states, by the header's rules.
        unsafe { read_options(options) }.and_then(start)
    });
    let text = started.as_ref().err().map_or("", String::as_str);
    // SAFETY: by the header's rules.
    unsafe { write_text(text.as_bytes(), why, why_size) };
    started.map_or(ptr::null_mut(), |handle| Box::into_raw(Box::new(handle)))
}

/// # Safety
/// `options` is NULL or points to as many readable bytes as its first member states, and its texts are NUL-terminated.
unsafe fn read_options(options: *const mfa_sandbox_options) -> Result<Options, String> {
    if options.is_null() {
        return Ok(Options::default());
    }
    // SAFETY: by this function's contract; integers and pointers are valid for every bit pattern.
    let given = unsafe { read_struct(options, LEAST_OPTIONS) }?;
    let mut options = to_options(&given)?;
    // SAFETY: by this function's contract.
    let (any_token, origins, key) = unsafe {
        (
            optional("any_token", given.any_token)?,
            optional("allow_origins", given.allow_origins)?,
            optional("control_key", given.control_key)?,
        )
    };
    options.any_token = any_token.map(str::to_owned);
    options.allow_origins = origins.unwrap_or("").split_whitespace().map(str::to_owned).collect();
    options.control_key = key.map(str::to_owned);
    Ok(options)
}

fn to_options(given: &mfa_sandbox_options) -> Result<Options, String> {
    if given.flags & !ALL_FLAGS != 0 {
        return Err(format!(
            "flags has bits that this sandbox does not know: {:#x}",
            given.flags & !ALL_FLAGS
        ));
    }
    if given.reserved != 0 {
        return Err("reserved must be 0".to_owned());
    }
    let mut options = Options {
        port: u16::try_from(given.port).map_err(|_| format!("port {} is above 65535", given.port))?,
        tls: given.flags & MFA_SANDBOX_TLS != 0,
        lan: given.flags & MFA_SANDBOX_LAN != 0,
        capillary_http_status: given.flags & MFA_SANDBOX_CAPILLARY_HTTP_STATUS != 0,
        strict: given.flags & MFA_SANDBOX_STRICT != 0,
        log: given.flags & MFA_SANDBOX_LOG != 0,
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
    Ok(options)
}

fn start(options: Options) -> Result<mfa_sandbox, String> {
    let sandbox = Sandbox::start(options).map_err(|error| error.to_string())?;
    let text = |text: &str| CString::new(text).map_err(|error| error.to_string());
    let (provider_url, phone_url) = (text(sandbox.hyperid_url())?, text(sandbox.phone_url())?);
    let (control_url, control_key) = (text(sandbox.control_url())?, text(sandbox.control_key())?);
    let ca_pem = sandbox.ca_pem().map(text).transpose()?;
    Ok(mfa_sandbox { sandbox, provider_url, phone_url, control_url, control_key, ca_pem })
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

/// Today's size of "mfa_sandbox_options", "mfa_sandbox_transaction_info" or "mfa_sandbox_user"; 0: no such struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_struct_size(struct_name: *const c_char) -> u32 {
    // SAFETY: NULL or NUL-terminated, by the header's rules.
    match unsafe { text(struct_name) } {
        Some("mfa_sandbox_options") => size_of::<mfa_sandbox_options>() as u32,
        Some("mfa_sandbox_transaction_info") => size_of::<mfa_sandbox_transaction_info>() as u32,
        Some("mfa_sandbox_user") => size_of::<mfa_sandbox_user>() as u32,
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

/// The interface for tests in other languages, over HTTP: README.md describes it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_control_url(sandbox: *const mfa_sandbox) -> *const c_char {
    // SAFETY: by the header's rules.
    unsafe { handle(sandbox) }.map_or(ptr::null(), |h| h.control_url.as_ptr())
}

/// The key of this run, for the header `Sandbox-Key` of that interface.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_control_key(sandbox: *const mfa_sandbox) -> *const c_char {
    // SAFETY: by the header's rules.
    unsafe { handle(sandbox) }.map_or(ptr::null(), |h| h.control_key.as_ptr())
}

/// Forgets everything, as if it were started anew: people, tokens, brands, transactions, requests and their counters.
/// The ids go on, or begin at `first_id` if that is not 0. Connections, addresses and the key stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_reset(sandbox: *const mfa_sandbox, first_id: i64) -> i32 {
    guard(MFA_SANDBOX_ERR_INTERNAL, || {
        // SAFETY: by the header's rules.
        let Some(handle) = (unsafe { handle(sandbox) }) else {
            return MFA_SANDBOX_ERR_INVALID_ARGUMENT;
        };
        match handle.sandbox.reset((first_id != 0).then_some(first_id)) {
            Ok(()) => MFA_SANDBOX_OK,
            Err(_) => MFA_SANDBOX_ERR_INVALID_ARGUMENT,
        }
    })
}

/// With `MFA_SANDBOX_TLS`, the certificate of this run's authority; else NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_ca_pem(sandbox: *const mfa_sandbox) -> *const c_char {
    // SAFETY: by the header's rules.
    let pem = unsafe { handle(sandbox) }.and_then(|h| h.ca_pem.as_ref());
    pem.map_or(ptr::null(), |pem| pem.as_ptr())
}
