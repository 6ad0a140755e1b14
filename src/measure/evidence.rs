//! What the detectors (`diagnose::findings`) need beyond plain counters: when each kind of refusal
//! came, what challenges offered, what each 2xx granted.
//!
//! Three small tables and a pulse. The tables ([`OutcomeRow`], [`OfferRow`], [`GrantRow`]) keep one
//! row per distinct combination with its count, window and first agents; they are bounded, so that
//! a hostile registrar cannot make them large. The pulse counts outcomes by class in ticks of a
//! tenth of a second or more, per trunk: from it follow the number of bindings at each refusal,
//! rates, and when things began and ended. Nothing here judges; `diagnose` does.

use super::answerer::{Words, fold};
use super::answerers::{AnswererRow, Answerers};
use super::asked::{self, AskedOf, AskedRow};
use super::checks::{self, CheckEnd, CheckRow};
use super::event::{AttemptEnd, BY_PROXY, Echo, Event, Granted, Offer, Subject};
use super::phrases::{PhraseId, Phrases};
use super::places::{self, LastPlaces, PlaceRow, PlaceTable};
use super::remarks::{RemarkRow, remark};
use super::requests::{RequestRow, Requests};
use super::routing::{self, RoutingRow, RoutingWord};
use super::rows::{MAX_TEXT, RowTable, note};
use super::unasked::{self, Unasked, UnaskedRow};
use crate::vocab::{Class, FlowLoss, Kind, Place, T1, Time, Trouble, said, saturating_u32, without_digests};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

pub use super::rows::{EXAMPLES, MAX_ROWS, Sightings, wider};

/// The tick of the pulse, unless an interval would then have more than [`TICKS`] ticks.
pub const SHORTEST_TICK: Duration = Duration::from_millis(100);
/// Ticks of an interval at most: 8 h of 15 trunks in intervals of a minute make 720 000 ticks.
pub const TICKS: u32 = 100;
/// The tick of a run with intervals of this length.
pub fn tick(interval: Duration) -> Duration {
    let parts = interval.as_nanos().div_ceil(SHORTEST_TICK.as_nanos() * u128::from(TICKS));
    SHORTEST_TICK * u32::try_from(parts.max(1)).unwrap_or(u32::MAX)
}

/// What an attempt was for, as far as the pulse tells it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Errand {
    /// A binding where none is held, or that of a phone that begins anew.
    New,
    Refresh,
    /// A retry while the binding is held still, as after a refresh that failed.
    Renewal,
}

/// What a cell of the pulse counts. A tick's outcomes are told apart by class and by what the
/// attempts were for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Beat {
    /// Attempts that ended this way, by the time of their end.
    Ended { class: Class, errand: Errand },
    /// Attempts begun (first REGISTER sent).
    Started,
    /// Agents that gained their first or a new binding.
    Bound,
    /// Bindings that ended: lapsed or removed.
    Unbound,
    /// Requests sent again for lack of an answer.
    Retransmitted,
    /// Attempts that ended without a class: abandoned.
    Abandoned,
    /// Attempts answered for good within T1 of their first REGISTER, so that nothing had to be
    /// repeated.
    Swift,
    /// Requests that were not answered within T1, by when they were sent first.
    Unanswered,
}

impl Beat {
    /// Number of the first beat that is no outcome.
    #[expect(clippy::cast_possible_truncation, reason = "there are 14 classes")]
    const FIRST: u8 = 2 * Class::COUNT as u8;
    /// Number of the first beat of a [`Errand::Renewal`].
    const RENEWALS: u8 = Self::FIRST + 7;
    pub const COUNT: usize = Self::RENEWALS as usize + Class::COUNT;

    /// Its number in a record.
    pub const fn index(self) -> u8 {
        match self {
            Beat::Ended { class, errand: Errand::New } => 2 * class as u8,
            Beat::Ended { class, errand: Errand::Refresh } => 2 * class as u8 + 1,
            Beat::Ended { class, errand: Errand::Renewal } => Self::RENEWALS + class as u8,
            Beat::Started => Self::FIRST,
            Beat::Bound => Self::FIRST + 1,
            Beat::Unbound => Self::FIRST + 2,
            Beat::Retransmitted => Self::FIRST + 3,
            Beat::Abandoned => Self::FIRST + 4,
            Beat::Swift => Self::FIRST + 5,
            Beat::Unanswered => Self::FIRST + 6,
        }
    }

