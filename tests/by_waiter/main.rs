//! The integration tests that wait, each through a waiter, from the same bodies: see `support::waits`.

#[allow(dead_code)] // It uses its own part.
#[path = "../integration/support/mod.rs"]
mod support;

#[path = "../integration/approval_table.rs"]
mod approval_table;
#[path = "../integration/questions.rs"]
mod questions;
#[path = "../integration/tls.rs"]
mod tls;
#[path = "../integration/waiting.rs"]
mod waiting;
