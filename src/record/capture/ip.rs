//! From a frame to what IP carries: link layers, IPv4 and IPv6, fragments put together again.
//!
//! Known link layers: Ethernet with any number of VLAN tags (802.1Q, 802.1ad), labels of MPLS (RFC
//! 3032) or a session of PPPoE (RFC 2516), Linux cooked v1 and v2, PPP, raw IP, and the loopback
//! headers of BSD in both byte orders. Memory: at most [`MAX_DATAGRAMS`] datagrams in pieces, each
//! at most 64 KiB; the oldest gives way.
//!
//! Read first: RFC 791 §3.1, RFC 8200 §4, and the LINKTYPE registry of tcpdump.org.

use super::account::Account;
use super::frames::Frame;
use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an IP datagram carries.
#[derive(Clone, Debug)]
pub(super) struct Payload<'a> {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    /// 6 is TCP, 17 is UDP.
    pub(super) protocol: u8,
    pub(super) bytes: Cow<'a, [u8]>,
}

/// Finds the IP packet in a frame. `None`: it holds none, or its link layer is not known (then it
/// is counted).
pub(super) fn packet_of<'a>(frame: &Frame<'a>, account: &mut Account) -> Option<&'a [u8]> {
    let bytes = frame.bytes;
    match frame.link {
        LINK_ETHERNET => ethernet(bytes, account),
        // LINKTYPE_LINUX_SLL: packet type, ARPHRD, address length, address (8), protocol.
        LINK_COOKED => network(bytes.get(14..16)?, bytes.get(16..)?, 0, account),
        // LINKTYPE_LINUX_SLL2: the protocol stands first.
        LINK_COOKED_2 => network(bytes.get(0..2)?, bytes.get(20..)?, 0, account),
        LINK_PPP => ppp(bytes),
        LINK_PPPOE => ppp(bytes.get(PPPOE_HEAD..)?),
        // Address and control, then a type as of Ethernet.
        LINK_CISCO_HDLC => network(bytes.get(2..4)?, bytes.get(4..)?, 0, account),
        // LINKTYPE_NULL is in the byte order of the capturing host, LINKTYPE_LOOP in that of the
        // network; AF_INET is 2 everywhere and AF_INET6 is not, so the version nibble decides.
        LINK_NULL | LINK_LOOP => bytes.get(4..),
        LINK_RAW | LINK_RAW_BSD | LINK_RAW_OPENBSD | LINK_IPV4 | LINK_IPV6 => Some(bytes),
        other => {
            account.unknown_link += 1;
            account.unknown_link_type.get_or_insert(other);
            None
        }
    }
}

/// The IP packet in a frame of Ethernet.
pub(super) fn ethernet<'a>(frame: &'a [u8], account: &mut Account) -> Option<&'a [u8]> {
    network(frame.get(12..14)?, frame.get(14..)?, 0, account)
}

/// Steps over VLAN tags, each two bytes of tag and the type of what follows, and looks into what
/// stands `deep` wrappings below a frame.
fn network<'a>(mut ether_type: &'a [u8], mut rest: &'a [u8], deep: usize, account: &mut Account) -> Option<&'a [u8]> {
    while matches!(ether_type, [0x81, 0x00] | [0x88, 0xa8] | [0x91, 0x00]) {
        ether_type = rest.get(2..4)?;
        rest = rest.get(4..)?;
    }
    match ether_type {
        [0x08, 0x00] | [0x86, 0xdd] => Some(rest),
        [0x88, 0x47 | 0x48] if deep < DEEPEST => mpls(rest, deep, account),
        [0x88, 0x64] => rest.get(PPPOE_HEAD..).and_then(ppp),
        // MACsec, PBB and NSH, and what lies too deep.
        [0x88, 0xe5 | 0xe7 | 0x47 | 0x48] | [0x89, 0x4f] => {
            account.tunnels_closed += 1;
            None
        }
        _ => None,
    }
}

/// RFC 3032 §2.1: four bytes a label, the last bit of the third says that it is the last. RFC 4385
/// §2: what follows is told by its first four bits, and 0 begins the control word of an Ethernet.
fn mpls<'a>(mut bytes: &'a [u8], deep: usize, account: &mut Account) -> Option<&'a [u8]> {
    loop {
        let label = bytes.first_chunk::<4>()?;
        bytes = &bytes[4..];
        if label[2] & 1 == 1 {
            break;
        }
    }
    let inside = match bytes.first()? >> 4 {
        4 | 6 => return Some(bytes),
        0 => bytes.get(4..)?,
        _ => bytes,
    };
    network(inside.get(12..14)?, inside.get(14..)?, deep + 1, account)
}

