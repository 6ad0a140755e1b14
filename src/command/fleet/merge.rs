//! `regstorm fleet merge`: the records of all machines of a run as one, judged once.
//!
//! Every record is read twice: once for what there is to say of its machine, then interval by
//! interval beside the others, so that no more than one interval of each is in memory.

use crate::cli::FleetMergeArgs;
use crate::command::failure::{Exit, Failure};
use crate::command::output::{FAILURES, RECORD, RunDirectory, check_holds_run};
use crate::command::report::{Shown, derive, results_of, unreadable};
use crate::diagnose::judge;
use crate::load::Share;
use crate::record::merger::{loss_of, merged_end};
use crate::record::results::{End, utc};
use crate::record::{
    FleetFacts, FleetWorker, Header, Merger, RecordPart, RecordParts, ShareHeader, WorkerLoss, Writer,
};
use crate::vocab::saturating_u32;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub(super) fn execute(args: &FleetMergeArgs) -> Result<Exit, Failure> {
    let shares = fitting(args.dirs.iter().map(|dir| SharePlace::open(dir)).collect::<Result<_, _>>()?)?;
    let workers = workers(&shares)?;
    let header = merged_header(&shares);
    let started_ns = u64::try_from(header.started_unix_ns).unwrap_or_default();
    let stamp = crate::command::stamp(started_ns);
    let (directory, file) = RunDirectory::create(args.out.as_deref(), &header.name, &stamp)?;
    let kept = write_merged(&header, shares, workers, file);
    kept.inspect_err(|_| directory.discard())?;
    join_failures(&args.dirs, directory.path())?;
    directory.link_latest();
    let derived = derive(directory.path())?;
    derived.print(directory.path(), Shown::of(args.shown))?;
    let interrupted_by = derived.results.end.as_ref().and_then(|end| end.interrupted_by);
    Ok(Exit::of_run(derived.judgement.verdict, interrupted_by))
}

/// One machine's record, read as far as its header.
pub(super) struct SharePlace {
    dir: PathBuf,
    pub share: ShareHeader,
    header: Header,
}

impl SharePlace {
    /// # Errors
    /// When it is no record of a part of a run.
    pub(super) fn open(dir: &Path) -> Result<SharePlace, Failure> {
        check_holds_run(dir)?;
        let mut header = parts_of(dir)?.header().clone();
        let Some(share) = header.share.take() else {
            let remedy = "only records of regstorm run --share and fleet run are merged; regstorm report shows a run";
            return Err(Failure::usage(format!(
                "{}: it is no part of a run, but a whole one: {remedy}",
                dir.display()
            )));
        };
        if share.own == 0 || share.first + share.own > share.of {
            return Err(Failure::could_not(format!("{}: a record of {}", dir.display(), share.stripes())));
        }
        Ok(SharePlace { dir: dir.to_owned(), share, header })
    }

    fn is_from(&self) -> String {
        format!("{} ({})", self.dir.display(), self.share.worker)
    }
}

fn parts_of(dir: &Path) -> Result<RecordParts<File>, Failure> {
    let file = File::open(dir.join(RECORD)).map_err(|error| unreadable(dir, &error))?;
    RecordParts::open(file).map_err(|error| unreadable(dir, &error))
}

/// The records by their stripes, once all are known to be of one run.
///
/// # Errors
/// Names the first two that do not fit together, and why.
pub(super) fn fitting(mut places: Vec<SharePlace>) -> Result<Vec<SharePlace>, Failure> {
    places.sort_by_key(|place| (place.share.first, place.share.own));
    if let Some((first, others)) = places.split_first() {
        for other in others {
            if let Some(why) = differs(first, other) {
                let (one, two) = (first.is_from(), other.is_from());
                return Err(Failure::usage(format!("{one} and {two} are no parts of one run: {why}")));
            }
        }
    }
    for pair in places.windows(2) {
        let [one, two] = pair else { continue };
        if one.share.first + one.share.own > two.share.first {
            return Err(Failure::usage(format!(
                "{} and {} have the same part of the run: {}, and {}",
                one.is_from(),
                two.is_from(),
                one.share.stripes(),
                two.share.stripes()
            )));
        }
    }
    Ok(places)
}

