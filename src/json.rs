//! Answers are read strictly: a type that is not the documented one, a repeated key, or a byte
//! after the value makes the whole answer malformed. Nothing has a default.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use zeroize::Zeroize;

use crate::error::{Code, Error};

/// Deeper than any genuine answer.
const MAX_DEPTH: usize = 16;
/// More than any genuine object has. Keeps the search for repeated keys short, whatever a server sends.
const MAX_FIELDS: usize = 256;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether it begins as an object does; only what does can be a provider's answer.
pub(crate) fn looks_like_object(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    bytes.trim_ascii_start().first() == Some(&b'{')
}

/// The names of the fields that some reader asks for, at whatever depth.
pub(crate) type FieldNames = [&'static str];

/// The fields of one JSON object. Of those that nobody wants only the name is kept.
pub(crate) struct Fields<'a>(Vec<(Key<'a>, Value<'a>)>);

/// A JSON value, as far as some answer needs it.
enum Value<'a> {
    Boolean(bool),
    Integer(i64),
    /// A number written as a string of digits.
    Digits(i64),
    Integers(Vec<i32>),
    Object(Fields<'a>),
    /// All else: refused wherever a field is asked for.
    Other,
    /// Of a field that nobody wants.
    Unwanted,
}

impl<'a> Fields<'a> {
    /// Reads an object and, in it, the `wanted` fields.
    pub(crate) fn parse(bytes: &'a [u8], wanted: &'static FieldNames) -> Result<Self, Error> {
        if is_too_deep(bytes, MAX_DEPTH) {
            return Err(Error::new(
                Code::AnswerTooLarge,
                format!("the answer's JSON is nested deeper than {MAX_DEPTH}"),
            ));
        }
        // RFC 8259, 8.1: a reader may pass over a byte order mark.
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|e| {
            Error::malformed(format!("the answer is not UTF-8 from byte {} on", e.valid_up_to()))
        })?;
        read_object(text, wanted).map_err(|e| {
            // serde's own text quotes the answer, which may echo a token.
            let (kind, line, column) = (e.classify(), e.line(), e.column());
            Error::malformed(format!(
                "the answer is no proper JSON object: {kind:?} error at {line}:{column}"
            ))
        })
    }

    /// The names of the fields that are there although nobody wants them.
    pub(crate) fn unwanted(&self) -> impl Iterator<Item = &str> {
        let is_unwanted = |(_, value): &&(Key<'a>, Value<'a>)| matches!(value, Value::Unwanted);
        self.0.iter().filter(is_unwanted).map(|(name, _)| &*name.0)
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
            Value::Integers(numbers) => Some(numbers.clone()),
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
            Value::Integer(number) | Value::Digits(number) => Some(*number),
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
        let Some((_, value)) = self.0.iter().find(|(name, _)| name.0 == key) else { return Ok(None) };
        let wrong = || Error::malformed(format!("the answer's \"{key}\" is not {expected}"));
        as_expected(value).map(Some).ok_or_else(wrong)
    }
}

/// Turns an absent field into the error that it is.
pub(crate) fn required<T>(field: Option<T>, key: &str) -> Result<T, Error> {
    field.ok_or_else(|| Error::malformed(format!("the answer lacks \"{key}\"")))
}

fn read_object<'a>(text: &'a str, wanted: &'static FieldNames) -> Result<Fields<'a>, serde_json::Error> {
    struct Object(&'static FieldNames);
    impl<'de> Visitor<'de> for Object {
        type Value = Fields<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Fields<'de>, M::Error> {
            read_fields(map, self.0)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let fields = deserializer.deserialize_map(Object(wanted))?;
    deserializer.end()?;
    Ok(fields)
}

fn read_fields<'de, M: MapAccess<'de>>(
    mut map: M,
    wanted: &'static FieldNames,
) -> Result<Fields<'de>, M::Error> {
    let mut fields = Vec::with_capacity(4);
    while let Some(key) = map.next_key::<Key<'de>>()? {
        if fields.iter().any(|(seen, _)| *seen == key) {
            return Err(M::Error::custom("a key is repeated"));
        }
        if fields.len() == MAX_FIELDS {
            return Err(M::Error::custom("too many keys"));
        }
        let value = if wanted.iter().any(|name| *name == key.0) {
            map.next_value_seed(ValueSeed(wanted))?
        } else {
            skip(map.next_value()?)?;
            Value::Unwanted
        };
        fields.push((key, value));
    }
    Ok(Fields(fields))
}

