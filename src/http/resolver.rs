//! Names to addresses, within the deadline and cancellable.
//!
//! The system's resolver cannot be interrupted, so a look-up runs in a thread of its own while
//! its callers wait. Calls for one name share one look-up. At most four such threads exist in a
//! process; one whose callers have given up ends when the system's resolver returns. They touch
//! no callback and no handle. Answers are kept for a short while.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;

use crate::http::url::Host;
use crate::sys::{Bell, Interest, fork_generation};
use crate::time::{Interrupted, Limit};

const KEPT_FOR: Duration = Duration::from_secs(60);
const MAX_KEPT: usize = 64;
const MAX_THREADS: u32 = 4;
/// How often a call looks for a free thread while all four are busy.
const RETRY: Duration = Duration::from_millis(10);

/// Why there is no address.
#[derive(Debug)]
pub(crate) enum ResolveError {
    Interrupted(Interrupted),
    Failed(io::Error),
}

impl From<Interrupted> for ResolveError {
    fn from(interrupted: Interrupted) -> Self {
        ResolveError::Interrupted(interrupted)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Resolver {
    entries: Mutex<HashMap<String, Entry>>,
}

#[derive(Debug)]
enum Entry {
    Known { addresses: Arc<[IpAddr]>, until: Instant },
    Asked(Arc<LookUp>),
}

/// A look-up on its way. The bell is struck once the outcome is there.
#[derive(Debug)]
struct LookUp {
    bell: Bell,
    outcome: OnceCell<Result<Arc<[IpAddr]>, String>>,
}

impl Resolver {
    /// The addresses of `host`, in the system's order.
    pub(crate) fn resolve(
        &self,
        host: &Host,
        port: u16,
        limit: &Limit<'_>,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        let addresses: Arc<[IpAddr]> = match host {
            Host::Ip(ip) => Arc::new([*ip]),
            Host::Localhost => Arc::new([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]),
            Host::Name(name) => self.look_up(name, limit)?,
        };
        Ok(addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect())
    }

    /// Forgets what is known of `host`: none of its addresses answered.
    pub(crate) fn forget(&self, host: &Host) {
        let Host::Name(name) = host else { return };
        let mut entries = self.lock();
        if matches!(entries.get(name), Some(Entry::Known { .. })) {
            entries.remove(name);
        }
    }

    fn look_up(&self, name: &str, limit: &Limit<'_>) -> Result<Arc<[IpAddr]>, ResolveError> {
        loop {
            match self.known_or_asked(name)? {
                Some(Ok(addresses)) => return Ok(addresses),
                Some(Err(look_up)) => return self.wait_for(name, &look_up, limit),
                None => limit.sleep_until(Instant::now() + RETRY)?,
            }
        }
    }

    /// What is known, or the look-up to wait for; `None` while all threads are busy.
    #[allow(clippy::type_complexity)]
    fn known_or_asked(&self, name: &str) -> Result<Option<Result<Arc<[IpAddr]>, Arc<LookUp>>>, ResolveError> {
        let mut entries = self.lock();
        match entries.get(name) {
            Some(Entry::Known { addresses, until }) if Instant::now() < *until => {
                return Ok(Some(Ok(addresses.clone())));
            }
            Some(Entry::Asked(look_up)) => return Ok(Some(Err(look_up.clone()))),
            _ => {}
        }
        let Some(permit) = Permit::take() else { return Ok(None) };
        let look_up = LookUp::start(name, permit).map_err(ResolveError::Failed)?;
        make_room(&mut entries);
        entries.insert(name.to_owned(), Entry::Asked(look_up.clone()));
        Ok(Some(Err(look_up)))
    }

    fn wait_for(
        &self,
        name: &str,
        look_up: &Arc<LookUp>,
        limit: &Limit<'_>,
    ) -> Result<Arc<[IpAddr]>, ResolveError> {
        loop {
            if let Some(outcome) = look_up.outcome.get() {
                return self.settle(name, look_up, outcome);
            }
            limit.wait_for(&[(look_up.bell.fd(), Interest::Read)]).map_err(ResolveError::Failed)??;
        }
    }

    /// The first waiter to see the outcome keeps it for the others; a failure is not kept.
    fn settle(
        &self,
        name: &str,
        look_up: &Arc<LookUp>,
        outcome: &Result<Arc<[IpAddr]>, String>,
    ) -> Result<Arc<[IpAddr]>, ResolveError> {
        let mut entries = self.lock();
        let is_ours = matches!(entries.get(name), Some(Entry::Asked(asked)) if Arc::ptr_eq(asked, look_up));
        if is_ours {
            entries.remove(name);
        }
        match outcome {
            Ok(addresses) => {
                if is_ours {
                    let until = Instant::now() + KEPT_FOR;
                    entries.insert(name.to_owned(), Entry::Known { addresses: addresses.clone(), until });
                }
                Ok(addresses.clone())
            }
            Err(message) => Err(ResolveError::Failed(io::Error::other(message.clone()))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Drops what has run out, then anything known, until there is room for one more.
fn make_room(entries: &mut HashMap<String, Entry>) {
    if entries.len() < MAX_KEPT {
        return;
    }
    let now = Instant::now();
    entries.retain(|_, entry| !matches!(entry, Entry::Known { until, .. } if *until <= now));
    if entries.len() >= MAX_KEPT {
        entries.retain(|_, entry| matches!(entry, Entry::Asked(_)));
    }
}

impl LookUp {
    fn start(name: &str, permit: Permit) -> io::Result<Arc<Self>> {
        let look_up = Arc::new(LookUp { bell: Bell::new()?, outcome: OnceCell::new() });
        let theirs = look_up.clone();
        let name = name.to_owned();
        std::thread::Builder::new().name("mfa-resolver".into()).spawn(move || {
            let _permit = permit;
            let _ = theirs.outcome.set(ask_system(&name));
            theirs.bell.strike();
        })?;
        Ok(look_up)
    }
}

fn ask_system(name: &str) -> Result<Arc<[IpAddr]>, String> {
    let found = (name, 0).to_socket_addrs().map_err(|e| e.to_string())?;
    let mut addresses: Vec<IpAddr> = found.map(|a| a.ip()).collect();
    addresses.dedup();
    if addresses.is_empty() {
        return Err("the name has no address".to_owned());
    }
    Ok(addresses.into())
}

/// The right to run one of the process's resolver threads.
struct Permit {
    generation: u32,
}

/// The fork generation in the upper half, the number of threads in the lower: a forked child has
/// none of its parent's threads.
static THREADS: AtomicU64 = AtomicU64::new(0);

impl Permit {
    fn take() -> Option<Self> {
        let generation = fork_generation();
        let taken = THREADS.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
            let running = if (state >> 32) as u32 == generation { state as u32 } else { 0 };
            (running < MAX_THREADS).then(|| (u64::from(generation) << 32) | u64::from(running + 1))
        });
        taken.is_ok().then_some(Permit { generation })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let _ = THREADS.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
            ((state >> 32) as u32 == self.generation && state as u32 > 0).then(|| state - 1)
        });
    }
}
