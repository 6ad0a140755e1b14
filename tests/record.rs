//! From events to a record and back: however a run is split over workers and intervals, and
//! wherever its record is cut, the sums stay true. Also: what an event costs in memory, which is
//! nothing.

use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use proptest::prelude::*;
use regstorm::diagnose::figures::availability_pct;
use regstorm::diagnose::{GeneratorVerdict, Verdict, judge};
use regstorm::measure::{AttemptEnd, Clues, Event, Imbalance, Interval, Subject, Tally, TallyConfig};
use regstorm::record::results::{Aborted, GeneratorLimits};
use regstorm::record::{
    End, Follower, Header, ReadError, RegistrarHeader, Results, Totals, TrunkHeader, Writer, hlog, read,
};
use regstorm::vocab::{
    AgentId, Kind, LoopKind, Phase, Place, Refusal, Stage, Status, Time, Transport, Trouble, TrunkId, Why,
};
use std::time::Duration;

#[path = "support/allocations.rs"]
mod allocations;

const TRUNKS: u16 = 2;
const AGENTS: u32 = 7;
const START: Time = Time::from_secs(5);

const fn at(ms: u64) -> Time {
    Time::from_millis(5_000 + ms)
}

fn tally(worker: u32, workers: u32) -> Tally {
    Tally::new(TallyConfig {
        trunks: usize::from(TRUNKS),
        agents: AGENTS as usize,
        worker,
        workers,
        interval: Duration::from_secs(1),
        passed: Duration::ZERO,
        warmup: Duration::ZERO,
        start: START,
        late: Duration::from_millis(5),
        stall: Duration::from_millis(10),
    })
}

fn subject(agent: u32) -> Subject {
    Subject { agent: AgentId(agent), trunk: TrunkId((agent % u32::from(TRUNKS)) as u16), source: 0 }
}

fn header() -> Header {
    let trunk = |n: u16| TrunkHeader {
        id: format!("trunk {n},a"),
        registrar: RegistrarHeader::Embedded,
        target: "127.0.0.1:5060".into(),
        transport: Some(Transport::Udp),
        domain: "example.test".into(),
        agents: AGENTS / 2 + u32::from(n == 0),
        expires_s: 3_600,
        ..TrunkHeader::default()
    };
    Header {
        tool_version: "0.1.0".into(),
        name: "trace".into(),
        started_unix_ns: 1_700_000_000_000_000_000,
        seed: 7,
        interval_ns: 1_000_000_000,
        trunks: (0..TRUNKS).map(trunk).collect(),
        users: (0..AGENTS).map(|n| format!("agent{n}")).collect(),
        agent_trunks: (0..AGENTS).map(|n| subject(n).trunk.0).collect(),
        profile_json: "{}".into(),
        thresholds: vec![("loops".into(), "== 0".into())],
        generator: GeneratorLimits {
            late_ns: 5_000_000,
            stall_ns: 10_000_000,
            suspect_late: 0.001,
            invalid_late: 0.05,
        },
        arrivals_planned: u64::from(AGENTS),
        workers: 1,
        simulated: true,
        run_tag: 7,
        ..Header::default()
    }
}

fn end() -> End {
    End {
        ended_ns: 3_000_000_000,
        load_ended_ns: 2_000_000_000,
        interrupted_by: None,
        registered_after_drain: 1,
        user_s: 0.5,
        system_s: 0.25,
        max_rss_bytes: 1 << 20,
        sender_cpu_pct: 12.5,
        aborted: None,
        lost: None,
        left_bound: 0,
    }
}

fn record(intervals: &[Interval], end: Option<&End>) -> Vec<u8> {
    record_of(&header(), intervals, end)
}

fn record_of(header: &Header, intervals: &[Interval], end: Option<&End>) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    writer.header(header).unwrap();
    for interval in intervals {
        writer.interval(interval).unwrap();
    }
    if let Some(end) = end {
        writer.end(end).unwrap();
    }
    writer.into_inner()
}

