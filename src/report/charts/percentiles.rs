//! How latency is distributed: the time within which each share of the attempts was over, up to the
//! slowest.

use super::super::chart::{Series, curves};
use super::super::text::millis;
use super::{Chart, Number, Plot, PlotKind, plain};
use crate::record::Results;
use crate::vocab::{Phase, floor_u32};
use hdrhistogram::Histogram;

/// Points for each nine of a share.
const PER_NINE: u32 = 16;
/// Beyond 99.9999 % nothing is drawn.
const MOST_NINES: u32 = 6;

/// The distribution over the run; none when nothing was timed.
pub(super) fn of_run(results: &Results) -> Option<Chart> {
    let phases = [
        (Phase::Register, "first registration or retry", "c-good"),
        (Phase::Refresh, "refresh", "c-link"),
        (Phase::RegisterFailed, "attempt that failed", "c-bad"),
    ];
    let timed: Vec<(&Histogram<u64>, &'static str, &'static str)> = phases
        .into_iter()
        .filter_map(|(phase, label, class)| {
            let (_, histogram) = results.totals.latency_us.iter().find(|(of, _)| *of == phase)?;
            (!histogram.is_empty()).then_some((histogram, label, class))
        })
        .collect();
    let most = timed.iter().map(|(histogram, ..)| histogram.len()).max()?;
    let nines = nines(most);
    let series: Vec<Series> = timed
        .iter()
        .map(|&(histogram, label, class)| Series { label, class, values: values(histogram, &nines) })
        .collect();
    let (first, label, _) = timed.first()?;
    let at = |quantile: f64| millis(first.value_at_quantile(quantile) as f64);
    let said = format!(
        "Of every {label}, half took up to {} ms, 99 of 100 up to {} ms, all up to {} ms.",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    let lead =
        "Each share of the attempts was over within this time, from the planned send time. To the right are the \
                slowest ones: each step is ten times rarer."
            .to_owned();
    let (id, title, unit) = ("latency-by-percentile", "Latency by percentile", " ms");
    let x = nines.iter().copied().map(Number).collect();
    let series_of = series.iter().map(plain).collect();
    let plot = Plot { id: id.to_owned(), kind: PlotKind::Curve, unit, log: true, x, series: series_of, map: None };
    Some(super::chart(id, title, lead, curves(&nines, unit, &series), &series).plotted(plot).saying(said))
}

/// Nines from none to where only the slowest of `count` is left.
fn nines(count: u64) -> Vec<f64> {
    let most = (count.max(1) as f64).log10().clamp(1.0, f64::from(MOST_NINES));
    (0..=floor_u32((most * f64::from(PER_NINE)).ceil())).map(|n| f64::from(n) / f64::from(PER_NINE)).collect()
}

/// The value at each share, in milliseconds, up to the first share that is the largest value.
fn values(histogram: &Histogram<u64>, nines: &[f64]) -> Vec<Option<f64>> {
    let last = (histogram.len() as f64).log10();
    let mut ended = false;
    let value = |&nines: &f64| {
        let shown = !ended;
        ended = nines >= last;
        // Decades have no zero, and the histogram's finest is a microsecond.
        let us = histogram.value_at_quantile(1.0 - 10f64.powf(-nines)).max(1);
        shown.then(|| if nines >= last { histogram.max().max(1) } else { us } as f64 / 1e3)
    };
    nines.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_distribution_rises_and_ends_at_its_largest(us in prop::collection::vec(1..100_000_000u64, 1..2_000)) {
            let mut histogram = Histogram::<u64>::new_with_bounds(1, 130_000_000, 3).expect("valid bounds");
            us.iter().for_each(|&us| histogram.record(us).expect("within the bounds"));
            let nines = nines(histogram.len());
            let drawn: Vec<f64> = values(&histogram, &nines).into_iter().flatten().collect();
            prop_assert!(drawn.windows(2).all(|pair| pair[0] <= pair[1]), "{drawn:?}");
            prop_assert_eq!(drawn.last().copied(), Some(histogram.max() as f64 / 1e3));
        }
    }
}
