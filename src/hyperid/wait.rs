//! Waiting for the person: the thin loop around the policy.

use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::{HyperId, Transaction, answer, request};
use crate::call::{Call, Sending, cancelled, repeatable};
use crate::error::{Code, Error, Provider};
use crate::http::Reuse;
use crate::hyperid::decision::{Decision, Look, Reading, State};
use crate::hyperid::policy::{End, Policy, Settings, Step, WITHDRAW_TIME, is_refused_token};
use crate::hyperid::request::Request;
use crate::options::{CallOptions, LogLevel};
use crate::retry;
use crate::secret::Secret;
use crate::sys;

/// A person needs time to find the phone.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
const DEFAULT_MIN_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_MAX_INTERVAL: Duration = Duration::from_secs(10);

/// A provider's machines may not all know at once of a transaction that one of them has started.
const NOT_FOUND_AFTER_START: Duration = Duration::from_secs(5);
/// The same for one that was started elsewhere, a moment ago perhaps.
const NOT_FOUND_IN_WAIT: Duration = Duration::from_secs(2);

/// Longer than any deadline can be, and far from where sums overflow.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// Called after each poll with what is known so far; `Break` ends the wait.
pub type OnUpdate<'a> = &'a mut dyn FnMut(&Transaction) -> ControlFlow<()>;

/// Called when the token was refused: a fresh one, or `None` to give up.
pub type TokenProvider<'a> = &'a mut dyn FnMut() -> Option<Zeroizing<String>>;

/// How to wait: `WaitOptions::new()`, and a setter for each field.
#[derive(Default)]
#[non_exhaustive]
#[must_use = "options do nothing until they are given to a call"]
pub struct WaitOptions<'a> {
    /// Delay of the first poll; `None`: `wait` polls at once, `confirm` after `min_interval`.
    pub first_poll: Option<Duration>,
    /// The least time between polls; `None`: 1 s.
    pub min_interval: Option<Duration>,
    /// The most; `None`: 10 s, or the minimum if that is more. In between, polls come after a tenth
    /// of the time for which the call has known the id, and up to a quarter more at random.
    pub max_interval: Option<Duration>,
    /// Shortly before the deadline, withdraw the transaction: cancel it, and read its state once more.
    /// The last 5 s of the deadline, or its last quarter if that is less, are kept for it.
    pub cancel_on_timeout: bool,
    /// When the caller's cancel or `on_update` ends the wait, withdraw the transaction first, within
    /// 2 s. A decision read then is returned as the answer.
    pub withdraw_on_cancel: bool,
    /// Sees each update.
    pub on_update: Option<OnUpdate<'a>>,
    /// Gives a fresh token.
    pub access_token_provider: Option<TokenProvider<'a>>,
}

impl<'a> WaitOptions<'a> {
    /// The defaults.
    pub fn new() -> Self {
        WaitOptions::default()
    }

    /// Sets [`first_poll`](field@Self::first_poll).
    pub fn first_poll(mut self, first_poll: Duration) -> Self {
        self.first_poll = Some(first_poll);
        self
    }

    /// Sets [`min_interval`](field@Self::min_interval).
    pub fn min_interval(mut self, min_interval: Duration) -> Self {
        self.min_interval = Some(min_interval);
        self
    }

    /// Sets [`max_interval`](field@Self::max_interval).
    pub fn max_interval(mut self, max_interval: Duration) -> Self {
        self.max_interval = Some(max_interval);
        self
    }

    /// Sets [`cancel_on_timeout`](field@Self::cancel_on_timeout).
    pub fn cancel_on_timeout(mut self, cancel_on_timeout: bool) -> Self {
        self.cancel_on_timeout = cancel_on_timeout;
        self
    }

    /// Sets [`withdraw_on_cancel`](field@Self::withdraw_on_cancel).
    pub fn withdraw_on_cancel(mut self, withdraw_on_cancel: bool) -> Self {
        self.withdraw_on_cancel = withdraw_on_cancel;
        self
    }

    /// Sets [`on_update`](field@Self::on_update).
    pub fn on_update(mut self, on_update: OnUpdate<'a>) -> Self {
        self.on_update = Some(on_update);
        self
    }

    /// Sets [`access_token_provider`](field@Self::access_token_provider).
    pub fn access_token_provider(mut self, access_token_provider: TokenProvider<'a>) -> Self {
        self.access_token_provider = Some(access_token_provider);
        self
    }
}

