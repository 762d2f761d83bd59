//! A request to a person, and its life: pending, then exactly one end.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::behaviour::{Ending, Plan};

/// Where a transaction stands, with HyperID's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 0: nobody has answered.
    Pending,
    /// 1: the person approved or denied.
    Completed,
    /// 2: its life was over first.
    Expired,
    /// 3: it failed.
    Failed,
    /// 4: cancelled by the program or declined by the person.
    Cancelled,
}

impl Status {
    /// HyperID's `transaction_status`.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// In a word, together with the complete result.
    pub(crate) fn outcome(self, complete_result: i32) -> &'static str {
        match (self, complete_result) {
            (Status::Pending, _) => "pending",
            (Status::Completed, 0) => "approved",
            (Status::Completed, _) => "denied",
            (Status::Expired, _) => "expired",
            (Status::Failed, _) => "failed",
            (Status::Cancelled, _) => "cancelled",
        }
    }
}

/// What the person, or a test in the person's place, does with a pending transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Completed, complete result 0.
    Approve,
    /// Completed, complete result 1.
    Deny,
    /// Status 4, as if it had been waved away.
    Decline,
    /// Status 3.
    Fail,
    /// Status 2, before its life is over.
    Expire,
}

impl Decision {
    pub(crate) const EACH: [Decision; 5] =
        [Decision::Approve, Decision::Deny, Decision::Decline, Decision::Fail, Decision::Expire];

    /// As the interfaces call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Decision::Approve => "approve",
            Decision::Deny => "deny",
            Decision::Decline => "decline",
            Decision::Fail => "fail",
            Decision::Expire => "expire",
        }
    }

    /// The decision of exactly this name.
    pub(crate) fn named(name: &str) -> Option<Decision> {
        Decision::EACH.into_iter().find(|decision| decision.name() == name)
    }

    pub(crate) fn ending(self) -> Ending {
        match self {
            Decision::Approve => Ending::Approve,
            Decision::Deny => Ending::Deny,
            Decision::Decline => Ending::Decline,
            Decision::Fail => Ending::Fail,
            Decision::Expire => Ending::Expire,
        }
    }
}

/// Why a decision was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecideError {
    /// There is no such transaction.
    NotFound,
    /// It has ended already, in this way.
    Ended(Status),
}

impl fmt::Display for DecideError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecideError::NotFound => f.write_str("no such transaction"),
            DecideError::Ended(status) => write!(f, "the transaction has ended: {status:?}"),
        }
    }
}

impl std::error::Error for DecideError {}

/// A transaction as a test sees it: a copy of one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    /// HyperID's `transaction_id`.
    pub id: i64,
    /// The person asked.
    pub user: String,
    /// As sent.
    pub template_id: i64,
    /// As sent: a string that holds JSON. An object in its place: its text.
    pub values: Option<String>,
    /// Template 4: the text shown to the person.
    pub question: Option<String>,
    /// The control code, as sent.
    pub code: Option<String>,
    /// As sent.
    pub device_id: Option<String>,
    /// As sent.
    pub device_desc: Option<String>,
    /// As sent.
    pub ip: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// HyperID's `transaction_complete_result`: 0 approved, 1 denied; 0 while it is pending, too.
    pub complete_result: i32,
    /// How many status answers were asked for.
    pub polls: u64,
    /// How long it still lives; zero when it has ended.
    pub remaining: Duration,
}

impl Transaction {
    /// True only for a completed transaction with the complete result 0.
    pub fn is_approved(&self) -> bool {
        self.status == Status::Completed && self.complete_result == 0
    }
}

/// What a start asks for.
#[derive(Clone, Debug, Default, Hash, Serialize)]
pub(crate) struct StartParameters {
    pub(crate) template_id: i64,
    pub(crate) values: Option<String>,
    pub(crate) question: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) device_id: Option<String>,
    pub(crate) device_desc: Option<String>,
    pub(crate) ip: Option<String>,
}

/// A transaction as the state keeps it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: i64,
    pub(crate) user: String,
    pub(crate) parameters: StartParameters,
    pub(crate) status: Status,
    pub(crate) complete_result: i32,
    pub(crate) polls: u64,
    /// `wait_for_transaction` has told of it.
    pub(crate) reported: bool,
    pub(crate) ended_at: Option<Instant>,
    started_at: Instant,
    pub(crate) life: Duration,
    plan: Plan,
}

impl Record {
    pub(crate) fn new(
        id: i64,
        user: String,
        parameters: StartParameters,
        plan: Plan,
        life: Duration,
    ) -> Record {
        Record {
            id,
            user,
            parameters,
            status: Status::Pending,
            complete_result: 0,
            polls: 0,
            reported: false,
            ended_at: None,
            started_at: Instant::now(),
            life,
            plan,
        }
    }

    pub(crate) fn pending(&self) -> bool {
        self.status == Status::Pending
    }

    /// The page does not show what nobody is to answer.
    pub(crate) fn on_page(&self) -> bool {
        self.plan != Plan::Never
    }

    pub(crate) fn age(&self) -> Duration {
        self.started_at.elapsed()
    }

    pub(crate) fn remaining(&self, now: Instant) -> Duration {
        if !self.pending() {
            return Duration::ZERO;
        }
        self.life.saturating_sub(now.saturating_duration_since(self.started_at))
    }

    /// When something happens by itself; `None` when it has ended.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        self.started_at.checked_add(self.next_event()?.1)
    }

    fn next_event(&self) -> Option<(Ending, Duration)> {
        match self.plan {
            _ if !self.pending() => None,
            Plan::After(ending, after) if after < self.life => Some((ending, after)),
            _ => Some((Ending::Expire, self.life)),
        }
    }

    /// Lets happen what is due; true if something did.
    pub(crate) fn apply_due(&mut self, now: Instant) -> bool {
        let Some((ending, after)) = self.next_event() else {
            return false;
        };
        if now.saturating_duration_since(self.started_at) < after {
            return false;
        }
        self.end(ending);
        true
    }

    pub(crate) fn end(&mut self, ending: Ending) {
        (self.status, self.complete_result) = match ending {
            Ending::Approve => (Status::Completed, 0),
            Ending::Deny => (Status::Completed, 1),
            Ending::Decline => (Status::Cancelled, 0),
            Ending::Fail => (Status::Failed, 0),
            Ending::Expire => (Status::Expired, 0),
        };
        self.ended_at = Some(Instant::now());
    }

    pub(crate) fn snapshot(&self, now: Instant) -> Transaction {
        let parameters = self.parameters.clone();
        Transaction {
            id: self.id,
            user: self.user.clone(),
            template_id: parameters.template_id,
            values: parameters.values,
            question: parameters.question,
            code: parameters.code,
            device_id: parameters.device_id,
            device_desc: parameters.device_desc,
            ip: parameters.ip,
            status: self.status,
            complete_result: self.complete_result,
            polls: self.polls,
            remaining: self.remaining(now),
        }
    }
}
