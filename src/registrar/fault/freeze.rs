//! `freeze`: nothing is answered in the window; what arrived then is handled at its end, in order.
//!
//! What arrives after the end while older requests still wait queues behind them, as it would in a socket buffer.

use super::{Scope, Subject};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Debug)]
pub(in crate::registrar) struct Freeze {
    scope: Scope,
    waiting: VecDeque<Frozen>,
}

/// A request set aside, as received.
#[derive(Debug)]
pub(in crate::registrar) struct Frozen {
    pub from: SocketAddr,
    pub datagram: Vec<u8>,
}

impl Freeze {
    pub(super) fn new(scope: Scope) -> Self {
        Freeze { scope, waiting: VecDeque::new() }
    }

    /// Whether a request is to wait.
    pub(super) fn catches(&self, elapsed: Duration, subject: &Subject<'_>) -> bool {
        (self.scope.is_open(elapsed) || !self.waiting.is_empty()) && self.scope.concerns(subject)
    }

    pub fn is_full(&self) -> bool {
        self.waiting.len() >= CAPACITY
    }

    /// Sets a request aside; the caller has asked [`Freeze::is_full`].
    pub fn push(&mut self, frozen: Frozen) {
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
    pub(super) fn end_for(&self, elapsed: Duration, subject: &Subject<'_>) -> Option<Option<Duration>> {
        self.scope.covers(elapsed, subject).then_some(self.scope.until)
    }
}

/// The most requests one freeze sets aside: ten times what a socket buffer of 8 MiB holds, at most some 80 MB.
const CAPACITY: usize = 1 << 17;