/// Where each frame of a record ends, the preamble first.
fn borders(bytes: &[u8]) -> Vec<usize> {
    let (mut border, mut borders) = (12, vec![12]);
    while border < bytes.len() {
        let length = u32::from_le_bytes(bytes[border + 1..border + 5].try_into().unwrap());
        border += 9 + length as usize;
        borders.push(border);
    }
    borders
}

fn start_attempt(tally: &mut Tally, who: Subject, kind: Kind, ms: u64) {
    tally.event(who, &Event::Began { kind, planned: at(ms), at: at(ms) });
    tally.event(who, &Event::Started { at: at(ms) });
    tally.event(who, &Event::Request { kind });
    tally.sent(who.trunk, 500);
}

fn attempt_end(kind: Kind, ms: u64, lasted: u64, status: Status) -> AttemptEnd<'static> {
    let (code, reason): (u16, Why<&[u8]>) = match status {
        Status::Registered => (200, Why::Said(b"OK")),
        Status::AuthenticationFailed => (403, Why::Said(b"Forbidden")),
        Status::ServiceUnavailable => (503, Why::Said(b"Busy")),
        Status::Shed => (0, Why::Trouble(Trouble::Shed)),
        _ => (0, Why::Trouble(Trouble::Timeout)),
    };
    AttemptEnd {
        kind,
        status,
        code,
        reason,
        place: Place::AfterCredentials,
        planned: at(ms),
        sent: (status != Status::Shed).then_some(at(ms)),
        credentials_sent: (code != 0).then_some(at(ms + lasted / 2)),
        at: at(ms + lasted),
        ineffective: code == 503,
        clues: Clues::default(),
    }
}

fn challenged(kind: Kind, since: u64, ms: u64) -> Event<'static> {
    Event::Challenged { kind, code: 401, reason: b"Unauthorized", since: at(since), at: at(ms) }
}

/// Three agents over two seconds of load and one of drain: one registers, one loops, one is still
/// open at the end.
fn small_run() -> Vec<Interval> {
    let mut tally = tally(0, 1);
    let (steady, looping, slow) = (subject(0), subject(1), subject(2));
    tally.event(steady, &Event::Arrived { planned: at(0) });
    start_attempt(&mut tally, steady, Kind::Initial, 0);
    tally.event(steady, &challenged(Kind::Initial, 0, 10));
    tally.event(steady, &Event::Registered { at: at(20), until: at(90_000) });
    tally.event(steady, &Event::Ended(attempt_end(Kind::Initial, 0, 20, Status::Registered)));
    for (ms, kind) in [(0, Kind::Initial), (100, Kind::Retry), (200, Kind::Retry)] {
        start_attempt(&mut tally, looping, kind, ms);
        tally.event(looping, &Event::Ended(attempt_end(kind, ms, 40, Status::AuthenticationFailed)));
    }
    let refusal = Refusal { kind: LoopKind::ForbiddenAfterAuth, code: 403, place: Place::AfterCredentials };
    tally.event(looping, &Event::LoopStarted { refusal, first_seen: at(40), attempts: 3 });
    let first = tally.close(at(1_000));
    tally.event(slow, &Event::Arrived { planned: at(1_500) });
    start_attempt(&mut tally, slow, Kind::Initial, 1_500);
    let second = tally.close(at(2_000));
    tally.set_stage(Stage::Drain, at(2_000));
    tally.event(steady, &Event::Retired { at: at(2_500) });
    vec![first, second, tally.close(at(3_000))]
}

#[test]
fn agents_times_hours_add_beyond_64_bits() {
    let mut intervals = small_run();
    // 100 000 agents in four days, and as many registered in the first half.
    let two_days = u128::from(u64::MAX);
    for interval in &mut intervals {
        interval.trunks.iter_mut().for_each(|trunk| (trunk.planned_agent_ns, trunk.registered_agent_ns) = (0, 0));
    }
    (intervals[0].trunks[0].planned_agent_ns, intervals[0].trunks[0].registered_agent_ns) = (two_days, two_days);
    (intervals[1].trunks[0].planned_agent_ns, intervals[1].trunks[1].planned_agent_ns) = (1, two_days + 7);
    let totals = read(&record(&intervals, Some(&end()))[..]).unwrap().totals;
    assert_eq!((totals.sums.planned_agent_ns, totals.sums.registered_agent_ns), (2 * two_days + 8, two_days));
    let share = availability_pct(&totals).unwrap();
    assert!((share - 50.0).abs() < 1e-9, "{share}");
}

