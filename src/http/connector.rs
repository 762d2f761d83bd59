//! Opening connections: where to, through what, and with which settings.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;

use crate::clock::Instant;
use crate::error::{Code, Error};
use crate::http::connection::Connection;
use crate::http::exchange_context::{ExchangeContext, Phase};
use crate::http::happy_eyeballs::Race;
use crate::http::pool::Pool;
use crate::http::proxy::{self, Proxy};
use crate::http::resolver::Resolver;
use crate::http::tls;
use crate::http::tls_session::TlsSession;
use crate::http::url::{BaseUrl, Host};
use crate::options::ClientOptions;
use crate::per_process::PerProcess;
use crate::sys::{self, Socket, fork_generation};
use crate::time::{Deadline, WaitError};

/// One server is talked to; it hands out a few tickets at a time.
const MAX_SESSIONS: usize = 8;

/// A connector for each process: a child must not use its parent's connections.
#[derive(Debug)]
pub(crate) struct Connectors {
    settings: ConnectorSettings,
    connector: PerProcess<Connector>,
}

impl Connectors {
    pub(crate) fn new(base: &BaseUrl, options: &ClientOptions) -> Result<Self, Error> {
        // Its look-ups run in threads of their own, which may outlive it.
        sys::stay_loaded();
        let settings = ConnectorSettings::new(base, options)?;
        let connector = PerProcess::new(fork_generation(), settings.connector());
        Ok(Connectors { settings, connector })
    }

    pub(crate) fn current(&self) -> &Connector {
        self.connector.current(|| self.settings.connector())
    }
}

/// All that a connector is made from.
#[derive(Debug)]
struct ConnectorSettings {
    host: Host,
    port: u16,
    tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
    proxy: Option<(Proxy, String)>,
    max_idle: usize,
}

impl ConnectorSettings {
    fn new(base: &BaseUrl, options: &ClientOptions) -> Result<Self, Error> {
        // A bad certificate is told also where it would not be used.
        let names_tls =
            options.ca_pem.is_some() || options.client_cert_pem.is_some() || options.client_key_pem.is_some();
        let config = if base.is_tls() || names_tls { Some(tls::config(options)?) } else { None };
        let tls = match config.filter(|_| base.is_tls()) {
            Some(config) => Some((config, tls::server_name(base.host())?)),
            None => None,
        };
        Ok(ConnectorSettings {
            host: base.host().clone(),
            port: base.port(),
            tls,
            proxy: proxy(base, options)?.map(|proxy| (proxy, base.authority())),
            max_idle: options.max_idle_connections,
        })
    }

    fn connector(&self) -> Connector {
        let tls = self.tls.as_ref().map(|(config, name)| {
            let mut config = (**config).clone();
            // The sessions to resume are kept behind a lock; and a child's are its own.
            config.resumption = Resumption::in_memory_sessions(MAX_SESSIONS);
            (Arc::new(config), name.clone())
        });
        Connector {
            host: self.host.clone(),
            port: self.port,
            tls,
            proxy: self.proxy.clone(),
            resolver: Resolver::default(),
            pool: Pool::new(self.max_idle),
        }
    }
}

/// The proxy that the options name, or, when they allow it, the environment. What goes in clear
/// stays on this machine.
fn proxy(base: &BaseUrl, options: &ClientOptions) -> Result<Option<Proxy>, Error> {
    let proxy = match &options.proxy_url {
        Some(url) => Some(Proxy::parse(url, "proxy_url")?),
        None if options.proxy_from_env => proxy::from_environment(base, |name| std::env::var_os(name))?,
        None => None,
    };
    Ok(proxy.filter(|_| base.is_tls()))
}

/// Makes connections to one client's provider.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// Present: connections go to the proxy, and through a tunnel to this "host:port".
    pub(crate) proxy: Option<(Proxy, String)>,
    /// Present: every connection is TLS, to this name.
    pub(crate) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    pub(crate) resolver: Resolver,
    pub(crate) pool: Pool,
}

impl Connector {
    /// Opens a connection to whichever address serves first. Nothing of a request has been sent by
    /// then, so that any call may try them all.
    pub(crate) async fn open(
        &self,
        connect_timeout: Duration,
        context: &mut ExchangeContext<'_>,
    ) -> Result<Connection, Error> {
        context.record.connected = true;
        let _handshake = context.deadline().driver.handshake();
        let until = sys::instant_after(Instant::now(), connect_timeout);
        context.phase = Phase::Connecting { until, race: Box::default() };
        let connection = match self.resolve(context).await {
            Ok(addresses) => self.open_any(&addresses, context).await,
            Err(error) => Err(error),
        };
        // The other attempts are in vain.
        context.phase = Phase::Exchanging;
        if connection.is_err() {
            self.resolver.forget();
        }
        connection
    }

