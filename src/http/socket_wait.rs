//! Waiting on a socket, within the deadline of an exchange: what all that sends and receives stands on.

use std::io::{self, ErrorKind};
use std::net::TcpStream;

use crate::error::{Code, Error};
use crate::http::exchange_context::{ExchangeContext, Phase};
use crate::sys::{self, Interest};
use crate::time::WaitError;

/// Waits until the socket is ready. While connecting, also for another address, which ends it in vain.
pub(super) async fn wait(
    stream: &TcpStream,
    interest: Interest,
    context: &mut ExchangeContext<'_>,
    doing: &str,
) -> Result<(), Error> {
    let fd = (sys::descriptor(stream), interest);
    let deadline = context.deadline();
    let waited: Result<bool, WaitError> = match &mut context.phase {
        // Apart: an exchange that only waits for its answer is small.
        Phase::Connecting { race, .. } => Box::pin(race.wait_beside(fd, &deadline)).await,
        Phase::Exchanging => deadline.wait_for(&[fd]).await.map(|_| true),
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

/// Whether receiving may wait for input by itself. Where it may not, `wait` for it first.
pub(super) fn receiving_may_wait(context: &ExchangeContext<'_>) -> bool {
    if !sys::RECEIVE_MAY_WAIT {
        return false;
    }
    let mut deadline = context.deadline();
    if let Phase::Connecting { race, .. } = &context.phase {
        deadline = deadline.no_later_than(race.alone_until(&deadline));
    }
    deadline.leaves_alone(sys::RECEIVE_SLICE)
}

/// Waits until more can be sent, part of the request perhaps.
pub(super) async fn wait_to_send(stream: &TcpStream, context: &mut ExchangeContext<'_>) -> Result<(), Error> {
    wait(stream, Interest::Write, context, "sending").await?;
    note_early_input(stream, context);
    Ok(())
}

/// Sends what can be sent of `rest`, and counts in `sent` what the system has taken. `false`: wait, and
/// send what is left.
pub(super) fn send_some(stream: &TcpStream, rest: &mut &[u8], sent: &mut usize) -> Result<bool, Error> {
    while !rest.is_empty() {
        match sys::send(stream, rest) {
            Ok(n) => {
                *sent += n;
                *rest = &rest[n..];
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(e) => return Err(lost("sending", &e)),
        }
    }
    Ok(true)
}

/// Receives at least one byte, 0 at the end of the stream. `None`: nothing is there yet.
pub(super) fn receive_some(
    stream: &TcpStream,
    buffer: &mut [u8],
    may_wait: bool,
    doing: &str,
) -> Result<Option<usize>, Error> {
    match sys::recv(stream, buffer, may_wait) {
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(e) => Err(lost(doing, &e)),
        Ok(n) => Ok(Some(n)),
    }
}

pub(super) fn lost(doing: &str, error: &io::Error) -> Error {
    Error::new(Code::ConnectionLost, format!("the connection was lost while {doing}: {error}"))
        .with_os_error(error.raw_os_error())
}

/// Notes what has come in while part of the request is still to be sent.
pub(super) fn note_early_input(stream: &TcpStream, context: &mut ExchangeContext<'_>) {
    if sys::peek(stream, &mut [0]).is_ok_and(|amount| amount > 0) {
        context.record.early = true;
    }
}
