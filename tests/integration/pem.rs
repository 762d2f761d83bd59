//! Certificates and keys as people have them: what is read, and what each refusal says.
//!
//! The files in tests/pem/ are test keys, published and nobody's (tests/pem/make.sh).

use mfa::{ClientOptions, Code, Error, HyperId};
use zeroize::Zeroizing;

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("../pem/", $name))
    };
}

const P256: &str = file!("p256.crt");
const P256_KEY: &str = file!("p256.key");
const RSA: &str = file!("rsa2048.crt");
const RSA_KEY: &str = file!("rsa2048.key");

/// What fits into `mfa_error.message`, with its NUL.
const MAX_MESSAGE: usize = 255;

fn options() -> ClientOptions {
    ClientOptions::new().base_url("https://127.0.0.1:1")
}

fn roots(pem: &str) -> Result<(), Error> {
    HyperId::new(&options().ca_pem(pem)).map(drop)
}

fn identity(chain: &str, key: &str) -> Result<(), Error> {
    let options = options()
        .client_cert_pem(Zeroizing::new(chain.to_owned()))
        .client_key_pem(Zeroizing::new(key.to_owned()));
    HyperId::new(&options).map(drop)
}

/// Refused with this code, in a sentence of this beginning that names what is in `holds`.
#[track_caller]
fn refused(result: Result<(), Error>, code: Code, begins: &str, holds: &str) {
    let error = result.expect_err(begins);
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.starts_with(begins), "{begins}: {}", error.message);
    assert!(error.message.contains(holds), "{holds}: {}", error.message);
    assert!(error.message.len() <= MAX_MESSAGE, "{}: {}", error.message.len(), error.message);
}

#[track_caller]
fn root_refused(pem: &str, begins: &str, holds: &str) {
    refused(roots(pem), Code::InvalidCa, begins, holds);
}

#[track_caller]
fn key_refused(pem: &str, begins: &str, holds: &str) {
    refused(identity(P256, pem), Code::InvalidArgument, begins, holds);
}

fn glued(first: &str, second: &str) -> String {
    format!("{}{second}", first.trim_end())
}

/// The same text, written in the ways that people's files have.
fn spellings(pem: &str) -> Vec<(&'static str, String)> {
    vec![
        ("as it is", pem.to_owned()),
        ("with a BOM", format!("\u{feff}{pem}")),
        ("with CRLF", pem.replace('\n', "\r\n")),
        ("with CR", pem.replace('\n', "\r")),
        ("in one line", pem.replace('\n', " ")),
        ("without any space", pem.lines().collect()),
        ("with blank lines", pem.replace('\n', "\n\n")),
        ("indented", pem.lines().map(|line| format!("  \t{line} \n")).collect()),
        ("with text around", format!("Caf\u{fffd}: -- BEGIN of all --\n{pem}\nsubject=/CN=me\n")),
        ("after text in its line", format!("ca: \"{pem}\"")),
        ("without a last line end", pem.trim_end().to_owned()),
    ]
}

#[test]
fn no_certificate_is_lost_whatever_the_spelling() {
    // A damaged root at each place: a refusal shows that it was seen.
    let damaged = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    for (how, pem) in spellings(&format!("{P256}{RSA}")) {
        roots(&pem).unwrap_or_else(|e| panic!("{how}: {e}"));
    }
    roots(&glued(P256, RSA)).unwrap();
    roots(&format!("\u{feff}{P256}\u{feff}{RSA}")).unwrap();
    roots(&P256.replace("CERTIFICATE", "X509 CERTIFICATE")).unwrap();
    for (how, pem) in spellings(&format!("{damaged}{P256}{RSA}")) {
        refused(roots(&pem), Code::InvalidCa, "block 1 of `ca_pem`", "damaged");
        assert!(roots(&pem).is_err(), "{how}");
    }
    for (how, pem) in spellings(&format!("{P256}{damaged}{RSA}")) {
        assert!(roots(&pem).unwrap_err().message.starts_with("block 2 of `ca_pem`"), "{how}");
    }
    root_refused(&glued(P256, damaged), "block 2 of `ca_pem` (line 11)", "damaged");
    root_refused(&format!("{}{}", glued(P256, RSA), damaged), "block 3 of `ca_pem`", "damaged");
}

