//! Registrations out of a capture, or a trace in text: SIP messages put in order of time and read
//! as requests and answers.
//!
//! Frames of one capture may stand a little out of order (several interfaces, several queues), so
//! messages wait until nothing older than them is expected. Memory: at most [`MOST_WAITING`]
//! messages, beside what [`super::entry`] keeps.

use super::roster::TrunkKey;
use super::trace::Trace;
use super::watch::{Ask, AskContact, Carried, Reply, SECOND_NS, SeenChallenge, UsedCredentials, Watch, print_of};
use super::{Observation, ObserveError, Watched};
use crate::agent::answer;
use crate::record::Observed;
use crate::record::capture::{self, CaptureError, CapturedItem, CapturedMessage, Undelivered};
use crate::record::eventlog::StoredMessage;
use crate::record::texttrace::{self, UNNAMED};
use crate::sip::challenge::{self, Role, all_credentials};
use crate::sip::scan::{self, Malformed};
use crate::sip::{Algorithm, Request, Response, contact};
use crate::vocab::{Transport, Unreachable, saturating_u32};
use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashSet};
use std::io::{BufRead, Read};
use std::net::SocketAddr;

/// Reads a capture; `name` is what the results call it.
///
/// # Errors
/// When it is no capture, cannot be read, or shows no registration.
pub fn of_capture(source: impl Read, name: &str) -> Result<Observation, ObserveError> {
    let (seen, remarks) = captured(source, name)?;
    Observation::of(seen, remarks)
}

/// The same, phone by phone.
///
/// # Errors
/// As [`of_capture`].
pub fn trace_capture(source: impl Read, name: &str) -> Result<Trace, ObserveError> {
    let (seen, remarks) = captured(source, name)?;
    super::traced(seen, remarks)
}

fn captured(source: impl Read, name: &str) -> Result<Watched, ObserveError> {
    let mut wire = WatchedWire::new();
    let account = capture::read_all(source, |item| match item {
        CapturedItem::Message(message) => wire.packet(&message),
        CapturedItem::Undelivered(undelivered) => wire.undelivered(&undelivered),
    })?;
    let mut remarks = account.remarks();
    if account.application.as_deref().is_some_and(|tool| tool.starts_with("regstorm")) {
        remarks.push(
            "regstorm wrote this file: a sample of failures; diagnose the run's directory for all of it".to_owned(),
        );
    }
    wire.observed(name, account.last_ns, remarks)
}

/// Reads a trace in text; `name` is what the results call it. `None`: there is no SIP message in
/// it.
///
/// # Errors
/// When it cannot be read, or shows no registration.
pub fn of_text(source: impl BufRead, name: &str) -> Result<Option<Observation>, ObserveError> {
    text(source, name)?.map(|(seen, remarks)| Observation::of(seen, remarks)).transpose()
}

/// The same, phone by phone.
///
/// # Errors
/// As [`of_text`].
pub fn trace_text(source: impl BufRead, name: &str) -> Result<Option<Trace>, ObserveError> {
    text(source, name)?.map(|(seen, remarks)| super::traced(seen, remarks)).transpose()
}

fn text(source: impl BufRead, name: &str) -> Result<Option<Watched>, ObserveError> {
    let mut wire = WatchedWire::new();
    let account = texttrace::read(source, |message| wire.packet(&message)).map_err(CaptureError::Io)?;
    if account.messages == 0 {
        return Ok(None);
    }
    wire.observed(name, account.last_ns, account.remarks()).map(Some)
}

/// Lays out messages that a capture store kept.
pub(super) fn stored(messages: &[StoredMessage], name: &str) -> Result<Watched, ObserveError> {
    let mut ordered: Vec<&StoredMessage> = messages.iter().collect();
    // Stores hand out the newest first, or by call.
    ordered.sort_by_key(|message| message.at_ns);
    let mut wire = WatchedWire::new();
    for &StoredMessage { at_ns, from, to, transport, ref bytes } in ordered.iter().copied() {
        wire.packet(&CapturedMessage { at_ns, from, to, transport, bytes });
    }
    wire.observed(name, ordered.last().map_or(0, |message| message.at_ns), Vec::new())
}

struct WatchedWire {
    watch: Watch,
    /// The earliest on top.
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// Time of the newest message.
    newest: u64,
    /// Time of the message told last.
    last: u64,
    number: u64,
    counts: PassedOver,
    /// Where REGISTER requests went.
    registrars: HashSet<SocketAddr>,
    /// Who sent messages that have to do with no registration: [`MOST_OTHERS`] at most.
    others: HashSet<SocketAddr>,
    /// What stops the reading.
    failed: Option<ObserveError>,
}

