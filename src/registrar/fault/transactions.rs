//! `transactions`: at most so many REGISTER transactions open at once; a further one is refused at
//! the door.
//!
//! A transaction is open from its request to the moment its final answer leaves (RFC 3261 §17.2.2),
//! so it takes a `delay` for any of them to be open at all. The refusal itself opens none, and
//! needs no credentials: this is how a front end protects itself, whatever the rate.

use super::{FaultRefusal, FaultScope, FaultSubject};
use crate::vocab::Time;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Transactions {
    scope: FaultScope,
    concurrent: usize,
    refusal: FaultRefusal,
    /// When the answers leave that have not left yet.
    open: BinaryHeap<Reverse<Time>>,
}

impl Transactions {
    pub(super) fn new(scope: FaultScope, concurrent: u32, refusal: FaultRefusal) -> Self {
        Transactions { scope, concurrent: concurrent as usize, refusal, open: BinaryHeap::new() }
    }

    /// The refusal of one more transaction.
    pub(super) fn refusal(
        &mut self,
        now: Time,
        elapsed: Duration,
        subject: &FaultSubject<'_>,
    ) -> Option<&FaultRefusal> {
        while self.open.peek().is_some_and(|Reverse(leaves)| *leaves <= now) {
            self.open.pop();
        }
        (self.open.len() >= self.concurrent && self.scope.covers(elapsed, subject)).then_some(&self.refusal)
    }

    /// A transaction's answer will leave then. Those that never leave are not counted: they would
    /// close the door for good.
    pub(super) fn opened(&mut self, leaves: Time, subject: &FaultSubject<'_>) {
        if leaves != Time::NEVER && self.scope.concerns(subject) {
            self.open.push(Reverse(leaves));
        }
    }
}
