//! What a probe sends, as data: every part of a REGISTER or OPTIONS that an experiment may want to
//! change by itself.

use crate::agent::Credential;
use crate::seed::{Purpose, Seed};
use crate::sip::branch::hex16;
use crate::sip::{AlgorithmSet, Timers};
use crate::vocab::{RunTag, Transport};
use std::time::Duration;

/// The method of a probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProbeMethod {
    /// Registers, or with a lifetime of 0 removes the binding.
    Register,
    /// Asks the registrar whether it is there (RFC 3261 §11).
    Options,
}

impl ProbeMethod {
    pub const fn as_str(self) -> &'static str {
        match self {
            ProbeMethod::Register => "REGISTER",
            ProbeMethod::Options => "OPTIONS",
        }
    }
}

/// One exchange with a registrar. From where and to whom it goes is its socket's.
#[derive(Clone, Debug)]
pub struct ProbeRequest {
    pub method: ProbeMethod,
    /// What its socket carries it over.
    pub transport: Transport,
    /// User of the address of record, plain.
    pub user: String,
    /// Request-URI and host of the address of record.
    pub domain: String,
    pub auth_user: String,
    pub credential: Credential,
    /// Lifetime asked for in seconds; 0 removes the binding.
    pub expires_s: u32,
    /// Contact other than the user at the local address.
    pub contact_user: Option<String>,
    /// `host[:port]` of the Contact, when it is not the local address.
    pub contact_host: Option<String>,
    /// Call-ID, tag and sequence: the same as of an earlier probe, or new ones.
    pub call: Call,
    /// How a challenge is answered.
    pub answer: AnswerRule,
    /// `Route` value, e.g. `<sip:127.0.0.1:5060;lr>`.
    pub route: Option<String>,
    pub user_agent: String,
    /// Extra headers in order, free of CR and LF.
    pub headers: Vec<(String, String)>,
    pub timers: Timers,
    /// Timer F of each request: no answer within it is a timeout.
    pub patience: Duration,
}

/// How a challenge is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnswerRule {
    /// The topmost challenge with one of these is answered (RFC 8760 §2.4).
    pub algorithms: AlgorithmSet,
    pub qop: QopRule,
    /// The `realm` parameter of the credentials.
    pub header_realm: RealmRule,
    /// The realm within HA1; without effect on a precomputed one.
    pub hash_realm: RealmRule,
    /// A challenge with another realm is not answered.
    pub required_realm: Option<String>,
}

impl Default for AnswerRule {
    /// As RFC 7616 and RFC 8760 say: every algorithm, what is offered, the realm as challenged.
    fn default() -> Self {
        AnswerRule {
            algorithms: AlgorithmSet::ALL,
            qop: QopRule::Offered,
            header_realm: RealmRule::Challenged,
            hash_realm: RealmRule::Challenged,
            required_realm: None,
        }
    }
}

/// The qop to answer with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QopRule {
    /// `auth` if offered, else `auth-int`, else none.
    Offered,
    Auth,
    AuthInt,
    /// As RFC 2069, whatever is offered.
    None,
}

/// The realm to answer with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RealmRule {
    Challenged,
    /// This text, as it is to stand between the quotes.
    Text(String),
}

impl RealmRule {
    /// The realm, where it is not the challenged one.
    pub(super) fn text(&self) -> Option<&[u8]> {
        match self {
            RealmRule::Challenged => None,
            RealmRule::Text(text) => Some(text.as_bytes()),
        }
    }
}

/// The identifiers that several probes may share: Call-ID, From tag, and the CSeq that rises from
/// one to the next (RFC 3261 §10.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    seed: Seed,
    number: u64,
    cseq: u32,
}

impl Call {
    /// Call `number` of a session of probes with this seed. A seed that no session had before keeps
    /// the registrar from taking the probes for those of an earlier session.
    pub const fn new(seed: Seed, number: u64) -> Self {
        Call { seed, number, cseq: 0 }
    }

    /// CSeq of the request sent last; 0 before the first.
    pub const fn cseq(&self) -> u32 {
        self.cseq
    }

    pub(super) fn next_request(&mut self) {
        self.cseq += 1;
    }

    /// What the branches of this call begin with.
    pub(super) fn tag(&self) -> RunTag {
        RunTag(self.seed.draw(Purpose::Identity, self.number, 1))
    }

    pub(super) fn id(&self) -> [u8; 32] {
        let mut id = [0; 32];
        id[..16].copy_from_slice(&self.word(2));
        id[16..].copy_from_slice(&self.word(3));
        id
    }

    pub(super) fn own_tag(&self) -> [u8; 16] {
        self.word(4)
    }

    /// A client nonce for the challenge that the next request answers, to be written in hex.
    pub(super) fn cnonce(&self) -> u64 {
        self.seed.draw(Purpose::Cnonce, self.number, self.cseq.into())
    }

    fn word(&self, counter: u64) -> [u8; 16] {
        hex16(self.seed.draw(Purpose::Identity, self.number, counter))
    }
}
