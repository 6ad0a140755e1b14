//! How many phones may be registered at once, and over what the registrar counts them.
//!
//! Phones are registered until one is refused. What the refusal means is found by experiment, one
//! change at a time:
//!
//! 1. The same phone again, later. Accepted: it was the pace; the fill goes on at half of it.
//! 2. A phone that was never tried. Accepted, of the same account: the first one is refused for
//!    itself.
//! 3. One bound phone is released and the refused one takes its place; then one more is refused: a
//!    limit, and the number bound is exact. Twice more with several at once, to see whether it is
//!    ever exceeded.
//! 4. At the limit: do those registered still refresh? Is a phone accepted with another account,
//!    from another source address, on another trunk? The first change that is accepted names the
//!    scope.
//!
//! A registrar that refuses what had worked, at leisure too, is said to have banned us, and nothing
//! more is sent but un-REGISTERs.

use super::{Confidence, Search, SearchField, Seat, Seating, StepPace, StepResult, Stop, WordedRefusal};
use crate::vocab::{floor_usize, saturating_u32};
use std::collections::VecDeque;

/// Over what a limit is counted, as far as this roster can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CountedScope {
    /// Another trunk is still accepted, or there is none to ask.
    Trunk,
    /// Another trunk of the same registrar is refused as well.
    Registrar,
    /// Another name in the credentials is still accepted.
    Account,
    /// Another source address is still accepted.
    Source,
}

impl CountedScope {
    pub fn as_str(self) -> &'static str {
        match self {
            CountedScope::Trunk => "trunk",
            CountedScope::Registrar => "registrar",
            CountedScope::Account => "account",
            CountedScope::Source => "source",
        }
    }
}

/// What was found about registrations at the same time.
#[derive(Clone, PartialEq, Debug)]
pub struct FoundConcurrent {
    pub limit: Option<u32>,
    /// So many were registered at once.
    pub at_least: u32,
    pub refusal: Option<WordedRefusal>,
    pub scope: Option<CountedScope>,
    /// Whether one more contact of a registered user is refused too; `None`: not asked.
    pub counts_contacts: Option<bool>,
    /// Whether it was never exceeded.
    pub hard: Option<bool>,
    /// Of phones registered at the limit: how many could refresh, of how many asked.
    pub refreshes: Option<(u32, u32)>,
    /// Nobody else registers there, as somebody stated; otherwise there is room for so many more
    /// than were there already.
    pub exclusive: bool,
    /// This machine could not keep its schedule.
    pub unkept: bool,
    /// Phones refused whatever the number registered.
    pub refused_for_themselves: u32,
    /// The fill had to slow down: there is a limit of another kind.
    pub slowed: bool,
    /// At which the last phones came in, per second.
    pub fill_rate: f64,
    /// High: released room was taken again and one more refused, in every round. Medium: so once,
    /// not always, or others may register there too. Low: room that was released was not given
    /// back, or this machine could not keep its schedule.
    pub confidence: Confidence,
    pub evidence: CountingEvidence,
}

/// The counts behind the conclusion.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CountingEvidence {
    /// Phones refused at the limit.
    pub refused: u32,
    /// Rounds of releasing some and trying one more than that.
    pub rounds: u32,
    /// Phones released in them, and phones accepted in their place.
    pub released: u32,
    pub taken_again: u32,
}

/// How fast phones are registered until the limit is met, per second.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FillRate {
    pub start: f64,
    pub most: f64,
}

/// By how much the fill speeds up from one block to the next.
const SPEED_UP: f64 = 1.5;
/// Phones released and replaced in one round.
const ROUND: usize = 5;
/// Phones refused in a row, each for itself, after which the rest is not tried.
const MOST_HATED: u32 = 20;

