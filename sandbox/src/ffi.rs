//! The C ABI: conversions and guards, no logic. The header is generated from the files below this one, in the order
//! of `build.rs`.
//!
//! No panic crosses the boundary, and `unsafe` is nowhere else in this crate.
#![allow(unsafe_code)]
#![allow(non_camel_case_types)]
// Each function says in words what its pointers must be; the header repeats the rules once.
#![allow(clippy::missing_safety_doc)]

mod boundary;
mod lifecycle;
mod requests;
mod tokens;
mod transactions;
mod types;

pub use lifecycle::*;
pub use requests::*;
pub use tokens::*;
pub use transactions::*;
pub use types::*;
