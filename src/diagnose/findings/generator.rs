//! What concerns the run as a whole: a generator that could not keep up, and figures that drift
//! over a soak.

use super::draft::{Draft, confidence};
use super::rivals::Rival;
use super::trend::{self, Rise};
use super::wording::at;
use crate::diagnose::verdict::{GeneratorVerdict, generator_doubts, times};
use crate::measure::TrunkInterval;
use crate::record::{IntervalResult, Results};
use crate::vocab::{Confidence, Kind, Phase, Severity, Stage, Status, median, saturating_u16};

pub(super) fn find(results: &Results) -> Vec<Draft> {
    saturated(results).into_iter().chain(drift(results)).collect()
}

/// A warning that rests on figures of the whole time.
fn draft(id: &'static str, trunk: Option<u16>, first_ns: u64, last_ns: u64) -> Draft {
    Draft { first_ns, last_ns, confidence: Confidence::High, ..Draft::new(id, Severity::Warning, trunk) }
}

/// The generator's doubts about itself. A warning and no more: it says that figures mislead, not
/// that anything failed.
fn saturated(results: &Results) -> Option<Draft> {
    let doubts = generator_doubts(results);
    let counts = &results.totals.generator;
    let ended = results.intervals.last().map_or(0, |interval| interval.end_ns);
    let (grade, _) = doubts.iter().max_by_key(|(grade, _)| *grade)?;
    let mut draft = draft("generator.saturated", None, 0, ended);
    draft.attempts = counts.arrivals_late;
    draft.summary = match grade {
        GeneratorVerdict::Invalid => "regstorm could not keep up itself: its figures say little of the registrar",
        _ => "regstorm had some trouble itself: its figures are to be read with reservations",
    }
    .to_owned();
    draft.evidence = doubts.into_iter().map(|(_, why)| why).collect();
    if counts.loop_stalls > 0 && !draft.evidence.iter().any(|why| why.contains("paused")) {
        draft.evidence.push(format!("the test program paused {} for longer than it may", times(counts.loop_stalls)));
    }
    draft
        .excludes(Rival::Slow, "a slow registrar: all of this was counted before a packet left, or at our own sockets");
    Some(draft)
}

/// One figure of a trunk, interval by interval, worse as it grows.
struct FigureSeries {
    what: &'static str,
    unit: &'static str,
    values: Vec<f64>,
    /// A rise below this is none, in `unit`.
    least: f64,
}

/// Figures that slowly get worse while the load stays as it is.
fn drift(results: &Results) -> Vec<Draft> {
    let soak = soak(results);
    if soak.len() < trend::LEAST {
        return Vec::new();
    }
    let mut tested = 0;
    let mut rises: Vec<(Option<u16>, FigureSeries, Rise)> = Vec::new();
    let trunks = 0..saturating_u16(results.header.trunks.len());
    let (steady, unsteady): (Vec<u16>, Vec<u16>) = trunks.partition(|trunk| is_steady(&soak, *trunk));
    let mut figures: Vec<_> = steady.iter().map(|trunk| (Some(*trunk), all_series(&soak, *trunk))).collect();
    if unsteady.is_empty() {
        figures.push((None, own_series(&soak)));
    }
    for (trunk, all) in figures {
        for series in all {
            tested += 1;
            let gradual = trend::is_gradual(&series.values);
            let rise = trend::rise(&series.values).filter(|_| gradual);
            // A line may end above what it was drawn through: no more agents are missing than there
            // are.
            let [least, most] = [smallest(&series.values), largest(&series.values)];
            let rise = rise.map(|r| Rise { from: r.from.clamp(least, most), to: r.to.clamp(least, most), ..r });
            rises.extend(rise.map(|rise| (trunk, series, rise)));
        }
    }
    // Of many series one looks odd by chance: the probability is divided among them (Bonferroni).
    let allowed = SIGNIFICANT / f64::from(tested.max(1));
    rises.retain(|(_, series, rise)| {
        let change = rise.to - rise.from;
        rise.p < allowed && change >= series.least && change >= WORSE * rise.from.max(0.0)
    });
    rises.iter().map(|(trunk, series, rise)| drifting(results, &soak, *trunk, series, rise, tested)).collect()
}

/// Of regstorm itself: a generator that grows or slows down ends a soak, or spoils it.
fn own_series(soak: &[&IntervalResult]) -> Vec<FigureSeries> {
    let memory: Vec<f64> = soak.iter().map(|interval| interval.generator.resident_bytes as f64 / MIB).collect();
    let lag = soak.iter().filter_map(|interval| interval.lag.as_ref());
    let lag = lag.map(|lag| lag.p99_us as f64 / 1e3).collect();
    let memory_is_known = memory.iter().all(|memory| *memory > 0.0);
    let memory = FigureSeries { what: "memory of regstorm itself", unit: "MiB", values: memory, least: LEAST_MIB };
    let lag = FigureSeries { what: "regstorm's own schedule lag (p99)", unit: "ms", values: lag, least: LEAST_LAG_MS };
    std::iter::once(lag).chain(memory_is_known.then_some(memory)).collect()
}

/// Whole intervals of the load, without the warm-up.
fn soak(results: &Results) -> Vec<&IntervalResult> {
    let whole = |interval: &&IntervalResult| {
        interval.stage == Stage::Load
            && !results.header.warms_up(interval.start_ns)
            && interval.end_ns - interval.start_ns >= results.header.interval_ns
    };
    results.intervals.iter().filter(whole).collect()
}

