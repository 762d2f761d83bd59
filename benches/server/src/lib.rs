//! What the benchmarks' servers have in common: TLS for 127.0.0.1, and how they say where they are.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A server ends by itself even if whoever started it never does.
const LIFETIME: Duration = Duration::from_secs(2 * 3600);

/// Where it listens, in clear and over TLS.
pub struct Listeners {
    pub plain: TcpListener,
    pub tls: TcpListener,
    pub config: Arc<ServerConfig>,
}

impl Listeners {
    /// Opens both, and prints their addresses as the sandbox does.
    pub fn open() -> io::Result<Self> {
        let (config, ca_pem) = tls()?;
        let ca_file = ca_file()?;
        std::fs::write(&ca_file, ca_pem)?;
        let (plain, tls) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
        println!("plain: {}", plain.local_addr()?.port());
        println!("tls: {}", tls.local_addr()?.port());
        println!("ca: {}", ca_file.display());
        println!("ready: it ends when its standard input is closed");
        io::stdout().flush()?;
        std::thread::spawn(|| {
            std::thread::sleep(LIFETIME);
            std::process::exit(1);
        });
        Ok(Listeners { plain, tls, config })
    }
}

/// Beside the program, under a name of this process's own: another one may run at the same time. Takes
/// away those whose servers have ended.
fn ca_file() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = program.with_file_name("");
    for file in std::fs::read_dir(&folder)?.flatten() {
        let is_like_it = file.file_name().to_string_lossy().strip_prefix(&name).is_some_and(is_ca_of_some);
        let age = file.metadata().and_then(|data| data.modified()).map(|time| time.elapsed());
        if is_like_it && matches!(age, Ok(Ok(age)) if age > LIFETIME) {
            let _ = std::fs::remove_file(file.path());
        }
    }
    Ok(folder.join(format!("{name}-{}.pem", std::process::id())))
}

fn is_ca_of_some(rest: &str) -> bool {
    rest.starts_with('-') && rest.ends_with(".pem")
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

/// The first request in these bytes: its path and its body; `None`: there is more to come.
///
/// Clients send one request at a time, so nothing stands behind a whole one.
pub fn whole_request(bytes: &[u8]) -> Option<Request<'_>> {
    let head = &bytes[..find(bytes, b"\r\n\r\n")? + 2];
    let body = &bytes[head.len() + 2..];
    let length = content_length(head);
    (body.len() >= length).then(|| Request {
        head,
        path: head.split(|byte| *byte == b' ').nth(1).unwrap_or_default(),
        body: &body[..length],
    })
}

/// A request, as far as the servers look at it.
pub struct Request<'a> {
    /// Each of its lines with its end.
    pub head: &'a [u8],
    pub path: &'a [u8],
    pub body: &'a [u8],
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

/// Where `wanted` begins in `text`.
pub fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

/// The paths that are served.
pub const AVAILABILITY: &[u8] = b"/mfa-client/availability-check";
pub const START: &[u8] = b"/mfa-client/transaction/start/v2";
pub const STATUS: &[u8] = b"/mfa-client/transaction/status-get";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_whole_with_the_last_byte_of_its_body() {
        let text = b"POST /a HTTP/1.1\r\nHost: b\r\nCONTENT-LENGTH: 2\r\n\r\n{}";
        assert!((0..text.len()).all(|length| whole_request(&text[..length]).is_none()));
        let request = whole_request(text).expect("it is whole");
        assert_eq!((request.path, request.body), (&b"/a"[..], &b"{}"[..]));
        assert!(request.head.ends_with(b"CONTENT-LENGTH: 2\r\n"));
    }
}
