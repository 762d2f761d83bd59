//! Waiting for the person, on the calling thread.

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{HyperId, Transaction, request};
use crate::call::Call;
use crate::clock::Instant;
use crate::driver::run_now;
use crate::error::{Error, Provider};
use crate::hyperid::policy::Settings;
use crate::hyperid::request::Request;
use crate::hyperid::waiting::{FreshToken, Listener, Waiting};
use crate::options::CallOptions;
use crate::secret::Secret;

/// A person needs time to find the phone.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
const DEFAULT_MIN_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_MAX_INTERVAL: Duration = Duration::from_secs(10);

/// A transaction that was started elsewhere, a moment ago perhaps, may not be known everywhere yet.
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
        let call = self.blocking_call(options);
        let mut end = match self.waiting(call, access_token, wait) {
            Ok(mut waiting) => run_now(waiting.wait(transaction_id)),
            Err(end) => *end,
        };
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
        let call = self.blocking_call(options);
        let body = match request::start(request) {
            Ok(body) => body,
            Err(error) => return not_begun(&call, error),
        };
        match self.waiting(call, access_token, wait) {
            Ok(mut waiting) => run_now(waiting.confirm(body)),
            Err(end) => *end,
        }
    }

    fn blocking_call<'a>(&'a self, options: &CallOptions<'a>) -> Call<'a> {
        Call::new(&self.http, Provider::HyperId, options, DEFAULT_TIMEOUT)
    }

    fn waiting<'a, 'w, 'o>(
        &'a self,
        call: Call<'a>,
        access_token: &str,
        wait: &'w mut WaitOptions<'o>,
    ) -> Result<Waiting<'a, Callbacks<'w, 'o>>, Box<WaitEnd>> {
        let settings = settings(wait);
        let checked = settings
            .and_then(|settings| Ok((settings, Secret::header_material("access_token", access_token)?)));
        match checked {
            Ok((settings, token)) => Ok(Waiting::new(self, call, settings, Callbacks(wait), token)),
            Err(error) => Err(Box::new(not_begun(&call, error))),
        }
    }
}

fn not_begun(call: &Call<'_>, error: Error) -> WaitEnd {
    WaitEnd { transaction: Transaction::default(), result: Err(call.finish(error)) }
}

/// The caller's callbacks, called on the thread that waits.
struct Callbacks<'w, 'o>(&'w mut WaitOptions<'o>);

impl Listener for Callbacks<'_, '_> {
    fn update(&mut self, so_far: &Transaction, _: bool) -> ControlFlow<()> {
        match self.0.on_update.as_mut() {
            Some(on_update) => on_update(so_far),
            None => ControlFlow::Continue(()),
        }
    }

    async fn fresh_token(&mut self, _: &Transaction, _: &Error, _: Instant) -> FreshToken {
        let Some(provider) = self.0.access_token_provider.as_mut() else { return FreshToken::Withheld };
        let Some(token) = provider() else { return FreshToken::Withheld };
        match Secret::header_material("the token from access_token_provider", &token) {
            Ok(token) => FreshToken::Given(token),
            Err(error) => FreshToken::Bad(error),
        }
    }
}

pub(super) fn settings(wait: &WaitOptions<'_>) -> Result<Settings, Error> {
    let min_interval = wait.min_interval.unwrap_or(DEFAULT_MIN_INTERVAL).min(LONGEST);
    let max_interval = wait.max_interval.unwrap_or(DEFAULT_MAX_INTERVAL.max(min_interval)).min(LONGEST);
    if max_interval < min_interval {
        return Err(Error::argument("`max_interval_ms` is below `min_interval_ms`"));
    }
    Ok(Settings {
        first_poll: wait.first_poll.map(|delay| delay.min(LONGEST)),
        min_interval,
        max_interval,
        cancel_on_timeout: wait.cancel_on_timeout,
        withdraw_on_cancel: wait.withdraw_on_cancel,
        has_token_provider: wait.access_token_provider.is_some(),
        not_found_for: NOT_FOUND_IN_WAIT,
    })
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
