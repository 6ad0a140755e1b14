//! What the platform told of each minute.

use super::MINUTE_S;
use crate::record::Header;
use crate::record::eventlog::{EventLog, LogRecord};
use crate::record::platform::{PlatformRecord, SourceOutcome};
use std::collections::BTreeMap;

/// Everything it told, by trunk of the run.
#[derive(Debug, Default)]
pub(super) struct Theirs {
    minutes: BTreeMap<(u16, i64), TheirMinute>,
    /// By trunk: whether registrations and failures are told at all.
    tells: BTreeMap<u16, (bool, bool)>,
    /// Refusals by second, all trunks, challenges left out; `None` where no event is known.
    pub(super) refusals: BTreeMap<i64, f64>,
    /// The same with challenges.
    pub(super) refusals_and_challenges: BTreeMap<i64, f64>,
    /// What minutes were made of.
    source: &'static str,
    /// The window that was pulled.
    window: (i64, i64),
    pub(super) remarks: Vec<String>,
}

/// One minute of a trunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct TheirMinute {
    pub(super) registered: u64,
    pub(super) failed: u64,
    pub(super) provisional: bool,
}

/// Whether a minute could have been told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answered {
    Told,
    Unknown,
    Young,
    Unasked,
}

/// What a status of an export means.
enum StatusMeaning {
    Registered,
    Failed,
    Other,
}

impl Theirs {
    pub(super) fn of(header: &Header, platform: &PlatformRecord, events: &EventLog) -> Theirs {
        let mut theirs = Theirs { source: "counts", ..Theirs::default() };
        theirs.take_counts(header, platform);
        theirs.take_events(header, events);
        theirs.window = match (platform.facts.from_s, platform.facts.to_s) {
            // Without pull.json the window is what the data cover.
            (0, 0) => {
                let starts = || theirs.minutes.keys().map(|(_, start)| *start);
                (starts().min().unwrap_or(0), starts().max().map_or(0, |last| last + MINUTE_S))
            }
            window => window,
        };
        theirs
    }

