//! Bytes as they lie in files that users hand over.

use super::exchange;
use regstorm::diagnose::{findings, judge};
use regstorm::observe::{Observation, ObserveError, of_capture, of_log};
use regstorm::plan::Plan;
use regstorm::profile::{self, Source};
use regstorm::record::eventlog::{self, Fields, is_json};
use regstorm::record::{Results, read, schema};
use std::sync::OnceLock;

/// Files of a profile that exist only in memory.
struct Memory<'a> {
    profile: &'a [u8],
    list: &'a [u8],
}

impl Source for Memory<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        Ok(if path == "profile.toml" { self.profile.to_vec() } else { self.list.to_vec() })
    }

    fn env(&self, name: &str) -> Option<String> {
        (name == "SECRET").then(|| "secret".to_owned())
    }
}

/// Agents that a profile may ask for here: more is right, and takes long.
const MOST_AGENTS: usize = 100_000;

/// A profile, and what is planned by it.
pub fn profile(bytes: &[u8]) {
    // Of a million agents nothing new is learnt.
    if has_long_number(bytes) {
        return;
    }
    plan(&Memory { profile: bytes, list: b"user,password\nagent1,secret\n" });
}

fn has_long_number(bytes: &[u8]) -> bool {
    bytes.split(|byte| !matches!(byte, b'0'..=b'9' | b'_' | b'x')).any(|digits| digits.len() > 4)
}

fn plan(source: &Memory<'_>) {
    match profile::load(source, "profile.toml", &[]) {
        Ok(profile) => {
            if let Ok(plan) = Plan::new(&profile) {
                assert!(plan.identities.len() <= MOST_AGENTS);
                let _ = plan.require_load();
            }
        }
        Err(error) => {
            let told = error.to_string();
            assert!(told.contains("profile.toml") || !told.is_empty(), "an error says where");
            assert!(!told.contains("hunter2"), "an error never shows a secret: {told}");
        }
    }
}

/// A list of agents: a CSV table after an even first byte, an injection file of SIPp after an odd
/// one.
pub fn list(bytes: &[u8]) {
    let Some((kind, list)) = bytes.split_first() else { return };
    let key = if kind % 2 == 0 { "csv" } else { "sipp_csv" };
    let profile = format!(
        "[[trunk]]\nid = \"a\"\nregistrar = \"sip:127.0.0.1\"\ndomain = \"a.test\"\nagents = {{ {key} = \"list\" }}\n"
    );
    plan(&Memory { profile: profile.as_bytes(), list });
}

/// A platform's event log.
pub fn event_log(bytes: &[u8]) {
    let _ = is_json(bytes);
    if let Ok(log) = eventlog::read(bytes, &Fields::default()) {
        let records = log.records.len() as u64;
        judged(of_log(log, "fuzz"), |results| assert!(results.totals.attempts <= records));
    }
}

/// A capture.
pub fn capture(bytes: &[u8]) {
    judged(of_capture(bytes, "fuzz"), |_| ());
}

fn judged(observed: Result<Observation, ObserveError>, check: impl Fn(&Results)) {
    match observed {
        Ok(Observation { results, .. }) => {
            check(&results);
            balanced(&results);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A record. After an even first byte the rest is frames, each a kind, two bytes of length and a
/// payload; after an odd one the rest is changes of a real record, four bytes each: which frame,
/// where in it (two), and the new byte. Checksums are always right: a wrong one ends the reading,
/// and that would be all.
pub fn record(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let mut frames: Vec<FrameBytes> = Vec::new();
    if kind % 2 == 0 {
        frames.extend(real().first().cloned());
        let mut rest = rest;
        while let [kind, high, low, behind @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len());
            let (payload, behind) = behind.split_at(length);
            frames.push(FrameBytes { kind: *kind, payload: payload.to_vec() });
            rest = behind;
        }
    } else {
        frames.extend_from_slice(real());
        for change in rest.chunks_exact(4) {
            let frame = usize::from(change[0]) % frames.len();
            let payload = &mut frames[frame].payload;
            let at = usize::from(u16::from_be_bytes([change[1], change[2]])) % payload.len().max(1);
            if let Some(byte) = payload.get_mut(at) {
                *byte = change[3];
            }
        }
    }
    let whole = FrameBytes::record(&frames);
    match read(&whole[..]) {
        Ok(results) => {
            let found = findings(&results);
            let _ = judge(&results, &found, &[]);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A frame without its head.
#[derive(Clone)]
struct FrameBytes {
    kind: u8,
    payload: Vec<u8>,
}

impl FrameBytes {
    /// The frames of a sound record.
    fn of(record: &[u8]) -> Vec<FrameBytes> {
        let mut rest = &record[schema::MAGIC.len() + 4..];
        let mut frames = Vec::new();
        while let [kind, a, b, c, d, ..] = rest {
            let end = schema::FRAME_HEAD + u32::from_le_bytes([*a, *b, *c, *d]) as usize;
            frames.push(FrameBytes { kind: *kind, payload: rest[schema::FRAME_HEAD..end].to_vec() });
            rest = &rest[end..];
        }
        frames
    }

    /// A record of these frames, with the checksums they should have.
    fn record(frames: &[FrameBytes]) -> Vec<u8> {
        let mut record = schema::MAGIC.to_vec();
        record.extend_from_slice(&schema::VERSION.to_le_bytes());
        for FrameBytes { kind, payload } in frames {
            let length = (payload.len() as u32).to_le_bytes();
            record.push(*kind);
            record.extend_from_slice(&length);
            record.extend_from_slice(&schema::checksum(*kind, length, payload).to_le_bytes());
            record.extend_from_slice(payload);
        }
        record
    }
}

/// The frames of a record of two agents.
fn real() -> &'static [FrameBytes] {
    static FRAMES: OnceLock<Vec<FrameBytes>> = OnceLock::new();
    FRAMES.get_or_init(|| FrameBytes::of(&exchange::record_of(&[])))
}

/// What must hold of whatever was read.
pub(crate) fn balanced(results: &Results) {
    let totals = &results.totals;
    assert_eq!(totals.sums.status.iter().sum::<u64>(), totals.attempts, "each attempt in one status");
    let found = findings(results);
    for finding in &found {
        assert!(finding.agents <= totals.agents && !finding.summary.is_empty(), "{finding:?}");
    }
    let _ = judge(results, &found, &[]);
}
