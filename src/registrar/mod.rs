//! The embedded registrar: the mirror image of an agent, without I/O. Datagrams in with a time,
//! replies out with a time.
//!
//! `register` is RFC 3261 §10.3; it rests on `authenticate` with `nonce` (RFC 7616), and on
//! `bindings`. `fault` holds what can be made to go wrong, one file per kind. `outbox` holds
//! replies until they are due, `malformed` answers what the scanner refuses, `counts` is the
//! account of it all.
//!
//! There is no transaction layer: requests are handled as they come, a retransmission is answered
//! like the first time; `departed` keeps a late copy from binding again what was removed since.
//! Replies go where the request came from (RFC 3581), asked for or not. Nothing here reads a clock,
//! opens a socket or panics on foreign bytes; in the steady state only a new binding and a removal
//! allocate.
//!
//! The invariant one cannot see: `Faults::joined` and `left` are told of every address of record
//! that appears in or vanishes from `Bindings`, always with the user and domain of the address and
//! the source that made it, so the counts of limits never drift.

mod address;
mod authenticate;
mod bindings;
pub mod config;
mod counts;
mod departed;
mod fault;
mod malformed;
mod nonce;
mod outbox;
mod register;

pub use bindings::MAX_CONTACTS;
pub use config::{Config, Credential, Delay, Fault, FaultKind, KnownUsers, LimitScope, MaxContacts, OfferedQop};
pub use counts::Counts;
pub use fault::connections::{Caller, ConnectionFaults, Reception};

use crate::seed::{Purpose, Seed};
use crate::sip::Request;
use crate::sip::branch::hex16;
use crate::sip::emit::{self, Overflow};
use crate::sip::scan;
use crate::vocab::Time;
use address::{Address, split_canonical};
use authenticate::Authority;
use bindings::Bindings;
use departed::Departed;
use fault::{FaultDirection, FaultSubject, Faults, Frozen, Passage};
use malformed::CopiedHeaders;
use nonce::Nonces;
use outbox::ReplyQueue;
use register::RegisterAnswer;
use std::net::{IpAddr, SocketAddr};

/// The other end of an exchange: its address, and which of the registrar's sockets it speaks to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// Position among the listening sockets; replies leave through the one the request came to.
    pub socket: u16,
    /// The address it speaks to, where the registrar has several.
    pub asked: Option<IpAddr>,
    /// The connection it speaks over, where it has one; replies go back on it (RFC 3261 §18.2.2).
    pub connection: Option<Connection>,
}

/// A connection, as whoever moves its bytes knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connection {
    /// The thread that has it.
    pub owner: u16,
    pub slot: u32,
    pub generation: u32,
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Peer { address, socket: 0, asked: None, connection: None }
    }
}

/// A registrar for any number of domains. Give it every datagram with [`Registrar::receive`], then
/// take replies with
/// [`Registrar::poll_transmit`] until there are none, again at [`Registrar::next_wake`].
#[derive(Debug)]
pub struct Registrar {
    authority: Authority,
    bindings: Bindings,
    departed: Departed,
    faults: Faults,
    connections: ConnectionFaults,
    outbox: ReplyQueue,
    counts: Counts,
    min_expires_s: u32,
    max_expires_s: u32,
    max_contacts: Option<MaxContacts>,
    /// Key of the To tags.
    tag_key: u64,
    /// Whether the reply being made is the final answer of a REGISTER transaction that was let in.
    opens: bool,
    /// Header lines of the reply being made.
    extra: Vec<u8>,
    /// Address of record of the request being handled.
    key: Vec<u8>,
}

/// A request and what is known of it.
#[derive(Debug)]
struct Incoming<'a> {
    now: Time,
    request: &'a Request<'a>,
    /// Canonical address of record, `user@domain`; empty when it cannot be read.
    key: &'a [u8],
    subject: FaultSubject<'a>,
}

impl Registrar {
    /// A registrar without bindings; the windows of its faults count from `start`. Chance and
    /// secrets come from `seed`.
    pub fn new(config: Config, seed: Seed, start: Time) -> Self {
        let nonces = Nonces::new(seed, config.nonce_lifetime);
        Registrar {
            authority: Authority::new(&config, nonces),
            // One more than was asked for is refused before it comes to the table.
            bindings: Bindings::new(config.max_contacts.map_or(MAX_CONTACTS, |_| usize::MAX)),
            departed: Departed::default(),
            faults: Faults::new(&config.faults, seed, start),
            connections: ConnectionFaults::new(&config.faults, seed, start),
            outbox: ReplyQueue::new(),
            counts: Counts::default(),
            min_expires_s: config.min_expires_s.min(config.max_expires_s),
            max_expires_s: config.max_expires_s,
            max_contacts: config.max_contacts,
            tag_key: seed.draw(Purpose::Registrar, 0, TAG_DRAW),
            opens: false,
            extra: Vec::new(),
            key: Vec::new(),
        }
    }

    /// Lets the windows of faults count from here, so that they line up with a run that starts
    /// later.
    pub fn set_start(&mut self, start: Time) {
        self.faults.set_start(start);
        self.connections.set_start(start);
    }

