//! The sockets of one thread, as the [`Ways`] that agents send through, and as the inbox their
//! answers arrive in.
//!
//! A sender's fleet and the crew of a search for limits use the same: batches out, batches in with
//! kernel timestamps, ICMP errors, failed sends and the kernel's own drops.

use super::channels::{Channels, ClientLayers, Inbox, LONGEST_MESSAGE, Layers, Progress};
use crate::fleet::{Driver, Flows, NO_AGENT, NameQuestion, Ways, Witness};
use crate::net::clock::Clock;
use crate::net::poll::{Poller, StreamReady, StreamRegistry, StreamToken};
use crate::net::tcp::Tcp;
use crate::net::udp::{COALESCED, RecvBatch, SendBatch, SendFailure, Udp, UdpOptions};
use crate::vocab::{FlowId, FlowLoss, NotSent, Time, Trouble, Unreachable, saturating_u32};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc::Sender;
use std::time::Duration;

/// What one round of receiving brought.
pub(super) struct Came {
    pub(super) datagrams: usize,
    /// No socket holds more.
    pub(super) emptied: bool,
    /// Datagrams the kernel dropped at our sockets since this was last told.
    pub(super) drops: u64,
    /// Reads the kernel had no memory for, to be tried again.
    pub(super) refused: u64,
}

/// Where datagrams wait for their system call.
enum Batches {
    /// One for each flow, and the flows with something in theirs.
    Each { batches: Vec<SendBatch>, waiting: Vec<FlowId> },
    /// One for all: every datagram goes out at once.
    Shared(SendBatch),
}

/// One thread's sockets: a full batch goes out at once, the rest at the end of the turn.
pub(super) struct Sockets {
    /// By flow.
    sockets: Vec<Udp>,
    /// Further sockets of some flows, for what others than their target send to their port.
    beside: Vec<(FlowId, Udp)>,
    batches: Batches,
    /// Datagrams that could not be sent.
    failed: Vec<SendFailure>,
    /// By socket, and behind them those beside.
    drops_seen: [Vec<u64>; 2],
    registry: StreamRegistry,
    streams: Option<Box<StreamSockets>>,
    /// Who looks names up, if anybody does.
    questions: Option<Sender<NameQuestion>>,
}

/// A thread's flows that are connections.
struct StreamSockets {
    channels: Channels<FlowId>,
    /// By flow: its connection, while it has one.
    tokens: Vec<Option<StreamToken>>,
    /// By flow.
    ends: Vec<StreamEnds>,
    inbox: Option<Inbox>,
}

/// What a connection is between, and what lies between its bytes and its messages.
#[derive(Clone)]
struct StreamEnds {
    /// The address its requests come from, where that is given.
    source: Option<IpAddr>,
    remote: SocketAddr,
    layers: ClientLayers,
}

/// How long connections are read, and opened, in one turn. A handshake costs hundreds of
/// microseconds; many of them must not add up to a stall.
const STREAM_BUDGET: Duration = Duration::from_millis(2);

/// Where the positions of sockets beside others begin.
const BESIDE: u32 = 1 << 30;
/// ENOBUFS: the queue of the interface is full.
const NO_BUFFERS: i32 = 105;

/// Datagrams per system call, and room for each. A REGISTER with credentials and a few extra
/// headers has 700 bytes.
pub(super) const BATCH: usize = 64;
pub(super) const DATAGRAM: usize = 4096;

/// What a round of receiving fills: room for one datagram in each slot, or for as many as a socket
/// may receive as one.
pub(super) fn inbox(sockets: &[Udp]) -> RecvBatch {
    if sockets.iter().any(|udp| udp.features().coalescing) {
        RecvBatch::new(COALESCED_SLOTS, COALESCED)
    } else {
        RecvBatch::new(BATCH, DATAGRAM)
    }
}

/// Of [`COALESCED`] bytes each: 2 MiB, of which single datagrams touch only the pages they need.
const COALESCED_SLOTS: usize = 32;

/// Sockets up to which each has a batch of its own, 256 KiB each. Beyond, agents have a socket
/// each, and no datagram ever has company in its batch.
const BATCHED_SOCKETS: usize = 256;

/// Sockets that are looked into without being asked first.
const ASKED_EACH: usize = 4;