/// A message that waits; ordered by time, then by place in the capture.
#[derive(PartialEq, Eq)]
struct Waiting {
    at_ns: u64,
    number: u64,
    from: SocketAddr,
    to: SocketAddr,
    transport: Transport,
    bytes: Vec<u8>,
    /// ICMP says so of the message; then `bytes` are its beginning.
    unreachable: Option<Unreachable>,
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at_ns, self.number).cmp(&(other.at_ns, other.number))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What was passed over.
#[derive(Default)]
struct PassedOver {
    malformed: u64,
    /// REGISTER without a Contact: a question for the bindings (RFC 3261 §10.2.3).
    queries: u64,
    no_address: u64,
    disordered: u64,
}

impl WatchedWire {
    fn new() -> Self {
        WatchedWire {
            watch: Watch::new(),
            waiting: BinaryHeap::new(),
            newest: 0,
            last: 0,
            number: 0,
            counts: PassedOver::default(),
            registrars: HashSet::new(),
            others: HashSet::new(),
            failed: None,
        }
    }

    /// Everything is read; the source ended at `last_ns`, and so much is to be said of it.
    fn observed(mut self, name: &str, last_ns: u64, mut remarks: Vec<String>) -> Result<Watched, ObserveError> {
        self.drain(u64::MAX, 0);
        if let Some(error) = self.failed {
            return Err(error);
        }
        // Watching ends with the capture: silence after the last REGISTER is seen too. But a frame
        // of another year is a damaged one.
        let silent_end = last_ns.saturating_sub(self.newest) <= LONGEST_SILENCE_NS;
        let end = if silent_end { last_ns } else { self.newest };
        let (mut seen, gaps) = self.watch.finish(name.to_owned(), Observed::Capture, end);
        remarks.extend(self.counts.remarks());
        if gaps.orphans > 0 {
            remarks.push(format!("{} answers belong to requests that are not in the capture", gaps.orphans));
        }
        // A registrar that is heard of other things is seen to be silent, and so is one whose
        // phones go on asking.
        if gaps.silent && self.registrars.is_disjoint(&self.others) {
            seen.answers_missing = !gaps.waited;
            remarks.push("no answer at all is in the capture: it may show one direction only".to_owned());
        }
        Ok((seen, remarks))
    }

    fn packet(&mut self, packet: &CapturedMessage<'_>) {
        if self.failed.is_some() {
            return;
        }
        match is_registration(packet.bytes) {
            Ok(true) => {}
            Ok(false) => {
                if self.others.len() < MOST_OTHERS {
                    self.others.insert(packet.from);
                }
                return;
            }
            Err(_) => {
                self.counts.malformed += 1;
                return;
            }
        }
        let CapturedMessage { at_ns, from, to, transport, bytes } = *packet;
        self.wait(at_ns, (from, to), transport, bytes.to_vec(), None);
    }

    /// ICMP quotes as little as eight bytes of a message; what names it stands in its first lines.
    fn undelivered(&mut self, undelivered: &Undelivered<'_>) {
        let Undelivered { at_ns, from, to, why, quoted } = *undelivered;
        // What says so may not be the registrar, but it came from there.
        if self.others.len() < MOST_OTHERS {
            self.others.insert(to);
        }
        let whole_lines = memchr::memrchr(b'\n', quoted).map_or(0, |end| end + 1);
        let bytes = [&quoted[..whole_lines], b"\r\n"].concat();
        self.wait(at_ns, (from, to), Transport::Udp, bytes, Some(why));
    }

    fn wait(
        &mut self,
        at_ns: u64,
        (from, to): (SocketAddr, SocketAddr),
        transport: Transport,
        bytes: Vec<u8>,
        unreachable: Option<Unreachable>,
    ) {
        self.number += 1;
        self.newest = self.newest.max(at_ns);
        let number = self.number;
        self.waiting.push(Reverse(Waiting { at_ns, number, from, to, transport, bytes, unreachable }));
        self.drain(self.newest.saturating_sub(SETTLED_NS), MOST_WAITING);
    }

    /// Tells everything before `until`, and more if more than `most` are held.
    fn drain(&mut self, until: u64, most: usize) {
        while let Some(Reverse(earliest)) = self.waiting.peek() {
            if (earliest.at_ns >= until && self.waiting.len() <= most) || self.failed.is_some() {
                return;
            }
            let Some(Reverse(held)) = self.waiting.pop() else { return };
            self.counts.disordered += u64::from(held.at_ns < self.last);
            self.last = self.last.max(held.at_ns);
            self.failed = self.message(&held, self.last).err();
        }
    }

    fn message(&mut self, held: &Waiting, at: u64) -> Result<(), ObserveError> {
        if let Ok(response) = scan::response(&held.bytes) {
            self.watch.reply(&reply(&response, at, held.bytes.len()));
            return Ok(());
        }
        let Ok(request) = scan::request(&held.bytes) else { return Ok(()) };
        match held.unreachable {
            Some(why) => self.watch.undelivered(transaction(request.call_id, request.cseq, request.branch), why),
            None => self.request(&request, held, at)?,
        }
        Ok(())
    }

