//! The few system calls that std does not offer, behind safe functions.
//!
//! This is the one exception to `deny(unsafe_code)` outside `ffi`. Every descriptor is close-on-exec,
//! above 2, and `Owned` by the process that opened it; nothing waits in a call that cannot be ended (but
//! see `recv`), sends never raise SIGPIPE, and EINTR is retried.

#![allow(unsafe_code)]

#[cfg(not(unix))]
compile_error!("libmfa's transport needs poll(2); a port to this system is welcome in src/sys.rs");

#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
use std::collections::BTreeMap;
use std::io;
use std::mem::ManuallyDrop;
use std::net::{SocketAddr, TcpStream};
use std::ops::Deref;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Instant;

/// A descriptor by its number.
pub(crate) type RawDescriptor = RawFd;

/// What a descriptor is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
}

/// Descriptors that are waited for at once: the attempts of a connection, the one that is being tried,
/// and a waker.
pub(crate) const MAX_POLLED: usize = 10;

/// Waits until one of the descriptors is ready, or until `until`.
///
/// Returns a bit for each descriptor that is ready, none when the time has passed. An error or
/// hang-up counts as ready: the following read or write tells which.
pub(crate) fn poll(fds: &[(RawFd, Interest)], until: Instant) -> io::Result<u32> {
    assert!(fds.len() <= MAX_POLLED);
    let mut list = [libc::pollfd { fd: -1, events: 0, revents: 0 }; MAX_POLLED];
    for (slot, (fd, interest)) in list.iter_mut().zip(fds) {
        slot.fd = *fd;
        slot.events = match interest {
            Interest::Read => libc::POLLIN,
            Interest::Write => libc::POLLOUT,
        };
    }
    loop {
        let timeout = millis_until(until);
        // SAFETY: `list` holds at least `fds.len()` initialised entries and outlives the call.
        let n = unsafe { libc::poll(list.as_mut_ptr(), fds.len() as libc::nfds_t, timeout) };
        if n > 0 {
            let ready = list[..fds.len()].iter().enumerate();
            return Ok(ready.fold(0, |bits, (i, p)| bits | (u32::from(p.revents != 0) << i)));
        }
        if n == 0 {
            if Instant::now() >= until {
                return Ok(0);
            }
            continue;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
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

/// Takes a new descriptor into care, under a number above 2: those below belong to the host, and where
/// it has closed one, what it still writes there must not go to a server.
///
/// # Safety
/// `fd` has just been opened, and nobody else knows of it.
unsafe fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    const FIRST: RawFd = 3;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is ours alone: guaranteed by the caller.
    let opened = unsafe { OwnedFd::from_raw_fd(fd) };
    if fd >= FIRST {
        return Ok(opened);
    }
    // SAFETY: this fcntl takes an integer; a non-negative result is a descriptor that only we own.
    unsafe {
        match libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, FIRST) {
            moved if moved < 0 => Err(io::Error::last_os_error()),
            moved => Ok(OwnedFd::from_raw_fd(moved)),
        }
    }
}

/// Begins a connection to `addr` without waiting for it. `true`: it stands already.
pub(crate) fn begin_connect(addr: &SocketAddr) -> io::Result<(Socket, bool)> {
    let family = if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let socket = new_socket(family)?;
    let (storage, len) = raw_address(addr);
    // SAFETY: `storage` holds a socket address of `len` bytes for `family`, and the descriptor is
    // open for the call.
    let rc = unsafe { libc::connect(socket.as_raw_fd(), (&raw const storage).cast(), len) };
    let connected = if rc == 0 {
        true
    } else {
        let error = io::Error::last_os_error();
        // An interrupted connect goes on by itself, like one in progress.
        match error.raw_os_error() {
            Some(libc::EINPROGRESS | libc::EINTR) => false,
            _ => return Err(error),
        }
    };
    Ok((Owned::new(TcpStream::from(socket)), connected))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn new_socket(family: libc::c_int) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: socket(2) takes no pointer, and what it opens nobody else knows.
    unsafe { adopt(libc::socket(family, kind, 0)) }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn new_socket(family: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: as above; fcntl and setsockopt work on that descriptor and a local integer alone.
    unsafe {
        let socket = adopt(libc::socket(family, libc::SOCK_STREAM, 0))?;
        let fd = socket.as_raw_fd();
        libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK);
        #[cfg(target_vendor = "apple")]
        {
            let on: libc::c_int = 1;
            let size = size_of::<libc::c_int>() as libc::socklen_t;
            let name = libc::SO_NOSIGPIPE;
            libc::setsockopt(fd, libc::SOL_SOCKET, name, (&raw const on).cast(), size);
        }
        Ok(socket)
    }
}

fn raw_address(addr: &SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all-zero bytes are a valid `sockaddr_storage`, which is large and aligned enough for
    // each of the two address types that are written into it.
    unsafe {
        let mut storage: libc::sockaddr_storage = std::mem::zeroed();
        let len = match addr {
            SocketAddr::V4(v4) => {
                let raw = &mut *(&raw mut storage).cast::<libc::sockaddr_in>();
                raw.sin_family = libc::AF_INET as libc::sa_family_t;
                raw.sin_port = v4.port().to_be();
                raw.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(v6) => {
                let raw = &mut *(&raw mut storage).cast::<libc::sockaddr_in6>();
                raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                raw.sin6_port = v6.port().to_be();
                raw.sin6_addr.s6_addr = v6.ip().octets();
                raw.sin6_flowinfo = v6.flowinfo();
                raw.sin6_scope_id = v6.scope_id();
                size_of::<libc::sockaddr_in6>()
            }
        };
        (storage, len as libc::socklen_t)
    }
}

/// Whether a receive may wait by itself. Not elsewhere: other kernels can begin it anew after a signal,
/// with its whole time again, and block in send(2) whatever its flags say.
pub(crate) const RECEIVE_MAY_WAIT: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// The longest that such a receive waits.
pub(crate) const RECEIVE_SLICE: Duration = Duration::from_secs(1);

/// Prepares a socket that has connected: small writes leave at once, and a receive may wait.
pub(crate) fn prepare_connected(stream: &TcpStream) -> io::Result<()> {
    // Requests are single small writes; waiting for an acknowledgement would only delay them.
    stream.set_nodelay(true)?;
    if RECEIVE_MAY_WAIT {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(RECEIVE_SLICE))?;
    }
    Ok(())
}

#[cfg(target_vendor = "apple")]
const SEND_FLAGS: libc::c_int = libc::MSG_DONTWAIT;
#[cfg(not(target_vendor = "apple"))]
const SEND_FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// Sends what the socket takes at once; `WouldBlock` when that is nothing.
pub(crate) fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    retry_interrupted(|| {
        // SAFETY: the descriptor is open, and `bytes` is readable for its length.
        amount(unsafe { libc::send(stream.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), SEND_FLAGS) })
    })
}

