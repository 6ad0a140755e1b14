//! One registration as an exchange: a first request, challenges and their answers, a 423 and the
//! longer lifetime, a final answer. The rules stand here once: an [`Agent`](super::Agent) and a
//! [`probe`](super::probe) follow them, and [`crate::observe`] checks whether other people's phones
//! do.
//!
//! ```text
//!  requested ──▶ FinalAnswer::of(code)
//!                 │ Granted ────────────────────────────────────────────────▶ over
//!                 │ Challenge ─▶ challenged ─┬─ Ok: answer it ───▶ requested
//!                 │                          └─ Err(Failed) ───────────────▶ over
//!                 │ TooBrief ──▶ too_brief ──┬─ Ok: a longer lifetime ─▶ requested
//!                 │                          └─ Err(Failed) ───────────────▶ over
//!                 └ Refusal ───▶ refused ───────────────────────────────────▶ over
//! ```
//!
//! Read first: RFC 3261 §10.2.8 (423), §22.2 and §22.3 (challenges), RFC 7616 §3.3 (`stale`), RFC
//! 6076 §4.2. Not here: what a challenge says and how it is answered (`authentication`),
//! transactions and time.

use crate::sip::challenge::Role;
use crate::vocab::{LoopKind, Place, Status};

/// What a final answer is to an exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FinalAnswer {
    /// 2xx.
    Granted,
    /// 401 or 407.
    Challenge(Role),
    /// 423.
    TooBrief,
    /// Every other final answer: 3xx, 4xx, 5xx, 6xx.
    Refusal,
}

impl FinalAnswer {
    /// `code` is 200 or higher.
    pub const fn of(code: u16) -> FinalAnswer {
        match code {
            200..=299 => FinalAnswer::Granted,
            401 => FinalAnswer::Challenge(Role::Registrar),
            407 => FinalAnswer::Challenge(Role::Proxy),
            423 => FinalAnswer::TooBrief,
            _ => FinalAnswer::Refusal,
        }
    }
}

/// How an exchange ended other than by a 2xx.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failed {
    pub status: Status,
    pub loop_kind: LoopKind,
}

impl Failed {
    /// No final response within Timer F.
    pub const TIMED_OUT: Failed = Failed::new(Status::RequestTimeout, LoopKind::Timeout);
    /// The request could not be sent or delivered.
    pub const UNREACHABLE: Failed = Failed::new(Status::TransportError, LoopKind::Transport);
    /// What came back is no answer to the request.
    pub const MALFORMED: Failed = Failed::new(Status::ProtocolError, LoopKind::ClientError);
    /// The first challenge cannot be answered, or was not.
    pub const UNANSWERED: Failed = Failed::new(Status::ProtocolError, LoopKind::Unauthorized);

    const fn new(status: Status, loop_kind: LoopKind) -> Self {
        Failed { status, loop_kind }
    }

    /// The end by a final response that nothing follows from. A 401 or 407 here is the answer to
    /// credentials.
    pub fn by(code: u16, place: Place) -> Self {
        let (status, loop_kind) = match code {
            401 | 407 => (Status::AuthenticationFailed, LoopKind::Unauthorized),
            403 if place == Place::AfterCredentials => (Status::AuthenticationFailed, LoopKind::ForbiddenAfterAuth),
            403 => (Status::RegistrationRejected, LoopKind::Forbidden),
            408 => (Status::RequestTimeout, LoopKind::Timeout),
            423 => (Status::RegistrationRejected, LoopKind::IntervalTooBrief),
            300..=399 => (Status::RegistrationRejected, LoopKind::Redirection),
            500..=599 => (Status::ServiceUnavailable, LoopKind::ServerError),
            600.. => (Status::RegistrationRejected, LoopKind::GlobalFailure),
            _ => (Status::RegistrationRejected, LoopKind::ClientError),
        };
        Failed { status, loop_kind }
    }
}

/// RFC 6076 §4.2: 4xx except 401, 402 and 407, 5xx, 6xx, or Timer F. `code` is 0 without a
/// response.
pub fn is_ineffective(status: Status, code: u16) -> bool {
    match code {
        0 => status == Status::RequestTimeout,
        401 | 402 | 407 => false,
        code => code >= 400,
    }
}

/// Who challenges: a realm on the path, by a number below [`Challenger::MOST`]; a phone answers one
/// challenge from each (RFC 3261 §22.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Challenger(u8);

impl Challenger {
    /// More of them are as good as endless: the last stands for all beyond.
    pub const MOST: usize = 8;

