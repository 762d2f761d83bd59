//! TLS on real sockets: who is trusted, and what each failure says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mfa::{CallOptions, ClientOptions, Code, Error, HyperId, WaitOptions};
use mfa_sandbox::{Options, Sandbox};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::alone::{Census, alone};
use crate::support::calls::Call;
use crate::support::system::SLOWNESS;
use crate::support::waits;

const AVAILABLE: &str = r#"{"result":0,"is_available":true}"#;

fn call() -> CallOptions<'static> {
    CallOptions::new().timeout(Duration::from_secs(20))
}

struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Ca {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Ca { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }

    fn leaf(&self, host: &str, adjust: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        adjust(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { chain: vec![certificate.der().clone()], key: key.serialize_der() }
    }

    /// The authority's own certificate, in place of one that it issued.
    fn itself(&self) -> Identity {
        Identity { chain: vec![self.issuer.der().clone()], key: self.issuer.key().serialize_der() }
    }

    /// Issued by one between, which `adjust` makes what it is.
    fn leaf_below(&self, adjust: impl FnOnce(&mut CertificateParams)) -> Identity {
        self.below(KeyPair::generate().unwrap(), adjust)
    }

    /// Issued by one between with such a key.
    fn leaf_below_of(&self, algorithm: &'static rcgen::SignatureAlgorithm) -> Identity {
        self.below(KeyPair::generate_for(algorithm).unwrap(), |_| {})
    }

    fn below(&self, key: KeyPair, adjust: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "between");
        adjust(&mut params);
        let between = CertifiedIssuer::signed_by(params, key, &self.issuer).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &between).unwrap();
        Identity { chain: vec![leaf.der().clone(), between.der().clone()], key: key.serialize_der() }
    }
}

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

fn server_config(
    identity: Identity,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain, key);
    Arc::new(config.unwrap())
}

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// Serves `connections` connections, each with `serve`, and ends.
fn serve(
    config: Arc<ServerConfig>,
    connections: usize,
    serve: impl Fn(Tls) + Send + 'static,
) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        for stream in listener.incoming().take(connections).flatten() {
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream.set_nodelay(true).unwrap();
            let session = ServerConnection::new(config.clone()).unwrap();
            serve(StreamOwned::new(session, stream));
        }
    });
    (url, thread)
}

fn read_request(tls: &mut Tls) -> bool {
    let mut bytes = Vec::new();
    let mut piece = [0; 2048];
    while !bytes.ends_with(b"}") {
        match tls.read(&mut piece) {
            Ok(n) if n > 0 => bytes.extend_from_slice(&piece[..n]),
            _ => return false,
        }
    }
    true
}

