//! An HTTP proxy: where it is, for which hosts it is used, and the CONNECT that opens a tunnel.

use std::fmt;
use std::net::{IpAddr, TcpStream};
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ureq::http::{Response, StatusCode};
use zeroize::Zeroizing;

use crate::error::{Code, Error};
use crate::http::context::Context;
use crate::http::head::{self, Head};
use crate::http::transport::{read_some, send_all};
use crate::http::url::{BaseUrl, Host, split_port};

/// A proxy that tunnels by CONNECT.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// The value of `Proxy-Authorization`.
    authorization: Option<Zeroizing<String>>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Proxy {
    /// Reads `http://[user[:password]@]host[:port][/]`.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        if url.bytes().any(|b| !(0x21..=0x7e).contains(&b)) {
            return Err(invalid("it has a byte outside 0x21-0x7E"));
        }
        let scheme = "http://";
        let Some(rest) = url.get(scheme.len()..).filter(|_| url[..scheme.len()].eq_ignore_ascii_case(scheme))
        else {
            return Err(invalid("it does not begin with http://"));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '\\']) {
            return Err(invalid("it has a path, a query or a fragment"));
        }
        let (credentials, authority) = match rest.rsplit_once('@') {
            Some((credentials, authority)) => (Some(credentials), authority),
            None => (None, rest),
        };
        let (host, port) =
            split_port(authority, 80).map_err(|_| invalid("its port is not a number from 1 to 65535"))?;
        let host = Host::parse(host).ok_or_else(|| invalid("its host is not a name or address"))?;
        let authorization = credentials.map(basic).transpose()?;
        Ok(Proxy { host, port, authorization })
    }

    /// Asks the proxy at the other end of `stream` for a tunnel to `target` ("host:port").
    pub(crate) fn open_tunnel(
        &self,
        stream: &TcpStream,
        target: &str,
        context: &Context<'_>,
        until: Instant,
    ) -> Result<(), Error> {
        let authorization = match &self.authorization {
            Some(value) => Zeroizing::new(format!("Proxy-Authorization: {}\r\n", value.as_str())),
            None => Zeroizing::default(),
        };
        let request = Zeroizing::new(format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{}\r\n",
            authorization.as_str()
        ));
        send_all(stream, request.as_bytes(), context, Some(until), &mut 0)?;
        let answer = read_answer(stream, context, until)?;
        if answer.status().is_success() {
            return Ok(());
        }
        let status = answer.status().as_u16();
        let error = Error::new(Code::Proxy, format!("the proxy answered HTTP {status} to CONNECT"));
        let retry_after = Head::read(&answer).retry_after();
        Err(Error { http_status: Some(status), retry_after, ..error })
    }
}

/// The user and password, percent-decoded, as RFC 7617 sends them.
fn basic(credentials: &str) -> Result<Zeroizing<String>, Error> {
    let decoded =
        Zeroizing::new(percent_decode(credentials).ok_or_else(|| invalid("its credentials are malformed"))?);
    let pair = if credentials.contains(':') {
        decoded
    } else {
        let mut pair = Zeroizing::new(Vec::with_capacity(decoded.len() + 1));
        pair.extend_from_slice(&decoded);
        pair.push(b':');
        pair
    };
    Ok(Zeroizing::new(format!("Basic {}", Zeroizing::new(BASE64_STANDARD.encode(pair.as_slice())).as_str())))
}

fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
        let is_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
        bytes.push(is_hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten()?);
        rest = &tail[2..];
    }
    Some(bytes)
}

/// Reads the head of the answer to a CONNECT, by the rules for any answer's. The page behind a
/// refusal stays unread: the connection has served.
fn read_answer(stream: &TcpStream, context: &Context<'_>, until: Instant) -> Result<Response<()>, Error> {
    let mut input = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let n = read_some(stream, &mut piece, context, Some(until), "waiting for the proxy")?;
        if n == 0 {
            return Err(Error::new(Code::ConnectionLost, "the proxy closed the connection"));
        }
        input.extend_from_slice(&piece[..n]);
        while let Some((size, answer)) = head::parse(&input).map_err(|e| not_understood(&e))? {
            let status = answer.status();
            if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
                input.drain(..size);
                continue;
            }
            if status.is_success() && size < input.len() {
                // A TLS server does not speak first: what comes behind the head is not its.
                return Err(Error::new(Code::Proxy, "the proxy sent more than its answer to CONNECT"));
            }
            return Ok(answer);
        }
    }
}

fn not_understood(error: &Error) -> Error {
    Error::new(Code::Proxy, format!("the proxy answered something else to CONNECT: {}", error.message))
}

fn invalid(why: &str) -> Error {
    Error::new(Code::InvalidUrl, format!("proxy_url is refused: {why}"))
}

