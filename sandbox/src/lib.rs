//! A local server that plays HyperID's and Capillary's MFA services.
//!
//! It speaks both protocols as they are documented, keeps real state (people, tokens, requests that
//! are pending and then completed, expired or cancelled), can be told to misbehave in every way a
//! network can, and serves a web page that plays the person's phone.
//!
//! ```
//! use mfa_sandbox::{Options, Sandbox};
//!
//! let sandbox = Sandbox::start(Options::default())?;
//! println!("{}", sandbox.hyperid_url()); // any token of `mfa_sandbox::behaviours()` works here
//! assert_eq!(sandbox.request_count(), 0);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Module map: `server` accepts, `http` reads requests, `route` picks who answers (`hyperid`,
//! `capillary`, `phone`), `state` remembers, `behaviour` is the table of magic tokens, `faults` turns
//! an answer into a wrong one, `desync` gives it to the wrong request, `delivery` sends it, `ffi` is the C ABI.
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod behaviour;
mod capillary;
mod connection;
mod delivery;
mod desync;
mod endpoint;
mod faults;
#[allow(unsafe_code)]
pub mod ffi;
mod http;
mod hyperid;
mod journal;
mod json;
mod origin;
mod phone;
mod random;
mod route;
mod sandbox;
mod server;
mod state;
mod tls;
mod token;
mod transaction;
mod unusual;

pub use behaviour::{BehaviourError, BehaviourInfo, behaviours, help_text};
pub use journal::LoggedRequest;
pub use sandbox::{LARGEST_FIRST_ID, Options, Sandbox};
pub use token::{Access, SCOPE_MFA_CLIENT, SCOPE_SECOND_FACTOR, User};
pub use transaction::{DecideError, Decision, Status, Transaction};

/// A brand that exists from the start and has MFA.
pub const BRAND_WITH_MFA: &str = "demo-brand";
/// A brand that exists from the start and has no MFA (code 1513).
pub const BRAND_WITHOUT_MFA: &str = "no-mfa-brand";

/// Compiles the README's Rust.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
