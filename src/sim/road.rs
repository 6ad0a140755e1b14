//! The road between simulated agents and a registrar: a link in each direction, the registrar (any
//! [`Opposite`]) at its far end, and a [`Toll`] that may count what passes.
//!
//! A run and a search for limits go the same road; what differs is who stands at its near end.

use super::Opposite;
use super::buffers::{Buffers, DATAGRAM};
use super::wires::{FleetFlow, Handshakes, News, Wires};
use crate::fleet::{Driver, Ways, Witness};
use crate::link::{Link, LinkConfig};
use crate::seed::Seed;
use crate::vocab::{FlowId, FlowLoss, Time, saturating_u32};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// When everything simulated starts.
pub const START: Time = Time::from_secs(1);

/// Where the registrar is.
pub(super) const REGISTRAR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5060);

pub(super) struct Road<T> {
    pub(super) registrar: Box<dyn Opposite>,
    up: Link<Parcel>,
    down: Link<Parcel>,
    buffers: Buffers,
    addresses: Addresses,
    pub(super) wires: Wires,
    pub(super) toll: T,
}

/// What reaches a fleet.
pub(super) enum Arrival<'a> {
    Message {
        bytes: &'a [u8],
        from: SocketAddr,
    },
    /// A connection is open, and comes from there.
    Opened(SocketAddr),
    Lost(FlowLoss),
}

impl Arrival<'_> {
    /// Hands it in.
    pub(super) fn to(self, driver: &mut Driver<impl Witness>, now: Time, flow: FlowId, lane: &mut impl Ways) {
        match self {
            Arrival::Message { bytes: b"\r\n", .. } if flow.is_stream() => driver.ponged(now, flow, lane),
            Arrival::Message { bytes, from } => driver.receive(now, now, flow, from, bytes, lane),
            Arrival::Opened(local) => driver.opened(now, flow, local, lane),
            Arrival::Lost(why) => driver.lost(now, flow, why, lane),
        }
    }
}

/// Who sees what passes along a road; `()` does not look.
pub(super) trait Toll {
    /// A message left a flow; its tag says whose it is.
    fn sent(&mut self, _now: Time, _at: FleetFlow, _tag: u64, _bytes: usize) {}

    /// A message reached the agents.
    fn received(&mut self, _now: Time, _bytes: usize) {}
}

impl Toll for () {}

/// A message under way, and the flow of agents that it left or will reach.
#[derive(Debug)]
struct Parcel {
    at: FleetFlow,
    bytes: Vec<u8>,
    /// Which of the flow's connections it is on, where it is a stream.
    generation: u32,
}

impl<T: Toll> Road<T> {
    pub(super) fn new(
        mut addresses: Addresses,
        link: LinkConfig,
        registrar: Box<dyn Opposite>,
        seed: Seed,
        toll: T,
    ) -> Self {
        let mut wires = std::mem::take(&mut addresses.wires);
        wires.suffer(registrar.connection_faults());
        Road {
            registrar,
            up: Link::new(link, seed, 0),
            down: Link::new(link, seed, 1),
            buffers: Buffers::default(),
            wires,
            addresses,
            toll,
        }
    }

    /// When anything on the road, or at its far end, is due next.
    pub(super) fn next_due(&self) -> Option<Time> {
        let news = self.wires.next_due();
        [self.up.next_due(), self.down.next_due(), self.registrar.next_wake(), news].into_iter().flatten().min()
    }

