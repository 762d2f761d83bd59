//! The ids of the transactions that a client has started.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// More than are under way at once; an answer that slips is not older than that.
const MOST: usize = 4096;

/// The last some thousand ids. An id comes once: a second start that is answered with it has got
/// another start's answer.
#[derive(Debug, Default)]
pub(super) struct Started {
    ids: Mutex<Ids>,
}

#[derive(Debug, Default)]
struct Ids {
    known: HashSet<i64>,
    /// The oldest stands first.
    order: VecDeque<i64>,
}

impl Started {
    /// Notes an id. Returns whether it is new.
    pub(super) fn note(&self, id: i64) -> bool {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if !ids.known.insert(id) {
            return false;
        }
        ids.order.push_back(id);
        let oldest = if ids.order.len() > MOST { ids.order.pop_front() } else { None };
        if let Some(oldest) = oldest {
            ids.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_while_it_is_remembered() {
        let started = Started::default();
        let most = i64::try_from(MOST).unwrap();
        assert!((1..=most).all(|id| started.note(id)));
        assert!(!started.note(1) && !started.note(most));
        assert!(started.note(most + 1));
        assert!(started.note(1), "the oldest is forgotten");
        assert!(!started.note(3));
        assert_eq!(started.ids.lock().unwrap().known.len(), MOST);
    }
}