/// Fills until a phone is refused and finds out what for. Everyone registered stays so.
pub fn concurrent<F: SearchField>(
    search: &mut Search<'_, F>,
    roster: &Seating,
    fill: FillRate,
    several_contacts: bool,
) -> Result<FoundConcurrent, Stop> {
    search.begin("concurrent");
    let mut filling = Filling { roster, queue: (0..roster.phones.len()).collect(), rate: fill.start, found: nothing() };
    while !filling.queue.is_empty() {
        let block = filling.block();
        let seats: Vec<Seat> = block.iter().map(|&at| roster.phones[at]).collect();
        let seen = search.register("fill", &seats, StepPace::Steady(filling.rate))?;
        filling.found.fill_rate = filling.rate;
        let failed: Vec<usize> = positions(&block, &seen);
        if failed.is_empty() {
            let most = if filling.found.slowed { filling.rate } else { fill.most };
            filling.rate = (filling.rate * SPEED_UP).min(most.max(filling.rate));
            continue;
        }
        let refusal = seen.first_refusal().unwrap_or_else(WordedRefusal::silence);
        match filling.explain(search, &failed, &refusal)? {
            // The one that was asked has its place now.
            Meaning::StepPace => filling.slow_down(search.gentle, &failed[1..]),
            Meaning::Itself => {
                filling.found.refused_for_themselves += 1;
                failed[1..].iter().rev().for_each(|&at| filling.queue.push_front(at));
                if filling.found.refused_for_themselves >= MOST_HATED {
                    filling.found.refusal = Some(refusal);
                    break;
                }
            }
            Meaning::Limit { spare, confidence } => {
                filling.found.refusal.get_or_insert(refusal);
                filling.found.evidence.refused = saturating_u32(seen.refused());
                filling.found.confidence = confidence;
                filling.measure(search, spare, several_contacts)?;
                return Ok(filling.found);
            }
        }
    }
    filling.found.at_least = saturating_u32(search.bound());
    Ok(filling.found)
}

fn nothing() -> FoundConcurrent {
    FoundConcurrent {
        limit: None,
        at_least: 0,
        refusal: None,
        scope: None,
        counts_contacts: None,
        hard: None,
        refreshes: None,
        exclusive: false,
        unkept: false,
        refused_for_themselves: 0,
        slowed: false,
        fill_rate: 0.0,
        confidence: Confidence::Low,
        evidence: CountingEvidence::default(),
    }
}

/// Places in the roster of those who failed, in the order planned.
fn positions(block: &[usize], seen: &StepResult) -> Vec<usize> {
    let failed = |answer: &super::SeatAnswer| !matches!(answer.fate, super::SeatFate::Accepted { .. });
    block.iter().zip(&seen.answers).filter(|(_, answer)| failed(answer)).map(|(&at, _)| at).collect()
}

/// What a refusal turned out to mean.
enum Meaning {
    StepPace,
    /// This one phone is refused, others are not.
    Itself,
    /// `spare` is the place of a phone that found no room.
    Limit {
        spare: usize,
        confidence: Confidence,
    },
}

struct Filling<'r> {
    roster: &'r Seating,
    /// Places in the roster that were not tried yet.
    queue: VecDeque<usize>,
    rate: f64,
    found: FoundConcurrent,
}

