//! `mfa_client_options`, and where log lines go.

use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::Error;
use crate::ffi::memory::{AbiStruct, POINTER, check_flags, field_sizes, lossy_text, read_input, text};
use crate::options::{ClientOptions, LogLevel, LogSink};

/// In `mfa_client_options.flags`: allow http:// to 127.0.0.0/8, [::1] and exactly "localhost".
/// For a server on this machine, such as the sandbox; the token is sent in clear.
pub const MFA_CLIENT_ALLOW_LOOPBACK_HTTP: u32 = 1;
/// In `mfa_client_options.flags`: without a `proxy_url`, take the proxy from the environment, read
/// in `_new` alone: the first of `https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY` that is not
/// empty, as a `proxy_url` or as host:port. Unless `no_proxy`, or if that is empty `NO_PROXY`, names
/// the host: entries between commas, semicolons and white space, each `*`, a name or a domain above
/// (`example.com`, `.example.com`; `*.example.com` for what is below it alone), an address, any of
/// them with a port, or a block of addresses (`10.0.0.0/8`, `[fd00::]/8`). An entry that is not
/// understood is passed over. A proxy that is not UTF-8, not http or otherwise malformed is
/// `MFA_ERR_INVALID_URL`, never a direct connection. This machine's own addresses are never proxied
/// then; `HTTP_PROXY` is never looked at.
pub const MFA_CLIENT_PROXY_FROM_ENV: u32 = 2;

/// Log nothing.
pub const MFA_LOG_OFF: i32 = 0;
/// Log what fails a call.
pub const MFA_LOG_ERROR: i32 = 1;
/// And what deserves a look: a connection in clear, a repeated request, a failure that a wait retries.
pub const MFA_LOG_WARN: i32 = 2;
/// And what happens seldom: a client made.
pub const MFA_LOG_INFO: i32 = 3;
/// And one line for each request: path, outcome, times, whether the connection was new.
pub const MFA_LOG_DEBUG: i32 = 4;

/// Takes a log line: `level` is `MFA_LOG_...`, `message` is UTF-8 without secrets, valid during the
/// call only. Called on the thread that made the call into libmfa, with no lock held. It may call
/// libmfa, whose log lines are then left out, but must not free what the call uses, nor unwind or
/// longjmp.
pub type mfa_log_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, level: i32, message: *const c_char)>;

