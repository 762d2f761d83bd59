//! TLS: a client that trusts this run's authority, and nothing else, is served.

mod common;

use common::*;
use mfa_sandbox::{Options, Sandbox};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn client(sandbox: &Sandbox, pem: &str, name: &str) -> Client<Tls> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(sandbox.address()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    Client::over(StreamOwned::new(session, stream), address(sandbox.hyperid_url()))
}

fn tls() -> Sandbox {
    sandbox_with(Options { tls: true, ..Options::default() })
}

#[test]
fn the_leaf_is_good_for_every_loopback_name() {
    let sandbox = tls();
    assert!(sandbox.hyperid_url().starts_with("https://127.0.0.1:"));
    assert!(sandbox.phone_url().starts_with("https://"));
    for name in ["127.0.0.1", "::1", "localhost"] {
        let mut client = client(&sandbox, sandbox.ca_pem().unwrap(), name);
        for _ in 0..2 {
            assert_eq!(client.post(AVAILABILITY, Some("sandbox-phone"), "{}").unwrap().result(), 0, "{name}");
        }
    }
}

#[test]
fn another_run_or_another_name_is_not_trusted() {
    let (sandbox, other) = (tls(), tls());
    assert_ne!(sandbox.ca_pem(), other.ca_pem());
    for (pem, name) in [(other.ca_pem(), "127.0.0.1"), (sandbox.ca_pem(), "example.org")] {
        let mut client = client(&sandbox, pem.unwrap(), name);
        let request = b"POST / HTTP/1.1\r\nHost: x\r\n\r\n";
        assert!(client.stream.write_all(request).is_err());
    }
    assert_eq!(sandbox.request_count(), 0);
}

#[test]
fn delivery_faults_work_over_tls_too() {
    let sandbox = tls();
    let pem = sandbox.ca_pem().unwrap();
    let with = |token: &str| client(&sandbox, pem, "localhost").post(AVAILABILITY, Some(token), "{}");
    assert_eq!(with("sandbox-drip-0").unwrap().result(), 0);
    assert_eq!(with("sandbox-chunked").unwrap().result(), 0);
    // Ended with TLS' own farewell, so that a client can tell it from a cut.
    assert_eq!(with("sandbox-until-close").unwrap().result(), 0);
    for cut in ["sandbox-close-before-answer", "sandbox-close-mid-answer", "sandbox-truncated-content-length"]
    {
        assert!(with(cut).is_err(), "{cut}");
    }
    let mut client = client(&sandbox, pem, "localhost");
    assert_eq!(
        client.post(AVAILABILITY, Some("sandbox-second-answer"), "{}").unwrap().json()["is_available"],
        true
    );
    assert_eq!(client.read().unwrap().json()["transaction_status"], 1);
}

#[test]
fn without_tls_there_is_no_authority() {
    assert_eq!(sandbox().ca_pem(), None);
}

/// Sends so many bytes with a pause after each, until the server has closed; how long that took. `None`: it
/// took them all.
fn drip(stream: &mut TcpStream, mut bytes: impl Iterator<Item = u8>) -> Option<Duration> {
    let begin = Instant::now();
    stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    loop {
        if stream.write_all(&[bytes.next()?]).is_err() {
            return Some(begin.elapsed());
        }
        match stream.read(&mut [0; 4096]) {
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            Ok(1..) => {}
            Ok(0) | Err(_) => return Some(begin.elapsed()),
        }
    }
}

fn impatient(tls: bool) -> Sandbox {
    let limit = Duration::from_millis(250);
    let options = Options { tls, idle_timeout: limit, request_timeout: limit, ..Options::default() };
    sandbox_with(options)
}

/// A client behind its handshake. On a busy machine that may be cut off: then another one.
fn shaken_hands(sandbox: &Sandbox) -> Client<Tls> {
    let mut found = None;
    eventually("a handshake in time", || {
        let mut client = client(sandbox, sandbox.ca_pem().unwrap(), "localhost");
        let Tls { conn, sock } = &mut client.stream;
        if conn.complete_io(sock).is_err() || conn.is_handshaking() {
            return false;
        }
        found = Some(client);
        true
    });
    found.unwrap()
}

/// A byte every 10 ms, for 20 s at least.
const DROPS: usize = 2000;

#[test]
fn what_drips_is_cut_off() {
    // A request: a header without end.
    let plain = impatient(false);
    let mut stream = TcpStream::connect(plain.address()).unwrap();
    let head = b"POST / HTTP/1.1\r\nHost: ".iter().copied().chain(std::iter::repeat(b'x'));
    assert!(drip(&mut stream, head.take(DROPS)).is_some(), "a request");

    // A handshake: a record of 16 KiB.
    let secure = impatient(true);
    let mut stream = TcpStream::connect(secure.address()).unwrap();
    let hello = [0x16, 3, 1, 0x40, 0].into_iter().chain(std::iter::repeat(0));
    assert!(drip(&mut stream, hello.take(DROPS)).is_some(), "a handshake");

    // A record after the handshake, which would hold the first byte of a request.
    let mut client = shaken_hands(&secure);
    let record = [0x17, 3, 3, 0x40, 0].into_iter().chain(std::iter::repeat(0));
    assert!(drip(&mut client.stream.sock, record.take(DROPS)).is_some(), "a record");
    eventually("all are closed", || plain.open_connections() + secure.open_connections() == 0);
}

#[test]
fn a_handshake_that_never_begins_is_an_idle_connection() {
    let secure = impatient(true);
    let _silent = TcpStream::connect(secure.address()).unwrap();
    eventually("it is accepted", || secure.connection_count() == 1);
    eventually("it is closed", || secure.open_connections() == 0);
}
