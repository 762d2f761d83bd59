//! What a broken network or server does to each call: the documented code, inside the deadline,
//! and no connection used again that should not be.

#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
#[cfg(target_os = "linux")]
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mfa::{CallOptions, ClientOptions, Code, Error, HyperId, Request};

use crate::support::alone::{Census, alone};
use crate::support::calls::Call;
use crate::support::system::SLOWNESS;
use crate::support::{Peer, Reply, Then};

/// How long an exchange, and a call, may take.
#[derive(Clone, Copy)]
struct Times {
    request: Duration,
    call: Duration,
}

/// Every wait is watched. Room for one or two repeats, and for a noisy machine after the last.
/// In a call there is room for one more attempt after one that timed out, and for no third.
const SHORT: Times = Times {
    request: Duration::from_millis(300 * SLOWNESS as u64),
    call: Duration::from_millis(2 * 300 * SLOWNESS as u64 + 400),
};
/// A receive waits by itself first, as it does for a caller who sets no time.
const LONG: Times = Times { request: Duration::from_millis(2_300), call: Duration::from_secs(10) };

/// Where nothing ends by the clock, which is slow to come by where SLOWNESS is more than 1.
const AMPLE: Times = Times { request: Duration::from_secs(20), call: Duration::from_secs(40) };

impl Times {
    /// For an outcome that is `expected`.
    fn for_outcome(self, expected: Code) -> Times {
        if SLOWNESS == 1 || expected == Code::RequestTimeout { self } else { AMPLE }
    }

    fn options(self, url: String) -> ClientOptions {
        ClientOptions::new().base_url(url).allow_loopback_http(true).request_timeout(self.request)
    }

    fn call(self) -> CallOptions<'static> {
        CallOptions::new().timeout(self.call)
    }
}

fn call_options() -> CallOptions<'static> {
    SHORT.call()
}

fn options(url: String) -> ClientOptions {
    SHORT.options(url)
}

/// Runs `call` against a peer that always replies so; `None`: it succeeded.
fn outcome(call: Call, reply: Reply, times: Times) -> (Option<Error>, Peer) {
    let peer = Peer::new(move |_| reply.clone());
    let start = Instant::now();
    let result = call.run(&times.options(peer.url()), &times.call());
    let most = if call.is_repeatable() { times.call } else { times.request };
    assert!(start.elapsed() < most + Duration::from_secs(2), "{call:?} took {:?}", start.elapsed());
    (result.err(), peer)
}

fn head(length: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{length}\r\n")
}

fn sized(body: &str) -> String {
    head(&format!("Content-Length: {}\r\n", body.len())) + body
}

