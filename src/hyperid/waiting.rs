//! How a wait goes: asking, polling, tokens, withdrawing. Written once, for blocking calls and for waiters.

use std::ops::ControlFlow;
use std::time::Duration;

use super::{HyperId, Transaction, answer, request};
use crate::call::{Call, Sending, cancelled, repeatable};
use crate::clock::Instant;
use crate::error::{Code, Error};
use crate::http::{Grace, Reuse};
use crate::hyperid::decision::{Decision, Look, Reading, State};
use crate::hyperid::policy::{End, Policy, Settings, Step, WITHDRAW_TIME, is_refused_token, timeout_after};
use crate::hyperid::wait::WaitEnd;
use crate::options::LogLevel;
use crate::retry;
use crate::secret::Secret;
use crate::sys;

/// A provider's machines may not all know at once of a transaction that one of them has started.
const NOT_FOUND_AFTER_START: Duration = Duration::from_secs(5);

/// Whom a wait tells how it goes, and asks for tokens.
pub(super) trait Listener {
    /// Sees what is known so far, which may be the final answer; `Break` ends the wait.
    fn update(&mut self, so_far: &Transaction, is_final: bool) -> ControlFlow<()>;

    /// Whether a start is under way, or has ended without anybody knowing what came of it.
    fn start_is_open(&mut self, _is_open: bool) {}

    /// Until when polls with this token hold back, because the server asked others to.
    fn held_until(&self, _token: &Secret) -> Option<Instant> {
        None
    }

    /// A poll with this token was answered, or failed.
    fn polled(&mut self, _token: &Secret, _error: Option<&Error>) {}

    /// A token that was given unasked, for the next exchange.
    fn given_token(&mut self) -> Option<Secret> {
        None
    }

    /// Gives a fresh token after `refusal`, or none.
    async fn fresh_token(&mut self, so_far: &Transaction, refusal: &Error, until: Instant) -> FreshToken;
}

/// What came of asking for a token.
pub(super) enum FreshToken {
    Given(Secret),
    /// It cannot be used.
    Bad(Error),
    /// There is none.
    Withheld,
    /// The wait ends, or its time is over, before there is one.
    TooLate,
}

/// A wait under way: the thin loop around the policy.
pub(super) struct Waiting<'a, L> {
    pub(super) client: &'a HyperId,
    pub(super) call: Call<'a>,
    pub(super) listener: L,
    pub(super) token: Secret,
    /// Asked from when the id is known.
    policy: Policy,
    transaction: Transaction,
    /// The cancel came while start's answer was waited for: all that follows ends by then.
    grace_until: Option<Instant>,
}

impl<'a, L: Listener> Waiting<'a, L> {
    pub(super) fn new(
        client: &'a HyperId,
        call: Call<'a>,
        settings: Settings,
        listener: L,
        token: Secret,
    ) -> Self {
        // As for a transaction that was started before.
        let policy =
            Policy::new(settings, settings.first_poll.unwrap_or_default(), Duration::ZERO, call.timeout());
        let transaction = Transaction::default();
        Waiting { client, call, listener, token, policy, transaction, grace_until: None }
    }

    /// Waits for the answer to the transaction of this id.
    pub(super) async fn wait(&mut self, id: i64) -> WaitEnd {
        let result = match request::check_id(id) {
            Ok(()) => {
                self.transaction.transaction_id = id;
                self.poll_for_answer().await.map_err(repeatable)
            }
            refused => refused,
        };
        self.end(result)
    }

    /// Asks, and waits for the answer; `body` is start's.
    pub(super) async fn confirm(&mut self, body: Vec<u8>) -> WaitEnd {
        let result = self.start_and_poll(body).await;
        self.end(result)
    }

    async fn start_and_poll(&mut self, body: Vec<u8>) -> Result<(), Error> {
        self.call.take_turn(false, self.call.until, Reuse::Allowed).await;
        if !Box::pin(self.is_available()).await? {
            let text = "the person has not linked the authenticator app";
            return Err(Error::new(Code::AuthenticatorNotLinked, text));
        }
        self.call.take_turn(true, self.call.until, Reuse::Allowed).await;
        let id = Box::pin(self.start(&body)).await?;
        drop(body);
        self.transaction.transaction_id = id;
        self.transaction.decision = Decision::Pending;
        let settings = Settings { not_found_for: NOT_FOUND_AFTER_START, ..*self.policy.settings() };
        let first_poll = settings.first_poll.unwrap_or(settings.min_interval);
        self.policy = Policy::new(settings, first_poll, self.now(), self.call.timeout());
        if self.update(false).is_break() {
            self.stop(ended_by_callback());
        }
        self.poll_for_answer().await
    }

    async fn is_available(&mut self) -> Result<bool, Error> {
        self.take_given_token();
        let refusal = match self.ask_availability(Reuse::Allowed).await {
            Err(error) if is_refused_token(&error) => error,
            other => return other,
        };
        self.replace_token(refusal).await?;
        self.ask_availability(Reuse::Allowed).await
    }

