//! `mfa_transaction`, and the one question that may open a door.

use std::mem::offset_of;

use crate::error::{Code, Provider};
use crate::ffi::error::mfa_code;
use crate::ffi::guard::{Export, guard};
use crate::ffi::memory::{AbiStruct, OutStruct, field_sizes, read_field};
use crate::hyperid::{Decision, Transaction};

/// No answer has been read.
pub const MFA_DECISION_NONE: i32 = 0;
/// The person approved. Test it with `mfa_is_approved`.
pub const MFA_DECISION_APPROVED: i32 = 1;
/// The person refused.
pub const MFA_DECISION_DENIED: i32 = 2;
/// The request expired before the person answered.
pub const MFA_DECISION_EXPIRED: i32 = 3;
/// The request was cancelled, or declined without an answer.
pub const MFA_DECISION_CANCELLED: i32 = 4;
/// The request failed (a status that the provider's documentation leaves out).
pub const MFA_DECISION_FAILED: i32 = 5;
/// The person has not answered yet.
pub const MFA_DECISION_PENDING: i32 = 6;
/// The server sent a status, or beside "completed" a result, that this version does not know. Not an
/// approval. A wait goes on with an unknown status, and ends with an unknown result.
pub const MFA_DECISION_UNKNOWN: i32 = 7;

/// What is known of a transaction. Reset at entry of each call that fills it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mfa_transaction {
    /// `sizeof(mfa_transaction)`; set by `MFA_TRANSACTION_INIT`.
    pub struct_size: u32,
    /// What the person decided: `MFA_DECISION_...`. APPROVED stands only beside `MFA_OK`.
    pub decision: i32,
    /// The transaction's id; 0: none is known. `mfa_hyperid_wait` and `mfa_hyperid_confirm` tell it
    /// beside an error too, once it is known.
    pub transaction_id: i64,
    /// The server's `transaction_status`; -1: it sent none.
    pub raw_status: i32,
    /// The server's `transaction_complete_result`; -1: it sent none. It has meaning only beside
    /// status 1, and is 0 in a pending answer too: never decide by it.
    pub raw_complete_result: i32,
    /// How often the call asked for the state.
    pub polls: u32,
    /// Milliseconds since the call began.
    pub elapsed_ms: u32,
}

// SAFETY: repr(C), begins with the u32; integers are valid for any bytes.
unsafe impl AbiStruct for mfa_transaction {
    const NAME: &'static str = "mfa_transaction";
    const FIRST_SIZE: usize = 32;
    const FIELDS: &'static [usize] = field_sizes!(mfa_transaction {
        struct_size,
        decision,
        transaction_id,
        raw_status,
        raw_complete_result,
        polls,
        elapsed_ms,
    });
}

// SAFETY: 0 is MFA_DECISION_NONE.
unsafe impl OutStruct for mfa_transaction {
    const DECISION_AT: usize = offset_of!(mfa_transaction, decision);
    const RESET: Self = mfa_transaction {
        struct_size: 0,
        decision: MFA_DECISION_NONE,
        transaction_id: 0,
        raw_status: -1,
        raw_complete_result: -1,
        polls: 0,
        elapsed_ms: 0,
    };
}

impl From<&Transaction> for mfa_transaction {
    fn from(known: &Transaction) -> Self {
        let Transaction { decision, transaction_id, raw_status, raw_complete_result, polls, elapsed } =
            *known;
        mfa_transaction {
            struct_size: size_of::<mfa_transaction>() as u32,
            decision: number(decision),
            transaction_id,
            raw_status: raw_status.unwrap_or(-1),
            raw_complete_result: raw_complete_result.unwrap_or(-1),
            polls,
            elapsed_ms: u32::try_from(elapsed.as_millis()).unwrap_or(u32::MAX),
        }
    }
}

fn number(decision: Decision) -> i32 {
    match decision {
        Decision::None => MFA_DECISION_NONE,
        Decision::Approved(_) => MFA_DECISION_APPROVED,
        Decision::Denied => MFA_DECISION_DENIED,
        Decision::Expired => MFA_DECISION_EXPIRED,
        Decision::Cancelled => MFA_DECISION_CANCELLED,
        Decision::Failed => MFA_DECISION_FAILED,
        Decision::Pending => MFA_DECISION_PENDING,
        Decision::Unknown => MFA_DECISION_UNKNOWN,
    }
}

pub(super) const IS_APPROVED: Export =
    Export { name: "mfa_is_approved", provider: Provider::None, asks_a_person: false };

/// Whether the person approved: 1 only when `code`, as the call returned it, is `MFA_OK` and
/// `transaction`, as the same call filled it, says `MFA_DECISION_APPROVED`; else 0, also for NULL
/// or a `struct_size` that is not allowed. The only test that should open a door: `MFA_OK` alone
/// says that an answer was read, and the answer may be "no". Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mfa_is_approved(code: mfa_code, transaction: *const mfa_transaction) -> i32 {
    guard(&IS_APPROVED, 0, || {
        // SAFETY: NULL or a struct that begins with its size, guaranteed by the caller.
        let decision = unsafe { read_field(transaction, mfa_transaction::DECISION_AT) };
        i32::from(code == Code::Ok as i32 && decision == Some(MFA_DECISION_APPROVED))
    })
}
