//! A worker's messenger while a run goes on, on a thread of its own: it carries the record to the
//! board frame by frame, says where the worker is, brings orders, and knows when nobody leads any
//! more.

use super::access::{measured, time_of};
use crate::command::output::say;
use crate::command::run_watch::RunNews;
use crate::convoy::{
    Board, BoardError, ClockOffset, CoordinatorBeat, DutyAction, FleetOrder, FleetOrders, LeftBound, WorkerBeat,
    WorkerDuty, WorkerStage, key, parts_of, read_note, written_note,
};
use crate::engine::{RunPosition, Wish};
use crate::net::clock::Clock;
use crate::vocab::{Time, printable};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// How a worker is known, and to which run.
pub(super) struct CourierPost {
    pub run: String,
    pub name: String,
    pub clock: Clock,
    pub offset: ClockOffset,
    pub patience: Duration,
    pub wishes: UnboundedSender<Wish>,
}

/// Time between two looks at the board.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Time between two beats.
const BEAT_EVERY: Duration = Duration::from_millis(300);
/// Clocks are compared again so often,
const COMPARE_EVERY: Duration = Duration::from_secs(60);
/// by so many exchanges.
const EXCHANGES: usize = 10;

/// Carries until the run is over and everything of it is on the board, or nobody is there to take
/// it. Returns whether all was delivered.
pub(super) fn carry(board: &mut impl Board, post: CourierPost, news: &Receiver<RunNews>) -> bool {
    let now = post.clock.now();
    let beat = WorkerBeat {
        count: 0,
        stage: WorkerStage::Assigned,
        planned: 0,
        registered: 0,
        open: 0,
        idle: None,
        clock: Some(post.offset),
        frames: None,
        left: None,
        word: None,
    };
    let mut courier = Courier {
        duty: WorkerDuty::new(post.patience, now),
        post,
        beat,
        pieces: VecDeque::new(),
        frames: 0,
        over: false,
        delivered: now,
        next_beat: now,
        next_comparison: now + COMPARE_EVERY,
    };
    loop {
        courier.hear(news);
        match courier.deliver(board) {
            Ok(true) => return true,
            Ok(false) => {}
            // It is out of reach: what is to be delivered waits, and what was heard goes on.
            Err(_) if courier.has_given_up() => return false,
            Err(_) => {}
        }
        if let Some(DutyAction::GoAlone(why)) = courier.duty.tick(courier.post.clock.now()) {
            courier.go_alone(&why);
        }
    }
}

struct Courier {
    post: CourierPost,
    duty: WorkerDuty,
    beat: WorkerBeat,
    /// Parts of frames that are not on the board yet: their ids and bytes.
    pieces: VecDeque<(String, Vec<u8>)>,
    frames: u32,
    /// The run is over.
    over: bool,
    /// When something was delivered last.
    delivered: Time,
    next_beat: Time,
    next_comparison: Time,
}

