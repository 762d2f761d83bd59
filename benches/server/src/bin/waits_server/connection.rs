//! A connection that never waits.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

/// One connection, in clear or over TLS.
pub struct Connection {
    pub stream: TcpStream,
    tls: Option<Box<ServerConnection>>,
    /// Of the next request.
    pub received: Vec<u8>,
}

impl Connection {
    pub fn new(stream: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let tls = tls.map(|config| ServerConnection::new(config.clone())).transpose();
        let tls = tls.map_err(io::Error::other)?.map(Box::new);
        Ok(Connection { stream, tls, received: Vec::new() })
    }

    /// Takes in what one look brings; if there is more, the queue says so again.
    pub fn receive(&mut self) -> io::Result<()> {
        let mut bytes = [0; 16 * 1024];
        let Some(tls) = &mut self.tls else {
            let amount = not_the_end(self.stream.read(&mut bytes)?)?;
            self.received.extend_from_slice(&bytes[..amount]);
            return Ok(());
        };
        not_the_end(tls.read_tls(&mut self.stream)?)?;
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        if state.plaintext_bytes_to_read() > 0 {
            let amount = tls.reader().read(&mut bytes)?;
            self.received.extend_from_slice(&bytes[..amount]);
        } else if state.peer_has_closed() {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        self.flush()
    }

    pub fn send(&mut self, answer: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            // Answers are small, and their reader waits for them: the socket has room.
            None => self.stream.write_all(answer),
            Some(tls) => {
                tls.writer().write_all(answer)?;
                self.flush()
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
            tls.write_tls(&mut self.stream)?;
        }
        Ok(())
    }
}

fn not_the_end(amount: usize) -> io::Result<usize> {
    if amount == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(amount) }
}
