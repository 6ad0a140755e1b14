//! Counts what the current thread allocates: how often, and the bytes it holds, as glibc's
//! allocator gives them out: in chunks of 16 bytes, at least 32, with 8 of its own in each.

#![allow(dead_code, reason = "a test counts one of the three")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
    static MOST: Cell<i64> = const { Cell::new(0) };
}

fn chunk(layout: Layout) -> i64 {
    (layout.size() + 8).next_multiple_of(16).max(32) as i64
}

fn hold(bytes: i64) {
    let now = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        held.get()
    });
    let _ = MOST.try_with(|most| most.set(most.get().max(now.unwrap_or(0))));
}

// SAFETY: every call is passed on to the system's allocator unchanged; the counters neither
// allocate nor unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        hold(chunk(layout));
        // SAFETY: the caller's promise about `layout` is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        hold(-chunk(layout));
        // SAFETY: `pointer` came from `alloc` above, that is from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // The kernel moves the pages of what is large: both copies are never held.
        let grown = Layout::from_size_align(size, layout.align()).map_or(0, chunk);
        hold(grown - chunk(layout));
        // SAFETY: `pointer` came from this allocator, that is from the system's, and the caller's
        // promise about `layout` and `size` is handed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread while `work` runs.
pub fn during(work: impl FnOnce()) -> u64 {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

/// What `work` returns, and the bytes this thread holds more than before.
pub fn held_by<T>(work: impl FnOnce() -> T) -> (T, i64) {
    let before = HELD.with(Cell::get);
    let made = work();
    (made, HELD.with(Cell::get) - before)
}

/// The most bytes this thread held at one time while `work` ran, more than before.
pub fn most_during(work: impl FnOnce()) -> i64 {
    let before = HELD.with(Cell::get);
    MOST.with(|most| most.set(before));
    work();
    MOST.with(Cell::get) - before
}
