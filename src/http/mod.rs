//! One HTTP exchange at a time: the only place that knows ureq.
//!
//! ureq's agent does HTTP/1.1. The resolver, the connector, the transport and the idle connections
//! under it are ours (`Resolver`, `WireConnector`, `Wire`, `IdleWires`), because every wait must obey
//! the call's deadline and cancel, and a request must never be sent twice.

mod buffers;
mod connect;
mod context;
mod crypto;
mod engine;
mod headers;
mod idle;
mod proxy;
mod resolver;
mod tls;
mod tls_session;
mod transport;
mod url;

pub(crate) use crypto::random;

use std::io::Read;
use std::time::{Duration, Instant, SystemTime};

use ureq::Agent;
use ureq::http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST,
    RETRY_AFTER, TRANSFER_ENCODING, USER_AGENT,
};
use ureq::http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};

use crate::error::{Code, Error};
use crate::http::context::{Context, Record};
use crate::http::engine::{Agents, MAX_USER_AGENT};
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
    agents: Agents,
    /// Of every request, those that the caller adds included.
    headers: HeaderMap,
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
            agents: Agents::new(&base, options)?,
            headers: common_headers(&base, options, own_header)?,
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
        let start = Instant::now();
        let request = self.build(endpoint, bearer, body).map_err(|error| Failure { error, sent: false })?;
        let context = Context {
            call_until: bounds.call_until,
            exchange_until: bounds.exchange_until.min(bounds.call_until),
            connect_timeout: self.connect_timeout,
            cancel: bounds.cancel.cloned(),
            request_size: self.request_size(endpoint, bearer, body),
            record: Record::default(),
        };
        let (result, mut record) =
            self.agents.with_current(|agent| context::scope(context, || exchange(agent, request)));
        // The transport's own account is more exact than what ureq made of it.
        let result = result.map_err(|error| Failure {
            error: match record.failure.take() {
                Some(exact) => Error { http_status: error.http_status, ..exact },
                None => error,
            },
            sent: record.sent > 0,
        });
        self.log_exchange(endpoint, bounds.attempt, &record, start.elapsed(), &result);
        result
    }

    fn build<'b>(
        &self,
        endpoint: &Endpoint,
        bearer: Option<&Secret>,
        body: &'b [u8],
    ) -> Result<Request<&'b [u8]>, Error> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.uri.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(bearer) = bearer {
            request.headers_mut().insert(AUTHORIZATION, authorization(bearer)?);
        }
        Ok(request)
    }

    fn request_size(&self, endpoint: &Endpoint, bearer: Option<&Secret>, body: &[u8]) -> usize {
        let token = bearer.map_or(0, |b| b.expose().len());
        let headers: usize = self.headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 4).sum();
        1024 + MAX_USER_AGENT + self.base.as_str().len() + endpoint.path.len() + token + headers + body.len()
    }

    fn log_exchange(
        &self,
        endpoint: &Endpoint,
        attempt: u32,
        record: &Record,
        took: Duration,
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
                "POST {} {outcome} {} us (request {attempt}, {connection} connection; name {} us, connect {} us, tls {} us)",
                endpoint.path,
                took.as_micros(),
                record.resolve_time.as_micros(),
                record.connect_time.as_micros(),
                record.tls_time.as_micros()
            ),
        );
    }
}

fn common_headers(
    base: &BaseUrl,
    options: &ClientOptions,
    own_header: Option<&str>,
) -> Result<HeaderMap, Error> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(|e| Error::internal(e.to_string()));
    let mut headers = HeaderMap::new();
    headers.insert(HOST, value(&base.host_header())?);
    headers.insert(USER_AGENT, value(&engine::user_agent(options.user_agent.as_deref())?)?);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in headers::checked(&options.headers, own_header)? {
        headers.append(name, value);
    }
    Ok(headers)
}

fn authorization(bearer: &Secret) -> Result<HeaderValue, Error> {
    let mut text = Wiped::with_capacity(7 + bearer.expose().len());
    text.extend_from_slice(b"Bearer ");
    text.extend_from_slice(bearer.expose().as_bytes());
    headers::secret_value(text)
}

