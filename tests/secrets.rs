//! Secrets do not stay in the library's memory, neither in what it frees nor in what it keeps: a token
//! that a server echoes, a header's value, a proxy's password, a client's key. What rustls and *ring* keep
//! of them is theirs, and the header says so.
//!
//! In a program of its own, because its allocator looks into every block of the calling thread. The
//! tests run one after the other for the same reason.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mfa::{
    CallOptions, Capillary, ClientOptions, EventKind, HyperId, Request, TicketOptions, WaitOptions, Waiter,
    WaiterOptions,
};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The token is one piece over and over, so that a part of it is found too.
const TOKEN: &str = "h4sh!Qzh4sh!Qzh4sh!Qzh4sh!Qzh4sh!Qzh4sh!Qzh4sh!Qzh4sh!Qzh4sh!Qzh4sh!Qz";
const PIECE: &[u8] = b"h4sh!Qz";

// The allocator -----------------------------------------------------------------------------------

/// Looks for the needles in what the watched thread frees, and knows what it has not freed.
struct Watching;

#[global_allocator]
static WATCHING: Watching = Watching;

thread_local! {
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
}

static SEEN: Mutex<Seen> = Mutex::new(Seen { live: [(0, 0); ROOM], freed: Vec::new(), needles: Vec::new() });

const ROOM: usize = 1 << 13;

struct Seen {
    /// The blocks of the watched thread: addresses and sizes.
    live: [(usize, usize); ROOM],
    /// From where blocks were freed that had a needle in them.
    freed: Vec<Backtrace>,
    needles: Vec<Vec<u8>>,
}

fn seen() -> MutexGuard<'static, Seen> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    /// The entry of a block; of none: a free one.
    fn entry(&mut self, address: usize) -> Option<&mut (usize, usize)> {
        self.live.iter_mut().find(|entry| entry.0 == address)
    }

    fn finds_a_needle(&self, address: usize, size: usize) -> bool {
        // SAFETY: a block that was handed out, with its size, and zeroed then.
        let block = unsafe { std::slice::from_raw_parts(address as *const u8, size) };
        self.needles.iter().any(|needle| holds(block, needle))
    }
}

#[cfg(unix)]
fn holds(block: &[u8], needle: &[u8]) -> bool {
    // SAFETY: both are readable for their lengths.
    let place =
        unsafe { libc::memmem(block.as_ptr().cast(), block.len(), needle.as_ptr().cast(), needle.len()) };
    !place.is_null()
}

/// Windows has no such function.
#[cfg(windows)]
fn holds(block: &[u8], needle: &[u8]) -> bool {
    block.windows(needle.len()).any(|place| place == needle)
}

/// Runs `work` unwatched: what watches allocates, too.
fn unwatched<T>(work: impl FnOnce() -> T) -> T {
    let before = IS_WATCHED.replace(false);
    let result = work();
    IS_WATCHED.set(before);
    result
}

// SAFETY: hands out the system's blocks, and gives them back as they came.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Zeroed, so that nothing of a former owner is found in it.
        // SAFETY: passed on.
        let block = unsafe { System.alloc_zeroed(layout) };
        if IS_WATCHED.get() {
            unwatched(|| *seen().entry(0).expect("there is room") = (block as usize, layout.size()));
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if IS_WATCHED.get() {
            unwatched(|| {
                let mut seen = seen();
                if seen.finds_a_needle(block as usize, layout.size()) {
                    seen.freed.push(Backtrace::force_capture());
                }
                if let Some(entry) = seen.entry(block as usize) {
                    *entry = (0, 0);
                }
            });
        }
        // SAFETY: passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

/// What `work` leaves behind.
struct Remains<T> {
    result: T,
    /// Which crate freed each block with a needle in it.
    freed_by: Vec<String>,
    /// How many blocks with a needle are still in use.
    kept: usize,
}

fn watch<T>(work: impl FnOnce() -> T) -> Remains<T> {
    seen().live.fill((0, 0));
    IS_WATCHED.set(true);
    let result = work();
    IS_WATCHED.set(false);
    let mut seen = seen();
    let used = seen.live.iter().filter(|(address, _)| *address != 0);
    let kept = used.filter(|(address, size)| seen.finds_a_needle(*address, *size)).count();
    let freed = std::mem::take(&mut seen.freed);
    drop(seen);
    Remains { result, freed_by: freed.iter().map(culprit).collect(), kept }
}

/// The innermost crate in a backtrace that is not the standard library: whose memory it was.
fn culprit(backtrace: &Backtrace) -> String {
    let text = backtrace.to_string();
    let crates = ["rustls", "ring", "mfa", "ureq_proto", "http", "httparse", "bytes", "serde_json", "base64"];
    let owner =
        |line: &str| crates.iter().find(|name| names_crate(line, name)).map(|name| (*name).to_owned());
    text.lines().find_map(owner).unwrap_or(text)
}

fn names_crate(line: &str, name: &str) -> bool {
    let path = format!("{name}::");
    line.match_indices(&path)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c)))
}

