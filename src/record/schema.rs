//! The bytes of `record.bin`: magic and version, then frames, each with its own checksum.
//!
//! ```text
//! "regstorm" version:u32   { kind:u8 length:u32 crc32:u32 payload }*        (integers little-endian)
//! ```
//!
//! The first frame is the header, as JSON, then one frame per interval, in postcard, between them
//! one per intervention of a person, one per look-up of a name, one per change of a canary, those
//! with registrars' own counts
//! and one per trunk whose books do not balance, as JSON, then the machines of a run that several
//! shared and the end, as JSON. All but the
//! intervals are small and gain fields over time, so they are self-describing JSON; an interval is
//! large and has a fixed layout, and any change of it raises [`VERSION`]. The checksum covers kind,
//! length and payload. Nothing here does
//! I/O.

use super::results::IntervalResult;
use crate::measure::{AgentRow, Evidence, GeneratorCounts, Interval, LoopRow, ResponseRow, TrunkInterval};
use crate::vocab::{LoopKind, Phase, Stage, Status, saturating_u16, saturating_u32};
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use hdrhistogram::{Counter, Histogram};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// The first bytes of every record.
pub const MAGIC: [u8; 8] = *b"regstorm";
/// The layout of the frames; a reader refuses any other.
pub const VERSION: u32 = 9;
/// Bytes before a payload: kind, length, checksum.
pub const FRAME_HEAD: usize = 9;

/// What a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum FrameKind {
    Header = 1,
    Interval = 2,
    End = 3,
    /// As JSON, where it took place; a run nobody touched has none.
    Intervention = 4,
    /// Books that do not balance, as JSON, before the interval at whose end that was seen; a sound
    /// run has none.
    Imbalance = 5,
    /// What a name stood for when it was looked up again, as JSON, where it took effect.
    Resolution = 6,
    /// What registrars said of themselves since the frame before, as JSON.
    Truth = 7,
    /// The machines of a run that several shared, as JSON, before its end.
    Fleet = 8,
    /// What an agent beside the load had to say, as JSON, before the interval at whose end that was
    /// known.
    Canary = 9,
}

impl FrameKind {
    pub const fn from_byte(byte: u8) -> Option<FrameKind> {
        match byte {
            1 => Some(FrameKind::Header),
            2 => Some(FrameKind::Interval),
            3 => Some(FrameKind::End),
            4 => Some(FrameKind::Intervention),
            5 => Some(FrameKind::Imbalance),
            6 => Some(FrameKind::Resolution),
            7 => Some(FrameKind::Truth),
            8 => Some(FrameKind::Fleet),
            9 => Some(FrameKind::Canary),
            _ => None,
        }
    }
}

/// The nine bytes before `payload`; `None` when it is longer than a frame can be (4 GiB).
pub fn frame_head(kind: FrameKind, payload: &[u8]) -> Option<[u8; FRAME_HEAD]> {
    let length = u32::try_from(payload.len()).ok()?.to_le_bytes();
    let mut head = [0; FRAME_HEAD];
    head[0] = kind as u8;
    head[1..5].copy_from_slice(&length);
    head[5..].copy_from_slice(&checksum(kind as u8, length, payload).to_le_bytes());
    Some(head)
}

/// CRC-32 over everything of a frame but the checksum.
pub fn checksum(kind: u8, length: [u8; 4], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&[kind]);
    crc.update(&length);
    crc.update(payload);
    crc.finalize()
}

/// One interval as it is written: histograms in HdrHistogram V2 form, reasons of agents' rows as
/// places in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IntervalFrame<A = Vec<AgentFrame>> {
    pub index: u32,
    pub start_ns: u64,
    pub end_ns: u64,
    pub stage: Stage,
    pub trunks: Vec<TrunkInterval>,
    pub latency: Vec<LatencyFrame>,
    /// V2 bytes; empty when nothing was sent.
    pub lag: Vec<u8>,
    pub generator: GeneratorCounts,
    pub reasons: Vec<String>,
    pub agents: A,
    pub loops: Vec<LoopRow>,
    pub responses: Vec<ResponseRow>,
    /// Each time as the nanoseconds since the one before, which are equal as a rule and so take
    /// five bytes.
    pub samples: Vec<(u64, u32)>,
    pub evidence: Evidence,
}

