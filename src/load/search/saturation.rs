//! What a registrar carries, from probes that offered more than it can bear.
//!
//! A registrar whose queue is never empty answers at its full rate, however long the queue. That
//! distinguishes a queue from merely slow answers, where twice as many open attempts bring twice as
//! many answers. So it is asked twice, with queues of different lengths.

use super::sustained::CarriedRate;

/// What probes with queues of different lengths come to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Saturation {
    /// It carries so much, however long the queue.
    Queue(Capacity),
    /// Longer queues brought other answers per second: more of them, or less.
    Unsteady(Capacity),
    /// It answers late, but as much as is asked: there is no queue.
    Delay,
}

/// Registrations a second that are carried.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Capacity {
    pub per_second: f64,
    /// Two standard errors, or half of what the probes differ by if that is more.
    pub uncertainty: f64,
    pub registrations: usize,
}

/// Concludes from probes in the order in which their queues were longer; `None` without any.
pub fn conclude(probes: &[CarriedRate]) -> Option<Saturation> {
    let (first, last) = (probes.first()?, probes.last()?);
    let registrations: usize = probes.iter().map(|one| one.registrations).sum();
    let weighted = |one: &CarriedRate| one.per_second * one.registrations as f64;
    let mean = probes.iter().map(weighted).sum::<f64>() / registrations.max(1) as f64;
    let rates = || probes.iter().map(|one| one.per_second);
    let (least, most) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
    // Two requests each, served at random: their times vary by half of their square.
    let chance = 2.0 * mean * (0.5 / registrations.max(1) as f64).sqrt();
    let uncertainty = chance.max((most - least) / 2.0);
    let capacity = |per_second| Capacity { per_second, uncertainty, registrations };
    let ratio = last.per_second / first.per_second.max(f64::MIN_POSITIVE);
    Some(if ratio > DELAY && probes.len() > 1 {
        Saturation::Delay
    } else if most > least * AGREE {
        // What it carried with the shorter queue it can carry.
        Saturation::Unsteady(capacity(most))
    } else {
        Saturation::Queue(capacity(mean))
    })
}

/// The second queue is twice as long as the first one. Answers that are merely slow double with it.
const DELAY: f64 = 1.4;
/// Within which probes agree.
const AGREE: f64 = 1.08;

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(per_second: f64, registrations: usize) -> CarriedRate {
        CarriedRate { per_second, registrations }
    }

    #[test]
    fn a_queue_answers_the_same_however_long_it_is() {
        let found = conclude(&[probe(332.0, 1_000), probe(336.0, 1_000)]);
        let Some(Saturation::Queue(capacity)) = found else { panic!("{found:?}") };
        assert_eq!((capacity.per_second, capacity.registrations), (334.0, 2_000));
        assert!((10.0..11.0).contains(&capacity.uncertainty), "{capacity:?}");
    }

    #[test]
    fn what_doubles_with_the_open_attempts_is_no_queue() {
        assert_eq!(conclude(&[probe(300.0, 500), probe(590.0, 500)]), Some(Saturation::Delay));
    }

    #[test]
    fn what_falls_with_the_queue_is_told_by_the_shorter_one() {
        let found = conclude(&[probe(300.0, 500), probe(240.0, 500)]);
        assert!(matches!(found, Some(Saturation::Unsteady(capacity)) if capacity.per_second == 300.0), "{found:?}");
        assert_eq!(conclude(&[]), None);
    }
}
