//! A run held against what a platform says of the same time, minute by minute.
//!
//! `ours` counts what our agents met in any stretch of time, `theirs` what the platform told of
//! each minute, `skew` finds how far the two clocks are apart, `rule` what the platform counts as a
//! failure, `found` says what follows. A minute that the platform did not tell is never a zero, and
//! nothing is concluded from one.

mod found;
mod ours;
mod rule;
mod skew;
mod theirs;

pub use rule::CountingRule;
pub use skew::{SkewBasis, SkewFound};

use crate::diagnose::Finding;
use crate::record::Results;
use crate::record::eventlog::EventLog;
use crate::record::platform::PlatformRecord;
use ours::OurSeries;
use theirs::{TheirMinute, Theirs};

/// What came of it.
#[derive(Debug)]
pub struct Reconciled {
    /// By minute, then trunk.
    pub rows: Vec<MinuteRow>,
    pub skew: Option<SkewFound>,
    /// What the platform counts as a failure, where that is recognised, by trunk.
    pub rules: Vec<(String, CountingRule)>,
    pub agreement: Agreement,
    pub findings: Vec<Finding>,
    pub remarks: Vec<String>,
}

/// Whether the two sides say the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Agreement {
    Agree,
    Differ,
    /// There is no minute in which both said something.
    Unknown,
}

/// One minute of a trunk, by the platform's clock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MinuteRow {
    pub start_s: i64,
    pub trunk: u16,
    pub trunk_id: String,
    pub ours: SideCounts,
    /// `None` of what it does not tell.
    pub theirs: TheirCounts,
    pub state: MinuteState,
}

/// Attempts that ended in a minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SideCounts {
    pub registered: u64,
    /// Refused: `authentication_failed` and `registration_rejected`.
    pub failed: u64,
    /// Challenges that were answered in them.
    pub challenged: u64,
    pub retransmitted: u64,
    /// How many of each may lie on the other side of the minute's edges.
    pub loose_registered: u64,
    pub loose_failed: u64,
}

/// What the platform told of a minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TheirCounts {
    pub registered: Option<u64>,
    pub failed: Option<u64>,
}

/// How the two sides of a minute stand to each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum MinuteState {
    Agree,
    Differ,
    /// They differ as the counting rule that was recognised says.
    Explained,
    /// The platform tells nothing of it, and something happened.
    Missing,
    /// Not known: the source was empty, refused, or could not be had for this minute.
    Unknown,
    /// Too young when it was pulled.
    Provisional,
    /// Nothing happened on either side.
    Quiet,
    /// The pull did not ask about it.
    NotAsked,
}

impl MinuteState {
    pub const fn as_str(self) -> &'static str {
        match self {
            MinuteState::Agree => "agree",
            MinuteState::Differ => "differ",
            MinuteState::Explained => "explained",
            MinuteState::Missing => "missing",
            MinuteState::Unknown => "unknown",
            MinuteState::Provisional => "provisional",
            MinuteState::Quiet => "quiet",
            MinuteState::NotAsked => "not-asked",
        }
    }

    /// Whether both sides said something.
    pub const fn is_compared(self) -> bool {
        matches!(self, MinuteState::Agree | MinuteState::Differ | MinuteState::Explained)
    }
}

impl MinuteRow {
    /// Of what both tell.
    pub fn our_total(&self) -> u64 {
        let registered = if self.theirs.registered.is_some() { self.ours.registered } else { 0 };
        let failed = if self.theirs.failed.is_some() || !self.told() { self.ours.failed } else { 0 };
        registered + failed + if self.told() { 0 } else { self.ours.registered }
    }

    pub fn their_total(&self) -> Option<u64> {
        self.told().then(|| self.theirs.registered.unwrap_or(0) + self.theirs.failed.unwrap_or(0))
    }

    fn told(&self) -> bool {
        self.theirs.registered.is_some() || self.theirs.failed.is_some()
    }
}

pub(super) const MINUTE_S: i64 = 60;

