//! An HTTP proxy: where it is, for which hosts it is used, and the CONNECT that opens a tunnel.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, TcpStream};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ureq::http::{Response, StatusCode};
use zeroize::Zeroizing;

use crate::error::{Code, Error};
use crate::http::exchange_context::ExchangeContext;
use crate::http::redact::hide_unread;
use crate::http::response_head::{self, Head};
use crate::http::socket_wait::{receive_some, receiving_may_wait, send_some, wait, wait_to_send};
use crate::http::url::{BaseUrl, Host, split_port};
use crate::secret::{Wiped, wipe};
use crate::sys::Interest;

/// Which name the proxy; the first that is not empty counts. Upper-case `HTTP_PROXY` is never looked
/// at: a web server's CGI sets it from a request's `Proxy` header.
const VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// The same, of the list of hosts without one.
const EXEMPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];
/// Of proxies that are none of ours. Only these are told back: what stands before the `://` of a
/// muddled value may be part of a password.
const OTHER_SCHEMES: [&str; 7] = ["https", "socks", "socks4", "socks4a", "socks5", "socks5h", "ftp"];

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
    /// Reads `http://[user[:password]@]host[:port][/]`. `source` is where it comes from: an option's
    /// name or a variable's.
    pub(crate) fn parse(url: &str, source: &str) -> Result<Self, Error> {
        Self::read(url).map_err(|why| refused(source, &why))
    }

    fn read(url: &str) -> Result<Self, String> {
        if url.bytes().any(|b| !(0x21..=0x7e).contains(&b)) {
            return Err("it has a byte outside 0x21-0x7E".into());
        }
        let rest = after_scheme(url)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '\\']) {
            return Err("it has a path, a query or a fragment".into());
        }
        let (credentials, authority) = match rest.rsplit_once('@') {
            Some((credentials, authority)) => (Some(credentials), authority),
            None => (None, rest),
        };
        let (host, port) =
            split_port(authority, 80).map_err(|_| "its port is not a number from 1 to 65535")?;
        let host = Host::parse(host).ok_or("its host is not a name or address")?;
        let authorization = credentials.map(|pair| basic(pair).ok_or("its credentials are malformed"));
        Ok(Proxy { host, port, authorization: authorization.transpose()? })
    }

    /// Asks the proxy at the other end of `stream` for a tunnel to `target` ("host:port").
    pub(crate) async fn open_tunnel(
        &self,
        stream: &TcpStream,
        target: &str,
        context: &mut ExchangeContext<'_>,
    ) -> Result<(), Error> {
        let request = self.connect_request(target);
        let mut rest = request.as_slice();
        while !send_some(stream, &mut rest, &mut 0)? {
            wait_to_send(stream, context).await?;
        }
        let answer = read_answer(stream, context).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        let status = answer.status().as_u16();
        let error = Error::new(Code::Proxy, format!("the proxy answered HTTP {status} to CONNECT"));
        let retry_after = Head::read(&answer).retry_after();
        Err(Error { http_status: Some(status), retry_after, ..error })
    }

    fn connect_request(&self, target: &str) -> Wiped {
        let authorization = self.authorization.as_ref().map(|value| value.as_str());
        let line = authorization.map_or(["", "", ""], |value| ["Proxy-Authorization: ", value, "\r\n"]);
        let start = ["CONNECT ", target, " HTTP/1.1\r\nHost: ", target, "\r\n"];
        let parts = || start.into_iter().chain(line).chain(["\r\n"]);
        // Whole from the start, so that growing leaves no copy of a secret behind.
        let mut request = Wiped::with_capacity(parts().map(str::len).sum());
        parts().for_each(|part| request.extend_from_slice(part.as_bytes()));
        request
    }
}

/// What stands behind `http://`.
fn after_scheme(url: &str) -> Result<&str, String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err("it does not begin with http://".into());
    };
    if scheme.eq_ignore_ascii_case("http") {
        return Ok(rest);
    }
    Err(match OTHER_SCHEMES.iter().find(|other| scheme.eq_ignore_ascii_case(other)) {
        Some(other) => format!("its scheme is {other}, and the only one for proxies is http"),
        None => "it does not begin with http://".into(),
    })
}

/// The user and password, percent-decoded, as RFC 7617 sends them.
fn basic(credentials: &str) -> Option<Zeroizing<String>> {
    let decoded = percent_decode(credentials)?;
    let pair = if credentials.contains(':') {
        decoded
    } else {
        let mut pair = Zeroizing::new(Vec::with_capacity(decoded.len() + 1));
        pair.extend_from_slice(&decoded);
        pair.push(b':');
        pair
    };
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(pair.as_slice()));
    Some(Zeroizing::new(format!("Basic {}", encoded.as_str())))
}

