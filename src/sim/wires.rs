//! Simulated connections: how far each has got, and what its two ends have yet to hear.
//!
//! A connection opens one round trip after it was asked for, a secured one after two (RFC 8446 §2).
//! Bytes travel in order; loss shows as delay. A reset is heard at once at the near end, and what
//! was under way is gone.

use crate::link::DueQueue;
use crate::registrar::{Caller, ConnectionFaults, Reception};
use crate::vocab::{FlowId, FlowLoss, Time};
use std::net::SocketAddr;
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
    /// What goes wrong with them on purpose.
    faults: ConnectionFaults,
    /// When to look whether a connection is to end.
    ends: DueQueue<(FleetFlow, u32)>,
}

/// What opening a connection takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handshakes {
    pub(super) round_trips: u32,
    pub(super) secured: bool,
    /// The certificate of the far end is looked at.
    pub(super) checked: bool,
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
    handshakes: Handshakes,
    /// When the first of them, that of TCP, is over.
    connected: Time,
    /// How the far end knows it.
    caller: Caller,
    /// When the last bytes of each direction arrive.
    up: Time,
    down: Time,
}

impl Wires {
    /// Lets these faults act.
    pub(super) fn suffer(&mut self, faults: ConnectionFaults) {
        self.faults = faults;
    }

    /// The fleet has one more stream, which comes from there.
    pub(super) fn add(&mut self, fleet: usize, address: SocketAddr, handshakes: Handshakes) {
        if self.lines.len() <= fleet {
            self.lines.resize_with(fleet + 1, Vec::new);
        }
        let (up, down) = (Time::ORIGIN, Time::ORIGIN);
        let caller = Caller::new(address, Time::ORIGIN);
        self.lines[fleet].push(Wire { generation: 0, open: false, handshakes, connected: up, caller, up, down });
    }

    fn line(&mut self, at: FleetFlow) -> &mut Wire {
        &mut self.lines[at.fleet][at.flow.index()]
    }

    /// Opens a connection; its handshake takes `round_trip`.
    pub(super) fn open(&mut self, at: FleetFlow, now: Time, round_trip: Duration) {
        let arrives = now + round_trip / 2;
        let refused = self.refusing || self.faults.refuses(arrives);
        let line = &mut self.lines[at.fleet][at.flow.index()];
        line.caller = Caller::new(line.caller.address, arrives);
        let Handshakes { round_trips, checked, .. } = line.handshakes;
        line.connected = now + round_trip;
        let (mut due, mut hears, mut news) = (now + round_trip * round_trips, arrives, News::Opened);
        if refused {
            (due, news) = (now + round_trip, News::Lost(FlowLoss::Refused));
        } else if !self.faults.is_empty() {
            // The kernel answers for it at once; what comes after that waits until it is taken up.
            hears = self.faults.taken_up(arrives, &line.caller);
            if round_trips > 1 {
                due += hears.since(arrives);
            }
            if let Some(shown) = self.faults.shown(hears, &line.caller).filter(|_| checked) {
                (due, news) = (hears + round_trip * 3 / 2, News::Lost(shown.loss()));
            }
        }
        (line.generation, line.up, line.down) = (line.generation.wrapping_add(1), due.max(hears), due);
        let generation = line.generation;
        self.news.push(due, (at, generation, news));
    }

    /// Closes it from the near end: what it waited for, if it was not open yet.
    pub(super) fn close(&mut self, at: FleetFlow, now: Time) -> FlowLoss {
        let line = self.line(at);
        line.generation = line.generation.wrapping_add(1);
        line.open = false;
        match line.handshakes {
            _ if now < line.connected => FlowLoss::ConnectTimeout,
            Handshakes { secured: true, .. } => FlowLoss::TlsTimeout,
            _ => FlowLoss::UpgradeTimeout,
        }
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
        [self.news.next_due(), self.ends.next_due()].into_iter().flatten().min()
    }

    /// What somebody hears by now; what was overtaken by a close is nothing to hear.
    pub(super) fn next(&mut self, now: Time) -> Option<(FleetFlow, News)> {
        self.end_due(now);
        loop {
            let (at, generation, mut news) = self.news.pop(now)?;
            let line = &mut self.lines[at.fleet][at.flow.index()];
            if line.generation != generation {
                continue;
            }
            if news == News::Opened && self.faults.refuses(now) {
                news = News::Lost(FlowLoss::Reset);
            }
            line.open = news == News::Opened;
            if line.open && !self.faults.is_empty() {
                line.caller = Caller::new(line.caller.address, now);
                if let Some((due, _)) = self.faults.end(&line.caller) {
                    self.ends.push(due, (at, generation));
                }
            }
            return Some((at, news));
        }
    }

    /// Ends the connections that the far end gives up by now.
    fn end_due(&mut self, now: Time) {
        while let Some((at, generation)) = self.ends.pop(now) {
            let line = &self.lines[at.fleet][at.flow.index()];
            if !line.open || line.generation != generation {
                continue;
            }
            match self.faults.end(&line.caller) {
                Some((due, how)) if due <= now => self.break_one(at, now, how),
                Some((due, _)) => self.ends.push(due, (at, generation)),
                None => {}
            }
        }
    }

    fn break_one(&mut self, at: FleetFlow, now: Time, how: FlowLoss) {
        let line = self.line(at);
        line.generation = line.generation.wrapping_add(1);
        line.open = false;
        let generation = line.generation;
        self.news.push(now, (at, generation, News::Lost(how)));
    }

    /// Whether the far end hears what was sent on this connection.
    pub(super) fn hears(&mut self, now: Time, at: FleetFlow, generation: u32, bytes: usize) -> bool {
        if !self.carries(at, generation) {
            return false;
        }
        if self.faults.is_empty() {
            return true;
        }
        match self.faults.came(now, &mut self.lines[at.fleet][at.flow.index()].caller, bytes as u64) {
            Reception::Heard => true,
            Reception::Swallowed => false,
            Reception::Reset => {
                self.break_one(at, now, FlowLoss::Reset);
                false
            }
        }
    }

    /// Sends on a connection, if it is there: `travel` is told when bytes arrive at the earliest
    /// and on which connection they are, and says when they will.
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
