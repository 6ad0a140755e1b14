//! `regstorm platform` against a platform that plays faults: every trap that pages, limits,
//! permissions and clocks set, and that no secret is shown.

#[path = "platform/credentials.rs"]
mod credentials;
mod support;
#[path = "platform/watch.rs"]
mod watch;

use std::path::Path;
use std::time::Duration;
use support::platform::{MockData, MockFault, MockPlatform, SECRET, now_s, rfc3339};
use support::program::{Finished, Regstorm, command, profile};

const LIMIT: Duration = Duration::from_secs(60);
/// A window in the past, so that nothing in it is young.
const FROM: i64 = 1_790_000_040;
const MINUTES: i64 = 10;

fn data(fault: MockFault) -> MockData {
    let counts = (0..MINUTES).flat_map(|minute| {
        [("registered", 40), ("authentication_failed", 10 + minute as u64)]
            .map(|(status, count)| (FROM + 60 * minute, status.to_owned(), count))
    });
    let events =
        (0..60 * MINUTES).map(|second| (FROM + second, format!("agent{:03}", second % 7), 403, "Forbidden".to_owned()));
    MockData {
        counts: counts.collect(),
        events: events.collect(),
        state: "Active".to_owned(),
        registered: true,
        fault,
        skew_s: 0,
        page: 100,
        half_s: None,
    }
}

fn platform(dir: &Path, args: &[&str], text: &str) -> Finished {
    let mut with = command(dir, &[&["platform", args[0], profile(dir, text)], &args[1..]].concat());
    with.env("MOCK_SECRET", SECRET);
    let finished = Regstorm::start_with(with).wait(LIMIT);
    let said = finished.stdout() + &finished.stderr();
    assert!(!said.contains(SECRET) && !said.contains("-secret"), "a secret is shown: {said}");
    finished
}

fn pull(dir: &Path, mock: &MockPlatform, kind: &str) -> Finished {
    let (from, to) = (rfc3339(FROM), rfc3339(FROM + 60 * MINUTES));
    platform(dir, &["pull", "--from", &from, "--to", &to], &mock.profile(kind))
}

fn rows(dir: &Path, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join("platform").join(file)).expect("written");
    text.lines().map(str::to_owned).collect()
}

/// Everything is there: each count once, each event once.
#[track_caller]
fn expect_all(dir: &Path) {
    let counts = rows(dir, "counts.csv");
    assert_eq!(counts.len(), 1 + 2 * MINUTES as usize, "{counts:#?}");
    let of_first = format!("{},60.0,nj,authentication_failed,10,false", rfc3339(FROM));
    assert_eq!(counts[1], of_first);
    assert_eq!(rows(dir, "events.jsonl").len(), 60 * MINUTES as usize);
}

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory under /tmp")
}

#[test]
fn the_last_page_ends_however_its_link_is_wrong_and_nothing_is_lost_or_counted_twice() {
    for fault in [
        MockFault::NoNext,
        MockFault::NullNext,
        MockFault::SelfNext,
        MockFault::Repeats,
        MockFault::Beyond,
        MockFault::EmptyLast,
    ] {
        let dir = temp();
        let mock = MockPlatform::start(MockData { page: 7, ..data(fault) });
        pull(dir.path(), &mock, "analytics-export").expect_code(0);
        expect_all(dir.path());
        // 20 counts and 601 events on pages of 7, a state and a token; one more where it must be
        // asked to be known as the last.
        let asked = mock.asked().len();
        assert!((91..=94).contains(&asked), "{fault:?}: {asked} requests");
    }
}

#[test]
fn what_is_too_large_is_asked_in_halves() {
    let dir = temp();
    let mock = MockPlatform::start(data(MockFault::TooLarge(3)));
    let finished = pull(dir.path(), &mock, "analytics-export");
    finished.expect_code(0);
    assert!(
        finished.stdout().contains("counts: too much for one answer (413), so the window was halved"),
        "{}",
        finished.stdout()
    );
    expect_all(dir.path());
}

#[test]
fn a_platform_that_is_busy_is_waited_for_with_and_without_a_time() {
    for after in [Some(1), None] {
        let dir = temp();
        let mock = MockPlatform::start(data(MockFault::Busy(1, after)));
        pull(dir.path(), &mock, "analytics-export").expect_code(0);
        expect_all(dir.path());
    }
}

#[test]
fn empty_lists_are_unknown_and_never_zero() {
    for kind in ["analytics-export", "genesys"] {
        let dir = temp();
        let mock = MockPlatform::start(data(MockFault::Empty));
        let finished = pull(dir.path(), &mock, kind);
        finished.expect_code(0);
        assert!(finished.stdout().contains("unknown: an empty list"), "{}", finished.stdout());
        assert_eq!((rows(dir.path(), "counts.csv").len(), rows(dir.path(), "events.jsonl").len()), (1, 0));
        let check = platform(dir.path(), &["check"], &mock.profile(kind));
        check.expect_code(1);
        assert!(check.stdout().contains("cannot show: "), "{}", check.stdout());
    }
}

#[test]
fn a_missing_permission_is_told_in_the_platforms_words() {
    let dir = temp();
    let mock = MockPlatform::start(data(MockFault::Forbidden));
    let finished = pull(dir.path(), &mock, "analytics-export");
    finished.expect_code(3);
    assert!(finished.stdout().contains("Missing: analytics:read"), "{}", finished.stdout());
    platform(dir.path(), &["check"], &mock.profile("analytics-export")).expect_code(1);
}

