//! How many waits go: one thread drives them all.
//!
//! Each wait is the same work as a blocking call's (`waiting.rs`), with a driver that notes what it waits
//! for. `Waiter::next` polls what has become ready, by the system's queue, by the clock, or because
//! another thread asked for it (`waiter/turns.rs`), and hands out events (`waiter/tickets.rs`). Nothing
//! happens unless somebody calls it.

mod events;
mod tickets;
mod turns;

use std::fmt;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::task::Poll;
use std::time::Duration;

pub use self::events::{Event, EventKind, TicketOptions, WaiterOptions};
use self::tickets::{Shared, Ticket, TicketState};
use self::turns::Turns;
use super::{HyperId, Request, Transaction, WaitOptions, request};
use crate::call::Call;
use crate::clock::Instant;
use crate::driver::{Driver, Interests, Work};
use crate::error::{Code, Error, Provider};
use crate::gate::{Gate, Place};
use crate::hyperid::load::Load;
use crate::hyperid::policy::Settings;
use crate::hyperid::wait::{DEFAULT_TIMEOUT, WaitEnd, settings};
use crate::hyperid::waiting::{FreshToken, Listener, Waiting};
use crate::secret::Secret;
use crate::sys::{self, Queue, RawDescriptor};
use crate::time::Cancel;

const DEFAULT_CONNECTIONS: u32 = 256;
/// Carries any number of waits and confirms of one client.
///
/// All but `next` may be called from any thread, and never wait.
pub struct Waiter<'a> {
    client: &'a HyperId,
    shared: Arc<Shared<'a>>,
    turns: Mutex<Turns<'a>>,
    generation: u32,
}

impl fmt::Debug for Waiter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").finish_non_exhaustive()
    }
}

impl<'a> Waiter<'a> {
    /// A waiter for waits of `client`.
    pub fn new(client: &'a HyperId, options: &WaiterOptions) -> Result<Self, Error> {
        let queue = Queue::new().map_err(|e| {
            Error::internal(format!("the system's queue cannot be had: {e}")).with_os_error(e.raw_os_error())
        })?;
        let most = if options.max_connections == 0 { DEFAULT_CONNECTIONS } else { options.max_connections };
        client.http.keep_idle(most as usize);
        let shared = Shared {
            queue,
            gate: Arc::new(Gate::new(most, options.max_requests_per_second)),
            load: Load::default(),
            tickets: Mutex::default(),
            woken: AtomicBool::new(false),
            has_fd: AtomicBool::new(false),
            next_ticket: AtomicU64::new(1),
        };
        Ok(Waiter {
            client,
            shared: Arc::new(shared),
            turns: Mutex::new(Turns::new()),
            generation: sys::fork_generation(),
        })
    }

    /// Adds a confirm. Everything is copied. Returns its ticket, never 0, which `announce` is told
    /// before `next` can see the wait; it must not panic.
    pub fn confirm(
        &self,
        access_token: &str,
        request: &Request<'_>,
        wait: &WaitOptions<'_>,
        options: TicketOptions,
        announce: impl FnOnce(u64),
    ) -> Result<u64, Error> {
        let body = request::start(request).map_err(of_hyperid)?;
        self.add(access_token, Asked::Confirm(body), wait, options, announce).map_err(of_hyperid)
    }

    /// Adds a wait for a transaction that was started before; otherwise as `confirm`.
    pub fn wait(
        &self,
        access_token: &str,
        transaction_id: i64,
        wait: &WaitOptions<'_>,
        options: TicketOptions,
        announce: impl FnOnce(u64),
    ) -> Result<u64, Error> {
        request::check_id(transaction_id).map_err(of_hyperid)?;
        self.add(access_token, Asked::Wait(transaction_id), wait, options, announce).map_err(of_hyperid)
    }

    fn add(
        &self,
        access_token: &str,
        asked: Asked,
        wait: &WaitOptions<'_>,
        options: TicketOptions,
        announce: impl FnOnce(u64),
    ) -> Result<u64, Error> {
        self.check_process()?;
        if wait.on_update.is_some() || wait.access_token_provider.is_some() {
            return Err(Error::argument("a waiter has events in place of callbacks"));
        }
        let token = Secret::header_material("access_token", access_token)?;
        let mut settings = settings(wait)?;
        settings.has_token_provider = options.ask_for_token;
        let start = Instant::now();
        let known = match asked {
            Asked::Confirm(_) => Transaction::default(),
            Asked::Wait(transaction_id) => Transaction { transaction_id, ..Transaction::default() },
        };
        let number = self.shared.next_ticket.fetch_add(1, Ordering::Relaxed);
        let gate = self.shared.gate.clone();
        let ticket = Arc::new(Ticket {
            work: Work {
                ticket: number,
                interests: Interests::default(),
                gate,
                place: Place::default(),
                withdraws: AtomicBool::new(false),
            },
            cancel: Cancel::new(),
            options,
            asks_a_person: matches!(asked, Asked::Confirm(_)),
            start_is_open: AtomicBool::new(false),
            is_runnable: AtomicBool::new(false),
            state: Mutex::new(TicketState { known, ..TicketState::default() }),
        });
        // Known first: whoever learns of the number from `announce` may cancel it at once.
        self.shared.with(|tickets| tickets.known.insert(number, ticket.clone()));
        announce(number);
        self.shared.with(|tickets| {
            if settings.first_poll.is_none() && matches!(asked, Asked::Wait(_)) {
                settings.first_poll = Some(tickets.spread(start, settings.min_interval));
            }
            let (shared, its) = (self.shared.clone(), ticket.clone());
            let task = Box::pin(run(self.client, shared, its, Box::new((settings, token, asked, start))));
            tickets.incoming.push((ticket, task));
        });
        self.shared.queue.signal();
        Ok(number)
    }

