//! The phone page, its API, and who may use them.

mod common;

use common::*;
use mfa_sandbox::{Decision, Options, Sandbox, Status};
use std::thread;

fn ask(sandbox: &Sandbox, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    exchange(sandbox, &format!("{line} HTTP/1.1\r\n{headers}"), body)
}

/// Started again on the same port, which another program may have for a moment.
fn restarted(first: Sandbox, options: &Options) -> Sandbox {
    let port = first.address().port();
    drop(first);
    let mut second = None;
    eventually("the port is free again", || {
        second = Sandbox::start(Options { port, ..options.clone() }).ok();
        second.is_some()
    });
    second.unwrap()
}

fn host(sandbox: &Sandbox) -> String {
    sandbox.address().to_string()
}

fn list(sandbox: &Sandbox, query: &str) -> serde_json::Value {
    let answer = ask(sandbox, &format!("GET /phone/api/requests{query}"), &[("Host", &host(sandbox))], "");
    assert_eq!(answer.status, 200);
    answer.json()
}

/// The press of a button under a card that shows this request, if one does.
fn decision(sandbox: &Sandbox, id: i64, decision: &str) -> String {
    let shown = list(sandbox, "");
    let mut cards = shown["pending"].as_array().unwrap().iter().chain(shown["recent"].as_array().unwrap());
    let card = cards.find(|card| card["id"].as_str() == Some(&id.to_string()));
    press(&shown["run"], &id.to_string(), card.map_or(&shown["run"], |card| &card["seen"]), decision)
}

fn press(run: &serde_json::Value, id: &str, seen: &serde_json::Value, decision: &str) -> String {
    serde_json::json!({ "run": run, "id": id, "seen": seen, "decision": decision }).to_string()
}

fn decide(sandbox: &Sandbox, body: &str, headers: &[(&str, &str)]) -> u16 {
    ask(sandbox, "POST /phone/api/decide", headers, body).status
}

/// What the page itself sends.
fn as_page(sandbox: &Sandbox, body: &str) -> u16 {
    let host = host(sandbox);
    let origin = format!("http://{host}");
    decide(
        sandbox,
        body,
        &[
            ("Host", &host),
            ("Origin", &origin),
            ("Content-Type", "application/json"),
            ("Sec-Fetch-Site", "same-origin"),
        ],
    )
}

#[test]
fn the_page_is_whole_and_locked_down() {
    let sandbox = sandbox();
    assert_eq!(sandbox.phone_url(), format!("http://{}/phone", host(&sandbox)));
    let page = ask(&sandbox, "GET /phone", &[("Host", &host(&sandbox))], "");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    let text = page.text();
    assert_eq!(text.matches(&format!("nonce=\"{nonce}\"")).count(), 2);
    assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe"));
    assert!(
        !text.contains("__NONCE__")
            && !text.contains("__RUN__")
            && !text.contains("innerHTML")
            && !text.contains(" onclick")
    );
    for outside in ["src=", "https://", "@import", "url("] {
        assert!(!text.contains(outside), "{outside}");
    }
    let again = ask(&sandbox, "GET /phone", &[("Host", &host(&sandbox))], "");
    assert_ne!(again.header("content-security-policy"), Some(policy), "a nonce is used once");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(sandbox.request_count(), 0, "the page is no provider request");
}

#[test]
fn the_list_shows_and_the_buttons_decide() {
    let sandbox = sandbox();
    let empty = list(&sandbox, "");
    assert_eq!(
        (empty["pending"].as_array().unwrap().len(), empty["recent"].as_array().unwrap().len()),
        (0, 0)
    );
    let yes = start(&sandbox, "sandbox-phone#ann");
    let no = start(&sandbox, "sandbox-phone#ann");
    start(&sandbox, "sandbox-never");
    let shown = list(&sandbox, "");
    let pending = shown["pending"].as_array().unwrap();
    assert_eq!(pending.len(), 2, "what nobody answers is not shown");
    assert_eq!(pending[0]["id"], no.to_string());
    assert_eq!(
        (pending[1]["question"].as_str(), pending[1]["code"].as_str(), pending[1]["user"].as_str()),
        (Some("Pay?"), Some("42"), Some("ann"))
    );
    assert!(pending[1]["remaining_ms"].as_u64().unwrap() > 100_000);
    assert_eq!(as_page(&sandbox, &decision(&sandbox, yes, "approve")), 200);
    assert_eq!(as_page(&sandbox, &decision(&sandbox, no, "deny")), 200);
    assert_eq!(status(&sandbox, "sandbox-phone#ann", yes), (1, 0));
    assert_eq!(status(&sandbox, "sandbox-phone#ann", no), (1, 1));
    let after = list(&sandbox, "");
    assert_eq!(
        (after["recent"][0]["outcome"].as_str(), after["recent"][1]["outcome"].as_str()),
        (Some("denied"), Some("approved"))
    );
    assert_eq!(as_page(&sandbox, &decision(&sandbox, yes, "deny")), 409);
    assert_eq!(as_page(&sandbox, &decision(&sandbox, 1, "deny")), 404);
}

