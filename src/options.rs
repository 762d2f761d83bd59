//! What a caller can set: per client, and per call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::time::Cancel;

/// How much is logged; each level includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
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

/// How a client is set up: `ClientOptions::new()`, and a setter for each field.
#[derive(Clone)]
#[non_exhaustive]
#[must_use = "options do nothing until they are given to a client"]
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

impl ClientOptions {
    /// The defaults.
    pub fn new() -> Self {
        ClientOptions::default()
    }

    /// Sets [`base_url`](field@Self::base_url).
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// Sets [`allow_loopback_http`](field@Self::allow_loopback_http).
    pub fn allow_loopback_http(mut self, allow_loopback_http: bool) -> Self {
        self.allow_loopback_http = allow_loopback_http;
        self
    }

    /// Sets [`request_timeout`](field@Self::request_timeout).
    pub fn request_timeout(mut self, request_timeout: Duration) -> Self {
        self.request_timeout = request_timeout;
        self
    }

    /// Sets [`connect_timeout`](field@Self::connect_timeout).
    pub fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// Sets [`ca_pem`](field@Self::ca_pem).
    pub fn ca_pem(mut self, ca_pem: impl Into<String>) -> Self {
        self.ca_pem = Some(ca_pem.into());
        self
    }

    /// Sets [`client_cert_pem`](field@Self::client_cert_pem).
    pub fn client_cert_pem(mut self, client_cert_pem: impl Into<Zeroizing<String>>) -> Self {
        self.client_cert_pem = Some(client_cert_pem.into());
        self
    }

    /// Sets [`client_key_pem`](field@Self::client_key_pem).
    pub fn client_key_pem(mut self, client_key_pem: impl Into<Zeroizing<String>>) -> Self {
        self.client_key_pem = Some(client_key_pem.into());
        self
    }

    /// Sets [`proxy_url`](field@Self::proxy_url).
    pub fn proxy_url(mut self, proxy_url: impl Into<Zeroizing<String>>) -> Self {
        self.proxy_url = Some(proxy_url.into());
        self
    }

    /// Sets [`proxy_from_env`](field@Self::proxy_from_env).
    pub fn proxy_from_env(mut self, proxy_from_env: bool) -> Self {
        self.proxy_from_env = proxy_from_env;
        self
    }

    /// Sets [`user_agent`](field@Self::user_agent).
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(user_agent.into());
        self
    }

    /// Sets [`headers`](field@Self::headers), in place of those that were set.
    pub fn headers(
        mut self,
        headers: impl IntoIterator<Item = (impl Into<String>, impl Into<Zeroizing<String>>)>,
    ) -> Self {
        self.headers = headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self
    }

    /// Sets [`max_idle_connections`](field@Self::max_idle_connections).
    pub fn max_idle_connections(mut self, max_idle_connections: usize) -> Self {
        self.max_idle_connections = max_idle_connections;
        self
    }

    /// Sets [`log_level`](field@Self::log_level).
    pub fn log_level(mut self, log_level: LogLevel) -> Self {
        self.log_level = log_level;
        self
    }

    /// Sets [`log`](field@Self::log).
    pub fn log(mut self, log: impl Fn(LogLevel, &str) + Send + Sync + 'static) -> Self {
        self.log = Some(Arc::new(log));
        self
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

/// What bounds one call: `CallOptions::new()`, and a setter for each field.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
#[must_use = "options do nothing until they are given to a call"]
pub struct CallOptions<'a> {
    /// The deadline, from the start of the call; `None`: the call's default.
    pub timeout: Option<Duration>,
    /// Ends the call when triggered.
    pub cancel: Option<&'a Cancel>,
}

impl<'a> CallOptions<'a> {
    /// The defaults.
    pub const fn new() -> Self {
        CallOptions { timeout: None, cancel: None }
    }

    /// Sets [`timeout`](field@Self::timeout).
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets [`cancel`](field@Self::cancel).
    pub const fn cancel(mut self, cancel: &'a Cancel) -> Self {
        self.cancel = Some(cancel);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The patterns have no `..`: a new field does not compile before it stands here, with its setter.

    #[test]
    fn each_field_of_a_client_has_its_setter() {
        let ClientOptions {
            base_url,
            allow_loopback_http,
            request_timeout,
            connect_timeout,
            ca_pem,
            client_cert_pem,
            client_key_pem,
            proxy_url,
            proxy_from_env,
            user_agent,
            headers,
            max_idle_connections,
            log_level,
            log,
        } = ClientOptions::new()
            .base_url("base")
            .allow_loopback_http(true)
            .request_timeout(Duration::from_secs(1))
            .connect_timeout(Duration::from_secs(2))
            .ca_pem("ca")
            .client_cert_pem("cert".to_owned())
            .client_key_pem(Zeroizing::new("key".to_owned()))
            .proxy_url("proxy".to_owned())
            .proxy_from_env(true)
            .user_agent("agent")
            .headers([("replaced", "x".to_owned())])
            .headers([("name", "value".to_owned())])
            .max_idle_connections(3)
            .log_level(LogLevel::Debug)
            .log(|level, line| assert_eq!((level, line), (LogLevel::Warn, "line")));
        assert_eq!((base_url.as_deref(), ca_pem.as_deref()), (Some("base"), Some("ca")));
        let secrets = [client_cert_pem, client_key_pem, proxy_url].map(|secret| secret.unwrap().to_string());
        assert_eq!(secrets, ["cert", "key", "proxy"]);
        assert!(allow_loopback_http && proxy_from_env);
        assert_eq!((request_timeout, connect_timeout), (Duration::from_secs(1), Duration::from_secs(2)));
        assert_eq!(user_agent.as_deref(), Some("agent"));
        assert_eq!(headers, [("name".to_owned(), Zeroizing::new("value".to_owned()))]);
        assert_eq!((max_idle_connections, log_level), (3, LogLevel::Debug));
        log.unwrap()(LogLevel::Warn, "line");
    }

    #[test]
    fn each_field_of_a_call_has_its_setter() {
        let ours = Cancel::new();
        let CallOptions { timeout, cancel } =
            CallOptions::new().timeout(Duration::from_secs(1)).cancel(&ours);
        assert_eq!(timeout, Some(Duration::from_secs(1)));
        assert!(cancel.is_some_and(|cancel| std::ptr::eq(cancel, &ours)));
    }
}
