//! Deadlines, cancelling, and a sleep that obeys both. Clocks are monotonic.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use once_cell::race::OnceBox;

use crate::clock::Instant;
use crate::driver::{Driver, Interests};
use crate::per_process::PerProcess;
use crate::sys::{self, Interest, RawDescriptor, Waker};

/// The longest that a wait goes on without looking at the cancel flag, where no waker can be had.
const SLICE: Duration = Duration::from_millis(20);

/// Ends calls before their time, from any thread. Clones share one state.
///
/// Once triggered it stays so for good. It may serve many calls at once.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    triggered: AtomicBool,
    /// Made by the first call that has to wait; a cancel that is never waited on costs nothing.
    ///
    /// A waker is never read, so once it has been woken it wakes every call, now and later. Two calls
    /// may both make one, and the first is kept: neither waits for the other, which a forked child
    /// might not have. A child makes its own, and neither uses nor closes an inherited one.
    wakers: OnceBox<PerProcess<Option<Waker>>>,
}

impl Cancel {
    /// A cancel that is not triggered.
    pub fn new() -> Self {
        Cancel::default()
    }

    /// Ends the calls that use it. Never blocks; safe in a signal handler.
    pub fn trigger(&self) {
        // The order matters: a call makes the waker first and then looks at the flag, so that either
        // it sees the flag or this sees the waker.
        if self.0.triggered.swap(true, Ordering::SeqCst) {
            return;
        }
        std::sync::atomic::fence(Ordering::SeqCst);
        // Whoever made a waker has asked for the generation.
        let generation = sys::known_generation();
        let waker = self.0.wakers.get().and_then(|wakers| wakers.of(generation));
        if let Some(Some(waker)) = waker {
            waker.wake();
        }
    }

    /// Whether it was triggered.
    pub fn is_triggered(&self) -> bool {
        self.0.triggered.load(Ordering::SeqCst)
    }

    fn waker(&self) -> Option<RawDescriptor> {
        let make = || Waker::new().ok();
        let first = || Box::new(PerProcess::new(sys::fork_generation(), make()));
        let waker = self.0.wakers.get_or_init(first).current(make);
        std::sync::atomic::fence(Ordering::SeqCst);
        waker.as_ref().map(Waker::fd)
    }
}

/// Why a wait ended without what it waited for.
#[derive(Debug)]
pub(crate) enum WaitError<E = io::Error> {
    /// The caller's cancel was triggered.
    Cancelled,
    /// The time is over.
    Elapsed,
    /// What was waited for has failed, or waiting itself.
    Failed(E),
}

impl<E> WaitError<E> {
    pub(crate) fn map_failed<F>(self, map: impl FnOnce(E) -> F) -> WaitError<F> {
        match self {
            WaitError::Cancelled => WaitError::Cancelled,
            WaitError::Elapsed => WaitError::Elapsed,
            WaitError::Failed(error) => WaitError::Failed(map(error)),
        }
    }
}

/// What may end a wait: a point in time, and the caller's cancel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline<'a> {
    pub(crate) until: Instant,
    pub(crate) cancel: Option<&'a Cancel>,
    pub(crate) driver: Driver<'a>,
}

