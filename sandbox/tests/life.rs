//! The life of transactions, and waiting for them.

mod common;

use common::*;
use mfa_sandbox::{Decision, Options, Sandbox, Status};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

fn short_lived() -> Sandbox {
    sandbox_with(Options { life: Duration::from_millis(60), ..Options::default() })
}

#[test]
fn what_nobody_answers_expires() {
    let sandbox = short_lived();
    for token in ["sandbox-never", "sandbox-phone", "sandbox-approve-after-60000"] {
        let begin = Instant::now();
        let id = start(&sandbox, token);
        wait_for_end(&sandbox, id);
        assert!(begin.elapsed() >= Duration::from_millis(60), "{token}");
        assert_eq!(status(&sandbox, token, id), (2, 0), "{token}");
        assert_eq!(post(&sandbox, CANCEL, token, &id_body(id)).result(), -8, "{token}");
        assert!(sandbox.decide(id, Decision::Approve).is_err());
        assert_eq!(sandbox.transaction(id).unwrap().remaining, Duration::ZERO);
    }
}

#[test]
fn what_is_cancelled_is_not_approved_later() {
    let sandbox = sandbox();
    let mut attempts = [300, 3000, 15_000].map(|ms| format!("sandbox-approve-after-{ms}")).into_iter();
    // On a busy machine the person may be faster than our cancel: then once more, with more time.
    let (token, id) = loop {
        let token = attempts.next().expect("a cancel in time");
        let id = start(&sandbox, &token);
        if post(&sandbox, CANCEL, &token, &id_body(id)).result() == 0 {
            break (token, id);
        }
    };
    let other = start(&sandbox, &token);
    wait_for_end(&sandbox, other);
    assert_eq!(status(&sandbox, &token, id), (4, 0));
}

#[test]
fn a_waiter_is_woken_by_the_start_and_told_each_once() {
    let sandbox = Arc::new(sandbox());
    let waiter = {
        let sandbox = Arc::clone(&sandbox);
        thread::spawn(move || sandbox.wait_for_transaction(LONG).map(|t| t.id))
    };
    let first = start(&sandbox, "sandbox-phone");
    assert_eq!(waiter.join().unwrap(), Some(first));
    let second = start(&sandbox, "sandbox-phone");
    let third = start(&sandbox, "sandbox-phone");
    let told: Vec<_> = (0..2).filter_map(|_| sandbox.wait_for_transaction(LONG)).map(|t| t.id).collect();
    assert_eq!(told, [third, second], "the newest first");
    assert_eq!(sandbox.wait_for_transaction(Duration::ZERO), None);
}

#[test]
fn a_waiter_sees_what_happens_by_itself() {
    let sandbox = sandbox();
    let id = start(&sandbox, "sandbox-approve-after-40");
    let seen = sandbox.wait_until(LONG, |all| all.iter().find(|t| t.id == id && t.is_approved()).cloned());
    assert_eq!(seen.unwrap().status, Status::Completed);
    assert_eq!(sandbox.wait_until(Duration::from_millis(5), |_| None::<()>), None);
}

#[test]
fn requests_are_counted_and_kept_as_sent() {
    let sandbox = sandbox();
    assert_eq!((sandbox.request_count(), sandbox.connection_count()), (0, 0));
    let mut client = connect(sandbox.hyperid_url());
    client.post(AVAILABILITY, Some("sandbox-phone"), r#"{ }"#).unwrap();
    client.post(TYPES, Some("sandbox-phone"), "{}").unwrap();
    client.post("/nowhere?x=1", None, "{}").unwrap();
    assert!(sandbox.wait_for_requests(None, 3, LONG));
    assert!(!sandbox.wait_for_requests(Some(STATUS), 1, Duration::ZERO));
    assert_eq!((sandbox.request_count(), sandbox.connection_count()), (3, 1));
    assert_eq!(sandbox.request_count_for(AVAILABILITY), 1);
    let log = sandbox.requests();
    assert_eq!(
        (log[0].method.as_str(), log[0].path.as_str(), log[0].text().as_str()),
        ("POST", AVAILABILITY, "{ }")
    );
    assert_eq!(log[0].headers[1], ("Authorization".to_owned(), "Bearer sandbox-phone".to_owned()));
    assert_eq!((log[2].path.as_str(), log[2].target.as_str()), ("/nowhere", "/nowhere?x=1"));
    assert_eq!(log[2].connection, 1);
    sandbox.clear_requests();
    assert!(sandbox.requests().is_empty());
    assert_eq!(sandbox.request_count(), 3);
}
