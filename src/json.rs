//! Answers are read strictly: a type that is not the documented one, a repeated key, or a byte
//! after the value makes the whole answer malformed. Nothing has a default.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::error::{Code, Error};

/// Deeper than any genuine answer.
const MAX_DEPTH: usize = 16;
/// More than any genuine object has. Keeps the search for repeated keys short, whatever a server sends.
const MAX_FIELDS: usize = 256;

/// The fields of one JSON object.
pub(crate) struct Fields<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

/// A JSON value, as far as some answer needs it.
enum Value<'a> {
    Boolean(bool),
    Integer(i64),
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    Object(Fields<'a>),
    /// `null`, and numbers that no field may have: refused wherever a field is asked for.
    Other,
}

impl<'a> Fields<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if is_too_deep(bytes) {
            return Err(Error::new(
                Code::AnswerTooLarge,
                format!("the answer's JSON is nested deeper than {MAX_DEPTH}"),
            ));
        }
        let text = std::str::from_utf8(bytes).map_err(|e| {
            Error::malformed(format!("the answer is not UTF-8 from byte {} on", e.valid_up_to()))
        })?;
        // serde's own text quotes the answer, which may echo a token.
        serde_json::from_str(text).map_err(|e| {
            let (kind, line, column) = (e.classify(), e.line(), e.column());
            Error::malformed(format!(
                "the answer is no proper JSON object: {kind:?} error at {line}:{column}"
            ))
        })
    }

    /// The field as an integer; `None` when the key is absent. `null` is not absent.
    pub(crate) fn integer<T: TryFrom<i64>>(&self, key: &str) -> Result<Option<T>, Error> {
        self.read(key, "an integer in range", |value| match value {
            Value::Integer(number) => T::try_from(*number).ok(),
            _ => None,
        })
    }

    pub(crate) fn boolean(&self, key: &str) -> Result<Option<bool>, Error> {
        self.read(key, "a boolean", |value| match value {
            Value::Boolean(is_so) => Some(*is_so),
            _ => None,
        })
    }

    pub(crate) fn integers(&self, key: &str) -> Result<Option<Vec<i32>>, Error> {
        self.read(key, "an array of integers", |value| match value {
            Value::List(items) => items.iter().map(Value::as_i32).collect(),
            _ => None,
        })
    }

    pub(crate) fn object(&self, key: &str) -> Result<Option<&Fields<'a>>, Error> {
        self.read(key, "an object", |value| match value {
            Value::Object(fields) => Some(fields),
            _ => None,
        })
    }

    /// An integer, or one written as a string of digits: for the few fields where both occur.
    pub(crate) fn integer_or_digits(&self, key: &str) -> Result<Option<i64>, Error> {
        self.read(key, "an integer or a string of digits", |value| match value {
            Value::Integer(number) => Some(*number),
            Value::Text(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        })
    }

    /// `as_expected` gives nothing for a value that is not what is `expected`.
    fn read<'f, T>(
        &'f self,
        key: &str,
        expected: &str,
        as_expected: impl FnOnce(&'f Value<'a>) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some((_, value)) = self.0.iter().find(|(name, _)| name == key) else { return Ok(None) };
        let wrong = || Error::malformed(format!("the answer's \"{key}\" is not {expected}"));
        as_expected(value).map(Some).ok_or_else(wrong)
    }
}

impl Value<'_> {
    fn as_i32(&self) -> Option<i32> {
        match self {
            Value::Integer(number) => i32::try_from(*number).ok(),
            _ => None,
        }
    }
}

/// Turns an absent field into the error that it is.
pub(crate) fn required<T>(field: Option<T>, key: &str) -> Result<T, Error> {
    field.ok_or_else(|| Error::malformed(format!("the answer lacks \"{key}\"")))
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Fields<'de>, M::Error> {
                fields(map)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

fn fields<'de, M: MapAccess<'de>>(mut map: M) -> Result<Fields<'de>, M::Error> {
    let mut fields = Vec::with_capacity(8);
    while let Some(Key(key)) = map.next_key()? {
        if fields.iter().any(|(seen, _)| *seen == key) {
            return Err(M::Error::custom("a key is repeated"));
        }
        if fields.len() == MAX_FIELDS {
            return Err(M::Error::custom("too many keys"));
        }
        fields.push((key, map.next_value()?));
    }
    Ok(Fields(fields))
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Anything;
        impl<'de> Visitor<'de> for Anything {
            type Value = Value<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_bool<E>(self, is_so: bool) -> Result<Value<'de>, E> {
                Ok(Value::Boolean(is_so))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
                Ok(Value::Integer(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
                Ok(i64::try_from(number).map_or(Value::Other, Value::Integer))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
                Ok(Value::Other)
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
                Ok(Value::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
                Ok(Value::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Value<'de>, E> {
                Ok(Value::Other)
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Value<'de>, S::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Value::List(list))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Value<'de>, M::Error> {
                fields(map).map(Value::Object)
            }
        }
        deserializer.deserialize_any(Anything)
    }
}

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
    // What opens no more often than that is not deeper, and nearly every answer is of this kind.
    let opening = bytes.iter().filter(|byte| matches!(byte, b'{' | b'[')).count();
    if opening <= MAX_DEPTH {
        return false;
    }
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
