//! The interface for tests in other languages: what it can do, and that no web page can use it.

mod common;

use common::*;
use mfa_sandbox::{Options, Sandbox, Status};
use serde_json::{Value, json};

fn host(sandbox: &Sandbox) -> String {
    address(sandbox.control_url()).to_owned()
}

fn ask(sandbox: &Sandbox, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    exchange(sandbox, &format!("{line} HTTP/1.1\r\n{headers}"), body)
}

/// A call as a program makes it.
fn call(sandbox: &Sandbox, line: &str, body: &Value) -> Answer {
    let (method, name) = line.split_once(' ').unwrap();
    let body = if method == "GET" { String::new() } else { body.to_string() };
    let (host, key) = (host(sandbox), sandbox.control_key());
    let headers = [("Host", host.as_str()), ("Sandbox-Key", key), ("Content-Type", "application/json")];
    ask(sandbox, &format!("{method} /sandbox/v1{name}"), &headers, &body)
}

fn good(sandbox: &Sandbox, line: &str, body: Value) -> Value {
    let answer = call(sandbox, line, &body);
    assert_eq!(answer.status, 200, "{line} {body}: {}", answer.text());
    answer.json()
}

fn refused(sandbox: &Sandbox, line: &str, body: Value, status: u16) -> String {
    let answer = call(sandbox, line, &body);
    assert_eq!(answer.status, status, "{line} {body}: {}", answer.text());
    answer.json()["error"].as_str().unwrap().to_owned()
}

#[test]
fn a_whole_test_by_http_alone() {
    let sandbox = sandbox();
    good(&sandbox, "POST /first-id", json!({ "first_id": 7 }));
    good(&sandbox, "POST /users", json!({ "name": "ann", "methods": [1], "registered": false }));
    let token =
        good(&sandbox, "POST /tokens", json!({ "user": "ann" }))["token"].as_str().unwrap().to_owned();
    assert_eq!(post(&sandbox, TYPES, &token, "{}").first_method(), 1);
    assert_eq!(registered(&sandbox, "demo-brand", &token).code(), 404);
    assert_eq!(start(&sandbox, &token), 7);
    let found = good(&sandbox, "POST /next-transaction", json!({}))["transaction"].clone();
    assert_eq!((&found["transaction_id"], &found["user"]), (&json!(7), &json!("ann")));
    assert_eq!(
        (&found["outcome"], &found["question"], &found["code"]),
        (&json!("pending"), &json!("Pay?"), &json!("42"))
    );
    good(&sandbox, "POST /decide", json!({ "transaction_id": 7, "decision": "deny" }));
    assert_eq!(status(&sandbox, &token, 7), (1, 1));
    assert_eq!(
        refused(&sandbox, "POST /decide", json!({ "transaction_id": 7, "decision": "approve" }), 409),
        "the transaction has ended: Completed"
    );
    assert!(good(&sandbox, "POST /next-transaction", json!({ "timeout_ms": 0 }))["transaction"].is_null());
    let all = good(&sandbox, "GET /transactions", json!(null));
    assert_eq!(
        (&all["transactions"][0]["outcome"], &all["transactions"][0]["polls"]),
        (&json!("denied"), &json!(1))
    );

    assert_eq!(
        good(&sandbox, "POST /wait-for-requests", json!({ "path": STATUS, "count": 1 }))["arrived"],
        true
    );
    assert_eq!(
        good(&sandbox, "POST /wait-for-requests", json!({ "count": 99, "timeout_ms": 1 }))["arrived"],
        false
    );
    let seen = good(&sandbox, "GET /requests", json!(null));
    assert_eq!(seen["total"], 4, "its own calls are not among them");
    let last = &seen["requests"][3];
    assert_eq!(
        (&last["method"], &last["path"], &last["body"]),
        (&json!("POST"), &json!(STATUS), &json!(id_body(7)))
    );
    assert!(
        last["headers"].as_array().unwrap().contains(&json!(["Authorization", format!("Bearer {token}")]))
    );
    good(&sandbox, "POST /clear-requests", json!({}));
    assert_eq!(good(&sandbox, "GET /requests", json!(null))["requests"], json!([]));
    let about = good(&sandbox, "GET ", json!(null));
    assert_eq!(
        (&about["pushes"], &about["requests"], &about["strict"]),
        (&json!(1), &json!(4), &json!(true))
    );

    good(&sandbox, "POST /expire-token", json!({ "token": token }));
    assert_eq!(post(&sandbox, AVAILABILITY, &token, "{}").result(), -4);
    good(&sandbox, "POST /revoke-token", json!({ "token": token }));
    assert_eq!(post(&sandbox, AVAILABILITY, &token, "{}").result(), -5);
    good(&sandbox, "POST /tokens", json!({ "token": "mine", "behaviour": "no-app" }));
    assert_eq!(post(&sandbox, START, "mine", QUESTION).result(), -7);
    good(
        &sandbox,
        "POST /tokens",
        json!({ "token": "short", "user": "bob", "scopes": ["mfa-client"], "lives_ms": 60000 }),
    );
    assert_eq!(post(&sandbox, TYPES, "short", "{}").result(), -3);
    good(&sandbox, "POST /brands", json!({ "brand": "mine", "mfa": false }));
    assert_eq!(registered(&sandbox, "mine", "sandbox-registered").code(), 1513);
}

