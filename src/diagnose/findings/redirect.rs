//! Where refusals that are redirections lead, beside the finding that tells of the refusals.

use super::draft::Draft;
use super::view::View;
use super::wording::counted;

/// Names what was not followed, and why.
pub(super) fn explain(view: &View<'_>, drafts: &mut [Draft]) {
    let is_of = |draft: &&mut Draft| draft.id == "refused" && draft.summary.starts_with("30");
    let Some(draft) = drafts.iter_mut().find(is_of) else { return };
    for row in view.routing().filter(|row| row.word.stays()) {
        let times = counted(row.count, "answer");
        draft.evidence.push(format!("{times} {}: {}", row.word.as_str(), row.text));
    }
}
