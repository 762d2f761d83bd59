//! One HTTP exchange at a time: the only place that knows ureq.
//!
//! ureq's protocol engine does HTTP/1.1 (`exchange`). The resolver, the connections and the pool of
//! idle ones are ours (`Resolver`, `Connector`, `Wire`, `IdleWires`), because every wait must obey the
//! call's deadline and cancel, and a request must never be sent twice.

mod buffers;
mod chunks;
mod connect;
mod connectors;
mod context;
mod crypto;
mod der;
mod exchange;
mod head;
mod headers;
mod idle;
mod pem;
mod proxy;
mod redact;
mod resolver;
mod tls;
mod tls_session;
mod tls_texts;
mod transport;
mod url;

pub(crate) use crypto::random;

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ureq::http::{HeaderValue, Uri};

use crate::error::{Code, Error};
use crate::http::connectors::Connectors;
use crate::http::context::{Context, Record};
use crate::http::exchange::{Exchange, Outgoing};
use crate::http::idle::Unasked;
use crate::http::transport::{Look, Wire};
use crate::http::url::BaseUrl;
use crate::log::Log;
use crate::options::{ClientOptions, LogLevel};
use crate::secret::{Secret, Wiped};
use crate::time::Cancel;

/// Far above any genuine answer of either provider.
const MAX_BODY: usize = 256 * 1024;
const MAX_HEADER: usize = 32 * 1024;

/// The HTTP side of one client.
#[derive(Debug)]
pub(crate) struct Http {
    base: BaseUrl,
    connectors: Connectors,
    host: HeaderValue,
    /// Of every request, those that the caller adds included.
    lines: Wiped,
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

/// A request, ready to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Post<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) bearer: Option<&'a Secret>,
    pub(crate) body: &'a [u8],
    /// It may be sent again without harm.
    pub(crate) is_repeatable: bool,
}

/// On what a request may travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// An idle connection or, where there is none, a new one.
    Any,
    /// One that is opened for it: no answer to an earlier request can come on it.
    Fresh,
}

/// What bounds one exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds<'a> {
    /// Now.
    pub(crate) start: Instant,
    /// The call's own deadline.
    pub(crate) call_until: Instant,
    /// The end of this exchange.
    pub(crate) exchange_until: Instant,
    pub(crate) cancel: Option<&'a Cancel>,
    /// How long the answer is still read when the cancel comes after the request was sent.
    pub(crate) grace: Option<Duration>,
    pub(crate) connection: Connection,
    /// Which of the call's requests this is, counted from 1; for the log.
    pub(crate) attempt: u32,
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

/// A connection that has just served, and what became of it.
struct Used {
    wire: Box<Wire>,
    may_go_on: bool,
}