#[test]
fn a_key_is_found_wherever_it_stands() {
    let parameters = file!("p256-parameters.key");
    assert!(parameters.starts_with("-----BEGIN EC PARAMETERS-----"));
    for (how, key) in spellings(parameters) {
        // Another key than the certificate's: it was found, and it is sound.
        let error = identity(P256, &key).unwrap_err();
        assert!(error.message.starts_with("`client_key_pem` is not the key of block 1"), "{how}: {error}");
    }
    let sets = [
        ("alone", P256, P256_KEY.to_owned()),
        ("certificate and key", P256, format!("{P256}{P256_KEY}")),
        ("key and certificate", P256, format!("{P256_KEY}{P256}")),
        ("with a request", P256, format!("{}{P256_KEY}", file!("p256.csr"))),
        ("openssl pkcs12 -nodes", P256, file!("p256-pkcs12.pem").to_owned()),
        ("RSA", RSA, RSA_KEY.to_owned()),
        ("RSA in PKCS #1", RSA, file!("rsa2048-pkcs1.key").to_owned()),
        ("Ed25519", file!("ed25519.crt"), file!("ed25519.key").to_owned()),
    ];
    for (what, chain, key) in &sets {
        for (how, key) in spellings(key) {
            identity(chain, &key).unwrap_or_else(|e| panic!("{what}, {how}: {e}"));
        }
    }
    // One file for both.
    let both = file!("p256-pkcs12.pem");
    identity(both, both).unwrap();
    identity(&format!("{P256_KEY}{P256}"), P256_KEY).unwrap();
}

#[test]
fn each_refusal_of_a_root_says_what_to_do() {
    root_refused("", "`ca_pem` is empty", "");
    root_refused(" \r\n\u{feff}", "`ca_pem` is empty", "");
    root_refused("ca.pem", "`ca_pem` is a path", "not its name");
    root_refused("/etc/ssl/certs/ca-certificates.crt", "`ca_pem` is a path", "");
    root_refused("C:\\certificates\\ca.PEM\n", "`ca_pem` is a path", "");
    root_refused("some text", "`ca_pem` holds no PEM block", "BEGIN");
    let der = String::from_utf8_lossy(include_bytes!("../pem/p256-certificate.der"));
    root_refused(&der, "`ca_pem` is DER", "-inform DER");
    root_refused("\u{fffd}\u{fffd}-", "`ca_pem` is UTF-16", "UTF-8");
    let body: String = P256.lines().filter(|line| !line.starts_with('-')).collect();
    root_refused(&body, "`ca_pem` has no BEGIN and END line", "");
    root_refused(&P256.replace('\n', "\\n"), "line 1 of `ca_pem` has a backslash", "line ends");
    root_refused(
        &format!("{P256}{}", file!("p256-trusted.crt")),
        "block 2 of `ca_pem` (line 12)",
        "openssl x509",
    );
    root_refused(file!("p256.p7"), "block 1 of `ca_pem`", "openssl pkcs7 -print_certs");
    root_refused(&format!("{P256}{}", P256.replace("CERTIFICATE", "X509 CRL")), "block 2", "revocation list");
    root_refused(&format!("{P256}{}", P256.replace("CERTIFICATE", "CERTIFCATE")), "block 2", "label");
    root_refused(P256_KEY, "`ca_pem` holds no certificate", "block 1 is a private key");
    root_refused(file!("p256.csr"), "`ca_pem` holds no certificate", "block 1 is a certificate request");
    root_refused(&format!("{P256}{}{RSA}", file!("p521.crt")), "block 2 of `ca_pem`", "P-521");
    root_refused(
        &format!("{P256}{RSA}{}", file!("rsa1024.crt")),
        "block 3 of `ca_pem`",
        "RSA with 1024 bits",
    );
    root_refused(file!("ed25519.crt"), "block 1 of `ca_pem`", "Ed25519");
    // Version 1 says nothing that a root needs.
    roots(file!("p256-v1.crt")).unwrap();
}

