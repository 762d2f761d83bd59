//! Random schedules against a scripted provider: faults, refused tokens, cancels and withdrawals, by
//! the blocking calls and by one waiter. Whatever comes together, no approval unless the script
//! approved, each wait ends once and last, and nobody is asked twice.
//!
//! `MFA_SCHEDULES_SEED` sets what all that is random comes from, `MFA_SCHEDULES` how many waits there are.

#[path = "../slipping/chance.rs"]
mod chance;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use self::chance::Chance;
use crate::support::alone::{Census, alone};
use crate::support::{Peer, Reply, Request as Sent, Then, system};
use mfa::{
    CallOptions, Cancel, Code, Decision, EventKind, HyperId, Request, TicketOptions, Transaction, WaitEnd,
    WaitOptions, Waiter, WaiterOptions,
};
use zeroize::Zeroizing;

const CONNECTIONS: u32 = 64;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn seed() -> u64 {
    number("MFA_SCHEDULES_SEED", 1)
}

// ---- The script: what becomes of each person's request. ----

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    Approve,
    Deny,
    Expire,
    Never,
}

#[derive(Debug)]
struct Person {
    chance: Chance,
    ending: Ending,
    at_look: u32,
    looks: u32,
    /// Tokens below this number are refused.
    tokens_from: u64,
    refusals: u32,
    starts: u32,
    starts_refused: u32,
    transaction: Option<i64>,
    /// The decision went out.
    is_told: bool,
    is_cancelled: bool,
}

/// All persons, by number.
type World = Arc<Mutex<Vec<Person>>>;

fn world(seed: u64, plans: &[Plan]) -> World {
    let person = |(number, plan): (usize, &Plan)| {
        let mut chance = Chance::new(seed, number as u64);
        let ending = match chance.below(10) {
            0..5 => Ending::Approve,
            5..7 => Ending::Deny,
            7 => Ending::Expire,
            _ => Ending::Never,
        };
        Person {
            ending,
            at_look: chance.between(1, 5) as u32,
            looks: 0,
            tokens_from: 0,
            refusals: 0,
            starts: 0,
            starts_refused: 0,
            transaction: (!plan.confirms).then_some(id(number, 9)),
            is_told: false,
            is_cancelled: false,
            chance,
        }
    };
    Arc::new(Mutex::new(plans.iter().enumerate().map(person).collect()))
}

fn id(person: usize, start: u32) -> i64 {
    person as i64 * 10 + i64::from(start)
}

/// "p7.2": the second token after the first of person 7.
fn token(person: usize, number: u64) -> String {
    format!("p{person}.{number}")
}

