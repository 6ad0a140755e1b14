//! What is remembered of each agent and its loops: the rows of `agents.csv` and `loops.csv`, handed over when changed.
//!
//! Memory: 48 bytes per agent and 4 for its place in the list of changed rows, 52 MB for 1 000 000 agents over all
//! workers, allocated at the start. A loop takes 40 bytes more (and 4) from its beginning on: 44 MB if every one of
//! them loops. Handing over a changed row takes 64 bytes until it is written.

use super::interval::{AgentRow, LoopRow};
use super::responses::{ReasonId, Reasons};
use crate::vocab::{AgentId, LoopKind, Refusal, Status, Time, TrunkId};

/// One agent's state.
#[derive(Clone, Debug)]
pub(super) struct AgentState {
    /// End of the lifetime granted last; `None` when the agent has no binding.
    pub(super) until: Option<Time>,
    pub(super) first_registered: Option<Time>,
    /// The last outcome, or the last change of its binding.
    pub(super) last_change: Option<Time>,
    /// Attempts begun.
    pub(super) attempts: u32,
    /// Attempts that ended `registered`.
    pub(super) registered: u32,
    /// Position in `loops`, or [`NO_LOOP`].
    slot: u32,
    pub(super) last_code: u16,
    pub(super) last_reason: ReasonId,
    trunk: TrunkId,
    /// Bits of the classes its attempts ended in.
    pub(super) met: u16,
    pub(super) status: Option<Status>,
    /// An attempt was started and has not ended.
    pub(super) open: bool,
    /// Arrived and not yet retired.
    pub(super) planned: bool,
    /// Already in the list of changed rows.
    dirty: bool,
}

const _: () = assert!(size_of::<AgentState>() == 48);

/// The loop an agent is in, or was last in.
#[derive(Clone, Debug)]
struct LoopState {
    first_seen: Time,
    last_seen: Time,
    agent: u32,
    attempts: u32,
    trunk: TrunkId,
    number: u16,
    refusal: Refusal,
    reason: ReasonId,
    /// Already in the list of changed loops.
    dirty: bool,
}

const _: () = assert!(size_of::<LoopState>() == 40);
const _: () = assert!(size_of::<AgentRow>() == 64);

/// The agents of one worker's stripe.
#[derive(Clone, Debug)]
pub(super) struct Agents {
    rows: Vec<AgentState>,
    loops: Vec<LoopState>,
    dirty: Vec<u32>,
    dirty_loops: Vec<u32>,
    /// Loops that were replaced by the same agent's next one before they were handed over.
    replaced: Vec<LoopState>,
    worker: u32,
    workers: u32,
}

/// A loop as the agent reports its beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoopSeen {
    pub(super) refusal: Refusal,
    pub(super) first_seen: Time,
    pub(super) attempts: u32,
}

impl Agents {
    /// Rows for the agents `worker`, `worker + workers`, … below `agents`.
    pub(super) fn new(agents: usize, worker: u32, workers: u32) -> Self {
        let workers = workers.max(1);
        let rows = agents.saturating_sub(worker as usize).div_ceil(workers as usize);
        Agents {
            rows: vec![AgentState::default(); rows],
            loops: Vec::new(),
            dirty: Vec::with_capacity(rows),
            dirty_loops: Vec::new(),
            replaced: Vec::new(),
            worker,
            workers,
        }
    }

    /// The row of an agent, which is handed over at the interval's end.
    ///
    /// # Panics
    /// For an agent that is not of this stripe: its numbers would be added to another agent's.
    pub(super) fn touch(&mut self, agent: AgentId, trunk: TrunkId) -> &mut AgentState {
        assert_eq!(agent.0 % self.workers, self.worker, "agent {agent} belongs to another worker");
        let index = agent.0 / self.workers;
        let row = &mut self.rows[index as usize];
        row.trunk = trunk;
        if !row.dirty {
            row.dirty = true;
            self.dirty.push(index);
        }
        row
    }

