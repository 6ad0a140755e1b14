//! A platform's SIP event log: JSON records with method, addresses, response code and time, in
//! whatever form they were exported: an array, one record per line, several in a row with or
//! without commas, pretty-printed, a single one, or an object around the array.
//!
//! A record may also be one message of a SIP trace, see `siptrace`.
//!
//! Field names are those of [`Fields`], which a user may change; what is not named there is
//! ignored. Texts may be numbers and numbers texts. Every error says which record it is about and
//! where that stands. This reads bytes and judges nothing; how records make attempts is `observe`'s
//! business.

use super::siptrace;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// One record about a REGISTER.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogRecord {
    /// Its place in the log, from 1.
    pub number: u64,
    /// Nanoseconds since the Unix epoch.
    pub at_ns: u64,
    /// As written: `<sip:agent_jdoe@genesyscloud.com>`.
    pub from: String,
    pub to: String,
    /// `None`: a request that nothing is said of yet.
    pub code: Option<u16>,
    pub reason: String,
    /// The platform's name for the trunk, where it has one.
    pub trunk: String,
    pub call_id: String,
}

/// A log, read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventLog {
    /// In the order of the log.
    pub records: Vec<LogRecord>,
    /// Records of other methods.
    pub others: u64,
}

/// The names under which a log keeps what is needed: a key, or a path of keys with dots
/// (`sip.from`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fields {
    pub method: String,
    /// The user is taken from it.
    pub user: String,
    pub to: String,
    pub code: String,
    pub reason: String,
    pub time: String,
    pub trunk: String,
    pub call_id: String,
}

impl Default for Fields {
    fn default() -> Self {
        Fields {
            method: "method".to_owned(),
            user: "sip_from".to_owned(),
            to: "sip_to".to_owned(),
            code: "response_code".to_owned(),
            reason: "reason_phrase".to_owned(),
            time: "timestamp".to_owned(),
            trunk: "trunk_id".to_owned(),
            call_id: "call_id".to_owned(),
        }
    }
}

/// Why a field's name cannot be changed as told.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FieldsError {
    #[error("\"{0}\" is no assignment; write FIELD=NAME, like user=sip_from")]
    NoAssignment(String),
    #[error("there is no field \"{0}\"; the fields are {names}", names = Fields::NAMES.join(", "))]
    Unknown(String),
}

impl Fields {
    /// What can be named.
    pub const NAMES: [&'static str; 8] = ["method", "user", "to", "code", "reason", "time", "trunk", "call_id"];

    /// Follows an assignment like `user=sip_from`.
    ///
    /// # Errors
    /// When it is none, or names a field that does not exist.
    pub fn assign(&mut self, assignment: &str) -> Result<(), FieldsError> {
        let whole = || FieldsError::NoAssignment(assignment.to_owned());
        let (field, name) = assignment.split_once('=').ok_or_else(whole)?;
        if name.is_empty() {
            return Err(whole());
        }
        let slot = match field {
            "method" => &mut self.method,
            "user" => &mut self.user,
            "to" => &mut self.to,
            "code" => &mut self.code,
            "reason" => &mut self.reason,
            "time" => &mut self.time,
            "trunk" => &mut self.trunk,
            "call_id" => &mut self.call_id,
            unknown => return Err(FieldsError::Unknown(unknown.to_owned())),
        };
        name.clone_into(slot);
        Ok(())
    }
}

/// Where something stands in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The record, from 1.
    pub record: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {} (record {})", self.line, self.column, self.record)
    }
}

/// Why a log cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LogError {
    #[error("line {line}, column {column}: this is no text in UTF-8")]
    NotText { line: usize, column: usize },
    #[error("{at}: this is no JSON: {what}")]
    Json { at: Position, what: String },
    #[error("{at}: a record is a JSON object, and this is {found}")]
    NoObject { at: Position, found: &'static str },
    #[error("{at}: the record has no \"{name}\"; it has {keys}. Name the key with --field {field}=KEY")]
    Missing { at: Position, field: &'static str, name: String, keys: String },
    #[error("{at}: \"{name}\" is {found}; {wanted}")]
    Unreadable { at: Position, name: String, found: String, wanted: &'static str },
    #[error("there is no record in it")]
    Empty,
}

/// Reads a log.
///
/// # Errors
/// At the first place that cannot be understood. Records of methods other than REGISTER are not
/// looked into.
pub fn read(bytes: &[u8], fields: &Fields) -> Result<EventLog, LogError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
        let (line, column) = line_column(&valid, valid.len());
        LogError::NotText { line, column }
    })?;
    let mut reader = LogReader { text, fields, trace_fields: Fields::default(), log: EventLog::default(), number: 0 };
    reader.all()?;
    if reader.number == 0 {
        return Err(LogError::Empty);
    }
    Ok(reader.log)
}

