//! What a contact-centre cloud says of trunks: asked, never changed.
//!
//! `genesys` and `export` are the dialects, one file each behind [`Dialect`]: which questions there
//! are, how they are written and what an answer means, without I/O. `pages` goes from page to page
//! to an end that exists, `pull` from window to window, `session` asks over HTTP with a token,
//! patience and a budget, `budget` is that budget.
//!
//! Three rules hold for every dialect. An empty list is `unknown`, because a missing permission
//! looks like that. What could not be had is said with its window. Tokens and secrets are in no
//! error, no file and no log.

pub mod budget;
pub mod export;
pub mod genesys;
pub mod pages;
pub mod pull;
pub mod session;

use crate::record::platform::{SeenCount, SeenState};
use crate::vocab::PlatformKind;
use serde_json::Value;

/// A kind of question that a platform may answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlatformSource {
    /// How a trunk stands now.
    States,
    /// Registrations by minute and outcome.
    Counts,
    /// One record for each answered request.
    Events,
}

impl PlatformSource {
    pub const fn name(self) -> &'static str {
        match self {
            PlatformSource::States => "states",
            PlatformSource::Counts => "counts",
            PlatformSource::Events => "events",
        }
    }
}

/// A source of a dialect, for people.
#[derive(Clone, Copy, Debug)]
pub struct SourceFacts {
    pub source: PlatformSource,
    /// The permissions or scopes it wants.
    pub wants: &'static str,
    pub shows: &'static str,
    pub hides: &'static str,
    /// Whether it is asked trunk by trunk.
    pub by_trunk: bool,
    /// Whether it is asked for a window of time.
    pub by_time: bool,
}

/// From and until when, whole seconds since the Unix epoch; the end is not part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AskWindow {
    pub from_s: i64,
    pub to_s: i64,
}

/// A request as a dialect writes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlatformRequest {
    /// From the host on: path and query.
    pub path: String,
    /// A query in JSON, which is posted.
    pub body: Option<Value>,
}

/// One thing in an answer.
#[derive(Clone, PartialEq, Debug)]
pub enum PlatformRow {
    State(SeenState),
    Count(SeenCount),
    /// A record as it was, and its time.
    Event {
        at_s: Option<i64>,
        record: Value,
    },
}

/// Our id of a trunk and the platform's.
pub type TrunkNames = (String, String);

/// What a platform speaks.
pub trait Dialect: Sync {
    /// What it can be asked.
    fn sources(&self) -> &'static [SourceFacts];

    /// A question; `trunk` where it is asked trunk by trunk, `page` counted from 1.
    fn request(
        &self,
        source: PlatformSource,
        trunk: Option<&TrunkNames>,
        window: AskWindow,
        page: u64,
    ) -> PlatformRequest;

    /// What stands in an answer.
    ///
    /// # Errors
    /// When it is no such answer.
    fn rows(
        &self,
        source: PlatformSource,
        trunk: Option<&TrunkNames>,
        trunks: &[TrunkNames],
        answer: &Value,
    ) -> Result<Vec<PlatformRow>, String>;
}

/// The dialect of a kind of platform.
pub fn dialect(kind: PlatformKind) -> &'static dyn Dialect {
    match kind {
        PlatformKind::Genesys => &genesys::Genesys,
        PlatformKind::AnalyticsExport => &export::AnalyticsExport,
    }
}

/// Rows asked for at once.
pub(crate) const PAGE_SIZE: u64 = 500;

/// A time as platforms write it.
pub(crate) fn rfc3339(unix_s: i64) -> String {
    jiff::Timestamp::from_second(unix_s).map_or_else(|_| unix_s.to_string(), |time| time.to_string())
}

/// The list in an answer: it is one, or the first of these keys that is one.
pub(crate) fn list<'v>(answer: &'v Value, keys: &[&str]) -> Result<&'v [Value], String> {
    let list = answer.as_array().or_else(|| keys.iter().find_map(|key| answer.get(key)?.as_array()));
    if let Some(list) = list {
        return Ok(list);
    }
    // A list that is `null` is how some say that there is nothing.
    if keys.iter().any(|key| answer.get(key).is_some_and(Value::is_null)) {
        return Ok(&[]);
    }
    Err(format!("there is no list in it ({})", keys.join(", ")))
}

/// A text or a number by the first of these keys that has one.
pub(crate) fn text_of(object: &Value, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| match object.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// Our name for a trunk of the platform's.
pub(crate) fn ours(trunks: &[TrunkNames], theirs: &str) -> Option<String> {
    trunks.iter().find(|(_, id)| id == theirs).map(|(ours, _)| ours.clone())
}
