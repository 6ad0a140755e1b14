//! The workbook, read back by another library: numbers are numbers, times are dates, names are
//! text.

use crate::fixture::{self, Shape};
use crate::{THRESHOLDS, judged};
use calamine::{Data, Range, Reader, Xlsx};
use regstorm::record::Results;
use regstorm::report::{dictionary, render_all, xlsx};
use std::collections::BTreeMap;
use std::io::Cursor;

fn workbook(results: &Results) -> (Vec<u8>, BTreeMap<String, Range<Data>>) {
    let files = render_all(results, &judged(results, &THRESHOLDS[..2]), &[]);
    let bytes = xlsx::render(results, &files).expect("a workbook");
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes.clone())).expect("another library reads it");
    let sheets = book.worksheets().into_iter().collect();
    (bytes, sheets)
}

#[test]
fn every_cell_has_the_kind_of_its_column() {
    let mut results = fixture::run();
    results.header.users[0] = "0042".to_owned();
    let (_, sheets) = workbook(&results);
    let files: BTreeMap<_, _> = render_all(&results, &judged(&results, &THRESHOLDS[..2]), &[]).into_iter().collect();
    for (sheet, file) in [
        ("Summary", "summary.csv"),
        ("Availability", "availability.csv"),
        ("Latency", "latency.csv"),
        ("Intervals", "intervals.csv"),
        ("Responses", "responses.csv"),
        ("Agents", "agents.csv"),
        ("Loops", "loops.csv"),
    ] {
        let range = &sheets[sheet];
        let mut reader = csv::Reader::from_reader(files[file].as_slice());
        let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
        assert_eq!(range.height(), rows.len() + 1, "{sheet}");
        for (n, row) in rows.iter().enumerate() {
            for (at, (column, text)) in dictionary::columns(file).zip(row).enumerate() {
                let cell = range.get((n + 1, at)).cloned().unwrap_or(Data::Empty);
                let what = format!("{sheet} {} {text}: {cell:?}", column.name);
                match (column.kind(), &cell) {
                    (_, Data::Empty) => assert!(text.is_empty(), "{what}"),
                    (dictionary::ColumnKind::Time, Data::DateTime(_)) => {}
                    (dictionary::ColumnKind::Number, Data::Float(value)) => {
                        assert_eq!(*value, text.parse::<f64>().expect("a number"), "{what}");
                    }
                    (dictionary::ColumnKind::Text, Data::String(shown)) => assert_eq!(shown, text, "{what}"),
                    (dictionary::ColumnKind::Mixed, Data::Float(_) | Data::DateTime(_) | Data::String(_)) => {}
                    _ => panic!("{what}"),
                }
            }
        }
    }
    // What looks like a number and is a name stays one.
    assert_eq!(sheets["Agents"].get((1, 1)), Some(&Data::String("0042".to_owned())));
    let rows: Vec<Vec<Data>> = sheets["Summary"].rows().map(<[Data]>::to_vec).collect();
    let value = |metric: &str| &rows.iter().find(|row| row[0] == Data::String(metric.to_owned())).expect(metric)[1];
    assert!(matches!(value("Agents in the test"), Data::Float(20.0)), "{:?}", value("Agents in the test"));
    assert!(matches!(value("Start of the run"), Data::DateTime(_)));
    assert_eq!(sheets["Over time"].height(), 7, "six intervals of load");
    assert!(sheets["Columns"].height() > 70);
}

#[test]
fn charts_are_of_the_sheet_over_time() {
    let (bytes, _) = workbook(&fixture::run());
    let archive = String::from_utf8_lossy(&bytes);
    for part in ["xl/charts/chart1.xml", "xl/charts/chart2.xml", "xl/charts/chart3.xml"] {
        assert!(archive.contains(part), "{part}");
    }
    let (bytes, sheets) = workbook(&fixture::empty());
    assert!(!String::from_utf8_lossy(&bytes).contains("xl/charts/"), "nothing to draw");
    assert_eq!(sheets["Over time"].height(), 1);
}

#[test]
fn the_same_run_gives_the_same_workbook() {
    let large = Shape { trunks: 3, agents_per_trunk: 40, load_intervals: 12, refuse_every: 9 }.results();
    assert!(workbook(&large).0 == workbook(&large).0);
}