/// The distribution of one phase on one trunk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LatencyFrame {
    pub trunk: u16,
    pub phase: Phase,
    pub v2: Vec<u8>,
}

/// One agent's changed row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentFrame {
    pub agent: u32,
    pub trunk: u16,
    pub status: Option<Status>,
    pub attempts: u32,
    pub registered: u32,
    pub last_code: u16,
    /// Place in [`IntervalFrame::reasons`].
    pub last_reason: u32,
    pub loop_kind: Option<LoopKind>,
    pub first_registered_ns: Option<u64>,
    pub last_change_ns: u64,
    pub open: bool,
    pub met: u16,
}

impl IntervalFrame {
    /// An interval in the form of the record.
    pub fn pack(interval: &Interval) -> IntervalFrame<AgentRows<'_>> {
        let mut serializer = V2Serializer::new();
        let ReasonList { words, places } = ReasonList::of(&interval.agents);
        IntervalFrame {
            index: interval.index,
            start_ns: interval.start_ns,
            end_ns: interval.end_ns,
            stage: interval.stage,
            trunks: interval.trunks.iter().map(without_histograms).collect(),
            latency: pack_latency(&interval.trunks, &mut serializer),
            lag: interval.lag_us.as_ref().map_or_else(Vec::new, |lag| to_v2(&mut serializer, lag)),
            generator: interval.generator,
            agents: AgentRows { rows: &interval.agents, places },
            reasons: words,
            loops: interval.loops.clone(),
            responses: interval.responses.clone(),
            samples: deltas(&interval.registered_samples),
            evidence: interval.evidence.clone(),
        }
    }

    /// The samples with their times since the run's start.
    pub fn samples(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.samples.iter().scan(0u64, |now, &(delta, agents)| {
            *now = now.saturating_add(delta);
            Some((*now, agents))
        })
    }

    /// What is kept of the frame while the run is read; the rest is summed up.
    pub fn into_result(self, registered_peak: u64) -> IntervalResult {
        IntervalResult {
            index: self.index,
            start_ns: self.start_ns,
            end_ns: self.end_ns,
            stage: self.stage,
            trunks: self.trunks,
            latency: Vec::new(),
            lag: None,
            generator: self.generator,
            registered_peak,
        }
    }
}

/// A histogram in HdrHistogram V2 form, uncompressed.
pub fn to_v2<T: Counter>(serializer: &mut V2Serializer, histogram: &Histogram<T>) -> Vec<u8> {
    let mut bytes = Vec::new();
    serializer
        .serialize(histogram, &mut bytes)
        .expect("a vector takes every byte, and counts of 32 bits or of a run fit into 63");
    bytes
}

/// A histogram from its V2 form; `None` when the bytes are not one with the bounds of
/// `measure::latency`.
pub fn from_v2(bytes: &[u8]) -> Option<Histogram<u64>> {
    of_v2(bytes)
}

/// The same with counts of another width; `None` also when one does not fit.
pub fn of_v2<T: Counter>(bytes: &[u8]) -> Option<Histogram<T>> {
    plausible(bytes)?;
    Deserializer::new().deserialize(&mut &bytes[..]).ok()
}

/// Checks what the library would take on trust: a length or a range out of proportion costs
/// gigabytes there.
fn plausible(bytes: &[u8]) -> Option<()> {
    use crate::measure::latency::{COARSE_DIGITS, FINE_DIGITS, HIGHEST_US, LOWEST_US};
    let word = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let long = |at: usize| Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let length_fits = word(4)? as usize == bytes.len().checked_sub(V2_HEAD)?;
    let digits_fit = word(12)? == u32::from(FINE_DIGITS) || word(12)? == u32::from(COARSE_DIGITS);
    let range_fits = long(16)? == LOWEST_US && long(24)? == HIGHEST_US;
    (length_fits && digits_fit && range_fits).then_some(())
}

fn without_histograms(trunk: &TrunkInterval) -> TrunkInterval {
    let mut bare = TrunkInterval::default();
    bare.add_counters(trunk);
    bare
}