impl<'a> Deadline<'a> {
    /// The same cancel, and a time no later than `until`.
    pub(crate) fn no_later_than(&self, until: Instant) -> Deadline<'a> {
        Deadline { until: self.until.min(until), ..*self }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.is_some_and(Cancel::is_triggered)
    }

    /// Fails when it is time to end. The cancel goes first: it is the caller's latest wish.
    pub(crate) fn check<E>(&self) -> Result<(), WaitError<E>> {
        self.check_at(Instant::now())
    }

    /// The same for a caller who has just looked at the clock.
    pub(crate) fn check_at<E>(&self, now: Instant) -> Result<(), WaitError<E>> {
        if self.is_cancelled() {
            return Err(WaitError::Cancelled);
        }
        if now >= self.until {
            return Err(WaitError::Elapsed);
        }
        Ok(())
    }

    /// Whether something may take `time` without being watched: nothing can end it before, and the
    /// deadline is well behind it.
    pub(crate) fn leaves_alone(&self, time: Duration) -> bool {
        #[cfg(all(test, target_os = "linux"))]
        if crate::clock::simulated::world().is_some() {
            return false;
        }
        matches!(self.driver, Driver::Blocking)
            && self.cancel.is_none()
            && self.until.saturating_duration_since(Instant::now()) > 2 * time
    }

    /// Waits until one of the descriptors is ready; returns a bit for each that is.
    pub(crate) fn wait_for<'w>(
        &'w self,
        fds: &'w [(RawDescriptor, Interest)],
    ) -> impl Future<Output = Waited> + 'w {
        self.wait_for_until(fds, self.until)
    }

    /// As `wait_for`, and returns 0 when `until` comes first.
    // Neither this nor what stands on it is an `async fn`: a wait that sleeps for minutes is little more
    // than what it waits for.
    pub(crate) fn wait_for_until<'w>(
        &'w self,
        fds: &'w [(RawDescriptor, Interest)],
        until: Instant,
    ) -> impl Future<Output = Waited> + 'w {
        let mut stage = Stage::Begins;
        poll_fn(move |_| {
            let end = until.min(self.until);
            let waited = match self.driver {
                // The one place where a call waits.
                Driver::Blocking => Poll::Ready(self.block(fds, end)),
                Driver::Queued(work) => self.look(&work.interests, fds, end, &mut stage),
            };
            match waited {
                Poll::Ready(Ok(0)) if until >= self.until => Poll::Ready(Err(WaitError::Elapsed)),
                waited => waited,
            }
        })
    }

    /// Notes what queued work waits for, and looks at what has become of it. 0: `until` has come.
    fn look(
        &self,
        interests: &Interests,
        fds: &[(RawDescriptor, Interest)],
        until: Instant,
        stage: &mut Stage,
    ) -> Poll<Waited> {
        if *stage == Stage::Begins {
            interests.note(fds, until);
            *stage = Stage::Waits;
        }
        let waited = self.look_at(interests, fds, until, stage);
        if waited.is_ready() {
            interests.clear();
        }
        waited
    }

    fn look_at(
        &self,
        interests: &Interests,
        fds: &[(RawDescriptor, Interest)],
        until: Instant,
        stage: &mut Stage,
    ) -> Poll<Waited> {
        if self.is_cancelled() {
            return Poll::Ready(Err(WaitError::Cancelled));
        }
        // What the network has brought goes before the clock: a late look loses no answer.
        let ready = interests.ready();
        let sends = fds.iter().any(|(_, interest)| *interest == Interest::Write);
        if ready != 0 && !(sends && Instant::now() >= self.until) {
            return Poll::Ready(Ok(ready));
        }
        if ready == 0 && Instant::now() < until {
            return Poll::Pending;
        }
        // Time may have been over as the wait began: the rest of an answer may be there all the same.
        if *stage == Stage::Waits && !sends && !fds.is_empty() && interests.look_late() {
            *stage = Stage::HasLookedLate;
            return Poll::Pending;
        }
        Poll::Ready(Ok(0))
    }

    fn block(&self, fds: &[(RawDescriptor, Interest)], until: Instant) -> Result<u32, WaitError> {
        let mut waker = self.cancel.and_then(Cancel::waker);
        loop {
            if self.is_cancelled() {
                return Err(WaitError::Cancelled);
            }
            let sliced = self.cancel.is_some() && waker.is_none();
            let end = if sliced { until.min(Instant::now() + SLICE) } else { until };
            let ready = poll_with_waker(fds, waker, end).map_err(WaitError::Failed)?;
            if ready.fds != 0 {
                // A peer that never stops sending must not keep the call from ending.
                let in_time = Instant::now() < self.until;
                return if in_time { Ok(ready.fds) } else { Err(WaitError::Elapsed) };
            }
            if ready.waker && !self.is_cancelled() {
                // Woken by a child that shares it and does not know yet that it was forked: in the
                // host's own pthread_atfork handler, or with no fork(2) that runs such handlers.
                waker = None;
            }
            if !ready.waker && Instant::now() >= until {
                return Ok(0);
            }
        }
    }

    /// Sleeps until `until`, which may lie beyond the deadline.
    pub(crate) async fn sleep_until(&self, until: Instant) -> Result<(), WaitError> {
        match self.wait_for_until(&[], until).await {
            // poll(2) without a socket fails only for want of memory; sleep in slices instead.
            Err(WaitError::Failed(_)) => self.sleep_in_slices(until),
            slept => slept.map(|_| ()),
        }
    }

    fn sleep_in_slices(&self, until: Instant) -> Result<(), WaitError> {
        while Instant::now() < until {
            self.check()?;
            std::thread::sleep(SLICE.min(until.saturating_duration_since(Instant::now())));
        }
        self.check()
    }
}

