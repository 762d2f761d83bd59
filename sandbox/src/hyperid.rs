//! HyperID's five calls, as documented. Two mirrored result tables: see [`number`].

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::{Map, RawValue, Value};

use crate::context::Context;
use crate::endpoint::Endpoint;
use crate::faults::{self, ProviderCall};
use crate::http::Request;
use crate::json::Node;
use crate::reply::Reply;
use crate::state::Cancelled;
use crate::token::{Caller, TokenStatus};
use crate::transaction::{StartParameters, Status};
use crate::unusual::Unusual;

/// The templates whose screens are documented.
const TEMPLATES: [i64; 4] = [2, 3, 4, 15];
/// All whose numbers are known; the others from the provider's demo of 2023.
const KNOWN: std::ops::RangeInclusive<i64> = 1..=15;
const QUESTION: i64 = 4;

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
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
fn number(endpoint: Endpoint, refusal: Refusal) -> i64 {
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

fn refused(result: i64) -> Node {
    Node::object().with("result", result)
}

/// A call as the faults see it.
struct Call<'a> {
    endpoint: Endpoint,
    request: &'a Request,
}

impl ProviderCall for Call<'_> {
    fn refusal(&self, number: i64) -> Node {
        refused(number)
    }

    fn unavailable(&self) -> i64 {
        number(self.endpoint, Refusal::Unavailable)
    }

    fn transaction_not_found(&self) -> i64 {
        number(self.endpoint, Refusal::TransactionNotFound)
    }

    fn approval(&self, transaction_id: Option<String>) -> Node {
        success()
            .with("is_available", true)
            .with("transaction_id", transaction_id.unwrap_or_else(|| "1".to_owned()))
            .with("transaction_status", 1)
            .with("transaction_complete_result", 0)
    }

    fn decisive(&self) -> (&'static str, &'static str) {
        match self.endpoint {
            // A second status 1 beside a pending one: what a careless reader takes for an approval.
            Endpoint::Status => ("transaction_status", "1"),
            _ => ("result", "0"),
        }
    }

    fn huge(&self) -> &'static str {
        match self.endpoint {
            Endpoint::Start => "transaction_id",
            _ => self.decisive().0,
        }
    }

    fn http_status(&self, _: &Node) -> u16 {
        200
    }

    /// As a server prints it that fills one struct for all its answers.
    fn fill(&self, body: &mut Node) {
        let id = sent(self.request, "transaction_id").unwrap_or(0).to_string();
        let members: &[(&str, &str)] = match self.endpoint {
            Endpoint::Availability => &[("is_available", "false")],
            Endpoint::Types => &[("auth_types", "[]")],
            Endpoint::Start | Endpoint::Cancel => &[("transaction_id", &id)],
            Endpoint::Status => {
                &[("transaction_id", &id), ("transaction_status", "0"), ("transaction_complete_result", "0")]
            }
            Endpoint::Registered => &[],
        };
        for (name, json) in members {
            if body.get(name).is_none() {
                body.set(name, json);
            }
        }
    }
}

/// A refusal, and for the person at the keyboard a word why; it goes into a header, not into the answer.
type Outcome<T = Node> = Result<T, (Refusal, String)>;

fn refuse<T>(refusal: Refusal, why: impl Into<String>) -> Outcome<T> {
    Err((refusal, why.into()))
}

fn invalid<T>(why: &str) -> Outcome<T> {
    refuse(Refusal::InvalidParameters, why)
}

pub(crate) fn answer(
    context: &Context,
    endpoint: Endpoint,
    request: &Request,
    unusual: &mut Unusual,
) -> Reply {
    let call = Call { endpoint, request };
    let caller = match bearer(request) {
        Some(token) => context.state.authenticate(token, endpoint),
        None => Caller::unknown("there must be one header 'Authorization: Bearer TOKEN'"),
    };
    if let Some(replacement) = caller.replacement {
        return faults::replace(&call, context, request, &caller, replacement);
    }
    let (body, why) = match carry_out(context, endpoint, request, &caller, unusual) {
        Ok(body) => (body, None),
        Err((refusal, why)) => (refused(number(endpoint, refusal)), Some(why)),
    };
    faults::finish(&call, &caller, echo(body, request), why)
}

fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.only("authorization")?.split_once(' ')?;
    let good = scheme.eq_ignore_ascii_case("bearer") && (1..=16_384).contains(&token.len());
    (good && token.bytes().all(|b| (0x21..=0x7e).contains(&b))).then_some(token)
}

/// `request_id` comes back if it was given.
fn echo(body: Node, request: &Request) -> Node {
    match sent(request, "request_id") {
        Some(id) => body.with("request_id", id),
        None => body,
    }
}

fn sent(request: &Request, member: &str) -> Option<i64> {
    serde_json::from_slice::<Map<String, Value>>(&request.body).ok()?.get(member)?.as_i64()
}

fn carry_out(
    context: &Context,
    endpoint: Endpoint,
    request: &Request,
    caller: &Caller,
    unusual: &mut Unusual,
) -> Outcome {
    match caller.token_status {
        TokenStatus::Valid => {}
        TokenStatus::Invalid => {
            return refuse(Refusal::TokenInvalid, caller.why_invalid());
        }
        TokenStatus::Expired => return refuse(Refusal::TokenExpired, "the token has expired"),
        TokenStatus::InsufficientScope => return refuse(Refusal::AccessDenied, "the token lacks the scope"),
    }
    let body = &request.body;
    match endpoint {
        Endpoint::Availability if body.is_empty() && unusual.allow("an empty body") => {
            availability(EmptyRequest::default(), caller)
        }
        Endpoint::Availability => availability(parse(body)?, caller),
        Endpoint::Types => types(parse(body)?, caller),
        Endpoint::Start => start(context, parse(body)?, caller, unusual),
        Endpoint::Status => status(context, id(&parse(body)?, unusual)?, caller),
        Endpoint::Cancel => cancel(context, id(&parse(body)?, unusual)?, caller),
        Endpoint::Registered => invalid("not a call of HyperID"),
    }
}

