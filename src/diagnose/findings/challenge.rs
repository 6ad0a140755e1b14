//! What challenges ask for and agents cannot give: another realm than expected, algorithms nobody
//! here accepts.
//!
//! A refusal does not say which realm its credentials were made for. It follows from counts:
//! initial attempts and retries are challenged each (a nonce is only carried on after a 2xx), so
//! that attempts refused and challenges answered must agree in number and time. Where they do not,
//! a realm that differs is reported as a difference and explains no refusal.

use super::cost::Cost;
use super::draft::{Draft, confidence};
use super::rivals::Rival;
use super::view::{Group, Tick, View};
use super::wording::{algorithm, algorithms, at, counted, window};
use crate::measure::{BY_PROXY, OfferRow, Sightings};
use crate::sip::Algorithm;
use crate::vocab::{Class, Confidence, Place, RealmPolicy, Severity, Transport, Trouble, Unusable, said};
use std::collections::BTreeSet;

/// Findings about challenges, and the keys of the refusal groups ([`Group::key`]) that they
/// explain.
pub(super) fn find(view: &View<'_>) -> (Vec<Draft>, Vec<u16>) {
    let (mut drafts, mut explained) = (Vec::new(), Vec::new());
    for (draft, keys) in realm(view)
        .into_iter()
        .chain(unaccepted(view))
        .chain(unanswerable(view))
        .chain(left_unanswered(view))
        .chain(refused_algorithm(view))
    {
        drafts.push(draft);
        explained.extend(keys);
    }
    (drafts, explained)
}

/// A finding and the refusals it explains.
type Explaining = (Draft, Vec<u16>);

/// What was challenged with one realm.
#[derive(Clone, Debug)]
struct RealmSeen<'a> {
    name: &'a str,
    /// Challenges, and how many of them were answered.
    seen: Sightings,
    answered: u64,
    sources: BTreeSet<u8>,
}

/// How attempts fared with the realms that differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Refused,
    Registered,
    /// Both; or the refusals may have another cause.
    Mixed,
    /// Neither: the attempts ended otherwise.
    Unknown,
}

/// When the realms of a trunk were seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum RealmOrder {
    One,
    /// One after another: the challenge changed.
    InTurn,
    /// At the same time: nodes differ.
    AtOnce,
}

fn realm(view: &View<'_>) -> Option<Explaining> {
    let realms = realms(view);
    let expected = view.header().realm.as_deref();
    let suspects: Vec<&Group<'_>> = view.groups.iter().filter(|group| may_be_the_realm(group)).collect();
    let odd: Vec<&RealmSeen<'_>> = match expected {
        // A realm that looks like a digest was masked when it came in.
        Some(expected) => realms.iter().filter(|realm| realm.name != said(expected.as_bytes())).collect(),
        None if realms.len() == 1 => cut_from_the_domain(view, &realms, &suspects),
        None => without_expectation(view, &realms),
    };
    if odd.is_empty() {
        return None;
    }
    let order = order(&realms);
    let fate = fate(view, &realms, &odd, &suspects);
    let mut draft = Draft::new("realm.mismatch", Severity::Warning, Some(view.trunk));
    draft.saw(Sightings::together(odd.iter().map(|realm| &realm.seen)));
    let forced = is_forced(view);
    draft.summary = format!("{}: {}", difference(view, &realms, &odd, order), ending(fate, forced));
    draft.evidence = facts(view, expected, &realms, order);
    let mut explained = Vec::new();
    if fate == Fate::Refused {
        explained = blame(view, &mut draft, &realms, &odd, &suspects);
    } else {
        let challenges = draft.attempts;
        let all = odd.len() == realms.len();
        let agents = view.agents.len() as u64;
        draft.agents = if all { agents } else { agents.min(challenges) };
        // The difference itself was read off the challenges: nothing speaks against it.
        draft.confidence = confidence(challenges, 0);
        if fate == Fate::Registered && forced {
            draft.excludes(Rival::AllAccounts, "wrong accounts: credentials made for the expected realm are taken");
        } else if fate == Fate::Registered {
            draft.excludes(Rival::AllAccounts, "a cause of failures: attempts challenged with it registered");
        } else if fate == Fate::Mixed {
            draft.excludes(Rival::AllAccounts, "the cause of all refusals: some with this realm registered");
        } else {
            draft.excludes(Rival::AllAccounts, "wrong accounts: nothing is said of what became of the attempts");
        }
    }
    Some((draft, explained))
}

