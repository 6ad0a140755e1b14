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

/// The part of a run's load that one process has: `own` of all `of` stripes, from the `first` on.
/// A run on one machine has them all; where many machines share one, each thread of each has a
/// stripe, so that names, arrivals and random choices are those of one process with as many
/// threads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    pub first: u32,
    pub own: u32,
    pub of: u32,
}

impl Share {
    /// All of it, in so many stripes.
    pub const fn whole(stripes: u32) -> Share {
        Share { first: 0, own: stripes, of: stripes }
    }

    /// Part `first` (from 0) and the `parts - 1` behind it, of `of` equal ones with so many stripes
    /// each.
    pub const fn of_parts(first: u32, parts: u32, of: u32, stripes: u32) -> Share {
        Share { first: first * stripes, own: parts * stripes, of: of * stripes }
    }

    pub const fn is_whole(self) -> bool {
        self.own == self.of
    }

    /// The stripes of this process, one for each of its threads.
    pub fn stripes(self) -> impl Iterator<Item = Stripe> {
        (self.first..self.first + self.own).map(move |worker| Stripe { worker, workers: self.of })
    }

    /// Whether an index is in one of its stripes.
    pub fn owns(self, index: u32) -> bool {
        (self.first..self.first + self.own).contains(&(index % self.of))
    }

    /// How many of `total` indices it has.
    pub fn count(self, total: u32) -> u32 {
        self.stripes().map(|stripe| stripe.count(total)).sum()
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

        /// Machines with any number of threads: together they are one process with all of them.
        #[test]
        fn shares_are_the_whole_cut_up(total in 0u32..5_000, threads in prop::collection::vec(1u32..5, 1..6)) {
            let of = threads.iter().sum();
            let firsts = threads.iter().scan(0, |sum, own| Some(std::mem::replace(sum, *sum + own)));
            let shares: Vec<Share> = firsts.zip(&threads).map(|(first, &own)| Share { first, own, of }).collect();
            let stripes: Vec<Stripe> = shares.iter().flat_map(|share| share.stripes()).collect();
            prop_assert_eq!(stripes, Share::whole(of).stripes().collect::<Vec<_>>());
            prop_assert_eq!(shares.iter().map(|share| share.count(total)).sum::<u32>(), total);
            for n in (0..total).step_by(97) {
                let owners = shares.iter().filter(|share| share.owns(n));
                let counted = |share: &&Share| share.stripes().any(|stripe| stripe.local(n).is_some());
                prop_assert_eq!(owners.clone().count(), 1);
                prop_assert!(owners.clone().all(|share| counted(&share)));
            }
            for share in &shares {
                let own = (0..total).filter(|n| share.owns(*n)).count();
                prop_assert_eq!(own, share.count(total) as usize);
            }
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
