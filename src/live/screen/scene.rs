//! Everything the screen shows, as values: what the run said last, and what the person at the keys
//! has chosen.

use super::column::TrunkColumn;
use super::digest::Digest;
use super::keys::Act;
use crate::measure::{GeneratorCounts, Glance, Spread};
use crate::vocab::{Phase, Severity, Speed};
use std::collections::VecDeque;
use std::time::Duration;

/// What stays the same during a run.
#[derive(Clone, Debug)]
pub struct Opening {
    pub name: String,
    /// What goes where, in one line.
    pub facts: String,
    /// Ids, and agents of each.
    pub trunks: Vec<(String, u64)>,
    /// Arrivals of the whole load.
    pub arrivals: u64,
    /// Sender threads.
    pub workers: u32,
    pub interval: Duration,
}

/// Where the run is; some times a second.
#[derive(Clone, Default, Debug)]
pub struct Moment {
    /// Since the start.
    pub elapsed: Duration,
    pub stage: StageNow,
    /// Arrivals that were due by now.
    pub due: u64,
    /// Arrivals per second that the load asks for now.
    pub rate: f64,
    /// By trunk.
    pub glances: Vec<Glance>,
}

/// The stage the run is in.
#[derive(Clone, Default, Debug)]
pub struct StageNow {
    /// Such as `2/3  rate 50/s`.
    pub label: String,
    /// How far it is, and how long it still takes. Neither is known of what ends when nothing is
    /// open.
    pub progress: Option<StageProgress>,
    /// What is left of the load; `None` while it stands still, and after it.
    pub load_left: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
pub struct StageProgress {
    /// 0 to 1.
    pub done: f64,
    /// `None`: it stands still.
    pub left: Option<Duration>,
}

/// One finding so far.
#[derive(Clone, Debug)]
pub struct FindingLine {
    pub severity: Severity,
    pub id: String,
    /// Empty: of the whole run.
    pub trunk: String,
    pub summary: String,
    pub advice: String,
    pub evidence: String,
}

/// How the generator judges itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    Valid,
    Suspect,
    Invalid,
}

/// What one phase took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timed {
    pub phase: Phase,
    pub spread: Spread,
    /// In the last interval, not in one before.
    pub fresh: bool,
}

/// What the detectors found in the intervals so far.
#[derive(Clone, Debug)]
pub(super) struct FoundSoFar {
    pub lines: Vec<FindingLine>,
    pub health: Health,
    pub doubts: Vec<String>,
    /// CPU time of looking.
    pub took: Duration,
}

/// What a trunk's canary said last.
#[derive(Clone, Debug)]
pub(super) struct CanaryLine {
    trunk: u16,
    pub failing: bool,
    pub text: String,
}

/// The screen's content.
#[derive(Clone, Debug)]
pub struct Scene {
    pub(super) opening: Opening,
    pub(super) moment: Moment,
    /// Moments of the last seconds, for rates.
    recent: VecDeque<(Duration, Vec<Glance>)>,
    pub(super) digest: Option<Digest>,
    /// Each phase as it was timed last, in the order of phases.
    pub(super) timed: Vec<Timed>,
    /// By trunk, as known last.
    pub(super) trunk_p99_us: Vec<Option<u64>>,
    /// p99 of each interval, microseconds; 0 where nothing was timed.
    pub(super) curve: Vec<u64>,
    /// Of all intervals.
    pub(super) generator: GeneratorCounts,
    pub(super) found: Option<FoundSoFar>,
    /// What canaries said, of each trunk the last; those that fail first.
    pub(super) canaries: Vec<CanaryLine>,
    pub(super) speed: Speed,
    pub(super) interventions: u64,
    pub(super) stopping: bool,
    pub(super) message: String,
    pub(super) help: bool,
    pub(super) sort: TrunkColumn,
    pub(super) reversed: bool,
    /// First row of the table that is seen, and how many are; the second is set when it is drawn.
    pub(super) offset: usize,
    pub(super) visible: usize,
}

/// Rates are means over this time.
const RATE_OVER: Duration = Duration::from_secs(5);
/// Intervals a chart reaches back.
const CURVE: usize = 1_000;

impl Scene {
    pub fn new(opening: Opening) -> Self {
        Scene {
            opening,
            moment: Moment::default(),
            recent: VecDeque::new(),
            digest: None,
            timed: Vec::new(),
            trunk_p99_us: Vec::new(),
            curve: Vec::new(),
            generator: GeneratorCounts::default(),
            found: None,
            canaries: Vec::new(),
            speed: Speed::PLANNED,
            interventions: 0,
            stopping: false,
            message: String::new(),
            help: false,
            sort: TrunkColumn::Failed,
            reversed: false,
            offset: 0,
            visible: 0,
        }
    }

    pub fn moment(&mut self, moment: Moment) {
        self.recent.push_back((moment.elapsed, moment.glances.clone()));
        while self.recent.front().is_some_and(|(at, _)| *at + RATE_OVER < moment.elapsed) {
            self.recent.pop_front();
        }
        self.moment = moment;
    }

