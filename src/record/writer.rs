//! Writing a record: each frame whole, at once, and flushed, so that a killed run loses at most the
//! interval it was in.

use super::canary::CanaryNote;
use super::fleet::FleetFacts;
use super::resolution::Resolution;
use super::results::{End, Header};
use super::schema::{self, FrameKind, IntervalFrame};
use super::truth::TruthSample;
use crate::measure::Interval;
use crate::vocab::Intervention;
use std::io::{self, Write};

/// Appends the frames of one run to a file, or to anything bytes can be written to.
///
/// Call [`Writer::header`] first, [`Writer::interval`] for each interval in order, and
/// [`Writer::end`] unless the run was killed. Give it the bare file: a frame is one write.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    /// The frame being put together, kept for its capacity.
    buffer: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub fn new(out: W) -> Self {
        Writer { out, buffer: Vec::new() }
    }

    /// Where it writes to.
    pub fn get_ref(&self) -> &W {
        &self.out
    }

    /// Writes magic, version and the header.
    ///
    /// # Errors
    /// When the bytes cannot be written.
    pub fn header(&mut self, header: &Header) -> io::Result<()> {
        self.out.write_all(&schema::MAGIC)?;
        self.out.write_all(&schema::VERSION.to_le_bytes())?;
        self.frame(FrameKind::Header, |buffer| serde_json::to_writer(buffer, header).map_err(io::Error::other))
    }

    /// Appends one interval, merged over all workers, and flushes it; before it what it says of
    /// books that do not balance, so that its reader is warned of its sums.
    ///
    /// # Errors
    /// When the bytes cannot be written, or the interval takes 4 GiB.
    pub fn interval(&mut self, interval: &Interval) -> io::Result<()> {
        for imbalance in &interval.imbalances {
            let kind = FrameKind::Imbalance;
            self.frame(kind, |buffer| serde_json::to_writer(buffer, imbalance).map_err(io::Error::other))?;
        }
        let packed = IntervalFrame::pack(interval);
        self.frame(FrameKind::Interval, |buffer| postcard::to_io(&packed, buffer).map(|_| ()).map_err(io::Error::other))
    }

    /// Appends what a person did to the load, and flushes it.
    ///
    /// # Errors
    /// When the bytes cannot be written.
    pub fn intervention(&mut self, intervention: &Intervention) -> io::Result<()> {
        let kind = FrameKind::Intervention;
        self.frame(kind, |buffer| serde_json::to_writer(buffer, intervention).map_err(io::Error::other))
    }

    /// Appends what a name stood for when it was looked up again, and flushes it.
    ///
    /// # Errors
    /// When the bytes cannot be written.
    pub fn resolution(&mut self, resolution: &Resolution) -> io::Result<()> {
        let kind = FrameKind::Resolution;
        self.frame(kind, |buffer| serde_json::to_writer(buffer, resolution).map_err(io::Error::other))
    }

    /// Appends what an agent beside the load had to say, and flushes it.
    ///
    /// # Errors
    /// When the bytes cannot be written.
    pub fn canary(&mut self, note: &CanaryNote) -> io::Result<()> {
        let kind = FrameKind::Canary;
        self.frame(kind, |buffer| serde_json::to_writer(buffer, note).map_err(io::Error::other))
    }

    /// Appends what registrars said of themselves, and flushes it.
    ///
    /// # Errors
    /// When the bytes cannot be written.
    pub fn truth(&mut self, samples: &[TruthSample]) -> io::Result<()> {
        let kind = FrameKind::Truth;
        self.frame(kind, |buffer| serde_json::to_writer(buffer, samples).map_err(io::Error::other))
    }

    /// Appends what there is to say of the machines that shared the run.
    ///
    /// # Errors
    /// When the bytes cannot be written.
    pub fn fleet(&mut self, facts: &FleetFacts) -> io::Result<()> {
        self.frame(FrameKind::Fleet, |buffer| serde_json::to_writer(buffer, facts).map_err(io::Error::other))
    }

    /// Appends the end of a run that ended by itself or was interrupted in good order.
    ///
    /// # Errors
    /// When the bytes cannot be written.
    pub fn end(&mut self, end: &End) -> io::Result<()> {
        self.frame(FrameKind::End, |buffer| serde_json::to_writer(buffer, end).map_err(io::Error::other))
    }

    /// What it wrote to, for a caller that has to sync it.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn frame(&mut self, kind: FrameKind, fill: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.resize(schema::FRAME_HEAD, 0);
        fill(&mut self.buffer)?;
        let (head, payload) = self.buffer.split_at_mut(schema::FRAME_HEAD);
        let made = schema::frame_head(kind, payload)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a frame of 4 GiB or more"))?;
        head.copy_from_slice(&made);
        self.out.write_all(&self.buffer)?;
        self.buffer.truncate(KEPT);
        self.buffer.shrink_to(KEPT);
        self.out.flush()
    }
}

/// What a writer keeps of the room its longest frame took. The header and the intervals in which a
/// million agents arrive take tens of megabytes, the others a few kilobytes.
const KEPT: usize = 1 << 20;
