//! Waiting for the person: the thin loop around the policy.

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{HyperId, Transaction, answer, request};
use crate::call::{Call, repeatable};
use crate::error::{Code, Error, Provider};
use crate::hyperid::decision::{Decision, State};
use crate::hyperid::policy::{End, Policy, Settings, Step, is_refused_token};
use crate::hyperid::request::Request;
use crate::options::{CallOptions, LogLevel};
use crate::retry;
use crate::secret::Secret;
use crate::sys;

/// A person needs time to find the phone.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
const DEFAULT_MIN_INTERVAL: Duration = Duration::from_secs(2);
const DEFAULT_MAX_INTERVAL: Duration = Duration::from_secs(10);

/// Longer than any deadline can be, and far from where sums overflow.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// Called after each poll with what is known so far; `Break` ends the wait.
pub type OnUpdate<'a> = &'a mut dyn FnMut(&Transaction) -> ControlFlow<()>;

/// Called when the token was refused: a fresh one, or `None` to give up.
pub type TokenProvider<'a> = &'a mut dyn FnMut() -> Option<Zeroizing<String>>;

/// How to wait.
#[derive(Default)]
pub struct WaitOptions<'a> {
    /// Delay of the first poll; `None`: at once.
    pub first_poll: Option<Duration>,
    /// The least time between polls; `None`: 2 s.
    pub min_interval: Option<Duration>,
    /// The time between polls to which the wait backs off; `None`: 10 s, or the minimum if that
    /// is more.
    pub max_interval: Option<Duration>,
    /// Shortly before the deadline, cancel the transaction and read its state once more.
    pub cancel_on_timeout: bool,
    /// Sees each update.
    pub on_update: Option<OnUpdate<'a>>,
    /// Gives a fresh token.
    pub access_token_provider: Option<TokenProvider<'a>>,
}

impl fmt::Debug for WaitOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitOptions")
            .field("first_poll", &self.first_poll)
            .field("min_interval", &self.min_interval)
            .field("max_interval", &self.max_interval)
            .field("cancel_on_timeout", &self.cancel_on_timeout)
            .finish_non_exhaustive()
    }
}

/// How a wait ended: what is known of the transaction, and whether that is an answer.
#[derive(Debug)]
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
        let mut end = self
            .run(access_token, wait, options, |waiting| waiting.poll_for(transaction_id).map_err(repeatable));
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
        let mut waiting = Waiting { client: self, call, settings, options: wait, token, transaction };
        let result = work(&mut waiting);
        waiting.end(result)
    }
}

fn settings(wait: &WaitOptions<'_>) -> Result<Settings, Error> {
    let min_interval = wait.min_interval.unwrap_or(DEFAULT_MIN_INTERVAL).min(LONGEST);
    let max_interval = wait.max_interval.unwrap_or(DEFAULT_MAX_INTERVAL.max(min_interval)).min(LONGEST);
    if max_interval < min_interval {
        return Err(Error::argument("max_interval is below min_interval"));
    }
    Ok(Settings {
        first_poll: wait.first_poll.unwrap_or_default().min(LONGEST),
        min_interval,
        max_interval,
        cancel_on_timeout: wait.cancel_on_timeout,
        has_token_provider: wait.access_token_provider.is_some(),
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
}

impl Waiting<'_, '_, '_> {
    fn start_and_poll(&mut self, request: &Request<'_>) -> Result<(), Error> {
        let body = request::start(request)?;
        if !self.is_available()? {
            let text = "the person has not linked the authenticator app";
            return Err(Error::new(Code::AuthenticatorNotLinked, text));
        }
        let id = self.client.start_once(&mut self.call, &self.token, &body)?;
        self.transaction.transaction_id = id;
        self.transaction.decision = Decision::Pending;
        if self.update().is_break() {
            return Err(ended_by_callback());
        }
        self.poll_for(id)
    }

    fn is_available(&mut self) -> Result<bool, Error> {
        let first = self.ask_availability();
        match first {
            Err(error) if is_refused_token(&error) => match self.fresh_token() {
                None => Err(error),
                Some(token) => {
                    self.token = token?;
                    self.ask_availability()
                }
            },
            other => other,
        }
    }

    fn ask_availability(&mut self) -> Result<bool, Error> {
        let post = self.client.post(&self.client.availability, &self.token, request::EMPTY);
        self.call.send_repeatable(&post, answer::available)
    }

    fn poll_for(&mut self, id: i64) -> Result<(), Error> {
        let body = request::transaction_id(id)?;
        self.transaction.transaction_id = id;
        let mut policy = Policy::new(self.settings, self.now(), self.call.timeout());
        loop {
            match policy.step(self.now()) {
                Step::Poll { at, until } => self.poll(&mut policy, &body, at, until),
                Step::Sleep { until } => self.sleep(&mut policy, until),
                Step::AskForToken => self.ask_for_token(&mut policy),
                Step::Cancel { until } => self.cancel(&mut policy, &body, until),
                Step::Finish(End::Answer) => return Ok(()),
                Step::Finish(End::Failed(error)) => return Err(error),
                Step::Finish(End::DeadlinePassed) => {
                    return Err(Error::new(Code::Timeout, "no final answer by the call's deadline"));
                }
            }
        }
    }

    fn poll(&mut self, policy: &mut Policy, body: &[u8], at: Duration, until: Duration) {
        if let Err(error) = self.call.sleep_until(self.instant(at)) {
            return policy.failed(self.now(), error, 0);
        }
        self.transaction.polls = self.transaction.polls.saturating_add(1);
        let is_answer = match self.ask_status(body, until) {
            Ok(state) => {
                self.record(&state);
                policy.answered(self.now(), &state, retry::random())
            }
            Err(error) if error.code == Code::Cancelled => return policy.stop(error),
            Err(error) => {
                self.call.log(LogLevel::Warn, format_args!("a poll failed: {error}"));
                policy.failed(self.now(), error, retry::random());
                false
            }
        };
        // An answer that has been read wins over the callback's wish to end.
        if self.update().is_break() && !is_answer {
            policy.stop(ended_by_callback());
        }
    }

    fn ask_status(&mut self, body: &[u8], until: Duration) -> Result<State, Error> {
        let id = self.transaction.transaction_id;
        let until = self.instant(until);
        let post = self.client.post(&self.client.status, &self.token, body);
        let answer = self.call.send_once(&post, until).map_err(|failure| failure.error)?;
        answer::state(&answer, id)
    }

    fn record(&mut self, state: &State) {
        self.transaction.decision = state.decision;
        self.transaction.raw_status = Some(state.raw_status);
        self.transaction.raw_complete_result = state.raw_complete_result;
    }

    fn sleep(&mut self, policy: &mut Policy, until: Duration) {
        if let Err(error) = self.call.sleep_until(self.instant(until)) {
            policy.failed(self.now(), error, 0);
        }
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

    fn cancel(&mut self, policy: &mut Policy, body: &[u8], until: Duration) {
        let until = self.instant(until);
        let result = self.client.cancel_once(&mut self.call, &self.token, body, until);
        policy.cancel_sent(result.err());
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

    fn instant(&self, since_start: Duration) -> std::time::Instant {
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
