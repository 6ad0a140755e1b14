//! A UDP socket that sends and receives in batches.
//!
//! Here: the order of calls and the handling of errors. The system calls are in the files beside
//! this one, a file per kernel feature: `mmsg` and `plain` behind the same functions, `control` for
//! timestamps and drop counts, `errors` for ICMP, `options` for what is asked of a socket,
//! `segments` for how much leaves as one. Nothing here blocks, but for the short wait of a full
//! send buffer.

mod address;
mod batch;
pub(in crate::net) mod control;
mod errors;
pub(in crate::net) mod header;
mod mmsg;
mod options;
mod plain;
mod segments;

pub use batch::{COALESCED, Datagram, RecvBatch, SendBatch, SendFailure, SendReport};
pub use options::{Features, MOST_SEGMENTS, UdpOptions};

use super::poll::{pause, wait_ready};
use super::{NetError, clock};
use header::Received;
use segments::Segments;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

/// A UDP socket, connected to one peer or open to all.
#[derive(Debug)]
pub struct Udp {
    socket: Socket,
    local: SocketAddr,
    /// Whom it is connected to; `None` for a bound socket.
    peer: Option<SocketAddr>,
    features: Features,
    segments: Segments,
    drops: Drops,
    /// Reads that the kernel had no memory for, since `take_refused` was last asked.
    refused: u64,
    /// The error queue may hold something.
    errors_waiting: bool,
    /// Pending errors of a socket without error queue, kept for `take_errors`; at most [`STRAYS`].
    strays: Vec<i32>,
}

impl Udp {
    /// A socket that speaks to `remote` only, from a port of the kernel's choice on `source`
    /// (`None`: on the address the kernel would route from).
    ///
    /// # Errors
    /// When there is no socket to be had, `source` is not ours, or `remote` has no route.
    pub fn connected(source: Option<IpAddr>, remote: SocketAddr, options: &UdpOptions) -> Result<Self, NetError> {
        let (socket, features) = create(remote, options)?;
        if let Some(source) = source {
            bind(&socket, SocketAddr::new(source, 0))?;
        }
        socket.connect(&remote.into()).map_err(|source| NetError::Connect { address: remote, source })?;
        Self::open(socket, remote, Some(remote), features)
    }

    /// A socket on `local` that takes datagrams from everyone; port 0 lets the kernel choose. An
    /// IPv6 one takes no IPv4.
    ///
    /// # Errors
    /// When there is no socket to be had, or `local` is not ours or in use.
    pub fn bound(local: SocketAddr, options: &UdpOptions) -> Result<Self, NetError> {
        let (socket, features) = create(local, options)?;
        bind(&socket, local)?;
        Self::open(socket, local, None, features)
    }

    /// A connected socket speaks to `remote` from now on, from the port it has.
    ///
    /// # Errors
    /// When `remote` has no route; then it speaks to whom it spoke before.
    pub fn aim(&mut self, remote: SocketAddr) -> Result<(), NetError> {
        self.socket.connect(&remote.into()).map_err(|source| NetError::Connect { address: remote, source })?;
        self.peer = Some(remote);
        let local = self.socket.local_addr().ok().and_then(|local| local.as_socket());
        self.local = local.unwrap_or(self.local);
        Ok(())
    }

    /// A further socket like this connected one, for another peer: from the same address, unless
    /// that cannot reach it.
    ///
    /// # Errors
    /// As [`connected`](Self::connected).
    pub fn another(&self, remote: SocketAddr) -> Result<Self, NetError> {
        let Features { segments, coalescing, .. } = self.features;
        let options = UdpOptions { segments, coalescing, ..UdpOptions::default() };
        Self::connected(Some(self.local.ip()), remote, &options).or_else(|_| Self::connected(None, remote, &options))
    }

    /// A socket for what others than its peer send to the port of this connected one: the kernel
    /// gives each the datagrams that match it best. Beside it, because a connected socket is told
    /// of ICMP errors and sends without looking for a route.
    ///
    /// # Errors
    /// When there is no socket to be had.
    pub fn beside(&self, options: &UdpOptions) -> Result<Self, NetError> {
        let local = self.local;
        let option = |source| NetError::Option { option: "SO_REUSEADDR", address: local, source };
        let (socket, features) = create(local, options)?;
        // Set for this one bind only: with it, the kernel's choice of a port could be one in use.
        self.socket.set_reuse_address(true).map_err(option)?;
        socket.set_reuse_address(true).map_err(option)?;
        bind(&socket, local)?;
        self.socket.set_reuse_address(false).map_err(option)?;
        Self::open(socket, local, None, features)
    }

