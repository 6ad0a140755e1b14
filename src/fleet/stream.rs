//! The life of a connection, without I/O: opened when somebody wants to send, lost, left alone for
//! a while, opened again.
//!
//! ```text
//!          want                opened                lost
//!   Idle ────────▶ Opening ────────────▶ Open ─────────────────┐
//!    ▲ ▲              │ failed, timeout                        ▼
//!    │ │              └───────────────────────────────────▶ Falling
//!    │ └── told, after it had been open ──────────────────────┤  │ told, wanted meanwhile:
//!    │                                                         │  └─▶ Opening
//!    └──── want, once the back-off is over ──── Down ◀─────────┘ told, after it had failed
//! ```
//!
//! While `Falling`, its agents are told one after another, some per turn: nobody may send on the
//! next connection before everybody knows that the last one is gone.
//!
//! While it is open, keep-alives go over it where the trunk asks for them, and one that is not
//! answered ends it (RFC 5626 §4.4.1).
//!
//! Read first: RFC 3261 §18.1.1 and §18.4, RFC 5626 §4.4 and §4.5. Not here: bytes (`net`), who the
//! agents are (`flows`).

use crate::vocab::{FlowLoss, Time};
use std::time::Duration;

/// How a connection is treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamRules {
    /// How long opening it may take.
    pub connect_timeout: Duration,
    /// Whether one that could not be opened is left alone for a while. One of a single agent is
    /// not: that agent's own wait before a retry is the back-off of RFC 5626 §4.5.
    pub backs_off: bool,
    /// The longest time between two keep-alives; `None`: there are none.
    pub keepalive: Option<Duration>,
    /// Requests call the host they come from by a name of its own, whatever its address: the same
    /// one on every connection.
    pub names_host: bool,
}

/// The next keep-alive, or the answer to the last one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ping {
    Off,
    Due(Time),
    /// Its answer is waited for; the next is due then.
    Sent {
        until: Time,
        next: Time,
    },
}

/// Where a connection is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamState {
    Idle,
    Opening {
        since: Time,
    },
    Open(Ping),
    /// It is gone, and not all of its agents know. `failed`: it never was open; `wanted`: somebody
    /// who knows wants to send again.
    Falling {
        why: FlowLoss,
        failed: bool,
        wanted: bool,
    },
    /// It could not be opened, and is left alone until then.
    Down {
        until: Time,
        why: FlowLoss,
    },
}

/// What a connection is told.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum StreamInput {
    /// An agent wants to send.
    Want,
    /// It is open; a number in `[0, 1)` for its first keep-alive.
    Opened { draw: f64 },
    /// It could not be opened, or is gone.
    Lost(FlowLoss),
    /// Its deadline has come; a number in `[0, 1)` for the keep-alive after this one.
    Wake { draw: f64 },
    /// The answer to a keep-alive came.
    Ponged,
    /// Every agent was told that it is gone; a number in `[0, 1)` for the back-off.
    Told { draw: f64 },
}

/// What is to be done then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamStep {
    Nothing,
    /// Open it; whoever wants to send waits.
    Open,
    /// Whoever wants to send may not, and knows why.
    Refuse(FlowLoss),
    /// Tell its agents that it is open, `took` after it was wanted.
    TellOpen {
        took: Duration,
    },
    /// Tell its agents that it is gone; `failed`: it never was open.
    TellLost {
        why: FlowLoss,
        failed: bool,
    },
    /// The same, and give up opening it.
    GiveUp,
    /// Send a keep-alive.
    Ping,
    /// Tell its agents that it is gone, and close it: a keep-alive was not answered.
    NoPong,
}

/// A connection's state, and how often in a row it could not be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamLife {
    pub state: StreamState,
    failures: u32,
}

impl StreamLife {
    pub const IDLE: StreamLife = StreamLife { state: StreamState::Idle, failures: 0 };

    pub fn is_open(&self) -> bool {
        matches!(self.state, StreamState::Open(_))
    }

    /// Whether [`StreamInput::Want`] is what opens it, now or as soon as everybody knows that the
    /// last one is gone.
    pub fn would_open(&self, now: Time) -> bool {
        match self.state {
            StreamState::Idle => true,
            StreamState::Down { until, .. } => until <= now,
            StreamState::Falling { failed, wanted, .. } => !failed && !wanted,
            StreamState::Opening { .. } | StreamState::Open(_) => false,
        }
    }

