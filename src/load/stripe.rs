//! Which arrivals, agents and shares of a limit belong to which worker. Workers never talk about
//! it.

/// Worker `worker` of `workers`: it has every agent *n* with *n* mod `workers` = `worker`, and
/// every arrival of its agents.
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

    /// The `sequence`-th arrival of this worker among all arrivals, when arrival *n* is that of
    /// agent *n* mod `agents`; `None` when there is no agent, or arrivals can no longer be
    /// numbered. The agent is always of this worker, however often the arrivals have gone round,
    /// and so no agent ever changes its thread.
    pub fn arrival(self, sequence: u32, agents: u32) -> Option<u32> {
        let own = self.count(agents);
        let round = sequence.checked_div(own)?;
        let local = sequence % own;
        round.checked_mul(agents)?.checked_add(self.global(local))
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
        /// Arrivals that go round: each has one owner, its agent's worker, and an owner meets its
        /// own in order.
        #[test]
        fn every_arrival_goes_to_its_agents_worker(agents in 1u32..200, workers in 1u32..9, rounds in 1u32..5) {
            let mut seen = vec![0; (agents * rounds) as usize];
            for worker in 0..workers {
                let stripe = Stripe { worker, workers };
                let mut last = None;
                for sequence in 0..stripe.count(agents) * rounds {
                    let arrival = stripe.arrival(sequence, agents).expect("numbered");
                    prop_assert!(Some(arrival) > last);
                    last = Some(arrival);
                    prop_assert_eq!(stripe.local(arrival % agents), Some(sequence % stripe.count(agents)));
                    seen[arrival as usize] += 1;
                }
            }
            prop_assert!(seen.iter().all(|&count| count == 1));
            prop_assert_eq!(Stripe { worker: agents, workers: agents + 1 }.arrival(0, agents), None);
        }

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
