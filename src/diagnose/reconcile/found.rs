//! What follows from the minutes laid side by side, as findings.

use super::{CountingRule, MinuteRow, MinuteState, SkewBasis, SkewFound};
use crate::diagnose::Finding;
use crate::diagnose::findings::{Draft, Rival, confidence, counted};
use crate::record::Results;
use crate::record::platform::PlatformRecord;
use crate::vocab::{Confidence, Severity};

/// How far `Date` and the correlation may be apart and still mean the same shift.
const SAME_SHIFT_S: f64 = 2.0;
/// Attempts of ours in minutes that are not told, from which on that is worth a word.
const MANY_UNTOLD: u64 = 20;
/// Minutes that agree before the newest ones are called late.
const AGREEING: usize = 5;

pub(super) fn findings(
    results: &Results,
    platform: &PlatformRecord,
    rows: &[MinuteRow],
    skew: Option<SkewFound>,
    rules: &[(String, CountingRule)],
) -> Vec<Finding> {
    let mut drafts: Vec<Draft> = skew.map(clock_skew).into_iter().collect();
    for (trunk, header) in (0u16..).zip(&results.header.trunks) {
        let own: Vec<&MinuteRow> = rows.iter().filter(|row| row.trunk == trunk).collect();
        let rule = rules.iter().find(|(id, _)| *id == header.id).map(|(_, rule)| *rule);
        let all = [
            rule.filter(|rule| rule.has_challenges()).map(|rule| counts_challenges(trunk, rule, &own)),
            blind(trunk, rows, &own),
            lags(trunk, &own),
            cached(trunk, &header.id, platform, &own),
        ];
        drafts.extend(all.into_iter().flatten());
    }
    drafts.into_iter().map(|draft| draft.finish(&results.header)).collect()
}

fn clock_skew(skew: SkewFound) -> Draft {
    let mut draft = Draft::new("clock.skew", Severity::Warning, None);
    let way = if skew.seconds > 0 { "ahead of" } else { "behind" };
    draft.summary =
        format!("the platform's clock is {} s {way} ours; which of them is right cannot be told", skew.seconds.abs());
    let unit = if skew.basis == SkewBasis::Seconds { "second" } else { "minute" };
    draft.evidence.push(format!(
        "refusals by {unit} correlate with {:.2} at this shift, {:.0} standard deviations above all others within 300 s",
        skew.correlation, skew.sigmas
    ));
    draft.confidence = Confidence::Medium;
    if let Some((seconds, within)) = skew.by_date {
        draft.evidence.push(format!("the Date of its answers is {seconds:.0} s from our clock, within {within:.1} s"));
        if (seconds - skew.seconds as f64).abs() <= within + SAME_SHIFT_S {
            draft.confidence = Confidence::High;
            draft.excludes(Rival::Lag, "not late stamps: the Date of its answers is off by as much");
        }
    }
    draft
}

fn counts_challenges(trunk: u16, rule: CountingRule, rows: &[&MinuteRow]) -> Draft {
    let fitting: Vec<&&MinuteRow> = rows.iter().filter(|row| row.state == MinuteState::Explained).collect();
    let against = rows.iter().filter(|row| row.state == MinuteState::Differ).count();
    let sum = |of: &dyn Fn(&MinuteRow) -> u64| fitting.iter().map(|row| of(row)).sum::<u64>();
    let (ours, theirs) = (sum(&|row| row.ours.failed), sum(&|row| row.theirs.failed.unwrap_or(0)));
    let mut draft = Draft::new("platform.counts-challenges", Severity::Info, Some(trunk));
    draft.attempts = theirs.saturating_sub(ours);
    draft.summary = format!("the platform {}: {theirs} failures where our phones met {ours} refusals", rule.in_words());
    draft.evidence.push(format!(
        "it fits in {} of {} minutes, with {} challenges in them",
        fitting.len(),
        fitting.len() + against,
        sum(&|row| row.ours.challenged)
    ));
    draft.confidence = confidence(fitting.len() as u64, against as u64);
    if fitting.len() >= AGREEING {
        draft.excludes(Rival::OtherPhones, "not others' failures: they follow our challenges minute for minute");
    }
    draft
}

