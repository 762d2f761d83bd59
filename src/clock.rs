//! The clock that everything is timed by: std's. In the unit tests a test may set another in its place,
//! which stands still while the library works (`simulated`).

#[cfg(all(test, target_os = "linux"))]
pub(crate) mod simulated;

#[cfg(all(test, target_os = "linux"))]
pub(crate) use simulated::Instant;
#[cfg(not(all(test, target_os = "linux")))]
pub(crate) use std::time::Instant;
