//! The waits of a waiter as every thread may touch them: who they are, what is wanted of them, and the
//! events that they have.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::events::{Event, EventKind, TicketOptions};
use super::of_hyperid;
use crate::clock::Instant;
use crate::driver::Work;
use crate::error::Error;
use crate::gate::Gate;
use crate::hyperid::Transaction;
use crate::hyperid::load::Load;
use crate::hyperid::wait::WaitEnd;
use crate::secret::Secret;
use crate::sys::Queue;
use crate::time::Cancel;

/// Waits that are added together are spread over this for each of them, within their minimum interval.
const SPREAD: Duration = Duration::from_millis(1);

/// Tickets are counted up here, by nobody's choice: no need of a hash that withstands an attacker.
pub(super) type ByTicket<T> = HashMap<u64, T, BuildHasherDefault<TicketHasher>>;

#[derive(Default)]
pub(super) struct TicketHasher(u64);

impl Hasher for TicketHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // The golden ratio's bits, which reach the upper end too.
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A wait under way.
pub(super) type Task<'a> = Pin<Box<dyn Future<Output = WaitEnd> + Send + 'a>>;

/// What every thread may touch.
pub(super) struct Shared<'a> {
    pub(super) queue: Queue,
    pub(super) gate: Arc<Gate>,
    pub(super) load: Load,
    pub(super) tickets: Mutex<Tickets<'a>>,
    /// Somebody wants `next` to return.
    pub(super) woken: AtomicBool,
    /// Somebody asked for the queue's descriptor.
    pub(super) has_fd: AtomicBool,
    pub(super) next_ticket: AtomicU64,
}

#[derive(Default)]
pub(super) struct Tickets<'a> {
    pub(super) known: ByTicket<Arc<Ticket>>,
    /// Added, and not yet seen by `next`.
    pub(super) incoming: Vec<(Arc<Ticket>, Task<'a>)>,
    /// To be looked at again, because another thread wants something of them.
    pub(super) runnable: Vec<u64>,
    /// Those with a STARTED, which goes first.
    pub(super) started: VecDeque<u64>,
    /// Those with another event.
    pub(super) eventful: VecDeque<u64>,
    /// When the last waits were added, to spread those that come together.
    pub(super) burst: Option<(Instant, u32)>,
}

/// One wait, as seen from outside.
pub(super) struct Ticket {
    pub(super) work: Work,
    pub(super) cancel: Cancel,
    pub(super) options: TicketOptions,
    pub(super) asks_a_person: bool,
    /// A panic now would leave the outcome of a start unknown.
    pub(super) start_is_open: AtomicBool,
    /// It stands among the runnable.
    pub(super) is_runnable: AtomicBool,
    pub(super) state: Mutex<TicketState>,
}

/// What is seldom there, or only at the end, is boxed: thousands of waits keep a place for it.
#[derive(Default)]
pub(super) struct TicketState {
    /// A token that was given, or the word that there is none.
    pub(super) given: Option<Option<Secret>>,
    /// What a panic leaves of the transaction, and what STARTED tells of it.
    pub(super) known: Transaction,
    /// There is a STARTED.
    pub(super) has_started: bool,
    pub(super) update: Option<Box<Transaction>>,
    pub(super) token_refused: Option<Box<(Transaction, Error)>>,
    pub(super) ended: Option<Box<WaitEnd>>,
    /// It stands among the eventful.
    pub(super) is_queued: bool,
}

