//! HTTP itself: what is taken, what is refused, and that nothing makes the server fall over.

mod common;

use common::*;
use std::io::Write;

/// The answer to raw bytes after which nothing more is sent.
fn raw(bytes: &[u8]) -> Result<Answer, String> {
    let sandbox = sandbox();
    let mut client = connect(sandbox.hyperid_url());
    // The server may refuse and close before all is written.
    let _ = client.stream.write_all(bytes);
    let _ = client.stream.shutdown(std::net::Shutdown::Write);
    let answer = client.read();
    if let Ok(answer) = &answer {
        assert_eq!(answer.header("connection"), Some("close"), "{}", answer.head);
        assert!(client.ended());
    }
    // It still works for others.
    assert_eq!(post(&sandbox, AVAILABILITY, "sandbox-phone", "{}").result(), 0);
    answer
}

#[test]
fn what_is_no_request_is_refused() {
    let big = "x".repeat(70_000);
    let many = "A: b\r\n".repeat(101);
    for (bytes, status) in [
        ("nonsense\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx".to_owned(), 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
                .to_owned(),
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n".to_owned(), 413),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n".to_owned(), 413),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(), 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc".to_owned(), 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n".to_owned(),
            413,
        ),
        (format!("POST / HTTP/1.1\r\nHost: a\r\nX: {big}\r\n\r\n"), 431),
        (format!("POST / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431),
    ] {
        let short: String = bytes.chars().take(90).collect();
        assert_eq!(raw(bytes.as_bytes()).map(|a| a.status), Ok(status), "{short}");
    }
}

#[test]
fn what_stops_in_the_middle_gets_nothing() {
    for bytes in ["", "POST", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc"] {
        assert!(raw(bytes.as_bytes()).is_err(), "{bytes}");
    }
}

#[test]
fn method_type_and_path() {
    let sandbox = sandbox();
    let ask = |line: &str| {
        exchange(&sandbox, &format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"), "{}")
    };
    for path in [AVAILABILITY, TYPES, START, STATUS, CANCEL, REGISTERED] {
        let get = ask(&format!("GET {path}"));
        assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
        assert_eq!(ask(&format!("POST {path}")).status, 415);
    }
    assert_eq!(ask("POST /").status, 404);
    assert_eq!(ask("POST /mfa-client/transaction/start").status, 404);
    assert_eq!(ask("HEAD /").text(), "");
}

#[test]
fn connections_are_kept_and_requests_may_be_pipelined() {
    let sandbox = sandbox();
    let mut client = connect(sandbox.hyperid_url());
    for _ in 0..3 {
        assert_eq!(client.post(AVAILABILITY, Some("sandbox-phone"), "{}").unwrap().result(), 0);
    }
    client.send_post(AVAILABILITY, Some("sandbox-phone"), "{}");
    client.send_post(TYPES, Some("sandbox-phone"), "{}");
    assert_eq!(client.read().unwrap().json()["is_available"], true);
    assert!(client.read().unwrap().json()["auth_types"].is_array());
    assert_eq!(sandbox.connection_count(), 1);
}

#[test]
fn chunked_requests_are_put_together() {
    let sandbox = sandbox();
    let mut client = connect(sandbox.hyperid_url());
    let head = format!(
        "POST {AVAILABILITY} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sandbox-phone\r\nContent-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    for _ in 0..2 {
        client.send(format!("{head}1;a=b\r\n{{\r\n").as_bytes());
        client.send(b"1\r\n}\r\n0\r\nTrailer: x\r\n\r\n");
        assert_eq!(client.read().unwrap().result(), 0);
    }
    assert_eq!(sandbox.requests()[1].text(), "{}");
}

#[test]
fn the_client_may_ask_to_close() {
    let sandbox = sandbox();
    for head in ["HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", "HTTP/1.0\r\n"] {
        let mut client = connect(sandbox.hyperid_url());
        client.send(
            format!("POST {AVAILABILITY} {head}Content-Type: application/json\r\nContent-Length: 0\r\n\r\n")
                .as_bytes(),
        );
        assert_eq!(client.read().unwrap().header("connection"), Some("close"));
        assert!(client.ended());
    }
}

#[test]
fn an_idle_connection_is_closed() {
    let options =
        mfa_sandbox::Options { idle_timeout: std::time::Duration::from_millis(400), ..Default::default() };
    let sandbox = sandbox_with(options);
    assert!(connect(sandbox.hyperid_url()).ended(), "one that never asks");
    // On a busy machine it may be closed before it has asked: then another one.
    let mut client = connect(sandbox.hyperid_url());
    eventually("an answer in time", || {
        client = connect(sandbox.hyperid_url());
        client.post(AVAILABILITY, Some("sandbox-phone"), "{}").is_ok_and(|answer| answer.result() == 0)
    });
    assert!(client.ended(), "one that has been answered");
}
