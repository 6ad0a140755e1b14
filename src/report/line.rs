//! A run in one sentence, for a chat or the subject of a mail.

use super::facts;
use super::text::{percent, printable, thousands};
use super::words::{self, Outcomes};
use crate::diagnose::figures;
use crate::diagnose::{Finding, Judgement, Verdict};
use crate::record::Results;
use crate::record::results::day;
use crate::vocab::Severity;

/// Renders the sentence; `dir` is where the files are, `rehearsed` the day of a rehearsal.
pub fn render(
    results: &Results,
    judgement: &Judgement,
    findings: &[Finding],
    rehearsed: Option<&str>,
    dir: &str,
) -> String {
    let header = &results.header;
    let word = match judgement.verdict {
        Verdict::Pass => "passed",
        Verdict::Fail => "FAILED",
        Verdict::Invalid => "is INVALID",
        Verdict::Interrupted => "was INTERRUPTED",
    };
    let kind = if header.simulated { "rehearsal of " } else { "" };
    let on = match rehearsed {
        Some(day) if header.simulated => format!(" ({day})"),
        _ if header.simulated => String::new(),
        _ => format!(" ({})", day(header.unix_ns(0))),
    };
    let totals = &results.totals;
    let at = match header.trunks.as_slice() {
        [] => String::new(),
        [trunk] => format!(" at {}", facts::short(trunk)),
        all => format!(" on {} trunks", all.len()),
    };
    let mut parts = vec![format!(
        "{} of {} agents signed in{at}",
        thousands(totals.agents_registered_peak),
        thousands(totals.agents)
    )];
    parts.extend(figures::availability_pct(totals).map(|share| format!("{} available", percent(share))));
    let Outcomes { refused, unanswered, .. } = Outcomes::of(&totals.sums.status);
    let attempts = thousands(totals.attempts);
    parts.extend((refused > 0).then(|| format!("{} of {attempts} attempts refused", thousands(refused))));
    parts.extend((unanswered > 0).then(|| format!("{} of {attempts} without an answer", thousands(unanswered))));
    let missed = words::missed(judgement);
    let cause = findings.iter().find(|finding| finding.severity == Severity::Critical);
    let because = match (judgement.verdict, cause) {
        (Verdict::Invalid, _) => "; the test machine could not keep its own schedule".to_owned(),
        (_, Some(cause)) => format!("; main cause: {}", cause.summary),
        (Verdict::Fail, None) if !missed.is_empty() => format!("; missed: {missed}"),
        _ => String::new(),
    };
    printable(&format!("{kind}{} {word}{on}: {}{because}; {dir}", header.name, parts.join(", "))) + "\n"
}
