//! The coordinator of a fleet: whether the workers that came are fit for a run together, which has
//! which share, who is lost and what follows from it, and when all have ended.
//!
//! What is shown and recorded meanwhile is not its business, nor how long a frame takes to arrive:
//! a worker has ended when it says so.

use super::note::{AssignedWorker, FleetOffer, ReadyMark, WorkerBeat, WorkerStage};
use crate::vocab::{Stage, Time};
use std::collections::BTreeMap;
use std::time::Duration;

/// What becomes of a run when a worker is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnLoss {
    /// The load ends for all, in good order.
    Abort,
    /// The others go on; the share of the one that is lost is nobody's.
    Continue,
}

/// What a run asks of its workers.
#[derive(Clone, Debug)]
pub struct FleetRules {
    pub offer: FleetOffer,
    pub on_loss: OnLoss,
    /// How long workers are waited for.
    pub gather: Duration,
    /// A worker that says nothing for so long is lost.
    pub silence: Duration,
    /// The most by which a worker's clock may be unknown, nanoseconds.
    pub clock_ns: u64,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CoordinatorAction {
    /// The run does not take place; each line says who and why.
    Refuse(Vec<String>),
    /// Who takes part, sorted by name.
    Assign(Vec<AssignedWorker>),
    /// A worker is lost.
    Lost { name: String, why: String },
    /// A stage is to end for all, before its time.
    EndStage(Stage),
    /// Everything is to end now.
    Abort,
    /// All workers have ended or are lost.
    Ended,
}

/// A worker in the run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkerStanding {
    pub last: Option<WorkerBeat>,
    heard: Time,
    /// Why it is lost.
    pub lost: Option<String>,
}

