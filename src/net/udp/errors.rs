//! The error queue (MSG_ERRQUEUE with IP_RECVERR or IPV6_RECVERR): ICMP errors with the start of
//! the datagram they are about, and which error numbers are such errors.

use super::control;
use super::header;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Empties the error queue into `each`: what ICMP quoted of our datagram, behind the UDP header (a
/// router may quote as little as nothing), and the error. True when it was emptied, false when the
/// limit of one call was reached.
pub(super) fn drain(socket: BorrowedFd<'_>, mut each: impl FnMut(&[u8], io::Error)) -> bool {
    let mut quoted = [0u8; QUOTED];
    for _ in 0..PER_CALL {
        let mut control = ErrorControl([0; 256]);
        let mut vector = libc::iovec { iov_base: quoted.as_mut_ptr().cast(), iov_len: quoted.len() };
        let mut header = header::empty();
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = control.0.len() as _;
        let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
        // SAFETY: the header points to a vector, a buffer and a control buffer on this stack with
        // their true lengths; all outlive the call. The kernel writes no further than the lengths,
        // and keeps no pointer.
        let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
        let Ok(len) = usize::try_from(len) else {
            if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return true;
        };
        if let Some(errno) = remote_error(header::told(&header, &control.0)) {
            each(&quoted[..len.min(quoted.len())], io::Error::from_raw_os_error(errno));
        }
    }
    false
}

/// Whether an error that a call returned belongs to an earlier datagram: an ICMP error that was
/// waiting in the socket (the table of `icmp_err_convert` and its IPv6 sibling). A route that is
/// missing here and now reads the same, hence the few tries in [`Udp::send`](super::Udp::send).
pub(super) fn is_pending(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNREFUSED
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::EPROTO
                | libc::EACCES
        )
    )
}

/// The error number in the extended error of a control buffer; `None` for one that our own kernel
/// raised while sending (SO_EE_ORIGIN_LOCAL), because the call that sent has reported it already.
fn remote_error(control: &[u8]) -> Option<i32> {
    let extended = control::messages(control).find(|message| {
        matches!((message.level, message.kind), (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR))
    })?;
    // struct sock_extended_err: errno in four bytes, then the origin in one.
    let errno = i32::from_ne_bytes(*extended.data.first_chunk()?);
    let origin = *extended.data.get(size_of::<u32>())?;
    matches!(origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6).then_some(errno)
}

/// Room for an extended error with an IPv6 address (64 bytes), a timestamp and a drop count.
#[repr(C, align(8))]
struct ErrorControl([u8; 256]);

/// Longer than what ICMP quotes: 576 bytes in all over IPv4 (RFC 1812 §4.3.2.3), 1280 over IPv6
/// (RFC 4443 §3.1).
const QUOTED: usize = 2048;
/// Errors taken per call, so that a storm of them does not hold up a turn.
const PER_CALL: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn extended(level: libc::c_int, kind: libc::c_int, errno: i32, origin: u8) -> Vec<u8> {
        let mut bytes = 32usize.to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(errno.to_ne_bytes());
        bytes.extend([origin, 3, 3, 0]);
        bytes.resize(32, 0);
        bytes
    }

    #[test]
    fn only_errors_from_the_network_count() {
        let icmp = extended(libc::SOL_IP, libc::IP_RECVERR, libc::ECONNREFUSED, libc::SO_EE_ORIGIN_ICMP);
        assert_eq!(remote_error(&icmp), Some(libc::ECONNREFUSED));
        let icmp6 = extended(libc::SOL_IPV6, libc::IPV6_RECVERR, libc::EHOSTUNREACH, libc::SO_EE_ORIGIN_ICMP6);
        assert_eq!(remote_error(&icmp6), Some(libc::EHOSTUNREACH));
        let local = extended(libc::SOL_IP, libc::IP_RECVERR, libc::EMSGSIZE, libc::SO_EE_ORIGIN_LOCAL);
        assert_eq!(remote_error(&local), None);
        assert_eq!(remote_error(&[]), None);
    }

    #[test]
    fn a_message_too_long_is_nobody_elses_error() {
        assert!(is_pending(&io::Error::from_raw_os_error(libc::ECONNREFUSED)));
        for errno in [libc::EMSGSIZE, libc::EAGAIN, libc::ENOBUFS, libc::EINVAL] {
            assert!(!is_pending(&io::Error::from_raw_os_error(errno)), "{errno}");
        }
    }
}
