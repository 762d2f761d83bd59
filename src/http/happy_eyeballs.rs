//! TCP connections to the addresses of one name, one after the other (after RFC 8305, "Happy Eyeballs").
//!
//! The next address is tried when one fails, or after a quarter of a second without an answer, so
//! that a dead address or family delays nothing but itself.
//!
//! An address that accepts may still fail, or be silent, in what comes before the first request: the
//! proxy's CONNECT, and TLS. Then the race goes on with the others. One that is silent is not given up
//! before another has accepted.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::clock::Instant;
use crate::sys::{self, Interest, RawDescriptor, Socket};
use crate::time::{Deadline, WaitError};

const STAGGER: Duration = Duration::from_millis(250);
/// How long the others have to accept once a connection has failed: a packet may be lost, but a dead
/// address must not hold up what the one that failed has to tell.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// Attempts on their way at once; the oldest gives way to the next.
const MAX_PENDING: usize = 6;
// One more before the oldest gives way, the connection that is being tried beside them, and a waker.
const _: () = assert!(MAX_PENDING + 3 <= sys::MAX_POLLED);

/// The addresses that have not been tried yet, and the attempts on their way.
#[derive(Debug, Default)]
pub(crate) struct Race {
    waiting: VecDeque<SocketAddr>,
    pending: Vec<Socket>,
    /// It has been accepted, and not been handed out.
    connected: Option<Socket>,
    next_start: Option<Instant>,
    /// Until then the connection that was handed out last is alone.
    alone_until: Option<Instant>,
    last_error: Option<io::Error>,
}

impl Race {
    pub(crate) fn new(addresses: &[SocketAddr]) -> Self {
        Race { waiting: by_turns(addresses), ..Race::default() }
    }

    /// No address is left.
    pub(crate) fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.pending.is_empty() && self.connected.is_none()
    }

    /// The next connection: the first one, or another because the one before failed. It has half of
    /// the time that is left before others are looked for.
    pub(crate) async fn next(&mut self, deadline: &Deadline<'_>) -> Result<Socket, WaitError> {
        let give_up = self.alone_until.map(|_| Instant::now() + AFTER_FAILURE);
        loop {
            deadline.check()?;
            if give_up.is_some_and(|at| Instant::now() >= at) {
                return Err(WaitError::Failed(io::ErrorKind::TimedOut.into()));
            }
            self.begin_due();
            if let Some(stream) = self.connected.take() {
                match sys::prepare_connected(&stream) {
                    Ok(()) => {
                        let now = Instant::now();
                        self.alone_until = Some(now + deadline.until.saturating_duration_since(now) / 2);
                        return Ok(stream);
                    }
                    Err(error) => self.last_error = Some(error),
                }
            }
            if self.is_over() {
                let none = || io::Error::new(io::ErrorKind::AddrNotAvailable, "no address to connect to");
                return Err(WaitError::Failed(self.last_error.take().unwrap_or_else(none)));
            }
            self.wait(deadline, None, give_up.unwrap_or(deadline.until)).await?;
        }
    }

    /// How long the connection that was handed out last is alone; for ever, if there is no other.
    pub(crate) fn alone_until(&self, deadline: &Deadline<'_>) -> Instant {
        self.alone_until.filter(|_| !self.is_over()).unwrap_or(deadline.until)
    }

    /// Waits for the connection that was handed out last. `false`: in vain, and another address has
    /// accepted meanwhile.
    pub(crate) async fn wait_beside(
        &mut self,
        beside: (RawDescriptor, Interest),
        deadline: &Deadline<'_>,
    ) -> Result<bool, WaitError> {
        if deadline.wait_for_until(&[beside], self.alone_until(deadline)).await? != 0 {
            return Ok(true);
        }
        loop {
            deadline.check()?;
            self.begin_due();
            if self.connected.is_some() {
                return Ok(false);
            }
            if self.wait(deadline, Some(beside), deadline.until).await? {
                return Ok(true);
            }
        }
    }

    fn begin_due(&mut self) {
        let is_due = |race: &Race| {
            race.pending.is_empty() || race.next_start.is_none_or(|start| Instant::now() >= start)
        };
        while self.connected.is_none() && is_due(self) {
            let Some(address) = self.waiting.pop_front() else { return };
            self.next_start = Some(Instant::now() + STAGGER);
            match sys::begin_connect(&address) {
                Ok((stream, true)) => self.connected = Some(stream),
                Ok((stream, false)) => self.pending.push(stream),
                Err(error) => self.last_error = Some(error),
            }
            if self.pending.len() > MAX_PENDING {
                self.pending.remove(0);
            }
        }
    }

    /// Waits for an attempt to end, for the next to begin, for `until`, or for `beside`: then `true`.
    async fn wait(
        &mut self,
        deadline: &Deadline<'_>,
        beside: Option<(RawDescriptor, Interest)>,
        until: Instant,
    ) -> Result<bool, WaitError> {
        let next_start = self.next_start.filter(|_| !self.waiting.is_empty());
        let until = next_start.map_or(until, |start| start.min(until));
        let attempts = self.pending.iter().map(|s| (sys::descriptor(s), Interest::Write));
        let fds: Vec<_> = attempts.chain(beside).collect();
        let ready = deadline.wait_for_until(&fds, until).await?;
        let is_ready = |i: usize| ready & (1 << i) != 0;
        if beside.is_some() && is_ready(self.pending.len()) {
            return Ok(true);
        }
        for i in (0..self.pending.len()).rev().filter(|i| is_ready(*i)) {
            let stream = self.pending.remove(i);
            match has_connected(&stream) {
                Ok(true) => {
                    self.connected = Some(stream);
                    break;
                }
                // It was said to be ready too soon.
                Ok(false) => self.pending.insert(i, stream),
                Err(error) => self.last_error = Some(error),
            }
        }
        Ok(false)
    }
}

