//! A world's registrar as the far end of a simulation.

use crate::side::{Nanos, Side};
use regstorm::sim::{Opposite, START};
use regstorm::vocab::Time;
use std::net::SocketAddr;
use std::time::Duration;

pub struct Far(pub Side);

fn passed(now: Time) -> Nanos {
    now.nanos_since(START)
}

impl Opposite for Far {
    fn receive(&mut self, now: Time, from: SocketAddr, datagram: &[u8]) {
        self.0.receive(passed(now), from, datagram);
    }

    fn receive_at(&mut self, now: Time, at: SocketAddr, from: SocketAddr, datagram: &[u8]) {
        self.0.is_asked_at(at.ip());
        self.receive(now, from, datagram);
    }

    fn poll_transmit(&mut self, now: Time, out: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let (bytes, to) = self.0.poll(passed(now))?;
        out[..bytes.len()].copy_from_slice(&bytes);
        Some((bytes.len(), to))
    }

    fn next_wake(&self) -> Option<Time> {
        self.0.next_wake().map(|at| START + Duration::from_nanos(at))
    }

    fn contacts(&self) -> usize {
        self.0.bound()
    }
}
