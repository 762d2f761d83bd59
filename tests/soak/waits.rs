//! Two thousand waits on one waiter, which another thread fills and disturbs.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mfa::{
    ClientOptions, Code, Event, EventKind, HyperId, Request, TicketOptions, Transaction, WaitEnd,
    WaitOptions, Waiter, WaiterOptions,
};

use crate::provider::{StartFate, decided, may_be_wrong, start_fate};
use crate::{Footprint, Server, alone, mixed, number};

const AT_ONCE: u64 = 2_000;
const CONNECTIONS: u32 = 64;
const DEFAULT_WAITS: u64 = 4 * AT_ONCE;
/// Far beyond what a round takes.
const LONGEST_ROUND: Duration = Duration::from_secs(120);

/// What has been seen of one wait.
#[derive(Default)]
struct Book {
    ticket: u64,
    is_started: bool,
    /// A TOKEN_REFUSED has not been answered yet.
    token_is_open: bool,
    gave_up: bool,
    last_update: Option<u32>,
    /// Whether it was to be withdrawn.
    cancelled: Option<bool>,
    has_ended: bool,
}

/// What the other thread is to do.
enum Wish {
    Add(i64),
    Cancel(i64),
    GiveToken(i64),
    Stop,
}

#[derive(Debug, Default)]
struct Tally {
    approved: u64,
    other_answers: u64,
    cancelled: u64,
    withdrawn: u64,
    failed: u64,
    unknown: u64,
    late: u64,
    refused_tokens: u64,
    updates: u64,
}

struct Round<'a> {
    waiter: Waiter<'a>,
    first: i64,
    books: Vec<Mutex<Book>>,
    wishes: Sender<Wish>,
}

/// When a wait is cancelled, if it is.
#[derive(Clone, Copy, PartialEq)]
enum Cancelled {
    Never,
    AtOnce,
    WhenStarted,
    AtUpdate,
}

fn cancelled(number: i64) -> (Cancelled, bool) {
    let bits = mixed(number) >> 40;
    let when = match bits % 20 {
        0 => Cancelled::AtOnce,
        1 => Cancelled::WhenStarted,
        2 => Cancelled::AtUpdate,
        _ => Cancelled::Never,
    };
    (when, bits / 20 % 2 == 0)
}

fn is_confirm(number: i64) -> bool {
    (mixed(number) >> 46) % 2 == 0
}

/// A deadline that many answers come after.
fn is_short(number: i64) -> bool {
    (mixed(number) >> 48) % 50 == 0
}

fn gives_up(number: i64) -> bool {
    (mixed(number) >> 52) % 8 == 0
}

