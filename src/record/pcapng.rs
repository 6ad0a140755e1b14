//! `failures.pcapng`: packets of failed attempts, in the format of Wireshark.
//!
//! A run sees messages, not frames, so IP, UDP and TCP headers are made up around them: addresses,
//! ports, lengths and checksums are true, the rest says nothing. What went over TLS or in the
//! frames of a WebSocket is shown as the SIP it was, in a TCP connection between the same
//! addresses, and its comment says so; sequence numbers count what is shown. Link type RAW is the
//! one that Wireshark, tcpdump and sngrep all read with both IP versions in one file. Attempts
//! follow each other as they ended, each with its packets together: what belongs together is read
//! together, though times step back between two attempts. Every packet has a comment that says
//! whose it is.
//!
//! Blocks are framed by `pcap-file`. It writes times in nanoseconds without saying so, hence
//! `if_tsresol` here (pcapng §4.2: without it the unit is a microsecond).
//!
//! Read first: draft-ietf-opsawg-pcapng §4; RFC 791 §3.1, RFC 768, RFC 9293 §3.1, RFC 8200 §3 and
//! §8.1.

use crate::vocab::{
    Direction, FailedAttempt, Packet, Place, Time, Transport, printable, said, saturating_u16, saturating_u32,
    without_digests,
};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, Endianness, PcapError};
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Appends attempts to a file. Give it the bare file: what is appended is one write.
pub struct PcapngWriter<W: Write> {
    out: W,
    blocks: PcapNgWriter<Vec<u8>>,
    start: Time,
    started_unix_ns: u64,
    /// By local and remote address of a connection: the next sequence number of what was sent and
    /// of what came.
    sequences: HashMap<(SocketAddr, SocketAddr), [u32; 2]>,
}

/// How an attempt's agent is called in comments, and what its messages went over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Name<'a> {
    /// `trunk.id`.
    pub trunk: &'a str,
    pub user: &'a str,
    pub transport: Transport,
}

/// Packets are recorded whole: the longest there is.
const SNAP_LENGTH: u32 = 65_535;

/// Nanoseconds, as a power of ten.
const NANOSECONDS: u8 = 9;

/// Bytes of a reason phrase that a comment quotes.
const REASON: usize = 200;

impl<W: Write> PcapngWriter<W> {
    /// Writes what stands before the first packet. The run's time `start` is `started_unix_ns`
    /// nanoseconds after 1970.
    ///
    /// # Errors
    /// When the bytes cannot be written.
    pub fn new(mut out: W, start: Time, started_unix_ns: u64) -> io::Result<Self> {
        let tool = concat!("regstorm ", env!("CARGO_PKG_VERSION"));
        let section = SectionHeaderBlock {
            endianness: Endianness::Little,
            options: vec![SectionHeaderOption::UserApplication(Cow::Borrowed(tool))],
            ..SectionHeaderBlock::default()
        };
        let mut blocks = PcapNgWriter::with_section_header(Vec::new(), section).map_err(unwritable)?;
        let description = "packets of sampled failed attempts; IP, UDP and TCP headers are made up around the messages";
        let interface = InterfaceDescriptionBlock {
            linktype: DataLink::RAW,
            snaplen: SNAP_LENGTH,
            options: vec![
                InterfaceDescriptionOption::IfName(Cow::Borrowed("regstorm")),
                InterfaceDescriptionOption::IfDescription(Cow::Borrowed(description)),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ],
        };
        blocks.write_pcapng_block(interface).map_err(unwritable)?;
        flush(&mut blocks, &mut out)?;
        Ok(PcapngWriter { out, blocks, start, started_unix_ns, sequences: HashMap::new() })
    }

