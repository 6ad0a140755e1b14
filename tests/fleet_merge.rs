//! One run on several machines: their records, merged first and judged once, say what one machine
//! would have said; a part alone says nothing of a trunk.
//!
//! Worlds are shared in virtual time, so that what is merged can be held against what was never
//! cut up, byte for byte; real machines are processes on loopback that meet at one registrar.

mod support;

#[path = "support/rehearsal.rs"]
mod rehearsal;

use proptest::prelude::*;
use regstorm::measure::{Imbalance, Interval, TrunkInterval};
use regstorm::record::{Header, Merger, RecordPart, RecordParts, ShareHeader, Writer};
use regstorm::vocab::Stage;
use serde_json::Value;
use std::cell::Cell;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::clock;
use support::program::{Finished, Regstorm};

const LIMIT: Duration = Duration::from_secs(300);

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory under /tmp")
}

fn json(place: &Path) -> Value {
    let bytes = fs::read(place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
    serde_json::from_slice(&bytes).expect("JSON")
}

/// Lays records down as machines leave them, and names their directories.
fn lay_down(dir: &Path, records: &[Vec<u8>]) -> Vec<String> {
    let one = |(n, record): (usize, &Vec<u8>)| {
        let name = format!("part-{}", n + 1);
        fs::create_dir(dir.join(&name)).expect("the test's own directory");
        fs::write(dir.join(&name).join("record.bin"), record).expect("the test's own directory");
        name
    };
    records.iter().enumerate().map(one).collect()
}

fn merge(dir: &Path, parts: &[String], out: &str) -> Finished {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    Regstorm::run(dir, &[&["fleet", "merge"], &parts[..], &["--out", out]].concat(), LIMIT)
}

fn profile(name: &str, trunk: &str, more: &str) -> String {
    format!(
        "[run]\nname = \"{name}\"\ninterval = \"10s\"\n[[trunk]]\nid = \"t\"\nregistrar = \"embedded\"\n\
         domain = \"pbx.test\"\nrealm = \"pbx.test\"\nexpires = \"60s\"\n\
         agents = {{ count = 60, user = \"agent{{n:05}}\", password = \"secret\" }}\n{trunk}\n\
         [[load]]\nrate = 3\nfor = \"20s\"\n[[load]]\nhold = \"100s\"\n{more}\n"
    )
}

/// Worlds with something to find in each of the tables that evidence is kept in.
fn worlds() -> Vec<(String, f64)> {
    let fault = |kind: &str| format!("[[registrar.fault]]\n{kind}");
    let hammer = "retry = { preset = \"hammer\" }";
    vec![
        (profile("nothing", "", ""), 0.0),
        (profile("lossy", "", ""), 0.1),
        (profile("limit", hammer, &fault("kind = \"limit\"\nconcurrent = 40\ncode = 403\nreason = \"Full\"")), 0.0),
        (
            profile("rate", "", &fault("kind = \"rate\"\nper_second = 2\nburst = 5\ncode = 503\nretry_after = \"5s\"")),
            0.0,
        ),
        (profile("refuse", hammer, &fault("kind = \"refuse\"\nshare = 0.3\ncode = 403\nreason = \"No\"")), 0.0),
        (profile("oscillate", hammer, &fault("kind = \"oscillate\"\nperiod = \"40s\"\ncode = 403")), 0.0),
        (profile("stale", "", &fault("kind = \"stale\"")), 0.0),
        (profile("slow", "", &fault("kind = \"delay\"\nuniform = [\"5ms\", \"90ms\"]")), 0.0),
    ]
}

/// Files that say nothing of how many machines there were.
const SAME: [&str; 8] = [
    "findings.csv",
    "agents.csv",
    "loops.csv",
    "responses.csv",
    "intervals.csv",
    "latency.csv",
    "availability.csv",
    "latency.hlog",
];

#[test]
fn a_world_shared_by_machines_is_found_as_by_one() {
    for (text, loss) in worlds() {
        let dir = folder();
        lay_down(dir.path(), &[rehearsal::record(&text, 7, loss)]);
        let whole = dir.path().join("part-1");
        Regstorm::run(dir.path(), &["report", "part-1"], LIMIT).expect_code(0);
        let alone = json(&whole.join("run.json"));
        for machines in [1, 3, 8] {
            let place = folder();
            let parts = lay_down(place.path(), &rehearsal::records(&text, 7, loss, machines));
            let merged = merge(place.path(), &parts, "merged");
            assert!(matches!(merged.status.code(), Some(0 | 1)), "{}", merged.stderr());
            let out = place.path().join("merged");
            let name = alone["name"].as_str().expect("a name");
            for file in SAME {
                let [theirs, ours] = [&whole, &out].map(|of| fs::read_to_string(of.join(file)).expect(file));
                assert_eq!(ours, theirs, "{name} on {machines} machines: {file}");
            }
            let run = json(&out.join("run.json"));
            for key in ["totals", "trunks", "findings", "thresholds", "verdict", "latency_us", "arrivals_planned"] {
                assert_eq!(run[key], alone[key], "{name} on {machines} machines: {key}");
            }
            assert_eq!(run["fleet"]["degraded"], false);
            assert_eq!(run["fleet"]["workers"].as_array().map(Vec::len), Some(machines as usize));
        }
    }
}

/// Each machine's share and intervals.
fn decoded(records: &[Vec<u8>]) -> (Header, Vec<(ShareHeader, Vec<Interval>)>) {
    let mut header = Header::default();
    let parts = records.iter().map(|record| {
        let mut parts = RecordParts::open(&record[..]).expect("a record just written");
        header = parts.header().clone();
        let mut intervals = Vec::new();
        while let Some(part) = parts.next_part().expect("a sound record") {
            if let RecordPart::Interval(interval) = part {
                intervals.push(*interval);
            }
        }
        (header.share.clone().expect("a part"), intervals)
    });
    let parts = parts.collect();
    (header, parts)
}

/// A record that grows: what lies behind `grown` is not written yet.
struct Growing<'a> {
    bytes: &'a [u8],
    grown: &'a Cell<usize>,
    read: usize,
}

