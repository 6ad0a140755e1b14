//! Refusals that are a limit: on how many are registered, or on how many register in a second.

use super::super::draft::{BY_CHANCE, Draft, SOME, confidence, is_near};
use super::super::pattern::{self, BindingCap, ForAgainst, RateCap};
use super::super::phrase::{self, Speaks};
use super::super::rivals::Rival;
use super::super::view::Group;
use super::{Case, RefusalShape};
use crate::diagnose::truth::{TruthComparison, accounts};
use crate::record::Results;
use crate::vocab::{Class, Confidence, Kind, Phase, Severity, T1_MS};

/// What others hold on a trunk, and which server says so: its own count from before the first
/// phone. `None` where it does not say, or where it held fewer or more later on than that and we
/// explain: others came or went.
fn others_there(results: &Results, trunk: u16) -> Option<(u64, String)> {
    let own = accounts(results).into_iter().find(|account| account.server.trunk == Some(trunk))?;
    // A limit is on phones, and where each has several bindings the server counts those.
    let before = own.server.before.filter(|_| own.server.bindings_each <= 1)?;
    let agrees = |one: &TruthComparison| one.surplus() == 0 && one.count >= one.ours.0.saturating_add(before);
    let agreed = own.compared.iter().filter(|one| agrees(one)).count() as u64;
    (agreed >= SOME && agreed == own.compared.len() as u64).then(|| (before, own.server.named()))
}

impl Case<'_, '_> {
    pub(super) fn by_binding_cap(&mut self) -> Option<Vec<Draft>> {
        if !may_be_a_limit(self.group.class) {
            let why = format!("{} speaks of the agent, not of how many there are", self.group.code);
            self.reject("limit on registrations", why);
            return None;
        }
        let binding_cap = self.binding_cap.clone()?;
        if !binding_cap.tally.holds(0.01) {
            let ForAgainst { pro, against } = binding_cap.tally;
            let why =
                format!("{against} of {} refusals came with fewer than {} bindings", pro + against, binding_cap.limit);
            self.reject("limit on registrations", why);
            return None;
        }
        if let Some(words) = self.better_words(&binding_cap) {
            let why = format!("it has other words, \"{words}\"");
            self.reject("limit on registrations", why);
            return None;
        }
        let says_so = self.speaks() == Some(Speaks::Limit);
        // More than one refresh in fifty is no stray; only the registrar's own words outweigh it.
        if binding_cap.refreshes_refused * 50 > binding_cap.refreshed.max(1) && !says_so {
            let why = format!(
                "{} refreshes were refused too; a limit would have let them through",
                binding_cap.refreshes_refused
            );
            self.reject("limit on registrations", why);
            return None;
        }
        if self.removal_refused > self.removed && !says_so {
            let why =
                format!("{} un-REGISTERs were refused too; a limit would have let them through", self.removal_refused);
            self.reject("limit on registrations", why);
            return None;
        }
        // The chance that so many were accepted before the first refusal if a fixed share of the
        // agents were refused.
        let share = self.reach.hit as f64 / (self.reach.hit + self.reach.only_accepted).max(1) as f64;
        let by_chance = (1.0 - share).powf(binding_cap.accepted_before as f64);
        if binding_cap.accepted_before < SOME || by_chance > MAYBE_BY_CHANCE {
            self.reject(
                "limit on registrations",
                format!("only {} were accepted before the first refusal", binding_cap.accepted_before),
            );
            return None;
        }
        let refused_before = self.refused_otherwise();
        if refused_before * 2 > self.reach.hit {
            let why = format!("{refused_before} of the {} agents were refused with other words before", self.reach.hit);
            self.reject("limit on registrations", why);
            return None;
        }
        Some(self.limit_and_rivals(&binding_cap, by_chance > BY_CHANCE))
    }

