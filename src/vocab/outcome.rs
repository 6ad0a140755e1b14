//! How an attempt ends, what kind it was, where a refusal came from, and the phases whose latency
//! is kept.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The outcome of one attempt; every attempt ends in exactly one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// 2xx to REGISTER.
    Registered,
    /// The final answer to credentials is 401/407, or 403.
    AuthenticationFailed,
    /// 403 to a request without credentials, 404, any other final 3xx/4xx/6xx (408 excepted).
    RegistrationRejected,
    /// 5xx.
    ServiceUnavailable,
    /// No final response within Timer F, or 408.
    RequestTimeout,
    /// Unreachable, reset, local socket error.
    TransportError,
    /// Unusable challenge, malformed or mismatched response.
    ProtocolError,
    /// Not sent: `max_in_flight` was reached or the ceiling refused its first REGISTER.
    Shed,
    /// Still open when the run ended or was interrupted.
    Abandoned,
}

impl Status {
    pub const COUNT: usize = 9;
    pub const ALL: [Status; Self::COUNT] = [
        Status::Registered,
        Status::AuthenticationFailed,
        Status::RegistrationRejected,
        Status::ServiceUnavailable,
        Status::RequestTimeout,
        Status::TransportError,
        Status::ProtocolError,
        Status::Shed,
        Status::Abandoned,
    ];

    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name in every file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Registered => "registered",
            Status::AuthenticationFailed => "authentication_failed",
            Status::RegistrationRejected => "registration_rejected",
            Status::ServiceUnavailable => "service_unavailable",
            Status::RequestTimeout => "request_timeout",
            Status::TransportError => "transport_error",
            Status::ProtocolError => "protocol_error",
            Status::Shed => "shed",
            Status::Abandoned => "abandoned",
        }
    }
}

/// What made an agent send a REGISTER. An un-REGISTER is no attempt, but its responses are counted
/// too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Initial,
    Refresh,
    Retry,
    Unregister,
}

impl Kind {
    pub const COUNT: usize = 4;
    pub const ALL: [Kind; Self::COUNT] = [Kind::Initial, Kind::Refresh, Kind::Retry, Kind::Unregister];

    pub const fn index(self) -> usize {
        self as usize
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Initial => "initial",
            Kind::Refresh => "refresh",
            Kind::Retry => "retry",
            Kind::Unregister => "unregister",
        }
    }
}

/// A span of an attempt whose distribution is kept (RFC 6076 §4.1 and the file reference in the
/// README).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Planned send time to 2xx; initial and retry attempts.
    Register,
    /// Actual first REGISTER to 2xx (RFC 6076 RRD); initial and retry attempts.
    RegisterService,
    /// Planned send time to the end of an attempt that failed (all but 2xx, `shed`, `abandoned`).
    RegisterFailed,
    /// The challenged REGISTER to its 401/407, where the agent answers it.
    Challenge,
    /// REGISTER with credentials to its final response.
    Authenticated,
    /// Refresh due time to 2xx.
    Refresh,
    /// Un-REGISTER to its final 2xx.
    Unregister,
    /// OPTIONS to its final response.
    Options,
    /// Connection set-up of stream transports.
    Connect,
}

impl Phase {
    pub const COUNT: usize = 9;
    pub const ALL: [Phase; Self::COUNT] = [
        Phase::Register,
        Phase::RegisterService,
        Phase::RegisterFailed,
        Phase::Challenge,
        Phase::Authenticated,
        Phase::Refresh,
        Phase::Unregister,
        Phase::Options,
        Phase::Connect,
    ];

    pub const fn index(self) -> usize {
        self as usize
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Register => "register",
            Phase::RegisterService => "register_service",
            Phase::RegisterFailed => "register_failed",
            Phase::Challenge => "challenge",
            Phase::Authenticated => "authenticated",
            Phase::Refresh => "refresh",
            Phase::Unregister => "unregister",
            Phase::Options => "options",
            Phase::Connect => "connect",
        }
    }
}

/// How an attempt ended, as finely as the forensics tell refusals apart. An agent keeps a bit for
/// each it has met.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum Class {
    /// 2xx.
    Registered,
    /// 403 to a request without credentials.
    Forbidden,
    /// 403 to a request with credentials.
    ForbiddenAfterAuth,
    /// 401 or 407 to credentials made for this very challenge.
    Unauthorized,
    /// The same, and the second challenge called the nonce stale as well.
    Stale,
    /// 404.
    NotFound,
    /// 423 that could not be obeyed, or a second one.
    TooBrief,
    /// 408 from the server; our own Timer F is [`Class::Silence`].
    AnsweredTimeout,
    /// Any other 3xx, 4xx or 6xx.
    Refused,
    /// 5xx.
    ServerError,
    /// No final answer within Timer F.
    Silence,
    /// Unreachable, reset, local socket error.
    Transport,
    /// A challenge that cannot be answered: no accepted algorithm, not the required realm, broken.
    Unusable,
    /// A response that does not hold together.
    Malformed,
}

