//! Two runs against each other: chance is no regression, a slower or refusing registrar is one,
//! whatever the seed; and what the command says of recorded directories.
//!
//! The pairs are rehearsed in virtual time. Nothing about them is random but their seeds, which
//! stand here.

#[path = "support/rehearsal.rs"]
mod rehearsal;
mod support;

use regstorm::diagnose::compare::{
    AllowedChange, Comparison, FigureChange, JudgedRun, Outcome, RegressionVerdict, compare,
};
use regstorm::diagnose::{Finding, Judgement, findings, judge};
use regstorm::record::Results;
use regstorm::report::compare as report;
use regstorm::vocab::Phase;
use rehearsal::rehearse;
use serde_json::Value;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;
use support::program::{Finished, Regstorm, profile as profile_file};

/// A run as the command reads it.
struct Judged {
    results: Results,
    judgement: Judgement,
    findings: Vec<Finding>,
}

impl Judged {
    fn rehearsed(profile: &str, seed: u64) -> Judged {
        let results = rehearse(profile, seed, 0.0);
        let findings = findings(&results);
        let judgement = judge(&results, &findings, &[]);
        Judged { results, judgement, findings }
    }

    fn run(&self) -> JudgedRun<'_> {
        JudgedRun { results: &self.results, judgement: &self.judgement, findings: &self.findings }
    }
}

fn compared(base: &Judged, new: &Judged) -> Comparison {
    let lines = AllowedChange::of_run(&new.results.header).expect("lines just written");
    compare(base.run(), new.run(), &lines.expect("every new record has them"))
}

#[track_caller]
fn change<'a>(comparison: &'a Comparison, name: &str) -> &'a FigureChange {
    comparison.figures.iter().find(|change| change.name == name).unwrap_or_else(|| panic!("no {name}: {comparison:#?}"))
}

/// 3000 agents of a registrar that takes `median` per answer, more or less: `faults` goes into its
/// section.
fn profile(median: &str, faults: &str) -> String {
    format!(
        "[run]\nname = \"pair\"\ninterval = \"2s\"\nunregister = false\n\
         [[trunk]]\nid = \"nj\"\nregistrar = \"embedded\"\ndomain = \"nj.test\"\nexpires = \"1h\"\n\
         agents = {{ count = 3000, user = \"a{{n}}\", password = \"p\" }}\n\
         [[load]]\nramp = 100\nfor = \"20s\"\n[[load]]\nrate = 100\nfor = \"20s\"\n[[load]]\nhold = \"2s\"\n\
         [registrar]\npassword = \"p\"\nrealm = \"nj.test\"\n\
         [[registrar.fault]]\nkind = \"delay\"\nlognormal = {{ median = \"{median}\", sigma = 0.5 }}\n{faults}\n"
    )
}

/// Every change, one to a line, for a test that failed.
fn shown(comparison: &Comparison) -> String {
    let line = |c: &FigureChange| {
        format!("{:?} {} {:?} -> {:?} {:?} p {:?}", c.outcome, c.name, c.base, c.new, c.interval, c.p)
    };
    comparison.figures.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Pairs of each kind.
const PAIRS: u64 = 20;

/// The first of each pair: a healthy registrar under this seed's load.
fn healthy(pair: u64) -> &'static Judged {
    static RUNS: OnceLock<Vec<Judged>> = OnceLock::new();
    let runs = || (0..PAIRS).map(|pair| Judged::rehearsed(&profile("20ms", ""), pair + 1)).collect();
    &RUNS.get_or_init(runs)[pair as usize]
}

/// The second of each pair has a seed of its own, and so another load. How many regressions were
/// seen is printed.
fn regressions(what: &str, profile: &str, seeds: u64, seen: impl Fn(&Comparison) -> bool) -> Vec<bool> {
    let pairs = 0..PAIRS;
    let judged: Vec<bool> = pairs
        .map(|pair| {
            let comparison = compared(healthy(pair), &Judged::rehearsed(profile, seeds + pair));
            assert_eq!(comparison.reasons, [""; 0]);
            let regression = comparison.verdict == RegressionVerdict::Regression && seen(&comparison);
            println!("{what}, pair {pair}: {:?}, {regression}\n{}", comparison.verdict, shown(&comparison));
            regression
        })
        .collect();
    println!("{what}: a regression in {} of {PAIRS} pairs", judged.iter().filter(|seen| **seen).count());
    judged
}

