//! Charts over the time of the run: agents against plan, outcomes, latency, and the schedule lag of
//! the generator.

use super::super::chart::{ChartFrame, Scale, Series, bars, lines};
use super::super::text::{decimal, length, millis, thousands};
use super::super::truth;
use super::{Chart, PlotKind, chart, steps, thin};
use crate::diagnose::truth::held_in;
use crate::measure::TrunkInterval;
use crate::record::results::IntervalResult;
use crate::record::{LatencyRow, Results};
use crate::vocab::{Phase, Status, floor_u64};

/// Lines have about this many points.
const MOST_POINTS: usize = 600;
/// Stacked bars; in a longer run neighbours share one, which has their sum.
const MOST_BARS: usize = 240;
/// Steps of latency, which stand for the slowest of their intervals.
const MOST_STEPS: usize = 240;

/// Agents, outcomes and latency; none without an interval.
pub(super) fn all(results: &Results) -> Vec<Chart> {
    let intervals = lasting(results);
    if intervals.is_empty() {
        return Vec::new();
    }
    [Some(agents(results, &intervals)), outcomes(&intervals), latency(&intervals, results.header.trunks.len())]
        .into_iter()
        .flatten()
        .collect()
}

/// Intervals of no length hold nothing that can be drawn over time.
fn lasting(results: &Results) -> Vec<&IntervalResult> {
    results.intervals.iter().filter(|interval| interval.end_ns > interval.start_ns).collect()
}

/// Start and end of the positions that are kept; each lasts until the next one.
pub(super) fn spans(intervals: &[&IntervalResult], kept: &[usize]) -> Vec<(f64, f64)> {
    let start = |at: usize| intervals[at].start_ns as f64 / 1e9;
    let end = intervals.last().map_or(0.0, |last| last.end_ns as f64 / 1e9);
    let ends = kept.iter().skip(1).map(|&at| start(at)).chain(std::iter::once(end));
    kept.iter().map(|&at| start(at)).zip(ends).collect()
}

/// The values of a series at the positions that are kept.
pub(super) fn at(values: &[Option<f64>], kept: &[usize]) -> Vec<Option<f64>> {
    kept.iter().map(|&at| values[at]).collect()
}

/// Lines over every interval, thinned alike.
struct Lines<'a> {
    id: &'static str,
    title: &'static str,
    lead: String,
    said: String,
    scale: Scale,
    unit: &'static str,
    intervals: &'a [&'a IntervalResult],
    series: Vec<Series>,
}

impl Lines<'_> {
    fn chart(mut self) -> Chart {
        let values: Vec<&[Option<f64>]> = self.series.iter().map(|line| line.values.as_slice()).collect();
        let kept = thin::keep(&values, MOST_POINTS);
        let spans = spans(self.intervals, &kept);
        for line in &mut self.series {
            line.values = at(&line.values, &kept);
        }
        let svg = lines(&ChartFrame { spans: &spans, scale: self.scale, unit: self.unit }, &self.series);
        let log = self.scale == Scale::Logarithmic;
        let plot = steps(self.id, PlotKind::Steps, self.unit, log, &spans, &self.series);
        chart(self.id, self.title, self.lead, svg, &self.series).plotted(plot).saying(self.said)
    }
}

fn agents(results: &Results, intervals: &[&IntervalResult]) -> Chart {
    let mean = |interval: &IntervalResult, of: fn(&TrunkInterval) -> u128| {
        let sum: f64 = interval.trunks.iter().map(|trunk| of(trunk) as f64).sum();
        Some(sum / (interval.end_ns - interval.start_ns) as f64)
    };
    let over = |of: fn(&TrunkInterval) -> u128| intervals.iter().map(|interval| mean(interval, of)).collect::<Vec<_>>();
    let (planned, registered) = (over(|trunk| trunk.planned_agent_ns), over(|trunk| trunk.registered_agent_ns));
    let missing = planned.iter().zip(&registered).map(|(planned, on)| planned.zip(*on).map(|(plan, on)| plan - on));
    let worst = missing.enumerate().filter_map(|(at, missing)| Some((at, missing?))).max_by(|a, b| a.1.total_cmp(&b.1));
    let most = floor_u64(registered.iter().flatten().copied().fold(0.0, f64::max).round());
    let said = match worst.filter(|(_, missing)| *missing >= 1.0) {
        None => "Every agent that was planned was registered, to within one agent.".to_owned(),
        Some((at, missing)) => format!(
            "The most registered at once are {}; the widest gap to the plan is {} agents, {} after the start.",
            thousands(most),
            thousands(floor_u64(missing.round())),
            length(intervals[at].start_ns)
        ),
    };
    let reachable = over(TrunkInterval::reachable_agent_ns);
    let cut_off = registered.iter().zip(&reachable).filter_map(|(on, reached)| Some((*on)? - (*reached)?));
    let cut_off = cut_off.fold(0.0, f64::max);
    let mut lead = "Agents that should be registered and agents that are, on average over each interval.".to_owned();
    let mut said = said;
    let mut series = vec![
        Series { label: "planned", class: "c-plan", values: planned },
        Series { label: "registered", class: "c-good", values: registered },
    ];
    // Where connections never went, it is the same line once more.
    if cut_off >= 1.0 {
        lead.push_str(" Whoever is registered over a connection that is gone cannot be reached.");
        said.push_str(&format!(
            " At most {} of the registered were without a connection.",
            thousands(floor_u64(cut_off.round()))
        ));
        series.push(Series { label: "registered and connected", class: "c-mid", values: reachable });
    }
    said.push_str(&truth::said(results));
    series.extend(by_the_server(results, intervals));
    Lines {
        id: "agents-over-time",
        title: "Registered agents against plan",
        lead,
        said,
        scale: Scale::Linear,
        unit: "",
        intervals,
        series,
    }
    .chart()
}

