//! The dry run: what a rehearsed run asks of the registrar, the line and this machine, against what
//! they are said to give. Figures and warnings are values; `report` words the table, `command`
//! prints it.
//!
//! Message rates are those of whole seconds counted from the start ([`Traffic`]); a limiter whose
//! window slides, or whose bucket is small, may see more within a second of its own. Registrations
//! per second come from the pulse, in windows of a second or the next whole number of its ticks.

mod warning;

pub use warning::Warning;

use crate::measure::traffic::{Peak, TrafficSecond};
use crate::measure::{Beat, CheckKind, Sightings, Traffic, evidence};
use crate::record::Results;
pub use crate::vocab::Expectation;
use crate::vocab::{floor_usize, saturating_u32};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a run of the profile would take from this machine, and what it has.
#[derive(Clone, PartialEq, Debug)]
pub struct Machine {
    /// UDP sockets by local address, `*` for the kernel's choice.
    pub sockets: BTreeMap<String, u64>,
    /// Ports the kernel gives out by itself, on each address.
    pub ports: u64,
    /// Descriptors open besides the sockets, and the hard limit (`ulimit -Hn`).
    pub other_descriptors: u64,
    pub descriptors: u64,
    /// Physical memory; 0: unknown.
    pub memory_bytes: u64,
}

/// A rehearsal to be looked at.
pub struct Rehearsed<'a> {
    pub results: &'a Results,
    pub traffic: &'a Traffic,
    /// Names of the traffic's sources.
    pub sources: &'a [String],
    /// By the traffic's addresses of record: their name and number of contacts.
    pub aors: &'a dyn Fn(usize) -> (String, u32),
    pub expect: Expectation,
    /// `safety.max_connect_rate`.
    pub connect_ceiling: u32,
    /// `safety.max_message_rate`.
    pub ceiling: u32,
    pub machine: &'a Machine,
}

/// What a run of this profile asks for.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DryRun {
    /// Messages of all agents, both directions.
    pub messages: Messages,
    /// What agents ask besides registering, part of the messages; `null`: nothing.
    pub checks: Option<ChecksAsked>,
    /// Requests by source address.
    pub sources: Vec<Sender>,
    /// Requests of the busiest address of record; `null` when nothing was sent.
    pub aor: Option<Sender>,
    /// The address of record with the most contacts.
    pub contacts: Option<AorContacts>,
    /// Agents registered at once.
    pub registrations: At,
    /// Attempts begun per second.
    pub registrations_per_s: At,
    /// Bits per second with UDP and IP headers.
    pub bandwidth_bit_per_s: Bandwidth,
    pub local_ports: Ports,
    pub file_descriptors: Need,
    pub memory_bytes: Need,
    /// The run in at most [`STEPS`] steps of equal length.
    pub over_time: Vec<DryRunStep>,
    pub warnings: Vec<Warning>,
}

/// A value and when it was reached, seconds after the start.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize)]
pub struct At {
    pub peak: f64,
    pub at_s: f64,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Messages {
    pub sent: u64,
    pub received: u64,
    pub sent_per_s: At,
    pub received_per_s: At,
    /// Over the whole run.
    pub mean_sent_per_s: f64,
    /// What `max_message_rate` held back.
    pub refused: u64,
}

/// Audits and OPTIONS of agents.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct ChecksAsked {
    pub audits: u64,
    pub options: u64,
    /// From the first to the last of each.
    pub audits_per_s: f64,
    pub options_per_s: f64,
}

/// Who sent the most within a second.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Sender {
    pub name: String,
    pub requests_per_s: At,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AorContacts {
    pub aor: String,
    pub contacts: u32,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Bandwidth {
    pub up: At,
    pub down: At,
}

/// UDP ports by local address, `*` for the kernel's choice.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Ports {
    pub needed: BTreeMap<String, u64>,
    pub available: u64,
}

/// What is needed of something this machine has; 0 available: unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Need {
    pub needed: u64,
    pub available: u64,
}

/// A stretch of the run: means, and the highest second.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct DryRunStep {
    pub start_s: u32,
    pub length_s: u32,
    pub sent_per_s: f64,
    pub received_per_s: f64,
    pub sent_peak_per_s: u32,
}

/// Steps of `over_time`: as many as a page or a terminal can show.
pub const STEPS: usize = 240;

/// Of UDP and IPv4 (RFC 768, RFC 791 §3.1). IPv6 adds twenty.
const HEADERS: u32 = 8 + 20;

/// What the process takes for each agent, and without any: the largest resident sets of rehearsals
/// of 1 000 and 100 000 agents were 12.4 and 88.0 MB, the embedded registrar and the reports
/// included, and a run has its threads besides.
const AGENT_BYTES: u64 = 800;
const BASE_BYTES: u64 = 20_000_000;

