//! `regstorm check`: what a profile means and what may be wrong with it. Nothing is sent, not even
//! to a name server.

use super::failure::{Exit, Failure};
use super::output::{print, width};
use super::preflight::doubt;
use super::source::RehearsalSource;
use crate::cli::CheckArgs;
use crate::plan::Plan;
use crate::profile::{self, lint};
use crate::report::explanation::{line_with_label, wrap};
use crate::report::readiness::{Doubt, doubt_in_words};
use serde_json::{Value, json};

pub(super) fn execute(args: &CheckArgs) -> Result<Exit, Failure> {
    let source = RehearsalSource::default();
    let profile = profile::load(&source, &args.profile.to_string_lossy(), &args.sets)?;
    let mut plan = Plan::new(&profile)?;
    plan.warnings.extend(source.doubts());
    let doubts: Vec<Doubt> = lint::lint(&profile).into_iter().map(doubt).collect();
    print(&if args.json { as_json(&plan, &doubts) } else { in_words(&plan, &doubts, width()) })?;
    Ok(Exit::Success)
}

fn as_json(plan: &Plan, doubts: &[Doubt]) -> String {
    let resolved: Value = serde_json::from_str(&plan.profile_json).unwrap_or_default();
    let meaning: Vec<Value> =
        plan.outlook(&[]).into_iter().map(|(about, text)| json!({ "about": about, "text": text })).collect();
    let document = json!({
        "profile": resolved,
        "meaning": meaning,
        "warnings": plan.warnings,
        "doubts": doubts,
    });
    format!("{document:#}\n")
}

fn in_words(plan: &Plan, doubts: &[Doubt], width: usize) -> String {
    let mut out = String::new();
    for (label, text) in plan.outlook(&[]) {
        out += &line_with_label(label, &text, width);
    }
    let warnings = plan.warnings.iter().cloned().chain(doubts.iter().map(doubt_in_words));
    let warnings: Vec<String> = warnings.collect();
    out += "\n";
    if warnings.is_empty() {
        out += "No doubts about it.\n";
    }
    for warning in &warnings {
        out += &wrap(&format!("warning: {warning}"), "", "    ", width);
    }
    out += "\nThe profile with every default filled in, secrets as ***:\n\n";
    out += &plan.profile_toml();
    out += &format!("\n{} can be used; nothing was sent. Next: regstorm preflight {0}\n", plan.profile_path);
    out
}
