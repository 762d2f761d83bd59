//! Waiting and confirming on the wire: every sentence of the contract.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mfa::{CallOptions, Cancel, Code, Decision, Request, Transaction, WaitEnd, WaitOptions};
use zeroize::Zeroizing;

use crate::support::system::SLOWNESS;
use crate::support::{Peer, Reply, Request as Sent, Then, waits};

const PENDING: &str =
    r#"{"result":0,"transaction_id":3,"transaction_status":0,"transaction_complete_result":0}"#;
const APPROVED: &str =
    r#"{"result":0,"transaction_id":3,"transaction_status":1,"transaction_complete_result":0}"#;
const DENIED: &str =
    r#"{"result":0,"transaction_id":3,"transaction_status":1,"transaction_complete_result":1}"#;
const EXPIRED: &str = r#"{"result":0,"transaction_status":2}"#;
const CANCELLED: &str = r#"{"result":0,"transaction_status":4,"transaction_complete_result":0}"#;
const UNKNOWN: &str = r#"{"result":0,"transaction_status":9,"transaction_complete_result":0}"#;
const TOKEN_EXPIRED: &str = r#"{"result":-4}"#;
const TOKEN_INVALID: &str = r#"{"result":-5}"#;

fn patient() -> CallOptions<'static> {
    CallOptions::new().timeout(Duration::from_secs(30))
}

/// Polls without delay: these tests are about what, not when.
fn eager<'a>() -> WaitOptions<'a> {
    let beat = Duration::from_millis(1);
    WaitOptions::new().min_interval(beat).max_interval(beat)
}

fn wait(peer: &Peer) -> WaitEnd {
    waits::wait(&peer.hyperid(), "t", 3, &mut eager(), &patient())
}

fn code(end: &WaitEnd) -> Option<Code> {
    end.result.as_ref().err().map(|e| e.code)
}

fn json(bodies: &[&str]) -> Vec<Reply> {
    bodies.iter().map(|b| Reply::json(b)).collect()
}

#[test]
fn a_wait_goes_on_while_pending_or_unknown_and_ends_with_the_answer() {
    for (last, approved) in [(APPROVED, true), (DENIED, false), (EXPIRED, false), (CANCELLED, false)] {
        let peer = Peer::scripted(json(&[PENDING, UNKNOWN, PENDING, last]));
        let end = wait(&peer);
        assert!(end.result.is_ok());
        assert_eq!(end.transaction.decision.is_approved(), approved);
        assert_eq!((end.transaction.polls, peer.requests().len()), (4, 4));
        assert_eq!(end.transaction.transaction_id, 3);
    }
}

