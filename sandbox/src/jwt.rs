//! Access tokens shaped as the providers': three parts, HS256. Nobody has the key, so nobody can check them, as with
//! the real ones: to a client a token is opaque.

use std::io;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;

use crate::random;

/// Makes one. Its signature is random bytes, which looks the same to all who do not have the key.
pub(crate) fn make(
    issuer: &str,
    person: &str,
    scopes: &[String],
    lives: Option<Duration>,
) -> io::Result<String> {
    let now = seconds(SystemTime::now());
    let mut payload = json!({
        "iss": format!("{issuer}/auth/realms/HyperID"),
        "sub": person,
        "typ": "Bearer",
        "azp": "sandbox",
        "jti": random::secret()?,
        "iat": now,
        "scope": scopes.join(" "),
    });
    if let Some(lives) = lives {
        payload["exp"] = now.saturating_add(lives.as_secs()).into();
    }
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signature = part(&random::bytes::<32>()?);
    Ok(format!(
        "{}.{}.{signature}",
        part(header.to_string().as_bytes()),
        part(payload.to_string().as_bytes())
    ))
}

/// What a token of this shape says about itself. Its signature is not looked at.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Claims {
    pub(crate) person: Option<String>,
    /// How long it is still good; zero if it has expired.
    pub(crate) lives: Option<Duration>,
}

#[derive(Deserialize)]
struct Payload {
    sub: Option<String>,
    exp: Option<f64>,
}

/// The claims; `None` if the token has not this shape.
pub(crate) fn read(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    serde_json::from_slice::<serde_json::Map<_, _>>(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let payload: Payload = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let left =
        |exp: f64| Duration::try_from_secs_f64((exp - seconds(SystemTime::now()) as f64).max(0.0)).ok();
    Some(Claims { person: payload.sub.filter(|sub| !sub.is_empty()), lives: payload.exp.and_then(left) })
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_read() {
        let token =
            make("http://127.0.0.1:1", "ann", &["mfa-client".to_owned()], Some(Duration::from_secs(90)))
                .unwrap();
        assert!(token.bytes().all(|byte| (0x21..=0x7e).contains(&byte)));
        let claims = read(&token).unwrap();
        assert_eq!(claims.person.as_deref(), Some("ann"));
        assert!(
            claims.lives.unwrap() <= Duration::from_secs(90)
                && claims.lives.unwrap() > Duration::from_secs(30)
        );
        assert_eq!(read(&make("", "bob", &[], None).unwrap()).unwrap().lives, None);
    }

    #[test]
    fn other_shapes_are_none() {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token = |header: &str, payload: &str| format!("{}.{}.x", part(header), part(payload));
        assert_eq!(read(&token("{}", "{}")), Some(Claims::default()));
        assert_eq!(
            read(&token("{}", r#"{"sub":"","exp":5}"#)),
            Some(Claims { person: None, lives: Some(Duration::ZERO) })
        );
        for other in [
            "",
            "a",
            "a.b.c",
            "..",
            &token("[]", "{}"),
            &token("{}", r#"{"sub":5}"#),
            &format!("{}.x", token("{}", "{}")),
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
