//! One run against another: what changed, whether that is more than chance, and whether it matters.
//!
//! A regression is a change for the worse that is both significant (Holm's correction over all
//! figures compared, at [`LEVEL`]) and beyond its line of `[compare]`. `allowance` reads these
//! lines, `figure` says what can be compared and where a run has its parts, `blocks` and `test`
//! hold the statistics, `tail` their distributions, `differences` what changed beside the figures.
//!
//! The generator is judged before the server here too: a run that is invalid or was interrupted is
//! shown, and never acquits or convicts; and of a latency counted from the planned time, what the
//! generator's own lag grew by is not held against the server.

mod allowance;
mod blocks;
mod differences;
mod figure;
mod tail;
mod test;

pub use allowance::{AllowedChange, Limit};
pub use differences::{Difference, FindingChange, FindingState};
pub use figure::Figure;
pub use test::Basis;

use super::figures::Unit;
use super::{Finding, GeneratorVerdict, Judgement, aborted};
use crate::record::Results;
use crate::vocab::Phase;
use serde::Serialize;
use test::{ComparedRun, Tested};

/// The probability at which a change counts as more than chance, after correction.
pub const LEVEL: f64 = 0.01;

/// A run, read and judged.
#[derive(Clone, Copy)]
pub struct JudgedRun<'a> {
    pub results: &'a Results,
    pub judgement: &'a Judgement,
    pub findings: &'a [Finding],
}

/// Everything that can be said about two runs.
#[derive(Clone, PartialEq, Debug)]
pub struct Comparison {
    pub verdict: RegressionVerdict,
    /// Why there is no verdict.
    pub reasons: Vec<String>,
    /// What to keep in mind.
    pub cautions: Vec<String>,
    /// Whether the runs were compared block against block.
    pub aligned: bool,
    pub figures: Vec<FigureChange>,
    pub findings: Vec<FindingChange>,
    pub profile: Vec<Difference>,
    pub environment: Vec<Difference>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RegressionVerdict {
    NoRegression,
    Regression,
    /// The runs do not allow one.
    Inconclusive,
}

/// One figure of both runs.
#[derive(Clone, PartialEq, Debug)]
pub struct FigureChange {
    /// As in `[compare]`.
    pub name: String,
    /// The line of `[compare]`.
    pub allowed: String,
    pub unit: Unit,
    /// In `unit`; `None`: not measured.
    pub base: Option<f64>,
    pub new: Option<f64>,
    /// 95 % interval of the difference.
    pub interval: Option<(f64, f64)>,
    /// Microseconds by which the generator's own lag grew, where they are part of the figure.
    pub own: f64,
    /// Corrected probability of such a change in its direction by chance alone.
    pub p: Option<f64>,
    pub basis: Option<Basis>,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Significant, and more than allowed.
    Worse,
    /// Significant, and more than the same amount for the better.
    Better,
    /// Significant, and less than that.
    Small,
    /// Not more than chance, and a change for the worse beyond its line is unlikely: the 95 %
    /// interval excludes it.
    Same,
    /// Not more than chance, and such a change cannot be excluded either: the runs are too short to
    /// tell.
    Open,
    /// Measured on both sides, and too short to be tested.
    Untested,
    /// Not measured on both sides.
    Unmeasured,
}

impl Outcome {
    /// In words for a table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Worse => "worse",
            Outcome::Better => "better",
            Outcome::Small => "small",
            Outcome::Same => "same",
            Outcome::Open => "open",
            Outcome::Untested => "untested",
            Outcome::Unmeasured => "unmeasured",
        }
    }
}

impl FigureChange {
    /// `new - base`.
    pub fn difference(&self) -> Option<f64> {
        Some(self.new? - self.base?)
    }
}

/// Compares two runs by these lines.
pub fn compare(base: JudgedRun, new: JudgedRun, allowances: &[AllowedChange]) -> Comparison {
    let untouched = base.results.interventions.is_empty() && new.results.interventions.is_empty();
    let aligned = untouched && differences::same_schedule(&base.results.header, &new.results.header);
    let asked = allowances.iter().filter_map(|allowance| Some((allowance, allowance.limit?)));
    let measured: Vec<Measured> =
        asked.map(|(allowance, limit)| measure(allowance, limit, base, new, aligned)).collect();
    let figures = outcomes(measured);
    let mut reasons: Vec<String> =
        [("BASE", base), ("NEW", new)].iter().flat_map(|(of, run)| unfit(of, *run)).collect();
    if figures.iter().all(|change| change.p.is_none()) {
        reasons.push("no figure of [compare] could be tested".to_owned());
    }
    let worse = figures.iter().any(|change| change.outcome == Outcome::Worse);
    let verdict = match (reasons.is_empty(), worse) {
        (false, _) => RegressionVerdict::Inconclusive,
        (true, true) => RegressionVerdict::Regression,
        (true, false) => RegressionVerdict::NoRegression,
    };
    Comparison {
        verdict,
        reasons,
        cautions: cautions(base, new, aligned),
        aligned,
        figures,
        findings: differences::findings(base.findings, new.findings),
        profile: differences::profiles(&base.results.header, &new.results.header),
        environment: differences::environments(base.results, new.results),
    }
}

/// A figure of both runs with its test, before it is known how many figures there are.
struct Measured {
    change: FigureChange,
    figure: Figure,
    limit: Limit,
    tested: Option<Tested>,
}

