//! The C ABI: one file for each C object, one guard for all exports, and no logic.
//!
//! The doc comments here are the header's text. `unsafe` is at home in this folder alone; the
//! rules that callers keep, and that make it sound, open the header (`preamble.h`).

#![allow(unsafe_code)]
#![allow(non_camel_case_types)]
#![allow(clippy::missing_safety_doc)] // The header's rules are every export's safety section.
#![deny(unsafe_op_in_unsafe_fn)]

mod call_options;
mod cancel;
mod capillary;
mod client_options;
mod error;
mod event;
mod guard;
mod hyperid;
mod memory;
mod request;
mod transaction;
mod version;
mod wait_options;
mod waiter;
