//! `mfa_waiter`: many waits on one thread.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use crate::error::{Error, Provider};
use crate::ffi::call_options::{call_options, mfa_call_options};
use crate::ffi::error::{mfa_code, mfa_error, reset_error};
use crate::ffi::event::{deliver, mfa_event};
use crate::ffi::guard::{Export, fallible, guard};
use crate::ffi::hyperid::mfa_hyperid;
use crate::ffi::memory::{
    AbiStruct, Out, check_flags, check_place, field_sizes, handle, read_input, required_text, reset_value,
    size_refused, text,
};
use crate::ffi::request::{mfa_request, request};
use crate::ffi::transaction::mfa_transaction;
use crate::ffi::wait_options::{mfa_wait_options, waiter_options};
use crate::hyperid::{TicketOptions, WaitOptions, Waiter, WaiterOptions};

/// In the `flags` of `mfa_waiter_cancel` and `mfa_waiter_cancel_all`: withdraw the transaction first, as
/// `MFA_WAIT_WITHDRAW_ON_CANCEL` would have it.
pub const MFA_CANCEL_WITHDRAW: u32 = 1;

/// Carries any number of waits and confirms of one client, and needs no thread of its own: whoever calls
/// `mfa_waiter_next` drives them all. Opaque.
///
/// In short: make one for a client; add people with `mfa_waiter_confirm` as they come, from any thread;
/// let one thread call `mfa_waiter_next` again and again, or call it with 0 ms whenever the descriptor of
/// `mfa_waiter_fd` is readable. Save the id when an event says `MFA_EVENT_STARTED`; when one says
/// `MFA_EVENT_ENDED`, let the person in if `mfa_event_is_approved` says so.
///
/// All functions but `mfa_waiter_next` and `mfa_waiter_free` may be called from any thread, also while
/// another one is in `mfa_waiter_next`, and never wait. Log lines come on the thread that called. In a
/// forked child all but `mfa_waiter_free` are refused with `MFA_ERR_FORKED`.
pub struct mfa_waiter(Waiter<'static>);

/// How a waiter works. NULL wherever it is taken: the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mfa_waiter_options {
    /// `sizeof(mfa_waiter_options)`; set by `MFA_WAITER_OPTIONS_INIT`.
    pub struct_size: u32,
    /// 0; unknown bits are refused.
    pub flags: u32,
    /// The most connections that its waits have open at once; requests beyond wait their turn, starts
    /// before polls. 0: 256.
    pub max_connections: u32,
    /// The most requests of all its waits together in a second. 0: no limit.
    pub max_requests_per_second: u32,
}

// SAFETY: repr(C), begins with the u32; integers are valid for any bytes.
unsafe impl AbiStruct for mfa_waiter_options {
    const NAME: &'static str = "mfa_waiter_options";
    const FIRST_SIZE: usize = 16;
    const FIELDS: &'static [usize] =
        field_sizes!(mfa_waiter_options { struct_size, flags, max_connections, max_requests_per_second });
}

pub(super) const NEW: Export =
    Export { name: "mfa_waiter_new", provider: Provider::HyperId, asks_a_person: false };

/// Makes a waiter for waits of `client`, which outlives it. Nothing is sent. Free it with
/// `mfa_waiter_free`.
///
/// `options`: NULL for the defaults. `out`: set to the waiter, or to NULL on failure. Takes three
/// descriptors on Linux. Any thread.
///
/// Errors: `MFA_ERR_NULL_POINTER`, `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_STRUCT_SIZE`; `MFA_ERR_INTERNAL`,
/// with `os_error` when the system has no descriptor left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_waiter_new(
    client: *const mfa_hyperid,
    options: *const mfa_waiter_options,
    out: *mut *mut mfa_waiter,
    err: *mut mfa_error,
) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller; the client outlives the
    // waiter, which is what 'static stands for here.
    unsafe {
        reset_value(out, std::ptr::null_mut());
        fallible(&NEW, err, || {
            let client: &'static mfa_hyperid = handle(client, "client")?;
            let options = own_options(options)?;
            check_place(out, "out")?;
            let waiter = Waiter::new(&client.0, &options)?;
            out.write(Box::into_raw(Box::new(mfa_waiter(waiter))));
            Ok(())
        })
    }
}

