//! What a platform said of trunks, as `regstorm platform pull` keeps it: `pull.json` (what was
//! asked, and what was not told), `states.csv`, `counts.csv`, and `events.jsonl`, which is an event
//! log as [`super::eventlog`] reads it.
//!
//! What was not told is never a zero: a source that came back empty is `empty`, and its minutes are
//! not known.

use serde::{Deserialize, Serialize};

/// Everything but the events.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PlatformRecord {
    pub facts: PullFacts,
    pub states: Vec<SeenState>,
    pub counts: Vec<SeenCount>,
}

/// `pull.json`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct PullFacts {
    pub schema: u32,
    pub platform: String,
    pub kind: String,
    /// The window that was asked for, seconds since the Unix epoch as the platform counts them.
    pub from_s: i64,
    pub to_s: i64,
    /// When it was asked, by our clock.
    pub pulled_s: i64,
    /// The platform's clock minus ours, in seconds, and how far that may be off; from `Date`.
    pub clock_off_s: Option<(f64, f64)>,
    /// What is younger may still grow, by the platform's clock.
    pub provisional_from_s: i64,
    /// Our ids of the trunks that were asked about, and the platform's.
    pub trunks: Vec<(String, String)>,
    pub sources: Vec<SourceSeen>,
    /// Stretches that could not be had.
    pub gaps: Vec<PullGap>,
    /// What came back otherwise than expected, in words.
    pub remarks: Vec<String>,
    pub requests: u64,
}

/// What became of one source.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceSeen {
    /// `states`, `counts` or `events`.
    pub source: String,
    /// Our id; empty: of all trunks at once.
    pub trunk: String,
    pub outcome: SourceOutcome,
    pub rows: u64,
    /// What it said that refused.
    pub said: String,
}

/// How a source answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceOutcome {
    Told,
    /// An empty list: nothing happened, or the permission is missing. Nothing is known.
    Empty,
    /// Some of it could not be had.
    Incomplete,
    Refused,
}

/// A stretch of a source that could not be had.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PullGap {
    pub source: String,
    pub trunk: String,
    pub from_s: i64,
    pub to_s: i64,
    pub why: String,
}

/// A trunk's state at one time: a row of `states.csv`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SeenState {
    /// RFC 3339.
    pub time: String,
    pub trunk_id: String,
    pub platform_id: String,
    /// The platform's word.
    pub state: String,
    /// Whether it says that the trunk is registered or connected; `None`: it does not say.
    pub registered: Option<bool>,
    /// Since when, as it says.
    pub since: String,
    pub detail: String,
}

/// One count: a row of `counts.csv`, whose first columns are those of `intervals.csv`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SeenCount {
    /// RFC 3339.
    pub interval_start: String,
    pub interval_s: f64,
    pub trunk_id: String,
    pub status: String,
    pub count: u64,
    #[serde(default)]
    pub provisional: bool,
}

/// Why a platform's file cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{file}: {why}")]
pub struct PlatformFileError {
    pub file: &'static str,
    pub why: String,
}

pub const PULL_FILE: &str = "pull.json";
pub const STATES_FILE: &str = "states.csv";
pub const COUNTS_FILE: &str = "counts.csv";
pub const EVENTS_FILE: &str = "events.jsonl";

/// The schema of what is written now.
pub const PULL_SCHEMA: u32 = 1;

impl PlatformRecord {
    /// Reads what is there of the files; each may be missing.
    ///
    /// # Errors
    /// Names the file that cannot be understood.
    pub fn read(
        pull: Option<&[u8]>,
        states: Option<&[u8]>,
        counts: Option<&[u8]>,
    ) -> Result<PlatformRecord, PlatformFileError> {
        let facts = match pull {
            None => PullFacts::default(),
            Some(bytes) => serde_json::from_slice(bytes)
                .map_err(|error| PlatformFileError { file: PULL_FILE, why: error.to_string() })?,
        };
        Ok(PlatformRecord { facts, states: rows(STATES_FILE, states)?, counts: rows(COUNTS_FILE, counts)? })
    }

    /// `pull.json`, `states.csv` and `counts.csv`.
    pub fn files(&self) -> Vec<(&'static str, Vec<u8>)> {
        let pull = serde_json::to_vec_pretty(&self.facts).unwrap_or_default();
        let state_columns = ["time", "trunk_id", "platform_id", "state", "registered", "since", "detail"];
        let count_columns = ["interval_start", "interval_s", "trunk_id", "status", "count", "provisional"];
        vec![
            (PULL_FILE, pull),
            (STATES_FILE, table(&state_columns, &self.states)),
            (COUNTS_FILE, table(&count_columns, &self.counts)),
        ]
    }
}

fn rows<T: serde::de::DeserializeOwned>(file: &'static str, bytes: Option<&[u8]>) -> Result<Vec<T>, PlatformFileError> {
    let Some(bytes) = bytes else { return Ok(Vec::new()) };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let read: Result<Vec<T>, csv::Error> = csv::Reader::from_reader(bytes).deserialize().collect();
    read.map_err(|error| PlatformFileError { file, why: error.to_string() })
}

/// A table whose header is there without rows too.
fn table<T: Serialize>(columns: &[&str], rows: &[T]) -> Vec<u8> {
    let mut writer =
        csv::WriterBuilder::new().has_headers(false).terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    // A vector takes every write, and a row has the columns of its type.
    let _taken = writer.write_record(columns);
    for row in rows {
        let _taken = writer.serialize(row);
    }
    writer.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_an_unknown_state_stays_unknown() {
        let state = SeenState {
            time: "2026-11-30T10:00:00Z".to_owned(),
            trunk_id: "nj".to_owned(),
            state: "Active, \"green\"".to_owned(),
            ..SeenState::default()
        };
        let count = SeenCount { status: "registered".to_owned(), count: 7, ..SeenCount::default() };
        let facts = PullFacts { clock_off_s: Some((37.0, 0.5)), ..PullFacts::default() };
        let record = PlatformRecord { facts, states: vec![state], counts: vec![count] };
        let files = record.files();
        let of = |name: &str| files.iter().find(|(file, _)| *file == name).map(|(_, bytes)| bytes.as_slice());
        assert_eq!(PlatformRecord::read(of(PULL_FILE), of(STATES_FILE), of(COUNTS_FILE)), Ok(record));
    }

    #[test]
    fn a_table_without_rows_has_its_header_and_a_broken_one_is_named() {
        let files = PlatformRecord::default().files();
        let text = |n: usize| String::from_utf8_lossy(&files[n].1).into_owned();
        assert_eq!(text(1), "time,trunk_id,platform_id,state,registered,since,detail\r\n");
        assert_eq!(text(2), "interval_start,interval_s,trunk_id,status,count,provisional\r\n");
        let broken =
            b"interval_start,interval_s,trunk_id,status,count,provisional\r\nx,60,nj,registered,many,false\r\n";
        let error = PlatformRecord::read(None, None, Some(broken)).expect_err("no number").to_string();
        assert!(error.starts_with("counts.csv: ") && error.contains("count"), "{error}");
    }
}
