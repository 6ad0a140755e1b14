//! Socket addresses in the kernel's layout, with room for IPv4 and IPv6.

use crate::net::size_for_kernel;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// A `sockaddr_in` or a `sockaddr_in6`, told apart by the family both begin with.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) union RawAddress {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

/// Bytes the kernel may write to a [`RawAddress`].
pub(super) const ROOM: libc::socklen_t = size_for_kernel::<RawAddress>();

impl RawAddress {
    /// The address and the number of its bytes that count.
    #[expect(clippy::cast_possible_truncation, reason = "the kernel's own constants, below 16")]
    pub(super) fn new(address: SocketAddr) -> (Self, libc::socklen_t) {
        // Zeroed first, so that every byte is initialised whichever variant is written.
        let mut raw = Self::default();
        match address {
            SocketAddr::V4(address) => {
                raw.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: address.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
                    sin_zero: [0; 8],
                };
                (raw, size_for_kernel::<libc::sockaddr_in>())
            }
            SocketAddr::V6(address) => {
                raw.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: address.port().to_be(),
                    sin6_flowinfo: address.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                    sin6_scope_id: address.scope_id(),
                };
                (raw, size_for_kernel::<libc::sockaddr_in6>())
            }
        }
    }

    /// The address that was written here; `0.0.0.0:0` when none was.
    pub(super) fn get(&self) -> SocketAddr {
        // SAFETY: all bytes are initialised (by `default`, the kernel writes over them), both
        // variants are integers only, and the family lies at the same place in both.
        let (v4, v6) = unsafe { (self.v4, self.v6) };
        if libc::c_int::from(v6.sin6_family) == libc::AF_INET6 {
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), v6.sin6_flowinfo, v6.sin6_scope_id).into()
        } else {
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into()
        }
    }
}

impl Default for RawAddress {
    fn default() -> Self {
        // SAFETY: both variants are integers only, so all zeroes is a value of either.
        unsafe { std::mem::zeroed() }
    }
}

impl std::fmt::Debug for RawAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_wrote() {
        for text in ["127.0.0.1:5060", "203.0.113.9:65535", "[::1]:1", "[2001:db8::5]:5061"] {
            let address: SocketAddr = text.parse().expect("a literal");
            let (raw, len) = RawAddress::new(address);
            assert_eq!(raw.get(), address);
            assert_eq!(len as usize, if address.is_ipv4() { 16 } else { 28 });
        }
        let scoped = SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 5060, 0, 3));
        assert_eq!(RawAddress::new(scoped).0.get(), scoped);
        assert_eq!(RawAddress::default().get().to_string(), "0.0.0.0:0");
    }
}
