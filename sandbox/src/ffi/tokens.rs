//! People, tokens and brands.

use std::ffi::c_char;

use super::boundary::{guard, handle, milliseconds, optional, read_struct, text, write_text};
use super::types::{
    ALL_USER_FLAGS, LEAST_USER, MFA_SANDBOX_ERR_INTERNAL, MFA_SANDBOX_ERR_INVALID_ARGUMENT,
    MFA_SANDBOX_ERR_NOT_FOUND, MFA_SANDBOX_OK, MFA_SANDBOX_USER_NO_APP, MFA_SANDBOX_USER_NOT_REGISTERED,
    mfa_sandbox, mfa_sandbox_user,
};
use crate::{Access, Sandbox, User, check_behaviour};

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

/// Whether a behaviour can be used: `MFA_SANDBOX_OK`, and an empty text in `why`; else
/// `MFA_SANDBOX_ERR_INVALID_ARGUMENT`, and a sentence for people, with the nearest name. What does not fit into
/// `why_size` bytes is cut. `why` may be NULL if `why_size` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_check_behaviour(
    behaviour: *const c_char,
    why: *mut c_char,
    why_size: u32,
) -> i32 {
    guard(MFA_SANDBOX_ERR_INTERNAL, || {
        // SAFETY: by the header's rules.
        let wrong = match unsafe { text(behaviour) } {
            Some(behaviour) => check_behaviour(behaviour).err().map(|why| why.to_string()),
            None => Some("the behaviour is NULL, or not UTF-8".to_owned()),
        };
        // SAFETY: by the header's rules.
        unsafe { write_text(wrong.as_deref().unwrap_or("").as_bytes(), why, why_size) };
        if wrong.is_none() { MFA_SANDBOX_OK } else { MFA_SANDBOX_ERR_INVALID_ARGUMENT }
    })
}

/// Adds a person, or replaces one. `user` may be NULL: the default.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_add_user(
    sandbox: *const mfa_sandbox,
    name: *const c_char,
    user: *const mfa_sandbox_user,
) -> i32 {
    guard(MFA_SANDBOX_ERR_INTERNAL, || {
        // SAFETY: by the header's rules.
        let (handle, name, user) = unsafe { (handle(sandbox), text(name), read_user(user)) };
        let (Some(handle), Some(name), Ok(user)) = (handle, name, user) else {
            return MFA_SANDBOX_ERR_INVALID_ARGUMENT;
        };
        match handle.sandbox.add_user(name, user) {
            Ok(()) => MFA_SANDBOX_OK,
            Err(_) => MFA_SANDBOX_ERR_INVALID_ARGUMENT,
        }
    })
}

/// # Safety
/// `user` is NULL or points to as many readable bytes as its first member states, and its texts are NUL-terminated.
unsafe fn read_user(user: *const mfa_sandbox_user) -> Result<User, String> {
    let mut out = User::default();
    if user.is_null() {
        return Ok(out);
    }
    // SAFETY: by this function's contract; integers and pointers are valid for every bit pattern.
    let given = unsafe { read_struct(user, LEAST_USER) }?;
    if given.flags & !ALL_USER_FLAGS != 0 {
        return Err("flags has bits that this sandbox does not know".to_owned());
    }
    // SAFETY: by this function's contract.
    let (methods, devices, behaviour) = unsafe {
        (
            optional("methods", given.methods)?,
            optional("devices", given.devices)?,
            optional("behaviour", given.behaviour)?,
        )
    };
    out.app_linked = given.flags & MFA_SANDBOX_USER_NO_APP == 0;
    out.registered = given.flags & MFA_SANDBOX_USER_NOT_REGISTERED == 0;
    out.methods = match methods {
        None => out.methods,
        Some("none") => Vec::new(),
        Some(list) => list
            .split(',')
            .map(|number| number.trim().parse().map_err(|_| format!("'{number}' is not a method")))
            .collect::<Result<_, _>>()?,
    };
    out.devices = devices.unwrap_or("").lines().map(str::to_owned).collect();
    out.behaviour = behaviour.unwrap_or("").to_owned();
    Ok(out)
}

/// Issues a token to a person, who is added with the defaults if not known, and is asked on the page unless a behaviour
/// of the person's says otherwise. Any text will do. `scopes` with blanks between them; NULL: "mfa-client
/// second-factor-auth-client". `lives_ms`: how long it is good; 0: until it is revoked or expired.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_issue_token(
    sandbox: *const mfa_sandbox,
    token: *const c_char,
    user: *const c_char,
    scopes: *const c_char,
    lives_ms: u32,
) -> i32 {
    guard(MFA_SANDBOX_ERR_INTERNAL, || {
        // SAFETY: by the header's rules.
        let (handle, token, user, access) =
            unsafe { (handle(sandbox), text(token), text(user), read_access(scopes, lives_ms)) };
        let (Some(handle), Some(token), Some(user), Ok(access)) = (handle, token, user, access) else {
            return MFA_SANDBOX_ERR_INVALID_ARGUMENT;
        };
        handle.sandbox.issue_token(token, user, access);
        MFA_SANDBOX_OK
    })
}

/// Makes a token shaped as the providers' (three parts, HS256), issues it as `mfa_sandbox_issue_token` does, and writes
/// it to `buffer`. Returns its length without its NUL, or -1 if an argument is wrong; one that does not fit into
/// `buffer_size` bytes is cut: 2,048 are enough for names and scopes of usual length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_sandbox_issue_jwt(
    sandbox: *const mfa_sandbox,
    user: *const c_char,
    scopes: *const c_char,
    lives_ms: u32,
    buffer: *mut c_char,
    buffer_size: u32,
) -> i32 {
    guard(-1, || {
        // SAFETY: by the header's rules.
        let (handle, user, access) = unsafe { (handle(sandbox), text(user), read_access(scopes, lives_ms)) };
        let (Some(handle), Some(user), Ok(access)) = (handle, user, access) else {
            return -1;
        };
        match handle.sandbox.issue_jwt(user, access) {
            // SAFETY: by the header's rules.
            Ok(token) => unsafe { write_text(token.as_bytes(), buffer, buffer_size) },
            Err(_) => -1,
        }
    })
}

/// # Safety
/// `scopes` is NULL or NUL-terminated.
unsafe fn read_access(scopes: *const c_char, lives_ms: u32) -> Result<Access, String> {
    let mut access = Access::default();
    // SAFETY: by this function's contract.
    if let Some(scopes) = unsafe { optional("scopes", scopes) }? {
        access.scopes = scopes.split_whitespace().map(str::to_owned).collect();
    }
    access.lives = (lives_ms != 0).then(|| milliseconds(lives_ms));
    Ok(access)
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