impl Read for Growing<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = (&self.bytes[self.read..self.grown.get()]).read(into)?;
        self.read += count;
        Ok(count)
    }
}

/// A machine says that its books do not balance before the interval in which it saw it. Whoever
/// looks between the two has both at the next look.
#[test]
fn what_a_machine_says_of_its_books_is_kept_from_one_look_to_the_next() {
    let (header, mut parts) = decoded(&rehearsal::records(&profile("books", "", ""), 1, 0.0, 2));
    let intervals = &mut parts[0].1;
    let told = Imbalance { interval: 1, trunk: 0, started: 9, finished: 7, open: 1, of_flows: false };
    intervals[1].imbalances = vec![told];
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    writer.header(&header).expect("memory");
    writer.interval(&intervals[0]).expect("memory");
    writer.interval(&intervals[1]).expect("memory");
    drop(writer);
    let mut once = Vec::new();
    let mut writer = Writer::new(&mut once);
    writer.header(&header).expect("memory");
    writer.interval(&intervals[0]).expect("memory");
    drop(writer);
    // Kind, length, checksum.
    let length = u32::from_le_bytes(bytes[once.len() + 1..once.len() + 5].try_into().expect("four bytes"));
    let between = once.len() + 9 + length as usize;
    let grown = Cell::new(between);
    let mut parts = RecordParts::open(Growing { bytes: &bytes, grown: &grown, read: 0 }).expect("a header");
    let mut look = || match parts.next_part().expect("a sound record") {
        Some(RecordPart::Interval(interval)) => Some(interval.imbalances),
        Some(RecordPart::End(_)) => panic!("it goes on"),
        None => None,
    };
    assert_eq!([look(), look()], [Some(Vec::new()), None]);
    grown.set(bytes.len());
    assert_eq!([look(), look()], [Some(vec![told]), None]);
}

/// Everything that was counted of the attempts.
fn sums<'a>(intervals: impl Iterator<Item = &'a Interval>) -> (TrunkInterval, u64) {
    let mut all = TrunkInterval::default();
    let mut lag = 0;
    for interval in intervals {
        interval.trunks.iter().for_each(|trunk| all.add(trunk));
        lag += interval.lag_us.as_ref().map_or(0, |lag| lag.len());
    }
    (all, lag)
}

