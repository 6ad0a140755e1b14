//! `[safety] abort_on`: conditions that end a run before its time, `success_ratio = "< 0.5"`,
//! `"trunk.nj.loops" = "> 100"`.
//!
//! They are written as thresholds are, and mean the opposite: a threshold asks for what should
//! hold, a condition names what must not go on. They are held against the load so far, interval by
//! interval, the warm-up included: a server in trouble does not care whether we call it a warm-up.
//! Only sums are kept, so only what follows from sums can be a condition; distributions and
//! findings cannot.

use super::figures::{TOTALS, Unit};
use super::metric::Metric;
use super::threshold::{Threshold, ThresholdError};
use crate::measure::{GeneratorCounts, Interval, TrunkInterval};
use crate::record::Totals;
use crate::record::results::Aborted;
use crate::vocab::Stage;
use std::fmt;

/// Attempts that must have ended before a share is judged: of fewer, one refusal is already more
/// than five per cent.
pub const LEAST_ATTEMPTS: u64 = 20;

/// Totals that say nothing while the load lasts: a constant, and two figures that belong to the end
/// of a run.
const ONLY_AT_THE_END: [&str; 4] =
    ["agents", "agents_registered_at_end", "agents_reachable_at_end", "unregister_failed"];

/// One condition, checked against the metric names that can be judged during a run.
#[derive(Clone, PartialEq, Debug)]
pub struct AbortCondition(Threshold);

impl fmt::Display for AbortCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl AbortCondition {
    /// Reads a name and an expression as [`Threshold::parse`] does. `trunk_ids` stand in the order
    /// of the profile.
    ///
    /// # Errors
    /// As for a threshold, and when the metric is not known while the load lasts.
    pub fn parse(name: &str, expr: &str, trunk_ids: &[&str]) -> Result<AbortCondition, ThresholdError> {
        let threshold = Threshold::parse(name, expr, trunk_ids)?;
        let metric = threshold.metric();
        let why = match metric {
            Metric::Total(position) if ONLY_AT_THE_END.contains(&TOTALS[position].name) => {
                "it means nothing before the end of the load"
            }
            Metric::Total(_) | Metric::SuccessRatio => return Ok(AbortCondition(threshold)),
            Metric::Latency(..) | Metric::ScheduleLag(_) => "distributions are not summed up during a run",
            Metric::Findings(_) => "findings are made after a run",
        };
        let names: Vec<_> = Metric::of_sums_names().filter(|name| !ONLY_AT_THE_END.contains(name)).collect();
        let message = format!("\"{name}\" cannot stop a run: {why}; what can is {}", names.join(", "));
        Err(ThresholdError { message, nearest: None, in_name: true })
    }

    /// Its value if it holds.
    fn held(&self, run: &Totals, trunks: &[Totals]) -> Option<f64> {
        let totals = match self.0.trunk() {
            Some(index) => trunks.get(index)?,
            None => run,
        };
        let metric = self.0.metric();
        let share = matches!(metric.unit(), Unit::Ratio | Unit::Percent);
        if share && totals.attempts < LEAST_ATTEMPTS {
            return None;
        }
        metric.of_sums(totals).filter(|value| self.0.holds(*value))
    }
}

/// A run's load so far, and the conditions under which it must not go on.
#[derive(Clone, Debug)]
pub struct AbortWatch {
    conditions: Vec<AbortCondition>,
    run: Totals,
    /// By trunk.
    trunks: Vec<Totals>,
}

impl AbortWatch {
    /// `agents` are the numbers of agents by trunk.
    pub fn new(conditions: Vec<AbortCondition>, agents: impl IntoIterator<Item = u64>) -> Self {
        let trunks: Vec<_> = agents.into_iter().map(nothing_yet).collect();
        AbortWatch { conditions, run: nothing_yet(trunks.iter().map(|trunk| trunk.agents).sum()), trunks }
    }