impl Courier {
    /// Takes what the run has to say, for as long as a look at the board may wait.
    fn hear(&mut self, news: &Receiver<RunNews>) {
        let until = self.post.clock.now() + LOOK_EVERY;
        loop {
            match news.recv_timeout(until.since(self.post.clock.now())) {
                Ok(news) => self.heard(news),
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) if self.over => {
                    // Nothing more comes: what is left is to be delivered, at the pace of before.
                    std::thread::sleep(LOOK_EVERY);
                    return;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.heard(RunNews::Failed("the run ended without a word".to_owned()));
                    return;
                }
            }
            if self.over {
                return;
            }
        }
    }

    fn heard(&mut self, news: RunNews) {
        match news {
            RunNews::Frame(bytes) => {
                let (run, name) = (&self.post.run, &self.post.name);
                let parts = parts_of(self.frames, &bytes).map(|(head, part)| (head.id(run, name), part));
                self.pieces.extend(parts);
                self.frames += 1;
            }
            RunNews::Position(RunPosition { planned, registered, open, .. }) => {
                self.beat = WorkerBeat { planned, registered, open, ..self.beat.clone() };
            }
            RunNews::Stage(stage) => {
                self.beat.stage = WorkerStage::Running(stage);
                self.next_beat = Time::ORIGIN;
            }
            RunNews::Idle(stage) => {
                self.beat.idle = Some(stage);
                self.next_beat = Time::ORIGIN;
            }
            RunNews::Ended { left_bound } => {
                self.beat.left = Some(LeftBound { agents: left_bound });
                self.over = true;
            }
            RunNews::Failed(why) => {
                self.beat.word = Some(why);
                self.over = true;
            }
        }
    }

    /// Brings to the board what there is, and looks at it; true when all is there and the run over.
    fn deliver(&mut self, board: &mut impl Board) -> Result<bool, BoardError> {
        let (run, name) = (self.post.run.clone(), self.post.name.clone());
        let lane = key::record(&run, &name);
        while let Some((id, piece)) = self.pieces.front() {
            board.append(&lane, id, piece.clone())?;
            self.pieces.pop_front();
            self.reached();
            // Orders do not wait behind a long record.
            if self.post.clock.now() >= self.next_beat {
                break;
            }
        }
        if self.over && self.pieces.is_empty() {
            let failed = self.beat.word.is_some();
            self.beat.stage = if failed { WorkerStage::Failed } else { WorkerStage::Ended };
            self.beat.frames = Some(self.frames);
            self.next_beat = Time::ORIGIN;
        }
        if self.post.clock.now() >= self.next_beat {
            self.beat.count += 1;
            board.pin(&key::beat(&run, &name), written_note(&self.beat))?;
            self.reached();
            self.next_beat = self.post.clock.now() + BEAT_EVERY;
            if self.beat.frames.is_some() {
                return Ok(true);
            }
        }
        self.look(board)?;
        if self.post.clock.now() >= self.next_comparison {
            self.beat.clock = measured(board, self.post.clock, &name, EXCHANGES)?.or(self.beat.clock);
            self.next_comparison = self.post.clock.now() + COMPARE_EVERY;
        }
        Ok(false)
    }

    /// Looks for orders, and whether the coordinator is still there.
    fn look(&mut self, board: &mut impl Board) -> Result<(), BoardError> {
        let run = self.post.run.clone();
        let beat = board.read(&key::coordinator(&run))?;
        self.reached();
        if let Some(beat) = beat.and_then(|note| read_note::<CoordinatorBeat>(&note.bytes).ok()) {
            self.duty.coordinator(beat, self.post.clock.now());
        }
        let Some(note) = board.read(&key::orders(&run))? else { return Ok(()) };
        // An order that cannot be read is none: without any the worker ends as planned.
        let Ok(orders) = read_note::<FleetOrders>(&note.bytes) else { return Ok(()) };
        for action in self.duty.orders(&orders) {
            if let DutyAction::Obey(order) = action {
                self.obey(order);
            }
        }
        Ok(())
    }

    fn obey(&self, order: FleetOrder) {
        let wishes = match order {
            FleetOrder::EndStage { stage, at_unix_ns } => {
                let at = time_of(self.post.clock, self.post.offset, at_unix_ns);
                vec![Wish::EndStage { stage, at }]
            }
            FleetOrder::Abort => vec![Wish::Interrupt, Wish::Interrupt],
        };
        for wish in wishes {
            // A run that is over has nothing left to end.
            let _ = self.post.wishes.send(wish);
        }
    }

    fn go_alone(&mut self, why: &str) {
        say(&printable(&format!(
            "worker {}: {why}: the load ends, bindings are removed, and the record stays here",
            self.post.name
        )));
        let _ = self.post.wishes.send(Wish::GoAlone);
    }

    fn reached(&mut self) {
        let now = self.post.clock.now();
        self.duty.reached(now);
        self.delivered = now;
    }

    /// Whether the run is over and the board has been out of reach for too long.
    fn has_given_up(&self) -> bool {
        self.over && self.post.clock.now().since(self.delivered) >= self.post.patience
    }
}