/// A bit for each descriptor that is ready.
type Waited = Result<u32, WaitError>;

/// How far a queued wait is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begins,
    Waits,
    HasLookedLate,
}

struct Ready {
    fds: u32,
    waker: bool,
}

fn poll_with_waker(
    fds: &[(RawDescriptor, Interest)],
    waker: Option<RawDescriptor>,
    until: Instant,
) -> io::Result<Ready> {
    #[cfg(all(test, target_os = "linux"))]
    let until = crate::clock::simulated::pass(until, || {
        poll_until(fds, waker, Instant::now()).map_or(true, |ready| ready.fds != 0 || ready.waker)
    });
    poll_until(fds, waker, until)
}

fn poll_until(
    fds: &[(RawDescriptor, Interest)],
    waker: Option<RawDescriptor>,
    until: Instant,
) -> io::Result<Ready> {
    let Some(waker) = waker else {
        return Ok(Ready { fds: sys::poll(fds, until)?, waker: false });
    };
    let mut all = [(waker, Interest::Read); sys::MAX_POLLED];
    all[1..=fds.len()].copy_from_slice(fds);
    let bits = sys::poll(&all[..=fds.len()], until)?;
    Ok(Ready { fds: bits >> 1, waker: bits & 1 != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::run_now;

    fn deadline(cancel: Option<&Cancel>, millis: u64) -> Deadline<'_> {
        Deadline { until: Instant::now() + Duration::from_millis(millis), cancel, driver: Driver::Blocking }
    }

    #[test]
    fn a_sleep_ends_at_its_time() {
        let start = Instant::now();
        let deadline = deadline(None, 60_000);
        assert!(run_now(deadline.sleep_until(start + Duration::from_millis(30))).is_ok());
        assert!(start.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn a_sleep_ends_at_the_deadline() {
        let deadline = deadline(None, 30);
        let far = Instant::now() + Duration::from_secs(60);
        assert!(matches!(run_now(deadline.sleep_until(far)), Err(WaitError::Elapsed)));
    }

    #[test]
    fn a_trigger_wakes_every_sleeper() {
        let cancel = Cancel::new();
        let sleepers: Vec<_> = (0..4)
            .map(|_| {
                let cancel = cancel.clone();
                std::thread::spawn(move || {
                    let deadline = deadline(Some(&cancel), 60_000);
                    run_now(deadline.sleep_until(Instant::now() + Duration::from_secs(60)))
                })
            })
            .collect();
        cancel.trigger();
        cancel.trigger();
        for sleeper in sleepers {
            assert!(matches!(sleeper.join().unwrap(), Err(WaitError::Cancelled)));
        }
        assert!(matches!(deadline(Some(&cancel), 60_000).check::<()>(), Err(WaitError::Cancelled)));
    }
}
