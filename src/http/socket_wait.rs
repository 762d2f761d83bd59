//! Waiting on a socket, within the deadline of an exchange: what all that sends and receives stands on.

use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use crate::error::{Code, Error};
use crate::http::exchange_context::{ExchangeContext, Phase};
use crate::sys::{self, Interest};
use crate::time::WaitError;

/// Waits until the socket is ready. While connecting, also for another address, which ends it in vain.
pub(super) fn wait(
    stream: &TcpStream,
    interest: Interest,
    context: &ExchangeContext<'_>,
    doing: &str,
) -> Result<(), Error> {
    let fd = (stream.as_raw_fd(), interest);
    let deadline = context.deadline();
    let waited: Result<bool, WaitError> = match &context.phase {
        Phase::Connecting { race, .. } => race.borrow_mut().wait_beside(fd, &deadline),
        Phase::Exchanging => deadline.wait_for(&[fd]).map(|_| true),
    };
    match waited {
        Ok(true) => Ok(()),
        Ok(false) => {
            let text =
                format!("half of the time to connect passed while {doing}, and another address accepts");
            Err(Error::new(Code::ConnectTimeout, text))
        }
        Err(why) => Err(context.wait_failed(why, doing)),
    }
}

/// Waits for input, or finds that receiving may wait for it: `true`.
pub(super) fn await_input(
    stream: &TcpStream,
    context: &ExchangeContext<'_>,
    doing: &str,
) -> Result<bool, Error> {
    let mut deadline = context.deadline();
    if let Phase::Connecting { race, .. } = &context.phase {
        deadline = deadline.no_later_than(race.borrow().alone_until(&deadline));
    }
    if sys::RECEIVE_MAY_WAIT && deadline.leaves_alone(sys::RECEIVE_SLICE) {
        return Ok(true);
    }
    wait(stream, Interest::Read, context, doing).map(|()| false)
}

/// Sends all of `bytes`, and counts in `sent` what the system has taken.
pub(super) fn send_all(
    stream: &TcpStream,
    mut bytes: &[u8],
    context: &ExchangeContext<'_>,
    sent: &mut usize,
) -> Result<(), Error> {
    while !bytes.is_empty() {
        match sys::send(stream, bytes) {
            Ok(n) => {
                *sent += n;
                bytes = &bytes[n..];
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                wait(stream, Interest::Write, context, "sending")?;
                note_early_input(stream, context);
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
    context: &ExchangeContext<'_>,
    doing: &str,
) -> Result<usize, Error> {
    loop {
        let may_wait = await_input(stream, context, doing)?;
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
pub(super) fn note_early_input(stream: &TcpStream, context: &ExchangeContext<'_>) {
    if sys::peek(stream, &mut [0]).is_ok_and(|amount| amount > 0) {
        context.record.early.set(true);
    }
}
