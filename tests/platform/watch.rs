//! `regstorm platform watch`: lines, hooks, values and the exit status as a platform changes its
//! mind, falls silent or refuses.

use super::support::clock;
use super::support::platform::{MockData, MockFault, MockPlatform, SECRET};
use super::support::program::{Finished, Regstorm, command, profile};
use super::{LIMIT, data, temp};
use serde_json::Value;
use std::path::Path;

fn start(dir: &Path, mock: &MockPlatform, more: &[&str]) -> Regstorm {
    let text = mock.profile("genesys");
    let args = [&["platform", "watch", profile(dir, &text), "--every", "200ms"], more].concat();
    let mut with = command(dir, &args);
    with.env("MOCK_SECRET", SECRET);
    Regstorm::start_with(with)
}

fn mock(registered: bool) -> MockPlatform {
    MockPlatform::start(MockData { registered, state: "active".to_owned(), ..data(MockFault::None) })
}

/// Trunk and state of each whole line so far.
fn states(said: &str) -> Vec<String> {
    let whole = said.rfind('\n').map_or("", |end| &said[..end]);
    whole.lines().filter_map(|line| line.split("  ").nth(2)).map(str::to_owned).collect()
}

fn until(watch: &Regstorm, wanted: &[&str]) {
    clock::until(&format!("{wanted:?}"), LIMIT, || {
        let said = states(&watch.stdout_so_far());
        assert!(said.len() <= wanted.len() && said.iter().zip(wanted).all(|(said, wanted)| said == wanted), "{said:?}");
        (said.len() == wanted.len()).then_some(())
    });
}

fn end(watch: Regstorm) -> Finished {
    watch.signal("INT");
    let finished = watch.wait(LIMIT);
    let said = finished.stdout() + &finished.stderr();
    assert!(!said.contains(SECRET) && !said.contains("-secret"), "a secret is shown: {said}");
    finished
}

#[test]
fn every_change_is_a_line_and_a_hook_and_unknown_is_neither_go_nor_zero() {
    let dir = temp();
    let mock = mock(true);
    let hook = "echo \"$REGSTORM_PLATFORM $REGSTORM_TRUNK $REGSTORM_STATE\" >> hook.log";
    let watch = start(dir.path(), &mock, &["--hook", hook, "--metric-file", "platform.prom"]);
    let values = || std::fs::read_to_string(dir.path().join("platform.prom")).unwrap_or_default();
    let until_value = |value: &str| clock::until(value, LIMIT, || values().contains(value).then_some(()));
    until(&watch, &["go"]);
    until_value("regstorm_platform_trunk_registered{platform=\"gc\",trunk=\"nj\"} 1\n");
    mock.change(|data| data.registered = false);
    until(&watch, &["go", "no-go"]);
    until_value("regstorm_platform_trunk_registered{platform=\"gc\",trunk=\"nj\"} 0\n");
    for fault in [MockFault::Empty, MockFault::Forbidden] {
        mock.change(|data| data.fault = fault);
        until_value("regstorm_platform_trunk_known{platform=\"gc\",trunk=\"nj\"} 0\n");
        assert!(!values().contains("trunk_registered{"), "{}", values());
    }
    until(&watch, &["go", "no-go", "unknown"]);
    mock.change(|data| (data.fault, data.registered) = (MockFault::None, true));
    until(&watch, &["go", "no-go", "unknown", "go"]);
    until_value("regstorm_platform_trunk_flips{platform=\"gc\",trunk=\"nj\"} 2\n");
    let finished = end(watch);
    finished.expect_code(0);
    let lines: Vec<String> = finished.stdout().lines().map(str::to_owned).collect();
    assert!(
        lines[1].contains("  nj  no-go  active, not registered since ") && lines[1].ends_with("(1 change)"),
        "{lines:?}"
    );
    assert!(lines[1].contains("403 Forbidden"), "{lines:?}");
    let told = std::fs::read_to_string(dir.path().join("hook.log")).expect("written by the hook");
    assert_eq!(told, "gc nj go\ngc nj no-go\ngc nj unknown\ngc nj go\n");
}

#[test]
fn a_platform_that_says_nothing_is_unknown_and_ends_nothing() {
    let dir = temp();
    let mock = mock(true);
    let watch = start(dir.path(), &mock, &[]);
    until(&watch, &["go"]);
    mock.change(|data| data.fault = MockFault::Hangs);
    until(&watch, &["go", "unknown"]);
    let finished = end(watch);
    finished.expect_code(1);
    assert!(finished.stdout().contains("has not answered for too long"), "{}", finished.stdout());
}

#[test]
fn a_trunk_that_comes_and_goes_is_told_with_its_period() {
    let dir = temp();
    let mock = MockPlatform::start(MockData { half_s: Some(3), state: "active".to_owned(), ..data(MockFault::None) });
    let watch = start(dir.path(), &mock, &["--json"]);
    let told = clock::until("a period", LIMIT, || {
        let said = watch.stdout_so_far();
        let whole = said.rfind('\n').map_or("", |end| &said[..end]);
        let mut lines = whole.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
        lines.rfind(|line| line["period_s"].is_number())
    });
    let of = |key: &str| told[key].as_f64().unwrap_or_default();
    assert!((5.0..7.0).contains(&of("period_s")) && (2.0..4.0).contains(&of("down_s")), "{told}");
    assert!(told["flips"].as_u64() >= Some(3) && told["next"].as_str() > told["time"].as_str(), "{told}");
    end(watch);
}

#[test]
fn it_ends_by_itself_and_says_how_it_stood() {
    let dir = temp();
    let mock = mock(false);
    let finished = start(dir.path(), &mock, &["--for", "8s"]).wait(LIMIT);
    finished.expect_code(1);
    assert_eq!(states(&finished.stdout()), ["no-go"]);
    let missing = Regstorm::run(dir.path(), &["platform", "watch", "profile.toml", "--for", "1s"], LIMIT);
    missing.expect_code(2);
    assert!(missing.stderr().contains("export MOCK_SECRET"), "{}", missing.stderr());
}
