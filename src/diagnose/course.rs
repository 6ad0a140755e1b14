//! The course of a figure over many runs: where it changed for good, where it drifts, and which
//! single runs stand out.
//!
//! Runs that stand out are set to the median of their neighbours first, so that one bad night is no
//! change. Then the series is cut into level and sloping pieces so that the squared residuals, in
//! units of the scatter from run to run, plus a price for each piece are least (optimal
//! partitioning; Jackson et al. 2005). The price is high enough that scatter alone is cut in about
//! one series of a hundred.

use crate::vocab::median;

/// What a figure did over the runs, positions count from 0.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FigureCourse {
    pub changes: Vec<CourseChange>,
    /// Runs far from their neighbours.
    pub outliers: Vec<usize>,
}

/// One change.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CourseChange {
    pub kind: ChangeKind,
    /// The first run with the new level, or where the drift begins.
    pub from: usize,
    /// The last run of it.
    pub until: usize,
    /// The level before, and after.
    pub before: f64,
    pub after: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChangeKind {
    Step,
    Drift,
}

impl ChangeKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Step => "step",
            ChangeKind::Drift => "drift",
        }
    }
}

/// The course of these values. A change smaller than `least` is none, however sure; with
/// `logarithmic` ratios count instead of differences, as for times, and `least` is a logarithm.
pub fn course(values: &[f64], least: f64, logarithmic: bool) -> FigureCourse {
    if values.len() < LEAST_RUNS {
        return FigureCourse::default();
    }
    let logarithmic = logarithmic && values.iter().all(|value| *value > 0.0);
    let scaled: Vec<f64> = if logarithmic { values.iter().map(|value| value.ln()).collect() } else { values.to_vec() };
    // What never varies has no scatter; a change beyond `least` is one all the same.
    let scatter = scatter(&scaled).max(least / 4.0).max(f64::MIN_POSITIVE);
    let (smooth, outliers) = without_outliers(&scaled, scatter);
    let pieces = pieces(&smooth, scatter);
    let back = |value: f64| if logarithmic { value.exp() } else { value };
    let changes = changes(&pieces, least, least.max(JUMP * scatter)).map(|change| CourseChange {
        before: back(change.before),
        after: back(change.after),
        ..change
    });
    FigureCourse { changes: changes.collect(), outliers }
}

/// The standard deviation from run to run, by quantiles of neighbours' differences: a step or a
/// single run far off hardly moves them.
fn scatter(values: &[f64]) -> f64 {
    let mut steps: Vec<f64> = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    steps.sort_by(f64::total_cmp);
    let at = |part: usize| steps.get(steps.len() * part / 10).copied().unwrap_or(0.0);
    // The median and the upper fifth of a normal distribution's absolute values.
    (at(5) / 0.6745).max(0.8 * at(8) / 1.2816) / std::f64::consts::SQRT_2
}

fn without_outliers(values: &[f64], scatter: f64) -> (Vec<f64>, Vec<usize>) {
    let mut outliers = Vec::new();
    let smooth = values.iter().enumerate().map(|(at, &value)| {
        let near = &values[at.saturating_sub(2)..(at + 3).min(values.len())];
        let median = median(near);
        if (value - median).abs() > FAR * scatter {
            outliers.push(at);
            median
        } else {
            value
        }
    });
    let smooth = smooth.collect();
    (smooth, outliers)
}

/// A stretch of runs on a level, or on a slope.
#[derive(Clone, Copy, Debug)]
struct CoursePiece {
    from: usize,
    /// One behind the last.
    until: usize,
    slope: f64,
    /// Fitted values of its first and last run.
    first: f64,
    last: f64,
    residual: f64,
}

/// Sums up to a position, from which any stretch is fitted at once.
#[derive(Clone, Copy, Default)]
struct CourseSums {
    y: f64,
    yy: f64,
    xy: f64,
}

fn pieces(values: &[f64], scatter: f64) -> Vec<CoursePiece> {
    let mut sums = vec![CourseSums::default()];
    for (at, value) in values.iter().enumerate() {
        let CourseSums { y, yy, xy } = sums[at];
        sums.push(CourseSums { y: y + value, yy: yy + value * value, xy: xy + at as f64 * value });
    }
    let (variance, price) = (scatter * scatter, (values.len() as f64).ln());
    let mut best: Vec<Option<(f64, CoursePiece)>> = vec![None; values.len() + 1];
    for until in LEAST_PIECE..=values.len() {
        for from in 0..=until - LEAST_PIECE {
            let Some(before) = (if from == 0 { Some(0.0) } else { best[from].map(|(cost, _)| cost) }) else { continue };
            let level = fit(&sums, from, until, false);
            let sloping = (until - from >= LEAST_SLOPE).then(|| fit(&sums, from, until, true));
            for (piece, times) in [(Some(level), LEVEL_PRICE), (sloping, SLOPE_PRICE)] {
                let Some(piece) = piece else { continue };
                let cost = before + piece.residual / variance + times * price;
                if best[until].is_none_or(|(least, _)| cost < least) {
                    best[until] = Some((cost, piece));
                }
            }
        }
    }
    let mut pieces = Vec::new();
    let mut until = values.len();
    while let Some((_, piece)) = best[until] {
        pieces.push(piece);
        until = piece.from;
        if until == 0 {
            break;
        }
    }
    pieces.reverse();
    pieces
}

