//! What the Unixes have in common: sockets, poll(2), fork, signals, and pthread_cancel.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::opening::new_socket;
use super::{Interest, Owned, RECEIVE_SLICE, Socket, millis_until};
use crate::clock::Instant;

/// A descriptor by its number.
pub(crate) type RawDescriptor = RawFd;

/// The number of none.
const NO_DESCRIPTOR: RawDescriptor = -1;

/// What to wait for when a connection is waited for.
pub(crate) fn descriptor(stream: &TcpStream) -> RawDescriptor {
    stream.as_raw_fd()
}

/// One descriptor in a list for `poll_once`, which writes into `revents` what it is ready for.
pub(super) type Polled = libc::pollfd;

pub(super) const NOT_POLLED: Polled = libc::pollfd { fd: NO_DESCRIPTOR, events: 0, revents: 0 };

pub(super) fn polled(fd: RawDescriptor, interest: Interest) -> Polled {
    let events = match interest {
        Interest::Read => libc::POLLIN,
        Interest::Write => libc::POLLOUT,
    };
    libc::pollfd { fd, events, revents: 0 }
}

/// Waits until something in the list is ready, until `until`, or until a signal comes; returns how much
/// is ready.
pub(super) fn poll_once(list: &mut [Polled], until: Instant) -> io::Result<usize> {
    // SAFETY: `list` holds as many initialised entries as it says, and outlives the call.
    let n = unsafe { libc::poll(list.as_mut_ptr(), list.len() as libc::nfds_t, millis_until(until)) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// Takes a new descriptor into care, under a number above 2: those below belong to the host, and where
/// it has closed one, what it still writes there must not go to a server.
///
/// # Safety
/// `fd` has just been opened, and nobody else knows of it.
pub(super) unsafe fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
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

/// How many times this process is removed from the first one by fork(2).
///
/// A child must not use its parent's connections, nor wait for its parent's threads: state that
/// belongs to one process is kept beside this number.
pub(crate) fn fork_generation() -> u32 {
    static WATCHED: AtomicBool = AtomicBool::new(false);
    // Nobody waits for anybody: a child forked in between would wait for ever. Two threads may both
    // come here; a fork then counts twice, which does no harm.
    if !WATCHED.load(Ordering::Acquire) {
        WATCHED.store(watch_forks() == 0, Ordering::Release);
    }
    known_generation()
}

/// The same for a signal handler: right wherever somebody has asked for the number before.
pub(crate) fn known_generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

static GENERATION: AtomicU32 = AtomicU32::new(0);

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn watch_forks() -> libc::c_int {
    // SAFETY: the handler only adds to an atomic, which is allowed in a child of any process,
    // and the library is never unloaded (`-z nodelete`), so it stays where it is.
    unsafe { libc::pthread_atfork(None, None, Some(after_fork)) }
}

/// What glibc's `pthread_atfork` is in a program that is linked with it. As a symbol that one is for programs of
/// before 2.3 alone: some builds of glibc 2.17 lack it, and a linker may take it all the same.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn watch_forks() -> libc::c_int {
    type Handler = Option<extern "C" fn()>;
    unsafe extern "C" {
        fn __register_atfork(
            before: Handler,
            in_parent: Handler,
            in_child: Handler,
            library: *mut libc::c_void,
        ) -> libc::c_int;
        /// Its address tells the objects of a process apart; each has one, from its compiler or its linker.
        static __dso_handle: u8;
    }
    let of_this_object = (&raw const __dso_handle).cast_mut().cast();
    // SAFETY: the handler only adds to an atomic, which is allowed in a child of any process. `libmfa.so` is never
    // unloaded (`-z nodelete`); with the plugin that has `libmfa.a` in it, glibc forgets the handler, since the
    // handle is the plugin's.
    unsafe { __register_atfork(None, None, Some(after_fork), of_this_object) }
}

extern "C" fn after_fork() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Keeps the library loaded. Here the linker has seen to it (`-z nodelete` in build.rs).
pub(crate) fn stay_loaded() {}

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
