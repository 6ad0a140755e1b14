//! Late answers: always, or for a stretch of time (`slow`); or later the more bindings are held
//! (`slow.with-bindings`). What grows with the load is `overload`, what grows with the hours is
//! `drift`.

use super::draft::{Draft, MANY, SOME, confidence};
use super::rivals::Rival;
use super::uneven::{self, SLOW_MS};
use super::view::{Tick, View};
use super::wording::{at, counted, window};
use crate::record::{IntervalResult, LatencyRow};
use crate::vocab::{Confidence, Phase, Severity, Stage, T1_MS, median};

/// `explained`: overload or missing answers already account for the delay.
pub(super) fn find(view: &View<'_>, explained: bool) -> Vec<Draft> {
    if explained {
        return Vec::new();
    }
    let growing = with_bindings(view);
    // Challenges that come at once show that it is not every answer.
    let some = uneven::find(view).filter(|_| growing.is_none());
    let always = if growing.is_none() && some.is_none() { always(view) } else { None };
    let stretch = if always.is_none() { stretch(view) } else { None };
    let some = some.filter(|_| stretch.is_none());
    [growing, always, stretch, some].into_iter().flatten().collect()
}

/// One interval of the load: what it says of the time a single answer takes.
#[derive(Clone, Copy, Debug)]
struct IntervalSample {
    start_ns: u64,
    end_ns: u64,
    /// The median time to one answer, milliseconds.
    ms: f64,
    count: u64,
    /// Attempts begun per second.
    rate: f64,
    /// Bindings held, in the middle of it.
    level: f64,
}

fn samples(view: &View<'_>) -> Vec<IntervalSample> {
    let load = view.results.intervals.iter().filter(|interval| interval.stage == Stage::Load);
    load.filter_map(|interval| sample(view, interval)).collect()
}

fn sample(view: &View<'_>, interval: &IntervalResult) -> Option<IntervalSample> {
    let rows = || interval.latency.iter().filter(|row| row.trunk == view.trunk && row.count > 0);
    // One answer to one request; a refresh that carries its credentials along is one too.
    let single = |phase: Phase| rows().find(|row| row.phase == phase);
    let row: &LatencyRow = [Phase::Authenticated, Phase::Challenge, Phase::Refresh].into_iter().find_map(single)?;
    let (start_ns, end_ns) = (interval.start_ns, interval.end_ns);
    let inside = |tick: &&Tick| (start_ns..end_ns).contains(&tick.start_ns);
    let ticks: Vec<&Tick> = view.ticks.iter().filter(inside).collect();
    let started: u64 = ticks.iter().map(|tick| tick.started).sum();
    let seconds = end_ns.saturating_sub(start_ns) as f64 / 1e9;
    let level = match (ticks.first(), ticks.last()) {
        (Some(first), Some(last)) => (first.level + last.level_after()) as f64 / 2.0,
        _ => 0.0,
    };
    (seconds > 0.0).then(|| IntervalSample {
        start_ns,
        end_ns,
        ms: row.p50_us as f64 / 1e3,
        count: row.count,
        rate: started as f64 / seconds,
        level,
    })
}

/// Whether a single answer takes as long at all times: behind a queue it takes longer and longer.
pub(super) fn is_constant(view: &View<'_>) -> bool {
    let mut medians: Vec<f64> = samples(view).iter().filter(|sample| sample.count >= SOME).map(|s| s.ms).collect();
    medians.sort_by(f64::total_cmp);
    match medians[..] {
        [least, .., most] => most <= ALIKE * least,
        _ => {
            let totals = &view.results.trunk_totals[usize::from(view.trunk)];
            let mut single = totals.latency_us.iter().filter(|(phase, _)| *phase == Phase::Authenticated);
            let spread = single.next().map(|(_, all)| (all.value_at_quantile(0.1), all.value_at_quantile(0.9)));
            spread.is_some_and(|(least, most)| least > 0 && most as f64 <= ALIKE * least as f64)
        }
    }
}

