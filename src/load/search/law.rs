//! How response times go with the rate: Kingman's law of a queue, where it fits.
//!
//! The load comes at a rate of our own, answered or not. So the law is that of an open queue and
//! not Gunther's, which describes a fixed number of clients that wait for their answers. Kingman:
//! at a utilisation ρ (rate offered over rate carried) the wait for those ahead is k·ρ/(1 - ρ),
//! where k is the service time times half the variability of arrivals and services; with evenly
//! spaced arrivals and equal services nobody waits.

/// A law that fits what was measured.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct QueueLaw {
    /// What an answer takes at leisure, seconds.
    pub leisure_s: f64,
    /// k, seconds.
    pub waiting_s: f64,
    /// The median of the relative errors at the rates it was fitted to.
    pub residual: f64,
    pub rates: usize,
}

/// Fits rates that held, each with its median response time in seconds, to what is carried. `None`
/// with fewer than `LEAST_RATES`, none of them beyond `FAR_ENOUGH` of what is carried, or where
/// a rate is further than `WORST` from the law or half of them further than `CLOSE`.
pub fn fit(held: &[(f64, f64)], carried: f64) -> Option<QueueLaw> {
    let points: Vec<(f64, f64)> = held.iter().map(|(rate, span)| (rate / carried, *span)).collect();
    let points: Vec<(f64, f64)> = points.into_iter().filter(|(part, span)| *part < 1.0 && *span > 0.0).collect();
    let furthest = points.iter().map(|point| point.0).fold(0.0, f64::max);
    if points.len() < LEAST_RATES || furthest < FAR_ENOUGH {
        return None;
    }
    // Least squares of relative errors: y = a + k·x, weighted by 1/y².
    let (mut one, mut x1, mut x2, mut y1, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (part, span) in &points {
        let (x, weight) = (part / (1.0 - part), span.powi(-2));
        one += weight;
        x1 += weight * x;
        x2 += weight * x * x;
        y1 += weight * span;
        xy += weight * x * span;
    }
    let determinant = one * x2 - x1 * x1;
    if determinant <= 0.0 {
        return None;
    }
    // Waiting is never negative.
    let waiting_s = ((one * xy - x1 * y1) / determinant).max(0.0);
    let leisure_s = (y1 - waiting_s * x1) / one;
    let error = |(part, span): &(f64, f64)| ((leisure_s + waiting_s * part / (1.0 - part)) / span - 1.0).abs();
    let mut errors: Vec<f64> = points.iter().map(error).collect();
    errors.sort_unstable_by(f64::total_cmp);
    let (residual, worst) = (errors[errors.len() / 2], errors[errors.len() - 1]);
    let fits = leisure_s > 0.0 && residual <= CLOSE && worst <= WORST;
    fits.then_some(QueueLaw { leisure_s, waiting_s, residual, rates: points.len() })
}

/// Two more than the law has unknowns.
const LEAST_RATES: usize = 4;
const FAR_ENOUGH: f64 = 0.8;
const CLOSE: f64 = 0.10;
const WORST: f64 = 0.25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_fitted_and_nothing_else_is() {
        let rates = [10.0, 40.0, 160.0, 240.0, 318.0];
        let of = |span: &dyn Fn(f64) -> f64| fit(&rates.map(|rate| (rate, span(rate))), 333.0);
        let law = of(&|rate| 0.003 + 0.002 * (rate / 333.0) / (1.0 - rate / 333.0)).expect("it is one");
        assert!((law.leisure_s - 0.003).abs() < 1e-9 && (law.waiting_s - 0.002).abs() < 1e-9, "{law:?}");
        assert!(of(&|_| 0.004).is_some_and(|law| law.waiting_s < 1e-9));
        assert_eq!(of(&|rate| 0.003 + rate * 0.0003), None);
        assert_eq!(fit(&rates[..4].iter().map(|rate| (*rate, 0.003)).collect::<Vec<_>>(), 333.0), None);
    }
}
