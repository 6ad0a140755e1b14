//! Bytes, addresses and kernel timestamps. The only room with `unsafe`; it knows no SIP.
//!
//! `udp` is a batched socket (sendmmsg/recvmmsg with receive timestamps and drop counts, a plain
//! fallback behind the same functions), `poll` waits for sockets and a deadline with nanosecond
//! precision, `tcp` is one connection, `tls` what secures it, `ws` what makes it a WebSocket,
//! `layer` why either cannot go on, `certificate` reads what one says of itself, `http` asks over
//! HTTP, `clock` reads the kernel's clocks, `resolve` turns names into addresses, `process` ends a
//! command with whatever it started, `usage` reads what the process consumed.
//!
//! Linux only: every file here stands on one of its system calls. Each `unsafe` block says what the
//! kernel promises and why the pointers live; no pointer outlives the function that made it.

pub mod certificate;
pub mod clock;
pub mod descriptors;
pub mod http;
pub mod layer;
pub mod poll;
pub mod priority;
pub mod process;
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
    #[error("no UDP socket for {address}: {}", in_words(source, false))]
    Create { address: SocketAddr, source: io::Error },
    #[error("cannot set {option} on the UDP socket for {address}: {source}")]
    Option { option: &'static str, address: SocketAddr, source: io::Error },
    #[error("cannot bind a UDP socket to {address}: {}", in_words(source, address.port() == 0))]
    Bind { address: SocketAddr, source: io::Error },
    #[error("cannot connect a UDP socket to {address}: {}", in_words(source, true))]
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

/// What the kernel means where its own words mislead; `any_port`: it was to choose a port.
fn in_words(error: &io::Error, any_port: bool) -> String {
    match error.raw_os_error() {
        // "Resource temporarily unavailable" and "Address already in use" are its words for it.
        Some(libc::EAGAIN | libc::EADDRINUSE) if any_port => format!(
            "every local port of the {} that the kernel gives out is in use; widen net.ipv4.ip_local_port_range, or use \
             more source addresses or fewer sockets",
            descriptors::ephemeral_ports()
        ),
        Some(libc::EMFILE) => "this process may open no more descriptors; raise the limit (ulimit -n)".to_owned(),
        Some(libc::ENFILE) => "this machine may open no more descriptors; raise fs.file-max".to_owned(),
        Some(libc::ENOBUFS | libc::ENOMEM) => format!("the kernel has no memory left for it ({error})"),
        _ => error.to_string(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_named_and_not_only_the_kernels_word_for_it() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let of = |errno| io::Error::from_raw_os_error(errno);
        let told = NetError::Connect { address, source: of(libc::EAGAIN) }.to_string();
        assert!(told.contains("every local port") && told.contains("ip_local_port_range"), "{told}");
        let told = NetError::Bind { address, source: of(libc::EADDRINUSE) }.to_string();
        assert!(told.contains("every local port"), "{told}");
        let fixed = SocketAddr::from(([127, 0, 0, 1], 5060));
        let told = NetError::Bind { address: fixed, source: of(libc::EADDRINUSE) }.to_string();
        assert!(told.contains("in use") && !told.contains("every local port"), "{told}");
        let told = NetError::Create { address, source: of(libc::EMFILE) }.to_string();
        assert!(told.contains("ulimit -n"), "{told}");
    }
}
