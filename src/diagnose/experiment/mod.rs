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
pub use change::{Answer, Change, Trial, TrialChallenge, TrialOutcome, TrialSubject, Used};
pub use conclusion::{ExperimentConclusion, OpenCause};

use crate::vocab::Place;
use candidates::candidates;
use conclusion::{Circumstances, open_causes};
use std::collections::VecDeque;

/// After so many attempts nothing new is tried: an account has to bear them. To confirm what was
/// found takes up to ten more.
pub const SEARCH_TRIALS: usize = 40;

/// What an investigation wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NextMove {
    Try(Trial),
    Conclude(ExperimentConclusion),
}

/// One attempt and what came of it.
#[derive(Clone, PartialEq, Debug)]
pub struct TrialRow {
    pub trial: Trial,
    pub observation: TrialOutcome,
}

/// The experiments on one agent.
#[derive(Clone, Debug)]
pub struct Investigation {
    rows: Vec<TrialRow>,
    skipped: Vec<Skipped>,
    queue: VecDeque<Change>,
    phase: InvestigationPhase,
    /// The smallest change so far that helped, and helped again.
    found: Option<Change>,
    evidence: Circumstances,
}

#[derive(Clone, Debug)]
enum InvestigationPhase {
    /// The next change in the queue; when it is empty, the unchanged attempt once more.
    Search,
    /// This one helped; the unchanged attempt should be refused again.
    Doubt(Change),
    /// It was; the change should help again.
    Repeat(Change),
    Done(ExperimentConclusion),
}

impl Investigation {
    /// Begins with the outcome of the unchanged attempt.
    pub fn new(subject: &TrialSubject, first: TrialOutcome) -> Self {
        let (queue, skipped) = candidates(subject, &first);
        let phase = match first.is_granted() {
            true => InvestigationPhase::Done(ExperimentConclusion::Healthy { agents: 1 }),
            false => InvestigationPhase::Search,
        };
        let rows = vec![TrialRow { trial: Trial::Baseline, observation: first }];
        let (queue, evidence) = (queue.into(), Circumstances::default());
        Investigation { rows, skipped, queue, phase, found: None, evidence }
    }

    /// The attempt to make now, or the conclusion.
    pub fn next(&self) -> NextMove {
        match &self.phase {
            InvestigationPhase::Search => match self.queue.front() {
                Some(change) => NextMove::Try(Trial::Changed(change.clone())),
                None => NextMove::Try(Trial::Baseline),
            },
            InvestigationPhase::Doubt(_) => NextMove::Try(Trial::Baseline),
            InvestigationPhase::Repeat(change) => NextMove::Try(Trial::Changed(change.clone())),
            InvestigationPhase::Done(conclusion) => NextMove::Conclude(conclusion.clone()),
        }
    }

    /// Takes what came of the attempt that [`next`](Self::next) asked for.
    pub fn record(&mut self, observation: TrialOutcome) {
        let NextMove::Try(trial) = self.next() else { return };
        let granted = observation.is_granted();
        self.rows.push(TrialRow { trial, observation });
        let phase = std::mem::replace(&mut self.phase, InvestigationPhase::Search);
        self.phase = match phase {
            InvestigationPhase::Search => match self.queue.pop_front() {
                Some(change) => self.tried(change),
                None => self.closed(granted),
            },
            InvestigationPhase::Doubt(_) if granted => {
                InvestigationPhase::Done(ExperimentConclusion::Open(vec![OpenCause::Intermittent]))
            }
            InvestigationPhase::Doubt(change) => InvestigationPhase::Repeat(change),
            InvestigationPhase::Repeat(change) if granted => {
                // From here on only its parts matter.
                self.queue = change.parts().into_iter().filter(|part| !self.was_tried(part)).collect();
                self.found = Some(change);
                InvestigationPhase::Search
            }
            InvestigationPhase::Repeat(_) => {
                self.evidence.unrepeated = true;
                InvestigationPhase::Search
            }
            InvestigationPhase::Done(conclusion) => InvestigationPhase::Done(conclusion),
        };
        self.bound();
    }

    /// Every attempt so far, the first one unchanged.
    pub fn rows(&self) -> &[TrialRow] {
        &self.rows
    }

    /// What is not tried, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// A change was tried for the first time; its row is the last.
    fn tried(&mut self, change: Change) -> InvestigationPhase {
        let [first, .., last] = self.rows.as_slice() else { return InvestigationPhase::Search };
        let (first, last) = (&first.observation, &last.observation);
        if change == Change::WrongPassword {
            let credentials = matches!(last.code(), Some(401 | 403 | 407)) && last.place == Place::AfterCredentials;
            self.evidence.password_checked = credentials && last.code() != first.code();
            return InvestigationPhase::Search;
        }
        if change.is_control() {
            self.evidence.control = Some(last.is_granted());
            return InvestigationPhase::Search;
        }
        if last.is_granted() {
            return InvestigationPhase::Doubt(change);
        }
        self.evidence.progressed |= last.is_beyond(first);
        // What never left, from an address that is not ours for instance, excludes nothing.
        if !matches!(last.answer, Answer::Transport(_)) {
            self.evidence.vain.push(change.name());
        }
        InvestigationPhase::Search
    }

    /// The last unchanged attempt decides.
    fn closed(&mut self, granted: bool) -> InvestigationPhase {
        InvestigationPhase::Done(match self.found.take() {
            _ if granted => ExperimentConclusion::Open(vec![OpenCause::Intermittent]),
            Some(change) => ExperimentConclusion::Explained(change),
            None => ExperimentConclusion::Open(open_causes(&self.rows[0].observation, &self.evidence)),
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
