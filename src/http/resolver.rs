//! Names to addresses, within the deadline and cancellable.
//!
//! The system's resolver cannot be interrupted, so a look-up runs in a thread of its own while
//! its callers wait. Calls of one client share one look-up. At most four such threads exist in a
//! process; one whose callers have given up ends when the system's resolver returns. They touch
//! no callback and no handle. Answers are kept for a short while.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;

use crate::http::url::Host;
use crate::sys::{self, Bell, Interest, fork_generation};
use crate::time::{Interrupted, Limit};

const KEPT_FOR: Duration = Duration::from_secs(60);
const MAX_THREADS: u32 = 4;
/// How often a call looks for a free thread while all four are busy.
const RETRY: Duration = Duration::from_millis(10);
/// Enough for a system's resolver with its plug-ins; and std need not look it up.
const STACK: usize = 512 * 1024;

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

/// Resolves the one name that a client connects to.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Unknown,
    Known {
        addresses: Addresses,
        until: Instant,
    },
    Asked(Arc<LookUp>),
}

type Addresses = Arc<[IpAddr]>;

/// A look-up on its way. The bell is struck once the outcome is there.
#[derive(Debug)]
struct LookUp {
    bell: Bell,
    outcome: OnceCell<Result<Addresses, String>>,
}

/// What a call finds when it needs the addresses.
enum Found {
    Addresses(Addresses),
    OnItsWay(Arc<LookUp>),
    AllThreadsBusy,
}

impl Resolver {
    /// The addresses of `host`, in the system's order.
    pub(crate) fn resolve(
        &self,
        host: &Host,
        port: u16,
        limit: &Limit<'_>,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        let addresses: Addresses = match host {
            Host::Ip(ip) => Arc::new([*ip]),
            Host::Localhost => Arc::new([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]),
            Host::Name(name) => self.look_up(name, limit)?,
        };
        Ok(addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect())
    }

    /// Forgets what is known: none of the addresses answered.
    pub(crate) fn forget(&self) {
        let mut state = self.lock();
        if matches!(*state, State::Known { .. }) {
            *state = State::Unknown;
        }
    }

    fn look_up(&self, name: &str, limit: &Limit<'_>) -> Result<Addresses, ResolveError> {
        loop {
            match self.find(name)? {
                Found::Addresses(addresses) => return Ok(addresses),
                Found::OnItsWay(look_up) => return self.wait_for(&look_up, limit),
                Found::AllThreadsBusy => limit.sleep_until(Instant::now() + RETRY)?,
            }
        }
    }

    fn find(&self, name: &str) -> Result<Found, ResolveError> {
        let mut state = self.lock();
        match &*state {
            State::Known { addresses, until } if Instant::now() < *until => {
                return Ok(Found::Addresses(addresses.clone()));
            }
            // One that has ended unseen, because its callers had given up, may be of any age.
            State::Asked(look_up) if look_up.outcome.get().is_none() => {
                return Ok(Found::OnItsWay(look_up.clone()));
            }
            _ => {}
        }
        let Some(permit) = Permit::take() else { return Ok(Found::AllThreadsBusy) };
        let look_up = LookUp::start(name, permit).map_err(ResolveError::Failed)?;
        *state = State::Asked(look_up.clone());
        Ok(Found::OnItsWay(look_up))
    }

    fn wait_for(&self, look_up: &Arc<LookUp>, limit: &Limit<'_>) -> Result<Addresses, ResolveError> {
        loop {
            if let Some(outcome) = look_up.outcome.get() {
                return self.settle(look_up, outcome);
            }
            limit.wait_for(&[(look_up.bell.fd(), Interest::Read)]).map_err(ResolveError::Failed)??;
        }
    }

    /// The first waiter to see the outcome keeps it for the others; a failure is not kept.
    fn settle(
        &self,
        look_up: &Arc<LookUp>,
        outcome: &Result<Addresses, String>,
    ) -> Result<Addresses, ResolveError> {
        let mut state = self.lock();
        let is_ours = matches!(&*state, State::Asked(asked) if Arc::ptr_eq(asked, look_up));
        if is_ours {
            *state = match outcome {
                Ok(addresses) => {
                    State::Known { addresses: addresses.clone(), until: Instant::now() + KEPT_FOR }
                }
                Err(_) => State::Unknown,
            };
        }
        outcome.clone().map_err(|message| ResolveError::Failed(io::Error::other(message)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl LookUp {
    fn start(name: &str, permit: Permit) -> io::Result<Arc<Self>> {
        let look_up = Arc::new(LookUp { bell: Bell::new()?, outcome: OnceCell::new() });
        let theirs = look_up.clone();
        let name = name.to_owned();
        let thread = std::thread::Builder::new().name("mfa-resolver".into()).stack_size(STACK);
        let work = move || {
            let _permit = permit;
            let _ = theirs.outcome.set(ask_system(&name));
            theirs.bell.strike();
        };
        // The host's signal handlers run on the host's threads.
        sys::with_signals_blocked(|| thread.spawn(work))?;
        Ok(look_up)
    }
}

fn ask_system(name: &str) -> Result<Addresses, String> {
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
