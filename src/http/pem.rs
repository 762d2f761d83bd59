//! Reads PEM (RFC 7468) as people have it: certificates and private keys, and why something is
//! neither.
//!
//! No library's reader, because those that there are pass over in silence what they cannot read,
//! and because a sentence must never hold what was read: all that these say is an option's name,
//! the numbers of blocks and lines, and words of our own.
//!
//! Blocks may be glued together, indented, or written in one line; whatever stands outside of them
//! is not looked at, unless it seems to be a BEGIN or END line that went wrong.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use zeroize::Zeroizing;

use crate::http::der;
use crate::secret::Wiped;

const DASHES: &str = "-----";
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// A certificate, and the number of its block, from 1.
pub(crate) struct Certificate {
    pub(crate) block: usize,
    pub(crate) der: CertificateDer<'static>,
}

/// A private key, and the number of its block, from 1.
pub(crate) struct Key {
    pub(crate) block: usize,
    pub(crate) der: Zeroizing<PrivateKeyDer<'static>>,
}

/// All certificates of `text`, which is the option `field`. Keys and the like beside them are
/// passed over; what might have been meant as a certificate, or to restrict one, is not.
pub(crate) fn certificates(field: &str, text: &str) -> Result<Vec<Certificate>, String> {
    let pem = Pem { field, text };
    let blocks = pem.blocks()?;
    let mut certificates = Vec::new();
    for block in &blocks {
        match block.kind {
            Kind::Certificate => {
                let der = std::mem::take(&mut *pem.decode(block)?);
                certificates.push(Certificate { block: block.number, der: der.into() });
            }
            Kind::Refused { hint, .. } => return Err(pem.refuse(block, hint)),
            _ => {}
        }
    }
    if certificates.is_empty() {
        return Err(pem.lacks("certificate", &blocks));
    }
    Ok(certificates)
}

/// The private key of `text`, which is the option `field`. Certificates and the like beside it are
/// passed over; a second key is not.
pub(crate) fn private_key(field: &str, text: &str) -> Result<Key, String> {
    let pem = Pem { field, text };
    let blocks = pem.blocks()?;
    let mut found: Option<Key> = None;
    for block in &blocks {
        let wrap: fn(Vec<u8>) -> PrivateKeyDer<'static> = match block.kind {
            Kind::Pkcs8 => |der| PrivatePkcs8KeyDer::from(der).into(),
            Kind::Pkcs1 => |der| PrivatePkcs1KeyDer::from(der).into(),
            Kind::Sec1 => |der| PrivateSec1KeyDer::from(der).into(),
            Kind::OtherKey(hint) | Kind::Refused { hint, is_certificate: false } => {
                return Err(pem.refuse(block, hint));
            }
            _ => continue,
        };
        if let Some(first) = found {
            let (first, second) = (first.block, block.number);
            return Err(format!("`{field}` holds two private keys (blocks {first} and {second}): leave one"));
        }
        let der = Zeroizing::new(wrap(std::mem::take(&mut *pem.decode(block)?)));
        found = Some(Key { block: block.number, der });
    }
    found.ok_or_else(|| pem.lacks("private key", &blocks))
}

/// What a block is, by its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Certificate,
    Pkcs8,
    Pkcs1,
    Sec1,
    /// A key that cannot be used, and what to do.
    OtherKey(&'static str),
    /// Cannot be used, nor be passed over where it might have been meant, and what to do.
    Refused {
        hint: &'static str,
        is_certificate: bool,
    },
    /// Often stands beside certificates and keys, and is neither: what it is.
    Other(&'static str),
}

const UNKNOWN: Kind = Kind::Refused {
    hint: "has a label that libmfa does not know: give certificates and private keys only",
    is_certificate: false,
};

const LABELS: &[(&str, Kind)] = &[
    ("CERTIFICATE", Kind::Certificate),
    ("X509 CERTIFICATE", Kind::Certificate),
    (
        "TRUSTED CERTIFICATE",
        refused_certificate(
            "is a TRUSTED CERTIFICATE, a form of OpenSSL's own; convert it with: openssl x509 -in FILE -out NEW",
        ),
    ),
    ("PKCS7", refused_certificate(PKCS7)),
    ("CMS", refused_certificate(PKCS7)),
    ("X509 CRL", refused_certificate("is a revocation list, which libmfa does not check: leave it out")),
    ("PRIVATE KEY", Kind::Pkcs8),
    ("RSA PRIVATE KEY", Kind::Pkcs1),
    ("EC PRIVATE KEY", Kind::Sec1),
    ("ENCRYPTED PRIVATE KEY", Kind::OtherKey(ENCRYPTED)),
    ("DSA PRIVATE KEY", Kind::OtherKey("is a DSA key, which TLS no longer knows: use RSA, P-256 or P-384")),
    (
        "OPENSSH PRIVATE KEY",
        Kind::OtherKey(
            "is a key in OpenSSH's own form; convert a copy with: ssh-keygen -p -N \"\" -m PKCS8 -f COPY",
        ),
    ),
    ("EC PARAMETERS", Kind::Other("the parameters of a key")),
    ("DH PARAMETERS", Kind::Other("the parameters of a key exchange")),
    ("X9.42 DH PARAMETERS", Kind::Other("the parameters of a key exchange")),
    ("DSA PARAMETERS", Kind::Other("the parameters of a key")),
    ("PUBLIC KEY", Kind::Other("a public key")),
    ("RSA PUBLIC KEY", Kind::Other("a public key")),
    ("CERTIFICATE REQUEST", Kind::Other("a certificate request, which its authority has yet to sign")),
    ("NEW CERTIFICATE REQUEST", Kind::Other("a certificate request, which its authority has yet to sign")),
];

const ENCRYPTED: &str = "is encrypted; decrypt it with: openssl pkey -in FILE -out NEW";
const PKCS7: &str = "is a PKCS #7 bundle; convert it with: openssl pkcs7 -print_certs -in FILE -out NEW";

const fn refused_certificate(hint: &'static str) -> Kind {
    Kind::Refused { hint, is_certificate: true }
}

impl Kind {
    fn of(label: &str) -> Option<Kind> {
        LABELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(label)).map(|(_, kind)| *kind)
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Certificate => "a certificate",
            Kind::Pkcs8 | Kind::Pkcs1 | Kind::Sec1 | Kind::OtherKey(_) => "a private key",
            Kind::Other(name) => name,
            Kind::Refused { .. } => "something else",
        }
    }
}

