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
//! Module map, from the lowest up. `json`, `endpoint` (the six calls), `random`, `journal` (the log of
//! requests), `terminal` (the same for people), `connection` (a socket, plain or TLS) and `tls` (its certificates)
//! know nothing of each other.
//! `behaviour` is the table of magic tokens, their grammar and what they can do; `http` reads requests and
//! makes responses. `state` remembers: `transaction`s, `token`s and who they are, and in `exchanger` the
//! responses that change places; `context` is the state with the options. `delivery` sends a response, well
//! or badly; `reply` is a response with its delivery. `faults` turns a right answer into a wrong one,
//! `desync` gives it to the wrong request, `unusual` notes what only the providers' own clients send. Then
//! who answers: `hyperid`, `capillary`, `discovery`, `phone` behind its `origin` check, and `control`, the interface
//! for tests. `jwt` makes and reads tokens, `cors` knows the pages that may call. `router` picks one of them,
//! `server` accepts connections, `sandbox` is the handle that Rust holds, `ffi` the C ABI.
#![deny(unsafe_code)]
#![warn(missing_docs)]

// From the lowest up: a module imports only from the groups above its own. `tests/modules.rs` checks it.
mod connection;
mod endpoint;
mod journal;
mod json;
mod random;
mod terminal;
mod tls;

mod behaviour;
mod http;

mod cors;
mod exchanger;
mod jwt;
mod origin;
mod token;
mod transaction;
mod unusual;

mod state;

mod context;
mod delivery;

mod reply;

mod desync;
mod faults;

mod capillary;
mod control;
mod discovery;
mod hyperid;
mod phone;

mod router;

mod server;

mod sandbox;

pub mod ffi;

pub use behaviour::{BehaviourError, BehaviourInfo, behaviours, check_behaviour, help_text};
pub use journal::LoggedRequest;
pub use sandbox::{Options, Sandbox};
pub use state::{BRAND_WITH_MFA, BRAND_WITHOUT_MFA, FirstIdError, LARGEST_FIRST_ID};
pub use token::{Access, SCOPE_MFA_CLIENT, SCOPE_SECOND_FACTOR, User};
pub use transaction::{DecideError, Decision, Status, Transaction};

/// Compiles the README's Rust.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