    /// What goes wrong with connections to it, for whoever has these.
    pub fn connection_faults(&self) -> &ConnectionFaults {
        &self.connections
    }

    /// Handles one datagram. `now` never goes back.
    pub fn receive(&mut self, now: Time, from: impl Into<Peer>, datagram: &[u8]) {
        self.expire(now);
        self.counts.received += 1;
        // A keep-alive of a phone behind a NAT, which no fault is meant for.
        if datagram.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            self.counts.ignored += 1;
            return;
        }
        self.handle(now, from.into(), datagram, Passage::Arrived);
    }

    /// Copies the next reply due at or before `now` into `out`: its length and destination. A reply
    /// that is longer than `out` is discarded and counted; 65 507 bytes hold any.
    pub fn poll_transmit(&mut self, now: Time, out: &mut [u8]) -> Option<(usize, Peer)> {
        self.expire(now);
        loop {
            match self.outbox.next(now, out) {
                Some(Ok(sent)) => {
                    self.counts.replies_sent += 1;
                    return Some(sent);
                }
                Some(Err(Overflow(_))) => self.counts.replies_discarded += 1,
                // Requests that were held are handled one at a time, as the replies to those before
                // them leave.
                None => {
                    let (passage, Frozen { from, datagram }) = self.faults.thaw(now)?;
                    self.handle(now, from, &datagram, passage);
                    self.outbox.give_back(datagram);
                }
            }
        }
    }

    /// When a held reply or request is due, a freeze with waiting requests ends, or a binding
    /// expires, whichever is first; a binding that was refreshed meanwhile may still be named by
    /// its earlier time.
    pub fn next_wake(&self) -> Option<Time> {
        [self.outbox.next_due(), self.faults.next_thaw(), self.bindings.next_expiry()].into_iter().flatten().min()
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Addresses of record with a live binding at `now`.
    pub fn bindings(&self, now: Time) -> usize {
        self.bindings.live(now)
    }

    /// Live contacts over all addresses of record, when time was last told; what Kamailio counts as
    /// contacts.
    pub fn contacts(&self) -> usize {
        self.bindings.contacts()
    }

    fn expire(&mut self, now: Time) {
        self.departed.forget(now);
        let faults = &mut self.faults;
        if faults.forgets(now) {
            self.bindings.lose_all(|key, source| {
                let (user, domain) = split_canonical(key);
                faults.left(&FaultSubject { user: Some(user), domain, source, asked: None });
            });
        }
        let expired = self.bindings.expire(now, |key, source| {
            let (user, domain) = split_canonical(key);
            faults.left(&FaultSubject { user: Some(user), domain, source, asked: None });
        });
        self.counts.expired += expired as u64;
        self.counts.bindings = self.bindings.len() as u64;
    }

    /// Takes the scratch key out for the time of one datagram, so that a request may borrow it
    /// beside the registrar.
    fn handle(&mut self, now: Time, from: Peer, datagram: &[u8], passage: Passage) {
        let mut key = std::mem::take(&mut self.key);
        self.admit(now, from, datagram, passage, &mut key);
        self.key = key;
    }

    /// What happens to a datagram before anybody looks into it.
    fn admit(&mut self, now: Time, from: Peer, datagram: &[u8], passage: Passage, key: &mut Vec<u8>) {
        if datagram.iter().all(u8::is_ascii_whitespace) || datagram.starts_with(b"SIP/2.0 ") {
            self.counts.ignored += 1;
            return;
        }
        if self.faults.is_away(now) {
            self.counts.requests_dropped += 1;
            return;
        }
        let request = scan::request(datagram);
        key.clear();
        let read = request.as_ref().ok();
        let named = read.is_some_and(|request| write_key(request, key));
        let subject = FaultSubject {
            user: named.then(|| split_canonical(key).0),
            domain: read.and_then(|request| Address::parse(request.uri)).map_or(b"", |uri| uri.host),
            source: from.address.ip().to_canonical(),
            asked: from.asked,
        };
        let mut copies = 1;
        if passage == Passage::Arrived {
            if self.faults.loses(now, FaultDirection::Request, &subject) {
                self.counts.requests_dropped += 1;
                return;
            }
            copies += self.faults.duplicates(now, FaultDirection::Request, &subject);
            self.counts.requests_duplicated += copies as u64 - 1;
        }
        for _ in 0..copies {
            if self.sets_aside(now, from, datagram, passage, &subject) {
                continue;
            }
            match &request {
                Ok(request) => self.respond(from, &Incoming { now, request, key, subject }),
                Err(_) => self.respond_malformed(now, from, datagram, &subject),
            }
        }
    }

    /// Whether a request is not to be handled now: others may overtake it, or it falls into a
    /// freeze.
    fn sets_aside(
        &mut self,
        now: Time,
        from: Peer,
        datagram: &[u8],
        passage: Passage,
        subject: &FaultSubject<'_>,
    ) -> bool {
        if passage == Passage::Arrived
            && let Some(due) = self.faults.overtakes(now, subject)
        {
            self.faults.hold(due, Frozen { from, datagram: self.outbox.keep(datagram) });
            self.counts.requests_reordered += 1;
            return true;
        }
        let Some(freeze) = self.faults.freeze(now, subject, passage) else { return false };
        if freeze.is_full() {
            self.counts.frozen_overflow += 1;
        } else {
            freeze.push(Frozen { from, datagram: self.outbox.keep(datagram) });
            self.counts.requests_frozen += 1;
        }
        true
    }

    fn respond(&mut self, from: Peer, incoming: &Incoming<'_>) {
        let &Incoming { now, request, ref subject, .. } = incoming;
        self.extra.clear();
        self.opens = false;
        if request.method == b"ACK" {
            // An ACK is never answered (RFC 3261 §17).
            self.counts.ignored += 1;
            return;
        }
        let answer = self.dispatch(incoming);
        self.count(request, answer.code);
        let tag = hex16(self.tag_key ^ fault::fnv1a(request.call_id));
        let extra = std::mem::take(&mut self.extra);
        self.post(now, from, subject, |out| {
            emit::write_response(request, answer.code, answer.reason.as_str(), from.address, &tag, &extra, out)
        });
        self.extra = extra;
    }

    fn dispatch(&mut self, incoming: &Incoming<'_>) -> RegisterAnswer {
        let &Incoming { now, request, ref subject, .. } = incoming;
        if request.method != request.cseq_method {
            self.counts.malformed += 1;
            return RegisterAnswer::fixed(400, "CSeq Method Mismatch");
        }
        *match request.method {
            b"REGISTER" => &mut self.counts.registers,
            b"OPTIONS" => &mut self.counts.options,
            _ => &mut self.counts.other_methods,
        } += 1;
        if let Some(refusal) = self.faults.denial(now, subject).cloned() {
            return self.refuse(refusal);
        }
        if request.method == b"REGISTER" {
            if let Some(refusal) = self.faults.too_many_open(now, subject).cloned() {
                return self.refuse(refusal);
            }
            self.opens = true;
            return self.register(incoming);
        }
        self.extra.extend_from_slice(b"Allow: REGISTER, OPTIONS\r\n");
        if request.method == b"OPTIONS" {
            RegisterAnswer::fixed(200, "OK")
        } else {
            RegisterAnswer::fixed(405, "Method Not Allowed")
        }
    }

    fn respond_malformed(&mut self, now: Time, from: Peer, datagram: &[u8], subject: &FaultSubject<'_>) {
        self.counts.malformed += 1;
        if let Some(echo) = CopiedHeaders::of(datagram) {
            *self.counts.refusals.entry(400).or_default() += 1;
            self.post(now, from, subject, |out| echo.write(out));
        }
    }

    /// Sends a reply through the faults that act on replies, into the outbox.
    fn post(
        &mut self,
        now: Time,
        to: Peer,
        subject: &FaultSubject<'_>,
        write: impl Fn(&mut [u8]) -> Result<usize, Overflow>,
    ) {
        if self.faults.loses(now, FaultDirection::Reply, subject) {
            self.counts.replies_dropped += 1;
            return;
        }
        let copies = 1 + self.faults.duplicates(now, FaultDirection::Reply, subject);
        self.counts.replies_duplicated += copies as u64 - 1;
        for _ in 0..copies {
            let due = self.faults.release(now, subject);
            if std::mem::take(&mut self.opens) {
                self.faults.opened(due, subject);
            }
            let (faults, counts) = (&mut self.faults, &mut self.counts);
            let write = |out: &mut [u8]| {
                let len = write(out)?;
                let spoilt = faults.spoil(now, subject, &mut out[..len]);
                counts.replies_corrupted += u64::from(spoilt.is_some());
                Ok(spoilt.unwrap_or(len))
            };
            if due == Time::NEVER || !self.outbox.post(due, to, write) {
                self.counts.replies_discarded += 1;
            } else {
                self.counts.replies_delayed += u64::from(due > now);
            }
        }
    }

    fn count(&mut self, request: &Request<'_>, code: u16) {
        match code {
            200..300 if request.method == b"REGISTER" => self.counts.registered += 1,
            200..300 => self.counts.options_answered += 1,
            401 => self.counts.challenges += 1,
            _ => *self.counts.refusals.entry(code).or_default() += 1,
        }
    }
}

impl<'a> Incoming<'a> {
    /// The address of record as limits count it: by its own domain, which outlives the request.
    fn aor(&self) -> FaultSubject<'a> {
        let (user, domain) = split_canonical(self.key);
        FaultSubject { user: Some(user), domain, ..self.subject }
    }
}

/// Writes the canonical address of record of a request; false, and nothing written, when it has
/// none.
fn write_key(request: &Request<'_>, key: &mut Vec<u8>) -> bool {
    let to = Address::of_header(request.to);
    if let Some(to) = to {
        to.write_canonical(key);
    }
    to.is_some()
}

/// The draw that keys the To tags; nonces use another.
const TAG_DRAW: u64 = 2;
