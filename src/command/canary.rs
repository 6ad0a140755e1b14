//! Canaries: agents that register by themselves to see whether a registrar still takes them.
//! `watch` has nothing else; a run has them beside its load, so that what becomes of them is the
//! registrar's doing or that of whoever guards it, and not the load's own trouble.

use super::carriers::{carrier, carriers};
use super::failure::Failure;
use super::output::say;
use super::prober::{MOST, Prober};
use super::probing::register_as;
use super::renew::{AGAIN, next_look_up};
use super::route::ProbeRoute;
use super::targets::{LookUp, TrunkTargets, ask, without_trunk};
use crate::agent::probe::{Call, ProbeEnd, ProbeOutcome, ProbeRequest};
use crate::diagnose::findings::counted;
use crate::diagnose::readiness::{place, said};
use crate::engine::{CanaryBooks, Carrier, Server};
use crate::net::clock::Clock;
use crate::plan::{AgentAccount, Plan, TrunkPlan};
use crate::record::{CanaryNote, CanaryTurn};
use crate::vocab::{Time, said as as_kept, saturating_u16};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Messages a second that the canaries of a run may send; the load's own ceiling is lower by these.
pub(super) const CANARY_MESSAGES: u32 = MOST;
/// The time between two checks is that of an interval, within these.
const EVERY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];
/// How long a request may stay unanswered: three transmissions.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// One agent that stands for its trunk.
pub(super) struct Canary {
    pub(super) trunk: TrunkPlan,
    pub(super) account: AgentAccount,
    pub(super) source: Option<IpAddr>,
    pub(super) carrier: Carrier,
    /// `None`: the name did not resolve so far.
    pub(super) route: Option<ProbeRoute>,
    /// When its name is to be looked up again.
    pub(super) look_up_at: Time,
    pub(super) call: Call,
    /// Whether a binding may be left at the registrar.
    pub(super) bound: bool,
}

/// What canaries that register share.
pub(super) struct CanaryRound<'w> {
    /// Where a trunk is.
    pub(super) find: &'w (dyn Fn(&TrunkPlan) -> Result<TrunkTargets, String> + Sync),
    /// Hears of addresses that were left, by trunk.
    pub(super) notes: &'w (dyn Fn(&TrunkPlan, String) + Sync),
    pub(super) prober: &'w Prober,
    pub(super) patience: Duration,
}

/// What a canary saw.
pub(super) enum Sight {
    Outcome(ProbeOutcome),
    /// It got no further than this.
    Hindered(String),
}

impl Sight {
    /// The code that ended it.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Sight::Outcome(outcome) => outcome.answer().map(|answer| answer.code),
            Sight::Hindered(_) => None,
        }
    }

    /// What came of it.
    pub(super) fn words(&self) -> String {
        match self {
            Sight::Outcome(outcome) => said(outcome),
            Sight::Hindered(why) => why.clone(),
        }
    }

    /// Where in the exchange, as the end of a sentence.
    pub(super) fn place(&self) -> &'static str {
        match self {
            Sight::Outcome(outcome) => place(outcome),
            Sight::Hindered(_) => "",
        }
    }
}

impl Canary {
    /// One that has not registered yet; `targets` is `None` where the name did not resolve.
    pub(super) fn new(
        trunk: &TrunkPlan,
        account: AgentAccount,
        (source, carrier): (Option<IpAddr>, Carrier),
        targets: Option<&TrunkTargets>,
        prober: &Prober,
    ) -> Canary {
        let route = targets.map(|targets| ProbeRoute::new(carrier.clone(), source, targets));
        let look_up_at = targets.map_or(Time::ORIGIN, |targets| next_look_up(targets, prober.clock.now()));
        Canary { trunk: trunk.clone(), account, source, carrier, route, look_up_at, call: prober.call(), bound: false }
    }

    /// One registration over the trunk's own path, begun before `until`; whether it was granted.
    pub(super) fn register(&mut self, shared: &CanaryRound<'_>, until: Time) -> (bool, Sight) {
        let request = self.request(shared);
        let exchanged = self.find_way(shared).and_then(|route| route.exchange(shared.prober, &request, until));
        match exchanged {
            Err(why) => (false, Sight::Hindered(why)),
            Ok(None) => (false, Sight::Hindered("was not sent".to_owned())),
            Ok(Some(reached)) => {
                for line in reached.lines() {
                    (shared.notes)(&self.trunk, line);
                }
                let maybe_bound = reached.left.iter().any(|left| left.maybe_bound);
                let outcome = reached.seen.outcome;
                self.call = outcome.call;
                // What was not answered may have been granted.
                self.bound |= maybe_bound || outcome.is_granted() || outcome.end == ProbeEnd::TimedOut;
                (outcome.is_granted(), Sight::Outcome(outcome))
            }
        }
    }

