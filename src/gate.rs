//! Whose turn it is to send a request, among all the work of one waiter.
//!
//! Bounded: how many exchanges are under way, since each has a connection; how many of them open one; and
//! how many begin in a second. Starts go before polls, and each kind in the order of its coming.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Instant;

/// Handshakes under way at once: more would only delay each other, and the answers beside them.
const MOST_HANDSHAKES: u32 = 16;

#[derive(Debug)]
pub(crate) struct Gate {
    most: u32,
    /// Between two requests; zero: no limit.
    spacing: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    under_way: u32,
    handshakes: u32,
    /// No request before this.
    next_at: Option<Instant>,
    /// Who waits, in the order of their turns: place and ticket.
    queue: BTreeSet<(u64, u64)>,
    /// How many have come to wait so far.
    arrivals: u64,
    /// Those to look again.
    awake: Vec<u64>,
}

/// Where a piece of work stands in the queue: its arrival, with a bit for those that do not go first.
/// 0: nowhere. Changed by the gate alone, under its lock.
#[derive(Debug, Default)]
pub(crate) struct Place(AtomicU64);

const GOES_SECOND: u64 = 1 << 63;

/// The turn of one piece of work.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Gate);

impl Turn<'_> {
    /// No request was sent: the next one need not keep away from it.
    pub(crate) fn give_back(self) {
        self.0.with(|state| state.next_at = None);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.with(|state| {
            state.under_way -= 1;
            state.wake_next();
        });
    }
}

impl Gate {
    /// `per_second`: 0 for no limit.
    pub(crate) fn new(most: u32, per_second: u32) -> Self {
        let spacing = if per_second == 0 { Duration::ZERO } else { Duration::from_secs(1) / per_second };
        Gate { most, spacing, state: Mutex::default() }
    }

    /// The turn, or when to look again: `None`, when it is told. One that `has_idle` a connection to use
    /// does not wait for those that are being opened.
    pub(crate) fn enter(
        &self,
        ticket: u64,
        place: &Place,
        is_first: bool,
        has_idle: bool,
    ) -> Result<Turn<'_>, Option<Instant>> {
        self.with(|state| {
            let now = Instant::now();
            let stands_at = state.join_queue(ticket, place, is_first);
            let is_its_turn = state.queue.first().is_none_or(|(ahead, _)| stands_at <= *ahead);
            let has_room = state.under_way < self.most && (has_idle || state.handshakes < MOST_HANDSHAKES);
            if !is_its_turn || !has_room {
                return Err(None);
            }
            if let Some(at) = state.next_at.filter(|at| *at > now) {
                return Err(Some(at));
            }
            state.leave_queue(ticket, place);
            state.under_way += 1;
            if !self.spacing.is_zero() {
                state.next_at = Some(now + self.spacing);
            }
            state.wake_next();
            Ok(Turn(self))
        })
    }

    pub(crate) fn leave_queue(&self, ticket: u64, place: &Place) {
        self.with(|state| {
            state.leave_queue(ticket, place);
            state.wake_next();
        });
    }

    /// How many more exchanges could be under way.
    pub(crate) fn room(&self) -> usize {
        self.with(|state| self.most.saturating_sub(state.under_way) as usize)
    }

    pub(crate) fn handshake_begins(&self) {
        self.with(|state| state.handshakes += 1);
    }

    pub(crate) fn handshake_ends(&self) {
        self.with(|state| {
            state.handshakes -= 1;
            state.wake_next();
        });
    }

    /// Those whose turn may have come.
    pub(crate) fn take_awake(&self, into: &mut Vec<u64>) {
        self.with(|state| into.append(&mut state.awake));
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> T {
        use_it(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// Where the ticket stands; it joins the queue, if it is not in it.
    fn join_queue(&mut self, ticket: u64, place: &Place, is_first: bool) -> u64 {
        let known = place.0.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        self.arrivals += 1;
        let stands_at = self.arrivals | if is_first { 0 } else { GOES_SECOND };
        place.0.store(stands_at, Ordering::Relaxed);
        self.queue.insert((stands_at, ticket));
        stands_at
    }

    fn leave_queue(&mut self, ticket: u64, place: &Place) {
        self.queue.remove(&(place.0.swap(0, Ordering::Relaxed), ticket));
    }

    fn wake_next(&mut self) {
        if let Some((_, next)) = self.queue.first() {
            self.awake.push(*next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A gate, and the places of ten pieces of work.
    struct Gated(Gate, [Place; 10]);

    impl Gated {
        fn new(most: u32, per_second: u32) -> Self {
            Gated(Gate::new(most, per_second), Default::default())
        }

        fn enter(&self, ticket: u64, is_first: bool, has_idle: bool) -> Result<Turn<'_>, Option<Instant>> {
            self.0.enter(ticket, &self.1[ticket as usize], is_first, has_idle)
        }
    }

    fn awake(gate: &Gated) -> Vec<u64> {
        let mut awake = Vec::new();
        gate.0.take_awake(&mut awake);
        awake
    }

    #[test]
    fn turns_go_in_order_and_starts_before_polls() {
        let gate = Gated::new(1, 0);
        let turn = gate.enter(1, false, false).unwrap();
        assert!(
            [(2, false), (3, false), (4, true)]
                .iter()
                .all(|(t, first)| gate.enter(*t, *first, false).is_err())
        );
        drop(turn);
        assert_eq!(awake(&gate), [4]);
        assert!(gate.enter(2, false, false).is_err());
        drop(gate.enter(4, true, false).unwrap());
        assert_eq!(awake(&gate), [2, 2], "told while it was out, and when it came back");
        drop(gate.enter(2, false, false).unwrap());
        drop(gate.enter(3, false, false).unwrap());
        awake(&gate);
        assert!(gate.0.with(|state| state.queue.is_empty()));
    }

    #[test]
    fn who_leaves_makes_room_for_the_next() {
        let gate = Gated::new(1, 0);
        let turn = gate.enter(1, false, false).unwrap();
        assert!(gate.enter(2, false, false).is_err() && gate.enter(3, false, false).is_err());
        drop(turn);
        awake(&gate);
        gate.0.leave_queue(2, &gate.1[2]);
        assert_eq!(awake(&gate), [3]);
        assert!(gate.enter(3, false, false).is_ok());
    }

    #[test]
    fn an_idle_connection_waits_for_no_handshake() {
        let gate = Gated::new(99, 0);
        (0..MOST_HANDSHAKES).for_each(|_| gate.0.handshake_begins());
        assert!(gate.enter(1, false, false).is_err());
        assert!(gate.enter(1, false, true).is_ok());
        assert!(gate.enter(2, false, false).is_err());
        awake(&gate);
        gate.0.handshake_ends();
        assert_eq!(awake(&gate), [2]);
        assert!(gate.enter(2, false, false).is_ok());
    }

    #[test]
    fn a_rate_keeps_requests_apart() {
        let gate = Gated::new(9, 10);
        let before = Instant::now();
        drop(gate.enter(1, false, false).unwrap());
        let Err(Some(at)) = gate.enter(2, true, false) else { panic!("at once") };
        assert!(at >= before + Duration::from_millis(100));
        // Behind it, the one that waits is told by the one before.
        assert!(matches!(gate.enter(3, false, false), Err(None)));
    }

    #[test]
    fn who_sends_nothing_keeps_nobody_waiting() {
        let gate = Gated::new(1, 1);
        gate.enter(1, false, false).unwrap().give_back();
        gate.enter(2, false, false).unwrap().give_back();
        drop(gate.enter(3, false, false).unwrap());
        assert!(matches!(gate.enter(4, false, false), Err(Some(_))));
    }
}
