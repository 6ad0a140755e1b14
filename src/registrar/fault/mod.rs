//! The faults of the registrar: whom each concerns, when, and in which order they act.
//!
//! A request meets them in this order: `drop` (lost on its way in), `duplicate`, `reorder`,
//! `freeze`, `deny`, `transactions`, then `challenge-again` and `stale` where credentials are
//! judged, and, after correct ones, `refuse`, `limit`, `rate` and `oscillate` in profile order;
//! `realm` changes what credentials are checked against. A reply meets `drop`, `duplicate`,
//! `corrupt`, `delay` and `reorder`, `freeze`. Each file holds one kind (`chance` what three of
//! them share, `connections` those that concern connections and not what is said over them); the
//! registrar asks, no fault acts by itself.

mod challenge_again;
mod chance;
pub(super) mod connections;
mod corrupt;
mod delay;
mod deny;
mod drop;
mod duplicate;
mod freeze;
mod limit;
mod oscillate;
mod rate;
mod realm;
mod refuse;
mod reorder;
mod restart;
mod stale;
mod transactions;

pub(super) use freeze::Frozen;

use super::authenticate::RealmPair;
use super::config::{Fault, FaultKind};
use crate::link::DueQueue;
use crate::seed::{Purpose, Seed};
use crate::vocab::Time;
use challenge_again::ChallengeAgain;
use corrupt::Damage;
use delay::Hold;
use deny::Deny;
use drop::Loss;
use duplicate::Twin;
use freeze::Freeze;
use limit::BindingLimit;
use oscillate::Oscillate;
use rate::RateLimit;
use realm::OtherRealm;
use refuse::Refuse;
use reorder::Shuffle;
use restart::Absence;
use stale::Stale;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use transactions::Transactions;

/// All faults of a profile.
#[derive(Debug)]
pub(super) struct Faults {
    /// Windows count from here.
    start: Time,
    denials: Vec<Deny>,
    doors: Vec<Transactions>,
    again: Vec<ChallengeAgain>,
    stale: Vec<Stale>,
    realms: Vec<OtherRealm>,
    gates: Vec<Gate>,
    losses: Vec<Loss>,
    twins: Vec<Twin>,
    shuffles: Vec<Shuffle>,
    damages: Vec<Damage>,
    holds: Vec<Hold>,
    freezes: Vec<Freeze>,
    absences: Vec<Absence>,
    /// Requests that others may overtake, until they are handled after all.
    overtaken: DueQueue<Frozen>,
}

/// A fault that speaks after correct credentials.
#[derive(Debug)]
enum Gate {
    Limit(BindingLimit),
    Oscillate(Oscillate),
    Rate(RateLimit),
    Refuse(Refuse),
}

/// How far a datagram has come on its way in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Passage {
    Arrived,
    /// It has been held by a `reorder`.
    Overtaken,
    /// It comes out of the freeze of this number.
    Thawed(usize),
}

/// A challenge that credentials get whatever they are worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rechallenge {
    Plain,
    Stale,
}

/// What a request with correct credentials would do to the bindings.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Effect<'a> {
    /// It makes or refreshes a binding.
    pub registers: bool,
    /// It binds this address of record, which has no binding yet.
    pub adds: Option<FaultSubject<'a>>,
    /// The name in its credentials.
    pub account: &'a [u8],
}

/// What a fault answers instead of the registrar.
#[derive(Clone, Debug)]
pub(super) struct FaultRefusal {
    pub code: u16,
    pub reason: Arc<str>,
    pub retry_after_s: Option<u32>,
}

/// What a fault knows of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct FaultSubject<'a> {
    /// User of the address of record; `None` when the request names none that can be read.
    pub user: Option<&'a [u8]>,
    /// Host of the Request-URI; empty when it cannot be read.
    pub domain: &'a [u8],
    pub source: IpAddr,
    /// The address it was sent to, where the registrar has several.
    pub asked: Option<IpAddr>,
}

/// Whom a fault concerns, and when.
#[derive(Clone, Debug)]
struct FaultScope {
    from: Duration,
    until: Option<Duration>,
    share: f64,
    sources: Vec<IpAddr>,
    addresses: Vec<IpAddr>,
    domain: Option<String>,
    seed: Seed,
    /// Position in the profile: two faults with the same share hit different agents.
    id: u64,
}

