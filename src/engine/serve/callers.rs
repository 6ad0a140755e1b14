//! The connections to the embedded registrar that one of its threads has accepted.

use super::port::StreamPort;
use super::trouble::{SharedTrouble, Troubled};
use crate::engine::channels::{Channels, Inbox, Layers, Progress, SUBPROTOCOL};
use crate::net::clock::Clock;
use crate::net::poll::{Poller, StreamReady, StreamRegistry, StreamToken, Waker};
use crate::net::tcp::Tcp;
use crate::net::ws::Ws;
use crate::registrar::{Caller, Connection, Peer, Reception};
use crate::vocab::{FlowLoss, Time, saturating_u32};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Replies that other threads found due, on their way to the thread that has the connection.
pub(super) struct Mailbox {
    replies: Mutex<Vec<(StreamToken, Vec<u8>)>>,
    waker: Waker,
}

impl Mailbox {
    pub(super) fn new(waker: Waker) -> Self {
        Mailbox { replies: Mutex::default(), waker }
    }

    fn push(&self, token: StreamToken, bytes: &[u8]) {
        // A list is whole whatever a thread did that held it.
        self.replies.lock().unwrap_or_else(PoisonError::into_inner).push((token, bytes.to_vec()));
        self.waker.wake();
    }

    fn take(&self) -> Vec<(StreamToken, Vec<u8>)> {
        std::mem::take(&mut self.replies.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One thread's connections, and the sockets it accepts them on.
pub(super) struct Callers {
    ports: Vec<StreamPort>,
    channels: Channels<Caller>,
    inbox: Inbox,
    registry: StreamRegistry,
    /// What goes wrong on purpose, if anything does.
    troubled: Option<Troubled>,
    /// This thread's number, and everybody's mail.
    position: u16,
    mail: Arc<[Mailbox]>,
}

/// The tokens of ports begin here.
const PORTS: u32 = 1 << 30;

/// Connections accepted from one port in one turn.
const ACCEPTED: usize = 64;

impl Callers {
    pub(super) fn new(
        ports: Vec<StreamPort>,
        poller: &mut Poller,
        (position, mail): (u16, Arc<[Mailbox]>),
        trouble: Option<SharedTrouble>,
    ) -> io::Result<Self> {
        for (n, place) in ports.iter().enumerate() {
            place.port.iter().try_for_each(|port| poller.add_shared(port, PORTS + saturating_u32(n)))?;
        }
        let registry = poller.registry();
        let (channels, inbox) = (Channels::new(registry.clone()), Inbox::new());
        Ok(Callers { ports, channels, inbox, registry, troubled: trouble.map(Troubled::new), position, mail })
    }

    /// Nobody can connect.
    pub(super) fn has_none(&self) -> bool {
        self.ports.is_empty()
    }

    /// When there is something to do without anything that comes.
    pub(super) fn next_wake(&self) -> Option<Time> {
        self.troubled.as_ref().and_then(Troubled::next_wake)
    }

    /// Accepts connections from the ports that are ready.
    pub(super) fn accept(&mut self, ready: &[u32], clock: &Clock) {
        for n in ready.iter().filter_map(|token| token.checked_sub(PORTS)) {
            for _ in 0..ACCEPTED {
                let Some(port) = self.ports.get(n as usize).and_then(|place| place.port.as_ref()) else { break };
                // Without a descriptor it waits until one is free.
                let Ok(Some((tcp, from))) = port.accept() else { break };
                let now = clock.now();
                let caller = Caller::new(from, now);
                let taken = match &mut self.troubled {
                    Some(troubled) => troubled.arrives(n as usize, tcp, caller, now),
                    None => Some((tcp, caller)),
                };
                if let Some((tcp, caller)) = taken {
                    self.take_up(n as usize, tcp, caller, now);
                }
            }
        }
    }

    fn take_up(&mut self, port: usize, tcp: Tcp, caller: Caller, now: Time) {
        let Some(StreamPort { tls, web, .. }) = self.ports.get(port) else { return };
        let tls = tls.as_ref().map(|own| match &self.troubled {
            Some(troubled) => troubled.shows(own, &caller, now).begin(),
            None => own.begin(),
        });
        let Ok(tls) = tls.transpose() else { return };
        let layers = Layers::of_server(tls, web.then(|| Ws::server(SUBPROTOCOL)));
        // What cannot be watched is closed.
        if let (Ok(token), Some(troubled)) = (self.channels.add(caller, tcp, layers, false), &mut self.troubled) {
            troubled.watch(token, &caller);
        }
    }

    /// Does what faults of connections do at their times.
    pub(super) fn make_trouble(&mut self, now: Time) {
        let Some(troubled) = &mut self.troubled else { return };
        let registry = &self.registry;
        troubled.mind_ports(&mut self.ports, now, |port, n| registry.add_socket(port, PORTS + saturating_u32(n)));
        while let Some(token) = troubled.ends(now) {
            let Some(caller) = self.channels.key_mut(token) else { continue };
            match troubled.ending(token, caller, now) {
                Some(FlowLoss::Reset) => self.channels.reset(token),
                Some(_) => {
                    self.channels.remove(token);
                }
                None => {}
            }
        }
        while let Some((port, tcp, caller)) = self.troubled.as_mut().and_then(|troubled| troubled.enters(now)) {
            self.take_up(port, tcp, Caller::new(caller.address, now), now);
        }
    }

    /// Hands in what came over a connection.
    pub(super) fn serve(
        &mut self,
        ready: StreamReady,
        clock: &Clock,
        receive: impl Fn(Time, Peer, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        // One that is gone has bindings that outlive it, and nobody to tell.
        if let Progress::Came(Caller { address, .. }) = self.channels.progress(ready, &mut self.inbox) {
            let token = self.inbox.token();
            let connection = Connection { owner: self.position, slot: token.slot, generation: token.generation };
            let from = Peer { connection: Some(connection), ..Peer::from(address) };
            while let Some(message) = self.inbox.next() {
                let now = clock.now();
                match heard(self.troubled.as_ref(), &mut self.channels, token, message.len(), now) {
                    Reception::Heard => receive(now, from, message)?,
                    Reception::Swallowed => {}
                    Reception::Reset => return self.reset(token),
                }
            }
            // RFC 5626 §4.4.1.
            for _ in 0..self.inbox.take_pings() {
                match heard(self.troubled.as_ref(), &mut self.channels, token, PING, clock.now()) {
                    Reception::Heard => {
                        self.channels.put(token, |buffer| copied(PONG, buffer));
                    }
                    Reception::Swallowed => {}
                    Reception::Reset => return self.reset(token),
                }
            }
            self.channels.settle(&mut self.inbox);
        }
        Ok(())
    }

    fn reset(&mut self, token: StreamToken) -> io::Result<()> {
        self.channels.reset(token);
        Ok(())
    }

    /// Queues a reply, or hands it to the thread whose connection it is for. One for a connection
    /// that is gone is lost.
    pub(super) fn reply(&mut self, to: Connection, bytes: &[u8]) {
        let token = StreamToken { slot: to.slot, generation: to.generation };
        if to.owner == self.position {
            self.channels.put(token, |buffer| copied(bytes, buffer));
        } else if let Some(mailbox) = self.mail.get(usize::from(to.owner)) {
            mailbox.push(token, bytes);
        }
    }

    /// Writes everything that is to leave, what others found due included.
    pub(super) fn flush(&mut self) {
        if self.has_none() {
            return;
        }
        if let Some(mailbox) = self.mail.get(usize::from(self.position)) {
            for (token, bytes) in mailbox.take() {
                self.channels.put(token, |buffer| copied(&bytes, buffer));
            }
        }
        self.channels.flush();
        self.channels.take_broken();
    }
}

/// What becomes of so many bytes that came over a connection.
fn heard(
    troubled: Option<&Troubled>,
    channels: &mut Channels<Caller>,
    token: StreamToken,
    bytes: usize,
    now: Time,
) -> Reception {
    let both = troubled.zip(channels.key_mut(token));
    both.map_or(Reception::Heard, |(troubled, caller)| troubled.came(now, caller, bytes))
}

/// The length of a keep-alive.
const PING: usize = 4;
const PONG: &[u8] = b"\r\n";

fn copied(bytes: &[u8], buffer: &mut [u8]) -> usize {
    match buffer.get_mut(..bytes.len()) {
        Some(place) => {
            place.copy_from_slice(bytes);
            bytes.len()
        }
        None => 0,
    }
}
