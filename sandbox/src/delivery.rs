//! Sending an answer, well or badly.

use std::io;
use std::time::Duration;

use crate::behaviour::DeliveryFault;
use crate::connection::Connection;
use crate::http::Response;
use crate::state::State;

/// "Without end" ends here, should the client really take it all.
const ENDLESS: usize = 256 * 1024 * 1024;
const PIECE: usize = 16 * 1024;

#[derive(Default)]
enum Framing {
    #[default]
    Measured,
    Chunked,
    Truncated,
    UntilClose,
    Padded(usize),
    EndlessChunks,
    EndlessHeaders,
}

#[derive(Default)]
enum Sending {
    #[default]
    Whole,
    Nothing,
    Silence,
    Drip(Duration),
    CloseMid,
    StallMid,
}

#[derive(Default)]
enum After {
    #[default]
    Nothing,
    Close,
    /// One answer too many, in the same packet or so much later.
    Extra(Extra, Option<Duration>),
}

enum Extra {
    /// The same once more.
    Again,
    Approval(Response),
}

/// How an answer is sent. The default is: well.
#[derive(Default)]
pub(crate) struct Delivery {
    slow: Duration,
    gzip: bool,
    interim: bool,
    connection_close: bool,
    framing: Framing,
    sending: Sending,
    after: After,
}

/// What becomes of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Keep,
    Close,
    Abort,
}

impl Delivery {
    pub(crate) fn new(faults: &[DeliveryFault], second: Response) -> Delivery {
        let mut delivery = Delivery::default();
        for fault in faults {
            delivery.add(*fault, &second);
        }
        delivery
    }

    /// Close without an answer.
    pub(crate) fn nothing() -> Delivery {
        Delivery { sending: Sending::Nothing, ..Delivery::default() }
    }

    fn add(&mut self, fault: DeliveryFault, second: &Response) {
        match fault {
            DeliveryFault::Slow(ms) => self.slow += Duration::from_millis(ms),
            DeliveryFault::Gzip => self.gzip = true,
            DeliveryFault::Interim => self.interim = true,
            DeliveryFault::ConnectionClose => self.connection_close = true,
            DeliveryFault::Chunked => self.framing = Framing::Chunked,
            DeliveryFault::TruncatedLength => self.framing = Framing::Truncated,
            DeliveryFault::UntilClose => self.framing = Framing::UntilClose,
            DeliveryFault::Oversize(0) => self.framing = Framing::EndlessChunks,
            DeliveryFault::Oversize(bytes) => self.framing = Framing::Padded(bytes as usize),
            DeliveryFault::EndlessHeaders => self.framing = Framing::EndlessHeaders,
            DeliveryFault::Lose => self.sending = Sending::Nothing,
            DeliveryFault::Silent => self.sending = Sending::Silence,
            DeliveryFault::Drip(ms) => self.sending = Sending::Drip(Duration::from_millis(ms)),
            DeliveryFault::CloseMid => self.sending = Sending::CloseMid,
            DeliveryFault::StallMid => self.sending = Sending::StallMid,
            DeliveryFault::CloseAfter => self.after = After::Close,
            DeliveryFault::SecondAnswer => self.after = After::Extra(Extra::Approval(second.clone()), None),
            DeliveryFault::SecondAnswerLater(ms) => {
                let pause = Duration::from_millis(ms);
                self.after = After::Extra(Extra::Approval(second.clone()), Some(pause));
            }
            DeliveryFault::AnswerAgain(ms) => {
                self.after = After::Extra(Extra::Again, Some(Duration::from_millis(ms)));
            }
        }
    }

