//! A forked child and its parent's TLS connections. (Plain ones: `tests/c/guest.c`.)

#![cfg(unix)]
#![allow(unsafe_code)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mfa::{CallOptions, ClientOptions, HyperId};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::alone::alone;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n{\"result\":0,\"is_available\":true}";

/// An https server that answers `per_connection` requests on each connection.
struct Server {
    url: String,
    ca: String,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn new(per_connection: usize) -> Self {
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
        let url = format!("https://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let theirs = connections.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                theirs.fetch_add(1, Ordering::SeqCst);
                let config = config.clone();
                std::thread::spawn(move || serve(stream, config, per_connection));
            }
        });
        Server { url, ca: certificate.pem(), connections }
    }

    fn client(&self) -> HyperId {
        HyperId::new(&ClientOptions::new().base_url(self.url.clone()).ca_pem(self.ca.clone())).unwrap()
    }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, requests: usize) -> Option<()> {
    let mut tls = StreamOwned::new(ServerConnection::new(config).ok()?, stream);
    let mut piece = [0; 4096];
    for _ in 0..requests {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"{}") {
            let n = tls.read(&mut piece).ok().filter(|n| *n > 0)?;
            bytes.extend_from_slice(&piece[..n]);
        }
        tls.write_all(ANSWER.as_bytes()).ok()?;
    }
    Some(())
}

fn ask(client: &HyperId) -> bool {
    let call = CallOptions::new().timeout(Duration::from_secs(5));
    client.availability("t", &call).unwrap_or(false)
}

/// Runs `work` in a forked child; `None`: it did not come to its end within 15 s.
fn in_a_child(work: impl FnOnce() -> bool) -> Option<bool> {
    // SAFETY: the child runs `work`, which uses nothing of the parent's threads, and ends without
    // running anybody's exit handlers; kill and waitpid get the child's own id.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0);
        if child == 0 {
            let code = if work() { 0 } else { 1 };
            libc::_exit(code);
        }
        let deadline = Instant::now() + Duration::from_secs(15);
        let mut status = 0;
        while libc::waitpid(child, &raw mut status, libc::WNOHANG) == 0 {
            if Instant::now() > deadline {
                libc::kill(child, libc::SIGKILL);
                libc::waitpid(child, &raw mut status, 0);
                return None;
            }
            std::thread::yield_now();
        }
        Some(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0)
    }
}

/// One after the other: a fork copies whatever the other one's threads are at.
#[test]
fn forked_children() {
    if let Ok(run) = std::env::var("MFA_TEST_RUN") {
        return a_child_of_a_first_exchange_is_not_stuck(run.parse().unwrap());
    }
    // Other tests' threads have no business in a forked child.
    alone(|| {
        for run in 0..40 {
            let first = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "fork::forked_children"])
                .env("MFA_TEST_RUN", run.to_string())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&first.stdout);
            // Without the count, a name that fits no test would pass.
            assert!(first.status.success() && said.contains("1 passed"), "run {run}: {said}");
        }
        a_child_leaves_its_parents_connection_alone();
        a_child_of_a_busy_parent_waits_for_none_of_its_locks();
    });
}

fn a_child_leaves_its_parents_connection_alone() {
    let server = Server::new(usize::MAX);
    let client = server.client();
    assert!(ask(&client));
    // Freeing what it inherited must not say good-bye in the parent's name.
    let inherited = client;
    let parents = &inherited;
    // SAFETY: the child frees its own copy of the memory; the parent's stays as it is.
    let freed = in_a_child(|| unsafe {
        drop(std::ptr::read(parents));
        true
    });
    assert_eq!(freed, Some(true));
    assert!(ask(&inherited));
    assert_eq!(server.connections.load(Ordering::SeqCst), 1, "the parent's connection was closed");

    assert_eq!(in_a_child(|| ask(&inherited) && ask(&inherited)), Some(true));
    assert!(ask(&inherited));
    assert_eq!(server.connections.load(Ordering::SeqCst), 2, "one for the child, one for the parent");
}

/// Makes a client that copies the roots, which is done once in a process.
fn has_built_in_roots() -> bool {
    HyperId::new(&ClientOptions::default()).is_ok()
}

/// In a process of its own: the built-in roots have not been copied yet, and nothing was sent.
fn a_child_of_a_first_exchange_is_not_stuck(run: u64) {
    let server = Server::new(usize::MAX);
    let client = server.client();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| has_built_in_roots() && ask(&client));
        let start = Instant::now();
        // The child is forked at another point each time.
        let delay = Duration::from_micros(run * 40);
        while start.elapsed() < delay {
            std::hint::spin_loop();
        }
        assert_eq!(in_a_child(|| has_built_in_roots() && ask(&client)), Some(true));
        assert!(first.join().unwrap());
    });
}

fn a_child_of_a_busy_parent_waits_for_none_of_its_locks() {
    // Each call makes a connection, and so takes and leaves sessions to resume.
    let server = Server::new(1);
    let client = server.client();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    ask(&client);
                }
            });
        }
        let results: Vec<_> = (0..60).map(|_| in_a_child(|| ask(&client))).collect();
        stop.store(true, Ordering::SeqCst);
        assert!(results.iter().all(|r| *r == Some(true)), "{results:?}");
    });
}