#[test]
fn a_whole_record_reads_back() {
    let results = read(&record(&small_run(), Some(&end()))[..]).unwrap();
    assert_eq!(results.torn, None);
    assert_eq!(results.header.users.len(), AGENTS as usize);
    assert_eq!(results.end.as_ref().map(|end| end.sender_cpu_pct), Some(12.5));
    assert_eq!(results.intervals.iter().map(|i| i.stage).collect::<Vec<_>>(), [Stage::Load, Stage::Load, Stage::Drain]);

    let totals = &results.totals;
    assert_eq!((totals.attempts, totals.agents, totals.agents_looping), (5, 7, 1));
    assert_eq!((totals.sums.register_requests, totals.sums.messages_sent, totals.sums.bytes_sent), (5, 5, 2_500));
    assert_eq!((totals.sums.planned, totals.agents_registered_at_end, totals.agents_registered_peak), (2, 1, 1));
    // Load only: 2 s and 0.5 s planned, 2 s − 20 ms registered.
    assert_eq!((totals.sums.planned_agent_ns, totals.sums.registered_agent_ns), (2_500_000_000, 1_980_000_000));
    let trunks: Vec<_> = results.trunk_totals.iter().map(|t| (t.attempts, t.agents)).collect();
    assert_eq!(trunks, [(2, 4), (3, 3)]);

    let rows: Vec<_> = results.responses.iter().map(|r| (r.trunk, r.challenge, r.code, r.count)).collect();
    assert_eq!(rows, [(0, true, 401, 1), (0, false, 200, 1), (1, false, 403, 1), (1, false, 403, 2)]);
    assert_eq!((results.loops[0].agent, results.loops[0].attempts, results.loops[0].number), (1, 3, 0));
    assert_eq!(results.agents[0].first_registered_ns, Some(20_000_000));
    assert_eq!((results.agents[1].attempts, results.agents[1].last_reason.as_str()), (3, "Forbidden"));
    assert_eq!(results.agents[6].status, None);
    assert_eq!(results.lag_us.len(), 5);
    let row = &results.intervals[0].latency[0];
    assert_eq!((row.trunk, row.phase, row.count), (0, Phase::Register, 1));
    assert!(row.p50_us.abs_diff(20_000) <= 20 && row.max_us >= row.p999_us, "{row:?}");
}

#[test]
fn an_end_without_what_came_later_reads_as_before() {
    let mut old = serde_json::to_value(end()).unwrap();
    old.as_object_mut().unwrap().remove("aborted").expect("written by this version");
    assert_eq!(serde_json::from_value::<End>(old).unwrap().aborted, None);
    let condition = Aborted { name: "loops".into(), expr: "> 9".into(), value: 10.0, at_ns: 1_000_000_000 };
    let stopped = End { aborted: Some(condition.clone()), ..end() };
    let results = read(&record(&small_run(), Some(&stopped))[..]).unwrap();
    assert_eq!(results.end.unwrap().aborted, Some(condition));
}

#[test]
fn a_warm_up_is_in_the_series_and_in_no_sum() {
    let warm = Header { warmup_ns: 1_000_000_000, ..header() };
    let results = read(&record_of(&warm, &small_run(), Some(&end()))[..]).unwrap();
    assert_eq!(results.intervals.len(), 3);
    assert_eq!(results.intervals[0].trunks.iter().map(|trunk| trunk.status.iter().sum::<u64>()).sum::<u64>(), 4);
    let totals = &results.totals;
    assert_eq!((totals.attempts, totals.agents, totals.agents_looping), (1, 7, 0), "what was still open counts");
    assert_eq!((totals.sums.register_requests, totals.generator.arrivals, results.lag_us.len()), (1, 1, 1));
    assert!(totals.latency_us.is_empty(), "all that was measured was measured in the warm-up");
    assert_eq!((totals.agents_registered_at_end, totals.agents_registered_peak), (1, 1));
    assert_eq!(results.agents[0].registered, 1, "an agent's row is its whole life");
}

