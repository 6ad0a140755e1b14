//! What audits found: bindings that are gone while their agents count as registered, and bindings
//! with less time left than was granted.

use super::draft::{Draft, confidence};
use super::rivals::Rival;
use super::view::View;
use super::wording::{counted, window};
use crate::measure::{CheckKind, CheckOutcome, CheckRow, Sightings};
use crate::vocab::{Confidence, Severity};

pub(super) fn find(view: &View<'_>) -> Vec<Draft> {
    let audits = Audits::of(view);
    [audits.missing(view), audits.shorter(view)].into_iter().flatten().collect()
}

struct Audits<'a> {
    rows: Vec<&'a CheckRow>,
}

impl<'a> Audits<'a> {
    fn of(view: &View<'a>) -> Audits<'a> {
        let rows = view.results.evidence.checks.iter();
        Audits { rows: rows.filter(|row| row.trunk == view.trunk && row.kind == CheckKind::Audit).collect() }
    }

    fn with(&self, outcome: CheckOutcome) -> impl Iterator<Item = &'a CheckRow> + '_ {
        self.rows.iter().copied().filter(move |row| row.outcome == outcome)
    }

    fn seen(&self, outcome: CheckOutcome) -> Sightings {
        Sightings::together(self.with(outcome).map(|row| &row.seen))
    }

    /// Audits whose answer listed our binding.
    fn found(&self) -> u64 {
        self.seen(CheckOutcome::Held).count + self.seen(CheckOutcome::Shorter).count
    }

    fn missing(&self, view: &View<'_>) -> Option<Draft> {
        let seen = self.seen(CheckOutcome::Missing);
        let (missing, found) = (seen.count, self.found());
        let rows = || self.with(CheckOutcome::Missing);
        let least = rows().map(|row| row.left_s.0).min()?;
        let most = rows().map(|row| row.left_s.1).max()?;
        let listed = rows().map(|row| row.listed).max().unwrap_or(0);
        let severity = if missing * 100 >= missing + found { Severity::Critical } else { Severity::Warning };
        let mut draft = Draft::new("binding.lost", severity, Some(view.trunk));
        let all = counted(missing + found, "audit");
        draft.evidence = vec![
            format!("{missing} of {all} do not list our binding, {}", window(seen.first_ns, seen.last_ns)),
            format!("by what was granted {} was left", seconds(least, most)),
        ];
        draft.saw(seen);
        draft.agents = draft.attempts.min(view.agents.len() as u64);
        if found == 0 && listed == 0 {
            draft.severity = Severity::Warning;
            draft.confidence = Confidence::Open;
            draft.summary = format!(
                "no answer to {all} lists any binding: they are all gone, or the registrar does not say which there are"
            );
            return Some(draft);
        }
        draft.summary = format!(
            "{missing} of {all} find the binding gone: these agents pass for registered and no call reaches them"
        );
        draft.confidence = confidence(missing, 0);
        let why = match found {
            0 => format!("a registrar that lists no bindings: it listed {}", counted(listed.into(), "other binding")),
            _ => format!("a registrar that lists no bindings: it listed ours in {}", counted(found, "other audit")),
        };
        draft.excludes(Rival::Unlisted, why);
        draft
            .rejected
            .push("a binding that had run out, or was being renewed: such answers are not counted".to_owned());
        Some(draft)
    }

    fn shorter(&self, view: &View<'_>) -> Option<Draft> {
        let seen = self.seen(CheckOutcome::Shorter);
        let told = self.with(CheckOutcome::Shorter).filter_map(|row| row.told_s);
        let (least, most) = told.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        let count = seen.count;
        let mut draft = Draft::new("expires.shortened", Severity::Info, Some(view.trunk));
        draft.summary = format!(
            "{count} of {} give our binding less time than was granted: {} are left of it",
            counted(self.found(), "audit"),
            seconds(least, most)
        );
        draft.saw(seen);
        draft.agents = draft.attempts.min(view.agents.len() as u64);
        draft.confidence = confidence(count, 0);
        if count * 2 >= self.found() {
            let why = "what is left of a lifetime after a lost answer: most audits find it shortened";
            draft.excludes(Rival::PacketLoss, why);
        }
        Some(draft)
    }
}

fn seconds(least: u32, most: u32) -> String {
    if least == most { format!("{most} s") } else { format!("{least} to {most} s") }
}
