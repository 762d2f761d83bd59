//! The base URL: what is allowed, and how an endpoint's URL is made of it.

use std::net::IpAddr;

use ureq::http::{HeaderValue, Uri};

use crate::error::{Code, Error};

/// Where a provider is. The path prefix, if any, is kept and ends without a slash.
#[derive(Clone, Debug)]
pub(crate) struct BaseUrl {
    text: String,
    tls: bool,
    host: Host,
    port: u16,
}

/// What is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// An address: nothing to look up.
    Ip(IpAddr),
    /// Exactly `localhost`: the loopback addresses, never looked up.
    Localhost,
    /// A name for the system's resolver.
    Name(String),
}

impl Host {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(v6) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            return v6.parse().ok().map(|ip| Host::Ip(IpAddr::V6(ip)));
        }
        if text == "localhost" {
            return Some(Host::Localhost);
        }
        if let Ok(ip) = text.parse() {
            return Some(Host::Ip(IpAddr::V4(ip)));
        }
        is_dns_name(text).then(|| Host::Name(text.to_owned()))
    }

    pub(crate) fn is_loopback(&self) -> bool {
        match self {
            Host::Ip(ip) => ip.is_loopback(),
            Host::Localhost => true,
            Host::Name(_) => false,
        }
    }
}

/// Letters, digits, `-`, `_` and dots. The last label must be no number, decimal, octal or (after
/// `0x` in either case) hexadecimal: what is left of those are old spellings of addresses ("127.1",
/// "0X7f000001") that a resolver would take.
fn is_dns_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let last = name.rsplit('.').next().unwrap_or("");
    name.len() <= 253
        && name.split('.').all(label_ok)
        && last.bytes().any(|b| b.is_ascii_alphabetic())
        && !last.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"))
}

