//! A name with several addresses: one that accepts, and then fails before it can serve, gives way to
//! the next, whatever the call, with a proxy and without.

#![allow(unsafe_code)]
#![cfg(target_os = "linux")] // All of 127.0.0.0/8 is this machine.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mfa::{CallOptions, Cancel, ClientOptions, Code, Error};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::alone::{Census, alone};
use crate::support::calls::Call;
use crate::support::wait_until;

/// What one address does with each connection.
#[derive(Clone, Debug)]
enum How {
    /// Nobody listens there.
    Refuse,
    /// Nobody answers: its queue is full, so that the system drops what else wants to connect.
    Dead,
    CloseAtOnce,
    /// After the first bytes.
    Close,
    Reset,
    Silent,
    /// Speaks, but another protocol.
    Garbage,
    /// Serves.
    Good(Arc<Server>),
    /// Serves, after this time.
    Slow(Arc<Server>, Duration),
    /// A proxy that tunnels to there.
    Tunnel(SocketAddr),
    /// The same, after this time.
    SlowTunnel(SocketAddr, Duration),
    /// A proxy that refuses.
    Forbid,
}

/// An https server: its certificate, and what it answers.
#[derive(Debug)]
struct Server {
    config: Arc<ServerConfig>,
    ca: String,
    answer: String,
}

impl Server {
    /// Answers `call`, with a certificate for `host`.
    fn new(host: &str, call: Call) -> Arc<Self> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], der);
        let body = call.success();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        Arc::new(Server { config: Arc::new(config.unwrap()), ca: certificate.pem(), answer })
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut tls = StreamOwned::new(ServerConnection::new(self.config.clone()).ok()?, stream);
        let mut request = Vec::new();
        let mut piece = [0; 4096];
        while !request.ends_with(b"}") {
            let n = tls.read(&mut piece).ok().filter(|n| *n > 0)?;
            request.extend_from_slice(&piece[..n]);
        }
        tls.write_all(self.answer.as_bytes()).ok()?;
        tls.read(&mut piece).ok().map(drop)
    }
}

/// The addresses of one name, on one port.
struct Places {
    host: String,
    port: u16,
    /// How many connections each has accepted.
    accepted: Vec<Arc<AtomicUsize>>,
}

const IPS: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

/// A name that leads to so many addresses, in this order.
fn name(count: usize) -> String {
    IPS[..count].join(" ").replace('.', "-").replace(' ', ".") + ".test"
}

impl Places {
    fn new(hows: &[How]) -> Self {
        let (host, ips) = (name(hows.len()), &IPS[..hows.len()]);
        Places::at(&host, ips, hows).expect("these addresses exist")
    }

    /// `None`: one of the addresses does not exist here.
    fn at(host: &str, ips: &[&str], hows: &[How]) -> Option<Self> {
        // A port that is free at all of them.
        let (port, listeners) = (0..100).find_map(|_| {
            let first = TcpListener::bind((ips[0], 0)).ok()?;
            let port = first.local_addr().ok()?.port();
            let rest = ips[1..].iter().map(|ip| TcpListener::bind((*ip, port)).ok());
            let all: Option<Vec<_>> = std::iter::once(Some(first)).chain(rest).collect();
            Some((port, all?))
        })?;
        let accepted = listeners.into_iter().zip(hows).map(|(listener, how)| open(listener, how.clone()));
        Some(Places { host: host.to_owned(), port, accepted: accepted.collect() })
    }

    fn accepted(&self) -> Vec<usize> {
        self.accepted.iter().map(|count| count.load(Ordering::SeqCst)).collect()
    }

    fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// A client that goes there.
    fn options(&self, ca: &str, connect_timeout: Duration) -> ClientOptions {
        ClientOptions::new()
            .base_url(format!("https://{}", self.authority()))
            .ca_pem(ca)
            .connect_timeout(connect_timeout)
    }
}

fn open(listener: TcpListener, how: How) -> Arc<AtomicUsize> {
    let accepted = Arc::new(AtomicUsize::new(0));
    match how {
        How::Refuse => return accepted,
        How::Dead => {
            fill(listener);
            return accepted;
        }
        _ => {}
    }
    let theirs = accepted.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            theirs.fetch_add(1, Ordering::SeqCst);
            let how = how.clone();
            std::thread::spawn(move || serve(stream, &how));
        }
    });
    accepted
}

