//! How fast registrations may come: at most twelve probes, each at one rate, with time to settle in
//! between.
//!
//! Rates grow fourfold until one does not hold. What was refused then is read as a token bucket
//! (`bucket`), and the next probes are laid closely around its refill; where the registrar is no
//! token bucket, the bracket is halved geometrically instead. Before each of these a burst is
//! poured until the first refusal, so that a saved-up allowance lets no rate pass that cannot last.
//! The search ends when the bracket is no wider than 5 %.
//!
//! A rate holds when it is *sustained* (`sustained`): nothing is refused, it is answered as fast as
//! it is offered, and response times do not grow. Where a queue grows instead, the rate that is
//! carried is measured directly (`saturation`), by offering more, but never letting more wait than
//! are answered in a fraction of a second; a rate just below the result must then hold. After each
//! probe that built a queue the next one waits until a single phone is answered as at leisure
//! again; if it never is, the registrar is slow for another reason.
//!
//! Two bursts, one right behind the other, then tell what is limited: a bucket has only what came
//! in meanwhile for the second one, while a limit on open transactions lets as many pass again as
//! soon as the first are answered.

use super::bucket::{self, Bucket};
use super::law::{self, QueueLaw};
use super::saturation::{self, Capacity, Saturation};
use super::sustained::{self, CarriedRate, Lateness};
use super::{
    AnsweredProbe, Confidence, Search, SearchField, Seat, SeatAnswer, SeatFate, StepPace, StepResult, Stop, WhenFull,
    WordedRefusal,
};
use crate::vocab::{floor_u32, floor_usize, saturating_u32};
use std::time::Duration;

/// The search's settings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ProbingSettings {
    /// The first rate, per second.
    pub start: f64,
    /// The highest rate ever offered: half of what the safety ceiling lets pass, a handshake being
    /// two messages.
    pub most: f64,
    /// A rate also fails when fewer than 99 of 100 are registered within this time.
    pub objective: Option<Duration>,
    /// When a request is first repeated (RFC 3261 §17.1.2.2).
    pub t1: Duration,
}

/// What was found about the rate.
#[derive(Clone, PartialEq, Debug)]
pub struct FoundRate {
    /// Per second.
    pub limit: Option<f64>,
    /// Of the kind `Overload`: how it was measured.
    pub capacity: Option<Capacity>,
    /// How response times go with the rate, where a law fits.
    pub law: Option<QueueLaw>,
    /// The highest rate that held.
    pub at_least: f64,
    /// Accepted at once before the rate matters.
    pub burst: Option<u32>,
    pub kind: LimitKind,
    pub refusal: Option<WordedRefusal>,
    /// Highest rate that held and lowest that did not; the limit lies between.
    pub bracket: (f64, Option<f64>),
    pub probes: u32,
    /// 99 of 100 were registered within this, at the highest rate that held.
    pub p99: Option<Duration>,
    /// Why no higher rate was tried.
    pub ended: &'static str,
    /// This machine could not keep the schedule of a probe that decides.
    pub unkept: bool,
    /// High: bracket within 5 %, a refill read from the refusals lies in it, and both its ends rest
    /// on 100 arrivals or more. Medium: bracket within 5 %. Low: a wider one, or a schedule that
    /// was not kept. Of the kind `Overload` the upper end is the rate measured: high when that
    /// rests on 1000 registrations in probes that agree and a rate within 5 % below held; medium
    /// when only one of the two is so, the rate that held then within 11 %.
    pub confidence: Confidence,
}

/// What is limited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitKind {
    /// Registrations per second.
    Rate,
    /// So many open at the same time, whatever the rate; the rate found is what that comes to at
    /// this round trip.
    Transactions(u32),
    /// Nothing is refused, but it becomes too slow.
    Latency,
    /// Nothing is refused, but answers stay away.
    Silence,
    /// Nothing is refused, but a queue grows: so much is carried.
    Overload,
}

