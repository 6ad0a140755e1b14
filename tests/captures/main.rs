//! Registrations out of captures and logs, as results: what the field sends us when regstorm never
//! ran.
//!
//! The captures are made by hand, layer by layer, but one that `tshark` takes of a run. It is in
//! every development environment of the project; `tests/all` installs it.

mod exchanges;
mod logs;
mod packets;
mod phones;
mod reading;
#[path = "../support/mod.rs"]
mod support;
mod taken;
mod traces;
mod typed;
mod web;
mod wrapped;

use packets::{Frames, Link};
use regstorm::observe::{Observation, of_capture};
use regstorm::record::Results;
use regstorm::vocab::Status;

/// Reads frames of Ethernet.
#[track_caller]
fn observe(frames: &Frames) -> Observation {
    let file = packets::pcap(Link::Ethernet.number(), frames, false, true);
    of_capture(file.as_slice(), "capture").expect("a capture with registrations")
}

/// The attempts that ended so, by name of the status, without those that nothing ended in.
fn statuses(results: &Results) -> Vec<(&'static str, u64)> {
    let count = |status: Status| results.totals.sums.status[status.index()];
    Status::ALL.into_iter().map(|status| (status.as_str(), count(status))).filter(|(_, count)| *count > 0).collect()
}

/// The loops: user, kind, attempts.
fn loops(results: &Results) -> Vec<(&str, &'static str, u32)> {
    let row = |row: &regstorm::record::LoopResult| (row.agent as usize, row.kind.as_str(), row.attempts);
    results.loops.iter().map(row).map(|(agent, kind, n)| (results.header.users[agent].as_str(), kind, n)).collect()
}