#[test]
fn a_loop_that_outlives_the_warm_up_counts() {
    let mut tally = tally(0, 1);
    let refusal = Refusal { kind: LoopKind::ForbiddenAfterAuth, code: 403, place: Place::AfterCredentials };
    for agent in [1, 3] {
        tally.event(subject(agent), &Event::LoopStarted { refusal, first_seen: at(40), attempts: 3 });
    }
    let first = tally.close(at(1_000));
    tally.event(subject(3), &Event::LoopGrew);
    let second = tally.close(at(2_000));
    tally.event(subject(3), &Event::LoopGrew);
    let intervals = [first, second, tally.close(at(3_000))];
    let looping = |warmup_ns| {
        let header = Header { warmup_ns, ..header() };
        read(&record_of(&header, &intervals, Some(&end()))[..]).unwrap().totals.agents_looping
    };
    assert_eq!((looping(0), looping(1_000_000_000)), (2, 1));
}

#[test]
fn what_a_killed_run_left_open_is_abandoned_and_balances() {
    let results = read(&record(&small_run(), None)[..]).unwrap();
    assert!(results.end.is_none() && results.torn.is_none());
    let abandoned = Status::Abandoned.index();
    assert_eq!(results.totals.sums.status[abandoned], 1);
    assert_eq!(results.trunk_totals[0].sums.status[abandoned], 1);
    assert_eq!((results.intervals[2].trunks[0].status[abandoned], results.intervals[2].trunks[0].open), (1, 0));
    assert_eq!(results.intervals[1].trunks[0].open, 1, "only the last interval tells of the end");
    assert_eq!(results.agents[2].status, Some(Status::Abandoned));
    assert_eq!(results.agents[2].last_change_ns, 3_000_000_000);
    assert_eq!(results.totals.attempts, results.totals.sums.attempts_started());
    let in_intervals: u64 = results.intervals.iter().flat_map(|i| &i.trunks).map(|t| t.attempts_ended()).sum();
    assert_eq!(in_intervals, results.totals.attempts);
    assert_eq!(results.agents.iter().map(|a| u64::from(a.attempts)).sum::<u64>(), results.totals.attempts);
}

/// One agent whose first attempt times out and whose second stays open: a record small enough to be
/// read once for each of its bytes.
fn tiny_run() -> Vec<Interval> {
    let mut tally = tally(0, 1);
    start_attempt(&mut tally, subject(0), Kind::Initial, 0);
    tally.event(subject(0), &Event::Ended(attempt_end(Kind::Initial, 0, 900, Status::RequestTimeout)));
    let first = tally.close(at(1_000));
    start_attempt(&mut tally, subject(0), Kind::Retry, 1_500);
    vec![first, tally.close(at(2_000))]
}

#[test]
fn a_record_cut_anywhere_reads_up_to_the_cut() {
    let whole = record(&tiny_run(), Some(&end()));
    let borders = borders(&whole);
    for cut in 0..=whole.len() {
        let result = read(&whole[..cut]);
        if cut < borders[1] {
            assert!(matches!(result, Err(ReadError::NotARecord | ReadError::NoHeader(_))), "cut at {cut}: {result:?}");
            continue;
        }
        let results = result.unwrap();
        let frames = borders.iter().filter(|&&border| border <= cut).count() - 2;
        assert_eq!(results.intervals.len(), frames.min(2), "cut at {cut}");
        assert_eq!(results.end.is_some(), frames == 3, "cut at {cut}");
        assert_eq!(results.torn.is_none(), borders.contains(&cut), "cut at {cut}: {:?}", results.torn);
        assert_eq!(results.totals.attempts, results.totals.sums.attempts_started(), "cut at {cut}");
    }
}