impl Filling<'_> {
    fn block(&mut self) -> Vec<usize> {
        let size = floor_usize(self.rate.ceil()).clamp(1, 2_000).min(self.queue.len());
        self.queue.drain(..size).collect()
    }

    fn seat(&self, at: usize) -> Seat {
        self.roster.phones[at]
    }

    fn slow_down(&mut self, gentle: f64, failed: &[usize]) {
        self.found.slowed = true;
        self.rate = (self.rate / 2.0).max(gentle);
        failed.iter().rev().for_each(|&at| self.queue.push_front(at));
    }

    /// For several phones at once: quick, unless there is a limit on the rate.
    fn brisk(&self, gentle: f64) -> f64 {
        if self.found.slowed { gentle } else { gentle * 4.0 }
    }

    /// Phones bound of the same account as this one, or all where no account has two phones.
    fn peers<F: SearchField>(&self, search: &Search<'_, F>, at: usize) -> Vec<Seat> {
        let shared = self.shares_accounts();
        let same = |other: usize| !shared || self.roster.accounts[other] == self.roster.accounts[at];
        let bound = (0..self.roster.phones.len()).filter(|&other| search.is_bound(self.seat(other)));
        bound.filter(|&other| same(other)).map(|other| self.seat(other)).collect()
    }

    fn shares_accounts(&self) -> bool {
        // Phones of one account stand side by side.
        self.roster.accounts.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// Steps 1 to 3 of the experiment.
    fn explain<F: SearchField>(
        &mut self,
        search: &mut Search<'_, F>,
        failed: &[usize],
        refusal: &WordedRefusal,
    ) -> Result<Meaning, Stop> {
        let one = failed[0];
        search.rest("after the refusal", search.patience(Some(refusal)))?;
        if search.ask("the refused phone again, later", self.seat(one))?.is_ok() {
            return Ok(Meaning::StepPace);
        }
        if let Some(fresh) = self.fresh(one) {
            self.queue.retain(|&at| at != fresh);
            if search.ask("a phone never tried before", self.seat(fresh))?.is_ok() {
                return Ok(Meaning::Itself);
            }
            self.queue.push_front(fresh);
        }
        let Some(&released) = self.peers(search, one).last() else {
            return match search.bound() {
                0 => Err(Stop::NeverWorked(format!("nobody could register from the beginning: {refusal}"))),
                // None of its account ever could, others can.
                _ => Ok(Meaning::Itself),
            };
        };
        self.swap(search, one, released, refusal)
    }

    /// A phone that was never tried and shares the account of this one, where accounts are shared.
    fn fresh(&self, one: usize) -> Option<usize> {
        let shared = self.shares_accounts();
        let same = |at: &usize| !shared || self.roster.accounts[*at] == self.roster.accounts[one];
        self.queue.iter().copied().find(same)
    }

    /// One out, the refused one in, and one more.
    fn swap<F: SearchField>(
        &mut self,
        search: &mut Search<'_, F>,
        one: usize,
        released: Seat,
        refusal: &WordedRefusal,
    ) -> Result<Meaning, Stop> {
        let place = self.roster.phones.iter().position(|&seat| seat == released).unwrap_or(one);
        if search.release("make room for one", &[released], search.gentle)? == 0 {
            return Err(banned(refusal));
        }
        let mut taken = search.ask("the refused phone in its place", self.seat(one))?.is_ok();
        if !taken {
            search.rest("room may come free late", search.settle)?;
            taken = search.ask("the refused phone in its place, later", self.seat(one))?.is_ok();
        }
        if taken {
            return match search.ask("one more than before", released)? {
                Err(refusal) => {
                    // What the fill was refused with may have been about the pace.
                    self.found.refusal = Some(refusal);
                    Ok(Meaning::Limit { spare: place, confidence: Confidence::Medium })
                }
                // Room has grown meanwhile: something else was full, or a lifetime ended.
                Ok(()) => Ok(Meaning::Itself),
            };
        }
        if search.ask("the released phone itself", released)?.is_ok() {
            return Ok(Meaning::Itself);
        }
        let Some(&other) = self.peers(search, one).last() else { return Err(banned(refusal)) };
        if search.ask("a refresh of a registered phone", other)?.is_err() {
            return Err(banned(refusal));
        }
        self.release_until_taken(search, one, place)
    }

    /// Room for one is not enough: more were let in than there is room for, or what is released
    /// comes free late.
    fn release_until_taken<F: SearchField>(
        &mut self,
        search: &mut Search<'_, F>,
        one: usize,
        released: usize,
    ) -> Result<Meaning, Stop> {
        for _ in 0..ROUND {
            let Some(&next) = self.peers(search, one).last() else { break };
            search.release("make more room", &[next], search.gentle)?;
            if search.ask("the refused phone in more room", self.seat(one))?.is_ok() {
                self.found.hard = Some(false);
                return Ok(Meaning::Limit { spare: released, confidence: Confidence::Medium });
            }
        }
        Ok(Meaning::Limit { spare: one, confidence: Confidence::Low })
    }

    /// At the limit: how exact it is, whom it concerns, over what it is counted.
    fn measure<F: SearchField>(
        &mut self,
        search: &mut Search<'_, F>,
        spare: usize,
        several_contacts: bool,
    ) -> Result<(), Stop> {
        let scope = self.scope(search, spare)?;
        self.found.scope = Some(scope);
        let reached = saturating_u32(match scope {
            CountedScope::Account => self.peers(search, spare).len(),
            CountedScope::Trunk | CountedScope::Registrar | CountedScope::Source => search.bound(),
        });
        self.found.at_least = saturating_u32(search.bound());
        if self.found.confidence == Confidence::Low {
            // What was released did not come back, so it was one more.
            self.found.limit = Some(reached + 1);
        } else {
            self.found.limit = Some(reached);
            self.rounds(search, spare)?;
        }
        let peers = self.peers(search, spare);
        let some = &peers[..peers.len().min(ROUND)];
        if !some.is_empty() {
            let seen = search.register("refreshes at the limit", some, StepPace::Steady(search.gentle))?;
            self.found.refreshes = Some((saturating_u32(seen.accepted()), saturating_u32(some.len())));
        }
        if let Some(&contact) =
            self.roster.contacts.first().filter(|_| several_contacts && search.is_bound(self.seat(0)))
        {
            self.found.counts_contacts = Some(search.ask("one more contact of a registered user", contact)?.is_err());
            search.release("back to before", &[contact], search.gentle)?;
        }
        Ok(())
    }

    /// Releases some and tries one more than that, twice.
    fn rounds<F: SearchField>(&mut self, search: &mut Search<'_, F>, spare: usize) -> Result<(), Stop> {
        let (mut exceeded, mut spare) = (false, self.seat(spare));
        let brisk = self.brisk(search.gentle);
        for _ in 0..2 {
            search.rest("before a round", search.settle)?;
            let peers: Vec<Seat> = self.peers(search, self.position(spare));
            let out = &peers[peers.len() - peers.len().min(ROUND)..];
            let released = search.release("make room for several", out, brisk)?;
            let mut back = vec![spare];
            back.extend_from_slice(out);
            let seen = search.register("one more than there is room for", &back, StepPace::Steady(brisk))?;
            let evidence = &mut self.found.evidence;
            evidence.rounds += 1;
            evidence.released += saturating_u32(released);
            evidence.taken_again += saturating_u32(seen.accepted());
            evidence.refused += saturating_u32(seen.refused());
            exceeded |= seen.accepted() > released;
            let Some(outside) = seen.failed().next() else { break };
            spare = outside;
        }
        let CountingEvidence { released, taken_again, .. } = self.found.evidence;
        exceeded |= self.found.hard == Some(false);
        self.found.hard = Some(!exceeded);
        if !exceeded && released == taken_again {
            self.found.confidence = Confidence::High;
        }
        Ok(())
    }

    fn position(&self, seat: Seat) -> usize {
        self.roster.phones.iter().position(|&other| other == seat).unwrap_or(0)
    }

    /// The first change that is accepted names the scope.
    fn scope<F: SearchField>(&mut self, search: &mut Search<'_, F>, spare: usize) -> Result<CountedScope, Stop> {
        let refused = (0..self.roster.phones.len()).rev().find(|&at| !search.is_bound(self.seat(at))).unwrap_or(spare);
        if self.shares_accounts() {
            let account = self.roster.accounts[spare];
            let other = self.queue.iter().copied().find(|&at| self.roster.accounts[at] != account);
            if let Some(other) = other
                && search.ask("a phone of another account", self.seat(other))?.is_ok()
            {
                search.release("back to before", &[self.seat(other)], search.gentle)?;
                return Ok(CountedScope::Account);
            }
        }
        if let Some(&elsewhere) = self.roster.elsewhere.get(refused) {
            let accepted = search.ask("the same user from another source address", elsewhere)?.is_ok();
            if accepted {
                search.release("back to before", &[elsewhere], search.gentle)?;
                return Ok(CountedScope::Source);
            }
        }
        match self.roster.other_trunk.first() {
            Some(&other) => Ok(match search.ask("a phone of another trunk", other)? {
                Ok(()) => {
                    search.release("back to before", &[other], search.gentle)?;
                    CountedScope::Trunk
                }
                Err(_) => CountedScope::Registrar,
            }),
            None => Ok(CountedScope::Trunk),
        }
    }
}

