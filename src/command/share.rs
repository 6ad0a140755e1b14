//! `regstorm run --share K/N --start-at TIME`: one of several machines that carry out a run
//! together without a word to each other.
//!
//! Everything that has to be the same on all of them follows from the profile and the start: the
//! run's id, and with it the seed and what sets its Call-IDs apart.

use super::assemble::RunFrame;
use super::failure::{Exit, Failure};
use super::output::{print, say, unkept_record};
use super::report::results_of;
use super::run_watch::RunNews;
use super::source::{DiskSource, found_again};
use super::threads::{sender_threads, threads_per_part};
use crate::cli::{Live, RunArgs};
use crate::diagnose::findings::counted;
use crate::diagnose::{AbortWatch, GeneratorVerdict, judge};
use crate::engine::Wish;
use crate::load::Share;
use crate::net::clock::Clock;
use crate::net::usage;
use crate::plan::{AgentAccount, Plan, RegistrarChoice};
use crate::profile::Source;
use crate::record::results::utc;
use crate::record::{Results, ShareHeader};
use crate::seed::Seed;
use crate::vocab::{RunTag, Status, Time, format_duration, saturating_u32};
use ipnet::IpNet;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

/// What a process carries out of a run, and when it begins.
pub(super) struct RunPart {
    /// `None`: the whole run.
    asked: Option<PartAsked>,
    /// UTC; `None`: as soon as it can.
    start_unix_ns: Option<i64>,
    /// Sets the run apart; of a part the same on every machine.
    id: String,
    /// Draws what nobody stated.
    random: u64,
    ties: PartTies,
}

/// What ties a part of a run to those who lead it from another machine.
#[derive(Default)]
pub(super) struct PartTies {
    /// Where the profile comes from; `None`: this machine.
    pub source: Option<Box<dyn Source>>,
    /// What this machine's operator allows besides what the profile does; empty: no more is asked.
    pub allow_targets: Vec<IpNet>,
    /// Added to this machine's clock it gives the one that the start is stated by.
    pub clock_offset_ns: i64,
    pub news: Option<Sender<RunNews>>,
    pub wishes: Option<UnboundedReceiver<Wish>>,
}

/// A part of a run.
pub(super) struct PartAsked {
    /// As people know the machine.
    pub worker: String,
    pub cut: PartCut,
}

/// What a machine takes of a run: `parts` of `of` equal ones, from the `first` on (from 0). How
/// many threads each part has follows from the profile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PartCut {
    first: u32,
    parts: u32,
    of: u32,
}

impl RunPart {
    /// What the command line asks for.
    ///
    /// # Errors
    /// When it cannot be understood.
    pub(super) fn asked(args: &RunArgs) -> Result<RunPart, Failure> {
        let start_unix_ns = args.start_at.as_deref().map(start_of).transpose()?;
        let part = |text: &str| {
            let worker = format!("{text}@{}", usage::host().name);
            cut_of(text).map(|cut| PartAsked { worker, cut })
        };
        let asked = args.share.as_deref().map(part).transpose()?;
        if asked.is_some() && args.live == Live::Tui {
            let remedy = "the keys of the live screen would change the load of one machine alone; use --live auto";
            return Err(Failure::usage(format!("--share with --live tui: {remedy}")));
        }
        let ties = PartTies::default();
        Ok(RunPart { asked, start_unix_ns, id: String::new(), random: super::random_word(), ties })
    }

    /// What a coordinator assigns: part `first` (from 0) of `of` equal ones.
    #[cfg_attr(not(feature = "fleet"), expect(dead_code, reason = "only a fleet leads parts of a run"))]
    pub(super) fn assigned(worker: &str, (first, of): (u32, u32), start_unix_ns: i64, ties: PartTies) -> RunPart {
        let asked = PartAsked { worker: worker.to_owned(), cut: PartCut { first, parts: 1, of } };
        let (asked, start_unix_ns) = (Some(asked), Some(start_unix_ns));
        RunPart { asked, start_unix_ns, id: String::new(), random: super::random_word(), ties }
    }

    /// Where the profile comes from.
    pub(super) fn source(&self) -> &dyn Source {
        self.ties.source.as_deref().unwrap_or(&DiskSource)
    }

    /// Where the profile can be read later; `None`: it came from elsewhere.
    pub(super) fn profile_path(&self, args: &RunArgs) -> Option<String> {
        found_again(&args.profile).filter(|_| self.ties.source.is_none())
    }

    /// Whom the run tells what it sees.
    pub(super) fn news(&self) -> Option<Sender<RunNews>> {
        self.ties.news.clone()
    }

