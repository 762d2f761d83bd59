//! Capillary's `isMfaRegistered`, as documented.

use serde::Deserialize;

use crate::context::Context;
use crate::endpoint::Endpoint;
use crate::faults::{self, ProviderCall};
use crate::http::{Request, Response};
use crate::json::Node;
use crate::reply::Reply;
use crate::token::{Caller, TokenStatus};

const REGISTERED: (i64, &str) = (200, "SUCCESS");
const NOT_REGISTERED: (i64, &str) = (404, "MFA is not registered for this user");
const BRAND_WITHOUT_MFA: (i64, &str) = (1513, "MFA is not enabled for this org");
const TOKEN_INVALID: (i64, &str) = (1504, "Token could not be validated");
const BRAND_UNKNOWN: (i64, &str) = (1504, "Brand is not supported");
const TOKEN_EXPIRED: (i64, &str) = (401, "Token has expired");
const DEVICE_DIFFERS: (i64, &str) = (1508, "Device differs from the session's");
/// No source says what a missing field gets; this is the provider's "details invalid".
const INVALID: (i64, &str) = (1519, "Details are invalid");

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RegisteredRequest {
    brand: String,
    device_id: String,
    authorized_token: String,
}

fn envelope(code: i64, message: &str) -> Node {
    let status = Node::object()
        .with("success", code == 200)
        .with("code", code)
        .with_node("message", Node::string(message));
    Node::object().with_node("status", status).with("auth", "null").with("user", "null")
}

/// The call as the faults see it.
struct Call;

impl ProviderCall for Call {
    fn refusal(&self, number: i64) -> Node {
        envelope(number, "refused by the sandbox")
    }

    // No number of Capillary's: HyperID's, for whoever says `@registered` all the same.
    fn unavailable(&self) -> i64 {
        -1
    }

    fn transaction_not_found(&self) -> i64 {
        -6
    }

    fn approval(&self, _: Option<String>) -> Node {
        envelope(REGISTERED.0, REGISTERED.1)
    }

    fn decisive(&self) -> (&'static str, &'static str) {
        ("status.code", "0")
    }

    fn huge(&self) -> &'static str {
        "status.code"
    }

    fn http_status(&self, body: &Node) -> u16 {
        let code = body.get("status.code").and_then(|code| code.parse().ok());
        http_status(code.unwrap_or(200))
    }

    /// They all have the same members.
    fn fill(&self, _: &mut Node) {}
}

pub(crate) fn answer(context: &Context, request: &Request) -> Reply {
    let body = match parse(&request.body) {
        Ok(body) => body,
        Err(reply) => return reply.into(),
    };
    let caller = context.state.authenticate(&body.authorized_token, Endpoint::Registered);
    if let Some(replacement) = caller.replacement {
        return faults::replace(&Call, context, request, &caller, replacement);
    }
    let (code, message) = carry_out(context, &body, &caller);
    let why = (code == TOKEN_INVALID.0).then(|| match context.state.brand(&body.brand) {
        None => format!("no brand '{}'", body.brand),
        Some(_) => caller.why_invalid(),
    });
    let mut reply = faults::finish(&Call, &caller, envelope(code, message), why);
    if context.capillary_http_status && reply.response.status == 200 {
        reply.response.status = http_status(code);
    }
    reply
}

/// The HTTP status under which a code comes when the server is told to use one.
fn http_status(code: i64) -> u16 {
    match code {
        200 => 200,
        401 => 401,
        404 => 404,
        _ => 400,
    }
}

fn parse(body: &[u8]) -> Result<RegisteredRequest, Response> {
    let first = body.iter().find(|b| !b.is_ascii_whitespace());
    let object = first == Some(&b'{') && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    if !object {
        return Err(Response::text(400, "the body is not a JSON object"));
    }
    let refuse = |why: String| Response::json(200, envelope(INVALID.0, INVALID.1)).with_reason(&why);
    let body: RegisteredRequest = serde_json::from_slice(body).map_err(|error| refuse(error.to_string()))?;
    if body.brand.is_empty() || body.device_id.is_empty() || body.authorized_token.is_empty() {
        return Err(refuse("a required field is empty".to_owned()));
    }
    Ok(body)
}

fn carry_out(context: &Context, body: &RegisteredRequest, caller: &Caller) -> (i64, &'static str) {
    match context.state.brand(&body.brand) {
        None => return BRAND_UNKNOWN,
        Some(false) => return BRAND_WITHOUT_MFA,
        Some(true) => {}
    }
    match caller.token_status {
        TokenStatus::Invalid => return TOKEN_INVALID,
        TokenStatus::Expired => return TOKEN_EXPIRED,
        // Capillary has no scopes.
        TokenStatus::Valid | TokenStatus::InsufficientScope => {}
    }
    let devices = &caller.profile.devices;
    if !devices.is_empty() && !devices.contains(&body.device_id) {
        return DEVICE_DIFFERS;
    }
    if caller.profile.registered { REGISTERED } else { NOT_REGISTERED }
}