fn differs(one: &SharePlace, two: &SharePlace) -> Option<String> {
    let (a, b) = (&one.share, &two.share);
    let (theirs, ours) = (&two.header, &one.header);
    let short = |digest: &str| digest.get(..12).unwrap_or(digest).to_owned();
    if theirs.tool_version != ours.tool_version {
        return Some(format!("one was made by regstorm {}, the other by {}", ours.tool_version, theirs.tool_version));
    }
    if a.profile_digest != b.profile_digest {
        let (a, b) = (short(&a.profile_digest), short(&b.profile_digest));
        return Some(format!("their profiles, with what --set changed, differ ({a}… and {b}…)"));
    }
    if (a.start_unix_ns, theirs.started_unix_ns) != (b.start_unix_ns, ours.started_unix_ns) {
        let (a, b) = (utc(a.start_unix_ns.into(), 3), utc(b.start_unix_ns.into(), 3));
        return Some(format!("one began at {a}, the other at {b}"));
    }
    if a.of != b.of {
        return Some(format!("one is of {} stripes, the other of {}", a.of, b.of));
    }
    if a.run != b.run {
        return Some(format!("they are of the runs {} and {}", a.run, b.run));
    }
    let same_agents = theirs.users == ours.users && theirs.agent_trunks == ours.agent_trunks;
    let same_run = (theirs.seed, theirs.run_tag, theirs.interval_ns) == (ours.seed, ours.run_tag, ours.interval_ns);
    if !same_agents {
        return Some("they had other lists of agents".to_owned());
    }
    (!same_run).then(|| "their seeds or intervals differ".to_owned())
}

/// A machine of the run, and its record where there is one.
pub(super) struct MergedMember {
    pub worker: FleetWorker,
    share: ShareHeader,
    pub end: Option<End>,
    /// Its position among the directories.
    dir: Option<PathBuf>,
}

/// All machines by their stripes: those with a record, and in the gaps between them those without.
///
/// # Errors
/// When a record cannot be read.
fn workers(places: &[SharePlace]) -> Result<Vec<MergedMember>, Failure> {
    let mut members = Vec::new();
    let mut next = 0;
    for place in places {
        if place.share.first > next {
            members.push(missing(place, next, place.share.first));
        }
        next = place.share.first + place.share.own;
        members.push(present(place)?);
    }
    if let Some(last) = places.last().filter(|last| next < last.share.of) {
        members.push(missing(last, next, last.share.of));
    }
    Ok(members)
}

pub(super) fn present(place: &SharePlace) -> Result<MergedMember, Failure> {
    let results = results_of(&place.dir)?;
    let judgement = judge(&results, &[], &[]);
    let known_until_ns = results.intervals.last().map_or(0, |last| last.end_ns);
    let worker = FleetWorker {
        intervals: saturating_u32(results.intervals.len()),
        generator: Some(judgement.generator.as_str().to_owned()),
        generator_reasons: judgement.generator_reasons,
        lost: loss_of(results.end.as_ref(), results.torn.as_deref(), known_until_ns),
        ..worker_of(&place.share, &place.header)
    };
    Ok(MergedMember { worker, share: place.share.clone(), end: results.end, dir: Some(place.dir.clone()) })
}

/// The machines that have the stripes from `first` to before `behind`, of which there is no record.
fn missing(like: &SharePlace, first: u32, behind: u32) -> MergedMember {
    let share = ShareHeader { first, own: behind - first, ..like.share.clone() };
    let share = ShareHeader { worker: share.stripes(), ..share };
    let lost = Some(WorkerLoss { at_ns: 0, why: "there is no record of it".to_owned() });
    MergedMember { worker: FleetWorker { lost, ..worker_of(&share, &like.header) }, share, end: None, dir: None }
}

