//! Answers are read strictly: a type that is not the documented one, a repeated key, or a byte
//! after the value makes the whole answer malformed. Nothing has a default.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{Code, Error};

/// Deeper than any genuine answer.
const MAX_DEPTH: usize = 16;

/// The fields of one JSON object, each kept as it was written until it is asked for.
pub(crate) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if is_too_deep(bytes) {
            return Err(Error::new(
                Code::AnswerTooLarge,
                format!("the answer's JSON is nested deeper than {MAX_DEPTH}"),
            ));
        }
        // serde's own text quotes the answer, which may echo a token.
        serde_json::from_slice(bytes).map_err(|e| {
            let (kind, line, column) = (e.classify(), e.line(), e.column());
            Error::malformed(format!(
                "the answer is no proper JSON object: {kind:?} error at {line}:{column}"
            ))
        })
    }

    /// The field as an integer; `None` when the key is absent. `null` is not absent.
    pub(crate) fn integer<T>(&self, key: &str) -> Result<Option<T>, Error>
    where
        T: for<'de> Deserialize<'de>,
    {
        self.read(key, "an integer in range")
    }

    pub(crate) fn boolean(&self, key: &str) -> Result<Option<bool>, Error> {
        self.read(key, "a boolean")
    }

    pub(crate) fn integers(&self, key: &str) -> Result<Option<Vec<i32>>, Error> {
        self.read(key, "an array of integers")
    }

    pub(crate) fn object(&self, key: &str) -> Result<Option<Fields<'a>>, Error> {
        self.read(key, "an object")
    }

    /// An integer, or one written as a string of digits: for the few fields where both occur.
    pub(crate) fn integer_or_digits(&self, key: &str) -> Result<Option<i64>, Error> {
        let Some(raw) = self.get(key) else { return Ok(None) };
        if !raw.get().starts_with('"') {
            return self.integer(key);
        }
        let text: Cow<'_, str> = serde_json::from_str(raw.get()).map_err(|_| wrong(key, "an integer"))?;
        let all_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = all_digits.then(|| text.parse().ok()).flatten();
        number.map(Some).ok_or_else(|| wrong(key, "an integer or a string of digits"))
    }

    fn read<T: Deserialize<'a>>(&self, key: &str, expected: &str) -> Result<Option<T>, Error> {
        let Some(raw) = self.get(key) else { return Ok(None) };
        serde_json::from_str(raw.get()).map(Some).map_err(|_| wrong(key, expected))
    }

    fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, raw)| *raw)
    }
}

/// Turns an absent field into the error that it is.
pub(crate) fn required<T>(field: Option<T>, key: &str) -> Result<T, Error> {
    field.ok_or_else(|| Error::malformed(format!("the answer lacks \"{key}\"")))
}

fn wrong(key: &str, expected: &str) -> Error {
    Error::malformed(format!("the answer's \"{key}\" is not {expected}"))
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields: Self::Value = Vec::with_capacity(8);
                while let Some(Key(key)) = map.next_key()? {
                    if fields.iter().any(|(seen, _)| *seen == key) {
                        return Err(M::Error::custom("a key is repeated"));
                    }
                    if fields.len() == MAX_FIELDS {
                        return Err(M::Error::custom("too many keys"));
                    }
                    let value: &RawValue = map.next_value()?;
                    if value.get().starts_with(['{', '[']) {
                        serde_json::from_str::<NoRepeats>(value.get()).map_err(M::Error::custom)?;
                    }
                    fields.push((key, value));
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object).map(Fields)
    }
}

/// Any value in which no object repeats a key; read for that alone.
struct NoRepeats;

impl<'de> Deserialize<'de> for NoRepeats {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Anything;
        impl<'de> Visitor<'de> for Anything {
            type Value = NoRepeats;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_bool<E>(self, _: bool) -> Result<NoRepeats, E> {
                Ok(NoRepeats)
            }

            fn visit_i64<E>(self, _: i64) -> Result<NoRepeats, E> {
                Ok(NoRepeats)
            }

            fn visit_u64<E>(self, _: u64) -> Result<NoRepeats, E> {
                Ok(NoRepeats)
            }

            fn visit_f64<E>(self, _: f64) -> Result<NoRepeats, E> {
                Ok(NoRepeats)
            }