/// The faults that have one outcome for all calls.
fn faults(call: Call) -> Vec<(&'static str, Reply, Code)> {
    let ok = &*call.success();
    let long = |n: usize| "x".repeat(n);
    vec![
        ("closed without an answer", Reply::nothing(Then::Close), Code::ConnectionLost),
        ("reset without an answer", Reply::nothing(Then::Reset), Code::ConnectionLost),
        ("silent after the request", Reply::nothing(Then::Silence), Code::RequestTimeout),
        (
            "closed in the header",
            Reply::raw("HTTP/1.1 200 OK\r\nContent-").then(Then::Close),
            Code::ConnectionLost,
        ),
        (
            "reset in the header",
            Reply::raw("HTTP/1.1 200 OK\r\nContent-").then(Then::Reset),
            Code::ConnectionLost,
        ),
        (
            "silent in the header",
            Reply::raw("HTTP/1.1 200 OK\r\nContent-").then(Then::Silence),
            Code::RequestTimeout,
        ),
        (
            "closed in the body",
            Reply::raw(head("Content-Length: 999\r\n") + ok).then(Then::Close),
            Code::ConnectionLost,
        ),
        (
            "reset in the body",
            Reply::raw(head("Content-Length: 999\r\n") + ok).then(Then::Reset),
            Code::ConnectionLost,
        ),
        (
            "silent in the body",
            Reply::raw(head("Content-Length: 999\r\n") + ok).then(Then::Silence),
            Code::RequestTimeout,
        ),
        (
            "closed in a chunk",
            Reply::raw(head("Transfer-Encoding: chunked\r\n") + "ff\r\n" + ok).then(Then::Close),
            Code::ConnectionLost,
        ),
        ("garbage", Reply::raw("\u{0}\u{1}garbage\r\n\r\n"), Code::MalformedAnswer),
        ("another protocol", Reply::raw("SSH-2.0-OpenSSH_9.2\r\n\r\n"), Code::MalformedAnswer),
        (
            "another version",
            Reply::raw(format!("HTTP/3.0 200 OK\r\nContent-Length: {}\r\n\r\n{ok}", ok.len())),
            Code::MalformedAnswer,
        ),
        (
            "a header without a name",
            Reply::raw(head(": x\r\n") + ok).then(Then::Close),
            Code::MalformedAnswer,
        ),
        (
            "two lengths",
            Reply::raw(head("Content-Length: 5\r\nContent-Length: 6\r\n") + ok).then(Then::Close),
            Code::MalformedAnswer,
        ),
        (
            "a length that is no number",
            Reply::raw(head("Content-Length: x\r\n") + ok).then(Then::Close),
            Code::MalformedAnswer,
        ),
        (
            "a negative length",
            Reply::raw(head("Content-Length: -1\r\n") + ok).then(Then::Close),
            Code::MalformedAnswer,
        ),
        (
            "a chunk size that is no number",
            Reply::raw(head("Transfer-Encoding: chunked\r\n") + "zz\r\n" + ok).then(Then::Close),
            Code::MalformedAnswer,
        ),
        (
            "a length beside chunks",
            Reply::raw(
                head(&format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", ok.len()))
                    + &format!("{:x}\r\n{ok}\r\n0\r\n\r\n", ok.len()),
            ),
            Code::MalformedAnswer,
        ),
        ("a length too short", Reply::raw(head("Content-Length: 4\r\n") + ok), Code::MalformedAnswer),
        (
            "a body that nobody announced",
            Reply::raw(head("Content-Length: 0\r\n") + ok),
            Code::MalformedAnswer,
        ),
        (
            "an unasked coding",
            Reply::with_headers(200, "Content-Encoding: gzip\r\n", ok),
            Code::MalformedAnswer,
        ),
        (
            "a header too long",
            Reply::raw(head(&format!("X: {}\r\n", long(70_000))) + ok).then(Then::Close),
            Code::AnswerTooLarge,
        ),
        (
            "a header without end",
            Reply::raw(format!("HTTP/1.1 200 OK\r\nX: {}", long(200_000))).then(Then::Silence),
            Code::AnswerTooLarge,
        ),
        (
            "too many headers",
            Reply::raw(head(&"A: b\r\n".repeat(500)) + ok).then(Then::Close),
            Code::AnswerTooLarge,
        ),
        ("a body too long", Reply::raw(sized(&long(300_000))), Code::AnswerTooLarge),
        (
            "a body without end",
            Reply::raw(head("") + &long(2_000_000)).then(Then::Silence),
            Code::AnswerTooLarge,
        ),
        (
            "chunks without end",
            Reply::raw(
                head("Transfer-Encoding: chunked\r\n") + &format!("fff\r\n{}\r\n", long(4095)).repeat(300),
            )
            .then(Then::Silence),
            Code::AnswerTooLarge,
        ),
        ("too deep", Reply::raw(sized(&"[".repeat(50_000))), Code::AnswerTooLarge),
        (
            "switching protocols",
            Reply::raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n")
                .then(Then::Close),
            Code::HttpStatus,
        ),
    ]
}

fn check_faults(call: Call) {
    check_faults_within(call, SHORT);
    if !call.is_repeatable() {
        check_faults_within(call, LONG);
    }
}

fn check_faults_within(call: Call, times: Times) {
    for (name, reply, expected) in faults(call) {
        let before = Census::take();
        let (error, peer) = outcome(call, reply, times.for_outcome(expected));
        let error = error.unwrap_or_else(|| panic!("{call:?}: {name} was taken for an answer"));
        assert_eq!(error.code, expected, "{call:?}: {name}: {error}");
        let requests = peer.requests();
        assert_eq!(error.attempts as usize, requests.len(), "{call:?}: {name}");
        if !call.is_repeatable() {
            assert_eq!(requests.len(), 1, "{call:?}: {name} was repeated");
        }
        assert_eq!(error.outcome_unknown, call.asks_a_person(), "{call:?}: {name}");
        assert_eq!(peer.connections(), requests.len(), "{call:?}: {name}: a failed connection served again");
        drop(peer);
        before.wait_for(name);
    }
}

/// Sends `piece` for as long as the client listens.
fn flood(first: &'static str, piece: &'static [u8]) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let start = Instant::now();
        // Many at once: how fast it floods must not depend on what a call of the system costs.
        let pieces = piece.repeat(64);
        let mut going = stream.write_all(first.as_bytes()).is_ok();
        while going && start.elapsed() < Duration::from_secs(20) {
            going = stream.write_all(&pieces).is_ok();
        }
    });
    (url, server)
}