/// One test at a time, looking for these.
fn look_for(needles: &[&[u8]]) -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    seen().needles = needles.iter().map(|needle| needle.to_vec()).collect();
    alone
}

// The server --------------------------------------------------------------------------------------

/// Gives each request the same answer; closes where the answer asks for it.
struct Server {
    options: ClientOptions,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    fn new(has_tls: bool) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], der)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if has_tls { "https" } else { "http" };
        let mut options = ClientOptions::new()
            .base_url(format!("{scheme}://{}", listener.local_addr().unwrap()))
            .allow_loopback_http(!has_tls);
        options.ca_pem = has_tls.then(|| certificate.pem());
        let answer = Arc::new(Mutex::new(Vec::new()));
        let theirs = answer.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, answer) = (config.clone(), theirs.clone());
                std::thread::spawn(move || {
                    if has_tls {
                        serve(StreamOwned::new(ServerConnection::new(config).unwrap(), stream), &answer)
                    } else {
                        serve(stream, &answer)
                    }
                });
            }
        });
        Server { options, answer }
    }
}

trait Goodbye: Read + Write {
    fn say_goodbye(&mut self) {}
}

impl Goodbye for TcpStream {}

impl Goodbye for StreamOwned<ServerConnection, TcpStream> {
    fn say_goodbye(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
    }
}

fn serve(mut stream: impl Goodbye, answer: &Mutex<Vec<u8>>) -> Option<()> {
    let mut piece = [0; 4096];
    loop {
        let mut bytes = Vec::new();
        // A request is written at once, and ends with its body, which is an object.
        while !bytes.ends_with(b"}") {
            let n = stream.read(&mut piece).ok().filter(|n| *n > 0)?;
            bytes.extend_from_slice(&piece[..n]);
        }
        let answer = answer.lock().unwrap().clone();
        stream.write_all(&answer).ok()?;
        let text = String::from_utf8_lossy(&answer);
        if text.contains("Connection: close") {
            stream.say_goodbye();
            return None;
        }
    }
}

