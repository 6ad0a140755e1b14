//! A probe over a real socket: blocking, one exchange at a time. What is sent and what it means is
//! [`crate::agent::probe`]'s.
//!
//! A [`ProbeSocket`] is one local port towards one target; probes sent one after another over the
//! same one look to the registrar like one phone, a new one like a phone that came back from
//! elsewhere.

mod line;

use super::channels::ClientLayers;
use super::sockets::trouble_of;
use crate::agent::probe::{Probe, ProbeOutcome, ProbeRequest, Todo};
use crate::net::NetError;
use crate::net::clock::Clock;
use crate::net::poll::Poller;
use crate::net::udp::{RecvBatch, SendBatch, Udp, UdpOptions};
use crate::vocab::{LayersTold, Time, Trouble};
use line::ProbeConnection;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// One local port towards one target, over datagrams or over a connection.
pub struct ProbeSocket {
    way: ProbeWay,
    poller: Poller,
    clock: Clock,
}

enum ProbeWay {
    Datagrams { udp: Udp, received: RecvBatch, sending: SendBatch },
    Connection(ProbeConnection),
}

/// What a probe goes over.
#[derive(Clone, Debug)]
pub enum Carrier {
    Datagrams,
    Connection(ClientLayers),
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
    /// only. A connection that cannot be opened is what its first exchange reports.
    ///
    /// # Errors
    /// When there is no socket to be had, `source` is not ours, or `target` has no route.
    pub fn open(
        over: &Carrier,
        source: Option<IpAddr>,
        target: SocketAddr,
        clock: Clock,
    ) -> Result<Self, ProbeSocketError> {
        let mut poller = Poller::new()?;
        let layers = match over {
            Carrier::Datagrams => {
                let options = UdpOptions { recv_buffer: BUFFER, send_buffer: BUFFER, ..UdpOptions::default() };
                let udp = Udp::connected(source, target, &options)?;
                poller.add(&udp, 0)?;
                let (received, sending) = (RecvBatch::new(SLOTS, LARGEST), SendBatch::new(1, LARGEST));
                return Ok(ProbeSocket { way: ProbeWay::Datagrams { udp, received, sending }, poller, clock });
            }
            Carrier::Connection(layers) => layers.clone(),
        };
        let mut line = ProbeConnection::new((source, target), layers, &poller);
        line.connect(&mut poller, &clock)?;
        let way = ProbeWay::Connection(line);
        Ok(ProbeSocket { way, poller, clock })
    }

    /// Where its requests come from; of a connection that is not open, without a port.
    pub fn local_addr(&self) -> SocketAddr {
        match &self.way {
            ProbeWay::Datagrams { udp, .. } => udp.local_addr(),
            ProbeWay::Connection(line) => line.local(),
        }
    }

    /// What there is to say of what lies between its bytes and messages: what was agreed on, or why
    /// nothing was.
    pub fn layers(&self) -> Option<Result<LayersTold, String>> {
        match &self.way {
            ProbeWay::Datagrams { .. } => None,
            ProbeWay::Connection(line) => line.said().cloned(),
        }
    }

    /// One exchange, from first request to final answer or timeout. Blocks for as long.
    pub fn exchange(&mut self, request: &ProbeRequest) -> ProbeOutcome {
        self.forget();
        let ready = self.prepare();
        let mut probe = Probe::new(request, self.local_addr());
        let mut todo = probe.start(self.clock.now());
        if let Err(trouble) = ready {
            todo = probe.unreachable(self.clock.now(), trouble);
        }
        loop {
            todo = match todo {
                Todo::Done => return probe.finish(),
                Todo::Send => match self.send(probe.bytes()) {
                    Ok(()) => Todo::Wait,
                    Err(trouble) => probe.unreachable(self.clock.now(), trouble),
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
        match &mut self.way {
            ProbeWay::Datagrams { udp, received, .. } => {
                // An error here would be reported by the exchange, if it lasts.
                while udp.recv(received).is_ok_and(|count| count > 0) {}
                if udp.errors_waiting() {
                    udp.take_errors(|_, _| {});
                }
            }
            ProbeWay::Connection(line) => line.read(self.poller.streams(), |_, _| Todo::Wait),
        }
    }

    /// A connection that is not open, or was lost, is opened.
    fn prepare(&mut self) -> Result<(), Trouble> {
        let ProbeWay::Connection(line) = &mut self.way else { return Ok(()) };
        if !line.is_open() {
            line.connect(&mut self.poller, &self.clock).map_err(|error| trouble_of(&error))?;
        }
        line.trouble().map_or(Ok(()), Err)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        match &mut self.way {
            ProbeWay::Datagrams { udp, sending, .. } => {
                if let Some(slot) = sending.slot() {
                    slot[..bytes.len()].copy_from_slice(bytes);
                    sending.commit(bytes.len(), None, 0);
                }
                let report = udp.send(sending);
                report.failed.first().map_or(Ok(()), |failure| Err(trouble_of(&failure.error())))
            }
            ProbeWay::Connection(line) => line.send(bytes),
        }
    }

    fn wait(&mut self, until: Time) -> io::Result<()> {
        self.poller.wait(Some(until.since(self.clock.now())), &mut Vec::new())
    }

    /// Gives the probe what has arrived, or its wake-up.
    fn hand_over(&mut self, probe: &mut Probe<'_>) -> Todo {
        let ProbeSocket { way, poller, clock } = self;
        let mut next = Todo::Wait;
        let trouble = match way {
            ProbeWay::Datagrams { udp, received, .. } => {
                if let Err(error) = udp.recv(received) {
                    return probe.unreachable(clock.now(), trouble_of(&error));
                }
                let moment = clock.sample();
                for datagram in received.iter() {
                    let at = datagram.kernel_ns.map_or(moment.now, |ns| clock.from_kernel(&moment, ns));
                    next = probe.receive(at, datagram.bytes);
                    if next != Todo::Wait {
                        return next;
                    }
                }
                let mut refused = None;
                if udp.errors_waiting() {
                    udp.take_errors(|_, error| refused = Some(error));
                }
                refused.map(|error| trouble_of(&error))
            }
            ProbeWay::Connection(line) => {
                let moment = clock.sample();
                line.read(poller.streams(), |kernel_ns, message| {
                    let at = kernel_ns.map_or(moment.now, |ns| clock.from_kernel(&moment, ns));
                    next = probe.receive(at, message);
                    next
                });
                line.trouble()
            }
        };
        if next != Todo::Wait {
            return next;
        }
        let now = clock.now();
        match trouble {
            Some(trouble) => probe.unreachable(now, trouble),
            None if now >= probe.deadline() => probe.wake(now),
            None => Todo::Wait,
        }
    }
}
