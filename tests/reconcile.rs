//! `regstorm reconcile`: a run held against what a platform with faults tells of it.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use support::platform::{MockData, MockFault, MockPlatform, SECRET, rfc3339};
use support::program::{Finished, Regstorm, command, profile};

const LIMIT: Duration = Duration::from_secs(240);

/// Twenty-five minutes in which a fifth of the agents are refused, who come as chance has it.
const RUN: &str = r#"[run]
name = "sides"
seed = 7
interval = "1s"
unregister = false

[[trunk]]
id = "nj"
registrar = "embedded"
domain = "genesyscloud.test"
agents = { count = 300, user = "agent{n:05}", password = "secret" }
reuse_nonce = false
retry = { preset = "none" }

[arrivals]
process = "poisson"
when_exhausted = "reregister"

[[load]]
rate = 3
for = "25m"

[[registrar.fault]]
kind = "refuse"
share = 0.2
code = 403
reason = "Forbidden"
"#;

/// Seconds of a run: registered and failed.
type Seconds = BTreeMap<i64, (u64, u64)>;

fn simulated(dir: &Path) -> Seconds {
    let finished = Regstorm::run(dir, &["simulate", profile(dir, RUN), "--out", "run"], LIMIT);
    assert!(finished.status.code().is_some_and(|code| code < 2), "{}", finished.stderr());
    let text = std::fs::read_to_string(dir.join("run/intervals.csv")).expect("written");
    let mut seconds = Seconds::new();
    for row in text.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let at = cells[0].parse::<jiff::Timestamp>().expect("a time").as_second();
        let count: u64 = cells[4].parse().expect("a count");
        let second = seconds.entry(at).or_default();
        match cells[3] {
            "registered" => second.0 += count,
            "authentication_failed" | "registration_rejected" => second.1 += count,
            _ => {}
        }
    }
    assert!(seconds.values().map(|second| second.1).sum::<u64>() > 500, "too few refusals to tell anything");
    seconds
}

/// What a platform tells of it whose clock is `skew_s` ahead.
fn told(seconds: &Seconds, skew_s: i64, with_challenges: bool) -> MockData {
    let mut minutes: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
    let mut events = Vec::new();
    for (at, (registered, failed)) in seconds {
        let at = at + skew_s;
        let minute = minutes.entry(at - at.rem_euclid(60)).or_default();
        let challenges = if with_challenges { registered + failed } else { 0 };
        (minute.0, minute.1) = (minute.0 + registered, minute.1 + failed + challenges);
        events.extend((0..*failed).map(|n| (at, format!("agent{n:05}"), 403, "Forbidden".to_owned())));
    }
    let count = |(start, (registered, failed)): (i64, (u64, u64))| {
        [("registered", registered), ("authentication_failed", failed)].map(|(status, n)| (start, status.to_owned(), n))
    };
    MockData {
        half_s: None,
        counts: minutes.into_iter().flat_map(count).filter(|(.., n)| *n > 0).collect(),
        events,
        state: "Active".to_owned(),
        registered: true,
        fault: MockFault::None,
        skew_s,
        page: 500,
    }
}

fn pull(dir: &Path, mock: &MockPlatform, seconds: &Seconds) {
    let first = *seconds.keys().next().expect("a second");
    let last = *seconds.keys().last().expect("a second");
    let (from, to) = (rfc3339(first), rfc3339(last + 120));
    std::fs::write(dir.join("platform.toml"), mock.profile("analytics-export")).expect("written");
    let mut with = command(dir, &["platform", "pull", "platform.toml", "--from", &from, "--to", &to]);
    with.env("MOCK_SECRET", SECRET);
    Regstorm::start_with(with).wait(LIMIT).expect_code(0);
}

fn reconcile(dir: &Path, more: &[&str]) -> Finished {
    Regstorm::run(dir, &[&["reconcile", "run", "platform"], more].concat(), LIMIT)
}

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory under /tmp")
}

#[test]
fn a_platform_with_another_clock_a_lost_minute_and_challenges_as_failures_is_seen_through() {
    let dir = temp();
    let seconds = simulated(dir.path());
    let mut data = told(&seconds, 37, true);
    let lost = data.counts[data.counts.len() / 2].0;
    data.counts.retain(|(start, ..)| *start != lost);
    data.events.retain(|(at, ..)| at - at.rem_euclid(60) != lost);
    let mock = MockPlatform::start(data);
    pull(dir.path(), &mock, &seconds);
    let finished = reconcile(dir.path(), &[]);
    finished.expect_code(1);
    let text = finished.stdout();
    assert!(text.contains("the platform's clock is 37 s ahead of ours"), "{text}");
    assert!(text.contains("counts challenges as failures"), "{text}");
    assert!(text.contains("; 1 are missing from the platform") || text.contains(", 1 are missing"), "{text}");
    let csv = reconcile(dir.path(), &["--csv"]).stdout();
    let lost = csv.lines().find(|row| row.starts_with(&rfc3339(lost))).expect("a row").to_owned();
    assert!(lost.contains(",nj,") && lost.contains(",,,missing,"), "{lost}");
    assert!(!csv.contains(",differ,"), "every other minute is explained: {csv}");
    let page = reconcile(dir.path(), &["--html"]).stdout();
    assert!(page.contains("clock.skew") && page.contains("platform.counts-challenges"), "{page}");
}

#[test]
fn minutes_that_are_told_as_they_were_agree_to_the_last_count() {
    let dir = temp();
    let seconds = simulated(dir.path());
    let mock = MockPlatform::start(told(&seconds, 0, false));
    pull(dir.path(), &mock, &seconds);
    reconcile(dir.path(), &[]).expect_code(0);
    let csv = reconcile(dir.path(), &["--csv"]).stdout();
    let rows: Vec<&str> = csv.lines().skip(1).collect();
    assert!(rows.len() >= 25, "{csv}");
    assert!(rows.iter().all(|row| row.contains(",0,agree,") || row.contains(",quiet,")), "{csv}");
    let line = reconcile(dir.path(), &["--line"]).stdout();
    assert!(line.starts_with("Both sides agree in ") && line.lines().count() == 1, "{line}");
}

#[test]
fn a_platform_that_tells_nothing_is_no_zero_and_nothing_is_concluded() {
    let dir = temp();
    let seconds = simulated(dir.path());
    let mock = MockPlatform::start(MockData { fault: MockFault::Empty, ..told(&seconds, 0, false) });
    pull(dir.path(), &mock, &seconds);
    let finished = reconcile(dir.path(), &[]);
    finished.expect_code(3);
    let text = finished.stdout();
    assert!(text.contains("It cannot be said") && text.contains("platform.blind warning open"), "{text}");
    let csv = reconcile(dir.path(), &["--csv"]).stdout();
    assert!(csv.contains(",,,unknown,") && !csv.contains(",agree,") && !csv.contains(",differ,"), "{csv}");
}
