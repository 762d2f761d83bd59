//! Connections: TCP, TLS, the deadline and the cancel.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Instant;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::error::{Code, Error};
use crate::http::buffers::WireBuffers;
use crate::http::connect::{ConnectError, Race};
use crate::http::context::Context;
use crate::http::idle::IdleWires;
use crate::http::proxy::Proxy;
use crate::http::resolver::{ResolveError, Resolver};
use crate::http::tls_session::TlsSession;
use crate::http::url::Host;
use crate::sys::{self, Interest, Socket};
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
    /// Opens a connection to whichever address serves first. Nothing of a request has been sent by
    /// then, so that any call may try them all.
    pub(crate) fn open(&self, context: &mut Context<'_>) -> Result<Wire, Error> {
        context.record.connected = true;
        let epoch = self.idle.epoch();
        let until = sys::instant_after(Instant::now(), context.connect_timeout);
        *context.race.get_mut() = Race::new(&self.resolve(context, until)?);
        let mut wire = self.open_any(context, until);
        // The other attempts are in vain.
        drop(context.race.take());
        match &mut wire {
            Ok(wire) => wire.epoch = epoch,
            Err(_) => self.resolver.forget(),
        }
        wire
    }

    fn resolve(&self, context: &mut Context<'_>, until: Instant) -> Result<Vec<SocketAddr>, Error> {
        let (host, port, whose) = match &self.proxy {
            Some((proxy, _)) => (&proxy.host, proxy.port, "proxy"),
            None => (&self.host, self.port, "server"),
        };
        let start = Instant::now();
        let resolved = self.resolver.resolve(host, port, &limit(context, Some(until)));
        context.record.resolve_time = start.elapsed();
        resolved.map_err(|error| match error {
            ResolveError::Interrupted(why) => {
                context.interrupted(why, Some(until), &format!("resolving the {whose}'s name"))
            }
            ResolveError::Failed(e) => {
                Error::new(Code::Dns, format!("the {whose}'s name cannot be resolved: {}", e.message))
                    .with_os_error(e.os_error)
            }
        })
    }

    fn open_any(&self, context: &mut Context<'_>, until: Instant) -> Result<Wire, Error> {
        let limit = limit(context, Some(until));
        let mut earlier: Option<Error> = None;
        loop {
            let start = Instant::now();
            let connected = context.race.get_mut().next(&limit);
            context.record.connect_time += start.elapsed();
            let stream = match connected {
                Ok(stream) => stream,
                Err(ConnectError::Interrupted(why)) => {
                    return Err(after(earlier, context.interrupted(why, Some(until), "connecting")));
                }
                // One that accepted at least got further: what it met tells more.
                Err(ConnectError::Failed(e)) => return Err(earlier.unwrap_or_else(|| cannot_connect(&e))),
            };
            let failure = match self.shake_hands(stream, context, until) {
                Ok(wire) => return Ok(wire),
                Err(failure) => failure,
            };
            let is_last = context.race.get_mut().is_over() || limit.check().is_err();
            if is_last || !failure.is_of_address {
                return Err(after(earlier, failure.error));
            }
            earlier = Some(failure.error);
        }
    }

    /// All that comes before the first request.
    fn shake_hands(
        &self,
        stream: Socket,
        context: &mut Context<'_>,
        until: Instant,
    ) -> Result<Wire, HandshakeFailure> {
        if let Some((proxy, target)) = &self.proxy {
            proxy.open_tunnel(&stream, target, context, until)?;
        }
        let mut wire = Wire { stream, tls: None, buffers: WireBuffers::default(), broken: false, epoch: 0 };
        if let Some((config, name)) = &self.tls {
            let mut session = TlsSession::new(config, name)?;
            if let Err(error) = session.shake_hands(&wire.stream, context, until) {
                let failure = HandshakeFailure::from(error);
                // Whoever shows it answered, and is likely to show it everywhere.
                let is_of_address = failure.is_of_address && !session.refused_certificate();
                return Err(HandshakeFailure { is_of_address, ..failure });
            }
            wire.tls = Some(session);
        }
        Ok(wire)
    }
}

fn cannot_connect(error: &io::Error) -> Error {
    Error::new(Code::Connect, format!("cannot connect: {error}")).with_os_error(error.raw_os_error())
}

/// Tells also what an address before met.
fn after(earlier: Option<Error>, error: Error) -> Error {
    match earlier {
        Some(earlier) if error.code != Code::Cancelled => {
            Error { message: format!("{}; at another address, {}", error.message, earlier.message), ..error }
        }
        _ => error,
    }
}

/// What happened between TCP and the first request.
struct HandshakeFailure {
    error: Error,
    /// Another address may do better.
    is_of_address: bool,
}

impl From<Error> for HandshakeFailure {
    fn from(error: Error) -> Self {
        let is_of_address = match error.code {
            Code::ConnectionLost | Code::ConnectTimeout | Code::Tls => true,
            // What a proxy answers, it would answer anywhere; but not what is no answer.
            Code::Proxy => error.http_status.is_none(),
            _ => false,
        };
        HandshakeFailure { error, is_of_address }
    }
}

/// One connection.
pub(crate) struct Wire {
    stream: Socket,
    tls: Option<TlsSession>,
    pub(crate) buffers: WireBuffers,
    /// An exchange failed on it.
    broken: bool,
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
        let is_ours = self.stream.is_ours();
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

/// Waits within those bounds. While connecting, also for another address, which ends it in vain.
pub(super) fn wait(
    stream: &TcpStream,
    interest: Interest,
    context: &Context<'_>,
    connect_until: Option<Instant>,
    doing: &str,
) -> Result<(), Error> {
    let fd = (stream.as_raw_fd(), interest);
    let limit = limit(context, connect_until);
    let waited = match connect_until {
        Some(_) => context.race.borrow_mut().wait_beside(fd, &limit),
        None => wait_alone(fd, &limit),
    };
    match waited {
        Ok(true) => Ok(()),
        Ok(false) => {
            let text =
                format!("half of the time to connect passed while {doing}, and another address accepts");
            Err(Error::new(Code::ConnectTimeout, text))
        }
        Err(ConnectError::Interrupted(why)) => Err(context.interrupted(why, connect_until, doing)),
        Err(ConnectError::Failed(e)) => {
            Err(Error::internal(format!("poll failed: {e}")).with_os_error(e.raw_os_error()))
        }
    }
}

fn wait_alone(fd: (RawFd, Interest), limit: &Limit<'_>) -> Result<bool, ConnectError> {
    limit.wait_for(&[fd])??;
    Ok(true)
}

/// Waits for input, within the same bounds, or finds that receiving may wait for it: `true`.
pub(super) fn await_input(
    stream: &TcpStream,
    context: &Context<'_>,
    connect_until: Option<Instant>,
    doing: &str,
) -> Result<bool, Error> {
    let mut limit = limit(context, connect_until);
    if connect_until.is_some() {
        limit = limit.no_later_than(context.race.borrow().alone_until(&limit));
    }
    if sys::RECEIVE_MAY_WAIT && limit.leaves_alone(sys::RECEIVE_SLICE) {
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