    /// What those who lead it wish.
    pub(super) fn wishes(&mut self) -> Option<UnboundedReceiver<Wish>> {
        self.ties.wishes.take()
    }

    pub(super) fn is_one_of_several(&self) -> bool {
        self.asked.is_some()
    }

    /// What must not go on. Whoever is led has none of its own: they are for the whole.
    pub(super) fn conditions(&self, plan: &Plan, share: Share) -> AbortWatch {
        let agents = plan.agents_by_source(share).into_iter().map(|by_source| by_source.into_iter().sum());
        let conditions = if self.ties.news.is_some() { Vec::new() } else { plan.abort_on.clone() };
        AbortWatch::new(conditions, agents)
    }

    /// The stripes of this process; it has its id from here on.
    ///
    /// # Errors
    /// When the plan cannot be cut up like that.
    pub(super) fn of(&mut self, plan: &mut Plan) -> Result<Share, Failure> {
        let Some(asked) = &self.asked else { return Ok(Share::whole(sender_threads(plan))) };
        if !self.ties.allow_targets.is_empty() {
            plan.allow_targets = both(&plan.allow_targets, &self.ties.allow_targets);
        }
        if plan.trunks.iter().any(|trunk| matches!(trunk.registrar, RegistrarChoice::Embedded)) {
            return Err(Failure::usage(
                "registrar = \"embedded\": every machine would have a registrar of its own; start one with regstorm registrar, \
                 and name its address in the profile of all; nothing was sent",
            ));
        }
        let PartCut { first, parts, of } = asked.cut;
        let threads = threads_per_part(plan, of);
        if threads == 0 {
            let agents = counted(plan.identities.len() as u64, "agent");
            let (open, messages) = (plan.load.max_in_flight, plan.load.max_message_rate);
            return Err(Failure::usage(format!(
                "--share: {agents}, max_in_flight {open} and max_message_rate {messages} cannot be shared out among {of} \
                 machines so that each has something; use fewer; nothing was sent"
            )));
        }
        let share = Share::of_parts(first, parts, of, threads);
        let start = self.start_unix_ns.unwrap_or_default();
        self.id = hex(&Sha256::digest(format!("{} {start} {:?}", profile_digest(plan), plan.seed)))[..16].to_owned();
        if !plan.truths.is_empty() {
            // It holds those of all machines, and would be held against those of one.
            plan.truths.clear();
            say("warning: [[truth]]: no server is asked for its own count by one machine of several");
        }
        Ok(share)
    }

    /// The seed of the run: the profile's, else one that no run had before.
    pub(super) fn seed(&self, plan: &Plan) -> Seed {
        let drawn = || if self.asked.is_some() { self.word(b"seed") >> 32 } else { self.random >> 32 };
        Seed(plan.seed.unwrap_or_else(drawn))
    }

    /// What sets the run's Call-IDs apart.
    pub(super) fn tag(&self) -> RunTag {
        RunTag(if self.asked.is_some() { self.word(b"run") } else { super::random_word() })
    }