    /// When to be woken.
    pub fn deadline(&self, rules: &StreamRules) -> Option<Time> {
        match self.state {
            StreamState::Opening { since } => Some(since + rules.connect_timeout),
            StreamState::Open(Ping::Due(at)) => Some(at),
            StreamState::Open(Ping::Sent { until, .. }) => Some(until),
            _ => None,
        }
    }

    pub fn handle(&mut self, rules: &StreamRules, now: Time, input: StreamInput) -> StreamStep {
        match (self.state, input) {
            (StreamState::Idle, StreamInput::Want) => self.open(now),
            (StreamState::Down { until, why }, StreamInput::Want) => {
                if now < until {
                    StreamStep::Refuse(why)
                } else {
                    self.open(now)
                }
            }
            (StreamState::Falling { why, failed: true, .. }, StreamInput::Want) => StreamStep::Refuse(why),
            (StreamState::Falling { why, failed, .. }, StreamInput::Want) => {
                self.state = StreamState::Falling { why, failed, wanted: true };
                StreamStep::Nothing
            }
            (StreamState::Opening { since }, StreamInput::Opened { draw }) => {
                let ping = rules.keepalive.map_or(Ping::Off, |longest| Ping::Due(now + pause(longest, draw)));
                *self = StreamLife { state: StreamState::Open(ping), failures: 0 };
                StreamStep::TellOpen { took: now.since(since) }
            }
            (StreamState::Opening { .. }, StreamInput::Lost(why)) => self.fall(why, true),
            (StreamState::Opening { .. }, StreamInput::Wake { .. })
                if self.deadline(rules).is_some_and(|deadline| deadline <= now) =>
            {
                self.fall(FlowLoss::ConnectTimeout, true);
                StreamStep::GiveUp
            }
            (StreamState::Open(_), StreamInput::Lost(why)) => self.fall(why, false),
            (StreamState::Open(Ping::Due(at)), StreamInput::Wake { draw }) if at <= now => {
                let next = now + pause(rules.keepalive.unwrap_or(PONG), draw);
                self.state = StreamState::Open(Ping::Sent { until: now + PONG, next });
                StreamStep::Ping
            }
            (StreamState::Open(Ping::Sent { until, .. }), StreamInput::Wake { .. }) if until <= now => {
                self.fall(FlowLoss::NoPong, false);
                StreamStep::NoPong
            }
            (StreamState::Open(Ping::Sent { next, .. }), StreamInput::Ponged) => {
                self.state = StreamState::Open(Ping::Due(next));
                StreamStep::Nothing
            }
            (StreamState::Falling { wanted: true, .. }, StreamInput::Told { .. }) => self.open(now),
            (StreamState::Falling { why, failed, .. }, StreamInput::Told { draw }) => {
                let backs_off = failed && rules.backs_off;
                let until = now + backoff(self.failures, draw);
                self.state = if backs_off { StreamState::Down { until, why } } else { StreamState::Idle };
                StreamStep::Nothing
            }
            _ => StreamStep::Nothing,
        }
    }

    /// The next keep-alive is due after 80 to 100 % of this, if none is under way.
    pub(super) fn keep_alive_within(&mut self, now: Time, longest: Duration, draw: f64) {
        if let StreamState::Open(Ping::Due(at)) = &mut self.state {
            *at = now + pause(longest, draw);
        }
    }

    /// It was given up, waiting for this: whoever closes it knows.
    pub fn waited_for(&mut self, what: FlowLoss) {
        if let StreamState::Falling { why, failed: true, .. } = &mut self.state {
            *why = what;
        }
    }

    fn open(&mut self, now: Time) -> StreamStep {
        self.state = StreamState::Opening { since: now };
        StreamStep::Open
    }

    fn fall(&mut self, why: FlowLoss, failed: bool) -> StreamStep {
        self.failures = if failed { self.failures.saturating_add(1) } else { 0 };
        self.state = StreamState::Falling { why, failed, wanted: false };
        StreamStep::TellLost { why, failed }
    }
}