struct Block<'a> {
    /// From 1.
    number: usize,
    /// Where its BEGIN line begins.
    start: usize,
    kind: Kind,
    /// What stands between the BEGIN and the END line.
    body: &'a str,
    body_start: usize,
}

struct Marker<'a> {
    start: usize,
    end: usize,
    begins: bool,
    label: &'a str,
}

/// An option and its text.
struct Pem<'a> {
    field: &'a str,
    text: &'a str,
}

impl<'a> Pem<'a> {
    fn blocks(&self) -> Result<Vec<Block<'a>>, String> {
        let mut blocks = Vec::new();
        let mut at = 0;
        while let Some(begin) = self.next_outside(at)? {
            self.check_outside(at, begin.start)?;
            let number = blocks.len() + 1;
            if !begin.begins {
                return Err(self.at_line(begin.start, "ends a block that no BEGIN line begins"));
            }
            let end = self.next_marker(begin.end)?.filter(|end| !end.begins);
            let Some(end) = end else {
                return Err(self.refuse_at(number, begin.start, "has no END line: is it cut off?"));
            };
            if end.label != begin.label {
                return Err(self.refuse_at(number, begin.start, "has an END line with another label"));
            }
            blocks.push(Block {
                number,
                start: begin.start,
                kind: Kind::of(begin.label).unwrap_or(UNKNOWN),
                body: &self.text[begin.end..end.start],
                body_start: begin.end,
            });
            at = end.end;
        }
        self.check_outside(at, self.text.len())?;
        Ok(blocks)
    }

    /// The next BEGIN or END line from `at` on that is not commented out.
    fn next_outside(&self, mut at: usize) -> Result<Option<Marker<'a>>, String> {
        while let Some(start) = self.find_marker(at) {
            let line_start = self.text[..start].rfind(['\n', '\r']).map_or(0, |end| end + 1);
            if !is_comment_sign(&self.text[line_start..start]) {
                return self.next_marker(start);
            }
            at = self.line_end(start);
        }
        Ok(None)
    }

    fn next_marker(&self, at: usize) -> Result<Option<Marker<'a>>, String> {
        let Some(start) = self.find_marker(at) else { return Ok(None) };
        let begins = self.text[start..].starts_with(BEGIN);
        let label_start = start + if begins { BEGIN.len() } else { END.len() };
        let line = &self.text[label_start..self.line_end(label_start)];
        let Some(label_len) = line.find(DASHES) else {
            return Err(self.at_line(start, "has no five dashes at the end of its BEGIN or END"));
        };
        let label = line[..label_len].trim();
        Ok(Some(Marker { start, end: label_start + label_len + DASHES.len(), begins, label }))
    }

    fn find_marker(&self, at: usize) -> Option<usize> {
        let rest = &self.text[at..];
        let found = [rest.find(BEGIN), rest.find(END)].into_iter().flatten().min();
        found.map(|offset| at + offset)
    }

    fn line_end(&self, at: usize) -> usize {
        self.text[at..].find(['\n', '\r']).map_or(self.text.len(), |offset| at + offset)
    }

    /// A BEGIN or END line with a dash too few would lose its block in silence.
    fn check_outside(&self, from: usize, to: usize) -> Result<(), String> {
        let mut at = from;
        for line in self.text[from..to].split(['\n', '\r']) {
            if !line.trim_start().starts_with('#') && is_nearly_a_marker(line) {
                return Err(self.at_line(
                    at,
                    "is nearly a BEGIN or END line: it needs five dashes at both ends, and capitals",
                ));
            }
            at += line.len() + 1;
        }
        Ok(())
    }

    /// The block's bytes, which are one DER value.
    fn decode(&self, block: &Block<'_>) -> Result<Wiped, String> {
        if block.body.contains(':') {
            // "Proc-Type: 4,ENCRYPTED" (RFC 1421), as OpenSSL writes keys in their older forms.
            let is_encrypted = block.body.contains("ENCRYPTED");
            return Err(self.refuse(block, if is_encrypted { ENCRYPTED } else { HEADERS }));
        }
        if let Some(offset) = block.body.find(|c: char| !is_base64(c) && !c.is_ascii_whitespace()) {
            let escaped = block.body[offset..].starts_with(['\\']);
            return Err(self.at_line(block.body_start + offset, if escaped { ESCAPED } else { NOT_BASE64 }));
        }
        let mut base64 = Wiped::with_capacity(block.body.len());
        base64.extend(block.body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
        if base64.is_empty() {
            return Err(self.refuse(block, "is empty"));
        }
        // Large enough for all that follows, so that no copy is left behind.
        let mut bytes = Wiped::with_capacity(base64.len());
        if BASE64_STANDARD.decode_vec(&**base64, &mut bytes).is_err() {
            return Err(self.refuse(block, "is no sound base64: part of it is missing or altered"));
        }
        match der::read(&bytes) {
            Some((der::SEQUENCE, _, [])) => Ok(bytes),
            _ => Err(self.refuse(block, "is damaged: part of it is missing, altered or too much")),
        }
    }

    /// Why there is nothing to use in `blocks`.
    fn lacks(&self, what: &str, blocks: &[Block<'_>]) -> String {
        let field = self.field;
        let Some(first) = blocks.first() else { return format!("`{field}` {}", why_no_block(self.text)) };
        format!("`{field}` holds no {what}: block {} is {}", first.number, first.kind.name())
    }

    fn refuse(&self, block: &Block<'_>, why: &str) -> String {
        self.refuse_at(block.number, block.start, why)
    }

    fn refuse_at(&self, number: usize, start: usize, why: &str) -> String {
        format!("block {number} of `{}` (line {}) {why}", self.field, self.line(start))
    }

    fn at_line(&self, at: usize, why: &str) -> String {
        format!("line {} of `{}` {why}", self.line(at), self.field)
    }

    /// The number, from 1, of the line that holds the byte `at`.
    fn line(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at];
        let ends = |(i, byte): (usize, &u8)| {
            *byte == b'\n' || (*byte == b'\r' && self.text.as_bytes().get(i + 1) != Some(&b'\n'))
        };
        1 + before.iter().enumerate().filter(|&(i, byte)| ends((i, byte))).count()
    }
}