fn sized(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn answer_all(mut tls: Tls) {
    while read_request(&mut tls) {
        tls.write_all(sized(AVAILABLE).as_bytes()).unwrap();
    }
}

fn options(url: &str, ca: &str) -> ClientOptions {
    ClientOptions::new().base_url(url).ca_pem(ca)
}

fn client(url: &str, ca: &str) -> Result<HyperId, Error> {
    HyperId::new(&options(url, ca))
}

#[test]
fn the_whole_story_over_tls() {
    let sandbox = Sandbox::start(Options { tls: true, strict: true, ..Options::default() }).unwrap();
    for url in [sandbox.hyperid_url().to_owned(), sandbox.hyperid_url().replace("127.0.0.1", "localhost")] {
        let client = client(&url, sandbox.ca_pem().unwrap()).unwrap();
        let request = mfa::Request::new().question("Über TLS?");
        let mut wait = WaitOptions::new().min_interval(Duration::from_millis(50));
        let end = waits::confirm(&client, "sandbox-approve", &request, &mut wait, &call());
        assert!(end.result.is_ok() && end.transaction.decision.is_approved(), "{url} {:?}", end.result);
    }
    assert!(sandbox.connection_count() <= 3, "one connection serves a whole story");
}

#[test]
fn both_versions_are_spoken_and_connections_kept() {
    for versions in [[&rustls::version::TLS12], [&rustls::version::TLS13]] {
        let ca = Ca::new("own");
        let (url, server) = serve(server_config(ca.leaf("127.0.0.1", |_| {}), &versions), 1, answer_all);
        let client = client(&url, &ca.pem()).unwrap();
        for _ in 0..5 {
            assert!(client.availability("t", &call()).unwrap());
        }
        drop(client);
        server.join().unwrap();
    }
}

/// Holds `expected`, fits into `mfa_error.message`, and nothing in it is a name from rustls' source.
#[track_caller]
fn assert_told_in_words(error: &Error, expected: &str) {
    let text = &error.message;
    assert!(text.contains(expected), "{expected}: {text}");
    assert!(text.len() <= 255 && text.bytes().all(|b| (0x20..0x7f).contains(&b)), "{text}");
    let is_own = |word: &str| {
        ["serverAuth", "subjectAltName", "basicConstraints"].iter().any(|own| word.contains(own))
    };
    let is_code = |word: &str| {
        word.contains(['{', '}', '[', '_'])
            || word.as_bytes().windows(2).any(|w| w[0].is_ascii_lowercase() && w[1].is_ascii_uppercase())
    };
    let options = ["ca_pem", "base_url", "client_cert_pem", "client_key_pem"];
    let told = options.iter().fold(text.clone(), |text, option| text.replace(option, ""));
    let code = told.split_whitespace().find(|word| is_code(word) && !is_own(word));
    assert_eq!(code, None, "{text}");
}

/// What a call says of a server that shows this certificate: one that is not repeated, so that each
/// is looked at once.
fn check_refusals(identity: Identity, trusted: &str, host: Option<&str>, expected: &str) {
    let calls = [Call::Start, Call::Cancel];
    let (url, server) = serve(server_config(identity, rustls::ALL_VERSIONS), calls.len(), |mut tls| {
        let _ = tls.read(&mut [0; 16]);
    });
    let url = host.map_or(url.clone(), |host| url.replace("127.0.0.1", host));
    for call in calls {
        let error = call.run(&options(&url, trusted), &self::call()).unwrap_err();
        assert_eq!(error.code, Code::Tls, "{call:?}: {error}");
        assert_told_in_words(&error, expected);
        assert_eq!(error.attempts, 1);
        assert!(error.retryable && !error.outcome_unknown);
    }
    server.join().unwrap();
}

/// Starts, and is answered with `status`: after the request, or together with the handshake, before a
/// byte of it.
fn start_refused_with(status: u16, early: bool) -> Error {
    let ca = Ca::new("own");
    let mut config =
        rustls::ServerConfig::clone(&server_config(ca.leaf("127.0.0.1", |_| {}), rustls::ALL_VERSIONS));
    config.send_half_rtt_data = true;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut conn = ServerConnection::new(Arc::new(config)).unwrap();
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        if early {
            conn.read_tls(&mut stream).unwrap();
            conn.process_new_packets().unwrap();
            conn.writer().write_all(answer.as_bytes()).unwrap();
        }
        let mut tls = StreamOwned::new(conn, stream);
        read_request(&mut tls);
        if !early {
            tls.write_all(answer.as_bytes()).unwrap();
        }
        let _ = tls.read(&mut [0; 1]);
    });
    let request = mfa::Request::new().question("?");
    let error = client(&url, &ca.pem()).unwrap().start("t", &request, &call()).unwrap_err();
    server.join().unwrap();
    assert_eq!(error.http_status, Some(status), "{error}");
    error
}

#[test]
fn a_refusal_by_status_counts_where_nothing_came_before_the_request_was_out() {
    for (status, is_refusal) in [(400, true), (413, true), (429, true), (403, false), (503, false)] {
        let error = start_refused_with(status, false);
        assert_eq!(error.outcome_unknown, !is_refusal, "{status}");
        assert_eq!(error.retryable, status == 429, "{status}");
        let error = start_refused_with(status, true);
        assert!(error.outcome_unknown && !error.retryable, "{status}: it came before the request");
    }
}

#[test]
fn a_failed_handshake_is_tried_again_where_the_call_may_be() {
    let ca = Ca::new("own");
    for call in Call::ALL {
        let other = server_config(Ca::new("other").leaf("127.0.0.1", |_| {}), rustls::ALL_VERSIONS);
        let config = server_config(ca.leaf("127.0.0.1", |_| {}), rustls::ALL_VERSIONS);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let configs = if call.is_repeatable() { vec![other, config] } else { vec![other] };
        let server = std::thread::spawn(move || {
            for config in configs {
                let (stream, _) = listener.accept().unwrap();
                let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                if tls.conn.complete_io(&mut tls.sock).is_ok() {
                    read_request(&mut tls);
                    tls.write_all(sized(&call.success()).as_bytes()).unwrap();
                }
            }
        });
        let result = call.run(&options(&url, &ca.pem()), &self::call());
        assert_eq!(result.is_ok(), call.is_repeatable(), "{call:?}: {result:?}");
        server.join().unwrap();
    }
}