fn histograms(of: &TrunkInterval) -> Vec<Vec<(u64, u32)>> {
    let recorded = of.latency_us.iter().flatten();
    recorded
        .map(|histogram| histogram.iter_recorded().map(|at| (at.value_iterated_to(), at.count_at_value())).collect())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// However many machines, in whatever order their intervals come: nothing is counted twice, and
    /// nothing is lost.
    #[test]
    fn what_is_merged_is_the_sum_of_the_parts(
        machines in 1u32..6,
        seed in 0u64..1000,
        loss in 0.0..0.2f64,
        order in any::<u64>(),
    ) {
        let (header, parts) = decoded(&rehearsal::records(&profile("sums", "", ""), seed, loss, machines));
        let mut merger = Merger::new(&header, &parts.iter().map(|(share, _)| share.clone()).collect::<Vec<_>>());
        let mut waiting: Vec<_> = parts.iter().map(|(_, intervals)| intervals.iter()).collect();
        let (mut merged, mut left, mut draw) = (Vec::new(), parts.len(), order | 1);
        while left > 0 {
            draw ^= draw << 13;
            draw ^= draw >> 7;
            draw ^= draw << 17;
            let member = (draw % waiting.len() as u64) as usize;
            match waiting[member].next() {
                Some(interval) => merger.take(member, interval.clone()),
                None => merger.ended(member),
            }
            left = waiting.iter().filter(|rest| rest.len() > 0).count();
            merged.extend(std::iter::from_fn(|| merger.merged()));
        }
        (0..waiting.len()).for_each(|member| merger.ended(member));
        merged.extend(std::iter::from_fn(|| merger.merged()));
        let (ours, our_lag) = sums(merged.iter());
        let (theirs, their_lag) = sums(parts.iter().flat_map(|(_, intervals)| intervals));
        prop_assert_eq!((ours.status, ours.started, ours.ended), (theirs.status, theirs.started, theirs.ended));
        prop_assert_eq!((ours.messages_sent, ours.bytes_received, our_lag), (theirs.messages_sent, theirs.bytes_received, their_lag));
        prop_assert_eq!((ours.planned_agent_ns, ours.registered_agent_ns), (theirs.planned_agent_ns, theirs.registered_agent_ns));
        prop_assert_eq!(histograms(&ours), histograms(&theirs));
        expect_balanced(&merged);
    }

    /// One machine is interrupted: it goes through its last stages while the others are under load,
    /// and its agents count as planned all the same.
    #[test]
    fn a_machine_that_ends_early_is_merged_by_time(
        machines in 3u32..6,
        early in 0usize..6,
        at_ns in 20_000_000_001u64..100_000_000_000,
        seed in 0u64..1000,
    ) {
        let (header, parts) = decoded(&rehearsal::records(&profile("early", "", ""), seed, 0.0, machines));
        let early = early % parts.len();
        let mut merger = Merger::new(&header, &parts.iter().map(|(share, _)| share.clone()).collect::<Vec<_>>());
        for (member, (_, intervals)) in parts.iter().enumerate() {
            if member == early {
                interrupted(intervals, at_ns).into_iter().for_each(|interval| merger.take(member, interval));
            } else {
                intervals.iter().for_each(|interval| merger.take(member, interval.clone()));
            }
            merger.ended(member);
        }
        let merged: Vec<Interval> = std::iter::from_fn(|| merger.merged()).collect();
        expect_balanced(&merged);
        for interval in merged.iter().filter(|interval| interval.stage == Stage::Load && interval.start_ns >= 20_000_000_000) {
            let planned = interval.trunks[0].planned_agent_ns as f64 / (interval.end_ns - interval.start_ns) as f64;
            prop_assert!((59.0..=60.01).contains(&planned), "{planned} planned in {}", interval.index);
            prop_assert!((59..=60).contains(&interval.trunks[0].planned), "{}", interval.trunks[0].planned);
        }
        let ends: Vec<u64> = merged.iter().map(|interval| interval.end_ns).collect();
        let others: Vec<u64> = parts[(early + 1) % parts.len()].1.iter().map(|interval| interval.end_ns).collect();
        prop_assert_eq!(ends, others, "intervals are those of the others");
    }

    /// One machine is lost at some moment: the books of all balance all the same, and its agents go
    /// on being planned.
    #[test]
    fn a_machine_that_is_lost_leaves_books_that_balance(
        machines in 2u32..6,
        lost in 0usize..6,
        after in 0usize..12,
        seed in 0u64..1000,
    ) {
        let text = profile("lost", "", "[[registrar.fault]]\nkind = \"delay\"\nfixed = \"3s\"");
        let (header, parts) = decoded(&rehearsal::records(&text, seed, 0.05, machines));
        let lost = lost % parts.len();
        let mut merger = Merger::new(&header, &parts.iter().map(|(share, _)| share.clone()).collect::<Vec<_>>());
        for (member, (_, intervals)) in parts.iter().enumerate() {
            let told = if member == lost { after.min(intervals.len()) } else { intervals.len() };
            intervals[..told].iter().for_each(|interval| merger.take(member, interval.clone()));
            if member == lost { merger.lose(member) } else { merger.ended(member) }
        }
        let merged: Vec<Interval> = std::iter::from_fn(|| merger.merged()).collect();
        expect_balanced(&merged);
        let load: Vec<&Interval> = merged.iter().filter(|interval| interval.stage == Stage::Load).collect();
        let planned = |interval: &&Interval| interval.trunks[0].planned;
        prop_assert!(load.windows(2).all(|pair| planned(&pair[0]) <= planned(&pair[1])), "{:?}", load.iter().map(planned).collect::<Vec<_>>());
        let last = load.last().expect("a load");
        prop_assert!((59..=60).contains(&last.trunks[0].planned), "{}", last.trunks[0].planned);
        prop_assert!(after > 3 || last.trunks[0].registered < 60);
    }
}

