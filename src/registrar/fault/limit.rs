//! `limit`: at most so many addresses of record bound at once; a further one is refused after
//! correct credentials.
//!
//! Counted over everyone the fault concerns, or for each account (the name in the credentials) or
//! source address by itself. Refreshes and removals of what is bound pass. The count runs also
//! outside the fault's window, so that a limit which begins later counts who is there already.

use super::{FaultRefusal, FaultScope, FaultSubject};
use crate::registrar::config::LimitScope;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct BindingLimit {
    scope: FaultScope,
    concurrent: u64,
    refusal: FaultRefusal,
    bound: Bound,
}

/// Addresses of record bound now.
#[derive(Debug)]
enum Bound {
    Together(u64),
    BySource(HashMap<IpAddr, u64>),
    ByAccount {
        counts: HashMap<Box<[u8]>, u64>,
        /// By user and domain: the account that bound it, for it may expire without a word from
        /// anybody.
        owners: HashMap<Aor, Box<[u8]>>,
    },
}

/// User and domain of an address of record.
type Aor = (Box<[u8]>, Box<[u8]>);

impl BindingLimit {
    pub(super) fn new(scope: FaultScope, concurrent: u32, counted: LimitScope, refusal: FaultRefusal) -> Self {
        let bound = match counted {
            LimitScope::Trunk => Bound::Together(0),
            LimitScope::Source => Bound::BySource(HashMap::new()),
            LimitScope::Account => Bound::ByAccount { counts: HashMap::new(), owners: HashMap::new() },
        };
        BindingLimit { scope, concurrent: concurrent.into(), refusal, bound }
    }

    pub(super) fn counts_accounts(&self) -> bool {
        matches!(self.bound, Bound::ByAccount { .. })
    }

    /// The refusal of one more address of record, asked for by `account`.
    pub(super) fn refusal(&self, elapsed: Duration, aor: &FaultSubject<'_>, account: &[u8]) -> Option<&FaultRefusal> {
        let bound = match &self.bound {
            Bound::Together(count) => *count,
            Bound::BySource(counts) => counts.get(&aor.source).copied().unwrap_or(0),
            Bound::ByAccount { counts, .. } => counts.get(account).copied().unwrap_or(0),
        };
        (bound >= self.concurrent && self.scope.covers(elapsed, aor)).then_some(&self.refusal)
    }

    pub(super) fn joined(&mut self, aor: &FaultSubject<'_>, account: &[u8]) {
        if !self.scope.concerns(aor) {
            return;
        }
        match &mut self.bound {
            Bound::Together(count) => *count += 1,
            Bound::BySource(counts) => *counts.entry(aor.source).or_default() += 1,
            Bound::ByAccount { counts, owners } => {
                *counts.entry(account.into()).or_default() += 1;
                owners.insert(key(aor), account.into());
            }
        }
    }

    pub(super) fn left(&mut self, aor: &FaultSubject<'_>) {
        if !self.scope.concerns(aor) {
            return;
        }
        match &mut self.bound {
            Bound::Together(count) => *count -= 1,
            Bound::BySource(counts) => one_less(counts, &aor.source),
            Bound::ByAccount { counts, owners } => {
                if let Some(account) = owners.remove(&key(aor)) {
                    one_less(counts, &account);
                }
            }
        }
    }
}

fn key(aor: &FaultSubject<'_>) -> Aor {
    (aor.user.unwrap_or_default().into(), aor.domain.into())
}

/// Counts of nothing are forgotten: sources and accounts come and go.
fn one_less<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u64>, of: &K) {
    if let Some(count) = counts.get_mut(of) {
        *count -= 1;
        if *count == 0 {
            counts.remove(of);
        }
    }
}
