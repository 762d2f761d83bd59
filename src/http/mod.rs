//! One HTTP exchange at a time: the only place that knows ureq.
//!
//! ureq's protocol engine does HTTP/1.1 (`exchange`). What opens, keeps and waits for connections is
//! ours, because every wait must obey the call's deadline and cancel, and a request must never be sent
//! twice. Each stands on those below it:
//!
//! - `connector`: a connection to whichever address serves first, through a proxy perhaps
//! - `pool`: the idle connections · `exchange`: one request and its answer
//! - `connection`: a socket, TLS, buffers · `proxy`: CONNECT · `tls_session`
//! - `socket_wait`: waiting on a socket · `happy_eyeballs`: several addresses · `resolver`
//! - `exchange_context`: deadline, cancel and phase of an exchange, and its record

mod buffers;
mod chunks;
mod connection;
mod connector;
mod crypto;
mod der;
mod exchange;
mod exchange_context;
mod happy_eyeballs;
mod idle_state;
mod pem;
mod pool;
mod proxy;
mod redact;
mod request_headers;
mod resolver;
mod response_head;
mod socket_wait;
mod tls;
mod tls_session;
mod tls_texts;
mod url;

pub(crate) use crypto::secure_random;
pub(crate) use exchange_context::{ExchangeContext, Grace};

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ureq::http::Uri;

use crate::clock::Instant;
use crate::driver::{Driver, run_now};
use crate::error::{Code, Error};
use crate::http::connection::Connection;
use crate::http::connector::Connectors;
use crate::http::exchange::Exchange;
use crate::http::exchange_context::ExchangeRecord;
use crate::http::idle_state::IdleState;
use crate::http::pool::Unasked;
use crate::http::request_headers::CommonHeaders;
use crate::http::url::BaseUrl;
use crate::log::Log;
use crate::options::{ClientOptions, LogLevel};
use crate::secret::{Secret, Wiped};

/// Far above any genuine answer of either provider.
const MAX_BODY: usize = 256 * 1024;
const MAX_HEADER: usize = 32 * 1024;

/// The HTTP side of one client.
#[derive(Debug)]
pub(crate) struct Http {
    base: BaseUrl,
    connectors: Connectors,
    common_headers: CommonHeaders,
    connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) log: Log,
    slips: Slips,
}

/// A place to post to.
#[derive(Debug)]
pub(crate) struct Endpoint {
    uri: Uri,
    path: &'static str,
}

/// A request: always a POST, always with a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HttpRequest<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) bearer: Option<&'a Secret>,
    pub(crate) body: &'a [u8],
    /// It may be sent again without harm.
    pub(crate) is_repeatable: bool,
}

/// Whether a request may travel on a connection that has served before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// An idle connection or, where there is none, a new one.
    Allowed,
    /// One that is opened for it: no answer to an earlier request can come on it.
    Forbidden,
}

/// An answer, whatever its HTTP status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Wiped,
    /// It is the first on a connection that was opened for it.
    pub(crate) is_first: bool,
}

/// Reads an answer, and keeps what it says. Not a type of its own for each question, so that sending and
/// repeating are compiled once.
pub(crate) type Reader<'r> = &'r mut (dyn FnMut(&Answer) -> Result<(), Error> + Send);

/// An exchange that has ended.
#[derive(Debug)]
pub(crate) struct Exchanged<T> {
    /// What was read from the answer, or why there is none.
    pub(crate) result: Result<T, Error>,
    /// Whether a byte of the request was sent.
    pub(crate) sent: bool,
    /// Something had arrived before the last byte of the request was handed to the system.
    pub(crate) early: bool,
    /// The connection had served another request before.
    pub(crate) reused: bool,
    /// The cancel came after the request was sent; the answer was waited for until then.
    pub(crate) grace_until: Option<Instant>,
}

impl<T> Exchanged<T> {
    /// Of a request that did not begin.
    pub(crate) fn not_begun(error: Error) -> Self {
        Exchanged { result: Err(error), sent: false, early: false, reused: false, grace_until: None }
    }
}

impl Exchanged<()> {
    /// The same with what was kept of its answer.
    pub(crate) fn with<T>(self, kept: Option<T>) -> Exchanged<T> {
        let Exchanged { result, sent, early, reused, grace_until } = self;
        let result = result.and_then(|()| kept.ok_or_else(not_kept));
        Exchanged { result, sent, early, reused, grace_until }
    }
}

pub(crate) fn not_kept() -> Error {
    Error::internal("an answer was read and not kept")
}

/// A connection that has just served.
struct UsedConnection {
    connection: Box<Connection>,
    /// Its answer was read to the end, and neither side wants it closed.
    may_serve_again: bool,
}

impl Http {
    /// `own_header`: the one that this provider's requests carry, besides those that all do.
    pub(crate) fn new(
        options: &ClientOptions,
        default_base: Option<&str>,
        own_header: Option<&str>,
    ) -> Result<Self, Error> {
        let text = options.base_url.as_deref().or(default_base);
        let text = text.ok_or_else(|| Error::argument("`base_url` is required for this provider"))?;
        let base = BaseUrl::parse(text, options.allow_loopback_http)?;
        let log = Log::new(options);
        log.line(LogLevel::Info, format_args!("a client for {}", base.as_str()));
        if !base.is_tls() {
            log.line(
                LogLevel::Warn,
                format_args!("{} is not encrypted: for tests on this machine only", base.as_str()),
            );
        }
        Ok(Http {
            connectors: Connectors::new(&base, options)?,
            common_headers: CommonHeaders::new(&base, options, own_header)?,
            base,
            connect_timeout: options.connect_timeout,
            request_timeout: options.request_timeout,
            log,
            slips: Slips::new(),
        })
    }