    fn request(&mut self, request: &Request<'_>, held: &Waiting, at: u64) -> Result<(), ObserveError> {
        // RFC 3261 §10.2: the To header holds the address of record.
        let Some((user, domain)) = contact::address_of_record(request.to) else {
            self.counts.no_address += 1;
            return Ok(());
        };
        let mut contacts = contact::contacts(request).peekable();
        let Some(&first) = contacts.peek() else {
            self.counts.queries += 1;
            return Ok(());
        };
        let (contact_user, contact_host) = first.address().unwrap_or_default();
        let asked_s = first.expires.or(request.expires);
        let removes = contacts.all(|one| one.expires.or(request.expires) == Some(0));
        self.registrars.insert(held.to);
        let registrar = if held.to == UNNAMED { String::new() } else { held.to.to_string() };
        let key = TrunkKey { registrar, domain: String::from_utf8_lossy(domain).to_ascii_lowercase() };
        let user = String::from_utf8_lossy(user);
        self.watch.ask(&Ask {
            at,
            bytes: saturating_u32(held.bytes.len()),
            trunk: key,
            transport: Some(held.transport),
            user: &user,
            source: Some(held.from.ip()).filter(|_| held.from != UNNAMED),
            call_id: request.call_id,
            transaction: transaction(request.call_id, request.cseq, request.branch),
            carried: carried(request),
            asked_s,
            removes,
            contact: AskContact { uri: first.uri, user: contact_user, host: contact_host },
            sent_by: request.topmost_via().sent_by,
            request: Some(request),
        })
    }
}

impl PassedOver {
    fn remarks(&self) -> impl Iterator<Item = String> {
        let counted = [
            (self.malformed, "messages are no readable SIP"),
            (self.queries, "REGISTER requests ask for bindings and register nothing"),
            (self.no_address, "REGISTER requests name no SIP address in To"),
            (
                self.disordered,
                "messages stand in the capture long after later ones: times of several captures do not fit",
            ),
        ];
        counted.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"))
    }
}

/// Whether a message has to do with a registration; an error when it might and cannot be read.
fn is_registration(bytes: &[u8]) -> Result<bool, Malformed> {
    match scan::response(bytes) {
        Ok(response) => return Ok(response.cseq_method.eq_ignore_ascii_case(b"REGISTER")),
        Err(Malformed::StartLine) => {}
        Err(error) => return Err(error),
    }
    if !bytes.trim_ascii_start().starts_with(b"REGISTER ") {
        return Ok(false);
    }
    scan::request(bytes).map(|_| true)
}

fn reply<'a>(response: &'a Response<'a>, at: u64, bytes: usize) -> Reply<'a> {
    Reply {
        at,
        bytes: saturating_u32(bytes),
        transaction: transaction(response.call_id(), response.cseq, response.branch),
        code: response.code,
        reason: response.reason,
        challenge: offered(response),
        min_expires: response.min_expires(),
        retry_after: response.retry_after(),
        response: Some(response),
    }
}

fn offered<'a>(response: &Response<'a>) -> SeenChallenge<'a> {
    let all = challenge::offered(response);
    let mut nonces = Vec::new();
    let mut stale = false;
    for offer in challenge::challenges(response).flatten() {
        nonces.push(print_of(&[offer.nonce]));
        stale |= offer.stale;
    }
    let role = Role::of(response.code).unwrap_or(Role::Registrar);
    let offered = answer::offer_bits(role, &all);
    SeenChallenge { realm: all.realm, offered, nonces, stale }
}

/// The credentials of a request. An empty nonce carries none: clients of some networks send such a
/// header with their first REGISTER to name their user (3GPP TS 24.229 §5.1.1.2.2).
fn carried(request: &Request<'_>) -> Carried {
    let mut all = all_credentials(request).peekable();
    if all.peek().is_none() {
        let header = request.headers("Authorization").chain(request.headers("Proxy-Authorization")).next();
        // Credentials that cannot be read are credentials.
        let unread = header.map(|_| UsedCredentials { nonce: None, algorithm: None });
        return Carried::Credentials(unread.into_iter().collect());
    }
    let used = all.filter(|one| !one.nonce.is_empty()).map(|one| UsedCredentials {
        nonce: Some(print_of(&[one.nonce])),
        // None named means MD5 (RFC 7616 §3.3).
        algorithm: Some(one.algorithm.unwrap_or(Algorithm::Md5) as u8),
    });
    Carried::Credentials(used.collect())
}

fn transaction(call_id: &[u8], cseq: u32, branch: &[u8]) -> u64 {
    print_of(&[call_id, &cseq.to_be_bytes(), branch])
}

/// How long a message waits for an older one: attempts sampled into one file stand in it one after
/// another, and each may last two Timer F.
const SETTLED_NS: u64 = 64_000_000_000;
/// More than any trunk has neighbours.
const MOST_OTHERS: usize = 4_096;
/// A week: longer than any lifetime that is in use.
const LONGEST_SILENCE_NS: u64 = 7 * 86_400 * SECOND_NS;
/// Messages that wait at most, 50 MB of them; in a busier capture the oldest goes on sooner.
const MOST_WAITING: usize = 65_536;
