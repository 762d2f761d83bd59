//! Log lines: one for each request, nothing secret, nothing when off.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mfa::{CallOptions, HyperId, LogLevel, Request};

use crate::support::alone::alone;
use crate::support::system::SLOWNESS;
use crate::support::{Peer, Reply};

const TOKEN: &str = "very-secret-token";

fn lines_of(level: LogLevel, replies: Vec<Reply>) -> Vec<(LogLevel, String)> {
    let peer = Peer::scripted(replies);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = lines.clone();
    let options = peer
        .options()
        .log_level(level)
        .log(move |level, line: &str| sink.lock().unwrap().push((level, line.to_owned())));
    let client = HyperId::new(&options).unwrap();
    let call = CallOptions::new().timeout(Duration::from_secs(20));
    let _ = client.availability(TOKEN, &call);
    let request = Request::new().question("very-secret-question");
    let _ = client.start(TOKEN, &request, &call);
    lines.lock().unwrap().clone()
}

fn answers() -> Vec<Reply> {
    vec![
        Reply::status(503, "very-secret-answer"),
        Reply::json(r#"{"result":0,"is_available":true}"#),
        Reply::json(r#"{"result":0,"transaction_id":3}"#),
    ]
}

#[test]
fn each_request_has_a_line_at_debug() {
    let lines = lines_of(LogLevel::Debug, answers());
    let texts: Vec<_> =
        lines.iter().filter(|(l, _)| *l == LogLevel::Debug).map(|(_, t)| t.as_str()).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts[0].starts_with("POST /mfa-client/availability-check HTTP 503 "), "{}", texts[0]);
    assert!(texts[0].contains("request 1, new connection"), "{}", texts[0]);
    assert!(
        texts[1].contains("HTTP 200") && texts[1].contains("request 2, pooled connection"),
        "{}",
        texts[1]
    );
    assert!(
        texts[2].contains("/transaction/start/v2") && texts[2].contains("request 1, pooled"),
        "{}",
        texts[2]
    );
    assert!(lines.iter().all(|(_, text)| !text.contains("very-secret")), "{lines:?}");
}

#[test]
fn a_level_keeps_what_lies_beyond_it_out() {
    let warnings = lines_of(LogLevel::Warn, answers());
    // The connection in clear, and the repeated request.
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings.iter().all(|(level, _)| *level == LogLevel::Warn));
    assert!(warnings[0].1.contains("not encrypted"), "{warnings:?}");
    assert!(lines_of(LogLevel::Off, answers()).is_empty());
    assert!(lines_of(LogLevel::Error, answers()).is_empty());
}

#[test]
fn a_sink_may_call_the_library() {
    let inner = Arc::new(Peer::scripted(vec![Reply::json(r#"{"result":0,"is_available":false}"#)]));
    let outer = Peer::scripted(vec![Reply::json(r#"{"result":0,"is_available":true}"#)]);
    let inner_client = inner.hyperid();
    let answers = Arc::new(Mutex::new(Vec::new()));
    let theirs = answers.clone();
    let options = outer.options().log_level(LogLevel::Debug).log(move |level, _: &str| {
        if level == LogLevel::Debug {
            theirs.lock().unwrap().push(inner_client.availability("t", &CallOptions::default()).unwrap());
        }
    });
    let client = HyperId::new(&options).unwrap();
    assert!(client.availability("t", &CallOptions::default()).unwrap());
    assert!(client.availability("t", &CallOptions::default()).unwrap());
    assert_eq!(*answers.lock().unwrap(), [false, false]);
}

/// A log sink that keeps the call from its next attempt until the deadline has passed.
#[test]
fn a_deadline_before_the_next_attempt_returns_the_last_failure() {
    let peer = Peer::new(|_| Reply::status(503, ""));
    let timeout = SLOWNESS * Duration::from_millis(800);
    let until = std::time::Instant::now() + timeout + Duration::from_millis(200);
    let options = peer.options().log_level(LogLevel::Warn).log(move |_, line: &str| {
        while line.starts_with("again in") && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let client = HyperId::new(&options).unwrap();
    let call = CallOptions::new().timeout(timeout);
    let error = client.availability(TOKEN, &call).unwrap_err();
    assert_eq!((error.code, error.http_status, error.attempts), (mfa::Code::Unavailable, Some(503), 1));
    assert!(error.retryable);
}

/// What a host's own logger hears at its loudest. Bytes are logged in rows of sixteen, in hexadecimal;
/// joined again, what is cut between two rows is found as well.
struct Loudest(Mutex<String>);

impl log::Log for Loudest {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = record.args().to_string();
        let mut heard = self.0.lock().unwrap();
        match bytes_of(&line) {
            Some(bytes) => heard.push_str(&bytes),
            None => heard.push_str(&line),
        }
    }

    fn flush(&self) {}
}

/// "504f 5354 20-- ...  POST .": the bytes of such a row.
fn bytes_of(row: &str) -> Option<String> {
    let hexadecimal = row.get(..40)?.replace([' ', '-'], "");
    let pairs = hexadecimal.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().map(char::from)).collect()
}

static LOUDEST: Loudest = Loudest(Mutex::new(String::new()));

#[test]
fn nothing_secret_reaches_a_host_s_own_logger() {
    // A logger is the whole process's.
    alone(|| {
        log::set_logger(&LOUDEST).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        let peer = Peer::scripted(vec![
            Reply::json(r#"{"result":0,"transaction_id":3}"#),
            Reply::json(r#"{"status":{"success":true,"code":200}}"#),
        ]);
        let header = ("X-Own".to_owned(), zeroize::Zeroizing::new("very-secret-header".to_owned()));
        let options = peer.options().headers(vec![header]);
        let call = CallOptions::new().timeout(Duration::from_secs(20));
        let request = Request::new().question("very-secret-question");
        HyperId::new(&options).unwrap().start(TOKEN, &request, &call).unwrap();
        mfa::Capillary::new(&options).unwrap().is_mfa_registered("b", "d", TOKEN, &call).unwrap();
        let heard = LOUDEST.0.lock().unwrap().clone();
        assert!(heard.contains("/mfa-client/transaction/start/v2"), "nothing was heard: {heard}");
        // Answers are another matter: src/lib.rs.
        for secret in [TOKEN, "very-secret-question", "very-secret-header"] {
            assert!(!heard.contains(secret), "{secret} was logged");
        }
    });
}
