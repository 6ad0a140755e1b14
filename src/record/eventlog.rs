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

mod pieces;

use super::siptrace;
pub use super::siptrace::StoredMessage;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use pieces::{LONGEST, NextValue, Pieces};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read};
use std::sync::Arc;

/// One record about a REGISTER. Texts that come again are kept once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogRecord {
    /// Its place in the log, from 1.
    pub number: u64,
    /// Nanoseconds since the Unix epoch.
    pub at_ns: u64,
    /// As written: `<sip:agent_jdoe@genesyscloud.com>`.
    pub from: Arc<str>,
    pub to: Arc<str>,
    /// `None`: a request that nothing is said of yet.
    pub code: Option<u16>,
    pub reason: Arc<str>,
    /// The platform's name for the trunk, where it has one.
    pub trunk: Arc<str>,
    pub call_id: Box<str>,
}

/// A log, read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventLog {
    /// In the order of the log.
    pub records: Vec<LogRecord>,
    /// Records of other methods.
    pub others: u64,
    /// Records that hold a message as it was.
    pub messages: Vec<StoredMessage>,
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

    /// The usual names with these assignments followed.
    ///
    /// # Errors
    /// Names the first that cannot be.
    pub fn with(assignments: &[String]) -> Result<Fields, String> {
        let mut fields = Fields::default();
        for assignment in assignments {
            fields.assign(assignment).map_err(|error| format!("--field {assignment}: {error}"))?;
        }
        Ok(fields)
    }

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
    #[error(
        "{at}: a value of more than {} MB is no record; is this an export of something else?",
        pieces::LONGEST >> 20
    )]
    TooLong { at: Position },
    #[error("it cannot be read: {0}")]
    Source(String),
    #[error("there is no record in it")]
    Empty,
}

/// Reads a log that is there as a whole.
///
/// # Errors
/// As of [`read_from`].
pub fn read(bytes: &[u8], fields: &Fields) -> Result<EventLog, LogError> {
    read_from(bytes, fields)
}

/// Reads a log as it comes, however long it is.
///
/// # Errors
/// At the first place that cannot be understood. Records of methods other than REGISTER are not
/// looked into.
pub fn read_from(source: impl Read, fields: &Fields) -> Result<EventLog, LogError> {
    let mut reader = LogReader {
        fields,
        trace_fields: Fields::default(),
        log: EventLog::default(),
        texts: HashSet::new(),
        number: 0,
    };
    let mut pieces = Pieces::new(source);
    pieces.begin().map_err(|error| LogError::Source(error.to_string()))?;
    reader.values(&mut pieces, None, 0)?;
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

struct LogReader<'f> {
    fields: &'f Fields,
    /// Those of a SIP trace, once it has been renamed.
    trace_fields: Fields,
    log: EventLog,
    /// What users, reasons and trunks are called.
    texts: HashSet<Arc<str>>,
    number: u64,
}

/// A text with the place at which it stands in the log.
#[derive(Clone, Copy)]
struct Placed<'a> {
    text: &'a str,
    line: usize,
    column: usize,
}

