//! Two runs against each other: chance is no regression, a slower or refusing registrar is one, whatever the seed; and
//! what the command says of recorded directories.
//!
//! The pairs are rehearsed in virtual time. Nothing about them is random but their seeds, which stand here.

#[path = "support/rehearsal.rs"]
mod rehearsal;
mod support;

use regstorm::diagnose::compare::{Allowance, Change, Comparison, Outcome, Run, Verdict, compare};
use regstorm::diagnose::{Finding, Judgement, findings, judge};
use regstorm::record::Results;
use rehearsal::rehearse;

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

    fn run(&self) -> Run<'_> {
        Run { results: &self.results, judgement: &self.judgement, findings: &self.findings }
    }
}

fn compared(base: &Judged, new: &Judged) -> Comparison {
    let lines = Allowance::of_run(&new.results.header).expect("lines just written");
    compare(base.run(), new.run(), &lines.expect("every new record has them"))
}

#[track_caller]
fn change<'a>(comparison: &'a Comparison, name: &str) -> &'a Change {
    comparison.figures.iter().find(|change| change.name == name).unwrap_or_else(|| panic!("no {name}: {comparison:#?}"))
}

/// 3000 agents of a registrar that takes `median` per answer, more or less: `faults` goes into its section.
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
    let line = |c: &Change| format!("{:?} {} {:?} -> {:?} {:?} p {:?}", c.outcome, c.name, c.base, c.new, c.interval, c.p);
    comparison.figures.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn twenty_pairs_of_the_same_profile_give_at_most_one_false_alarm() {
    let profile = profile("20ms", "");
    let alarms: Vec<String> = (0..20)
        .map(|pair| compared(&Judged::rehearsed(&profile, 2 * pair + 1), &Judged::rehearsed(&profile, 2 * pair + 2)))
        .inspect(|comparison| assert_eq!(comparison.reasons, [""; 0]))
        .filter(|comparison| comparison.verdict == Verdict::Regression)
        .map(|comparison| shown(&comparison))
        .collect();
    assert!(alarms.len() <= 1, "{} false alarms:\n{}", alarms.len(), alarms.join("\n\n"));
}

#[test]
fn a_tenth_slower_is_found_every_time() {
    for seed in 101..107 {
        let (base, new) = (Judged::rehearsed(&profile("20ms", ""), seed), Judged::rehearsed(&profile("22ms", ""), seed + 100));
        let comparison = compared(&base, &new);
        assert_eq!(comparison.verdict, Verdict::Regression, "seed {seed}\n{}", shown(&comparison));
        assert_eq!(change(&comparison, "register.p50").outcome, Outcome::Worse, "seed {seed}\n{}", shown(&comparison));
        let back = compared(&new, &base);
        assert_eq!(back.verdict, Verdict::NoRegression, "seed {seed}\n{}", shown(&back));
        assert_eq!(change(&back, "register.p50").outcome, Outcome::Better, "seed {seed}\n{}", shown(&back));
    }
}

#[test]
fn one_refusal_in_a_hundred_is_found_every_time() {
    let refusing = profile("20ms", "[[registrar.fault]]\nkind = \"refuse\"\nshare = 0.01\n");
    for seed in 201..207 {
        let comparison = compared(&Judged::rehearsed(&profile("20ms", ""), seed), &Judged::rehearsed(&refusing, seed + 100));
        assert_eq!(comparison.verdict, Verdict::Regression, "seed {seed}\n{}", shown(&comparison));
        assert_eq!(change(&comparison, "success_ratio").outcome, Outcome::Worse, "seed {seed}\n{}", shown(&comparison));
    }
}
