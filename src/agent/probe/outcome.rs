//! What came of a probe, as data: every request with its answer, and how the exchange ended.

use crate::sip::challenge::{self, Unusable};
use crate::sip::contact::SentContact;
use crate::sip::{Algorithm, Protection, Response, contact};
use crate::vocab::{Place, printable};
use std::time::Duration;

/// What came of a probe.
#[derive(Clone, PartialEq, Debug)]
pub struct ProbeOutcome {
    /// The requests in order; the last one's answer, if any, ended the exchange.
    pub steps: Vec<ProbeStep>,
    pub end: ProbeEnd,
    /// Lifetime asked for last: a 423 raises it.
    pub asked_expires_s: u32,
    /// Datagrams that belonged to no request of this probe, copies of answers included.
    pub strays: u32,
    /// The call as it stands, for a probe that goes on with it.
    pub call: super::Call,
}

/// How a probe ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProbeEnd {
    /// With the final answer of the last step.
    Answered,
    /// Timer F: the last request was not answered.
    TimedOut,
    /// The last request could not be sent or delivered: what the system says.
    Transport(String),
    /// The last step's challenge cannot be answered as asked.
    Unusable(Unusable),
    /// Something came back that is no answer: why.
    Malformed(String),
}

/// One request and its answer.
#[derive(Clone, PartialEq, Debug)]
pub struct ProbeStep {
    /// Whether the request carried credentials.
    pub place: Place,
    /// The registrar's credentials, as sent.
    pub credentials: Option<SentCredentials>,
    /// Transmissions after the first (RFC 3261 §17.1.2.2, Timer E).
    pub retransmissions: u32,
    /// Code of the last provisional response.
    pub provisional: Option<u16>,
    /// First transmission to final answer, or to giving up.
    pub took: Duration,
    pub answer: Option<ProbeAnswer>,
}

/// How a challenge was answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SentCredentials {
    pub username: String,
    pub algorithm: Algorithm,
    pub qop: Option<Protection>,
    pub header_realm: String,
    /// `None` with a precomputed HA1, which hides its realm.
    pub hash_realm: Option<String>,
}

/// A final answer.
#[derive(Clone, PartialEq, Debug)]
pub struct ProbeAnswer {
    pub code: u16,
    pub reason: String,
    /// Challenges in order, of a 401 or 407.
    pub offers: Vec<ProbeOffer>,
    /// Seconds granted to our Contact, of a 2xx; `None`: what was asked holds.
    pub granted_s: Option<u32>,
    /// URI and lifetime of the bindings listed.
    pub contacts: Vec<(String, Option<u32>)>,
    /// Where the registrar says the request came from (RFC 3581).
    pub received: Option<String>,
    pub rport: Option<u16>,
    pub date: Option<String>,
    pub server: Option<String>,
    /// Seconds.
    pub retry_after_s: Option<u32>,
    /// Seconds.
    pub min_expires_s: Option<u32>,
}

/// One challenge on offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeOffer {
    pub realm: String,
    /// As written; empty when the challenge names none and means MD5.
    pub algorithm: String,
    /// The algorithm meant; `None` for one that is not known here.
    pub known: Option<Algorithm>,
    pub qops: Vec<String>,
    pub stale: bool,
    /// Why nobody can answer it.
    pub unusable: Option<Unusable>,
}

impl ProbeOutcome {
    /// The final answer, if there was one.
    pub fn answer(&self) -> Option<&ProbeAnswer> {
        self.steps.last()?.answer.as_ref()
    }

    pub fn is_granted(&self) -> bool {
        // A 2xx that grants no time holds no binding (RFC 3261 §10.3 step 8).
        let holds = |answer: &ProbeAnswer| self.asked_expires_s == 0 || answer.granted_s != Some(0);
        let accepts = |answer: &ProbeAnswer| (200..300).contains(&answer.code) && holds(answer);
        self.end == ProbeEnd::Answered && self.answer().is_some_and(accepts)
    }

    /// Whether a phone whose registrar has another address would go on there (RFC 3263 §4.3): this
    /// one cannot be reached, does not answer or has no capacity.
    pub fn leads_on(&self) -> bool {
        match self.end {
            ProbeEnd::Transport(_) | ProbeEnd::TimedOut => true,
            ProbeEnd::Answered => self.answer().is_some_and(|answer| answer.code == 503),
            ProbeEnd::Unusable(_) | ProbeEnd::Malformed(_) => false,
        }
    }

    /// Where the exchange ended: before or after credentials were sent.
    pub fn place(&self) -> Place {
        self.steps.last().map_or(Place::Unchallenged, |step| step.place)
    }

    /// The first challenges that came; empty when none did.
    pub fn offers(&self) -> &[ProbeOffer] {
        let answers = self.steps.iter().filter_map(|step| step.answer.as_ref());
        answers.map(|answer| answer.offers.as_slice()).find(|offers| !offers.is_empty()).unwrap_or_default()
    }

    /// The credentials sent last.
    pub fn credentials(&self) -> Option<&SentCredentials> {
        self.steps.iter().rev().find_map(|step| step.credentials.as_ref())
    }

    /// The whole exchange, first transmission to end, without what lies between an answer and the
    /// next request.
    pub fn took(&self) -> Duration {
        self.steps.iter().map(|step| step.took).sum()
    }

    pub fn retransmissions(&self) -> u32 {
        self.steps.iter().map(|step| step.retransmissions).sum()
    }
}

impl ProbeAnswer {
    pub(super) fn read(response: &Response<'_>, sent: &SentContact<'_>) -> Self {
        let via = response.topmost_via();
        let header = |name| response.headers(name).next().map(text);
        let granted = (200..300).contains(&response.code).then(|| contact::granted(response, sent));
        ProbeAnswer {
            code: response.code,
            reason: text(response.reason),
            offers: challenge::offers(response).map(|offer| ProbeOffer::read(&offer)).collect(),
            granted_s: granted.flatten(),
            contacts: contact::bindings(response).map(|binding| (text(binding.uri), binding.expires)).collect(),
            received: via.received.map(text),
            rport: via.rport.and_then(|port| text(port).parse().ok()),
            date: header("Date"),
            server: header("Server"),
            retry_after_s: response.retry_after(),
            min_expires_s: response.min_expires(),
        }
    }
}

impl ProbeOffer {
    fn read(offer: &challenge::OfferedChallenge<'_>) -> Self {
        ProbeOffer {
            realm: text(offer.realm.unwrap_or_default()),
            algorithm: text(offer.algorithm.unwrap_or_default()),
            known: offer.algorithm.map_or(Some(Algorithm::Md5), Algorithm::parse),
            qops: offer.qops().map(text).collect(),
            stale: offer.stale,
            unusable: offer.usable.as_ref().err().copied(),
        }
    }
}

/// What a server wrote, fit to be shown on one line.
fn text(bytes: &[u8]) -> String {
    printable(&String::from_utf8_lossy(bytes)).into_owned()
}
