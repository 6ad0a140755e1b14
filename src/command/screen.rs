//! `--live tui`: who feeds the live screen, and who hears its keys.
//!
//! Two threads, both of which give way to all others. One owns the terminal: it draws what it was
//! told last and passes keys on, so that a terminal that does not take what is drawn holds up
//! nobody. The other follows the record as it is written and looks for findings. The control side
//! only hands over copies of what it knows.

use super::output::{RECORD, say};
use crate::diagnose::{Finding, GeneratorVerdict, findings, judge};
use crate::engine::{RunPosition, Wish};
use crate::live::screen::{
    Act, Depth, Digest, FindingLine, Health, Moment, Opening, Palette, Scene, StageNow, StageProgress, Terminal, act,
};
use crate::load::course::Leg;
use crate::load::{Adjustment, Course, Schedule};
use crate::measure::Interval;
use crate::net::clock::{Clock, thread_cpu_ns};
use crate::net::poll::{pause, wait_input};
use crate::net::priority::give_way;
use crate::record::{CanaryNote, CanaryTurn, Follower};
use crate::vocab::{self, Intervention, LoadStage, printable};
use std::fs::File;
use std::io::{IsTerminal, stderr, stdin};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// The screen is drawn this often, and at each key.
const REDRAW: Duration = Duration::from_millis(100);
/// Findings are looked for no more often than this,
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// and a look may take one part in so many of a processor.
const LOOK_SHARE: u32 = 50;

/// How long the end of a run waits for a screen, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(3);
const TICK: Duration = Duration::from_millis(10);

/// What the screen is told.
enum ScreenUpdate {
    Moment(Moment),
    Interval(Digest),
    TrunkTargets { lines: Vec<FindingLine>, health: Health, doubts: Vec<String>, took: Duration },
    Line(String),
    Canary { trunk: u16, failing: Option<bool>, line: String },
    Intervened(Intervention),
    Ending,
}

/// The live screen of a run.
pub(super) struct LiveScreen {
    told: Sender<ScreenUpdate>,
    /// Tells the detectors that there is something new.
    news: Option<Sender<()>>,
    waiting: Option<NotYetShown>,
    threads: Vec<JoinHandle<()>>,
    schedule: Arc<Schedule>,
    course: Course,
    speed: vocab::Speed,
    stage: vocab::Stage,
    due: u64,
}

/// What the threads need, until they are started.
struct NotYetShown {
    scene: Scene,
    updates: Receiver<ScreenUpdate>,
    wishes: UnboundedSender<Wish>,
    record: PathBuf,
    clock: Clock,
}

/// What a live screen needs to know of a run.
pub(super) struct Stagehand {
    pub opening: Opening,
    pub stages: Vec<LoadStage>,
    pub schedule: Arc<Schedule>,
    pub wishes: UnboundedSender<Wish>,
    pub clock: Clock,
}

impl LiveScreen {
    /// A screen that shows nothing before [`LiveScreen::begin`]; `directory` is where the run's
    /// record is written.
    pub(super) fn new(directory: &Path, hand: Stagehand) -> Self {
        let Stagehand { opening, stages, schedule, wishes, clock } = hand;
        let (told, updates) = channel();
        let record = directory.join(RECORD);
        LiveScreen {
            told,
            news: None,
            waiting: Some(NotYetShown { scene: Scene::new(opening), updates, wishes, record, clock }),
            threads: Vec::new(),
            course: Course::new(stages, schedule.timeline()),
            schedule,
            speed: vocab::Speed::PLANNED,
            stage: vocab::Stage::Load,
            due: 0,
        }
    }

    /// Takes the terminal, once signals are heard: a signal that nobody hears would leave it as the
    /// screen has it.
    fn begin(&mut self) {
        let Some(NotYetShown { scene, updates, wishes, record, clock }) = self.waiting.take() else { return };
        let (news, heard) = channel();
        let told = self.told.clone();
        let screen = thread("screen", move || show(scene, &updates, &wishes));
        let detectors = thread("detectors", move || look(&record, &heard, &told, clock));
        self.threads.extend([screen, detectors].into_iter().flatten());
        self.news = Some(news);
    }

    pub(super) fn say(&self, line: &str) {
        self.tell(ScreenUpdate::Line(line.to_owned()));
    }

    /// What an agent beside the load has to say, which stays on the screen.
    pub(super) fn canary(&self, note: &CanaryNote, line: &str) {
        let failing = match note.turn {
            CanaryTurn::Failed => Some(true),
            CanaryTurn::Registered => Some(false),
            CanaryTurn::Address => None,
        };
        self.tell(ScreenUpdate::Canary { trunk: note.trunk, failing, line: line.to_owned() });
    }

