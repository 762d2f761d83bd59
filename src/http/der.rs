//! As much of DER (X.690) as it takes to tell which key a certificate or a key file holds, so that
//! a refusal can say so. Nothing is trusted on the strength of this.

use rustls::pki_types::PrivateKeyDer;

pub(crate) const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const EXPLICIT_0: u8 = 0xa0;

/// The tag and the contents of the first value in `bytes`, and what follows it.
pub(crate) fn read(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (len, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let len = len.iter().fold(0u64, |len, byte| len << 8 | u64::from(*byte));
            (usize::try_from(len).ok()?, rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(len)?;
    Some((tag, contents, rest))
}

/// As `read`, of this tag only.
fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, contents, rest) = read(bytes)?;
    (found == tag).then_some((contents, rest))
}

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// With the bits of its modulus.
    Rsa(usize),
    P256,
    P384,
    P521,
    OtherCurve,
    Ed25519,
    RsaPss,
    Other,
}

impl KeyKind {
    /// Of the contents of a SubjectPublicKeyInfo (RFC 5280, 4.1).
    pub(crate) fn of_public(spki: &[u8]) -> Option<KeyKind> {
        let (algorithm, rest) = expect(SEQUENCE, spki)?;
        let (key, _) = expect(BIT_STRING, rest)?;
        // The first byte of a bit string counts its unused bits.
        KeyKind::of(algorithm, || {
            let (numbers, _) = expect(SEQUENCE, key.get(1..)?)?;
            modulus_bits(numbers)
        })
    }

    pub(crate) fn of_private(key: &PrivateKeyDer<'_>) -> Option<KeyKind> {
        let (fields, _) = expect(SEQUENCE, key.secret_der())?;
        let (_version, rest) = expect(INTEGER, fields)?;
        match key {
            PrivateKeyDer::Pkcs1(_) => modulus_bits(rest).map(KeyKind::Rsa),
            PrivateKeyDer::Sec1(_) => {
                let (_, rest) = expect(OCTET_STRING, rest)?;
                let (curve, _) = expect(EXPLICIT_0, rest)?;
                Some(KeyKind::of_curve(curve))
            }
            PrivateKeyDer::Pkcs8(_) => {
                let (algorithm, rest) = expect(SEQUENCE, rest)?;
                let (key, _) = expect(OCTET_STRING, rest)?;
                KeyKind::of(algorithm, || {
                    let (numbers, _) = expect(SEQUENCE, key)?;
                    let (_version, rest) = expect(INTEGER, numbers)?;
                    modulus_bits(rest)
                })
            }
            _ => None,
        }
    }

    fn of(algorithm: &[u8], rsa_bits: impl Fn() -> Option<usize>) -> Option<KeyKind> {
        let (oid, parameters) = expect(OID, algorithm)?;
        Some(match oid {
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1] => KeyKind::Rsa(rsa_bits()?),
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10] => KeyKind::RsaPss,
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1] => KeyKind::of_curve(parameters),
            [0x2b, 0x65, 0x70] => KeyKind::Ed25519,
            _ => KeyKind::Other,
        })
    }

    fn of_curve(parameters: &[u8]) -> KeyKind {
        match expect(OID, parameters) {
            Some(([0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7], _)) => KeyKind::P256,
            Some(([0x2b, 0x81, 4, 0, 0x22], _)) => KeyKind::P384,
            Some(([0x2b, 0x81, 4, 0, 0x23], _)) => KeyKind::P521,
            _ => KeyKind::OtherCurve,
        }
    }

    /// After "a key ".
    pub(crate) fn words(self) -> String {
        match self {
            KeyKind::Rsa(bits) => format!("of RSA with {bits} bits"),
            KeyKind::P256 => "on the curve P-256".into(),
            KeyKind::P384 => "on the curve P-384".into(),
            KeyKind::P521 => "on the curve P-521".into(),
            KeyKind::OtherCurve => "on a curve other than P-256 and P-384".into(),
            KeyKind::Ed25519 => "of Ed25519".into(),
            KeyKind::RsaPss => "of RSA for PSS only".into(),
            KeyKind::Other => "of a kind unknown to libmfa".into(),
        }
    }
}

fn modulus_bits(numbers: &[u8]) -> Option<usize> {
    let (modulus, _) = expect(INTEGER, numbers)?;
    let first = modulus.iter().position(|byte| *byte != 0)?;
    Some((modulus.len() - first) * 8 - modulus[first].leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_whole_or_not_at_all() {
        assert_eq!(read(&[2, 1, 7, 9]), Some((2, &[7][..], &[9][..])));
        assert_eq!(read(&[4, 0x81, 1, 7]), Some((4, &[7][..], &[][..])));
        let long = [&[0x30, 0x82, 1, 0][..], &[7; 256]].concat();
        assert_eq!(read(&long).map(|(_, contents, _)| contents.len()), Some(256));
        let cut: [&[u8]; 7] = [
            &[],
            &[2],
            &[2, 1],
            &[2, 0x81],
            &[2, 0x80, 0, 0],
            &[2, 0x84, 255, 255, 255, 255, 1],
            &long[..259],
        ];
        for bytes in cut {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn the_bits_of_a_modulus_are_those_of_the_number() {
        assert_eq!(modulus_bits(&[2, 3, 0, 0x80, 0]), Some(16));
        assert_eq!(modulus_bits(&[2, 2, 1, 0]), Some(9));
        assert_eq!(modulus_bits(&[2, 1, 0]), None);
        assert_eq!(modulus_bits(&[3, 1, 1]), None);
    }
}
