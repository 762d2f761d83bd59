//! The policy on a simulated clock: every sentence of its contract.

use super::*;
use crate::hyperid::decision::Decision;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn settings() -> Settings {
    Settings {
        first_poll: Duration::ZERO,
        min_interval: s(2),
        max_interval: s(10),
        cancel_on_timeout: false,
        has_token_provider: false,
    }
}

fn state(raw_status: i32, is_final: bool) -> State {
    State { decision: Decision::Unknown, raw_status, raw_complete_result: None, is_final }
}

fn pending() -> State {
    state(0, false)
}

fn error(code: Code) -> Error {
    Error::new(code, "test")
}

fn poll_at(policy: &mut Policy, now: Duration) -> Duration {
    match policy.step(now) {
        Step::Poll { at, .. } => at,
        other => panic!("expected a poll, got {other:?}"),
    }
}

fn failed_with(policy: &mut Policy, now: Duration) -> Code {
    match policy.step(now) {
        Step::Finish(End::Failed(error)) => error.code,
        other => panic!("expected a failure, got {other:?}"),
    }
}

#[test]
fn the_first_poll_is_at_once_or_when_told() {
    assert_eq!(poll_at(&mut Policy::new(settings(), s(1), s(120)), s(1)), s(1));
    let later = Settings { first_poll: s(5), ..settings() };
    assert_eq!(poll_at(&mut Policy::new(later, s(1), s(120)), s(1)), s(6));
}

#[test]
fn polls_back_off_from_the_minimum_to_the_maximum() {
    for jitter in [0, 500, 1023] {
        let mut policy = Policy::new(settings(), s(0), s(600));
        let mut now = s(0);
        let mut gaps = Vec::new();
        for _ in 0..20 {
            let at = poll_at(&mut policy, now);
            gaps.push(at - now);
            now = at;
            policy.answered(now, &pending(), jitter);
        }
        let gaps = &gaps[1..];
        assert!(gaps.iter().all(|gap| (s(2)..=s(10)).contains(gap)), "{gaps:?}");
        assert!(gaps[0] <= ms(2500), "{gaps:?}");
        assert!(gaps.windows(2).all(|pair| pair[1] >= pair[0]), "{gaps:?}");
        assert!(*gaps.last().unwrap() >= s(9), "{gaps:?}");
    }
}

#[test]
fn equal_bounds_give_a_steady_beat() {
    let steady = Settings { min_interval: s(3), max_interval: s(3), ..settings() };
    let mut policy = Policy::new(steady, s(0), s(600));
    for jitter in 0..5 {
        policy.answered(s(10), &pending(), jitter * 300);
        assert_eq!(poll_at(&mut policy, s(10)), s(13));
    }
}

#[test]
fn a_final_state_ends_the_wait_and_an_unknown_one_does_not() {
    let mut policy = Policy::new(settings(), s(0), s(120));
    assert!(!policy.answered(s(1), &state(7, false), 0));
    assert!(matches!(policy.step(s(1)), Step::Poll { .. }));
    assert!(policy.answered(s(4), &state(1, true), 0));
    assert!(matches!(policy.step(s(4)), Step::Finish(End::Answer)));
}

#[test]
fn passing_trouble_is_ridden_out() {
    for code in [
        Code::Unavailable,
        Code::RateLimited,
        Code::Connect,
        Code::ConnectTimeout,
        Code::ConnectionLost,
        Code::RequestTimeout,
        Code::Dns,
    ] {
        let mut policy = Policy::new(settings(), s(0), s(120));
        policy.failed(s(1), error(code), 0);
        assert!(poll_at(&mut policy, s(1)) >= s(3), "{code:?}");
    }
    let mut policy = Policy::new(settings(), s(0), s(120));
    policy.failed(s(1), Error { http_status: Some(500), ..error(Code::HttpStatus) }, 0);
    assert!(poll_at(&mut policy, s(1)) >= s(3));
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
        Code::TransactionNotFound,
        Code::ProviderInvalidParameters,
        Code::ProviderRefused,
        Code::HttpStatus,
        Code::Tls,
        Code::Cancelled,
        Code::Internal,
    ] {
        let mut policy = Policy::new(settings(), s(0), s(120));
        policy.failed(s(1), error(code), 0);
        assert_eq!(failed_with(&mut policy, s(1)), code);
    }
}

#[test]
fn the_server_s_retry_after_is_honoured() {
    let mut policy = Policy::new(settings(), s(0), s(120));
    policy.failed(s(1), Error { retry_after: Some(s(30)), ..error(Code::RateLimited) }, 0);
    assert_eq!(poll_at(&mut policy, s(1)), s(31));
    // Also where it leaves no room: then nothing is sent before the deadline.
    policy.failed(s(31), Error { retry_after: Some(s(300)), ..error(Code::Unavailable) }, 0);
    assert!(matches!(policy.step(s(31)), Step::Sleep { until } if until == s(120)));
    assert!(matches!(policy.step(s(120)), Step::Finish(End::DeadlinePassed)));
}