/// For a socket beside another: it is hardly used.
pub fn beside_options() -> UdpOptions {
    UdpOptions { recv_buffer: 64 << 10, send_buffer: 64 << 10, ..UdpOptions::default() }
}

/// Receive batches per socket and turn: answers come first, but not for ever.
const RECEIVE_ROUNDS: usize = 16;

impl Ways for Sockets {
    fn put(&mut self, flow: FlowId, tag: u64, write: impl FnOnce(&mut [u8]) -> usize) {
        if flow.is_stream() {
            self.put_on_stream(flow, tag, write);
        } else {
            self.put_datagram(flow, None, tag, write);
        }
    }

    fn reply(&mut self, flow: FlowId, to: SocketAddr, write: impl FnOnce(&mut [u8]) -> usize) {
        if flow.is_stream() {
            self.put_on_stream(flow, NO_AGENT, write);
        } else {
            self.put_datagram(flow, Some(to), NO_AGENT, write);
        }
    }

    fn open(&mut self, flow: FlowId) {
        if let Some(streams) = &mut self.streams {
            streams.open(flow);
        }
    }

    fn aim(&mut self, flow: FlowId, to: SocketAddr) -> Option<SocketAddr> {
        if flow.is_stream() {
            if let Some(streams) = &mut self.streams {
                streams.ends[flow.index()].remote = to;
            }
            return None;
        }
        // What waits was meant for the address before.
        self.flush_flow(flow);
        let udp = &mut self.sockets[flow.index()];
        udp.aim(to).ok().map(|()| udp.local_addr())
    }

    fn another(&mut self, like: FlowId, to: SocketAddr) -> Option<SocketAddr> {
        if like.is_stream() {
            return self.streams.as_mut().map(|streams| streams.another(like, to));
        }
        let udp = self.sockets[like.index()].another(to).ok()?;
        let (local, position) = (udp.local_addr(), saturating_u32(self.sockets.len()));
        let Batches::Each { batches, .. } = &mut self.batches else { return None };
        self.registry.add_socket(&udp, position).ok()?;
        if self.beside.iter().any(|(flow, _)| *flow == like)
            && let Ok(beside) = udp.beside(&beside_options())
        {
            let position = BESIDE + saturating_u32(self.beside.len());
            if self.registry.add_socket(&beside, position).is_ok() {
                self.beside.push((FlowId(saturating_u32(self.sockets.len())), beside));
                self.drops_seen[1].push(0);
            }
        }
        batches.push(SendBatch::new(BATCH, DATAGRAM));
        self.sockets.push(udp);
        self.drops_seen[0].push(0);
        Some(local)
    }

    fn ask_name(&mut self, question: NameQuestion) -> bool {
        self.questions.as_ref().is_some_and(|questions| questions.send(question).is_ok())
    }

    fn close(&mut self, flow: FlowId) -> FlowLoss {
        let Some(streams) = &mut self.streams else { return FlowLoss::ConnectTimeout };
        let Some(token) = streams.tokens[flow.index()].take() else { return FlowLoss::ConnectTimeout };
        let why = streams.channels.too_late(token);
        streams.channels.remove(token);
        why
    }
}

impl Sockets {
    /// `to`: `None` for the flow's target.
    fn put_datagram(&mut self, flow: FlowId, to: Option<SocketAddr>, tag: u64, write: impl FnOnce(&mut [u8]) -> usize) {
        let batch = match &mut self.batches {
            Batches::Shared(batch) => batch,
            Batches::Each { batches, waiting } => {
                let batch = &mut batches[flow.index()];
                if batch.is_full() {
                    send(&mut self.sockets[flow.index()], batch, &mut self.failed);
                } else if batch.is_empty() {
                    waiting.push(flow);
                }
                batch
            }
        };
        if let Some(slot) = batch.slot() {
            let length = write(slot);
            if length > 0 {
                batch.commit(length, to, tag);
            }
        }
        if let Batches::Shared(batch) = &mut self.batches {
            send(&mut self.sockets[flow.index()], batch, &mut self.failed);
        }
    }
}

impl StreamSockets {
    fn another(&mut self, like: FlowId, to: SocketAddr) -> SocketAddr {
        let ends = self.ends[like.index()].clone();
        let anywhere = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let local = SocketAddr::new(ends.source.unwrap_or(anywhere), 0);
        self.ends.push(StreamEnds { remote: to, ..ends });
        self.tokens.push(None);
        local
    }

