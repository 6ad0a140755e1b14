//! `regstorm platform check`: what a platform lets us ask.

use super::super::failure::{Exit, Failure};
use super::super::output::print;
use super::{PlatformAsking, chosen, clock_in_words, failed, source_in_words};
use crate::cli::PlatformCheckArgs;
use crate::platform::{AskWindow, SourceFacts, dialect};
use crate::record::platform::{PlatformRecord, SourceOutcome};
use serde_json::{Value, json};

/// The window that is asked about: the last ten minutes.
const WINDOW_S: i64 = 600;

pub(super) fn execute(args: &PlatformCheckArgs) -> Result<Exit, Failure> {
    let (_, platform) = chosen(&args.of)?;
    let mut asking = PlatformAsking::new(&platform)?;
    let now_s = asking.now_s();
    let window = AskWindow::around(now_s - WINDOW_S, now_s);
    let mut pulled = asking.pull(window).map_err(|error| failed(&platform, &error))?;
    let record = asking.record(window, &mut pulled);
    let sources = dialect(platform.kind).sources();
    print(&if args.json { as_json(&record, sources) } else { in_words(&record, sources) })?;
    let told = record.facts.sources.iter().all(|seen| seen.outcome == SourceOutcome::Told);
    Ok(if told { Exit::Success } else { Exit::ThresholdFailed })
}

fn in_words(record: &PlatformRecord, sources: &[SourceFacts]) -> String {
    let facts = &record.facts;
    let mut text = format!(
        "{} ({})\n  token: given out\n  clock: {}\n",
        facts.platform,
        facts.kind,
        clock_in_words(facts.clock_off_s)
    );
    for source in sources {
        text += &format!("\n{} (wants {})\n", source.source.name(), source.wants);
        for seen in facts.sources.iter().filter(|seen| seen.source == source.source.name()) {
            text += &format!("  {}\n", source_in_words(seen));
        }
        text += &format!("  shows: {}\n  cannot show: {}\n", source.shows, source.hides);
    }
    for state in &record.states {
        let registered = match state.registered {
            Some(true) => "registered",
            Some(false) => "not registered",
            None => "registered or not: unknown",
        };
        let detail = if state.detail.is_empty() { String::new() } else { format!("; {}", state.detail) };
        text += &format!("\n{}: {} ({registered}){detail}\n", state.trunk_id, state.state);
    }
    for remark in &facts.remarks {
        text += &format!("\nnote: {remark}\n");
    }
    text
}

fn as_json(record: &PlatformRecord, sources: &[SourceFacts]) -> String {
    let about = |source: &SourceFacts| {
        let seen: Vec<_> = record.facts.sources.iter().filter(|seen| seen.source == source.source.name()).collect();
        json!({
            "source": source.source.name(), "wants": source.wants, "shows": source.shows,
            "cannot_show": source.hides, "answers": seen,
        })
    };
    let document = json!({
        "platform": record.facts.platform,
        "kind": record.facts.kind,
        "token": true,
        "clock_off_s": record.facts.clock_off_s.map(|(seconds, _)| seconds),
        "clock_off_within_s": record.facts.clock_off_s.map(|(_, within)| within),
        "sources": sources.iter().map(about).collect::<Vec<Value>>(),
        "states": record.states,
        "remarks": record.facts.remarks,
    });
    format!("{document:#}\n")
}
