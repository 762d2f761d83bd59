//! The interface for tests in other languages: everything that Rust and C can do, over HTTP.
//!
//! For programs of this machine that know the key of this run. No web page can use it: it cannot send the key without
//! asking first, and is never told yes; a foreign name for this machine is refused, and so is whatever a browser sends.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::context::Context;
use crate::http::{Request, Response};
use crate::journal::LoggedRequest;
use crate::token::{Access, User};
use crate::transaction::{DecideError, Decision, Transaction};
use crate::{jwt, origin, random};

const ROOT: &str = "/sandbox/v1";
const KEY: &str = "sandbox-key";
/// A wait ends here, so that no thread is held for ever.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

pub(crate) struct Control {
    key: String,
}

/// An answer, or the HTTP status and the sentence that say why there is none.
type Outcome = Result<Value, (u16, String)>;

impl Control {
    /// With a key of the caller's, or a new one that nobody guesses.
    pub(crate) fn new(key: Option<String>) -> io::Result<Control> {
        let Some(key) = key else {
            return Ok(Control { key: random::secret()? });
        };
        let fits = (16..=128).contains(&key.len()) && key.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if fits {
            return Ok(Control { key });
        }
        let why = "the control key must have 16 to 128 characters, and no blanks";
        Err(io::Error::new(io::ErrorKind::InvalidInput, why))
    }

    pub(crate) fn root(&self) -> &'static str {
        ROOT
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn owns(&self, path: &str) -> bool {
        path == "/sandbox" || path.starts_with("/sandbox/")
    }

    pub(crate) fn answer(&self, context: &Context, request: &Request, local: SocketAddr) -> Response {
        let response = match self.outcome(context, request, local) {
            Ok(body) => Response::json(200, body),
            Err((status, why)) => {
                let path = request.path();
                context.terminal.say(|| format!("{} {path} -> {status} ({why})", request.method));
                Response::json(status, json!({ "error": why }))
            }
        };
        response
            .with("Cache-Control", "no-store")
            .with("X-Content-Type-Options", "nosniff")
            .with("Cross-Origin-Resource-Policy", "same-origin")
    }

    fn outcome(&self, context: &Context, request: &Request, local: SocketAddr) -> Outcome {
        if !local.ip().is_loopback() {
            return Err((403, "this is for programs on the sandbox's own machine".to_owned()));
        }
        if let Some(why) = origin::refuse_pages(request, local, context.tls) {
            return Err((403, why.to_owned()));
        }
        if !request.only(KEY).is_some_and(|key| same(key, &self.key)) {
            let why =
                "one header Sandbox-Key must hold the key of this run: the sandbox printed it as control-key";
            return Err((401, why.to_owned()));
        }
        let Some(name) = request.path().strip_prefix(ROOT) else {
            return Err((404, format!("there is nothing outside {ROOT}")));
        };
        let Some(call) = CALLS.iter().find(|call| call.path == name) else {
            let paths: Vec<_> = CALLS.iter().map(|call| format!("{ROOT}{}", call.path)).collect();
            return Err((404, format!("no such call; there are {}", paths.join(", "))));
        };
        if request.method != call.method {
            return Err((405, format!("{ROOT}{name} is called by {}", call.method)));
        }
        if !request.body.is_empty() && !request.is_json() {
            return Err((415, "the body must have the header 'Content-Type: application/json'".to_owned()));
        }
        (call.run)(context, &request.body)
    }
}

/// Whether two keys are the same, in a time that does not say where they differ.
fn same(given: &str, own: &str) -> bool {
    let differing = given.bytes().zip(own.bytes()).fold(0, |d, (a, b)| d | (a ^ b));
    given.len() == own.len() && differing == 0
}

struct Call {
    method: &'static str,
    path: &'static str,
    run: fn(&Context, &[u8]) -> Outcome,
}

const fn get(path: &'static str, run: fn(&Context, &[u8]) -> Outcome) -> Call {
    Call { method: "GET", path, run }
}

const fn post(path: &'static str, run: fn(&Context, &[u8]) -> Outcome) -> Call {
    Call { method: "POST", path, run }
}

