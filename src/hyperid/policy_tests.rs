//! The policy on a simulated clock: every sentence of its contract.

use super::*;
use crate::hyperid::decision::{self, Look};
use crate::json::Fields;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn settings() -> Settings {
    Settings {
        first_poll: None,
        min_interval: s(1),
        max_interval: s(10),
        cancel_on_timeout: false,
        withdraw_on_cancel: false,
        has_token_provider: false,
        not_found_for: s(2),
    }
}

fn policy(timeout: Duration) -> Policy {
    Policy::new(settings(), Duration::ZERO, s(0), timeout)
}

/// As the answer with these fields is read; there is no other way to an approval.
fn read(fields: &str, look: Look) -> Reading {
    let json = format!(r#"{{"result":0,{fields}}}"#);
    let wanted = &["transaction_id", "transaction_status", "transaction_complete_result"];
    decision::read(&Fields::parse(json.as_bytes(), wanted).unwrap(), 3, look).unwrap()
}

fn status(status: i32, complete_result: i32) -> Reading {
    let fields = format!(
        r#""transaction_id":3,"transaction_status":{status},"transaction_complete_result":{complete_result}"#
    );
    read(&fields, Look::First)
}

fn pending() -> Reading {
    status(0, 0)
}

fn approved() -> Reading {
    status(1, 0)
}

fn unnamed(look: Look) -> Reading {
    read(r#""transaction_status":1,"transaction_complete_result":0"#, look)
}

fn error(code: Code) -> Error {
    Error::new(code, "test")
}

fn http(code: Code, status: u16) -> Error {
    Error { http_status: Some(status), ..error(code) }
}

fn hearsay() -> Error {
    Error { is_hearsay: true, ..http(Code::HttpStatus, 302) }
}

fn poll_at(policy: &mut Policy, now: Duration) -> Duration {
    match policy.step(now) {
        Step::Poll { at, is_second_look: false, .. } => at,
        other => panic!("expected a poll, got {other:?}"),
    }
}

fn second_look_at(policy: &mut Policy, now: Duration) -> Duration {
    match policy.step(now) {
        Step::Poll { at, is_second_look: true, .. } => at,
        other => panic!("expected a second look, got {other:?}"),
    }
}

fn end(policy: &mut Policy, now: Duration) -> End {
    match policy.step(now) {
        Step::Finish => policy.take_end(),
        other => panic!("expected the end, got {other:?}"),
    }
}

fn failure(policy: &mut Policy, now: Duration) -> Error {
    match end(policy, now) {
        End::Failed(error) => *error,
        other => panic!("expected a failure, got {other:?}"),
    }
}

fn timeout(policy: &mut Policy, now: Duration) -> Error {
    match end(policy, now) {
        End::DeadlinePassed(error) => *error,
        other => panic!("expected the deadline, got {other:?}"),
    }
}

fn is_answer(policy: &mut Policy, now: Duration) -> bool {
    matches!(policy.step(now), Step::Finish) && matches!(policy.take_end(), End::Answer)
}

#[test]
fn the_first_poll_is_at_once_or_when_told() {
    assert_eq!(poll_at(&mut Policy::new(settings(), Duration::ZERO, s(1), s(120)), s(1)), s(1));
    assert_eq!(poll_at(&mut Policy::new(settings(), s(5), s(1), s(120)), s(1)), s(6));
}

#[test]
fn a_first_poll_that_lies_beyond_the_end_is_drawn_forward() {
    assert_eq!(poll_at(&mut Policy::new(settings(), s(60), s(1), s(10)), s(1)), s(9));
}

#[test]
fn polls_come_after_the_minimum_or_a_tenth_of_the_time_and_a_quarter_more_at_the_most() {
    // The id was known at 5 s.
    for (now, tenth) in [(s(5), s(1)), (s(10), s(1)), (s(25), s(2)), (s(65), s(6)), (s(105), s(10))] {
        for (jitter, least, most) in
            [(0, ms(0), ms(0)), (512, tenth / 10, tenth / 6), (1023, tenth / 5, tenth / 4)]
        {
            let mut policy = Policy::new(settings(), Duration::ZERO, s(5), s(600));
            policy.answered(now, &pending(), jitter);
            let more = poll_at(&mut policy, now) - now - tenth;
            let capped = (tenth + least).min(s(10)) - tenth;
            assert!(more >= capped && more <= most, "{now:?} {jitter}: {more:?}");
        }
    }
    let mut policy = Policy::new(settings(), Duration::ZERO, s(0), s(9_000));
    policy.answered(s(1_000), &pending(), 1023);
    assert_eq!(poll_at(&mut policy, s(1_000)), s(1_010), "never more than the maximum");
}

#[test]
fn equal_bounds_give_a_steady_beat() {
    let steady = Settings { min_interval: s(3), max_interval: s(3), ..settings() };
    let mut policy = Policy::new(steady, Duration::ZERO, s(0), s(600));
    for jitter in 0..5 {
        policy.answered(s(10), &pending(), jitter * 300);
        assert_eq!(poll_at(&mut policy, s(10)), s(13));
    }
}

#[test]
fn a_final_state_ends_the_wait_and_an_unknown_one_does_not() {
    let mut policy = policy(s(120));
    assert!(!policy.answered(s(1), &status(7, 0), 0));
    poll_at(&mut policy, s(1));
    assert!(policy.answered(s(4), &approved(), 0));
    assert!(is_answer(&mut policy, s(4)));
}

#[test]
fn passing_trouble_is_ridden_out_to_the_deadline() {
    let passing = [
        error(Code::Unavailable),
        error(Code::RateLimited),
        error(Code::Connect),
        error(Code::ConnectTimeout),
        error(Code::ConnectionLost),
        error(Code::RequestTimeout),
        error(Code::Dns),
        error(Code::Tls),
        http(Code::HttpStatus, 408),
        http(Code::HttpStatus, 425),
        http(Code::HttpStatus, 500),
        http(Code::Proxy, 503),
    ];
    for trouble in passing {
        let mut policy = policy(s(120));
        let mut now = s(0);
        while let Step::Poll { at, .. } = policy.step(now) {
            now = at;
            policy.failed(now, trouble.clone(), 0);
        }
        assert!(now >= s(118), "{trouble:?} {now:?}");
        assert_eq!(timeout(&mut policy, s(120)).code, Code::Timeout);
    }
}

#[test]
fn lasting_trouble_ends_the_wait() {
    for code in [
        Code::MalformedAnswer,
        Code::ContradictoryAnswer,
        Code::AnswerTooLarge,
        Code::AccessDenied,
        Code::TokenExpired,
        Code::TokenInvalid,
        Code::ProviderInvalidParameters,
        Code::ProviderRefused,
        Code::HttpStatus,
        Code::Internal,
    ] {
        let mut policy = policy(s(120));
        policy.failed(s(3), error(code), 0);
        assert_eq!(failure(&mut policy, s(3)).code, code);
    }
}

#[test]
fn what_a_middlebox_says_is_ridden_out_for_a_while() {
    // Each second; it ends after fifteen, or a quarter of the deadline, and three times at least.
    for (deadline, every, ends) in
        [(s(120), s(1), s(15)), (s(20), s(1), s(5)), (s(120), s(9), s(18)), (s(8), s(3), s(6))]
    {
        let mut policy = policy(deadline);
        let mut now = s(0);
        loop {
            policy.failed(now, hearsay(), 0);
            if !matches!(policy.step(now), Step::Poll { .. }) {
                break;
            }
            now += every;
        }
        assert_eq!(now, ends, "{deadline:?} {every:?}");
    }
}

#[test]
fn whatever_else_comes_lets_the_middlebox_begin_anew() {
    let mut policy = policy(s(120));
    for now in [0, 5, 10] {
        policy.failed(s(now), hearsay(), 0);
    }
    policy.answered(s(14), &pending(), 0);
    policy.failed(s(16), hearsay(), 0);
    policy.failed(s(18), http(Code::Unavailable, 503), 0);
    policy.failed(s(20), hearsay(), 0);
    // Nothing comes from a server that cannot be reached.
    policy.failed(s(25), error(Code::Connect), 0);
    policy.failed(s(30), hearsay(), 0);
    poll_at(&mut policy, s(30));
    policy.failed(s(35), hearsay(), 0);
    assert_eq!(failure(&mut policy, s(35)).http_status, Some(302));
}

#[test]
fn not_found_may_mean_not_yet() {
    let not_found = || http(Code::TransactionNotFound, 200);
    // The id was known at 10 s.
    for (not_found_for, last) in [(s(2), s(12)), (s(5), s(15))] {
        let mut policy = Policy::new(Settings { not_found_for, ..settings() }, Duration::ZERO, s(10), s(120));
        policy.failed(last - ms(1), not_found(), 0);
        poll_at(&mut policy, last);
        policy.failed(last, not_found(), 0);
        assert_eq!(failure(&mut policy, last).code, Code::TransactionNotFound);
    }
}

#[test]
fn a_429_is_obeyed_whole_and_others_for_a_few_intervals() {
    for (trouble, expected) in [
        (http(Code::RateLimited, 429), s(61)),
        (http(Code::Unavailable, 503), s(31)),
        (Error { provider_code: Some(-1), ..http(Code::Unavailable, 200) }, s(31)),
    ] {
        let mut policy = policy(s(120));
        policy.failed(s(1), Error { retry_after: Some(s(60)), ..trouble }, 0);
        assert_eq!(poll_at(&mut policy, s(1)), expected);
    }
    let mut policy = policy(s(120));
    policy.failed(s(1), Error { retry_after: Some(ms(10)), ..http(Code::Unavailable, 503) }, 0);
    assert_eq!(poll_at(&mut policy, s(1)), s(2), "never sooner than the schedule has it");
}

#[test]
fn there_is_one_last_look_whatever_retry_after_says() {
    for trouble in [http(Code::Unavailable, 503), http(Code::RateLimited, 429)] {
        let mut policy = policy(s(20));
        policy.failed(s(1), Error { retry_after: Some(s(120)), ..trouble.clone() }, 0);
        assert_eq!(poll_at(&mut policy, s(1)), s(19));
        policy.failed(s(19), Error { retry_after: Some(s(120)), ..trouble }, 0);
        // Another one would break the minimum interval.
        assert!(matches!(policy.step(s(19)), Step::Sleep { until } if until == s(20)));
        let error = timeout(&mut policy, s(20));
        assert_eq!(error.retry_after, Some(s(120)));
    }
}

#[test]
fn a_poll_is_drawn_forward_to_shortly_before_the_end() {
    let mut policy =
        Policy::new(Settings { max_interval: s(60), ..settings() }, Duration::ZERO, s(0), s(1_000));
    policy.answered(s(950), &pending(), 0);
    assert_eq!(poll_at(&mut policy, s(950)), s(999));
    policy.answered(s(999), &pending(), 0);
    assert!(matches!(policy.step(s(999)), Step::Sleep { until } if until == s(1_000)));
}

#[test]
fn the_deadline_ends_the_wait_and_tells_what_the_last_failed_poll_met() {
    let mut quiet = policy(s(10));
    let error = timeout(&mut quiet, s(10));
    assert_eq!((error.code, error.http_status, error.provider_code), (Code::Timeout, None, None));

    let mut policy = policy(s(10));
    policy.failed(s(1), self::error(Code::Connect), 0);
    let refusal = Error { provider_code: Some(-1), retry_after: Some(s(3)), ..http(Code::Unavailable, 200) };
    policy.failed(s(4), refusal, 0);
    policy.answered(s(8), &pending(), 0);
    policy.failed(s(10), self::error(Code::Timeout), 0);
    let error = timeout(&mut policy, s(10));
    assert_eq!((error.code, error.http_status, error.provider_code), (Code::Timeout, Some(200), Some(-1)));
    assert_eq!(error.retry_after, Some(s(3)));
    assert!(error.message.contains("MFA_ERR_UNAVAILABLE"), "{}", error.message);
}

fn with_provider() -> Policy {
    Policy::new(Settings { has_token_provider: true, ..settings() }, Duration::ZERO, s(0), s(120))
}

#[test]
fn a_refused_token_is_replaced_once_and_the_poll_repeated() {
    for code in [Code::TokenExpired, Code::TokenInvalid] {
        let mut policy = with_provider();
        policy.failed(s(1), error(code), 0);
        assert!(matches!(policy.step(s(1)), Step::AskForToken { .. }));
        policy.token_given(s(2));
        assert_eq!(poll_at(&mut policy, s(2)), s(2));
        policy.failed(s(3), error(code), 0);
        assert_eq!(failure(&mut policy, s(3)).code, code);
    }
}

#[test]
fn a_later_expiry_asks_again_but_trouble_proves_no_token() {
    let mut policy = with_provider();
    policy.failed(s(1), error(Code::TokenExpired), 0);
    policy.token_given(s(1));
    policy.answered(s(2), &pending(), 0);
    policy.failed(s(5), error(Code::TokenExpired), 0);
    assert!(matches!(policy.step(s(5)), Step::AskForToken { .. }));
    policy.token_given(s(5));
    policy.failed(s(6), error(Code::Unavailable), 0);
    policy.failed(s(9), error(Code::TokenExpired), 0);
    assert_eq!(failure(&mut policy, s(9)).code, Code::TokenExpired);
}

#[test]
fn without_a_fresh_token_the_refusal_ends_the_wait() {
    for (instead, expected) in
        [(None, Code::TokenExpired), (Some(error(Code::InvalidArgument)), Code::InvalidArgument)]
    {
        let mut policy = with_provider();
        policy.failed(s(1), error(Code::TokenExpired), 0);
        policy.token_withheld(instead);
        assert_eq!(failure(&mut policy, s(1)).code, expected);
    }
}

#[test]
fn access_denied_never_asks_for_a_token() {
    let mut policy = with_provider();
    policy.failed(s(1), error(Code::AccessDenied), 0);
    assert_eq!(failure(&mut policy, s(1)).code, Code::AccessDenied);
}

#[test]
fn an_approval_without_a_name_is_looked_at_a_second_time_at_once() {
    let mut policy = policy(s(120));
    assert!(!policy.answered(s(1), &unnamed(Look::First), 0));
    assert_eq!(second_look_at(&mut policy, s(1)), s(1));
    assert!(policy.answered(s(2), &unnamed(Look::Second), 0));
    assert!(is_answer(&mut policy, s(2)));
}

#[test]
fn another_valid_answer_stands_in_its_place() {
    let mut policy = policy(s(120));
    policy.answered(s(1), &unnamed(Look::First), 0);
    assert!(!policy.answered(s(2), &pending(), 0));
    assert_eq!(poll_at(&mut policy, s(2)), s(3), "back to the schedule");
    policy.answered(s(3), &unnamed(Look::First), 0);
    assert!(policy.answered(s(4), &status(1, 1), 0));
}

#[test]
fn a_second_look_rides_passing_failures_out_and_no_others() {
    let mut policy = policy(s(120));
    policy.answered(s(1), &unnamed(Look::First), 0);
    policy.failed(s(1), error(Code::Connect), 0);
    assert_eq!(second_look_at(&mut policy, s(1)), s(1) + ms(200));
    policy.failed(s(2), error(Code::Connect), 0);
    assert_eq!(second_look_at(&mut policy, s(2)), s(2) + ms(400));
    policy.failed(s(3), error(Code::MalformedAnswer), 0);
    assert_eq!(failure(&mut policy, s(3)).code, Code::MalformedAnswer);
}

#[test]
fn an_approval_without_a_name_is_no_answer_already_read() {
    let mut waiting = policy(s(10));
    waiting.answered(s(9), &unnamed(Look::First), 0);
    assert_eq!(timeout(&mut waiting, s(10)).code, Code::Timeout);
    let mut waiting = policy(s(10));
    waiting.answered(s(9), &unnamed(Look::First), 0);
    assert!(!waiting.stop(s(9), s(11), error(Code::Cancelled), false));
    assert_eq!(failure(&mut waiting, s(9)).code, Code::Cancelled);
}

#[test]
fn a_final_answer_wins_over_a_stop() {
    let mut policy = policy(s(120));
    policy.answered(s(1), &approved(), 0);
    assert!(!policy.stop(s(1), s(3), error(Code::Cancelled), false));
    assert!(is_answer(&mut policy, s(1)));
}

#[test]
fn a_stop_wins_over_the_deadline() {
    let mut policy = policy(s(10));
    policy.failed(s(10), error(Code::Timeout), 0);
    policy.stop(s(10), s(12), error(Code::Cancelled), false);
    assert_eq!(failure(&mut policy, s(10)).code, Code::Cancelled);
}

fn at_the_deadline(timeout: Duration) -> (Policy, Duration) {
    let mut policy =
        Policy::new(Settings { cancel_on_timeout: true, ..settings() }, Duration::ZERO, s(0), timeout);
    let Step::Poll { until, .. } = policy.step(s(0)) else { panic!("no poll") };
    policy.failed(until, error(Code::Timeout), 0);
    (policy, until)
}

fn at_a_wish(now: Duration, timeout: Duration) -> Policy {
    let mut policy =
        Policy::new(Settings { withdraw_on_cancel: true, ..settings() }, Duration::ZERO, s(0), timeout);
    assert!(policy.stop(now, now + WITHDRAW_TIME, error(Code::Cancelled), true));
    policy
}

fn withdraw_until(policy: &mut Policy, now: Duration) -> Duration {
    match policy.step(now) {
        Step::Withdraw { until } => until,
        other => panic!("expected to withdraw, got {other:?}"),
    }
}

fn last_look_until(policy: &mut Policy, now: Duration) -> Duration {
    match policy.step(now) {
        Step::Poll { at, until, .. } if at == now => until,
        other => panic!("expected the last look, got {other:?}"),
    }
}

#[test]
fn cancel_on_timeout_keeps_five_seconds_or_a_quarter() {
    assert_eq!(at_the_deadline(s(120)).1, s(115));
    let (mut policy, until) = at_the_deadline(s(8));
    assert_eq!(until, s(6));
    // Half of what is kept goes to the cancel, so that the last look still fits.
    assert_eq!(withdraw_until(&mut policy, until), s(7));
    policy.cancel_sent(Ok(()));
    assert_eq!(last_look_until(&mut policy, s(7)), s(8));
}

#[test]
fn withdrawing_at_a_wish_takes_two_seconds_and_never_past_the_deadline() {
    let mut policy = at_a_wish(s(10), s(120));
    assert_eq!(withdraw_until(&mut policy, s(10)), s(11));
    policy.cancel_sent(Ok(()));
    assert_eq!(last_look_until(&mut policy, s(11)), s(12));
    let mut policy = at_a_wish(s(119), s(120));
    assert_eq!(withdraw_until(&mut policy, s(119)), s(119) + ms(500));
    policy.cancel_sent(Ok(()));
    assert_eq!(last_look_until(&mut policy, s(119)), s(120));
    // A second wish, a callback's say, changes nothing.
    policy.stop(s(119), s(121), error(Code::Cancelled), true);
    assert_eq!(last_look_until(&mut policy, s(119)), s(120));
    // No time is left for it.
    let mut policy =
        Policy::new(Settings { withdraw_on_cancel: true, ..settings() }, Duration::ZERO, s(0), s(10));
    assert!(!policy.stop(s(10), s(12), error(Code::Cancelled), true));
    assert_eq!(failure(&mut policy, s(10)).code, Code::Cancelled);
}

#[test]
fn without_the_flag_a_wish_sends_nothing_more() {
    let (mut policy, until) = at_the_deadline(s(8));
    policy.step(until);
    assert!(!policy.stop(until, until + s(2), error(Code::Cancelled), false));
    let error = failure(&mut policy, until);
    assert_eq!((error.code, error.withdrawn), (Code::Cancelled, false));
}

#[test]
fn after_withdrawing_only_a_decision_is_an_answer() {
    for (raw, complete, decided) in [
        (0, 0, false),
        (1, 0, true),
        (1, 1, true),
        (1, 7, false),
        (2, 0, true),
        (3, 0, false),
        (4, 0, false),
        (9, 0, false),
    ] {
        let (mut policy, until) = at_the_deadline(s(8));
        policy.cancel_sent(Err(error(Code::AlreadyCompleted)));
        policy.step(until);
        assert_eq!(policy.answered(until, &status(raw, complete), 0), decided);
        match end(&mut policy, until) {
            End::Answer => assert!(decided, "{raw}"),
            End::DeadlinePassed(error) => {
                assert!(!decided, "{raw}");
                assert_eq!(error.withdrawn, raw == 4);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn withdrawn_is_said_where_the_provider_confirmed_it() {
    let failed = |code| Err(error(code));
    type Look = Option<Reading>;
    let cases: [(Result<(), Error>, Look, bool); 8] = [
        (Ok(()), Some(status(4, 0)), true),
        (Ok(()), None, true),
        (Ok(()), Some(pending()), false),
        (failed(Code::AlreadyCancelled), None, true),
        (failed(Code::Connect), Some(status(4, 0)), true),
        (failed(Code::Connect), Some(pending()), false),
        (failed(Code::Connect), None, false),
        (failed(Code::AlreadyExpired), Some(status(3, 0)), false),
    ];
    for (cancel, look, expected) in cases {
        let text = format!("{cancel:?} {look:?}");
        let mut policy = at_a_wish(s(10), s(120));
        policy.step(s(10));
        policy.cancel_sent(cancel);
        policy.step(s(10));
        match look {
            Some(reading) => assert!(!policy.answered(s(10), &reading, 0)),
            None => policy.failed(s(10), error(Code::Connect), 0),
        }
        let error = failure(&mut policy, s(10));
        assert_eq!((error.code, error.withdrawn), (Code::Cancelled, expected), "{text}");
    }
}

#[test]
fn withdrawing_asks_for_no_token() {
    let settings = Settings {
        cancel_on_timeout: true,
        withdraw_on_cancel: true,
        has_token_provider: true,
        ..settings()
    };
    let mut policy = Policy::new(settings, Duration::ZERO, s(0), s(8));
    policy.failed(s(6), error(Code::Timeout), 0);
    withdraw_until(&mut policy, s(6));
    policy.cancel_sent(Err(error(Code::TokenExpired)));
    last_look_until(&mut policy, s(6));
    policy.failed(s(6), error(Code::TokenExpired), 0);
    assert_eq!(timeout(&mut policy, s(6)).code, Code::Timeout);
    // Nor for one that was refused just before.
    let mut policy = Policy::new(settings, Duration::ZERO, s(0), s(8));
    policy.failed(s(1), error(Code::TokenExpired), 0);
    assert!(policy.stop(s(1), s(3), error(Code::Cancelled), true));
    withdraw_until(&mut policy, s(1));
    let mut policy = Policy::new(settings, Duration::ZERO, s(0), s(8));
    policy.failed(s(1), error(Code::TokenExpired), 0);
    withdraw_until(&mut policy, s(7));
}

#[test]
fn the_last_look_takes_a_second_one_at_an_approval_without_a_name() {
    let mut policy = at_a_wish(s(10), s(120));
    policy.step(s(10));
    policy.cancel_sent(Err(error(Code::AlreadyCompleted)));
    policy.step(s(10));
    assert!(!policy.answered(s(10), &unnamed(Look::First), 0));
    assert_eq!(second_look_at(&mut policy, s(10)), s(10));
    policy.failed(s(10), error(Code::ConnectionLost), 0);
    assert_eq!(second_look_at(&mut policy, s(10)), s(10) + ms(200));
    assert!(policy.answered(s(11), &unnamed(Look::Second), 0));
    assert!(is_answer(&mut policy, s(11)));
    // It ends with the time for withdrawing.
    let mut policy = at_a_wish(s(10), s(120));
    policy.cancel_sent(Ok(()));
    policy.answered(s(10), &unnamed(Look::First), 0);
    policy.failed(s(11) + ms(900), error(Code::ConnectionLost), 0);
    assert_eq!(failure(&mut policy, s(12)).code, Code::Cancelled);
}

#[test]
fn every_course_ends() {
    // Whatever the server does and however little time there is, the steps lead to an end.
    for timeout in [ms(1), ms(2), ms(7), s(1), s(30)] {
        for cancel_on_timeout in [false, true] {
            for reading in [pending(), unnamed(Look::First)] {
                let mut policy =
                    Policy::new(Settings { cancel_on_timeout, ..settings() }, Duration::ZERO, s(0), timeout);
                let mut now = s(0);
                let mut steps = 0;
                loop {
                    steps += 1;
                    assert!(steps < 100_000, "{timeout:?} {cancel_on_timeout}");
                    match policy.step(now) {
                        Step::Poll { at, until, .. } => {
                            assert!(at >= now && until <= timeout);
                            now = at + ms(1);
                            policy.answered(now, &reading, steps);
                        }
                        Step::Sleep { until } => now = until,
                        Step::Withdraw { until } => {
                            now = until;
                            policy.cancel_sent(Ok(()));
                        }
                        Step::AskForToken { .. } => panic!("nothing was refused"),
                        Step::Finish => {
                            assert!(matches!(policy.take_end(), End::DeadlinePassed(_)));
                            break;
                        }
                    }
                }
            }
        }
    }
}

/// What a schedule costs and gives, over many confirms.
struct Course {
    mean_delay: f64,
    p95_delay: f64,
    /// Besides the two requests that ask.
    mean_polls: f64,
}

/// People who decide after a log-normal time (median 10 s, sigma 0.7), exchanges of 50 ms, a deadline
/// of 120 s: how long after the decision the program knows of it.
fn simulate(confirms: u32) -> Course {
    const EXCHANGE: Duration = ms(50);
    let mut random = Random(42);
    let (mut delays, mut polls) = (Vec::new(), 0);
    for _ in 0..confirms {
        // Availability, and start, whose answer tells the id.
        let known = 2 * EXCHANGE;
        let decided = known + Duration::from_secs_f64(10.0 * (0.7 * random.normal()).exp());
        let first_poll = settings().min_interval;
        let mut policy = Policy::new(settings(), first_poll, known, s(120));
        let mut now = known;
        loop {
            match policy.step(now) {
                Step::Poll { at, .. } => {
                    polls += 1;
                    now = at + EXCHANGE;
                    let is_decided = at + EXCHANGE / 2 >= decided;
                    let reading = if is_decided { approved() } else { pending() };
                    policy.answered(now, &reading, random.next());
                }
                Step::Sleep { until } => now = until,
                Step::Finish if matches!(policy.take_end(), End::Answer) => {
                    break delays.push((now - decided).as_secs_f64());
                }
                Step::Finish => break,
                other => panic!("{other:?}"),
            }
        }
    }
    delays.sort_by(f64::total_cmp);
    Course {
        mean_delay: delays.iter().sum::<f64>() / delays.len() as f64,
        p95_delay: delays[delays.len() * 95 / 100],
        mean_polls: f64::from(polls) / f64::from(confirms),
    }
}

/// SplitMix64: the same numbers every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// By Box and Muller.
    fn normal(&mut self) -> f64 {
        let mut uniform = || (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        let (a, b) = (1.0 - uniform(), uniform());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }
}

#[test]
fn a_decision_is_known_soon_and_cheaply() {
    let Course { mean_delay, p95_delay, mean_polls } = simulate(20_000);
    println!(
        "schedule: known {mean_delay:.2} s after the decision on average, {p95_delay:.2} s at the 95th \
         percentile, with {mean_polls:.1} polls"
    );
    assert!(mean_delay <= 0.9, "{mean_delay}");
    assert!(p95_delay <= 2.3, "{p95_delay}");
    assert!(mean_polls <= 11.0, "{mean_polls}");
}