    pub(super) fn stage(&mut self, stage: vocab::Stage) {
        self.stage = stage;
        match stage {
            vocab::Stage::Load => self.begin(),
            vocab::Stage::Drain | vocab::Stage::Unregister => self.tell(ScreenUpdate::Ending),
        }
    }

    /// An interval that has been written.
    pub(super) fn interval(&self, interval: &Interval) {
        self.tell(ScreenUpdate::Interval(Digest::of(interval)));
        if let Some(news) = &self.news {
            // Detectors that are gone have said why.
            let _ = news.send(());
        }
    }

    pub(super) fn intervened(&mut self, intervention: &Intervention) {
        self.speed = intervention.speed;
        self.course.bend(Duration::from_nanos(intervention.at_ns), intervention.speed);
        self.tell(ScreenUpdate::Intervened(*intervention));
    }

    pub(super) fn progress(&mut self, position: RunPosition) {
        let RunPosition { elapsed, glances, .. } = position;
        let mut rate = 0.0;
        if self.stage == vocab::Stage::Load {
            let planned = self.course.schedule_time(elapsed);
            self.due = self.schedule.due_by(planned).into();
            if self.due < u64::from(self.schedule.arrivals()) {
                rate = self.schedule.rate_at(planned) * self.speed.factor();
            }
        }
        let stage = stage_now(self.stage, self.course.at(elapsed));
        self.tell(ScreenUpdate::Moment(Moment { elapsed, stage, due: self.due, rate, glances }));
    }

    fn tell(&self, update: ScreenUpdate) {
        // A screen that is gone has said why, and the run goes on.
        let _ = self.told.send(update);
    }
}

impl Drop for LiveScreen {
    /// Gives the terminal back before anybody else writes to it.
    fn drop(&mut self) {
        self.waiting = None;
        self.news = None;
        // The screen's thread ends when nobody is left who could tell it anything; the detectors
        // before it.
        (self.told, _) = channel();
        for thread in self.threads.drain(..).rev() {
            // A terminal that stands still holds whoever draws on it, and nobody else: the run is
            // over, and its results are to be written.
            let mut waited = Duration::ZERO;
            while !thread.is_finished() && waited < PATIENCE {
                pause(TICK);
                waited += TICK;
            }
            if !thread.is_finished() {
                Terminal::abandon();
                continue;
            }
            // A panic has been reported where it happened.
            let _ = thread.join();
        }
    }
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Option<JoinHandle<()>> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        give_way();
        run();
    });
    started.inspect_err(|error| say(&format!("warning: the live screen lacks a thread: {error}"))).ok()
}

fn stage_now(stage: vocab::Stage, leg: Option<Leg>) -> StageNow {
    let label = match stage {
        vocab::Stage::Load => return leg.map(of_load).unwrap_or_default(),
        vocab::Stage::Drain => "waiting for open attempts",
        vocab::Stage::Unregister => "removing the bindings",
    };
    StageNow { label: label.to_owned(), progress: None, load_left: None }
}

fn of_load(leg: Leg) -> StageNow {
    let what = match leg.stage {
        LoadStage::Ramp { to, .. } => format!("ramp to {to}/s"),
        LoadStage::Rate { per_second, .. } => format!("rate {per_second}/s"),
        LoadStage::Avalanche { agents } => format!("avalanche of {agents}"),
        LoadStage::Hold { .. } => "hold".to_owned(),
        LoadStage::Replay { arrivals, .. } => format!("replay of {arrivals} arrivals"),
        LoadStage::Outage { share, .. } => format!("outage of {} %", (share * 100.0).round()),
    };
    StageNow {
        label: format!("{}/{} {what}", leg.number, leg.of),
        progress: Some(StageProgress { done: leg.done, left: leg.left }),
        load_left: leg.load_left,
    }
}

/// The screen's thread: ends with the run, or with the terminal.
fn show(mut scene: Scene, updates: &Receiver<ScreenUpdate>, wishes: &UnboundedSender<Wish>) {
    let palette = Palette::new(depth());
    let (input, screen) = (stdin(), stderr());
    let drawn = Terminal::take().and_then(|mut terminal| {
        while take_in(&mut scene, updates) && terminal.draw(&mut scene, palette)? {
            // Of a terminal that is gone the library would read nothing, for ever.
            wait_input(if input.is_terminal() { input.as_fd() } else { screen.as_fd() }, REDRAW)?;
            while let Some(event) = Terminal::wait(Duration::ZERO)? {
                act(&event).into_iter().for_each(|act| carry_out(act, &mut scene, wishes));
            }
        }
        Ok(())
    });
    if let Err(error) = drawn {
        say(&format!("warning: the live screen has ended, the run goes on: {error}"));
    }
}

