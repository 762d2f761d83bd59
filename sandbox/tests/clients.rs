//! The provider's own clients: what they send beside the documentation is served, and said; a strict
//! sandbox refuses it.

mod common;

use common::*;
use mfa_sandbox::{Options, Sandbox};

const UNUSUAL: &str = "sandbox-unusual";
const JSON: &str = "Content-Type: application/json\r\n";

fn lenient() -> Sandbox {
    sandbox_with(Options::default())
}

fn send(sandbox: &Sandbox, path: &str, headers: &str, body: &str) -> Answer {
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sandbox-phone\r\n{headers}");
    exchange(sandbox, &head, body)
}

/// Carried out, and the header names what was unusual.
fn served(sandbox: &Sandbox, path: &str, headers: &str, body: &str, said: &str) -> Answer {
    let answer = send(sandbox, path, headers, body);
    assert_eq!(answer.status, 200, "{headers}{body}");
    assert_eq!(answer.result(), 0, "{headers}{body}: {}", answer.head);
    assert_eq!(answer.header(UNUSUAL), Some(said), "{headers}{body}");
    answer
}

#[test]
fn availability_comes_with_an_empty_body_of_any_type() {
    let (sandbox, strict) = (lenient(), sandbox());
    for (headers, said, refusal) in [
        (JSON, "an empty body", 200),
        ("Content-Type: text/plain; charset=utf-8\r\n", "Content-Type text/plain, an empty body", 415),
        (
            "Content-Type: application/x-www-form-urlencoded\r\n",
            "Content-Type application/x-www-form-urlencoded, an empty body",
            415,
        ),
        ("", "no Content-Type, an empty body", 415),
    ] {
        let answer = served(&sandbox, AVAILABILITY, headers, "", said);
        assert_eq!(answer.text(), r#"{"result":0,"is_available":true}"#);
        let refused = send(&strict, AVAILABILITY, headers, "");
        assert_eq!((refused.status, refused.header(UNUSUAL)), (refusal, None), "{headers}");
        if refusal == 200 {
            assert_eq!(refused.result(), -2);
        }
    }
    // Only availability is known to come like this.
    for path in [START, STATUS, CANCEL] {
        assert_eq!(send(&sandbox, path, JSON, "").result(), -2, "{path}");
    }
    assert_eq!(send(&sandbox, TYPES, JSON, "").result(), -5);
}

#[test]
fn json_may_be_called_text_or_a_form() {
    let (sandbox, strict) = (lenient(), sandbox());
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let header = format!("Content-Type: {kind}\r\n");
        served(&sandbox, START, &header, QUESTION, &format!("Content-Type {kind}"));
        assert_eq!(send(&strict, START, &header, QUESTION).status, 415);
        assert_eq!(send(&sandbox, START, &header, "template_id=4").result(), -2, "no form is read");
        assert_eq!(send(&sandbox, REGISTERED, &header, "{}").status, 415, "Capillary's clients send JSON");
    }
    for header in ["", "Content-Type: multipart/form-data\r\n", "Content-Type: text/html\r\n"] {
        assert_eq!(send(&sandbox, START, header, QUESTION).status, 415, "{header}");
    }
    let twice = format!("{JSON}Content-Type: text/plain\r\n");
    assert_eq!(send(&sandbox, AVAILABILITY, &twice, "").status, 415);
    assert_eq!(strict.push_count(), 0);
}

#[test]
fn what_is_documented_is_not_unusual() {
    let sandbox = lenient();
    for (path, body) in [(AVAILABILITY, "{}"), (TYPES, "{}"), (START, QUESTION)] {
        let answer = post(&sandbox, path, "sandbox-phone", body);
        assert_eq!((answer.result(), answer.header(UNUSUAL)), (0, None), "{path}");
    }
}

