//! The four steps of a registration with digest, and the one at which a loop stops.
//!
//! RFC 3261 §22.2: REGISTER, a challenge, REGISTER with Authorization, the final answer. Whoever
//! looks into a capture by hand checks these four; the first that is missing names the layer to
//! look at.

use crate::record::LoopResult;
use crate::vocab::{LoopKind, Place};
use std::fmt;

/// A step of the handshake, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    RegisterOut,
    ChallengeBack,
    AuthorizationOut,
    FinalAnswer,
}

impl Step {
    pub const fn as_str(self) -> &'static str {
        match self {
            Step::RegisterOut => "REGISTER out",
            Step::ChallengeBack => "challenge back",
            Step::AuthorizationOut => "REGISTER with Authorization out",
            Step::FinalAnswer => "final answer",
        }
    }

    /// The first step that the attempts of a loop lack; `None` when all four happened and the
    /// answer was a refusal.
    pub fn missing_in(row: &LoopResult) -> Option<Step> {
        match (row.kind, row.place) {
            (LoopKind::Transport, Place::Unchallenged) => Some(Step::RegisterOut),
            (LoopKind::Unauthorized | LoopKind::Stale, Place::Unchallenged) => Some(Step::AuthorizationOut),
            (_, Place::Unchallenged) => Some(Step::ChallengeBack),
            (_, Place::AfterCredentials) if row.code == 0 => Some(Step::FinalAnswer),
            (_, Place::AfterCredentials) => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loop_stops_at_a_step() {
        use Place::{AfterCredentials, Unchallenged};
        let row = |kind, place, code| LoopResult {
            agent: 0,
            trunk: 0,
            number: 0,
            kind,
            place,
            code,
            reason: String::new(),
            attempts: 3,
            first_seen_ns: 0,
            last_seen_ns: 0,
        };
        for (kind, place, code, missing) in [
            (LoopKind::Forbidden, Unchallenged, 403, Some(Step::ChallengeBack)),
            (LoopKind::ForbiddenAfterAuth, AfterCredentials, 403, None),
            (LoopKind::Unauthorized, Unchallenged, 401, Some(Step::AuthorizationOut)),
            (LoopKind::Unauthorized, AfterCredentials, 401, None),
            (LoopKind::Timeout, Unchallenged, 0, Some(Step::ChallengeBack)),
            (LoopKind::Timeout, AfterCredentials, 0, Some(Step::FinalAnswer)),
            (LoopKind::Timeout, AfterCredentials, 408, None),
            (LoopKind::Transport, Unchallenged, 0, Some(Step::RegisterOut)),
        ] {
            assert_eq!(Step::missing_in(&row(kind, place, code)), missing, "{kind} {place:?} {code}");
        }
    }
}
