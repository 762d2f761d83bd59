//! The person's phone: one page and its small API.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::http::{Request, Response};
use crate::origin;
use crate::random;
use crate::state::{Inner, PressError};
use crate::transaction::{DecideError, Decision, Record, StartParameters};

const HTML: &str = include_str!("phone.html");
/// Where the page's nonce goes; a new one for every answer.
const NONCE: &str = "__NONCE__";
/// Where the mark of the server's run goes.
const RUN: &str = "__RUN__";
/// A list that does not change is asked for again after this time, so that a dead server is noticed.
const LONG_POLL: Duration = Duration::from_secs(15);
const MOST_RECENT: usize = 12;
const MOST_PENDING: usize = 100;

pub(crate) struct Page {
    /// `/phone`, with `/SECRET` behind it when the network can see us.
    path: String,
    /// The mark of this run of the server. Two runs can have the same ids, so an id alone does not say what
    /// a person saw: a page that stays open belongs to the run that served it, and to no other.
    run: String,
}

impl Page {
    pub(crate) fn new(secret: bool) -> io::Result<Page> {
        let path = if secret { format!("/phone/{}", random::secret()?) } else { "/phone".to_owned() };
        Ok(Page { path, run: random::secret()? })
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
            ("GET", "") => self.html(),
            ("GET", "/api/requests") => self.list(context, request.query()),
            ("POST", "/api/decide") => self.decide(context, request),
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

    fn html(&self) -> Response {
        let Ok(nonce) = random::secret() else {
            return Response::text(500, "no random numbers");
        };
        let policy = format!(
            "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let html = HTML.replace(NONCE, &nonce).replace(RUN, &self.run);
        Response::new(200, "text/html; charset=utf-8", html)
            .with("Content-Security-Policy", policy)
            .with("X-Frame-Options", "DENY")
            .with("Cross-Origin-Opener-Policy", "same-origin")
    }

    /// Answers when there is something newer than `since`, or after a while with the same again; a page
    /// of another run at once, so that it learns of it.
    fn list(&self, context: &Context, query: &str) -> Response {
        let since = parameter(query, "since").and_then(|n| n.parse::<u64>().ok());
        if let (Some(since), true) = (since, parameter(query, "run") == Some(&self.run)) {
            context.state.wait(LONG_POLL, |inner| (inner.version != since).then_some(()));
        }
        let list = collect(&context.state.lock(), &self.run);
        match serde_json::to_string(&list) {
            Ok(body) => Response::json(200, body),
            Err(_) => Response::text(500, "the list cannot be written"),
        }
    }

    fn decide(&self, context: &Context, request: &Request) -> Response {
        if !request.is_json() {
            return Response::text(415, "Content-Type must be application/json");
        }
        let Some(wanted) = DecisionRequest::read(&request.body) else {
            return Response::text(400, "not a decision");
        };
        if wanted.run != self.run {
            return Response::text(412, "this page is of another run of the sandbox: nothing was decided");
        }
        match context.state.decide_as_shown(wanted.id, &wanted.seen, wanted.decision) {
            Ok(()) => {
                context.terminal.say(|| format!("{} {}: the phone page", wanted.decision.name(), wanted.id));
                Response::json(200, "{}")
            }
            Err(PressError::NotAsShown) => {
                Response::text(412, "this is not the request that the page showed: nothing was decided")
            }
            Err(PressError::Decide(error @ DecideError::NotFound)) => Response::text(404, &error.to_string()),
            Err(PressError::Decide(error)) => Response::text(409, &error.to_string()),
        }
    }
}

fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

#[derive(Serialize)]
struct List<'a> {
    run: &'a str,
    version: u64,
    /// How many are pending, also those that are not shown.
    pending_count: usize,
    pending: Vec<Entry>,
    recent: Vec<Entry>,
}

/// Ids are strings: a page's numbers have 53 bits only.
#[derive(Serialize)]
struct Entry {
    id: String,
    /// Stands for all that the card shows; a decision sends it back.
    seen: String,
    user: String,
    #[serde(flatten)]
    parameters: StartParameters,
    outcome: &'static str,
    remaining_ms: u64,
    /// All of its life: the bar goes on where it was when the page is loaded again.
    life_ms: u64,
    ended_ms_ago: u64,
}

impl Entry {
    fn new(record: &Record, seen: String, now: Instant) -> Entry {
        let mut parameters = record.parameters.clone();
        if parameters.question.is_some() {
            // What the app shows as a question is not shown a second time as raw values.
            parameters.values = None;
        }
        let ended = record.ended_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        Entry {
            id: record.id.to_string(),
            seen,
            user: record.user.clone(),
            parameters,
            outcome: record.status.outcome(record.complete_result),
            remaining_ms: record.remaining(now).as_millis() as u64,
            life_ms: record.life.as_millis() as u64,
            ended_ms_ago: ended.as_millis() as u64,
        }
    }
}

fn collect<'a>(inner: &Inner, run: &'a str) -> List<'a> {
    let now = Instant::now();
    let entry = |record| Entry::new(record, inner.fingerprint(record), now);
    let records = || inner.transactions.values().rev();
    let pending = || records().filter(|r| r.pending() && r.on_page());
    let mut ended: Vec<&Record> = records().filter(|r| !r.pending()).collect();
    ended.sort_by_key(|record| std::cmp::Reverse(record.ended_at));
    List {
        run,
        version: inner.version,
        pending_count: pending().count(),
        pending: pending().take(MOST_PENDING).map(entry).collect(),
        recent: ended.into_iter().take(MOST_RECENT).map(entry).collect(),
    }
}

/// A button that was pressed, and under which card of which run.
struct DecisionRequest {
    run: String,
    id: i64,
    seen: String,
    decision: Decision,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionBody {
    run: String,
    id: String,
    seen: String,
    // A text, and not an enumeration: serde would take `{"approve":null}` for one, too.
    decision: String,
}

impl DecisionRequest {
    fn read(body: &[u8]) -> Option<DecisionRequest> {
        // serde would take an array for a struct, too.
        let object = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        let body: DecisionBody = serde_json::from_slice(body).ok().filter(|_| object)?;
        let id: i64 = body.id.parse().ok()?;
        let decision = match body.decision.as_str() {
            "approve" => Decision::Approve,
            "deny" => Decision::Deny,
            // What a person can do; failing and expiring are for tests.
            "decline" => Decision::Decline,
            _ => return None,
        };
        // As the list wrote it: no sign, no zeros before it.
        (id.to_string() == body.id).then_some(DecisionRequest {
            run: body.run,
            id,
            seen: body.seen,
            decision,
        })
    }
}