    /// The `n`th of those met.
    #[expect(clippy::cast_possible_truncation, reason = "below eight")]
    pub fn nth(n: usize) -> Self {
        Challenger(n.min(Self::MOST - 1) as u8)
    }

    /// The number it was made of.
    pub fn place(self) -> usize {
        self.0.into()
    }
}

/// How often a client lets one exchange be challenged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// The challenge that ends an exchange whose challengers refuse what answers them: so many
    /// REGISTERs does a registrar draw that challenges without end.
    pub challenges: u8,
    /// The same of challenges that call the nonce stale.
    pub stales: u8,
    /// A challenge with the nonce that was just answered ends it at once, unless it is stale.
    pub only_fresh: bool,
}

impl Patience {
    /// Credentials that are refused are refused; one further `stale=true` is answered.
    pub const RFC: Patience = Patience { challenges: 2, stales: 3, only_fresh: false };

    /// What is left of it where a challenge brings the nonce that was answered.
    pub fn with_the_same_nonce(self) -> Patience {
        if self.only_fresh { Patience { challenges: 0, ..self } } else { self }
    }
}

/// How far an exchange has come. One challenge of each challenger and one 423 are answered, and as
/// many refusals of the answers as [`Patience`] has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Exchange {
    /// Whose challenges were answered, a bit each.
    challengers: u8,
    /// [`WITH_CREDENTIALS`](Self::WITH_CREDENTIALS), [`LONGER`](Self::LONGER): an agent has no room
    /// for a byte more.
    marks: u8,
    /// Answers that were refused: as they were, and for a stale nonce.
    refused: u8,
    stale: u8,
}

impl Exchange {
    /// A request goes out, with credentials or without.
    pub fn requested(&mut self, with_credentials: bool) {
        self.marks &= !Self::WITH_CREDENTIALS;
        if with_credentials {
            self.marks |= Self::WITH_CREDENTIALS;
        }
    }

    /// Whether the latest request carried credentials.
    pub const fn with_credentials(self) -> bool {
        self.marks & Self::WITH_CREDENTIALS != 0
    }

    /// Where in the handshake the latest request stands.
    pub const fn place(self) -> Place {
        if self.with_credentials() { Place::AfterCredentials } else { Place::Unchallenged }
    }

    /// Whether a challenge of this challenger was answered.
    pub const fn has_answered(self, by: Challenger) -> bool {
        self.challengers >> by.0 & 1 == 1
    }

    /// A 401 or 407 came; `stale`: it says that only the nonce is too old. `Ok` when it is to be
    /// answered: `true` when it refuses an answer of this exchange for its nonce alone.
    ///
    /// Credentials with a nonce from an earlier exchange answered no challenge of this one, so the
    /// 401 that refuses them is its first challenge.
    ///
    /// # Errors
    /// The end, when the challenger has refused what answered it, and patience is at its end.
    pub fn challenged(&mut self, by: Challenger, stale: bool, patience: Patience) -> Result<bool, Failed> {
        let bit = 1 << by.0;
        let again = self.challengers & bit != 0;
        self.challengers |= bit;
        if !again {
            return Ok(false);
        }
        let (refusals, most) =
            if stale { (&mut self.stale, patience.stales) } else { (&mut self.refused, patience.challenges) };
        *refusals = refusals.saturating_add(1);
        // The first challenge and this one with those between.
        match *refusals < most.saturating_sub(1) {
            true => Ok(stale),
            false if stale => Err(Self::STALE),
            false => Err(Failed::by(401, Place::AfterCredentials)),
        }
    }

    /// A 423 came to a request for `asked_s` seconds, 0 for a removal; `least_s` is its
    /// Min-Expires. `Ok` with the lifetime to ask for now.
    ///
    /// # Errors
    /// The end, when nothing longer can be asked for, or has been already.
    pub fn too_brief(&mut self, asked_s: u32, least_s: Option<u32>) -> Result<u32, Failed> {
        match least_s {
            Some(least_s) if asked_s > 0 && least_s > asked_s && self.marks & Self::LONGER == 0 => {
                self.marks |= Self::LONGER;
                // The request that follows is a new one, and may be challenged like the first.
                self.challengers = 0;
                Ok(least_s)
            }
            _ => Err(self.refused(423)),
        }
    }

    /// The end by a final response that nothing follows from.
    pub fn refused(self, code: u16) -> Failed {
        Failed::by(code, self.place())
    }

    /// The end of an exchange whose challenge nobody answered; `again` is what
    /// [`challenged`](Self::challenged) said of it.
    pub fn unanswered(self, again: bool) -> Failed {
        match self.place() {
            _ if again => Self::STALE,
            Place::Unchallenged => Failed::UNANSWERED,
            Place::AfterCredentials => self.refused(401),
        }
    }

