//! What a 429 to one wait means for the others of its waiter.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use crate::clock::Instant;
use crate::error::Error;
use crate::secret::Secret;
use crate::sys;

/// So many 429 in a row from different tokens are about all who ask.
const ABOUT_ALL: usize = 3;
/// A server that tells thousands of tokens to wait for hours is not remembered for ever.
const MOST_HELD: usize = 65_536;

/// Who is to hold back, and until when.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Tokens are known by their hashes, under keys that only this process has.
    hasher: RandomState,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: HashMap<u64, Instant>,
    all: Option<Instant>,
    in_a_row: Vec<u64>,
}

impl Load {
    /// Until when polls with this token hold back, if they do.
    pub(super) fn held_until(&self, token: &Secret, now: Instant) -> Option<Instant> {
        self.with(|state| {
            if state.held.is_empty() && state.all.is_none() {
                return None;
            }
            let its_own = state.held.get(&self.hash(token)).copied();
            its_own.max(state.all).filter(|until| *until > now)
        })
    }

    /// A poll with this token was answered, or failed.
    pub(super) fn polled(&self, token: &Secret, error: Option<&Error>, now: Instant) {
        self.with(|state| match error {
            Some(error) if error.http_status == Some(429) => {
                let until = error.retry_after.map(|delay| sys::instant_after(now, delay));
                state.refused(self.hash(token), until, now);
            }
            // Nobody said anything.
            Some(error) if error.http_status.is_none() => {}
            _ => state.in_a_row.clear(),
        });
    }

    fn hash(&self, token: &Secret) -> u64 {
        self.hasher.hash_one(token.expose())
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> T {
        use_it(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn refused(&mut self, token: u64, until: Option<Instant>, now: Instant) {
        if !self.in_a_row.contains(&token) {
            self.in_a_row.push(token);
        }
        self.in_a_row.truncate(ABOUT_ALL);
        let Some(until) = until else { return };
        if self.in_a_row.len() == ABOUT_ALL {
            self.all = self.all.max(Some(until));
        }
        if self.held.len() >= MOST_HELD {
            self.held.retain(|_, until| *until > now);
        }
        if self.held.len() < MOST_HELD {
            let held = self.held.entry(token).or_insert(until);
            *held = until.max(*held);
        }
    }
}
