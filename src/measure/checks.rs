//! What agents ask besides registering: whether their binding is there (audits), and whether the
//! registrar answers at all (OPTIONS). One row per trunk and outcome.

use super::rows::{MAX_ROWS, Sightings, wider};
use crate::vocab::Time;
use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// A REGISTER without Contact: which bindings are there (RFC 3261 §10.2.3).
    Audit,
    /// OPTIONS.
    Qualify,
}

/// What came of it. The order is that of the record: append, and raise its version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// OPTIONS: answered, whatever the code.
    Answered,
    /// Our binding is listed, with the time that we count on.
    Held,
    /// Our binding is listed, with less time than we count on.
    Shorter,
    /// The agent counts as registered, and its binding is not listed.
    Missing,
    /// The list was refused.
    Refused,
    /// No final answer within Timer F.
    Unanswered,
    /// It could not be sent or delivered.
    Undelivered,
    /// The agent's binding changed meanwhile, so that the answer says nothing.
    Unclear,
}

impl CheckOutcome {
    pub const ALL: [CheckOutcome; 8] = [
        CheckOutcome::Answered,
        CheckOutcome::Held,
        CheckOutcome::Shorter,
        CheckOutcome::Missing,
        CheckOutcome::Refused,
        CheckOutcome::Unanswered,
        CheckOutcome::Undelivered,
        CheckOutcome::Unclear,
    ];

    /// The name in every file.
    pub const fn as_str(self) -> &'static str {
        match self {
            CheckOutcome::Answered => "answered",
            CheckOutcome::Held => "held",
            CheckOutcome::Shorter => "shorter",
            CheckOutcome::Missing => "missing",
            CheckOutcome::Refused => "refused",
            CheckOutcome::Unanswered => "unanswered",
            CheckOutcome::Undelivered => "undelivered",
            CheckOutcome::Unclear => "unclear",
        }
    }
}

/// The end of one check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckEnd {
    pub kind: CheckKind,
    pub outcome: CheckOutcome,
    /// 0: no final answer.
    pub code: u16,
    /// When its first request left.
    pub sent: Time,
    pub at: Time,
    /// What is left of the lifetime as the agent counts, and as the answer says, seconds.
    pub left_s: u32,
    pub told_s: Option<u32>,
    /// Bindings that the answer lists.
    pub listed: u16,
}

/// Checks that ended alike.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckRow {
    pub trunk: u16,
    pub kind: CheckKind,
    pub outcome: CheckOutcome,
    /// 0: no final answer.
    pub code: u16,
    pub seen: Sightings,
    /// The shortest and the longest time that was left, as agents count it, seconds.
    pub left_s: (u32, u32),
    /// The same as the answers say.
    pub told_s: Option<(u32, u32)>,
    /// The most bindings that one answer listed.
    pub listed: u16,
}

/// Counts the end of a check; `start` is the run's.
pub(super) fn count(rows: &mut Vec<CheckRow>, trunk: u16, agent: u32, start: Time, end: &CheckEnd) {
    let at = end.at.nanos_since(start);
    let CheckEnd { kind, outcome, code, left_s, listed, .. } = *end;
    let seen = Sightings::once(agent, at);
    let told_s = end.told_s.map(|told| (told, told));
    merge(rows, &CheckRow { trunk, kind, outcome, code, seen, left_s: (left_s, left_s), told_s, listed });
}

/// Adds what another worker, or a later interval, saw.
pub(super) fn merge(rows: &mut Vec<CheckRow>, other: &CheckRow) {
    let key = |row: &CheckRow| (row.trunk, row.kind, row.outcome, row.code);
    match rows.iter().position(|row| key(row) == key(other)) {
        Some(place) => {
            let mine = &mut rows[place];
            mine.seen.merge(&other.seen);
            mine.left_s = (mine.left_s.0.min(other.left_s.0), mine.left_s.1.max(other.left_s.1));
            mine.told_s = wider(mine.told_s, other.told_s);
            mine.listed = mine.listed.max(other.listed);
        }
        None if rows.len() < MAX_ROWS => rows.push(other.clone()),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::EXAMPLES;
    use super::*;

    #[test]
    fn checks_that_ended_alike_are_one_row() {
        let mut rows = Vec::new();
        for (agent, told) in (0u32..10).zip([50, 40, 60].into_iter().cycle()) {
            let (kind, outcome) = (CheckKind::Audit, CheckOutcome::Held);
            let (sent, at, told_s) = (Time::from_secs(1), Time::from_secs(2), Some(told));
            let end = CheckEnd { kind, outcome, code: 200, sent, at, left_s: 60, told_s, listed: 2 };
            count(&mut rows, 1, agent, Time::from_secs(1), &end);
            let unanswered = CheckEnd { outcome: CheckOutcome::Unanswered, code: 0, told_s: None, ..end };
            count(&mut rows, 1, agent, Time::from_secs(1), &unanswered);
        }
        let mut all = rows.clone();
        rows.iter().for_each(|row| merge(&mut all, row));
        assert_eq!((all.len(), all[0].seen.count, all[0].told_s, all[1].told_s), (2, 20, Some((40, 60)), None));
        assert_eq!((all[0].seen.first_ns, all[0].seen.agents.len()), (1_000_000_000, EXAMPLES));
    }
}