/// What a machine leaves that is interrupted at a moment of a hold: the load's intervals so far, a
/// drain without anything open, and what it un-REGISTERs within a second.
fn interrupted(intervals: &[Interval], at_ns: u64) -> Vec<Interval> {
    let mut told: Vec<Interval> = intervals.iter().filter(|interval| interval.start_ns < at_ns).cloned().collect();
    let last = told.last_mut().expect("it began");
    let length = last.end_ns - last.start_ns;
    last.trunks.iter_mut().for_each(|trunk| {
        trunk.planned_agent_ns = trunk.planned_agent_ns * u128::from(at_ns - last.start_ns) / u128::from(length);
        trunk.registered_agent_ns = 0;
    });
    last.end_ns = at_ns;
    let last = last.clone();
    for (n, stage) in [(1, Stage::Drain), (2, Stage::Unregister)] {
        let (start_ns, end_ns) = (at_ns + (n - 1) * 60_000_000, at_ns + n * 60_000_000);
        let open = last.trunks.iter().map(|trunk| trunk.open).collect::<Vec<_>>();
        let trunks = open.into_iter().map(|open| TrunkInterval { open, planned: 3, ..TrunkInterval::default() });
        let mut next = last.clone();
        (next.index, next.stage, next.trunks) = (last.index + n as u32, stage, trunks.collect());
        (next.start_ns, next.end_ns, next.agents) = (start_ns, end_ns, Vec::new());
        (next.responses, next.loops, next.registered_samples) = (Vec::new(), Vec::new(), Vec::new());
        told.push(next);
    }
    told
}

/// Attempts begun have ended or are open, at the end of each interval.
#[track_caller]
fn expect_balanced(merged: &[Interval]) {
    let (mut started, mut ended, mut end_ns) = (0, 0, 0);
    for (n, interval) in merged.iter().enumerate() {
        assert_eq!((interval.index as usize, interval.start_ns), (n, end_ns));
        end_ns = interval.end_ns;
        started += interval.trunks.iter().map(TrunkInterval::attempts_started).sum::<u64>();
        ended += interval.trunks.iter().map(TrunkInterval::attempts_ended).sum::<u64>();
        let open: u64 = interval.trunks.iter().map(|trunk| trunk.open).sum();
        assert_eq!(started, ended + open, "interval {n}");
        let by_kind: u64 = interval.trunks.iter().flat_map(|trunk| trunk.ended).sum();
        let by_status: u64 = interval.trunks.iter().flat_map(|trunk| trunk.status).sum();
        assert_eq!(by_kind, by_status, "interval {n}");
    }
}