/// The proxy that the environment names for `base`, if any. Upper-case `HTTP_PROXY` is never looked
/// at: a web server's CGI sets it from a request's `Proxy` header.
pub(crate) fn from_environment(
    base: &BaseUrl,
    read: impl Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, Error> {
    if base.host().is_loopback() || is_exempt(base, &read) {
        return Ok(None);
    }
    let names = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let url = names.iter().filter_map(|name| read(name)).find(|url| !url.is_empty());
    url.map(|url| Proxy::parse(&with_scheme(url))).transpose()
}

/// Programs commonly take "host:port" for "http://host:port".
fn with_scheme(url: String) -> String {
    if url.contains("://") { url } else { format!("http://{url}") }
}

fn is_exempt(base: &BaseUrl, read: &impl Fn(&str) -> Option<String>) -> bool {
    let list = ["no_proxy", "NO_PROXY"].iter().filter_map(|name| read(name)).find(|list| !list.is_empty());
    list.is_some_and(|list| list.split([',', ' ']).any(|entry| exempts(entry.trim(), base)))
}

/// Whether one entry of `NO_PROXY` names the host: `*`, a name or a domain above it (with or without
/// a leading dot), an address, a block of addresses; each perhaps with a port.
fn exempts(entry: &str, base: &BaseUrl) -> bool {
    if entry == "*" {
        return true;
    }
    if let (Some((network, bits)), Host::Ip(ip)) = (entry.split_once('/'), base.host()) {
        return is_in_block(*ip, network, bits);
    }
    if let Ok(address) = entry.parse::<IpAddr>() {
        return *base.host() == Host::Ip(address);
    }
    let Ok((name, port)) = split_port(entry, base.port()) else { return false };
    if name.is_empty() || port != base.port() {
        return false;
    }
    match base.host() {
        Host::Ip(_) | Host::Localhost => Host::parse(name).as_ref() == Some(base.host()),
        Host::Name(host) => is_domain_or_below(host, name),
    }
}

fn is_domain_or_below(host: &str, domain: &str) -> bool {
    let clean = |text: &str| text.trim_matches('.').to_ascii_lowercase();
    let (host, domain) = (clean(host), clean(domain));
    match host.strip_suffix(&domain) {
        Some(above) => !domain.is_empty() && (above.is_empty() || above.ends_with('.')),
        None => false,
    }
}

fn is_in_block(ip: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    let prefix = |ip: IpAddr, width: u32| {
        let number = match ip {
            IpAddr::V4(v4) => u128::from(u32::from(v4)),
            IpAddr::V6(v6) => u128::from(v6),
        };
        number.checked_shr(width - bits).unwrap_or(0)
    };
    let width = if ip.is_ipv4() { 32 } else { 128 };
    ip.is_ipv4() == network.is_ipv4() && bits <= width && prefix(ip, width) == prefix(network, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_and_bad_ones_refused() {
        let proxy = Proxy::parse("http://us%40er:p%3Ass@proxy.example:3128/").unwrap();
        assert_eq!((proxy.host.clone(), proxy.port), (Host::Name("proxy.example".into()), 3128));
        assert_eq!(proxy.authorization.as_deref().map(String::as_str), Some("Basic dXNAZXI6cDpzcw=="));
        assert!(!format!("{proxy:?}").contains("dXN"));
        let proxy = Proxy::parse("HTTP://user@[::1]").unwrap();
        assert_eq!(proxy.port, 80);
        assert_eq!(proxy.authorization.as_deref().map(String::as_str), Some("Basic dXNlcjo="));
        let bad = [
            "",
            "proxy",
            "https://proxy",
            "socks5://proxy",
            "http://",
            "http://a/b",
            "http://a?b",
            "http://a:0",
            "http://%zz@a",
            "http://u:%4@a",
            "http://a b",
            "http://ä",
            "http://u\r\n@a",
        ];
        for url in bad {
            assert_eq!(Proxy::parse(url).unwrap_err().code, Code::InvalidUrl, "{url}");
        }
    }

    fn chosen(url: &str, environment: &[(&str, &str)]) -> Option<String> {
        let base = BaseUrl::parse(url, true).unwrap();
        let read = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        from_environment(&base, read).unwrap().map(|p| format!("{:?}:{}", p.host, p.port))
    }

    #[test]
    fn the_environment_is_read_as_is_customary() {
        let api = "https://api.example.com";
        let a = Some("Name(\"a\"):1".to_owned());
        for name in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            assert_eq!(chosen(api, &[(name, "http://a:1")]), a, "{name}");
            assert_eq!(chosen(api, &[(name, "a:1")]), a, "{name}");
        }
        assert_eq!(chosen(api, &[("https_proxy", "a:1"), ("ALL_PROXY", "b:2")]), a);
        assert_eq!(chosen(api, &[("https_proxy", ""), ("ALL_PROXY", "a:1")]), a);
        for name in ["HTTP_PROXY", "http_proxy"] {
            assert_eq!(chosen(api, &[(name, "http://a:1")]), None, "{name}");
        }
        for url in ["http://127.0.0.1:1", "https://localhost", "https://[::1]"] {
            assert_eq!(chosen(url, &[("ALL_PROXY", "a:1")]), None, "{url}");
        }
    }

    #[test]
    fn exemptions_are_honoured() {
        let exempt =
            |url: &str, list: &str| chosen(url, &[("ALL_PROXY", "a:1"), ("NO_PROXY", list)]).is_none();
        let api = "https://api.example.com";
        for list in [
            "*",
            "api.example.com",
            "example.com",
            ".example.com",
            "x, EXAMPLE.com",
            "com",
            "example.com:443",
        ] {
            assert!(exempt(api, list), "{list}");
        }
        for list in
            ["", "ample.com", "example.org", "api.example.com.org", "example.com:80", ".", "10.0.0.0/8"]
        {
            assert!(!exempt(api, list), "{list}");
        }
        for list in ["10.1.2.3", "10.0.0.0/8", "0.0.0.0/0", "10.1.2.3/32"] {
            assert!(exempt("https://10.1.2.3", list), "{list}");
        }
        for list in ["10.1.2.4", "11.0.0.0/8", "10.1.2.2/32", "::/0", "10.0.0.0/33", "10.0.0.0/x"] {
            assert!(!exempt("https://10.1.2.3", list), "{list}");
        }
        assert!(exempt("https://[2001:db8::1]", "2001:db8::/32"));
        assert!(exempt("https://[2001:db8::1]", "[2001:db8::1]:443"));
        assert!(exempt("https://[2001:db8::1]", "2001:db8::1"));
    }
}
