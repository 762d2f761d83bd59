//! From the right answer to the wrong one: what stands in its place, and what is changed in it.
//!
//! Nothing here knows a provider: each says by [`ProviderCall`] how it writes what the faults need.

use std::time::{Duration, SystemTime};

use crate::behaviour::{Edit, Replacement};
use crate::context::Context;
use crate::delivery::Delivery;
use crate::http::{self, Request, Response};
use crate::json::Node;
use crate::reply::Reply;
use crate::token::Caller;

/// 2 to the 65th: outside every integer of 64 bits.
const HUGE: &str = "36893488147419103232";
const JSON: &str = "application/json";

/// One call of a provider's, as far as the faults must know it.
pub(crate) trait ProviderCall {
    /// A refusal with this number.
    fn refusal(&self, number: i64) -> Node;

    /// The number that says "temporarily unavailable".
    fn unavailable(&self) -> i64;

    /// The number that says "transaction not found".
    fn transaction_not_found(&self) -> i64;

    /// The most dangerous answer: that the person has approved, or is registered.
    fn approval(&self, transaction_id: Option<String>) -> Node;

    /// The member by which a reader decides, and a value with which a careless one decides wrongly.
    fn decisive(&self) -> (&'static str, &'static str);

    /// The member that becomes a number outside every range.
    fn huge(&self) -> &'static str;

    /// The HTTP status that says the same as the body.
    fn http_status(&self, body: &Node) -> u16;

    /// Adds every member that the call's answers may have and this one has not.
    fn fill(&self, body: &mut Node);
}

/// The answer to a request that is not carried out.
pub(crate) fn replace(
    call: &dyn ProviderCall,
    context: &Context,
    request: &Request,
    caller: &Caller,
    replacement: Replacement,
) -> Reply {
    let html = |status: u16| {
        Response::new(status, "text/html", format!("<html><body><h1>{status}</h1></body></html>\n"))
    };
    let refuse = |number| finish(call, caller, call.refusal(number), None);
    let now = SystemTime::now();
    let response = match replacement {
        Replacement::Refuse(number) => return refuse(number),
        Replacement::Unavailable => return refuse(call.unavailable()),
        Replacement::NotFound => return refuse(call.transaction_not_found()),
        Replacement::RetryAfter(seconds) => html(503).with("Retry-After", seconds),
        Replacement::Html(status @ (429 | 503)) => html(status).with("Retry-After", 1),
        Replacement::Html(status) => html(status),
        Replacement::Empty(status) => Response::new(status, JSON, ""),
        Replacement::RateLimited(seconds) => Response::text(429, "slow down").with("Retry-After", seconds),
        Replacement::RetryAfterDate(seconds) => {
            html(503).with("Retry-After", http::date(now + Duration::from_secs(seconds)))
        }
        Replacement::Redirect(status) => {
            Response::text(status, "elsewhere").with("Location", elsewhere(context, request))
        }
        Replacement::Close => {
            return Reply { delivery: Delivery::nothing(), ..Reply::from(Response::text(200, "")) };
        }
    };
    reply(caller, response, Response::json(200, call.approval(None)), now)
}

/// The last touches, and how it is sent. `second` is what nobody asked for.
fn reply(caller: &Caller, mut response: Response, second: Response, now: SystemTime) -> Reply {
    for edit in &caller.edits {
        if let Edit::Date(ahead) = edit {
            let off = Duration::from_secs(ahead.unsigned_abs());
            response = response.with("Date", http::date(if *ahead < 0 { now - off } else { now + off }));
        }
    }
    Reply { response, delivery: Delivery::new(&caller.delivery_faults, second), desync: caller.desync }
}

/// The answer to a request that was carried out, with the caller's edits and delivery faults.
pub(crate) fn finish(call: &dyn ProviderCall, caller: &Caller, mut body: Node, why: Option<String>) -> Reply {
    let second = Response::json(200, call.approval(body.get("transaction_id")));
    let usual_status = call.http_status(&body);
    let mut text = None;
    let mut status = 200;
    for edit in &caller.edits {
        match edit {
            Edit::HttpStatus(number) => status = *number,
            Edit::CodeAsHttpStatus => status = usual_status,
            Edit::AllFields => call.fill(&mut body),
            Edit::NotJson => text = Some("this is not JSON".to_owned()),
            Edit::DeepNesting => text = Some("[".repeat(100_000)),
            Edit::TrailingBytes => text = Some(format!("{body}{{\"result\":0}}")),
            _ => change(call, &mut body, edit),
        }
    }
    let mut response = Response::new(status, JSON, text.unwrap_or_else(|| body.to_string()));
    if let Some(why) = why {
        response = response.with_reason(&why);
    }
    reply(caller, response, second, SystemTime::now())
}

fn change(call: &dyn ProviderCall, body: &mut Node, edit: &Edit) {
    match edit {
        Edit::Drop(path) => body.remove(path),
        Edit::Replace(path, json) if body.get(path).is_some() => body.set(path, json),
        Edit::Set(path, json) => body.set(path, json),
        Edit::WrongId => {
            if let Some(id) = body.get("transaction_id").and_then(|id| id.parse::<i64>().ok()) {
                body.set("transaction_id", &id.wrapping_add(1).to_string());
            }
        }
        Edit::IdAsString => {
            if let Some(id) = body.get("transaction_id") {
                body.set("transaction_id", &format!("\"{id}\""));
            }
        }
        Edit::DuplicateKey => {
            let (member, value) = call.decisive();
            body.repeat(member, value);
        }
        Edit::HugeNumber => body.set(call.huge(), HUGE),
        _ => {}
    }
}

/// The same server under its other loopback name: another host to a client, and yet in our log.
fn elsewhere(context: &Context, request: &Request) -> String {
    let scheme = if context.tls { "https" } else { "http" };
    let host = request.only("host").unwrap_or("");
    let (name, port) = host.rsplit_once(':').unwrap_or((host, if context.tls { "443" } else { "80" }));
    let other = if name == "127.0.0.1" { "localhost" } else { "127.0.0.1" };
    format!("{scheme}://{other}:{port}/redirected{}", request.path())
}