/// What has become of an attempt. One that has connected is asked nothing else.
fn has_connected(stream: &TcpStream) -> io::Result<bool> {
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) => match stream.take_error()? {
            Some(why) => Err(why),
            None if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            None => Err(error),
        },
    }
}

/// Alternates between the families, beginning with the first address's.
fn by_turns(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (same, other): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(|a| a.is_ipv4() == first_is_v4);
    let longest = same.len().max(other.len());
    (0..longest).flat_map(|i| [same.get(i), other.get(i)]).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::{Driver, run_now};
    use std::net::TcpListener;

    fn deadline(millis: u64) -> Deadline<'static> {
        Deadline {
            until: Instant::now() + Duration::from_millis(millis),
            cancel: None,
            driver: Driver::Blocking,
        }
    }

    #[test]
    fn families_take_turns() {
        let list: Vec<SocketAddr> =
            ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].iter().map(|a| a.parse().unwrap()).collect();
        let turns: Vec<String> = by_turns(&list).iter().map(ToString::to_string).collect();
        assert_eq!(turns, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
    }

    #[test]
    fn a_refusing_address_does_not_keep_the_next_from_being_tried() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let open = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream =
            run_now(Race::new(&[closed, open.local_addr().unwrap()]).next(&deadline(5_000))).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open.local_addr().unwrap());
    }

    /// An attempt that gets no answer: the listener's queue of connections is full.
    #[cfg(target_os = "linux")]
    fn unanswered(listener: &TcpListener) -> (Socket, Vec<Socket>) {
        let address = listener.local_addr().unwrap();
        let mut accepted = Vec::new();
        loop {
            let (socket, connected) = sys::begin_connect(&address).unwrap();
            let soon = Instant::now() + Duration::from_millis(100);
            if !connected && sys::poll(&[(sys::descriptor(&socket), Interest::Write)], soon).unwrap() == 0 {
                return (socket, accepted);
            }
            accepted.push(socket);
        }
    }

    #[test]
    #[cfg(target_os = "linux")] // Elsewhere a full queue is no silence.
    fn an_attempt_that_is_said_to_be_ready_too_soon_is_not_connected() {
        use std::sync::Arc;
        use std::task::{Context, Poll, Waker};

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (socket, _accepted) = unanswered(&listener);
        let fd = sys::descriptor(&socket);
        let work = crate::driver::Work {
            ticket: 1,
            interests: Default::default(),
            gate: Arc::new(crate::gate::Gate::new(1, 0)),
            place: Default::default(),
            withdraws: Default::default(),
        };
        let deadline = Deadline { driver: Driver::Queued(&work), ..deadline(60_000) };
        let mut race = Race { pending: vec![socket], ..Race::default() };
        let mut next = std::pin::pin!(race.next(&deadline));
        let mut look = || next.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(look().is_pending());
        // As for a descriptor that had the same number, or one that the queue cannot watch.
        assert!(work.interests.set_ready(fd));
        assert!(look().is_pending(), "it has not connected");
        while let Ok((stream, _)) = listener.accept() {
            drop(stream);
            let soon = Instant::now() + Duration::from_millis(10);
            if sys::poll(&[(fd, Interest::Write)], soon).unwrap() != 0 {
                break;
            }
        }
        assert!(work.interests.set_ready(fd));
        assert!(matches!(look(), Poll::Ready(Ok(_))), "now it has");
    }

    #[test]
    fn when_all_refuse_the_last_error_is_told() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = run_now(Race::new(&[closed]).next(&deadline(5_000))).unwrap_err();
        assert!(matches!(error, WaitError::Failed(e) if e.kind() == io::ErrorKind::ConnectionRefused));
    }
}
