//! What agents and workers report, one event at a time.

use crate::vocab::{AgentId, Kind, Phase, Place, Refusal, Status, Time, TrunkId};

/// One thing that happened. Times are those of the run's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// An arrival was due at `planned`; its agent counts as planned from then on. Reported for shed arrivals too.
    Arrived {
        planned: Time,
    },
    /// An attempt began: its first REGISTER went out at `sent`. (A shed attempt reports only `Ended`.)
    Started {
        kind: Kind,
        planned: Time,
        sent: Time,
    },
    /// A REGISTER request was sent for the first time (not a retransmission); `kind` tells un-REGISTERs apart.
    Request {
        kind: Kind,
    },
    Retransmitted,
    /// A 401/407 or 423 that the agent goes on to answer within the attempt, `since` the request it is the answer to.
    Challenged {
        kind: Kind,
        code: u16,
        reason: &'a [u8],
        since: Time,
        at: Time,
    },
    /// The attempt is over.
    Ended(AttemptEnd<'a>),
    /// A 2xx granted a lifetime: the agent is registered from `at` until `until` (a later `Registered`, `Lapsed` or
    /// `Unregistered` replaces this).
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
    /// The agent was told to un-REGISTER (or the run's load ended for it): it is no longer planned.
    Retired {
        at: Time,
    },
    /// An un-REGISTER ended: its code (0: none) and duration since its first request.
    UnregisterEnded {
        code: u16,
        reason: &'a [u8],
        ok: bool,
        sent: Time,
        at: Time,
    },
    /// The third consecutive attempt with the same refusal: a loop that began at `first_seen`.
    /// Later attempts of the same loop report `LoopGrew`. Both follow the `Ended` of the attempt they speak of.
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
    /// A latency outside the attempt itself (OPTIONS, connect).
    Latency {
        phase: Phase,
        micros: u64,
    },
}

/// The end of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct AttemptEnd<'a> {
    pub kind: Kind,
    pub status: Status,
    /// Final response code; 0 when there was none.
    pub code: u16,
    /// Reason phrase of that response, or a word for what happened without one (`timeout`, `ECONNREFUSED`).
    pub reason: &'a [u8],
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
}

/// Whom an event concerns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subject {
    pub agent: AgentId,
    pub trunk: TrunkId,
}
