//! What the environment sets.

use super::waits;

fn number(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => otherwise,
    }
}

/// Of the two storms together.
pub fn calls() -> usize {
    number("MFA_SLIPPING_CALLS", if waits::by_waiter() { 20_000 } else { 100_000 }) as usize
}

/// What all that is random comes from. How the threads come to run is not in its hands.
pub fn seed() -> u64 {
    number("MFA_SLIPPING_SEED", 1)
}

pub fn rounds() -> usize {
    number("MFA_SLIPPING_ROUNDS", if waits::by_waiter() { 200 } else { 1_000 }) as usize
}
