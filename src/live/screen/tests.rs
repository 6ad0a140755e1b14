//! What the screen says of a run, cell by cell, without a terminal.

use super::*;
use crate::measure::{GeneratorCounts, Glance, Spread};
use crate::vocab::{Phase, Severity, Speed, Status};
use proptest::prelude::*;
use ratatui::Terminal as Cells;
use ratatui::backend::TestBackend;
use std::time::Duration;

fn opening(trunks: usize) -> Opening {
    Opening {
        name: "storm".to_owned(),
        facts: "60 agents on 2 trunks to 127.0.0.1:5060".to_owned(),
        trunks: (0..trunks).map(|n| (format!("trunk_{n:03}"), 30)).collect(),
        arrivals: 60,
        workers: 2,
        interval: Duration::from_secs(10),
    }
}

/// Trunk n has n failures and 30 that went well.
fn glances(trunks: usize) -> Vec<Glance> {
    (0..trunks as u64)
        .map(|n| {
            let mut glance = Glance { arrivals: 30, open: 1, planned: 30, registered: 29, ..Glance::default() };
            glance.status[Status::Registered.index()] = 30;
            glance.status[Status::ServiceUnavailable.index()] = n;
            glance
        })
        .collect()
}

fn moment(seconds: u64, glances: Vec<Glance>) -> Moment {
    let progress = Some(StageProgress { done: 0.5, left: Some(Duration::from_secs(7)) });
    let stage = StageNow { label: "2/3 rate 50/s".to_owned(), progress, load_left: Some(Duration::from_secs(67)) };
    Moment { elapsed: Duration::from_secs(seconds), stage, due: 60, rate: 50.0, glances }
}

fn digest(p99: u64) -> Digest {
    let spread = Spread { count: 10, p50: p99 / 2, p90: p99 / 2, p99, max: p99 };
    Digest {
        start_ns: 0,
        end_ns: 10_000_000_000,
        phases: vec![(Phase::Register, spread)],
        trunk_p99_us: vec![Some(p99); 3],
        lag_p99_us: Some(40),
        generator: GeneratorCounts { arrivals_late: 3, cpu_ns: 2_000_000_000, ..GeneratorCounts::default() },
    }
}

fn scene(trunks: usize) -> Scene {
    let mut scene = Scene::new(opening(trunks));
    scene.moment(moment(1, glances(trunks)));
    scene
}

fn finding(severity: Severity, id: &str) -> FindingLine {
    let (summary, advice) = ("everybody is refused, from the first attempt on".to_owned(), "ask why".to_owned());
    FindingLine {
        severity,
        id: id.to_owned(),
        trunk: "trunk_001".to_owned(),
        summary,
        advice,
        evidence: "60 of 60".to_owned(),
    }
}

fn shown(scene: &mut Scene, width: u16, height: u16) -> Vec<String> {
    let mut cells = Cells::new(TestBackend::new(width, height)).expect("no terminal is needed");
    let palette = Palette::new(Depth::None);
    cells.draw(|frame| draw(scene, palette, frame.area(), frame.buffer_mut())).expect("no terminal is needed");
    let buffer = cells.backend().buffer();
    let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..height).map(row).collect()
}

#[track_caller]
fn line<'a>(lines: &'a [String], start: &str) -> &'a str {
    lines.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start:?} in\n{}", lines.join("\n")))
}

#[test]
fn the_head_says_where_the_run_is() {
    let lines = shown(&mut scene(2), 80, 24);
    assert!(lines[0].starts_with("regstorm  storm") && lines[0].ends_with("● running      0:01"), "{}", lines[0]);
    let stage = line(&lines, "stage");
    assert!(stage.contains("2/3 rate 50/s") && stage.contains("0:07 left"), "{stage}");
    assert!(stage.ends_with("load     1:07 left"), "{stage}");
    assert_eq!(line(&lines, "arrivals"), "arrivals           60 due        60 begun of        60      50.0/s");
    assert!(line(&lines, "registered").contains("58 of        60 planned   96.7 %        2 open"));
}

