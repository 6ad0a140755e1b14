//! Bytes, addresses and kernel timestamps. The only room with `unsafe`; it knows no SIP.
//!
//! `udp` is a batched socket (sendmmsg/recvmmsg with receive timestamps and drop counts, a plain
//! fallback behind the same functions), `poll` waits for sockets and a deadline with nanosecond
//! precision, `tcp` is one connection, `tls` what secures it, `ws` what makes it a WebSocket, `layer`
//! why either cannot go on, `certificate` reads what one says of itself, `clock` reads the kernel's clocks, `resolve` turns names into addresses, `usage` reads
//! what the process consumed.
//!
//! Linux only: every file here stands on one of its system calls. Each `unsafe` block says what the
//! kernel promises and why the pointers live; no pointer outlives the function that made it.

pub mod certificate;
pub mod clock;
pub mod descriptors;
pub mod layer;
pub mod poll;
pub mod priority;
pub mod resolve;
pub mod tcp;
pub mod tls;
pub mod udp;
pub mod usage;
pub mod ws;

pub use clock::{Clock, ClockPair, thread_cpu_ns};
pub use poll::{Poller, Waker, lower_timer_slack};
pub use resolve::resolve;
pub use udp::{Datagram, Features, RecvBatch, SendBatch, SendFailure, SendReport, Udp, UdpOptions};

use std::io;
use std::net::SocketAddr;

/// Why there is no socket: the step that failed and the address it was for.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    #[error("no UDP socket for {address}: {source}")]
    Create { address: SocketAddr, source: io::Error },
    #[error("cannot set {option} on the UDP socket for {address}: {source}")]
    Option { option: &'static str, address: SocketAddr, source: io::Error },
    #[error("cannot bind a UDP socket to {address}: {source}")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("cannot connect a UDP socket to {address}: {source}")]
    Connect { address: SocketAddr, source: io::Error },
    #[error("the UDP socket for {address} has no local address: {source}")]
    LocalAddress { address: SocketAddr, source: io::Error },
}

impl NetError {
    /// What the kernel said.
    pub fn io_error(&self) -> &io::Error {
        match self {
            NetError::Create { source, .. }
            | NetError::Option { source, .. }
            | NetError::Bind { source, .. }
            | NetError::Connect { source, .. }
            | NetError::LocalAddress { source, .. } => source,
        }
    }
}

/// The size of a type, as the kernel takes it.
#[expect(clippy::cast_possible_truncation, reason = "nothing that is passed to the kernel has 4 GiB")]
const fn size_for_kernel<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

/// As [`check`], for calls that return a number of things.
fn counted(returned: libc::c_int) -> io::Result<usize> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}

/// Turns the C convention "−1 and errno" into a `Result`.
fn check(returned: libc::c_int) -> io::Result<libc::c_int> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}
