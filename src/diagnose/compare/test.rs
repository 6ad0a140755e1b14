//! The tests: is a difference more than chance, and how large may it be.
//!
//! A quantile is tested by shares: is a larger share of the new run's attempts above the quantile
//! of both runs together? The difference of the two shares is compared with its standard error, the
//! larger of what independent attempts would give and what the blocks of the run show; its interval
//! is carried back to a latency through the distribution (Woodruff 1952). A share of attempts is
//! tested exactly (Fisher), with its trials divided by their design effect; its interval is
//! Newcombe's (1998). Loops and availability belong to agents, so agents are the trials there. All
//! p-values are one-sided: `worse` for a change for the worse.

use super::blocks::{Scatter, Sums, scatter};
use super::figure::{Figure, histogram, quantile, statistic_of, trials_for_one};
use super::tail::{self, Trials};
use crate::diagnose::metric::Statistic;
use crate::record::{Results, Totals};
use crate::vocab::Phase;
use serde::Serialize;

/// A run, or one trunk of it.
#[derive(Clone, Copy)]
pub(super) struct ComparedRun<'a> {
    pub results: &'a Results,
    pub totals: &'a Totals,
    pub trunk: Option<usize>,
}

/// What came out.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Tested {
    /// Probability of a change at least so far for the worse, were there none.
    pub worse: f64,
    /// The same for the better.
    pub better: f64,
    /// 95 % interval of the difference, in the figure's unit.
    pub interval: (f64, f64),
    pub basis: Basis,
}

/// What the uncertainty rests on.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Attempts as independent of each other: they scatter no more than that, or there are too few
    /// blocks to tell.
    Attempts,
    /// So many blocks of consecutive intervals.
    Blocks(usize),
    /// Trials; each independent one stands for so many.
    Trials(f64),
}

/// Tests a figure that was measured on both sides; `None` when there is too little to test it by.
pub(super) fn test(figure: Figure, base: ComparedRun, new: ComparedRun, aligned: bool) -> Option<Tested> {
    match figure {
        Figure::Latency(phase, statistic) => match quantile(statistic) {
            Some(at) => quantiles(figure, phase, at, base, new, aligned),
            None => means(figure, phase, base, new, aligned),
        },
        Figure::Attempts(..) | Figure::Loops | Figure::Availability => shares(figure, base, new, aligned),
    }
}

fn quantiles(
    figure: Figure,
    phase: Phase,
    at: f64,
    base: ComparedRun,
    new: ComparedRun,
    aligned: bool,
) -> Option<Tested> {
    let (old, fresh) = (histogram(base.totals, phase)?, histogram(new.totals, phase)?);
    let mut both = old.clone();
    both.add(fresh).ok()?;
    let cut = both.value_at_quantile(at);
    let above = |side: ComparedRun| figure.by_interval(side.results, side.trunk, cut);
    let (old_parts, fresh_parts) = (above(base), above(new));
    let (a, b) = (Sums::of(&old_parts), Sums::of(&fresh_parts));
    let difference = b.ratio()? - a.ratio()?;
    let pooled = (a.hits + b.hits) / (a.trials + b.trials);
    let apart = pooled * (1.0 - pooled) * (1.0 / a.trials + 1.0 / b.trials);
    let spread = Uncertainty::of(apart, scatter(&old_parts, &fresh_parts, aligned));
    // The whole uncertainty is put on the new run's curve; to first order the sum is the same
    // wherever it is put.
    let was = old.value_at_quantile(at) as f64;
    let moved = |by: f64| fresh.value_at_quantile((at + by).clamp(0.0, 1.0)) as f64 - was;
    let reach = spread.reach();
    Some(spread.tested(difference, (moved(-reach), moved(reach))))
}

fn means(figure: Figure, phase: Phase, base: ComparedRun, new: ComparedRun, aligned: bool) -> Option<Tested> {
    let (old, fresh) = (histogram(base.totals, phase)?, histogram(new.totals, phase)?);
    let difference = statistic_of(fresh, Statistic::Mean)? - statistic_of(old, Statistic::Mean)?;
    let apart = old.stdev().powi(2) / old.len() as f64 + fresh.stdev().powi(2) / fresh.len() as f64;
    let parts = |side: ComparedRun| figure.by_interval(side.results, side.trunk, 0);
    let spread = Uncertainty::of(apart, scatter(&parts(base), &parts(new), aligned));
    let reach = spread.reach();
    Some(spread.tested(difference, (difference - reach, difference + reach)))
}

fn shares(figure: Figure, base: ComparedRun, new: ComparedRun, aligned: bool) -> Option<Tested> {
    let each = match figure {
        // An agent's attempts succeed or fail together, and so do those of a busy moment.
        Figure::Attempts(..) => {
            let agents = trials_for_one(base.results, base.trunk).max(trials_for_one(new.results, new.trunk));
            agents.max(trials_for_one_in_time(figure, base, new, aligned))
        }
        // Of an agent's minutes none is independent of the others, so an agent is one trial. It
        // scatters at most as much as one that is there or not; but agents that were refused in one
        // busy moment are away together.
        _ => trials_for_one_in_time(Figure::SUCCESS, base, new, aligned),
    };
    let trials = |side: ComparedRun| {
        let Sums { hits, trials } = figure.sums(side.totals);
        let of = if figure == Figure::Availability { side.totals.agents as f64 } else { trials };
        let share = if trials > 0.0 { hits / trials } else { 0.0 };
        Trials { hits: (share * of / each).round(), of: (of / each).round() }
    };
    let (a, b) = (trials(base), trials(new));
    let (rising, falling) = (tail::at_least(a, b), tail::at_least(b, a));
    let (worse, better) = if figure.sign() == '+' { (rising, falling) } else { (falling, rising) };
    let (low, high) = newcombe(a, b);
    let interval = (low * figure.whole(), high * figure.whole());
    Some(Tested { worse, better, interval, basis: Basis::Trials(each) })
}