impl Round<'_> {
    fn book<T>(&self, number: i64, use_it: impl FnOnce(&mut Book) -> T) -> T {
        let place = usize::try_from(number - self.first).unwrap();
        use_it(&mut self.books[place].lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, number: i64) {
        let milli = Duration::from_millis;
        let wait = WaitOptions::new()
            .min_interval(milli(150))
            .max_interval(milli(400))
            .cancel_on_timeout(mixed(number) >> 56 & 1 == 0);
        let options = TicketOptions::new()
            .timeout(if is_short(number) { milli(400) } else { LONGEST_ROUND })
            .report_updates(mixed(number) >> 57 & 1 == 0 || cancelled(number).0 == Cancelled::AtUpdate)
            .ask_for_token(true)
            .user_data(usize::try_from(number).unwrap());
        let token = format!("token-{number}-0");
        let announce = |ticket| self.book(number, |book| book.ticket = ticket);
        let question = format!("wait {number}");
        let added = if is_confirm(number) {
            self.waiter.confirm(&token, &Request::new().question(&question), &wait, options, announce)
        } else {
            self.waiter.wait(&token, number, &wait, options, announce)
        };
        added.unwrap();
        if cancelled(number).0 == Cancelled::AtOnce {
            self.wish(Wish::Cancel(number));
        }
    }

    fn wish(&self, wish: Wish) {
        self.wishes.send(wish).unwrap();
    }

    fn do_wishes(&self, wishes: &Receiver<Wish>) {
        for wish in wishes {
            match wish {
                Wish::Add(number) => self.add(number),
                Wish::Cancel(number) => {
                    let withdraw = cancelled(number).1;
                    // Noted first: its end may come before this returns.
                    let ticket = self.book(number, |book| {
                        book.cancelled = Some(withdraw);
                        book.ticket
                    });
                    self.waiter.cancel(ticket, withdraw).unwrap();
                }
                Wish::GiveToken(number) => self.give_token(number),
                Wish::Stop => return,
            }
        }
    }

    fn give_token(&self, number: i64) {
        let token = format!("token-{number}-1");
        let ticket = self.book(number, |book| {
            book.token_is_open = false;
            book.gave_up |= gives_up(number);
            book.ticket
        });
        self.waiter.give_token(ticket, (!gives_up(number)).then_some(token.as_str())).unwrap();
    }

    fn take(&self, event: Event, tally: &mut Tally) -> bool {
        let number = i64::try_from(event.user_data).unwrap();
        let mut ended = false;
        let mut wishes = Vec::new();
        self.book(number, |book| {
            assert_eq!(book.ticket, event.ticket, "{number}: another's user_data");
            assert!(!book.has_ended, "{number}: {event:?} after its end");
            match &event.kind {
                EventKind::Started(so_far) => {
                    assert!(is_confirm(number) && !book.is_started && book.last_update.is_none(), "{number}");
                    assert_eq!(so_far.transaction_id, number);
                    book.is_started = true;
                    if cancelled(number).0 == Cancelled::WhenStarted {
                        wishes.push(Wish::Cancel(number));
                    }
                }
                EventKind::Update(so_far) => {
                    tally.updates += 1;
                    check_update(number, book, so_far);
                    if cancelled(number).0 == Cancelled::AtUpdate && book.cancelled.is_none() {
                        wishes.push(Wish::Cancel(number));
                    }
                }
                EventKind::TokenRefused(_, refusal) => {
                    tally.refused_tokens += 1;
                    assert!(matches!(refusal.code, Code::TokenExpired | Code::TokenInvalid), "{refusal}");
                    assert!(!std::mem::replace(&mut book.token_is_open, true), "{number}: asked twice");
                    wishes.push(Wish::GiveToken(number));
                }
                EventKind::Ended(end) => {
                    book.has_ended = true;
                    ended = true;
                    judge(number, book, end, tally);
                }
                other => panic!("{number}: {other:?}"),
            }
        });
        for wish in wishes {
            // By this thread or the other: either may.
            match wish {
                Wish::GiveToken(number) if number % 2 == 0 => self.give_token(number),
                wish => self.wish(wish),
            }
        }
        ended
    }
}

fn check_update(number: i64, book: &mut Book, so_far: &Transaction) {
    assert!(book.is_started || !is_confirm(number), "{number}: an update before STARTED");
    assert_eq!(so_far.transaction_id, number);
    assert!(!so_far.decision.is_approved(), "{number}: approved in an update");
    assert!(book.last_update < Some(so_far.polls), "{number}: an update twice");
    book.last_update = Some(so_far.polls);
}

