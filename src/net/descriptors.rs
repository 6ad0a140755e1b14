//! How many sockets the process may have (RLIMIT_NOFILE).

use super::check;
use std::io;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raising_twice_changes_nothing() {
        let first = raise_limit().expect("own limit");
        assert!(first >= 256, "{first}");
        assert_eq!(raise_limit().expect("own limit"), first);
    }
}
