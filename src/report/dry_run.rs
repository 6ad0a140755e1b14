//! The dry run as lines behind a rehearsal's summary, and as `dry-run.json`, schema
//! `regstorm.dry-run/1`.

use super::json;
use super::text::{self, decimal, thousands};
use crate::diagnose::DryRun;
use crate::diagnose::dry_run::{At, ChecksAsked};
use crate::vocab::{floor_u64, format_bandwidth};
use serde::Serialize;

/// The lines: what is asked for, of whom, and a warning for each limit that is passed.
pub fn lines(dry_run: &DryRun) -> String {
    let mut lines = vec![messages(dry_run)];
    lines.extend(dry_run.checks.as_ref().map(checks));
    lines.extend([senders(dry_run), registrations(dry_run), line(dry_run), machine(dry_run)]);
    let labels = std::iter::once("warnings").chain(std::iter::repeat(""));
    lines.extend(dry_run.warnings.iter().zip(labels).map(|(warning, label)| labelled(label, &warning.text)));
    if dry_run.warnings.is_empty() {
        lines.push(labelled("warnings", "none: no limit that is known is passed"));
    }
    format!("\n{}\n", lines.join("\n"))
}

/// The document, ending in a newline.
pub fn render(dry_run: &DryRun) -> Vec<u8> {
    #[derive(Serialize)]
    struct DryRunDocument<'a> {
        schema: &'static str,
        #[serde(flatten)]
        dry_run: &'a DryRun,
    }
    json::pretty(&DryRunDocument { schema: "regstorm.dry-run/1", dry_run })
}

fn messages(dry_run: &DryRun) -> String {
    let messages = &dry_run.messages;
    let text = format!(
        "{} messages sent, {} received; {}/s sent on average, at most {}",
        thousands(messages.sent),
        thousands(messages.received),
        decimal(messages.mean_sent_per_s, 1),
        peak(messages.sent_per_s),
    );
    labelled("dry run", &text)
}

/// What agents ask besides registering.
fn checks(asked: &ChecksAsked) -> String {
    let part = |count: u64, what: &str, per_s: f64| {
        (count > 0).then(|| format!("{} {what} ({}/s)", thousands(count), decimal(per_s, 1)))
    };
    let parts = [part(asked.audits, "audits", asked.audits_per_s), part(asked.options, "OPTIONS", asked.options_per_s)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    labelled("of which", &format!("{}, each with its answer", parts.join(", ")))
}

fn senders(dry_run: &DryRun) -> String {
    let busiest = dry_run
        .sources
        .iter()
        .reduce(|busiest, next| if next.requests_per_s.peak > busiest.requests_per_s.peak { next } else { busiest });
    let told = [busiest, dry_run.aor.as_ref()].into_iter().flatten();
    let told: Vec<String> = told
        .filter(|sender| sender.requests_per_s.peak > 0.0)
        .map(|sender| format!("{} from {}", peak(sender.requests_per_s), text::printable(&sender.name)))
        .collect();
    let told = if told.is_empty() { "nothing was sent".to_owned() } else { told.join(", ") };
    labelled("by sender", &told)
}

fn registrations(dry_run: &DryRun) -> String {
    let At { peak: agents, at_s } = dry_run.registrations;
    let contacts = dry_run.contacts.as_ref().map_or(0, |most| most.contacts);
    let text = format!(
        "{} at once from {}, {} begun, {contacts} of one address of record",
        thousands(floor_u64(agents)),
        after(at_s),
        peak(dry_run.registrations_per_s),
    );
    labelled("registrations", &text)
}

fn line(dry_run: &DryRun) -> String {
    let both = [("up", dry_run.bandwidth_bit_per_s.up), ("down", dry_run.bandwidth_bit_per_s.down)];
    let both = both.map(|(way, at)| format!("{}/s {way} at {}", format_bandwidth(at.peak), after(at.at_s)));
    labelled("bandwidth", &both.join(", "))
}

fn machine(dry_run: &DryRun) -> String {
    let ports = dry_run.local_ports.needed.values().sum::<u64>();
    let descriptors = dry_run.file_descriptors;
    let memory = dry_run.memory_bytes;
    let of = |available: u64, text: &dyn Fn(u64) -> String| {
        if available == 0 { String::new() } else { format!(" of {}", text(available)) }
    };
    let text = format!(
        "{}{}, {}{} file descriptors, about {}{} of memory",
        text::counted(ports, "local port"),
        of(dry_run.local_ports.available, &|ports| format!("{} an address", thousands(ports))),
        thousands(descriptors.needed),
        of(descriptors.available, &thousands),
        text::bytes(memory.needed),
        of(memory.available, &text::bytes),
    );
    labelled("this machine", &text)
}

fn peak(at: At) -> String {
    format!("{}/s at {}", decimal(at.peak, 1), after(at.at_s))
}

fn after(seconds: f64) -> String {
    text::length(floor_u64(seconds * 1e9))
}

fn labelled(label: &str, text: &str) -> String {
    format!("{label:<14}{text}")
}
