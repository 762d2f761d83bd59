//! THE table of behaviours: the source of the dispatch, of `--help` and of the README's list.

use std::time::Duration;

use super::effect::{
    DeliveryFault, Desync, Edit, Effect, Ending, Plan, ProfileChange, Replacement, THINKING, TokenFault,
};
use crate::endpoint::{ALL, BY_ID, CAPILLARY, Endpoints, HYPERID, START, STATUS};

/// What may stand behind a behaviour's name.
#[derive(Clone, Copy)]
pub(super) enum Argument {
    None,
    /// `NAME` or `NAME-after-MS`.
    After,
    /// A number, with its default if it may be left out.
    Number(&'static str, Option<u64>),
    /// A number that says how many requests are concerned.
    Count(u64),
    /// An HTTP status, with its default if it may be left out.
    Http(Option<u16>),
    Signed(&'static str, Option<i64>),
    Text(&'static str),
}

/// An argument, read by its kind.
pub(super) enum Value<'a> {
    Nothing,
    Number(u64),
    Http(u16),
    Signed(i64),
    Text(&'a str),
}

/// One behaviour.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) argument: Argument,
    pub(super) endpoints: Endpoints,
    pub(super) help: &'static str,
    pub(super) make: fn(&Value) -> Option<Effect>,
}

const CODE: &str = "status.code";
const COMPLETE: &str = "transaction_complete_result";
const TX_STATUS: &str = "transaction_status";
const TX_ID: &str = "transaction_id";

#[rustfmt::skip] // one row, one line or two: a table is read by columns
pub(super) const TABLE: &[Row] = &[
    // What the person does.
    Row { name: "phone", argument: Argument::None, endpoints: START, make: |_| Some(Effect::Plan(Plan::Phone)),
          help: "the person decides on the phone page, or a test by its API" },
    Row { name: "approve", argument: Argument::After, endpoints: START, make: |g| ends(Ending::Approve, g),
          help: "approves after 300 ms; what a token without a decision of its own does" },
    Row { name: "deny", argument: Argument::After, endpoints: START, make: |g| ends(Ending::Deny, g),
          help: "denies after 300 ms" },
    Row { name: "never", argument: Argument::None, endpoints: START, make: |_| Some(Effect::Plan(Plan::Never)),
          help: "nobody answers: pending until its life is over; not shown on the page" },
    Row { name: "expire", argument: Argument::After, endpoints: START, make: |g| ends(Ending::Expire, g),
          help: "expires (status 2) after 300 ms, whatever its life" },
    Row { name: "declined", argument: Argument::After, endpoints: START, make: |g| ends(Ending::Decline, g),
          help: "becomes declined (status 4) after 300 ms" },
    Row { name: "failed", argument: Argument::After, endpoints: START, make: |g| ends(Ending::Fail, g),
          help: "becomes failed (status 3) after 300 ms" },
    // Who the person is.
    Row { name: "no-app", argument: Argument::None, endpoints: ALL, make: |_| Some(Effect::Profile(ProfileChange::NoApp)),
          help: "has not linked the app: not available, no method 0, start answers -7" },
    Row { name: "methods", argument: Argument::Text("LIST"), endpoints: ALL, make: methods,
          help: "has these second factors (`methods-0,3`, `methods-none`) in place of 0,3" },
    Row { name: "device", argument: Argument::Text("NAME"), endpoints: ALL, make: |g| Some(Effect::Profile(ProfileChange::Device(text(g).to_owned()))),
          help: "has registered only this device: another `device_id` gets -7, another `deviceId` 1508" },
    Row { name: "registered", argument: Argument::None, endpoints: CAPILLARY, make: |_| Some(Effect::Profile(ProfileChange::Registered)),
          help: "Capillary: MFA is registered (200); what a token does that says nothing else" },
    Row { name: "not-registered", argument: Argument::None, endpoints: CAPILLARY, make: |_| Some(Effect::Profile(ProfileChange::NotRegistered)),
          help: "Capillary: MFA is not registered (404)" },
    // What is wrong with the token.
    Row { name: "token-expired", argument: Argument::None, endpoints: ALL, make: |_| token(TokenFault::Expired),
          help: "token expired (HyperID -4 or -2, Capillary 401)" },
    Row { name: "expired-token", argument: Argument::None, endpoints: ALL, make: |_| token(TokenFault::Expired),
          help: "the same as `token-expired`" },
    Row { name: "token-invalid", argument: Argument::None, endpoints: ALL, make: |_| token(TokenFault::Invalid),
          help: "token invalid (HyperID -5 or -1, Capillary 1504)" },
    Row { name: "revoked", argument: Argument::None, endpoints: ALL, make: |_| token(TokenFault::Invalid),
          help: "the same as `token-invalid`" },
    Row { name: "no-scope", argument: Argument::None, endpoints: HYPERID, make: |_| token(TokenFault::InsufficientScope),
          help: "the scope was not granted: access denied (-3)" },
    Row { name: "token-expires-after", argument: Argument::Number("POLLS", None), endpoints: HYPERID, make: |g| token(TokenFault::ExpiresAfter(number(g))),
          help: "expires after so many status answers; a fresh token for the same person is any with the same `#PERSON`" },
    // Answers in place of the right one; the request is not carried out.
    Row { name: "refuse", argument: Argument::Signed("NUMBER", None), endpoints: ALL, make: |g| replacement(Replacement::Refuse(signed(g))),
          help: "`result` (Capillary: `status.code`) is this number: `refuse--8@start`" },
    Row { name: "unavailable", argument: Argument::None, endpoints: HYPERID, make: |_| replacement(Replacement::Unavailable),
          help: "temporarily unavailable, with the number of the endpoint's table (-1 or -4)" },
    Row { name: "flaky", argument: Argument::Count(1), endpoints: ALL, make: |_| replacement(Replacement::Html(503)),
          help: "the first so many requests get an HTML page under 503, then all is well" },
    Row { name: "html", argument: Argument::Http(None), endpoints: ALL, make: |g| replacement(Replacement::Html(http(g))),
          help: "an HTML page as from a proxy: `html-404`; `html-503` and `html-429` have `Retry-After: 1`" },
    Row { name: "empty", argument: Argument::Http(None), endpoints: ALL, make: |g| replacement(Replacement::Empty(http(g))),
          help: "an empty body under this HTTP status" },
    Row { name: "rate-limited", argument: Argument::Number("SECONDS", Some(1)), endpoints: ALL, make: |g| replacement(Replacement::RateLimited(number(g))),
          help: "429 with `Retry-After` in seconds" },
    Row { name: "retry-after", argument: Argument::Number("SECONDS", None), endpoints: ALL, make: |g| replacement(Replacement::RetryAfter(number(g))),
          help: "503 with `Retry-After` in seconds" },
    Row { name: "retry-after-date", argument: Argument::Number("SECONDS", Some(2)), endpoints: ALL, make: |g| replacement(Replacement::RetryAfterDate(number(g))),
          help: "503 with `Retry-After` as a date so far ahead" },
    Row { name: "redirect", argument: Argument::Http(Some(302)), endpoints: ALL, make: |g| replacement(Replacement::Redirect(http(g))),
          help: "to `/redirected/…` under another name of this server, so that the log shows who followed" },
    Row { name: "not-found", argument: Argument::Count(1), endpoints: STATUS, make: |_| replacement(Replacement::NotFound),
          help: "transaction not found (-6) in the first so many status answers" },
    Row { name: "not-found-for", argument: Argument::Number("MS", None), endpoints: BY_ID, make: |g| Some(Effect::Hidden(Duration::from_millis(number(g)))),
          help: "transaction not found for so long after its start" },
    Row { name: "close-before-answer", argument: Argument::None, endpoints: ALL, make: |_| replacement(Replacement::Close),
          help: "reads the request, does nothing and closes" },
    // Changes to the answer of a request that was carried out.
    Row { name: "http", argument: Argument::Http(None), endpoints: ALL, make: |g| edit(Edit::HttpStatus(http(g))),
          help: "the usual answer under this HTTP status" },
    Row { name: "as-http-status", argument: Argument::None, endpoints: CAPILLARY, make: |_| edit(Edit::CodeAsHttpStatus),
          help: "Capillary's code as the HTTP status as well (404, 401; a four-digit one: 400)" },
    Row { name: "date", argument: Argument::Signed("SECONDS", Some(0)), endpoints: ALL, make: date,
          help: "a `Date` header, so many seconds ahead of the clock (`date--60`: behind it); there is none else" },
    Row { name: "all-fields", argument: Argument::None, endpoints: HYPERID, make: |_| edit(Edit::AllFields),
          help: "every member that the endpoint may answer, also in refusals and in cancel's; 0 or false where there is no value" },
    Row { name: "unknown-status", argument: Argument::Count(2), endpoints: STATUS, make: |_| edit(Edit::Replace(TX_STATUS, "7")),
          help: "status 7 in the first so many status answers" },
    Row { name: "negative-status", argument: Argument::None, endpoints: STATUS, make: |_| edit(Edit::Replace(TX_STATUS, "-1")),
          help: "status -1" },
    Row { name: "status-missing", argument: Argument::None, endpoints: STATUS, make: |_| edit(Edit::Drop(TX_STATUS.into())),
          help: "no `transaction_status`" },
    Row { name: "complete-result-missing", argument: Argument::None, endpoints: STATUS, make: |_| edit(Edit::Drop(COMPLETE.into())),
          help: "no `transaction_complete_result`" },
    Row { name: "complete-result-null", argument: Argument::None, endpoints: STATUS, make: |_| edit(Edit::Replace(COMPLETE, "null")),
          help: "`transaction_complete_result` is null" },
    Row { name: "complete-result-string", argument: Argument::None, endpoints: STATUS, make: |_| edit(Edit::Replace(COMPLETE, "\"0\"")),
          help: "`transaction_complete_result` is \"0\"" },
    Row { name: "wrong-id", argument: Argument::None, endpoints: STATUS, make: |_| edit(Edit::WrongId),
          help: "the answer is about another transaction" },
    Row { name: "id-as-string", argument: Argument::None, endpoints: STATUS, make: |_| edit(Edit::IdAsString),
          help: "`transaction_id` is a string of digits" },
    Row { name: "id-missing", argument: Argument::None, endpoints: STATUS, make: |_| edit(Edit::Drop(TX_ID.into())),
          help: "no `transaction_id`" },
    Row { name: "start-without-id", argument: Argument::None, endpoints: START, make: |_| edit(Edit::Drop(TX_ID.into())),
          help: "start succeeds without `transaction_id`" },
    Row { name: "start-id-zero", argument: Argument::None, endpoints: START, make: |_| edit(Edit::Replace(TX_ID, "0")),
          help: "start succeeds with the id 0" },
    Row { name: "result-missing", argument: Argument::None, endpoints: HYPERID, make: |_| edit(Edit::Drop("result".into())),
          help: "no `result`" },
    Row { name: "result-positive", argument: Argument::None, endpoints: HYPERID, make: |_| edit(Edit::Replace("result", "1")),
          help: "`result` is 1" },
    Row { name: "contradiction", argument: Argument::None, endpoints: CAPILLARY, make: |_| edit(Edit::Replace(CODE, "1504")),
          help: "Capillary: `success` true beside code 1504" },
    Row { name: "code-as-string", argument: Argument::None, endpoints: CAPILLARY, make: |_| edit(Edit::Replace(CODE, "\"200\"")),
          help: "Capillary: the code is \"200\"" },
    Row { name: "code-bool", argument: Argument::None, endpoints: CAPILLARY, make: |_| edit(Edit::Replace(CODE, "true")),
          help: "Capillary: the code is true" },
    Row { name: "set", argument: Argument::Text("FIELD=JSON"), endpoints: ALL, make: set,
          help: "any member, any text: `set-transaction_status=null@status`, `set-status.success=1`" },
    Row { name: "drop", argument: Argument::Text("FIELD"), endpoints: ALL, make: |g| edit(Edit::Drop(text(g).to_owned().into())),
          help: "leaves a member out: `drop-is_available`" },
    Row { name: "duplicate-key", argument: Argument::None, endpoints: ALL, make: |_| edit(Edit::DuplicateKey),
          help: "one key twice with two values (`transaction_status`, elsewhere `result` or `code`)" },
    Row { name: "huge-number", argument: Argument::None, endpoints: ALL, make: |_| edit(Edit::HugeNumber),
          help: "2 to the 65th as start's id, as status' `transaction_status`, elsewhere as `result` or `code`" },
    Row { name: "trailing-bytes", argument: Argument::None, endpoints: ALL, make: |_| edit(Edit::TrailingBytes),
          help: "a second JSON object behind the first, in the same body" },
    Row { name: "not-json", argument: Argument::None, endpoints: ALL, make: |_| edit(Edit::NotJson),
          help: "a body that is not JSON, declared as JSON" },
    Row { name: "deep-nesting", argument: Argument::None, endpoints: ALL, make: |_| edit(Edit::DeepNesting),
          help: "100,000 opening brackets" },
    // Faults of the delivery; the request is carried out.
    Row { name: "slow", argument: Argument::Number("MS", None), endpoints: ALL, make: |g| delivery(DeliveryFault::Slow(number(g))),
          help: "the answer comes so much later" },
    Row { name: "silent", argument: Argument::None, endpoints: ALL, make: |_| delivery(DeliveryFault::Silent),
          help: "never answers and keeps the connection open" },
    Row { name: "lose-start", argument: Argument::None, endpoints: START, make: |_| delivery(DeliveryFault::Lose),
          help: "start is carried out, then the connection is closed without an answer" },
    Row { name: "lose-answer", argument: Argument::None, endpoints: ALL, make: |_| delivery(DeliveryFault::Lose),
          help: "the same for every endpoint" },
    Row { name: "drip", argument: Argument::Number("MS", Some(10)), endpoints: ALL, make: |g| delivery(DeliveryFault::Drip(number(g))),
          help: "one byte at a time with a pause after each" },
    Row { name: "close-mid-answer", argument: Argument::None, endpoints: ALL, make: |_| delivery(DeliveryFault::CloseMid),
          help: "closes in the middle of the body" },
    Row { name: "stall-mid-answer", argument: Argument::None, endpoints: ALL, make: |_| delivery(DeliveryFault::StallMid),
          help: "stops in the middle of the body and keeps the connection open" },
    Row { name: "truncated-content-length", argument: Argument::None, endpoints: ALL, make: |_| delivery(DeliveryFault::TruncatedLength),
          help: "the whole JSON, but `Content-Length` promises 16 bytes more; then closes" },
    Row { name: "close-after-answer", argument: Argument::None, endpoints: ALL, make: |_| delivery(DeliveryFault::CloseAfter),
          help: "a good answer, then closes without having said so" },
    Row { name: "connection-close", argument: Argument::None, endpoints: ALL, make: |_| delivery(DeliveryFault::ConnectionClose),
          help: "a good answer with `Connection: close`" },
    Row { name: "until-close", argument: Argument::None, endpoints: ALL, make: |_| delivery(DeliveryFault::UntilClose),
          help: "a good answer without a length, ended by closing" },
    Row { name: "chunked", argument: Argument::None, endpoints: ALL, make: |_| delivery(DeliveryFault::Chunked),
          help: "a good answer in chunks, with an extension and a trailer" },
    Row { name: "gzip", argument: Argument::None, endpoints: ALL, make: |_| delivery(DeliveryFault::Gzip),
          help: "`Content-Encoding: gzip`, which nobody asked for" },
    Row { name: "interim", argument: Argument::None, endpoints: ALL, make: |_| delivery(DeliveryFault::Interim),
          help: "`103 Early Hints` before a good answer" },
    Row { name: "oversize", argument: Argument::Number("BYTES", Some(0)), endpoints: ALL, make: |g| delivery(DeliveryFault::Oversize(number(g))),
          help: "a good answer padded to so many bytes; without a number, chunks without end" },
    Row { name: "endless-headers", argument: Argument::None, endpoints: ALL, make: |_| delivery(DeliveryFault::EndlessHeaders),
          help: "header lines without end" },
    Row { name: "second-answer", argument: Argument::None, endpoints: ALL, make: |_| delivery(DeliveryFault::SecondAnswer),
          help: "an unasked approval behind the answer, in the same packet" },
    Row { name: "second-answer-later", argument: Argument::Number("MS", Some(50)), endpoints: ALL, make: |g| delivery(DeliveryFault::SecondAnswerLater(number(g))),
          help: "an unasked approval on the idle connection, so much later" },
    Row { name: "answer-again", argument: Argument::Number("MS", Some(50)), endpoints: ALL, make: |g| delivery(DeliveryFault::AnswerAgain(number(g))),
          help: "this very answer a second time, so much later and before any other" },
    // Answers that reach the wrong request; the requests are carried out.
    Row { name: "previous-answer", argument: Argument::None, endpoints: ALL, make: |_| desync(Desync::Previous),
          help: "the answer to this connection's previous request in place of this one; the right one if it is the first" },
    Row { name: "previous-answer-from-now-on", argument: Argument::None, endpoints: ALL, make: |_| desync(Desync::PreviousFromNowOn),
          help: "the same for this and all later requests of the connection, whoever's they are" },
    Row { name: "exchange-answers", argument: Argument::Number("MS", Some(1000)), endpoints: ALL, make: |g| desync(Desync::Exchange(number(g))),
          help: "two requests with this behaviour, on two connections, get each other's answers; alone for so long: its own" },
];

fn number(value: &Value) -> u64 {
    match value {
        Value::Number(n) => *n,
        _ => THINKING.as_millis() as u64,
    }
}

fn http(value: &Value) -> u16 {
    match value {
        Value::Http(status) => *status,
        _ => 500,
    }
}

fn signed(value: &Value) -> i64 {
    match value {
        Value::Signed(n) => *n,
        _ => -1,
    }
}

fn text<'a>(value: &Value<'a>) -> &'a str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}

fn ends(ending: Ending, value: &Value) -> Option<Effect> {
    Some(Effect::Plan(Plan::After(ending, Duration::from_millis(number(value)))))
}

fn delivery(fault: DeliveryFault) -> Option<Effect> {
    Some(Effect::Delivery(fault))
}

fn desync(desync: Desync) -> Option<Effect> {
    Some(Effect::Desync(desync))
}

fn edit(edit: Edit) -> Option<Effect> {
    Some(Effect::Edit(edit))
}

fn replacement(replacement: Replacement) -> Option<Effect> {
    Some(Effect::Replacement(replacement))
}

fn token(fault: TokenFault) -> Option<Effect> {
    Some(Effect::Token(fault))
}

fn methods(value: &Value) -> Option<Effect> {
    let list = match text(value) {
        "none" => Vec::new(),
        list => list.split(',').map(|n| n.parse().ok()).collect::<Option<Vec<i64>>>()?,
    };
    Some(Effect::Profile(ProfileChange::Methods(list)))
}

fn set(value: &Value) -> Option<Effect> {
    let (field, json) = text(value).split_once('=')?;
    if field.is_empty() || json.is_empty() {
        return None;
    }
    edit(Edit::Set(field.to_owned(), json.to_owned()))
}

/// A year either way is more than any clock is wrong.
fn date(value: &Value) -> Option<Effect> {
    let ahead = signed(value);
    if ahead.unsigned_abs() > 86_400 * 365 {
        return None;
    }
    edit(Edit::Date(ahead))
}
