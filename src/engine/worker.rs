//! A sender thread. One turn: the clock, commands, received datagrams, expired timers and due
//! arrivals, one batch per socket out, then a wait for whichever of these comes next.

use super::channels::ClientLayers;
use super::sockets::{Sockets, inbox};
use super::tempo::Tempo;
use crate::fleet::{Fleet, FoundName, NameQuestion};
use crate::measure::{Glance, Interval};
use crate::net::clock::{Clock, thread_cpu_ns};
use crate::net::poll::{Poller, Waker, lower_timer_slack, pause};
use crate::net::udp::{RecvBatch, Udp};
use crate::sip::locate::Destination;
use crate::vocab::{FailedAttempt, FlowId, Speed, Stage, Time, TrunkId};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// What the control side tells a worker; each takes effect at its time.
#[derive(Clone, Debug)]
pub(super) enum WorkerOrder {
    /// The load's time passes at another speed. It ends no interval.
    Speed {
        at: Time,
        speed: Speed,
    },
    /// A trunk's name leads to these places from now on. It ends no interval.
    Relocate {
        at: Time,
        trunk: TrunkId,
        places: Arc<[Destination]>,
    },
    /// The name of a redirection was looked up. It ends no interval.
    Found {
        at: Time,
        name: FoundName,
    },
    Drain {
        at: Time,
    },
    Unregister {
        at: Time,
        per_second: f64,
    },
    Finish {
        at: Time,
    },
}

/// What a worker tells the control side.
#[derive(Debug)]
pub(super) enum WorkerReport {
    /// An interval is complete.
    Interval(Box<Interval>),
    /// Failed attempts whose packets were kept; the interval they belong to follows.
    Failures(Vec<FailedAttempt>),
    /// Where this worker is: a few times a second.
    Progress(WorkerProgress),
    /// Nothing is open and nothing is to come in this stage.
    Idle(Stage),
    /// The thread is about to end; CPU nanoseconds it used.
    Done { worker: usize, cpu_ns: u64, failure: Option<io::Error> },
}

/// Where a worker is.
#[derive(Clone, Default, Debug)]
pub(super) struct WorkerProgress {
    pub worker: usize,
    pub planned: u64,
    pub registered: u64,
    pub open: u64,
    /// By trunk, for whoever asked for it.
    pub glances: Vec<Glance>,
}

/// Time between two reports of where a worker is.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Everything a worker thread takes with it.
pub struct WorkerPlan {
    pub fleet: Fleet,
    /// By [`crate::vocab::FlowId`], datagram flows only.
    pub sockets: Vec<Udp>,
    /// A second, unconnected socket on the port of some of these, for datagrams from anyone but the
    /// target.
    pub beside: Vec<(FlowId, Udp)>,
    /// What lies between bytes and messages of its streams, by flow.
    pub layers: Vec<ClientLayers>,
}

/// A worker's ties to the control side.
pub(super) struct Outside {
    pub clock: Clock,
    pub commands: Receiver<WorkerOrder>,
    pub reports: UnboundedSender<WorkerReport>,
    /// Whether its reports of where it is are to show each trunk.
    pub glances: bool,
    /// Where it asks for the names of redirections; `None`: nobody looks them up.
    pub questions: Option<Sender<NameQuestion>>,
}

pub(super) struct Worker {
    fleet: Fleet,
    sockets: Sockets,
    poller: Poller,
    clock: Clock,
    commands: Receiver<WorkerOrder>,
    /// Commands whose time has not come, in order.
    pending: Vec<WorkerOrder>,
    /// The interval that was cut last, while its rows are handed over.
    leaving: Option<Box<Interval>>,
    reports: UnboundedSender<WorkerReport>,
    received: RecvBatch,
    ready: Vec<u32>,
    /// Stage for which `Idle` was reported.
    idle_reported: Option<Stage>,
    cpu_counted: u64,
    position: usize,
    next_progress: Time,
    finished: bool,
    /// Whether somebody wants to see each trunk.
    glances: bool,
    tempo: Tempo,
    /// Received in this turn.
    datagrams: usize,
}

/// Rows of agents handed over in one turn: some tens of microseconds' work.
const PIECE: usize = 2048;

/// A wait that ends this much after its deadline was a stall.
pub(super) const OVERSLEPT: Duration = Duration::from_millis(1);

