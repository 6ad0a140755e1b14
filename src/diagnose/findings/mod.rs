//! Why it failed: recorded evidence in, findings out, as pure functions.
//!
//! Each file holds one family of causes. A detector states what it saw, which rival explanations an observation ruled
//! out, and how sure that makes it (see [`confidence`]); where two causes fit the evidence equally, both are found, and
//! both say `open`. The generator's own trouble comes first: what it got wrong must not be held against a server.
//!
//! `dns` and `tls.certificate` have an explanation and no detector: a name that does not resolve ends a run before its
//! first packet, and with UDP alone there is no certificate.

mod binding;
mod challenge;
mod cost;
mod draft;
mod generator;
mod pattern;
mod refusal;
mod silence;
mod trend;
mod view;
mod wording;

pub use cost::Cost;
pub use draft::{Draft, MANY, SOME, confidence};
pub use view::{Group, Refused, Tick, View};
pub use wording::counted;

use super::finding::Finding;
use crate::record::Results;
use crate::vocab::saturating_u16;

/// Everything that can be said about what went wrong in a run, most severe first.
pub fn findings(results: &Results) -> Vec<Finding> {
    let mut drafts: Vec<Draft> = generator::find(results);
    for trunk in 0..results.header.trunks.len() {
        drafts.extend(of_trunk(&View::new(results, saturating_u16(trunk))));
    }
    // Of findings that weigh the same the detectors' own order stays: of two open ones the likelier is first.
    drafts.sort_by(|a, b| b.severity.cmp(&a.severity).then(b.attempts.cmp(&a.attempts)));
    drafts.into_iter().map(|draft| draft.finish(&results.header)).collect()
}

/// The findings of one trunk.
fn of_trunk(view: &View<'_>) -> Vec<Draft> {
    let (mut drafts, explained) = challenge::find(view);
    drafts.extend(refusal::find(view, &explained));
    drafts.extend(silence::find(view));
    drafts.extend(binding::find(view));
    drafts
}
