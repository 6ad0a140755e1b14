//! What somebody says of a trunk over time: when it changed, and whether the changes have a period.

use super::gate::Opinion;
use super::rhythm::{FlipRhythm, rhythm};
use crate::vocab::{Time, nanos};
use std::collections::VecDeque;
use std::time::Duration;

/// One trunk over time.
#[derive(Clone, Debug)]
pub struct TrunkFlips {
    opinion: Opinion,
    since: Time,
    /// The last opinion that was one, and when it was last heard.
    known: Option<(Opinion, Time)>,
    /// When it became go or no-go after the other, the newest last.
    flips: VecDeque<Flip>,
    count: u64,
}

/// A change from go to no-go or back.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Flip {
    /// The middle of the time in which it was.
    pub at: Time,
    /// How far from there it may have been.
    pub within: Duration,
    pub to: Opinion,
}

/// Changes that are kept: more than enough to see a period.
const KEPT: usize = 200;

impl TrunkFlips {
    /// Nothing is known so far.
    pub fn new(now: Time) -> TrunkFlips {
        TrunkFlips { opinion: Opinion::Unknown, since: now, known: None, flips: VecDeque::new(), count: 0 }
    }

    /// Takes what was heard; whether that is another opinion than before. What was not known in
    /// between is no change by itself.
    pub fn hear(&mut self, now: Time, opinion: Opinion) -> bool {
        if opinion != Opinion::Unknown {
            if let Some((before, last)) = self.known
                && before != opinion
            {
                let within = now.since(last) / 2;
                self.flips.push_back(Flip { at: last + within, within, to: opinion });
                self.count += 1;
                if self.flips.len() > KEPT {
                    self.flips.pop_front();
                }
            }
            self.known = Some((opinion, now));
        }
        let changed = self.opinion != opinion;
        if changed {
            (self.opinion, self.since) = (opinion, now);
        }
        changed
    }

    pub fn opinion(&self) -> Opinion {
        self.opinion
    }

    /// Since when it is of this opinion, as far as it was asked.
    pub fn since(&self) -> Time {
        self.since
    }

    /// How often it changed from go to no-go or back.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The period of the changes, if they have one.
    pub fn rhythm(&self) -> Option<FlipRhythm> {
        let times = |to| -> Vec<f64> {
            let flips = self.flips.iter().filter(|flip| flip.to == to);
            flips.map(|flip| flip.at.nanos_since(Time::ORIGIN) as f64).collect()
        };
        let blur = self.flips.iter().map(|flip| flip.within).max().unwrap_or_default();
        rhythm(&times(Opinion::NoGo), &times(Opinion::Go), 2.0 * nanos(blur) as f64)
    }

    /// When the next change is due.
    pub fn next(&self, now: Time) -> Option<Time> {
        let FlipRhythm { period_ns, phase_ns, down_ns } = self.rhythm()?;
        let (opinion, _) = self.known?;
        let offset = if opinion == Opinion::NoGo { phase_ns + down_ns } else { phase_ns };
        let passed = now.nanos_since(Time::ORIGIN).saturating_sub(offset);
        let periods = passed / period_ns.max(1) + 1;
        Some(Time::ORIGIN + Duration::from_nanos(offset + periods * period_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Time {
        Time::from_secs(seconds)
    }

    /// Polled every so many seconds for a while.
    fn polled(every: u64, until: u64, state: impl Fn(u64) -> Opinion) -> TrunkFlips {
        let mut flips = TrunkFlips::new(at(1_000));
        for second in (1_000..until).step_by(every as usize) {
            flips.hear(at(second), state(second));
        }
        flips
    }

    fn wave(second: u64) -> Opinion {
        // 45 minutes: up for 30, down for 15.
        if second % 2_700 < 1_800 { Opinion::Go } else { Opinion::NoGo }
    }

    #[test]
    fn forty_five_minutes_are_told_with_what_comes_next() {
        let flips = polled(30, 12_000, wave);
        let found = flips.rhythm().expect("eight changes");
        let minutes = |ns: u64| (ns as f64 / 6e10).round();
        assert_eq!((minutes(found.period_ns), minutes(found.down_ns)), (45.0, 15.0));
        // At 12 000 s the fifth period is 1 200 s old: it goes down at 12 600.
        let next = flips.next(at(12_000)).expect("known");
        assert!(next > at(12_560) && next < at(12_640), "{next:?}");
        assert_eq!(flips.count(), 8);
    }

    #[test]
    fn what_was_not_known_in_between_is_no_change_and_is_told() {
        let mut flips = TrunkFlips::new(at(1));
        let told = [Opinion::Go, Opinion::Unknown, Opinion::Go, Opinion::Unknown, Opinion::NoGo];
        let changed: Vec<bool> = (2..).zip(told).map(|(second, opinion)| flips.hear(at(second), opinion)).collect();
        assert_eq!((changed, flips.count()), (vec![true; 5], 1));
        assert!(!flips.hear(at(9), Opinion::NoGo));
        assert_eq!(flips.rhythm(), None);
    }

    proptest! {
        /// Changes at any times have no period unless they keep one.
        #[test]
        fn a_period_that_is_told_is_kept(gaps in proptest::collection::vec(1u64..5_000, 3..12)) {
            let mut flips = TrunkFlips::new(at(0));
            let (mut now, mut borders, mut go) = (1_000, Vec::new(), true);
            flips.hear(at(now), Opinion::Go);
            for gap in gaps {
                now += gap;
                go = !go;
                flips.hear(at(now - 1), if go { Opinion::NoGo } else { Opinion::Go });
                flips.hear(at(now), if go { Opinion::Go } else { Opinion::NoGo });
                borders.push(now as f64 - 0.5);
            }
            if let Some(found) = flips.rhythm() {
                let period = found.period_ns as f64 / 1e9;
                for (n, border) in borders.iter().enumerate().skip(2) {
                    let before = borders[n - 2];
                    prop_assert!((border - before - period).abs() <= period / 3.0 + 4.0, "{border} {before} {period}");
                }
            }
        }
    }
}
