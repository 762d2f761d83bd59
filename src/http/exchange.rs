//! One request and its answer on one connection.
//!
//! The rules of HTTP/1.1 are ureq's: its protocol engine, `ureq-proto`, writes and reads messages in
//! buffers and does no I/O, so that all that waits is in `transport`. ureq's own agent above it is
//! not used: it reads the environment when it is set up, keeps statics that a fork can leave half
//! made, hands out pooled connections without a word about deadlines, and costs a call more than a
//! quarter of its instructions (benches/README.md).

use std::time::Duration;

use ureq::http::header::{CONTENT_LENGTH, HOST};
use ureq::http::{HeaderValue, Method, Request};
use ureq_proto::BodyMode;
use ureq_proto::client::state::{RecvBody, RecvResponse};
use ureq_proto::client::{Call, RecvBodyResult, RecvResponseResult, SendRequestResult};

use crate::error::{Code, Error};
use crate::http::buffers::Buffers;
use crate::http::chunks::Chunks;
use crate::http::connection::Connection;
use crate::http::exchange_context::ExchangeContext;
use crate::http::redact::hide_unread;
use crate::http::request_headers::CommonHeaders;
use crate::http::response_head::{self, Head, not_http};
use crate::http::{Answer, HttpRequest, MAX_BODY};
use crate::secret::Wiped;

/// At least what it takes.
fn size(request: &HttpRequest<'_>, common: &CommonHeaders) -> usize {
    let path = request.endpoint.uri.path().len();
    let token = request.bearer.map_or(0, |bearer| bearer.expose().len());
    256 + path + common.host.len() + common.lines.len() + token + request.body.len()
}

/// An exchange under way.
pub(super) struct Exchange<'a, 'c> {
    connection: &'a mut Connection,
    context: &'a mut ExchangeContext<'c>,
    /// The answer was read to its end, and the connection may serve another request.
    pub(super) may_go_on: bool,
}

impl<'a, 'c> Exchange<'a, 'c> {
    pub(super) fn new(connection: &'a mut Connection, context: &'a mut ExchangeContext<'c>) -> Self {
        Exchange { connection, context, may_go_on: false }
    }

    /// Sends the request in one write, and reads its answer.
    pub(super) async fn run(
        &mut self,
        request: &HttpRequest<'_>,
        common: &CommonHeaders,
    ) -> Result<Answer, Error> {
        let mut awaited = match self.write(request, common) {
            Ok(Some(SendRequestResult::SendBody(call))) => call.proceed(),
            // There is always a body, and no request says "Expect".
            Ok(_) => None,
            Err(error) => return Err(bad_request(&error)),
        };
        let Some(call) = &mut awaited else { return Err(bad_request(&ureq_proto::Error::BodyNotAllowed)) };
        self.connection.flush(self.context).await?;
        let Told { status, retry_after, checked } = loop {
            if !self.connection.fill(self.context).await? {
                return Err(cut_short());
            }
            if let Some(told) = self.take_head(call)? {
                break told;
            }
        };
        let body = match checked {
            Ok(()) => {
                let mut begun = awaited.and_then(Call::<RecvResponse>::proceed);
                let body = self.read_body(&mut begun).await;
                self.may_go_on = body.is_ok() && is_reusable(begun);
                body
            }
            Err(error) => Err(error),
        };
        match body {
            Ok(body) => Ok(Answer { status, retry_after, body, is_first: false }),
            // The status is the answer; a broken or endless error page does not change it. The
            // caller's cancel and deadline do.
            Err(error) if !(200..300).contains(&status) && !is_interruption(&error) => {
                Ok(Answer { status, retry_after, body: Wiped::default(), is_first: false })
            }
            Err(error) => Err(Error { http_status: Some(status), ..error }),
        }
    }