/// # Safety
/// `pointer` is NULL or points to options as the header describes them.
unsafe fn own_options(pointer: *const mfa_waiter_options) -> Result<WaiterOptions, Error> {
    // SAFETY: passed on from the caller.
    let Some(given) = (unsafe { read_input(pointer) })? else { return Ok(WaiterOptions::default()) };
    // Whole, so that no field is left unread.
    let mfa_waiter_options { struct_size: _, flags, max_connections, max_requests_per_second } = given;
    check_flags(flags, 0, "flags of mfa_waiter_options")?;
    Ok(WaiterOptions { max_connections, max_requests_per_second })
}

pub(super) const FREE: Export =
    Export { name: "mfa_waiter_free", provider: Provider::HyperId, asks_a_person: false };

/// Frees a waiter and drops its waits, without an event; their transactions go on at the provider. No
/// other thread may be in one of its functions. To get each `user_data` back, call
/// `mfa_waiter_cancel_all` first, and `mfa_waiter_next` until `mfa_waiter_count` is 0. In a forked child
/// it frees what the child has and touches nothing of the parent's. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_waiter_free(waiter: *mut mfa_waiter) {
    guard(&FREE, (), || {
        if !waiter.is_null() {
            // SAFETY: from `mfa_waiter_new`'s Box, and freed once, guaranteed by the caller.
            drop(unsafe { Box::from_raw(waiter) });
        }
    });
}

// An add sends nothing yet: its own failure never leaves it open whether the person was asked.
pub(super) const CONFIRM: Export =
    Export { name: "mfa_waiter_confirm", provider: Provider::HyperId, asks_a_person: false };

/// Adds a confirm, as `mfa_hyperid_confirm` would do it. Everything is copied; nothing is sent before
/// somebody calls `mfa_waiter_next`.
///
/// `wait`: `on_update` and `access_token_provider` must be NULL; `MFA_WAIT_REPORT_UPDATES` and
/// `MFA_WAIT_ASK_FOR_TOKEN` ask for events in their place. `options`: its `cancel` must be NULL, since
/// `mfa_waiter_cancel` is there; the deadline counts from this call. `user_data` comes back with each
/// event, and is not looked at. `out_ticket`: set to the wait's ticket, above 0 and never used again by
/// this waiter, before another thread's `mfa_waiter_next` can return its first event; to 0 on failure.
///
/// A code other than `MFA_OK` means that nothing was added and no event will come; whatever goes wrong
/// later is told by `MFA_EVENT_ENDED`. Any thread; does not wait.
///
/// Errors: `MFA_ERR_NULL_POINTER`, `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_STRUCT_SIZE`,
/// `MFA_ERR_INVALID_UTF8`, `MFA_ERR_FORKED`; `MFA_ERR_INTERNAL`. Those of the confirm itself come in the
/// event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_waiter_confirm(
    waiter: *mut mfa_waiter,
    access_token: *const c_char,
    request: *const mfa_request,
    wait: *const mfa_wait_options,
    options: *const mfa_call_options,
    user_data: *mut c_void,
    out_ticket: *mut u64,
    err: *mut mfa_error,
) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller.
    unsafe {
        reset_value(out_ticket, 0);
        fallible(&CONFIRM, err, || {
            let waiter = handle(waiter, "waiter")?;
            let token = required_text(access_token, "access_token")?;
            let request = self::request(request)?;
            let (wait, options) = ticket_options(wait, options, user_data)?;
            check_place(out_ticket, "out_ticket")?;
            let announce = |ticket| out_ticket.write(ticket);
            waiter.0.confirm(token, &request, &wait, options, announce).map(drop)
        })
    }
}

pub(super) const WAIT: Export =
    Export { name: "mfa_waiter_wait", provider: Provider::HyperId, asks_a_person: false };

