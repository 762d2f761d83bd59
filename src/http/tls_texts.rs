//! What went wrong in TLS, in words: what it was, and what to change. rustls' own texts are for
//! those who know its source.
//!
//! Each fits into `mfa_error.message`. What the server sent goes into them only as names and times,
//! bounded and in visible ASCII.

use std::time::{Duration, SystemTime};

use rustls::pki_types::UnixTime;
use rustls::{
    AlertDescription as Alert, CertificateError, Error, ExtendedKeyPurpose, InvalidMessage, OtherError,
    PeerIncompatible, PeerMisbehaved,
};

/// How many of a certificate's names are told, and how much of each.
const MAX_NAMES: usize = 3;
const MAX_NAME: usize = 40;

/// Why a handshake or a connection failed.
pub(crate) fn explain(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(why) => certificate(why),
        Error::AlertReceived(alert) => received(*alert),
        Error::PeerIncompatible(why) => incompatible(why).into(),
        Error::PeerMisbehaved(why) => misbehaved(why).into(),
        Error::InvalidMessage(why) => unreadable(why).into(),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => BROKEN.into(),
        Error::PeerSentOversizedRecord => BROKEN.into(),
        Error::DecryptError => {
            "TLS failed: what the server sent cannot be decrypted; something on the way has altered it".into()
        }
        Error::NoCertificatesPresented => "TLS failed: the server shows no certificate".into(),
        Error::NoApplicationProtocol => NO_HTTP1.into(),
        Error::FailedToGetCurrentTime => "TLS failed: this machine's clock stands before 1970".into(),
        Error::FailedToGetRandomBytes => "TLS failed: the system gives no random numbers".into(),
        Error::General(text) => format!("TLS failed: {}", visible(text, 120)),
        Error::Other(OtherError(why)) => format!("TLS failed: {}", visible(&why.to_string(), 120)),
        _ => "TLS failed, for a reason that has no words yet".into(),
    }
}

/// What makes a certificate useless before it has met a server.
pub(crate) fn certificate_defect(why: &webpki::Error) -> &'static str {
    use webpki::Error as W;
    match why {
        W::UnsupportedCertVersion => {
            "it is an X.509 certificate of an old version, without extensions: have one of version 3 issued"
        }
        W::UnsupportedCriticalExtension => "it has a critical extension that libmfa does not know",
        W::MalformedExtensions | W::ExtensionValueInvalid => "one of its extensions is malformed",
        W::SignatureAlgorithmMismatch => "it names two algorithms for its one signature",
        W::InvalidSerialNumber => "its serial number is malformed",
        W::BadDerTime => "its dates are malformed",
        _ => "it is not a sound X.509 certificate",
    }
}

const BROKEN: &str = "TLS failed: the server breaks the protocol, or something between here and there does";
const NO_HTTP1: &str = "TLS failed: the server does not offer HTTP/1.1 (ALPN http/1.1): enable it there";
const NO_VERSION: &str =
    "TLS failed: the server speaks neither TLS 1.2 nor TLS 1.3: enable one of them there";
const NOTHING_IN_COMMON: &str = "TLS failed: the server takes none of what libmfa offers: AES-GCM with ECDHE (X25519, P-256, P-384) and a \
     certificate with an RSA, P-256 or P-384 key";

