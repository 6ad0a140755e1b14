//! SIP messages out of a capture: pcap or pcapng, down to the byte where each begins and ends.
//!
//! ```text
//! bytes ─ frames ─▶ link layer ─▶ ip (fragments) ─┬─▶ UDP ──────────────┬─▶ CapturedMessage
//!                        ▲                        ├─▶ TCP (stream, web) ┘
//!                        └──────── tunnel ◀───────┼─▶ GRE, VXLAN, GTP-U …
//!                                                 └─▶ ICMP ─────────────▶ Undelivered
//! ```
//!
//! Nothing here opens a file or knows what a message says. Whatever is damaged is counted in the
//! [`Account`] and passed over; no input makes it panic or hold more than a fixed amount of memory.

mod account;
mod exported;
mod frames;
mod ip;
mod stream;
mod tunnel;
mod web;

pub use account::Account;
pub use frames::CaptureError;

use crate::sip::framing;
use crate::vocab::{Transport, Unreachable};
use exported::Exported;
use frames::Frame;
use ip::{Datagrams, PROTOCOL_TCP, PROTOCOL_UDP, Payload};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::net::SocketAddr;
use stream::{Segment, Streams};
use tunnel::{Inner, Tunnel};

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

/// A SIP message that did not arrive, as ICMP says of it (RFC 792, RFC 4443).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Undelivered<'a> {
    pub at_ns: u64,
    /// Who had sent it, to whom.
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub why: Unreachable,
    /// The beginning of the message.
    pub quoted: &'a [u8],
}

