//! What became of connections, for the files that say so. Where messages are datagrams there is
//! nothing to say.

use super::text;
use crate::measure::FlowCounts;
use crate::vocab::FlowLoss;
use serde::Serialize;
use std::collections::BTreeMap;

/// Connections over a run, as they stand in `run.json`: opened = lost + open.
#[derive(Serialize)]
pub(super) struct ConnectionsView {
    opened: u64,
    /// By reason.
    failed: BTreeMap<&'static str, u64>,
    /// By reason.
    lost: BTreeMap<&'static str, u64>,
    open: u64,
}

impl ConnectionsView {
    pub(super) fn of(counts: &FlowCounts) -> Self {
        let FlowCounts { opened, open, .. } = *counts;
        ConnectionsView { opened, failed: by_reason(&counts.failed), lost: by_reason(&counts.lost), open }
    }
}

fn by_reason(counts: &[u64; FlowLoss::COUNT]) -> BTreeMap<&'static str, u64> {
    let occurred = FlowLoss::ALL.into_iter().map(|why| (why.as_str(), counts[why.index()]));
    occurred.filter(|(_, count)| *count > 0).collect()
}

/// The same in one line.
pub(super) fn line(counts: &FlowCounts) -> String {
    let reasons = |counts: &[u64; FlowLoss::COUNT]| {
        let reasons: Vec<_> =
            by_reason(counts).into_iter().map(|(why, count)| format!("{} {why}", text::thousands(count))).collect();
        if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) }
    };
    let opened = text::thousands(counts.opened);
    let mut line = format!("{opened} opened, {} open at the end", text::thousands(counts.open));
    for (what, count, reasons) in [
        ("lost", counts.all_lost(), reasons(&counts.lost)),
        ("could not be opened", counts.all_failed(), reasons(&counts.failed)),
    ] {
        if count > 0 {
            line.push_str(&format!(", {} {what}{reasons}", text::thousands(count)));
        }
    }
    line
}
