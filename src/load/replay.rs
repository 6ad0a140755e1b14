//! A replay: when each phone did what, as somebody recorded it.
//!
//! The order and the distances are those of the record; only the speed may be another. A worker has
//! the steps of its own agents, and they are as many and as late as with any other number of
//! workers.

use super::stripe::Stripe;
use crate::vocab::{ReplayAct, saturating_u32};
use std::time::Duration;

/// One thing that one agent does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplayStep {
    /// Since the start of the stage.
    pub at: Duration,
    /// Its place in arrival order.
    pub agent: u32,
    pub act: ReplayAct,
}

/// All steps of a stage, in order of time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Replay {
    steps: Vec<ReplayStep>,
    /// Positions of the arrivals among the steps.
    arrivals: Vec<u32>,
}

impl Replay {
    /// Puts steps in order; those of one moment stay as they are listed.
    pub fn new(mut steps: Vec<ReplayStep>) -> Self {
        steps.sort_by_key(|step| step.at);
        let arrives = |n: &usize| steps[*n].act == ReplayAct::Arrive;
        let arrivals = (0..steps.len()).filter(arrives).map(saturating_u32).collect();
        Replay { steps, arrivals }
    }

    pub fn steps(&self) -> &[ReplayStep] {
        &self.steps
    }

    /// How often an agent arrives; one that comes again counts again.
    pub fn arrivals(&self) -> u32 {
        saturating_u32(self.arrivals.len())
    }

    /// When the n-th arrival is due, since the start of the stage.
    pub fn arrival(&self, n: u32) -> Option<Duration> {
        let step = *self.arrivals.get(n as usize)?;
        Some(self.steps[step as usize].at)
    }

    /// How long the stage lasts: to the whole second behind its last step, so that this step is
    /// part of it.
    pub fn lasts(&self) -> Duration {
        self.steps.last().map_or(Duration::ZERO, |last| Duration::from_secs(last.at.as_secs() + 1))
    }

    /// The most arrivals within any second.
    pub fn peak(&self) -> f64 {
        let (mut first, mut most) = (0, 0);
        for (n, step) in self.arrivals.iter().enumerate() {
            let at = self.steps[*step as usize].at;
            while self.steps[self.arrivals[first] as usize].at + SECOND <= at {
                first += 1;
            }
            most = most.max(n + 1 - first);
        }
        most as f64
    }

    /// Arrivals in the second that begins at a moment.
    pub fn rate_at(&self, at: Duration) -> f64 {
        let before = |moment: Duration| self.arrivals.partition_point(|step| self.steps[*step as usize].at < moment);
        (before(at + SECOND) - before(at)) as f64
    }

    /// The positions of a worker's steps: those of its agents.
    pub fn of_stripe(&self, stripe: Stripe) -> Vec<u32> {
        let owns = |n: &usize| stripe.local(self.steps[*n].agent).is_some();
        (0..self.steps.len()).filter(owns).map(saturating_u32).collect()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step(millis: u64, agent: u32, act: ReplayAct) -> ReplayStep {
        ReplayStep { at: Duration::from_millis(millis), agent, act }
    }

    #[test]
    fn arrivals_are_counted_apart_from_what_else_happens() {
        let replay = Replay::new(vec![
            step(2_500, 1, ReplayAct::Arrive),
            step(0, 0, ReplayAct::Arrive),
            step(2_000, 0, ReplayAct::Leave),
            step(3_000, 0, ReplayAct::Arrive),
        ]);
        assert_eq!(replay.arrivals(), 3);
        let due: Vec<_> = (0..4).map(|n| replay.arrival(n).map(|at| at.as_millis())).collect();
        assert_eq!(due, [Some(0), Some(2_500), Some(3_000), None]);
        assert_eq!((replay.lasts(), replay.peak()), (Duration::from_secs(4), 2.0));
        assert_eq!([0, 1_000, 2_100].map(|at| replay.rate_at(Duration::from_millis(at))), [1.0, 0.0, 2.0]);
        assert_eq!((Replay::default().lasts(), Replay::default().peak()), (Duration::ZERO, 0.0));
    }

    proptest! {
        /// Every step has one worker, whatever their number, and each worker has its own in order.
        #[test]
        fn workers_share_the_steps(moments in proptest::collection::vec((0u64..100_000, 0u32..50), 0..200), workers in 1u32..6) {
            let replay = Replay::new(moments.iter().map(|&(at, agent)| step(at, agent, ReplayAct::Arrive)).collect());
            let mut seen = vec![0; replay.steps().len()];
            for worker in 0..workers {
                let own = replay.of_stripe(Stripe { worker, workers });
                prop_assert!(own.is_sorted());
                for n in own {
                    prop_assert_eq!(replay.steps()[n as usize].agent % workers, worker);
                    seen[n as usize] += 1;
                }
            }
            prop_assert!(seen.iter().all(|&times| times == 1));
            prop_assert!(replay.steps().is_sorted_by_key(|step| step.at));
        }
    }
}
