//! When a planned time comes in a run whose load a person holds up, speeds up or slows down.
//!
//! A schedule knows nothing of that: it says at which moment of its own time each arrival is due. A
//! [`Timeline`] maps this time to the time of the run, piece by piece linearly. So no arrival is
//! lost or doubled, their order is kept, and lateness is measured from the shifted time. Without an
//! intervention both times are the same, to the nanosecond.
//!
//! Stages without arrivals (hold, outage) have no rate to change: they last as long as they were
//! planned, and only a standstill prolongs them.

use crate::vocab::{InterventionKind, Speed};
use std::ops::Range;
use std::time::Duration;

/// The way from a schedule's time to that of the run, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// Schedule time without arrivals, in order.
    quiet: Vec<Range<Duration>>,
    /// In order. Before the first the two times are the same.
    bends: Vec<Bend>,
}

/// From here on the schedule's time passes at another speed.
#[derive(Clone, Copy, Debug)]
struct Bend {
    run: Duration,
    schedule: Duration,
    speed: Speed,
}

impl Timeline {
    /// A load as planned, with these stretches of schedule time in which nothing arrives, in order.
    pub fn new(quiet: Vec<Range<Duration>>) -> Self {
        Timeline { quiet, bends: Vec::new() }
    }

    /// Changes the speed from the run's time `at` on; what was said of later times is void. Call it
    /// in the order of times.
    pub fn bend(&mut self, at: Duration, speed: Speed) {
        let mut here = Bend { run: at, schedule: self.schedule_time(at), speed };
        self.bends.retain(|bend| bend.run <= at);
        loop {
            here.speed = self.speed_at(here.schedule, speed);
            self.bends.push(here);
            let Some((border, run)) = self.border_after(here.schedule).and_then(|b| Some((b, here.run_time(b)?)))
            else {
                return;
            };
            here = Bend { run, schedule: border, speed };
        }
    }

    /// When a moment of the schedule comes, since the run's start; `None`: as things stand it never
    /// does.
    pub fn run_time(&self, schedule: Duration) -> Option<Duration> {
        let passed = self.bends.partition_point(|bend| bend.schedule <= schedule);
        match passed.checked_sub(1) {
            None => Some(schedule),
            Some(last) => self.bends[last].run_time(schedule),
        }
    }

    /// Where the schedule is at a moment of the run.
    pub fn schedule_time(&self, run: Duration) -> Duration {
        let passed = self.bends.partition_point(|bend| bend.run <= run);
        let Some(last) = passed.checked_sub(1) else { return run };
        let Bend { run: since, schedule, speed } = self.bends[last];
        let reached = schedule.saturating_add(scaled(run - since, speed.0.into(), 100));
        // The next bend lies where rounding has put it.
        self.bends.get(passed).map_or(reached, |next| reached.min(next.schedule))
    }

    /// When a load of this length is over; `None`: as things stand it never is. After the last
    /// arrival, which rounding may have put at the very end of a load that was sped up.
    pub fn end(&self, lasts: Duration) -> Option<Duration> {
        let end = self.run_time(lasts)?;
        Some(if self.bends.is_empty() { end } else { end + Duration::from_nanos(1) })
    }

    fn speed_at(&self, schedule: Duration, wanted: Speed) -> Speed {
        let quiet = self.quiet.iter().any(|stretch| stretch.contains(&schedule));
        if quiet && wanted != Speed::STILL { Speed::PLANNED } else { wanted }
    }

    fn border_after(&self, schedule: Duration) -> Option<Duration> {
        let borders = self.quiet.iter().flat_map(|stretch| [stretch.start, stretch.end]);
        borders.filter(|border| *border > schedule).min()
    }
}

impl Bend {
    fn run_time(&self, schedule: Duration) -> Option<Duration> {
        let ahead = schedule - self.schedule;
        (self.speed != Speed::STILL).then(|| self.run.saturating_add(scaled(ahead, 100, self.speed.0.into())))
    }
}

/// `span` · `by` / `over`, rounded down: whole nanoseconds, so that every worker gets the same.
fn scaled(span: Duration, by: u128, over: u128) -> Duration {
    Duration::from_nanos(u64::try_from(span.as_nanos() * by / over).unwrap_or(u64::MAX))
}

/// What a person may ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Adjustment {
    PauseOrResume,
    Faster,
    Slower,
}

/// What a person has set: a speed, and whether the load stands still. It comes out of a pause as it
/// went in, unless the speed was changed meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Throttle {
    set: Speed,
    paused: bool,
}