pub const MOST_PROBES: u32 = 12;
/// The bracket's width at which the search ends.
const CLOSE: f64 = 1.05;
/// How much below and above an estimate is probed: together less than [`CLOSE`].
const BESIDE: f64 = 0.023;
const GROWTH: f64 = 4.0;
/// Arrivals of the first probes: enough to see a limit far below the rate.
const FIRST: usize = 40;
/// Arrivals of a probe, as far as there are phones and time.
const ENOUGH: usize = 200;
/// Arrivals at either end for which high confidence stands.
const SOUND: usize = 100;
/// Fewer tell nothing of a rate.
const LEAST: usize = 10;
/// How long a probe lasts at the least and at the most.
const SHORTEST: f64 = 2.0;
const LONGEST: f64 = 20.0;
/// Below this a probe says nothing about a rate per second.
const TOO_SHORT: f64 = 0.5;
/// Where there are too few agents for fourfold the rate, less is worth a probe if it is this much.
const WORTH: f64 = 1.5;
/// The share of a steady part that is left out: what was poured may still take its tokens.
const LEAD_IN: f64 = 0.2;
/// The share of a steady part that may be refused: one arrival in 200, for a late one behind an
/// early one.
const SLIP: f64 = 0.005;
/// More of our own arrivals late than this share, and a probe says nothing.
const MOST_LATE: f64 = 0.05;
/// A handshake is two transactions; in less than half of it none of the first has ended.
const WITHIN: f64 = 0.4;
/// Arrivals in that time, as a multiple of what the limit lets pass.
const DENSE: f64 = 10.0;
/// The longest rest for a bucket to fill up, or for a queue to drain.
const MOST_REST: Duration = Duration::from_secs(30);
/// How long what waits may take to be answered while rates grow, and while what is carried is
/// measured, beyond an answer at leisure: less than T1, so that nothing is repeated.
const LONG_WAIT: Duration = Duration::from_secs(1);
const QUEUE_WAIT: Duration = Duration::from_millis(200);
/// What is offered over what seems to be carried.
const EXCESS: f64 = 2.0;
/// Registrations that measure what is carried, and for how long at the most.
const MEASURED: f64 = 1_600.0;
const LONGEST_MEASURE: f64 = 32.0;
const LEAST_MEASURE_LOSSY: f64 = 4.0;
/// Phones that show what an answer takes at leisure.
const FEW: usize = 5;
/// Registrations in all that a high confidence needs.
const SURE: usize = 1_000;
/// Rates just below what is carried, one of which must hold.
const BELOW: [f64; 3] = [0.955, 0.91, 0.85];
/// How far below a rate that holds may lie for medium confidence in what is carried.
const NEAR: f64 = 1.11;
/// Repeated requests over phones, beyond what is repeated at rates that hold, from which on first
/// requests are dropped.
const DROPPED: f64 = 0.03;
/// An un-REGISTER may take two requests, as a registration does.
const RELEASED: f64 = 0.7;
/// Phones held back that are no sign of a queue.
const HELD_BACK: f64 = 0.01;

/// Searches the rate among these phones, none of which is registered; none is afterwards.
pub fn rate<F: SearchField>(
    search: &mut Search<'_, F>,
    phones: &[Seat],
    settings: &ProbingSettings,
) -> Result<FoundRate, Stop> {
    search.begin("rate");
    let mut hunt = Hunt {
        phones,
        settings,
        low: 0.0,
        high: None,
        pour: settings.start,
        estimate: None,
        burst: 0.0,
        refusal: None,
        kind: LimitKind::Rate,
        probes: 0,
        p99: None,
        measured: (0, 0),
        leisure: None,
        repeats: (0, 0),
        capacity: None,
        held: Vec::new(),
        is_steady: false,
        is_doubted: false,
        unkept: false,
        ended: "the bracket is close enough",
    };
    hunt.look(search)?;
    hunt.grow(search, settings.start.min(settings.most))?;
    while hunt.kind == LimitKind::Overload && hunt.high.is_some() && !hunt.is_doubted {
        // It may keep up after all: then it was a moment's trouble, and rates grow on.
        let Some(next) = hunt.saturate(search)? else { break };
        hunt.is_doubted = true;
        hunt.grow(search, next)?;
    }
    if hunt.capacity.is_some() {
        hunt.confirm(search)?;
    } else if hunt.high.is_some() {
        hunt.narrow(search)?;
    }
    let mut found = hunt.conclude();
    if let (Some(limit), LimitKind::Rate, Some(_)) = (found.limit, found.kind, &found.refusal) {
        let (burst, kind) = hunt.bursts(search, limit)?;
        (found.burst, found.kind) = (burst, kind);
    }
    Ok(found)
}