    fn open(&mut self, flow: FlowId) {
        let StreamEnds { source, remote, ref layers } = self.ends[flow.index()];
        let layers = Layers::of_client(layers);
        let begun = Tcp::connect(source, remote).and_then(|tcp| self.channels.add(flow, tcp, layers, true));
        match begun {
            Ok(token) => self.tokens[flow.index()] = Some(token),
            Err(error) => self.channels.never_was(flow, &error),
        }
    }
}

fn send(udp: &mut Udp, batch: &mut SendBatch, failed: &mut Vec<SendFailure>) {
    if !batch.is_empty() {
        failed.extend_from_slice(udp.send(batch).failed);
    }
}

impl Sockets {
    /// A thread's sockets, by flow; connections are opened as `flows` wants them, with what
    /// `layers` has for each, and reported by `poller`.
    ///
    /// # Errors
    /// When the kernel's limit on watches is reached.
    pub(super) fn watched(
        sockets: Vec<Udp>,
        beside: Vec<(FlowId, Udp)>,
        flows: &Flows,
        layers: Vec<ClientLayers>,
        poller: &mut Poller,
    ) -> io::Result<Self> {
        for (udp, position) in sockets.iter().zip(0..) {
            poller.add(udp, position)?;
        }
        for ((_, udp), position) in beside.iter().zip(BESIDE..) {
            poller.add(udp, position)?;
        }
        let given = |local: SocketAddr| Some(local.ip()).filter(|address| !address.is_unspecified());
        let layers = layers.into_iter().chain(std::iter::repeat_with(ClientLayers::default));
        let ends = flows.stream_ends().zip(layers);
        let ends: Vec<_> =
            ends.map(|((local, remote), layers)| StreamEnds { source: given(local), remote, layers }).collect();
        let streams = (!ends.is_empty()).then(|| {
            let channels = Channels::new(poller.registry());
            Box::new(StreamSockets { channels, tokens: vec![None; ends.len()], ends, inbox: Some(Inbox::new()) })
        });
        Ok(Sockets { streams, ..Sockets::new(sockets, beside, poller.registry()) })
    }

    fn new(sockets: Vec<Udp>, beside: Vec<(FlowId, Udp)>, registry: StreamRegistry) -> Self {
        let batches = if sockets.len() <= BATCHED_SOCKETS {
            let batches = sockets.iter().map(|_| SendBatch::new(BATCH, DATAGRAM)).collect();
            Batches::Each { batches, waiting: Vec::new() }
        } else {
            Batches::Shared(SendBatch::new(1, DATAGRAM))
        };
        let drops_seen = [vec![0; sockets.len()], vec![0; beside.len()]];
        Sockets { batches, drops_seen, sockets, beside, failed: Vec::new(), registry, streams: None, questions: None }
    }

    /// Names that redirections lead to are asked for there.
    pub(super) fn asking(self, questions: Option<Sender<NameQuestion>>) -> Self {
        Sockets { questions, ..self }
    }

    fn put_on_stream(&mut self, flow: FlowId, tag: u64, write: impl FnOnce(&mut [u8]) -> usize) {
        let Some(streams) = &mut self.streams else { return };
        let took = match streams.tokens[flow.index()] {
            Some(token) => streams.channels.put(token, write),
            // It broke in this turn and its agents will be told. `write` is called all the same,
            // because the driver takes a message of length 0 for one that is too long.
            None => {
                write(&mut [0; LONGEST_MESSAGE]);
                true
            }
        };
        if !took {
            self.failed.push(SendFailure::no_room(tag));
        }
    }

    /// Does what the ready connections are ready for, for a bounded time. Returns how many messages
    /// came.
    pub(super) fn serve_streams(
        &mut self,
        ready: &[StreamReady],
        clock: &Clock,
        to: &mut Driver<impl Witness>,
    ) -> usize {
        // Taken out, because the agents send while it is read.
        let Some(mut inbox) = self.streams.as_mut().and_then(|streams| streams.inbox.take()) else { return 0 };
        let mut messages = 0;
        let begin = clock.now();
        for event in ready {
            let Some(streams) = &mut self.streams else { break };
            let progress = streams.channels.progress(*event, &mut inbox);
            messages += self.carry_out(progress, &mut inbox, clock, to);
            if clock.now().since(begin) > STREAM_BUDGET {
                break;
            }
        }
        if let Some(streams) = &mut self.streams {
            streams.inbox = Some(inbox);
        }
        messages
    }

