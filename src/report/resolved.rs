//! What names stood for, as asked, and what became of attempts at each address, for `run.json`.
//! Where nobody was asked there is nothing to say.

use crate::measure::{AskedRow, PlaceRow, RoutingRow, RoutingWord};
use crate::record::{Resolution, Results};
use crate::vocab::Status;
use serde::Serialize;
use std::collections::BTreeMap;

/// One look-up as it stands in `run.json`.
#[derive(Serialize)]
pub(super) struct ResolutionView<'a> {
    trunk_id: &'a str,
    /// UTC, RFC 3339: from when on it held.
    at: String,
    #[serde(flatten)]
    found: &'a Resolution,
}

/// All look-ups of a run, in order.
pub(super) fn resolutions(results: &Results) -> Vec<ResolutionView<'_>> {
    let view =
        |found| ResolutionView { trunk_id: trunk_of(results, found), at: results.header.utc(found.at_ns), found };
    results.resolutions.iter().map(view).collect()
}

/// The id of the trunk whose name was looked up.
pub(super) fn trunk_of<'a>(results: &'a Results, found: &Resolution) -> &'a str {
    results.header.trunks.get(usize::from(found.trunk)).map_or("", |trunk| &trunk.id)
}

/// One address of a trunk as it stands in `run.json`.
#[derive(Serialize)]
pub(super) struct AddressView<'a> {
    address: &'a str,
    /// Attempts that ended here, by outcome.
    ended: BTreeMap<&'static str, u64>,
    /// Attempts that went on to another address, by reason.
    went_on: BTreeMap<&'static str, u64>,
    /// From the first request to the answer, of the successes.
    mean_us: Option<u64>,
    max_us: Option<u64>,
}

/// Why attempts went on, in the order of [`PlaceRow::left`].
pub(super) const WENT_ON: [&str; 3] = ["unreachable", "silent", "unavailable"];

/// What answers said of the way requests take, as it stands in `run.json`.
#[derive(Serialize)]
pub(super) struct RoutingView<'a> {
    what: RoutingWord,
    text: &'a str,
    count: u64,
}

/// Path, Service-Route and redirections of a trunk.
pub(super) fn routing(results: &Results, trunk: usize) -> Vec<RoutingView<'_>> {
    let rows = results.evidence.routing.iter().filter(|row| usize::from(row.trunk) == trunk);
    rows.map(|RoutingRow { word, text, count, .. }| RoutingView { what: *word, text, count: *count }).collect()
}

/// Requests from the registrar's side as they stand in `run.json`.
#[derive(Serialize)]
pub(super) struct AskedView<'a> {
    method: &'a str,
    answered: u16,
    count: u64,
    /// How many agents were asked so.
    agents: u64,
}

/// What a trunk's agents were asked.
pub(super) fn asked<'a>(results: &'a Results, trunk: usize) -> Vec<AskedView<'a>> {
    let rows = results.evidence.asked.iter().filter(|row| usize::from(row.trunk) == trunk);
    let view = |row: &'a AskedRow| AskedView {
        method: &row.method,
        answered: row.code,
        count: row.seen.count,
        agents: row.agents,
    };
    rows.map(view).collect()
}

/// The addresses of a trunk whose name was looked up.
pub(super) fn addresses(results: &Results, trunk: usize) -> Vec<AddressView<'_>> {
    let view = |row: &'_ PlaceRow| {
        let ended = Status::ALL.into_iter().map(|status| (status.as_str(), row.ended[status.index()]));
        let went_on = WENT_ON.into_iter().zip(row.left);
        let some = |(_, count): &(&'static str, u64)| *count > 0;
        let registered = row.registered();
        AddressView {
            address: "",
            ended: ended.filter(some).collect(),
            went_on: went_on.filter(some).collect(),
            mean_us: row.took_us.0.checked_div(registered),
            max_us: (registered > 0).then_some(row.took_us.1),
        }
    };
    let rows = results.evidence.places.iter().filter(|row| usize::from(row.trunk) == trunk);
    rows.map(|row| AddressView { address: &row.address, ..view(row) }).collect()
}
