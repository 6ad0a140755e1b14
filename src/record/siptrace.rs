//! SIP traces as a platform exports them from its capture store (Homer's columns): a record for
//! each message, requests and answers alike, where an event log has one for both.
//!
//! What is read of a record is put under the names of an event log's, so that `eventlog` knows one
//! form only; a record that holds the message itself is that message.

use crate::sip::framing;
use crate::vocab::Transport;
use serde_json::{Map, Value};
use std::net::{IpAddr, SocketAddr};

/// A message as a capture store keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredMessage {
    /// Nanoseconds since the Unix epoch.
    pub at_ns: u64,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub transport: Transport,
    pub bytes: Vec<u8>,
}

/// The message in a record, with its addresses and its time; `None` when it holds none. Homer 7
/// keeps addresses and times in an object of their own.
pub(super) fn as_message(record: &Value, unix_ns: impl Fn(&Value) -> Option<u64>) -> Option<StoredMessage> {
    let record = record.as_object()?;
    let head = ["protocol_header", "protocolHeader"].iter().find_map(|name| record.get(*name)?.as_object());
    let of = |name: &str| head.and_then(|head| text(head, name)).or_else(|| text(record, name));
    let any = |names: &[&str]| names.iter().find_map(|name| of(name));
    let bytes = MESSAGES.iter().find_map(|name| record.get(*name)?.as_str()).map(str::trim_start)?;
    if !framing::is_sip(bytes.as_bytes()) {
        return None;
    }
    let address = |addresses: &[&str], ports: &[&str]| {
        let address: IpAddr = any(addresses)?.parse().ok()?;
        Some(SocketAddr::new(address, any(ports)?.parse().ok()?))
    };
    let seconds = || {
        let (whole, micros): (u64, u64) = (of("timeseconds")?.parse().ok()?, of("timeuseconds")?.parse().ok()?);
        whole.checked_mul(1_000_000_000)?.checked_add(micros.checked_mul(1_000)?)
    };
    let named =
        || ["microts", "millits", "createdate", "date", "timestamp"].iter().find_map(|name| unix_ns(&of(name)?.into()));
    let transport = match any(&["protocol", "transport"]).as_deref() {
        // As IP numbers it, or by name.
        Some("6" | "tcp" | "TCP") => Transport::Tcp,
        Some("tls" | "TLS") => Transport::Tls,
        _ => Transport::Udp,
    };
    Some(StoredMessage {
        at_ns: seconds().or_else(named)?,
        from: address(&["srcip", "sourceip"], &["srcport", "sourceport"])?,
        to: address(&["dstip", "destinationip"], &["dstport", "destinationport"])?,
        transport,
        bytes: lines_of(bytes).into_bytes(),
    })
}

/// Stores that keep texts lose carriage returns.
fn lines_of(text: &str) -> String {
    if text.contains("\r\n\r\n") {
        text.to_owned()
    } else {
        text.replace("\r\n", "\n").trim_end().replace('\n', "\r\n") + "\r\n\r\n"
    }
}

/// Under which names stores keep it.
const MESSAGES: [&str; 5] = ["raw", "msg", "message", "payload", "sip_message"];

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
