//! A queue of what has become ready, where the system's own is not used: a family's poll over what is
//! watched, which is no more than the waiter's connections. It has no descriptor of its own, and so no
//! timer.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Interest, RawDescriptor, Waker, family};
use crate::clock::Instant;

/// See `linux.rs`, whose queue has the same face.
#[derive(Debug)]
pub(crate) struct PollQueue {
    watched: Mutex<BTreeMap<RawDescriptor, Interest>>,
    signal: Waker,
}

impl PollQueue {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(PollQueue { watched: Mutex::default(), signal: Waker::new()? })
    }

    /// Tells once when the descriptor is ready.
    pub(crate) fn watch(&self, fd: RawDescriptor, interest: Interest) -> io::Result<()> {
        self.watched().insert(fd, interest);
        Ok(())
    }

    /// Waits until something is ready, the signal is raised, or `until`; puts what is ready into `ready`,
    /// and returns whether the signal is raised.
    pub(crate) fn wait(&self, ready: &mut Vec<RawDescriptor>, until: Instant) -> io::Result<bool> {
        let mut list = vec![family::polled(self.signal.fd(), Interest::Read)];
        list.extend(self.watched().iter().map(|(fd, interest)| family::polled(*fd, *interest)));
        match family::poll_once(&mut list, until) {
            // The caller looks at its time and comes again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(false),
            polled => polled?,
        };
        let mut watched = self.watched();
        // One that was closed meanwhile counts as ready too, and is forgotten.
        for fd in list[1..].iter().filter(|slot| slot.revents != 0).map(|slot| slot.fd) {
            watched.remove(&fd);
            ready.push(fd);
        }
        Ok(list[0].revents != 0)
    }

    #[allow(clippy::unused_self)] // As the other queue has it.
    pub(crate) fn set_timer(&self, _until: Option<Instant>) {}

    /// Raises the signal. Safe in a signal handler.
    pub(crate) fn signal(&self) {
        self.signal.wake();
    }

    pub(crate) fn clear_signal(&self) {
        self.signal.clear();
    }

    #[allow(clippy::unused_self)] // As the other queue has it.
    pub(crate) fn fd(&self) -> Option<RawDescriptor> {
        None
    }

    fn watched(&self) -> MutexGuard<'_, BTreeMap<RawDescriptor, Interest>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;
    use crate::sys::descriptor;

    #[test]
    fn each_is_told_once_and_the_signal_ends_a_wait() {
        let queue = PollQueue::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let past = Instant::now();
        let wait = |until| {
            let mut ready = Vec::new();
            let is_raised = queue.wait(&mut ready, until).unwrap();
            (ready, is_raised)
        };
        queue.watch(descriptor(&ours), Interest::Read).unwrap();
        let nothing = (Vec::new(), false);
        assert_eq!(wait(past), nothing);
        peer.write_all(b"x").unwrap();
        let later = Instant::now() + Duration::from_secs(60);
        assert_eq!(wait(later), (vec![descriptor(&ours)], false));
        assert_eq!(wait(past), nothing, "told once");
        queue.watch(descriptor(&ours), Interest::Write).unwrap();
        assert_eq!(wait(later), (vec![descriptor(&ours)], false), "watched again");

        for _ in 0..200 {
            queue.signal();
        }
        queue.set_timer(None);
        assert_eq!(wait(later), (Vec::new(), true), "the signal");
        queue.clear_signal();
        let soon = Instant::now() + Duration::from_millis(1);
        assert!(wait(soon) == nothing && Instant::now() >= soon, "cleared");
        assert!(queue.fd().is_none());
    }
}
