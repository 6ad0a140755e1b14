//! Runs that several machines share: what sets a part's record apart from that of a whole run.

use serde::{Deserialize, Serialize};

/// Which part of a run one machine's record is of. Records with the same `run` belong together.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ShareHeader {
    /// The same for all parts of a run, and for no other run.
    pub run: String,
    /// The machine, as people know it.
    pub worker: String,
    /// Its stripes among those of all machines: `own` of `of`, from the `first` on. Agent n, and the
    /// n-th unit of every number that is shared out, is in stripe n mod `of`.
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
    /// `stripe 3 of 8`, `stripes 3 to 4 of 8`.
    pub fn stripes(&self) -> String {
        let (first, last) = (self.first + 1, self.first + self.own);
        match self.own {
            1 => format!("stripe {first} of {}", self.of),
            _ => format!("stripes {first} to {last} of {}", self.of),
        }
    }
}
