//! What agents and workers report, one event at a time.

use super::answerer::{Marks, Words};
use super::asked::AskedOf;
use super::checks::CheckEnd;
use super::routing::RoutingWord;
use crate::vocab::{
    AgentId, Class, FlowLoss, Kind, Phase, Place, Refusal, RequestFate, RequestKind, Status, Time, Trouble, TrunkId,
    Why,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One thing that happened. Times are those of the run's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// An arrival was due at `planned`; its agent counts as planned from then on. Reported for shed
    /// arrivals too.
    Arrived {
        planned: Time,
    },
    /// An attempt began, as planned or later: from now on it is open. Its first REGISTER follows,
    /// at once where nothing has to be opened for it before. (A shed attempt reports only `Ended`.)
    Began {
        kind: Kind,
        planned: Time,
        at: Time,
    },
    /// The first REGISTER of the attempt went out.
    Started {
        at: Time,
    },
    /// A REGISTER request was sent for the first time (not a retransmission); `kind` tells
    /// un-REGISTERs apart.
    Request {
        kind: Kind,
    },
    /// `first_sent` of a request that is repeated for the first time: when it was sent at first.
    Retransmitted {
        at: Time,
        first_sent: Option<Time>,
    },
    /// A request has its final answer, or will have none.
    RequestEnded(RequestEnd),
    /// A 401/407 or 423 that the agent goes on to answer within the attempt, `since` the request it
    /// is the answer to.
    Challenged {
        kind: Kind,
        code: u16,
        reason: &'a [u8],
        since: Time,
        at: Time,
    },
    /// What a 401 or 407 offered, whether it was answered or not.
    Offered(Offer<'a>),
    /// What a 2xx granted, and what it made of our Contact.
    Granted(Granted<'a>),
    /// The attempt goes on at another of the places its requests may go to.
    WentOn {
        why: Left,
        at: Time,
    },
    /// What an answer says of the way requests take, or what is done about a redirection.
    Routing {
        word: RoutingWord,
        text: &'a [u8],
    },
    /// The attempt is over.
    Ended(AttemptEnd<'a>),
    /// A 2xx granted a lifetime: the agent is registered from `at` until `until` (a later
    /// `Registered`, `Lapsed` or `Unregistered` replaces this).
    Registered {
        at: Time,
        until: Time,
    },
    /// The granted lifetime ended without a refresh.
    Lapsed {
        at: Time,
    },
    /// The 2xx to the agent's un-REGISTER.
    Unregistered {
        at: Time,
    },
    /// The connection that the binding was made over is gone: until the next `Registered` the agent
    /// is registered, and nothing reaches it.
    CutOff {
        at: Time,
    },
    /// The agent was told to un-REGISTER (or the run's load ended for it): it is no longer planned.
    Retired {
        at: Time,
    },
    /// An un-REGISTER ended: its code (0: none) and duration since its first request.
    UnregisterEnded {
        code: u16,
        reason: Why<&'a [u8]>,
        ok: bool,
        sent: Time,
        at: Time,
    },
    /// The third consecutive attempt with the same refusal: a loop that began at `first_seen`.
    /// Later attempts of the same loop report `LoopGrew`. Both follow the `Ended` of the attempt
    /// they speak of.
    LoopStarted {
        refusal: Refusal,
        first_seen: Time,
        attempts: u32,
    },
    LoopGrew,
    /// A 2xx, or another refusal, ended the loop.
    LoopEnded,
    /// A final response for a transaction that had already ended by Timer F or otherwise.
    LateResponse,
    /// A copy of a final response already received (absorbed, Timer K).
    DuplicateResponse,
    /// `Retry-After` was present and the preset ignores it.
    RetryAfterIgnored,
    /// The safety ceiling refused a message (its timer decides what happens next).
    CeilingRefused,
    /// A check of the agent's ended: its binding, or whether the registrar answers.
    Checked(CheckEnd),
    /// The registrar's side asked the agent something, and it answered.
    Asked(AskedOf<'a>),
    /// A latency outside the attempt itself (OPTIONS, connect).
    Latency {
        phase: Phase,
        micros: u64,
    },
}

/// Why an attempt left a place for the next one (RFC 3263 §4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left {
    /// Nothing could be delivered there.
    Unreachable,
    /// No answer within Timer F.
    Silent,
    /// 503.
    Unavailable,
}

/// What became of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlowChange {
    /// It is open, so long after it was wanted.
    Opened { took: Duration },
    /// It could not be opened.
    Failed(FlowLoss),
    /// It was open and is not any more; nothing had come over it for so long.
    Lost { why: FlowLoss, quiet: Duration },
}

/// What became of one request, repetitions included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestEnd {
    pub kind: RequestKind,
    pub fate: RequestFate,
    /// Its length.
    pub bytes: u32,
    /// When it was sent first.
    pub sent: Time,
}

/// The end of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct AttemptEnd<'a> {
    pub kind: Kind,
    pub status: Status,
    /// Final response code; 0 when there was none.
    pub code: u16,
    pub reason: Why<&'a [u8]>,
    pub place: Place,
    /// When the attempt was due.
    pub planned: Time,
    /// When its first REGISTER left; `None` when shed.
    pub sent: Option<Time>,
    /// When the REGISTER with credentials that was answered left; `None` without credentials.
    pub credentials_sent: Option<Time>,
    /// When it ended: arrival of the response, or the timer.
    pub at: Time,
    /// RFC 6076 §4.2: the answer counts as an ineffective attempt.
    pub ineffective: bool,
    pub clues: Clues<'a>,
}

