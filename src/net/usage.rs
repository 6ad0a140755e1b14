//! What the process consumed (getrusage), giving freed memory back, and what machine it ran on
//! (uname, /proc). For the report, never for decisions.

use std::ffi::{CStr, c_char};
use std::fs;

/// Resources used by a process, or by its children.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Usage {
    /// CPU time in user mode, seconds, all threads.
    pub user_s: f64,
    /// CPU time in the kernel on our behalf, seconds, all threads.
    pub system_s: f64,
    /// Largest resident set so far.
    pub max_rss_bytes: u64,
}

/// Facts on the machine; a fact that cannot be read is empty or zero.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostFacts {
    pub name: String,
    /// The distribution as it names itself, else the kernel's name.
    pub os: String,
    /// Kernel release, like `6.12.3`.
    pub kernel: String,
    /// Processors this process may use.
    pub cpus: u32,
    pub cpu_model: String,
    pub memory_bytes: u64,
}

/// Reads what the process has used so far.
pub fn process() -> Usage {
    used_by(libc::RUSAGE_SELF)
}

/// Memory this process holds now (resident set), bytes; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    resident(&fs::read_to_string("/proc/self/status").unwrap_or_default())
}

fn resident(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kibibytes.map_or(0, |n| n.saturating_mul(1024))
}

/// Reads what the process's children have used that ended and were waited for.
pub fn children() -> Usage {
    used_by(libc::RUSAGE_CHILDREN)
}

/// Gives the pages of freed memory back to the system, where the C library can. It does so by
/// itself only at the heap's end: what was read from a list of a million agents and then dropped
/// would stay with the process for the whole run.
pub fn give_back_freed_memory() {
    // SAFETY: takes no pointer and touches no memory in use; other threads may allocate meanwhile.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Whether this process ignores a signal, as whoever started it may have wished (`nohup`).
pub fn ignores_signal(number: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    is_ignored(&status, number)
}

/// The mask of ignored signals is hexadecimal, the lowest bit that of signal 1 (proc(5)).
fn is_ignored(status: &str, number: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask.checked_shr(number.unsigned_abs().wrapping_sub(1)).unwrap_or(0) & 1 == 1
}

fn used_by(whom: libc::c_int) -> Usage {
    // SAFETY: rusage is integers only, so all zeroes is a value of it.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one rusage to `usage`, which outlives the call; both callers name
    // one that exists. Were the call to fail, the zeroes would stand.
    unsafe { libc::getrusage(whom, &raw mut usage) };
    Usage {
        user_s: seconds(usage.ru_utime),
        system_s: seconds(usage.ru_stime),
        // Linux counts kibibytes here.
        max_rss_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
    }
}

/// Reads the facts on this machine.
pub fn host() -> HostFacts {
    let (system, name, kernel) = uname();
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    HostFacts {
        name,
        os: distribution(&read("/etc/os-release")).unwrap_or(system),
        kernel,
        cpus: std::thread::available_parallelism().map_or(0, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        cpu_model: cpu_model(&cpuinfo).unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        memory_bytes: memory_bytes(&read("/proc/meminfo")),
    }
}

fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}

/// System, host name, kernel release.
fn uname() -> (String, String, String) {
    // SAFETY: utsname is arrays of bytes, so all zeroes is a value of it: empty strings.
    let mut names: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one utsname to `names`, which outlives the call.
    unsafe { libc::uname(&raw mut names) };
    (text(&names.sysname), text(&names.nodename), text(&names.release))
}

/// A C string in a fixed field, up to its terminator.
fn text(field: &[c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|&c| c.cast_unsigned()).collect();
    CStr::from_bytes_until_nul(&bytes).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn distribution(os_release: &str) -> Option<String> {
    let value = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned()).filter(|name| !name.is_empty())
}

/// The model as x86 kernels print it; others give no such line.
fn cpu_model(cpuinfo: &str) -> Option<String> {
    let (_, model) = cpuinfo.lines().find(|line| line.starts_with("model name"))?.split_once(':')?;
    Some(model.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn memory_bytes(meminfo: &str) -> u64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kibibytes.map_or(0, |n| n.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_their_mask() {
        let status = "Name:\tx\nSigIgn:\t0000000000001001\n";
        assert_eq!([1, 2, 13, 15].map(|number| is_ignored(status, number)), [true, false, true, false]);
        assert!(!is_ignored("", 1) && !is_ignored(status, 0));
    }

    #[test]
    fn reads_the_distribution() {
        assert_eq!(
            distribution("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n").as_deref(),
            Some("Debian GNU/Linux 12")
        );
        assert_eq!(distribution("PRETTY_NAME=''\n"), None);
        assert_eq!(distribution(""), None);
    }

    #[test]
    fn reads_processor_and_memory() {
        let cpuinfo = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Some  Maker(R) CPU @ 2.50GHz\n";
        assert_eq!(cpu_model(cpuinfo).as_deref(), Some("Some Maker(R) CPU @ 2.50GHz"));
        assert_eq!(cpu_model("Hardware : none\n"), None);
        assert_eq!(memory_bytes("MemTotal:        8000 kB\nMemFree: 1 kB\n"), 8_192_000);
        assert_eq!(memory_bytes("MemTotal: many\n"), 0);
    }

    #[test]
    fn this_process_and_this_machine_exist() {
        let usage = process();
        assert!(usage.max_rss_bytes > 100_000, "{usage:?}");
        assert!(resident_bytes() > 100_000);
        assert_eq!((resident("Name:\tx\nVmRSS:\t    2048 kB\n"), resident("VmRSS: many")), (2_097_152, 0));
        assert!(usage.user_s >= 0.0 && usage.system_s >= 0.0);
        let host = host();
        assert!(host.cpus >= 1 && host.memory_bytes > 0 && !host.kernel.is_empty() && !host.os.is_empty(), "{host:?}");
        assert!(!host.kernel.contains('\0'));
    }
}
