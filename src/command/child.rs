//! Waiting for a child process no longer than it deserves.

use crate::net::clock::Clock;
use std::io;
use std::process::{Child, ExitStatus};
use std::time::Duration;

/// How often a child is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Waits for a child; `None`: it took longer than `patience` and was ended.
///
/// # Errors
/// When the child cannot be waited for or ended.
pub(super) fn wait(child: &mut Child, clock: Clock, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let until = clock.now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if clock.now() >= until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}
