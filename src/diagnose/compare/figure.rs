//! The figures two runs are compared by, and where a run has their parts: by interval, and by
//! agent.
//!
//! Every figure is a ratio of two sums (attempts above a latency to attempts, refused to all,
//! available to planned), so that one pair of tests serves them all. Only figures with a direction
//! are here: nobody can say whether more messages are worse.

use super::blocks::Sums;
use crate::diagnose::figures::{self, TOTALS, Unit};
use crate::diagnose::metric::{Metric, Statistic};
use crate::measure::TrunkInterval;
use crate::record::schema::from_v2;
use crate::record::{IntervalResult, LatencyRow, Results, Totals};
use crate::vocab::{Phase, Status};
use hdrhistogram::Histogram;

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Figure {
    /// A quantile or the mean of a phase.
    Latency(Phase, Statistic),
    /// A share of the attempts, or its hundredfold.
    Attempts(Part, Unit),
    /// The share of the agents that looped.
    Loops,
    /// Agent-minutes available of those planned.
    Availability,
}

/// Which attempts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    Status(Status),
    /// RFC 6076 §4.2.
    Ineffective,
    /// Those that belong to a loop.
    Looping,
}

impl Figure {
    /// The share of attempts that registered.
    pub const SUCCESS: Figure = Figure::Attempts(Part::Status(Status::Registered), Unit::Ratio);

    /// `None` for a metric without a direction, or without a test for it.
    pub fn of(metric: Metric) -> Option<Figure> {
        match metric {
            Metric::SuccessRatio => Some(Figure::SUCCESS),
            Metric::Latency(_, Statistic::Count | Statistic::Min | Statistic::Max) => None,
            Metric::Latency(phase, statistic) => Some(Figure::Latency(phase, statistic)),
            Metric::Total(position) => match TOTALS[position].name {
                "agents_looping" => Some(Figure::Loops),
                "availability_pct" => Some(Figure::Availability),
                "ira_pct" => Some(Figure::Attempts(Part::Ineffective, Unit::Percent)),
                "auth_loop_pct" => Some(Figure::Attempts(Part::Looping, Unit::Percent)),
                name => {
                    let failed = Status::ALL.into_iter().filter(|status| *status != Status::Registered);
                    let status = failed.into_iter().find(|status| status.as_str() == name)?;
                    Some(Figure::Attempts(Part::Status(status), Unit::Ratio))
                }
            },
            Metric::ScheduleLag(_) | Metric::Findings(_) => None,
        }
    }

    /// Where it stands among others.
    pub const fn rank(self) -> u8 {
        match self {
            Figure::Attempts(Part::Status(Status::Registered), _) => 0,
            Figure::Attempts(..) => 1,
            Figure::Loops => 2,
            Figure::Availability => 3,
            Figure::Latency(..) => 4,
        }
    }

    /// The sign of a change for the worse.
    pub const fn sign(self) -> char {
        match self {
            Figure::Attempts(Part::Status(Status::Registered), _) | Figure::Availability => '-',
            _ => '+',
        }
    }

    /// How much worse `difference` is; negative when it is for the better.
    pub fn worsening(self, difference: f64) -> f64 {
        if self.sign() == '-' { -difference } else { difference }
    }

    pub const fn is_latency(self) -> bool {
        matches!(self, Figure::Latency(..))
    }

    /// What all of it is, in the figure's unit.
    pub const fn whole(self) -> f64 {
        match self.unit() {
            Unit::Percent => 100.0,
            _ => 1.0,
        }
    }

    pub const fn unit(self) -> Unit {
        match self {
            Figure::Latency(..) => Unit::Microseconds,
            Figure::Attempts(_, unit) => unit,
            Figure::Loops => Unit::Ratio,
            Figure::Availability => Unit::Percent,
        }
    }