pub(super) fn worker_of(share: &ShareHeader, header: &Header) -> FleetWorker {
    let ShareHeader { first, own, of, .. } = *share;
    let agents = Share { first, own, of }.count(saturating_u32(header.users.len()));
    FleetWorker { name: share.worker.clone(), first, own, of, agents, ..FleetWorker::default() }
}

/// The header of the whole run.
pub(super) fn merged_header(places: &[SharePlace]) -> Header {
    let Some(first) = places.first() else { return Header::default() };
    let features: BTreeSet<&String> = places.iter().flat_map(|place| &place.header.features).collect();
    Header {
        features: features.into_iter().cloned().collect(),
        workers: places.iter().map(|place| place.header.workers).sum(),
        arrivals_planned: first.share.arrivals,
        // Of one machine alone.
        baseline: first.header.baseline.clone().filter(|_| places.len() == 1),
        ..first.header.clone()
    }
}

/// Merges all intervals into one record.
///
/// # Errors
/// When a record cannot be read, or the merged one not be written.
fn write_merged(
    header: &Header,
    places: Vec<SharePlace>,
    members: Vec<MergedMember>,
    file: File,
) -> Result<(), Failure> {
    let unwritable = |error: io::Error| Failure::could_not(format!("the record cannot be written: {error}"));
    let shares: Vec<ShareHeader> = members.iter().map(|member| member.share.clone()).collect();
    let mut merger = Merger::new(header, &shares);
    let mut readers = Vec::with_capacity(members.len());
    for (number, member) in members.iter().enumerate() {
        let reader = member.dir.as_deref().map(parts_of).transpose()?;
        if reader.is_none() {
            merger.lose(number);
        }
        readers.push(reader.zip(member.dir.clone()));
    }
    drop(places);
    let mut writer = Writer::new(file);
    writer.header(header).map_err(unwritable)?;
    loop {
        for (number, reader) in readers.iter_mut().enumerate() {
            advance(&mut merger, number, reader)?;
        }
        while let Some(interval) = merger.merged() {
            writer.interval(&interval).map_err(unwritable)?;
        }
        if readers.iter().all(Option::is_none) {
            break;
        }
    }
    let (run, profile_digest) =
        shares.first().map(|share| (share.run.clone(), share.profile_digest.clone())).unwrap_or_default();
    let (workers, ends): (Vec<_>, Vec<_>) =
        members.into_iter().map(|member| (member.worker.clone(), (member.worker, member.end))).unzip();
    writer.fleet(&FleetFacts { run, profile_digest, workers }).map_err(unwritable)?;
    merged_end(&ends).map_or(Ok(()), |end| writer.end(&end)).map_err(unwritable)
}

/// Reads a record on to the end of its next interval.
fn advance(
    merger: &mut Merger,
    number: usize,
    place: &mut Option<(RecordParts<File>, PathBuf)>,
) -> Result<(), Failure> {
    let Some((reader, dir)) = place else { return Ok(()) };
    match reader.next_part().map_err(|error| unreadable(dir, &error))? {
        Some(RecordPart::Interval(interval)) => {
            merger.take(number, *interval);
            return Ok(());
        }
        Some(RecordPart::End(_)) => merger.ended(number),
        None => merger.lose(number),
    }
    *place = None;
    Ok(())
}

/// The packets of failed attempts of all machines, one after another, as the format allows.
fn join_failures(dirs: &[PathBuf], out: &Path) -> Result<(), Failure> {
    let place = out.join(FAILURES);
    let unwritable = |error: io::Error| Failure::could_not(format!("{}: {error}", place.display()));
    let sources = dirs.iter().filter_map(|dir| File::open(dir.join(FAILURES)).ok());
    let mut joined: Option<File> = None;
    for mut source in sources {
        let file = match &mut joined {
            Some(file) => file,
            None => joined.insert(File::create(&place).map_err(unwritable)?),
        };
        io::copy(&mut source, file).map_err(unwritable)?;
    }
    joined.map_or(Ok(()), |mut file| file.flush().map_err(unwritable))
}
