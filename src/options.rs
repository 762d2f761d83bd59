//! What a caller can set: per client, and per call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::time::Cancel;

/// How much is logged; each level includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum LogLevel {
    /// Nothing.
    #[default]
    Off = 0,
    /// What fails a call.
    Error = 1,
    /// What deserves a look: a connection in clear, a retry.
    Warn = 2,
    /// What happens seldom: a client made.
    Info = 3,
    /// One line for each request.
    Debug = 4,
}

/// Where log lines go. Called on the calling thread, with no lock held.
pub type LogSink = Arc<dyn Fn(LogLevel, &str) + Send + Sync>;

/// How a client is set up.
#[derive(Clone)]
pub struct ClientOptions {
    /// Where the provider is; `None`: the provider's production, where there is only one.
    pub base_url: Option<String>,
    /// Allow `http://` to 127.0.0.0/8, `[::1]` and `localhost`.
    pub allow_loopback_http: bool,
    /// The longest that one exchange, and a call without a timeout of its own, may take.
    pub request_timeout: Duration,
    /// The longest that name, TCP and TLS of one connection, and a proxy's CONNECT, may take together,
    /// over all addresses of the name. One that fails before the request is sent gives way to the
    /// next; one that is silent for half of what is left of this time, to another that accepts.
    pub connect_timeout: Duration,
    /// Roots in place of the built-in ones: one or more certificates in PEM, of which each counts:
    /// one that cannot be used is refused. Text outside the blocks is not looked at; it may be the
    /// result of `String::from_utf8_lossy`.
    pub ca_pem: Option<String>,
    /// The certificate, and those that lead to its root, that the client shows to a server which
    /// asks for one (mutual TLS), in PEM; together with `client_key_pem`, and perhaps in the same
    /// text as the key.
    pub client_cert_pem: Option<Zeroizing<String>>,
    /// Its private key in PEM: exactly one block, PKCS #8, PKCS #1 or SEC 1, not encrypted; RSA of
    /// 2,048 to 4,096 bits, P-256, P-384 or Ed25519. Certificates beside it are passed over.
    pub client_key_pem: Option<Zeroizing<String>>,
    /// An http CONNECT proxy: `http://[user[:password]@]host[:port]`.
    pub proxy_url: Option<Zeroizing<String>>,
    /// Without a `proxy_url`: the proxy that the environment names when the client is made
    /// (`https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY`; `no_proxy`, `NO_PROXY`). One that is
    /// no `proxy_url` is an error then, never a direct connection.
    pub proxy_from_env: bool,
    /// Appended to libmfa's own `User-Agent`.
    pub user_agent: Option<String>,
    /// Sent with every request, in addition to libmfa's own: name and value.
    pub headers: Vec<(String, Zeroizing<String>)>,
    /// How many idle connections are kept.
    pub max_idle_connections: usize,
    /// The most that is logged.
    pub log_level: LogLevel,
    /// Where it is logged.
    pub log: Option<LogSink>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            base_url: None,
            allow_loopback_http: false,
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            ca_pem: None,
            client_cert_pem: None,
            client_key_pem: None,
            proxy_url: None,
            proxy_from_env: false,
            user_agent: None,
            headers: Vec::new(),
            max_idle_connections: 64,
            log_level: LogLevel::Off,
            log: None,
        }
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("base_url", &self.base_url)
            .field("request_timeout", &self.request_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("log_level", &self.log_level)
            .finish_non_exhaustive()
    }
}

/// What bounds one call.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions<'a> {
    /// The deadline, from the start of the call; `None`: the call's default.
    pub timeout: Option<Duration>,
    /// Ends the call when triggered.
    pub cancel: Option<&'a Cancel>,
}
