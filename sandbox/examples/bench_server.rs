//! The server that the benchmarks measure against: as little work for a request as can be, so that
//! what is measured is the client. One thread for each connection, fixed answers, keep-alive, in
//! clear and over TLS.
//!
//! Prints its addresses as the sandbox does, and ends when its standard input is closed.
//!
//! A request whose token is `bench-slow` is answered after `SLOW`, so that many connections are in
//! use at once.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const SLOW: Duration = Duration::from_millis(1500);
/// It ends by itself even if whoever started it never does.
const LIFETIME: Duration = Duration::from_secs(3600);
const STACK: usize = 128 * 1024;
const LARGEST_REQUEST: usize = 32 * 1024;

fn main() -> io::Result<()> {
    let (config, ca_pem) = tls()?;
    // Beside the program, so that each run replaces the last one's.
    let ca_file = std::env::current_exe()?.with_extension("pem");
    std::fs::write(&ca_file, ca_pem)?;
    let (plain, tls) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    println!("plain: {}", plain.local_addr()?.port());
    println!("tls: {}", tls.local_addr()?.port());
    println!("ca: {}", ca_file.display());
    println!("ready: it ends when its standard input is closed");
    thread::spawn(move || accept(&plain, serve));
    thread::spawn(move || {
        accept(&tls, move |stream| {
            serve(StreamOwned::new(ServerConnection::new(config.clone()).map_err(io::Error::other)?, stream))
        })
    });
    thread::spawn(|| {
        thread::sleep(LIFETIME);
        std::process::exit(1);
    });
    io::copy(&mut io::stdin(), &mut io::sink()).map(drop)
}

/// A certification authority and a certificate for 127.0.0.1, new in every run.
fn tls() -> io::Result<(Arc<ServerConfig>, String)> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "bench_server CA of this run");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let authority_key = KeyPair::generate().map_err(io::Error::other)?;
    let ca_pem = authority.self_signed(&authority_key).map_err(io::Error::other)?.pem();
    let names = CertificateParams::new(["127.0.0.1".to_owned()]).map_err(io::Error::other)?;
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let issuer = Issuer::new(authority, authority_key);
    let leaf = names.signed_by(&key, &issuer).map_err(io::Error::other)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key))
        .map_err(io::Error::other)?;
    Ok((Arc::new(config), ca_pem))
}

fn accept(listener: &TcpListener, serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) {
    for stream in listener.incoming().map_while(Result::ok) {
        let serve = serve.clone();
        let work = move || {
            let _ = stream.set_nodelay(true);
            // A connection that breaks is the client's to notice.
            let _ = serve(stream);
        };
        if let Err(e) = thread::Builder::new().stack_size(STACK).spawn(work) {
            eprintln!("no thread for a connection: {e}");
        }
    }
}

fn serve(mut stream: impl Read + Write) -> io::Result<()> {
    let mut buffer = vec![0; LARGEST_REQUEST];
    let mut filled = 0;
    loop {
        let amount = stream.read(&mut buffer[filled..])?;
        if amount == 0 {
            return Ok(());
        }
        filled += amount;
        // Clients send one request at a time, so nothing stands behind a whole one.
        if let Some(answer) = answer(&buffer[..filled]) {
            stream.write_all(answer)?;
            stream.flush()?;
            filled = 0;
        }
    }
}

/// `None`: there is more to come.
fn answer(request: &[u8]) -> Option<&'static [u8]> {
    let head = &request[..find(request, b"\r\n\r\n")? + 2];
    if request.len() < head.len() + 2 + content_length(head) {
        return None;
    }
    if find(head, b"Bearer bench-slow\r\n").is_some() {
        thread::sleep(SLOW);
    }
    let path = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    Some(match path {
        b"/mfa-client/transaction/status-get" => STATUS,
        b"/mfa-client/availability-check" => AVAILABILITY,
        _ => NOT_FOUND,
    })
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    for line in head.split(|byte| *byte == b'\n') {
        if line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME) {
            let value = std::str::from_utf8(&line[NAME.len()..]).unwrap_or_default();
            return value.trim().parse().unwrap_or(0);
        }
    }
    0
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

/// As the provider's documentation shows them.
const STATUS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 89\r\n\r\n\
    {\"result\":0,\"transaction_id\":4242,\"transaction_status\":1,\"transaction_complete_result\":0}";
const AVAILABILITY: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 32\r\n\r\n\
    {\"result\":0,\"is_available\":true}";
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
