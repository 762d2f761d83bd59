//! Web pages under development: which may call the providers' paths, and which may not.

mod common;

use common::*;
use mfa_sandbox::{Options, Sandbox};

const PAGE: &str = "http://localhost:3000";

fn for_a_page() -> Sandbox {
    sandbox_with(Options {
        allow_origins: vec![PAGE.to_owned(), "https://app.example".to_owned()],
        ..Options::default()
    })
}

fn send(sandbox: &Sandbox, line: &str, headers: &str, body: &str) -> Answer {
    let host = address(sandbox.hyperid_url());
    exchange(sandbox, &format!("{line} HTTP/1.1\r\nHost: {host}\r\n{headers}"), body)
}

fn from(origin: &str) -> String {
    format!(
        "Origin: {origin}\r\nSec-Fetch-Site: cross-site\r\nAuthorization: Bearer sandbox-phone\r\nContent-Type: application/json\r\n"
    )
}

fn question(origin: &str) -> String {
    format!(
        "Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,content-type\r\nAccess-Control-Request-Private-Network: true\r\n"
    )
}

#[test]
fn a_page_that_was_named_may_call() {
    let sandbox = for_a_page();
    for origin in [PAGE, "https://app.example"] {
        let answer = send(&sandbox, &format!("OPTIONS {START}"), &question(origin), "");
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-headers"), Some("Authorization, Content-Type"));
        assert_eq!(answer.header("access-control-allow-private-network"), Some("true"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert_eq!(answer.header("vary"), Some("Origin"));
        let answer = send(&sandbox, &format!("POST {START}"), &from(origin), QUESTION);
        assert_eq!((answer.status, answer.result()), (200, 0));
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        // What went wrong can be read, too.
        let answer = send(&sandbox, &format!("POST {START}"), &from(origin), "{}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
    }
    assert_eq!(sandbox.request_count(), 4, "a browser's question is no call");
}

#[test]
fn any_other_page_may_not_and_is_told_why() {
    let sandbox = for_a_page();
    for origin in [
        "http://evil.example",
        "null",
        "http://localhost:3001",
        "https://localhost:3000",
        "http://localhost:3000.evil.example",
        "http://LOCALHOST:3000",
        &format!("{PAGE}/"),
        &format!("{PAGE}, {PAGE}"),
        &format!("{PAGE}\r\nOrigin: {PAGE}"),
        sandbox.hyperid_url(),
    ] {
        for (line, headers) in
            [(format!("OPTIONS {START}"), question(origin)), (format!("POST {START}"), from(origin))]
        {
            let answer = send(&sandbox, &line, &headers, QUESTION);
            assert_eq!(answer.status, 403, "{line} {origin}");
            assert!(!answer.head.to_lowercase().contains("access-control"), "{}", answer.head);
        }
    }
    let answer = send(&sandbox, &format!("POST {START}"), &from("http://localhost:3001"), QUESTION);
    assert!(answer.text().contains("--allow-origin http://localhost:3001"), "{}", answer.text());
    let rebound = "POST /mfa-client/transaction/start/v2 HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n\
                   Authorization: Bearer sandbox-approve\r\nContent-Type: application/json\r\n";
    assert_eq!(exchange(&sandbox, rebound, QUESTION).status, 403);
    let silent = "Sec-Fetch-Site: same-origin\r\nAuthorization: Bearer sandbox-approve\r\nContent-Type: application/json\r\n";
    assert_eq!(send(&sandbox, &format!("POST {START}"), silent, QUESTION).status, 403);
    assert_eq!(sandbox.push_count(), 0, "nothing was carried out");
}

#[test]
fn without_the_option_no_page_may() {
    let sandbox = sandbox();
    assert_eq!(send(&sandbox, &format!("OPTIONS {START}"), &question(PAGE), "").status, 403);
    assert_eq!(send(&sandbox, &format!("POST {START}"), &from(PAGE), QUESTION).status, 403);
    // An app that wraps a page is no page of a browser's.
    let app = from("capacitor://localhost").replace("Sec-Fetch-Site: cross-site\r\n", "");
    assert_eq!(send(&sandbox, &format!("POST {START}"), &app, QUESTION).result(), 0);
}

#[test]
fn the_phone_page_is_never_opened_to_a_page() {
    let sandbox = for_a_page();
    start(&sandbox, "sandbox-phone");
    for line in
        ["GET /phone/api/requests", "POST /phone/api/decide", "OPTIONS /phone/api/decide", "GET /sandbox/v1"]
    {
        let answer = send(&sandbox, line, &from(PAGE), "{}");
        assert_eq!(answer.status, 403, "{line}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[test]
fn only_exact_origins_can_be_named() {
    for wrong in ["*", "null", "localhost:3000", "http://localhost:3000/", "http://*.example"] {
        let options = Options { allow_origins: vec![wrong.to_owned()], ..Options::default() };
        let why = Sandbox::start(options).err().unwrap().to_string();
        assert!(why.contains(&format!("'{wrong}' is not a page's origin")), "{why}");
    }
}

#[test]
fn the_discovery_document_leads_to_the_calls() {
    let sandbox = sandbox();
    let path = "/auth/realms/HyperID/.well-known/openid-configuration";
    let answer = send(&sandbox, &format!("GET {path}"), "", "");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let document = answer.json();
    let base = sandbox.hyperid_url();
    assert_eq!(document["rest_api_token_endpoint"], base);
    assert_eq!(document["issuer"], format!("{base}/auth/realms/HyperID"));
    assert_eq!(document["client_scopes_optional"][0], "mfa-client");
    let port = sandbox.address().port();
    let at = |host: &str| {
        exchange(&sandbox, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n"), "").json()["issuer"].clone()
    };
    assert_eq!(at(&format!("localhost:{port}")), format!("http://localhost:{port}/auth/realms/HyperID"));
    assert_eq!(at("evil.example"), format!("{base}/auth/realms/HyperID"));
    // And there is no sign-in behind it.
    let token = document["token_endpoint"].as_str().unwrap().strip_prefix(base).unwrap().to_owned();
    let answer = send(
        &sandbox,
        &format!("POST {token}"),
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "grant_type=x",
    );
    assert_eq!(answer.status, 501);
    assert!(answer.text().contains("no sign-in"), "{}", answer.text());
    assert_eq!(send(&sandbox, &format!("POST {path}"), "", "").status, 405);
}
