//! The same sockets behind io_uring: a multishot RECVMSG on each, all of which fill one ring of
//! buffers, and what is to be sent goes to the kernel with the call that waits. One system call for
//! each turn.

use super::{DATAGRAM, Sockets};
use io_uring::types::{BufRingEntry, Fixed, RecvMsgOut, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use regstorm::fleet::Ways;
use regstorm::net::{Clock, Udp};
use regstorm::vocab::{FlowId, Time};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// Requests to the kernel in one call; the rest of a turn's go with further calls.
const REQUESTS: u32 = 512;
/// Completions that may wait to be read.
const COMPLETIONS: u32 = 8192;
/// Receive buffers, for all sockets together; a power of two.
const BUFFERS: u16 = 2048;
/// Room for what the kernel tells of a datagram, as regstorm has it: timestamp and drop count.
const CONTROL: usize = 96;
/// A datagram, and before it what the kernel tells: sixteen bytes of lengths, then the control
/// messages.
const BUFFER: usize = 16 + CONTROL + DATAGRAM;
/// Names the requests that send; those that receive bear the number of their socket.
const SENDING: u64 = 1 << 32;
/// IORING_RECVSEND_POLL_FIRST: nothing can have come yet, so there is no use in looking.
const POLL_FIRST: u16 = 1;

/// Of `io_uring_enter`: fetch completions, and take a time limit.
const WAIT: u32 = 1 | 1 << 3;
/// Of `io_uring_enter` (Linux 6.15): do not count the wait as one for a disk, on which the kernel
/// decides how deep a processor may sleep and how fast it runs.
const NO_IOWAIT: u32 = 1 << 7;

pub struct Rings {
    ring: IoUring,
    /// How to enter the kernel.
    flags: u32,
    buffers: Buffers,
    /// What every receive asks for: no name, so much room for control messages.
    message: &'static libc::msghdr,
    sending: Sending,
    /// Sockets whose receive ended.
    ended: Vec<u32>,
    /// Open for as long as the ring uses them.
    _sockets: Vec<Udp>,
}

/// Datagrams to be sent with the next call.
#[derive(Default)]
pub struct Sending {
    slots: Vec<Box<[u8; DATAGRAM]>>,
    /// Socket and length, by slot.
    waiting: Vec<(u32, u32)>,
}

/// A flavour of io_uring.
#[derive(Clone, Copy)]
pub struct Flavour {
    pub delivery: Delivery,
    /// Whether waiting counts as waiting for a disk, as it does unless said otherwise.
    pub iowait: bool,
}

/// How completions are delivered.
#[derive(Clone, Copy)]
pub enum Delivery {
    /// When this thread asks for them (IORING_SETUP_DEFER_TASKRUN, Linux 6.1).
    Deferred,
    /// At its next system call, whichever it is (IORING_SETUP_COOP_TASKRUN, Linux 5.19).
    Cooperative,
    /// At once: a thread that runs meanwhile is interrupted.
    Prompt,
}

impl Rings {
    /// # Errors
    /// When the kernel refuses a ring, or what it is to hold.
    pub fn new(sockets: Vec<Udp>, flavour: Flavour) -> io::Result<Self> {
        let ring = open(flavour.delivery)?;
        let calm = !flavour.iowait && ring.params().is_feature_no_iowait();
        let flags = if calm { WAIT | NO_IOWAIT } else { WAIT };
        let descriptors: Vec<RawFd> = sockets.iter().map(|udp| udp.as_fd().as_raw_fd()).collect();
        ring.submitter().register_files(&descriptors)?;
        let buffers = Buffers::new(&ring)?;
        // SAFETY: a msghdr is integers and raw pointers, so all zeroes is a value of it: null
        // pointers and no lengths.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_controllen = CONTROL as _;
        // For as long as the process lives, which is longer than the ring.
        let message = Box::leak(Box::new(message));
        let ended = (0..sockets.len() as u32).collect();
        let mut rings = Rings { ring, flags, buffers, message, sending: Sending::default(), ended, _sockets: sockets };
        rings.receive_again()?;
        rings.ring.submit()?;
        Ok(rings)
    }

    /// Puts a multishot receive on every socket that has none.
    fn receive_again(&mut self) -> io::Result<()> {
        for socket in std::mem::take(&mut self.ended) {
            let receive = opcode::RecvMsgMulti::new(Fixed(socket), self.message, Buffers::GROUP).ioprio(POLL_FIRST);
            self.push(&receive.build().user_data(u64::from(socket)))?;
        }
        Ok(())
    }

    fn send_waiting(&mut self) -> io::Result<()> {
        let mut waiting = std::mem::take(&mut self.sending.waiting);
        for (slot, (socket, length)) in waiting.drain(..).enumerate() {
            // A full send buffer is an error at once, so that nothing is under way when the call
            // returns.
            let bytes = self.sending.slots[slot].as_ptr();
            let send = opcode::Send::new(Fixed(socket), bytes, length).flags(libc::MSG_DONTWAIT).build();
            self.push(&send.flags(squeue::Flags::SKIP_SUCCESS).user_data(SENDING))?;
        }
        // An empty list with its room.
        self.sending.waiting = waiting;
        Ok(())
    }

    fn push(&mut self, request: &squeue::Entry) -> io::Result<()> {
        if self.ring.submission().is_full() {
            self.ring.submit()?;
        }
        // SAFETY: a receive names the leaked message, which nobody changes, and the ring's buffers.
        // A send names a slot, boxed and so never moved, which is written again only after the
        // kernel has taken all requests (`enter` sees to it); with MSG_DONTWAIT it is then done
        // with it.
        unsafe { self.ring.submission().push(request) }.map_err(io::Error::other)
    }

    /// Hands all requests to the kernel and waits for a completion or until `patience` is over.
    fn enter(&mut self, patience: Duration) -> io::Result<()> {
        let limit = Timespec::from(patience);
        let requests = self.ring.submission().len() as u32;
        let limit = SubmitArgs::new().timespec(&limit);
        // SAFETY: the flags say that the argument is what it is, a time limit, which outlives the
        // call; the kernel takes no more requests than the queue holds.
        match unsafe { self.ring.submitter().enter(requests, 1, self.flags, Some(&limit)) } {
            Err(error) if !matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR)) => return Err(error),
            _ => {}
        }
        assert!(self.ring.submission().is_empty(), "the kernel left requests lying");
        Ok(())
    }
}

