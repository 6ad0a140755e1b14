//! What becomes of bindings: refreshes that fail, bindings that are not there, lifetimes cut short,
//! and addresses that somebody on the way rewrote.
//!
//! Read first: RFC 3261 §10.2.4 (what a 2xx lists), §18.2.1 (`received`), RFC 3581 §4 (`rport`).

use super::cost::Cost;
use super::draft::{BY_CHANCE, Draft, SOME, confidence};
use super::rivals::Rival;
use super::view::View;
use super::wording::{counted, percent, window};
use crate::measure::evidence::EXAMPLES;
use crate::measure::{GrantRow, OutcomeRow, RoutingWord, Sightings};
use crate::record::AgentResult;
use crate::vocab::{Class, Confidence, Kind, Severity, SocketUse, Status, Trouble};
use std::collections::BTreeMap;

pub(super) fn find(view: &View<'_>) -> Vec<Draft> {
    let found = [nothing_granted(view), lost(view), pushed_out(view), shortened(view), garbled(view)];
    let found = found.into_iter().flatten();
    found.chain(rewritten(view)).collect()
}

/// Refreshes fail while new registrations succeed in the same window; with the refusals that this
/// explains, by their group.
pub(super) fn refresh_failing(view: &View<'_>) -> Option<(Draft, Vec<u16>)> {
    let is_refresh = |row: &&&OutcomeRow| row.kind == Kind::Refresh && row.class != Class::Registered;
    let failed: Vec<_> = view.outcomes.iter().filter(is_refresh).collect();
    let seen = Sightings::together(failed.iter().map(|row| &row.seen));
    let (first, last) = (seen.first_ns, seen.last_ns);
    let renewals: u64 = view.ticks.iter().flat_map(|tick| tick.refused.values()).map(|refused| refused.renewals).sum();
    let failures = seen.count + renewals;
    let inside = view.ticks.iter().filter(|tick| tick.start_ns + view.tick_ns > first && tick.start_ns <= last);
    let (mut refreshed, mut registered, mut refused) = (0, 0, 0);
    for tick in inside {
        refreshed += tick.refreshed;
        registered += tick.registered;
        refused += tick.refused.values().map(|refused| refused.new).sum::<u64>();
    }
    // Hardly any other attempt is refused: else it is a refusal like any other.
    if seen.count < SOME || registered < SOME || refused * 20 > registered {
        return None;
    }
    let in_between = is_in_between(view);
    let hit = view.met(&failed.iter().map(|row| row.class).collect::<Vec<_>>()).count() as u64;
    let come_back = bound_anew(view) * 2 >= hit;
    // Half of the refreshes; or fewer, and that no new registration was among those refused is no
    // chance.
    let share = failures as f64 / (failures + refreshed) as f64;
    if failures < refreshed && !(in_between && come_back && (1.0 - share).powf(registered as f64) < BY_CHANCE) {
        return None;
    }
    let mut draft = Draft::new("refresh.failing", Severity::Critical, Some(view.trunk));
    draft.saw(seen);
    (draft.attempts, draft.agents) = (failures, hit);
    draft.confidence = confidence(failures, refused);
    let come = if come_back { "agents lose their bindings and come back" } else { "agents lose their bindings" };
    draft.summary = format!(
        "refreshes fail ({failures} of {}) while new registrations succeed in the same time: {come}",
        failures + refreshed
    );
    for row in &failed {
        let answer = if row.code == 0 { "no answer".to_owned() } else { format!("{} {}", row.code, row.reason) };
        draft.evidence.push(format!("{} x {answer} to refreshes", row.seen.count));
    }
    if renewals > 0 {
        draft.evidence.push(format!("{renewals} retries were refused as well while the binding was held still"));
    }
    draft.evidence.push(format!("{registered} new registrations in {}, {refused} refused", window(first, last)));
    draft.excludes_all(&[Rival::Limit, Rival::Ban], "a limit or a ban: new registrations are taken");
    if come_back {
        draft.excludes(Rival::Accounts, "accounts: the same agents' new registrations are taken");
    }
    if in_between {
        let why = "a time in which everybody is refused: new registrations were taken in between, again and again";
        draft.excludes(Rival::Stretch, why);
    }
    let class = failed.first().map_or(Class::Refused, |row| row.class);
    draft.cost = Some(Cost::new(view, class, draft.agents, failures));
    let explained = if in_between && come_back { of_bound_agents(view) } else { Vec::new() };
    Some((draft, explained))
}

/// Bindings gained by agents that had one before.
fn bound_anew(view: &View<'_>) -> u64 {
    let gained: u64 = view.ticks.iter().map(|tick| tick.bound).sum();
    gained.saturating_sub(view.met(&[Class::Registered]).count() as u64)
}