#[test]
fn twenty_pairs_of_the_same_profile_give_at_most_one_false_alarm() {
    let alarms = regressions("the same again", &profile("20ms", ""), 101, |_| true);
    assert!(alarms.iter().filter(|alarm| **alarm).count() <= 1, "{alarms:?}");
}

#[test]
fn a_tenth_slower_is_found_every_time() {
    let slow = profile("22ms", "");
    let worse = |comparison: &Comparison| change(comparison, "register.p50").outcome == Outcome::Worse;
    let found = regressions("a tenth slower", &slow, 201, worse);
    assert!(found.iter().all(|found| *found), "{found:?}");
    // The other way round it is no alarm.
    for pair in 0..3 {
        let back = compared(&Judged::rehearsed(&slow, 251 + pair), healthy(pair));
        assert_eq!(back.verdict, RegressionVerdict::NoRegression, "pair {pair}\n{}", shown(&back));
        assert_eq!(change(&back, "register.p50").outcome, Outcome::Better, "pair {pair}\n{}", shown(&back));
    }
}

#[test]
fn one_refusal_in_a_hundred_is_found_every_time() {
    let refusing = profile("20ms", "[[registrar.fault]]\nkind = \"refuse\"\nshare = 0.01\n");
    let worse = |comparison: &Comparison| change(comparison, "success_ratio").outcome == Outcome::Worse;
    let found = regressions("1 % refused", &refusing, 301, worse);
    assert!(found.iter().all(|found| *found), "{found:?}");
}

/// A healthy run and one of a registrar a tenth slower.
fn slower() -> (Judged, Judged) {
    (Judged::rehearsed(&profile("20ms", ""), 401), Judged::rehearsed(&profile("22ms", ""), 402))
}

/// Failures that hang together, of one agent or of one moment, are fewer than they look.
#[test]
fn loops_and_bursts_that_both_runs_have_are_no_false_alarm() {
    let hammer = "[[registrar.fault]]\nkind = \"refuse\"\nshare = 0.02\n";
    let looping =
        profile("20ms", hammer).replace("expires = \"1h\"", "expires = \"1h\"\nretry = { preset = \"hammer\" }");
    let limit = "[[registrar.fault]]\nkind = \"rate\"\nper_second = 100\nburst = 10\n";
    let bursty = profile("20ms", limit) + "[arrivals]\nprocess = \"poisson\"\n";
    for (profile, seeds) in [(looping, 501..504), (bursty, 601..604)] {
        for seed in seeds {
            let (base, new) = (Judged::rehearsed(&profile, seed), Judged::rehearsed(&profile, seed + 50));
            let failed = base.results.totals.attempts - base.results.totals.sums.status[0];
            assert!(failed > 50, "only {failed} failures");
            let comparison = compared(&base, &new);
            assert_eq!(comparison.verdict, RegressionVerdict::NoRegression, "seed {seed}\n{}", shown(&comparison));
        }
    }
}

#[test]
fn one_outage_is_a_regression_where_there_was_none_before() {
    let outage = "[[registrar.fault]]\nkind = \"deny\"\ncode = 403\nfrom = \"20s\"\nuntil = \"22s\"\n";
    let (base, new) = (Judged::rehearsed(&profile("20ms", ""), 401), Judged::rehearsed(&profile("20ms", outage), 402));
    let comparison = compared(&base, &new);
    assert_eq!(change(&comparison, "success_ratio").outcome, Outcome::Worse, "{}", shown(&comparison));
}