#[test]
fn what_a_certificate_lacks_is_told_apart() {
    alone(|| {
        let before = Census::take();
        let ca = Ca::new("own");
        let other = Ca::new("other");
        let long_ago = |p: &mut CertificateParams| {
            p.not_before = rcgen::date_time_ymd(2001, 1, 1);
            p.not_after = rcgen::date_time_ymd(2002, 1, 1);
        };
        let to_come = |p: &mut CertificateParams| {
            p.not_before = rcgen::date_time_ymd(2090, 1, 1);
            p.not_after = rcgen::date_time_ymd(2091, 1, 1);
        };
        let many_names = |p: &mut CertificateParams| {
            let names = (0..6).map(|i| SanType::DnsName(format!("host{i}.example").try_into().unwrap()));
            p.subject_alt_names.push(SanType::DnsName("evil\nname".try_into().unwrap()));
            p.subject_alt_names.push(SanType::IpAddress([10, 0, 0, 9].into()));
            p.subject_alt_names.extend(names);
        };
        let for_clients = |p: &mut CertificateParams| {
            p.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth]
        };
        let cases = [
            (ca.leaf("127.0.0.1", long_ago), "has expired", None),
            (ca.leaf("127.0.0.1", to_come), "is not valid yet", None),
            (ca.leaf("elsewhere.example", |_| {}), "is for another host", None),
            (ca.leaf("127.0.0.1", |_| {}), "is for another host", Some("localhost")),
            (other.leaf("127.0.0.1", |_| {}), "unknown issuer", None),
            (self_signed(), "unknown issuer", None),
            (ca.leaf("127.0.0.1", long_ago), "it was valid until Tue, 01 Jan 2002 00:00:00 GMT", None),
            (ca.leaf("127.0.0.1", to_come), "it will be from Sun, 01 Jan 2090 00:00:00 GMT", None),
            (ca.leaf("127.0.0.1", to_come), "this machine's clock", None),
            (ca.leaf("elsewhere.example", |_| {}), "not for 127.0.0.1, but for elsewhere.example", None),
            (ca.leaf("a.example", many_names), "but for a.example, evil?name, 10.0.0.9 and 6 more", None),
            (
                ca.leaf("127.0.0.1", for_clients),
                "for clients only: its extended key usage needs serverAuth",
                None,
            ),
            (ca.leaf("127.0.0.1", |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), "CA:FALSE", None),
            (ca.itself(), "CA:FALSE", None),
            (ca.leaf_below(|p| p.is_ca = IsCa::NoCa), "was issued by one that is no authority's", None),
            (ca.leaf_below_of(&rcgen::PKCS_ED25519), "key or signature that libmfa does not support", None),
            (other.leaf("127.0.0.1", |_| {}), "Is its root in ca_pem", None),
        ];
        for (identity, expected, host) in cases {
            check_refusals(identity, &ca.pem(), host, expected);
        }
        before.wait_for("refused certificates");
    });
}

fn self_signed() -> Identity {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    Identity { chain: vec![certificate.der().clone()], key: key.serialize_der() }
}

#[test]
fn the_built_in_roots_do_not_trust_anybody() {
    let sandbox = Sandbox::start(Options { tls: true, strict: true, ..Options::default() }).unwrap();
    let options = ClientOptions::new().base_url(sandbox.hyperid_url());
    for call in Call::ALL {
        assert_eq!(call.run(&options, &self::call()).unwrap_err().code, Code::Tls);
    }
}