    fn carry_out(
        &mut self,
        progress: Progress<FlowId>,
        inbox: &mut Inbox,
        clock: &Clock,
        to: &mut Driver<impl Witness>,
    ) -> usize {
        let mut messages = 0;
        match progress {
            Progress::Nothing => {}
            Progress::Opened(flow, opened) => {
                if let Some(secured) = &opened.secured {
                    to.secured(flow, secured);
                }
                to.opened(clock.now(), flow, opened.local, self);
            }
            Progress::Lost(flow, why) => self.lost(flow, why, clock.now(), to),
            Progress::Came(flow) => {
                let moment = clock.sample();
                let at = inbox.kernel_ns.map_or(moment.now, |ns| clock.from_kernel(&moment, ns));
                let remote = self.streams.as_ref().map(|streams| streams.ends[flow.index()].remote);
                while let (Some(message), Some(remote)) = (inbox.next(), remote) {
                    to.receive(moment.now, at, flow, remote, message, self);
                    messages += 1;
                }
                if inbox.take_pong() {
                    to.ponged(moment.now, flow, self);
                }
                let settled = self.streams.as_mut().map_or(Progress::Nothing, |streams| streams.channels.settle(inbox));
                if let Progress::Lost(flow, why) = settled {
                    self.lost(flow, why, clock.now(), to);
                }
            }
        }
        messages
    }

    fn lost(&mut self, flow: FlowId, why: FlowLoss, now: Time, to: &mut Driver<impl Witness>) {
        if let Some(streams) = &mut self.streams {
            streams.tokens[flow.index()] = None;
            if let Some(text) = streams.channels.take_said() {
                to.said(flow, why, &text);
            }
        }
        to.lost(now, flow, why, self);
    }

    fn flush_flow(&mut self, flow: FlowId) {
        if let Batches::Each { batches, .. } = &mut self.batches {
            send(&mut self.sockets[flow.index()], &mut batches[flow.index()], &mut self.failed);
        }
    }

    pub(super) fn flush_all(&mut self) {
        if let Some(streams) = &mut self.streams {
            streams.channels.flush();
        }
        if let Batches::Each { batches, waiting } = &mut self.batches {
            for flow in waiting.drain(..) {
                send(&mut self.sockets[flow.index()], &mut batches[flow.index()], &mut self.failed);
            }
        }
    }

    /// Reads what the ready sockets hold, a bounded number of batches each.
    ///
    /// # Errors
    /// When a socket fails.
    pub(super) fn receive(
        &mut self,
        ready: &[u32],
        received: &mut RecvBatch,
        clock: &Clock,
        to: &mut Driver<impl Witness>,
    ) -> io::Result<Came> {
        let mut came = Came { datagrams: 0, emptied: true, drops: 0, refused: 0 };
        for &position in ready {
            came.emptied &= self.receive_from(position, received, clock, to, &mut came.datagrams)?;
            if self.at(position).0.errors_waiting() {
                self.take_errors(position, clock.now(), to);
            }
            let udp = self.at(position).0;
            came.refused += udp.take_refused();
            let drops = udp.drops();
            came.drops += self.fresh_drops(position, drops);
        }
        Ok(came)
    }

