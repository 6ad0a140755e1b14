//! `regstorm watch`: one canary agent per trunk registers at each round; a line and a hook at each
//! change.

use super::canary::{Canary, CanaryRound, Sight, allowed_places};
use super::carriers::showing;
use super::failure::{Exit, Failure, span_of};
use super::gate::{CanaryWord, DialGate};
use super::hook::Hook;
use super::output::{print, say, write_files};
use super::preflight::{TrunkToProbe, plan, subjects};
use super::prober::{MESSAGES_PER_SECOND, Prober};
use super::registrar::embedded;
use crate::cli::WatchArgs;
use crate::diagnose::findings::counted;
use crate::diagnose::watch::{Hysteresis, Light};
use crate::engine::Signals;
use crate::net::clock::Clock;
use crate::plan::{Plan, TrunkPlan};
use crate::record::results;
use crate::report::watch::{GoChange, exposition};
use crate::seed::Seed;
use crate::vocab::{Time, format_duration, printable};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::SignalKind;

/// The shortest time between rounds.
pub(super) const SHORTEST: Duration = Duration::from_millis(100);
/// How long a canary's request may stay unanswered: the time between rounds, within these.
const PATIENCE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(8)];
/// How long a watch that was told to end may take to remove its bindings and to run its last hooks.
const FAREWELL: Duration = Duration::from_secs(30);
/// The most canaries asked side by side.
const SIDE_BY_SIDE: usize = 8;

pub(super) fn execute(args: &WatchArgs) -> Result<Exit, Failure> {
    let asked = duration("--every", &args.every)?;
    let every = asked.max(SHORTEST);
    if every > asked {
        say(&format!("--every {}: no round begins sooner than {} after the last", args.every, format_duration(every)));
    }
    let lasts = args.lasts.as_deref().map(|text| duration("--for", text)).transpose()?;
    let (profile, mut plan) = plan(&args.profile.to_string_lossy(), &args.sets)?;
    let clock = Clock::new();
    let server = embedded(&plan, Seed(plan.seed.unwrap_or_else(super::random)), clock, clock.now())?;
    let prober = Prober::new(clock);
    let hysteresis = Hysteresis::new(args.fail_after, args.recover_after);
    let subjects = subjects(&profile, &mut plan, server.as_ref())?;
    let canaries = subjects.into_iter().map(|subject| canary_of(subject, &prober)).collect::<Result<Vec<_>, _>>()?;
    let watched = canaries.into_iter().flatten().map(|canary| WatchedCanary::new(canary, hysteresis));
    let canaries: Vec<WatchedCanary> = watched.collect();
    let ids: Vec<&str> = canaries.iter().map(|watched| watched.canary.trunk.id.as_str()).collect();
    let gate = DialGate::open(args, (&plan, &profile.platforms), &ids, every, clock)?;
    let hook = args.hook.as_deref().map(|command| Hook::new(command, clock)).transpose();
    let hook = hook.map_err(|error| Failure::could_not(format!("the hook's thread: {error}")))?;
    let patience = every.clamp(PATIENCE[0], PATIENCE[1]);
    let watch = CanaryWatch { plan, prober, patience, canaries, stopping: Arc::default() };
    say(&format!(
        "watching {} every {}: go after {} in a row, no-go after {} in a row; a line at each change",
        counted(watch.canaries.len() as u64, "trunk"),
        format_duration(every),
        counted(args.recover_after.into(), "good round"),
        counted(args.fail_after.into(), "failed round"),
    ));
    watch.say_pace(every);
    let until = lasts.map_or(Time::NEVER, |lasts| clock.now() + lasts);
    let go = super::runtime()?.block_on(keep(
        watch,
        every,
        until,
        &mut Listeners { hook, json: args.json, metric: args.metric_file.clone(), gate },
    ))?;
    Ok(if go { Exit::Success } else { Exit::ThresholdFailed })
}

/// The first agent of a trunk, if it has one.
fn canary_of(subject: TrunkToProbe<'_>, prober: &Prober) -> Result<Option<Canary>, Failure> {
    let TrunkToProbe { trunk, target, carrier, ways } = subject;
    let Some((source, account)) = ways.into_iter().next() else { return Ok(None) };
    let carrier = showing(&carrier, trunk, account.certificate.as_ref())?;
    Ok(Some(Canary::new(trunk, account, (source, carrier), target.as_ref().ok(), prober)))
}

