//! Ctrl-C between two attempts: the one in progress ends, and what it bound is removed, before the
//! program does.

use crate::command::failure::Failure;
use crate::command::output::say;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use tokio::signal::unix::{SignalKind, signal};

/// Whether somebody wants an end.
#[derive(Clone, Debug)]
pub(super) struct Interrupt(Arc<AtomicI32>);

impl Interrupt {
    /// Watches for SIGINT and SIGTERM from now on; the second one ends the program at once.
    ///
    /// # Errors
    /// When the signals cannot be had.
    pub(super) fn watch() -> Result<Interrupt, Failure> {
        let runtime = crate::command::runtime()?;
        // Caught before the first attempt, whenever the thread below gets going.
        let (mut interrupt, mut terminate) = runtime.block_on(async {
            let caught = |kind| signal(kind).map_err(Failure::could_not);
            Ok::<_, Failure>((caught(SignalKind::interrupt())?, caught(SignalKind::terminate())?))
        })?;
        let seen = Arc::new(AtomicI32::new(0));
        let flag = seen.clone();
        let watching = move || {
            runtime.block_on(async {
                loop {
                    let number = tokio::select! {
                        _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
                        _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
                    };
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
