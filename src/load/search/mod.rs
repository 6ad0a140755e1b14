//! The search for a registrar's limits, as decisions only: what to try next, and what the answers
//! mean.
//!
//! A search asks a [`SearchField`] to register some phones, to release some, to let time pass; the
//! field is a crew of real agents over sockets, the same crew under virtual time, or a model of a
//! registrar in a test. `concurrent` finds how many may be registered at once and over what the
//! registrar counts, `contacts` how many contacts one address of record may have, `rate` how fast
//! registrations may come, by bisection, and `rfc7502` the same by the algorithm of RFC 7502 §4.10.
//! `bucket` reads a token bucket from accepted and refused arrivals. `survey` runs them in order
//! and leaves nothing behind.
//!
//! A refusal is data here, never an error; what ends a search early is a [`Stop`].

pub mod bucket;
pub mod concurrent;
pub mod contacts;
pub mod law;
#[cfg(test)]
mod models;
pub mod rate;
pub mod rfc7502;
pub mod saturation;
pub mod survey;
pub mod sustained;

use crate::vocab::{floor_usize, saturating_u32};
use std::collections::BTreeSet;
use std::time::Duration;

pub use crate::vocab::Confidence;
pub use concurrent::FoundConcurrent;
pub use contacts::FoundContacts;
pub use rate::FoundRate;
pub use rfc7502::FoundRfc7502;
pub use survey::{Orders, SearchMethod, Survey, survey};

/// One phone of the field: a user with one contact.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Seat(pub u32);

impl Seat {
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Whom a search may register.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seating {
    /// One phone for each agent, in the order in which they are registered: those of one account
    /// side by side.
    pub phones: Vec<Seat>,
    /// The account of each of [`Seating::phones`]; equal numbers are equal names in the
    /// credentials.
    pub accounts: Vec<u32>,
    /// Further contacts of the first phone's user.
    pub contacts: Vec<Seat>,
    /// The user of each of [`Seating::phones`] at another source address; empty when there is no
    /// other.
    pub elsewhere: Vec<Seat>,
    /// Phones of another trunk at the same registrar.
    pub other_trunk: Vec<Seat>,
}

/// When the phones of a step begin.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum StepPace {
    /// So many a second, evenly.
    Steady(f64),
    /// At the rate `pour` until the first refusal is seen, but at most so many; `then` as many of
    /// the others at the rate `steady`. What a burst allowance held has then been used up.
    Poured { pour: f64, at_most: usize, steady: f64, then: usize },
    /// So many a second, evenly, as long as those open would be answered within `wait` at the pace
    /// at which answers come; what happens otherwise is up to `full`.
    Bounded { rate: f64, wait: Duration, full: WhenFull },
}

impl StepPace {
    /// Offered per second; of a poured step its steady part.
    pub fn per_second(self) -> f64 {
        match self {
            StepPace::Steady(rate) | StepPace::Poured { steady: rate, .. } | StepPace::Bounded { rate, .. } => rate,
        }
    }
}

/// What becomes of the phones that did not begin when too many wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhenFull {
    /// They do not begin any more.
    Stop,
    /// The next one begins when one of those open has its answer: there is always a queue, and it
    /// is never longer.
    Hold,
}

/// A refusal, as the registrar worded it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WordedRefusal {
    /// 0: a word of ours for what happened without an answer.
    pub code: u16,
    pub reason: String,
    pub retry_after_s: Option<u32>,
}

/// How one phone of a step fared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SeatFate {
    /// 2xx; how many contacts of the user it listed, 0 when it listed none.
    Accepted {
        listed: u16,
    },
    Refused(WordedRefusal),
    /// No final answer in time, or the transport failed.
    Silent,
    /// The safety ceiling let it not go out.
    Unsent,
}