/// One step faster or slower, in per cent of the plan.
pub const STEP: u16 = 10;
/// No faster than this: ten times the planned rate asks for another profile.
pub const FASTEST: Speed = Speed(1000);
/// No slower than this unless it stands still.
pub const SLOWEST: Speed = Speed(STEP);

impl Throttle {
    pub const fn new() -> Self {
        Throttle { set: Speed::PLANNED, paused: false }
    }

    /// The speed of the load.
    pub const fn speed(self) -> Speed {
        if self.paused { Speed::STILL } else { self.set }
    }

    /// Carries out a wish. Gives what it did to the load, if it did anything.
    pub fn adjust(&mut self, wish: Adjustment) -> Option<InterventionKind> {
        let before = *self;
        match wish {
            Adjustment::PauseOrResume => self.paused = !self.paused,
            Adjustment::Faster => self.set = Speed((self.set.0 + STEP).min(FASTEST.0)),
            Adjustment::Slower => self.set = Speed((self.set.0 - STEP).max(SLOWEST.0)),
        }
        match (before.paused, self.paused) {
            (false, true) => Some(InterventionKind::Pause),
            (true, false) => Some(InterventionKind::Resume),
            _ => (before.speed() != self.speed()).then_some(InterventionKind::Rate),
        }
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Schedule;
    use crate::load::stage::{LoadConfig, LoadStage, Process, WhenExhausted};
    use crate::seed::Seed;
    use proptest::prelude::*;

    fn secs(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_load_that_nobody_touches_runs_as_planned() {
        let timeline = Timeline::new(vec![secs(10.0)..secs(20.0)]);
        let odd = Duration::from_nanos(12_345_678_901);
        assert_eq!((timeline.run_time(odd), timeline.schedule_time(odd)), (Some(odd), odd));
        assert_eq!(timeline.end(secs(30.0)), Some(secs(30.0)));
    }

    #[test]
    fn a_pause_shifts_what_comes_after_it() {
        let mut timeline = Timeline::default();
        timeline.bend(secs(10.0), Speed::STILL);
        assert_eq!((timeline.run_time(secs(9.9)), timeline.run_time(secs(10.1))), (Some(secs(9.9)), None));
        assert_eq!((timeline.schedule_time(secs(70.0)), timeline.end(secs(60.0))), (secs(10.0), None));
        timeline.bend(secs(25.0), Speed::PLANNED);
        assert_eq!(timeline.run_time(secs(9.9)), Some(secs(9.9)));
        assert_eq!(timeline.run_time(secs(10.0)), Some(secs(25.0)), "due as it stopped, it goes as it starts again");
        assert_eq!(timeline.run_time(secs(12.0)), Some(secs(27.0)));
        assert_eq!(timeline.schedule_time(secs(27.0)), secs(12.0));
    }

    #[test]
    fn twice_as_fast_is_half_as_long_but_for_a_hold() {
        let mut timeline = Timeline::new(vec![secs(20.0)..secs(50.0)]);
        timeline.bend(secs(10.0), Speed(200));
        assert_eq!(timeline.run_time(secs(14.0)), Some(secs(12.0)));
        assert_eq!(timeline.run_time(secs(20.0)), Some(secs(15.0)), "the hold begins earlier");
        assert_eq!(timeline.run_time(secs(50.0)), Some(secs(45.0)), "and lasts as long");
        assert_eq!(timeline.run_time(secs(60.0)), Some(secs(50.0)));
        assert_eq!(timeline.schedule_time(secs(46.0)), secs(52.0));
        timeline.bend(secs(20.0), Speed::STILL);
        assert_eq!(timeline.end(secs(60.0)), None, "a standstill holds up a hold too");
        timeline.bend(secs(30.0), Speed(50));
        assert_eq!(timeline.run_time(secs(50.0)), Some(secs(55.0)));
        assert_eq!(timeline.run_time(secs(51.0)), Some(secs(57.0)));
    }

    #[test]
    fn a_throttle_goes_in_steps_and_comes_out_of_a_pause_as_it_went_in() {
        let mut throttle = Throttle::new();
        assert_eq!(throttle.adjust(Adjustment::Faster), Some(InterventionKind::Rate));
        assert_eq!(throttle.speed(), Speed(110));
        assert_eq!(throttle.adjust(Adjustment::PauseOrResume), Some(InterventionKind::Pause));
        assert_eq!((throttle.speed(), throttle.adjust(Adjustment::Slower)), (Speed::STILL, None));
        assert_eq!(throttle.adjust(Adjustment::PauseOrResume), Some(InterventionKind::Resume));
        assert_eq!(throttle.speed(), Speed::PLANNED);
        while throttle.adjust(Adjustment::Slower).is_some() {}
        assert_eq!(throttle.speed(), SLOWEST);
        while throttle.adjust(Adjustment::Faster).is_some() {}
        assert_eq!(throttle.speed(), FASTEST);
    }

    fn any_timeline() -> impl Strategy<Value = Timeline> {
        let quiet = proptest::collection::vec((0u64..20_000_000_000, 1u64..20_000_000_000), 0..3);
        let bends = proptest::collection::vec((0u64..20_000_000_000, 0u16..40), 0..8);
        (quiet, bends).prop_map(|(quiet, bends)| {
            let mut border = Duration::ZERO;
            let stretches = quiet.into_iter().map(|(gap, length)| {
                let start = border + Duration::from_nanos(gap);
                border = start + Duration::from_nanos(length);
                start..border
            });
            let mut timeline = Timeline::new(stretches.collect());
            let mut at = Duration::ZERO;
            for (gap, tens) in bends {
                at += Duration::from_nanos(gap);
                timeline.bend(at, Speed(tens * STEP));
            }
            timeline
        })
    }

    proptest! {
        /// Later in the schedule is never earlier in the run, and what has no time yet lies behind
        /// all that has.
        #[test]
        fn order_stays(timeline in any_timeline(), mut moments in proptest::collection::vec(0u64..100_000_000_000, 2..40)) {
            moments.sort_unstable();
            let times: Vec<_> = moments.iter().map(|ns| timeline.run_time(Duration::from_nanos(*ns))).collect();
            for pair in times.windows(2) {
                prop_assert!(match (pair[0], pair[1]) {
                    (Some(a), Some(b)) => a <= b,
                    (None, later) => later.is_none(),
                    (Some(_), None) => true,
                }, "{:?}", pair);
            }
        }

        /// The two ways undo each other, but for the rounding of one step at the highest and at the
        /// lowest speed.
        #[test]
        fn there_and_back(timeline in any_timeline(), ns in 0u64..100_000_000_000) {
            let schedule = Duration::from_nanos(ns);
            if let Some(run) = timeline.run_time(schedule) {
                let back = timeline.schedule_time(run);
                prop_assert!(back.abs_diff(schedule) <= Duration::from_nanos(10), "{schedule:?} {run:?} {back:?}");
            }
            let run = Duration::from_nanos(ns);
            let there = timeline.schedule_time(run);
            prop_assert!(timeline.schedule_time(run + Duration::from_nanos(1)) >= there, "time does not go back");
        }

        /// A further intervention changes nothing that lies before it.
        #[test]
        fn the_past_stays(timeline in any_timeline(), at in 0u64..100_000_000_000, tens in 0u16..40, ns in 0u64..100_000_000_000) {
            let bends = timeline.bends.iter().map(|bend| bend.run);
            let at = Duration::from_nanos(at).max(bends.max().unwrap_or_default());
            let mut bent = timeline.clone();
            bent.bend(at, Speed(tens * STEP));
            let schedule = Duration::from_nanos(ns);
            if schedule < timeline.schedule_time(at) {
                prop_assert_eq!(bent.run_time(schedule), timeline.run_time(schedule));
                prop_assert!(bent.run_time(schedule).is_some_and(|run| run <= at));
            } else {
                prop_assert!(bent.run_time(schedule).is_none_or(|run| run >= at));
            }
        }

        /// Every arrival of a load that goes on in the end happens once, in order, and before the
        /// load is over.
        #[test]
        fn every_arrival_comes_before_the_end(timeline in any_timeline(), rate in 0.5f64..500.0, seconds in 1u64..40) {
            let stages = vec![LoadStage::Rate { per_second: rate, lasts: Duration::from_secs(seconds) }];
            let (process, when_exhausted) = (Process::Uniform, WhenExhausted::Stop);
            let config = LoadConfig {
                stages, replay: None, process, when_exhausted, agents: u32::MAX, max_in_flight: 1, max_message_rate: 1, max_connect_rate: 1,
            };
            let schedule = Schedule::new(&config, Seed(1));
            let Some(end) = timeline.end(schedule.lasts()) else { return Ok(()) };
            let due = |n| schedule.planned(n).and_then(|planned| timeline.run_time(planned));
            let mut last = Duration::ZERO;
            for n in 0..schedule.arrivals() {
                let at = due(n);
                prop_assert!(at.is_some_and(|at| at >= last && (at < end || schedule.planned(n) == Some(schedule.lasts()))));
                last = at.unwrap_or_default();
            }
        }
    }
}
