//! Controlled experiments on one failing agent, as data: what to try next, what it proved, what
//! stays open.
//!
//! An [`Investigation`] begins with how the unchanged attempt ended. It then asks for one [`Trial`]
//! after another, each with one [`Change`], and is told what came of it. A change that helps must
//! help again after the unchanged attempt was refused in between (A-B-A); then its parts are tried,
//! so that the conclusion names the smallest. At the end the unchanged attempt is made once more:
//! if it is granted by then, the cause has gone by itself and no change is blamed.
//!
//! Nothing here sends anything, and whoever carries out a trial removes the binding it made before
//! the next one.

mod candidates;
mod change;
mod conclusion;

pub use candidates::Skipped;
pub use change::{Answer, Change, Observation, Offer, Subject, Trial, Used};
pub use conclusion::{Cause, Conclusion};

use candidates::candidates;
use conclusion::{Evidence, open_causes};
use std::collections::VecDeque;

/// After so many attempts nothing new is tried: an account has to bear them. To confirm what was
/// found takes up to ten more.
pub const SEARCH_TRIALS: usize = 40;

/// What an investigation wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    Try(Trial),
    Conclude(Conclusion),
}

/// One attempt and what came of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub trial: Trial,
    pub observation: Observation,
}

/// The experiments on one agent.
#[derive(Clone, Debug)]
pub struct Investigation {
    rows: Vec<Row>,
    skipped: Vec<Skipped>,
    queue: VecDeque<Change>,
    phase: Phase,
    /// The smallest change so far that helped, and helped again.
    found: Option<Change>,
    evidence: Evidence,
}

#[derive(Clone, Debug)]
enum Phase {
    /// The next change in the queue; when it is empty, the unchanged attempt once more.
    Search,
    /// This one helped; the unchanged attempt should be refused again.
    Doubt(Change),
    /// It was; the change should help again.
    Repeat(Change),
    Done(Conclusion),
}

impl Investigation {
    /// Begins with the outcome of the unchanged attempt.
    pub fn new(subject: &Subject, first: Observation) -> Self {
        let (queue, skipped) = candidates(subject, &first);
        let phase = match first.is_granted() {
            true => Phase::Done(Conclusion::Healthy { agents: 1 }),
            false => Phase::Search,
        };
        let rows = vec![Row { trial: Trial::Baseline, observation: first }];
        let (queue, evidence) = (queue.into(), Evidence::default());
        Investigation { rows, skipped, queue, phase, found: None, evidence }
    }

    /// The attempt to make now, or the conclusion.
    pub fn next(&self) -> Next {
        match &self.phase {
            Phase::Search => match self.queue.front() {
                Some(change) => Next::Try(Trial::Changed(change.clone())),
                None => Next::Try(Trial::Baseline),
            },
            Phase::Doubt(_) => Next::Try(Trial::Baseline),
            Phase::Repeat(change) => Next::Try(Trial::Changed(change.clone())),
            Phase::Done(conclusion) => Next::Conclude(conclusion.clone()),
        }
    }

    /// Takes what came of the attempt that [`next`](Self::next) asked for.
    pub fn record(&mut self, observation: Observation) {
        let Next::Try(trial) = self.next() else { return };
        let granted = observation.is_granted();
        self.rows.push(Row { trial, observation });
        let phase = std::mem::replace(&mut self.phase, Phase::Search);
        self.phase = match phase {
            Phase::Search => match self.queue.pop_front() {
                Some(change) => self.tried(change),
                None => self.closed(granted),
            },
            Phase::Doubt(_) if granted => Phase::Done(Conclusion::Open(vec![Cause::Intermittent])),
            Phase::Doubt(change) => Phase::Repeat(change),
            Phase::Repeat(change) if granted => {
                // From here on only its parts matter.
                self.queue = change.parts().into_iter().filter(|part| !self.was_tried(part)).collect();
                self.found = Some(change);
                Phase::Search
            }
            Phase::Repeat(_) => {
                self.evidence.unrepeated = true;
                Phase::Search
            }
            Phase::Done(conclusion) => Phase::Done(conclusion),
        };
        self.bound();
    }

    /// Every attempt so far, the first one unchanged.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// What is not tried, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// A change was tried for the first time; its row is the last.
    fn tried(&mut self, change: Change) -> Phase {
        let [first, .., last] = self.rows.as_slice() else { return Phase::Search };
        let (first, last) = (&first.observation, &last.observation);
        if change.is_control() {
            self.evidence.control = Some(last.is_granted());
            return Phase::Search;
        }
        if last.is_granted() {
            return Phase::Doubt(change);
        }
        self.evidence.progressed |= last.is_beyond(first);
        // What never left, from an address that is not ours for instance, excludes nothing.
        if !matches!(last.answer, Answer::Transport(_)) {
            self.evidence.vain.push(change.name());
        }
        Phase::Search
    }

    /// The last unchanged attempt decides.
    fn closed(&mut self, granted: bool) -> Phase {
        Phase::Done(match self.found.take() {
            _ if granted => Conclusion::Open(vec![Cause::Intermittent]),
            Some(change) => Conclusion::Explained(change),
            None => Conclusion::Open(open_causes(&self.rows[0].observation, &self.evidence)),
        })
    }

    fn was_tried(&self, change: &Change) -> bool {
        self.rows.iter().any(|row| matches!(&row.trial, Trial::Changed(tried) if tried == change))
    }

    /// Ends the search when it has cost enough; what it found is still confirmed.
    fn bound(&mut self) {
        if self.rows.len() >= SEARCH_TRIALS && self.found.is_none() {
            let reason = format!("{SEARCH_TRIALS} attempts are enough for one account");
            let left = self.queue.drain(..).map(|change| Skipped { change: change.name(), reason: reason.clone() });
            self.skipped.extend(left);
        }
    }
}

#[cfg(test)]
mod tests;
