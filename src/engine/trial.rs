//! A search for limits over real sockets: one thread that owns a crew and its sockets, and turns as
//! a sender does.
//!
//! Whoever searches waits for each step here. A signal ends the step at hand: what is open is
//! abandoned and the search is told; the steps after that (un-REGISTERs) go on, until a second
//! signal, after which every step ends at once.

use super::channels::ClientLayers;
use super::sockets::{Sockets, inbox};
use super::worker::OVERSLEPT;
use crate::fleet::crew::{Crew, CrewConfig};
use crate::load::search::{SearchField, Seat, StepPace, StepResult, Stop};
use crate::measure::PlaceRow;
use crate::net::clock::Clock;
use crate::net::poll::{Poller, Waker, lower_timer_slack};
use crate::net::udp::{RecvBatch, Udp};
use crate::vocab::Time;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::time::Duration;

/// A crew behind sockets.
pub struct LiveField {
    crew: Crew,
    sockets: Sockets,
    poller: Poller,
    clock: Clock,
    start: Time,
    received: RecvBatch,
    ready: Vec<u32>,
    /// When the last wait was to end.
    due: Time,
    signals: SignalBox,
    /// Signals the search was told of.
    told: u32,
    /// Kernel drops at our sockets.
    drops: u64,
}

/// Where signals are left for a trial.
#[derive(Clone, Debug, Default)]
pub struct SignalBox {
    count: Arc<AtomicU32>,
    last: Arc<AtomicI32>,
}

impl SignalBox {
    /// A signal of this number came.
    pub fn raise(&self, number: i32) {
        self.last.store(number, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Release);
    }
}

impl LiveField {
    /// A crew that has not begun; its flows stand for these sockets, in order.
    ///
    /// # Errors
    /// When descriptors for the poller cannot be had.
    pub fn new(
        config: CrewConfig,
        (sockets, layers): (Vec<Udp>, Vec<ClientLayers>),
        clock: Clock,
        signals: SignalBox,
    ) -> io::Result<Self> {
        let mut poller = Poller::new()?;
        lower_timer_slack();
        Ok(LiveField {
            start: config.start,
            received: inbox(&sockets),
            sockets: Sockets::watched(sockets, Vec::new(), &config.flows, layers, &mut poller)?,
            crew: Crew::new(config),
            poller,
            clock,
            ready: Vec::new(),
            due: Time::NEVER,
            signals,
            told: 0,
            drops: 0,
        })
    }

    /// The clock it goes by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Ends this trial's wait from another thread.
    pub fn waker(&self) -> Waker {
        self.poller.waker()
    }

    /// What the kernel dropped at our sockets: answers that were not heard.
    pub fn drops(&self) -> u64 {
        self.drops
    }

    /// What became of attempts at each address of a name.
    pub fn take_places(&mut self) -> Vec<PlaceRow> {
        self.crew.take_places()
    }

    /// Turns until `end`, or until the crew's task is done.
    fn run(&mut self, end: Option<Time>) -> Result<(), Stop> {
        loop {
            let now = self.clock.now();
            if end.map_or_else(|| self.crew.is_done(), |end| now >= end) {
                return Ok(());
            }
            let count = self.signals.count.load(Ordering::Acquire);
            // After the second nothing is tried any more.
            if count > self.told || count > 1 {
                self.told = count;
                self.crew.abandon(now);
                return Err(Stop::Interrupted(self.signals.last.load(Ordering::Relaxed)));
            }
            self.turn(end).map_err(|error| Stop::Failed(format!("a socket failed: {error}")))?;
        }
    }

    fn turn(&mut self, end: Option<Time>) -> io::Result<()> {
        if self.clock.now().since(self.due) > OVERSLEPT {
            // As a sender does: an answer may have come since the wait was to end, and its timer
            // must not win.
            self.poller.wait(Some(Duration::ZERO), &mut self.ready)?;
        }
        // A timer must not fire while its answer may still wait in a socket.
        let drained = self.receive()?;
        let more = !drained || self.crew.turn(self.clock.now(), &mut self.sockets);
        self.sockets.flush_all();
        self.sockets.report_failures(self.clock.now(), self.crew.driver());
        let now = self.clock.now();
        let wait = if more || (end.is_none() && self.crew.is_done()) {
            Duration::ZERO
        } else {
            self.crew.next_wake().min(end.unwrap_or(Time::NEVER)).since(now)
        };
        self.due = now + wait;
        self.poller.wait(Some(wait), &mut self.ready)
    }

    /// Reads what the ready sockets hold; true when all were emptied.
    fn receive(&mut self) -> io::Result<bool> {
        let came = self.sockets.receive(&self.ready, &mut self.received, &self.clock, self.crew.driver())?;
        self.drops += came.drops;
        self.sockets.serve_streams(self.poller.streams(), &self.clock, self.crew.driver());
        Ok(came.emptied && !self.poller.is_crowded(&self.ready))
    }
}

impl SearchField for LiveField {
    fn register(&mut self, seats: &[Seat], pace: StepPace) -> Result<StepResult, Stop> {
        self.crew.register(self.clock.now(), seats, pace);
        self.run(None)?;
        Ok(self.crew.seen(self.clock.now()))
    }

    fn release(&mut self, seats: &[Seat], per_second: f64) -> Result<StepResult, Stop> {
        self.crew.release(self.clock.now(), seats, per_second);
        self.run(None)?;
        Ok(self.crew.seen(self.clock.now()))
    }

    fn rest(&mut self, span: Duration) -> Result<(), Stop> {
        self.run(Some(self.clock.now() + span))
    }

    fn passed(&self) -> Duration {
        self.clock.now().since(self.start)
    }
}
