//! One connection, plain or TLS, that can be closed gracefully or aborted.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A shared socket: the server keeps the other reference, to shut it down from outside.
pub(crate) struct Socket {
    stream: Arc<TcpStream>,
    /// Reading ends here, however often it is asked to: TLS reads many times for one record or handshake,
    /// and a byte now and then must not keep it going.
    deadline: Instant,
}

/// How long the system is let wait for the other side. On Windows a reader is not woken when its socket is
/// shut down from outside; it is told when it asks again.
const SLICE: Duration = if cfg!(windows) { Duration::from_millis(50) } else { Duration::MAX };

impl Socket {
    /// Reads by `once`, until there is something or the deadline.
    fn wait(&self, mut once: impl FnMut(&TcpStream) -> io::Result<usize>) -> io::Result<usize> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left.min(SLICE)))?;
            match once(&self.stream) {
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                other => return other,
            }
        }
    }

    /// Waits until there is something to read, which stays where it is, or the other side has ended.
    fn wait_for_byte(&self) -> io::Result<()> {
        loop {
            match self.wait(|stream| stream.peek(&mut [0])) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map(drop),
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.wait(|mut stream| stream.read(buf))
    }
}

// No `write_vectored`: std's `write` asks for no SIGPIPE, its vectored one does not, and a host program in C
// would die of it.
impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self.stream).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.stream).flush()
    }
}

pub(crate) enum Connection {
    Plain(Socket),
    Tls(Box<StreamOwned<ServerConnection, Socket>>),
}

/// A client that takes nothing must not hold a thread for ever.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a closing connection listens for what is still under way.
const LINGER: Duration = Duration::from_millis(500);

impl Connection {
    pub(crate) fn new(socket: Arc<TcpStream>, tls: Option<Arc<ServerConfig>>) -> io::Result<Connection> {
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(WRITE_TIMEOUT))?;
        // Whoever reads sets a deadline first.
        let socket = Socket { stream: socket, deadline: Instant::now() };
        let Some(config) = tls else {
            return Ok(Connection::Plain(socket));
        };
        let session = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Connection::Tls(Box::new(StreamOwned::new(session, socket))))
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Connection::Plain(socket) => &socket.stream,
            Connection::Tls(stream) => &stream.sock.stream,
        }
    }

    /// TLS' handshake, cut off as a request is: `idle` until its first byte, and `time` from there to its
    /// last.
    pub(crate) fn handshake(&mut self, idle: Duration, time: Duration) -> io::Result<()> {
        let Connection::Tls(stream) = self else {
            return Ok(());
        };
        let StreamOwned { conn, sock } = &mut **stream;
        sock.deadline = Instant::now() + idle;
        sock.wait_for_byte()?;
        sock.deadline = Instant::now() + time;
        while conn.is_handshaking() {
            conn.complete_io(sock)?;
        }
        Ok(())
    }

    /// Reads at least a byte before the deadline; 0 is the end.
    pub(crate) fn read_before(&mut self, buf: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            let got = match self {
                Connection::Plain(socket) => {
                    socket.deadline = deadline;
                    socket.read(buf)
                }
                Connection::Tls(stream) => {
                    stream.sock.deadline = deadline;
                    stream.read(buf)
                }
            };
            match got {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Connection::Plain(socket) => socket.write_all(bytes),
            Connection::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// Waits until the client is gone or the sandbox shuts the socket down.
    pub(crate) fn wait_for_end(&mut self) {
        let mut sink = [0; 1024];
        loop {
            let deadline = Instant::now() + Duration::from_secs(60);
            match self.read_before(&mut sink, deadline) {
                Ok(0) => return,
                Ok(_) => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(_) => return,
            }
        }
    }

    /// Ends so that the last answer arrives: a socket closed over unread bytes would send a reset, and
    /// the reset could overtake the answer.
    pub(crate) fn close_gracefully(mut self) {
        if let Connection::Tls(stream) = &mut self {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        let _ = self.socket().shutdown(Shutdown::Write);
        let deadline = Instant::now() + LINGER;
        let mut sink = [0; 4096];
        for _ in 0..256 {
            if !matches!(self.read_before(&mut sink, deadline), Ok(1..)) {
                break;
            }
        }
        let _ = self.socket().shutdown(Shutdown::Both);
    }

    /// Ends as a crash would: no TLS farewell, nothing waited for.
    pub(crate) fn abort(self) {
        let _ = self.socket().shutdown(Shutdown::Both);
    }
}