    /// Ends a wait: its last event says `Code::Cancelled`, unless a final answer had been read or, where
    /// it is to `withdraw` the transaction, is found. One that has ended is left alone.
    pub fn cancel(&self, ticket: u64, withdraw: bool) -> Result<(), Error> {
        self.check_process()?;
        let Some(ticket) = self.find(ticket)? else { return Ok(()) };
        self.shared.with(|tickets| tickets.cancel(&ticket, withdraw));
        self.shared.queue.signal();
        Ok(())
    }

    /// Ends all waits.
    pub fn cancel_all(&self, withdraw: bool) -> Result<(), Error> {
        self.check_process()?;
        self.shared.with(|tickets| {
            let mut all: Vec<_> = tickets.known.keys().copied().collect();
            // The oldest goes first.
            all.sort_unstable();
            for number in all {
                let Some(ticket) = tickets.known.get(&number).cloned() else { continue };
                tickets.cancel(&ticket, withdraw);
            }
        });
        self.shared.queue.signal();
        Ok(())
    }

    /// Gives a wait another token, for its next exchange; `None`: there is none.
    pub fn give_token(&self, ticket: u64, access_token: Option<&str>) -> Result<(), Error> {
        self.check_process()?;
        let token = access_token.map(|token| Secret::header_material("access_token", token)).transpose();
        let token = token.map_err(of_hyperid)?;
        let Some(ticket) = self.find(ticket)? else { return Ok(()) };
        ticket.with(|state| state.given = Some(token));
        self.shared.with(|tickets| tickets.run(&ticket));
        self.shared.queue.signal();
        Ok(())
    }

    /// Those that were added, and whose end `next` has not yet handed out.
    pub fn count(&self) -> u32 {
        if self.generation != sys::fork_generation() {
            return 0;
        }
        self.shared.with(|tickets| u32::try_from(tickets.known.len()).unwrap_or(u32::MAX))
    }

    /// Ends the `next` under way, else the next one to begin. Any thread, a signal handler too.
    pub fn wake(&self) {
        if self.generation == sys::known_generation() {
            self.shared.woken.store(true, Ordering::SeqCst);
            self.shared.queue.signal();
        }
    }

    /// A descriptor that is readable when `next` has work; for a poll(2) or queue of the program's own.
    pub fn fd(&self) -> Option<RawDescriptor> {
        if self.generation != sys::fork_generation() {
            return None;
        }
        if !self.shared.has_fd.swap(true, Ordering::SeqCst) {
            // From the next `next` on it tells what there is; until then, that somebody should call it.
            self.shared.queue.signal();
        }
        self.shared.queue.fd()
    }

    /// Drives all waits until there is an event, `timeout` has passed or somebody woke it: then `None`.
    pub fn next(&self, timeout: Duration) -> Result<Option<Event>, Error> {
        self.check_process()?;
        let mut turns = match self.turns.try_lock() {
            Ok(turns) => turns,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(of_hyperid(Error::new(Code::Busy, "another thread is taking its events")));
            }
        };
        if let Some(event) = self.take_event() {
            // The descriptor stays as it was left: readable.
            return Ok(Some(event));
        }
        let until = sys::instant_after(Instant::now(), timeout);
        let event = loop {
            turns.turn(&self.shared);
            if let Some(event) = self.take_event() {
                break Some(event);
            }
            if self.shared.woken.swap(false, Ordering::SeqCst) || Instant::now() >= until {
                break None;
            }
            if turns.is_idle() {
                turns.sleep(&self.shared, until);
            }
        };
        turns.leave(&self.shared);
        Ok(event)
    }

    fn take_event(&self) -> Option<Event> {
        // An event uses a wake up.
        self.shared.take_event().inspect(|_| self.shared.woken.store(false, Ordering::SeqCst))
    }

    fn find(&self, ticket: u64) -> Result<Option<Arc<Ticket>>, Error> {
        if ticket == 0 || ticket >= self.shared.next_ticket.load(Ordering::Relaxed) {
            return Err(of_hyperid(Error::argument(format!("ticket {ticket} was never given out"))));
        }
        Ok(self.shared.with(|tickets| tickets.known.get(&ticket).cloned()))
    }

    fn check_process(&self) -> Result<(), Error> {
        if self.generation == sys::fork_generation() {
            return Ok(());
        }
        Err(of_hyperid(Error::new(Code::Forked, "the waiter belongs to the process that forked this one")))
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if self.generation != sys::fork_generation() {
            // A lock that another thread held while forking stays locked in the child.
            let turns = self.turns.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(std::mem::replace(turns, Turns::new()));
            std::mem::forget(self.shared.clone());
            return;
        }
        // Tasks hold on to `shared`, which holds those that have not begun.
        let incoming = self.shared.with(|tickets| std::mem::take(&mut tickets.incoming));
        drop(incoming);
    }
}

