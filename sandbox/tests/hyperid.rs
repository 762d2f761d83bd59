//! HyperID's five calls and their whole result tables.

mod common;

use common::*;
use mfa_sandbox::{Access, DecideError, Decision, SCOPE_MFA_CLIENT, SCOPE_SECOND_FACTOR, Status, User};
use std::time::Duration;

const EVERY: [&str; 5] = [AVAILABILITY, TYPES, START, STATUS, CANCEL];

/// A body that is right for the endpoint, so that only the token decides.
fn body(path: &str) -> String {
    match path {
        START => QUESTION.to_owned(),
        STATUS | CANCEL => id_body(1),
        _ => "{}".to_owned(),
    }
}

#[test]
fn the_two_tables_are_mirrored() {
    let sandbox = sandbox();
    for path in EVERY {
        let mirrored = path == TYPES;
        let of = |token: &str| post(&sandbox, path, token, &body(path)).result();
        assert_eq!(of("sandbox-unavailable"), if mirrored { -4 } else { -1 }, "{path}");
        assert_eq!(of("sandbox-no-scope"), -3, "{path}");
        assert_eq!(of("sandbox-token-expired"), if mirrored { -2 } else { -4 }, "{path}");
        assert_eq!(of("sandbox-token-invalid"), if mirrored { -1 } else { -5 }, "{path}");
        assert_eq!(of("nobody-knows-this"), if mirrored { -1 } else { -5 }, "{path}");
        assert_eq!(of("sandbox-nonsense"), if mirrored { -1 } else { -5 }, "{path}");
        let invalid = post(&sandbox, path, "sandbox-approve", r#"{"what":1}"#);
        assert_eq!(invalid.result(), if mirrored { -5 } else { -2 }, "{path}");
        assert!(invalid.header("x-sandbox-why").is_some_and(|why| why.contains("what")), "{}", invalid.head);
    }
    assert_eq!(sandbox.push_count(), 0);
}

#[test]
fn a_refusal_is_only_a_result() {
    let answer = post(&sandbox(), AVAILABILITY, "sandbox-no-scope", "{}");
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"result":-3}"#));
}

