//! A command of the user's that is run at each change, one after another, apart from whoever waits
//! for changes.

use super::child;
use super::output::say;
use crate::net::clock::Clock;
use std::io;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A hook that takes longer is ended.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a hook is told, in its environment.
pub(super) type Variables = Vec<(&'static str, String)>;

/// The thread that runs the hook.
pub(super) struct Hook {
    changes: Option<Sender<Variables>>,
    thread: Option<JoinHandle<()>>,
}

impl Hook {
    /// A hook run by `sh -c`. What it prints goes to standard error: standard output belongs to the
    /// lines of changes.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn new(command: &str, clock: Clock) -> io::Result<Hook> {
        let (changes, told) = channel::<Variables>();
        let command = command.to_owned();
        let thread = std::thread::Builder::new().name("hook".to_owned()).spawn(move || {
            for variables in told {
                if let Err(why) = run(&command, variables, clock) {
                    say(&format!("warning: the hook {why}"));
                }
            }
        })?;
        Ok(Hook { changes: Some(changes), thread: Some(thread) })
    }

    /// Has the hook run, after those before it.
    pub(super) fn tell(&self, variables: Variables) {
        if let Some(changes) = &self.changes {
            // The thread lives as long as the sender.
            let _ = changes.send(variables);
        }
    }
}

impl Drop for Hook {
    /// Waits for the hooks that are still to run.
    fn drop(&mut self) {
        drop(self.changes.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(command: &str, variables: Variables, clock: Clock) -> Result<(), String> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).envs(variables).stdin(Stdio::null()).stdout(io::stderr());
    let mut child = shell.spawn().map_err(|error| format!("could not be started: {error}"))?;
    match child::wait(&mut child, clock, PATIENCE) {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => Err(format!("ended with {status}")),
        Ok(None) => Err(format!("was ended after {} s", PATIENCE.as_secs())),
        Err(error) => Err(format!("could not be waited for: {error}")),
    }
}
