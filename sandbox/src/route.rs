//! Who answers: a provider, the phone page, or nobody.

use std::net::SocketAddr;

use crate::behaviour::Endpoint;
use crate::deliver::Delivery;
use crate::http::{Request, Response};
use crate::journal::LoggedRequest;
use crate::phone::Page;
use crate::state::State;
use crate::{capillary, hyperid};

/// What every answer may need to know.
pub(crate) struct Context {
    pub(crate) state: State,
    pub(crate) page: Page,
    pub(crate) tls: bool,
    pub(crate) capillary_http_status: bool,
}

/// An answer and how it is to be sent.
pub(crate) struct Reply {
    pub(crate) response: Response,
    pub(crate) delivery: Delivery,
}

impl From<Response> for Reply {
    fn from(response: Response) -> Reply {
        Reply { response, delivery: Delivery::default() }
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
    if !request.is_json() {
        return Response::text(415, "Content-Type must be application/json").into();
    }
    match endpoint {
        Endpoint::Registered => capillary::answer(context, request),
        _ => hyperid::answer(context, endpoint, request),
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
