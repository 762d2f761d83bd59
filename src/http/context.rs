//! What an exchange is bounded by, and what became of it.

use std::time::{Duration, Instant};

use crate::error::{Code, Error};
use crate::time::{Cancel, Interrupted, Limit};

/// One exchange: its bounds, and its record.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// The call's own deadline.
    pub(crate) call_until: Instant,
    /// The end of this exchange, never after `call_until`.
    pub(crate) exchange_until: Instant,
    pub(crate) connect_timeout: Duration,
    pub(crate) cancel: Option<&'a Cancel>,
    pub(crate) record: Record,
}

/// What became of an exchange.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Bytes of the request that were handed to the system (not the TLS handshake's).
    pub(crate) sent: usize,
    /// A new connection was made; `false`: a pooled one served.
    pub(crate) connected: bool,
    pub(crate) resolve_time: Duration,
    pub(crate) connect_time: Duration,
    pub(crate) tls_time: Duration,
}

impl<'a> Context<'a> {
    pub(crate) fn exchange_limit(&self) -> Limit<'a> {
        Limit { until: self.exchange_until, cancel: self.cancel }
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