/// Which way a datagram goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FaultDirection {
    Request,
    Reply,
}

impl Faults {
    pub(super) fn new(faults: &[Fault], seed: Seed, start: Time) -> Self {
        let mut all = Faults {
            start,
            denials: Vec::new(),
            doors: Vec::new(),
            again: Vec::new(),
            stale: Vec::new(),
            realms: Vec::new(),
            gates: Vec::new(),
            losses: Vec::new(),
            twins: Vec::new(),
            shuffles: Vec::new(),
            damages: Vec::new(),
            holds: Vec::new(),
            freezes: Vec::new(),
            absences: Vec::new(),
            overtaken: DueQueue::new(),
        };
        for (fault, id) in faults.iter().zip(0..) {
            all.add(&fault.kind, FaultScope::new(fault, seed, id));
        }
        all
    }

    fn add(&mut self, kind: &FaultKind, scope: FaultScope) {
        match kind {
            FaultKind::Limit { concurrent, scope: counted, code, reason } => {
                self.gates.push(Gate::Limit(BindingLimit::new(
                    scope,
                    *concurrent,
                    *counted,
                    FaultRefusal::new(*code, reason),
                )));
            }
            FaultKind::Transactions { concurrent, code, reason } => {
                self.doors.push(Transactions::new(scope, *concurrent, FaultRefusal::new(*code, reason)));
            }
            FaultKind::Rate { per_second, burst, code, reason, retry_after_s } => {
                let refusal = FaultRefusal { retry_after_s: *retry_after_s, ..FaultRefusal::new(*code, reason) };
                self.gates.push(Gate::Rate(RateLimit::new(scope, *per_second, *burst, refusal)));
            }
            FaultKind::Deny { code, reason } => self.denials.push(Deny::new(scope, FaultRefusal::new(*code, reason))),
            FaultKind::Refuse { code, reason } => {
                self.gates.push(Gate::Refuse(Refuse::new(scope, FaultRefusal::new(*code, reason))));
            }
            FaultKind::Realm { challenge, verify } => self.realms.push(OtherRealm::new(scope, challenge, verify)),
            FaultKind::Stale => self.stale.push(Stale::new(scope)),
            FaultKind::ChallengeAgain => self.again.push(ChallengeAgain::new(scope)),
            FaultKind::Oscillate { period, code, reason } => {
                self.gates.push(Gate::Oscillate(Oscillate::new(scope, *period, FaultRefusal::new(*code, reason))));
            }
            FaultKind::Delay(delay) => self.holds.push(Hold::new(scope, *delay)),
            FaultKind::Drop { probability } => self.losses.push(Loss::new(scope, *probability)),
            FaultKind::Duplicate { probability } => self.twins.push(Twin::new(scope, *probability)),
            FaultKind::Reorder { probability, delay } => {
                self.shuffles.push(Shuffle::new(scope, *probability, *delay));
            }
            FaultKind::Corrupt { probability } => self.damages.push(Damage::new(scope, *probability)),
            FaultKind::Freeze => self.freezes.push(Freeze::new(scope)),
            FaultKind::Restart { forget } => self.absences.push(Absence::new(scope, *forget)),
            // Of connections: whoever has them asks for it.
            FaultKind::Reset { .. }
            | FaultKind::SlowAccept { .. }
            | FaultKind::HalfOpen { .. }
            | FaultKind::Certificate { .. }
            | FaultKind::CloseIdle { .. } => {}
        }
    }

    pub(super) fn set_start(&mut self, start: Time) {
        self.start = start;
    }

    /// Whether nobody is there to hear anything.
    pub(super) fn is_away(&self, now: Time) -> bool {
        let elapsed = now.since(self.start);
        self.absences.iter().any(|absence| absence.is_away(elapsed))
    }

    /// Whether a restart has lost every binding since this was last asked.
    pub(super) fn forgets(&mut self, now: Time) -> bool {
        let elapsed = now.since(self.start);
        // Counted rather than stopped at the first: each is asked.
        self.absences.iter_mut().filter_map(|absence| absence.forgets(elapsed).then_some(())).count() > 0
    }