    fn take_counts(&mut self, header: &Header, platform: &PlatformRecord) {
        let mut coarse = 0u64;
        for count in &platform.counts {
            let trunk = (0u16..).zip(&header.trunks).find(|(_, trunk)| trunk.id == count.trunk_id);
            let start = count.interval_start.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_second);
            let (Some((trunk, _)), Ok(start)) = (trunk, start) else { continue };
            if count.interval_s > MINUTE_S as f64 {
                coarse += 1;
                continue;
            }
            let minute = self.minutes.entry((trunk, minute_of(start))).or_default();
            minute.provisional |= count.provisional;
            let tells = self.tells.entry(trunk).or_default();
            match meaning(&count.status) {
                StatusMeaning::Registered => (minute.registered, tells.0) = (minute.registered + count.count, true),
                StatusMeaning::Failed => (minute.failed, tells.1) = (minute.failed + count.count, true),
                StatusMeaning::Other => {}
            }
        }
        if coarse > 0 {
            self.remarks.push(format!("{coarse} counts are of more than a minute and cannot be held against minutes"));
        }
    }

    /// Events are the minutes of trunks without counts, and seconds of all of them.
    fn take_events(&mut self, header: &Header, events: &EventLog) {
        let counted: Vec<u16> = self.tells.keys().copied().collect();
        let (mut strangers, mut made) = (0u64, false);
        for record in &events.records {
            let Some(code) = record.code.filter(|code| *code >= 200) else { continue };
            let Some(trunk) = trunk_of(header, record) else {
                strangers += 1;
                continue;
            };
            let at = i64::try_from(record.at_ns / 1_000_000_000).unwrap_or(0);
            let challenge = matches!(code, 401 | 407);
            let refused = (400..500).contains(&code) || code >= 600;
            if refused {
                *self.refusals_and_challenges.entry(at).or_default() += 1.0;
            }
            if refused && !challenge {
                *self.refusals.entry(at).or_default() += 1.0;
            }
            if counted.contains(&trunk) {
                continue;
            }
            made = true;
            let minute = self.minutes.entry((trunk, minute_of(at))).or_default();
            self.tells.insert(trunk, (true, true));
            match code {
                200..300 => minute.registered += 1,
                _ if refused && !challenge => minute.failed += 1,
                _ => {}
            }
        }
        if made {
            self.source = "events";
        }
        if strangers > 0 {
            self.remarks.push(format!("{strangers} events are of no trunk of the run"));
        }
        if !events.messages.is_empty() {
            self.remarks.push(format!("{} messages are kept whole and not counted here", events.messages.len()));
        }
    }

    pub(super) fn minute(&self, trunk: u16, start_s: i64) -> Option<&TheirMinute> {
        self.minutes.get(&(trunk, start_s))
    }

    /// Minutes with a failure count, of all trunks together.
    pub(super) fn failures_by_minute(&self) -> BTreeMap<i64, f64> {
        let mut all: BTreeMap<i64, f64> = BTreeMap::new();
        for ((_, start), minute) in self.minutes.iter().filter(|(_, minute)| !minute.provisional) {
            *all.entry(*start).or_default() += minute.failed as f64;
        }
        all
    }

    pub(super) fn tells(&self, trunk: u16) -> (bool, bool) {
        self.tells.get(&trunk).copied().unwrap_or_default()
    }

    /// Whether a minute of a trunk could have been told.
    pub(super) fn was_asked(&self, platform: &PlatformRecord, trunk: &str, start_s: i64) -> Answered {
        let facts = &platform.facts;
        if !(self.window.0..self.window.1).contains(&start_s) {
            return Answered::Unasked;
        }
        if facts.provisional_from_s > 0 && start_s + MINUTE_S > facts.provisional_from_s {
            return Answered::Young;
        }
        let concerns = |source: &str, of: &str| source == self.source && (of.is_empty() || of == trunk);
        let silent = facts.sources.iter().any(|seen| {
            concerns(&seen.source, &seen.trunk) && matches!(seen.outcome, SourceOutcome::Empty | SourceOutcome::Refused)
        });
        let gap = facts
            .gaps
            .iter()
            .any(|gap| concerns(&gap.source, &gap.trunk) && gap.from_s < start_s + MINUTE_S && gap.to_s > start_s);
        if silent || gap { Answered::Unknown } else { Answered::Told }
    }
}

fn minute_of(at_s: i64) -> i64 {
    at_s - at_s.rem_euclid(MINUTE_S)
}

/// By our name of it, or by the domain; a run of one trunk has no other.
fn trunk_of(header: &Header, record: &LogRecord) -> Option<u16> {
    let trunks = || (0u16..).zip(&header.trunks);
    if let Some((trunk, _)) = trunks().find(|(_, trunk)| *trunk.id == *record.trunk) {
        return Some(trunk);
    }
    if header.trunks.len() == 1 && record.trunk.is_empty() {
        return Some(0);
    }
    let domain = record.from.rsplit_once('@').map(|(_, domain)| domain.trim_end_matches('>'))?;
    let mut of_domain = trunks().filter(|(_, trunk)| trunk.domain.eq_ignore_ascii_case(domain));
    let only = of_domain.next().map(|(trunk, _)| trunk);
    only.filter(|_| of_domain.next().is_none())
}

fn meaning(status: &str) -> StatusMeaning {
    let status = status.to_ascii_lowercase();
    if matches!(status.as_str(), "registered" | "success" | "ok") {
        return StatusMeaning::Registered;
    }
    let failed = ["authentication_failed", "registration_rejected", "forbidden", "denied", "unauthorized"];
    if failed.iter().any(|word| status.contains(word)) { StatusMeaning::Failed } else { StatusMeaning::Other }
}