fn fit(sums: &[CourseSums], from: usize, until: usize, sloping: bool) -> CoursePiece {
    let (a, b, n) = (sums[from], sums[until], (until - from) as f64);
    let (y, yy, xy) = (b.y - a.y, b.yy - a.yy, b.xy - a.xy);
    let spread = (yy - y * y / n).max(0.0);
    // Positions in a row: their mean, and the sum of their squared distances from it.
    let middle = (from + until - 1) as f64 / 2.0;
    let width = n * (n * n - 1.0) / 12.0;
    let shared = xy - middle * y;
    let slope = if sloping { shared / width } else { 0.0 };
    let half = slope * (n - 1.0) / 2.0;
    let residual = (spread - slope * shared).max(0.0);
    CoursePiece { from, until, slope, first: y / n - half, last: y / n + half, residual }
}

/// What happens between pieces and within them; a slope that begins where the level was is no step,
/// and where it begins is known to within the scatter.
fn changes(pieces: &[CoursePiece], least: f64, least_jump: f64) -> impl Iterator<Item = CourseChange> {
    let mut changes = Vec::new();
    for (n, piece) in pieces.iter().enumerate() {
        let last = piece.until - 1;
        if let Some(before) = n.checked_sub(1).map(|n| pieces[n]) {
            let level = before.slope == 0.0 && piece.slope == 0.0;
            let jump = (piece.first - before.last).abs();
            // A slope is seen only when it has left the level by the scatter, some runs late.
            let late = LEAST_PIECE as f64 * (before.slope.abs() + piece.slope.abs());
            if jump >= if level { least } else { least_jump.max(late) } {
                let (from, until) = (piece.from, last);
                let kind = ChangeKind::Step;
                changes.push(CourseChange { kind, from, until, before: before.last, after: piece.first });
            }
        }
        if piece.slope != 0.0 && (piece.last - piece.first).abs() >= least {
            let (from, kind) = (piece.from, ChangeKind::Drift);
            changes.push(CourseChange { kind, from, until: last, before: piece.first, after: piece.last });
        }
    }
    changes.into_iter()
}

/// How changes are found, for every output.
pub const METHOD: &str = "Runs further than 3.5 standard deviations from the median of their neighbours count as single \
runs and are set aside. The rest is cut into level and sloping pieces by least squares with a price for each piece \
(optimal partitioning, 7 ln n for a level, 9 ln n for a slope, in units of the scatter from run to run); times by their \
logarithms. A piece has at least 5 runs, so a change is known five runs after it came. Invalid and interrupted runs are \
shown and not counted.";

/// Fewer runs have no course.
pub const LEAST_RUNS: usize = 10;
const LEAST_PIECE: usize = 5;
const LEAST_SLOPE: usize = 8;
const FAR: f64 = 3.5;
/// A step beside a slope is that many standard deviations high.
const JUMP: f64 = 3.0;
const LEVEL_PRICE: f64 = 7.0;
const SLOPE_PRICE: f64 = 9.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Seed};

    /// Nearly normal, mean 0, deviation 1: a sum of twelve uniform numbers.
    fn noise(seed: u64, at: usize) -> f64 {
        let draw = |n: u64| Seed(seed).draw(Purpose::Identity, at as u64, n) as f64 / u64::MAX as f64;
        (0..12).map(draw).sum::<f64>() - 6.0
    }

    fn nights(seed: u64, of: impl Fn(usize) -> f64) -> Vec<f64> {
        (0..40).map(|at| of(at) + 0.2 * noise(seed, at)).collect()
    }

    #[test]
    fn forty_nights_with_a_step_a_drift_and_an_outlier() {
        for seed in 0..20 {
            let values = nights(seed, |at| {
                let step = if at >= 15 { 3.0 } else { 0.0 };
                10.0 + step + at.saturating_sub(27) as f64 * 0.3 + if at == 8 { 8.0 } else { 0.0 }
            });
            let FigureCourse { changes, outliers } = course(&values, 0.5, false);
            let kinds: Vec<ChangeKind> = changes.iter().map(|change| change.kind).collect();
            assert_eq!(kinds, [ChangeKind::Step, ChangeKind::Drift], "seed {seed}: {changes:?}");
            assert!(changes[0].from.abs_diff(15) <= 1, "seed {seed}: {changes:?}");
            assert!((changes[0].after - changes[0].before - 3.0).abs() < 0.7, "seed {seed}: {changes:?}");
            assert!(changes[1].from.abs_diff(27) <= 4 && changes[1].until == 39, "seed {seed}: {changes:?}");
            assert!(outliers.contains(&8), "seed {seed}: {outliers:?}");
        }
    }

    #[test]
    fn scatter_alone_is_hardly_ever_a_change() {
        let cut = (0..300).filter(|&seed| !course(&nights(seed, |_| 5.0), 0.0, false).changes.is_empty());
        let cut = cut.count();
        assert!(cut <= 9, "{cut} of 300 series of nothing but scatter");
    }

    #[test]
    fn what_is_small_or_short_or_the_same_is_no_change() {
        let step = |at: usize| if at >= 20 { 3.0 } else { 0.0 };
        assert_eq!(course(&nights(1, step), 4.0, false).changes, []);
        assert_eq!(course(&nights(1, step)[15..24], 0.5, false).changes, []);
        assert_eq!(course(&[100.0; 40], 0.05, false), FigureCourse::default());
        let one_night: Vec<f64> = (0..40).map(|at| if at == 39 { 7.0 } else { 0.0 }).collect();
        let FigureCourse { changes, outliers } = course(&one_night, 1.0, false);
        assert_eq!((changes.len(), outliers), (0, vec![39]));
    }

    #[test]
    fn times_are_held_against_each_other_as_ratios() {
        let values: Vec<f64> =
            nights(3, |at| if at >= 20 { 3.0 } else { 0.0 }).iter().map(|v| 1_000.0 * v.exp()).collect();
        let changes = course(&values, 0.05, true).changes;
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert!((changes[0].after / changes[0].before).ln() > 2.5, "{changes:?}");
    }
}