/// What the servers said they hold, where there is one for each trunk.
fn by_the_server(results: &Results, intervals: &[&IntervalResult]) -> Option<Series> {
    let trunks = 0..results.header.trunks.len();
    let of_all = |interval: &&IntervalResult| {
        trunks.clone().map(|trunk| held_in(results, trunk, interval)).sum::<Option<u64>>().map(|count| count as f64)
    };
    let values: Vec<Option<f64>> = intervals.iter().map(of_all).collect();
    let told = values.iter().any(Option::is_some);
    told.then_some(Series { label: "held by the server", class: "c-link", values })
}

/// Outcomes that are drawn as one layer.
const LAYERS: [(&str, &str, &[Status]); 5] = [
    ("registered", "c-good", &[Status::Registered]),
    ("refused", "c-bad", &[Status::AuthenticationFailed, Status::RegistrationRejected]),
    ("server error", "c-doubt", &[Status::ServiceUnavailable]),
    ("no answer", "c-link", &[Status::RequestTimeout, Status::TransportError]),
    ("other", "c-soft", &[Status::ProtocolError, Status::Shed, Status::Abandoned]),
];

/// Attempts per second that ended in one of these ways.
fn rate(intervals: &[&IntervalResult], statuses: &[Status]) -> f64 {
    let trunks = || intervals.iter().flat_map(|interval| &interval.trunks);
    let count: u64 = trunks().flat_map(|trunk| statuses.iter().map(|status| trunk.status[status.index()])).sum();
    let ns: u64 = intervals.iter().map(|interval| interval.end_ns - interval.start_ns).sum();
    count as f64 * 1e9 / ns as f64
}

/// Bars with the sums of their intervals. Where several share one, a line has the worst of them: a
/// burst of refusals must not drown in its neighbours.
fn outcomes(intervals: &[&IntervalResult]) -> Option<Chart> {
    let per_bar = intervals.len().div_ceil(MOST_BARS).max(1);
    let bars_of: Vec<&[&IntervalResult]> = intervals.chunks(per_bar).collect();
    let seconds = |ns: u64| ns as f64 / 1e9;
    let span = |bar: &&[&IntervalResult]| Some((seconds(bar.first()?.start_ns), seconds(bar.last()?.end_ns)));
    let spans: Vec<(f64, f64)> = bars_of.iter().filter_map(span).collect();
    let layer = |(label, class, statuses): (&'static str, &'static str, &[Status])| Series {
        label,
        class,
        values: bars_of.iter().map(|bar| Some(rate(bar, statuses))).collect(),
    };
    let occurs = |one: &Series| one.values.iter().flatten().any(|&value| value > 0.0);
    let layers: Vec<Series> = LAYERS.into_iter().map(layer).filter(occurs).collect();
    if layers.is_empty() {
        return None;
    }
    let failed: Vec<Status> = Status::ALL.into_iter().filter(|status| *status != Status::Registered).collect();
    let worst = |bar: &&[&IntervalResult]| {
        bar.iter().map(|interval| rate(std::slice::from_ref(interval), &failed)).max_by(f64::total_cmp)
    };
    let worst =
        Series { label: "all failures, worst interval", class: "c-plan", values: bars_of.iter().map(worst).collect() };
    let over: Vec<Series> = Some(worst).filter(|worst| per_bar > 1 && occurs(worst)).into_iter().collect();
    let svg = bars(&ChartFrame { spans: &spans, scale: Scale::Linear, unit: "/s" }, &layers, &over);
    let id = "outcomes-over-time";
    let series: Vec<Series> = layers.iter().chain(&over).cloned().collect();
    let mut plot = steps(id, PlotKind::Stack, "/s", false, &spans, &series);
    for one in plot.series.iter_mut().take(layers.len()) {
        (one.layer, one.dash) = (true, &[]);
    }
    let lead = match per_bar {
        1 => "How attempts ended, per second.".to_owned(),
        n => format!("How attempts ended, per second; {n} intervals to a bar."),
    };
    let mut drawn =
        chart(id, "Outcomes over time", lead, svg, &series).plotted(plot).saying(worst_of(intervals, &failed));
    drawn.legend.iter_mut().take(layers.len()).for_each(|key| key.filled = true);
    Some(drawn)
}

