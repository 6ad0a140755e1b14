//! The buffers of a batch: datagrams received, and datagrams to be sent. No system call here.
//!
//! The slots of one batch lie one after another with one stride, which is what UDP GSO and GRO want when they come.

use super::address::RawAddress;
use super::control::Control;
use std::io;
use std::net::SocketAddr;

/// Room for datagrams to be received, filled by [`Udp::recv`](super::Udp::recv).
///
/// 64 slots of 2048 bytes take 128 KiB, and 160 B of bookkeeping each.
#[derive(Debug)]
pub struct RecvBatch {
    pub(super) arena: Box<[u8]>,
    pub(super) stride: usize,
    /// Where the kernel writes a slot's sender and control messages.
    pub(super) names: Box<[RawAddress]>,
    pub(super) controls: Box<[Control]>,
    /// One for each slot in use.
    arrived: Vec<Arrived>,
}

/// What is known of a datagram beside its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    pub(super) len: usize,
    pub(super) from: SocketAddr,
    pub(super) kernel_ns: Option<u64>,
    pub(super) truncated: bool,
}

/// A datagram received.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    pub bytes: &'a [u8],
    pub from: SocketAddr,
    /// When the kernel took it in, on CLOCK_REALTIME; see [`Clock::from_kernel`](crate::net::Clock::from_kernel).
    pub kernel_ns: Option<u64>,
    /// It was longer than a slot; the rest is lost.
    pub truncated: bool,
}

impl RecvBatch {
    /// Room for `slots` datagrams of at most `slot_len` bytes each.
    ///
    /// # Panics
    /// When either is zero.
    pub fn new(slots: usize, slot_len: usize) -> Self {
        assert!(slots > 0 && slot_len > 0, "a batch without room receives nothing");
        Self {
            arena: vec![0; slots * slot_len].into_boxed_slice(),
            stride: slot_len,
            names: vec![RawAddress::default(); slots].into_boxed_slice(),
            controls: vec![Control::default(); slots].into_boxed_slice(),
            arrived: Vec::with_capacity(slots),
        }
    }

    /// Datagrams received, in the order in which they arrived at the socket.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Datagram<'_>> {
        self.arrived.iter().zip(self.arena.chunks_exact(self.stride)).map(|(arrived, slot)| Datagram {
            bytes: &slot[..arrived.len],
            from: arrived.from,
            kernel_ns: arrived.kernel_ns,
            truncated: arrived.truncated,
        })
    }

    /// Number of datagrams received.
    pub fn len(&self) -> usize {
        self.arrived.len()
    }

    pub fn is_empty(&self) -> bool {
        self.arrived.is_empty()
    }

    /// Whether every slot is taken: there may be more to receive.
    pub fn is_full(&self) -> bool {
        self.free() == 0
    }

    /// Forgets what was received; [`Udp::recv`](super::Udp::recv) does so itself.
    pub fn clear(&mut self) {
        self.arrived.clear();
    }

    pub(super) fn free(&self) -> usize {
        self.names.len() - self.arrived.len()
    }

    /// Notes that the next free slot holds a datagram.
    pub(super) fn push(&mut self, arrived: Arrived) {
        debug_assert!(arrived.len <= self.stride && !self.is_full());
        self.arrived.push(arrived);
    }
}

/// Datagrams to be sent, written slot by slot: take a [`slot`](Self::slot), write, [`commit`](Self::commit).
#[derive(Debug)]
pub struct SendBatch {
    pub(super) arena: Box<[u8]>,
    pub(super) stride: usize,
    pub(super) queue: Vec<Queued>,
    pub(super) failed: Vec<SendFailure>,
}

/// One committed datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queued {
    pub(super) len: usize,
    pub(super) to: Option<SocketAddr>,
    pub(super) tag: u64,
}

/// A datagram the kernel did not take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendFailure {
    /// As given to [`SendBatch::commit`].
    pub tag: u64,
    /// The kernel's error number.
    pub errno: i32,
}

/// What became of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendReport<'a> {
    /// Datagrams the kernel took.
    pub sent: usize,
    /// Their bytes, without IP and UDP headers.
    pub bytes: u64,
    /// The others, in the order of the batch.
    pub failed: &'a [SendFailure],
}

impl SendFailure {
    /// The error as `std` words it.
    pub fn error(&self) -> io::Error {
        io::Error::from_raw_os_error(self.errno)
    }
}

impl SendBatch {
    /// Room for `slots` datagrams of at most `slot_len` bytes each.
    ///
    /// # Panics
    /// When either is zero.
    pub fn new(slots: usize, slot_len: usize) -> Self {
        assert!(slots > 0 && slot_len > 0, "a batch without room sends nothing");
        Self {
            arena: vec![0; slots * slot_len].into_boxed_slice(),
            stride: slot_len,
            queue: Vec::with_capacity(slots),
            failed: Vec::new(),
        }
    }

    /// The next free buffer, or `None` when the batch is full. Taken again without a commit, it is the same buffer.
    pub fn slot(&mut self) -> Option<&mut [u8]> {
        let begin = self.queue.len() * self.stride;
        self.arena.get_mut(begin..begin + self.stride)
    }

    /// Queues the first `len` bytes of the buffer last taken: to `to`, or to the peer of a connected socket. `tag`
    /// names the datagram in a [`SendFailure`].
    ///
    /// # Panics
    /// When the batch is full or `len` is longer than a slot.
    pub fn commit(&mut self, len: usize, to: Option<SocketAddr>, tag: u64) {
        assert!(!self.is_full() && len <= self.stride, "{len} bytes do not fit a slot of {}", self.stride);
        self.queue.push(Queued { len, to, tag });
    }

    /// Number of datagrams queued.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn is_full(&self) -> bool {
        (self.queue.len() + 1) * self.stride > self.arena.len()
    }

    /// Drops what is queued; [`Udp::send`](super::Udp::send) leaves the batch empty by itself.
    pub fn clear(&mut self) {
        self.queue.clear();
    }

    /// The datagram queued at `index`.
    pub(super) fn bytes(&self, index: usize) -> &[u8] {
        let begin = index * self.stride;
        &self.arena[begin..begin + self.queue[index].len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_handed_out_in_turn_until_full() {
        let mut batch = SendBatch::new(2, 8);
        for (tag, text) in [(1, b"first"), (2, b"other")] {
            batch.slot().expect("a free slot")[..5].copy_from_slice(text);
            batch.commit(5, None, tag);
        }
        assert!(batch.is_full() && batch.slot().is_none());
        assert_eq!((batch.bytes(0), batch.bytes(1)), (&b"first"[..], &b"other"[..]));
        batch.clear();
        assert!(batch.is_empty() && batch.slot().is_some());
    }

    #[test]
    #[should_panic(expected = "9 bytes do not fit a slot of 8")]
    fn a_length_beyond_the_slot_is_refused() {
        SendBatch::new(2, 8).commit(9, None, 0);
    }

    #[test]
    fn a_receive_batch_shows_what_was_pushed() {
        let mut batch = RecvBatch::new(2, 4);
        let from = SocketAddr::from(([127, 0, 0, 1], 5060));
        batch.push(Arrived { len: 3, from, kernel_ns: Some(7), truncated: false });
        batch.push(Arrived { len: 4, from, kernel_ns: None, truncated: true });
        let seen: Vec<_> = batch.iter().map(|d| (d.bytes.len(), d.kernel_ns, d.truncated)).collect();
        assert_eq!(seen, [(3, Some(7), false), (4, None, true)]);
        assert!(batch.is_full());
        batch.clear();
        assert!(batch.is_empty() && batch.iter().len() == 0);
    }
}