/// Receives what is there; 0 at the end of file, `WouldBlock` when nothing is.
///
/// `may_wait`: where nothing is there yet, waits for it, until a signal comes or a `RECEIVE_SLICE` has
/// passed. That saves the poll(2) before it.
pub(crate) fn recv(stream: &TcpStream, buffer: &mut [u8], may_wait: bool) -> io::Result<usize> {
    if !may_wait {
        return retry_interrupted(|| receive(stream, buffer, libc::MSG_DONTWAIT));
    }
    // Not begun anew after a signal: many of them could keep it waiting for ever.
    match receive(stream, buffer, 0) {
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(io::ErrorKind::WouldBlock.into()),
        received => received,
    }
}

/// Looks at what is there without taking it.
pub(crate) fn peek(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    retry_interrupted(|| receive(stream, buffer, libc::MSG_PEEK | libc::MSG_DONTWAIT))
}

fn receive(stream: &TcpStream, buffer: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
    // SAFETY: the descriptor is open, and `buffer` is writable for its length.
    let n = unsafe { libc::recv(stream.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), flags) };
    amount(n)
}

/// What a call returned that gives an amount, or −1 and errno.
fn amount(n: isize) -> io::Result<usize> {
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

fn retry_interrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// A descriptor that becomes readable once and stays so: eventfd on Linux, a pipe elsewhere.
#[derive(Debug)]
pub(crate) struct Waker {
    read_end: Owned<OwnedFd>,
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    write_end: Owned<OwnedFd>,
}

impl Waker {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: eventfd(2) takes no pointer, and what it opens nobody else knows.
        let fd = unsafe { adopt(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK)) };
        Ok(Waker { read_end: Owned::new(fd?) })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn new() -> io::Result<Self> {
        let mut fds = [-1; 2];
        // SAFETY: pipe(2) fills the two descriptors, which nobody else knows.
        let [read_end, write_end] = unsafe {
            if libc::pipe(fds.as_mut_ptr()) != 0 {
                return Err(io::Error::last_os_error());
            }
            fds.map(|fd| adopt(fd))
        };
        let waker = Waker { read_end: Owned::new(read_end?), write_end: Owned::new(write_end?) };
        for end in [&waker.read_end, &waker.write_end] {
            // SAFETY: these fcntl take integers, and the descriptor is open.
            unsafe {
                libc::fcntl(end.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC);
                libc::fcntl(end.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK);
            }
        }
        Ok(waker)
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.read_end.as_raw_fd()
    }

    /// Makes the descriptor readable. One write(2), nothing else: safe in a signal handler.
    pub(crate) fn wake(&self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let fd = self.read_end.as_raw_fd();
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let fd = self.write_end.as_raw_fd();
        let one = 1u64.to_ne_bytes();
        // SAFETY: the descriptor is open and eight bytes are readable. A failure means that the
        // waker has been woken so often that it cannot get any more readable.
        unsafe {
            libc::write(fd, one.as_ptr().cast(), one.len());
        }
    }
}