fn worst_of(intervals: &[&IntervalResult], failed: &[Status]) -> String {
    let rates = intervals.iter().map(|interval| (rate(std::slice::from_ref(interval), failed), interval.start_ns));
    match rates.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))).filter(|(rate, _)| *rate > 0.0) {
        None => "No attempt failed.".to_owned(),
        Some((rate, at)) => format!("Most failures: {} per second, {} after the start.", decimal(rate, 2), length(at)),
    }
}

/// The largest of each step's intervals: a peak is drawn as high as it was, however long the run.
fn latency(intervals: &[&IntervalResult], trunks: usize) -> Option<Chart> {
    let per_step = intervals.len().div_ceil(MOST_STEPS).max(1);
    let largest = |interval: &IntervalResult, of: fn(&LatencyRow) -> u64| {
        let of_phase = |phase| interval.latency.iter().filter(|row| row.phase == phase).map(of).max();
        of_phase(Phase::Register).or_else(|| of_phase(Phase::Refresh)).map(|us| us.max(1) as f64 / 1e3)
    };
    let line = |label, class, of: fn(&LatencyRow) -> u64| {
        let step = |step: &[&IntervalResult]| step.iter().filter_map(|one| largest(one, of)).max_by(f64::total_cmp);
        Series { label, class, values: intervals.chunks(per_step).map(step).collect() }
    };
    let series = [
        line("half", "c-good", |row| row.p50_us),
        line("99 of 100", "c-mid", |row| row.p99_us),
        line("slowest", "c-bad", |row| row.max_us),
    ];
    let all = intervals.iter().filter_map(|one| Some((one.start_ns, largest(one, |row| row.max_us)?)));
    let (at, ms) = all.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))?;
    let kept: Vec<usize> = (0..intervals.len()).step_by(per_step).collect();
    let spans = spans(intervals, &kept);
    let worst = if trunks > 1 { ", on the slowest trunk" } else { "" };
    let merged = if per_step > 1 { format!("; the slowest of {per_step} intervals to a step") } else { String::new() };
    let lead = format!(
        "Within how long half, 99 of 100 and all registrations succeeded, from the planned send time{worst}; refreshes \
         where an interval had no registration{merged}."
    );
    let said = format!("The slowest took {} ms, {} after the start.", millis(ms * 1e3), length(at));
    let (id, unit) = ("latency-over-time", " ms");
    let svg = lines(&ChartFrame { spans: &spans, scale: Scale::Logarithmic, unit }, &series);
    let plot = steps(id, PlotKind::Steps, unit, true, &spans, &series);
    Some(chart(id, "Latency over time", lead, svg, &series).plotted(plot).saying(said))
}

/// How late the generator's own first REGISTERs left; none when nothing was sent.
pub(super) fn lag(results: &Results) -> Option<Chart> {
    let intervals = lasting(results);
    let late_ms = results.header.generator.late_ns as f64 / 1e6;
    // Decades have no zero: what left on time is drawn at a microsecond, the finest that is kept.
    let ms = |us: u64| us.max(1) as f64 / 1e3;
    let line = |label, class, of: fn(&crate::record::LagRow) -> u64| Series {
        label,
        class,
        values: intervals.iter().map(|interval| interval.lag.as_ref().map(|lag| ms(of(lag)))).collect(),
    };
    let mut series = vec![line("99 of 100", "c-good", |lag| lag.p99_us), line("latest", "c-bad", |lag| lag.max_us)];
    let latest = series[1].values.iter().flatten().copied().max_by(f64::total_cmp)?;
    if late_ms > 0.0 {
        series.push(Series { label: "counts as late", class: "c-plan", values: vec![Some(late_ms); intervals.len()] });
    }
    let said = format!(
        "The latest left {} ms after its plan; {} of {} were late.",
        millis(latest * 1e3),
        thousands(results.totals.generator.arrivals_late),
        thousands(results.totals.generator.arrivals)
    );
    let chart = Lines {
        id: "lag-over-time",
        title: "Schedule lag of the test itself",
        lead: "How long after its plan each attempt\u{2019}s first request left the test machine. Above the dashed line the \
               test, not the server, is at fault."
            .to_owned(),
        said,
        scale: Scale::Logarithmic,
        unit: " ms",
        intervals: &intervals,
        series,
    };
    Some(chart.chart())
}