fn percent_decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
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
async fn read_answer(stream: &TcpStream, context: &mut ExchangeContext<'_>) -> Result<Response<()>, Error> {
    let mut input = Vec::new();
    let mut piece = [0; 1024];
    let doing = "waiting for the proxy";
    loop {
        let may_wait = receiving_may_wait(context);
        if !may_wait {
            wait(stream, Interest::Read, context, doing).await?;
        }
        let Some(n) = receive_some(stream, &mut piece, may_wait, doing)? else { continue };
        if n == 0 {
            return Err(Error::new(Code::ConnectionLost, "the proxy closed the connection"));
        }
        input.extend_from_slice(&piece[..n]);
        wipe(&mut piece[..n]);
        hide_unread(&mut input);
        while let Some((size, answer)) = response_head::parse(&input).map_err(|e| not_understood(&e))? {
            let status = answer.status();
            if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
                input.drain(..size);
                hide_unread(&mut input);
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

fn refused(source: &str, why: &str) -> Error {
    Error::new(Code::InvalidUrl, format!("`{source}` is refused: {why}"))
}

/// The proxy that the environment names for `base`, if any.
pub(crate) fn from_environment(
    base: &BaseUrl,
    read: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Proxy>, Error> {
    if base.host().is_loopback() || is_exempt(base, &read) {
        return Ok(None);
    }
    let Some((name, value)) = first_of(&VARIABLES, &read) else { return Ok(None) };
    let url = std::str::from_utf8(&value).map_err(|_| refused(name, "it is not UTF-8"))?;
    // Programs commonly take "host:port" for "http://host:port".
    let scheme = if url.contains("://") { "" } else { "http://" };
    Proxy::parse(&Zeroizing::new([scheme, url].concat()), name).map(Some)
}

/// The first of these variables that is not empty, and its bytes.
fn first_of<'a>(
    names: &[&'a str],
    read: &impl Fn(&str) -> Option<OsString>,
) -> Option<(&'a str, Zeroizing<Vec<u8>>)> {
    let values = names.iter().filter_map(|name| Some((*name, read(name)?)));
    values
        .map(|(name, value)| (name, Zeroizing::new(value.into_encoded_bytes())))
        .find(|(_, v)| !v.is_empty())
}

/// An entry that is not understood, or no text, exempts nothing and spoils nothing.
fn is_exempt(base: &BaseUrl, read: &impl Fn(&str) -> Option<OsString>) -> bool {
    let is_separator = |byte: &u8| matches!(byte, b',' | b';') || byte.is_ascii_whitespace();
    first_of(&EXEMPTIONS, read).is_some_and(|(_, list)| {
        let mut entries = list.split(is_separator).filter_map(|entry| std::str::from_utf8(entry).ok());
        entries.any(|entry| exempts(entry, base))
    })
}

/// Whether one entry of `NO_PROXY` names the host: `*`, a name or a domain above it (with or without
/// a leading dot), with a leading `*.` a domain above it alone, an address, a block of addresses; each
/// but a block perhaps with a port.
fn exempts(entry: &str, base: &BaseUrl) -> bool {
    if let (Some((network, bits)), Host::Ip(ip)) = (entry.split_once('/'), base.host()) {
        return is_in_block(*ip, network, bits);
    }
    if let Ok(address) = entry.parse::<IpAddr>() {
        return *base.host() == Host::Ip(address);
    }
    let Ok((name, port)) = split_port(entry, base.port()) else { return false };
    if port != base.port() {
        return false;
    }
    match base.host() {
        _ if name == "*" => true,
        Host::Ip(_) | Host::Localhost => Host::parse(name).as_ref() == Some(base.host()),
        Host::Name(host) => match name.strip_prefix("*.") {
            Some(domain) => is_below(host, domain),
            None => is_below(host, name) || clean(host) == clean(name),
        },
    }
}

fn clean(name: &str) -> String {
    name.trim_matches('.').to_ascii_lowercase()
}

fn is_below(host: &str, domain: &str) -> bool {
    let (host, domain) = (clean(host), clean(domain));
    let above = host.strip_suffix(&domain);
    !domain.is_empty() && above.is_some_and(|above| above.ends_with('.'))
}

/// `network` may stand in brackets where it is IPv6, as it does in URLs.
fn is_in_block(ip: IpAddr, network: &str, bits: &str) -> bool {
    let bracketed = network.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let network = match bracketed {
        Some(v6) => v6.parse().map(IpAddr::V6),
        None => network.parse(),
    };
    let is_number = bits.bytes().all(|b| b.is_ascii_digit());
    let (Ok(network), Ok(bits), true) = (network, bits.parse::<u32>(), is_number) else { return false };
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
        let proxy = Proxy::parse("http://us%40er:p%3Ass@proxy.example:3128/", "proxy_url").unwrap();
        assert_eq!((proxy.host.clone(), proxy.port), (Host::Name("proxy.example".into()), 3128));
        assert_eq!(proxy.authorization.as_deref().map(String::as_str), Some("Basic dXNAZXI6cDpzcw=="));
        assert!(!format!("{proxy:?}").contains("dXN"));
        let proxy = Proxy::parse("HTTP://user@[::1]", "proxy_url").unwrap();
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
            "http://0X7f000001",
            "http://0X7F.0.0.1:3128",
        ];
        for url in bad {
            let error = Proxy::parse(url, "proxy_url").unwrap_err();
            assert_eq!(error.code, Code::InvalidUrl, "{url}");
            assert!(error.message.starts_with("`proxy_url` is refused: "), "{error}");
        }
    }

    fn chosen(url: &str, environment: &[(&str, &str)]) -> Option<String> {
        let base = BaseUrl::parse(url, true).unwrap();
        let read = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).into());
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
    fn a_bad_value_is_told_by_its_variable_and_without_its_secrets() {
        let api = BaseUrl::parse("https://api.example.com", true).unwrap();
        for name in VARIABLES {
            for (value, why) in [
                ("socks5://me:hush@a:1", "socks5"),
                ("SOCKS5H://me:hush@a:1", "socks5h"),
                ("https://me:hush@a", "https"),
                ("hush://a:1", "http://"),
                ("me:hush://word@a:1", "http://"),
                ("me:hush@a:port", "port"),
                ("me:hush@a b", "byte"),
                ("http://me:hush%@a", "credentials"),
                ("me:hush@a/path", "path"),
                ("http://me:hush@0X7f000001", "host"),
            ] {
                let read = |asked: &str| (asked == name).then(|| value.into());
                let error = from_environment(&api, read).unwrap_err();
                assert_eq!(error.code, Code::InvalidUrl, "{value}");
                assert!(error.message.starts_with(&format!("`{name}` is refused: ")), "{error}");
                assert!(error.message.contains(why) && !error.message.contains("hush"), "{error}");
            }
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
            "*.example.com",
            "*.com",
            "*:443",
            "x.org\texample.com",
            "x.org\n\r\nexample.com\n",
            "x.org;example.com",
            " x.org ,\t; example.com ",
            "[:::/x,a:b:c,%,*.*,10.0.0.0/99,\u{e4}.example,example.com",
        ] {
            assert!(exempt(api, list), "{list}");
        }
        for list in [
            "",
            "ample.com",
            "example.org",
            "api.example.com.org",
            "example.com:80",
            ".",
            "10.0.0.0/8",
            "*.api.example.com",
            "*.ample.com",
            "*example.com",
            "*.",
            "*:80",
            " ,;\t",
        ] {
            assert!(!exempt(api, list), "{list}");
        }
        for list in ["10.1.2.3", "10.0.0.0/8", "0.0.0.0/0", "10.1.2.3/32"] {
            assert!(exempt("https://10.1.2.3", list), "{list}");
        }
        for list in [
            "10.1.2.4",
            "11.0.0.0/8",
            "10.1.2.2/32",
            "::/0",
            "[::]/0",
            "10.0.0.0/33",
            "10.0.0.0/x",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "[10.0.0.0]/8",
            "*.1.2.3",
        ] {
            assert!(!exempt("https://10.1.2.3", list), "{list}");
        }
        for list in [
            "2001:db8::/32",
            "[2001:db8::]/32",
            "[::]/0",
            "[2001:db8::1]:443",
            "[2001:db8::1]",
            "2001:db8::1",
        ] {
            assert!(exempt("https://[2001:db8::1]", list), "{list}");
        }
        for list in ["[2001:db8::]/129", "[2001:db9::]/32", "[2001:db8::/32", "[2001:db8::1]:80"] {
            assert!(!exempt("https://[2001:db8::1]", list), "{list}");
        }
    }
}
