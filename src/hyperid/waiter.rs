//! How many waits go: one thread drives them all.
//!
//! Each wait is the same work as a blocking call's (`waiting.rs`), with a driver that notes what it waits
//! for. `Waiter::next` polls what has become ready, by the system's queue, by the clock, or because
//! another thread asked for it, and hands out events. Nothing happens unless somebody calls it.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::{HyperId, Request, Transaction, WaitOptions, request};
use crate::call::Call;
use crate::driver::{Driver, Interests, Work};
use crate::error::{Code, Error, Provider};
use crate::gate::Gate;
use crate::hyperid::load::Load;
use crate::hyperid::policy::Settings;
use crate::hyperid::wait::{DEFAULT_TIMEOUT, WaitEnd, settings};
use crate::hyperid::waiting::{FreshToken, Listener, Waiting};
use crate::secret::Secret;
use crate::sys::{self, Queue};
use crate::time::Cancel;

/// How long one turn works before it looks at the system again.
const TURN: Duration = Duration::from_millis(5);
/// How often what the system's queue cannot watch is looked at.
const UNWATCHED: Duration = Duration::from_millis(20);
/// So many ready descriptors in one look may not be all.
const MANY: usize = 200;
const DEFAULT_CONNECTIONS: u32 = 256;
/// Waits that are added together are spread over this for each of them, within their minimum interval.
const SPREAD: Duration = Duration::from_millis(1);

/// How a waiter works: `WaiterOptions::new()`, and a setter for each field.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
#[must_use = "options do nothing until they are given to a waiter"]
pub struct WaiterOptions {
    /// Connections open at once; 0: 256.
    pub max_connections: u32,
    /// Requests of all waits together in a second; 0: no limit.
    pub max_requests_per_second: u32,
}

impl WaiterOptions {
    /// The defaults.
    pub fn new() -> Self {
        WaiterOptions::default()
    }

    /// Sets [`max_connections`](field@Self::max_connections).
    pub fn max_connections(mut self, max_connections: u32) -> Self {
        self.max_connections = max_connections;
        self
    }

    /// Sets [`max_requests_per_second`](field@Self::max_requests_per_second).
    pub fn max_requests_per_second(mut self, max_requests_per_second: u32) -> Self {
        self.max_requests_per_second = max_requests_per_second;
        self
    }
}

/// What is wanted of one wait, besides its options: `TicketOptions::new()`, and a setter for each field.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
#[must_use = "options do nothing until they are given to a waiter"]
pub struct TicketOptions {
    /// The deadline, from the add; `None`: 120 s.
    pub timeout: Option<Duration>,
    /// Events of the kind `Update`.
    pub report_updates: bool,
    /// An event of the kind `TokenRefused` when the token is refused; else that ends the wait.
    pub ask_for_token: bool,
    /// Handed back with each event.
    pub user_data: usize,
}

impl TicketOptions {
    /// The defaults.
    pub fn new() -> Self {
        TicketOptions::default()
    }

    /// Sets [`timeout`](field@Self::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets [`report_updates`](field@Self::report_updates).
    pub fn report_updates(mut self, report_updates: bool) -> Self {
        self.report_updates = report_updates;
        self
    }

    /// Sets [`ask_for_token`](field@Self::ask_for_token).
    pub fn ask_for_token(mut self, ask_for_token: bool) -> Self {
        self.ask_for_token = ask_for_token;
        self
    }

    /// Sets [`user_data`](field@Self::user_data).
    pub fn user_data(mut self, user_data: usize) -> Self {
        self.user_data = user_data;
        self
    }
}

/// Something that a program should know of one of its waits.
#[derive(Debug)]
#[non_exhaustive]
pub struct Event {
    /// Which wait.
    pub ticket: u64,
    /// As given with the wait.
    pub user_data: usize,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a wait.
#[derive(Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// The transaction was started; its id should be saved.
    Started(Transaction),
    /// The state was asked for.
    Update(Transaction),
    /// The token was refused with this; the wait stands still until it gets another.
    TokenRefused(Transaction, Error),
    /// The wait has ended, as the blocking call would have returned.
    Ended(WaitEnd),
}

