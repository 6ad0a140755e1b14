//! Fewer points without losing a peak: of each stretch of a series its smallest and its largest
//! value stay, where they were.
//!
//! Nothing is averaged and nothing is invented, so a spike of one interval in eight hours is drawn
//! as high as it was.

/// The positions to keep, ascending, when series of one length are to have about `most` points: all
/// of them when that is enough, else of each stretch the least and the largest value of every
/// series, where a gap begins, and both ends.
pub(super) fn keep(series: &[&[Option<f64>]], most: usize) -> Vec<usize> {
    let length = series.iter().map(|values| values.len()).max().unwrap_or(0);
    if length <= most {
        return (0..length).collect();
    }
    let stretches = (most / (2 * series.len().max(1))).max(1);
    let mut kept = vec![0, length - 1];
    for stretch in 0..stretches {
        let range = stretch * length / stretches..(stretch + 1) * length / stretches;
        for values in series {
            kept.extend(extremes(values, range.clone()));
        }
    }
    kept.sort_unstable();
    kept.dedup();
    kept
}

/// Where the least and the largest value of a range are, and its first gap.
fn extremes(values: &[Option<f64>], range: std::ops::Range<usize>) -> impl Iterator<Item = usize> {
    let known = |at: usize| values.get(at).copied().flatten().map(|value| (value, at));
    let least = range.clone().filter_map(known).min_by(|a, b| a.0.total_cmp(&b.0));
    let largest = range.clone().filter_map(known).max_by(|a, b| a.0.total_cmp(&b.0));
    let gap = range.clone().find(|&at| known(at).is_none());
    [least.map(|(_, at)| at), largest.map(|(_, at)| at), gap].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_short_series_stays_as_it_is() {
        assert_eq!(keep(&[&[Some(1.0), None, Some(3.0)]], 3), [0, 1, 2]);
        assert!(keep(&[], 10).is_empty());
    }

    #[test]
    fn one_spike_in_eight_hours_stays() {
        let mut flat = vec![Some(5.0); 2_880];
        flat[1_234] = Some(900.0);
        flat[777] = Some(0.0);
        let kept = keep(&[&flat], 100);
        assert!(kept.contains(&1_234) && kept.contains(&777), "{kept:?}");
        assert!(kept.len() <= 102, "{}", kept.len());
    }

    proptest! {
        #[test]
        fn peaks_and_ends_stay_and_the_rest_is_bounded(
            values in prop::collection::vec(prop::option::of(-1e6..1e6f64), 1..400),
            other in prop::collection::vec(prop::option::of(-1e6..1e6f64), 1..400),
            most in 4..80usize,
        ) {
            let length = values.len().min(other.len());
            let series = [&values[..length], &other[..length]];
            let kept = keep(&series, most);
            prop_assert!(kept.windows(2).all(|pair| pair[0] < pair[1]), "ascending");
            prop_assert_eq!((kept.first(), kept.last()), (Some(&0), Some(&(length - 1))));
            // Least, largest and a gap of each of two series in each stretch, and both ends.
            prop_assert!(kept.len() <= length.min(most.max(6 * (most / 4) + 2)));
            for values in series {
                let most_of = |at: &mut dyn Iterator<Item = usize>| at.filter_map(|at| values[at]).fold(f64::NEG_INFINITY, f64::max);
                let least_of = |at: &mut dyn Iterator<Item = usize>| at.filter_map(|at| values[at]).fold(f64::INFINITY, f64::min);
                prop_assert_eq!(most_of(&mut kept.iter().copied()), most_of(&mut (0..length)));
                prop_assert_eq!(least_of(&mut kept.iter().copied()), least_of(&mut (0..length)));
            }
        }
    }
}