/// Whether refusals of agents that are bound and new registrations alternate more often than the
/// borders of a few stretches of time would have it.
fn is_in_between(view: &View<'_>) -> bool {
    let mut alternations = 0;
    let mut last = None;
    for tick in &view.ticks {
        let held: u64 = tick.refused.values().map(|refused| refused.held).sum();
        let now = match (held > 0, tick.registered > 0) {
            (false, false) => continue,
            (held, new) => (held, new),
        };
        alternations += u64::from(last != Some(now) || now == (true, true));
        last = Some(now);
    }
    alternations >= 2 * SOME
}

/// The refusals that nearly all hit agents that were bound.
fn of_bound_agents(view: &View<'_>) -> Vec<u16> {
    let keys = view.groups.iter().map(|group| group.key);
    keys.filter(|key| {
        let refused = view.ticks.iter().filter_map(|tick| tick.refused.get(key));
        let (held, all) = refused.fold((0, 0), |sum, refused| (sum.0 + refused.held, sum.1 + refused.all()));
        held * 20 >= all * 19
    })
    .collect()
}

/// 2xx answers whose list of bindings lacks ours.
fn lost(view: &View<'_>) -> Option<Draft> {
    let rows: Vec<&GrantRow> = view.grants.iter().copied().filter(|row| row.echo.contact_absent).collect();
    let count = total(&rows);
    if count == 0 {
        return None;
    }
    let all: u64 = view.grants.iter().map(|row| row.seen.count).sum();
    let always = count == all;
    let hit = count >= 2 && count * 100 >= all;
    let of_others = rows.iter().all(|row| row.listed > 0);
    let severity = match (always, hit) {
        (true, _) if of_others => Severity::Warning,
        (true, _) => Severity::Info,
        (false, true) => Severity::Critical,
        (false, false) => Severity::Warning,
    };
    let mut draft = covering("binding.lost", severity, view, &rows);
    let what = format!("{count} of {}", counted(all, "2xx answer"));
    if always && of_others {
        // RFC 3261 §10.3: a 2xx lists all bindings. An element between may put its own in.
        draft.summary = format!(
            "every 2xx lists a Contact, and none lists ours ({what}): whether calls reach these agents is open"
        );
        draft.confidence = Confidence::Open;
        draft.excludes(Rival::Unlisted, "a registrar that lists no Contact at all: it lists others");
        draft.advice.push("call one of the agents, or look at the registrar's own list of bindings".to_owned());
    } else if always {
        // A registrar that lists no bindings (against RFC 3261 §10.3) may well keep them.
        draft.summary = format!("no 2xx lists our Contact ({what}): whether the bindings are there cannot be seen");
        draft.confidence = Confidence::Low;
        draft.advice.push("call one of the agents, or look at the registrar's own list of bindings".to_owned());
    } else {
        draft.summary = format!("{what} list bindings without ours: these agents pass for registered and are not");
        draft.confidence = confidence(count, 0);
        let why = "a registrar that lists no Contact at all: it listed ours in the other answers";
        draft.excludes(Rival::Unlisted, why);
    }
    draft.evidence.extend(by_kind(&rows));
    Some(draft)
}

/// 2xx answers that hold no binding: they grant no time at all.
fn nothing_granted(view: &View<'_>) -> Option<Draft> {
    let rows: Vec<_> = view.outcomes.iter().filter(|row| grants_nothing(row)).collect();
    let seen = Sightings::together(rows.iter().map(|row| &row.seen));
    if seen.count == 0 {
        return None;
    }
    let hit = view.met(&[Class::Malformed]).count() as u64;
    let out = view.met(&[Class::Malformed]).filter(|(_, agent)| agent.status != Some(Status::Registered)).count();
    let severity = if out > 0 { Severity::Critical } else { Severity::Warning };
    let mut draft = Draft::new("binding.lost", severity, Some(view.trunk));
    draft.agents = hit.min(seen.count);
    draft.confidence = confidence(seen.count, 0);
    draft.summary = format!(
        "{} grant no time (expires=0): the registrar says yes and holds no binding of these agents",
        counted(seen.count, "2xx answer")
    );
    draft.evidence = rows.iter().map(|row| format!("{} of kind {}", row.seen.count, row.kind.as_str())).collect();
    let registered = view.count(Class::Registered);
    draft.evidence.push(format!("{registered} attempts were granted a lifetime"));
    draft.rejected.push("a refusal: the answer is a 2xx, so that a phone believes it is registered".to_owned());
    draft.rejected.push("a removal: these requests asked for a lifetime".to_owned());
    draft.excludes(Rival::Unlisted, "a registrar that lists no bindings: it lists ours, with no time left");
    draft.advice.push(
        "RFC 3261 §10.3 step 8: a binding with expires=0 has been removed; look for what removes it, such as a limit on contacts or a second registration with Contact *".to_owned(),
    );
    draft.saw(seen);
    draft.agents = draft.agents.min(view.agents.len() as u64);
    Some(draft)
}