#[test]
fn a_token_that_ends_is_renewed_once() {
    let dir = temp();
    let mock = MockPlatform::start(data(MockFault::TokenEnds(2)));
    pull(dir.path(), &mock, "analytics-export").expect_code(0);
    expect_all(dir.path());
    assert_eq!(mock.asked().iter().filter(|asked| asked.ends_with("/oauth/token")).count(), 2);
}

#[test]
fn the_newest_minutes_are_provisional() {
    let dir = temp();
    let minute = now_s() - now_s() % 60;
    let counts = [20, 10, 2].map(|ago| (minute - 60 * ago, "registered".to_owned(), 5));
    let mock = MockPlatform::start(MockData { counts: counts.into(), ..data(MockFault::Late(240)) });
    platform(dir.path(), &["pull", "--from", "30m"], &mock.profile("analytics-export")).expect_code(0);
    let of = |fault| {
        let dir = temp();
        let counts = [20, 10, 2].map(|ago| (minute - 60 * ago, "registered".to_owned(), 5));
        let mock = MockPlatform::start(MockData { counts: counts.into(), ..data(fault) });
        platform(dir.path(), &["pull", "--from", "30m"], &mock.profile("analytics-export")).expect_code(0);
        let marks = |row: &String| row.ends_with(",true");
        rows(dir.path(), "counts.csv").iter().skip(1).map(marks).collect::<Vec<_>>()
    };
    assert_eq!(of(MockFault::Late(240)), [false, false]);
    assert_eq!(of(MockFault::None), [false, false, true]);
}

#[test]
fn a_clock_that_is_off_is_told_and_which_one_is_left_open() {
    let dir = temp();
    let mock = MockPlatform::start(MockData { skew_s: 37, ..data(MockFault::None) });
    let check = platform(dir.path(), &["check", "--json"], &mock.profile("analytics-export"));
    let told: serde_json::Value = serde_json::from_slice(&check.stdout).expect("JSON");
    let off = told["clock_off_s"].as_f64().expect("known");
    assert!((off - 37.0).abs() < 1.5, "{told:#}");
    let text = platform(dir.path(), &["check"], &mock.profile("analytics-export")).stdout();
    assert!(text.contains("ahead of ours") && text.contains("which of them is right cannot be told"), "{text}");
}

#[test]
fn a_dialect_tells_active_from_registered_and_its_messages_are_diagnosed() {
    let dir = temp();
    let mock = MockPlatform::start(MockData { state: "active".to_owned(), registered: false, ..data(MockFault::None) });
    pull(dir.path(), &mock, "genesys").expect_code(0);
    let states = rows(dir.path(), "states.csv");
    assert!(states[1].contains(",nj,") && states[1].contains(",active,false,"), "{states:?}");
    assert!(states[1].contains("403 Forbidden"), "{states:?}");
    let diagnosed = Regstorm::run(dir.path(), &["diagnose", "platform/events.jsonl"], LIMIT);
    assert!(diagnosed.stdout().contains("loop.403"), "{}\n{}", diagnosed.stdout(), diagnosed.stderr());
}

#[test]
fn what_was_pulled_is_what_diagnose_reads() {
    let dir = temp();
    let mock = MockPlatform::start(data(MockFault::NoNext));
    pull(dir.path(), &mock, "analytics-export").expect_code(0);
    let diagnosed = Regstorm::run(dir.path(), &["diagnose", "platform/events.jsonl"], LIMIT);
    assert!(diagnosed.stdout().contains("loop.403"), "{}\n{}", diagnosed.stdout(), diagnosed.stderr());
    // Nothing that was pulled is lost to another pull.
    let again = pull(dir.path(), &mock, "analytics-export");
    again.expect_code(2);
    assert!(again.stderr().contains("--out"), "{}", again.stderr());
}

#[test]
fn nothing_is_asked_of_a_host_that_is_not_allowed_or_without_the_secret() {
    let dir = temp();
    let mock = MockPlatform::start(data(MockFault::None));
    let text = mock.profile("analytics-export");
    let closed = text.replace("allow_platforms = [\"127.0.0.1\"]", "");
    let finished = platform(dir.path(), &["check"], &closed);
    finished.expect_code(2);
    assert!(finished.stderr().contains("allow_platforms = [\"127.0.0.1\"]"), "{}", finished.stderr());
    let finished = Regstorm::run(dir.path(), &["platform", "check", profile(dir.path(), &text)], LIMIT);
    finished.expect_code(2);
    assert!(finished.stderr().contains("export MOCK_SECRET"), "{}", finished.stderr());
    assert!(mock.asked().is_empty(), "{:?}", mock.asked());
    // A secret that is wrong gets no token, and everything ends there.
    let mut wrong = command(dir.path(), &["platform", "check", "profile.toml"]);
    wrong.env("MOCK_SECRET", "other");
    let finished = Regstorm::start_with(wrong).wait(LIMIT);
    finished.expect_code(3);
    assert!(finished.stderr().contains("it gives no token: 401"), "{}", finished.stderr());
}

#[test]
fn no_secret_is_in_any_file() {
    let dir = temp();
    let mock = MockPlatform::start(data(MockFault::None));
    pull(dir.path(), &mock, "analytics-export").expect_code(0);
    let mut folders = vec![dir.path().join("platform")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            files += 1;
            let text = String::from_utf8_lossy(&std::fs::read(entry.path()).expect("readable")).into_owned();
            assert!(!text.contains(SECRET) && !text.contains("token-1"), "{}", entry.path().display());
        }
    }
    assert!(files >= 7, "{files} files");
}
