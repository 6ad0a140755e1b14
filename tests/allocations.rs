//! What a fleet allocates for an attempt: one buffer in an agent's life, and otherwise nothing.

#[path = "support/allocations.rs"]
mod allocations;
#[path = "../benches/support/answers.rs"]
mod answers;
#[path = "../benches/support/mod.rs"]
mod fleets;

use answers::{challenge, grant};
use fleets::{START, peer};
use regstorm::fleet::{Fleet, Ways};
use regstorm::sip::Algorithm;
use regstorm::vocab::{FlowId, Time};
use std::time::Duration;

/// Agents whose registrations are counted.
const COUNTED: u32 = 256;

/// Agents that go before, so that what is shared has grown: a few turns.
const BEFORE: u32 = 256;

const RATE: f64 = 1_000.0;

/// What the answers grant.
const LIFETIME_S: u32 = 3_600;

const MD5: Algorithm = Algorithm::Md5;

/// The requests of one turn, in buffers that are there before it.
struct Wire {
    buffers: Vec<[u8; 2048]>,
    lengths: Vec<usize>,
}

impl Ways for Wire {
    fn put(&mut self, _flow: FlowId, _tag: u64, write: impl FnOnce(&mut [u8]) -> usize) {
        let length = write(&mut self.buffers[self.lengths.len()]);
        self.lengths.push(length);
    }
}

#[derive(Default, Debug)]
struct Refreshed {
    all: usize,
    counted: usize,
    allocations: u64,
}

/// A fleet, and what it has allocated.
struct Watched {
    fleet: Fleet,
    now: Time,
    wire: Wire,
    allocations: u64,
}

impl Watched {
    fn new() -> Self {
        let room = (BEFORE + COUNTED) as usize;
        let wire = Wire { buffers: vec![[0; 2048]; room], lengths: Vec::with_capacity(room) };
        Watched { fleet: fleets::fleet(BEFORE + COUNTED, MD5, RATE), now: START, wire, allocations: 0 }
    }

    /// The requests of one turn; whether more are due.
    fn turn(&mut self, now: Time) -> bool {
        self.wire.lengths.clear();
        let mut more = false;
        self.allocations += allocations::during(|| more = self.fleet.turn(now, &mut self.wire));
        more
    }

    /// Answers what was sent last, which makes the agents send again or not.
    fn answer(&mut self, now: Time, answer: impl Fn(&[u8]) -> Vec<u8>) {
        let sent = self.wire.buffers.iter().zip(&self.wire.lengths);
        let answers: Vec<_> = sent.map(|(buffer, &length)| answer(&buffer[..length])).collect();
        self.wire.lengths.clear();
        self.allocations += allocations::during(|| {
            for answer in &answers {
                self.fleet.driver().receive(now, now, FlowId(0), peer(), answer, &mut self.wire);
            }
        });
    }

    /// Second by second through a lifetime, so that each agent refreshes its binding, after a
    /// challenge or with the nonce it has. What comes first in an interval is not counted: it makes
    /// the interval's histograms.
    fn refresh_all(&mut self, challenged: bool) -> Refreshed {
        let mut refreshed = Refreshed::default();
        let mut first = true;
        for _ in 0..LIFETIME_S {
            self.now += Duration::from_secs(1);
            while self.fleet.close_due(self.now).is_some() {
                first = true;
            }
            let before = self.allocations;
            while self.turn(self.now) {}
            let sent = self.wire.lengths.len();
            if challenged {
                self.answer(self.now, |request| challenge(request, MD5));
            }
            self.answer(self.now, grant);
            refreshed.all += sent;
            if sent > 0 && !std::mem::take(&mut first) {
                refreshed.counted += sent;
                refreshed.allocations += self.allocations - before;
            }
        }
        refreshed
    }

    fn registered(&mut self) -> u64 {
        self.fleet.tally().registered()
    }
}

/// Agents that arrive in one turn: few enough that none is overdue.
const BATCH: u32 = 16;

/// The time at which the first `agents` have arrived.
fn arrived(agents: u32) -> Time {
    START + Duration::from_secs_f64((f64::from(agents) - 0.5) / RATE)
}

#[test]
fn a_registration_allocates_one_buffer_and_a_refresh_nothing() {
    let mut watched = Watched::new();
    let mut arrive = |agents: std::ops::Range<u32>| {
        let before = watched.allocations;
        for batch in agents.step_by(BATCH as usize) {
            let now = arrived(batch + BATCH);
            while watched.turn(now) {}
            watched.answer(now, |request| challenge(request, MD5));
            watched.answer(now, grant);
        }
        watched.allocations - before
    };
    arrive(0..BEFORE);
    let allocations = arrive(BEFORE..BEFORE + COUNTED);
    assert_eq!(watched.registered(), u64::from(BEFORE + COUNTED));
    // What its challenge said is kept for the refreshes.
    assert_eq!(allocations, u64::from(COUNTED));

    for challenged in [false, true] {
        let refreshed = watched.refresh_all(challenged);
        assert_eq!(watched.registered(), u64::from(BEFORE + COUNTED));
        assert!(refreshed.all >= (BEFORE + COUNTED) as usize && refreshed.counted > COUNTED as usize, "{refreshed:?}");
        assert_eq!(refreshed.allocations, 0, "challenged: {challenged}, {refreshed:?}");
    }
}