#[test]
fn a_begin_or_end_line_that_went_wrong_loses_no_block() {
    let four = P256.replace("-----BEGIN", "----BEGIN");
    root_refused(&four, "line 1 of `ca_pem`", "five dashes");
    root_refused(&format!("{RSA}{four}"), "line 20 of `ca_pem`", "five dashes");
    root_refused(&format!("{RSA}{}", P256.replace("-----", "—")), "line 20 of `ca_pem`", "five dashes");
    root_refused(&format!("{RSA}{}", P256.to_ascii_lowercase()), "line 20 of `ca_pem`", "capitals");
    root_refused(
        &format!("{RSA}{}", P256.replace("E-----\nM", "E---\nM")),
        "line 20 of `ca_pem`",
        "five dashes",
    );
    let no_begin = P256.split_once('\n').unwrap().1;
    root_refused(&format!("{RSA}{no_begin}"), "line 29 of `ca_pem`", "no BEGIN line");
    let no_end = P256.trim_end().rsplit_once('\n').unwrap().0;
    root_refused(&format!("{RSA}{no_end}"), "block 2 of `ca_pem` (line 20)", "no END line");
    root_refused(&format!("{no_end}\n{RSA}"), "block 1 of `ca_pem` (line 1)", "no END line");
    root_refused(
        &P256.replace("END CERTIFICATE", "END X509 CERTIFICATE"),
        "block 1 of `ca_pem`",
        "another label",
    );
    root_refused("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "block 1 of `ca_pem`", "empty");
    // What is commented out is text.
    let commented: String = P256.lines().map(|line| format!("# {line}\n")).collect();
    roots(&format!("{commented}{RSA}")).unwrap();
    root_refused(&commented, "`ca_pem` holds no PEM block", "");
}

#[test]
fn each_refusal_of_a_key_says_what_to_do() {
    for encrypted in
        [file!("p256-encrypted.key"), file!("p256-encrypted-sec1.key"), file!("rsa2048-encrypted-pkcs1.key")]
    {
        for (_, key) in spellings(encrypted) {
            key_refused(&key, "block 1 of `client_key_pem`", "is encrypted; decrypt it with: openssl pkey");
        }
        key_refused(&format!("{P256}{encrypted}"), "block 2 of `client_key_pem` (line 12)", "is encrypted");
    }
    key_refused("", "`client_key_pem` is empty", "");
    key_refused("client.key", "`client_key_pem` is a path", "");
    let der = String::from_utf8_lossy(include_bytes!("../pem/p256-key.der"));
    key_refused(&der, "`client_key_pem` is DER", "openssl pkey");
    key_refused(&P256_KEY.replace('\n', "\\n"), "line 1 of `client_key_pem` has a backslash", "line ends");
    key_refused(P256, "`client_key_pem` holds no private key", "block 1 is a certificate");
    key_refused(file!("p521.key"), "block 1 of `client_key_pem`", "P-521");
    key_refused(file!("k256.key"), "block 1 of `client_key_pem`", "a curve other than");
    key_refused(file!("rsa1024.key"), "block 1 of `client_key_pem`", "RSA with 1024 bits");
    key_refused(&format!("{P256}{}", file!("rsa1024.key")), "block 2 of `client_key_pem`", "1024");
    key_refused(
        &format!("{P256_KEY}{RSA_KEY}"),
        "`client_key_pem` holds two private keys (blocks 1 and 2)",
        "",
    );
    key_refused(&P256_KEY.replace("PRIVATE", "OPENSSH PRIVATE"), "block 1", "ssh-keygen");
    key_refused(&P256_KEY.replace("PRIVATE", "DSA PRIVATE"), "block 1", "DSA");
    key_refused(&P256_KEY.replace("PRIVATE", "EC PRIVATE"), "block 1 of `client_key_pem`", "label");
    key_refused(RSA_KEY, "`client_key_pem` is not the key of block 1 of `client_cert_pem`", "");
}

#[test]
fn each_refusal_of_a_client_certificate_says_what_to_do() {
    let chain_refused = |chain: &str, begins: &str, holds: &str| {
        refused(identity(chain, P256_KEY), Code::InvalidArgument, begins, holds);
    };
    chain_refused("", "`client_cert_pem` is empty", "");
    chain_refused("client.crt", "`client_cert_pem` is a path", "");
    chain_refused(P256_KEY, "`client_cert_pem` holds no certificate", "a private key");
    chain_refused(file!("p256-trusted.crt"), "block 1 of `client_cert_pem`", "openssl x509");
    chain_refused(&P256.replace('\n', "\\n"), "line 1 of `client_cert_pem`", "backslash");
    chain_refused(
        &format!("{RSA}{P256}"),
        "`client_key_pem` is the key of block 2 of `client_cert_pem`",
        "first",
    );
    chain_refused(file!("p256-v1.crt"), "block 1 of `client_cert_pem`", "version");
    let not_x509 = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    chain_refused(&format!("{P256}{not_x509}"), "block 2 of `client_cert_pem`", "not a sound X.509");
    for (how, chain) in spellings(&format!("{P256}{RSA}")) {
        identity(&chain, P256_KEY).unwrap_or_else(|e| panic!("{how}: {e}"));
    }
}

/// Deterministic, so that a failure can be repeated: xorshift.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

/// All that a message must not hold: every six characters of a line of base64.
fn needles(pems: &[&str]) -> std::collections::HashSet<Vec<u8>> {
    let lines = pems.iter().flat_map(|pem| pem.lines());
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    let lines = lines.filter(|line| line.chars().all(is_base64));
    lines.flat_map(|line| line.as_bytes().windows(6).map(<[u8]>::to_vec)).collect()
}

fn mutilate(pem: &str, other: &str, dice: &mut Dice) -> String {
    let mut lines: Vec<String> = pem.lines().map(str::to_owned).collect();
    let others: Vec<&str> = other.lines().collect();
    for _ in 0..=dice.below(3) {
        if lines.is_empty() {
            break;
        }
        let (at, to) = (dice.below(lines.len()), dice.below(lines.len()));
        let inside = dice.below(lines[at].len() + 1);
        match dice.below(10) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[to].clone()),
            2 => lines.swap(at, to),
            3 => others[dice.below(others.len())].clone_into(&mut lines[at]),
            4 => lines[at].truncate(inside),
            5 => lines[at].insert(inside, ['-', ':', '\\', '\u{fffd}', '!', '=', '\0', '#'][dice.below(8)]),
            6 => {
                let next = lines.remove(at);
                lines[to.saturating_sub(1).min(at.saturating_sub(1))..]
                    .first_mut()
                    .map(|l| l.push_str(&next))
                    .unwrap_or(());
            }
            7 => lines.insert(at, others[dice.below(others.len())].to_owned()),
            8 => lines[at] = lines[at].to_ascii_lowercase(),
            _ => lines.truncate(at + 1),
        }
    }
    lines.join(["\n", "\r\n", "", " ", "\\n"][if dice.below(4) > 0 { 0 } else { dice.below(5) }])
}