/// However the bytes come, a follower knows what a reader of all of them knows; but what is open is
/// open.
#[test]
fn a_record_is_followed_as_it_grows() {
    let (intervals, whole) = (small_run(), record(&small_run(), None));
    let file = tempfile::NamedTempFile::new().expect("a file under /tmp");
    let borders = borders(&whole);
    let mut out = file.reopen().expect("our own file");
    std::io::Write::write_all(&mut out, &whole[..borders[1]]).expect("room on the disk");
    let mut follower = Follower::new(file.reopen().expect("our own file")).expect("a header");
    assert_eq!(follower.catch_up().expect("nothing yet"), 0);
    let mut seen = 0;
    for piece in whole[borders[1]..].chunks(7) {
        std::io::Write::write_all(&mut out, piece).expect("room on the disk");
        seen += follower.catch_up().expect("a record being written");
    }
    assert_eq!(seen, intervals.len());
    let (followed, read) = (follower.so_far(), read(whole.as_slice()).expect("a record"));
    let abandoned = |totals: &Totals| totals.sums.status[Status::Abandoned.index()];
    let open: u64 = followed.intervals.last().expect("intervals").trunks.iter().map(|trunk| trunk.open).sum();
    assert_eq!(abandoned(&read.totals) - abandoned(&followed.totals), open);
    assert_eq!(followed.totals.attempts + open, read.totals.attempts);
    assert_eq!((followed.loops, followed.responses, followed.evidence), (read.loops, read.responses, read.evidence));
}

#[test]
fn a_damaged_byte_anywhere_ends_the_reading_there() {
    let whole = record(&tiny_run(), Some(&end()));
    let borders = borders(&whole);
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x41;
        let result = read(&bytes[..]);
        if place < borders[1] {
            assert!(result.is_err(), "damage at {place}");
            continue;
        }
        let results = result.unwrap();
        let whole_before = borders.iter().filter(|&&border| border <= place).count() - 2;
        assert_eq!(results.intervals.len(), whole_before.min(2), "damage at {place}");
        assert!(results.torn.is_some(), "damage at {place}");
    }
}

#[test]
fn what_follows_the_end_is_told() {
    let mut bytes = record(&small_run(), Some(&end()));
    let once = bytes.clone();
    bytes.extend_from_slice(&once[borders(&once)[1]..]);
    let results = read(&bytes[..]).unwrap();
    assert_eq!(results.intervals.len(), 3);
    assert!(results.torn.is_some_and(|why| why.contains("follows the record's end")));
}

#[test]
fn what_is_no_record_is_named() {
    let message = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert_eq!(message(b""), "this is no record of a run: it does not begin with \"regstorm\"");
    assert_eq!(message(b"interval_start,interval_s"), message(b""));
    // The layout that this version writes, as it writes it.
    let prefix = &record(&small_run(), None)[..12];
    let layout = u32::from_le_bytes(prefix[8..].try_into().expect("four bytes"));
    let old = format!("the record has layout 1, and this version reads layout {layout}");
    assert_eq!(message(b"regstorm\x01\0\0\0"), old);
    let no_header = "the record ends before its header is complete (there is none): nothing was measured";
    assert_eq!(message(prefix), no_header);
}

#[test]
fn books_that_do_not_balance_are_an_error() {
    let mut intervals = small_run();
    intervals[1].trunks[1].status[0] += 1;
    let message = read(&record(&intervals, None)[..]).unwrap_err().to_string();
    let expected = "the books of trunk 1 do not balance up to interval 1: 3 attempts started, 4 ended, 0 open";
    assert_eq!(message, expected);
}

