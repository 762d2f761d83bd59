//! Who answers: a provider, the phone page, or nobody.

use std::net::SocketAddr;

use crate::context::Context;
use crate::desync::ConnectionDesync;
use crate::endpoint::Endpoint;
use crate::http::{Request, Response};
use crate::journal::LoggedRequest;
use crate::phone::Page;
use crate::reply::Reply;
use crate::unusual::Unusual;
use crate::{capillary, hyperid};

pub(crate) struct Router {
    pub(crate) context: Context,
    pub(crate) page: Page,
}

impl Router {
    /// The answer to a request that came to the address `local` on this connection.
    pub(crate) fn answer(
        &self,
        request: &Request,
        local: SocketAddr,
        connection: u64,
        desync: &mut ConnectionDesync,
    ) -> Reply {
        if self.page.owns(request.path()) {
            return self.page.answer(&self.context, request, local).into();
        }
        self.log(request, connection);
        let mut reply = self.provider_answer(request);
        desync.apply(&mut reply, &self.context.state);
        reply
    }

    fn provider_answer(&self, request: &Request) -> Reply {
        let Some(endpoint) = Endpoint::EACH.into_iter().find(|e| e.path() == request.path()) else {
            return Response::text(404, "no such path").into();
        };
        if request.method != "POST" {
            return Response::text(405, "only POST").with("Allow", "POST").into();
        }
        let mut unusual = Unusual::new(self.context.strict);
        if !kind_fits(endpoint, request, &mut unusual) {
            return Response::text(415, "Content-Type must be application/json").into();
        }
        let mut reply = match endpoint {
            Endpoint::Registered => capillary::answer(&self.context, request),
            _ => hyperid::answer(&self.context, endpoint, request, &mut unusual),
        };
        reply.response = unusual.annotate(reply.response);
        reply
    }

    fn log(&self, request: &Request, connection: u64) {
        self.context.state.log(LoggedRequest {
            method: request.method.clone(),
            path: request.path().to_owned(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            connection,
        });
    }
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