fn certificate(why: &CertificateError) -> String {
    use CertificateError as C;
    #[allow(deprecated)] // rustls still makes it of some of webpki's.
    match why {
        C::ExpiredContext { not_after, time } => format!(
            "the server's certificate, or one above it, has expired: it was valid until {} (this machine's clock: {})",
            date(*not_after),
            date(*time)
        ),
        C::Expired => "the server's certificate, or one above it, has expired".into(),
        C::NotValidYetContext { not_before, time } => format!(
            "the server's certificate, or one above it, is not valid yet: it will be from {} (this machine's clock: {}; is it right?)",
            date(*not_before),
            date(*time)
        ),
        C::NotValidYet => "the server's certificate, or one above it, is not valid yet; is this machine's clock right?".into(),
        C::NotValidForNameContext { expected, presented } => {
            format!("the server's certificate is for another host: not for {}, but {}", visible(&expected.to_str(), MAX_NAME), names(presented))
        }
        C::NotValidForName => "the server's certificate is for another host than that of `base_url`".into(),
        C::UnknownIssuer => "the server's certificate comes from an unknown issuer: no trusted root leads to it. Is its root in ca_pem, \
             and does the server send the certificates between?"
            .into(),
        C::Revoked => "the server's certificate has been revoked".into(),
        C::UnknownRevocationStatus | C::ExpiredRevocationList | C::ExpiredRevocationListContext { .. } => {
            "whether the server's certificate has been revoked cannot be found out".into()
        }
        C::BadSignature => {
            "the server's certificate or handshake has a bad signature: it is forged, or made with an RSA key of fewer than \
             2048 bits: use more"
                .into()
        }
        C::UnsupportedSignatureAlgorithm
        | C::UnsupportedSignatureAlgorithmContext { .. }
        | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the server's certificate, or one above it, has a key or signature that libmfa does not support: it must be RSA \
             (2048 bits or more), P-256 or P-384, with SHA-256, 384 or 512"
                .into()
        }
        C::InvalidPurposeContext { presented, .. } if presented.contains(&ExtendedKeyPurpose::ClientAuth) => {
            "the server shows a certificate that is for clients only: its extended key usage needs serverAuth".into()
        }
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => {
            "the server's certificate, or one above it, is not for servers: its extended key usage needs serverAuth".into()
        }
        C::BadEncoding => "the server's certificate, or one above it, is not a sound X.509 certificate".into(),
        C::UnhandledCriticalExtension => {
            "the server's certificate, or one above it, has a critical extension that libmfa does not know".into()
        }
        C::InvalidOcspResponse => "the server's word that its certificate has not been revoked is not sound".into(),
        C::ApplicationVerificationFailure => "the server's certificate is not acceptable to this platform".into(),
        C::Other(OtherError(why)) => match why.downcast_ref::<webpki::Error>() {
            Some(why) => chain(why),
            None => format!("the server's certificate is not acceptable: {}", visible(&why.to_string(), 120)),
        },
        _ => "the server's certificate is not acceptable".into(),
    }
}

/// What webpki finds and rustls has no name for.
fn chain(why: &webpki::Error) -> String {
    use webpki::Error as W;
    match why {
        W::CaUsedAsEndEntity => {
            "the server shows an authority's certificate (CA:TRUE) as its own: give it one with CA:FALSE; for `openssl req -x509` \
             add -addext basicConstraints=critical,CA:FALSE"
                .into()
        }
        W::EndEntityUsedAsCa => {
            "the server's certificate was issued by one that is no authority's (CA:TRUE is missing): issue it anew".into()
        }
        W::UnsupportedCertVersion => {
            "the server's certificate, or one above it, is of an old X.509 version, without extensions: issue it anew with \
             subjectAltName"
                .into()
        }
        W::NameConstraintViolation => {
            "the server's certificate is for a name that its authority may not issue for (name constraints)".into()
        }
        W::PathLenConstraintViolated | W::MaximumPathDepthExceeded => {
            "the server's certificate has more authorities above it than allowed".into()
        }
        W::MaximumSignatureChecksExceeded
        | W::MaximumPathBuildCallsExceeded
        | W::MaximumNameConstraintComparisonsExceeded => {
            "the server's certificates are too entangled to be checked: send the leaf and its intermediates only".into()
        }
        W::EmptyEkuExtension => "the server's certificate has an extended key usage that names no use".into(),
        other => format!("the server's certificate, or one above it, cannot be used: {}", certificate_defect(other)),
    }
}

