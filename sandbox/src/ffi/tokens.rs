//! Tokens and brands.

use std::ffi::c_char;

use super::boundary::{guard, handle, text};
use super::types::{
    MFA_SANDBOX_ERR_INTERNAL, MFA_SANDBOX_ERR_INVALID_ARGUMENT, MFA_SANDBOX_ERR_NOT_FOUND, MFA_SANDBOX_OK,
    mfa_sandbox,
};
use crate::Sandbox;

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
