//! Answers from another address or port than was asked (`answers.from-elsewhere`).

use super::draft::{Draft, confidence};
use super::silence::target;
use super::view::View;
use super::wording::{counted, window};
use crate::measure::UnaskedRow;
use crate::vocab::Severity;

/// They are matched by branch, wherever they come from (RFC 3261 §18.1.2), so our agents register
/// with them; a phone behind a firewall that lets in only who was asked does not.
pub(super) fn find(view: &View<'_>) -> Option<Draft> {
    let rows: Vec<&UnaskedRow> = view.unasked().filter(|row| row.elsewhere && row.answers > 0).collect();
    let answers: u64 = rows.iter().map(|row| row.answers).sum();
    let most = rows.iter().max_by_key(|row| row.answers)?;
    let mut draft = Draft::new("answers.from-elsewhere", Severity::Warning, Some(view.trunk));
    draft.attempts = answers;
    draft.agents = answers.min(view.agents.len() as u64);
    draft.first_ns = rows.iter().map(|row| row.first_ns).min().unwrap_or(0);
    draft.last_ns = rows.iter().map(|row| row.last_ns).max().unwrap_or(0);
    draft.confidence = confidence(answers, 0);
    let others = if rows.len() > 1 { format!(" and {} more", rows.len() - 1) } else { String::new() };
    draft.summary = format!("{} is asked, but answers come from {}{others}", target(view), most.from);
    draft.evidence = rows
        .iter()
        .map(|row| {
            format!("{} from {}, {}", counted(row.answers, "answer"), row.from, window(row.first_ns, row.last_ns))
        })
        .collect();
    let received = view.results.trunk_totals[usize::from(view.trunk)].sums.messages_received;
    draft.evidence.push(format!("{} came in all", counted(received, "message")));
    draft.evidence.push("they were taken, as RFC 3261 §18.1.2 has it: the branch says whose they are".to_owned());
    draft.advice.push(
        "let the server answer from the address and port it was asked at (RFC 3261 §18.2.2, RFC 3581 §4): a firewall \
         or a NAT in front of real phones lets in nothing else"
            .to_owned(),
    );
    Some(draft)
}
