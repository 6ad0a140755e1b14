//! A probe over a real socket: blocking, one exchange at a time. What is sent and what it means is
//! [`crate::agent::probe`]'s.
//!
//! A [`ProbeSocket`] is one local port towards one target; probes sent one after another over the
//! same one look to the registrar like one phone, a new one like a phone that came back from
//! elsewhere.

use super::sockets::trouble_of;
use crate::agent::probe::{Probe, ProbeOutcome, ProbeRequest, Todo};
use crate::net::clock::Clock;
use crate::net::poll::Poller;
use crate::net::udp::{RecvBatch, SendBatch, Udp, UdpOptions};
use crate::net::{ClockPair, NetError};
use crate::vocab::Time;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// One local port towards one target.
pub struct ProbeSocket {
    udp: Udp,
    poller: Poller,
    received: RecvBatch,
    sending: SendBatch,
    clock: Clock,
}

/// Why there is no such socket.
#[derive(Debug, thiserror::Error)]
pub enum ProbeSocketError {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("the socket cannot be waited for: {0}")]
    Poll(#[from] io::Error),
}

const SLOTS: usize = 8;
const LARGEST: usize = 65_535;
/// One exchange at a time needs no megabytes.
const BUFFER: usize = 256 << 10;

impl ProbeSocket {
    /// A new port on `source` (`None`: where the kernel would route from) that speaks to `target`
    /// only.
    ///
    /// # Errors
    /// When there is no socket to be had, `source` is not ours, or `target` has no route.
    pub fn open(source: Option<IpAddr>, target: SocketAddr, clock: Clock) -> Result<Self, ProbeSocketError> {
        let options = UdpOptions { recv_buffer: BUFFER, send_buffer: BUFFER, ..UdpOptions::default() };
        let udp = Udp::connected(source, target, &options)?;
        let mut poller = Poller::new()?;
        poller.add(&udp, 0)?;
        let (received, sending) = (RecvBatch::new(SLOTS, LARGEST), SendBatch::new(1, LARGEST));
        Ok(ProbeSocket { udp, poller, received, sending, clock })
    }

    /// Where its requests come from.
    pub fn local_addr(&self) -> SocketAddr {
        self.udp.local_addr()
    }

    /// One exchange, from first request to final answer or timeout. Blocks for as long.
    pub fn exchange(&mut self, request: &ProbeRequest) -> ProbeOutcome {
        self.forget();
        let mut probe = Probe::new(request, self.local_addr());
        let mut todo = probe.start(self.clock.now());
        loop {
            todo = match todo {
                Todo::Done => return probe.finish(),
                Todo::Send => match self.send(probe.bytes()) {
                    Ok(()) => Todo::Wait,
                    Err(error) => probe.unreachable(self.clock.now(), trouble_of(&error)),
                },
                Todo::Wait => match self.wait(probe.deadline()) {
                    Ok(()) => self.hand_over(&mut probe),
                    Err(error) => probe.unreachable(self.clock.now(), trouble_of(&error)),
                },
            };
        }
    }

    /// Lets time pass until `time`, at once when that is over.
    ///
    /// # Errors
    /// What the kernel says; none is expected.
    pub fn rest(&mut self, time: Time) -> io::Result<()> {
        loop {
            let now = self.clock.now();
            if now >= time {
                return Ok(());
            }
            self.wait(time)?;
            self.forget();
        }
    }

    /// What came since the last exchange belongs to nobody.
    fn forget(&mut self) {
        // An error here would be reported by the exchange, if it lasts.
        while self.udp.recv(&mut self.received).is_ok_and(|count| count > 0) {}
        if self.udp.errors_waiting() {
            self.udp.take_errors(|_, _| {});
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(slot) = self.sending.slot() {
            slot[..bytes.len()].copy_from_slice(bytes);
            self.sending.commit(bytes.len(), None, 0);
        }
        let report = self.udp.send(&mut self.sending);
        report.failed.first().map_or(Ok(()), |failure| Err(failure.error()))
    }

    fn wait(&mut self, until: Time) -> io::Result<()> {
        self.poller.wait(Some(until.since(self.clock.now())), &mut Vec::new())
    }

    /// Gives the probe what has arrived, or its wake-up.
    fn hand_over(&mut self, probe: &mut Probe<'_>) -> Todo {
        if let Err(error) = self.udp.recv(&mut self.received) {
            return probe.unreachable(self.clock.now(), trouble_of(&error));
        }
        let moment = self.clock.sample();
        for datagram in self.received.iter() {
            let at = datagram.kernel_ns.map_or(moment.now, |ns| self.clock.from_kernel(&moment, ns));
            let next = probe.receive(at, datagram.bytes);
            if next != Todo::Wait {
                return next;
            }
        }
        self.errors(probe, &moment)
    }

    fn errors(&mut self, probe: &mut Probe<'_>, moment: &ClockPair) -> Todo {
        let mut refused = None;
        if self.udp.errors_waiting() {
            self.udp.take_errors(|_, error| refused = Some(error));
        }
        match refused {
            Some(error) => probe.unreachable(moment.now, trouble_of(&error)),
            None if moment.now >= probe.deadline() => probe.wake(moment.now),
            None => Todo::Wait,
        }
    }
}
