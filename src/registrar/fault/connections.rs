//! `reset`, `slow-accept`, `half-open`, `certificate`, `restart` and `close-idle`: what goes wrong
//! with connections, whatever is said over them.
//!
//! Whoever moves the bytes of connections asks here: the threads that accept real ones, and the
//! simulated wires. When a connection comes, nobody knows whose it is; so a share is of
//! connections, chosen by a hash of where they come from, and no trunk is asked for.

use super::{Fault, FaultKind, FaultScope, fnv1a};
use crate::seed::{Purpose, Seed};
use crate::vocab::{FlowLoss, ShownCertificate, Time};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The faults of a profile that concern connections.
#[derive(Clone, Debug)]
pub struct ConnectionFaults {
    /// Windows count from here.
    start: Time,
    faults: Vec<ConnectionFault>,
}

#[derive(Clone, Debug)]
struct ConnectionFault {
    scope: FaultScope,
    kind: FaultKind,
    /// When the next connection can be taken up, where only so many are per second.
    free: Time,
}

/// A connection, as its faults see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Where it comes from, and a hash of that.
    pub address: SocketAddr,
    key: u64,
    opened: Time,
    /// When something came over it last.
    heard: Time,
    /// Bytes of messages.
    bytes: u64,
}

/// What becomes of what came over a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reception {
    Heard,
    /// It is not answered, and nobody says why.
    Swallowed,
    /// The connection is reset instead.
    Reset,
}

impl Caller {
    /// One that is taken up now.
    pub fn new(address: SocketAddr, now: Time) -> Self {
        let host = match address.ip() {
            IpAddr::V4(ip) => fnv1a(&ip.octets()),
            IpAddr::V6(ip) => fnv1a(&ip.octets()),
        };
        Caller { address, key: host ^ u64::from(address.port()) << 32, opened: now, heard: now, bytes: 0 }
    }
}

impl Default for ConnectionFaults {
    fn default() -> Self {
        ConnectionFaults { start: Time::ORIGIN, faults: Vec::new() }
    }
}

impl ConnectionFaults {
    /// Those among `faults`; their windows count from `start`.
    pub fn new(faults: &[Fault], seed: Seed, start: Time) -> Self {
        let numbered = faults.iter().zip(0..).filter(|(fault, _)| fault.kind.is_of_connections());
        let of = |(fault, id): (&Fault, u64)| ConnectionFault {
            scope: FaultScope::new(fault, seed, id),
            kind: fault.kind.clone(),
            free: Time::ORIGIN,
        };
        ConnectionFaults { start, faults: numbered.map(of).collect() }
    }

    pub(in crate::registrar) fn set_start(&mut self, start: Time) {
        self.start = start;
    }

    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// The certificates that are shown at one time or another.
    pub fn certificates(&self) -> impl Iterator<Item = ShownCertificate> {
        self.faults.iter().filter_map(|fault| fault.shows())
    }

    /// Whether nobody is there to connect to.
    pub fn refuses(&self, now: Time) -> bool {
        let elapsed = now.since(self.start);
        self.faults.iter().any(|fault| fault.is_restart() && fault.scope.is_open(elapsed))
    }

    /// When that changes next.
    pub fn next_change(&self, now: Time) -> Option<Time> {
        let restarts = self.faults.iter().filter(|fault| fault.is_restart());
        let ends = restarts.flat_map(|fault| [Some(fault.scope.from), fault.scope.until]).flatten();
        ends.map(|after| self.start + after).filter(|at| *at > now).min()
    }

    /// When a connection that comes now is taken up. Asked once for each.
    pub fn taken_up(&mut self, now: Time, caller: &Caller) -> Time {
        let elapsed = now.since(self.start);
        let slow = self.faults.iter_mut().filter(|fault| fault.covers(elapsed, caller));
        slow.fold(now, |due, fault| match fault.kind {
            FaultKind::SlowAccept { delay, per_second } => {
                let begins = due.max(fault.free);
                fault.free = begins + per_second.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate));
                begins + delay
            }
            _ => due,
        })
    }

    /// What a connection is shown instead of the registrar's certificate.
    pub fn shown(&self, now: Time, caller: &Caller) -> Option<ShownCertificate> {
        let elapsed = now.since(self.start);
        self.faults.iter().find_map(|fault| fault.shows().filter(|_| fault.covers(elapsed, caller)))
    }

    /// So many bytes of messages came over a connection.
    pub fn came(&self, now: Time, caller: &mut Caller, bytes: u64) -> Reception {
        if self.is_forgotten(now, caller) {
            return Reception::Swallowed;
        }
        (caller.heard, caller.bytes) = (now, caller.bytes + bytes);
        let elapsed = now.since(self.start);
        let full = |fault: &ConnectionFault| match fault.kind {
            FaultKind::Reset { bytes } => caller.bytes >= bytes && fault.covers(elapsed, caller),
            _ => false,
        };
        if self.faults.iter().any(full) { Reception::Reset } else { Reception::Heard }
    }

    /// Whether a connection is one that the registrar knows nothing of any more.
    pub fn is_forgotten(&self, now: Time, caller: &Caller) -> bool {
        self.faults.iter().filter_map(|fault| self.forgotten(fault, caller)).any(|at| at <= now)
    }

    /// When a fault forgets a connection.
    fn forgotten(&self, fault: &ConnectionFault, caller: &Caller) -> Option<Time> {
        let FaultKind::HalfOpen { after } = fault.kind else { return None };
        self.first_within(fault, caller.opened + after, caller)
    }

    /// The first moment from `at` on at which a fault acts on a connection.
    fn first_within(&self, fault: &ConnectionFault, at: Time, caller: &Caller) -> Option<Time> {
        let at = at.max(self.start + fault.scope.from);
        fault.covers(at.since(self.start), caller).then_some(at)
    }

    /// When a connection ends if nothing more comes over it, and how: it is closed or reset.
    pub fn end(&self, caller: &Caller) -> Option<(Time, FlowLoss)> {
        let end = |fault: &ConnectionFault| match fault.kind {
            FaultKind::CloseIdle { idle } => {
                self.first_within(fault, caller.heard + idle, caller).map(|at| (at, FlowLoss::Closed))
            }
            FaultKind::Restart { .. } => {
                let begins = self.start + fault.scope.from;
                (caller.opened <= begins).then_some((begins, FlowLoss::Reset))
            }
            _ => None,
        };
        let (at, how) = self.faults.iter().filter_map(end).min_by_key(|(at, _)| *at)?;
        // Who knows nothing of a connection does not end it.
        (!self.is_forgotten(at, caller)).then_some((at, how))
    }
}

