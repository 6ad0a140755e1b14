//! `report.xlsx`: the tables of a run as a workbook, a sheet for each, numbers as numbers and times
//! as dates, so that no spreadsheet has to guess, whatever its language.
//!
//! The sheets are the CSV files with the kind of each column from the data dictionary, behind a
//! summary with the charts of the headline figures. The same record gives the same bytes.

use super::dictionary::{self, ColumnKind};
use super::facts;
use super::text::printable;
use super::words::{self, Outcomes};
use crate::diagnose::figures::{self};
use crate::record::{IntervalResult, Results};
use crate::vocab::{Phase, Stage, Status, saturating_u16, saturating_u32};
use rust_xlsxwriter::{Chart, ChartType, DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

/// Renders the workbook of the derived `files` of a run.
///
/// # Errors
/// When the library refuses what it is given, which its limits are far away from.
pub fn render(results: &Results, files: &[(&str, Vec<u8>)]) -> Result<Vec<u8>, XlsxError> {
    let header = &results.header;
    let mut book = Workbook::new();
    let made = ExcelDateTime::from_timestamp(header.started_unix_ns / 1_000_000_000)?;
    book.set_properties(&DocProperties::new().set_title(printable(&header.name)).set_creation_datetime(&made));
    let formats = Formats::new();
    let over_time = over_time(results);
    let summary = book.add_worksheet().set_name("Summary")?;
    table(summary, "summary.csv", bytes_of(files, "summary.csv"), &formats)?;
    charts(summary, saturating_u32(over_time.len()))?;
    let sheet = book.add_worksheet().set_name(OVER_TIME)?;
    steps(sheet, &over_time, &formats)?;
    for (file, name) in SHEETS {
        let sheet = book.add_worksheet().set_name(name)?;
        table(sheet, file, bytes_of(files, file), &formats)?;
    }
    meanings(book.add_worksheet().set_name("Columns")?, &formats)?;
    about(book.add_worksheet().set_name("About")?, results, &formats)?;
    book.save_to_buffer()
}

const OVER_TIME: &str = "Over time";

/// The files that become sheets of their own, behind the summary.
const SHEETS: [(&str, &str); 7] = [
    ("findings.csv", "Findings"),
    ("availability.csv", "Availability"),
    ("latency.csv", "Latency"),
    ("intervals.csv", "Intervals"),
    ("responses.csv", "Responses"),
    ("agents.csv", "Agents"),
    ("loops.csv", "Loops"),
];

/// A sheet has 1 048 576 rows; the last is left for saying that there are more.
const MOST_ROWS: u32 = 1_048_574;

struct Formats {
    heading: Format,
    time: Format,
    text: Format,
}

impl Formats {
    fn new() -> Formats {
        Formats {
            heading: Format::new().set_bold().set_text_wrap(),
            time: Format::new().set_num_format("yyyy-mm-dd hh:mm:ss.000"),
            text: Format::new().set_num_format("@"),
        }
    }
}

fn bytes_of<'a>(files: &'a [(&str, Vec<u8>)], file: &str) -> &'a [u8] {
    files.iter().find(|(name, _)| *name == file).map_or(&[], |(_, bytes)| bytes)
}

/// A CSV file as a sheet, its columns typed by the data dictionary.
fn table(sheet: &mut Worksheet, file: &str, bytes: &[u8], formats: &Formats) -> Result<(), XlsxError> {
    let columns: Vec<&dictionary::Column> = dictionary::columns(file).collect();
    for (at, column) in (0u16..).zip(&columns) {
        sheet.write_string_with_format(0, at, column.name, &formats.heading)?;
        sheet.set_column_width(at, width(column.kind()))?;
    }
    let mut row = 0u32;
    let mut reader = csv::Reader::from_reader(bytes);
    for record in reader.records().flatten() {
        row += 1;
        if row > MOST_ROWS {
            sheet.write_string(row, 0, format!("{file} has more rows than a sheet can hold"))?;
            break;
        }
        for ((at, column), text) in (0u16..).zip(&columns).zip(&record) {
            cell(sheet, row, at, column.kind(), text, formats)?;
        }
    }
    sheet.set_freeze_panes(1, 0)?;
    if row > 0 && !columns.is_empty() {
        sheet.autofilter(0, 0, row.min(MOST_ROWS), saturating_u16(columns.len() - 1))?;
    }
    Ok(())
}