// The answers -------------------------------------------------------------------------------------

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Where a server may echo the token.
fn echoes() -> Vec<(&'static str, Vec<u8>)> {
    let header = format!("X-Echo: Bearer {TOKEN}\r\nSet-Cookie: session={TOKEN}; Secure\r\n");
    let good = r#"{"result":0,"is_available":true,"status":{"code":200}}"#;
    let refused = r#"{"result":-3,"status":{"code":1504}}"#;
    let with = |member: &str| format!("{}{member}}}", good.strip_suffix('}').unwrap());
    let refused_with = |member: &str| format!("{}{member}}}", refused.strip_suffix('}').unwrap());
    let text = format!(r#","token":"{TOKEN}""#);
    let nested = format!(r#","request":{{"headers":[{{"authorization":"Bearer {TOKEN}"}}]}}"#);
    let large = format!(r#","page":"{}""#, TOKEN.repeat(700));
    let mut chunked = format!("HTTP/1.1 200 OK\r\n{header}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for piece in [&with(&text).as_bytes()[..60], &with(&text).as_bytes()[60..]] {
        chunked.extend_from_slice(format!("{:x};e={TOKEN}\r\n", piece.len()).as_bytes());
        chunked.extend_from_slice(piece);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(format!("0\r\nX-Trailer: {TOKEN}\r\n\r\n").as_bytes());
    let interim = format!("HTTP/1.1 103 Early Hints\r\n{header}\r\n").into_bytes();
    vec![
        ("nowhere", answer("200 OK", "", good)),
        ("in a header", answer("200 OK", &header, good)),
        ("in a header of a refusal", answer("200 OK", &header, refused)),
        ("in a header of an error", answer("401 Unauthorized", &header, "no")),
        ("in a header of a redirect", answer("302 Found", &format!("Location: /?t={TOKEN}\r\n"), "")),
        ("in an interim answer's header", [interim, answer("200 OK", "", good)].concat()),
        ("in the status line", answer(&format!("200 {TOKEN}"), "", good)),
        ("in a field", answer("200 OK", "", &with(&text))),
        ("in a field of a field", answer("200 OK", "", &with(&nested))),
        ("in a field with an escape", answer("200 OK", "", &with(&format!(r#","url":"\/{TOKEN}""#)))),
        ("in a long field", answer("200 OK", "", &with(&large))),
        ("in a field of a refusal", answer("200 OK", "", &refused_with(&text))),
        ("in a field of a field of a refusal", answer("200 OK", "", &refused_with(&nested))),
        ("in a field's name", answer("200 OK", "", &with(&format!(r#","{TOKEN}":1"#)))),
        ("in a wanted field", answer("200 OK", "", &format!(r#"{{"result":"{TOKEN}"}}"#))),
        ("in an error page", answer("500 Oops", "", &format!("<html>{TOKEN}</html>"))),
        ("in an answer that is no JSON", answer("200 OK", "", TOKEN)),
        ("in an answer that is not HTTP", format!("{TOKEN}\r\nConnection: close\r\n\r\n").into_bytes()),
        ("in a chunked answer", chunked),
        (
            "in an answer that is cut short",
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{header}Content-Length: 999\r\n\r\n{TOKEN}")
                .into(),
        ),
        (
            "in a header that is cut short",
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{header}X: {TOKEN}").into_bytes(),
        ),
    ]
}

// The calls ---------------------------------------------------------------------------------------

fn call_options() -> CallOptions<'static> {
    CallOptions::new().timeout(Duration::from_secs(5))
}

/// Twice, so that a kept connection is used too. Their clients keep one each.
fn each_call(options: &ClientOptions) -> (HyperId, Capillary) {
    let hyperid = HyperId::new(options).unwrap();
    let capillary = Capillary::new(options).unwrap();
    let call = call_options();
    let request = Request::new().question("?");
    for _ in 0..2 {
        // The two that are never repeated; so after trouble nothing is waited for.
        let _ = hyperid.start(TOKEN, &request, &call);
        let _ = hyperid.cancel(TOKEN, 7, &call);
        let brief = call.timeout(Duration::from_millis(300));
        let _ = capillary.is_mfa_registered("brand", "device", TOKEN, &brief);
    }
    (hyperid, capillary)
}

/// Whose the blocks are that are freed by the calls and with the clients, and how many are kept between.
fn remains(options: &ClientOptions) -> (Vec<String>, usize) {
    let calls = watch(|| each_call(options));
    let end = watch(|| drop(calls.result));
    ([calls.freed_by, end.freed_by].concat(), calls.kept)
}

#[test]
fn the_watcher_sees_what_is_freed_and_kept() {
    let _alone = look_for(&[PIECE]);
    let careless = watch(|| {
        drop(TOKEN.to_owned());
        // Growing leaves a copy.
        let mut text = TOKEN.to_owned();
        text.reserve(1000);
        text
    });
    assert_eq!((careless.freed_by.len(), careless.kept), (2, 1));
}

#[test]
fn an_echoed_token_stays_nowhere() {
    let _alone = look_for(&[PIECE]);
    let server = Server::new(false);
    for (place, answer) in echoes() {
        *server.answer.lock().unwrap() = answer;
        assert_eq!(remains(&server.options), (vec![], 0), "echoed {place}");
    }
}

/// Waits of a waiter that end, that are given another token, asked or not, and that are freed under way.
fn each_wait(client: &HyperId) {
    let waiter = Waiter::new(client, &WaiterOptions::new()).unwrap();
    let options = TicketOptions::new().timeout(Duration::from_millis(300)).ask_for_token(true);
    let (request, wait) = (Request::new().question("?"), WaitOptions::new());
    let add = || {
        waiter.confirm(TOKEN, &request, &wait, options, |_| {}).unwrap();
        waiter.wait(TOKEN, 7, &wait, options, |_| {}).unwrap()
    };
    for ticket in [add(), add()] {
        waiter.give_token(ticket, Some(TOKEN)).unwrap();
    }
    while waiter.count() > 0 {
        let event = waiter.next(Duration::from_secs(20)).unwrap().expect("an event");
        if matches!(event.kind, EventKind::TokenRefused(..)) {
            waiter.give_token(event.ticket, (event.ticket % 2 == 0).then_some(TOKEN)).unwrap();
        }
    }
    add();
    waiter.next(Duration::ZERO).unwrap();
    add();
}

#[test]
fn a_waiters_waits_leave_no_token_behind() {
    let _alone = look_for(&[PIECE]);
    let server = Server::new(false);
    let token_expired = answer("200 OK", "", r#"{"result":-4}"#);
    for (place, answer) in echoes().into_iter().chain([("nowhere, and refused", token_expired)]) {
        *server.answer.lock().unwrap() = answer;
        let client = HyperId::new(&server.options).unwrap();
        let waits = watch(|| each_wait(&client));
        let end = watch(|| drop(client));
        assert_eq!((waits.freed_by, waits.kept, end.freed_by), (vec![], 0, vec![]), "echoed {place}");
    }
}

/// rustls decrypts into memory of its own, which nobody else can wipe: a copy of each record, and a
/// connection's buffer.
#[test]
fn over_tls_it_stays_in_nothing_of_ours() {
    let _alone = look_for(&[PIECE]);
    let server = Server::new(true);
    for (place, answer) in echoes() {
        *server.answer.lock().unwrap() = answer;
        let (freed_by, kept) = remains(&server.options);
        assert!(freed_by.iter().all(|owner| owner == "rustls"), "echoed {place}: {freed_by:?}");
        assert!(kept <= 2, "echoed {place}: {kept} kept, on two connections");
    }
}

/// The one place where a header's value is to stay: the lines that every request gets.
#[test]
fn a_header_of_the_callers_own_stays_in_one_place() {
    let _alone = look_for(&[PIECE]);
    let server = Server::new(false);
    *server.answer.lock().unwrap() = echoes().remove(0).1;
    let options = server.options.clone().headers([("X-Api-Key", TOKEN.to_owned())]);
    assert_eq!(remains(&options), (vec![], 2));
}

#[test]
fn a_proxys_password_stays_in_one_place() {
    let userinfo = BASE64_STANDARD.encode(format!("u:{TOKEN}"));
    // The token's pieces lie differently in each three bytes; this is long enough for all.
    let _alone = look_for(&[PIECE, &userinfo.as_bytes()[8..24]]);
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://u:{TOKEN}@{}", proxy.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in proxy.incoming().flatten() {
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\r\n\r\n") {
                let mut piece = [0; 1024];
                let n = stream.read(&mut piece).unwrap();
                bytes.extend_from_slice(&piece[..n]);
            }
            let text = String::from_utf8(bytes).unwrap();
            let echo = text.lines().find(|line| line.starts_with("Proxy-Auth")).unwrap_or("X: y");
            let _ = write!(stream, "HTTP/1.1 407 No\r\nX-Echo: {echo}\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let options = ClientOptions::new().base_url("https://127.0.0.1:9").proxy_url(url);
    let made = watch(|| HyperId::new(&options).unwrap());
    assert_eq!(made.freed_by, [""; 0], "while the client is made");
    let called = watch(|| made.result.availability("t", &call_options()).unwrap_err());
    assert_eq!((called.freed_by, called.kept), (vec![], 0), "in a call: {}", called.result);
    let freed = watch(|| drop(made.result));
    assert_eq!(freed.freed_by, [""; 0], "with the client");
}

/// In PEM, in DER and as the number that it is.
#[test]
fn a_clients_key_stays_with_ring_alone() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["me".to_owned()]).unwrap().self_signed(&key).unwrap();
    let (pem, der) = (key.serialize_pem(), key.serialize_der());
    // RFC 5915 in PKCS #8, P-256: the number's 32 bytes begin at the 37th, in base64 at the 49th character.
    assert_eq!(der[34..36], [4, 32]);
    let base64: String = pem.lines().skip(1).collect();
    let _alone = look_for(&[&der[40..56], &base64.as_bytes()[52..68], &base64.as_bytes()[68..84]]);
    let options = ClientOptions::new()
        .base_url("https://127.0.0.1:9")
        .ca_pem(certificate.pem())
        .client_cert_pem(certificate.pem())
        .client_key_pem(pem);
    let made = watch(|| HyperId::new(&options).unwrap());
    assert_eq!((made.freed_by, made.kept), (vec![], 0), "when the client is made");
    let freed = watch(|| drop(made.result));
    assert_eq!(freed.freed_by, [""; 0], "with the client");
}