#[test]
fn a_server_that_never_stops_sending_is_bounded() {
    let endless = b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let open_line = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;";
    let done = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n";
    let cases: [(&str, &str, &[u8], Code); 7] = [
        ("100 again and again", "", b"HTTP/1.1 100 Continue\r\n\r\n", Code::RequestTimeout),
        ("103 again and again", "", b"HTTP/1.1 103 Early Hints\r\n\r\n", Code::RequestTimeout),
        ("trailers without end", done, b"X: y\r\n", Code::AnswerTooLarge),
        ("extensions without end", chunked, b"1;0123456789abcdef\r\n \r\n", Code::AnswerTooLarge),
        ("a trailer line without end", done, endless, Code::AnswerTooLarge),
        ("a chunk line without end", open_line, endless, Code::AnswerTooLarge),
        ("a chunk line that is none", chunked, endless, Code::MalformedAnswer),
    ];
    for times in [SHORT, LONG] {
        for (name, first, piece, expected) in cases {
            let (url, server) = flood(first, piece);
            let start = Instant::now();
            let error = Call::Cancel.run(&times.options(url), &times.call()).unwrap_err();
            assert_eq!(error.code, expected, "{name}: {error}");
            assert!(
                start.elapsed() < times.request + Duration::from_secs(3),
                "{name}: {:?}",
                start.elapsed()
            );
            server.join().unwrap();
        }
    }
}

/// The header's functions that take a deadline. Those that wait are called in waiting.rs.
fn calls_in_the_header() -> BTreeSet<&'static str> {
    let header = include_str!("../../include/mfa.h");
    let functions = header.split("\nmfa_code ").skip(1).filter_map(|it| it.split(';').next());
    let asking = |it: &&str| it.contains("mfa_call_options *") && !it.contains("mfa_wait_options *");
    functions.filter(asking).filter_map(|it| it.split('(').next()).collect()
}

#[test]
fn no_call_is_missing_from_the_matrix() {
    let calls: BTreeSet<_> = Call::ALL.into_iter().map(Call::export).collect();
    let forgotten = &calls_in_the_header() - &calls;
    assert!(forgotten.is_empty(), "ALL in support/calls.rs lacks {forgotten:?}");
    assert_eq!(calls.len(), Call::ALL.len(), "a call stands twice in ALL");
}

/// The test below that checks all faults of a call; a new call has none, and does not compile.
#[allow(dead_code)]
fn faults_of(call: Call) -> fn() {
    match call {
        Call::Availability => faults_of_availability,
        Call::Types => faults_of_two_factor_types,
        Call::Start => faults_of_start,
        Call::Status => faults_of_status,
        Call::Cancel => faults_of_cancel,
        Call::Registered => faults_of_is_mfa_registered,
    }
}

// One test each, so that they wait side by side; and a process each, so that what they leave can be
// counted.
#[test]
fn faults_of_availability() {
    alone(|| check_faults(Call::Availability));
}

