//! From the text of a token to a behaviour.
//!
//! ```text
//! token  = "sandbox-" SPEC ["#" PERSON]
//! SPEC   = PART *("+" PART)
//! PART   = NAME ["-" ARGUMENT] ["*" TIMES] ["@" ENDPOINT *("," ENDPOINT)]
//! ```

use std::fmt;

use super::effect::Effect;
use super::table::{Argument, Row, TABLE, Value};
use super::{nearest, usage};
use crate::endpoint::{Endpoint, Endpoints};

/// What every magic token begins with.
const PREFIX: &str = "sandbox-";

/// One part, parsed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) effect: Effect,
    pub(crate) endpoints: Endpoints,
    /// Only the first so many requests are concerned.
    pub(crate) times: Option<u64>,
}

/// A behaviour, parsed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Behaviour {
    pub(crate) parts: Vec<Part>,
    /// Behind `#`. Without one, the token is a person of its own.
    pub(crate) person: Option<String>,
}

/// Why a behaviour was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BehaviourError(String);

impl fmt::Display for BehaviourError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BehaviourError {}

impl Behaviour {
    /// Reads a whole magic token; `None` if it does not even begin as one.
    pub(crate) fn of_token(token: &str) -> Option<Result<Behaviour, BehaviourError>> {
        Some(Behaviour::parse(token.strip_prefix(PREFIX)?))
    }

    /// Reads what stands behind `sandbox-`.
    pub(crate) fn parse(spec: &str) -> Result<Behaviour, BehaviourError> {
        let (parts, person) = match spec.split_once('#') {
            Some((_, "")) => return Err(BehaviourError("no name behind '#'".to_owned())),
            Some((parts, person)) => (parts, Some(person.to_owned())),
            None => (spec, None),
        };
        let parts = parts.split('+').map(part).collect::<Result<Vec<_>, _>>()?;
        Ok(Behaviour { parts, person })
    }
}

fn part(text: &str) -> Result<Part, BehaviourError> {
    let wrong = |what: &str| BehaviourError(format!("'{text}': {what}"));
    let (rest, words) = match text.split_once('@') {
        Some((rest, words)) => (rest, Some(words)),
        None => (text, None),
    };
    let (rest, times) = match rest.rsplit_once('*') {
        Some((rest, n)) => (rest, Some(n.parse().map_err(|_| wrong("a number must follow '*'"))?)),
        None => (rest, None),
    };
    let (row, argument) = row(rest).ok_or_else(|| wrong(&no_such_behaviour(rest)))?;
    let misused = || wrong(&format!("wrong argument; it is written {}", usage(row)));
    let (value, counted) = value(row.argument, argument).ok_or_else(misused)?;
    let effect = (row.make)(&value).ok_or_else(misused)?;
    let endpoints = match words {
        Some(words) => Endpoints::parse(words).ok_or_else(|| wrong(&no_such_endpoint()))?,
        None => row.endpoints,
    };
    Ok(Part { effect, endpoints, times: times.or(counted) })
}

fn no_such_behaviour(text: &str) -> String {
    match nearest::names(text, TABLE.iter().map(|row| row.name)).as_slice() {
        [] => "no such behaviour; mfa-sandbox --help lists them".to_owned(),
        names => format!("no such behaviour; did you mean {}?", names.join(" or ")),
    }
}

fn no_such_endpoint() -> String {
    let words: Vec<_> = Endpoint::EACH.iter().map(|endpoint| endpoint.word()).collect();
    format!("no such endpoint; there are {}", words.join(", "))
}

/// The longest name wins, so that `second-answer-later` is not `second-answer` with an argument.
fn row(text: &str) -> Option<(&'static Row, Option<&str>)> {
    let matching = |row: &'static Row| {
        let rest = text.strip_prefix(row.name)?;
        if rest.is_empty() {
            return Some((row, None));
        }
        Some((row, Some(rest.strip_prefix('-')?)))
    };
    TABLE.iter().filter_map(matching).max_by_key(|(row, _)| row.name.len())
}