fn grants_nothing(row: &OutcomeRow) -> bool {
    row.trouble == Some(Trouble::NothingGranted)
}

/// Several of our agents share an address of record, and the registrar keeps fewer bindings of it
/// than there are agents: whoever registers pushes another one out, and nobody tells that one.
fn pushed_out(view: &View<'_>) -> Option<Draft> {
    // Phones that were observed come and go by themselves, and a rehearsal has no sockets: agents
    // that would have one each have the same Contact there.
    let header = &view.results.header;
    if header.observed.is_some() || (header.simulated && view.header().sockets == SocketUse::PerAgent) {
        return None;
    }
    let mut agents: BTreeMap<&str, Vec<&AgentResult>> = BTreeMap::new();
    for (id, agent) in &view.agents {
        let user = view.results.header.users.get(*id as usize)?;
        agents.entry(user).or_default().push(agent);
    }
    let kept = u64::from(view.grants.iter().map(|row| row.listed).max()?);
    // A registrar that lists no bindings may keep any number of them.
    if kept == 0 || view.grants.iter().any(|row| row.listed == 0) {
        return None;
    }
    let registered = |of: &[&AgentResult]| of.iter().filter(|agent| agent.registered > 0).count() as u64;
    let too_many: Vec<u64> = agents.values().map(|of| registered(of)).filter(|count| *count > kept).collect();
    let over: u64 = too_many.iter().map(|count| count - kept).sum();
    if over == 0 {
        return None;
    }
    let told: u64 = agents.values().map(|of| registered(of)).sum();
    let rows: Vec<&GrantRow> = view.grants.to_vec();
    let mut draft = covering("limit.contacts", Severity::Critical, view, &rows);
    draft.agents = too_many.iter().sum();
    draft.confidence = confidence(draft.attempts, 0);
    draft.summary = format!(
        "the registrar keeps at most {} of an address of record and pushes out the others: it holds {} where {told} \
         agents were told they are registered",
        counted(kept, "binding"),
        told - over
    );
    draft.evidence = vec![
        format!("no 2xx lists more than {}", counted(kept, "binding")),
        format!("{} addresses of record have more agents that registered", too_many.len()),
        "who is pushed out is not told, and counts as registered until its next refresh".to_owned(),
    ];
    draft.excludes_all(
        &[Rival::Accounts, Rival::Limit],
        "a refusal, of one contact too many or of another kind: all of these were answered 2xx",
    );
    if view.header().sockets == SocketUse::Shared {
        draft.confidence = draft.confidence.min(Confidence::Medium);
        draft.evidence.push(
            "Contacts of agents that share a user and a socket differ in the parameter rinstance only".to_owned(),
        );
        draft.advice.push(
            "run with sockets = \"per-agent\": if all are held then, the registrar takes no notice of that parameter"
                .to_owned(),
        );
    }
    draft.advice.push(
        "let an address of record have as many contacts as it has agents (Asterisk: max_contacts, remove_existing; OpenSIPS and Kamailio: max_contacts), or give each agent a user of its own".to_owned(),
    );
    Some(draft)
}

/// Lifetimes granted shorter than asked for.
fn shortened(view: &View<'_>) -> Option<Draft> {
    let rows: Vec<&GrantRow> = view.grants.iter().copied().filter(|row| row.shortened).collect();
    let count = total(&rows);
    let asked = rows.iter().map(|row| row.asked_s).max()?;
    let shortest = rows.iter().map(|row| row.granted_s.0).min()?;
    let longest = rows.iter().map(|row| row.granted_s.1).max()?;
    // After a lost answer, the answer to the repeated request states what is left of the lifetime
    // already granted.
    let all: u64 = view.grants.iter().map(|row| row.seen.count).sum();
    let lost_ns = u64::from(asked.saturating_sub(shortest)) * 1_000_000_000;
    if lost_ns <= view.timer_f_ns() && count * 2 < all {
        return None;
    }
    // Judged by the longest: the others refresh more often still.
    let factor = f64::from(asked) / f64::from(longest.max(1));
    let severity = if factor > DOUBLED { Severity::Warning } else { Severity::Info };
    let mut draft = covering("expires.shortened", severity, view, &rows);
    let granted = if shortest == longest { format!("{longest} s") } else { format!("{shortest} to {longest} s") };
    draft.summary =
        format!("the registrar grants {granted} of the {asked} s asked for: {factor:.1} times the refreshes");
    let agents = view.agents.len() as f64;
    // Two messages a refresh, and two more when its nonce has to be challenged anew.
    let rate = |lifetime: u32| 2.0 * agents / f64::from(lifetime.max(1));
    draft.evidence = vec![
        format!("{count} of {all} answers"),
        format!(
            "{} agents with one refresh per lifetime: at least {:.1} messages/s instead of {:.1}",
            view.agents.len(),
            rate(longest),
            rate(asked)
        ),
    ];
    draft.confidence = confidence(count, 0);
    draft.excludes(
        Rival::PacketLoss,
        "what is left of a lifetime after a lost answer: most answers are shortened, or by more",
    );
    Some(draft)
}