/// One phone of a step; times count from the step's beginning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeatAnswer {
    pub seat: Seat,
    pub planned: Duration,
    pub at: Duration,
    pub fate: SeatFate,
    /// Within the steady part of [`StepPace::Poured`]; always so with [`StepPace::Steady`].
    pub steady: bool,
}

/// What a step showed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StepResult {
    /// In the order planned.
    pub answers: Vec<SeatAnswer>,
    /// Phones that began later than planned by more than they may: our own fault.
    pub late: u32,
    /// Requests that had to be repeated.
    pub retransmitted: u32,
    /// Of [`StepPace::Bounded`]: phones that began later, because too many waited.
    pub held_back: u32,
    /// Of [`StepPace::Bounded`]: because too many waited, the rest did not begin.
    pub cut_short: bool,
    pub lasted: Duration,
}

/// Why a search ends before it is done.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Stop {
    /// A signal, by number.
    #[error("interrupted by signal {0}")]
    Interrupted(i32),
    /// What had worked is refused or silent too, also slowly.
    #[error("{0}")]
    Banned(String),
    /// Nobody could register from the beginning: there is no limit to find.
    #[error("{0}")]
    NeverWorked(String),
    /// Sockets or threads failed.
    #[error("{0}")]
    Failed(String),
}

/// Where a search takes place.
pub trait SearchField {
    /// Registers these phones and waits until each has its answer. Those registered already
    /// register again.
    ///
    /// # Errors
    /// When interrupted, or when sockets fail.
    fn register(&mut self, seats: &[Seat], pace: StepPace) -> Result<StepResult, Stop>;

    /// Un-REGISTERs these phones, as far as they may be bound, and waits for the answers.
    ///
    /// # Errors
    /// As [`SearchField::register`].
    fn release(&mut self, seats: &[Seat], per_second: f64) -> Result<StepResult, Stop>;

    /// Lets time pass; registered phones refresh meanwhile as they would.
    ///
    /// # Errors
    /// As [`SearchField::register`].
    fn rest(&mut self, span: Duration) -> Result<(), Stop>;

    /// Since the search began.
    fn passed(&self) -> Duration;
}

/// One step tried, for the record.
#[derive(Clone, PartialEq, Debug)]
pub struct SearchStep {
    /// `contacts`, `concurrent` or `rate`.
    pub part: &'static str,
    /// `register`, `release` or `rest`.
    pub action: &'static str,
    /// What it was to show.
    pub purpose: &'static str,
    pub at: Duration,
    pub lasted: Duration,
    /// Offered per second; of a poured step its steady part.
    pub per_second: Option<f64>,
    pub offered: u32,
    pub accepted: u32,
    pub refused: u32,
    pub silent: u32,
    pub unsent: u32,
    pub late: u32,
    /// The first refusal.
    pub refusal: Option<WordedRefusal>,
    /// Phones bound after it.
    pub bound: u32,
    /// Of a rate probe, whether the rate held.
    pub held: Option<bool>,
    /// Of a rate probe: accepted per second, and how long that took.
    pub answered: Option<AnsweredProbe>,
}

/// How fast a probe was answered.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AnsweredProbe {
    pub per_second: f64,
    pub p50: Duration,
    pub p99: Duration,
}

/// A search in progress: the field, and the book of what was tried and who is bound.
pub struct Search<'f, F> {
    field: &'f mut F,
    pub steps: Vec<SearchStep>,
    part: &'static str,
    bound: BTreeSet<Seat>,
    /// May be bound: their last request had no answer.
    doubtful: BTreeSet<Seat>,
    /// Between two steps when nobody says how long to wait.
    pub settle: Duration,
    /// Per second, slow enough for any registrar.
    pub gentle: f64,
}

/// The longest a `Retry-After` is obeyed.
const MOST_PATIENCE: Duration = Duration::from_secs(60);

/// Rounds in which phones that could not be released are tried again, each slower.
const RELEASE_ROUNDS: usize = 4;

