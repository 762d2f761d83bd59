//! One TLS connection over a socket of ours.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::clock::Instant;
use crate::error::{Code, Error};
use crate::http::exchange_context::ExchangeContext;
use crate::http::idle_state::IdleState;
use crate::http::socket_wait::{lost, note_early_input, receiving_may_wait, wait, wait_to_send};
use crate::http::tls;
use crate::sys::{self, Interest};

/// More than any server sends unasked; a connection that has more to say is not idle.
const MAX_IDLE_READS: u32 = 16;

pub(super) struct TlsSession {
    connection: Box<ClientConnection>,
    records: Records,
    refused_certificate: bool,
}

impl TlsSession {
    pub(super) fn new(config: &Arc<ClientConfig>, name: &ServerName<'static>) -> Result<Self, Error> {
        let connection = ClientConnection::new(config.clone(), name.clone())
            .map_err(|e| Error::new(Code::Tls, tls::explain(&e)))?;
        Ok(TlsSession {
            connection: Box::new(connection),
            records: Records::default(),
            refused_certificate: false,
        })
    }

    /// Shakes hands, within the time to connect.
    pub(super) async fn shake_hands(
        &mut self,
        stream: &TcpStream,
        context: &mut ExchangeContext<'_>,
    ) -> Result<(), Error> {
        let start = Instant::now();
        while self.connection.is_handshaking() || self.connection.wants_write() {
            if self.connection.wants_write() {
                while !self.flush_some(stream)? {
                    wait_to_send(stream, context).await?;
                }
                continue;
            }
            let may_wait = receiving_may_wait(context);
            if !may_wait {
                wait(stream, Interest::Read, context, "in the TLS handshake").await?;
            }
            if self.receive(stream, may_wait)? == Received::End {
                let text = "the server closed the connection in the TLS handshake";
                return Err(Error::new(Code::ConnectionLost, text));
            }
        }
        context.record.tls_time = start.elapsed();
        Ok(())
    }

    /// The handshake failed over the certificate that the server showed.
    pub(super) fn refused_certificate(&self) -> bool {
        self.refused_certificate
    }

    /// Sends all of `bytes`.
    pub(super) async fn send(
        &mut self,
        bytes: &[u8],
        stream: &TcpStream,
        context: &mut ExchangeContext<'_>,
    ) -> Result<(), Error> {
        let mut rest = bytes;
        while !rest.is_empty() {
            // rustls takes as much as its own bounded buffer holds.
            let taken = self.connection.writer().write(rest);
            let taken = taken.map_err(|e| Error::internal(format!("TLS cannot take the request: {e}")))?;
            rest = &rest[taken..];
            while !self.flush_some(stream)? {
                wait_to_send(stream, context).await?;
            }
            if !rest.is_empty() {
                note_early_input(stream, context);
            }
        }
        Ok(())
    }