#[test]
fn a_record_that_is_missing_or_breaks_off_leaves_the_run_degraded() {
    let dir = folder();
    let fault = "[[registrar.fault]]\nkind = \"limit\"\nconcurrent = 40\ncode = 403\nreason = \"Full\"";
    let mut records = rehearsal::records(&profile("torn", "", fault), 7, 0.0, 4);
    let half = records[1].len() / 2;
    records[1].truncate(half);
    let parts = lay_down(dir.path(), &records);
    let said = merge(dir.path(), &parts[..3], "merged");
    let summary = said.stdout();
    assert!(summary.contains("Degraded: machine-2 is missing from "), "{summary}");
    let run = json(&dir.path().join("merged/run.json"));
    let fleet = &run["fleet"];
    assert_eq!(fleet["degraded"], true);
    let whys: Vec<&str> =
        fleet["workers"].as_array().expect("machines").iter().filter_map(|one| one["lost"]["why"].as_str()).collect();
    assert_eq!(whys.len(), 2, "{fleet}");
    assert!(whys[0].contains("breaks off") && whys[1] == "there is no record of it", "{whys:?}");
    let availability = run["totals"]["availability_pct"].as_f64().expect("known");
    assert!(availability < 60.0, "two of four machines, and a limit: {availability}");
    let findings = run["findings"].as_array().expect("a list");
    let limit = findings.iter().find(|finding| finding["id"] == "limit.concurrent");
    if let Some(limit) = limit {
        assert!(matches!(limit["confidence"].as_str(), Some("low" | "open")), "{limit}");
        assert!(limit["summary"].as_str().is_some_and(|text| text.contains("not all agents were counted")), "{limit}");
    }
    let page = fs::read_to_string(dir.path().join("merged/report.html")).expect("a page");
    assert!(page.contains("there is no record of it") && page.contains("machine-2"));
}

#[test]
fn what_is_no_part_of_the_same_run_is_refused_by_name() {
    let dir = folder();
    let one = rehearsal::records(&profile("one", "", ""), 7, 0.0, 2);
    let other = rehearsal::records(&profile("other", "", ""), 7, 0.0, 2);
    let again = rehearsal::records(&profile("one", "", ""), 8, 0.0, 2);
    let three = rehearsal::records(&profile("one", "", ""), 7, 0.0, 3);
    let whole = rehearsal::record(&profile("one", "", ""), 7, 0.0);
    let records = [one, other, again, three, vec![whole]].concat();
    let parts = lay_down(dir.path(), &records);
    for (pair, why) in [
        ([0, 0], "have the same part of the run: stripe 1 of 2"),
        ([0, 3], "their profiles, with what --set changed, differ"),
        ([0, 5], "they are of the runs"),
        ([0, 7], "one is of 2 stripes, the other of 3"),
        ([0, 9], "it is no part of a run, but a whole one"),
    ] {
        let pair = pair.map(|n| parts[n].clone());
        let said = merge(dir.path(), &pair, "merged");
        said.expect_code(2);
        assert!(said.stderr().contains(why), "{pair:?}: {}", said.stderr());
        assert!(!dir.path().join("merged").exists(), "{pair:?}");
    }
    let said = Regstorm::run(dir.path(), &["fleet", "merge", "nowhere"], LIMIT);
    said.expect_code(2);
}

/// What a machine's part is not: a run.
#[test]
fn a_part_alone_says_nothing_of_a_trunk() {
    let dir = folder();
    let parts = lay_down(dir.path(), &rehearsal::records(&profile("part", "", ""), 7, 0.0, 2));
    fs::create_dir(dir.path().join("pulled")).expect("the test's own directory");
    for command in ["report", "diagnose"] {
        let said = Regstorm::run(dir.path(), &[command, &parts[0]], LIMIT);
        said.expect_code(2);
        assert!(
            said.stderr().contains("it is stripe 1 of 2 of run") && said.stderr().contains("fleet merge"),
            "{}",
            said.stderr()
        );
        assert_eq!(fs::read_dir(dir.path().join(&parts[0])).expect("there").count(), 1, "nothing is derived");
    }
}

/// A registrar of its own process that takes 300 agents.
fn registrar_of_300(dir: &Path) -> (Regstorm, String) {
    let text = "[registrar]\nlisten = [\"udp://127.0.0.1:0\"]\nrealm = \"pbx.test\"\n[[registrar.fault]]\nkind = \"limit\"\n\
                concurrent = 300\ncode = 403\nreason = \"Registration limit exceeded\"\n";
    fs::write(dir.join("registrar.toml"), text).expect("the test's own directory");
    let server = Regstorm::start(dir, &["registrar", "registrar.toml"]);
    let line = clock::until("a registrar that listens", LIMIT, || {
        let said = server.stdout_so_far();
        said.contains('\n').then_some(said)
    });
    let address = line.trim().strip_prefix("listening udp://").expect("what a registrar says").to_owned();
    (server, address)
}

