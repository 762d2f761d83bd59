//! `mfa_event`, and the one question about it that may open a door.

use std::ffi::c_void;
use std::mem::offset_of;

use crate::error::{Code, Error, Provider};
use crate::ffi::guard::{Export, guard};
use crate::ffi::memory::{AbiStruct, Out, OutStruct, POINTER, field_sizes, read_field};
use crate::ffi::transaction::{MFA_DECISION_APPROVED, mfa_transaction};
use crate::hyperid::{Event, EventKind, Transaction, WaitEnd};

/// Nothing happened: the time has passed, or somebody called `mfa_waiter_wake`.
pub const MFA_EVENT_NONE: i32 = 0;
/// The person is being asked: the transaction's id is known, and should be saved now. Once for each
/// `mfa_waiter_confirm` that comes so far.
pub const MFA_EVENT_STARTED: i32 = 1;
/// The state was asked for, without a final answer. Only with `MFA_WAIT_REPORT_UPDATES`.
pub const MFA_EVENT_UPDATE: i32 = 2;
/// The server refused the token, as `why` says. Only with `MFA_WAIT_ASK_FOR_TOKEN`. Nothing more is sent
/// for this ticket until `mfa_waiter_give_token`. Before `MFA_EVENT_STARTED` the id is 0.
pub const MFA_EVENT_TOKEN_REFUSED: i32 = 3;
/// The wait has ended: `code` and the transaction are what the blocking call would have returned.
/// Exactly once for each ticket, and last.
pub const MFA_EVENT_ENDED: i32 = 4;

/// What happened to one of many waits; `mfa_waiter_next` fills it, and resets it at entry.
///
/// `MFA_EVENT_ENDED` alone says nothing of an answer: test it with `mfa_event_is_approved`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mfa_event {
    /// `sizeof(mfa_event)`; set by `MFA_EVENT_INIT`.
    pub struct_size: u32,
    /// What happened: `MFA_EVENT_...`.
    pub kind: i32,
    /// Which wait, as `mfa_waiter_confirm` or `mfa_waiter_wait` told it; 0 beside `MFA_EVENT_NONE`.
    pub ticket: u64,
    /// As given with the wait; NULL beside `MFA_EVENT_NONE`.
    pub user_data: *mut c_void,
    /// Beside `MFA_EVENT_ENDED`: what `mfa_hyperid_confirm` or `mfa_hyperid_wait` would have returned.
    /// Beside all else: `MFA_ERR_NOT_ENDED`.
    pub code: i32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: repr(C), begins with the u32; integers and a pointer are valid for any bytes.
unsafe impl AbiStruct for mfa_event {
    const NAME: &'static str = "mfa_event";
    const FIRST_SIZE: usize = 24 + POINTER;
    const FIELDS: &'static [usize] =
        field_sizes!(mfa_event { struct_size, kind, ticket, user_data, code, reserved });
}

// SAFETY: 0 is MFA_EVENT_NONE.
unsafe impl OutStruct for mfa_event {
    const DECISION_AT: usize = offset_of!(mfa_event, kind);
    const RESET: Self = mfa_event {
        struct_size: 0,
        kind: MFA_EVENT_NONE,
        ticket: 0,
        user_data: std::ptr::null_mut(),
        code: Code::NotEnded as i32,
        reserved: 0,
    };
}

/// Fills the caller's structs. Returns what went wrong with the wait, or with its token.
pub(super) fn deliver(
    event: Event,
    out: &Out<mfa_event>,
    transaction: &Out<mfa_transaction>,
) -> Option<Error> {
    let Event { ticket, user_data, kind } = event;
    let (kind, code, known, error) = unfold(kind);
    // An approval reaches `transaction` only beside ENDED and `Ok`: the core sees to it, and this looks
    // again.
    if code == Code::Ok || !known.decision.is_approved() {
        transaction.set(&(&known).into());
    }
    out.set(&mfa_event {
        struct_size: 0,
        kind,
        ticket,
        user_data: std::ptr::with_exposed_provenance_mut(user_data),
        code: code as i32,
        reserved: 0,
    });
    error
}

fn unfold(kind: EventKind) -> (i32, Code, Transaction, Option<Error>) {
    match kind {
        EventKind::Started(known) => (MFA_EVENT_STARTED, Code::NotEnded, known, None),
        EventKind::Update(known) => (MFA_EVENT_UPDATE, Code::NotEnded, known, None),
        EventKind::TokenRefused(known, refusal) => {
            (MFA_EVENT_TOKEN_REFUSED, Code::NotEnded, known, Some(refusal))
        }
        EventKind::Ended(WaitEnd { transaction, result }) => match result {
            Ok(()) => (MFA_EVENT_ENDED, Code::Ok, transaction, None),
            Err(error) => (MFA_EVENT_ENDED, error.code, transaction, Some(error)),
        },
    }
}

pub(super) const IS_APPROVED: Export =
    Export { name: "mfa_event_is_approved", provider: Provider::None, asks_a_person: false };

/// Whether the person approved: 1 only for `MFA_EVENT_ENDED` with `MFA_OK` and `MFA_DECISION_APPROVED`,
/// as one `mfa_waiter_next` filled both; else 0, also for NULL or a `struct_size` that is not allowed.
/// The only test of an event that should open a door. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_event_is_approved(
    event: *const mfa_event,
    transaction: *const mfa_transaction,
) -> i32 {
    guard(&IS_APPROVED, 0, || {
        // SAFETY: each is NULL or a struct that begins with its size, guaranteed by the caller; the first
        // release has these fields.
        let (kind, code, decision) = unsafe {
            (
                read_field(event, mfa_event::DECISION_AT),
                read_field(event, offset_of!(mfa_event, code)),
                read_field(transaction, mfa_transaction::DECISION_AT),
            )
        };
        let approved = (Some(MFA_EVENT_ENDED), Some(Code::Ok as i32), Some(MFA_DECISION_APPROVED));
        i32::from((kind, code, decision) == approved)
    })
}