    /// Whether this datagram is lost. Draws one number for each loss that concerns it.
    pub(super) fn loses(&mut self, now: Time, direction: FaultDirection, subject: &FaultSubject<'_>) -> bool {
        let elapsed = now.since(self.start);
        // Counted rather than stopped at the first: each loss draws, whatever the others did.
        self.losses.iter_mut().filter_map(|loss| loss.takes(elapsed, direction, subject).then_some(())).count() > 0
    }

    /// How many times this datagram arrives more than once.
    pub(super) fn duplicates(&mut self, now: Time, direction: FaultDirection, subject: &FaultSubject<'_>) -> usize {
        let elapsed = now.since(self.start);
        self.twins.iter_mut().filter_map(|twin| twin.copies(elapsed, direction, subject).then_some(())).count()
    }

    /// Until when others may overtake this request; `None` when it is not held, or too many are.
    pub(super) fn overtakes(&mut self, now: Time, subject: &FaultSubject<'_>) -> Option<Time> {
        let elapsed = now.since(self.start);
        let shuffles = self.shuffles.iter_mut();
        let hold: Duration = shuffles.map(|shuffle| shuffle.hold(elapsed, FaultDirection::Request, subject)).sum();
        (!hold.is_zero() && self.overtaken.len() < MAX_OVERTAKEN).then(|| now + hold)
    }

    /// Holds a request until `due`.
    pub(super) fn hold(&mut self, due: Time, request: Frozen) {
        self.overtaken.push(due, request);
    }

    /// The freeze that catches a request, if any. A request that a freeze has just let go is not
    /// caught by the same one again, or it would never be answered.
    pub(super) fn freeze(&mut self, now: Time, subject: &FaultSubject<'_>, passage: Passage) -> Option<&mut Freeze> {
        let elapsed = now.since(self.start);
        let mut numbered = self.freezes.iter_mut().enumerate();
        let caught = numbered.find(|(n, freeze)| passage != Passage::Thawed(*n) && freeze.catches(elapsed, subject));
        caught.map(|(_, freeze)| freeze)
    }

    /// The next request that was held and is to be handled by now, and what it comes out of.
    pub(super) fn thaw(&mut self, now: Time) -> Option<(Passage, Frozen)> {
        if let Some(request) = self.overtaken.pop(now) {
            return Some((Passage::Overtaken, request));
        }
        let elapsed = now.since(self.start);
        let mut freezes = self.freezes.iter_mut().enumerate();
        freezes.find_map(|(n, freeze)| Some((Passage::Thawed(n), freeze.release(elapsed)?)))
    }

    /// When the next held request may be handled.
    pub(super) fn next_thaw(&self) -> Option<Time> {
        let end = self.freezes.iter().filter_map(|freeze| freeze.ends_with_work()).min();
        [end.map(|end| self.start + end), self.overtaken.next_due()].into_iter().flatten().min()
    }

    pub(super) fn denial(&self, now: Time, subject: &FaultSubject<'_>) -> Option<&FaultRefusal> {
        let elapsed = now.since(self.start);
        self.denials.iter().find_map(|deny| deny.refusal(elapsed, subject))
    }

    /// The refusal of one more transaction, where too many are open.
    pub(super) fn too_many_open(&mut self, now: Time, subject: &FaultSubject<'_>) -> Option<&FaultRefusal> {
        let elapsed = now.since(self.start);
        self.doors.iter_mut().find_map(|door| door.refusal(now, elapsed, subject))
    }

    /// The final answer of a REGISTER transaction leaves then.
    pub(super) fn opened(&mut self, leaves: Time, subject: &FaultSubject<'_>) {
        self.doors.iter_mut().for_each(|door| door.opened(leaves, subject));
    }

