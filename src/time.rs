//! Deadlines, cancelling, and a sleep that obeys both. Clocks are monotonic.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use once_cell::race::OnceBox;

use crate::sys::{self, Bell, Interest};

/// The longest that a wait goes on without looking at the cancel flag, where no bell can be had.
const SLICE: Duration = Duration::from_millis(20);

/// Ends calls before their time, from any thread. Clones share one state.
///
/// Once triggered it stays so for good. It may serve many calls at once.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    triggered: AtomicBool,
    // Made by the first call that has to wait; a cancel that is never waited on costs nothing.
    bells: OnceBox<BellLink>,
}

/// The bell of one process and, behind it, those of its forked descendants: a child makes its own, and
/// neither uses nor closes an inherited one.
///
/// It is never read, so once struck it wakes every call, now and later. Two calls may both make one,
/// and the first is kept: neither waits for the other, which a forked child might not have.
#[derive(Debug)]
struct BellLink {
    generation: u32,
    bell: Option<Bell>,
    next: OnceBox<BellLink>,
}

impl BellLink {
    fn new(generation: u32) -> Self {
        BellLink { generation, bell: Bell::new().ok(), next: OnceBox::new() }
    }
}

impl Cancel {
    /// A cancel that is not triggered.
    pub fn new() -> Self {
        Cancel::default()
    }

    /// Ends the calls that use it. Never blocks; safe in a signal handler.
    pub fn trigger(&self) {
        // The order matters: a waiter makes the bell first and then looks at the flag, so that
        // either it sees the flag or this sees the bell.
        if self.0.triggered.swap(true, Ordering::SeqCst) {
            return;
        }
        std::sync::atomic::fence(Ordering::SeqCst);
        // Whoever made a bell has asked for the generation.
        let generation = sys::known_generation();
        let mut bells = &self.0.bells;
        while let Some(link) = bells.get() {
            if let Some(bell) = link.bell.as_ref().filter(|_| link.generation == generation) {
                bell.strike();
            }
            bells = &link.next;
        }
    }

    /// Whether it was triggered.
    pub fn is_triggered(&self) -> bool {
        self.0.triggered.load(Ordering::SeqCst)
    }

    fn bell(&self) -> Option<RawFd> {
        let generation = sys::fork_generation();
        let make = || Box::new(BellLink::new(generation));
        let mut link = self.0.bells.get_or_init(make);
        while link.generation != generation {
            link = link.next.get_or_init(make);
        }
        std::sync::atomic::fence(Ordering::SeqCst);
        link.bell.as_ref().map(Bell::fd)
    }
}

/// Why a wait ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupted {
    /// The caller's cancel was triggered.
    Cancelled,
    /// The time is over.
    Elapsed,
}

/// What may end a wait: a point in time, and the caller's cancel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit<'a> {
    pub(crate) until: Instant,
    pub(crate) cancel: Option<&'a Cancel>,
}