#[test]
fn each_decision_has_its_name() {
    let sandbox = sandbox();
    for (decision, outcome, ends) in [
        ("approve", "approved", (1, 0)),
        ("deny", "denied", (1, 1)),
        ("decline", "cancelled", (4, 0)),
        ("fail", "failed", (3, 0)),
        ("expire", "expired", (2, 0)),
    ] {
        let id = start(&sandbox, "sandbox-phone");
        good(&sandbox, "POST /decide", json!({ "transaction_id": id, "decision": decision }));
        assert_eq!(status(&sandbox, "sandbox-phone", id), ends, "{decision}");
        let all = good(&sandbox, "GET /transactions", json!(null));
        let last = all["transactions"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(last["outcome"], outcome);
    }
}

#[test]
fn a_reset_forgets_everything() {
    let sandbox = sandbox();
    good(&sandbox, "POST /first-id", json!({ "first_id": 1 }));
    good(&sandbox, "POST /tokens", json!({ "token": "mine", "user": "ann" }));
    good(&sandbox, "POST /brands", json!({ "brand": "mine", "mfa": true }));
    assert_eq!((start(&sandbox, "mine"), start(&sandbox, "mine")), (1, 2));
    assert!(refused(&sandbox, "POST /first-id", json!({ "first_id": 2 }), 409).contains("reset first"));
    good(&sandbox, "POST /first-id", json!({ "first_id": 3 }));
    good(&sandbox, "POST /reset", json!({}));
    assert!(sandbox.transactions().is_empty() && sandbox.requests().is_empty());
    assert_eq!((sandbox.push_count(), sandbox.request_count()), (0, 0));
    assert_eq!(post(&sandbox, AVAILABILITY, "mine", "{}").result(), -5);
    assert_eq!(registered(&sandbox, "mine", "sandbox-registered").code(), 1504);
    assert_eq!(start(&sandbox, "sandbox-phone"), 3, "ids go on");
    good(&sandbox, "POST /reset", json!({ "first_id": 1 }));
    assert_eq!(start(&sandbox, "sandbox-phone"), 1);
    assert_eq!(sandbox.push_count(), 1);
}

/// A card that stays open over a reset must not decide what looks the same and has the same id.
#[test]
fn a_card_of_before_a_reset_decides_nothing() {
    let sandbox = sandbox();
    let host = host(&sandbox);
    let list = || ask(&sandbox, "GET /phone/api/requests", &[("Host", &host)], "").json();
    good(&sandbox, "POST /reset", json!({ "first_id": 1 }));
    start(&sandbox, "sandbox-phone");
    let old = list();
    good(&sandbox, "POST /reset", json!({ "first_id": 1 }));
    assert_eq!(start(&sandbox, "sandbox-phone"), 1);
    assert!(list()["version"].as_u64() > old["version"].as_u64(), "a page that waits learns of it");
    let origin = format!("http://{host}");
    let headers = [("Host", host.as_str()), ("Origin", &origin), ("Content-Type", "application/json")];
    let press = |seen: &Value| {
        let body = json!({ "run": old["run"], "id": "1", "seen": seen, "decision": "approve" });
        ask(&sandbox, "POST /phone/api/decide", &headers, &body.to_string()).status
    };
    assert_eq!(press(&old["pending"][0]["seen"]), 412);
    assert_eq!(sandbox.transaction(1).unwrap().status, Status::Pending);
    assert_eq!(press(&list()["pending"][0]["seen"]), 200);
}

#[test]
fn what_is_wrong_is_said() {
    let sandbox = sandbox();
    for (line, body, status, said) in [
        ("POST /decide", json!({ "transaction_id": 5, "decision": "approve" }), 404, "no such transaction"),
        (
            "POST /decide",
            json!({ "transaction_id": 5, "decision": "aprove" }),
            400,
            "there are approve, deny, decline",
        ),
        (
            "POST /decide",
            json!({ "transaction_id": 5, "decision": { "approve": null } }),
            400,
            "expected a string",
        ),
        ("POST /decide", json!({ "transaction_id": "5", "decision": "approve" }), 400, "expected i64"),
        ("POST /decide", json!({ "transaction_id": 5 }), 400, "missing field `decision`"),
        ("POST /decide", json!([5, "approve"]), 400, "must be a JSON object"),
        ("POST /users", json!({ "name": "ann", "behaviour": "aprove" }), 400, "did you mean approve?"),
        ("POST /users", json!({ "name": "ann", "method": [0] }), 400, "unknown field `method`"),
        ("POST /tokens", json!({ "token": "t", "behaviour": "aprove" }), 400, "did you mean approve?"),
        ("POST /tokens", json!({ "token": "t" }), 400, "a behaviour, or a user"),
        (
            "POST /tokens",
            json!({ "token": "t", "user": "a", "behaviour": "deny" }),
            400,
            "a behaviour, or a user",
        ),
        (
            "POST /tokens",
            json!({ "token": "t", "behaviour": "deny", "lives_ms": 5 }),
            400,
            "a behaviour, or a user",
        ),
        ("POST /revoke-token", json!({ "token": "t" }), 404, "no such token"),
        ("POST /first-id", json!({ "first_id": 0 }), 409, "must be 1 to"),
        ("POST /reset", json!({ "first_id": -1 }), 400, "must be 1 to"),
        ("POST /moon", json!({}), 404, "/sandbox/v1/next-transaction"),
        ("POST /transactions", json!({}), 405, "called by GET"),
        ("GET /decide", json!({}), 405, "called by POST"),
    ] {
        let why = refused(&sandbox, line, body, status);
        assert!(why.contains(said), "{line}: {why}");
    }
    let (host, key) = (host(&sandbox), sandbox.control_key());
    let text = [("Host", host.as_str()), ("Sandbox-Key", key), ("Content-Type", "text/plain")];
    assert_eq!(ask(&sandbox, "POST /sandbox/v1/reset", &text, "{}").status, 415);
    assert_eq!(ask(&sandbox, "POST /sandbox/v1/reset", &text[..2], "").status, 200, "curl -X POST");
}

/// Whatever a page can send, whichever names it gives this machine, and even if it knew the key.
#[test]
fn no_web_page_can_use_it() {
    let sandbox = sandbox_with(Options {
        allow_origins: vec!["http://localhost:3000".to_owned()],
        ..Options::default()
    });
    let id = start(&sandbox, "sandbox-phone");
    let (own, key) = (host(&sandbox), sandbox.control_key().to_owned());
    let port = sandbox.address().port();
    let (own_origin, rebound) = (format!("http://{own}"), format!("evil.example:{port}"));
    let rebound_origin = format!("http://{rebound}");
    let body = json!({ "transaction_id": id, "decision": "approve" }).to_string();
    let json = ("Content-Type", "application/json");
    let with_key = ("Sandbox-Key", key.as_str());
    let refused: &[&[(&str, &str)]] = &[
        // DNS rebinding.
        &[("Host", &rebound), with_key, json],
        &[("Host", &rebound), ("Origin", &rebound_origin), with_key, json],
        &[("Host", "localhost"), with_key, json],
        // A page that sends what it may only send with leave, which it never gets; its own, and those under development.
        &[("Host", &own), ("Origin", "http://evil.example"), with_key, json],
        &[("Host", &own), ("Origin", "null"), with_key, json],
        &[("Host", &own), ("Origin", &own_origin), with_key, json],
        &[("Host", &own), ("Origin", "http://localhost:3000"), with_key, json],
        &[("Host", &own), ("Sec-Fetch-Site", "cross-site"), with_key, json],
        &[("Host", &own), ("Sec-Fetch-Site", "same-origin"), with_key, json],
        &[("Host", &own), ("Sec-Fetch-Site", "none"), with_key, json],
        &[("Host", &own), ("Referer", "http://evil.example/"), with_key, json],
    ];
    for headers in refused {
        assert_eq!(ask(&sandbox, "POST /sandbox/v1/decide", headers, &body).status, 403, "{headers:?}");
        assert_eq!(ask(&sandbox, "GET /sandbox/v1/requests", headers, "").status, 403, "{headers:?}");
    }
    // Without the key, with another, with two: what a page can send without leave has none.
    let longer = format!("{key}0");
    for headers in [
        &[("Host", own.as_str()), json][..],
        &[("Host", own.as_str()), ("Sandbox-Key", ""), json],
        &[("Host", own.as_str()), ("Sandbox-Key", &key[..31]), json],
        &[("Host", own.as_str()), ("Sandbox-Key", &longer), json],
        &[("Host", own.as_str()), with_key, with_key, json],
        &[("Host", own.as_str()), ("Authorization", &key), json],
    ] {
        assert_eq!(ask(&sandbox, "POST /sandbox/v1/decide", headers, &body).status, 401, "{headers:?}");
    }
    assert_eq!(
        ask(&sandbox, &format!("POST /sandbox/v1/decide?key={key}"), &[("Host", &own), json], &body).status,
        401
    );
    // Its question is never answered with yes.
    for origin in ["http://evil.example", "http://localhost:3000", &own_origin] {
        for path in ["/sandbox/v1/decide", "/phone/api/decide"] {
            let headers = [
                ("Host", own.as_str()),
                ("Origin", origin),
                ("Access-Control-Request-Method", "POST"),
                ("Access-Control-Request-Headers", "content-type, sandbox-key"),
            ];
            let answer = ask(&sandbox, &format!("OPTIONS {path}"), &headers, "");
            assert!(matches!(answer.status, 403 | 405), "{path} {origin}: {}", answer.status);
            assert!(!answer.head.to_lowercase().contains("access-control"), "{}", answer.head);
        }
    }
    assert_eq!(sandbox.transaction(id).unwrap().status, Status::Pending);
    // Node's fetch says how it fetches, but no browser's `Sec-Fetch-Site`.
    let node = [("Host", own.as_str()), ("Sec-Fetch-Mode", "cors"), with_key, json];
    assert_eq!(ask(&sandbox, "POST /sandbox/v1/decide", &node, &body).status, 200);
}

#[test]
fn each_run_has_its_own_key_unless_one_is_given() {
    let (one, two) = (sandbox(), sandbox());
    assert_eq!(one.control_key().len(), 32);
    assert_ne!(one.control_key(), two.control_key());
    let key = "a-key-of-my-own-choice";
    let given = sandbox_with(Options { control_key: Some(key.to_owned()), ..Options::default() });
    assert_eq!(given.control_key(), key);
    good(&given, "GET ", json!(null));
    for wrong in ["", "too-short", "with blanks in it, but long", &"x".repeat(129)] {
        let options = Options { control_key: Some(wrong.to_owned()), ..Options::default() };
        let why = Sandbox::start(options).err().unwrap().to_string();
        assert!(why.contains("16 to 128"), "{why}");
    }
}

/// In a network, too, it is for this machine's programs.
#[test]
fn it_is_not_there_for_the_network() {
    let sandbox = sandbox_with(Options { lan: true, ..Options::default() });
    good(&sandbox, "GET ", json!(null));
    let phone = address(sandbox.phone_url()).to_owned();
    if phone.starts_with("127.") {
        return eprintln!("skipped: this machine has no address but loopback");
    }
    let mut client = connect(&format!("http://{phone}"));
    let key = sandbox.control_key();
    client
        .send(format!("GET /sandbox/v1 HTTP/1.1\r\nHost: {phone}\r\nSandbox-Key: {key}\r\n\r\n").as_bytes());
    assert_eq!(client.read().unwrap().status, 403);
}
