//! Eight threads that ask once and again.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use mfa::{CallOptions, Cancel, ClientOptions, Code, Decision, Error, HyperId, Transaction};

use crate::{Footprint, Server, alone, answer, mixed, number, state};

const THREADS: u64 = 8;
const DEFAULT_CALLS: u64 = 40_000;

/// What the server does with a request, by its transaction's id alone, so that client and server
/// agree without talking.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answered,
    Closed,
    Cut,
    Garbage,
    Unavailable,
    OtherId,
    /// Answered, and then once more, unasked, with an approval.
    Twice,
    /// Answered byte by byte.
    Dripped,
    /// Answered, and the connection closed.
    LastOne,
}

impl Fate {
    fn is_an_answer(self) -> bool {
        matches!(self, Fate::Answered | Fate::Twice | Fate::Dripped | Fate::LastOne)
    }
}

fn fate(id: i64) -> Fate {
    match mixed(id) % 200 {
        0 => Fate::Closed,
        1 => Fate::Cut,
        2 => Fate::Garbage,
        3 => Fate::Unavailable,
        4 => Fate::OtherId,
        5..=8 => Fate::Twice,
        9 => Fate::Dripped,
        10..=12 => Fate::LastOne,
        _ => Fate::Answered,
    }
}

fn decided(id: i64) -> (i32, i32) {
    let n = mixed(id) >> 20;
    ((n % 6) as i32, (n / 6 % 2) as i32)
}

/// How one connection of the server goes.
pub(crate) fn serve(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut buffer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        while !buffer.ends_with(b"}") {
            match stream.read(&mut piece) {
                Ok(n) if n > 0 => buffer.extend_from_slice(&piece[..n]),
                _ => return None,
            }
        }
        let text = String::from_utf8(std::mem::take(&mut buffer)).ok()?;
        let id: i64 = text.rsplit(':').next()?.trim_end_matches('}').parse().ok()?;
        let whole = answer(&state(id, decided(id)));
        match fate(id) {
            Fate::Answered => stream.write_all(whole.as_bytes()).ok()?,
            Fate::Closed => return None,
            Fate::Cut => {
                stream.write_all(&whole.as_bytes()[..whole.len() - 3]).ok()?;
                return None;
            }
            Fate::Garbage => stream.write_all(b"garbage\r\n\r\n").ok()?,
            Fate::Unavailable => {
                stream.write_all(b"HTTP/1.1 503 X\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n").ok()?;
            }
            Fate::OtherId => stream.write_all(answer(&state(id + 1, decided(id + 1))).as_bytes()).ok()?,
            Fate::Twice => {
                let unasked = r#"{"result":0,"transaction_status":1,"transaction_complete_result":0}"#;
                stream.write_all((whole + &answer(unasked)).as_bytes()).ok()?;
            }
            Fate::Dripped => {
                for byte in whole.as_bytes() {
                    stream.write_all(&[*byte]).ok()?;
                }
            }
            Fate::LastOne => {
                stream.write_all(whole.as_bytes()).ok()?;
                return None;
            }
        }
    }
}

#[derive(Default)]
struct Tally {
    answered: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    /// Beyond its deadline on a busy machine: allowed, but rare.
    late: AtomicU64,
}

/// Checks that a call returned what its request deserved.
fn judge(id: i64, was_cancelled: bool, result: Result<Transaction, Error>, tally: &Tally) {
    let fate = fate(id);
    let code = match result {
        Ok(read) => {
            let (status, complete) = decided(id);
            assert!(fate.is_an_answer(), "{id}: {fate:?}");
            assert_eq!(
                (read.transaction_id, read.raw_status, read.raw_complete_result),
                (id, Some(status), Some(complete))
            );
            assert_eq!(read.decision.is_approved(), (status, complete) == (1, 0), "{id}");
            assert!(read.decision != Decision::None);
            tally.answered.fetch_add(1, Ordering::Relaxed);
            return;
        }
        Err(error) => error.code,
    };
    let counter = match (code, fate) {
        (Code::Cancelled, _) if was_cancelled => &tally.cancelled,
        (Code::Timeout, _) => &tally.late,
        (Code::ConnectionLost, Fate::Closed | Fate::Cut)
        | (Code::MalformedAnswer, Fate::Garbage)
        | (Code::Unavailable, Fate::Unavailable)
        | (Code::ContradictoryAnswer, Fate::OtherId) => &tally.failed,
        // The peer may close a kept connection just as the request goes out.
        (Code::ConnectionLost, _) => &tally.late,
        other => panic!("{id}: {other:?}"),
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

fn run(client: &HyperId, calls: u64, first: i64, canceller: &mpsc::Sender<Cancel>, tally: &Tally) {
    for n in 0..calls {
        let id = first + (n * THREADS) as i64;
        let cancel = ((mixed(id) >> 40) % 20 == 0).then(Cancel::new);
        // Half of those that are answered have time enough to wait in the receive itself. The short
        // time leaves no room for a repeat, whose fate would be the same.
        let has_time = fate(id).is_an_answer() && (mixed(id) >> 50) % 2 == 0;
        let millis = if has_time { 20_000 } else { 150 };
        let mut call = CallOptions::new().timeout(Duration::from_millis(millis));
        if let Some(cancel) = &cancel {
            call.cancel = Some(cancel);
            canceller.send(cancel.clone()).unwrap();
        }
        judge(id, cancel.is_some(), client.status("token", id, &call), tally);
    }
}

fn round(client: &HyperId, calls: u64, first: i64, tally: &Tally) -> Footprint {
    std::thread::scope(|scope| {
        let (canceller, cancels) = mpsc::channel::<Cancel>();
        let triggering = scope.spawn(move || cancels.into_iter().for_each(|cancel| cancel.trigger()));
        let callers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let canceller = canceller.clone();
                scope.spawn(move || run(client, calls / THREADS, first + thread as i64, &canceller, tally))
            })
            .collect();
        // The scope's own end would not wait for the threads themselves, which are counted below.
        drop(canceller);
        callers.into_iter().chain([triggering]).for_each(|thread| thread.join().unwrap());
    });
    Footprint::now()
}

#[test]
fn nothing_is_mixed_up_and_nothing_left_behind() {
    if std::env::var_os("MFA_SOAK_SERVER").is_some() {
        return;
    }
    let _alone = alone();
    let calls = number("MFA_SOAK_CALLS", DEFAULT_CALLS);
    let server = Server::start("calls");
    let options = ClientOptions::new().base_url(server.url.clone()).allow_loopback_http(true);
    let client = HyperId::new(&options).unwrap();
    let tally = Tally::default();
    let fifth = calls / 5;
    let before = round(&client, fifth, 1, &tally);
    let after = round(&client, calls - fifth, 1 + fifth as i64, &tally);
    drop(client);
    let [answered, failed, cancelled, late] =
        [&tally.answered, &tally.failed, &tally.cancelled, &tally.late].map(|n| n.load(Ordering::Relaxed));
    println!("{answered} answered, {failed} failed as they should, {cancelled} cancelled, {late} late");
    println!("{before:?}\n{after:?}");
    assert!(answered > calls * 8 / 10 && failed > calls / 100 && cancelled > calls / 10_000);
    assert!(late < calls / 100, "{late} of {calls} were late");
    after.check(&before, THREADS as usize);
}
