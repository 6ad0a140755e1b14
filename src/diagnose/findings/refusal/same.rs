//! Which rivals of a plain refusal can be ruled out, given whom it hits.

use super::super::draft::{Draft, SOME};
use super::super::nodes;
use super::super::rivals::Rival;
use super::limits::may_be_a_limit;
use super::{Case, RefusalShape};
use crate::measure::OfferRow;
use crate::sip::Algorithm;
use crate::vocab::{Class, T1_MS};
use std::collections::BTreeMap;

impl Case<'_, '_> {
    /// Adds what the shape of the refusals excludes.
    pub(super) fn exclude(&self, draft: &mut Draft, shape: RefusalShape) {
        if let Some(why) = self.right_realm() {
            draft.excludes(Rival::Realm, why);
        }
        if let Some(why) = self.right_algorithm() {
            draft.excludes(Rival::Algorithm, why);
        }
        // From a moment on a ban looks the same; both are weighed against each other where they are
        // made.
        if matches!(self.group.class, Class::ForbiddenAfterAuth)
            && !matches!(shape, RefusalShape::Same | RefusalShape::Moment)
        {
            draft.excludes(Rival::Ban, "ban: the registrar goes on asking for credentials");
        }
        let several = [Rival::Limit, Rival::Rate, Rival::Node, Rival::Overload];
        match shape {
            RefusalShape::Everybody => self.nobody_got_in(draft),
            RefusalShape::Moment => self.nobody_meanwhile(draft),
            RefusalShape::Address => draft.excludes_all(
                &several,
                "a limit, overload or a single machine: agents of the other address got in all the time, and none of these",
            ),
            RefusalShape::Same => self.exclude_for_the_same(draft),
            RefusalShape::Anybody => {}
        }
    }

    /// Everybody is refused from a moment on, or for a time.
    fn nobody_meanwhile(&self, draft: &mut Draft) {
        draft.excludes_all(
            &[Rival::Limit, Rival::Node],
            "a limit, or a single machine: nobody at all got in meanwhile, registered before or not",
        );
        // Where as many ask afterwards and get in, or few ask and do not, it is not for the load.
        let calm = self.refused_when_few_asked();
        if self.as_many_afterwards() || calm * 4 >= self.group.seen.count {
            draft.excludes_all(
                &[Rival::Rate, Rival::Overload],
                "a limit on the rate, or overload: as many were accepted at another time as asked meanwhile",
            );
        }
    }

    /// Whether as many asked right after a time of refusals, and got in, as in its last seconds.
    fn as_many_afterwards(&self) -> bool {
        let Some(until) = self.cut.as_ref().and_then(|cut| cut.until_ns) else { return false };
        let span = AFTERWARDS_S * SECOND_NS;
        let sum = |from: u64, to: u64| {
            let inside = self.view.ticks.iter().filter(|tick| (from..to).contains(&tick.start_ns));
            inside.fold((0, 0), |sum, tick| (sum.0 + tick.started, sum.1 + tick.accepted()))
        };
        let (asked, _) = sum(until.saturating_sub(span), until);
        let (_, accepted) = sum(until, until + span);
        asked > 0 && accepted as f64 >= FEWER * asked as f64
    }

    fn nobody_got_in(&self, draft: &mut Draft) {
        draft.excludes_all(
            &[Rival::Limit, Rival::Rate, Rival::Overload],
            "a limit, or overload: not one attempt was let in",
        );
        // Where right credentials come to nothing as well, see `nobody_with_credentials`.
        if !matches!(self.group.class, Class::Unauthorized | Class::Stale) {
            draft.excludes(Rival::Node, "a single machine of several: not one attempt was let in");
        }
    }

