//! HTTP proxies: a tunnel by CONNECT, TLS through it, and a proxy that refuses.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mfa::{CallOptions, ClientOptions, Code, HyperId};
use mfa_sandbox::{Options, Sandbox};
use zeroize::Zeroizing;

use crate::support::alone::alone_with;
use crate::support::calls::Call;
use crate::support::system::SLOWNESS;

fn call() -> CallOptions<'static> {
    CallOptions::new().timeout(Duration::from_secs(20))
}

/// A proxy that sends every tunnel to one place, whatever its target, and answers as told.
struct Tunnels {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

/// What is written in answer to a CONNECT, piece by piece.
type Pieces = Vec<Vec<u8>>;

impl Tunnels {
    fn new(answer: &str, to: Option<SocketAddr>) -> Self {
        Tunnels::scripted(vec![vec![answer.into()]], to)
    }

    /// Answers each connection in turn with the next of `answers`, then repeats the last one.
    fn scripted(answers: Vec<Pieces>, to: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let theirs = heads.clone();
        std::thread::spawn(move || {
            for (i, stream) in listener.incoming().flatten().enumerate() {
                let heads = theirs.clone();
                let answer = answers[i.min(answers.len() - 1)].clone();
                std::thread::spawn(move || tunnel(stream, &answer, to, &heads));
            }
        });
        Tunnels { address, heads }
    }

