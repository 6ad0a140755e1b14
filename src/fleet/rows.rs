//! A worker's rows of a replay: what comes next, and for each agent when it is next recorded to
//! have tried again.

use crate::load::{ReplayStep, Schedule, Stripe};
use crate::vocab::{ReplayAct, saturating_u32};
use std::time::Duration;

/// Memory: eight bytes a row and four an agent.
pub(super) struct RecordedRows {
    /// Positions of this worker's steps in the replay.
    own: Vec<u32>,
    /// By row: the next row in which the same agent tries again.
    following: Vec<u32>,
    /// By local agent: the first such row that is still to come.
    next: Vec<u32>,
    workers: u32,
}

impl RecordedRows {
    /// `None` where nothing is replayed.
    pub(super) fn of(schedule: &Schedule, stripe: Stripe, agents: u32) -> Option<RecordedRows> {
        let own = schedule.replay()?.of_stripe(stripe);
        let (mut following, mut next) = (vec![NONE; own.len()], vec![NONE; agents as usize]);
        for row in (0..own.len()).rev() {
            let Some(step) = schedule.replayed(own[row]).filter(|step| step.act == ReplayAct::Again) else { continue };
            let next = &mut next[(step.agent / stripe.workers) as usize];
            following[row] = std::mem::replace(next, saturating_u32(row));
        }
        Some(RecordedRows { own, following, next, workers: stripe.workers })
    }

    /// The n-th row, its time being since the start of the load.
    pub(super) fn step(&self, schedule: &Schedule, n: u32) -> Option<ReplayStep> {
        schedule.replayed(*self.own.get(n as usize)?)
    }

    /// The row's turn has come: its agent's place among the worker's, and what it does.
    pub(super) fn take(&mut self, schedule: &Schedule, n: u32) -> Option<(u32, ReplayAct)> {
        let step = self.step(schedule, n)?;
        let local = step.agent / self.workers;
        if step.act == ReplayAct::Again {
            self.next[local as usize] = self.following[n as usize];
        }
        Some((local, step.act))
    }

    /// When an agent is next recorded to have tried again.
    pub(super) fn again(&self, schedule: &Schedule, local: u32) -> Option<Duration> {
        let row = *self.next.get(local as usize).filter(|row| **row != NONE)?;
        Some(self.step(schedule, row)?.at)
    }
}

const NONE: u32 = u32::MAX;
