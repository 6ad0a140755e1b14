//! How fast registrations may come: at most twelve probes, each at one rate, with time to settle in
//! between.
//!
//! Rates grow fourfold until one does not hold. What was refused then is read as a token bucket
//! (`bucket`), and the next probes are laid closely around its refill; where the registrar is no
//! token bucket, the bracket is halved geometrically instead. Before each of these a burst is
//! poured until the first refusal, so that a saved-up allowance lets no rate pass that cannot last.
//! The search ends when the bracket is no wider than 5 %.
//!
//! Two bursts, one right behind the other, then tell what is limited: a bucket has only what came
//! in meanwhile for the second one, while a limit on open transactions lets as many pass again as
//! soon as the first are answered.

use super::bucket::{self, Bucket};
use super::{Confidence, Search, SearchField, Seat, SeatAnswer, SeatFate, StepPace, StepResult, Stop, WordedRefusal};
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
}

/// What was found about the rate.
#[derive(Clone, PartialEq, Debug)]
pub struct FoundRate {
    /// Per second.
    pub limit: Option<f64>,
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
    /// High: bracket within 5 %, a refill read from the refusals lies in it, and both its ends rest
    /// on 100 arrivals or more. Medium: bracket within 5 %. Low: a wider one.
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
/// The longest rest for a bucket to fill up.
const MOST_REST: Duration = Duration::from_secs(30);

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
        ended: "the bracket is close enough",
    };
    hunt.grow(search)?;
    if hunt.high.is_some() {
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
    ended: &'static str,
}

/// What a probe says of its rate.
enum ProbeVerdict {
    Held,
    Failed(LimitKind),
    /// Our own schedule was not kept.
    Invalid,
}

