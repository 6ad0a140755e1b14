//! The control side of a run, on a current-thread tokio runtime: it starts the workers, moves the
//! run from stage to stage, listens to signals, merges the workers' intervals and hands them to an
//! observer.

use super::audience::{Audience, Decision, Observer, OnlookerVerdict, RunPosition, audience};
use super::canary::CanaryBooks;
use super::signals::Signals;
use super::worker::{Outside, Worker, WorkerOrder, WorkerPlan, WorkerProgress, WorkerReport};
use crate::fleet::{FoundName, NameQuestion};
use crate::load::{Adjustment, Throttle, Timeline};
use crate::measure::{Glance, Interval};
use crate::net::clock::{Clock, suspended_ns};
use crate::net::poll::Waker;
use crate::net::usage::resident_bytes;
use crate::sip::locate::Destination;
use crate::vocab::{Intervention, Speed, Stage, Time, TrunkId};
use std::collections::BTreeMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::signal::unix::SignalKind;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A run, ready to start.
pub struct Conduct {
    pub workers: Vec<WorkerPlan>,
    pub clock: Clock,
    /// When the load begins.
    pub start: Time,
    /// As planned.
    pub load_lasts: Duration,
    /// When what the load plans comes: as planned, until somebody intervenes.
    pub timeline: Timeline,
    /// What a person wishes while the run goes on; nothing comes without one.
    pub wishes: Option<UnboundedReceiver<Wish>>,
    /// What names turn out to stand for while the run goes on.
    pub name_news: Option<UnboundedReceiver<NameNews>>,
    /// Where agents ask for the names of redirections.
    pub questions: Option<Sender<NameQuestion>>,
    /// What canaries see, for the intervals; `None` without any.
    pub canaries: Option<Arc<CanaryBooks>>,
    /// Whether the person also sees each trunk.
    pub glances: bool,
    pub pacing: Pacing,
    /// Longest wait for open attempts after the load.
    pub drain: Duration,
    /// Un-REGISTERs per second after the drain; `None` leaves the bindings alone.
    pub unregister_rate: Option<f64>,
    pub agents: u32,
    /// Timer F: how long the last un-REGISTER may take.
    pub patience: Duration,
    /// Called when the observer has been busy with one thing for long.
    pub hung: fn(HungFor),
}

/// When the stages behind the load end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pacing {
    /// When nothing is left to do in them, at the latest when they have taken as long as they may.
    Idle,
    /// After as long as they may take, to the nanosecond: so processes that have parts of one run,
    /// and do not hear of each other, end their intervals at the same moments. The last stage ends
    /// as with [`Pacing::Idle`], and so does every stage behind a load that ended before its time.
    Planned,
}

/// How long an observer has taken nothing more, because a disk or a terminal holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HungFor {
    /// While the run goes on.
    Meanwhile(Duration),
    /// When everything else has ended: nobody waits any longer.
    TooLong(Duration),
}

/// What a person may wish of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// What Ctrl-C stands for: the first ends the load, the second everything.
    Interrupt,
    Adjust(Adjustment),
    /// This stage ends then, if it is not over before.
    EndStage {
        stage: Stage,
        at: Time,
    },
    /// Nobody leads any more: the load ends, and what follows takes no longer than it must.
    GoAlone,
}

/// What was found out about names.
#[derive(Clone, Debug)]
pub enum NameNews {
    Relocated(Relocation),
    /// The name of a redirection.
    Found(FoundName),
}

/// A trunk's name was looked up again.
#[derive(Clone, Debug)]
pub struct Relocation {
    pub trunk: TrunkId,
    /// Where it leads; `None`: nobody knows, and everything stays as it is.
    pub places: Option<Arc<[Destination]>>,
    /// What whoever looked it up knows it by.
    pub number: usize,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub ended: Time,
    pub load_ended: Time,
    /// 1 for SIGHUP, 2 for SIGINT, 15 for SIGTERM.
    pub interrupted_by: Option<i32>,
    /// Sender threads that failed, and why the first did; the run went on without them.
    pub lost: Option<String>,
    /// Positions of the sender threads that took their agents with them.
    pub lost_workers: Vec<usize>,
    /// What these agents had bound when they were last heard of.
    pub lost_bound: u64,
    /// Agents whose bindings were not removed and have not ended, those included.
    pub left_bound: u64,
    /// Somebody asked twice for an end.
    pub hurried: bool,
    /// Why the observer could not keep what it was shown; the load ended then.
    pub keep_error: Option<io::Error>,
    /// The observer ended the load before its time.
    pub stopped: bool,
    /// Agents registered when the drain ended.
    pub registered_after_drain: u64,
    /// CPU time of all sender threads.
    pub sender_cpu: Duration,
}

