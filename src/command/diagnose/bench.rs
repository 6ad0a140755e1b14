//! The bench experiments are made on: it turns a trial into a probe, keeps the pace, and removes
//! what a probe bound.

use crate::agent::Credential;
use crate::agent::probe::{
    Call, ProbeEnd, ProbeOffer, ProbeOutcome, ProbeRequest, QopRule, RealmRule, SentCredentials,
};
use crate::command::failure::Failure;
use crate::command::probing::register_of;
use crate::diagnose::experiment::{Answer, Change, Trial, TrialChallenge, TrialOutcome, TrialSubject, Used};
use crate::engine::{Carrier, ProbeSocket};
use crate::load::Pace;
use crate::net::clock::Clock;
use crate::plan::Plan;
use crate::seed::Seed;
use crate::sip::{Algorithm, AlgorithmSet, Protection};
use crate::vocab::{AgentId, Place, Secret, Time, saturating_u32};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The least pause that a change of pace waits, in gaps of the pace.
const PAUSE_GAPS: u32 = 10;

/// Where an exchange takes place; a simulated one stands in for the network in tests.
pub(super) trait ProbeLine {
    fn now(&self) -> Time;
    fn rest(&mut self, until: Time) -> Result<(), Failure>;
    fn local(&self) -> SocketAddr;
    /// One exchange over the line's own port.
    fn exchange(&mut self, request: &ProbeRequest) -> ProbeOutcome;
    /// Another line to the same target, from a new port on `source` (`None`: this line's own
    /// address).
    ///
    /// # Errors
    /// Why there is no such port.
    fn open(&self, source: Option<IpAddr>) -> Result<Box<dyn ProbeLine>, String>;
}

/// A port of this machine.
pub(super) struct RealLine {
    socket: ProbeSocket,
    over: Carrier,
    target: SocketAddr,
    clock: Clock,
}

impl RealLine {
    /// # Errors
    /// When there is no such port; the text says why.
    pub(super) fn open(
        over: Carrier,
        source: Option<IpAddr>,
        target: SocketAddr,
        clock: Clock,
    ) -> Result<RealLine, String> {
        let socket = ProbeSocket::open(&over, source, target, clock).map_err(|error| error.to_string())?;
        Ok(RealLine { socket, over, target, clock })
    }
}

impl ProbeLine for RealLine {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn rest(&mut self, until: Time) -> Result<(), Failure> {
        self.socket.rest(until).map_err(|error| Failure::could_not(format!("waiting failed: {error}")))
    }

    fn local(&self) -> SocketAddr {
        self.socket.local_addr()
    }

    fn exchange(&mut self, request: &ProbeRequest) -> ProbeOutcome {
        self.socket.exchange(request)
    }

    fn open(&self, source: Option<IpAddr>) -> Result<Box<dyn ProbeLine>, String> {
        let source = source.unwrap_or_else(|| self.local().ip());
        Ok(Box::new(RealLine::open(self.over.clone(), Some(source), self.target, self.clock)?))
    }
}

/// One agent on the bench.
pub(super) struct Bench<'a, L: ProbeLine> {
    plan: &'a Plan,
    seed: Seed,
    agent: AgentId,
    target: SocketAddr,
    line: L,
    pace: Pace,
    /// The agent as it would register in a run.
    unchanged: ProbeRequest,
    /// Calls begun so far.
    calls: u64,
    /// Bindings that could not be removed.
    left_behind: u32,
}

impl<'a, L: ProbeLine> Bench<'a, L> {
    /// Puts an agent on the bench; `first_call` sets its calls apart from those of agents before.
    pub(super) fn new(
        plan: &'a Plan,
        agent: AgentId,
        (line, target): (L, SocketAddr),
        pace: Pace,
        patience: Duration,
        (seed, first_call): (Seed, u64),
    ) -> Self {
        let unchanged = register_of(plan, agent, Call::new(seed, first_call), patience);
        Bench { plan, seed, agent, target, line, pace, unchanged, calls: first_call + 1, left_behind: 0 }
    }

    /// Gives back the pace, and the number of the next call, for the next agent.
    pub(super) fn into_pace(self) -> (Pace, u64) {
        (self.pace, self.calls)
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.line.local()
    }

