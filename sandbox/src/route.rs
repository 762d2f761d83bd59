//! Who answers: a provider, the phone page, or nobody.

use std::net::SocketAddr;

use crate::behaviour::Desync;
use crate::delivery::Delivery;
use crate::endpoint::Endpoint;
use crate::http::{Request, Response};
use crate::journal::LoggedRequest;
use crate::phone::Page;
use crate::state::State;
use crate::unusual::Unusual;
use crate::{capillary, hyperid};

/// What every answer may need to know.
pub(crate) struct Context {
    pub(crate) state: State,
    pub(crate) page: Page,
    pub(crate) tls: bool,
    pub(crate) capillary_http_status: bool,
    pub(crate) strict: bool,
}

/// An answer and how it is to be sent.
pub(crate) struct Reply {
    pub(crate) response: Response,
    pub(crate) delivery: Delivery,
    pub(crate) desync: Option<Desync>,
}

impl From<Response> for Reply {
    fn from(response: Response) -> Reply {
        Reply { response, delivery: Delivery::default(), desync: None }
    }
}

pub(crate) fn answer(context: &Context, request: &Request, local: SocketAddr, connection: u64) -> Reply {
    if context.page.owns(request.path()) {
        return context.page.answer(context, request, local).into();
    }
    log(context, request, connection);
    let Some(endpoint) = Endpoint::EACH.into_iter().find(|e| e.path() == request.path()) else {
        return Response::text(404, "no such path").into();
    };
    if request.method != "POST" {
        return Response::text(405, "only POST").with("Allow", "POST").into();
    }
    let mut unusual = Unusual::new(context.strict);
    if !kind_fits(endpoint, request, &mut unusual) {
        return Response::text(415, "Content-Type must be application/json").into();
    }
    let mut reply = match endpoint {
        Endpoint::Registered => capillary::answer(context, request),
        _ => hyperid::answer(context, endpoint, request, &mut unusual),
    };
    reply.response = unusual.annotate(reply.response);
    reply
}

/// HyperID's own clients call an empty body a text, a form or nothing, and some call JSON so. No page
/// elsewhere gains by it: without an `Authorization`, which it may not send unasked, nothing is done.
fn kind_fits(endpoint: Endpoint, request: &Request, unusual: &mut Unusual) -> bool {
    if request.is_json() {
        return true;
    }
    match request.kind().as_str() {
        _ if endpoint == Endpoint::Registered => false,
        kind @ ("text/plain" | "application/x-www-form-urlencoded") => {
            unusual.allow(format!("Content-Type {kind}"))
        }
        "" if request.body.is_empty() && request.all("content-type").next().is_none() => {
            unusual.allow("no Content-Type")
        }
        _ => false,
    }
}

fn log(context: &Context, request: &Request, connection: u64) {
    context.state.log(LoggedRequest {
        method: request.method.clone(),
        path: request.path().to_owned(),
        target: request.target.clone(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        connection,
    });
}
