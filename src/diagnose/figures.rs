//! Figures that follow from a run's totals: the names under `totals` in `run.json`, and quantiles
//! of a histogram.
//!
//! [`TOTALS`] is the one list of these names: `run.json` prints it and thresholds look names up in
//! it, so the two cannot differ. Nothing here judges; a figure whose denominator is zero is unknown
//! (`None`), never 0 or NaN. Read first: RFC 6076 §4.2 (ineffective registration attempts).

use crate::record::{Results, Totals};
use crate::vocab::{Kind, Status};
use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

/// What a figure is measured in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Count,
    /// 0 to 1.
    Ratio,
    /// 0 to 100.
    Percent,
    #[serde(rename = "us")]
    Microseconds,
    /// Agents × minutes.
    AgentMinutes,
}

/// A figure's value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum FigureValue {
    Count(u64),
    /// `None`: unknown, because nothing was there to divide by.
    Real(Option<f64>),
}

impl FigureValue {
    /// The value as a number to compare; `None` when unknown.
    pub fn value(self) -> Option<f64> {
        match self {
            FigureValue::Count(n) => Some(n as f64),
            FigureValue::Real(value) => value,
        }
    }
}

impl Serialize for FigureValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            FigureValue::Count(n) => serializer.serialize_u64(n),
            FigureValue::Real(value) => value.serialize(serializer),
        }
    }
}

/// One name under `totals`.
#[derive(Clone, Copy, Debug)]
pub struct TotalsFigure {
    pub name: &'static str,
    pub unit: Unit,
    pub of: fn(&Totals) -> FigureValue,
}

/// Bindings that a run leaves at its registrars.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct BindingsLeft {
    pub count: u64,
    /// When the last of them has lapsed, nanoseconds since the run's start, if it got no more than
    /// the longest lifetime that was granted. `None` of no binding.
    pub lapsed_ns: Option<u64>,
}

/// What a run that ended left bound; of one that was killed, what was bound when it was last seen.
/// Phones that were only observed are nobody's to remove.
pub fn bindings_left(results: &Results) -> BindingsLeft {
    let last = results.intervals.last();
    let seen: u64 = last.map_or(0, |interval| interval.trunks.iter().map(|trunk| trunk.registered).sum());
    let count = results.end.as_ref().map_or(seen, |end| end.left_bound);
    if count == 0 || results.header.observed.is_some() {
        return BindingsLeft::default();
    }
    let granted = results.evidence.grants.iter().map(|row| row.granted_s.1).max();
    let asked = results.header.trunks.iter().map(|trunk| trunk.expires_s).max();
    let lifetime_ns = u64::from(granted.or(asked).unwrap_or(0)) * 1_000_000_000;
    let ended_ns = results.end.as_ref().map(|end| end.ended_ns).or(last.map(|interval| interval.end_ns));
    BindingsLeft { count, lapsed_ns: Some(ended_ns.unwrap_or(0).saturating_add(lifetime_ns)) }
}

/// RFC 6076 §4.2, per attempt: ineffective attempts of all attempts, per cent. 401, 402 and 407
/// never count as ineffective, so an endless challenge does not show in it; [`auth_loop_pct`]
/// stands beside it.
pub fn ira_pct(totals: &Totals) -> Option<f64> {
    percent(totals.sums.ineffective, totals.attempts)
}

/// RFC 6076 §4.2, per REGISTER request: a challenged attempt has two of them in the denominator.
pub fn ira_pct_requests(totals: &Totals) -> Option<f64> {
    percent(totals.sums.ineffective, totals.sums.register_requests)
}

/// The share of attempts that belong to a loop, per cent.
pub fn auth_loop_pct(totals: &Totals) -> Option<f64> {
    percent(totals.sums.loop_attempts, totals.attempts)
}

/// Shares of the agents whose sign-in is timed, per cent.
pub const SIGN_IN_SHARES: [u32; 4] = [50, 90, 99, 100];

/// When `share` per cent of all agents had registered for the first time, nanoseconds since the
/// run's start; `None` when so many never did. After a restart of everything this is the time to
/// recover.
pub fn signed_in_after(results: &Results, share: u32) -> Option<u64> {
    let needed = (results.agents.len() * share as usize).div_ceil(100);
    let mut first: Vec<u64> = results.agents.iter().filter_map(|agent| agent.first_registered_ns).collect();
    if needed == 0 || needed > first.len() {
        return None;
    }
    let (_, nth, _) = first.select_nth_unstable(needed - 1);
    Some(*nth)
}

/// Agent-minutes registered of those planned while the load lasted, per cent.
pub fn availability_pct(totals: &Totals) -> Option<f64> {
    percent(totals.sums.registered_agent_ns, totals.sums.planned_agent_ns)
}

/// Minutes × agents planned while the load lasted.
pub fn agent_minutes_planned(totals: &Totals) -> f64 {
    agent_minutes(totals.sums.planned_agent_ns)
}

/// Minutes × agents registered while the load lasted.
pub fn agent_minutes_available(totals: &Totals) -> f64 {
    agent_minutes(totals.sums.registered_agent_ns)
}

/// Registered attempts of all attempts, 0 to 1.
pub fn success_ratio(totals: &Totals) -> Option<f64> {
    let registered = totals.sums.status[Status::Registered.index()];
    (totals.attempts > 0).then(|| registered as f64 / totals.attempts as f64)
}

/// Agents × nanoseconds as agents × minutes.
pub fn agent_minutes(agent_ns: u128) -> f64 {
    agent_ns as f64 / 60e9
}

