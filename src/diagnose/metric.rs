//! The names a threshold may use, and where each finds its value in a run.
//!
//! `success_ratio`, `loops`, any name of `totals`, `<phase>.<statistic>`,
//! `schedule_lag.<statistic>`, `findings.<severity>`. The text of comparisons is in `threshold`.

use super::figures::{self, Distribution, TOTALS, Unit};
use super::finding::Finding;
use crate::record::{Results, Totals};
use crate::vocab::{Phase, Severity};

/// A measurable quantity of a run or of one trunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Metric {
    /// Position in [`TOTALS`].
    Total(usize),
    SuccessRatio,
    Latency(Phase, Statistic),
    /// Actual minus planned send time; kept for the run, not by trunk.
    ScheduleLag(Statistic),
    /// Findings of one severity.
    Findings(Severity),
}

/// A statistic of a distribution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Statistic {
    Count,
    Min,
    Mean,
    P50,
    P90,
    P95,
    P99,
    P999,
    Max,
}

impl Statistic {
    pub const ALL: [Statistic; 9] = [
        Statistic::Count,
        Statistic::Min,
        Statistic::Mean,
        Statistic::P50,
        Statistic::P90,
        Statistic::P95,
        Statistic::P99,
        Statistic::P999,
        Statistic::Max,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Statistic::Count => "count",
            Statistic::Min => "min",
            Statistic::Mean => "mean",
            Statistic::P50 => "p50",
            Statistic::P90 => "p90",
            Statistic::P95 => "p95",
            Statistic::P99 => "p99",
            Statistic::P999 => "p999",
            Statistic::Max => "max",
        }
    }

    fn of(self, distribution: &Distribution) -> Option<f64> {
        let whole = |value: Option<u64>| value.map(|v| v as f64);
        match self {
            Statistic::Count => Some(distribution.count as f64),
            Statistic::Min => whole(distribution.min),
            Statistic::Mean => distribution.mean,
            Statistic::P50 => whole(distribution.p50),
            Statistic::P90 => whole(distribution.p90),
            Statistic::P95 => whole(distribution.p95),
            Statistic::P99 => whole(distribution.p99),
            Statistic::P999 => whole(distribution.p999),
            Statistic::Max => whole(distribution.max),
        }
    }
}

impl Metric {
    /// Finds a metric by its name, with or without `totals.` before a name of `totals`.
    pub fn named(name: &str) -> Option<Metric> {
        let total = name.strip_prefix("totals.").unwrap_or(name);
        if let Some(position) = TOTALS.iter().position(|figure| figure.name == total) {
            return Some(Metric::Total(position));
        }
        all().into_iter().find(|(known, _)| known == name).map(|(_, metric)| metric)
    }

    /// The metric of a name that may be restricted to a trunk, whatever the trunk's id.
    pub fn behind_trunk(name: &str) -> Option<Metric> {
        std::iter::successors(Some(name), |&rest| rest.split_once('.').map(|(_, tail)| tail)).find_map(Metric::named)
    }

    /// The valid name most like `name`, unless nothing is.
    pub fn nearest(name: &str) -> Option<String> {
        let totals = TOTALS.iter().map(|figure| figure.name.to_owned());
        let bare = name.strip_prefix("totals.").unwrap_or(name);
        nearest(bare, all().into_iter().map(|(known, _)| known).chain(totals))
    }

    /// The name without prefix: `agents_looping` for `loops` and `totals.agents_looping` alike.
    pub fn canonical(self) -> String {
        match self {
            Metric::Total(position) => TOTALS[position].name.to_owned(),
            Metric::SuccessRatio => "success_ratio".to_owned(),
            Metric::Latency(phase, statistic) => format!("{}.{}", phase.as_str(), statistic.as_str()),
            Metric::ScheduleLag(statistic) => format!("schedule_lag.{}", statistic.as_str()),
            Metric::Findings(severity) => format!("findings.{severity}"),
        }
    }

    pub fn unit(self) -> Unit {
        match self {
            Metric::Total(position) => TOTALS[position].unit,
            Metric::SuccessRatio => Unit::Ratio,
            Metric::Latency(_, Statistic::Count) | Metric::ScheduleLag(Statistic::Count) | Metric::Findings(_) => {
                Unit::Count
            }
            Metric::Latency(..) | Metric::ScheduleLag(_) => Unit::Microseconds,
        }
    }

    /// Whether the quantity is kept by trunk.
    pub const fn by_trunk(self) -> bool {
        !matches!(self, Metric::ScheduleLag(_))
    }

    /// Its value in a run, or in one trunk of it; `None` when nothing was measured. `findings` are
    /// all of the run's.
    pub fn value(self, results: &Results, findings: &[Finding], trunk: Option<usize>) -> Option<f64> {
        let totals: &Totals = match trunk {
            Some(index) => results.trunk_totals.get(index)?,
            None => &results.totals,
        };
        match self {
            Metric::ScheduleLag(statistic) => statistic.of(&Distribution::of(Some(&results.lag_us))),
            Metric::Latency(phase, statistic) => statistic.of(&Distribution::of_phase(totals, phase)),
            Metric::Total(_) | Metric::SuccessRatio => self.of_sums(totals),
            Metric::Findings(severity) => {
                let id = trunk.and_then(|index| results.header.trunks.get(index)).map(|trunk| trunk.id.as_str());
                let counted = findings.iter().filter(|finding| finding.is_of(severity, id));
                Some(counted.count() as f64)
            }
        }
    }

    /// Its value when it follows from the sums alone, of a whole run or of one that still goes on;
    /// `None` also when nothing was measured.
    pub fn of_sums(self, totals: &Totals) -> Option<f64> {
        match self {
            Metric::Total(position) => (TOTALS[position].of)(totals).value(),
            Metric::SuccessRatio => figures::success_ratio(totals),
            Metric::Latency(..) | Metric::ScheduleLag(_) | Metric::Findings(_) => None,
        }
    }

    /// The names that [`Metric::of_sums`] has a value for, those of [`TOTALS`] last.
    pub fn of_sums_names() -> impl Iterator<Item = &'static str> {
        ["success_ratio", "loops"].into_iter().chain(TOTALS.iter().map(|figure| figure.name))
    }
}

/// The candidate most like `name`, unless none resembles it.
pub fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    candidates
        .map(|candidate| (strsim::normalized_damerau_levenshtein(name, &candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Every metric beside those of [`TOTALS`], with its name.
fn all() -> Vec<(String, Metric)> {
    // `loops` is the short name of a total.
    let looping = TOTALS.iter().position(|figure| figure.name == "agents_looping").map(Metric::Total);
    let latency =
        Phase::ALL.into_iter().flat_map(|phase| Statistic::ALL.map(|statistic| Metric::Latency(phase, statistic)));
    let lag = [Statistic::P50, Statistic::P99, Statistic::Max].map(Metric::ScheduleLag);
    let findings = [Severity::Critical, Severity::Warning].map(Metric::Findings);
    let named = [Metric::SuccessRatio].into_iter().chain(latency).chain(lag).chain(findings);
    let mut metrics: Vec<_> = named.map(|metric| (metric.canonical(), metric)).collect();
    metrics.extend(looping.map(|metric| ("loops".to_owned(), metric)));
    metrics
}

/// Below this likeness a suggestion would puzzle more than it helps.
const LIKE: f64 = 0.4;
