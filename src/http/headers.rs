//! Headers that the caller adds to every request: some of Capillary's installations want an
//! `Authorization` that its documentation leaves open.

use bytes::Bytes;
use ureq::http::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::secret::Wiped;

const MAX_HEADERS: usize = 32;
const MAX_VALUE: usize = 16_384;

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

/// Checks the caller's headers; `reserved` is one more name that this provider's client sends.
pub(crate) fn checked(
    given: &[(String, Zeroizing<String>)],
    reserved: Option<&str>,
) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
    if given.len() > MAX_HEADERS {
        return Err(Error::argument(format!("there are more than {MAX_HEADERS} headers")));
    }
    given.iter().map(|(name, value)| Ok((header_name(name, reserved)?, header_value(name, value)?))).collect()
}

fn header_name(name: &str, reserved: Option<&str>) -> Result<HeaderName, Error> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Error::argument("a header's name is empty or has a character that is not allowed"))?;
    let is_own = OWN.contains(&parsed.as_str()) || reserved == Some(parsed.as_str());
    if is_own || parsed.as_str().starts_with("proxy-") {
        return Err(Error::argument(format!("the header {parsed} is libmfa's own")));
    }
    Ok(parsed)
}

/// A value that is never printed, and zeroed when its last copy is dropped.
fn header_value(name: &str, value: &str) -> Result<HeaderValue, Error> {
    let is_sound =
        (1..=MAX_VALUE).contains(&value.len()) && value.bytes().all(|b| (0x20..=0x7e).contains(&b));
    if !is_sound {
        return Err(Error::argument(format!(
            "the value of the header {name} is empty, longer than {MAX_VALUE} bytes or has one outside 0x20-0x7E"
        )));
    }
    secret_value(value.as_bytes().to_vec().into())
}

/// A header value over bytes that are zeroed when its last copy is dropped.
pub(crate) fn secret_value(bytes: Wiped) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(bytes))
        .map_err(|_| Error::argument("a value cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str) -> Result<(), Error> {
        checked(&[(name.into(), Zeroizing::new(value.into()))], Some("authorization")).map(|_| ())
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
        assert!(checked(&many, None).is_err());
        assert!(checked(&many[1..], None).is_ok());
    }
}