/// Whether the load on a trunk neither grows nor shrinks by more than [`WORSE`]: response times
/// that follow it are no drift.
fn is_steady(soak: &[&IntervalResult], trunk: u16) -> bool {
    let figure = |of: fn(&TrunkInterval) -> u64| -> Vec<f64> { values(soak, trunk, |sums| of(sums) as f64) };
    let grows = |values: &[f64]| {
        trend::rise(values).is_some_and(|rise| rise.p < 0.05 && rise.to - rise.from > WORSE * rise.from.max(0.0))
    };
    let shrinks = |values: &[f64]| grows(&values.iter().map(|value| 2.0 * largest(values) - value).collect::<Vec<_>>());
    let attempts = figure(|sums| sums.started.iter().sum::<u64>() - sums.started[Kind::Unregister.index()]);
    let planned = figure(|sums| sums.planned);
    // Agents that sign off, or on, in a part of the time only: no trend of the whole, and no drift.
    let ends = |values: &[f64]| {
        let third = (values.len() / 3).max(1).min(values.len());
        [&values[..third], &values[values.len() - third..]].map(median)
    };
    let [begin, end] = ends(&planned);
    let moved = (begin - end).abs() > WORSE * largest(&planned);
    !moved && [attempts, planned].iter().all(|values| !grows(values) && !shrinks(values))
}

fn smallest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

fn values(soak: &[&IntervalResult], trunk: u16, of: impl Fn(&TrunkInterval) -> f64) -> Vec<f64> {
    soak.iter().filter_map(|interval| interval.trunks.get(usize::from(trunk))).map(of).collect()
}

fn all_series(soak: &[&IntervalResult], trunk: u16) -> Vec<FigureSeries> {
    let latency = |phase: Phase, what| {
        let rows = soak.iter().filter_map(|interval| {
            interval.latency.iter().find(|row| (row.trunk, row.phase) == (trunk, phase) && row.count >= ENOUGH)
        });
        FigureSeries { what, unit: "ms", values: rows.map(|row| row.p99_us as f64 / 1e3).collect(), least: 1.0 }
    };
    let hours = soak.first().map_or(1.0, |interval| (interval.end_ns - interval.start_ns) as f64 / 3.6e12);
    let refused = |sums: &TrunkInterval| {
        let fine = [Status::Registered, Status::Shed, Status::Abandoned].map(Status::index);
        let others = sums.status.iter().enumerate().filter(|(status, _)| !fine.contains(status));
        others.map(|(_, count)| count).sum::<u64>() as f64 / hours
    };
    // Agents missing, so that it grows as things get worse.
    let missing = |sums: &TrunkInterval| sums.planned.saturating_sub(sums.registered) as f64;
    let planned = values(soak, trunk, |sums| sums.planned as f64);
    vec![
        latency(Phase::Register, "99th percentile of register"),
        latency(Phase::Refresh, "99th percentile of refresh"),
        FigureSeries {
            what: "attempts that fail",
            unit: "an hour",
            values: values(soak, trunk, refused),
            least: LEAST_FAILURES / hours / soak.len() as f64,
        },
        FigureSeries {
            what: "agents planned and not registered",
            unit: "agents",
            values: values(soak, trunk, missing),
            least: WORSE * largest(&planned),
        },
    ]
}

fn drifting(
    results: &Results,
    soak: &[&IntervalResult],
    trunk: Option<u16>,
    series: &FigureSeries,
    rise: &Rise,
    tested: u32,
) -> Draft {
    let (first, last) = (soak.first().map_or(0, |i| i.start_ns), soak.last().map_or(0, |i| i.end_ns));
    let mut draft = draft("drift", trunk, first, last);
    let count = series.values.len();
    let totals = trunk.and_then(|trunk| results.trunk_totals.get(usize::from(trunk)));
    draft.agents = totals.map_or(0, |totals| totals.agents);
    draft.attempts = totals.map_or(0, |totals| totals.attempts);
    draft.confidence = confidence(count as u64, 0);
    draft.summary = format!(
        "{} rises from {:.1} to {:.1} {} over the run, though the load does not",
        series.what,
        rise.from.max(0.0),
        rise.to,
        series.unit
    );
    draft.evidence = vec![
        format!("Mann-Kendall over {count} intervals: p = {:.1e}, one-sided; {tested} series were tested", rise.p),
        format!(
            "Sen's slope {:+.3} {} over the run (95 %: {:+.3} to {:+.3})",
            rise.to - rise.from,
            series.unit,
            rise.between.0,
            rise.between.1
        ),
    ];
    draft.evidence.extend(since(soak, series));
    if trunk.is_none() {
        draft.evidence.push("it is the test program's own figure, and says nothing of the server".to_owned());
    }
    draft.excludes(Rival::Load, "growing load: attempts and planned agents per interval show no such trend");
    draft.excludes(Rival::Stretch, "a single step: each third of the run lies above the one before");
    draft
}

/// When a rise began that was none at first. Of a series with gaps it is not known.
fn since(soak: &[&IntervalResult], series: &FigureSeries) -> Option<String> {
    let began = trend::began(&series.values, series.least);
    let interval = soak.get(began).filter(|_| began > 0 && series.values.len() == soak.len())?;
    Some(format!("level at first, rising from {} of the run on", at(interval.start_ns)))
}

const MIB: f64 = 1_048_576.0;
/// Growth of our memory, and of our lag, below which nobody need know.
const LEAST_MIB: f64 = 8.0;
const LEAST_LAG_MS: f64 = 2.0;
/// Least change over the run, as a share of where it began.
const WORSE: f64 = 0.1;
/// Probability below which a trend is not taken for chance.
const SIGNIFICANT: f64 = 0.01;
/// Values without which an interval has no 99th percentile worth the name.
const ENOUGH: u64 = 20;
/// Attempts over the run that failures must have grown by.
const LEAST_FAILURES: f64 = 20.0;
