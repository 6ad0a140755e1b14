//! What `learn` shows: messages minute by minute, as they were seen and as the learnt profile makes
//! them.

use super::chart::{self, ChartFrame, Scale, Series};
use super::charts::{self, Chart};
use super::sheets::Sheet;
use super::template;
use crate::vocab::printable;
use serde::Serialize;

/// What the page says.
pub struct LearnPage<'a> {
    /// The source's name.
    pub name: &'a str,
    pub sentence: &'a str,
    /// Whether every minute is near.
    pub near: bool,
    pub rows: &'a [LearnRow],
    /// A row for each trunk: id, phones, lifetime, preset, how well it fits.
    pub trunks: Vec<[String; 5]>,
    pub remarks: &'a [String],
}

/// One minute.
#[derive(Clone, Copy, Debug)]
pub struct LearnRow {
    pub start_s: u32,
    pub lasts_s: u32,
    pub seen: u64,
    pub rehearsed: u64,
    pub near: bool,
}

#[derive(Serialize)]
struct RenderedLearn<'a> {
    name: String,
    version: &'static str,
    tone: &'static str,
    word: &'static str,
    sentence: &'a str,
    chart: Chart,
    sheets: Vec<Sheet>,
    remarks: Vec<String>,
}

/// The page.
pub fn page(page: &LearnPage<'_>) -> Vec<u8> {
    let spans: Vec<(f64, f64)> =
        page.rows.iter().map(|row| (row.start_s.into(), (row.start_s + row.lasts_s).into())).collect();
    // A last minute that is longer or shorter must not look busier for it.
    let per_minute = |count: u64, row: &LearnRow| Some(count as f64 * 60.0 / f64::from(row.lasts_s.max(1)));
    let line = |label, class, of: fn(&LearnRow) -> u64| Series {
        label,
        class,
        values: page.rows.iter().map(|row| per_minute(of(row), row)).collect(),
    };
    let series = [line("seen", "c-link", |row| row.seen), line("rehearsed", "c-bad", |row| row.rehearsed)];
    let frame = ChartFrame { spans: &spans, scale: Scale::Linear, unit: "" };
    let lead =
        "Messages each minute, both ways: what was captured, and what the learnt profile makes of it in virtual time.";
    let chart = charts::chart("rate", "Messages", lead.to_owned(), chart::lines(&frame, &series), &series);
    let mut minutes =
        Sheet::new("minutes", "Minute by minute", "", &["minute", "#seen", "#rehearsed", "#difference", "within 10 %"]);
    for row in page.rows {
        let difference = (row.rehearsed as f64 - row.seen as f64) / (row.seen as f64).max(1.0) * 100.0;
        let cells = [
            (row.start_s / 60 + 1).to_string(),
            row.seen.to_string(),
            row.rehearsed.to_string(),
            format!("{difference:+.1} %"),
            if row.near { "yes" } else { "no" }.to_owned(),
        ];
        minutes.toned(cells, if row.near { "good" } else { "bad" });
    }
    let lead = "Phones of one trunk that ask for the same lifetime and name the same product.";
    let mut trunks = Sheet::new("trunks", "Trunks", lead, &["trunk", "#phones", "lifetime", "preset", "how it fits"]);
    page.trunks.iter().cloned().for_each(|row| trunks.row(row));
    let rendered = RenderedLearn {
        name: printable(page.name).into_owned(),
        version: env!("CARGO_PKG_VERSION"),
        tone: if page.near { "good" } else { "doubt" },
        word: if page.near { "Alike" } else { "Not alike everywhere" },
        sentence: page.sentence,
        chart,
        sheets: vec![trunks, minutes],
        remarks: page.remarks.iter().map(|remark| printable(remark).into_owned()).collect(),
    };
    template::render("learn.html.j2", include_str!("learn.html.j2"), &rendered).into_bytes()
}