/// Whether agents answer for the configured realm whatever is challenged
/// (`realm_policy = "force"`).
fn is_forced(view: &View<'_>) -> bool {
    view.header().realm_policy == RealmPolicy::Force
}

/// The realms that the registrar challenged with, by first appearance: a proxy before it has one of
/// its own (RFC 3261 §22.3). A challenge without one is another trouble.
fn realms<'a>(view: &View<'a>) -> Vec<RealmSeen<'a>> {
    let mut realms: Vec<RealmSeen<'a>> = Vec::new();
    for row in view.offers.iter().filter(|row| !row.realm.is_empty() && row.is_registrars()) {
        let place = realms.iter().position(|realm| realm.name == row.realm).unwrap_or_else(|| {
            let (name, seen, sources) = (row.realm.as_str(), Sightings::default(), BTreeSet::new());
            realms.push(RealmSeen { name, seen, answered: 0, sources });
            realms.len() - 1
        });
        let realm = &mut realms[place];
        realm.seen.merge(&row.seen);
        realm.answered += if row.answered.is_some() { row.seen.count } else { 0 };
        realm.sources.insert(row.source);
    }
    realms.sort_by_key(|realm| (realm.seen.first_ns, realm.name));
    realms
}

/// Without an expected realm only a change is worth a word: the realms that were refused, else
/// those that came later.
fn without_expectation<'r, 'a>(view: &View<'_>, realms: &'r [RealmSeen<'a>]) -> Vec<&'r RealmSeen<'a>> {
    if realms.len() < 2 || on_one_way(view, realms) {
        return Vec::new();
    }
    let suspects: Vec<&Group<'_>> = view.groups.iter().filter(|group| may_be_the_realm(group)).collect();
    let refused = realms.iter().find(|realm| fate(view, realms, &[realm], &suspects) == Fate::Refused);
    refused.map_or_else(|| realms[1..].iter().collect(), |realm| vec![realm])
}

/// The only realm, where nobody says which is right, it is the domain with an end cut off or added
/// or in other letters, and nobody who answers it gets in. Any realm may be right; this one is
/// worth a question.
fn cut_from_the_domain<'r, 'a>(
    view: &View<'_>,
    realms: &'r [RealmSeen<'a>],
    suspects: &[&Group<'_>],
) -> Vec<&'r RealmSeen<'a>> {
    let alike = |realm: &&RealmSeen<'_>| !likeness(&view.header().domain, realm.name).is_empty();
    let refused = |realm: &&RealmSeen<'_>| fate(view, realms, &[realm], suspects) == Fate::Refused;
    realms.iter().filter(alike).filter(refused).collect()
}

/// Whether all that registered had answered each of the realms: those of a proxy on the way and of
/// the registrar behind it (RFC 3261 §22.3), not one in place of the other.
fn on_one_way(view: &View<'_>, realms: &[RealmSeen<'_>]) -> bool {
    let registered: u64 = view.ticks.iter().map(Tick::challenged_anew).sum();
    // Refreshes may have answered the later realm as often, where one took the place of the other
    // and was refused.
    let replaced = order(realms) == RealmOrder::InTurn && view.groups.iter().any(may_be_the_realm);
    registered > 0 && !replaced && realms.iter().all(|realm| realm.answered >= registered)
}

/// Refusals that a wrong realm may bring: of credentials, or our own of a realm that is not the
/// required one.
fn may_be_the_realm(group: &Group<'_>) -> bool {
    let credentials = matches!(group.class, Class::ForbiddenAfterAuth | Class::Unauthorized);
    (credentials && group.place == Place::AfterCredentials) || required(group)
}

/// Whether `realm_policy = "require"` ended the attempts.
fn required(group: &Group<'_>) -> bool {
    group.trouble == Some(Trouble::Unusable(Unusable::Realm))
}