#[test]
fn the_documentations_own_sample_is_served() {
    let (sandbox, strict) = (lenient(), sandbox());
    let sample = r#"{"template_id":1,"values":""}"#;
    served(&sandbox, START, JSON, sample, "a template of the 2023 demo, an empty text as values");
    assert_eq!(send(&strict, START, JSON, sample).result(), -8);
    assert_eq!(send(&strict, START, JSON, r#"{"template_id":2,"values":""}"#).result(), -2);
    for template in 5..=14 {
        let body = format!(r#"{{"template_id":{template}}}"#);
        served(&sandbox, START, JSON, &body, "a template of the 2023 demo");
        assert_eq!(send(&strict, START, JSON, &body).result(), -8);
    }
    for template in [-1, 0, 16, 99] {
        assert_eq!(send(&sandbox, START, JSON, &format!(r#"{{"template_id":{template}}}"#)).result(), -8);
    }
}

#[test]
fn values_come_in_three_forms() {
    let (sandbox, strict) = (lenient(), sandbox());
    let object =
        r#"{"template_id":4,"values":{"version": 1,"action":{"type":"question","action_info":"Pay?"}}}"#;
    let bare = r#"{"template_id":4,"values":"Pay?"}"#;
    let other = r#"{"template_id":2,"values":{"amount":"1.5"}}"#;
    for (body, said, question, values) in [
        (
            object,
            "values as an object",
            Some("Pay?"),
            r#"{"version": 1,"action":{"type":"question","action_info":"Pay?"}}"#,
        ),
        (bare, "the bare question as values", Some("Pay?"), "Pay?"),
        (other, "values as an object", None, r#"{"amount":"1.5"}"#),
    ] {
        let answer = served(&sandbox, START, JSON, body, said);
        let seen = sandbox.transaction(answer.transaction_id()).unwrap();
        assert_eq!((seen.question.as_deref(), seen.values.as_deref()), (question, Some(values)));
        assert_eq!(send(&strict, START, JSON, body).result(), -2, "{body}");
    }
    for body in [
        r#"{"template_id":4,"values":""}"#,
        r#"{"template_id":4,"values":{}}"#,
        r#"{"template_id":4,"values":{"version":2,"action":{"type":"question","action_info":"x"}}}"#,
        // Cut or misspelt JSON is no question that a person should be asked.
        r#"{"template_id":4,"values":" {\"version\":1,"}"#,
        r#"{"template_id":4,"values":"{}"}"#,
        r#"{"template_id":4,"values":["Pay?"]}"#,
        r#"{"template_id":4,"values":null}"#,
        r#"{"template_id":4,"values":5}"#,
        r#"{"template_id":4}"#,
        r#"{"template_id":2,"values":"Pay?"}"#,
        r#"{"template_id":2,"values":[1]}"#,
        r#"{"template_id":2,"values":{"a":1},"values":{"a":2}}"#,
    ] {
        assert_eq!(send(&sandbox, START, JSON, body).result(), -2, "{body}");
    }
    assert_eq!((sandbox.push_count(), strict.push_count()), (3, 0));
}

#[test]
fn an_id_may_be_a_text_of_digits() {
    let (sandbox, strict) = (lenient(), sandbox());
    let id = start(&sandbox, "sandbox-phone");
    let body = format!(r#"{{"transaction_id":"{id}"}}"#);
    let answer = served(&sandbox, STATUS, JSON, &body, "transaction_id as a text");
    assert_eq!(answer.transaction_id(), id);
    for path in [STATUS, CANCEL] {
        for wrong in
            ["\"\"", "\"x\"", "\"-1\"", "\"+1\"", "\" 1\"", "\"1.0\"", "1.0", "1e3", "true", "null", "[1]"]
        {
            let body = format!(r#"{{"transaction_id":{wrong}}}"#);
            assert_eq!(send(&sandbox, path, JSON, &body).result(), -2, "{path} {wrong}");
        }
        let known = start(&strict, "sandbox-phone");
        assert_eq!(send(&strict, path, JSON, &format!(r#"{{"transaction_id":"{known}"}}"#)).result(), -2);
    }
    served(&sandbox, CANCEL, JSON, &body, "transaction_id as a text");
}

#[test]
fn ids_can_fit_into_32_bits() {
    let small = sandbox_with(Options { first_id: Some(41), ..Options::default() });
    assert_eq!((start(&small, "sandbox-phone"), start(&small, "sandbox-phone")), (41, 42));
    assert_eq!(small.push_count(), 2);
    assert_eq!(status(&small, "sandbox-phone", 41), (0, 0));
    for wrong in [0, -1, i64::MIN, i64::MAX] {
        assert!(Sandbox::start(Options { first_id: Some(wrong), ..Options::default() }).is_err(), "{wrong}");
    }
}

/// A client that keeps running while the sandbox is started again must not meet an id for a second time.
#[test]
fn each_run_has_ids_of_its_own() {
    let firsts: Vec<i64> = (0..8).map(|_| start(&sandbox(), "sandbox-phone")).collect();
    for (index, first) in firsts.iter().enumerate() {
        assert!((1 << 32..1 << 40).contains(first), "{first}");
        let near = firsts[..index].iter().find(|other| other.abs_diff(*first) < 10_000);
        assert_eq!(near, None, "{firsts:?}");
    }
    let mut sandbox = sandbox();
    let ids = [(); 3].map(|()| start(&sandbox, "sandbox-phone"));
    assert_eq!((ids, sandbox.push_count()), ([ids[0], ids[0] + 1, ids[0] + 2], 3));
    sandbox = sandbox_with(Options { first_id: Some(firsts[0]), ..Options::default() });
    assert_eq!(start(&sandbox, "sandbox-phone"), firsts[0], "unless it is told where to begin");
}
