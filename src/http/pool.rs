//! The idle connections of one client. A thread gets its own last one, else the one used last.
//!
//! A pool that hands out the one used longest ago keeps a client that was busy once going round all
//! of its connections for ever, each cold and none ever old enough to be closed. Nothing is probed
//! behind the lock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Instant;
use crate::http::connection::Connection;
use crate::http::idle_state::IdleState;

/// Shorter than the minute after which servers and middleboxes commonly drop idle connections.
const MAX_AGE: Duration = Duration::from_secs(50);

#[derive(Debug)]
pub(crate) struct Pool {
    most: AtomicUsize,
    /// Rises when all that is open then is no longer to be trusted.
    epoch: AtomicU32,
    /// Those that became idle last stand last.
    connections: Mutex<VecDeque<Idle>>,
}

#[derive(Debug)]
struct Idle {
    since: Instant,
    /// The thread that used it last.
    thread: usize,
    connection: Box<Connection>,
}

/// An idle connection had something to say that nobody asked for.
#[derive(Debug)]
pub(crate) struct Unasked;

/// Tells the living threads apart.
fn this_thread() -> usize {
    thread_local!(static PLACE: u8 = const { 0 });
    PLACE.with(|place| std::ptr::from_ref(place).addr())
}

impl Pool {
    pub(crate) fn new(most: usize) -> Self {
        Pool { most: AtomicUsize::new(most), epoch: AtomicU32::new(0), connections: Mutex::default() }
    }

    /// Keeps no fewer than `most`.
    pub(crate) fn keep(&self, most: usize) {
        self.most.fetch_max(most, Ordering::Relaxed);
    }

    /// Which connections are trusted: those that were opened under this number.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Acquire)
    }

    /// One that nothing came in on while it was idle. Those that have ended meanwhile are closed.
    pub(crate) fn take(&self) -> Result<Option<Box<Connection>>, Unasked> {
        let thread = this_thread();
        loop {
            // A thread's own connection before any other: its buffers, the socket, and the peer that
            // it wakes are where the thread runs.
            let idle =
                self.with(|connections| match connections.iter().rposition(|idle| idle.thread == thread) {
                    Some(place) => connections.remove(place),
                    None => connections.pop_back(),
                });
            let Some(Idle { since, mut connection, .. }) = idle else { return Ok(None) };
            if since.elapsed() >= MAX_AGE {
                continue;
            }
            match connection.state_of_socket() {
                IdleState::Quiet => return Ok(Some(connection)),
                IdleState::Ended => {}
                IdleState::Unasked => return Err(Unasked),
            }
        }
    }

    /// Closes all that are idle. Those in use are not taken back.
    pub(crate) fn close_all(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        let closed = self.with(std::mem::take);
        drop(closed);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.with(|connections| connections.is_empty())
    }

    /// Closes those that have been idle for longest.
    pub(crate) fn keep_no_more_than(&self, most: usize) {
        let closed = self.with(|connections| {
            let too_many = connections.len().saturating_sub(most);
            connections.drain(..too_many).collect::<Vec<_>>()
        });
        drop(closed);
    }

    pub(crate) fn put(&self, connection: Box<Connection>) {
        let now = Instant::now();
        let too_many = self.with(|connections| {
            // Looked at behind the lock: `close_all` must not miss it.
            if connection.epoch != self.epoch() {
                return Some(Idle { since: now, thread: 0, connection });
            }
            connections.push_back(Idle { since: now, thread: this_thread(), connection });
            let is_old = |idle: &Idle| now.duration_since(idle.since) >= MAX_AGE;
            if connections.len() > self.most.load(Ordering::Relaxed)
                || connections.front().is_some_and(is_old)
            {
                connections.pop_front()
            } else {
                None
            }
        });
        drop(too_many);
    }

    fn with<T>(&self, use_them: impl FnOnce(&mut VecDeque<Idle>) -> T) -> T {
        use_them(&mut self.connections.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
