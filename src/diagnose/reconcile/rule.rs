//! What a platform counts as a failure: every refusal as we do, or challenges and retransmissions
//! as well. A rule is named when it fits minute for minute and no other does.

use super::{MinuteRow, MinuteState, SideCounts};

/// What is counted as a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CountingRule {
    /// Refusals and challenges.
    Challenges,
    /// Refusals, and each request that was sent again.
    Retransmissions,
    /// All of them.
    ChallengesAndRetransmissions,
}

/// Minutes that must be there, and the share of them that a rule must fit.
const LEAST_MINUTES: usize = 3;
const FITS: f64 = 0.9;
/// A rule that still fits this share explains as much as chance.
const HARDLY: f64 = 0.5;
/// How far a count may be from what a rule says, beside what lies at the minute's edges.
const SLACK: f64 = 0.02;

impl CountingRule {
    const ALL: [CountingRule; 3] =
        [CountingRule::Challenges, CountingRule::Retransmissions, CountingRule::ChallengesAndRetransmissions];

    /// As a clause: the platform …
    pub const fn in_words(self) -> &'static str {
        match self {
            CountingRule::Challenges => "counts challenges as failures",
            CountingRule::Retransmissions => "counts retransmissions as failures",
            CountingRule::ChallengesAndRetransmissions => "counts challenges and retransmissions as failures",
        }
    }

    pub(super) const fn has_challenges(self) -> bool {
        !matches!(self, CountingRule::Retransmissions)
    }

    fn says(self, ours: &SideCounts) -> u64 {
        ours.failed
            + match self {
                CountingRule::Challenges => ours.challenged,
                CountingRule::Retransmissions => ours.retransmitted,
                CountingRule::ChallengesAndRetransmissions => ours.challenged + ours.retransmitted,
            }
    }

    /// Marks the minutes that it explains.
    pub(super) fn explain(self, rows: Vec<&mut MinuteRow>) {
        for row in rows.into_iter().filter(|row| row.state == MinuteState::Differ) {
            let registered = row
                .theirs
                .registered
                .is_none_or(|theirs| theirs.abs_diff(row.ours.registered) <= row.ours.loose_registered);
            if registered && fits(row, self.says(&row.ours)) {
                row.state = MinuteState::Explained;
            }
        }
    }
}

/// The rule that fits minutes in which both sides said something.
pub(super) fn recognise(rows: &[&mut MinuteRow]) -> Option<CountingRule> {
    let told: Vec<&MinuteRow> = rows
        .iter()
        .map(|row| &**row)
        .filter(|row| row.theirs.failed.is_some_and(|theirs| theirs + row.ours.failed > 0))
        .collect();
    let share = |says: &dyn Fn(&SideCounts) -> u64| {
        let fitting = told.iter().filter(|row| fits(row, says(&row.ours))).count();
        fitting as f64 / told.len().max(1) as f64
    };
    if told.len() < LEAST_MINUTES || share(&|ours| ours.failed) > HARDLY {
        return None;
    }
    let mut fitting = CountingRule::ALL.into_iter().filter(|rule| share(&|ours| rule.says(ours)) >= FITS);
    let first = fitting.next()?;
    // Where nothing was sent again, two rules are one.
    let same = |rule: CountingRule| told.iter().all(|row| rule.says(&row.ours) == first.says(&row.ours));
    fitting.all(same).then_some(first)
}

fn fits(row: &MinuteRow, says: u64) -> bool {
    let slack = row.ours.loose_failed as f64 + SLACK * says as f64;
    // Challenges lie at the edges as well, as many as attempts that end there.
    let edges = row.ours.loose_registered as f64;
    row.theirs.failed.is_some_and(|theirs| theirs.abs_diff(says) as f64 <= slack + edges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::reconcile::TheirCounts;

    fn minutes(theirs: impl Fn(u64, &SideCounts) -> u64, again: u64) -> Vec<MinuteRow> {
        let minute = |n: u64| {
            let ours = SideCounts {
                registered: 100,
                failed: 20 + n % 5,
                challenged: 120 + n % 7,
                retransmitted: again * (n % 3 + 1),
                ..SideCounts::default()
            };
            let failed = Some(theirs(n, &ours));
            MinuteRow {
                start_s: 60 * n as i64,
                trunk: 0,
                trunk_id: "nj".to_owned(),
                ours,
                theirs: TheirCounts { registered: Some(100), failed },
                state: MinuteState::Differ,
            }
        };
        (0..10).map(minute).collect()
    }

    fn recognised(mut rows: Vec<MinuteRow>) -> Option<CountingRule> {
        recognise(&rows.iter_mut().collect::<Vec<_>>())
    }

    #[test]
    fn each_rule_is_recognised_by_what_it_makes_of_each_minute() {
        assert_eq!(recognised(minutes(|_, ours| ours.failed, 40)), None);
        assert_eq!(recognised(minutes(|_, ours| ours.failed + ours.challenged, 40)), Some(CountingRule::Challenges));
        let again = recognised(minutes(|_, ours| ours.failed + ours.retransmitted, 40));
        assert_eq!(again, Some(CountingRule::Retransmissions));
        let all = recognised(minutes(|_, ours| ours.failed + ours.challenged + ours.retransmitted, 40));
        assert_eq!(all, Some(CountingRule::ChallengesAndRetransmissions));
        // Without retransmissions the two are one, and it is called by what happened.
        let none = recognised(minutes(|_, ours| ours.failed + ours.challenged, 0));
        assert_eq!(none, Some(CountingRule::Challenges));
    }

    #[test]
    fn an_excess_that_follows_nothing_of_ours_is_no_rule() {
        // Others on the trunk: as many as challenges on the whole, and not minute for minute.
        assert_eq!(recognised(minutes(|n, ours| ours.failed + if n % 2 == 0 { 240 } else { 0 }, 0)), None);
        assert_eq!(recognised(minutes(|_, ours| 3 * ours.failed, 0)), None);
    }
}