    /// Adds a complete interval of all workers. Gives the first condition that holds at its end;
    /// intervals behind the load stop nothing.
    pub fn interval(&mut self, interval: &Interval) -> Option<Aborted> {
        if interval.stage != Stage::Load {
            return None;
        }
        self.add(interval);
        self.conditions.iter().find_map(|condition| {
            let value = condition.held(&self.run, &self.trunks)?;
            let AbortCondition(Threshold { name, expr, .. }) = condition;
            Some(Aborted { name: name.clone(), expr: expr.clone(), value, at_ns: interval.end_ns })
        })
    }

    fn add(&mut self, interval: &Interval) {
        let mut all = TrunkInterval::default();
        for (sum, trunk) in self.trunks.iter_mut().zip(&interval.trunks) {
            add(sum, trunk, &interval.generator);
            all.add_counters(trunk);
        }
        add(&mut self.run, &all, &interval.generator);
        let samples = interval.registered_samples.iter().map(|&(_, agents)| u64::from(agents));
        self.run.agents_registered_peak = samples.fold(self.run.agents_registered_peak, u64::max);
        if let [only] = self.trunks.as_mut_slice() {
            only.agents_registered_peak = self.run.agents_registered_peak;
        }
    }
}

fn nothing_yet(agents: u64) -> Totals {
    Totals {
        attempts: 0,
        sums: TrunkInterval::default(),
        generator: GeneratorCounts::default(),
        agents,
        agents_registered_peak: 0,
        agents_registered_at_end: 0,
        agents_reachable_at_end: 0,
        agents_looping: 0,
        latency_us: Vec::new(),
    }
}

