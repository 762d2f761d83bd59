//! Where connections come from: one source for each process that uses the client.

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use std::sync::Arc;

use crate::error::Error;
use crate::http::idle::IdleWires;
use crate::http::proxy::{self, Proxy};
use crate::http::resolver::Resolver;
use crate::http::tls;
use crate::http::transport::Connector;
use crate::http::url::{BaseUrl, Host};
use crate::options::ClientOptions;
use crate::per_process::PerProcess;
use crate::sys::fork_generation;

/// One server is talked to; it hands out a few tickets at a time.
const MAX_SESSIONS: usize = 8;

/// A child must not use its parent's connections: it has a connector of its own.
#[derive(Debug)]
pub(crate) struct Connectors {
    recipe: Recipe,
    connector: PerProcess<Connector>,
}

impl Connectors {
    pub(crate) fn new(base: &BaseUrl, options: &ClientOptions) -> Result<Self, Error> {
        let recipe = Recipe::new(base, options)?;
        let connector = PerProcess::new(fork_generation(), recipe.make());
        Ok(Connectors { recipe, connector })
    }

    pub(crate) fn current(&self) -> &Connector {
        self.connector.current(|| self.recipe.make())
    }
}

/// All that a connector is made from.
#[derive(Debug)]
struct Recipe {
    host: Host,
    port: u16,
    tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
    proxy: Option<(Proxy, String)>,
    max_idle: usize,
}

impl Recipe {
    fn new(base: &BaseUrl, options: &ClientOptions) -> Result<Self, Error> {
        // A bad certificate is told also where it would not be used.
        let names_tls =
            options.ca_pem.is_some() || options.client_cert_pem.is_some() || options.client_key_pem.is_some();
        let config = if base.is_tls() || names_tls { Some(tls::config(options)?) } else { None };
        let tls = match config.filter(|_| base.is_tls()) {
            Some(config) => Some((config, tls::server_name(base.host())?)),
            None => None,
        };
        Ok(Recipe {
            host: base.host().clone(),
            port: base.port(),
            tls,
            proxy: proxy(base, options)?.map(|proxy| (proxy, base.authority())),
            max_idle: options.max_idle_connections,
        })
    }

    fn make(&self) -> Connector {
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
            idle: IdleWires::new(self.max_idle),
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