impl Http {
    /// `own_header`: the one that this provider's requests carry, besides those that all do.
    pub(crate) fn new(
        options: &ClientOptions,
        default_base: Option<&str>,
        own_header: Option<&str>,
    ) -> Result<Self, Error> {
        let text = options.base_url.as_deref().or(default_base);
        let text = text.ok_or_else(|| Error::argument("base_url is required for this provider"))?;
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
            host: base.host_header()?,
            lines: headers::lines(options.user_agent.as_deref(), &options.headers, own_header)?,
            base,
            connect_timeout: options.connect_timeout,
            request_timeout: options.request_timeout,
            log,
            slips: Slips::new(),
        })
    }

    pub(crate) fn endpoint(&self, path: &'static str) -> Result<Endpoint, Error> {
        Ok(Endpoint { uri: self.base.endpoint(path)?, path })
    }

    /// Posts once, and lets `read` judge the answer: what it finds wrong is not only an error, but
    /// also ends the connection that it came on.
    pub(crate) fn ask<T>(
        &self,
        post: &Post<'_>,
        bounds: &Bounds<'_>,
        read: impl FnOnce(&Answer) -> Result<T, Error>,
    ) -> Exchanged<T> {
        let mut context = Context {
            call_until: bounds.call_until,
            exchange_until: bounds.exchange_until.min(bounds.call_until),
            connect_timeout: self.connect_timeout,
            cancel: bounds.cancel,
            grace: bounds.grace,
            race: RefCell::default(),
            record: Record::default(),
        };
        let exchanged = self.exchange(post, bounds.connection, &mut context);
        let record = context.record;
        self.log_exchange(post.endpoint, bounds, &record, &exchanged);
        let result = exchanged.and_then(|(answer, used)| {
            let result = read(&answer);
            // A "no" that slipped from an earlier request leaves this one's own answer behind, and
            // nobody would ask again.
            let may_serve = result.is_ok() || post.is_repeatable || answer.is_first;
            let error = result.as_ref().err().map(|error| error.code);
            self.judge(Used { may_go_on: used.may_go_on && may_serve, ..used }, error);
            result
        });
        Exchanged {
            result,
            sent: record.sent > 0,
            early: record.early.get(),
            reused: !record.connected,
            grace_until: record.grace_until,
        }
    }

    fn exchange(
        &self,
        post: &Post<'_>,
        connection: Connection,
        context: &mut Context<'_>,
    ) -> Result<(Answer, Used), Error> {
        let request = Outgoing {
            uri: &post.endpoint.uri,
            host: &self.host,
            lines: &self.lines,
            bearer: post.bearer,
            body: post.body,
        };
        let connector = self.connectors.current();
        let idle = match connection {
            Connection::Any => connector.idle.take().unwrap_or_else(|Unasked| {
                self.slipped();
                None
            }),
            Connection::Fresh => None,
        };
        let mut wire = match idle {
            Some(wire) => wire,
            None => Box::new(connector.open(context)?),
        };
        let mut exchange = Exchange::new(&mut wire, context);
        let mut answer = exchange.run(&request)?;
        let may_go_on = exchange.may_go_on;
        // What came before the request was out is no answer to it.
        answer.is_first = context.record.connected && !context.record.early.get();
        Ok((answer, Used { wire, may_go_on }))
    }

    /// Keeps the connection, if its answer was sound: the error's code tells.
    fn judge(&self, mut used: Used, error: Option<Code>) {
        let look = used.wire.look_inside();
        match error {
            _ if look == Look::Unasked => self.slipped(),
            Some(Code::ContradictoryAnswer) => self.slipped(),
            Some(Code::MalformedAnswer | Code::AnswerTooLarge) => {}
            _ if used.may_go_on && look == Look::Quiet => self.connectors.current().idle.put(used.wire),
            _ => {}
        }
    }

    /// An answer belongs to another question: no idle connection can be trusted to give the next.
    pub(crate) fn slipped(&self) {
        self.connectors.current().idle.close_all();
        if self.slips.is_to_be_told() {
            let text = "an answer came that nobody asked for, or that belongs to another question: \
                        all idle connections are closed";
            self.log.line(LogLevel::Warn, format_args!("{text}"));
        }
    }

    fn log_exchange(
        &self,
        endpoint: &Endpoint,
        bounds: &Bounds<'_>,
        record: &Record,
        result: &Result<(Answer, Used), Error>,
    ) {
        if !self.log.is_on(LogLevel::Debug) {
            return;
        }
        let outcome = match result {
            Ok((answer, _)) => format!("HTTP {}", answer.status),
            Err(error) => error.to_string(),
        };
        let connection = if record.connected { "new" } else { "pooled" };
        self.log.line(
            LogLevel::Debug,
            format_args!(
                "POST {} {outcome} {} us (request {}, {connection} connection; name {} us, connect {} us, tls {} us)",
                endpoint.path,
                bounds.start.elapsed().as_micros(),
                bounds.attempt,
                record.resolve_time.as_micros(),
                record.connect_time.as_micros(),
                record.tls_time.as_micros()
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