/// It stays full until the process ends.
fn fill(listener: TcpListener) {
    use std::os::fd::AsRawFd;
    // SAFETY: the descriptor is open; listening again only changes the length of the queue.
    unsafe { libc::listen(listener.as_raw_fd(), 0) };
    let address = listener.local_addr().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
    let waiting: Vec<_> = std::iter::from_fn(connect).take(100).collect();
    assert!(waiting.len() < 100, "the queue is never full");
    std::mem::forget((listener, waiting));
}

fn serve(mut stream: TcpStream, how: &How) -> Option<()> {
    let mut piece = [0; 4096];
    match how {
        How::Refuse | How::Dead | How::CloseAtOnce => {}
        How::Close => {
            let _ = stream.read(&mut piece);
        }
        // What is unread when it closes makes it a reset.
        How::Reset => {
            let _ = stream.peek(&mut piece);
        }
        How::Silent => {
            let _ = stream.read_to_end(&mut Vec::new());
        }
        How::Garbage => {
            let _ = stream.read(&mut piece);
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n");
        }
        How::Good(server) => server.serve(stream)?,
        How::Slow(server, time) => {
            std::thread::sleep(*time);
            server.serve(stream)?;
        }
        How::Tunnel(to) => tunnel(stream, *to)?,
        How::SlowTunnel(to, time) => {
            std::thread::sleep(*time);
            tunnel(stream, *to)?;
        }
        How::Forbid => {
            let _ = stream.read(&mut piece);
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").ok()?;
            let _ = stream.read(&mut piece);
        }
    }
    Some(())
}

fn tunnel(mut client: TcpStream, to: SocketAddr) -> Option<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let mut server = TcpStream::connect(to).ok()?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let (mut up, mut there) = (client.try_clone().ok()?, server.try_clone().ok()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut up, &mut there);
        let _ = there.shutdown(std::net::Shutdown::Both);
    });
    let _ = std::io::copy(&mut server, &mut client);
    client.shutdown(std::net::Shutdown::Both).ok()
}

/// For what does not succeed.
const SHORT: Duration = Duration::from_millis(800);
/// A small part of it is enough for a handshake on a busy machine.
const ROOMY: Duration = Duration::from_secs(3);
const LONG: Duration = Duration::from_secs(20);

fn call() -> CallOptions<'static> {
    CallOptions::new().timeout(LONG)
}

fn failures() -> Vec<How> {
    vec![How::Reset, How::Close, How::CloseAtOnce, How::Garbage, How::Silent, How::Refuse, How::Dead]
}

/// Connections that an address which does so has accepted after one call that tried it.
fn once(how: &How) -> usize {
    usize::from(!matches!(how, How::Refuse | How::Dead))
}

#[test]
fn an_address_that_fails_in_the_handshake_gives_way_to_the_next() {
    alone(|| {
        for bad in failures() {
            for call in Call::ALL {
                let server = Server::new(&name(2), call);
                let places = Places::new(&[bad.clone(), How::Good(server.clone())]);
                let result = call.run(&places.options(&server.ca, ROOMY), &self::call());
                assert!(result.is_ok(), "{bad:?}: {call:?}: {result:?}");
                assert_eq!(places.accepted(), [once(&bad), 1], "{bad:?}: {call:?}");

                let places = Places::new(&[How::Good(server.clone()), bad.clone()]);
                let result = call.run(&places.options(&server.ca, ROOMY), &self::call());
                assert!(result.is_ok(), "{bad:?}: {call:?}: {result:?}");
                assert_eq!(places.accepted(), [1, 0], "{bad:?}: {call:?}");
            }
        }
    });
}

#[test]
fn all_addresses_get_their_turn() {
    alone(|| {
        for first in failures() {
            let server = Server::new(&name(3), Call::Start);
            let places = Places::new(&[first.clone(), How::Silent, How::Good(server.clone())]);
            let result = Call::Start.run(&places.options(&server.ca, ROOMY), &call());
            assert!(result.is_ok(), "{first:?}: {result:?}");
            assert_eq!(places.accepted(), [once(&first), 1, 1], "{first:?}");
        }
    });
}