impl DryRun {
    /// Looks at a rehearsal.
    pub fn of(run: &Rehearsed<'_>) -> DryRun {
        let seconds = run.traffic.seconds();
        let pulse = Rhythm::of(run.results);
        let sockets: u64 = run.machine.sockets.values().sum();
        let agents = run.results.agents.len() as u64;
        let named = |name: &String, peak: Peak| Sender { name: name.clone(), requests_per_s: of_peak(peak) };
        let mut dry_run = DryRun {
            messages: messages(run.results, seconds),
            checks: checks(run.results),
            sources: run.sources.iter().zip(run.traffic.source_peaks()).map(|(name, peak)| named(name, peak)).collect(),
            aor: busiest_aor(run),
            contacts: most_contacts(run),
            registrations: pulse.registered(),
            registrations_per_s: pulse.begun_per_s(),
            bandwidth_bit_per_s: Bandwidth {
                up: highest(seconds, |second| bits(second.bytes_sent, second.sent)),
                down: highest(seconds, |second| bits(second.bytes_received, second.received)),
            },
            local_ports: Ports { needed: run.machine.sockets.clone(), available: run.machine.ports },
            file_descriptors: Need {
                needed: sockets + run.machine.other_descriptors,
                available: run.machine.descriptors,
            },
            memory_bytes: Need { needed: BASE_BYTES + agents * AGENT_BYTES, available: run.machine.memory_bytes },
            over_time: steps(seconds),
            warnings: Vec::new(),
        };
        dry_run.warnings = warning::all(run, &dry_run, &pulse);
        dry_run
    }
}

fn messages(results: &Results, seconds: &[TrafficSecond]) -> Messages {
    let sum = |of: fn(&TrafficSecond) -> u32| seconds.iter().map(|second| u64::from(of(second))).sum::<u64>();
    let sent = sum(|second| second.sent);
    let refused = results.intervals.iter().flat_map(|interval| &interval.trunks).map(|trunk| trunk.ceiling_refused);
    Messages {
        sent,
        received: sum(|second| second.received),
        sent_per_s: highest(seconds, |second| f64::from(second.sent)),
        received_per_s: highest(seconds, |second| f64::from(second.received)),
        mean_sent_per_s: if seconds.is_empty() { 0.0 } else { sent as f64 / seconds.len() as f64 },
        refused: refused.sum(),
    }
}

fn checks(results: &Results) -> Option<ChecksAsked> {
    let asked = |kind| {
        let rows = results.evidence.checks.iter().filter(move |row| row.kind == kind);
        let seen = Sightings::together(rows.map(|row| &row.seen));
        let lasted_s = Duration::from_nanos(seen.last_ns.saturating_sub(seen.first_ns)).as_secs_f64();
        (seen.count, seen.count as f64 / lasted_s.max(1.0))
    };
    let ((audits, audits_per_s), (options, options_per_s)) = (asked(CheckKind::Audit), asked(CheckKind::Qualify));
    (audits + options > 0).then_some(ChecksAsked { audits, options, audits_per_s, options_per_s })
}

fn bits(bytes: u32, messages: u32) -> f64 {
    8.0 * (f64::from(bytes) + f64::from(messages) * f64::from(HEADERS))
}

/// The first second with the highest value.
fn highest(seconds: &[TrafficSecond], value: impl Fn(&TrafficSecond) -> f64) -> At {
    seconds.iter().enumerate().fold(At::default(), |highest, (at, second)| {
        let peak = value(second);
        if peak > highest.peak { At { peak, at_s: at as f64 } } else { highest }
    })
}

fn of_peak(peak: Peak) -> At {
    At { peak: peak.messages.into(), at_s: peak.second.into() }
}

fn busiest_aor(run: &Rehearsed<'_>) -> Option<Sender> {
    let peaks = run.traffic.aor_peaks().enumerate();
    // The first of several: the last maximum of a reversed order.
    let (position, peak) = peaks
        .filter(|(_, peak)| peak.messages > 0)
        .reduce(|highest, next| if next.1.messages > highest.1.messages { next } else { highest })?;
    Some(Sender { name: (run.aors)(position).0, requests_per_s: of_peak(peak) })
}

fn most_contacts(run: &Rehearsed<'_>) -> Option<AorContacts> {
    let all = (0..run.traffic.aor_peaks().count()).map(|position| (position, (run.aors)(position).1));
    let (position, contacts) = all.reduce(|most, next| if next.1 > most.1 { next } else { most })?;
    Some(AorContacts { aor: (run.aors)(position).0, contacts })
}