struct Hunt<'h> {
    phones: &'h [Seat],
    settings: &'h ProbingSettings,
    /// The highest rate that held; 0: none yet.
    low: f64,
    high: Option<f64>,
    /// The rate at which refusals are certain.
    pour: f64,
    estimate: Option<Bucket>,
    /// Accepted at once, as the first rate that failed showed it.
    burst: f64,
    refusal: Option<WordedRefusal>,
    kind: LimitKind,
    probes: u32,
    p99: Option<Duration>,
    /// Arrivals behind the bracket's low and high end.
    measured: (usize, usize),
    /// What an answer takes at leisure.
    leisure: Option<Duration>,
    /// Repeated requests, and phones, at rates that hold.
    repeats: (u32, usize),
    capacity: Option<Capacity>,
    /// Rates that held, and their median response times in seconds.
    held: Vec<(f64, f64)>,
    /// What is carried did not depend on the queue's length.
    is_steady: bool,
    /// A rate failed, and was kept up with when more was offered at a time.
    is_doubted: bool,
    unkept: bool,
    ended: &'static str,
}

/// What a probe says of its rate.
enum ProbeVerdict {
    Held,
    Failed(LimitKind),
    /// Answers were slow, and are so at leisure too: it is not the rate.
    Slow,
    /// Our own schedule was not kept.
    Invalid,
}

impl<'h> Hunt<'h> {
    /// What an answer takes when hardly anything is asked.
    fn look<F: SearchField>(&mut self, search: &mut Search<'_, F>) -> Result<(), Stop> {
        let few = &self.phones[..self.phones.len().min(FEW)];
        let seen = search.register("a few phones at leisure", few, StepPace::Steady(search.gentle))?;
        // A lost packet or two must not pass for leisure.
        self.leisure = seen.latency(0.4);
        search.clear("before the first probe", search.gentle)?;
        search.rest("before the first probe", search.patience(seen.first_refusal().as_ref()))
    }

    /// Fourfold until a rate does not hold.
    fn grow<F: SearchField>(&mut self, search: &mut Search<'_, F>, from: f64) -> Result<(), Stop> {
        let mut rate = from;
        loop {
            let most = self.phones.len() as f64 / TOO_SHORT;
            if rate > most && most >= self.low * WORTH && self.low > 0.0 {
                rate = most;
            }
            let count = floor_usize(rate * SHORTEST).max(FIRST).min(self.phones.len());
            if count < LEAST || (count as f64) < rate * TOO_SHORT {
                self.ended = "there are too few agents for a higher rate";
                return Ok(());
            }
            if self.probes >= MOST_PROBES {
                self.ended = "twelve probes were made";
                return Ok(());
            }
            let (seats, pace) = (&self.phones[..count], self.cautious(rate));
            let (seen, verdict) = self.probe(search, "does this rate hold", seats, pace)?;
            match verdict {
                ProbeVerdict::Held => {
                    self.hold(rate, count, &seen);
                    if rate >= self.settings.most {
                        self.ended = "the safety ceiling allows no higher rate";
                        return Ok(());
                    }
                    rate = (rate * GROWTH).min(self.settings.most);
                }
                ProbeVerdict::Failed(kind) => {
                    self.fail(rate, kind, &seen);
                    return Ok(());
                }
                ProbeVerdict::Slow => {
                    self.ended = SLOW;
                    return Ok(());
                }
                ProbeVerdict::Invalid => {
                    self.unkept = true;
                    self.ended = "this machine could not keep the schedule of a higher rate";
                    return Ok(());
                }
            }
        }
    }

    fn hold(&mut self, rate: f64, count: usize, seen: &StepResult) {
        (self.low, self.measured.0, self.p99) = (rate, count, seen.latency(0.99));
        self.held.extend(seen.latency(0.5).map(|span| (rate, span.as_secs_f64())));
        self.repeats.0 += seen.retransmitted;
        self.repeats.1 += seen.answers.len();
        if self.leisure.is_none() {
            self.leisure = seen.latency(0.5);
        }
    }

