//! An answer belongs to its question: what answers another one is told, ends the connection that it
//! came on, and approves nothing.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use mfa::{CallOptions, Cancel, Code, Decision, Error, HyperId, LogLevel, Request, Transaction, WaitOptions};
use zeroize::Zeroizing;

use crate::support::{Peer, Reply, Request as Sent, Then, waits};

const AVAILABLE: &str = r#"{"result":0,"is_available":true}"#;
const PENDING: &str =
    r#"{"result":0,"transaction_id":3,"transaction_status":0,"transaction_complete_result":0}"#;
const APPROVED: &str =
    r#"{"result":0,"transaction_id":3,"transaction_status":1,"transaction_complete_result":0}"#;
const UNNAMED_APPROVED: &str = r#"{"result":0,"transaction_status":1,"transaction_complete_result":0}"#;
const UNNAMED_PENDING: &str = r#"{"result":0,"transaction_status":0,"transaction_complete_result":0}"#;
const DENIED: &str =
    r#"{"result":0,"transaction_id":3,"transaction_status":1,"transaction_complete_result":1}"#;
const EXPIRED_TOKEN: &str = r#"{"result":-4}"#;

fn patient() -> CallOptions<'static> {
    CallOptions::new().timeout(Duration::from_secs(30))
}

fn eager<'a>() -> WaitOptions<'a> {
    let beat = Duration::from_millis(1);
    WaitOptions::new().min_interval(beat).max_interval(beat)
}

fn question() -> Request<'static> {
    Request::new().question("?")
}