impl Sockets for Rings {
    type Out = Sending;

    fn out(&mut self) -> &mut Sending {
        &mut self.sending
    }

    fn turn(&mut self, clock: &Clock, patience: Duration, mut each: impl FnMut(&mut Sending, &[u8], Time)) {
        self.receive_again().expect("receives are taken");
        self.send_waiting().expect("sends are taken");
        self.enter(patience).expect("io_uring_enter");
        // One for all that came, where a loop of single receives needs one for each.
        let moment = clock.sample();
        for completion in self.ring.completion() {
            let socket = completion.user_data();
            let result = completion.result();
            assert!(socket < SENDING, "a datagram was not sent: {}", io::Error::from_raw_os_error(-result));
            if !cqueue::more(completion.flags()) {
                self.ended.push(socket as u32);
            }
            // Without a buffer there is nothing: the receive ended because all were taken.
            let Some(buffer) = cqueue::buffer_select(completion.flags()) else {
                assert_eq!(-result, libc::ENOBUFS, "{}", io::Error::from_raw_os_error(-result));
                continue;
            };
            let bytes = self.buffers.taken(buffer, result as usize);
            let came = RecvMsgOut::parse(bytes, self.message).expect("as the kernel writes it");
            let stamp = timestamp(came.control_data()).expect("a timestamp");
            each(&mut self.sending, came.payload_data(), clock.from_kernel(&moment, stamp));
            self.buffers.give_back(buffer);
        }
        self.buffers.publish();
    }
}

