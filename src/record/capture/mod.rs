//! SIP messages out of a capture: pcap or pcapng, down to the byte where each begins and ends.
//!
//! ```text
//! bytes ─ frames ─▶ link layer ─▶ ip (fragments) ─┬─▶ UDP ──────────────┬─▶ CapturedMessage
//!                                                 └─▶ TCP (stream) ─────┘
//! ```
//!
//! Nothing here opens a file or knows what a message says. Whatever is damaged is counted in the
//! [`Account`] and passed over; no input makes it panic or hold more than a fixed amount of memory.

mod account;
mod frames;
mod ip;
mod stream;

pub use account::Account;
pub use frames::CaptureError;

use crate::sip::framing;
use crate::vocab::Transport;
use frames::Frame;
use ip::{Datagrams, PROTOCOL_UDP, Payload};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::net::SocketAddr;
use stream::{Segment, Streams};

/// One SIP message on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CapturedMessage<'a> {
    /// Nanoseconds since the Unix epoch: when its last byte was captured.
    pub at_ns: u64,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub transport: Transport,
    pub bytes: &'a [u8],
}

/// Hands every SIP message of a capture to `each`, in the order of the file.
///
/// # Errors
/// When the source fails, or is neither pcap nor pcapng. A capture that is cut or damaged is no
/// error: the account says so.
pub fn read(source: impl Read, mut each: impl FnMut(CapturedMessage<'_>)) -> Result<Account, CaptureError> {
    let mut account = Account::default();
    let mut reader = CaptureReader::default();
    frames::read(source, &mut account, |frame, account| reader.frame(&frame, account, &mut each))?;
    reader.finish(&mut account, &mut each);
    Ok(account)
}

/// Whether bytes begin as a capture does; a file is told by what is in it, not by its name.
pub fn is_capture(beginning: &[u8]) -> bool {
    frames::begins_like_a_capture(beginning)
}

/// Everything that outlives a frame.
#[derive(Default)]
struct CaptureReader {
    datagrams: Datagrams,
    streams: Streams,
    recent: Recent,
    last_ns: u64,
}

impl CaptureReader {
    fn frame(&mut self, frame: &Frame<'_>, account: &mut Account, each: &mut impl FnMut(CapturedMessage<'_>)) {
        self.last_ns = frame.at_ns;
        account.last_ns = account.last_ns.max(frame.at_ns);
        let Some(packet) = ip::packet_of(frame, account) else { return };
        let CaptureReader { datagrams, streams, recent, .. } = self;
        datagrams.packet(packet, account, |payload, account| {
            if payload.protocol == PROTOCOL_UDP {
                datagram(frame.at_ns, &payload, recent, account, each);
            } else {
                segment(frame.at_ns, &payload, streams, account, each);
            }
        });
    }

    fn finish(&mut self, account: &mut Account, each: &mut impl FnMut(CapturedMessage<'_>)) {
        self.datagrams.finish(account);
        // What waited behind a gap ends with the capture.
        let at_ns = self.last_ns;
        let mut found = 0;
        self.streams.finish(account, |from, to, bytes| {
            found += 1;
            each(CapturedMessage { at_ns, from, to, transport: Transport::Tcp, bytes });
        });
        account.messages += found;
    }
}

/// RFC 768.
fn datagram(
    at_ns: u64,
    payload: &Payload<'_>,
    recent: &mut Recent,
    account: &mut Account,
    each: &mut impl FnMut(CapturedMessage<'_>),
) {
    let Some((head, body)) = payload.bytes.split_first_chunk::<8>() else {
        account.damaged_packets += 1;
        return;
    };
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let length = usize::from(word(4));
    let bytes = if length >= 8 { &body[..body.len().min(length - 8)] } else { body };
    if !framing::is_sip(bytes) {
        return;
    }
    let (from, to) = (SocketAddr::new(payload.from, word(0)), SocketAddr::new(payload.to, word(2)));
    if recent.has(at_ns, from, to, bytes) {
        account.copies += 1;
        return;
    }
    for bytes in bytes.chunks(framing::cut_every(bytes).unwrap_or(bytes.len())).filter(|bytes| framing::is_sip(bytes)) {
        account.messages += 1;
        each(CapturedMessage { at_ns, from, to, transport: Transport::Udp, bytes });
    }
}

/// RFC 9293 §3.1.
fn segment(
    at_ns: u64,
    payload: &Payload<'_>,
    streams: &mut Streams,
    account: &mut Account,
    each: &mut impl FnMut(CapturedMessage<'_>),
) {
    let Some(head) = payload.bytes.first_chunk::<20>() else {
        account.damaged_packets += 1;
        return;
    };
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let Some(bytes) = payload.bytes.get(usize::from(head[12] >> 4).max(5) * 4..) else {
        account.damaged_packets += 1;
        return;
    };
    let flags = head[13];
    let segment = Segment {
        from: SocketAddr::new(payload.from, word(0)),
        to: SocketAddr::new(payload.to, word(2)),
        sequence: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        syn: flags & 0x02 != 0,
        last: flags & 0x05 != 0,
        bytes,
    };
    let mut found = 0;
    streams.segment(&segment, account, |from, to, bytes| {
        found += 1;
        each(CapturedMessage { at_ns, from, to, transport: Transport::Tcp, bytes });
    });
    account.messages += found;
}

/// The datagrams of the last moment, to know a copy by: a capture on every interface, or at a
/// bridge, holds each packet twice. A SIP element sends again after 500 ms at the soonest (RFC 3261
/// §17.1.2.2, T1).
#[derive(Default)]
struct Recent {
    seen: VecDeque<(u64, u64)>,
}

impl Recent {
    fn has(&mut self, at_ns: u64, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> bool {
        let mut hasher = DefaultHasher::new();
        (from, to, bytes).hash(&mut hasher);
        let print = hasher.finish();
        while self.seen.front().is_some_and(|&(then, _)| at_ns.saturating_sub(then) > COPY_WITHIN_NS)
            || self.seen.len() >= MAX_RECENT
        {
            self.seen.pop_front();
        }
        if self.seen.iter().rev().any(|&(then, known)| known == print && at_ns.abs_diff(then) <= COPY_WITHIN_NS) {
            return true;
        }
        self.seen.push_back((at_ns, print));
        false
    }
}

/// A twin of a datagram comes within this.
const COPY_WITHIN_NS: u64 = 5_000_000;
/// 5 ms of 200 000 datagrams/s.
const MAX_RECENT: usize = 1_024;