/// Adds a wait for a transaction that was started before (by `mfa_hyperid_start`, or by a confirm of an
/// earlier run of the program), as `mfa_hyperid_wait` would do it. `transaction_id`: above 0. Many that
/// are added together are spread over up to `min_interval_ms` rather than polled in one instant. The
/// other arguments, and when events come: `mfa_waiter_confirm`. Any thread; does not wait.
///
/// Errors: `MFA_ERR_NULL_POINTER`, `MFA_ERR_INVALID_ARGUMENT`, `MFA_ERR_STRUCT_SIZE`,
/// `MFA_ERR_INVALID_UTF8`, `MFA_ERR_FORKED`; `MFA_ERR_INTERNAL`. Those of the wait itself come in the event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_waiter_wait(
    waiter: *mut mfa_waiter,
    access_token: *const c_char,
    transaction_id: i64,
    wait: *const mfa_wait_options,
    options: *const mfa_call_options,
    user_data: *mut c_void,
    out_ticket: *mut u64,
    err: *mut mfa_error,
) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller.
    unsafe {
        reset_value(out_ticket, 0);
        fallible(&WAIT, err, || {
            let waiter = handle(waiter, "waiter")?;
            let token = required_text(access_token, "access_token")?;
            let (wait, options) = ticket_options(wait, options, user_data)?;
            check_place(out_ticket, "out_ticket")?;
            let announce = |ticket| out_ticket.write(ticket);
            waiter.0.wait(token, transaction_id, &wait, options, announce).map(drop)
        })
    }
}

/// # Safety
/// Each pointer is NULL or points to options as the header describes them; `user_data` is not looked at.
unsafe fn ticket_options(
    wait: *const mfa_wait_options,
    options: *const mfa_call_options,
    user_data: *mut c_void,
) -> Result<(WaitOptions<'static>, TicketOptions), Error> {
    // SAFETY: passed on from the caller.
    let (wait, options) = unsafe { (waiter_options(wait)?, call_options(options)?) };
    if options.cancel.is_some() {
        return Err(Error::argument("cancel is not NULL: mfa_waiter_cancel ends a waiter's waits"));
    }
    let ticket = TicketOptions {
        timeout: options.timeout,
        report_updates: wait.report_updates,
        ask_for_token: wait.ask_for_token,
        user_data: user_data.expose_provenance(),
    };
    Ok((wait.options, ticket))
}

pub(super) const CANCEL: Export =
    Export { name: "mfa_waiter_cancel", provider: Provider::HyperId, asks_a_person: false };

/// Ends one wait: its `MFA_EVENT_ENDED` says `MFA_ERR_CANCELLED`, unless a final answer had been read, or
/// withdrawing found one. While a start is under way and is not to be withdrawn, it says
/// `MFA_ERROR_OUTCOME_UNKNOWN` too, and there is no id.
///
/// Withdrawing needs a token that the server takes; without one the event has the id and no
/// `MFA_ERROR_WITHDRAWN`. To take back what nobody waits for, such as an earlier run's request, call
/// `mfa_waiter_wait` and then at once this function: a poll that is on its way already may go first. A second
/// cancel of a ticket may add `MFA_CANCEL_WITHDRAW`, and takes nothing away.
///
/// `flags`: `MFA_CANCEL_WITHDRAW` or 0; unknown bits are refused. A ticket that has ended is left alone,
/// which is `MFA_OK`; a number that was never given out is refused. Any thread; does not wait.
///
/// Errors: `MFA_ERR_NULL_POINTER`, `MFA_ERR_INVALID_ARGUMENT` (flags, ticket), `MFA_ERR_STRUCT_SIZE`
/// (`err`), `MFA_ERR_FORKED`; `MFA_ERR_INTERNAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_waiter_cancel(
    waiter: *mut mfa_waiter,
    ticket: u64,
    flags: u32,
    err: *mut mfa_error,
) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller.
    unsafe {
        fallible(&CANCEL, err, || {
            let waiter = handle(waiter, "waiter")?;
            waiter.0.cancel(ticket, withdraws(flags)?)
        })
    }
}

