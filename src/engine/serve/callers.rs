//! The connections to the embedded registrar that one of its threads has accepted.

use crate::engine::channels::{Channels, Inbox, Layers, Progress, SUBPROTOCOL};
use crate::net::clock::Clock;
use crate::net::poll::{Poller, StreamReady, StreamToken, Waker};
use crate::net::tcp::TcpPort;
use crate::net::tls::TlsServer;
use crate::net::ws::Ws;
use crate::registrar::{Connection, Peer};
use crate::vocab::{Time, Transport, saturating_u32};
use std::io;
use std::net::SocketAddr;
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

/// Where connections are accepted.
pub struct StreamPort {
    pub port: TcpPort,
    /// What secures them.
    pub tls: Option<TlsServer>,
    /// Whether they are to become WebSockets.
    pub web: bool,
}

impl StreamPort {
    pub(super) fn transport(&self) -> Transport {
        match (self.tls.is_some(), self.web) {
            (false, false) => Transport::Tcp,
            (true, false) => Transport::Tls,
            (false, true) => Transport::Ws,
            (true, true) => Transport::Wss,
        }
    }

    /// The same for another thread.
    pub(super) fn share(&self) -> io::Result<StreamPort> {
        Ok(StreamPort { port: self.port.share()?, tls: self.tls.clone(), web: self.web })
    }
}

/// One thread's connections, and the sockets it accepts them on.
pub(super) struct Callers {
    ports: Vec<StreamPort>,
    channels: Channels<SocketAddr>,
    inbox: Inbox,
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
        position: u16,
        mail: Arc<[Mailbox]>,
    ) -> io::Result<Self> {
        for (n, place) in ports.iter().enumerate() {
            poller.add_shared(&place.port, PORTS + saturating_u32(n))?;
        }
        Ok(Callers { ports, channels: Channels::new(poller.registry()), inbox: Inbox::new(), position, mail })
    }

    /// Nobody can connect.
    pub(super) fn has_none(&self) -> bool {
        self.ports.is_empty()
    }

    /// Accepts connections from the ports that are ready.
    pub(super) fn accept(&mut self, ready: &[u32]) {
        let ports = ready.iter().filter_map(|token| token.checked_sub(PORTS));
        for StreamPort { port, tls, web } in ports.filter_map(|n| self.ports.get(n as usize)) {
            for _ in 0..ACCEPTED {
                // Without a descriptor it waits until one is free.
                let Ok(Some((tcp, from))) = port.accept() else { break };
                let Ok(tls) = tls.as_ref().map(TlsServer::begin).transpose() else { break };
                let layers = Layers::of_server(tls, web.then(|| Ws::server(SUBPROTOCOL)));
                // What cannot be watched is closed.
                let _ = self.channels.add(from, tcp, layers, false);
            }
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
        if let Progress::Came(address) = self.channels.progress(ready, &mut self.inbox) {
            let token = self.inbox.token();
            let connection = Connection { owner: self.position, slot: token.slot, generation: token.generation };
            let from = Peer { address, socket: 0, connection: Some(connection) };
            while let Some(message) = self.inbox.next() {
                receive(clock.now(), from, message)?;
            }
            // RFC 5626 §4.4.1.
            for _ in 0..self.inbox.take_pings() {
                self.channels.put(token, |buffer| copied(PONG, buffer));
            }
            self.channels.settle(&mut self.inbox);
        }
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
