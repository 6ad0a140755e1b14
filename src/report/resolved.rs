//! What names stood for, as asked, for `run.json`. Where nobody was asked there is nothing to say.

use crate::record::{Resolution, Results};
use serde::Serialize;

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
