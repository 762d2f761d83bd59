//! What a connection may hold while nothing is asked.

/// What a connection holds between two exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdleState {
    /// Nothing: it may serve the next request.
    Quiet,
    /// It has ended, or says so: of no further use, and nothing is wrong.
    Ended,
    /// Something that nobody asked for: answers may have slipped.
    Unasked,
}

impl IdleState {
    /// Of bytes that came without a request. Some servers end a body with one more line end, and
    /// some say "408 Request Timeout" before they close an idle connection: neither is an answer
    /// that could be taken for another.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let start = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
        let rest = &bytes[start..];
        let is_timeout = rest.starts_with(b"HTTP/1.") && rest.get(8..12) == Some(b" 408");
        if rest.is_empty() || is_timeout { IdleState::Ended } else { IdleState::Unasked }
    }
}
