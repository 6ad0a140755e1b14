//! Frames out of a capture file: classic pcap in both byte orders and resolutions, and pcapng.
//!
//! `pcap-file` frames the records. Two things are read here instead: pcapng times, which it takes
//! for nanoseconds whatever the interface says, and pcap packet lengths, because it refuses packets
//! longer than the snap length. A pcapng block that it refuses is counted and stepped over by its
//! own length. Memory: one buffer of at most [`LARGEST`] bytes, whatever a length field says.
//!
//! Read first: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng §4.

use super::account::Account;
use crate::vocab::{nanos, saturating_u32};
use pcap_file::pcap::PcapParser;
use pcap_file::pcapng::PcapNgParser;
use pcap_file::pcapng::blocks::Block;
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::blocks::section_header::SectionHeaderOption;
use pcap_file::{Endianness, PcapError, TsResolution};
use std::io::{self, Read};
use std::time::Duration;

/// A frame as an interface saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// Nanoseconds since the Unix epoch.
    pub at_ns: u64,
    /// The registered number of the link layer (LINKTYPE_ETHERNET is 1).
    pub link: u32,
    /// What was captured of it.
    pub bytes: &'a [u8],
}

/// Why a file is no capture that can be read.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("this is no capture: it begins like neither pcap nor pcapng")]
    NotACapture,
    #[error("the capture ends within its own header")]
    NoHeader,
}

/// Hands every frame of `source` to `each`, in the order of the file. A capture that is cut or
/// damaged yields what stands before; the account says so.
///
/// # Errors
/// When the source fails, or is no capture at all.
pub(super) fn read(
    source: impl Read,
    account: &mut Account,
    mut each: impl FnMut(Frame<'_>, &mut Account),
) -> Result<(), CaptureError> {
    let mut window = Window::new(source);
    let mut format = Format::of(&mut window)?;
    account.application = format.application();
    loop {
        let bytes = window.bytes();
        if bytes.is_empty() && !window.more()? {
            return Ok(());
        }
        let bytes = window.bytes();
        match format.next(bytes) {
            NextBytes::Frame { frame, used } => {
                account.frames += 1;
                account.cut_short += u64::from(frame.cut);
                if frame.at_ns > LATEST_NS {
                    account.times_unusable += 1;
                    window.advance(used);
                    continue;
                }
                each(Frame { at_ns: frame.at_ns, link: frame.link, bytes: frame.bytes }, account);
                window.advance(used);
            }
            NextBytes::Other { used } => window.advance(used),
            NextBytes::Refused { used } => {
                account.damaged_blocks += 1;
                window.advance(used);
            }
            NextBytes::Incomplete => {
                if !window.more()? {
                    account.torn = Some(format!(
                        "the capture is cut at byte {}: {} bytes of a record that is longer",
                        window.offset,
                        window.bytes().len()
                    ));
                    return Ok(());
                }
            }
            NextBytes::Lost => {
                account.torn =
                    Some(format!("the capture is damaged at byte {}; the rest cannot be read", window.offset));
                return Ok(());
            }
        }
    }
}

/// The largest record that is waited for. Wireshark writes and reads 256 KiB at most
/// (WTAP_MAX_PACKET_SIZE_STANDARD), and no network carries a larger packet.
const LARGEST: usize = 1 << 20;
/// What is asked of the source at once.
const CHUNK: usize = 1 << 16;

/// The bytes of a source that are being looked at.
struct Window<R> {
    source: R,
    buffer: Vec<u8>,
    from: usize,
    /// Position of `from` in the source.
    offset: u64,
}

impl<R: Read> Window<R> {
    fn new(source: R) -> Self {
        Window { source, buffer: Vec::new(), from: 0, offset: 0 }
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer[self.from..]
    }

    fn advance(&mut self, bytes: usize) {
        let bytes = bytes.min(self.buffer.len() - self.from);
        self.from += bytes;
        self.offset += bytes as u64;
    }

    /// Reads on; false at the end of the source, or when the record being waited for cannot be one.
    fn more(&mut self) -> io::Result<bool> {
        if self.bytes().len() >= LARGEST {
            return Ok(false);
        }
        self.buffer.drain(..self.from);
        self.from = 0;
        let had = self.buffer.len();
        let read = self.source.by_ref().take(CHUNK as u64).read_to_end(&mut self.buffer)?;
        debug_assert_eq!(self.buffer.len(), had + read);
        Ok(read > 0)
    }
}

/// A frame still borrowed from the window.
struct Captured<'a> {
    at_ns: u64,
    link: u32,
    bytes: &'a [u8],
    /// Less was captured than there was.
    cut: bool,
}

