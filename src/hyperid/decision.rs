//! What a person decided.
//!
//! This file holds the one path to an approval. The variant carries a proof that only this module
//! can make, so that no other code, by mistake or refactoring, can say that somebody approved.

use crate::error::Error;
use crate::json::{Fields, required};

/// What is known of a person's decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// No answer has been read.
    #[default]
    None,
    /// The person approved.
    Approved(Approval),
    /// The person refused.
    Denied,
    /// The request expired before the person answered.
    Expired,
    /// The request was cancelled, or declined without an answer.
    Cancelled,
    /// The request failed.
    Failed,
    /// The person has not answered yet.
    Pending,
    /// The server sent a state that libmfa does not know. Not an approval.
    Unknown,
}

/// The proof inside `Decision::Approved`. It has no public constructor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approval(());

impl Decision {
    /// Whether the person approved; the only question that may open a door.
    pub fn is_approved(self) -> bool {
        matches!(self, Decision::Approved(_))
    }
}

/// A transaction's state, as the server told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) decision: Decision,
    pub(crate) raw_status: i32,
    pub(crate) raw_complete_result: Option<i32>,
    /// No later answer can differ.
    pub(crate) is_final: bool,
}

/// Which look at the state an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Any.
    First,
    /// The first exchange on a connection that was opened because an earlier answer approved without
    /// saying whom.
    Second,
}

/// What was read of a transaction's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The state.
    State(State),
    /// An approval that does not name its transaction. It may be another person's, slipped from an
    /// earlier question, and counts for nothing until a second look says the same.
    UnnamedApproval,
}

/// Reads the state from a `status-get` answer of which HTTP 200 and `result` 0 are established.
///
/// `transaction_status` [S]: 0 pending, 1 completed, 2 expired, 4 cancelled; 3 failed [I].
/// `transaction_complete_result` [S]: 0 approved, 1 denied; it has meaning beside status 1 alone,
/// and is 0 in a pending answer too.
pub(super) fn read(fields: &Fields<'_>, asked_for: i64, look: Look) -> Result<Reading, Error> {
    // First: another id says more than that something else is wrong.
    let is_named = check_id(fields, asked_for)?;
    let status: i32 = required(fields.integer("transaction_status")?, "transaction_status")?;
    let complete_result: Option<i32> = fields.integer("transaction_complete_result")?;
    if status < 0 || complete_result.is_some_and(|r| r < 0) {
        return Err(Error::malformed("the answer's status or complete result is negative"));
    }
    let (decision, is_final) = match status {
        0 => (Decision::Pending, false),
        1 => match required(complete_result, "transaction_complete_result")? {
            0 if is_named || look == Look::Second => (Decision::Approved(Approval(())), true),
            0 => return Ok(Reading::UnnamedApproval),
            1 => (Decision::Denied, true),
            _ => (Decision::Unknown, true),
        },
        2 => (Decision::Expired, true),
        3 => (Decision::Failed, true),
        4 => (Decision::Cancelled, true),
        _ => (Decision::Unknown, false),
    };
    Ok(Reading::State(State { decision, raw_status: status, raw_complete_result: complete_result, is_final }))
}

/// Whether the answer names its transaction; another than the one asked for contradicts the question.
pub(super) fn check_id(fields: &Fields<'_>, asked_for: i64) -> Result<bool, Error> {
    match fields.integer_or_digits("transaction_id")? {
        None => Ok(false),
        Some(id) if id == asked_for => Ok(true),
        Some(_) => Err(Error::contradictory("the answer is about another transaction")),
    }
}
