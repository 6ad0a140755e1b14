//! A server's own count beside a world's run, as somebody who was asked once a second would have
//! told it: right, of a part, late, with others, or with what was forgotten or left.

use regstorm::measure::Beat;
use regstorm::record::{OurBindings, Results, TruthHeader, TruthSample};
use regstorm::vocab::Class;
use serde::Deserialize;
use std::collections::BTreeMap;

const SECOND: u64 = 1_000_000_000;
/// How far from its moment an answer is held against ours.
const SLACK: u64 = SECOND * 6 / 5;

/// What the server says is made of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TruthModel {
    /// Bindings of others, there from the beginning.
    others: u64,
    /// Others that come after so many seconds.
    come: Option<(u64, u64)>,
    /// The share of ours that it counts.
    share: f64,
    /// How old its number is, seconds.
    lag_s: u64,
    /// How long it counts what has ended, and how long that is said to be.
    sweep_s: u64,
    said_sweep_s: u64,
    /// From when until when it has forgotten this share of ours.
    forgets: Option<(u64, u64, f64)>,
    /// The share of what ended that it never removes.
    keeps: f64,
    /// Nobody else registers there, as somebody states.
    exclusive: bool,
    /// Events that it tells of those it refuses, by name: so many for each refusal of ours, and so
    /// many a second of other phones.
    says_why: BTreeMap<String, (f64, u64)>,
    /// It tells of each of ours that it lets in.
    says_who: bool,
}

impl Default for TruthModel {
    fn default() -> TruthModel {
        TruthModel {
            others: 0,
            come: None,
            share: 1.0,
            lag_s: 0,
            sweep_s: 0,
            said_sweep_s: 1,
            forgets: None,
            keeps: 0.0,
            exclusive: false,
            says_why: BTreeMap::new(),
            says_who: false,
        }
    }
}

/// Bindings of the run, by time: those held and those ended so far.
struct Course(Vec<(u64, u64, u64)>);

impl Course {
    fn of(results: &Results) -> Course {
        let mut beats: Vec<(u64, u64, u64)> = results
            .evidence
            .pulse
            .iter()
            .filter_map(|cell| {
                let at = u64::from(cell.tick) * results.evidence_tick_ns();
                match Beat::from_index(cell.beat)? {
                    Beat::Bound => Some((at, u64::from(cell.count), 0)),
                    Beat::Unbound => Some((at, 0, u64::from(cell.count))),
                    _ => None,
                }
            })
            .collect();
        beats.sort_unstable();
        let (mut gained, mut ended) = (0, 0);
        for beat in &mut beats {
            gained += beat.1;
            ended += beat.2;
            *beat = (beat.0, gained - ended, ended);
        }
        Course(beats)
    }

    /// Held and ended by then.
    fn at(&self, ns: u64) -> (u64, u64) {
        let beats = self.0.partition_point(|(at, ..)| *at <= ns);
        beats.checked_sub(1).map_or((0, 0), |last| (self.0[last].1, self.0[last].2))
    }
}

impl TruthModel {
    /// The results of a run beside which the server was asked.
    pub fn told(&self, mut results: Results) -> Results {
        let course = Course::of(&results);
        let ends = results.end.as_ref().map_or(0, |end| end.ended_ns);
        results.header.exclusive |= self.exclusive;
        results.header.truths = vec![TruthHeader {
            kind: "exec".to_owned(),
            address: "a model".to_owned(),
            trunk: Some(0),
            every_ns: SECOND,
            sweep_ns: self.said_sweep_s * SECOND,
            bindings_each: 1,
            before: Some(self.others),
            unknown: None,
        }];
        results.truth = (0..=ends / SECOND).map(|second| self.sample(&course, second * SECOND)).collect();
        self.tell_why(&mut results);
        results
    }

    /// Each sample tells of the second before it.
    fn tell_why(&self, results: &mut Results) {
        let tick_ns = results.evidence_tick_ns();
        for sample in &mut results.truth {
            let from = sample.asked_ns.saturating_sub(SECOND);
            let cells = results.evidence.pulse.iter();
            let cells = cells.filter(|cell| (from..sample.asked_ns).contains(&(u64::from(cell.tick) * tick_ns)));
            let (mut refused, mut accepted) = (0, 0);
            for cell in cells {
                match Beat::from_index(cell.beat) {
                    Some(Beat::Ended { class: Class::Registered, .. }) => accepted += u64::from(cell.count),
                    Some(Beat::Ended { class, .. }) if class.is_refusal() => refused += u64::from(cell.count),
                    _ => {}
                }
            }
            let why = self
                .says_why
                .iter()
                .map(|(name, (each, others))| (name.clone(), (refused as f64 * each).round() as u64 + others));
            let who = self.says_who.then(|| ("SuccessfulAuth".to_owned(), accepted));
            sample.heard = why.chain(who).filter(|(_, count)| *count > 0).collect();
        }
    }

    fn sample(&self, course: &Course, at: u64) -> TruthSample {
        let moments = (0..=24).map(|step| (at + step * SLACK / 12).saturating_sub(SLACK));
        let held: Vec<u64> = moments.map(|moment| course.at(moment).0).collect();
        let ours = OurBindings {
            least: held.iter().copied().min().unwrap_or(0),
            most: held.iter().copied().max().unwrap_or(0),
            under_way: 0,
        };
        TruthSample {
            asked_ns: at,
            took_ns: 1_000,
            count: Some(self.count(course, at)),
            ours: Some(ours),
            ..TruthSample::default()
        }
    }

    fn count(&self, course: &Course, at: u64) -> u64 {
        let told_of = at.saturating_sub(self.lag_s * SECOND);
        let (held, ended) = course.at(told_of);
        let lingering = ended - course.at(told_of.saturating_sub(self.sweep_s * SECOND)).1;
        let forgotten = self
            .forgets
            .filter(|(from, until, _)| (from * SECOND..until * SECOND).contains(&told_of))
            .map_or(0.0, |(.., share)| share);
        let come = self.come.filter(|(from, _)| told_of >= from * SECOND).map_or(0, |(_, count)| count);
        let known = held as f64 * self.share * (1.0 - forgotten);
        let kept = ended as f64 * self.keeps;
        self.others + come + lingering + (known + kept).round() as u64
    }
}