/// Passes over a value that nobody wants: its grammar counts, and that no key in it is repeated.
fn skip<E: serde::de::Error>(raw: &RawValue) -> Result<(), E> {
    if raw.get().starts_with(['{', '[']) {
        // Its own text would tell a place within this value as if within the whole.
        serde_json::from_str::<NoRepeats>(raw.get()).map_err(|_| E::custom("a key is repeated in it"))?;
    }
    Ok(())
}

/// Reads a wanted value, and the wanted fields in it.
struct ValueSeed(&'static FieldNames);

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed {
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

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        let is_number = text.bytes().all(|b| b.is_ascii_digit());
        let number = is_number.then(|| text.parse().ok()).flatten();
        Ok(number.map_or(Value::Other, Value::Digits))
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Value<'de>, S::Error> {
        let mut numbers = Vec::new();
        while let Some(item) = items.next_element_seed(ValueSeed(self.0))? {
            let Value::Integer(number) = item else { return skip_rest(items) };
            let Ok(number) = i32::try_from(number) else { return skip_rest(items) };
            numbers.push(number);
        }
        Ok(Value::Integers(numbers))
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Value<'de>, M::Error> {
        read_fields(map, self.0).map(Value::Object)
    }
}

fn skip_rest<'de, S: SeqAccess<'de>>(mut items: S) -> Result<Value<'de>, S::Error> {
    while let Some(raw) = items.next_element()? {
        skip(raw)?;
    }
    Ok(Value::Other)
}

/// Any value in which no object repeats a key; read for that alone.
struct NoRepeats;

impl<'de> Deserialize<'de> for NoRepeats {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NoRepeats)
    }
}

impl<'de> Visitor<'de> for NoRepeats {
    type Value = NoRepeats;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<NoRepeats, S::Error> {
        while let Some(raw) = items.next_element()? {
            skip(raw)?;
        }
        Ok(NoRepeats)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<NoRepeats, M::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<Key<'de>>()? {
            if !seen.insert(key) {
                return Err(M::Error::custom("a key is repeated"));
            }
            skip(map.next_value()?)?;
        }
        Ok(NoRepeats)
    }
}

/// A key, borrowed unless it is written with escapes: then wiped, because it may echo a token.
#[derive(PartialEq, Eq, Hash)]
struct Key<'a>(Cow<'a, str>);

impl Drop for Key<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(text) = &mut self.0 {
            text.zeroize();
        }
    }
}

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

/// How many brackets open, in strings too. Eight bytes at a time: this runs on every call.
fn count_opening(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    // The two differ in this one bit, in which nothing else is like them.
    const BETWEEN: u8 = b'{' ^ b'[';
    let one_by_one = |bytes: &[u8]| bytes.iter().filter(|byte| **byte | BETWEEN == b'{').count();
    let (mut rest, mut count) = (bytes, 0);
    while let Some((word, behind)) = rest.split_first_chunk() {
        let zeroes = (u64::from_ne_bytes(*word) | (ONES * u64::from(BETWEEN))) ^ (ONES * u64::from(b'{'));
        // Whether any byte is zero.
        if zeroes.wrapping_sub(ONES) & !zeroes & HIGHS != 0 {
            count += one_by_one(word);
        }
        rest = behind;
    }
    count + one_by_one(rest)
}

