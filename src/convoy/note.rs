//! What workers and coordinator write to each other: JSON with a version, each note small.
//!
//! No note holds a secret. A board keeps its notes in files on somebody's disk, so a profile goes
//! out without passwords, and each worker has them from its own environment or a list of its own.

use super::offset::ClockOffset;
use crate::vocab::{Stage, saturating_u32};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The version of these notes; another one is refused.
pub const PROTOCOL: u32 = 1;
/// The longest profile that is offered; NATS takes messages of 1 MiB unless told otherwise.
pub const LONGEST_PROFILE: usize = 256 << 10;
/// The longest note that is read.
const LONGEST_NOTE: usize = 768 << 10;
/// The most workers of one run.
pub const MOST_WORKERS: usize = 1024;

/// A run that waits for workers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FleetOffer {
    /// Sets this run apart from all others: 16 hexadecimal digits.
    pub run: String,
    pub tool_version: String,
    /// What the profile is called where it was read, for messages.
    pub profile_name: String,
    /// Its text, without secrets.
    pub profile: String,
    /// The `--set` texts that belong to it.
    pub sets: Vec<String>,
    pub workers: u32,
    /// SHA-256 of the resolved profile and of the list of agents: a worker must come to the same.
    pub profile_digest: String,
    pub list_digest: String,
    pub agents: u32,
}

/// What a worker made of an offer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReadyMark {
    pub name: String,
    /// Sets a worker apart from another one that was given the same name.
    pub instance: u64,
    pub tool_version: String,
    pub profile_digest: String,
    pub list_digest: String,
    pub clock: Option<ClockOffset>,
    /// Why it takes no part: its own limits, a secret it lacks, a machine too small.
    pub refusal: Option<String>,
}

/// Who does what, and when it begins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FleetAssignment {
    /// By the board's clock, nanoseconds since the Unix epoch.
    pub start_unix_ns: i64,
    /// Sorted by name: each has an equal part of the run, in this order.
    pub workers: Vec<AssignedWorker>,
}

/// Who takes part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AssignedWorker {
    pub name: String,
    pub instance: u64,
}

impl FleetAssignment {
    /// Which part a worker has, from 0, and of how many; `None`: it has none.
    pub fn part(&self, name: &str, instance: u64) -> Option<(u32, u32)> {
        let is_meant = |worker: &AssignedWorker| worker.name == name && worker.instance == instance;
        let part = self.workers.iter().position(is_meant)?;
        Some((saturating_u32(part), saturating_u32(self.workers.len())))
    }
}

/// All orders so far, so that whoever missed one reads it with the next.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct FleetOrders {
    pub orders: Vec<FleetOrder>,
}

/// What every worker is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FleetOrder {
    /// A stage ends before its time: at this moment of the board's clock. The end of the load is
    /// the end of the run in good order.
    EndStage { stage: Stage, at_unix_ns: i64 },
    /// End everything now.
    Abort,
}

/// The coordinator is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CoordinatorBeat {
    pub count: u64,
}

/// Where a worker is: some times a second.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WorkerBeat {
    pub count: u64,
    pub stage: WorkerStage,
    pub planned: u64,
    pub registered: u64,
    pub open: u64,
    /// The stage in which it has nothing left to do.
    pub idle: Option<Stage>,
    pub clock: Option<ClockOffset>,
    /// Frames of its record, once it has ended and all of them are on the board.
    pub frames: Option<u32>,
    /// What it left at the registrars.
    pub left: Option<LeftBound>,
    /// What a person should read of it.
    pub word: Option<String>,
}

/// Bindings that a worker could not remove.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeftBound {
    pub agents: u64,
}

/// How far a worker is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerStage {
    /// It has its share, and the run has not begun.
    Assigned,
    Running(Stage),
    Ended,
    /// It could not begin, or failed.
    Failed,
}

/// A note that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BadNote {
    TooLong(usize),
    Version(u32),
    Malformed(String),
}

impl fmt::Display for BadNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadNote::TooLong(bytes) => write!(f, "{bytes} bytes are more than a note may have, {LONGEST_NOTE}"),
            BadNote::Version(theirs) => write!(f, "notes of version {theirs}, and this regstorm speaks {PROTOCOL}"),
            BadNote::Malformed(why) => write!(f, "no note of a fleet: {why}"),
        }
    }
}

/// A note as it is left on the board.
pub fn written_note<T: Serialize>(note: &T) -> Vec<u8> {
    // Strings, numbers and lists of our own: nothing in a note can fail to serialise.
    serde_json::to_vec(&Versioned { protocol: PROTOCOL, note }).unwrap_or_default()
}

/// Reads a note, whoever left it.
///
/// # Errors
/// When it is too long, of another version, or no such note.
pub fn read_note<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadNote> {
    if bytes.len() > LONGEST_NOTE {
        return Err(BadNote::TooLong(bytes.len()));
    }
    let malformed = |error: serde_json::Error| BadNote::Malformed(error.to_string());
    // The version first: a note of another one may hold anything.
    let NoteVersion { protocol } = serde_json::from_slice(bytes).map_err(malformed)?;
    if protocol != PROTOCOL {
        return Err(BadNote::Version(protocol));
    }
    let Versioned { note, .. } = serde_json::from_slice(bytes).map_err(malformed)?;
    Ok(note)
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    protocol: u32,
    note: T,
}

