//! The table of docs/moving.md: each answer comes as its first column says, a reader who takes the complete result alone
//! for the answer approves where the second one says so, and libmfa says what the third one says.
//!
//! The requests are written here by hand, so that what comes back is no reading of libmfa's.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use mfa::{CallOptions, ClientOptions, Error, HyperId, Request};
use mfa_sandbox::{Decision, Options, Sandbox};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../docs/moving.md");

/// A provider, and a client of it.
struct Provider {
    sandbox: Sandbox,
    client: HyperId,
}

impl Provider {
    fn new() -> Provider {
        let sandbox = Sandbox::start(Options { strict: true, ..Options::default() }).unwrap();
        let options = ClientOptions::new().base_url(sandbox.hyperid_url()).allow_loopback_http(true);
        Provider { client: HyperId::new(&options).unwrap(), sandbox }
    }

    fn start(&self, token: &str) -> i64 {
        self.client.start(token, &Request::new().question("Pay 12.00?"), &patient()).unwrap()
    }

    /// The body of the answer to a request that libmfa has no part in.
    fn raw(&self, call: &str, token: &str, id: i64) -> String {
        let address = self.sandbox.hyperid_url().strip_prefix("http://").unwrap().to_owned();
        let body = json!({ "transaction_id": id }).to_string();
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        write!(
            stream,
            "POST /mfa-client/transaction/{call} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        body.to_owned()
    }

    fn status(&self, token: &str, id: i64) -> String {
        match self.client.status(token, id, &patient()) {
            Ok(transaction) => format!("MFA_DECISION_{:?}", transaction.decision).to_uppercase(),
            Err(error) => name(&error),
        }
    }

    fn cancel(&self, token: &str, id: i64) -> String {
        self.client.cancel(token, id, &patient()).map_or_else(|error| name(&error), |()| "MFA_OK".to_owned())
    }
}

fn patient() -> CallOptions<'static> {
    CallOptions::new().timeout(Duration::from_secs(30))
}

fn name(error: &Error) -> String {
    error.code.name().to_owned()
}

/// The complete result alone, and 0 where there is none: as a client reads it whose integers are 0 by default.
fn careless(body: &str) -> &'static str {
    let answer: Value = serde_json::from_str(body).unwrap();
    if answer["transaction_complete_result"].as_i64().unwrap_or(0) == 0 { "approved" } else { "denied" }
}

/// The page's rows: what libmfa says, and how else it may be read, by the answer.
fn rows() -> BTreeMap<&'static str, (&'static str, &'static str)> {
    let table = PAGE.split("| the answer |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| "));
    let cells = rows.map(|row| row.trim_matches(['|', ' ']).split(" | ").collect::<Vec<_>>());
    cells.map(|cells| (cells[0], (cells[2].split('`').nth(1).unwrap_or(cells[2]), cells[1]))).collect()
}

#[test]
fn each_row_of_the_page_for_those_who_move_is_so() {
    let mut rows = rows();
    let provider = Provider::new();
    let mut row =
        |answer: &str| rows.remove(answer).unwrap_or_else(|| panic!("the page has no row: {answer}"));

    for (answer, token, field) in [
        ("status 0 (pending), complete result 0", "sandbox-phone#a", json!(0)),
        ("status 1, no complete result", "sandbox-phone+complete-result-missing#b", json!(1)),
        ("another transaction's id", "sandbox-phone+wrong-id#c", json!(1)),
        ("an unknown status", "sandbox-phone+unknown-status#d", json!(7)),
    ] {
        let id = provider.start(token);
        if field == json!(1) {
            provider.sandbox.decide(id, Decision::Approve).unwrap();
        }
        let body = provider.raw("status-get", token, id);
        let seen: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&seen["result"], &seen["transaction_status"]), (&json!(0), &field), "{answer}: {body}");
        assert_eq!(seen["transaction_id"] == json!(id), !token.contains("wrong-id"), "{body}");
        assert_eq!(seen.get("transaction_complete_result").is_none(), token.contains("missing"), "{body}");
        let (ours, elsewhere) = row(answer);
        assert_eq!(provider.status(token, id), ours, "{answer}");
        if elsewhere.starts_with("approved") {
            assert_eq!(careless(&body), "approved", "{answer}");
        }
    }

    for (answer, decision, result) in [
        ("cancel refused with −8, already expired", Decision::Expire, -8),
        ("cancel refused with −9, already completed", Decision::Approve, -9),
        ("cancel refused with −10, already cancelled", Decision::Decline, -10),
    ] {
        let token = format!("sandbox-phone#cancel{result}");
        let id = provider.start(&token);
        provider.sandbox.decide(id, decision).unwrap();
        let body = provider.raw("cancel", &token, id);
        assert_eq!(body, json!({ "result": result }).to_string());
        assert_eq!(provider.cancel(&token, id), row(answer).0);
    }

    let id = provider.start("sandbox-phone#scope");
    let token = "sandbox-phone+no-scope@status#scope";
    assert_eq!(provider.raw("status-get", token, id), json!({ "result": -3 }).to_string());
    assert_eq!(provider.status(token, id), row("−3, the scope is missing").0);

    let token = "sandbox-html-200@status#scope";
    assert!(provider.raw("status-get", token, id).contains("<html"));
    assert_eq!(provider.status(token, id), row("a page of a proxy's under HTTP 200").0);

    assert!(rows.is_empty(), "not looked at: {rows:?}");
}
