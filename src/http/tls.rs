//! What TLS trusts: the built-in roots, or the caller's own.

use std::sync::Arc;

use once_cell::sync::Lazy;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use crate::error::{Code, Error};
use crate::http::url::Host;

/// Mozilla's roots, parsed when the first client needs them.
static BUILT_IN: Lazy<Arc<RootCertStore>> =
    Lazy::new(|| Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }));

/// The settings for every connection of a client: TLS 1.2 and 1.3, HTTP/1.1.
///
/// `SSLKEYLOGFILE` is not looked at: rustls does so only when told to.
pub(crate) fn config(ca_pem: Option<&str>) -> Result<Arc<ClientConfig>, Error> {
    let roots = match ca_pem {
        Some(pem) => Arc::new(roots_from(pem)?),
        None => BUILT_IN.clone(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::internal(format!("TLS cannot be set up: {e}")))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn roots_from(pem: &str) -> Result<RootCertStore, Error> {
    let refuse = |n: usize, why: String| {
        Error::new(Code::InvalidCa, format!("certificate {n} of ca_pem is refused: {why}"))
    };
    let mut roots = RootCertStore::empty();
    for (i, certificate) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
        let certificate = certificate.map_err(|e| refuse(i + 1, e.to_string()))?;
        roots.add(certificate).map_err(|e| refuse(i + 1, e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(Error::new(Code::InvalidCa, "ca_pem holds no certificate"));
    }
    Ok(roots)
}

/// The name that the server's certificate must bear.
pub(crate) fn server_name(host: &Host) -> Result<ServerName<'static>, Error> {
    match host {
        Host::Ip(ip) => Ok(ServerName::from(*ip)),
        Host::Localhost => name("localhost"),
        Host::Name(text) => name(text.strip_suffix('.').unwrap_or(text)),
    }
}

fn name(text: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(text.to_owned())
        .map_err(|_| Error::new(Code::InvalidUrl, "base_url is refused: no certificate can bear its host"))
}

/// Says in words what the certificate lacks.
pub(crate) fn explain(error: &rustls::Error) -> String {
    use rustls::{CertificateError as C, Error as E};
    let E::InvalidCertificate(reason) = error else {
        return format!("TLS failed: {error}");
    };
    let what = match reason {
        C::Expired | C::ExpiredContext { .. } => "has expired",
        C::NotValidYet | C::NotValidYetContext { .. } => "is not valid yet",
        C::NotValidForName | C::NotValidForNameContext { .. } => "is for another host",
        C::UnknownIssuer => "comes from an unknown issuer",
        C::Revoked => "has been revoked",
        C::BadSignature => "has a bad signature",
        _ => "is not acceptable",
    };
    format!("the server's certificate {what} ({reason})")
}
