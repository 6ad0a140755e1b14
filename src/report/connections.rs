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
    /// Of those opened: took up an earlier TLS session.
    resumed: u64,
    /// Keep-alives, and those that were not answered.
    pings: u64,
    pongs_missed: u64,
    not_begun: u64,
}

impl ConnectionsView {
    pub(super) fn of(counts: &FlowCounts) -> Self {
        let FlowCounts { opened, open, resumed, pings, pongs_missed, not_begun, .. } = *counts;
        let (failed, lost) = (by_reason(&counts.failed), by_reason(&counts.lost));
        ConnectionsView { opened, failed, lost, open, resumed, pings, pongs_missed, not_begun }
    }
}

fn by_reason(counts: &[u64; FlowLoss::COUNT]) -> BTreeMap<&'static str, u64> {
    let occurred = FlowLoss::ALL.into_iter().map(|why| (why.as_str(), counts[why.index()]));
    occurred.filter(|(_, count)| *count > 0).collect()
}

/// The same in one line, and whose certificates nobody checked, by the run's `features`.
pub(super) fn line(counts: &FlowCounts, features: &[String]) -> String {
    let reasons = |counts: &[u64; FlowLoss::COUNT]| {
        let reasons: Vec<_> =
            by_reason(counts).into_iter().map(|(why, count)| format!("{} {why}", text::thousands(count))).collect();
        if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) }
    };
    if counts.opened + counts.all_failed() == 0 {
        return format!("none, {} keep-alives over datagrams, which nobody answers", text::thousands(counts.pings));
    }
    let opened = text::thousands(counts.opened);
    let mut line = format!("{opened} opened, {} open at the end", text::thousands(counts.open));
    if counts.resumed > 0 {
        line.push_str(&format!(", {} took up a TLS session", text::thousands(counts.resumed)));
    }
    for (what, count, reasons) in [
        ("lost", counts.all_lost(), reasons(&counts.lost)),
        ("could not be opened", counts.all_failed(), reasons(&counts.failed)),
    ] {
        if count > 0 {
            line.push_str(&format!(", {} {what}{reasons}", text::thousands(count)));
        }
    }
    if counts.pings > 0 {
        let (sent, missed) = (text::thousands(counts.pings), text::thousands(counts.pongs_missed));
        line.push_str(&format!(", {sent} keep-alives, {missed} of them not answered"));
    }
    let unchecked: Vec<_> = features.iter().filter_map(|feature| feature.strip_prefix("tls-unchecked=")).collect();
    if !unchecked.is_empty() {
        line.push_str(&format!("; CERTIFICATES NOT CHECKED on {}", unchecked.join(", ")));
    }
    line
}
