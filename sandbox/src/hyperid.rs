//! HyperID's five calls, as documented. Two mirrored result tables: see [`number`].

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::{Map, Value};

use crate::behaviour::Endpoint;
use crate::body::Node;
use crate::faults;
use crate::http::Request;
use crate::route::{Context, Reply};
use crate::state::Cancelled;
use crate::token::{Caller, Standing};
use crate::transaction::{Asked, Status};

/// The templates whose screens are known.
const TEMPLATES: [i64; 4] = [2, 3, 4, 15];
const QUESTION: i64 = 4;

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Unavailable,
    InvalidParameters,
    AccessDenied,
    TokenExpired,
    TokenInvalid,
    TransactionNotFound,
    DeviceNotFound,
    TemplateNotFound,
    AlreadyExpired,
    AlreadyCompleted,
    AlreadyCancelled,
}

/// `result` of a refusal. `mfa-client/*` and `2fa/*` number the same five refusals in opposite order.
pub(crate) fn number(endpoint: Endpoint, refusal: Refusal) -> i64 {
    let mirrored = endpoint == Endpoint::Types;
    match refusal {
        Refusal::Unavailable if mirrored => -4,
        Refusal::InvalidParameters if mirrored => -5,
        Refusal::TokenExpired if mirrored => -2,
        Refusal::TokenInvalid if mirrored => -1,
        Refusal::Unavailable => -1,
        Refusal::InvalidParameters => -2,
        Refusal::AccessDenied => -3,
        Refusal::TokenExpired => -4,
        Refusal::TokenInvalid => -5,
        Refusal::TransactionNotFound => -6,
        Refusal::DeviceNotFound => -7,
        Refusal::TemplateNotFound | Refusal::AlreadyExpired => -8,
        Refusal::AlreadyCompleted => -9,
        Refusal::AlreadyCancelled => -10,
    }
}

pub(crate) fn refused(result: i64) -> Node {
    Node::object().with("result", result)
}

/// A refusal, and for the person at the keyboard a word why; it goes into a header, not into the answer.
type Outcome = Result<Node, (Refusal, String)>;

fn no<T>(refusal: Refusal, why: impl Into<String>) -> Result<T, (Refusal, String)> {
    Err((refusal, why.into()))
}

pub(crate) fn answer(context: &Context, endpoint: Endpoint, request: &Request) -> Reply {
    let caller = match bearer(request) {
        Some(token) => context.state.caller(token, endpoint),
        None => Caller::stranger(),
    };
    if let Some(instead) = caller.instead {
        return faults::instead(context, endpoint, request, &caller, instead);
    }
    let (body, why) = match carry_out(context, endpoint, request, &caller) {
        Ok(body) => (body, None),
        Err((refusal, why)) => (refused(number(endpoint, refusal)), Some(why)),
    };
    faults::finish(endpoint, &caller, echo(body, request), why)
}

fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.only("authorization")?.split_once(' ')?;
    let good = scheme.eq_ignore_ascii_case("bearer") && (1..=16_384).contains(&token.len());
    (good && token.bytes().all(|b| (0x21..=0x7e).contains(&b))).then_some(token)
}

/// `request_id` comes back if it was given.
fn echo(body: Node, request: &Request) -> Node {
    let sent = serde_json::from_slice::<Map<String, Value>>(&request.body).unwrap_or_default();
    match sent.get("request_id").and_then(Value::as_i64) {
        Some(id) => body.with("request_id", id),
        None => body,
    }
}

fn carry_out(context: &Context, endpoint: Endpoint, request: &Request, caller: &Caller) -> Outcome {
    match caller.standing {
        Standing::Good => {}
        Standing::Invalid => {
            return no(Refusal::TokenInvalid, "no such token, or no single bearer token");
        }
        Standing::Expired => return no(Refusal::TokenExpired, "the token has expired"),
        Standing::NoScope => return no(Refusal::AccessDenied, "the token lacks the scope"),
    }
    match endpoint {
        Endpoint::Availability => availability(parse(&request.body)?, caller),
        Endpoint::Types => types(parse(&request.body)?, caller),
        Endpoint::Start => start(context, parse(&request.body)?, caller),
        Endpoint::Status => status(context, parse(&request.body)?, caller),
        Endpoint::Cancel => cancel(context, parse(&request.body)?, caller),
        Endpoint::Registered => no(Refusal::InvalidParameters, "not a call of HyperID"),
    }
}