/// What stands at the beginning of some bytes.
enum NextBytes<'a> {
    Frame {
        frame: Captured<'a>,
        used: usize,
    },
    /// A block that holds no frame.
    Other {
        used: usize,
    },
    /// A block that cannot be read, and ends where it says.
    Refused {
        used: usize,
    },
    Incomplete,
    /// Nothing that says where the next record begins.
    Lost,
}

enum Format {
    Pcap(PcapParser),
    Pcapng(Pcapng),
}

struct Pcapng {
    parser: PcapNgParser,
    /// Of the current section, by number; `None` for one whose description could not be read.
    interfaces: Vec<Option<Interface>>,
    /// Time of the last frame: a simple packet has none of its own.
    last_ns: u64,
}

#[derive(Clone, Copy)]
struct Interface {
    link: u32,
    snap_len: u32,
    resolution: u8,
    offset_s: i64,
}

impl Format {
    /// Reads the file's header.
    fn of<R: Read>(window: &mut Window<R>) -> Result<Format, CaptureError> {
        loop {
            let bytes = window.bytes();
            let pcapng = bytes.starts_with(&SECTION);
            let header = if pcapng {
                PcapNgParser::new(bytes).map(|(rest, parser)| {
                    (Format::Pcapng(Pcapng { parser, interfaces: Vec::new(), last_ns: 0 }), bytes.len() - rest.len())
                })
            } else {
                PcapParser::new(bytes).map(|(rest, parser)| (Format::Pcap(parser), bytes.len() - rest.len()))
            };
            match header {
                Ok((format, used)) => {
                    window.advance(used);
                    return Ok(format);
                }
                Err(PcapError::IncompleteBuffer) if window.more()? => {}
                Err(PcapError::IncompleteBuffer) if begins_like_a_capture(window.bytes()) => {
                    return Err(CaptureError::NoHeader);
                }
                Err(_) => return Err(CaptureError::NotACapture),
            }
        }
    }

    fn application(&self) -> Option<String> {
        let Format::Pcapng(pcapng) = self else { return None };
        pcapng.parser.section().options.iter().find_map(|option| match option {
            SectionHeaderOption::UserApplication(tool) => Some(tool.to_string()),
            _ => None,
        })
    }

    fn next<'a>(&mut self, bytes: &'a [u8]) -> NextBytes<'a> {
        match self {
            Format::Pcap(parser) => next_pcap(parser, bytes),
            Format::Pcapng(pcapng) => pcapng.next(bytes),
        }
    }
}

fn next_pcap<'a>(parser: &PcapParser, bytes: &'a [u8]) -> NextBytes<'a> {
    let header = parser.header();
    let Ok((rest, raw)) = parser.next_raw_packet(bytes) else { return NextBytes::Incomplete };
    let used = bytes.len() - rest.len();
    let unit = if header.ts_resolution == TsResolution::NanoSecond { 1 } else { 1_000 };
    let at_ns = u64::from(raw.ts_sec) * 1_000_000_000 + u64::from(raw.ts_frac) * unit;
    // The high bits of the field say how long the checksum at each frame's end is
    // (draft-ietf-opsawg-pcap §4).
    let link = u32::from(header.datalink) & 0xffff;
    let captured = &bytes[used - raw.data.len()..used];
    NextBytes::Frame { frame: Captured { at_ns, link, bytes: captured, cut: raw.orig_len > raw.incl_len }, used }
}