impl<'f, F: SearchField> Search<'f, F> {
    pub fn new(field: &'f mut F, settle: Duration, gentle: f64) -> Self {
        let (bound, doubtful) = (BTreeSet::new(), BTreeSet::new());
        Search { field, steps: Vec::new(), part: "", bound, doubtful, settle, gentle }
    }

    /// The steps to come belong to this part.
    pub fn begin(&mut self, part: &'static str) {
        self.part = part;
    }

    pub fn bound(&self) -> usize {
        self.bound.len()
    }

    /// Phones that are registered, or may be.
    pub fn maybe_bound(&self) -> usize {
        self.bound.union(&self.doubtful).count()
    }

    pub fn is_bound(&self, seat: Seat) -> bool {
        self.bound.contains(&seat)
    }

    pub fn register(&mut self, purpose: &'static str, seats: &[Seat], pace: StepPace) -> Result<StepResult, Stop> {
        let at = self.field.passed();
        let seen = match self.field.register(seats, pace) {
            Ok(seen) => seen,
            Err(stop) => {
                // Some of them may have been accepted before it was stopped.
                self.doubtful.extend(seats);
                return Err(stop);
            }
        };
        for answer in &seen.answers {
            match answer.fate {
                SeatFate::Accepted { .. } => {
                    self.bound.insert(answer.seat);
                }
                // A refused refresh removes nothing.
                SeatFate::Refused(_) | SeatFate::Unsent => {}
                SeatFate::Silent => {
                    self.doubtful.insert(answer.seat);
                }
            }
        }
        self.note("register", purpose, at, Some(pace.per_second()), &seen);
        Ok(seen)
    }

    /// One phone, at leisure; whether it was accepted, and the refusal if not.
    pub fn ask(&mut self, purpose: &'static str, seat: Seat) -> Result<Result<(), WordedRefusal>, Stop> {
        // Behind whatever came before: an answer must not be about the pace.
        self.field.rest(Duration::from_secs_f64(self.gentle.recip()))?;
        let seen = self.register(purpose, &[seat], StepPace::Steady(self.gentle))?;
        Ok(if seen.accepted() == 1 { Ok(()) } else { Err(seen.first_refusal().unwrap_or_else(WordedRefusal::silence)) })
    }

    /// One phone, at leisure; how long until it was accepted, if it was.
    pub fn ask_timed(&mut self, purpose: &'static str, seat: Seat) -> Result<Option<Duration>, Stop> {
        self.field.rest(Duration::from_secs_f64(self.gentle.recip()))?;
        Ok(self.register(purpose, &[seat], StepPace::Steady(self.gentle))?.latency(0.5))
    }

    /// Releases these phones, patiently; how many are bound no longer.
    pub fn release(&mut self, purpose: &'static str, seats: &[Seat], per_second: f64) -> Result<usize, Stop> {
        let mut left = seats.to_vec();
        let mut rate = per_second.max(self.gentle);
        for round in 0..RELEASE_ROUNDS {
            let at = self.field.passed();
            let seen = self.field.release(&left, rate)?;
            left.clear();
            for answer in &seen.answers {
                if matches!(answer.fate, SeatFate::Accepted { .. }) {
                    self.bound.remove(&answer.seat);
                    self.doubtful.remove(&answer.seat);
                } else {
                    left.push(answer.seat);
                }
            }
            self.note("release", purpose, at, Some(rate), &seen);
            if left.is_empty() || round + 1 == RELEASE_ROUNDS {
                break;
            }
            rate = (rate / 4.0).max(self.gentle);
            self.rest("until it can be released", self.patience(seen.first_refusal().as_ref()))?;
        }
        Ok(seats.len() - left.len())
    }

    /// Releases everyone who is or may be bound; how many may be so still.
    pub fn clear(&mut self, purpose: &'static str, per_second: f64) -> Result<usize, Stop> {
        let all: Vec<Seat> = self.bound.union(&self.doubtful).copied().collect();
        let released = if all.is_empty() { 0 } else { self.release(purpose, &all, per_second)? };
        Ok(all.len() - released)
    }