/// Why a run could not be carried through.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("a sender thread could not be started: {0}")]
    Start(#[source] io::Error),
    #[error("signals cannot be received: {0}")]
    Signals(#[source] io::Error),
}

/// An observer that takes this long for one thing is told of,
const HUNG: Duration = Duration::from_secs(10);
/// and when all else has ended it is waited for so long.
const GIVEN_UP: Duration = Duration::from_secs(60);

/// How far ahead of its effect a command is sent, so that every worker has it in time.
const LEAD: Duration = Duration::from_millis(60);

/// Carries a run through all its stages, on a thread of its own; the observer stays on this one.
///
/// # Errors
/// When threads or signals cannot be set up.
pub fn conduct(run: Conduct, observer: &mut dyn Observer) -> Result<Ended, EngineError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(EngineError::Start)?;
    let (clock, (audience, onlooker, verdicts)) = (run.clock, audience());
    std::thread::scope(|scope| {
        let control = std::thread::Builder::new()
            .name("control".to_owned())
            .spawn_scoped(scope, move || runtime.block_on(direct(run, audience, verdicts)))
            .map_err(EngineError::Start)?;
        onlooker.watch(observer, clock);
        control.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

async fn direct(
    mut run: Conduct,
    audience: Audience,
    mut verdicts: UnboundedReceiver<OnlookerVerdict>,
) -> Result<Ended, EngineError> {
    let mut signals = Signals::listen(run.clock).map_err(EngineError::Signals)?;
    audience.stage(Stage::Load, None);
    let mut wishes = run.wishes.take();
    let mut name_news = run.name_news.take();
    let hung = run.hung;
    let (mut conductor, mut reports) = Conductor::start(run)?;
    while conductor.running() > 0 {
        let wait = conductor.deadline.since(conductor.clock.now());
        tokio::select! {
            // Nothing here takes long, so nothing waits long; an interval must not wait behind a
            // timer.
            biased;
            number = signals.next() => conductor.interrupted(number, &audience),
            wish = next(&mut wishes) => conductor.wished(wish, &audience),
            news = next(&mut name_news) => conductor.heard_of_name(news, &audience),
            verdict = verdicts.recv(), if !conductor.unwatched => conductor.judged(verdict, &audience),
            report = reports.recv() => match report {
                Some(report) => conductor.report(report, &audience),
                None => break,
            },
            () = tokio::time::sleep(wait) => conductor.time_is_up(&audience),
        }
        conductor.look_after(&audience, hung);
    }
    conductor.join();
    conductor.wait_for(audience, verdicts, &mut signals, hung).await;
    Ok(conductor.into_ended())
}

/// The next wish, or news of a name; never without anybody who could have one.
async fn next<T>(sources: &mut Option<UnboundedReceiver<T>>) -> T {
    if let Some(open) = sources
        && let Some(one) = open.recv().await
    {
        return one;
    }
    *sources = None;
    std::future::pending().await
}

struct Conductor {
    clock: Clock,
    links: Vec<WorkerLink>,
    phase: RunPhase,
    /// When there is something to do about the current phase's end, at the latest.
    deadline: Time,
    /// When the current phase is over, where that is planned.
    phase_ends: Time,
    pacing: Pacing,
    load_ends: Time,
    load_lasts: Duration,
    timeline: Timeline,
    throttle: Throttle,
    drain: Duration,
    unregister_rate: Option<f64>,
    agents: u32,
    patience: Duration,
    idle: usize,
    done: usize,
    /// Workers that ended before they were told to.
    failed: usize,
    parts: BTreeMap<u32, (Interval, usize)>,
    /// By worker: where it was last.
    progress: Vec<WorkerProgress>,
    /// How many have reported since the sum was last shown.
    reported: usize,
    interrupted_by: Option<i32>,
    stopped: bool,
    registered: u64,
    sender_cpu_ns: u64,
    last_end_ns: u64,
    start: Time,
    /// Why what happened could not be kept.
    keep_error: Option<io::Error>,
    /// Of sender threads that failed: the first reason.
    lost: Option<String>,
    /// Which they were, and what their agents had bound when they were last heard of.
    lost_workers: Vec<usize>,
    lost_bound: u64,
    hurried: bool,
    /// Agents registered in the interval that was merged last.
    bound: u64,
    hung_told: bool,
    /// For how long the machine has been suspended, when that was last looked at.
    suspended_ns: u64,
    /// Nobody is there to judge any more.
    unwatched: bool,
    canaries: Option<Arc<CanaryBooks>>,
}

struct WorkerLink {
    commands: Sender<WorkerOrder>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum RunPhase {
    Load,
    Drain,
    Unregister,
    Finish,
}

impl Conductor {
    fn start(run: Conduct) -> Result<(Self, UnboundedReceiver<WorkerReport>), EngineError> {
        let (sender, receiver) = unbounded_channel();
        let workers = run.workers.len();
        let mut links = Vec::with_capacity(workers);
        for (position, plan) in run.workers.into_iter().enumerate() {
            let (commands, inbox) = std::sync::mpsc::channel();
            let (clock, glances, questions) = (run.clock, run.glances, run.questions.clone());
            let outside = Outside { clock, commands: inbox, reports: sender.clone(), glances, questions };
            let worker = Worker::new(position, plan, outside).map_err(EngineError::Start)?;
            let waker = worker.waker();
            let last_words = sender.clone();
            let thread = std::thread::Builder::new()
                .name(format!("sender-{position}"))
                .spawn(move || {
                    // A worker that panics takes its agents with it; the others must not go on
                    // without it for hours.
                    if std::panic::catch_unwind(AssertUnwindSafe(|| worker.run())).is_err() {
                        let failure = Some(io::Error::other("it panicked"));
                        let _ = last_words.send(WorkerReport::Done { worker: position, cpu_ns: 0, failure });
                    }
                })
                .map_err(EngineError::Start)?;
            links.push(WorkerLink { commands, waker, thread: Some(thread) });
        }
        let load_ends = run.start + run.load_lasts;
        let conductor = Conductor {
            clock: run.clock,
            links,
            phase: RunPhase::Load,
            deadline: load_ends.saturating_sub(LEAD),
            phase_ends: load_ends,
            pacing: run.pacing,
            load_ends,
            load_lasts: run.load_lasts,
            timeline: run.timeline,
            throttle: Throttle::new(),
            drain: run.drain,
            unregister_rate: run.unregister_rate,
            agents: run.agents,
            patience: run.patience,
            idle: 0,
            done: 0,
            failed: 0,
            parts: BTreeMap::new(),
            progress: vec![WorkerProgress::default(); workers],
            reported: 0,
            interrupted_by: None,
            stopped: false,
            registered: 0,
            sender_cpu_ns: 0,
            last_end_ns: 0,
            start: run.start,
            keep_error: None,
            lost: None,
            lost_workers: Vec::new(),
            lost_bound: 0,
            hurried: false,
            bound: 0,
            hung_told: false,
            suspended_ns: suspended_ns(),
            unwatched: false,
            canaries: run.canaries,
        };
        Ok((conductor, receiver))
    }

    fn running(&self) -> usize {
        self.links.len() - self.done
    }

    fn report(&mut self, report: WorkerReport, audience: &Audience) {
        match report {
            WorkerReport::Interval(interval) => self.merge(*interval, audience),
            WorkerReport::Failures(failures) => audience.failures(failures),
            WorkerReport::Progress(progress) => self.progress(progress, audience),
            WorkerReport::Idle(stage) => {
                let ours = match self.phase {
                    RunPhase::Drain => stage == Stage::Drain,
                    RunPhase::Unregister => stage == Stage::Unregister,
                    RunPhase::Load | RunPhase::Finish => false,
                };
                self.idle += usize::from(ours);
                if self.idle < self.running() {
                    return;
                }
                if self.pacing == Pacing::Idle || self.phase == RunPhase::Unregister {
                    self.advance(audience);
                } else {
                    audience.idle(stage);
                }
            }
            WorkerReport::Done { worker, cpu_ns, failure } => {
                self.done += 1;
                self.sender_cpu_ns += cpu_ns;
                if let Some(error) = failure {
                    self.lost.get_or_insert_with(|| format!("a sender thread failed: {error}"));
                    // No other thread knows what these have bound, and no later interval does.
                    self.lost_workers.push(worker);
                    self.lost_bound += self.progress[worker].registered;
                    self.go_on_without(audience);
                }
            }
        }
    }

    /// Shows the sum of all workers when as many have reported as are still running.
    fn progress(&mut self, progress: WorkerProgress, audience: &Audience) {
        let worker = progress.worker;
        self.progress[worker] = progress;
        self.reported += 1;
        if self.reported < self.running() {
            return;
        }
        self.reported = 0;
        let sum = |of: fn(&WorkerProgress) -> u64| self.progress.iter().map(of).sum();
        let mut glances: Vec<Glance> = Vec::new();
        for progress in &self.progress {
            Glance::add_all(&mut glances, &progress.glances);
        }
        audience.position(RunPosition {
            elapsed: self.clock.now().since(self.start),
            planned: sum(|p| p.planned),
            registered: sum(|p| p.registered),
            open: sum(|p| p.open),
            glances,
        });
    }

    fn merge(&mut self, interval: Interval, audience: &Audience) {
        match self.parts.entry(interval.index) {
            std::collections::btree_map::Entry::Vacant(slot) => {
                slot.insert((interval, 1));
            }
            std::collections::btree_map::Entry::Occupied(mut slot) => {
                let (merged, parts) = slot.get_mut();
                merged.merge(interval);
                *parts += 1;
            }
        }
        self.show_complete(audience);
    }

    /// Shows the intervals that every worker has told of, in their order.
    fn show_complete(&mut self, audience: &Audience) {
        let expected = self.links.len() - self.failed;
        while let Some(first) = self.parts.first_entry().filter(|first| first.get().1 >= expected) {
            let (mut merged, _) = first.remove();
            let suspended = suspended_ns();
            merged.generator.suspended_ns =
                suspended.saturating_sub(std::mem::replace(&mut self.suspended_ns, suspended));
            merged.generator.resident_bytes = resident_bytes();
            let seen = self.canaries.as_ref().map(|books| books.take()).unwrap_or_default();
            merged.trunks.iter_mut().zip(seen).for_each(|(trunk, seen)| trunk.canary = seen);
            self.bound = merged.trunks.iter().map(|trunk| trunk.registered).sum();
            if merged.stage != Stage::Unregister {
                self.registered = self.bound;
            }
            self.last_end_ns = merged.end_ns;
            audience.interval(merged);
        }
    }

    /// A worker is gone, and its agents with it. The others end the load and remove their
    /// bindings.
    fn go_on_without(&mut self, audience: &Audience) {
        self.failed += 1;
        self.show_complete(audience);
        if !self.end_load(audience) && self.idle >= self.running() && self.running() > 0 {
            self.advance(audience);
        }
    }

    /// What the observer thinks of what it was shown.
    fn judged(&mut self, verdict: Option<OnlookerVerdict>, audience: &Audience) {
        match verdict {
            Some(Ok(Decision::GoOn)) => {}
            Some(Ok(Decision::Stop)) => self.stopped |= self.end_load(audience),
            Some(Err(error)) => self.unkept(error, audience),
            // It panicked.
            None => {
                self.unwatched = true;
                self.unkept(io::Error::other("its writer is gone"), audience);
            }
        }
    }

    /// Load whose results cannot be kept is over; bindings are removed in good order.
    fn unkept(&mut self, error: io::Error, audience: &Audience) {
        self.keep_error.get_or_insert(error);
        self.end_load(audience);
    }

    fn look_after(&mut self, audience: &Audience, hung: fn(HungFor)) {
        let busy = audience.busy_for(self.clock.now());
        if busy >= HUNG && !self.hung_told {
            self.hung_told = true;
            hung(HungFor::Meanwhile(busy));
        }
        self.hung_told &= busy > Duration::ZERO;
    }

    /// Lets the observer take what is left. One that is held by a disk is waited for only so long,
    /// and no longer than until somebody asks again for an end.
    async fn wait_for(
        &mut self,
        audience: Audience,
        mut verdicts: UnboundedReceiver<OnlookerVerdict>,
        signals: &mut Signals,
        hung: fn(HungFor),
    ) {
        let since = self.clock.now();
        let desk = audience.close();
        loop {
            tokio::select! {
                verdict = verdicts.recv() => match verdict {
                    Some(Err(error)) => {
                        self.keep_error.get_or_insert(error);
                    }
                    Some(Ok(_)) => {}
                    None => return,
                },
                number = signals.next() => {
                    if self.interrupted_by.replace(number).is_some() {
                        hung(HungFor::TooLong(self.clock.now().since(since)));
                    }
                }
                () = tokio::time::sleep(Duration::from_secs(1)) => {
                    if desk.busy_for(self.clock.now()) > GIVEN_UP {
                        hung(HungFor::TooLong(self.clock.now().since(since)));
                    }
                }
            }
        }
    }

    fn time_is_up(&mut self, audience: &Audience) {
        match self.phase {
            RunPhase::Load => self.begin_drain(self.in_time_for(self.load_ends), audience),
            _ => self.advance(audience),
        }
    }

    /// When a stage ends that is to end then. Held up until the end is upon us (by a stop of the
    /// whole process, say), the order would come after workers have closed later intervals, not all
    /// the same ones: then the stage lasts a little longer.
    fn in_time_for(&self, end: Time) -> Time {
        let now = self.clock.now();
        if now + LEAD / 2 > end { now + LEAD } else { end }
    }

    /// The first signal ends the load early, the second one ends everything now.
    fn interrupted(&mut self, number: i32, audience: &Audience) {
        if self.interrupted_by.is_some() {
            self.hurried = true;
            self.finish();
            return;
        }
        self.interrupted_by = Some(number);
        self.end_load(audience);
    }

    fn wished(&mut self, wish: Wish, audience: &Audience) {
        match wish {
            Wish::Interrupt => self.interrupted(SignalKind::interrupt().as_raw_value(), audience),
            Wish::Adjust(adjustment) => self.adjust(adjustment, audience),
            Wish::EndStage { stage, at } => self.end_stage(stage, at),
            Wish::GoAlone => {
                if !self.end_load(audience) && self.idle >= self.running() && self.running() > 0 {
                    self.advance(audience);
                }
            }
        }
    }

    /// Lets the stage that goes on end before its time.
    fn end_stage(&mut self, stage: Stage, at: Time) {
        let at = at.max(self.clock.now() + LEAD);
        let ends = match (self.phase, stage) {
            (RunPhase::Load, Stage::Load) => &mut self.load_ends,
            (RunPhase::Drain, Stage::Drain) | (RunPhase::Unregister, Stage::Unregister) => &mut self.phase_ends,
            _ => return,
        };
        if at < *ends {
            *ends = at;
            self.deadline = at.saturating_sub(LEAD);
        }
    }

    fn heard_of_name(&mut self, news: NameNews, audience: &Audience) {
        match news {
            NameNews::Relocated(relocation) => self.relocated(relocation, audience),
            // It changes nothing but what its agents wait for.
            NameNews::Found(name) if self.phase != RunPhase::Finish => {
                self.send(WorkerOrder::Found { at: self.clock.now(), name });
            }
            NameNews::Found(_) => {}
        }
    }

    /// A name was looked up again: agents turn to where it leads as they begin their next attempts.
    fn relocated(&mut self, Relocation { trunk, places, number }: Relocation, audience: &Audience) {
        if self.phase == RunPhase::Finish {
            return;
        }
        let at = (self.clock.now() + LEAD).max(self.start);
        if let Some(places) = places {
            self.send(WorkerOrder::Relocate { at, trunk, places });
        }
        audience.relocated(number, at.nanos_since(self.start));
    }

    /// Changes the speed of the load. Nothing is changed any more when its end has been ordered, or
    /// is about to be.
    fn adjust(&mut self, adjustment: Adjustment, audience: &Audience) {
        let at = (self.clock.now() + LEAD).max(self.start);
        if self.phase != RunPhase::Load || at >= self.load_ends.saturating_sub(LEAD) {
            return;
        }
        let Some(kind) = self.throttle.adjust(adjustment) else { return };
        let speed: Speed = self.throttle.speed();
        self.timeline.bend(at.since(self.start), speed);
        self.load_ends = self.timeline.end(self.load_lasts).map_or(Time::NEVER, |end| self.start + end);
        self.deadline = self.load_ends.saturating_sub(LEAD);
        self.send(WorkerOrder::Speed { at, speed });
        audience.intervened(Intervention { at_ns: at.nanos_since(self.start), kind, speed });
    }

    /// Ends the load before its time; false when it is over already.
    fn end_load(&mut self, audience: &Audience) -> bool {
        let loading = self.phase == RunPhase::Load;
        self.pacing = Pacing::Idle;
        if loading {
            let at = self.clock.now() + LEAD;
            self.begin_drain(at, audience);
        }
        loading
    }

    fn begin_drain(&mut self, at: Time, audience: &Audience) {
        self.load_ends = at;
        let drain = match self.pacing {
            Pacing::Idle => self.drain,
            // Two stages never end at the same moment.
            Pacing::Planned => self.drain.max(2 * LEAD),
        };
        self.order(RunPhase::Drain, WorkerOrder::Drain { at }, at + drain);
        audience.stage(Stage::Drain, self.interrupted_by);
    }

    /// The drain or the un-REGISTERs are over, or took as long as they may.
    fn advance(&mut self, audience: &Audience) {
        let at = self.next_phase_at();
        match (self.phase, self.unregister_rate) {
            (RunPhase::Drain, Some(per_second)) => {
                let pacing = Duration::from_secs_f64(f64::from(self.agents) / per_second);
                let limit = at + pacing + self.patience + Duration::from_secs(2);
                self.order(RunPhase::Unregister, WorkerOrder::Unregister { at, per_second }, limit);
                audience.stage(Stage::Unregister, self.interrupted_by);
            }
            (RunPhase::Finish, _) => {
                // Every worker was told to finish and did not within a minute: they are stuck in
                // the kernel.
                let stuck = io::Error::new(io::ErrorKind::TimedOut, "it did not finish within a minute");
                self.lost.get_or_insert_with(|| format!("a sender thread failed: {stuck}"));
                self.done = self.links.len();
            }
            _ => self.finish(),
        }
    }

    fn next_phase_at(&self) -> Time {
        match self.pacing {
            Pacing::Planned if self.phase != RunPhase::Unregister => self.in_time_for(self.phase_ends),
            _ => self.clock.now() + LEAD,
        }
    }

    fn finish(&mut self) {
        if self.phase != RunPhase::Finish {
            let at = self.next_phase_at();
            self.order(RunPhase::Finish, WorkerOrder::Finish { at }, at + Duration::from_secs(60));
        }
    }

    fn order(&mut self, phase: RunPhase, command: WorkerOrder, deadline: Time) {
        self.phase = phase;
        self.phase_ends = deadline;
        self.deadline = match self.pacing {
            Pacing::Idle => deadline,
            Pacing::Planned => deadline.saturating_sub(LEAD),
        };
        self.idle = 0;
        self.send(command);
    }

    fn send(&self, command: WorkerOrder) {
        for link in &self.links {
            // A worker that is gone reported its end already.
            let _ = link.commands.send(command.clone());
            link.waker.wake();
        }
    }

    fn join(&mut self) {
        for link in &mut self.links {
            if let Some(thread) = link.thread.take().filter(JoinHandle::is_finished) {
                // A panic was already reported by the thread itself.
                let _ = thread.join();
            }
        }
    }

    fn into_ended(self) -> Ended {
        Ended {
            ended: self.start + Duration::from_nanos(self.last_end_ns),
            load_ended: self.load_ends,
            interrupted_by: self.interrupted_by,
            lost: self.lost,
            lost_workers: self.lost_workers,
            lost_bound: self.lost_bound,
            left_bound: self.bound + self.lost_bound,
            hurried: self.hurried,
            keep_error: self.keep_error,
            stopped: self.stopped,
            registered_after_drain: self.registered,
            sender_cpu: Duration::from_nanos(self.sender_cpu_ns),
        }
    }
}
