//! Leading a run: what the coordinator decides, carried to the board, and what the workers answer.

use super::access::unix_ns;
use super::collect::WorkerRecords;
use crate::command::failure::Failure;
use crate::command::output::say;
use crate::command::run_watch::RunWatch;
use crate::command::source::found_again;
use crate::convoy::{
    AssignedWorker, Board, BoardError, ClockOffset, Coordinator, CoordinatorAction, CoordinatorBeat, FleetAssignment,
    FleetOffer, FleetOrder, FleetOrders, FleetRules, NatsBoard, OnLoss, ReadyMark, WorkerBeat, WorkerStage,
    WorkerStanding, key, read_note, valid_name, written_note,
};
use crate::engine::{Decision, Observer, RunPosition, Signals};
use crate::net::clock::Clock;
use crate::record::merger::merged_end;
use crate::record::results::{Aborted, End};
use crate::record::{FleetFacts, Header};
use crate::vocab::{Stage, Time, printable};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Time between two looks at the board.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Time between two signs of life.
const BEAT_EVERY: Duration = Duration::from_millis(300);
/// How far ahead of its effect an order is given: a look of every worker at the board, and more.
const ORDER_AHEAD: Duration = Duration::from_millis(600);

/// A run that is led.
pub(super) struct Lead {
    board: NatsBoard,
    coordinator: Coordinator,
    clock: Clock,
    offset: ClockOffset,
    patience: Duration,
    offer: FleetOffer,
    signals: Receiver<i32>,
    orders: FleetOrders,
    beats: u64,
    next_beat: Time,
    /// The next number on the board: of ready marks, and of beats.
    from: (u64, u64),
    /// Since when the board is out of reach.
    cut_off: Option<Time>,
    interrupted_by: Option<i32>,
    /// How far each worker's clock may be from the board's.
    clocks: BTreeMap<String, ClockOffset>,
    /// A fault of the barrier, or the workers that take part.
    refused: Option<Vec<String>>,
    chosen: Option<Vec<AssignedWorker>>,
    ended: bool,
    on_loss: OnLoss,
}

/// How a run that was led ended.
pub(super) struct Led {
    pub interrupted_by: Option<i32>,
    pub unkept: Option<io::Error>,
}

impl Lead {
    /// Offers a run.
    ///
    /// # Errors
    /// When the board is out of reach, or another run goes on there.
    pub(super) fn begin(
        mut board: NatsBoard,
        rules: FleetRules,
        (clock, offset): (Clock, ClockOffset),
        patience: Duration,
    ) -> Result<Lead, Failure> {
        if let Some(other) = other_run(&mut board).map_err(|error| unreached(&error))? {
            return Err(Failure::could_not(format!(
                "another run goes on at this NATS server: {} (offer {}); nothing was sent",
                printable(&other.profile_name),
                printable(&other.run)
            )));
        }
        let (offer, on_loss) = (rules.offer.clone(), rules.on_loss);
        let mut lead = Lead {
            board,
            coordinator: Coordinator::new(rules, clock.now()),
            clock,
            offset,
            patience,
            offer,
            signals: signals(clock)?,
            orders: FleetOrders::default(),
            beats: 0,
            next_beat: Time::ORIGIN,
            from: (0, 0),
            cut_off: None,
            interrupted_by: None,
            clocks: BTreeMap::new(),
            refused: None,
            chosen: None,
            ended: false,
            on_loss,
        };
        lead.beat().map_err(|error| unreached(&error))?;
        lead.board.pin(key::OFFER, written_note(&lead.offer)).map_err(|error| unreached(&error))?;
        Ok(lead)
    }

    pub(super) fn run(&self) -> &str {
        &self.offer.run
    }

