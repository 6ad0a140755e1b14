//! `[[trunk.mix]]`: which agents deviate from their trunk, and how.
//!
//! Shares become numbers of agents by the largest remainder, so that they add up exactly; a group's
//! agents lie evenly among the trunk's, by their number and nothing else: no seed moves them.

use super::policy;
use crate::agent::{RealmPolicy, TrunkPolicy};
use crate::profile::{Mix, Profile, TrunkProfile, Wrong};
use crate::vocab::{Secret, floor_usize, saturating_u16};

/// What stands before the name of an agent that the registrar is not to know.
pub(super) const UNKNOWN: &str = "unknown-";

/// What stands before a realm that is not the registrar's.
const WRONG_REALM: &str = "wrong.";

/// All mixes of a profile.
pub(super) struct Mixture {
    /// Policies after those of the trunks.
    pub(super) variants: Vec<TrunkPolicy>,
    /// By trunk.
    pub(super) trunks: Vec<TrunkMix>,
}

/// How one trunk's agents deviate.
#[derive(Default)]
pub(super) struct TrunkMix {
    /// By group.
    deviations: Vec<Deviation>,
    /// By agent number its group, that of agents without deviation last; empty without a mix.
    groups: Vec<u16>,
}

/// How an agent differs from its trunk's others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Deviation {
    pub(super) wrong: Option<Wrong>,
    /// Place in the run's list of policies.
    pub(super) policy: Option<u16>,
}

pub(super) fn mixture(profile: &Profile) -> Mixture {
    let mut variants = Vec::new();
    let mut trunks = Vec::with_capacity(profile.trunks.len());
    for trunk in &profile.trunks {
        let mut deviations = Vec::with_capacity(trunk.mix.len());
        for mix in &trunk.mix {
            let policy = variant(trunk, mix).map(|policy| {
                variants.push(policy);
                saturating_u16(profile.trunks.len() + variants.len() - 1)
            });
            deviations.push(Deviation { wrong: mix.wrong, policy });
        }
        let shares: Vec<f64> = trunk.mix.iter().map(|mix| mix.share).collect();
        let groups = if shares.is_empty() { Vec::new() } else { spread(&apportion(&shares, trunk.agents.count())) };
        trunks.push(TrunkMix { deviations, groups });
    }
    Mixture { variants, trunks }
}

impl TrunkMix {
    pub(super) fn of(&self, number: u32) -> Deviation {
        let group = self.groups.get(number as usize).copied();
        group.and_then(|group| self.deviations.get(usize::from(group)).copied()).unwrap_or_default()
    }
}

/// A secret of the right form that is not the right one.
pub(super) fn spoilt(is_ha1: bool, right: &Secret) -> Secret {
    let right = right.reveal();
    Secret::new(match right.strip_prefix('0') {
        Some(rest) if is_ha1 => format!("1{rest}"),
        None if is_ha1 => format!("0{}", right.get(1..).unwrap_or_default()),
        _ => format!("{right}-wrong"),
    })
}

/// The policy of a group, when it differs from the trunk's.
fn variant(trunk: &TrunkProfile, mix: &Mix) -> Option<TrunkPolicy> {
    let mut own = policy(trunk, mix.retry.as_ref().unwrap_or(&trunk.retry));
    if mix.wrong == Some(Wrong::Realm) {
        let right = trunk.realm.as_ref().unwrap_or(&trunk.domain);
        own.realm = Some(format!("{WRONG_REALM}{right}"));
        own.realm_policy = RealmPolicy::Force;
    } else if mix.retry.is_none() {
        return None;
    }
    Some(own)
}

/// Agents per share, and at the end those that are left, by the largest remainder; of equal
/// remainders the earlier share's.
fn apportion(shares: &[f64], agents: usize) -> Vec<usize> {
    let rest = (1.0 - shares.iter().sum::<f64>()).max(0.0);
    let quotas: Vec<f64> = shares.iter().chain([&rest]).map(|share| share * agents as f64).collect();
    // A product that misses a whole number by a rounding error means that number.
    let whole = |quota: f64| (quota + 1e-9).floor();
    let mut counts: Vec<usize> = quotas.iter().map(|&quota| floor_usize(whole(quota))).collect();
    let mut order: Vec<usize> = (0..quotas.len()).collect();
    order.sort_by(|&a, &b| (quotas[b] - whole(quotas[b])).total_cmp(&(quotas[a] - whole(quotas[a]))));
    let given: usize = counts.iter().sum();
    for &group in order.iter().cycle().take(agents.saturating_sub(given)) {
        counts[group] += 1;
    }
    counts
}

/// A sequence in which each group has its count, evenly: member k of c stands at (2k+1)/2c of the
/// way.
fn spread(counts: &[usize]) -> Vec<u16> {
    let mut places: Vec<(f64, u16)> = Vec::with_capacity(counts.iter().sum());
    for (group, &count) in counts.iter().enumerate() {
        places.extend((0..count).map(|k| ((2 * k + 1) as f64 / (2 * count) as f64, saturating_u16(group))));
    }
    places.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    places.into_iter().map(|(_, group)| group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shares_are_exact() {
        for (shares, agents, expected) in [
            (&[0.1][..], 500, &[50, 450][..]),
            (&[0.1, 0.05, 0.05], 1000, &[100, 50, 50, 800]),
            // 1.75, 1.75 and 3.5 of seven: the remainders of the first two are the largest.
            (&[0.25, 0.25], 7, &[2, 2, 3]),
            (&[1.0], 3, &[3, 0]),
            (&[0.1], 3, &[0, 3]),
            (&[0.1; 10], 10, &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]),
        ] {
            assert_eq!(apportion(shares, agents), expected, "{shares:?} of {agents}");
        }
    }

    #[test]
    fn a_wrong_secret_keeps_its_form() {
        let wrong = |is_ha1, right: &str| spoilt(is_ha1, &Secret::new(right)).reveal().to_owned();
        assert_eq!(wrong(false, "0secret"), "0secret-wrong");
        assert_eq!(wrong(true, "0abc"), "1abc");
        assert_eq!(wrong(true, "fabc"), "0abc");
    }

    #[test]
    fn a_group_lies_evenly_among_the_others() {
        assert_eq!(spread(&[2, 8]), [1, 1, 0, 1, 1, 1, 1, 0, 1, 1]);
    }

    proptest! {
        #[test]
        fn shares_add_up_and_miss_by_less_than_one(parts in proptest::collection::vec(1u32..100, 1..6), agents in 0usize..5000) {
            let all = f64::from(parts.iter().sum::<u32>() + 7);
            let shares: Vec<f64> = parts.iter().map(|part| f64::from(*part) / all).collect();
            let counts = apportion(&shares, agents);
            prop_assert_eq!(counts.iter().sum::<usize>(), agents);
            for (count, share) in counts.iter().zip(&shares) {
                prop_assert!((*count as f64 - share * agents as f64).abs() < 1.0);
            }
            let sequence = spread(&counts);
            for (group, &count) in counts.iter().enumerate() {
                prop_assert_eq!(sequence.iter().filter(|&&g| usize::from(g) == group).count(), count);
                // Half of the way holds half of the group.
                let half = sequence[..agents / 2].iter().filter(|&&g| usize::from(g) == group).count();
                prop_assert!((half as f64 - count as f64 / 2.0).abs() <= 1.0);
            }
        }
    }
}
