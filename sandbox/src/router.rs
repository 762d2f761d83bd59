//! Who answers: a provider, the phone page, the interface for tests, or nobody.

use std::net::SocketAddr;

use crate::context::Context;
use crate::control::Control;
use crate::cors::{self, AllowedOrigins, Visitor};
use crate::desync::ConnectionDesync;
use crate::endpoint::Endpoint;
use crate::http::{Request, Response};
use crate::journal::LoggedRequest;
use crate::phone::Page;
use crate::reply::Reply;
use crate::unusual::Unusual;
use crate::{capillary, discovery, hyperid, terminal};

pub(crate) struct Router {
    pub(crate) context: Context,
    pub(crate) page: Page,
    pub(crate) control: Control,
    pub(crate) allowed_origins: AllowedOrigins,
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
        if self.control.owns(request.path()) {
            return self.control.answer(&self.context, request, local).into();
        }
        let mut reply = self.reply_to_visitor(request, local, connection);
        desync.apply(&mut reply, &self.context.state);
        self.say(request, &reply.response, reply.delivery.note());
        reply
    }

    /// A provider's answer to a program, and to a page that may call.
    fn reply_to_visitor(&self, request: &Request, local: SocketAddr, connection: u64) -> Reply {
        let visitor = self.allowed_origins.visitor(request);
        if let (Visitor::Page(origin), true) = (&visitor, cors::is_preflight(request)) {
            return cors::preflight(request, origin).into();
        }
        self.log(request, connection);
        match visitor {
            Visitor::Refused(why) => Response::text(403, &why).with_reason(&why).into(),
            Visitor::Program => self.provider_answer(request, local),
            Visitor::Page(origin) => {
                let mut reply = self.provider_answer(request, local);
                reply.response = cors::granted(reply.response, origin);
                reply
            }
        }
    }

    /// One line on the terminal.
    fn say(&self, request: &Request, response: &Response, note: &str) {
        self.context.terminal.say(|| line(request, response, note));
    }

    fn provider_answer(&self, request: &Request, local: SocketAddr) -> Reply {
        if let Some(response) = discovery::answer(&self.context, request, local) {
            return response.into();
        }
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

/// What was asked by whom, what was answered, and what is to be said about it.
fn line(request: &Request, response: &Response, note: &str) -> String {
    let token = request.only("authorization").and_then(|value| value.split_once(' ')).map(|(_, token)| token);
    // Capillary's body holds the token, and a test's may; HyperID's holds none.
    let hyperid = Endpoint::EACH.iter().any(|e| *e != Endpoint::Registered && e.path() == request.path());
    let asked = if hyperid { terminal::body(&request.body) } else { String::new() };
    let why = ["X-Sandbox-Why", "Sandbox-Unusual"].into_iter().filter_map(|name| response.header(name));
    let parts = [
        request.method.clone(),
        request.path().to_owned(),
        token.map(terminal::token).unwrap_or_default(),
        asked,
        format!("-> {}", response.status),
        terminal::body(&response.body),
        why.map(|why| format!("({why})")).collect::<Vec<_>>().join(" "),
        note.to_owned(),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
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