fn blind(trunk: u16, all: &[MinuteRow], rows: &[&MinuteRow]) -> Option<Draft> {
    let untold = |row: &&&MinuteRow| matches!(row.state, MinuteState::Missing | MinuteState::Unknown);
    let attempts: u64 = rows.iter().filter(untold).map(|row| row.ours.registered + row.ours.failed).sum();
    if attempts < MANY_UNTOLD || rows.iter().any(|row| row.state.is_compared()) {
        return None;
    }
    let mut draft = Draft::new("platform.blind", Severity::Warning, Some(trunk));
    draft.attempts = attempts;
    draft.summary = format!("the platform tells nothing of {attempts} attempts that our phones had answered");
    draft
        .evidence
        .push(format!("{} without anything of it", counted(rows.iter().filter(untold).count() as u64, "minute")));
    draft.confidence = Confidence::Medium;
    if all.iter().any(|row| row.trunk != trunk && row.state.is_compared()) {
        draft.excludes(Rival::Permission, "no missing permission: the same source tells of another trunk");
    }
    Some(draft)
}

/// The newest minutes are short, and those before them agree.
fn lags(trunk: u16, rows: &[&MinuteRow]) -> Option<Draft> {
    let compared: Vec<&&MinuteRow> = rows.iter().filter(|row| row.state.is_compared()).collect();
    let short = |row: &&&&MinuteRow| {
        row.state == MinuteState::Differ && row.their_total().is_some_and(|theirs| theirs < row.our_total())
    };
    let late = compared.iter().rev().take_while(short).count();
    let before = &compared[..compared.len() - late];
    if late == 0 || before.len() < AGREEING || before.iter().any(|row| row.state != MinuteState::Agree) {
        return None;
    }
    let newest = compared.last().map_or(0, |row| row.start_s);
    let missing_before = rows.iter().any(|row| row.state == MinuteState::Missing && row.start_s < newest);
    let mut draft = Draft::new("platform.lags", Severity::Info, Some(trunk));
    let short_by: u64 =
        compared[before.len()..].iter().map(|row| row.our_total().saturating_sub(row.their_total().unwrap_or(0))).sum();
    draft.attempts = short_by;
    draft.summary = format!("the platform's newest {} lack {short_by} attempts", counted(late as u64, "minute"));
    draft.evidence.push(format!("the {} before agree", counted(before.len() as u64, "minute")));
    draft.confidence = Confidence::Medium;
    if !missing_before {
        draft.excludes(Rival::Lost, "not lost: nothing is missing before the newest minutes");
    }
    Some(draft)
}

/// It says that a trunk is registered in a minute in which nobody got in.
fn cached(trunk: u16, id: &str, platform: &PlatformRecord, rows: &[&MinuteRow]) -> Option<Draft> {
    let states = platform.states.iter().filter(|state| state.trunk_id == id && state.registered == Some(true));
    let mut times = states.filter_map(|state| Some((state, state.time.parse::<jiff::Timestamp>().ok()?.as_second())));
    let (state, refused, row) = times.find_map(|(state, at)| {
        let near: Vec<&&MinuteRow> =
            rows.iter().filter(|row| (row.start_s - 60..row.start_s + 120).contains(&at)).collect();
        let refused: u64 = near.iter().map(|row| row.ours.failed).sum();
        let nobody = near.iter().all(|row| row.ours.registered == 0);
        let row = near.iter().max_by_key(|row| row.theirs.failed)?;
        (refused >= MANY_UNTOLD && nobody).then_some((state, refused, **row))
    })?;
    let mut draft = Draft::new("platform.cached-state", Severity::Warning, Some(trunk));
    draft.attempts = refused;
    draft.summary =
        format!("the platform calls the trunk \"{}\" while all of {refused} attempts are refused", state.state);
    draft.evidence.push(format!("state at {}", state.time));
    draft.confidence = Confidence::Medium;
    if row.theirs.failed.is_some_and(|failed| failed > 0) {
        draft.excludes(Rival::OwnRegistration, "its own counts have the refusals of that time");
    }
    Some(draft)
}

#[cfg(test)]
mod tests {
    use super::super::{SideCounts, TheirCounts};
    use super::*;
    use crate::record::platform::SeenState;