    /// Begins a loop, whose latest attempt is the one that ended last. `true`: the agent's first in the run.
    pub(super) fn loop_started(&mut self, agent: AgentId, trunk: TrunkId, seen: LoopSeen) -> bool {
        let LoopSeen { refusal, first_seen, attempts } = seen;
        let next = self.loops.len() as u32;
        let row = self.touch(agent, trunk);
        let last_seen = row.last_change.map_or(first_seen, |at| at.max(first_seen));
        let reason = row.last_reason;
        let first = row.slot == NO_LOOP;
        if first {
            row.slot = next;
        }
        let slot = row.slot;
        let (agent, number) = (agent.0, 0);
        let state = LoopState { first_seen, last_seen, agent, attempts, trunk, number, refusal, reason, dirty: true };
        if first {
            self.loops.push(state);
            self.dirty_loops.push(slot);
        } else {
            self.replace_loop(slot, state);
        }
        first
    }

    fn replace_loop(&mut self, slot: u32, next: LoopState) {
        let current = &mut self.loops[slot as usize];
        let number = current.number.saturating_add(1);
        let before = std::mem::replace(current, LoopState { number, ..next });
        if before.dirty {
            self.replaced.push(before);
        } else {
            self.dirty_loops.push(slot);
        }
    }

    /// One attempt more in the agent's loop: the one that ended last. `false`: the agent is in no loop.
    pub(super) fn loop_grew(&mut self, agent: AgentId, trunk: TrunkId) -> bool {
        let row = self.touch(agent, trunk);
        let (slot, at, reason) = (row.slot, row.last_change, row.last_reason);
        let Some(state) = self.loops.get_mut(slot as usize) else { return false };
        state.attempts = state.attempts.saturating_add(1);
        state.last_seen = at.map_or(state.last_seen, |at| at.max(state.last_seen));
        state.reason = reason;
        if !state.dirty {
            state.dirty = true;
            self.dirty_loops.push(slot);
        }
        true
    }

    /// The rows that changed since the last call, times relative to `start`.
    pub(super) fn take_rows(&mut self, reasons: &Reasons, start: Time) -> Vec<AgentRow> {
        let mut taken = Vec::with_capacity(self.dirty.len());
        for index in self.dirty.drain(..) {
            let row = &mut self.rows[index as usize];
            row.dirty = false;
            taken.push(AgentRow {
                agent: index * self.workers + self.worker,
                trunk: row.trunk.0,
                status: row.status,
                attempts: row.attempts,
                registered: row.registered,
                last_code: row.last_code,
                last_reason: reasons.text(row.last_reason),
                loop_kind: loop_kind(&self.loops, row.slot),
                first_registered_ns: row.first_registered.map(|at| at.nanos_since(start)),
                last_change_ns: row.last_change.map_or(0, |at| at.nanos_since(start)),
                open: row.open,
                met: row.met,
            });
        }
        taken
    }

    /// The loops that began or grew since the last call, times relative to `start`.
    pub(super) fn take_loops(&mut self, reasons: &Reasons, start: Time) -> Vec<LoopRow> {
        let mut taken: Vec<_> = self.replaced.drain(..).map(|state| state.row(reasons, start)).collect();
        for slot in self.dirty_loops.drain(..) {
            let state = &mut self.loops[slot as usize];
            state.dirty = false;
            taken.push(state.row(reasons, start));
        }
        taken
    }
}

impl LoopState {
    fn row(&self, reasons: &Reasons, start: Time) -> LoopRow {
        LoopRow {
            agent: self.agent,
            trunk: self.trunk.0,
            number: self.number,
            kind: self.refusal.kind,
            place: self.refusal.place,
            code: self.refusal.code,
            reason: reasons.text(self.reason).to_string(),
            attempts: self.attempts,
            first_seen_ns: self.first_seen.nanos_since(start),
            last_seen_ns: self.last_seen.nanos_since(start),
        }
    }
}

impl Default for AgentState {
    fn default() -> Self {
        AgentState {
            until: None,
            first_registered: None,
            last_change: None,
            attempts: 0,
            registered: 0,
            slot: NO_LOOP,
            last_code: 0,
            last_reason: ReasonId::NONE,
            trunk: TrunkId(0),
            met: 0,
            status: None,
            open: false,
            planned: false,
            dirty: false,
        }
    }
}

fn loop_kind(loops: &[LoopState], slot: u32) -> Option<LoopKind> {
    loops.get(slot as usize).map(|state| state.refusal.kind)
}

/// No position in the list of loops: an agent that never looped.
const NO_LOOP: u32 = u32::MAX;
