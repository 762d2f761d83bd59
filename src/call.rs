//! One call of a provider: its deadline, its attempts, and the repeating of what may be repeated.

use std::time::Duration;

use crate::clock::Instant;
use crate::driver::Driver;
use crate::error::{Code, Error, Provider};
use crate::gate::Turn;
use crate::http::{Answer, ExchangeContext, Exchanged, Grace, Http, HttpRequest, Reader, Reuse, not_kept};
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
    pub(crate) driver: Driver<'a>,
    /// For the next request, waited for already.
    turn: Option<Turn<'a>>,
}

/// How one request of a call is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    /// The answer must be there by then.
    pub(crate) until: Instant,
    pub(crate) reuse: Reuse,
    /// How long the answer is still read when the cancel comes after the request was sent.
    pub(crate) grace: Option<Grace>,
}

impl Sending {
    pub(crate) fn by(until: Instant) -> Self {
        Sending { until, reuse: Reuse::Allowed, grace: None }
    }
}

/// Whether passing trouble is waited out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    None,
    UntilDeadline,
}

/// An attempt that failed.
struct Failed {
    error: Error,
    /// Its connection had served before.
    was_reused: bool,
    has_begun: bool,
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
        let cancel = options.cancel;
        Call { http, provider, start, until, cancel, attempts: 0, driver: Driver::Blocking, turn: None }
    }

    /// A call that a waiter drives.
    pub(crate) fn queued(
        http: &'a Http,
        provider: Provider,
        (start, timeout): (Instant, Duration),
        cancel: &'a Cancel,
        driver: Driver<'a>,
    ) -> Self {
        let until = sys::instant_after(start, timeout);
        Call { http, provider, start, until, cancel: Some(cancel), attempts: 0, driver, turn: None }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.until - self.start
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.is_some_and(Cancel::is_triggered)
    }

    /// Whether the cancel came with the wish to take back what was begun.
    pub(crate) fn withdraws(&self) -> bool {
        self.driver.withdraws()
    }

    fn deadline(&self) -> Deadline<'a> {
        Deadline { until: self.until, cancel: self.cancel, driver: self.driver }
    }

    /// Sends once, within the request timeout.
    pub(crate) async fn ask_once<T: Send>(
        &mut self,
        request: &HttpRequest<'_>,
        sending: Sending,
        read: impl Fn(&Answer) -> Result<T, Error> + Send,
    ) -> Exchanged<T> {
        let mut kept = None;
        let exchanged = self.send_once(request, &sending, &mut keep(&mut kept, read)).await;
        exchanged.with(kept)
    }

    /// Sends what does no harm when it is sent again. A wrong answer on a connection that has served
    /// before may have been meant for an earlier request: the answer on a fresh one counts.
    pub(crate) async fn ask<T: Send>(
        &mut self,
        request: &HttpRequest<'_>,
        sending: Sending,
        read: impl Fn(&Answer) -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        let mut kept = None;
        self.send(request, &sending, Patience::None, &mut keep(&mut kept, read)).await?;
        kept.ok_or_else(not_kept)
    }

    /// As `ask`, and sends again after passing trouble, as long as the deadline leaves room.
    pub(crate) async fn ask_patiently<T: Send>(
        &mut self,
        request: &HttpRequest<'_>,
        reuse: Reuse,
        read: impl Fn(&Answer) -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        let mut kept = None;
        let sending = Sending { reuse, ..Sending::by(self.until) };
        self.send(request, &sending, Patience::UntilDeadline, &mut keep(&mut kept, read)).await?;
        kept.ok_or_else(not_kept)
    }

    /// Waits for the turn to send the next request, no later than `until` and the cancel. It need not be
    /// called; called before the work on a request is made, it keeps that from being made for thousands
    /// who wait for their turns.
    pub(crate) async fn take_turn(&mut self, is_first: bool, until: Instant, reuse: Reuse) {
        let Driver::Queued(work) = self.driver else { return };
        let http = self.http;
        let has_idle = move || reuse == Reuse::Allowed && http.has_idle();
        self.turn = work.turn(is_first, until.min(self.until), self.cancel, has_idle).await;
    }

    /// No request is sent after all.
    pub(crate) fn leave_turn(&mut self) {
        self.turn = None;
    }

    async fn send_once(
        &mut self,
        request: &HttpRequest<'_>,
        sending: &Sending,
        read: Reader<'_>,
    ) -> Exchanged<()> {
        let call_until = sending.until.min(self.until);
        if self.turn.is_none() {
            self.take_turn(!request.is_repeatable, call_until, sending.reuse).await;
        }
        let _turn = self.turn.take();
        let now = Instant::now();
        if let Err(why) = self.deadline().no_later_than(sending.until).check_at(now) {
            return Exchanged::not_begun(self.wait_failed(why, "beginning a request"));
        }
        self.attempts += 1;
        let until = sys::instant_after(now, self.http.request_timeout).min(sending.until);
        let exchange = Deadline { until, ..self.deadline() };
        let mut context = ExchangeContext::new((now, self.attempts), exchange, call_until, sending.grace);
        self.http.send(request, sending.reuse, &mut context, read).await
    }

    async fn send(
        &mut self,
        request: &HttpRequest<'_>,
        sending: &Sending,
        patience: Patience,
        read: Reader<'_>,
    ) -> Result<(), Error> {
        let begun = self.attempts;
        let sent = self.send_once(request, sending, read).await;
        let Some(failed) = self.failed(sent, begun) else { return Ok(()) };
        // Apart: it is seldom, and large.
        Box::pin(self.send_again(request, sending, patience, failed, read)).await
    }

    async fn send_again(
        &mut self,
        request: &HttpRequest<'_>,
        sending: &Sending,
        patience: Patience,
        mut failed: Failed,
        read: Reader<'_>,
    ) -> Result<(), Error> {
        let mut last: Option<Error> = None;
        let mut tries = 0;
        loop {
            tries += 1;
            let result = if failed.was_reused && is_wrong(&failed.error) {
                self.send_afresh(request, sending, failed.error, read).await
            } else {
                Err(failed.error)
            };
            let error = match result {
                Ok(()) => return Ok(()),
                Err(error) if patience == Patience::None => return Err(error),
                // The deadline came before it began: what the last attempt met tells more.
                Err(error) if error.code == Code::Timeout && !failed.has_begun => {
                    return Err(repeatable(last.unwrap_or(error)));
                }
                Err(error) => error,
            };
            let Some(next) = self.next_try(&error, tries) else { return Err(repeatable(error)) };
            last = Some(error);
            self.sleep_until(next).await?;
            let begun = self.attempts;
            let sent = self.send_once(request, sending, read).await;
            failed = match self.failed(sent, begun) {
                Some(failed) => failed,
                None => return Ok(()),
            };
        }
    }

    /// How an attempt failed, if it did; `begun`: how many requests had been begun before it.
    fn failed(&self, sent: Exchanged<()>, begun: u32) -> Option<Failed> {
        let error = sent.result.err()?;
        Some(Failed { error, was_reused: sent.reused, has_begun: self.attempts != begun })
    }

    /// When to send again after passing trouble; `None`: give up.
    fn next_try(&self, error: &Error, tries: u32) -> Option<Instant> {
        let delay = retry::delay(error, tries, retry::jitter())?;
        let next = sys::instant_after(Instant::now(), delay);
        if next >= self.until {
            return None;
        }
        self.log(LogLevel::Warn, format_args!("again in {} ms after {error}", delay.as_millis()));
        Some(next)
    }

    /// Sends once more, on a connection that no earlier answer can come on.
    async fn send_afresh(
        &mut self,
        request: &HttpRequest<'_>,
        sending: &Sending,
        wrong: Error,
        read: Reader<'_>,
    ) -> Result<(), Error> {
        self.log(LogLevel::Warn, format_args!("again on a fresh connection after {wrong}"));
        let begun = self.attempts;
        match self.send_once(request, &Sending { reuse: Reuse::Forbidden, ..*sending }, read).await.result {
            // The deadline came before it began.
            Err(timeout) if timeout.code == Code::Timeout && self.attempts == begun => Err(wrong),
            result => result,
        }
    }

    pub(crate) async fn sleep_until(&self, until: Instant) -> Result<(), Error> {
        self.deadline().sleep_until(until).await.map_err(|why| self.wait_failed(why, "waiting to ask again"))
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
        self.complete(error)
    }

    /// The same for an error that the caller is told of while the call goes on.
    pub(crate) fn complete(&self, error: Error) -> Error {
        Error { provider: self.provider, attempts: self.attempts, ..error }
    }

    pub(crate) fn log(&self, level: LogLevel, line: std::fmt::Arguments<'_>) {
        self.http.log.line(level, line);
    }
}

/// Keeps what `read` makes of the last answer.
fn keep<T>(
    kept: &mut Option<T>,
    read: impl Fn(&Answer) -> Result<T, Error>,
) -> impl FnMut(&Answer) -> Result<(), Error> {
    move |answer| {
        *kept = None;
        *kept = Some(read(answer)?);
        Ok(())
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
