//! What a behaviour can do: to the person, the token, the answer and its delivery.

use std::borrow::Cow;
use std::time::Duration;

/// How long the person "thinks" when no `-after-MS` says otherwise: long enough that a client sees
/// "pending" at least once, short enough for a test.
pub(crate) const THINKING: Duration = Duration::from_millis(300);

/// How a person ends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Approve,
    Deny,
    Decline,
    Fail,
    Expire,
}

/// What the person will do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Somebody decides on the page, or a test by its API.
    Phone,
    /// Nobody answers, and the page does not show it.
    Never,
    After(Ending, Duration),
}

/// How the person differs from the default.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ProfileChange {
    NoApp,
    Methods(Vec<i64>),
    Device(String),
    Registered,
    NotRegistered,
}

/// What is wrong with the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenFault {
    InsufficientScope,
    Expired,
    Invalid,
    ExpiresAfter(u64),
}

/// An answer in place of the right one; the request is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replacement {
    Refuse(i64),
    Unavailable,
    Html(u16),
    Empty(u16),
    /// "Transaction not found".
    NotFound,
    RetryAfter(u64),
    RetryAfterDate(u64),
    RateLimited(u64),
    Redirect(u16),
    Close,
}

/// A change to an answer after the request was carried out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Edit {
    /// Take the member away.
    Drop(Cow<'static, str>),
    /// Replace the member if the answer has it.
    Replace(&'static str, &'static str),
    /// Set the member, whether the answer has it or not.
    Set(String, String),
    WrongId,
    IdAsString,
    DuplicateKey,
    HugeNumber,
    TrailingBytes,
    NotJson,
    DeepNesting,
    HttpStatus(u16),
    CodeAsHttpStatus,
    /// Every member that the endpoint's answers may have.
    AllFields,
    /// A `Date` header, so many seconds from the clock. Also on an answer that stands in place of another.
    Date(i64),
}

/// A response that reaches another request than its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Desync {
    Previous,
    PreviousFromNowOn,
    Exchange(u64),
}

/// A fault on the way of the answer, after the request was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryFault {
    Slow(u64),
    Drip(u64),
    Lose,
    Silent,
    CloseMid,
    StallMid,
    CloseAfter,
    ConnectionClose,
    UntilClose,
    TruncatedLength,
    Oversize(u64),
    EndlessHeaders,
    Chunked,
    Gzip,
    Interim,
    SecondAnswer,
    SecondAnswerLater(u64),
    AnswerAgain(u64),
}

/// What one part of a behaviour does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Plan(Plan),
    Profile(ProfileChange),
    Token(TokenFault),
    Replacement(Replacement),
    Edit(Edit),
    Delivery(DeliveryFault),
    Desync(Desync),
    /// A transaction is not found for so long after its start.
    Hidden(Duration),
}