    /// Writes the whole request to the connection's buffer.
    ///
    /// The engine writes the lines that its rules are about. The others are put in behind them, as
    /// they are: they have been checked, and the engine logs what it writes, secrets and all.
    ///
    /// What the engine returns is used where it lies, as far as that goes: it is large, and its moves
    /// are a good part of a call's cost.
    #[inline(never)]
    fn write(
        &mut self,
        request: &HttpRequest<'_>,
        common: &CommonHeaders,
    ) -> Result<Option<SendRequestResult>, ureq_proto::Error> {
        const END_OF_LINE: &[u8] = b"\r\n";
        let buffers = &mut self.connection.buffers;
        buffers.expect_output(size(request, common));
        let mut head = Request::new(());
        *head.method_mut() = Method::POST;
        *head.uri_mut() = request.endpoint.uri.clone();
        let mut prepared = Call::new(head);
        if let Ok(call) = &mut prepared {
            call.header(HOST, common.host.clone())?;
            call.header(CONTENT_LENGTH, HeaderValue::from(request.body.len()))?;
        }
        let mut call = prepared?.proceed();
        while !call.can_proceed() {
            let amount = call.write(buffers.output())?;
            buffers.hold(amount);
        }
        buffers.take_back(END_OF_LINE.len());
        let bearer = request.bearer.map_or([&b""[..]; 3], |bearer| {
            [b"authorization: Bearer ", bearer.expose().as_bytes(), END_OF_LINE]
        });
        buffers.append(&[&common.lines, bearer[0], bearer[1], bearer[2], END_OF_LINE, request.body]);
        let mut written = call.proceed();
        if let Ok(Some(SendRequestResult::SendBody(call))) = &mut written {
            call.consume_direct_write(request.body.len())?;
        }
        written
    }

    /// The answer's head, if all of it has come. Takes in a 1xx without returning it.
    #[inline(never)]
    fn take_head(&mut self, call: &mut Call<RecvResponse>) -> Result<Option<Told>, Error> {
        loop {
            let input = self.connection.buffers.input_mut();
            hide_unread(input);
            let (taken, response) = match call.try_response(input, false) {
                // RFC 9110 lets a 100 have them, the engine does not.
                Err(ureq_proto::Error::HeadersWith100) => {
                    (response_head::parse(input)?.map_or(0, |(size, _)| size), None)
                }
                read => read.map_err(not_http)?,
            };
            response_head::check_size(if taken > 0 { taken } else { input.len() })?;
            self.connection.buffers.input_consume(taken);
            if let Some(response) = response {
                let head = Head::read(&response);
                let (status, retry_after) = (response.status().as_u16(), head.retry_after());
                return Ok(Some(Told { status, retry_after, checked: head.check() }));
            }
            if taken == 0 {
                return Ok(None);
            }
        }
    }

    async fn read_body(&mut self, begun: &mut Option<RecvResponseResult>) -> Result<Wiped, Error> {
        let Some(RecvResponseResult::RecvBody(call)) = begun else { return Ok(Wiped::default()) };
        let mut body = Body::new(call.body_mode());
        while !body.take(call, &mut self.connection.buffers)? {
            match self.connection.fill(self.context).await {
                Ok(true) => {}
                ended if body.may_end_by(&ended) => return Ok(body.finish()),
                Ok(false) => return Err(cut_short()),
                Err(error) => return Err(error),
            }
        }
        Ok(body.finish())
    }
}

/// Whether the connection may serve on. It may not where the engine has not seen the body's end.
fn is_reusable(begun: Option<RecvResponseResult>) -> bool {
    let ended = match begun {
        Some(RecvResponseResult::RecvBody(call)) => call.proceed(),
        Some(RecvResponseResult::Cleanup(call)) => return !call.must_close_connection(),
        Some(RecvResponseResult::Redirect(call)) => return !call.must_close_connection(),
        None => None,
    };
    match ended {
        Some(RecvBodyResult::Cleanup(call)) => !call.must_close_connection(),
        Some(RecvBodyResult::Redirect(call)) => !call.must_close_connection(),
        None => false,
    }
}