/// RFC 1661 §2 and RFC 1662 §3.1: address and control may be left out, and the first byte of the
/// protocol.
pub(super) fn ppp(bytes: &[u8]) -> Option<&[u8]> {
    let bytes = bytes.strip_prefix(&[0xff, 0x03]).unwrap_or(bytes);
    match bytes {
        [0x00, 0x21 | 0x57, rest @ ..] | [0x21 | 0x57, rest @ ..] => Some(rest),
        _ => None,
    }
}

/// Reads IP packets, and keeps fragments until their datagram is whole.
#[derive(Default)]
pub(super) struct Datagrams {
    partial: HashMap<FragmentKey, Partial>,
    /// Rises with each fragment; tells the oldest datagram.
    clock: u64,
}

/// RFC 791 §3.2: "source, destination, protocol, and identification".
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct FragmentKey {
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    id: u32,
}

/// A datagram of which fragments came.
#[derive(Default)]
struct Partial {
    bytes: Vec<u8>,
    /// Ranges of `bytes` that are there, in order and apart from each other.
    have: Vec<(usize, usize)>,
    /// Known from the last fragment.
    length: Option<usize>,
    touched: u64,
}

/// What the headers of an IP packet say.
struct Headers<'a> {
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    body: &'a [u8],
    fragment: Option<Fragment>,
}

#[derive(Clone, Copy)]
struct Fragment {
    id: u32,
    /// Bytes.
    offset: usize,
    more: bool,
}

impl Datagrams {
    /// Reads one IP packet: what it carries, if that is whole now.
    pub(super) fn packet<'a>(&mut self, bytes: &'a [u8], account: &mut Account) -> Option<Payload<'a>> {
        let headers = match bytes.first().map(|first| first >> 4) {
            Some(4) => ipv4(bytes),
            Some(6) => ipv6(bytes),
            _ => None,
        };
        let Some(Headers { from, to, protocol, body, fragment }) = headers else {
            account.damaged_packets += 1;
            return None;
        };
        let Some(fragment) = fragment else {
            return Some(Payload { from, to, protocol, bytes: Cow::Borrowed(body) });
        };
        let key = FragmentKey { from, to, protocol, id: fragment.id };
        let whole = self.fragment(key, fragment, body, account)?;
        Some(Payload { from, to, protocol, bytes: Cow::Owned(whole) })
    }

    /// Counts what never became whole.
    pub(super) fn finish(&mut self, account: &mut Account) {
        account.fragments_lost += self.partial.len() as u64;
        self.partial.clear();
    }

    fn fragment(&mut self, key: FragmentKey, at: Fragment, body: &[u8], account: &mut Account) -> Option<Vec<u8>> {
        self.clock += 1;
        if self.partial.len() >= MAX_DATAGRAMS && !self.partial.contains_key(&key) {
            let oldest = self.partial.iter().min_by_key(|(_, partial)| partial.touched).map(|(key, _)| *key);
            account.fragments_lost += u64::from(oldest.and_then(|key| self.partial.remove(&key)).is_some());
        }
        let partial = self.partial.entry(key).or_default();
        partial.touched = self.clock;
        if !partial.add(at, body) {
            account.damaged_packets += 1;
            self.partial.remove(&key);
            return None;
        }
        partial.is_whole().then(|| self.partial.remove(&key).unwrap_or_default().bytes)
    }
}