    /// What a fleet sends through now.
    pub(super) fn lane(&mut self, now: Time, fleet: usize) -> Lane<'_, T> {
        let Road { up, down, buffers, wires, addresses, toll, .. } = self;
        Lane { now, fleet, up, down, buffers, wires, addresses, toll }
    }

    /// Delivers what has arrived by now: requests to the registrar, then its replies, each to the
    /// fleet and flow it is for; `receive` may send at once.
    pub(super) fn deliver(&mut self, now: Time, mut receive: impl FnMut(FleetFlow, Arrival<'_>, &mut Lane<'_, T>)) {
        while let Some((at, news)) = self.wires.next(now) {
            let arrival = match news {
                News::Opened => Arrival::Opened(self.addresses.of(at)),
                News::Lost(why) => Arrival::Lost(why),
            };
            receive(at, arrival, &mut self.lane(now, at.fleet));
        }
        while let Some(Parcel { at, bytes, generation }) = self.up.poll(now) {
            if !at.flow.is_stream() || self.wires.hears(now, at, generation, bytes.len()) {
                if at.flow.is_stream() && bytes == b"\r\n\r\n" {
                    self.answer_ping(now, at);
                } else {
                    let (asked, from) = (self.addresses.remote(at), self.addresses.of(at));
                    self.registrar.receive_at(now, asked, from, &bytes);
                }
            }
            self.buffers.reuse(bytes);
        }
        let mut buffer = [0; DATAGRAM];
        while let Some((length, to)) = self.registrar.poll_transmit(now, &mut buffer) {
            let Some(at) = self.addresses.place(to) else { continue };
            let bytes = self.buffers.copied(&buffer[..length]);
            if at.flow.is_stream() {
                let down = &mut self.down;
                self.wires.send(at, false, |after, generation| {
                    down.send_in_order(now, after, Parcel { at, bytes, generation })
                });
            } else {
                self.down.send(now, Parcel { at, bytes, generation: 0 });
            }
        }
        while let Some(Parcel { at, bytes, generation }) = self.down.poll(now) {
            if !at.flow.is_stream() || self.wires.carries(at, generation) {
                self.toll.received(now, bytes.len());
                let message = Arrival::Message { bytes: &bytes, from: self.addresses.remote(at) };
                receive(at, message, &mut self.lane(now, at.fleet));
            }
            self.buffers.reuse(bytes);
        }
    }
}

impl<T: Toll> Road<T> {
    /// Whatever the registrar is, its end of a connection answers keep-alives (RFC 5626 §4.4.1).
    fn answer_ping(&mut self, now: Time, at: FleetFlow) {
        let bytes = self.buffers.copied(b"\r\n");
        let down = &mut self.down;
        self.wires
            .send(at, false, |after, generation| down.send_in_order(now, after, Parcel { at, bytes, generation }));
    }
}

/// The way from one fleet onto the road, at one moment.
pub(super) struct Lane<'a, T> {
    now: Time,
    fleet: usize,
    up: &'a mut Link<Parcel>,
    down: &'a mut Link<Parcel>,
    buffers: &'a mut Buffers,
    wires: &'a mut Wires,
    addresses: &'a mut Addresses,
    toll: &'a mut T,
}

impl<T: Toll> Ways for Lane<'_, T> {
    fn put(&mut self, flow: FlowId, tag: u64, write: impl FnOnce(&mut [u8]) -> usize) {
        let Some(bytes) = self.buffers.written(write) else { return };
        let at = FleetFlow { fleet: self.fleet, flow };
        self.toll.sent(self.now, at, tag, bytes.len());
        let (up, now) = (&mut *self.up, self.now);
        if flow.is_stream() {
            self.wires
                .send(at, true, |after, generation| up.send_in_order(now, after, Parcel { at, bytes, generation }));
        } else {
            up.send(now, Parcel { at, bytes, generation: 0 });
        }
    }

    fn open(&mut self, flow: FlowId) {
        let round_trip = self.up.passage() + self.down.passage();
        self.wires.open(FleetFlow { fleet: self.fleet, flow }, self.now, round_trip);
    }

    fn aim(&mut self, flow: FlowId, to: SocketAddr) -> Option<SocketAddr> {
        let at = FleetFlow { fleet: self.fleet, flow };
        self.addresses.aim(at, to);
        (!flow.is_stream()).then(|| self.addresses.of(at))
    }

    fn close(&mut self, flow: FlowId) -> FlowLoss {
        self.wires.close(FleetFlow { fleet: self.fleet, flow }, self.now)
    }
}

