//! Questions again and again, each server on a thread of its own: one that does not answer holds up
//! nobody.

use super::{Adapter, Deadline, Heard, PATIENCE, TruthSource, adapter};
use crate::net::clock::Clock;
use crate::net::priority::give_way;
use crate::vocab::Time;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Readings that wait for somebody to take them; while nobody does nothing is asked.
const WAITING: usize = 4_096;

/// What one question brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TruthReading {
    /// Which of the servers, by its position.
    pub server: usize,
    /// The count was right at some moment between these.
    pub asked: Time,
    pub answered: Time,
    /// Or why it is not known.
    pub count: Result<u64, String>,
    /// The events it told meanwhile.
    pub heard: Heard,
}

/// Asks until it is dropped.
#[derive(Debug)]
pub struct Sampler {
    readings: Arc<Mutex<Vec<TruthReading>>>,
    /// Their end ends the threads.
    _while_it_lasts: Vec<Sender<()>>,
}

impl Sampler {
    /// Begins to ask these servers.
    ///
    /// # Errors
    /// When no thread is to be had.
    pub fn begin(servers: &[TruthSource], clock: Clock) -> io::Result<Sampler> {
        let readings = Arc::<Mutex<Vec<TruthReading>>>::default();
        let mut while_it_lasts = Vec::new();
        for (server, source) in servers.iter().enumerate() {
            let (alive, over) = channel();
            while_it_lasts.push(alive);
            let rounds = AskingThread {
                server,
                source: source.clone(),
                adapter: adapter(source),
                clock,
                readings: readings.clone(),
            };
            std::thread::Builder::new().name("truth".to_owned()).spawn(move || rounds.run(&over))?;
        }
        Ok(Sampler { readings, _while_it_lasts: while_it_lasts })
    }

    /// What was learnt since the last time, in the order of the answers.
    pub fn take(&self) -> Vec<TruthReading> {
        std::mem::take(&mut *self.readings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Asks a server once.
pub fn ask_once(server: usize, source: &TruthSource, clock: Clock) -> TruthReading {
    ask(server, adapter(source).as_mut(), clock)
}

fn ask(server: usize, adapter: &mut dyn Adapter, clock: Clock) -> TruthReading {
    let asked = clock.now();
    let count = adapter.count(Deadline::new(clock, PATIENCE));
    TruthReading { server, asked, answered: clock.now(), count, heard: adapter.heard() }
}

struct AskingThread {
    server: usize,
    source: TruthSource,
    adapter: Box<dyn Adapter>,
    clock: Clock,
    readings: Arc<Mutex<Vec<TruthReading>>>,
}

impl AskingThread {
    fn run(mut self, over: &Receiver<()>) {
        give_way();
        let mut next = self.clock.now();
        loop {
            let waiting = self.readings.lock().unwrap_or_else(PoisonError::into_inner).len();
            if waiting < WAITING {
                let reading = ask(self.server, self.adapter.as_mut(), self.clock);
                self.readings.lock().unwrap_or_else(PoisonError::into_inner).push(reading);
            }
            // Questions that were due while one was waited for are not made up for.
            while next <= self.clock.now() {
                next += self.source.every;
            }
            if over.recv_timeout(next.since(self.clock.now())) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }
}