    /// The first rate that fails.
    fn fail(&mut self, rate: f64, kind: LimitKind, seen: &StepResult) {
        (self.high, self.pour, self.measured.1, self.kind) = (Some(rate), rate, seen.answers.len(), kind);
        self.estimate = match kind {
            LimitKind::Silence | LimitKind::Overload => {
                sustained::carried(seen, self.leisure.unwrap_or_default()).map(as_bucket)
            }
            LimitKind::Rate | LimitKind::Transactions(_) | LimitKind::Latency => bucket::read(&seen.answers),
        };
        self.burst = self.estimate.map_or(seen.accepted() as f64, |bucket| bucket.burst);
        if kind == LimitKind::Rate && self.estimate.is_some_and(|bucket| bucket.per_second <= self.low) {
            // What held before lived on the burst.
            (self.low, self.measured.0) = (0.0, 0);
        }
    }

    /// At this rate, until it is plain that it is more than is answered.
    fn cautious(&self, rate: f64) -> StepPace {
        match self.leisure {
            Some(leisure) => {
                StepPace::Bounded { rate, wait: LONG_WAIT + leisure.saturating_mul(2), full: WhenFull::Stop }
            }
            // How slow it is when nothing is asked of it is not known yet.
            None => StepPace::Steady(rate),
        }
    }

    /// Measures what is carried. If it kept up with that: the rate to go on with.
    fn saturate<F: SearchField>(&mut self, search: &mut Search<'_, F>) -> Result<Option<f64>, Stop> {
        let leisure = self.leisure.unwrap_or_default();
        let mut found: Vec<CarriedRate> = Vec::new();
        for wait in [QUEUE_WAIT, QUEUE_WAIT * 2] {
            if self.probes >= MOST_PROBES {
                self.ended = "twelve probes were made";
                break;
            }
            let rough = found.last().map(|one| one.per_second).or(self.estimate.map(|bucket| bucket.per_second));
            let rough = rough.or(self.high).unwrap_or(self.settings.start);
            let rate = (rough * EXCESS).min(self.settings.most);
            // Where packets are lost the ends of a probe say little, and its middle must be long.
            let least = if self.repeats.0 > 0 { LEAST_MEASURE_LOSSY } else { SHORTEST };
            let count = MEASURED.max(rough * least).min(rough * LONGEST_MEASURE);
            let seats = &self.phones[..floor_usize(count.ceil()).clamp(1, self.phones.len())];
            let pace = StepPace::Bounded { rate, wait: wait + leisure, full: WhenFull::Hold };
            let (seen, verdict) = self.probe(search, "what it carries with a queue before it", seats, pace)?;
            match verdict {
                ProbeVerdict::Held => {
                    self.hold(rate, seats.len(), &seen);
                    let failed = self.high.unwrap_or(rate);
                    self.give_up("the safety ceiling allows no higher rate");
                    let next = if rate < failed { failed } else { rate * GROWTH };
                    return Ok(Some(next.min(self.settings.most)).filter(|next| *next > rate));
                }
                ProbeVerdict::Failed(LimitKind::Overload | LimitKind::Latency) => {
                    self.high = self.high.map(|high| high.min(rate));
                    found.extend(sustained::carried(&seen, leisure));
                }
                ProbeVerdict::Failed(kind) => {
                    self.fail(rate, kind, &seen);
                    return Ok(None);
                }
                ProbeVerdict::Slow => {
                    self.give_up(SLOW);
                    return Ok(None);
                }
                ProbeVerdict::Invalid => {
                    self.unkept = true;
                    found.extend(sustained::carried(&seen, leisure));
                }
            }
        }
        self.weigh(&found);
        Ok(None)
    }

    fn weigh(&mut self, found: &[CarriedRate]) {
        match saturation::conclude(found) {
            Some(Saturation::Queue(capacity)) => (self.capacity, self.is_steady) = (Some(capacity), true),
            Some(Saturation::Unsteady(capacity)) => self.capacity = Some(capacity),
            Some(Saturation::Delay) => {
                self.give_up("answers take longer at higher rates, though as many come as are asked for");
            }
            None => {}
        }
    }

    /// There is no limit on the rate that could be named.
    fn give_up(&mut self, why: &'static str) {
        (self.high, self.kind, self.ended) = (None, LimitKind::Rate, why);
    }

