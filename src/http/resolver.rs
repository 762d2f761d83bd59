//! Names to addresses, within the deadline and cancellable.
//!
//! The system's resolver cannot be interrupted, so a look-up runs in a thread of its own while
//! its callers wait; one whose callers have given up ends when the system's resolver returns, which
//! may take half a minute. They touch no callback and no handle. Answers are kept for a short while.
//!
//! How many such threads there may be: at most one for each name, which all clients of the process
//! wait for, so that a program which makes client after client for a dead name has one thread more,
//! and not one for each. And at most sixteen in all, so that any number of dead names costs a process
//! no more. That is more names than a program talks to (a provider's regions, a proxy), and so a
//! few dead ones hold up no good one. Beyond it a name waits for a thread within its call's bounds,
//! or is connected to where it was last, if that is known: TLS tells whether it is still there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use once_cell::sync::OnceCell;

use crate::clock::Instant;
use crate::http::url::Host;
use crate::per_process::PerProcess;
use crate::sys::{self, Interest, Waker};
use crate::time::{Deadline, WaitError};

const KEPT_FOR: Duration = Duration::from_secs(60);
const MAX_THREADS: usize = 16;
/// How often a call looks for a free thread while all are busy.
const RETRY: Duration = Duration::from_millis(10);
/// Enough for a system's resolver with its plug-ins; and std need not look it up.
const STACK: usize = 512 * 1024;

/// Why there is no address.
type ResolveError = WaitError<Failure>;

impl From<WaitError> for ResolveError {
    fn from(error: WaitError) -> Self {
        error.map_failed(Failure::from)
    }
}

impl From<io::Error> for ResolveError {
    fn from(error: io::Error) -> Self {
        WaitError::Failed(error.into())
    }
}

/// What went wrong, for each of those who wait.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    /// errno, where that is the cause. What getaddrinfo itself returns is another kind of number: std
    /// puts it into words, and its `EAI_SYSTEM` into errno.
    pub(crate) os_error: Option<i32>,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure { message: error.to_string(), os_error: error.raw_os_error() }
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

/// A look-up on its way. The waker is woken once the outcome is there.
#[derive(Debug)]
struct LookUp {
    name: String,
    waker: Waker,
    outcome: OnceCell<Outcome>,
}

type Outcome = Result<Addresses, Failure>;

/// What a call finds when it needs the addresses.
enum Found {
    Addresses(Addresses),
    OnItsWay(Arc<LookUp>),
    AllThreadsBusy,
}

impl Resolver {
    /// The addresses of `host`, in the system's order.
    pub(crate) async fn resolve(
        &self,
        host: &Host,
        port: u16,
        deadline: &Deadline<'_>,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        let addresses: Addresses = match host {
            Host::Ip(ip) => Arc::new([*ip]),
            Host::Localhost => Arc::new([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]),
            Host::Name(name) => self.look_up(name, deadline).await?,
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

    async fn look_up(&self, name: &str, deadline: &Deadline<'_>) -> Result<Addresses, ResolveError> {
        loop {
            match self.find(name)? {
                Found::Addresses(addresses) => return Ok(addresses),
                Found::OnItsWay(look_up) => return self.wait_for(&look_up, deadline).await,
                Found::AllThreadsBusy => deadline.sleep_until(Instant::now() + RETRY).await?,
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
        if let Some(look_up) = LookUp::of(name)? {
            *state = State::Asked(look_up.clone());
            return Ok(Found::OnItsWay(look_up));
        }
        Ok(match &*state {
            State::Known { addresses, .. } => Found::Addresses(addresses.clone()),
            _ => Found::AllThreadsBusy,
        })
    }

    async fn wait_for(
        &self,
        look_up: &Arc<LookUp>,
        deadline: &Deadline<'_>,
    ) -> Result<Addresses, ResolveError> {
        loop {
            if let Some(outcome) = look_up.outcome.get() {
                return self.store(look_up, outcome);
            }
            deadline.wait_for(&[(look_up.waker.fd(), Interest::Read)]).await?;
        }
    }

    /// The first waiter to see the outcome keeps it for the others; a failure is not kept.
    fn store(&self, look_up: &Arc<LookUp>, outcome: &Outcome) -> Result<Addresses, ResolveError> {
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
        outcome.clone().map_err(WaitError::Failed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The look-ups under way in this process, each with its thread.
fn under_way() -> MutexGuard<'static, Vec<Arc<LookUp>>> {
    static UNDER_WAY: PerProcess<Mutex<Vec<Arc<LookUp>>>> = PerProcess::new(0, Mutex::new(Vec::new()));
    UNDER_WAY.current(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

impl LookUp {
    /// The one for `name` that is under way, or a new one; `None`: all threads are busy.
    fn of(name: &str) -> io::Result<Option<Arc<Self>>> {
        let mut under_way = under_way();
        if let Some(same) = under_way.iter().find(|look_up| look_up.name == name) {
            return Ok(Some(same.clone()));
        }
        if under_way.len() >= MAX_THREADS {
            return Ok(None);
        }
        let look_up = LookUp { name: name.to_owned(), waker: Waker::new()?, outcome: OnceCell::new() };
        let look_up = Arc::new(look_up);
        let theirs = look_up.clone();
        let thread = std::thread::Builder::new().name("mfa-resolver".into()).stack_size(STACK);
        let work = move || {
            let running = Running(theirs);
            let _ = running.0.outcome.set(ask_system(&running.0.name));
        };
        // The host's signal handlers run on the host's threads.
        sys::with_signals_blocked(|| thread.spawn(work))?;
        under_way.push(look_up.clone());
        Ok(Some(look_up))
    }
}

/// A look-up in its thread. However that ends, its callers hear of it and its place is free.
struct Running(Arc<LookUp>);

impl Drop for Running {
    fn drop(&mut self) {
        let none = || Failure { message: "the look-up ended without an answer".to_owned(), os_error: None };
        let _ = self.0.outcome.get_or_init(|| Err(none()));
        under_way().retain(|look_up| !Arc::ptr_eq(look_up, &self.0));
        self.0.waker.wake();
    }
}

fn ask_system(name: &str) -> Outcome {
    let mut addresses: Vec<IpAddr> = (name, 0).to_socket_addrs()?.map(|a| a.ip()).collect();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(Failure { message: "the name has no address".to_owned(), os_error: None });
    }
    Ok(addresses.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::{Driver, run_now};

    #[test]
    fn while_all_threads_are_busy_an_old_address_is_better_than_none() {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let known = State::Known { addresses: Arc::new([ip]), until: Instant::now() };
        let seen_before = Resolver { state: Mutex::new(known) };
        let ask = |resolver: &Resolver| {
            let deadline = Deadline {
                until: Instant::now() + Duration::from_millis(50),
                cancel: None,
                driver: Driver::Blocking,
            };
            run_now(resolver.resolve(&Host::Name("name.invalid".to_owned()), 443, &deadline))
        };
        for i in 0..MAX_THREADS {
            let name = format!("busy-{i}.invalid");
            let look_up = LookUp { name, waker: Waker::new().unwrap(), outcome: OnceCell::new() };
            under_way().push(Arc::new(look_up));
        }
        let old = ask(&seen_before);
        let never_seen = ask(&Resolver::default());
        under_way().retain(|look_up| !look_up.name.starts_with("busy"));
        assert_eq!(old.unwrap(), [SocketAddr::new(ip, 443)]);
        assert!(matches!(never_seen, Err(WaitError::Elapsed)));
    }
}
