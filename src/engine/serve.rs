//! The embedded registrar behind real UDP sockets, on a thread of its own.

use crate::net::clock::Clock;
use crate::net::poll::{Poller, Waker, lower_timer_slack};
use crate::net::udp::{RecvBatch, SendBatch, Udp};
use crate::registrar::{Counts, Registrar};
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

/// The poller's token of the waker.
const WAKER: u32 = u32::MAX;

impl Server {
    /// Starts serving on bound sockets.
    ///
    /// # Errors
    /// When the poller or the thread cannot be created.
    pub fn start(registrar: Registrar, sockets: Vec<Udp>, clock: Arc<Clock>) -> io::Result<Self> {
        let waker = Waker::new()?;
        let stop = Arc::new(AtomicBool::new(false));
        let addresses = sockets.iter().map(Udp::local_addr).collect();
        let mut poller = Poller::new()?;
        for (position, udp) in sockets.iter().enumerate() {
            poller.add(udp, position as u32)?;
        }
        poller.add_waker(&waker, WAKER)?;
        let serving = Serving {
            registrar,
            batches: sockets.iter().map(|_| SendBatch::new(BATCH, DATAGRAM)).collect(),
            sockets,
            poller,
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
    clock: Arc<Clock>,
    stop: Arc<AtomicBool>,
}

impl Serving {
    fn run(mut self) -> io::Result<Counts> {
        lower_timer_slack();
        let mut received = RecvBatch::new(BATCH, DATAGRAM);
        let mut ready = Vec::new();
        while !self.stop.load(Ordering::Acquire) {
            for position in 0..self.sockets.len() {
                self.receive(position, &mut received)?;
            }
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
                self.registrar.receive(now, datagram.from, datagram.bytes);
            }
            self.transmit(position);
            // Clients that went away answer with ICMP; a registrar has nobody to tell.
            self.sockets[position].take_errors(|_, _| {});
            if count < BATCH {
                return Ok(());
            }
        }
    }

    fn transmit(&mut self, position: usize) {
        let now = self.clock.now();
        let batch = &mut self.batches[position];
        loop {
            let Some(slot) = batch.slot() else {
                self.sockets[position].send(batch);
                batch.clear();
                continue;
            };
            match self.registrar.poll_transmit(now, slot) {
                Some((length, to)) => batch.commit(length, Some(to), 0),
                None => break,
            }
        }
        if !batch.is_empty() {
            self.sockets[position].send(batch);
            batch.clear();
        }
    }
}