/// What a worker sees of its own books goes into the record with the interval, and whoever reads it
/// says the same.
#[test]
fn a_run_whose_books_do_not_balance_says_so_and_is_invalid() {
    let began = Event::Began { kind: Kind::Initial, planned: at(100), at: at(100) };
    let run = |twice: bool| {
        let mut tallies = [tally(0, 2), tally(1, 2)];
        let mut intervals = Vec::new();
        for second in 1..=3 {
            if second == 1 || twice && second == 2 {
                tallies[1].event(subject(3), &began);
            }
            let [mut merged, other] = tallies.each_mut().map(|tally| tally.close(at(1_000 * second)));
            merged.merge(other);
            intervals.push(merged);
        }
        intervals
    };
    let sound = read(&record(&run(false), Some(&end()))[..]).unwrap();
    assert_eq!(sound.imbalances, []);
    assert!(judge(&sound, &[], &[]).invalid_reasons.is_empty());

    let wrong = record(&run(true), Some(&end()));
    let results = read(&wrong[..]).unwrap();
    assert_eq!(
        results.imbalances,
        [Imbalance { interval: 1, trunk: 1, started: 2, finished: 0, open: 1, of_flows: false }]
    );
    let judged = judge(&results, &[], &[]);
    let reason = "the books of trunk trunk 1,a do not balance up to interval 1: 2 attempts started, 0 ended, 1 open";
    assert_eq!((judged.verdict, judged.generator), (Verdict::Invalid, GeneratorVerdict::Invalid));
    assert_eq!(judged.invalid_reasons, [reason]);
    // The trace has fewer arrivals than its header announces, which is none of this.
    assert_eq!(judged.generator_reasons.last().map(String::as_str), Some(reason));
    // Killed right after the interval: what it saw was written before that.
    assert_eq!(read(&record(&run(true)[..2], None)[..]).unwrap().imbalances, results.imbalances);
}

#[test]
fn rows_of_agents_and_trunks_that_do_not_exist_are_an_error() {
    let broken: [fn(&mut Interval); 5] = [
        |interval| interval.agents[0].agent = AGENTS,
        |interval| interval.agents[0].trunk = TRUNKS,
        |interval| interval.loops[0].agent = AGENTS,
        |interval| interval.responses[0].trunk = TRUNKS,
        |interval| interval.trunks.push(Default::default()),
    ];
    for break_it in broken {
        let mut intervals = small_run();
        break_it(&mut intervals[0]);
        assert!(matches!(read(&record(&intervals, None)[..]), Err(ReadError::Malformed { .. })));
    }
    let mut twice = small_run();
    twice[2].index = 1;
    assert!(matches!(read(&record(&twice, None)[..]), Err(ReadError::Malformed { .. })));
}

#[test]
fn the_latency_log_reads_back() {
    let results = read(&record(&small_run(), None)[..]).unwrap();
    let log = hlog::render(&results);
    let entries: Vec<_> = IntervalLogIterator::new(&log).collect::<Result<_, _>>().unwrap();
    assert!(entries.contains(&LogEntry::BaseTime(Duration::from_secs(1_700_000_000))));
    let mut lines = entries.iter().filter_map(|entry| match entry {
        LogEntry::Interval(line) => Some(line),
        _ => None,
    });
    for interval in &results.intervals {
        for row in &interval.latency {
            let line = lines.next().unwrap();
            let tag = format!("trunk_{}_a/{}", row.trunk, row.phase);
            assert_eq!(line.tag().map(|tag| tag.as_str().to_owned()), Some(tag));
            assert_eq!(line.start_timestamp().as_nanos(), u128::from(interval.start_ns));
            assert_eq!(line.duration(), Duration::from_secs(1));
            let compressed = base64(line.encoded_histogram());
            let histogram = Deserializer::new().deserialize::<u64, _>(&mut &compressed[..]).unwrap();
            assert_eq!((histogram.len(), histogram.max()), (row.count, row.max_us));
            assert_eq!(histogram.value_at_quantile(0.99), row.p99_us);
        }
    }
    assert!(lines.next().is_none());
    assert_eq!(results.intervals[0].latency.len(), 6);
}

/// Decodes base64, for which the tests need no crate.
fn base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|&c| c != b'=').map(value).collect();
    let group = |four: &[u8]| {
        let bits = four.iter().fold(0u32, |bits, &digit| bits << 6 | u32::from(digit)) << (6 * (4 - four.len()));
        bits.to_be_bytes()[1..four.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}

/// One step of a random run.
#[derive(Clone, Copy, Debug)]
struct Step {
    agent: u32,
    choice: u8,
    wait_ms: u64,
    /// Whether an interval ends before this step, in the split run.
    cut: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..AGENTS, any::<u8>(), 0u64..150, prop::bool::weighted(0.2));
    let step = step.prop_map(|(agent, choice, wait_ms, cut)| Step { agent, choice, wait_ms, cut });
    prop::collection::vec(step, 1..120)
}

