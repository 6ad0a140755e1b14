//! Messages second by second, as they pass on the way: how many, how large, and how many of them
//! from one source address or for one address of record. A [`super::Tally`] knows trunks and
//! intervals; a limit somewhere on the way knows addresses and seconds.
//!
//! Seconds are counted from the run's start and are fixed windows: a second that straddles two of
//! them may hold more than either shows.

use crate::vocab::{Time, saturating_u32};

/// One second of a run. Datagrams without their UDP and IP headers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TrafficSecond {
    pub sent: u32,
    pub received: u32,
    pub bytes_sent: u32,
    pub bytes_received: u32,
    /// Requests of the source address, and of the address of record, that sent most of them in this
    /// second.
    pub busiest_source: u32,
    pub busiest_aor: u32,
}

/// The most one sender sent within a second.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Peak {
    pub messages: u32,
    /// Seconds since the run's start.
    pub second: u32,
}

/// What passed, second by second. 24 bytes a second, 16 an address of record: a day of 100 000
/// agents takes 4 MB.
#[derive(Clone, PartialEq, Debug)]
pub struct Traffic {
    start: Time,
    seconds: Vec<TrafficSecond>,
    sources: Vec<Meter>,
    aors: Vec<Meter>,
}

/// One sender's count of the second it last sent in, and its highest.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
struct Meter {
    second: u32,
    count: u32,
    peak: Peak,
}

impl Traffic {
    /// Of a run that begins at `start`, with so many source addresses and addresses of record.
    pub fn new(start: Time, sources: usize, aors: usize) -> Self {
        let meters = |count| vec![Meter::default(); count];
        Traffic { start, seconds: Vec::new(), sources: meters(sources), aors: meters(aors) }
    }

    /// A datagram left; `source` and `aor` are positions in lists of the caller's.
    pub fn sent(&mut self, now: Time, source: usize, aor: Option<usize>, bytes: usize) {
        let second = self.second_of(now);
        let from_source = self.sources.get_mut(source).map_or(0, |meter| meter.count(second));
        let of_aor = aor.and_then(|aor| self.aors.get_mut(aor)).map_or(0, |meter| meter.count(second));
        let total = self.at(second);
        total.sent += 1;
        total.bytes_sent = total.bytes_sent.saturating_add(saturating_u32(bytes));
        total.busiest_source = total.busiest_source.max(from_source);
        total.busiest_aor = total.busiest_aor.max(of_aor);
    }

    /// A datagram came.
    pub fn received(&mut self, now: Time, bytes: usize) {
        let second = self.second_of(now);
        let total = self.at(second);
        total.received += 1;
        total.bytes_received = total.bytes_received.saturating_add(saturating_u32(bytes));
    }

    /// Second by second from the start to the last message.
    pub fn seconds(&self) -> &[TrafficSecond] {
        &self.seconds
    }

    /// By source.
    pub fn source_peaks(&self) -> impl Iterator<Item = Peak> {
        self.sources.iter().map(|meter| meter.peak)
    }

    /// By address of record.
    pub fn aor_peaks(&self) -> impl Iterator<Item = Peak> {
        self.aors.iter().map(|meter| meter.peak)
    }

    fn second_of(&self, now: Time) -> u32 {
        u32::try_from(now.nanos_since(self.start) / 1_000_000_000).unwrap_or(u32::MAX)
    }

    fn at(&mut self, second: u32) -> &mut TrafficSecond {
        let place = second as usize;
        if place >= self.seconds.len() {
            self.seconds.resize(place + 1, TrafficSecond::default());
        }
        &mut self.seconds[place]
    }
}

impl Meter {
    /// One more; gives the count of this second so far.
    fn count(&mut self, second: u32) -> u32 {
        if self.second != second {
            (self.second, self.count) = (second, 0);
        }
        self.count += 1;
        if self.count > self.peak.messages {
            self.peak = Peak { messages: self.count, second };
        }
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const START: Time = Time::from_secs(1);

    #[test]
    fn each_second_knows_its_sum_and_its_busiest() {
        let mut traffic = Traffic::new(START, 2, 3);
        for (ms, source, aor) in [(0, 0, 0), (999, 0, 0), (1_000, 0, 0), (1_100, 1, 1), (1_200, 1, 1), (1_300, 1, 2)] {
            traffic.sent(START + Duration::from_millis(ms), source, Some(aor), 500);
        }
        traffic.received(START + Duration::from_millis(2_500), 300);
        let sent: Vec<_> = traffic.seconds().iter().map(|s| (s.sent, s.busiest_source, s.busiest_aor)).collect();
        assert_eq!(sent, [(2, 2, 2), (4, 3, 2), (0, 0, 0)]);
        assert_eq!(traffic.seconds()[1].bytes_sent, 2_000);
        assert_eq!((traffic.seconds()[2].received, traffic.seconds()[2].bytes_received), (1, 300));
        let peaks: Vec<_> = traffic.source_peaks().map(|peak| (peak.messages, peak.second)).collect();
        assert_eq!(peaks, [(2, 0), (3, 1)]);
        let peaks: Vec<_> = traffic.aor_peaks().map(|peak| (peak.messages, peak.second)).collect();
        assert_eq!(peaks, [(2, 0), (2, 1), (1, 1)]);
    }

    #[test]
    fn what_belongs_to_nobody_counts_in_the_sum_alone() {
        let mut traffic = Traffic::new(START, 0, 0);
        traffic.sent(START, 7, None, 10);
        assert_eq!(traffic.seconds(), [TrafficSecond { sent: 1, bytes_sent: 10, ..TrafficSecond::default() }]);
    }

    proptest::proptest! {
        /// Whoever sends when: nothing is lost, and the busiest of a second is the busiest.
        #[test]
        fn the_sums_are_the_messages(sends in proptest::collection::vec((0u64..6_000, 0usize..3, 0usize..4), 0..80)) {
            let mut ordered = sends.clone();
            ordered.sort_unstable();
            let mut traffic = Traffic::new(START, 3, 4);
            for (ms, source, aor) in &ordered {
                traffic.sent(START + Duration::from_millis(*ms), *source, Some(*aor), 1);
            }
            let sum: u32 = traffic.seconds().iter().map(|second| second.sent).sum();
            proptest::prop_assert_eq!(sum as usize, sends.len());
            for (at, second) in traffic.seconds().iter().enumerate() {
                let of = |source| sends.iter().filter(|(ms, s, _)| *ms as usize / 1000 == at && *s == source).count();
                proptest::prop_assert_eq!(second.busiest_source as usize, (0..3).map(of).max().unwrap_or(0));
            }
            let highest = traffic.seconds().iter().map(|second| second.busiest_aor).max().unwrap_or(0);
            proptest::prop_assert_eq!(traffic.aor_peaks().map(|peak| peak.messages).max(), Some(highest));
        }
    }
}