#[test]
fn a_canary_that_fails_stays_on_the_screen_until_it_registers() {
    let mut scene = scene(2);
    scene.canary(1, Some(true), "trunk trunk_001: the canary, c, did not register: 403 Forbidden");
    scene.canary(0, None, "trunk trunk_000: the canary: 192.0.2.1 did not answer, 192.0.2.2 does");
    scene.say("something else");
    let all = (0..20).map(|_| finding(Severity::Critical, "refused")).collect();
    scene.found(all, Health::Valid, Vec::new(), Duration::ZERO);
    let lines = shown(&mut scene, 80, 24);
    assert!(line(&lines, "✖ canary").contains("did not register: 403 Forbidden"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("✖ critical")), "and what was found: {lines:#?}");
    assert!(!lines.iter().any(|line| line.starts_with("● canary")), "where there is room for it");
    scene.canary(1, Some(false), "trunk trunk_001: the canary, c, registers again after 2 failed checks");
    scene.canary(0, Some(true), "trunk trunk_000: the canary, c, did not register: no answer");
    scene.canary(0, None, "trunk trunk_000: the canary: it keeps its address: none other");
    scene.found(Vec::new(), Health::Valid, Vec::new(), Duration::ZERO);
    let lines = shown(&mut scene, 120, 40);
    assert!(line(&lines, "✖ canary").contains("it keeps its address"), "it fails still: {lines:#?}");
    assert!(line(&lines, "● canary").contains("registers again after 2 failed checks"), "{lines:#?}");
    assert!(lines.iter().any(|line| line == "● none"), "{lines:#?}");
}

#[test]
fn rates_are_of_the_last_seconds() {
    let mut scene = scene(2);
    let mut later = glances(2);
    later[1].status[Status::ServiceUnavailable.index()] += 10;
    scene.moment(moment(3, later));
    let lines = shown(&mut scene, 80, 24);
    assert_eq!(line(&lines, "✖ service_unavailable").split_whitespace().collect::<Vec<_>>()[2..4], ["11", "5.0"]);
    assert!(line(&lines, "✖ trunk_001").contains("26.8 %"), "it fails now");
    assert!(line(&lines, "● trunk_000").contains("0.0 %"));
    scene.moment(moment(60, glances(2)));
    scene.moment(moment(61, glances(2)));
    assert!(shown(&mut scene, 80, 24).iter().any(|line| line.starts_with("▲ trunk_001")), "it has failed");
}

#[test]
fn trunks_are_sorted_by_any_column_either_way_and_scroll() {
    let mut scene = scene(200);
    let first = |lines: &[String]| {
        let heading = lines.iter().position(|line| line.contains("agents  planned")).expect("the table");
        lines[heading + 1].split_whitespace().nth(1).map(str::to_owned)
    };
    assert_eq!(first(&shown(&mut scene, 80, 24)).as_deref(), Some("trunk_199"), "most failed first");
    scene.act(Act::Reverse);
    assert_eq!(first(&shown(&mut scene, 80, 24)).as_deref(), Some("trunk_000"));
    scene.act(Act::Page(1));
    let lines = shown(&mut scene, 80, 24);
    assert_eq!(first(&lines).as_deref(), Some("trunk_004"), "a page is what is seen");
    assert!(lines.iter().any(|line| line.contains("trunks 5-8 of 200, least failed first")), "{}", lines.join("\n"));
    scene.act(Act::Last);
    assert_eq!(first(&shown(&mut scene, 80, 24)).as_deref(), Some("trunk_196"), "the last page is full");
    scene.act(Act::Scroll(-1));
    assert_eq!(first(&shown(&mut scene, 80, 24)).as_deref(), Some("trunk_195"));
    for _ in 0..2 {
        scene.act(Act::SortByNext);
    }
    assert_eq!(scene.sort, TrunkColumn::P99);
    scene.act(Act::SortByNext);
    assert_eq!(first(&shown(&mut scene, 80, 24)).as_deref(), Some("trunk_000"), "as in the profile");
}

#[test]
fn latencies_stay_until_there_are_newer_ones() {
    let mut scene = scene(3);
    assert!(shown(&mut scene, 80, 24).iter().any(|line| line.contains("after the first interval, 0:10")));
    scene.interval(digest(4_200));
    scene.interval(Digest { phases: Vec::new(), trunk_p99_us: vec![None; 3], ..digest(1) });
    let lines = shown(&mut scene, 80, 24);
    assert!(lines.iter().any(|line| line.ends_with("register     2.10  2.10  4.20  4.20")), "{}", lines.join("\n"));
    assert!(lines.iter().any(|line| line.contains("p99 by interval, at most 4.20 ms")));
    assert!(lines.iter().any(|line| line.contains('█')));
    assert!(line(&lines, "▲ trunk_002").ends_with("4.20"));
    let health = line(&lines, "○ generator");
    assert!(health.contains("late    6") && health.ends_with("lag p99  0.04 ms  cpu 10.0 %"), "{health}");
}

