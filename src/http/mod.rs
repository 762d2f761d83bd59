//! One HTTP exchange at a time: the only place that knows ureq.
//!
//! ureq's protocol engine does HTTP/1.1 (`exchange`). The resolver, the connections and the pool of
//! idle ones are ours (`Resolver`, `Connector`, `Wire`, `IdleWires`), because every wait must obey the
//! call's deadline and cancel, and a request must never be sent twice.

mod buffers;
mod connect;
mod connectors;
mod context;
mod crypto;
mod exchange;
mod head;
mod headers;
mod idle;
mod proxy;
mod resolver;
mod tls;
mod tls_session;
mod transport;
mod url;

pub(crate) use crypto::random;

use std::time::{Duration, Instant};

use ureq::http::{HeaderValue, Uri};

use crate::error::Error;
use crate::http::connectors::Connectors;
use crate::http::context::{Context, Record};
use crate::http::exchange::{Exchange, Outgoing};
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
}

/// A place to post to.
#[derive(Debug)]
pub(crate) struct Endpoint {
    uri: Uri,
    path: &'static str,
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
    /// Which of the call's requests this is, counted from 1; for the log.
    pub(crate) attempt: u32,
}

/// An answer, whatever its HTTP status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Wiped,
}

/// An exchange that failed without an answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// Whether a byte of the request was sent.
    pub(crate) sent: bool,
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
        })
    }

    pub(crate) fn endpoint(&self, path: &'static str) -> Result<Endpoint, Error> {
        Ok(Endpoint { uri: self.base.endpoint(path)?, path })
    }

    /// Posts `body` once and returns the answer.
    pub(crate) fn post(
        &self,
        endpoint: &Endpoint,
        bearer: Option<&Secret>,
        body: &[u8],
        bounds: &Bounds<'_>,
    ) -> Result<Answer, Failure> {
        let request = Outgoing { uri: &endpoint.uri, host: &self.host, lines: &self.lines, bearer, body };
        let mut context = Context {
            call_until: bounds.call_until,
            exchange_until: bounds.exchange_until.min(bounds.call_until),
            connect_timeout: self.connect_timeout,
            cancel: bounds.cancel,
            record: Record::default(),
        };
        let result = self.exchange(&request, &mut context);
        let record = context.record;
        let result = result.map_err(|error| Failure { error, sent: record.sent > 0 });
        self.log_exchange(endpoint, bounds, &record, &result);
        result
    }

    fn exchange(&self, request: &Outgoing<'_>, context: &mut Context<'_>) -> Result<Answer, Error> {
        let connector = self.connectors.current();
        let mut wire = match connector.idle.take() {
            Some(wire) => wire,
            None => Box::new(connector.open(context)?),
        };
        let mut exchange = Exchange::new(&mut wire, context);
        let answer = exchange.run(request)?;
        if exchange.may_go_on && wire.is_quiet() {
            connector.idle.put(wire);
        }
        Ok(answer)
    }

    fn log_exchange(
        &self,
        endpoint: &Endpoint,
        bounds: &Bounds<'_>,
        record: &Record,
        result: &Result<Answer, Failure>,
    ) {
        if !self.log.is_on(LogLevel::Debug) {
            return;
        }
        let outcome = match result {
            Ok(answer) => format!("HTTP {}", answer.status),
            Err(failure) => failure.error.to_string(),
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