pub(super) fn duration(name: &str, text: &str) -> Result<Duration, Failure> {
    let span = span_of(name, text)?;
    if span.is_zero() {
        return Err(Failure::usage(format!("{name} {text}: must be longer than nothing")));
    }
    Ok(span)
}

/// Round after round until `until` or a signal; then removes the bindings. Whether every trunk is
/// go.
async fn keep(watch: CanaryWatch, every: Duration, until: Time, told: &mut Listeners) -> Result<bool, Failure> {
    let clock = watch.prober.clock;
    let mut signals = Signals::listen(clock).map_err(Failure::could_not)?;
    let (tell, told_to_stop) = tokio::sync::watch::channel(false);
    let stopping = watch.stopping.clone();
    let rounds = rounds(watch, every, until, told, told_to_stop);
    let mut rounds = std::pin::pin!(rounds);
    let mut patience = Duration::MAX;
    loop {
        let number = tokio::select! {
            done = &mut rounds => return done,
            number = signals.next() => number,
            () = tokio::time::sleep(patience) => SignalKind::terminate().as_raw_value(),
        };
        if stopping.swap(true, Ordering::Relaxed) {
            say("ended at once; the bindings of canaries may stay until their lifetime ends");
            std::process::exit(128 + number);
        }
        // Whoever is waited for beyond this is not waited for.
        patience = FAREWELL;
        tell.send_replace(true);
    }
}

/// Round after round, until told to stop, or until nobody can be told any more; then, whatever
/// ended them, removes the bindings.
async fn rounds(
    mut watch: CanaryWatch,
    every: Duration,
    until: Time,
    told: &mut Listeners,
    mut stop: tokio::sync::watch::Receiver<bool>,
) -> Result<bool, Failure> {
    let clock = watch.prober.clock;
    let mut next = clock.now();
    let kept = loop {
        // Sockets block, so a round has a thread of its own.
        let (after, changes) = aside(watch, |watch| watch.round()).await?;
        watch = after;
        if let Err(why) = told.hear(&watch, &changes) {
            break Err(why);
        }
        if let Some(gate) = &told.gate {
            gate.round(watch.canaries.iter().map(WatchedCanary::word));
        }
        // A round that took longer than the time between them is followed by the next one that is
        // due.
        while next <= clock.now() {
            next += every;
        }
        let ends = next >= until;
        if *stop.borrow() {
            break Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(next.min(until).since(clock.now())) => if ends { break Ok(()) },
            _ = stop.changed() => break Ok(()),
        }
    };
    let go = watch.canaries.iter().all(|canary| canary.hysteresis.is_go());
    let hook = told.hook.take();
    aside(watch, |watch| watch.farewell()).await?;
    // Its end waits for hooks, and whoever cannot wait is heard meanwhile.
    let ended = tokio::task::spawn_blocking(move || drop(hook)).await;
    ended.map_err(|error| Failure::could_not(format!("the hook failed: {error}")))?;
    kept.map(|()| go)
}

/// Has the watch do something that blocks.
async fn aside<T: Send + 'static>(
    mut watch: CanaryWatch,
    act: impl FnOnce(&mut CanaryWatch) -> T + Send + 'static,
) -> Result<(CanaryWatch, T), Failure> {
    let done = tokio::task::spawn_blocking(move || {
        let done = act(&mut watch);
        (watch, done)
    });
    done.await.map_err(|error| Failure::could_not(format!("a round failed: {error}")))
}

/// Who hears of the rounds besides standard output.
struct Listeners {
    hook: Option<Hook>,
    json: bool,
    /// Rewritten whole after each round.
    metric: Option<PathBuf>,
    gate: Option<DialGate>,
}

impl Listeners {
    /// What a round brought.
    ///
    /// # Errors
    /// When a line or the metrics cannot be written.
    fn hear(&self, watch: &CanaryWatch, changes: &[GoChange]) -> Result<(), Failure> {
        for change in changes {
            if let Some(hook) = &self.hook {
                hook.tell(change.variables());
            }
            print(&if self.json { change.json() } else { change.line() })?;
        }
        self.metric(watch)
    }

