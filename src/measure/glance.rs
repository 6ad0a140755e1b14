//! One trunk at a moment: what a person at a screen wants to see between two intervals. A copy of
//! counters, no more.

use super::interval::TrunkInterval;
use crate::vocab::{Kind, Status};

/// Counts since the run's start, and gauges of this moment.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Glance {
    /// Attempts ended, by [`Status::index`].
    pub status: [u64; Status::COUNT],
    /// Arrivals begun, shed ones included.
    pub arrivals: u64,
    /// Attempts under way.
    pub open: u64,
    /// Agents that have arrived and were not told to un-REGISTER.
    pub planned: u64,
    pub registered: u64,
    /// Of those: over a connection that is gone.
    pub cut_off: u64,
}

impl Glance {
    /// Adds what was counted in an interval; gauges are left alone.
    pub fn count(&mut self, trunk: &TrunkInterval) {
        for (mine, theirs) in self.status.iter_mut().zip(trunk.status) {
            *mine += theirs;
        }
        self.arrivals += trunk.started[Kind::Initial.index()];
    }

    /// Adds another worker's share of the same trunk.
    pub fn add(&mut self, other: &Glance) {
        for (mine, theirs) in self.status.iter_mut().zip(other.status) {
            *mine += theirs;
        }
        self.arrivals += other.arrivals;
        self.open += other.open;
        self.planned += other.planned;
        self.registered += other.registered;
        self.cut_off += other.cut_off;
    }

    /// Adds another worker's trunks; missing ones count as nothing.
    pub fn add_all(mine: &mut Vec<Glance>, theirs: &[Glance]) {
        mine.resize(mine.len().max(theirs.len()), Glance::default());
        for (mine, theirs) in mine.iter_mut().zip(theirs) {
            mine.add(theirs);
        }
    }

    /// Attempts that ended otherwise than registered.
    pub fn failed(&self) -> u64 {
        self.status.iter().sum::<u64>() - self.ok()
    }

    /// Attempts that ended registered.
    pub fn ok(&self) -> u64 {
        self.status[Status::Registered.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_add_up_and_a_missing_one_is_nothing() {
        let mut trunk = TrunkInterval::default();
        (trunk.status[0], trunk.status[3], trunk.started[0]) = (5, 2, 7);
        let mut one = Glance { open: 1, planned: 9, registered: 4, ..Glance::default() };
        one.count(&trunk);
        assert_eq!((one.ok(), one.failed(), one.arrivals, one.planned), (5, 2, 7, 9));
        let mut sum = Vec::new();
        Glance::add_all(&mut sum, &[]);
        Glance::add_all(&mut sum, &[one, one]);
        Glance::add_all(&mut sum, &[one]);
        assert_eq!((sum[0].ok(), sum[0].registered, sum[1].ok()), (10, 8, 5));
    }
}
