//! Reading a record: frames in, [`Results`] out, as far as the file is whole.
//!
//! A record may be cut anywhere, for the run may have been killed at any moment, or may still be
//! going on. What was written whole is read; a torn or damaged frame ends the reading, and
//! [`Results::torn`] says so. Impossible contents in a frame with a valid checksum are an error.
//! Summing up is in `assembly`.

use super::assembly::Assembly;
use super::error::ReadError;
use super::results::{End, Header, Results};
use super::schema::{self, FRAME_HEAD, FrameKind, IntervalFrame};
use serde::de::DeserializeOwned;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// Reads a record, one frame at a time: a file, or the bytes of one (`&[u8]` is a source too).
///
/// # Errors
/// When the source fails, is no record or one of another version, lacks a whole header, or
/// contradicts itself.
pub fn read(source: impl Read) -> Result<Results, ReadError> {
    let mut frames = Frames::of(BufReader::new(source));
    frames.preamble()?;
    let mut assembly = Assembly::new(frames.header()?).map_err(|what| frames.malformed(what))?;
    let mut end = None;
    let torn = loop {
        match frames.advance()? {
            NextFrame::Finished => break None,
            NextFrame::Torn(why) => break Some(format!("the record is cut at byte {}: {why}", frames.offset)),
            NextFrame::Frame(kind, _) if end.is_some() => {
                break Some(format!("a frame ({kind:?}) follows the record's end at byte {}", frames.offset));
            }
            NextFrame::Frame(FrameKind::Header, _) => return Err(frames.malformed("a second header".to_owned())),
            NextFrame::Frame(FrameKind::End, payload) => end = Some(frames.json::<End>(&payload)?),
            NextFrame::Frame(FrameKind::Intervention, payload) => assembly.intervened(frames.json(&payload)?),
            NextFrame::Frame(FrameKind::Imbalance, payload) => assembly.unbalanced(frames.json(&payload)?),
            NextFrame::Frame(FrameKind::Resolution, payload) => assembly.resolved(frames.json(&payload)?),
            NextFrame::Frame(FrameKind::Truth, payload) => assembly.told(frames.json(&payload)?),
            NextFrame::Frame(FrameKind::Fleet, payload) => assembly.shared(frames.json(&payload)?),
            NextFrame::Frame(FrameKind::Canary, payload) => assembly.canary_said(frames.json(&payload)?),
            NextFrame::Frame(FrameKind::Interval, payload) => add_interval(&mut assembly, &frames, &payload)?,
        }
    };
    Ok(assembly.finish(end, torn))
}

/// A record that is still being written, read as far as it goes, again and again.
///
/// What single intervals showed is kept for the latest ones only, and their distributions not at
/// all: what a run looks like while it goes on may not take more memory the longer it lasts.
pub struct Follower<R> {
    frames: Frames<BufReader<R>>,
    assembly: Assembly,
}

/// Rows of trunks and intervals a follower keeps: 25 MB.
const MOST_ROWS: usize = 20_000;

impl<R: Read + Seek> Follower<R> {
    /// Begins with a record whose header is written.
    ///
    /// # Errors
    /// As for [`read`].
    pub fn new(source: R) -> Result<Self, ReadError> {
        let mut frames = Frames::of(BufReader::new(source));
        frames.preamble()?;
        let assembly = Assembly::new(frames.header()?).map_err(|what| frames.malformed(what))?;
        Ok(Follower { frames, assembly })
    }

    /// Reads what was written since. Gives the number of intervals among it.
    ///
    /// # Errors
    /// As for [`read`].
    pub fn catch_up(&mut self) -> Result<usize, ReadError> {
        let mut intervals = 0;
        loop {
            match self.frames.advance()? {
                NextFrame::Finished => return Ok(intervals),
                // It is being written right now.
                NextFrame::Torn(_) => {
                    self.frames.next = self.frames.offset;
                    self.frames.source.seek(SeekFrom::Start(self.frames.offset))?;
                    return Ok(intervals);
                }
                NextFrame::Frame(FrameKind::Interval, payload) => {
                    add_interval(&mut self.assembly, &self.frames, &payload)?;
                    self.assembly.keep_recent(MOST_ROWS);
                    intervals += 1;
                }
                NextFrame::Frame(FrameKind::Intervention, payload) => {
                    self.assembly.intervened(self.frames.json(&payload)?)
                }
                NextFrame::Frame(FrameKind::Imbalance, payload) => {
                    self.assembly.unbalanced(self.frames.json(&payload)?)
                }
                NextFrame::Frame(FrameKind::Resolution, payload) => self.assembly.resolved(self.frames.json(&payload)?),
                NextFrame::Frame(FrameKind::Truth, payload) => self.assembly.told(self.frames.json(&payload)?),
                NextFrame::Frame(FrameKind::Fleet, payload) => self.assembly.shared(self.frames.json(&payload)?),
                NextFrame::Frame(FrameKind::Canary, payload) => self.assembly.canary_said(self.frames.json(&payload)?),
                NextFrame::Frame(FrameKind::Header | FrameKind::End, _) => {}
            }
        }
    }