impl Pcapng {
    fn next<'a>(&mut self, bytes: &'a [u8]) -> NextBytes<'a> {
        let (rest, block) = match self.parser.next_block(bytes) {
            Ok(read) => read,
            Err(PcapError::IncompleteBuffer) => return NextBytes::Incomplete,
            Err(_) => return self.refused(bytes),
        };
        let used = bytes.len() - rest.len();
        let frame = match &block {
            Block::SectionHeader(_) => {
                self.interfaces.clear();
                None
            }
            Block::InterfaceDescription(described) => {
                self.interfaces.push(Some(Interface::of(described)));
                None
            }
            Block::EnhancedPacket(packet) => {
                // The crate calls the units nanoseconds, whatever they are.
                let units = packet.timestamp;
                self.captured(packet.interface_id, Some(units), packet.original_len, packet.data.len())
            }
            Block::Packet(packet) => {
                // The high word comes first whatever the byte order (draft-ietf-opsawg-pcapng,
                // Appendix A).
                let little = self.parser.section().endianness == Endianness::Little;
                let units = Duration::from_nanos(packet.timestamp.rotate_left(if little { 32 } else { 0 }));
                self.captured(packet.interface_id.into(), Some(units), packet.original_len, packet.data.len())
            }
            Block::SimplePacket(packet) => self.captured(0, None, packet.original_len, packet.data.len()),
            _ => return NextBytes::Other { used },
        };
        let data = match &block {
            Block::EnhancedPacket(packet) => ENHANCED_HEAD..ENHANCED_HEAD + packet.data.len(),
            Block::Packet(packet) => ENHANCED_HEAD..ENHANCED_HEAD + packet.data.len(),
            Block::SimplePacket(packet) => SIMPLE_HEAD..SIMPLE_HEAD + packet.data.len(),
            _ => return NextBytes::Other { used },
        };
        let Some((at_ns, link, length, cut)) = frame else { return NextBytes::Refused { used } };
        let data = &bytes[data];
        self.last_ns = at_ns;
        NextBytes::Frame { frame: Captured { at_ns, link, bytes: &data[..length.min(data.len())], cut }, used }
    }

    /// Time, link layer, length of what was captured, and whether that is less than there was;
    /// `None` for an interface that was never described.
    fn captured(
        &self,
        interface: u32,
        units: Option<Duration>,
        original: u32,
        captured: usize,
    ) -> Option<(u64, u32, usize, bool)> {
        let interface = (*self.interfaces.get(interface as usize)?)?;
        // A simple packet's data runs to the end of its block, padding included.
        let snap = if interface.snap_len == 0 { u32::MAX } else { interface.snap_len };
        let length = if units.is_some() { captured } else { captured.min(original.min(snap) as usize) };
        let at_ns = units.map_or(self.last_ns, |units| interface.unix_ns(nanos(units)));
        Some((at_ns, interface.link, length, (original as usize) > length))
    }

    /// A block that the parser refuses. Where it ends is written in it, if that can be.
    fn refused<'a>(&mut self, bytes: &[u8]) -> NextBytes<'a> {
        let Some((&kind, rest)) = bytes.split_first_chunk::<4>() else { return NextBytes::Incomplete };
        let Some(&length) = rest.first_chunk::<4>() else { return NextBytes::Incomplete };
        let [little, big] = [u32::from_le_bytes(length), u32::from_be_bytes(length)];
        let fits = |length: &u32| (12..=saturating_u32(LARGEST)).contains(length) && length.is_multiple_of(4);
        let used = match self.parser.section().endianness {
            Endianness::Little => Some(little).filter(fits),
            Endianness::Big => Some(big).filter(fits),
        };
        if u32::from_le_bytes(kind) == 1 || u32::from_be_bytes(kind) == 1 {
            // Later interfaces keep their numbers.
            self.interfaces.push(None);
        }
        match used {
            Some(used) if used as usize <= bytes.len() => NextBytes::Refused { used: used as usize },
            _ => NextBytes::Lost,
        }
    }
}

impl Interface {
    fn of(described: &InterfaceDescriptionBlock<'_>) -> Interface {
        let mut interface = Interface {
            link: u32::from(described.linktype),
            snap_len: described.snaplen,
            // §4.2: "If this option is not present, a resolution of 10^-6 is assumed".
            resolution: 6,
            offset_s: 0,
        };
        for option in &described.options {
            match option {
                InterfaceDescriptionOption::IfTsResol(resolution) => interface.resolution = *resolution,
                InterfaceDescriptionOption::IfTsOffset(seconds) => interface.offset_s = seconds.cast_signed(),
                _ => {}
            }
        }
        interface
    }

    /// §4.2: a power of ten, or of two when the highest bit is set, of a second; an offset in
    /// seconds is added.
    fn unix_ns(self, units: u64) -> u64 {
        let exponent = u32::from(self.resolution & 0x7f);
        let per_second =
            if self.resolution & 0x80 == 0 { 10u128.checked_pow(exponent) } else { 1u128.checked_shl(exponent) };
        // A unit too small for 128 bits leaves nothing of a 64-bit count.
        let nanos = per_second.map_or(0, |unit| u128::from(units) * 1_000_000_000 / unit.max(1));
        let offset = i128::from(self.offset_s) * 1_000_000_000;
        u64::try_from(i128::try_from(nanos).unwrap_or(i128::MAX).saturating_add(offset).max(0)).unwrap_or(u64::MAX)
    }
}

pub(super) fn begins_like_a_capture(bytes: &[u8]) -> bool {
    let magics: [[u8; 4]; 5] = [
        SECTION,
        [0xa1, 0xb2, 0xc3, 0xd4],
        [0xa1, 0xb2, 0x3c, 0x4d],
        [0xd4, 0xc3, 0xb2, 0xa1],
        [0x4d, 0x3c, 0xb2, 0xa1],
    ];
    magics.iter().any(|magic| bytes.starts_with(magic))
}

/// April of 2262. A time beyond it is no time at which anything was captured, and sums with it
/// would not fit.
const LATEST_NS: u64 = i64::MAX as u64;

/// The type of a section header, the same in both byte orders.
const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// Bytes before the packet in an enhanced packet block, and in the older packet block.
const ENHANCED_HEAD: usize = 28;
const SIMPLE_HEAD: usize = 12;
