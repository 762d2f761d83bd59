//! When to poll, what to ride out, when to give up. Pure: time comes in as a duration since the
//! start of the call, so that tests run it on a simulated clock.

use std::time::Duration;

use crate::error::{Code, Error};
use crate::hyperid::decision::{Decision, Reading, State};
use crate::retry::{self, is_transient};

/// How long polling goes on after what a middlebox may have said, or a quarter of the deadline if that is
/// less; and how often it must have been said.
const HEARSAY_TIME: Duration = Duration::from_secs(15);
const HEARSAY_COUNT: u32 = 3;

/// What withdrawing at the caller's wish may take.
pub(super) const WITHDRAW_TIME: Duration = Duration::from_secs(2);

/// What the caller of a wait can set, with the defaults filled in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// As the caller named it.
    pub(super) first_poll: Option<Duration>,
    pub(super) min_interval: Duration,
    pub(super) max_interval: Duration,
    pub(super) cancel_on_timeout: bool,
    pub(super) withdraw_on_cancel: bool,
    pub(super) has_token_provider: bool,
    /// How long "not found" may only mean "not yet", from when the id is known.
    pub(super) not_found_for: Duration,
}

/// What to do next. Times are durations since the start of the call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Sleep until `at`, then ask for the state; the answer must be there by `until`.
    Poll { at: Duration, until: Duration, is_second_look: bool },
    /// Sleep until `until`; no other poll fits before it.
    Sleep { until: Duration },
    /// Ask the caller for a fresh token, which must be there by `until`.
    AskForToken { until: Duration },
    /// Cancel the transaction, by `until`.
    Withdraw { until: Duration },
    /// The wait is over: `take_end` says how.
    Finish,
}

/// How a wait ends. Errors are boxed, here and below: thousands of waits keep a place for each, and few
/// meet any.
#[derive(Debug)]
pub(super) enum End {
    /// With the answer that was read last.
    Answer,
    /// With this error.
    Failed(Box<Error>),
    /// At the deadline, with this error.
    DeadlinePassed(Box<Error>),
}

#[derive(Debug)]
enum Phase {
    Polling,
    /// The transaction is to be cancelled.
    Withdrawing(Withdrawal),
    /// That was tried; its state is read once more.
    LastLook(Withdrawal),
    Done(End),
}

/// The transaction is withdrawn: cancelled, and its state read once more.
#[derive(Debug)]
struct Withdrawal {
    /// The caller's wish; `None`: the deadline.
    wish: Option<Box<Error>>,
    until: Duration,
    /// The provider said that it is cancelled.
    confirmed: bool,
}

/// An approval was read that does not name its transaction; a second look is due.
#[derive(Clone, Copy, Debug)]
struct SecondLook {
    at: Duration,
    failures: u32,
}

/// What a middlebox may have said, and nothing else since.
#[derive(Clone, Copy, Debug)]
struct Hearsay {
    since: Duration,
    count: u32,
}

/// The course of one wait.
#[derive(Debug)]
pub(super) struct Policy {
    settings: Settings,
    /// When this call knew the id.
    known_since: Duration,
    /// The end of polling; the rest, up to `end`, is kept for withdrawing.
    poll_until: Duration,
    end: Duration,
    phase: Phase,
    /// The token was refused with this; the caller is to be asked for another.
    refused: Option<Box<Error>>,
    next_poll: Duration,
    /// No poll before this, whatever the deadline.
    not_before: Duration,
    second_look: Option<SecondLook>,
    hearsay: Option<Hearsay>,
    /// What the last poll that failed met.
    last_failure: Option<Box<Error>>,
    /// A fresh token has been given and no poll has proved it yet.
    token_unproven: bool,
}

