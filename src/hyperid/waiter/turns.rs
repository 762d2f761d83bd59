//! Driving the waits of a waiter: what the thread in `next` alone touches.
//!
//! A turn polls the waits that are due. One is due when a descriptor that it waits for is ready, when its
//! time has come, when its turn to send a request may have, or when another thread wants something of it.

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::tickets::{ByTicket, Shared, Task, Ticket};
use crate::clock::Instant;
use crate::sys::RawDescriptor;

/// How long one turn works before it looks at the system again.
const TURN: Duration = Duration::from_millis(5);
/// How often what the system's queue cannot watch is looked at.
const UNWATCHED: Duration = Duration::from_millis(20);
/// So many ready descriptors in one look may not be all.
const MANY: usize = 200;

pub(super) struct Turns<'a> {
    running: ByTicket<Running<'a>>,
    /// Which waits want which descriptor: descriptor and ticket.
    watched: BTreeSet<(u64, u64)>,
    /// When which wait is to be looked at: milliseconds since `epoch`, and ticket. Whole ones: what is
    /// due in the same is done in one turn.
    timers: BTreeSet<(u64, u64)>,
    epoch: Instant,
    /// `sleep` has just looked: what the network had brought before this is noted.
    seen: Option<Instant>,
    /// To be looked at.
    due: VecDeque<u64>,
    ready: Vec<RawDescriptor>,
    /// What the queue's own timer is set to.
    alarm: Option<u64>,
}

struct Running<'a> {
    ticket: Arc<Ticket>,
    task: Task<'a>,
    /// The descriptors that it wants, as they stand in `watched`.
    fds: Vec<u64>,
    timer: Option<u64>,
    is_due: bool,
}

impl<'a> Turns<'a> {
    pub(super) fn new() -> Self {
        Turns {
            running: ByTicket::default(),
            watched: BTreeSet::new(),
            timers: BTreeSet::new(),
            epoch: Instant::now(),
            seen: None,
            due: VecDeque::new(),
            ready: Vec::new(),
            alarm: None,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.due.is_empty()
    }

    /// Looks at everything that may go on, for a while.
    pub(super) fn turn(&mut self, shared: &Shared<'a>) {
        let end = Instant::now() + TURN;
        self.gather(shared);
        while let Some(number) = self.due.pop_front() {
            self.poll(shared, number);
            if Instant::now() >= end {
                break;
            }
        }
        let mut awake = Vec::new();
        shared.gate.take_awake(&mut awake);
        awake.into_iter().for_each(|number| self.mark_due(number));
    }

    fn gather(&mut self, shared: &Shared<'a>) {
        // What the network has brought goes before the clock: all of it.
        let seen = self.seen.take().unwrap_or_else(|| self.look(shared));
        let (incoming, mut runnable) = shared.with(|tickets| {
            let runnable = std::mem::take(&mut tickets.runnable);
            for ticket in runnable.iter().filter_map(|number| tickets.known.get(number)) {
                ticket.is_runnable.store(false, Ordering::SeqCst);
            }
            (std::mem::take(&mut tickets.incoming), runnable)
        });
        for (ticket, task) in incoming {
            let number = ticket.work.ticket;
            let running = Running { ticket, task, fds: Vec::new(), timer: None, is_due: false };
            self.running.insert(number, running);
            runnable.push(number);
        }
        shared.gate.take_awake(&mut runnable);
        runnable.into_iter().for_each(|number| self.mark_due(number));
        self.take_timers(seen);
    }

    /// Notes what the network has brought, without waiting. Returns a time before which that is all.
    fn look(&mut self, shared: &Shared<'a>) -> Instant {
        loop {
            let now = Instant::now();
            let Ok(is_raised) = shared.queue.wait(&mut self.ready, now) else { return now };
            if self.take_ready(shared, is_raised) < MANY {
                return now;
            }
        }
    }

    /// Returns how many descriptors are ready. The signal is cleared before anybody looks at what it is
    /// about, so that none is lost.
    fn take_ready(&mut self, shared: &Shared<'a>, signal_is_raised: bool) -> usize {
        if signal_is_raised {
            shared.queue.clear_signal();
        }
        let ready = std::mem::take(&mut self.ready);
        for fd in &ready {
            // Mostly one.
            let mut after = 0;
            while let Some(number) = self.watches(*fd as u64, after) {
                let running = self.running.get(&number);
                if running.is_some_and(|running| running.ticket.work.interests.set_ready(*fd)) {
                    self.mark_due(number);
                }
                after = number + 1;
            }
        }
        let count = ready.len();
        self.ready = ready;
        self.ready.clear();
        count
    }

    /// The first ticket from `after` on that wants the descriptor.
    fn watches(&self, fd: u64, after: u64) -> Option<u64> {
        self.watched.range((fd, after)..=(fd, u64::MAX)).next().map(|(_, number)| *number)
    }

    fn take_timers(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.epoch).as_millis();
        while let Some((_, number)) = self.timers.first().copied().filter(|(at, _)| u128::from(*at) <= passed)
        {
            self.timers.pop_first();
            if let Some(running) = self.running.get_mut(&number) {
                running.timer = None;
            }
            self.mark_due(number);
        }
    }