    /// True when the socket was emptied.
    fn receive_from(
        &mut self,
        position: u32,
        received: &mut RecvBatch,
        clock: &Clock,
        to: &mut Driver<impl Witness>,
        datagrams: &mut usize,
    ) -> io::Result<bool> {
        for _ in 0..RECEIVE_ROUNDS {
            let (udp, flow) = self.at(position);
            let count = udp.recv(received)?;
            *datagrams += count;
            if count > 0 {
                let moment = clock.sample();
                for datagram in received.iter() {
                    let at = datagram.kernel_ns.map_or(moment.now, |ns| clock.from_kernel(&moment, ns));
                    to.receive(moment.now, at, flow, datagram.from, datagram.bytes, self);
                }
            }
            if !received.is_full() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A socket by its position, and whose it is.
    fn at(&mut self, position: u32) -> (&mut Udp, FlowId) {
        match position.checked_sub(BESIDE) {
            None => (&mut self.sockets[position as usize], FlowId(position)),
            Some(beside) => {
                let (flow, udp) = &mut self.beside[beside as usize];
                (udp, *flow)
            }
        }
    }

    fn take_errors(&mut self, position: u32, now: Time, to: &mut Driver<impl Witness>) {
        let mut errors = Vec::new();
        self.at(position).0.take_errors(|start, error| errors.push((start.to_vec(), error)));
        for (start, error) in errors {
            to.unreachable(now, &start, trouble_of(&error), self);
        }
    }

    /// Treats all sockets as ready where there are so few that reading each is cheaper than asking
    /// which are.
    pub(super) fn all_ready(&self, ready: &mut Vec<u32>) -> bool {
        let few = self.sockets.len() + self.beside.len() <= ASKED_EACH && self.streams.is_none();
        if few {
            ready.clear();
            ready.extend(self.positions());
        }
        few
    }

    /// Reports what could not be sent, and sends what the agents do about it.
    pub(super) fn report_failures(&mut self, now: Time, to: &mut Driver<impl Witness>) {
        let broken = self.streams.as_mut().map(|streams| streams.channels.take_broken());
        for (flow, why) in broken.into_iter().flatten() {
            self.lost(flow, why, now, to);
        }
        if self.failed.is_empty() {
            return;
        }
        for failure in std::mem::take(&mut self.failed) {
            to.send_failed(now, failure.tag, not_sent(&failure.error()), self);
        }
        self.flush_all();
    }

    /// Drops after a socket's last datagram show only when asked for; those since they were last
    /// counted. Sockets of single agents are left out: thousands of questions would be a stall, and
    /// none of them can overflow with one answer at a time.
    pub(super) fn refresh_drops(&mut self) -> u64 {
        if matches!(self.batches, Batches::Shared(_)) {
            return 0;
        }
        let mut fresh = 0;
        for position in self.positions() {
            let drops = self.at(position).0.refresh_drops();
            fresh += self.fresh_drops(position, drops);
        }
        fresh
    }

    /// Of every socket.
    fn positions(&self) -> impl Iterator<Item = u32> + use<> {
        let (own, beside) = (saturating_u32(self.sockets.len()), saturating_u32(self.beside.len()));
        (0..own).chain(BESIDE..BESIDE + beside)
    }

    /// Of the drops that a socket tells of, those that were not counted before.
    fn fresh_drops(&mut self, position: u32, drops: u64) -> u64 {
        let [own, beside] = &mut self.drops_seen;
        let seen = match position.checked_sub(BESIDE) {
            None => &mut own[position as usize],
            Some(position) => &mut beside[position as usize],
        };
        let fresh = drops.saturating_sub(*seen);
        *seen = drops.max(*seen);
        fresh
    }
}

/// What the kernel's refusal of a message means. What ICMP said of an earlier one was taken off the
/// socket before: where there is no route now, there is none from this machine.
fn not_sent(error: &io::Error) -> Trouble {
    match trouble_of(error) {
        Trouble::Unreachable(Unreachable::Host | Unreachable::Network) => Trouble::NotSent(NotSent::NoRoute),
        other => other,
    }
}

/// What an error of the kernel means for the message that it is about.
pub(super) fn trouble_of(error: &io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Trouble::Unreachable(Unreachable::Port),
        io::ErrorKind::HostUnreachable => Trouble::Unreachable(Unreachable::Host),
        io::ErrorKind::NetworkUnreachable => Trouble::Unreachable(Unreachable::Network),
        io::ErrorKind::WouldBlock => Trouble::NotSent(NotSent::BufferFull),
        io::ErrorKind::PermissionDenied => Trouble::NotSent(NotSent::Firewall),
        io::ErrorKind::AddrNotAvailable => Trouble::NotSent(NotSent::NoSuchAddress),
        _ if error.raw_os_error() == Some(NO_BUFFERS) => Trouble::NotSent(NotSent::BufferFull),
        _ => Trouble::NotSent(NotSent::Other),
    }
}
