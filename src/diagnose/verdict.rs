//! The verdicts, in this order: the generator on itself, then the run.
//!
//! A generator that could not keep its own schedule says little about a registrar, so it is judged
//! first and from its own counters only. Nothing here explains a failure; that is what findings are
//! for.

use super::abort::LEAST_ATTEMPTS;
use super::figures::Distribution;
use super::finding::Finding;
use super::threshold::{Threshold, ThresholdOutcome};
use crate::measure::TrunkInterval;
use crate::record::results::Aborted;
use crate::record::{FleetFacts, FleetWorker, Results};
use crate::vocab::{Kind, Trouble, format_duration};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Whether the generator kept its own schedule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GeneratorVerdict {
    Valid,
    Suspect,
    Invalid,
}

impl GeneratorVerdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            GeneratorVerdict::Valid => "valid",
            GeneratorVerdict::Suspect => "suspect",
            GeneratorVerdict::Invalid => "invalid",
        }
    }
}

/// The run's verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    Fail,
    Invalid,
    Interrupted,
}

impl Verdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Invalid => "invalid",
            Verdict::Interrupted => "interrupted",
        }
    }
}

/// Everything judged about a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Judgement {
    pub generator: GeneratorVerdict,
    pub generator_reasons: Vec<String>,
    pub verdict: Verdict,
    pub invalid_reasons: Vec<String>,
    pub thresholds: Vec<ThresholdOutcome>,
}

/// Judges a run: interrupted before invalid, invalid before failed, failed before passed. A run
/// that a condition of `abort_on` ended has failed, whatever its thresholds say of what there was
/// of it.
pub fn judge(results: &Results, findings: &[Finding], thresholds: &[Threshold]) -> Judgement {
    let mut doubts = generator_doubts(results);
    doubts.extend(imbalances(results));
    let lost = results.end.as_ref().and_then(|end| end.lost.as_ref());
    doubts.extend(lost.map(|why| (GeneratorVerdict::Invalid, format!("{why}; its agents were lost with it"))));
    let thresholds: Vec<_> = thresholds.iter().map(|threshold| threshold.check(results, findings)).collect();
    let invalid_reasons: Vec<_> =
        doubts.iter().filter(|(grade, _)| *grade == GeneratorVerdict::Invalid).map(|(_, why)| why.clone()).collect();
    // A record without an end belongs to a run that was killed.
    let interrupted = results.end.as_ref().is_none_or(|end| end.interrupted_by.is_some());
    let verdict = if interrupted {
        Verdict::Interrupted
    } else if !invalid_reasons.is_empty() {
        Verdict::Invalid
    } else if aborted(results).is_some() || thresholds.iter().any(|threshold| !threshold.pass) {
        Verdict::Fail
    } else {
        Verdict::Pass
    };
    Judgement {
        generator: doubts.iter().map(|(grade, _)| *grade).max().unwrap_or(GeneratorVerdict::Valid),
        generator_reasons: doubts.into_iter().map(|(_, why)| why).collect(),
        verdict,
        invalid_reasons,
        thresholds,
    }
}

/// The condition that ended the load before its time.
pub fn aborted(results: &Results) -> Option<&Aborted> {
    results.end.as_ref().and_then(|end| end.aborted.as_ref())
}

pub(super) type GeneratorDoubt = (GeneratorVerdict, String);

/// Everything the generator holds against itself, the rules of `[generator]`. Where several
/// machines shared the run, each judged itself by its own counts: what one did badly is not made up
/// for by the others.
pub(super) fn generator_doubts(results: &Results) -> Vec<GeneratorDoubt> {
    if let Some(fleet) = &results.fleet {
        return fleet_doubts(results, fleet);
    }
    own_doubts(results)
}

fn fleet_doubts(results: &Results, fleet: &FleetFacts) -> Vec<GeneratorDoubt> {
    let grades = [GeneratorVerdict::Suspect, GeneratorVerdict::Invalid];
    let grade =
        |worker: &FleetWorker| grades.into_iter().find(|grade| worker.generator.as_deref() == Some(grade.as_str()));
    let of = |worker: &FleetWorker| {
        let name = worker.name.clone();
        let reasons = worker.generator_reasons.clone();
        let grade = grade(worker);
        reasons.into_iter().filter_map(move |why| Some((grade?, format!("{name}: {why}"))))
    };
    let mut doubts: Vec<GeneratorDoubt> = fleet.workers.iter().flat_map(of).collect();
    // The worst first: it is the verdict, and reasons are cut off where room is short.
    doubts.sort_by_key(|(grade, _)| std::cmp::Reverse(*grade));
    if let Some(worker) = fleet.clock_doubt() {
        let within = Duration::from_nanos(worker.clock_within_ns.unwrap_or(0)).as_secs_f64() * 1e3;
        let why = format!(
            "{}: its clock is known to within {within:.0} ms only, so nothing rests on the order of what machines saw",
            worker.name
        );
        doubts.push((GeneratorVerdict::Suspect, why));
    }
    if fleet.is_degraded() {
        doubts.extend(missing_arrivals(results));
    }
    doubts
}

