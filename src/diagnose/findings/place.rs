//! Where a silence is: which requests of a phone's life are not answered, how large they are, and
//! whose they are.
//!
//! A path that carries packets of 1 500 bytes cuts longer ones into fragments, which some firewalls
//! drop. Credentials make a REGISTER long, so behind such a firewall every first request is
//! challenged and no answer to a challenge gets through (RFC 3261 §18.1.1 has a request above 1 300
//! bytes sent over TCP).

use super::draft::SOME;
use super::view::View;
use super::wording::counted;
use crate::measure::RequestRow;
use crate::vocab::{Class, RequestFate, RequestKind};

/// The requests of one kind by their fate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fates<'a> {
    pub kind: RequestKind,
    at_once: Option<&'a RequestRow>,
    repeated: Option<&'a RequestRow>,
    never: Option<&'a RequestRow>,
}

impl<'a> Fates<'a> {
    fn of(view: &View<'a>, kind: RequestKind) -> Fates<'a> {
        let rows = view.results.evidence.requests.iter().filter(|row| (row.trunk, row.kind) == (view.trunk, kind));
        let with = |fate| rows.clone().find(|row| row.fate == fate);
        Fates {
            kind,
            at_once: with(RequestFate::AtOnce),
            repeated: with(RequestFate::Repeated),
            never: with(RequestFate::Never),
        }
    }

    pub(super) fn at_once(&self) -> u64 {
        self.at_once.map_or(0, |row| row.count)
    }

    pub(super) fn repeated(&self) -> u64 {
        self.repeated.map_or(0, |row| row.count)
    }

    pub(super) fn never(&self) -> u64 {
        self.never.map_or(0, |row| row.count)
    }

    /// One line about them; `None` when there are none.
    fn told(&self) -> Option<String> {
        let parts =
            [(self.at_once, "answered at once"), (self.repeated, "after they were repeated"), (self.never, "never")];
        let part = |(row, what): (Option<&RequestRow>, &str)| {
            let row = row?;
            Some(format!("{} {what}{}", row.count, bytes(row)))
        };
        let parts: Vec<String> = parts.into_iter().filter_map(part).collect();
        (!parts.is_empty()).then(|| format!("{}: {}", self.kind, parts.join(", ")))
    }
}

/// What became of each kind of request.
pub(super) fn fates<'a>(view: &View<'a>) -> [Fates<'a>; RequestKind::COUNT] {
    RequestKind::ALL.map(|kind| Fates::of(view, kind))
}

/// The same, a line for each kind.
pub(super) fn table(view: &View<'_>) -> Vec<String> {
    fates(view).iter().filter_map(Fates::told).collect()
}

/// The kind of request that is never answered while others are, at the same time.
pub(super) fn never_answered(view: &View<'_>) -> Option<RequestKind> {
    let fates = fates(view);
    let silent = fates.iter().filter(|fates| fates.kind != RequestKind::Removal && fates.never() > 0);
    let mut silent = silent.filter(|one| (one.at_once() + one.repeated()) * 20 <= one.never());
    let only = silent.next().filter(|_| silent.next().is_none())?;
    let others = || fates.iter().filter(|other| other.kind != only.kind);
    let spared: u64 = others().map(|other| other.at_once() + other.repeated()).sum();
    let as_silent: u64 = others().map(Fates::never).sum();
    let first = only.never?.first_ns;
    // A registrar that dies before the first refresh leaves refreshes alone unanswered too.
    let meanwhile = others().any(|other| other.at_once.is_some_and(|row| row.last_ns > first));
    (only.never() >= 2 && spared >= SOME && as_silent * 20 <= only.never() && meanwhile).then_some(only.kind)
}

/// The longest request that was answered and the shortest that never was, where length sets them
/// apart.
pub(super) fn by_length(view: &View<'_>) -> Option<(u32, u32)> {
    let fates = fates(view);
    let answered = || fates.iter().flat_map(|one| [one.at_once, one.repeated]).flatten();
    let never = || fates.iter().filter_map(|one| one.never);
    let longest = answered().map(|row| row.bytes.1).max()?;
    let shortest = never().map(|row| row.bytes.0).min()?;
    let count: u64 = never().map(|row| row.count).sum();
    let first = never().map(|row| row.first_ns).min()?;
    let meanwhile = answered().any(|row| row.last_ns > first);
    (count >= SOME && shortest > longest && longest > 0 && meanwhile).then_some((longest, shortest))
}