/// How a client is set up. All of it is copied in `_new`. The zero of each field is its default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mfa_client_options {
    /// `sizeof(mfa_client_options)`; set by `MFA_CLIENT_OPTIONS_INIT`.
    pub struct_size: u32,
    /// Any of `MFA_CLIENT_...`; unknown bits are refused.
    pub flags: u32,
    /// https://host[:port][/prefix]; no user info, query or fragment. NULL: HyperID's production;
    /// required for Capillary, which has a host for each region.
    pub base_url: *const c_char,
    /// Milliseconds: the longest that one exchange may take, and a call that names no deadline.
    /// 0: 30 000.
    pub request_timeout_ms: u32,
    /// Milliseconds: the longest that name, TCP and TLS of one connection, and a proxy's CONNECT, may
    /// take together, over all addresses of the name; beyond it the attempt fails with
    /// `MFA_ERR_CONNECT_TIMEOUT`. An address that refuses, closes, resets or garbles the connection
    /// before the request is sent gives way to the next at once; one that accepts and is silent has
    /// half of what is left of this time, and from then on gives way to the first other that
    /// accepts. After a failure the others have two seconds to accept. A certificate that is refused
    /// and a proxy's refusal end the attempt. 0: 10 000.
    pub connect_timeout_ms: u32,
    /// One or more certificates in PEM that are trusted in place of the built-in roots. NULL: those.
    /// Each counts: one that cannot be used is refused with the number of its block
    /// (`MFA_ERR_INVALID_CA`). What can be used has an RSA (2 048 to 8 192 bits), P-256 or P-384 key.
    ///
    /// PEM here, in `client_cert_pem` and in `client_key_pem`: blocks "-----BEGIN ...-----" to
    /// "-----END ...-----" with base64 between them, with any line ends or none, indented, or glued
    /// together. A certificate's label is CERTIFICATE or X509 CERTIFICATE. Text outside the blocks is
    /// not ours and may be in any encoding, but what is nearly a BEGIN or END line is refused; a byte
    /// order mark does no harm. Keys, parameters and certificate requests beside the certificates are
    /// passed over, and blocks behind a "#". All else is refused, with its block or line: unknown
    /// labels, TRUSTED CERTIFICATE, PKCS #7, revocation lists (nothing checks them), DER, a file's
    /// name, a backslash and an "n" in place of a line end.
    pub ca_pem: *const c_char,
    /// An HTTP proxy that is asked to CONNECT: http://[user[:password]@]host[:port], user and
    /// password percent-encoded. NULL: none, or the environment's. Connections in clear, which stay
    /// on this machine, are never proxied.
    pub proxy_url: *const c_char,
    /// Appended to libmfa's own User-Agent: at most 256 bytes, each 0x20-0x7E. NULL: nothing.
    pub user_agent: *const c_char,
    /// The most idle connections that are kept. 0: 64.
    pub max_idle_connections: u32,
    /// The most that is logged: `MFA_LOG_...`.
    pub log_level: i32,
    /// Where it is logged. NULL: nowhere. Called until the client is freed.
    pub log: mfa_log_fn,
    /// Handed to `log`, which may be called on several threads at once.
    pub log_user_data: *mut c_void,
    /// The certificate in PEM, as `ca_pem` describes it, then those that lead to its root, that the
    /// client shows to a server which asks for one (mutual TLS); together with `client_key_pem`, and
    /// perhaps in the same file as the key. NULL: none.
    pub client_cert_pem: *const c_char,
    /// Its private key in PEM, as `ca_pem` describes it: exactly one block PRIVATE KEY (PKCS #8), RSA
    /// PRIVATE KEY (PKCS #1) or EC PRIVATE KEY (SEC 1), not encrypted. RSA of 2 048 to 4 096 bits,
    /// P-256, P-384 or Ed25519. Certificates and parameters beside it are passed over.
    pub client_key_pem: *const c_char,
    /// Headers that are sent with every request in addition to libmfa's own: lines "Name: value",
    /// separated by a newline; at most 32, each value 1-16 384 characters, each 0x20-0x7E. For what
    /// a provider's installation asks for beyond its documentation. A header that libmfa sends
    /// itself (HyperID's Authorization among them) is refused. NULL: none.
    pub headers: *const c_char,
}

// SAFETY: repr(C), begins with the u32; integers, pointers and an optional function are valid for
// zero and for what a caller sets.
unsafe impl AbiStruct for mfa_client_options {
    const NAME: &'static str = "mfa_client_options";
    const FIRST_SIZE: usize = 24 + 9 * POINTER;
    const FIELDS: &'static [usize] = field_sizes!(mfa_client_options {
        struct_size,
        flags,
        base_url,
        request_timeout_ms,
        connect_timeout_ms,
        ca_pem,
        proxy_url,
        user_agent,
        max_idle_connections,
        log_level,
        log,
        log_user_data,
        client_cert_pem,
        client_key_pem,
        headers,
    });
}

