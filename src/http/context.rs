//! What the exchange on this thread is bounded by, and what became of it.
//!
//! ureq hands a pooled connection out without asking the connector, and its errors do not say
//! whether a byte of the request was sent. So both travel beside it, in a thread-local that is
//! set for the length of one exchange. A log callback may start another call on this thread; the
//! scope then puts the outer one back.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use crate::error::{Code, Error};
use crate::time::{Cancel, Interrupted, Limit};

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// One exchange: its bounds, and its record.
#[derive(Debug)]
pub(crate) struct Context {
    /// The call's own deadline.
    pub(crate) call_until: Instant,
    /// The end of this exchange, never after `call_until`.
    pub(crate) exchange_until: Instant,
    pub(crate) connect_timeout: Duration,
    pub(crate) cancel: Option<Cancel>,
    /// Room to make for the request, so that it goes out in one write.
    pub(crate) request_size: usize,
    pub(crate) record: Record,
}

/// What became of an exchange.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Bytes of the request that were handed to the system (not the TLS handshake's).
    pub(crate) sent: usize,
    /// The first failure, more exact than what ureq makes of it.
    pub(crate) failure: Option<Error>,
    /// A new connection was made; `false`: a pooled one served.
    pub(crate) connected: bool,
    pub(crate) resolve_time: Duration,
    pub(crate) connect_time: Duration,
    pub(crate) tls_time: Duration,
}

impl Context {
    pub(crate) fn exchange_limit(&self) -> Limit<'_> {
        Limit { until: self.exchange_until, cancel: self.cancel.as_ref() }
    }

    /// Keeps the first failure and gives ureq something to pass on.
    pub(crate) fn fail(&mut self, error: Error) -> ureq::Error {
        let text = error.message.clone();
        self.record.failure.get_or_insert(error);
        ureq::Error::Io(std::io::Error::other(text))
    }

    /// The error for a wait that was bounded by the exchange's end, or, while connecting, by
    /// `connect_until`.
    pub(crate) fn interrupted(&self, why: Interrupted, connect_until: Option<Instant>, doing: &str) -> Error {
        if why == Interrupted::Cancelled {
            return Error::new(Code::Cancelled, format!("cancelled while {doing}"));
        }
        let code = match connect_until {
            Some(until) if until < self.exchange_until => Code::ConnectTimeout,
            _ if self.exchange_until < self.call_until => Code::RequestTimeout,
            _ => Code::Timeout,
        };
        let what = match code {
            Code::ConnectTimeout => "the time to connect",
            Code::RequestTimeout => "the time for one request",
            _ => "the call's deadline",
        };
        Error::new(code, format!("{what} passed while {doing}"))
    }
}

/// Runs `work` with `context` as this thread's current one, and returns its record.
pub(crate) fn scope<T>(context: Context, work: impl FnOnce() -> T) -> (T, Record) {
    let _outer = Outer(CURRENT.replace(Some(context)));
    let result = work();
    let record = CURRENT.take().map(|c| c.record).unwrap_or_default();
    (result, record)
}

/// Puts the outer exchange back, also when a panic unwinds.
struct Outer(Option<Context>);

impl Drop for Outer {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// Gives access to the current exchange. Outside of one there is nothing to do I/O for.
pub(crate) fn current<T>(
    use_it: impl FnOnce(&mut Context) -> Result<T, ureq::Error>,
) -> Result<T, ureq::Error> {
    CURRENT.with_borrow_mut(|context| match context {
        Some(context) => use_it(context),
        None => Err(ureq::Error::Io(std::io::Error::other("no exchange is under way"))),
    })
}

/// How large the current exchange's request will be.
pub(crate) fn request_size() -> usize {
    CURRENT.with_borrow(|context| context.as_ref().map_or(0, |c| c.request_size))
}

/// The failure that the transport recorded for the current exchange.
pub(crate) fn recorded() -> Result<Option<Error>, ureq::Error> {
    current(|context| Ok(context.record.failure.clone()))
}
