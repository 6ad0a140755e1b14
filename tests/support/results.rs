//! The files a run leaves behind, read as a user would read them: JSON by path, CSV by column name.
//!
//! [`ResultDir::expect_balanced`] is the one claim every run owes whatever happened in it.

use regstorm::record::{Results, read};
use regstorm::vocab::Stage;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// The nine ends of an attempt, as every file spells them.
pub const STATUSES: [&str; 9] = [
    "registered",
    "authentication_failed",
    "registration_rejected",
    "service_unavailable",
    "request_timeout",
    "transport_error",
    "protocol_error",
    "shed",
    "abandoned",
];

/// What every run writes (`failures.pcapng` only one with failures); `limits.*` are those of a
/// search.
pub const FILES: [&str; 14] = [
    "record.bin",
    "run.json",
    "intervals.csv",
    "latency.csv",
    "responses.csv",
    "agents.csv",
    "loops.csv",
    "availability.csv",
    "generator.csv",
    "findings.csv",
    "summary.csv",
    "latency.hlog",
    "report.html",
    "junit.xml",
];

/// A result directory.
pub struct ResultDir {
    path: PathBuf,
    /// `run.json`.
    pub run: Value,
}

/// A CSV file: rows by column name.
pub struct Table {
    pub header: Vec<String>,
    pub rows: Vec<BTreeMap<String, String>>,
}

impl ResultDir {
    pub fn open(path: &Path) -> ResultDir {
        let json = std::fs::read(path.join("run.json")).unwrap_or_else(|e| panic!("{}/run.json: {e}", path.display()));
        let run = serde_json::from_slice(&json).expect("run.json is JSON");
        ResultDir { path: path.to_owned(), run }
    }

    /// A number of `run.json` by JSON pointer (`/totals/attempts`).
    #[track_caller]
    pub fn number(&self, pointer: &str) -> f64 {
        self.run.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("run.json has no number {pointer}"))
    }

    /// A text of `run.json` by JSON pointer.
    #[track_caller]
    pub fn text(&self, pointer: &str) -> &str {
        self.run.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("run.json has no text {pointer}"))
    }

    /// A count under `totals`.
    #[track_caller]
    pub fn total(&self, name: &str) -> u64 {
        let value = self.run.pointer(&format!("/totals/{name}")).and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("run.json has no count totals.{name}"))
    }

    #[track_caller]
    pub fn table(&self, name: &str) -> Table {
        Table::read(&self.path.join(name))
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The messages per second in the second half of the load, both directions.
    #[track_caller]
    pub fn settled_messages_per_s(&self) -> f64 {
        let file = File::open(self.path.join("record.bin")).expect("a record");
        let results: Results = read(BufReader::new(file)).expect("a whole record");
        let load: Vec<_> = results.intervals.iter().filter(|interval| interval.stage == Stage::Load).collect();
        let half = &load[load.len() / 2..];
        let messages = half.iter().flat_map(|interval| &interval.trunks).map(|t| t.messages_sent + t.messages_received);
        let nanos: u64 = half.iter().map(|interval| interval.end_ns - interval.start_ns).sum();
        messages.sum::<u64>() as f64 / (nanos as f64 / 1e9)
    }

    /// Every attempt is in exactly one status, and every file says so.
    #[track_caller]
    pub fn expect_balanced(&self) {
        let attempts = self.total("attempts");
        let by_status: u64 = STATUSES.iter().map(|status| self.total(status)).sum();
        assert_eq!(by_status, attempts, "run.json: statuses against attempts");
        let by_kind = self.total("initial") + self.total("refreshes") + self.total("retries");
        assert_eq!(by_kind, attempts, "run.json: kinds against attempts");

        let intervals = self.table("intervals.csv");
        for status in STATUSES {
            let rows = intervals.rows.iter().filter(|row| row["status"] == status);
            let count: u64 = rows.map(|row| number(&row["count"]) as u64).sum();
            assert_eq!(count, self.total(status), "intervals.csv against run.json: {status}");
        }
        assert_eq!(intervals.sum("count") as u64, attempts, "intervals.csv: all its statuses");

        let agents = self.table("agents.csv");
        assert_eq!(agents.sum("attempts") as u64, attempts, "agents.csv: attempts");
        assert_eq!(agents.sum("registered") as u64, self.total("registered"), "agents.csv: registered");

        let latency = self.table("latency.csv");
        let phase = |name: &str| -> u64 {
            let rows = latency.rows.iter().filter(|row| row["phase"] == name);
            rows.map(|row| number(&row["count"]) as u64).sum()
        };
        let timed = phase("register") + phase("refresh");
        assert_eq!(timed, self.total("registered"), "latency.csv: one value in register or refresh per 2xx");
        let failed = attempts - self.total("registered") - self.total("shed") - self.total("abandoned");
        assert_eq!(phase("register_failed"), failed, "latency.csv: one value in register_failed per failure");
    }
}

impl Table {
    #[track_caller]
    pub fn read(path: &Path) -> Table {
        let mut reader = csv::Reader::from_path(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let header: Vec<String> = reader.headers().expect("a header row").iter().map(str::to_owned).collect();
        let rows = reader.records().map(|record| {
            let record = record.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            header.iter().cloned().zip(record.iter().map(str::to_owned)).collect()
        });
        Table { rows: rows.collect(), header }
    }

    /// The sum of a numeric column; an empty cell is unknown and adds nothing.
    #[track_caller]
    pub fn sum(&self, column: &str) -> f64 {
        self.rows.iter().map(|row| row[column].as_str()).filter(|cell| !cell.is_empty()).map(number).sum()
    }
}

/// A cell as a number.
#[track_caller]
pub fn number(cell: &str) -> f64 {
    cell.parse().unwrap_or_else(|_| panic!("`{cell}` is no number"))
}