fn received(alert: Alert) -> String {
    let what = match alert {
        Alert::HandshakeFailure => {
            "it takes none of what libmfa offers (TLS 1.2 and 1.3, AES-GCM with ECDHE, RSA, P-256 or P-384 certificates), or misses \
             a client certificate"
        }
        Alert::InsufficientSecurity => "it asks for stronger ciphers than AES-GCM with ECDHE",
        Alert::ProtocolVersion => "it speaks neither TLS 1.2 nor TLS 1.3: enable one of them there",
        Alert::CertificateRequired | Alert::NoCertificate => {
            "it requires a client certificate: set `client_cert_pem` and `client_key_pem`"
        }
        Alert::UnknownCA => {
            "it does not know who issued the client certificate: client_cert_pem needs one of an authority that it trusts, and \
             those between"
        }
        Alert::CertificateExpired => {
            "the client certificate has expired, or is not valid yet: renew `client_cert_pem`"
        }
        Alert::CertificateRevoked => "the client certificate has been revoked: renew `client_cert_pem`",
        Alert::BadCertificate | Alert::UnsupportedCertificate | Alert::CertificateUnknown => {
            "it does not accept the client certificate, or misses one: see `client_cert_pem` and `client_key_pem`"
        }
        Alert::AccessDenied => "it knows the client certificate, and denies it access",
        Alert::DecryptError => {
            "it could not verify a signature: does `client_key_pem` belong to `client_cert_pem`?"
        }
        Alert::UnrecognisedName => "it serves no host of this name: see `base_url`",
        Alert::NoApplicationProtocol => "it does not offer HTTP/1.1 (ALPN http/1.1): enable it there",
        Alert::InternalError => "it reports a fault of its own",
        Alert::UserCanceled => "it was told to",
        Alert::BadRecordMac | Alert::DecryptionFailed => {
            "what it received cannot be decrypted; something on the way has altered it"
        }
        _ => "it found fault with what it received",
    };
    format!("TLS failed: the server broke it off: {what} (TLS alert {})", u8::from(alert))
}

fn incompatible(why: &PeerIncompatible) -> &'static str {
    use PeerIncompatible as P;
    match why {
        P::ServerDoesNotSupportTls12Or13
        | P::ServerTlsVersionIsDisabledByOurConfig
        | P::SupportedVersionsExtensionRequired
        | P::Tls12NotOffered
        | P::Tls12NotOfferedOrEnabled => NO_VERSION,
        P::NoCertificateRequestSignatureSchemesInCommon => {
            "TLS failed: the server takes no signature that the client's key can make: use a client certificate with another kind of key"
        }
        P::NoCipherSuitesInCommon | P::NoKxGroupsInCommon | P::NoSignatureSchemesInCommon => {
            NOTHING_IN_COMMON
        }
        _ => {
            "TLS failed: the server lacks something that TLS 1.2 and 1.3 require: is its software up to date?"
        }
    }
}

fn misbehaved(why: &PeerMisbehaved) -> &'static str {
    use PeerMisbehaved as P;
    match why {
        P::SelectedUnofferedApplicationProtocol => NO_HTTP1,
        P::SelectedUnofferedCipherSuite
        | P::SelectedUnofferedKxGroup
        | P::SelectedUnusableCipherSuiteForVersion
        | P::SignedKxWithWrongAlgorithm
        | P::SignedHandshakeWithUnadvertisedSigScheme => {
            "TLS failed: the server chose a cipher, key exchange or signature that was not offered to it"
        }
        P::AttemptedDowngradeToTls12WhenTls13IsSupported => {
            "TLS failed: something between here and the server forces an older version of TLS upon them"
        }
        _ => BROKEN,
    }
}

fn unreadable(why: &InvalidMessage) -> &'static str {
    use InvalidMessage as I;
    match why {
        I::InvalidContentType | I::UnknownProtocolVersion | I::MessageTooLarge | I::InvalidEmptyPayload => {
            "TLS failed: what came is not TLS: does the server speak https on this port? (Plain HTTP is what most often does not.)"
        }
        I::CertificatePayloadTooLarge => "TLS failed: the server's certificates are larger than 64 kilobytes",
        _ => "TLS failed: a message of the server's cannot be read; something on the way may have altered it",
    }
}

/// As HTTP writes it: an X.509 date ends with the year 9999.
fn date(time: UnixTime) -> String {
    const YEAR_10000: u64 = 253_402_300_800;
    if time.as_secs() >= YEAR_10000 {
        return "the year 10000".into();
    }
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs()))
}

/// The names that a certificate bears, as webpki writes them: `DnsName("a.example")`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
        visible(inner.trim_matches('"'), MAX_NAME)
    };
    let told: Vec<String> = presented.iter().take(MAX_NAMES).map(bare).collect();
    match presented.len() {
        0 => "for none (it has no subjectAltName)".into(),
        n if n > MAX_NAMES => format!("for {} and {} more", told.join(", "), n - MAX_NAMES),
        _ => format!("for {}", told.join(", ")),
    }
}