    /// `None` for a number that no version has.
    pub fn from_index(index: u8) -> Option<Beat> {
        const FIRST: u8 = Beat::FIRST;
        const RENEWALS: u8 = Beat::RENEWALS;
        Some(match index {
            0..FIRST => {
                let errand = if index % 2 == 1 { Errand::Refresh } else { Errand::New };
                Beat::Ended { class: Class::ALL[usize::from(index / 2)], errand }
            }
            FIRST => Beat::Started,
            n if n == FIRST + 1 => Beat::Bound,
            n if n == FIRST + 2 => Beat::Unbound,
            n if n == FIRST + 3 => Beat::Retransmitted,
            n if n == FIRST + 4 => Beat::Abandoned,
            n if n == FIRST + 5 => Beat::Swift,
            n if n == FIRST + 6 => Beat::Unanswered,
            RENEWALS.. => {
                Beat::Ended { class: *Class::ALL.get(usize::from(index - RENEWALS))?, errand: Errand::Renewal }
            }
            _ => return None,
        })
    }
}

/// One count of the pulse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct PulseCell {
    pub trunk: u16,
    /// Ticks since the run's start.
    pub tick: u32,
    /// [`Beat::index`].
    pub beat: u8,
    /// Of a refusal: [`refusal_group`]; else 0.
    pub group: u16,
    pub count: u32,
}

/// Sets refusals of one class apart by code and reason phrase, so that two troubles that look alike
/// keep a pulse each. A 16-bit digest: in about one run of ten thousand two of a handful of phrases
/// collide and are treated as one.
pub fn refusal_group(code: u16, reason: &str) -> u16 {
    let hash = fold(code.to_be_bytes().iter().chain(reason.as_bytes()));
    (((hash >> 16) ^ hash) & 0xffff) as u16 | 1
}

/// Attempts that ended in the same way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutcomeRow {
    pub trunk: u16,
    /// Position among the trunk's source addresses.
    pub source: u8,
    pub kind: Kind,
    pub class: Class,
    pub place: Place,
    /// 0: no response.
    pub code: u16,
    /// In words; whoever compares looks at `trouble`.
    pub reason: String,
    /// `None`: the reason is the server's own phrase.
    pub trouble: Option<Trouble>,
    /// The algorithm answered with, as a position in `sip::Algorithm::ALL`.
    pub algorithm: Option<u8>,
    pub seen: Sightings,
    /// The shortest and longest `Retry-After`, seconds.
    pub retry_after_s: Option<(u32, u32)>,
    /// What refusals said beside their reason phrase: the first [`EXAMPLES`] texts.
    pub words: Vec<String>,
}

/// A challenge, as far as it is the same for every agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OfferRow {
    pub trunk: u16,
    pub source: u8,
    pub realm: String,
    /// As [`Offer::offered`].
    pub offered: u8,
    /// The algorithm that was answered; `None`: no challenge of the response could be.
    pub answered: Option<u8>,
    pub stale: bool,
    /// Length of the nonce, in characters; 0: not known.
    pub nonce_length: u8,
    pub seen: Sightings,
}

/// 2xx answers whose bindings came back alike.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GrantRow {
    pub trunk: u16,
    pub source: u8,
    pub kind: Kind,
    /// The lifetime granted is shorter than the one asked for by enough to matter: see
    /// [`is_shortened`].
    pub shortened: bool,
    pub echo: Echo,
    pub asked_s: u32,
    /// The shortest and longest lifetime granted, seconds.
    pub granted_s: (u32, u32),
    /// The most bindings that one of them listed.
    pub listed: u16,
    /// Contact or Via as it came back first, where it came back other than sent.
    pub example: String,
    pub seen: Sightings,
}

/// The evidence of one interval, or of a run once all are merged.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Evidence {
    pub pulse: Vec<PulseCell>,
    pub outcomes: Vec<OutcomeRow>,
    pub offers: Vec<OfferRow>,
    pub grants: Vec<GrantRow>,
    pub answerers: Vec<AnswererRow>,
    pub requests: Vec<RequestRow>,
    pub remarks: Vec<RemarkRow>,
    pub unasked: Vec<UnaskedRow>,
    pub places: Vec<PlaceRow>,
    pub routing: Vec<RoutingRow>,
    pub checks: Vec<CheckRow>,
    pub asked: Vec<AskedRow>,
}

