//! How many sockets the process may have: descriptors (RLIMIT_NOFILE) and ports the kernel gives
//! out.

use super::check;
use std::{fs, io};

/// Raises the soft limit on open descriptors to the hard one and returns what holds then.
///
/// # Errors
/// When the limit can neither be read nor raised.
pub fn raise_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one rlimit to `limit`, which outlives the call.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: the kernel reads one rlimit, which outlives the call.
        check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    }
    Ok(limit.rlim_cur)
}

/// How many local ports the kernel gives out by itself on one address; 0: unknown.
pub fn ephemeral_ports() -> u64 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").map_or(0, |text| ports_of(&text))
}

/// `32768\t60999` holds both its ends.
fn ports_of(text: &str) -> u64 {
    let mut ends = text.split_whitespace().filter_map(|end| end.parse::<u64>().ok());
    match (ends.next(), ends.next()) {
        (Some(first), Some(last)) if first <= last => last - first + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_ports_has_both_its_ends() {
        assert_eq!(["32768\t60999\n", "7 7", "", "9 1", "x"].map(ports_of), [28_232, 1, 0, 0, 0]);
    }

    #[test]
    fn raising_twice_changes_nothing() {
        let first = raise_limit().expect("own limit");
        assert!(first >= 256, "{first}");
        assert_eq!(raise_limit().expect("own limit"), first);
    }
}
