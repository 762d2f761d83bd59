//! Every documented exchange on the wire: what is sent, and what each answer means.

use std::time::Duration;

use mfa::{CallOptions, Code, Decision, Error, Provider, RegistrationState, Request, Transaction};

use crate::support::calls::Call;
use crate::support::{Peer, Reply, Then};

const TOKEN: &str = "a-token-of-our-own";

fn patient() -> CallOptions<'static> {
    CallOptions::new().timeout(Duration::from_secs(30))
}

fn question() -> Request<'static> {
    Request::new().question("Grüße? \"yes\"").code("07")
}

/// The calls of HyperID, each reduced to "did it succeed".
fn call(peer: &Peer, endpoint: &str, options: &CallOptions<'_>) -> Result<(), Error> {
    let client = peer.hyperid();
    match endpoint {
        "availability" => client.availability(TOKEN, options).map(|_| ()),
        "types" => client.two_factor_types(TOKEN, options).map(|_| ()),
        "start" => client.start(TOKEN, &question(), options).map(|_| ()),
        "status" => client.status(TOKEN, 3, options).map(|_| ()),
        "cancel" => client.cancel(TOKEN, 3, options),
        _ => unreachable!(),
    }
}

const ENDPOINTS: [&str; 5] = ["availability", "types", "start", "status", "cancel"];

fn success(endpoint: &str) -> &'static str {
    match endpoint {
        "availability" => r#"{"result":0,"is_available":true}"#,
        "types" => r#"{"result":0,"auth_types":[0,3]}"#,
        "start" => r#"{"result":0,"transaction_id":3}"#,
        "status" => {
            r#"{"result":0,"transaction_id":3,"transaction_status":0,"transaction_complete_result":0}"#
        }
        _ => r#"{"result":0}"#,
    }
}

#[test]
fn requests_are_as_documented() {
    let expected = [
        ("availability", "/mfa-client/availability-check", "{}"),
        ("types", "/2fa/types/get", "{}"),
        (
            "start",
            "/mfa-client/transaction/start/v2",
            r#"{"template_id":4,"values":"{\"version\":1,\"action\":{\"type\":\"question\",\"action_info\":\"Grüße? \\\"yes\\\"\"}}","code":"07"}"#,
        ),
        ("status", "/mfa-client/transaction/status-get", r#"{"transaction_id":3}"#),
        ("cancel", "/mfa-client/transaction/cancel", r#"{"transaction_id":3}"#),
    ];
    for (endpoint, path, body) in expected {
        let peer = Peer::scripted(vec![Reply::json(success(endpoint))]);
        call(&peer, endpoint, &patient()).unwrap();
        let requests = peer.requests();
        assert_eq!(requests.len(), 1, "{endpoint}");
        let request = &requests[0];
        assert_eq!(request.line, format!("POST {path} HTTP/1.1"));
        assert_eq!(request.body, body);
        assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("accept"), Some("application/json"));
        assert_eq!(request.header("content-length"), Some(body.len().to_string().as_str()));
        assert_eq!(request.header("host"), Some(peer.address.to_string().as_str()));
        assert_eq!(request.header("user-agent"), Some(concat!("libmfa/", env!("CARGO_PKG_VERSION"))));
        let mut names: Vec<_> = request.headers.iter().map(|(n, _)| n.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), request.headers.len(), "a header is sent twice: {:?}", request.headers);
    }
}