    /// Asks for a token in place of the one that was refused, which it returns; fails where there is none.
    async fn replace_token(&mut self, refusal: Error) -> Result<Secret, Error> {
        let until = self.call.until;
        let refusal = self.call.complete(refusal);
        match self.listener.fresh_token(&self.transaction, &refusal, until).await {
            FreshToken::Given(token) => Ok(std::mem::replace(&mut self.token, token)),
            FreshToken::Bad(error) => Err(error),
            FreshToken::Withheld => Err(refusal),
            FreshToken::TooLate if self.call.is_cancelled() => Err(cancelled("asking for a token")),
            FreshToken::TooLate => {
                Err(timeout_after("no other token by the call's deadline; the one before", &refusal))
            }
        }
    }

    fn take_given_token(&mut self) {
        if let Some(token) = self.listener.given_token() {
            self.token = token;
        }
    }

    async fn ask_availability(&mut self, reuse: Reuse) -> Result<bool, Error> {
        let request = self.client.request(&self.client.availability, &self.token, request::EMPTY);
        self.call.ask_patiently(&request, reuse, answer::available).await
    }

    /// Starts, and once more where the provider itself refused nothing but the token.
    async fn start(&mut self, body: &[u8]) -> Result<i64, Error> {
        // Not between a refusal and what follows from it: that is about one token.
        self.take_given_token();
        let (started, was_reused) = self.start_once(body).await;
        let refusal = match started {
            Err(error) if is_refused_token(&error) && answer::is_refusal(&error) => error,
            other => return other,
        };
        if !self.policy.settings().has_token_provider {
            return Err(refusal);
        }
        if self.call.is_cancelled() {
            return Err(cancelled("asking"));
        }
        if was_reused && !self.token_is_refused_again().await {
            // The refusal may have been meant for an earlier request, and this one carried out: its
            // answer is still to come.
            self.listener.start_is_open(true);
            self.client.http.slipped();
            return Err(Error { outcome_unknown: true, retryable: false, ..self.ended_meanwhile(refusal) });
        }
        let refused = self.replace_token(refusal.clone()).await?;
        if self.token.expose() == refused.expose() {
            return Err(refusal);
        }
        self.start_once(body).await.0
    }

    /// Why the call ends: the caller's wish and the deadline go before what was refused.
    fn ended_meanwhile(&self, refusal: Error) -> Error {
        if self.call.is_cancelled() {
            return cancelled("asking");
        }
        if Instant::now() < self.call.until {
            return refusal;
        }
        timeout_after("the call's deadline passed while asking, which", &refusal)
    }

    /// Starts; also tells whether the connection had served before.
    async fn start_once(&mut self, body: &[u8]) -> (Result<i64, Error>, bool) {
        let grace = Grace { time: WITHDRAW_TIME, unasked: self.policy.settings().withdraw_on_cancel };
        let sending = Sending { grace: Some(grace), ..Sending::by(self.call.until) };
        self.listener.start_is_open(true);
        let started = self.client.start_once(&mut self.call, &self.token, body, sending).await;
        self.listener.start_is_open(started.result.as_ref().is_err_and(|error| error.outcome_unknown));
        self.grace_until = started.grace_until;
        let result = started.result.map_err(|error| match started.grace_until {
            // What was waited for after the cancel does not change how the call ends.
            Some(_) if error.code != Code::Cancelled => {
                Error { code: Code::Cancelled, message: format!("cancelled while asking; {error}"), ..error }
            }
            _ => error,
        });
        (result, started.reused)
    }

    /// Whether the provider refuses the token also where no earlier answer can have slipped in.
    async fn token_is_refused_again(&mut self) -> bool {
        match self.ask_availability(Reuse::Forbidden).await {
            Err(error) => is_refused_token(&error) && answer::is_refusal(&error),
            Ok(_) => false,
        }
    }

    async fn poll_for_answer(&mut self) -> Result<(), Error> {
        loop {
            if self.call.is_cancelled() {
                self.stop(cancelled("waiting for the answer"));
            }
            match self.policy.step(self.now()) {
                Step::Poll { at, until, is_second_look } => {
                    let look = if is_second_look { Look::Second } else { Look::First };
                    self.poll(at, until, look).await;
                }
                Step::Sleep { until } => {
                    self.sleep(until).await;
                }
                Step::AskForToken { until } => Box::pin(self.ask_for_token(until)).await,
                Step::Withdraw { until } => {
                    self.call.take_turn(true, self.instant(until), Reuse::Allowed).await;
                    Box::pin(self.cancel(until)).await;
                }
                Step::Finish => {
                    let end = self.policy.take_end();
                    return self.ended(end);
                }
            }
        }
    }

    fn ended(&self, end: End) -> Result<(), Error> {
        match end {
            End::Answer => Ok(()),
            End::Failed(error) => Err(*error),
            // Whoever finds both the cancel and the deadline past says "cancelled".
            End::DeadlinePassed(error) if self.call.is_cancelled() => {
                Err(Error { withdrawn: error.withdrawn, ..cancelled("waiting for the answer") })
            }
            End::DeadlinePassed(error) => Err(*error),
        }
    }

