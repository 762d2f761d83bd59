//! The head of an answer, a server's or a proxy's: how it is read, how large it may be, and what it
//! says of the body and of when to come again.

use std::time::Duration;

use ureq::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, DATE, RETRY_AFTER, TRANSFER_ENCODING};
use ureq::http::{Response, Version};
use ureq_proto::client::MAX_RESPONSE_HEADERS;
use ureq_proto::parser::try_parse_response;

use crate::error::{Code, Error};
use crate::http::MAX_HEADER;

/// Reads the head at the start of `input`, as the engine does: its size, and what it says. `None`:
/// more of it is to come.
pub(super) fn parse(input: &[u8]) -> Result<Option<(usize, Response<()>)>, Error> {
    let parsed = try_parse_response::<MAX_RESPONSE_HEADERS>(input).map_err(not_http)?;
    check_size(parsed.as_ref().map_or(input.len(), |(size, _)| *size))?;
    Ok(parsed)
}

/// Of a head, or of what has come of one.
pub(super) fn check_size(size: usize) -> Result<(), Error> {
    if size > MAX_HEADER { Err(header_too_large()) } else { Ok(()) }
}

pub(super) fn not_http(error: ureq_proto::Error) -> Error {
    match error {
        ureq_proto::Error::HttpParseTooManyHeaders => header_too_large(),
        other => Error::malformed(format!("the answer is not valid HTTP: {other}")),
    }
}

pub(super) fn header_too_large() -> Error {
    let most = format!("{MAX_HEADER} bytes or {MAX_RESPONSE_HEADERS} lines");
    Error::new(Code::AnswerTooLarge, format!("the answer's header exceeds {most}"))
}

/// Read in one go: a search of the map for one name costs as much as this does for all.
#[derive(Default)]
pub(super) struct Head<'a> {
    has_length: bool,
    transfer: Transfer,
    is_encoded: bool,
    retry_after: Option<&'a str>,
    date: Option<&'a str>,
}

/// What is told of how the body is transferred.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Transfer {
    #[default]
    Plain,
    Chunked,
    /// In some way that was not asked for, or that leaves room for opinions.
    Other,
}

impl<'a> Head<'a> {
    pub(super) fn read(response: &'a Response<()>) -> Self {
        let mut head = Head::default();
        for (name, value) in response.headers() {
            if *name == CONTENT_LENGTH {
                head.has_length = true;
            } else if *name == TRANSFER_ENCODING {
                let is_chunked = value.as_bytes().eq_ignore_ascii_case(b"chunked");
                let is_sound = is_chunked && head.transfer == Transfer::Plain;
                head.transfer = if is_sound { Transfer::Chunked } else { Transfer::Other };
            } else if *name == CONTENT_ENCODING {
                head.is_encoded |= !is_no_coding(value.as_bytes());
            } else if *name == RETRY_AFTER {
                head.retry_after = head.retry_after.or(value.to_str().ok());
            } else if *name == DATE {
                head.date = head.date.or(value.to_str().ok());
            }
        }
        // HTTP/1.0 has no chunks (RFC 9112, 6.1).
        if head.transfer == Transfer::Chunked && response.version() == Version::HTTP_10 {
            head.transfer = Transfer::Other;
        }
        head
    }

    /// Refuses a body whose end or meaning is in doubt. It stays unread, so the connection is dropped.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.transfer == Transfer::Other {
            return Err(Error::malformed("the answer has a transfer coding other than chunked"));
        }
        if self.has_length && self.transfer == Transfer::Chunked {
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

/// A list of nothing but "identity", or of nothing at all.
fn is_no_coding(codings: &[u8]) -> bool {
    let mut codings = codings.split(|b| *b == b',').map(<[u8]>::trim_ascii);
    codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"))
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

    /// The answer with these lines, in `version`; whether its body is refused.
    fn refused(version: &str, lines: &[&str]) -> bool {
        let head = format!("HTTP/{version} 200 OK\r\n{}\r\n", lines.join("\r\n") + "\r\n");
        let (_, response) = parse(head.replace("\r\n\r\n\r\n", "\r\n\r\n").as_bytes()).unwrap().unwrap();
        Head::read(&response).check().is_err()
    }

    #[test]
    fn every_content_coding_that_is_told_must_be_none() {
        for codings in ["", "identity", "Identity,IDENTITY", " , identity ,", ","] {
            let line = format!("Content-Encoding: {codings}");
            assert!(!refused("1.1", &[&line]) && !refused("1.1", &[&line, &line]), "{codings}");
        }
        for codings in
            ["gzip", "identity, gzip", "gzip,", "identityx", "x-identity", "identity identity", "\u{e9}"]
        {
            let line = format!("Content-Encoding: {codings}");
            assert!(refused("1.1", &[&line]), "{codings}");
            assert!(refused("1.1", &["Content-Encoding: identity", &line]), "{codings}");
        }
    }

    #[test]
    fn the_one_transfer_coding_is_chunked() {
        for coding in ["chunked", "Chunked", "CHUNKED"] {
            let line = format!("Transfer-Encoding: {coding}");
            assert!(!refused("1.1", &[&line]), "{coding}");
            assert!(refused("1.0", &[&line]), "{coding}");
            assert!(refused("1.1", &[&line, &line]), "{coding}");
            assert!(refused("1.1", &[&line, "Content-Length: 5"]), "{coding}");
        }
        for coding in ["", "gzip", "xchunked", "identity", "chunked, gzip", "gzip, chunked", "chunked,"] {
            let line = format!("Transfer-Encoding: {coding}");
            for lines in [vec![&*line], vec![&line, "Transfer-Encoding: chunked"]] {
                assert!(refused("1.1", &lines) && refused("1.0", &lines), "{lines:?}");
            }
        }
    }

    #[test]
    fn a_head_is_bounded_in_bytes_and_lines() {
        let head = |lines: usize, size: usize| {
            let head = format!("HTTP/1.1 200 OK\n{}X: ", "A:\n".repeat(lines - 1));
            head.clone() + &"x".repeat(size - head.len() - 2) + "\n\n"
        };
        let most = head(MAX_RESPONSE_HEADERS, MAX_HEADER);
        assert_eq!(parse(most.as_bytes()).unwrap().unwrap().0, MAX_HEADER);
        assert!(parse(&most.as_bytes()[..MAX_HEADER - 1]).unwrap().is_none());
        for head in [head(MAX_RESPONSE_HEADERS + 1, 1000), head(1, MAX_HEADER + 1), head(1, MAX_HEADER + 2)] {
            let unfinished = &head.as_bytes()[..head.len() - 1];
            assert_eq!(parse(head.as_bytes()).unwrap_err().code, Code::AnswerTooLarge);
            assert!(parse(unfinished).is_err() || unfinished.len() <= MAX_HEADER);
        }
    }
}