#[test]
fn a_machine_of_two_families_is_one_too() {
    alone(|| {
        for bad in failures() {
            let server = Server::new("localhost", Call::Start);
            // "localhost" is 127.0.0.1 and then ::1.
            let hows = [bad.clone(), How::Good(server.clone())];
            let Some(places) = Places::at("localhost", &["127.0.0.1", "::1"], &hows) else {
                println!("not tried: no IPv6 here");
                return;
            };
            let result = Call::Start.run(&places.options(&server.ca, ROOMY), &call());
            assert!(result.is_ok(), "{bad:?}: {result:?}");
        }
    });
}

/// A proxy with two addresses, and one server behind it.
fn through_proxy(
    server: &Arc<Server>,
    proxies: &[How],
    connect_timeout: Duration,
) -> (ClientOptions, Places, Places) {
    let behind = Places::at("server.test", &IPS[..1], &[How::Good(server.clone())]).unwrap();
    let to = SocketAddr::new(IPS[0].parse().unwrap(), behind.port);
    let proxies: Vec<How> = proxies
        .iter()
        .map(|how| match how {
            How::Tunnel(_) => How::Tunnel(to),
            How::SlowTunnel(_, time) => How::SlowTunnel(to, *time),
            other => other.clone(),
        })
        .collect();
    let proxy = Places::new(&proxies);
    let proxy_url = format!("http://{}", proxy.authority());
    let options = behind.options(&server.ca, connect_timeout).proxy_url(proxy_url);
    (options, proxy, behind)
}

fn a_tunnel() -> How {
    How::Tunnel(SocketAddr::from(([0; 4], 0)))
}

#[test]
fn a_proxys_address_that_fails_gives_way_to_its_next() {
    alone(|| {
        for bad in failures() {
            for call in Call::ALL {
                let server = Server::new("server.test", call);
                let (options, proxy, behind) = through_proxy(&server, &[bad.clone(), a_tunnel()], ROOMY);
                let result = call.run(&options, &self::call());
                assert!(result.is_ok(), "{bad:?}: {call:?}: {result:?}");
                assert_eq!(proxy.accepted(), [once(&bad), 1], "{bad:?}: {call:?}");
                assert_eq!(behind.accepted(), [1], "{bad:?}: {call:?}");
            }
        }
    });
}

#[test]
fn what_a_proxy_or_a_certificate_says_no_to_is_not_asked_elsewhere() {
    alone(|| {
        for call in Call::ALL {
            let server = Server::new("server.test", call);
            let (options, proxy, behind) = through_proxy(&server, &[How::Forbid, a_tunnel()], ROOMY);
            let error = call.run(&options, &self::call()).unwrap_err();
            assert_eq!((error.code, error.http_status), (Code::Proxy, Some(403)), "{call:?}: {error}");
            assert_eq!((proxy.accepted(), behind.accepted()), (vec![1, 0], vec![0]), "{call:?}");

            let (good, stranger) = (Server::new(&name(2), call), Server::new(&name(2), call));
            let places = Places::new(&[How::Good(stranger), How::Good(good.clone())]);
            let error = call.run(&places.options(&good.ca, ROOMY), &self::call()).unwrap_err();
            assert_eq!(error.code, Code::Tls, "{call:?}: {error}");
            // Once for each attempt of the call, and never the other address.
            let attempts = usize::try_from(error.attempts).unwrap();
            assert_eq!(places.accepted(), [attempts, 0], "{call:?}");
            assert_eq!(attempts > 1, call.is_repeatable());
        }
    });
}

/// What a call that is made once says of these addresses.
fn error_of(hows: &[How], connect_timeout: Duration, options: &CallOptions<'_>) -> Error {
    let server = Server::new(&name(hows.len()), Call::Start);
    let error =
        Call::Start.run(&Places::new(hows).options(&server.ca, connect_timeout), options).unwrap_err();
    assert!(!error.outcome_unknown, "{hows:?}: nothing of the request was sent: {error}");
    error
}