fn own_doubts(results: &Results) -> Vec<GeneratorDoubt> {
    let connects = results.totals.sums.flows.as_deref().map_or(0, |flows| flows.not_begun);
    // A request that waits for a connection is refused with it.
    let refused = results.totals.sums.ceiling_refused.saturating_sub(connects);
    let mut doubts: Vec<GeneratorDoubt> = Vec::new();
    doubts.extend(late_arrivals(results));
    doubts.extend(schedule_lag(results));
    doubts.extend(socket_drops(results));
    doubts.extend(send_errors(results));
    doubts.extend(standstills(results));
    doubts.extend(impossible_stamps(results));
    if refused > 0 {
        let why = format!("the safety ceiling (max_message_rate) refused {}", messages(refused));
        doubts.push((GeneratorVerdict::Suspect, why));
    }
    if connects > 0 {
        let why = format!("the safety ceiling (max_connect_rate) refused {}", connections(connects));
        doubts.push((GeneratorVerdict::Suspect, why));
    }
    doubts.extend(missing_arrivals(results));
    doubts
}

/// What the run saw of its own books. No trouble of the machine's: an error of this program, so no
/// finding says it.
fn imbalances(results: &Results) -> impl Iterator<Item = GeneratorDoubt> {
    results.imbalances.iter().map(|imbalance| {
        let trunk = results.header.trunks.get(usize::from(imbalance.trunk));
        let why = trunk.map_or_else(|| imbalance.to_string(), |trunk| imbalance.told(&trunk.id));
        (GeneratorVerdict::Invalid, why)
    })
}

fn late_arrivals(results: &Results) -> Option<GeneratorDoubt> {
    let (counts, limits) = (&results.totals.generator, &results.header.generator);
    if counts.arrivals_late == 0 || counts.arrivals == 0 {
        return None;
    }
    let share = counts.arrivals_late as f64 / counts.arrivals as f64;
    let (grade, limit) = if counts.arrivals < LEAST_ATTEMPTS {
        // Of a handful one is a large share already. Where most are late, it is no accident.
        if share <= limits.invalid_late.max(0.5) {
            return None;
        }
        (GeneratorVerdict::Suspect, limits.invalid_late)
    } else if share > limits.invalid_late {
        (GeneratorVerdict::Invalid, limits.invalid_late)
    } else if share > limits.suspect_late {
        (GeneratorVerdict::Suspect, limits.suspect_late)
    } else {
        return None;
    };
    let stalls = match counts.loop_stalls {
        0 => String::new(),
        n => format!("; the test program paused for more than {} {}", span(limits.stall_ns), times(n)),
    };
    let why = format!(
        "{} of {} arrivals ({} %) left more than {} after their planned time, above {} %{stalls}",
        counts.arrivals_late,
        counts.arrivals,
        short(100.0 * share),
        span(limits.late_ns),
        short(100.0 * limit),
    );
    Some((grade, why))
}

fn schedule_lag(results: &Results) -> Option<GeneratorDoubt> {
    let p99 = Distribution::of(Some(&results.lag_us)).p99.filter(|us| *us > INVALID_LAG_US)?;
    let why = format!(
        "the slowest one in a hundred arrivals left {} ms or more after its planned time, above {} ms",
        p99 / 1_000,
        INVALID_LAG_US / 1_000
    );
    // A single one of a handful.
    let few = results.lag_us.len() < LEAST_ATTEMPTS;
    Some((if few { GeneratorVerdict::Suspect } else { GeneratorVerdict::Invalid }, why))
}

fn socket_drops(results: &Results) -> Option<GeneratorDoubt> {
    let drops = results.totals.generator.socket_drops;
    let received = results.totals.sums.messages_received;
    if drops == 0 {
        return None;
    }
    let lost = drops as f64 > INVALID_DROPS * received as f64;
    let grade = if lost { GeneratorVerdict::Invalid } else { GeneratorVerdict::Suspect };
    let above = if lost { format!(", above {} % of them", short(100.0 * INVALID_DROPS)) } else { String::new() };
    Some((grade, format!("the kernel dropped {drops} datagrams at our sockets, {received} were received{above}")))
}

