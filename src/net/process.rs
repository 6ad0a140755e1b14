//! A command in a process group of its own: its output is waited for no longer than it deserves,
//! and it ends with whatever it started.
//!
//! It ends with this process too, however that ends: what runs at an exit is ended by a handler of
//! the C library's, and of a process that is killed the kernel ends at least the command itself.

use super::poll::wait_output_of;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

/// The groups that run: those of commands nobody has waited for yet.
static RUNNING: Mutex<Vec<libc::pid_t>> = Mutex::new(Vec::new());

/// A command and everything it starts; ended when it is dropped.
#[derive(Debug)]
pub struct ProcessGroup {
    child: Child,
    output: Option<ChildStdout>,
    /// Its end was seen: its number may be another process's by now.
    over: bool,
}

impl ProcessGroup {
    /// Starts a command, with the input and outputs it names; one that is piped is read by
    /// [`ProcessGroup::read`].
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> io::Result<ProcessGroup> {
        static AT_EXIT: Once = Once::new();
        // SAFETY: atexit takes a function that lives as long as the process.
        AT_EXIT.call_once(|| _ = unsafe { libc::atexit(end_all) });
        command.process_group(0);
        // SAFETY: between fork and exec only prctl is called, which is a bare system call that
        // takes numbers; it allocates nothing and holds no lock.
        unsafe { command.pre_exec(end_with_parent) };
        let mut running = running();
        let mut child = command.spawn()?;
        running.extend(group_of(&child));
        drop(running);
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
        // Once it was waited for, its number may be another's: nobody may end that.
        let mut running = running();
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.over = true;
            running.retain(|group| Some(*group) != group_of(&self.child));
        }
        Ok(status)
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut running = running();
        if let Some(group) = group_of(&self.child) {
            end(group);
            running.retain(|other| *other != group);
        }
        // It is dead: this does not wait.
        let _ = self.child.wait();
    }
}

fn running() -> MutexGuard<'static, Vec<libc::pid_t>> {
    // Numbers only: whoever panicked left no half of a change behind.
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn group_of(child: &Child) -> Option<libc::pid_t> {
    libc::pid_t::try_from(child.id()).ok()
}

fn end(group: libc::pid_t) {
    // SAFETY: killpg takes two numbers and no pointer. The group is a child's own, made before that
    // ran, and nobody has waited for the child, so the number is still its.
    unsafe { libc::killpg(group, libc::SIGKILL) };
}

/// At an exit, threads that wait for commands do not come to their ends.
extern "C" fn end_all() {
    running().iter().copied().for_each(end);
}

/// Has the kernel end this process with the thread that started it, which waits for it.
fn end_with_parent() -> io::Result<()> {
    // SAFETY: this prctl takes numbers and no pointer.
    let set = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
