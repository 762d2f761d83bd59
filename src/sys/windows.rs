//! Windows: Winsock. Nothing forks here, and no signal comes.
//!
//! `os_error` is the number that Windows gave: Winsock's (10061 for a refused connection), which
//! `io::Error` keeps as it is.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::windows::io::{AsRawSocket, FromRawSocket, OwnedSocket, RawSocket};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use windows_sys::Win32::Networking::WinSock as winsock;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};

use super::{Interest, Owned, Socket, millis_until};
use crate::clock::Instant;

/// A socket by its number.
pub(crate) type RawDescriptor = winsock::SOCKET;

/// The number of none.
const NO_DESCRIPTOR: RawDescriptor = winsock::INVALID_SOCKET;

/// What to wait for when a connection is waited for.
pub(crate) fn descriptor(stream: &TcpStream) -> RawDescriptor {
    stream.as_raw_socket() as RawDescriptor
}

/// One socket in a list for `poll_once`, which writes into `revents` what it is ready for.
pub(super) type Polled = winsock::WSAPOLLFD;

pub(super) const NOT_POLLED: Polled = Polled { fd: NO_DESCRIPTOR, events: 0, revents: 0 };

pub(super) fn polled(fd: RawDescriptor, interest: Interest) -> Polled {
    let events = match interest {
        Interest::Read => winsock::POLLRDNORM,
        Interest::Write => winsock::POLLWRNORM,
    };
    Polled { fd, events, revents: 0 }
}

/// How often a socket that is to be written to is looked at: before Windows 10 of 2004 (Server 2022),
/// WSAPoll does not tell that a connection was refused.
const LOOK: Duration = Duration::from_millis(250);

/// Waits until something in the list is ready, or until `until`; returns how much is ready. What is
/// written to may be said to be ready before it is.
pub(super) fn poll_once(list: &mut [Polled], until: Instant) -> io::Result<usize> {
    if list.is_empty() {
        // To WSAPoll that is an error.
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        return Ok(0);
    }
    let writes = list.iter().any(|slot| slot.events == winsock::POLLWRNORM);
    let end = if writes { until.min(Instant::now() + LOOK) } else { until };
    // SAFETY: `list` holds as many initialised entries as it says, and outlives the call.
    let n = unsafe { winsock::WSAPoll(list.as_mut_ptr(), list.len() as u32, millis_until(end)) };
    let n = usize::try_from(n).map_err(|_| io::Error::last_os_error())?;
    if n > 0 || end == until {
        return Ok(n);
    }
    for slot in list.iter_mut().filter(|slot| slot.events == winsock::POLLWRNORM) {
        slot.revents = slot.events;
    }
    Ok(1)
}

/// Begins a connection to `addr` without waiting for it. `true`: it stands already.
pub(crate) fn begin_connect(addr: &SocketAddr) -> io::Result<(Socket, bool)> {
    let stream = new_socket(addr)?;
    let (storage, len) = raw_address(addr);
    // SAFETY: `storage` holds a socket address of `len` bytes of the socket's family, and the socket is
    // open for the call.
    let rc = unsafe { winsock::connect(descriptor(&stream), (&raw const storage).cast(), len) };
    if rc == 0 {
        return Ok((Owned::new(stream), true));
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(winsock::WSAEWOULDBLOCK) => Ok((Owned::new(stream), false)),
        error => Err(error),
    }
}

/// One that does not wait, and that no other program inherits.
fn new_socket(addr: &SocketAddr) -> io::Result<TcpStream> {
    start_winsock();
    let family = if addr.is_ipv4() { winsock::AF_INET } else { winsock::AF_INET6 };
    let flags = winsock::WSA_FLAG_OVERLAPPED | winsock::WSA_FLAG_NO_HANDLE_INHERIT;
    // SAFETY: no protocol is described; what it opens nobody else knows.
    let stream = unsafe {
        let socket = winsock::WSASocketW(
            family.into(),
            winsock::SOCK_STREAM,
            winsock::IPPROTO_TCP,
            ptr::null(),
            0,
            flags,
        );
        if socket == winsock::INVALID_SOCKET {
            return Err(io::Error::last_os_error());
        }
        TcpStream::from(OwnedSocket::from_raw_socket(socket as RawSocket))
    };
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Winsock has to be told that the process uses it. std does the same when it opens its first socket,
/// which need not have been before ours.
fn start_winsock() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        const VERSION_2_2: u16 = 0x0202;
        // SAFETY: all-zero bytes are a valid `WSADATA`, which it fills. Where it fails, so does opening
        // a socket, and tells why.
        unsafe {
            let mut data: winsock::WSADATA = std::mem::zeroed();
            winsock::WSAStartup(VERSION_2_2, &raw mut data);
        }
    });
}

