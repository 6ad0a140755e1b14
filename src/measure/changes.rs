//! Which rows of a table changed in which interval, so that a long list of them can be handed over
//! a piece at a time.
//!
//! At an interval's end hundreds of thousands of rows may have changed. To copy them all at once
//! would hold up whoever sends on time; so an interval is only cut there, and its rows leave in
//! pieces while the next interval goes on. A row that changes before it has left is copied first,
//! as it was: what is handed over is the state at the cut.

/// In which interval a row changed last, as far as that still matters.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum ChangeMark {
    /// Before the cut, and handed over since.
    #[default]
    Clean,
    Even,
    Odd,
}

/// What was known of a row that is about to change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Touched {
    /// It had not changed in this interval.
    First,
    /// It has changed in this interval before.
    Again,
    /// It is to be handed over with the interval before, and must be copied now.
    Leaving,
}

/// The changed rows of a table, by their positions: those of this interval, and those of the one
/// before that have not been handed over. Memory: up to 8 bytes a row.
#[derive(Clone, Debug)]
pub(super) struct Changes {
    changed: Vec<u32>,
    leaving: Vec<u32>,
    /// Those of `leaving` before this one have left.
    next: usize,
    /// The mark of what changes in this interval.
    now: ChangeMark,
}

impl Changes {
    /// Room for as many rows without allocating again.
    pub(super) fn with_capacity(rows: usize) -> Self {
        Changes { changed: Vec::with_capacity(rows), leaving: Vec::with_capacity(rows), next: 0, now: ChangeMark::Even }
    }

    /// A row is about to change.
    #[inline]
    pub(super) fn touch(&mut self, position: u32, mark: &mut ChangeMark) -> Touched {
        if *mark == self.now {
            return Touched::Again;
        }
        self.changed.push(position);
        match std::mem::replace(mark, self.now) {
            ChangeMark::Clean => Touched::First,
            ChangeMark::Even | ChangeMark::Odd => Touched::Leaving,
        }
    }

    /// The interval ends: what changed in it is to be handed over. Returns how many rows that are.
    ///
    /// # Panics
    /// When rows of the interval before have not left: nothing would tell them from those of this
    /// one.
    pub(super) fn cut(&mut self) -> usize {
        assert_eq!(self.next, self.leaving.len(), "rows of the interval before have not been handed over");
        self.leaving.clear();
        self.next = 0;
        std::mem::swap(&mut self.changed, &mut self.leaving);
        self.now = if self.now == ChangeMark::Even { ChangeMark::Odd } else { ChangeMark::Even };
        self.leaving.len()
    }

    /// The next row that has not left; [`Changes::leaves`] says whether it is still to be copied.
    pub(super) fn next(&mut self) -> Option<u32> {
        let position = self.leaving.get(self.next).copied()?;
        self.next += 1;
        Some(position)
    }

    /// False for a row that changed after the cut and was copied then.
    pub(super) fn leaves(&self, mark: &mut ChangeMark) -> bool {
        let leaves = *mark != self.now;
        if leaves {
            *mark = ChangeMark::Clean;
        }
        leaves
    }

    pub(super) fn have_left(&self) -> bool {
        self.next == self.leaving.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A table of counters: what it hands over in pieces must be what it would have handed over at
    /// once.
    struct Table {
        rows: Vec<(u32, ChangeMark)>,
        changes: Changes,
        early: Vec<(u32, u32)>,
    }

    impl Table {
        fn new(rows: usize) -> Self {
            Table { rows: vec![(0, ChangeMark::Clean); rows], changes: Changes::with_capacity(0), early: Vec::new() }
        }

        fn change(&mut self, position: u32) {
            let (count, mark) = &mut self.rows[position as usize];
            if self.changes.touch(position, mark) == Touched::Leaving {
                self.early.push((position, *count));
            }
            *count += 1;
        }

        fn leave(&mut self, limit: usize) -> Vec<(u32, u32)> {
            let mut left = std::mem::take(&mut self.early);
            for _ in 0..limit {
                let Some(position) = self.changes.next() else { break };
                let (count, mark) = &mut self.rows[position as usize];
                if self.changes.leaves(mark) {
                    left.push((position, *count));
                }
            }
            left
        }
    }

    proptest! {
        #[test]
        fn rows_leave_as_they_were_at_the_cut(
            intervals in proptest::collection::vec(
                (proptest::collection::vec(0_u32..8, 0..20), proptest::collection::vec((0_u32..8, 0_usize..4), 0..20)),
                1..8,
            ),
        ) {
            let (mut pieces, mut whole) = (Table::new(8), Table::new(8));
            // What changes between a cut and the next is of the next interval, for both.
            let mut carried: Vec<u32> = Vec::new();
            for (changes, between) in intervals {
                for position in carried.drain(..) {
                    whole.change(position);
                }
                for position in changes {
                    pieces.change(position);
                    whole.change(position);
                }
                pieces.changes.cut();
                whole.changes.cut();
                let mut at_once = whole.leave(usize::MAX);
                let mut left = Vec::new();
                for (position, limit) in between {
                    if pieces.changes.have_left() {
                        break;
                    }
                    pieces.change(position);
                    carried.push(position);
                    left.extend(pieces.leave(limit));
                }
                left.extend(pieces.leave(usize::MAX));
                prop_assert!(pieces.changes.have_left());
                left.sort_unstable();
                at_once.sort_unstable();
                prop_assert_eq!(left, at_once);
            }
        }
    }

    #[test]
    #[should_panic(expected = "have not been handed over")]
    fn a_second_cut_before_the_rows_have_left_is_refused() {
        let mut table = Table::new(1);
        table.change(0);
        table.changes.cut();
        table.changes.cut();
    }
}
