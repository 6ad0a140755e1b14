//! Ctrl-C between two attempts: the one in progress ends, and what it bound is removed, before the
//! program does.

use crate::command::failure::Failure;
use crate::command::output::say;
use crate::engine::Signals;
use crate::net::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// Whether somebody wants an end.
#[derive(Clone, Debug)]
pub(super) struct Interrupt(Arc<AtomicI32>);

impl Interrupt {
    /// Listens to signals from now on; the second one ends the program at once.
    ///
    /// # Errors
    /// When the signals cannot be had.
    pub(super) fn watch(clock: Clock) -> Result<Interrupt, Failure> {
        let runtime = crate::command::runtime()?;
        // Caught before the first attempt, whenever the thread below gets going.
        let mut signals = runtime.block_on(async { Signals::listen(clock) }).map_err(Failure::could_not)?;
        let seen = Arc::new(AtomicI32::new(0));
        let flag = seen.clone();
        let watching = move || {
            runtime.block_on(async {
                loop {
                    let number = signals.next().await;
                    if flag.swap(number, Ordering::Relaxed) != 0 {
                        std::process::exit(128 + number);
                    }
                    say("ending after this attempt; once more ends at once and may leave a binding");
                }
            });
        };
        let thread = std::thread::Builder::new().name("signals".into()).spawn(watching);
        // It ends with the process.
        thread.map(|_| Interrupt(seen)).map_err(Failure::could_not)
    }

    /// The number of the signal that came.
    pub(super) fn signal(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|number| *number != 0)
    }
}