            fn visit_str<E>(self, _: &str) -> Result<NoRepeats, E> {
                Ok(NoRepeats)
            }

            fn visit_unit<E>(self) -> Result<NoRepeats, E> {
                Ok(NoRepeats)
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<NoRepeats, S::Error> {
                while items.next_element::<NoRepeats>()?.is_some() {}
                Ok(NoRepeats)
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<NoRepeats, M::Error> {
                let mut seen = HashSet::new();
                while let Some(Key(key)) = map.next_key()? {
                    if !seen.insert(key) {
                        return Err(M::Error::custom("a key is repeated"));
                    }
                    map.next_value::<NoRepeats>()?;
                }
                Ok(NoRepeats)
            }
        }
        deserializer.deserialize_any(Anything)
    }
}

/// Keeps the search for repeated keys short, whatever a server sends.
const MAX_FIELDS: usize = 256;

/// A key, borrowed unless it is written with escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Text).map(Key)
    }
}

/// Counts brackets outside of strings; whether they match is for the parser to say.
fn is_too_deep(bytes: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(json: &str) -> Result<Option<i32>, Error> {
        Fields::parse(json.as_bytes())?.integer("a")
    }

    #[test]
    fn integers_are_integers_in_range_and_nothing_else() {
        assert_eq!(integer(r#"{"a":-3}"#).unwrap(), Some(-3));
        assert_eq!(integer(r#"{"\u0061":7}"#).unwrap(), Some(7));
        assert_eq!(integer("{}").unwrap(), None);
        let wrong =
            ["null", "true", "\"0\"", "0.0", "0.5", "1e0", "2147483648", "-2147483649", "[0]", "{}", "-0"];
        for value in wrong {
            let json = format!(r#"{{"a":{value}}}"#);
            assert_eq!(integer(&json).unwrap_err().code, Code::MalformedAnswer, "{json}");
        }
    }

    #[test]
    fn ids_may_be_strings_of_digits() {
        let id = |json: &str| Fields::parse(json.as_bytes()).and_then(|f| f.integer_or_digits("a"));
        assert_eq!(id(r#"{"a":"0042"}"#).unwrap(), Some(42));
        assert_eq!(id(r#"{"a":9223372036854775807}"#).unwrap(), Some(i64::MAX));
        for value in [r#""""#, r#""-1""#, r#""1 ""#, r#""9223372036854775808""#, "null", "1.0", "[]"] {
            assert!(id(&format!(r#"{{"a":{value}}}"#)).is_err(), "{value}");
        }
    }

    #[test]
    fn whole_documents_are_refused() {
        let bad = [
            "",
            "null",
            "[]",
            "0",
            "{",
            r#"{"a":1"#,
            r#"{"a":1}x"#,
            r#"{"a":1}{}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"b":1,"b":2,"a":1}"#,
            r#"{"a":1,"b":{"c":1,"c":1}}"#,
            r#"{"a":1,"b":[{"c":{"d":1,"\u0064":1}}]}"#,
            r#"{"a":1,"\u0061":1}"#,
            "{a:1}",
            "{'a':1}",
            "<html>",
            "\u{feff}{}",
        ];
        for json in bad {
            assert_eq!(integer(json).unwrap_err().code, Code::MalformedAnswer, "{json:?}");
        }
        assert!(Fields::parse(b"{\"a\xff\":1}").is_err());
        let message = integer("\"a token\"").unwrap_err().message;
        assert!(!message.contains("token"), "{message}");
    }

    #[test]
    fn depth_is_bounded_and_brackets_in_strings_do_not_count() {
        let nested = |n: usize| format!(r#"{{"a":1,"b":{}{}}}"#, "[".repeat(n), "]".repeat(n));
        assert!(integer(&nested(MAX_DEPTH - 1)).is_ok());
        assert_eq!(integer(&nested(MAX_DEPTH)).unwrap_err().code, Code::AnswerTooLarge);
        assert_eq!(integer(&nested(100_000)).unwrap_err().code, Code::AnswerTooLarge);
        let text = format!(r#"{{"a":1,"b":"\"{}"}}"#, "[".repeat(100));
        assert!(integer(&text).is_ok());
    }
}