fn raw_address(addr: &SocketAddr) -> (winsock::SOCKADDR_STORAGE, i32) {
    // SAFETY: all-zero bytes are a valid `SOCKADDR_STORAGE`, which is large and aligned enough for
    // each of the two address types that are written into it.
    unsafe {
        let mut storage: winsock::SOCKADDR_STORAGE = std::mem::zeroed();
        let len = match addr {
            SocketAddr::V4(v4) => {
                let raw = &mut *(&raw mut storage).cast::<winsock::SOCKADDR_IN>();
                raw.sin_family = winsock::AF_INET;
                raw.sin_port = v4.port().to_be();
                raw.sin_addr.S_un.S_addr = u32::from_ne_bytes(v4.ip().octets());
                size_of::<winsock::SOCKADDR_IN>()
            }
            SocketAddr::V6(v6) => {
                let raw = &mut *(&raw mut storage).cast::<winsock::SOCKADDR_IN6>();
                raw.sin6_family = winsock::AF_INET6;
                raw.sin6_port = v6.port().to_be();
                raw.sin6_addr.u.Byte = v6.ip().octets();
                raw.sin6_flowinfo = v6.flowinfo();
                raw.Anonymous.sin6_scope_id = v6.scope_id();
                size_of::<winsock::SOCKADDR_IN6>()
            }
        };
        (storage, len as i32)
    }
}

/// Whether a receive may wait by itself: sockets here never wait.
pub(crate) const RECEIVE_MAY_WAIT: bool = false;

/// Prepares a socket that has connected: small writes leave at once.
pub(crate) fn prepare_connected(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}

/// Sends what the socket takes at once; `WouldBlock` when that is nothing.
pub(crate) fn send(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    stream.write(bytes)
}

/// Receives what is there; 0 at the end of file, `WouldBlock` when nothing is.
pub(crate) fn recv(mut stream: &TcpStream, buffer: &mut [u8], _may_wait: bool) -> io::Result<usize> {
    stream.read(buffer)
}

/// Looks at what is there without taking it.
pub(crate) fn peek(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    stream.peek(buffer)
}

/// A socket that becomes readable and stays so until it is cleared: it sends to itself, and takes from
/// nobody else. (An event object cannot be waited for beside a socket by WSAPoll.)
#[derive(Debug)]
pub(crate) struct Waker(UdpSocket);

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        let bell = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        bell.connect(bell.local_addr()?)?;
        bell.set_nonblocking(true)?;
        Ok(Waker(bell))
    }

    pub(crate) fn fd(&self) -> RawDescriptor {
        self.0.as_raw_socket() as RawDescriptor
    }

    /// Makes the socket readable.
    pub(crate) fn wake(&self) {
        // A failure means that it has been woken so often that it cannot get any more readable.
        let _ = self.0.send(&[1]);
    }

    pub(super) fn clear(&self) {
        while self.0.recv(&mut [0]).is_ok() {}
    }
}

/// There is no fork(2): each process is the first one.
pub(crate) fn fork_generation() -> u32 {
    0
}

/// The same.
pub(crate) fn known_generation() -> u32 {
    0
}

/// Keeps the library loaded, whatever the host unloads: the resolver's threads must not outlive their
/// code.
pub(crate) fn stay_loaded() {
    static IS_PINNED: AtomicBool = AtomicBool::new(false);
    if IS_PINNED.load(Ordering::Acquire) {
        return;
    }
    let flags = GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
    let here = (&raw const IS_PINNED).cast();
    let mut module = ptr::null_mut();
    // SAFETY: with this flag the name is any address inside the module, and this one is.
    let done = unsafe { GetModuleHandleExW(flags, here, &raw mut module) };
    IS_PINNED.store(done != 0, Ordering::Release);
}

/// There is no pthread_cancel.
pub(crate) struct Undisturbed;

impl Undisturbed {
    pub(crate) fn new() -> Self {
        Undisturbed
    }
}

/// There are no signals.
pub(crate) fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> T {
    work()
}
