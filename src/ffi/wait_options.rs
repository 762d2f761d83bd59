//! `mfa_wait_options` and its callbacks.

use std::ffi::{CStr, c_char, c_void};
use std::ops::ControlFlow;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::Error;
use crate::ffi::memory::{AbiStruct, POINTER, boolean, check_flags, field_sizes, read_input};
use crate::ffi::transaction::mfa_transaction;
use crate::hyperid::{Transaction, WaitOptions};

/// In `mfa_wait_options.flags`: when the cancel object or `on_update` ends the wait, withdraw the
/// transaction first: cancel it, and read its state once more, within 2 s and never past the
/// deadline. An answer to a start that is on its way is read on within the same 2 s, so that its
/// transaction can be withdrawn. A decision that is read then (approved, denied, expired) is the
/// answer, and the call returns `MFA_OK`; else it returns `MFA_ERR_CANCELLED`, with
/// `MFA_ERROR_WITHDRAWN` where the provider confirmed that the transaction is cancelled.
pub const MFA_WAIT_WITHDRAW_ON_CANCEL: u32 = 1;
/// In `mfa_wait_options.flags` of `mfa_waiter_confirm` and `mfa_waiter_wait` alone: an
/// `MFA_EVENT_UPDATE` after each poll that brought no final answer.
pub const MFA_WAIT_REPORT_UPDATES: u32 = 2;
/// In `mfa_wait_options.flags` of `mfa_waiter_confirm` and `mfa_waiter_wait` alone: an
/// `MFA_EVENT_TOKEN_REFUSED` each time that the server refuses the token as expired or invalid, and time
/// until the deadline for `mfa_waiter_give_token`. A token so given that is refused before it has served
/// once ends the wait, as any refused token does without this flag.
pub const MFA_WAIT_ASK_FOR_TOKEN: u32 = 4;

/// Called after each poll with what is known so far, and by `mfa_hyperid_confirm` once as soon as
/// the id is known (`polls` is 0), so that a program can save the id and show the control code.
/// `so_far` is valid during the call only. Non-zero ends the wait with `MFA_ERR_CANCELLED`, unless
/// `so_far` holds the final answer already. On the calling thread, with no lock held; it may call
/// libmfa, but must not free what the call uses, nor unwind or longjmp.
pub type mfa_update_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, so_far: *const mfa_transaction) -> i32>;

/// Called when the server refused the token as expired or invalid: returns a fresh one, which is
/// copied at once, or NULL to give up. What was refused is then sent once more with it; a start only
/// if the refusal was the provider's own and the token is another one. Called again when a token that has
/// served is refused later; one that is refused before it has served once ends the wait. Not called
/// while a transaction is being withdrawn. Rules as `mfa_update_fn`.
pub type mfa_token_fn = Option<unsafe extern "C" fn(user_data: *mut c_void) -> *const c_char>;

/// How to wait. NULL wherever it is taken: the defaults.
///
/// Polls come after `min_interval_ms` or a tenth of the time for which the call has known the id,
/// whichever is more, and up to a quarter more at random; never after more than `max_interval_ms`.
/// A server that asks for more time with Retry-After gets it after a 429, and up to three times
/// `max_interval_ms` after any other answer; one last look shortly before the deadline is taken all
/// the same.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mfa_wait_options {
    /// `sizeof(mfa_wait_options)`; set by `MFA_WAIT_OPTIONS_INIT`.
    pub struct_size: u32,
    /// Milliseconds before the first poll. 0: `mfa_hyperid_wait` polls at once,
    /// `mfa_hyperid_confirm` after `min_interval_ms`.
    pub first_poll_ms: u32,
    /// Milliseconds: the least time between two polls. 0: 1 000.
    pub min_interval_ms: u32,
    /// Milliseconds: the most. 0: 10 000, or the minimum if that is more. Below the minimum: refused.
    pub max_interval_ms: u32,
    /// 1: before the deadline, withdraw the transaction: cancel it, and read its state once more. The
    /// last 5 s of the deadline, or its last quarter if that is less, are kept for it. A decision that
    /// is read then (approved, denied, expired) is the answer; else the call returns
    /// `MFA_ERR_TIMEOUT`, with `MFA_ERROR_WITHDRAWN` where the provider confirmed that the transaction
    /// is cancelled.
    pub cancel_on_timeout: i32,
    /// `MFA_WAIT_WITHDRAW_ON_CANCEL` or 0, and in a waiter `MFA_WAIT_REPORT_UPDATES` and
    /// `MFA_WAIT_ASK_FOR_TOKEN`; unknown bits are refused.
    pub flags: u32,
    /// Sees each update. NULL: none. In a waiter: NULL.
    pub on_update: mfa_update_fn,
    /// Handed to `on_update`.
    pub on_update_user_data: *mut c_void,
    /// Gives a fresh token. NULL: a refused token ends the wait. In a waiter: NULL.
    pub access_token_provider: mfa_token_fn,
    /// Handed to `access_token_provider`.
    pub access_token_provider_user_data: *mut c_void,
}

// SAFETY: repr(C), begins with the u32; integers, pointers and optional functions are valid for zero and
// for what a caller sets.
unsafe impl AbiStruct for mfa_wait_options {
    const NAME: &'static str = "mfa_wait_options";
    const FIRST_SIZE: usize = 24 + 4 * POINTER;
    const FIELDS: &'static [usize] = field_sizes!(mfa_wait_options {
        struct_size,
        first_poll_ms,
        min_interval_ms,
        max_interval_ms,
        cancel_on_timeout,
        flags,
        on_update,
        on_update_user_data,
        access_token_provider,
        access_token_provider_user_data,
    });
}

