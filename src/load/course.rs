//! Where a run is in its load: which stage, how far, and how long it and the load still take as
//! things stand.

use super::timeline::Timeline;
use crate::vocab::LoadStage;
use crate::vocab::Speed;
use std::time::Duration;

/// A load under way.
#[derive(Clone, Debug)]
pub struct Course {
    stages: Vec<LoadStage>,
    timeline: Timeline,
}

/// The stage a run is in.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Leg {
    /// From 1.
    pub number: usize,
    pub of: usize,
    pub stage: LoadStage,
    /// 0 to 1.
    pub done: f64,
    /// `None`: it stands still.
    pub left: Option<Duration>,
    /// Of all stages.
    pub load_left: Option<Duration>,
}

impl Course {
    /// A load that is yet to begin.
    pub fn new(stages: Vec<LoadStage>, timeline: Timeline) -> Self {
        Course { stages, timeline }
    }

    /// See [`Timeline::bend`].
    pub fn bend(&mut self, at: Duration, speed: Speed) {
        self.timeline.bend(at, speed);
    }

    /// See [`Timeline::schedule_time`].
    pub fn schedule_time(&self, elapsed: Duration) -> Duration {
        self.timeline.schedule_time(elapsed)
    }

    /// The stage at a moment of the run, the last one after its end; `None` of a load without
    /// stages. What takes no time is part of what follows it.
    pub fn at(&self, elapsed: Duration) -> Option<Leg> {
        let now = self.schedule_time(elapsed);
        let lasts: Duration = self.stages.iter().map(LoadStage::lasts).sum();
        let left = |schedule| Some(self.timeline.run_time(schedule)?.saturating_sub(elapsed));
        let (mut from, mut found) = (Duration::ZERO, None);
        for (position, stage) in self.stages.iter().enumerate() {
            let until = from + stage.lasts();
            if until > now || position + 1 == self.stages.len() {
                found = Some((position, *stage, from, until));
                break;
            }
            from = until;
        }
        let (position, stage, from, until) = found?;
        let length = (until - from).as_secs_f64();
        let done = if length > 0.0 { now.saturating_sub(from).as_secs_f64() / length } else { 1.0 };
        Some(Leg {
            number: position + 1,
            of: self.stages.len(),
            stage,
            done: done.clamp(0.0, 1.0),
            left: left(until),
            load_left: left(lasts),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn stages_follow_each_other_and_what_is_left_is_what_it_takes() {
        let rate = LoadStage::Rate { per_second: 5.0, lasts: secs(10) };
        let hold = LoadStage::Hold { lasts: secs(30) };
        let stages = vec![LoadStage::Avalanche { agents: 3 }, rate, hold];
        let mut course = Course::new(stages, Timeline::new(vec![secs(10)..secs(40)]));
        let leg = course.at(secs(4)).expect("a load");
        assert_eq!((leg.number, leg.of, leg.stage, leg.done), (2, 3, rate, 0.4));
        assert_eq!((leg.left, leg.load_left), (Some(secs(6)), Some(secs(36))));
        course.bend(secs(4), Speed(200));
        let leg = course.at(secs(5)).expect("a load");
        assert_eq!((leg.done, leg.left, leg.load_left), (0.6, Some(secs(2)), Some(secs(32))));
        course.bend(secs(6), Speed::STILL);
        let leg = course.at(secs(60)).expect("a load");
        assert_eq!((leg.number, leg.done, leg.left, leg.load_left), (2, 0.8, None, None));
        course.bend(secs(60), Speed::PLANNED);
        assert_eq!(course.at(secs(300)).map(|leg| (leg.number, leg.done, leg.left)), Some((3, 1.0, Some(secs(0)))));
        assert_eq!(Course::new(Vec::new(), Timeline::default()).at(secs(1)), None);
    }
}