fn serve(world: &World, request: &Sent) -> Reply {
    let bearer = request.header("authorization").unwrap().strip_prefix("Bearer p").unwrap();
    let (number, token) = bearer.split_once('.').unwrap();
    let (number, token): (usize, u64) = (number.parse().unwrap(), token.parse().unwrap());
    let mut world = world.lock().unwrap();
    let person = &mut world[number];
    let path = request.path().rsplit('/').next().unwrap();
    if path == "v2" {
        person.starts += 1;
    }
    if person.chance.one_in(20) {
        person.tokens_from = token + 1;
    }
    if token < person.tokens_from {
        person.refusals += 1;
        person.starts_refused += u32::from(path == "v2");
        return Reply::json(r#"{"result":-4}"#);
    }
    match person.chance.below(14) {
        0 if person.chance.one_in(10) => return Reply::status(429, "{}"),
        0 => return person.trouble(),
        // Carried out, and nobody hears of it.
        1 => {
            person.carry_out(number, path, false);
            return person.trouble();
        }
        _ => {}
    }
    let is_last = person.chance.one_in(12);
    let reply = Reply::json(&person.carry_out(number, path, true));
    if is_last { reply.then(Then::Close) } else { reply }
}

impl Person {
    /// None of it says that nothing was done.
    fn trouble(&mut self) -> Reply {
        match self.chance.below(24) {
            0..5 => Reply::nothing(Then::Close),
            5..10 => Reply::nothing(Then::Reset),
            10..15 => Reply::status(503, "busy"),
            15..18 => Reply::status(500, "{}"),
            18..20 => Reply::status(408, ""),
            20 => Reply::nothing(Then::Silence),
            21 => Reply::json("{\"result\":0"),
            22 => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"result\":0").then(Then::Close),
            _ => Reply::status(200, "<html>"),
        }
    }

    fn carry_out(&mut self, number: usize, path: &str, is_heard: bool) -> String {
        match path {
            "availability-check" => r#"{"result":0,"is_available":true}"#.to_owned(),
            "v2" => {
                assert!(self.transaction.is_none(), "{number} is asked twice");
                let id = *self.transaction.insert(id(number, self.starts));
                format!(r#"{{"result":0,"transaction_id":{id}}}"#)
            }
            "cancel" if self.is_decided() => r#"{"result":-9}"#.to_owned(),
            "cancel" => {
                self.is_cancelled = true;
                r#"{"result":0}"#.to_owned()
            }
            _ => {
                self.looks += 1;
                let status = match self.ending {
                    _ if self.is_cancelled => (4, 0),
                    _ if !self.is_decided() => (0, 0),
                    Ending::Approve => (1, 0),
                    Ending::Deny => (1, 1),
                    _ => (2, 0),
                };
                self.is_told |= is_heard && self.is_decided() && !self.is_cancelled;
                format!(
                    r#"{{"result":0,"transaction_id":{},"transaction_status":{},"transaction_complete_result":{}}}"#,
                    self.transaction.unwrap(),
                    status.0,
                    status.1
                )
            }
        }
    }

    fn is_decided(&self) -> bool {
        self.ending != Ending::Never && self.looks >= self.at_look
    }
}

// ---- What the program does. ----

#[derive(Clone, Debug)]
struct Plan {
    confirms: bool,
    asks_for_token: bool,
    reports: bool,
    withdraws: bool,
    cancels_on_timeout: bool,
    timeout: Duration,
}

fn plans(seed: u64, count: usize) -> Vec<Plan> {
    let mut chance = Chance::new(seed, u64::MAX);
    let mut plan = || Plan {
        confirms: !chance.one_in(3),
        asks_for_token: !chance.one_in(3),
        reports: chance.one_in(2),
        withdraws: chance.one_in(3),
        cancels_on_timeout: chance.one_in(3),
        timeout: Duration::from_millis(chance.between(500, 5_000)),
    };
    (0..count).map(|_| plan()).collect()
}

impl Plan {
    fn options<'a>(&self) -> WaitOptions<'a> {
        WaitOptions::new()
            .min_interval(Duration::from_millis(30))
            .max_interval(Duration::from_millis(300))
            .withdraw_on_cancel(self.withdraws)
            .cancel_on_timeout(self.cancels_on_timeout)
    }
}

/// What came of one wait.
#[derive(Debug, Default)]
struct Course {
    started: Option<i64>,
    /// Whether it was cancelled, and that was to withdraw.
    cancelled: Option<bool>,
    end: Option<WaitEnd>,
}

/// The same for both drivers.
fn check(number: usize, plan: &Plan, person: &Person, course: &Course) {
    let end = course.end.as_ref().expect("it has ended");
    let told = format!("{number}: {plan:?} {person:?} {course:?}", person = Told(person));
    let transaction = &end.transaction;
    let is_approved = transaction.decision.is_approved();
    assert!(person.starts <= 2 && (person.starts < 2 || person.starts_refused > 0), "{told}");
    assert!(!is_approved || person.ending == Ending::Approve, "{told}");
    if transaction.transaction_id != 0 {
        assert_eq!(Some(transaction.transaction_id), person.transaction, "{told}");
    }
    let Err(error) = &end.result else {
        let expected = match transaction.decision {
            Decision::Approved(_) => Ending::Approve,
            Decision::Denied => Ending::Deny,
            Decision::Expired => Ending::Expire,
            _ => panic!("{told}"),
        };
        assert!(person.is_told && person.ending == expected, "{told}");
        return;
    };
    assert!(!is_approved, "{told}");
    if plan.confirms && person.transaction.is_some() && transaction.transaction_id == 0 {
        assert!(error.outcome_unknown, "{told}");
    }
    assert!(!error.withdrawn || person.is_cancelled, "{told}");
    match error.code {
        Code::Cancelled => assert!(course.cancelled.is_some(), "{told}"),
        // The last quarter is for withdrawing, which may take less.
        Code::Timeout if plan.cancels_on_timeout => {
            assert!(transaction.elapsed >= plan.timeout * 3 / 4, "{told}");
        }
        Code::Timeout => assert!(transaction.elapsed >= plan.timeout, "{told}"),
        Code::TokenExpired => assert!(person.refusals > 0, "{told}"),
        _ => {}
    }
    // It may end late, since two thousand others do too, but not much.
    assert!(transaction.elapsed <= plan.timeout + Duration::from_secs(5), "{told}");
}

struct Told<'a>(&'a Person);