    /// What the client does not get as the answer reads; empty if it gets it well.
    pub(crate) fn note(&self) -> &'static str {
        match (&self.sending, &self.framing) {
            (Sending::Nothing, _) => "[not sent: the connection is closed]",
            (Sending::Silence, _) => "[not sent: silence]",
            (Sending::CloseMid | Sending::StallMid, _) => "[half of it sent]",
            (Sending::Drip(_), _) => "[sent in drips]",
            (_, Framing::Truncated | Framing::EndlessChunks | Framing::EndlessHeaders) => {
                "[sent without its end]"
            }
            _ => "",
        }
    }

    /// Sends the answer; `keep` is whether the client wants the connection kept.
    pub(crate) fn send(
        self,
        mut response: Response,
        keep: bool,
        connection: &mut Connection,
        state: &State,
    ) -> io::Result<Next> {
        if !self.slow.is_zero() && !state.sleep(self.slow) {
            return Ok(Next::Abort);
        }
        match self.sending {
            Sending::Nothing => return Ok(Next::Abort),
            Sending::Silence => {
                connection.wait_for_end();
                return Ok(Next::Abort);
            }
            _ => {}
        }
        if self.interim {
            connection.send(b"HTTP/1.1 103 Early Hints\r\nX-Sandbox: interim\r\n\r\n")?;
        }
        if self.gzip {
            response.body = gzip(&response.body);
            response = response.with("Content-Encoding", "gzip");
        }
        let says_close = self.connection_close || !keep || matches!(self.framing, Framing::UntilClose);
        if says_close {
            response = response.with("Connection", "close");
        }
        match self.framing {
            Framing::EndlessHeaders => return endless_headers(&response, connection),
            Framing::EndlessChunks => return endless_chunks(response, connection),
            _ => {}
        }
        let truncated = matches!(self.framing, Framing::Truncated);
        let bytes = frame(&self.framing, response);
        let next = self.put(bytes, connection, state)?;
        Ok(match next {
            Next::Keep if truncated => Next::Abort,
            Next::Keep if says_close => Next::Close,
            other => other,
        })
    }

    fn put(self, mut bytes: Vec<u8>, connection: &mut Connection, state: &State) -> io::Result<Next> {
        let extra = match &self.after {
            After::Extra(Extra::Again, _) => bytes.clone(),
            After::Extra(Extra::Approval(approval), _) => approval.bytes(),
            _ => Vec::new(),
        };
        match self.sending {
            Sending::CloseMid => {
                connection.send(&bytes[..middle(&bytes)])?;
                return Ok(Next::Abort);
            }
            Sending::StallMid => {
                connection.send(&bytes[..middle(&bytes)])?;
                connection.wait_for_end();
                return Ok(Next::Abort);
            }
            Sending::Drip(pause) => {
                for byte in &bytes {
                    connection.send(&[*byte])?;
                    if !pause.is_zero() && !state.sleep(pause) {
                        return Ok(Next::Abort);
                    }
                }
                bytes.clear();
            }
            _ => {}
        }
        if let After::Extra(_, None) = &self.after {
            bytes.extend_from_slice(&extra);
        }
        connection.send(&bytes)?;
        match self.after {
            After::Close => Ok(Next::Close),
            After::Extra(_, Some(pause)) => {
                if !state.sleep(pause) {
                    return Ok(Next::Abort);
                }
                connection.send(&extra)?;
                Ok(Next::Keep)
            }
            _ => Ok(Next::Keep),
        }
    }
}

/// Inside the body if there is one, else inside the head.
fn middle(bytes: &[u8]) -> usize {
    let body = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
    if body == bytes.len() { body / 2 } else { body + (bytes.len() - body) / 2 }
}

fn frame(framing: &Framing, mut response: Response) -> Vec<u8> {
    if response.bodiless() {
        return response.bytes();
    }
    match framing {
        Framing::Chunked => chunked(&response),
        Framing::UntilClose => unmeasured(&response, ""),
        Framing::Truncated => {
            unmeasured(&response, &format!("Content-Length: {}\r\n", response.body.len() + 16))
        }
        Framing::Padded(size) => {
            // Blanks behind a JSON value are part of no value: the answer stays a good one.
            let size = response.body.len().max(*size);
            response.body.resize(size, b' ');
            response.bytes()
        }
        _ => response.bytes(),
    }
}

fn unmeasured(response: &Response, last_headers: &str) -> Vec<u8> {
    let mut bytes = response.head();
    bytes.extend_from_slice(last_headers.as_bytes());
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&response.body);
    bytes
}

fn chunked(response: &Response) -> Vec<u8> {
    let (first, second) = response.body.split_at(response.body.len() / 2);
    let mut bytes = response.head();
    bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\nTrailer: X-Sandbox-Trailer\r\n\r\n");
    for piece in [first, second].into_iter().filter(|piece| !piece.is_empty()) {
        bytes.extend_from_slice(format!("{:x};sandbox=yes\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\nX-Sandbox-Trailer: yes\r\n\r\n");
    bytes
}

fn endless_headers(response: &Response, connection: &mut Connection) -> io::Result<Next> {
    connection.send(&response.head())?;
    let line = format!("X-Sandbox-Endless: {}\r\n", "a".repeat(200));
    endless(line.as_bytes(), connection)
}

fn endless_chunks(mut response: Response, connection: &mut Connection) -> io::Result<Next> {
    // Still inside the JSON value: a reader that waits for its end never gets there.
    response.body.pop();
    response.body.extend_from_slice(b",\"pad\":\"");
    let mut bytes = response.head();
    bytes.extend_from_slice(
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", response.body.len()).as_bytes(),
    );
    bytes.extend_from_slice(&response.body);
    bytes.extend_from_slice(b"\r\n");
    connection.send(&bytes)?;
    let chunk = format!("400\r\n{}\r\n", "a".repeat(0x400));
    endless(chunk.as_bytes(), connection)
}

/// Ends when the client or the sandbox closes: sending fails then.
fn endless(unit: &[u8], connection: &mut Connection) -> io::Result<Next> {
    let piece = unit.repeat(PIECE / unit.len() + 1);
    let mut sent = 0;
    while sent < ENDLESS {
        connection.send(&piece)?;
        sent += piece.len();
    }
    Ok(Next::Abort)
}

/// One stored block: compression is not the point, the coding is.
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut pieces = body.chunks(0xffff).peekable();
    while let Some(piece) = pieces.next() {
        let length = piece.len() as u16;
        out.push(u8::from(pieces.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(piece);
    }
    if body.is_empty() {
        out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
    }
    out.extend_from_slice(&crc32(body).to_le_bytes());
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    };
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    #[test]
    fn crc32_of_the_usual_sample() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
    }
}
