//! A command in a process group of its own: its output is waited for no longer than it deserves,
//! and it ends with whatever it started.

use super::poll::wait_output_of;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A command and everything it starts; ended when it is dropped.
#[derive(Debug)]
pub struct ProcessGroup {
    child: Child,
    output: Option<ChildStdout>,
    /// Its end was seen: its number may be another process's by now.
    over: bool,
}

impl ProcessGroup {
    /// Starts a command, whose standard output is to be read.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> io::Result<ProcessGroup> {
        let mut child = command.stdout(Stdio::piped()).process_group(0).spawn()?;
        let output = child.stdout.take();
        Ok(ProcessGroup { child, output, over: false })
    }

    /// What it printed, 0 once it has closed its output; `None`: nothing for so long.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<Option<usize>> {
        let Some(output) = &mut self.output else { return Ok(Some(0)) };
        if !wait_output_of(output.as_fd(), timeout) {
            return Ok(None);
        }
        output.read(buffer).map(Some)
    }

    /// How it ended; `None`: it goes on.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        self.over |= status.is_some();
        Ok(status)
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        if let Ok(group) = libc::pid_t::try_from(self.child.id()) {
            // SAFETY: killpg takes two numbers and no pointer. The group is the child's own, made
            // before it ran, and nobody has waited for the child, so the number is still its.
            unsafe { libc::killpg(group, libc::SIGKILL) };
        }
        // It is dead: this does not wait.
        let _ = self.child.wait();
    }
}