impl Policy {
    /// A wait whose id is known `now` and which must end at `end`. `timeout` is the whole call's.
    pub(super) fn new(settings: Settings, first_poll: Duration, now: Duration, timeout: Duration) -> Self {
        let reserve = if settings.cancel_on_timeout { cancel_reserve(timeout) } else { Duration::ZERO };
        let next_poll = now.saturating_add(first_poll);
        Policy {
            settings,
            known_since: now,
            poll_until: timeout - reserve,
            end: timeout,
            phase: Phase::Polling,
            refused: None,
            next_poll,
            not_before: now,
            second_look: None,
            hearsay: None,
            last_failure: None,
            token_unproven: false,
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What to do at `now`.
    pub(super) fn step(&mut self, now: Duration) -> Step {
        match &self.phase {
            Phase::Polling if now >= self.poll_until => {
                self.polling_time_is_over();
                self.step(now)
            }
            Phase::Polling if self.refused.is_some() => Step::AskForToken { until: self.poll_until },
            Phase::Polling => self.polling_step(now),
            // Half of what is left, so that the last look still fits.
            Phase::Withdrawing(it) => Step::Withdraw { until: now + it.until.saturating_sub(now) / 2 },
            Phase::LastLook(it) => {
                let until = it.until;
                let at = self.second_look.map_or(now, |look| look.at.max(now));
                if at < until {
                    return Step::Poll { at, until, is_second_look: self.second_look.is_some() };
                }
                self.withdrawing_ends();
                self.step(now)
            }
            Phase::Done(_) => Step::Finish,
        }
    }

    fn polling_step(&self, now: Duration) -> Step {
        let until = self.poll_until;
        let is_second_look = self.second_look.is_some();
        let at = match self.second_look {
            Some(look) => Some(look.at.max(now)).filter(|at| *at < until),
            None => self.time_of_next_poll(now),
        };
        at.map_or(Step::Sleep { until }, |at| Step::Poll { at, until, is_second_look })
    }

    /// The next poll in its turn, or, if that lies beyond the end, one shortly before the end, whatever
    /// a server's Retry-After says: an answer that came meanwhile should not be missed. Never sooner
    /// than the minimum interval.
    fn time_of_next_poll(&self, now: Duration) -> Option<Duration> {
        let shortly_before = self.poll_until.saturating_sub((self.end / 8).min(Duration::from_secs(1)));
        let at = if self.next_poll <= shortly_before {
            self.next_poll
        } else {
            self.not_before.max(shortly_before).min(self.next_poll)
        };
        let at = at.max(now);
        (at < self.poll_until).then_some(at)
    }

    /// No token is asked for any more.
    fn polling_time_is_over(&mut self) {
        self.refused = None;
        self.second_look = None;
        self.phase = if self.settings.cancel_on_timeout {
            Phase::Withdrawing(Withdrawal { wish: None, until: self.end, confirmed: false })
        } else {
            Phase::Done(End::DeadlinePassed(Box::new(self.timeout())))
        };
    }

    fn timeout(&self) -> Error {
        match self.last_failure.as_deref() {
            Some(failure) => {
                let text = "no final answer by the call's deadline; the last poll that failed";
                timeout_after(text, failure)
            }
            None => Error::new(Code::Timeout, "no final answer by the call's deadline"),
        }
    }

    /// How the wait ends, once it does.
    pub(super) fn take_end(&mut self) -> End {
        // What is left behind is an end too, and no approval.
        let left = Phase::Done(failed(Error::internal("the wait has ended already")));
        match std::mem::replace(&mut self.phase, left) {
            Phase::Done(end) => end,
            _ => failed(Error::internal("the wait has not ended")),
        }
    }

    /// A poll was answered. Returns whether that is the final answer.
    pub(super) fn answered(&mut self, now: Duration, reading: &Reading, jitter: u64) -> bool {
        self.token_unproven = false;
        self.hearsay = None;
        let Reading::State(state) = reading else {
            self.second_look = Some(SecondLook { at: now, failures: 0 });
            return false;
        };
        self.second_look = None;
        match &mut self.phase {
            Phase::Polling if state.is_final => self.phase = Phase::Done(End::Answer),
            Phase::Polling => {
                self.schedule(now, Duration::ZERO, jitter);
                return false;
            }
            Phase::LastLook(_) if is_decided(state) => self.phase = Phase::Done(End::Answer),
            Phase::LastLook(withdrawal) => {
                match state.decision {
                    Decision::Cancelled => withdrawal.confirmed = true,
                    Decision::Pending | Decision::Unknown => withdrawal.confirmed = false,
                    _ => {}
                }
                self.withdrawing_ends();
                return false;
            }
            Phase::Withdrawing(_) | Phase::Done(_) => return false,
        }
        true
    }

    /// A poll failed, otherwise than by the caller's cancel.
    pub(super) fn failed(&mut self, now: Duration, error: Error, jitter: u64) {
        let is_polling = matches!(self.phase, Phase::Polling);
        if error.code == Code::Timeout {
            return if is_polling { self.polling_time_is_over() } else { self.withdrawing_ends() };
        }
        self.last_failure = Some(Box::new(error.clone()));
        if is_polling && is_refused_token(&error) && self.may_ask_for_token() {
            self.refused = Some(Box::new(error));
            return;
        }
        let may_pass = self.may_pass(now, &error);
        if may_pass && self.look_again(now, &error, jitter) {
            return;
        }
        if !is_polling {
            return self.withdrawing_ends();
        }
        if may_pass {
            return self.schedule(now, self.hold_back(&error), jitter);
        }
        self.phase = Phase::Done(failed(error));
    }

    fn may_pass(&mut self, now: Duration, error: &Error) -> bool {
        if error.is_hearsay {
            return self.hearsay_may_pass(now);
        }
        // Something else has come, unless nothing has.
        if error.http_status.is_some() {
            self.hearsay = None;
        }
        let not_yet = self.known_since.saturating_add(self.settings.not_found_for);
        is_transient(error) || (error.code == Code::TransactionNotFound && now < not_yet)
    }

    fn hearsay_may_pass(&mut self, now: Duration) -> bool {
        let so_far = self.hearsay.unwrap_or(Hearsay { since: now, count: 0 });
        let hearsay = Hearsay { count: so_far.count + 1, ..so_far };
        self.hearsay = Some(hearsay);
        let is_lasting = now.saturating_sub(hearsay.since) >= HEARSAY_TIME.min(self.end / 4);
        !(is_lasting && hearsay.count >= HEARSAY_COUNT)
    }

    /// A second look is outside the schedule: it is repeated soon, each time on a new connection.
    fn look_again(&mut self, now: Duration, error: &Error, jitter: u64) -> bool {
        let Some(look) = self.second_look else { return false };
        let hold = self.hold_back(error).max(retry::backoff(look.failures + 1, jitter));
        self.second_look = Some(SecondLook { at: now.saturating_add(hold), failures: look.failures + 1 });
        true
    }

    /// What the server asked for: the whole of a 429's, which is about this very caller, and of any
    /// other's no more than a few intervals, because it cannot know when the person will answer.
    fn hold_back(&self, error: &Error) -> Duration {
        let asked = error.retry_after.unwrap_or_default();
        if error.http_status == Some(429) { asked } else { asked.min(3 * self.settings.max_interval) }
    }

    /// Nobody with this token is to poll before `until`, but for the last look shortly before the
    /// deadline. Returns whether that puts off a poll that would be made `now`.
    pub(super) fn hold(&mut self, now: Duration, until: Duration, jitter: u64) -> bool {
        if !matches!(self.phase, Phase::Polling) || self.second_look.is_some() {
            return false;
        }
        // Spread: those who were held together do not come together.
        let spread = retry::stretched(self.settings.min_interval, jitter);
        let until = until.saturating_add(spread.saturating_sub(self.settings.min_interval));
        self.next_poll = self.next_poll.max(until);
        self.time_of_next_poll(now).is_none_or(|at| at > now)
    }

    /// With what the token was refused that is to be replaced.
    pub(super) fn refusal(&self) -> Option<&Error> {
        self.refused.as_deref()
    }

    fn may_ask_for_token(&self) -> bool {
        self.settings.has_token_provider && !self.token_unproven
    }

    /// The caller gave a fresh token: what was refused is repeated at once.
    pub(super) fn token_given(&mut self, now: Duration) {
        self.refused = None;
        self.token_unproven = true;
        self.next_poll = now;
        self.not_before = now;
        if let Some(look) = &mut self.second_look {
            look.at = now;
        }
    }

    /// The caller gave none, or one that cannot be used: the wait ends with the refusal, or with
    /// what is wrong with the new token.
    pub(super) fn token_withheld(&mut self, instead: Option<Error>) {
        if let Some(refusal) = self.refused.take() {
            self.phase = Phase::Done(End::Failed(instead.map_or(refusal, Box::new)));
        }
    }

    /// The request to cancel was sent, whatever came of it: the person may have been faster.
    pub(super) fn cancel_sent(&mut self, result: Result<(), Error>) {
        let phase = std::mem::replace(&mut self.phase, Phase::Polling);
        self.phase = match phase {
            Phase::Withdrawing(withdrawal) => {
                let confirmed = match result {
                    Ok(()) => true,
                    Err(error) => error.code == Code::AlreadyCancelled,
                };
                Phase::LastLook(Withdrawal { confirmed, ..withdrawal })
            }
            other => other,
        };
    }

    /// The caller's cancel was triggered, or a callback wants the wait to end. An answer that has been
    /// read stays. Returns whether the wait goes on to withdraw the transaction, by `until` at the
    /// latest, for which the cancel no longer counts, if it is to `withdraw`.
    pub(super) fn stop(&mut self, now: Duration, until: Duration, wish: Error, withdraw: bool) -> bool {
        self.refused = None;
        let until = until.min(self.end);
        let may_withdraw = withdraw && now < until;
        let phase = std::mem::replace(&mut self.phase, Phase::Polling);
        self.phase = match phase {
            Phase::Done(End::DeadlinePassed(error)) => {
                Phase::Done(failed(Error { withdrawn: error.withdrawn, ..wish }))
            }
            Phase::Done(end) => Phase::Done(end),
            // Wished for before.
            Phase::Withdrawing(it) if it.wish.is_some() => Phase::Withdrawing(it),
            Phase::LastLook(it) if it.wish.is_some() => Phase::LastLook(it),
            Phase::LastLook(it) if may_withdraw => {
                Phase::LastLook(Withdrawal { wish: Some(Box::new(wish)), until: until.min(it.until), ..it })
            }
            Phase::Polling | Phase::Withdrawing(_) if may_withdraw => {
                self.second_look = None;
                Phase::Withdrawing(Withdrawal { wish: Some(Box::new(wish)), until, confirmed: false })
            }
            Phase::LastLook(it) => Phase::Done(failed(Error { withdrawn: it.confirmed, ..wish })),
            Phase::Polling | Phase::Withdrawing(_) => Phase::Done(failed(wish)),
        };
        matches!(self.phase, Phase::Withdrawing(_) | Phase::LastLook(_))
    }

    fn withdrawing_ends(&mut self) {
        let phase = std::mem::replace(&mut self.phase, Phase::Polling);
        self.phase = match phase {
            Phase::Withdrawing(it) | Phase::LastLook(it) => {
                let withdrawn = it.confirmed;
                Phase::Done(match it.wish {
                    Some(wish) => failed(Error { withdrawn, ..*wish }),
                    None => End::DeadlinePassed(Box::new(Error { withdrawn, ..self.timeout() })),
                })
            }
            other => other,
        };
    }

    /// The next poll: after a tenth of the time that the person has had, and never sooner than the
    /// minimum, so that an early answer is learned early; and spread, so that those who began
    /// together do not stay together.
    fn schedule(&mut self, now: Duration, hold: Duration, jitter: u64) {
        let Settings { min_interval, max_interval, .. } = self.settings;
        let interval = min_interval.max(now.saturating_sub(self.known_since) / 10);
        let spread = retry::stretched(interval, jitter).min(max_interval);
        self.not_before = now.saturating_add(min_interval);
        self.next_poll = now.saturating_add(spread.max(hold));
    }
}

fn failed(error: Error) -> End {
    End::Failed(Box::new(error))
}

/// The deadline's error tells what the call met before.
pub(super) fn timeout_after(text: &str, failure: &Error) -> Error {
    Error {
        http_status: failure.http_status,
        provider_code: failure.provider_code,
        retry_after: failure.retry_after,
        os_error: failure.os_error,
        ..Error::new(Code::Timeout, format!("{text} met {failure}"))
    }
}

/// Our own cancel is no decision of the person's; what came before it is.
fn is_decided(state: &State) -> bool {
    matches!(state.decision, Decision::Approved(_) | Decision::Denied | Decision::Expired)
}

/// Whether a fresh token may help.
pub(super) fn is_refused_token(error: &Error) -> bool {
    matches!(error.code, Code::TokenExpired | Code::TokenInvalid)
}

/// The last part of a deadline that `cancel_on_timeout` keeps for itself.
fn cancel_reserve(timeout: Duration) -> Duration {
    (timeout / 4).min(Duration::from_secs(5))
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