#[test]
fn faults_of_two_factor_types() {
    alone(|| check_faults(Call::Types));
}

#[test]
fn faults_of_start() {
    alone(|| check_faults(Call::Start));
}

#[test]
fn faults_of_status() {
    alone(|| check_faults(Call::Status));
}

#[test]
fn faults_of_cancel() {
    alone(|| check_faults(Call::Cancel));
}

#[test]
fn faults_of_is_mfa_registered() {
    alone(|| check_faults(Call::Registered));
}

#[test]
fn unusual_but_valid_answers_are_read() {
    alone(|| {
        let before = Census::take();
        for call in Call::ALL {
            let ok = &*call.success();
            let (first, rest) = ok.split_at(5);
            let chunked =
                format!("5;ext=\"v\"\r\n{first}\r\n{:x}; a\r\n{rest}\r\n0\r\nTrailer: x\r\n\r\n", rest.len());
            let one_by_one = sized(ok).into_bytes().iter().map(|b| vec![*b]).collect();
            let answers = [
                (
                    "chunks with extensions and trailers",
                    Reply::raw(head("Transfer-Encoding: chunked\r\n") + &chunked),
                ),
                ("one byte at a time", Reply { pieces: one_by_one, then: Then::KeepOpen }),
                ("a 100 before it", Reply::raw("HTTP/1.1 100 Continue\r\n\r\n".to_owned() + &sized(ok))),
                (
                    "a 103 before it",
                    Reply::raw("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".to_owned() + &sized(ok)),
                ),
                (
                    "HTTP/1.0 without a length",
                    Reply::raw(format!("HTTP/1.0 200 OK\r\n\r\n{ok}")).then(Then::Close),
                ),
                ("no length, closed", Reply::raw(head("") + ok).then(Then::Close)),
                (
                    "no reason",
                    Reply::raw(format!("HTTP/1.1 200\r\nContent-Length: {}\r\n\r\n{ok}", ok.len())),
                ),
                ("identity", Reply::with_headers(200, "Content-Encoding: identity\r\n", ok)),
            ];
            for (name, reply) in answers {
                let (error, _peer) = outcome(call, reply, LONG);
                assert!(error.is_none(), "{call:?}: {name}: {error:?}");
            }
        }

        before.wait_for("unusual_but_valid_answers_are_read");
    });
}

#[test]
fn a_refused_connection_is_told() {
    alone(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let before = Census::take();
        for call in Call::ALL {
            let error = call.run(&options(url.clone()), &call_options()).unwrap_err();
            assert_eq!(error.code, Code::Connect, "{call:?}");
            assert_eq!(error.os_error, Some(crate::support::system::CONNECTION_REFUSED));
            assert!(!error.outcome_unknown && error.retryable);
            assert_eq!(error.attempts > 1, call.is_repeatable());
        }
        before.wait_for("refused");
    });
}

#[test]
fn an_unreachable_address_is_told() {
    alone(|| {
        let before = Census::take();
        // No packet leaves the machine: TCP cannot be sent to a multicast address.
        for call in Call::ALL {
            let error = call.run(&options("https://224.0.0.1".into()), &call_options()).unwrap_err();
            assert_eq!(error.code, Code::Connect, "{call:?}: {error}");
            assert!(error.os_error.is_some() && !error.outcome_unknown);
        }
        before.wait_for("unreachable");
    });
}

#[test]
fn a_name_that_does_not_exist_is_told() {
    // RFC 6761: "invalid" never resolves. Where no resolver answers, the deadline ends the call, and
    // the thread that still asks, one for all of them, is the one thing that outlives it.
    for call in Call::ALL {
        let error = call.run(&options("https://nowhere.invalid".into()), &call_options()).unwrap_err();
        let expected = [Code::Dns, Code::RequestTimeout, Code::Timeout];
        assert!(expected.contains(&error.code), "{call:?}: {error}");
        assert!(!error.outcome_unknown && error.retryable);
    }
}

