//! Which web pages may call the providers' paths: none, but those that were named at the start.
//!
//! Never "any page", and never the phone page or the interface for tests: no page elsewhere decides anything.

use crate::http::{Request, Response};

/// The pages under development, by their origins.
pub(crate) struct AllowedOrigins(Vec<String>);

/// What a request's origin means.
pub(crate) enum Visitor<'r> {
    /// No page, as far as can be seen.
    Program,
    /// A page that may call.
    Page(&'r str),
    /// A page that may not; why.
    Refused(String),
}

impl AllowedOrigins {
    /// Refuses whatever is not the exact text that a browser sends.
    pub(crate) fn new(origins: &[String]) -> Result<AllowedOrigins, String> {
        match origins.iter().find(|origin| !is_origin(origin)) {
            Some(wrong) => Err(format!(
                "'{wrong}' is not a page's origin: it is written as in http://localhost:3000, without a path, in \
                 small letters, without the scheme's own port, and * is not allowed"
            )),
            None => Ok(AllowedOrigins(origins.to_vec())),
        }
    }

    pub(crate) fn visitor<'r>(&self, request: &'r Request) -> Visitor<'r> {
        let mut origins = request.all("origin");
        let (first, second) = (origins.next(), origins.next());
        match first {
            Some(_) if second.is_some() => Visitor::Refused("more than one Origin".to_owned()),
            Some(origin) if self.0.iter().any(|allowed| allowed == origin) => Visitor::Page(origin),
            // Apps that wrap a page have schemes of their own, and are no page of a browser's.
            Some(origin) if origin != "null" && !origin.starts_with("http") => Visitor::Program,
            Some(origin) => Visitor::Refused(format!(
                "a web page at {origin} may not call the sandbox: start it with --allow-origin {origin}"
            )),
            None if request.method != "GET" && request.all("sec-fetch-site").next().is_some() => {
                Visitor::Refused("a web page without an Origin may not call the sandbox".to_owned())
            }
            None => Visitor::Program,
        }
    }
}

/// Whether it is a page's question if it may call. It is no call of a provider's.
pub(crate) fn is_preflight(request: &Request) -> bool {
    request.method == "OPTIONS"
        && request.only("origin").is_some()
        && request.only("access-control-request-method").is_some()
}

/// The answer to the question of a page that may call.
pub(crate) fn preflight(request: &Request, origin: &str) -> Response {
    let response = Response::text(204, "")
        .with("Access-Control-Allow-Methods", "GET, POST")
        .with("Access-Control-Allow-Headers", "Authorization, Content-Type")
        .with("Access-Control-Max-Age", 60);
    // Asked for by browsers that guard the machine's own network from pages of the internet.
    let private = request.only("access-control-request-private-network") == Some("true");
    let response =
        if private { response.with("Access-Control-Allow-Private-Network", "true") } else { response };
    granted(response, origin)
}

/// An answer that this page may read.
pub(crate) fn granted(response: Response, origin: &str) -> Response {
    response
        .with("Access-Control-Allow-Origin", origin)
        .with("Access-Control-Expose-Headers", "Retry-After, X-Sandbox-Why, Sandbox-Unusual")
        .with("Vary", "Origin")
}

fn is_origin(text: &str) -> bool {
    let (host, own_port) = match text.split_once("://") {
        Some(("http", host)) => (host, ":80"),
        Some(("https", host)) => (host, ":443"),
        _ => return false,
    };
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_:[]".contains(&b);
    !host.is_empty() && host.bytes().all(fits) && !host.ends_with(own_port) && !host.ends_with(':')
}

#[cfg(test)]
mod tests {
    use super::is_origin;

    #[test]
    fn only_an_origin_as_browsers_write_it() {
        for good in
            ["http://localhost:3000", "https://app.example", "http://[::1]:5173", "http://127.0.0.1:8080"]
        {
            assert!(is_origin(good), "{good}");
        }
        for wrong in [
            "*",
            "null",
            "",
            "localhost:3000",
            "http://",
            "http://*",
            "http://*.example",
            "http://a/",
            "http://a/b",
            "HTTP://a",
            "http://A",
            "http://a:80",
            "https://a:443",
            "http://a:",
            "ftp://a",
            "http://u@a",
            "http://a b",
            "http://a,http://b",
            "file://",
        ] {
            assert!(!is_origin(wrong), "{wrong}");
        }
    }
}