impl Worker {
    pub(super) fn new(position: usize, plan: WorkerPlan, outside: Outside) -> io::Result<Self> {
        let Outside { clock, commands, reports, glances, questions } = outside;
        let sockets = plan.sockets;
        let mut poller = Poller::new()?;
        Ok(Worker {
            received: inbox(&sockets),
            sockets: Sockets::watched(sockets, plan.beside, plan.fleet.flows(), plan.layers, &mut poller)?
                .asking(questions),
            fleet: plan.fleet,
            poller,
            clock,
            commands,
            pending: Vec::new(),
            leaving: None,
            reports,
            ready: Vec::new(),
            idle_reported: None,
            cpu_counted: 0,
            position,
            next_progress: Time::ORIGIN,
            finished: false,
            glances,
            tempo: Tempo::new(),
            datagrams: 0,
        })
    }

    /// Ends this worker's wait from the control side.
    pub(super) fn waker(&self) -> Waker {
        self.poller.waker()
    }

    /// Runs until told to finish.
    pub(super) fn run(mut self) {
        lower_timer_slack();
        let mut failure = None;
        let mut due = self.clock.now();
        while !self.finished {
            if let Err(error) = self.turn(&mut due) {
                failure = Some(error);
                break;
            }
        }
        // What was observed stays observed, whatever ended the work.
        self.hand_over(usize::MAX);
        // The control side outlives its workers; if it is gone, so is everyone who could read this.
        let _ = self.reports.send(WorkerReport::Done { worker: self.position, cpu_ns: thread_cpu_ns(), failure });
    }

    /// One turn, then the wait for the next; `due` is when the last wait was to end.
    fn turn(&mut self, due: &mut Time) -> io::Result<()> {
        let now = self.clock.now();
        // After reading the clock: commands are sent well ahead of their time, so each that is due
        // by `now` is already in the channel.
        self.take_commands();
        self.cut_intervals(now);
        if self.finished {
            return Ok(());
        }
        if now.since(*due) > OVERSLEPT {
            // What was ready when the wait ended is old news: an answer may have come since, and
            // its timer must not win.
            self.poller.wait(Some(Duration::ZERO), &mut self.ready)?;
        }
        let drained = self.receive()?;
        let reached = self.clock.now();
        // A timer must not fire while its answer may still wait in a socket, nor what lies beyond
        // an interval's end happen before that interval is cut.
        let more = !drained || self.next_cut() <= reached || self.fleet.turn(reached, &mut self.sockets);
        self.sockets.flush_all();
        self.sockets.report_failures(now, self.fleet.driver());
        self.report_progress(now);
        self.report_idle();
        self.hand_over(PIECE);
        let end = self.clock.now();
        self.fleet.tally().turn(end.since(now.min(*due)));
        *due =
            if more || self.leaving.is_some() { end } else { self.fleet.next_wake().min(self.next_command()).max(end) };
        let datagrams = std::mem::take(&mut self.datagrams);
        let Some(rest) = self.tempo.rest(end, datagrams).filter(|_| !more) else {
            return self.poller.wait(Some(due.since(end)), &mut self.ready);
        };
        pause(rest);
        *due = (*due).max(end + rest);
        if self.sockets.all_ready(&mut self.ready) {
            return Ok(());
        }
        self.poller.wait(Some(due.since(self.clock.now())), &mut self.ready)
    }

    fn next_command(&self) -> Time {
        self.pending.first().map_or(Time::NEVER, WorkerOrder::at)
    }

    /// When the current interval ends, by the clock or by a command.
    fn next_cut(&mut self) -> Time {
        self.next_command().min(self.fleet.tally().next_close())
    }