/// The system's queue of what has become ready, for any number of descriptors.
///
/// What is watched is told once, and then has to be watched again. It also holds a signal, which any
/// thread and a signal handler may raise, and a timer, so that its own descriptor tells everything.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Debug)]
pub(crate) struct Queue {
    epoll: Owned<OwnedFd>,
    timer: Owned<OwnedFd>,
    signal: Waker,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
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

    /// Waits until something is ready, the signal is raised, or `until`; puts what is ready into `ready`.
    pub(crate) fn wait(&self, ready: &mut Vec<RawFd>, until: Instant) -> io::Result<()> {
        const MOST: usize = 256;
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; MOST];
        let timeout = millis_until(until);
        // SAFETY: `events` has room for `MOST`, and outlives the call.
        let count = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), MOST as libc::c_int, timeout)
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            // The caller looks at its time and comes again.
            return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
        };
        let own = [self.timer.as_raw_fd(), self.signal.fd()];
        let fds = events[..count].iter().map(|event| event.u64 as RawFd);
        ready.extend(fds.filter(|fd| !own.contains(fd)));
        Ok(())
    }

    /// Makes the queue's own descriptor readable at that time; `None`: not by the timer.
    pub(crate) fn set_timer(&self, until: Option<Instant>) {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        // Zero would switch it off.
        let left = left.map_or(Duration::ZERO, |left| left.max(Duration::from_nanos(1)));
        let value = libc::timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: left.subsec_nanos().into(),
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
        let mut count = [0u8; 8];
        // SAFETY: the descriptor is open, and eight bytes are writable.
        unsafe { libc::read(self.signal.fd(), count.as_mut_ptr().cast(), count.len()) };
    }

    /// Readable when something is ready, the signal is raised, or the timer has come.
    pub(crate) fn fd(&self) -> Option<RawFd> {
        Some(self.epoll.as_raw_fd())
    }
}

/// The same where the system's queue is not used yet: poll(2) over what is watched, which is no more
/// than the waiter's connections. It has no descriptor of its own, and so no timer.
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
#[derive(Debug)]
pub(crate) struct PollQueue {
    watched: Mutex<BTreeMap<RawFd, Interest>>,
    signal: Waker,
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) type Queue = PollQueue;

#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
impl PollQueue {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(PollQueue { watched: Mutex::default(), signal: Waker::new()? })
    }

    /// Tells once when the descriptor is ready.
    pub(crate) fn watch(&self, fd: RawFd, interest: Interest) -> io::Result<()> {
        self.watched().insert(fd, interest);
        Ok(())
    }

    /// Waits until something is ready, the signal is raised, or `until`; puts what is ready into `ready`.
    pub(crate) fn wait(&self, ready: &mut Vec<RawFd>, until: Instant) -> io::Result<()> {
        let mut list = vec![libc::pollfd { fd: self.signal.fd(), events: libc::POLLIN, revents: 0 }];
        list.extend(self.watched().iter().map(|(fd, interest)| {
            let events = if *interest == Interest::Read { libc::POLLIN } else { libc::POLLOUT };
            libc::pollfd { fd: *fd, events, revents: 0 }
        }));
        // SAFETY: `list` holds as many initialised entries as it says, and outlives the call.
        let n = unsafe { libc::poll(list.as_mut_ptr(), list.len() as libc::nfds_t, millis_until(until)) };
        if n < 0 {
            let error = io::Error::last_os_error();
            // The caller looks at its time and comes again.
            return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
        }
        let mut watched = self.watched();
        // One that was closed meanwhile counts as ready too, and is forgotten.
        for fd in list[1..].iter().filter(|slot| slot.revents != 0).map(|slot| slot.fd) {
            watched.remove(&fd);
            ready.push(fd);
        }
        Ok(())
    }

    #[allow(clippy::unused_self)] // As the other queue has it.
    pub(crate) fn set_timer(&self, _until: Option<Instant>) {}

    /// Raises the signal. Safe in a signal handler.
    pub(crate) fn signal(&self) {
        self.signal.wake();
    }

    pub(crate) fn clear_signal(&self) {
        let mut raised = [0u8; 512];
        // SAFETY: the descriptor is open, and so many bytes are writable. A pipe holds eight for each wake.
        while unsafe { libc::read(self.signal.fd(), raised.as_mut_ptr().cast(), raised.len()) }
            == raised.len() as isize
        {}
    }

    #[allow(clippy::unused_self)] // As the other queue has it.
    pub(crate) fn fd(&self) -> Option<RawFd> {
        None
    }

    fn watched(&self) -> MutexGuard<'_, BTreeMap<RawFd, Interest>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where `wanted` stands first; std's own search goes byte by byte.
