//! Real time in the tests: waiting for a condition with a deadline, and letting time pass where
//! that *is* the scenario.
//!
//! A test never sleeps to give something a chance to happen; it says what it waits for and how long
//! at most.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a condition is looked at. Short against every deadline, long against a look.
const POLL: Duration = Duration::from_millis(10);

/// The clock of the tests. The program's own rooms are told the time; a test outside the process
/// has to look.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests stand outside the program and measure it by a clock of their own"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// Looks until `look` yields something, and panics with `what` when `limit` has passed without it.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, look: impl FnMut() -> Option<T>) -> T {
    until_or(limit, look, || what.to_owned())
}

/// The same, and what was waited for is only put together when it did not come.
#[track_caller]
pub fn until_or<T>(limit: Duration, mut look: impl FnMut() -> Option<T>, what: impl FnOnce() -> String) -> T {
    let deadline = now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        if now() >= deadline {
            panic!("waited {limit:?} in vain for: {}", what());
        }
        std::thread::sleep(POLL);
    }
}

/// Waits until `value` has stayed the same for `quiet`, and returns it.
pub fn settled<T: PartialEq>(what: &str, quiet: Duration, limit: Duration, mut value: impl FnMut() -> T) -> T {
    let mut last = value();
    let mut since = now();
    until(what, limit, || {
        let current = value();
        if current != last {
            last = current;
            since = now();
        }
        (since.elapsed() >= quiet).then_some(())
    });
    last
}

/// Lets real time pass because its passing is the scenario (a process stopped for so long, a server
/// away for so long), never because something else is hoped to be ready by then.
pub fn let_pass(scenario: Duration) {
    std::thread::sleep(scenario);
}

/// Tests that put load on the machine take turns: two at once would disturb each other's timing.
pub fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