    /// The realm to challenge with and the one to check against, where they differ from the
    /// registrar's own.
    pub(super) fn realm(&self, now: Time, subject: &FaultSubject<'_>) -> Option<RealmPair<'_>> {
        let elapsed = now.since(self.start);
        self.realms.iter().find_map(|realm| realm.protection(elapsed, subject))
    }

    /// The challenge that any credentials get.
    pub(super) fn rechallenge(&self, now: Time, subject: &FaultSubject<'_>) -> Option<Rechallenge> {
        let elapsed = now.since(self.start);
        if self.again.iter().any(|again| again.covers(elapsed, subject)) {
            return Some(Rechallenge::Plain);
        }
        self.stale.iter().any(|stale| stale.covers(elapsed, subject)).then_some(Rechallenge::Stale)
    }

    /// What is refused after correct credentials.
    pub(super) fn gate(&self, now: Time, subject: &FaultSubject<'_>, effect: &Effect<'_>) -> Option<&FaultRefusal> {
        let elapsed = now.since(self.start);
        self.gates.iter().find_map(|gate| match gate {
            Gate::Refuse(refuse) => refuse.refusal(elapsed, subject),
            Gate::Oscillate(oscillate) => oscillate.refusal(elapsed, subject),
            Gate::Limit(limit) => limit.refusal(elapsed, effect.adds.as_ref()?, effect.account),
            Gate::Rate(rate) => effect.registers.then(|| rate.refusal(now, elapsed, subject))?,
        })
    }

    /// Whether a limit counts by the name in the credentials.
    pub(super) fn count_accounts(&self) -> bool {
        self.gates.iter().any(|gate| matches!(gate, Gate::Limit(limit) if limit.counts_accounts()))
    }

    /// An address of record got its first binding, with the credentials of `account`.
    pub(super) fn joined(&mut self, aor: &FaultSubject<'_>, account: &[u8]) {
        self.limits().for_each(|limit| limit.joined(aor, account));
    }

    /// An address of record lost its last binding; `aor` is the same as when it joined.
    pub(super) fn left(&mut self, aor: &FaultSubject<'_>) {
        self.limits().for_each(|limit| limit.left(aor));
    }

    fn limits(&mut self) -> impl Iterator<Item = &mut BindingLimit> {
        self.gates.iter_mut().filter_map(|gate| match gate {
            Gate::Limit(limit) => Some(limit),
            Gate::Oscillate(_) | Gate::Rate(_) | Gate::Refuse(_) => None,
        })
    }

    /// Makes a reply unreadable in its place: its new length, or `None` when it is spared.
    pub(super) fn spoil(&mut self, now: Time, subject: &FaultSubject<'_>, reply: &mut [u8]) -> Option<usize> {
        let elapsed = now.since(self.start);
        let mut spoilt = None;
        for damage in &mut self.damages {
            let len = spoilt.unwrap_or(reply.len());
            spoilt = damage.spoil(elapsed, subject, &mut reply[..len]).or(spoilt);
        }
        spoilt
    }

    /// When a reply made at `now` may leave: after the sum of its delays, and not within a freeze.
    /// [`Time::NEVER`] in a freeze without an end.
    pub(super) fn release(&mut self, now: Time, subject: &FaultSubject<'_>) -> Time {
        let elapsed = now.since(self.start);
        let held = self.holds.iter_mut().fold(now, |due, hold| due + hold.sample(elapsed, subject));
        let shuffles = self.shuffles.iter_mut();
        let mut due = shuffles.fold(held, |due, shuffle| due + shuffle.hold(elapsed, FaultDirection::Reply, subject));
        // Freezes may overlap: out of one, a reply may fall into another, but never twice into the
        // same.
        for _ in 0..self.freezes.len() {
            let at = due.since(self.start);
            match self.freezes.iter().find_map(|freeze| freeze.end_for(at, subject)) {
                None => break,
                Some(None) => return Time::NEVER,
                Some(Some(end)) => due = self.start + end,
            }
        }
        due
    }
}

impl FaultRefusal {
    fn new(code: u16, reason: &str) -> Self {
        FaultRefusal { code, reason: reason.into(), retry_after_s: None }
    }
}

impl FaultScope {
    fn new(fault: &Fault, seed: Seed, id: u64) -> Self {
        FaultScope {
            from: fault.from,
            until: fault.until,
            share: fault.share,
            sources: fault.sources.clone(),
            addresses: fault.addresses.clone(),
            domain: fault.domain.clone(),
            seed,
            id,
        }
    }