    fn url(&self, credentials: &str) -> Option<Zeroizing<String>> {
        Some(Zeroizing::new(format!("http://{credentials}{}", self.address)))
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn tunnel(mut client: TcpStream, answer: &Pieces, to: Option<SocketAddr>, heads: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match client.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    heads.lock().unwrap().push(String::from_utf8(head).unwrap());
    client.set_nodelay(true).unwrap();
    for (i, piece) in answer.iter().enumerate() {
        if i > 0 {
            // Lets the pieces travel apart; nothing depends on it.
            std::thread::sleep(Duration::from_millis(1));
        }
        if client.write_all(piece).is_err() {
            return;
        }
    }
    let Some(to) = to else {
        let _ = client.read_to_end(&mut Vec::new());
        return;
    };
    let server = TcpStream::connect(to).unwrap();
    let (mut up, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let upward = std::thread::spawn(move || {
        let _ = std::io::copy(&mut up, &mut &server);
        let _ = server.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut down, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    let _ = upward.join();
}

const REQUEST: Duration = Duration::from_millis(500 * SLOWNESS as u64);

fn options(sandbox: &Sandbox, base_url: &str, proxy_url: Option<Zeroizing<String>>) -> ClientOptions {
    let mut options = ClientOptions::new().base_url(base_url).request_timeout(REQUEST);
    options.ca_pem = sandbox.ca_pem().map(str::to_owned);
    options.proxy_url = proxy_url;
    options
}

fn tls_sandbox() -> Sandbox {
    Sandbox::start(Options { tls: true, strict: true, ..Options::default() }).unwrap()
}

#[test]
fn tls_goes_through_a_tunnel() {
    let sandbox = tls_sandbox();
    let proxy =
        Tunnels::new("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n", Some(sandbox.address()));
    // The name is the proxy's to resolve, and the certificate's to bear.
    let base = "https://localhost:4443";
    for (credentials, expected) in
        [("", None), ("us%40er:pa%3Ass@", Some("Proxy-Authorization: Basic dXNAZXI6cGE6c3M="))]
    {
        let client = HyperId::new(&options(&sandbox, base, proxy.url(credentials))).unwrap();
        for _ in 0..3 {
            assert!(client.availability("sandbox-approve", &call()).unwrap());
        }
        let heads = proxy.heads();
        let head = heads.last().unwrap();
        assert!(head.starts_with("CONNECT localhost:4443 HTTP/1.1\r\nHost: localhost:4443\r\n"), "{head}");
        let authorization = head.lines().find(|l| l.starts_with("Proxy-Authorization"));
        assert_eq!(authorization, expected);
        assert!(!head.contains("sandbox-approve"), "the token is not the proxy's");
    }
    assert_eq!(proxy.heads().len(), 2, "one tunnel serves a client's calls");
    let log = sandbox.requests();
    assert!(log.iter().all(|r| r.header("proxy-authorization").is_none()));
}

/// What each call says of a proxy that answers so, and that none of it has reached the server.
///
/// No answer may leave room for another attempt, which the deadline could cut short: trouble that may
/// pass says when to come again.
fn check_refusals(answer: &str, expected: Code, status: Option<u16>) {
    let sandbox = tls_sandbox();
    let proxy = Tunnels::new(answer, None);
    let mut options = options(&sandbox, "https://localhost:4443", proxy.url(""));
    let call_options = if expected == Code::RequestTimeout {
        // After one attempt that timed out there is no room for another.
        CallOptions::new().timeout(REQUEST + Duration::from_millis(140))
    } else {
        options = options.request_timeout(Duration::from_secs(20));
        call()
    };
    // Side by side: they may have to wait.
    std::thread::scope(|scope| {
        for call in Call::ALL {
            let (options, call_options) = (&options, &call_options);
            scope.spawn(move || {
                let error = call.run(options, call_options).unwrap_err();
                assert_eq!(
                    (error.code, error.http_status),
                    (expected, status),
                    "{call:?}: {answer}: {error}"
                );
                assert!(!error.outcome_unknown, "{call:?}: {error}");
            });
        }
    });
    assert_eq!(sandbox.connection_count(), 0);
}

/// In the head of an answer after which a client would ask again soon.
const NOT_SOON: &str = "Retry-After: 3600\r\n";

#[test]
fn a_proxy_that_refuses_is_told() {
    for (answer, status) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n", Some(407)),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", Some(403)),
        ("HTTP/1.0 502 Bad Gateway\r\nRetry-After: 3600\r\n\r\n", Some(502)),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", Some(101)),
        ("HTTP/1.1 403 Forbidden\n\n", Some(403)),
        ("SSH-2.0-OpenSSH\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\nX : y\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\n\r\nand more", None),
        ("HTTP/1.1 200 OK\n\nand more", None),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nand more", None),
    ] {
        check_refusals(answer, Code::Proxy, status);
    }
    // Half an answer, or the promise of one: a silent proxy is bounded.
    for answer in ["HTTP/1.1 200", "HTTP/1.1 100 Continue\r\n\r\n"] {
        check_refusals(answer, Code::RequestTimeout, None);
    }
}

#[test]
fn a_refusal_s_page_does_not_hide_its_status() {
    let sized = |n: usize| format!("Content-Length: {n}\r\n");
    for (status, header, length) in [
        (407, sized(20), 20),
        (403, String::new(), 5_000),
        (429, "Transfer-Encoding: chunked\r\n".into(), 1),
        (502, String::new(), 100),
        (503, sized(40_000), 40_000),
    ] {
        let answer = format!("HTTP/1.1 {status} No\r\n{NOT_SOON}{header}\r\n{}", "x".repeat(length));
        check_refusals(&answer, Code::Proxy, Some(status));
    }
}

#[test]
fn a_header_without_end_is_told_at_once() {
    let lines = |n: usize| "A: b\r\n".repeat(n);
    let long = "x".repeat(40_000);
    for answer in [
        format!("HTTP/1.1 200 OK\r\n{}\r\n", lines(129)),
        format!("HTTP/1.1 200 OK\r\nX: {long}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nX: {long}"),
    ] {
        check_refusals(&answer, Code::Proxy, None);
    }
}

#[test]
fn what_a_proxy_may_say_before_the_tunnel_is_understood() {
    let sandbox = tls_sandbox();
    let ok = "HTTP/1.1 200 Connection established\r\n";
    let lines = |n: usize| "Via: x\r\n".repeat(n);
    let whole = |text: String| vec![text.into_bytes()];
    for (name, answer) in [
        ("70 lines", whole(format!("{ok}{}\r\n", lines(70)))),
        ("as many lines as any answer may have", whole(format!("{ok}{}\r\n", lines(128)))),
        ("20 KiB", whole(format!("{ok}X: {}\r\n\r\n", "x".repeat(20_000)))),
        ("bare line feeds", whole("HTTP/1.0 200 OK\nVia: x\n\n".into())),
        ("a 100 before it", whole(format!("HTTP/1.1 100 Continue\r\n\r\n{ok}\r\n"))),
        ("a 100 with a header", whole(format!("HTTP/1.1 100 Continue\r\nVia: x\r\n\r\n{ok}\r\n"))),
        (
            "several before it, each in a packet",
            vec![
                b"HTTP/1.1 102 Processing\r\n\r\n".to_vec(),
                b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".to_vec(),
                format!("{ok}\r\n").into_bytes(),
            ],
        ),
        ("byte by byte", format!("HTTP/1.1 100 X\r\n\r\n{ok}\r\n").bytes().map(|b| vec![b]).collect()),
        ("what means nothing here", whole(format!("{ok}Content-Length: 5\r\n\r\n"))),
    ] {
        let proxy = Tunnels::scripted(vec![answer], Some(sandbox.address()));
        let options = options(&sandbox, "https://localhost:4443", proxy.url(""))
            .request_timeout(Duration::from_secs(5));
        let result = HyperId::new(&options).unwrap().availability("sandbox-approve", &call());
        assert!(result.is_ok(), "{name}: {result:?}");
    }
}

#[test]
fn a_proxy_that_cannot_just_now_is_asked_again_when_it_says() {
    let sandbox = tls_sandbox();
    let busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy".to_vec();
    let ok = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let proxy = Tunnels::scripted(vec![vec![busy.clone()], vec![busy], vec![ok]], Some(sandbox.address()));
    let base = "https://localhost:4443";
    let client = HyperId::new(&options(&sandbox, base, proxy.url(""))).unwrap();
    assert!(client.availability("sandbox-approve", &call()).unwrap());
    assert_eq!(proxy.heads().len(), 3);

    for status in [429, 503] {
        let answer = format!("HTTP/1.1 {status} Later\r\nRetry-After: 3600\r\n\r\n<html>");
        let proxy = Tunnels::new(&answer, None);
        let client = HyperId::new(&options(&sandbox, base, proxy.url(""))).unwrap();
        let error = client.availability("sandbox-approve", &call()).unwrap_err();
        assert_eq!((error.code, error.http_status), (Code::Proxy, Some(status)), "{error}");
        assert_eq!(error.retry_after, Some(Duration::from_secs(3600)), "{status}");
        assert_eq!(proxy.heads().len(), 1, "there is no time to come back in an hour");
    }
}

#[test]
fn a_proxy_that_is_not_there_is_told() {
    let sandbox = tls_sandbox();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Some(Zeroizing::new(format!("http://{}", listener.local_addr().unwrap())));
    drop(listener);
    let options = options(&sandbox, "https://localhost:4443", url);
    for call in Call::ALL {
        let error = call.run(&options, &self::call()).unwrap_err();
        assert_eq!(error.code, Code::Connect, "{call:?}: {error}");
    }
}

#[test]
fn what_goes_in_clear_is_never_proxied_and_a_bad_url_always_refused() {
    let sandbox = Sandbox::start(Options { strict: true, ..Options::default() }).unwrap();
    let proxy = Tunnels::new("HTTP/1.1 200 OK\r\n\r\n", Some(sandbox.address()));
    let clear = options(&sandbox, sandbox.hyperid_url(), proxy.url("")).allow_loopback_http(true);
    assert!(HyperId::new(&clear).unwrap().availability("sandbox-approve", &call()).unwrap());
    assert!(proxy.heads().is_empty());
    for url in ["https://proxy", "socks5://proxy", "proxy:80", "http://proxy/path"] {
        let bad = clear.clone().proxy_url(url.to_owned());
        assert_eq!(HyperId::new(&bad).unwrap_err().code, Code::InvalidUrl, "{url}");
    }
}

#[test]
fn the_environment_is_read_only_when_asked() {
    let environment = [("ALL_PROXY", "http://127.0.0.1:9"), ("SSLKEYLOGFILE", "must-not-be-made.log")];
    alone_with(&environment, || {
        let sandbox = tls_sandbox();
        let client = HyperId::new(&options(&sandbox, sandbox.hyperid_url(), None)).unwrap();
        assert!(client.availability("sandbox-approve", &call()).unwrap());
        assert!(!std::path::Path::new("must-not-be-made.log").exists());
        // A name that is never resolved here: the proxy alone would, and nobody listens there.
        let asked = options(&sandbox, "https://api.invalid", None).proxy_from_env(true);
        let error = HyperId::new(&asked).unwrap().cancel("t", 3, &call()).unwrap_err();
        assert_eq!(error.code, Code::Connect, "{error}");
    });
}

/// A value that is no text.
fn not_utf8(before: &str, after: &str) -> OsString {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStringExt::from_vec(
        [before.as_bytes(), b"\xff", after.as_bytes()].concat(),
    );
    #[cfg(windows)]
    {
        const HALF_A_PAIR: u16 = 0xd800;
        let units: Vec<u16> =
            before.encode_utf16().chain([HALF_A_PAIR]).chain(after.encode_utf16()).collect();
        std::os::windows::ffi::OsStringExt::from_wide(&units)
    }
}

#[test]
fn a_proxy_variable_that_is_no_text_is_refused_by_its_name() {
    let environment = [("HTTPS_PROXY", not_utf8("http://me:hush@", ".example:3128"))];
    alone_with(&environment, || {
        let asked = ClientOptions::new().base_url("https://api.invalid").proxy_from_env(true);
        let error = HyperId::new(&asked).unwrap_err();
        assert_eq!(error.code, Code::InvalidUrl, "{error}");
        // Windows does not tell such names apart by their case.
        let said = error.message.to_ascii_uppercase();
        assert!(said.contains("HTTPS_PROXY") && !error.message.contains("hush"), "{error}");
    });
}

#[test]
fn an_exemption_that_is_no_text_does_not_lose_the_others() {
    let environment = [
        ("ALL_PROXY", "socks5://me:hush@127.0.0.1:9".into()),
        ("NO_PROXY", not_utf8("a", ".example, api.invalid")),
    ];
    alone_with(&environment, || {
        let new = |base: &str| HyperId::new(&ClientOptions::new().base_url(base).proxy_from_env(true));
        assert!(new("https://api.invalid").is_ok());
        let error = new("https://other.invalid").unwrap_err();
        assert_eq!(error.code, Code::InvalidUrl, "{error}");
        let said = error.message.to_ascii_uppercase();
        assert!(said.contains("ALL_PROXY") && error.message.contains("socks5"), "{error}");
        assert!(!error.message.contains("hush") && !error.message.contains("proxy_url"), "{error}");
    });
}

#[test]
fn a_second_look_goes_through_a_tunnel_of_its_own() {
    let sandbox = tls_sandbox();
    let to = sandbox.hyperid_url().trim_start_matches("https://").parse().unwrap();
    let proxy = Tunnels::new("HTTP/1.1 200 OK\r\n\r\n", Some(to));
    let client = HyperId::new(&options(&sandbox, sandbox.hyperid_url(), proxy.url(""))).unwrap();
    let token = "sandbox-approve-after-0+id-missing";
    let request = mfa::Request::new().question("?");
    let id = client.start(token, &request, &call()).unwrap();
    assert_eq!(proxy.heads().len(), 1);
    // It approves without saying whom.
    assert!(client.status(token, id, &call()).unwrap().decision.is_approved());
    assert_eq!(proxy.heads().len(), 2);
}