#[test]
fn an_invalid_or_interrupted_run_gets_no_verdict_and_is_shown() {
    let (base, slow) = slower();
    let broken = |verdict| Judged {
        results: slow.results.clone(),
        judgement: Judgement { verdict, invalid_reasons: vec!["it stalled".to_owned()], ..slow.judgement.clone() },
        findings: slow.findings.clone(),
    };
    use regstorm::diagnose::Verdict::{Interrupted, Invalid};
    for (verdict, why) in [(Invalid, "NEW is invalid: it stalled"), (Interrupted, "NEW was interrupted")] {
        let new = broken(verdict);
        // Neither against a better run nor against itself.
        for other in [&base, &slow] {
            let comparison = compared(other, &new);
            assert_eq!(comparison.verdict, RegressionVerdict::Inconclusive, "{comparison:?}");
            let text = report::render(&pair(other, &new, &comparison));
            assert!(text.contains(&format!("!! NO VERDICT: {why}")), "{text}");
            assert!(text.contains("register.p50") && !text.contains("no regression"), "{text}");
            assert!(
                text.trim_end().lines().last().is_some_and(|line| line.starts_with("NO VERDICT: pair: NEW")),
                "{text}"
            );
        }
        let comparison = compared(&new, &base);
        assert_eq!(comparison.verdict, RegressionVerdict::Inconclusive);
        assert!(comparison.reasons[0].starts_with("BASE "), "{:?}", comparison.reasons);
    }
}

#[test]
fn what_the_generator_itself_was_late_by_is_not_held_against_the_server() {
    let (base, mut new) = slower();
    assert_eq!(change(&compared(&base, &new), "register.p50").outcome, Outcome::Worse);
    new.results.lag_us.record_n(5_000, 10_000).expect("within the bounds");
    let comparison = compared(&base, &new);
    let p50 = change(&comparison, "register.p50");
    assert_eq!(p50.outcome, Outcome::Small, "{}", shown(&comparison));
    assert!((4_990.0..5_010.0).contains(&p50.own), "{}", p50.own);
}

#[test]
fn lines_of_the_profile_decide_what_is_compared() {
    let (base, new) = slower();
    let by = |lines: &[(&str, &str)]| {
        let lines: Vec<_> =
            lines.iter().map(|(name, line)| AllowedChange::parse(name, line, &["nj"]).expect(name)).collect();
        compare(base.run(), new.run(), &lines)
    };
    assert_eq!(by(&[("register.p50", "+20%")]).verdict, RegressionVerdict::NoRegression);
    assert_eq!(by(&[("register.p50", "+5%")]).verdict, RegressionVerdict::Regression);
    assert_eq!(by(&[("register.mean", "+5%")]).verdict, RegressionVerdict::Regression);
    // The only trunk is the whole run.
    let [whole, trunk] = ["register.p90", "trunk.nj.register.p90"].map(|name| by(&[(name, "+5%")]).figures.remove(0));
    assert_eq!((whole.base, whole.new, whole.p, whole.outcome), (trunk.base, trunk.new, trunk.p, trunk.outcome));
    // Nothing to compare by is no acquittal, and neither is a figure that nobody measured.
    for lines in [&[("register.p50", "off")], &[("connect.p50", "+5%")]] {
        let comparison = by(lines);
        assert_eq!(comparison.verdict, RegressionVerdict::Inconclusive);
        assert_eq!(comparison.reasons, ["no figure of [compare] could be tested"]);
    }
    let mut header = new.results.header.clone();
    header.compare = None;
    assert_eq!(AllowedChange::of_run(&header), Ok(None), "a record from before there were lines");
}

fn pair<'a>(base: &'a Judged, new: &'a Judged, comparison: &'a Comparison) -> report::Pair<'a> {
    let side = |place: &str, of: &'a Judged| report::SideView { place: place.to_owned(), run: of.run() };
    report::Pair { base: side("results/a", base), new: side("results/b", new), comparison }
}

// ---- The command ----

/// Long against every rehearsal here, short against a hang.
const LIMIT: Duration = Duration::from_secs(60);

