//! The report page: well-formed, self-contained, escaped, accessible, and of a bounded size.

use crate::fixture::{self, Shape};
use crate::{THRESHOLDS, rendered};
use sha2::{Digest, Sha256};

/// Checks that every element that is opened is closed, in order; enough for pages we write
/// ourselves.
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

/// What runs in the page, by its bytes; the rest is text.
pub fn without_scripts(page: &str) -> (String, Vec<&str>) {
    let mut parts = page.split("<script");
    let mut rest = parts.next().expect("the page begins").to_owned();
    let mut scripts = Vec::new();
    for part in parts {
        let (script, behind) = part.split_once("</script>").expect("a script ends");
        scripts.push(script);
        rest.push_str(behind);
    }
    (rest, scripts)
}

#[test]
fn every_page_is_well_formed_and_self_contained() {
    let crowd = Shape { trunks: 200, agents_per_trunk: 2, load_intervals: 3, refuse_every: 7 };
    for results in [fixture::run(), fixture::healthy(), fixture::killed(), fixture::empty(), crowd.results()] {
        let page = rendered(&results, &THRESHOLDS[..2], "report.html");
        let (text, _) = without_scripts(&page);
        assert_balanced(&text);
        for outside in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!text.contains(outside), "{outside}");
        }
        let tables = text.matches("<table").count();
        assert!(tables >= 4);
        assert_eq!(text.matches("<caption>").count(), tables, "every table has a caption");
        assert!(text.contains("<html lang=\"en\">") && text.contains("prefers-color-scheme: dark"));
        assert_eq!(
            text.matches("<th").count() - tables,
            text.matches("<th scope=").count(),
            "every heading has a scope"
        );
    }
}

/// The policy allows the scripts of the program by their hashes, and nothing else from anywhere.
#[test]
fn the_policy_names_the_scripts_of_the_page() {
    let page = rendered(&fixture::run(), &THRESHOLDS, "report.html");
    let policy = page.split("Content-Security-Policy\" content=\"").nth(1).and_then(|rest| rest.split('"').next());
    let policy = policy.expect("a policy");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    let (_, scripts) = without_scripts(&page);
    let [data, running @ ..] = scripts.as_slice() else { panic!("no script") };
    assert!(data.starts_with(" type=\"application/json\""), "numbers are no script");
    let hashes: Vec<String> = running
        .iter()
        .map(|script| {
            let code = script.strip_prefix('>').expect("a script without attributes");
            format!("'sha256-{}'", base64(&Sha256::digest(code.as_bytes())))
        })
        .collect();
    assert_eq!(hashes.len(), 2);
    let expected = format!("script-src {};", hashes.join(" "));
    assert!(policy.contains(&expected), "the policy must say {expected}\nand says {policy}");
    assert!(page.contains("The MIT License") && page.contains("Leon Sorokin"), "the library's licence is shown");
    assert!(
        !rendered(&fixture::empty(), &THRESHOLDS[..2], "report.html").contains("<script"),
        "nothing to draw, no script"
    );
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let quantum = |three: &[u8]| {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        let character = move |at: usize| match at {
            _ if at > three.len() => '=',
            _ => char::from(ALPHABET[(bits >> (18 - 6 * at)) as usize & 63]),
        };
        (0..4).map(character).collect::<String>()
    };
    bytes.chunks(3).map(quantum).collect()
}

#[test]
fn nothing_from_the_wire_becomes_markup() {
    let mut results = fixture::run();
    results.responses[0].reason = "<script>alert(1)</script>\u{0}".to_owned();
    results.header.users[4] = "\"><img src=x>".to_owned();
    let page = rendered(&results, &THRESHOLDS, "report.html");
    let (text, scripts) = without_scripts(&page);
    assert_balanced(&text);
    assert_eq!(scripts.len(), 3, "numbers, library, and our own");
    assert!(!text.contains("<img") && !text.contains("<b>") && !page.contains('\u{0}'));
    assert!(text.contains("&lt;script&gt;") && scripts[0].contains("img src=x") && !scripts[0].contains("<img"));
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
    let why = "1 of 4 targets was missed: attempts that succeeded: 50 % (target: at least 99.9 %).";
    assert!(page.contains(&format!("{why} 13 of 20 agents were registered at the peak.")));
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
