//! What a host may do to a program that no test can make it do: a clock that is set, a suspended
//! machine, a disk that takes nothing. `shim.c` does it to one process, told by a file.

use super::program::{Regstorm, command};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

/// A library in a test's directory, and what it is to do.
pub struct Shim {
    control: File,
}

/// What can be done to the program; the numbers are places in `struct control` of `shim.c`.
#[derive(Clone, Copy)]
pub enum Fault {
    /// Nanoseconds that the calendar is set forward.
    Wall = 0,
    /// Nanoseconds that the machine was suspended.
    Suspended = 1,
    /// Nanoseconds that the kernel's stamps differ from the calendar.
    Stamps = 2,
    /// Bytes of memory that each write to a file costs.
    Grow = 3,
    /// 1: the next thread that receives gets more messages than it asked for, and panics.
    Breaks = 4,
    /// 1: writes to files do not end.
    Hung = 5,
    /// So many reads of a socket fail, because the kernel has no memory for them.
    Scarce = 6,
}

impl Shim {
    /// Builds the library in `dir` with the C compiler that rustc links with, and starts `regstorm
    /// ARGS` there under it; nothing happens so far.
    pub fn start(dir: &Path, args: &[&str]) -> (Shim, Regstorm) {
        Self::start_within(dir, args, |command| command)
    }

    /// The same, with the command as `within` makes it.
    pub fn start_within(dir: &Path, args: &[&str], within: impl FnOnce(Command) -> Command) -> (Shim, Regstorm) {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/shim.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o", "shim.so", source, "-ldl"])
            .current_dir(dir)
            .output()
            .expect("the C compiler that rustc links with");
        assert!(built.status.success(), "{built:?}");
        let control = File::create_new(dir.join("shim.control")).expect("a file of the test's own");
        control.set_len(7 * 8).expect("room");
        let mut command = command(dir, args);
        command.env("LD_PRELOAD", dir.join("shim.so")).env("SHIM_CONTROL", dir.join("shim.control"));
        (Shim { control }, Regstorm::start_with(within(command)))
    }

    /// From now on.
    pub fn set(&self, fault: Fault, value: i64) {
        self.control.write_all_at(&value.to_ne_bytes(), fault as u64 * 8).expect("a file of the test's own");
    }
}
