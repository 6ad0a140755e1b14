//! The control side of a run, on a current-thread tokio runtime: it starts the workers, moves the
//! run from stage to stage, listens to signals, merges the workers' intervals and hands them to an
//! observer.

use super::worker::{Outside, Report, Worker, WorkerOrder, WorkerPlan, WorkerProgress};
use crate::load::{Adjustment, Throttle, Timeline};
use crate::measure::{Glance, Interval};
use crate::net::clock::Clock;
use crate::net::poll::Waker;
use crate::vocab::{FailedAttempt, Intervention, Speed, Stage, Time};
use std::collections::BTreeMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
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
    /// Whether the person also sees each trunk.
    pub glances: bool,
    /// Longest wait for open attempts after the load.
    pub drain: Duration,
    /// Un-REGISTERs per second after the drain; `None` leaves the bindings alone.
    pub unregister_rate: Option<f64>,
    pub agents: u32,
    /// Timer F: how long the last un-REGISTER may take.
    pub patience: Duration,
}

/// What a person may wish of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// What Ctrl-C stands for: the first ends the load, the second everything.
    Interrupt,
    Adjust(Adjustment),
}

/// Where a run is.
#[derive(Clone, Default, Debug)]
pub struct RunPosition {
    /// Since the start.
    pub elapsed: Duration,
    /// Agents that have arrived and were not told to un-REGISTER.
    pub planned: u64,
    pub registered: u64,
    /// Attempts under way.
    pub open: u64,
    /// By trunk, if [`Conduct::glances`] asks for it.
    pub glances: Vec<Glance>,
}

/// What an observer makes of an interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Decision {
    GoOn,
    /// End the load now, and the run in good order: drain, un-REGISTER, the rest. Without load left
    /// there is nothing to end, and the run goes on as it would have.
    Stop,
}

/// Who watches a run.
pub trait Observer {
    /// An interval of all workers is complete.
    ///
    /// # Errors
    /// When it cannot be kept; the run then stops.
    fn interval(&mut self, interval: &Interval) -> io::Result<Decision>;

    /// Failed attempts of one worker, with their packets, before the interval in which they ended.
    /// Not every failed attempt is among them.
    ///
    /// # Errors
    /// When they cannot be kept; the run then stops.
    fn failures(&mut self, failures: &[FailedAttempt]) -> io::Result<()>;

    /// Where the run is: some times a second.
    fn progress(&mut self, position: RunPosition);

    /// A person changed the speed of the load, a little ahead of its effect.
    ///
    /// # Errors
    /// When it cannot be kept; the run then stops.
    fn intervened(&mut self, intervention: &Intervention) -> io::Result<()>;

    /// A stage has been ordered, the load as soon as signals are heard; `interrupted` by this
    /// signal number.
    fn stage(&mut self, stage: Stage, interrupted: Option<i32>);
}

/// How a run ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub ended: Time,
    pub load_ended: Time,
    /// 2 for SIGINT, 15 for SIGTERM.
    pub interrupted_by: Option<i32>,
    /// The observer ended the load before its time.
    pub stopped: bool,
    /// Agents registered when the drain ended.
    pub registered_at_load_end: u64,
    /// CPU time of all sender threads.
    pub sender_cpu: Duration,
}

