//! What a waiter is told of its waits, and what it tells.

use std::time::Duration;

use crate::error::Error;
use crate::hyperid::Transaction;
use crate::hyperid::wait::WaitEnd;

/// How a waiter works: `WaiterOptions::new()`, and a setter for each field.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
#[must_use = "options do nothing until they are given to a waiter"]
pub struct WaiterOptions {
    /// Connections open at once; 0: 256.
    pub max_connections: u32,
    /// Requests of all waits together in a second; 0: no limit.
    pub max_requests_per_second: u32,
}

impl WaiterOptions {
    /// The defaults.
    pub fn new() -> Self {
        WaiterOptions::default()
    }

    /// Sets [`max_connections`](field@Self::max_connections).
    pub fn max_connections(mut self, max_connections: u32) -> Self {
        self.max_connections = max_connections;
        self
    }

    /// Sets [`max_requests_per_second`](field@Self::max_requests_per_second).
    pub fn max_requests_per_second(mut self, max_requests_per_second: u32) -> Self {
        self.max_requests_per_second = max_requests_per_second;
        self
    }
}

/// What is wanted of one wait, besides its options: `TicketOptions::new()`, and a setter for each field.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
#[must_use = "options do nothing until they are given to a waiter"]
pub struct TicketOptions {
    /// The deadline, from the add; `None`: 120 s.
    pub timeout: Option<Duration>,
    /// Events of the kind `Update`.
    pub report_updates: bool,
    /// An event of the kind `TokenRefused` when the token is refused; else that ends the wait.
    pub ask_for_token: bool,
    /// Handed back with each event.
    pub user_data: usize,
}

impl TicketOptions {
    /// The defaults.
    pub fn new() -> Self {
        TicketOptions::default()
    }

    /// Sets [`timeout`](field@Self::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets [`report_updates`](field@Self::report_updates).
    pub fn report_updates(mut self, report_updates: bool) -> Self {
        self.report_updates = report_updates;
        self
    }

    /// Sets [`ask_for_token`](field@Self::ask_for_token).
    pub fn ask_for_token(mut self, ask_for_token: bool) -> Self {
        self.ask_for_token = ask_for_token;
        self
    }

    /// Sets [`user_data`](field@Self::user_data).
    pub fn user_data(mut self, user_data: usize) -> Self {
        self.user_data = user_data;
        self
    }
}

/// Something that a program should know of one of its waits.
#[derive(Debug)]
#[non_exhaustive]
pub struct Event {
    /// Which wait.
    pub ticket: u64,
    /// As given with the wait.
    pub user_data: usize,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a wait.
#[derive(Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// The transaction was started; its id should be saved.
    Started(Transaction),
    /// The state was asked for.
    Update(Transaction),
    /// The token was refused with this; the wait stands still until it gets another.
    TokenRefused(Transaction, Error),
    /// The wait has ended, as the blocking call would have returned.
    Ended(WaitEnd),
}