impl Ways for Sending {
    fn put(&mut self, flow: FlowId, _tag: u64, write: impl FnOnce(&mut [u8]) -> usize) {
        let slot = self.waiting.len();
        if slot == self.slots.len() {
            self.slots.push(Box::new([0; DATAGRAM]));
        }
        let length = write(&mut self.slots[slot][..]);
        self.waiting.push((flow.0, length as u32));
    }
}

/// Why there is no io_uring on this machine: a setting (`kernel.io_uring_disabled`), a sandbox, or
/// a kernel before Linux 6.1.
pub fn refusal() -> Option<io::Error> {
    open(Delivery::Deferred).err()
}

fn open(delivery: Delivery) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.setup_cqsize(COMPLETIONS).setup_single_issuer();
    match delivery {
        Delivery::Deferred => builder.setup_defer_taskrun(),
        Delivery::Cooperative => builder.setup_coop_taskrun(),
        Delivery::Prompt => &mut builder,
    };
    builder.build(REQUESTS)
}

/// The ring of buffers that the receives share.
struct Buffers {
    /// One for each buffer; the kernel reads them, and the tail among them.
    entries: *mut BufRingEntry,
    memory: *mut u8,
    tail: u16,
}

#[derive(Clone)]
#[repr(C, align(4096))]
struct Page([u8; 4096]);

impl Buffers {
    /// The only group.
    const GROUP: u16 = 0;

    fn new(ring: &IoUring) -> io::Result<Self> {
        const ENTRIES: usize = BUFFERS as usize * size_of::<BufRingEntry>();
        let leaked =
            |bytes: usize| Box::leak(vec![Page([0; 4096]); bytes.div_ceil(4096)].into_boxed_slice()).as_mut_ptr();
        let (entries, memory) = (leaked(ENTRIES).cast(), leaked(usize::from(BUFFERS) * BUFFER).cast());
        // SAFETY: the entries begin a page and are as many as said; they are leaked, so they live
        // longer than the ring.
        unsafe { ring.submitter().register_buf_ring_with_flags(entries as u64, BUFFERS, Self::GROUP, 0)? };
        let mut buffers = Buffers { entries, memory, tail: 0 };
        (0..BUFFERS).for_each(|buffer| buffers.give_back(buffer));
        buffers.publish();
        Ok(buffers)
    }

    /// What the kernel put into a buffer that a completion names.
    fn taken(&self, buffer: u16, length: usize) -> &[u8] {
        assert!(buffer < BUFFERS && length <= BUFFER, "the kernel names a buffer that it was not given");
        // SAFETY: the buffer lies within the leaked memory; the kernel has written it and does not
        // touch it again until it is given back, for which this borrow must have ended.
        unsafe { std::slice::from_raw_parts(self.memory.add(usize::from(buffer) * BUFFER), length) }
    }

    /// Lets the kernel fill a buffer again, from the next [`publish`](Self::publish) on.
    fn give_back(&mut self, buffer: u16) {
        let place = usize::from(self.tail % BUFFERS);
        // SAFETY: there are as many places as buffers, and one that is not with the kernel leaves a
        // place which the kernel does not read before the tail says so. Only address, length and
        // number are written: the tail lies in the rest of the first.
        unsafe {
            let entry = &mut *self.entries.add(place);
            entry.set_addr(self.memory.add(usize::from(buffer) * BUFFER) as u64);
            entry.set_len(BUFFER as u32);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&self) {
        // SAFETY: the tail is a u16 in the first entry, aligned as such; the kernel only reads it,
        // and we write it here alone.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

/// The receive timestamp among control messages (`cmsg(3)`: length, level, kind, data), in
/// nanoseconds.
fn timestamp(mut rest: &[u8]) -> Option<u64> {
    loop {
        let length = usize::from_ne_bytes(*rest.first_chunk()?);
        let word = |at: usize| rest.get(at..)?.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes));
        if (word(8)?, word(12)?) == (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
            let long = |at: usize| rest.get(at..)?.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes));
            return Some(long(16)? * 1_000_000_000 + long(24)?);
        }
        rest = rest.get(length.max(16).next_multiple_of(8)..)?;
    }
}