/// Whether bytes begin as JSON does.
pub fn is_json(beginning: &[u8]) -> bool {
    let beginning = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning);
    matches!(beginning.trim_ascii_start(), [b'{' | b'[', ..])
}

struct LogReader<'a> {
    text: &'a str,
    fields: &'a Fields,
    /// Those of a SIP trace, once it has been renamed.
    trace_fields: Fields,
    log: EventLog,
    number: u64,
}

impl<'a> LogReader<'a> {
    /// Values one after another, with blanks, line ends or commas between them.
    fn all(&mut self) -> Result<(), LogError> {
        let mut from = 0;
        loop {
            let between = |c: char| c.is_whitespace() || c == ',';
            from += self.text[from..].len() - self.text[from..].trim_start_matches(between).len();
            let rest = &self.text[from..];
            if rest.is_empty() {
                return Ok(());
            }
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&'a RawValue>();
            match values.next() {
                Some(Ok(value)) => self.value(value, true)?,
                Some(Err(error)) => return Err(self.no_json(from, &error)),
                None => return Ok(()),
            }
            from += values.byte_offset();
        }
    }

    /// A record, a list of records, or an object around one (`outer`: it may be that).
    fn value(&mut self, raw: &'a RawValue, outer: bool) -> Result<(), LogError> {
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'[') if outer => {
                let mut list = serde_json::Deserializer::from_str(text);
                let inner: Vec<&'a RawValue> =
                    Vec::deserialize(&mut list).map_err(|error| self.no_json(self.offset(text), &error))?;
                inner.into_iter().try_for_each(|record| self.value(record, false))
            }
            Some(b'{') => match envelope(text, self.fields).filter(|_| outer) {
                Some(list) => self.value(list, true),
                None => self.record(text),
            },
            first => {
                self.number += 1;
                let found = match first {
                    Some(b'[') => "a list in a list",
                    Some(b'"') => "a text",
                    Some(b't' | b'f') => "a truth value",
                    Some(b'n') => "null",
                    _ => "a number",
                };
                Err(LogError::NoObject { at: self.position(text), found })
            }
        }
    }

    fn record(&mut self, text: &'a str) -> Result<(), LogError> {
        self.number += 1;
        let mut record: Value = serde_json::from_str(text).map_err(|error| self.no_json(self.offset(text), &error))?;
        // Counting lines is left to errors: a log may have millions of records.
        let at = || self.position(text);
        let mut fields = self.fields;
        let trace = if find(&record, &fields.time).is_none() { siptrace::as_log_record(&record) } else { None };
        if let Some(renamed) = trace {
            (record, fields) = (renamed, &self.trace_fields);
        }
        let needed = |field: &'static str, name: &str| {
            find(&record, name).ok_or_else(|| LogError::Missing {
                at: at(),
                field,
                name: name.to_owned(),
                keys: keys(&record),
            })
        };
        let unreadable = |name: &str, value: &Value, wanted: &'static str| LogError::Unreadable {
            at: at(),
            name: name.to_owned(),
            found: shown(value),
            wanted,
        };
        let method = needed("method", &fields.method)?;
        if !plain(method).eq_ignore_ascii_case("REGISTER") {
            self.log.others += 1;
            return Ok(());
        }
        let time = needed("time", &fields.time)?;
        let wanted_time = "a time is written like \"2026-05-14T10:22:15Z\", or as seconds or milliseconds since 1970";
        let at_ns = unix_ns(time).ok_or_else(|| unreadable(&fields.time, time, wanted_time))?;
        let from = needed("user", &fields.user)?;
        let wanted_user = "it should name a user, like \"<sip:agent@example.com>\" or \"agent\"";
        let from = Some(plain(from))
            .filter(|text| !text.is_empty())
            .ok_or_else(|| unreadable(&fields.user, from, wanted_user))?;
        let code = match find(&record, &fields.code).filter(|value| !plain(value).is_empty()) {
            None => None,
            Some(value) => {
                // A table that once had an empty cell writes whole numbers as 401.0.
                let text = plain(value);
                let code = text
                    .strip_suffix(".0")
                    .unwrap_or(&text)
                    .parse()
                    .ok()
                    .filter(|code| *code == 0 || (100..700).contains(code));
                let wanted = "a response code is a number from 100 to 699, or 0, or left out";
                Some(code.ok_or_else(|| unreadable(&fields.code, value, wanted))?).filter(|code| *code > 0)
            }
        };
        let optional = |name: &str| find(&record, name).map(plain).unwrap_or_default();
        self.log.records.push(LogRecord {
            number: self.number,
            at_ns,
            from,
            to: optional(&fields.to),
            code,
            reason: optional(&fields.reason),
            trunk: optional(&fields.trunk),
            call_id: optional(&fields.call_id),
        });
        Ok(())
    }

    /// The place of a piece of the log.
    fn position(&self, piece: &str) -> Position {
        let (line, column) = line_column(self.text, self.offset(piece));
        Position { line, column, record: self.number }
    }

    fn offset(&self, piece: &str) -> usize {
        (piece.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize).min(self.text.len())
    }

    /// What is wrong with the text that begins at `from`; it belongs to the record after those
    /// read.
    fn no_json(&self, from: usize, error: &serde_json::Error) -> LogError {
        let rest = &self.text[from..];
        let line_start: usize = rest.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let within = line_start + error.column().saturating_sub(1);
        let (line, column) = line_column(self.text, from + within.min(rest.len()));
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default().to_owned();
        LogError::Json { at: Position { line, column, record: self.number + 1 }, what }
    }
}