const DEFAULTS: mfa_wait_options = mfa_wait_options {
    struct_size: 0,
    first_poll_ms: 0,
    min_interval_ms: 0,
    max_interval_ms: 0,
    cancel_on_timeout: 0,
    flags: 0,
    on_update: None,
    on_update_user_data: std::ptr::null_mut(),
    access_token_provider: None,
    access_token_provider_user_data: std::ptr::null_mut(),
};

/// Reads the options and runs `use_them` with the core's; the callbacks live that long.
///
/// # Safety
/// `pointer` is NULL or points to options as the header describes them, valid during the call.
pub(super) unsafe fn with_wait_options<T>(
    pointer: *const mfa_wait_options,
    use_them: impl FnOnce(&mut WaitOptions<'_>) -> T,
) -> Result<T, Error> {
    // SAFETY: passed on from the caller.
    let (options, given) = unsafe { read(pointer, MFA_WAIT_WITHDRAW_ON_CANCEL) }?;
    let mut update = |so_far: &Transaction| call_update(given.on_update, given.on_update_user_data, so_far);
    let mut token =
        || call_token_provider(given.access_token_provider, given.access_token_provider_user_data);
    Ok(use_them(&mut WaitOptions {
        on_update: given.on_update.is_some().then_some(&mut update as _),
        access_token_provider: given.access_token_provider.is_some().then_some(&mut token as _),
        ..options
    }))
}

/// The options of a wait in a waiter, which has events in place of callbacks.
pub(super) struct WaiterWaitOptions {
    pub(super) options: WaitOptions<'static>,
    pub(super) report_updates: bool,
    pub(super) ask_for_token: bool,
}

/// # Safety
/// As `with_wait_options`.
pub(super) unsafe fn waiter_options(pointer: *const mfa_wait_options) -> Result<WaiterWaitOptions, Error> {
    const KNOWN: u32 = MFA_WAIT_WITHDRAW_ON_CANCEL | MFA_WAIT_REPORT_UPDATES | MFA_WAIT_ASK_FOR_TOKEN;
    // SAFETY: passed on from the caller.
    let (options, given) = unsafe { read(pointer, KNOWN) }?;
    if given.on_update.is_some() {
        return Err(Error::argument("on_update is not NULL: a waiter has MFA_WAIT_REPORT_UPDATES"));
    }
    if given.access_token_provider.is_some() {
        let text = "access_token_provider is not NULL: a waiter has MFA_WAIT_ASK_FOR_TOKEN";
        return Err(Error::argument(text));
    }
    Ok(WaiterWaitOptions {
        options,
        report_updates: given.flags & MFA_WAIT_REPORT_UPDATES != 0,
        ask_for_token: given.flags & MFA_WAIT_ASK_FOR_TOKEN != 0,
    })
}

/// What the caller gave, and the core's options of it but for the callbacks.
///
/// # Safety
/// As `with_wait_options`.
unsafe fn read(
    pointer: *const mfa_wait_options,
    known_flags: u32,
) -> Result<(WaitOptions<'static>, mfa_wait_options), Error> {
    // SAFETY: passed on from the caller.
    let given = unsafe { read_input(pointer) }?.unwrap_or(DEFAULTS);
    // Whole, so that no field is left unread.
    let mfa_wait_options {
        struct_size: _,
        first_poll_ms,
        min_interval_ms,
        max_interval_ms,
        cancel_on_timeout,
        flags,
        on_update: _,
        on_update_user_data: _,
        access_token_provider: _,
        access_token_provider_user_data: _,
    } = given;
    check_flags(flags, known_flags, "flags of mfa_wait_options")?;
    let millis = |ms: u32| (ms != 0).then(|| Duration::from_millis(u64::from(ms)));
    let options = WaitOptions {
        first_poll: millis(first_poll_ms),
        min_interval: millis(min_interval_ms),
        max_interval: millis(max_interval_ms),
        cancel_on_timeout: boolean(cancel_on_timeout, "cancel_on_timeout")?,
        withdraw_on_cancel: flags & MFA_WAIT_WITHDRAW_ON_CANCEL != 0,
        on_update: None,
        access_token_provider: None,
    };
    Ok((options, given))
}

fn call_update(on_update: mfa_update_fn, user_data: *mut c_void, so_far: &Transaction) -> ControlFlow<()> {
    let Some(on_update) = on_update else { return ControlFlow::Continue(()) };
    let so_far = mfa_transaction::from(so_far);
    // SAFETY: a function of this type that keeps the header's rules, guaranteed by the caller.
    match unsafe { on_update(user_data, &raw const so_far) } {
        0 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    }
}

fn call_token_provider(provider: mfa_token_fn, user_data: *mut c_void) -> Option<Zeroizing<String>> {
    let provider = provider?;
    // SAFETY: a function of this type that keeps the header's rules, guaranteed by the caller.
    let token = unsafe { provider(user_data) };
    if token.is_null() {
        return None;
    }
    // SAFETY: not NULL, so a NUL-terminated string that stays until it is copied, here.
    let token = unsafe { CStr::from_ptr(token) };
    // What is not UTF-8 is not a token either; the check that follows refuses its replacement.
    Some(Zeroizing::new(token.to_string_lossy().into_owned()))
}