    /// A rate just below what is carried must hold.
    fn confirm<F: SearchField>(&mut self, search: &mut Search<'_, F>) -> Result<(), Stop> {
        let Some(capacity) = self.capacity.map(|capacity| capacity.per_second) else { return Ok(()) };
        for rate in BELOW.map(|part| part * capacity).into_iter().filter(|rate| *rate <= self.settings.most) {
            if rate <= self.low {
                break;
            }
            if self.probes >= MOST_PROBES {
                self.ended = "twelve probes were made";
                break;
            }
            let count = floor_usize((MEASURED / 2.0).max(rate * SHORTEST).min(rate * LONGEST).ceil());
            let (seats, pace) = (&self.phones[..count.min(self.phones.len())], self.cautious(rate));
            let (seen, verdict) = self.probe(search, "does a rate just below hold", seats, pace)?;
            match verdict {
                ProbeVerdict::Held => {
                    self.hold(rate, seats.len(), &seen);
                    break;
                }
                ProbeVerdict::Failed(_) | ProbeVerdict::Slow => {}
                ProbeVerdict::Invalid => {
                    self.unkept = true;
                    self.ended = "this machine could not keep the schedule";
                    break;
                }
            }
        }
        Ok(())
    }

    /// Between a rate that held and one that did not.
    fn narrow<F: SearchField>(&mut self, search: &mut Search<'_, F>) -> Result<(), Stop> {
        while let Some(high) = self.high.filter(|high| *high > self.low * CLOSE) {
            if self.probes >= MOST_PROBES {
                self.ended = "twelve probes were made";
                break;
            }
            let rate = self.next(high);
            let (pace, seats) = self.offer(rate);
            let (seen, verdict) = self.probe(search, "on which side does this rate lie", seats, pace)?;
            let steady = steady_part(&seen);
            match verdict {
                ProbeVerdict::Held => {
                    (self.low, self.measured.0, self.p99) = (rate, steady.len(), seen.latency(0.99));
                }
                ProbeVerdict::Failed(kind) => {
                    (self.high, self.measured.1, self.kind) = (Some(rate), steady.len(), kind);
                }
                ProbeVerdict::Slow => {
                    self.ended = SLOW;
                    break;
                }
                ProbeVerdict::Invalid => {
                    self.unkept = true;
                    self.ended = "this machine could not keep the schedule";
                    break;
                }
            }
            // An estimate from this probe is nearer to the limit than the one before; one that is
            // disproved is none.
            let fresh = bucket::read(steady).filter(|fresh| fresh.accepted >= SOUND / 2);
            self.estimate = fresh.or(self.estimate).filter(|bucket| self.is_inside(bucket.per_second));
        }
        Ok(())
    }

    fn is_inside(&self, rate: f64) -> bool {
        rate > self.low && self.high.is_none_or(|high| rate < high)
    }

    fn next(&self, high: f64) -> f64 {
        if let Some(estimate) = self.estimate.map(|bucket| bucket.per_second).filter(|rate| self.is_inside(*rate)) {
            let (below, above) = (estimate * (1.0 - BESIDE), estimate * (1.0 + BESIDE));
            if below > self.low * 1.001 {
                return below;
            }
            if above < high {
                return above;
            }
        }
        if self.low > 0.0 { (self.low * high).sqrt() } else { high / 3.0 }
    }

    /// The phones of a probe at this rate, and how they begin.
    fn offer(&self, rate: f64) -> (StepPace, &'h [Seat]) {
        // A few that are dropped take longer to tell from a few that are lost.
        let steady = arrivals(rate) * if self.kind == LimitKind::Silence { 3 } else { 1 };
        let seats = &self.phones[..steady.min(self.phones.len())];
        if self.kind == LimitKind::Overload {
            return (self.cautious(rate), seats);
        }
        if matches!(self.kind, LimitKind::Latency | LimitKind::Silence) {
            return (StepPace::Steady(rate), seats);
        }
        // What is poured ends with the first refusal seen, and a third is kept for the steady part
        // in any case.
        let at_most = self.phones.len().saturating_sub(steady).max(self.phones.len() * 2 / 3);
        (StepPace::Poured { pour: self.pour, at_most, steady: rate, then: steady }, self.phones)
    }