    /// The same socket for another thread: each datagram goes to whichever of them receives it
    /// first. Batches are shared out that way whoever sends, where SO_REUSEPORT would give one busy
    /// sender to one thread, and let a second process take half of a port unnoticed.
    ///
    /// # Errors
    /// When there is no descriptor to be had.
    pub fn share(&self) -> io::Result<Self> {
        let socket = self.socket.try_clone()?;
        Ok(Self::with(socket, self.local, self.peer, self.features))
    }

    /// The address it is bound to, with the port the kernel chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// What the kernel granted.
    pub fn features(&self) -> Features {
        self.features
    }

    /// Replaces `batch` by what has arrived, as far as it fits, and returns the number of
    /// datagrams: 0 when nothing is there.
    ///
    /// ICMP errors that surface here are not returned but kept for
    /// [`take_errors`](Self::take_errors).
    ///
    /// # Errors
    /// What the kernel said, when it is none of these and nothing was received.
    pub fn recv(&mut self, batch: &mut RecvBatch) -> io::Result<usize> {
        batch.clear();
        let mut pending = 0;
        while !batch.is_full() {
            let wanted = batch.free().min(mmsg::CHUNK);
            match self.receive_some(batch) {
                Ok(received) => {
                    self.note_received(received);
                    if received.slots < wanted {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A pending error is reported before the datagrams behind it. More than a few in a
                // row are a storm and are left for another turn.
                Err(error) if errors::is_pending(&error) || error.raw_os_error() == Some(libc::EMSGSIZE) => {
                    self.note_pending(error.raw_os_error());
                    pending += 1;
                    if pending == PENDING_PER_CALL {
                        break;
                    }
                }
                Err(_) if !batch.is_empty() => break,
                // The kernel is short of memory for a moment; what waits is received at the next
                // call.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::ENOBUFS)) => {
                    self.refused += 1;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(batch.len())
    }

    /// Sends all of `batch` and leaves it empty.
    ///
    /// A pending ICMP error belongs to an earlier datagram: it is kept for
    /// [`take_errors`](Self::take_errors) and the datagram that met it is tried again at once, a
    /// few times, because several may be pending; what stays is the kernel's own word. A full send
    /// buffer is waited for, 1 ms per call in all; then the rest fails with EAGAIN or ENOBUFS. Any
    /// other error is that of its datagram, and the next one follows.
    ///
    /// Datagrams of one length to one peer leave as one where the kernel can (UDP GSO), for which
    /// they may change places.
    pub fn send<'b>(&mut self, batch: &'b mut SendBatch) -> SendReport<'b> {
        batch.failed.clear();
        if self.segments.most() > 1 {
            batch.arrange();
        }
        let (mut sent, mut bytes) = (0, 0);
        let mut next = 0;
        let mut retried = 0;
        let mut patience = None;
        while next < batch.len() {
            match self.send_some(batch, next) {
                Ok(count) => {
                    sent += count;
                    bytes += batch.queue[next..next + count].iter().map(|queued| queued.len as u64).sum::<u64>();
                    next += count;
                    retried = 0;
                    self.segments.sent(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if self.segments.refused(&error, batch.queue[next].len, self.leaving(batch, next)) => {}
                Err(error) if errors::is_pending(&error) && retried < PENDING_PER_CALL => {
                    self.note_pending(error.raw_os_error());
                    retried += 1;
                }
                Err(error) if is_full(&error) => {
                    if !self.wait_for_room(&error, &mut patience, &mut batch.weary_until) {
                        fail(batch, next..batch.len(), &error);
                        break;
                    }
                }
                Err(error) => {
                    // A local error (EMSGSIZE) leaves a note in the error queue as well, which
                    // would keep the socket ready for ever.
                    self.errors_waiting = self.features.error_queue;
                    let group = self.leaving(batch, next);
                    fail(batch, next..next + group, &error);
                    next += group;
                    retried = 0;
                }
            }
        }
        batch.queue.clear();
        SendReport { sent, bytes, failed: &batch.failed }
    }

    /// Whether an error has surfaced that [`take_errors`](Self::take_errors) has not taken yet.
    /// Until it has, a
    /// [`Poller`](super::Poller) reports the socket as ready.
    pub fn errors_waiting(&self) -> bool {
        self.errors_waiting || !self.strays.is_empty()
    }

    /// Hands out the ICMP errors that came in: the start of the datagram that failed (what the
    /// router quoted of its payload, often all of it) and the error. Without an error queue the
    /// bytes are empty, and an error that met a batch in its middle is not seen.
    ///
    /// Costs one system call when there are none; at most 1024 errors are taken per call.
    pub fn take_errors(&mut self, mut each: impl FnMut(&[u8], io::Error)) {
        for errno in self.strays.drain(..) {
            each(&[], io::Error::from_raw_os_error(errno));
        }
        if self.features.error_queue {
            self.errors_waiting = !errors::drain(self.socket.as_fd(), |start, error| {
                self.segments.met_error();
                each(start, error);
            });
        }
    }

    /// Datagrams the kernel dropped because the receive buffer was full, as far as is known: the
    /// count arrives with the datagrams behind the gap, or with
    /// [`refresh_drops`](Self::refresh_drops).
    pub fn drops(&self) -> u64 {
        self.drops.total
    }

    /// How many reads the kernel has had no memory for since this was last asked. What waited was
    /// received at a later one.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    /// Asks the kernel for the number of drops, so that those after the last datagram count too;
    /// one system call, for the end of an interval.
    pub fn refresh_drops(&mut self) -> u64 {
        if let Some(count) = options::drops(&self.socket) {
            self.drops.note(count);
        }
        self.drops.total
    }

    fn open(
        socket: Socket,
        address: SocketAddr,
        peer: Option<SocketAddr>,
        features: Features,
    ) -> Result<Self, NetError> {
        let local = socket.local_addr().map_err(|source| NetError::LocalAddress { address, source })?;
        let local = local.as_socket().unwrap_or(address);
        Ok(Self::with(socket, local, peer, features))
    }

    fn with(socket: Socket, local: SocketAddr, peer: Option<SocketAddr>, features: Features) -> Self {
        let segments = Segments::new(features.segments);
        Self {
            socket,
            local,
            peer,
            features,
            segments,
            drops: Drops::default(),
            refused: 0,
            errors_waiting: false,
            strays: vec![],
        }
    }

    fn receive_some(&self, batch: &mut RecvBatch) -> io::Result<Received> {
        let recv = if self.features.batching { mmsg::recv } else { plain::recv };
        recv(self.socket.as_fd(), self.peer, batch)
    }

    fn send_some(&mut self, batch: &SendBatch, first: usize) -> io::Result<usize> {
        // A single one needs no vector of headers.
        if !self.features.batching || batch.len() == first + 1 {
            return plain::send(self.socket.as_fd(), batch, first);
        }
        let sent = mmsg::send(self.socket.as_fd(), batch, first, self.segments.of(batch.queue[first].len))?;
        if sent < (batch.len() - first).min(mmsg::CHUNK) {
            // The kernel stopped at an error without saying which; if it was a pending one, this
            // was all we see of it.
            self.errors_waiting = self.features.error_queue;
        }
        Ok(sent)
    }

    /// How many datagrams share the fate of the one at `first`.
    fn leaving(&self, batch: &SendBatch, first: usize) -> usize {
        if self.features.batching { batch.group(first, self.segments.of(batch.queue[first].len)) } else { 1 }
    }

    fn note_received(&mut self, received: Received) {
        if let Some(count) = received.drops {
            self.drops.note(count);
        }
        if received.then.is_some() {
            self.note_pending(received.then);
        }
    }

    fn note_pending(&mut self, errno: Option<i32>) {
        self.segments.met_error();
        if self.features.error_queue {
            self.errors_waiting = true;
        } else if let Some(errno) = errno.filter(|_| self.strays.len() < STRAYS) {
            self.strays.push(errno);
        }
    }

    /// Waits for room in the send buffer; false when this call of `send` has waited its 1 ms, or
    /// one shortly before it in vain: the agents of a thread may have a socket each, and a turn
    /// must not wait for them all.
    fn wait_for_room(&self, error: &io::Error, patience: &mut Option<u64>, weary_until: &mut u64) -> bool {
        let now = clock::monotonic_ns();
        if patience.is_none() && now < *weary_until {
            return false;
        }
        let until = *patience.get_or_insert(now + PATIENCE_NS);
        if now >= until {
            *weary_until = now + WEARY_NS;
            return false;
        }
        if error.raw_os_error() == Some(libc::ENOBUFS) {
            // The device's queue is full; the socket is writable all the while, and waiting for
            // that would only try again at once.
            pause(QUEUE_PAUSE.min(Duration::from_nanos(until - now)));
            return true;
        }
        // Whatever ends the wait, the next attempt to send shows whether there is room.
        let _room_or_not = wait_ready(self.socket.as_raw_fd(), libc::POLLOUT, Some(Duration::from_nanos(until - now)));
        true
    }
}

impl AsFd for Udp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The kernel's count of drops, 32 bits wide, made a total that does not wrap.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Drops {
    last: u32,
    total: u64,
}

impl Drops {
    /// A count that lies behind the last one comes with a datagram that was queued before we last
    /// asked for the count.
    fn note(&mut self, count: u32) {
        let more = count.wrapping_sub(self.last);
        if more <= u32::MAX / 2 {
            self.total += u64::from(more);
            self.last = count;
        }
    }
}

/// A socket with its options set, before anything can arrive at it.
fn create(address: SocketAddr, options: &UdpOptions) -> Result<(Socket, Features), NetError> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))
        .map_err(|source| NetError::Create { address, source })?;
    let option = |option| move |source| NetError::Option { option, address, source };
    socket.set_nonblocking(true).map_err(option("O_NONBLOCK"))?;
    if address.is_ipv6() {
        socket.set_only_v6(true).map_err(option("IPV6_V6ONLY"))?;
    }
    let features = options::apply(&socket, address.is_ipv6(), options);
    Ok((socket, features))
}