/// Carries any number of waits and confirms of one client.
///
/// All but `next` may be called from any thread, and never wait.
pub struct Waiter<'a> {
    client: &'a HyperId,
    shared: Arc<Shared<'a>>,
    core: Mutex<Core<'a>>,
    generation: u32,
}

impl fmt::Debug for Waiter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").finish_non_exhaustive()
    }
}

type Task<'a> = Pin<Box<dyn Future<Output = WaitEnd> + Send + 'a>>;

/// What every thread may touch.
struct Shared<'a> {
    queue: Queue,
    gate: Arc<Gate>,
    load: Load,
    tickets: Mutex<Tickets<'a>>,
    /// Somebody wants `next` to return.
    woken: AtomicBool,
    next_ticket: AtomicU64,
}

#[derive(Default)]
struct Tickets<'a> {
    known: HashMap<u64, Arc<Ticket>>,
    /// Added, and not yet seen by `next`.
    incoming: Vec<(Arc<Ticket>, Task<'a>)>,
    /// To be looked at again, because another thread wants something of them.
    runnable: Vec<u64>,
    /// Those with a STARTED, which goes first.
    started: VecDeque<u64>,
    /// Those with another event.
    eventful: VecDeque<u64>,
    /// When the last waits were added, to spread those that come together.
    burst: Option<(Instant, u32)>,
}

/// One wait, as seen from outside.
struct Ticket {
    work: Work,
    user_data: usize,
    cancel: Cancel,
    options: TicketOptions,
    asks_a_person: bool,
    /// A panic now would leave the outcome of a start unknown.
    start_is_open: AtomicBool,
    /// It stands among the runnable.
    is_runnable: AtomicBool,
    state: Mutex<TicketState>,
}

#[derive(Default)]
struct TicketState {
    /// A token that was given, or the word that there is none.
    given: Option<Option<Secret>>,
    started: Option<Transaction>,
    update: Option<Transaction>,
    token_refused: Option<(Transaction, Error)>,
    ended: Option<WaitEnd>,
    /// It stands among the eventful.
    is_queued: bool,
    /// What a panic leaves of the transaction.
    known: Transaction,
}

/// What the thread in `next` alone touches.
#[derive(Default)]
struct Core<'a> {
    tasks: HashMap<u64, Running<'a>>,
    /// Which waits want which descriptor.
    by_fd: HashMap<RawFd, Vec<u64>>,
    timers: BTreeSet<(Instant, u64)>,
    /// To be looked at.
    due: VecDeque<u64>,
    ready: Vec<RawFd>,
    /// What the queue's own timer is set to.
    alarm: Option<Instant>,
}

