//! What a platform answers that refuses a request: a code, a sentence, and the fields it names. Of
//! a body as it came, or of a text that somebody copied out of a log or a page.

use crate::vocab::{printable, said};
use serde::Serialize;
use serde_json::Value;
use std::fmt;

/// An answer of a platform that is no success.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct PlatformRefusal {
    /// Of HTTP, where it was told.
    pub status: Option<u16>,
    pub message: String,
    /// The platform's word for the kind of refusal, like `bad.request`.
    pub code: String,
    pub details: Vec<RefusedField>,
}

/// One thing that the platform found wrong.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct RefusedField {
    pub error_code: String,
    pub field_name: String,
}

/// Under which keys a sentence stands.
const MESSAGES: [&str; 4] = ["message", "error_description", "description", "error"];
/// The longest text that is kept.
const LONGEST: usize = 300;

impl PlatformRefusal {
    /// What stands in a body.
    pub fn of(status: u16, body: &[u8]) -> PlatformRefusal {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        PlatformRefusal { status: Some(status), ..PlatformRefusal::of_json(&body) }
    }

    /// What stands in a text that was copied: the JSON by itself, after the lines of HTTP, within
    /// the words of a client, or without its braces.
    ///
    /// `None`: there is nothing in it that such an answer has.
    pub fn read(text: &str) -> Option<PlatformRefusal> {
        let text = text.trim_start_matches('\u{feff}').trim();
        let (before, body) = json_in(text)?;
        let told = body.get("status").and_then(|value| match value {
            Value::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
            Value::String(text) => text.parse().ok(),
            _ => None,
        });
        let refusal = PlatformRefusal { status: told.or_else(|| status_in(before)), ..PlatformRefusal::of_json(&body) };
        let says = !refusal.message.is_empty() || !refusal.code.is_empty() || !refusal.details.is_empty();
        says.then_some(refusal)
    }

    fn of_json(body: &Value) -> PlatformRefusal {
        let body = body.get("error").filter(|inner| inner.is_object()).unwrap_or(body);
        let list = |key: &str| body.get(key).and_then(Value::as_array).into_iter().flatten();
        let mut details: Vec<RefusedField> = list("details").filter_map(RefusedField::of_json).collect();
        // Some put whole answers into one another.
        for inner in list("errors") {
            match inner.get("details").and_then(Value::as_array) {
                Some(own) if !own.is_empty() => details.extend(own.iter().filter_map(RefusedField::of_json)),
                _ => details.extend(RefusedField::of_json(inner)),
            }
        }
        PlatformRefusal { status: None, message: text(body, &MESSAGES), code: text(body, &["code"]), details }
    }

    /// The same without these texts, where the platform wrote them back.
    pub fn without(&self, secrets: &[&str]) -> PlatformRefusal {
        let clean = |text: &String| {
            secrets
                .iter()
                .filter(|secret| !secret.is_empty())
                .fold(text.clone(), |text, secret| text.replace(*secret, "***"))
        };
        let details = self
            .details
            .iter()
            .map(|field| RefusedField { error_code: clean(&field.error_code), field_name: clean(&field.field_name) });
        PlatformRefusal {
            status: self.status,
            message: clean(&self.message),
            code: clean(&self.code),
            details: details.collect(),
        }
    }
}

impl RefusedField {
    fn of_json(value: &Value) -> Option<RefusedField> {
        let field = RefusedField {
            error_code: text(value, &["errorCode", "error_code", "code"]),
            field_name: text(value, &["fieldName", "field_name", "field", "path"]),
        };
        (field != RefusedField::default()).then_some(field)
    }
}

/// In one line: the code, what it says, and of which field.
impl fmt::Display for PlatformRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(status) = self.status {
            write!(f, "{status}")?;
        }
        if !self.message.is_empty() {
            write!(f, " \"{}\"", self.message)?;
        }
        for RefusedField { error_code, field_name } in &self.details {
            if !field_name.is_empty() {
                write!(f, ", field {field_name}")?;
            }
            if !error_code.is_empty() {
                write!(f, ": {error_code}")?;
            }
        }
        Ok(())
    }
}