const SMALL: &str = "[run]\nname = \"small\"\ninterval = \"1s\"\nunregister = false\n\
    [[trunk]]\nid = \"nj\"\nregistrar = \"embedded\"\ndomain = \"nj.test\"\n\
    agents = { count = 300, user = \"a{n}\", password = \"hunter2\" }\n\
    [[load]]\nrate = 30\nfor = \"10s\"\n[thresholds]\nsuccess_ratio = \">= 0.95\"\n\
    [registrar]\npassword = \"hunter2\"\nrealm = \"nj.test\"\n";

const REFUSING: &str = "[[registrar.fault]]\nkind = \"refuse\"\nshare = 0.1\n";

/// Rehearses into `out`.
fn record(dir: &Path, out: &str, seed: u64, more: &str) {
    let (name, set) = (profile_file(dir, &format!("{SMALL}{more}")), format!("run.seed={seed}"));
    Regstorm::run(dir, &["simulate", name, "--set", &set, "--out", out], LIMIT);
    assert!(dir.join(out).join("run.json").exists(), "{out} was not recorded");
}

fn command(dir: &Path, args: &[&str]) -> Finished {
    Regstorm::run(dir, &[&["compare"][..], args].concat(), LIMIT)
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

#[test]
fn the_command_says_what_changed_and_exits_by_it() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let dir = dir.path();
    record(dir, "a", 1, "");
    record(dir, "b", 2, REFUSING);
    let same = command(dir, &["a", "a"]);
    same.expect_code(0);
    assert_eq!(
        last_line(&same.stdout()),
        "no regression: small: no change for the worse in 6 figures, 3 of them had too few attempts to tell (a against a)"
    );
    let worse = command(dir, &["a", "b"]);
    worse.expect_code(1);
    let text = worse.stdout();
    assert!(last_line(&text).starts_with("regression: small: success_ratio -"), "{text}");
    for part in
        ["WORSE", "new   ", "registrar.fault.0.kind: - -> refuse", "  seed: 1 -> 2", "1 new finding: ", "Fisher"]
    {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
    let back = command(dir, &["b", "a"]);
    back.expect_code(0);
    assert!(last_line(&back.stdout()).contains("1 finding gone"), "{}", back.stdout());
}

#[test]
fn json_and_page_say_the_same() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let dir = dir.path();
    record(dir, "a", 1, "");
    record(dir, "b", 2, REFUSING);
    let json = command(dir, &["a", "b", "--json"]);
    json.expect_code(1);
    let value: Value = serde_json::from_slice(&json.stdout).expect("JSON on stdout");
    assert_eq!(value["schema"], "regstorm.compare/1");
    assert_eq!((&value["verdict"], &value["figures"][0]["outcome"]), (&"regression".into(), &"worse".into()));
    assert_eq!(value["figures"][0]["name"], "success_ratio");
    assert!(value["figures"][0]["interval_95"][1].as_f64().is_some_and(|high| high < 0.0), "{value:#}");
    assert_eq!(value["findings"][0]["state"], "new");
    let page = command(dir, &["a", "b", "--html", "--out", "page.html"]);
    page.expect_code(1);
    assert_eq!(page.stdout().trim_end(), value["line"].as_str().expect("a line"), "only the line goes to stdout");
    let html = std::fs::read_to_string(dir.join("page.html")).expect("written");
    for part in ["<strong>Regression</strong>", "success_ratio", "registrar.fault.0.kind", "prefers-color-scheme: dark"]
    {
        assert!(html.contains(part), "{part:?} is not in the page");
    }
    for outside in ["http:", "https:", "<script", "src=", "@import"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert_eq!(html.matches("<table").count(), html.matches("</table>").count());
    assert_eq!(html.matches("<section").count(), html.matches("</section>").count());
}

#[test]
fn against_a_folder_is_against_the_last_run_of_the_name_that_passed() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let dir = dir.path();
    for (seed, out) in ["results/a", "results/b"].iter().enumerate() {
        record(dir, out, seed as u64, "");
    }
    let none = command(dir, &["--against", "results", "results/a"]);
    none.expect_code(0);
    assert!(last_line(&none.stdout()).ends_with("(results/a against results/b)"), "{}", none.stdout());
    // Refused too often for its threshold, so it did not pass.
    record(dir, "results/c", 3, REFUSING);
    record(dir, "results/d", 4, "[[load]]\nhold = \"1s\"\n");
    std::fs::write(dir.join("results/notes.txt"), "not a run").expect("our own directory");
    std::os::unix::fs::symlink("d", dir.join("results/latest")).expect("our own directory");
    let latest = command(dir, &["--against", "results"]);
    latest.expect_code(0);
    assert!(
        last_line(&latest.stdout()).ends_with("; 1 note (results/latest against results/b)"),
        "{}",
        latest.stdout()
    );
    assert!(latest.stdout().contains("note: the runs did not follow the same schedule"), "{}", latest.stdout());
    Regstorm::run(dir, &["simulate", "profile.toml", "--set", "run.name=other", "--out", "results/e"], LIMIT);
    let other = command(dir, &["--against", "results", "results/e"]);
    other.expect_code(2);
    assert!(other.stderr().contains("no earlier simulated run of \"other\" that passed"), "{}", other.stderr());
}