    /// Other words for the same limit, that fit it better: a registrar words its limit in one
    /// way, and whoever else is refused meanwhile is refused for another reason.
    fn better_words(&self, binding_cap: &BindingCap) -> Option<&str> {
        let ours = self.group;
        let is_other = |group: &&Group<'_>| (group.code, group.reason) != (ours.code, ours.reason);
        let others = self.view.groups.iter().filter(|group| may_be_a_limit(group.class)).filter(is_other);
        let fits = |group: &&Group<'_>| {
            let spoken = phrase::read(group.reason) == Some(Speaks::Limit) && self.speaks() != Some(Speaks::Limit);
            let Some(other) = pattern::binding_cap(self.view, group).map(|other| other.tally) else { return false };
            let cleaner = other.against == 0 && binding_cap.tally.against > 0;
            other.pro > binding_cap.tally.pro && other.holds(0.01) && (spoken || cleaner)
        };
        others.into_iter().find(fits).map(|group| group.reason)
    }

    /// Agents hit that were also refused in another way.
    fn refused_otherwise(&self) -> u64 {
        let others =
            REFUSALS.iter().filter(|class| **class != self.group.class).fold(0, |bits, class| bits | class.bit());
        self.view.met(&[self.group.class]).filter(|(_, agent)| agent.met & others != 0).count() as u64
    }

    /// The limit, and what else would look like it here; `may_be_chance`: those refused are so few
    /// that chance may have put them last.
    fn limit_and_rivals(&self, binding_cap: &BindingCap, may_be_chance: bool) -> Vec<Draft> {
        let mut drafts = vec![self.limit(binding_cap)];
        match self.undecided_ban(binding_cap) {
            Some(ban) => {
                drafts[0].confidence = Confidence::Open;
                drafts.push(ban);
            }
            None => drafts[0].excludes(Rival::Ban, "ban: what was bound already was not refused"),
        }
        if let Some(speaks) = self.speaks().filter(|speaks| !matches!(speaks, Speaks::Limit | Speaks::Contacts)) {
            // Nobody left, so nobody shows whether the next one would be let in.
            if binding_cap.refilled == 0 {
                drafts[0].confidence = Confidence::Open;
                let since = format!("everybody new from {} after the start on", super::span(self.group.seen.first_ns));
                let mut plain = self.plain(&since, RefusalShape::Anybody);
                plain.confidence = Confidence::Open;
                plain.evidence.push(format!("its words speak of {}, not of how many there are", speaks.as_str()));
                drafts.push(plain);
            }
        }
        // Whoever is refused because there are too many is let in once there are fewer. Agents who
        // come in the order of their list and are refused from one of them on may just as well
        // never have been set up.
        let let_in_later = self.reach.hit - self.reach.only_refused;
        let drawn = self.view.results.header.order_drawn;
        let retold = "nobody was refused while the trunk filled up, everybody new once it was full";
        let left = |whom: String| Draft { confidence: Confidence::Open, ..self.plain(&whom, RefusalShape::Anybody) };
        if may_be_chance && self.speaks() != Some(Speaks::Limit) {
            drafts[0].confidence = Confidence::Open;
            drafts.push(left(format!("{} agents, which may have come last by chance", self.reach.only_refused)));
        } else if drawn {
            drafts[0].excludes(
                Rival::Accounts,
                format!("credentials: {retold}, and the order of arrival was drawn at random"),
            );
        } else if let_in_later > 0 || binding_cap.refilled > 0 {
            let later = let_in_later.max(binding_cap.refilled);
            let why = format!("credentials: {retold}, and {later} got in once others had left");
            drafts[0].excludes(Rival::Accounts, why);
        } else if self.speaks() == Some(Speaks::Limit) {
            // Words alone never make anything sure.
            drafts[0].confidence = drafts[0].confidence.min(Confidence::Medium);
            drafts[0].excludes(
                Rival::Accounts,
                format!("credentials: {retold}, and the registrar itself speaks of a limit"),
            );
        } else {
            drafts[0].confidence = Confidence::Open;
            drafts.push(left(format!("the last {} agents of the list, always the same ones", self.reach.only_refused)));
        }
        drafts
    }

    fn limit(&self, binding_cap: &BindingCap) -> Draft {
        let BindingCap { limit, tally, accepted_before, refilled, refreshed, .. } = *binding_cap;
        let mut draft = self.draft("limit.concurrent", Severity::Critical);
        draft.confidence = confidence(tally.pro, tally.against);
        let exclusive = self.view.results.header.exclusive;
        let others = others_there(self.view.results, self.view.trunk);
        let takes = match others {
            Some((before, server)) => {
                draft.evidence.push(format!("{server} held {before} before the first phone"));
                match before {
                    0 => format!("{limit} registrations at a time"),
                    _ => format!("{} registrations at a time, {before} of them others'", limit + before),
                }
            }
            None if exclusive => format!("{limit} registrations at a time"),
            None => {
                // Who else is registered on the trunk cannot be seen from here.
                draft.confidence = draft.confidence.min(Confidence::Medium);
                format!("{limit} registrations on top of those already there")
            }
        };
        draft.summary =
            format!("the trunk takes {takes}: every further agent is refused with {} {}", self.answer(), self.place());
        if binding_cap.refreshes_refused * 50 > refreshed.max(1) {
            // What was bound is refused as well: only its words tell this from a ban.
            draft.confidence = Confidence::Open;
            draft
                .evidence
                .push(format!("{} refreshes of registered agents were refused too", binding_cap.refreshes_refused));
        }
        draft.evidence.push(format!(
            "{} refusals came with {limit} agents registered, {} with fewer; {accepted_before} were accepted one after \
             another before the first",
            tally.pro, tally.against
        ));
        if refreshed > 0 {
            draft.evidence.push(format!("{refreshed} refreshes of registered agents passed meanwhile"));
        }
        if refilled > 0 {
            draft.evidence.push(format!("{refilled} were accepted again when bindings had ended"));
        }
        let rate = "limit on the rate: nobody new was accepted at any rate once it was full";
        draft.excludes(Rival::Rate, rate);
        draft
            .advice
            .push(format!("have the limit on simultaneous registrations raised above {limit}, or plan no more agents"));
        draft
    }

    /// A ban that began just when the most were registered, as far as nothing speaks against it.
    fn undecided_ban(&self, binding_cap: &BindingCap) -> Option<Draft> {
        let cut = self.cut.clone().filter(|cut| cut.until_ns.is_none())?;
        let refreshes_pass = binding_cap.refreshed > 0 && binding_cap.refreshes_refused * 50 <= binding_cap.refreshed;
        let passed = refreshes_pass || binding_cap.refilled > 0 || self.removed > self.removal_refused;
        (!passed).then(|| {
            let mut ban = self.ban(&cut);
            ban.confidence = Confidence::Open;
            ban
        })
    }

    pub(super) fn by_rate_cap(&mut self) -> Option<Vec<Draft>> {
        if let Some(why) = self.is_of_the_agents() {
            self.reject("limit on the rate", why);
            return None;
        }
        let Some(rate_cap) = self.rate_cap.clone() else {
            self.reject("limit on the rate", "refusals were too few or too short for a rate".to_owned());
            return None;
        };
        let (steady, seconds) = rate_cap.steady;
        let varied = rate_cap.demand_range.1 as f64 >= 1.2 * rate_cap.demand_range.0 as f64;
        let even_below = if varied { 0.6 } else { 0.25 };
        let even = rate_cap.scatter < even_below && (rate_cap.per_second >= FEW_A_SECOND || rate_cap.beats_chance());
        if !rate_cap.tally.holds(0.02) || steady * 10 < seconds * 8 || !even {
            let why = format!(
                "the number accepted per second follows the demand ({steady} of {seconds} seconds near {:.0}/s, scatter {:.2})",
                rate_cap.per_second, rate_cap.scatter
            );
            self.reject("limit on the rate", why);
            return None;
        }
        let left_out = self.reach.only_refused * 100 > self.view.agents.len() as u64;
        let severity = if left_out { Severity::Critical } else { Severity::Warning };
        let mut draft = self.draft("limit.rate", severity);
        draft.confidence = confidence(rate_cap.tally.pro, rate_cap.tally.against);
        if self.reach.only_refused == self.reach.hit || rate_cap.at_once {
            // Who came once and was refused may be refused whenever it comes.
            draft.confidence = draft.confidence.min(Confidence::Low);
        }
        if !varied && draft.confidence == Confidence::High {
            // Under a demand that never changed, a fixed share of it looks much like a rate.
            draft.confidence = Confidence::Medium;
        }
        self.tell_rate(&rate_cap, &mut draft);
        self.weigh_accounts(&rate_cap, &mut draft);
        draft.excludes(Rival::Limit, "limit on registrations: agents went on being accepted");
        if self.is_of_the_rate(&rate_cap) {
            draft.excludes(
                Rival::Node,
                "one machine of several: it would refuse the same share of a small demand as of a large one",
            );
        }
        self.weigh_transactions(&rate_cap, &mut draft);
        self.weigh_overload(&mut draft);
        // Nothing rests on one figure at the edge.
        let edges = [is_near(rate_cap.scatter, even_below), is_near(steady as f64, 0.8 * seconds as f64)];
        if edges.into_iter().any(|edge| edge) {
            draft.confidence = draft.confidence.min(Confidence::Medium);
        }
        Some(self.with_chance(draft))
    }

    /// The numbers, in words.
    fn tell_rate(&self, rate_cap: &RateCap, draft: &mut Draft) {
        let (accepted, (steady, seconds)) = (rate_cap.per_second, rate_cap.steady);
        let ((least, most), answer) = (rate_cap.demand_range, self.answer());
        if rate_cap.at_once {
            draft.summary = format!(
                "of phones that ask at the same moment the trunk accepts about {accepted:.0}: the others are answered {answer}"
            );
            draft.evidence.push(format!(
                "in {steady} of {seconds} bursts {accepted:.0} were accepted within 15 % or two, while {least} to {most} asked"
            ));
            draft.advice.push(
                "spread the start and add jitter to retries; `regstorm limits --only rate` finds the rate itself"
                    .to_owned(),
            );
            return;
        }
        draft.summary =
            format!("the trunk accepts about {accepted:.0} registrations a second: beyond that the answer is {answer}");
        draft.evidence.push(format!(
            "{steady} of {seconds} seconds of refusals saw {accepted:.0} accepted within 15 % or two, under a demand of {least} \
             to {most} a second; about {} more were accepted before the first refusal",
            rate_cap.burst
        ));
        draft.advice.push(format!(
            "keep arrivals below {accepted:.0}/s (spread the start, add jitter to retries), or have the limit raised"
        ));
    }

    /// Whether it may be for who asks, or for no reason at all.
    fn weigh_accounts(&self, rate_cap: &RateCap, draft: &mut Draft) {
        if rate_cap.beats_chance() {
            let why = format!(
                "refusals at random or of certain agents: the numbers accepted vary {:.2} times as much as pure chance would explain",
                rate_cap.scatter
            );
            draft.excludes(Rival::Accounts, why);
        }
        // Whoever gets in at the next try was not refused for being who it is.
        let both = self.reach.hit - self.reach.only_refused;
        if self.knows_its_agents() && both * 10 >= self.reach.hit * 8 {
            let why = format!("credentials: {both} of the {} agents refused got in at another try", self.reach.hit);
            draft.excludes(Rival::Accounts, why);
        }
    }

    /// Why refusals cannot be for how many ask.
    fn is_of_the_agents(&self) -> Option<String> {
        if !may_be_a_limit(self.group.class) {
            return Some(format!("{} speaks of the agent, not of how many ask", self.group.code));
        }
        let retried = self.group.by_kind.get(&Kind::Retry).copied().unwrap_or(0);
        let let_in = |kind: Option<Kind>| {
            let rows = self.view.outcomes.iter().filter(|row| row.class == Class::Registered);
            rows.filter(|row| kind.is_none_or(|kind| row.kind == kind)).map(|row| row.seen.count).sum::<u64>()
        };
        // A rate does not ask who tried before: some of so many would have got in.
        let refused = self.group.seen.count as f64;
        let share = refused / (refused + let_in(None) as f64);
        if let_in(Some(Kind::Retry)) == 0 && share.powf(retried as f64) < BY_CHANCE {
            return Some(format!("not one of {retried} tries after a refusal got in, while others did"));
        }
        let again = self.group.seen.count * 2 >= self.reach.hit * 3;
        (again && self.reach.is_subset())
            .then(|| "it is always the same agents that are refused, however often they come".to_owned())
    }

    /// What refuses by chance, or certain agents, looks like a rate where nothing excludes it.
    fn with_chance(&self, mut draft: Draft) -> Vec<Draft> {
        if [Rival::Accounts, Rival::Node].iter().all(|rival| draft.excluded.contains(rival)) {
            return vec![draft];
        }
        draft.confidence = Confidence::Open;
        if let Some(speaks) = self.speaks().filter(|speaks| !matches!(speaks, Speaks::Rate | Speaks::Overload)) {
            draft.severity = Severity::Warning;
            draft.evidence.push(format!("yet its words speak of {}", speaks.as_str()));
        }
        let share = 100.0 * self.group.seen.count as f64 / self.view.attempts().max(1) as f64;
        vec![draft, self.plain(&format!("{share:.1} % of all attempts"), RefusalShape::Anybody)]
    }

    /// A registrar that takes so many transactions at a time accepts a steady number per second as
    /// well, as long as each takes equally long. Few open at a time rule it out; otherwise only an
    /// experiment can.
    fn weigh_transactions(&self, rate_cap: &RateCap, draft: &mut Draft) {
        let totals = &self.view.results.trunk_totals[usize::from(self.view.trunk)];
        let service = totals.latency_us.iter().find(|(phase, _)| *phase == Phase::RegisterService);
        let open = match service {
            _ if rate_cap.at_once => rate_cap.per_second,
            service => service.map_or(0.0, |(_, histogram)| rate_cap.per_second * histogram.mean() / 1e6),
        };
        if open < FEW_TRANSACTIONS {
            let why = format!("limit on open transactions: only {open:.1} were open at a time");
            draft.excludes(Rival::Transactions, why);
        } else {
            draft.evidence.push(format!(
                "about {open:.0} transactions were open at a time: a limit on those (limit.transactions) would look the same"
            ));
        }
    }

    /// A server at the end of its strength refuses as well, and answers later and later.
    fn weigh_overload(&self, draft: &mut Draft) {
        let answers = self.view.ticks.iter().filter(|tick| tick.of(self.group.key) > 0);
        let (swift, all) = answers.fold((0, 0), |sum, tick| (sum.0 + tick.swift, sum.1 + tick.answered()));
        if swift * 10 >= all * 9 {
            let why = format!("overload: {swift} of {all} answers of that time came within {T1_MS} ms");
            draft.excludes(Rival::Overload, why);
        }
    }

    /// Whether the share refused follows the demand, as a limit's does, or is no whole part at all.
    fn is_of_the_rate(&self, rate_cap: &RateCap) -> bool {
        let (least, most) = rate_cap.demand_range;
        if most as f64 >= TELLING_RANGE * least as f64 {
            return true;
        }
        let share = 1.0 - rate_cap.per_second / least.midpoint(most).max(1) as f64;
        (2..=MOST_MACHINES).all(|n| (1..n).all(|part| !is_near(share, f64::from(part) / f64::from(n))))
    }
}

/// Refusals that may be a limit: 401 and 404 speak of one agent, 423 of the lifetime asked for.
pub(super) fn may_be_a_limit(class: Class) -> bool {
    !matches!(class, Class::Unauthorized | Class::Stale | Class::NotFound | Class::TooBrief)
}

/// Classes that say no to an agent.
const REFUSALS: [Class; 5] =
    [Class::Forbidden, Class::ForbiddenAfterAuth, Class::Unauthorized, Class::NotFound, Class::Refused];

/// Numbers accepted per second below which two more or fewer hide everything: there only the
/// scatter shows a rate.
const FEW_A_SECOND: f64 = 4.0;
/// What happens once in twenty times may be chance, and may be none.
const MAYBE_BY_CHANCE: f64 = 0.05;
/// How many times the least demand the most must be for a limit on the rate to differ visibly from
/// a fixed share.
const TELLING_RANGE: f64 = 1.5;
/// Machines behind one address, at most.
const MOST_MACHINES: u32 = 6;
/// A limit on open transactions below this would be none that anybody sets.
const FEW_TRANSACTIONS: f64 = 10.0;