/// Counters add up, gauges are those of the last interval.
fn add(sum: &mut Totals, interval: &TrunkInterval, generator: &GeneratorCounts) {
    sum.sums.add_counters(interval);
    sum.sums.open = interval.open;
    sum.sums.planned = interval.planned;
    sum.sums.registered = interval.registered;
    sum.generator.add(generator);
    sum.attempts = sum.sums.attempts_ended();
    sum.agents_looping = sum.sums.agents_began_looping;
    sum.agents_registered_peak = sum.agents_registered_peak.max(interval.registered);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Evidence;
    use crate::vocab::Status;

    const TRUNKS: [&str; 2] = ["nj", "texas"];

    fn watch(conditions: &[(&str, &str)]) -> AbortWatch {
        let parse = |(name, expr): &(&str, &str)| AbortCondition::parse(name, expr, &TRUNKS).expect("a condition");
        AbortWatch::new(conditions.iter().map(parse).collect(), [100, 50])
    }

    /// An interval with so many attempts registered and refused on each trunk.
    fn interval(index: u32, stage: Stage, ended: [(u64, u64); 2]) -> Interval {
        let trunk = |(registered, refused)| {
            let mut trunk = TrunkInterval { agents_began_looping: refused, ..TrunkInterval::default() };
            trunk.status[Status::Registered.index()] = registered;
            trunk.status[Status::RegistrationRejected.index()] = refused;
            trunk
        };
        Interval {
            index,
            start_ns: u64::from(index) * 1_000,
            end_ns: u64::from(index + 1) * 1_000,
            stage,
            trunks: ended.map(trunk).into(),
            lag_us: None,
            generator: GeneratorCounts::default(),
            agents: Vec::new(),
            loops: Vec::new(),
            responses: Vec::new(),
            evidence: Evidence::default(),
            registered_samples: Vec::new(),
            imbalances: Vec::new(),
        }
    }

    fn held(aborted: Option<Aborted>) -> Option<(String, f64, u64)> {
        aborted.map(|aborted| (aborted.name, aborted.value, aborted.at_ns))
    }

    #[test]
    fn a_share_is_judged_over_the_load_so_far_once_twenty_attempts_ended() {
        let mut watch = watch(&[("success_ratio", "< 0.5")]);
        assert_eq!(watch.interval(&interval(0, Stage::Load, [(0, 12), (0, 7)])), None, "19 ended");
        // 20 of 39: what was bad so far is made up for.
        assert_eq!(watch.interval(&interval(1, Stage::Load, [(20, 0), (0, 0)])), None);
        let last = watch.interval(&interval(2, Stage::Load, [(0, 0), (0, 11)]));
        assert_eq!(held(last), Some(("success_ratio".to_owned(), 0.4, 3_000)));
    }

    #[test]
    fn a_count_is_judged_at_once_and_a_trunk_by_itself() {
        let mut watch = watch(&[("loops", "> 9"), ("trunk.texas.success_ratio", "< 10%"), ("trunk.nj.loops", "> 3")]);
        // A share of a trunk waits for twenty attempts of that trunk.
        assert_eq!(watch.interval(&interval(0, Stage::Load, [(90, 0), (0, 3)])), None);
        assert_eq!(
            held(watch.interval(&interval(1, Stage::Load, [(0, 4), (0, 0)]))),
            Some(("trunk.nj.loops".to_owned(), 4.0, 2_000))
        );
        assert_eq!(
            held(watch.interval(&interval(2, Stage::Load, [(0, 0), (1, 17)]))),
            Some(("loops".to_owned(), 24.0, 3_000)),
            "the first condition of those that hold"
        );
    }

    #[test]
    fn nothing_behind_the_load_stops_a_run() {
        let mut watch = watch(&[("loops", "> 0")]);
        for stage in [Stage::Drain, Stage::Unregister] {
            assert_eq!(watch.interval(&interval(0, stage, [(0, 50), (0, 50)])), None);
        }
    }

    #[test]
    fn what_is_not_known_during_a_run_is_refused_with_the_names_that_are() {
        for (name, why) in [
            ("register.p99", "distributions"),
            ("register.count", "distributions"),
            ("trunk.nj.refresh.max", "distributions"),
            ("schedule_lag.p99", "distributions"),
            ("findings.critical", "findings"),
            ("totals.agents", "before the end"),
            ("agents_registered_at_end", "before the end"),
            ("unregister_failed", "before the end"),
        ] {
            let expr = if name.contains(".p99") || name.contains(".max") { "> 1s" } else { "> 1" };
            let error = AbortCondition::parse(name, expr, &TRUNKS).expect_err(name);
            assert!(error.message.starts_with(&format!("\"{name}\" cannot stop a run: ")), "{error}");
            assert!(error.message.contains(why) && error.message.contains("success_ratio, loops, attempts"), "{error}");
            assert!(error.in_name);
        }
        for name in Metric::of_sums_names().filter(|name| !ONLY_AT_THE_END.contains(name)) {
            AbortCondition::parse(name, "> 0", &TRUNKS).expect(name);
        }
    }

    #[test]
    fn what_a_threshold_refuses_is_refused_alike() {
        for (name, expr) in [("succes_ratio", "< 1"), ("loops", "= 0"), ("loops", "< 5%"), ("trunk.ny.loops", "> 1")] {
            let expected = Threshold::parse(name, expr, &TRUNKS).expect_err(name);
            assert_eq!(AbortCondition::parse(name, expr, &TRUNKS), Err(expected));
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(name in ".{0,30}", expr in "[<>=! ]{0,2}.{0,12}") {
            let _ = AbortCondition::parse(&name, &expr, &TRUNKS);
            let _ = AbortCondition::parse("success_ratio", &expr, &TRUNKS);
        }

        /// Whatever came before, a condition holds exactly when the comparison is true of the sums.
        #[test]
        fn a_condition_is_held_against_the_sums(ended in proptest::collection::vec((0u64..9, 0u64..9), 1..30)) {
            let mut watch = watch(&[("success_ratio", "< 0.5")]);
            let (mut registered, mut refused) = (0, 0);
            for (index, (yes, no)) in ended.into_iter().enumerate() {
                (registered, refused) = (registered + yes, refused + no);
                let held = watch.interval(&interval(index as u32, Stage::Load, [(yes, 0), (0, no)])).is_some();
                let all = registered + refused;
                proptest::prop_assert_eq!(held, all >= LEAST_ATTEMPTS && registered * 2 < all);
            }
        }
    }
}
