//! The handle: what tests hold.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use crate::behaviour::BehaviourError;
use crate::context::Context;
use crate::control::Control;
use crate::cors::AllowedOrigins;
use crate::http::Timeouts;
use crate::journal::LoggedRequest;
use crate::phone::Page;
use crate::router::Router;
use crate::server::Server;
use crate::state::{FirstIdError, State};
use crate::terminal::Terminal;
use crate::token::{Access, User};
use crate::transaction::{DecideError, Decision, Transaction};
use crate::{jwt, random, tls};

/// How a sandbox is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// 0: any free one.
    pub port: u16,
    /// https with a certification authority of its own, new in every run.
    pub tls: bool,
    /// Every interface instead of loopback only; the page's address then holds a secret.
    pub lan: bool,
    /// How long a transaction waits for the person.
    pub life: Duration,
    /// How long a connection may be idle.
    pub idle_timeout: Duration,
    /// How long a request, or TLS' handshake, may take from its first byte to its last.
    pub request_timeout: Duration,
    /// Capillary's codes under the HTTP status as well (404, 401, else 400), not only under 200.
    pub capillary_http_status: bool,
    /// Refuses what the provider's own clients send beside its documentation: for a client's own tests.
    /// Otherwise it is taken, and the answer's header `Sandbox-Unusual` says what it was.
    pub strict: bool,
    /// The first transaction's id; the next ones follow. 1 to [`crate::LARGEST_FIRST_ID`]. `None`: another one in
    /// every run, so that a client which outlives the sandbox never meets an id again that it has seen; and
    /// above 2 to the 32nd, so that a client which keeps ids in 32 bits is found out.
    pub first_id: Option<i64>,
    /// Any token that nobody has issued is this person's, who is asked on the page; one that is shaped as a JWT is
    /// that of the person whom its `sub` names, and good until its `exp`. Its signature is not looked at. `None`:
    /// such a token is invalid.
    pub any_token: Option<String>,
    /// The web pages that may call the providers' paths (CORS), as in `http://localhost:3000`. Never the phone page,
    /// nor the interface for tests. Empty: none.
    pub allow_origins: Vec<String>,
    /// The key of the interface for tests, 16 to 128 visible characters; `None`: another one in every run.
    pub control_key: Option<String>,
    /// A line on the standard error for each request.
    pub log: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            port: 0,
            tls: false,
            lan: false,
            life: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(30),
            capillary_http_status: false,
            strict: false,
            first_id: None,
            any_token: None,
            allow_origins: Vec::new(),
            control_key: None,
            log: false,
        }
    }
}

/// A running sandbox. Dropping it ends every thread and closes every connection.
pub struct Sandbox {
    router: Arc<Router>,
    server: Server,
    address: SocketAddr,
    provider_url: String,
    phone_url: String,
    control_url: String,
    ca_pem: Option<String>,
}