#[test]
fn no_refusal_ever_holds_what_was_given() {
    let rsa1 = file!("rsa2048-encrypted-pkcs1.key");
    let bundle = format!("{P256}{RSA}{}", file!("p521.crt"));
    let pems = [P256_KEY, RSA_KEY, rsa1, file!("p256-pkcs12.pem"), file!("p256-parameters.key"), &bundle];
    let needles = needles(&pems);
    assert!(needles.len() > 2_000);
    let mut dice = Dice(0x6d66_612d_7065_6d21);
    let (mut refusals, mut sentences) = (0, std::collections::HashSet::new());
    for round in 0..6_000 {
        let (pem, other) = (pems[dice.below(pems.len())], pems[dice.below(pems.len())]);
        let text = mutilate(pem, other, &mut dice);
        let results = [roots(&text), identity(P256, &text), identity(&text, P256_KEY)];
        for error in results.into_iter().filter_map(Result::err) {
            refusals += 1;
            for told in [error.message.clone(), error.to_string(), format!("{error:?}")] {
                let leak = told.as_bytes().windows(6).find(|window| needles.contains(*window));
                // Nor as a list of numbers.
                assert!(leak.is_none() && !told.contains('['), "round {round}: {told}");
            }
            assert!(error.message.len() <= MAX_MESSAGE && error.message.is_ascii(), "{}", error.message);
            sentences.insert(error.message.split(|c: char| c.is_ascii_digit()).collect::<String>());
        }
        let options = options()
            .ca_pem(text.clone())
            .client_cert_pem(Zeroizing::new(text.clone()))
            .client_key_pem(Zeroizing::new(text));
        let told = format!("{options:?}");
        assert!(!told.as_bytes().windows(6).any(|window| needles.contains(window)), "{told}");
    }
    assert!(refusals > 10_000, "{refusals}");
    assert!(sentences.len() > 30, "the search reaches little: {sentences:#?}");
}
