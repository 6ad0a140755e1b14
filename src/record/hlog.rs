//! `latency.hlog`: the latencies of every interval, trunk and phase as an HdrHistogram interval
//! log.
//!
//! V2 compressed, tagged `trunk/phase`, so that HdrHistogram's own tools open it. Values are
//! microseconds; the maximum column is in milliseconds, as those tools expect. This renders bytes
//! and writes no file.

use super::results::{IntervalResult, LatencyRow, Results};
use super::schema;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriter, IntervalLogWriterBuilder, Tag};
use std::time::{Duration, SystemTime};

/// The interval log of a run.
pub fn render(results: &Results) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let started = started(results);
    let log = IntervalLogWriterBuilder::new()
        .add_comment(&format!("[Latencies of {} in microseconds, by trunk and phase]", one_line(&results.header.name)))
        .add_comment("[Histogram log format version 1.3]")
        .with_start_time(started)
        .with_base_time(started)
        .with_max_value_divisor(1_000.0)
        .begin_log_with(&mut bytes, &mut serializer);
    // A vector takes every byte, so the log is whole.
    if let Ok(mut log) = log {
        for interval in &results.intervals {
            for row in &interval.latency {
                line(&mut log, results, interval, row);
            }
        }
    }
    bytes
}

type Log<'a, 'b> = IntervalLogWriter<'a, 'b, Vec<u8>, V2DeflateSerializer>;

fn line(log: &mut Log<'_, '_>, results: &Results, interval: &IntervalResult, row: &LatencyRow) {
    let id = results.header.trunks.get(usize::from(row.trunk)).map_or("", |trunk| trunk.id.as_str());
    let tag = format!("{}/{}", tag_text(id), row.phase);
    let lasted = Duration::from_nanos(interval.end_ns.saturating_sub(interval.start_ns));
    // The reader decoded these very bytes before it made the row.
    let histogram = schema::from_v2(&row.v2).expect("a row of Results holds a histogram");
    log.write_histogram(&histogram, Duration::from_nanos(interval.start_ns), lasted, Tag::new(&tag))
        .expect("a vector takes every byte, and counts of a run fit into 63 bits");
}

fn started(results: &Results) -> SystemTime {
    let nanos = results.header.started_unix_ns;
    SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// A trunk's id as a tag may hold it: the log separates by commas and whitespace.
fn tag_text(id: &str) -> String {
    id.chars().map(|c| if c == ',' || c == '"' || c.is_whitespace() || c.is_control() { '_' } else { c }).collect()
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