/// An unknown value is an empty cell.
fn cell(
    sheet: &mut Worksheet,
    row: u32,
    at: u16,
    kind: ColumnKind,
    text: &str,
    formats: &Formats,
) -> Result<(), XlsxError> {
    let number = text.parse::<f64>().ok().filter(|value| value.is_finite());
    match (kind, number, serial(text)) {
        _ if text.is_empty() => {}
        (ColumnKind::Time | ColumnKind::Mixed, _, Some(days)) => {
            sheet.write_number_with_format(row, at, days, &formats.time)?;
        }
        (ColumnKind::Number | ColumnKind::Mixed, Some(value), _) => {
            sheet.write_number(row, at, value)?;
        }
        // A name like 0042 stays what it is, also when somebody edits the cell.
        _ => {
            sheet.write_string_with_format(row, at, text, &formats.text)?;
        }
    }
    Ok(())
}

/// A time as a spreadsheet counts it: days since the last day of 1899.
fn serial(text: &str) -> Option<f64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(days(time.as_nanosecond()))
}

fn days(unix_ns: i128) -> f64 {
    25_569.0 + unix_ns as f64 / 86_400e9
}

fn width(kind: ColumnKind) -> f64 {
    match kind {
        ColumnKind::Time => 24.0,
        ColumnKind::Number => 13.0,
        ColumnKind::Mixed | ColumnKind::Text => 28.0,
    }
}

/// The whole run, interval by interval: what the charts are drawn from.
struct TimeStep {
    start: f64,
    planned: f64,
    registered: f64,
    outcomes: Outcomes,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
}

fn over_time(results: &Results) -> Vec<TimeStep> {
    let loaded = |interval: &&IntervalResult| interval.stage == Stage::Load && interval.end_ns > interval.start_ns;
    results.intervals.iter().filter(loaded).take(MOST_ROWS as usize).map(|one| time_step(results, one)).collect()
}

fn time_step(results: &Results, interval: &IntervalResult) -> TimeStep {
    let length = (interval.end_ns - interval.start_ns) as f64;
    let mut status = [0; Status::COUNT];
    for trunk in &interval.trunks {
        status.iter_mut().zip(trunk.status).for_each(|(sum, count)| *sum += count);
    }
    let agents = |of: fn(&crate::measure::TrunkInterval) -> u128| {
        interval.trunks.iter().map(|trunk| of(trunk) as f64).sum::<f64>() / length
    };
    let register = || interval.latency.iter().filter(|row| row.phase == Phase::Register);
    let slowest = |of: fn(&crate::record::LatencyRow) -> u64| register().map(of).max().map(|us| us as f64 / 1e3);
    TimeStep {
        start: days(results.header.unix_ns(interval.start_ns)),
        planned: agents(|trunk| trunk.planned_agent_ns),
        registered: agents(|trunk| trunk.registered_agent_ns),
        outcomes: Outcomes::of(&status),
        p50_ms: slowest(|row| row.p50_us),
        p99_ms: slowest(|row| row.p99_us),
    }
}

const STEP_COLUMNS: [&str; 9] = [
    "interval_start",
    "agents_planned",
    "agents_registered",
    "attempts_registered",
    "attempts_refused",
    "attempts_unanswered",
    "attempts_cut_short",
    "register_p50_ms",
    "register_p99_ms",
];