/// The median answer takes long in nearly every interval.
fn always(view: &View<'_>) -> Option<Draft> {
    let samples = samples(view);
    let count: u64 = samples.iter().map(|sample| sample.count).sum();
    let slow: Vec<&IntervalSample> = samples.iter().filter(|sample| sample.ms >= SLOW_MS).collect();
    if count < SOME || slow.len() * 10 < samples.len() * 9 {
        return None;
    }
    let medians: Vec<f64> = samples.iter().map(|sample| sample.ms).collect();
    let typical = median(&medians);
    let mut draft = Draft::new("slow", Severity::Warning, Some(view.trunk));
    draft.attempts = count;
    draft.agents = view.agents.len() as u64;
    (draft.first_ns, draft.last_ns) = (samples.first()?.start_ns, samples.last()?.end_ns);
    // Whether the registrar is slow or the way to it is long cannot be told from this end.
    draft.confidence = confidence(count, 0).min(Confidence::Medium);
    draft.summary = format!("every answer takes long, {typical:.0} ms as a rule, from the first to the last");
    draft.evidence =
        vec![format!("in {} of {} intervals the median was {SLOW_MS:.0} ms or more", slow.len(), samples.len())];
    draft.evidence.push(for_phones(typical, view.t1_ms()));
    draft.excludes(Rival::Overload, "overload: answers did not get slower while the load stayed as it was");
    draft.advice.push(
        "a long network path looks the same: compare with the round-trip time of a ping to the registrar".to_owned(),
    );
    Some(draft)
}

/// What a delay means for a phone (RFC 3261 §17.1.2.2: Timer E fires after T1).
fn for_phones(ms: f64, t1_ms: f64) -> String {
    if ms < t1_ms {
        format!("phones repeat a request after {t1_ms:.0} ms: {:.0} ms are left", t1_ms - ms)
    } else {
        format!("phones repeat a request after {t1_ms:.0} ms: each is sent more than once, and answered more than once")
    }
}

/// A stretch of time in which nobody was answered though many waited, and all of them behind it.
fn stretch(view: &View<'_>) -> Option<Draft> {
    let mut open = 0u64;
    let mut quiet: Option<(u64, u64)> = None;
    let mut pauses: Vec<(u64, u64, u64)> = Vec::new();
    for tick in &view.ticks {
        let answered = tick.answered() + tick.silent;
        // What did not leave, or was not delivered, waits for no answer.
        open = (open + tick.started).saturating_sub(tick.undelivered);
        if answered > 0 {
            if let Some((from, _)) = quiet.take().filter(|(from, _)| tick.start_ns - from >= STANDSTILL_NS) {
                pauses.push((from, tick.start_ns, open));
            }
        } else if open > 0 && quiet.is_none() {
            quiet = Some((tick.start_ns, 0));
        }
        open = open.saturating_sub(answered);
    }
    pauses.retain(|(.., waited)| *waited >= MANY);
    let &(from, until, waited) = pauses.iter().max_by_key(|(from, until, _)| until - from)?;
    // What waits at an address that is dead says nothing of those that serve.
    let silent: u64 = view.ticks.iter().map(|tick| tick.silent).sum::<u64>() + view.left_unanswered();
    let around: u64 = view.ticks.iter().map(|tick| tick.swift).sum();
    if silent > 0 || around < waited {
        return None;
    }
    let mut draft = Draft::new("slow", Severity::Warning, Some(view.trunk));
    (draft.first_ns, draft.last_ns) = (from, until);
    draft.attempts = waited;
    draft.agents = waited.min(view.agents.len() as u64);
    draft.confidence = confidence(waited, 0).min(Confidence::Medium);
    draft.summary = format!(
        "nobody was answered for {} ({}): {} waited, and were answered afterwards",
        at(until - from),
        window(from, until),
        counted(waited, "attempt")
    );
    if pauses.len() > 1 {
        let several = pauses.iter().take(LISTED).map(|(from, until, _)| window(*from, *until));
        draft.evidence.push(format!("{} such times: {}", pauses.len(), several.collect::<Vec<_>>().join(", ")));
    }
    draft.evidence.push(format!("before and after it {around} attempts were answered within {T1_MS} ms"));
    draft.rejected.push("a server that is down: what was sent in that time was answered in the end".to_owned());
    draft.excludes(Rival::Overload, "overload: it answered nobody, rather than as many as it could");
    draft.advice.push("a network interruption looks much the same; look for a failover, a backup or a pause of the registrar at that time".to_owned());
    Some(draft)
}

