//! What an exchange is bounded by, and what became of it.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use crate::error::{Code, Error};
use crate::http::connect::Race;
use crate::sys;
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
    /// How long the answer to a request that is on its way is still read after a cancel.
    pub(crate) grace: Option<Duration>,
    /// While connecting: the addresses that are left to try.
    pub(crate) race: RefCell<Race>,
    pub(crate) record: Record,
}

/// What became of an exchange.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Bytes of the request that were handed to the system (not the TLS handshake's).
    pub(crate) sent: usize,
    /// A new connection was made; `false`: a pooled one served.
    pub(crate) connected: bool,
    /// Something had arrived before the last byte of the request was handed to the system: no
    /// answer to it, or to half of it.
    pub(crate) early: Cell<bool>,
    /// The cancel came while the answer was waited for, and it was waited for until then.
    pub(crate) grace_until: Option<Instant>,
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
        // Whoever finds both past says "cancelled": that is the caller's latest wish.
        let is_cancelled = self.cancel.is_some_and(Cancel::is_triggered) || self.record.grace_until.is_some();
        if why == Interrupted::Cancelled || is_cancelled {
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

    /// Whether `error` is a cancel after which the answer is still read: for a while, and once.
    pub(crate) fn goes_on_after(&mut self, error: &Error) -> bool {
        if error.code != Code::Cancelled || self.record.sent == 0 {
            return false;
        }
        let Some(grace) = self.grace.take() else { return false };
        self.exchange_until = self.exchange_until.min(sys::instant_after(Instant::now(), grace));
        self.record.grace_until = Some(self.exchange_until);
        self.cancel = None;
        true
    }
}