#[test]
fn availability_and_types() {
    let sandbox = sandbox();
    let answer = post(&sandbox, AVAILABILITY, "sandbox-approve", "{}");
    assert_eq!(answer.text(), r#"{"result":0,"is_available":true}"#);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(post(&sandbox, AVAILABILITY, "sandbox-no-app", "{}").json()["is_available"], false);
    assert_eq!(post(&sandbox, TYPES, "sandbox-approve", "{}").text(), r#"{"result":0,"auth_types":[0,3]}"#);
    assert_eq!(post(&sandbox, TYPES, "sandbox-no-app", "{}").text(), r#"{"result":0,"auth_types":[3]}"#);
    assert_eq!(
        post(&sandbox, TYPES, "sandbox-methods-1,2,9", "{}").text(),
        r#"{"result":0,"auth_types":[1,2,9]}"#
    );
    assert_eq!(post(&sandbox, TYPES, "sandbox-methods-none", "{}").text(), r#"{"result":0,"auth_types":[]}"#);
}

#[test]
fn request_id_comes_back() {
    let sandbox = sandbox();
    let json = post(&sandbox, AVAILABILITY, "sandbox-approve", r#"{"request_id":9007199254740993}"#).json();
    assert_eq!(json["request_id"].as_i64(), Some(9007199254740993));
    let refused = post(&sandbox, STATUS, "sandbox-approve", r#"{"transaction_id":5,"request_id":7}"#).json();
    assert_eq!((refused["result"].as_i64(), refused["request_id"].as_i64()), (Some(-6), Some(7)));
    assert_eq!(post(&sandbox, AVAILABILITY, "sandbox-approve", r#"{"request_id":"7"}"#).result(), -2);
}

#[test]
fn start_takes_what_is_documented_and_shows_it() {
    let sandbox = sandbox();
    let body = r#"{"template_id":4,"values":"{\"version\":1,\"action\":{\"type\":\"question\",\"action_info\":\"Ž?\"}}","code":"07","device_id":"d","device_desc":"Browser","ip":"203.0.113.7"}"#;
    let id = post(&sandbox, START, "sandbox-phone#ann", body).transaction_id();
    assert!(id > i64::from(u32::MAX), "{id}");
    let seen = sandbox.transaction(id).unwrap();
    assert_eq!(seen.user, "ann");
    assert_eq!(seen.question.as_deref(), Some("Ž?"));
    assert_eq!(seen.code.as_deref(), Some("07"));
    assert_eq!(seen.device_id.as_deref(), Some("d"));
    assert_eq!(seen.device_desc.as_deref(), Some("Browser"));
    assert_eq!(seen.ip.as_deref(), Some("203.0.113.7"));
    assert_eq!((seen.status, seen.complete_result, seen.template_id), (Status::Pending, 0, 4));
    for template in [2, 3, 15] {
        let plain = post(&sandbox, START, "sandbox-phone", &format!(r#"{{"template_id":{template}}}"#));
        assert_eq!(plain.result(), 0, "{template}");
    }
    assert_eq!(sandbox.push_count(), 4);
}

#[test]
fn start_refuses_the_rest() {
    let sandbox = sandbox();
    let question = |values: &str| serde_json::json!({ "template_id": 4, "values": values }).to_string();
    let invalid = [
        String::new(),
        "[]".to_owned(),
        "[4]".to_owned(),
        "null".to_owned(),
        "{".to_owned(),
        "{}".to_owned(),
        r#"{"template_id":"4"}"#.to_owned(),
        r#"{"template_id":4.5}"#.to_owned(),
        r#"{"template_id":4}"#.to_owned(),
        r#"{"template_id":2,"template_id":2}"#.to_owned(),
        r#"{"template_id":2,"values":{"a":1}}"#.to_owned(),
        r#"{"template_id":2,"values":null}"#.to_owned(),
        r#"{"template_id":2,"values":"[1]"}"#.to_owned(),
        r#"{"template_id":2,"values":"{"}"#.to_owned(),
        r#"{"template_id":2,"code":42}"#.to_owned(),
        r#"{"template_id":2,"device_id":1}"#.to_owned(),
        r#"{"template_id":2,"device_descr":"x"}"#.to_owned(),
        r#"{"template_id":2} x"#.to_owned(),
        question("{}"),
        question(r#"{"version":2,"action":{"type":"question","action_info":"x"}}"#),
        question(r#"{"version":"1","action":{"type":"question","action_info":"x"}}"#),
        question(r#"{"version":1,"action":{"type":"answer","action_info":"x"}}"#),
        question(r#"{"version":1,"action":{"type":"question","action_info":5}}"#),
        question(r#"{"version":1,"action":{"type":"question"}}"#),
        question(r#"{"version":1}"#),
    ];
    for body in invalid {
        assert_eq!(post(&sandbox, START, "sandbox-phone", &body).result(), -2, "{body}");
    }
    assert_eq!(post(&sandbox, START, "sandbox-phone", r#"{"template_id":99}"#).result(), -8);
    assert_eq!(post(&sandbox, START, "sandbox-no-app", QUESTION).result(), -7);
    let with_device = |name: &str| format!(r#"{{"template_id":2,"device_id":"{name}"}}"#);
    assert_eq!(post(&sandbox, START, "sandbox-device-mine", &with_device("other")).result(), -7);
    assert_eq!(sandbox.push_count(), 0);
    assert_eq!(post(&sandbox, START, "sandbox-device-mine", &with_device("mine")).result(), 0);
}

#[test]
fn status_of_every_end() {
    let sandbox = sandbox();
    for (decision, expected) in [
        (Decision::Approve, (1, 0)),
        (Decision::Deny, (1, 1)),
        (Decision::Decline, (4, 0)),
        (Decision::Fail, (3, 0)),
        (Decision::Expire, (2, 0)),
    ] {
        let id = start(&sandbox, "sandbox-phone");
        assert_eq!(status(&sandbox, "sandbox-phone", id), (0, 0), "a pending answer carries 0, too");
        sandbox.decide(id, decision).unwrap();
        assert_eq!(status(&sandbox, "sandbox-phone", id), expected, "{decision:?}");
        assert!(matches!(sandbox.decide(id, Decision::Approve), Err(DecideError::Ended(_))));
        assert_eq!(sandbox.transaction(id).unwrap().polls, 2);
    }
    assert_eq!(sandbox.decide(1, Decision::Approve), Err(DecideError::NotFound));
}

#[test]
fn status_and_cancel_know_only_ones_own() {
    let sandbox = sandbox();
    let id = start(&sandbox, "sandbox-phone#ann");
    for path in [STATUS, CANCEL] {
        assert_eq!(post(&sandbox, path, "sandbox-phone#bob", &id_body(id)).result(), -6);
        assert_eq!(post(&sandbox, path, "sandbox-phone#ann", &id_body(id + 1)).result(), -6);
        assert_eq!(post(&sandbox, path, "sandbox-phone#ann", &id_body(-1)).result(), -6);
        for body in ["{}", r#"{"transaction_id":"5"}"#, r#"{"transaction_id":99999999999999999999}"#, "{}{}"]
        {
            assert_eq!(post(&sandbox, path, "sandbox-phone#ann", body).result(), -2, "{body}");
        }
    }
    assert_eq!(status(&sandbox, "sandbox-approve#ann", id), (0, 0), "another token of the same person");
}

/// People are told apart by their names; a token is only how they show who they are.
#[test]
fn a_fresh_token_sees_the_same_persons_and_nobody_elses() {
    let sandbox = sandbox();
    for (token, user) in [("first", "ann"), ("bobs", "bob")] {
        sandbox.issue_token(token, user, Access::default());
    }
    let id = start(&sandbox, "first");
    assert!(sandbox.expire_token("first"));
    sandbox.issue_token("second", "ann", Access::default());
    assert_eq!(status(&sandbox, "second", id), (0, 0));
    for stranger in ["bobs", "sandbox-phone", "sandbox-phone#bob"] {
        assert_eq!(post(&sandbox, STATUS, stranger, &id_body(id)).result(), -6, "{stranger}");
        assert_eq!(post(&sandbox, CANCEL, stranger, &id_body(id)).result(), -6, "{stranger}");
    }
    // Also when it has ended, approved above all.
    sandbox.decide(id, Decision::Approve).unwrap();
    assert_eq!(post(&sandbox, STATUS, "bobs", &id_body(id)).result(), -6);
    assert_eq!(sandbox.transaction(id).unwrap().polls, 1, "a stranger's poll is none");
    assert_eq!(status(&sandbox, "second", id), (1, 0));
}

/// A token without a name is a person of its own, and no name that others use.
#[test]
fn a_token_without_a_name_is_nobody_elses() {
    let sandbox = sandbox();
    let id = start(&sandbox, "sandbox-never");
    sandbox.add_token("never", "phone").unwrap();
    sandbox.issue_token("named", "never", Access::default());
    for stranger in ["sandbox-phone#never", "never", "named"] {
        assert_eq!(post(&sandbox, STATUS, stranger, &id_body(id)).result(), -6, "{stranger}");
    }
    assert_eq!(status(&sandbox, "sandbox-never", id), (0, 0));
}

#[test]
fn cancel_of_every_state() {
    let sandbox = sandbox();
    let cancel = |id| post(&sandbox, CANCEL, "sandbox-phone", &id_body(id)).result();
    let id = start(&sandbox, "sandbox-phone");
    assert_eq!(cancel(id), 0);
    assert_eq!(status(&sandbox, "sandbox-phone", id), (4, 0));
    assert_eq!(cancel(id), -10);
    for (decision, expected) in [
        (Decision::Expire, -8),
        (Decision::Approve, -9),
        (Decision::Deny, -9),
        (Decision::Decline, -10),
        (Decision::Fail, -9),
    ] {
        let id = start(&sandbox, "sandbox-phone");
        sandbox.decide(id, decision).unwrap();
        assert_eq!(cancel(id), expected, "{decision:?}");
    }
}

#[test]
fn issued_tokens_have_scopes_and_lives() {
    let sandbox = sandbox();
    let user = User { methods: vec![1], behaviour: "deny-after-0".to_owned(), ..User::default() };
    sandbox.add_user("carol", user).unwrap();
    assert!(sandbox.add_user("x", User { behaviour: "moon".to_owned(), ..User::default() }).is_err());
    let scope = |name: &str| Access { scopes: vec![name.to_owned()], lives: None };
    sandbox.issue_token("mfa", "carol", scope(SCOPE_MFA_CLIENT));
    sandbox.issue_token("2fa", "carol", scope(SCOPE_SECOND_FACTOR));
    assert_eq!(post(&sandbox, TYPES, "2fa", "{}").json()["auth_types"], serde_json::json!([1]));
    assert_eq!(post(&sandbox, TYPES, "mfa", "{}").result(), -3);
    assert_eq!(post(&sandbox, AVAILABILITY, "2fa", "{}").result(), -3);
    let id = start(&sandbox, "mfa");
    assert_eq!(status(&sandbox, "mfa", id), (1, 1), "the user's own behaviour");

    sandbox.issue_token("dead", "carol", Access { lives: Some(Duration::ZERO), ..Access::default() });
    assert_eq!(post(&sandbox, STATUS, "dead", &id_body(id)).result(), -4);
    assert!(sandbox.expire_token("mfa"));
    assert_eq!(post(&sandbox, STATUS, "mfa", &id_body(id)).result(), -4);
    assert!(sandbox.revoke_token("2fa"));
    assert_eq!(post(&sandbox, TYPES, "2fa", "{}").result(), -1);
    assert!(!sandbox.revoke_token("never issued"));

    sandbox.issue_token("new", "somebody", Access::default());
    let id = start(&sandbox, "new");
    assert_eq!(sandbox.wait_for_transaction(LONG).unwrap().id, id, "an added person is asked");
    sandbox.add_token("no-spaces", "approve-after-0").unwrap();
    let id = start(&sandbox, "no-spaces");
    assert!(sandbox.transaction(id).unwrap().is_approved());
}

#[test]
fn a_bearer_token_is_wanted() {
    let sandbox = sandbox();
    let with = |header: &str| {
        let line = format!("POST {AVAILABILITY} HTTP/1.1\r\nHost: x\r\n");
        exchange(&sandbox, &format!("{line}{header}Content-Type: application/json\r\n"), "{}").result()
    };
    assert_eq!(with("Authorization: Bearer sandbox-approve\r\n"), 0);
    assert_eq!(with("authorization: bearer sandbox-approve\r\n"), 0);
    assert_eq!(with(""), -5);
    assert_eq!(with("Authorization: Basic sandbox-approve\r\n"), -5);
    assert_eq!(with("Authorization: sandbox-approve\r\n"), -5);
    assert_eq!(with("Authorization: Bearer \r\n"), -5);
    assert_eq!(with("Authorization: Bearer sandbox-approve x\r\n"), -5);
    assert_eq!(with("Authorization: Bearer sandbox-approve\r\nAuthorization: Bearer sandbox-deny\r\n"), -5);
    let long = format!("sandbox-phone#{}", "n".repeat(16_384 - 14));
    assert_eq!(with(&format!("Authorization: Bearer {long}\r\n")), 0);
    assert_eq!(with(&format!("Authorization: Bearer {long}n\r\n")), -5);
}