pub(crate) fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    // SAFETY: `bytes` is readable for its length.
    let place = unsafe { libc::memchr(bytes.as_ptr().cast(), wanted.into(), bytes.len()) };
    (!place.is_null()).then(|| place.addr() - bytes.as_ptr().addr())
}

/// How many times this process is removed from the first one by fork(2).
///
/// A child must not use its parent's connections, nor wait for its parent's threads: state that
/// belongs to one process is kept beside this number.
pub(crate) fn fork_generation() -> u32 {
    static WATCHED: AtomicBool = AtomicBool::new(false);
    // Nobody waits for anybody: a child forked in between would wait for ever. Two threads may both
    // come here; a fork then counts twice, which does no harm.
    if !WATCHED.load(Ordering::Acquire) {
        // SAFETY: the handler only adds to an atomic, which is allowed in a child of any process,
        // and the library is never unloaded (`-z nodelete`), so it stays where it is.
        let failed = unsafe { libc::pthread_atfork(None, None, Some(after_fork)) };
        WATCHED.store(failed == 0, Ordering::Release);
    }
    known_generation()
}

/// The same for a signal handler: right wherever somebody has asked for the number before.
pub(crate) fn known_generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

static GENERATION: AtomicU32 = AtomicU32::new(0);

extern "C" fn after_fork() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// As long as it lives, pthread_cancel does not act on this thread: it would unwind our frames, and that
/// ends the process. What is asked for meanwhile acts later, outside. No system call; safe in a signal
/// handler.
pub(crate) struct Undisturbed {
    before: libc::c_int,
}

impl Undisturbed {
    pub(crate) fn new() -> Self {
        #[cfg(target_vendor = "apple")]
        const DISABLE: libc::c_int = libc::PTHREAD_CANCEL_DISABLE;
        #[cfg(not(target_vendor = "apple"))]
        const DISABLE: libc::c_int = 1;
        Undisturbed { before: set_cancel_state(DISABLE) }
    }
}

impl Drop for Undisturbed {
    fn drop(&mut self) {
        set_cancel_state(self.before);
    }
}

/// Returns what the state was.
#[cfg(any(
    target_os = "linux",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
))]
fn set_cancel_state(state: libc::c_int) -> libc::c_int {
    // In each of these systems' C libraries, though the libc crate does not name it.
    unsafe extern "C" {
        fn pthread_setcancelstate(state: libc::c_int, before: *mut libc::c_int) -> libc::c_int;
    }
    let mut before = state;
    // SAFETY: it writes an integer to the place that it is given, which is ours.
    unsafe { pthread_setcancelstate(state, &raw mut before) };
    before
}

/// Android, for one, has no pthread_cancel.
#[cfg(not(any(
    target_os = "linux",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
)))]
fn set_cancel_state(state: libc::c_int) -> libc::c_int {
    state
}

/// Runs `work` with all signals blocked on this thread; a thread that it starts keeps them blocked.
pub(crate) fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: the sets are local, and initialised before use: `all` by sigfillset, `before` by
    // pthread_sigmask, which cannot fail for a valid `how`.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let result = work();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        result
    }
}

/// The instant `delay` from now; far enough away where the sum cannot be told.
pub(crate) fn instant_after(start: Instant, delay: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);
    start.checked_add(delay).unwrap_or_else(|| start + FAR)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn without_a_system_queue_each_is_told_once_and_the_signal_ends_a_wait() {
        let queue = PollQueue::new().unwrap();
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let past = Instant::now();
        let wait = |until| {
            let mut ready = Vec::new();
            queue.wait(&mut ready, until).unwrap();
            ready
        };
        queue.watch(ours.as_raw_fd(), Interest::Read).unwrap();
        assert!(wait(past).is_empty());
        io::Write::write_all(&mut peer, b"x").unwrap();
        let later = Instant::now() + Duration::from_secs(60);
        assert_eq!(wait(later), [ours.as_raw_fd()]);
        assert!(wait(past).is_empty(), "told once");
        queue.watch(ours.as_raw_fd(), Interest::Write).unwrap();
        assert_eq!(wait(later), [ours.as_raw_fd()], "watched again");

        for _ in 0..200 {
            queue.signal();
        }
        queue.set_timer(None);
        assert!(wait(later).is_empty(), "the signal");
        queue.clear_signal();
        assert!(wait(Instant::now() + Duration::from_millis(1)).is_empty(), "cleared");
        assert!(queue.fd().is_none());
    }
}