    async fn poll(&mut self, at: Duration, until: Duration, look: Look) {
        if !self.sleep(at).await {
            return;
        }
        self.call.take_turn(false, self.instant(until), reuse(look)).await;
        // Others may have been told to hold back while this one waited for its turn.
        if self.is_held() {
            return self.call.leave_turn();
        }
        self.transaction.polls = self.transaction.polls.saturating_add(1);
        let is_final = match Box::pin(self.ask_status(until, look)).await {
            Ok(reading) => {
                if let Reading::State(state) = &reading {
                    self.record(state);
                }
                self.policy.answered(self.now(), &reading, retry::jitter())
            }
            Err(error) if error.code == Code::Cancelled => return self.stop(error),
            Err(error) => {
                self.call.log(LogLevel::Warn, format_args!("a poll failed: {error}"));
                self.policy.failed(self.now(), error, retry::jitter());
                false
            }
        };
        // An answer that has been read wins over the callback's wish to end.
        if self.update(is_final).is_break() && !is_final {
            self.stop(ended_by_callback());
        }
    }

    /// Whether the poll is put off.
    fn is_held(&mut self) -> bool {
        self.take_given_token();
        let Some(until) = self.listener.held_until(&self.token) else { return false };
        self.policy.hold(self.now(), until.saturating_duration_since(self.call.start), retry::jitter())
    }

    async fn ask_status(&mut self, until: Duration, look: Look) -> Result<Reading, Error> {
        let id = self.transaction.transaction_id;
        let sending = Sending { reuse: reuse(look), ..Sending::by(self.instant(until)) };
        let body = request::transaction_id(id)?;
        let request = self.client.request(&self.client.status, &self.token, &body);
        let polled = self.call.ask(&request, sending, |answer| answer::polled(answer, id, look)).await;
        self.listener.polled(&self.token, polled.as_ref().err());
        polled
    }

    /// The caller wants the wait to end; it may go on to withdraw the transaction.
    fn stop(&mut self, wish: Error) {
        let now = self.now();
        let until = match self.grace_until {
            Some(until) => until.saturating_duration_since(self.call.start),
            None => now.saturating_add(WITHDRAW_TIME),
        };
        let withdraw = self.policy.settings().withdraw_on_cancel || self.call.withdraws();
        if self.policy.stop(now, until, wish, withdraw) {
            self.call.cancel = None;
        }
    }

    fn record(&mut self, state: &State) {
        let known = &self.transaction;
        self.transaction = Transaction::read(known.transaction_id, state, known.polls, self.now());
    }

    /// Whether it slept that long.
    async fn sleep(&mut self, until: Duration) -> bool {
        let Err(error) = self.call.sleep_until(self.instant(until)).await else { return true };
        match error.code {
            Code::Cancelled => self.stop(error),
            _ => self.policy.failed(self.now(), error, 0),
        }
        false
    }

    async fn ask_for_token(&mut self, until: Duration) {
        let Some(refusal) = self.policy.refusal().cloned() else { return };
        let refusal = self.call.complete(refusal);
        let until = self.instant(until);
        match self.listener.fresh_token(&self.transaction, &refusal, until).await {
            FreshToken::Given(token) => {
                self.token = token;
                self.policy.token_given(self.now());
            }
            FreshToken::Bad(error) => self.policy.token_withheld(Some(error)),
            FreshToken::Withheld => self.policy.token_withheld(None),
            // What ends it is looked at next.
            FreshToken::TooLate => {}
        }
    }

    async fn cancel(&mut self, until: Duration) {
        self.take_given_token();
        let id = self.transaction.transaction_id;
        let sending = Sending::by(self.instant(until));
        match self.client.cancel_once(&mut self.call, &self.token, id, sending).await {
            Err(error) if error.code == Code::Cancelled => self.stop(error),
            result => self.policy.cancel_sent(result),
        }
    }

    fn update(&mut self, is_final: bool) -> ControlFlow<()> {
        self.transaction.elapsed = self.call.start.elapsed();
        self.listener.update(&self.transaction, is_final)
    }

    fn now(&self) -> Duration {
        self.call.start.elapsed()
    }

    fn instant(&self, since_start: Duration) -> Instant {
        sys::instant_after(self.call.start, since_start)
    }

    fn end(&mut self, result: Result<(), Error>) -> WaitEnd {
        self.transaction.elapsed = self.call.start.elapsed();
        let result = result.map_err(|error| self.call.finish(error));
        if result.is_err() && self.transaction.decision.is_approved() {
            // No path leads here; if one ever does, it must not look like an approval.
            self.transaction.decision = Decision::None;
        }
        WaitEnd { transaction: self.transaction, result }
    }
}

fn reuse(look: Look) -> Reuse {
    match look {
        Look::First => Reuse::Allowed,
        Look::Second => Reuse::Forbidden,
    }
}

fn ended_by_callback() -> Error {
    Error::new(Code::Cancelled, "on_update ended the wait")
}