#[test]
fn a_decision_is_an_object_of_the_documented_shape() {
    let sandbox = sandbox();
    let id = start(&sandbox, "sandbox-phone");
    let good = decision(&sandbox, id, "approve");
    let (run, seen) = {
        let shown = list(&sandbox, "");
        (shown["run"].to_string(), shown["pending"][0]["seen"].to_string())
    };
    let all = |id: &str, decision: &str| {
        format!(r#"{{"run":{run},"id":{id},"seen":{seen},"decision":{decision}}}"#)
    };
    let quoted = format!("\"{id}\"");
    for body in [
        String::new(),
        "{}".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        format!(r#"["{id}","approve"]"#),
        format!(r#"[{run},"{id}",{seen},"approve"]"#),
        format!("[{good}]"),
        format!("{good}{good}"),
        format!("\u{feff}{good}"),
        format!(r#"{{"id":"{id}","decision":"approve"}}"#),
        format!(r#"{{"run":{run},"id":"{id}","decision":"approve"}}"#),
        format!(r#"{{"id":"{id}","seen":{seen},"decision":"approve"}}"#),
        all(&id.to_string(), "\"approve\""),
        all(&format!("\"+{id}\""), "\"approve\""),
        all(&format!("\"0{id}\""), "\"approve\""),
        all("\"x\"", "\"approve\""),
        all(&quoted, "\"yes\""),
        all(&quoted, "\"Approve\""),
        all(&quoted, r#"{"approve":null}"#),
        all(&quoted, r#"["approve"]"#),
        all(&quoted, "0"),
        all(&quoted, "null"),
        good.replace('}', ",\"more\":1}"),
        good.replace('}', ",\"decision\":\"deny\"}"),
    ] {
        assert_eq!(as_page(&sandbox, &body), 400, "{body}");
    }
    assert_eq!(sandbox.transaction(id).unwrap().status, Status::Pending);
    assert_eq!(as_page(&sandbox, &good), 200);
}

#[test]
fn a_press_names_what_was_seen() {
    let sandbox = sandbox();
    let seen = start(&sandbox, "sandbox-phone#ann");
    let other = start(&sandbox, "sandbox-phone#ann");
    let shown = list(&sandbox, "");
    let marks: Vec<_> =
        shown["pending"].as_array().unwrap().iter().map(|card| card["seen"].clone()).collect();
    assert_ne!(marks[0], marks[1], "two requests with the same text are two");
    let swapped = press(&shown["run"], &other.to_string(), &marks[1], "approve");
    assert_eq!(as_page(&sandbox, &swapped), 412);
    let guessed = press(&shown["run"], &other.to_string(), &"0".into(), "approve");
    assert_eq!(as_page(&sandbox, &guessed), 412);
    let strange = press(&"0".repeat(32).into(), &other.to_string(), &marks[0], "approve");
    assert_eq!(as_page(&sandbox, &strange), 412);
    for id in [seen, other] {
        assert_eq!(sandbox.transaction(id).unwrap().status, Status::Pending);
    }
    assert_eq!(as_page(&sandbox, &press(&shown["run"], &other.to_string(), &marks[0], "deny")), 200);
}

/// The page of one run stays open while the server is started again on the same port.
#[test]
fn a_card_of_an_earlier_run_decides_nothing() {
    let same_ids = Options { first_id: Some(5), ..Options::default() };
    let first = sandbox_with(same_ids.clone());
    let id = start(&first, "sandbox-phone#ann");
    let (old, since) = (decision(&first, id, "approve"), list(&first, "")["version"].clone());
    let old_run = list(&first, "")["run"].clone();

    let second = restarted(first, &same_ids);
    assert_eq!(start(&second, "sandbox-phone#bob"), id, "ids begin again");
    let host = host(&second);
    let origin = format!("http://{host}");
    let headers = [("Host", host.as_str()), ("Origin", &origin), ("Content-Type", "application/json")];
    let answer = ask(&second, "POST /phone/api/decide", &headers, &old);
    assert_eq!(answer.status, 412, "{}", answer.text());
    assert!(answer.text().contains("another run of the sandbox"), "{}", answer.text());
    assert_eq!(second.transaction(id).unwrap().status, Status::Pending);

    // The open page learns of it at once, although its list is as new as this one's.
    let begin = std::time::Instant::now();
    let run = old_run.as_str().unwrap();
    let shown = list(&second, &format!("?run={run}&since={since}"));
    // Its own run's page would wait for 15 s.
    assert!(begin.elapsed() < std::time::Duration::from_secs(14), "it waited as for its own run's page");
    assert_ne!(shown["run"], old_run);
    assert_eq!(as_page(&second, &decision(&second, id, "deny")), 200);
}

#[test]
fn the_page_knows_its_run() {
    let sandbox = sandbox();
    let text = ask(&sandbox, "GET /phone", &[("Host", &host(&sandbox))], "").text();
    let run = list(&sandbox, "")["run"].as_str().unwrap().to_owned();
    assert_eq!(run.len(), 32);
    assert!(text.contains(&format!("data-run=\"{run}\"")));
}

#[test]
fn the_list_waits_for_something_new() {
    let sandbox = sandbox();
    let version = list(&sandbox, "")["version"].as_u64().unwrap();
    let run = list(&sandbox, "")["run"].as_str().unwrap().to_owned();
    let wait = |version: u64| list(&sandbox, &format!("?run={run}&since={version}"));
    let (id, shown) = thread::scope(|scope| {
        let waiting = scope.spawn(|| wait(version));
        (start(&sandbox, "sandbox-phone"), waiting.join().unwrap())
    });
    assert_eq!(shown["pending"][0]["id"], id.to_string());
    let version = shown["version"].as_u64().unwrap();
    let shown = thread::scope(|scope| {
        let waiting = scope.spawn(|| wait(version));
        sandbox.decide(id, Decision::Deny).unwrap();
        waiting.join().unwrap()
    });
    assert_eq!(shown["recent"][0]["outcome"], "denied");
}

#[test]
fn no_page_elsewhere_can_look_or_approve() {
    let sandbox = sandbox();
    let id = start(&sandbox, "sandbox-phone");
    let own = host(&sandbox);
    let port = sandbox.address().port();
    let body = decision(&sandbox, id, "approve");
    let json = ("Content-Type", "application/json");
    let own_origin = format!("http://{own}");
    let (local, local_origin) = (format!("localhost:{port}"), format!("http://localhost:{port}"));
    let rebound = format!("evil.example:{port}");
    let rebound_origin = format!("http://evil.example:{port}");
    let refused: &[&[(&str, &str)]] = &[
        // DNS rebinding: the browser believes that the page and we are one site.
        &[("Host", &rebound), ("Origin", &rebound_origin), json],
        &[("Host", "localhost"), ("Origin", "http://localhost"), json],
        &[("Host", "127.0.0.1:1"), ("Origin", "http://127.0.0.1:1"), json],
        // Cross-site requests.
        &[("Host", &own), ("Origin", "http://evil.example"), json],
        &[("Host", &own), ("Origin", "null"), json],
        &[("Host", &own), ("Origin", &local_origin), json],
        &[("Host", &own), ("Origin", "https://127.0.0.1"), json],
        &[("Host", &own), json],
        &[("Host", &own), ("Origin", &own_origin), ("Origin", "http://evil.example"), json],
        &[("Host", &own), ("Origin", &own_origin), ("Sec-Fetch-Site", "cross-site"), json],
        &[("Host", &own), ("Origin", &own_origin), ("Sec-Fetch-Site", "same-site"), json],
        // Two of one kind: whoever stood between might have looked at the other one.
        &[
            ("Host", &own),
            ("Origin", &own_origin),
            ("Sec-Fetch-Site", "same-origin"),
            ("Sec-Fetch-Site", "cross-site"),
            json,
        ],
        &[
            ("Host", &own),
            ("Origin", &own_origin),
            ("Sec-Fetch-Site", "same-origin"),
            ("Sec-Fetch-Site", "same-origin"),
            json,
        ],
        &[("Host", &own), ("Origin", &own_origin), ("Sec-Fetch-Site", "same-origin, cross-site"), json],
        &[("Host", &own), ("Origin", &own_origin), ("Origin", &own_origin), json],
    ];
    for headers in refused {
        assert_eq!(decide(&sandbox, &body, headers), 403, "{headers:?}");
    }
    // What a form can send without asking first.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        assert_eq!(
            decide(&sandbox, &body, &[("Host", &own), ("Origin", &own_origin), ("Content-Type", kind)]),
            415
        );
    }
    assert_eq!(
        ask(&sandbox, "OPTIONS /phone/api/decide", &[("Host", &own), ("Origin", "http://evil.example")], "")
            .status,
        403
    );
    assert_eq!(ask(&sandbox, "GET /phone/api/decide", &[("Host", &own)], "").status, 405);
    for path in ["/phone", "/phone/api/requests"] {
        let get = |headers: &[(&str, &str)]| ask(&sandbox, &format!("GET {path}"), headers, "");
        assert_eq!(get(&[("Host", &rebound)]).status, 403);
        assert_eq!(get(&[("Host", &own), ("Origin", "http://evil.example")]).status, 403);
        let foreign = get(&[("Host", &own), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors")]);
        assert_eq!(foreign.status, 403);
        assert_eq!(foreign.header("access-control-allow-origin"), None);
        let link = [("Host", own.as_str()), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")];
        assert_eq!(get(&link).status, 200);
        let two_modes = [link[0], link[1], link[2], ("Sec-Fetch-Mode", "no-cors")];
        assert_eq!(get(&two_modes).status, 403);
        let two_sites = [link[0], ("Sec-Fetch-Site", "none"), ("Sec-Fetch-Site", "cross-site")];
        assert_eq!(get(&two_sites).status, 403);
        assert_eq!(get(&[("Host", &own), ("Host", &own)]).status, 400);
    }
    assert_eq!(sandbox.transaction(id).unwrap().status, Status::Pending);
    assert_eq!(decide(&sandbox, &body, &[("Host", &local), ("Origin", &local_origin), json]), 200);
}

#[test]
fn in_a_network_the_address_holds_a_secret() {
    let sandbox = sandbox_with(Options { lan: true, ..Options::default() });
    let port = sandbox.address().port();
    let secret = sandbox.phone_url().rsplit('/').next().unwrap().to_owned();
    assert_eq!(secret.len(), 32);
    let host = format!("127.0.0.1:{port}");
    let get = |path: &str| ask(&sandbox, &format!("GET {path}"), &[("Host", &host)], "").status;
    assert_eq!(get(&format!("/phone/{secret}")), 200);
    assert_eq!(get(&format!("/phone/{secret}/api/requests")), 200);
    let wrong = "0".repeat(32);
    for path in [
        "/phone",
        "/phone/",
        "/phone/api/requests",
        &format!("/phone/{wrong}"),
        &format!("/phone/{wrong}/api/requests"),
    ] {
        assert_eq!(get(path), 404, "{path}");
    }
    let id = start(&sandbox, "sandbox-phone");
    let origin = format!("http://{host}");
    let headers = [("Host", host.as_str()), ("Origin", &origin), ("Content-Type", "application/json")];
    let shown = ask(&sandbox, &format!("GET /phone/{secret}/api/requests"), &[("Host", &host)], "").json();
    let body = press(&shown["run"], &id.to_string(), &shown["pending"][0]["seen"], "approve");
    assert_eq!(ask(&sandbox, "POST /phone/api/decide", &headers, &body).status, 404);
    assert_eq!(ask(&sandbox, &format!("POST /phone/{secret}/api/decide"), &headers, &body).status, 200);
    let other = sandbox_with(Options { lan: true, ..Options::default() });
    assert!(!other.phone_url().ends_with(&secret), "each run has its own");
}

#[test]
fn the_page_can_decline_too() {
    let sandbox = sandbox();
    let id = start(&sandbox, "sandbox-phone");
    assert_eq!(as_page(&sandbox, &decision(&sandbox, id, "decline")), 200);
    assert_eq!(sandbox.transaction(id).unwrap().status, Status::Cancelled);
    // Failing and expiring are no wishes of a person's.
    let id = start(&sandbox, "sandbox-phone");
    for other in ["fail", "expire", "Decline", ""] {
        assert_eq!(as_page(&sandbox, &decision(&sandbox, id, other)), 400, "{other}");
    }
    assert_eq!(sandbox.transaction(id).unwrap().status, Status::Pending);
}

#[test]
fn the_list_counts_what_it_does_not_show() {
    let sandbox = sandbox();
    for _ in 0..103 {
        start(&sandbox, "sandbox-phone");
    }
    start(&sandbox, "sandbox-never");
    let shown = list(&sandbox, "");
    assert_eq!((&shown["pending_count"], shown["pending"].as_array().unwrap().len()), (&103.into(), 100));
    let first = &shown["pending"][0];
    assert_eq!(first["life_ms"], 120_000);
    assert!(first["remaining_ms"].as_u64().unwrap() <= 120_000);
}