impl std::fmt::Debug for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Person { ending, at_look, looks, starts, refusals, transaction, is_told, is_cancelled, .. } =
            self.0;
        write!(
            f,
            "{ending:?} at {at_look}, {looks} looks, {starts} starts, {refusals} refusals, {transaction:?}, \
             told {is_told}, cancelled {is_cancelled}"
        )
    }
}

fn peer(world: &World) -> (Peer, HyperId) {
    let theirs = world.clone();
    let peer = Peer::new(move |request| serve(&theirs, request));
    let client = HyperId::new(&peer.options().request_timeout(Duration::from_millis(400))).unwrap();
    (peer, client)
}

fn check_all(world: &World, plans: &[Plan], courses: &[Course]) {
    let world = world.lock().unwrap();
    for (number, (plan, course)) in plans.iter().zip(courses).enumerate() {
        check(number, plan, &world[number], course);
    }
    let approved = |course: &&Course| course.end.as_ref().unwrap().transaction.decision.is_approved();
    let count = courses.iter().filter(approved).count();
    assert!(count >= plans.len() / 20, "only {count} were approved: the schedules test nothing");
}

// ---- Blocking calls. ----

#[test]
fn blocking_calls_on_random_schedules() {
    const THREADS: usize = 32;
    let (seed, count) = (seed(), number("MFA_SCHEDULES", 600) as usize);
    let plans = plans(seed, count);
    let world = world(seed, &plans);
    let (peer, client) = peer(&world);
    let next = AtomicUsize::new(0);
    let courses: Vec<_> = plans.iter().map(|_| Mutex::new(Course::default())).collect();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let Some(plan) = plans.get(number) else { return };
                    *courses[number].lock().unwrap() = block(&client, seed, number, plan);
                }
            });
        }
    });
    drop(peer);
    let courses: Vec<_> = courses.into_iter().map(|course| course.into_inner().unwrap()).collect();
    check_all(&world, &plans, &courses);
}

fn block(client: &HyperId, seed: u64, number: usize, plan: &Plan) -> Course {
    let mut chance = Chance::new(seed ^ 0xabcd, number as u64);
    let mut tokens = Chance::new(seed ^ 0xdcba, number as u64);
    let cancel = Cancel::new();
    let mut course = Course::default();
    let (mut started, mut is_cancelled) = (None, false);
    let mut on_update = |so_far: &Transaction| {
        started = Some(so_far.transaction_id);
        match chance.below(40) {
            0 => cancel.trigger(),
            1 => {}
            _ => return ControlFlow::Continue(()),
        }
        is_cancelled = true;
        ControlFlow::Break(())
    };
    let mut last = 0;
    let mut provider = || {
        last += 1;
        (!tokens.one_in(8)).then(|| Zeroizing::new(token(number, last)))
    };
    let mut wait = plan.options().on_update(&mut on_update);
    if plan.asks_for_token {
        wait = wait.access_token_provider(&mut provider);
    }
    let call = CallOptions::new().timeout(plan.timeout).cancel(&cancel);
    let end = if plan.confirms {
        client.confirm(&token(number, 0), &Request::new().question("?"), &mut wait, &call)
    } else {
        client.wait(&token(number, 0), id(number, 9), &mut wait, &call)
    };
    drop(wait);
    course.started = started.filter(|_| plan.confirms);
    course.cancelled = is_cancelled.then_some(plan.withdraws);
    course.end = Some(end);
    course
}

// ---- One waiter. ----

#[test]
fn one_waiter_on_random_schedules() {
    alone(|| {
        let count = number("MFA_SCHEDULES", 2_000) as usize;
        let before = Census::take();
        many(seed(), count);
        let memory = system::resident();
        many(seed() + 1, count);
        let grown = system::resident().saturating_sub(memory);
        before.wait_for("after the waits");
        // As much as there was room for before; what the allocator keeps varies.
        assert!(grown < 8_192, "{grown} KiB more");
        println!("{grown} KiB more");
    });
}

#[cfg(target_os = "linux")]
fn check_connections(peer: &Peer) {
    let open = crate::support::open_connections(peer.address);
    assert!(open <= CONNECTIONS as usize, "{open} connections");
}

/// Elsewhere they are not counted.
#[cfg(not(target_os = "linux"))]
fn check_connections(_: &Peer) {}

