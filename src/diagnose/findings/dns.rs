//! What a trunk's name does to a run (`dns`): an address that does not serve, answers that differ
//! from look-up to look-up, no service record where one is needed, slow or silent name servers.
//!
//! Attempts that went on to another address succeeded there, so nobody else tells of these.

use super::draft::{Draft, SOME, confidence};
use super::rivals::Rival;
use super::view::View;
use super::wording::{counted, window};
use crate::measure::PlaceRow;
use crate::record::Resolution;
use crate::sip::locate::RecordKind;
use crate::vocab::{Class, Confidence, Severity};

/// Nothing of a trunk whose name nobody was asked for.
pub(super) fn find(view: &View<'_>) -> Vec<Draft> {
    let looked_up: Vec<&Resolution> = view.resolutions().collect();
    let Some(&first) = looked_up.first() else { return Vec::new() };
    let rows: Vec<&PlaceRow> = view.places().collect();
    let mut drafts: Vec<Draft> = rows.iter().filter_map(|row| dead(view, first, row, &rows)).collect();
    drafts.extend(no_service(view, first));
    drafts.extend(differing(view, &looked_up));
    drafts.extend(slow(view, &looked_up));
    drafts
}

/// An address at which nothing ever succeeds while others serve.
fn dead(view: &View<'_>, first: &Resolution, row: &PlaceRow, rows: &[&PlaceRow]) -> Option<Draft> {
    let others = rows.iter().filter(|other| other.address != row.address);
    let served = others.filter_map(|other| other.registered_ns).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    let [unreachable, silent, unavailable] = row.left;
    let left_ns = row.left_ns?;
    let failed = row.tried() - row.registered();
    let serves_at_times = row.registered() * 20 > failed;
    if serves_at_times && row.all_left() < SOME {
        return None;
    }
    let mut draft = Draft::new("dns", Severity::Warning, Some(view.trunk));
    draft.attempts = row.all_left();
    draft.agents = draft.attempts.min(view.agents.len() as u64);
    (draft.first_ns, draft.last_ns) = left_ns;
    draft.confidence = confidence(failed, row.registered());
    let how = match (unreachable, silent, unavailable) {
        (n, 0, 0) if n > 0 => "is not to be reached",
        (0, n, 0) if n > 0 => "does not answer",
        (0, 0, n) if n > 0 => "answers 503",
        _ => "does not serve",
    };
    let at_times = if serves_at_times { " at times" } else { "" };
    draft.summary = format!("{} also leads to {}, which {how}{at_times}", first.host, row.address);
    for (count, what) in [
        (unreachable, "could not be delivered there"),
        (silent, "had no answer there within Timer F"),
        (unavailable, "got 503 there"),
    ] {
        if count > 0 {
            draft.evidence.push(format!("{} {what} and went on to the next address", counted(count, "attempt")));
        }
    }
    draft.evidence.push(format!("{} of {} succeeded there", row.registered(), counted(row.tried(), "attempt")));
    let serving: u64 = rows.iter().map(|row| row.registered()).sum();
    draft.evidence.push(format!("other addresses of the name registered {serving} meanwhile"));
    // What lasts for a time has a beginning and an end within what the others saw.
    let (begin, end) = (left_ns.0.max(served.0), left_ns.1.min(served.1));
    let span = served.1.saturating_sub(served.0).max(1);
    if row.registered() == 0 && end > begin && (end - begin) * 2 > span {
        draft.excludes(
            Rival::Stretch,
            format!(
                "no time of trouble: others served from first to last, this address never ({})",
                window(begin, end)
            ),
        );
    }
    if silent == 0 {
        draft.excludes_all(
            &[Rival::PacketLoss, Rival::Overload],
            "not lost on the way, and no queue: whoever is there, or nobody is, said so at once",
        );
    } else if row.registered() == 0 && failed >= super::MANY {
        draft.excludes(Rival::PacketLoss, "not lost on the way: not one request in all got through");
    }
    if unreachable > 0 && unavailable + silent == 0 && first.by_srv {
        draft.advice.push("is the port in the SRV record the one the server listens at?".to_owned());
    }
    draft.advice.push(
        "take the record out while the address does not serve: every phone that prefers it waits there first"
            .to_owned(),
    );
    Some(draft)
}

