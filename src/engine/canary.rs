//! What canaries saw since it was last asked: they register on a thread of their own, beside the
//! load, and each interval takes what happened in it.

use crate::measure::CanaryCounts;
use std::sync::{Mutex, PoisonError};

/// By trunk.
#[derive(Debug)]
pub struct CanaryBooks(Mutex<Vec<CanaryCounts>>);

impl CanaryBooks {
    /// Of so many trunks; one without a canary has no checks.
    pub fn new(trunks: usize) -> Self {
        CanaryBooks(Mutex::new(vec![CanaryCounts::default(); trunks]))
    }

    /// A check of a trunk ended.
    pub fn checked(&self, trunk: usize, good: bool) {
        self.with(|books| {
            if let Some(counts) = books.get_mut(trunk) {
                counts.checks += 1;
                counts.failed += u64::from(!good);
                counts.in_a_row = if good { 0 } else { counts.in_a_row + 1 };
            }
        });
    }

    /// What there is since it was last taken; how many failed in a row goes on.
    pub(super) fn take(&self) -> Vec<CanaryCounts> {
        self.with(|books| {
            let taken = books.clone();
            for counts in books.iter_mut() {
                (counts.checks, counts.failed) = (0, 0);
            }
            taken
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<CanaryCounts>) -> T) -> T {
        // Numbers only: whoever panicked left no half of a change behind.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_go_on_over_intervals_and_end_with_a_good_check() {
        let books = CanaryBooks::new(2);
        let seen =
            |taken: Vec<CanaryCounts>| taken.iter().map(|c| (c.checks, c.failed, c.in_a_row)).collect::<Vec<_>>();
        books.checked(1, false);
        books.checked(1, false);
        assert_eq!(seen(books.take()), [(0, 0, 0), (2, 2, 2)]);
        assert_eq!(seen(books.take()), [(0, 0, 0), (0, 0, 2)], "nothing new");
        books.checked(1, false);
        assert_eq!(seen(books.take())[1], (1, 1, 3));
        books.checked(1, true);
        assert_eq!(seen(books.take())[1], (1, 0, 0));
        books.checked(9, true);
    }
}