    async fn resolve(&self, context: &mut ExchangeContext<'_>) -> Result<Vec<SocketAddr>, Error> {
        let (host, port, whose) = match &self.proxy {
            Some((proxy, _)) => (&proxy.host, proxy.port, "proxy"),
            None => (&self.host, self.port, "server"),
        };
        let start = Instant::now();
        let resolved = self.resolver.resolve(host, port, &context.deadline()).await;
        context.record.resolve_time = start.elapsed();
        resolved.map_err(|why| match why {
            WaitError::Failed(e) => {
                Error::new(Code::Dns, format!("the {whose}'s name cannot be resolved: {}", e.message))
                    .with_os_error(e.os_error)
            }
            WaitError::Cancelled => context.wait_failed(WaitError::Cancelled, &resolving(whose)),
            WaitError::Elapsed => context.wait_failed(WaitError::Elapsed, &resolving(whose)),
        })
    }

    async fn open_any(
        &self,
        addresses: &[SocketAddr],
        context: &mut ExchangeContext<'_>,
    ) -> Result<Connection, Error> {
        let deadline = context.deadline();
        if let Phase::Connecting { race, .. } = &mut context.phase {
            **race = Race::new(addresses);
        }
        let mut earlier: Option<Error> = None;
        loop {
            let stream = match next_socket(context, &deadline).await {
                Ok(stream) => stream,
                // One that accepted at least got further: what it met tells more.
                Err(WaitError::Failed(e)) => return Err(earlier.unwrap_or_else(|| cannot_connect(&e))),
                Err(why) => return Err(after(earlier, context.wait_failed(why, "connecting"))),
            };
            let failure = match self.shake_hands(stream, context).await {
                Ok(connection) => return Ok(connection),
                Err(failure) => failure,
            };
            if is_last_address(context) || !failure.is_of_address {
                return Err(after(earlier, failure.error));
            }
            match deadline.check() {
                Ok(()) => {}
                Err(WaitError::Elapsed) => return Err(after(earlier, failure.error)),
                // The caller's wish may have come just as the other address accepted.
                Err(why) => return Err(context.wait_failed(why, "connecting")),
            }
            earlier = Some(failure.error);
        }
    }

    /// All that comes before the first request.
    async fn shake_hands(
        &self,
        stream: Socket,
        context: &mut ExchangeContext<'_>,
    ) -> Result<Connection, HandshakeFailure> {
        let epoch = self.pool.epoch();
        if let Some((proxy, target)) = &self.proxy {
            proxy.open_tunnel(&stream, target, context).await?;
        }
        let Some((config, name)) = &self.tls else { return Ok(Connection::new(stream, None, epoch)) };
        let mut session = TlsSession::new(config, name)?;
        if let Err(error) = session.shake_hands(&stream, context).await {
            let failure = HandshakeFailure::from(error);
            // Whoever shows it answered, and is likely to show it everywhere.
            let is_of_address = failure.is_of_address && !session.refused_certificate();
            return Err(HandshakeFailure { is_of_address, ..failure });
        }
        Ok(Connection::new(stream, Some(session), epoch))
    }
}

fn resolving(whose: &str) -> String {
    format!("resolving the {whose}'s name")
}

async fn next_socket(
    context: &mut ExchangeContext<'_>,
    deadline: &Deadline<'_>,
) -> Result<Socket, WaitError> {
    #[cfg(all(test, target_os = "linux"))]
    if let Some(connected) = crate::clock::simulated::connect(deadline).await {
        return connected;
    }
    let start = Instant::now();
    let socket = match &mut context.phase {
        Phase::Connecting { race, .. } => race.next(deadline).await,
        Phase::Exchanging => Err(WaitError::Failed(io::ErrorKind::NotConnected.into())),
    };
    context.record.connect_time += start.elapsed();
    socket
}

fn is_last_address(context: &mut ExchangeContext<'_>) -> bool {
    match &mut context.phase {
        Phase::Connecting { race, .. } => race.is_over(),
        Phase::Exchanging => true,
    }
}

fn cannot_connect(error: &io::Error) -> Error {
    Error::new(Code::Connect, format!("cannot connect: {error}")).with_os_error(error.raw_os_error())
}

/// Tells also what an address before met.
fn after(earlier: Option<Error>, error: Error) -> Error {
    match earlier {
        Some(earlier) if error.code != Code::Cancelled => {
            Error { message: format!("{}; at another address, {}", error.message, earlier.message), ..error }
        }
        _ => error,
    }
}

/// What happened between TCP and the first request.
struct HandshakeFailure {
    error: Error,
    /// Another address may do better.
    is_of_address: bool,
}

impl From<Error> for HandshakeFailure {
    fn from(error: Error) -> Self {
        let is_of_address = match error.code {
            Code::ConnectionLost | Code::ConnectTimeout | Code::Tls => true,
            // What a proxy answers, it would answer anywhere; but not what is no answer.
            Code::Proxy => error.http_status.is_none(),
            _ => false,
        };
        HandshakeFailure { error, is_of_address }
    }
}