#[test]
fn a_server_that_never_accepts_is_silent() {
    alone(|| {
        let before = Census::take();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        for call in Call::ALL {
            let error = call.run(&options(url.clone()), &call_options()).unwrap_err();
            // A busy machine may begin a repeat that the deadline ends.
            let codes = [Code::RequestTimeout, Code::Timeout];
            assert!(
                codes[..1 + usize::from(call.is_repeatable())].contains(&error.code),
                "{call:?}: {error}"
            );
            assert_eq!(error.outcome_unknown, call.asks_a_person());
        }
        drop(listener);
        before.wait_for("never accepted");
    });
}

/// A listener whose queue is full (Windows refuses then): the system drops whatever else wants to connect, as a dead host
/// would. It stays so as long as what is returned lives.
#[cfg(target_os = "linux")]
fn dead_listener() -> (TcpListener, Vec<TcpStream>) {
    use std::os::fd::AsRawFd;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // SAFETY: the descriptor is open; listening again only changes the length of the queue.
    unsafe { libc::listen(listener.as_raw_fd(), 0) };
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the queue is never full");
    }
    (listener, waiting)
}

#[test]
#[cfg(target_os = "linux")]
fn a_dead_address_does_not_keep_the_other_family_from_being_tried() {
    alone(|| {
        let before = Census::take();
        let (dead, waiting) = dead_listener();
        let port = dead.local_addr().unwrap().port();
        let Ok(live) = TcpListener::bind(("::1", port)) else {
            println!("not tried: no IPv6 here, or the port is taken");
            return;
        };
        for call in Call::ALL {
            let server = live.try_clone().unwrap();
            let answer = sized(&call.success());
            let thread = std::thread::spawn(move || {
                let (mut stream, _) = server.accept().unwrap();
                let _ = stream.read(&mut [0; 4096]);
                stream.write_all(answer.as_bytes()).unwrap();
            });
            // "localhost" is 127.0.0.1 and then ::1.
            let result = call.run(
                &options(format!("http://localhost:{port}")).request_timeout(Duration::from_secs(10)),
                &CallOptions::new().timeout(Duration::from_secs(10)),
            );
            assert!(result.is_ok(), "{call:?}: {result:?}");
            thread.join().unwrap();
        }
        drop((dead, waiting, live));
        before.wait_for("a dead address");
    });
}

#[test]
fn an_answer_that_comes_before_the_request_is_read_as_http_reads_it() {
    alone(|| {
        let before = Census::take();
        for call in Call::ALL {
            for (answer, expected) in [
                (sized(&call.success()), None),
                ("HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n".to_owned(), Some(Code::HttpStatus)),
            ] {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let url = format!("http://{}", listener.local_addr().unwrap());
                let server = std::thread::spawn(move || {
                    let (mut stream, _) = listener.accept().unwrap();
                    stream.write_all(answer.as_bytes()).unwrap();
                    let _ = stream.read(&mut [0; 4096]);
                });
                let result = call.run(&options(url), &call_options());
                assert_eq!(result.as_ref().err().map(|e| e.code), expected, "{call:?}: {result:?}");
                server.join().unwrap();
            }
        }
        before.wait_for("an early answer");
    });
}

#[test]
fn an_unasked_answer_is_never_taken_for_an_answer() {
    alone(|| {
        let before = Census::take();
        for call in Call::ALL {
            check_unasked_answers(call);
        }
        before.wait_for("unasked answers");
    });
}

