//! Reading requests; their heads by `httparse`.

use std::io;
use std::time::{Duration, Instant};

use crate::connection::Connection;

/// A token may have 16,384 characters; everything else in a head is small.
const MOST_HEAD: usize = 64 * 1024;
const MOST_HEADERS: usize = 100;
const MOST_BODY: usize = 1024 * 1024;

pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) keep_alive: bool,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }

    pub(crate) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The only value of a header; `None` if there is none, or more than one: two are an ambiguity.
    pub(crate) fn only(&self, name: &str) -> Option<&str> {
        let mut values = self.all(name);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The media type in small letters, without a character set; empty if there is none, or more than one.
    pub(crate) fn kind(&self) -> String {
        let kind = self.only("content-type").unwrap_or("").split(';').next().unwrap_or("");
        kind.trim().to_ascii_lowercase()
    }

    pub(crate) fn is_json(&self) -> bool {
        self.kind() == "application/json"
    }
}

/// Why there is no request.
pub(crate) enum NoRequest {
    /// The connection is at its end, idle for too long, or broken.
    Gone,
    /// What came is not a request; the status to say so with.
    Bad(u16, &'static str),
}

impl From<io::Error> for NoRequest {
    fn from(_: io::Error) -> NoRequest {
        NoRequest::Gone
    }
}

fn bad<T>(status: u16, why: &'static str) -> Result<T, NoRequest> {
    Err(NoRequest::Bad(status, why))
}

/// How long a client may take.
#[derive(Clone, Copy)]
pub(crate) struct Timeouts {
    /// Until the first byte.
    pub(crate) idle: Duration,
    /// From the first byte of a request, or of TLS' handshake, to its last.
    pub(crate) request: Duration,
}

/// Reads requests off one connection; what came too early waits in the buffer.
#[derive(Default)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    /// The next request.
    pub(crate) fn next(
        &mut self,
        connection: &mut Connection,
        timeouts: Timeouts,
    ) -> Result<Request, NoRequest> {
        if self.buffer.is_empty() {
            self.fill(connection, Instant::now() + timeouts.idle)?;
        }
        let deadline = Instant::now() + timeouts.request;
        let mut request = loop {
            if let Some((request, length)) = parse_head(&self.buffer)? {
                self.buffer.drain(..length);
                break request;
            }
            if self.buffer.len() > MOST_HEAD {
                return bad(431, "the head is too large");
            }
            self.fill(connection, deadline)?;
        };
        request.body = match framing(&request)? {
            Framing::Length(length) => self.take(connection, length, deadline)?,
            Framing::Chunked => self.take_chunks(connection, deadline)?,
        };
        Ok(request)
    }

    fn fill(&mut self, connection: &mut Connection, deadline: Instant) -> Result<(), NoRequest> {
        let mut bytes = [0; 8192];
        match connection.read_before(&mut bytes, deadline)? {
            0 => Err(NoRequest::Gone),
            got => {
                self.buffer.extend_from_slice(&bytes[..got]);
                Ok(())
            }
        }
    }

    fn take(
        &mut self,
        connection: &mut Connection,
        length: usize,
        deadline: Instant,
    ) -> Result<Vec<u8>, NoRequest> {
        while self.buffer.len() < length {
            self.fill(connection, deadline)?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn take_chunks(&mut self, connection: &mut Connection, deadline: Instant) -> Result<Vec<u8>, NoRequest> {
        let mut body = Vec::new();
        loop {
            let size = self.take_chunk_size(connection, deadline)?;
            if size == 0 {
                self.skip_trailers(connection, deadline)?;
                return Ok(body);
            }
            if body.len() + size > MOST_BODY {
                return bad(413, "the body is too large");
            }
            body.extend(self.take(connection, size, deadline)?);
            if self.take(connection, 2, deadline)? != b"\r\n" {
                return bad(400, "a chunk does not end where it said");
            }
        }
    }

    fn take_chunk_size(
        &mut self,
        connection: &mut Connection,
        deadline: Instant,
    ) -> Result<usize, NoRequest> {
        loop {
            match httparse::parse_chunk_size(&self.buffer) {
                Err(_) => return bad(400, "not a chunk size"),
                Ok(httparse::Status::Complete((used, size))) => {
                    self.buffer.drain(..used);
                    // Checked before it is added to anything.
                    let size = usize::try_from(size).ok().filter(|size| *size <= MOST_BODY);
                    return size.ok_or(NoRequest::Bad(413, "the body is too large"));
                }
                Ok(httparse::Status::Partial) if self.buffer.len() > MOST_HEAD => {
                    return bad(400, "a chunk's line is too long");
                }
                Ok(httparse::Status::Partial) => self.fill(connection, deadline)?,
            }
        }
    }

    fn skip_trailers(&mut self, connection: &mut Connection, deadline: Instant) -> Result<(), NoRequest> {
        let mut skipped = 0;
        loop {
            let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") else {
                if self.buffer.len() > MOST_HEAD {
                    return bad(431, "the trailer is too large");
                }
                self.fill(connection, deadline)?;
                continue;
            };
            self.buffer.drain(..end + 2);
            skipped += end;
            if end == 0 {
                return Ok(());
            }
            if skipped > MOST_HEAD {
                return bad(431, "the trailer is too large");
            }
        }
    }
}

/// The head if it is complete, and its length.
fn parse_head(bytes: &[u8]) -> Result<Option<(Request, usize)>, NoRequest> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return bad(431, "too many headers"),
        Err(_) => return bad(400, "not an HTTP request"),
    };
    if length > MOST_HEAD {
        return bad(431, "the head is too large");
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let request = Request {
        method: head.method.unwrap_or("").to_owned(),
        target: head.path.unwrap_or("").to_owned(),
        headers: head.headers.iter().map(|h| (h.name.to_owned(), text(h.value))).collect(),
        body: Vec::new(),
        keep_alive: false,
    };
    let modern = head.version == Some(1);
    if modern && request.only("host").is_none() {
        return bad(400, "there must be one Host");
    }
    let closes = request.all("connection").any(|value| value.to_ascii_lowercase().contains("close"));
    Ok(Some((Request { keep_alive: modern && !closes, ..request }, length)))
}

enum Framing {
    Length(usize),
    Chunked,
}

fn framing(request: &Request) -> Result<Framing, NoRequest> {
    let encoded = request.all("transfer-encoding").next().is_some();
    let measured = request.all("content-length").next().is_some();
    if encoded && measured {
        return bad(400, "both Content-Length and Transfer-Encoding");
    }
    if encoded {
        let chunked = request.only("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
        return if chunked { Ok(Framing::Chunked) } else { bad(501, "no such transfer coding") };
    }
    if !measured {
        return Ok(Framing::Length(0));
    }
    let digits = request.only("content-length").unwrap_or("");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return bad(400, "not a Content-Length");
    }
    match digits.parse() {
        Ok(length) if length <= MOST_BODY => Ok(Framing::Length(length)),
        _ => bad(413, "the body is too large"),
    }
}
