//! A signal to a command that computes and sends nothing: it ends soon, and writes what it has.

use super::failure::Failure;
use super::output::say;
use crate::engine::Signals;
use crate::net::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// Knows whether a signal came; 0 is none.
#[derive(Clone, Debug, Default)]
pub(super) struct StopFlag(Arc<AtomicI32>);

impl StopFlag {
    /// Listens from now on, on a thread of its own. A second signal ends the process at once.
    ///
    /// # Errors
    /// When signals cannot be received.
    pub(super) fn listen(clock: Clock) -> Result<StopFlag, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::could_not(format!("signals cannot be received: {error}"));
        let flag = StopFlag::default();
        let (runtime, raised) = (super::runtime()?, flag.clone());
        let entered = runtime.enter();
        let mut signals = Signals::listen(clock).map_err(|error| failed(&error))?;
        drop(entered);
        let listen = move || {
            runtime.block_on(async {
                loop {
                    let number = signals.next().await;
                    if raised.0.swap(number, Ordering::Relaxed) != 0 {
                        std::process::exit(128 + number);
                    }
                    say("interrupted: writing what there is; press Ctrl-C again to stop at once");
                }
            });
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(|error| failed(&error))?;
        Ok(flag)
    }

    /// The number of the signal that came.
    pub(super) fn raised(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|&number| number != 0)
    }
}
