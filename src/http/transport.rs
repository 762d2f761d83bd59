//! Connections: TCP, TLS, the deadline and the cancel.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Instant;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::error::{Code, Error};
use crate::http::buffers::WireBuffers;
use crate::http::connect::{ConnectError, connect};
use crate::http::context::Context;
use crate::http::idle::IdleWires;
use crate::http::proxy::Proxy;
use crate::http::resolver::{ResolveError, Resolver};
use crate::http::tls_session::TlsSession;
use crate::http::url::Host;
use crate::sys::{self, Interest};
use crate::time::Limit;

/// What may stay unread while the end of a chunk's line, or of a trailer's, is waited for.
const MAX_UNREAD: usize = 64 * 1024;

/// Makes connections to one client's provider.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// Present: connections go to the proxy, and through a tunnel to this "host:port".
    pub(crate) proxy: Option<(Proxy, String)>,
    /// Present: every connection is TLS, to this name.
    pub(crate) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    pub(crate) resolver: Resolver,
    pub(crate) idle: IdleWires,
}

impl Connector {
    pub(crate) fn open(&self, context: &mut Context<'_>) -> Result<Wire, Error> {
        context.record.connected = true;
        let epoch = self.idle.epoch();
        let until = sys::instant_after(Instant::now(), context.connect_timeout);
        let stream = self.open_tcp(context, until)?;
        if let Some((proxy, target)) = &self.proxy {
            proxy.open_tunnel(&stream, target, context, until)?;
        }
        let tls = match &self.tls {
            Some((config, name)) => Some(TlsSession::open(config, name, &stream, context, until)?),
            None => None,
        };
        Ok(Wire {
            stream,
            tls,
            buffers: WireBuffers::default(),
            broken: false,
            generation: sys::fork_generation(),
            epoch,
        })
    }

    fn open_tcp(&self, context: &mut Context<'_>, until: Instant) -> Result<TcpStream, Error> {
        let (host, port) = match &self.proxy {
            Some((proxy, _)) => (&proxy.host, proxy.port),
            None => (&self.host, self.port),
        };
        let start = Instant::now();
        let limit = context.exchange_limit().no_later_than(until);
        let resolved = self.resolver.resolve(host, port, &limit);
        let addresses = resolved.map_err(|error| match error {
            ResolveError::Interrupted(why) => {
                context.interrupted(why, Some(until), "resolving the server's name")
            }
            ResolveError::Failed(e) => {
                Error::new(Code::Dns, format!("the server's name cannot be resolved: {}", e.message))
                    .with_os_error(e.os_error)
            }
        })?;
        let connect_start = Instant::now();
        let connected = connect(&addresses, &limit);
        let stream = connected.map_err(|error| {
            self.resolver.forget();
            match error {
                ConnectError::Interrupted(why) => context.interrupted(why, Some(until), "connecting"),
                ConnectError::Failed(e) => {
                    Error::new(Code::Connect, format!("cannot connect: {e}")).with_os_error(e.raw_os_error())
                }
            }
        })?;
        context.record.resolve_time = connect_start - start;
        context.record.connect_time = connect_start.elapsed();
        Ok(stream)
    }
}

/// One connection.
pub(crate) struct Wire {
    stream: TcpStream,
    tls: Option<TlsSession>,
    pub(crate) buffers: WireBuffers,
    /// An exchange failed on it.
    broken: bool,
    /// The process that made it: a forked child must not touch it.
    generation: u32,
    /// Of the idle connections, when it was opened.
    pub(super) epoch: u32,
}

/// What a connection holds between two exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing: it may serve the next request.
    Quiet,
    /// It has ended, or says so: of no further use, and nothing is wrong.
    Ended,
    /// Something that nobody asked for: answers may have slipped.
    Unasked,
}

impl Look {
    /// Of bytes that came without a request. Some servers end a body with one more line end, and
    /// some say "408 Request Timeout" before they close an idle connection: neither is an answer
    /// that could be taken for another.
    pub(super) fn at(bytes: &[u8]) -> Self {
        let start = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
        let rest = &bytes[start..];
        let is_timeout = rest.starts_with(b"HTTP/1.") && rest.get(8..12) == Some(b" 408");
        if rest.is_empty() || is_timeout { Look::Ended } else { Look::Unasked }
    }
}

impl Wire {
    /// Sends what its buffer holds.
    pub(crate) fn flush(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        let result = self.send_held(context);
        self.broken |= result.is_err();
        result
    }

    /// Reads at least one byte into the input buffer; `false` at the end of the stream.
    pub(crate) fn fill(&mut self, context: &mut Context<'_>) -> Result<bool, Error> {
        let mut result = self.receive(context);
        if result.as_ref().is_err_and(|error| context.goes_on_after(error)) {
            result = self.receive(context);
        }
        self.broken |= result.is_err();
        result
    }

