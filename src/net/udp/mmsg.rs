//! Many datagrams per system call: recvmmsg and sendmmsg.

use super::address::RawAddress;
use super::batch::{RecvBatch, SendBatch};
use super::control::Segmented;
use super::header::{self, Received};
use crate::net::{check, counted};
use crate::vocab::saturating_u32;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Whether this kernel, or the sandbox we are in, lets us use both calls.
pub(super) fn available(socket: BorrowedFd<'_>) -> bool {
    let fd = socket.as_raw_fd();
    // SAFETY: with a length of zero neither call touches the vector; the null timeout means none.
    unsafe {
        check(libc::sendmmsg(fd, std::ptr::null_mut(), 0, libc::MSG_DONTWAIT)).is_ok()
            && check(libc::recvmmsg(fd, std::ptr::null_mut(), 0, libc::MSG_DONTWAIT, std::ptr::null_mut())).is_ok()
    }
}

/// Receives what is there, up to [`CHUNK`] datagrams, into the free slots of `batch`.
pub(super) fn recv(socket: BorrowedFd<'_>, peer: Option<SocketAddr>, batch: &mut RecvBatch) -> io::Result<Received> {
    let mut vectors = [header::vector(&[]); CHUNK];
    let mut headers = [libc::mmsghdr { msg_hdr: header::empty(), msg_len: 0 }; CHUNK];
    let fields = headers.iter_mut().map(|header| &mut header.msg_hdr);
    let count = header::offer(batch, peer.is_some(), &mut vectors, fields);
    // SAFETY: the first `count` headers are filled. Each points to a vector on this stack and to a
    // slot, a name and a control buffer of `batch`, with their true lengths; no two share any, and
    // all outlive the call, during which nothing else touches them. The kernel writes no further
    // than the lengths, and keeps no pointer.
    let taken = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            saturating_u32(count),
            libc::MSG_DONTWAIT as _,
            std::ptr::null_mut(),
        )
    };
    let taken = counted(taken)?;
    let mut received = Received::default();
    for header in &headers[..taken] {
        header::accept(batch, peer, &header.msg_hdr, header.msg_len as usize, &mut received);
    }
    Ok(received)
}

/// Sends datagrams of `batch` from the one at `first` on, up to [`CHUNK`], of which up to
/// `segments` of one length leave as one (UDP GSO; 1 for none); says how many the kernel took.
///
/// # Errors
/// That of the first datagram, or of all that would have left with it. When a later one fails, the
/// kernel stops before it and keeps the error for the next call, unless it was a pending one, which
/// is gone.
pub(super) fn send(socket: BorrowedFd<'_>, batch: &SendBatch, first: usize, segments: usize) -> io::Result<usize> {
    let mut vectors = [header::vector(&[]); CHUNK];
    let mut names = [RawAddress::default(); CHUNK];
    let mut controls = [Segmented::into(0); CHUNK];
    let mut headers = [libc::mmsghdr { msg_hdr: header::empty(), msg_len: 0 }; CHUNK];
    let (mut free, mut next, mut count) = (&mut vectors[..], first, 0);
    let fields = headers.iter_mut().zip(names.iter_mut().zip(&mut controls));
    for (header, (name, control)) in fields {
        if next == batch.len() || free.is_empty() {
            break;
        }
        let group = batch.group(next, segments).min(free.len());
        let (mine, others) = free.split_at_mut(group);
        free = others;
        for (offset, vector) in mine.iter_mut().enumerate() {
            *vector = header::vector(batch.bytes(next + offset));
        }
        let queued = &batch.queue[next];
        // A group is shorter than a datagram can be, and so is each of its parts.
        *control = Segmented::into(u16::try_from(queued.len).unwrap_or(u16::MAX));
        header.msg_hdr = header::outbound(mine, name, queued.to, (group > 1).then_some(control));
        next += group;
        count += 1;
    }
    // SAFETY: the first `count` headers are filled. Each points to vectors and perhaps a name and a
    // control message on this stack, and by the vectors to the committed bytes of slots of `batch`,
    // with their true lengths; all outlive the call. The kernel only reads them, writes `msg_len`
    // in the headers, and keeps no pointer.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _) };
    match counted(sent)? {
        // Never seen; but the caller would go round for ever.
        0 => Err(io::ErrorKind::WouldBlock.into()),
        sent => Ok(headers[..sent].iter().map(|header| header::vectors(&header.msg_hdr)).sum()),
    }
}

/// Datagrams per call. The headers of a chunk take 7 KB of stack; larger chunks save nothing
/// measurable.
pub(super) const CHUNK: usize = 64;
