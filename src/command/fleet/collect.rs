//! The workers' records as they come in: each kept beside the run as its worker wrote it, and their
//! intervals merged.

use super::merge::{MergedMember, SharePlace, fitting, merged_header, present, worker_of};
use crate::command::failure::Failure;
use crate::command::output::RECORD;
use crate::convoy::{AssignedWorker, Board, BoardError, FrameAssembly, key};
use crate::measure::Interval;
use crate::record::results::End;
use crate::record::{FleetWorker, Header, Merger, RecordPart, RecordParts, ShareHeader, WorkerLoss};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where the workers' records lie, below the run's directory.
pub(super) const WORKERS: &str = "workers";
/// Messages that are taken at one look.
const AT_ONCE: usize = 256;

/// The records of a run's workers, in the order of their parts.
pub(super) struct WorkerRecords {
    run: String,
    members: Vec<RecordPlace>,
    /// The next number of the board.
    from: u64,
    merger: Option<Merger>,
    /// The part of one of them, once it is known.
    like: Option<ShareHeader>,
}

struct RecordPlace {
    name: String,
    dir: PathBuf,
    file: File,
    assembly: FrameAssembly,
    parts: Option<RecordParts<File>>,
    /// Its record has come to its end.
    ended: bool,
    /// Why nothing more of it is used.
    lost: Option<String>,
    told_lost: bool,
}