pub(super) const CANCEL_ALL: Export =
    Export { name: "mfa_waiter_cancel_all", provider: Provider::HyperId, asks_a_person: false };

/// Ends all waits that the waiter has now, as `mfa_waiter_cancel` would each of them. Any thread; does not
/// wait.
///
/// Errors: `MFA_ERR_NULL_POINTER`, `MFA_ERR_INVALID_ARGUMENT` (flags), `MFA_ERR_STRUCT_SIZE`
/// (`err`), `MFA_ERR_FORKED`; `MFA_ERR_INTERNAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_waiter_cancel_all(
    waiter: *mut mfa_waiter,
    flags: u32,
    err: *mut mfa_error,
) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller.
    unsafe {
        fallible(&CANCEL_ALL, err, || {
            let waiter = handle(waiter, "waiter")?;
            waiter.0.cancel_all(withdraws(flags)?)
        })
    }
}

fn withdraws(flags: u32) -> Result<bool, Error> {
    check_flags(flags, MFA_CANCEL_WITHDRAW, "flags")?;
    Ok(flags & MFA_CANCEL_WITHDRAW != 0)
}

pub(super) const GIVE_TOKEN: Export =
    Export { name: "mfa_waiter_give_token", provider: Provider::HyperId, asks_a_person: false };

/// Gives a wait another token, which is copied, in answer to `MFA_EVENT_TOKEN_REFUSED`; before one it is
/// kept for the next exchange. `access_token`: as in `mfa_waiter_confirm`, and of the same person, since
/// with another's the transaction is not found; NULL: there is none, and the wait ends with the refusal.
/// So it does when this token is refused, too.
///
/// A ticket that has ended is left alone, which is `MFA_OK`; a number that was never given out is
/// refused. Any thread; does not wait.
///
/// Errors: `MFA_ERR_NULL_POINTER`, `MFA_ERR_INVALID_ARGUMENT` (ticket, token), `MFA_ERR_STRUCT_SIZE`
/// (`err`), `MFA_ERR_INVALID_UTF8`, `MFA_ERR_FORKED`; `MFA_ERR_INTERNAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_waiter_give_token(
    waiter: *mut mfa_waiter,
    ticket: u64,
    access_token: *const c_char,
    err: *mut mfa_error,
) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller.
    unsafe {
        fallible(&GIVE_TOKEN, err, || {
            let waiter = handle(waiter, "waiter")?;
            waiter.0.give_token(ticket, text(access_token, "access_token")?)
        })
    }
}

pub(super) const NEXT: Export =
    Export { name: "mfa_waiter_next", provider: Provider::HyperId, asks_a_person: false };

