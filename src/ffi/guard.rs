//! The boundary guard: no panic crosses into C, no pthread_cancel acts inside, and every error reaches
//! the caller's struct.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Code, Error, Provider};
use crate::ffi::error::{mfa_code, mfa_error, reset_error};
use crate::sys::Undisturbed;

/// What the guard must know of an export. Each stands beside its export; the tests compare all of
/// them with the header, and with the lists in which an export must not be missing.
pub(super) struct Export {
    pub(super) name: &'static str,
    /// Whose call it is, also in an error that arises before the core is asked.
    pub(super) provider: Provider,
    /// It may send a request that asks a person.
    pub(super) asks_a_person: bool,
}

/// Runs the body of an export that returns no code; a panic becomes `on_panic`.
pub(super) fn guard<T>(export: &Export, on_panic: T, body: impl FnOnce() -> T) -> T {
    let _undisturbed = Undisturbed::new();
    catch(on_panic, || {
        plant_panic(export);
        body()
    })
}

fn catch<T>(on_panic: T, body: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(payload) => {
            // A payload's own drop may panic; that must not get out either.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
            on_panic
        }
    }
}

/// Runs the body of an export that returns a code and fills `err`.
///
/// # Safety
/// `err` is NULL or points to an `mfa_error` whose `struct_size` is set, writable for that size.
pub(super) unsafe fn fallible(
    export: &Export,
    err: *mut mfa_error,
    body: impl FnOnce() -> Result<(), Error>,
) -> mfa_code {
    let _undisturbed = Undisturbed::new();
    catch(Code::Internal as i32, || {
        // SAFETY: passed on from the caller.
        let err = match unsafe { reset_error(err) } {
            Ok(err) => err,
            Err(code) => return code as i32,
        };
        let panicked = || {
            let error = Error::internal(format!("{} panicked; this is a defect in libmfa", export.name));
            // How far it came is not known: the person may have been asked.
            Err(Error { outcome_unknown: export.asks_a_person, ..error })
        };
        let planted_body = || {
            plant_panic(export);
            Some(body())
        };
        let result = catch(None, planted_body).unwrap_or_else(panicked);
        let Err(error) = result else { return Code::Ok as i32 };
        let error = Error { provider: export.provider, ..error };
        if let Some(err) = err {
            err.write(&mfa_error::from(&error));
        }
        error.code as i32
    })
}

/// In the test build alone: panics where the environment says so, to prove the guard.
#[cfg(mfa_plant_panics)]
fn plant_panic(export: &Export) {
    if std::env::var("MFA_PLANT_PANIC").is_ok_and(|planted| planted == export.name) {
        panic!("planted in {}", export.name);
    }
}

#[cfg(not(mfa_plant_panics))]
fn plant_panic(_: &Export) {}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