/// Holds a run against what was pulled.
pub fn reconcile(results: &Results, platform: &PlatformRecord, events: &EventLog) -> Reconciled {
    let ours: Vec<OurSeries> = OurSeries::of(results);
    let theirs = Theirs::of(&results.header, platform, events);
    let skew = skew::find(&ours, &theirs, platform);
    let shift_s = skew.map_or(0, |skew| skew.seconds);
    let mut rows = rows(results, &ours, &theirs, platform, shift_s);
    let mut rules = Vec::new();
    for (trunk, header) in results.header.trunks.iter().enumerate() {
        let of_trunk: Vec<&mut MinuteRow> =
            rows.iter_mut().filter(|row| usize::from(row.trunk) == trunk && row.state.is_compared()).collect();
        if let Some(rule) = rule::recognise(&of_trunk) {
            rule.explain(of_trunk);
            rules.push((header.id.clone(), rule));
        }
    }
    let compared = rows.iter().any(|row| row.state.is_compared());
    let differs =
        |row: &MinuteRow| matches!(row.state, MinuteState::Differ | MinuteState::Explained | MinuteState::Missing);
    let agreement = match (compared, skew.is_some() || rows.iter().any(differs)) {
        (false, _) => Agreement::Unknown,
        (true, true) => Agreement::Differ,
        (true, false) => Agreement::Agree,
    };
    let findings = found::findings(results, platform, &rows, skew, &rules);
    Reconciled { rows, skew, rules, agreement, findings, remarks: theirs.remarks }
}

fn rows(
    results: &Results,
    ours: &[OurSeries],
    theirs: &Theirs,
    platform: &PlatformRecord,
    shift_s: i64,
) -> Vec<MinuteRow> {
    let mut rows = Vec::new();
    let Some(span) = ours.first().map(OurSeries::span_s) else { return rows };
    let whole = |at: f64| crate::vocab::floor_u64(at.max(0.0)).cast_signed() / MINUTE_S * MINUTE_S;
    let (first, last) = (whole(span.0 + shift_s as f64), whole(span.1 + shift_s as f64));
    for start_s in (first..=last).step_by(60) {
        for (trunk, series) in (0u16..).zip(ours) {
            let from = (start_s - shift_s) as f64;
            let ours = series.between(from, from + MINUTE_S as f64);
            let told = theirs.minute(trunk, start_s);
            let id = &results.header.trunks[usize::from(trunk)].id;
            let asked = theirs.was_asked(platform, id, start_s);
            let (theirs, state) = judged(&ours, told, theirs.tells(trunk), asked);
            rows.push(MinuteRow { start_s, trunk, trunk_id: id.clone(), ours, theirs, state });
        }
    }
    // What lies before and behind the run is of nobody's interest.
    let something = |row: &MinuteRow| row.state != MinuteState::Quiet;
    while rows.last().is_some_and(|row| !something(row)) {
        rows.pop();
    }
    rows
}

/// What was told, counting what is told at all as zero in a minute that is told of.
fn judged(
    ours: &SideCounts,
    told: Option<&TheirMinute>,
    (tells_registered, tells_failed): (bool, bool),
    asked: theirs::Answered,
) -> (TheirCounts, MinuteState) {
    let happened = ours.registered + ours.failed > 0;
    let Some(told) = told else {
        let state = match asked {
            theirs::Answered::Unasked => MinuteState::NotAsked,
            theirs::Answered::Unknown => MinuteState::Unknown,
            theirs::Answered::Young => MinuteState::Provisional,
            theirs::Answered::Told if happened => MinuteState::Missing,
            theirs::Answered::Told => MinuteState::Quiet,
        };
        return (TheirCounts::default(), state);
    };
    let counts = TheirCounts {
        registered: tells_registered.then_some(told.registered),
        failed: tells_failed.then_some(told.failed),
    };
    if told.provisional || asked == theirs::Answered::Young {
        return (counts, MinuteState::Provisional);
    }
    let near = |theirs: Option<u64>, ours: u64, loose: u64| theirs.is_none_or(|theirs| theirs.abs_diff(ours) <= loose);
    let agrees = near(counts.registered, ours.registered, ours.loose_registered)
        && near(counts.failed, ours.failed, ours.loose_failed);
    (counts, if agrees { MinuteState::Agree } else { MinuteState::Differ })
}
