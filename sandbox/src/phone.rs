//! The person's phone: one page and its small API.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::http::{Request, Response};
use crate::origin;
use crate::route::Context;
use crate::state::Inner;
use crate::transaction::{DecideError, Decision, Record, Status};

const HTML: &str = include_str!("phone.html");
/// Where the page's nonce goes; a new one for every answer.
const NONCE: &str = "__NONCE__";
/// A list that does not change is asked for again after this time, so that a dead server is noticed.
const LONG_POLL: Duration = Duration::from_secs(15);
const MOST_RECENT: usize = 12;
const MOST_PENDING: usize = 100;

pub(crate) struct Page {
    /// `/phone`, with `/SECRET` behind it when the network can see us.
    path: String,
}

impl Page {
    pub(crate) fn new(secret: bool) -> io::Result<Page> {
        let path = if secret { format!("/phone/{}", random()?) } else { "/phone".to_owned() };
        Ok(Page { path })
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Everything under `/phone`, also what is refused: none of it is a provider's.
    pub(crate) fn owns(&self, path: &str) -> bool {
        path == "/phone" || path.starts_with("/phone/")
    }

    pub(crate) fn answer(&self, context: &Context, request: &Request, local: SocketAddr) -> Response {
        let response = match origin::refuse(request, local, context.tls) {
            Some(why) => Response::text(403, why),
            None => self.dispatch(context, request),
        };
        // The address holds the secret: it must not travel as a referrer or stay in a cache.
        response
            .with("Cache-Control", "no-store")
            .with("Referrer-Policy", "no-referrer")
            .with("X-Content-Type-Options", "nosniff")
            .with("Cross-Origin-Resource-Policy", "same-origin")
    }

    fn dispatch(&self, context: &Context, request: &Request) -> Response {
        let Some(rest) = self.below(request.path()) else {
            return Response::text(404, "no such page");
        };
        match (request.method.as_str(), rest) {
            ("GET", "") => page(),
            ("GET", "/api/requests") => list(context, request.query()),
            ("POST", "/api/decide") => decide(context, request),
            (_, "" | "/api/requests") => Response::text(405, "only GET").with("Allow", "GET"),
            (_, "/api/decide") => Response::text(405, "only POST").with("Allow", "POST"),
            _ => Response::text(404, "no such page"),
        }
    }

    /// What follows the page's path, looked at in the same time whatever it is.
    fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        let (begin, rest) = path.split_at_checked(self.path.len())?;
        let differing = begin.bytes().zip(self.path.bytes()).fold(0, |d, (a, b)| d | (a ^ b));
        (differing == 0).then_some(rest)
    }
}

/// 128 bits as hexadecimal digits, from the generator that TLS uses.
fn random() -> io::Result<String> {
    let mut bytes = [0; 16];
    let provider = rustls::crypto::ring::default_provider();
    provider.secure_random.fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn page() -> Response {
    let Ok(nonce) = random() else {
        return Response::text(500, "no random numbers");
    };
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    Response::new(200, "text/html; charset=utf-8", HTML.replace(NONCE, &nonce))
        .with("Content-Security-Policy", policy)
        .with("X-Frame-Options", "DENY")
        .with("Cross-Origin-Opener-Policy", "same-origin")
}

#[derive(Serialize)]
struct List {
    version: u64,
    pending: Vec<Entry>,
    recent: Vec<Entry>,
}

/// Ids are strings: a page's numbers have 53 bits only.
#[derive(Serialize)]
struct Entry {
    id: String,
    user: String,
    template_id: i64,
    question: Option<String>,
    values: Option<String>,
    code: Option<String>,
    device_id: Option<String>,
    device_desc: Option<String>,
    ip: Option<String>,
    outcome: &'static str,
    remaining_ms: u64,
    ended_ms_ago: u64,
}

impl Entry {
    fn new(record: &Record, now: Instant) -> Entry {
        let asked = record.asked.clone();
        let ended = record.ended_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        Entry {
            id: record.id.to_string(),
            user: record.user.clone(),
            template_id: asked.template_id,
            // What the app shows as a question is not shown a second time as raw values.
            values: if asked.question.is_some() { None } else { asked.values },
            question: asked.question,
            code: asked.code,
            device_id: asked.device_id,
            device_desc: asked.device_desc,
            ip: asked.ip,
            outcome: outcome(record),
            remaining_ms: record.remaining(now).as_millis() as u64,
            ended_ms_ago: ended.as_millis() as u64,
        }
    }
}

fn outcome(record: &Record) -> &'static str {
    match (record.status, record.complete_result) {
        (Status::Pending, _) => "pending",
        (Status::Completed, 0) => "approved",
        (Status::Completed, _) => "denied",
        (Status::Expired, _) => "expired",
        (Status::Failed, _) => "failed",
        (Status::Cancelled, _) => "cancelled",
    }
}

/// Answers when there is something newer than `since`, or after a while with the same again.
fn list(context: &Context, query: &str) -> Response {
    let since = query.strip_prefix("since=").and_then(|n| n.parse::<u64>().ok());
    if let Some(since) = since {
        context.state.wait(LONG_POLL, |inner| (inner.version != since).then_some(()));
    }
    let list = collect(&context.state.lock());
    match serde_json::to_string(&list) {
        Ok(body) => Response::json(200, body),
        Err(_) => Response::text(500, "the list cannot be written"),
    }
}

fn collect(inner: &Inner) -> List {
    let now = Instant::now();
    let records = || inner.transactions.values().rev();
    let pending = records().filter(|r| r.pending() && r.on_page()).take(MOST_PENDING);
    let mut ended: Vec<&Record> = records().filter(|r| !r.pending()).collect();
    ended.sort_by_key(|record| std::cmp::Reverse(record.ended_at));
    List {
        version: inner.version,
        pending: pending.map(|record| Entry::new(record, now)).collect(),
        recent: ended.into_iter().take(MOST_RECENT).map(|record| Entry::new(record, now)).collect(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decided {
    id: String,
    decision: Answer,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Approve,
    Deny,
}

fn decide(context: &Context, request: &Request) -> Response {
    if !request.is_json() {
        return Response::text(415, "Content-Type must be application/json");
    }
    let Ok(decided) = serde_json::from_slice::<Decided>(&request.body) else {
        return Response::text(400, "not a decision");
    };
    let Ok(id) = decided.id.parse() else {
        return Response::text(400, "not an id");
    };
    let decision = match decided.decision {
        Answer::Approve => Decision::Approve,
        Answer::Deny => Decision::Deny,
    };
    match context.state.decide(id, decision) {
        Ok(()) => Response::json(200, "{}"),
        Err(error @ DecideError::NotFound) => Response::text(404, &error.to_string()),
        Err(error) => Response::text(409, &error.to_string()),
    }
}