fn of_hyperid(error: Error) -> Error {
    Error { provider: Provider::HyperId, ..error }
}

/// What a wait is for.
enum Asked {
    /// Start's body.
    Confirm(Vec<u8>),
    Wait(i64),
}

/// A wait from its add to its end. What it begins with comes in a box, since a future keeps a place for
/// what it was given.
async fn run<'a>(
    client: &'a HyperId,
    shared: Arc<Shared<'a>>,
    ticket: Arc<Ticket>,
    begin: Box<(Settings, Secret, Asked, Instant)>,
) -> WaitEnd {
    let (settings, token, asked, start) = *begin;
    let timeout = ticket.options.timeout.unwrap_or(DEFAULT_TIMEOUT);
    let driver = Driver::Queued(&ticket.work);
    let call = Call::queued(&client.http, Provider::HyperId, (start, timeout), &ticket.cancel, driver);
    let listener = Events { shared: &shared, ticket: &ticket };
    let mut waiting = Waiting::new(client, call, settings, listener, token);
    match asked {
        Asked::Confirm(body) => waiting.confirm(body).await,
        Asked::Wait(id) => waiting.wait(id).await,
    }
}

/// Tells a wait's progress by events.
struct Events<'t, 'a> {
    shared: &'t Shared<'a>,
    ticket: &'t Ticket,
}

impl Listener for Events<'_, '_> {
    fn update(&mut self, so_far: &Transaction, is_final: bool) -> ControlFlow<()> {
        let is_started = so_far.polls == 0 && self.ticket.asks_a_person;
        if is_started {
            self.shared.post(self.ticket, |state| {
                state.known = *so_far;
                state.has_started = true;
            });
        } else if self.ticket.options.report_updates && !is_final {
            self.shared.post(self.ticket, |state| state.update = Some(Box::new(*so_far)));
        }
        ControlFlow::Continue(())
    }

    fn held_until(&self, token: &Secret) -> Option<Instant> {
        self.shared.load.held_until(token, Instant::now())
    }

    fn polled(&mut self, token: &Secret, error: Option<&Error>) {
        self.shared.load.polled(token, error, Instant::now());
    }

    fn start_is_open(&mut self, is_open: bool) {
        self.ticket.start_is_open.store(is_open, Ordering::Relaxed);
    }

    fn given_token(&mut self) -> Option<Secret> {
        self.ticket.with(|state| {
            // The word that there is none waits for a refusal.
            let token = state.given.take_if(|given| given.is_some());
            token.flatten()
        })
    }

    async fn fresh_token(&mut self, so_far: &Transaction, refusal: &Error, until: Instant) -> FreshToken {
        if !self.ticket.options.ask_for_token {
            return FreshToken::Withheld;
        }
        match self.ticket.with(|state| state.given.take()) {
            Some(Some(token)) => return FreshToken::Given(token),
            Some(None) => return FreshToken::Withheld,
            None => {}
        }
        let refused = Box::new((*so_far, refusal.clone()));
        self.shared.post(self.ticket, |state| state.token_refused = Some(refused));
        let interests = &self.ticket.work.interests;
        interests.note(&[], until);
        let given = poll_fn(|_| match self.ticket.with(|state| state.given.take()) {
            Some(Some(token)) => Poll::Ready(FreshToken::Given(token)),
            Some(None) => Poll::Ready(FreshToken::Withheld),
            None if self.ticket.cancel.is_triggered() || Instant::now() >= until => {
                Poll::Ready(FreshToken::TooLate)
            }
            None => Poll::Pending,
        })
        .await;
        interests.clear();
        // Answered, or too late to answer.
        self.ticket.with(|state| state.token_refused = None);
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::ClientOptions;

    #[test]
    fn a_wait_is_small() {
        let client = HyperId::new(&ClientOptions::new()).unwrap();
        let waiter = Waiter::new(&client, &WaiterOptions::new()).unwrap();
        let ticket = waiter.wait("t", 3, &WaitOptions::new(), TicketOptions::new(), |_| {}).unwrap();
        waiter.shared.with(|tickets| {
            let (_, task) = &tickets.incoming[0];
            assert!(size_of_val(&**task) <= 1_088, "{} bytes", size_of_val(&**task));
            let ticket = &tickets.known[&ticket];
            assert!(size_of_val(&**ticket) <= 384, "{} bytes", size_of_val(&**ticket));
        });
    }
}
