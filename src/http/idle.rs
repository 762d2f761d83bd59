//! The idle connections of one client. A thread gets its own last one, else the one used last.
//!
//! A pool that hands out the one used longest ago keeps a client that was busy once going round all
//! of its connections for ever, each cold and none ever old enough to be closed. Nothing is probed
//! behind the lock.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::http::transport::Wire;

/// Shorter than the minute after which servers and middleboxes commonly drop idle connections.
const MAX_AGE: Duration = Duration::from_secs(50);

#[derive(Debug)]
pub(crate) struct IdleWires {
    most: usize,
    /// Those that became idle last stand last.
    wires: Mutex<VecDeque<Idle>>,
}

#[derive(Debug)]
struct Idle {
    since: Instant,
    /// The thread that used it last.
    thread: usize,
    wire: Box<Wire>,
}

/// Tells the living threads apart.
fn this_thread() -> usize {
    thread_local!(static PLACE: u8 = const { 0 });
    PLACE.with(|place| std::ptr::from_ref(place).addr())
}

impl IdleWires {
    pub(crate) fn new(most: usize) -> Self {
        IdleWires { most, wires: Mutex::default() }
    }

    /// One that nothing came in on while it was idle. Those that did not stay silent are closed.
    pub(crate) fn take(&self) -> Option<Box<Wire>> {
        loop {
            let thread = this_thread();
            // A thread's own connection before any other: its buffers, the socket, and the peer that
            // it wakes are where the thread runs.
            let Idle { since, mut wire, .. } =
                self.with(|wires| match wires.iter().rposition(|idle| idle.thread == thread) {
                    Some(place) => wires.remove(place),
                    None => wires.pop_back(),
                })?;
            if since.elapsed() >= MAX_AGE {
                continue;
            }
            if wire.is_silent() {
                return Some(wire);
            }
        }
    }

    pub(crate) fn put(&self, wire: Box<Wire>) {
        let now = Instant::now();
        let too_many = self.with(|wires| {
            wires.push_back(Idle { since: now, thread: this_thread(), wire });
            let is_old = |idle: &Idle| now.duration_since(idle.since) >= MAX_AGE;
            if wires.len() > self.most || wires.front().is_some_and(is_old) {
                wires.pop_front()
            } else {
                None
            }
        });
        drop(too_many);
    }

    fn with<T>(&self, use_them: impl FnOnce(&mut VecDeque<Idle>) -> T) -> T {
        use_them(&mut self.wires.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