#[derive(Deserialize)]
struct NoteVersion {
    protocol: u32,
}

/// Whether a worker may be called that: its name is a word of a key and the name of a folder.
pub fn valid_name(name: &str) -> bool {
    let begins = name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    begins && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// The keys of the notes.
pub mod key {
    /// The run that waits for workers, or goes on.
    pub const OFFER: &str = "offer";

    pub fn ready(run: &str, name: &str) -> String {
        format!("{run}.ready.{name}")
    }

    pub fn assignment(run: &str) -> String {
        format!("{run}.assignment")
    }

    pub fn orders(run: &str) -> String {
        format!("{run}.orders")
    }

    pub fn coordinator(run: &str) -> String {
        format!("{run}.coordinator")
    }

    pub fn beat(run: &str, name: &str) -> String {
        format!("{run}.beat.{name}")
    }

    /// Where clocks are compared.
    pub fn clock(name: &str) -> String {
        format!("clock.{name}")
    }

    /// Where a worker's record goes.
    pub fn record(run: &str, name: &str) -> String {
        format!("{run}.record.{name}")
    }

    /// Everything of a run.
    pub fn all(run: &str) -> String {
        format!("{run}.>")
    }

    /// The worker that a key of [`ready`], [`beat`] or [`record`] belongs to.
    pub fn worker(key: &str) -> Option<&str> {
        key.rsplit_once('.').map(|(_, name)| name).filter(|name| super::valid_name(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn orders() -> FleetOrders {
        FleetOrders { orders: vec![FleetOrder::EndStage { stage: Stage::Load, at_unix_ns: 5 }, FleetOrder::Abort] }
    }

    #[test]
    fn a_note_comes_back() {
        assert_eq!(read_note(&written_note(&orders())), Ok(orders()));
        let beat = WorkerBeat {
            count: 1,
            stage: WorkerStage::Running(Stage::Drain),
            planned: 2,
            registered: 3,
            open: 4,
            idle: Some(Stage::Drain),
            clock: Some(ClockOffset { offset_ns: -5, uncertainty_ns: 6 }),
            frames: Some(7),
            left: Some(LeftBound { agents: 8 }),
            word: Some("w".to_owned()),
        };
        assert_eq!(read_note(&written_note(&beat)), Ok(beat));
    }

    #[test]
    fn what_is_no_note_of_this_version_is_refused() {
        let text = String::from_utf8(written_note(&orders())).expect("JSON");
        let other = text.replace("\"protocol\":1", "\"protocol\":2");
        assert_eq!(read_note::<FleetOrders>(other.as_bytes()), Err(BadNote::Version(2)));
        // Of another version nothing else is looked at.
        assert_eq!(read_note::<FleetOrders>(b"{\"protocol\":9,\"news\":[]}"), Err(BadNote::Version(9)));
        assert!(matches!(read_note::<FleetOrders>(b"{}"), Err(BadNote::Malformed(_))));
        assert!(matches!(read_note::<ReadyMark>(text.as_bytes()), Err(BadNote::Malformed(_))));
        let long = vec![b' '; LONGEST_NOTE + 1];
        assert_eq!(read_note::<FleetOrders>(&long), Err(BadNote::TooLong(LONGEST_NOTE + 1)));
    }

    #[test]
    fn a_profile_of_the_longest_length_fits_into_a_note() {
        // Each of its characters may take two when it is quoted; what needs six is no text.
        let offer = FleetOffer {
            run: "0".repeat(16),
            tool_version: "1".to_owned(),
            profile_name: "p".to_owned(),
            profile: "x\n".repeat(LONGEST_PROFILE / 2),
            sets: Vec::new(),
            workers: 3,
            profile_digest: "d".repeat(64),
            list_digest: "d".repeat(64),
            agents: 1,
        };
        let note = written_note(&offer);
        assert_eq!(read_note(&note), Ok(offer), "{} bytes", note.len());
    }

    #[test]
    fn names_are_words() {
        for name in ["a", "w-1", "Site_7", &"x".repeat(64)] {
            assert!(valid_name(name), "{name}");
        }
        for name in ["", ".", "..", "a.b", "a/b", "-a", "a b", "ä", "a*", "a>", &"x".repeat(65)] {
            assert!(!valid_name(name), "{name}");
        }
        assert_eq!(key::worker(&key::beat("0f", "w-1")), Some("w-1"));
        assert_eq!(key::worker("0f.beat.*"), None);
        assert_eq!(key::worker("offer"), None);
    }

    #[test]
    fn parts_are_in_the_order_of_the_names() {
        let workers = ["a", "b", "c"].map(|name| AssignedWorker { name: name.to_owned(), instance: 7 }).to_vec();
        let assignment = FleetAssignment { start_unix_ns: 0, workers };
        assert_eq!(["a", "c", "d"].map(|name| assignment.part(name, 7)), [Some((0, 3)), Some((2, 3)), None]);
        assert_eq!(assignment.part("a", 8), None, "another one of that name");
    }

    proptest! {
        #[test]
        fn nothing_that_a_stranger_leaves_is_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_note::<FleetOffer>(&bytes);
            let _ = read_note::<WorkerBeat>(&bytes);
        }
    }
}
