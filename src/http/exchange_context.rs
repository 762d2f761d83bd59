//! One exchange: what bounds it, how far it is, and what became of it.

use std::time::Duration;

use crate::clock::Instant;
use crate::error::{Code, Error};
use crate::http::happy_eyeballs::Race;
use crate::sys;
use crate::time::{Deadline, WaitError};

/// An exchange under way.
#[derive(Debug)]
pub(crate) struct ExchangeContext<'a> {
    pub(super) start: Instant,
    /// Which of the call's requests it serves, counted from 1; for the log.
    pub(super) attempt: u32,
    /// The call's own deadline.
    call_until: Instant,
    /// The end of this exchange, never after `call_until`.
    exchange: Deadline<'a>,
    /// How long the answer to a request that is on its way is still read after a cancel.
    grace: Option<Grace>,
    pub(crate) phase: Phase,
    pub(crate) record: ExchangeRecord,
}

/// How long the answer to a request that is on its way is still read after a cancel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grace {
    pub(crate) time: Duration,
    /// Whatever the one who cancels says.
    pub(crate) unasked: bool,
}

/// How far an exchange is.
#[derive(Debug)]
pub(crate) enum Phase {
    /// All that comes before the first request of a connection.
    Connecting {
        /// The end of the time to connect.
        until: Instant,
        /// The addresses that are left to try. Apart: most exchanges have no need of it.
        race: Box<Race>,
    },
    /// The request and its answer.
    Exchanging,
}

/// What became of an exchange.
#[derive(Debug, Default)]
pub(crate) struct ExchangeRecord {
    /// Bytes of the request that were handed to the system (not the TLS handshake's).
    pub(crate) sent: usize,
    /// A new connection was made; `false`: a pooled one served.
    pub(crate) connected: bool,
    /// Something had arrived before the last byte of the request was handed to the system: no
    /// answer to it, or to half of it.
    pub(crate) early: bool,
    /// The cancel came while the answer was waited for, and it was waited for until then.
    pub(crate) grace_until: Option<Instant>,
    pub(crate) resolve_time: Duration,
    pub(crate) connect_time: Duration,
    pub(crate) tls_time: Duration,
}

impl<'a> ExchangeContext<'a> {
    /// An exchange that begins at `start` and ends at `exchange`, no later than the call. It is the
    /// call's request of this number.
    pub(crate) fn new(
        (start, attempt): (Instant, u32),
        exchange: Deadline<'a>,
        call_until: Instant,
        grace: Option<Grace>,
    ) -> Self {
        ExchangeContext {
            start,
            attempt,
            call_until,
            exchange: exchange.no_later_than(call_until),
            grace,
            phase: Phase::Exchanging,
            record: ExchangeRecord::default(),
        }
    }

    /// The deadline of what is under way: the exchange's and, while connecting, no later than the end
    /// of the time for that.
    pub(crate) fn deadline(&self) -> Deadline<'a> {
        match &self.phase {
            Phase::Connecting { until, .. } => self.exchange.no_later_than(*until),
            Phase::Exchanging => self.exchange,
        }
    }

    /// The error of a wait that was bounded by `deadline`.
    pub(crate) fn wait_failed(&self, why: WaitError, doing: &str) -> Error {
        // Whoever finds both past says "cancelled": that is the caller's latest wish.
        let is_cancelled = self.exchange.is_cancelled() || self.record.grace_until.is_some();
        match why {
            WaitError::Failed(e) => {
                Error::internal(format!("poll failed: {e}")).with_os_error(e.raw_os_error())
            }
            WaitError::Elapsed if !is_cancelled => self.elapsed(doing),
            WaitError::Elapsed | WaitError::Cancelled => {
                Error::new(Code::Cancelled, format!("cancelled while {doing}"))
            }
        }
    }

    fn elapsed(&self, doing: &str) -> Error {
        let (code, what) = match self.phase {
            Phase::Connecting { until, .. } if until < self.exchange.until => {
                (Code::ConnectTimeout, "the time to connect")
            }
            _ if self.exchange.until < self.call_until => (Code::RequestTimeout, "the time for one request"),
            _ => (Code::Timeout, "the call's deadline"),
        };
        Error::new(code, format!("{what} passed while {doing}"))
    }

    /// Whether `error` is a cancel after which the answer is still read: for a while, and once.
    pub(crate) fn goes_on_after(&mut self, error: &Error) -> bool {
        if error.code != Code::Cancelled || self.record.sent == 0 {
            return false;
        }
        let Some(grace) = self.grace.take() else { return false };
        if !grace.unasked && !self.exchange.driver.withdraws() {
            return false;
        }
        let until = self.exchange.until.min(sys::instant_after(Instant::now(), grace.time));
        self.exchange = Deadline { until, cancel: None, ..self.exchange };
        self.record.grace_until = Some(until);
        true
    }
}
