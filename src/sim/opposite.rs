//! Who answers the agents of a simulation: the embedded registrar, or a registrar that a test
//! brings along, so that detectors are tried on worlds which are not made of our own faults.

use crate::registrar::{ConnectionFaults, Counts, Peer, Registrar};
use crate::vocab::Time;
use std::net::SocketAddr;

/// The far end of a simulated network. It is told the time, as the agents are.
pub trait Opposite {
    /// A datagram came; `now` never goes back.
    fn receive(&mut self, now: Time, from: SocketAddr, datagram: &[u8]);

    /// The same, of one sent to this of the several addresses that a trunk's name leads to. One who
    /// is the same at all of them does not care.
    fn receive_at(&mut self, now: Time, _at: SocketAddr, from: SocketAddr, datagram: &[u8]) {
        self.receive(now, from, datagram);
    }

    /// Copies the next datagram due by `now` into `out`: its length and destination.
    fn poll_transmit(&mut self, now: Time, out: &mut [u8]) -> Option<(usize, SocketAddr)>;

    /// When [`Opposite::poll_transmit`] has something to give without further datagrams.
    fn next_wake(&self) -> Option<Time>;

    /// Contacts held.
    fn contacts(&self) -> usize;

    /// What goes wrong with connections to it; nothing by default.
    fn connection_faults(&self) -> ConnectionFaults {
        ConnectionFaults::default()
    }

    /// What it counted; nothing by default.
    fn counts(&self) -> Counts {
        Counts::default()
    }
}

impl Opposite for Registrar {
    fn receive(&mut self, now: Time, from: SocketAddr, datagram: &[u8]) {
        Registrar::receive(self, now, from, datagram);
    }

    fn receive_at(&mut self, now: Time, at: SocketAddr, from: SocketAddr, datagram: &[u8]) {
        Registrar::receive(self, now, Peer { asked: Some(at.ip()), ..Peer::from(from) }, datagram);
    }

    fn poll_transmit(&mut self, now: Time, out: &mut [u8]) -> Option<(usize, SocketAddr)> {
        Registrar::poll_transmit(self, now, out).map(|(length, to)| (length, to.address))
    }

    fn next_wake(&self) -> Option<Time> {
        Registrar::next_wake(self)
    }

    fn contacts(&self) -> usize {
        Registrar::contacts(self)
    }

    fn connection_faults(&self) -> ConnectionFaults {
        Registrar::connection_faults(self).clone()
    }

    fn counts(&self) -> Counts {
        Registrar::counts(self).clone()
    }
}
