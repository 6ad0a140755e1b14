//! What a run is set up to do, as far as more than one room must know it: the plan asks for it, the
//! record's header keeps it, and a judge reads it there instead of searching the profile's text.

use super::words;
use serde::{Deserialize, Serialize};
use std::time::Duration;

words! {
    /// What to do with the challenged realm.
    #[derive(Default)]
    pub enum RealmPolicy {
        /// Answer with the realm as challenged; a difference is for the diagnosis.
        #[default]
        Expect = "expect",
        /// Another realm than the configured one is a protocol error.
        Require = "require",
        /// Header and HA1 use the configured realm whatever was challenged.
        Force = "force",
    }
}

words! {
    /// What `Retry-After` (RFC 3261 §20.33) does to a retry.
    #[derive(Default)]
    pub enum RetryAfter {
        /// Nothing; it is counted.
        #[default]
        Ignored = "ignored",
        /// It replaces the wait where the client would have repeated anyway.
        Replaces = "replaces",
        /// Whatever was refused is repeated after it, and that retry does not count against `max`.
        Always = "always",
    }
}

words! {
    /// How many sockets the agents of a trunk have.
    #[derive(Default)]
    pub enum SocketUse {
        /// One for each sender thread and local address.
        #[default]
        Shared = "shared",
        /// Each agent has its own, as real phones do.
        PerAgent = "per-agent",
    }
}

words! {
    /// What an agent calls the host it is at, where it speaks over a WebSocket.
    #[derive(Default)]
    pub enum WsHost {
        /// A name of its own under `.invalid`, as phones in browsers do, which know no address (RFC
        /// 7118 §5.2).
        #[default]
        Invalid = "invalid",
        /// The address its connection comes from.
        Address = "address",
    }
}

words! {
    /// Whose datagrams are answers, where no connection says so.
    #[derive(Default)]
    pub enum AcceptFrom {
        /// Whoever sends them: their branch says what they answer (RFC 3261 §18.1.2).
        #[default]
        Anywhere = "anywhere",
        /// Only the address and port that was asked.
        Target = "target",
    }
}

words! {
    /// The address that an agent's Contact has.
    #[derive(Default)]
    pub enum ContactHost {
        /// The one it sends from.
        #[default]
        Own = "own",
        /// The one that answers say its requests come from (RFC 3581).
        Learnt = "learnt",
    }
}

words! {
    /// What becomes of a request over UDP of which ICMP says that it did not arrive.
    pub enum OnIcmp {
        /// It has failed.
        Heed = "heed",
        /// Nothing: it is sent again until Timer F.
        Ignore = "ignore",
    }
}

words! {
    /// What a registrar's challenges let a digest protect (`qop`, RFC 7616 §3.3).
    #[derive(Default)]
    pub enum OfferedQop {
        #[default]
        Auth = "auth",
        AuthInt = "auth-int",
        Both = "auth,auth-int",
    }
}

/// One `[[load]]` stage.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadStage {
    /// Arrivals per second change linearly from the previous stage's rate (0 at first) to `to`.
    Ramp { to: f64, lasts: Duration },
    /// Constant arrivals per second.
    Rate { per_second: f64, lasts: Duration },
    /// So many agents at one instant; it takes no time, and the rate before it is the rate after
    /// it.
    Avalanche { agents: u32 },
    /// No arrivals: refreshes and retries only.
    Hold { lasts: Duration },
    /// No arrivals, and a share of the agents without power.
    Outage { share: f64, lasts: Duration },
    /// What phones were recorded to do, so many arrivals of them.
    Replay { arrivals: u32, lasts: Duration },
}

impl LoadStage {
    pub const fn lasts(&self) -> Duration {
        match *self {
            LoadStage::Ramp { lasts, .. }
            | LoadStage::Rate { lasts, .. }
            | LoadStage::Hold { lasts }
            | LoadStage::Outage { lasts, .. }
            | LoadStage::Replay { lasts, .. } => lasts,
            LoadStage::Avalanche { .. } => Duration::ZERO,
        }
    }

    /// Whether agents come all at once: at one instant, or when their power returns.
    pub const fn is_return(&self) -> bool {
        matches!(self, LoadStage::Avalanche { .. } | LoadStage::Outage { .. })
    }
}

words! {
    /// How the arrivals of a stage lie within it.
    #[derive(Default)]
    pub enum Process {
        /// Evenly spaced by the rate's integral.
        #[default]
        Uniform = "uniform",
        /// As many as evenly spaced, at independent random times: a Poisson process, given its
        /// count.
        Poisson = "poisson",
    }
}

words! {
    /// Where the intervals of a run end.
    #[derive(Default)]
    pub enum IntervalAlign {
        /// Whole intervals after the run's start.
        #[default]
        Start = "start",
        /// On whole minutes of UTC, or on whole parts of them, so that they line up with a
        /// platform's; the first one is short.
        Minute = "minute",
    }
}

impl IntervalAlign {
    /// How much of the first interval had passed when a run started at this Unix time.
    pub fn passed(self, interval: Duration, started_unix_ns: i64) -> Duration {
        match self {
            IntervalAlign::Start => Duration::ZERO,
            IntervalAlign::Minute => {
                let interval = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX).max(1);
                Duration::from_nanos(started_unix_ns.rem_euclid(interval).cast_unsigned())
            }
        }
    }
}

words! {
    /// The order in which the agents of a trunk arrive.
    #[derive(Default)]
    pub enum ArrivalOrder {
        /// Drawn from the run's seed. Agents that were never set up then lie anywhere, and a limit
        /// refuses whoever comes too late: in the order of the list the two look alike.
        #[default]
        Shuffled = "shuffled",
        /// As the profile lists them.
        Listed = "listed",
    }
}

words! {
    /// What happens when every agent has arrived.
    #[derive(Default)]
    pub enum WhenExhausted {
        /// No further arrival.
        #[default]
        Stop = "stop",
        /// Arrival n is agent n mod agents, each time with the full handshake.
        Reregister = "reregister",
    }
}

words! {
    /// What a phone does at a moment of a replay.
    #[derive(Default)]
    pub enum ReplayAct {
        /// It begins to register, as after a restart: with the full handshake.
        #[default]
        Arrive = "arrive",
        /// Its next refresh or retry comes at this moment, if by itself it would come at about the
        /// same.
        Again = "again",
        /// It removes its binding and is not expected to be there any more.
        Leave = "leave",
        /// It is gone without a word: nothing is refreshed or tried again until it arrives anew.
        Vanish = "vanish",
    }
}
