//! The road between simulated agents and a registrar: a link in each direction, the registrar (any
//! [`Opposite`]) at its far end, and a [`Toll`] that may count what passes.
//!
//! A run and a search for limits go the same road; what differs is who stands at its near end.

use super::Opposite;
use super::buffers::{Buffers, DATAGRAM};
use crate::fleet::Ways;
use crate::link::{Link, LinkConfig};
use crate::seed::Seed;
use crate::vocab::{FlowId, Time, saturating_u32};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

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
    pub(super) toll: T,
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
}

/// A flow, and whose it is: a fleet by its position.
#[derive(Clone, Copy, Debug)]
pub(super) struct FleetFlow {
    pub(super) fleet: usize,
    pub(super) flow: FlowId,
}

impl<T: Toll> Road<T> {
    pub(super) fn new(
        addresses: Addresses,
        link: LinkConfig,
        registrar: Box<dyn Opposite>,
        seed: Seed,
        toll: T,
    ) -> Self {
        Road {
            registrar,
            up: Link::new(link, seed, 0),
            down: Link::new(link, seed, 1),
            buffers: Buffers::default(),
            addresses,
            toll,
        }
    }

    /// When anything on the road, or at its far end, is due next.
    pub(super) fn next_due(&self) -> Option<Time> {
        [self.up.next_due(), self.down.next_due(), self.registrar.next_wake()].into_iter().flatten().min()
    }

    /// What a fleet sends through now.
    pub(super) fn lane(&mut self, now: Time, fleet: usize) -> Lane<'_, T> {
        let Road { up, buffers, toll, .. } = self;
        Lane { now, fleet, up, buffers, toll }
    }

    /// Delivers what has arrived by now: requests to the registrar, then its replies, each to the
    /// fleet and flow it is for; `receive` may send at once.
    pub(super) fn deliver(&mut self, now: Time, mut receive: impl FnMut(FleetFlow, &[u8], &mut Lane<'_, T>)) {
        while let Some(Parcel { at, bytes }) = self.up.poll(now) {
            self.registrar.receive(now, self.addresses.of(at), &bytes);
            self.buffers.reuse(bytes);
        }
        let mut buffer = [0; DATAGRAM];
        while let Some((length, to)) = self.registrar.poll_transmit(now, &mut buffer) {
            let Some(at) = self.addresses.place(to) else { continue };
            let bytes = self.buffers.copied(&buffer[..length]);
            self.down.send(now, Parcel { at, bytes });
        }
        while let Some(Parcel { at, bytes }) = self.down.poll(now) {
            self.toll.received(now, bytes.len());
            receive(at, &bytes, &mut self.lane(now, at.fleet));
            self.buffers.reuse(bytes);
        }
    }
}

/// The way from one fleet onto the road, at one moment.
pub(super) struct Lane<'a, T> {
    now: Time,
    fleet: usize,
    up: &'a mut Link<Parcel>,
    buffers: &'a mut Buffers,
    toll: &'a mut T,
}

impl<T: Toll> Ways for Lane<'_, T> {
    fn put(&mut self, flow: FlowId, tag: u64, write: impl FnOnce(&mut [u8]) -> usize) {
        let Some(bytes) = self.buffers.written(write) else { return };
        let at = FleetFlow { fleet: self.fleet, flow };
        self.toll.sent(self.now, at, tag, bytes.len());
        self.up.send(self.now, Parcel { at, bytes });
    }
}

/// Where the simulated sockets are.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// By fleet and flow.
    flows: Vec<Vec<SocketAddr>>,
    /// Every address that was given out, in order.
    given: Vec<SocketAddr>,
    /// The flow at an address, once there is one.
    places: HashMap<SocketAddr, Option<FleetFlow>>,
}

impl Addresses {
    /// An address at which there is nothing yet: a port no other has at this host.
    pub(super) fn reserve(&mut self, host: IpAddr) -> SocketAddr {
        let ports = (FIRST_PORT..=u16::MAX).map(|port| SocketAddr::new(host, port));
        let mut free = ports.skip(self.given.len() % usize::from(u16::MAX - FIRST_PORT));
        let address = free.find(|address| !self.places.contains_key(address));
        // Beyond 55 000 sockets of one host there is none left, and answers reach the last one at
        // an address.
        let address = address.unwrap_or(SocketAddr::new(host, FIRST_PORT));
        self.given.push(address);
        self.places.insert(address, None);
        address
    }

    /// The fleet's next flow is at this address.
    pub(super) fn settle(&mut self, fleet: usize, address: SocketAddr) {
        if self.flows.len() <= fleet {
            self.flows.resize_with(fleet + 1, Vec::new);
        }
        let flow = FlowId(saturating_u32(self.flows[fleet].len()));
        self.flows[fleet].push(address);
        self.places.insert(address, Some(FleetFlow { fleet, flow }));
    }

    /// Every address that was given out, in order.
    pub(super) fn given(&self) -> &[SocketAddr] {
        &self.given
    }

    /// By fleet and flow.
    pub(super) fn flows(&self) -> &[Vec<SocketAddr>] {
        &self.flows
    }

    fn of(&self, at: FleetFlow) -> SocketAddr {
        self.flows[at.fleet][at.flow.index()]
    }

    fn place(&self, address: SocketAddr) -> Option<FleetFlow> {
        self.places.get(&address).copied().flatten()
    }
}

const FIRST_PORT: u16 = 10_000;