#[test]
fn what_the_address_that_got_furthest_met_is_told() {
    alone(|| {
        let reset = Some(libc::ECONNRESET);
        let cases = [
            (vec![How::Refuse, How::Refuse], Code::Connect, Some(libc::ECONNREFUSED)),
            (vec![How::Reset, How::Refuse], Code::ConnectionLost, reset),
            (vec![How::Refuse, How::Reset], Code::ConnectionLost, reset),
            (vec![How::Close, How::Reset], Code::ConnectionLost, reset),
            (vec![How::Reset, How::Close], Code::ConnectionLost, None),
            (vec![How::Garbage, How::Refuse], Code::Tls, None),
            (vec![How::Refuse, How::Garbage], Code::Tls, None),
        ];
        for (hows, code, os_error) in cases {
            let error = error_of(&hows, LONG, &call());
            assert_eq!((error.code, error.os_error), (code, os_error), "{hows:?}: {error}");
        }
    });
}

#[test]
fn a_dead_address_does_not_hold_up_what_another_one_met() {
    alone(|| {
        for hows in [[How::Reset, How::Dead], [How::Dead, How::Reset]] {
            let start = Instant::now();
            let error = error_of(&hows, LONG, &call());
            assert_eq!(error.code, Code::ConnectionLost, "{hows:?}: {error}");
            assert_eq!(error.os_error, Some(libc::ECONNRESET), "{hows:?}: {error}");
            assert!(start.elapsed() < LONG / 2, "{hows:?}: {:?}", start.elapsed());
        }
    });
}

#[test]
fn where_nobody_speaks_the_time_to_connect_is_what_ends_it() {
    alone(|| {
        let cases = [
            vec![How::Silent],
            vec![How::Silent, How::Silent],
            vec![How::Silent, How::Refuse],
            vec![How::Refuse, How::Silent],
            vec![How::Silent, How::Dead],
            vec![How::Silent, How::Refuse, How::Refuse],
        ];
        for hows in cases {
            let start = Instant::now();
            let error = error_of(&hows, SHORT, &call());
            assert_eq!(error.code, Code::ConnectTimeout, "{hows:?}: {error}");
            assert!(error.message.contains("in the TLS handshake"), "{error}");
            let elapsed = start.elapsed();
            assert!(elapsed >= SHORT && elapsed < SHORT + Duration::from_secs(3), "{hows:?}: {elapsed:?}");

            let short = CallOptions::new().timeout(SHORT);
            let error = error_of(&hows, LONG, &short);
            assert_eq!(error.code, Code::Timeout, "{hows:?}: {error}");
        }
    });
}

#[test]
fn a_slow_address_is_left_for_one_that_accepts_and_for_no_other() {
    alone(|| {
        // Beyond the half after which another is looked for, and well within the whole.
        let (slow, whole) = (Duration::from_secs(3), Duration::from_secs(5));
        let server = Server::new(&name(2), Call::Start);
        let places = Places::new(&[How::Slow(server.clone(), slow), How::Refuse]);
        let result = Call::Start.run(&places.options(&server.ca, whole), &call());
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(places.accepted(), [1, 0]);

        let server = Server::new("server.test", Call::Start);
        let How::Tunnel(nowhere) = a_tunnel() else { unreachable!() };
        let (options, proxy, _behind) =
            through_proxy(&server, &[How::SlowTunnel(nowhere, slow), How::Refuse], whole);
        let result = Call::Start.run(&options, &call());
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(proxy.accepted(), [1, 0]);
    });
}

#[test]
fn a_cancel_ends_it_at_the_second_address_too() {
    alone(|| {
        let server = Server::new(&name(2), Call::Start);
        let places = Places::new(&[How::Silent, How::Silent]);
        let listening = Census::take();
        let cancel = Cancel::new();
        std::thread::scope(|scope| {
            let call = scope.spawn(|| {
                let options = CallOptions::new().timeout(Duration::from_secs(60)).cancel(&cancel);
                Call::Start.run(&places.options(&server.ca, Duration::from_secs(4)), &options).unwrap_err()
            });
            wait_until("the second is tried", || places.accepted() == [1, 1]);
            cancel.trigger();
            let error = call.join().unwrap();
            assert_eq!(error.code, Code::Cancelled, "{error}");
        });
        drop(cancel);
        listening.wait_for("two addresses");
    });
}