/// `part` of `whole` in per cent; `None` when `whole` is 0.
pub fn percent(part: impl Into<u128>, whole: impl Into<u128>) -> Option<f64> {
    let (part, whole) = (part.into(), whole.into());
    match whole {
        0 => None,
        // Rounding must not turn "all of it" into 100.00000000000001.
        _ if part == whole => Some(100.0),
        _ => Some(100.0 * part as f64 / whole as f64),
    }
}

/// The statistics kept of a distribution, in the unit of its histogram; unknown (`None`) when it is
/// empty.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Distribution {
    pub count: u64,
    pub min: Option<u64>,
    pub mean: Option<f64>,
    pub p50: Option<u64>,
    pub p90: Option<u64>,
    pub p95: Option<u64>,
    pub p99: Option<u64>,
    pub p999: Option<u64>,
    pub max: Option<u64>,
}

impl Distribution {
    pub fn of(histogram: Option<&Histogram<u64>>) -> Distribution {
        let Some(histogram) = histogram.filter(|h| !h.is_empty()) else {
            return Distribution::default();
        };
        let quantile = |q| Some(histogram.value_at_quantile(q));
        Distribution {
            count: histogram.len(),
            min: Some(histogram.min()),
            mean: Some(histogram.mean()),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p95: quantile(0.95),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: Some(histogram.max()),
        }
    }

    /// Of one phase in a run's or trunk's totals.
    pub fn of_phase(totals: &Totals, phase: crate::vocab::Phase) -> Distribution {
        Distribution::of(totals.latency_us.iter().find(|(p, _)| *p == phase).map(|(_, histogram)| histogram))
    }
}

const fn count(name: &'static str, of: fn(&Totals) -> FigureValue) -> TotalsFigure {
    TotalsFigure { name, unit: Unit::Count, of }
}

const fn pct(name: &'static str, of: fn(&Totals) -> FigureValue) -> TotalsFigure {
    TotalsFigure { name, unit: Unit::Percent, of }
}

macro_rules! status {
    ($status:ident) => {
        count(Status::$status.as_str(), |t| FigureValue::Count(t.sums.status[Status::$status.index()]))
    };
}

macro_rules! sum {
    ($field:ident) => {
        count(stringify!($field), |t| FigureValue::Count(t.sums.$field))
    };
}

/// Every name under `totals`, in the order of `run.json`.
pub const TOTALS: [TotalsFigure; 36] = [
    count("attempts", |t| FigureValue::Count(t.attempts)),
    status!(Registered),
    status!(AuthenticationFailed),
    status!(RegistrationRejected),
    status!(ServiceUnavailable),
    status!(RequestTimeout),
    status!(TransportError),
    status!(ProtocolError),
    status!(Shed),
    status!(Abandoned),
    sum!(register_requests),
    count("agents", |t| FigureValue::Count(t.agents)),
    count("agents_registered_peak", |t| FigureValue::Count(t.agents_registered_peak)),
    count("agents_registered_at_end", |t| FigureValue::Count(t.agents_registered_at_end)),
    count("agents_looping", |t| FigureValue::Count(t.agents_looping)),
    count("initial", |t| FigureValue::Count(t.sums.ended[Kind::Initial.index()])),
    count("refreshes", |t| FigureValue::Count(t.sums.ended[Kind::Refresh.index()])),
    count("retries", |t| FigureValue::Count(t.sums.ended[Kind::Retry.index()])),
    sum!(messages_sent),
    sum!(messages_received),
    sum!(retransmissions),
    sum!(late_responses),
    sum!(ceiling_refused),
    sum!(bytes_sent),
    sum!(bytes_received),
    pct("ira_pct", |t| FigureValue::Real(ira_pct(t))),
    pct("ira_pct_requests", |t| FigureValue::Real(ira_pct_requests(t))),
    pct("auth_loop_pct", |t| FigureValue::Real(auth_loop_pct(t))),
    TotalsFigure {
        name: "agent_minutes_planned",
        unit: Unit::AgentMinutes,
        of: |t| FigureValue::Real(Some(agent_minutes_planned(t))),
    },
    TotalsFigure {
        name: "agent_minutes_available",
        unit: Unit::AgentMinutes,
        of: |t| FigureValue::Real(Some(agent_minutes_available(t))),
    },
    pct("availability_pct", |t| FigureValue::Real(availability_pct(t))),
    // Here because a clean end is worth a threshold of its own.
    count("unregister_failed", |t| FigureValue::Count(t.sums.unregister_failed)),
    count("agents_reachable_at_end", |t| FigureValue::Count(t.agents_reachable_at_end)),
    count("canary_checks", |t| FigureValue::Count(t.sums.canary.checks)),
    count("canary_failed", |t| FigureValue::Count(t.sums.canary.failed)),
    count("canary_failed_in_a_row", |t| FigureValue::Count(t.sums.canary.in_a_row)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_exactly_a_hundred_per_cent() {
        for whole in [1, 3, 7, 999, 28_800_000_000_000_001, u64::MAX] {
            assert_eq!(percent(whole, whole), Some(100.0), "{whole}");
        }
        assert_eq!(percent(999_u64, 1000_u64), Some(99.9));
        assert_eq!(percent(0_u64, 5_u64), Some(0.0));
        assert_eq!(percent(0_u64, 0_u64), None);
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = TOTALS.iter().map(|figure| figure.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TOTALS.len());
    }

    #[test]
    fn an_empty_histogram_has_no_statistics() {
        let empty = Histogram::<u64>::new(3).expect("three digits");
        assert_eq!(Distribution::of(Some(&empty)), Distribution::default());
        assert_eq!(Distribution::of(None).p99, None);
    }
}
