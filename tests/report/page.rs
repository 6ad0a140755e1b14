//! The report page: well-formed, self-contained, escaped, accessible, and of a bounded size.

use crate::fixture::{self, Shape};
use crate::{THRESHOLDS, rendered};

/// Checks that every element that is opened is closed, in order; enough for pages we write ourselves.
pub fn assert_balanced(text: &str) {
    const VOID: [&str; 3] = ["meta", "link", "br"];
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let end = at + rest[at..].find('>').expect("a tag ends");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().expect("a name");
        if tag.starts_with(['!', '?']) || tag.ends_with('/') || VOID.contains(&name) {
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes in <{tag}>");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "closed in order");
        } else {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

#[test]
fn every_page_is_well_formed_and_self_contained() {
    let crowd = Shape { trunks: 200, agents_per_trunk: 2, load_intervals: 3, refuse_every: 7 };
    for results in [fixture::run(), fixture::healthy(), fixture::killed(), fixture::empty(), crowd.results()] {
        let page = rendered(&results, &THRESHOLDS[..2], "report.html");
        assert_balanced(&page);
        for outside in ["<script", "http:", "https:", "src=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        let tables = page.matches("<table").count();
        assert!(tables >= 4);
        assert_eq!(page.matches("<caption>").count(), tables, "every table has a caption");
        assert!(page.contains("<html lang=\"en\">") && page.contains("prefers-color-scheme: dark"));
        assert_eq!(
            page.matches("<th").count() - tables,
            page.matches("<th scope=").count(),
            "every heading has a scope"
        );
    }
}

#[test]
fn nothing_from_the_wire_becomes_markup() {
    let mut results = fixture::run();
    results.responses[0].reason = "<script>alert(1)</script>\u{0}".to_owned();
    results.header.users[4] = "\"><img src=x>".to_owned();
    let page = rendered(&results, &THRESHOLDS, "report.html");
    assert_balanced(&page);
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b>") && !page.contains('\u{0}'));
    assert!(page.contains("&lt;script&gt;"));
}

#[test]
fn a_page_stays_small_however_long_the_run() {
    let long = Shape { trunks: 2, agents_per_trunk: 150, load_intervals: 250, refuse_every: 5 };
    let mut results = long.results();
    let page = rendered(&results, &THRESHOLDS, "report.html");
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    assert!(page.contains("2 intervals to a row; intervals.csv has all 252."));
    assert!(page.contains("10 more rows are in loops.csv."));
    results.header.trunks = (0..1_000).map(|_| results.header.trunks[0].clone()).collect();
    // A histogram takes 140 KB, and this page is about rows.
    results.trunk_totals[0].latency_us.clear();
    results.trunk_totals = (0..1_000).map(|_| results.trunk_totals[0].clone()).collect();
    let page = rendered(&results, &[], "report.html");
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
}

#[test]
fn the_verdict_is_a_sentence() {
    let page = rendered(&fixture::run(), &THRESHOLDS, "report.html");
    assert!(page.contains("<strong>Failed</strong>"));
    assert!(page.contains("1 of 4 targets was missed. 13 of 20 agents were registered at the peak."));
    let page = rendered(&fixture::healthy(), &THRESHOLDS, "report.html");
    assert!(page.contains("All 4 targets were met. 20 of 20 agents were registered at the peak."));
}

/// Writes the pages of the fixtures to `REGSTORM_PAGES`, to be looked at.
#[test]
#[ignore = "for looking at: REGSTORM_PAGES=dir cargo test --test report -- --ignored"]
fn write_pages_to_look_at() {
    let dir = std::path::PathBuf::from(std::env::var("REGSTORM_PAGES").expect("REGSTORM_PAGES names a directory"));
    let large = Shape { trunks: 3, agents_per_trunk: 400, load_intervals: 12, refuse_every: 9 };
    for (name, results) in [("failed", large.results()), ("passed", fixture::healthy()), ("killed", fixture::killed())]
    {
        let page = rendered(&results, &THRESHOLDS, "report.html");
        std::fs::write(dir.join(format!("{name}.html")), page).expect("written");
    }
}