#[test]
fn a_poll_is_drawn_forward_to_shortly_before_the_end() {
    let slow = Settings { min_interval: s(2), max_interval: s(60), ..settings() };
    let mut policy = Policy::new(slow, s(0), s(100));
    policy.interval = s(60);
    policy.answered(s(50), &pending(), 0);
    assert_eq!(poll_at(&mut policy, s(50)), s(99));
    policy.answered(s(99), &pending(), 0);
    // Another one would break the minimum interval.
    assert!(matches!(policy.step(s(99)), Step::Sleep { until } if until == s(100)));
}

#[test]
fn the_deadline_ends_the_wait() {
    let mut policy = Policy::new(settings(), s(0), s(10));
    policy.failed(s(10), error(Code::Timeout), 0);
    assert!(matches!(policy.step(s(10)), Step::Finish(End::DeadlinePassed)));
    let mut policy = Policy::new(settings(), s(0), s(10));
    assert!(matches!(policy.step(s(10)), Step::Finish(End::DeadlinePassed)));
}

#[test]
fn a_refused_token_is_replaced_once_and_the_poll_repeated() {
    let with_provider = Settings { has_token_provider: true, ..settings() };
    for code in [Code::TokenExpired, Code::TokenInvalid] {
        let mut policy = Policy::new(with_provider, s(0), s(120));
        policy.failed(s(1), error(code), 0);
        assert!(matches!(policy.step(s(1)), Step::AskForToken));
        policy.token_given(s(2));
        assert_eq!(poll_at(&mut policy, s(2)), s(2));
        policy.failed(s(3), error(code), 0);
        assert_eq!(failed_with(&mut policy, s(3)), code);
    }
}

#[test]
fn a_later_expiry_asks_again_but_trouble_proves_no_token() {
    let with_provider = Settings { has_token_provider: true, ..settings() };
    let mut policy = Policy::new(with_provider, s(0), s(120));
    policy.failed(s(1), error(Code::TokenExpired), 0);
    policy.token_given(s(1));
    policy.answered(s(2), &pending(), 0);
    policy.failed(s(5), error(Code::TokenExpired), 0);
    assert!(matches!(policy.step(s(5)), Step::AskForToken));
    policy.token_given(s(5));
    policy.failed(s(6), error(Code::Unavailable), 0);
    policy.failed(s(9), error(Code::TokenExpired), 0);
    assert_eq!(failed_with(&mut policy, s(9)), Code::TokenExpired);
}

#[test]
fn without_a_fresh_token_the_refusal_ends_the_wait() {
    let with_provider = Settings { has_token_provider: true, ..settings() };
    let mut policy = Policy::new(with_provider, s(0), s(120));
    policy.failed(s(1), error(Code::TokenExpired), 0);
    policy.token_withheld(None);
    assert_eq!(failed_with(&mut policy, s(1)), Code::TokenExpired);
    let mut policy = Policy::new(with_provider, s(0), s(120));
    policy.failed(s(1), error(Code::TokenExpired), 0);
    policy.token_withheld(Some(error(Code::InvalidArgument)));
    assert_eq!(failed_with(&mut policy, s(1)), Code::InvalidArgument);
}

#[test]
fn access_denied_never_asks_for_a_token() {
    let with_provider = Settings { has_token_provider: true, ..settings() };
    let mut policy = Policy::new(with_provider, s(0), s(120));
    policy.failed(s(1), error(Code::AccessDenied), 0);
    assert_eq!(failed_with(&mut policy, s(1)), Code::AccessDenied);
}

fn cancelling(timeout: Duration) -> (Policy, Duration) {
    let mut policy = Policy::new(Settings { cancel_on_timeout: true, ..settings() }, s(0), timeout);
    let Step::Poll { until, .. } = policy.step(s(0)) else { panic!("no poll") };
    policy.failed(until, error(Code::Timeout), 0);
    (policy, until)
}

#[test]
fn cancel_on_timeout_keeps_five_seconds_or_a_quarter() {
    assert_eq!(cancelling(s(120)).1, s(115));
    assert_eq!(cancelling(s(8)).1, s(6));
    let (mut policy, until) = cancelling(s(8));
    // Half of what is kept goes to the cancel, so that the last look still fits.
    assert!(matches!(policy.step(until), Step::Cancel { until } if until == s(7)));
    policy.cancel_sent(None);
    assert!(matches!(policy.step(s(7)), Step::Poll { at, until } if at == s(7) && until == s(8)));
}