/// The argument by its kind, and the count if it is one.
fn value(kind: Argument, text: Option<&str>) -> Option<(Value<'_>, Option<u64>)> {
    let value = match (kind, text) {
        (Argument::None | Argument::After, None) => Value::Nothing,
        (Argument::After, Some(text)) => Value::Number(milliseconds(text.strip_prefix("after-")?)?),
        (Argument::Number(_, default), None) => Value::Number(default?),
        (Argument::Number(..), Some(text)) => Value::Number(milliseconds(text)?),
        (Argument::Count(default), None) => return Some((Value::Nothing, Some(default))),
        (Argument::Count(_), Some(text)) => {
            return Some((Value::Nothing, Some(text.parse().ok()?)));
        }
        (Argument::Http(default), None) => Value::Http(default?),
        (Argument::Http(_), Some(text)) => Value::Http(http_status(text)?),
        (Argument::Signed(_, default), None) => Value::Signed(default?),
        (Argument::Signed(..), Some(text)) => Value::Signed(text.parse().ok()?),
        (Argument::Text(_), Some(text)) if !text.is_empty() => Value::Text(text),
        _ => return None,
    };
    Some((value, None))
}

/// Any number of the table; a day in milliseconds is more than any of them needs, and sums stay small.
fn milliseconds(text: &str) -> Option<u64> {
    text.parse().ok().filter(|n| *n <= 86_400_000)
}

fn http_status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|status| (200..=599).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behaviour::effect::{DeliveryFault, Replacement};

    #[test]
    fn the_longest_name_wins() {
        let parsed = Behaviour::parse("second-answer-later-70").unwrap();
        assert_eq!(parsed.parts[0].effect, Effect::Delivery(DeliveryFault::SecondAnswerLater(70)));
    }

    #[test]
    fn every_part_of_the_grammar() {
        let parsed = Behaviour::parse("refuse--8*2@start,status+approve-after-5#ann").unwrap();
        assert_eq!(parsed.person.as_deref(), Some("ann"));
        assert_eq!(parsed.parts[0].effect, Effect::Replacement(Replacement::Refuse(-8)));
        assert_eq!(parsed.parts[0].times, Some(2));
        assert!(parsed.parts[0].endpoints.contains(Endpoint::Status));
        assert!(!parsed.parts[0].endpoints.contains(Endpoint::Cancel));
        assert_eq!(Behaviour::parse("approve").unwrap().person, None);
    }

    #[test]
    fn what_is_not_in_the_grammar_is_refused() {
        for spec in [
            "",
            "nothing",
            "approve-5",
            "approve-after-",
            "slow",
            "slow-x",
            "http-99",
            "html",
            "refuse",
            "approve@",
            "approve@moon",
            "approve*x",
            "approve#",
            "approve+",
            "set-a",
            "methods-a",
            "date-99999999",
            "not-found-for",
            "retry-after",
            "approve-after-99999999999",
        ] {
            assert!(Behaviour::parse(spec).is_err(), "{spec}");
        }
        assert!(Behaviour::of_token("approve").is_none());
        assert!(Behaviour::of_token("sandbox-moon").is_some_and(|read| read.is_err()));
    }

    #[test]
    fn an_error_says_what_was_perhaps_meant() {
        for (spec, hint) in [
            ("aprove", "'aprove': no such behaviour; did you mean approve?"),
            ("phone+aprove-after-500", "did you mean approve?"),
            ("expired", "did you mean expire?"),
            ("token-expird", "did you mean token-expired?"),
            ("moon-landing", "mfa-sandbox --help lists them"),
            ("approve-5", "'approve-5': wrong argument; it is written approve[-after-MS]"),
            ("approve@stat", "there are availability, types, start, status, cancel, registered"),
        ] {
            let why = Behaviour::parse(spec).unwrap_err().to_string();
            assert!(why.contains(hint), "{spec}: {why}");
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
    }
}