/// # Safety
/// `pointer` is NULL or points to options as the header describes them.
pub(super) unsafe fn client_options(pointer: *const mfa_client_options) -> Result<ClientOptions, Error> {
    // SAFETY: passed on from the caller.
    let Some(given) = (unsafe { read_input(pointer) })? else { return Ok(ClientOptions::default()) };
    // Whole, so that no field is left unread.
    let mfa_client_options {
        struct_size: _,
        flags,
        base_url,
        request_timeout_ms,
        connect_timeout_ms,
        ca_pem,
        proxy_url,
        user_agent,
        max_idle_connections,
        log_level,
        log,
        log_user_data,
        client_cert_pem,
        client_key_pem,
        headers,
    } = given;
    let known = MFA_CLIENT_ALLOW_LOOPBACK_HTTP | MFA_CLIENT_PROXY_FROM_ENV;
    check_flags(flags, known, "flags of mfa_client_options")?;
    let defaults = ClientOptions::default();
    let millis = |ms: u32, default| if ms == 0 { default } else { Duration::from_millis(u64::from(ms)) };
    // SAFETY: strings as the header describes them, guaranteed by the caller.
    let texts = unsafe { [text(base_url, "base_url")?, text(user_agent, "user_agent")?] };
    let [base_url, user_agent] = texts.map(|text| text.map(str::to_owned));
    // SAFETY: as above.
    let pems = unsafe { [ca_pem, client_cert_pem, client_key_pem].map(|pem| lossy_text(pem)) };
    let [ca_pem, client_cert_pem, client_key_pem] = pems;
    // SAFETY: as above.
    let proxy_url = unsafe { text(proxy_url, "proxy_url") }?.map(|t| Zeroizing::new(t.to_owned()));
    // SAFETY: as above.
    let headers = unsafe { text(headers, "headers") }?;
    Ok(ClientOptions {
        headers: headers.map(header_lines).transpose()?.unwrap_or_default(),
        base_url,
        allow_loopback_http: flags & MFA_CLIENT_ALLOW_LOOPBACK_HTTP != 0,
        request_timeout: millis(request_timeout_ms, defaults.request_timeout),
        connect_timeout: millis(connect_timeout_ms, defaults.connect_timeout),
        ca_pem: ca_pem.map(|mut text| std::mem::take(&mut *text)),
        client_cert_pem,
        client_key_pem,
        proxy_url,
        proxy_from_env: flags & MFA_CLIENT_PROXY_FROM_ENV != 0,
        user_agent,
        max_idle_connections: match max_idle_connections {
            0 => defaults.max_idle_connections,
            n => n as usize,
        },
        log_level: self::log_level(log_level)?,
        log: sink(log, log_user_data),
    })
}

fn header_lines(text: &str) -> Result<Vec<(String, Zeroizing<String>)>, Error> {
    let lines = text.split('\n').filter(|line| !line.is_empty());
    let pair = |line: &str| {
        let (name, value) =
            line.split_once(':').ok_or_else(|| Error::argument("a line of `headers` has no colon"))?;
        Ok((name.to_owned(), Zeroizing::new(value.trim_matches(' ').to_owned())))
    };
    lines.map(pair).collect()
}

fn log_level(level: i32) -> Result<LogLevel, Error> {
    match level {
        MFA_LOG_OFF => Ok(LogLevel::Off),
        MFA_LOG_ERROR => Ok(LogLevel::Error),
        MFA_LOG_WARN => Ok(LogLevel::Warn),
        MFA_LOG_INFO => Ok(LogLevel::Info),
        MFA_LOG_DEBUG => Ok(LogLevel::Debug),
        _ => Err(Error::argument(format!("`log_level` {level} is none of the levels"))),
    }
}

/// The caller's pointer, which is only ever handed back.
struct UserData(*mut c_void);

// SAFETY: the header says that `log` may be called on several threads at once with this pointer.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl UserData {
    fn get(&self) -> *mut c_void {
        self.0
    }
}

fn sink(log: mfa_log_fn, user_data: *mut c_void) -> Option<LogSink> {
    let log = log?;
    let user_data = UserData(user_data);
    Some(Arc::new(move |level, line| {
        let Ok(line) = CString::new(line.replace('\0', " ")) else { return };
        // SAFETY: a function of this type, valid until the client is freed, guaranteed by the caller.
        unsafe { log(user_data.get(), level as i32, line.as_ptr()) };
    }))
}
