//! Servers' own counts for `run.json`, and the sentence about them.

use super::text::thousands;
use crate::diagnose::truth::{TruthAccount, accounts};
use crate::record::Results;
use serde::Serialize;
use std::collections::BTreeMap;

/// One server as it stands in `run.json`.
#[derive(Serialize)]
pub(super) struct TruthView<'a> {
    kind: &'a str,
    address: &'a str,
    /// `None`: all trunks together.
    trunk_id: Option<&'a str>,
    every_s: f64,
    sweep_s: f64,
    /// What it held before the first phone; `None`: not known.
    before: Option<u64>,
    samples: usize,
    /// Answers without a count, and the last reason.
    unknown: usize,
    why_unknown: Option<&'a str>,
    peak: Option<u64>,
    last: Option<LastTold>,
    /// Answers that could be held against our own count, and of those the ones with fewer than we
    /// held, and with more than there may be.
    compared: usize,
    below: usize,
    above: usize,
    largest_below: u64,
    largest_above: u64,
    /// Events about single registrations, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    heard: BTreeMap<&'a str, u64>,
}

#[derive(Serialize)]
struct LastTold {
    at: String,
    count: u64,
    /// The fewest and the most of ours about that moment.
    ours: Option<(u64, u64)>,
}

/// Every server that was asked.
pub(super) fn views(results: &Results) -> Vec<TruthView<'_>> {
    accounts(results).into_iter().map(|account| view(results, &account)).collect()
}

fn view<'a>(results: &'a Results, account: &TruthAccount<'a>) -> TruthView<'a> {
    let TruthAccount { server, samples, compared } = account;
    let mut heard = BTreeMap::new();
    for (name, count) in samples.iter().flat_map(|sample| &sample.heard) {
        *heard.entry(name.as_str()).or_default() += count;
    }
    let last = samples.iter().rev().find_map(|sample| {
        let ours = sample.ours.map(|ours| (ours.least, ours.most));
        Some(LastTold { at: results.header.utc(sample.asked_ns), count: sample.count?, ours })
    });
    let unknown = samples.iter().rev().find_map(|sample| sample.unknown.as_deref());
    TruthView {
        kind: &server.kind,
        address: &server.address,
        trunk_id: trunk_id(results, server.trunk),
        every_s: server.every_ns as f64 / 1e9,
        sweep_s: server.sweep_ns as f64 / 1e9,
        before: server.before,
        samples: samples.len(),
        unknown: samples.len() - account.known(),
        why_unknown: unknown.or(server.unknown.as_deref()),
        peak: account.peak(),
        last,
        compared: compared.len(),
        below: compared.iter().filter(|one| one.missing() > 0).count(),
        above: compared.iter().filter(|one| one.surplus() > 0).count(),
        largest_below: compared.iter().map(|one| one.missing()).max().unwrap_or(0),
        largest_above: compared.iter().map(|one| one.surplus()).max().unwrap_or(0),
        heard,
    }
}

fn trunk_id(results: &Results, trunk: Option<u16>) -> Option<&str> {
    results.header.trunks.get(usize::from(trunk?)).map(|trunk| trunk.id.as_str())
}

/// What the servers' counts come to, one sentence for each; nothing where nobody was asked.
pub(super) fn said(results: &Results) -> String {
    accounts(results).iter().map(|account| format!(" {}", sentence(results, account))).collect()
}

fn sentence(results: &Results, account: &TruthAccount<'_>) -> String {
    let of = trunk_id(results, account.server.trunk).map_or(String::new(), |id| format!(" of {id}"));
    let Some(peak) = account.peak() else {
        return format!("The server{of} never said how many it holds.");
    };
    let before = match account.server.before {
        Some(0) => ", and none before the run".to_owned(),
        Some(before) => format!(", {} of them before the run", thousands(before)),
        None => String::new(),
    };
    let unknown = account.samples.len() - account.known();
    let unknown = if unknown > 0 {
        format!("; {unknown} of {} times it did not say", account.samples.len())
    } else {
        String::new()
    };
    let apart = account.compared.iter().filter(|one| one.missing() > 0 || one.surplus() > 0).count();
    let agreement = match (account.compared.len(), apart) {
        (0, _) => String::new(),
        (all, 0) => format!("; its count agreed with ours all {} times", thousands(all as u64)),
        (all, apart) => format!(
            "; {} of {} times its count did not agree with ours",
            thousands(apart as u64),
            thousands(all as u64)
        ),
    };
    format!("By its own count the server{of} held {} at most{before}{agreement}{unknown}.", thousands(peak))
}
