//! What goes wrong on purpose with the connections of one thread of the embedded registrar: it
//! waits for times, and does what `registrar::ConnectionFaults` says.

use super::port::StreamPort;
use crate::link::DueQueue;
use crate::net::poll::StreamToken;
use crate::net::tcp::{Tcp, TcpPort};
use crate::net::tls::TlsServer;
use crate::registrar::{Caller, ConnectionFaults, Reception};
use crate::vocab::{FlowLoss, ShownCertificate, Time};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Faults of connections, with what they show.
#[derive(Clone, Default)]
pub struct ConnectionTrouble {
    pub faults: ConnectionFaults,
    /// The certificates that are shown instead of the registrar's own.
    pub certificates: Vec<(ShownCertificate, TlsServer)>,
}

/// One thread's part in it.
pub(super) struct Troubled {
    /// All threads' faults: how many are taken up per second is one number.
    faults: Arc<Mutex<ConnectionFaults>>,
    certificates: Vec<(ShownCertificate, TlsServer)>,
    /// Connections that are not taken up yet, with the port they came to.
    outside: DueQueue<(usize, Tcp, Caller)>,
    /// When to look whether a connection is to end.
    ends: DueQueue<StreamToken>,
    /// When the ports are to be closed, or opened again.
    change: Option<Time>,
    away: bool,
    /// By port: opened again by whichever thread came first.
    doors: Doors,
}

/// By port; all threads have the same.
pub(super) type Doors = Arc<[Mutex<Option<TcpPort>>]>;

/// What all threads have in common.
#[derive(Clone)]
pub(super) struct SharedTrouble {
    faults: Arc<Mutex<ConnectionFaults>>,
    certificates: Vec<(ShownCertificate, TlsServer)>,
    doors: Doors,
}

impl SharedTrouble {
    /// `None`: nothing goes wrong.
    pub(super) fn new(trouble: ConnectionTrouble, ports: usize) -> Option<Self> {
        let ConnectionTrouble { faults, certificates } = trouble;
        let doors = (0..ports).map(|_| Mutex::default()).collect();
        (!faults.is_empty()).then(|| SharedTrouble { faults: Arc::new(Mutex::new(faults)), certificates, doors })
    }
}

impl Troubled {
    pub(super) fn new(shared: SharedTrouble) -> Self {
        let SharedTrouble { faults, certificates, doors } = shared;
        let (outside, ends) = (DueQueue::new(), DueQueue::new());
        Troubled { faults, certificates, outside, ends, change: Some(Time::ORIGIN), away: false, doors }
    }

    /// When there is something to do without anything that comes.
    pub(super) fn next_wake(&self) -> Option<Time> {
        [self.outside.next_due(), self.ends.next_due(), self.change].into_iter().flatten().min()
    }

    /// A connection came to a port: it is handed back if it is to be taken up now.
    pub(super) fn arrives(&mut self, port: usize, tcp: Tcp, caller: Caller, now: Time) -> Option<(Tcp, Caller)> {
        let due = locked(&self.faults).taken_up(now, &caller);
        if due <= now {
            return Some((tcp, caller));
        }
        self.outside.push(due, (port, tcp, caller));
        None
    }

    /// The next connection that has waited long enough, with its port.
    pub(super) fn enters(&mut self, now: Time) -> Option<(usize, Tcp, Caller)> {
        self.outside.pop(now)
    }

    /// What secures a connection to a port that is secured with `own`.
    pub(super) fn shows(&self, own: &TlsServer, caller: &Caller, now: Time) -> TlsServer {
        let shown = locked(&self.faults).shown(now, caller);
        let other = self.certificates.iter().find(|(which, _)| Some(*which) == shown);
        other.map_or(own, |(_, server)| server).clone()
    }

    /// A connection was taken up.
    pub(super) fn watch(&mut self, token: StreamToken, caller: &Caller) {
        if let Some((at, _)) = locked(&self.faults).end(caller) {
            self.ends.push(at, token);
        }
    }

    /// The next connection that may be to end.
    pub(super) fn ends(&mut self, now: Time) -> Option<StreamToken> {
        self.ends.pop(now)
    }

    /// How it ends, if it does now.
    pub(super) fn ending(&mut self, token: StreamToken, caller: &Caller, now: Time) -> Option<FlowLoss> {
        let (at, how) = locked(&self.faults).end(caller)?;
        if at <= now {
            return Some(how);
        }
        self.ends.push(at, token);
        None
    }

    pub(super) fn came(&self, now: Time, caller: &mut Caller, bytes: usize) -> Reception {
        locked(&self.faults).came(now, caller, bytes as u64)
    }

    /// Closes the ports while the registrar is away, and opens them again; `opened` watches one.
    pub(super) fn mind_ports(
        &mut self,
        ports: &mut [StreamPort],
        now: Time,
        opened: impl Fn(&TcpPort, usize) -> io::Result<()>,
    ) {
        if self.change.is_none_or(|at| at > now) {
            return;
        }
        let away = locked(&self.faults).refuses(now);
        self.change = locked(&self.faults).next_change(now);
        if away == self.away {
            return;
        }
        for (n, (place, door)) in ports.iter_mut().zip(self.doors.iter()).enumerate() {
            let mut door = locked(door);
            if away {
                (place.port, *door) = (None, None);
                continue;
            }
            if door.is_none() {
                // Another thread may still have it, or another program for a moment.
                *door = TcpPort::bind(place.local).ok();
            }
            let shared = door.as_ref().and_then(|port| port.share().ok());
            place.port = shared.filter(|port| opened(port, n).is_ok());
            if place.port.is_none() {
                self.change = Some(now + AGAIN);
                return;
            }
        }
        self.away = away;
    }
}

/// When a port that could not be opened is tried again.
const AGAIN: Duration = Duration::from_millis(10);

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whatever a thread did that held it, it is whole.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