impl LogReader<'_> {
    /// Values one after another, with blanks, line ends or commas between them, up to `end` or the
    /// end of the log; they stand `deep` values deep.
    fn values<R: Read>(&mut self, pieces: &mut Pieces<R>, end: Option<u8>, deep: usize) -> Result<(), LogError> {
        let io = |error: io::Error| LogError::Source(error.to_string());
        loop {
            let Some(first) = pieces.next(b",").map_err(io)? else { return Ok(()) };
            if end == Some(first) {
                pieces.pass(1);
                return Ok(());
            }
            if first == b'[' && deep == 0 {
                pieces.pass(1);
                self.values(pieces, Some(b']'), deep + 1)?;
                continue;
            }
            match pieces.value(LONGEST).map_err(io)? {
                NextValue::Value(length) => {
                    let placed = placed(pieces, length)?;
                    self.value(placed, placed.text, deep == 0)?;
                    pieces.pass(length);
                }
                // No record is as long: it is an object around a list.
                NextValue::TooLong if first == b'{' && deep == 0 => {
                    pieces.pass(1);
                    self.wrapped(pieces, deep + 1)?;
                }
                NextValue::TooLong => return Err(self.too_long(pieces)),
            }
        }
    }

    /// The inside of an object around a list of records, to its end.
    fn wrapped<R: Read>(&mut self, pieces: &mut Pieces<R>, deep: usize) -> Result<(), LogError> {
        let io = |error: io::Error| LogError::Source(error.to_string());
        loop {
            match pieces.next(b",").map_err(io)? {
                None => return Ok(()),
                Some(b'}') => {
                    pieces.pass(1);
                    return Ok(());
                }
                Some(_) => {}
            }
            // The key; what it says does not matter.
            if !pieces.pass_value().map_err(io)? {
                return Ok(());
            }
            match pieces.next(b":").map_err(io)? {
                Some(b'{') if deep < DEEPEST => {
                    pieces.pass(1);
                    self.wrapped(pieces, deep + 1)?;
                }
                Some(b'[') => {
                    pieces.pass(1);
                    match pieces.next(b"").map_err(io)? {
                        Some(b'{') => self.values(pieces, Some(b']'), deep + 1)?,
                        // Not a list of records.
                        _ => {
                            while pieces.next(b",:").map_err(io)?.is_some_and(|next| next != b']') {
                                pieces.pass_value().map_err(io)?;
                            }
                        }
                    }
                }
                Some(b'}') | None => {}
                Some(_) => match pieces.value(LONGEST).map_err(io)? {
                    NextValue::Value(length) => pieces.pass(length),
                    NextValue::TooLong => return Err(self.too_long(pieces)),
                },
            }
        }
    }

    fn too_long<R: Read>(&self, pieces: &Pieces<R>) -> LogError {
        LogError::TooLong { at: Position { line: pieces.line, column: pieces.column, record: self.number + 1 } }
    }

    /// A record, a list of records, or an object around one (`outer`: it may be that). `piece` is a
    /// part of the text that is placed.
    fn value(&mut self, whole: Placed<'_>, piece: &str, outer: bool) -> Result<(), LogError> {
        match piece.as_bytes().first() {
            Some(b'[') if outer => {
                let mut list = serde_json::Deserializer::from_str(piece);
                let inner: Vec<&RawValue> =
                    Vec::deserialize(&mut list).map_err(|error| self.no_json(whole, piece, &error))?;
                inner.into_iter().try_for_each(|record| self.value(whole, record.get(), false))
            }
            Some(b'{') => match envelope(piece, self.fields).filter(|_| outer) {
                Some(list) => self.value(whole, list.get(), true),
                None => self.record(whole, piece),
            },
            first => {
                self.number += 1;
                let found = match first {
                    Some(b'[') => "a list in a list",
                    Some(b'"') => "a text",
                    Some(b't' | b'f') => "a truth value",
                    Some(b'n') => "null",
                    Some(b'-' | b'0'..=b'9') => "a number",
                    _ => {
                        self.number -= 1;
                        let error = serde_json::from_str::<Value>(piece).err();
                        return error.map_or(Ok(()), |error| Err(self.no_json(whole, piece, &error)));
                    }
                };
                Err(LogError::NoObject { at: self.position(whole, piece), found })
            }
        }
    }

    fn record(&mut self, whole: Placed<'_>, text: &str) -> Result<(), LogError> {
        let parsed = serde_json::from_str(text).map_err(|error| self.no_json(whole, text, &error));
        self.number += 1;
        let mut record: Value = unwrapped(parsed?);
        // Counting lines is left to errors: a log may have millions of records.
        let at = || self.position(whole, text);
        if let Some(message) = siptrace::as_message(&record, unix_ns) {
            self.log.messages.push(message);
            return Ok(());
        }
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
        let mut said = String::new();
        let code = match find(&record, &fields.code).filter(|value| !plain(value).is_empty()) {
            None => None,
            Some(value) => {
                let text = plain(value);
                let wanted = "a response code is a number from 100 to 699, or 0, or left out";
                let (code, words) = code_of(&text).ok_or_else(|| unreadable(&fields.code, value, wanted))?;
                said = words.to_owned();
                Some(code).filter(|code| *code > 0)
            }
        };
        let optional = |name: &str| find(&record, name).map(plain).unwrap_or_default();
        let reason = Some(optional(&fields.reason)).filter(|reason| !reason.is_empty()).unwrap_or(said);
        let [from, to, reason, trunk] =
            [from, optional(&fields.to), reason, optional(&fields.trunk)].map(|text| kept(&mut self.texts, text));
        let call_id = optional(&fields.call_id).into();
        self.log.records.push(LogRecord { number: self.number, at_ns, from, to, code, reason, trunk, call_id });
        Ok(())
    }

    /// The place of a piece of the text that is placed.
    fn position(&self, whole: Placed<'_>, piece: &str) -> Position {
        let (line, column) = whole.place(offset(whole.text, piece));
        Position { line, column, record: self.number }
    }

    /// What is wrong with a piece of text; it belongs to the record after those read.
    fn no_json(&self, whole: Placed<'_>, piece: &str, error: &serde_json::Error) -> LogError {
        let from = offset(whole.text, piece);
        let rest = &whole.text[from..];
        let line_start: usize = rest.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let within = line_start + error.column().saturating_sub(1);
        let (line, column) = whole.place(from + within.min(rest.len()));
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default().to_owned();
        LogError::Json { at: Position { line, column, record: self.number + 1 }, what }
    }
}

