//! `freeze`: nothing is answered in the window; what arrived then is handled at its end, in order.
//!
//! What arrives after the end while older requests still wait queues behind them, as it would in a
//! socket buffer.

use super::super::Peer;
use super::{FaultScope, FaultSubject};
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Debug)]
pub(in crate::registrar) struct Freeze {
    scope: FaultScope,
    waiting: VecDeque<Frozen>,
}

/// A request set aside, as received.
#[derive(Debug)]
pub(in crate::registrar) struct Frozen {
    pub from: Peer,
    pub datagram: Vec<u8>,
}

impl Freeze {
    pub(super) fn new(scope: FaultScope) -> Self {
        Freeze { scope, waiting: VecDeque::new() }
    }

    /// Whether a request is to wait.
    pub(super) fn catches(&self, elapsed: Duration, subject: &FaultSubject<'_>) -> bool {
        (self.scope.is_open(elapsed) || !self.waiting.is_empty()) && self.scope.concerns(subject)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= CAPACITY
    }

    /// Sets a request aside; the caller has asked [`Freeze::is_full`].
    pub(crate) fn push(&mut self, frozen: Frozen) {
        self.waiting.push_back(frozen);
    }

    /// The next request in order, once the window is over.
    pub(super) fn release(&mut self, elapsed: Duration) -> Option<Frozen> {
        if self.scope.is_open(elapsed) { None } else { self.waiting.pop_front() }
    }

    /// The end of the window when something waits for it.
    pub(super) fn ends_with_work(&self) -> Option<Duration> {
        if self.waiting.is_empty() { None } else { self.scope.until }
    }

    /// The end of the window (`None`: it has none) when it holds back a reply due now.
    pub(super) fn end_for(&self, elapsed: Duration, subject: &FaultSubject<'_>) -> Option<Option<Duration>> {
        self.scope.covers(elapsed, subject).then_some(self.scope.until)
    }
}

/// The most requests one freeze sets aside: ten times what a socket buffer of 8 MiB holds, at most
/// some 80 MB.
const CAPACITY: usize = 1 << 17;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registrar::config::{Fault, FaultKind};
    use crate::seed::Seed;

    #[test]
    fn holds_so_many_and_no_more_and_gives_them_back_in_order() {
        let until = Some(Duration::from_secs(2));
        let (from, sources) = (Duration::ZERO, Vec::new());
        let fault =
            Fault { kind: FaultKind::Freeze, from, until, share: 1.0, sources, addresses: Vec::new(), domain: None };
        let mut freeze = Freeze::new(FaultScope::new(&fault, Seed(1), 0));
        let sender = |n: usize| Peer::from(std::net::SocketAddr::from(([127, 0, 0, 1], n as u16)));
        for n in 0..CAPACITY {
            assert!(!freeze.is_full());
            freeze.push(Frozen { from: sender(n), datagram: Vec::new() });
        }
        assert!(freeze.is_full());
        assert!(freeze.release(Duration::from_millis(1_999)).is_none());
        assert!((0..CAPACITY).all(|n| freeze.release(Duration::from_secs(2)).is_some_and(|f| f.from == sender(n))));
        assert_eq!(freeze.ends_with_work(), None);
    }
}
