//! What an answer's header says of its body, and of when to come again.

use std::time::Duration;

use ureq::http::HeaderMap;
use ureq::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, DATE, RETRY_AFTER, TRANSFER_ENCODING};

use crate::error::Error;

/// Read in one go: a search of the map for one name costs as much as this does for all.
#[derive(Default)]
pub(super) struct Head<'a> {
    has_length: bool,
    has_transfer_encoding: bool,
    is_encoded: bool,
    retry_after: Option<&'a str>,
    date: Option<&'a str>,
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
            } else if *name == DATE {
                head.date = head.date.or(value.to_str().ok());
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

    pub(super) fn retry_after(&self) -> Option<Duration> {
        read_retry_after(self.retry_after?, self.date)
    }
}

/// `Retry-After` in seconds, at most a day, or as a date (RFC 9110, 10.2.3).
///
/// A date counts from the answer's own `Date`, because this machine's clock may be wrong; where
/// that says nothing sensible, it is ignored.
fn read_retry_after(text: &str, date: Option<&str>) -> Option<Duration> {
    const MAX: Duration = Duration::from_secs(24 * 60 * 60);
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(text.parse().map_or(MAX, Duration::from_secs).min(MAX));
    }
    let then = httpdate::parse_http_date(text).ok()?;
    let now = httpdate::parse_http_date(date?.trim()).ok()?;
    then.duration_since(now).ok().filter(|apart| *apart <= MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_seconds() {
        let read = |text| read_retry_after(text, None);
        assert_eq!(read(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(read("99999999999999999999999"), Some(Duration::from_secs(86_400)));
        for garbage in ["-1", "1.5", "soon", "", "+1"] {
            assert_eq!(read(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn a_date_counts_from_the_answers_own() {
        let at = "Sun, 06 Nov 1994 08:49:37 GMT";
        let seconds = |date: Option<&str>| read_retry_after(at, date).map(|told| told.as_secs());
        assert_eq!(seconds(Some("Sun, 06 Nov 1994 08:49:32 GMT")), Some(5));
        assert_eq!(seconds(Some(at)), Some(0));
        assert_eq!(seconds(Some("Sat, 05 Nov 1994 08:49:37 GMT")), Some(86_400));
        // Neither a date in the past, nor more than a day, nor without a date to count from.
        for date in
            [None, Some("Sun, 06 Nov 1994 08:49:38 GMT"), Some("Sat, 05 Nov 1994 08:49:36 GMT"), Some("x")]
        {
            assert_eq!(seconds(date), None, "{date:?}");
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