impl AttemptEnd<'_> {
    /// The class of its end; `None` when it was shed or abandoned, which says nothing about the
    /// registrar.
    pub fn class(&self) -> Option<Class> {
        let by_code = match self.code {
            401 | 407 if self.clues.stale => Class::Stale,
            401 | 407 => Class::Unauthorized,
            403 if self.place == Place::Unchallenged => Class::Forbidden,
            403 => Class::ForbiddenAfterAuth,
            404 => Class::NotFound,
            408 => Class::AnsweredTimeout,
            423 => Class::TooBrief,
            500..=599 => Class::ServerError,
            _ => Class::Refused,
        };
        match self.status {
            Status::Shed | Status::Abandoned => None,
            Status::Registered => Some(Class::Registered),
            Status::TransportError => Some(Class::Transport),
            Status::ProtocolError => Some(match self.reason {
                Why::Trouble(Trouble::Unusable(_) | Trouble::LeftUnanswered) => Class::Unusable,
                _ => Class::Malformed,
            }),
            _ if self.code == 0 => Some(Class::Silence),
            _ => Some(by_code),
        }
    }
}

/// What the final answer says beyond its code and place.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Clues<'a> {
    /// The challenge in it says `stale`.
    pub stale: bool,
    /// The algorithm of the credentials that were refused or taken, as a position in
    /// `sip::Algorithm::ALL`.
    pub algorithm: Option<u8>,
    /// Seconds.
    pub retry_after: Option<u32>,
    /// Who answered; `None`: it was not looked at.
    pub marks: Option<Marks<'a>>,
    /// Whether the challenge that was answered had the same marks; `None`: it was not looked at.
    pub as_challenged: Option<bool>,
    pub words: Words<'a>,
}

/// The challenge of a 401 or 407.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    pub at: Time,
    /// Of the challenge that is answered, else of the first one; empty when there is none.
    pub realm: &'a [u8],
    /// One bit per algorithm, by position in `sip::Algorithm::ALL`; the highest bit stands for
    /// unknown ones, and [`BY_PROXY`] says who asks.
    pub offered: u8,
    /// Position of the algorithm that is answered with.
    pub answered: Option<u8>,
    pub stale: bool,
    /// Length of the nonce, in characters; 0: no challenge was looked at.
    pub nonce_length: u8,
}

/// The bit of [`Offer::offered`] of a proxy's challenge (407), which says nothing of the registrar.
pub const BY_PROXY: u8 = 1 << 6;

/// What a 2xx to an attempt granted.
#[derive(Clone, Copy, Debug)]
pub struct Granted<'a> {
    pub at: Time,
    pub kind: Kind,
    pub asked_s: u32,
    pub granted_s: u32,
    /// Bindings that it lists, of whoever has the address of record.
    pub listed: u16,
    pub echo: Echo,
    /// Contact or Via as it came back, where [`Echo`] says that it is not ours.
    pub example: &'a [u8],
}

/// What came back of a request's Contact and Via. Several may be true.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Echo {
    /// Our user at another host or port: something on the way rewrote the Contact.
    pub contact_rewritten: bool,
    /// No contact of ours is among the bindings.
    pub contact_absent: bool,
    /// The topmost Via names another sent-by.
    pub via_rewritten: bool,
    /// `received` names another address than ours (RFC 3261 §18.2.1): a translator is on the way.
    pub translated: bool,
}

/// Whom an event concerns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subject {
    pub agent: AgentId,
    pub trunk: TrunkId,
    /// Position of its local address among the trunk's `source` addresses.
    pub source: u8,
}