/// So many seconds from now, as `--start-at` takes it.
fn start_in(seconds: u32) -> String {
    let said = Command::new("date").args(["-u", "-d", &format!("+{seconds} seconds"), "+%FT%TZ"]).output();
    String::from_utf8(said.expect("date is in every system").stdout).expect("a time").trim().to_owned()
}

/// Three processes with a third of the agents each, and what they said. A machine that is too busy
/// to be ready in time says so: then all begin later.
fn three_machines(dir: &Path, file: &str, names: [&str; 3]) -> Vec<Finished> {
    for lead in [4, 15, 60] {
        let start_at = start_in(lead);
        let running = [1, 2, 3].map(|k| {
            let share = format!("{k}/3");
            let args =
                ["run", file, "--share", &share, "--start-at", &start_at, "--live", "off", "--out", names[k - 1]];
            Regstorm::start(dir, &args)
        });
        let said: Vec<Finished> = running.into_iter().map(|machine| machine.wait(LIMIT)).collect();
        if names.iter().all(|name| dir.join(name).join("record.bin").exists()) {
            return said;
        }
        assert!(said.iter().any(|said| said.stderr().contains("too late") || said.stderr().contains("too busy")));
        names.iter().for_each(|name| drop(fs::remove_dir_all(dir.join(name))));
    }
    panic!("three processes do not begin within a minute");
}

/// Three processes with a third of 600 agents each, at a registrar that takes 300.
#[test]
fn three_machines_at_one_registrar_find_its_limit_together() {
    let dir = folder();
    let (_server, address) = registrar_of_300(dir.path());
    let text = format!(
        "[run]\nname = \"three\"\ninterval = \"1s\"\ndrain = \"1s\"\n[[trunk]]\nid = \"lab\"\n\
         registrar = \"sip:{address}\"\ndomain = \"pbx.test\"\nrealm = \"pbx.test\"\n\
         agents = {{ count = 600, user = \"agent{{n:05}}\", password = \"secret\" }}\n\
         [[load]]\nrate = 200\nfor = \"3s\"\n[[load]]\nhold = \"1s\"\n[generator]\nlate = \"90ms\"\nstall = \"90ms\"\n"
    );
    let file = support::program::profile(dir.path(), &text);
    let names = ["part-1", "part-2", "part-3"];
    for (said, name) in three_machines(dir.path(), file, names).iter().zip(names) {
        // 3: a crowded machine made some of it late; what was sent is merged all the same.
        assert!(matches!(said.status.code(), Some(0 | 3)), "{}", said.stderr());
        let told = said.stdout();
        assert!(told.contains("200 of 600 agents") && told.contains("regstorm fleet merge"), "{told}");
        assert!(!told.contains("limit") && !told.contains("verdict"), "{told}");
        let files: Vec<PathBuf> =
            fs::read_dir(dir.path().join(name)).expect("there").map(|entry| entry.expect("readable").path()).collect();
        assert!(
            files.iter().all(|file| file.ends_with("record.bin") || file.ends_with("failures.pcapng")),
            "{files:?}"
        );
    }
    let place = folder();
    let parts = names.map(|name| dir.path().join(name).display().to_string());
    let merged = merge(place.path(), &parts, "results/merged");
    assert!(matches!(merged.status.code(), Some(1 | 3)), "{}", merged.stderr());
    let out = place.path().join("results/merged");
    let run = json(&out.join("run.json"));
    assert_eq!(run["totals"]["attempts"], 600);
    assert_eq!(run["totals"]["registered"], 300);
    assert_eq!(run["totals"]["authentication_failed"], 300);
    let limit = run["findings"].as_array().expect("a list").iter().find(|one| one["id"] == "limit.concurrent");
    let limit = limit.unwrap_or_else(|| panic!("{}", run["findings"]));
    assert!(limit["summary"].as_str().is_some_and(|text| text.contains("300")), "{limit}");
    assert_eq!(run["fleet"]["workers"].as_array().map(Vec::len), Some(3));
    assert!(out.join("failures.pcapng").exists());
    let before: Vec<(PathBuf, Vec<u8>)> = fs::read_dir(&out)
        .expect("there")
        .map(|entry| entry.expect("readable").path())
        .map(|file| (file.clone(), fs::read(file).expect("readable")))
        .collect();
    Regstorm::run(place.path(), &["report", "results/merged"], LIMIT).expect_code(0);
    for (file, bytes) in before {
        assert!(fs::read(&file).expect("readable") == bytes, "{} is another", file.display());
    }
}