    /// A minute in which we registered so many and so many were refused, and what was told of it.
    fn minute(n: i64, (registered, failed): (u64, u64), told: Option<(u64, u64)>) -> MinuteRow {
        let state = match told {
            None => MinuteState::Missing,
            Some(told) if told == (registered, failed) => MinuteState::Agree,
            Some(_) => MinuteState::Differ,
        };
        MinuteRow {
            start_s: 60 * n,
            trunk: 0,
            trunk_id: "nj".to_owned(),
            ours: SideCounts { registered, failed, ..SideCounts::default() },
            theirs: TheirCounts { registered: told.map(|told| told.0), failed: told.map(|told| told.1) },
            state,
        }
    }

    /// Minutes of 100 registrations and 10 refusals, told as `told` says of each.
    fn minutes(told: impl Fn(i64) -> Option<(u64, u64)>) -> Vec<MinuteRow> {
        (0..10).map(|n| minute(n, (100, 10), told(n))).collect()
    }

    fn late(rows: &[MinuteRow]) -> Option<Draft> {
        lags(0, &rows.iter().collect::<Vec<_>>())
    }

    #[test]
    fn the_newest_minutes_are_late_where_all_before_agree() {
        let told = |n| Some(if n >= 8 { (40, 3) } else { (100, 10) });
        let found = late(&minutes(told)).expect("late");
        assert_eq!(
            (found.summary.as_str(), found.attempts),
            ("the platform's newest 2 minutes lack 134 attempts", 134)
        );
        assert_eq!((found.confidence, found.excluded), (Confidence::Medium, vec![Rival::Lost]));
        // A minute that is gone altogether: what is short may be lost as well.
        let found = late(&minutes(|n| told(n).filter(|_| n != 4))).expect("late");
        assert_eq!(found.excluded, []);
    }

    #[test]
    fn minutes_that_are_short_elsewhere_or_hold_more_are_not_late() {
        assert!(late(&minutes(|_| Some((100, 10)))).is_none());
        assert!(
            late(&minutes(|n| Some(if n == 3 || n == 9 { (40, 3) } else { (100, 10) }))).is_none(),
            "not only the newest"
        );
        assert!(late(&minutes(|n| Some(if n == 9 { (140, 3) } else { (100, 10) }))).is_none(), "more than ours");
        assert!(late(&minutes(|n| Some(if n >= 3 { (40, 3) } else { (100, 10) }))).is_none(), "too few agree before");
    }

    /// What a trunk's state at 00:05:30 leads to.
    fn called(registered: Option<bool>, rows: &[MinuteRow]) -> Option<Draft> {
        let state = SeenState {
            time: "1970-01-01T00:05:30Z".to_owned(),
            trunk_id: "nj".to_owned(),
            state: "Active".to_owned(),
            registered,
            ..SeenState::default()
        };
        let platform = PlatformRecord { states: vec![state], ..PlatformRecord::default() };
        cached(0, "nj", &platform, &rows.iter().collect::<Vec<_>>())
    }

    /// Nobody gets in between the fourth minute and the seventh.
    fn outage(told: impl Fn(i64, (u64, u64)) -> Option<(u64, u64)>) -> Vec<MinuteRow> {
        let ours = |n| if (4..8).contains(&n) { (0, 60) } else { (100, 0) };
        (0..10).map(|n| minute(n, ours(n), told(n, ours(n)))).collect()
    }

    #[test]
    fn a_state_that_says_registered_while_everybody_is_refused_is_an_old_one() {
        let found = called(Some(true), &outage(|_, ours| Some(ours))).expect("found");
        assert_eq!(found.summary, "the platform calls the trunk \"Active\" while all of 180 attempts are refused");
        assert_eq!(found.excluded, [Rival::OwnRegistration]);
        // Where it has no refusals, it may have another registration than our phones.
        assert_eq!(called(Some(true), &outage(|_, _| None)).expect("found").excluded, []);
    }

    #[test]
    fn a_state_that_fits_or_does_not_say_is_no_old_one() {
        assert!(called(Some(false), &outage(|_, ours| Some(ours))).is_none());
        assert!(called(None, &outage(|_, ours| Some(ours))).is_none());
        assert!(called(Some(true), &minutes(|_| Some((100, 10)))).is_none(), "some get in");
    }
}
