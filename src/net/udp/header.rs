//! Message headers: what one `msghdr` says of a slot before a call, and what the kernel said in it
//! afterwards.
//!
//! A header holds raw pointers into its arguments. It is made, used and dropped within one function
//! of `mmsg` or `plain`, which keeps what it points to borrowed for that long.

use super::address::{ROOM, RawAddress};
use super::batch::{Delivery, RecvBatch};
use super::control::{self, Segmented};
use std::net::SocketAddr;

/// What one call received.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Received {
    /// Slots filled; a slot may hold several datagrams.
    pub(super) slots: usize,
    /// The latest drop count, see [`control::ControlFacts::drops`].
    pub(super) drops: Option<u32>,
    /// The error that ended the call behind these datagrams, where the kernel does not keep it for
    /// the next call.
    pub(super) then: Option<i32>,
}

/// A header without buffers.
pub(in crate::net) fn empty() -> libc::msghdr {
    // SAFETY: a msghdr is integers and raw pointers, so all zeroes is a value of it: null pointers
    // and no lengths.
    unsafe { std::mem::zeroed() }
}

/// An I/O vector over `slot`; when it is to be sent from, the kernel only reads it.
pub(super) fn vector(slot: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: slot.as_ptr().cast_mut().cast(), iov_len: slot.len() }
}

/// Lets the free slots of a batch be received into: one vector and one header per slot, as many as
/// all three have.
///
/// Lengths are set anew for every call, since the kernel leaves in them what the last datagram
/// needed; otherwise one datagram without a timestamp would cost every later one in the slot its
/// own.
pub(super) fn offer<'h>(
    batch: &mut RecvBatch,
    connected: bool,
    vectors: &mut [libc::iovec],
    headers: impl ExactSizeIterator<Item = &'h mut libc::msghdr>,
) -> usize {
    let begin = batch.used();
    let count = batch.free().min(vectors.len()).min(headers.len());
    let slots = batch.arena.chunks_exact_mut(batch.stride).skip(begin);
    let kept = batch.names[begin..].iter_mut().zip(&mut batch.controls[begin..]);
    for (((slot, (name, control)), vector), header) in slots.zip(kept).zip(&mut *vectors).zip(headers).take(count) {
        *vector = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() };
        *header = empty();
        header.msg_iov = &raw mut *vector;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = control.0.len() as _;
        // The sender of a connected socket is known.
        if !connected {
            header.msg_name = (&raw mut *name).cast();
            header.msg_namelen = ROOM;
        }
    }
    count
}

/// Notes what the kernel put into the next free slot.
pub(super) fn accept(
    batch: &mut RecvBatch,
    peer: Option<SocketAddr>,
    header: &libc::msghdr,
    len: usize,
    received: &mut Received,
) {
    let slot = batch.used();
    let told = control::told(told(header, &batch.controls[slot].0));
    received.slots += 1;
    received.drops = told.drops.or(received.drops);
    batch.push(Delivery {
        len: len.min(batch.stride),
        from: peer.unwrap_or_else(|| batch.names[slot].get()),
        kernel_ns: told.kernel_ns,
        truncated: header.msg_flags & libc::MSG_TRUNC != 0,
        segment: told.segment,
    });
}

/// How many vectors a header sends from.
pub(super) fn vectors(header: &libc::msghdr) -> usize {
    #[expect(clippy::unnecessary_cast, reason = "the count is a c_int with musl")]
    let count = header.msg_iovlen as usize;
    count
}

/// The part of a control buffer that the kernel wrote.
pub(in crate::net) fn told<'c>(header: &libc::msghdr, control: &'c [u8]) -> &'c [u8] {
    #[expect(clippy::unnecessary_cast, reason = "the length is a u32 with musl")]
    let len = header.msg_controllen as usize;
    &control[..len.min(control.len())]
}

/// Addresses a header to `to`, or to the peer of a connected socket, with the bytes that `vectors`
/// name. With `control` they leave as several datagrams.
pub(super) fn outbound(
    vectors: &mut [libc::iovec],
    name: &mut RawAddress,
    to: Option<SocketAddr>,
    control: Option<&mut Segmented>,
) -> libc::msghdr {
    let mut header = empty();
    header.msg_iov = vectors.as_mut_ptr();
    header.msg_iovlen = vectors.len() as _;
    if let Some(control) = control {
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = control.0.len() as _;
    }
    if let Some(to) = to {
        (*name, header.msg_namelen) = RawAddress::new(to);
        header.msg_name = (&raw mut *name).cast();
    }
    header
}
