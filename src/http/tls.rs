//! What TLS trusts (built-in roots, the platform's, or the caller's own), and how the client
//! identifies itself.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::client::WantsClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer, ServerName,
};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use zeroize::Zeroizing;

use crate::error::{Code, Error};
use crate::http::crypto;
use crate::http::url::Host;
use crate::options::ClientOptions;

/// The settings for every connection of a client: TLS 1.2 and 1.3, HTTP/1.1.
///
/// `SSLKEYLOGFILE` is not looked at: rustls does so only when told to.
pub(crate) fn config(options: &ClientOptions) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(crypto::provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::internal(format!("TLS cannot be set up: {e}")))?;
    let builder = match &options.ca_pem {
        Some(pem) => builder.with_root_certificates(roots_from(pem)?),
        None => with_default_trust(builder, provider)?,
    };
    let mut config = match identity(options)? {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|e| bad_identity(&e))?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

type Trusting = ConfigBuilder<ClientConfig, WantsClientCert>;

#[cfg(feature = "platform-verifier")]
fn with_default_trust(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    provider: Arc<CryptoProvider>,
) -> Result<Trusting, Error> {
    let verifier = rustls_platform_verifier::Verifier::new(provider)
        .map_err(|e| Error::internal(format!("the platform's verifier cannot be used: {e}")))?;
    // "Dangerous" is what rustls calls any verifier but its own.
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
}

#[cfg(all(feature = "bundled-roots", not(feature = "platform-verifier")))]
fn with_default_trust(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    _: Arc<CryptoProvider>,
) -> Result<Trusting, Error> {
    use once_cell::race::OnceBox;
    /// Mozilla's roots, copied when the first client needs them. No thread waits here for another,
    /// which a forked child might not have.
    static BUILT_IN: OnceBox<Arc<RootCertStore>> = OnceBox::new();
    let copy = || Box::new(Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }));
    Ok(builder.with_root_certificates(BUILT_IN.get_or_init(copy).clone()))
}

#[cfg(not(any(feature = "bundled-roots", feature = "platform-verifier")))]
fn with_default_trust(
    _: ConfigBuilder<ClientConfig, WantsVerifier>,
    _: Arc<CryptoProvider>,
) -> Result<Trusting, Error> {
    Err(Error::new(Code::InvalidCa, "this build has no roots of its own: ca_pem is required"))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The certificate and key that the client shows when the server asks for them.
fn identity(options: &ClientOptions) -> Result<Option<Identity>, Error> {
    let (chain, key) = match (&options.client_cert_pem, &options.client_key_pem) {
        (None, None) => return Ok(None),
        (Some(chain), Some(key)) => (chain, key),
        _ => return Err(Error::argument("client_cert_pem and client_key_pem go together")),
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
    let chain = chain.map_err(|e| bad_identity(&e))?;
    if chain.is_empty() {
        return Err(Error::argument("client_cert_pem holds no certificate"));
    }
    let key =
        private_key(key).ok_or_else(|| Error::argument("client_key_pem holds no private key in PEM"))?;
    Ok(Some((chain, key)))
}

/// The first private key in `pem`. Decoded here, because the PEM reader of the certificates leaves
/// copies behind; the key itself is wiped once it is loaded.
fn private_key(pem: &str) -> Option<PrivateKeyDer<'static>> {
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let mut base64 = Zeroizing::new(Vec::with_capacity(body.len()));
    base64.extend(body.bytes().filter(|b| !b.is_ascii_whitespace()));
    let mut der = Vec::with_capacity(base64.len());
    BASE64_STANDARD.decode_vec(&*base64, &mut der).ok()?;
    match label {
        "PRIVATE KEY" => Some(PrivatePkcs8KeyDer::from(der).into()),
        "RSA PRIVATE KEY" => Some(PrivatePkcs1KeyDer::from(der).into()),
        "EC PRIVATE KEY" => Some(PrivateSec1KeyDer::from(der).into()),
        _ => None,
    }
}

fn bad_identity(why: &dyn std::fmt::Display) -> Error {
    Error::argument(format!("client_cert_pem and client_key_pem are refused: {why}"))
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