    /// Always the same agents are refused, and the others never.
    fn exclude_for_the_same(&self, draft: &mut Draft) {
        let first = self.view.ticks.iter().position(|tick| tick.of(self.group.key) > 0).unwrap_or(0);
        let since = &self.view.ticks[first..];
        let accepted: u64 = since.iter().map(|tick| tick.accepted()).sum();
        if accepted >= SOME {
            draft.excludes(
                Rival::Ban,
                format!("ban: {accepted} attempts of others were accepted since the first refusal"),
            );
        }
        let below = self.binding_cap.as_ref().map_or(0, |cap| cap.tally.against);
        if !may_be_a_limit(self.group.class) {
            draft.excludes(Rival::Limit, format!("limit on registrations: {} speaks of the agent", self.group.code));
        } else if below >= FEW_BELOW && below * 50 > self.group.seen.count {
            let why = format!("limit on registrations: {below} refusals came with fewer registered than later");
            draft.excludes(Rival::Limit, why);
        }
        let each = self.group.seen.count as f64 / self.reach.hit.max(1) as f64;
        let calm = self.refused_when_few_asked();
        if each >= OFTEN {
            draft.excludes(Rival::Rate, format!("limit on the rate: always the same agents, {each:.1} times each"));
        } else if calm * 4 >= self.group.seen.count {
            draft.excludes(
                Rival::Rate,
                format!("limit on the rate: {calm} refusals came when fewer asked than were accepted at other times"),
            );
        }
        let (swift, all) = since.iter().fold((0, 0), |sum, tick| (sum.0 + tick.swift, sum.1 + tick.answered()));
        if swift * 10 >= all * 9 {
            draft.excludes(Rival::Overload, format!("overload: {swift} of {all} answers came within {T1_MS} ms"));
        }
        // Agents keep classes: where others were refused alike with other words, whose agents these
        // are is not known.
        if self.knows_its_agents() && nodes::one_of_by_agent(self.view, self.group).is_none() {
            draft.excludes(
                Rival::Node,
                "one machine of up to five that each serve their part of the agents: these are more, or fewer, or stand together in the list",
            );
        }
    }

    /// Refusals in seconds in which clearly fewer asked than were accepted in another second.
    fn refused_when_few_asked(&self) -> u64 {
        let mut seconds: BTreeMap<u64, (u64, u64, u64)> = BTreeMap::new();
        for tick in &self.view.ticks {
            let second = seconds.entry(tick.start_ns / SECOND_NS).or_default();
            second.0 += tick.registered;
            second.1 += tick.of(self.group.key);
            second.2 += tick.answered();
        }
        let most = seconds.values().map(|(accepted, ..)| *accepted).max().unwrap_or(0);
        let calm = seconds.values().filter(|(.., all)| (*all as f64) < FEWER * most as f64);
        calm.map(|(_, refused, _)| refused).sum()
    }

    /// Why the realm is not to blame: it is the one that the profile expects, or somebody who met
    /// it registered. Where neither is known, it may be.
    fn right_realm(&self) -> Option<&'static str> {
        let rows = self.view.offers.iter().filter(|row| row.is_registrars());
        let mut realms = rows.map(|row| row.realm.as_str()).filter(|realm| !realm.is_empty());
        let Some(expected) = self.view.header().realm.as_deref() else {
            let first = realms.next();
            let registered = self.view.ticks.iter().any(|tick| tick.challenged_anew() > 0);
            let alike = realms.all(|realm| Some(realm) == first);
            return (alike && (registered || first.is_none()))
                .then_some("realm: others that were challenged with the same one registered");
        };
        realms.all(|realm| realm == expected).then_some("realm: no challenge named another one than the agents expect")
    }

    /// Why the algorithm is not to blame: everybody knows MD5, somebody registered with this one,
    /// or nothing else is on offer.
    fn right_algorithm(&self) -> Option<String> {
        let used: Vec<u8> = self.group.by_algorithm.keys().filter_map(|key| *key).collect();
        let others: Vec<u8> = used.into_iter().filter(|position| *position != Algorithm::Md5 as u8).collect();
        if others.is_empty() {
            return Some("the algorithm: credentials were made with MD5, which every registrar knows".to_owned());
        }
        let took = |position: u8| {
            let rows = self.view.outcomes.iter().filter(|row| row.class == Class::Registered);
            rows.filter(|row| row.algorithm == Some(position)).any(|row| row.seen.count > 0)
        };
        if others.iter().all(|position| took(*position)) {
            return Some("the algorithm: credentials of the same one were taken from others".to_owned());
        }
        let known = Algorithm::ALL.iter().fold(0, |bits, algorithm| bits | 1 << *algorithm as u8);
        let choice = |row: &OfferRow| row.answered.is_some() && (row.offered & known).count_ones() > 1;
        (!self.view.offers.iter().copied().any(choice)).then(|| "the algorithm: no other is on offer".to_owned())
    }
}

const SECOND_NS: u64 = 1_000_000_000;
/// Refusals of an agent that nothing but the agent explains.
const OFTEN: f64 = 2.0;
/// Refusals with fewer registered than later, of which the edges of ticks explain one or two.
const FEW_BELOW: u64 = 3;
/// Seconds at the end of a stretch that are held against as many behind it.
const AFTERWARDS_S: u64 = 3;
/// Clearly fewer.
const FEWER: f64 = 0.8;
