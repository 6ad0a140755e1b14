//! Refusals that hit everybody at certain times: from a moment on, for a while, or coming and going
//! with a period.

use super::super::view::{Group, View};
use super::ForAgainst;
use crate::diagnose::rhythm::{FlipRhythm, rhythm};
use crate::vocab::Class;

/// A stretch of time in which everything was accepted, or everything refused.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spell {
    down: bool,
    start_ns: u64,
    end_ns: u64,
    answers: u64,
}

/// Everybody is accepted up to a moment, and refused from it on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cut {
    pub at_ns: u64,
    /// 2xx before; what was accepted after it again, when it was.
    pub before: u64,
    /// Refusals after it, and refusals before it or 2xx while it lasted.
    pub tally: ForAgainst,
    /// When everybody was accepted again; `None`: not as long as the run lasted.
    pub until_ns: Option<u64>,
    /// Refreshes refused.
    pub refreshes: u64,
    /// Refusals at a time when fewer were bound than before: no limit on bindings explains them.
    pub below_peak: u64,
}

/// Up and down with a period.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wave {
    pub period_ns: u64,
    /// When the first whole half in which everything is refused began, since the run's start, less
    /// whole periods.
    pub phase_ns: u64,
    /// How long it refuses within a period.
    pub down_ns: u64,
    pub downs: u64,
    /// How far a border may lie from where it was put: nobody asked in between.
    pub blur_ns: u64,
    /// Answers that fit their phase, and those that do not.
    pub tally: ForAgainst,
}

/// Answers that make a spell.
const LEAST: u64 = 3;

/// The spells of a group: consecutive ticks of one kind, short interruptions left out.
fn spells(view: &View<'_>, group: &Group<'_>) -> (Vec<Spell>, u64) {
    let mut spells: Vec<Spell> = Vec::new();
    let mut mixed = 0;
    for tick in &view.ticks {
        let (refused, accepted) = (tick.of(group.key), tick.accepted());
        if refused == 0 && accepted == 0 {
            continue;
        }
        // Both within a tick: the border lies in it, or it is no spell at all.
        mixed += refused.min(accepted);
        let (down, answers) = (refused > accepted, refused.max(accepted));
        let end_ns = tick.start_ns + view.tick_ns;
        match spells.last_mut() {
            Some(last) if last.down == down => {
                last.end_ns = end_ns;
                last.answers += answers;
            }
            _ => spells.push(Spell { down, start_ns: tick.start_ns, end_ns, answers }),
        }
    }
    (joined(spells, &mut mixed), mixed)
}

/// Phases of too few answers belong to what surrounds them.
fn joined(spells: Vec<Spell>, stray: &mut u64) -> Vec<Spell> {
    let mut kept: Vec<Spell> = Vec::new();
    for spell in spells {
        if spell.answers < LEAST {
            *stray += spell.answers;
            continue;
        }
        match kept.last_mut() {
            Some(last) if last.down == spell.down => {
                last.end_ns = spell.end_ns;
                last.answers += spell.answers;
            }
            _ => kept.push(spell),
        }
    }
    kept
}

/// Several stretches of time in which everybody is refused, without a period, or one from the start
/// on: from when to when, and how clearly.
pub(crate) fn stretches(view: &View<'_>, group: &Group<'_>) -> Option<(Vec<(u64, u64)>, ForAgainst)> {
    let (spells, mixed) = spells(view, group);
    let downs = spells.iter().filter(|spell| spell.down);
    let tally = ForAgainst { pro: downs.clone().map(|spell| spell.answers).sum(), against: mixed };
    let windows: Vec<(u64, u64)> = downs.map(|spell| (spell.start_ns, spell.end_ns)).collect();
    let from_the_start = spells.first().is_some_and(|spell| spell.down) && spells.len() > 1;
    (windows.len() >= 2 || from_the_start).then_some((windows, tally))
}