impl Class {
    pub const COUNT: usize = 14;
    pub const ALL: [Class; Self::COUNT] = [
        Class::Registered,
        Class::Forbidden,
        Class::ForbiddenAfterAuth,
        Class::Unauthorized,
        Class::Stale,
        Class::NotFound,
        Class::TooBrief,
        Class::AnsweredTimeout,
        Class::Refused,
        Class::ServerError,
        Class::Silence,
        Class::Transport,
        Class::Unusable,
        Class::Malformed,
    ];

    /// The bits of all classes.
    pub const BITS: u16 = (1 << Self::COUNT) - 1;

    /// Its bit among those an agent has met.
    pub const fn bit(self) -> u16 {
        1 << self as u16
    }

    /// Whether the registrar answered, and not with a 2xx.
    pub const fn is_refusal(self) -> bool {
        !matches!(self, Class::Registered | Class::Silence | Class::Transport | Class::Malformed)
    }
}

/// Where in the handshake a final answer came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// To a request that carried no credentials.
    Unchallenged,
    /// To a request with credentials.
    AfterCredentials,
}

/// Where in a phone's life a REGISTER request stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// Without credentials, of an attempt that is no refresh.
    First,
    /// With credentials, of such an attempt.
    Credentials,
    /// Of a refresh, with credentials or without.
    Refresh,
    /// An un-REGISTER.
    Removal,
}

impl RequestKind {
    pub const COUNT: usize = 4;
    pub const ALL: [RequestKind; Self::COUNT] =
        [RequestKind::First, RequestKind::Credentials, RequestKind::Refresh, RequestKind::Removal];

    pub const fn of(kind: Kind, place: Place) -> RequestKind {
        match (kind, place) {
            (Kind::Unregister, _) => RequestKind::Removal,
            (Kind::Refresh, _) => RequestKind::Refresh,
            (_, Place::Unchallenged) => RequestKind::First,
            (_, Place::AfterCredentials) => RequestKind::Credentials,
        }
    }

    /// In words, several of them.
    pub const fn as_str(self) -> &'static str {
        match self {
            RequestKind::First => "first requests",
            RequestKind::Credentials => "requests with credentials",
            RequestKind::Refresh => "refreshes",
            RequestKind::Removal => "un-REGISTERs",
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestFate {
    /// Answered for good before it had to be repeated.
    AtOnce,
    /// Answered after one repetition or more.
    Repeated,
    /// Timer F ran out.
    Never,
}

impl RequestFate {
    pub const COUNT: usize = 3;

    /// Its bit among those that an agent keeps of its first requests, above those of [`Class`];
    /// what was never answered is in the class of the attempt.
    pub const fn bit(self) -> u16 {
        match self {
            RequestFate::AtOnce => 1 << Class::COUNT,
            RequestFate::Repeated => 1 << (Class::COUNT + 1),
            RequestFate::Never => 0,
        }
    }
}

/// The kind of a loop: an agent refused the same way at the same place three times running.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum LoopKind {
    #[serde(rename = "403-unchallenged")]
    Forbidden,
    #[serde(rename = "403-after-auth")]
    ForbiddenAfterAuth,
    #[serde(rename = "401")]
    Unauthorized,
    #[serde(rename = "stale")]
    Stale,
    #[serde(rename = "423")]
    IntervalTooBrief,
    #[serde(rename = "4xx")]
    ClientError,
    #[serde(rename = "5xx")]
    ServerError,
    #[serde(rename = "timeout")]
    Timeout,
    #[serde(rename = "3xx")]
    Redirection,
    #[serde(rename = "6xx")]
    GlobalFailure,
    #[serde(rename = "transport")]
    Transport,
}

impl LoopKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            LoopKind::Forbidden => "403-unchallenged",
            LoopKind::ForbiddenAfterAuth => "403-after-auth",
            LoopKind::Unauthorized => "401",
            LoopKind::Stale => "stale",
            LoopKind::IntervalTooBrief => "423",
            LoopKind::ClientError => "4xx",
            LoopKind::ServerError => "5xx",
            LoopKind::Timeout => "timeout",
            LoopKind::Redirection => "3xx",
            LoopKind::GlobalFailure => "6xx",
            LoopKind::Transport => "transport",
        }
    }
}

/// A refusal as loops compare it: the same code at the same place of the handshake, for the same
/// reason to stop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Refusal {
    pub kind: LoopKind,
    /// Status code of the final response; 0 when there was none.
    pub code: u16,
    pub place: Place,
}

/// What the run was doing during an interval.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Arrivals, refreshes and retries as the profile plans them.
    Load,
    /// No new attempts; open ones may finish.
    Drain,
    /// Agents remove their bindings.
    Unregister,
}

impl Stage {
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Load => "load",
            Stage::Drain => "drain",
            Stage::Unregister => "unregister",
        }
    }
}

macro_rules! display_as_str {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    )*};
}

display_as_str!(Status, Kind, RequestKind, Phase, LoopKind, Stage, super::Severity, super::Confidence);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_match_the_lists() {
        assert!(Status::ALL.iter().enumerate().all(|(i, s)| s.index() == i));
        assert!(Kind::ALL.iter().enumerate().all(|(i, k)| k.index() == i));
        assert!(Phase::ALL.iter().enumerate().all(|(i, p)| p.index() == i));
        assert!(Class::ALL.iter().enumerate().all(|(i, c)| *c as usize == i));
    }
}
