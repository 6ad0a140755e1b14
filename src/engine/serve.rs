//! The embedded registrar behind real UDP sockets, on a thread of its own.

use crate::net::clock::Clock;
use crate::net::poll::{Poller, Waker, lower_timer_slack};
use crate::net::udp::{RecvBatch, SendBatch, Udp};
use crate::registrar::{Counts, Peer, Registrar};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A running registrar; dropping it stops its thread.
pub struct Server {
    addresses: Vec<SocketAddr>,
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<io::Result<Counts>>>,
}

const BATCH: usize = 64;
const DATAGRAM: usize = 4096;

impl Server {
    /// Starts serving on bound sockets.
    ///
    /// # Errors
    /// When the poller or the thread cannot be created.
    pub fn start(registrar: Registrar, sockets: Vec<Udp>, clock: Clock) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let addresses = sockets.iter().map(Udp::local_addr).collect();
        let mut poller = Poller::new()?;
        for (position, udp) in sockets.iter().enumerate() {
            poller.add(udp, position as u32)?;
        }
        let waker = poller.waker();
        let serving = Serving {
            registrar,
            batches: sockets.iter().map(|_| SendBatch::new(BATCH, DATAGRAM)).collect(),
            sockets,
            poller,
            reply: vec![0; DATAGRAM],
            clock,
            stop: stop.clone(),
        };
        let thread = std::thread::Builder::new().name("registrar".into()).spawn(move || serving.run())?;
        Ok(Server { addresses, stop, waker, thread: Some(thread) })
    }

    /// The addresses it listens on, in the order of its sockets.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops the thread and returns what it counted.
    ///
    /// # Errors
    /// When its sockets failed.
    pub fn stop(mut self) -> io::Result<Counts> {
        self.signal();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            _ => Err(io::Error::other("the registrar's thread panicked")),
        }
    }

    fn signal(&self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal();
        if let Some(thread) = self.thread.take() {
            // Its outcome was asked for with `stop`, or does not matter.
            let _ = thread.join();
        }
    }
}

struct Serving {
    registrar: Registrar,
    sockets: Vec<Udp>,
    batches: Vec<SendBatch>,
    poller: Poller,
    /// Where a reply is written before its socket is known.
    reply: Vec<u8>,
    clock: Clock,
    stop: Arc<AtomicBool>,
}

impl Serving {
    fn run(mut self) -> io::Result<Counts> {
        lower_timer_slack()?;
        let mut received = RecvBatch::new(BATCH, DATAGRAM);
        let mut ready = Vec::new();
        while !self.stop.load(Ordering::Acquire) {
            for position in 0..self.sockets.len() {
                self.receive(position, &mut received)?;
            }
            self.transmit();
            let now = self.clock.now();
            let wait = self.registrar.next_wake().map(|at| at.since(now));
            ready.clear();
            self.poller.wait(wait, &mut ready)?;
        }
        Ok(self.registrar.counts().clone())
    }

    /// Serves one socket until it is empty: a batch in, its answers out.
    fn receive(&mut self, position: usize, received: &mut RecvBatch) -> io::Result<()> {
        loop {
            let count = self.sockets[position].recv(received)?;
            let now = self.clock.now();
            for datagram in received.iter() {
                let from = Peer { address: datagram.from, socket: position as u16 };
                self.registrar.receive(now, from, datagram.bytes);
            }
            self.transmit();
            if self.sockets[position].errors_waiting() {
                // Clients that went away answer with ICMP; a registrar has nobody to tell.
                self.sockets[position].take_errors(|_, _| {});
            }
            if count < BATCH {
                return Ok(());
            }
        }
    }

    /// Sends every reply that is due, each from the socket its request came to.
    fn transmit(&mut self) {
        let now = self.clock.now();
        while let Some((length, to)) = self.registrar.poll_transmit(now, &mut self.reply) {
            let position = usize::from(to.socket);
            if self.batches[position].is_full() {
                self.flush(position);
            }
            if let Some(slot) = self.batches[position].slot() {
                slot[..length].copy_from_slice(&self.reply[..length]);
                self.batches[position].commit(length, Some(to.address), 0);
            }
        }
        for position in 0..self.sockets.len() {
            self.flush(position);
        }
    }

    fn flush(&mut self, position: usize) {
        let batch = &mut self.batches[position];
        if !batch.is_empty() {
            // A reply that cannot be sent is lost like any datagram; the client repeats its request.
            self.sockets[position].send(batch);
        }
    }
}
