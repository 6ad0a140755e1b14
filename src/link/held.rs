//! Things that wait for their time: out in the order they are due, and among equals in the order
//! they came in.
//!
//! Plain ordering, no chance: [`super::Link`] and the registrar's replies stand on it.

use crate::vocab::Time;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A queue by due time.
#[derive(Clone, Debug)]
pub struct DueQueue<T> {
    heap: BinaryHeap<Reverse<QueueEntry<T>>>,
    /// Number of things ever put in: the order among equal due times.
    sequence: u64,
}

#[derive(Clone, Debug)]
struct QueueEntry<T> {
    due: Time,
    sequence: u64,
    thing: T,
}

impl<T> DueQueue<T> {
    pub fn new() -> Self {
        DueQueue { heap: BinaryHeap::new(), sequence: 0 }
    }

    /// Keeps `thing` until `due`.
    pub fn push(&mut self, due: Time, thing: T) {
        self.heap.push(Reverse(QueueEntry { due, sequence: self.sequence, thing }));
        self.sequence += 1;
    }

    /// The next thing due at or before `now`.
    pub fn pop(&mut self, now: Time) -> Option<T> {
        if self.next_due()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry.thing)
    }

    pub fn next_due(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(entry)| entry.due)
    }

    pub fn len(&self) -> usize {
        self.heap.len()
    }

    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

impl<T> Default for DueQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Ord for QueueEntry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.sequence).cmp(&(other.due, other.sequence))
    }
}

impl<T> PartialOrd for QueueEntry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for QueueEntry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for QueueEntry<T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn comes_out_by_time_then_by_arrival(dues in proptest::collection::vec(1u64..20, 0..100)) {
            let mut held = DueQueue::new();
            for (n, &due) in dues.iter().enumerate() {
                held.push(Time::from_nanos(due), (due, n));
            }
            let mut expected: Vec<_> = dues.iter().enumerate().map(|(n, &due)| (due, n)).collect();
            expected.sort_unstable();
            let out: Vec<_> = std::iter::from_fn(|| held.pop(Time::NEVER)).collect();
            prop_assert_eq!(out, expected);
        }

        #[test]
        fn nothing_comes_out_early(due in 2u64..1_000) {
            let mut held = DueQueue::new();
            held.push(Time::from_nanos(due), ());
            prop_assert_eq!(held.next_due(), Some(Time::from_nanos(due)));
            prop_assert_eq!(held.pop(Time::from_nanos(due - 1)), None);
            prop_assert_eq!(held.pop(Time::from_nanos(due)), Some(()));
        }
    }
}
