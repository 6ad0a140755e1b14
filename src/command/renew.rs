//! Names looked up again while a run goes on: each when its answer's time to live has ended, on a
//! thread of its own, because a name server may take its time.

use super::failure::Failure;
use super::targets::{LookUp, TrunkTargets, ask};
use crate::engine::Relocation;
use crate::net::clock::Clock;
use crate::plan::{Plan, TrunkPlan};
use crate::record::{Resolution, ResolutionStep};
use crate::sip::locate::RecordKind;
use crate::vocab::{Time, TrunkId, saturating_u16};
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

/// The look-ups of a run, for whoever records them, by number.
pub(super) type LookUps = Arc<Mutex<Vec<Resolution>>>;

/// Looks names up as long as it lives.
pub(super) struct Renewal {
    /// Taken by whoever conducts the run.
    pub relocations: Option<UnboundedReceiver<Relocation>>,
    pub look_ups: LookUps,
    /// Its end ends the thread.
    _while_it_lasts: Sender<()>,
}

/// A trunk's name, and when it is to be asked for.
struct DueName {
    trunk: usize,
    due: Time,
    /// What it stood for last.
    last: Resolution,
}

/// Begins; `None` where no name's answer ever ends.
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
    if names.is_empty() {
        return Ok(None);
    }
    let (tell, relocations) = unbounded_channel();
    let (while_it_lasts, over) = channel();
    let look_ups = LookUps::default();
    let (allow_targets, trunks) = (plan.allow_targets.clone(), plan.trunks.clone());
    let thread = Renewing { allow_targets, trunks, names, clock, tell, look_ups: look_ups.clone() };
    let begun = std::thread::Builder::new().name("names".to_owned()).spawn(move || thread.run(&over));
    begun.map_err(|error| Failure::could_not(format!("the thread that looks names up: {error}")))?;
    Ok(Some(Renewal { relocations: Some(relocations), look_ups, _while_it_lasts: while_it_lasts }))
}

struct Renewing {
    allow_targets: Vec<IpNet>,
    trunks: Vec<TrunkPlan>,
    names: Vec<DueName>,
    clock: Clock,
    tell: UnboundedSender<Relocation>,
    look_ups: LookUps,
}

impl Renewing {
    fn run(mut self, over: &Receiver<()>) {
        loop {
            let Some(next) = self.names.iter().map(|name| name.due).min() else { return };
            match over.recv_timeout(next.since(self.clock.now())) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return,
            }
            let now = self.clock.now();
            for n in 0..self.names.len() {
                if self.names[n].due <= now && !self.renew(n) {
                    return;
                }
            }
        }
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
        self.tell.send(Relocation { trunk: TrunkId(saturating_u16(trunk)), places, number }).is_ok()
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