impl Ticket {
    pub(super) fn with<T>(&self, use_it: impl FnOnce(&mut TicketState) -> T) -> T {
        use_it(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn panicked(&self) -> WaitEnd {
        let error = Error::internal("a wait panicked; this is a defect in libmfa");
        let outcome_unknown = self.start_is_open.load(Ordering::Relaxed);
        let error = Error { outcome_unknown, ..of_hyperid(error) };
        WaitEnd { transaction: self.with(|state| state.known), result: Err(error) }
    }
}

impl TicketState {
    /// Whether there is an event besides STARTED.
    pub(super) fn has_more(&self) -> bool {
        self.update.is_some() || self.token_refused.is_some() || self.ended.is_some()
    }

    /// The next besides STARTED: the end comes last.
    pub(super) fn take(&mut self) -> Option<EventKind> {
        if let Some(update) = self.update.take() {
            return Some(EventKind::Update(*update));
        }
        if let Some(refused) = self.token_refused.take() {
            let (so_far, refusal) = *refused;
            return Some(EventKind::TokenRefused(so_far, refusal));
        }
        self.ended.take().map(|end| EventKind::Ended(*end))
    }
}

impl<'a> Shared<'a> {
    pub(super) fn with<T>(&self, use_them: impl FnOnce(&mut Tickets<'a>) -> T) -> T {
        use_them(&mut self.lock())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Tickets<'a>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn post(&self, ticket: &Ticket, change: impl FnOnce(&mut TicketState)) {
        self.with(|tickets| {
            let number = ticket.work.ticket;
            ticket.with(|state| {
                let had_started = state.has_started;
                change(state);
                if state.has_started && !had_started {
                    tickets.started.push_back(number);
                }
                if state.has_more() && !std::mem::replace(&mut state.is_queued, true) {
                    tickets.eventful.push_back(number);
                }
            });
        });
    }

    /// Each ticket's STARTED before all else, which so is before what else there is of that ticket.
    pub(super) fn take_event(&self) -> Option<Event> {
        self.with(|tickets| {
            let event = |ticket: &Ticket, kind| Event {
                ticket: ticket.work.ticket,
                user_data: ticket.options.user_data,
                kind,
            };
            while let Some(number) = tickets.started.pop_front() {
                let Some(ticket) = tickets.known.get(&number) else { continue };
                let started =
                    ticket.with(|state| std::mem::take(&mut state.has_started).then_some(state.known));
                if let Some(started) = started {
                    return Some(event(ticket, EventKind::Started(started)));
                }
            }
            while let Some(number) = tickets.eventful.pop_front() {
                let Some(ticket) = tickets.known.get(&number).cloned() else { continue };
                let kind = ticket.with(|state| {
                    let kind = state.take();
                    state.is_queued = state.has_more();
                    if state.is_queued {
                        tickets.eventful.push_back(number);
                    }
                    kind
                });
                let Some(kind) = kind else { continue };
                if matches!(kind, EventKind::Ended(_)) {
                    tickets.known.remove(&number);
                }
                return Some(event(&ticket, kind));
            }
            None
        })
    }
}

impl Tickets<'_> {
    pub(super) fn cancel(&mut self, ticket: &Ticket, withdraw: bool) {
        if withdraw {
            ticket.work.withdraws.store(true, Ordering::SeqCst);
        }
        ticket.cancel.trigger();
        self.run(ticket);
    }

    /// Has `next` look at it again.
    pub(super) fn run(&mut self, ticket: &Ticket) {
        if !ticket.is_runnable.swap(true, Ordering::SeqCst) {
            self.runnable.push(ticket.work.ticket);
        }
    }

    /// How long a wait that is added now should hold back, so that many do not poll in one instant.
    pub(super) fn spread(&mut self, now: Instant, most: Duration) -> Duration {
        let (since, count) = self.burst.unwrap_or((now, 0));
        let is_new = now.duration_since(since) > Duration::from_secs(1);
        let (since, count) = if is_new { (now, 0) } else { (since, count) };
        self.burst = Some((since, count.saturating_add(1)));
        // Round and round: those beyond the most do not come together at its end.
        let most = most.as_nanos().max(1);
        Duration::from_nanos(((SPREAD.as_nanos() * u128::from(count)) % most) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_added_together_are_spread() {
        let mut tickets = Tickets::default();
        let (now, most) = (Instant::now(), Duration::from_secs(1));
        let mut at_once = HashMap::<_, u32>::new();
        for _ in 0..10_000 {
            let delay = tickets.spread(now, most);
            assert!(delay < most);
            *at_once.entry(delay).or_default() += 1;
        }
        assert!(at_once.values().all(|count| *count <= 10));
        assert_eq!(tickets.spread(now + 2 * most, most), Duration::ZERO, "alone");
    }
}