/// A text by the first of these keys that has one, fit to be shown on a line.
fn text(object: &Value, keys: &[&str]) -> String {
    let found = keys.iter().find_map(|key| object.get(key)?.as_str()).unwrap_or_default();
    let short: String = said(found.as_bytes()).chars().take(LONGEST).collect();
    printable(&short).into_owned()
}

/// The first object in a text, and what stands before it.
fn json_in(text: &str) -> Option<(&str, Value)> {
    for (at, _) in text.match_indices('{') {
        let read = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>().next();
        if let Some(Ok(value)) = read {
            return Some((&text[..at], value));
        }
    }
    // As one quotes it: from the first key on, without the braces.
    let at = text.find("\"message\"")?;
    let pairs = text[at..].trim_end_matches(['.', ',', '}', ' ']);
    let whole = format!("{{{pairs}}}");
    let read = serde_json::Deserializer::from_str(&whole).into_iter::<Value>().next()?.ok();
    // Whatever stands behind the sentence may be anything.
    let value = read.or_else(|| {
        let mut parts = pairs.split('"');
        let message = parts.nth(3)?;
        Some(serde_json::json!({ "message": message }))
    });
    value.map(|value| (&text[..at], value))
}

/// A status of HTTP among words.
fn status_in(text: &str) -> Option<u16> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() == 3);
    words.filter_map(|word| word.parse().ok()).find(|status| (200..600).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BODY: &str = r#"{"message":"Invalid SIP credentials","code":"bad.request","status":400,
        "details":[{"errorCode":"invalid.value","fieldName":"credentials.realm"}]}"#;

    fn realm() -> Vec<RefusedField> {
        vec![RefusedField { error_code: "invalid.value".to_owned(), field_name: "credentials.realm".to_owned() }]
    }

    #[test]
    fn an_answer_is_read_however_it_was_copied() {
        let lines = format!("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\r\n{BODY}");
        let client = format!("(400)\nReason: Bad Request\nHTTP response body: {BODY}\n");
        for text in [BODY.to_owned(), format!("\u{feff}{BODY}\n"), lines, client, format!("log {{x}} 400 {BODY} end")] {
            let refusal = PlatformRefusal::read(&text).expect("an answer");
            assert_eq!((refusal.status, refusal.details), (Some(400), realm()), "{text}");
        }
        let quoted =
            r#"returns a 400 Bad Request with "message": "Invalid SIP credentials provided for trunk ID: t_1"."#;
        let refusal = PlatformRefusal::read(quoted).expect("an answer");
        assert_eq!(
            (refusal.status, refusal.message.as_str()),
            (Some(400), "Invalid SIP credentials provided for trunk ID: t_1")
        );
        for nothing in ["", "400", "{}", "[1]", "{\"entities\":[]}", "it failed"] {
            assert_eq!(PlatformRefusal::read(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn answers_within_answers_are_read_and_no_secret_is_kept() {
        let nested = r#"{"errors":[{"code":"invalid","field":"password"},{"details":[{"fieldName":"realm"}]}],
            "error":"no s3cret"}"#;
        let refusal = PlatformRefusal::read(nested).expect("an answer");
        let fields: Vec<&str> = refusal.details.iter().map(|field| field.field_name.as_str()).collect();
        assert_eq!(fields, ["password", "realm"]);
        assert_eq!(refusal.without(&["", "s3cret"]).message, "no ***");
        let digest = PlatformRefusal::read(r#"{"message":"no 0123456789abcdef0123456789abcdef"}"#).expect("an answer");
        assert!(!digest.message.contains("0123"), "{}", digest.message);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not(text in "[\\PC\n\"{}]{0,60}(\"message\")?[:\"a ]{0,9}") {
            let _ = PlatformRefusal::read(&text);
        }
    }
}
