//! `report.html` in a real browser: without an error, a request, an empty chart or faint text, with
//! scripts and without; and on paper.

mod browser;
mod runs;
#[path = "../support/mod.rs"]
mod support;

use browser::{Found, Scheme, Scripts, console, look};
use runs::Run;
use support::program::{Regstorm, command};

/// What every page owes, at the width of a desk and of a phone, light and dark, with scripts and
/// without.
fn expect_sound(run: &Run, charts: usize, findings: usize) {
    let page = run.page();
    for (width, scheme) in [(1280, Scheme::Light), (390, Scheme::Dark)] {
        let on = look(&page, width, scheme, Scripts::On);
        expect_first_page(&on, findings);
        assert_eq!(on.charts.len(), charts, "{on:?}");
        for chart in &on.charts {
            assert!(chart.values > 0 && chart.marks > 20, "{} shows nothing: {chart:?}", chart.id);
            assert!(chart.keyboard && !chart.still, "{chart:?}");
        }
        let off = look(&page, width, scheme, Scripts::Off);
        expect_first_page(&off, findings);
        assert!(!off.scripted && off.charts.iter().all(|chart| chart.still), "{off:?}");
    }
    assert_eq!(console(&run.page_file()), Vec::<String>::new());
}

fn expect_first_page(found: &Found, findings: usize) {
    assert_eq!(found.errors, Vec::<String>::new());
    assert_eq!((&found.violations, &found.requests), (&vec![], &vec![]), "nothing is asked from outside");
    assert_eq!(found.contrast, Vec::<String>::new());
    assert!(found.texts > 50, "{} texts were looked at", found.texts);
    assert!(found.title && found.verdict.len() > 20 && found.figures == 6, "{found:?}");
    assert_eq!(found.findings, findings, "{found:?}");
    assert_eq!((found.skipped, found.unnamed), (0, 0), "{found:?}");
    assert!(found.wide <= 0, "the page is {} pixels wider than its window", found.wide);
}

#[test]
fn a_pass() {
    expect_sound(&runs::pass(), 5, 0);
}

#[test]
fn a_failing_go_live_with_a_limit() {
    let run = runs::limit();
    expect_sound(&run, 6, 1);
    assert!(run.page().contains("limit.concurrent"));
}

#[test]
fn a_403_loop() {
    let run = runs::looping();
    let page = run.page();
    assert!(page.contains("data-plot=\"loop-map\""));
    // Nobody registers: there is no latency to draw over time, and the page does not draw an empty
    // one.
    expect_sound(&run, 5, 1);
}

#[test]
fn a_soak_of_eight_hours_on_fifteen_trunks() {
    let run = runs::soak();
    assert!(run.page().len() < 1_000_000, "{} bytes", run.page().len());
    // Agents, outcomes, latency, distribution, lag, loops, and a small one for each trunk.
    expect_sound(&run, 6 + 15, 1);
}

#[test]
fn an_interrupted_run_and_an_empty_one() {
    let run = runs::limit();
    let interrupted = run.cut(|record| record.len() * 6 / 10);
    assert!(interrupted.page().contains("<strong>Interrupted</strong>"));
    let charts = interrupted.page().matches("<div class=\"plot\"").count();
    let findings = interrupted.page().matches("class=\"finding ").count();
    assert!(charts >= 5, "{charts}");
    expect_sound(&interrupted, charts, findings);
    let empty = run.cut(runs::header_alone);
    assert!(!empty.page().contains("<div class=\"plot\""), "nothing to draw");
    expect_sound(&empty, 0, 0);
}

/// The checks are no good unless each of them can fail.
#[test]
fn a_broken_page_is_caught() {
    let page = runs::pass().page();
    let broken = |from: &str, to: &str| {
        assert!(page.contains(from), "nothing to break: {from}");
        look(&page.replacen(from, to, 1), 1280, Scheme::Light, Scripts::On)
    };
    assert!(!broken("--soft: #59636e", "--soft: #a9b3be").contrast.is_empty(), "faint text");
    assert!(!broken("--good: #00795a", "--good: #d0f0d0").contrast.is_empty(), "faint marks");
    let outside = broken("<main>", "<main><img src=\"http://127.0.0.1:9/x.png\" alt=\"\">");
    assert!(!outside.violations.is_empty(), "a request: {outside:?}");
    let changed = broken("const plots = JSON.parse", "const plots = null; JSON.parse");
    assert!(!changed.scripted, "a script that is not the program's own does not run");
    let nothing = broken("\"kind\":\"steps\"", "\"kind\":\"map\"");
    assert!(!nothing.errors.is_empty(), "a script that stumbles");
    assert!(!broken("<h1>", "<h1 hidden>").title);
    assert!(broken("<caption>", "<caption hidden></caption><caption>").unnamed > 0);
    assert!(broken("<main>", "<main><div style=\"width: 2000px\">x</div>").wide > 0);
    let found = look(&without_values(&page), 1280, Scheme::Light, Scripts::On);
    let whole = look(&page, 1280, Scheme::Light, Scripts::On);
    assert!(found.charts.iter().all(|chart| chart.values == 0), "{found:?}");
    assert!(found.charts[0].marks == 0 && whole.charts[0].marks > 20, "{found:?} {whole:?}");
}

/// The page with every number of every series unknown.
fn without_values(page: &str) -> String {
    let mut parts = page.split("\"values\":[");
    let mut copy = parts.next().expect("the page begins").to_owned();
    for part in parts {
        let (numbers, rest) = part.split_once(']').expect("a list ends");
        let unknown = vec!["null"; numbers.split(',').count()].join(",");
        copy.push_str(&format!("\"values\":[{unknown}]{rest}"));
    }
    copy
}

#[test]
fn a_page_is_printed_on_either_paper() {
    let run = runs::pass();
    for (paper, width) in [("a4", "594."), ("letter", "612 ")] {
        run.report(&["--pdf", "--paper", paper]);
        let pdf = std::fs::read(run.out().join("report.pdf")).expect("written");
        let text = String::from_utf8_lossy(&pdf);
        assert!(text.starts_with("%PDF-") && text.contains(&format!("/MediaBox [0 0 {width}")), "{paper}");
    }
    let left =
        std::fs::read_dir(run.out()).expect("there").filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    assert_eq!(left.filter(|name| name.ends_with(".tmp")).count(), 0, "the scratch directory is gone");
}

#[test]
fn without_chromium_the_remedy_is_named() {
    let run = runs::pass();
    let mut without = command(run.path(), &["report", "out", "--pdf"]);
    without.env("PATH", run.path());
    let finished = Regstorm::start_with(without).wait(std::time::Duration::from_secs(300));
    finished.expect_code(3);
    let said = finished.stderr();
    assert!(said.contains("apt install chromium") && said.contains("print report.html"), "{said}");
}

/// The same record gives the same bytes, by whichever process and as often as one likes.
#[test]
fn the_same_record_gives_the_same_bytes() {
    let run = runs::limit();
    let files = || {
        let mut files: Vec<_> = std::fs::read_dir(run.out()).expect("there").filter_map(Result::ok).collect();
        files.sort_by_key(std::fs::DirEntry::file_name);
        files
            .into_iter()
            .map(|file| (file.file_name(), std::fs::read(file.path()).expect("a file")))
            .collect::<Vec<_>>()
    };
    let first = files();
    for _ in 0..3 {
        run.report(&[]);
        for ((name, before), (again, after)) in first.iter().zip(&files()) {
            assert_eq!(name, again);
            assert!(before == after, "{} differs", name.display());
        }
    }
}