/// A name without service records whose usual port answers nobody.
fn no_service(view: &View<'_>, first: &Resolution) -> Option<Draft> {
    let asked: Vec<&str> =
        first.steps.iter().filter(|step| step.kind == RecordKind::Srv).map(|step| step.name.as_str()).collect();
    let unserved = view.met(&[Class::Silence, Class::Transport]).count();
    if first.by_srv || asked.is_empty() || unserved == 0 || view.places().any(|row| row.registered() > 0) {
        return None;
    }
    let mut draft = Draft::new("dns", Severity::Critical, Some(view.trunk));
    (draft.agents, draft.attempts) = (unserved as u64, view.places().map(PlaceRow::tried).sum());
    // Why nobody answers there is not seen: the server may be down, or the port another.
    draft.confidence = Confidence::Open;
    let target = first.targets.first().map_or("", |target| target.address.as_str());
    draft.summary = format!("{} has no SRV record, and at the usual port, {target}, nobody answers", first.host);
    draft.evidence.push(format!("asked in vain: {}", asked.join(", ")));
    draft.advice.push(format!(
        "add the SRV record the phones need ({}), or write the port: sip:{}:PORT",
        asked.first().unwrap_or(&""),
        first.host
    ));
    Some(draft)
}

/// Look-ups that found other addresses than the one before.
fn differing(view: &View<'_>, looked_up: &[&Resolution]) -> Option<Draft> {
    let known: Vec<&&Resolution> =
        looked_up.iter().filter(|found| !found.targets.is_empty() && !is_silent(found)).collect();
    let changes: Vec<(&Resolution, &Resolution)> =
        known.windows(2).map(|pair| (*pair[0], *pair[1])).filter(|(a, b)| !a.agrees_with(b)).collect();
    let (before, after) = *changes.first()?;
    let mut draft = Draft::new("dns", Severity::Info, Some(view.trunk));
    draft.attempts = changes.len() as u64;
    (draft.first_ns, draft.last_ns) = (after.at_ns, changes.last().map_or(0, |(_, last)| last.at_ns));
    draft.confidence = Confidence::High;
    let stated = "both answers were heard and are quoted; nothing is concluded from a missing one";
    draft.excludes_all(&[Rival::Stretch, Rival::PacketLoss, Rival::Overload], stated);
    draft.summary = format!("{} led to other addresses when it was looked up again", before.host);
    draft.evidence.push(format!("{} of {} differed", counted(draft.attempts, "look-up"), looked_up.len()));
    draft.evidence.push(format!("first: {}", listed(before)));
    draft.evidence.push(format!("then, {:.0} s after the start: {}", after.at_ns as f64 / 1e9, listed(after)));
    let refused: Vec<&str> = looked_up.iter().flat_map(|found| &found.refused).map(String::as_str).collect();
    if let Some(first) = refused.first() {
        draft.severity = Severity::Warning;
        draft.evidence.push(format!("not among the allowed targets and left alone: {first}"));
    }
    Some(draft)
}

/// Name servers that take their time, or say nothing.
fn slow(view: &View<'_>, looked_up: &[&Resolution]) -> Option<Draft> {
    let is_slow = |found: &&&Resolution| found.took_us > SLOW_US || is_silent(found);
    let slow: Vec<&&Resolution> = looked_up.iter().filter(is_slow).collect();
    let last = slow.last()?;
    let longest = slow.iter().map(|found| found.took_us).max().unwrap_or(0);
    let silent = slow.iter().filter(|found| is_silent(found)).count();
    let mut draft = Draft::new("dns", Severity::Warning, Some(view.trunk));
    draft.attempts = slow.len() as u64;
    (draft.first_ns, draft.last_ns) = (slow.first().map_or(0, |found| found.at_ns), last.at_ns);
    draft.confidence = confidence(draft.attempts, (looked_up.len() - slow.len()) as u64);
    if slow.len() == looked_up.len() && slow.len() >= 3 {
        draft.excludes(Rival::Stretch, "no time of trouble: every look-up of the run was like that");
    }
    draft.summary = match silent {
        0 => format!("looking {} up took {:.1} s", last.host, longest as f64 / 1e6),
        n => format!("{} of {} of {} had no answer", n, counted(looked_up.len() as u64, "look-up"), last.host),
    };
    draft.evidence.push(format!("{} of {} were slow or not answered", slow.len(), looked_up.len()));
    if let Some((step, why)) = last.steps.iter().find_map(|step| Some((step, step.failed.as_ref()?))) {
        draft.evidence.push(format!("{} {}: {why}", step.name, step.kind.as_str()));
    }
    draft.advice.push(
        "a phone asks before it registers: what it waits for here comes on top of every response time".to_owned(),
    );
    Some(draft)
}

fn is_silent(found: &Resolution) -> bool {
    found.steps.iter().any(|step| step.failed.is_some())
}

fn listed(found: &Resolution) -> String {
    let targets: Vec<&str> = found.targets.iter().map(|target| target.address.as_str()).collect();
    format!("{} {}", found.transport, targets.join(", "))
}

/// All questions of a look-up together.
const SLOW_US: u64 = 1_000_000;