fn measure(allowance: &AllowedChange, limit: Limit, base: JudgedRun, new: JudgedRun, aligned: bool) -> Measured {
    let figure = allowance.figure;
    let sides = side(base, allowance).zip(side(new, allowance));
    let value = |side: ComparedRun| figure.value(side.totals);
    let (was, is) = sides.map_or((None, None), |(base, new)| (value(base), value(new)));
    let both = sides.filter(|_| was.is_some() && is.is_some());
    let tested = both.and_then(|(base, new)| test::test(figure, base, new, aligned));
    let outcome = if both.is_none() { Outcome::Unmeasured } else { Outcome::Untested };
    let change = FigureChange {
        name: allowance.name.clone(),
        allowed: allowance.expr.clone(),
        unit: figure.unit(),
        base: was,
        new: is,
        interval: tested.map(|tested| tested.interval),
        own: own(figure, base.results, new.results),
        p: None,
        basis: tested.map(|tested| tested.basis),
        outcome,
    };
    Measured { change, figure, limit, tested }
}

/// The run, or the trunk of it that a line names; trunks are the same when their ids are.
fn side<'a>(run: JudgedRun<'a>, allowance: &AllowedChange) -> Option<ComparedRun<'a>> {
    let results = run.results;
    let Some(id) = &allowance.trunk else {
        return Some(ComparedRun { results, totals: &results.totals, trunk: None });
    };
    let trunk = results.header.trunks.iter().position(|trunk| trunk.id == *id)?;
    Some(ComparedRun { results, totals: results.trunk_totals.get(trunk)?, trunk: Some(trunk) })
}

/// What the generator's own lag added to a latency that counts from the planned time; never less
/// than nothing, for a generator that improved makes no server slower.
fn own(figure: Figure, base: &Results, new: &Results) -> f64 {
    let Figure::Latency(Phase::Register | Phase::Refresh, statistic) = figure else { return 0.0 };
    let lag = |results: &Results| figure::statistic_of(&results.lag_us, statistic).unwrap_or(0.0);
    (lag(new) - lag(base)).max(0.0)
}

/// Each direction has its own correction: the question of the verdict is whether anything got
/// worse.
fn outcomes(measured: Vec<Measured>) -> Vec<FigureChange> {
    let tested: Vec<Tested> = measured.iter().filter_map(|measured| measured.tested).collect();
    let worse = test::holm(&tested.iter().map(|tested| tested.worse).collect::<Vec<_>>());
    let better = test::holm(&tested.iter().map(|tested| tested.better).collect::<Vec<_>>());
    let mut corrected = worse.into_iter().zip(better);
    let mut changes = Vec::with_capacity(measured.len());
    for Measured { mut change, figure, limit, tested } in measured {
        let values = change.base.zip(change.new).zip(tested);
        if let Some(((base, new), tested)) = values
            && let Some((worse, better)) = corrected.next()
        {
            let worsening = figure.worsening(new - base);
            let beyond = |worsening: f64| limit.is_exceeded(base, worsening - change.own);
            let (low, high) = tested.interval;
            let worst = figure.worsening(low).max(figure.worsening(high));
            let p = if worsening >= 0.0 { worse } else { better };
            change.outcome = match p < LEVEL {
                true if beyond(worsening) => Outcome::Worse,
                true if limit.is_exceeded(base, -worsening) => Outcome::Better,
                true => Outcome::Small,
                false if beyond(worst) => Outcome::Open,
                false => Outcome::Same,
            };
            change.p = Some(p);
        }
        changes.push(change);
    }
    changes
}

/// Why a run neither acquits nor convicts.
fn unfit(of: &str, run: JudgedRun) -> Vec<String> {
    match run.judgement.verdict {
        super::Verdict::Invalid => {
            run.judgement.invalid_reasons.iter().map(|why| format!("{of} is invalid: {why}")).collect()
        }
        super::Verdict::Interrupted => vec![format!("{of} was interrupted, so it did not carry the same load")],
        super::Verdict::Pass | super::Verdict::Fail => Vec::new(),
    }
}

fn cautions(base: JudgedRun, new: JudgedRun, aligned: bool) -> Vec<String> {
    let (old, fresh) = (&base.results.header, &new.results.header);
    let mut cautions = Vec::new();
    if old.name != fresh.name {
        cautions.push(format!("the runs have different names, \"{}\" and \"{}\"", old.name, fresh.name));
    }
    if old.simulated != fresh.simulated {
        cautions.push("one of the runs is simulated: it says nothing about a network or a real server".to_owned());
    }
    if !aligned {
        cautions.push("the runs did not follow the same schedule (load, arrivals, interval, warmup)".to_owned());
    }
    if old.host.name != fresh.host.name || old.host.cpu_model != fresh.host.cpu_model {
        cautions.push("the runs were made on different machines; latencies may differ for that alone".to_owned());
    }
    for (of, run) in [("BASE", base), ("NEW", new)] {
        if run.judgement.generator == GeneratorVerdict::Suspect {
            let reasons = run.judgement.generator_reasons.join("; ");
            cautions.push(format!("the generator of {of} was suspect: {reasons}"));
        }
        if let Some(aborted) = aborted(run.results) {
            cautions.push(format!("{of} was stopped early by abort_on ({} {})", aborted.name, aborted.expr));
        }
    }
    cautions
}