    fn metric(&self, watch: &CanaryWatch) -> Result<(), Failure> {
        let Some(path) = &self.metric else { return Ok(()) };
        let states = watch.canaries.iter().map(|canary| (canary.canary.trunk.id.clone(), canary.hysteresis.is_go()));
        let unix_s = i64::try_from(watch.prober.clock.unix_ns() / 1_000_000_000).unwrap_or(i64::MAX);
        let text = exposition(&states.collect::<Vec<_>>(), unix_s);
        let (folder, name) = (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default());
        write_files(folder, &[(&name.to_string_lossy(), text.into_bytes())])
    }
}

/// Everything the rounds need.
struct CanaryWatch {
    plan: Plan,
    prober: Prober,
    patience: Duration,
    canaries: Vec<WatchedCanary>,
    /// Somebody asked for an end: no canary of a round begins any more.
    stopping: Arc<AtomicBool>,
}

/// A canary, and whether its trunk is go.
struct WatchedCanary {
    canary: Canary,
    hysteresis: Hysteresis,
    /// What the last round came to.
    said: String,
}

impl CanaryWatch {
    fn say_pace(&self, every: Duration) {
        let needed = 2.0 * self.canaries.len() as f64 / every.as_secs_f64();
        if needed > f64::from(MESSAGES_PER_SECOND) {
            say(&format!(
                "warning: {} canaries every {} need {needed:.0} messages/s; rounds take longer, as no more than \
                 {MESSAGES_PER_SECOND} are sent",
                self.canaries.len(),
                crate::vocab::format_duration(every)
            ));
        }
    }

    /// Asks every canary's registrar once; the changes, in the order of the profile.
    fn round(&mut self) -> Vec<GoChange> {
        let stopping = self.stopping.clone();
        self.each(|watch, canary| {
            if stopping.load(Ordering::Relaxed) {
                return None;
            }
            let (good, seen) = canary.canary.register(watch, Time::NEVER);
            canary.said = format!("{}{}", printable(&seen.words()), seen.place());
            let change = canary.hysteresis.round(good)?;
            Some(canary.change(change, &seen, watch.prober.clock))
        })
    }

    /// Removes every binding that may be left.
    fn farewell(&mut self) {
        self.each(|watch, canary| {
            canary.canary.unregister(watch);
            None
        });
    }

    /// Does something with every canary, some side by side.
    fn each(&mut self, act: impl Fn(&CanaryRound<'_>, &mut WatchedCanary) -> Option<GoChange> + Sync) -> Vec<GoChange> {
        let CanaryWatch { plan, prober, patience, canaries, .. } = self;
        let find = |trunk: &TrunkPlan| allowed_places(&plan.allow_targets, trunk);
        let notes = |trunk: &TrunkPlan, line: String| say(&format!("trunk {}: the canary: {line}", trunk.id));
        let shared = CanaryRound { find: &find, notes: &notes, prober, patience: *patience };
        let share = canaries.len().div_ceil(SIDE_BY_SIDE).max(1);
        std::thread::scope(|scope| {
            let (shared, act) = (&shared, &act);
            let changes = |some: &mut [WatchedCanary]| -> Vec<GoChange> {
                some.iter_mut().filter_map(|canary| act(shared, canary)).collect()
            };
            let threads: Vec<_> = canaries.chunks_mut(share).map(|some| scope.spawn(move || changes(some))).collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }
}

impl WatchedCanary {
    fn new(canary: Canary, hysteresis: Hysteresis) -> WatchedCanary {
        WatchedCanary { canary, hysteresis, said: "no round so far".to_owned() }
    }

    fn word(&self) -> CanaryWord<'_> {
        let WatchedCanary { canary, hysteresis, said } = self;
        CanaryWord { trunk: &canary.trunk.id, light: hysteresis.light(), is_go: hysteresis.is_go(), said }
    }

    fn change(&self, light: Light, sight: &Sight, clock: Clock) -> GoChange {
        GoChange {
            time: results::utc(clock.unix_ns().into(), 0),
            trunk_id: self.canary.trunk.id.clone(),
            state: light.as_str(),
            code: sight.code(),
            reason: sight.words(),
            place: sight.place().trim_start_matches([',', ' ']),
            rounds: self.hysteresis.rounds(),
            target: self.canary.speaks_to(),
        }
    }
}