#[test]
fn several_roots_are_read_and_a_bad_one_is_told() {
    let (a, b) = (Ca::new("a"), Ca::new("b"));
    let both = format!("some text\n{}\n{}", a.pem(), b.pem());
    for ca in [&a, &b] {
        let (url, server) =
            serve(server_config(ca.leaf("127.0.0.1", |_| {}), rustls::ALL_VERSIONS), 1, answer_all);
        let client = client(&url, &both).unwrap();
        assert!(client.availability("t", &call()).unwrap());
        drop(client);
        server.join().unwrap();
    }
    let broken = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    let not_x509 = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    let unfinished = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n";
    for pem in ["", "text", broken, not_x509, unfinished, &format!("{}{not_x509}", a.pem())] {
        let error = client("https://127.0.0.1:1", pem).unwrap_err();
        assert_eq!(error.code, Code::InvalidCa, "{pem}");
    }
}

#[test]
fn a_server_that_speaks_no_tls_is_a_tls_failure() {
    let plain = crate::support::Peer::new(|_| crate::support::Reply::json(AVAILABLE));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _ = stream.read(&mut [0; 1024]);
    });
    let error = client(&url, &Ca::new("own").pem()).unwrap().cancel("t", 3, &call()).unwrap_err();
    assert_eq!(error.code, Code::Tls, "{error}");
    assert_told_in_words(&error, "what came is not TLS");
    server.join().unwrap();
    drop(plain);
}

#[test]
fn an_answer_that_ends_without_a_closing_alert_may_be_cut_and_is_not_believed() {
    alone(|| {
        let before = Census::take();
        let ca = Ca::new("own");
        for call in Call::ALL {
            // No length: the end of the connection is the end of the answer.
            let answer = format!("HTTP/1.1 200 OK\r\n\r\n{}", call.success());
            let (url, server) = serve_open_ended(&ca, answer.clone(), false);
            let error = call.run(&options(&url, &ca.pem()), &self::call()).unwrap_err();
            assert_eq!(error.code, Code::ConnectionLost, "{call:?}: {error}");
            assert_eq!(error.outcome_unknown, call.asks_a_person());
            server.stop();

            let (url, server) = serve_open_ended(&ca, answer, true);
            let result = call.run(&options(&url, &ca.pem()), &self::call());
            assert!(result.is_ok(), "{call:?}: {result:?}");
            server.stop();
        }
        before.wait_for("answers without an end");
    });
}

#[test]
fn the_last_chunk_is_the_end_without_a_closing_alert_too() {
    alone(|| {
        let before = Census::take();
        let ca = Ca::new("own");
        let run = |call: Call, end: &str, with_alert: bool| {
            let body = call.success();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n{end}",
                body.len()
            );
            let (url, server) = serve_open_ended(&ca, answer, with_alert);
            let options = CallOptions::new().timeout(SLOWNESS * Duration::from_secs(5));
            let result = call.run(&self::options(&url, &ca.pem()), &options);
            server.stop();
            result
        };
        for call in Call::ALL {
            for with_alert in [true, false] {
                // Whoever cuts the connection cannot have written it.
                let result = run(call, "0\r\n", with_alert);
                assert!(result.is_ok(), "{call:?}: {result:?}");
                let error = run(call, "0\r", with_alert).unwrap_err();
                assert_eq!(error.code, Code::ConnectionLost, "{call:?}: {error}");
                assert_eq!(error.outcome_unknown, call.asks_a_person());
            }
        }
        before.wait_for("chunks without a closing alert");
    });
}

/// A server for as many connections as come.
struct Endless {
    address: std::net::SocketAddr,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Endless {
    fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        self.thread.join().unwrap();
    }
}

/// Answers each connection's first request and closes it, with or without the closing alert.
fn serve_open_ended(ca: &Ca, answer: String, with_alert: bool) -> (String, Endless) {
    let config = server_config(ca.leaf("127.0.0.1", |_| {}), rustls::ALL_VERSIONS);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let theirs = stop.clone();
    let thread = std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if theirs.load(Ordering::SeqCst) {
                return;
            }
            let mut tls = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
            read_request(&mut tls);
            let _ = tls.write_all(answer.as_bytes());
            if with_alert {
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
            let _ = tls.sock.shutdown(std::net::Shutdown::Write);
        }
    });
    (format!("https://{address}"), Endless { address, stop, thread })
}

/// Wants a certificate of the same CA from the client.
fn mutual_config(identity: Identity, ca: &Ca) -> Arc<ServerConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.issuer.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(identity.chain, key);
    Arc::new(config.unwrap())
}

