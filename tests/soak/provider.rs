//! The provider of the waits. What becomes of one follows from its number, so that client and provider
//! agree without talking; the number is the transaction's id too.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::{answer, mixed, state};

/// What the person does, after how many polls.
pub(crate) fn decided(number: i64) -> (i32, i32) {
    [(1, 0), (1, 0), (1, 1), (2, 0), (3, 0), (4, 0)][(mixed(number) >> 20) as usize % 6]
}

fn polls_before(number: i64) -> u32 {
    (mixed(number) >> 24) as u32 % 4
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum StartFate {
    Answered,
    NotLinked,
    /// Carried out, and the connection closed.
    Lost,
    /// Carried out, and answered without an id.
    Nameless,
    Unavailable,
    Refused,
}

pub(crate) fn start_fate(number: i64) -> StartFate {
    match (mixed(number) >> 28) % 50 {
        0 => StartFate::NotLinked,
        1 => StartFate::Lost,
        2 => StartFate::Nameless,
        3 => StartFate::Unavailable,
        4 => StartFate::Refused,
        _ => StartFate::Answered,
    }
}

/// Where its first token ceases to be good.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expiry {
    Never,
    AtOnce,
    AtStart,
    AtPoll,
}

fn expiry(number: i64) -> Expiry {
    match (mixed(number) >> 34) % 16 {
        0 => Expiry::AtOnce,
        1 => Expiry::AtStart,
        2 => Expiry::AtPoll,
        _ => Expiry::Never,
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum PollFate {
    Answered,
    Closed,
    Cut,
    Garbage,
    Unavailable,
    TooMany,
    OtherId,
    /// Answered, and then once more, unasked, with an approval.
    Twice,
    Dripped,
    LastOne,
}

fn poll_fate(number: i64, poll: u32) -> PollFate {
    match mixed(number * 64 + i64::from(poll)) % 200 {
        0..=1 => PollFate::Closed,
        2..=3 => PollFate::Cut,
        4 => PollFate::Garbage,
        5..=6 => PollFate::Unavailable,
        7 => PollFate::TooMany,
        8 => PollFate::OtherId,
        9..=12 => PollFate::Twice,
        13 => PollFate::Dripped,
        14..=16 => PollFate::LastOne,
        _ => PollFate::Answered,
    }
}

/// Whether the answer to a poll may break the protocol, and whether one may be about somebody else.
pub(crate) fn may_be_wrong(number: i64) -> (bool, bool) {
    let has = |fate| (0..40).any(|poll| poll_fate(number, poll) == fate);
    (has(PollFate::Garbage), has(PollFate::OtherId))
}

#[derive(Default)]
struct Transaction {
    starts: u32,
    polls: u32,
    is_cancelled: bool,
    /// Its first token is good no more.
    has_expired: bool,
}

static TRANSACTIONS: LazyLock<Mutex<HashMap<i64, Transaction>>> = LazyLock::new(Mutex::default);

fn with<T>(number: i64, use_it: impl FnOnce(&mut Transaction) -> T) -> T {
    let mut all = TRANSACTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    use_it(all.entry(number).or_default())
}

/// How many people were asked more than once.
pub(crate) fn asked_twice() -> usize {
    let all = TRANSACTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    all.values().filter(|transaction| transaction.starts > 1).count()
}

/// How one connection goes.
pub(crate) fn serve(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut buffer = Vec::new();
    loop {
        let (head, body) = take_request(&mut stream, &mut buffer)?;
        let token = head.split("Bearer ").nth(1)?.split("\r\n").next()?.to_owned();
        let path = head.split(' ').nth(1)?;
        let number: i64 = token.split('-').nth(1)?.parse().ok()?;
        let is_good = |at: Expiry| {
            let is_first = token.ends_with("-0");
            with(number, |transaction| {
                transaction.has_expired |= expiry(number) == at;
                !(is_first && transaction.has_expired)
            })
        };
        match path.rsplit('/').next()? {
            "availability-check" if !is_good(Expiry::AtOnce) => refuse(&mut stream, -4)?,
            "availability-check" => {
                let is_linked = start_fate(number) != StartFate::NotLinked;
                let text = format!(r#"{{"result":0,"is_available":{is_linked}}}"#);
                stream.write_all(answer(&text).as_bytes()).ok()?;
            }
            "v2" if !is_good(Expiry::AtStart) => refuse(&mut stream, -5)?,
            "v2" => start(&mut stream, number)?,
            "status-get" if !is_good(Expiry::AtPoll) => refuse(&mut stream, -4)?,
            "status-get" => status(&mut stream, number, &body)?,
            "cancel" => cancel(&mut stream, number)?,
            _ => return None,
        }
    }
}

fn take_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, String)> {
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(buffer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let length: usize = lower.split("content-length: ").nth(1)?.split("\r\n").next()?.parse().ok()?;
            if body.len() >= length {
                buffer.clear();
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        match stream.read(&mut piece) {
            Ok(amount) if amount > 0 => buffer.extend_from_slice(&piece[..amount]),
            _ => return None,
        }
    }
}

fn refuse(stream: &mut TcpStream, result: i32) -> Option<()> {
    stream.write_all(answer(&format!(r#"{{"result":{result}}}"#)).as_bytes()).ok()
}

fn start(stream: &mut TcpStream, number: i64) -> Option<()> {
    let fate = start_fate(number);
    if !matches!(fate, StartFate::Unavailable | StartFate::Refused) {
        with(number, |transaction| transaction.starts += 1);
    }
    match fate {
        StartFate::Answered | StartFate::NotLinked => {
            let text = format!(r#"{{"result":0,"transaction_id":{number}}}"#);
            stream.write_all(answer(&text).as_bytes()).ok()
        }
        StartFate::Lost => None,
        StartFate::Nameless => stream.write_all(answer(r#"{"result":0}"#).as_bytes()).ok(),
        StartFate::Unavailable => stream.write_all(b"HTTP/1.1 400 X\r\nContent-Length: 0\r\n\r\n").ok(),
        StartFate::Refused => refuse(stream, -3),
    }
}

fn status(stream: &mut TcpStream, number: i64, body: &str) -> Option<()> {
    assert_eq!(body, format!(r#"{{"transaction_id":{number}}}"#), "another's token");
    let (poll, is_cancelled) = with(number, |transaction| {
        transaction.polls += 1;
        (transaction.polls - 1, transaction.is_cancelled)
    });
    let told = match poll {
        _ if is_cancelled => (4, 0),
        early if early < polls_before(number) => (0, 0),
        _ => decided(number),
    };
    let whole = answer(&state(number, told));
    let mut write = |bytes: &[u8]| stream.write_all(bytes).ok();
    match poll_fate(number, poll) {
        PollFate::Answered => write(whole.as_bytes()),
        PollFate::Closed => None,
        PollFate::Cut => write(&whole.as_bytes()[..whole.len() - 3]).and(None),
        PollFate::Garbage => write(b"garbage\r\n\r\n"),
        PollFate::Unavailable => write(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"),
        PollFate::TooMany => write(b"HTTP/1.1 429 X\r\nContent-Length: 0\r\n\r\n"),
        PollFate::OtherId => write(answer(&state(number + 1, (1, 0))).as_bytes()),
        PollFate::Twice => {
            let unasked = r#"{"result":0,"transaction_status":1,"transaction_complete_result":0}"#;
            write((whole + &answer(unasked)).as_bytes())
        }
        PollFate::Dripped => whole.as_bytes().iter().try_for_each(|byte| write(&[*byte])),
        PollFate::LastOne => write(whole.as_bytes()).and(None),
    }
}

fn cancel(stream: &mut TcpStream, number: i64) -> Option<()> {
    let is_late = with(number, |transaction| {
        let is_late = transaction.polls > polls_before(number);
        transaction.is_cancelled |= !is_late;
        is_late
    });
    if is_late { refuse(stream, -9) } else { stream.write_all(answer(r#"{"result":0}"#).as_bytes()).ok() }
}
