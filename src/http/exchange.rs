//! One request and its answer on one connection.
//!
//! The rules of HTTP/1.1 are ureq's: its protocol engine, `ureq-proto`, writes and reads messages in
//! buffers and does no I/O, so that all that waits is in `transport`. ureq's own agent above it is
//! not used: it reads the environment when it is set up, keeps statics that a fork can leave half
//! made, hands out pooled connections without a word about deadlines, and costs a call more than a
//! quarter of its instructions (benches/README.md).

use ureq::http::header::{CONTENT_LENGTH, HOST};
use ureq::http::{HeaderValue, Method, Request, Response};
use ureq_proto::BodyMode;
use ureq_proto::client::state::{Prepare, RecvBody, RecvResponse};
use ureq_proto::client::{Call, RecvBodyResult, RecvResponseResult, SendRequestResult};

use crate::error::{Code, Error};
use crate::http::chunks::Chunks;
use crate::http::connection::Connection;
use crate::http::exchange_context::ExchangeContext;
use crate::http::redact::hide_unread;
use crate::http::request_headers::CommonHeaders;
use crate::http::response_head::{self, Head, not_http};
use crate::http::{Answer, HttpRequest, MAX_BODY};
use crate::secret::Wiped;

fn prepare(request: &HttpRequest<'_>, common: &CommonHeaders) -> Result<Call<Prepare>, ureq_proto::Error> {
    let mut head = Request::new(());
    *head.method_mut() = Method::POST;
    *head.uri_mut() = request.endpoint.uri.clone();
    let mut call = Call::new(head)?;
    call.header(HOST, common.host.clone())?;
    call.header(CONTENT_LENGTH, HeaderValue::from(request.body.len()))?;
    Ok(call)
}

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
    pub(super) fn run(&mut self, request: &HttpRequest<'_>, common: &CommonHeaders) -> Result<Answer, Error> {
        let mut call =
            self.write(request, common).map_err(|e| Error::internal(format!("bad request: {e}")))?;
        self.connection.flush(self.context)?;
        let response = self.read_head(&mut call)?;
        let status = response.status().as_u16();
        let head = Head::read(&response);
        let retry_after = head.retry_after();
        match head.check().and_then(|()| self.read_body(call)) {
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
    fn write(
        &mut self,
        request: &HttpRequest<'_>,
        common: &CommonHeaders,
    ) -> Result<Call<RecvResponse>, ureq_proto::Error> {
        const END_OF_LINE: &[u8] = b"\r\n";
        let buffers = &mut self.connection.buffers;
        buffers.expect_output(size(request, common));
        let mut call = prepare(request, common)?.proceed();
        while !call.can_proceed() {
            let amount = call.write(buffers.output())?;
            buffers.hold(amount);
        }
        buffers.take_back(END_OF_LINE.len());
        buffers.append(&common.lines);
        if let Some(bearer) = request.bearer {
            for part in [b"authorization: Bearer ", bearer.expose().as_bytes(), END_OF_LINE] {
                buffers.append(part);
            }
        }
        buffers.append(END_OF_LINE);
        buffers.append(request.body);
        let mut call = match call.proceed()? {
            Some(SendRequestResult::SendBody(call)) => call,
            // There is always a body, and no request says "Expect".
            _ => return Err(ureq_proto::Error::BodyNotAllowed),
        };
        call.consume_direct_write(request.body.len())?;
        call.proceed().ok_or(ureq_proto::Error::BodyNotAllowed)
    }

    fn read_head(&mut self, call: &mut Call<RecvResponse>) -> Result<Response<()>, Error> {
        let mut taken = 0;
        loop {
            if taken == 0 && !self.connection.fill(self.context)? {
                return Err(cut_short());
            }
            let input = self.connection.buffers.input_mut();
            hide_unread(input);
            // Takes in a 1xx without returning it.
            let (amount, response) = match call.try_response(input, false) {
                // RFC 9110 lets a 100 have them, the engine does not.
                Err(ureq_proto::Error::HeadersWith100) => {
                    (response_head::parse(input)?.map_or(0, |(size, _)| size), None)
                }
                read => read.map_err(not_http)?,
            };
            response_head::check_size(if amount > 0 { amount } else { input.len() })?;
            taken = amount;
            self.connection.buffers.input_consume(taken);
            if let Some(response) = response {
                return Ok(response);
            }
        }
    }

    fn read_body(&mut self, call: Call<RecvResponse>) -> Result<Wiped, Error> {
        self.may_go_on = match call.proceed() {
            Some(RecvResponseResult::RecvBody(call)) if call.body_mode() == BodyMode::Chunked => {
                return self.read_chunks(call);
            }
            Some(RecvResponseResult::RecvBody(call)) => return self.read_until_its_end(call),
            Some(RecvResponseResult::Cleanup(call)) => !call.must_close_connection(),
            Some(RecvResponseResult::Redirect(call)) => !call.must_close_connection(),
            None => false,
        };
        Ok(Wiped::default())
    }

    fn read_until_its_end(&mut self, mut call: Call<RecvBody>) -> Result<Wiped, Error> {
        // Without a length and in one piece: it ends with the connection.
        let is_open_ended = call.body_mode() == BodyMode::CloseDelimited;
        let mut body = Body::new();
        while is_open_ended || !call.can_proceed() {
            let (used, amount) = call.read(self.connection.buffers.input(), body.room()).map_err(not_http)?;
            self.connection.buffers.input_consume(used);
            body.add(amount)?;
            if used == 0 && amount == 0 && !self.connection.fill(self.context)? {
                return if is_open_ended { Ok(body.finish()) } else { Err(cut_short()) };
            }
        }
        self.may_go_on = is_reusable(call);
        Ok(body.finish())
    }

    /// The engine takes more for a chunk than is one, and waits for line ends that cannot come.
    fn read_chunks(&mut self, mut call: Call<RecvBody>) -> Result<Wiped, Error> {
        let mut chunks = Chunks::default();
        let mut body = Body::new();
        while !chunks.has_ended() {
            let (used, amount) = chunks.read(self.connection.buffers.input(), body.room())?;
            self.connection.buffers.input_consume(used);
            body.add(amount)?;
            if used > 0 {
                continue;
            }
            match self.connection.fill(self.context) {
                Ok(true) => {}
                // Some servers leave the last line end out. In TLS, nobody else can have written the
                // last chunk, so that no closing alert is needed behind it.
                Ok(false) if chunks.is_whole() => return Ok(body.finish()),
                Err(error) if chunks.is_whole() && error.code == Code::ConnectionLost => {
                    return Ok(body.finish());
                }
                Ok(false) => return Err(cut_short()),
                Err(error) => return Err(error),
            }
        }
        // The engine, which knows whether the connection may be kept, must have seen an end.
        call.read(b"0\r\n\r\n", &mut []).map_err(not_http)?;
        self.may_go_on = is_reusable(call);
        Ok(body.finish())
    }
}

/// Whether the connection may serve on, once the body was read to its end.
fn is_reusable(call: Call<RecvBody>) -> bool {
    match call.proceed() {
        Some(RecvBodyResult::Cleanup(call)) => !call.must_close_connection(),
        Some(RecvBodyResult::Redirect(call)) => !call.must_close_connection(),
        None => false,
    }
}

/// A body as it comes in.
struct Body {
    bytes: Wiped,
    filled: usize,
}

impl Body {
    fn new() -> Self {
        Body { bytes: Wiped::from(vec![0; 512]), filled: 0 }
    }

    /// Where more of it may be put; never empty.
    fn room(&mut self) -> &mut [u8] {
        if self.filled == self.bytes.len() {
            // Growing in place could leave a copy behind in freed memory.
            let mut grown = Wiped::from(vec![0; 4 * self.filled]);
            grown[..self.filled].copy_from_slice(&self.bytes);
            self.bytes = grown;
        }
        &mut self.bytes[self.filled..]
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

fn is_interruption(error: &Error) -> bool {
    matches!(error.code, Code::Cancelled | Code::Timeout | Code::RequestTimeout)
}

fn cut_short() -> Error {
    Error::new(Code::ConnectionLost, "the connection ended before a whole answer had arrived")
}