impl Evidence {
    /// Adds another worker's evidence, or that of a later interval: equal rows and cells become
    /// one.
    pub fn merge(&mut self, other: &Evidence) {
        // Cells are sorted and added once, in `settle`: doing it for each interval would be
        // quadratic.
        self.pulse.extend_from_slice(&other.pulse);
        for row in &other.outcomes {
            match self.outcomes.iter_mut().find(|mine| mine.is_like(row)) {
                Some(mine) => {
                    // The first that were heard, whichever worker heard them.
                    let later = if row.seen.begins() < mine.seen.begins() {
                        std::mem::replace(&mut mine.words, row.words.clone())
                    } else {
                        row.words.clone()
                    };
                    later.iter().for_each(|text| note(&mut mine.words, text.as_bytes()));
                    mine.seen.merge(&row.seen);
                    mine.retry_after_s = wider(mine.retry_after_s, row.retry_after_s);
                }
                None => self.outcomes.push(row.clone()),
            }
        }
        for row in &other.offers {
            match self.offers.iter_mut().find(|mine| mine.is_like(row)) {
                Some(mine) => mine.seen.merge(&row.seen),
                None => self.offers.push(row.clone()),
            }
        }
        for row in &other.grants {
            match self.grants.iter_mut().find(|mine| mine.is_like(row)) {
                Some(mine) => {
                    let earlier = row.seen.begins() < mine.seen.begins();
                    if !row.example.is_empty() && (earlier || mine.example.is_empty()) {
                        mine.example.clone_from(&row.example);
                    }
                    mine.seen.merge(&row.seen);
                    mine.granted_s.0 = mine.granted_s.0.min(row.granted_s.0);
                    mine.granted_s.1 = mine.granted_s.1.max(row.granted_s.1);
                    mine.listed = mine.listed.max(row.listed);
                }
                None => self.grants.push(row.clone()),
            }
        }
        for row in &other.answerers {
            match self.answerers.iter_mut().find(|mine| mine.is_like(row)) {
                Some(mine) => mine.seen.merge(&row.seen),
                None => self.answerers.push(row.clone()),
            }
        }
        for row in &other.requests {
            match self.requests.iter_mut().find(|mine| mine.is_like(row)) {
                Some(mine) => mine.merge(row),
                None => self.requests.push(*row),
            }
        }
        for RemarkRow { trunk, why, text, count } in &other.remarks {
            remark(&mut self.remarks, *trunk, *why, text, *count);
        }
        other.unasked.iter().for_each(|row| unasked::merge(&mut self.unasked, row));
        other.places.iter().for_each(|row| places::merge(&mut self.places, row));
        other.routing.iter().for_each(|row| routing::merge(&mut self.routing, row));
        other.asked.iter().for_each(|row| asked::merge(&mut self.asked, row));
        other.checks.iter().for_each(|row| checks::merge(&mut self.checks, row));
    }