/// Whether it is nested deeper than `most`, before a parser spends stack on it.
///
/// Counts brackets outside of strings; whether they match is for the parser to say.
pub(crate) fn is_too_deep(bytes: &[u8], most: usize) -> bool {
    // What opens no more often than that is not deeper, and nearly every answer is of this kind.
    if count_opening(bytes) <= most {
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
        if depth > most {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Value<'_> {
        /// Bytes on the heap.
        fn room(&self) -> usize {
            match self {
                Value::Integers(numbers) => 4 * numbers.capacity(),
                Value::Object(fields) => size_of::<(Key<'_>, Value<'_>)>() * fields.0.capacity(),
                _ => 0,
            }
        }
    }

    fn parse(json: &str) -> Result<Fields<'_>, Error> {
        Fields::parse(json.as_bytes(), &["a", "list", "inner"])
    }

    fn integer(json: &str) -> Result<Option<i32>, Error> {
        parse(json)?.integer("a")
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
        let id = |json: &str| parse(json).and_then(|f| f.integer_or_digits("a"));
        assert_eq!(id(r#"{"a":"0042"}"#).unwrap(), Some(42));
        assert_eq!(id(r#"{"a":"\u0033"}"#).unwrap(), Some(3));
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
            "\u{feff}",
            "\u{feff}\u{feff}{}",
            " \u{feff}{}",
        ];
        for json in bad {
            assert_eq!(integer(json).unwrap_err().code, Code::MalformedAnswer, "{json:?}");
        }
        assert!(Fields::parse(b"{\"a\xff\":1}", &["a"]).is_err());
        let message = integer("\"a token\"").unwrap_err().message;
        assert!(!message.contains("token"), "{message}");
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(integer("\u{feff} {\"a\":1}").unwrap(), Some(1));
    }

    #[test]
    fn objects_are_told_by_how_they_begin() {
        for text in ["{", " \t\r\n{x", "\u{feff}{}", "\u{feff} {"] {
            assert!(looks_like_object(text.as_bytes()), "{text:?}");
        }
        for text in ["", " ", "[{}]", "<html>", "\u{feff}", "x{", "\"{\""] {
            assert!(!looks_like_object(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn what_no_reader_asks_for_may_hold_anything() {
        // An emoji cut in two, a number beyond any type, and whatever else is JSON by its grammar.
        for value in [r#""\ud83d""#, "1e999", "-0", "null", "[1,\"x\",{}]", r#"{"a":{"a":1}}"#, r#""\u0000""#]
        {
            let json = format!(r#"{{"unknown":{value},"a":-6,"inner":{{"unknown":{value},"a":7}}}}"#);
            let fields = parse(&json).unwrap();
            assert_eq!(fields.integer::<i32>("a").unwrap(), Some(-6), "{json}");
            let inner = fields.object("inner").unwrap().unwrap();
            assert_eq!(inner.integer::<i32>("a").unwrap(), Some(7), "{json}");
        }
        for value in ["x", "01", "[1,]", r#""\x""#, "\"\u{1}\""] {
            assert!(parse(&format!(r#"{{"unknown":{value}}}"#)).is_err(), "{value}");
        }
    }

    #[test]
    fn lists_hold_integers_in_range_and_nothing_else() {
        let list = |json: &str| parse(json).and_then(|f| f.integers("list"));
        assert_eq!(list(r#"{"list":[]}"#).unwrap(), Some(vec![]));
        assert_eq!(list(r#"{"list":[3,-1,2147483647]}"#).unwrap(), Some(vec![3, -1, i32::MAX]));
        for value in ["0", "{}", "[0.0]", "[\"0\"]", "[null]", "[2147483648]", "[[0]]", "[{}]", "[0,true]"] {
            assert!(list(&format!(r#"{{"list":{value}}}"#)).is_err(), "{value}");
        }
    }

    #[test]
    fn what_is_not_asked_for_takes_no_room() {
        // An item is kept in four bytes, and only where it may be asked for.
        let json = format!(r#"{{"list":[{}0],"unknown":[{}0]}}"#, "{},".repeat(40_000), "{},".repeat(40_000));
        let fields = parse(&json).unwrap();
        assert!(fields.integers("list").is_err());
        let kept: usize = fields.0.iter().map(|(_, value)| value.room()).sum();
        assert_eq!(kept, 0);
    }

    #[test]
    fn opening_brackets_are_counted_wherever_they_are() {
        for length in 0..20 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut bytes = vec![b'a'; length];
                    bytes[at] = byte;
                    let expected = usize::from(matches!(byte, b'{' | b'['));
                    assert_eq!(count_opening(&bytes), expected, "{byte:#x} at {at} of {length}");
                }
            }
            assert_eq!(count_opening(&b"[{".repeat(length)), 2 * length);
        }
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
