//! SIP traces as a platform exports them from its capture store (Homer's columns): a record for each
//! message, requests and answers alike, where an event log has one for both.
//!
//! What is read of a record is put under the names of an event log's, so that `eventlog` knows one
//! form only.

use serde_json::{Map, Value};

/// A trace's record under the default names of [`super::eventlog`]; `None` when it is none.
pub(super) fn as_log_record(record: &Value) -> Option<Value> {
    let record = record.as_object()?;
    // `method` holds a request's method or an answer's code; of what method that is, CSeq says.
    let (method, cseq) = (text(record, "method")?, text(record, "cseq")?);
    let (_, about) = cseq.split_once(' ')?;
    let is_answer = method.bytes().all(|b| b.is_ascii_digit());
    let user = text(record, "fromuser")?;
    let pairs = [
        ("method", Some(about.trim().to_owned())),
        ("sip_from", Some(address(&user, text(record, "fromdomain")))),
        ("sip_to", Some(address(&text(record, "touser").unwrap_or_default(), text(record, "todomain")))),
        ("response_code", Some(method).filter(|_| is_answer)),
        ("reason_phrase", text(record, "replyreason")),
        ("timestamp", Some(TIMES.iter().find_map(|name| text(record, name))?)),
        ("call_id", Some(text(record, "callid")?)),
    ];
    let known = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?))));
    Some(Value::Object(known.collect()))
}

fn address(user: &str, domain: Option<String>) -> String {
    match (user, domain) {
        (user, None) => user.to_owned(),
        ("", Some(domain)) => format!("sip:{domain}"),
        (user, Some(domain)) => format!("sip:{user}@{domain}"),
    }
}

/// A text or number by its name in lower case without underscores: exports write `replyReason` and
/// `reply_reason`.
fn text(record: &Map<String, Value>, name: &str) -> Option<String> {
    let plain = |key: &str| key.bytes().filter(|&b| b != b'_').map(|b| b.to_ascii_lowercase()).eq(name.bytes());
    let value = record.iter().find(|(key, _)| plain(key)).map(|(_, value)| value)?;
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

/// The most exact first.
const TIMES: [&str; 3] = ["microts", "millits", "date"];
