//! Socket options: what is asked for, and what was obtained. Everything here is optional to the
//! kernel, so a refusal is no error: [`Features`] says what there is, and the run records it.

use crate::net::{check, size_for_kernel};
use socket2::Socket;
use std::fmt;
use std::io;
use std::os::fd::AsRawFd;

/// What a socket is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UdpOptions {
    /// Bytes of receive buffer. The kernel charges its own bookkeeping to it too, some 0.5–2 KB per
    /// datagram.
    pub recv_buffer: usize,
    /// Bytes of send buffer.
    pub send_buffer: usize,
    /// Whether to use recvmmsg and sendmmsg where they exist; `false` forces one call per datagram.
    pub batching: bool,
    /// Whether to ask for ICMP errors together with the datagram they are about.
    pub error_queue: bool,
    /// The most datagrams of one length that may leave as one where the kernel can cut them apart
    /// (UDP GSO); 0 and 1 for none, [`MOST_SEGMENTS`] at most.
    pub segments: usize,
    /// Whether datagrams that arrive together may be received as one (UDP GRO); each slot of a
    /// [`RecvBatch`](super::RecvBatch) must then have room for [`COALESCED`](super::COALESCED)
    /// bytes.
    pub coalescing: bool,
}

/// What kernels take as one: 64 datagrams before Linux 6.9, 128 since.
pub const MOST_SEGMENTS: usize = 64;

impl Default for UdpOptions {
    fn default() -> Self {
        let (recv_buffer, send_buffer) = (8 << 20, 4 << 20);
        Self { recv_buffer, send_buffer, batching: true, error_queue: true, segments: 1, coalescing: false }
    }
}

/// What a socket obtained. [`Display`](fmt::Display) writes the [`names`](Self::names).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Features {
    /// recvmmsg and sendmmsg.
    pub batching: bool,
    /// Receive timestamps of the kernel (SO_TIMESTAMPNS).
    pub timestamps: bool,
    /// A count of datagrams dropped because the receive buffer was full (SO_RXQ_OVFL).
    pub drop_counter: bool,
    /// ICMP errors with the datagram they are about (IP_RECVERR, IPV6_RECVERR).
    pub error_queue: bool,
    /// The most datagrams that leave as one (UDP_SEGMENT); 1: each by itself.
    pub segments: usize,
    /// Datagrams that arrive together are received as one (UDP_GRO).
    pub coalescing: bool,
    /// SO_RCVBUF as the kernel reports it: twice what it granted, to pay for its own bookkeeping.
    pub recv_buffer: usize,
    /// SO_SNDBUF, likewise.
    pub send_buffer: usize,
}

impl Features {
    /// As they stand in `run.json`: `recvmmsg`, `sendmmsg`, `udp-gso=64`, `udp-gro`,
    /// `rx-timestamp`, `rxq-ovfl`, `recverr`, `rcvbuf=16777216`, `sndbuf=8388608`. Without batching
    /// the first two read `recvmsg`, `sendmsg`.
    pub fn names(&self) -> Vec<String> {
        let (recv, send) = if self.batching { ("recvmmsg", "sendmmsg") } else { ("recvmsg", "sendmsg") };
        let segments = (self.segments > 1).then(|| format!("udp-gso={}", self.segments));
        let optional = [
            ("udp-gro", self.coalescing),
            ("rx-timestamp", self.timestamps),
            ("rxq-ovfl", self.drop_counter),
            ("recverr", self.error_queue),
        ];
        let obtained = optional.into_iter().filter(|(_, obtained)| *obtained).map(|(name, _)| name.to_owned());
        let sizes = [format!("rcvbuf={}", self.recv_buffer), format!("sndbuf={}", self.send_buffer)];
        [recv, send].map(str::to_owned).into_iter().chain(segments).chain(obtained).chain(sizes).collect()
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(", "))
    }
}

/// Asks for everything in `options`, quietly; says what was obtained.
pub(super) fn apply(socket: &Socket, ipv6: bool, options: &UdpOptions) -> Features {
    let force = |name, bytes: usize| set(socket, libc::SOL_SOCKET, name, bytes.try_into().unwrap_or(libc::c_int::MAX));
    // The forced variants pass the limits of net.core.{r,w}mem_max, and need CAP_NET_ADMIN.
    if force(libc::SO_RCVBUFFORCE, options.recv_buffer).is_err() {
        let _kept_as_it_is = socket.set_recv_buffer_size(options.recv_buffer);
    }
    if force(libc::SO_SNDBUFFORCE, options.send_buffer).is_err() {
        let _kept_as_it_is = socket.set_send_buffer_size(options.send_buffer);
    }
    let (level, name) = if ipv6 { (libc::SOL_IPV6, libc::IPV6_RECVERR) } else { (libc::SOL_IP, libc::IP_RECVERR) };
    let batching = options.batching && super::mmsg::available(std::os::fd::AsFd::as_fd(socket));
    // Zero leaves every send as it is, and shows that the kernel knows the word (Linux 4.18).
    let segmenting = batching && options.segments > 1 && set(socket, libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok();
    Features {
        batching,
        segments: if segmenting { options.segments.min(MOST_SEGMENTS) } else { 1 },
        // Linux 5.0.
        coalescing: options.coalescing && set(socket, libc::SOL_UDP, libc::UDP_GRO, 1).is_ok(),
        timestamps: set(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1).is_ok(),
        drop_counter: set(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1).is_ok(),
        error_queue: options.error_queue && set(socket, level, name, 1).is_ok(),
        recv_buffer: socket.recv_buffer_size().unwrap_or(0),
        send_buffer: socket.send_buffer_size().unwrap_or(0),
    }
}

/// Datagrams the socket has dropped so far, modulo 2^32, asked for directly (SO_MEMINFO, Linux
/// 4.12).
pub(super) fn drops(socket: &Socket) -> Option<u32> {
    const COUNTERS: usize = libc::SK_MEMINFO_DROPS as usize + 1;
    let mut counters = [0u32; COUNTERS];
    let mut len = size_for_kernel::<[u32; COUNTERS]>();
    let fd = socket.as_raw_fd();
    // SAFETY: the kernel writes at most `len` bytes to `counters` and the number of bytes to `len`;
    // both outlive the call.
    let result =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_MEMINFO, counters.as_mut_ptr().cast(), &raw mut len) };
    let whole = len as usize == size_of_val(&counters);
    (check(result).is_ok() && whole).then(|| counters[libc::SK_MEMINFO_DROPS as usize])
}

fn set(socket: &Socket, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let len = size_for_kernel::<libc::c_int>();
    // SAFETY: the kernel reads one integer from `value`, which outlives the call.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), len) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_named_as_the_contract_of_the_result_files_has_them() {
        let features = Features {
            batching: true,
            segments: 64,
            coalescing: true,
            timestamps: true,
            drop_counter: true,
            error_queue: true,
            recv_buffer: 16_777_216,
            send_buffer: 8_388_608,
        };
        assert_eq!(
            features.to_string(),
            "recvmmsg, sendmmsg, udp-gso=64, udp-gro, rx-timestamp, rxq-ovfl, recverr, rcvbuf=16777216, sndbuf=8388608"
        );
        let bare = Features {
            batching: false,
            segments: 1,
            coalescing: false,
            timestamps: false,
            drop_counter: false,
            error_queue: false,
            ..features
        };
        assert_eq!(bare.names()[..3], ["recvmsg", "sendmsg", "rcvbuf=16777216"]);
    }
}
