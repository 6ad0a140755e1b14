//! `regstorm trend`, as typed, over forty nights made up: what happened in them is known.

mod support;

use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use support::program::{Finished, Regstorm};

const NIGHTS: u32 = 40;

/// Between -1 and 1, the same in each run of the test, without a pattern.
fn scatter(night: u32, figure: u32) -> f64 {
    let mixed = (night * 7 + figure * 131 + 17).wrapping_mul(2_654_435_761);
    f64::from((mixed ^ (mixed >> 13)).wrapping_mul(2_246_822_519) >> 8) / f64::from(1_u32 << 23) - 1.0
}

/// A step of the slowest one in a hundred in night 15, a drift of availability from night 20 on, an
/// outlier of the median in night 9, a finding in nights 25 to 27, another lifetime from night 15
/// on, and one night that is invalid.
fn nights(folder: &Path) {
    for night in 0..NIGHTS {
        let day = jiff::civil::date(2026, 10, 1) + jiff::Span::new().days(night);
        let p99 = 12_000.0 * (if night >= 15 { 1.5 } else { 1.0 }) * (1.0 + 0.02 * scatter(night, 1));
        let p50 = 900.0 * (1.0 + 0.02 * scatter(night, 2)) * if night == 9 { 6.0 } else { 1.0 };
        let drift = f64::from(night.saturating_sub(20)) * 0.1;
        let invalid = night == 30;
        let findings = if (25..28).contains(&night) { json!([{ "id": "limit.concurrent" }]) } else { json!([]) };
        let run = json!({
            "name": "nightly",
            "started": format!("{day}T02:00:00.000Z"),
            "simulated": false,
            "verdict": if invalid { "invalid" } else { "pass" },
            "generator": { "verdict": if invalid { "invalid" } else { "valid" } },
            "profile": { "trunk": [{ "expires": if night >= 15 { "30m" } else { "1h" } }] },
            "totals": {
                "attempts": 1000, "registered": 1000, "agents_registered_peak": 500, "agents_looping": 0,
                "availability_pct": 99.0 - drift + 0.05 * scatter(night, 3),
            },
            "latency_us": { "register": { "p50": p50, "p99": if invalid { 900_000.0 } else { p99 } }, "refresh": {} },
            "findings": findings,
        });
        let directory = folder.join(format!("nightly-{day}"));
        std::fs::create_dir_all(&directory).expect("writable");
        std::fs::write(directory.join("run.json"), run.to_string()).expect("writable");
    }
}

fn trend(dir: &Path, args: &[&str]) -> Finished {
    Regstorm::run(dir, &[&["trend", "results"], args].concat(), Duration::from_secs(60))
}

#[test]
fn forty_nights_with_a_step_a_drift_and_an_outlier() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    nights(&dir.path().join("results"));
    let told = trend(dir.path(), &["--json"]);
    told.expect_code(0);
    let document: Value = serde_json::from_slice(&told.stdout).expect("JSON on stdout");
    let changes = document["changes"].as_array().expect("a list");
    let found: Vec<(&str, &str)> = changes
        .iter()
        .map(|change| {
            let text = change["text"].as_str().expect("a text");
            (change["figure"].as_str().expect("a name"), text.split(':').next().expect("a kind"))
        })
        .collect();
    assert_eq!(found, [("register.p99", "step"), ("availability_pct", "drift")], "{document:#}");
    assert_eq!(changes[0]["started"], "2026-10-16T02:00:00.000Z", "{document:#}");
    assert!(changes.iter().all(|change| change["worse"] == true), "{document:#}");
    let outliers = document["outliers"].as_array().expect("a list");
    assert!(outliers.iter().any(|one| one["figure"] == "register.p50" && one["run"] == "results/nightly-2026-10-10"));
    assert_eq!(document["findings"][0][0], "limit.concurrent");
    assert_eq!(document["findings"][0][1], "came 2026-10-26T02:00");
    assert_eq!(document["findings"][0][2], "gone 2026-10-29T02:00");
    assert_eq!(document["profile"][0]["change"], "trunk.0.expires: 1h -> 30m");
    assert!(document["method"].as_str().is_some_and(|method| method.contains("optimal partitioning")));
}

#[test]
fn the_same_is_said_as_text_page_and_table() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    nights(&dir.path().join("results"));
    let text = trend(dir.path(), &[]);
    text.expect_code(0);
    let last = text.stdout().trim_end().lines().last().expect("a sentence").to_owned();
    assert!(last.starts_with("nightly: 39 of 40 runs passed; "), "{last}");
    assert!(last.contains("got worse on 2026-10-"), "{last}");
    let page = trend(dir.path(), &["--html", "--out", "trend.html"]);
    assert_eq!(page.stdout().trim_end(), last);
    let html = std::fs::read_to_string(dir.path().join("trend.html")).expect("written");
    assert!(html.matches("<svg").count() >= 5 && !html.contains("NaN"), "{html}");
    assert!(!html.contains("src=") && !html.contains("<link"), "it reaches for nothing");
    let csv = trend(dir.path(), &["--csv"]);
    assert_eq!(csv.stdout().lines().count(), 41);
    assert!(csv.stdout().starts_with("started,run,verdict,generator,success_ratio,"), "{}", csv.stdout());
}

#[test]
fn too_few_runs_or_none_are_said() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let folder = dir.path().join("results");
    std::fs::create_dir_all(&folder).expect("writable");
    let none = trend(dir.path(), &[]);
    none.expect_code(2);
    assert!(none.stderr().contains("there is no run in it"), "{}", none.stderr());
    nights(&folder);
    for entry in std::fs::read_dir(&folder).expect("readable").skip(4) {
        std::fs::remove_dir_all(entry.expect("readable").path()).expect("writable");
    }
    let few = trend(dir.path(), &[]);
    few.expect_code(0);
    assert!(few.stdout().contains("too few to tell a change"), "{}", few.stdout());
    trend(dir.path(), &["--name", "other"]).expect_code(2);
}
