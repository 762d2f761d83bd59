//! Capillary's envelope, and what its codes mean to `isMfaRegistered`.

use super::{Registration, RegistrationState};
use crate::call::{http_error, with_answer};
use crate::error::{Code, Error};
use crate::http::Answer;
use crate::json::{FieldNames, Fields, required};

/// `status {success, code, message}` [S]. The message is for people and never looked at.
struct Status {
    success: bool,
    code: i32,
}

/// All that the envelope is asked for.
const FIELDS: &FieldNames = &["status", "success", "code"];

pub(super) fn registration(answer: &Answer) -> Result<Registration, Error> {
    let status = match envelope(answer) {
        Ok(status) => status,
        // Not the envelope under an HTTP error: a wrong address or a CDN's page, never an answer.
        Err(_) if !is_2xx(answer.status) => return Err(http_error(answer)),
        Err(error) => return Err(with_answer(error, answer)),
    };
    judge(&status, answer).map_err(|error| with_answer(error.with_provider_code(status.code), answer))
}

fn envelope(answer: &Answer) -> Result<Status, Error> {
    let fields = Fields::parse(&answer.body, FIELDS)?;
    let status = required(fields.object("status")?, "status")?;
    let success = required(status.boolean("success")?, "status.success")?;
    let code = required(status.integer_or_digits("code")?, "status.code")?;
    let code =
        i32::try_from(code).map_err(|_| Error::malformed("the answer's status.code is out of range"))?;
    if code < 0 {
        return Err(Error::malformed("the answer's status.code is negative"));
    }
    Ok(Status { success, code })
}

/// The codes of `isMfaRegistered` [S]. An answer counts only under an HTTP status that fits it.
fn judge(status: &Status, answer: &Answer) -> Result<Registration, Error> {
    let http = answer.status;
    let found = |state| Ok(Registration { state, raw_code: status.code, http_status: http });
    match (status.success, status.code) {
        (true, 200) if is_2xx(http) => found(RegistrationState::Registered),
        (true, _) => {
            Err(Error::contradictory(format!("success beside code {} under HTTP {http}", status.code)))
        }
        (false, 200) => Err(Error::contradictory("failure beside code 200")),
        (false, 404) if is_2xx(http) || http == 404 => found(RegistrationState::NotRegistered),
        (false, 1513) if is_2xx(http) || (400..500).contains(&http) => found(RegistrationState::NotEnabled),
        (false, 404 | 1513) => Err(Error { code: http_error(answer).code, ..refusal(status.code) }),
        (false, 1504) => Err(Error { code: Code::TokenInvalid, ..refusal(status.code) }),
        (false, 401 | 1529) => Err(Error { code: Code::TokenExpired, ..refusal(status.code) }),
        (false, _) if is_2xx(http) => Err(refusal(status.code)),
        // A refusal that has no name here tells less than its HTTP status.
        (false, _) => Err(Error { code: refused_under(answer), ..refusal(status.code) }),
    }
}

/// 401 under HTTP is "token expired" to this provider too [S: its table mixes both].
fn refused_under(answer: &Answer) -> Code {
    match answer.status {
        401 => Code::TokenExpired,
        400..=499 if ![403, 429].contains(&answer.status) => Code::ProviderRefused,
        _ => http_error(answer).code,
    }
}

fn refusal(code: i32) -> Error {
    Error::new(Code::ProviderRefused, format!("Capillary refused with code {code}"))
}

fn is_2xx(status: u16) -> bool {
    (200..300).contains(&status)
}
