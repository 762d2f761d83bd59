//! What went wrong: the codes (from the one table in `codes.rs`) and the error that carries one.

use std::fmt;
use std::time::Duration;

// The `Code` enum with its `name`, `message` and `from_number`, written by build.rs from codes.rs.
include!(concat!(env!("OUT_DIR"), "/code.rs"));

/// Which provider an error came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[repr(i32)]
pub enum Provider {
    /// None: the error arose before any provider was chosen.
    #[default]
    None = 0,
    /// HyperID.
    HyperId = 1,
    /// Capillary.
    Capillary = 2,
}

/// Why a call failed.
///
/// `message` says what happened this time, in English, without secrets: for logs and developers.
/// Programs decide by `code`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Error {
    /// What went wrong.
    pub code: Code,
    /// What happened this time.
    pub message: String,
    /// Whose call it was.
    pub provider: Provider,
    /// The provider's own number: HyperID's `result`, Capillary's `status.code`.
    pub provider_code: Option<i32>,
    /// The HTTP status of the answer that failed the call, if an answer arrived.
    pub http_status: Option<u16>,
    /// How long the server asked to wait before the next request.
    pub retry_after: Option<Duration>,
    /// The same call may succeed later, and repeating it does no harm.
    pub retryable: bool,
    /// The request may have been carried out although no valid answer says so.
    pub outcome_unknown: bool,
    /// The transaction was withdrawn, as asked, and the provider confirmed it.
    pub withdrawn: bool,
    /// Requests that the call began.
    pub attempts: u32,
    /// The system's error number, where one was the cause.
    pub os_error: Option<i32>,
    /// It need not be the provider's word: a proxy, a gateway or a sign-in page on the way may have
    /// said it in the provider's place.
    pub(crate) is_hearsay: bool,
}

impl Error {
    /// An error with a code and a message; everything else not known.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Error {
            code,
            message: message.into(),
            provider: Provider::None,
            provider_code: None,
            http_status: None,
            retry_after: None,
            retryable: false,
            outcome_unknown: false,
            withdrawn: false,
            attempts: 0,
            os_error: None,
            is_hearsay: false,
        }
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Error::new(Code::InvalidArgument, message)
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Error::new(Code::MalformedAnswer, message)
    }

    pub(crate) fn contradictory(message: impl Into<String>) -> Self {
        Error::new(Code::ContradictoryAnswer, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Error::new(Code::Internal, message)
    }

    pub(crate) fn with_provider_code(mut self, number: i32) -> Self {
        self.provider_code = Some(number);
        self
    }

    pub(crate) fn with_os_error(mut self, number: Option<i32>) -> Self {
        self.os_error = number;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::{CODES, RANGES};

    #[test]
    fn every_code_lies_in_a_range_and_none_is_repeated() {
        let mut seen = std::collections::HashSet::new();
        for entry in CODES {
            assert!(seen.insert(entry.number), "{} is used twice", entry.number);
            let homes = RANGES.iter().filter(|r| (r.first..=r.last).contains(&entry.number)).count();
            assert_eq!(homes, usize::from(entry.number != 0), "{}", entry.name);
        }
    }

    #[test]
    fn numbers_lead_back_to_their_codes() {
        for entry in CODES {
            let code = Code::from_number(entry.number).expect(entry.name);
            assert_eq!(code as i32, entry.number);
            assert_eq!(code.name(), entry.name);
            assert!(code.message().starts_with(entry.meaning));
        }
        assert!(Code::from_number(42).is_none());
    }

    /// A code that nobody raises is a promise that nobody keeps.
    #[test]
    fn every_code_is_raised_somewhere() {
        let source = raising_source(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
        let nobody_raises = |entry: &&crate::codes::Entry| {
            let code = Code::from_number(entry.number).expect(entry.name);
            !source.contains(&format!("Code::{code:?}"))
        };
        let idle: Vec<_> = CODES.iter().filter(nobody_raises).map(|entry| entry.name).collect();
        assert!(idle.is_empty(), "nobody raises {idle:?}");
    }

    /// All source, without tests.
    fn raising_source(folder: &std::path::Path) -> String {
        let mut all = String::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                all += &raising_source(&path);
                continue;
            }
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.ends_with(".rs") && !name.ends_with("_tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                all += text.split("#[cfg(test)]").next().unwrap_or_default();
            }
        }
        all
    }
}
