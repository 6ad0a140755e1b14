//! What agents beside the load had to say, for `run.json`.

use crate::record::{CanaryNote, CanaryTurn, Results};
use serde::Serialize;

/// One change as it stands in `run.json`.
#[derive(Serialize)]
pub(super) struct CanaryView<'a> {
    trunk_id: &'a str,
    /// UTC, RFC 3339.
    at: String,
    user: &'a str,
    turn: CanaryTurn,
    said: &'a str,
}

/// All changes of a run, in order.
pub(super) fn changes(results: &Results) -> Vec<CanaryView<'_>> {
    let view = |note: &'_ CanaryNote| {
        let trunk = results.header.trunks.get(usize::from(note.trunk));
        (trunk.map_or("", |trunk| trunk.id.as_str()), results.header.utc(note.at_ns))
    };
    let views = results.canary_notes.iter().map(|note| {
        let (trunk_id, at) = view(note);
        CanaryView { trunk_id, at, user: &note.user, turn: note.turn, said: &note.said }
    });
    views.collect()
}