    /// Lets as many connections stay idle as a waiter may use at once.
    pub(crate) fn keep_idle(&self, most: usize) {
        self.connectors.current().pool.keep(most);
    }

    pub(crate) fn endpoint(&self, path: &'static str) -> Result<Endpoint, Error> {
        Ok(Endpoint { uri: self.base.endpoint(path)?, path })
    }

    /// Whether a connection is idle, as far as is known.
    pub(crate) fn has_idle(&self) -> bool {
        !self.connectors.current().pool.is_empty()
    }

    /// Sends once, and lets `read` judge the answer: what it finds wrong is not only an error, but
    /// also ends the connection that it came on.
    pub(crate) async fn send(
        &self,
        request: &HttpRequest<'_>,
        reuse: Reuse,
        context: &mut ExchangeContext<'_>,
        read: Reader<'_>,
    ) -> Exchanged<()> {
        let exchanged = match context.deadline().driver {
            Driver::Blocking => run_now(self.exchange(request, reuse, context)),
            // Apart, so that work which sleeps between its exchanges is small.
            Driver::Queued(_) => Box::pin(self.exchange(request, reuse, context)).await,
        };
        self.log_exchange(request.endpoint, context, &exchanged);
        let result = exchanged.and_then(|(answer, used)| {
            let result = read(&answer);
            // A "no" that slipped from an earlier request leaves this one's own answer behind, and
            // nobody would ask again.
            let may_slip = result.is_err() && !request.is_repeatable && !answer.is_first;
            self.judge(used, may_slip, result.as_ref().err().map(|error| error.code));
            result
        });
        let record = &context.record;
        Exchanged {
            result,
            sent: record.sent > 0,
            early: record.early,
            reused: !record.connected,
            grace_until: record.grace_until,
        }
    }

    async fn exchange(
        &self,
        request: &HttpRequest<'_>,
        reuse: Reuse,
        context: &mut ExchangeContext<'_>,
    ) -> Result<(Answer, UsedConnection), Error> {
        let connector = self.connectors.current();
        let driver = context.deadline().driver;
        let idle = match reuse {
            Reuse::Allowed => connector.pool.take().unwrap_or_else(|Unasked| {
                self.slipped();
                None
            }),
            Reuse::Forbidden => {
                // It is open beside those that are idle.
                connector.pool.keep_no_more_than(driver.room());
                None
            }
        };
        let mut connection = match idle {
            Some(connection) => connection,
            // Apart: connecting is seldom, and its future large. A blocking call has it on its stack,
            // since what a box is made from may carry what lay there before into freed memory.
            None => Box::new(Box::pin(connector.open(self.connect_timeout, context)).await?),
        };
        let mut exchange = Exchange::new(&mut connection, context);
        let mut answer = pin!(exchange.run(request, &self.common_headers)).await?;
        let may_serve_again = exchange.may_go_on;
        // What came before the request was out is no answer to it.
        answer.is_first = context.record.connected && !context.record.early;
        Ok((answer, UsedConnection { connection, may_serve_again }))
    }

    /// Keeps the connection, if its answer was sound: the error's code tells.
    fn judge(&self, mut used: UsedConnection, may_slip: bool, error: Option<Code>) {
        let state = used.connection.state_of_buffers();
        match error {
            _ if state == IdleState::Unasked => self.slipped(),
            Some(Code::ContradictoryAnswer) => self.slipped(),
            Some(Code::MalformedAnswer | Code::AnswerTooLarge) => {}
            _ if may_slip => {}
            _ if used.may_serve_again && state == IdleState::Quiet => {
                self.connectors.current().pool.put(used.connection);
            }
            _ => {}
        }
    }

    /// An answer belongs to another question: no idle connection can be trusted to give the next.
    pub(crate) fn slipped(&self) {
        self.connectors.current().pool.close_all();
        if self.slips.is_to_be_told() {
            let text = "an answer came that nobody asked for, or that belongs to another question: \
                        all idle connections are closed";
            self.log.line(LogLevel::Warn, format_args!("{text}"));
        }
    }

    fn log_exchange(
        &self,
        endpoint: &Endpoint,
        context: &ExchangeContext<'_>,
        result: &Result<(Answer, UsedConnection), Error>,
    ) {
        if !self.log.is_on(LogLevel::Debug) {
            return;
        }
        let outcome = match result {
            Ok((answer, _)) => format!("HTTP {}", answer.status),
            Err(error) => error.to_string(),
        };
        let ExchangeRecord { connected, resolve_time, connect_time, tls_time, .. } = context.record;
        let connection = if connected { "new" } else { "pooled" };
        self.log.line(
            LogLevel::Debug,
            format_args!(
                "POST {} {outcome} {} us (request {}, {connection} connection; name {} us, connect {} us, tls {} us)",
                endpoint.path,
                context.start.elapsed().as_micros(),
                context.attempt,
                resolve_time.as_micros(),
                connect_time.as_micros(),
                tls_time.as_micros()
            ),
        );
    }
}

/// When slipped answers were last told of: one line a minute says enough.
#[derive(Debug)]
struct Slips {
    start: Instant,
    /// Seconds since `start`, from which on the next is told.
    next: AtomicU64,
}

impl Slips {
    const PAUSE: u64 = 60;

    fn new() -> Self {
        Slips { start: Instant::now(), next: AtomicU64::new(0) }
    }

    fn is_to_be_told(&self) -> bool {
        let now = self.start.elapsed().as_secs();
        let next = self.next.load(Ordering::Relaxed);
        let swap =
            |next| self.next.compare_exchange(next, now + Self::PAUSE, Ordering::Relaxed, Ordering::Relaxed);
        now >= next && swap(next).is_ok()
    }
}
