//! HyperID's answers: each endpoint's result numbers, and the fields of a success.

use crate::call::{http_error, with_answer};
use crate::error::{Code, Error};
use crate::http::Answer;
use crate::hyperid::decision::{self, State};
use crate::json::{Fields, Wanted, required};

/// Which number means what. The two families mirror each other: −2 is "invalid parameters" in one
/// and "token expired" in the other, so each endpoint names its own.
pub(super) type ResultTable = &'static [(i32, Code)];

/// `mfa-client/availability-check` [S].
pub(super) const AVAILABILITY: ResultTable = &MFA_CLIENT;

/// `mfa-client/transaction/start/v2` [S].
pub(super) const START: ResultTable = &[
    MFA_CLIENT[0],
    MFA_CLIENT[1],
    MFA_CLIENT[2],
    MFA_CLIENT[3],
    MFA_CLIENT[4],
    (-7, Code::DeviceNotFound),
    (-8, Code::TemplateNotFound),
];

/// `mfa-client/transaction/status-get` [S].
pub(super) const STATUS: ResultTable = &[
    MFA_CLIENT[0],
    MFA_CLIENT[1],
    MFA_CLIENT[2],
    MFA_CLIENT[3],
    MFA_CLIENT[4],
    (-6, Code::TransactionNotFound),
];

/// `mfa-client/transaction/cancel` [S].
pub(super) const CANCEL: ResultTable = &[
    MFA_CLIENT[0],
    MFA_CLIENT[1],
    MFA_CLIENT[2],
    MFA_CLIENT[3],
    MFA_CLIENT[4],
    (-6, Code::TransactionNotFound),
    (-8, Code::AlreadyExpired),
    (-9, Code::AlreadyCompleted),
    (-10, Code::AlreadyCancelled),
];

/// `2fa/types/get` [I, high confidence]: family B.
pub(super) const TWO_FACTOR_TYPES: ResultTable = &[
    (-1, Code::TokenInvalid),
    (-2, Code::TokenExpired),
    (-3, Code::AccessDenied),
    (-4, Code::Unavailable),
    (-5, Code::ProviderInvalidParameters),
];

/// Family A [S]: what every `mfa-client` endpoint may answer.
const MFA_CLIENT: [(i32, Code); 5] = [
    (-1, Code::Unavailable),
    (-2, Code::ProviderInvalidParameters),
    (-3, Code::AccessDenied),
    (-4, Code::TokenExpired),
    (-5, Code::TokenInvalid),
];

/// All that any of the answers is asked for.
const FIELDS: &Wanted = &[
    "result",
    "is_available",
    "auth_types",
    "transaction_id",
    "transaction_status",
    "transaction_complete_result",
];

/// Whether a failure is the server's own, well-formed "no".
pub(super) fn is_refusal(error: &Error) -> bool {
    error.http_status == Some(200) && error.provider_code.is_some_and(|number| number < 0)
}

/// Reads an answer: refusals become errors, and `read` takes the fields of a success.
pub(super) fn decode<T>(
    answer: &Answer,
    table: ResultTable,
    read: impl FnOnce(&Fields<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    if answer.status != 200 {
        return Err(http_error(answer));
    }
    success(answer, table).and_then(|fields| read(&fields)).map_err(|error| with_answer(error, answer))
}

fn success<'a>(answer: &'a Answer, table: ResultTable) -> Result<Fields<'a>, Error> {
    let fields = Fields::parse(&answer.body, FIELDS)?;
    let result: i32 = required(fields.integer("result")?, "result")?;
    match result {
        0 => Ok(fields),
        1.. => Err(Error::malformed(format!("the answer's result {result} has no meaning"))
            .with_provider_code(result)),
        _ => Err(refusal(result, table)),
    }
}

fn refusal(result: i32, table: ResultTable) -> Error {
    let known = table.iter().find(|(number, _)| *number == result);
    let code = known.map_or(Code::ProviderRefused, |(_, code)| *code);
    Error::new(code, format!("HyperID refused with result {result}")).with_provider_code(result)
}

pub(super) fn available(answer: &Answer) -> Result<bool, Error> {
    decode(answer, AVAILABILITY, |fields| required(fields.boolean("is_available")?, "is_available"))
}

pub(super) fn two_factor_types(answer: &Answer) -> Result<Vec<i32>, Error> {
    decode(answer, TWO_FACTOR_TYPES, |fields| required(fields.integers("auth_types")?, "auth_types"))
}

pub(super) fn started(answer: &Answer) -> Result<i64, Error> {
    decode(answer, START, |fields| {
        let id = required(fields.integer_or_digits("transaction_id")?, "transaction_id")?;
        if id <= 0 {
            return Err(Error::malformed(format!("the answer's transaction_id {id} is not above 0")));
        }
        Ok(id)
    })
}

pub(super) fn state(answer: &Answer, asked_for: i64) -> Result<State, Error> {
    decode(answer, STATUS, |fields| decision::read(fields, asked_for))
}

pub(super) fn cancelled(answer: &Answer) -> Result<(), Error> {
    decode(answer, CANCEL, |_| Ok(()))
}
