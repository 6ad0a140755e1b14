//! How a probe reaches a trunk whose name may stand for several addresses (RFC 3263 §4.3): at the
//! first of them, and after a failure there at the next, as agents do in a run.

use super::prober::Prober;
use super::targets::TrunkTargets;
use crate::agent::probe::{ProbeEnd, ProbeRequest};
use crate::diagnose::readiness::{ProbeSeen, said};
use crate::engine::{Carrier, ProbeSocket};
use crate::vocab::Time;
use std::net::{IpAddr, SocketAddr};

/// One phone's way to its trunk: it stays at an address as long as that serves it.
pub(super) struct ProbeRoute {
    carrier: Carrier,
    source: Option<IpAddr>,
    /// In the order they are tried: one at least.
    places: Vec<SocketAddr>,
    /// Which of them is spoken to.
    at: usize,
    /// The same port in every exchange, as a phone has.
    socket: Option<ProbeSocket>,
}

/// What came of an exchange, and of the addresses before.
pub(super) struct Reached {
    pub seen: ProbeSeen,
    /// Who answered, or failed to in the end.
    pub target: SocketAddr,
    /// Addresses that were left for the next one, each with what came of it there.
    pub left: Vec<LeftAddress>,
}

/// An address that a probe went on from.
pub(super) struct LeftAddress {
    pub address: SocketAddr,
    pub said: String,
    /// What was not answered may have been granted.
    pub maybe_bound: bool,
}

impl ProbeRoute {
    pub(super) fn new(carrier: Carrier, source: Option<IpAddr>, targets: &TrunkTargets) -> ProbeRoute {
        ProbeRoute { carrier, source, places: targets.addresses(), at: 0, socket: None }
    }

    /// Who is spoken to.
    pub(super) fn target(&self) -> SocketAddr {
        self.places[self.at]
    }

    /// Whether there is more than one address.
    pub(super) fn leads_to_several(&self) -> bool {
        self.places.len() > 1
    }

    /// Where its requests come from, once one was sent.
    pub(super) fn local_ip(&self) -> Option<IpAddr> {
        self.socket.as_ref().map(|socket| socket.local_addr().ip())
    }

    /// The name was looked up again: its first choice is spoken to from now on, as agents do.
    pub(super) fn replace(&mut self, targets: &TrunkTargets) {
        let before = self.target();
        (self.places, self.at) = (targets.addresses(), 0);
        if self.target() != before {
            self.socket = None;
        }
    }

    /// One exchange, at the next address where one fails as agents would leave it, until each had
    /// its turn; `None` when it would not have begun before `until`.
    ///
    /// # Errors
    /// When there is no socket for the last of them; the text says why.
    pub(super) fn exchange(
        &mut self,
        prober: &Prober,
        request: &ProbeRequest,
        until: Time,
    ) -> Result<Option<Reached>, String> {
        let mut request = request.clone();
        let mut left = Vec::new();
        loop {
            let target = self.target();
            let is_last = left.len() + 1 >= self.places.len();
            let (said, maybe_bound) = match self.open(prober) {
                Err(why) if is_last => return Err(why),
                Err(why) => (why, false),
                Ok(socket) => {
                    let Some(seen) = prober.exchange(socket, &request, until) else { return Ok(None) };
                    if is_last || !seen.outcome.leads_on() {
                        return Ok(Some(Reached { seen, target, left }));
                    }
                    request.call = seen.outcome.call;
                    (said(&seen.outcome), seen.outcome.end == ProbeEnd::TimedOut)
                }
            };
            left.push(LeftAddress { address: target, said, maybe_bound });
            self.at = (self.at + 1) % self.places.len();
            self.socket = None;
        }
    }

    fn open(&mut self, prober: &Prober) -> Result<&mut ProbeSocket, String> {
        let target = self.target();
        if self.socket.is_none() {
            let opened = ProbeSocket::open(&self.carrier, self.source, target, prober.clock);
            self.socket = Some(opened.map_err(|error| error.to_string())?);
        }
        self.socket.as_mut().ok_or_else(|| format!("no socket to {target}"))
    }
}

impl LeftAddress {
    /// `127.0.0.1:5070: no answer; 127.0.0.1:5060 is tried next`.
    pub(super) fn words(&self, next: SocketAddr) -> String {
        format!("{}: {}; {next} is tried next", self.address, self.said)
    }
}

impl Reached {
    /// One line for each address that was left.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let after = self.left.iter().skip(1).map(|left| left.address).chain([self.target]);
        self.left.iter().zip(after).map(|(left, next)| left.words(next))
    }
}
