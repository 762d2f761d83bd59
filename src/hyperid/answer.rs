//! HyperID's answers: each endpoint's result numbers and fields, and how they are read.

use crate::call::{http_error, with_answer};
use crate::error::{Code, Error};
use crate::http::Answer;
use crate::hyperid::decision::{self, Look, Reading};
use crate::json::{FieldNames, Fields, looks_like_object, required};

/// What the answers of one endpoint hold.
pub(super) struct Shape {
    /// Which endpoint it is, for errors: a confirm asks several, and a number means something else in each.
    pub(super) path: &'static str,
    /// Which refusal means what. The two families mirror each other: −2 is "invalid parameters" in
    /// one and "token expired" in the other, so each endpoint names its own.
    refusals: &'static [(i32, Code)],
    /// The fields of a success.
    fields: &'static FieldNames,
}

/// Each field that some endpoint's success has. Under `result` 0 one that is not the endpoint's own
/// shows an answer to another question, whatever its value.
const ALL_FIELDS: [&str; 5] =
    ["is_available", "auth_types", "transaction_id", "transaction_status", "transaction_complete_result"];

/// `mfa-client/availability-check` [S].
pub(super) const AVAILABILITY: Shape = Shape {
    path: "/mfa-client/availability-check",
    refusals: &MFA_CLIENT,
    fields: &["result", "is_available"],
};

/// `2fa/types/get`: family B [I, high confidence].
pub(super) const TWO_FACTOR_TYPES: Shape = Shape {
    path: "/2fa/types/get",
    refusals: &[
        (-1, Code::TokenInvalid),
        (-2, Code::TokenExpired),
        (-3, Code::AccessDenied),
        (-4, Code::Unavailable),
        (-5, Code::ProviderInvalidParameters),
    ],
    fields: &["result", "auth_types"],
};

/// `mfa-client/transaction/start/v2` [S].
pub(super) const START: Shape = Shape {
    path: "/mfa-client/transaction/start/v2",
    refusals: &[
        MFA_CLIENT[0],
        MFA_CLIENT[1],
        MFA_CLIENT[2],
        MFA_CLIENT[3],
        MFA_CLIENT[4],
        (-7, Code::DeviceNotFound),
        (-8, Code::TemplateNotFound),
    ],
    fields: &["result", "transaction_id"],
};

/// `mfa-client/transaction/status-get` [S].
pub(super) const STATUS: Shape = Shape {
    path: "/mfa-client/transaction/status-get",
    refusals: &[
        MFA_CLIENT[0],
        MFA_CLIENT[1],
        MFA_CLIENT[2],
        MFA_CLIENT[3],
        MFA_CLIENT[4],
        (-6, Code::TransactionNotFound),
    ],
    fields: &["result", "transaction_id", "transaction_status", "transaction_complete_result"],
};

/// `mfa-client/transaction/cancel` [S]; the id is optional [I].
pub(super) const CANCEL: Shape = Shape {
    path: "/mfa-client/transaction/cancel",
    refusals: &[
        MFA_CLIENT[0],
        MFA_CLIENT[1],
        MFA_CLIENT[2],
        MFA_CLIENT[3],
        MFA_CLIENT[4],
        (-6, Code::TransactionNotFound),
        (-8, Code::AlreadyExpired),
        (-9, Code::AlreadyCompleted),
        (-10, Code::AlreadyCancelled),
    ],
    fields: &["result", "transaction_id"],
};

/// Family A [S]: what every `mfa-client` endpoint may answer.
const MFA_CLIENT: [(i32, Code); 5] = [
    (-1, Code::Unavailable),
    (-2, Code::ProviderInvalidParameters),
    (-3, Code::AccessDenied),
    (-4, Code::TokenExpired),
    (-5, Code::TokenInvalid),
];

/// Whether a failure is the provider's own, well-formed "no".
pub(super) fn is_refusal(error: &Error) -> bool {
    error.http_status == Some(200) && error.provider_code.is_some_and(|number| number < 0)
}

/// Whether a failure is a "no" by whoever answered, told by the HTTP status alone: the request was
/// not carried out.
pub(super) fn is_http_refusal(error: &Error) -> bool {
    let is_told_by_status = matches!(error.code, Code::HttpStatus | Code::TokenInvalid | Code::RateLimited);
    is_told_by_status
        && matches!(error.http_status, Some(400 | 401 | 405 | 411 | 413 | 414 | 415 | 429 | 431))
}

