//! What the provider's own clients send beside its documentation.
//!
//! The real server takes it, so we do; but whoever writes a client should know, so the answer says it in
//! a header of its own, and a strict sandbox refuses it.

use crate::http::Response;

/// The header that lists what was unusual. No client reads it.
const HEADER: &str = "Sandbox-Unusual";

/// What was unusual in one request.
pub(crate) struct Unusual {
    strict: bool,
    seen: Vec<String>,
}

impl Unusual {
    pub(crate) fn new(strict: bool) -> Unusual {
        Unusual { strict, seen: Vec::new() }
    }

    /// Whether it may pass; noted if so.
    pub(crate) fn allow(&mut self, what: impl Into<String>) -> bool {
        if self.strict {
            return false;
        }
        self.seen.push(what.into());
        true
    }

    /// The answer, with what was noted.
    pub(crate) fn annotate(&self, response: Response) -> Response {
        if self.seen.is_empty() {
            return response;
        }
        response.with(HEADER, self.seen.join(", "))
    }
}
