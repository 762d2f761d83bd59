//! One connection: its socket, TLS if there is any, and its buffers.

use std::fmt;
use std::io::ErrorKind;

use crate::error::{Code, Error};
use crate::http::buffers::Buffers;
use crate::http::exchange_context::ExchangeContext;
use crate::http::idle_state::IdleState;
use crate::http::socket_wait::{receive_some, receiving_may_wait, send_some, wait, wait_to_send};
use crate::http::tls_session::TlsSession;
use crate::sys::{self, Interest, Socket};

/// What may stay unread while the end of a chunk's line, or of a trailer's, is waited for.
const MAX_UNREAD: usize = 64 * 1024;

/// One connection.
pub(crate) struct Connection {
    stream: Socket,
    tls: Option<TlsSession>,
    pub(crate) buffers: Buffers,
    /// An exchange failed on it.
    broken: bool,
    /// Of the pool, when it was opened.
    pub(super) epoch: u32,
}

impl Connection {
    /// Over a socket that has connected. `epoch`: the pool's, before that.
    pub(super) fn new(stream: Socket, tls: Option<TlsSession>, epoch: u32) -> Self {
        Connection { stream, tls, buffers: Buffers::default(), broken: false, epoch }
    }

    /// Sends what its buffer holds.
    pub(crate) async fn flush(&mut self, context: &mut ExchangeContext<'_>) -> Result<(), Error> {
        let result = self.send_held(context).await;
        self.broken |= result.is_err();
        result
    }

    /// Reads at least one byte into the input buffer; `false` at the end of the stream.
    pub(crate) async fn fill(&mut self, context: &mut ExchangeContext<'_>) -> Result<bool, Error> {
        loop {
            let result = self.receive(context).await;
            if result.as_ref().is_err_and(|error| context.goes_on_after(error)) {
                continue;
            }
            self.broken |= result.is_err();
            return result;
        }
    }

    async fn send_held(&mut self, context: &mut ExchangeContext<'_>) -> Result<(), Error> {
        if self.buffers.held().is_empty() {
            return Ok(());
        }
        // A call that has ended already must not leave a push behind.
        let checked = context.deadline().check();
        let mut checked = checked.map_err(|why| context.wait_failed(why, "sending the request"));
        if checked.is_ok() && context.record.connected {
            // A pooled one was looked at when it was taken.
            checked = self.has_input().map(|early| context.record.early = early);
        }
        let result = match checked {
            Ok(()) => self.send_bytes(context).await,
            Err(error) => Err(error),
        };
        self.buffers.clear_output();
        result
    }

    async fn send_bytes(&mut self, context: &mut ExchangeContext<'_>) -> Result<(), Error> {
        let held = self.buffers.held();
        if let Some(tls) = &mut self.tls {
            // From the first record on, part of the request may have been sent.
            context.record.sent += held.len();
            return tls.send(held, &self.stream, context).await;
        }
        let mut rest = held;
        while !send_some(&self.stream, &mut rest, &mut context.record.sent)? {
            wait_to_send(&self.stream, context).await?;
        }
        Ok(())
    }

    async fn receive(&mut self, context: &mut ExchangeContext<'_>) -> Result<bool, Error> {
        if self.buffers.input().len() > MAX_UNREAD {
            return Err(Error::new(Code::AnswerTooLarge, "the answer has a line without end"));
        }
        let amount = match &mut self.tls {
            Some(tls) => tls.read(self.buffers.input_append_buf(), &self.stream, context).await?,
            None => {
                let doing = "waiting for the answer";
                loop {
                    let may_wait = receiving_may_wait(context);
                    if !may_wait {
                        wait(&self.stream, Interest::Read, context, doing).await?;
                    }
                    let buffer = self.buffers.input_append_buf();
                    if let Some(amount) = receive_some(&self.stream, buffer, may_wait, doing)? {
                        break amount;
                    }
                }
            }
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// Whether something is there to be read; it stays where it is.
    fn has_input(&mut self) -> Result<bool, Error> {
        match &mut self.tls {
            Some(tls) => tls.has_input(&self.stream),
            None => Ok(sys::peek(&self.stream, &mut [0]).is_ok_and(|amount| amount > 0)),
        }
    }

    /// What lies in its own buffers behind an answer.
    pub(super) fn state_of_buffers(&mut self) -> IdleState {
        if self.broken || !self.buffers.held().is_empty() {
            return IdleState::Ended;
        }
        if !self.buffers.is_input_empty() {
            return IdleState::of(self.buffers.input());
        }
        self.tls.as_mut().map_or(IdleState::Quiet, TlsSession::state_of_buffers)
    }

    /// What has come in since, without waiting. Its own buffers hold nothing.
    pub(super) fn state_of_socket(&mut self) -> IdleState {
        if let Some(tls) = &mut self.tls {
            return tls.state_of_socket(&self.stream);
        }
        let mut bytes = [0; 64];
        match sys::peek(&self.stream, &mut bytes) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => IdleState::Quiet,
            Ok(0) | Err(_) => IdleState::Ended,
            Ok(amount) => IdleState::of(&bytes[..amount]),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

impl Drop for Connection {
    /// Tells a TLS peer that this end is deliberate, if that needs no waiting.
    fn drop(&mut self) {
        let is_ours = self.stream.is_ours();
        // A record from a child would use the parent's keys and numbers a second time.
        if let Some(tls) = self.tls.as_mut().filter(|_| !self.broken && is_ours) {
            tls.close(&self.stream);
        }
    }
}
