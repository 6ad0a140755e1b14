//! One datagram per system call: recvmsg and sendmsg. The path for kernels and sandboxes without
//! the batched calls, and the one the batched path is tested against.

use super::address::RawAddress;
use super::batch::{RecvBatch, SendBatch};
use super::header::{self, Received};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Receives what is there until the batch is full.
///
/// # Errors
/// That of the first datagram; one behind others stands in [`Received::then`].
pub(super) fn recv(socket: BorrowedFd<'_>, peer: Option<SocketAddr>, batch: &mut RecvBatch) -> io::Result<Received> {
    let mut received = Received::default();
    while !batch.is_full() {
        let mut vector = [header::vector(&[])];
        let mut header = header::empty();
        header::offer(batch, peer.is_some(), &mut vector, std::iter::once(&mut header));
        // SAFETY: the header points to the vector on this stack and to a slot, a name and a control
        // buffer of `batch`, with their true lengths; all outlive the call, during which nothing
        // else touches them. The kernel writes no further than the lengths, and keeps no pointer.
        let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT) };
        match usize::try_from(len) {
            Ok(len) => header::accept(batch, peer, &header, len, &mut received),
            Err(_) => match io::Error::last_os_error() {
                error if received.slots == 0 => return Err(error),
                error if error.kind() == io::ErrorKind::WouldBlock => break,
                error => {
                    received.then = error.raw_os_error();
                    break;
                }
            },
        }
    }
    Ok(received)
}

/// Sends the datagram of `batch` at `first`; says that the kernel took one.
///
/// # Errors
/// What the kernel said to it.
pub(super) fn send(socket: BorrowedFd<'_>, batch: &SendBatch, first: usize) -> io::Result<usize> {
    let mut vector = [header::vector(batch.bytes(first))];
    let mut name = RawAddress::default();
    let header = header::outbound(&mut vector, &mut name, batch.queue[first].to, None);
    // SAFETY: the header points to the vector and perhaps the name on this stack, and to the
    // committed bytes of a slot of `batch`, with their true lengths; all outlive the call. The
    // kernel only reads them and keeps no pointer.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(1) }
}
