//! The report page: well-formed, self-contained, escaped, accessible, and of a bounded size.

use crate::files::finding;
use crate::fixture::{self, Shape};
use crate::{THRESHOLDS, judged, rendered};
use regstorm::diagnose::Finding;
use regstorm::measure::{AnswerForm, AnswererRow, Sightings};
use regstorm::record::RegistrarHeader;
use regstorm::report::trend::TrendRun;
use regstorm::report::{Surroundings, line, render_among};
use regstorm::vocab::{Class, Platform, Severity};
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

/// The page of a run that is not the built-in registrar's, with these findings and what lies around
/// it.
fn deciding(change: impl Fn(&mut regstorm::record::Results), found: &[Finding], around: &Surroundings) -> String {
    let mut results = fixture::run();
    results.header.trunks.truncate(1);
    results.header.trunks[0].registrar = "sip:edge.example.net;transport=udp".to_owned().into();
    change(&mut results);
    let judgement = judged(&results, &[("agents_registered_peak", ">= 20"), ("register.p99", "< 10s")]);
    let files = render_among(&results, &judgement, found, around);
    let (_, page) = files.into_iter().find(|(name, _)| *name == "report.html").expect("a page");
    String::from_utf8(page).expect("UTF-8")
}

#[test]
fn the_first_page_says_what_was_tested() {
    let page = deciding(|_| {}, &[], &Surroundings::default());
    for part in [
        "sip:edge.example.net (127.0.0.1:5060, UDP) for the domain example.test",
        "20 agents planned, 20 needed by the targets",
        "Saturday 21 November 2026, 01:02 UTC, for 1 minute 15 seconds",
        "There is none: no earlier run of this name in the same folder has passed.",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // A card is red where its target was missed, green where it was met.
    let card = |label: &str| {
        let before = &page[..page.find(&format!("<dt>{label}</dt>")).expect(label)];
        before[before.rfind("<div class=\"").expect("a card") + 12..].split('"').next().expect("a class")
    };
    assert_eq!(["Signed in", "Slowest one in a hundred", "Availability"].map(card), ["bad", "good", ""]);
    assert!(!page.contains("Ask your carrier"), "nothing to ask");
}

#[test]
fn the_carrier_is_asked_with_what_it_needs_to_look() {
    let found = [finding(Severity::Critical, "trunk_00", "the trunk takes 400 registrations")];
    let page = deciding(|_| {}, &found, &Surroundings::default());
    let (_, text) = page.split_once("<pre class=\"copy\">").expect("a text");
    let (text, _) = text.split_once("</pre>").expect("its end");
    for part in [
        "Registrar: sip:edge.example.net (127.0.0.1:5060, UDP) for the domain example.test",
        "When: Saturday 21 November 2026, 01:02:04 to 01:03:04 UTC",
        "How many: 12 phones of 10 in 3,400 attempts",
        "What we saw: the trunk takes 400 registrations",
        "Example Call-IDs: 7",
        "Our question: How many registrations may be held on this trunk at once",
    ] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    // What the test machine did wrong is no question for a carrier.
    let own = Finding { id: "generator.saturated".to_owned(), ..finding(Severity::Warning, "", "late") };
    assert!(!deciding(|_| {}, &[own], &Surroundings::default()).contains("Ask your carrier"));
}

#[test]
fn advice_is_for_the_platform_in_use() {
    let found = [finding(Severity::Critical, "trunk_00", "x")];
    let page = |change: &dyn Fn(&mut regstorm::record::Results)| deciding(change, &found, &Surroundings::default());
    let (there, folded) = ("<li>Kamailio: look there</li>", "On products that may be in use here");
    let said = |platform| page(&|results| results.header.trunks[0].platform = Some(platform));
    let named = |software: &str| {
        page(&|results| {
            results.evidence.answerers.push(AnswererRow {
                trunk: 0,
                software: software.to_owned(),
                form: AnswerForm::default(),
                class: Class::Registered,
                group: 0,
                as_challenged: None,
                seen: Sightings::default(),
            });
        })
    };
    for (page, shown, open) in [
        (said(Platform::Kamailio), true, true),
        (said(Platform::Asterisk), false, false),
        (named("kamailio (5.6.3 (x86_64/linux))"), true, true),
        (named("FreeSWITCH-mod_sofia/1.10.9"), false, false),
        (named("edge-2"), true, false),
        (page(&|_| {}), true, false),
        (page(&|results| results.header.trunks[0].registrar = RegistrarHeader::Embedded), false, false),
    ] {
        assert!(page.contains("<li>look here</li>"), "what holds everywhere is always there");
        assert_eq!((page.contains(there), page.contains(folded)), (shown, shown && !open));
    }
}

#[test]
fn the_last_good_run_stands_beside_this_one() {
    let healthy = rendered(&fixture::healthy(), &[], "run.json");
    let document = serde_json::from_str(&healthy).expect("JSON");
    let good = TrendRun { place: "results/x-1".to_owned(), document };
    let page = deciding(|_| {}, &[], &Surroundings { last_good: Some(good), has_trend: true, rehearsed: None });
    let rows: Vec<Vec<&str>> = page
        .split("<tr><th scope=\"row\">")
        .skip(1)
        .map(|row| {
            let row = row.split("</tr>").next().expect("a row");
            row.split("</th>")
                .flat_map(|part| part.split("</td>"))
                .map(|cell| cell.rsplit('>').next().unwrap_or(cell))
                .collect()
        })
        .collect();
    let row = |name: &str| {
        rows.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("{name}: {rows:?}"))[1..4].to_vec()
    };
    assert_eq!(row("Agents signed in at the peak"), ["20", "13", "-7"]);
    assert_eq!(row("Agents planned"), ["20", "20", "none"]);
    assert!(
        page.contains("passed: results&#x2f;x-1, Saturday 21 November 2026.") && page.contains("href=\"trend.html\"")
    );
}

#[test]
fn a_rehearsal_says_that_it_is_one_and_when_it_was() {
    let around = Surroundings { rehearsed: Some("Monday 30 November 2026".to_owned()), ..Surroundings::default() };
    let found = [finding(Severity::Critical, "trunk_00", "x")];
    let page = deciding(|results| results.header.simulated = true, &found, &around);
    for part in [
        "<title>Rehearsal: Failed: ",
        "virtual time, no packet was sent",
        "rehearsed on Monday 30 November 2026, for 1 minute 15 seconds of virtual time",
        "1s to 1m01s after the start",
        "so there is nobody to ask",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_run_is_said_in_one_sentence() {
    let results = fixture::run();
    let found = [finding(Severity::Critical, "trunk_01", "the trunk takes 400")];
    let text = line::render(&results, &judged(&results, &THRESHOLDS), &found, None, "results/x");
    assert_eq!(
        text,
        "nj <pilot> & \"friends\" FAILED (Saturday 21 November 2026): 13 of 20 agents signed in on 2 trunks, 68.33 % \
         available, 24 of 52 attempts refused, 1 of 52 without an answer; main cause: the trunk takes 400; results/x\n"
    );
}
