//! The buffers of a batch: datagrams received, and datagrams to be sent. No system call here.
//!
//! Each datagram to be sent has a slot of its own, and the kernel gathers datagrams of one length
//! from their slots (UDP GSO). What was received may be several datagrams in one slot (UDP GRO).

use super::address::RawAddress;
use super::control::Control;
use std::io;
use std::net::SocketAddr;

/// Room for datagrams to be received, filled by [`Udp::recv`](super::Udp::recv).
///
/// 64 slots of 2048 bytes take 128 KiB, and under 200 B of bookkeeping each. A socket that
/// coalesces ([`UdpOptions::coalescing`](super::UdpOptions::coalescing)) wants slots of
/// [`COALESCED`] bytes.
#[derive(Debug)]
pub struct RecvBatch {
    pub(super) arena: Box<[u8]>,
    pub(super) stride: usize,
    /// Where the kernel writes a slot's sender and control messages.
    pub(super) names: Box<[RawAddress]>,
    pub(super) controls: Box<[Control]>,
    /// Slots in use.
    used: usize,
    /// One for each datagram.
    arrived: Vec<Arrived>,
}

/// The most that a coalesced receive brings: 64 KiB.
pub const COALESCED: usize = 1 << 16;

/// What is known of a datagram beside its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    begin: usize,
    len: usize,
    from: SocketAddr,
    kernel_ns: Option<u64>,
    truncated: bool,
}

/// What the kernel put into a slot: one datagram, or several of one sender.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery {
    pub(super) len: usize,
    pub(super) from: SocketAddr,
    pub(super) kernel_ns: Option<u64>,
    pub(super) truncated: bool,
    /// Bytes of each datagram but the last, where there are several.
    pub(super) segment: Option<usize>,
}

/// A datagram received.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    pub bytes: &'a [u8],
    pub from: SocketAddr,
    /// When the kernel took it in, on CLOCK_REALTIME; see
    /// [`Clock::from_kernel`](crate::net::Clock::from_kernel). Datagrams that it coalesced share
    /// one time, that of the first: a network card's driver may hold them for as long as one of its
    /// polls lasts, some ten microseconds.
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
            used: 0,
            arrived: Vec::with_capacity(slots),
        }
    }

    /// Datagrams received, in the order in which they arrived at the socket.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Datagram<'_>> {
        self.arrived.iter().map(|arrived| Datagram {
            bytes: &self.arena[arrived.begin..arrived.begin + arrived.len],
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
        self.used = 0;
    }

    /// Slots in use, of which the next is the first that is free.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    pub(super) fn free(&self) -> usize {
        self.names.len() - self.used
    }

    /// Notes what the next free slot holds.
    pub(super) fn push(&mut self, delivery: Delivery) {
        debug_assert!(delivery.len <= self.stride && !self.is_full());
        let Delivery { len, from, kernel_ns, truncated, segment } = delivery;
        let first = self.used * self.stride;
        self.used += 1;
        // An empty datagram is one too.
        let segment = segment.unwrap_or(len).clamp(1, len.max(1));
        let mut begin = 0;
        loop {
            let end = (begin + segment).min(len);
            // What did not fit is missing from the last one.
            let truncated = truncated && end == len;
            self.arrived.push(Arrived { begin: first + begin, len: end - begin, from, kernel_ns, truncated });
            begin = end;
            if begin >= len {
                return;
            }
        }
    }
}

/// Datagrams to be sent, written slot by slot: take a [`slot`](Self::slot), write,
/// [`commit`](Self::commit).
#[derive(Debug)]
pub struct SendBatch {
    pub(super) arena: Box<[u8]>,
    pub(super) stride: usize,
    pub(super) queue: Vec<Queued>,
    pub(super) failed: Vec<SendFailure>,
    /// Until then a full send buffer is not waited for: it was, in vain.
    pub(super) weary_until: u64,
}