    /// Reads at least one byte of plaintext; 0 at an orderly end.
    pub(super) async fn read(
        &mut self,
        buffer: &mut [u8],
        stream: &TcpStream,
        context: &mut ExchangeContext<'_>,
    ) -> Result<usize, Error> {
        loop {
            match self.connection.reader().read(buffer) {
                Ok(n) => return Ok(n),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                // Without a closing alert somebody may have cut the answer short.
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                    let text = "the TLS connection ended without a closing alert";
                    return Err(Error::new(Code::ConnectionLost, text));
                }
                Err(e) => return Err(lost("waiting for the answer", &e)),
            }
            while !self.flush_some(stream)? {
                wait_to_send(stream, context).await?;
            }
            let may_wait = receiving_may_wait(context);
            if !may_wait {
                wait(stream, Interest::Read, context, "waiting for the answer").await?;
            }
            self.receive(stream, may_wait)?;
        }
    }

    /// Whether plaintext is there to be read; it stays where it is. Fails where the peer has ended the
    /// session already, for want of a certificate of ours, say.
    pub(super) fn has_input(&mut self, stream: &TcpStream) -> Result<bool, Error> {
        for _ in 0..MAX_IDLE_READS {
            let state = self.connection.process_new_packets();
            let state = state.map_err(|e| Error::new(Code::Tls, tls::explain(&e)))?;
            if state.plaintext_bytes_to_read() > 0 {
                return Ok(true);
            }
            if self.receive(stream, false)? != Received::Some {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is decrypted and buffered behind an answer.
    pub(super) fn state_of_buffers(&mut self) -> IdleState {
        let Ok(state) = self.connection.process_new_packets() else { return IdleState::Ended };
        if state.plaintext_bytes_to_read() > 0 {
            let mut bytes = [0; 64];
            let amount = self.connection.reader().read(&mut bytes).unwrap_or(0);
            return IdleState::of(&bytes[..amount]);
        }
        // Half a record would give its rest to the next request.
        if state.peer_has_closed() || !self.records.at_boundary() {
            IdleState::Ended
        } else {
            IdleState::Quiet
        }
    }

    /// As `state_of_buffers`, and what lies in the socket; tickets and the like are taken in.
    pub(super) fn state_of_socket(&mut self, stream: &TcpStream) -> IdleState {
        for _ in 0..MAX_IDLE_READS {
            match self.state_of_buffers() {
                IdleState::Quiet => {}
                other => return other,
            }
            match self.receive(stream, false) {
                Ok(Received::Nothing) => return IdleState::Quiet,
                Ok(Received::Some) => {}
                Ok(Received::End) | Err(_) => return IdleState::Ended,
            }
        }
        IdleState::Ended
    }

    /// Tells the peer that this end is deliberate, if that needs no waiting.
    pub(super) fn close(&mut self, stream: &TcpStream) {
        self.connection.send_close_notify();
        let _ = self.write(stream);
    }

    fn write(&mut self, stream: &TcpStream) -> io::Result<usize> {
        self.connection.write_tls(&mut Socket { stream, records: &mut self.records, may_wait: false })
    }

    /// Sends what can be sent of the records that are ready. `false`: wait, and send the others.
    fn flush_some(&mut self, stream: &TcpStream) -> Result<bool, Error> {
        while self.connection.wants_write() {
            match self.write(stream) {
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(lost("sending", &e)),
            }
        }
        Ok(true)
    }

    /// Takes in what lies in the socket, or `may_wait` for, and decrypts it.
    fn receive(&mut self, stream: &TcpStream, may_wait: bool) -> Result<Received, Error> {
        let mut socket = Socket { stream, records: &mut self.records, may_wait };
        let received = match self.connection.read_tls(&mut socket) {
            Ok(0) => Received::End,
            Ok(_) => Received::Some,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Received::Nothing),
            Err(e) => return Err(lost("in TLS", &e)),
        };
        if let Err(e) = self.connection.process_new_packets() {
            // The peer should learn why; it need not be waited for.
            let _ = self.write(stream);
            self.refused_certificate = matches!(e, rustls::Error::InvalidCertificate(_));
            return Err(Error::new(Code::Tls, tls::explain(&e)));
        }
        Ok(received)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Received {
    Nothing,
    Some,
    End,
}

/// Follows the record headers (RFC 8446, 5.1) of what is received, because rustls does not tell
/// whether it holds half a record. An idle connection that does would give the rest, an answer
/// that nobody asked for, to the next request.
#[derive(Debug, Default)]
struct Records {
    header: [u8; 5],
    header_filled: usize,
    body_left: usize,
}

impl Records {
    fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.body_left > 0 {
                let n = self.body_left.min(bytes.len());
                self.body_left -= n;
                bytes = &bytes[n..];
                continue;
            }
            let n = (self.header.len() - self.header_filled).min(bytes.len());
            self.header[self.header_filled..self.header_filled + n].copy_from_slice(&bytes[..n]);
            self.header_filled += n;
            bytes = &bytes[n..];
            if self.header_filled == self.header.len() {
                self.body_left = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
                self.header_filled = 0;
            }
        }
    }

    fn at_boundary(&self) -> bool {
        self.header_filled == 0 && self.body_left == 0
    }
}

/// The socket as rustls wants it, without SIGPIPE.
struct Socket<'a> {
    stream: &'a TcpStream,
    records: &'a mut Records,
    may_wait: bool,
}

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = sys::recv(self.stream, buffer, self.may_wait)?;
        self.records.follow(&buffer[..n]);
        Ok(n)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        sys::send(self.stream, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_followed_whatever_the_pieces() {
        let stream: Vec<u8> =
            [[23, 3, 3, 0, 3].as_slice(), b"abc", &[23, 3, 3, 0, 0], &[23, 3, 3, 1, 0], &[7; 256]].concat();
        for piece in 1..=stream.len() {
            let mut records = Records::default();
            let mut seen = 0;
            for part in stream.chunks(piece) {
                records.follow(part);
                seen += part.len();
                assert_eq!(records.at_boundary(), [8, 13, 274].contains(&seen), "{piece} {seen}");
            }
        }
    }
}