    /// Appends one attempt and flushes it.
    ///
    /// # Errors
    /// When the bytes cannot be written, or a packet is longer than IP allows.
    pub fn attempt(&mut self, attempt: &FailedAttempt, name: Name<'_>) -> io::Result<()> {
        for (n, packet) in attempt.packets.iter().enumerate() {
            let data = self.framed(packet, name.transport)?;
            let block = EnhancedPacketBlock {
                interface_id: 0,
                timestamp: Duration::from_nanos(self.started_unix_ns + packet.at.nanos_since(self.start)),
                original_len: saturating_u32(data.len()),
                data: Cow::Owned(data),
                options: vec![EnhancedPacketOption::Comment(Cow::Owned(comment(attempt, name, n)))],
            };
            self.blocks.write_pcapng_block(block).map_err(unwritable)?;
        }
        flush(&mut self.blocks, &mut self.out)
    }

    /// An IP packet around a message.
    fn framed(&mut self, packet: &Packet, transport: Transport) -> io::Result<Vec<u8>> {
        let (from, to) = match packet.direction {
            Direction::Sent => (packet.local, packet.remote),
            Direction::Received => (packet.remote, packet.local),
        };
        let carried = if transport.is_stream() {
            let length = length(TCP_HEADER + packet.bytes.len())? - saturating_u16(TCP_HEADER);
            let next = self.sequences.entry((packet.local, packet.remote)).or_insert([1, 1]);
            let [own, other] = if packet.direction == Direction::Sent { [0, 1] } else { [1, 0] };
            let numbers = [next[own], next[other]];
            next[own] = next[own].wrapping_add(length.into());
            tcp([from.port(), to.port()], numbers, &packet.bytes)
        } else {
            udp(from, to, packet)?
        };
        let mut ip = Vec::with_capacity(IPV6_HEADER + carried.bytes.len());
        match (from.ip().to_canonical(), to.ip().to_canonical()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => ipv4(&mut ip, source, destination, &carried)?,
            (source, destination) => ipv6(&mut ip, mapped(source), mapped(destination), &carried),
        }
        Ok(ip)
    }

    /// What it wrote to.
    pub fn into_inner(self) -> W {
        self.out
    }
}

fn flush(blocks: &mut PcapNgWriter<Vec<u8>>, out: &mut impl Write) -> io::Result<()> {
    out.write_all(blocks.get_ref())?;
    blocks.get_mut().clear();
    out.flush()
}

fn unwritable(error: PcapError) -> io::Error {
    io::Error::other(error)
}

/// Whose packet the `n`-th one is (from 0), and what came of its attempt.
fn comment(attempt: &FailedAttempt, name: Name<'_>, n: usize) -> String {
    let kept = without_digests(&attempt.reason);
    let reason = said(&kept[..kept.len().min(REASON)]);
    let answer = match attempt.code {
        0 => reason,
        code => format!("{code} {reason}"),
    };
    let place = match attempt.place {
        Place::Unchallenged => "without credentials",
        Place::AfterCredentials => "after credentials",
    };
    let left_out = match attempt.left_out {
        0 => String::new(),
        more => format!(", {more} more not kept"),
    };
    let over = shown_without(name.transport).map(|over| format!("; it went {over}")).unwrap_or_default();
    let comment = format!(
        "trunk {} user {}: {} attempt, number {} of this agent; {}: {answer} {place}; packet {} of {}{left_out}{over}",
        name.trunk,
        name.user,
        attempt.kind,
        attempt.number,
        attempt.status,
        n + 1,
        attempt.packets.len(),
    );
    printable(&comment).into_owned()
}

/// What a message went over that the file does not show.
fn shown_without(transport: Transport) -> Option<&'static str> {
    match transport {
        Transport::Udp | Transport::Tcp => None,
        Transport::Tls => Some("over TLS and is shown decrypted"),
        Transport::Ws => Some("in a WebSocket frame and is shown without it"),
        Transport::Wss => Some("in a WebSocket frame over TLS and is shown decrypted, without the frame"),
    }
}

