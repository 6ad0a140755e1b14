//! What comes back after an outage: how soon the agents are registered again, how hard they knock,
//! and the echo when all that they registered together falls due together.

use crate::measure::{Interval, Traffic};
use crate::vocab::{Status, saturating_u32};
use serde::Serialize;

/// Shares of the agents hit, per cent, whose return is timed.
pub const SHARES: [u32; 4] = [50, 90, 99, 100];

/// When the agents were off, and for how long their bindings last.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Occasion {
    /// Nanoseconds since the start.
    pub off_ns: u64,
    pub back_ns: u64,
    /// The lifetime that is granted.
    pub lifetime_ns: u64,
    /// Agents hit.
    pub agents: u64,
}

/// How the agents of one client came back.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Comeback {
    pub preset: String,
    pub refresh_jitter: bool,
    /// Agents that the outage hit, and those that were registered again before the rehearsal ended.
    pub agents: u64,
    pub returned: u64,
    /// Seconds until each of [`SHARES`] of the agents hit had registered again; `null`: it did not
    /// happen.
    pub registered_again_after_s: [Option<f64>; SHARES.len()],
    /// Requests in the busiest second: of the last lifetime before the outage, of the first half
    /// lifetime behind it, and from then on, which is when what was registered together is
    /// refreshed.
    pub before_per_s: u32,
    pub peak_per_s: u32,
    pub echo_per_s: u32,
    /// Seconds after the outage: when those two peaks were.
    pub peak_at_s: u32,
    pub echo_at_s: u32,
    /// Requests and failed attempts from the end of the outage on.
    pub requests: u64,
    pub failed: u64,
    /// Requests in each second from the end of the outage on.
    #[serde(skip)]
    pub seconds: Vec<u32>,
}

/// Failed attempts as the intervals come.
#[derive(Clone, Copy, Default, Debug)]
pub struct Failures(u64);

impl Failures {
    /// Adds what failed in an interval that begins no earlier than the end of the outage.
    pub fn add(&mut self, occasion: &Occasion, interval: &Interval) {
        if interval.start_ns < occasion.back_ns {
            return;
        }
        let failed = |status: &Status| !matches!(status, Status::Registered | Status::Shed | Status::Abandoned);
        let of = |status: Status| interval.trunks.iter().map(move |trunk| trunk.status[status.index()]).sum::<u64>();
        self.0 += Status::ALL.into_iter().filter(failed).map(of).sum::<u64>();
    }
}

impl Comeback {
    /// `returns` are the times of the agents' first registrations behind the outage, in order,
    /// nanoseconds since the start.
    pub fn of(
        (preset, refresh_jitter): (&str, bool),
        occasion: &Occasion,
        returns: &[u64],
        failures: Failures,
        traffic: &Traffic,
    ) -> Comeback {
        let sent: Vec<u32> = traffic.seconds().iter().map(|second| second.sent).collect();
        let second = |ns: u64| (ns / 1_000_000_000) as usize;
        let within = |from: usize, until: usize| sent.get(from..until.min(sent.len())).unwrap_or_default();
        let (off, back) = (second(occasion.off_ns), second(occasion.back_ns));
        let half = second(occasion.lifetime_ns / 2);
        let (peak_at_s, peak_per_s) = highest(within(back, back + half));
        let (echo_at_s, echo_per_s) = highest(within(back + half, sent.len()));
        let after = |share: u32| {
            let needed = (occasion.agents * u64::from(share)).div_ceil(100).max(1);
            let at = *returns.get(usize::try_from(needed).unwrap_or(usize::MAX) - 1)?;
            Some(at.saturating_sub(occasion.back_ns) as f64 / 1e9)
        };
        Comeback {
            preset: preset.to_owned(),
            refresh_jitter,
            agents: occasion.agents,
            returned: returns.len() as u64,
            registered_again_after_s: SHARES.map(after),
            before_per_s: highest(within(off.saturating_sub(second(occasion.lifetime_ns)), off)).1,
            peak_per_s,
            echo_per_s,
            peak_at_s,
            echo_at_s: echo_at_s + saturating_u32(half),
            requests: within(back, sent.len()).iter().map(|&sent| u64::from(sent)).sum(),
            failed: failures.0,
            seconds: within(back, sent.len()).to_vec(),
        }
    }
}

/// The first of the highest values, and its position.
fn highest(values: &[u32]) -> (u32, u32) {
    values.iter().zip(0..).fold((0, 0), |(at, peak), (&value, n)| if value > peak { (n, value) } else { (at, peak) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocab::Time;
    use std::time::Duration;

    const S: u64 = 1_000_000_000;

    #[test]
    fn times_and_peaks_count_from_the_return() {
        let occasion = Occasion { off_ns: 20 * S, back_ns: 30 * S, lifetime_ns: 20 * S, agents: 10 };
        let start = Time::from_secs(1);
        let mut traffic = Traffic::new(start, 1, 0);
        let mut send = |second: u64, messages: u32| {
            (0..messages).for_each(|_| traffic.sent(start + Duration::from_secs(second), 0, None, 1));
        };
        for (at, messages) in [(3, 2), (19, 3), (29, 99), (31, 40), (33, 7), (48, 30), (49, 30)] {
            send(at, messages);
        }
        let returns: Vec<u64> = (1..=9).map(|n| (30 + n) * S).collect();
        let comeback = Comeback::of(("rfc", true), &occasion, &returns, Failures(5), &traffic);
        assert_eq!(comeback.registered_again_after_s, [Some(5.0), Some(9.0), None, None]);
        assert_eq!((comeback.before_per_s, comeback.peak_per_s, comeback.peak_at_s), (3, 40, 1));
        assert_eq!((comeback.echo_per_s, comeback.echo_at_s), (30, 18));
        assert_eq!((comeback.requests, comeback.failed, comeback.returned), (107, 5, 9));
        assert_eq!(comeback.seconds.len(), 20);
    }

    #[test]
    fn nothing_comes_of_nothing() {
        let occasion = Occasion { off_ns: 0, back_ns: S, lifetime_ns: S, agents: 0 };
        let traffic = Traffic::new(Time::from_secs(1), 0, 0);
        let comeback = Comeback::of(("none", false), &occasion, &[], Failures::default(), &traffic);
        assert_eq!(comeback.registered_again_after_s, [None; 4]);
        assert_eq!((comeback.peak_per_s, comeback.echo_per_s, comeback.requests), (0, 0, 0));
    }
}
