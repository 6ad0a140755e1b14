//! Why it failed: recorded evidence in, findings out, as pure functions.
//!
//! Each file holds one family of causes. A detector states what it saw, which rival explanations an observation ruled
//! out, and how sure that makes it (see [`Confidence`]); where two causes fit the evidence equally, both are found, and
//! both say `open`. The generator's own trouble comes first: what it got wrong must not be held against a server.

mod cost;
mod draft;
mod pattern;
mod refusal;
mod view;

pub use cost::Cost;
pub use draft::{Confidence, Draft, Severity};
pub use view::{Group, Refused, Tick, View};

use super::verdict::Finding;
use crate::record::Results;

/// Everything that can be said about what went wrong in a run, most severe first.
pub fn findings(results: &Results) -> Vec<Finding> {
    let mut drafts: Vec<Draft> = Vec::new();
    for trunk in 0..results.header.trunks.len() {
        drafts.extend(of_trunk(&View::new(results, trunk as u16)));
    }
    drafts.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then(b.attempts.cmp(&a.attempts)).then(a.id.cmp(b.id)).then(a.trunk.cmp(&b.trunk))
    });
    drafts.into_iter().map(|draft| draft.finish(&results.header)).collect()
}

/// The findings of one trunk.
fn of_trunk(view: &View<'_>) -> Vec<Draft> {
    refusal::find(view, &[])
}