const CALLS: &[Call] = &[
    get("", about),
    get("/transactions", |context, _| Ok(json!({ "transactions": transactions(context) }))),
    post("/next-transaction", next_transaction),
    post("/decide", decide),
    post("/users", add_user),
    post("/tokens", add_token),
    post("/expire-token", |context, body| invalidate(context, body, Ending::Expired)),
    post("/revoke-token", |context, body| invalidate(context, body, Ending::Revoked)),
    post("/brands", add_brand),
    get("/requests", |context, _| Ok(requests(context))),
    post("/wait-for-requests", wait_for_requests),
    post("/clear-requests", clear_requests),
    post("/first-id", first_id),
    post("/reset", reset),
];

/// Unknown members are refused, so that a misspelt one is not taken for its default.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, (u16, String)> {
    let body = if body.is_empty() { b"{}" } else { body };
    // serde would take an array for a struct, too.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err((400, "the body must be a JSON object".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| (400, error.to_string()))
}

fn done() -> Outcome {
    Ok(json!({}))
}

fn about(context: &Context, _: &[u8]) -> Outcome {
    let inner = context.state.lock();
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "strict": context.strict,
        "transactions": inner.transactions.len(),
        "pushes": inner.pushes(),
        "requests": inner.journal.count(None),
        "connections": inner.journal.connections,
    }))
}

#[derive(Serialize)]
struct TransactionView {
    transaction_id: i64,
    user: String,
    /// `pending`, `approved`, `denied`, `expired`, `failed`, `cancelled` (by the program, or declined).
    outcome: &'static str,
    transaction_status: i32,
    transaction_complete_result: i32,
    template_id: i64,
    question: Option<String>,
    values: Option<String>,
    code: Option<String>,
    device_id: Option<String>,
    device_desc: Option<String>,
    ip: Option<String>,
    polls: u64,
    remaining_ms: u64,
}

