//! What was found about credentials that are to be submitted to a platform, for a terminal and as
//! JSON.

use super::explanation::wrap;
use super::json;
use super::text::printable;
use crate::diagnose::credentials::{AlgorithmResult, CarrierWord, CredentialJudgement, FieldDoubt};
use crate::record::refusal::PlatformRefusal;
use serde::Serialize;

/// Everything that was found.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CredentialReport {
    pub ready: bool,
    pub platform: Option<String>,
    /// What the platform answered.
    pub answer: Option<PlatformRefusal>,
    pub remarks: Vec<String>,
    pub trunks: Vec<CredentialJudgement>,
}

impl CredentialReport {
    pub fn new(
        platform: Option<String>,
        answer: Option<PlatformRefusal>,
        trunks: Vec<CredentialJudgement>,
    ) -> CredentialReport {
        let mut remarks = Vec::new();
        let placed = trunks.iter().any(|trunk| trunk.answer.is_some());
        if answer.is_some() && !placed {
            remarks.push("the answer names none of these trunks: say with --trunk which one it is about".to_owned());
        }
        let ready = !trunks.is_empty() && trunks.iter().all(|trunk| trunk.ready) && (placed || answer.is_none());
        CredentialReport { ready, platform, answer, remarks, trunks }
    }
}

/// As text, in lines of this width; the last line of each trunk is its conclusion.
pub fn render(report: &CredentialReport, width: usize) -> String {
    let mut out = String::new();
    let mut line = |text: &str, indent: &str| {
        let rest = format!("{indent}    ");
        out.push_str(&wrap(&printable(text), indent, &rest, width));
    };
    for trunk in &report.trunks {
        let theirs = trunk.platform_id.as_ref().map(|id| format!(", {id} of the platform")).unwrap_or_default();
        line(&format!("{}{theirs}: {} at {}", trunk.trunk_id, trunk.auth_user, trunk.registrar), "");
        trunk.algorithms.iter().for_each(|result| line(&in_words(result), "  "));
        if !trunk.challenged_realms.is_empty() {
            let quoted: Vec<String> = trunk.challenged_realms.iter().map(|realm| format!("\"{realm}\"")).collect();
            line(&format!("realm to submit: {}, as the carrier challenges", quoted.join(" or ")), "  ");
        }
        trunk.doubts.iter().for_each(|doubt| line(&doubt_in_words(doubt), "  "));
        if let (Some(judged), Some(answer)) = (&trunk.answer, &report.answer) {
            line(&format!("the platform answered: {}", answer.to_string().trim()), "  ");
            for field in &judged.fields {
                field.hints.iter().for_each(|hint| line(&format!("{}: {hint}", field.field_name), "    "));
            }
            judged.rivals.iter().for_each(|rival| line(&format!("not excluded: {rival}"), "    "));
        }
        line(&format!("conclusion: {}", trunk.conclusion), "  ");
    }
    report.remarks.iter().for_each(|remark| line(&format!("note: {remark}"), ""));
    out
}

/// The same as JSON.
pub fn render_json(report: &CredentialReport) -> String {
    json::text(json::pretty(report))
}

fn in_words(result: &AlgorithmResult) -> String {
    let word = match result.word {
        CarrierWord::Accepted => "accepted",
        CarrierWord::NotAsked => "taken without being asked for",
        CarrierWord::Refused => "refused",
        CarrierWord::RefusedBefore => "refused before any was asked for",
        CarrierWord::NotOffered => return format!("{}: not offered", result.algorithm),
        CarrierWord::Unanswerable => "offered, and cannot be answered",
        CarrierWord::Unclear => "unclear",
        CarrierWord::NotTried => return format!("{}: not tried", result.algorithm),
    };
    format!("{}: {word}, {}", result.algorithm, result.said)
}

fn doubt_in_words(doubt: &FieldDoubt) -> String {
    let FieldDoubt { field, what, remedy, .. } = doubt;
    format!("{field} {what}; {remedy}")
}
