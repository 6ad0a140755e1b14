//! `regstorm platform pull`: what a platform tells of a window, as files.

use super::super::failure::{Exit, Failure};
use super::super::output::{print, say, write_files};
use super::{PlatformAsking, chosen, clock_in_words, failed, source_in_words, time_of, window_in_words};
use crate::cli::PlatformPullArgs;
use crate::platform::AskWindow;
use crate::record::platform::{EVENTS_FILE, PULL_FILE, PlatformRecord, SourceOutcome};
use std::fs;
use std::path::Path;

pub(super) fn execute(args: &PlatformPullArgs) -> Result<Exit, Failure> {
    let (_, platform) = chosen(&args.of)?;
    let mut asking = PlatformAsking::new(&platform)?;
    let now_s = asking.now_s();
    let (from_s, to_s) = (time_of("--from", &args.from, now_s)?, time_of("--to", &args.to, now_s)?);
    if to_s <= from_s {
        return Err(Failure::usage("--to must be later than --from"));
    }
    if args.out.join(PULL_FILE).exists() {
        let place = args.out.display();
        return Err(Failure::usage(format!("{place}: something was pulled into it already; name another with --out")));
    }
    let window = AskWindow::around(from_s, to_s);
    let mut pulled = asking.pull(window).map_err(|error| failed(&platform, &error))?;
    let record = asking.record(window, &mut pulled);
    let events: String = pulled.events.iter().map(|event| format!("{event}\n")).collect();
    let raw = args.out.join("raw");
    fs::create_dir_all(&raw).map_err(|error| Failure::could_not(format!("{}: {error}", raw.display())))?;
    let raws: Vec<(&str, Vec<u8>)> = pulled.raw.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    write_files(&raw, &raws)?;
    let mut files = record.files();
    files.push((EVENTS_FILE, events.into_bytes()));
    // What says that the others are there comes last.
    files.sort_by_key(|(name, _)| *name == PULL_FILE);
    write_files(&args.out, &files)?;
    if args.json {
        let pull = serde_json::to_string_pretty(&record.facts).unwrap_or_default();
        print(&format!("{pull}\n"))?;
    } else {
        print(&in_words(&record, &args.out, pulled.events.len()))?;
    }
    let told = |outcome| record.facts.sources.iter().any(|seen| seen.outcome == outcome);
    if told(SourceOutcome::Told) || told(SourceOutcome::Empty) || told(SourceOutcome::Incomplete) {
        return Ok(Exit::Success);
    }
    say("regstorm: every source refused to answer");
    Ok(Exit::CouldNotRun)
}

fn in_words(record: &PlatformRecord, out: &Path, events: usize) -> String {
    let facts = &record.facts;
    let mut text = format!(
        "{} ({}), {}\n\nclock: {}\n",
        facts.platform,
        facts.kind,
        window_in_words(facts),
        clock_in_words(facts.clock_off_s)
    );
    for seen in &facts.sources {
        text += &format!("{}\n", source_in_words(seen));
    }
    for gap in &facts.gaps {
        let window = super::in_words(AskWindow { from_s: gap.from_s, to_s: gap.to_s });
        let trunk = if gap.trunk.is_empty() { String::new() } else { format!(" of {}", gap.trunk) };
        text += &format!("missing: {}{trunk}, {window}: {}\n", gap.source, gap.why);
    }
    for remark in &facts.remarks {
        text += &format!("note: {remark}\n");
    }
    let provisional = record.counts.iter().filter(|count| count.provisional).count();
    if provisional > 0 {
        text += &format!("note: {provisional} counts are of the newest five minutes and may still grow\n");
    }
    text += &format!("\nwritten to {} after {} requests", out.display(), facts.requests);
    if events > 0 {
        text += &format!("; next: regstorm diagnose {}", out.join(EVENTS_FILE).display());
    }
    text + "\n"
}
