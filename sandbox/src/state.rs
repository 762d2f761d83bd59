//! Everything the sandbox remembers, behind one lock and one condition variable.
//!
//! Time passes lazily: a transaction that is due ends when somebody looks. Those who wait sleep
//! until the next one is due, so nothing polls.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::behaviour::{Behaviour, BehaviourError, Ending};
use crate::endpoint::Endpoint;
use crate::exchanger::Exchanger;
use crate::journal::{Journal, LoggedRequest};
use crate::jwt;
use crate::token::{Access, Caller, Person, Token, User};
use crate::transaction::{DecideError, Decision, Record, StartParameters, Status, Transaction};

/// A brand that exists from the start and has MFA.
pub const BRAND_WITH_MFA: &str = "demo-brand";
/// A brand that exists from the start and has no MFA (code 1513).
pub const BRAND_WITHOUT_MFA: &str = "no-mfa-brand";

/// More than these, and the oldest is forgotten.
const MOST_TRANSACTIONS: usize = 10_000;
/// A client that makes up tokens cannot fill the memory.
const MOST_TOKENS: usize = 10_000;

pub(crate) struct State {
    inner: Mutex<Inner>,
    changed: Condvar,
    life: Duration,
    /// Whose the tokens are that nobody has issued; `None`: nobody's.
    any_token: Option<String>,
}

pub(crate) struct Inner {
    pub(crate) journal: Journal,
    pub(crate) transactions: BTreeMap<i64, Record>,
    pub(crate) exchanger: Exchanger,
    /// Rises whenever the phone page has something new to show.
    pub(crate) version: u64,
    pub(crate) stopping: bool,
    people: HashMap<String, Person>,
    tokens: HashMap<String, Token>,
    brands: HashMap<String, bool>,
    /// The keys of [`Inner::fingerprint`], other ones in every run.
    fingerprint_keys: RandomState,
    next_id: i64,
    pushes: u64,
    /// When each transaction ends by itself, the next first. It may have ended otherwise by then.
    due: BinaryHeap<Reverse<(Instant, i64)>>,
}

/// Why a press on the page decided nothing.
pub(crate) enum PressError {
    /// The page showed something else under this id.
    NotAsShown,
    Decide(DecideError),
}

/// The largest first id: 2 to the 62nd leaves room for those that follow.
pub const LARGEST_FIRST_ID: i64 = 1 << 62;

/// Why ids cannot begin at a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstIdError {
    /// It is not 1 to [`LARGEST_FIRST_ID`].
    OutOfRange,
    /// A transaction has this id, or a larger one: two would be mixed up.
    Taken,
}

impl fmt::Display for FirstIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FirstIdError::OutOfRange => write!(f, "the first id must be 1 to {LARGEST_FIRST_ID}"),
            FirstIdError::Taken => f.write_str("a transaction has this id, or a larger one: reset first"),
        }
    }
}

impl std::error::Error for FirstIdError {}

impl FirstIdError {
    /// Refuses what is out of range.
    pub(crate) fn check(id: i64) -> Result<i64, FirstIdError> {
        if (1..=LARGEST_FIRST_ID).contains(&id) { Ok(id) } else { Err(FirstIdError::OutOfRange) }
    }
}

/// What came of a cancel.
pub(crate) enum Cancelled {
    Done,
    NotFound,
    Ended(Status),
}

impl State {
    pub(crate) fn new(life: Duration, first_id: i64, any_token: Option<String>) -> State {
        State { inner: Mutex::new(Inner::new(first_id)), changed: Condvar::new(), life, any_token }
    }

    /// Forgets everything: people, tokens, brands, transactions, requests. The ids go on, or begin at `first_id`.
    pub(crate) fn reset(&self, first_id: Option<i64>) -> Result<(), FirstIdError> {
        let first_id = first_id.map(FirstIdError::check).transpose()?;
        let mut inner = self.lock();
        // The keys of the marks are new, too: a card of before names nothing that comes after.
        let mut fresh = Inner::new(first_id.unwrap_or(inner.next_id));
        fresh.version = inner.version;
        fresh.stopping = inner.stopping;
        fresh.journal.connections = inner.journal.connections;
        *inner = fresh;
        self.notify(inner);
        Ok(())
    }

    /// The next transaction gets this id.
    pub(crate) fn set_first_id(&self, id: i64) -> Result<(), FirstIdError> {
        FirstIdError::check(id)?;
        let mut inner = self.lock();
        if inner.transactions.last_key_value().is_some_and(|(last, _)| *last >= id) {
            return Err(FirstIdError::Taken);
        }
        inner.next_id = id;
        Ok(())
    }

    /// Waits for a pending transaction that was not returned before, and returns the newest.
    pub(crate) fn next_transaction(&self, timeout: Duration) -> Option<Transaction> {
        self.wait(timeout, |inner| {
            let mut newest = inner.transactions.values_mut().rev();
            let record = newest.find(|record| record.pending() && !record.reported)?;
            record.reported = true;
            Some(record.snapshot(Instant::now()))
        })
    }

