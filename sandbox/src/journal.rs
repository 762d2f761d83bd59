//! The log of provider requests: what a test needs to prove what was sent, or that nothing was.

use std::collections::{HashMap, VecDeque};

/// A request as it arrived, read to its end. The phone page's own requests are not logged.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedRequest {
    /// As in `POST`.
    pub method: String,
    /// The target without its query.
    pub path: String,
    /// The target as sent.
    pub target: String,
    /// Names and values as sent, in their order.
    pub headers: Vec<(String, String)>,
    /// Chunks are already put together.
    pub body: Vec<u8>,
    /// Which connection it came on, counted from 1.
    pub connection: u64,
}

impl LoggedRequest {
    /// The value of a header, its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// So many requests are kept; the counters go on.
const KEPT: usize = 1000;
/// And so many bytes of bodies.
const KEPT_BYTES: usize = 64 * 1024 * 1024;
/// So many paths have a counter of their own: a client that makes up paths cannot fill the memory.
const PATHS: usize = 1000;

#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) requests: VecDeque<LoggedRequest>,
    pub(crate) total: u64,
    pub(crate) connections: u64,
    paths: HashMap<String, u64>,
    bytes: usize,
}

impl Journal {
    pub(crate) fn add(&mut self, request: LoggedRequest) {
        self.total += 1;
        if self.paths.len() < PATHS || self.paths.contains_key(&request.path) {
            *self.paths.entry(request.path.clone()).or_default() += 1;
        }
        self.bytes += request.body.len();
        self.requests.push_back(request);
        while self.requests.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.requests.pop_front() else { break };
            self.bytes -= oldest.body.len();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.requests.clear();
        self.bytes = 0;
    }

    pub(crate) fn count(&self, path: Option<&str>) -> u64 {
        match path {
            None => self.total,
            Some(path) => self.paths.get(path).copied().unwrap_or(0),
        }
    }
}