/// As large as the client's first buffer, exactly: what comes behind it lies just behind it.
fn fills_a_buffer(answer: &str) -> String {
    let padding = 4096 - answer.len() - "X: \r\n".len();
    let filling = answer.replacen("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "p".repeat(padding)), 1);
    assert_eq!(filling.len(), 4096);
    filling
}

fn check_unasked_answers(call: Call) {
    type Answer = fn(String, String) -> Reply;
    let answers: [(&str, Answer); 5] = [
        ("in the same packet", |asked, unasked| Reply::raw(asked + &unasked)),
        ("half of it", |asked, unasked| Reply::raw(asked + &unasked[..unasked.len() / 2])),
        ("behind a full buffer", |asked, unasked| Reply::raw(fills_a_buffer(&asked) + &unasked)),
        ("in a packet of its own", |asked, unasked| Reply {
            pieces: vec![asked.into(), unasked.into()],
            then: Then::KeepOpen,
        }),
        ("one byte", |asked, _| Reply::raw(asked + "H")),
    ];
    for (name, answer) in answers {
        let peer = Peer::new(move |_| answer(sized(&call.success()), sized(call.unasked())));
        let ask = call.of(&peer.options());
        for round in 1..=3 {
            let result = ask(&CallOptions::default());
            assert!(result.is_ok(), "{call:?}: {name}, round {round}: {result:?}");
            peer.wait_until_done(round);
        }
        assert_eq!(peer.connections(), 3, "{call:?}: {name}");
    }
}

#[test]
fn an_unasked_approval_is_never_taken_for_an_answer() {
    let denied = r#"{"result":0,"transaction_status":1,"transaction_complete_result":1}"#;
    let reply = Reply::raw(sized(denied) + &sized(Call::Status.unasked()));
    let peer = Peer::new(move |_| reply.clone());
    let client = peer.hyperid();
    for _ in 0..3 {
        let read = client.status("t", 3, &CallOptions::default()).unwrap();
        assert_eq!(read.raw_complete_result, Some(1));
    }
}

#[test]
fn a_redirect_is_never_followed() {
    alone(|| {
        let before = Census::take();
        let elsewhere = Peer::new(|_| Reply::json(r#"{"result":0,"is_available":true}"#));
        for status in [301, 302, 303, 307, 308] {
            let location = format!("Location: {}/mfa-client/availability-check\r\n", elsewhere.url());
            for call in Call::ALL {
                let (error, _) = outcome(call, Reply::with_headers(status, &location, ""), SHORT);
                assert_eq!(error.unwrap().code, Code::HttpStatus, "{call:?} {status}");
            }
        }
        assert_eq!(elsewhere.connections(), 0);
        drop(elsewhere);

        before.wait_for("a_redirect_is_never_followed");
    });
}

#[test]
fn connections_are_kept_and_shared() {
    let peer = Peer::new(|_| Reply::json(r#"{"result":0,"is_available":true}"#));
    let client = peer.hyperid();
    for _ in 0..50 {
        client.availability("t", &CallOptions::default()).unwrap();
    }
    assert_eq!(peer.connections(), 1);
    let closing = Peer::new(|_| {
        Reply::with_headers(200, "Connection: close\r\n", r#"{"result":0,"is_available":true}"#)
    });
    let client = closing.hyperid();
    for _ in 0..5 {
        client.availability("t", &CallOptions::default()).unwrap();
    }
    assert_eq!(closing.connections(), 5);
}

#[test]
fn idle_connections_are_bounded() {
    let peer = Peer::new(|_| Reply::json(r#"{"result":0,"is_available":true}"#));
    let client = HyperId::new(&peer.options().max_idle_connections(2)).unwrap();
    for _ in 0..3 {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| client.availability("t", &CallOptions::default()).unwrap());
            }
        });
    }
    let before = peer.connections();
    client.availability("t", &CallOptions::default()).unwrap();
    assert_eq!(peer.connections(), before);
}

#[test]
fn a_large_token_and_question_travel_whole() {
    let peer = Peer::new(|request| {
        Reply::json(&format!(r#"{{"result":0,"transaction_id":{}}}"#, request.number + 1))
    });
    let client = peer.hyperid();
    let token = "t".repeat(16_384);
    let question = "ü".repeat(16_000);
    for size in [1, 100, 2_000, 16_384] {
        let request = Request::new().question(&question[..2 * (size / 2).max(1)]);
        client.start(&token[..size], &request, &CallOptions::default()).unwrap();
        let sent = peer.requests().pop().unwrap();
        assert_eq!(sent.header("authorization").unwrap().len(), "Bearer ".len() + size);
    }
    assert_eq!(peer.connections(), 1);
}