/// Where the simulated sockets are.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// By fleet and flow.
    flows: Vec<Vec<SocketAddr>>,
    /// By fleet and stream.
    streams: Vec<Vec<SocketAddr>>,
    /// Where each of these sends to: datagram flows, and streams.
    remotes: [Vec<Vec<SocketAddr>>; 2],
    wires: Wires,
    /// Every address that was given out, in order.
    given: Vec<SocketAddr>,
    /// The flow at an address, once there is one.
    places: HashMap<SocketAddr, Option<FleetFlow>>,
}

impl Addresses {
    /// An address at which there is nothing yet: a port no other has at this host.
    pub(super) fn reserve(&mut self, host: IpAddr) -> SocketAddr {
        let span = usize::from(u16::MAX - FIRST_PORT);
        // Agents with connections of their own may need more ports than one host has.
        let hosts = [host, beside(host, self.given.len() / span)];
        let address = hosts.into_iter().find_map(|host| {
            let ports = (FIRST_PORT..=u16::MAX).map(|port| SocketAddr::new(host, port));
            ports.skip(self.given.len() % span).find(|address| !self.places.contains_key(address))
        });
        // Where even there none is left, answers reach the last one at an address.
        let address = address.unwrap_or(SocketAddr::new(host, FIRST_PORT));
        self.given.push(address);
        self.places.insert(address, None);
        address
    }

    /// The fleet's next flow is at this address, and sends to `remote`.
    pub(super) fn settle(&mut self, fleet: usize, address: SocketAddr, remote: SocketAddr) {
        if self.flows.len() <= fleet {
            self.flows.resize_with(fleet + 1, Vec::new);
            self.remotes[0].resize_with(fleet + 1, Vec::new);
        }
        self.remotes[0][fleet].push(remote);
        let flow = FlowId(saturating_u32(self.flows[fleet].len()));
        self.flows[fleet].push(address);
        self.places.insert(address, Some(FleetFlow { fleet, flow }));
    }

    /// The fleet's next stream comes from the first of these addresses whenever it is open, and
    /// goes to the second.
    pub(super) fn settle_stream(
        &mut self,
        fleet: usize,
        (address, remote): (SocketAddr, SocketAddr),
        handshakes: Handshakes,
    ) {
        if self.streams.len() <= fleet {
            self.streams.resize_with(fleet + 1, Vec::new);
            self.remotes[1].resize_with(fleet + 1, Vec::new);
        }
        self.remotes[1][fleet].push(remote);
        let flow = FlowId::stream(saturating_u32(self.streams[fleet].len()));
        self.streams[fleet].push(address);
        self.wires.add(fleet, address, handshakes);
        self.places.insert(address, Some(FleetFlow { fleet, flow }));
    }

    /// Every address that was given out, in order.
    pub(super) fn given(&self) -> &[SocketAddr] {
        &self.given
    }

    /// By fleet and flow: those of datagrams, and streams.
    pub(super) fn flows(&self) -> [&[Vec<SocketAddr>]; 2] {
        [&self.flows, &self.streams]
    }

    fn of(&self, at: FleetFlow) -> SocketAddr {
        let of = if at.flow.is_stream() { &self.streams } else { &self.flows };
        of[at.fleet][at.flow.index()]
    }

    fn remote(&self, at: FleetFlow) -> SocketAddr {
        self.remotes[usize::from(at.flow.is_stream())][at.fleet][at.flow.index()]
    }

    fn aim(&mut self, at: FleetFlow, to: SocketAddr) {
        self.remotes[usize::from(at.flow.is_stream())][at.fleet][at.flow.index()] = to;
    }

    fn place(&self, address: SocketAddr) -> Option<FleetFlow> {
        self.places.get(&address).copied().flatten()
    }
}

/// The host `step` addresses behind another.
fn beside(host: IpAddr, step: usize) -> IpAddr {
    let step = saturating_u32(step);
    match host {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits().wrapping_add(step)).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits().wrapping_add(step.into())).into(),
    }
}

const FIRST_PORT: u16 = 10_000;