    /// Removes the binding that may be left.
    pub(super) fn unregister(&mut self, shared: &CanaryRound<'_>) {
        let request = ProbeRequest { expires_s: 0, ..self.request(shared) };
        let Some(route) = self.route.as_mut().filter(|_| self.bound) else { return };
        let how = match route.exchange(shared.prober, &request, Time::NEVER) {
            Err(why) => why,
            Ok(Some(reached)) if !reached.seen.outcome.is_granted() => said(&reached.seen.outcome),
            Ok(_) => return,
        };
        say(&format!("warning: trunk {}: the canary's binding could not be removed: {how}", self.trunk.id));
    }

    /// The address it speaks to, where its trunk has several.
    pub(super) fn speaks_to(&self) -> Option<String> {
        let route = self.route.as_ref().filter(|route| route.leads_to_several())?;
        Some(route.target().to_string())
    }

    fn request(&self, shared: &CanaryRound<'_>) -> ProbeRequest {
        register_as(&self.trunk, &self.account, self.call, shared.patience)
    }

    /// The canary's way: looked up when it is not known, and again when an answer's time to live
    /// has ended.
    fn find_way(&mut self, shared: &CanaryRound<'_>) -> Result<&mut ProbeRoute, String> {
        let now = shared.prober.clock.now();
        if now >= self.look_up_at {
            match (self.route.as_mut(), (shared.find)(&self.trunk)) {
                (None, found) => {
                    let found = found?;
                    found.settle(&mut self.trunk);
                    self.carrier = carrier(&self.trunk, None).map_err(|failure| failure.to_string())?;
                    self.look_up_at = next_look_up(&found, now);
                    self.route = Some(ProbeRoute::new(self.carrier.clone(), self.source, &found));
                }
                (Some(_), Ok(found)) if found.transport().is_some_and(|over| over != self.trunk.transport()) => {
                    self.look_up_at = next_look_up(&found, now);
                    let said = "its records ask for another transport now, which needs a new start";
                    (shared.notes)(&self.trunk, format!("it keeps its address: {said}"));
                }
                (Some(route), Ok(found)) => {
                    self.look_up_at = next_look_up(&found, now);
                    route.replace(&found);
                }
                // Nobody knew: what stood before goes on.
                (Some(_), Err(why)) => {
                    self.look_up_at = now + AGAIN;
                    (shared.notes)(&self.trunk, format!("it keeps its address: {why}"));
                }
            }
        }
        self.route.as_mut().ok_or_else(|| "it has no address".to_owned())
    }
}

/// Where a trunk's name leads by now, as far as that is allowed.
///
/// # Errors
/// Why there is no such place.
pub(super) fn allowed_places(nets: &[IpNet], trunk: &TrunkPlan) -> Result<TrunkTargets, String> {
    let found = ask(nets, 0, trunk).map_err(|failure| without_trunk(&trunk.id, &failure.to_string()))?;
    let Some(LookUp { allowed, refused }) = found else { return Err("it has no address".to_owned()) };
    match refused.first() {
        Some(refused) if allowed.places.is_empty() => Err(format!("{refused} is not among the allowed targets")),
        _ => Ok(allowed),
    }
}

/// What canaries have to say to whoever watches and records the run.
pub(super) type CanaryNotes = Arc<Mutex<Vec<CanaryNote>>>;

/// So many changes of a run are told and recorded; what comes after them is only counted.
const MOST_NOTES: usize = 10_000;

/// Canaries beside a run's load, on a thread of their own.
pub(super) struct Canaries {
    pub books: Arc<CanaryBooks>,
    pub notes: CanaryNotes,
    prober: Arc<Prober>,
    /// Its end ends the rounds.
    while_it_lasts: Sender<()>,
    thread: JoinHandle<()>,
}

