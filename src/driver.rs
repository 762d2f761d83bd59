//! Who waits: the calling thread itself, or a waiter for many pieces of work at once.
//!
//! Connecting, TLS, proxies, the exchange and the waiting policy are written once, as `async fn`s. What
//! they wait for is told to a driver in one place, `Deadline::wait` (time.rs):
//!
//! - `Driver::Blocking` waits there and then, on the calling thread. Such a future is never pending, so
//!   that `run_now` has its result after one look; a blocking call pays nothing for being written so.
//! - `Driver::Queued` notes it in the work's own `Interests` and is pending. A waiter
//!   (`hyperid/waiter.rs`) waits for all of its work with the system's queue, and looks again at what
//!   has become ready.
//!
//! Thousands of waits sleep at once, so what is seldom under way (connecting, asking, polling, a second
//! try) is boxed where it is awaited, and a wait that sleeps has no place for it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::clock::Instant;
use crate::gate::{Gate, Place, Turn};
use crate::sys::{Interest, RawDescriptor};
use crate::time::Cancel;

/// Who waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Driver<'a> {
    /// The calling thread.
    Blocking,
    /// A waiter, for which the work notes its interests here.
    Queued(&'a Work),
}

/// One piece of queued work, as its driver sees it.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) ticket: u64,
    pub(crate) interests: Interests,
    pub(crate) gate: Arc<Gate>,
    /// Where it stands in the gate's queue.
    pub(crate) place: Place,
    /// Whoever cancels it wants what it has begun to be taken back.
    pub(crate) withdraws: AtomicBool,
}

impl Work {
    /// Waits for its turn to send a request, no later than `until` and its cancel. It has it as long as
    /// what is returned lives.
    pub(crate) fn turn<'t>(
        &'t self,
        is_first: bool,
        until: Instant,
        cancel: Option<&'t Cancel>,
        has_idle: impl Fn() -> bool + 't,
    ) -> impl Future<Output = Option<Turn<'t>>> + 't {
        poll_fn(move |_| {
            let turn = if cancel.is_some_and(Cancel::is_triggered) {
                None
            } else {
                match self.gate.enter(self.ticket, &self.place, is_first, has_idle()) {
                    Ok(turn) => Some(turn),
                    Err(_) if Instant::now() >= until => None,
                    Err(again) => {
                        self.interests.note(&[], again.map_or(until, |again| again.min(until)));
                        return Poll::Pending;
                    }
                }
            };
            self.interests.start_over();
            if turn.is_none() {
                self.gate.leave_queue(self.ticket, &self.place);
            }
            Poll::Ready(turn)
        })
    }
}

impl<'a> Driver<'a> {
    /// How many connections may be open beside those of the exchanges under way.
    pub(crate) fn room(self) -> usize {
        match self {
            Driver::Blocking => usize::MAX,
            Driver::Queued(work) => work.gate.room(),
        }
    }

    /// Whether the cancel came with the wish to take back what was begun.
    pub(crate) fn withdraws(self) -> bool {
        matches!(self, Driver::Queued(work) if work.withdraws.load(Ordering::SeqCst))
    }

    /// Told while a handshake is under way, of which a waiter has few at once.
    pub(crate) fn handshake(self) -> Option<Handshake<'a>> {
        let Driver::Queued(work) = self else { return None };
        work.gate.handshake_begins();
        Some(Handshake(&work.gate))
    }
}

/// A handshake under way.
pub(crate) struct Handshake<'a>(&'a Gate);

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        self.0.handshake_ends();
    }
}

/// Runs work whose driver blocks.
// Inlined, so that the work is made where it is run and not moved there.
#[inline(always)]
pub(crate) fn run_now<F: Future>(work: F) -> F::Output {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        // `Driver::Blocking` has no pending wait, and no other future is awaited.
        Poll::Pending => unreachable!("work with a blocking driver was pending"),
    }
}

/// What one piece of queued work waits for, and what has become of it.
#[derive(Debug, Default)]
pub(crate) struct Interests(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    fds: Descriptors,
    until: Option<Instant>,
    /// A bit for each descriptor that is ready.
    ready: u32,
    late_looks: u32,
}

/// Hardly ever more than one: thousands of waits keep a place for it.
#[derive(Clone, Debug, Default)]
struct Descriptors {
    one: Option<(RawDescriptor, Interest)>,
    /// All, where there is not just one.
    several: Vec<(RawDescriptor, Interest)>,
}

impl Descriptors {
    fn new(fds: &[(RawDescriptor, Interest)]) -> Self {
        match fds {
            [] => Descriptors::default(),
            [one] => Descriptors { one: Some(*one), several: Vec::new() },
            several => Descriptors { one: None, several: several.to_vec() },
        }
    }

    fn as_slice(&self) -> &[(RawDescriptor, Interest)] {
        if self.one.is_some() { self.one.as_slice() } else { &self.several }
    }
}

/// More than the largest answer needs.
const MOST_LATE_LOOKS: u32 = 256;

/// What a piece of work waits for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    fds: Descriptors,
    pub(crate) until: Instant,
}

impl Wanted {
    pub(crate) fn fds(&self) -> &[(RawDescriptor, Interest)] {
        self.fds.as_slice()
    }
}

impl Interests {
    /// The work waits for any of these, and no longer than `until`.
    pub(crate) fn note(&self, fds: &[(RawDescriptor, Interest)], until: Instant) {
        self.with(|state| {
            state.fds = Descriptors::new(fds);
            state.until = Some(until);
            state.ready = 0;
        });
    }

    /// An exchange begins: none of its time is over.
    fn start_over(&self) {
        self.with(|state| *state = State::default());
    }

    /// Whether it may look at its descriptors once more although its time is over. A peer that never
    /// stops sending must not keep it from ending.
    pub(crate) fn look_late(&self) -> bool {
        self.with(|state| {
            state.late_looks += 1;
            state.late_looks <= MOST_LATE_LOOKS
        })
    }

    /// It waits no more. Returns what was ready.
    pub(crate) fn clear(&self) -> u32 {
        self.with(|state| {
            state.until = None;
            state.fds = Descriptors::default();
            std::mem::take(&mut state.ready)
        })
    }

    /// What it waits for now, if it does.
    pub(crate) fn wanted(&self) -> Option<Wanted> {
        self.with(|state| state.until.map(|until| Wanted { fds: state.fds.clone(), until }))
    }

    /// A descriptor is ready. Returns whether the work waits for it.
    pub(crate) fn set_ready(&self, fd: RawDescriptor) -> bool {
        self.with(|state| {
            let place = state.fds.as_slice().iter().position(|(known, _)| *known == fd);
            place.inspect(|place| state.ready |= 1 << place).is_some()
        })
    }

    /// What is ready, so far.
    pub(crate) fn ready(&self) -> u32 {
        self.with(|state| state.ready)
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
