//! What is sent to HyperID: checked, then written as JSON.

use serde::Serialize;
use serde::de::IgnoredAny;

use crate::error::Error;
use crate::json::is_too_deep;

/// The template whose one parameter is a question.
const QUESTION_TEMPLATE: i32 = 4;
/// Far above what an app can show; keeps a request in one piece.
const MAX_TEXT: usize = 32 * 1024;
/// Deeper than any screen's parameters.
const MAX_DEPTH: usize = 32;

/// What to ask the person: `Request::new()`, and a setter for each field.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
#[must_use = "nobody is asked until it is given to a call"]
pub struct Request<'a> {
    /// Which screen the app shows; 0: a question (template 4).
    pub template_id: i32,
    /// Template 4: the text shown to the person.
    pub question: Option<&'a str>,
    /// Any template: its parameters, a JSON object, nested at most 32 deep. Not together with
    /// `question`.
    pub values_json: Option<&'a str>,
    /// The control code shown on both sides: two digits.
    pub code: Option<&'a str>,
    /// Let `code` be any text.
    pub any_code: bool,
    /// Identifies the device that the person acts from.
    pub device_id: Option<&'a str>,
    /// Describes that device to the person.
    pub device_desc: Option<&'a str>,
    /// That device's address.
    pub ip: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// Nothing is asked yet.
    pub fn new() -> Self {
        Request::default()
    }

    /// Sets [`template_id`](field@Self::template_id).
    pub fn template_id(mut self, template_id: i32) -> Self {
        self.template_id = template_id;
        self
    }

    /// Sets [`question`](field@Self::question).
    pub fn question(mut self, question: &'a str) -> Self {
        self.question = Some(question);
        self
    }

    /// Sets [`values_json`](field@Self::values_json).
    pub fn values_json(mut self, values_json: &'a str) -> Self {
        self.values_json = Some(values_json);
        self
    }

    /// Sets [`code`](field@Self::code).
    pub fn code(mut self, code: &'a str) -> Self {
        self.code = Some(code);
        self
    }

    /// Sets [`any_code`](field@Self::any_code).
    pub fn any_code(mut self, any_code: bool) -> Self {
        self.any_code = any_code;
        self
    }

    /// Sets [`device_id`](field@Self::device_id).
    pub fn device_id(mut self, device_id: &'a str) -> Self {
        self.device_id = Some(device_id);
        self
    }

    /// Sets [`device_desc`](field@Self::device_desc).
    pub fn device_desc(mut self, device_desc: &'a str) -> Self {
        self.device_desc = Some(device_desc);
        self
    }

    /// Sets [`ip`](field@Self::ip).
    pub fn ip(mut self, ip: &'a str) -> Self {
        self.ip = Some(ip);
        self
    }
}

/// `POST /mfa-client/transaction/start/v2` [S].
#[derive(Serialize)]
struct Start<'a> {
    template_id: i32,
    /// A string that holds JSON: escaped twice on the wire [S].
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_desc: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<&'a str>,
}

/// Template 4's values [S: all published clients].
#[derive(Serialize)]
struct QuestionValues<'a> {
    version: u32,
    action: QuestionAction<'a>,
}

#[derive(Serialize)]
struct QuestionAction<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    action_info: &'a str,
}

#[derive(Serialize)]
struct TransactionId {
    transaction_id: i64,
}

pub(super) const EMPTY: &[u8] = b"{}";

pub(super) fn start(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    check(request)?;
    let values = match (request.question, request.values_json) {
        (Some(question), _) => Some(question_values(question)?),
        (None, values) => values.map(str::to_owned),
    };
    to_json(&Start {
        template_id: if request.template_id == 0 { QUESTION_TEMPLATE } else { request.template_id },
        values,
        code: request.code,
        device_id: request.device_id,
        device_desc: request.device_desc,
        ip: request.ip,
    })
}

pub(super) fn transaction_id(id: i64) -> Result<Vec<u8>, Error> {
    check_id(id)?;
    to_json(&TransactionId { transaction_id: id })
}

pub(super) fn check_id(id: i64) -> Result<(), Error> {
    if id > 0 {
        return Ok(());
    }
    Err(Error::argument(format!("`transaction_id` {id} is not above 0")))
}

fn check(request: &Request<'_>) -> Result<(), Error> {
    let texts = [
        ("question", request.question),
        ("values_json", request.values_json),
        ("code", request.code),
        ("device_id", request.device_id),
        ("device_desc", request.device_desc),
        ("ip", request.ip),
    ];
    for (name, text) in texts {
        check_text(name, text)?;
    }
    check_template(request)?;
    match request.code {
        Some(code) if !request.any_code && !is_two_digits(code) => {
            Err(Error::argument("`code` is not two digits (`MFA_REQUEST_ANY_CODE` allows any text)"))
        }
        _ => Ok(()),
    }
}

fn check_text(name: &str, text: Option<&str>) -> Result<(), Error> {
    match text {
        Some("") => Err(Error::argument(format!("`{name}` is empty; leave it out instead"))),
        Some(text) if text.len() > MAX_TEXT => {
            Err(Error::argument(format!("`{name}` is longer than {MAX_TEXT} bytes")))
        }
        _ => Ok(()),
    }
}

