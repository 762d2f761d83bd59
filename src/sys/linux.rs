//! Linux and Android: flags that save a call when something is opened, eventfd, and epoll.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::unix::adopt;
use super::{Interest, Owned, millis_until};
use crate::clock::Instant;

/// A socket that does not wait.
pub(super) fn new_socket(family: libc::c_int) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: socket(2) takes no pointer, and what it opens nobody else knows.
    unsafe { adopt(libc::socket(family, kind, 0)) }
}

/// A descriptor that becomes readable and stays so until it is cleared: an eventfd.
#[derive(Debug)]
pub(crate) struct Waker(Owned<OwnedFd>);

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: eventfd(2) takes no pointer, and what it opens nobody else knows.
        let fd = unsafe { adopt(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK)) };
        Ok(Waker(Owned::new(fd?)))
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Makes the descriptor readable. One write(2), nothing else: safe in a signal handler.
    pub(crate) fn wake(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: the descriptor is open and eight bytes are readable. A failure means that the
        // waker has been woken so often that it cannot get any more readable.
        unsafe {
            libc::write(self.fd(), one.as_ptr().cast(), one.len());
        }
    }

    pub(super) fn clear(&self) {
        let mut count = [0u8; 8];
        // SAFETY: the descriptor is open, and eight bytes are writable.
        unsafe { libc::read(self.fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

/// The system's queue of what has become ready, for any number of descriptors.
///
/// What is watched is told once, and then has to be watched again. It also holds a signal, which any
/// thread and a signal handler may raise, and a timer, so that its own descriptor tells everything.
#[derive(Debug)]
pub(crate) struct Queue {
    epoll: Owned<OwnedFd>,
    timer: Owned<OwnedFd>,
    signal: Waker,
}

impl Queue {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: neither takes a pointer, and what they open nobody else knows.
        let (epoll, timer) = unsafe {
            (
                adopt(libc::epoll_create1(libc::EPOLL_CLOEXEC))?,
                adopt(libc::timerfd_create(libc::CLOCK_MONOTONIC, flags))?,
            )
        };
        let queue = Queue { epoll: Owned::new(epoll), timer: Owned::new(timer), signal: Waker::new()? };
        for fd in [queue.timer.as_raw_fd(), queue.signal.fd()] {
            queue.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN as u32)?;
        }
        Ok(queue)
    }

    /// Tells once when the descriptor is ready.
    pub(crate) fn watch(&self, fd: RawFd, interest: Interest) -> io::Result<()> {
        let events = match interest {
            Interest::Read => libc::EPOLLIN,
            Interest::Write => libc::EPOLLOUT,
        };
        let events = (events | libc::EPOLLONESHOT) as u32;
        // A connection is watched again and again; the system forgets it when it is closed.
        match self.control(libc::EPOLL_CTL_MOD, fd, events) {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => self.control(libc::EPOLL_CTL_ADD, fd, events),
            watched => watched,
        }
    }

    fn control(&self, operation: libc::c_int, fd: RawFd, events: u32) -> io::Result<()> {
        let mut event = libc::epoll_event { events, u64: fd as u64 };
        // SAFETY: the epoll descriptor is open, and `event` outlives the call.
        match unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits until something is ready, the signal is raised, or `until`; puts what is ready into `ready`,
    /// and returns whether the signal is raised.
    pub(crate) fn wait(&self, ready: &mut Vec<RawFd>, until: Instant) -> io::Result<bool> {
        const MOST: usize = 256;
        // Not initialised: it is three kilobytes, and few of them are used.
        let mut events = [const { MaybeUninit::<libc::epoll_event>::uninit() }; MOST];
        let timeout = millis_until(until);
        // SAFETY: `events` has room for `MOST`, and outlives the call.
        let count = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr().cast(), MOST as libc::c_int, timeout)
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            // The caller looks at its time and comes again.
            return if error.kind() == io::ErrorKind::Interrupted { Ok(false) } else { Err(error) };
        };
        let (timer, signal) = (self.timer.as_raw_fd(), self.signal.fd());
        // SAFETY: the system has written so many.
        let fds = events[..count].iter().map(|event| unsafe { event.assume_init() }.u64 as RawFd);
        ready.extend(fds.clone().filter(|fd| *fd != timer && *fd != signal));
        Ok(fds.into_iter().any(|fd| fd == signal))
    }

    /// Makes the queue's own descriptor readable at that time; `None`: not by the timer.
    pub(crate) fn set_timer(&self, until: Option<Instant>) {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        // Zero would switch it off.
        let left = left.map_or(Duration::ZERO, |left| left.max(Duration::from_nanos(1)));
        let value = libc::timespec {
            // Some systems count 32 bits of seconds.
            tv_sec: i32::try_from(left.as_secs()).unwrap_or(i32::MAX).into(),
            // Less than a billion, which a `long` of 32 bits holds too.
            tv_nsec: left.subsec_nanos() as libc::c_long,
        };
        // SAFETY: zero bytes are a valid interval; the timer is open, and `spec` outlives the call.
        unsafe {
            let mut spec: libc::itimerspec = std::mem::zeroed();
            spec.it_value = value;
            libc::timerfd_settime(self.timer.as_raw_fd(), 0, &raw const spec, std::ptr::null_mut());
        }
    }

    /// Raises the signal. Safe in a signal handler.
    pub(crate) fn signal(&self) {
        self.signal.wake();
    }

    pub(crate) fn clear_signal(&self) {
        self.signal.clear();
    }

    /// Readable when something is ready, the signal is raised, or the timer has come.
    pub(crate) fn fd(&self) -> Option<RawFd> {
        Some(self.epoll.as_raw_fd())
    }
}
