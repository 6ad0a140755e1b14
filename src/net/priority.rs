//! How soon the kernel runs a thread that becomes ready.
//!
//! A sender that waits its turn behind a compiler is late by that compiler's time slice, 3 ms and
//! more. Since Linux 6.12 a thread of the ordinary class may ask for a short slice of its own, and
//! is then run as soon as it wakes; a lower nice value, where permitted, does the rest. Neither
//! takes more than a fair share, unlike the real-time classes, which could starve the registrar
//! under test when it shares the machine.

use std::io;

/// The slice asked for, nanoseconds; the kernel's minimum.
const SLICE_NS: u64 = 100_000;

/// The nice value asked for where the process may.
const NICE: i32 = -10;

/// The nice value of a thread that gives way.
const LAST: i32 = 10;

/// The kernel's `struct sched_attr` (VER0, 48 bytes), which the C library does not declare.
#[repr(C)]
#[derive(Default)]
struct SchedAttr {
    size: u32,
    sched_policy: u32,
    sched_flags: u64,
    sched_nice: i32,
    sched_priority: u32,
    sched_runtime: u64,
    sched_deadline: u64,
    sched_period: u64,
}

/// Asks for the calling thread, and every thread it starts from then on, to be run promptly, and
/// says what was granted: `slice=100us`, `nice=-10`. A refusal is no error; older kernels accept
/// the slice and ignore it.
pub fn prefer_promptness() -> Vec<String> {
    if set(NICE, SLICE_NS).is_ok() {
        vec![format!("slice={}us", SLICE_NS / 1000), format!("nice={NICE}")]
    } else if set(0, SLICE_NS).is_ok() {
        vec![format!("slice={}us", SLICE_NS / 1000)]
    } else {
        Vec::new()
    }
}

/// Lets the calling thread wait for all others: it works for somebody who looks on, and that must
/// cost the run nothing. A refusal is no error.
pub fn give_way() {
    let _ = set(LAST, 0);
}

/// A `slice_ns` of 0 is the kernel's usual one.
fn set(nice: i32, slice_ns: u64) -> io::Result<()> {
    let mut attr = SchedAttr {
        size: super::size_for_kernel::<SchedAttr>(),
        sched_policy: libc::SCHED_OTHER as u32,
        sched_nice: nice,
        sched_runtime: slice_ns,
        ..SchedAttr::default()
    };
    // SAFETY: sched_setattr(2) reads `size` bytes behind the pointer, which is a live, fully
    // initialised struct of that size, and writes back at most its `size` field when the kernel
    // refuses it; thread 0 is the calling one.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw mut attr, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_granted_is_named_and_nothing_fails() {
        let granted = std::thread::spawn(prefer_promptness).join().expect("no panic");
        assert!(granted.iter().all(|word| word.starts_with("slice=") || word.starts_with("nice=")), "{granted:?}");
    }
}