fn check_template(request: &Request<'_>) -> Result<(), Error> {
    if request.question.is_some() && request.values_json.is_some() {
        return Err(Error::argument("`question` and `values_json` exclude each other"));
    }
    if request.question.is_some() && ![0, QUESTION_TEMPLATE].contains(&request.template_id) {
        return Err(Error::argument("`question` belongs to template 4; use `values_json` for another"));
    }
    if request.question.is_none() && request.template_id == 0 {
        return Err(Error::argument("`question` is required unless `template_id` names another template"));
    }
    request.values_json.map_or(Ok(()), check_values)
}

/// By its grammar alone, which takes neither recursion nor memory.
fn check_values(json: &str) -> Result<(), Error> {
    if is_too_deep(json.as_bytes(), MAX_DEPTH) {
        return Err(Error::argument(format!("`values_json` is nested deeper than {MAX_DEPTH}")));
    }
    let is_object = json.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(json).is_ok();
    if !is_object {
        return Err(Error::argument("`values_json` is not a JSON object"));
    }
    Ok(())
}

fn is_two_digits(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|b| b.is_ascii_digit())
}

fn question_values(question: &str) -> Result<String, Error> {
    let action = QuestionAction { kind: "question", action_info: question };
    serde_json::to_string(&QuestionValues { version: 1, action }).map_err(|e| Error::internal(e.to_string()))
}

/// No secret is in a body: HyperID's token travels in a header.
fn to_json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|e| Error::internal(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(request: &Request<'_>) -> String {
        String::from_utf8(start(request).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn each_field_has_its_setter() {
        // No `..`: a new field does not compile before it stands here, with its setter.
        let Request { template_id, question, values_json, code, any_code, device_id, device_desc, ip } =
            Request::new()
                .template_id(7)
                .question("question")
                .values_json("values")
                .code("code")
                .any_code(true)
                .device_id("id")
                .device_desc("desc")
                .ip("ip");
        assert_eq!((template_id, any_code), (7, true));
        let texts = [question, values_json, code, device_id, device_desc, ip];
        assert_eq!(texts, ["question", "values", "code", "id", "desc", "ip"].map(Some));
    }

    #[test]
    fn a_question_is_escaped_twice() {
        let request = Request { question: Some("Pay \"5 €\"?"), code: Some("07"), ..Request::default() };
        let expected = r#"{"template_id":4,"values":"{\"version\":1,\"action\":{\"type\":\"question\",\"action_info\":\"Pay \\\"5 €\\\"?\"}}","code":"07"}"#;
        assert_eq!(json(&request), expected);
    }

    #[test]
    fn other_templates_take_their_values_as_given() {
        let request = Request {
            template_id: 2,
            values_json: Some(r#"{"amount":"0.5"}"#),
            device_id: Some("d"),
            device_desc: Some("e"),
            ip: Some("::1"),
            ..Request::default()
        };
        let expected = r#"{"template_id":2,"values":"{\"amount\":\"0.5\"}","device_id":"d","device_desc":"e","ip":"::1"}"#;
        assert_eq!(json(&request), expected);
        assert_eq!(json(&Request { template_id: 99, ..Request::default() }), r#"{"template_id":99}"#);
    }

    #[test]
    fn contradictory_requests_are_refused() {
        let ok = Request { question: Some("?"), ..Request::default() };
        let bad = [
            Request::default(),
            Request { question: Some(""), ..ok },
            Request { values_json: Some("{}"), ..ok },
            Request { question: None, values_json: Some("{}"), ..ok },
            Request { template_id: 2, ..ok },
            Request { template_id: 2, question: None, values_json: Some("[]"), ..ok },
            Request { template_id: 2, question: None, values_json: Some("{} x"), ..ok },
            Request { code: Some("7"), ..ok },
            Request { code: Some("123"), ..ok },
            Request { code: Some("1a"), ..ok },
            Request { code: Some("١٢"), ..ok },
            Request { code: Some(""), any_code: true, ..ok },
            Request { ip: Some(""), ..ok },
        ];
        for request in bad {
            assert!(start(&request).is_err(), "{request:?}");
        }
        assert!(start(&Request { code: Some("abc"), any_code: true, ..ok }).is_ok());
        assert!(start(&Request { template_id: 4, ..ok }).is_ok());
    }

    #[test]
    fn values_are_a_json_object_of_bounded_depth() {
        let check = |values: &str| {
            start(&Request { template_id: 2, values_json: Some(values), ..Request::default() })
        };
        let nested = |n: usize| format!("{}{}", r#"{"a":["#.repeat(n), "]}".repeat(n));
        for values in ["{}", " {}\n", r#"{"a":1e999,"b":"\ud83d","c":null}"#, &nested(MAX_DEPTH / 2)] {
            assert!(check(values).is_ok(), "{values}");
        }
        let brackets = format!(r#"{{"a":"{}"}}"#, "[".repeat(1000));
        assert!(check(&brackets).is_ok());
        for values in ["", " ", "null", "[{}]", "\"{}\"", "{", "{}}", r#"{"a":}"#, r#"{"a":01}"#, "{'a':1}"] {
            assert!(check(values).is_err(), "{values}");
        }
        for depth in [MAX_DEPTH / 2 + 1, 64, 2000] {
            let message = check(&nested(depth)).unwrap_err().message;
            assert!(message.contains("deeper than 32"), "{message}");
        }
    }

    #[test]
    fn ids_are_positive() {
        assert_eq!(
            transaction_id(i64::MAX).unwrap().as_slice(),
            br#"{"transaction_id":9223372036854775807}"#
        );
        assert!(transaction_id(0).is_err() && transaction_id(-1).is_err());
    }
}
