//! What may be repeated, and when. Pure: no clock, no I/O.

use std::time::Duration;

use crate::error::{Code, Error};

/// Requests that one call makes at the most.
const MAX_ATTEMPTS: u32 = 4;
const FIRST_DELAY: Duration = Duration::from_millis(200);
const MAX_DELAY: Duration = Duration::from_secs(5);

/// Whether the trouble may pass by itself: a failed connection or handshake, 408, 425, 429, a 5xx,
/// "temporarily unavailable". Only a call that may be repeated at all is repeated then.
pub(crate) fn is_transient(error: &Error) -> bool {
    match error.code {
        Code::Dns | Code::Connect | Code::ConnectTimeout | Code::ConnectionLost | Code::RequestTimeout => {
            true
        }
        Code::Tls | Code::Unavailable | Code::RateLimited => true,
        // Of a proxy too: it could not reach the server just now.
        Code::HttpStatus | Code::Proxy => error.http_status.is_some_and(is_transient_status),
        _ => false,
    }
}

fn is_transient_status(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

/// How long to wait before the next attempt, after `attempts` have failed; `None`: give up.
///
/// `jitter` is any number: it spreads the callers that failed together.
pub(crate) fn delay(error: &Error, attempts: u32, jitter: u64) -> Option<Duration> {
    if !is_transient(error) || attempts >= MAX_ATTEMPTS {
        return None;
    }
    let spread = backoff(attempts, jitter);
    // The server knows best when it will be back.
    Some(error.retry_after.map_or(spread, |told| told.max(spread)))
}

/// How long to wait after so many failures in a row: twice as long each time, up to a bound.
pub(crate) fn backoff(failures: u32, jitter: u64) -> Duration {
    let doubled = FIRST_DELAY.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(MAX_DELAY);
    doubled - quarter_part(doubled, jitter)
}

/// `delay`, and up to a quarter more.
pub(crate) fn stretched(delay: Duration, jitter: u64) -> Duration {
    delay.saturating_add(quarter_part(delay, jitter))
}

fn quarter_part(delay: Duration, jitter: u64) -> Duration {
    let part = u32::try_from(jitter % 1024).unwrap_or(0);
    delay / 4 * part / 1024
}

/// A number to spread callers with. Not for secrets.
pub(crate) fn jitter() -> u64 {
    #[cfg(all(test, target_os = "linux"))]
    if let Some(world) = crate::clock::simulated::world() {
        return world.random();
    }
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: Code) -> Error {
        Error::new(code, "")
    }

    #[test]
    fn only_passing_trouble_is_repeated() {
        use crate::codes::CODES;
        let transient = [111, 112, 113, 114, 115, 116, 460, 461];
        for entry in CODES {
            let code = Code::from_number(entry.number).unwrap();
            assert_eq!(is_transient(&error(code)), transient.contains(&entry.number), "{}", entry.name);
        }
        for (status, expected) in [
            (200, false),
            (302, false),
            (400, false),
            (404, false),
            (408, true),
            (425, true),
            (429, true),
            (500, true),
            (599, true),
        ] {
            for code in [Code::HttpStatus, Code::Proxy] {
                let http = Error { http_status: Some(status), ..error(code) };
                assert_eq!(is_transient(&http), expected, "{status}");
            }
        }
    }

    #[test]
    fn delays_grow_and_end() {
        let failed = error(Code::Unavailable);
        let delays: Vec<_> = (1..=4).map(|n| delay(&failed, n, 0)).collect();
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(delays, [ms(200), ms(400), ms(800), None]);
    }

    #[test]
    fn the_servers_word_is_a_lower_bound() {
        let told = Error { retry_after: Some(Duration::from_secs(9)), ..error(Code::RateLimited) };
        assert_eq!(delay(&told, 1, 0), Some(Duration::from_secs(9)));
        let told = Error { retry_after: Some(Duration::ZERO), ..error(Code::RateLimited) };
        assert_eq!(delay(&told, 1, 0), Some(FIRST_DELAY));
    }

    #[test]
    fn jitter_stays_within_a_quarter() {
        let second = Duration::from_secs(1);
        for jitter in [0, 1, 511, 1023, 1024, u64::MAX] {
            let longer = stretched(second, jitter);
            assert!(longer >= second && longer < Duration::from_millis(1250), "{longer:?}");
            let shorter = backoff(3, jitter);
            assert!(shorter <= 4 * FIRST_DELAY && shorter > 3 * FIRST_DELAY, "{shorter:?}");
        }
    }
}
