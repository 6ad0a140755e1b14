//! Waiting for a command no longer than it deserves.

use crate::net::clock::Clock;
use crate::net::process::ProcessGroup;
use crate::vocab::Time;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

/// How often a command is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Waits for a command; `None`: it took longer than `until`, which is asked again and again, and
/// was ended with whatever it had started.
///
/// # Errors
/// When it cannot be waited for; it was ended then, too.
pub(super) fn wait(mut group: ProcessGroup, clock: Clock, until: impl Fn() -> Time) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = group.ended()? {
            return Ok(Some(status));
        }
        if clock.now() >= until() {
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn what_takes_too_long_is_ended_with_what_it_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let pid = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", pid.display());
        let group = ProcessGroup::start(Command::new("sh").arg("-c").arg(script)).expect("a shell");
        // It has all the time it takes to name what it started, and none after that.
        let until = || if pid.exists() { Time::ORIGIN } else { Time::NEVER };
        assert_eq!(wait(group, Clock::new(), until).expect("our own child"), None);
        let started = std::fs::read_to_string(&pid).expect("named");
        let stat = format!("/proc/{}/stat", started.trim());
        // A process that nobody has waited for yet is a zombie.
        let alive = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z"));
        let looks = (0..1_000).take_while(|_| alive()).map(|_| std::thread::sleep(LOOK)).count();
        assert!(looks < 1_000, "{started} goes on");
    }
}