/// Contact or Via that came back other than sent: a translator (its `received` tells), or something
/// that rewrites SIP.
fn rewritten(view: &View<'_>) -> Vec<Draft> {
    let select = |wanted: fn(&GrantRow) -> bool| -> Vec<&GrantRow> {
        view.grants.iter().copied().filter(|row| wanted(row)).collect()
    };
    let translated = select(|row| row.echo.translated && !row.echo.via_rewritten);
    let via = select(|row| row.echo.via_rewritten);
    // No translator shows, yet the Contact is another one: the registrar may have set it, or a
    // gateway on the way.
    let unclear = select(|row| row.echo.contact_rewritten && !row.echo.translated && !row.echo.via_rewritten);
    let mut found = Vec::new();
    found.extend(nat(view, &translated));
    found.extend(mapping_lost(view));
    found.extend(via_rewritten(view, &via));
    if !unclear.is_empty() {
        let mut nat = contact_only("nat.contact-rewritten", Severity::Info, view, &unclear);
        nat.summary = format!("{}, perhaps by the registrar itself", nat.summary);
        let mut alg = contact_only("alg.rewritten", Severity::Warning, view, &unclear);
        alg.summary = format!("{}, perhaps by a SIP gateway (ALG) on the way", alg.summary);
        found.extend([nat, alg]);
    }
    found
}

fn nat(view: &View<'_>, rows: &[&GrantRow]) -> Option<Draft> {
    let count = total(rows);
    if count == 0 {
        return None;
    }
    let mut draft = covering("nat.contact-rewritten", Severity::Info, view, rows);
    let changed: u64 = rows.iter().filter(|row| row.echo.contact_rewritten).map(|row| row.seen.count).sum();
    let learnt = routed(view, RoutingWord::Learnt) > 0;
    draft.summary = match changed {
        0 if learnt => {
            "our packets come from a translated address, which the Contact names (contact = \"learnt\")".to_owned()
        }
        0 => "our packets come from a translated address, and the Contact was left as it is: calls may not come back"
            .to_owned(),
        _ => "our packets come from a translated address, and the registrar set the Contact to match".to_owned(),
    };
    draft.confidence = confidence(count, 0);
    draft.evidence = vec![format!("received names another address than ours in {}", counted(count, "answer"))];
    draft.evidence.push(format!("Contact rewritten in {changed} of them"));
    draft.evidence.extend(examples(rows));
    draft.excludes(Rival::Alg, "a SIP gateway that rewrites messages: our Via came back as sent");
    Some(draft)
}

/// The same flow is seen at another address than before: the translator had forgotten it, and what
/// was sent to the address before it found nobody.
fn mapping_lost(view: &View<'_>) -> Option<Draft> {
    let times = routed(view, RoutingWord::LearntAnew);
    if times == 0 {
        return None;
    }
    let mut draft = Draft::new("nat.contact-rewritten", Severity::Warning, Some(view.trunk));
    let seen = Sightings::together(view.grants.iter().map(|row| &row.seen));
    draft.saw(Sightings { count: times, ..seen });
    draft.agents = times.min(view.agents.len() as u64);
    draft.summary = format!(
        "the translator on the way forgets flows between two requests ({times} times another address was seen): until the \
         next refresh calls do not arrive"
    );
    draft.confidence = confidence(times, 0);
    let learnt = routed(view, RoutingWord::Learnt);
    draft.evidence =
        vec![format!("{learnt} flows were seen at a first address, and {times} times at another one later")];
    draft.excludes(
        Rival::Alg,
        "a SIP gateway that rewrites messages: the address is the one answers give in received and rport",
    );
    draft.rejected.push("a translator with an address for each destination: the destination is the same".to_owned());
    draft.advice.push("send keep-alives more often than the translator forgets (keepalive = \"25s\")".to_owned());
    Some(draft)
}