    pub fn rest(&mut self, purpose: &'static str, span: Duration) -> Result<(), Stop> {
        let at = self.field.passed();
        self.field.rest(span)?;
        self.note("rest", purpose, at, None, &StepResult::default());
        Ok(())
    }

    /// How long to wait after a refusal: as long as it says, or until things have settled.
    pub fn patience(&self, refusal: Option<&WordedRefusal>) -> Duration {
        let told = refusal.and_then(|refusal| refusal.retry_after_s).map(|s| Duration::from_secs(s.into()));
        told.map_or(self.settle, |told| told.min(MOST_PATIENCE).max(self.settle))
    }

    /// Says of the last step whether the rate it tried held, and how fast it was answered.
    pub fn judge(&mut self, held: bool, answered: Option<AnsweredProbe>) {
        if let Some(step) = self.steps.iter_mut().rev().find(|step| step.action == "register") {
            (step.held, step.answered) = (Some(held), answered);
        }
    }

    fn note(
        &mut self,
        action: &'static str,
        purpose: &'static str,
        at: Duration,
        rate: Option<f64>,
        seen: &StepResult,
    ) {
        let count =
            |of: fn(&SeatFate) -> bool| saturating_u32(seen.answers.iter().filter(|answer| of(&answer.fate)).count());
        self.steps.push(SearchStep {
            part: self.part,
            action,
            purpose,
            at,
            lasted: self.field.passed().saturating_sub(at),
            per_second: rate,
            offered: saturating_u32(seen.answers.len()),
            accepted: saturating_u32(seen.accepted()),
            refused: saturating_u32(seen.refused()),
            silent: count(|fate| *fate == SeatFate::Silent),
            unsent: count(|fate| *fate == SeatFate::Unsent),
            late: seen.late,
            refusal: seen.first_refusal(),
            bound: saturating_u32(self.bound.len()),
            held: None,
            answered: None,
        });
    }
}

impl StepResult {
    pub fn accepted(&self) -> usize {
        self.answers.iter().filter(|answer| matches!(answer.fate, SeatFate::Accepted { .. })).count()
    }

    pub fn refused(&self) -> usize {
        self.answers.iter().filter(|answer| matches!(answer.fate, SeatFate::Refused(_))).count()
    }

    /// The first refusal in the order planned.
    pub fn first_refusal(&self) -> Option<WordedRefusal> {
        self.answers.iter().find_map(|answer| match &answer.fate {
            SeatFate::Refused(refusal) => Some(refusal.clone()),
            _ => None,
        })
    }

    /// Phones that are not registered after all.
    pub fn failed(&self) -> impl Iterator<Item = Seat> {
        self.answers.iter().filter(|answer| !matches!(answer.fate, SeatFate::Accepted { .. })).map(|answer| answer.seat)
    }

    /// Time from the plan to the answer within which this share of the accepted had theirs.
    pub fn latency(&self, share: f64) -> Option<Duration> {
        let accepted = self.answers.iter().filter(|answer| matches!(answer.fate, SeatFate::Accepted { .. }));
        let mut spans: Vec<Duration> = accepted.map(|answer| answer.at.saturating_sub(answer.planned)).collect();
        spans.sort_unstable();
        let rank = floor_usize((share * spans.len() as f64).ceil());
        spans.get(rank.max(1) - 1).copied()
    }
}

impl WordedRefusal {
    /// What stands for a refusal where there was no answer.
    pub fn silence() -> Self {
        WordedRefusal { code: 0, reason: "no answer".to_owned(), retry_after_s: None }
    }
}

impl std::fmt::Display for WordedRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            0 => f.write_str(&self.reason),
            code => write!(f, "{code} {}", self.reason),
        }
    }
}
