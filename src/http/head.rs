//! What an answer's header says of its body, and of when to come again.

use std::time::{Duration, SystemTime};

use ureq::http::HeaderMap;
use ureq::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, RETRY_AFTER, TRANSFER_ENCODING};

use crate::error::Error;

/// Read in one go: a search of the map for one name costs as much as this does for all.
#[derive(Default)]
pub(super) struct Head<'a> {
    has_length: bool,
    has_transfer_encoding: bool,
    is_encoded: bool,
    retry_after: Option<&'a str>,
}

impl<'a> Head<'a> {
    pub(super) fn read(headers: &'a HeaderMap) -> Self {
        let mut head = Head::default();
        for (name, value) in headers {
            if *name == CONTENT_LENGTH {
                head.has_length = true;
            } else if *name == TRANSFER_ENCODING {
                head.has_transfer_encoding = true;
            } else if *name == CONTENT_ENCODING {
                head.is_encoded |= !value.as_bytes().eq_ignore_ascii_case(b"identity");
            } else if *name == RETRY_AFTER {
                head.retry_after = head.retry_after.or(value.to_str().ok());
            }
        }
        head
    }

    /// Refuses a body whose end or meaning is in doubt. It stays unread, so the connection is dropped.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.has_length && self.has_transfer_encoding {
            // RFC 9112, 6.3: a sign of an attempt to smuggle a second answer.
            return Err(Error::malformed("the answer has a length and is chunked too"));
        }
        if self.is_encoded {
            return Err(Error::malformed("the answer has a content coding that was not asked for"));
        }
        Ok(())
    }

    pub(super) fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        read_retry_after(self.retry_after?, now)
    }
}

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), at most a day.
fn read_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    const MAX: Duration = Duration::from_secs(24 * 60 * 60);
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(text.parse().map_or(MAX, Duration::from_secs).min(MAX));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default().min(MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let then = httpdate::parse_http_date(date).unwrap();
        let before = then - Duration::from_secs(5);
        let read = read_retry_after;
        assert_eq!(read("7", before), Some(Duration::from_secs(7)));
        assert_eq!(read(date, before), Some(Duration::from_secs(5)));
        assert_eq!(read(date, then + Duration::from_secs(1)), Some(Duration::ZERO));
        assert_eq!(read("99999999999999999999999", before), Some(Duration::from_secs(86_400)));
        for garbage in ["-1", "1.5", "soon", ""] {
            assert_eq!(read(garbage, before), None, "{garbage}");
        }
    }

    #[test]
    fn every_coding_that_is_told_must_be_none() {
        let refused = |codings: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for coding in codings {
                headers.append(CONTENT_ENCODING, coding.parse().unwrap());
            }
            Head::read(&headers).check().is_err()
        };
        assert!(!refused(&[]) && !refused(&["identity"]) && !refused(&["Identity", "identity"]));
        assert!(refused(&["gzip"]) && refused(&["identity", "gzip"]) && refused(&["identity, gzip"]));
    }
}
