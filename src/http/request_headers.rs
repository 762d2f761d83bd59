//! The header lines that all requests of a client have in common, written once, in `_new`.
//!
//! The caller may add some: Capillary's installations want an `Authorization` that its documentation
//! leaves open.

use ureq::http::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::http::url::BaseUrl;
use crate::options::ClientOptions;
use crate::secret::Wiped;

const MAX_HEADERS: usize = 32;
const MAX_VALUE: usize = 16_384;
const MAX_USER_AGENT: usize = 256;

/// What libmfa itself sends or relies on.
const OWN: [&str; 13] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// What all requests of a client begin with.
#[derive(Debug)]
pub(crate) struct CommonHeaders {
    pub(super) host: HeaderValue,
    /// Whole lines, those that the caller adds included.
    pub(super) lines: Wiped,
}

impl CommonHeaders {
    /// `reserved`: one more name that is not for the caller.
    pub(crate) fn new(
        base: &BaseUrl,
        options: &ClientOptions,
        reserved: Option<&str>,
    ) -> Result<Self, Error> {
        let lines = lines(options.user_agent.as_deref(), &options.headers, reserved)?;
        Ok(CommonHeaders { host: base.host_header()?, lines })
    }
}

/// `user_agent` is appended to libmfa's own. `reserved` is one more name that is not for the caller,
/// because this provider's requests have it.
fn lines(
    user_agent: Option<&str>,
    given: &[(String, Zeroizing<String>)],
    reserved: Option<&str>,
) -> Result<Wiped, Error> {
    if given.len() > MAX_HEADERS {
        return Err(Error::argument(format!("there are more than {MAX_HEADERS} headers")));
    }
    let user_agent = self::user_agent(user_agent)?;
    let own = [
        ("user-agent", user_agent.as_str()),
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
        ("content-type", "application/json"),
    ];
    for (name, value) in given {
        check_name(name, reserved)?;
        check_value(name, value)?;
    }
    let all = || own.into_iter().chain(given.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    // Whole from the start, so that growing leaves no copy of a secret behind.
    let mut lines = Wiped::with_capacity(all().map(|(name, value)| name.len() + value.len() + 4).sum());
    for (name, value) in all() {
        for part in [name, ": ", value, "\r\n"] {
            lines.extend_from_slice(part.as_bytes());
        }
    }
    Ok(lines)
}

fn user_agent(appended: Option<&str>) -> Result<String, Error> {
    let own = concat!("libmfa/", env!("CARGO_PKG_VERSION"));
    let Some(text) = appended.filter(|t| !t.is_empty()) else { return Ok(own.to_owned()) };
    if text.len() > MAX_USER_AGENT || !text.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
        return Err(Error::argument(format!(
            "`user_agent` is longer than {MAX_USER_AGENT} bytes or has one outside 0x20-0x7E"
        )));
    }
    Ok(format!("{own} {text}"))
}

fn check_name(name: &str, reserved: Option<&str>) -> Result<(), Error> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Error::argument("a header's name is empty or has a character that is not allowed"))?;
    let is_own = OWN.contains(&parsed.as_str()) || reserved == Some(parsed.as_str());
    if is_own || parsed.as_str().starts_with("proxy-") {
        return Err(Error::argument(format!("the header {parsed} is libmfa's own")));
    }
    Ok(())
}

fn check_value(name: &str, value: &str) -> Result<(), Error> {
    let is_sound =
        (1..=MAX_VALUE).contains(&value.len()) && value.bytes().all(|b| (0x20..=0x7e).contains(&b));
    if !is_sound {
        return Err(Error::argument(format!(
            "the value of the header {name} is empty, longer than {MAX_VALUE} bytes or has one outside 0x20-0x7E"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str) -> Result<(), Error> {
        lines(None, &[(name.into(), Zeroizing::new(value.into()))], Some("authorization")).map(|_| ())
    }

    #[test]
    fn only_sound_headers_of_the_caller_s_own_are_taken() {
        assert!(check("X-Trace", "a b").is_ok());
        assert!(check("cookie", "~").is_ok());
        for name in
            ["", "a b", "a:", "a\r\nb", "ü", "Host", "content-length", "AUTHORIZATION", "Proxy-Foo", "TE"]
        {
            assert!(check(name, "x").is_err(), "{name}");
        }
        for value in ["", "a\r\nb: c", "a\nb", "a\0b", "ü", "\u{7f}"] {
            assert!(check("X-A", value).is_err(), "{value:?}");
        }
        let error = check("X-A", "hush\n").unwrap_err();
        assert!(!error.message.contains("hush"));
        let many = vec![("X-A".to_owned(), Zeroizing::new("b".to_owned())); MAX_HEADERS + 1];
        assert!(lines(None, &many, None).is_err());
        assert!(lines(None, &many[1..], None).is_ok());
    }
}
