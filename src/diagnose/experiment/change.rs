//! What an experiment may change, one thing at a time, and what came back.

use crate::sip::challenge::Unusable;
use crate::sip::{Algorithm, AlgorithmSet, Protection};
use crate::vocab::{Place, format_duration};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// One change to what the agent sends, everything else as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Realm of the credentials, in their header and in their hash.
    Realm(String),
    /// Realm in the header alone.
    RealmInHeader(String),
    /// Realm in the hash alone.
    RealmInHash(String),
    Algorithm(Algorithm),
    /// `None`: without qop, as RFC 2069.
    Qop(Option<Protection>),
    AuthUser(String),
    /// A password that is not the account's. A control: where it is answered in another way, the
    /// profile's password is right, and so is the realm it was hashed with.
    WrongPassword,
    Source(IpAddr),
    /// Another local port.
    Port,
    /// Request-URI and host of the address of record.
    Domain(String),
    /// `host:port` of the Contact.
    Contact(String),
    /// Lifetime asked for, seconds.
    Expires(u32),
    /// A new Call-ID.
    CallId,
    /// After waiting this long.
    Pause(Duration),
    /// Another agent as it is. A control: it tells whether the cause lies in this agent, and is no
    /// remedy.
    Agent(String),
}

impl Change {
    /// What is changed, as it stands in tables and in the conclusion.
    pub const fn name(&self) -> &'static str {
        match self {
            Change::Realm(_) => "realm",
            Change::RealmInHeader(_) => "realm-in-header",
            Change::RealmInHash(_) => "realm-in-hash",
            Change::Algorithm(_) => "algorithm",
            Change::Qop(_) => "qop",
            Change::AuthUser(_) => "auth_user",
            Change::WrongPassword => "password",
            Change::Source(_) => "source",
            Change::Port => "port",
            Change::Domain(_) => "domain",
            Change::Contact(_) => "contact",
            Change::Expires(_) => "expires",
            Change::CallId => "call-id",
            Change::Pause(_) => "pause",
            Change::Agent(_) => "agent",
        }
    }

    /// What it is changed to.
    pub fn value(&self) -> String {
        match self {
            Change::Realm(text)
            | Change::RealmInHeader(text)
            | Change::RealmInHash(text)
            | Change::AuthUser(text)
            | Change::Domain(text)
            | Change::Contact(text)
            | Change::Agent(text) => text.clone(),
            Change::Algorithm(algorithm) => algorithm.as_str().to_owned(),
            Change::Qop(qop) => qop.map_or("none", Protection::as_str).to_owned(),
            Change::Source(address) => address.to_string(),
            Change::WrongPassword => "a wrong one".to_owned(),
            Change::Port | Change::CallId => "new".to_owned(),
            Change::Expires(seconds) => format_duration(Duration::from_secs((*seconds).into())),
            Change::Pause(span) => format_duration(*span),
        }
    }

    /// The smaller changes it consists of: one of them may be all that is needed.
    pub(super) fn parts(&self) -> Vec<Change> {
        match self {
            Change::Realm(realm) => vec![Change::RealmInHeader(realm.clone()), Change::RealmInHash(realm.clone())],
            // Another address comes with another port.
            Change::Source(_) => vec![Change::Port],
            _ => Vec::new(),
        }
    }

    pub(super) const fn is_control(&self) -> bool {
        matches!(self, Change::Agent(_) | Change::WrongPassword)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.name(), self.value())
    }
}

/// One attempt of an investigation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trial {
    /// As the agent of a run would.
    Baseline,
    Changed(Change),
}

/// The agent and its surroundings, before anything is sent.
#[derive(Clone, PartialEq, Debug)]
pub struct TrialSubject {
    pub user: String,
    pub auth_user: String,
    pub domain: String,
    /// The profile's `realm`.
    pub configured_realm: Option<String>,
    /// Its secret is a password; with a precomputed HA1 user and realm of the hash are fixed.
    pub has_password: bool,
    /// The algorithms its secret can serve.
    pub servable: AlgorithmSet,
    /// Seconds.
    pub expires_s: u32,
    /// Where it sends from.
    pub local: SocketAddr,
    /// The registrar's address.
    pub target: SocketAddr,
    /// Further local addresses that the profile names.
    pub other_sources: Vec<IpAddr>,
    /// An agent of the same trunk for the control.
    pub other_agent: Option<String>,
    /// A wait that is long against the pace of the experiments.
    pub pause: Duration,
}

/// What came of an attempt.
#[derive(Clone, PartialEq, Debug)]
pub struct TrialOutcome {
    pub answer: Answer,
    pub place: Place,
    /// The first challenges that came.
    pub offers: Vec<TrialChallenge>,
    /// The credentials sent last.
    pub used: Option<Used>,
    /// Where the registrar says the request came from.
    pub seen_from: Option<SocketAddr>,
    /// Seconds.
    pub retry_after_s: Option<u32>,
    /// From first request to final answer.
    pub took: Duration,
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// 2xx.
    Granted,
    Refused {
        code: u16,
        reason: String,
    },
    Silence,
    Transport(String),
    /// A challenge that cannot be answered as asked.
    Unusable(Unusable),
    Malformed(String),
}

/// One challenge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrialChallenge {
    pub realm: String,
    /// As written.
    pub algorithm: String,
    /// `None`: one that is not known here.
    pub known: Option<Algorithm>,
    pub qops: Vec<String>,
}

/// How a challenge was answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Used {
    pub algorithm: Algorithm,
    pub qop: Option<Protection>,
    pub header_realm: String,
}

impl TrialOutcome {
    pub fn is_granted(&self) -> bool {
        self.answer == Answer::Granted
    }

    pub fn code(&self) -> Option<u16> {
        match self.answer {
            Answer::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether a phone whose registrar has another address would go on there (RFC 3263 §4.3).
    pub fn leads_on(&self) -> bool {
        matches!(self.answer, Answer::Silence | Answer::Transport(_)) || self.code() == Some(503)
    }

    /// Whether the registrar asked for credentials.
    pub(super) fn was_challenged(&self) -> bool {
        self.place == Place::AfterCredentials || !self.offers.is_empty()
    }

    /// Whether it came further than `other` without succeeding: to an answer at all, to a
    /// challenge, past it.
    pub(super) fn is_beyond(&self, other: &TrialOutcome) -> bool {
        let way = |seen: &TrialOutcome| match seen.answer {
            Answer::Granted => 4,
            _ if seen.place == Place::AfterCredentials => 3,
            _ if seen.was_challenged() => 2,
            Answer::Silence | Answer::Transport(_) => 0,
            _ => 1,
        };
        !self.is_granted() && way(self) > way(other)
    }
}

impl fmt::Display for TrialOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Place::Unchallenged => "before any challenge",
            Place::AfterCredentials => "after credentials",
        };
        match &self.answer {
            Answer::Granted => f.write_str("200"),
            Answer::Refused { code, reason } => write!(f, "{code} {reason}, {place}"),
            Answer::Silence => write!(f, "no answer, {place}"),
            Answer::Transport(reason) => f.write_str(reason),
            Answer::Unusable(reason) => reason.fmt(f),
            Answer::Malformed(reason) => write!(f, "unreadable answer: {reason}"),
        }
    }
}
