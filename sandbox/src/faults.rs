//! From the right answer to the wrong one: what stands in its place, and what is changed in it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::behaviour::{Edit, Replacement};
use crate::capillary;
use crate::delivery::Delivery;
use crate::endpoint::Endpoint;
use crate::http::{Request, Response};
use crate::hyperid::{self, Refusal};
use crate::json::Node;
use crate::route::{Context, Reply};
use crate::token::Caller;

/// A header that says to the person at the keyboard why something was refused. No client reads it.
pub(crate) const WHY: &str = "X-Sandbox-Why";

/// 2 to the 65th: outside every integer of 64 bits.
const HUGE: &str = "36893488147419103232";
const JSON: &str = "application/json";

/// The answer to a request that is not carried out.
pub(crate) fn replace(
    context: &Context,
    endpoint: Endpoint,
    request: &Request,
    caller: &Caller,
    what: Replacement,
) -> Reply {
    let html = |status: u16| {
        Response::new(status, "text/html", format!("<html><body><h1>{status}</h1></body></html>\n"))
    };
    let refuse = |number| finish(endpoint, request, caller, refusal(endpoint, number), None);
    let now = SystemTime::now();
    let response = match what {
        Replacement::Refuse(number) => return refuse(number),
        Replacement::Unavailable => return refuse(hyperid::number(endpoint, Refusal::Unavailable)),
        Replacement::NotFound => return refuse(hyperid::number(endpoint, Refusal::TransactionNotFound)),
        Replacement::RetryAfter(seconds) => html(503).with("Retry-After", seconds),
        Replacement::Html(status @ (429 | 503)) => html(status).with("Retry-After", 1),
        Replacement::Html(status) => html(status),
        Replacement::Empty(status) => Response::new(status, JSON, ""),
        Replacement::RateLimited(seconds) => Response::text(429, "slow down").with("Retry-After", seconds),
        Replacement::RetryAfterDate(seconds) => {
            html(503).with("Retry-After", http_date(now + Duration::from_secs(seconds)))
        }
        Replacement::Redirect(status) => {
            Response::text(status, "elsewhere").with("Location", elsewhere(context, request))
        }
        Replacement::Close => {
            return Reply { delivery: Delivery::nothing(), ..Reply::from(Response::text(200, "")) };
        }
    };
    reply(caller, response, second_answer(endpoint, None), now)
}

/// The last touches, and how it is sent.
fn reply(caller: &Caller, mut response: Response, second: Response, now: SystemTime) -> Reply {
    for edit in &caller.edits {
        if let Edit::Date(ahead) = edit {
            let off = Duration::from_secs(ahead.unsigned_abs());
            response = response.with("Date", http_date(if *ahead < 0 { now - off } else { now + off }));
        }
    }
    Reply { response, delivery: Delivery::new(&caller.delivery_faults, second), desync: caller.desync }
}

fn refusal(endpoint: Endpoint, number: i64) -> Node {
    match endpoint {
        Endpoint::Registered => capillary::envelope(number, "refused by the sandbox"),
        _ => hyperid::refused(number),
    }
}

/// The answer to a request that was carried out, with the caller's edits and delivery faults.
pub(crate) fn finish(
    endpoint: Endpoint,
    request: &Request,
    caller: &Caller,
    mut body: Node,
    why: Option<String>,
) -> Reply {
    let second = second_answer(endpoint, body.get("transaction_id"));
    let code = body.get("status.code").and_then(|code| code.parse().ok());
    let mut text = None;
    let mut status = 200;
    for edit in &caller.edits {
        match edit {
            Edit::HttpStatus(number) => status = *number,
            Edit::CodeAsHttpStatus => status = capillary::http_status(code.unwrap_or(200)),
            Edit::AllFields => hyperid::fill(&mut body, endpoint, request),
            Edit::NotJson => text = Some("this is not JSON".to_owned()),
            Edit::DeepNesting => text = Some("[".repeat(100_000)),
            Edit::TrailingBytes => text = Some(format!("{body}{{\"result\":0}}")),
            _ => change(endpoint, &mut body, edit),
        }
    }
    let mut response = Response::new(status, JSON, text.unwrap_or_else(|| body.to_string()));
    if let Some(why) = why {
        response = response.with(WHY, printable(&why));
    }
    reply(caller, response, second, SystemTime::now())
}

fn change(endpoint: Endpoint, body: &mut Node, edit: &Edit) {
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
        // A second status 1 beside a pending one: what a careless reader takes for an approval.
        Edit::DuplicateKey => {
            body.repeat(striking_member(endpoint), if endpoint == Endpoint::Status { "1" } else { "0" })
        }
        Edit::HugeNumber if endpoint == Endpoint::Start => body.set("transaction_id", HUGE),
        Edit::HugeNumber => body.set(striking_member(endpoint), HUGE),
        _ => {}
    }
}

fn striking_member(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Status => "transaction_status",
        Endpoint::Registered => "status.code",
        _ => "result",
    }
}

/// What nobody asked for: the most dangerous answer, an approval.
fn second_answer(endpoint: Endpoint, id: Option<String>) -> Response {
    if endpoint == Endpoint::Registered {
        return Response::json(200, capillary::envelope(200, "SUCCESS"));
    }
    let body = Node::object()
        .with("result", 0)
        .with("is_available", true)
        .with("transaction_id", id.unwrap_or_else(|| "1".to_owned()))
        .with("transaction_status", 1)
        .with("transaction_complete_result", 0);
    Response::json(200, body)
}

/// The same server under its other loopback name: another host to a client, and yet in our log.
fn elsewhere(context: &Context, request: &Request) -> String {
    let scheme = if context.tls { "https" } else { "http" };
    let host = request.only("host").unwrap_or("");
    let (name, port) = host.rsplit_once(':').unwrap_or((host, if context.tls { "443" } else { "80" }));
    let other = if name == "127.0.0.1" { "localhost" } else { "127.0.0.1" };
    format!("{scheme}://{other}:{port}/redirected{}", request.path())
}

/// Fit for a header's value.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect()
}

/// As in `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(time: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, clock) = (seconds / 86_400, seconds % 86_400);
    let weekday = DAYS[(days % 7) as usize];
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    let month = MONTHS[(month - 1) as usize % 12];
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Year, month and day of a day counted from 1970. Years begin in March inside, so that the leap day is last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_as_http_writes_them() {
        let at = |seconds| http_date(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(at(1_798_761_599), "Thu, 31 Dec 2026 23:59:59 GMT");
    }
}