    /// The latest request carries credentials.
    const WITH_CREDENTIALS: u8 = 1;
    /// The lifetime asked for was raised after a 423.
    const LONGER: u8 = 2;

    const STALE: Failed = Failed::new(Status::AuthenticationFailed, LoopKind::Stale);
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTRAR: Challenger = Challenger(0);

    fn loop_kind(end: Result<bool, Failed>) -> LoopKind {
        end.expect_err("it is over").loop_kind
    }

    #[test]
    fn one_challenge_of_each_challenger_is_answered() {
        let mut exchange = Exchange::default();
        let proxy = Challenger::nth(1);
        assert_eq!(exchange.challenged(proxy, false, Patience::RFC), Ok(false));
        assert_eq!((exchange.has_answered(REGISTRAR), exchange.has_answered(proxy)), (false, true));
        assert_eq!(exchange.challenged(REGISTRAR, false, Patience::RFC), Ok(false));
        assert_eq!(loop_kind(exchange.challenged(proxy, false, Patience::RFC)), LoopKind::Unauthorized);
    }

    #[test]
    fn challengers_without_end_end() {
        let mut exchange = Exchange::default();
        for n in 0..Challenger::MOST {
            assert_eq!(exchange.challenged(Challenger::nth(n), false, Patience::RFC), Ok(false), "{n}");
        }
        assert_eq!(loop_kind(exchange.challenged(Challenger::nth(8), false, Patience::RFC)), LoopKind::Unauthorized);
    }

    #[test]
    fn one_stale_nonce_is_replaced() {
        let mut exchange = Exchange::default();
        // Stale or not, it is the first challenge of this exchange.
        assert_eq!(exchange.challenged(REGISTRAR, true, Patience::RFC), Ok(false));
        assert_eq!(exchange.challenged(REGISTRAR, true, Patience::RFC), Ok(true));
        assert_eq!(loop_kind(exchange.challenged(REGISTRAR, true, Patience::RFC)), LoopKind::Stale);
    }

    #[test]
    fn a_patient_client_answers_as_often_as_it_does() {
        for (challenges, stales) in [(2, 3), (6, 4), (16, 16), (2, 2)] {
            let patience = Patience { challenges, stales, only_fresh: true };
            for (stale, most) in [(false, challenges), (true, stales)] {
                let mut exchange = Exchange::default();
                let answered = (0..99).take_while(|_| exchange.challenged(REGISTRAR, stale, patience).is_ok()).count();
                assert_eq!(answered + 1, usize::from(most), "the last one is left");
            }
            let mut exchange = Exchange::default();
            assert_eq!(exchange.challenged(REGISTRAR, false, patience), Ok(false));
            let same = patience.with_the_same_nonce();
            assert_eq!(loop_kind(exchange.challenged(REGISTRAR, false, same)), LoopKind::Unauthorized);
        }
    }

    #[test]
    fn one_lifetime_is_raised_and_no_removal() {
        let brief = |asked, least| Exchange::default().too_brief(asked, least);
        let refused = Failed::by(423, Place::Unchallenged);
        assert_eq!(brief(30, Some(60)), Ok(60));
        for (asked, least) in [(60, Some(60)), (60, None), (0, Some(60))] {
            assert_eq!(brief(asked, least), Err(refused), "{asked} {least:?}");
        }
        let mut exchange = Exchange::default();
        assert_eq!(exchange.challenged(REGISTRAR, false, Patience::RFC), Ok(false));
        assert_eq!(
            (exchange.too_brief(30, Some(60)), exchange.challenged(REGISTRAR, false, Patience::RFC)),
            (Ok(60), Ok(false))
        );
        assert_eq!(loop_kind(exchange.challenged(REGISTRAR, false, Patience::RFC)), LoopKind::Unauthorized);
        let mut exchange = Exchange::default();
        assert_eq!((exchange.too_brief(30, Some(60)), exchange.too_brief(60, Some(90))), (Ok(60), Err(refused)));
    }

    #[test]
    fn a_challenge_that_is_left_ends_it_by_where_it_came() {
        let mut exchange = Exchange::default();
        assert_eq!(exchange.unanswered(false), Failed::UNANSWERED);
        exchange.requested(true);
        assert_eq!(exchange.unanswered(false).status, Status::AuthenticationFailed);
        assert_eq!(exchange.unanswered(true).loop_kind, LoopKind::Stale);
        assert_eq!(exchange.refused(403).loop_kind, LoopKind::ForbiddenAfterAuth);
    }
}