/// What a capture has to say of SIP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CapturedItem<'a> {
    Message(CapturedMessage<'a>),
    Undelivered(Undelivered<'a>),
}

/// Hands every SIP message of a capture to `each`, in the order of the file.
///
/// # Errors
/// When the source fails, or is neither pcap nor pcapng. A capture that is cut or damaged is no
/// error: the account says so.
pub fn read(source: impl Read, mut each: impl FnMut(CapturedMessage<'_>)) -> Result<Account, CaptureError> {
    read_all(source, |item| {
        if let CapturedItem::Message(message) = item {
            each(message);
        }
    })
}

/// As [`read`], and what ICMP says of messages.
///
/// # Errors
/// As of [`read`].
pub fn read_all(source: impl Read, mut each: impl FnMut(CapturedItem<'_>)) -> Result<Account, CaptureError> {
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
    fn frame(&mut self, frame: &Frame<'_>, account: &mut Account, each: &mut impl FnMut(CapturedItem<'_>)) {
        self.last_ns = frame.at_ns;
        account.last_ns = account.last_ns.max(frame.at_ns);
        if frame.link == exported::LINK {
            exported_message(frame, account, each);
            return;
        }
        if let Some(packet) = ip::packet_of(frame, account) {
            self.packet(frame.at_ns, packet, 0, account, each);
        }
    }

    /// An IP packet, within so many tunnels.
    fn packet(
        &mut self,
        at_ns: u64,
        packet: &[u8],
        deep: usize,
        account: &mut Account,
        each: &mut impl FnMut(CapturedItem<'_>),
    ) {
        let Some(payload) = self.datagrams.packet(packet, account) else { return };
        let tunnel = match payload.protocol {
            PROTOCOL_UDP => datagram(at_ns, &payload, &mut self.recent, account, each),
            PROTOCOL_TCP => {
                segment(at_ns, &payload, &mut self.streams, account, each);
                return;
            }
            PROTOCOL_ICMP | PROTOCOL_ICMP_6 => {
                undelivered(at_ns, &payload, account, each);
                return;
            }
            protocol => tunnel::in_packet(protocol, &payload.bytes),
        };
        let inner = match tunnel {
            Tunnel::Not => return,
            Tunnel::Open(inner) if deep < DEEPEST => inner,
            Tunnel::Open(_) | Tunnel::Closed => {
                account.tunnels_closed += 1;
                return;
            }
        };
        let packet = match inner {
            Inner::Ip(packet) => Some(packet),
            Inner::Ethernet(frame) => ip::ethernet(frame, account),
            Inner::Ppp(frame) => ip::ppp(frame),
        };
        if let Some(packet) = packet {
            self.packet(at_ns, packet, deep + 1, account, each);
        }
    }

    fn finish(&mut self, account: &mut Account, each: &mut impl FnMut(CapturedItem<'_>)) {
        self.datagrams.finish(account);
        // What waited behind a gap ends with the capture.
        let at_ns = self.last_ns;
        let mut found = 0;
        self.streams.finish(account, |from, to, transport, bytes| {
            found += 1;
            each(CapturedItem::Message(CapturedMessage { at_ns, from, to, transport, bytes }));
        });
        account.messages += found;
    }
}

/// RFC 768. What is no SIP may be a tunnel.
fn datagram<'a>(
    at_ns: u64,
    payload: &'a Payload<'_>,
    recent: &mut Recent,
    account: &mut Account,
    each: &mut impl FnMut(CapturedItem<'_>),
) -> Tunnel<'a> {
    let Some((head, body)) = payload.bytes.split_first_chunk::<8>() else {
        account.damaged_packets += 1;
        return Tunnel::Not;
    };
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let length = usize::from(word(4));
    let bytes = if length >= 8 { &body[..body.len().min(length - 8)] } else { body };
    if !framing::is_sip(bytes) {
        return tunnel::in_datagram([word(0), word(2)], bytes);
    }
    let (from, to) = (SocketAddr::new(payload.from, word(0)), SocketAddr::new(payload.to, word(2)));
    if recent.has(at_ns, from, to, bytes) {
        account.copies += 1;
        return Tunnel::Not;
    }
    for bytes in bytes.chunks(framing::cut_every(bytes).unwrap_or(bytes.len())).filter(|bytes| framing::is_sip(bytes)) {
        account.messages += 1;
        each(CapturedItem::Message(CapturedMessage { at_ns, from, to, transport: Transport::Udp, bytes }));
    }
    Tunnel::Not
}

/// A message that another program has taken out of what carried it.
fn exported_message(frame: &Frame<'_>, account: &mut Account, each: &mut impl FnMut(CapturedItem<'_>)) {
    match exported::read(frame.bytes) {
        Some(Exported { from, to, transport, bytes }) if framing::is_sip(bytes) => {
            account.messages += 1;
            each(CapturedItem::Message(CapturedMessage { at_ns: frame.at_ns, from, to, transport, bytes }));
        }
        Some(_) => {}
        None => account.damaged_packets += 1,
    }
}

/// RFC 792 and RFC 4443 §3.1: a type, a code, and behind eight bytes the packet that did not
/// arrive.
fn undelivered(at_ns: u64, payload: &Payload<'_>, account: &mut Account, each: &mut impl FnMut(CapturedItem<'_>)) {
    let Some((head, rest)) = payload.bytes.split_first_chunk::<8>() else { return };
    let why = match (payload.protocol, head[0], head[1]) {
        (PROTOCOL_ICMP, 3, 3) | (PROTOCOL_ICMP_6, 1, 4) => Unreachable::Port,
        (PROTOCOL_ICMP, 3, 1 | 7 | 10 | 12 | 13) | (PROTOCOL_ICMP_6, 1, 1 | 3) => Unreachable::Host,
        (PROTOCOL_ICMP, 3, 0 | 6 | 9 | 11) | (PROTOCOL_ICMP_6, 1, 0) => Unreachable::Network,
        _ => return,
    };
    let Some(sent) = ip::quoted(rest).filter(|sent| sent.protocol == PROTOCOL_UDP) else { return };
    let Some((ports, quoted)) = sent.bytes.split_first_chunk::<8>() else { return };
    if !framing::is_sip(quoted) {
        return;
    }
    account.undelivered += 1;
    let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
    let (from, to) = (SocketAddr::new(sent.from, port(0)), SocketAddr::new(sent.to, port(2)));
    each(CapturedItem::Undelivered(Undelivered { at_ns, from, to, why, quoted }));
}

/// RFC 9293 §3.1.
fn segment(
    at_ns: u64,
    payload: &Payload<'_>,
    streams: &mut Streams,
    account: &mut Account,
    each: &mut impl FnMut(CapturedItem<'_>),
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
    streams.segment(&segment, account, |from, to, transport, bytes| {
        found += 1;
        each(CapturedItem::Message(CapturedMessage { at_ns, from, to, transport, bytes }));
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

const PROTOCOL_ICMP: u8 = 1;
const PROTOCOL_ICMP_6: u8 = 58;
/// Tunnels within each other that are looked into.
const DEEPEST: usize = 4;
/// A twin of a datagram comes within this.
const COPY_WITHIN_NS: u64 = 5_000_000;
/// 5 ms of 200 000 datagrams/s.
const MAX_RECENT: usize = 1_024;