#[test]
fn what_cannot_be_compared_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let dir = dir.path();
    record(dir, "a", 1, "");
    for args in [&[][..], &["a"], &["a", "a", "a"], &["--html", "--json", "a", "a"], &["--against", "a", "a", "a"]] {
        let refused = command(dir, args);
        refused.expect_code(2);
        assert!(refused.stderr().contains("Usage"), "{args:?}: {}", refused.stderr());
    }
    for args in [&["a", "b"][..], &["b", "a"], &["--against", "b", "a"], &["--against", "a"]] {
        let refused = command(dir, args);
        refused.expect_code(2);
        assert!(refused.stderr().contains("there is no such directory"), "{args:?}: {}", refused.stderr());
    }
    // A run without its end was killed: it is shown, and there is no verdict.
    let bytes = std::fs::read(dir.join("a/record.bin")).expect("recorded");
    for (out, kept) in [("killed", bytes.len() - 4), ("garbage", 10)] {
        std::fs::create_dir(dir.join(out)).expect("our own directory");
        std::fs::write(dir.join(out).join("record.bin"), &bytes[..kept]).expect("our own directory");
    }
    let killed = command(dir, &["a", "killed"]);
    killed.expect_code(3);
    assert!(killed.stdout().contains("!! NO VERDICT: NEW was interrupted"), "{}", killed.stdout());
    let garbage = command(dir, &["a", "garbage"]);
    garbage.expect_code(3);
    assert!(garbage.stderr().contains("garbage/record.bin"), "{}", garbage.stderr());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(16))]
    /// Whatever the lines, a run does not differ from itself.
    #[test]
    fn a_run_is_no_worse_than_itself(
        phase in 0..Phase::COUNT, statistic in 0..6usize, percent in 0.0..50.0
    ) {
        static RUN: OnceLock<Judged> = OnceLock::new();
        let run = RUN.get_or_init(|| Judged::rehearsed(&format!("{SMALL}{REFUSING}"), 1));
        let statistic = ["mean", "p50", "p90", "p95", "p99", "p999"][statistic];
        let name = format!("{}.{statistic}", Phase::ALL[phase].as_str());
        let line = |name: &str, change: String| AllowedChange::parse(name, &change, &[]).expect("a line");
        let lines = [line(&name, format!("+{percent}%")), line("success_ratio", format!("-{percent}%"))];
        let comparison = compare(run.run(), run.run(), &lines);
        proptest::prop_assert_eq!(comparison.verdict, RegressionVerdict::NoRegression, "{}", shown(&comparison));
        proptest::prop_assert!(comparison.profile.is_empty() && comparison.environment.is_empty());
    }
}