fn steps(sheet: &mut Worksheet, steps: &[TimeStep], formats: &Formats) -> Result<(), XlsxError> {
    for (at, name) in (0u16..).zip(STEP_COLUMNS) {
        sheet.write_string_with_format(0, at, name, &formats.heading)?;
        sheet.set_column_width(at, if at == 0 { 24.0 } else { 16.0 })?;
    }
    for (row, step) in (1u32..).zip(steps) {
        let Outcomes { registered, refused, unanswered, cut_short } = step.outcomes;
        sheet.write_number_with_format(row, 0, step.start, &formats.time)?;
        let counts = [registered, refused, unanswered, cut_short].map(|count| Some(count as f64));
        let agents = [step.planned, step.registered].map(|agents| Some((agents * 1e3).round() / 1e3));
        let numbers = agents.into_iter().chain(counts).chain([step.p50_ms, step.p99_ms]);
        for (at, value) in (1u16..).zip(numbers) {
            value.map(|value| sheet.write_number(row, at, value)).transpose()?;
        }
    }
    sheet.set_freeze_panes(1, 1)?;
    Ok(())
}

/// The headline figures, beside the summary; none without an interval to draw.
fn charts(sheet: &mut Worksheet, rows: u32) -> Result<(), XlsxError> {
    if rows == 0 {
        return Ok(());
    }
    let drawn: [(&str, &str, ChartType, &[u16]); 3] = [
        ("Agents signed in against plan", "agents", ChartType::Line, &[1, 2]),
        ("How attempts ended", "attempts in an interval", ChartType::ColumnStacked, &[3, 4, 5, 6]),
        ("Time to sign in", "ms", ChartType::Line, &[7, 8]),
    ];
    for (place, (title, unit, kind, columns)) in (0u32..).zip(drawn) {
        let mut chart = Chart::new(kind);
        for &column in columns {
            let series = chart.add_series();
            series.set_name((OVER_TIME, 0, column));
            series.set_categories((OVER_TIME, 1, 0, rows, 0)).set_values((OVER_TIME, 1, column, rows, column));
        }
        chart.title().set_name(title);
        chart.y_axis().set_name(unit);
        chart.x_axis().set_num_format("hh:mm:ss");
        chart.set_width(640).set_height(300);
        sheet.insert_chart(1 + place * 16, 7, &chart)?;
    }
    Ok(())
}

/// What each column means.
fn meanings(sheet: &mut Worksheet, formats: &Formats) -> Result<(), XlsxError> {
    for (at, (name, wide)) in (0u16..).zip([("file", 20.0), ("column", 26.0), ("meaning", 100.0)]) {
        sheet.write_string_with_format(0, at, name, &formats.heading)?;
        sheet.set_column_width(at, wide)?;
    }
    for (row, column) in (1u32..).zip(dictionary::COLUMNS) {
        for (at, text) in (0u16..).zip([column.file, column.name, column.meaning]) {
            sheet.write_string(row, at, text)?;
        }
    }
    sheet.set_freeze_panes(1, 0)?;
    Ok(())
}

/// What the workbook is of.
fn about(sheet: &mut Worksheet, results: &Results, formats: &Formats) -> Result<(), XlsxError> {
    let header = &results.header;
    sheet.set_column_width(0, 20.0)?;
    sheet.set_column_width(1, 80.0)?;
    let length = words::ended_ns(results).map(words::span).unwrap_or_default();
    let kind = if header.simulated { "rehearsal in virtual time" } else { "run" };
    let left = figures::bindings_left(results).count.to_string();
    let rows = [
        ("name", printable(&header.name)),
        ("kind", kind.to_owned()),
        ("registrar", printable(&facts::registrars(results))),
        ("length", length),
        ("bindings left", left),
        ("made by", format!("regstorm {}", printable(&header.tool_version))),
        ("times", "UTC".to_owned()),
    ];
    for (row, (name, text)) in (0u32..).zip(rows) {
        sheet.write_string_with_format(row, 0, name, &formats.heading)?;
        sheet.write_string(row, 1, text)?;
    }
    Ok(())
}