impl Partial {
    /// False when the fragment does not fit into a datagram.
    fn add(&mut self, at: Fragment, body: &[u8]) -> bool {
        let end = at.offset + body.len();
        if end > usize::from(u16::MAX) || self.length.is_some_and(|length| end > length && at.more) {
            return false;
        }
        if !at.more {
            self.length = Some(end);
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[at.offset..end].copy_from_slice(body);
        self.have.push((at.offset, end));
        self.have.sort_unstable();
        // Touching and overlapping ranges become one.
        let mut joined: Vec<(usize, usize)> = Vec::with_capacity(self.have.len());
        for &(from, to) in &self.have {
            match joined.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        self.have = joined;
        true
    }

    fn is_whole(&self) -> bool {
        self.length.is_some_and(|length| matches!(self.have[..], [(0, to)] if to >= length))
    }
}

/// The beginning of a packet as ICMP quotes it: whom it was from and to, of which protocol, and
/// what of its inside is there.
pub(super) fn quoted(bytes: &[u8]) -> Option<Payload<'_>> {
    let headers = if bytes.first()? >> 4 == 4 { ipv4(bytes) } else { ipv6(bytes) };
    // Only a first fragment begins with ports.
    let Headers { from, to, protocol, body, .. } = headers.filter(|of| of.fragment.is_none_or(|at| at.offset == 0))?;
    Some(Payload { from, to, protocol, bytes: Cow::Borrowed(body) })
}

/// RFC 791 §3.1.
fn ipv4(bytes: &[u8]) -> Option<Headers<'_>> {
    let head = bytes.get(..20)?;
    let head_len = usize::from(head[0] & 0x0f) * 4;
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    // A sender that leaves segmenting to its card captures a length of 0.
    let total = match usize::from(word(2)) {
        0 => bytes.len(),
        total => total.min(bytes.len()),
    };
    if head_len < 20 || total < head_len {
        return None;
    }
    let address = |at: usize| IpAddr::V4(Ipv4Addr::new(head[at], head[at + 1], head[at + 2], head[at + 3]));
    let (more, offset) = (word(6) & 0x2000 != 0, usize::from(word(6) & 0x1fff) * 8);
    let fragment = (more || offset > 0).then(|| Fragment { id: word(4).into(), offset, more });
    Some(Headers { from: address(12), to: address(16), protocol: head[9], body: &bytes[head_len..total], fragment })
}

/// RFC 8200 §3 and §4: the headers between the first and what is carried are stepped over.
fn ipv6(bytes: &[u8]) -> Option<Headers<'_>> {
    let head = bytes.get(..40)?;
    let address = |at: usize| {
        let octets: [u8; 16] = head[at..at + 16].try_into().expect("16 of the 40 bytes taken above");
        IpAddr::V6(Ipv6Addr::from(octets))
    };
    let length = usize::from(u16::from_be_bytes([head[4], head[5]]));
    // A jumbogram (length 0) is as long as was captured.
    let end = if length == 0 { bytes.len() } else { bytes.len().min(40 + length) };
    let (mut next, mut body, mut fragment) = (head[6], &bytes[40..end], None);
    loop {
        match next {
            // Hop-by-hop, routing, destination options; lengths in units of 8 bytes beyond the
            // first.
            0 | 43 | 60 => {
                let length = 8 * (usize::from(*body.get(1)?) + 1);
                next = body[0];
                body = body.get(length..)?;
            }
            44 => {
                let head = body.get(..8)?;
                let field = u16::from_be_bytes([head[2], head[3]]);
                let id = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
                next = head[0];
                fragment = Some(Fragment { id, offset: usize::from(field & 0xfff8), more: field & 1 != 0 });
                body = &body[8..];
                // What stands in a fragment is known of the first one only; the first header's word
                // is taken for it.
                break;
            }
            _ => break,
        }
    }
    // RFC 6946: an atomic fragment is a whole datagram.
    let fragment = fragment.filter(|fragment| fragment.more || fragment.offset > 0);
    Some(Headers { from: address(8), to: address(24), protocol: next, body, fragment })
}

pub(super) const PROTOCOL_TCP: u8 = 6;
pub(super) const PROTOCOL_UDP: u8 = 17;

/// Datagrams in pieces that are waited for at once: 16 MiB when all are as long as can be.
const MAX_DATAGRAMS: usize = 256;

/// Wrappings of MPLS around each other that are looked through.
const DEEPEST: usize = 4;
/// Version, code, session and length (RFC 2516 §4).
const PPPOE_HEAD: usize = 6;

const LINK_NULL: u32 = 0;
const LINK_ETHERNET: u32 = 1;
const LINK_PPP: u32 = 9;
const LINK_PPPOE: u32 = 51;
const LINK_CISCO_HDLC: u32 = 104;
const LINK_RAW_BSD: u32 = 12;
const LINK_RAW_OPENBSD: u32 = 14;
const LINK_RAW: u32 = 101;
const LINK_LOOP: u32 = 108;
const LINK_COOKED: u32 = 113;
const LINK_IPV4: u32 = 228;
const LINK_IPV6: u32 = 229;
const LINK_COOKED_2: u32 = 276;