/// How long a connection is left alone after so many failures in a row: doubled each time, drawn
/// from its upper half, as in RFC 5626 §4.5. Base and cap are shorter than there, because every
/// agent behind it waits by that rule too before it tries again.
fn backoff(failures: u32, draw: f64) -> Duration {
    let upper = BACKOFF.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_BACKOFF);
    upper.mul_f64(1.0 - draw / 2.0)
}

/// How long until the next keep-alive: 80 to 100 % of the longest time (RFC 5626 §4.4.1).
pub(super) fn pause(longest: Duration, draw: f64) -> Duration {
    longest.mul_f64(1.0 - draw / 5.0)
}

/// How long the answer to a keep-alive may take (RFC 5626 §4.4.1).
const PONG: Duration = Duration::from_secs(10);

const BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    const KEEPALIVE: Option<Duration> = Some(Duration::from_secs(20));
    const RULES: StreamRules = StreamRules {
        connect_timeout: Duration::from_secs(10),
        backs_off: true,
        keepalive: KEEPALIVE,
        names_host: false,
    };
    const NOW: Time = Time::from_secs(100);

    fn states() -> Vec<StreamState> {
        let falling = |failed, wanted| StreamState::Falling { why: FlowLoss::Reset, failed, wanted };
        vec![
            StreamState::Idle,
            StreamState::Opening { since: Time::from_secs(99) },
            StreamState::Opening { since: Time::from_secs(90) },
            StreamState::Open(Ping::Off),
            StreamState::Open(Ping::Due(Time::from_secs(101))),
            StreamState::Open(Ping::Due(NOW)),
            StreamState::Open(Ping::Sent { until: Time::from_secs(101), next: Time::from_secs(110) }),
            StreamState::Open(Ping::Sent { until: NOW, next: Time::from_secs(110) }),
            falling(false, false),
            falling(false, true),
            falling(true, false),
            StreamState::Down { until: Time::from_secs(101), why: FlowLoss::Refused },
            StreamState::Down { until: NOW, why: FlowLoss::Refused },
        ]
    }

    fn seconds(text: String) -> String {
        // `Time` shows nanoseconds.
        text.replace("000000000", "")
    }

    #[test]
    fn every_state_with_every_input() {
        let mut table = String::new();
        for state in states() {
            for input in [
                StreamInput::Want,
                StreamInput::Opened { draw: 0.5 },
                StreamInput::Lost(FlowLoss::Closed),
                StreamInput::Wake { draw: 0.5 },
                StreamInput::Ponged,
                StreamInput::Told { draw: 0.5 },
            ] {
                let mut life = StreamLife { state, failures: 2 };
                let step = life.handle(&RULES, NOW, input);
                let changed = life != StreamLife { state, failures: 2 };
                let after = if changed { format!("{:?} ({})", life.state, life.failures) } else { "same".to_owned() };
                writeln!(table, "{state:?} × {input:?}\n    → {after}, {step:?}").expect("a string");
            }
        }
        insta::assert_snapshot!(seconds(table));
    }

    #[test]
    fn the_back_off_doubles_up_to_its_cap_and_is_drawn_from_its_upper_half() {
        let at = |failures, draw| backoff(failures, draw).as_millis();
        assert_eq!([1, 2, 3, 5, 6, 60].map(|n| at(n, 0.0)), [1_000, 2_000, 4_000, 16_000, 30_000, 30_000]);
        assert_eq!((at(1, 1.0), at(60, 1.0)), (500, 15_000));
    }

    #[test]
    fn one_agents_connection_is_opened_again_whenever_it_is_wanted() {
        let rules = StreamRules { backs_off: false, ..RULES };
        let mut life = StreamLife::IDLE;
        for _ in 0..3 {
            assert_eq!(life.handle(&rules, NOW, StreamInput::Want), StreamStep::Open);
            let lost = StreamStep::TellLost { why: FlowLoss::Refused, failed: true };
            assert_eq!(life.handle(&rules, NOW, StreamInput::Lost(FlowLoss::Refused)), lost);
            assert_eq!(life.handle(&rules, NOW, StreamInput::Told { draw: 0.5 }), StreamStep::Nothing);
        }
    }
}
