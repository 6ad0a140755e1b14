//! Tail probabilities: of Student's t, and of the hypergeometric distribution behind Fisher's exact
//! test.
//!
//! Written out here because two functions are no reason for a statistics library. Read first:
//! Numerical Recipes §6.1 and §6.4 (log gamma, incomplete beta), Fisher 1935 (the exact test).

/// P(T > t) of Student's distribution with `freedom` degrees of freedom.
pub(super) fn student(t: f64, freedom: f64) -> f64 {
    if t.is_infinite() {
        return if t > 0.0 { 0.0 } else { 1.0 };
    }
    // Beyond this the distribution is the normal one in every digit that matters.
    let freedom = freedom.clamp(1.0, 10_000.0);
    let beyond = 0.5 * incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t));
    if t < 0.0 { 1.0 - beyond } else { beyond }
}

/// The t that is exceeded with probability `tail` (below one half).
pub(super) fn student_quantile(tail: f64, freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1e6);
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if student(middle, freedom) > tail { low = middle } else { high = middle }
    }
    high
}

/// Two groups of trials: how many, and in how many of them it happened. Whole numbers.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Trials {
    pub hits: f64,
    pub of: f64,
}

/// Fisher's exact test, one-sided: the probability of at least `second.hits` among the trials of
/// `second`, when all hits of both groups fall at random on all trials.
pub(super) fn at_least(first: Trials, second: Trials) -> f64 {
    let urn = Urn { all: first.of + second.of, hits: first.hits + second.hits, drawn: second.of };
    // Sums begin where terms shrink: a sum across the mode could begin with a term too small for a
    // number.
    if second.hits > urn.mean() {
        urn.sum(second.hits, 1.0)
    } else {
        (1.0 - urn.sum(second.hits - 1.0, -1.0)).clamp(0.0, 1.0)
    }
}

/// `drawn` balls out of `all`, of which `hits` are marked.
struct Urn {
    all: f64,
    hits: f64,
    drawn: f64,
}

impl Urn {
    fn mean(&self) -> f64 {
        if self.all > 0.0 { self.hits * self.drawn / self.all } else { 0.0 }
    }

    /// Whether exactly `k` of the drawn balls can be marked.
    fn possible(&self, k: f64) -> bool {
        k >= 0.0 && k <= self.hits && k <= self.drawn && self.drawn - k <= self.all - self.hits
    }

    fn probability(&self, k: f64) -> f64 {
        let Urn { all, hits, drawn } = *self;
        (ln_choose(hits, k) + ln_choose(all - hits, drawn - k) - ln_choose(all, drawn)).exp()
    }

    /// The probabilities from `k` on in steps of +1 or -1, away from the mode.
    fn sum(&self, mut k: f64, step: f64) -> f64 {
        if !self.possible(k) {
            return 0.0;
        }
        let mut term = self.probability(k);
        let mut sum = 0.0;
        while self.possible(k) && term > sum * 1e-17 {
            sum += term;
            let rest = self.all - self.hits - self.drawn;
            term *= if step > 0.0 {
                (self.hits - k) * (self.drawn - k) / ((k + 1.0) * (rest + k + 1.0))
            } else {
                k * (rest + k) / ((self.hits - k + 1.0) * (self.drawn - k + 1.0))
            };
            k += step;
        }
        sum.min(1.0)
    }
}

fn ln_choose(n: f64, k: f64) -> f64 {
    ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0)
}

/// Lanczos' approximation with g = 7 and nine terms, for x >= 0.5.
fn ln_gamma(x: f64) -> f64 {
    const FIRST: f64 = 0.999_999_999_999_809_9;
    const TERMS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let series = TERMS.iter().zip(1u32..).fold(FIRST, |sum, (term, n)| sum + term / (x + f64::from(n)));
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + series.ln()
}

/// The regularised incomplete beta function I_x(a, b).
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp();
    // The fraction converges fast on one side of the mean only; the other side is the mirror image.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(a, b, x) / a
    } else {
        1.0 - front * beta_fraction(b, a, 1.0 - x) / b
    }
}

/// The continued fraction of the incomplete beta function, by Lentz' method.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in (1..2_000).map(f64::from) {
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut step = 1.0;
        for numerator in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + numerator * d);
            c = away_from_zero(1.0 + numerator / c);
            step = d * c;
            fraction *= step;
        }
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() <= 1e-6 * expected.abs().max(1e-9), "{value} is not {expected}");
    }

    #[test]
    fn student_agrees_with_the_tables() {
        // With one degree of freedom the tail is that of the Cauchy distribution, with two it has a
        // closed form.
        for t in [0.3, 1.0, 5.0, 60.0] {
            near(student(t, 1.0), 0.5 - t.atan() / std::f64::consts::PI);
            near(student(t, 2.0), 0.5 * (1.0 - t / (2.0 + t * t).sqrt()));
        }
        assert!((student(2.093, 19.0) - 0.025).abs() < 1e-5);
        assert!((student(2.776, 4.0) - 0.025).abs() < 2e-5);
        assert!((student(1.959_964, 1e9) - 0.025).abs() < 1e-4);
        near(student(-1.0, 1.0), 0.75);
        assert_eq!(student(f64::INFINITY, 5.0), 0.0);
        for freedom in [1.0, 4.0, 19.0, 5_000.0] {
            near(student(student_quantile(0.025, freedom), freedom), 0.025);
        }
    }

    #[test]
    fn the_exact_test_agrees_with_counting() {
        let p = |a, b, c, d| at_least(Trials { hits: a, of: b }, Trials { hits: c, of: d });
        // The lady tasting tea: all four of four, and at least three of four.
        near(p(0.0, 4.0, 4.0, 4.0), 1.0 / 70.0);
        near(p(1.0, 4.0, 3.0, 4.0), 17.0 / 70.0);
        near(p(3.0, 4.0, 1.0, 4.0), 69.0 / 70.0);
        near(p(0.0, 500.0, 5.0, 500.0), 0.030_937_658);
        near(p(0.0, 10.0, 0.0, 10.0), 1.0);
        near(p(10.0, 10.0, 10.0, 10.0), 1.0);
        assert!(p(0.0, 1e6, 1e5, 1e6) < 1e-300);
        near(p(1e5, 1e6, 0.0, 1e6), 1.0);
        assert_eq!(p(0.0, 0.0, 0.0, 0.0), 1.0);
    }

    proptest::proptest! {
        #[test]
        fn every_tail_is_a_probability(
            (of, and) in (0u32..5_000, 0u32..5_000), (share, other) in (0.0..=1.0, 0.0..=1.0), t in -50.0..50.0, freedom in 1.0..500.0
        ) {
            let trials = |of: u32, share: f64| Trials { hits: (f64::from(of) * share).round(), of: of.into() };
            let p = at_least(trials(of, share), trials(and, other));
            proptest::prop_assert!((0.0..=1.0).contains(&p), "{p}");
            let p: f64 = student(t, freedom);
            proptest::prop_assert!((0.0..=1.0).contains(&p), "{p}");
            proptest::prop_assert!((p + student(-t, freedom) - 1.0).abs() < 1e-9);
        }
    }
}