    /// Waits until so many requests have arrived; false if they have not in time.
    pub(crate) fn wait_for_requests(&self, path: Option<&str>, count: u64, timeout: Duration) -> bool {
        self.wait(timeout, |inner| (inner.journal.count(path) >= count).then_some(())).is_some()
    }

    /// The state, in which everything has happened that is due.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // A test that panicked while it looked must not take the server with it.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.apply_due();
        inner
    }

    /// Looks until there is something to see, the time is over, or the sandbox stops.
    pub(crate) fn wait<T>(
        &self,
        timeout: Duration,
        mut look: impl FnMut(&mut Inner) -> Option<T>,
    ) -> Option<T> {
        let begin = Instant::now();
        let mut inner = self.lock();
        loop {
            if let Some(seen) = look(&mut inner) {
                return Some(seen);
            }
            let left = timeout.saturating_sub(begin.elapsed());
            if left.is_zero() || inner.stopping {
                return None;
            }
            let nap = inner.next_due().map_or(left, |due| due.min(left));
            let woken = self.changed.wait_timeout(inner, nap.max(Duration::from_millis(1)));
            inner = woken.unwrap_or_else(PoisonError::into_inner).0;
            inner.apply_due();
        }
    }

    /// Sleeps, but not beyond the sandbox's end; false if it has come.
    pub(crate) fn sleep(&self, time: Duration) -> bool {
        self.wait(time, |inner| inner.stopping.then_some(())).is_none()
    }

    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_all();
    }

    pub(crate) fn add_user(&self, name: &str, user: User) -> Result<(), BehaviourError> {
        let person = Person::added(user)?;
        self.lock().people.insert(name.to_owned(), person);
        Ok(())
    }

    pub(crate) fn add_brand(&self, name: &str, mfa: bool) {
        self.lock().brands.insert(name.to_owned(), mfa);
    }

    pub(crate) fn brand(&self, name: &str) -> Option<bool> {
        self.lock().brands.get(name).copied()
    }

    pub(crate) fn issue_token(&self, token: &str, user: &str, access: Access) {
        self.lock().issue(token, user, access);
    }

    pub(crate) fn add_token(&self, token: &str, spec: &str) -> Result<(), BehaviourError> {
        let behaviour = Behaviour::parse(spec)?;
        self.lock().add_magic(token, behaviour);
        Ok(())
    }

    /// Revokes or expires a token, a magic one too; false if there is none.
    pub(crate) fn invalidate_token(&self, token: &str, change: impl FnOnce(&mut Token)) -> bool {
        let mut inner = self.lock();
        self.recognize(&mut inner, token);
        inner.tokens.get_mut(token).map(change).is_some()
    }

    /// Who calls with this token, and what is to happen.
    pub(crate) fn authenticate(&self, token: &str, endpoint: Endpoint) -> Caller {
        let mut inner = self.lock();
        self.recognize(&mut inner, token);
        let Inner { tokens, people, .. } = &mut *inner;
        let Some(known) = tokens.get_mut(token) else {
            return Caller::unknown(why_unknown(token));
        };
        match people.get(&known.person) {
            Some(person) => known.resolve(person, endpoint),
            None => Caller::unknown("the token is nobody's"),
        }
    }

    /// Makes a token known that nobody has issued, if it is a magic one, or if any is somebody's.
    fn recognize(&self, inner: &mut Inner, token: &str) {
        if inner.tokens.contains_key(token) || inner.tokens.len() >= MOST_TOKENS {
            return;
        }
        match (Behaviour::of_token(token), &self.any_token) {
            (Some(Ok(behaviour)), _) => inner.add_magic(token, behaviour),
            // A misspelt one stays invalid, whoever may have any other.
            (Some(Err(_)), _) | (None, None) => {}
            (None, Some(person)) => inner.adopt(token, person),
        }
    }

    pub(crate) fn start(&self, caller: &Caller, parameters: StartParameters) -> i64 {
        let mut inner = self.lock();
        let id = inner.next_id;
        inner.next_id += 1;
        inner.pushes += 1;
        let record = Record::new(id, caller.person.clone(), parameters, caller.plan, self.life);
        if inner.transactions.len() >= MOST_TRANSACTIONS {
            inner.transactions.pop_first();
        }
        inner.due.extend(record.due_at().map(|at| Reverse((at, id))));
        inner.transactions.insert(id, record);
        self.notify(inner);
        id
    }

    /// A poll by the person's program: counted, and only for the person's own transaction.
    pub(crate) fn poll(&self, caller: &Caller, id: i64) -> Option<(Status, i32)> {
        let mut inner = self.lock();
        let record = inner.own(caller, id)?;
        record.polls += 1;
        let seen = (record.status, record.complete_result);
        self.changed.notify_all();
        Some(seen)
    }

    pub(crate) fn cancel(&self, caller: &Caller, id: i64) -> Cancelled {
        let mut inner = self.lock();
        let Some(record) = inner.own(caller, id) else {
            return Cancelled::NotFound;
        };
        if !record.pending() {
            return Cancelled::Ended(record.status);
        }
        // Cancelled by the program and declined by the person are one status.
        record.end(Ending::Decline);
        self.notify(inner);
        Cancelled::Done
    }

    /// A decision by somebody who saw the transaction under this mark.
    pub(crate) fn decide_as_shown(&self, id: i64, seen: &str, decision: Decision) -> Result<(), PressError> {
        let inner = self.lock();
        let record = inner.transactions.get(&id).ok_or(PressError::Decide(DecideError::NotFound))?;
        if inner.fingerprint(record) != seen {
            return Err(PressError::NotAsShown);
        }
        // Under the same lock: a reset in between could give the id to another transaction.
        self.end(inner, id, decision).map_err(PressError::Decide)
    }

    pub(crate) fn decide(&self, id: i64, decision: Decision) -> Result<(), DecideError> {
        self.end(self.lock(), id, decision)
    }

    fn end(&self, mut inner: MutexGuard<'_, Inner>, id: i64, decision: Decision) -> Result<(), DecideError> {
        let record = inner.transactions.get_mut(&id).ok_or(DecideError::NotFound)?;
        if !record.pending() {
            return Err(DecideError::Ended(record.status));
        }
        record.end(decision.ending());
        self.notify(inner);
        Ok(())
    }

    pub(crate) fn log(&self, request: LoggedRequest) {
        self.lock().journal.add(request);
        self.changed.notify_all();
    }

    /// Lets those who wait look again.
    pub(crate) fn wake(&self) {
        self.changed.notify_all();
    }

    fn notify(&self, mut inner: MutexGuard<'_, Inner>) {
        inner.version += 1;
        drop(inner);
        self.changed.notify_all();
    }
}

