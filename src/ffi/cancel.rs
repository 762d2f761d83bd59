//! `mfa_cancel`.

use crate::error::Provider;
use crate::ffi::guard::{Export, guard};
use crate::time::Cancel;

/// Ends calls before their time. Make one with `mfa_cancel_new`, name it in `mfa_call_options`,
/// trigger it from any thread. It outlives every call that it was given to, may serve many calls
/// at once, and once triggered stays so for good.
pub struct mfa_cancel(pub(super) Cancel);

pub(super) const CANCEL_NEW: Export =
    Export { name: "mfa_cancel_new", provider: Provider::None, asks_a_person: false };

/// Makes a cancel object; free it with `mfa_cancel_free`. NULL only after a defect in libmfa: without
/// memory it does not return at all (rule 8).
#[unsafe(no_mangle)]
pub extern "C" fn mfa_cancel_new() -> *mut mfa_cancel {
    guard(&CANCEL_NEW, std::ptr::null_mut(), || Box::into_raw(Box::new(mfa_cancel(Cancel::new()))))
}

pub(super) const CANCEL_TRIGGER: Export =
    Export { name: "mfa_cancel_trigger", provider: Provider::None, asks_a_person: false };

/// Ends every call that uses `cancel`, now and later: each returns `MFA_ERR_CANCELLED` within 50 ms,
/// wherever it is (2 s where it is to withdraw the request). Any thread, any number of times; never
/// blocks, and may be called from a signal handler (it stores a flag and calls write(2)). In a forked
/// child it ends the child's calls and not its parent's. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_cancel_trigger(cancel: *mut mfa_cancel) {
    guard(&CANCEL_TRIGGER, (), || {
        // SAFETY: NULL, or from `mfa_cancel_new` and not freed, guaranteed by the caller; only shared use.
        if let Some(cancel) = unsafe { cancel.as_ref() } {
            cancel.0.trigger();
        }
    });
}

pub(super) const CANCEL_FREE: Export =
    Export { name: "mfa_cancel_free", provider: Provider::None, asks_a_person: false };

/// Frees a cancel object. No call may still use it. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_cancel_free(cancel: *mut mfa_cancel) {
    guard(&CANCEL_FREE, (), || {
        if !cancel.is_null() {
            // SAFETY: from `mfa_cancel_new`'s Box, and freed once, guaranteed by the caller.
            drop(unsafe { Box::from_raw(cancel) });
        }
    });
}
