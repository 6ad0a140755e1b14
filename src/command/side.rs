//! Several things looked at side by side, each of which mostly waits.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The most at a time.
const SIDE_BY_SIDE: usize = 8;

/// What `look` makes of each item, in order; some are looked at side by side.
pub(super) fn side_by_side<I: Sync, T: Send>(items: &[I], look: impl Fn(&I) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(n) else { return done };
            done.push((n, look(item)));
        }
    };
    let mut all: Vec<(usize, T)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..items.len().min(SIDE_BY_SIDE)).map(|_| scope.spawn(work)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        // A panic goes on here as it would without threads.
        joined.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    all.sort_by_key(|(n, _)| *n);
    all.into_iter().map(|(_, made)| made).collect()
}
