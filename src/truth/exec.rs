//! A command of the user's that prints a number.

use super::{Adapter, Deadline, TruthPlace, TruthSource, shown};
use crate::net::poll::pause;
use crate::net::process::ProcessGroup;
use crate::vocab::Secret;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A command that prints more prints no number.
const LONGEST: usize = 4_096;
/// How often a command that has closed its output is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// What the command finds its secret under.
const SECRET: &str = "REGSTORM_SECRET";

/// Runs a command by `sh -c`.
pub(super) struct Exec {
    command: String,
    secret: Secret,
}

impl Exec {
    pub(super) fn new(source: &TruthSource) -> Exec {
        let command = match &source.place {
            TruthPlace::Command(command) => command.clone(),
            _ => String::new(),
        };
        Exec { command, secret: source.secret.clone() }
    }
}

impl Adapter for Exec {
    fn count(&mut self, wait: Deadline) -> Result<u64, String> {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(&self.command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        if !self.secret.reveal().is_empty() {
            shell.env(SECRET, self.secret.reveal());
        }
        // What the shell started ends with it, whoever holds its output open.
        let mut group = ProcessGroup::start(&mut shell).map_err(|error| format!("cannot be started: {error}"))?;
        let printed = printed(&mut group, wait)?;
        loop {
            match group.ended().map_err(|error| format!("cannot be waited for: {error}"))? {
                None => pause(wait.left()?.min(LOOK)),
                Some(status) if status.success() => return read(&printed),
                Some(status) => return Err(format!("the command ended with {status}")),
            }
        }
    }
}

/// What it prints until it closes its output.
fn printed(group: &mut ProcessGroup, wait: Deadline) -> Result<Vec<u8>, String> {
    let mut printed = Vec::new();
    let mut buffer = [0; 512];
    loop {
        match group.read(&mut buffer, wait.left()?).map_err(|error| error.to_string())? {
            None => {}
            Some(0) => return Ok(printed),
            Some(read) => printed.extend_from_slice(&buffer[..read]),
        }
        if printed.len() > LONGEST {
            return Err("the command prints too much to be a number".to_owned());
        }
    }
}

/// The number that was printed, and nothing beside it.
fn read(printed: &[u8]) -> Result<u64, String> {
    let text = String::from_utf8_lossy(printed);
    let number = text.trim();
    match number.parse() {
        Ok(number) => Ok(number),
        Err(_) if number.is_empty() => Err("the command printed nothing".to_owned()),
        Err(_) => Err(format!("the command printed no number: {}", shown(number))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::clock::Clock;
    use crate::truth::TruthSource;
    use crate::vocab::TruthKind;

    fn count(command: &str, secret: &str, patience: Duration) -> Result<u64, String> {
        let source = TruthSource {
            kind: TruthKind::Exec,
            place: TruthPlace::Command(command.to_owned()),
            every: Duration::from_secs(1),
            pointer: String::new(),
            username: String::new(),
            secret: Secret::new(secret),
        };
        Exec::new(&source).count(Deadline::new(Clock::new(), patience))
    }

    #[test]
    fn a_command_prints_a_number() {
        let long = Duration::from_secs(60);
        assert_eq!(count("echo ' 42'", "", long), Ok(42));
        assert_eq!(count("echo ${#REGSTORM_SECRET}", "hunter2", long), Ok(7));
        assert_eq!(count("true", "", long), Err("the command printed nothing".to_owned()));
        let said = count("echo five", "", long).expect_err("no number");
        assert_eq!(said, "the command printed no number: five");
        assert!(count("echo 5; exit 3", "", long).expect_err("a failure").contains("exit status: 3"));
        assert!(count("yes", "", long).expect_err("endless").contains("too much"));
    }

    #[test]
    fn a_command_that_takes_too_long_is_ended_with_what_it_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let pid = folder.path().join("pid");
        let command = format!("sleep 600 & echo $! > {}; wait", pid.display());
        // It is started and ended again until it lived long enough to name what it started.
        let started = (1..=20u32).find_map(|times| {
            let said = count(&command, "", Duration::from_millis(100) * times);
            assert_eq!(said, Err("no answer in time".to_owned()));
            std::fs::read_to_string(&pid).ok().filter(|text| text.ends_with('\n'))
        });
        let started = started.expect("a shell starts within two seconds");
        let alive = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", started.trim())).unwrap_or_default();
            // A process that nobody has waited for yet is a zombie.
            !stat.is_empty() && !stat.contains(") Z")
        };
        let looks = (0..1_000).take_while(|_| alive()).map(|_| pause(LOOK)).count();
        assert!(looks < 1_000, "{started} goes on");
    }
}
