//! What is remembered of each agent and its loops: the rows of `agents.csv` and `loops.csv`, handed
//! over when changed.
//!
//! Memory: 48 bytes per agent and up to 8 for its places in the lists of changed rows, 56 MB for a
//! million agents over all workers, reserved at the start. A loop takes 40 bytes more (and 8) from
//! its beginning on: 48 MB if every one of them loops. Handing over a changed row takes 64 bytes
//! until it is written.

use super::changes::{ChangeMark, Changes, Touched};
use super::interval::{AgentRow, LoopRow};
use super::phrases::{PhraseId, Phrases};
use crate::vocab::{AgentId, LoopKind, Refusal, Status, Time, TrunkId, saturating_u32};

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
    pub(super) last_reason: PhraseId,
    trunk: TrunkId,
    /// Bits of the classes its attempts ended in, and of what became of its first requests.
    pub(super) met: u16,
    pub(super) status: Option<Status>,
    /// An attempt was started and has not ended.
    pub(super) open: bool,
    pub(super) standing: Standing,
    mark: ChangeMark,
}

const _: () = assert!(size_of::<AgentState>() == 48);

/// How an agent stands, in one byte.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Standing(u8);

impl Standing {
    /// Arrived and not yet retired.
    pub(super) const PLANNED: u8 = 1;
    /// Bound, over a connection that is gone.
    pub(super) const CUT_OFF: u8 = 2;

    /// Whether that is new.
    pub(super) fn begin(&mut self, what: u8) -> bool {
        let new = self.0 & what == 0;
        self.0 |= what;
        new
    }

    /// Whether it was so.
    pub(super) fn end(&mut self, what: u8) -> bool {
        let was = self.0 & what != 0;
        self.0 &= !what;
        was
    }
}

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
    reason: PhraseId,
    mark: ChangeMark,
}

const _: () = assert!(size_of::<LoopState>() == 40);
const _: () = assert!(size_of::<AgentRow>() == 64);

/// The agents of one worker's stripe.
#[derive(Clone, Debug)]
pub(super) struct AgentTable {
    rows: Vec<AgentState>,
    loops: Vec<LoopState>,
    changes: Changes,
    loop_changes: Changes,
    /// Rows of the interval that was cut last which changed again before they were handed over, as
    /// they stood at the cut.
    early: Vec<Early>,
    /// The same for loops; and loops of that interval which ended in it, so that their slot belongs
    /// to the same agent's next loop by now.
    early_loops: Vec<LoopState>,
    /// Loops of the current interval whose slot the same agent's next loop has taken over.
    replaced: Vec<LoopState>,
    worker: u32,
    workers: u32,
}

/// A row as it stood when its interval was cut.
#[derive(Clone, Debug)]
struct Early {
    index: u32,
    state: AgentState,
    loop_kind: Option<LoopKind>,
}

/// A loop as the agent reports its beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoopSeen {
    pub(super) refusal: Refusal,
    pub(super) first_seen: Time,
    pub(super) attempts: u32,
}

impl AgentTable {
    /// Rows for the agents `worker`, `worker + workers`, … below `agents`.
    pub(super) fn new(agents: usize, worker: u32, workers: u32) -> Self {
        let workers = workers.max(1);
        let rows = agents.saturating_sub(worker as usize).div_ceil(workers as usize);
        AgentTable {
            rows: vec![AgentState::default(); rows],
            loops: Vec::new(),
            changes: Changes::with_capacity(rows),
            loop_changes: Changes::with_capacity(0),
            early: Vec::new(),
            early_loops: Vec::new(),
            replaced: Vec::new(),
            worker,
            workers,
        }
    }

    /// The row of an agent, which is handed over after the interval's end.
    ///
    /// # Panics
    /// For an agent that is not of this stripe: its numbers would be added to another agent's.
    pub(super) fn touch(&mut self, agent: AgentId, trunk: TrunkId) -> &mut AgentState {
        assert_eq!(agent.0 % self.workers, self.worker, "agent {agent} belongs to another worker");
        let index = agent.0 / self.workers;
        let row = &mut self.rows[index as usize];
        if self.changes.touch(index, &mut row.mark) == Touched::Leaving {
            let loop_kind = loop_kind(&self.loops, row.slot);
            self.early.push(Early { index, state: row.clone(), loop_kind });
        }
        row.trunk = trunk;
        row
    }

    /// Ends the bindings whose lifetime was over by `end`; whose they were, and when each ended.
    pub(super) fn take_lapsed(&mut self, end: Time) -> Vec<(TrunkId, Time)> {
        let lapsed = self.rows.iter().enumerate().filter(|(_, row)| row.until.is_some_and(|until| until <= end));
        let lapsed: Vec<_> = lapsed.map(|(index, row)| (saturating_u32(index), row.trunk)).collect();
        let take = |(index, trunk)| {
            let row = self.touch(AgentId(index * self.workers + self.worker), trunk);
            let until = row.until.take();
            row.last_change = until;
            until.map(|until| (trunk, until))
        };
        lapsed.into_iter().filter_map(take).collect()
    }