    fn probe<F: SearchField>(
        &mut self,
        search: &mut Search<'_, F>,
        purpose: &'static str,
        seats: &[Seat],
        pace: StepPace,
    ) -> Result<(StepResult, ProbeVerdict), Stop> {
        let mut again = false;
        loop {
            let seen = search.register(purpose, seats, pace)?;
            self.probes += 1;
            let mut verdict = self.judge(&seen, pace);
            if !matches!(verdict, ProbeVerdict::Invalid) {
                search.judge(matches!(verdict, ProbeVerdict::Held), self.answered(&seen));
            }
            if matches!(verdict, ProbeVerdict::Failed(LimitKind::Overload)) && !self.drains(search)? {
                verdict = ProbeVerdict::Slow;
            }
            self.refusal = self.refusal.take().or_else(|| seen.first_refusal());
            self.settle(search, &seen)?;
            if again || !matches!(verdict, ProbeVerdict::Invalid) || self.probes >= MOST_PROBES {
                return Ok((seen, verdict));
            }
            again = true;
        }
    }

    fn judge(&self, seen: &StepResult, pace: StepPace) -> ProbeVerdict {
        if f64::from(seen.late) > MOST_LATE * seen.answers.len() as f64 {
            return ProbeVerdict::Invalid;
        }
        let (part, slip) = match pace {
            StepPace::Steady(_) | StepPace::Bounded { .. } => (&seen.answers[..], 0.0),
            StepPace::Poured { .. } => (steady_part(seen), SLIP),
        };
        let count = |of: fn(&SeatFate) -> bool| part.iter().filter(|answer| of(&answer.fate)).count();
        let refused = count(|fate| matches!(fate, SeatFate::Refused(_)));
        if refused as f64 > slip * part.len() as f64 {
            return ProbeVerdict::Failed(LimitKind::Rate);
        }
        let silent = count(|fate| *fate == SeatFate::Silent);
        let stays_away = silent > 1 + part.len() / 100;
        let drops = self.drops(seen);
        let lateness = sustained::lateness(seen, self.leisure.unwrap_or(self.settings.t1), self.settings.t1);
        // Whoever gets past a limiter that drops the rest is answered at once.
        let kind = match lateness {
            // What was poured before says nothing of this rate.
            _ if matches!(pace, StepPace::Poured { .. }) => LimitKind::Silence,
            Lateness::Repeats => LimitKind::Silence,
            Lateness::Mixed if stays_away => LimitKind::Silence,
            Lateness::Queue | Lateness::Mixed => LimitKind::Overload,
        };
        let grows =
            !matches!(pace, StepPace::Poured { .. }) && sustained::read(seen).is_some_and(|reading| reading.is_growing);
        let sustains = !grows && !seen.cut_short && f64::from(seen.held_back) <= HELD_BACK * part.len() as f64;
        if stays_away || !sustains || (lateness == Lateness::Repeats && drops) {
            return ProbeVerdict::Failed(kind);
        }
        if let Some(objective) = self.settings.objective
            && seen.latency(0.99).is_some_and(|p99| p99 > objective)
        {
            return ProbeVerdict::Failed(LimitKind::Latency);
        }
        ProbeVerdict::Held
    }

    /// How fast a probe was answered: by what was carried where that is less. What was poured
    /// before its steady part was offered at another rate.
    fn answered(&self, seen: &StepResult) -> Option<AnsweredProbe> {
        let seen = &StepResult { answers: steady_part(seen).to_vec(), ..*seen };
        let reading = sustained::read(seen)?;
        let carried = sustained::carried(seen, self.leisure.unwrap_or_default());
        let bounded = seen.cut_short || seen.held_back > 0;
        let per_second = carried.filter(|_| bounded).map_or(reading.answered_per_s, |carried| carried.per_second);
        Some(AnsweredProbe { per_second, p50: reading.p50, p99: reading.p99 })
    }

    /// Whether more was repeated than the path loses, as rates that hold show it.
    fn drops(&self, seen: &StepResult) -> bool {
        let repeats = f64::from(seen.retransmitted) / seen.answers.len().max(1) as f64;
        // A few more than were seen: the fewer phones, the less is known of the path.
        let phones = self.repeats.1 as f64 + 20.0;
        let usual = (f64::from(self.repeats.0) + 2.0) / phones;
        repeats > usual + 3.0 * (usual / phones).sqrt() + DROPPED
    }