    /// A change as one might write it, without its sign.
    pub(super) const fn example(self) -> &'static str {
        if self.is_latency() { "10%" } else { "0.1%" }
    }

    /// Its value in a run or a trunk of it; `None` when nothing was measured.
    pub fn value(self, totals: &Totals) -> Option<f64> {
        match self {
            Figure::Latency(phase, statistic) => statistic_of(histogram(totals, phase)?, statistic),
            Figure::Availability => figures::availability_pct(totals),
            Figure::Attempts(..) | Figure::Loops => self.sums(totals).ratio().map(|ratio| ratio * self.whole()),
        }
    }

    /// Hits and trials of a share over the run.
    pub fn sums(self, totals: &Totals) -> Sums {
        match self {
            Figure::Loops => Sums { hits: totals.agents_looping as f64, trials: totals.agents as f64 },
            _ => self.in_trunk(&totals.sums),
        }
    }

    /// Hits and trials of each interval behind the warm-up, of one trunk or of all. `cut` is the
    /// latency above which an attempt is a hit; of a mean the hits are microseconds. Loops are not
    /// known by interval.
    pub fn by_interval(self, results: &Results, trunk: Option<usize>, cut: u64) -> Vec<Sums> {
        let counted = results.intervals.iter().filter(|interval| !results.header.warms_up(interval.start_ns));
        counted.map(|interval| self.in_interval(interval, trunk, cut)).collect()
    }

    fn in_interval(self, interval: &IntervalResult, trunk: Option<usize>, cut: u64) -> Sums {
        let parts: Vec<Sums> = match self {
            Figure::Latency(phase, statistic) => {
                let asked =
                    |row: &&LatencyRow| row.phase == phase && trunk.is_none_or(|trunk| usize::from(row.trunk) == trunk);
                interval.latency.iter().filter(asked).map(|row| above(row, statistic, cut)).collect()
            }
            _ => {
                let trunks = interval.trunks.iter().enumerate();
                let asked = trunks.filter(|(n, _)| trunk.is_none_or(|trunk| *n == trunk));
                asked.map(|(_, part)| self.in_trunk(part)).collect()
            }
        };
        Sums::of(&parts)
    }

    fn in_trunk(self, part: &TrunkInterval) -> Sums {
        let attempts = u128::from(part.status.iter().sum::<u64>());
        let (hits, trials) = match self {
            Figure::Attempts(Part::Status(status), _) => (part.status[status.index()].into(), attempts),
            Figure::Attempts(Part::Ineffective, _) => (part.ineffective.into(), attempts),
            Figure::Attempts(Part::Looping, _) => (part.loop_attempts.into(), attempts),
            Figure::Availability => (part.registered_agent_ns, part.planned_agent_ns),
            Figure::Latency(..) | Figure::Loops => (0, 0),
        };
        Sums { hits: hits as f64, trials: trials as f64 }
    }
}

/// The quantile a statistic is; `None` for the mean.
pub(super) fn quantile(statistic: Statistic) -> Option<f64> {
    match statistic {
        Statistic::P50 => Some(0.5),
        Statistic::P90 => Some(0.9),
        Statistic::P95 => Some(0.95),
        Statistic::P99 => Some(0.99),
        Statistic::P999 => Some(0.999),
        _ => None,
    }
}

/// The distribution of a phase; `None` when it is empty.
pub(super) fn histogram(totals: &Totals, phase: Phase) -> Option<&Histogram<u64>> {
    let of = totals.latency_us.iter().find(|(of, _)| *of == phase).map(|(_, histogram)| histogram);
    of.filter(|histogram| !histogram.is_empty())
}

/// A quantile or the mean.
pub(super) fn statistic_of(histogram: &Histogram<u64>, statistic: Statistic) -> Option<f64> {
    let value = |q| histogram.value_at_quantile(q) as f64;
    (!histogram.is_empty()).then(|| quantile(statistic).map_or_else(|| histogram.mean(), value))
}

/// The attempts above `cut`; of a mean, the sum of all latencies.
fn above(row: &LatencyRow, statistic: Statistic, cut: u64) -> Sums {
    let count = row.count as f64;
    let hits = match (quantile(statistic), from_v2(&row.v2)) {
        (None, _) => row.mean_us * count,
        (Some(_), Some(histogram)) => histogram.len().saturating_sub(histogram.count_between(0, cut)) as f64,
        // The reader made the row from these very bytes.
        (Some(_), None) => 0.0,
    };
    Sums { hits, trials: count }
}

/// How many trials one independent trial stands for (the design effect of Rao and Scott): attempts
/// of one agent succeed or fail together, and a loop of a thousand is one refusal, not a thousand.
pub(super) fn trials_for_one(results: &Results, trunk: Option<usize>) -> f64 {
    let agents = results.agents.iter().zip(&results.header.agent_trunks);
    let counted = agents.filter(|(_, of)| trunk.is_none_or(|trunk| usize::from(**of) == trunk));
    let agents: Vec<Sums> =
        counted.map(|(agent, _)| Sums { hits: agent.registered.into(), trials: agent.attempts.into() }).collect();
    let all = Sums::of(&agents);
    let Some(ratio) = all.ratio() else { return 1.0 };
    let apart = all.trials * ratio * (1.0 - ratio);
    let seen: f64 = agents.iter().map(|agent| (agent.hits - ratio * agent.trials).powi(2)).sum();
    if apart > 0.0 { (seen / apart).max(1.0) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_direction_is_a_figure() {
        let named = |name| Metric::named(name).and_then(Figure::of);
        for name in ["success_ratio", "loops", "agents_looping", "availability_pct", "ira_pct", "request_timeout"] {
            assert!(named(name).is_some(), "{name}");
        }
        for name in ["register.mean", "refresh.p999", "challenge.p50"] {
            assert!(named(name).is_some_and(Figure::is_latency), "{name}");
        }
        for name in ["registered", "messages_sent", "register.max", "register.count", "schedule_lag.p99"] {
            assert_eq!(named(name), None, "{name}");
        }
    }
}