    /// Bindings that could not be removed.
    pub(super) fn left_behind(&self) -> u32 {
        self.left_behind
    }

    pub(super) fn subject(&self) -> TrialSubject {
        let identity = self.plan.identities.get(self.agent);
        let trunk = &self.plan.trunks[identity.trunk.index()];
        let (has_password, servable) = match identity.credential {
            Credential::Password(_) => (true, AlgorithmSet::ALL),
            Credential::Ha1(ha1) => {
                let fitting = Algorithm::ALL.into_iter().filter(|&algorithm| ha1.fits(algorithm));
                (false, fitting.fold(AlgorithmSet::EMPTY, AlgorithmSet::with))
            }
        };
        TrialSubject {
            user: identity.user.to_owned(),
            auth_user: identity.auth_user.to_owned(),
            domain: self.unchanged.domain.clone(),
            configured_realm: trunk.policy.realm.clone(),
            has_password,
            servable,
            expires_s: self.unchanged.expires_s,
            local: self.local(),
            target: self.target,
            other_sources: self.other_sources(),
            other_agent: self.control().map(|agent| self.plan.identities.get(agent).user.to_owned()),
            pause: self.pace.gap() * PAUSE_GAPS,
        }
    }

    /// Carries out one trial in its time, and removes the binding it made.
    ///
    /// # Errors
    /// When waiting fails.
    pub(super) fn attempt(&mut self, trial: &Trial) -> Result<TrialOutcome, Failure> {
        let mut request = self.unchanged.clone();
        let (mut pause, mut other_line) = (Duration::ZERO, None);
        if let Trial::Changed(change) = trial {
            match change {
                Change::Pause(span) => pause = *span,
                Change::Source(_) | Change::Port => {
                    let source = if let Change::Source(source) = change { Some(*source) } else { None };
                    match self.line.open(source) {
                        Ok(line) => other_line = Some(line),
                        Err(reason) => return Ok(unsent(reason)),
                    }
                }
                Change::CallId => request.call = self.new_call(),
                Change::Agent(_) => {
                    if let Some(agent) = self.control() {
                        request = register_of(self.plan, agent, self.new_call(), request.patience);
                    }
                }
                other => apply(other, &mut request),
            }
        }
        self.rest(pause)?;
        let outcome = exchange(&mut self.line, &mut other_line, &request);
        let asked = std::mem::replace(&mut request.call, outcome.call);
        if may_be_bound(&outcome) {
            self.rest(Duration::ZERO)?;
            request.expires_s = 0;
            let removal = exchange(&mut self.line, &mut other_line, &request);
            request.call = removal.call;
            self.left_behind += u32::from(!removal.is_granted());
        }
        if asked == self.unchanged.call {
            self.unchanged.call = request.call;
        }
        Ok(observed(&outcome))
    }

    fn rest(&mut self, pause: Duration) -> Result<(), Failure> {
        let begin = self.pace.begin(self.line.now(), pause);
        self.line.rest(begin)
    }

    fn new_call(&mut self) -> Call {
        self.calls += 1;
        Call::new(self.seed, self.calls - 1)
    }

    /// Local addresses that the profile names for any trunk, each once.
    fn other_sources(&self) -> Vec<IpAddr> {
        let own = self.local().ip();
        let mut others: Vec<IpAddr> = Vec::new();
        for &source in self.plan.trunks.iter().flat_map(|trunk| &trunk.source) {
            if source != own && source.is_ipv4() == own.is_ipv4() && !others.contains(&source) {
                others.push(source);
            }
        }
        others
    }

    /// An agent of the same trunk to compare with: rather one that behaves as its trunk's agents
    /// do.
    fn control(&self) -> Option<AgentId> {
        let own = self.plan.identities.get(self.agent);
        let agents = || (0..saturating_u32(self.plan.identities.len())).map(AgentId);
        let of_trunk = |agent: &AgentId| {
            let identity = self.plan.identities.get(*agent);
            identity.trunk == own.trunk && identity.user != own.user
        };
        let plain = |agent: &AgentId| self.plan.identities.policy(*agent) == own.trunk.index();
        agents().filter(of_trunk).find(plain).or_else(|| agents().find(of_trunk))
    }
}