impl Sandbox {
    /// Binds, and answers from now on.
    pub fn start(options: Options) -> io::Result<Sandbox> {
        let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        let first_id = match options.first_id {
            Some(id) => FirstIdError::check(id).map_err(|why| wrong(why.to_string()))?,
            None => random_first_id()?,
        };
        if options.any_token.as_ref().is_some_and(String::is_empty) {
            return Err(wrong("the person whose any token is must have a name".to_owned()));
        }
        let allowed_origins = AllowedOrigins::new(&options.allow_origins).map_err(wrong)?;
        let control = Control::new(options.control_key)?;
        let interface = if options.lan { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
        let listener = TcpListener::bind((interface, options.port))
            .map_err(|error| why_not_bound(&error, options.port))?;
        let address = listener.local_addr()?;
        let outside = if options.lan { lan_address() } else { None };
        let tls = if options.tls { Some(tls::make(outside)?) } else { None };
        let page = Page::new(options.lan)?;

        let scheme = if options.tls { "https" } else { "http" };
        let port = address.port();
        let provider_url = format!("{scheme}://127.0.0.1:{port}");
        let phone_host = outside.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let phone_url = format!("{scheme}://{phone_host}:{port}{}", page.path());

        let control_url = format!("{provider_url}{}", control.root());

        let context = Context {
            state: State::new(options.life, first_id, options.any_token),
            terminal: Terminal::new(options.log),
            tls: options.tls,
            capillary_http_status: options.capillary_http_status,
            strict: options.strict,
        };
        let router = Arc::new(Router { context, page, control, allowed_origins });
        let (config, ca_pem) = match tls {
            Some(tls) => (Some(tls.config), Some(tls.ca_pem)),
            None => (None, None),
        };
        let timeouts = Timeouts { idle: options.idle_timeout, request: options.request_timeout };
        let server = Server::start(listener, Arc::clone(&router), config, timeouts)?;
        Ok(Sandbox { router, server, address, provider_url, phone_url, control_url, ca_pem })
    }

    fn state(&self) -> &State {
        &self.router.context.state
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for HyperID's calls.
    pub fn hyperid_url(&self) -> &str {
        &self.provider_url
    }

    /// The base URL for Capillary's calls; the same address, as the paths differ.
    pub fn capillary_url(&self) -> &str {
        &self.provider_url
    }

    /// The phone page; with [`Options::lan`] the address holds the secret.
    pub fn phone_url(&self) -> &str {
        &self.phone_url
    }

    /// The interface for tests in other languages; README.md describes it.
    pub fn control_url(&self) -> &str {
        &self.control_url
    }

    /// The key of this run, for the header `Sandbox-Key` of the interface for tests.
    pub fn control_key(&self) -> &str {
        self.router.control.key()
    }

    /// With [`Options::tls`], the certificate of this run's authority.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Adds a person, or replaces one.
    pub fn add_user(&self, name: &str, user: User) -> Result<(), BehaviourError> {
        self.state().add_user(name, user)
    }

    /// Issues a token to a person, who is added as [`User::default`] if not known. Any text will do.
    pub fn issue_token(&self, token: &str, user: &str, access: Access) {
        self.state().issue_token(token, user, access);
    }

    /// Makes a token shaped as the providers' (three parts, HS256) and issues it to a person.
    pub fn issue_jwt(&self, user: &str, access: Access) -> io::Result<String> {
        let token = jwt::make(&self.provider_url, user, &access.scopes, access.lives)?;
        self.issue_token(&token, user, access);
        Ok(token)
    }

    /// Makes any text a magic token: `behaviour` is what would follow `sandbox-`.
    pub fn add_token(&self, token: &str, behaviour: &str) -> Result<(), BehaviourError> {
        self.state().add_token(token, behaviour)
    }

    /// From now on the token is invalid; false if there is no such token.
    pub fn revoke_token(&self, token: &str) -> bool {
        self.state().invalidate_token(token, |token| token.revoked = true)
    }

    /// From now on the token is expired; false if there is no such token.
    pub fn expire_token(&self, token: &str) -> bool {
        self.state().invalidate_token(token, |token| token.expires_at = Some(std::time::Instant::now()))
    }

    /// Adds a Capillary brand, with MFA or without, or replaces one.
    pub fn add_brand(&self, name: &str, mfa: bool) {
        self.state().add_brand(name, mfa);
    }

    /// Every transaction, in the order of the ids.
    pub fn transactions(&self) -> Vec<Transaction> {
        self.state().lock().snapshots()
    }

    /// One transaction.
    pub fn transaction(&self, id: i64) -> Option<Transaction> {
        let inner = self.state().lock();
        inner.transactions.get(&id).map(|record| record.snapshot(std::time::Instant::now()))
    }

    /// How many pushes went to phones: one for each transaction ever started.
    pub fn push_count(&self) -> u64 {
        self.state().lock().pushes()
    }

    /// Ends a pending transaction as the person would.
    pub fn decide(&self, id: i64, decision: Decision) -> Result<(), DecideError> {
        self.state().decide(id, decision)
    }

    /// Waits for a pending transaction that was not returned before, and returns the newest.
    pub fn wait_for_transaction(&self, timeout: Duration) -> Option<Transaction> {
        self.state().next_transaction(timeout)
    }

    /// Looks at all transactions whenever something changes, until `look` has an answer. `look` must not
    /// call the sandbox.
    pub fn wait_until<T>(
        &self,
        timeout: Duration,
        mut look: impl FnMut(&[Transaction]) -> Option<T>,
    ) -> Option<T> {
        self.state().wait(timeout, |inner| look(&inner.snapshots()))
    }

    /// How many provider requests have arrived whole, right or wrong, on any path; the phone page's not.
    pub fn request_count(&self) -> u64 {
        self.state().lock().journal.count(None)
    }

    /// How many of them on one path.
    pub fn request_count_for(&self, path: &str) -> u64 {
        self.state().lock().journal.count(Some(path))
    }

    /// Waits until so many have arrived, on one path or on any; false if they have not in time.
    pub fn wait_for_requests(&self, path: Option<&str>, count: u64, timeout: Duration) -> bool {
        self.state().wait_for_requests(path, count, timeout)
    }

    /// The last provider requests, at most 1,000, the oldest first.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.state().lock().journal.requests.iter().cloned().collect()
    }

    /// One of them, counted from 1 to [`Sandbox::request_count`]; `None` if it is forgotten, or never was.
    pub fn request(&self, number: u64) -> Option<LoggedRequest> {
        let inner = self.state().lock();
        let kept = &inner.journal.requests;
        let forgotten = inner.journal.count(None) - kept.len() as u64;
        let index = number.checked_sub(forgotten + 1)?;
        kept.get(usize::try_from(index).ok()?).cloned()
    }

    /// Empties the log of requests; the counters go on.
    pub fn clear_requests(&self) {
        self.state().lock().journal.clear();
    }

    /// The next transaction gets this id, and the next ones follow; see [`Options::first_id`].
    pub fn set_first_id(&self, id: i64) -> Result<(), FirstIdError> {
        self.state().set_first_id(id)
    }

    /// Forgets everything, as if it were started anew: people, tokens, brands, transactions, requests and their
    /// counters. The ids go on, or begin at `first_id`. Connections, addresses and the key stay.
    pub fn reset(&self, first_id: Option<i64>) -> Result<(), FirstIdError> {
        self.state().reset(first_id)
    }

    /// How many connections were ever accepted, the phone page's among them.
    pub fn connection_count(&self) -> u64 {
        self.state().lock().journal.connections
    }

    /// How many are open now.
    pub fn open_connections(&self) -> usize {
        self.server.open_connections()
    }
}

/// The system's reason, and what to do about it.
fn why_not_bound(error: &io::Error, port: u16) -> io::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "it is taken: another program, perhaps a sandbox of before, listens there"
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not listen there; ports from 1024 on are free to all"
        }
        _ => "the system refuses it",
    };
    io::Error::new(
        error.kind(),
        format!("port {port}: {hint}; choose another one, or 0 for any free one ({error})"),
    )
}

/// Above 2 to the 32nd, at most 2 to the 40th, and far enough from the first ids of other runs that the ids of
/// two runs do not overlap.
fn random_first_id() -> io::Result<i64> {
    const LEAST: i64 = (1 << 32) + 1;
    const STEP: i64 = 10_000;
    const STEPS: u64 = (((1 << 40) - LEAST) / STEP) as u64;
    // Too few steps for the bias of a remainder to matter.
    let step = u64::from_le_bytes(random::bytes()?) % STEPS;
    Ok(LEAST + step as i64 * STEP)
}

/// This machine's address in its network. Connecting a datagram socket sends nothing; it only asks the
/// routing table.
fn lan_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // A documentation address: never a real machine.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
}