const ESCAPED: &str =
    "has a backslash: put real line ends where it says \\n (as in a quoted environment variable)";
const HEADERS: &str = "has header lines: leave out all but its base64";
const NOT_BASE64: &str = "has a character that is not base64, inside a block";

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')
}

fn is_comment_sign(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'#' | b' ' | b'\t'))
}

fn is_nearly_a_marker(line: &str) -> bool {
    let words = line.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let label_after = |word: &str| {
        let (start, label) = words.split_at_checked(word.len())?;
        start.eq_ignore_ascii_case(word).then(|| label.trim())
    };
    let label = label_after("BEGIN ").or_else(|| label_after("END "));
    label.is_some_and(|label| line.trim_start().starts_with(['-', '–', '—']) || Kind::of(label).is_some())
}

/// What a text without any block may be.
fn why_no_block(text: &str) -> &'static str {
    // What is not UTF-8 has become U+FFFD before.
    let mut chars = text.chars();
    let (first, second, third) = (chars.next(), chars.next(), chars.next());
    let is_utf16 = first == Some('\u{fffd}') && second == Some('\u{fffd}');
    let is_der = first == Some('0') && (second.is_some_and(|c| !c.is_ascii()) || third == Some('\u{2}'));
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let is_one_line = !text.contains(['\n', '\r']);
    let ends = |end: &&str| {
        text.len() >= end.len()
            && text.is_char_boundary(text.len() - end.len())
            && text[text.len() - end.len()..].eq_ignore_ascii_case(end)
    };
    let has_an_extension = [".pem", ".crt", ".cer", ".der", ".key", ".p12", ".pfx"].iter().any(ends);
    if text.is_empty() {
        "is empty"
    } else if is_der {
        "is DER, not PEM; convert the file with openssl x509 or openssl pkey: -inform DER -in FILE -out NEW"
    } else if is_utf16 {
        "is UTF-16 text, it seems: save the file as UTF-8"
    } else if text.starts_with("MI") && text.chars().all(|c| is_base64(c) || c.is_ascii_whitespace()) {
        "has no BEGIN and END line: it is base64 alone"
    } else if is_one_line && (has_an_extension || text.contains(['/', '\\'])) {
        "is a path, it seems: pass what the file contains, not its name"
    } else {
        "holds no PEM block: there is no BEGIN line in it"
    }
}
