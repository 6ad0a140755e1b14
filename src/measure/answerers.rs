//! The table of who answered: a row per distinct marks and kind of answer, bounded like the rest of
//! the evidence. Every refusal is counted in it, and a sample of the acceptances (`agent::answer`).

use super::answerer::AnswerForm;
use super::event::AttemptEnd;
use super::phrases::{PhraseId, Phrases};
use super::rows::{RowTable, Sightings};
use crate::vocab::Class;
use serde::{Deserialize, Serialize};

/// Answers of one kind with the same marks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AnswererRow {
    pub trunk: u16,
    pub software: String,
    pub form: AnswerForm,
    /// What the answer was; `registered` for a sample of the acceptances.
    pub class: Class,
    /// Of a refusal: `refusal_group`; else 0.
    pub group: u16,
    /// Whether the challenge that the attempt answered had the same marks; `None`: it was not
    /// looked at.
    pub as_challenged: Option<bool>,
    pub seen: Sightings,
}

impl AnswererRow {
    pub(super) fn is_like(&self, other: &AnswererRow) -> bool {
        (self.trunk, self.form, self.class, self.group, self.as_challenged)
            == (other.trunk, other.form, other.class, other.group, other.as_challenged)
            && self.software == other.software
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct AnswererKey {
    trunk: u16,
    software: PhraseId,
    form: AnswerForm,
    class: Class,
    group: u16,
    as_challenged: Option<bool>,
}

/// The table of one worker.
#[derive(Clone, Debug)]
pub(super) struct Answerers {
    rows: RowTable<AnswererKey>,
    software: Phrases,
}

impl Answerers {
    pub(super) fn new() -> Self {
        Answerers { rows: RowTable::new(), software: Phrases::new() }
    }

    /// An attempt of `agent` ended with an answer; `at_ns` since the run's start.
    pub(super) fn saw(&mut self, trunk: u16, agent: u32, end: &AttemptEnd<'_>, class: Class, group: u16, at_ns: u64) {
        let Some(marks) = end.clues.marks else { return };
        let key = AnswererKey {
            trunk,
            software: self.software.id(marks.software),
            form: marks.form,
            class,
            group,
            as_challenged: end.clues.as_challenged,
        };
        if let Some(row) = self.rows.row(key) {
            row.add(agent, at_ns);
        }
    }

    pub(super) fn take(&mut self) -> Vec<AnswererRow> {
        let software = &self.software;
        self.rows.take(|key, kept| AnswererRow {
            trunk: key.trunk,
            software: software.text(key.software).to_string(),
            form: key.form,
            class: key.class,
            group: key.group,
            as_challenged: key.as_challenged,
            seen: kept.sightings(),
        })
    }
}