impl<'a> Limit<'a> {
    /// The same cancel, and a time no later than `until`.
    pub(crate) fn no_later_than(&self, until: Instant) -> Limit<'a> {
        Limit { until: self.until.min(until), ..*self }
    }

    /// Fails when it is time to end. The cancel goes first: it is the caller's latest wish.
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        self.check_at(Instant::now())
    }

    /// The same for a caller who has just looked at the clock.
    pub(crate) fn check_at(&self, now: Instant) -> Result<(), Interrupted> {
        if self.cancel.is_some_and(Cancel::is_triggered) {
            return Err(Interrupted::Cancelled);
        }
        if now >= self.until {
            return Err(Interrupted::Elapsed);
        }
        Ok(())
    }

    /// Whether something may take `time` without being watched: nothing can end it before, and the
    /// limit is well behind it.
    pub(crate) fn leaves_alone(&self, time: Duration) -> bool {
        self.cancel.is_none() && self.until.saturating_duration_since(Instant::now()) > 2 * time
    }

    /// Waits until one of the descriptors is ready; returns a bit for each that is.
    pub(crate) fn wait_for(&self, fds: &[(RawFd, Interest)]) -> std::io::Result<Result<u32, Interrupted>> {
        self.wait(fds, self.until, Err(Interrupted::Elapsed))
    }

    /// As `wait_for`, and returns 0 when `until` comes first.
    pub(crate) fn wait_for_until(
        &self,
        fds: &[(RawFd, Interest)],
        until: Instant,
    ) -> std::io::Result<Result<u32, Interrupted>> {
        if until >= self.until {
            return self.wait_for(fds);
        }
        self.wait(fds, until, Ok(0))
    }

    fn wait(
        &self,
        fds: &[(RawFd, Interest)],
        until: Instant,
        at_end: Result<u32, Interrupted>,
    ) -> std::io::Result<Result<u32, Interrupted>> {
        let mut bell = self.cancel.and_then(Cancel::bell);
        loop {
            if self.cancel.is_some_and(Cancel::is_triggered) {
                return Ok(Err(Interrupted::Cancelled));
            }
            let sliced = self.cancel.is_some() && bell.is_none();
            let end = if sliced { until.min(Instant::now() + SLICE) } else { until };
            let ready = poll_with_bell(fds, bell, end)?;
            if ready.fds != 0 {
                // A peer that never stops sending must not keep the call from ending.
                let in_time = Instant::now() < self.until;
                return Ok(if in_time { Ok(ready.fds) } else { Err(Interrupted::Elapsed) });
            }
            if ready.bell && !self.cancel.is_some_and(Cancel::is_triggered) {
                // Struck by a child that shares it and does not know yet that it was forked: in the
                // host's own pthread_atfork handler, or with no fork(2) that runs such handlers.
                bell = None;
            }
            if !ready.bell && Instant::now() >= until {
                return Ok(at_end);
            }
        }
    }

    /// Sleeps until `until`, which may lie beyond the limit.
    pub(crate) fn sleep_until(&self, until: Instant) -> Result<(), Interrupted> {
        match self.wait_for_until(&[], until) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(interrupted)) => Err(interrupted),
            // poll(2) without a socket fails only for want of memory; sleep in slices instead.
            Err(_) => self.sleep_in_slices(until),
        }
    }

    fn sleep_in_slices(&self, until: Instant) -> Result<(), Interrupted> {
        while Instant::now() < until {
            self.check()?;
            std::thread::sleep(SLICE.min(until.saturating_duration_since(Instant::now())));
        }
        self.check()
    }
}

struct Ready {
    fds: u32,
    bell: bool,
}

fn poll_with_bell(fds: &[(RawFd, Interest)], bell: Option<RawFd>, until: Instant) -> std::io::Result<Ready> {
    let Some(bell) = bell else {
        return Ok(Ready { fds: sys::poll(fds, until)?, bell: false });
    };
    let mut all = [(bell, Interest::Read); 10];
    all[1..=fds.len()].copy_from_slice(fds);
    let bits = sys::poll(&all[..=fds.len()], until)?;
    Ok(Ready { fds: bits >> 1, bell: bits & 1 != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(cancel: Option<&Cancel>, millis: u64) -> Limit<'_> {
        Limit { until: Instant::now() + Duration::from_millis(millis), cancel }
    }

    #[test]
    fn a_sleep_ends_at_its_time() {
        let start = Instant::now();
        let limit = limit(None, 60_000);
        assert_eq!(limit.sleep_until(start + Duration::from_millis(30)), Ok(()));
        assert!(start.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn a_sleep_ends_at_the_limit() {
        let limit = limit(None, 30);
        let far = Instant::now() + Duration::from_secs(60);
        assert_eq!(limit.sleep_until(far), Err(Interrupted::Elapsed));
    }

    #[test]
    fn a_trigger_wakes_every_sleeper() {
        let cancel = Cancel::new();
        let sleepers: Vec<_> = (0..4)
            .map(|_| {
                let cancel = cancel.clone();
                std::thread::spawn(move || {
                    let limit = limit(Some(&cancel), 60_000);
                    limit.sleep_until(Instant::now() + Duration::from_secs(60))
                })
            })
            .collect();
        cancel.trigger();
        cancel.trigger();
        for sleeper in sleepers {
            assert_eq!(sleeper.join().unwrap(), Err(Interrupted::Cancelled));
        }
        assert_eq!(limit(Some(&cancel), 60_000).check(), Err(Interrupted::Cancelled));
    }
}