/// What this machine could not send is no failure of the server's.
fn send_errors(results: &Results) -> Option<GeneratorDoubt> {
    let causes = own_failures(results);
    let attempts: u64 = causes.values().sum();
    // A message that fails ends its attempt; an un-REGISTER, or an answer to others, is no attempt.
    let errors = results.totals.generator.send_errors.max(attempts);
    let sent = results.totals.sums.messages_sent;
    let lost = errors as f64 > INVALID_DROPS * sent as f64;
    let grade = if lost { GeneratorVerdict::Invalid } else { GeneratorVerdict::Suspect };
    let above =
        if lost { format!(", above {} % of what was sent", short(100.0 * INVALID_DROPS)) } else { String::new() };
    let causes: Vec<_> = causes.iter().map(|(cause, count)| format!("{count} x {cause}")).collect();
    let causes = if causes.is_empty() { String::new() } else { format!(" ({})", causes.join(", ")) };
    (errors > 0).then(|| (grade, format!("{} could not be sent{above}{causes}", messages(errors))))
}

/// Attempts that ended because of this machine, by what it said.
fn own_failures(results: &Results) -> BTreeMap<&'static str, u64> {
    let mut causes = BTreeMap::new();
    for row in &results.evidence.outcomes {
        if let Some(trouble) = row.trouble.filter(Trouble::is_own) {
            *causes.entry(trouble.as_str()).or_default() += row.seen.count;
        }
    }
    causes
}

/// A process that was stopped, a machine that was suspended: nothing was sent or received
/// meanwhile, and the server went on.
fn standstills(results: &Results) -> Option<GeneratorDoubt> {
    let counts = &results.totals.generator;
    // To a tenth of a second: the clocks that say it are not read at one instant.
    let told = |what: &str, ns: u64| {
        let tenths = (ns + 50_000_000) / 100_000_000;
        format!("{what} {}", format_duration(Duration::from_millis(tenths * 100)))
    };
    if counts.suspended_ns >= SECOND_NS {
        let why = told("this machine was suspended for", counts.suspended_ns);
        return Some((GeneratorVerdict::Invalid, format!("{why}: no agent refreshed meanwhile")));
    }
    let why = told("the test program stood still for", counts.longest_turn_ns);
    (counts.longest_turn_ns >= SECOND_NS).then_some((GeneratorVerdict::Suspect, format!("{why} at a stretch")))
}

/// Answers that came before their requests: the clock they were stamped with is not the one they
/// were sent by.
fn impossible_stamps(results: &Results) -> Option<GeneratorDoubt> {
    let count = results.totals.generator.stamps_refused;
    let answers = if count == 1 { "1 answer was".to_owned() } else { format!("{count} answers were") };
    let why = format!(
        "{answers} stamped with a time before the request: the clock was set, or stamps are of another one; they \
         count as of when they were read"
    );
    (count > 0).then_some((GeneratorVerdict::Suspect, why))
}

/// Whether a run that is invalid kept its schedule all the same.
pub fn kept_its_schedule(results: &Results) -> bool {
    let doubts = late_arrivals(results).into_iter().chain(schedule_lag(results)).chain(missing_arrivals(results));
    !doubts.into_iter().any(|(grade, _)| grade == GeneratorVerdict::Invalid)
}

/// A run whose load ended by itself has seen all of its arrivals.
fn missing_arrivals(results: &Results) -> Option<GeneratorDoubt> {
    let initial = |trunk: &TrunkInterval| trunk.started[Kind::Initial.index()];
    let warm = results.intervals.iter().filter(|interval| results.header.warms_up(interval.start_ns));
    let warm: u64 = warm.flat_map(|interval| &interval.trunks).map(initial).sum();
    let (seen, planned) = (initial(&results.totals.sums) + warm, results.header.arrivals_planned);
    let ended = results.end.as_ref().is_some_and(|end| end.interrupted_by.is_none() && end.aborted.is_none());
    (ended && seen < planned).then(|| {
        (GeneratorVerdict::Suspect, format!("{} of {planned} planned arrivals never happened", planned - seen))
    })
}

/// `once`, `22 times`.
pub(super) fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn messages(count: u64) -> String {
    if count == 1 { "1 message".to_owned() } else { format!("{count} messages") }
}

fn connections(count: u64) -> String {
    if count == 1 { "1 connection".to_owned() } else { format!("{count} connections") }
}

fn span(nanos: u64) -> String {
    format_duration(Duration::from_nanos(nanos))
}

/// Up to three decimals, without trailing zeros.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A schedule lag whose 99th percentile is above this makes a run invalid (README, `generator`).
const INVALID_LAG_US: u64 = 100_000;
/// Datagrams dropped, as a share of messages received, or messages not sent, as a share of those
/// sent: more makes a run invalid (README, `generator`).
const INVALID_DROPS: f64 = 0.001;
const SECOND_NS: u64 = 1_000_000_000;