fn exchange(agent: &Agent, request: Request<&[u8]>) -> Result<Answer, Error> {
    let response = agent.run(request).map_err(translate)?;
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers(), SystemTime::now());
    let is_success = (200..300).contains(&status);
    let body = check_framing(response.headers()).and_then(|()| read_body(response));
    match body {
        Ok(body) => Ok(Answer { status, retry_after, body }),
        // The status is the answer; a broken or endless error page does not change it. The
        // caller's cancel and deadline do.
        Err(error) if !is_success && !is_interruption(&error) => {
            Ok(Answer { status, retry_after, body: Wiped::default() })
        }
        Err(error) => Err(Error { http_status: Some(status), ..error }),
    }
}

/// Refuses a body whose end or meaning is in doubt. It stays unread, so the connection is dropped.
fn check_framing(headers: &HeaderMap) -> Result<(), Error> {
    if headers.contains_key(CONTENT_LENGTH) && headers.contains_key(TRANSFER_ENCODING) {
        // RFC 9112, 6.3: a sign of an attempt to smuggle a second answer.
        return Err(Error::malformed("the answer has a length and is chunked too"));
    }
    match headers.get(CONTENT_ENCODING) {
        Some(coding) if !coding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err(Error::malformed("the answer has a content coding that was not asked for"))
        }
        _ => Ok(()),
    }
}

fn is_interruption(error: &Error) -> bool {
    matches!(error.code, Code::Cancelled | Code::Timeout | Code::RequestTimeout)
}

fn read_body(response: Response<ureq::Body>) -> Result<Wiped, Error> {
    let mut reader = response.into_body().into_with_config().limit(u64::MAX).reader();
    let mut body = Wiped::from(vec![0; 512]);
    let mut filled = 0;
    loop {
        let n = reader.read(&mut body[filled..]).map_err(|e| translate(ureq::Error::from(e)))?;
        if n == 0 {
            body.truncate(filled);
            return Ok(body);
        }
        filled += n;
        if filled > MAX_BODY {
            return Err(Error::new(
                Code::AnswerTooLarge,
                format!("the answer's body exceeds {MAX_BODY} bytes"),
            ));
        }
        if filled == body.len() {
            // Growing in place could leave a copy behind in freed memory.
            let mut grown = Wiped::from(vec![0; 4 * filled]);
            grown[..filled].copy_from_slice(&body);
            body = grown;
        }
    }
}

/// What ureq's own errors mean; the transport's are recorded in the context.
fn translate(error: ureq::Error) -> Error {
    if let Ok(Some(recorded)) = context::recorded() {
        return recorded;
    }
    match error {
        ureq::Error::LargeResponseHeader(..) => too_large(),
        ureq::Error::Protocol(e) if e.to_string().contains("too many headers") => too_large(),
        ureq::Error::Protocol(e) => Error::malformed(format!("the answer is not valid HTTP: {e}")),
        ureq::Error::Http(e) => Error::malformed(format!("the answer is not valid HTTP: {e}")),
        ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::new(Code::ConnectionLost, "the connection ended before a whole answer had arrived")
        }
        ureq::Error::BodyStalled => Error::new(Code::ConnectionLost, "the answer's body ended early"),
        other => Error::internal(format!("the HTTP client failed: {other}")),
    }
}

fn too_large() -> Error {
    Error::new(Code::AnswerTooLarge, format!("the answer's header exceeds {MAX_HEADER} bytes or 128 lines"))
}

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), at most a day.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    const MAX: Duration = Duration::from_secs(24 * 60 * 60);
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(text.parse().map_or(MAX, Duration::from_secs).min(MAX));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default().min(MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(value: &str, now: SystemTime) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        retry_after(&headers, now)
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let then = httpdate::parse_http_date(date).unwrap();
        let before = then - Duration::from_secs(5);
        assert_eq!(told("7", before), Some(Duration::from_secs(7)));
        assert_eq!(told(date, before), Some(Duration::from_secs(5)));
        assert_eq!(told(date, then + Duration::from_secs(1)), Some(Duration::ZERO));
        assert_eq!(told("99999999999999999999999", before), Some(Duration::from_secs(86_400)));
        for garbage in ["-1", "1.5", "soon", ""] {
            assert_eq!(told(garbage, before), None, "{garbage}");
        }
    }
}
