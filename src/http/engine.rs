//! ureq's agents with our parts under them: one for each process that uses the client.

use once_cell::sync::OnceCell;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use ureq::Agent;
use ureq::config::Config;
use ureq::http::{Method, Request, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as UreqResolver};
use ureq::unversioned::transport::NextTimeout;

use crate::error::Error;
use crate::http::MAX_HEADER;
use crate::http::idle::IdleWires;
use crate::http::proxy::{self, Proxy};
use crate::http::resolver::Resolver;
use crate::http::tls;
use crate::http::transport::WireConnector;
use crate::http::url::{BaseUrl, Host};
use crate::options::ClientOptions;
use crate::sys::fork_generation;

pub(super) const MAX_USER_AGENT: usize = 256;
/// One server is talked to; it hands out a few tickets at a time.
const MAX_SESSIONS: usize = 8;

/// The agent of this process and, behind it, those of its forked descendants.
///
/// A child must not use its parent's connections, and a lock that another thread of the parent
/// held while forking would stay locked in the child for ever. So a child leaves the parent's
/// agent alone and appends its own, which shares nothing with it that has a lock.
#[derive(Debug)]
pub(crate) struct Agents {
    recipe: Recipe,
    first: Link,
}

#[derive(Debug)]
struct Link {
    generation: u32,
    agent: Agent,
    next: OnceCell<Box<Link>>,
}

impl Agents {
    pub(crate) fn new(base: &BaseUrl, options: &ClientOptions) -> Result<Self, Error> {
        let recipe = Recipe::new(base, options)?;
        let first = Link::new(fork_generation(), &recipe);
        settle_statics(&first.agent, base);
        Ok(Agents { recipe, first })
    }

    pub(crate) fn with_current<T>(&self, use_it: impl FnOnce(&Agent) -> T) -> T {
        let generation = fork_generation();
        let mut link = &self.first;
        while link.generation != generation {
            link = link.next.get_or_init(|| Box::new(Link::new(generation, &self.recipe)));
        }
        use_it(&link.agent)
    }
}

impl Link {
    fn new(generation: u32, recipe: &Recipe) -> Self {
        Link { generation, agent: recipe.make(), next: OnceCell::new() }
    }
}

/// All that an agent is made from.
#[derive(Debug)]
struct Recipe {
    host: Host,
    port: u16,
    tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
    proxy: Option<(Proxy, String)>,
    config: Config,
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
            config: agent_config(),
            max_idle: options.max_idle_connections,
        })
    }

    fn make(&self) -> Agent {
        let tls = self.tls.as_ref().map(|(config, name)| {
            let mut config = (**config).clone();
            // The sessions to resume are kept behind a lock; and a child's are its own.
            config.resumption = Resumption::in_memory_sessions(MAX_SESSIONS);
            (Arc::new(config), name.clone())
        });
        let connector = WireConnector {
            host: self.host.clone(),
            port: self.port,
            tls,
            proxy: self.proxy.clone(),
            resolver: Resolver::default(),
            idle: Arc::new(IdleWires::new(self.max_idle)),
        };
        Agent::with_parts(self.config.clone(), connector, NoLookUp)
    }
}

/// Made once, in `_new`: ureq's builder looks at the environment for a proxy before it is told of
/// none, and has no other way in.
fn agent_config() -> Config {
    Config::builder()
        .proxy(None)
        .http_status_as_error(false)
        // A redirect is an answer like any other, and never followed: the token stays here.
        .max_redirects(0)
        .max_redirects_will_error(false)
        // Every header is prepared in `_new`; ureq would make these anew for each request.
        .user_agent("")
        .accept("")
        .accept_encoding("")
        .max_response_header_size(MAX_HEADER)
        // They are kept in `IdleWires`.
        .max_idle_connections(0)
        .build()
}

/// ureq sets up statics of its own in a process's first request. A fork just then would leave them
/// half made, and their lock taken, in the child for ever. So the first request is made here: one that
/// cannot leave, because no exchange is under way.
fn settle_statics(agent: &Agent, base: &BaseUrl) {
    if let Ok(uri) = base.endpoint("/") {
        let mut request = Request::new(&b"{}"[..]);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let _ = agent.run(request);
    }
}

/// The proxy that the options name, or, when they allow it, the environment. What goes in clear
/// stays on this machine.
fn proxy(base: &BaseUrl, options: &ClientOptions) -> Result<Option<Proxy>, Error> {
    let proxy = match &options.proxy_url {
        Some(url) => Some(Proxy::parse(url)?),
        None if options.proxy_from_env => proxy::from_environment(base, |name| std::env::var(name).ok())?,
        None => None,
    };
    Ok(proxy.filter(|_| base.is_tls()))
}

pub(super) fn user_agent(appended: Option<&str>) -> Result<String, Error> {
    let own = concat!("libmfa/", env!("CARGO_PKG_VERSION"));
    let Some(text) = appended.filter(|t| !t.is_empty()) else { return Ok(own.to_owned()) };
    if text.len() > MAX_USER_AGENT || !text.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
        return Err(Error::argument(format!(
            "user_agent is longer than {MAX_USER_AGENT} bytes or has one outside 0x20-0x7E"
        )));
    }
    Ok(format!("{own} {text}"))
}

/// ureq asks its resolver on every call, also for a pooled connection. Ours is asked by the
/// connector instead, only when a connection is made.
#[derive(Debug)]
struct NoLookUp;

impl UreqResolver for NoLookUp {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}