/// What an IP packet carries: a header and its payload, the checksum still zero.
struct CarriedBytes {
    protocol: u8,
    /// Where the checksum stands.
    sum_at: usize,
    bytes: Vec<u8>,
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const HOPS: u8 = 64;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// RFC 768.
fn udp(from: SocketAddr, to: SocketAddr, packet: &Packet) -> io::Result<CarriedBytes> {
    let mut bytes = Vec::with_capacity(UDP_HEADER + packet.bytes.len());
    let length = length(UDP_HEADER + packet.bytes.len())?;
    for word in [from.port(), to.port(), length, 0] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes.extend_from_slice(&packet.bytes);
    Ok(CarriedBytes { protocol: UDP, sum_at: 6, bytes })
}

/// RFC 9293 §3.1: a segment in the middle of a connection, PSH and ACK.
fn tcp(ports: [u16; 2], numbers: [u32; 2], payload: &[u8]) -> CarriedBytes {
    let mut bytes = Vec::with_capacity(TCP_HEADER + payload.len());
    ports.iter().for_each(|port| bytes.extend_from_slice(&port.to_be_bytes()));
    numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_be_bytes()));
    bytes.extend_from_slice(&[0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend_from_slice(payload);
    CarriedBytes { protocol: TCP, sum_at: 16, bytes }
}

/// RFC 791 §3.1: no options, no fragments.
fn ipv4(out: &mut Vec<u8>, source: Ipv4Addr, destination: Ipv4Addr, carried: &CarriedBytes) -> io::Result<()> {
    let length = length(IPV4_HEADER + carried.bytes.len())?.to_be_bytes();
    let protocol = carried.protocol;
    let mut header = [0x45, 0, length[0], length[1], 0, 0, 0x40, 0, HOPS, protocol, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    header[12..16].copy_from_slice(&source.octets());
    header[16..].copy_from_slice(&destination.octets());
    let sum = checksum([&header[..]]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    out.extend_from_slice(&header);
    append(out, [&source.octets(), &destination.octets()], carried);
    Ok(())
}

/// RFC 8200 §3: no extension headers.
fn ipv6(out: &mut Vec<u8>, source: Ipv6Addr, destination: Ipv6Addr, carried: &CarriedBytes) {
    let length = saturating_u16(carried.bytes.len()).to_be_bytes();
    out.extend_from_slice(&[0x60, 0, 0, 0, length[0], length[1], carried.protocol, HOPS]);
    out.extend_from_slice(&source.octets());
    out.extend_from_slice(&destination.octets());
    append(out, [&source.octets(), &destination.octets()], carried);
}

/// What is carried, with its checksum, which covers a pseudo-header of both addresses (RFC 768, RFC
/// 9293 §3.1; RFC 8200 §8.1, whose wider length and zeroes make no difference to the sum). A sum of
/// zero is sent as all ones over UDP, where zero means that there is none.
fn append(out: &mut Vec<u8>, addresses: [&[u8]; 2], carried: &CarriedBytes) {
    let length = saturating_u16(carried.bytes.len()).to_be_bytes();
    let pseudo = [0, carried.protocol];
    let sum = match checksum([addresses[0], addresses[1], &pseudo, &length, &carried.bytes]) {
        0 if carried.protocol == UDP => u16::MAX,
        sum => sum,
    };
    let at = out.len() + carried.sum_at;
    out.extend_from_slice(&carried.bytes);
    out[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// The internet checksum (RFC 1071) of parts that follow each other, all but the last of even
/// length.
#[expect(clippy::cast_possible_truncation, reason = "folded to 16 bits in the loop")]
fn checksum<const N: usize>(parts: [&[u8]; N]) -> u16 {
    let words = parts.into_iter().flat_map(|part| part.chunks(2));
    let word = |pair: &[u8]| u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    let mut sum: u64 = words.map(word).sum();
    while sum > u64::from(u16::MAX) {
        sum = (sum >> 16) + (sum & u64::from(u16::MAX));
    }
    !(sum as u16)
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn length(bytes: usize) -> io::Result<u16> {
    u16::try_from(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a packet longer than IP allows"))
}

#[cfg(test)]
#[path = "pcapng_tests.rs"]
mod tests;