/// How many trials one independent trial stands for, by the scatter between blocks. It is that of
/// the two runs together, or that of the base alone if that is less: what the base never did, an
/// outage say, must not pass for the new run's ordinary scatter.
fn trials_for_one_in_time(figure: Figure, base: ComparedRun, new: ComparedRun, aligned: bool) -> f64 {
    let parts = |side: ComparedRun| figure.by_interval(side.results, side.trunk, 0);
    let (old, fresh) = (parts(base), parts(new));
    let (a, b) = (Sums::of(&old), Sums::of(&fresh));
    let apart = |hits: f64, trials: f64, each: f64| {
        let share = hits / trials;
        share * (1.0 - share) * each
    };
    let effect = |scatter: Option<Scatter>, apart: f64| match scatter {
        Some(scatter) if apart > 0.0 => scatter.variance / apart,
        _ => 1.0,
    };
    let together = apart(a.hits + b.hits, a.trials + b.trials, 1.0 / a.trials + 1.0 / b.trials);
    // Against itself, and not block against block, a run shows its scatter twice.
    let alone = 2.0 * apart(a.hits, a.trials, 1.0 / a.trials);
    effect(scatter(&old, &fresh, aligned), together).min(effect(scatter(&old, &old, false), alone)).max(1.0)
}

/// The standard error of a difference, and how well it is known.
#[derive(Clone, Copy, Debug)]
struct Uncertainty {
    error: f64,
    freedom: f64,
    basis: Basis,
}

impl Uncertainty {
    /// `apart`: the variance if all attempts were independent. Blocks can only add to it: where
    /// they show less, that is chance.
    fn of(apart: f64, scatter: Option<Scatter>) -> Uncertainty {
        match scatter {
            Some(Scatter { variance, blocks }) if variance >= apart => {
                Uncertainty { error: variance.sqrt(), freedom: (blocks - 1) as f64, basis: Basis::Blocks(blocks) }
            }
            _ => Uncertainty { error: apart.sqrt(), freedom: f64::MAX, basis: Basis::Attempts },
        }
    }

    /// Half of the 95 % interval.
    fn reach(self) -> f64 {
        self.error * tail::student_quantile(0.025, self.freedom)
    }

    /// `worsening` is positive for the worse.
    fn tested(self, worsening: f64, interval: (f64, f64)) -> Tested {
        // Without a difference there is nothing to doubt, also where nothing scatters.
        let t = if worsening == 0.0 { 0.0 } else { worsening / self.error };
        Tested {
            worse: tail::student(t, self.freedom),
            better: tail::student(-t, self.freedom),
            interval,
            basis: self.basis,
        }
    }
}

/// The 95 % interval of the difference of two shares.
fn newcombe(a: Trials, b: Trials) -> (f64, f64) {
    let share = |t: Trials| if t.of > 0.0 { t.hits / t.of } else { 0.0 };
    let ((a_low, a_high), (b_low, b_high)) = (wilson(a), wilson(b));
    let (p, q) = (share(a), share(b));
    let difference = q - p;
    (difference - (q - b_low).hypot(a_high - p), difference + (b_high - q).hypot(p - a_low))
}

/// Wilson's 95 % interval of a share.
fn wilson(t: Trials) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    if t.of <= 0.0 {
        return (0.0, 1.0);
    }
    let (p, z2) = (t.hits / t.of, Z * Z / t.of);
    let middle = (p + z2 / 2.0) / (1.0 + z2);
    let half = Z / (1.0 + z2) * (p * (1.0 - p) / t.of + z2 / (4.0 * t.of)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// Holm's correction: p-values as they count when all of them are looked at.
pub(super) fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut least: f64 = 0.0;
    for (rank, at) in order.into_iter().enumerate() {
        least = least.max(p[at] * (p.len() - rank) as f64).min(1.0);
        adjusted[at] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_is_stricter_with_the_smallest_first() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        let expected = [0.03, 0.06, 0.06, 0.02];
        for (p, expected) in adjusted.iter().zip(expected) {
            assert!((p - expected).abs() < 1e-12, "{adjusted:?}");
        }
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn newcombe_agrees_with_its_table() {
        // Newcombe 1998, table II, method 10: 56/70 against 48/80.
        let (low, high) = newcombe(Trials { hits: 48.0, of: 80.0 }, Trials { hits: 56.0, of: 70.0 });
        assert!((low - 0.0524).abs() < 1e-4 && (high - 0.3339).abs() < 1e-4, "{low} {high}");
        let (low, high) = newcombe(Trials { hits: 0.0, of: 10.0 }, Trials { hits: 0.0, of: 0.0 });
        assert!(low <= 0.0 && high >= 0.0 && low.is_finite());
    }

    #[test]
    fn blocks_add_to_the_spread_and_never_take_from_it() {
        let blocks = |variance| Some(Scatter { variance, blocks: 10 });
        assert_eq!(Uncertainty::of(1.0, blocks(0.5)).basis, Basis::Attempts);
        assert_eq!(Uncertainty::of(1.0, blocks(4.0)).basis, Basis::Blocks(10));
        assert_eq!(Uncertainty::of(0.0, None).tested(1.0, (1.0, 1.0)).worse, 0.0);
        assert_eq!(Uncertainty::of(0.0, None).tested(0.0, (0.0, 0.0)).worse, 0.5);
    }
}
