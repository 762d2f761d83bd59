//! A TCP connection to whichever address answers first (after RFC 8305, "Happy Eyeballs").
//!
//! The next address is tried when one fails, or after a quarter of a second without an answer, so
//! that a dead address or family delays nothing but itself.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::sys::{self, Interest};
use crate::time::{Interrupted, Limit};

const STAGGER: Duration = Duration::from_millis(250);
/// Attempts on their way at once; the oldest gives way to the next.
const MAX_PENDING: usize = 6;

#[derive(Debug)]
pub(crate) enum ConnectError {
    Interrupted(Interrupted),
    Failed(io::Error),
}

pub(crate) fn connect(addresses: &[SocketAddr], limit: &Limit<'_>) -> Result<TcpStream, ConnectError> {
    let mut waiting = by_turns(addresses).into_iter();
    let mut race = Race { pending: Vec::new(), last_error: None };
    let mut next_start = Instant::now();
    loop {
        limit.check().map_err(ConnectError::Interrupted)?;
        while (race.pending.is_empty() || Instant::now() >= next_start) && waiting.len() > 0 {
            let Some(address) = waiting.next() else { break };
            next_start = Instant::now() + STAGGER;
            if let Some(stream) = race.start(&address) {
                return ready(stream);
            }
        }
        if race.pending.is_empty() {
            let none = || io::Error::new(io::ErrorKind::AddrNotAvailable, "no address to connect to");
            return Err(ConnectError::Failed(race.last_error.unwrap_or_else(none)));
        }
        let until = if waiting.len() > 0 { next_start } else { limit.until };
        if let Some(stream) = race.wait(limit, until)? {
            return ready(stream);
        }
    }
}

fn ready(stream: TcpStream) -> Result<TcpStream, ConnectError> {
    sys::settle(&stream).map_err(ConnectError::Failed)?;
    Ok(stream)
}

/// Alternates between the families, beginning with the first address's.
fn by_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (same, other): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(|a| a.is_ipv4() == first_is_v4);
    let longest = same.len().max(other.len());
    (0..longest).flat_map(|i| [same.get(i), other.get(i)]).flatten().copied().collect()
}

struct Race {
    pending: Vec<TcpStream>,
    last_error: Option<io::Error>,
}

impl Race {
    fn start(&mut self, address: &SocketAddr) -> Option<TcpStream> {
        match sys::begin_connect(address) {
            Ok((stream, true)) => return Some(stream),
            Ok((stream, false)) => self.pending.push(stream),
            Err(error) => self.last_error = Some(error),
        }
        if self.pending.len() > MAX_PENDING {
            self.pending.remove(0);
        }
        None
    }

    /// Waits for any attempt to end; `None` when none succeeded by `until`.
    fn wait(&mut self, limit: &Limit<'_>, until: Instant) -> Result<Option<TcpStream>, ConnectError> {
        let fds: Vec<_> = self.pending.iter().map(|s| (s.as_raw_fd(), Interest::Write)).collect();
        let ready = limit
            .wait_for_until(&fds, until)
            .map_err(ConnectError::Failed)?
            .map_err(ConnectError::Interrupted)?;
        for i in (0..fds.len()).rev().filter(|i| ready & (1 << i) != 0) {
            let stream = self.pending.remove(i);
            match stream.take_error() {
                Ok(None) => return Ok(Some(stream)),
                Ok(Some(error)) | Err(error) => self.last_error = Some(error),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn limit(millis: u64) -> Limit<'static> {
        Limit { until: Instant::now() + Duration::from_millis(millis), cancel: None }
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
        let stream = connect(&[closed, open.local_addr().unwrap()], &limit(5_000)).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open.local_addr().unwrap());
    }

    #[test]
    fn when_all_refuse_the_last_error_is_told() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = connect(&[closed], &limit(5_000)).unwrap_err();
        assert!(matches!(error, ConnectError::Failed(e) if e.kind() == io::ErrorKind::ConnectionRefused));
    }
}