fn exchange(own: &mut impl ProbeLine, other: &mut Option<Box<dyn ProbeLine>>, request: &ProbeRequest) -> ProbeOutcome {
    match other {
        Some(line) => line.exchange(request),
        None => own.exchange(request),
    }
}

/// Without a final answer to credentials the registrar may have taken the binding all the same.
fn may_be_bound(outcome: &ProbeOutcome) -> bool {
    let unanswered = matches!(outcome.end, ProbeEnd::TimedOut | ProbeEnd::Malformed(_));
    outcome.is_granted() || unanswered && outcome.place() == Place::AfterCredentials
}

/// The changes that are made in the request itself.
fn apply(change: &Change, request: &mut ProbeRequest) {
    let answer = &mut request.answer;
    match change {
        Change::Realm(realm) => {
            answer.required_realm = None;
            answer.header_realm = RealmRule::Text(realm.clone());
            answer.hash_realm = RealmRule::Text(realm.clone());
        }
        Change::RealmInHeader(realm) => answer.header_realm = RealmRule::Text(realm.clone()),
        Change::RealmInHash(realm) => answer.hash_realm = RealmRule::Text(realm.clone()),
        Change::Algorithm(algorithm) => answer.algorithms = AlgorithmSet::EMPTY.with(*algorithm),
        Change::Qop(qop) => {
            answer.qop = match qop {
                Some(Protection::Auth) => QopRule::Auth,
                Some(Protection::AuthInt) => QopRule::AuthInt,
                None => QopRule::None,
            };
        }
        Change::AuthUser(user) => request.auth_user.clone_from(user),
        Change::WrongPassword => {
            if let Credential::Password(right) = &request.credential {
                request.credential = Credential::Password(Secret::new(format!("{}-wrong", right.reveal())));
            }
        }
        Change::Domain(domain) => request.domain.clone_from(domain),
        Change::Contact(host) => request.contact_host = Some(host.clone()),
        Change::Expires(seconds) => request.expires_s = *seconds,
        // Made around the request, not in it.
        Change::Source(_) | Change::Port | Change::CallId | Change::Pause(_) | Change::Agent(_) => {}
    }
}

/// A trial that could not take place.
fn unsent(reason: String) -> TrialOutcome {
    TrialOutcome {
        answer: Answer::Transport(reason),
        place: Place::Unchallenged,
        offers: Vec::new(),
        used: None,
        seen_from: None,
        retry_after_s: None,
        took: Duration::ZERO,
    }
}

/// What a probe saw, as far as an investigation needs it.
pub(super) fn observed(outcome: &ProbeOutcome) -> TrialOutcome {
    let answer = outcome.answer();
    TrialOutcome {
        answer: match (&outcome.end, answer) {
            (ProbeEnd::Answered, _) if outcome.is_granted() => Answer::Granted,
            (ProbeEnd::Answered, Some(answer)) => Answer::Refused { code: answer.code, reason: answer.reason.clone() },
            (ProbeEnd::Answered | ProbeEnd::TimedOut, _) => Answer::Silence,
            (ProbeEnd::Transport(reason), _) => Answer::Transport(reason.clone()),
            (ProbeEnd::Unusable(unusable), _) => Answer::Unusable(*unusable),
            (ProbeEnd::Malformed(reason), _) => Answer::Malformed(reason.clone()),
        },
        place: outcome.place(),
        offers: outcome.offers().iter().map(offer).collect(),
        used: outcome.credentials().map(used),
        seen_from: answer
            .and_then(|answer| Some(SocketAddr::new(answer.received.as_deref()?.parse().ok()?, answer.rport?))),
        retry_after_s: answer.and_then(|answer| answer.retry_after_s),
        took: outcome.took(),
    }
}

fn offer(offered: &ProbeOffer) -> TrialChallenge {
    let ProbeOffer { realm, algorithm, known, qops, .. } = offered.clone();
    TrialChallenge { realm, algorithm, known, qops }
}

fn used(sent: &SentCredentials) -> Used {
    Used { algorithm: sent.algorithm, qop: sent.qop, header_realm: sent.header_realm.clone() }
}

#[cfg(test)]
#[path = "bench_tests.rs"]
mod tests;