/// What an answer's head says.
struct Told {
    status: u16,
    retry_after: Option<Duration>,
    /// Whether its body can be read.
    checked: Result<(), Error>,
}

/// A body as it comes in.
struct Body {
    framing: Framing,
    bytes: Wiped,
    filled: usize,
}

/// What tells where a body ends.
enum Framing {
    /// A length, which the engine counts.
    Length,
    /// The connection's end.
    Connection,
    /// Chunks: the engine takes more for one than is one, and waits for line ends that cannot come.
    Chunks(Chunks),
}

impl Body {
    fn new(mode: BodyMode) -> Self {
        let framing = match mode {
            BodyMode::Chunked => Framing::Chunks(Chunks::default()),
            BodyMode::CloseDelimited => Framing::Connection,
            _ => Framing::Length,
        };
        Body { framing, bytes: Wiped::from(vec![0; 512]), filled: 0 }
    }

    /// Takes in what has come. Whether that was all: then `call` has seen the body's end.
    #[inline(never)]
    fn take(&mut self, call: &mut Call<RecvBody>, buffers: &mut Buffers) -> Result<bool, Error> {
        while !self.has_ended(call) {
            self.make_room();
            let room = &mut self.bytes[self.filled..];
            let (used, amount) = match &mut self.framing {
                Framing::Chunks(chunks) => chunks.read(buffers.input(), room)?,
                _ => call.read(buffers.input(), room).map_err(not_http)?,
            };
            buffers.input_consume(used);
            self.add(amount)?;
            if used == 0 && amount == 0 {
                return Ok(false);
            }
        }
        if let Framing::Chunks(_) = self.framing {
            // The engine, which knows whether the connection may be kept, must have seen an end.
            call.read(b"0\r\n\r\n", &mut []).map_err(not_http)?;
        }
        Ok(true)
    }

    fn has_ended(&self, call: &Call<RecvBody>) -> bool {
        match &self.framing {
            Framing::Length => call.can_proceed(),
            Framing::Connection => false,
            Framing::Chunks(chunks) => chunks.has_ended(),
        }
    }

    /// Whether it is whole where no more can be received, for this reason.
    fn may_end_by(&self, ended: &Result<bool, Error>) -> bool {
        match &self.framing {
            Framing::Length => false,
            Framing::Connection => ended.is_ok(),
            // Some servers leave the last line end out. In TLS, nobody else can have written the last
            // chunk, so that no closing alert is needed behind it.
            Framing::Chunks(chunks) => {
                let is_lost = |error: &Error| error.code == Code::ConnectionLost;
                chunks.is_whole() && ended.as_ref().err().is_none_or(is_lost)
            }
        }
    }

    /// There is always some room behind what has come.
    fn make_room(&mut self) {
        if self.filled == self.bytes.len() {
            // Growing in place could leave a copy behind in freed memory.
            let mut grown = Wiped::from(vec![0; 4 * self.filled]);
            grown[..self.filled].copy_from_slice(&self.bytes);
            self.bytes = grown;
        }
    }

    fn add(&mut self, amount: usize) -> Result<(), Error> {
        self.filled += amount;
        if self.filled <= MAX_BODY {
            return Ok(());
        }
        let error = Error::new(Code::AnswerTooLarge, format!("the answer's body exceeds {MAX_BODY} bytes"));
        // No provider's answer is that large; a page put in its place may be.
        Err(Error { is_hearsay: true, ..error })
    }

    fn finish(mut self) -> Wiped {
        self.bytes.truncate(self.filled);
        self.bytes
    }
}

fn bad_request(error: &ureq_proto::Error) -> Error {
    Error::internal(format!("bad request: {error}"))
}

fn is_interruption(error: &Error) -> bool {
    matches!(error.code, Code::Cancelled | Code::Timeout | Code::RequestTimeout)
}

fn cut_short() -> Error {
    Error::new(Code::ConnectionLost, "the connection ended before a whole answer had arrived")
}
