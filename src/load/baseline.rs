//! Which rate to try next when looking for the highest one this machine can send.

/// The rate of the first step, per second.
pub const FIRST: u32 = 2_000;
/// Nothing above this is tried, per second.
pub const HIGHEST: u32 = 128_000;
/// Nothing below this is tried, per second.
const LOWEST: u32 = 125;

/// The next rate: doubled while everything was kept, halved while nothing was, then between the
/// two. `kept` is the highest rate that was kept, `lost` the lowest that was not. `None`: near
/// enough.
pub fn next_rate(kept: Option<u32>, lost: Option<u32>) -> Option<u32> {
    match (kept, lost) {
        (None, None) => Some(FIRST),
        (Some(kept), None) => Some(kept.saturating_mul(2)).filter(|&rate| rate <= HIGHEST),
        (None, Some(lost)) => Some(lost / 2).filter(|&rate| rate >= LOWEST),
        (Some(kept), Some(lost)) => {
            let middle = kept + lost.saturating_sub(kept) / 2;
            // To within an eighth.
            (lost.saturating_sub(kept) > kept / 8).then_some(middle)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_search_ends_close_below_the_true_rate(limit in LOWEST..HIGHEST) {
            let (mut kept, mut lost) = (None, None);
            let mut steps = 0;
            while let Some(rate) = next_rate(kept, lost) {
                if rate <= limit { kept = Some(rate) } else { lost = Some(rate) }
                steps += 1;
                prop_assert!(steps <= 12, "{steps} steps for {limit}");
            }
            let kept = kept.unwrap_or(LOWEST);
            prop_assert!(kept <= limit && f64::from(kept) * 1.13 + 1.0 >= f64::from(limit) || limit < 2 * LOWEST, "{} for {}", kept, limit);
        }
    }
}