    /// Every trunk that is named.
    pub fn trunks(&self) -> impl Iterator<Item = u16> + '_ {
        let outcomes = self.outcomes.iter().map(|row| row.trunk);
        let offers = self.offers.iter().map(|row| row.trunk);
        let grants = self.grants.iter().map(|row| row.trunk);
        let answerers = self.answerers.iter().map(|row| row.trunk);
        let requests = self.requests.iter().map(|row| row.trunk);
        let remarks = self.remarks.iter().map(|row| row.trunk);
        let unasked = self.unasked.iter().map(|row| row.trunk).chain(self.places.iter().map(|row| row.trunk));
        let unasked = unasked.chain(self.routing.iter().map(|row| row.trunk));
        let unasked = unasked.chain(self.checks.iter().map(|row| row.trunk));
        let unasked = unasked.chain(self.asked.iter().map(|row| row.trunk));
        let cells = self.pulse.iter().map(|cell| cell.trunk);
        cells.chain(outcomes).chain(offers).chain(grants).chain(answerers).chain(requests).chain(remarks).chain(unasked)
    }

    /// Every agent that is named.
    pub fn agents(&self) -> impl Iterator<Item = u32> + '_ {
        let outcomes = self.outcomes.iter().map(|row| &row.seen);
        let offers = self.offers.iter().map(|row| &row.seen);
        let grants = self.grants.iter().map(|row| &row.seen);
        let answerers = self.answerers.iter().map(|row| &row.seen);
        let checks = self.checks.iter().map(|row| &row.seen).chain(self.asked.iter().map(|row| &row.seen));
        let seen = outcomes.chain(offers).chain(grants).chain(answerers).chain(checks);
        let moved = self.places.iter().flat_map(|row| row.agents.iter().copied());
        seen.flat_map(|seen| seen.agents.iter().copied()).chain(moved)
    }

    /// Sorts the pulse by trunk and time, with one cell for each count, and rows by who was seen
    /// first: which worker saw it makes no difference.
    pub fn settle(&mut self) {
        self.outcomes.sort_by_key(|row| row.seen.begins());
        self.offers.sort_by_key(|row| row.seen.begins());
        self.grants.sort_by_key(|row| row.seen.begins());
        self.answerers.sort_by_key(|row| row.seen.begins());
        self.checks.sort_by_key(|row| row.seen.begins());
        self.asked.sort_by_key(|row| row.seen.begins());
        self.pulse.sort_unstable();
        self.pulse.dedup_by(|later, kept| {
            let same =
                (later.trunk, later.tick, later.beat, later.group) == (kept.trunk, kept.tick, kept.beat, kept.group);
            if same {
                kept.count = kept.count.saturating_add(later.count);
            }
            same
        });
    }
}

impl OutcomeRow {
    /// The group of the pulse's cells that count this row's attempts.
    pub fn group(&self) -> u16 {
        if self.class.is_refusal() { refusal_group(self.code, &self.reason) } else { 0 }
    }

    fn is_like(&self, other: &OutcomeRow) -> bool {
        (self.trunk, self.source, self.kind, self.class, self.place, self.code, self.algorithm)
            == (other.trunk, other.source, other.kind, other.class, other.place, other.code, other.algorithm)
            && (self.trouble, &self.reason) == (other.trouble, &other.reason)
    }
}

impl OfferRow {
    /// A 401 and no proxy's 407.
    pub fn is_registrars(&self) -> bool {
        self.offered & BY_PROXY == 0
    }

    fn is_like(&self, other: &OfferRow) -> bool {
        (self.trunk, self.source, self.offered, self.answered, self.stale, self.nonce_length)
            == (other.trunk, other.source, other.offered, other.answered, other.stale, other.nonce_length)
            && self.realm == other.realm
    }
}

impl GrantRow {
    fn is_like(&self, other: &GrantRow) -> bool {
        (self.trunk, self.source, self.kind, self.shortened, self.echo, self.asked_s)
            == (other.trunk, other.source, other.kind, other.shortened, other.echo, other.asked_s)
    }
}