impl Canaries {
    /// Begins; `None` where no trunk has one. `accounts` are by trunk, and the run's time begins at
    /// `start`.
    ///
    /// # Errors
    /// When no thread is to be had, or a key of TLS cannot be read.
    pub(super) fn begin(
        plan: &Plan,
        accounts: Vec<Option<AgentAccount>>,
        targets: &[TrunkTargets],
        server: Option<&Server>,
        (clock, start): (Clock, Time),
    ) -> Result<Option<Canaries>, Failure> {
        if accounts.iter().all(Option::is_none) {
            return Ok(None);
        }
        let ids = names(plan, &accounts);
        let prober = Arc::new(Prober::paced(clock, CANARY_MESSAGES));
        let trunks = plan.trunks.iter().zip(accounts).zip(targets.iter().zip(carriers(plan, server)?)).enumerate();
        let canary = |(trunk, account): (&TrunkPlan, Option<AgentAccount>), (target, carrier)| {
            let source = trunk.source.first().copied();
            Some(Canary::new(trunk, account?, (source, carrier), Some(target), &prober))
        };
        let canaries = trunks.filter_map(|(n, (trunk, way))| Some((n, canary(trunk, way)?))).collect();
        let (books, notes) = (Arc::new(CanaryBooks::new(plan.trunks.len())), CanaryNotes::default());
        let (while_it_lasts, over) = channel();
        let rounds = Rounds {
            canaries,
            every: plan.interval.clamp(EVERY[0], EVERY[1]),
            allow_targets: plan.allow_targets.clone(),
            books: books.clone(),
            log: CanaryLog { notes: notes.clone(), start, ids, clock, told: AtomicUsize::new(0) },
        };
        let shared = prober.clone();
        let thread = std::thread::Builder::new().name("canaries".to_owned());
        let begun = thread.spawn(move || rounds.run(&shared, &over));
        let thread = begun.map_err(|error| Failure::could_not(format!("the canaries' thread: {error}")))?;
        Ok(Some(Canaries { books, notes, prober, while_it_lasts, thread }))
    }

    /// Ends the rounds and waits until the bindings are removed.
    pub(super) fn end(self) {
        self.prober.stop();
        drop(self.while_it_lasts);
        // A panic was told by its own hook.
        let _ = self.thread.join();
    }
}

/// Check after check of every canary.
struct Rounds {
    /// With the position of its trunk.
    canaries: Vec<(usize, Canary)>,
    every: Duration,
    allow_targets: Vec<IpNet>,
    books: Arc<CanaryBooks>,
    log: CanaryLog,
}

/// Where changes are noted.
struct CanaryLog {
    notes: CanaryNotes,
    start: Time,
    clock: Clock,
    /// By trunk: its name, and who its canary is.
    ids: Vec<(String, String)>,
    told: AtomicUsize,
}

impl CanaryLog {
    fn note(&self, trunk: usize, turn: CanaryTurn, said: &str) {
        if self.told.fetch_add(1, Ordering::Relaxed) >= MOST_NOTES {
            return;
        }
        let user = self.ids.get(trunk).map(|(_, user)| user.clone()).unwrap_or_default();
        let at_ns = self.clock.now().nanos_since(self.start);
        // Whatever the server wrote into it, no digest is kept.
        let said = as_kept(said.as_bytes());
        let note = CanaryNote { trunk: saturating_u16(trunk), at_ns, user, turn, said };
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }
}

impl Rounds {
    fn run(mut self, prober: &Prober, over: &Receiver<()>) {
        let Rounds { canaries, every, allow_targets, books, log } = &mut self;
        let find = |trunk: &TrunkPlan| allowed_places(allow_targets, trunk);
        let moved = |trunk: &TrunkPlan, line: String| {
            let position = log.ids.iter().position(|(id, _)| *id == trunk.id);
            position.into_iter().for_each(|position| log.note(position, CanaryTurn::Address, &line));
        };
        let round = CanaryRound { find: &find, notes: &moved, prober, patience: PATIENCE };
        let mut failing = vec![0u64; canaries.len()];
        loop {
            let begun = prober.clock.now();
            for ((trunk, canary), failing) in canaries.iter_mut().zip(&mut failing) {
                let (good, sight) = canary.register(&round, begun + LONGEST);
                if prober.is_stopped() {
                    break;
                }
                books.checked(*trunk, good);
                match (good, *failing) {
                    (true, 0) | (false, 1..) => {}
                    (true, failed) => log.note(*trunk, CanaryTurn::Registered, &counted(failed, "failed check")),
                    (false, 0) => {
                        log.note(*trunk, CanaryTurn::Failed, &format!("{}{}", sight.words(), sight.place()));
                    }
                }
                *failing = if good { 0 } else { *failing + 1 };
            }
            let next = begun + *every;
            if over.recv_timeout(next.since(prober.clock.now())) != Err(RecvTimeoutError::Timeout) {
                break;
            }
        }
        canaries.iter_mut().for_each(|(_, canary)| canary.unregister(&round));
    }
}

/// By trunk: its name, and the user of its canary.
fn names(plan: &Plan, accounts: &[Option<AgentAccount>]) -> Vec<(String, String)> {
    let user = |account: &Option<AgentAccount>| account.as_ref().map(|account| account.user.clone());
    plan.trunks.iter().zip(accounts).map(|(trunk, own)| (trunk.id.clone(), user(own).unwrap_or_default())).collect()
}

/// The longest a check waits for its turn.
const LONGEST: Duration = Duration::from_secs(60);
