//! Why an attempt ended, as a code with a type: rooms pass it on and judges compare it. Words are
//! made of it where something is written or shown, and only there.

use super::FlowLoss;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why an attempt ended. `P` is a phrase, or what stands for one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why<P> {
    /// A server answered, in these words of its own: the reason phrase.
    Said(P),
    /// No server said so; the words are ours.
    Trouble(Trouble),
}

impl<P> Why<P> {
    pub fn trouble(&self) -> Option<Trouble> {
        match *self {
            Why::Said(_) => None,
            Why::Trouble(trouble) => Some(trouble),
        }
    }

    /// The same with the phrase that stands for `P`.
    pub fn map<Q>(self, phrase: impl FnOnce(P) -> Q) -> Why<Q> {
        match self {
            Why::Said(said) => Why::Said(phrase(said)),
            Why::Trouble(trouble) => Why::Trouble(trouble),
        }
    }
}

impl<'a> Why<&'a [u8]> {
    /// The words for a file.
    pub const fn text(self) -> &'a [u8] {
        match self {
            Why::Said(phrase) => phrase,
            Why::Trouble(trouble) => trouble.as_str().as_bytes(),
        }
    }
}

/// What went wrong where no server says it. The order is that of the record: append, and raise its
/// version.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Trouble {
    /// No final response within Timer F.
    Timeout,
    /// The agent was refused a place among the open attempts, or its first message one below the
    /// ceiling.
    Shed,
    /// The run ended first, or the agent was told to stop.
    Abandoned,
    /// What came back cannot be read.
    MalformedResponse,
    /// What came back names another request.
    CseqMismatch,
    /// No challenge of the response can be answered.
    Unusable(Unusable),
    /// A phone that was observed did not answer the challenge.
    LeftUnanswered,
    /// The network says that the request did not arrive.
    Unreachable(Unreachable),
    /// This machine did not send the request.
    NotSent(NotSent),
    /// Its connection could not be opened, or was lost under it.
    Connection(FlowLoss),
    /// A 2xx granted a lifetime of nothing: it holds no binding of ours (RFC 3261 §10.3 step 8).
    NothingGranted,
}

impl Trouble {
    pub const fn as_str(self) -> &'static str {
        match self {
            Trouble::Timeout => "timeout",
            Trouble::Shed => "shed",
            Trouble::Abandoned => "abandoned",
            Trouble::MalformedResponse => "malformed response",
            Trouble::CseqMismatch => "CSeq mismatch",
            Trouble::NothingGranted => "granted for 0 s",
            Trouble::Unusable(unusable) => unusable.as_str(),
            Trouble::LeftUnanswered => "the challenge was not answered",
            Trouble::Unreachable(Unreachable::Port) => "port unreachable",
            Trouble::Unreachable(Unreachable::Host) => "host unreachable",
            Trouble::Unreachable(Unreachable::Network) => "network unreachable",
            Trouble::NotSent(NotSent::BufferFull) => "send buffer full",
            Trouble::NotSent(NotSent::Firewall) => "refused by the local firewall",
            Trouble::NotSent(NotSent::NoSuchAddress) => "local address not available",
            Trouble::NotSent(NotSent::TooLong) => "message too long for a datagram buffer",
            Trouble::NotSent(NotSent::Other) => "socket error",
            Trouble::NotSent(NotSent::NoRoute) => "no route from this machine",
            Trouble::Connection(loss) => loss.as_str(),
        }
    }
}

impl Trouble {
    /// Whether this machine is at fault, and neither the server nor the way to it.
    pub const fn is_own(&self) -> bool {
        matches!(self, Trouble::NotSent(_) | Trouble::Connection(FlowLoss::Local))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why no challenge of a 401 or 407 can be answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Unusable {
    NoChallenge,
    NoAcceptedAlgorithm,
    UnsupportedQop,
    SessionWithoutQop,
    Incomplete,
    Realm,
    NonceTooLong,
    Unclosed,
}

impl Unusable {
    pub const fn as_str(self) -> &'static str {
        match self {
            Unusable::NoChallenge => "the response carries no Digest challenge",
            Unusable::NoAcceptedAlgorithm => "none of the offered algorithms is accepted",
            Unusable::UnsupportedQop => "the challenge offers only qop values that are not supported",
            Unusable::SessionWithoutQop => "a challenge with a -sess algorithm offers no qop",
            Unusable::Incomplete => "a challenge lacks its realm or nonce",
            Unusable::Realm => "the challenged realm is not the required one",
            Unusable::NonceTooLong => "the nonce of the challenge is longer than 3000 characters",
            Unusable::Unclosed => "a quote of the challenge is never closed",
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the network says cannot be reached (ICMP, RFC 792 and RFC 4443).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Unreachable {
    Port,
    Host,
    Network,
}

/// Why this machine did not send a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum NotSent {
    BufferFull,
    Firewall,
    /// The local address is none of this machine's, or has no port left.
    NoSuchAddress,
    /// Longer than the room for a datagram.
    TooLong,
    Other,
    /// No way leads there from here: the link is down, or the route or the own address is gone.
    NoRoute,
}