    /// Waits for the workers.
    ///
    /// # Errors
    /// Says who does not fit, and why.
    pub(super) fn gathered(&mut self) -> Result<Vec<AssignedWorker>, Failure> {
        loop {
            self.turn();
            if let Some(faults) = self.refused.take() {
                return Err(Failure::could_not(format!("{}\nnothing was sent", printable_lines(&faults))));
            }
            if let Some(workers) = self.chosen.take() {
                return Ok(workers);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Says who does what, and when it begins.
    ///
    /// # Errors
    /// When the board is out of reach.
    pub(super) fn assign(&mut self, workers: &[AssignedWorker], start_unix_ns: i64) -> Result<(), Failure> {
        let assignment = FleetAssignment { start_unix_ns, workers: workers.to_vec() };
        let key = key::assignment(self.run());
        self.board.pin(&key, written_note(&assignment)).map_err(|error| unreached(&error))?;
        Ok(())
    }

    /// Leads the run to its end, and writes what came of it.
    ///
    /// # Errors
    /// When nothing came of it, or the workers' records cannot be read.
    pub(super) fn through(
        &mut self,
        mut collected: WorkerRecords,
        watch: &mut RunWatch<'_>,
        start: Time,
    ) -> Result<Led, Failure> {
        let mut course = LedCourse { header: None, stage: None, unkept: None, moved: self.clock.now(), stopped: None };
        loop {
            self.turn();
            for (name, worker) in self.coordinator.workers() {
                if let Some(why) = &worker.lost {
                    collected.lose(name, why);
                }
            }
            match collected.take(&mut self.board) {
                Ok(true) => course.moved = self.clock.now(),
                Ok(false) => {}
                Err(_) => self.was_cut_off(),
            }
            self.pass_on(&mut collected, watch, &mut course)?;
            self.show(watch, &mut course, start);
            if self.ended && self.has_all(&collected) && collected.is_whole() {
                break;
            }
            let waited = self.clock.now().since(course.moved);
            let out_of_reach = self.cut_off.is_some_and(|since| self.clock.now().since(since) >= self.patience * 2);
            if out_of_reach || (self.ended && waited >= self.patience) {
                let why = if out_of_reach {
                    format!("the NATS server was not reached for {} s", (self.patience * 2).as_secs_f64())
                } else {
                    "the end of its record did not come".to_owned()
                };
                if out_of_reach {
                    say(&format!("{why}: the workers end by themselves, and keep their records"));
                }
                let names: Vec<String> = self.coordinator.workers().keys().cloned().collect();
                names.iter().for_each(|name| collected.lose(name, &why));
                self.pass_on(&mut collected, watch, &mut course)?;
                break;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        self.conclude(&collected, watch, course)
    }

    /// Takes everything of the run down from the board.
    pub(super) fn leave(&mut self) {
        let run = self.run().to_owned();
        // What stays is gone after a day.
        let _ = self.board.take_down(key::OFFER);
        let _ = self.board.take_down(&key::all(&run));
    }

    /// One look at signals and board.
    fn turn(&mut self) {
        while let Ok(number) = self.signals.try_recv() {
            self.interrupted_by = Some(number);
            let actions = self.coordinator.interrupted();
            self.act(actions);
        }
        let looked = self.beat().and_then(|()| self.look());
        let now = self.clock.now();
        match looked {
            Ok(()) if self.cut_off.take().is_some() => self.coordinator.was_cut_off(now),
            Ok(()) => {}
            Err(_) => self.was_cut_off(),
        }
        let actions = self.coordinator.tick(now);
        self.act(actions);
    }

    fn was_cut_off(&mut self) {
        let now = self.clock.now();
        self.cut_off.get_or_insert(now);
        self.coordinator.was_cut_off(now);
    }

    /// A sign of life, where one is due.
    fn beat(&mut self) -> Result<(), BoardError> {
        if self.clock.now() < self.next_beat {
            return Ok(());
        }
        self.beats += 1;
        let beat = CoordinatorBeat { count: self.beats };
        self.board.pin(&key::coordinator(&self.offer.run), written_note(&beat))?;
        self.next_beat = self.clock.now() + BEAT_EVERY;
        Ok(())
    }

    /// Reads what workers left since the last look.
    fn look(&mut self) -> Result<(), BoardError> {
        let run = self.offer.run.clone();
        while let Some(note) = self.board.next(&key::ready(&run, "*"), self.from.0)? {
            self.from.0 = note.number + 1;
            let Ok(mark) = read_note::<ReadyMark>(&note.bytes) else {
                say("a worker's mark cannot be read, and is left alone: is it of another version?");
                continue;
            };
            if valid_name(&mark.name) && key::worker(&note.key) == Some(&mark.name) {
                self.clocks.extend(mark.clock.map(|clock| (mark.name.clone(), clock)));
                let actions = self.coordinator.ready(mark, self.clock.now());
                self.act(actions);
            }
        }
        while let Some(note) = self.board.next(&key::beat(&run, "*"), self.from.1)? {
            self.from.1 = note.number + 1;
            let Some(name) = key::worker(&note.key) else { continue };
            let Ok(beat) = read_note::<WorkerBeat>(&note.bytes) else { continue };
            if let Some(clock) = beat.clock {
                self.compared(name, clock);
            }
            let actions = self.coordinator.beat(name, beat, self.clock.now());
            self.act(actions);
        }
        Ok(())
    }

    /// A clock was compared again: how far it went astray counts as not known.
    fn compared(&mut self, name: &str, clock: ClockOffset) {
        let Some(first) = self.clocks.get_mut(name) else { return };
        let uncertain = clock.moved_from(*first).saturating_add(clock.uncertainty_ns);
        first.uncertainty_ns = first.uncertainty_ns.max(uncertain);
    }

    fn act(&mut self, actions: Vec<CoordinatorAction>) {
        for action in actions {
            match action {
                CoordinatorAction::Refuse(faults) => self.refused = Some(faults),
                CoordinatorAction::Assign(workers) => self.chosen = Some(workers),
                CoordinatorAction::Lost { name, why } => say(&printable(&format!("worker {name} is lost: {why}"))),
                CoordinatorAction::EndStage(stage) => {
                    let ahead = i64::try_from(ORDER_AHEAD.as_nanos()).unwrap_or(0);
                    let at_unix_ns = self.offset.board_unix_ns(unix_ns(self.clock)) + ahead;
                    self.order(FleetOrder::EndStage { stage, at_unix_ns });
                }
                CoordinatorAction::Abort => self.order(FleetOrder::Abort),
                CoordinatorAction::Ended => self.ended = true,
            }
        }
    }

    fn order(&mut self, order: FleetOrder) {
        self.orders.orders.push(order);
        // Out of reach: workers go alone, and the next order repeats this one.
        if self.board.pin(&key::orders(&self.offer.run), written_note(&self.orders)).is_err() {
            self.was_cut_off();
        }
    }

    /// Shows and keeps the merged intervals that are whole by now.
    fn pass_on(
        &mut self,
        collected: &mut WorkerRecords,
        watch: &mut RunWatch<'_>,
        course: &mut LedCourse,
    ) -> Result<(), Failure> {
        if let Some(header) = collected.begin()? {
            let header = Header { profile_path: found_again(Path::new(&self.offer.profile_name)), ..header };
            course.keep(watch.record().header(&header));
            course.header = Some(header);
        }
        while let Some(interval) = collected.merged()? {
            if course.unkept.is_some() {
                continue;
            }
            match watch.interval(&interval) {
                Ok(Decision::GoOn) => {}
                Ok(Decision::Stop) => {
                    course.stopped = watch.aborted().cloned();
                    let actions = self.coordinator.stop();
                    self.act(actions);
                }
                Err(error) => course.keep(Err(error)),
            }
            if course.unkept.is_some() {
                let actions = self.coordinator.stop();
                self.act(actions);
            }
        }
        Ok(())
    }

    /// Shows where the workers are.
    fn show(&self, watch: &mut RunWatch<'_>, course: &mut LedCourse, start: Time) {
        let beats: Vec<&WorkerBeat> =
            self.coordinator.workers().values().filter_map(|worker| worker.last.as_ref()).collect();
        let stage = |beat: &&WorkerBeat| match beat.stage {
            WorkerStage::Running(stage) => Some(stage),
            WorkerStage::Assigned | WorkerStage::Ended | WorkerStage::Failed => None,
        };
        let least: Option<Stage> = beats.iter().filter_map(stage).min();
        if least > course.stage {
            course.stage = least;
            least.iter().for_each(|stage| watch.stage(*stage, self.interrupted_by));
        }
        let sum = |of: fn(&WorkerBeat) -> u64| beats.iter().map(|beat| of(beat)).sum();
        watch.progress(RunPosition {
            elapsed: self.clock.now().since(start),
            planned: sum(|beat| beat.planned),
            registered: sum(|beat| beat.registered),
            open: sum(|beat| beat.open),
            glances: Vec::new(),
        });
    }

    /// Whether all frames of those that ended have come.
    fn has_all(&self, collected: &WorkerRecords) -> bool {
        self.coordinator.workers().iter().all(|(name, worker)| {
            let frames = worker.last.as_ref().and_then(|beat| beat.frames);
            worker.lost.is_some() || frames.is_some_and(|frames| collected.frames(name) >= frames)
        })
    }

    /// Writes what there is to say of the workers, and the end.
    fn conclude(
        &mut self,
        collected: &WorkerRecords,
        watch: &mut RunWatch<'_>,
        course: LedCourse,
    ) -> Result<Led, Failure> {
        let LedCourse { header, mut unkept, stopped, .. } = course;
        let Some(header) = header else {
            return Err(Failure::could_not("nothing came of any worker: no record was begun"));
        };
        let mut workers = collected.workers(&header)?;
        for (worker, _) in &mut workers {
            worker.clock_within_ns = self.clocks.get(&worker.name).map(|clock| clock.uncertainty_ns);
        }
        let end = merged_end(&workers).map(|end| self.end(end, stopped));
        let (run, profile_digest) =
            collected.like().map(|like| (like.run.clone(), like.profile_digest.clone())).unwrap_or_default();
        let workers = workers.into_iter().map(|(worker, _)| worker).collect();
        if unkept.is_none() {
            let kept = watch.record().fleet(&FleetFacts { run, profile_digest, workers });
            unkept = kept.and_then(|()| end.map_or(Ok(()), |end| watch.end(&end))).err();
        }
        Ok(Led { interrupted_by: self.interrupted_by, unkept })
    }

    /// The end as it is to be told: who interrupted the whole, and what stopped it.
    fn end(&self, end: End, stopped: Option<Aborted>) -> End {
        let gone = |(name, worker): (&String, &WorkerStanding)| {
            let why = worker.lost.as_ref().filter(|_| self.on_loss == OnLoss::Abort)?;
            Some(format!("worker {name}: {why}, and the load was ended"))
        };
        let gone = self.coordinator.workers().iter().find_map(gone);
        End { interrupted_by: self.interrupted_by, aborted: stopped, lost: gone.or(end.lost.clone()), ..end }
    }
}

/// What is known of a run while it is led.
struct LedCourse {
    /// Of the whole; `None`: not known yet.
    header: Option<Header>,
    /// What was shown last.
    stage: Option<Stage>,
    unkept: Option<io::Error>,
    /// When something came last.
    moved: Time,
    /// The condition that ended the load.
    stopped: Option<Aborted>,
}

impl LedCourse {
    fn keep(&mut self, kept: io::Result<()>) {
        if let Err(error) = kept {
            self.unkept.get_or_insert(error);
        }
    }
}

/// The run whose coordinator is at work at this board.
fn other_run(board: &mut NatsBoard) -> Result<Option<FleetOffer>, BoardError> {
    let Some(note) = board.read(key::OFFER)? else { return Ok(None) };
    let Ok(offer) = read_note::<FleetOffer>(&note.bytes) else { return Ok(None) };
    let beat =
        |board: &mut NatsBoard| board.read(&key::coordinator(&offer.run)).map(|beat| beat.map(|beat| beat.number));
    let before = beat(board)?;
    std::thread::sleep(BEAT_EVERY * 4);
    let lives = beat(board)? != before;
    Ok(lives.then_some(offer))
}

fn unreached(error: &BoardError) -> Failure {
    Failure::could_not(format!("{error}; nothing was sent"))
}

fn printable_lines(lines: &[String]) -> String {
    lines.iter().map(|line| crate::vocab::printable_lines(line).into_owned()).collect::<Vec<_>>().join("\n")
}

/// Signals as they come; the third ends the process.
fn signals(clock: Clock) -> Result<Receiver<i32>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::could_not(format!("signals cannot be received: {error}"));
    let runtime = crate::command::runtime()?;
    let (sender, receiver) = channel();
    let entered = runtime.enter();
    let mut signals = Signals::listen(clock).map_err(|error| failed(&error))?;
    drop(entered);
    let listen = move || {
        runtime.block_on(async {
            for heard in 1.. {
                let number = signals.next().await;
                if sender.send(number).is_err() || heard > 2 {
                    std::process::exit(128 + number);
                }
            }
        });
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(|error| failed(&error))?;
    Ok(receiver)
}
