//! A registrar as a few lines of arithmetic under its own time, for the tests of the searches.

use super::{SearchField, Seat, SeatAnswer, SeatFate, StepPace, StepResult, Stop, WordedRefusal};
use std::collections::BTreeSet;
use std::time::Duration;

/// What it enforces, and what it holds.
pub(crate) struct ModelRegistrar {
    pub now: f64,
    pub bound: BTreeSet<Seat>,
    /// At most so many bound.
    pub concurrent: Option<usize>,
    /// How often one more than the limit is let in all the same: every n-th time.
    pub leaks_every: Option<usize>,
    pub refused: usize,
    pub bucket: Option<ModelBucket>,
    /// Never accepted.
    pub hated: BTreeSet<Seat>,
    /// Refused when bound already and the limit is reached.
    pub refuses_refreshes: bool,
    /// After so many refusals, nothing is answered any more.
    pub bans_after: Option<usize>,
    /// Arrivals per second up to which it is fast.
    pub knee: Option<f64>,
    pub retry_after_s: Option<u32>,
    /// Most phones bound at any time.
    pub peak: usize,
    pub registered: u64,
}

pub(crate) struct ModelBucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: f64,
}

impl Default for ModelRegistrar {
    fn default() -> Self {
        ModelRegistrar {
            now: 0.0,
            bound: BTreeSet::new(),
            concurrent: None,
            leaks_every: None,
            refused: 0,
            bucket: None,
            hated: BTreeSet::new(),
            refuses_refreshes: false,
            bans_after: None,
            knee: None,
            retry_after_s: None,
            peak: 0,
            registered: 0,
        }
    }
}

impl ModelRegistrar {
    pub(crate) fn with_rate(mut self, per_second: f64, burst: u32) -> Self {
        let burst = f64::from(burst);
        self.bucket = Some(ModelBucket { per_second, burst, tokens: burst, at: self.now });
        self
    }

    pub(crate) fn with_limit(mut self, concurrent: usize) -> Self {
        self.concurrent = Some(concurrent);
        self
    }

    fn is_silent(&self) -> bool {
        self.bans_after.is_some_and(|most| self.refused >= most)
    }

    fn decide(&mut self, seat: Seat, at: f64) -> SeatFate {
        if self.is_silent() {
            return SeatFate::Silent;
        }
        if self.hated.contains(&seat) {
            return self.refuse(404, "Not Found");
        }
        let full = self.concurrent.is_some_and(|most| self.bound.len() >= most);
        let refreshes = self.bound.contains(&seat);
        if full && (!refreshes || self.refuses_refreshes) {
            let leaks = self.leaks_every.is_some_and(|every| (self.refused + 1).is_multiple_of(every));
            let refusal = self.refuse(403, "Registration limit exceeded");
            if !leaks {
                return refusal;
            }
        }
        if let Some(bucket) = &mut self.bucket {
            bucket.tokens = bucket.burst.min(bucket.tokens + (at - bucket.at) * bucket.per_second);
            bucket.at = at;
            // A billionth of a token is a rounding error of this model.
            if bucket.tokens < 1.0 - 1e-9 {
                return self.refuse(503, "Service Unavailable");
            }
            bucket.tokens -= 1.0;
        }
        self.bound.insert(seat);
        self.peak = self.peak.max(self.bound.len());
        self.registered += 1;
        SeatFate::Accepted { listed: 1 }
    }

    fn refuse(&mut self, code: u16, reason: &str) -> SeatFate {
        self.refused += 1;
        SeatFate::Refused(WordedRefusal { code, reason: reason.to_owned(), retry_after_s: self.retry_after_s })
    }
}

const ROUND_TRIP: Duration = Duration::from_micros(200);

impl SearchField for ModelRegistrar {
    fn register(&mut self, seats: &[Seat], pace: StepPace) -> Result<StepResult, Stop> {
        let begin = self.now;
        let mut seen = StepResult::default();
        let mut at = 0.0;
        let mut refused = false;
        let mut steadied = 0;
        for (n, &seat) in seats.iter().enumerate() {
            let (rate, steady) = match pace {
                StepPace::Steady(rate) | StepPace::Bounded { rate, .. } => (rate, true),
                StepPace::Poured { pour, at_most, .. } if !refused && n < at_most => (pour, false),
                StepPace::Poured { then, .. } if steadied >= then => break,
                StepPace::Poured { steady, .. } => (steady, true),
            };
            steadied += usize::from(steady);
            let fate = self.decide(seat, begin + at);
            refused |= matches!(fate, SeatFate::Refused(_));
            let planned = Duration::from_secs_f64(at);
            let slow = self.knee.is_some_and(|knee| rate > knee);
            let answered = planned + if slow { Duration::from_secs(1) } else { ROUND_TRIP };
            seen.answers.push(SeatAnswer { seat, planned, at: answered, fate, steady });
            at += 1.0 / rate;
        }
        self.now = begin + at + 0.05;
        seen.lasted = Duration::from_secs_f64(at);
        Ok(seen)
    }

    fn release(&mut self, seats: &[Seat], per_second: f64) -> Result<StepResult, Stop> {
        let mut seen = StepResult::default();
        for &seat in seats {
            self.now += 1.0 / per_second;
            let fate = if self.is_silent() { SeatFate::Silent } else { SeatFate::Accepted { listed: 0 } };
            if fate != SeatFate::Silent {
                self.bound.remove(&seat);
            }
            let at = Duration::from_secs_f64(self.now);
            seen.answers.push(SeatAnswer { seat, planned: at, at, fate, steady: true });
        }
        Ok(seen)
    }

    fn rest(&mut self, span: Duration) -> Result<(), Stop> {
        self.now += span.as_secs_f64();
        Ok(())
    }

    fn passed(&self) -> Duration {
        Duration::from_secs_f64(self.now)
    }
}
