//! A tiny HTTP client over `std::net`: the tests must not trust any client library, ours least of all.
#![allow(dead_code)] // each test binary uses its own part

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mfa_sandbox::{Options, Sandbox};
use serde_json::Value;

pub const AVAILABILITY: &str = "/mfa-client/availability-check";
pub const TYPES: &str = "/2fa/types/get";
pub const START: &str = "/mfa-client/transaction/start/v2";
pub const STATUS: &str = "/mfa-client/transaction/status-get";
pub const CANCEL: &str = "/mfa-client/transaction/cancel";
pub const REGISTERED: &str = "/auth/v1/mfa/token/isMfaRegistered";

/// Long enough for a loaded machine; no test waits for it to pass.
pub const LONG: Duration = Duration::from_secs(20);

pub const QUESTION: &str = r#"{"template_id":4,"values":"{\"version\":1,\"action\":{\"type\":\"question\",\"action_info\":\"Pay?\"}}","code":"42"}"#;

/// A strict one: what only the provider's own clients may send has its tests in `clients.rs`.
pub fn sandbox() -> Sandbox {
    sandbox_with(Options { strict: true, ..Options::default() })
}

pub fn sandbox_with(options: Options) -> Sandbox {
    Sandbox::start(options).expect("a sandbox starts")
}

pub fn address(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn result(&self) -> i64 {
        self.json()["result"].as_i64().unwrap_or_else(|| panic!("no result: {}", self.text()))
    }

    /// The transaction that was started.
    pub fn transaction_id(&self) -> i64 {
        self.json()["transaction_id"].as_i64().unwrap_or_else(|| panic!("no id: {}", self.text()))
    }

    /// The first of the second factors.
    pub fn first_method(&self) -> i64 {
        self.json()["auth_types"][0].as_i64().unwrap_or_else(|| panic!("no methods: {}", self.text()))
    }

    pub fn code(&self) -> i64 {
        self.json()["status"]["code"].as_i64().unwrap_or_else(|| panic!("no code: {}", self.text()))
    }
}

/// Anything that reads and writes, so that the same client speaks TLS.
pub struct Client<S> {
    pub stream: S,
    pub buffer: Vec<u8>,
    host: String,
}

pub fn connect(url: &str) -> Client<TcpStream> {
    let stream = TcpStream::connect(address(url)).expect("connects");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    Client::over(stream, address(url))
}

impl<S: Read + Write> Client<S> {
    pub fn over(stream: S, host: &str) -> Self {
        Client { stream, buffer: Vec::new(), host: host.to_owned() }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("sends");
    }

    fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    pub fn send_post(&mut self, path: &str, token: Option<&str>, body: &str) {
        let bytes = self.post_bytes(path, token, body);
        self.send(&bytes);
    }

    fn post_bytes(&self, path: &str, token: Option<&str>, body: &str) -> Vec<u8> {
        let auth = token.map_or(String::new(), |t| format!("Authorization: Bearer {t}\r\n"));
        let host = &self.host;
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\n{auth}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        format!("{head}{body}").into_bytes()
    }

    pub fn post(&mut self, path: &str, token: Option<&str>, body: &str) -> Result<Answer, String> {
        let bytes = self.post_bytes(path, token, body);
        self.try_send(&bytes).map_err(|error| error.kind().to_string())?;
        self.read()
    }

    /// Reads once; false at the end of the stream.
    pub fn more(&mut self) -> Result<bool, String> {
        let mut piece = [0; 8192];
        let got = loop {
            match self.stream.read(&mut piece) {
                // A process that was stopped for a moment goes on.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other.map_err(|error| error.kind().to_string())?,
            }
        };
        self.buffer.extend_from_slice(&piece[..got]);
        Ok(got > 0)
    }

    fn need(&mut self) -> Result<(), String> {
        if self.more()? { Ok(()) } else { Err(format!("closed after {} bytes", self.buffer.len())) }
    }

