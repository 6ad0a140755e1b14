//! A lossy link: packets in with a time, packets out with a time.
//!
//! It knows nothing of what it carries. `delay` holds the distributions, `held` the order in which
//! packets come out; here they meet with loss. Duplication, reordering beyond what delays do, and
//! corruption are further fields of [`LinkConfig`] and further random streams, so that adding one
//! never changes what an existing run draws.

mod delay;
mod held;

pub use delay::{Delay, LONGEST};
pub use held::DueQueue;

use crate::seed::{Purpose, Seed, unit};
use crate::vocab::Time;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use std::time::Duration;

/// How a link treats its packets. The default is a perfect one: no delay, no loss.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct LinkConfig {
    /// Time a packet travels; `None` is none at all.
    pub delay: Option<Delay>,
    /// Probability of loss, in [0, 1].
    pub drop: f64,
}

/// One direction of a path between two ends.
#[derive(Clone, Debug)]
pub struct Link<T> {
    config: LinkConfig,
    delays: ChaCha8Rng,
    losses: ChaCha8Rng,
    travelling: DueQueue<T>,
    lost: u64,
    overflowed: u64,
}

impl<T> Link<T> {
    /// A link whose chances come from `seed`; `id` sets the links of one run apart.
    pub fn new(config: LinkConfig, seed: Seed, id: u64) -> Self {
        Link {
            config,
            delays: seed.stream(Purpose::Link, id, DELAYS),
            losses: seed.stream(Purpose::Link, id, LOSSES),
            travelling: DueQueue::new(),
            lost: 0,
            overflowed: 0,
        }
    }

    /// Puts a packet on the link at `now`.
    pub fn send(&mut self, now: Time, packet: T) {
        // Both numbers are drawn for every packet: the fate of one does not shift the delays of
        // those after it.
        let travel = self.config.delay.map(|delay| delay.sample(&mut self.delays));
        if unit(self.losses.next_u64()) < self.config.drop {
            self.lost += 1;
        } else if self.travelling.len() >= CAPACITY {
            self.overflowed += 1;
        } else {
            self.travelling.push(travel.map_or(now, |span| now + span), packet);
        }
    }

    /// Puts a piece of a stream on the link: it is never lost, only late, and arrives no earlier
    /// than `after`. Returns when that is.
    pub fn send_in_order(&mut self, now: Time, after: Time, piece: T) -> Time {
        let due = (now + self.passage()).max(after);
        self.travelling.push(due, piece);
        due
    }

    /// How long a piece of a stream travels: what is lost is sent again after a timeout that
    /// doubles (RFC 6298 §5, with the shortest timeout that Linux has).
    pub fn passage(&mut self) -> Duration {
        let (mut waited, mut timeout) = (Duration::ZERO, RESEND);
        loop {
            let travel = self.config.delay.map_or(Duration::ZERO, |delay| delay.sample(&mut self.delays));
            if unit(self.losses.next_u64()) >= self.config.drop || timeout > LONGEST_RESEND {
                return waited + travel;
            }
            waited += timeout;
            timeout *= 2;
        }
    }

    /// The next packet that has arrived at or before `now`; packets of equal arrival come in the
    /// order sent.
    pub fn poll(&mut self, now: Time) -> Option<T> {
        self.travelling.pop(now)
    }

    /// When the next packet arrives.
    pub fn next_due(&self) -> Option<Time> {
        self.travelling.next_due()
    }

    /// Packets under way.
    pub fn len(&self) -> usize {
        self.travelling.len()
    }

    pub fn is_empty(&self) -> bool {
        self.travelling.is_empty()
    }

    /// Packets lost by chance so far.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Packets lost so far because [`CAPACITY`] were already under way.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

/// When a piece of a stream is sent again first, and the longest wait for that.
const RESEND: Duration = Duration::from_millis(200);
const LONGEST_RESEND: Duration = Duration::from_secs(120);

/// The most packets under way at once.
pub const CAPACITY: usize = 1 << 20;

/// Numbers of the random streams of one link.
const DELAYS: u64 = 0;
const LOSSES: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn run(config: LinkConfig, seed: u64, id: u64) -> Vec<(u32, Time)> {
        let mut link = Link::new(config, Seed(seed), id);
        for n in 0..1_000u32 {
            link.send(Time::from_millis(u64::from(n) + 1), n);
        }
        let mut out = Vec::new();
        while let Some(due) = link.next_due() {
            assert!(link.poll(due.saturating_sub(Duration::from_nanos(1))).is_none(), "early at {due:?}");
            out.push((link.poll(due).expect("it is due"), due));
        }
        assert_eq!(out.len() as u64 + link.lost(), 1_000);
        out
    }

    #[test]
    fn a_perfect_link_passes_everything_at_once_and_in_order() {
        let out = run(LinkConfig::default(), 1, 0);
        assert!(
            out.iter()
                .enumerate()
                .all(|(n, &(packet, due))| { packet as usize == n && due == Time::from_millis(n as u64 + 1) })
        );
    }

    #[test]
    fn equal_arrivals_keep_their_order() {
        let mut link = Link::new(LinkConfig { delay: Some(Delay::Fixed(5 * MS)), drop: 0.0 }, Seed(1), 0);
        for n in 0..50 {
            link.send(Time::from_millis(1), n);
        }
        assert!((0..50).all(|n| link.poll(Time::from_millis(6)) == Some(n)));
    }

    #[test]
    fn loss_is_as_asked_and_does_not_shift_delays() {
        let delay = Some(Delay::Uniform(MS, 9 * MS));
        let all = run(LinkConfig { delay, drop: 0.0 }, 7, 3);
        let some = run(LinkConfig { delay, drop: 0.1 }, 7, 3);
        assert!((850..950).contains(&some.len()), "{}", some.len());
        assert!(some.iter().all(|packet| all.contains(packet)));
        assert!(run(LinkConfig { delay, drop: 1.0 }, 7, 3).is_empty());
    }

    #[test]
    fn a_stream_is_late_where_a_packet_is_lost_and_never_out_of_order() {
        let delay = Some(Delay::Uniform(MS, 9 * MS));
        let mut link = Link::new(LinkConfig { delay, drop: 0.2 }, Seed(3), 0);
        let mut last = Time::ORIGIN;
        for n in 0..1_000u32 {
            last = link.send_in_order(Time::from_millis(u64::from(n) + 1), last, n);
        }
        assert_eq!(link.lost(), 0);
        assert!((0..1_000).all(|n| link.poll(Time::NEVER) == Some(n)));
        let mut dead = Link::<()>::new(LinkConfig { delay, drop: 1.0 }, Seed(3), 0);
        assert!(dead.passage() > Duration::from_secs(120), "and ends at last");
    }

    #[test]
    fn chance_follows_seed_and_id() {
        let config = LinkConfig { delay: Some(Delay::Lognormal { median: 20 * MS, sigma: 0.5 }), drop: 0.02 };
        assert_eq!(run(config, 7, 3), run(config, 7, 3));
        assert_ne!(run(config, 7, 3), run(config, 8, 3));
        assert_ne!(run(config, 7, 3), run(config, 7, 4));
    }
}