/// Drives all waits until something has happened to one of them, `timeout_ms` milliseconds have passed,
/// or somebody has called `mfa_waiter_wake`. 0 ms: one turn, without waiting. Nothing happens unless
/// somebody calls it, and the deadlines and cancels of the waits are kept while somebody does.
///
/// `MFA_OK`: `out` says what happened, to which wait; `MFA_EVENT_NONE` when the time has passed or it was
/// woken. `transaction`: what is known of the wait's transaction; an approval stands there only beside
/// `MFA_EVENT_ENDED` with `MFA_OK`, so test both with `mfa_event_is_approved`. `why`: what ended the wait
/// (beside a `code` other than `MFA_OK`), or refused its token; its `code` is 0 otherwise. `why` and `err`
/// may be NULL, and must not be the same. All are reset, and checked before an event is taken, so that no
/// refused call loses one.
///
/// For each ticket: at most one `MFA_EVENT_STARTED`, which goes ahead of other tickets' events; at most
/// one `MFA_EVENT_UPDATE` waiting, which a newer one replaces; one `MFA_EVENT_TOKEN_REFUSED` for each
/// token that has to be replaced; and exactly one `MFA_EVENT_ENDED`, last. After it the ticket and `user_data` are the caller's again.
///
/// One thread at a time: while one is inside, another, or the log callback of the same, gets
/// `MFA_ERR_BUSY`. The code tells only of this call; what a wait met is in `out` and `why`.
///
/// Errors: `MFA_ERR_NULL_POINTER`, `MFA_ERR_STRUCT_SIZE`, `MFA_ERR_INVALID_ARGUMENT` (`why` and `err` are
/// the same), `MFA_ERR_BUSY`, `MFA_ERR_FORKED`; `MFA_ERR_INTERNAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_waiter_next(
    waiter: *mut mfa_waiter,
    timeout_ms: u32,
    out: *mut mfa_event,
    transaction: *mut mfa_transaction,
    why: *mut mfa_error,
    err: *mut mfa_error,
) -> mfa_code {
    // SAFETY: each pointer is what the header asks for, guaranteed by the caller.
    unsafe {
        let out = Out::reset(out);
        let transaction = Out::reset_as(transaction, "transaction");
        let reason = reset_error(why);
        fallible(&NEXT, err, || {
            let waiter = handle(waiter, "waiter")?;
            out.check()?;
            transaction.check()?;
            let reason = reason.map_err(|_| size_refused::<mfa_error>(why))?;
            if !why.is_null() && why == err {
                return Err(Error::argument("why and err are the same struct"));
            }
            let timeout = Duration::from_millis(u64::from(timeout_ms));
            let Some(event) = waiter.0.next(timeout)? else { return Ok(()) };
            let error = deliver(event, &out, &transaction);
            if let (Some(reason), Some(error)) = (reason, error) {
                reason.write(&mfa_error::from(&Error { provider: NEXT.provider, ..error }));
            }
            Ok(())
        })
    }
}

pub(super) const COUNT: Export =
    Export { name: "mfa_waiter_count", provider: Provider::HyperId, asks_a_person: false };

/// How many waits have been added whose `MFA_EVENT_ENDED` was not yet taken. 0 for NULL, and in a forked
/// child. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_waiter_count(waiter: *const mfa_waiter) -> u32 {
    // SAFETY: NULL, or from `mfa_waiter_new` and not freed, guaranteed by the caller; only shared use.
    guard(&COUNT, 0, || unsafe { waiter.as_ref() }.map_or(0, |waiter| waiter.0.count()))
}

pub(super) const WAKE: Export =
    Export { name: "mfa_waiter_wake", provider: Provider::HyperId, asks_a_person: false };

/// Ends the `mfa_waiter_next` under way, else the next one to begin, with `MFA_EVENT_NONE`; an event goes
/// first, and uses it up. Several count as one, and none is lost. Any thread; never blocks, and may be
/// called from a signal handler (it stores a flag and calls write(2); Windows has no such handlers). In a
/// forked child it does nothing. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_waiter_wake(waiter: *mut mfa_waiter) {
    guard(&WAKE, (), || {
        // SAFETY: NULL, or from `mfa_waiter_new` and not freed, guaranteed by the caller; only shared use.
        if let Some(waiter) = unsafe { waiter.as_ref() } {
            waiter.0.wake();
        }
    });
}

pub(super) const FD: Export =
    Export { name: "mfa_waiter_fd", provider: Provider::HyperId, asks_a_person: false };

/// A descriptor for a loop of the program's own (poll, epoll, libuv, asyncio...): readable as long as
/// `mfa_waiter_next` with 0 ms would have something to do, and sometimes without. It keeps its number
/// until the waiter is freed. Best registered level-triggered; edge-triggered, call `mfa_waiter_next`
/// with 0 ms until `MFA_EVENT_NONE`. Never read, write or close it. -1: this system has none (then let a
/// thread call `mfa_waiter_next`), a forked child, or NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_waiter_fd(waiter: *const mfa_waiter) -> isize {
    guard(&FD, -1, || {
        // SAFETY: NULL, or from `mfa_waiter_new` and not freed, guaranteed by the caller; only shared use.
        let fd = unsafe { waiter.as_ref() }.and_then(|waiter| waiter.0.fd());
        fd.map_or(-1, |fd| fd as isize)
    })
}
