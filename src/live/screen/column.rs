//! The columns of the table of trunks: what it shows, and what it can be sorted by.

/// What the table can be sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrunkColumn {
    /// In the order of the profile.
    Trunk,
    Agents,
    Planned,
    Registered,
    Open,
    OkRate,
    Failed,
    FailedShare,
    P99,
}

/// Each with its heading and its cells; the first takes what the others leave.
pub(super) const COLUMNS: [(TrunkColumn, &str, usize); 9] = [
    (TrunkColumn::Trunk, "trunk", 0),
    (TrunkColumn::Agents, "agents", 8),
    (TrunkColumn::Planned, "planned", 9),
    (TrunkColumn::Registered, "regist.", 9),
    (TrunkColumn::Open, "open", 7),
    (TrunkColumn::OkRate, "ok/s", 8),
    (TrunkColumn::Failed, "failed", 9),
    (TrunkColumn::FailedShare, "fail %", 9),
    (TrunkColumn::P99, "p99 ms", 9),
];
impl TrunkColumn {
    pub fn next(self) -> TrunkColumn {
        let at = COLUMNS.iter().position(|(column, ..)| *column == self).unwrap_or(0);
        COLUMNS[(at + 1) % COLUMNS.len()].0
    }

    pub(super) fn name(self) -> &'static str {
        COLUMNS.iter().find(|(column, ..)| *column == self).map_or("", |(_, name, _)| name)
    }
}