/// Checks that a wait ended as its number wants it.
fn judge(number: i64, book: &Book, end: &WaitEnd, tally: &mut Tally) {
    let Transaction { decision, transaction_id, raw_status, raw_complete_result, .. } = end.transaction;
    let start = if is_confirm(number) { start_fate(number) } else { StartFate::Answered };
    let error = match &end.result {
        Ok(()) => {
            assert_eq!(transaction_id, number);
            assert_eq!(start, StartFate::Answered, "{number}");
            let (status, complete) = decided(number);
            assert_eq!((raw_status, raw_complete_result), (Some(status), Some(complete)), "{number}");
            assert_eq!(decision.is_approved(), (status, complete) == (1, 0), "{number}");
            let tally = if decision.is_approved() { &mut tally.approved } else { &mut tally.other_answers };
            *tally += 1;
            return;
        }
        Err(error) => error,
    };
    assert!(!decision.is_approved(), "{number}: an approval beside {error}");
    assert!(is_confirm(number) || transaction_id == number, "{number}: the id is lost");
    assert_eq!(book.is_started, is_confirm(number) && transaction_id == number, "{number}: STARTED");
    tally.withdrawn += u64::from(error.withdrawn);
    tally.unknown += u64::from(error.outcome_unknown);
    let (may_be_garbage, may_be_anothers) = may_be_wrong(number);
    let counter = match error.code {
        Code::Cancelled if book.cancelled.is_some() => &mut tally.cancelled,
        Code::Timeout if is_short(number) => &mut tally.late,
        Code::MalformedAnswer if start == StartFate::Nameless => {
            assert!(error.outcome_unknown, "{number}");
            &mut tally.failed
        }
        Code::ConnectionLost if start == StartFate::Lost => {
            assert!(error.outcome_unknown, "{number}");
            &mut tally.failed
        }
        Code::MalformedAnswer if may_be_garbage => &mut tally.failed,
        Code::ContradictoryAnswer if may_be_anothers => &mut tally.failed,
        Code::AuthenticatorNotLinked if start == StartFate::NotLinked => &mut tally.failed,
        Code::HttpStatus if start == StartFate::Unavailable => &mut tally.failed,
        Code::AccessDenied if start == StartFate::Refused => &mut tally.failed,
        Code::TokenExpired | Code::TokenInvalid if book.gave_up => &mut tally.failed,
        other => {
            panic!("{number}: {other:?}: {error}, cancelled {:?} {}", book.cancelled, error.outcome_unknown)
        }
    };
    *counter += 1;
}

fn round(client: &HyperId, first: i64, waits: u64, tally: &mut Tally) -> Duration {
    let begin = Instant::now();
    let waiter = Waiter::new(client, &WaiterOptions::new().max_connections(CONNECTIONS)).unwrap();
    let (wishes, to_do) = channel();
    let books = (0..waits).map(|_| Mutex::default()).collect();
    let round = Round { waiter, first, books, wishes };
    let numbers = first..first + i64::try_from(waits).unwrap();
    let mut left = waits;
    std::thread::scope(|scope| {
        let round = &round;
        // Also where a check fails: the scope waits for the thread.
        let stop = Stop(&round.wishes);
        let helper = scope.spawn(move || round.do_wishes(&to_do));
        for number in numbers {
            // By this thread or the other, while `next` works.
            if number % 2 == 0 { round.add(number) } else { round.wish(Wish::Add(number)) }
        }
        while left > 0 {
            assert!(begin.elapsed() < LONGEST_ROUND, "{left} of {waits} have not ended");
            if let Some(event) = round.waiter.next(Duration::from_secs(1)).unwrap() {
                left -= u64::from(round.take(event, tally));
            }
        }
        drop(stop);
        helper.join().unwrap();
    });
    assert_eq!(round.waiter.count(), 0);
    assert!(round.waiter.next(Duration::ZERO).unwrap().is_none(), "an event after the last one");
    begin.elapsed()
}

struct Stop<'a>(&'a Sender<Wish>);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        let _ = self.0.send(Wish::Stop);
    }
}

#[test]
fn two_thousand_waits_end_each_with_its_own_answer() {
    if std::env::var_os("MFA_SOAK_SERVER").is_some() {
        return;
    }
    let _alone = alone();
    let waits = number("MFA_SOAK_WAITS", DEFAULT_WAITS);
    let server = Server::start("waits");
    let options = ClientOptions::new().base_url(server.url.clone()).allow_loopback_http(true);
    let client = HyperId::new(&options).unwrap();
    let mut tally = Tally::default();
    let mut done = 0;
    let mut before = None;
    while done < waits {
        let now = AT_ONCE.min(waits - done);
        let took = round(&client, 1 + i64::try_from(done).unwrap(), now, &mut tally);
        done += now;
        let footprint = Footprint::now();
        println!("{done} waits, the last {now} in {took:?}: {footprint:?}");
        // The first two rounds make what is kept.
        if done >= 2 * AT_ONCE {
            footprint.check(before.get_or_insert(footprint), CONNECTIONS as usize);
        }
    }
    println!("{tally:?}");
    drop(client);
    assert_eq!(server.end(), 0, "people were asked twice");
    let answers = tally.approved + tally.other_answers;
    assert!(answers > waits * 6 / 10 && tally.failed > 0 && tally.cancelled > 0 && tally.refused_tokens > 0);
}