#[test]
fn a_client_shows_its_certificate_when_asked() {
    let ca = Ca::new("own");
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["client".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &ca.issuer).unwrap().pem();
    let with = |url: &str, cert: Option<String>, key: Option<String>| {
        let mut options = options(url, &ca.pem());
        options.client_cert_pem = cert.map(zeroize::Zeroizing::new);
        options.client_key_pem = key.map(zeroize::Zeroizing::new);
        HyperId::new(&options)
    };
    let (url, server) = serve(mutual_config(ca.leaf("127.0.0.1", |_| {}), &ca), 1, answer_all);
    let client = with(&url, Some(certificate.clone()), Some(key.serialize_pem())).unwrap();
    assert!(client.availability("t", &call()).unwrap());
    drop(client);
    server.join().unwrap();

    let (url, server) = serve(mutual_config(ca.leaf("127.0.0.1", |_| {}), &ca), 1, |mut tls| {
        let _ = tls.read(&mut [0; 16]);
    });
    let error = with(&url, None, None).unwrap().start("t", &question(), &call()).unwrap_err();
    assert_eq!(error.code, Code::Tls, "{error}");
    assert_told_in_words(&error, "requires a client certificate: set `client_cert_pem`");
    server.join().unwrap();

    // As a program finds them: one file for both, the key first.
    let both = format!("\u{feff}Bag Attributes: \u{fffd}\n{}{certificate}", key.serialize_pem());
    let (url, server) = serve(mutual_config(ca.leaf("127.0.0.1", |_| {}), &ca), 1, answer_all);
    let client = with(&url, Some(both.clone()), Some(both)).unwrap();
    assert!(client.availability("t", &call()).unwrap());
    drop(client);
    server.join().unwrap();

    let stranger = Ca::new("stranger").leaf("client", |_| {});
    let [cert, key_of_it] = [("CERTIFICATE", &*stranger.chain[0]), ("PRIVATE KEY", &stranger.key)]
        .map(|(label, der)| pem(label, der));
    let (url, server) = serve(mutual_config(ca.leaf("127.0.0.1", |_| {}), &ca), 1, |mut tls| {
        let _ = tls.read(&mut [0; 16]);
    });
    let error =
        with(&url, Some(cert), Some(key_of_it)).unwrap().start("t", &question(), &call()).unwrap_err();
    assert_eq!(error.code, Code::Tls, "{error}");
    assert_told_in_words(&error, "does not know who issued the client certificate");
    server.join().unwrap();

    let other = KeyPair::generate().unwrap().serialize_pem();
    for (cert, key) in [
        (Some(certificate.clone()), None),
        (None, Some(key.serialize_pem())),
        (Some(String::new()), Some(key.serialize_pem())),
        (Some(certificate.clone()), Some("no key".into())),
        (Some(certificate.clone()), Some(certificate.clone())),
        (Some(certificate), Some(other)),
    ] {
        let error = with("https://127.0.0.1:1", cert, key).unwrap_err();
        assert_eq!(error.code, Code::InvalidArgument, "{error}");
        assert!(!error.message.contains("-----"));
    }
}

/// In lines of four bytes, since nothing needs them longer.
fn pem(label: &str, der: &[u8]) -> String {
    let lines: Vec<String> = der.chunks(3).map(base64_of_three).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn base64_of_three(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = (0..3).fold(0, |bits, i| bits << 8 | u32::from(bytes.get(i).copied().unwrap_or(0)));
    let sign = |i: usize| {
        if i > bytes.len() { '=' } else { char::from(ALPHABET[(bits >> (18 - 6 * i) & 63) as usize]) }
    };
    (0..4).map(sign).collect()
}

/// Answers the client's hello with these bytes.
fn answer_hello(bytes: Vec<u8>) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(&bytes).unwrap();
        // Until the client has hung up, so that nothing resets the connection.
        let _ = stream.read(&mut [0; 4096]);
    });
    (url, thread)
}

fn refusal_of_hello(ca: &str, bytes: Vec<u8>) -> Error {
    let (url, server) = answer_hello(bytes);
    let error = client(&url, ca).unwrap().cancel("t", 3, &call()).unwrap_err();
    server.join().unwrap();
    assert_eq!(error.code, Code::Tls, "{error}");
    error
}