impl From<Transaction> for TransactionView {
    fn from(t: Transaction) -> TransactionView {
        TransactionView {
            transaction_id: t.id,
            user: t.user,
            outcome: t.status.outcome(t.complete_result),
            transaction_status: t.status.number(),
            transaction_complete_result: t.complete_result,
            template_id: t.template_id,
            question: t.question,
            values: t.values,
            code: t.code,
            device_id: t.device_id,
            device_desc: t.device_desc,
            ip: t.ip,
            polls: t.polls,
            remaining_ms: u64::try_from(t.remaining.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

fn transactions(context: &Context) -> Vec<TransactionView> {
    context.state.lock().snapshots().into_iter().map(TransactionView::from).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patience {
    timeout_ms: Option<u64>,
}

fn patience(ms: Option<u64>) -> Duration {
    Duration::from_millis(ms.unwrap_or(5000)).min(LONGEST_WAIT)
}

fn next_transaction(context: &Context, body: &[u8]) -> Outcome {
    let wanted: Patience = parse(body)?;
    let found = context.state.next_transaction(patience(wanted.timeout_ms));
    Ok(json!({ "transaction": found.map(TransactionView::from) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecideBody {
    transaction_id: i64,
    // A text, and not an enumeration: serde would take `{"approve":null}` for one, too.
    decision: String,
}

fn decide(context: &Context, body: &[u8]) -> Outcome {
    let wanted: DecideBody = parse(body)?;
    let Some(decision) = Decision::named(&wanted.decision) else {
        let known: Vec<_> = Decision::EACH.iter().map(|decision| decision.name()).collect();
        return Err((400, format!("no decision '{}'; there are {}", wanted.decision, known.join(", "))));
    };
    match context.state.decide(wanted.transaction_id, decision) {
        Ok(()) => {
            context.terminal.say(|| format!("{} {}: a test", decision.name(), wanted.transaction_id));
            done()
        }
        Err(error @ DecideError::NotFound) => Err((404, error.to_string())),
        Err(error @ DecideError::Ended(_)) => Err((409, error.to_string())),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserBody {
    name: String,
    app_linked: Option<bool>,
    methods: Option<Vec<i64>>,
    devices: Option<Vec<String>>,
    registered: Option<bool>,
    behaviour: Option<String>,
}

fn add_user(context: &Context, body: &[u8]) -> Outcome {
    let wanted: UserBody = parse(body)?;
    let usual = User::default();
    let user = User {
        app_linked: wanted.app_linked.unwrap_or(usual.app_linked),
        methods: wanted.methods.unwrap_or(usual.methods),
        devices: wanted.devices.unwrap_or(usual.devices),
        registered: wanted.registered.unwrap_or(usual.registered),
        behaviour: wanted.behaviour.unwrap_or(usual.behaviour),
    };
    context.state.add_user(&wanted.name, user).map_err(|why| (400, why.to_string()))?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenBody {
    token: Option<String>,
    user: Option<String>,
    scopes: Option<Vec<String>>,
    lives_ms: Option<u64>,
    behaviour: Option<String>,
}

/// Three kinds: of a behaviour, of a person, and one that is made for a person.
fn add_token(context: &Context, body: &[u8]) -> Outcome {
    let wanted: TokenBody = parse(body)?;
    let issued = wanted.user.is_some() || wanted.scopes.is_some() || wanted.lives_ms.is_some();
    let usual = Access::default();
    let lives = wanted.lives_ms.map(Duration::from_millis);
    let access = Access { scopes: wanted.scopes.unwrap_or(usual.scopes), lives };
    match (wanted.token, wanted.user, wanted.behaviour) {
        (Some(token), None, Some(behaviour)) if !issued => {
            context.state.add_token(&token, &behaviour).map_err(|why| (400, why.to_string()))?;
            Ok(json!({ "token": token }))
        }
        (Some(token), Some(user), None) => {
            context.state.issue_token(&token, &user, access);
            Ok(json!({ "token": token }))
        }
        (None, Some(user), None) => {
            let token = jwt::make("http://127.0.0.1", &user, &access.scopes, access.lives)
                .map_err(|error| (500, error.to_string()))?;
            context.state.issue_token(&token, &user, access);
            Ok(json!({ "token": token }))
        }
        _ => {
            let why = "a token has a behaviour, or a user with scopes and lives_ms; without `token` one is made for \
                       the user";
            Err((400, why.to_owned()))
        }
    }
}

enum Ending {
    Expired,
    Revoked,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneToken {
    token: String,
}

fn invalidate(context: &Context, body: &[u8], how: Ending) -> Outcome {
    let wanted: OneToken = parse(body)?;
    let known = context.state.invalidate_token(&wanted.token, |token| match how {
        Ending::Expired => token.expires_at = Some(Instant::now()),
        Ending::Revoked => token.revoked = true,
    });
    if known { done() } else { Err((404, "no such token".to_owned())) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BrandBody {
    brand: String,
    mfa: bool,
}

fn add_brand(context: &Context, body: &[u8]) -> Outcome {
    let wanted: BrandBody = parse(body)?;
    context.state.add_brand(&wanted.brand, wanted.mfa);
    done()
}

fn requests(context: &Context) -> Value {
    let inner = context.state.lock();
    let view = |request: &LoggedRequest| {
        json!({
            "method": request.method,
            "path": request.path,
            "target": request.target,
            "headers": request.headers,
            "body": request.text(),
            "connection": request.connection,
        })
    };
    let kept: Vec<_> = inner.journal.requests.iter().map(view).collect();
    json!({ "total": inner.journal.count(None), "requests": kept })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WaitForRequests {
    path: Option<String>,
    count: u64,
    timeout_ms: Option<u64>,
}

fn wait_for_requests(context: &Context, body: &[u8]) -> Outcome {
    let wanted: WaitForRequests = parse(body)?;
    let path = wanted.path.as_deref();
    let arrived = context.state.wait_for_requests(path, wanted.count, patience(wanted.timeout_ms));
    Ok(json!({ "arrived": arrived }))
}

fn clear_requests(context: &Context, _: &[u8]) -> Outcome {
    context.state.lock().journal.clear();
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstId {
    first_id: i64,
}

fn first_id(context: &Context, body: &[u8]) -> Outcome {
    let wanted: FirstId = parse(body)?;
    context.state.set_first_id(wanted.first_id).map_err(|why| (409, why.to_string()))?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    first_id: Option<i64>,
}

fn reset(context: &Context, body: &[u8]) -> Outcome {
    let wanted: Reset = parse(body)?;
    context.state.reset(wanted.first_id).map_err(|why| (400, why.to_string()))?;
    context.terminal.say(|| "reset: a test".to_owned());
    done()
}