    /// Waits until a phone is answered as at leisure; whether it ever was. What is still in the
    /// queue are repeats of requests that have been answered.
    fn drains<F: SearchField>(&self, search: &mut Search<'_, F>) -> Result<bool, Stop> {
        let (Some(&one), Some(leisure)) = (self.phones.first(), self.leisure) else { return Ok(true) };
        let least = Duration::from_millis(100);
        let mut rest = least;
        let mut waited = Duration::ZERO;
        while waited < MOST_REST {
            let answer = search.ask_timed("is the queue empty again", one)?;
            if answer.is_some_and(|took| took <= leisure.saturating_mul(3) + least) {
                return Ok(true);
            }
            search.rest("until the queue is empty", rest)?;
            waited += rest;
            rest = rest.saturating_mul(2);
        }
        Ok(false)
    }

    /// Everyone out again, then a pause; and after refusals one phone at leisure, to see that it
    /// was the rate.
    fn settle<F: SearchField>(&mut self, search: &mut Search<'_, F>, seen: &StepResult) -> Result<(), Stop> {
        // As fast as they came in.
        let came_in = seen.accepted() as f64 / seen.lasted.as_secs_f64().max(1.0);
        let pace = if seen.refused() > 0 { came_in } else { came_in * RELEASED };
        let left = search.clear("between probes", self.low.max(self.settings.start).max(pace))?;
        let refusal = seen.first_refusal();
        if self.probes == 1 && seen.accepted() == 0 {
            let refusal = refusal.unwrap_or_else(WordedRefusal::silence);
            return Err(Stop::NeverWorked(format!("nobody could register from the beginning: {refusal}")));
        }
        search.rest("between probes", search.patience(refusal.as_ref()))?;
        if refusal.is_none() && left == 0 {
            return Ok(());
        }
        let Some(&one) = self.phones.first() else { return Ok(()) };
        for _ in 0..3 {
            if search.ask("one phone at leisure", one)?.is_ok() {
                search.clear("between probes", search.gentle)?;
                return Ok(());
            }
            search.rest("until it is accepted again", search.patience(refusal.as_ref()) * 4)?;
        }
        let after = refusal.unwrap_or_else(WordedRefusal::silence);
        Err(Stop::Banned(format!(
            "after refusals at a high rate ({after}) a single phone at leisure is not accepted any more: this looks like a ban"
        )))
    }

    fn conclude(&self) -> FoundRate {
        let capacity = self.capacity.filter(|_| self.kind == LimitKind::Overload);
        let estimate = self.estimate.map(|bucket| bucket.per_second).filter(|rate| self.is_inside(*rate));
        let carried = capacity.map(|capacity| capacity.per_second);
        let limit = self.high.map(|high| match (carried.or(estimate), self.low > 0.0) {
            (Some(rate), _) => rate,
            (None, true) => (self.low * high).sqrt(),
            (None, false) => high,
        });
        FoundRate {
            limit,
            capacity: capacity.filter(|_| limit.is_some()),
            law: carried.and_then(|carried| law::fit(&self.held, carried)),
            at_least: self.low,
            burst: None,
            kind: self.kind,
            refusal: self.refusal.clone().filter(|_| limit.is_some()),
            bracket: (self.low, self.high),
            probes: self.probes,
            p99: self.p99,
            ended: self.ended,
            unkept: self.unkept,
            confidence: self.confidence(capacity, estimate.is_some()),
        }
    }

    fn confidence(&self, capacity: Option<Capacity>, is_estimated: bool) -> Confidence {
        let top = capacity.map(|capacity| capacity.per_second).or(self.high);
        let is_within = |factor| !self.unkept && top.is_some_and(|top| top <= self.low * factor);
        let is_sound = match capacity {
            Some(capacity) => self.is_steady && capacity.registrations >= SURE,
            None => self.measured.0.min(self.measured.1) >= SOUND && is_estimated,
        };
        if is_within(CLOSE) && is_sound {
            Confidence::High
        } else if is_within(CLOSE) || (is_within(NEAR) && is_sound && capacity.is_some()) {
            Confidence::Medium
        } else {
            Confidence::Low
        }
    }

