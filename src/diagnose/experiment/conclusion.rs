//! What the experiments prove, or which causes they leave open.

use super::change::{Answer, Change, TrialOutcome};
use crate::sip::challenge::Unusable;
use crate::vocab::Place;
use std::fmt;

/// What an investigation ends with; prints as its last line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExperimentConclusion {
    /// Nobody was refused: so many agents registered unchanged.
    Healthy { agents: u32 },
    /// The smallest change that turns the refusal into 200, repeatedly, while the unchanged attempt
    /// stays refused.
    Explained(Change),
    /// No change does; these causes are not excluded.
    Open(Vec<OpenCause>),
}

/// A cause that experiments from here cannot prove.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenCause {
    /// The same attempt is refused and granted by turns.
    Intermittent,
    /// A change leads further, to another refusal: there is more than one cause.
    Several,
    /// The secret is not the account's.
    Password,
    /// The account is unknown, disabled, locked or at a limit of its own.
    Account,
    /// The registrar expects a realm that was not tried.
    Realm,
    /// The registrar and the profile have no algorithm in common.
    Algorithm,
    /// The challenge is broken.
    Challenge,
    /// The registrar admits other addresses only, or has banned this one.
    SourceAddress,
    /// The registrar does not serve the domain.
    Domain,
    /// A limit on registrations is reached.
    Limit,
    /// Too many requests in too short a time.
    Rate,
    /// The lifetime asked for.
    Expires,
    /// The registrar is in trouble.
    Server,
    /// Requests or answers get lost on the way, or nobody is there.
    Network,
}

impl OpenCause {
    pub const fn as_str(self) -> &'static str {
        match self {
            OpenCause::Intermittent => "intermittent",
            OpenCause::Several => "several-causes",
            OpenCause::Password => "password",
            OpenCause::Account => "account",
            OpenCause::Realm => "realm",
            OpenCause::Algorithm => "algorithm",
            OpenCause::Challenge => "challenge",
            OpenCause::SourceAddress => "source-address",
            OpenCause::Domain => "domain",
            OpenCause::Limit => "limit",
            OpenCause::Rate => "rate",
            OpenCause::Expires => "expires",
            OpenCause::Server => "server",
            OpenCause::Network => "network",
        }
    }
}

impl fmt::Display for OpenCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for ExperimentConclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("conclusion: ")?;
        match self {
            ExperimentConclusion::Healthy { agents: 1 } => f.write_str("none = nobody is refused: the agent registers"),
            ExperimentConclusion::Healthy { agents } => {
                write!(f, "none = nobody is refused: all {agents} agents tried register")
            }
            ExperimentConclusion::Explained(change) => change.fmt(f),
            ExperimentConclusion::Open(causes) => {
                let names: Vec<&str> = causes.iter().map(|cause| cause.as_str()).collect();
                write!(f, "open: {}", names.join(", "))
            }
        }
    }
}

/// What the experiments showed besides their answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Circumstances {
    /// Whether another agent was granted; `None` without a control.
    pub control: Option<bool>,
    /// Kinds of changes that were tried in vain, by name.
    pub vain: Vec<&'static str>,
    /// A wrong password is answered in another way: the one in use was found right.
    pub password_checked: bool,
    /// A change led further without success.
    pub progressed: bool,
    /// A change helped once, and not again.
    pub unrepeated: bool,
}

/// The causes of `first` that the evidence does not exclude, the likelier first.
pub(super) fn open_causes(first: &TrialOutcome, evidence: &Circumstances) -> Vec<OpenCause> {
    let mut causes = possible(first);
    if evidence.control == Some(true) {
        // Another agent comes in by the same way: what they share is not the cause.
        causes.retain(|cause| matches!(cause, OpenCause::Password | OpenCause::Account | OpenCause::Expires));
        if causes.is_empty() {
            causes.push(OpenCause::Account);
        }
    }
    if evidence.password_checked {
        causes.retain(|cause| !matches!(cause, OpenCause::Password | OpenCause::Realm));
    }
    let in_vain = |change: &str| evidence.vain.contains(&change);
    if in_vain("pause") {
        causes.retain(|cause| *cause != OpenCause::Rate);
    }
    if in_vain("source") && first.place == Place::AfterCredentials {
        causes.retain(|cause| *cause != OpenCause::SourceAddress);
    }
    let said = [(evidence.unrepeated, OpenCause::Intermittent), (evidence.progressed, OpenCause::Several)];
    let said = said.into_iter().filter_map(|(so, cause)| so.then_some(cause));
    said.chain(causes).collect()
}

/// What may lie behind an answer, before any experiment.
fn possible(first: &TrialOutcome) -> Vec<OpenCause> {
    use OpenCause::{Account, Challenge, Domain, Limit, Network, Password, Rate, Realm, Server, SourceAddress};
    match (&first.answer, first.place) {
        (Answer::Granted, _) => vec![OpenCause::Intermittent],
        (Answer::Unusable(Unusable::NoAcceptedAlgorithm), _) => vec![OpenCause::Algorithm],
        (Answer::Unusable(Unusable::Realm), _) => vec![Realm],
        (Answer::Unusable(_), _) => vec![Challenge],
        (Answer::Malformed(_), _) => vec![Server, Network],
        (Answer::Transport(_), _) => vec![Network],
        (Answer::Silence, _) => vec![Network, SourceAddress, Server],
        (Answer::Refused { code: 401 | 407, .. }, _) => vec![Password, Account, Realm],
        (Answer::Refused { code: 423, .. }, _) => vec![OpenCause::Expires],
        (Answer::Refused { code: 404 | 604, .. }, _) => vec![Account, Domain],
        (Answer::Refused { code: 500..=599, .. }, _) => vec![Server, Limit, Rate],
        (Answer::Refused { .. }, Place::Unchallenged) => vec![SourceAddress, Domain, Account, Rate],
        (Answer::Refused { .. }, Place::AfterCredentials) => {
            vec![Password, Account, Realm, SourceAddress, Limit, Rate]
        }
    }
}