/// Answers take longer the more bindings there are, whatever the load and however late it is.
fn with_bindings(view: &View<'_>) -> Option<Draft> {
    let samples: Vec<IntervalSample> = samples(view).into_iter().filter(|sample| sample.count >= SOME).collect();
    let highest = samples.iter().map(|sample| sample.level).fold(0.0, f64::max);
    let full: Vec<&IntervalSample> = samples.iter().filter(|sample| sample.level >= 0.95 * highest).collect();
    if samples.len() < 4 || full.len() < 2 || highest < MANY as f64 {
        return None;
    }
    let (base, slope, fit) = line(&samples)?;
    let (least, most) = (base.max(0.0), base + slope * highest);
    if fit < GOOD_FIT || most - least < GROWN_MS || most < 2.0 * least {
        return None;
    }
    // With as many bindings the time of day makes no difference, and neither does the rate.
    let (first, last) = (full.first()?, full.last()?);
    let later = last.ms > 1.1 * first.ms + 1.0;
    let busiest = samples.iter().max_by(|a, b| a.rate.total_cmp(&b.rate))?;
    let calm = full.iter().min_by(|a, b| a.rate.total_cmp(&b.rate))?;
    let by_rate = calm.rate * 1.5 > busiest.rate || calm.ms < busiest.ms;
    let mut draft = Draft::new("slow.with-bindings", Severity::Warning, Some(view.trunk));
    draft.attempts = samples.iter().map(|sample| sample.count).sum();
    draft.agents = view.agents.len() as u64;
    (draft.first_ns, draft.last_ns) = (samples.first()?.start_ns, samples.last()?.end_ns);
    draft.confidence = match (later, by_rate) {
        (false, false) => confidence(draft.attempts, 0).min(Confidence::Medium),
        _ => Confidence::Open,
    };
    draft.summary = format!(
        "answers take longer the more bindings are held: {least:.0} ms with none, {most:.0} ms with {highest:.0}"
    );
    draft.evidence = vec![format!(
        "{slope:.3} ms more for each binding, over {} intervals; the line explains {:.0} % of the differences",
        samples.len(),
        100.0 * fit
    )];
    if !later {
        let why = "elapsed time: with all bindings held, answers took no longer later in the run";
        draft.excludes(Rival::Drift, why);
    }
    if !by_rate {
        draft.excludes(Rival::Load, "the load: answers stayed slow when less was asked");
    }
    Some(draft)
}

/// Least squares of the time over the bindings: at none, per binding, and the share of the variance
/// it explains.
fn line(samples: &[IntervalSample]) -> Option<(f64, f64, f64)> {
    let n = samples.len() as f64;
    let mean = |of: fn(&IntervalSample) -> f64| samples.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|sample| sample.level), mean(|sample| sample.ms));
    let sum = |of: &dyn Fn(&IntervalSample) -> f64| samples.iter().map(of).sum::<f64>();
    let xx = sum(&|sample| (sample.level - x).powi(2));
    let yy = sum(&|sample| (sample.ms - y).powi(2));
    let xy = sum(&|sample| (sample.level - x) * (sample.ms - y));
    (xx > 0.0 && yy > 0.0 && xy > 0.0).then(|| (y - xy / xx * x, xy / xx, xy * xy / (xx * yy)))
}

/// Times that differ by less are the same.
const ALIKE: f64 = 1.3;
/// Nobody was answered for so long at least.
const STANDSTILL_NS: u64 = 1_500_000_000;
/// Pauses named.
const LISTED: usize = 5;
/// Share of the variance that bindings explain.
const GOOD_FIT: f64 = 0.9;
/// What it must grow by to be worth a word.
const GROWN_MS: f64 = 20.0;
