//! Each behaviour of the table is reached by its token alone, and is documented.

mod common;

use common::*;
use mfa_sandbox::{BRAND_WITH_MFA, Sandbox, Status, behaviours};
use std::io::Read;
use std::time::{Duration, Instant};

/// What a token without faults gets.
const AVAILABLE: &str = r#"{"result":0,"is_available":true}"#;

fn available(sandbox: &Sandbox, token: &str) -> Result<Answer, String> {
    try_post(sandbox, AVAILABILITY, token, "{}")
}

fn good(sandbox: &Sandbox, token: &str) -> Answer {
    let answer = available(sandbox, token).unwrap_or_else(|e| panic!("{token}: {e}"));
    assert_eq!((answer.status, answer.text().as_str()), (200, AVAILABLE), "{token}");
    answer
}

fn ends(sandbox: &Sandbox, token: &str, expected: (i64, i64)) {
    let id = start(sandbox, token);
    wait_for_end(sandbox, id);
    assert_eq!(status(sandbox, token, id), expected, "{token}");
}

/// The answer of `status-get` to this token, as text, with the id as `ID`.
fn status_text(sandbox: &Sandbox, token: &str) -> String {
    good(sandbox, token);
    let id = start(sandbox, token);
    let text = post(sandbox, STATUS, token, &id_body(id)).text();
    text.replace(&id.to_string(), "ID").replace(&(id + 1).to_string(), "ID+1")
}

fn shows(sandbox: &Sandbox, token: &str, expected: &str) {
    let expected = expected.replace("OK", r#""result":0,"transaction_id":ID"#);
    assert_eq!(status_text(sandbox, token), expected, "{token}");
}

fn html(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status);
    assert_eq!(answer.header("content-type"), Some("text/html"));
}

/// `lost`: carried out, no whole answer. Returns what was said.
fn lost(sandbox: &Sandbox, token: &str) -> String {
    let before = sandbox.push_count();
    let error = try_post(sandbox, START, token, QUESTION).expect_err(token);
    assert_eq!(sandbox.push_count(), before + 1, "{token}");
    error
}

/// So much of the answer comes, then nothing more, and the connection stays: told by a time limit of our own.
fn hangs(sandbox: &Sandbox, token: &str, after: &str) {
    let before = sandbox.request_count();
    let mut client = connect(sandbox.hyperid_url());
    client.send_post(AVAILABILITY, Some(token), "{}");
    assert!(sandbox.wait_for_requests(None, before + 1, LONG), "{token}");
    while !String::from_utf8_lossy(&client.buffer).contains(after) {
        assert_eq!(client.more(), Ok(true), "{token}");
    }
    client.stream.set_read_timeout(Some(Duration::from_millis(80))).unwrap();
    assert!(client.stream.read(&mut [0]).is_err(), "{token}: neither an end nor a byte");
}

/// Takes more than the limit without seeing an end.
fn endless(sandbox: &Sandbox, token: &str) {
    let mut client = connect(sandbox.hyperid_url());
    client.send_post(AVAILABILITY, Some(token), "{}");
    while client.buffer.len() < 3_000_000 {
        assert_eq!(client.more(), Ok(true), "{token} ended after {}", client.buffer.len());
    }
}