fn pack_latency(trunks: &[TrunkInterval], serializer: &mut V2Serializer) -> Vec<LatencyFrame> {
    let mut rows = Vec::new();
    for (number, trunk) in trunks.iter().enumerate() {
        for (phase, histogram) in Phase::ALL.into_iter().zip(&trunk.latency_us) {
            if let Some(histogram) = histogram {
                rows.push(LatencyFrame { trunk: saturating_u16(number), phase, v2: to_v2(serializer, histogram) });
            }
        }
    }
    rows
}

/// The changed rows of an interval, each brought into its form as it is written: where a million
/// agents changed, a copy of all rows would be the largest thing in memory.
pub struct AgentRows<'a> {
    rows: &'a [AgentRow],
    /// By reason: its place in [`IntervalFrame::reasons`].
    places: HashMap<Arc<str>, u32>,
}

impl Serialize for AgentRows<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.rows.iter().map(|row| pack_agent(row, self.places[&row.last_reason])))
    }
}

fn pack_agent(row: &AgentRow, last_reason: u32) -> AgentFrame {
    AgentFrame {
        agent: row.agent,
        trunk: row.trunk,
        status: row.status,
        attempts: row.attempts,
        registered: row.registered,
        last_code: row.last_code,
        last_reason,
        loop_kind: row.loop_kind,
        first_registered_ns: row.first_registered_ns,
        last_change_ns: row.last_change_ns,
        open: row.open,
        met: row.met,
    }
}

fn deltas(samples: &[(u64, u32)]) -> Vec<(u64, u32)> {
    let before = std::iter::once(0).chain(samples.iter().map(|&(at, _)| at));
    samples.iter().zip(before).map(|(&(at, agents), before)| (at.saturating_sub(before), agents)).collect()
}

/// The reasons of one frame, each once.
#[derive(Default)]
struct ReasonList {
    words: Vec<String>,
    places: HashMap<Arc<str>, u32>,
}

impl ReasonList {
    fn of(rows: &[AgentRow]) -> Self {
        let mut list = ReasonList::default();
        for AgentRow { last_reason, .. } in rows {
            if !list.places.contains_key(last_reason) {
                list.places.insert(Arc::clone(last_reason), saturating_u32(list.words.len()));
                list.words.push(last_reason.to_string());
            }
        }
        list
    }
}

