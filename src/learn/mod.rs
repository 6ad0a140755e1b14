//! A profile out of what phones were seen to do: who registers, when each arrives, leaves or
//! vanishes, and by which habits it refreshes and tries again.
//!
//! ```text
//! observe::Trace ─▶ group ─▶ refresh, retry (habits) ─▶ steps (rows of the replay) ─▶ text
//! ```
//!
//! A habit is learnt for a group of phones: those of one trunk that ask for the same lifetime and
//! name the same product. What a habit foretells is the agents' own doing, of which the replay
//! knows the moment (`again`). Every other attempt begins anew (`arrive`), and a phone that fell
//! silent where its habit would have had it speak vanishes. So the replay stays true where the
//! habits are not, and the share of arrivals says how good they are.
//!
//! What a source cannot show is said in [`Learnt::remarks`] and beside the key concerned. Nothing
//! here does I/O.

mod fit;
mod group;
mod names;
mod refresh;
mod registrar;
mod retry;
mod steps;
mod text;
mod waits;

pub use fit::{FitRow, LearntFit};
pub use group::ClientGroup;
pub use retry::RetryHabit;
pub use text::{LearntFiles, quoted};

use crate::observe::Trace;
use crate::vocab::ReplayAct;
use names::WrittenNames;
use registrar::RegistrarHabits;
use std::time::Duration;
use steps::LearntStep;

/// What was learnt of a source.
#[derive(Debug)]
pub struct Learnt<'t> {
    trace: &'t Trace,
    pub groups: Vec<ClientGroup>,
    names: WrittenNames,
    steps: Vec<LearntStep>,
    registrar: RegistrarHabits,
    /// What a reader has to know before it is used. A sentence each.
    pub remarks: Vec<String>,
}

impl<'t> Learnt<'t> {
    /// Learns from a trace; `anonymise` gives every user another name, the same wherever it stands.
    pub fn of(trace: &'t Trace, anonymise: bool) -> Learnt<'t> {
        let mut groups = group::groups(trace);
        let registrar = RegistrarHabits::of(trace, &mut groups);
        let names = WrittenNames::of(trace, &groups, anonymise);
        let mut steps: Vec<LearntStep> = groups.iter().flat_map(|group| steps::steps(trace, group)).collect();
        steps.sort_by_key(|step| (step.at_ns, step.phone));
        let mut remarks = trace.remarks.clone();
        remarks.extend(registrar.remarks(trace));
        remarks.extend(names.remarks.iter().cloned());
        Learnt { trace, groups, names, steps, registrar, remarks }
    }

    /// How many rows of the replay do so.
    pub fn rows(&self, act: ReplayAct) -> usize {
        self.steps.iter().filter(|step| step.act == act).count()
    }

    /// Attempts that were seen, and those of them that the habits explain.
    pub fn explained(&self) -> (usize, usize) {
        let attempts = group::attempts(self.trace);
        (attempts, attempts.saturating_sub(self.rows(ReplayAct::Arrive)))
    }

    pub fn lasts(&self) -> Duration {
        Duration::from_nanos(self.trace.lasts_ns)
    }
}