    /// Whether the fault acts on this subject now.
    fn covers(&self, elapsed: Duration, subject: &FaultSubject<'_>) -> bool {
        self.is_open(elapsed) && self.concerns(subject)
    }

    fn is_open(&self, elapsed: Duration) -> bool {
        self.from <= elapsed && self.until.is_none_or(|until| elapsed < until)
    }

    /// Whether the fault acts on this subject whenever its window is open.
    fn concerns(&self, subject: &FaultSubject<'_>) -> bool {
        (self.sources.is_empty() || self.sources.contains(&subject.source))
            && (self.addresses.is_empty() || subject.asked.is_some_and(|asked| self.addresses.contains(&asked)))
            && self.domain.as_ref().is_none_or(|domain| subject.domain.eq_ignore_ascii_case(domain.as_bytes()))
            && self.chooses(subject.user)
    }

    /// The same users on every run with the seed, and those of a smaller share within those of a
    /// larger one.
    fn chooses(&self, user: Option<&[u8]>) -> bool {
        match user {
            _ if self.share >= 1.0 => true,
            Some(user) if self.share > 0.0 => self.seed.unit(Purpose::Fault, fnv1a(user), self.id) < self.share,
            _ => false,
        }
    }
}

/// The most requests held at once for others to overtake, as many as a freeze holds.
const MAX_OVERTAKEN: usize = 1 << 17;

/// FNV-1a: spreads users over the streams, the same on every machine.
pub(super) fn fnv1a(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn scope(share: f64, id: u64) -> FaultScope {
        FaultScope {
            from: Duration::from_secs(10),
            until: Some(Duration::from_secs(20)),
            share,
            sources: Vec::new(),
            addresses: Vec::new(),
            domain: None,
            seed: Seed(7),
            id,
        }
    }

    fn subject(user: &str) -> FaultSubject<'_> {
        FaultSubject {
            user: Some(user.as_bytes()),
            domain: b"example.test",
            source: Ipv4Addr::LOCALHOST.into(),
            asked: None,
        }
    }

    fn chosen(scope: &FaultScope) -> Vec<usize> {
        (0..2_000).filter(|n| scope.concerns(&subject(&format!("agent{n:05}")))).collect()
    }

    #[test]
    fn the_window_is_half_open() {
        let scope = scope(1.0, 0);
        let open = [9_999, 10_000, 19_999, 20_000].map(|ms| scope.covers(Duration::from_millis(ms), &subject("a")));
        assert_eq!(open, [false, true, true, false]);
    }

    #[test]
    fn a_share_is_stable_nested_and_differs_between_faults() {
        let (tenth, fifth, other) = (chosen(&scope(0.1, 0)), chosen(&scope(0.2, 0)), chosen(&scope(0.1, 1)));
        assert!((150..250).contains(&tenth.len()), "{}", tenth.len());
        assert_eq!(tenth, chosen(&scope(0.1, 0)));
        assert!(tenth.iter().all(|n| fifth.contains(n)));
        assert_ne!(tenth, other);
        assert_eq!((chosen(&scope(0.0, 0)).len(), chosen(&scope(1.0, 0)).len()), (0, 2_000));
    }

    #[test]
    fn filters_by_source_and_domain() {
        let mut scope = scope(1.0, 0);
        scope.sources = vec![Ipv4Addr::new(127, 0, 0, 3).into()];
        scope.domain = Some("Example.test".into());
        assert!(!scope.concerns(&subject("a")));
        let listed = FaultSubject { source: Ipv4Addr::new(127, 0, 0, 3).into(), ..subject("a") };
        assert!(scope.concerns(&listed));
        assert!(!scope.concerns(&FaultSubject { domain: b"other.test", ..listed }));
    }

    #[test]
    fn without_a_user_only_a_fault_for_all_concerns() {
        let nobody = FaultSubject { user: None, ..subject("a") };
        assert!(scope(1.0, 0).concerns(&nobody));
        assert!(!scope(0.99, 0).concerns(&nobody));
    }
}