impl WorkerStanding {
    /// Whether nothing more is to come of it.
    pub fn is_over(&self) -> bool {
        self.lost.is_some() || self.last.as_ref().is_some_and(|beat| beat.stage == WorkerStage::Ended)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum FleetStage {
    Gathering,
    Running,
    Stopping,
    Over,
}

/// The state of a run over several workers.
#[derive(Debug)]
pub struct Coordinator {
    rules: FleetRules,
    stage: FleetStage,
    until: Time,
    marks: BTreeMap<String, ReadyMark>,
    workers: BTreeMap<String, WorkerStanding>,
    /// The stage that was ended last because nobody had anything left to do in it.
    ended: Option<Stage>,
}

impl Coordinator {
    pub fn new(rules: FleetRules, now: Time) -> Coordinator {
        let until = now + rules.gather;
        Coordinator {
            rules,
            stage: FleetStage::Gathering,
            until,
            marks: BTreeMap::new(),
            workers: BTreeMap::new(),
            ended: None,
        }
    }

    /// A worker says what it made of the offer.
    pub fn ready(&mut self, mark: ReadyMark, now: Time) -> Vec<CoordinatorAction> {
        if self.stage != FleetStage::Gathering {
            return Vec::new();
        }
        self.marks.insert(mark.name.clone(), mark);
        let wanted = self.rules.offer.workers as usize;
        if self.marks.len() < wanted {
            return Vec::new();
        }
        let faults: Vec<String> = self.marks.values().filter_map(|mark| self.fault(mark)).collect();
        if !faults.is_empty() {
            return self.refuse(faults);
        }
        self.stage = FleetStage::Running;
        let standing = WorkerStanding { last: None, heard: now, lost: None };
        self.workers = self.marks.keys().map(|name| (name.clone(), standing.clone())).collect();
        let assigned = |mark: &ReadyMark| AssignedWorker { name: mark.name.clone(), instance: mark.instance };
        vec![CoordinatorAction::Assign(self.marks.values().map(assigned).collect())]
    }

    /// A worker says where it is.
    pub fn beat(&mut self, name: &str, beat: WorkerBeat, now: Time) -> Vec<CoordinatorAction> {
        let Some(worker) = self.workers.get_mut(name).filter(|worker| !worker.is_over()) else { return Vec::new() };
        worker.heard = now;
        let failed = beat.stage == WorkerStage::Failed;
        let why = beat.word.clone().filter(|_| failed).unwrap_or_else(|| "it failed".to_owned());
        worker.last = Some(beat);
        if failed { self.lose(name, why) } else { self.settle() }
    }

    /// The board was out of reach until now: that nobody was heard meanwhile says nothing of them.
    pub fn was_cut_off(&mut self, now: Time) {
        for worker in self.workers.values_mut() {
            worker.heard = worker.heard.max(now);
        }
    }

    /// Time passes.
    pub fn tick(&mut self, now: Time) -> Vec<CoordinatorAction> {
        match self.stage {
            FleetStage::Gathering if now >= self.until => {
                let mut faults: Vec<String> = self.marks.values().filter_map(|mark| self.fault(mark)).collect();
                let (wanted, there) = (self.rules.offer.workers, self.marks.len());
                let names: Vec<&str> = self.marks.keys().map(String::as_str).collect();
                let who = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
                faults.push(format!(
                    "{there} of {wanted} workers came within {} s{who}",
                    self.rules.gather.as_secs_f64()
                ));
                self.refuse(faults)
            }
            FleetStage::Running | FleetStage::Stopping => {
                let silence = self.rules.silence;
                let silent =
                    |(_, worker): &(&String, &WorkerStanding)| !worker.is_over() && now.since(worker.heard) >= silence;
                let gone: Vec<String> = self.workers.iter().filter(silent).map(|(name, _)| name.clone()).collect();
                let why = format!("not heard of for {} s", silence.as_secs_f64());
                gone.iter().flat_map(|name| self.lose(name, why.clone())).collect()
            }
            FleetStage::Gathering | FleetStage::Over => Vec::new(),
        }
    }

    /// Somebody wants the run to end: in good order at first, then at once.
    pub fn interrupted(&mut self) -> Vec<CoordinatorAction> {
        match self.stage {
            FleetStage::Gathering => self.refuse(vec!["interrupted before the workers were there".to_owned()]),
            FleetStage::Running => self.stop(),
            FleetStage::Stopping => vec![CoordinatorAction::Abort],
            FleetStage::Over => Vec::new(),
        }
    }

    /// The load is to end before its time.
    pub fn stop(&mut self) -> Vec<CoordinatorAction> {
        if self.stage != FleetStage::Running {
            return Vec::new();
        }
        self.stage = FleetStage::Stopping;
        vec![CoordinatorAction::EndStage(Stage::Load)]
    }

    /// The workers, by name.
    pub fn workers(&self) -> &BTreeMap<String, WorkerStanding> {
        &self.workers
    }

    fn refuse(&mut self, faults: Vec<String>) -> Vec<CoordinatorAction> {
        self.stage = FleetStage::Over;
        vec![CoordinatorAction::Refuse(faults)]
    }

    /// Why a worker cannot take part.
    fn fault(&self, mark: &ReadyMark) -> Option<String> {
        let offer = &self.rules.offer;
        let why = if let Some(refusal) = &mark.refusal {
            refusal.clone()
        } else if mark.tool_version != offer.tool_version {
            format!("it is regstorm {}, and this is {}", mark.tool_version, offer.tool_version)
        } else if mark.list_digest != offer.list_digest {
            "its list of agents is another one: the same CSV file must lie with every worker".to_owned()
        } else if mark.profile_digest != offer.profile_digest {
            "the profile means something else there: files or variables that it names differ".to_owned()
        } else {
            match mark.clock {
                None => "its clock could not be compared".to_owned(),
                Some(clock) if clock.uncertainty_ns > self.rules.clock_ns => format!(
                    "its clock is known to within {} ms only, and {} ms are allowed: the way to the NATS server is too slow",
                    clock.uncertainty_ns.div_ceil(1_000_000),
                    self.rules.clock_ns / 1_000_000
                ),
                Some(_) => return None,
            }
        };
        Some(format!("worker {}: {why}", mark.name))
    }

    fn lose(&mut self, name: &str, why: String) -> Vec<CoordinatorAction> {
        if let Some(worker) = self.workers.get_mut(name) {
            worker.lost = Some(why.clone());
        }
        let mut actions = vec![CoordinatorAction::Lost { name: name.to_owned(), why }];
        if self.rules.on_loss == OnLoss::Abort {
            actions.extend(self.stop());
        }
        actions.extend(self.settle());
        actions
    }

    /// What follows when nobody has anything left to do in a stage, or in the run.
    fn settle(&mut self) -> Vec<CoordinatorAction> {
        if matches!(self.stage, FleetStage::Gathering | FleetStage::Over) {
            return Vec::new();
        }
        let mut going = self.workers.values().filter(|worker| !worker.is_over()).peekable();
        if going.peek().is_none() {
            self.stage = FleetStage::Over;
            return vec![CoordinatorAction::Ended];
        }
        let idle = |worker: &WorkerStanding| worker.last.as_ref().and_then(|beat| beat.idle);
        let stages: Vec<Option<Stage>> = going.map(idle).collect();
        let common = stages[0].filter(|stage| stages.iter().all(|other| *other == Some(*stage)));
        match common {
            Some(stage) if self.ended != Some(stage) => {
                self.ended = Some(stage);
                vec![CoordinatorAction::EndStage(stage)]
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::offset::ClockOffset;
    use super::*;
    use crate::vocab::Stage;

    const STOP: CoordinatorAction = CoordinatorAction::EndStage(Stage::Load);

    fn at(seconds: u64) -> Time {
        Time::from_secs(100 + seconds)
    }

    fn coordinator(on_loss: OnLoss) -> Coordinator {
        let offer = FleetOffer {
            run: "0123456789abcdef".to_owned(),
            tool_version: "1.0".to_owned(),
            profile_name: "lab.toml".to_owned(),
            profile: String::new(),
            sets: Vec::new(),
            workers: 3,
            profile_digest: "p".to_owned(),
            list_digest: "l".to_owned(),
            agents: 30,
        };
        let (gather, silence) = (Duration::from_secs(60), Duration::from_secs(10));
        Coordinator::new(FleetRules { offer, on_loss, gather, silence, clock_ns: 10_000_000 }, at(0))
    }

    fn mark(name: &str) -> ReadyMark {
        ReadyMark {
            name: name.to_owned(),
            instance: 1,
            tool_version: "1.0".to_owned(),
            profile_digest: "p".to_owned(),
            list_digest: "l".to_owned(),
            clock: Some(ClockOffset { offset_ns: 5, uncertainty_ns: 100_000 }),
            refusal: None,
        }
    }

    fn beat(stage: WorkerStage) -> WorkerBeat {
        let (planned, registered, open, word) = (0, 0, 0, None);
        WorkerBeat {
            count: 0,
            stage,
            planned,
            registered,
            open,
            idle: None,
            clock: None,
            frames: None,
            left: None,
            word,
        }
    }

    /// A run of the workers a, b and c that goes on.
    fn running(on_loss: OnLoss) -> Coordinator {
        let mut coordinator = coordinator(on_loss);
        assert_eq!(coordinator.ready(mark("c"), at(1)), []);
        assert_eq!(coordinator.ready(mark("a"), at(2)), []);
        let names = ["a", "b", "c"].map(|name| AssignedWorker { name: name.to_owned(), instance: 1 }).to_vec();
        assert_eq!(coordinator.ready(mark("b"), at(3)), [CoordinatorAction::Assign(names)], "sorted by name");
        coordinator
    }

    fn faults_of(change: impl Fn(&mut ReadyMark)) -> Vec<String> {
        let mut coordinator = coordinator(OnLoss::Abort);
        let mut odd = mark("b");
        change(&mut odd);
        coordinator.ready(mark("a"), at(1));
        coordinator.ready(mark("c"), at(1));
        match coordinator.ready(odd, at(1)).remove(0) {
            CoordinatorAction::Refuse(faults) => faults,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whoever_does_not_fit_is_named_with_the_reason() {
        assert_eq!(
            faults_of(|mark| mark.tool_version = "0.9".to_owned()),
            ["worker b: it is regstorm 0.9, and this is 1.0"]
        );
        assert!(faults_of(|mark| mark.list_digest = "x".to_owned())[0].starts_with("worker b: its list of agents"));
        assert!(faults_of(|mark| mark.profile_digest = "x".to_owned())[0].starts_with("worker b: the profile means"));
        assert_eq!(faults_of(|mark| mark.refusal = Some("no password".to_owned())), ["worker b: no password"]);
        assert_eq!(faults_of(|mark| mark.clock = None), ["worker b: its clock could not be compared"]);
        let vague = ClockOffset { offset_ns: 0, uncertainty_ns: 10_000_001 };
        assert!(faults_of(|mark| mark.clock = Some(vague))[0].contains("to within 11 ms only, and 10 ms are allowed"));
    }

    #[test]
    fn who_did_not_come_is_not_waited_for_for_ever() {
        let mut coordinator = coordinator(OnLoss::Abort);
        coordinator.ready(mark("a"), at(1));
        coordinator.ready(mark("a"), at(2));
        assert_eq!(coordinator.tick(at(59)), []);
        let refused = coordinator.tick(at(60));
        assert_eq!(refused, [CoordinatorAction::Refuse(vec!["1 of 3 workers came within 60 s: a".to_owned()])]);
        assert_eq!(coordinator.tick(at(99)), []);
        assert_eq!(coordinator.ready(mark("b"), at(99)), [], "the run does not take place any more");
    }

    #[test]
    fn a_run_ends_when_all_have_ended() {
        let mut coordinator = running(OnLoss::Abort);
        for second in 4..30 {
            for name in ["a", "b", "c"] {
                let stage = WorkerStage::Running(Stage::Load);
                assert_eq!(coordinator.beat(name, beat(stage), at(second)), []);
            }
            assert_eq!(coordinator.tick(at(second)), []);
        }
        assert_eq!(coordinator.beat("b", beat(WorkerStage::Ended), at(30)), []);
        assert_eq!(coordinator.beat("c", beat(WorkerStage::Ended), at(31)), []);
        assert_eq!(coordinator.beat("stranger", beat(WorkerStage::Ended), at(31)), []);
        assert_eq!(coordinator.beat("a", beat(WorkerStage::Ended), at(32)), [CoordinatorAction::Ended]);
        assert_eq!(coordinator.tick(at(99)), []);
    }

    #[test]
    fn a_stage_ends_when_the_last_has_nothing_left_to_do() {
        let mut coordinator = running(OnLoss::Continue);
        let idle =
            |stage, in_it: bool| WorkerBeat { idle: in_it.then_some(stage), ..beat(WorkerStage::Running(stage)) };
        for stage in [Stage::Drain, Stage::Unregister] {
            let end = [CoordinatorAction::EndStage(stage)];
            assert_eq!(coordinator.beat("a", idle(stage, true), at(4)), []);
            assert_eq!(coordinator.beat("b", idle(stage, true), at(4)), []);
            assert_eq!(coordinator.beat("c", idle(stage, false), at(4)), []);
            assert_eq!(coordinator.beat("c", idle(stage, true), at(5)), end);
            assert_eq!(coordinator.beat("a", idle(stage, true), at(5)), [], "once");
        }
        // Whoever is lost is not waited for.
        let mut coordinator = running(OnLoss::Continue);
        coordinator.beat("a", idle(Stage::Drain, true), at(4));
        coordinator.beat("b", idle(Stage::Drain, true), at(4));
        let failed = coordinator.beat("c", beat(WorkerStage::Failed), at(4));
        assert_eq!(failed.last(), Some(&CoordinatorAction::EndStage(Stage::Drain)));
    }

    #[test]
    fn a_silent_worker_is_lost_and_the_load_ends_or_goes_on() {
        for (on_loss, stops) in [(OnLoss::Abort, true), (OnLoss::Continue, false)] {
            let mut coordinator = running(on_loss);
            for name in ["a", "b", "c"] {
                coordinator.beat(name, beat(WorkerStage::Running(Stage::Load)), at(4));
            }
            for name in ["a", "c"] {
                coordinator.beat(name, beat(WorkerStage::Running(Stage::Load)), at(13));
            }
            assert_eq!(coordinator.tick(at(13)), []);
            let why = "not heard of for 10 s".to_owned();
            let mut expected = vec![CoordinatorAction::Lost { name: "b".to_owned(), why }];
            expected.extend(stops.then_some(STOP));
            assert_eq!(coordinator.tick(at(14)), expected);
            assert_eq!(coordinator.tick(at(15)), [], "once");
            // A word from beyond does not bring it back: its share may have a gap.
            assert_eq!(coordinator.beat("b", beat(WorkerStage::Ended), at(16)), []);
            coordinator.beat("a", beat(WorkerStage::Ended), at(17));
            assert_eq!(coordinator.beat("c", beat(WorkerStage::Ended), at(17)), [CoordinatorAction::Ended]);
            assert!(coordinator.workers()["b"].lost.is_some());
        }
    }

    #[test]
    fn a_worker_that_says_it_failed_is_lost_at_once() {
        let mut coordinator = running(OnLoss::Abort);
        let failed = WorkerBeat { word: Some("no socket".to_owned()), ..beat(WorkerStage::Failed) };
        let lost = CoordinatorAction::Lost { name: "a".to_owned(), why: "no socket".to_owned() };
        assert_eq!(coordinator.beat("a", failed, at(4)), [lost, STOP]);
    }

    #[test]
    fn all_lost_is_an_end() {
        let mut coordinator = running(OnLoss::Continue);
        let actions = coordinator.tick(at(13));
        assert_eq!(actions.len(), 4);
        assert_eq!(actions.last(), Some(&CoordinatorAction::Ended));
    }

    #[test]
    fn an_outage_of_the_board_is_nobodys_silence() {
        let mut coordinator = running(OnLoss::Abort);
        coordinator.was_cut_off(at(12));
        assert_eq!(coordinator.tick(at(14)), []);
        assert_eq!(coordinator.tick(at(21)), []);
        assert_eq!(coordinator.tick(at(22)).len(), 5);
    }

    #[test]
    fn the_first_interruption_stops_and_the_second_aborts() {
        let mut coordinator = running(OnLoss::Abort);
        assert_eq!(coordinator.interrupted(), [STOP]);
        assert_eq!(coordinator.stop(), [], "it stops already");
        assert_eq!(coordinator.interrupted(), [CoordinatorAction::Abort]);
        let mut gathering = self::coordinator(OnLoss::Abort);
        assert!(matches!(gathering.interrupted()[..], [CoordinatorAction::Refuse(_)]));
    }
}
