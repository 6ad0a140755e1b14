//! A record part by part, as its writer appended them: to be merged with those of other machines.

use super::assembly::check_interval;
use super::error::ReadError;
use super::fleet::FleetFacts;
use super::reader::{Frames, NextFrame};
use super::resolution::Resolution;
use super::results::{End, Header};
use super::schema::{FrameKind, IntervalFrame};
use super::truth::TruthSample;
use crate::measure::{Imbalance, Interval};
use crate::vocab::Intervention;
use serde::de::DeserializeOwned;
use std::io::{BufReader, Read};

/// What one frame behind the header says.
#[derive(Debug)]
pub enum RecordPart {
    Interval(Box<Interval>),
    Intervention(Intervention),
    Imbalance(Imbalance),
    Resolution(Box<Resolution>),
    Truth(Vec<TruthSample>),
    Fleet(Box<FleetFacts>),
    End(Box<End>),
}

/// Decodes the frames of one run, in their order, whatever brings them.
#[derive(Clone, Debug)]
pub struct PartReader {
    trunks: usize,
    agents: usize,
    /// Position and end of the interval before.
    before: Option<(u32, u64)>,
}

impl PartReader {
    /// For the frames behind this header.
    pub fn new(header: &Header) -> PartReader {
        PartReader { trunks: header.trunks.len(), agents: header.users.len(), before: None }
    }

    /// What a frame says.
    ///
    /// # Errors
    /// When it cannot be decoded, or says what cannot be.
    pub fn part(&mut self, kind: FrameKind, payload: &[u8]) -> Result<RecordPart, String> {
        Ok(match kind {
            FrameKind::Header => return Err("a second header".to_owned()),
            FrameKind::Interval => RecordPart::Interval(Box::new(self.interval(payload)?)),
            FrameKind::Intervention => RecordPart::Intervention(json(payload)?),
            FrameKind::Imbalance => RecordPart::Imbalance(json(payload)?),
            FrameKind::Resolution => RecordPart::Resolution(json(payload)?),
            FrameKind::Truth => RecordPart::Truth(json(payload)?),
            FrameKind::Fleet => RecordPart::Fleet(json(payload)?),
            FrameKind::End => RecordPart::End(json(payload)?),
        })
    }

    fn interval(&mut self, payload: &[u8]) -> Result<Interval, String> {
        let frame = postcard::from_bytes::<IntervalFrame>(payload)
            .map_err(|error| format!("an interval that cannot be decoded ({error})"))?;
        check_interval(&frame, (self.trunks, self.agents), self.before)?;
        self.before = Some((frame.index, frame.end_ns));
        frame.unpack()
    }
}

fn json<T: DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    serde_json::from_slice(payload).map_err(|error| format!("a block that cannot be decoded ({error})"))
}

/// The parts of a record, one after another.
pub struct RecordParts<R> {
    frames: Frames<BufReader<R>>,
    header: Header,
    reader: PartReader,
    torn: Option<String>,
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
        let reader = PartReader::new(&header);
        Ok(RecordParts { frames, header, reader, torn: None })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next part; `None` at the end of what is whole.
    ///
    /// # Errors
    /// As for [`super::read`].
    pub fn next_part(&mut self) -> Result<Option<RecordPart>, ReadError> {
        if self.torn.is_some() {
            return Ok(None);
        }
        match self.frames.advance()? {
            NextFrame::Finished => Ok(None),
            NextFrame::Torn(why) => {
                self.torn = Some(why);
                Ok(None)
            }
            NextFrame::Frame(kind, payload) => {
                self.reader.part(kind, &payload).map(Some).map_err(|what| self.frames.malformed(what))
            }
        }
    }
}