impl BaseUrl {
    pub(crate) fn parse(text: &str, allow_loopback_http: bool) -> Result<Self, Error> {
        let (tls, rest) = split_scheme(text)?;
        if let Some(at) = text.bytes().position(|b| !(0x21..=0x7e).contains(&b)) {
            return Err(invalid(format!("it has a byte outside 0x21-0x7E at offset {at}")));
        }
        if text.contains(['?', '#', '\\']) {
            return Err(invalid("it has a query, a fragment or a backslash"));
        }
        let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(invalid("it has user info"));
        }
        let (host, port) = split_port(authority, if tls { 443 } else { 80 })?;
        let host = Host::parse(host).ok_or_else(|| invalid("its host is not a name or address"))?;
        let may_be_clear = allow_loopback_http && host.is_loopback();
        if !tls && !may_be_clear {
            return Err(insecure(&host));
        }
        let base = BaseUrl {
            text: format!("{}{authority}{}", &text[..text.len() - rest.len()], prefix.trim_end_matches('/')),
            tls,
            host,
            port,
        };
        base.endpoint("/")?;
        Ok(base)
    }

    /// The URL of the endpoint at `path`, which begins with a slash.
    pub(crate) fn endpoint(&self, path: &str) -> Result<Uri, Error> {
        format!("{}{path}", self.text).parse().map_err(|e| invalid(format!("{e}")))
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The `Host` header: with the port where it is not the scheme's own.
    pub(crate) fn host_header(&self) -> Result<HeaderValue, Error> {
        let authority = self.authority();
        let default = if self.tls { ":443" } else { ":80" };
        let text = authority.strip_suffix(default).unwrap_or(&authority);
        HeaderValue::from_str(text).map_err(|e| invalid(format!("{e}")))
    }

    /// "host:port", as CONNECT names it.
    pub(crate) fn authority(&self) -> String {
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => format!("[{ip}]:{}", self.port),
            Host::Ip(ip) => format!("{ip}:{}", self.port),
            Host::Localhost => format!("localhost:{}", self.port),
            Host::Name(name) => format!("{name}:{}", self.port),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

fn split_scheme(text: &str) -> Result<(bool, &str), Error> {
    for (scheme, tls) in [("https://", true), ("http://", false)] {
        if text.len() >= scheme.len()
            && text.as_bytes()[..scheme.len()].eq_ignore_ascii_case(scheme.as_bytes())
        {
            return Ok((tls, &text[scheme.len()..]));
        }
    }
    Err(invalid("it does not begin with https://"))
}

pub(crate) fn split_port(authority: &str, default: u16) -> Result<(&str, u16), Error> {
    let after_host = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = authority[after_host..].find(':') else {
        return Ok((authority, default));
    };
    let (host, port) = authority.split_at(after_host + colon);
    let digits = &port[1..];
    let number = digits.parse::<u16>().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
    match number {
        Some(number) if number > 0 => Ok((host, number)),
        _ => Err(invalid("its port is not a number from 1 to 65535")),
    }
}

fn invalid(why: impl std::fmt::Display) -> Error {
    Error::new(Code::InvalidUrl, format!("`base_url` is refused: {why}"))
}

fn insecure(host: &Host) -> Error {
    let hint = if host.is_loopback() {
        "http to this machine needs `MFA_CLIENT_ALLOW_LOOPBACK_HTTP`"
    } else {
        "http is allowed only to 127.0.0.0/8, [::1] and localhost"
    };
    Error::new(Code::InsecureUrl, format!("`base_url` is refused: {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str, loopback: bool) -> Option<Code> {
        BaseUrl::parse(text, loopback).err().map(|e| e.code)
    }

    #[test]
    fn https_is_accepted_and_the_prefix_kept() {
        let cases = [
            ("https://api.example.com", "https://api.example.com/x"),
            ("https://api.example.com/", "https://api.example.com/x"),
            ("https://api.example.com:8443/a/b/", "https://api.example.com:8443/a/b/x"),
            ("HTTPS://[2001:db8::1]/p", "https://[2001:db8::1]/p/x"),
            ("https://0x7f.example", "https://0x7f.example/x"),
            ("https://127.0.0.1.x0", "https://127.0.0.1.x0/x"),
        ];
        for (base, endpoint) in cases {
            let base = BaseUrl::parse(base, false).unwrap();
            let text = base.endpoint("/x").unwrap().to_string();
            assert_eq!(text.to_ascii_lowercase(), endpoint);
        }
    }

    #[test]
    fn http_goes_only_to_loopback_and_only_when_allowed() {
        let loopback = ["http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]:1", "http://localhost:5"];
        for url in loopback {
            assert_eq!(code(url, true), None, "{url}");
            assert_eq!(code(url, false), Some(Code::InsecureUrl), "{url}");
        }
        let outside =
            ["http://example.com", "http://10.0.0.1", "http://localhost.example.com", "http://LOCALHOST"];
        for url in outside {
            assert_eq!(code(url, true), Some(Code::InsecureUrl), "{url}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let bad = [
            "",
            "example.com",
            "ftp://example.com",
            "https://",
            "https:///x",
            "https://u:p@example.com",
            "https://u@example.com",
            "https://example.com?q",
            "https://example.com#f",
            "https://example.com/a b",
            "https://example.com/\n",
            "https://exa\u{7f}mple.com",
            "https://example.com:0",
            "https://example.com:65536",
            "https://example.com:",
            "https://example.com:8x",
            "https://example.com:+80",
            "https://ex_am ple.com",
            "https://\\example.com",
            "https://ümlaut.example",
            "https://[::1",
            "https://[::1%25eth0]",
            "https://::1",
            "https://127.1",
            "https://0x7f000001",
            "https://2130706433",
            "https://0X7f000001",
            "https://0X7F000001.",
            "https://0x",
            "https://0X",
            "https://0x7f.1",
            "https://0X7F.1",
            "https://127.0x1",
            "https://127.0X1",
            "https://0X7F.0.0.1",
            "https://0x7F.0x0.0X0.0X1",
            "https://0177.0.0.1",
            "https://017700000001",
            "https://127.0.0.01",
            "https://a.0Xff",
            "https://a..b",
            "https://.a",
        ];
        for url in bad {
            assert_eq!(code(url, true), Some(Code::InvalidUrl), "{url:?}");
        }
    }
}
