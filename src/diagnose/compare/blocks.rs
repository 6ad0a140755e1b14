//! Intervals of two runs as blocks of consecutive ones, and how much a ratio scatters between them.
//!
//! Registrations close in time share the state of a server: a burst of slow answers is one event,
//! not hundreds. So the uncertainty of a ratio is taken from blocks of the run (batch means; Law
//! and Kelton, Simulation Modeling and Analysis, §9.5.3). Runs of the same schedule are taken block
//! against block, so that what the schedule itself does to the ratio, a ramp for instance, falls
//! out.

/// What happened in a stretch of time: a sum, and the number it is a ratio to.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Sums {
    pub hits: f64,
    pub trials: f64,
}

impl Sums {
    pub fn of(parts: &[Sums]) -> Sums {
        parts.iter().fold(Sums::default(), |sum, part| sum.plus(*part))
    }

    fn plus(self, other: Sums) -> Sums {
        Sums { hits: self.hits + other.hits, trials: self.trials + other.trials }
    }

    /// `None` without trials.
    pub fn ratio(self) -> Option<f64> {
        (self.trials > 0.0).then(|| self.hits / self.trials)
    }
}

/// The variance of a difference of two ratios, and its degrees of freedom.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Scatter {
    pub variance: f64,
    pub blocks: usize,
}

/// The scatter of `ratio(new) - ratio(base)`, interval by interval; `None` when there are too few
/// blocks to tell. `aligned`: both runs followed the same schedule in intervals of the same length.
pub(super) fn scatter(base: &[Sums], new: &[Sums], aligned: bool) -> Option<Scatter> {
    let (sum, new_sum) = (Sums::of(base), Sums::of(new));
    let (ratio, new_ratio) = (sum.ratio()?, new_sum.ratio()?);
    let none = Sums::default();
    let at = |parts: &[Sums], n: usize| parts.get(n).copied().unwrap_or(none);
    // What a block adds to the error of each run's ratio.
    let error = |(a, b): &(Sums, Sums)| {
        let of = |part: Sums, ratio: f64, all: Sums| (part.hits - ratio * part.trials) / all.trials;
        of(*b, new_ratio, new_sum) - of(*a, ratio, sum)
    };
    let variance = |pairs: &[(Sums, Sums)]| -> Option<(f64, usize)> {
        let errors: Vec<f64> = blocks(pairs, sum, new_sum).iter().map(error).collect();
        let n = errors.len();
        (n >= MIN_BLOCKS).then(|| (errors.iter().map(|e| e * e).sum::<f64>() * n as f64 / (n - 1) as f64, n))
    };
    if aligned {
        let pairs: Vec<_> = (0..base.len().max(new.len())).map(|n| (at(base, n), at(new, n))).collect();
        return variance(&pairs).map(|(variance, blocks)| Scatter { variance, blocks });
    }
    let (first, blocks) = variance(&base.iter().map(|part| (*part, none)).collect::<Vec<_>>())?;
    let (second, others) = variance(&new.iter().map(|part| (none, *part)).collect::<Vec<_>>())?;
    Some(Scatter { variance: first + second, blocks: blocks.min(others) })
}

/// Neighbours joined until each block has its share of the trials; a small rest belongs to the last
/// one.
fn blocks(pairs: &[(Sums, Sums)], base: Sums, new: Sums) -> Vec<(Sums, Sums)> {
    let weight = |(a, b): &(Sums, Sums)| a.trials / base.trials + b.trials / new.trials;
    // The small part undoes a sum of tenths just below one.
    let share = pairs.iter().map(weight).sum::<f64>() / MAX_BLOCKS as f64 * (1.0 - 1e-9);
    let join = |(a, b): (Sums, Sums), (c, d): (Sums, Sums)| (a.plus(c), b.plus(d));
    let mut found = Vec::new();
    let mut open = (Sums::default(), Sums::default());
    for pair in pairs {
        open = join(open, *pair);
        if weight(&open) >= share {
            found.push(std::mem::take(&mut open));
        }
    }
    match found.last_mut() {
        Some(last) if weight(&open) < share / 2.0 => *last = join(*last, open),
        _ => found.push(open),
    }
    found
}

/// More blocks would be too short to stand for themselves; with fewer than five their scatter says
/// little.
const MAX_BLOCKS: usize = 20;
const MIN_BLOCKS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn run(hits: &[f64]) -> Vec<Sums> {
        hits.iter().map(|hits| Sums { hits: *hits, trials: 100.0 }).collect()
    }

    #[test]
    fn a_common_trend_falls_out() {
        let ramp: Vec<f64> = (0..10).map(|n| 5.0 * f64::from(n)).collect();
        let aligned = scatter(&run(&ramp), &run(&ramp), true).expect("ten blocks");
        assert_eq!(aligned, Scatter { variance: 0.0, blocks: 10 });
        assert!(scatter(&run(&ramp), &run(&ramp), false).expect("ten blocks").variance > 1e-3);
    }

    #[test]
    fn a_burst_is_one_event() {
        let mut burst = [0.0; 20];
        burst[7] = 100.0;
        let scatter = scatter(&run(&[0.0; 20]), &run(&burst), true).expect("twenty blocks");
        // Five per cent more, and its standard error is as large.
        assert!((scatter.variance.sqrt() - 0.05).abs() < 1e-3, "{scatter:?}");
    }

    #[test]
    fn blocks_hold_equal_shares() {
        let long = run(&[1.0; 200]);
        assert_eq!(scatter(&long, &long, true).map(|scatter| scatter.blocks), Some(20));
        assert_eq!(scatter(&run(&[1.0; 4]), &run(&[1.0; 4]), true), None);
        assert_eq!(scatter(&long, &[], true), None);
        // A storm in one interval is one block, however long the quiet after it.
        let mut storm = run(&[1.0; 60]);
        storm[0] = Sums { hits: 10.0, trials: 1e6 };
        assert_eq!(scatter(&storm, &storm, true), None);
    }

    proptest::proptest! {
        #[test]
        fn the_scatter_is_a_number(hits in proptest::collection::vec((0u32..100, 0u32..100), 0..60), aligned: bool) {
            let side = |pick: fn(&(u32, u32)) -> u32| -> Vec<Sums> {
                hits.iter().map(|pair| Sums { hits: pick(pair).into(), trials: f64::from(pick(pair)) + 1.0 }).collect()
            };
            if let Some(scatter) = scatter(&side(|pair| pair.0), &side(|pair| pair.1), aligned) {
                proptest::prop_assert!(scatter.variance >= 0.0 && scatter.variance.is_finite());
                proptest::prop_assert!((5..=21).contains(&scatter.blocks));
            }
        }
    }
}