    fn mark_due(&mut self, number: u64) {
        let Some(running) = self.running.get_mut(&number) else { return };
        if !std::mem::replace(&mut running.is_due, true) {
            self.due.push_back(number);
        }
    }

    fn poll(&mut self, shared: &Shared<'a>, number: u64) {
        let Some(running) = self.running.get_mut(&number) else { return };
        running.is_due = false;
        let mut context = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| running.task.as_mut().poll(&mut context)));
        let end = match polled {
            Ok(Poll::Pending) => return self.watch(shared, number),
            Ok(Poll::Ready(end)) => end,
            Err(_) => running.ticket.panicked(),
        };
        let Some(running) = self.remove(number) else { return };
        // Where a panic left it in the queue, it would hold up all behind it.
        shared.gate.leave_queue(number, &running.ticket.work.place);
        shared.post(&running.ticket, |state| state.ended = Some(Box::new(end)));
    }

    /// Sees to it that the wait is looked at again when what it waits for is there.
    fn watch(&mut self, shared: &Shared<'a>, number: u64) {
        let Some(running) = self.running.get_mut(&number) else { return };
        let Some(wanted) = running.ticket.work.interests.wanted() else { return };
        let mut until = wanted.until;
        for fd in &running.fds {
            self.watched.remove(&(*fd, number));
        }
        for (fd, interest) in wanted.fds() {
            self.watched.insert((*fd as u64, number));
            if shared.queue.watch(*fd, *interest).is_err() {
                // The system cannot watch any more: looked at by the clock, then.
                running.ticket.work.interests.set_ready(*fd);
                until = until.min(Instant::now() + UNWATCHED);
            }
        }
        running.fds = wanted.fds().iter().map(|(fd, _)| *fd as u64).collect();
        let until = begun_milliseconds(self.epoch, until);
        if running.timer != Some(until) {
            if let Some(timer) = running.timer.replace(until) {
                self.timers.remove(&(timer, number));
            }
            self.timers.insert((until, number));
        }
    }

    fn remove(&mut self, number: u64) -> Option<Running<'a>> {
        let running = self.running.remove(&number)?;
        if let Some(timer) = running.timer {
            self.timers.remove(&(timer, number));
        }
        for fd in &running.fds {
            self.watched.remove(&(*fd, number));
        }
        Some(running)
    }

    /// Waits until something may go on, no later than `until`.
    pub(super) fn sleep(&mut self, shared: &Shared<'a>, until: Instant) {
        let next = self.timers.first().map_or(until, |(at, _)| until.min(self.instant(*at)));
        let before = Instant::now();
        if self.alarm.is_some_and(|at| self.instant(at) <= before) {
            // It has come, and would end every sleep at once.
            self.set_alarm(shared, None);
        }
        #[cfg(all(test, target_os = "linux"))]
        let next = crate::clock::simulated::pass_beside(&shared.queue, next);
        match shared.queue.wait(&mut self.ready, next) {
            // Where nothing is told it may have been interrupted, and long ago.
            Ok(is_raised) => {
                let count = self.take_ready(shared, is_raised);
                let is_all = count < MANY && (count > 0 || is_raised);
                self.seen = is_all.then_some(before);
            }
            // Somebody closed its descriptor, or there is no memory: without it, time goes on alone.
            Err(_) => std::thread::sleep(UNWATCHED.min(next.saturating_duration_since(Instant::now()))),
        }
    }

    fn set_alarm(&mut self, shared: &Shared<'a>, at: Option<u64>) {
        if self.alarm != at {
            shared.queue.set_timer(at.map(|at| self.instant(at)));
            self.alarm = at;
        }
    }

    /// The descriptor tells whether `next` would have something to do, where anybody asked for it.
    pub(super) fn leave(&mut self, shared: &Shared<'a>) {
        if !shared.has_fd.load(Ordering::SeqCst) {
            return;
        }
        let first = self.timers.first().map(|(at, _)| *at);
        // One that comes too early does no harm, and need not be set anew each time.
        let is_ahead = |at: u64| self.instant(at) > Instant::now() && first.is_none_or(|first| at <= first);
        if !self.alarm.is_some_and(is_ahead) {
            self.set_alarm(shared, first);
        }
        let has_more = shared.with(|tickets| {
            !tickets.started.is_empty()
                || !tickets.eventful.is_empty()
                || !tickets.incoming.is_empty()
                || !tickets.runnable.is_empty()
        });
        if has_more || !self.due.is_empty() {
            shared.queue.signal();
        }
    }

    /// When so many milliseconds have passed.
    fn instant(&self, milliseconds: u64) -> Instant {
        self.epoch + Duration::from_millis(milliseconds)
    }
}

/// How many milliseconds have begun by `at`: once so many have passed, `at` has.
fn begun_milliseconds(epoch: Instant, at: Instant) -> u64 {
    let nanoseconds = at.saturating_duration_since(epoch).as_nanos();
    // Deadlines lie within weeks.
    u64::try_from(nanoseconds.div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