#[test]
fn passing_trouble_is_ridden_out() {
    let trouble = [
        Reply::json(r#"{"result":-1}"#),
        Reply::status(500, "<html>"),
        Reply::status(503, ""),
        Reply::status(429, "{}"),
        Reply::nothing(Then::Close),
        Reply::nothing(Then::Reset),
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{").then(Then::Close),
        Reply::raw("HTTP/1.1 200").then(Then::Reset),
    ];
    for reply in trouble {
        let peer = Peer::scripted(vec![reply.clone(), reply.clone(), Reply::json(APPROVED)]);
        let end = wait(&peer);
        assert!(end.result.is_ok() && end.transaction.decision.is_approved(), "{reply:?} {:?}", end.result);
        assert_eq!(end.transaction.polls, 3);
    }
}

#[test]
fn a_server_that_is_not_there_yet_is_ridden_out() {
    // A port that refuses until the peer takes it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let options = mfa::ClientOptions::new().base_url(format!("http://{address}")).allow_loopback_http(true);
    let client = mfa::HyperId::new(&options).unwrap();
    let polls = AtomicUsize::new(0);
    let mut on_update = |so_far: &Transaction| {
        polls.store(so_far.polls as usize, Ordering::SeqCst);
        if so_far.polls >= 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut options = eager().on_update(&mut on_update);
    let end = waits::wait(&client, "t", 3, &mut options, &patient());
    assert_eq!(code(&end), Some(Code::Cancelled));
    assert_eq!(polls.load(Ordering::SeqCst), 3);
    assert_eq!(end.transaction.decision, Decision::None);
}

#[test]
fn lasting_trouble_ends_the_wait() {
    let cases = [
        (r#"{"result":-3}"#, Code::AccessDenied),
        (r#"{"result":-2}"#, Code::ProviderInvalidParameters),
        (TOKEN_EXPIRED, Code::TokenExpired),
        (TOKEN_INVALID, Code::TokenInvalid),
        (r#"{"result":0}"#, Code::MalformedAnswer),
        (r#"{"result":"#, Code::MalformedAnswer),
        (r#"{"result":0,"transaction_status":1}"#, Code::MalformedAnswer),
        (
            r#"{"result":0,"transaction_id":4,"transaction_status":1,"transaction_complete_result":0}"#,
            Code::ContradictoryAnswer,
        ),
    ];
    for (body, expected) in cases {
        // Wrong JSON twice: on a connection that has served, it is asked for once more.
        let peer = Peer::scripted(json(&[PENDING, body, body, APPROVED]));
        let end = wait(&peer);
        assert_eq!(code(&end), Some(expected), "{body}");
        // What was known last stays, and is no approval.
        assert_eq!((end.transaction.decision, end.transaction.polls), (Decision::Pending, 2));
    }
    for status in [400, 402, 405, 410, 418] {
        let peer = Peer::scripted(vec![Reply::json(PENDING), Reply::status(status, APPROVED)]);
        assert_eq!(code(&wait(&peer)), Some(Code::HttpStatus), "{status}");
    }
}

/// Says `reply` to every poll from the second on.
fn pending_then(reply: Reply) -> Peer {
    Peer::new(move |request| if request.number == 0 { Reply::json(PENDING) } else { reply.clone() })
}

/// What a proxy, a gateway or a sign-in page may put in the provider's place.
fn hearsay() -> Vec<(Reply, Code)> {
    vec![
        (Reply::with_headers(302, "Location: https://login.example/\r\n", ""), Code::HttpStatus),
        (Reply::status(304, ""), Code::HttpStatus),
        (Reply::status(403, "<html>blocked</html>"), Code::AccessDenied),
        (Reply::status(403, APPROVED), Code::AccessDenied),
        (Reply::status(404, ""), Code::HttpStatus),
        (Reply::status(404, r#"{"result":0}"#), Code::HttpStatus),
        (Reply::status(200, "<html>sign in</html>"), Code::MalformedAnswer),
        (Reply::status(200, ""), Code::MalformedAnswer),
        (Reply::status(200, "\u{feff} [1]"), Code::MalformedAnswer),
        (Reply::status(204, ""), Code::HttpStatus),
        (Reply::status(200, &"x".repeat(300_000)), Code::AnswerTooLarge),
    ]
}

#[test]
fn what_a_middlebox_may_have_said_is_ridden_out() {
    for (reply, _) in hearsay() {
        let peer =
            Peer::scripted(vec![Reply::json(PENDING), reply.clone(), reply.clone(), Reply::json(APPROVED)]);
        let end = wait(&peer);
        assert!(end.transaction.decision.is_approved(), "{reply:?} {:?}", end.result);
    }
}

#[test]
fn a_middlebox_that_goes_on_for_a_quarter_of_the_deadline_ends_the_wait() {
    let quarter = SLOWNESS * Duration::from_millis(500);
    let check = move |reply: Reply, expected| {
        let call = CallOptions::new().timeout(4 * quarter);
        let peer = pending_then(reply.clone());
        let end = waits::wait(&peer.hyperid(), "t", 3, &mut eager(), &call);
        let error = end.result.unwrap_err();
        assert_eq!(error.code, expected, "{reply:?}");
        assert!(error.http_status.is_some() && error.provider_code.is_none(), "{reply:?} {error:?}");
        assert!(end.transaction.elapsed >= quarter && end.transaction.polls > 3);
        assert_eq!(end.transaction.decision, Decision::Pending);
    };
    // Side by side: each has to wait.
    std::thread::scope(|scope| {
        for (reply, expected) in hearsay() {
            scope.spawn(move || check(reply, expected));
        }
    });
}

#[test]
fn the_provider_s_number_under_403_or_404_ends_the_wait_and_decides_nothing() {
    for (status, expected) in [(403, Code::AccessDenied), (404, Code::HttpStatus)] {
        for result in [-1, -4, -5, -6, -99] {
            let peer = pending_then(Reply::status(status, &format!(r#"{{"result":{result}}}"#)));
            let (end, asked) = wait_with_tokens(&peer, &[Some("new")]);
            let error = end.result.unwrap_err();
            assert_eq!(
                (error.code, error.http_status, error.provider_code),
                (expected, Some(status), Some(result))
            );
            assert_eq!((end.transaction.polls, asked), (2, 0));
        }
    }
}

#[test]
fn not_found_may_mean_not_yet() {
    const NOT_FOUND: &str = r#"{"result":-6}"#;
    let peer = Peer::scripted(json(&[NOT_FOUND, NOT_FOUND, APPROVED]));
    assert!(wait(&peer).transaction.decision.is_approved());
    let peer = provider(Reply::json(r#"{"result":0,"transaction_id":3}"#), &[NOT_FOUND, NOT_FOUND, APPROVED]);
    let end = waits::confirm(&peer.hyperid(), "t", &question(), &mut eager(), &patient());
    assert!(end.transaction.decision.is_approved());
    let peer = Peer::scripted(json(&[NOT_FOUND]));
    let mut beat = WaitOptions::new().min_interval(Duration::from_millis(500));
    let end = waits::wait(&peer.hyperid(), "t", 3, &mut beat, &patient());
    assert_eq!(code(&end), Some(Code::TransactionNotFound));
    assert!(end.transaction.elapsed >= Duration::from_secs(2));
}

#[test]
fn retry_after_costs_no_more_than_a_few_intervals() {
    for header in [
        "Retry-After: 120\r\n",
        "Retry-After: Sun, 06 Nov 1994 08:51:37 GMT\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
    ] {
        let peer = Peer::scripted(vec![Reply::with_headers(503, header, ""), Reply::json(APPROVED)]);
        let end = wait(&peer);
        assert!(end.transaction.decision.is_approved(), "{:?}", end.result);
    }
    // A date without the answer's own is not believed: this machine's clock may be wrong.
    let header = "Retry-After: Fri, 06 Nov 2099 08:51:37 GMT\r\n";
    let peer = Peer::scripted(vec![Reply::with_headers(429, header, ""), Reply::json(APPROVED)]);
    assert!(wait(&peer).transaction.decision.is_approved());
}

#[test]
fn there_is_one_last_look_whatever_a_429_asks_for() {
    let peer =
        Peer::scripted(vec![Reply::with_headers(429, "Retry-After: 3600\r\n", ""), Reply::json(APPROVED)]);
    let call = CallOptions::new().timeout(SLOWNESS * Duration::from_secs(2));
    let end = waits::wait(&peer.hyperid(), "t", 3, &mut eager(), &call);
    assert!(end.transaction.decision.is_approved(), "{:?}", end.result);
    assert_eq!(end.transaction.polls, 2);
}

#[test]
fn the_deadline_tells_what_the_last_failed_poll_met() {
    let peer = pending_then(Reply::with_headers(503, "Retry-After: 7\r\n", ""));
    let call = CallOptions::new().timeout(SLOWNESS * Duration::from_millis(500));
    let error = waits::wait(&peer.hyperid(), "t", 3, &mut eager(), &call).result.unwrap_err();
    assert_eq!((error.code, error.http_status), (Code::Timeout, Some(503)));
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    assert!(error.message.contains("MFA_ERR_UNAVAILABLE"), "{}", error.message);
    let peer = pending_then(Reply::json(r#"{"result":-1}"#));
    let error = waits::wait(&peer.hyperid(), "t", 3, &mut eager(), &call).result.unwrap_err();
    assert_eq!((error.code, error.http_status, error.provider_code), (Code::Timeout, Some(200), Some(-1)));
}

/// Waits with a cancel that is triggered when the first poll has been answered, and withdraws.
fn cancelled_after_a_poll(peer: &Peer) -> WaitEnd {
    let cancel = Cancel::new();
    let mut on_update = |so_far: &Transaction| {
        if so_far.polls == 1 {
            cancel.trigger();
        }
        ControlFlow::Continue(())
    };
    let mut options = eager().withdraw_on_cancel(true).on_update(&mut on_update);
    waits::wait(&peer.hyperid(), "t", 3, &mut options, &patient().cancel(&cancel))
}

#[test]
fn withdrawing_on_cancel_cancels_and_looks_once_more() {
    let cases = [
        (r#"{"result":0}"#, CANCELLED, Some(Code::Cancelled), Decision::Cancelled, true),
        (r#"{"result":0,"transaction_id":3}"#, "garbage", Some(Code::Cancelled), Decision::Pending, true),
        (r#"{"result":-9}"#, DENIED, None, Decision::Denied, false),
        (r#"{"result":-8}"#, EXPIRED, None, Decision::Expired, false),
        (r#"{"result":-10}"#, CANCELLED, Some(Code::Cancelled), Decision::Cancelled, true),
        (r#"{"result":-1}"#, PENDING, Some(Code::Cancelled), Decision::Pending, false),
        (r#"{"result":-4}"#, TOKEN_EXPIRED, Some(Code::Cancelled), Decision::Pending, false),
        ("garbage", "garbage", Some(Code::Cancelled), Decision::Pending, false),
    ];
    for by_callback in [false, true] {
        for (cancel_answer, after, expected, decision, withdrawn) in &cases {
            let peer = cancellable(cancel_answer, after);
            let end = if by_callback {
                let mut on_update = |_: &Transaction| ControlFlow::Break(());
                let mut options = eager().withdraw_on_cancel(true).on_update(&mut on_update);
                waits::wait(&peer.hyperid(), "t", 3, &mut options, &patient())
            } else {
                cancelled_after_a_poll(&peer)
            };
            assert_eq!((code(&end), end.transaction.decision), (*expected, *decision), "{cancel_answer}");
            assert_eq!(end.result.is_err_and(|e| e.withdrawn), *withdrawn, "{cancel_answer} {after}");
            let paths = paths(&peer);
            assert_eq!(paths.iter().filter(|path| *path == "cancel").count(), 1);
            assert_eq!(paths.last().unwrap(), "status-get");
        }
    }
    let peer = cancellable(r#"{"result":-9}"#, APPROVED);
    let end = cancelled_after_a_poll(&peer);
    assert!(end.result.is_ok() && end.transaction.decision.is_approved());
}

#[test]
fn withdrawing_is_bounded() {
    // The provider does not answer the cancel, nor the last look.
    let peer = Peer::new(|request| match request.number {
        0 => Reply::json(PENDING),
        _ => Reply::nothing(Then::Silence),
    });
    let start = Instant::now();
    let end = cancelled_after_a_poll(&peer);
    let error = end.result.unwrap_err();
    assert_eq!((error.code, error.withdrawn), (Code::Cancelled, false));
    assert!(start.elapsed() < SLOWNESS * Duration::from_secs(10), "two seconds are its bound");
    let sent = paths(&peer);
    assert_eq!(sent[..2], ["status-get", "cancel"]);
    // Where all is slow, the bound may leave no time for the last look.
    assert!(sent[2..] == ["status-get"] || SLOWNESS > 1 && sent.len() == 2, "{sent:?}");
}

/// Confirms, and triggers the cancel once start has been sent; the answer comes after that.
fn cancelled_in_start(answer: Reply, withdraw: bool) -> (WaitEnd, Vec<String>) {
    let cancel = Cancel::new();
    let theirs = cancel.clone();
    let peer = Peer::new(move |request| match request.path().rsplit('/').next().unwrap() {
        "availability-check" => Reply::json(r#"{"result":0,"is_available":true}"#),
        "v2" => {
            theirs.trigger();
            // Later than the client learns of it.
            std::thread::sleep(Duration::from_millis(200));
            answer.clone()
        }
        "cancel" => Reply::json(r#"{"result":0}"#),
        _ => Reply::json(CANCELLED),
    });
    let mut options = eager().withdraw_on_cancel(withdraw);
    let call = patient().cancel(&cancel);
    let end = waits::confirm(&peer.hyperid(), "t", &question(), &mut options, &call);
    (end, paths(&peer))
}

#[test]
fn a_start_under_way_is_read_on_so_that_it_can_be_withdrawn() {
    let started = || Reply::json(r#"{"result":0,"transaction_id":3}"#);
    let (end, paths) = cancelled_in_start(started(), true);
    let error = end.result.unwrap_err();
    assert_eq!((error.code, error.withdrawn, error.outcome_unknown), (Code::Cancelled, true, false));
    assert_eq!(end.transaction.transaction_id, 3);
    assert_eq!(paths, ["availability-check", "v2", "cancel", "status-get"]);

    let (end, paths) = cancelled_in_start(started(), false);
    let error = end.result.unwrap_err();
    assert_eq!((error.code, error.withdrawn, error.outcome_unknown), (Code::Cancelled, false, true));
    assert_eq!((end.transaction.transaction_id, paths.len()), (0, 2));

    // Nothing was started, or nobody knows.
    for (reply, unknown) in [
        (Reply::json(TOKEN_EXPIRED), false),
        (Reply::json("garbage"), true),
        (Reply::nothing(Then::Silence), true),
    ] {
        let (end, paths) = cancelled_in_start(reply, true);
        let error = end.result.unwrap_err();
        assert_eq!((error.code, error.withdrawn, error.outcome_unknown), (Code::Cancelled, false, unknown));
        assert_eq!(paths, ["availability-check", "v2"]);
    }
}

#[test]
fn confirm_waits_a_moment_before_its_first_poll() {
    for (first_poll, least) in [(None, 300), (Some(Duration::ZERO), 0)] {
        let peer = provider(Reply::json(r#"{"result":0,"transaction_id":3}"#), &[APPROVED]);
        let known = Mutex::new(None);
        let waited = Mutex::new(Duration::ZERO);
        let mut on_update = |so_far: &Transaction| {
            let mut known = known.lock().unwrap();
            match *known {
                None => *known = Some(Instant::now()),
                Some(then) => *waited.lock().unwrap() = then.elapsed(),
            }
            assert_eq!(so_far.transaction_id, 3);
            ControlFlow::Continue(())
        };
        let mut options =
            WaitOptions::new().min_interval(Duration::from_millis(300)).on_update(&mut on_update);
        options.first_poll = first_poll;
        assert!(waits::confirm(&peer.hyperid(), "t", &question(), &mut options, &patient()).result.is_ok());
        assert!(*waited.lock().unwrap() >= Duration::from_millis(least));
    }
}

#[test]
fn retry_after_keeps_the_next_poll_back() {
    let peer =
        Peer::scripted(vec![Reply::with_headers(429, "Retry-After: 1\r\n", ""), Reply::json(APPROVED)]);
    let start = Instant::now();
    assert!(wait(&peer).result.is_ok());
    assert!(start.elapsed() >= Duration::from_secs(1));
}

/// Refuses every token but `good`.
fn checks_token(good: &'static str, refusal: &'static str) -> impl Fn(&Sent) -> Reply {
    move |request| {
        let accepted = request.header("authorization") == Some(&format!("Bearer {good}"));
        Reply::json(if accepted { APPROVED } else { refusal })
    }
}

fn wait_with_tokens(peer: &Peer, tokens: &[Option<&str>]) -> (WaitEnd, usize) {
    let mut asked = 0;
    let mut provider = || {
        asked += 1;
        tokens.get(asked - 1).copied().flatten().map(|t| Zeroizing::new(t.to_owned()))
    };
    let mut options = eager().access_token_provider(&mut provider);
    let end = waits::wait(&peer.hyperid(), "old", 3, &mut options, &patient());
    (end, asked)
}

#[test]
fn a_refused_token_is_replaced_and_the_poll_repeated() {
    for refusal in [TOKEN_EXPIRED, TOKEN_INVALID] {
        let peer = Peer::new(checks_token("new", refusal));
        let (end, asked) = wait_with_tokens(&peer, &[Some("new")]);
        assert!(end.result.is_ok() && end.transaction.decision.is_approved());
        assert_eq!((asked, peer.requests().len()), (1, 2));
    }
    let peer = Peer::new(|request| match request.number {
        0 => Reply::status(401, ""),
        _ => Reply::json(APPROVED),
    });
    assert!(wait_with_tokens(&peer, &[Some("new")]).0.result.is_ok());
}

#[test]
fn a_second_refusal_none_or_an_unusable_token_end_the_wait() {
    let peer = Peer::new(checks_token("other", TOKEN_EXPIRED));
    let (end, asked) = wait_with_tokens(&peer, &[Some("new"), Some("other")]);
    assert_eq!((code(&end), asked, peer.requests().len()), (Some(Code::TokenExpired), 1, 2));

    let peer = Peer::new(checks_token("other", TOKEN_INVALID));
    let (end, asked) = wait_with_tokens(&peer, &[None]);
    assert_eq!((code(&end), asked, peer.requests().len()), (Some(Code::TokenInvalid), 1, 1));

    // A waiter refuses it there and then, and asks on.
    for bad in ["", "a b", "a\r\nX: y", "ü"].iter().filter(|_| !waits::by_waiter()) {
        let peer = Peer::new(checks_token("other", TOKEN_INVALID));
        let (end, _) = wait_with_tokens(&peer, &[Some(*bad)]);
        assert_eq!((code(&end), peer.requests().len()), (Some(Code::InvalidArgument), 1), "{bad:?}");
    }
}

#[test]
fn a_later_expiry_asks_again() {
    let peer = Peer::scripted(json(&[TOKEN_EXPIRED, PENDING, TOKEN_EXPIRED, PENDING, APPROVED]));
    let (end, asked) = wait_with_tokens(&peer, &[Some("b"), Some("c")]);
    assert!(end.result.is_ok());
    let tokens: Vec<_> =
        peer.requests().iter().map(|r| r.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(tokens, ["Bearer old", "Bearer b", "Bearer b", "Bearer c", "Bearer c"]);
    assert_eq!(asked, 2);
}

#[test]
fn on_update_sees_each_poll_and_may_end_the_wait() {
    let peer = Peer::scripted(json(&[PENDING, r#"{"result":-1}"#, UNKNOWN, PENDING]));
    let seen = Mutex::new(Vec::new());
    let mut on_update = |so_far: &Transaction| {
        seen.lock().unwrap().push((so_far.polls, so_far.decision));
        if so_far.polls == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut options = eager().on_update(&mut on_update);
    let end = waits::wait(&peer.hyperid(), "t", 3, &mut options, &patient());
    assert_eq!(code(&end), Some(Code::Cancelled));
    assert_eq!((end.transaction.transaction_id, end.transaction.polls), (3, 4));
    let expected =
        [(1, Decision::Pending), (2, Decision::Pending), (3, Decision::Unknown), (4, Decision::Pending)];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn a_final_answer_wins_over_on_update_and_over_a_cancel() {
    for last in [APPROVED, DENIED] {
        let peer = Peer::scripted(json(&[last]));
        let cancel = Cancel::new();
        let mut on_update = |so_far: &Transaction| {
            assert!(so_far.polls == 1);
            cancel.trigger();
            ControlFlow::Break(())
        };
        let mut options = eager().on_update(&mut on_update);
        let call = patient().cancel(&cancel);
        let end = waits::wait(&peer.hyperid(), "t", 3, &mut options, &call);
        assert!(end.result.is_ok());
        assert_eq!(end.transaction.decision.is_approved(), last == APPROVED);
    }
}

#[test]
fn a_cancel_between_polls_ends_the_wait_and_sends_nothing_more() {
    let peer = Peer::scripted(json(&[PENDING]));
    let cancel = Cancel::new();
    let polled = AtomicBool::new(false);
    let end = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let mut on_update = |_: &Transaction| {
                polled.store(true, Ordering::SeqCst);
                ControlFlow::Continue(())
            };
            let mut options =
                WaitOptions::new().min_interval(Duration::from_secs(60)).on_update(&mut on_update);
            let call = CallOptions::new().cancel(&cancel).timeout(Duration::from_secs(300));
            waits::wait(&peer.hyperid(), "t", 3, &mut options, &call)
        });
        crate::support::wait_until("the first poll has ended", || polled.load(Ordering::SeqCst));
        cancel.trigger();
        waiting.join().unwrap()
    });
    assert_eq!(code(&end), Some(Code::Cancelled));
    assert_eq!((end.transaction.transaction_id, end.transaction.decision), (3, Decision::Pending));
    assert_eq!(peer.requests().len(), 1);
}

#[test]
fn at_the_deadline_the_last_state_is_told() {
    let peer = Peer::scripted(json(&[PENDING]));
    // A busy machine may come to no second poll in the first of these.
    for timeout in [300, 3_000, 30_000].map(Duration::from_millis) {
        let start = Instant::now();
        let call = CallOptions::new().timeout(timeout);
        let end = waits::wait(&peer.hyperid(), "t", 3, &mut eager(), &call);
        assert!(start.elapsed() >= timeout);
        assert_eq!(code(&end), Some(Code::Timeout));
        assert!(end.transaction.elapsed >= timeout);
        if end.transaction.polls > 1 {
            assert_eq!((end.transaction.transaction_id, end.transaction.decision), (3, Decision::Pending));
            return;
        }
    }
    panic!("no second poll in 30 s");
}

#[test]
fn a_silent_server_is_bounded_by_the_request_timeout_and_the_deadline() {
    let peer = Peer::new(|request| match request.number {
        0 => Reply::nothing(Then::Silence),
        _ => Reply::json(APPROVED),
    });
    let options = peer.options().request_timeout(SLOWNESS * Duration::from_millis(200));
    let client = mfa::HyperId::new(&options).unwrap();
    let end = waits::wait(&client, "t", 3, &mut eager(), &patient());
    assert!(end.result.is_ok() && end.transaction.decision.is_approved());
    assert_eq!(end.transaction.polls, 2);

    let peer = Peer::new(|_| Reply::nothing(Then::Silence));
    let call = CallOptions::new().timeout(Duration::from_millis(200));
    let end = waits::wait(&peer.hyperid(), "t", 3, &mut eager(), &call);
    assert_eq!((code(&end), end.transaction.decision), (Some(Code::Timeout), Decision::None));
}

/// Pending until it is cancelled; then what `after` says.
fn cancellable(cancel_answer: &'static str, after: &'static str) -> Peer {
    let cancelled = AtomicUsize::new(0);
    Peer::new(move |request| {
        if request.path().ends_with("/cancel") {
            cancelled.store(1, Ordering::SeqCst);
            return Reply::json(cancel_answer);
        }
        Reply::json(if cancelled.load(Ordering::SeqCst) == 0 { PENDING } else { after })
    })
}

#[test]
fn cancel_on_timeout_cancels_and_looks_once_more() {
    let cases = [
        (r#"{"result":0}"#, CANCELLED, Some(Code::Timeout), Decision::Cancelled),
        (r#"{"result":-9}"#, DENIED, None, Decision::Denied),
        (r#"{"result":-8}"#, EXPIRED, None, Decision::Expired),
        (r#"{"result":-10}"#, CANCELLED, Some(Code::Timeout), Decision::Cancelled),
        (r#"{"result":-1}"#, PENDING, Some(Code::Timeout), Decision::Pending),
        ("garbage", "garbage", Some(Code::Timeout), Decision::Pending),
    ];
    let check = |(cancel_answer, after, expected, decision): (&'static str, &'static str, _, _)| {
        let peer = cancellable(cancel_answer, after);
        let mut options = eager().cancel_on_timeout(true);
        let call = CallOptions::new().timeout(SLOWNESS * Duration::from_secs(2));
        let end = waits::wait(&peer.hyperid(), "t", 3, &mut options, &call);
        assert_eq!((code(&end), end.transaction.decision), (expected, decision), "{cancel_answer}");
        let requests = peer.requests();
        let tail: Vec<_> =
            requests.iter().rev().take(2).map(|r| r.path().rsplit('/').next().unwrap()).collect();
        assert_eq!(tail, ["status-get", "cancel"]);
        assert_eq!(requests.iter().filter(|r| r.path().ends_with("/cancel")).count(), 1);
    };
    // Side by side: each has to wait.
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || check(case));
        }
    });
    let peer = cancellable(r#"{"result":-9}"#, APPROVED);
    let mut options = eager().cancel_on_timeout(true);
    let call = CallOptions::new().timeout(SLOWNESS * Duration::from_secs(2));
    let end = waits::wait(&peer.hyperid(), "t", 3, &mut options, &call);
    assert!(end.result.is_ok() && end.transaction.decision.is_approved());
}

#[test]
fn bad_intervals_are_refused_before_anything_is_sent() {
    let peer = Peer::scripted(json(&[APPROVED]));
    let mut options =
        WaitOptions::new().min_interval(Duration::from_secs(2)).max_interval(Duration::from_secs(1));
    let end = waits::wait(&peer.hyperid(), "t", 3, &mut options, &patient());
    assert_eq!(code(&end), Some(Code::InvalidArgument));
    for id in [0, -1, i64::MIN] {
        assert_eq!(
            code(&waits::wait(&peer.hyperid(), "t", id, &mut eager(), &patient())),
            Some(Code::InvalidArgument)
        );
    }
    // A minimum above the default maximum is no contradiction.
    let mut options = WaitOptions::new().min_interval(Duration::from_secs(11));
    assert!(waits::wait(&peer.hyperid(), "t", 3, &mut options, &patient()).result.is_ok());
    assert_eq!(peer.requests().len(), 1);
}

fn question() -> Request<'static> {
    Request::new().question("?")
}

/// A whole provider in three lines; `start` and `status` as told.
fn provider(start: Reply, status: &'static [&'static str]) -> Peer {
    let polls = AtomicUsize::new(0);
    Peer::new(move |request| match request.path() {
        "/mfa-client/availability-check" => Reply::json(r#"{"result":0,"is_available":true}"#),
        "/mfa-client/transaction/start/v2" => start.clone(),
        _ => Reply::json(status[polls.fetch_add(1, Ordering::SeqCst).min(status.len() - 1)]),
    })
}

fn paths(peer: &Peer) -> Vec<String> {
    peer.requests().iter().map(|r| r.path().rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn confirm_asks_in_order_and_tells_the_id_before_the_first_poll() {
    let peer = provider(Reply::json(r#"{"result":0,"transaction_id":3}"#), &[PENDING, APPROVED]);
    let seen = Mutex::new(Vec::new());
    let mut on_update = |so_far: &Transaction| {
        seen.lock().unwrap().push((so_far.transaction_id, so_far.polls, so_far.decision.is_approved()));
        ControlFlow::Continue(())
    };
    let mut options = eager().on_update(&mut on_update);
    let end = waits::confirm(&peer.hyperid(), "t", &question(), &mut options, &patient());
    assert!(end.result.is_ok() && end.transaction.decision.is_approved());
    assert_eq!(paths(&peer), ["availability-check", "v2", "status-get", "status-get"]);
    assert_eq!(*seen.lock().unwrap(), [(3, 0, false), (3, 1, false), (3, 2, true)]);
}

#[test]
fn confirm_sends_no_push_to_a_person_without_the_app() {
    let peer = Peer::new(|_| Reply::json(r#"{"result":0,"is_available":false}"#));
    let end = waits::confirm(&peer.hyperid(), "t", &question(), &mut eager(), &patient());
    assert_eq!(code(&end), Some(Code::AuthenticatorNotLinked));
    let mut nothing = Transaction::default();
    nothing.elapsed = end.transaction.elapsed;
    assert_eq!(end.transaction, nothing);
    assert_eq!(paths(&peer), ["availability-check"]);
}

#[test]
fn confirm_refuses_a_bad_request_before_anything_is_sent() {
    let peer = Peer::new(|_| Reply::json("{}"));
    let end = waits::confirm(&peer.hyperid(), "t", &Request::default(), &mut eager(), &patient());
    assert_eq!(code(&end), Some(Code::InvalidArgument));
    let end = waits::confirm(&peer.hyperid(), "t t", &question(), &mut eager(), &patient());
    assert_eq!(code(&end), Some(Code::InvalidArgument));
    assert_eq!(peer.connections(), 0);
}

#[test]
fn confirm_ended_by_on_update_keeps_the_id() {
    let peer = provider(Reply::json(r#"{"result":0,"transaction_id":3}"#), &[PENDING]);
    let mut on_update = |_: &Transaction| ControlFlow::Break(());
    let mut options = eager().on_update(&mut on_update);
    let end = waits::confirm(&peer.hyperid(), "t", &question(), &mut options, &patient());
    assert_eq!(
        (code(&end), end.transaction.transaction_id, end.transaction.polls),
        (Some(Code::Cancelled), 3, 0)
    );
    assert_eq!(paths(&peer), ["availability-check", "v2"]);
}

#[test]
fn confirm_replaces_a_token_that_availability_refuses() {
    let peer = Peer::new(|request| {
        if request.header("authorization") == Some("Bearer old") {
            return Reply::json(TOKEN_EXPIRED);
        }
        match request.path() {
            "/mfa-client/availability-check" => Reply::json(r#"{"result":0,"is_available":true}"#),
            "/mfa-client/transaction/start/v2" => Reply::json(r#"{"result":0,"transaction_id":3}"#),
            _ => Reply::json(APPROVED),
        }
    });
    let mut provider = || Some(Zeroizing::new("new".to_owned()));
    let mut options = eager().access_token_provider(&mut provider);
    let end = waits::confirm(&peer.hyperid(), "old", &question(), &mut options, &patient());
    assert!(end.result.is_ok());
    assert_eq!(paths(&peer), ["availability-check", "availability-check", "v2", "status-get"]);
}

#[test]
fn a_lost_start_is_never_repeated_and_its_outcome_unknown() {
    let lost = [
        Reply::nothing(Then::Close),
        Reply::nothing(Then::Reset),
        Reply::nothing(Then::Silence),
        Reply::status(503, ""),
        Reply::status(500, r#"{"result":0,"transaction_id":3}"#),
        Reply::json(""),
        Reply::json("garbage"),
        Reply::json(r#"{"result":0}"#),
        Reply::json(r#"{"result":0,"transaction_id":0}"#),
        Reply::json(r#"{"result":0,"transaction_id":-3}"#),
        Reply::json(r#"{"result":1,"transaction_id":3}"#),
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"result\":0").then(Then::Close),
    ];
    for reply in lost {
        let peer = provider(reply.clone(), &[PENDING]);
        let options = peer.options().request_timeout(Duration::from_millis(300));
        let client = mfa::HyperId::new(&options).unwrap();
        let end = waits::confirm(&client, "t", &question(), &mut eager(), &patient());
        let error = end.result.unwrap_err();
        assert!(error.outcome_unknown && !error.retryable, "{reply:?} {error:?}");
        assert_eq!(end.transaction.transaction_id, 0);
        let starts = peer.requests().iter().filter(|r| r.path().ends_with("/v2")).count();
        assert_eq!(starts, 1, "{reply:?}");
    }
}

#[test]
fn a_refused_start_is_known_to_have_done_nothing() {
    for result in [-1, -2, -3, -4, -5, -6, -7, -8, -99] {
        let peer = Peer::scripted(vec![Reply::json(&format!(r#"{{"result":{result},"transaction_id":3}}"#))]);
        let error = peer.hyperid().start("t", &question(), &patient()).unwrap_err();
        assert!(!error.outcome_unknown, "{result}");
        assert_eq!(error.retryable, result == -1);
        assert_eq!(peer.requests().len(), 1);
    }
}

#[test]
fn a_start_that_never_left_is_known_to_have_done_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let options = mfa::ClientOptions::new().base_url(format!("http://{address}")).allow_loopback_http(true);
    let error = mfa::HyperId::new(&options).unwrap().start("t", &question(), &patient()).unwrap_err();
    assert_eq!((error.code, error.outcome_unknown, error.attempts), (Code::Connect, false, 1));

    let cancel = Cancel::new();
    cancel.trigger();
    let peer = Peer::scripted(json(&[APPROVED]));
    let call = patient().cancel(&cancel);
    let error = peer.hyperid().start("t", &question(), &call).unwrap_err();
    assert_eq!((error.code, error.outcome_unknown), (Code::Cancelled, false));
    assert_eq!(peer.connections(), 0);
}

#[test]
fn a_start_cancelled_after_it_was_sent_has_an_unknown_outcome() {
    let peer = Peer::new(|_| Reply::nothing(Then::Silence));
    let cancel = Cancel::new();
    let error = std::thread::scope(|scope| {
        let starting = scope.spawn(|| {
            let call = patient().cancel(&cancel);
            peer.hyperid().start("t", &question(), &call).unwrap_err()
        });
        peer.wait_for_requests(1);
        cancel.trigger();
        starting.join().unwrap()
    });
    assert_eq!((error.code, error.outcome_unknown), (Code::Cancelled, true));
}

#[test]
fn a_stale_pooled_connection_costs_a_new_one_and_never_a_second_push() {
    // The peer closes, or says something unasked, right after its first answer.
    let unasked = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{APPROVED}", APPROVED.len());
    for extra in [None, Some(unasked)] {
        let first = r#"{"result":0,"is_available":true}"#;
        let first_answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{first}", first.len());
        let mut reply = Reply::raw(first_answer).then(Then::Close);
        if let Some(extra) = extra {
            reply.pieces.push(extra.into());
            reply.then = Then::Silence;
        }
        let peer = Peer::new(move |request| match request.number {
            0 => reply.clone(),
            _ => Reply::json(r#"{"result":0,"transaction_id":77}"#),
        });
        let client = peer.hyperid();
        assert!(client.availability("t", &patient()).unwrap());
        peer.wait_until_done(1);
        assert_eq!(client.start("t", &question(), &patient()).unwrap(), 77);
        assert_eq!((peer.requests().len(), peer.connections()), (2, 2));
    }
}
