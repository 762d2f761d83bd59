//! A clock for one thread, in a world of a test's own: time passes only where the library waits, and what
//! happens meanwhile is what the test has scripted. A day of waiting takes a moment, and the same script
//! takes the same course.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::TcpStream;
use std::ops::{Add, AddAssign, Sub};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use crate::sys::{self, Interest, Owned, Queue, Socket};
use crate::time::{Deadline, WaitError};

/// Looks at one and the same instant. More than any course has waits for.
const MOST_AT_ONCE: u32 = 100_000;

/// What is there besides the library.
pub(crate) trait World {
    /// Takes what the library has sent so far.
    fn settle(&self);

    /// When the next thing happens.
    fn next(&self) -> Option<Instant>;

    /// It happens.
    fn happen(&self);

    /// How much later than it asked a sleeper wakes.
    fn lateness(&self) -> Duration;

    /// What becomes of an attempt to connect, and after what time.
    fn connect(&self) -> (Duration, io::Result<UnixStream>);

    fn random(&self) -> u64;
}

thread_local! {
    static WORLD: RefCell<Option<Rc<dyn World>>> = const { RefCell::new(None) };
    static NOW: Cell<Option<std::time::Instant>> = const { Cell::new(None) };
    static LOOKS: Cell<u32> = const { Cell::new(0) };
}

/// As std's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Instant(std::time::Instant);

impl Instant {
    pub(crate) fn now() -> Self {
        Instant(NOW.get().unwrap_or_else(std::time::Instant::now))
    }

    pub(crate) fn elapsed(self) -> Duration {
        Instant::now() - self
    }

    pub(crate) fn duration_since(self, earlier: Instant) -> Duration {
        self.0.duration_since(earlier.0)
    }

    pub(crate) fn saturating_duration_since(self, earlier: Instant) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    pub(crate) fn checked_add(self, time: Duration) -> Option<Self> {
        self.0.checked_add(time).map(Instant)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, time: Duration) -> Instant {
        Instant(self.0 + time)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, time: Duration) {
        *self = *self + time;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, time: Duration) -> Instant {
        Instant(self.0 - time)
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

/// As long as it lives, this thread is in that world.
pub(crate) struct Inside(());

pub(crate) fn enter(world: Rc<dyn World>) -> Inside {
    NOW.set(Some(std::time::Instant::now()));
    WORLD.with_borrow_mut(|inside| assert!(inside.replace(world).is_none(), "in another world"));
    Inside(())
}

impl Drop for Inside {
    fn drop(&mut self) {
        NOW.set(None);
        drop(WORLD.take());
    }
}

/// The world that this thread is in, if it is in one.
pub(crate) fn world() -> Option<Rc<dyn World>> {
    WORLD.with_borrow(Clone::clone)
}

/// In a world, time passes until something is ready, but not beyond `until`. Returns when the wait ends.
pub(crate) fn pass(until: Instant, mut is_ready: impl FnMut() -> bool) -> Instant {
    let Some(world) = world() else { return until };
    loop {
        world.settle();
        while world.next().is_some_and(|next| next <= Instant::now()) {
            world.happen();
            world.settle();
        }
        let now = Instant::now();
        if is_ready() || now >= until {
            LOOKS.set(LOOKS.get() + 1);
            assert!(LOOKS.get() < MOST_AT_ONCE, "time stands still");
            return now;
        }
        LOOKS.set(0);
        let next = world.next().map_or(until, |next| next.min(until));
        NOW.set(Some((next + world.lateness()).0));
    }
}

/// As `pass`, until the queue has something.
pub(crate) fn pass_beside(queue: &Queue, until: Instant) -> Instant {
    pass(until, || {
        let ready = queue.fd().map(|fd| sys::poll(&[(fd, Interest::Read)], Instant::now()));
        ready.is_none_or(|ready| ready.is_ok_and(|bits| bits != 0))
    })
}

/// Connects in the world that this thread is in, if it is in one.
pub(crate) async fn connect(deadline: &Deadline<'_>) -> Option<Result<Socket, WaitError>> {
    let (delay, connected) = world()?.connect();
    if let Err(why) = deadline.wait_for_until(&[], Instant::now() + delay).await {
        return Some(Err(why));
    }
    let socket = connected.map(|stream| Owned::new(TcpStream::from(OwnedFd::from(stream))));
    Some(socket.map_err(WaitError::Failed))
}
