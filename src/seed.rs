//! Named random streams derived from `run.seed`: the same (purpose, id, counter) always gives the
//! same numbers, and a new random choice somewhere never shifts the choices made elsewhere.

mod block;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The seed of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seed(pub u64);

/// What a stream is for. A value never changes its number: recorded runs must stay repeatable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Purpose {
    /// From tags and the part of a Call-ID that belongs to an agent.
    Identity = 1,
    /// Client nonces.
    Cnonce = 2,
    /// Spread of refresh times.
    RefreshJitter = 3,
    /// Spread of retry waits.
    RetryJitter = 4,
    /// Server nonces and tags of the embedded registrar.
    Registrar = 5,
    /// Which agents and packets a fault of the embedded registrar hits.
    Fault = 6,
    /// The simulated link.
    Link = 7,
    /// Arrival times of a Poisson process.
    Arrivals = 8,
    /// The pause of a client between its arrival and its first REGISTER.
    StartPause = 9,
    /// Which agents an outage hits.
    Outage = 10,
    /// How long a shared connection that could not be opened is left alone.
    FlowBackoff = 11,
    /// When a flow's next keep-alive is due.
    KeepAlive = 12,
    /// Which of several addresses an agent prefers.
    Place = 13,
    /// The names of hosts that have no address to be called by.
    HostName = 14,
    /// The order of agents whose list is to be taken at random.
    AgentOrder = 16,
    /// Which agents audit their binding, when they ask, and the Call-ID they ask with.
    Check = 17,
}

impl Seed {
    /// The generator for one purpose and one id (an agent, a fault, a link); `counter` sets draws
    /// of the same id apart.
    pub fn stream(self, purpose: Purpose, id: u64, counter: u64) -> ChaCha8Rng {
        let mut key = [0u8; 32];
        for (slot, word) in key.chunks_exact_mut(8).zip(self.key(purpose, id, counter)) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }

    /// The first number of that stream, for a fraction of what the stream costs: it makes four
    /// blocks at a time.
    pub fn draw(self, purpose: Purpose, id: u64, counter: u64) -> u64 {
        block::first_number(self.key(purpose, id, counter))
    }

    fn key(self, purpose: Purpose, id: u64, counter: u64) -> [u64; 4] {
        [self.0, purpose as u64, id, counter]
    }

    /// One number of that stream in `[0, 1)`.
    pub fn unit(self, purpose: Purpose, id: u64, counter: u64) -> f64 {
        unit(self.draw(purpose, id, counter))
    }
}

/// The top 53 bits of a random word as a number in `[0, 1)`.
pub fn unit(word: u64) -> f64 {
    (word >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::rand_core::Rng;

    proptest! {
        #[test]
        fn a_draw_is_the_first_number_of_its_stream(seed: u64, id: u64, counter: u64, purpose in 0usize..3) {
            let purpose = [Purpose::Identity, Purpose::RefreshJitter, Purpose::AgentOrder][purpose];
            let first = Seed(seed).stream(purpose, id, counter).next_u64();
            prop_assert_eq!(Seed(seed).draw(purpose, id, counter), first);
        }
    }

    /// Recorded runs must stay repeatable: these numbers never change.
    #[test]
    fn numbers_are_those_of_earlier_runs() {
        let draw = |seed, purpose, id, counter| Seed(seed).draw(purpose, id, counter);
        assert_eq!(draw(0, Purpose::Identity, 0, 0), 0x3feb_e7d0_52d7_6565);
        assert_eq!(draw(7, Purpose::Cnonce, 3, 1), 0xd7c9_1325_3d2e_7351);
        assert_eq!(draw(u64::MAX, Purpose::RefreshJitter, 999_999, 5), 0x233e_4d45_392a_bf24);
    }

    #[test]
    fn streams_repeat_and_differ() {
        let seed = Seed(7);
        assert_eq!(seed.draw(Purpose::Cnonce, 3, 1), seed.draw(Purpose::Cnonce, 3, 1));
        assert_ne!(seed.draw(Purpose::Cnonce, 3, 1), seed.draw(Purpose::Cnonce, 3, 2));
        assert_ne!(seed.draw(Purpose::Cnonce, 3, 1), seed.draw(Purpose::RetryJitter, 3, 1));
        assert_ne!(seed.draw(Purpose::Cnonce, 3, 1), Seed(8).draw(Purpose::Cnonce, 3, 1));
        let u = seed.unit(Purpose::RefreshJitter, 1, 1);
        assert!((0.0..1.0).contains(&u));
    }
}