impl WorkerRecords {
    /// Makes a place for each record.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(super) fn new(run: &str, workers: &[AssignedWorker], directory: &Path) -> io::Result<WorkerRecords> {
        let member = |worker: &AssignedWorker| {
            // Names are words: see `valid_name`.
            let dir = directory.join(WORKERS).join(&worker.name);
            fs::create_dir_all(&dir)?;
            let file = File::options().write(true).create_new(true).open(dir.join(RECORD))?;
            Ok(RecordPlace {
                name: worker.name.clone(),
                dir,
                file,
                assembly: FrameAssembly::default(),
                parts: None,
                ended: false,
                lost: None,
                told_lost: false,
            })
        };
        let members = workers.iter().map(member).collect::<io::Result<_>>()?;
        Ok(WorkerRecords { run: run.to_owned(), members, from: 0, merger: None, like: None })
    }

    /// Takes what has come; true when there was anything.
    ///
    /// # Errors
    /// When the board is out of reach.
    pub(super) fn take(&mut self, board: &mut impl Board) -> Result<bool, BoardError> {
        let lanes = key::record(&self.run, "*");
        for taken in 0..AT_ONCE {
            let Some(piece) = board.next_piece(&lanes, self.from)? else { return Ok(taken > 0) };
            self.from = piece.number + 1;
            let name = key::worker(&piece.key).unwrap_or_default();
            let Some(member) = self.members.iter_mut().find(|member| member.name == name) else { continue };
            for frame in member.assembly.take(&piece.bytes) {
                if let Err(error) = member.file.write_all(&frame) {
                    member.lost.get_or_insert_with(|| format!("its record cannot be kept: {error}"));
                }
            }
        }
        Ok(true)
    }

    /// Frames of a worker that have come.
    pub(super) fn frames(&self, name: &str) -> u32 {
        self.members.iter().find(|member| member.name == name).map_or(0, |member| member.assembly.frames())
    }

    /// Nothing more is waited for from a worker.
    pub(super) fn lose(&mut self, name: &str, why: &str) {
        if let Some(member) = self.members.iter_mut().find(|member| member.name == name) {
            member.lost.get_or_insert_with(|| why.to_owned());
        }
    }

    /// The header of the whole run, once the beginning of every record has come that is waited for;
    /// `None`: not yet, or it was given before.
    ///
    /// # Errors
    /// When the records are not of one run.
    pub(super) fn begin(&mut self) -> Result<Option<Header>, Failure> {
        let waits = |member: &RecordPlace| member.lost.is_none() && member.assembly.frames() == 0;
        let known = |member: &&RecordPlace| member.assembly.frames() > 0;
        let is_there = self.members.iter().any(|member| known(&member));
        if self.merger.is_some() || self.members.iter().any(waits) || !is_there {
            return Ok(None);
        }
        let places = self.members.iter().filter(known).map(|member| SharePlace::open(&member.dir));
        let places = fitting(places.collect::<Result<_, _>>()?)?;
        let header = merged_header(&places);
        let Some(like) = places.first().map(|place| place.share.clone()) else { return Ok(None) };
        self.merger = Some(Merger::new(&header, &self.shares(&like)));
        self.like = Some(like);
        Ok(Some(header))
    }

    /// The parts of all workers, also of those of which nothing came: all are equal.
    fn shares(&self, like: &ShareHeader) -> Vec<ShareHeader> {
        let share = |(first, member): (u32, &RecordPlace)| ShareHeader {
            worker: member.name.clone(),
            first: first * like.own,
            ..like.clone()
        };
        (0..).zip(&self.members).map(share).collect()
    }

    /// The next merged interval; `None`: not yet, or there is none any more.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub(super) fn merged(&mut self) -> Result<Option<Interval>, Failure> {
        let Some(merger) = &mut self.merger else { return Ok(None) };
        for (number, member) in self.members.iter_mut().enumerate() {
            member.read_on(number, merger)?;
        }
        Ok(merger.merged())
    }

    /// The part of one of the workers, which names the run of all; `None`: nothing is known yet.
    pub(super) fn like(&self) -> Option<&ShareHeader> {
        self.like.as_ref()
    }

    /// Whether all that is waited for has come and was handed out.
    pub(super) fn is_whole(&self) -> bool {
        self.members.iter().all(|member| member.ended || member.lost.is_some())
    }

    /// What there is to say of each worker, and how each ended.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub(super) fn workers(&self, header: &Header) -> Result<Vec<(FleetWorker, Option<End>)>, Failure> {
        let Some(like) = &self.like else { return Ok(Vec::new()) };
        let shares = self.shares(like);
        let mut workers = Vec::with_capacity(shares.len());
        for (member, share) in self.members.iter().zip(shares) {
            let (mut worker, end) = if member.assembly.frames() > 0 {
                let MergedMember { worker, end, .. } = present(&SharePlace::open(&member.dir)?)?;
                (worker, end)
            } else {
                let lost = WorkerLoss { at_ns: 0, why: "nothing came of it".to_owned() };
                (FleetWorker { lost: Some(lost), ..worker_of(&share, header) }, None)
            };
            worker.name.clone_from(&member.name);
            if let (Some(why), Some(lost)) = (&member.lost, &mut worker.lost) {
                lost.why.clone_from(why);
            }
            workers.push((worker, end));
        }
        Ok(workers)
    }
}

impl RecordPlace {
    /// Hands what has come since to the merger.
    fn read_on(&mut self, number: usize, merger: &mut Merger) -> Result<(), Failure> {
        let unreadable =
            |error: &dyn std::fmt::Display| Failure::could_not(format!("the record of worker {}: {error}", self.name));
        if self.parts.is_none() && self.assembly.frames() > 0 {
            let file = File::open(self.dir.join(RECORD)).map_err(|error| unreadable(&error))?;
            self.parts = Some(RecordParts::open(file).map_err(|error| unreadable(&error))?);
        }
        while let Some(parts) = self.parts.as_mut().filter(|_| !self.ended) {
            match parts.next_part().map_err(|error| unreadable(&error))? {
                Some(RecordPart::Interval(interval)) => merger.take(number, *interval),
                Some(RecordPart::End(_)) => {
                    self.ended = true;
                    merger.ended(number);
                }
                None => break,
            }
        }
        if self.lost.is_some() && !self.ended && !self.told_lost {
            self.told_lost = true;
            merger.lose(number);
        }
        Ok(())
    }
}
