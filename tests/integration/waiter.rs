//! Many waits on one thread.

#![allow(unsafe_code)] // To watch the thread and the descriptor.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::alone::{Census, alone};
use crate::support::system::{SLOWNESS, worked};
use crate::support::{Peer, Reply, Then};
use mfa::{
    Code, Decision, Event, EventKind, HyperId, LogLevel, Provider, Request, TicketOptions, WaitEnd,
    WaitOptions, Waiter, WaiterOptions,
};

const AVAILABLE: &str = r#"{"result":0,"is_available":true}"#;

/// A provider whose every transaction is approved at its third poll.
fn provider() -> Peer {
    let polls = std::sync::Mutex::new(HashMap::new());
    Peer::new(move |request| match request.path().rsplit('/').next().unwrap() {
        "availability-check" => Reply::json(AVAILABLE),
        "v2" => Reply::json(&format!(r#"{{"result":0,"transaction_id":{}}}"#, request.number + 1)),
        _ => {
            let id: String = request.body.chars().filter(char::is_ascii_digit).collect();
            let mut polls = polls.lock().unwrap();
            let count = polls.entry(id.clone()).or_insert(0);
            *count += 1;
            let status = u8::from(*count >= 3);
            Reply::json(&format!(
                r#"{{"result":0,"transaction_id":{id},"transaction_status":{status},"transaction_complete_result":0}}"#
            ))
        }
    })
}

#[test]
fn many_confirms_end_each_with_its_own_answer() {
    let peer = provider();
    let client = peer.hyperid();
    let waiter = Waiter::new(&client, &WaiterOptions::new().max_connections(8)).unwrap();
    let beat = Duration::from_millis(5);
    let wait = WaitOptions::new().min_interval(beat).max_interval(beat);
    let request = Request::new().question("?");
    let mut open = HashMap::new();
    for _ in 0..200 {
        let ticket = waiter.confirm("t", &request, &wait, TicketOptions::new(), |_| {}).unwrap();
        open.insert(ticket, None);
    }
    assert_eq!(waiter.count(), 200);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !open.is_empty() {
        assert!(Instant::now() < deadline, "{} are left", open.len());
        let Some(event) = waiter.next(Duration::from_millis(100)).unwrap() else { continue };
        match event.kind {
            EventKind::Started(so_far) => {
                let id = open.get_mut(&event.ticket).unwrap();
                assert!(id.replace(so_far.transaction_id).is_none(), "one STARTED for each");
            }
            EventKind::Ended(end) => {
                assert!(end.result.is_ok(), "{:?}", end.result);
                assert!(end.transaction.decision.is_approved());
                assert_eq!(open.remove(&event.ticket).unwrap(), Some(end.transaction.transaction_id));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(waiter.count(), 0);
    assert!(peer.connections() <= 8, "{}", peer.connections());
}

const PENDING: &str =
    r#"{"result":0,"transaction_id":3,"transaction_status":0,"transaction_complete_result":0}"#;
const APPROVED: &str =
    r#"{"result":0,"transaction_id":3,"transaction_status":1,"transaction_complete_result":0}"#;
const DENIED: &str =
    r#"{"result":0,"transaction_id":3,"transaction_status":1,"transaction_complete_result":1}"#;
const CANCELLED: &str =
    r#"{"result":0,"transaction_id":3,"transaction_status":4,"transaction_complete_result":0}"#;
const STARTED: &str = r#"{"result":0,"transaction_id":3}"#;

/// Far beyond what anything here should take, and below every deadline that is not to be met.
const SOON: Duration = Duration::from_secs(10);

fn waiter(client: &HyperId) -> Waiter<'_> {
    Waiter::new(client, &WaiterOptions::new()).unwrap()
}

fn eager<'a>() -> WaitOptions<'a> {
    let beat = Duration::from_millis(1);
    WaitOptions::new().min_interval(beat).max_interval(beat)
}

fn within(timeout: Duration) -> TicketOptions {
    TicketOptions::new().timeout(timeout)
}

fn question() -> Request<'static> {
    Request::new().question("?")
}

/// The next event, which is to come soon.
fn event(waiter: &Waiter<'_>) -> Event {
    let deadline = Instant::now() + SOON;
    loop {
        assert!(Instant::now() < deadline, "no event");
        if let Some(event) = waiter.next(Duration::from_millis(100)).unwrap() {
            return event;
        }
    }
}

/// Takes events until the wait has ended, which is to be soon; also what came before.
fn end(waiter: &Waiter<'_>, ticket: u64) -> (WaitEnd, Vec<EventKind>) {
    let mut before = Vec::new();
    loop {
        let event = event(waiter);
        match event.kind {
            EventKind::Ended(end) if event.ticket == ticket => return (end, before),
            kind if event.ticket == ticket => before.push(kind),
            _ => {}
        }
    }
}

/// Drives the waiter, which has no event meanwhile, until something has happened elsewhere.
fn drive_until(waiter: &Waiter<'_>, what: &str, condition: impl Fn() -> bool) {
    crate::support::wait_until(what, || {
        if condition() {
            return true;
        }
        let event = waiter.next(Duration::from_millis(1)).unwrap();
        assert!(event.is_none(), "{event:?}");
        false
    });
}

fn code(end: &WaitEnd) -> Option<Code> {
    end.result.as_ref().err().map(|error| error.code)
}

fn tokens(peer: &Peer) -> Vec<String> {
    let token = |request: &crate::support::Request| request.header("authorization").unwrap().to_owned();
    peer.requests().iter().map(token).collect()
}

#[test]
fn a_cancel_ends_a_wait_that_waits_for_its_turn() {
    let peer = Peer::new(|_| Reply::nothing(Then::Silence));
    let client = peer.hyperid();
    let waiter = Waiter::new(&client, &WaiterOptions::new().max_connections(1)).unwrap();
    let first = waiter.wait("t", 3, &eager(), within(Duration::from_secs(60)), |_| {}).unwrap();
    drive_until(&waiter, "the first has the only turn", || peer.requests().len() == 1);
    let second = waiter.wait("t", 4, &eager(), within(Duration::from_secs(60)), |_| {}).unwrap();
    assert!(waiter.next(Duration::from_millis(50)).unwrap().is_none());
    waiter.cancel(second, false).unwrap();
    assert_eq!(code(&end(&waiter, second).0), Some(Code::Cancelled));
    assert_eq!(peer.requests().len(), 1);
    waiter.cancel(first, false).unwrap();
    assert_eq!(code(&end(&waiter, first).0), Some(Code::Cancelled));
}

#[test]
fn a_final_answer_makes_no_update() {
    let finals = [
        APPROVED,
        DENIED,
        r#"{"result":0,"transaction_status":2}"#,
        r#"{"result":0,"transaction_status":3}"#,
        r#"{"result":0,"transaction_status":4}"#,
        r#"{"result":0,"transaction_status":1,"transaction_complete_result":7}"#,
    ];
    for last in finals {
        let peer = Peer::scripted(vec![Reply::json(PENDING), Reply::json(last)]);
        let client = peer.hyperid();
        let waiter = waiter(&client);
        let options = within(SOON).report_updates(true);
        let ticket = waiter.wait("t", 3, &eager(), options, |_| {}).unwrap();
        let (end, before) = end(&waiter, ticket);
        assert!(end.result.is_ok());
        let [EventKind::Update(update)] = &before[..] else { panic!("{last}: {before:?}") };
        assert_eq!((update.polls, update.decision), (1, Decision::Pending));
    }
}

#[test]
fn a_token_given_unasked_serves_the_next_exchange() {
    let peer = Peer::new(|request| {
        Reply::json(if request.header("authorization") == Some("Bearer new") { APPROVED } else { PENDING })
    });
    let client = peer.hyperid();
    let waiter = waiter(&client);
    let options = within(Duration::from_secs(60)).report_updates(true);
    let ticket = waiter.wait("old", 3, &eager(), options, |_| {}).unwrap();
    assert!(matches!(event(&waiter).kind, EventKind::Update(_)));
    waiter.give_token(ticket, Some("new")).unwrap();
    assert!(end(&waiter, ticket).0.transaction.decision.is_approved());
    assert_eq!(tokens(&peer).last().unwrap(), "Bearer new");
}

#[test]
fn a_refused_token_is_asked_for_and_nothing_is_sent_meanwhile() {
    for (ask, given) in [(true, Some("new")), (true, None), (false, None)] {
        let peer = Peer::new(|request| {
            let is_good = request.header("authorization") == Some("Bearer new");
            Reply::json(if is_good { APPROVED } else { r#"{"result":-4}"# })
        });
        let client = peer.hyperid();
        let waiter = waiter(&client);
        let options = within(Duration::from_secs(60)).ask_for_token(ask);
        let ticket = waiter.wait("old", 3, &eager(), options, |_| {}).unwrap();
        if ask {
            let EventKind::TokenRefused(_, refusal) = event(&waiter).kind else { panic!("no refusal") };
            assert_eq!(refusal.code, Code::TokenExpired);
            assert_eq!((refusal.provider, refusal.attempts), (Provider::HyperId, 1));
            assert!(waiter.next(Duration::from_millis(50)).unwrap().is_none());
            assert_eq!(peer.requests().len(), 1);
            waiter.give_token(ticket, given).unwrap();
        }
        let (end, before) = end(&waiter, ticket);
        assert!(before.is_empty(), "{before:?}");
        assert_eq!(end.transaction.decision.is_approved(), given.is_some());
        assert_eq!(code(&end), given.is_none().then_some(Code::TokenExpired));
    }
}

#[test]
fn without_a_token_the_deadline_tells_of_the_refusal() {
    // Refused at the first poll, at availability, and at start.
    for refused in ["status-get", "availability-check", "v2"] {
        let peer = Peer::new(move |request| match request.path().rsplit('/').next().unwrap() {
            path if path == refused => Reply::json(r#"{"result":-4}"#),
            "availability-check" if refused == "v2" && request.number > 0 => Reply::json(r#"{"result":-4}"#),
            "availability-check" => Reply::json(AVAILABLE),
            _ => Reply::json(STARTED),
        });
        let client = peer.hyperid();
        let waiter = waiter(&client);
        let options = within(SLOWNESS * Duration::from_secs(1)).ask_for_token(true);
        let ticket = waiter.confirm("old", &question(), &eager(), options, |_| {}).unwrap();
        let (end, before) = end(&waiter, ticket);
        let is_refusal = |kind: &&EventKind| matches!(kind, EventKind::TokenRefused(..));
        assert_eq!(before.iter().filter(is_refusal).count(), 1, "{before:?}");
        let error = end.result.unwrap_err();
        assert_eq!((error.code, error.provider_code), (Code::Timeout, Some(-4)), "{refused}");
        // Nobody looks for a request that nobody was asked.
        assert_eq!(error.message.contains("the last poll that failed"), refused == "status-get", "{error}");
        assert!(error.message.contains("MFA_ERR_TOKEN_EXPIRED"), "{error}");
        assert!(!error.outcome_unknown);
    }
}

#[test]
fn a_token_is_asked_for_at_each_expiry_and_ends_the_wait_if_it_is_refused_itself() {
    let peer = Peer::new(|request| match request.header("authorization").unwrap() {
        "Bearer once" if request.number == 1 => Reply::json(PENDING),
        _ => Reply::json(r#"{"result":-4}"#),
    });
    let client = peer.hyperid();
    let waiter = waiter(&client);
    let options = within(Duration::from_secs(60)).ask_for_token(true);
    let ticket = waiter.wait("old", 3, &eager(), options, |_| {}).unwrap();
    for token in ["once", "refused"] {
        assert!(matches!(event(&waiter).kind, EventKind::TokenRefused(..)), "{token}");
        waiter.give_token(ticket, Some(token)).unwrap();
    }
    let (end, before) = end(&waiter, ticket);
    assert!(before.is_empty(), "{before:?}");
    assert_eq!((code(&end), end.transaction.transaction_id), (Some(Code::TokenExpired), 3));
    assert_eq!(tokens(&peer), ["Bearer old", "Bearer once", "Bearer once", "Bearer refused"]);
}

#[test]
fn what_an_earlier_run_has_asked_is_taken_back_without_a_poll_before() {
    let peer = Peer::new(|request| match request.path().rsplit('/').next().unwrap() {
        "cancel" => Reply::json(r#"{"result":0}"#),
        _ => Reply::json(CANCELLED),
    });
    let client = peer.hyperid();
    let waiter = waiter(&client);
    let ticket = waiter.wait("t", 3, &eager(), within(Duration::from_secs(60)), |_| {}).unwrap();
    waiter.cancel(ticket, true).unwrap();
    // A second one that would not withdraw changes nothing.
    waiter.cancel_all(false).unwrap();
    let error = end(&waiter, ticket).0.result.unwrap_err();
    assert_eq!((error.code, error.withdrawn), (Code::Cancelled, true));
    assert!(peer.requests()[0].path().ends_with("/cancel"), "{:?}", peer.requests());
}

#[test]
fn a_cancel_that_withdraws_reads_a_start_on() {
    for withdraw in [true, false] {
        let started = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(AtomicBool::new(false));
        let theirs = (started.clone(), answers.clone());
        let peer = Peer::new(move |request| match request.path().rsplit('/').next().unwrap() {
            "availability-check" => Reply::json(AVAILABLE),
            "v2" => {
                theirs.0.store(true, Ordering::SeqCst);
                crate::support::wait_until("the cancel", || theirs.1.load(Ordering::SeqCst));
                Reply::json(STARTED)
            }
            "cancel" => Reply::json(r#"{"result":0}"#),
            _ => Reply::json(r#"{"result":0,"transaction_status":4}"#),
        });
        let client = peer.hyperid();
        let waiter = waiter(&client);
        let options = within(Duration::from_secs(60));
        let ticket = waiter.confirm("t", &question(), &eager(), options, |_| {}).unwrap();
        drive_until(&waiter, "start was sent", || started.load(Ordering::SeqCst));
        waiter.cancel(ticket, withdraw).unwrap();
        // Seen before the answer comes.
        let seen = waiter.next(Duration::from_millis(20)).unwrap();
        assert_eq!(seen.is_none(), withdraw);
        answers.store(true, Ordering::SeqCst);
        let end = match seen {
            Some(Event { kind: EventKind::Ended(end), .. }) => end,
            None => end(&waiter, ticket).0,
            other => panic!("{other:?}"),
        };
        let error = end.result.unwrap_err();
        assert_eq!((error.code, error.withdrawn), (Code::Cancelled, withdraw));
        assert_eq!(error.outcome_unknown, !withdraw);
        assert_eq!(end.transaction.transaction_id, if withdraw { 3 } else { 0 });
    }
}

#[test]
fn next_sleeps_while_there_is_nothing_to_do() {
    let peer = Peer::scripted(vec![Reply::json(PENDING)]);
    let client = peer.hyperid();
    let waiter = waiter(&client);
    // Its timer is told to the descriptor when `next` is left, and passes while the next one sleeps.
    let beat = WaitOptions::new().min_interval(Duration::from_millis(200));
    let ticket = waiter.wait("t", 3, &beat, within(Duration::from_secs(60)), |_| {}).unwrap();
    drive_until(&waiter, "polled", || peer.requests().len() == 1);
    assert!(waiter.next(Duration::from_millis(20)).unwrap().is_none());
    let before = worked();
    assert!(waiter.next(Duration::from_secs(2)).unwrap().is_none());
    let worked = worked() - before;
    assert!(worked < Duration::from_millis(150), "{worked:?} of work in 2 s of sleep");
    waiter.cancel(ticket, false).unwrap();
    end(&waiter, ticket);
}

#[test]
fn an_answer_that_never_ends_ends_at_the_deadline() {
    let flood = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(2_000_000);
    let peer = Peer::scripted(vec![Reply::raw(flood)]);
    let client = peer.hyperid();
    let waiter = waiter(&client);
    let ticket = waiter.wait("t", 3, &eager(), within(Duration::from_millis(500)), |_| {}).unwrap();
    assert_eq!(code(&end(&waiter, ticket).0), Some(Code::Timeout));
}

/// A peer whose answers are held until the flag is set.
fn held(answer: String) -> (Peer, Arc<AtomicBool>) {
    let go = Arc::new(AtomicBool::new(false));
    let theirs = go.clone();
    let peer = Peer::new(move |request| {
        crate::support::wait_until("the answers are let go", || theirs.load(Ordering::SeqCst));
        let id: String = request.body.chars().filter(char::is_ascii_digit).collect();
        Reply::json(&answer.replace("ID", &id))
    });
    (peer, go)
}

#[test]
fn a_late_caller_loses_no_answer() {
    const ANSWER: &str =
        r#"{"result":0,"transaction_id":ID,"transaction_status":1,"transaction_complete_result":0}"#;
    // One that needs more than one look; and more of them than the system tells of in one.
    let check = |padding: usize, count: i64| {
        let (peer, go) = held(ANSWER.to_owned() + &" ".repeat(padding));
        let client = peer.hyperid();
        let waiter = Waiter::new(&client, &WaiterOptions::new().max_connections(400)).unwrap();
        let start = Instant::now();
        let timeout = SLOWNESS * Duration::from_secs(5);
        for id in 1..=count {
            waiter.wait("t", id, &WaitOptions::new(), within(timeout), |_| {}).unwrap();
        }
        drive_until(&waiter, "all have asked", || peer.requests().len() == count as usize);
        go.store(true, Ordering::SeqCst);
        peer.wait_until_done(count as usize);
        // Until the deadline has passed.
        std::thread::sleep((start + timeout).saturating_duration_since(Instant::now()));
        for _ in 0..count {
            let EventKind::Ended(end) = event(&waiter).kind else { panic!("not its end") };
            assert!(end.transaction.decision.is_approved(), "{:?}", end.result);
        }
    };
    // Side by side: both have to wait.
    std::thread::scope(|scope| {
        for (padding, count) in [(60_000, 1), (0, 300)] {
            scope.spawn(move || check(padding, count));
        }
    });
}

#[test]
#[cfg(target_os = "linux")] // It counts them in /proc.
fn no_more_connections_are_open_than_allowed() {
    // Each approval does not say whom: a second look, on a connection of its own.
    const UNNAMED: &str = r#"{"result":0,"transaction_status":1,"transaction_complete_result":0}"#;
    let most = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let theirs = most.clone();
    let address = Arc::new(std::sync::OnceLock::new());
    let its_address = address.clone();
    let peer = Peer::new(move |_| {
        theirs.fetch_max(crate::support::open_connections(*its_address.wait()), Ordering::SeqCst);
        Reply::json(UNNAMED)
    });
    address.set(peer.address).unwrap();
    let client = peer.hyperid();
    let waiter = Waiter::new(&client, &WaiterOptions::new().max_connections(3)).unwrap();
    for id in 1..=30 {
        waiter.wait("t", id, &eager(), within(Duration::from_secs(60)), |_| {}).unwrap();
    }
    for _ in 0..30 {
        let EventKind::Ended(end) = event(&waiter).kind else { panic!("not its end") };
        assert!(end.transaction.decision.is_approved(), "{:?}", end.result);
    }
    assert!(most.load(Ordering::SeqCst) <= 3, "{most:?}");
}

#[test]
fn a_panic_ends_its_wait_and_no_other() {
    let peer = Peer::new(|request| {
        match (request.path().rsplit('/').next().unwrap(), request.header("authorization")) {
            ("availability-check", Some("Bearer early")) => Reply::status(500, ""),
            ("availability-check", _) => Reply::json(AVAILABLE),
            // Said again for another question: contradictory, and told of.
            ("v2", Some("Bearer amid")) => {
                Reply::json(r#"{"result":0,"transaction_id":3,"transaction_status":1}"#)
            }
            ("v2", _) => Reply::json(STARTED),
            (_, Some("Bearer late")) => Reply::status(500, ""),
            _ => Reply::json(APPROVED),
        }
    });
    // Trouble is logged, and this log cannot bear it.
    let log = |level, _: &str| assert!(level != LogLevel::Warn || !ARMED.load(Ordering::SeqCst));
    static ARMED: AtomicBool = AtomicBool::new(false);
    let client = HyperId::new(&peer.options().log_level(LogLevel::Warn).log(log)).unwrap();
    ARMED.store(true, Ordering::SeqCst);
    let waiter = waiter(&client);
    let options = within(Duration::from_secs(60));
    let early = waiter.confirm("early", &question(), &eager(), options, |_| {}).unwrap();
    let amid = waiter.confirm("amid", &question(), &eager(), options, |_| {}).unwrap();
    let late = waiter.confirm("late", &question(), &eager(), options, |_| {}).unwrap();
    let good = waiter.wait("good", 3, &eager(), options, |_| {}).unwrap();
    let mut ends = HashMap::new();
    while ends.len() < 4 {
        let event = event(&waiter);
        if let EventKind::Ended(end) = event.kind {
            ends.insert(event.ticket, end);
        }
    }
    let unknown = |ticket| ends[&ticket].result.as_ref().err().map(|e| (e.code, e.outcome_unknown));
    assert_eq!(unknown(early), Some((Code::Internal, false)), "nothing was started");
    assert_eq!(unknown(amid), Some((Code::Internal, true)), "nobody knows");
    assert_eq!(unknown(late), Some((Code::Internal, false)), "the id is known");
    assert_eq!(ends[&late].transaction.transaction_id, 3);
    assert!(ends[&good].transaction.decision.is_approved());
}

#[test]
#[cfg(unix)] // Elsewhere it has none.
fn the_descriptor_tells_all_that_next_has_to_do() {
    let peer = provider();
    let client = peer.hyperid();
    let waiter = waiter(&client);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let beat = Duration::from_millis(20);
            let wait = WaitOptions::new().min_interval(beat).max_interval(beat);
            for _ in 0..50 {
                waiter.confirm("t", &question(), &wait, within(Duration::from_secs(60)), |_| {}).unwrap();
            }
        });
        let mut ended = 0;
        while ended < 50 {
            let mut fd = libc::pollfd { fd: waiter.fd().unwrap(), events: libc::POLLIN, revents: 0 };
            // SAFETY: `fd` outlives the call.
            let ready = unsafe { libc::poll(&raw mut fd, 1, SOON.as_millis() as libc::c_int) };
            assert_eq!(ready, 1, "it is silent, and {ended} have ended");
            while let Some(event) = waiter.next(Duration::ZERO).unwrap() {
                ended += u32::from(matches!(event.kind, EventKind::Ended(_)));
            }
        }
    });
}

#[test]
fn wakes_count_once_and_none_is_lost() {
    let peer = Peer::scripted(vec![Reply::json(APPROVED)]);
    let client = peer.hyperid();
    let waiter = waiter(&client);
    let start = Instant::now();
    waiter.wake();
    waiter.wake();
    assert!(waiter.next(Duration::from_secs(60)).unwrap().is_none());
    assert!(start.elapsed() < SOON);
    assert!(waiter.next(Duration::from_millis(100)).unwrap().is_none());
    assert!(start.elapsed() >= Duration::from_millis(100));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            loop {
                match waiter.next(Duration::from_secs(60)) {
                    // The look below was there at that moment.
                    Err(error) if error.code == Code::Busy => std::thread::yield_now(),
                    waited => break waited.unwrap().is_none(),
                }
            }
        });
        crate::support::wait_until("another thread is in next", || {
            waiter.next(Duration::ZERO).is_err_and(|error| error.code == Code::Busy)
        });
        waiter.wake();
        assert!(waiting.join().unwrap());
    });
    assert!(start.elapsed() < SOON);
    // An event goes first, and uses it up.
    waiter.wait("t", 3, &eager(), within(SOON), |_| {}).unwrap();
    drive_until_event(&waiter);
    let start = Instant::now();
    assert!(waiter.next(Duration::from_millis(100)).unwrap().is_none());
    assert!(start.elapsed() >= Duration::from_millis(100));
}

/// Wakes before each `next` until one has an event.
fn drive_until_event(waiter: &Waiter<'_>) {
    crate::support::wait_until("an event", || {
        waiter.wake();
        waiter.next(SOON).unwrap().is_some()
    });
}

/// Updates of every poll, and each wait's own times of asking.
fn asked(peer: &Peer, token: &str) -> usize {
    tokens(peer).iter().filter(|other| **other == format!("Bearer {token}")).count()
}

#[test]
fn a_429_holds_back_all_polls_with_the_same_token() {
    let peer = Peer::new(|request| match request.number {
        0 => Reply::with_headers(429, "Retry-After: 2\r\n", ""),
        _ => Reply::json(APPROVED),
    });
    let client = peer.hyperid();
    let waiter = waiter(&client);
    let options = within(Duration::from_secs(60)).report_updates(true);
    let start = Instant::now();
    waiter.wait("a", 3, &eager(), options, |_| {}).unwrap();
    assert!(matches!(event(&waiter).kind, EventKind::Update(_)));
    let others = ["a", "a", "b"].map(|token| waiter.wait(token, 3, &eager(), options, |_| {}).unwrap());
    let (another, _) = end(&waiter, others[2]);
    assert!(another.transaction.decision.is_approved());
    assert_eq!(asked(&peer, "a"), 1, "in {:?}", start.elapsed());
    for _ in 0..3 {
        let EventKind::Ended(end) = event(&waiter).kind else { panic!("not its end") };
        assert!(end.transaction.decision.is_approved());
    }
    assert!(start.elapsed() >= Duration::from_secs(2));
}

#[test]
fn three_429_in_a_row_from_different_tokens_hold_back_all_polls() {
    for sound_between in [false, true] {
        let peer = Peer::new(|request| match request.header("authorization").unwrap() {
            "Bearer sound" => Reply::json(APPROVED),
            "Bearer other" => Reply::json(APPROVED),
            _ if request.number < 4 => Reply::with_headers(429, "Retry-After: 2\r\n", ""),
            _ => Reply::json(APPROVED),
        });
        let client = peer.hyperid();
        let waiter = waiter(&client);
        let options = within(Duration::from_secs(60)).report_updates(true);
        let start = Instant::now();
        for token in ["a", "b", "c"] {
            if token == "c" && sound_between {
                waiter.wait("sound", 3, &eager(), options, |_| {}).unwrap();
                assert!(matches!(event(&waiter).kind, EventKind::Ended(_)));
            }
            waiter.wait(token, 3, &eager(), options, |_| {}).unwrap();
            assert!(matches!(event(&waiter).kind, EventKind::Update(_)));
        }
        waiter.wait("other", 3, &eager(), options, |_| {}).unwrap();
        let first = event(&waiter);
        let is_other = first.ticket == if sound_between { 5 } else { 4 };
        if sound_between {
            assert!(is_other, "a sound answer came between: only those three are held");
        } else {
            assert!(start.elapsed() >= Duration::from_secs(2));
        }
    }
}

#[test]
fn a_429_takes_no_last_look_from_others() {
    let peer = Peer::new(|request| match request.number {
        0 => Reply::with_headers(429, "Retry-After: 3600\r\n", ""),
        _ => Reply::json(APPROVED),
    });
    let client = peer.hyperid();
    let waiter = waiter(&client);
    let options = within(Duration::from_secs(60)).report_updates(true);
    let first = waiter.wait("a", 3, &eager(), options, |_| {}).unwrap();
    assert!(matches!(event(&waiter).kind, EventKind::Update(_)));
    // Its end is to come soon.
    let time = if SLOWNESS == 1 { Duration::from_secs(2) } else { SOON * 3 / 4 };
    let second = waiter.wait("a", 3, &eager(), within(time), |_| {}).unwrap();
    assert!(end(&waiter, second).0.transaction.decision.is_approved());
    assert_eq!(peer.requests().len(), 2);
    waiter.cancel(first, false).unwrap();
    end(&waiter, first);
}

#[test]
fn polls_that_are_held_back_use_up_nobodys_requests_in_a_second() {
    let peer = Peer::new(|request| match request.header("authorization").unwrap() {
        "Bearer a" => Reply::with_headers(429, "Retry-After: 3600\r\n", ""),
        _ => Reply::json(APPROVED),
    });
    let client = peer.hyperid();
    // All of them would take more than `SOON`.
    let waiter = Waiter::new(&client, &WaiterOptions::new().max_requests_per_second(4)).unwrap();
    for _ in 0..100 {
        waiter.wait("a", 3, &eager(), within(Duration::from_secs(600)), |_| {}).unwrap();
    }
    let other = waiter.wait("b", 3, &eager(), within(Duration::from_secs(600)), |_| {}).unwrap();
    assert!(end(&waiter, other).0.transaction.decision.is_approved());
    assert!(asked(&peer, "a") < 10, "{}", asked(&peer, "a"));
}

/// All that a child may find.
#[cfg(unix)]
fn is_forked(waiter: &Waiter<'_>) -> bool {
    let is_refusal = |error: mfa::Error| error.code == Code::Forked;
    waiter.wake();
    waiter.next(Duration::ZERO).is_err_and(is_refusal)
        && waiter.wait("t", 3, &eager(), TicketOptions::new(), |_| {}).is_err_and(is_refusal)
        && waiter.confirm("t", &question(), &eager(), TicketOptions::new(), |_| {}).is_err_and(is_refusal)
        && waiter.cancel(1, false).is_err_and(is_refusal)
        && waiter.cancel_all(false).is_err_and(is_refusal)
        && waiter.give_token(1, Some("t")).is_err_and(is_refusal)
        && waiter.fd().is_none()
        && waiter.count() == 0
}

#[test]
#[cfg(unix)]
fn a_forked_child_lets_the_waiter_go_and_takes_nothing_from_its_parent() {
    alone(|| {
        let (peer, go) = held(APPROVED.replace('3', "ID"));
        let client = peer.hyperid();
        let waiter = waiter(&client);
        for id in [4, 5, 6] {
            waiter.wait("t", id, &eager(), within(Duration::from_secs(60)), |_| {}).unwrap();
        }
        drive_until(&waiter, "all have asked", || peer.requests().len() == 3);
        // SAFETY: the child uses what it has of this thread's alone, and ends without unwinding.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            let fds = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
            let (is_forked, before) = (is_forked(&waiter), fds());
            drop(waiter);
            let is_right = is_forked && before == fds();
            // SAFETY: it does not return.
            unsafe { libc::_exit(if is_right { 0 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        go.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            let EventKind::Ended(end) = event(&waiter).kind else { panic!("not its end") };
            assert!(end.transaction.decision.is_approved(), "{:?}", end.result);
        }
    });
}

#[test]
fn a_waiter_that_is_dropped_leaves_nothing_behind() {
    alone(|| {
        let before = Census::take();
        for _ in 0..3 {
            let peer = Peer::new(|_| Reply::nothing(Then::Silence));
            let client = peer.hyperid();
            let waiter = Waiter::new(&client, &WaiterOptions::new().max_connections(2)).unwrap();
            for id in 1..=5 {
                waiter.wait("t", id, &eager(), within(Duration::from_secs(60)), |_| {}).unwrap();
            }
            drive_until(&waiter, "two have asked", || peer.requests().len() == 2);
            // Some wait for an answer, some for their turn, and one has not begun.
            waiter.wait("t", 9, &eager(), within(Duration::from_secs(60)), |_| {}).unwrap();
            drop(waiter);
        }
        before.wait_for("after the waiters");
    });
}

#[test]
fn what_other_threads_ask_for_is_seen_while_next_sleeps() {
    let peer = Peer::scripted(vec![Reply::json(r#"{"result":-4}"#)]);
    let client = peer.hyperid();
    let waiter = waiter(&client);
    let (events, taken) = std::sync::mpsc::channel();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let events = events;
            while !is_over.load(Ordering::SeqCst) {
                if let Some(event) = waiter.next(Duration::from_secs(60)).unwrap() {
                    events.send(event).unwrap();
                }
            }
        });
        let ended = |ticket| match taken.recv_timeout(SOON) {
            Ok(Event { ticket: whose, kind: EventKind::Ended(end), .. }) if whose == ticket => code(&end),
            other => panic!("{other:?}"),
        };
        let mut chance = 1u32;
        for round in 0..1_000 {
            let options = within(Duration::from_secs(60)).ask_for_token(true);
            let wait = if round % 2 == 0 { eager() } else { eager().first_poll(Duration::from_secs(50)) };
            let ticket = waiter.wait("t", 3, &wait, options, |_| {}).unwrap();
            // At another moment each time.
            chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (0..chance >> 20).for_each(|_| std::hint::spin_loop());
            if round % 2 == 1 {
                waiter.cancel(ticket, false).unwrap();
                assert_eq!(ended(ticket), Some(Code::Cancelled));
                continue;
            }
            let refused = taken.recv_timeout(SOON).unwrap();
            assert!(matches!(refused.kind, EventKind::TokenRefused(..)));
            waiter.give_token(ticket, None).unwrap();
            assert_eq!(ended(ticket), Some(Code::TokenExpired));
        }
        is_over.store(true, Ordering::SeqCst);
        waiter.wake();
    });
}
