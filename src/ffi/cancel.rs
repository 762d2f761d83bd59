//! `mfa_cancel`.

use crate::ffi::guard::guard;
use crate::time::Cancel;

/// Ends calls before their time. Make one with `mfa_cancel_new`, name it in `mfa_call_options`,
/// trigger it from any thread. It outlives every call that it was given to, may serve many calls
/// at once, and once triggered stays so for good.
pub struct mfa_cancel(pub(super) Cancel);

/// Makes a cancel object; free it with `mfa_cancel_free`. NULL only after a defect in libmfa: without
/// memory it does not return at all (rule 8).
#[unsafe(no_mangle)]
pub extern "C" fn mfa_cancel_new() -> *mut mfa_cancel {
    guard("mfa_cancel_new", std::ptr::null_mut(), || Box::into_raw(Box::new(mfa_cancel(Cancel::new()))))
}

/// Ends every call that uses `cancel`, now and later: each returns `MFA_ERR_CANCELLED` within 50
/// ms, wherever it is. Any thread, any number of times; never blocks, and may be called from a
/// signal handler (it stores a flag and calls write(2)). In a forked child it ends the child's calls
/// and not its parent's. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_cancel_trigger(cancel: *mut mfa_cancel) {
    guard("mfa_cancel_trigger", (), || {
        // SAFETY: NULL, or from `mfa_cancel_new` and not freed, guaranteed by the caller; only shared use.
        if let Some(cancel) = unsafe { cancel.as_ref() } {
            cancel.0.trigger();
        }
    });
}

/// Frees a cancel object. No call may still use it. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_cancel_free(cancel: *mut mfa_cancel) {
    guard("mfa_cancel_free", (), || {
        if !cancel.is_null() {
            // SAFETY: from `mfa_cancel_new`'s Box, and freed once, guaranteed by the caller.
            drop(unsafe { Box::from_raw(cancel) });
        }
    });
}