#[test]
fn what_a_server_says_against_a_handshake_is_told_in_words() {
    let ca = Ca::new("own").pem();
    let expected = [
        (10, "found fault with what it received"),
        (20, "cannot be decrypted"),
        (40, "takes none of what libmfa offers"),
        (42, "does not accept the client certificate, or misses one"),
        (43, "does not accept the client certificate, or misses one"),
        (44, "has been revoked"),
        (45, "has expired"),
        (46, "does not accept the client certificate, or misses one"),
        (48, "does not know who issued the client certificate"),
        (49, "denies it access"),
        (51, "does `client_key_pem` belong to `client_cert_pem`?"),
        (70, "speaks neither TLS 1.2 nor TLS 1.3"),
        (71, "stronger ciphers"),
        (80, "a fault of its own"),
        (112, "serves no host of this name: see `base_url`"),
        (116, "requires a client certificate: set `client_cert_pem` and `client_key_pem`"),
        (120, "does not offer HTTP/1.1"),
        (200, "found fault with what it received"),
    ];
    for (alert, words) in expected {
        let error = refusal_of_hello(&ca, vec![21, 3, 3, 0, 2, 2, alert]);
        assert_told_in_words(&error, words);
        assert_told_in_words(&error, &format!("(TLS alert {alert})"));
    }
}

#[test]
fn what_is_no_handshake_at_all_is_told_in_words() {
    let ca = Ca::new("own").pem();
    // A hello in TLS 1.1.
    let hello = [&[22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2][..], &[7; 32], &[0, 0xc0, 0x13, 0]].concat();
    assert_told_in_words(&refusal_of_hello(&ca, hello), "speaks neither TLS 1.2 nor TLS 1.3");
    for plain in
        ["HTTP/1.0 400 Bad Request\r\n\r\n", "220 mail.example ESMTP\r\n", "SSH-2.0-x\r\n", "{\"result\":0}"]
    {
        assert_told_in_words(&refusal_of_hello(&ca, plain.into()), "what came is not TLS");
    }
    // A record of handshake whose message is garbage; one that nobody asked for.
    assert_told_in_words(&refusal_of_hello(&ca, vec![22, 3, 3, 0, 5, 2, 0, 0, 1, 9]), "cannot be read");
    assert_told_in_words(&refusal_of_hello(&ca, vec![22, 3, 3, 0, 4, 14, 0, 0, 0]), "breaks the protocol");
    assert_told_in_words(&refusal_of_hello(&ca, vec![23, 3, 3, 0, 1, 0]), "breaks the protocol");
}

#[test]
fn a_server_without_anything_in_common_is_told_in_words() {
    let ca = Ca::new("own");
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &ca.issuer).unwrap();
    let ed25519 = || Identity { chain: vec![certificate.der().clone()], key: key.serialize_der() };
    let mut h2 = (*server_config(ca.leaf("127.0.0.1", |_| {}), rustls::ALL_VERSIONS)).clone();
    h2.alpn_protocols = vec![b"h2".to_vec()];
    let cases = [
        (server_config(ed25519(), &[&rustls::version::TLS13]), "RSA, P-256 or P-384 certificates"),
        (Arc::new(h2), "does not offer HTTP/1.1"),
        (forger(&ca), "an RSA key of fewer than 2048 bits"),
    ];
    for (config, expected) in cases {
        let (url, server) = serve(config, 1, |mut tls| {
            let _ = tls.read(&mut [0; 16]);
        });
        let error = client(&url, &ca.pem()).unwrap().start("t", &question(), &call()).unwrap_err();
        assert_eq!(error.code, Code::Tls, "{expected}: {error}");
        assert_told_in_words(&error, expected);
        server.join().unwrap();
    }
}

/// A server whose signatures do not fit its certificate's key. RSA of 1024 bits looks the same to
/// those who do not verify with such keys.
fn forger(ca: &Ca) -> Arc<ServerConfig> {
    #[derive(Debug)]
    struct Always(Arc<rustls::sign::CertifiedKey>);
    impl rustls::server::ResolvesServerCert for Always {
        fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
            Some(self.0.clone())
        }
    }
    let another =
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(KeyPair::generate().unwrap().serialize_der()));
    let another = rustls::crypto::ring::sign::any_supported_type(&another).unwrap();
    let shown = rustls::sign::CertifiedKey::new(ca.leaf("127.0.0.1", |_| {}).chain, another);
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(Arc::new(shown))));
    Arc::new(config)
}

