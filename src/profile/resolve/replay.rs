//! `[[load]] replay = "arrivals.csv"`: when phones did what, row by row. Who they are among the
//! agents is for the plan to find.

use super::agents::{csv_message, separator};
use super::check::Checker;
use super::rows::{MAX_AGENTS, MAX_ROW_PROBLEMS, beside};
use crate::profile::error::nearest;
use crate::profile::file::StageFile;
use crate::profile::meant::{ReplayProfile, ReplayRow};
use crate::profile::places::Path;
use crate::vocab::{ReplayAct, Word, saturating_u32};
use std::time::Duration;

/// The stage of a file; `None` when it could not be read.
pub(super) fn replay(check: &mut Checker, at: &Path, replay: &str, stage: &StageFile) -> Option<ReplayProfile> {
    if stage.lasts.is_some() {
        check.bad_key(
            &at.key("for"),
            "does not go with replay",
            "the stage ends with the last row; add hold = \"10m\" as a stage of its own",
        );
    }
    let mut speed = stage.speed.unwrap_or(1.0);
    if !(SLOWEST..=FASTEST).contains(&speed) {
        check.advise(
            &at.key("speed"),
            format!("must be a factor from {SLOWEST} to {FASTEST}, not {speed}"),
            "2 is twice as fast as recorded, 0.5 half as fast",
        );
        speed = 1.0;
    }
    let path = at.key("replay");
    let full = beside(&check.places.texts.name, replay);
    let bytes = match check.source.read(&full) {
        Ok(bytes) => bytes,
        Err(reason) => {
            check.bad(&path, format!("{full} cannot be read: {reason}"));
            return None;
        }
    };
    let rows = rows(check, &path, replay, &bytes)?;
    if rows.is_empty() {
        check.advise(&path, format!("{replay} has no row"), COLUMNS);
        return None;
    }
    Some(ReplayProfile { replay: replay.to_owned(), speed, rows })
}

/// Where the columns stand.
struct ReplayColumns {
    at_s: usize,
    trunk_id: Option<usize>,
    user: Option<usize>,
    phone: Option<usize>,
    act: Option<usize>,
    /// A spreadsheet that separates by semicolons writes a comma before decimals.
    decimal_comma: bool,
}

fn rows(check: &mut Checker, path: &Path, file: &str, bytes: &[u8]) -> Option<Vec<ReplayRow>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let delimiter = separator(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).delimiter(delimiter).from_reader(bytes);
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => {
            check.bad(path, format!("{file}: {}", csv_message(&error)));
            return None;
        }
    };
    let columns = columns(check, path, file, &header, delimiter != b',')?;
    let (mut sound, mut wrong) = (Vec::new(), 0);
    for record in reader.records() {
        let line = record
            .as_ref()
            .ok()
            .and_then(|record| Some(saturating_u32(usize::try_from(record.position()?.line()).ok()?)));
        let row = match &record {
            Ok(record) => row(record, &columns, line.unwrap_or(0)),
            Err(error) => Err((csv_message(error), String::new())),
        };
        match row {
            Ok(row) => sound.push(row),
            Err((message, remedy)) => {
                wrong += 1;
                let place = line.map_or_else(String::new, |line| format!(" line {line}"));
                let message = format!("{file}{place}: {message}");
                match remedy.as_str() {
                    _ if wrong > MAX_ROW_PROBLEMS => {}
                    "" => check.bad(path, message),
                    _ => check.advise(path, message, remedy),
                }
            }
        }
    }
    if wrong > MAX_ROW_PROBLEMS {
        check.bad(path, format!("{file}: further rows that are wrong: {}", wrong - MAX_ROW_PROBLEMS));
    }
    if sound.len() > MOST_ROWS {
        check.bad(path, format!("{file} has more than {MOST_ROWS} rows"));
        return None;
    }
    (wrong == 0).then_some(sound)
}

fn columns(
    check: &mut Checker,
    path: &Path,
    file: &str,
    header: &csv::StringRecord,
    decimal_comma: bool,
) -> Option<ReplayColumns> {
    let at = |name: &str| header.iter().position(|column| column == name);
    let Some(at_s) = at("at_s") else {
        let near = header.iter().find_map(|column| nearest("at_s", [column]));
        let remedy = near.map_or_else(
            || COLUMNS.to_owned(),
            |near| format!("the column is called \"{near}\": rename it to \"at_s\""),
        );
        check.advise(path, format!("{file} has no column \"at_s\""), remedy);
        return None;
    };
    Some(ReplayColumns {
        at_s,
        trunk_id: at("trunk_id"),
        user: at("user"),
        phone: at("phone"),
        act: at("act"),
        decimal_comma,
    })
}

/// One row, or what is wrong with it and what to do instead.
fn row(record: &csv::StringRecord, columns: &ReplayColumns, line: u32) -> Result<ReplayRow, (String, String)> {
    let cell = |column: Option<usize>| column.and_then(|n| record.get(n)).filter(|text| !text.is_empty());
    let at = cell(Some(columns.at_s)).unwrap_or_default();
    let seconds = if columns.decimal_comma { at.replace(',', ".") } else { at.to_owned() };
    let seconds =
        seconds.parse::<f64>().ok().filter(|seconds| (0.0..=LONGEST_S).contains(seconds)).ok_or_else(|| {
            (
                format!("at_s \"{at}\" is no number of seconds"),
                "seconds since the start of the stage, like 12.345".to_owned(),
            )
        })?;
    let phone = match cell(columns.phone) {
        None => 1,
        Some(text) => text.parse().ok().filter(|&phone| phone > 0).ok_or_else(|| {
            (format!("phone \"{text}\" is no number"), "1 is the first of the user's rows among the agents".to_owned())
        })?,
    };
    let act = match cell(columns.act) {
        None => ReplayAct::Arrive,
        Some(text) => ReplayAct::ALL.iter().copied().find(|act| act.as_str() == text).ok_or_else(|| {
            let names: Vec<&str> = ReplayAct::ALL.iter().map(|act| act.as_str()).collect();
            let near = nearest(text, names.iter().copied()).map(|near| format!("did you mean \"{near}\"?"));
            (format!("act \"{text}\" is unknown"), near.unwrap_or_else(|| format!("use one of {}", names.join(", "))))
        })?,
    };
    let user = cell(columns.user).map(Box::from);
    match (&user, columns.user) {
        (None, Some(_)) => {
            return Err((
                "names no user, and other rows may".to_owned(),
                "fill in each user, or leave the column out".to_owned(),
            ));
        }
        (None, None) if act != ReplayAct::Arrive => {
            return Err((format!("\"{}\" needs a user", act.as_str()), "add a column user".to_owned()));
        }
        _ => {}
    }
    let trunk = cell(columns.trunk_id).map(Box::from);
    Ok(ReplayRow { at: Duration::from_secs_f64(seconds), line, trunk, user, phone, act })
}

const COLUMNS: &str = "columns: at_s[,trunk_id][,user[,phone]][,act]; at_s counts seconds from the start of the stage";
const SLOWEST: f64 = 0.001;
const FASTEST: f64 = 1_000.0;
/// As long as an observation may be: 400 days.
const LONGEST_S: f64 = 400.0 * 86_400.0;
const MOST_ROWS: usize = 10 * MAX_AGENTS as usize;