#[test]
fn findings_come_with_advice_where_there_is_room() {
    let mut scene = scene(2);
    let found = |scene: &mut Scene, lines| {
        scene.found(lines, Health::Suspect, vec!["2 of 60 arrivals left late".to_owned()], Duration::from_millis(3));
    };
    found(&mut scene, vec![finding(Severity::Critical, "limit.concurrent")]);
    let lines = shown(&mut scene, 80, 24);
    assert!(line(&lines, "✖ critical limit.concurrent trunk_001 everybody is").len() > 60);
    assert!(lines.iter().any(|line| line.trim() == "→ ask why"));
    assert!(line(&shown(&mut scene, 160, 24), "▲ generator suspect").ends_with("2 of 60 arrivals left late"));
    found(&mut scene, (0..30).map(|n| finding(Severity::Warning, &format!("drift.{n}"))).collect());
    let lines = shown(&mut scene, 80, 24);
    assert!(lines.iter().any(|line| line.contains("findings so far: 30")));
    assert!(lines.iter().any(|line| line.trim() == "and 26 more"), "{}", lines.join("\n"));
    found(&mut scene, Vec::new());
    assert!(shown(&mut scene, 80, 24).iter().any(|line| line == "● none"));
}

#[test]
fn a_changed_load_is_told_from_the_profiles() {
    let mut scene = scene(2);
    scene.intervened(Speed::STILL);
    let lines = shown(&mut scene, 80, 24);
    assert!(lines[0].contains("■ PAUSED") && lines[23].contains("p go on"), "{}", lines.join("\n"));
    scene.intervened(Speed(110));
    let lines = shown(&mut scene, 80, 24);
    assert!(lines[0].contains("▲ × 1.1") && line(&lines, "arrivals").ends_with("changed 2×"));
    scene.stopping();
    assert!(shown(&mut scene, 80, 24)[0].contains("■ ending"));
}

#[test]
fn a_small_terminal_is_told_so() {
    let lines = shown(&mut scene(2), 79, 24);
    assert_eq!(lines[..3], ["80 by 24 cells are needed", "here are 79 by 24", "the run goes on; q ends it"]);
}

#[test]
fn every_key_of_the_foot_is_in_the_help() {
    let mut scene = scene(2);
    scene.act(Act::Help);
    let lines = shown(&mut scene, 80, 24);
    for key in ["│ q ", "│ p, space", "│ +  -", "│ s  r", "│ up down", "│ ? "] {
        assert!(lines.iter().any(|line| line.contains(key)), "{key} in\n{}", lines.join("\n"));
    }
    scene.act(Act::Dismiss);
    assert!(!shown(&mut scene, 80, 24).iter().any(|line| line.contains("│ q ")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// No size, no number and no text breaks the drawing, and nothing is drawn twice as wide as it
    /// is.
    #[test]
    fn any_scene_fits_any_terminal(
        width in 1u16..220, height in 1u16..80, trunks in 0usize..230, help in any::<bool>(), scroll in -300i32..300,
        huge in any::<u64>(), found in 0usize..40, text in "\\PC{0,80}",
    ) {
        let mut scene = scene(trunks);
        let mut many = glances(trunks);
        many.iter_mut().for_each(|glance| (glance.planned, glance.open) = (huge / 1_000, huge / 2_000));
        scene.moment(moment(huge % 1_000_000, many));
        scene.interval(digest(huge % 130_000_000));
        let mut line = finding(Severity::Info, "drift");
        (line.summary, line.advice) = (text.clone(), text.clone());
        scene.found(vec![line; found], Health::Invalid, vec![text.clone()], Duration::ZERO);
        scene.say(&text);
        if help {
            scene.act(Act::Help);
        }
        scene.act(Act::Scroll(scroll));
        prop_assert_eq!(shown(&mut scene, width, height).len(), usize::from(height));
    }
}

#[test]
fn agents_that_nobody_reaches_are_shown_where_there_are_any() {
    let mut scene = scene(2);
    let mut later = glances(2);
    later[1].cut_off = 7;
    scene.moment(moment(3, later));
    let lines = shown(&mut scene, 80, 24);
    assert!(line(&lines, "registered").contains("2 open  7 unconnected"), "{}", line(&lines, "registered"));
}
