//! Which arrivals, agents and shares of a limit belong to which worker. Workers never talk about it.

/// Worker `worker` of `workers`: it has every arrival *n* with *n* mod `workers` = `worker`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stripe {
    pub worker: u32,
    pub workers: u32,
}

impl Stripe {
    pub const WHOLE: Stripe = Stripe { worker: 0, workers: 1 };

    /// How many of `total` indices belong to this worker.
    pub fn count(self, total: u32) -> u32 {
        total / self.workers + u32::from(self.worker < total % self.workers)
    }

    /// The `local`-th index of this worker.
    pub fn global(self, local: u32) -> u32 {
        self.worker + local * self.workers
    }

    /// The local position of an index, if it belongs to this worker.
    pub fn local(self, global: u32) -> Option<u32> {
        (global % self.workers == self.worker).then_some(global / self.workers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_index_has_one_owner(total in 0u32..10_000, workers in 1u32..17) {
            let stripes = (0..workers).map(|worker| Stripe { worker, workers });
            prop_assert_eq!(stripes.clone().map(|s| s.count(total)).sum::<u32>(), total);
            for n in (0..total).step_by(97) {
                let owners: Vec<u32> = stripes.clone().filter_map(|s| s.local(n).map(|l| s.global(l))).collect();
                prop_assert_eq!(owners, vec![n]);
            }
        }
    }
}