/// Drives `count` waits with one waiter.
fn many(seed: u64, count: usize) {
    let plans = plans(seed, count);
    let world = world(seed, &plans);
    let (peer, client) = peer(&world);
    let waiter = Waiter::new(&client, &WaiterOptions::new().max_connections(CONNECTIONS)).unwrap();
    let mut many = Many {
        waiter: &waiter,
        plans: &plans,
        chance: Chance::new(seed, 77),
        tickets: HashMap::new(),
        courses: plans.iter().map(|_| Course::default()).collect(),
        tokens: vec![0; count],
    };
    for number in 0..count {
        many.add(number);
    }
    let threads = system::threads();
    many.drive(&peer);
    // The peer has one for each connection.
    let more = system::threads().saturating_sub(threads);
    assert!(more <= 2 * CONNECTIONS as usize, "{more} threads more");
    assert_eq!(waiter.count(), 0);
    assert!(waiter.next(Duration::ZERO).unwrap().is_none());
    let courses = many.courses;
    drop(waiter);
    drop(peer);
    check_all(&world, &plans, &courses);
}

struct Many<'w, 'a> {
    waiter: &'w Waiter<'a>,
    plans: &'w [Plan],
    chance: Chance,
    tickets: HashMap<u64, usize>,
    courses: Vec<Course>,
    tokens: Vec<u64>,
}

impl Many<'_, '_> {
    fn add(&mut self, number: usize) {
        let plan = &self.plans[number];
        let options = TicketOptions::new()
            .timeout(plan.timeout)
            .report_updates(plan.reports)
            .ask_for_token(plan.asks_for_token)
            .user_data(number);
        let token = token(number, 0);
        let wait = plan.options();
        let added = if plan.confirms {
            self.waiter.confirm(&token, &Request::new().question("?"), &wait, options, |_| {})
        } else {
            self.waiter.wait(&token, id(number, 9), &wait, options, |_| {})
        };
        self.tickets.insert(added.unwrap(), number);
    }

    fn drive(&mut self, peer: &Peer) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut ended = 0;
        while ended < self.plans.len() {
            assert!(Instant::now() < deadline, "{} have not ended", self.plans.len() - ended);
            // Some callers come late.
            if self.chance.one_in(500) {
                std::thread::sleep(Duration::from_millis(20));
                check_connections(peer);
            }
            if self.chance.one_in(30) {
                let ticket = self.chance.between(1, self.plans.len() as u64);
                self.cancel(ticket);
            }
            if self.chance.one_in(100) {
                self.waiter.wake();
            }
            let timeout = if self.chance.one_in(2) { Duration::ZERO } else { Duration::from_millis(5) };
            let Some(event) = self.waiter.next(timeout).unwrap() else { continue };
            let number = self.tickets[&event.ticket];
            assert_eq!(event.user_data, number);
            ended += usize::from(matches!(event.kind, EventKind::Ended(_)));
            self.handle(event.ticket, number, event.kind);
        }
    }

    fn handle(&mut self, ticket: u64, number: usize, kind: EventKind) {
        let plan = &self.plans[number];
        let course = &mut self.courses[number];
        assert!(course.end.is_none(), "{number}: {kind:?} after its end");
        match kind {
            EventKind::Started(so_far) => {
                assert!(plan.confirms && course.started.is_none() && so_far.polls == 0);
                assert_eq!(so_far.decision, Decision::Pending);
                course.started = Some(so_far.transaction_id);
            }
            EventKind::Update(so_far) => {
                assert!(plan.reports && so_far.polls > 0 && !so_far.decision.is_approved());
                assert!(!plan.confirms || course.started == Some(so_far.transaction_id));
            }
            EventKind::TokenRefused(_, refusal) => {
                assert!(plan.asks_for_token && refusal.code == Code::TokenExpired);
                self.tokens[number] += 1;
                let given = token(number, self.tokens[number]);
                match self.chance.below(8) {
                    0 => self.waiter.give_token(ticket, None).unwrap(),
                    // It waits to its deadline.
                    1 => {}
                    _ => self.waiter.give_token(ticket, Some(&given)).unwrap(),
                }
            }
            EventKind::Ended(end) => {
                let id = end.transaction.transaction_id;
                assert!(!plan.confirms || course.started.unwrap_or(0) == id, "{number}: {course:?} {end:?}");
                course.end = Some(end);
            }
            other => panic!("{other:?}"),
        }
        if self.chance.one_in(25) {
            self.cancel(ticket);
        }
    }

    fn cancel(&mut self, ticket: u64) {
        let withdraw = self.chance.one_in(2);
        self.waiter.cancel(ticket, withdraw).unwrap();
        let number = self.tickets[&ticket];
        self.courses[number].cancelled.get_or_insert(withdraw);
    }
}