fn bind(socket: &Socket, address: SocketAddr) -> Result<(), NetError> {
    socket.bind(&address.into()).map_err(|source| NetError::Bind { address, source })
}

/// Whether there was no room to send from: in the socket's buffer, or in the device's queue.
fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOBUFS)
}

fn fail(batch: &mut SendBatch, range: std::ops::Range<usize>, error: &io::Error) {
    let errno = error.raw_os_error().unwrap_or(libc::EAGAIN);
    batch.failed.extend(batch.queue[range].iter().map(|queued| SendFailure { tag: queued.tag, errno }));
}

/// Between two attempts to send through a device whose queue is full.
const QUEUE_PAUSE: Duration = Duration::from_micros(250);
/// How long one call of `send` waits for a full send buffer, in all.
const PATIENCE_NS: u64 = 1_000_000;
/// For how long nothing is waited for after that.
const WEARY_NS: u64 = 20_000_000;
/// Pending errors that one call of `recv` steps over.
const PENDING_PER_CALL: u32 = 8;
const STRAYS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_count_never_runs_back_and_outlives_its_32_bits() {
        let mut drops = Drops::default();
        for (count, total) in [(0, 0), (5, 5), (3, 5), (u32::MAX / 2, 0x7fff_ffff), (u32::MAX - 1, 0xffff_fffe)] {
            drops.note(count);
            assert_eq!(drops.total, total, "{count}");
        }
        drops.note(3);
        assert_eq!(drops.total, 0x1_0000_0003);
    }

    #[test]
    fn one_call_waits_for_room_only_so_long() {
        let socket = Udp::bound(SocketAddr::from(([127, 0, 0, 1], 0)), &UdpOptions::default()).expect("a bound socket");
        let (mut patience, mut weary) = (None, 0);
        let before = clock::monotonic_ns();
        // There is room all the time, so this goes round quickly, as it does while a device's queue
        // is full.
        let full = io::Error::from_raw_os_error(libc::ENOBUFS);
        while socket.wait_for_room(&full, &mut patience, &mut weary) {}
        let waited = clock::monotonic_ns() - before;
        assert!(waited >= PATIENCE_NS, "{waited} ns");
        assert!(!socket.wait_for_room(&full, &mut patience, &mut weary));
        // The next call does not wait again, until a while has passed.
        assert!(weary > before && !socket.wait_for_room(&full, &mut None, &mut weary.saturating_add(WEARY_NS)));
    }

    #[test]
    fn failures_name_the_rest_of_the_batch() {
        let mut batch = SendBatch::new(3, 4);
        (10..13).for_each(|tag| batch.commit(1, None, tag));
        let error = io::Error::from_raw_os_error(libc::ENOBUFS);
        assert!(is_full(&error));
        fail(&mut batch, 1..3, &error);
        let tags: Vec<_> = batch.failed.iter().map(|failure| (failure.tag, failure.errno)).collect();
        assert_eq!(tags, [(11, libc::ENOBUFS), (12, libc::ENOBUFS)]);
        assert_eq!(batch.failed[0].error().raw_os_error(), Some(libc::ENOBUFS));
    }
}