/// One change for the worse that lasts, or that ended once.
pub(crate) fn cut(view: &View<'_>, group: &Group<'_>) -> Option<Cut> {
    let (spells, mixed) = spells(view, group);
    let down = spells.iter().position(|spell| spell.down)?;
    let others = spells.iter().filter(|spell| spell.down).count() - 1;
    if down == 0 || others > 0 {
        return None;
    }
    let (before, during, after) = (spells[down - 1], spells[down], spells.get(down + 1));
    let within = |ns: u64| during.start_ns <= ns && ns < during.end_ns;
    let refreshes = view.ticks.iter().filter(|tick| within(tick.start_ns));
    let refreshes: u64 = refreshes.filter_map(|tick| tick.refused.get(&group.key)).map(|refused| refused.held).sum();
    let peak = view.peak();
    let below = view.ticks.iter().filter(|tick| within(tick.start_ns) && tick.level.max(tick.level_after()) < peak);
    Some(Cut {
        at_ns: during.start_ns,
        before: before.answers,
        tally: ForAgainst { pro: during.answers, against: mixed },
        until_ns: after.map(|after| after.start_ns),
        refreshes,
        below_peak: below.map(|tick| tick.of(group.key)).sum(),
    })
}

/// A period, when there are at least one and a half of it and the same agents are accepted and
/// refused in turn.
pub(crate) fn wave(view: &View<'_>, group: &Group<'_>) -> Option<Wave> {
    let (spells, mixed) = spells(view, group);
    let fit = fitted(&spells, view.tick_ns)?;
    let (both, hit) = hit_and_accepted(view, group);
    if 2 * both < hit {
        return None;
    }
    let answers: u64 = spells.iter().map(|spell| spell.answers).sum();
    Some(Wave {
        period_ns: fit.period_ns,
        phase_ns: fit.phase_ns % fit.period_ns.max(1),
        down_ns: fit.down_ns,
        blur_ns: spells.windows(2).map(|pair| pair[1].start_ns.saturating_sub(pair[0].end_ns) / 2).max().unwrap_or(0),
        downs: spells.iter().filter(|spell| spell.down).count() as u64,
        tally: ForAgainst { pro: answers, against: mixed },
    })
}

fn hit_and_accepted(view: &View<'_>, group: &Group<'_>) -> (u64, u64) {
    let hit: Vec<_> = view.met(&[group.class]).collect();
    let both = hit.iter().filter(|(_, agent)| agent.met & Class::Registered.bit() != 0).count();
    (both as u64, hit.len() as u64)
}

/// The rhythm of the borders between spells.
///
/// A border lies somewhere between the last answer of one spell and the first of the next; its
/// middle is taken.
fn fitted(spells: &[Spell], tick_ns: u64) -> Option<FlipRhythm> {
    let borders = spells.windows(2).map(|pair| (pair[1].down, (pair[0].end_ns as f64 + pair[1].start_ns as f64) / 2.0));
    let (down, up): (Vec<_>, Vec<_>) = borders.partition(|(down, _)| *down);
    let times = |borders: Vec<(bool, f64)>| borders.into_iter().map(|(_, at)| at).collect::<Vec<f64>>();
    rhythm(&times(down), &times(up), 2.0 * tick_ns as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spell(down: bool, start: u64, end: u64) -> Spell {
        Spell { down, start_ns: start, end_ns: end, answers: 100 }
    }

    #[test]
    fn the_period_comes_from_all_borders() {
        let spells = [spell(false, 0, 99), spell(true, 101, 200), spell(false, 200, 299), spell(true, 301, 400)];
        let fit = fitted(&spells, 1).expect("three borders");
        assert_eq!((fit.period_ns, fit.phase_ns, fit.down_ns), (200, 100, 100));
    }

    #[test]
    fn one_outage_is_no_wave_and_neither_are_irregular_ones() {
        assert!(fitted(&[spell(false, 0, 100), spell(true, 100, 200), spell(false, 200, 300)], 1).is_none());
        let irregular = [
            spell(false, 0, 100),
            spell(true, 100, 110),
            spell(false, 110, 500),
            spell(true, 500, 900),
            spell(false, 900, 910),
        ];
        assert!(fitted(&irregular, 1).is_none_or(|fit| fit.period_ns > 300));
    }
}
