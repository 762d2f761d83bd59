//! Tokens that look like the providers', tokens of another server's, and what is said about a wrong one.

mod common;

use std::time::Duration;

use common::*;
use mfa_sandbox::{Access, Options, Sandbox, Status, User};

fn any_of(person: &str) -> Sandbox {
    sandbox_with(Options { any_token: Some(person.to_owned()), ..Options::default() })
}

/// A JWT of another server's: header and payload as given, and a signature that nobody checks.
fn jwt(payload: &str) -> String {
    let part = |text: &str| {
        let bits: String = text.bytes().map(|byte| format!("{byte:08b}")).collect();
        let letters: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']).collect();
        let six = |bits: &[u8]| {
            let text = format!("{:0<6}", std::str::from_utf8(bits).unwrap());
            letters[usize::from_str_radix(&text, 2).unwrap()]
        };
        bits.as_bytes().chunks(6).map(six).collect::<String>()
    };
    format!("{}.{}.c2lnbmF0dXJl", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(payload))
}

#[test]
fn a_token_can_be_shaped_as_the_providers() {
    let sandbox = sandbox();
    let token = sandbox.issue_jwt("ann", Access::default()).unwrap();
    assert_eq!(token.split('.').count(), 3);
    assert_ne!(token, sandbox.issue_jwt("ann", Access::default()).unwrap());
    let id = start(&sandbox, &token);
    let transaction = sandbox.transaction(id).unwrap();
    assert_eq!((transaction.user.as_str(), transaction.status), ("ann", Status::Pending));
    let expired =
        sandbox.issue_jwt("ann", Access { lives: Some(Duration::ZERO), ..Access::default() }).unwrap();
    assert_eq!(post(&sandbox, AVAILABILITY, &expired, "{}").result(), -4);
    assert_eq!(post(&sandbox, AVAILABILITY, &format!("{token}x"), "{}").result(), -5);
}

#[test]
fn any_token_can_be_somebodys_who_is_asked() {
    let sandbox = any_of("ann");
    sandbox.add_user("bob", User { methods: vec![1], ..User::default() }).unwrap();
    for (token, person) in [
        ("whatever", "ann".to_owned()),
        (&jwt(r#"{"sub":"bob","exp":99999999999}"#), "bob".to_owned()),
        (&jwt(r#"{"sub":"carl"}"#), "carl".to_owned()),
        (&jwt("{}"), "ann".to_owned()),
        ("a.b.c", "ann".to_owned()),
    ] {
        let id = start(&sandbox, token);
        assert_eq!(sandbox.transaction(id).unwrap().user, person, "{token}");
        assert_eq!(registered(&sandbox, "demo-brand", token).code(), 200);
    }
    assert_eq!(post(&sandbox, TYPES, &jwt(r#"{"sub":"bob"}"#), "{}").first_method(), 1);
    let old = jwt(r#"{"sub":"bob","exp":1}"#);
    assert_eq!(post(&sandbox, AVAILABILITY, &old, "{}").result(), -4);
    assert!(sandbox.revoke_token("whatever"));
    assert_eq!(post(&sandbox, AVAILABILITY, "whatever", "{}").result(), -5);
    // A misspelt magic token is somebody's mistake, and nobody's token.
    assert_eq!(post(&sandbox, AVAILABILITY, "sandbox-aprove", "{}").result(), -5);
    let empty = Options { any_token: Some(String::new()), ..Options::default() };
    assert!(Sandbox::start(empty).err().unwrap().to_string().contains("must have a name"));
}

/// Magic tokens may have spoken of a person of the same name, who approves by a token's word: this one has none.
#[test]
fn no_token_approves_but_by_its_own_word() {
    let sandbox = any_of("ann");
    start(&sandbox, "sandbox-approve-after-0#ann");
    start(&sandbox, "sandbox-approve-after-0#bob");
    sandbox.issue_token("issued", "bob", Access::default());
    let made = sandbox.issue_jwt("bob", Access::default()).unwrap();
    let asked = ["whatever", "issued", &made, &jwt(r#"{"sub":"bob"}"#)].map(|token| start(&sandbox, token));
    // Later than any of them would approve.
    let last = start(&sandbox, "sandbox-approve-after-600#bob");
    wait_for_end(&sandbox, last);
    for id in asked {
        assert_eq!(sandbox.transaction(id).unwrap().status, Status::Pending);
    }
}

#[test]
fn a_wrong_token_is_told_what_is_wrong() {
    let sandbox = sandbox();
    let why = |token: &str| {
        let answer = post(&sandbox, START, token, QUESTION);
        assert_eq!(answer.result(), -5);
        answer.header("x-sandbox-why").unwrap().to_owned()
    };
    assert_eq!(why("sandbox-aprove"), "'aprove': no such behaviour; did you mean approve?");
    assert_eq!(why("sandbox-phone+slow"), "'slow': wrong argument; it is written slow-MS");
    assert!(why("approve").contains("does not begin with 'sandbox-'"));
    assert!(why("sandbox-revoked").contains("revoked"));
    let answer = registered(&sandbox, "demo-brand", "sandbox-registerd");
    assert_eq!(answer.code(), 1504);
    assert_eq!(
        answer.header("x-sandbox-why"),
        Some("'registerd': no such behaviour; did you mean registered?")
    );
    let answer = registered(&sandbox, "demo", "sandbox-registered");
    assert_eq!(answer.header("x-sandbox-why"), Some("no brand 'demo'"));
}