    /// A number that all machines of the run come to.
    fn word(&self, what: &[u8]) -> u64 {
        let digest = Sha256::new().chain_update(what).chain_update(&self.id).finalize();
        digest.iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte))
    }

    /// Refuses addresses that agents of several machines would have. Loopback is on all of them.
    ///
    /// # Errors
    /// Names the first such address, and what to do instead.
    pub(super) fn check_sources(&self, plan: &Plan, share: Share) -> Result<(), Failure> {
        if self.asked.is_none() {
            return Ok(());
        }
        let (own, all) = (plan.agents_by_source(share), plan.agents_by_source(Share::whole(1)));
        for ((trunk, own), all) in plan.trunks.iter().zip(own).zip(all) {
            for (address, (own, all)) in trunk.source.iter().zip(own.into_iter().zip(all)) {
                if !address.is_loopback() && own > 0 && own < all {
                    return Err(Failure::usage(format!(
                        "trunk {}: source {address} would be that of {own} agents here and of {} on other machines; leave \
                         source out, so that each machine uses its own address; or take the agents in the order of their \
                         list (order = \"listed\"), and name a multiple of {} addresses, one machine's after another's; \
                         nothing was sent",
                        trunk.id,
                        all - own,
                        share.of,
                    )));
                }
            }
        }
        Ok(())
    }

    /// When the run begins, by the clock and by the calendar.
    ///
    /// # Errors
    /// When the time stated is too near, or past.
    pub(super) fn start(&self, clock: Clock, head_start: Duration) -> Result<(Time, i64), Failure> {
        let moment = clock.sample();
        let unix_of = |start: Time| i64::try_from(moment.unix_ns + start.nanos_since(moment.now)).unwrap_or(i64::MAX);
        let earliest = moment.now + head_start;
        let Some(stated) = self.start_unix_ns else { return Ok((earliest, unix_of(earliest))) };
        let wanted = stated.saturating_sub(self.ties.clock_offset_ns);
        let missing = i128::from(unix_of(earliest)) - i128::from(wanted);
        if missing > 0 {
            let missing = Duration::from_nanos(u64::try_from(missing).unwrap_or(u64::MAX));
            return Err(Failure::could_not(format!(
                "--start-at {}: this machine is ready {} too late; name a later time; nothing was sent",
                utc(stated.into(), 3),
                format_duration(Duration::from_millis(u64::try_from(missing.as_millis()).unwrap_or(u64::MAX) + 1)),
            )));
        }
        let ahead = u64::try_from(wanted).unwrap_or(0).saturating_sub(moment.unix_ns);
        Ok((moment.now + Duration::from_nanos(ahead), stated))
    }

    /// What its record says of it.
    pub(super) fn header(&self, plan: &Plan, frame: &RunFrame, start_unix_ns: i64) -> Option<ShareHeader> {
        let (share, arrivals) = (frame.share, frame.schedule.arrivals().into());
        let asked = self.asked.as_ref()?;
        Some(ShareHeader {
            run: self.id.clone(),
            worker: asked.worker.clone(),
            first: share.first,
            own: share.own,
            of: share.of,
            start_unix_ns,
            profile_digest: profile_digest(plan),
            arrivals,
        })
    }

    /// The name that its directory begins with.
    pub(super) fn name_of(&self, plan: &Plan) -> String {
        match self.asked.as_ref().map(|asked| asked.cut) {
            None => plan.name.clone(),
            Some(PartCut { first, parts: 1, of }) => format!("{}-part-{}-of-{of}", plan.name, first + 1),
            Some(PartCut { first, parts, of }) => {
                format!("{}-part-{}-{}-of-{of}", plan.name, first + 1, first + parts)
            }
        }
    }

    /// The accounts of canaries, which register from one machine only.
    pub(super) fn canaries(&self, canaries: Vec<Option<AgentAccount>>, share: Share) -> Vec<Option<AgentAccount>> {
        canaries.into_iter().map(|account| account.filter(|_| share.first == 0)).collect()
    }
}

/// What lies within networks of both lists.
fn both(one: &[IpNet], other: &[IpNet]) -> Vec<IpNet> {
    let narrower = |a: &IpNet, b: &IpNet| match (a.contains(b), b.contains(a)) {
        (true, _) => Some(*b),
        (false, true) => Some(*a),
        (false, false) => None,
    };
    one.iter().flat_map(|a| other.iter().filter_map(move |b| narrower(a, b))).collect()
}

/// SHA-256 of the list of agents, in the order of their lists; of no secret.
#[cfg_attr(not(feature = "fleet"), expect(dead_code, reason = "only a fleet leads parts of a run"))]
pub(super) fn list_digest(plan: &Plan) -> String {
    let mut digest = Sha256::new();
    for identity in plan.identities.iter() {
        digest.update(identity.trunk.0.to_le_bytes());
        digest.update(saturating_u32(identity.user.len()).to_le_bytes());
        digest.update(identity.user);
    }
    hex(&digest.finalize())
}

