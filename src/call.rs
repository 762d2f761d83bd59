//! One call of a provider: its deadline, its attempts, and the repeating of what may be repeated.

use std::time::{Duration, Instant};

use crate::error::{Code, Error, Provider};
use crate::http::{Answer, Bounds, Endpoint, Failure, Http};
use crate::options::{CallOptions, LogLevel};
use crate::retry;
use crate::secret::Secret;
use crate::sys;
use crate::time::{Cancel, Interrupted, Limit};

/// A request, ready to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Post<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) bearer: Option<&'a Secret>,
    pub(crate) body: &'a [u8],
}

/// A call under way.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    http: &'a Http,
    provider: Provider,
    pub(crate) start: Instant,
    pub(crate) until: Instant,
    pub(crate) cancel: Option<&'a Cancel>,
    pub(crate) attempts: u32,
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

    pub(crate) fn limit(&self) -> Limit<'a> {
        Limit { until: self.until, cancel: self.cancel }
    }

    /// Sends once, within the request timeout and no longer than `until`.
    pub(crate) fn send_once(&mut self, post: &Post<'_>, until: Instant) -> Result<Answer, Failure> {
        let now = Instant::now();
        if let Err(why) = self.limit().no_later_than(until).check_at(now) {
            return Err(Failure { error: self.interrupted(why, "beginning a request"), sent: false });
        }
        self.attempts += 1;
        let exchange_until = sys::instant_after(now, self.http.request_timeout).min(until);
        let bounds = Bounds {
            start: now,
            call_until: until.min(self.until),
            exchange_until,
            cancel: self.cancel,
            attempt: self.attempts,
        };
        self.http.post(post.endpoint, post.bearer, post.body, &bounds)
    }

    /// Sends, and sends again after passing trouble, as long as the deadline leaves room.
    pub(crate) fn send_repeatable<T>(
        &mut self,
        post: &Post<'_>,
        decode: impl Fn(&Answer) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let first = self.attempts;
        let mut last: Option<Error> = None;
        loop {
            let begun = self.attempts;
            let sent = self.send_once(post, self.until).map_err(|failure| failure.error);
            let error = match sent.and_then(|answer| decode(&answer)) {
                Ok(value) => return Ok(value),
                // The deadline came before it began: what the last attempt met tells more.
                Err(error) if error.code == Code::Timeout && self.attempts == begun => {
                    return Err(repeatable(last.unwrap_or(error)));
                }
                Err(error) => error,
            };
            let Some(delay) = retry::delay(&error, self.attempts - first, retry::random()) else {
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
        self.limit().sleep_until(until).map_err(|why| self.interrupted(why, "waiting to ask again"))
    }

    pub(crate) fn interrupted(&self, why: Interrupted, doing: &str) -> Error {
        match why {
            Interrupted::Cancelled => Error::new(Code::Cancelled, format!("cancelled while {doing}")),
            Interrupted::Elapsed => {
                Error::new(Code::Timeout, format!("the call's deadline passed while {doing}"))
            }
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

/// Marks the error of a request that may be repeated without harm.
pub(crate) fn repeatable(error: Error) -> Error {
    let retryable = retry::is_transient(&error) || error.code == Code::Timeout;
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