/// At most `max` characters of `text`, in visible ASCII.
fn visible(text: &str, max: usize) -> String {
    let safe = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let mut told: String = text.chars().take(max).map(safe).collect();
    if text.chars().nth(max).is_some() {
        told.push_str("...");
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::InconsistentKeys;
    use rustls::pki_types::ServerName;
    use std::sync::Arc;
    use webpki::Error as W;

    fn webpki_s(error: webpki::Error) -> Error {
        CertificateError::Other(OtherError(Arc::new(error))).into()
    }

    fn all() -> Vec<Error> {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
        let early = UnixTime::since_unix_epoch(Duration::ZERO);
        let expected = ServerName::try_from(format!("{}.example", "h".repeat(60))).unwrap();
        let presented = vec![format!("DnsName(\"{}\")", "\u{1b}[2J\u{202e}\u{e9}".repeat(100)); 1000];
        let name = CertificateError::NotValidForNameContext { expected, presented };
        let none = CertificateError::NotValidForNameContext {
            expected: ServerName::from(std::net::IpAddr::from([0; 16])),
            presented: Vec::new(),
        };
        let mut all: Vec<Error> = vec![
            CertificateError::ExpiredContext { time, not_after: early }.into(),
            CertificateError::NotValidYetContext { time: early, not_before: time }.into(),
            name.into(),
            none.into(),
            CertificateError::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: vec![1; 5000],
                supported_algorithms: Vec::new(),
            }
            .into(),
            CertificateError::InvalidPurposeContext {
                required: ExtendedKeyPurpose::ServerAuth,
                presented: vec![ExtendedKeyPurpose::ClientAuth],
            }
            .into(),
            CertificateError::Other(OtherError(Arc::new(std::io::Error::other("\n\u{e9}".repeat(900)))))
                .into(),
            Error::General("x ".repeat(900)),
            Error::Other(OtherError(Arc::new(std::io::Error::other("x ".repeat(900))))),
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch),
            Error::PeerSentOversizedRecord,
            Error::DecryptError,
            Error::NoCertificatesPresented,
            Error::FailedToGetCurrentTime,
            Error::FailedToGetRandomBytes,
            InvalidMessage::MissingData("SomeStruct").into(),
            InvalidMessage::CertificatePayloadTooLarge.into(),
            PeerMisbehaved::SelectedUnofferedApplicationProtocol.into(),
            PeerMisbehaved::AttemptedDowngradeToTls12WhenTls13IsSupported.into(),
            PeerMisbehaved::SelectedUnofferedCipherSuite.into(),
            PeerMisbehaved::InvalidKeyShare.into(),
            PeerIncompatible::NoKxGroupsInCommon.into(),
            PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon.into(),
            PeerIncompatible::ExtendedMasterSecretExtensionRequired.into(),
        ];
        use CertificateError as C;
        all.extend(
            [C::Expired, C::NotValidYet, C::NotValidForName, C::UnknownIssuer, C::Revoked, C::BadEncoding]
                .map(Error::from),
        );
        all.extend(
            [C::BadSignature, C::UnhandledCriticalExtension, C::UnknownRevocationStatus].map(Error::from),
        );
        all.extend(
            [C::InvalidPurpose, C::InvalidOcspResponse, C::ApplicationVerificationFailure].map(Error::from),
        );
        let of_webpki = [
            W::CaUsedAsEndEntity,
            W::EndEntityUsedAsCa,
            W::UnsupportedCertVersion,
            W::NameConstraintViolation,
            W::PathLenConstraintViolated,
            W::MaximumSignatureChecksExceeded,
            W::EmptyEkuExtension,
            W::ExtensionValueInvalid,
            W::SignatureAlgorithmMismatch,
            W::InvalidSerialNumber,
            W::MalformedDnsIdentifier,
        ];
        all.extend(of_webpki.map(webpki_s));
        all.extend((0..=255).map(|alert| Error::AlertReceived(Alert::from(alert))));
        all
    }

    #[test]
    fn every_text_fits_and_is_in_words() {
        for error in all() {
            let text = explain(&error);
            assert!(text.len() <= 255, "{}: {text}", text.len());
            assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{text}");
            let words = text.split(|c: char| !c.is_ascii_alphabetic());
            let is_name = |word: &&str| {
                let own = ["serverAuth", "subjectAltName", "basicConstraints"];
                let mixed = word
                    .as_bytes()
                    .windows(2)
                    .any(|w| w[0].is_ascii_lowercase() && w[1].is_ascii_uppercase());
                mixed && !own.contains(word)
            };
            assert_eq!(words.into_iter().find(is_name), None, "{text}");
        }
    }
}
