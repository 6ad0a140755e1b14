//! The columns of the table of trunks: what it shows, and what it can be sorted by.

/// What the table can be sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
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
pub(super) const COLUMNS: [(Column, &str, usize); 9] = [
    (Column::Trunk, "trunk", 0),
    (Column::Agents, "agents", 8),
    (Column::Planned, "planned", 9),
    (Column::Registered, "regist.", 9),
    (Column::Open, "open", 7),
    (Column::OkRate, "ok/s", 8),
    (Column::Failed, "failed", 9),
    (Column::FailedShare, "fail %", 9),
    (Column::P99, "p99 ms", 9),
];
impl Column {
    pub fn next(self) -> Column {
        let at = COLUMNS.iter().position(|(column, ..)| *column == self).unwrap_or(0);
        COLUMNS[(at + 1) % COLUMNS.len()].0
    }

    pub(super) fn name(self) -> &'static str {
        COLUMNS.iter().find(|(column, ..)| *column == self).map_or("", |(_, name, _)| name)
    }
}