fn banned(refusal: &WordedRefusal) -> Stop {
    Stop::Banned(format!(
        "after the first refusals ({refusal}) nothing is accepted any more, not even slowly what had worked before: \
         this looks like a ban"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::models::ModelRegistrar;
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn roster(phones: u32) -> Seating {
        Seating { phones: (0..phones).map(Seat).collect(), accounts: (0..phones).collect(), ..Seating::default() }
    }

    fn find(registrar: &mut ModelRegistrar, roster: &Seating) -> Result<FoundConcurrent, Stop> {
        let mut search = Search::new(registrar, Duration::from_secs(2), 4.0);
        let found = concurrent(&mut search, roster, FillRate { start: 20.0, most: 200.0 }, false);
        if !matches!(found, Err(Stop::Banned(_))) {
            assert_eq!(search.clear("end", 50.0), Ok(0));
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn a_hard_limit_is_exact(limit in 1usize..700, phones in 1u32..800) {
            let mut registrar = ModelRegistrar::default().with_limit(limit);
            let found = find(&mut registrar, &roster(phones)).expect("no ban");
            if limit < phones as usize {
                prop_assert_eq!((found.limit, found.hard), (Some(limit as u32), Some(true)));
                prop_assert_eq!((found.confidence, found.scope), (Confidence::High, Some(CountedScope::Trunk)));
                prop_assert_eq!(found.refusal.map(|refusal| refusal.code), Some(403));
                let (accepted, asked) = found.refreshes.expect("asked");
                prop_assert_eq!(accepted, asked);
            } else {
                prop_assert_eq!((found.limit, found.at_least), (None, phones));
            }
            prop_assert!(registrar.bound.is_empty());
        }

        #[test]
        fn a_rate_limit_is_not_taken_for_one(rate in 3.0..150.0f64, burst in 1u32..50, limit in 100usize..300) {
            let mut registrar = ModelRegistrar::default().with_limit(limit).with_rate(rate, burst);
            let found = find(&mut registrar, &roster(400)).expect("no ban");
            prop_assert_eq!(found.limit, Some(limit as u32));
        }
    }

    #[test]
    fn a_user_refused_for_himself_is_no_limit() {
        let mut registrar = ModelRegistrar { hated: [Seat(7), Seat(31)].into(), ..ModelRegistrar::default() };
        let found = find(&mut registrar, &roster(60)).expect("no ban");
        assert_eq!((found.limit, found.at_least, found.refused_for_themselves), (None, 58, 2));
    }

    #[test]
    fn a_limit_that_is_exceeded_is_soft_and_refreshes_may_be_refused() {
        let mut registrar = ModelRegistrar { leaks_every: Some(9), ..ModelRegistrar::default().with_limit(40) };
        let found = find(&mut registrar, &roster(90)).expect("no ban");
        assert_eq!(found.hard, Some(false), "{found:?}");
        let mut registrar = ModelRegistrar { refuses_refreshes: true, ..ModelRegistrar::default().with_limit(40) };
        let found = find(&mut registrar, &roster(90)).expect("no ban");
        assert_eq!((found.limit, found.refreshes), (Some(40), Some((0, 5))));
    }

    #[test]
    fn a_ban_ends_the_search() {
        let mut registrar = ModelRegistrar { bans_after: Some(6), ..ModelRegistrar::default().with_limit(40) };
        assert!(matches!(find(&mut registrar, &roster(90)), Err(Stop::Banned(_))));
    }

    #[test]
    fn where_nobody_can_register_there_is_no_limit_to_find() {
        let mut registrar = ModelRegistrar { hated: (0..90).map(Seat).collect(), ..ModelRegistrar::default() };
        let stop = find(&mut registrar, &roster(90)).expect_err("nobody registers");
        assert!(matches!(&stop, Stop::NeverWorked(why) if why.contains("404 Not Found")), "{stop}");
    }
}
