//! Names looked up while a run goes on, on a thread of its own, because a name server may take its
//! time: those of trunks again when their answer's time to live has ended, those that redirections
//! lead to when an agent asks.

use super::failure::Failure;
use super::names::NameService;
use super::targets::{LookUp, TrunkTargets, ask};
use crate::engine::{NameNews, Relocation};
use crate::fleet::{FoundName, NameQuestion};
use crate::net::clock::Clock;
use crate::plan::{Plan, TrunkPlan};
use crate::record::{Resolution, ResolutionStep};
use crate::sip::locate::{RecordKind, locate};
use crate::vocab::{AddressFamily, Time, TrunkId, saturating_u16};
use ipnet::IpNet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A time to live below this is taken for this: nobody is asked more often.
const SHORTEST: Duration = Duration::from_secs(1);
/// How long it takes until a name that nobody knew is asked for again, at most.
pub(super) const AGAIN: Duration = Duration::from_secs(30);

/// When a name is to be looked up again; never, where nobody was asked or an answer holds for good.
pub(super) fn next_look_up(targets: &TrunkTargets, now: Time) -> Time {
    let ttl_s = targets.resolution.as_ref().and_then(|last| last.ttl_s);
    ttl_s.map_or(Time::NEVER, |ttl_s| now + Duration::from_secs(ttl_s).max(SHORTEST))
}

/// How long the thread waits before it looks at the clock again.
const LONGEST: Duration = Duration::from_secs(3_600);

/// The look-ups of a run, for whoever records them, by number.
pub(super) type LookUps = Arc<Mutex<Vec<Resolution>>>;

/// Looks names up as long as it lives.
pub(super) struct Renewal {
    /// Taken by whoever conducts the run.
    pub news: Option<UnboundedReceiver<NameNews>>,
    pub look_ups: LookUps,
    /// The thread ends with the last of these.
    pub questions: Sender<NameQuestion>,
}

/// A trunk's name, and when it is to be asked for.
struct DueName {
    trunk: usize,
    due: Time,
    /// What it stood for last.
    last: Resolution,
}

/// Begins; `None` where all trunks are on the embedded registrar, which leads nowhere else.
///
/// # Errors
/// When no thread is to be had.
pub(super) fn renewing(plan: &Plan, targets: &[TrunkTargets], clock: Clock) -> Result<Option<Renewal>, Failure> {
    let now = clock.now();
    let name = |target: &TrunkTargets| {
        let last = target.resolution.clone()?;
        let due = next_look_up(target, now);
        (due != Time::NEVER).then_some(DueName { trunk: last.trunk.into(), due, last })
    };
    let names: Vec<DueName> = targets.iter().filter_map(name).collect();
    if plan.trunks.iter().all(|trunk| trunk.target().is_none()) {
        return Ok(None);
    }
    let (tell, news) = unbounded_channel();
    let (questions, asked) = channel();
    let look_ups = LookUps::default();
    let (allow_targets, trunks) = (plan.allow_targets.clone(), plan.trunks.clone());
    let thread = Renewing { allow_targets, trunks, names, clock, tell, look_ups: look_ups.clone() };
    let begun = std::thread::Builder::new().name("names".to_owned()).spawn(move || thread.run(&asked));
    begun.map_err(|error| Failure::could_not(format!("the thread that looks names up: {error}")))?;
    Ok(Some(Renewal { news: Some(news), look_ups, questions }))
}

struct Renewing {
    allow_targets: Vec<IpNet>,
    trunks: Vec<TrunkPlan>,
    names: Vec<DueName>,
    clock: Clock,
    tell: UnboundedSender<NameNews>,
    look_ups: LookUps,
}

impl Renewing {
    fn run(mut self, asked: &Receiver<NameQuestion>) {
        loop {
            let next = self.names.iter().map(|name| name.due).min().unwrap_or(Time::NEVER);
            match asked.recv_timeout(next.since(self.clock.now()).min(LONGEST)) {
                Ok(question) => {
                    if !self.answer(question) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = self.clock.now();
            for n in 0..self.names.len() {
                if self.names[n].due <= now && !self.renew(n) {
                    return;
                }
            }
        }
    }

    /// Looks up what an agent was redirected to. False when nobody wants to know any more.
    fn answer(&self, question: NameQuestion) -> bool {
        let trunk = &self.trunks[question.trunk.index()];
        let family = trunk.source.first().map(|source| AddressFamily::of(*source));
        let located = NameService::of(trunk, self.clock)
            .map(|mut names| locate(&question.target.wanted(family), &mut names))
            .unwrap_or_default();
        let (places, holds) = (Arc::from(&located.places[..]), located.ttl());
        self.tell.send(NameNews::Found(FoundName { question, places, holds })).is_ok()
    }

    /// False when nobody wants to know any more.
    fn renew(&mut self, n: usize) -> bool {
        let DueName { trunk, ref last, .. } = self.names[n];
        let found = ask(&self.allow_targets, trunk, &self.trunks[trunk]);
        let (places, resolution) = match found {
            Ok(Some(LookUp { allowed: TrunkTargets { places, resolution: Some(resolution) }, .. })) => {
                // A transport is chosen once: agents' messages are made for it. An answer that asks
                // for another one is told, and changes nothing.
                let usable = !places.is_empty() && resolution.transport == last.transport;
                (usable.then(|| Arc::from(places)), resolution)
            }
            Ok(_) => return true,
            Err(failure) => (None, unknown(last, &failure.to_string())),
        };
        let life = resolution.ttl_s.map_or(AGAIN, Duration::from_secs).max(SHORTEST);
        self.names[n].due = self.clock.now() + life;
        if places.is_some() {
            self.names[n].last = resolution.clone();
        }
        let mut look_ups = self.look_ups.lock().unwrap_or_else(PoisonError::into_inner);
        look_ups.push(resolution);
        let number = look_ups.len() - 1;
        drop(look_ups);
        let relocation = Relocation { trunk: TrunkId(saturating_u16(trunk)), places, number };
        self.tell.send(NameNews::Relocated(relocation)).is_ok()
    }
}

/// Nobody knew: what stood before goes on.
fn unknown(last: &Resolution, why: &str) -> Resolution {
    let why = why.rsplit(": ").next().unwrap_or(why);
    let step = ResolutionStep {
        name: last.host.clone(),
        kind: RecordKind::A,
        records: Vec::new(),
        ttl_s: None,
        took_us: 0,
        failed: Some(why.to_owned()),
    };
    Resolution { steps: vec![step], ttl_s: None, took_us: 0, refused: Vec::new(), ..last.clone() }
}