    fn take_commands(&mut self) {
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.pending.push(command),
                Err(TryRecvError::Empty) => break,
                // Without a control side nobody reads results: the load must not go on.
                Err(TryRecvError::Disconnected) => {
                    self.finished = true;
                    break;
                }
            }
        }
    }

    /// Interval ends and commands that are due, in the order of their times.
    fn cut_intervals(&mut self, now: Time) {
        if self.next_cut() > now {
            // What is due must be done, or the next wait would end at once, and so on without rest.
            self.fleet.sample_due(now);
            return;
        }
        self.fleet.tally().socket_drops(self.sockets.refresh_drops());
        loop {
            let command_at = self.next_command();
            // An interval that ends with a command is closed by it, or an empty one would follow.
            let before = command_at.saturating_sub(Duration::from_nanos(1));
            // Whatever ends an interval now finds the one before gone.
            if self.next_cut() <= now {
                self.hand_over(usize::MAX);
            }
            if let Some(interval) = self.fleet.cut_due(now.min(before)) {
                let interval = self.accounted(interval);
                self.leaving = Some(Box::new(interval));
                continue;
            }
            if command_at > now || self.finished {
                return;
            }
            let interval = match self.pending.remove(0) {
                WorkerOrder::Speed { at, speed } => {
                    self.fleet.set_speed(at, speed);
                    continue;
                }
                WorkerOrder::Relocate { trunk, places, .. } => {
                    self.fleet.relocate(trunk, &places, &mut self.sockets);
                    continue;
                }
                WorkerOrder::Found { at, name } => {
                    self.fleet.found(at, &name);
                    continue;
                }
                WorkerOrder::Drain { at } => self.fleet.begin_drain(at, now, &mut self.sockets),
                WorkerOrder::Unregister { at, per_second } => self.fleet.begin_unregister(at, per_second),
                WorkerOrder::Finish { at } => {
                    self.finished = true;
                    self.fleet.finish(at)
                }
            };
            let interval = self.accounted(interval);
            let _ = self.reports.send(WorkerReport::Interval(Box::new(interval)));
            // Behind the last interval there is none, however late this is.
            if self.finished {
                return;
            }
        }
    }

    /// An interval that has just ended, with the CPU time it took; its failures are told at once.
    fn accounted(&mut self, mut interval: Interval) -> Interval {
        let cpu = thread_cpu_ns();
        interval.generator.cpu_ns += cpu - self.cpu_counted;
        self.cpu_counted = cpu;
        let failures = self.fleet.take_failures();
        if !failures.is_empty() {
            let _ = self.reports.send(WorkerReport::Failures(failures));
        }
        interval
    }

    /// Hands over some rows of the interval that ended last, and the interval when it is whole.
    fn hand_over(&mut self, rows: usize) {
        if let Some(mut interval) = self.leaving.take() {
            if self.fleet.tally().hand_over(&mut interval, rows) {
                let _ = self.reports.send(WorkerReport::Interval(interval));
            } else {
                self.leaving = Some(interval);
            }
        }
    }

    /// Reads what the ready sockets hold; true when all were emptied.
    fn receive(&mut self) -> io::Result<bool> {
        let came = self.sockets.receive(&self.ready, &mut self.received, &self.clock, self.fleet.driver())?;
        self.datagrams += came.datagrams;
        // Whether all were read or not, timers and arrivals do not wait for them.
        self.sockets.serve_streams(self.poller.streams(), &self.clock, self.fleet.driver());
        self.fleet.tally().socket_drops(came.drops);
        self.fleet.tally().reads_refused(came.refused);
        Ok(came.emptied && !self.poller.is_crowded(&self.ready))
    }

    fn report_progress(&mut self, now: Time) {
        if now >= self.next_progress {
            self.next_progress = now + PROGRESS_EVERY;
            let tally = self.fleet.tally();
            let (planned, registered, open) = (tally.planned(), tally.registered(), tally.in_flight());
            let glances = if self.glances { tally.glances() } else { Vec::new() };
            let worker = self.position;
            let _ = self.reports.send(WorkerReport::Progress(WorkerProgress {
                worker,
                planned,
                registered,
                open,
                glances,
            }));
        }
    }

    fn report_idle(&mut self) {
        let stage = self.fleet.stage();
        if stage != Stage::Load && self.idle_reported != Some(stage) && !self.fleet.is_busy() {
            self.idle_reported = Some(stage);
            let _ = self.reports.send(WorkerReport::Idle(stage));
        }
    }
}

impl WorkerOrder {
    fn at(&self) -> Time {
        match *self {
            WorkerOrder::Speed { at, .. }
            | WorkerOrder::Relocate { at, .. }
            | WorkerOrder::Found { at, .. }
            | WorkerOrder::Drain { at }
            | WorkerOrder::Unregister { at, .. }
            | WorkerOrder::Finish { at } => at,
        }
    }
}