fn question() -> mfa::Request<'static> {
    mfa::Request::new().question("?")
}

#[test]
fn a_wait_rides_out_a_server_that_hangs_up_in_the_handshake() {
    let ca = Ca::new("own");
    let config = server_config(ca.leaf("127.0.0.1", |_| {}), rustls::ALL_VERSIONS);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
        }
        let (stream, _) = listener.accept().unwrap();
        let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
        read_request(&mut tls);
        tls.write_all(sized(r#"{"result":0,"transaction_status":2}"#).as_bytes()).unwrap();
    });
    let beat = Duration::from_millis(1);
    let mut wait = WaitOptions::new().min_interval(beat).max_interval(beat);
    let end = waits::wait(&client(&url, &ca.pem()).unwrap(), "t", 3, &mut wait, &call());
    assert_eq!((end.result.err().map(|e| e.code), end.transaction.polls), (None, 3));
    server.join().unwrap();
}

/// Two answers in one record.
fn one_record(tls: &mut Tls, call: Call) {
    tls.write_all((sized(&call.success()) + &sized(call.unasked())).as_bytes()).unwrap();
}

/// Each in a record, and a packet, of its own.
fn two_records(tls: &mut Tls, call: Call) {
    tls.write_all(sized(&call.success()).as_bytes()).unwrap();
    tls.write_all(sized(call.unasked()).as_bytes()).unwrap();
}

/// As large as the client's first buffer, exactly: the unasked answer lies just behind it.
fn behind_a_full_buffer(tls: &mut Tls, call: Call) {
    let asked = sized(&call.success());
    let padding = "p".repeat(4096 - asked.len() - "X: \r\n".len());
    let filling = asked.replacen("\r\n\r\n", &format!("\r\nX: {padding}\r\n\r\n"), 1);
    assert_eq!(filling.len(), 4096);
    tls.write_all((filling + &sized(call.unasked())).as_bytes()).unwrap();
}

/// The second record arrives in half: neither plaintext nor, once read, a byte in the socket.
fn half_a_record(tls: &mut Tls, call: Call) {
    let mut wire = Vec::new();
    for body in [call.success().as_str(), call.unasked()] {
        tls.conn.writer().write_all(sized(body).as_bytes()).unwrap();
        tls.conn.write_tls(&mut wire).unwrap();
    }
    let (now, later) = wire.split_at(wire.len() - 20);
    tls.sock.write_all(now).unwrap();
    // The rest follows as soon as anything more is sent here.
    LATER.with_borrow_mut(|rest| *rest = later.to_vec());
}

std::thread_local! {
    static LATER: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[test]
fn an_unasked_answer_over_tls_is_never_taken_for_an_answer() {
    alone(|| {
        let before = Census::take();
        let ca = Ca::new("own");
        let cases = [
            ("one record", one_record as fn(&mut Tls, Call)),
            ("two records", two_records),
            ("behind a full buffer", behind_a_full_buffer),
            ("half a record", half_a_record),
        ];
        for (name, answer) in cases {
            for call in Call::ALL {
                check_unasked_answer(&ca, call, name, answer);
            }
        }
        before.wait_for("unasked answers");
    });
}

fn check_unasked_answer(ca: &Ca, call: Call, name: &str, answer: fn(&mut Tls, Call)) {
    let config = server_config(ca.leaf("127.0.0.1", |_| {}), rustls::ALL_VERSIONS);
    let done = Arc::new(AtomicUsize::new(0));
    let theirs = done.clone();
    let (url, thread) = serve(config, 3, move |mut tls| {
        read_request(&mut tls);
        answer(&mut tls, call);
        theirs.fetch_add(1, Ordering::SeqCst);
        if tls.sock.read(&mut [0; 1]).is_ok_and(|n| n > 0) {
            let _ = tls.sock.write_all(&LATER.take());
            let _ = tls.sock.read(&mut [0; 1]);
        }
    });
    let ask = call.of(&options(&url, &ca.pem()));
    for round in 1..=3 {
        let result = ask(&self::call());
        assert!(result.is_ok(), "{call:?}: {name}, round {round}: {result:?}");
        crate::support::wait_until("the unasked answer is out", || done.load(Ordering::SeqCst) == round);
    }
    drop(ask);
    thread.join().unwrap();
}