fn started(id: usize) -> String {
    format!(r#"{{"result":0,"transaction_id":{id}}}"#)
}

fn path(request: &Sent) -> &str {
    request.path().rsplit('/').next().unwrap()
}

fn paths(peer: &Peer) -> Vec<String> {
    peer.requests().iter().map(|r| path(r).to_owned()).collect()
}

/// The five calls, each reduced to "did it succeed".
fn call(client: &HyperId, endpoint: &str) -> Result<(), Error> {
    match endpoint {
        "availability" => client.availability("t", &patient()).map(|_| ()),
        "types" => client.two_factor_types("t", &patient()).map(|_| ()),
        "start" => client.start("t", &question(), &patient()).map(|_| ()),
        "status" => client.status("t", 3, &patient()).map(|_| ()),
        "cancel" => client.cancel("t", 3, &patient()),
        _ => unreachable!(),
    }
}

const ENDPOINTS: [&str; 5] = ["availability", "types", "start", "status", "cancel"];

/// The fields of each endpoint's success, and whether `transaction_id` may stand beside them.
fn own(endpoint: &str) -> (&'static str, bool) {
    match endpoint {
        "availability" => (r#""is_available":true"#, false),
        "types" => (r#""auth_types":[0]"#, false),
        "start" => (r#""transaction_id":3"#, true),
        "status" => (r#""transaction_status":0,"transaction_complete_result":0"#, true),
        _ => (r#""request_id":7"#, true),
    }
}

#[test]
fn a_field_of_another_endpoint_makes_a_success_contradictory_whatever_its_value() {
    let fields =
        ["transaction_id", "is_available", "auth_types", "transaction_status", "transaction_complete_result"];
    for endpoint in ENDPOINTS {
        let (own, may_have_id) = own(endpoint);
        for field in fields {
            if own.contains(field) || (field == "transaction_id" && may_have_id) {
                continue;
            }
            if endpoint == "status" && field == "transaction_complete_result" {
                continue;
            }
            for value in ["0", "3", "null", "true", "[]", "{}", "\"x\"", "1e400", "0.5"] {
                let peer =
                    Peer::scripted(vec![Reply::json(&format!(r#"{{"result":0,{own},"{field}":{value}}}"#))]);
                let error = call(&peer.hyperid(), endpoint).unwrap_err();
                assert_eq!(error.code, Code::ContradictoryAnswer, "{endpoint} {field} {value}: {error}");
                assert_eq!(error.outcome_unknown, endpoint == "start");
                assert_eq!(error.attempts, 1, "a new connection has no earlier answer to give");
            }
        }
    }
}

#[test]
fn in_a_refusal_nothing_but_the_result_counts() {
    for endpoint in ENDPOINTS {
        for field in ["is_available", "auth_types", "transaction_id", "transaction_status", "whatever"] {
            for value in ["1e400", "null", "-0", "[{}]", "99999999999999999999", "\"\""] {
                let body = format!(r#"{{"result":-3,"{field}":{value}}}"#);
                let peer = Peer::scripted(vec![Reply::json(&body)]);
                let error = call(&peer.hyperid(), endpoint).unwrap_err();
                assert_eq!(
                    (error.code, error.outcome_unknown),
                    (Code::AccessDenied, false),
                    "{endpoint} {body}"
                );
            }
        }
        // It must be JSON all the same.
        for body in [r#"{"result":-3,"a":01}"#, r#"{"result":-3,"a":1,"a":1}"#, r#"{"result":-3}}"#] {
            let peer = Peer::scripted(vec![Reply::json(body)]);
            assert_eq!(call(&peer.hyperid(), endpoint).unwrap_err().code, Code::MalformedAnswer, "{body}");
        }
    }
}

#[test]
fn fields_that_nobody_knows_are_ignored() {
    for endpoint in ENDPOINTS {
        let body = format!(r#"{{"result":0,{},"request_idea":1e400}}"#, own(endpoint).0);
        let peer = Peer::scripted(vec![Reply::json(&body)]);
        call(&peer.hyperid(), endpoint).unwrap();
    }
}

#[test]
fn a_cancel_may_name_its_transaction_and_no_other() {
    for (id, expected) in [("3", None), ("\"3\"", None), ("4", Some(Code::ContradictoryAnswer))] {
        let peer = Peer::scripted(vec![Reply::json(&format!(r#"{{"result":0,"transaction_id":{id}}}"#))]);
        let result = call(&peer.hyperid(), "cancel");
        assert_eq!(result.err().map(|e| e.code), expected, "{id}");
    }
}

#[test]
fn an_id_that_was_started_before_is_another_starts() {
    let peer =
        Peer::scripted(vec![Reply::json(&started(7)), Reply::json(&started(7)), Reply::json(&started(8))]);
    let client = peer.hyperid();
    assert_eq!(client.start("a", &question(), &patient()).unwrap(), 7);
    let error = client.start("b", &question(), &patient()).unwrap_err();
    assert_eq!((error.code, error.outcome_unknown), (Code::ContradictoryAnswer, true));
    assert_eq!(client.start("c", &question(), &patient()).unwrap(), 8);
    assert_eq!(peer.connections(), 2, "the connection that gave a wrong answer is not used again");
    // Another client has questions of its own.
    let peer = Peer::scripted(vec![Reply::json(&started(7))]);
    assert_eq!(peer.hyperid().start("a", &question(), &patient()).unwrap(), 7);
}

#[test]
fn start_takes_no_other_answer_for_its_own_and_nothing_is_polled() {
    let peer = Peer::new(|request| match path(request) {
        "availability-check" => Reply::json(AVAILABLE),
        _ => Reply::json(PENDING),
    });
    let end = waits::confirm(&peer.hyperid(), "t", &question(), &mut eager(), &patient());
    let error = end.result.unwrap_err();
    assert_eq!((error.code, error.outcome_unknown), (Code::ContradictoryAnswer, true));
    assert_eq!(end.transaction.transaction_id, 0);
    assert_eq!(paths(&peer), ["availability-check", "v2"]);
}

/// Two connections that are idle: their first requests were under way at the same time.
fn with_two_idle(peer: &Peer, client: &HyperId) {
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| client.availability("pair", &patient()).unwrap());
        }
    });
    assert_eq!(peer.connections(), 2);
}

/// Answers the first two requests together, and the others as told.
fn pair_then(rest: impl Fn(&Sent) -> Reply + Send + Sync + 'static) -> Peer {
    let both = Barrier::new(2);
    Peer::new(move |request| {
        if request.header("authorization") == Some("Bearer pair") {
            both.wait();
            return Reply::json(AVAILABLE);
        }
        rest(request)
    })
}

#[test]
fn a_sign_of_slipping_closes_every_idle_connection() {
    // Another id, a foreign field, an answer for all that nobody asked for.
    let signs = [
        ("status", Reply::json(&APPROVED.replace('3', "4"))),
        ("availability", Reply::json(PENDING)),
        ("types", Reply::json(AVAILABLE)),
        ("cancel", Reply::json(&started(4))),
        ("availability", Reply::json(AVAILABLE)),
    ];
    for (i, (endpoint, sign)) in signs.into_iter().enumerate() {
        let unasked = i == 4;
        let mut sign = sign;
        if unasked {
            sign = Reply::raw([sign.pieces[0].clone(), sign.pieces[0].clone()].concat());
        }
        let asked = AtomicUsize::new(0);
        let peer = pair_then(move |request| match asked.fetch_add(1, Ordering::SeqCst) {
            0 => sign.clone(),
            _ => Reply::json(if path(request) == "cancel" { r#"{"result":0}"# } else { AVAILABLE }),
        });
        let client = peer.hyperid();
        with_two_idle(&peer, &client);
        let _ = call(&client, endpoint);
        client.availability("t", &patient()).unwrap();
        let last = peer.requests().pop().unwrap();
        assert!(last.connection >= 2, "{endpoint}: an idle connection was trusted after a sign");
    }
}

#[test]
fn a_malformed_answer_closes_its_own_connection_and_no_other() {
    let asked = AtomicUsize::new(0);
    let peer = pair_then(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::json("garbage"),
        _ => Reply::json(r#"{"result":0}"#),
    });
    let client = peer.hyperid();
    with_two_idle(&peer, &client);
    assert_eq!(client.cancel("t", 3, &patient()).unwrap_err().code, Code::MalformedAnswer);
    client.cancel("t", 3, &patient()).unwrap();
    let used: Vec<_> = peer.requests()[2..].iter().map(|r| r.connection).collect();
    assert!(used[0] != used[1] && used[1] < 2, "{used:?}");
}

#[test]
fn what_an_idle_connection_may_say_closes_it_alone() {
    let notice = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for (farewell, then) in
        [("", Then::Close), ("\r\n", Then::KeepOpen), (notice, Then::Close), (notice, Then::KeepOpen)]
    {
        let both = Barrier::new(2);
        let farewells = AtomicUsize::new(0);
        let peer = Peer::new(move |request| {
            if request.header("authorization") != Some("Bearer pair") {
                return Reply::json(AVAILABLE);
            }
            both.wait();
            let mut reply = Reply::json(AVAILABLE);
            if farewells.fetch_add(1, Ordering::SeqCst) == 0 {
                if !farewell.is_empty() {
                    reply.pieces.push(farewell.into());
                }
                reply.then = then;
            }
            reply
        });
        let client = peer.hyperid();
        with_two_idle(&peer, &client);
        peer.wait_until_done(2);
        for _ in 0..3 {
            client.availability("t", &patient()).unwrap();
        }
        assert_eq!(peer.connections(), 2, "{farewell:?}: the other one still serves");
    }
}

#[test]
fn an_unasked_answer_that_comes_late_closes_every_idle_connection() {
    let asked = AtomicUsize::new(0);
    let peer = pair_then(move |_| {
        let mut reply = Reply::json(AVAILABLE);
        if asked.fetch_add(1, Ordering::SeqCst) == 0 {
            reply.pieces.push(reply.pieces[0].clone());
        }
        reply
    });
    let client = peer.hyperid();
    with_two_idle(&peer, &client);
    client.availability("t", &patient()).unwrap();
    peer.wait_until_done(3);
    client.availability("t", &patient()).unwrap();
    assert_eq!(peer.requests().pop().unwrap().connection, 2);
}

#[test]
fn what_may_be_repeated_is_asked_once_more_on_a_fresh_connection() {
    let wrong =
        [PENDING.replace("3", "4"), r#"{"result":0,"auth_types":[]}"#.to_owned(), "{\"result\":".to_owned()];
    for wrong in wrong {
        for endpoint in ENDPOINTS {
            let reply = wrong.clone();
            let right = format!(r#"{{"result":0,{}}}"#, own(endpoint).0);
            let peer = Peer::new(move |request| match (request.number, request.connection) {
                (0, _) => Reply::json(AVAILABLE),
                (_, 0) => Reply::json(&reply),
                _ => Reply::json(&right),
            });
            let client = peer.hyperid();
            client.availability("t", &patient()).unwrap();
            let result = call(&client, endpoint);
            let is_repeated = !["start", "cancel"].contains(&endpoint);
            // What is wrong for one endpoint may be right for another.
            let is_right = endpoint == "types" && wrong.contains("auth_types");
            assert_eq!(result.is_ok(), is_repeated || is_right, "{endpoint} {wrong}: {result:?}");
            assert_eq!(
                peer.requests().len(),
                if is_repeated && !is_right { 3 } else { 2 },
                "{endpoint} {wrong}"
            );
        }
    }
}

#[test]
fn an_answer_that_is_wrong_on_a_fresh_connection_too_is_told() {
    let peer = Peer::new(|request| Reply::json(if request.number == 0 { AVAILABLE } else { "{}" }));
    let client = peer.hyperid();
    client.availability("t", &patient()).unwrap();
    let error = client.status("t", 3, &patient()).unwrap_err();
    assert_eq!((error.code, error.attempts), (Code::MalformedAnswer, 2));
    assert_eq!(peer.requests().len(), 3);
}

#[test]
fn a_wait_asks_once_more_outside_its_schedule() {
    // The second poll's answer is wrong, on the connection of the first.
    let peer = Peer::new(|request| match (request.number, request.connection) {
        (0, _) => Reply::json(PENDING),
        (_, 0) => Reply::json(&APPROVED.replace('3', "4")),
        _ => Reply::json(APPROVED),
    });
    let end = waits::wait(&peer.hyperid(), "t", 3, &mut eager(), &patient());
    assert!(end.result.is_ok() && end.transaction.decision.is_approved());
    assert_eq!((end.transaction.polls, peer.requests().len(), peer.connections()), (2, 3, 2));
}

#[test]
fn a_connection_that_answers_the_previous_request_for_ever_is_left() {
    // Each connection's first answer is right; then it answers what was asked before.
    let last: Mutex<Vec<Option<String>>> = Mutex::default();
    let peer = Peer::new(move |request| {
        let right = match path(request) {
            "availability-check" => AVAILABLE.to_owned(),
            _ => PENDING.to_owned(),
        };
        let mut last = last.lock().unwrap();
        let known = last.len().max(request.connection + 1);
        last.resize(known, None);
        let previous = last[request.connection].replace(right.clone());
        Reply::json(&previous.unwrap_or(right))
    });
    let client = peer.hyperid();
    for _ in 0..20 {
        assert!(client.availability("t", &patient()).is_ok());
        assert_eq!(client.status("t", 3, &patient()).unwrap().decision, Decision::Pending);
    }
}

#[test]
fn slipping_is_told_once_a_minute() {
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = lines.clone();
    let peer = Peer::scripted(vec![Reply::json(PENDING)]);
    let options = peer
        .options()
        .log_level(LogLevel::Warn)
        .log(move |_, line| sink.lock().unwrap().push(line.to_owned()));
    let client = HyperId::new(&options).unwrap();
    for _ in 0..3 {
        client.availability("t", &patient()).unwrap_err();
    }
    let told =
        lines.lock().unwrap().iter().filter(|line| line.contains("idle connections are closed")).count();
    assert_eq!(told, 1);
}

/// A server that says `first` to the first status request and `rest` to the others.
fn statuses(first: &'static str, rest: &'static [&'static str]) -> Peer {
    let asked = AtomicUsize::new(0);
    Peer::new(move |request| match path(request) {
        "availability-check" => Reply::json(AVAILABLE),
        "v2" => Reply::json(&started(3)),
        "cancel" => Reply::json(r#"{"result":-9}"#),
        _ => match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::json(first),
            n => Reply::json(rest[(n - 1).min(rest.len() - 1)]),
        },
    })
}

fn is_fresh(peer: &Peer, number: usize) -> bool {
    let requests = peer.requests();
    requests[..number].iter().all(|earlier| earlier.connection != requests[number].connection)
}

#[test]
fn an_approval_without_a_name_is_believed_when_a_connection_opened_for_it_says_the_same() {
    for second in [UNNAMED_APPROVED, APPROVED] {
        let rest: &'static [&'static str] =
            if second == APPROVED { &[APPROVED] } else { &[UNNAMED_APPROVED] };
        let peer = statuses(UNNAMED_APPROVED, rest);
        let read = peer.hyperid().status("t", 3, &patient()).unwrap();
        assert!(read.decision.is_approved());
        assert_eq!((read.polls, peer.requests().len()), (2, 2));
        assert!(is_fresh(&peer, 1));

        let peer = statuses(UNNAMED_APPROVED, rest);
        let end = waits::wait(&peer.hyperid(), "t", 3, &mut eager(), &patient());
        assert!(end.result.is_ok() && end.transaction.decision.is_approved());
        assert!(is_fresh(&peer, 1));

        let peer = statuses(UNNAMED_APPROVED, rest);
        let end = waits::confirm(&peer.hyperid(), "t", &question(), &mut eager(), &patient());
        assert!(end.result.is_ok() && end.transaction.decision.is_approved());
        assert_eq!(paths(&peer), ["availability-check", "v2", "status-get", "status-get"]);
        assert!(is_fresh(&peer, 3));
    }
}

#[test]
fn until_then_nothing_is_told_of_it_and_another_answer_stands_in_its_place() {
    let peer = statuses(UNNAMED_APPROVED, &[PENDING, DENIED]);
    let seen = Mutex::new(Vec::new());
    let mut on_update = |so_far: &Transaction| {
        seen.lock().unwrap().push((so_far.decision, so_far.raw_status));
        ControlFlow::Continue(())
    };
    let mut options = eager().on_update(&mut on_update);
    let end = waits::wait(&peer.hyperid(), "t", 3, &mut options, &patient());
    assert_eq!((end.result.is_ok(), end.transaction.decision), (true, Decision::Denied));
    let expected = [(Decision::None, None), (Decision::Pending, Some(0)), (Decision::Denied, Some(1))];
    assert_eq!(*seen.lock().unwrap(), expected);

    let peer = statuses(UNNAMED_APPROVED, &[UNNAMED_PENDING]);
    assert_eq!(peer.hyperid().status("t", 3, &patient()).unwrap().decision, Decision::Pending);
}

#[test]
fn a_second_look_is_retried_each_time_on_a_new_connection() {
    for call_status in [true, false] {
        let asked = AtomicUsize::new(0);
        let peer = Peer::new(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
            0 | 3 => Reply::json(UNNAMED_APPROVED),
            1 => Reply::status(503, ""),
            _ => Reply::nothing(Then::Close),
        });
        let client = peer.hyperid();
        let is_approved = if call_status {
            client.status("t", 3, &patient()).unwrap().decision.is_approved()
        } else {
            waits::wait(&client, "t", 3, &mut eager(), &patient()).transaction.decision.is_approved()
        };
        assert!(is_approved);
        assert_eq!((peer.requests().len(), peer.connections()), (4, 4));
    }
}

#[test]
fn an_approval_that_is_not_yet_believed_is_no_answer_already_read() {
    // A callback ends the wait.
    let peer = statuses(UNNAMED_APPROVED, &[UNNAMED_APPROVED]);
    let mut on_update = |_: &Transaction| ControlFlow::Break(());
    let mut options = eager().on_update(&mut on_update);
    let end = waits::wait(&peer.hyperid(), "t", 3, &mut options, &patient());
    assert_eq!(end.result.unwrap_err().code, Code::Cancelled);
    assert_eq!((end.transaction.decision, end.transaction.raw_status), (Decision::None, None));

    // The deadline comes before the second look is answered.
    let peer = Peer::new(|request| match request.number {
        0 => Reply::json(UNNAMED_APPROVED),
        _ => Reply::nothing(Then::Silence),
    });
    let call = CallOptions::new().timeout(Duration::from_millis(300));
    let end = waits::wait(&peer.hyperid(), "t", 3, &mut eager(), &call);
    assert_eq!(end.result.unwrap_err().code, Code::Timeout);
    assert_eq!((end.transaction.decision, end.transaction.raw_status), (Decision::None, None));
    let error = peer.hyperid().status("t", 3, &call).unwrap_err();
    assert_eq!(error.code, Code::Timeout);
}

#[test]
fn withdrawing_and_the_last_look_believe_no_more() {
    for at_deadline in [true, false] {
        for (second, approved) in [(UNNAMED_APPROVED, true), (UNNAMED_PENDING, false)] {
            let cancelled = AtomicUsize::new(0);
            let peer = Peer::new(move |request| match path(request) {
                "cancel" => {
                    cancelled.store(1, Ordering::SeqCst);
                    Reply::json(r#"{"result":-9}"#)
                }
                _ if cancelled.load(Ordering::SeqCst) == 0 => Reply::json(PENDING),
                _ => Reply::json(match cancelled.fetch_add(1, Ordering::SeqCst) {
                    1 => UNNAMED_APPROVED,
                    _ => second,
                }),
            });
            let mut on_update = |so_far: &Transaction| match so_far.polls {
                2 if !at_deadline => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            };
            let mut options = eager()
                .cancel_on_timeout(at_deadline)
                .withdraw_on_cancel(!at_deadline)
                .on_update(&mut on_update);
            let call = CallOptions::new().timeout(Duration::from_secs(4));
            let end = waits::wait(&peer.hyperid(), "t", 3, &mut options, &call);
            assert_eq!(end.transaction.decision.is_approved(), approved);
            let expected = if at_deadline { Code::Timeout } else { Code::Cancelled };
            assert_eq!(end.result.err().map(|e| e.code), (!approved).then_some(expected));
            // A poll that ran out of time may be read last of all; the second look has the newest connection,
            // for itself.
            let requests = peer.requests();
            let newest = requests.iter().map(|request| request.connection).max().unwrap();
            assert_eq!(requests.iter().filter(|request| request.connection == newest).count(), 1);
        }
    }
}

/// Refuses the old token's start with `refusal`; availability says `second` on connections that are
/// new after it.
fn refuses_start(refusal: Reply, second: &'static str) -> Peer {
    Peer::new(move |request| {
        let is_old = request.header("authorization") == Some("Bearer old");
        match path(request) {
            "availability-check" if request.connection == 0 => Reply::json(AVAILABLE),
            "availability-check" => Reply::json(second),
            "v2" if is_old => refusal.clone(),
            "v2" => Reply::json(&started(3)),
            _ => Reply::json(APPROVED),
        }
    })
}

fn confirm_with(peer: &Peer, token: &'static str) -> (mfa::WaitEnd, usize) {
    let mut asked = 0;
    let mut provider = || {
        asked += 1;
        Some(Zeroizing::new(token.to_owned()))
    };
    let mut options = eager().access_token_provider(&mut provider);
    let end = waits::confirm(&peer.hyperid(), "old", &question(), &mut options, &patient());
    (end, asked)
}

#[test]
fn a_start_whose_token_had_expired_is_sent_once_more_with_another() {
    for refusal in [r#"{"result":-4}"#, r#"{"result":-5}"#] {
        let peer = refuses_start(Reply::json(refusal), EXPIRED_TOKEN);
        let (end, asked) = confirm_with(&peer, "new");
        assert!(end.result.is_ok() && end.transaction.decision.is_approved(), "{:?}", end.result);
        assert_eq!(asked, 1);
        // The connection had served availability: the refusal is looked at on a fresh one.
        assert_eq!(paths(&peer), ["availability-check", "v2", "availability-check", "v2", "status-get"]);
        assert!(is_fresh(&peer, 2));
    }
    // On a connection of its own the refusal is start's.
    let peer = Peer::new(|request| {
        let is_old = request.header("authorization") == Some("Bearer old");
        match path(request) {
            "availability-check" => Reply::with_headers(200, "Connection: close\r\n", AVAILABLE),
            "v2" if is_old => Reply::json(EXPIRED_TOKEN),
            "v2" => Reply::json(&started(3)),
            _ => Reply::json(APPROVED),
        }
    });
    let (end, _) = confirm_with(&peer, "new");
    assert!(end.result.is_ok());
    assert_eq!(paths(&peer), ["availability-check", "v2", "v2", "status-get"]);
}

#[test]
fn a_second_start_needs_the_provider_s_own_word_and_another_token() {
    let slipped = || refuses_start(Reply::json(EXPIRED_TOKEN), AVAILABLE);
    let by_status = || refuses_start(Reply::status(401, ""), EXPIRED_TOKEN);
    let same = || refuses_start(Reply::json(EXPIRED_TOKEN), EXPIRED_TOKEN);
    let denied = || refuses_start(Reply::json(r#"{"result":-3}"#), EXPIRED_TOKEN);
    for (peer, token, code, unknown, asked) in [
        // The token is good after all, so the refusal was another's.
        (slipped(), "new", Code::TokenExpired, true, 0),
        (by_status(), "new", Code::TokenInvalid, false, 0),
        (same(), "old", Code::TokenExpired, false, 1),
        (denied(), "new", Code::AccessDenied, false, 0),
    ] {
        let (end, times) = confirm_with(&peer, token);
        let error = end.result.unwrap_err();
        assert_eq!((error.code, error.outcome_unknown, times), (code, unknown, asked));
        assert_eq!(paths(&peer).iter().filter(|path| *path == "v2").count(), 1);
    }
}

#[test]
fn a_second_refusal_of_start_ends_the_confirm() {
    let peer = Peer::new(|request| match path(request) {
        "availability-check" if request.connection == 0 => Reply::json(AVAILABLE),
        _ => Reply::json(EXPIRED_TOKEN),
    });
    let (end, asked) = confirm_with(&peer, "new");
    assert_eq!((end.result.unwrap_err().code, asked), (Code::TokenExpired, 1));
    assert_eq!(paths(&peer), ["availability-check", "v2", "availability-check", "v2"]);
}

#[test]
fn start_itself_asks_for_no_token() {
    let peer = Peer::scripted(vec![Reply::json(EXPIRED_TOKEN)]);
    let error = peer.hyperid().start("old", &question(), &patient()).unwrap_err();
    assert_eq!((error.code, peer.requests().len()), (Code::TokenExpired, 1));
}

#[test]
fn whoever_finds_both_the_cancel_and_the_deadline_past_says_cancelled() {
    let peer = Peer::scripted(vec![Reply::json(PENDING)]);
    // On a busy machine there may be no update in the first of these.
    for deadline in [100, 1_000, 10_000].map(Duration::from_millis) {
        let cancel = Cancel::new();
        let start = std::time::Instant::now();
        let mut on_update = |_: &Transaction| {
            // Returns after both.
            cancel.trigger();
            while start.elapsed() < deadline + Duration::from_millis(50) {
                std::thread::yield_now();
            }
            ControlFlow::Continue(())
        };
        let mut options = eager().on_update(&mut on_update);
        let call = CallOptions::new().timeout(deadline).cancel(&cancel);
        let end = waits::wait(&peer.hyperid(), "t", 3, &mut options, &call);
        if cancel.is_triggered() {
            assert_eq!(end.result.unwrap_err().code, Code::Cancelled);
            return;
        }
    }
    panic!("no update in 10 s");
}

#[test]
fn a_start_that_was_refused_on_a_connection_that_has_served_ends_it() {
    // The refusal may have slipped: then start's own answer is still to come on it.
    for refusal in [-1, -3, -4, -8] {
        let peer = Peer::new(move |request| match path(request) {
            "v2" => Reply::json(&format!(r#"{{"result":{refusal}}}"#)),
            _ => Reply::json(AVAILABLE),
        });
        let client = peer.hyperid();
        client.availability("t", &patient()).unwrap();
        client.start("t", &question(), &patient()).unwrap_err();
        client.availability("t", &patient()).unwrap();
        let used: Vec<_> = peer.requests().iter().map(|r| r.connection).collect();
        assert_eq!(used, [0, 0, 1]);
    }
}

#[test]
fn a_refusal_of_start_that_proves_false_is_a_sign_of_slipping() {
    let peer =
        pair_then(|request| Reply::json(if path(request) == "v2" { EXPIRED_TOKEN } else { AVAILABLE }));
    let client = peer.hyperid();
    with_two_idle(&peer, &client);
    let mut provider = || Some(Zeroizing::new("new".to_owned()));
    let mut options = eager().access_token_provider(&mut provider);
    let error = waits::confirm(&client, "old", &question(), &mut options, &patient()).result.unwrap_err();
    assert!(error.outcome_unknown);
    client.availability("t", &patient()).unwrap();
    assert_eq!(peer.requests().pop().unwrap().connection, 3, "the third was for the second look");
}