    /// The run so far. Open attempts are open: nobody has given them up.
    pub fn so_far(&self) -> Results {
        self.assembly.clone().sum_up(None, None)
    }
}

fn add_interval<R: Read>(assembly: &mut Assembly, frames: &Frames<R>, payload: &[u8]) -> Result<(), ReadError> {
    let interval = postcard::from_bytes::<IntervalFrame>(payload)
        .map_err(|error| frames.malformed(format!("an interval that cannot be decoded ({error})")))?;
    assembly.check(&interval).map_err(|what| frames.malformed(what))?;
    assembly.add(interval, frames.offset)
}

/// Reads what is known of a run before its first packet, and nothing behind it.
///
/// # Errors
/// When the source fails, is no record or one of another version, or lacks a whole header.
pub fn header(source: impl Read) -> Result<Header, ReadError> {
    let mut frames = Frames::of(BufReader::new(source));
    frames.preamble()?;
    frames.header()
}

/// What follows in a source.
pub(super) enum NextFrame {
    Frame(FrameKind, Vec<u8>),
    /// Nothing, at a border between frames.
    Finished,
    /// Something that is no whole frame, and why.
    Torn(String),
}

/// A source cut into frames.
pub(super) struct Frames<R> {
    source: R,
    /// Where the frame begins that was read last.
    pub(super) offset: u64,
    /// Where the next one begins.
    next: u64,
}

impl<R: Read> Frames<R> {
    pub(super) fn of(source: R) -> Self {
        Frames { source, offset: 0, next: 0 }
    }

    pub(super) fn preamble(&mut self) -> Result<(), ReadError> {
        let bytes = self.take(PREAMBLE as u64)?;
        let Some((magic, version)) = bytes.split_first_chunk() else { return Err(ReadError::NotARecord) };
        if *magic != schema::MAGIC {
            return Err(ReadError::NotARecord);
        }
        let Some(version) = version.first_chunk() else {
            return Err(ReadError::NoHeader("not even its version is".to_owned()));
        };
        self.next = PREAMBLE as u64;
        match u32::from_le_bytes(*version) {
            schema::VERSION => Ok(()),
            found => Err(ReadError::Version { found }),
        }
    }

    pub(super) fn header(&mut self) -> Result<Header, ReadError> {
        match self.advance()? {
            NextFrame::Frame(FrameKind::Header, payload) => self.json(&payload),
            NextFrame::Frame(kind, _) => Err(self.malformed(format!("it begins with a frame of kind {kind:?}"))),
            NextFrame::Finished => Err(ReadError::NoHeader("there is none".to_owned())),
            NextFrame::Torn(why) => Err(ReadError::NoHeader(why)),
        }
    }

    /// The next frame; `offset` is its beginning afterwards.
    pub(super) fn advance(&mut self) -> io::Result<NextFrame> {
        self.offset = self.next;
        let head = self.take(FRAME_HEAD as u64)?;
        if head.is_empty() {
            return Ok(NextFrame::Finished);
        }
        let Ok([kind, a, b, c, d, crc @ ..]) = <[u8; FRAME_HEAD]>::try_from(head.as_slice()) else {
            return Ok(NextFrame::Torn(format!("{} of the {FRAME_HEAD} bytes that begin a block", head.len())));
        };
        let length = [a, b, c, d];
        let wanted = u64::from(u32::from_le_bytes(length));
        let payload = self.take(wanted)?;
        if (payload.len() as u64) < wanted {
            return Ok(NextFrame::Torn(format!("{} of {wanted} bytes of a block", payload.len())));
        }
        if schema::checksum(kind, length, &payload) != u32::from_le_bytes(crc) {
            return Ok(NextFrame::Torn("a block whose checksum does not hold".to_owned()));
        }
        let Some(kind) = FrameKind::from_byte(kind) else {
            return Ok(NextFrame::Torn(format!("a block of unknown kind {kind}")));
        };
        self.next += FRAME_HEAD as u64 + wanted;
        Ok(NextFrame::Frame(kind, payload))
    }

    /// Up to `wanted` bytes, fewer at the end of the source. Grows as bytes arrive: a damaged
    /// length costs no memory.
    fn take(&mut self, wanted: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.source.by_ref().take(wanted).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn json<T: DeserializeOwned>(&self, payload: &[u8]) -> Result<T, ReadError> {
        serde_json::from_slice(payload)
            .map_err(|error| self.malformed(format!("a block that cannot be decoded ({error})")))
    }

    pub(super) fn malformed(&self, what: String) -> ReadError {
        ReadError::Malformed { offset: self.offset, what }
    }
}

/// Magic and version.
const PREAMBLE: usize = schema::MAGIC.len() + 4;