/// What length may have to do with it.
pub(super) fn about_length(longest: u32, shortest: u32) -> String {
    let sets_apart = format!("the longest answered had {longest} bytes, the shortest never answered {shortest}");
    if shortest > ETHERNET {
        format!("{sets_apart}: more than {ETHERNET} bytes do not fit into one packet, and fragments may be dropped")
    } else {
        format!("{sets_apart}: a path with small packets (a tunnel) cuts them into fragments, which may be dropped")
    }
}

/// Whether it is always the same agents; `None` when nobody tried twice.
pub(super) fn same_agents(view: &View<'_>) -> Option<bool> {
    let hit: Vec<_> = view.met(&[Class::Silence]).collect();
    let attempts = view.count(Class::Silence);
    if hit.is_empty() || attempts < 2 * hit.len() as u64 {
        return None;
    }
    let failed = Class::Silence.bit() | Class::Transport.bit();
    Some(hit.iter().all(|(_, agent)| agent.met & !failed == 0))
}

/// Whose requests they are.
pub(super) fn whose(view: &View<'_>) -> Option<String> {
    let hit = view.met(&[Class::Silence]).count() as u64;
    let others = view.agents.len() as u64 - hit;
    let both = view.met(&[Class::Silence]).filter(|(_, agent)| agent.met & Class::Registered.bit() != 0).count();
    match same_agents(view) {
        Some(true) if others > 0 => {
            Some(format!("always the same {}: none of their attempts was answered", counted(hit, "agent")))
        }
        _ if both > 0 => Some(format!("{both} of the {} hit registered at other times", counted(hit, "agent"))),
        _ => None,
    }
}

/// How often requests had to be sent until they were answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copies {
    pub kind: RequestKind,
    /// Of this kind: answered after they were repeated, and answered at all.
    pub repeated: u64,
    pub answered: u64,
    /// Of all kinds: copies lost of each request that was repeated, and what chance makes of as
    /// many losses.
    pub lost_in_a_row: f64,
    pub by_chance: f64,
}

impl Copies {
    /// `lost`: copies of answered requests that were not answered.
    pub(super) fn of(view: &View<'_>, lost: u64) -> Option<Copies> {
        let fates = fates(view);
        let (repeated, at_once) = fates.iter().fold((0, 0), |sum, one| (sum.0 + one.repeated(), sum.1 + one.at_once()));
        let most = fates.iter().max_by_key(|one| one.repeated()).filter(|_| repeated >= SOME)?;
        // Of those that lose their first copy by chance each loses a second one as easily.
        let share = repeated as f64 / (repeated + at_once) as f64;
        Some(Copies {
            kind: most.kind,
            repeated: most.repeated(),
            answered: most.repeated() + most.at_once(),
            lost_in_a_row: lost as f64 / repeated as f64,
            by_chance: 1.0 / (1.0 - share).max(f64::MIN_POSITIVE),
        })
    }

    /// Whether that is no chance.
    pub(super) fn are_certain_ones(&self) -> bool {
        self.lost_in_a_row >= LEAST_IN_A_ROW && self.lost_in_a_row >= MORE_THAN_CHANCE * self.by_chance
    }
}

/// Copies lost in a row, and how many times as many as by chance, that are none.
const LEAST_IN_A_ROW: f64 = 2.0;
const MORE_THAN_CHANCE: f64 = 1.6;

fn bytes(row: &RequestRow) -> String {
    match row.bytes {
        // A log does not say.
        (_, 0) => String::new(),
        (least, most) if least == most => format!(" ({most} bytes)"),
        (least, most) => format!(" ({least} to {most} bytes)"),
    }
}

/// What one packet of Ethernet holds of a UDP datagram over IPv4.
const ETHERNET: u32 = 1_472;