impl fmt::Debug for WaitOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitOptions")
            .field("first_poll", &self.first_poll)
            .field("min_interval", &self.min_interval)
            .field("max_interval", &self.max_interval)
            .field("cancel_on_timeout", &self.cancel_on_timeout)
            .field("withdraw_on_cancel", &self.withdraw_on_cancel)
            .finish_non_exhaustive()
    }
}

/// How a wait ended: what is known of the transaction, and whether that is an answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct WaitEnd {
    /// What was known last. An approval stands here only beside `Ok`.
    pub transaction: Transaction,
    /// `Ok`: `transaction` holds the final answer.
    pub result: Result<(), Error>,
}

impl HyperId {
    /// Waits for the person's answer to a transaction.
    pub fn wait(
        &self,
        access_token: &str,
        transaction_id: i64,
        wait: &mut WaitOptions<'_>,
        options: &CallOptions<'_>,
    ) -> WaitEnd {
        let mut end =
            self.run(access_token, wait, options, |waiting| waiting.wait(transaction_id).map_err(repeatable));
        // Also where the wait did not begin: the caller's record stays whole.
        end.transaction.transaction_id = transaction_id.max(0);
        end
    }

    /// The whole story: whether the person may be asked, asking, and waiting for the answer.
    ///
    /// For a person without the app: `Code::AuthenticatorNotLinked`, and no push.
    pub fn confirm(
        &self,
        access_token: &str,
        request: &Request<'_>,
        wait: &mut WaitOptions<'_>,
        options: &CallOptions<'_>,
    ) -> WaitEnd {
        self.run(access_token, wait, options, |waiting| waiting.start_and_poll(request))
    }

    fn run(
        &self,
        access_token: &str,
        wait: &mut WaitOptions<'_>,
        options: &CallOptions<'_>,
        work: impl FnOnce(&mut Waiting<'_, '_, '_>) -> Result<(), Error>,
    ) -> WaitEnd {
        let call = Call::new(&self.http, Provider::HyperId, options, DEFAULT_TIMEOUT);
        let checked = settings(wait)
            .and_then(|settings| Ok((settings, Secret::header_material("access_token", access_token)?)));
        let (settings, token) = match checked {
            Ok(checked) => checked,
            Err(error) => {
                return WaitEnd { transaction: Transaction::default(), result: Err(call.finish(error)) };
            }
        };
        let transaction = Transaction::default();
        let mut waiting =
            Waiting { client: self, call, settings, options: wait, token, transaction, grace_until: None };
        let result = work(&mut waiting);
        waiting.end(result)
    }
}

fn settings(wait: &WaitOptions<'_>) -> Result<Settings, Error> {
    let min_interval = wait.min_interval.unwrap_or(DEFAULT_MIN_INTERVAL).min(LONGEST);
    let max_interval = wait.max_interval.unwrap_or(DEFAULT_MAX_INTERVAL.max(min_interval)).min(LONGEST);
    if max_interval < min_interval {
        return Err(Error::argument("`max_interval_ms` is below `min_interval_ms`"));
    }
    Ok(Settings {
        first_poll: wait.first_poll.unwrap_or_default().min(LONGEST),
        min_interval,
        max_interval,
        cancel_on_timeout: wait.cancel_on_timeout,
        withdraw_on_cancel: wait.withdraw_on_cancel,
        has_token_provider: wait.access_token_provider.is_some(),
        not_found_for: NOT_FOUND_IN_WAIT,
    })
}

/// A wait under way.
struct Waiting<'a, 'w, 'o> {
    client: &'a HyperId,
    call: Call<'a>,
    settings: Settings,
    options: &'w mut WaitOptions<'o>,
    token: Secret,
    transaction: Transaction,
    /// The cancel came while start's answer was waited for: all that follows ends by then.
    grace_until: Option<Instant>,
}

