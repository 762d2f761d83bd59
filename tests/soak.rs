//! Many calls on eight threads, with faults and cancels at random: each returns what its own
//! request deserved, and nothing is left behind.
//!
//! `MFA_SOAK_CALLS` sets how many; the default keeps an ordinary test run short.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use mfa::{CallOptions, Cancel, ClientOptions, Code, Decision, Error, HyperId, Transaction};

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

fn mixed(id: i64) -> u64 {
    let x = (id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^ (x >> 29)
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

fn body(id: i64) -> String {
    let (status, complete) = decided(id);
    format!(
        r#"{{"result":0,"transaction_id":{id},"transaction_status":{status},"transaction_complete_result":{complete}}}"#
    )
}

fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

// ---- The server, in a process of its own so that the client's descriptors can be counted. ----

#[test]
fn the_server_of_the_soak_test() {
    if std::env::var_os("MFA_SOAK_SERVER").is_none() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("port: {}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    // Until the client closes the pipe, or dies.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn serve(mut stream: TcpStream) -> Option<()> {
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
        let whole = answer(&body(id));
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
            Fate::OtherId => stream.write_all(answer(&body(id + 1)).as_bytes()).ok()?,
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

struct Server {
    child: Child,
    url: String,
    /// Open to the end: the server's last words would otherwise break its pipe.
    _output: std::io::Lines<BufReader<ChildStdout>>,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_server_of_the_soak_test", "--nocapture"])
            .env("MFA_SOAK_SERVER", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.find_map(|l| l.unwrap().split_once("port: ").map(|(_, p)| p.to_owned())).unwrap();
        Server { child, url: format!("http://127.0.0.1:{port}"), _output: lines }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

// ---- The client. ----

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

#[derive(Debug)]
struct Footprint {
    descriptors: usize,
    threads: usize,
    resident_kb: u64,
}

impl Footprint {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        Footprint {
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            threads: std::fs::read_dir("/proc/self/task").unwrap().count(),
            resident_kb: resident.trim().trim_end_matches(" kB").parse().unwrap(),
        }
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
    let calls = std::env::var("MFA_SOAK_CALLS").ok().and_then(|n| n.parse().ok()).unwrap_or(DEFAULT_CALLS);
    let server = Server::start();
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
    assert!(after.descriptors <= before.descriptors + 8, "descriptors");
    assert!(after.threads <= before.threads + 1, "threads");
    assert!(after.resident_kb <= before.resident_kb + 4096, "memory");
}