fn steps(seconds: &[TrafficSecond]) -> Vec<DryRunStep> {
    let length = seconds.len().div_ceil(STEPS).max(1);
    let step = |(number, seconds): (usize, &[TrafficSecond])| {
        let mean = |of: fn(&TrafficSecond) -> u32| {
            seconds.iter().map(|second| f64::from(of(second))).sum::<f64>() / seconds.len() as f64
        };
        DryRunStep {
            start_s: saturating_u32(number * length),
            length_s: saturating_u32(seconds.len()),
            sent_per_s: mean(|second| second.sent),
            received_per_s: mean(|second| second.received),
            sent_peak_per_s: seconds.iter().map(|second| second.sent).max().unwrap_or(0),
        }
    };
    seconds.chunks(length).enumerate().map(step).collect()
}

/// The pulse of all trunks, tick by tick.
struct Rhythm {
    tick_s: f64,
    /// Agents registered at the end of each tick.
    registered: Vec<i64>,
    /// Attempts begun in each tick.
    begun: Vec<u64>,
}

impl Rhythm {
    fn of(results: &Results) -> Rhythm {
        let tick_s = evidence::tick(Duration::from_nanos(results.header.interval_ns)).as_secs_f64();
        let ticks = results.evidence.pulse.iter().map(|cell| cell.tick as usize + 1).max().unwrap_or(0);
        let (mut registered, mut begun) = (vec![0i64; ticks], vec![0u64; ticks]);
        for cell in &results.evidence.pulse {
            let (tick, count) = (cell.tick as usize, i64::from(cell.count));
            match Beat::from_index(cell.beat) {
                Some(Beat::Bound) => registered[tick] += count,
                Some(Beat::Unbound) => registered[tick] -= count,
                Some(Beat::Started) => begun[tick] += u64::from(cell.count),
                _ => {}
            }
        }
        let mut sum = 0;
        for change in &mut registered {
            sum += *change;
            *change = sum;
        }
        Rhythm { tick_s, registered, begun }
    }

    fn registered(&self) -> At {
        self.highest(self.registered.iter().map(|&agents| agents.max(0) as f64))
    }

    fn begun_per_s(&self) -> At {
        self.highest(self.rates())
    }

    /// By tick: the rate over the second, or the next whole number of ticks, that begins there.
    fn rates(&self) -> impl Iterator<Item = f64> {
        // A tick of 0.1 s, as a binary fraction, is not quite a tenth.
        let window = floor_usize(((1.0 / self.tick_s) - 1e-9).ceil().max(1.0));
        let seconds = window as f64 * self.tick_s;
        let mut sum: u64 = self.begun.iter().take(window).sum();
        (0..self.begun.len()).map(move |tick| {
            let rate = sum as f64 / seconds;
            sum -= self.begun[tick];
            sum += self.begun.get(tick + window).copied().unwrap_or(0);
            rate
        })
    }

    fn highest(&self, values: impl Iterator<Item = f64>) -> At {
        values.enumerate().fold(At::default(), |highest, (tick, peak)| {
            if peak > highest.peak { At { peak, at_s: tick as f64 * self.tick_s } } else { highest }
        })
    }

    /// When a value first lies above a limit, seconds after the start.
    fn first_above(&self, mut values: impl Iterator<Item = f64>, limit: f64) -> Option<f64> {
        values.position(|value| value > limit).map(|tick| tick as f64 * self.tick_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_second_that_begins() {
        let rhythm = |tick_s, begun: &[u64]| Rhythm { tick_s, registered: Vec::new(), begun: begun.to_vec() };
        let tenths = rhythm(0.1, &[5, 0, 0, 0, 0, 0, 0, 0, 0, 5, 7, 0]);
        assert_eq!(tenths.rates().take(3).collect::<Vec<_>>(), [10.0, 12.0, 12.0]);
        let At { peak, at_s } = tenths.begun_per_s();
        assert_eq!((peak, (at_s * 10.0).round()), (12.0, 1.0));
        // Ticks of 0.6 s: windows of 1.2 s.
        assert_eq!(rhythm(0.6, &[6, 6, 0]).rates().map(f64::round).collect::<Vec<_>>(), [10.0, 5.0, 0.0]);
    }

    #[test]
    fn steps_keep_every_peak_and_the_mean() {
        let second = |sent| TrafficSecond { sent, ..TrafficSecond::default() };
        let seconds: Vec<_> = (0..1000).map(|n| second(if n == 777 { 901 } else { 1 })).collect();
        let steps = steps(&seconds);
        assert!(steps.len() <= STEPS, "{}", steps.len());
        assert_eq!(steps.iter().map(|step| step.sent_peak_per_s).max(), Some(901));
        let sum: f64 = steps.iter().map(|step| step.sent_per_s * f64::from(step.length_s)).sum();
        assert_eq!(sum.round(), 1_900.0);
        assert!(super::steps(&[]).is_empty());
    }

    #[test]
    fn a_line_carries_headers_too() {
        assert_eq!(bits(500, 1), 8.0 * 528.0);
    }
}
