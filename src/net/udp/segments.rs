//! How many datagrams may leave as one (UDP GSO), and when they had better not.
//!
//! The kernel, or the device that a route leads to, may refuse what it promised in general: a
//! datagram that does not fit the path's MTU cannot be a segment, and a device without checksum
//! offload takes none at all. Then the same datagrams go out one by one, and so do later ones of
//! their kind: nothing is lost by having tried.

use std::io;

/// What one socket has learnt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Segments {
    most: usize,
    /// Datagrams of this length or longer leave alone.
    too_long: usize,
    /// Datagrams that are still to leave alone since the last ICMP error.
    alone: usize,
}

/// An ICMP error quotes the first datagram of those that left as one, and on loopback nobody hears
/// of the others. So after an error this many datagrams leave alone, and each is answered for
/// itself.
const AFTER_ERROR: usize = 1024;

impl Segments {
    pub(super) fn new(most: usize) -> Self {
        Segments { most: most.max(1), too_long: usize::MAX, alone: 0 }
    }

    /// The most datagrams that leave as one at present, of whatever length.
    pub(super) fn most(&self) -> usize {
        if self.alone > 0 { 1 } else { self.most }
    }

    /// The most datagrams of `len` bytes that leave as one at present.
    pub(super) fn of(&self, len: usize) -> usize {
        if (1..self.too_long).contains(&len) { self.most() } else { 1 }
    }

    /// So many datagrams were taken.
    pub(super) fn sent(&mut self, datagrams: usize) {
        self.alone = self.alone.saturating_sub(datagrams);
    }

    /// The network says that a datagram of this socket could not be delivered.
    pub(super) fn met_error(&mut self) {
        if self.most > 1 {
            self.alone = AFTER_ERROR;
        }
    }

    /// `leaving` datagrams of `len` bytes were refused: true when leaving as one was the reason,
    /// and they may be tried again.
    pub(super) fn refused(&mut self, error: &io::Error, len: usize, leaving: usize) -> bool {
        if leaving < 2 {
            return false;
        }
        match error.raw_os_error() {
            // Longer than the path takes in one piece.
            Some(libc::EINVAL | libc::EMSGSIZE) => self.too_long = len,
            // No checksum offload, or an IPsec route.
            Some(libc::EIO | libc::EOPNOTSUPP) => self.most = 1,
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(errno: i32) -> io::Error {
        io::Error::from_raw_os_error(errno)
    }

    #[test]
    fn what_is_too_long_for_the_path_leaves_alone() {
        let mut segments = Segments::new(64);
        assert_eq!((segments.of(600), segments.of(1600), segments.of(0)), (64, 64, 1));
        assert!(segments.refused(&error(libc::EINVAL), 1480, 3));
        assert_eq!((segments.of(600), segments.of(1480), segments.of(1600)), (64, 1, 1));
        assert!(!segments.refused(&error(libc::EINVAL), 1480, 1), "one alone was not refused for its company");
    }

    #[test]
    fn a_device_that_cannot_is_not_asked_again() {
        let mut segments = Segments::new(64);
        assert!(!segments.refused(&error(libc::EPERM), 600, 8));
        assert!(segments.refused(&error(libc::EIO), 600, 8));
        assert_eq!(segments.most(), 1);
    }

    #[test]
    fn after_an_error_of_the_network_each_leaves_alone_for_a_while() {
        let mut segments = Segments::new(64);
        segments.met_error();
        assert_eq!(segments.of(600), 1);
        segments.sent(AFTER_ERROR - 1);
        assert_eq!(segments.of(600), 1);
        segments.sent(1);
        assert_eq!(segments.of(600), 64);
    }
}
