//! The clock that everything is timed by: std's. In the unit tests a test may set another in its place,
//! which stands still while the library works (`simulated`).

#[cfg(test)]
pub(crate) mod simulated;

#[cfg(test)]
pub(crate) use simulated::Instant;
#[cfg(not(test))]
pub(crate) use std::time::Instant;
