//! What the platform told of each minute.

use super::MINUTE_S;
use crate::record::Header;
use crate::record::eventlog::{EventLog, LogRecord, StoredMessage};
use crate::record::platform::{PlatformRecord, SourceOutcome};
use crate::sip::scan;
use std::collections::{BTreeMap, HashSet};

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
        let kept = kept_answers(&events.messages);
        for record in events.records.iter().chain(&kept) {
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

/// The final answers to REGISTER among messages that were kept whole, as records of them. One that
/// was captured at several places, or sent again, is one.
fn kept_answers(messages: &[StoredMessage]) -> Vec<LogRecord> {
    let mut seen: HashSet<(String, u32, u16)> = HashSet::new();
    let mut answers = Vec::new();
    for (number, message) in (1..).zip(messages) {
        let Ok(response) = scan::response(&message.bytes) else { continue };
        if response.code < 200 || !response.cseq_method.eq_ignore_ascii_case(b"REGISTER") {
            continue;
        }
        let header = |name| {
            let value: &[u8] = response.headers(name).next().unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        };
        let call_id = header("Call-ID");
        if !seen.insert((call_id.clone(), response.cseq, response.code)) {
            continue;
        }
        // Parameters stand behind the address.
        let from = header("From");
        let from = from.split_once('>').map_or(from.as_str(), |(address, _)| address);
        answers.push(LogRecord {
            number,
            at_ns: message.at_ns,
            from: from.into(),
            to: "".into(),
            code: Some(response.code),
            reason: String::from_utf8_lossy(response.reason).into(),
            trunk: "".into(),
            call_id: call_id.into(),
        });
    }
    answers
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::TrunkHeader;
    use crate::vocab::Transport;

    fn message(at_s: u64, text: &str) -> StoredMessage {
        let place = "192.0.2.1:5060".parse().expect("an address");
        let bytes = text.replace('\n', "\r\n").into_bytes();
        StoredMessage { at_ns: at_s * 1_000_000_000, from: place, to: place, transport: Transport::Udp, bytes }
    }

    fn answer(code: u16, call: &str, cseq: u32, method: &str) -> String {
        format!(
            "SIP/2.0 {code} Said\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{call}{cseq}\nFrom: <sip:a@pbx.test>;tag=1\n\
             To: <sip:a@pbx.test>;tag=2\nCall-ID: {call}\nCSeq: {cseq} {method}\nContent-Length: 0\n\n"
        )
    }

    #[test]
    fn answers_among_whole_messages_are_counted_once_each() {
        let request = "REGISTER sip:pbx.test SIP/2.0\nCall-ID: x\nCSeq: 1 REGISTER\n\n";
        let texts = [
            (10, request.to_owned()),
            (10, answer(100, "x", 1, "REGISTER")),
            (10, answer(401, "x", 1, "REGISTER")),
            (11, answer(200, "x", 2, "REGISTER")),
            // Captured at a second place, and another method.
            (11, answer(200, "x", 2, "REGISTER")),
            (12, answer(200, "x", 3, "OPTIONS")),
            (70, answer(403, "y", 2, "REGISTER")),
        ];
        let messages: Vec<StoredMessage> = texts.iter().map(|(at, text)| message(*at, text)).collect();
        let told: Vec<(u64, Option<u16>)> =
            kept_answers(&messages).iter().map(|one| (one.at_ns / 1_000_000_000, one.code)).collect();
        assert_eq!(told, [(10, Some(401)), (11, Some(200)), (70, Some(403))]);
    }

    #[test]
    fn their_minutes_are_those_of_the_only_trunk_or_of_the_domain() {
        let trunk = |id: &str, domain: &str| TrunkHeader {
            id: id.to_owned(),
            domain: domain.to_owned(),
            ..TrunkHeader::default()
        };
        let header = Header { trunks: vec![trunk("one", "a.test"), trunk("two", "pbx.test")], ..Header::default() };
        let messages =
            vec![message(61, &answer(200, "x", 2, "REGISTER")), message(70, &answer(403, "y", 2, "REGISTER"))];
        let events = EventLog { messages, ..EventLog::default() };
        let theirs = Theirs::of(&header, &PlatformRecord::default(), &events);
        let minute = theirs.minute(1, 60).expect("told");
        assert_eq!((minute.registered, minute.failed), (1, 1));
        assert!(theirs.remarks.is_empty(), "{:?}", theirs.remarks);
    }
}
