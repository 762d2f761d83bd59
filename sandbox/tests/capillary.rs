//! Capillary's `isMfaRegistered` and its whole table.

mod common;

use common::*;
use mfa_sandbox::{Access, BRAND_WITH_MFA, BRAND_WITHOUT_MFA, Options, User};

#[test]
fn the_table() {
    let sandbox = sandbox();
    let answer = registered(&sandbox, BRAND_WITH_MFA, "sandbox-registered");
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.text(),
        r#"{"status":{"success":true,"code":200,"message":"SUCCESS"},"auth":null,"user":null}"#
    );
    for (brand, token, code) in [
        (BRAND_WITH_MFA, "sandbox-not-registered", 404),
        (BRAND_WITHOUT_MFA, "sandbox-registered", 1513),
        (BRAND_WITH_MFA, "sandbox-token-invalid", 1504),
        (BRAND_WITH_MFA, "unknown", 1504),
        ("no-such-brand", "sandbox-registered", 1504),
        (BRAND_WITH_MFA, "sandbox-token-expired", 401),
        (BRAND_WITH_MFA, "sandbox-refuse-1529", 1529),
        (BRAND_WITH_MFA, "sandbox-device-other", 1508),
        (BRAND_WITH_MFA, "sandbox-device-device-1", 200),
        (BRAND_WITH_MFA, "sandbox-approve", 200),
    ] {
        let answer = registered(&sandbox, brand, token);
        assert_eq!((answer.status, answer.code()), (200, code), "{brand} {token}");
        assert_eq!(answer.json()["status"]["success"], code == 200);
        assert!(answer.json()["status"]["message"].is_string());
    }
}

#[test]
fn every_field_is_a_required_string() {
    let sandbox = sandbox();
    let ask = |body: &str| connect(sandbox.capillary_url()).post(REGISTERED, None, body).unwrap();
    for body in [
        "{}",
        r#"{"brand":"demo-brand","deviceId":"d"}"#,
        r#"{"brand":"demo-brand","authorizedToken":"sandbox-registered"}"#,
        r#"{"deviceId":"d","authorizedToken":"sandbox-registered"}"#,
        r#"{"brand":"","deviceId":"d","authorizedToken":"sandbox-registered"}"#,
        r#"{"brand":"demo-brand","deviceId":"","authorizedToken":"sandbox-registered"}"#,
        r#"{"brand":"demo-brand","deviceId":"d","authorizedToken":""}"#,
        r#"{"brand":"demo-brand","deviceId":5,"authorizedToken":"sandbox-registered"}"#,
        r#"{"brand":"demo-brand","deviceId":"d","authorizedToken":"sandbox-registered","more":1}"#,
        r#"{"brand":"demo-brand","brand":"demo-brand","deviceId":"d","authorizedToken":"sandbox-registered"}"#,
    ] {
        assert_eq!(ask(body).code(), 1519, "{body}");
    }
    for body in ["", "[]", "nonsense", "{"] {
        assert_eq!(ask(body).status, 400, "{body}");
    }
}

#[test]
fn the_code_can_come_as_the_http_status() {
    let sandbox = sandbox_with(Options { capillary_http_status: true, ..Options::default() });
    let of = |brand: &str, token: &str| {
        let answer = registered(&sandbox, brand, token);
        (answer.status, answer.code())
    };
    assert_eq!(of(BRAND_WITH_MFA, "sandbox-registered"), (200, 200));
    assert_eq!(of(BRAND_WITH_MFA, "sandbox-not-registered"), (404, 404));
    assert_eq!(of(BRAND_WITH_MFA, "sandbox-token-expired"), (401, 401));
    assert_eq!(of(BRAND_WITHOUT_MFA, "sandbox-registered"), (400, 1513));
}

#[test]
fn brands_and_users_can_be_added() {
    let sandbox = sandbox();
    sandbox.add_brand("mine", true);
    sandbox.add_user("dora", User { registered: false, ..User::default() }).unwrap();
    sandbox.issue_token("hers", "dora", Access::default());
    assert_eq!(registered(&sandbox, "mine", "hers").code(), 404);
    sandbox.add_brand("mine", false);
    assert_eq!(registered(&sandbox, "mine", "hers").code(), 1513);
}