struct Running<'a> {
    ticket: Arc<Ticket>,
    task: Task<'a>,
    fds: Vec<RawFd>,
    timer: Option<Instant>,
    is_due: bool,
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
            next_ticket: AtomicU64::new(1),
        };
        Ok(Waiter {
            client,
            shared: Arc::new(shared),
            core: Mutex::default(),
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
        request::transaction_id(transaction_id).map_err(of_hyperid)?;
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
                withdraws: AtomicBool::new(false),
            },
            user_data: options.user_data,
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
            let task = Box::pin(run(self.client, shared, its, settings, token, asked, start));
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
            let all: Vec<_> = tickets.known.values().cloned().collect();
            all.iter().for_each(|ticket| tickets.cancel(ticket, withdraw));
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
    pub fn fd(&self) -> Option<RawFd> {
        if self.generation == sys::fork_generation() { self.shared.queue.fd() } else { None }
    }

    /// Drives all waits until there is an event, `timeout` has passed or somebody woke it: then `None`.
    pub fn next(&self, timeout: Duration) -> Result<Option<Event>, Error> {
        self.check_process()?;
        let mut core = match self.core.try_lock() {
            Ok(core) => core,
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
            core.turn(&self.shared);
            if let Some(event) = self.take_event() {
                break Some(event);
            }
            if self.shared.woken.swap(false, Ordering::SeqCst) || Instant::now() >= until {
                break None;
            }
            if core.due.is_empty() {
                core.sleep(&self.shared, until);
            }
        };
        core.leave(&self.shared);
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
            let core = std::mem::take(self.core.get_mut().unwrap_or_else(PoisonError::into_inner));
            std::mem::forget(core);
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

async fn run<'a>(
    client: &'a HyperId,
    shared: Arc<Shared<'a>>,
    ticket: Arc<Ticket>,
    settings: Settings,
    token: Secret,
    asked: Asked,
    start: Instant,
) -> WaitEnd {
    let timeout = ticket.options.timeout.unwrap_or(DEFAULT_TIMEOUT);
    let driver = Driver::Queued(&ticket.work);
    let call = Call::queued(&client.http, Provider::HyperId, (start, timeout), &ticket.cancel, driver);
    let listener = Events { shared: &shared, ticket: &ticket };
    let mut waiting = Waiting::new(client, call, settings, listener, token);
    match asked {
        Asked::Confirm(body) => waiting.confirm(&body).await,
        Asked::Wait(id) => {
            let mut end = waiting.wait(id).await;
            end.transaction.transaction_id = id;
            end
        }
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
                state.started = Some(*so_far);
            });
        } else if self.ticket.options.report_updates && !is_final {
            self.shared.post(self.ticket, |state| state.update = Some(*so_far));
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
        let (so_far, refusal) = (*so_far, refusal.clone());
        self.shared.post(self.ticket, |state| state.token_refused = Some((so_far, refusal)));
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

impl Ticket {
    fn with<T>(&self, use_it: impl FnOnce(&mut TicketState) -> T) -> T {
        use_it(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Ticket {
    fn panicked(&self) -> WaitEnd {
        let error = Error::internal("a wait panicked; this is a defect in libmfa");
        let outcome_unknown = self.start_is_open.load(Ordering::Relaxed);
        let error = Error { outcome_unknown, ..of_hyperid(error) };
        WaitEnd { transaction: self.with(|state| state.known), result: Err(error) }
    }
}

impl TicketState {
    /// Whether there is an event besides STARTED.
    fn has_more(&self) -> bool {
        self.update.is_some() || self.token_refused.is_some() || self.ended.is_some()
    }

    /// The next besides STARTED: the end comes last.
    fn take(&mut self) -> Option<EventKind> {
        if let Some(update) = self.update.take() {
            return Some(EventKind::Update(update));
        }
        if let Some((so_far, refusal)) = self.token_refused.take() {
            return Some(EventKind::TokenRefused(so_far, refusal));
        }
        self.ended.take().map(EventKind::Ended)
    }
}

impl<'a> Shared<'a> {
    fn with<T>(&self, use_them: impl FnOnce(&mut Tickets<'a>) -> T) -> T {
        use_them(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Tickets<'a>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, ticket: &Ticket, change: impl FnOnce(&mut TicketState)) {
        self.with(|tickets| {
            let number = ticket.work.ticket;
            ticket.with(|state| {
                let had_started = state.started.is_some();
                change(state);
                if state.started.is_some() && !had_started {
                    tickets.started.push_back(number);
                }
                if state.has_more() && !std::mem::replace(&mut state.is_queued, true) {
                    tickets.eventful.push_back(number);
                }
            });
        });
    }

    /// Each ticket's STARTED before all else, which so is before what else there is of that ticket.
    fn take_event(&self) -> Option<Event> {
        self.with(|tickets| {
            let event = |ticket: &Ticket, kind| Event {
                ticket: ticket.work.ticket,
                user_data: ticket.user_data,
                kind,
            };
            while let Some(number) = tickets.started.pop_front() {
                let Some(ticket) = tickets.known.get(&number) else { continue };
                if let Some(started) = ticket.with(|state| state.started.take()) {
                    return Some(event(ticket, EventKind::Started(started)));
                }
            }
            while let Some(number) = tickets.eventful.pop_front() {
                let Some(ticket) = tickets.known.get(&number).cloned() else { continue };
                let kind = ticket.with(|state| {
                    let kind = state.take();
                    state.is_queued = state.has_more();
                    if state.is_queued {
                        tickets.eventful.push_back(number);
                    }
                    kind
                });
                let Some(kind) = kind else { continue };
                if matches!(kind, EventKind::Ended(_)) {
                    tickets.known.remove(&number);
                }
                return Some(event(&ticket, kind));
            }
            None
        })
    }
}

impl Tickets<'_> {
    fn cancel(&mut self, ticket: &Ticket, withdraw: bool) {
        if withdraw {
            ticket.work.withdraws.store(true, Ordering::SeqCst);
        }
        ticket.cancel.trigger();
        self.run(ticket);
    }

    /// Has `next` look at it again.
    fn run(&mut self, ticket: &Ticket) {
        if !ticket.is_runnable.swap(true, Ordering::SeqCst) {
            self.runnable.push(ticket.work.ticket);
        }
    }

    /// How long a wait that is added now should hold back, so that many do not poll in one instant.
    fn spread(&mut self, now: Instant, most: Duration) -> Duration {
        let (since, count) = self.burst.unwrap_or((now, 0));
        let is_new = now.duration_since(since) > Duration::from_secs(1);
        let (since, count) = if is_new { (now, 0) } else { (since, count) };
        self.burst = Some((since, count.saturating_add(1)));
        // Round and round: those beyond the most do not come together at its end.
        let most = most.as_nanos().max(1);
        Duration::from_nanos(((SPREAD.as_nanos() * u128::from(count)) % most) as u64)
    }
}

impl<'a> Core<'a> {
    /// Looks at everything that may go on, for a while.
    fn turn(&mut self, shared: &Shared<'a>) {
        let end = Instant::now() + TURN;
        self.gather(shared);
        while let Some(number) = self.due.pop_front() {
            self.poll(shared, number);
            if Instant::now() >= end {
                break;
            }
        }
        let mut awake = Vec::new();
        shared.gate.take_awake(&mut awake);
        awake.into_iter().for_each(|number| self.mark_due(number));
    }

    fn gather(&mut self, shared: &Shared<'a>) {
        shared.queue.clear_signal();
        let (incoming, mut runnable) = shared.with(|tickets| {
            let runnable = std::mem::take(&mut tickets.runnable);
            for ticket in runnable.iter().filter_map(|number| tickets.known.get(number)) {
                ticket.is_runnable.store(false, Ordering::SeqCst);
            }
            (std::mem::take(&mut tickets.incoming), runnable)
        });
        for (ticket, task) in incoming {
            let number = ticket.work.ticket;
            let running = Running { ticket, task, fds: Vec::new(), timer: None, is_due: false };
            self.tasks.insert(number, running);
            runnable.push(number);
        }
        shared.gate.take_awake(&mut runnable);
        runnable.into_iter().for_each(|number| self.mark_due(number));
        // What the network has brought goes before the clock: all of it.
        while shared.queue.wait(&mut self.ready, Instant::now()).is_ok() && self.take_ready() >= MANY {}
        let now = Instant::now();
        while let Some((_, number)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.pop_first();
            if let Some(running) = self.tasks.get_mut(&number) {
                running.timer = None;
            }
            self.mark_due(number);
        }
    }

    /// Returns how many descriptors are ready.
    fn take_ready(&mut self) -> usize {
        let ready = std::mem::take(&mut self.ready);
        for fd in &ready {
            let fd = *fd;
            for number in self.by_fd.get(&fd).cloned().unwrap_or_default() {
                let is_wanted = self
                    .tasks
                    .get(&number)
                    .is_some_and(|running| running.ticket.work.interests.set_ready(fd));
                if is_wanted {
                    self.mark_due(number);
                }
            }
        }
        ready.len()
    }

    fn mark_due(&mut self, number: u64) {
        let Some(running) = self.tasks.get_mut(&number) else { return };
        if !std::mem::replace(&mut running.is_due, true) {
            self.due.push_back(number);
        }
    }

    fn poll(&mut self, shared: &Shared<'a>, number: u64) {
        let Some(running) = self.tasks.get_mut(&number) else { return };
        running.is_due = false;
        let mut context = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| running.task.as_mut().poll(&mut context)));
        let end = match polled {
            Ok(Poll::Pending) => return self.watch(shared, number),
            Ok(Poll::Ready(end)) => end,
            Err(_) => running.ticket.panicked(),
        };
        self.remove(number);
        // Where a panic left it in the queue, it would hold up all behind it.
        shared.gate.leave_queue(number);
        if let Some(ticket) = shared.with(|tickets| tickets.known.get(&number).cloned()) {
            shared.post(&ticket, |state| state.ended = Some(end));
        }
    }

    /// Sees to it that the wait is looked at again when what it waits for is there.
    fn watch(&mut self, shared: &Shared<'a>, number: u64) {
        let Some(running) = self.tasks.get_mut(&number) else { return };
        let Some(wanted) = running.ticket.work.interests.wanted() else { return };
        let mut until = wanted.until;
        let fds: Vec<RawFd> = wanted.fds().iter().map(|(fd, _)| *fd).collect();
        for gone in running.fds.iter().filter(|fd| !fds.contains(fd)) {
            forget(&mut self.by_fd, *gone, number);
        }
        for (fd, interest) in wanted.fds() {
            let waiting = self.by_fd.entry(*fd).or_default();
            if !waiting.contains(&number) {
                waiting.push(number);
            }
            if shared.queue.watch(*fd, *interest).is_err() {
                // The system cannot watch any more: looked at by the clock, then.
                running.ticket.work.interests.set_ready(*fd);
                until = until.min(Instant::now() + UNWATCHED);
            }
        }
        running.fds = fds;
        if running.timer != Some(until) {
            if let Some(timer) = running.timer.replace(until) {
                self.timers.remove(&(timer, number));
            }
            self.timers.insert((until, number));
        }
    }

    fn remove(&mut self, number: u64) {
        let Some(running) = self.tasks.remove(&number) else { return };
        if let Some(timer) = running.timer {
            self.timers.remove(&(timer, number));
        }
        running.fds.iter().for_each(|fd| forget(&mut self.by_fd, *fd, number));
    }

    fn sleep(&mut self, shared: &Shared<'a>, until: Instant) {
        let next = self.timers.first().map_or(until, |(at, _)| until.min(*at));
        // Once it has come, it would end every sleep at once.
        self.set_alarm(shared, None);
        match shared.queue.wait(&mut self.ready, next) {
            Ok(()) => {
                self.take_ready();
            }
            // Somebody closed its descriptor, or there is no memory: without it, time goes on alone.
            Err(_) => std::thread::sleep(UNWATCHED.min(next.saturating_duration_since(Instant::now()))),
        }
    }

    fn set_alarm(&mut self, shared: &Shared<'a>, at: Option<Instant>) {
        if self.alarm != at {
            shared.queue.set_timer(at);
            self.alarm = at;
        }
    }

    /// The descriptor tells whether `next` would have something to do.
    fn leave(&mut self, shared: &Shared<'a>) {
        self.set_alarm(shared, self.timers.first().map(|(at, _)| *at));
        let has_more = shared.with(|tickets| {
            !tickets.started.is_empty()
                || !tickets.eventful.is_empty()
                || !tickets.incoming.is_empty()
                || !tickets.runnable.is_empty()
        });
        if has_more || !self.due.is_empty() {
            shared.queue.signal();
        }
    }
}

fn forget(by_fd: &mut HashMap<RawFd, Vec<u64>>, fd: RawFd, number: u64) {
    let Some(waiting) = by_fd.get_mut(&fd) else { return };
    waiting.retain(|other| *other != number);
    if waiting.is_empty() {
        by_fd.remove(&fd);
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
            assert!(size_of_val(&**task) <= 2_048, "{} bytes", size_of_val(&**task));
            let ticket = &tickets.known[&ticket];
            assert!(size_of_val(&**ticket) <= 2_048, "{} bytes", size_of_val(&**ticket));
        });
    }

    #[test]
    fn those_that_are_added_together_are_spread() {
        let mut tickets = Tickets::default();
        let (now, most) = (Instant::now(), Duration::from_secs(1));
        let mut at_once = HashMap::<_, u32>::new();
        for _ in 0..10_000 {
            let delay = tickets.spread(now, most);
            assert!(delay < most);
            *at_once.entry(delay).or_default() += 1;
        }
        assert!(at_once.values().all(|count| *count <= 10));
        assert_eq!(tickets.spread(now + 2 * most, most), Duration::ZERO, "alone");
    }
}