/// Reads an answer: refusals become errors, and `read` takes the fields of a success.
fn decode<T>(
    answer: &Answer,
    shape: &Shape,
    read: impl FnOnce(&Fields<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let read = || match answer.status {
        200 => success(answer, shape).and_then(|fields| read(&fields)),
        _ => Err(http_error(answer)),
    };
    read().map_err(|error| {
        let message = format!("{}: {}", shape.path, error.message);
        with_answer(Error { message, ..error }, answer)
    })
}

fn success<'a>(answer: &'a Answer, shape: &Shape) -> Result<Fields<'a>, Error> {
    let fields = match Fields::parse(&answer.body, shape.fields) {
        Ok(fields) => fields,
        Err(error) => return Err(bare_refusal(answer, shape).unwrap_or(error)),
    };
    let result: i32 = required(fields.integer("result")?, "result")?;
    match result {
        0 => check_fields(fields),
        1.. => Err(Error::malformed(format!("the answer's result {result} has no meaning"))
            .with_provider_code(result)),
        _ => Err(refusal(result, shape)),
    }
}

/// In a refusal nothing but `result` counts: a number too large for its type, say, in a field that
/// only a success has, does not hide it.
fn bare_refusal(answer: &Answer, shape: &Shape) -> Option<Error> {
    let fields = Fields::parse(&answer.body, &["result"]).ok()?;
    let result = fields.integer::<i32>("result").ok()??;
    (result < 0).then(|| refusal(result, shape))
}

fn check_fields<'a>(fields: Fields<'a>) -> Result<Fields<'a>, Error> {
    // What the shape does not have is unwanted, and few answers hold any of that.
    let foreign = fields.unwanted().find(|name| ALL_FIELDS.contains(name)).map(str::to_owned);
    match foreign {
        None => Ok(fields),
        Some(name) => {
            Err(Error::contradictory(format!("the answer's \"{name}\" belongs to another question")))
        }
    }
}

fn refusal(result: i32, shape: &Shape) -> Error {
    let known = shape.refusals.iter().find(|(number, _)| *number == result);
    let code = known.map_or(Code::ProviderRefused, |(_, code)| *code);
    Error::new(code, format!("HyperID refused with result {result}")).with_provider_code(result)
}

pub(super) fn available(answer: &Answer) -> Result<bool, Error> {
    decode(answer, &AVAILABILITY, |fields| required(fields.boolean("is_available")?, "is_available"))
}

pub(super) fn two_factor_types(answer: &Answer) -> Result<Vec<i32>, Error> {
    decode(answer, &TWO_FACTOR_TYPES, |fields| required(fields.integers("auth_types")?, "auth_types"))
}

pub(super) fn started(answer: &Answer) -> Result<i64, Error> {
    decode(answer, &START, |fields| {
        let id = required(fields.integer_or_digits("transaction_id")?, "transaction_id")?;
        if id <= 0 {
            return Err(Error::malformed(format!("the answer's transaction_id {id} is not above 0")));
        }
        Ok(id)
    })
}

/// What `status-get` says of the transaction that was asked for.
pub(super) fn state(answer: &Answer, asked_for: i64, look: Look) -> Result<Reading, Error> {
    // A second look counts on a connection that has answered nothing before.
    let look = if answer.is_first { look } else { Look::First };
    decode(answer, &STATUS, |fields| decision::read(fields, asked_for, look))
}

/// As `state`, for a wait, which also has to know whose word a failure is.
pub(super) fn polled(answer: &Answer, asked_for: i64, look: Look) -> Result<Reading, Error> {
    state(answer, asked_for, look).map_err(|error| match answer.status {
        300..=399 => hearsay(error),
        403 | 404 => match bare_refusal(answer, &STATUS) {
            // It ends the wait, with the status's code; its number is kept, and decides nothing.
            Some(refusal) => Error { provider_code: refusal.provider_code, ..error },
            None => hearsay(error),
        },
        200..=299 if !looks_like_object(&answer.body) => hearsay(error),
        _ => error,
    })
}

fn hearsay(error: Error) -> Error {
    Error { is_hearsay: true, ..error }
}

pub(super) fn cancelled(answer: &Answer, asked_for: i64) -> Result<(), Error> {
    decode(answer, &CANCEL, |fields| decision::check_id(fields, asked_for).map(|_| ()))
}