impl Waiting<'_, '_, '_> {
    fn wait(&mut self, id: i64) -> Result<(), Error> {
        let body = request::transaction_id(id)?;
        self.transaction.transaction_id = id;
        // The id is known since the call began.
        let policy = Policy::new(self.settings, Duration::ZERO, self.call.timeout());
        self.poll_for(policy, &body)
    }

    fn start_and_poll(&mut self, request: &Request<'_>) -> Result<(), Error> {
        let body = request::start(request)?;
        if !self.is_available()? {
            let text = "the person has not linked the authenticator app";
            return Err(Error::new(Code::AuthenticatorNotLinked, text));
        }
        let id = self.start(&body)?;
        let body = request::transaction_id(id)?;
        self.transaction.transaction_id = id;
        self.transaction.decision = Decision::Pending;
        let first_poll =
            self.options.first_poll.map_or(self.settings.min_interval, |_| self.settings.first_poll);
        let settings = Settings { first_poll, not_found_for: NOT_FOUND_AFTER_START, ..self.settings };
        let mut policy = Policy::new(settings, self.now(), self.call.timeout());
        if self.update().is_break() {
            self.stop(&mut policy, ended_by_callback());
        }
        self.poll_for(policy, &body)
    }

    fn is_available(&mut self) -> Result<bool, Error> {
        let first = self.ask_availability(Reuse::Allowed);
        match first {
            Err(error) if is_refused_token(&error) => match self.fresh_token() {
                None => Err(error),
                Some(token) => {
                    self.token = token?;
                    self.ask_availability(Reuse::Allowed)
                }
            },
            other => other,
        }
    }

    fn ask_availability(&mut self, reuse: Reuse) -> Result<bool, Error> {
        let request = self.client.request(&self.client.availability, &self.token, request::EMPTY);
        self.call.ask_patiently(&request, reuse, answer::available)
    }

    /// Starts, and once more where the provider itself refused nothing but the token.
    fn start(&mut self, body: &[u8]) -> Result<i64, Error> {
        let (started, was_reused) = self.start_once(body);
        let refusal = match started {
            Err(error) if is_refused_token(&error) && answer::is_refusal(&error) => error,
            other => return other,
        };
        if self.options.access_token_provider.is_none() {
            return Err(refusal);
        }
        if self.call.is_cancelled() {
            return Err(cancelled("asking"));
        }
        if was_reused && !self.token_is_refused_again() {
            // The refusal may have been meant for an earlier request, and this one carried out: its
            // answer is still to come.
            self.client.http.slipped();
            return Err(Error { outcome_unknown: true, retryable: false, ..refusal });
        }
        match self.fresh_token() {
            None => Err(refusal),
            Some(Err(error)) => Err(error),
            Some(Ok(token)) if token.expose() == self.token.expose() => Err(refusal),
            Some(Ok(token)) => {
                self.token = token;
                self.start_once(body).0
            }
        }
    }

    /// Starts; also tells whether the connection had served before.
    fn start_once(&mut self, body: &[u8]) -> (Result<i64, Error>, bool) {
        let grace = self.settings.withdraw_on_cancel.then_some(WITHDRAW_TIME);
        let sending = Sending { grace, ..Sending::by(self.call.until) };
        let started = self.client.start_once(&mut self.call, &self.token, body, sending);
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
    fn token_is_refused_again(&mut self) -> bool {
        match self.ask_availability(Reuse::Forbidden) {
            Err(error) => is_refused_token(&error) && answer::is_refusal(&error),
            Ok(_) => false,
        }
    }

    fn poll_for(&mut self, mut policy: Policy, body: &[u8]) -> Result<(), Error> {
        loop {
            if self.call.is_cancelled() {
                self.stop(&mut policy, cancelled("waiting for the answer"));
            }
            match policy.step(self.now()) {
                Step::Poll { at, until, is_second_look } => {
                    let look = if is_second_look { Look::Second } else { Look::First };
                    self.poll(&mut policy, body, at, until, look);
                }
                Step::Sleep { until } => {
                    self.sleep(&mut policy, until);
                }
                Step::AskForToken => self.ask_for_token(&mut policy),
                Step::Withdraw { until } => self.cancel(&mut policy, until),
                Step::Finish(End::Answer) => return Ok(()),
                Step::Finish(End::Failed(error)) => return Err(error),
                // Whoever finds both the cancel and the deadline past says "cancelled".
                Step::Finish(End::DeadlinePassed(error)) if self.call.is_cancelled() => {
                    return Err(Error { withdrawn: error.withdrawn, ..cancelled("waiting for the answer") });
                }
                Step::Finish(End::DeadlinePassed(error)) => return Err(error),
            }
        }
    }

    fn poll(&mut self, policy: &mut Policy, body: &[u8], at: Duration, until: Duration, look: Look) {
        if !self.sleep(policy, at) {
            return;
        }
        self.transaction.polls = self.transaction.polls.saturating_add(1);
        let is_final = match self.ask_status(body, until, look) {
            Ok(reading) => {
                if let Reading::State(state) = &reading {
                    self.record(state);
                }
                policy.answered(self.now(), &reading, retry::jitter())
            }
            Err(error) if error.code == Code::Cancelled => return self.stop(policy, error),
            Err(error) => {
                self.call.log(LogLevel::Warn, format_args!("a poll failed: {error}"));
                policy.failed(self.now(), error, retry::jitter());
                false
            }
        };
        // An answer that has been read wins over the callback's wish to end.
        if self.update().is_break() && !is_final {
            self.stop(policy, ended_by_callback());
        }
    }

    fn ask_status(&mut self, body: &[u8], until: Duration, look: Look) -> Result<Reading, Error> {
        let id = self.transaction.transaction_id;
        let reuse = if look == Look::Second { Reuse::Forbidden } else { Reuse::Allowed };
        let sending = Sending { reuse, ..Sending::by(self.instant(until)) };
        let request = self.client.request(&self.client.status, &self.token, body);
        self.call.ask(&request, sending, |answer| answer::polled(answer, id, look))
    }

    /// The caller wants the wait to end; it may go on to withdraw the transaction.
    fn stop(&mut self, policy: &mut Policy, wish: Error) {
        let now = self.now();
        let until = match self.grace_until {
            Some(until) => until.saturating_duration_since(self.call.start),
            None => now.saturating_add(WITHDRAW_TIME),
        };
        if policy.stop(now, until, wish) {
            self.call.cancel = None;
        }
    }

    fn record(&mut self, state: &State) {
        let known = &self.transaction;
        self.transaction = Transaction::read(known.transaction_id, state, known.polls, self.now());
    }

    /// Whether it slept that long.
    fn sleep(&mut self, policy: &mut Policy, until: Duration) -> bool {
        let Err(error) = self.call.sleep_until(self.instant(until)) else { return true };
        match error.code {
            Code::Cancelled => self.stop(policy, error),
            _ => policy.failed(self.now(), error, 0),
        }
        false
    }

    fn ask_for_token(&mut self, policy: &mut Policy) {
        match self.fresh_token() {
            None => policy.token_withheld(None),
            Some(Err(error)) => policy.token_withheld(Some(error)),
            Some(Ok(token)) => {
                self.token = token;
                policy.token_given(self.now());
            }
        }
    }

    fn fresh_token(&mut self) -> Option<Result<Secret, Error>> {
        let provider = self.options.access_token_provider.as_mut()?;
        let token = provider()?;
        Some(Secret::header_material("the token from access_token_provider", &token))
    }

    fn cancel(&mut self, policy: &mut Policy, until: Duration) {
        let id = self.transaction.transaction_id;
        let sending = Sending::by(self.instant(until));
        match self.client.cancel_once(&mut self.call, &self.token, id, sending) {
            Err(error) if error.code == Code::Cancelled => self.stop(policy, error),
            result => policy.cancel_sent(result),
        }
    }

    fn update(&mut self) -> ControlFlow<()> {
        self.transaction.elapsed = self.call.start.elapsed();
        match self.options.on_update.as_mut() {
            Some(on_update) => on_update(&self.transaction),
            None => ControlFlow::Continue(()),
        }
    }

    fn now(&self) -> Duration {
        self.call.start.elapsed()
    }

    fn instant(&self, since_start: Duration) -> Instant {
        sys::instant_after(self.call.start, since_start)
    }

    fn end(mut self, result: Result<(), Error>) -> WaitEnd {
        self.transaction.elapsed = self.call.start.elapsed();
        let result = result.map_err(|error| self.call.finish(error));
        if result.is_err() && self.transaction.decision.is_approved() {
            // No path leads here; if one ever does, it must not look like an approval.
            self.transaction.decision = Decision::None;
        }
        WaitEnd { transaction: self.transaction, result }
    }
}

fn ended_by_callback() -> Error {
    Error::new(Code::Cancelled, "on_update ended the wait")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_has_its_setter() {
        let mut on_break = |_: &Transaction| ControlFlow::Break(());
        let mut give = || Some("fresh".to_owned().into());
        // No `..`: a new field does not compile before it stands here, with its setter.
        let WaitOptions {
            first_poll,
            min_interval,
            max_interval,
            cancel_on_timeout,
            withdraw_on_cancel,
            on_update,
            access_token_provider,
        } = WaitOptions::new()
            .first_poll(Duration::from_secs(1))
            .min_interval(Duration::from_secs(2))
            .max_interval(Duration::from_secs(3))
            .cancel_on_timeout(true)
            .withdraw_on_cancel(true)
            .on_update(&mut on_break)
            .access_token_provider(&mut give);
        let times = [first_poll, min_interval, max_interval];
        assert_eq!(times, [1, 2, 3].map(|s| Some(Duration::from_secs(s))));
        assert!(cancel_on_timeout && withdraw_on_cancel);
        assert!(on_update.unwrap()(&Transaction::default()).is_break());
        assert_eq!(access_token_provider.unwrap()().as_deref().map(String::as_str), Some("fresh"));
    }
}
