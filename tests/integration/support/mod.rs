//! A peer on a real socket whose every byte the test decides.
//!
//! The sandbox is the server that behaves; this one is for looking at exactly what was sent, and
//! for answers that no server should give.

#![allow(unsafe_code)]

pub mod alone;
pub mod calls;
#[cfg(target_os = "linux")]
pub mod resolver;
pub mod system;
pub mod waits;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mfa::{Capillary, ClientOptions, HyperId};

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Request {
    /// "POST /path HTTP/1.1"
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// Which connection it came on, counted from 0.
    pub connection: usize,
    /// Which request it is, over all connections, counted from 0.
    pub number: usize,
}

impl Request {
    pub fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or("")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// What the peer does with a request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Sent as they are, one write each, a little apart.
    pub pieces: Vec<Vec<u8>>,
    pub then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Go on with the next request.
    KeepOpen,
    /// Close in order.
    Close,
    /// Close with a reset.
    Reset,
    /// Say nothing more until the client goes away.
    Silence,
}

impl Reply {
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Reply { pieces: vec![bytes.into()], then: Then::KeepOpen }
    }

    pub fn nothing(then: Then) -> Self {
        Reply { pieces: Vec::new(), then }
    }

    pub fn json(body: &str) -> Self {
        Reply::status(200, body)
    }

    pub fn status(status: u16, body: &str) -> Self {
        Reply::with_headers(status, "", body)
    }

    /// With a `Retry-After` that leaves no room for another attempt, so that a client which would
    /// ride the trouble out tells of it instead.
    pub fn once(status: u16, body: &str) -> Self {
        Reply::with_headers(status, "Retry-After: 3600\r\n", body)
    }

    /// `headers`: whole lines, each with its CRLF.
    pub fn with_headers(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        // These have no body, whatever their header says.
        let body = if [204, 304].contains(&status) { "" } else { body };
        Reply::raw(
            if body.is_empty() && length > 0 {
                head.replace(&format!("Content-Length: {length}\r\n"), "")
            } else {
                head
            } + body,
        )
    }

    pub fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    /// Copies, to end those that read with; by number.
    open: Mutex<Vec<(usize, TcpStream)>>,
    stopping: AtomicBool,
    /// Replies that were carried out whole, the closing included.
    done: AtomicUsize,
}

/// A scripted server; ends with its threads when dropped.
pub struct Peer {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Peer {
    pub fn new(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            requests: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: Mutex::default(),
            stopping: AtomicBool::new(false),
            done: AtomicUsize::new(0),
        });
        let theirs = shared.clone();
        let acceptor = std::thread::spawn(move || accept(&listener, &theirs));
        Peer { address, shared, acceptor: Some(acceptor) }
    }

    /// Answers each request in turn with the next reply, then repeats the last one.
    pub fn scripted(replies: Vec<Reply>) -> Self {
        Peer::new(move |request| replies[request.number.min(replies.len() - 1)].clone())
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits until `count` replies were carried out whole: what they did has then reached the
    /// client's socket.
    pub fn wait_until_done(&self, count: usize) {
        wait_until("the replies are out", || self.shared.done.load(Ordering::SeqCst) >= count);
    }

    pub fn hyperid(&self) -> HyperId {
        HyperId::new(&self.options()).unwrap()
    }

    pub fn capillary(&self) -> Capillary {
        Capillary::new(&self.options()).unwrap()
    }

    pub fn options(&self) -> ClientOptions {
        ClientOptions::new().base_url(self.url()).allow_loopback_http(true)
    }

    /// Waits until `count` requests have come.
    pub fn wait_for_requests(&self, count: usize) {
        wait_until("the requests have come", || self.shared.requests.lock().unwrap().len() >= count);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        for (_, stream) in self.shared.open.lock().unwrap().iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// How many connections to the peer this process has open.
#[cfg(target_os = "linux")]
pub fn open_connections(peer: SocketAddr) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let port = format!(":{:04X}", peer.port());
    let is_open = |line: &&str| {
        let mut fields = line.split_whitespace().skip(2);
        fields.next().is_some_and(|remote| remote.ends_with(&port)) && fields.next() == Some("01")
    };
    table.lines().filter(is_open).count()
}

/// Waits for a condition, with a deadline far beyond what it should take.
pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let most = system::SLOWNESS * Duration::from_secs(20);
    let deadline = Instant::now() + most;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within {most:?}");
        // Hundreds of threads may be waiting so.
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    for stream in listener.incoming().flatten() {
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        let connection = shared.connections.fetch_add(1, Ordering::SeqCst);
        stream.set_nodelay(true).unwrap();
        if cfg!(windows) {
            // There, shutting it down wakes nobody who reads, or who writes more than is read.
            stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        }
        if let Ok(copy) = stream.try_clone() {
            shared.open.lock().unwrap().push((connection, copy));
        }
        let shared = shared.clone();
        threads.push(std::thread::spawn(move || serve(stream, connection, &shared)));
    }
    for thread in threads {
        let _ = thread.join();
    }
}

fn serve(mut stream: TcpStream, connection: usize, shared: &Shared) {
    while let Some(request) = read_request(&mut stream, connection, shared) {
        let reply = (shared.handler)(&request);
        for (i, piece) in reply.pieces.iter().enumerate() {
            if i > 0 {
                // Lets the pieces travel apart; nothing depends on it.
                std::thread::sleep(Duration::from_millis(2));
            }
            if stream.write_all(piece).is_err() {
                break;
            }
        }
        match end(stream, connection, reply.then, shared) {
            Some(open) => stream = open,
            None => return,
        }
    }
}

/// Does what comes after a reply's bytes; returns the stream if the next request may come.
fn end(mut stream: TcpStream, connection: usize, then: Then, shared: &Shared) -> Option<TcpStream> {
    match then {
        Then::KeepOpen | Then::Silence => {}
        Then::Close => {
            let _ = stream.shutdown(Shutdown::Both);
        }
        Then::Reset => {
            shared.open.lock().unwrap().retain(|(number, _)| *number != connection);
            system::reset(stream);
            shared.done.fetch_add(1, Ordering::SeqCst);
            return None;
        }
    }
    shared.done.fetch_add(1, Ordering::SeqCst);
    if then == Then::Silence {
        while read_more(&mut stream, &mut Vec::new(), shared).is_some() {}
    }
    (then == Then::KeepOpen).then_some(stream)
}

fn read_request(stream: &mut TcpStream, connection: usize, shared: &Shared) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        read_more(stream, &mut bytes, shared)?;
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(n, _)| n == "content-length").map_or(0, |(_, v)| v.parse().unwrap());
    while bytes.len() < end + 4 + length {
        read_more(stream, &mut bytes, shared)?;
    }
    let body = String::from_utf8(bytes[end + 4..].to_vec()).unwrap();
    let mut requests = shared.requests.lock().unwrap();
    let request = Request { line, headers, body, connection, number: requests.len() };
    requests.push(request.clone());
    Some(request)
}

fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>, shared: &Shared) -> Option<()> {
    let mut piece = [0; 4096];
    match stream.read(&mut piece) {
        Ok(n) if n > 0 => bytes.extend_from_slice(&piece[..n]),
        Err(error) if error.kind() == ErrorKind::TimedOut && !shared.stopping.load(Ordering::SeqCst) => {}
        _ => return None,
    }
    Some(())
}
