//! The embedded registrar behind real sockets, on threads of its own.
//!
//! All threads serve all UDP sockets and share one registrar, so that bindings, limits and nonces
//! are exact whatever the number of threads. The thread that holds the registrar hands in a batch
//! and takes out the replies that are due; receiving and sending, most of the work on a machine's
//! own loopback, happen outside. Any thread may send any reply to a datagram: the sockets are the
//! same. A connection belongs to the thread that accepted it (`callers`), which is handed the
//! replies for it that others found due.

mod callers;
mod port;
mod trouble;

use super::sockets::{BATCH, DATAGRAM, inbox};
use super::tempo::Tempo;
use crate::net::clock::Clock;
use crate::net::poll::{Poller, Waker, lower_timer_slack, pause};
use crate::net::udp::{RecvBatch, SendBatch, Udp};
use crate::registrar::{Counts, Peer, Registrar};
use crate::vocab::{Transport, saturating_u16, saturating_u32};
use callers::{Callers, Mailbox};
pub use port::StreamPort;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
pub use trouble::ConnectionTrouble;
use trouble::SharedTrouble;

/// A running registrar; dropping it stops its threads.
pub struct Server {
    addresses: Vec<(Transport, SocketAddr)>,
    registrar: Arc<Mutex<Registrar>>,
    stop: Arc<AtomicBool>,
    threads: Vec<Running>,
    /// PEM.
    certificate: Option<String>,
}

/// What a registrar listens on.
#[derive(Default)]
pub struct Listening {
    pub udp: Vec<Udp>,
    pub streams: Vec<StreamPort>,
    /// What secures them, as PEM: for those who are to trust it.
    pub certificate: Option<String>,
    /// What goes wrong with connections on purpose.
    pub trouble: ConnectionTrouble,
}

/// The same of one thread.
struct ThreadPorts {
    udp: Vec<Udp>,
    streams: Vec<StreamPort>,
    trouble: Option<SharedTrouble>,
}

struct Running {
    waker: Waker,
    thread: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Starts serving on bound sockets, with this many threads, at least one.
    ///
    /// # Errors
    /// When a descriptor, a poller or a thread cannot be had.
    pub fn start(registrar: Registrar, listening: Listening, threads: usize, clock: Clock) -> io::Result<Self> {
        let udp = listening.udp.iter().map(|udp| (Transport::Udp, udp.local_addr()));
        let streams = listening.streams.iter().map(|place| (place.transport(), place.local));
        let addresses = udp.chain(streams).collect();
        let registrar = Arc::new(Mutex::new(registrar));
        let mut server = Server {
            addresses,
            registrar,
            stop: Arc::default(),
            threads: Vec::new(),
            certificate: listening.certificate.clone(),
        };
        let pollers = (0..threads.max(1)).map(|_| Poller::new()).collect::<io::Result<Vec<_>>>()?;
        let mail: Arc<[Mailbox]> = pollers.iter().map(|poller| Mailbox::new(poller.waker())).collect();
        let trouble = SharedTrouble::new(listening.trouble, listening.streams.len());
        for (position, poller) in pollers.into_iter().enumerate() {
            let shared = ThreadPorts {
                udp: listening.udp.iter().map(Udp::share).collect::<io::Result<_>>()?,
                streams: listening.streams.iter().map(StreamPort::share).collect::<io::Result<_>>()?,
                trouble: trouble.clone(),
            };
            server.add_thread((shared, poller), (saturating_u16(position), mail.clone()), clock)?;
        }
        Ok(server)
    }

    fn add_thread(
        &mut self,
        (listening, mut poller): (ThreadPorts, Poller),
        place: (u16, Arc<[Mailbox]>),
        clock: Clock,
    ) -> io::Result<()> {
        let ThreadPorts { udp: sockets, streams, trouble } = listening;
        for (position, udp) in sockets.iter().enumerate() {
            poller.add_shared(udp, saturating_u32(position))?;
        }
        let callers = Callers::new(streams, &mut poller, place, trouble)?;
        let waker = poller.waker();
        let serving = Serving {
            registrar: self.registrar.clone(),
            batches: sockets.iter().map(|_| SendBatch::new(BATCH, DATAGRAM)).collect(),
            sockets,
            callers,
            poller,
            reply: vec![0; DATAGRAM],
            clock,
            stop: self.stop.clone(),
        };
        let thread = std::thread::Builder::new().name("registrar".into()).spawn(move || serving.run())?;
        self.threads.push(Running { waker, thread });
        Ok(())
    }