fn order(realms: &[RealmSeen<'_>]) -> RealmOrder {
    // They are sorted by first appearance.
    let apart = |pair: &[RealmSeen<'_>]| pair[0].seen.last_ns <= pair[1].seen.first_ns;
    match realms {
        [] | [_] => RealmOrder::One,
        several if several.windows(2).all(apart) => RealmOrder::InTurn,
        _ => RealmOrder::AtOnce,
    }
}

/// Attempts that were challenged anew and registered, or were refused like one of `suspects`, in a
/// window of time.
fn fared(view: &View<'_>, from_ns: u64, to_ns: u64, suspects: &[&Group<'_>]) -> (u64, u64) {
    // An answer comes a little after its challenge: at most a tick counts for the window.
    let ticks = view.ticks.iter().filter(|tick| tick.start_ns + view.tick_ns > from_ns && tick.start_ns <= to_ns);
    ticks.fold((0, 0), |(registered, refused), tick| {
        let hit: u64 =
            suspects.iter().filter_map(|group| tick.refused.get(&group.key)).map(|hit| hit.challenged_anew()).sum();
        (registered + tick.challenged_anew(), refused + hit)
    })
}

/// How attempts challenged with the realms `odd` ended.
fn fate(view: &View<'_>, realms: &[RealmSeen<'_>], odd: &[&RealmSeen<'_>], suspects: &[&Group<'_>]) -> Fate {
    let from = odd.iter().map(|realm| realm.seen.first_ns).min().unwrap_or(0);
    let to = odd.iter().map(|realm| realm.seen.last_ns).max().unwrap_or(0);
    let is_odd = |realm: &RealmSeen<'_>| odd.iter().any(|other| other.name == realm.name);
    let others: Vec<_> =
        realms.iter().filter(|realm| !is_odd(realm) && realm.seen.first_ns < to && realm.seen.last_ns > from).collect();
    let (registered, refused) = fared(view, from, to, suspects);
    if refused == 0 {
        return if registered > 0 { Fate::Registered } else { Fate::Unknown };
    }
    if others.is_empty() {
        let everyone = hit(view, suspects) * 100 >= met_a_challenge(view, from, to) * MOST;
        // A realm that is wrong is wrong for everybody: only where it changed may others have got
        // in at the edges.
        let few = if odd.len() == realms.len() { registered == 0 } else { registered * FEW <= refused };
        return if few && everyone { Fate::Refused } else { Fate::Mixed };
    }
    let challenges: u64 = odd.iter().map(|realm| realm.answered.max(realm.seen.count - realm.answered)).sum();
    let elsewhere: u64 = others.iter().map(|realm| realm.answered).sum();
    let apart = agree(challenges, refused) && (!agree(elsewhere, refused) || examples_agree(view, odd, &others));
    if apart { Fate::Refused } else { Fate::Mixed }
}

/// Agents that had an attempt refused like one of `suspects`.
fn hit(view: &View<'_>, suspects: &[&Group<'_>]) -> u64 {
    let classes: Vec<Class> = suspects.iter().map(|group| group.class).collect();
    view.met(&classes).count() as u64
}

/// Agents that must have met a challenge in the window: all, unless the window begins after they
/// had registered; then as many as tried.
fn met_a_challenge(view: &View<'_>, from_ns: u64, to_ns: u64) -> u64 {
    let ticks = view.ticks.iter().filter(|tick| tick.start_ns + view.tick_ns > from_ns && tick.start_ns <= to_ns);
    let started: u64 = ticks.map(|tick| tick.started).sum();
    started.min(view.agents.len() as u64)
}

/// Whether two counts of the same thing agree, attempts open at a window's edge aside.
fn agree(one: u64, other: u64) -> bool {
    one.abs_diff(other) * FEW <= one.max(other)
}

/// Whether the agents named beside the odd realms were all refused, and none of those beside the
/// others.
fn examples_agree(view: &View<'_>, odd: &[&RealmSeen<'_>], others: &[&RealmSeen<'_>]) -> bool {
    let refused = |agent: &u32| {
        let bits = Class::ForbiddenAfterAuth.bit() | Class::Unauthorized.bit() | Class::Unusable.bit();
        view.results.agents.get(*agent as usize).is_some_and(|agent| agent.met & bits != 0)
    };
    let mut named = odd.iter().flat_map(|realm| &realm.seen.agents).peekable();
    let mut spared = others.iter().flat_map(|realm| &realm.seen.agents);
    named.peek().is_some() && named.all(refused) && !spared.any(refused)
}