fn routed(view: &View<'_>, word: RoutingWord) -> u64 {
    view.routing().filter(|row| row.word == word).map(|row| row.count).sum()
}

fn via_rewritten(view: &View<'_>, rows: &[&GrantRow]) -> Option<Draft> {
    let count = total(rows);
    if count == 0 {
        return None;
    }
    let mut draft = covering("alg.rewritten", Severity::Warning, view, rows);
    draft.summary = "something on the way rewrites SIP messages: our Via comes back with another address".to_owned();
    draft.confidence = confidence(count, 0);
    draft.evidence = vec![format!("the topmost Via names another sent-by in {}", counted(count, "answer"))];
    draft.evidence.extend(examples(rows));
    draft.excludes(
        Rival::Nat,
        "a translator of addresses, or the registrar: both leave Via as it came (RFC 3261 §8.2.6.2)",
    );
    Some(draft)
}

/// Answers that cannot be read, or that do not fit their request: an attempt each.
fn garbled(view: &View<'_>) -> Option<Draft> {
    let rows: Vec<_> =
        view.outcomes.iter().filter(|row| row.class == Class::Malformed && !grants_nothing(row)).collect();
    let seen = Sightings::together(rows.iter().map(|row| &row.seen));
    let count = seen.count;
    if count == 0 {
        return None;
    }
    let hit = view.met(&[Class::Malformed]).count() as u64;
    let severity = if hit * 100 > view.agents.len() as u64 { Severity::Critical } else { Severity::Warning };
    let mut draft = Draft::new("alg.rewritten", severity, Some(view.trunk));
    draft.saw(seen);
    draft.agents = hit;
    draft.summary = format!("{} came garbled and could not be used", counted(count, "answer"));
    // Who garbled them cannot be seen from this end.
    draft.confidence = Confidence::Open;
    let mut kinds: Vec<_> = rows.iter().map(|row| format!("{} ({})", row.reason, row.seen.count)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    draft.evidence = vec![format!("what was wrong: {}", kinds.join(", "))];
    draft.advice.push("capture at both ends and compare; switch SIP ALG off on every router between them".to_owned());
    Some(draft)
}

/// A Contact that came back rewritten, with nothing to say by whom.
fn contact_only(id: &'static str, severity: Severity, view: &View<'_>, rows: &[&GrantRow]) -> Draft {
    let mut draft = covering(id, severity, view, rows);
    let count = total(rows);
    let all: u64 = view.grants.iter().map(|row| row.seen.count).sum();
    draft.summary =
        format!("our Contact comes back with another address in {} of the 2xx", percent(count as f64, all as f64));
    draft.confidence = Confidence::Open;
    draft.evidence = vec![format!("Contact rewritten in {}, without a sign of a translator", counted(count, "answer"))];
    draft.evidence.extend(examples(rows));
    draft
}

fn total(rows: &[&GrantRow]) -> u64 {
    rows.iter().map(|row| row.seen.count).sum()
}

/// A draft with window, examples and counts of rows. Which agents they are is kept of the first
/// only: there are at most as many as answers.
fn covering(id: &'static str, severity: Severity, view: &View<'_>, rows: &[&GrantRow]) -> Draft {
    let mut draft = Draft::new(id, severity, Some(view.trunk));
    draft.saw(Sightings::together(rows.iter().map(|row| &row.seen)));
    draft.agents = draft.attempts.min(view.agents.len() as u64);
    draft
}

fn by_kind(rows: &[&GrantRow]) -> Vec<String> {
    let kinds = [Kind::Initial, Kind::Refresh, Kind::Retry];
    let count = |kind| rows.iter().filter(|row| row.kind == kind).map(|row| row.seen.count).sum::<u64>();
    let seen = kinds.into_iter().map(|kind| (kind, count(kind))).filter(|(_, count)| *count > 0);
    seen.map(|(kind, count)| format!("{count} of kind {}", kind.as_str())).collect()
}

/// Addresses as they came back, a few of them.
fn examples(rows: &[&GrantRow]) -> Vec<String> {
    let mut seen: Vec<&str> = rows.iter().map(|row| row.example.as_str()).filter(|text| !text.is_empty()).collect();
    seen.sort_unstable();
    seen.dedup();
    seen.iter().take(EXAMPLES).map(|example| format!("came back as {example}")).collect()
}

/// So many times the planned refreshes are worth a warning.
const DOUBLED: f64 = 2.0;