impl<'h> Hunt<'h> {
    /// Fourfold until a rate does not hold.
    fn grow<F: SearchField>(&mut self, search: &mut Search<'_, F>) -> Result<(), Stop> {
        let mut rate = self.settings.start.min(self.settings.most);
        loop {
            let count = floor_usize(rate * SHORTEST).max(FIRST).min(self.phones.len());
            if count < LEAST || (count as f64) < rate * TOO_SHORT {
                self.ended = "there are too few agents for a higher rate";
                return Ok(());
            }
            let seats = &self.phones[..count];
            let (seen, verdict) = self.probe(search, "does this rate hold", seats, StepPace::Steady(rate))?;
            match verdict {
                ProbeVerdict::Held => {
                    (self.low, self.measured.0, self.p99) = (rate, count, seen.latency(0.99));
                    if rate >= self.settings.most {
                        self.ended = "the safety ceiling allows no higher rate";
                        return Ok(());
                    }
                    rate = (rate * GROWTH).min(self.settings.most);
                }
                ProbeVerdict::Failed(kind) => {
                    (self.high, self.pour, self.measured.1, self.kind) = (Some(rate), rate, count, kind);
                    self.estimate = bucket::read(&seen.answers);
                    self.burst = self.estimate.map_or(seen.accepted() as f64, |bucket| bucket.burst);
                    if self.estimate.is_some_and(|bucket| bucket.per_second <= self.low) {
                        // What held before lived on the burst.
                        (self.low, self.measured.0) = (0.0, 0);
                    }
                    return Ok(());
                }
                ProbeVerdict::Invalid => {
                    self.ended = "this machine could not keep the schedule of a higher rate";
                    return Ok(());
                }
            }
            if self.probes >= MOST_PROBES {
                self.ended = "twelve probes were made";
                return Ok(());
            }
        }
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
                ProbeVerdict::Invalid => {
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
        let steady = arrivals(rate);
        if matches!(self.kind, LimitKind::Latency | LimitKind::Silence) {
            return (StepPace::Steady(rate), &self.phones[..steady.min(self.phones.len())]);
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
            let verdict = self.judge(&seen, pace);
            if !matches!(verdict, ProbeVerdict::Invalid) {
                search.judge(matches!(verdict, ProbeVerdict::Held));
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
            StepPace::Steady(_) => (&seen.answers[..], 0.0),
            StepPace::Poured { .. } => (steady_part(seen), SLIP),
        };
        let count = |of: fn(&SeatFate) -> bool| part.iter().filter(|answer| of(&answer.fate)).count();
        let refused = count(|fate| matches!(fate, SeatFate::Refused(_)));
        let silent = count(|fate| *fate == SeatFate::Silent);
        if refused as f64 > slip * part.len() as f64 {
            return ProbeVerdict::Failed(LimitKind::Rate);
        }
        if silent > 1 + part.len() / 100 {
            return ProbeVerdict::Failed(LimitKind::Silence);
        }
        if let Some(objective) = self.settings.objective
            && seen.latency(0.99).is_some_and(|p99| p99 > objective)
        {
            return ProbeVerdict::Failed(LimitKind::Latency);
        }
        ProbeVerdict::Held
    }

    /// Everyone out again, then a pause; and after refusals one phone at leisure, to see that it
    /// was the rate.
    fn settle<F: SearchField>(&mut self, search: &mut Search<'_, F>, seen: &StepResult) -> Result<(), Stop> {
        // As fast as they came in.
        let came_in = seen.accepted() as f64 / seen.lasted.as_secs_f64().max(1.0);
        let left = search.clear("between probes", self.low.max(self.settings.start).max(came_in))?;
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
        let estimate = self.estimate.map(|bucket| bucket.per_second).filter(|rate| self.is_inside(*rate));
        let limit = self.high.map(|high| match (estimate, self.low > 0.0) {
            (Some(rate), _) => rate,
            (None, true) => (self.low * high).sqrt(),
            (None, false) => high,
        });
        let close = self.high.is_some_and(|high| high <= self.low * CLOSE);
        let sound = self.measured.0.min(self.measured.1) >= SOUND;
        FoundRate {
            limit,
            at_least: self.low,
            burst: None,
            kind: self.kind,
            refusal: self.refusal.clone().filter(|_| limit.is_some()),
            bracket: (self.low, self.high),
            probes: self.probes,
            p99: self.p99,
            ended: self.ended,
            confidence: match (close, sound && estimate.is_some()) {
                (true, true) => Confidence::High,
                (true, false) => Confidence::Medium,
                (false, _) => Confidence::Low,
            },
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
mod tests {
    use super::super::models::ModelRegistrar;
    use super::*;
    use proptest::prelude::*;

    const SETTINGS: ProbingSettings = ProbingSettings { start: 10.0, most: 20_000.0, objective: None };

    fn find(registrar: &mut ModelRegistrar, phones: u32, settings: &ProbingSettings) -> Result<FoundRate, Stop> {
        let phones: Vec<Seat> = (0..phones).map(Seat).collect();
        let mut search = Search::new(registrar, Duration::from_secs(2), 2.0);
        let found = rate(&mut search, &phones, settings);
        assert!(found.is_err() || registrar.bound.is_empty());
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn it_converges_to_within_five_per_cent_in_twelve_probes(limit in 1.0..2_000.0f64, seconds in 0.01..2.0f64) {
            let burst = (limit * seconds).ceil().max(1.0) as u32;
            let mut registrar = ModelRegistrar::default().with_rate(limit, burst);
            let found = find(&mut registrar, 20_000, &SETTINGS).expect("no ban");
            prop_assert!(found.probes <= MOST_PROBES, "{found:?}");
            let error = found.limit.expect("it is met") / limit - 1.0;
            prop_assert!(error.abs() <= 0.05, "{limit} {burst} {found:?}");
            prop_assert_eq!(found.kind, LimitKind::Rate);
            let near = f64::from(burst) * 0.1 + 2.0;
            prop_assert!((f64::from(found.burst.expect("poured")) - f64::from(burst)).abs() <= near, "{burst} {found:?}");
            prop_assert!(found.confidence >= Confidence::Medium, "{found:?}");
        }

        #[test]
        fn a_knee_is_found_without_refusals(knee in 5.0..3_000.0f64) {
            let mut registrar = ModelRegistrar { knee: Some(knee), ..ModelRegistrar::default() };
            let settings = ProbingSettings { objective: Some(Duration::from_millis(250)), ..SETTINGS };
            let found = find(&mut registrar, 20_000, &settings).expect("no ban");
            prop_assert!(found.probes <= MOST_PROBES, "{found:?}");
            prop_assert_eq!(found.kind, LimitKind::Latency);
            prop_assert!((found.limit.expect("it is met") / knee - 1.0).abs() <= 0.05, "{knee} {found:?}");
        }
    }

    #[test]
    fn without_a_limit_it_says_up_to_where_it_looked() {
        let found = find(&mut ModelRegistrar::default(), 1_000, &SETTINGS).expect("no ban");
        assert_eq!((found.limit, found.at_least, found.burst), (None, 640.0, None));
        assert_eq!(found.ended, "there are too few agents for a higher rate");
        let found =
            find(&mut ModelRegistrar::default(), 10_000, &ProbingSettings { most: 300.0, ..SETTINGS }).expect("no ban");
        assert_eq!((found.limit, found.at_least), (None, 300.0));
    }

    #[test]
    fn a_ban_ends_the_search() {
        let mut registrar = ModelRegistrar { bans_after: Some(30), ..ModelRegistrar::default().with_rate(50.0, 50) };
        assert!(matches!(find(&mut registrar, 2_000, &SETTINGS), Err(Stop::Banned(_))));
    }
}
