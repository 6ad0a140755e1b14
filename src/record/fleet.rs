//! Runs that several machines share: what sets a part's record apart from that of a whole run.

use serde::{Deserialize, Serialize};

/// Which part of a run one machine's record is of. Records with the same `run` belong together.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ShareHeader {
    /// The same for all parts of a run, and for no other run.
    pub run: String,
    /// The machine, as people know it.
    pub worker: String,
    /// Its stripes among those of all machines: `own` of `of`, from the `first` on. Agent n, and
    /// the n-th unit of every number that is shared out, is in stripe n mod `of`.
    pub first: u32,
    pub own: u32,
    pub of: u32,
    /// When all machines were to begin: UTC, nanoseconds since the Unix epoch.
    pub start_unix_ns: i64,
    /// SHA-256 of the resolved profile, secrets as `***`.
    pub profile_digest: String,
    /// Arrivals that the load plans on all machines together.
    pub arrivals: u64,
}

impl ShareHeader {
    /// Whether an agent is this machine's.
    pub fn owns(&self, agent: u32) -> bool {
        (self.first..self.first + self.own).contains(&(agent % self.of.max(1)))
    }

    /// `stripe 3 of 8`, `stripes 3 to 4 of 8`.
    pub fn stripes(&self) -> String {
        let (first, last) = (self.first + 1, self.first + self.own);
        match self.own {
            1 => format!("stripe {first} of {}", self.of),
            _ => format!("stripes {first} to {last} of {}", self.of),
        }
    }
}

/// The machines of a run that several shared: what the merged record says of them.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct FleetFacts {
    /// See [`ShareHeader::run`].
    pub run: String,
    pub profile_digest: String,
    /// By their stripes; also those of which nothing is known.
    pub workers: Vec<FleetWorker>,
}

/// One machine of a run.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct FleetWorker {
    /// As people know it.
    pub name: String,
    /// See [`ShareHeader::first`].
    pub first: u32,
    pub own: u32,
    pub of: u32,
    pub agents: u32,
    /// Intervals that came of it.
    pub intervals: u32,
    /// How far its clock may have been from that of the others; `None`: nobody measured it.
    pub clock_within_ns: Option<u64>,
    /// `valid`, `suspect` or `invalid`, by its own counts; `None`: not known.
    pub generator: Option<String>,
    pub generator_reasons: Vec<String>,
    pub lost: Option<WorkerLoss>,
}

/// A machine's part of a run is not whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WorkerLoss {
    /// Up to when it is known, nanoseconds since the run's start.
    pub at_ns: u64,
    pub why: String,
}

impl FleetFacts {
    /// The machines whose part is not whole.
    pub fn lost(&self) -> impl Iterator<Item = (&FleetWorker, &WorkerLoss)> {
        self.workers.iter().filter_map(|worker| Some((worker, worker.lost.as_ref()?)))
    }

    /// Whether a part of the run is not whole: its agents are missing, and counts of all agents are
    /// not counts of all.
    pub fn is_degraded(&self) -> bool {
        self.lost().next().is_some()
    }

    /// The machine whose clock is known the least, beyond what order may rest on.
    pub fn clock_doubt(&self) -> Option<&FleetWorker> {
        let doubtful = |worker: &&FleetWorker| worker.clock_within_ns.is_some_and(|ns| ns > CLOCK_WITHIN_NS);
        self.workers.iter().filter(doubtful).max_by_key(|worker| worker.clock_within_ns)
    }
}

/// Clocks that agree less well tell no order of what happened on two machines.
const CLOCK_WITHIN_NS: u64 = 10_000_000;
