//! When to poll, what to ride out, when to give up. Pure: time comes in as a duration since the
//! start of the call, so that tests run it on a simulated clock.

use std::time::Duration;

use crate::error::{Code, Error};
use crate::hyperid::decision::State;
use crate::retry::{is_transient, with_jitter};

/// What the caller of a wait can set, with the defaults filled in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) first_poll: Duration,
    pub(super) min_interval: Duration,
    pub(super) max_interval: Duration,
    pub(super) cancel_on_timeout: bool,
    pub(super) has_token_provider: bool,
}

/// What to do next. Times are durations since the start of the call.
#[derive(Debug)]
pub(super) enum Step {
    /// Sleep until `at`, then ask for the state; the answer must be there by `until`.
    Poll { at: Duration, until: Duration },
    /// Sleep until `until`; no other poll fits before it.
    Sleep { until: Duration },
    /// Ask the caller for a fresh token.
    AskForToken,
    /// Cancel the transaction, by `until`.
    Cancel { until: Duration },
    /// The wait is over.
    Finish(End),
}

/// How a wait ends.
#[derive(Debug)]
pub(super) enum End {
    /// With the answer that was read last.
    Answer,
    /// With this error.
    Failed(Error),
    /// At the deadline.
    DeadlinePassed,
}

#[derive(Debug)]
enum Phase {
    Polling,
    Cancelling,
    LastLook,
    Done(End),
}

/// The course of one wait.
#[derive(Debug)]
pub(super) struct Policy {
    settings: Settings,
    /// The end of polling; the rest, up to `end`, is kept for cancelling.
    poll_until: Duration,
    end: Duration,
    phase: Phase,
    /// The token was refused with this; the caller is to be asked for another.
    refused: Option<Error>,
    next_poll: Duration,
    /// No poll before this, whatever the deadline.
    not_before: Duration,
    interval: Duration,
    /// A fresh token has been given and no poll has proved it yet.
    token_unproven: bool,
}

impl Policy {
    /// A wait that begins `now` and must end at `end`. `timeout` is the whole call's.
    pub(super) fn new(settings: Settings, now: Duration, timeout: Duration) -> Self {
        let reserve = if settings.cancel_on_timeout { cancel_reserve(timeout) } else { Duration::ZERO };
        let next_poll = now.saturating_add(settings.first_poll);
        Policy {
            settings,
            poll_until: timeout - reserve,
            end: timeout,
            phase: Phase::Polling,
            refused: None,
            next_poll,
            not_before: next_poll,
            interval: settings.min_interval,
            token_unproven: false,
        }
    }

    /// What to do at `now`.
    pub(super) fn step(&mut self, now: Duration) -> Step {
        if self.refused.is_some() {
            return Step::AskForToken;
        }
        match &self.phase {
            Phase::Polling => self.polling_step(now),
            Phase::Cancelling => Step::Cancel { until: now + self.end.saturating_sub(now) / 2 },
            Phase::LastLook => Step::Poll { at: now, until: self.end },
            Phase::Done(_) => Step::Finish(self.take_end()),
        }
    }

    fn polling_step(&mut self, now: Duration) -> Step {
        if now >= self.poll_until {
            self.polling_time_is_over();
            return self.step(now);
        }
        match self.time_of_next_poll(now) {
            Some(at) => Step::Poll { at, until: self.poll_until },
            None => Step::Sleep { until: self.poll_until },
        }
    }

    /// The next poll in its turn, or, if that lies beyond the end, one shortly before the end: an
    /// answer that came meanwhile should not be missed. Never sooner than the minimum interval.
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

    fn polling_time_is_over(&mut self) {
        self.phase = if self.settings.cancel_on_timeout {
            Phase::Cancelling
        } else {
            Phase::Done(End::DeadlinePassed)
        };
    }

    fn take_end(&mut self) -> End {
        match std::mem::replace(&mut self.phase, Phase::Done(End::DeadlinePassed)) {
            Phase::Done(end) => end,
            _ => End::DeadlinePassed,
        }
    }

    /// A poll was answered with `state`. Returns whether the wait ends with it.
    pub(super) fn answered(&mut self, now: Duration, state: &State, jitter: u64) -> bool {
        self.token_unproven = false;
        if matches!(self.phase, Phase::LastLook) {
            // Our own cancel is no decision of the person's; what came before it is.
            let decided = matches!(state.raw_status, 1 | 2);
            self.phase = Phase::Done(if decided { End::Answer } else { End::DeadlinePassed });
            return decided;
        }
        if state.is_final {
            self.phase = Phase::Done(End::Answer);
            return true;
        }
        self.schedule(now, None, jitter);
        false
    }

    /// A poll failed.
    pub(super) fn failed(&mut self, now: Duration, error: Error, jitter: u64) {
        if error.code == Code::Cancelled {
            self.phase = Phase::Done(End::Failed(error));
            return;
        }
        if is_refused_token(&error) && self.may_ask_for_token() {
            self.refused = Some(error);
            return;
        }
        if matches!(self.phase, Phase::LastLook) {
            self.phase = Phase::Done(End::DeadlinePassed);
            return;
        }
        match error.code {
            Code::Timeout => self.polling_time_is_over(),
            _ if is_transient(&error) => self.schedule(now, error.retry_after, jitter),
            _ => self.phase = Phase::Done(End::Failed(error)),
        }
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
    }

    /// The caller gave none, or one that cannot be used: polling ends with the refusal, or with
    /// what is wrong with the new token; what comes after the deadline goes on without.
    pub(super) fn token_withheld(&mut self, instead: Option<Error>) {
        let Some(refusal) = self.refused.take() else { return };
        self.phase = match self.phase {
            Phase::Polling => Phase::Done(End::Failed(instead.unwrap_or(refusal))),
            Phase::Cancelling => Phase::LastLook,
            Phase::LastLook | Phase::Done(_) => Phase::Done(End::DeadlinePassed),
        };
    }

    /// The request to cancel was sent, whatever came of it: the person may have been faster.
    pub(super) fn cancel_sent(&mut self, error: Option<Error>) {
        self.phase = match error {
            Some(error) if error.code == Code::Cancelled => Phase::Done(End::Failed(error)),
            Some(error) if is_refused_token(&error) && self.may_ask_for_token() => {
                self.refused = Some(error);
                return;
            }
            _ => Phase::LastLook,
        };
    }

    /// The caller's cancel was triggered, or a callback wants the wait to end. An end that is
    /// already reached stays.
    pub(super) fn stop(&mut self, error: Error) {
        if !matches!(self.phase, Phase::Done(_)) {
            self.refused = None;
            self.phase = Phase::Done(End::Failed(error));
        }
    }

    fn schedule(&mut self, now: Duration, retry_after: Option<Duration>, jitter: u64) {
        let Settings { min_interval, max_interval, .. } = self.settings;
        let spread = with_jitter(self.interval + self.interval / 4, jitter);
        let floor = retry_after.unwrap_or_default().max(min_interval);
        self.not_before = now.saturating_add(floor);
        self.next_poll = now.saturating_add(spread.min(max_interval).max(floor));
        self.interval = (self.interval + self.interval / 5).min(max_interval);
    }
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
