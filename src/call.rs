//! One call of a provider: its deadline, its attempts, and the repeating of what may be repeated.

use std::time::{Duration, Instant};

use crate::error::{Code, Error, Provider};
use crate::http::{Answer, ExchangeContext, Exchanged, Http, HttpRequest, Reuse};
use crate::options::{CallOptions, LogLevel};
use crate::retry;
use crate::sys;
use crate::time::{Cancel, Deadline, WaitError};

/// A call under sending.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    http: &'a Http,
    provider: Provider,
    pub(crate) start: Instant,
    pub(crate) until: Instant,
    pub(crate) cancel: Option<&'a Cancel>,
    pub(crate) attempts: u32,
}

/// How one request of a call is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    /// The answer must be there by then.
    pub(crate) until: Instant,
    pub(crate) reuse: Reuse,
    /// How long the answer is still read when the cancel comes after the request was sent.
    pub(crate) grace: Option<Duration>,
}

impl Sending {
    pub(crate) fn by(until: Instant) -> Self {
        Sending { until, reuse: Reuse::Allowed, grace: None }
    }
}

impl<'a> Call<'a> {
    /// Begins now; `default_timeout` holds where the caller names none.
    pub(crate) fn new(
        http: &'a Http,
        provider: Provider,
        options: &CallOptions<'a>,
        default_timeout: Duration,
    ) -> Self {
        let start = Instant::now();
        let until = sys::instant_after(start, options.timeout.unwrap_or(default_timeout));
        Call { http, provider, start, until, cancel: options.cancel, attempts: 0 }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.until - self.start
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.is_some_and(Cancel::is_triggered)
    }

    fn deadline(&self) -> Deadline<'a> {
        Deadline { until: self.until, cancel: self.cancel }
    }

    /// Sends once, within the request timeout.
    pub(crate) fn ask_once<T>(
        &mut self,
        request: &HttpRequest<'_>,
        sending: Sending,
        read: impl FnOnce(&Answer) -> Result<T, Error>,
    ) -> Exchanged<T> {
        let now = Instant::now();
        if let Err(why) = self.deadline().no_later_than(sending.until).check_at(now) {
            return Exchanged::not_begun(self.wait_failed(why, "beginning a request"));
        }
        self.attempts += 1;
        let until = sys::instant_after(now, self.http.request_timeout).min(sending.until);
        let exchange = Deadline { until, cancel: self.cancel };
        let context = ExchangeContext::new(now, exchange, sending.until.min(self.until))
            .with_attempt(self.attempts)
            .with_grace(sending.grace);
        self.http.send(request, sending.reuse, context, read)
    }

    /// Sends what does no harm when it is sent again. A wrong answer on a connection that has served
    /// before may have been meant for an earlier request: the answer on a fresh one counts.
    pub(crate) fn ask<T>(
        &mut self,
        request: &HttpRequest<'_>,
        sending: Sending,
        read: impl Fn(&Answer) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let first = self.ask_once(request, sending, &read);
        let error = match first.result {
            Err(error) if first.reused && is_wrong(&error) => error,
            result => return result,
        };
        self.log(LogLevel::Warn, format_args!("again on a fresh connection after {error}"));
        let begun = self.attempts;
        match self.ask_once(request, Sending { reuse: Reuse::Forbidden, ..sending }, &read).result {
            // The deadline came before it began.
            Err(timeout) if timeout.code == Code::Timeout && self.attempts == begun => Err(error),
            result => result,
        }
    }

    /// As `ask`, and sends again after transient failures, as long as the deadline leaves room.
    pub(crate) fn ask_patiently<T>(
        &mut self,
        request: &HttpRequest<'_>,
        reuse: Reuse,
        read: impl Fn(&Answer) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let sending = Sending { reuse, ..Sending::by(self.until) };
        let mut last: Option<Error> = None;
        let mut tries = 0;
        loop {
            tries += 1;
            let begun = self.attempts;
            let error = match self.ask(request, sending, &read) {
                Ok(value) => return Ok(value),
                // The deadline came before it began: what the last attempt met tells more.
                Err(error) if error.code == Code::Timeout && self.attempts == begun => {
                    return Err(repeatable(last.unwrap_or(error)));
                }
                Err(error) => error,
            };
            let Some(delay) = retry::delay(&error, tries, retry::jitter()) else {
                return Err(repeatable(error));
            };
            let next = sys::instant_after(Instant::now(), delay);
            if next >= self.until {
                return Err(repeatable(error));
            }
            self.log(LogLevel::Warn, format_args!("again in {} ms after {error}", delay.as_millis()));
            self.sleep_until(next)?;
            last = Some(error);
        }
    }

    pub(crate) fn sleep_until(&self, until: Instant) -> Result<(), Error> {
        self.deadline().sleep_until(until).map_err(|why| self.wait_failed(why, "waiting to ask again"))
    }

    /// Whoever finds both the cancel and the deadline past says "cancelled".
    fn wait_failed(&self, why: WaitError, doing: &str) -> Error {
        match why {
            WaitError::Failed(e) => {
                Error::internal(format!("poll failed: {e}")).with_os_error(e.raw_os_error())
            }
            WaitError::Elapsed if !self.is_cancelled() => {
                Error::new(Code::Timeout, format!("the call's deadline passed while {doing}"))
            }
            WaitError::Elapsed | WaitError::Cancelled => cancelled(doing),
        }
    }

    /// Completes an error with what the call knows.
    pub(crate) fn finish(&self, error: Error) -> Error {
        if error.code != Code::Cancelled {
            self.http.log.line(LogLevel::Error, format_args!("{error}"));
        }
        Error { provider: self.provider, attempts: self.attempts, ..error }
    }

    pub(crate) fn log(&self, level: LogLevel, line: std::fmt::Arguments<'_>) {
        self.http.log.line(level, line);
    }
}

/// The error of a call that its caller ended.
pub(crate) fn cancelled(doing: &str) -> Error {
    Error::new(Code::Cancelled, format!("cancelled while {doing}"))
}

/// Whether the answer broke the protocol, or was about something else.
fn is_wrong(error: &Error) -> bool {
    matches!(error.code, Code::MalformedAnswer | Code::ContradictoryAnswer) && !error.is_hearsay
}

/// Marks the error of a request that may be repeated without harm.
pub(crate) fn repeatable(error: Error) -> Error {
    let may_pass = retry::is_transient(&error) || error.code == Code::Timeout;
    let retryable = may_pass && !error.withdrawn;
    Error { retryable, ..error }
}

/// What an HTTP status means where the answer's body has no say.
pub(crate) fn http_error(answer: &Answer) -> Error {
    let code = match answer.status {
        401 => Code::TokenInvalid,
        403 => Code::AccessDenied,
        429 => Code::RateLimited,
        502..=504 => Code::Unavailable,
        _ => Code::HttpStatus,
    };
    with_answer(Error::new(code, format!("the server answered HTTP {}", answer.status)), answer)
}

/// Completes an error with what the answer's head tells.
pub(crate) fn with_answer(error: Error, answer: &Answer) -> Error {
    Error { http_status: Some(answer.status), retry_after: answer.retry_after, ..error }
}