/// What the teller must know of an agent to tell a story that can be.
#[derive(Clone, Copy, Default)]
struct Story {
    open: Option<(Kind, u64)>,
    refusals: u32,
}

/// Tells one step to the tally of its agent.
fn tell(tally: &mut Tally, step: Step, story: &mut Story, ms: u64) {
    let who = subject(step.agent);
    match (story.open, step.choice) {
        (Some((kind, since)), 0..=49) => {
            tally.event(who, &challenged(kind, since, ms));
            tally.event(who, &Event::Request { kind });
            tally.received(who.trunk, 400);
        }
        (Some((kind, since)), choice) => {
            let status = Status::ALL[usize::from(choice) % 7];
            story.open = None;
            if status == Status::Registered {
                tally.event(who, &Event::Registered { at: at(ms), until: at(ms + 3_600_000) });
            }
            tally.event(who, &Event::Ended(attempt_end(kind, since, ms - since, status)));
            tell_of_loops(tally, who, story, status, ms);
        }
        (None, 0..=149) => {
            let kind = Kind::ALL[usize::from(step.choice) % 3];
            tally.event(who, &Event::Arrived { planned: at(ms) });
            start_attempt(tally, who, kind, ms);
            story.open = Some((kind, ms));
        }
        (None, 150..=179) => {
            tally.event(who, &Event::Ended(attempt_end(Kind::Initial, ms, 0, Status::Shed)));
        }
        (None, 180..=199) => tally.event(who, &Event::Lapsed { at: at(ms) }),
        (None, 200..=219) => {
            tally.event(who, &Event::Retired { at: at(ms) });
            tally.event(who, &Event::Unregistered { at: at(ms) });
            let ended =
                Event::UnregisterEnded { code: 200, reason: Why::Said(b"OK"), ok: true, sent: at(ms), at: at(ms) };
            tally.event(who, &ended);
        }
        (None, _) => {
            for event in [
                Event::Retransmitted { at: at(ms), first_sent: None },
                Event::LateResponse,
                Event::DuplicateResponse,
                Event::CeilingRefused,
            ] {
                tally.event(who, &event);
            }
            tally.turn(Duration::from_millis(u64::from(step.choice % 20)));
            tally.stray();
        }
    }
}

fn tell_of_loops(tally: &mut Tally, who: Subject, story: &mut Story, status: Status, ms: u64) {
    let before = story.refusals;
    story.refusals = if status == Status::Registered { 0 } else { before + 1 };
    match story.refusals {
        0 if before >= 3 => tally.event(who, &Event::LoopEnded),
        0..=2 => {}
        3 => {
            let refusal = Refusal { kind: LoopKind::ServerError, code: 503, place: Place::AfterCredentials };
            tally.event(who, &Event::LoopStarted { refusal, first_seen: at(ms), attempts: 3 });
        }
        _ => tally.event(who, &Event::LoopGrew),
    }
}

/// Plays the steps on `workers` tallies, closing where the steps say so or only at the end, and
/// reads the record.
fn play(steps: &[Step], workers: u32, split: bool) -> Results {
    let mut tallies: Vec<_> = (0..workers).map(|worker| tally(worker, workers)).collect();
    let mut stories = [Story::default(); AGENTS as usize];
    let mut intervals = Vec::new();
    let mut ms = 0;
    for step in steps {
        ms += step.wait_ms;
        if split && step.cut {
            intervals.push(close_all(&mut tallies, ms));
        }
        tallies.iter_mut().for_each(|tally| tally.sample(at(ms)));
        let worker = (step.agent % workers) as usize;
        tell(&mut tallies[worker], *step, &mut stories[step.agent as usize], ms);
    }
    intervals.push(close_all(&mut tallies, ms + 1));
    read(&record(&intervals, None)[..]).unwrap()
}