#[test]
fn after_the_cancel_only_completed_and_expired_are_answers() {
    for (raw_status, is_answer) in [(0, false), (1, true), (2, true), (3, false), (4, false), (9, false)] {
        let (mut policy, until) = cancelling(s(8));
        policy.cancel_sent(Some(error(Code::AlreadyCompleted)));
        policy.step(until);
        assert_eq!(policy.answered(until, &state(raw_status, raw_status != 0), 0), is_answer);
        match policy.step(until) {
            Step::Finish(End::Answer) => assert!(is_answer, "{raw_status}"),
            Step::Finish(End::DeadlinePassed) => assert!(!is_answer, "{raw_status}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_failed_last_look_is_a_timeout_and_a_cancel_stays_one() {
    for (code, expected) in
        [(Code::Connect, None), (Code::TokenExpired, None), (Code::Cancelled, Some(Code::Cancelled))]
    {
        let (mut policy, until) = cancelling(s(8));
        policy.cancel_sent(Some(error(Code::Connect)));
        policy.failed(until, error(code), 0);
        match (policy.step(until), expected) {
            (Step::Finish(End::DeadlinePassed), None) => {}
            (Step::Finish(End::Failed(e)), Some(code)) => assert_eq!(e.code, code),
            (other, _) => panic!("{other:?}"),
        }
    }
    let (mut policy, until) = cancelling(s(8));
    policy.cancel_sent(Some(error(Code::Cancelled)));
    assert_eq!(failed_with(&mut policy, until), Code::Cancelled);
}

#[test]
fn a_refused_token_is_replaced_after_the_deadline_too() {
    let settings = Settings { cancel_on_timeout: true, has_token_provider: true, ..settings() };
    let mut policy = Policy::new(settings, s(0), s(8));
    policy.failed(s(6), error(Code::Timeout), 0);
    assert!(matches!(policy.step(s(6)), Step::Cancel { .. }));
    policy.cancel_sent(Some(error(Code::TokenExpired)));
    assert!(matches!(policy.step(s(6)), Step::AskForToken));
    policy.token_given(s(6));
    assert!(matches!(policy.step(s(6)), Step::Cancel { .. }));
    policy.cancel_sent(None);
    assert!(matches!(policy.step(s(6)), Step::Poll { .. }));
    assert!(policy.answered(s(6), &state(1, true), 0));
    assert!(matches!(policy.step(s(6)), Step::Finish(End::Answer)));

    // Without a fresh one, what can be done is done all the same.
    let mut policy = Policy::new(settings, s(0), s(8));
    policy.failed(s(6), error(Code::Timeout), 0);
    policy.step(s(6));
    policy.cancel_sent(Some(error(Code::TokenExpired)));
    policy.token_withheld(None);
    assert!(matches!(policy.step(s(6)), Step::Poll { .. }));
    policy.failed(s(6), error(Code::TokenExpired), 0);
    assert!(matches!(policy.step(s(6)), Step::AskForToken));
    policy.token_withheld(None);
    assert!(matches!(policy.step(s(6)), Step::Finish(End::DeadlinePassed)));
}

#[test]
fn a_final_answer_wins_over_a_stop() {
    let mut policy = Policy::new(settings(), s(0), s(120));
    policy.answered(s(1), &state(1, true), 0);
    policy.stop(error(Code::Cancelled));
    assert!(matches!(policy.step(s(1)), Step::Finish(End::Answer)));
    let mut policy = Policy::new(settings(), s(0), s(120));
    policy.answered(s(1), &pending(), 0);
    policy.stop(error(Code::Cancelled));
    assert_eq!(failed_with(&mut policy, s(1)), Code::Cancelled);
}

#[test]
fn every_course_ends() {
    // Whatever the server does and however little time there is, the steps lead to an end.
    for timeout in [ms(1), ms(2), ms(7), s(1), s(30)] {
        for cancel_on_timeout in [false, true] {
            let mut policy = Policy::new(Settings { cancel_on_timeout, ..settings() }, s(0), timeout);
            let mut now = s(0);
            let mut steps = 0;
            loop {
                steps += 1;
                assert!(steps < 100, "{timeout:?} {cancel_on_timeout}");
                match policy.step(now) {
                    Step::Poll { at, until } => {
                        assert!(at >= now && until <= timeout);
                        now = at + ms(1);
                        policy.answered(now, &pending(), steps);
                    }
                    Step::Sleep { until } => now = until,
                    Step::Cancel { until } => {
                        now = until;
                        policy.cancel_sent(None);
                    }
                    Step::AskForToken => panic!("nothing was refused"),
                    Step::Finish(End::DeadlinePassed) => break,
                    Step::Finish(other) => panic!("{other:?}"),
                }
            }
        }
    }
}
