//! A command of the user's that is run at each change, one after another, apart from whoever waits
//! for changes.

use super::child;
use super::output::say;
use crate::diagnose::findings::counted;
use crate::engine::Signals;
use crate::net::clock::Clock;
use crate::net::process::ProcessGroup;
use crate::vocab::Time;
use std::io;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A hook that takes longer is ended.
const PATIENCE: Duration = Duration::from_secs(30);
/// So long the hooks that are still to run at the end may take, all together.
const AT_END: Duration = Duration::from_secs(20);

/// What a hook is told, in its environment.
pub(super) type Variables = Vec<(&'static str, String)>;

/// The thread that runs the hook. Its end waits for the hooks that are still to run, for so long.
pub(super) struct Hook {
    changes: Option<Sender<Variables>>,
    thread: Option<JoinHandle<()>>,
    over: Closing,
    clock: Clock,
}

impl Hook {
    /// A hook run by `sh -c`. What it prints goes to standard error: standard output belongs to the
    /// lines of changes.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn new(command: &str, clock: Clock) -> io::Result<Hook> {
        let (changes, told) = channel::<Variables>();
        let over = Closing::default();
        let (command, closing) = (command.to_owned(), over.clone());
        let thread = std::thread::Builder::new().name("hook".to_owned());
        let thread = thread.spawn(move || run_each(&command, &told, clock, &closing))?;
        Ok(Hook { changes: Some(changes), thread: Some(thread), over, clock })
    }

    /// Has the hook run, after those before it.
    pub(super) fn tell(&self, variables: Variables) {
        if let Some(changes) = &self.changes {
            // The thread lives as long as the sender.
            let _ = changes.send(variables);
        }
    }

    /// Waits for the hooks that are still to run; not any longer when a signal comes.
    pub(super) async fn end(self, signals: &mut Signals) {
        let (over, clock) = (self.over.clone(), self.clock);
        let mut ended = tokio::task::spawn_blocking(move || drop(self));
        loop {
            tokio::select! {
                // A panic was told by its own hook.
                _ = &mut ended => return,
                _ = signals.next() => over.at(clock.now()),
            }
        }
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        drop(self.changes.take());
        self.over.at(self.clock.now() + AT_END);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// When the hooks must be over, as soon as somebody knows.
#[derive(Clone, Default)]
struct Closing(Arc<Mutex<Option<Time>>>);

impl Closing {
    /// By then, if not before.
    fn at(&self, time: Time) {
        let mut closing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *closing = Some(closing.map_or(time, |known| known.min(time)));
    }

    fn time(&self) -> Time {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(Time::NEVER)
    }
}

fn run_each(command: &str, told: &Receiver<Variables>, clock: Clock, over: &Closing) {
    let mut untold = 0u64;
    for variables in told {
        if clock.now() >= over.time() {
            untold += 1;
        } else if let Err(why) = run(command, variables, clock, over) {
            say(&format!("warning: the hook {why}"));
        }
    }
    if untold > 0 {
        say(&format!("warning: the hook was not run any more for the last {}", counted(untold, "change")));
    }
}

fn run(command: &str, variables: Variables, clock: Clock, over: &Closing) -> Result<(), String> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).envs(variables).stdin(Stdio::null()).stdout(io::stderr());
    let begun = clock.now();
    let group = ProcessGroup::start(&mut shell).map_err(|error| format!("could not be started: {error}"))?;
    match child::wait(group, clock, || over.time().min(begun + PATIENCE)) {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => Err(format!("ended with {status}")),
        Ok(None) => Err(format!("was ended after {} s", clock.now().since(begun).as_secs())),
        Err(error) => Err(format!("could not be waited for: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_that_hang_hold_up_no_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let begun = folder.path().join("begun");
        let hook = Hook::new(&format!("echo >> {}; sleep 600", begun.display()), Clock::new()).expect("a thread");
        hook.tell(Variables::new());
        hook.tell(Variables::new());
        while !begun.exists() {
            std::thread::yield_now();
        }
        hook.over.at(Time::ORIGIN);
        drop(hook);
        assert_eq!(std::fs::read_to_string(begun).expect("begun once"), "\n");
    }
}