/// One committed datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queued {
    slot: usize,
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
    /// There was no room to send from.
    pub fn no_room(tag: u64) -> Self {
        SendFailure { tag, errno: libc::EAGAIN }
    }

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
            weary_until: 0,
        }
    }

    /// The next free buffer, or `None` when the batch is full. Taken again without a commit, it is
    /// the same buffer.
    pub fn slot(&mut self) -> Option<&mut [u8]> {
        let begin = self.queue.len() * self.stride;
        self.arena.get_mut(begin..begin + self.stride)
    }

    /// Queues the first `len` bytes of the buffer last taken: to `to`, or to the peer of a
    /// connected socket. `tag` names the datagram in a [`SendFailure`].
    ///
    /// # Panics
    /// When the batch is full or `len` is longer than a slot.
    pub fn commit(&mut self, len: usize, to: Option<SocketAddr>, tag: u64) {
        assert!(!self.is_full() && len <= self.stride, "{len} bytes do not fit a slot of {}", self.stride);
        self.queue.push(Queued { slot: self.queue.len(), len, to, tag });
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
        let Queued { slot, len, .. } = self.queue[index];
        let begin = slot * self.stride;
        &self.arena[begin..begin + len]
    }

    /// Puts datagrams of one length to one peer beside each other; among themselves they keep their
    /// order.
    pub(super) fn arrange(&mut self) {
        let order = |queued: &Queued| (queued.len, queued.to, queued.slot);
        if !self.queue.is_sorted_by_key(order) {
            self.queue.sort_unstable_by_key(order);
        }
    }

    /// How many datagrams from the one at `first` on can leave as one: of one length, to one peer,
    /// at most `most`, and within what one UDP datagram could hold. At least one.
    pub(super) fn group(&self, first: usize, most: usize) -> usize {
        let Queued { len, to, .. } = self.queue[first];
        let most = most.min(LARGEST / len.max(1));
        let alike = self.queue[first..].iter().take(most).take_while(|queued| queued.len == len && queued.to == to);
        alike.count().max(1)
    }
}

/// The longest payload of a UDP datagram over IPv4, which bounds what is handed to the kernel as
/// one.
const LARGEST: usize = 65_507;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        batch.push(Delivery { len: 3, from, kernel_ns: Some(7), truncated: false, segment: None });
        batch.push(Delivery { len: 4, from, kernel_ns: None, truncated: true, segment: None });
        let seen: Vec<_> = batch.iter().map(|d| (d.bytes.len(), d.kernel_ns, d.truncated)).collect();
        assert_eq!(seen, [(3, Some(7), false), (4, None, true)]);
        assert!(batch.is_full());
        batch.clear();
        assert!(batch.is_empty() && batch.iter().len() == 0);
    }

    proptest! {
        #[test]
        fn a_delivery_falls_into_its_datagrams(len in 0usize..4096, segment in prop::option::of(0usize..5000), truncated: bool) {
            let mut batch = RecvBatch::new(2, 4096);
            batch.arena.iter_mut().enumerate().for_each(|(place, byte)| *byte = place as u8);
            let from = SocketAddr::from(([127, 0, 0, 1], 5060));
            batch.push(Delivery { len: 1, from, kernel_ns: None, truncated: false, segment: None });
            batch.push(Delivery { len, from, kernel_ns: None, truncated, segment });
            let joined: Vec<u8> = batch.iter().skip(1).flat_map(|datagram| datagram.bytes).copied().collect();
            prop_assert_eq!(&joined[..], &batch.arena[4096..4096 + len]);
            let (last, others) = batch.arrived[1..].split_last().expect("at least one");
            prop_assert_eq!(last.truncated, truncated);
            prop_assert!(others.iter().all(|other| !other.truncated && Some(other.len) == segment.map(|segment| segment.max(1))));
        }

        #[test]
        fn groups_hold_what_may_leave_as_one(lengths in prop::collection::vec((0usize..4, 0u16..3), 1..64), most in 1usize..70) {
            let mut batch = SendBatch::new(64, 8);
            for (tag, &(len, port)) in lengths.iter().enumerate() {
                batch.slot().expect("room").fill(tag as u8);
                batch.commit(len, Some(SocketAddr::from(([127, 0, 0, 1], port))), tag as u64);
            }
            batch.arrange();
            let (mut first, mut seen) = (0, Vec::new());
            while first < batch.len() {
                let group = batch.group(first, most);
                prop_assert!((1..=most).contains(&group));
                for index in first..first + group {
                    let Queued { len, to, tag, .. } = batch.queue[index];
                    prop_assert_eq!((len, to), (batch.queue[first].len, batch.queue[first].to));
                    prop_assert_eq!((len, to.map(|to| to.port())), (lengths[tag as usize].0, Some(lengths[tag as usize].1)));
                    prop_assert!(batch.bytes(index).iter().all(|&byte| byte == tag as u8));
                    seen.push(tag);
                }
                first += group;
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len() as u64).collect::<Vec<_>>());
        }
    }
}
