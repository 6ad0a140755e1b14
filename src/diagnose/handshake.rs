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
pub enum HandshakeStep {
    RegisterOut,
    ChallengeBack,
    AuthorizationOut,
    FinalAnswer,
}

impl HandshakeStep {
    pub const fn as_str(self) -> &'static str {
        match self {
            HandshakeStep::RegisterOut => "REGISTER out",
            HandshakeStep::ChallengeBack => "challenge back",
            HandshakeStep::AuthorizationOut => "REGISTER with Authorization out",
            HandshakeStep::FinalAnswer => "final answer",
        }
    }

    /// The first step that the attempts of a loop lack; `None` when all four happened and the
    /// answer was a refusal.
    pub fn missing_in(row: &LoopResult) -> Option<HandshakeStep> {
        match (row.kind, row.place) {
            (LoopKind::Transport, Place::Unchallenged) => Some(HandshakeStep::RegisterOut),
            (LoopKind::Unauthorized | LoopKind::Stale, Place::Unchallenged) => Some(HandshakeStep::AuthorizationOut),
            (_, Place::Unchallenged) => Some(HandshakeStep::ChallengeBack),
            (_, Place::AfterCredentials) if row.code == 0 => Some(HandshakeStep::FinalAnswer),
            (_, Place::AfterCredentials) => None,
        }
    }
}

impl fmt::Display for HandshakeStep {
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
            (LoopKind::Forbidden, Unchallenged, 403, Some(HandshakeStep::ChallengeBack)),
            (LoopKind::ForbiddenAfterAuth, AfterCredentials, 403, None),
            (LoopKind::Unauthorized, Unchallenged, 401, Some(HandshakeStep::AuthorizationOut)),
            (LoopKind::Unauthorized, AfterCredentials, 401, None),
            (LoopKind::Timeout, Unchallenged, 0, Some(HandshakeStep::ChallengeBack)),
            (LoopKind::Timeout, AfterCredentials, 0, Some(HandshakeStep::FinalAnswer)),
            (LoopKind::Timeout, AfterCredentials, 408, None),
            (LoopKind::Transport, Unchallenged, 0, Some(HandshakeStep::RegisterOut)),
        ] {
            assert_eq!(HandshakeStep::missing_in(&row(kind, place, code)), missing, "{kind} {place:?} {code}");
        }
    }
}
