//! What TLS trusts (built-in roots, the platform's, or the caller's own), and how the client
//! identifies itself.

use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{ServerName, TrustAnchor};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use crate::error::{Code, Error};
use crate::http::crypto;
use crate::http::der::KeyKind;
use crate::http::pem::{self, Certificate, Key};
use crate::http::tls_texts;
use crate::http::url::Host;
use crate::options::ClientOptions;

pub(crate) use crate::http::tls_texts::explain;

/// The settings for every connection of a client: TLS 1.2 and 1.3, HTTP/1.1.
///
/// `SSLKEYLOGFILE` is not looked at: rustls does so only when told to.
pub(crate) fn config(options: &ClientOptions) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(crypto::provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::internal(format!("TLS cannot be set up: {}", explain(&e))))?;
    let builder = match &options.ca_pem {
        Some(pem) => builder.with_root_certificates(roots_from(pem)?),
        None => with_default_trust(builder, provider)?,
    };
    let mut config = match identity(options)? {
        Some(shown) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown))),
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
        .map_err(|e| Error::internal(format!("the platform's verifier cannot be used: {}", explain(&e))))?;
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
    Err(Error::new(Code::InvalidCa, "this build has no roots of its own: `ca_pem` is required"))
}

/// The certificate and key that the client shows when the server asks for them.
fn identity(options: &ClientOptions) -> Result<Option<CertifiedKey>, Error> {
    match (&options.client_cert_pem, &options.client_key_pem) {
        (None, None) => Ok(None),
        (Some(chain), Some(key)) => certified_key(chain, key).map(Some).map_err(Error::argument),
        _ => Err(Error::argument("`client_cert_pem` and `client_key_pem` go together")),
    }
}

fn certified_key(chain: &str, key: &str) -> Result<CertifiedKey, String> {
    let chain = pem::certificates("client_cert_pem", chain)?;
    let key = signing_key(&pem::private_key("client_key_pem", key)?)?;
    let unusable = |block: usize, why: &webpki::Error| {
        format!("block {block} of `client_cert_pem` cannot be used: {}", tls_texts::certificate_defect(why))
    };
    for (i, certificate) in chain.iter().enumerate() {
        // The first is compared with the key, which takes a stricter reading.
        let read = match i {
            0 => webpki::EndEntityCert::try_from(&certificate.der).map(drop),
            _ => webpki::anchor_from_trusted_cert(&certificate.der).map(drop),
        };
        read.map_err(|e| unusable(certificate.block, &e))?;
    }
    let is_of = |key: &Arc<dyn SigningKey>, certificate: &Certificate| {
        CertifiedKey::new(vec![certificate.der.clone()], key.clone()).keys_match().is_ok()
    };
    if !is_of(&key, &chain[0]) {
        let first = chain[0].block;
        return Err(match chain.iter().find(|certificate| is_of(&key, certificate)) {
            Some(own) => format!(
                "`client_key_pem` is the key of block {} of `client_cert_pem`, not of block {first}: put its certificate first",
                own.block
            ),
            None => format!(
                "`client_key_pem` is not the key of block {first} of `client_cert_pem`: it belongs to another certificate"
            ),
        });
    }
    Ok(CertifiedKey::new(chain.into_iter().map(|certificate| certificate.der).collect(), key))
}

fn signing_key(key: &Key) -> Result<Arc<dyn SigningKey>, String> {
    crypto::signing_key(&key.der).map_err(|_| {
        let block = key.block;
        match KeyKind::of_private(&key.der) {
            None => format!("block {block} of `client_key_pem` is not the key that its label promises, or is damaged"),
            Some(kind) if crypto::can_sign(kind) => format!(
                "block {block} of `client_key_pem` is damaged or lacks its public part; write it anew with: openssl pkey -in FILE -out NEW"
            ),
            Some(kind) => format!(
                "block {block} of `client_key_pem` is a key {}; libmfa can use RSA of 2048 to 4096 bits, P-256, P-384 and Ed25519",
                kind.words()
            ),
        }
    })
}

fn roots_from(pem: &str) -> Result<RootCertStore, Error> {
    let refuse = |why: String| Error::new(Code::InvalidCa, why);
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates("ca_pem", pem).map_err(refuse)? {
        roots.roots.push(root(&certificate).map_err(refuse)?);
    }
    Ok(roots)
}

/// One that cannot be used is refused however many there are: a certificate that somebody wants to
/// be trusted must not be left out in silence.
fn root(certificate: &Certificate) -> Result<TrustAnchor<'static>, String> {
    let block = certificate.block;
    let root = webpki::anchor_from_trusted_cert(&certificate.der).map_err(|e| {
        format!("block {block} of `ca_pem` cannot be used: {}", tls_texts::certificate_defect(&e))
    })?;
    match KeyKind::of_public(&root.subject_public_key_info) {
        Some(kind) if crypto::can_verify(kind) => Ok(root.to_owned()),
        Some(kind) => Err(format!(
            "block {block} of `ca_pem` has a key {}; libmfa can use RSA of 2048 to 8192 bits, P-256 and P-384",
            kind.words()
        )),
        None => Err(format!("block {block} of `ca_pem` cannot be used: its key is damaged")),
    }
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
        .map_err(|_| Error::new(Code::InvalidUrl, "`base_url` is refused: no certificate can bear its host"))
}