fn check(sandbox: &Sandbox, name: &str) {
    match name {
        "phone" => {
            let id = start(sandbox, "sandbox-phone");
            assert_eq!(sandbox.wait_for_transaction(LONG).unwrap().id, id);
        }
        "approve" => {
            let begin = Instant::now();
            ends(sandbox, "sandbox-approve", (1, 0));
            assert!(begin.elapsed() >= Duration::from_millis(300));
            ends(sandbox, "sandbox-approve-after-1", (1, 0));
        }
        "deny" => ends(sandbox, "sandbox-deny-after-1", (1, 1)),
        "expire" => ends(sandbox, "sandbox-expire-after-1", (2, 0)),
        "failed" => ends(sandbox, "sandbox-failed-after-1", (3, 0)),
        "declined" => ends(sandbox, "sandbox-declined-after-1", (4, 0)),
        "never" => {
            let id = start(sandbox, "sandbox-never");
            assert_eq!(status(sandbox, "sandbox-never", id), (0, 0));
        }
        "no-app" => assert_eq!(available(sandbox, "sandbox-no-app").unwrap().json()["is_available"], false),
        "methods" => assert_eq!(post(sandbox, TYPES, "sandbox-methods-2", "{}").first_method(), 2),
        "device" => {
            let body = r#"{"template_id":2,"device_id":"b"}"#;
            assert_eq!(post(sandbox, START, "sandbox-device-a", body).result(), -7);
            assert_eq!(post(sandbox, START, "sandbox-device-b", body).result(), 0);
        }
        "registered" => assert_eq!(capillary(sandbox, "sandbox-registered").code(), 200),
        "not-registered" => assert_eq!(capillary(sandbox, "sandbox-not-registered").code(), 404),
        "token-expired" | "expired-token" => {
            let token = format!("sandbox-{name}");
            assert_eq!(available(sandbox, &token).unwrap().result(), -4);
            assert_eq!(post(sandbox, TYPES, &token, "{}").result(), -2);
            assert_eq!(capillary(sandbox, &token).code(), 401);
        }
        "token-invalid" | "revoked" => {
            let token = format!("sandbox-{name}");
            assert_eq!(available(sandbox, &token).unwrap().result(), -5);
            assert_eq!(post(sandbox, TYPES, &token, "{}").result(), -1);
            assert_eq!(capillary(sandbox, &token).code(), 1504);
        }
        "no-scope" => {
            assert_eq!(available(sandbox, "sandbox-no-scope").unwrap().result(), -3);
            let only = "sandbox-no-scope@types";
            assert_eq!(post(sandbox, TYPES, only, "{}").result(), -3);
            good(sandbox, only);
        }
        "token-expires-after" => expires_mid_wait(sandbox),
        "refuse" => {
            assert_eq!(available(sandbox, "sandbox-refuse--8").unwrap().result(), -8);
            assert_eq!(available(sandbox, "sandbox-refuse-3").unwrap().result(), 3);
            let at_start = "sandbox-refuse--77@start";
            good(sandbox, at_start);
            assert_eq!(post(sandbox, START, at_start, QUESTION).result(), -77);
            assert_eq!(capillary(sandbox, "sandbox-refuse-1529").code(), 1529);
        }
        "unavailable" => {
            assert_eq!(available(sandbox, "sandbox-unavailable").unwrap().result(), -1);
            assert_eq!(post(sandbox, TYPES, "sandbox-unavailable", "{}").result(), -4);
        }
        "flaky" => {
            for _ in 0..2 {
                html(&available(sandbox, "sandbox-flaky-2").unwrap(), 503);
            }
            good(sandbox, "sandbox-flaky-2");
            html(&capillary(sandbox, "sandbox-flaky"), 503);
            assert_eq!(capillary(sandbox, "sandbox-flaky").code(), 200);
        }
        "html" => {
            let answer = available(sandbox, "sandbox-html-503").unwrap();
            html(&answer, 503);
            assert_eq!(answer.header("retry-after"), Some("1"));
            html(&capillary(sandbox, "sandbox-html-404"), 404);
        }
        "empty" => {
            let answer = available(sandbox, "sandbox-empty-200").unwrap();
            assert_eq!((answer.status, answer.text().as_str()), (200, ""));
            assert_eq!(available(sandbox, "sandbox-empty-204").unwrap().header("content-length"), None);
        }
        "rate-limited" => {
            let answer = available(sandbox, "sandbox-rate-limited-7").unwrap();
            assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
        }
        "retry-after-date" => {
            let answer = available(sandbox, "sandbox-retry-after-date").unwrap();
            assert_eq!(answer.status, 503);
            assert!(
                answer.header("retry-after").is_some_and(|date| date.ends_with(" GMT")),
                "{}",
                answer.head
            );
        }
        "retry-after" => {
            let answer = available(sandbox, "sandbox-retry-after-120").unwrap();
            html(&answer, 503);
            assert_eq!((answer.header("retry-after"), answer.header("date")), (Some("120"), None));
        }
        "not-found" => {
            let token = "sandbox-not-found-2+phone";
            let id = start(sandbox, token);
            for _ in 0..2 {
                assert_eq!(post(sandbox, STATUS, token, &id_body(id)).result(), -6);
            }
            assert_eq!(status(sandbox, token, id), (0, 0));
        }
        "not-found-for" => not_found_for(sandbox),
        "date" => dates(sandbox),
        "all-fields" => all_fields(sandbox),
        "redirect" => {
            let answer = available(sandbox, "sandbox-redirect-307").unwrap();
            let location = answer.header("location").unwrap();
            assert_eq!(answer.status, 307);
            let port = sandbox.address().port();
            assert_eq!(location, format!("http://localhost:{port}/redirected{AVAILABILITY}"));
            assert_eq!(available(sandbox, "sandbox-redirect").unwrap().status, 302);
        }
        "close-before-answer" => {
            let before = sandbox.push_count();
            assert!(
                try_post(sandbox, START, "sandbox-close-before-answer", QUESTION)
                    .unwrap_err()
                    .starts_with("closed after 0")
            );
            assert_eq!(sandbox.push_count(), before);
        }
        "http" => {
            let answer = available(sandbox, "sandbox-http-500").unwrap();
            assert_eq!((answer.status, answer.text().as_str()), (500, AVAILABLE));
            assert_eq!(capillary(sandbox, "sandbox-http-201").status, 201);
        }
        "as-http-status" => {
            let answer = capillary(sandbox, "sandbox-not-registered+as-http-status");
            assert_eq!((answer.status, answer.code()), (404, 404));
        }
        "unknown-status" => {
            let token = "sandbox-unknown-status+approve-after-0";
            let id = start(sandbox, token);
            let seen: Vec<_> = (0..3).map(|_| status(sandbox, token, id)).collect();
            assert_eq!(seen, [(7, 0), (7, 0), (1, 0)]);
        }
        "negative-status" => shows(
            sandbox,
            "sandbox-negative-status",
            r#"{OK,"transaction_status":-1,"transaction_complete_result":0}"#,
        ),
        "status-missing" => {
            shows(sandbox, "sandbox-status-missing", r#"{OK,"transaction_complete_result":0}"#)
        }
        "complete-result-missing" => shows(
            sandbox,
            "sandbox-complete-result-missing+approve-after-0",
            r#"{OK,"transaction_status":1}"#,
        ),
        "complete-result-null" => shows(
            sandbox,
            "sandbox-complete-result-null+approve-after-0",
            r#"{OK,"transaction_status":1,"transaction_complete_result":null}"#,
        ),
        "complete-result-string" => shows(
            sandbox,
            "sandbox-complete-result-string+approve-after-0",
            r#"{OK,"transaction_status":1,"transaction_complete_result":"0"}"#,
        ),
        "wrong-id" => shows(
            sandbox,
            "sandbox-wrong-id+approve-after-0",
            r#"{"result":0,"transaction_id":ID+1,"transaction_status":1,"transaction_complete_result":0}"#,
        ),
        "id-as-string" => shows(
            sandbox,
            "sandbox-id-as-string+approve-after-0",
            r#"{"result":0,"transaction_id":"ID","transaction_status":1,"transaction_complete_result":0}"#,
        ),
        "id-missing" => shows(
            sandbox,
            "sandbox-id-missing+approve-after-0",
            r#"{"result":0,"transaction_status":1,"transaction_complete_result":0}"#,
        ),
        "start-without-id" => {
            assert_eq!(post(sandbox, START, "sandbox-start-without-id", QUESTION).text(), r#"{"result":0}"#)
        }
        "start-id-zero" => assert_eq!(
            post(sandbox, START, "sandbox-start-id-zero", QUESTION).text(),
            r#"{"result":0,"transaction_id":0}"#
        ),
        "result-missing" => assert_eq!(
            available(sandbox, "sandbox-result-missing").unwrap().text(),
            r#"{"is_available":true}"#
        ),
        "result-positive" => assert_eq!(
            available(sandbox, "sandbox-result-positive").unwrap().text(),
            r#"{"result":1,"is_available":true}"#
        ),
        "contradiction" => {
            let json = capillary(sandbox, "sandbox-contradiction").json();
            assert_eq!(
                (json["status"]["success"].as_bool(), json["status"]["code"].as_i64()),
                (Some(true), Some(1504))
            );
        }
        "code-as-string" => {
            assert_eq!(capillary(sandbox, "sandbox-code-as-string").json()["status"]["code"], "200")
        }
        "code-bool" => assert_eq!(capillary(sandbox, "sandbox-code-bool").json()["status"]["code"], true),
        "set" => {
            shows(
                sandbox,
                "sandbox-set-transaction_status=null@status",
                r#"{OK,"transaction_status":null,"transaction_complete_result":0}"#,
            );
            assert_eq!(capillary(sandbox, "sandbox-set-status.success=1").json()["status"]["success"], 1);
        }
        "drop" => {
            assert_eq!(available(sandbox, "sandbox-drop-is_available").unwrap().text(), r#"{"result":0}"#);
            assert!(capillary(sandbox, "sandbox-drop-status").json().get("status").is_none());
        }
        "duplicate-key" => {
            assert_eq!(
                available(sandbox, "sandbox-duplicate-key").unwrap().text(),
                r#"{"result":0,"is_available":true,"result":0}"#
            );
            shows(
                sandbox,
                "sandbox-duplicate-key@status+never",
                r#"{OK,"transaction_status":0,"transaction_complete_result":0,"transaction_status":1}"#,
            );
        }
        "huge-number" => {
            assert!(
                post(sandbox, START, "sandbox-huge-number", QUESTION)
                    .text()
                    .contains(r#""transaction_id":36893488147419103232"#)
            );
            shows(
                sandbox,
                "sandbox-huge-number@status",
                r#"{OK,"transaction_status":36893488147419103232,"transaction_complete_result":0}"#,
            );
            assert!(
                capillary(sandbox, "sandbox-huge-number").text().contains(r#""code":36893488147419103232"#)
            );
        }
        "trailing-bytes" => assert_eq!(
            available(sandbox, "sandbox-trailing-bytes").unwrap().text(),
            format!("{AVAILABLE}{{\"result\":0}}")
        ),
        "not-json" => assert_eq!(available(sandbox, "sandbox-not-json").unwrap().text(), "this is not JSON"),
        "deep-nesting" => assert_eq!(available(sandbox, "sandbox-deep-nesting").unwrap().body.len(), 100_000),
        "slow" => {
            let begin = Instant::now();
            good(sandbox, "sandbox-slow-60");
            assert!(begin.elapsed() >= Duration::from_millis(60));
        }
        "silent" => hangs(sandbox, "sandbox-silent", ""),
        "stall-mid-answer" => hangs(sandbox, "sandbox-stall-mid-answer", "\r\n\r\n{"),
        "lose-start" => {
            good(sandbox, "sandbox-lose-start");
            assert!(lost(sandbox, "sandbox-lose-start").starts_with("closed after 0"));
        }
        "lose-answer" => {
            assert!(lost(sandbox, "sandbox-lose-answer").starts_with("closed after 0"));
            assert!(available(sandbox, "sandbox-lose-answer").is_err());
        }
        "drip" => {
            let begin = Instant::now();
            let answer = good(sandbox, "sandbox-drip-1");
            assert!(begin.elapsed() >= Duration::from_millis((answer.head.len() + answer.body.len()) as u64));
        }
        "close-mid-answer" => {
            let error = lost(sandbox, "sandbox-close-mid-answer");
            assert!(error.starts_with("closed after ") && error != "closed after 0 bytes", "{error}");
        }
        "truncated-content-length" => {
            let error = available(sandbox, "sandbox-truncated-content-length").unwrap_err();
            assert_eq!(error, format!("closed after {} bytes", AVAILABLE.len()), "the JSON is whole");
        }
        "close-after-answer" => {
            let mut client = connect(sandbox.hyperid_url());
            let answer = client.post(AVAILABILITY, Some("sandbox-close-after-answer"), "{}").unwrap();
            assert_eq!(answer.header("connection"), None);
            assert!(client.ended());
        }
        "connection-close" => {
            let mut client = connect(sandbox.hyperid_url());
            let answer = client.post(AVAILABILITY, Some("sandbox-connection-close"), "{}").unwrap();
            assert_eq!((answer.text().as_str(), answer.header("connection")), (AVAILABLE, Some("close")));
            assert!(client.ended());
        }
        "until-close" => assert_eq!(good(sandbox, "sandbox-until-close").header("content-length"), None),
        "chunked" => {
            let mut client = connect(sandbox.hyperid_url());
            for _ in 0..2 {
                let answer = client.post(AVAILABILITY, Some("sandbox-chunked"), "{}").unwrap();
                assert_eq!(answer.text(), AVAILABLE);
                assert!(client.buffer.is_empty());
            }
        }
        "gzip" => {
            let answer = available(sandbox, "sandbox-gzip").unwrap();
            assert_eq!(answer.header("content-encoding"), Some("gzip"));
            assert_eq!(&answer.body[..3], [0x1f, 0x8b, 8]);
            assert_eq!(&answer.body[15..15 + AVAILABLE.len()], AVAILABLE.as_bytes());
        }
        "interim" => {
            let mut client = connect(sandbox.hyperid_url());
            client.send_post(AVAILABILITY, Some("sandbox-interim"), "{}");
            assert_eq!(client.read().unwrap().text(), AVAILABLE);
        }
        "oversize" => {
            let answer = available(sandbox, "sandbox-oversize-2000000").unwrap();
            assert_eq!((answer.body.len(), answer.result()), (2_000_000, 0));
            endless(sandbox, "sandbox-oversize");
        }
        "endless-headers" => endless(sandbox, "sandbox-endless-headers"),
        "second-answer" => second_answer(sandbox, "sandbox-second-answer@status+never"),
        "second-answer-later" => second_answer(sandbox, "sandbox-second-answer-later-10@status+never"),
        "answer-again" => answer_again(sandbox),
        "previous-answer" => previous_answer(sandbox),
        "previous-answer-from-now-on" => one_behind(sandbox),
        "exchange-answers" => exchanged(sandbox),
        other => panic!("no check for the behaviour '{other}'"),
    }
}

fn capillary(sandbox: &Sandbox, token: &str) -> Answer {
    registered(sandbox, BRAND_WITH_MFA, token)
}

fn expires_mid_wait(sandbox: &Sandbox) {
    let token = "sandbox-token-expires-after-2+phone#eve";
    let id = start(sandbox, token);
    for _ in 0..2 {
        assert_eq!(status(sandbox, token, id), (0, 0));
    }
    assert_eq!(post(sandbox, STATUS, token, &id_body(id)).result(), -4);
    assert_eq!(available(sandbox, token).unwrap().result(), -4);
    assert_eq!(status(sandbox, "sandbox-phone#eve", id), (0, 0), "the next token works");
}

fn second_answer(sandbox: &Sandbox, token: &str) {
    let id = start(sandbox, token);
    let mut client = connect(sandbox.hyperid_url());
    assert_eq!(client.post(STATUS, Some(token), &id_body(id)).unwrap().json()["transaction_status"], 0);
    let second = client.read().unwrap().json();
    assert_eq!(second["transaction_id"].as_i64(), Some(id), "{token}");
    assert_eq!(
        (second["transaction_status"].as_i64(), second["transaction_complete_result"].as_i64()),
        (Some(1), Some(0))
    );
    assert_eq!(sandbox.transaction(id).unwrap().status, Status::Pending);
}

fn not_found_for(sandbox: &Sandbox) {
    let begin = Instant::now();
    let token = "sandbox-not-found-for-150+phone";
    let id = start(sandbox, token);
    eventually("it is found", || post(sandbox, STATUS, token, &id_body(id)).result() == 0);
    assert!(begin.elapsed() >= Duration::from_millis(150));
    assert_eq!(post(sandbox, CANCEL, token, &id_body(id)).result(), 0);
    let late = "sandbox-not-found-for-80000+phone";
    let id = start(sandbox, late);
    for path in [STATUS, CANCEL] {
        assert_eq!(post(sandbox, path, late, &id_body(id)).result(), -6);
    }
    let late = "sandbox-not-found-for-80000@status+phone";
    let id = start(sandbox, late);
    assert_eq!(post(sandbox, STATUS, late, &id_body(id)).result(), -6);
    assert_eq!(post(sandbox, CANCEL, late, &id_body(id)).result(), 0, "only where it was said");
}

/// Seconds since midnight, of a date as in `Sun, 06 Nov 1994 08:49:37 GMT`.
fn clock(answer: &Answer, header: &str) -> i64 {
    let date = answer.header(header).unwrap_or_else(|| panic!("no {header}: {}", answer.head));
    let time = date.split(' ').nth(4).unwrap();
    time.split(':').fold(0, |sum, part| sum * 60 + part.parse::<i64>().unwrap())
}

fn dates(sandbox: &Sandbox) {
    assert!(good(sandbox, "sandbox-date").header("date").is_some_and(|date| date.ends_with(" GMT")));
    assert_eq!(good(sandbox, "sandbox-approve").header("date"), None);
    for (token, difference) in [
        ("sandbox-retry-after-date-30+date", 30),
        ("sandbox-retry-after-date-30+date--3600", 3630),
        ("sandbox-retry-after-date-3605+date-3600", 5),
        ("sandbox-retry-after-date-5+date-15", -10),
    ] {
        let answer = available(sandbox, token).unwrap();
        assert_eq!(answer.status, 503);
        let between = clock(&answer, "retry-after") - clock(&answer, "date");
        assert_eq!(between.rem_euclid(86_400), i64::rem_euclid(difference, 86_400), "{token}");
    }
    assert_eq!(available(sandbox, "sandbox-retry-after-date-5").unwrap().header("date"), None);
    assert!(capillary(sandbox, "sandbox-html-503+date").header("date").is_some());
}

fn all_fields(sandbox: &Sandbox) {
    let token = "sandbox-all-fields+phone";
    good(sandbox, token);
    let id = start(sandbox, token);
    let cancelled = post(sandbox, CANCEL, token, &id_body(id)).text();
    assert_eq!(cancelled, format!(r#"{{"result":0,"transaction_id":{id}}}"#));
    let refused = post(sandbox, CANCEL, token, &id_body(id)).text();
    assert_eq!(refused, format!(r#"{{"result":-10,"transaction_id":{id}}}"#));
    let of = |path, token, body: &str| post(sandbox, path, token, body).text();
    assert_eq!(
        of(STATUS, token, &id_body(7)),
        r#"{"result":-6,"transaction_id":7,"transaction_status":0,"transaction_complete_result":0}"#
    );
    let refusing = "sandbox-token-expired+all-fields";
    assert_eq!(of(AVAILABILITY, refusing, "{}"), r#"{"result":-4,"is_available":false}"#);
    assert_eq!(of(TYPES, refusing, "{}"), r#"{"result":-2,"auth_types":[]}"#);
    assert_eq!(of(START, "sandbox-refuse--8+all-fields", QUESTION), r#"{"result":-8,"transaction_id":0}"#);
}

/// Two whole answers, byte for byte the same, to one request; then the next request's.
fn answer_again(sandbox: &Sandbox) {
    for (path, token, body) in [
        (AVAILABILITY, "sandbox-answer-again-20*1", "{}"),
        (TYPES, "sandbox-answer-again-0*1", "{}"),
        (START, "sandbox-answer-again*1@start", QUESTION),
        (START, "sandbox-refuse--4@start+answer-again-1*1", QUESTION),
        (STATUS, "sandbox-html-502+answer-again-1*1", "{}"),
    ] {
        let mut client = connect(sandbox.hyperid_url());
        client.send_post(path, Some(token), body);
        client.send_post(TYPES, Some("sandbox-methods-9"), "{}");
        let (first, again) = (client.read().unwrap(), client.read().unwrap());
        assert_eq!((first.head, first.body), (again.head, again.body), "{token}");
        assert_eq!(client.read().unwrap().first_method(), 9, "{token}");
    }
    let mut client = connect(sandbox.capillary_url());
    client.send_post(
        REGISTERED,
        None,
        &registered_body(BRAND_WITH_MFA, "sandbox-not-registered+answer-again"),
    );
    assert_eq!((client.read().unwrap().code(), client.read().unwrap().code()), (404, 404));
    // An approval twice, the second one without a name on it.
    let token = "sandbox-approve-after-0+id-missing+answer-again-5*1@status";
    let id = start(sandbox, token);
    let mut client = connect(sandbox.hyperid_url());
    client.send_post(STATUS, Some(token), &id_body(id));
    for _ in 0..2 {
        let text = client.read().unwrap().text();
        assert_eq!(text, r#"{"result":0,"transaction_status":1,"transaction_complete_result":0}"#);
    }
}

fn previous_answer(sandbox: &Sandbox) {
    let mut client = connect(sandbox.hyperid_url());
    let token = "sandbox-previous-answer*1@status+never";
    let started = client.post(START, Some(token), QUESTION).unwrap();
    let id = started.transaction_id();
    let mut poll = |token| client.post(STATUS, Some(token), &id_body(id)).unwrap();
    assert_eq!(poll(token).text(), started.text(), "start's answer for status'");
    assert_eq!(poll(token).json()["transaction_status"], 0, "once");
    // For ever: each request gets what the one before should have got.
    let mut client = connect(sandbox.hyperid_url());
    let mut methods = |n: u8| {
        let token = format!("sandbox-previous-answer+methods-{n}");
        client.post(TYPES, Some(&token), "{}").unwrap().first_method()
    };
    assert_eq!([1, 2, 3, 4].map(&mut methods), [1, 1, 2, 3]);
    let sound = client.post(AVAILABILITY, Some("sandbox-approve"), "{}").unwrap();
    assert_eq!(sound.text(), AVAILABLE, "other tokens are served right");
}

fn one_behind(sandbox: &Sandbox) {
    let mut client = connect(sandbox.hyperid_url());
    let mut methods = |token: &str| client.post(TYPES, Some(token), "{}").unwrap().first_method();
    let tokens =
        ["sandbox-methods-1", "sandbox-previous-answer-from-now-on*1+methods-2", "sandbox-methods-3"];
    assert_eq!(tokens.map(&mut methods), [1, 1, 2]);
    assert_eq!(methods("sandbox-methods-4"), 3, "whoever asks");
    good(sandbox, "sandbox-approve");
}

fn exchanged(sandbox: &Sandbox) {
    let types = |token: &str| post(sandbox, TYPES, token, "{}").first_method();
    let partner = |n: u8| format!("sandbox-exchange-answers-20000+methods-{n}");
    let (first, second) = std::thread::scope(|scope| {
        let (first, second) = (scope.spawn(|| types(&partner(1))), scope.spawn(|| types(&partner(2))));
        (first.join().unwrap(), second.join().unwrap())
    });
    assert_eq!((first, second), (2, 1));
    // Alone, it gets its own, and leaves nothing for those who come later.
    let begin = Instant::now();
    assert_eq!(types("sandbox-exchange-answers-40+methods-3"), 3);
    assert!(begin.elapsed() >= Duration::from_millis(40));
    assert_eq!(types("sandbox-exchange-answers-0+methods-4"), 4);
    // Different endpoints and people: an approval for the wrong one.
    let yes = "sandbox-approve-after-0+exchange-answers-20000@status";
    let no = "sandbox-never+exchange-answers-20000@status";
    let (yes_id, no_id) = (start(sandbox, yes), start(sandbox, no));
    let ask = |token, id| post(sandbox, STATUS, token, &id_body(id)).json();
    let (for_yes, for_no) = std::thread::scope(|scope| {
        let (a, b) = (scope.spawn(|| ask(yes, yes_id)), scope.spawn(|| ask(no, no_id)));
        (a.join().unwrap(), b.join().unwrap())
    });
    assert_eq!(
        (for_yes["transaction_id"].as_i64(), for_no["transaction_id"].as_i64()),
        (Some(no_id), Some(yes_id))
    );
    assert_eq!(for_no["transaction_status"], 1);
}

/// What needs no behaviour of its own, because others can be put together: the README says how.
#[test]
fn the_readmes_combinations() {
    let sandbox = sandbox();
    let readme = include_str!("../README.md");
    let told = |token: &'static str| {
        assert!(readme.contains(&format!("`{token}`")), "the README lacks {token}");
        token
    };
    for (token, status) in [
        (told("sandbox-html-403*2@status"), 403),
        (told("sandbox-empty-404*2@status"), 404),
        (told("sandbox-redirect-307*2@status"), 307),
        (told("sandbox-html-200*2@status"), 200),
    ] {
        let id = start(&sandbox, token);
        for _ in 0..2 {
            let answer = post(&sandbox, STATUS, token, &id_body(id));
            assert_eq!(answer.status, status, "{token}");
            assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_err(), "{token}");
        }
        assert_eq!(post(&sandbox, STATUS, token, &id_body(id)).result(), 0, "{token}");
    }
    let token = told("sandbox-refuse--6+http-404@status");
    let answer = post(&sandbox, STATUS, token, &id_body(1));
    assert_eq!((answer.status, answer.result()), (404, -6));
    for (token, status) in [
        (told("sandbox-html-401@start"), 401),
        (told("sandbox-empty-413@start"), 413),
        (told("sandbox-html-400@start"), 400),
        (told("sandbox-rate-limited-5@start"), 429),
    ] {
        good(&sandbox, token);
        assert_eq!(post(&sandbox, START, token, QUESTION).status, status, "{token}");
    }
    assert_eq!(sandbox.push_count(), 4);
    let started = post(&sandbox, START, told("sandbox-set-transaction_status=1@start"), QUESTION).json();
    assert_eq!((started["result"].as_i64(), started["transaction_status"].as_i64()), (Some(0), Some(1)));
    let token = told("sandbox-approve+id-missing");
    let id = start(&sandbox, token);
    wait_for_end(&sandbox, id);
    let text = post(&sandbox, STATUS, token, &id_body(id)).text();
    assert_eq!(text, r#"{"result":0,"transaction_status":1,"transaction_complete_result":0}"#);
    let token = told("sandbox-retry-after-120*1@status");
    assert_eq!(post(&sandbox, STATUS, token, &id_body(1)).header("retry-after"), Some("120"));
    assert_eq!(post(&sandbox, STATUS, token, &id_body(1)).result(), -6);
    let skewed = available(&sandbox, told("sandbox-retry-after-date-3605+date-3600")).unwrap();
    assert!(skewed.header("date").is_some() && skewed.header("retry-after").is_some());
}

#[test]
fn every_behaviour_does_what_it_says() {
    let sandbox = sandbox();
    for row in behaviours() {
        check(&sandbox, row.name);
    }
    for request in sandbox.requests() {
        assert!(!request.path.starts_with("/redirected"));
    }
}

#[test]
fn the_readme_lists_every_behaviour() {
    let readme = include_str!("../README.md");
    for row in behaviours() {
        let line = format!("| `{}` | {} | {} |", row.usage, row.help, row.endpoints);
        assert!(readme.contains(&line), "the README lacks this line:\n{line}");
    }
}

#[test]
fn parts_combine_and_can_be_limited() {
    let sandbox = sandbox();
    let token = "sandbox-close-before-answer*1@availability+http-201@availability+no-app";
    assert!(available(&sandbox, token).is_err());
    let answer = available(&sandbox, token).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (201, r#"{"result":0,"is_available":false}"#));
    assert_eq!(post(&sandbox, TYPES, token, "{}").status, 200);
}
