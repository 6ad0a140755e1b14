//! A limit on the rate that counts requests: each challenge takes its part, so that credentials are
//! refused in the same words as first requests are.

use super::super::draft::{Draft, SOME};
use super::super::nodes;
use super::Case;
use super::limits::may_be_a_limit;
use crate::vocab::{Confidence, Severity};

impl Case<'_, '_> {
    /// Whether the same words refuse first requests and answers to challenges, as many of both as
    /// leave no doubt: what refuses them does not look at what they carry.
    pub(super) fn refuses_any_request(&self) -> bool {
        let sibling = nodes::sibling(self.view, self.group);
        may_be_a_limit(self.group.class)
            && sibling.is_some_and(|other| other.seen.count.min(self.group.seen.count) >= SOME)
    }

    /// A limit that nothing here excludes; said once, with the larger of the two groups.
    pub(super) fn maybe_counts_requests(&self) -> Option<Draft> {
        let sibling = nodes::sibling(self.view, self.group)?;
        let ours = (self.group.seen.count, self.group.place);
        if (sibling.seen.count, sibling.place) > ours {
            return None;
        }
        let mut draft = self.draft("limit.rate", Severity::Critical);
        draft.confidence = Confidence::Open;
        draft.summary = format!(
            "{} comes before any challenge and after credentials alike: so many requests a second may be all that is let in, challenges among them",
            self.answer()
        );
        draft.evidence.push(format!(
            "{} first requests were refused so, and {} that came with credentials: whoever was challenged came too late a moment later",
            self.group.seen.count.max(sibling.seen.count),
            self.group.seen.count.min(sibling.seen.count)
        ));
        draft.advice.push(
            "`regstorm limits --only rate` raises the rate from below: what it accepts when few ask tells a limit from a failure".to_owned(),
        );
        Some(draft)
    }
}