    /// Begins a loop, whose latest attempt is the one that ended last. `true`: the agent's first in
    /// the run.
    pub(super) fn loop_started(&mut self, agent: AgentId, trunk: TrunkId, seen: LoopSeen) -> bool {
        let LoopSeen { refusal, first_seen, attempts } = seen;
        let next = saturating_u32(self.loops.len());
        let row = self.touch(agent, trunk);
        let last_seen = row.last_change.map_or(first_seen, |at| at.max(first_seen));
        let reason = row.last_reason;
        let first = row.slot == NO_LOOP;
        if first {
            row.slot = next;
        }
        let slot = row.slot;
        let (agent, number, mark) = (agent.0, 0, ChangeMark::Clean);
        let mut state = LoopState { first_seen, last_seen, agent, attempts, trunk, number, refusal, reason, mark };
        if first {
            self.loop_changes.touch(slot, &mut state.mark);
            self.loops.push(state);
        } else {
            self.replace_loop(slot, state);
        }
        first
    }

    fn replace_loop(&mut self, slot: u32, next: LoopState) {
        let current = &mut self.loops[slot as usize];
        let touched = self.loop_changes.touch(slot, &mut current.mark);
        let (number, mark) = (current.number.saturating_add(1), current.mark);
        let before = std::mem::replace(current, LoopState { number, mark, ..next });
        match touched {
            Touched::First => {}
            Touched::Again => self.replaced.push(before),
            Touched::Leaving => self.early_loops.push(before),
        }
    }

    /// One attempt more in the agent's loop: the one that ended last. `false`: the agent is in no
    /// loop.
    pub(super) fn loop_grew(&mut self, agent: AgentId, trunk: TrunkId) -> bool {
        let row = self.touch(agent, trunk);
        let (slot, at, reason) = (row.slot, row.last_change, row.last_reason);
        let Some(state) = self.loops.get_mut(slot as usize) else { return false };
        if self.loop_changes.touch(slot, &mut state.mark) == Touched::Leaving {
            self.early_loops.push(state.clone());
        }
        state.attempts = state.attempts.saturating_add(1);
        state.last_seen = at.map_or(state.last_seen, |at| at.max(state.last_seen));
        state.reason = reason;
        true
    }

    /// The interval ends: what changed in it is to be handed over. Returns how many rows and loops
    /// there are.
    ///
    /// # Panics
    /// When not all of the interval before was handed over.
    pub(super) fn cut(&mut self) -> (usize, usize) {
        assert!(self.have_left(), "rows of the interval before have not been handed over");
        std::mem::swap(&mut self.early_loops, &mut self.replaced);
        let (rows, loops) = (self.changes.cut(), self.loop_changes.cut());
        (rows, loops + self.early_loops.len())
    }

    /// Whether all of the interval that was cut last has been handed over.
    pub(super) fn have_left(&self) -> bool {
        self.early.is_empty()
            && self.early_loops.is_empty()
            && self.changes.have_left()
            && self.loop_changes.have_left()
    }

    /// Hands over as many of the rows that changed in the interval that was cut last, as they were
    /// then, times relative to `start`.
    pub(super) fn hand_over_rows(&mut self, limit: usize, reasons: &Phrases, start: Time, rows: &mut Vec<AgentRow>) {
        let (worker, workers) = (self.worker, self.workers);
        let agent = |index: u32| index * workers + worker;
        for Early { index, state, loop_kind } in self.early.drain(..) {
            rows.push(state.row(agent(index), loop_kind, reasons, start));
        }
        for _ in 0..limit {
            let Some(index) = self.changes.next() else { return };
            let state = &mut self.rows[index as usize];
            if self.changes.leaves(&mut state.mark) {
                rows.push(state.row(agent(index), loop_kind(&self.loops, state.slot), reasons, start));
            }
        }
    }

    /// The same for loops that began or grew.
    pub(super) fn hand_over_loops(&mut self, limit: usize, reasons: &Phrases, start: Time, rows: &mut Vec<LoopRow>) {
        rows.extend(self.early_loops.drain(..).map(|state| state.row(reasons, start)));
        for _ in 0..limit {
            let Some(slot) = self.loop_changes.next() else { return };
            let state = &mut self.loops[slot as usize];
            if self.loop_changes.leaves(&mut state.mark) {
                rows.push(state.row(reasons, start));
            }
        }
    }
}

impl AgentState {
    fn row(&self, agent: u32, loop_kind: Option<LoopKind>, reasons: &Phrases, start: Time) -> AgentRow {
        AgentRow {
            agent,
            trunk: self.trunk.0,
            status: self.status,
            attempts: self.attempts,
            registered: self.registered,
            last_code: self.last_code,
            last_reason: reasons.text(self.last_reason),
            loop_kind,
            first_registered_ns: self.first_registered.map(|at| at.nanos_since(start)),
            last_change_ns: self.last_change.map_or(0, |at| at.nanos_since(start)),
            open: self.open,
            met: self.met,
        }
    }
}

impl LoopState {
    fn row(&self, reasons: &Phrases, start: Time) -> LoopRow {
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
            last_reason: PhraseId::NONE,
            trunk: TrunkId(0),
            met: 0,
            status: None,
            open: false,
            standing: Standing::default(),
            mark: ChangeMark::Clean,
        }
    }
}

fn loop_kind(loops: &[LoopState], slot: u32) -> Option<LoopKind> {
    loops.get(slot as usize).map(|state| state.refusal.kind)
}

/// No position in the list of loops: an agent that never looped.
const NO_LOOP: u32 = u32::MAX;