/// SHA-256 of the resolved profile, as it stands in `run.json`.
pub(super) fn profile_digest(plan: &Plan) -> String {
    hex(&Sha256::digest(&plan.profile_json))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `2/3`, or `2-4/8`.
fn cut_of(text: &str) -> Result<PartCut, Failure> {
    let wrong = || {
        Failure::usage(format!(
            "--share {text}: write K/N, part K of N equal ones, like 2/3; or K-L/N, parts K to L, like 2-4/8"
        ))
    };
    let (parts, of) = text.split_once('/').ok_or_else(wrong)?;
    let (first, last) = parts.split_once('-').unwrap_or((parts, parts));
    let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
    let (first, last, of) = (number(first)?, number(last)?, number(of)?);
    if first == 0 || last < first || of < last || of > MOST_PARTS {
        return Err(wrong());
    }
    Ok(PartCut { first: first - 1, parts: last - first + 1, of })
}

/// Parts of a run at most.
const MOST_PARTS: u32 = 10_000;

fn start_of(text: &str) -> Result<i64, Failure> {
    let time = text.parse::<jiff::Timestamp>().ok().and_then(|time| i64::try_from(time.as_nanosecond()).ok());
    time.ok_or_else(|| {
        Failure::usage(format!(
            "--start-at {text}: write a time of UTC like 2026-11-30T10:00:00Z, or 2026-11-30T10:00:00.5Z"
        ))
    })
}

/// Says what became of a part. Nothing is judged of the trunks: a limit that all machines meet
/// looks like a smaller one to each.
///
/// # Errors
/// When the record could not be written to its end, or cannot be read.
pub(super) fn conclude(
    part: &RunPart,
    directory: &Path,
    unkept: Option<std::io::Error>,
    left: Option<&str>,
    interrupted_by: Option<i32>,
) -> Result<Exit, Failure> {
    if let Some(error) = unkept {
        return Err(unkept_record(&error, None));
    }
    let results = results_of(directory)?;
    let judgement = judge(&results, &[], &[]);
    let generator = judgement.generator;
    let told = told(&results, directory, (generator.as_str(), &judgement.generator_reasons), left);
    let next = if part.ties.news.is_some() { MERGED_ELSEWHERE } else { MERGE_LATER };
    print(&format!("{told}{next}\n"))?;
    Ok(match interrupted_by {
        Some(signal) => Exit::Signal(signal),
        None if generator == GeneratorVerdict::Invalid => Exit::CouldNotRun,
        None => Exit::Success,
    })
}

fn told(results: &Results, directory: &Path, (generator, reasons): (&str, &[String]), left: Option<&str>) -> String {
    let header = &results.header;
    let place = directory.display();
    let Some(share) = &header.share else { return String::new() };
    let part = Share { first: share.first, own: share.own, of: share.of };
    let all = saturating_u32(header.users.len());
    let totals = &results.totals;
    let mut text = format!(
        "{}: part of run {}, {}: {} of {}\n",
        header.name,
        share.run,
        share.stripes(),
        part.count(all),
        counted(all.into(), "agent")
    );
    let _ = writeln!(
        text,
        "  {}, {} registered; {} in {place}",
        counted(totals.attempts, "attempt"),
        totals.sums.status[Status::Registered.index()],
        counted(results.intervals.len() as u64, "interval")
    );
    let reasons = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
    let _ = writeln!(text, "  generator {generator}{reasons}");
    left.into_iter().for_each(|left| {
        let _ = writeln!(text, "  {left}");
    });
    text
}

const MERGE_LATER: &str = "\
Nothing is judged of a part alone; once the directories of all machines are in one place:
  regstorm fleet merge DIR...";
const MERGED_ELSEWHERE: &str = "Nothing is judged of a part alone; whoever leads the run judges the whole.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_part_of_equal_ones() {
        let parts = |first, parts, of| PartCut { first, parts, of };
        assert_eq!(cut_of("1/1").ok(), Some(parts(0, 1, 1)));
        assert_eq!(cut_of("2/3").ok(), Some(parts(1, 1, 3)));
        assert_eq!(cut_of("2-4/8").ok(), Some(parts(1, 3, 8)));
        for wrong in ["", "2", "0/3", "4/3", "3-2/4", "2-5/4", "a/3", "1/0", "1/99999", "-1/3", "1/3/3"] {
            let said = cut_of(wrong).expect_err(wrong).to_string();
            assert!(said.contains("like 2/3"), "{said}");
        }
    }

    #[test]
    fn a_start_is_a_time_of_utc() {
        assert_eq!(start_of("2026-11-30T10:00:00.5Z").ok(), Some(1_796_032_800_500_000_000));
        assert!(start_of("10:00").expect_err("no date").to_string().contains("2026-11-30T10:00:00Z"));
    }

    #[test]
    fn what_both_allow_is_allowed() {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a network")).collect::<Vec<IpNet>>();
        let offered = nets(&["127.0.0.0/8", "::1/128", "0.0.0.0/0"]);
        let own = nets(&["10.1.0.0/16", "127.0.0.1/32"]);
        assert_eq!(both(&offered, &own), nets(&["127.0.0.1/32", "10.1.0.0/16", "127.0.0.1/32"]));
        assert_eq!(both(&nets(&["192.0.2.0/24"]), &own), []);
    }

    #[test]
    fn machines_that_never_spoke_agree_on_what_a_run_is() {
        let part = |id: &str| RunPart {
            asked: Some(PartAsked { worker: "a".to_owned(), cut: PartCut { first: 0, parts: 1, of: 2 } }),
            start_unix_ns: None,
            id: id.to_owned(),
            random: 1,
            ties: PartTies::default(),
        };
        assert_eq!(part("0f").tag(), part("0f").tag());
        assert_ne!(part("0f").tag(), part("10").tag());
        assert_ne!(part("0f").word(b"run"), part("0f").word(b"seed"));
    }
}