/// The list inside an object that is no record itself, as exports wrap it: `{"entities": […]}`.
fn envelope<'a>(text: &'a str, fields: &Fields) -> Option<&'a RawValue> {
    let object: std::collections::BTreeMap<String, &'a RawValue> = serde_json::from_str(text).ok()?;
    let top =
        |name: &str| object.contains_key(name) || name.split('.').next().is_some_and(|key| object.contains_key(key));
    if top(&fields.method) || top(&fields.time) {
        return None;
    }
    let mut lists = object.values().copied().filter(|value| value.get().starts_with('['));
    lists.next().filter(|_| lists.next().is_none())
}

/// A value by key, or by a path of keys; null is no value.
fn find<'v>(record: &'v Value, name: &str) -> Option<&'v Value> {
    let direct = record.get(name);
    let by_path = || name.split('.').try_fold(record, |value, key| value.get(key));
    direct.or_else(by_path).filter(|value| !value.is_null())
}

/// A text or number as text.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    }
}

fn shown(value: &Value) -> String {
    let text: String = value.to_string().chars().take(60).collect();
    text
}

fn keys(record: &Value) -> String {
    let keys: Vec<_> = record.as_object().into_iter().flatten().map(|(key, _)| format!("\"{key}\"")).take(12).collect();
    if keys.is_empty() { "no keys".to_owned() } else { keys.join(", ") }
}

/// A time in any of the usual forms.
fn unix_ns(value: &Value) -> Option<u64> {
    let text = plain(value);
    let time = match text.parse::<f64>() {
        Ok(number) => from_epoch(&text, number)?,
        Err(_) => written(&text)?,
    };
    u64::try_from(time.as_nanosecond()).ok()
}

/// RFC 3339; a time without a zone is taken for UTC.
fn written(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()
}

/// Where the year 5138 begins, counted in seconds, milliseconds and microseconds; the next finer
/// unit reaches it in 1973.
const SECONDS_END: i64 = 100_000_000_000;
const MILLIS_END: i64 = 1_000 * SECONDS_END;
const MICROS_END: i64 = 1_000 * MILLIS_END;

/// Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by size.
fn from_epoch(text: &str, number: f64) -> Option<Timestamp> {
    if !number.is_finite() || number < 0.0 {
        return None;
    }
    // A whole number of nanoseconds does not fit into a float.
    if let Ok(whole) = text.parse::<i64>() {
        return match whole {
            ..SECONDS_END => Timestamp::from_second(whole),
            SECONDS_END..MILLIS_END => Timestamp::from_millisecond(whole),
            MILLIS_END..MICROS_END => Timestamp::from_microsecond(whole),
            MICROS_END.. => Timestamp::from_nanosecond(whole.into()),
        }
        .ok();
    }
    let seconds = if number < SECONDS_END as f64 { number } else { number / 1e3 };
    Timestamp::UNIX_EPOCH.checked_add(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
}

/// Line and column, from 1, of a place in a text.
fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
    (line, String::from_utf8_lossy(&before[line_start..]).chars().count() + 1)
}

#[cfg(test)]
#[path = "eventlog_tests.rs"]
mod tests;
