//! A record part by part, as its writer appended them: to be merged with those of other machines.

use super::assembly::check_interval;
use super::error::ReadError;
use super::reader::{Frames, NextFrame};
use super::results::{End, Header};
use super::schema::{FrameKind, IntervalFrame};
use crate::measure::{Imbalance, Interval};
use serde::de::{DeserializeOwned, IgnoredAny};
use std::io::{BufReader, Read};

/// What a machine adds to a run that it shares with others.
#[derive(Debug)]
pub enum RecordPart {
    Interval(Box<Interval>),
    End(Box<End>),
}

/// The parts of a record, one after another. What a name stood for at one machine, and what its
/// canaries said, stays in its own record; no machine of several is intervened at, or asks a server
/// for its count.
pub struct RecordParts<R> {
    frames: Frames<BufReader<R>>,
    header: Header,
    /// Position and end of the interval before.
    before: Option<(u32, u64)>,
    /// Of the interval that comes next: an imbalance stands before its interval, and what is read
    /// of a record that still grows may end between the two.
    imbalances: Vec<Imbalance>,
    torn: bool,
}

impl<R: Read> RecordParts<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// As for [`super::read`].
    pub fn open(source: R) -> Result<Self, ReadError> {
        let mut frames = Frames::of(BufReader::new(source));
        frames.preamble()?;
        let header = frames.header()?;
        Ok(RecordParts { frames, header, before: None, imbalances: Vec::new(), torn: false })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next part; `None` at the end of what is whole.
    ///
    /// # Errors
    /// As for [`super::read`].
    pub fn next_part(&mut self) -> Result<Option<RecordPart>, ReadError> {
        while !self.torn {
            match self.frames.advance()? {
                NextFrame::Finished => break,
                NextFrame::Torn(_) => self.torn = true,
                NextFrame::Frame(kind, payload) => {
                    let part = self.part(kind, &payload).map_err(|what| self.frames.malformed(what))?;
                    if part.is_some() {
                        return Ok(part);
                    }
                }
            }
        }
        Ok(None)
    }

    fn part(&mut self, kind: FrameKind, payload: &[u8]) -> Result<Option<RecordPart>, String> {
        Ok(match kind {
            FrameKind::Header => return Err("a second header".to_owned()),
            FrameKind::Interval => Some(RecordPart::Interval(Box::new(self.interval(payload)?))),
            FrameKind::End => Some(RecordPart::End(json(payload)?)),
            FrameKind::Imbalance => {
                self.imbalances.push(json(payload)?);
                None
            }
            FrameKind::Intervention
            | FrameKind::Resolution
            | FrameKind::Truth
            | FrameKind::Fleet
            | FrameKind::Canary => {
                json::<IgnoredAny>(payload)?;
                None
            }
        })
    }

    fn interval(&mut self, payload: &[u8]) -> Result<Interval, String> {
        let frame = postcard::from_bytes::<IntervalFrame>(payload)
            .map_err(|error| format!("an interval that cannot be decoded ({error})"))?;
        check_interval(&frame, (self.header.trunks.len(), self.header.users.len()), self.before)?;
        self.before = Some((frame.index, frame.end_ns));
        let mut interval = frame.unpack()?;
        interval.imbalances.append(&mut self.imbalances);
        Ok(interval)
    }
}

fn json<T: DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    serde_json::from_slice(payload).map_err(|error| format!("a block that cannot be decoded ({error})"))
}