impl ConnectionFault {
    fn is_restart(&self) -> bool {
        matches!(self.kind, FaultKind::Restart { .. })
    }

    fn shows(&self) -> Option<ShownCertificate> {
        match self.kind {
            FaultKind::Certificate { shows } => Some(shows),
            _ => None,
        }
    }

    fn covers(&self, elapsed: Duration, caller: &Caller) -> bool {
        let FaultScope { sources, share, seed, id, .. } = &self.scope;
        let chosen = || *share >= 1.0 || seed.unit(Purpose::Fault, caller.key, *id) < *share;
        let source = caller.address.ip().to_canonical();
        self.scope.is_open(elapsed) && (sources.is_empty() || sources.contains(&source)) && chosen()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_secs(100);

    fn at(seconds: u64) -> Time {
        Time::from_secs(100 + seconds)
    }

    fn faults(kind: FaultKind) -> ConnectionFaults {
        let (from, until) = (Duration::from_secs(10), Some(Duration::from_secs(20)));
        let fault = Fault { kind, from, until, share: 1.0, sources: Vec::new(), addresses: Vec::new(), domain: None };
        ConnectionFaults::new(&[fault], Seed(7), START)
    }

    fn caller(opened: u64) -> Caller {
        Caller::new(([127, 0, 0, 1], 40_000).into(), at(opened))
    }

    #[test]
    fn a_connection_is_reset_once_so_many_bytes_came() {
        let faults = faults(FaultKind::Reset { bytes: 500 });
        let mut caller = caller(0);
        let came: Vec<_> =
            [(5, 400), (9, 400), (10, 1)].map(|(when, bytes)| faults.came(at(when), &mut caller, bytes)).into();
        assert_eq!(came, [Reception::Heard, Reception::Heard, Reception::Reset]);
        assert_eq!(faults.end(&caller), None);
    }

    #[test]
    fn connections_are_taken_up_later_and_not_all_at_once() {
        let mut faults = faults(FaultKind::SlowAccept { delay: Duration::from_secs(1), per_second: Some(2.0) });
        let mut taken_up = |now| faults.taken_up(at(now), &caller(now)).since(START).as_millis();
        assert_eq!([5, 12, 12, 12, 15].map(&mut taken_up), [5_000, 13_000, 13_500, 14_000, 16_000]);
    }

    #[test]
    fn a_forgotten_connection_is_dead_for_good_and_nobody_ends_it() {
        let faults = faults(FaultKind::HalfOpen { after: Duration::from_secs(4) });
        let dead = |opened: u64, now: u64| faults.came(at(now), &mut caller(opened), 1) == Reception::Swallowed;
        // Old enough when the window opens, within it, and when it is over.
        assert_eq!(
            [dead(0, 9), dead(0, 10), dead(12, 15), dead(12, 16), dead(12, 90)],
            [false, true, false, true, true]
        );
        assert!(!dead(16, 90), "the window was over by then");
    }

    #[test]
    fn an_idle_connection_is_closed_and_a_restart_resets_all() {
        let mut heard = caller(0);
        let idle = faults(FaultKind::CloseIdle { idle: Duration::from_secs(6) });
        assert_eq!(idle.end(&heard), Some((at(10), FlowLoss::Closed)), "it was idle long enough already");
        idle.came(at(9), &mut heard, 1);
        assert_eq!(idle.end(&heard), Some((at(15), FlowLoss::Closed)));
        assert_eq!(idle.end(&caller(14)), None, "the window is over by then");

        let restart = faults(FaultKind::Restart { forget: false });
        assert_eq!(restart.end(&heard), Some((at(10), FlowLoss::Reset)));
        assert_eq!([9, 10, 19, 20].map(|now| restart.refuses(at(now))), [false, true, true, false]);
        assert_eq!([0, 10, 20].map(|now| restart.next_change(at(now))), [Some(at(10)), Some(at(20)), None]);
        assert_eq!(restart.end(&caller(20)), None, "it came afterwards");
    }

    #[test]
    fn a_share_is_of_connections_by_where_they_come_from() {
        let kind = FaultKind::Certificate { shows: ShownCertificate::Expired };
        let fault = Fault {
            kind,
            from: Duration::ZERO,
            until: None,
            share: 0.25,
            sources: Vec::new(),
            addresses: Vec::new(),
            domain: None,
        };
        let faults = ConnectionFaults::new(&[fault], Seed(7), START);
        let shown = |port: u16| faults.shown(at(1), &Caller::new(([127, 0, 0, 1], port).into(), at(1)));
        let hit = (10_000..12_000).filter(|port| shown(*port) == Some(ShownCertificate::Expired)).count();
        assert!((400..600).contains(&hit), "{hit}");
    }
}