fn close_all(tallies: &mut [Tally], ms: u64) -> Interval {
    let mut parts: Vec<_> = tallies.iter_mut().map(|tally| tally.close(at(ms))).collect();
    let mut whole = parts.remove(0);
    for part in parts {
        whole.merge(part);
    }
    whole
}

/// Totals as text, without the peak: it also counts the ends of intervals, which lie where they
/// were cut.
fn totals_text(totals: &Totals) -> String {
    let latency: Vec<_> = totals.latency_us.iter().map(|(p, h)| (p, h.len(), h.min(), h.max(), h.mean())).collect();
    let Totals { attempts, sums, generator, agents, agents_registered_at_end, agents_looping, .. } = totals;
    format!("{attempts} {sums:?} {generator:?} {agents} {agents_registered_at_end} {agents_looping} {latency:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_split_over_workers_and_intervals_gives_the_same_run(steps in steps(), workers in 1u32..4) {
        let whole = play(&steps, 1, false);
        let parts = play(&steps, workers, true);
        prop_assert_eq!(totals_text(&whole.totals), totals_text(&parts.totals));
        for (one, other) in whole.trunk_totals.iter().zip(&parts.trunk_totals) {
            prop_assert_eq!(totals_text(one), totals_text(other));
        }
        prop_assert_eq!(format!("{:?}", whole.agents), format!("{:?}", parts.agents));
        prop_assert_eq!(&whole.loops, &parts.loops);
        prop_assert_eq!(&whole.responses, &parts.responses);
        prop_assert_eq!((whole.lag_us.len(), whole.lag_us.max()), (parts.lag_us.len(), parts.lag_us.max()));
        prop_assert_eq!(whole.totals.attempts, whole.totals.sums.attempts_started());
        prop_assert!(parts.totals.agents_registered_peak >= whole.totals.agents_registered_peak);
    }

    #[test]
    fn damaged_records_never_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = record(&small_run(), Some(&end()));
        for (place, value) in damage {
            *place.get_mut(&mut bytes) = value;
        }
        if let Ok(results) = read(&bytes[..]) {
            prop_assert_eq!(results.totals.attempts, results.totals.sums.attempts_started());
        }
    }

    /// Damage that the checksum does not show, as of a defective writer.
    #[test]
    fn damaged_intervals_with_a_true_checksum_never_panic(place in any::<prop::sample::Index>(), value: u8) {
        let mut bytes = record(&small_run(), None);
        let (begin, finish) = (borders(&bytes)[1], borders(&bytes)[2]);
        *place.get_mut(&mut bytes[begin + 9..finish]) = value;
        let length: [u8; 4] = bytes[begin + 1..begin + 5].try_into().unwrap();
        let crc = regstorm::record::schema::checksum(bytes[begin], length, &bytes[begin + 9..finish]);
        bytes[begin + 5..begin + 9].copy_from_slice(&crc.to_le_bytes());
        if let Ok(results) = read(&bytes[..]) {
            prop_assert_eq!(results.totals.attempts, results.totals.sums.attempts_started());
        }
    }
}

/// A thousand attempts of all agents, each successful, with the messages they take.
fn busy_turns(tally: &mut Tally, from_ms: u64) {
    for n in 0..1_000u64 {
        let who = subject((n % u64::from(AGENTS)) as u32);
        let ms = from_ms + n;
        start_attempt(tally, who, Kind::Refresh, ms);
        tally.received(who.trunk, 400);
        tally.event(who, &Event::Registered { at: at(ms + 9), until: at(ms + 60_000) });
        tally.event(who, &Event::Ended(attempt_end(Kind::Refresh, ms, 9, Status::Registered)));
        tally.turn(Duration::from_micros(50));
    }
}

#[test]
fn an_event_allocates_nothing_in_the_steady_state() {
    let mut tally = tally(0, 1);
    busy_turns(&mut tally, 0);
    assert_eq!(allocations::during(|| busy_turns(&mut tally, 1_000)), 0);
    // The next interval makes its histograms anew: two phases on each of two trunks, and the lag.
    let _ = tally.close(at(3_000));
    assert_eq!(allocations::during(|| busy_turns(&mut tally, 3_000)), 2 * u64::from(TRUNKS) + 1);
}
