//! Simulated connections: how far each has got, and what its two ends have yet to hear.
//!
//! A connection opens one round trip after it was asked for, a secured one after two (RFC 8446 §2).
//! Bytes travel in order; loss shows as delay. A reset is heard at once at the near end, and what was under way is gone.

use crate::link::DueQueue;
use crate::vocab::{FlowId, FlowLoss, Time};
use std::time::Duration;

/// A flow, and whose it is: a fleet by its position.
#[derive(Clone, Copy, Debug)]
pub(super) struct FleetFlow {
    pub(super) fleet: usize,
    pub(super) flow: FlowId,
}

/// The connections of all fleets.
#[derive(Debug, Default)]
pub(super) struct Wires {
    /// By fleet and stream.
    lines: Vec<Vec<Wire>>,
    news: DueQueue<(FleetFlow, u32, News)>,
    /// Whoever connects is refused.
    refusing: bool,
}

/// What a near end hears of its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum News {
    Opened,
    Lost(FlowLoss),
}

#[derive(Clone, Copy, Debug)]
struct Wire {
    /// How often it was opened or closed: what was sent before is gone.
    generation: u32,
    open: bool,
    /// What opening it takes.
    round_trips: u32,
    /// When the last bytes of each direction arrive.
    up: Time,
    down: Time,
}

impl Wires {
    /// The fleet has one more stream.
    pub(super) fn add(&mut self, fleet: usize, round_trips: u32) {
        if self.lines.len() <= fleet {
            self.lines.resize_with(fleet + 1, Vec::new);
        }
        let (up, down) = (Time::ORIGIN, Time::ORIGIN);
        self.lines[fleet].push(Wire { generation: 0, open: false, round_trips, up, down });
    }

    fn line(&mut self, at: FleetFlow) -> &mut Wire {
        &mut self.lines[at.fleet][at.flow.index()]
    }

    /// Opens a connection; its handshake takes `round_trip`.
    pub(super) fn open(&mut self, at: FleetFlow, now: Time, round_trip: Duration) {
        let news = if self.refusing { News::Lost(FlowLoss::Refused) } else { News::Opened };
        let line = self.line(at);
        let due = now + round_trip * line.round_trips;
        (line.generation, line.up, line.down) = (line.generation.wrapping_add(1), due, due);
        let generation = line.generation;
        self.news.push(due, (at, generation, news));
    }

    /// Closes it from the near end.
    pub(super) fn close(&mut self, at: FleetFlow) {
        let line = self.line(at);
        line.generation = line.generation.wrapping_add(1);
        line.open = false;
    }

    /// Everything that is open breaks, and nobody gets through any more.
    pub(super) fn break_all(&mut self, now: Time) {
        self.refusing = true;
        for (fleet, lines) in self.lines.iter_mut().enumerate() {
            for (n, line) in (0..).zip(lines) {
                if line.open {
                    let at = FleetFlow { fleet, flow: FlowId::stream(n) };
                    line.generation = line.generation.wrapping_add(1);
                    line.open = false;
                    self.news.push(now, (at, line.generation, News::Lost(FlowLoss::Reset)));
                }
            }
        }
    }

    /// Whoever connects gets through again.
    pub(super) fn accept(&mut self) {
        self.refusing = false;
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.news.next_due()
    }

    /// What somebody hears by now; what was overtaken by a close is nothing to hear.
    pub(super) fn next(&mut self, now: Time) -> Option<(FleetFlow, News)> {
        loop {
            let (at, generation, news) = self.news.pop(now)?;
            let line = self.line(at);
            if line.generation == generation {
                line.open = news == News::Opened;
                return Some((at, news));
            }
        }
    }

    /// Sends on a connection, if it is there: `travel` is told when bytes arrive at the earliest and
    /// on which connection they are, and says when they will.
    pub(super) fn send(&mut self, at: FleetFlow, upwards: bool, travel: impl FnOnce(Time, u32) -> Time) {
        let line = self.line(at);
        if line.open {
            let last = if upwards { &mut line.up } else { &mut line.down };
            *last = travel(*last, line.generation);
        }
    }

    /// Whether what was sent on this connection still has one to arrive on.
    pub(super) fn carries(&mut self, at: FleetFlow, generation: u32) -> bool {
        let line = self.line(at);
        line.open && line.generation == generation
    }
}