/// Why a run could not be carried through.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("a sender thread could not be started: {0}")]
    Start(#[source] io::Error),
    #[error("a sender thread failed: {0}")]
    Worker(#[source] io::Error),
    #[error("signals cannot be received: {0}")]
    Signals(#[source] io::Error),
    #[error("the record cannot be written: {0}")]
    Record(#[source] io::Error),
}

/// How far ahead of its effect a command is sent, so that every worker has it in time.
const LEAD: Duration = Duration::from_millis(60);

/// Carries a run through all its stages.
///
/// # Errors
/// When threads or signals cannot be set up, a worker's sockets fail, or the observer cannot keep
/// an interval. What was observed until then stays observed.
pub async fn conduct(mut run: Conduct, observer: &mut dyn Observer) -> Result<Ended, EngineError> {
    let mut signals = SignalStreams {
        interrupt: signal(SignalKind::interrupt()).map_err(EngineError::Signals)?,
        terminate: signal(SignalKind::terminate()).map_err(EngineError::Signals)?,
    };
    observer.stage(Stage::Load, None);
    let mut wishes = run.wishes.take();
    let (mut conductor, mut reports) = Conductor::start(run)?;
    while conductor.running() > 0 {
        let wait = conductor.deadline.since(conductor.clock.now());
        tokio::select! {
            // Reports first: an interval must not wait behind a timer.
            biased;
            report = reports.recv() => match report {
                Some(report) => conductor.report(report, observer),
                None => break,
            },
            number = signals.next() => conductor.interrupted(number, observer),
            wish = next(&mut wishes) => conductor.wished(wish, observer),
            () = tokio::time::sleep(wait) => conductor.time_is_up(observer),
        }
    }
    conductor.join();
    conductor.into_ended()
}

/// The next wish; never without anybody who could have one.
async fn next(wishes: &mut Option<UnboundedReceiver<Wish>>) -> Wish {
    if let Some(open) = wishes
        && let Some(wish) = open.recv().await
    {
        return wish;
    }
    *wishes = None;
    std::future::pending().await
}

struct SignalStreams {
    interrupt: Signal,
    terminate: Signal,
}

impl SignalStreams {
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }
}

struct Conductor {
    clock: Clock,
    links: Vec<WorkerLink>,
    phase: RunPhase,
    /// When the current phase is over at the latest.
    deadline: Time,
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
    parts: BTreeMap<u32, (Interval, usize)>,
    /// By worker: where it was last.
    progress: Vec<WorkerProgress>,
    interrupted_by: Option<i32>,
    stopped: bool,
    registered: u64,
    sender_cpu_ns: u64,
    last_end_ns: u64,
    start: Time,
    failure: Option<EngineError>,
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
    fn start(run: Conduct) -> Result<(Self, UnboundedReceiver<Report>), EngineError> {
        let (sender, receiver) = unbounded_channel();
        let workers = run.workers.len();
        let mut links = Vec::with_capacity(workers);
        for (position, plan) in run.workers.into_iter().enumerate() {
            let (commands, inbox) = std::sync::mpsc::channel();
            let outside = Outside { clock: run.clock, commands: inbox, reports: sender.clone(), glances: run.glances };
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
                        let _ = last_words.send(Report::Done { cpu_ns: 0, failure });
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
            parts: BTreeMap::new(),
            progress: vec![WorkerProgress::default(); workers],
            interrupted_by: None,
            stopped: false,
            registered: 0,
            sender_cpu_ns: 0,
            last_end_ns: 0,
            start: run.start,
            failure: None,
        };
        Ok((conductor, receiver))
    }

    fn running(&self) -> usize {
        self.links.len() - self.done
    }

    fn report(&mut self, report: Report, observer: &mut dyn Observer) {
        match report {
            Report::Interval(interval) => self.merge(*interval, observer),
            Report::Failures(failures) => self.kept(observer.failures(&failures)),
            Report::Progress(progress) => self.progress(progress, observer),
            Report::Idle(stage) => {
                let ours = match self.phase {
                    RunPhase::Drain => stage == Stage::Drain,
                    RunPhase::Unregister => stage == Stage::Unregister,
                    RunPhase::Load | RunPhase::Finish => false,
                };
                self.idle += usize::from(ours);
                if self.idle >= self.links.len() {
                    self.advance(observer);
                }
            }
            Report::Done { cpu_ns, failure } => {
                self.done += 1;
                self.sender_cpu_ns += cpu_ns;
                if let Some(error) = failure {
                    self.failure.get_or_insert(EngineError::Worker(error));
                    self.finish();
                }
            }
        }
    }

    /// Shows the sum of all workers when the last of them reports.
    fn progress(&mut self, progress: WorkerProgress, observer: &mut dyn Observer) {
        let worker = progress.worker;
        self.progress[worker] = progress;
        if worker + 1 < self.links.len() {
            return;
        }
        let sum = |of: fn(&WorkerProgress) -> u64| self.progress.iter().map(of).sum();
        let mut glances: Vec<Glance> = Vec::new();
        for progress in &self.progress {
            Glance::add_all(&mut glances, &progress.glances);
        }
        observer.progress(RunPosition {
            elapsed: self.clock.now().since(self.start),
            planned: sum(|p| p.planned),
            registered: sum(|p| p.registered),
            open: sum(|p| p.open),
            glances,
        });
    }

    fn merge(&mut self, interval: Interval, observer: &mut dyn Observer) {
        let index = interval.index;
        let complete = match self.parts.entry(index) {
            std::collections::btree_map::Entry::Vacant(slot) => {
                slot.insert((interval, 1));
                self.links.len() == 1
            }
            std::collections::btree_map::Entry::Occupied(mut slot) => {
                let (merged, parts) = slot.get_mut();
                merged.merge(interval);
                *parts += 1;
                *parts == self.links.len()
            }
        };
        if !complete {
            return;
        }
        if let Some((merged, _)) = self.parts.remove(&index) {
            if merged.stage != Stage::Unregister {
                self.registered = merged.trunks.iter().map(|trunk| trunk.registered).sum();
            }
            self.last_end_ns = merged.end_ns;
            match observer.interval(&merged) {
                Ok(Decision::GoOn) => {}
                Ok(Decision::Stop) => self.stopped |= self.end_load(observer),
                Err(error) => self.kept(Err(error)),
            }
        }
    }

    /// A run whose results cannot be kept is over.
    fn kept(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.failure.get_or_insert(EngineError::Record(error));
            self.finish();
        }
    }

    fn time_is_up(&mut self, observer: &mut dyn Observer) {
        match self.phase {
            // Held up until the end is upon us (by a stop of the whole process, say), the order
            // would come after workers have closed later intervals, not all the same ones: then the
            // load lasts a little longer.
            RunPhase::Load => {
                let now = self.clock.now();
                let at = if now + LEAD / 2 > self.load_ends { now + LEAD } else { self.load_ends };
                self.begin_drain(at, observer);
            }
            _ => self.advance(observer),
        }
    }

    /// The first signal ends the load early, the second one ends everything now.
    fn interrupted(&mut self, number: i32, observer: &mut dyn Observer) {
        if self.interrupted_by.is_some() {
            self.finish();
            return;
        }
        self.interrupted_by = Some(number);
        self.end_load(observer);
    }

    fn wished(&mut self, wish: Wish, observer: &mut dyn Observer) {
        match wish {
            Wish::Interrupt => self.interrupted(SignalKind::interrupt().as_raw_value(), observer),
            Wish::Adjust(adjustment) => self.adjust(adjustment, observer),
        }
    }

    /// Changes the speed of the load. Nothing is changed any more when its end has been ordered, or
    /// is about to be.
    fn adjust(&mut self, adjustment: Adjustment, observer: &mut dyn Observer) {
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
        self.kept(observer.intervened(&Intervention { at_ns: at.nanos_since(self.start), kind, speed }));
    }

    /// Ends the load before its time; false when it is over already.
    fn end_load(&mut self, observer: &mut dyn Observer) -> bool {
        let loading = self.phase == RunPhase::Load;
        if loading {
            let at = self.clock.now() + LEAD;
            self.begin_drain(at, observer);
        }
        loading
    }

    fn begin_drain(&mut self, at: Time, observer: &mut dyn Observer) {
        self.load_ends = at;
        self.order(RunPhase::Drain, WorkerOrder::Drain { at }, at + self.drain);
        observer.stage(Stage::Drain, self.interrupted_by);
    }

    /// The drain or the un-REGISTERs are over, or took as long as they may.
    fn advance(&mut self, observer: &mut dyn Observer) {
        let at = self.clock.now() + LEAD;
        match (self.phase, self.unregister_rate) {
            (RunPhase::Drain, Some(per_second)) => {
                let pacing = Duration::from_secs_f64(f64::from(self.agents) / per_second);
                let limit = at + pacing + self.patience + Duration::from_secs(2);
                self.order(RunPhase::Unregister, WorkerOrder::Unregister { at, per_second }, limit);
                observer.stage(Stage::Unregister, self.interrupted_by);
            }
            (RunPhase::Finish, _) => {
                // Every worker was told to finish and did not within a minute: they are stuck in
                // the kernel.
                let stuck = io::Error::new(io::ErrorKind::TimedOut, "it did not finish within a minute");
                self.failure.get_or_insert(EngineError::Worker(stuck));
                self.done = self.links.len();
            }
            _ => self.finish(),
        }
    }

    fn finish(&mut self) {
        if self.phase != RunPhase::Finish {
            let at = self.clock.now() + LEAD;
            self.order(RunPhase::Finish, WorkerOrder::Finish { at }, at + Duration::from_secs(60));
        }
    }

    fn order(&mut self, phase: RunPhase, command: WorkerOrder, deadline: Time) {
        self.phase = phase;
        self.deadline = deadline;
        self.idle = 0;
        self.send(command);
    }

    fn send(&self, command: WorkerOrder) {
        for link in &self.links {
            // A worker that is gone reported its end already.
            let _ = link.commands.send(command);
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

    fn into_ended(self) -> Result<Ended, EngineError> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(Ended {
                ended: self.start + Duration::from_nanos(self.last_end_ns),
                load_ended: self.load_ends,
                interrupted_by: self.interrupted_by,
                stopped: self.stopped,
                registered_at_load_end: self.registered,
                sender_cpu: Duration::from_nanos(self.sender_cpu_ns),
            }),
        }
    }
}
