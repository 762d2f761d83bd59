//! Who may use the phone page, and what is for programs only: no web page elsewhere, by any trick of names.
//!
//! *DNS rebinding*: a foreign name that resolves to this machine shows in `Host`. *Cross-site requests*:
//! a foreign page shows in `Origin` and `Sec-Fetch-Site`, and cannot send JSON without a preflight, which
//! is never granted.

use std::net::SocketAddr;

use crate::http::Request;

/// The reason to refuse; `None` if the request may go on. `local` is the address the client came to.
pub(crate) fn refuse(request: &Request, local: SocketAddr, tls: bool) -> Option<&'static str> {
    let Some(host) = request.only("host") else {
        return Some("there must be one Host");
    };
    if !own_host(host, local, tls) {
        return Some("the Host is not this server");
    }
    let changes = request.method != "GET";
    if request.all("origin").count() > 1 {
        return Some("more than one Origin");
    }
    match request.only("origin") {
        Some(origin) if origin != format!("{}://{host}", scheme(tls)) => {
            return Some("the Origin is not this page");
        }
        // Every browser sends it with a POST.
        None if changes => return Some("a request that changes something needs an Origin"),
        _ => {}
    }
    // One header twice says two things, and whoever stood between us may have believed the other one.
    if ["sec-fetch-site", "sec-fetch-mode"].iter().any(|name| request.all(name).count() > 1) {
        return Some("more than one Sec-Fetch header of a kind");
    }
    match request.only("sec-fetch-site") {
        None | Some("same-origin" | "none") => None,
        // A link on another page may lead here, as long as nothing but the page itself is asked for.
        Some(_) if !changes && request.only("sec-fetch-mode") == Some("navigate") => None,
        Some(_) => Some("the request comes from another site"),
    }
}

/// The reason why no web page at all may send this, whatever its origin; `None` if it may go on. What is behind this
/// is for programs: they send neither header, a browser sends one of them with each request.
pub(crate) fn refuse_pages(request: &Request, local: SocketAddr, tls: bool) -> Option<&'static str> {
    match request.only("host") {
        Some(host) if own_host(host, local, tls) => {}
        _ => return Some("the Host is not this server"),
    }
    let from_page = |name: &str| request.all(name).next().is_some();
    if ["origin", "sec-fetch-site", "referer"].into_iter().any(from_page) {
        return Some("this is for programs: no web page may use it");
    }
    None
}

/// The address that the client used, if it is one of ours; else that of the socket.
pub(crate) fn base(request: &Request, local: SocketAddr, tls: bool) -> String {
    let scheme = scheme(tls);
    match request.only("host") {
        Some(host) if own_host(host, local, tls) => format!("{scheme}://{host}"),
        _ => format!("{scheme}://{local}"),
    }
}

fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}

/// The very address the client came to, or a loopback name if that address is one.
fn own_host(host: &str, local: SocketAddr, tls: bool) -> bool {
    let default_port = if tls { 443 } else { 80 };
    let port = local.port();
    let is = |name: &str| host == format!("{name}:{port}") || (port == default_port && host == name);
    let address = match local {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    };
    is(&address) || (local.ip().is_loopback() && (is("localhost") || is("127.0.0.1") || is("[::1]")))
}