    /// The addresses it listens on: those for datagrams, then those for connections, each in the
    /// order given.
    pub fn addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.addresses
    }

    /// The certificate of its secured connections, as PEM.
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Stops the threads and returns what they counted.
    ///
    /// # Errors
    /// When its sockets failed.
    pub fn stop(mut self) -> io::Result<Counts> {
        self.join()?;
        Ok(locked(&self.registrar)?.counts().clone())
    }

    /// Ends every thread; the first failure of one of them.
    fn join(&mut self) -> io::Result<()> {
        self.stop.store(true, Ordering::Release);
        for running in &self.threads {
            running.waker.wake();
        }
        let outcomes: Vec<_> = self.threads.drain(..).map(|running| running.thread.join()).collect();
        outcomes.into_iter().try_for_each(|outcome| outcome.unwrap_or_else(|_| Err(panicked())))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The outcome was asked for with `stop`, or does not matter.
        let _ = self.join();
    }
}

struct Serving {
    registrar: Arc<Mutex<Registrar>>,
    sockets: Vec<Udp>,
    batches: Vec<SendBatch>,
    callers: Callers,
    poller: Poller,
    /// Where a reply is written before its socket is known.
    reply: Vec<u8>,
    clock: Clock,
    stop: Arc<AtomicBool>,
}

impl Serving {
    fn run(mut self) -> io::Result<()> {
        lower_timer_slack();
        let mut received = inbox(&self.sockets);
        let mut ready = Vec::new();
        let mut tempo = Tempo::new();
        while !self.stop.load(Ordering::Acquire) {
            let mut datagrams = 0;
            for position in 0..self.sockets.len() {
                datagrams += self.receive(position, &mut received)?;
            }
            self.callers.accept(&ready, &self.clock);
            self.callers.make_trouble(self.clock.now());
            for event in self.poller.streams() {
                self.callers.serve(*event, &self.clock, |now, from, message| {
                    locked(&self.registrar).map(|mut registrar| registrar.receive(now, from, message))
                })?;
            }
            self.transmit()?;
            if let Some(rest) = tempo.rest(self.clock.now(), datagrams).filter(|_| self.callers.has_none()) {
                // Every socket is looked into anyway; which of them is ready need not be asked.
                pause(rest);
                continue;
            }
            // Whoever brings the next wake forward is awake and sees it here; the others may sleep
            // on.
            let wake = [locked(&self.registrar)?.next_wake(), self.callers.next_wake()].into_iter().flatten().min();
            let wait = wake.map(|at| at.since(self.clock.now()));
            ready.clear();
            self.poller.wait(wait, &mut ready)?;
        }
        Ok(())
    }

    /// Serves one socket until it is empty: a batch in, its answers out. Returns how many datagrams
    /// came.
    fn receive(&mut self, position: usize, received: &mut RecvBatch) -> io::Result<usize> {
        let mut datagrams = 0;
        loop {
            let count = self.sockets[position].recv(received)?;
            datagrams += count;
            if count > 0 {
                let mut registrar = locked(&self.registrar)?;
                // Read while nobody else can: the registrar's time never goes back.
                let now = self.clock.now();
                for datagram in received.iter() {
                    let socket = saturating_u16(position);
                    registrar.receive(now, Peer { socket, ..Peer::from(datagram.from) }, datagram.bytes);
                }
            }
            self.transmit()?;
            if self.sockets[position].errors_waiting() {
                // Clients that went away answer with ICMP; a registrar has nobody to tell.
                self.sockets[position].take_errors(|_, _| {});
            }
            if !received.is_full() {
                return Ok(datagrams);
            }
        }
    }

    /// Sends every reply that is due, each from the socket its request came to.
    fn transmit(&mut self) -> io::Result<()> {
        loop {
            let more = self.take_due()?;
            for (socket, batch) in self.sockets.iter_mut().zip(&mut self.batches) {
                if !batch.is_empty() {
                    // A reply that cannot be sent is lost like any datagram; the client repeats its
                    // request.
                    socket.send(batch);
                }
            }
            if !more {
                self.callers.flush();
                return Ok(());
            }
        }
    }

    /// Moves due replies into the batches until one of these is full; false when none is left.
    fn take_due(&mut self) -> io::Result<bool> {
        let mut registrar = locked(&self.registrar)?;
        let now = self.clock.now();
        while let Some((length, to)) = registrar.poll_transmit(now, &mut self.reply) {
            if let Some(connection) = to.connection {
                self.callers.reply(connection, &self.reply[..length]);
                continue;
            }
            let batch = &mut self.batches[usize::from(to.socket)];
            if let Some(slot) = batch.slot() {
                slot[..length].copy_from_slice(&self.reply[..length]);
                batch.commit(length, Some(to.address), 0);
            }
            if batch.is_full() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The registrar, for as long as the guard lives.
fn locked(registrar: &Mutex<Registrar>) -> io::Result<MutexGuard<'_, Registrar>> {
    registrar.lock().map_err(|_| panicked())
}

fn panicked() -> io::Error {
    io::Error::other("a thread of the registrar panicked")
}