/// For whoever reads the log: what is wrong with a token.
fn why_unknown(token: &str) -> String {
    match Behaviour::of_token(token) {
        Some(Err(why)) => why.to_string(),
        Some(Ok(_)) => format!("there are {MOST_TOKENS} tokens already"),
        None => "no such token: it was not issued, and does not begin with 'sandbox-'".to_owned(),
    }
}

impl Inner {
    fn new(first_id: i64) -> Inner {
        let brands = [(BRAND_WITH_MFA.to_owned(), true), (BRAND_WITHOUT_MFA.to_owned(), false)];
        Inner {
            journal: Journal::default(),
            transactions: BTreeMap::new(),
            exchanger: Exchanger::default(),
            version: 1,
            stopping: false,
            people: HashMap::new(),
            tokens: HashMap::new(),
            brands: HashMap::from(brands),
            fingerprint_keys: RandomState::new(),
            next_id: first_id,
            pushes: 0,
            due: BinaryHeap::new(),
        }
    }

    fn issue(&mut self, token: &str, user: &str, access: Access) {
        if !self.people.contains_key(user) {
            // An added person waits for the page; nothing in a default user can be refused.
            if let Ok(person) = Person::added(User::default()) {
                self.people.insert(user.to_owned(), person);
            }
        }
        self.tokens.insert(token.to_owned(), Token::issued(user.to_owned(), access));
    }

    /// A token from elsewhere: of the person whom it names, if it has such a shape, else of the usual one. Either is
    /// asked on the page.
    fn adopt(&mut self, token: &str, usual: &str) {
        let claims = jwt::read(token).unwrap_or_default();
        let person = claims.person.unwrap_or_else(|| usual.to_owned());
        self.issue(token, &person, Access { lives: claims.lives, ..Access::default() });
    }

    /// The caller's own transaction; another person's does not exist for the caller.
    fn own(&mut self, caller: &Caller, id: i64) -> Option<&mut Record> {
        let record = self.transactions.get_mut(&id)?;
        (record.user == caller.person && record.age() >= caller.hidden).then_some(record)
    }

    /// Stands for everything that the page shows of a transaction.
    pub(crate) fn fingerprint(&self, record: &Record) -> String {
        format!("{:016x}", self.fingerprint_keys.hash_one((record.id, &record.user, &record.parameters)))
    }

    fn apply_due(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, id))) = self.due.peek().copied() {
            if now < at {
                return;
            }
            self.due.pop();
            let ended = self.transactions.get_mut(&id).is_some_and(|record| record.apply_due(now));
            self.version += u64::from(ended);
        }
    }

    fn next_due(&self) -> Option<Duration> {
        let Reverse((at, _)) = self.due.peek()?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    fn add_magic(&mut self, token: &str, behaviour: Behaviour) {
        let person = behaviour.person.unwrap_or_else(|| token.to_owned());
        self.people.entry(person.clone()).or_insert_with(Person::magic);
        let record = Token::new(person, behaviour.parts, Access::default());
        self.tokens.insert(token.to_owned(), record);
    }

    pub(crate) fn pushes(&self) -> u64 {
        self.pushes
    }

    pub(crate) fn snapshots(&self) -> Vec<Transaction> {
        let now = Instant::now();
        self.transactions.values().map(|record| record.snapshot(now)).collect()
    }
}