// The bodies: unknown members, repeated ones and wrong types are all "invalid parameters". A more lenient
// server might ignore them; a strict one finds the client's mistakes. What the provider's own clients get
// wrong is let pass by `Unusual`.

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct EmptyRequest {
    #[serde(rename = "request_id", default)]
    _request_id: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransactionRequest {
    transaction_id: Box<RawValue>,
    #[serde(rename = "request_id", default)]
    _request_id: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartRequest {
    template_id: i64,
    #[serde(default, deserialize_with = "present")]
    values: Option<Box<RawValue>>,
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
fn present<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(from).map(Some)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Outcome<T> {
    // serde would take an array for a struct, too.
    let first = body.iter().find(|b| !b.is_ascii_whitespace());
    if first != Some(&b'{') {
        return invalid("the body is not a JSON object");
    }
    serde_json::from_slice(body).map_err(|error| (Refusal::InvalidParameters, error.to_string()))
}

/// A number of 64 bits; PHP's client sends it as a text of digits.
fn id(request: &TransactionRequest, unusual: &mut Unusual) -> Outcome<i64> {
    let json = request.transaction_id.get();
    if let Ok(number) = serde_json::from_str(json) {
        return Ok(number);
    }
    let text: String = serde_json::from_str(json).unwrap_or_default();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && unusual.allow("transaction_id as a text") => Ok(number),
        _ => invalid("transaction_id must be an integer of 64 bits"),
    }
}

fn success() -> Node {
    Node::object().with("result", 0)
}

fn availability(_: EmptyRequest, caller: &Caller) -> Outcome {
    Ok(success().with("is_available", caller.profile.app_linked))
}

fn types(_: EmptyRequest, caller: &Caller) -> Outcome {
    let list: Vec<String> = caller.profile.methods.iter().map(i64::to_string).collect();
    Ok(success().with("auth_types", format!("[{}]", list.join(","))))
}

fn start(context: &Context, request: StartRequest, caller: &Caller, unusual: &mut Unusual) -> Outcome {
    let template = request.template_id;
    let known = TEMPLATES.contains(&template)
        || (KNOWN.contains(&template) && unusual.allow("a template of the 2023 demo"));
    if !known {
        return refuse(Refusal::TemplateNotFound, "no such template");
    }
    let (values, question) = match &request.values {
        Some(values) => read_values(template, values.get(), unusual)?,
        None if template == QUESTION => return invalid("template 4 needs values"),
        None => (None, None),
    };
    if !caller.profile.app_linked {
        return refuse(Refusal::DeviceNotFound, "the person has not linked the app");
    }
    if let Some(device) = &request.device_id {
        let devices = &caller.profile.devices;
        if !devices.is_empty() && !devices.contains(device) {
            return refuse(Refusal::DeviceNotFound, "the person has no such device");
        }
    }
    let id = context.state.start(
        caller,
        StartParameters {
            template_id: template,
            values,
            question,
            code: request.code,
            device_id: request.device_id,
            device_desc: request.device_desc,
            ip: request.ip,
        },
    );
    Ok(success().with("transaction_id", id))
}

/// `values` as a text, and what template 4 asks.
///
/// Documented is a string that holds a JSON object. PHP's client sends the object itself, Android's the bare
/// question, and the documentation's own sample an empty string.
fn read_values(
    template: i64,
    json: &str,
    unusual: &mut Unusual,
) -> Outcome<(Option<String>, Option<String>)> {
    let text = match serde_json::from_str::<String>(json) {
        Ok(text) => text,
        Err(_) if json.starts_with('{') && unusual.allow("values as an object") => json.to_owned(),
        Err(_) => return invalid("values must be a string that holds a JSON object"),
    };
    if let Ok(decoded) = serde_json::from_str::<Map<String, Value>>(&text) {
        let question = if template == QUESTION { Some(question(&decoded)?) } else { None };
        return Ok((Some(text), question));
    }
    let allowed = match text.trim_start() {
        "" if template != QUESTION => unusual.allow("an empty text as values"),
        // JSON that was cut or misspelt is no question.
        bare if template == QUESTION && !bare.is_empty() && !bare.starts_with('{') => {
            unusual.allow("the bare question as values")
        }
        _ => false,
    };
    if !allowed {
        return invalid("values does not hold a JSON object");
    }
    let question = (template == QUESTION).then(|| text.clone());
    Ok((Some(text), question))
}

fn question(decoded: &Map<String, Value>) -> Outcome<String> {
    if decoded.get("version").and_then(Value::as_i64) != Some(1) {
        return invalid("template 4 needs version 1");
    }
    let Some(action) = decoded.get("action").and_then(Value::as_object) else {
        return invalid("template 4 needs an action");
    };
    if action.get("type").and_then(Value::as_str) != Some("question") {
        return invalid("template 4's action must be a question");
    }
    match action.get("action_info").and_then(Value::as_str) {
        Some(text) => Ok(text.to_owned()),
        None => invalid("template 4's action_info must be a string"),
    }
}

fn status(context: &Context, id: i64, caller: &Caller) -> Outcome {
    let Some((status, complete_result)) = context.state.poll(caller, id) else {
        return refuse(Refusal::TransactionNotFound, "the person has no such transaction");
    };
    // The complete result is 0 in a pending answer, too: the real one does the same.
    Ok(success()
        .with("transaction_id", id)
        .with("transaction_status", status.number())
        .with("transaction_complete_result", complete_result))
}

fn cancel(context: &Context, id: i64, caller: &Caller) -> Outcome {
    match context.state.cancel(caller, id) {
        Cancelled::Done => Ok(success()),
        Cancelled::NotFound => refuse(Refusal::TransactionNotFound, "the person has no such transaction"),
        Cancelled::Ended(Status::Expired) => refuse(Refusal::AlreadyExpired, "already expired"),
        Cancelled::Ended(Status::Cancelled) => refuse(Refusal::AlreadyCancelled, "already cancelled"),
        // No source says what a failed one gets; "completed" makes the client read the status.
        Cancelled::Ended(_) => refuse(Refusal::AlreadyCompleted, "already completed"),
    }
}