/// The next bytes as text.
fn placed<R: Read>(pieces: &Pieces<R>, length: usize) -> Result<Placed<'_>, LogError> {
    let (line, column) = (pieces.line, pieces.column);
    match std::str::from_utf8(pieces.bytes(length)) {
        Ok(text) => Ok(Placed { text, line, column }),
        Err(error) => {
            let valid = String::from_utf8_lossy(&pieces.bytes(length)[..error.valid_up_to()]).into_owned();
            let (line, column) = Placed { text: &valid, line, column }.place(valid.len());
            Err(LogError::NotText { line, column })
        }
    }
}

impl Placed<'_> {
    /// Line and column of an offset into it.
    fn place(self, offset: usize) -> (usize, usize) {
        let (lines, column) = line_column(self.text, offset);
        match lines {
            1 => (self.line, self.column + column - 1),
            _ => (self.line + lines - 1, column),
        }
    }
}

fn offset(whole: &str, piece: &str) -> usize {
    (piece.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len())
}

/// A code as logs write it, and the words behind it: `401`, `401.0` (a table that once had an empty
/// cell), `401 Unauthorized`, `SIP/2.0 401 Unauthorized`.
fn code_of(text: &str) -> Option<(u16, &str)> {
    let text = text.strip_prefix("SIP/2.0 ").unwrap_or(text).trim_start();
    let (code, words) = text.split_once(|c: char| c.is_whitespace() || c == '-').unwrap_or((text, ""));
    let code = code.strip_suffix(".0").unwrap_or(code).parse().ok()?;
    (code == 0 || (100..700).contains(&code)).then(|| (code, words.trim()))
}

/// A record as a search engine wraps it (Elasticsearch, OpenSearch: `_source`; with `fields` each
/// value is a list).
fn unwrapped(mut record: Value) -> Value {
    for name in ["_source", "fields"] {
        let inner = record.as_object_mut().filter(|of| of.contains_key("_index")).and_then(|of| of.remove(name));
        if let Some(inner @ Value::Object(_)) = inner {
            return inner;
        }
    }
    record
}

/// The list inside an object that is no record itself, as exports wrap it: `{"entities": […]}`,
/// `{"hits": {"hits": […]}}`.
fn envelope<'a>(text: &'a str, fields: &Fields) -> Option<&'a RawValue> {
    let object: BTreeMap<String, &'a RawValue> = serde_json::from_str(text).ok()?;
    let top =
        |name: &str| object.contains_key(name) || name.split('.').next().is_some_and(|key| object.contains_key(key));
    if top(&fields.method) || top(&fields.time) || object.contains_key("_source") {
        return None;
    }
    let only = |begin: char| {
        let mut of = object.values().copied().filter(move |value| value.get().starts_with(begin));
        of.next().filter(|_| of.next().is_none())
    };
    let hits = || object.get("hits").copied().filter(|hits| hits.get().starts_with('{'));
    only('[').or_else(|| envelope(hits()?.get(), fields))
}

/// A value by key, or by a path of keys, any of which may have dots of its own; null is no value.
fn find<'v>(record: &'v Value, name: &str) -> Option<&'v Value> {
    let direct = || record.get(name).filter(|value| !value.is_null());
    let by_path = || name.match_indices('.').find_map(|(dot, _)| find(record.get(&name[..dot])?, &name[dot + 1..]));
    direct().or_else(by_path)
}

/// A text or number as text.
/// The one copy of a text.
fn kept(texts: &mut HashSet<Arc<str>>, text: String) -> Arc<str> {
    if let Some(known) = texts.get(text.as_str()) {
        return Arc::clone(known);
    }
    let new = Arc::from(text);
    texts.insert(Arc::clone(&new));
    new
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Array(list) if list.len() == 1 => plain(&list[0]),
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
pub fn unix_ns(value: &Value) -> Option<u64> {
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

/// Objects around each other that are looked into for a list of records.
const DEEPEST: usize = 8;

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