#[test]
fn capillary_s_request_is_as_documented() {
    let peer = Peer::scripted(vec![Reply::json(
        r#"{"status":{"success":true,"code":200,"message":"SUCCESS"},"auth":null,"user":null}"#,
    )]);
    let found = peer.capillary().is_mfa_registered("brand", "dev\"ice", "tok.en", &patient()).unwrap();
    assert_eq!((found.state, found.raw_code, found.http_status), (RegistrationState::Registered, 200, 200));
    let request = &peer.requests()[0];
    assert_eq!(request.line, "POST /auth/v1/mfa/token/isMfaRegistered HTTP/1.1");
    assert_eq!(request.body, r#"{"brand":"brand","deviceId":"dev\"ice","authorizedToken":"tok.en"}"#);
    assert_eq!(request.header("authorization"), None);
}

#[test]
fn a_path_prefix_is_kept_and_a_user_agent_appended() {
    let peer = Peer::scripted(vec![Reply::json(success("availability"))]);
    let options =
        peer.options().base_url(format!("{}/some/prefix/", peer.url())).user_agent("shop/1.2 (test)");
    let client = mfa::HyperId::new(&options).unwrap();
    client.availability(TOKEN, &patient()).unwrap();
    let request = &peer.requests()[0];
    assert_eq!(request.path(), "/some/prefix/mfa-client/availability-check");
    let expected = format!("libmfa/{} shop/1.2 (test)", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("user-agent"), Some(expected.as_str()));
}

#[test]
fn the_callers_own_headers_are_added() {
    let pair = |name: &str, value: &str| (name.to_owned(), zeroize::Zeroizing::new(value.to_owned()));
    let peer = Peer::scripted(vec![Reply::json(r#"{"status":{"success":true,"code":200}}"#)]);
    let headers = vec![pair("Authorization", "Basic b3duOm93bg=="), pair("X-Cap-Trace", "a b")];
    let client = mfa::Capillary::new(&peer.options().headers(headers.clone())).unwrap();
    client.is_mfa_registered("b", "d", "t", &patient()).unwrap();
    let request = &peer.requests()[0];
    assert_eq!(request.header("authorization"), Some("Basic b3duOm93bg=="));
    assert_eq!(request.header("x-cap-trace"), Some("a b"));
    // HyperID's own is the token, and nothing may stand beside it.
    let error = mfa::HyperId::new(&peer.options().headers(headers)).unwrap_err();
    assert_eq!(error.code, Code::InvalidArgument);
}

#[test]
fn an_answer_that_fails_behind_its_head_keeps_its_http_status() {
    let reply =
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n".to_owned() + &"x".repeat(300_000));
    let peer = Peer::scripted(vec![reply]);
    let error = call(&peer, "cancel", &patient()).unwrap_err();
    assert_eq!((error.code, error.http_status), (Code::AnswerTooLarge, Some(200)));
}

#[test]
fn answers_of_success_are_read() {
    let peer = Peer::new(|request| {
        Reply::json(match request.path() {
            "/mfa-client/availability-check" => r#"{"result":0,"is_available":false,"request_id":7}"#,
            "/2fa/types/get" => r#"{"result":0,"auth_types":[0,1,2,3,9,-1]}"#,
            _ => r#"{"transaction_id":"9223372036854775807","result":0}"#,
        })
    });
    let client = peer.hyperid();
    assert!(!client.availability(TOKEN, &patient()).unwrap());
    assert_eq!(client.two_factor_types(TOKEN, &patient()).unwrap(), [0, 1, 2, 3, 9, -1]);
    assert_eq!(client.start(TOKEN, &question(), &patient()).unwrap(), i64::MAX);
}

/// The tables of the protocol's documentation, written out once more and independently.
fn documented(endpoint: &str, result: i32) -> Code {
    let family_a = ["availability", "start", "status", "cancel"].contains(&endpoint);
    match (endpoint, result) {
        (_, -1) if family_a => Code::Unavailable,
        (_, -2) if family_a => Code::ProviderInvalidParameters,
        (_, -3) => Code::AccessDenied,
        (_, -4) if family_a => Code::TokenExpired,
        (_, -5) if family_a => Code::TokenInvalid,
        ("types", -1) => Code::TokenInvalid,
        ("types", -2) => Code::TokenExpired,
        ("types", -4) => Code::Unavailable,
        ("types", -5) => Code::ProviderInvalidParameters,
        ("start", -7) => Code::DeviceNotFound,
        ("start", -8) => Code::TemplateNotFound,
        ("status" | "cancel", -6) => Code::TransactionNotFound,
        ("cancel", -8) => Code::AlreadyExpired,
        ("cancel", -9) => Code::AlreadyCompleted,
        ("cancel", -10) => Code::AlreadyCancelled,
        (_, i32::MIN..=-1) => Code::ProviderRefused,
        _ => Code::MalformedAnswer,
    }
}

/// A confirm asks several, and the numbers of each mean something else.
fn assert_names_its_endpoint(error: &mfa::Error, peer: &Peer) {
    let path = peer.requests()[0].path().to_owned();
    assert!(error.message.starts_with(&format!("{path}: ")), "{path}: {error}");
}

#[test]
fn every_result_number_of_every_endpoint_is_read_by_its_own_table() {
    for endpoint in ENDPOINTS {
        for result in (-12..=-1).chain([1, 2, 5, i32::MIN, i32::MAX]) {
            // A refusal needs nothing but its number.
            let peer = Peer::scripted(vec![Reply::once(200, &format!(r#"{{"result":{result}}}"#))]);
            let error = call(&peer, endpoint, &patient()).unwrap_err();
            assert_eq!(error.code, documented(endpoint, result), "{endpoint} {result}: {error}");
            assert_eq!(error.provider, Provider::HyperId);
            assert_names_its_endpoint(&error, &peer);
            assert_eq!(error.provider_code, Some(result), "{endpoint}");
            assert_eq!(error.http_status, Some(200));
            assert_eq!(error.attempts, 1);
            let unknown = endpoint == "start" && result > 0;
            assert_eq!(error.outcome_unknown, unknown, "{endpoint} {result}");
        }
    }
}

#[test]
fn answers_count_only_under_http_200() {
    let expected = |status: u16| match status {
        401 => Code::TokenInvalid,
        403 => Code::AccessDenied,
        429 => Code::RateLimited,
        502..=504 => Code::Unavailable,
        _ => Code::HttpStatus,
    };
    for endpoint in ENDPOINTS {
        for status in [
            201, 202, 204, 206, 301, 302, 304, 307, 400, 401, 402, 403, 404, 405, 408, 409, 410, 411, 413,
            414, 415, 418, 425, 429, 431, 500, 501, 502, 503, 504, 599,
        ] {
            for body in [success(endpoint), "", "<html>no</html>", r#"{"result":-4}"#] {
                let headers = "Location: http://127.0.0.1:9/\r\nRetry-After: 3600\r\n";
                let peer = Peer::scripted(vec![Reply::with_headers(status, headers, body)]);
                let error = call(&peer, endpoint, &patient()).unwrap_err();
                assert_eq!(error.code, expected(status), "{endpoint} {status}: {error}");
                assert_eq!(error.http_status, Some(status));
                assert_names_its_endpoint(&error, &peer);
                assert_eq!(error.provider_code, None);
                // Refusals by whoever answered.
                let is_refusal = [400, 401, 405, 411, 413, 414, 415, 429, 431].contains(&status);
                assert_eq!(error.outcome_unknown, endpoint == "start" && !is_refusal, "{endpoint} {status}");
                let is_passing = [408, 425, 429].contains(&status) || status >= 500;
                let retryable = if endpoint == "start" { status == 429 } else { is_passing };
                assert_eq!(error.retryable, retryable, "{endpoint} {status}");
                assert_eq!(peer.requests().len(), 1);
            }
        }
    }
}

#[test]
fn fields_of_a_success_are_required_and_strictly_typed() {
    let fields = [
        ("availability", "is_available", ["null", "1", "0", "\"true\"", "[]"].as_slice()),
        ("types", "auth_types", &["null", "0", "\"0\"", "{}", "[\"0\"]", "[0.5]", "[null]", "[2147483648]"]),
        (
            "start",
            "transaction_id",
            &["null", "0", "-1", "1.0", "true", "\"\"", "\"x\"", "\"-3\"", "9223372036854775808"],
        ),
        ("status", "transaction_status", &["null", "-1", "\"1\"", "1.0", "true", "[1]", "2147483648"]),
    ];
    for (endpoint, field, wrong) in fields {
        let mut bodies: Vec<String> =
            wrong.iter().map(|v| format!(r#"{{"result":0,"{field}":{v}}}"#)).collect();
        bodies.push(r#"{"result":0}"#.into());
        bodies.push(format!(r#"{{"result":0,"{field}":1,"{field}":1}}"#));
        for body in bodies {
            assert_malformed(endpoint, &body);
        }
    }
}

#[test]
fn the_result_is_required_and_strictly_typed() {
    for endpoint in ENDPOINTS {
        let rest = success(endpoint).trim_start_matches(r#"{"result":0"#);
        for result in ["null", "\"0\"", "0.0", "false", "[]", "{}", "-2147483649", "00", "+0", ""] {
            assert_malformed(endpoint, &format!(r#"{{"result":{result}{rest}"#));
        }
        assert_malformed(endpoint, &format!(r#"{{"result":0,"result":0{rest}"#));
        assert_malformed(endpoint, &format!(r#"{{"Result":0{rest}"#));
        for body in ["", "null", "0", "[]", "\"\"", "<html></html>", "{", "{}", "\u{0}", "{\"result\":0"] {
            assert_malformed(endpoint, body);
        }
        for behind in ["x", "{}", ",", "\0", "}"] {
            assert_malformed(endpoint, &format!("{}{behind}", success(endpoint)));
        }
    }
}

fn assert_malformed(endpoint: &str, body: &str) {
    let peer = Peer::scripted(vec![Reply::json(body)]);
    let error = call(&peer, endpoint, &patient()).unwrap_err();
    assert_eq!(error.code, Code::MalformedAnswer, "{endpoint} {body}: {error}");
    assert_eq!(error.outcome_unknown, endpoint == "start", "{endpoint} {body}");
    assert_eq!(error.attempts, 1, "a malformed answer is not asked for again");
}

fn status_of(body: &str) -> Result<Transaction, Error> {
    let peer = Peer::scripted(vec![Reply::json(body)]);
    peer.hyperid().status(TOKEN, 3, &patient())
}

#[test]
fn every_status_and_complete_result_is_read() {
    for status in 0..=9 {
        for complete in [None, Some(0), Some(1), Some(2), Some(7)] {
            let field = complete.map_or(String::new(), |c| format!(r#","transaction_complete_result":{c}"#));
            let body = format!(r#"{{"result":0,"transaction_id":3,"transaction_status":{status}{field}}}"#);
            if status == 1 && complete.is_none() {
                assert_eq!(status_of(&body).unwrap_err().code, Code::MalformedAnswer);
                continue;
            }
            let read = status_of(&body).unwrap();
            let name = format!("{:?}", read.decision);
            let expected = match (status, complete) {
                (0, _) => "Pending",
                (1, Some(0)) => "Approved(Approval(()))",
                (1, Some(1)) => "Denied",
                (2, _) => "Expired",
                (3, _) => "Failed",
                (4, _) => "Cancelled",
                _ => "Unknown",
            };
            assert_eq!(name, expected, "{body}");
            assert_eq!(read.decision.is_approved(), status == 1 && complete == Some(0));
            assert_eq!((read.raw_status, read.raw_complete_result), (Some(status), complete));
            assert_eq!((read.transaction_id, read.polls), (3, 1));
        }
    }
}

#[test]
fn an_answer_about_another_transaction_is_a_contradiction() {
    let answer = |id: &str| {
        format!(
            r#"{{"result":0,"transaction_id":{id},"transaction_status":1,"transaction_complete_result":0}}"#
        )
    };
    for id in ["3", "\"3\"", "\"003\""] {
        assert!(status_of(&answer(id)).unwrap().decision.is_approved(), "{id}");
    }
    for id in ["4", "0", "-3", "\"4\"", "30"] {
        assert_eq!(status_of(&answer(id)).unwrap_err().code, Code::ContradictoryAnswer, "{id}");
    }
    for id in ["null", "3.0", "true", "\"\"", "\"three\"", "[3]"] {
        assert_eq!(status_of(&answer(id)).unwrap_err().code, Code::MalformedAnswer, "{id}");
    }
}

#[test]
fn retry_after_is_told() {
    let peer = Peer::scripted(vec![Reply::with_headers(429, "Retry-After: 1717\r\n", "slow down")]);
    let error = call(&peer, "availability", &patient()).unwrap_err();
    assert_eq!((error.code, error.retry_after), (Code::RateLimited, Some(Duration::from_secs(1717))));
    assert!(error.retryable);
}

#[test]
fn what_may_be_repeated_is_repeated_and_nothing_else() {
    for endpoint in ENDPOINTS {
        let peer = Peer::scripted(vec![
            Reply::status(503, ""),
            Reply::status(500, ""),
            Reply::json(success(endpoint)),
        ]);
        let result = call(&peer, endpoint, &patient());
        let repeatable = ["availability", "types", "status"].contains(&endpoint);
        assert_eq!(result.is_ok(), repeatable, "{endpoint}");
        assert_eq!(peer.requests().len(), if repeatable { 3 } else { 1 }, "{endpoint}");
    }
}

#[test]
fn a_repeat_that_does_not_fit_returns_the_last_failure() {
    let peer = Peer::scripted(vec![Reply::with_headers(503, "Retry-After: 60\r\n", "")]);
    let error = call(&peer, "availability", &patient()).unwrap_err();
    assert_eq!((error.code, error.http_status, error.attempts), (Code::Unavailable, Some(503), 1));
    let peer = Peer::scripted(vec![Reply::json(r#"{"result":-1}"#)]);
    let error = call(&peer, "status", &patient()).unwrap_err();
    assert_eq!((error.code, error.provider_code, error.attempts), (Code::Unavailable, Some(-1), 4));
}

fn registration(status: u16, body: &str) -> Result<RegistrationState, Error> {
    let peer = Peer::scripted(vec![Reply::once(status, body)]);
    peer.capillary().is_mfa_registered("b", "d", "t", &patient()).map(|found| found.state)
}

fn envelope(success: bool, code: &str) -> String {
    format!(r#"{{"status":{{"success":{success},"code":{code},"message":"text"}},"auth":null,"user":{{}}}}"#)
}

#[test]
fn capillary_s_answers_and_refusals_are_read() {
    use RegistrationState::{NotEnabled, NotRegistered, Registered};
    for (http, success, code, expected) in [
        (200, true, "200", Registered),
        (201, true, "200", Registered),
        (200, true, "\"200\"", Registered),
        (200, false, "404", NotRegistered),
        (404, false, "404", NotRegistered),
        (200, false, "1513", NotEnabled),
        (400, false, "1513", NotEnabled),
    ] {
        assert_eq!(registration(http, &envelope(success, code)).unwrap(), expected, "{http} {code}");
    }
    for (http, success, code, expected) in [
        (200, false, "1504", Code::TokenInvalid),
        (400, false, "1504", Code::TokenInvalid),
        (200, false, "401", Code::TokenExpired),
        (401, false, "401", Code::TokenExpired),
        (401, false, "999", Code::TokenExpired),
        (200, false, "1529", Code::TokenExpired),
        (200, false, "1999", Code::ProviderRefused),
        (400, false, "1999", Code::ProviderRefused),
        (200, true, "201", Code::ContradictoryAnswer),
        (200, true, "404", Code::ContradictoryAnswer),
        (200, true, "1513", Code::ContradictoryAnswer),
        (200, false, "200", Code::ContradictoryAnswer),
        (404, true, "200", Code::ContradictoryAnswer),
        (500, true, "200", Code::ContradictoryAnswer),
        (500, false, "404", Code::HttpStatus),
        (503, false, "1513", Code::Unavailable),
        (403, false, "1999", Code::AccessDenied),
        (429, false, "1999", Code::RateLimited),
        (503, false, "1999", Code::Unavailable),
    ] {
        let error = registration(http, &envelope(success, code)).unwrap_err();
        assert_eq!(error.code, expected, "{http} {success} {code}: {error}");
        assert_eq!(error.provider, Provider::Capillary);
        assert_eq!(error.http_status, Some(http));
        assert!(error.provider_code.is_some());
    }
}

#[test]
fn what_is_not_capillary_s_envelope_is_judged_by_its_http_status() {
    let bodies = [
        "",
        "<html>404</html>",
        "Bad Request",
        "{}",
        "[]",
        r#"{"status":null}"#,
        r#"{"status":{}}"#,
        r#"{"status":{"success":false}}"#,
        r#"{"status":{"code":404}}"#,
        r#"{"status":{"success":"false","code":404}}"#,
        r#"{"status":{"success":false,"code":404.0}}"#,
        r#"{"status":{"success":false,"code":null}}"#,
        r#"{"status":{"success":false,"code":true}}"#,
        r#"{"status":{"success":false,"code":"40x"}}"#,
        r#"{"status":{"success":false,"code":404,"code":404}}"#,
        r#"{"status":{"success":false,"code":-404}}"#,
        r#"{"status":{"success":false,"code":99999999999}}"#,
        r#"{"status":{"success":true,"code":200},"status":{"success":true,"code":200}}"#,
    ];
    for body in bodies {
        let code = |http| registration(http, body).unwrap_err().code;
        assert_eq!(code(200), Code::MalformedAnswer, "{body}");
        assert_eq!(code(404), Code::HttpStatus, "{body}");
        assert_eq!(code(401), Code::TokenInvalid, "{body}");
        assert_eq!(code(503), Code::Unavailable, "{body}");
        assert_eq!(code(302), Code::HttpStatus, "{body}");
    }
}

#[test]
fn decisions_compare_and_default_to_none() {
    assert_eq!(Decision::default(), Decision::None);
    assert!(!Decision::default().is_approved());
}

/// What a call says of an answer that is written and then followed by silence: an answer that is
/// waited on for its end is told apart from one that is judged.
fn read_as_is(call: Call, answer: &str) -> Result<(), Error> {
    let peer = Peer::scripted(vec![Reply::raw(answer).then(Then::Silence)]);
    let options = peer.options().request_timeout(Duration::from_secs(5));
    call.run(&options, &CallOptions::new().timeout(Duration::from_secs(5)))
}

fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

#[test]
fn a_transfer_coding_other_than_chunked_is_malformed() {
    let ok = &*Call::Availability.success();
    for coding in [
        "gzip",
        "xchunked",
        "chunkedx",
        "identity",
        "chunked, gzip",
        "gzip, chunked",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "chunked;q=1",
        "\"chunked\"",
        "chunked\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: gzip",
        "gzip\r\ntransfer-encoding: chunked",
        "",
        "chunk\u{e9}d",
    ] {
        for body in [chunked(ok), ok.to_owned()] {
            let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n{body}");
            let error = read_as_is(Call::Availability, &answer).unwrap_err();
            assert_eq!(
                (error.code, error.http_status),
                (Code::MalformedAnswer, Some(200)),
                "{coding}: {error}"
            );
        }
    }
    // HTTP/1.0 has no chunks: where such an answer ends is anybody's guess.
    let answer = format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunked(ok));
    assert_eq!(read_as_is(Call::Availability, &answer).unwrap_err().code, Code::MalformedAnswer);
    for coding in ["chunked", "Chunked", "CHUNKED", " \t chunked \t "] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding:{coding}\r\n\r\n{}", chunked(ok));
        assert!(read_as_is(Call::Availability, &answer).is_ok(), "{coding}");
    }
}

#[test]
fn chunks_that_are_none_are_malformed_and_never_waited_for() {
    let ok = &*Call::Availability.success();
    let size = format!("{:x}", ok.len());
    let with_size = |size: &str| format!("{size}\r\n{ok}\r\n0\r\n\r\n");
    let bodies = [
        with_size(&format!("+{size}")),
        with_size(&format!("-{size}")),
        with_size(&format!(" {size}")),
        with_size(&format!("\t{size}")),
        with_size(&format!("\n{size}")),
        with_size(&format!("0x{size}")),
        with_size(&format!("{}_{}", &size[..1], &size[1..])),
        with_size(&format!("{size}h")),
        with_size(&format!("{size} {size}")),
        with_size(&format!("{size}.")),
        with_size(""),
        with_size(";a=b"),
        with_size("\u{661}"),
        with_size("fffffffffffffffff"),
        with_size(&format!("10000000000000000{size}")),
        format!("{size}\r\n{ok}\r\n+0\r\n\r\n"),
        format!("{size}\r\n{ok}\r\n-0\r\n\r\n"),
        // Line feeds alone, everywhere and in each place.
        format!("{size}\n{ok}\n0\n\n"),
        format!("{size}\n{ok}\r\n0\r\n\r\n"),
        format!("{size};a\n{ok}\r\n0\r\n\r\n"),
        format!("{size}\r\n{ok}\n0\r\n\r\n"),
        format!("{size}\r\n{ok}\r\n0\n\r\n"),
        format!("{size}\r\n{ok}\r\n0\r\n\n"),
        format!("{size}\r\n{ok}\r\n0\r\nA: b\n\r\n"),
        // Carriage returns alone.
        format!("{size}\r{ok}\r\n0\r\n\r\n"),
        format!("{size}\r\n{ok}\r0\r\n\r\n"),
        format!("{size};a\rb\r\n{ok}\r\n0\r\n\r\n"),
        format!("{size}\r\n{ok}\r\n0\r\n\rx"),
        // Chunks longer or shorter than they say; an answer where trailers belong.
        format!("{size}\r\n{ok}{ok}\r\n0\r\n\r\n"),
        format!("{size}\r\n{ok}0\r\n\r\n"),
        format!("{size}\r\n{ok}\r\n0\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        format!("{size}\r\n{ok}\r\n0\r\n a: folded\r\n\r\n"),
        format!("{size}\r\n{ok}\r\n0\r\nA : b\r\n\r\n"),
    ];
    for body in bodies {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let error = read_as_is(Call::Availability, &answer).unwrap_err();
        let found = (error.code, error.http_status, error.attempts);
        assert_eq!(found, (Code::MalformedAnswer, Some(200), 1), "{body:?}: {error}");
    }
}

#[test]
fn chunks_of_every_valid_form_are_read_and_the_connection_kept() {
    let ok = &*Call::Availability.success();
    let (first, rest) = ok.split_at(3);
    let size = format!("{:x}", ok.len());
    for body in [
        chunked(ok),
        format!("{}\r\n{ok}\r\n0\r\n\r\n", size.to_uppercase()),
        format!("000{size}\r\n{ok}\r\n000\r\n\r\n"),
        format!("{size} \t\r\n{ok}\r\n0 \r\n\r\n"),
        format!("{size} ; a-long-extension=\"of many, many words\"; b\r\n{ok}\r\n0;c\r\n\r\n"),
        format!("3\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\nA: b\r\nC:\r\n\r\n", rest.len()),
        ok.bytes().fold(String::new(), |all, b| format!("{all}1\r\n{}\r\n", b as char)) + "0\r\n\r\n",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let one_by_one = answer.bytes().map(|b| vec![b]).collect();
        let peer = Peer::scripted(vec![
            Reply::raw(answer.clone()),
            Reply { pieces: one_by_one, then: Then::KeepOpen },
            Reply::raw(answer.replacen("\r\n", "\r\nConnection: close\r\n", 1)),
            Reply::raw(answer),
        ]);
        let ask = Call::Availability.of(&peer.options());
        for _ in 0..4 {
            let result = ask(&patient());
            assert!(result.is_ok(), "{body:?}: {result:?}");
        }
        assert_eq!(peer.connections(), 2, "{body:?}: kept until the server said it closes");
    }
}

#[test]
fn the_last_chunk_ends_a_body_whatever_becomes_of_the_connection() {
    // One that is not made again.
    let call = Call::Cancel;
    let ok = &*call.success();
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("{:x}\r\n{ok}\r\n", ok.len());
    let outcome = |end: &str, then| {
        let peer = Peer::scripted(vec![Reply::raw(format!("{head}{chunk}{end}")).then(then)]);
        call.run(&peer.options(), &patient())
    };
    for end in ["0\r\n", "0\r\n\r", "0\r\nA: b", "0\r\nA: b\r\n"] {
        assert!(outcome(end, Then::Close).is_ok(), "{end:?}");
    }
    for end in ["", "0", "0\r"] {
        for then in [Then::Close, Then::Reset] {
            assert_eq!(outcome(end, then).unwrap_err().code, Code::ConnectionLost, "{end:?}");
        }
    }
}

#[test]
fn no_coding_by_any_name_is_no_coding() {
    let ok = &*Call::Availability.success();
    let read = |codings: &str| {
        let length = ok.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{codings}\r\n{ok}");
        read_as_is(Call::Availability, &answer)
    };
    for codings in [
        "",
        "Content-Encoding:\r\n",
        "Content-Encoding: \t\r\n",
        "Content-Encoding: identity\r\n",
        "Content-Encoding: identity, IDENTITY\r\n",
        "Content-Encoding: , identity,,\r\n",
        "Content-Encoding: identity\r\nContent-Encoding:\r\n",
    ] {
        let result = read(codings);
        assert!(result.is_ok(), "{codings:?}: {result:?}");
    }
    for coding in ["gzip", "identity, gzip", "gzip, identity", "identityx", "identity gzip", "x\u{e9}"] {
        let error = read(&format!("Content-Encoding: {coding}\r\n")).unwrap_err();
        assert_eq!(error.code, Code::MalformedAnswer, "{coding:?}: {error}");
    }
}

#[test]
fn header_lines_are_read_one_way_or_refused_at_once() {
    let ok = &*Call::Availability.success();
    let length = ok.len();
    for head in [
        format!("HTTP/1.1 200 OK\nContent-Length: {length}\n\n"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\n\r\n"),
        format!("\r\nHTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}, {length}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\ncontent-length: 0{length}\r\n\r\n"),
        format!(
            "HTTP/1.1 100 Continue\r\nServer: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        ),
    ] {
        let result = read_as_is(Call::Availability, &format!("{head}{ok}"));
        assert!(result.is_ok(), "{head:?}: {result:?}");
    }
    let more = length + 1;
    for lines in [
        format!("Content-Length: +{length}"),
        format!("Content-Length: {length}, {more}"),
        format!("Content-Length: {length}\r\nContent-Length: {more}"),
        format!("Content-Length: {length},"),
        format!("Content-Length: 0x{length}"),
        format!("Content-Length: {length} {length}"),
        "Content-Length: 18446744073709551616".to_owned(),
        "Content-Length:".to_owned(),
        format!("Content-Length : {length}"),
        format!("Content-Length\t: {length}"),
        format!(" Content-Length: {length}"),
        format!("Content-Length:\r\n {length}"),
        format!("X: a\r\n b\r\nContent-Length: {length}"),
        format!("X: a\rContent-Length: 1\r\nContent-Length: {length}"),
        format!("X: a\0b\r\nContent-Length: {length}"),
        format!("X\r\nContent-Length: {length}"),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n{ok}");
        let error = read_as_is(Call::Availability, &answer).unwrap_err();
        assert_eq!(error.code, Code::MalformedAnswer, "{lines:?}: {error}");
    }
}
