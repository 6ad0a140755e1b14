//! The server's own count against ours: it knows fewer than we believe
//! (`binding.unknown-to-server`), or more than there may be (`binding.left-behind`).
//!
//! One sample says little; what holds for several in a row is told.

use super::draft::{Draft, SOME, confidence};
use super::rivals::Rival;
use super::view::View;
use super::wording::{counted, window};
use crate::diagnose::truth::{TruthAccount, TruthComparison, accounts};
use crate::vocab::Severity;
use std::collections::HashSet;

/// A sweep may be longer than somebody said, but hardly longer than this many times that long …
const SWEEPS: u64 = 3;
/// … or than the usual one.
const USUAL_SWEEP_NS: u64 = 60_000_000_000;

pub(super) fn find(view: &View<'_>) -> Vec<Draft> {
    let accounts = accounts(view.results);
    let own = accounts.iter().filter(|account| account.server.trunk == Some(view.trunk));
    own.flat_map(|account| [unknown_to_server(view, account), left_behind(view, account)]).flatten().collect()
}

/// Successive answers that all are off in one way.
struct OffStretch<'a> {
    answers: &'a [TruthComparison],
    /// Position of the first among all.
    first: usize,
}

impl OffStretch<'_> {
    fn lasts_ns(&self) -> u64 {
        let ends = self.answers.first().zip(self.answers.last());
        ends.map_or(0, |(first, last)| last.at_ns.saturating_sub(first.at_ns))
    }
}

/// Stretches of some length.
fn stretches<'a>(compared: &'a [TruthComparison], off: impl Fn(&TruthComparison) -> bool) -> Vec<OffStretch<'a>> {
    let mut found = Vec::new();
    let mut at = 0;
    for answers in compared.chunk_by(|one, next| off(one) == off(next)) {
        if answers.first().is_some_and(&off) && answers.len() as u64 >= SOME {
            found.push(OffStretch { answers, first: at });
        }
        at += answers.len();
    }
    found
}

/// Answers that followed a change of ours at once: somebody who tells an old number, or that of a
/// part of us, cannot give them.
fn followed(account: &TruthAccount<'_>) -> u64 {
    let Some(before) = account.server.before else { return 0 };
    let grew = |pair: &&[TruthComparison]| pair[1].ours.0 > pair[0].ours.0;
    let all = |one: &TruthComparison| one.count >= before + one.ours.0 && one.surplus() == 0;
    account.compared.windows(2).filter(grew).filter(|pair| all(&pair[1])).count() as u64
}

/// What was seen over some stretches.
fn draft(id: &'static str, severity: Severity, view: &View<'_>, off: &[OffStretch<'_>]) -> Draft {
    let mut draft = Draft::new(id, severity, Some(view.trunk));
    let answers = || off.iter().flat_map(|stretch| stretch.answers);
    draft.first_ns = answers().map(|one| one.at_ns).min().unwrap_or(0);
    draft.last_ns = answers().map(|one| one.at_ns).max().unwrap_or(0);
    draft.confidence = confidence(answers().count() as u64, 0);
    draft
}

fn unknown_to_server(view: &View<'_>, account: &TruthAccount<'_>) -> Option<Draft> {
    let off = stretches(&account.compared, |one| one.missing() > 0);
    let worst = off.iter().flat_map(|stretch| stretch.answers).max_by_key(|one| one.missing())?;
    // A number that never followed ours may just be an old one, or of something else.
    let followed = followed(account);
    let severity = if followed >= SOME { Severity::Critical } else { Severity::Warning };
    let mut draft = draft("binding.unknown-to-server", severity, view, &off);
    draft.agents = worst.missing() / account.server.bindings_each.max(1);
    let answers: usize = off.iter().map(|stretch| stretch.answers.len()).sum();
    draft.summary = format!(
        "the server says that it holds {} in all where {} were granted: by that, at least {} cannot be reached and {} not know it",
        counted(worst.count, "binding"),
        worst.ours.0,
        counted(draft.agents, "agent"),
        if draft.agents == 1 { "does" } else { "do" },
    );
    draft.evidence = told(account, answers, draft.first_ns, draft.last_ns);
    if followed >= SOME {
        draft.excludes_all(
            &[Rival::PartialCount, Rival::StaleCount],
            format!("a count of one node, of users or of a moment ago: {followed} times it followed ours at once"),
        );
    }
    let fell = off.iter().filter_map(|stretch| {
        let before = account.compared.get(stretch.first.checked_sub(1)?)?;
        let least = stretch.answers.iter().map(|one| one.count).min()?;
        (least < before.count && stretch.answers[0].ours.0 >= before.ours.0).then_some((before.count, least))
    });
    if let Some((before, least)) = fell.max_by_key(|(before, least)| before - least) {
        draft.evidence.push(format!("its count fell from {before} to {least} while ours did not"));
    }
    if one_contact_each(view, account) {
        let why = "phones of one user that push each other out: each user has one phone and one contact";
        draft.excludes(Rival::Contacts, why);
    }
    Some(draft)
}

fn left_behind(view: &View<'_>, account: &TruthAccount<'_>) -> Option<Draft> {
    let off = stretches(&account.compared, |one| one.surplus() > 0);
    let worst = off.iter().flat_map(|stretch| stretch.answers).max_by_key(|one| one.surplus())?;
    let mut draft = draft("binding.left-behind", Severity::Warning, view, &off);
    draft.agents = worst.surplus() / account.server.bindings_each.max(1);
    let answers: usize = off.iter().map(|stretch| stretch.answers.len()).sum();
    draft.summary = format!(
        "the server holds {} more than there may be: {} where {} of ours and {} of others were expected at most",
        counted(worst.surplus(), "binding"),
        worst.count,
        worst.ours.1,
        account.server.before.unwrap_or(0),
    );
    draft.evidence = told(account, answers, draft.first_ns, draft.last_ns);
    if view.results.header.exclusive {
        draft.excludes(Rival::Others, "others' phones: nobody else registers there, as [expect] exclusive states");
    }
    let followed = followed(account);
    if followed >= SOME {
        draft
            .excludes(Rival::StaleCount, format!("a count of a moment ago: {followed} times it followed ours at once"));
    }
    let longest = off.iter().map(OffStretch::lasts_ns).max().unwrap_or(0);
    if longest > SWEEPS * account.server.sweep_ns.max(USUAL_SWEEP_NS) {
        draft.excludes(
            Rival::Sweep,
            format!("a sweep that is still to come: they stayed for {} s", longest / 1_000_000_000),
        );
    }
    Some(draft)
}

/// Who said so, how often.
fn told(account: &TruthAccount<'_>, answers: usize, first_ns: u64, last_ns: u64) -> Vec<String> {
    let server = account.server;
    let before = match server.before {
        Some(before) => format!("{before} before the first phone"),
        None => "not known before the first phone".to_owned(),
    };
    vec![
        format!("{} said so {answers} times, {}", server.named(), window(first_ns, last_ns)),
        format!("{} answers could be held against ours; it held {before}", account.compared.len()),
    ]
}

/// No two agents of the trunk share a user, and each has one contact.
fn one_contact_each(view: &View<'_>, account: &TruthAccount<'_>) -> bool {
    let header = &view.results.header;
    let mut seen = HashSet::new();
    let own = header.users.iter().zip(&header.agent_trunks).filter(|(_, trunk)| **trunk == view.trunk);
    account.server.bindings_each <= 1 && own.map(|(user, _)| user).all(|user| seen.insert(user))
}
