//! The period of something that comes and goes.

use crate::vocab::floor_u64;

/// Down and up again with a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlipRhythm {
    pub period_ns: u64,
    /// The first time that it went down, as it fits all of them.
    pub phase_ns: u64,
    /// How long it stays down within a period.
    pub down_ns: u64,
}

/// The period that fits all borders, those at which it went down and those at which it came back,
/// in nanoseconds; a border may lie `blur_ns` from where it was put. Both alternate.
///
/// Each kind of border forms an arithmetic series with the same difference. There must be three of
/// them: one and a half periods.
pub fn rhythm(down: &[f64], up: &[f64], blur_ns: f64) -> Option<FlipRhythm> {
    if down.len() + up.len() < 3 || down.is_empty() || up.is_empty() {
        return None;
    }
    let slopes: Vec<(f64, f64)> = [down, up].into_iter().filter_map(slope).collect();
    let weight: f64 = slopes.iter().map(|(_, weight)| weight).sum();
    let period = slopes.iter().map(|(slope, weight)| slope * weight).sum::<f64>() / weight;
    let phase = offset(down, period);
    let swing = (offset(up, period) - phase).rem_euclid(period);
    // What has a period keeps it: each border within a sixth of where it is due, or within what can
    // be told.
    let slack = (period / 6.0).max(blur_ns);
    let regular = |series: &[f64], first: f64| {
        series.iter().enumerate().all(|(n, at)| (at - first - n as f64 * period).abs() <= slack)
    };
    (period > 0.0 && regular(down, phase) && regular(up, offset(up, period))).then_some(FlipRhythm {
        period_ns: floor_u64(period),
        phase_ns: floor_u64(phase.max(0.0)),
        down_ns: floor_u64(swing),
    })
}

/// Least squares over equally spaced places: the difference of an arithmetic series, and how much
/// it weighs.
fn slope(series: &[f64]) -> Option<(f64, f64)> {
    let n = series.len() as f64;
    let (middle, mean) = ((n - 1.0) / 2.0, series.iter().sum::<f64>() / n);
    let over: f64 = series.iter().enumerate().map(|(k, at)| (k as f64 - middle) * (at - mean)).sum();
    let under: f64 = (0..series.len()).map(|k| (k as f64 - middle).powi(2)).sum();
    (series.len() > 1).then(|| (over / under, under))
}

fn offset(series: &[f64], period: f64) -> f64 {
    series.iter().enumerate().map(|(k, at)| at - k as f64 * period).sum::<f64>() / series.len() as f64
}
