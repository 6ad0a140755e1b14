//! How long observed phones wait after a failure before they try again, so that it can be said
//! where their retries lead.

use super::entry::{Entry, SeenEnd, What};
use super::roster::Roster;
use crate::record::results::RetryHeader;
use crate::vocab::{Kind, RetryAfter, Status};

/// Mean waits of one trunk's phones, by what they had been told.
#[derive(Clone, Copy, Default)]
struct Waits {
    forbidden: Mean,
    temporary: Mean,
    refused: Mean,
}

#[derive(Clone, Copy, Default)]
struct Mean {
    sum_ns: u128,
    count: u32,
}

impl Mean {
    fn seconds(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_ns as f64 / f64::from(self.count) / 1e9)
    }
}

/// The retry habits of each trunk's phones; the entries are in order of time. No wait seen is no
/// wait known.
pub(super) fn observed(roster: &Roster, entries: &[Entry]) -> Vec<RetryHeader> {
    let mut waits = vec![Waits::default(); roster.trunks()];
    let mut failed: Vec<Option<(u64, SeenEnd)>> = vec![None; roster.len()];
    for entry in entries {
        let agent = entry.agent as usize;
        match entry.what {
            What::Ended(ref end) => failed[agent] = Some((entry.at, **end)),
            What::Started { kind: Kind::Retry } => {
                let Some((ended, end)) = failed[agent].take() else { continue };
                let mean = waits[usize::from(roster.agents[agent].trunk)].after(&end);
                mean.sum_ns += u128::from(entry.at.saturating_sub(ended));
                mean.count += 1;
            }
            _ => {}
        }
    }
    let header = |waits: Waits| RetryHeader {
        preset: "observed".to_owned(),
        forbidden_s: waits.forbidden.seconds(),
        temporary_s: waits.temporary.seconds(),
        refused_s: waits.refused.seconds(),
        max: None,
        retry_after: RetryAfter::Ignored,
    };
    waits.into_iter().map(header).collect()
}

impl Waits {
    fn after(&mut self, end: &SeenEnd) -> &mut Mean {
        match (end.status, end.code) {
            (_, 403) => &mut self.forbidden,
            (Status::RequestTimeout | Status::ServiceUnavailable | Status::TransportError, _) => &mut self.temporary,
            _ => &mut self.refused,
        }
    }
}