/// Makes the draft one of refusals, and says which groups of them.
fn blame(
    view: &View<'_>,
    draft: &mut Draft,
    realms: &[RealmSeen<'_>],
    odd: &[&RealmSeen<'_>],
    suspects: &[&Group<'_>],
) -> Vec<u16> {
    let seen = |group: &&&Group<'_>| group.seen.last_ns >= draft.first_ns;
    let groups: Vec<&Group<'_>> = suspects.iter().filter(seen).copied().collect();
    let (registered, _) = fared(view, draft.first_ns, draft.last_ns, suspects);
    let against = if odd.len() == realms.len() { registered } else { 0 };
    draft.severity = Severity::Critical;
    draft.attempts = groups.iter().map(|group| group.seen.count).sum();
    draft.agents = hit(view, &groups);
    draft.last_ns = groups.iter().map(|group| group.seen.last_ns).max().unwrap_or(draft.last_ns);
    draft.confidence = confidence(draft.attempts, against);
    for group in &groups {
        draft.evidence.push(format!("{} x {} {} to answers with it", group.seen.count, group.code, group.reason));
    }
    if groups.iter().any(|group| required(group)) {
        draft.excludes(
            Rival::AllAccounts,
            "a refusal by the registrar: realm_policy = \"require\" ended these attempts here",
        );
    } else if odd.len() < realms.len() {
        draft.excludes(Rival::AllAccounts, "wrong passwords: attempts challenged with the other realm registered");
    } else if let Some(neighbour) = forced_elsewhere(view, odd) {
        let why = format!(
            "wrong accounts: agents of {neighbour} meet the same challenge, answer for the expected realm, and get in"
        );
        draft.excludes(Rival::AllAccounts, why);
        // Passwords of this trunk may be wrong as well.
        draft.confidence = draft.confidence.min(Confidence::Medium);
    } else {
        let agents = counted(draft.agents, "agent");
        draft.rejected.push(format!("wrong passwords of single agents: all {agents} were refused alike"));
        // A password that is wrong for everybody looks the same: the refusals are not explained.
        draft.confidence = Confidence::Open;
    }
    let class = groups.first().map_or(Class::ForbiddenAfterAuth, |group| group.class);
    draft.cost = Some(Cost::new(view, class, draft.agents, draft.attempts));
    if draft.confidence == Confidence::Open { Vec::new() } else { groups.iter().map(|group| group.key).collect() }
}

/// A trunk at the same address whose agents meet one of the odd realms, answer for the expected one
/// all the same, and get in.
fn forced_elsewhere<'a>(view: &View<'a>, odd: &[&RealmSeen<'_>]) -> Option<&'a str> {
    let challenged = |trunk: usize, row: &OfferRow| {
        usize::from(row.trunk) == trunk && odd.iter().any(|realm| realm.name == row.realm)
    };
    let forced = view.neighbours().find(|(trunk, other)| {
        other.realm_policy == RealmPolicy::Force
            && other.realm == view.header().realm
            && view.results.evidence.offers.iter().any(|row| challenged(*trunk, row))
    });
    forced.map(|(_, other)| other.id.as_str())
}

/// What differs, as the beginning of a sentence.
fn difference(view: &View<'_>, realms: &[RealmSeen<'_>], odd: &[&RealmSeen<'_>], order: RealmOrder) -> String {
    let Some(name) = odd.first().map(|realm| realm.name) else { return String::new() };
    let other = realms.iter().map(|realm| realm.name).find(|other| *other != name);
    let (reference, whose) = match (view.header().realm.as_deref(), other) {
        (Some(expected), _) => (expected, "the expected"),
        (None, Some(other)) => (other, "the other realm"),
        (None, None) => (view.header().domain.as_str(), "the domain"),
    };
    let how = likeness(reference, name);
    match order {
        RealmOrder::One => {
            format!("the registrar challenges with the realm \"{name}\", not {whose} \"{reference}\"{how}")
        }
        RealmOrder::InTurn => {
            let since = odd.first().map_or(0, |realm| realm.seen.first_ns);
            let names: Vec<_> = realms.iter().map(|realm| format!("\"{}\"", realm.name)).take(LISTED).collect();
            let changes = names.join(", then ");
            format!("the realm of the challenge changes ({changes}), \"{name}\" since {} of the run{how}", at(since))
        }
        RealmOrder::AtOnce => {
            let count = realms.len();
            format!("{count} realms are challenged with at the same time, \"{name}\" beside \"{reference}\"{how}")
        }
    }
}

/// What became of a realm's name on the way from `reference` to `name`, where that is plain to see.
fn likeness(reference: &str, name: &str) -> String {
    let lost = reference.strip_prefix(name).filter(|suffix| !suffix.is_empty());
    let gained = name.strip_prefix(reference).filter(|suffix| !suffix.is_empty() && !reference.is_empty());
    if let Some(suffix) = lost {
        format!(" (it lacks the suffix \"{suffix}\")")
    } else if let Some(suffix) = gained {
        format!(" (it has the suffix \"{suffix}\" too much)")
    } else if reference != name && reference.eq_ignore_ascii_case(name) {
        " (they differ in upper and lower case only, which counts in a digest)".to_owned()
    } else {
        String::new()
    }
}

const fn ending(fate: Fate, forced: bool) -> &'static str {
    match fate {
        Fate::Refused if forced => "credentials for the expected realm are refused",
        Fate::Refused => "its credentials are refused",
        Fate::Registered if forced => {
            "credentials for the expected realm are taken all the same, the challenge is wrong"
        }
        Fate::Registered => "its agents registered nevertheless",
        Fate::Mixed => "some of its agents are refused",
        Fate::Unknown => "whether its credentials are taken cannot be told",
    }
}

fn facts(view: &View<'_>, expected: Option<&str>, realms: &[RealmSeen<'_>], order: RealmOrder) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(expected) = expected {
        facts.push(format!("expected realm \"{expected}\""));
    }
    for realm in realms.iter().take(LISTED) {
        let challenges = counted(realm.seen.count, "challenge");
        let when = window(realm.seen.first_ns, realm.seen.last_ns);
        let mut fact = format!("realm \"{}\" in {challenges}, {when}", realm.name);
        if !view.header().sources.is_empty() && order != RealmOrder::One {
            let sources: Vec<_> = realm.sources.iter().map(|&source| view.source(source)).collect();
            fact.push_str(&format!(", to {}", sources.join(", ")));
        }
        facts.push(fact);
    }
    if realms.len() > LISTED {
        facts.push(format!("{} more realms", realms.len() - LISTED));
    }
    facts
}

/// Challenges that offer no accepted algorithm.
fn unaccepted(view: &View<'_>) -> Option<Explaining> {
    let is_it = |group: &&Group<'_>| group.trouble == Some(Trouble::Unusable(Unusable::NoAcceptedAlgorithm));
    let groups: Vec<&Group<'_>> = view.groups.iter().filter(is_it).collect();
    let attempts: u64 = groups.iter().map(|group| group.seen.count).sum();
    if attempts == 0 {
        return None;
    }
    let accepted = &view.header().algorithms;
    let foreign = |offered: u8| {
        Algorithm::ALL.iter().all(|algorithm| {
            offered >> *algorithm as u8 & 1 == 0 || !accepted.iter().any(|name| name == algorithm.as_str())
        })
    };
    let unanswered = view.offers.iter().filter(|row| row.answered.is_none() && !row.stale && foreign(row.offered));
    let offered = unanswered.fold(0, |bits, row| bits | row.offered);
    let answered: u64 = view.offers.iter().filter(|row| row.answered.is_some()).map(|row| row.seen.count).sum();
    let mut draft = Draft::new("algorithm.unsupported", Severity::Critical, Some(view.trunk));
    cover(&mut draft, &groups);
    draft.agents = view.met(&[Class::Unusable]).count() as u64;
    // An attempt ends this way for one reason only, and it is read off the challenge.
    draft.confidence = confidence(attempts, 0);
    let (offers, accepts) = (algorithms(offered), accepted.join(", "));
    draft.summary = format!("the registrar offers {offers}, the agents accept {accepts}: no challenge can be answered");
    draft.evidence = vec![
        format!("{} ended for want of an accepted algorithm", counted(attempts, "attempt")),
        format!("offered: {offers}; accepted: {accepts}"),
    ];
    if answered > 0 {
        draft.evidence.push(format!("{} offered one that is accepted", counted(answered, "other challenge")));
    }
    draft.excludes(Rival::Accounts, "wrong passwords: no credentials were sent");
    draft.cost = Some(Cost::new(view, Class::Unusable, draft.agents, attempts));
    Some((draft, groups.iter().map(|group| group.key).collect()))
}

/// Challenges that cannot be answered for another reason: their qop, or what they lack.
fn unanswerable(view: &View<'_>) -> Option<Explaining> {
    let elsewhere =
        [Trouble::Unusable(Unusable::Realm), Trouble::Unusable(Unusable::NoAcceptedAlgorithm), Trouble::LeftUnanswered]
            .map(Some);
    let is_other = |group: &&Group<'_>| group.class == Class::Unusable && !elsewhere.contains(&group.trouble);
    let groups: Vec<&Group<'_>> = view.groups.iter().filter(is_other).collect();
    let most = groups.first()?;
    let mut draft = Draft::new("algorithm.unsupported", Severity::Critical, Some(view.trunk));
    cover(&mut draft, &groups);
    draft.agents = view.met(&[Class::Unusable]).count() as u64;
    draft.confidence = confidence(draft.attempts, 0);
    draft.summary = format!("challenges cannot be answered: {}", most.reason);
    draft.evidence =
        groups.iter().map(|group| format!("{} x {}: {}", group.seen.count, group.code, group.reason)).collect();
    draft.excludes(Rival::Accounts, "wrong passwords: no credentials were sent");
    if groups.iter().any(|group| group.trouble == Some(Trouble::Unusable(Unusable::NonceTooLong))) {
        draft.advice.push(
            "let the registrar hand out shorter nonces: a REGISTER that carries one of these back is fragmented on \
             the way or fits no datagram, and phones in use cut it off sooner"
                .to_owned(),
        );
    }
    draft.cost = Some(Cost::new(view, Class::Unusable, draft.agents, draft.attempts));
    Some((draft, groups.iter().map(|group| group.key).collect()))
}

/// Challenges that phones which were observed did not go on from.
///
/// What a phone accepts, no capture shows: only where nothing on offer is known to anybody is the
/// offer to blame. Else it is the phone, and why it kept still is not to be seen from outside.
fn left_unanswered(view: &View<'_>) -> Option<Explaining> {
    let is_it = |group: &&Group<'_>| group.trouble == Some(Trouble::LeftUnanswered);
    let groups: Vec<&Group<'_>> = view.groups.iter().filter(is_it).collect();
    groups.first()?;
    let unanswered = view.offers.iter().filter(|row| row.answered.is_none());
    let offered = unanswered.fold(0, |bits, row| bits | row.offered & !BY_PROXY);
    let answered: u64 = view.offers.iter().filter(|row| row.answered.is_some()).map(|row| row.seen.count).sum();
    let nobody_knows = offered == UNKNOWN_ALGORITHM;
    let id = if nobody_knows { "algorithm.unsupported" } else { "challenge.unanswered" };
    let mut draft = Draft::new(id, Severity::Critical, Some(view.trunk));
    cover(&mut draft, &groups);
    draft.agents = view.met(&[Class::Unusable]).count() as u64;
    draft.evidence = vec![format!("{} ended with a challenge", counted(draft.attempts, "attempt"))];
    if nobody_knows {
        draft.confidence = confidence(draft.attempts, answered);
        draft.summary = "the challenges offer only algorithms that are not known, and no phone answers them".to_owned();
    } else {
        draft.confidence = Confidence::Open;
        draft.summary = "the challenge was not answered: the phone has no credentials for it, does not accept what it \
                         offers, or gave up"
            .to_owned();
        let offers = if offered == 0 { "no digest that can be read".to_owned() } else { algorithms(offered) };
        draft.evidence.push(format!("offered: {offers}"));
        draft.advice.push(UNANSWERED_TEST.to_owned());
    }
    if answered > 0 {
        draft.evidence.push(format!("{} answered", counted(answered, "other challenge")));
    }
    kept_still(view, &mut draft, offered);
    draft.cost = Some(Cost::new(view, Class::Unusable, draft.agents, draft.attempts));
    Some((draft, groups.iter().map(|group| group.key).collect()))
}

/// Adds what cannot be the reason for a phone not to answer a challenge.
fn kept_still(view: &View<'_>, draft: &mut Draft, offered: u8) {
    draft.excludes(Rival::Accounts, "wrong passwords: no credentials were sent");
    let repeats = view.results.trunk_totals[usize::from(view.trunk)].sums.retransmissions;
    // RFC 3261 §17.1.2.2: over UDP a request is repeated until an answer arrives.
    if view.header().transport == Some(Transport::Udp) && repeats == 0 {
        draft.excludes(Rival::PacketLoss, "a challenge that was lost on the way: no request was repeated");
    }
    if offered >> Algorithm::Md5 as u8 & 1 == 1 {
        draft.rejected.push("an algorithm that the phone does not know: MD5 is on offer".to_owned());
    }
}

/// Credentials of one algorithm that are always refused, while those of another are taken.
///
/// Without a success of another algorithm a wrong password looks the same, and nothing is said.
fn refused_algorithm(view: &View<'_>) -> Option<Explaining> {
    let taken = |position: u8| -> u64 {
        let rows = view.outcomes.iter().filter(|row| row.class == Class::Registered);
        rows.filter(|row| row.algorithm == Some(position)).map(|row| row.seen.count).sum()
    };
    let is_refusal = |group: &&Group<'_>| matches!(group.class, Class::ForbiddenAfterAuth | Class::Unauthorized);
    let suspects: Vec<&Group<'_>> = view.groups.iter().filter(is_refusal).collect();
    let refused =
        |position: u8| -> u64 { suspects.iter().filter_map(|group| group.by_algorithm.get(&Some(position))).sum() };
    let positions = 0..u8::try_from(Algorithm::ALL.len()).unwrap_or(u8::MAX);
    let (bad, count) =
        positions.clone().map(|position| (position, refused(position))).max_by_key(|(_, count)| *count)?;
    let (good, successes) = positions.map(|position| (position, taken(position))).max_by_key(|(_, count)| *count)?;
    if count < SOME || successes < SOME || good == bad || taken(bad) * FEW > count || refused(good) * FEW > successes {
        return None;
    }
    let groups: Vec<&Group<'_>> =
        suspects.into_iter().filter(|group| group.by_algorithm.contains_key(&Some(bad))).collect();
    let mut draft = Draft::new("algorithm.unsupported", Severity::Critical, Some(view.trunk));
    cover(&mut draft, &groups);
    draft.attempts = count;
    let classes: Vec<Class> = groups.iter().map(|group| group.class).collect();
    draft.agents = view.met(&classes).count() as u64;
    draft.confidence = confidence(count, taken(bad));
    let (bad, good) = (algorithm(bad), algorithm(good));
    draft.summary = format!("credentials with {bad} are refused although it is offered, those with {good} are taken");
    draft.evidence =
        vec![format!("{bad}: {count} refused"), format!("{good}: {successes} registered, none or few refused")];
    draft.excludes(Rival::Accounts, format!("wrong passwords: attempts with {good} registered"));
    let class = classes.first().copied().unwrap_or(Class::ForbiddenAfterAuth);
    draft.cost = Some(Cost::new(view, class, draft.agents, count));
    let explains = |group: &&&Group<'_>| group.by_algorithm.keys().all(|key| *key == group_algorithm(bad));
    let keys = groups.iter().filter(explains).map(|group| group.key).collect();
    Some((draft, keys))
}

/// An algorithm as the key of [`Group::by_algorithm`].
fn group_algorithm(name: &str) -> Option<u8> {
    Algorithm::parse(name.as_bytes()).map(|algorithm| algorithm as u8)
}

/// Attempts, window and examples of groups.
fn cover(draft: &mut Draft, groups: &[&Group<'_>]) {
    draft.saw(Sightings::together(groups.iter().map(|group| &group.seen)));
}

/// What tells the reasons for an unanswered challenge apart.
const UNANSWERED_TEST: &str = "register the same account with regstorm against the same registrar: if it registers, \
                               look at user, password and realm that the phone is set up with";
/// The bit of [`OfferRow::offered`](crate::measure::OfferRow) for algorithms that have none.
const UNKNOWN_ALGORITHM: u8 = 1 << 7;
/// Observations without which nothing is said.
const SOME: u64 = super::draft::SOME;
/// One in so many is the exception that edges of windows make.
const FEW: u64 = 20;
/// Per cent of the agents that are everyone.
const MOST: u64 = 95;
/// Realms named; a registrar may make up a new one for each challenge.
const LISTED: usize = 4;