    fn send_held(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        if self.buffers.held().is_empty() {
            return Ok(());
        }
        // A call that has ended already must not leave a push behind.
        let checked = context.exchange_limit().check();
        let mut checked = checked.map_err(|why| context.interrupted(why, None, "sending the request"));
        if checked.is_ok() && context.record.connected {
            // A pooled one was looked at when it was taken.
            checked = self.has_input().map(|early| context.record.early.set(early));
        }
        let held = self.buffers.held();
        let result = checked.and_then(|()| match &mut self.tls {
            Some(tls) => {
                // From the first record on, part of the request may have been sent.
                context.record.sent += held.len();
                tls.send(held, &self.stream, context)
            }
            None => {
                let mut sent = 0;
                let result = send_all(&self.stream, held, context, None, &mut sent);
                context.record.sent += sent;
                result
            }
        });
        self.buffers.clear_output();
        result
    }

    fn receive(&mut self, context: &mut Context<'_>) -> Result<bool, Error> {
        if self.buffers.input().len() > MAX_UNREAD {
            return Err(Error::new(Code::AnswerTooLarge, "the answer has a line without end"));
        }
        let amount = match &mut self.tls {
            Some(tls) => tls.read(self.buffers.input_append_buf(), &self.stream, context)?,
            None => {
                let buffer = self.buffers.input_append_buf();
                read_some(&self.stream, buffer, context, None, "waiting for the answer")?
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
    pub(super) fn look_inside(&mut self) -> Look {
        if self.broken || !self.buffers.held().is_empty() {
            return Look::Ended;
        }
        if !self.buffers.is_input_empty() {
            return Look::at(self.buffers.input());
        }
        self.tls.as_mut().map_or(Look::Quiet, TlsSession::look_inside)
    }

    /// What has come in since, without waiting. Its own buffers hold nothing.
    pub(super) fn look_now(&mut self) -> Look {
        if let Some(tls) = &mut self.tls {
            return tls.look_now(&self.stream);
        }
        let mut bytes = [0; 64];
        match sys::peek(&self.stream, &mut bytes) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => Look::Quiet,
            Ok(0) | Err(_) => Look::Ended,
            Ok(amount) => Look::at(&bytes[..amount]),
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

impl Drop for Wire {
    /// Tells a TLS peer that this end is deliberate, if that needs no waiting.
    fn drop(&mut self) {
        let is_ours = self.generation == sys::fork_generation();
        // A record from a child would use the parent's keys and numbers a second time.
        if let Some(tls) = self.tls.as_mut().filter(|_| !self.broken && is_ours) {
            tls.close(&self.stream);
        }
    }
}

/// The exchange's bounds and, while connecting, no longer than `connect_until`.
fn limit<'a>(context: &Context<'a>, connect_until: Option<Instant>) -> Limit<'a> {
    let limit = context.exchange_limit();
    connect_until.map_or(limit, |until| limit.no_later_than(until))
}

/// Waits within those bounds.
pub(super) fn wait(
    stream: &TcpStream,
    interest: Interest,
    context: &Context<'_>,
    connect_until: Option<Instant>,
    doing: &str,
) -> Result<(), Error> {
    match limit(context, connect_until).wait_for(&[(stream.as_raw_fd(), interest)]) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(why)) => Err(context.interrupted(why, connect_until, doing)),
        Err(e) => Err(Error::internal(format!("poll failed: {e}")).with_os_error(e.raw_os_error())),
    }
}

/// Waits for input, within the same bounds, or finds that receiving may wait for it: `true`.
pub(super) fn await_input(
    stream: &TcpStream,
    context: &Context<'_>,
    connect_until: Option<Instant>,
    doing: &str,
) -> Result<bool, Error> {
    if sys::RECEIVE_MAY_WAIT && limit(context, connect_until).leaves_alone(sys::RECEIVE_SLICE) {
        return Ok(true);
    }
    wait(stream, Interest::Read, context, connect_until, doing).map(|()| false)
}

/// Sends all of `bytes`, and counts in `sent` what the system has taken.
pub(super) fn send_all(
    stream: &TcpStream,
    mut bytes: &[u8],
    context: &Context<'_>,
    connect_until: Option<Instant>,
    sent: &mut usize,
) -> Result<(), Error> {
    while !bytes.is_empty() {
        match sys::send(stream, bytes) {
            Ok(n) => {
                *sent += n;
                bytes = &bytes[n..];
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                wait(stream, Interest::Write, context, connect_until, "sending")?;
                look_for_early_input(stream, context);
            }
            Err(e) => return Err(lost("sending", &e)),
        }
    }
    Ok(())
}

/// Reads at least one byte; 0 at the end of the stream.
pub(super) fn read_some(
    stream: &TcpStream,
    buffer: &mut [u8],
    context: &Context<'_>,
    connect_until: Option<Instant>,
    doing: &str,
) -> Result<usize, Error> {
    loop {
        let may_wait = await_input(stream, context, connect_until, doing)?;
        match sys::recv(stream, buffer, may_wait) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(lost(doing, &e)),
            Ok(n) => return Ok(n),
        }
    }
}

pub(super) fn lost(doing: &str, error: &io::Error) -> Error {
    Error::new(Code::ConnectionLost, format!("the connection was lost while {doing}: {error}"))
        .with_os_error(error.raw_os_error())
}

/// Notes what has come in while part of the request is still to be sent.
pub(super) fn look_for_early_input(stream: &TcpStream, context: &Context<'_>) {
    if sys::peek(stream, &mut [0]).is_ok_and(|amount| amount > 0) {
        context.record.early.set(true);
    }
}
