//! Ask a person for a second factor, and trust the answer.
//!
//! The library behind `include/mfa.h`, usable from Rust too. Two providers: [`HyperId`] (MFA
//! requests, 2FA methods) and [`Capillary`] (is MFA registered).
//!
//! In a Rust program that installs a logger at trace level, `ureq_proto` logs the bytes of answers; what
//! requests hold that is secret never passes through it. The C library has no logger.
//!
//! # Asking somebody
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use mfa::{CallOptions, ClientOptions, HyperId, Request, WaitOptions, control_code};
//!
//! # fn main() -> Result<(), mfa::Error> {
//! # let access_token = "";
//! let client = HyperId::new(&ClientOptions::new().connect_timeout(Duration::from_secs(5)))?;
//! let code = control_code()?;
//! println!("Compare the code in your app: {code}");
//! let request = Request::new().question("Pay 5 € to Alice?").code(&code);
//! let mut wait = WaitOptions::new().cancel_on_timeout(true);
//! let call = CallOptions::new().timeout(Duration::from_secs(60));
//! let end = client.confirm(access_token, &request, &mut wait, &call);
//! end.result?;
//! println!("{}", if end.transaction.decision.is_approved() { "Approved." } else { "Not approved." });
//! # Ok(())
//! # }
//! ```
//!
//! # What may be added
//!
//! A later release may add fields and variants, and no program breaks: options are made with `new` and
//! setters, the fields are public to be read and assigned, and a `match` has an arm for the rest. What
//! a new field would break does not compile today:
//!
//! ```compile_fail,E0639
//! let call = mfa::CallOptions { timeout: None, cancel: None };
//! ```
//!
//! The same with setters does:
//!
//! ```
//! let mut call = mfa::CallOptions::new();
//! call.timeout = None;
//! call.cancel = None;
//! ```
//!
//! # Inside
//!
//! Dependencies point one way: `ffi` → the providers → `call`, `http`, `json` → `time`, `error`,
//! `secret`, `sys`. The core knows no C, the C ABI no JSON or HTTP, the providers no ureq.

#![deny(unsafe_code)]
#![warn(missing_docs)]
// What a program can build or match must be free to grow; C's structs are private here.
#![deny(clippy::exhaustive_enums, clippy::exhaustive_structs)]

#[cfg(not(panic = "unwind"))]
compile_error!("build libmfa with panic = \"unwind\": a panic must not take the host process down");

mod call;
mod capillary;
mod clock;
#[cfg(test)]
#[allow(dead_code)] // build.rs is its reader; the tests check it.
mod codes;
mod driver;
mod error;
mod ffi;
mod gate;
mod http;
mod hyperid;
mod json;
mod log;
mod options;
mod per_process;
mod retry;
mod secret;
mod sys;
mod time;

pub use capillary::{Capillary, Registration, RegistrationState};
pub use error::{Code, Error, Provider};
pub use hyperid::{
    Approval, Decision, Event, EventKind, HyperId, OnUpdate, Request, TicketOptions, TokenProvider,
    Transaction, WaitEnd, WaitOptions, Waiter, WaiterOptions, control_code,
};
pub use options::{CallOptions, ClientOptions, LogLevel, LogSink};
pub use time::Cancel;
