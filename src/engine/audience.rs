//! Between the control side and whoever watches a run: two threads, so that neither a signal nor
//! the schedule ever waits for a disk or a terminal.
//!
//! The control side posts results and carries on at once; the observer takes them in order, on the
//! thread that started the run, and its verdicts come back as messages. What it has not taken yet
//! stays in memory. When it takes nothing for long the control side knows since when.

use crate::measure::{Glance, Interval};
use crate::net::clock::Clock;
use crate::vocab::{FailedAttempt, Intervention, Stage, Time};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Positions that may wait to be shown; more would only be out of date.
const POSITIONS: usize = 16;

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
    /// By trunk, if [`super::Conduct::glances`] asks for it.
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
    /// When it cannot be kept; the load then ends, bindings are removed, and no further interval is
    /// shown.
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

    /// What a name stands for took effect, a little ahead; `number` is that of
    /// [`Relocation`](super::Relocation). Left out by those who look no names up.
    ///
    /// # Errors
    /// When it cannot be kept; the run then stops.
    fn relocated(&mut self, _number: usize, _at_ns: u64) -> io::Result<()> {
        Ok(())
    }

    /// Nothing is left to do in a stage that lasts for as long as it is planned. Left out by those
    /// who end no stages.
    fn idle(&mut self, _stage: Stage) {}

    /// A stage has been ordered, the load as soon as signals are heard; `interrupted` by this
    /// signal number.
    fn stage(&mut self, stage: Stage, interrupted: Option<i32>);
}

/// What an observer is shown.
enum ShownToObserver {
    Interval(Box<Interval>),
    Failures(Vec<FailedAttempt>),
    Position(RunPosition),
    Intervened(Intervention),
    Relocated(usize, u64),
    Idle(Stage),
    Stage(Stage, Option<i32>),
}

/// What an observer makes of what it was shown, where that is not "go on".
pub(super) type OnlookerVerdict = io::Result<Decision>;

/// The control side's end.
pub(super) struct Audience {
    shown: Sender<ShownToObserver>,
    desk: Arc<Desk>,
}

/// The observer's end.
pub(super) struct Onlooker {
    shown: Receiver<ShownToObserver>,
    verdicts: UnboundedSender<OnlookerVerdict>,
    desk: Arc<Desk>,
}

/// What is on its way from one to the other.
#[derive(Default)]
pub(super) struct Desk {
    waiting: AtomicUsize,
    /// When the observer took what it is busy with, in nanoseconds of the run's clock; 0: it is
    /// not.
    busy_since: AtomicU64,
}

/// Both ends, and where verdicts arrive.
pub(super) fn audience() -> (Audience, Onlooker, UnboundedReceiver<OnlookerVerdict>) {
    let (sender, receiver) = channel();
    let (verdicts, heard) = unbounded_channel();
    let desk = Arc::<Desk>::default();
    (Audience { shown: sender, desk: Arc::clone(&desk) }, Onlooker { shown: receiver, verdicts, desk }, heard)
}

impl Desk {
    pub(super) fn busy_for(&self, now: Time) -> Duration {
        match self.busy_since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => now.since(Time::from_nanos(since)),
        }
    }
}

impl Audience {
    pub(super) fn interval(&self, interval: Interval) {
        self.show(ShownToObserver::Interval(Box::new(interval)));
    }

    pub(super) fn failures(&self, failures: Vec<FailedAttempt>) {
        self.show(ShownToObserver::Failures(failures));
    }

    pub(super) fn position(&self, position: RunPosition) {
        if self.desk.waiting.load(Ordering::Relaxed) < POSITIONS {
            self.show(ShownToObserver::Position(position));
        }
    }

    pub(super) fn intervened(&self, intervention: Intervention) {
        self.show(ShownToObserver::Intervened(intervention));
    }

    pub(super) fn relocated(&self, number: usize, at_ns: u64) {
        self.show(ShownToObserver::Relocated(number, at_ns));
    }

    pub(super) fn idle(&self, stage: Stage) {
        self.show(ShownToObserver::Idle(stage));
    }

    pub(super) fn stage(&self, stage: Stage, interrupted: Option<i32>) {
        self.show(ShownToObserver::Stage(stage, interrupted));
    }

    /// How long the observer has been busy with one thing.
    pub(super) fn busy_for(&self, now: Time) -> Duration {
        self.desk.busy_for(now)
    }

    /// Shows nothing more; what is on its way can still be looked after.
    pub(super) fn close(self) -> Arc<Desk> {
        self.desk
    }

    fn show(&self, shown: ShownToObserver) {
        self.desk.waiting.fetch_add(1, Ordering::Relaxed);
        // An observer that is gone has panicked; the control side learns it from the verdicts.
        let _ = self.shown.send(shown);
    }
}

impl Onlooker {
    /// Watches until nothing more is shown. After something could not be kept only positions and
    /// stages are passed on: what followed in the same file would not be readable.
    pub(super) fn watch(self, observer: &mut dyn Observer, clock: Clock) {
        let mut keeps = true;
        for shown in self.shown {
            self.desk.busy_since.store(clock.now().as_nanos(), Ordering::Relaxed);
            let verdict = match shown {
                ShownToObserver::Position(position) => {
                    observer.progress(position);
                    Ok(Decision::GoOn)
                }
                ShownToObserver::Idle(stage) => {
                    observer.idle(stage);
                    Ok(Decision::GoOn)
                }
                ShownToObserver::Stage(stage, interrupted) => {
                    observer.stage(stage, interrupted);
                    Ok(Decision::GoOn)
                }
                _ if !keeps => Ok(Decision::GoOn),
                ShownToObserver::Interval(interval) => observer.interval(&interval),
                ShownToObserver::Failures(failures) => observer.failures(&failures).map(|()| Decision::GoOn),
                ShownToObserver::Relocated(number, at_ns) => observer.relocated(number, at_ns).map(|()| Decision::GoOn),
                ShownToObserver::Intervened(intervention) => {
                    observer.intervened(&intervention).map(|()| Decision::GoOn)
                }
            };
            self.desk.busy_since.store(0, Ordering::Relaxed);
            self.desk.waiting.fetch_sub(1, Ordering::Relaxed);
            keeps &= verdict.is_ok();
            if !matches!(verdict, Ok(Decision::GoOn)) {
                // Without a control side the run is over.
                let _ = self.verdicts.send(verdict);
            }
        }
    }
}
