//! Canaries: agents that register by themselves to see whether a registrar still takes them.
//! `watch` has nothing else; a run has them beside its load, so that what becomes of them is the
//! registrar's doing or that of whoever guards it, and not the load's own trouble.

use super::carriers::carriers;
use super::failure::Failure;
use super::output::say;
use super::prober::{MOST, Prober};
use super::probing::register_as;
use super::targets::TrunkTargets;
use crate::agent::probe::{Call, ProbeEnd, ProbeOutcome, ProbeRequest};
use crate::diagnose::findings::counted;
use crate::diagnose::readiness::{place, said};
use crate::engine::{CanaryBooks, Carrier, ProbeSocket, Server};
use crate::net::clock::Clock;
use crate::plan::{AgentAccount, Plan, TrunkPlan};
use crate::vocab::Time;
use std::net::{IpAddr, SocketAddr};
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
    /// `None`: the name did not resolve so far.
    pub(super) target: Option<SocketAddr>,
    pub(super) carrier: Carrier,
    /// The same port in every round, as a phone has.
    pub(super) socket: Option<ProbeSocket>,
    pub(super) call: Call,
    /// Whether a binding may be left at the registrar.
    pub(super) bound: bool,
}

/// What canaries that register share.
pub(super) struct CanaryRound<'w> {
    /// Where a trunk is whose name did not resolve so far.
    pub(super) find: &'w (dyn Fn(&TrunkPlan) -> Result<SocketAddr, String> + Sync),
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
    /// One registration over the trunk's own path, begun before `until`; whether it was granted.
    pub(super) fn register(&mut self, shared: &CanaryRound<'_>, until: Time) -> (bool, Sight) {
        let mut socket = match self.take_socket(shared) {
            Ok(socket) => socket,
            Err(why) => return (false, Sight::Hindered(why)),
        };
        let request = self.request(shared);
        let sight = match shared.prober.exchange(&mut socket, &request, until) {
            None => (false, Sight::Hindered("was not sent".to_owned())),
            Some(seen) => {
                self.call = seen.outcome.call;
                // What was not answered may have been granted.
                self.bound |= seen.outcome.is_granted() || seen.outcome.end == ProbeEnd::TimedOut;
                (seen.outcome.is_granted(), Sight::Outcome(seen.outcome))
            }
        };
        self.socket = Some(socket);
        sight
    }

    /// Removes the binding that may be left.
    pub(super) fn unregister(&mut self, shared: &CanaryRound<'_>) {
        let Some(mut socket) = self.socket.take().filter(|_| self.bound) else { return };
        let request = ProbeRequest { expires_s: 0, ..self.request(shared) };
        let seen = shared.prober.exchange(&mut socket, &request, Time::NEVER);
        if let Some(seen) = seen.filter(|seen| !seen.outcome.is_granted()) {
            let how = said(&seen.outcome);
            say(&format!("warning: trunk {}: the canary's binding could not be removed: {how}", self.trunk.id));
        }
    }

    fn request(&self, shared: &CanaryRound<'_>) -> ProbeRequest {
        register_as(&self.trunk, &self.account, self.call, shared.patience)
    }

    /// The canary's port, opened when there is none yet; a name that did not resolve is looked up
    /// again.
    fn take_socket(&mut self, shared: &CanaryRound<'_>) -> Result<ProbeSocket, String> {
        if let Some(socket) = self.socket.take() {
            return Ok(socket);
        }
        let target = match self.target {
            Some(target) => target,
            None => (shared.find)(&self.trunk)?,
        };
        self.target = Some(target);
        ProbeSocket::open(&self.carrier, self.source, target, shared.prober.clock).map_err(|error| error.to_string())
    }
}

/// What canaries have to say to whoever watches the run.
pub(super) type CanaryWords = Arc<Mutex<Vec<String>>>;

/// Canaries beside a run's load, on a thread of their own.
pub(super) struct Canaries {
    pub books: Arc<CanaryBooks>,
    pub words: CanaryWords,
    prober: Arc<Prober>,
    /// Its end ends the rounds.
    while_it_lasts: Sender<()>,
    thread: JoinHandle<()>,
}

impl Canaries {
    /// Begins; `None` where no trunk has one. `accounts` are by trunk.
    ///
    /// # Errors
    /// When no thread is to be had, or a key of TLS cannot be read.
    pub(super) fn begin(
        plan: &Plan,
        accounts: Vec<Option<AgentAccount>>,
        targets: &[TrunkTargets],
        server: Option<&Server>,
        clock: Clock,
    ) -> Result<Option<Canaries>, Failure> {
        if accounts.iter().all(Option::is_none) {
            return Ok(None);
        }
        let prober = Arc::new(Prober::paced(clock, CANARY_MESSAGES));
        let trunks = plan.trunks.iter().zip(accounts).zip(targets.iter().zip(carriers(plan, server)?)).enumerate();
        let canary = |(trunk, account), (target, carrier): (&TrunkTargets, Carrier)| {
            let trunk: &TrunkPlan = trunk;
            Some(Canary {
                trunk: trunk.clone(),
                account: account?,
                source: trunk.source.first().copied(),
                target: target.places.first().map(|place| place.address),
                carrier,
                socket: None,
                call: prober.call(),
                bound: false,
            })
        };
        let canaries = trunks.filter_map(|(n, (trunk, way))| Some((n, canary(trunk, way)?))).collect();
        let (books, words) = (Arc::new(CanaryBooks::new(plan.trunks.len())), CanaryWords::default());
        let (while_it_lasts, over) = channel();
        let rounds = Rounds {
            canaries,
            every: plan.interval.clamp(EVERY[0], EVERY[1]),
            books: books.clone(),
            words: words.clone(),
        };
        let shared = prober.clone();
        let thread = std::thread::Builder::new().name("canaries".to_owned());
        let begun = thread.spawn(move || rounds.run(&shared, &over));
        let thread = begun.map_err(|error| Failure::could_not(format!("the canaries' thread: {error}")))?;
        Ok(Some(Canaries { books, words, prober, while_it_lasts, thread }))
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
    books: Arc<CanaryBooks>,
    words: CanaryWords,
}

impl Rounds {
    fn run(mut self, prober: &Prober, over: &Receiver<()>) {
        let find = |_: &TrunkPlan| Err("it has no address".to_owned());
        let round = CanaryRound { find: &find, prober, patience: PATIENCE };
        let mut failing = vec![0u64; self.canaries.len()];
        loop {
            let begun = prober.clock.now();
            for ((trunk, canary), failing) in self.canaries.iter_mut().zip(&mut failing) {
                let (good, sight) = canary.register(&round, begun + LONGEST);
                if prober.is_stopped() {
                    break;
                }
                self.books.checked(*trunk, good);
                let line = match (good, *failing) {
                    (true, 0) => None,
                    (true, failed) => Some(format!("registers again after {}", counted(failed, "failed check"))),
                    (false, 0) => Some(format!("did not register: {}{}", sight.words(), sight.place())),
                    (false, _) => None,
                };
                *failing = if good { 0 } else { *failing + 1 };
                if let Some(line) = line {
                    let line = format!("trunk {}: the canary, {}, {line}", canary.trunk.id, canary.account.user);
                    self.words.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            }
            let next = begun + self.every;
            if over.recv_timeout(next.since(prober.clock.now())) != Err(RecvTimeoutError::Timeout) {
                break;
            }
        }
        self.canaries.iter_mut().for_each(|(_, canary)| canary.unregister(&round));
    }
}

/// The longest a check waits for its turn.
const LONGEST: Duration = Duration::from_secs(60);
