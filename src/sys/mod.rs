//! The few system calls that std does not offer, behind safe functions: the one place that knows which
//! system it runs on.
//!
//! This file is the face that all else uses, and has what is the same everywhere. What each family of
//! systems gives is in a file of its own:
//!
//! | file | systems | what is there |
//! |---|---|---|
//! | `unix.rs` | all but Windows | sockets, poll(2), fork, signals, pthread_cancel |
//! | `linux.rs` | Linux, Android | opening a socket, eventfd, epoll |
//! | `other_unix.rs` | the other Unixes | opening a socket, pipes |
//! | `poll_queue.rs` | all but Linux | a queue of what is ready, over a family's own poll |
//! | `windows.rs` | Windows | Winsock, a bell, the library's own pin |
//!
//! A family has to give `RawDescriptor` and `descriptor`, `begin_connect`, `prepare_connected`, `send`,
//! `recv` and `peek`, `Polled` and `poll_once`, a `Waker`, a `Queue`, `fork_generation` and
//! `known_generation`, `Undisturbed`, `with_signals_blocked` and `stay_loaded`; the compiler tells what
//! is missing.
//!
//! Beside `ffi` this is the one exception to `deny(unsafe_code)`. No descriptor is inherited by another
//! program, each is above 2 (where descriptors are counted) and `Owned` by the process that opened it;
//! nothing waits in a call that cannot be ended (but see `recv`), sends never raise SIGPIPE, and
//! EINTR is retried.

#![allow(unsafe_code)]

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
mod other_unix;
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
mod poll_queue;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(not(any(unix, windows)))]
compile_error!("libmfa does not know this system yet; a port is welcome in src/sys/");

#[cfg(any(target_os = "linux", target_os = "android"))]
use linux as opening;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
use other_unix as opening;
#[cfg(unix)]
use unix as family;
#[cfg(windows)]
use {windows as family, windows as opening};

use std::io;
use std::mem::ManuallyDrop;
use std::net::TcpStream;
use std::ops::Deref;
use std::time::Duration;

use crate::clock::Instant;

pub(crate) use family::{
    RECEIVE_MAY_WAIT, RawDescriptor, Undisturbed, begin_connect, descriptor, fork_generation,
    known_generation, peek, prepare_connected, recv, send, stay_loaded, with_signals_blocked,
};
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use linux::Queue;
pub(crate) use opening::Waker;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use poll_queue::PollQueue as Queue;

/// What a descriptor is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
}

/// The longest that a receive waits by itself, where it may.
pub(crate) const RECEIVE_SLICE: Duration = Duration::from_secs(1);

/// Descriptors that are waited for at once: the attempts of a connection, the one that is being tried,
/// and a waker.
pub(crate) const MAX_POLLED: usize = 10;

/// Waits until one of the descriptors is ready, or until `until`.
///
/// Returns a bit for each descriptor that is ready, none when the time has passed. An error or
/// hang-up counts as ready: the following read or write tells which. One may be said to be ready that
/// is not.
pub(crate) fn poll(fds: &[(RawDescriptor, Interest)], until: Instant) -> io::Result<u32> {
    assert!(fds.len() <= MAX_POLLED);
    let mut list = [family::NOT_POLLED; MAX_POLLED];
    for (slot, (fd, interest)) in list.iter_mut().zip(fds) {
        *slot = family::polled(*fd, *interest);
    }
    let list = &mut list[..fds.len()];
    loop {
        match family::poll_once(list, until) {
            Ok(0) if Instant::now() >= until => return Ok(0),
            Ok(0) => {}
            Ok(_) => {
                let ready = list.iter().enumerate();
                return Ok(ready.fold(0, |bits, (i, p)| bits | (u32::from(p.revents != 0) << i)));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Rounded up, so that a wait never ends before its time and then spins.
fn millis_until(until: Instant) -> i32 {
    let left = until.saturating_duration_since(Instant::now());
    let millis = left.as_nanos().div_ceil(1_000_000);
    i32::try_from(millis).unwrap_or(i32::MAX)
}

/// What holds a descriptor, and belongs to the process that opened it.
///
/// A forked child may have closed that descriptor, and have something of its own under the number; so
/// there it is not closed. What uses it asks `is_ours` first, or cannot come to an inherited one.
#[derive(Debug)]
pub(crate) struct Owned<T> {
    holder: ManuallyDrop<T>,
    generation: u32,
}

pub(crate) type Socket = Owned<TcpStream>;

impl<T> Owned<T> {
    pub(crate) fn new(holder: T) -> Self {
        Owned { holder: ManuallyDrop::new(holder), generation: fork_generation() }
    }

    /// Whether this process opened it.
    pub(crate) fn is_ours(&self) -> bool {
        self.generation == fork_generation()
    }
}

impl<T> Deref for Owned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.holder
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if self.is_ours() {
            // SAFETY: dropped here alone, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.holder) };
        }
    }
}

/// Where `wanted` stands first; std's own search goes byte by byte.
pub(crate) fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    // SAFETY: `bytes` is readable for its length.
    let place = unsafe { libc::memchr(bytes.as_ptr().cast(), wanted.into(), bytes.len()) };
    (!place.is_null()).then(|| place.addr() - bytes.as_ptr().addr())
}

/// The instant `delay` from now; far enough away where the sum cannot be told.
pub(crate) fn instant_after(start: Instant, delay: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);
    start.checked_add(delay).unwrap_or_else(|| start + FAR)
}