    /// The burst that is let through, and what is limited.
    fn bursts<F: SearchField>(&self, search: &mut Search<'_, F>, limit: f64) -> Result<(Option<u32>, LimitKind), Stop> {
        let at_once = StepPace::Steady(self.settings.most.max(limit * GROWTH));
        let half = self.phones.len() / 2;
        let mut size = self.burst * 1.5 + 20.0;
        loop {
            self.refill(search, limit)?;
            let count = half.min(floor_usize(size));
            let one = search.register("a burst", &self.phones[..count], at_once)?;
            let two = search.register("a second burst right behind it", &self.phones[half..half + count], at_once)?;
            search.clear("after the bursts", self.low.max(self.settings.start))?;
            let (passed, again) = (one.accepted(), two.accepted());
            if one.refused() > 0 {
                // What came in while the burst went out was not in the bucket.
                let last = one.answers.iter().rfind(|answer| matches!(answer.fate, SeatFate::Accepted { .. }));
                let meanwhile = last.map_or(0.0, |last| last.planned.as_secs_f64() * limit);
                let burst = floor_u32((passed as f64 - meanwhile).round().max(1.0));
                let at_once_again = passed >= 2 && again * 10 >= passed * 8 && two.refused() > 0;
                let round_trip = one.latency(0.5).unwrap_or_default();
                let open = at_once_again && self.waits_for_answers(search, limit, round_trip)?;
                return Ok((
                    Some(burst),
                    if open { LimitKind::Transactions(saturating_u32(passed)) } else { LimitKind::Rate },
                ));
            }
            if count == half {
                return Ok((None, LimitKind::Rate));
            }
            size *= GROWTH;
        }
    }

    /// Whether room comes back with the answers, and not with time alone: within a part of a round
    /// trip a bucket has got its share of tokens, while transactions are all still open.
    fn waits_for_answers<F: SearchField>(
        &self,
        search: &mut Search<'_, F>,
        limit: f64,
        round_trip: Duration,
    ) -> Result<bool, Stop> {
        let span = round_trip.as_secs_f64() * WITHIN;
        let pace = limit * DENSE;
        let count = floor_usize(span * pace).min(self.phones.len());
        let (mut expected, mut passed) = (0.0, 0);
        for _ in 0..5 {
            if count < LEAST {
                return Ok(false);
            }
            self.refill(search, limit)?;
            let seen = search.register("within one round trip", &self.phones[..count], StepPace::Steady(pace))?;
            search.clear("after the bursts", self.low.max(self.settings.start))?;
            let refused = |answer: &SeatAnswer| matches!(answer.fate, SeatFate::Refused(_));
            let Some(first) = seen.answers.iter().position(refused) else { return Ok(false) };
            let (from, to) = (seen.answers[first].planned, Duration::from_secs_f64(span));
            expected += to.saturating_sub(from).as_secs_f64() * limit;
            let later = seen.answers[first..].iter().filter(|answer| answer.planned < to);
            passed += later.filter(|answer| matches!(answer.fate, SeatFate::Accepted { .. })).count();
            if expected >= 3.0 {
                break;
            }
        }
        Ok(expected >= 3.0 && (passed as f64) < expected / 3.0)
    }

    fn refill<F: SearchField>(&self, search: &mut Search<'_, F>, limit: f64) -> Result<(), Stop> {
        let refill = Duration::from_secs_f64((1.2 * self.burst / limit).min(MOST_REST.as_secs_f64()));
        search.rest("until a burst is allowed again", refill.max(search.settle))
    }
}

/// Why a search ends at a registrar that gets slower with what it holds, or with time.
const SLOW: &str = "answers became slower and stayed so at leisure: that is not the rate";

fn as_bucket(carried: CarriedRate) -> Bucket {
    Bucket { per_second: carried.per_second, burst: 0.0, accepted: carried.registrations }
}

/// Arrivals a probe at this rate should have.
fn arrivals(rate: f64) -> usize {
    floor_usize((ENOUGH as f64).max(rate * SHORTEST).min((rate * LONGEST).max(LEAST as f64)).ceil())
}

/// The steady part of a poured step, without the time in which what was poured is still being
/// answered.
fn steady_part(seen: &StepResult) -> &[SeatAnswer] {
    let begins = seen.answers.iter().position(|answer| answer.steady).unwrap_or(seen.answers.len());
    let (poured, steady) = seen.answers.split_at(begins);
    if poured.is_empty() {
        return steady;
    }
    let answered = poured.iter().map(|answer| answer.at).max().unwrap_or_default();
    let after = steady.iter().position(|answer| answer.planned > answered).unwrap_or(steady.len());
    &steady[after.max(floor_usize(steady.len() as f64 * LEAD_IN))..]
}

#[cfg(test)]
#[path = "rate_tests.rs"]
mod tests;