/// Bytes before the counts of the V2 form: cookie, length, offset, digits, bounds, ratio.
const V2_HEAD: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{
        AskedRow, CheckKind, CheckOutcome, CheckRow, FlowCounts, OutcomeRow, PlaceRow, PulseCell, RemarkRow,
        RequestRow, RoutingRow, RoutingWord, Sightings, UnaskedRow, latency,
    };
    use crate::vocab::{Class, FlowLoss, Kind, Place, RequestFate, RequestKind, Trouble, Unreachable};

    #[test]
    fn histograms_come_back() {
        let mut histogram = latency::empty::<u32>(3);
        for value in [1, 20, 20, 31_999, 130_000_000] {
            histogram.record(value).unwrap();
        }
        let back = from_v2(&to_v2(&mut V2Serializer::new(), &histogram)).unwrap();
        assert_eq!((back.len(), back.min(), back.value_at_quantile(0.5)), (5, 1, 20));
        assert!(back.max() >= 130_000_000);
    }

    #[test]
    fn bytes_that_are_no_histogram_are_refused() {
        let mut bytes = to_v2(&mut V2Serializer::new(), &latency::empty::<u32>(3));
        assert!(from_v2(&bytes).is_some());
        assert!(from_v2(&bytes[..39]).is_none());
        assert!(from_v2(&[]).is_none());
        bytes[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(from_v2(&bytes).is_none());
    }

    /// A change of the layout must raise [`VERSION`]: these are the bytes of version 9.
    #[test]
    fn the_layout_is_that_of_the_version() {
        let mut trunk = TrunkInterval::default();
        trunk.status[0] = 3;
        trunk.out_of_range = 9;
        trunk.flows =
            Some(Box::new(FlowCounts { opened: 2, resumed: 1, quiet_ns: Some((3, 4)), ..FlowCounts::default() }));
        let interval = Interval {
            index: 1,
            start_ns: 2,
            end_ns: 3,
            stage: Stage::Drain,
            trunks: vec![trunk],
            lag_us: None,
            generator: GeneratorCounts { arrivals_late: 4, cpu_ns: 5, ..GeneratorCounts::default() },
            agents: vec![AgentRow {
                agent: 6,
                trunk: 0,
                status: Some(Status::Abandoned),
                attempts: 1,
                registered: 0,
                last_code: 403,
                last_reason: Arc::from("No"),
                loop_kind: Some(LoopKind::Transport),
                first_registered_ns: None,
                last_change_ns: 300,
                open: true,
                met: Class::ForbiddenAfterAuth.bit(),
            }],
            loops: Vec::new(),
            responses: Vec::new(),
            registered_samples: vec![(100, 7), (200, 8)],
            evidence: Evidence {
                pulse: vec![PulseCell { trunk: 0, tick: 9, beat: 1, group: 11, count: 10 }],
                outcomes: vec![OutcomeRow {
                    trunk: 0,
                    source: 0,
                    kind: Kind::Retry,
                    class: Class::Transport,
                    place: Place::Unchallenged,
                    code: 0,
                    reason: "w".to_owned(),
                    trouble: Some(Trouble::Unreachable(Unreachable::Network)),
                    algorithm: None,
                    seen: Sightings { count: 1, first_ns: 300, last_ns: 300, agents: vec![6], agents_ns: vec![300] },
                    retry_after_s: None,
                    words: Vec::new(),
                }],
                remarks: vec![RemarkRow { trunk: 0, why: Some(FlowLoss::Handshake), text: "s".to_owned(), count: 5 }],
                unasked: vec![UnaskedRow {
                    trunk: 0,
                    from: "f".to_owned(),
                    elsewhere: true,
                    answers: 6,
                    strays: 7,
                    examples: vec!["e".to_owned()],
                    first_ns: 8,
                    last_ns: 9,
                }],
                requests: vec![RequestRow {
                    trunk: 0,
                    kind: RequestKind::Credentials,
                    fate: RequestFate::Never,
                    count: 12,
                    first_ns: 1,
                    last_ns: 2,
                    bytes: (13, 14),
                }],
                places: vec![PlaceRow {
                    trunk: 0,
                    address: "p".to_owned(),
                    ended: [0; Status::COUNT],
                    left: [1, 2, 3],
                    left_ns: Some((4, 5)),
                    registered_ns: None,
                    took_us: (6, 7),
                    agents: vec![4],
                }],
                routing: vec![RoutingRow { trunk: 0, word: RoutingWord::NotAllowed, text: "r".to_owned(), count: 8 }],
                checks: vec![CheckRow {
                    trunk: 0,
                    kind: CheckKind::Qualify,
                    outcome: CheckOutcome::Missing,
                    code: 200,
                    seen: Sightings { count: 1, first_ns: 2, last_ns: 3, agents: vec![4], agents_ns: vec![2] },
                    left_s: (5, 6),
                    told_s: Some((7, 8)),
                    listed: 9,
                }],
                asked: vec![AskedRow {
                    trunk: 0,
                    method: "m".to_owned(),
                    code: 200,
                    seen: Sightings { count: 1, first_ns: 2, last_ns: 3, agents: vec![4], agents_ns: vec![2] },
                    agents: 5,
                }],
                ..Evidence::default()
            },
            imbalances: Vec::new(),
        };
        let bytes = postcard::to_allocvec(&IntervalFrame::pack(&interval)).unwrap();
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, LAYOUT_9);
    }

    const LAYOUT_9: &str = "010203010103000000000000000000000000000000000000000000000000000000000000000009010200\
                            000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
                            000001000000010304000000000000000000000000040000000000000500000000000001024e6f010600\
                            01080100930300010a00ac02010400000264076408010009010b0a010000020b000001770107020001ac\
                            02ac02010601ac020000000000010001020c01020d0e0100010f01730501000166010607010165080901\
                            000170000000000000000000010203010405000607010401000301720801000103c80101020301040102\
                            0506010708090100016dc8010102030104010205";
}