/// Takes in everything the screen was told; false when nobody is left who could tell more.
fn take_in(scene: &mut Scene, updates: &Receiver<ScreenUpdate>) -> bool {
    loop {
        match updates.try_recv() {
            Ok(ScreenUpdate::Moment(moment)) => scene.moment(moment),
            Ok(ScreenUpdate::Interval(digest)) => scene.interval(digest),
            Ok(ScreenUpdate::TrunkTargets { lines, health, doubts, took }) => scene.found(lines, health, doubts, took),
            Ok(ScreenUpdate::Line(line)) => scene.say(&line),
            Ok(ScreenUpdate::Canary { trunk, failing, line }) => scene.canary(trunk, failing, &line),
            Ok(ScreenUpdate::Intervened(intervention)) => scene.intervened(intervention.speed),
            Ok(ScreenUpdate::Ending) => scene.stopping(),
            Err(TryRecvError::Empty) => return true,
            Err(TryRecvError::Disconnected) => return false,
        }
    }
}

fn carry_out(act: Act, scene: &mut Scene, wishes: &UnboundedSender<Wish>) {
    let wish = match act {
        // Whoever asks twice for an end in good order does not ask for another one.
        Act::Stop if scene.is_stopping() => return,
        Act::Stop | Act::Interrupt => Wish::Interrupt,
        Act::PauseOrResume => Wish::Adjust(Adjustment::PauseOrResume),
        Act::Faster => Wish::Adjust(Adjustment::Faster),
        Act::Slower => Wish::Adjust(Adjustment::Slower),
        other => return scene.act(other),
    };
    // Without a run there is nothing to wish for.
    let _ = wishes.send(wish);
}

/// How many colours the terminal says it has.
fn depth() -> Depth {
    let variable = |name| std::env::var(name).unwrap_or_default();
    match (variable("NO_COLOR").as_str(), variable("COLORTERM").as_str()) {
        ("", "truecolor" | "24bit") => Depth::True,
        ("", _) => Depth::Indexed,
        _ => Depth::None,
    }
}

/// The detectors' thread: looks through the record after each interval, and then rests.
fn look(record: &Path, news: &Receiver<()>, told: &Sender<ScreenUpdate>, clock: Clock) {
    let mut follower: Option<Follower<File>> = None;
    let mut came = false;
    while came || news.recv().is_ok() {
        let before = thread_cpu_ns();
        let (lines, health, doubts) = match look_once(&mut follower, record) {
            Ok(seen) => seen,
            Err(why) => {
                // The run goes on, and is reported from the same record in the end.
                let _ = told.send(ScreenUpdate::Line(format!("findings are not looked for any more: {why}")));
                return;
            }
        };
        let took = Duration::from_nanos(thread_cpu_ns().saturating_sub(before));
        if told.send(ScreenUpdate::TrunkTargets { lines, health, doubts, took }).is_err() {
            return;
        }
        let Some(news_came) = rest(news, clock, LOOK_EVERY.max(took * LOOK_SHARE)) else { return };
        came = news_came;
    }
}

/// Lets time pass. Says whether anything came meanwhile; `None` when there is nobody to look for
/// any more.
fn rest(news: &Receiver<()>, clock: Clock, span: Duration) -> Option<bool> {
    let until = clock.now() + span;
    let mut came = false;
    loop {
        match news.recv_timeout(until.since(clock.now())) {
            Ok(()) => came = true,
            Err(RecvTimeoutError::Timeout) => return Some(came),
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

type LookResult = (Vec<FindingLine>, Health, Vec<String>);

fn look_once(follower: &mut Option<Follower<File>>, record: &Path) -> Result<LookResult, String> {
    let follower = match follower {
        Some(follower) => follower,
        None => {
            let file = File::open(record).map_err(|error| error.to_string())?;
            follower.insert(Follower::new(file).map_err(|error| error.to_string())?)
        }
    };
    follower.catch_up().map_err(|error| error.to_string())?;
    let results = follower.so_far();
    let found = findings(&results);
    let judgement = judge(&results, &found, &[]);
    let health = match judgement.generator {
        GeneratorVerdict::Valid => Health::Valid,
        GeneratorVerdict::Suspect => Health::Suspect,
        GeneratorVerdict::Invalid => Health::Invalid,
    };
    Ok((found.iter().map(|finding| line_of(finding, &found)).collect(), health, judgement.generator_reasons))
}

fn line_of(finding: &Finding, all: &[Finding]) -> FindingLine {
    let summary = printable(&finding.summary).into_owned();
    FindingLine {
        severity: finding.severity,
        id: finding.id.clone(),
        trunk: printable(&finding.trunk_id).into_owned(),
        // Two causes of one trouble are not two troubles.
        summary: match finding.rivals_among(all).join(" or ") {
            rivals if rivals.is_empty() => summary,
            rivals => format!("either this or {rivals}: {summary}"),
        },
        advice: printable(finding.advice.split(" | ").next().unwrap_or_default()).into_owned(),
        evidence: printable(&finding.evidence).into_owned(),
    }
}