// The bodies: unknown members, repeated ones and wrong types are all "invalid parameters". A more lenient
// server might ignore them; a strict one finds the client's mistakes.

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NothingAsked {
    #[serde(rename = "request_id", default)]
    _request_id: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdAsked {
    transaction_id: i64,
    #[serde(rename = "request_id", default)]
    _request_id: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartAsked {
    template_id: i64,
    #[serde(default, deserialize_with = "present")]
    values: Option<String>,
    #[serde(default, deserialize_with = "present")]
    code: Option<String>,
    #[serde(default, deserialize_with = "present")]
    device_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    device_desc: Option<String>,
    #[serde(default, deserialize_with = "present")]
    ip: Option<String>,
    #[serde(rename = "request_id", default)]
    _request_id: Option<i64>,
}

/// Optional means that it may be left out, not that it may be null.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    String::deserialize(from).map(Some)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, (Refusal, String)> {
    // serde would take an array for a struct, too.
    let first = body.iter().find(|b| !b.is_ascii_whitespace());
    if first != Some(&b'{') {
        return no(Refusal::InvalidParameters, "the body is not a JSON object");
    }
    serde_json::from_slice(body).map_err(|error| (Refusal::InvalidParameters, error.to_string()))
}

fn success() -> Node {
    Node::object().with("result", 0)
}

fn availability(_: NothingAsked, caller: &Caller) -> Outcome {
    Ok(success().with("is_available", caller.profile.app_linked))
}

fn types(_: NothingAsked, caller: &Caller) -> Outcome {
    let list: Vec<String> = caller.profile.methods.iter().map(i64::to_string).collect();
    Ok(success().with("auth_types", format!("[{}]", list.join(","))))
}

fn start(context: &Context, asked: StartAsked, caller: &Caller) -> Outcome {
    if !TEMPLATES.contains(&asked.template_id) {
        return no(Refusal::TemplateNotFound, "no such template");
    }
    let question = check_values(asked.template_id, asked.values.as_deref())?;
    if !caller.profile.app_linked {
        return no(Refusal::DeviceNotFound, "the person has not linked the app");
    }
    if let Some(device) = &asked.device_id {
        let devices = &caller.profile.devices;
        if !devices.is_empty() && !devices.contains(device) {
            return no(Refusal::DeviceNotFound, "the person has no such device");
        }
    }
    let id = context.state.start(
        caller,
        Asked {
            template_id: asked.template_id,
            values: asked.values,
            question,
            code: asked.code,
            device_id: asked.device_id,
            device_desc: asked.device_desc,
            ip: asked.ip,
        },
    );
    Ok(success().with("transaction_id", id))
}

/// `values` must be a string that holds a JSON object; template 4's must be a question, which is returned.
fn check_values(template: i64, values: Option<&str>) -> Result<Option<String>, (Refusal, String)> {
    let invalid = |why: &str| (Refusal::InvalidParameters, why.to_owned());
    let Some(text) = values else {
        return if template == QUESTION { Err(invalid("template 4 needs values")) } else { Ok(None) };
    };
    let decoded: Map<String, Value> =
        serde_json::from_str(text).map_err(|_| invalid("values does not hold a JSON object"))?;
    if template != QUESTION {
        return Ok(None);
    }
    if decoded.get("version").and_then(Value::as_i64) != Some(1) {
        return Err(invalid("template 4 needs version 1"));
    }
    let action = decoded.get("action").and_then(Value::as_object);
    let action = action.ok_or_else(|| invalid("template 4 needs an action"))?;
    if action.get("type").and_then(Value::as_str) != Some("question") {
        return Err(invalid("template 4's action must be a question"));
    }
    let info = action.get("action_info").and_then(Value::as_str);
    info.map(|text| Some(text.to_owned())).ok_or_else(|| invalid("template 4's action_info must be a string"))
}

fn status(context: &Context, asked: IdAsked, caller: &Caller) -> Outcome {
    let id = asked.transaction_id;
    let Some((status, complete_result)) = context.state.poll(&caller.person, id) else {
        return no(Refusal::TransactionNotFound, "the person has no such transaction");
    };
    // The complete result is 0 in a pending answer, too: the real one does the same.
    Ok(success()
        .with("transaction_id", id)
        .with("transaction_status", status.number())
        .with("transaction_complete_result", complete_result))
}

fn cancel(context: &Context, asked: IdAsked, caller: &Caller) -> Outcome {
    match context.state.cancel(&caller.person, asked.transaction_id) {
        Cancelled::Done => Ok(success()),
        Cancelled::NotFound => no(Refusal::TransactionNotFound, "the person has no such transaction"),
        Cancelled::Ended(Status::Expired) => no(Refusal::AlreadyExpired, "already expired"),
        Cancelled::Ended(Status::Cancelled) => no(Refusal::AlreadyCancelled, "already cancelled"),
        // No source says what a failed one gets; "completed" makes the client read the status.
        Cancelled::Ended(_) => no(Refusal::AlreadyCompleted, "already completed"),
    }
}