/// Whether a lifetime was cut so that it makes a difference. Some registrars (Asterisk) always
/// state a second less than they grant, others round; and a lifetime a twentieth shorter means a
/// twentieth more refreshes, which nobody notices.
pub const fn is_shortened(asked_s: u32, granted_s: u32) -> bool {
    granted_s.saturating_add(1) < asked_s && granted_s as u64 * 20 < asked_s as u64 * 19
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct OutcomeKey {
    trunk: u16,
    source: u8,
    kind: Kind,
    class: Class,
    place: Place,
    code: u16,
    reason: PhraseId,
    trouble: Option<Trouble>,
    algorithm: Option<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct OfferKey {
    trunk: u16,
    source: u8,
    realm: PhraseId,
    offered: u8,
    answered: Option<u8>,
    stale: bool,
    nonce_length: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct GrantKey {
    trunk: u16,
    source: u8,
    kind: Kind,
    shortened: bool,
    echo: Echo,
    asked_s: u32,
}

/// The pulse of one interval: for each tick and trunk that saw something, one count per beat.
#[derive(Clone, Debug)]
struct Pulse {
    trunks: usize,
    /// The first tick of the interval.
    base: u32,
    /// By tick since `base` and trunk: position in `cells`, from 1; 0 for none.
    places: Vec<u32>,
    cells: Vec<(u32, u16, [u32; Beat::COUNT])>,
    /// By tick, trunk, beat and group.
    refusals: HashMap<(u32, u16, u8, u16), u32>,
}

impl Pulse {
    /// Has room for an interval of all trunks, up to some number of them: 340 KB for sixteen.
    fn new(trunks: usize) -> Self {
        let ticks = TICKS as usize + SPARE_TICKS;
        Pulse {
            trunks: trunks.max(1),
            base: 0,
            places: Vec::with_capacity(ticks * trunks.max(1)),
            cells: Vec::with_capacity(ticks * trunks.clamp(1, 16)),
            refusals: HashMap::new(),
        }
    }

    /// Counts in a tick. What is timed before the interval's first tick is counted in that tick: it
    /// was handled just after the previous interval closed.
    fn count(&mut self, tick: u32, trunk: u16, beat: Beat) {
        let place = tick.saturating_sub(self.base) as usize * self.trunks + usize::from(trunk);
        if place >= self.places.len() {
            self.places.resize(place + 1, 0);
        }
        if self.places[place] == 0 {
            self.cells.push((tick.max(self.base), trunk, [0; Beat::COUNT]));
            self.places[place] = saturating_u32(self.cells.len());
        }
        let cell = &mut self.cells[self.places[place] as usize - 1].2[usize::from(beat.index())];
        *cell = cell.saturating_add(1);
    }

    fn count_refusal(&mut self, tick: u32, trunk: u16, beat: Beat, group: u16) {
        let count = self.refusals.entry((tick.max(self.base), trunk, beat.index(), group)).or_default();
        *count = count.saturating_add(1);
    }

    /// The counts so far; the next interval begins with the tick `base`.
    fn take(&mut self, base: u32) -> Vec<PulseCell> {
        let mut pulse = Vec::new();
        for (tick, trunk, counts) in self.cells.drain(..) {
            let counted = (0..).zip(&counts).filter(|(_, count)| **count > 0);
            pulse.extend(counted.map(|(beat, &count)| PulseCell { trunk, tick, beat, group: 0, count }));
        }
        let refusals = self.refusals.drain();
        pulse.extend(refusals.map(|((tick, trunk, beat, group), count)| PulseCell { trunk, tick, beat, group, count }));
        // A table has no order of its own, and the same seed gives the same bytes.
        pulse.sort_unstable();
        self.places.clear();
        self.base = base;
        pulse
    }
}

/// Ticks that a late close may add to an interval before its pulse grows.
const SPARE_TICKS: usize = 4;

/// One worker's evidence of the current interval.
#[derive(Clone, Debug)]
pub(super) struct Collector {
    start: Time,
    tick_ns: u64,
    pulse: Pulse,
    outcomes: RowTable<OutcomeKey>,
    offers: RowTable<OfferKey>,
    grants: RowTable<GrantKey>,
    pub(super) requests: Requests,
    realms: Phrases,
    answerers: Answerers,
    remarks: Vec<RemarkRow>,
    unasked: Vec<UnaskedRow>,
    places: PlaceTable,
    last_places: LastPlaces,
    routing: Vec<RoutingRow>,
    checks: Vec<CheckRow>,
    asked: Vec<AskedRow>,
}

impl Collector {
    pub(super) fn new(start: Time, interval: Duration, trunks: usize) -> Self {
        Collector {
            start,
            tick_ns: u64::try_from(tick(interval).as_nanos()).unwrap_or(u64::MAX),
            pulse: Pulse::new(trunks),
            outcomes: RowTable::new(),
            offers: RowTable::new(),
            grants: RowTable::new(),
            requests: Requests::new(start, trunks),
            realms: Phrases::new(),
            answerers: Answerers::new(),
            remarks: Vec::new(),
            unasked: Vec::new(),
            places: PlaceTable::default(),
            last_places: LastPlaces::default(),
            routing: Vec::new(),
            checks: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// The registrar's side asked an agent something.
    pub(super) fn asked(&mut self, subject: Subject, one: &AskedOf<'_>) {
        asked::count(&mut self.asked, (subject.trunk, subject.agent), self.start, one);
    }

    /// A check ended.
    pub(super) fn checked(&mut self, subject: Subject, end: &CheckEnd) {
        checks::count(&mut self.checks, subject.trunk.0, subject.agent.0, self.start, end);
    }

    /// What an answer says of the way requests take.
    pub(super) fn routing(&mut self, trunk: u16, word: RoutingWord, text: &[u8]) {
        routing::count(&mut self.routing, trunk, word, text);
    }

    /// Something of an attempt happened at one of the several addresses of a trunk.
    pub(super) fn at_place(&mut self, (trunk, agent): (u16, u32), address: SocketAddr, event: &Event<'_>) {
        self.places.saw(trunk, address, event, self.start);
        if let Event::Ended(AttemptEnd { sent: Some(_), .. }) = event {
            self.last_places.ended(trunk, agent, address);
        }
    }

    /// Something to say of the trunk's connections.
    pub(super) fn remark(&mut self, trunk: u16, why: Option<FlowLoss>, text: &str) {
        remark(&mut self.remarks, trunk, why, text, 1);
    }

    /// A datagram that nobody waited for where it came from.
    pub(super) fn unasked(&mut self, trunk: u16, one: &Unasked<'_>) {
        unasked::count(&mut self.unasked, trunk, self.start, one);
    }

    pub(super) fn beat(&mut self, trunk: u16, at: Time, beat: Beat) {
        let tick = self.tick_of(at);
        self.pulse.count(tick, trunk, beat);
    }

    fn tick_of(&self, at: Time) -> u32 {
        u32::try_from(at.nanos_since(self.start) / self.tick_ns).unwrap_or(u32::MAX)
    }

    /// An attempt ended, with the reason phrase's number in the tally's list, of an agent that is
    /// `bound` or not. Its class, unless it has none.
    pub(super) fn ended(
        &mut self,
        subject: Subject,
        end: &AttemptEnd<'_>,
        bound: bool,
        (reason, reasons): (PhraseId, &Phrases),
    ) -> Option<Class> {
        let class = end.class();
        let trunk = subject.trunk.0;
        let Some(class) = class else {
            if end.sent.is_some() {
                self.beat(trunk, end.at, Beat::Abandoned);
            }
            return None;
        };
        let errand = match end.kind {
            Kind::Refresh => Errand::Refresh,
            Kind::Retry if bound => Errand::Renewal,
            _ => Errand::New,
        };
        let beat = Beat::Ended { class, errand };
        let at = end.at.nanos_since(self.start);
        let group = if class.is_refusal() { refusal_group(end.code, &reasons.text(reason)) } else { 0 };
        self.answerers.saw(trunk, subject.agent.0, end, class, group, at);
        if class.is_refusal() {
            self.pulse.count_refusal(self.tick_of(end.at), trunk, beat, group);
        } else {
            self.beat(trunk, end.at, beat);
        }
        if end.code != 0 && end.sent.is_some_and(|sent| end.at.since(sent) < T1) {
            self.beat(trunk, end.at, Beat::Swift);
        }
        let key = OutcomeKey {
            trunk,
            source: subject.source,
            kind: end.kind,
            class,
            place: end.place,
            code: end.code,
            reason,
            trouble: end.reason.trouble(),
            algorithm: end.clues.algorithm,
        };
        if let Some(kept) = self.outcomes.row(key) {
            kept.add(subject.agent.0, at);
            if class.is_refusal() {
                let Words { warning, reason, comment, body } = end.clues.words;
                [warning, reason, comment, body].into_iter().for_each(|text| note(&mut kept.words, text));
            }
            kept.span_s = wider(kept.span_s, end.clues.retry_after.map(|seconds| (seconds, seconds)));
        }
        Some(class)
    }

    pub(super) fn offered(&mut self, subject: Subject, offer: &Offer<'_>) {
        let key = OfferKey {
            trunk: subject.trunk.0,
            source: subject.source,
            realm: self.realms.id(offer.realm),
            offered: offer.offered,
            answered: offer.answered,
            stale: offer.stale,
            nonce_length: offer.nonce_length,
        };
        let at = offer.at.nanos_since(self.start);
        if let Some(kept) = self.offers.row(key) {
            kept.add(subject.agent.0, at);
        }
    }

    pub(super) fn granted(&mut self, subject: Subject, grant: &Granted<'_>) {
        let key = GrantKey {
            trunk: subject.trunk.0,
            source: subject.source,
            kind: grant.kind,
            shortened: is_shortened(grant.asked_s, grant.granted_s),
            echo: grant.echo,
            asked_s: grant.asked_s,
        };
        let at = grant.at.nanos_since(self.start);
        if let Some(kept) = self.grants.row(key) {
            kept.add(subject.agent.0, at);
            kept.span_s = wider(kept.span_s, Some((grant.granted_s, grant.granted_s)));
            kept.listed = kept.listed.max(grant.listed);
            if kept.example.is_empty() && !grant.example.is_empty() {
                let example = without_digests(grant.example);
                kept.example = said(&example[..example.len().min(MAX_TEXT)]);
            }
        }
    }

    /// The evidence of the interval that ends at `end`.
    pub(super) fn take(&mut self, end: Time, reasons: &Phrases) -> Evidence {
        let base = self.tick_of(end);
        let pulse = self.pulse.take(base);
        let realms = &self.realms;
        let mut places = self.places.take();
        self.last_places.tell(&mut places);
        Evidence {
            pulse,
            outcomes: self.outcomes.take(|key, kept| OutcomeRow {
                trunk: key.trunk,
                source: key.source,
                kind: key.kind,
                class: key.class,
                place: key.place,
                code: key.code,
                reason: reasons.text(key.reason).to_string(),
                trouble: key.trouble,
                algorithm: key.algorithm,
                seen: kept.sightings(),
                retry_after_s: kept.span_s,
                words: kept.words,
            }),
            offers: self.offers.take(|key, kept| OfferRow {
                trunk: key.trunk,
                source: key.source,
                realm: realms.text(key.realm).to_string(),
                offered: key.offered,
                answered: key.answered,
                stale: key.stale,
                nonce_length: key.nonce_length,
                seen: kept.sightings(),
            }),
            grants: self.grants.take(|key, kept| GrantRow {
                trunk: key.trunk,
                source: key.source,
                kind: key.kind,
                shortened: key.shortened,
                echo: key.echo,
                asked_s: key.asked_s,
                granted_s: kept.span_s.unwrap_or_default(),
                listed: kept.listed,
                seen: kept.sightings(),
                example: kept.example,
            }),
            answerers: self.answerers.take(),
            requests: self.requests.take(),
            remarks: std::mem::take(&mut self.remarks),
            unasked: std::mem::take(&mut self.unasked),
            places,
            routing: std::mem::take(&mut self.routing),
            checks: std::mem::take(&mut self.checks),
            asked: std::mem::take(&mut self.asked),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_a_tenth_of_a_second_or_a_hundredth_of_the_interval() {
        assert_eq!(tick(Duration::from_secs(1)), Duration::from_millis(100));
        assert_eq!(tick(Duration::from_secs(10)), Duration::from_millis(100));
        assert_eq!(tick(Duration::from_secs(11)), Duration::from_millis(200));
        assert_eq!(tick(Duration::from_secs(60)), Duration::from_millis(600));
    }

    #[test]
    fn a_second_less_or_a_twentieth_is_not_shortened() {
        for (asked, granted) in [(600, 600), (600, 599), (20, 19), (5, 4), (3_600, 3_590), (3_600, 3_420), (60, 90)] {
            assert!(!is_shortened(asked, granted), "{granted} of {asked}");
        }
        for (asked, granted) in [(600, 569), (20, 18), (3_600, 60), (2, 0)] {
            assert!(is_shortened(asked, granted), "{granted} of {asked}");
        }
    }

    #[test]
    fn beats_keep_their_numbers() {
        for index in 0..Beat::COUNT as u8 {
            assert_eq!(Beat::from_index(index).map(Beat::index), Some(index));
        }
        assert_eq!(Beat::from_index(Beat::COUNT as u8), None);
        assert_eq!(Beat::Ended { class: Class::Registered, errand: Errand::Refresh }.index(), 1);
    }

    #[test]
    fn cells_of_two_workers_become_one() {
        let cell = |tick, count| PulseCell { trunk: 0, tick, beat: 0, group: 0, count };
        let mut mine = Evidence { pulse: vec![cell(3, 1), cell(1, 2)], ..Evidence::default() };
        mine.merge(&Evidence { pulse: vec![cell(1, 5)], ..Evidence::default() });
        mine.settle();
        assert_eq!(mine.pulse, [cell(1, 7), cell(3, 1)]);
    }
}