    pub fn interval(&mut self, digest: Digest) {
        self.generator.add(&digest.generator);
        self.curve.push(digest.leading().map_or(0, |(_, spread)| spread.p99));
        if self.curve.len() > CURVE {
            self.curve.remove(0);
        }
        self.timed.iter_mut().for_each(|timed| timed.fresh = false);
        for &(phase, spread) in &digest.phases {
            self.timed.retain(|timed| timed.phase != phase);
            self.timed.push(Timed { phase, spread, fresh: true });
        }
        self.timed.sort_by_key(|timed| timed.phase);
        self.trunk_p99_us.resize(self.opening.trunks.len(), None);
        for (known, seen) in self.trunk_p99_us.iter_mut().zip(&digest.trunk_p99_us) {
            *known = seen.or(*known);
        }
        self.digest = Some(digest);
    }

    /// What was found by now; `took` is what looking cost.
    pub fn found(&mut self, lines: Vec<FindingLine>, health: Health, doubts: Vec<String>, took: Duration) {
        self.found = Some(FoundSoFar { lines, health, doubts, took });
    }

    /// A line that would else stand in a log.
    pub fn say(&mut self, line: &str) {
        self.message = line.lines().last().unwrap_or_default().to_owned();
    }

    /// A trunk's canary had something to say; `failing` is how its checks end now, if that is what
    /// it said.
    pub fn canary(&mut self, trunk: u16, failing: Option<bool>, line: &str) {
        let before = self.canaries.iter().position(|canary| canary.trunk == trunk).map(|n| self.canaries.remove(n));
        let failing = failing.unwrap_or_else(|| before.is_some_and(|before| before.failing));
        self.canaries.push(CanaryLine { trunk, failing, text: line.to_owned() });
        self.canaries.sort_by_key(|canary| (!canary.failing, canary.trunk));
        self.say(line);
    }

    /// The load passes at this speed from now on.
    pub fn intervened(&mut self, speed: Speed) {
        self.interventions += 1;
        self.speed = speed;
        self.message = match speed {
            Speed::STILL => "paused: nothing arrives, agents go on refreshing; p goes on".to_owned(),
            Speed::PLANNED => "the load runs at the plan's speed; the record says that it did not always".to_owned(),
            other => format!("the load runs at {:.1} times the plan's speed; the record says so", other.factor()),
        };
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// The load is being ended.
    pub fn stopping(&mut self) {
        self.stopping = true;
    }

    /// Does what concerns the screen alone.
    pub fn act(&mut self, act: Act) {
        let page = i32::try_from(self.visible.max(1)).unwrap_or(i32::MAX);
        match act {
            Act::Help => self.help = !self.help,
            Act::Dismiss => self.help = false,
            Act::SortByNext => (self.sort, self.reversed, self.offset) = (self.sort.next(), false, 0),
            Act::Reverse => (self.reversed, self.offset) = (!self.reversed, 0),
            Act::Scroll(rows) => self.scroll(rows),
            Act::Page(pages) => self.scroll(pages.saturating_mul(page)),
            Act::First => self.offset = 0,
            Act::Last => self.offset = self.opening.trunks.len(),
            Act::Stop | Act::Interrupt | Act::PauseOrResume | Act::Faster | Act::Slower | Act::Redraw => {}
        }
    }

    fn scroll(&mut self, rows: i32) {
        let by = rows.unsigned_abs() as usize;
        let moved = if rows < 0 { self.offset.saturating_sub(by) } else { self.offset + by };
        self.offset = moved.min(self.opening.trunks.len());
    }

    /// All trunks together.
    pub(super) fn sum(&self) -> Glance {
        sum_of(&self.moment.glances)
    }

    /// Something of all trunks, per second.
    pub(super) fn rate(&self, of: impl Fn(&Glance) -> u64) -> f64 {
        self.recent.front().map_or(0.0, |(at, then)| {
            per_second(of(&sum_of(then)), of(&self.sum()), self.moment.elapsed.saturating_sub(*at))
        })
    }

    /// Something of one trunk, per second.
    pub(super) fn trunk_rate(&self, trunk: usize, of: impl Fn(&Glance) -> u64) -> f64 {
        let Some((at, then)) = self.recent.front() else { return 0.0 };
        let Some((then, now)) = then.get(trunk).zip(self.moment.glances.get(trunk)) else { return 0.0 };
        per_second(of(then), of(now), self.moment.elapsed.saturating_sub(*at))
    }

    /// CPU time of the sender threads over what there was of it in the last interval, per cent.
    pub(super) fn cpu_pct(&self) -> Option<f64> {
        let digest = self.digest.as_ref()?;
        let available = (digest.end_ns.saturating_sub(digest.start_ns)) as f64 * f64::from(self.opening.workers);
        (available > 0.0).then(|| 100.0 * digest.generator.cpu_ns as f64 / available)
    }
}

fn sum_of(glances: &[Glance]) -> Glance {
    let mut sum = Glance::default();
    glances.iter().for_each(|glance| sum.add(glance));
    sum
}

fn per_second(then: u64, now: u64, passed: Duration) -> f64 {
    if passed.is_zero() { 0.0 } else { now.saturating_sub(then) as f64 / passed.as_secs_f64() }
}