    /// One answer; interim ones are passed over.
    pub fn read(&mut self) -> Result<Answer, String> {
        loop {
            let end = loop {
                if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                    break at + 4;
                }
                self.need()?;
            };
            let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
            let status: u16 = head[9..12].parse().map_err(|_| format!("not a status line: {head}"))?;
            self.buffer.drain(..end);
            if status < 200 {
                continue;
            }
            let mut answer = Answer { status, head, body: Vec::new() };
            answer.body = self.body(&answer)?;
            return Ok(answer);
        }
    }

    fn body(&mut self, answer: &Answer) -> Result<Vec<u8>, String> {
        if matches!(answer.status, 204 | 304) {
            return Ok(Vec::new());
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            return self.chunks();
        }
        let Some(length) = answer.header("content-length") else {
            while self.more()? {}
            return Ok(std::mem::take(&mut self.buffer));
        };
        let length: usize = length.parse().map_err(|_| "not a length")?;
        while self.buffer.len() < length {
            self.need()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                let line = self.buffer.drain(..at + 2).collect::<Vec<_>>();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            self.need()?;
        }
    }

    fn chunks(&mut self) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or("").trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| format!("not a size: {line}"))?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            while self.buffer.len() < size + 2 {
                self.need()?;
            }
            body.extend(self.buffer.drain(..size));
            self.buffer.drain(..2);
        }
    }

    /// True when the other side has closed and nothing is left.
    pub fn ended(&mut self) -> bool {
        self.buffer.is_empty() && matches!(self.more(), Ok(false) | Err(_))
    }
}

pub fn post(sandbox: &Sandbox, path: &str, token: &str, body: &str) -> Answer {
    try_post(sandbox, path, token, body).unwrap_or_else(|e| panic!("{path} {token}: {e}"))
}

/// The answer to a head as it stands here, request line and headers, to which the body and its length are added.
pub fn exchange(sandbox: &Sandbox, head: &str, body: &str) -> Answer {
    let mut client = connect(sandbox.hyperid_url());
    client.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    client.read().unwrap_or_else(|e| panic!("{head}: {e}"))
}

pub fn try_post(sandbox: &Sandbox, path: &str, token: &str, body: &str) -> Result<Answer, String> {
    connect(sandbox.hyperid_url()).post(path, Some(token), body)
}

/// Starts a question and returns its id.
pub fn start(sandbox: &Sandbox, token: &str) -> i64 {
    let answer = post(sandbox, START, token, QUESTION);
    assert_eq!(answer.result(), 0, "{}", answer.text());
    answer.transaction_id()
}

pub fn id_body(id: i64) -> String {
    format!(r#"{{"transaction_id":{id}}}"#)
}

pub fn status(sandbox: &Sandbox, token: &str, id: i64) -> (i64, i64) {
    let json = post(sandbox, STATUS, token, &id_body(id)).json();
    let number = |key: &str| json[key].as_i64().unwrap_or_else(|| panic!("{key}: {json}"));
    assert_eq!(number("result"), 0);
    assert_eq!(number("transaction_id"), id);
    (number("transaction_status"), number("transaction_complete_result"))
}

/// Waits until the transaction is no longer pending.
pub fn wait_for_end(sandbox: &Sandbox, id: i64) {
    let ended =
        sandbox.wait_until(LONG, |all| all.iter().find(|t| t.id == id && t.status.number() != 0).map(|_| ()));
    assert!(ended.is_some(), "transaction {id} stays pending");
}

pub fn registered_body(brand: &str, token: &str) -> String {
    serde_json::json!({ "brand": brand, "deviceId": "device-1", "authorizedToken": token }).to_string()
}

pub fn registered(sandbox: &Sandbox, brand: &str, token: &str) -> Answer {
    let mut client = connect(sandbox.capillary_url());
    client.post(REGISTERED, None, &registered_body(brand, token)).unwrap_or_else(|e| panic!("{token}: {e}"))
}

/// Waits for a condition that nothing announces.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < LONG, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
