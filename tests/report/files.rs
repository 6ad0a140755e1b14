//! Every derived file: headers, sums, golden text, and what must never appear.

use crate::fixture::{self, Shape};
use crate::{THRESHOLDS, judged, rendered};
use regstorm::diagnose::explain::LookAt;
use regstorm::diagnose::{Finding, Threshold, judge};
use regstorm::record::Results;
use regstorm::report::{dictionary, render_all, summary};
use regstorm::vocab::{Confidence, Platform, Severity};
use serde_json::Value;

/// The headers as the contract fixes them; columns may only be added behind.
const CONTRACT: [(&str, &str); 9] = [
    ("intervals.csv", "interval_start,interval_s,trunk_id,status,count,warmup"),
    (
        "latency.csv",
        "interval_start,interval_s,trunk_id,phase,count,min_us,mean_us,p50_us,p90_us,p95_us,p99_us,p999_us,max_us,warmup",
    ),
    ("responses.csv", "trunk_id,kind,code,reason,count,first_seen,last_seen"),
    (
        "agents.csv",
        "trunk_id,user,final_status,attempts,registered,last_code,last_reason,loop_kind,first_registered,last_change",
    ),
    ("loops.csv", "trunk_id,user,loop_kind,code,reason,attempts,first_seen,last_seen,mean_period_s"),
    (
        "availability.csv",
        "interval_start,interval_s,trunk_id,agents_planned,agents_registered,agent_minutes_planned,\
         agent_minutes_available,availability_pct,warmup",
    ),
    (
        "generator.csv",
        "interval_start,interval_s,agents_planned,agents_active,attempts,late,lag_p99_us,lag_max_us,longest_turn_ms,cpu_s,\
         memory_bytes,socket_drops,send_errors,requests_answered,requests_unanswered,suspended_s,warmup",
    ),
    ("findings.csv", "id,severity,trunk_id,agents,attempts,first_seen,last_seen,confidence,summary,evidence,advice"),
    ("summary.csv", "metric,value,unit,target,result,meaning"),
];

fn every_run() -> Vec<(&'static str, Results)> {
    let crowd = Shape { trunks: 200, agents_per_trunk: 2, load_intervals: 3, refuse_every: 7 };
    vec![
        ("run", fixture::run()),
        ("healthy", fixture::healthy()),
        ("killed", fixture::killed()),
        ("empty", fixture::empty()),
        ("200 trunks", crowd.results()),
    ]
}

/// Rows of a CSV file by column name, read by the csv crate with equal lengths required.
fn rows(text: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    csv::Reader::from_reader(text.as_bytes()).deserialize().map(|row| row.expect("well-formed")).collect()
}

fn sum(rows: &[std::collections::BTreeMap<String, String>], column: &str) -> u64 {
    rows.iter().map(|row| row[column].parse::<u64>().expect("a number")).sum()
}

#[test]
fn headers_are_those_of_the_contract_and_of_the_dictionary() {
    assert_eq!(dictionary::files(), CONTRACT.map(|(file, _)| file));
    for (file, header) in CONTRACT {
        let text = rendered(&fixture::run(), &THRESHOLDS, file);
        let first = text.split("\r\n").next().expect("a header");
        assert!(first == header || first.starts_with(&format!("{header},")), "{file}: {first}");
        let described: Vec<_> = dictionary::columns(file).map(|column| column.name).collect();
        assert_eq!(first.split(',').collect::<Vec<_>>(), described, "{file}");
        assert!(dictionary::columns(file).all(|column| !column.meaning.is_empty()), "{file}");
    }
}

/// What spreadsheets and pandas need so that nobody has to set an option: one header of distinct
/// names, lines of one length that end alike, no byte order mark, no comment, and numbers without
/// thousands separators.
#[test]
fn every_csv_opens_without_options() {
    for (name, results) in every_run() {
        let files = render_all(&results, &judged(&results, &THRESHOLDS[..1]), &[]);
        for (file, bytes) in files.into_iter().filter(|(file, _)| file.ends_with(".csv")) {
            let text = String::from_utf8(bytes).expect("every file is UTF-8");
            assert!(!text.starts_with(['\u{feff}', '#']), "{file} of {name}");
            assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{file} of {name}");
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            let header = reader.headers().expect("a header").clone();
            let distinct: std::collections::BTreeSet<&str> = header.iter().collect();
            assert_eq!(distinct.len(), header.len(), "{file} of {name}");
            for row in reader.records() {
                let row = row.expect("as many cells as the header");
                let grouped = |cell: &str| cell.contains(',') && cell.replace(',', "").parse::<f64>().is_ok();
                assert!(!row.iter().any(grouped), "{file} of {name}: {row:?}");
            }
        }
    }
}

#[test]
fn the_sum_of_statuses_is_the_number_of_attempts_in_every_file() {
    for (name, results) in every_run() {
        let attempts = results.totals.attempts;
        let files: std::collections::BTreeMap<_, _> =
            render_all(&results, &judged(&results, &[]), &[]).into_iter().collect();
        let file = |name: &str| std::str::from_utf8(&files[name]).expect("every file is UTF-8");
        let json: Value = serde_json::from_str(file("run.json")).expect("JSON");
        let statuses = |totals: &Value| -> u64 {
            regstorm::vocab::Status::ALL.iter().map(|s| totals[s.as_str()].as_u64().expect("a count")).sum()
        };
        assert_eq!(json["totals"]["attempts"], attempts, "{name}");
        assert_eq!(statuses(&json["totals"]), attempts, "{name}");
        let trunks = json["trunks"].as_array().expect("a list");
        assert_eq!(trunks.iter().map(|trunk| statuses(&trunk["totals"])).sum::<u64>(), attempts, "{name}");
        if name != "empty" {
            assert_eq!(sum(&rows(file("intervals.csv")), "count"), attempts, "{name}");
        }
        assert_eq!(sum(&rows(file("agents.csv")), "attempts"), attempts, "{name}");
        let registered = results.totals.sums.status[0];
        assert_eq!(sum(&rows(file("agents.csv")), "registered"), registered, "{name}");
    }
}

#[test]
fn run_json_has_every_key() {
    let json: Value = serde_json::from_str(&rendered(&fixture::run(), &THRESHOLDS, "run.json")).expect("JSON");
    assert_eq!(json["schema"], "regstorm.run/1");
    assert_eq!(json["tool"]["name"], "regstorm");
    assert_eq!(json["started"], "2026-11-21T01:02:03.004Z");
    assert_eq!(json["ended"], "2026-11-21T01:03:18.004Z");
    assert_eq!(json["verdict"], "fail");
    assert_eq!(json["findings"], Value::Array(vec![]));
    assert_eq!(json["profile"]["trunk"][0]["agents"]["password"], "***");
    assert_eq!(json["thresholds"][1]["name"], "register.p99");
    assert_eq!(json["thresholds"][1]["expr"], "< 250ms");
    let phases = "register,register_service,register_failed,challenge,authenticated,refresh,unregister,options,connect";
    for (at, keys) in [
        (
            "",
            "schema,tool,name,started,ended,verdict,invalid_reasons,profile,seed,host,thresholds,totals,generator,latency_us,schedule_lag_us,cpu,findings,trunks,arrivals_planned,conditions",
        ),
        ("/thresholds/0", "name,expr,value,pass"),
        (
            "/totals",
            "attempts,register_requests,agents,agents_registered_peak,agents_registered_at_end,agents_looping,initial,refreshes,retries,messages_sent,messages_received,retransmissions,late_responses,ceiling_refused,bytes_sent,bytes_received,ira_pct,ira_pct_requests,auth_loop_pct,agent_minutes_planned,agent_minutes_available,availability_pct",
        ),
        ("/generator", "verdict,reasons,arrivals_late,socket_drops,send_errors,loop_stalls,cpu_pct,features"),
        ("/latency_us", phases),
        ("/latency_us/options", "count,min,mean,p50,p90,p95,p99,p999,max"),
        ("/schedule_lag_us", "p50,p99,max"),
        ("/cpu", "user_s,system_s,max_rss_bytes"),
        ("/trunks/1", "id,registrar,target,transport,domain,totals"),
        (
            "/conditions",
            "transport,connection_strategy,challenged,expires_s,establishment_threshold_s,tls_cipher_suite,attempts_configured,attempts_actual",
        ),
    ] {
        let object = json.pointer(at).and_then(Value::as_object).unwrap_or_else(|| panic!("{at} is an object"));
        for key in keys.split(',') {
            assert!(object.contains_key(key), "{at}/{key}");
        }
    }
    assert_eq!(json["latency_us"]["options"]["count"], 0);
    assert_eq!(json["latency_us"]["options"]["p99"], Value::Null);
    assert_eq!(json["conditions"]["challenged"], true);
}

#[test]
fn unknown_is_empty_and_never_a_number() {
    for (name, results) in every_run() {
        for (file, bytes) in render_all(&results, &judged(&results, &THRESHOLDS[..1]), &[]) {
            let text = String::from_utf8(bytes).expect("every file is UTF-8");
            for word in ["NaN", "inf", "None", "Some("] {
                let found = text.split(|c: char| !c.is_alphanumeric() && c != '(').any(|token| token == word);
                assert!(!found, "{word} in {file} of {name}");
            }
            assert!(!text.is_empty(), "{file} of {name}");
        }
    }
    let never = rows(&rendered(&fixture::run(), &[], "agents.csv")).remove(3);
    assert_eq!((never["attempts"].as_str(), never["final_status"].as_str()), ("0", ""));
    assert_eq!(
        (never["last_change"].as_str(), never["first_registered"].as_str(), never["last_code"].as_str()),
        ("", "", "")
    );
    let json: Value = serde_json::from_str(&rendered(&fixture::empty(), &[], "run.json")).expect("JSON");
    assert_eq!(json["totals"]["ira_pct"], Value::Null);
    assert_eq!(json["totals"]["availability_pct"], Value::Null);
}

#[test]
fn a_killed_run_says_so_in_every_file_for_people() {
    let results = fixture::killed();
    let json: Value = serde_json::from_str(&rendered(&results, &[], "run.json")).expect("JSON");
    assert_eq!(json["verdict"], "interrupted");
    assert_eq!(json["cpu"]["user_s"], Value::Null);
    assert_eq!(json["ended"], "2026-11-21T01:03:18.004Z", "the last thing known");
    assert!(rendered(&results, &[], "summary.csv").contains("interrupted"));
    assert!(rendered(&results, &THRESHOLDS, "junit.xml").contains("<error type=\"interrupted\""));
    assert!(rendered(&results, &[], "report.html").contains("killed before its end"));
    assert!(summary::render(&results, &judged(&results, &[]), &[], "out").contains("INTERRUPTED"));
}

#[test]
fn a_stopped_run_says_why_in_every_file_for_people() {
    let mut results = fixture::run();
    results.end.as_mut().expect("ended").aborted = Some(fixture::aborted());
    let json: Value = serde_json::from_str(&rendered(&results, &[], "run.json")).expect("JSON");
    assert_eq!(
        json["aborted"],
        serde_json::json!({
            "name": "trunk.trunk_00.success_ratio", "expr": "< 0.5", "value": 0.125, "at": "2026-11-21T01:02:23.004Z",
        })
    );
    let why = "Stopped after 20s by abort_on: trunk.trunk_00.success_ratio < 0.5 (at 12.5 %).";
    let summary = |thresholds| summary::render(&results, &judged(&results, thresholds), &[], "out");
    assert!(summary(&[][..]).contains(&format!("FAIL  {why}\n")), "{}", summary(&[]));
    assert!(summary(&THRESHOLDS).contains(&format!("FAIL  {why} 1 of 4 targets was missed.\n")));
    let csv = rows(&rendered(&results, &[], "summary.csv"));
    assert_eq!((csv[0]["value"].as_str(), csv[0]["meaning"].as_str()), ("failed", why));
    assert!(rendered(&results, &[], "report.html").contains(&why.replace('<', "&lt;")));
    let junit = rendered(&results, &THRESHOLDS, "junit.xml");
    assert!(junit.contains("tests=\"5\" failures=\"2\" errors=\"0\""), "{junit}");
    assert!(junit.contains("name=\"abort_on trunk.trunk_00.success_ratio &lt; 0.5\""), "{junit}");
    crate::page::assert_balanced(&junit);
    // Interrupted on top of it: the figures are still those of a stopped run.
    results.end.as_mut().expect("ended").interrupted_by = Some(2);
    let text = summary::render(&results, &judged(&results, &[]), &[], "out");
    assert!(text.contains(&format!("INTERRUPTED  {why} The run was stopped by hand")), "{text}");
}

#[test]
fn availability_ends_where_the_drain_begins() {
    let rows = rows(&rendered(&fixture::run(), &[], "availability.csv"));
    assert_eq!(rows.len(), 12, "six intervals of load, two trunks");
    assert_eq!(rows[11]["interval_start"], "2026-11-21T01:02:53.004Z");
    assert_eq!((rows[11]["agents_planned"].as_str(), rows[11]["agents_registered"].as_str()), ("10", "8"));
    assert_eq!((rows[11]["interval_s"].as_str(), rows[11]["availability_pct"].as_str()), ("10", "80"));
}

#[test]
fn a_loop_has_its_mean_period() {
    let rows = rows(&rendered(&fixture::run(), &[], "loops.csv"));
    assert_eq!(rows.len(), 4);
    assert_eq!((rows[0]["attempts"].as_str(), rows[0]["mean_period_s"].as_str()), ("6", "10"));
    assert_eq!(rows[0]["reason"], "Registration \"limit\" exceeded, <b>sorry</b>", "quoted and read back");
}

#[test]
fn csv_files_end_their_lines_as_rfc_4180_asks() {
    for (file, _) in CONTRACT {
        let text = rendered(&fixture::run(), &THRESHOLDS, file);
        assert!(text.ends_with("\r\n"), "{file}");
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{file}");
    }
}

/// A finding as a detector words it, with what must be escaped somewhere.
pub fn finding(severity: Severity, trunk: &str, summary: &str) -> Finding {
    Finding {
        id: "limit.concurrent".to_owned(),
        severity,
        trunk_id: trunk.to_owned(),
        users: Vec::new(),
        call_ids: vec!["7".to_owned()],
        seen_ns: (1_000_000_000, 61_000_000_000),
        agents: 12,
        attempts: 3_400,
        first_seen: "2026-11-21T01:02:04.004Z".to_owned(),
        last_seen: "2026-11-21T01:03:04.004Z".to_owned(),
        confidence: Confidence::High,
        summary: summary.to_owned(),
        evidence: "12 x 403 <Forbidden>; for example a1 (Call-ID 7)".to_owned(),
        advice: "look here | Kamailio: look there".to_owned(),
        places: [("any", "look here"), ("Kamailio", "look there")]
            .map(|(system, what)| LookAt { system: system.to_owned(), what: what.to_owned() })
            .into(),
        rejected: "a ban: others registered".to_owned(),
        cost: "9 messages an hour wasted".to_owned(),
    }
}

#[test]
fn findings_are_in_every_file_that_judges() {
    let mut results = fixture::run();
    results.header.trunks[1].platform = Some(Platform::Kamailio);
    let found = [
        finding(Severity::Critical, "trunk_01", "at 400 \"agents\" & more"),
        finding(Severity::Warning, "trunk_00", "it may last"),
    ];
    let parse = |name| Threshold::parse(name, "== 0", &["trunk_00", "trunk_01"]).expect("a threshold");
    let names = ["findings.critical", "findings.warning", "trunk.trunk_00.findings.critical", "loops"];
    let judgement = judge(&results, &found, &names.map(parse));
    let values: Vec<_> = judgement.thresholds.iter().map(|outcome| (outcome.value, outcome.pass)).collect();
    assert_eq!(values[..3], [(Some(1.0), false), (Some(1.0), false), (Some(0.0), true)]);

    let files: std::collections::BTreeMap<_, _> = render_all(&results, &judgement, &found).into_iter().collect();
    let text = |file: &str| String::from_utf8(files[file].clone()).expect("UTF-8");
    let table = rows(&text("findings.csv"));
    assert_eq!((table.len(), table[0]["summary"].as_str()), (2, "at 400 \"agents\" & more"));
    assert_eq!((table[1]["trunk_id"].as_str(), table[1]["cost"].as_str()), ("trunk_00", "9 messages an hour wasted"));
    let json: Value = serde_json::from_str(&text("run.json")).expect("JSON");
    assert_eq!(
        (json["findings"][0]["attempts"].as_u64(), json["findings"][1]["rejected"].as_str()),
        (Some(3_400), Some("a ban: others registered"))
    );

    let page = text("report.html");
    crate::page::assert_balanced(&crate::page::without_scripts(&page).0);
    for part in [
        "12 x 403 &lt;Forbidden&gt;",
        "a ban: others registered",
        "confidence high",
        "9 messages an hour",
        "<li>Kamailio: look there</li>",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let junit = text("junit.xml");
    crate::page::assert_balanced(&junit);
    let failures: Vec<&str> = junit.split("<failure ").skip(1).collect();
    assert!(
        failures[0].contains("limit.concurrent critical trunk_01: at 400 &quot;agents&quot; &amp; more"),
        "{}",
        failures[0]
    );
    assert!(failures[1].contains("it may last") && !failures[1].contains("at 400"), "{junit}");
    // Whatever a target is about, what was found on the way may be why it was missed.
    assert!(
        failures[2].contains("it may last") && failures[2].contains("limit.concurrent critical trunk_01"),
        "{junit}"
    );
    assert!(failures[2].contains("  advice: look here"), "{junit}");
}

#[test]
fn the_summary_shows_as_many_findings_as_fit() {
    let results = fixture::run();
    let many: Vec<_> = (0..40).map(|n| finding(Severity::Warning, "trunk_01", &format!("number {n}"))).collect();
    for (found, thresholds) in [(0, 0), (2, 4), (2, 60), (40, 0), (40, 3), (40, 60)] {
        let thresholds: Vec<_> = (0..thresholds).map(|_| ("loops", "== 0")).collect();
        let text = summary::render(&results, &judged(&results, &thresholds), &many[..found], "out");
        assert!(text.lines().count() <= 25, "{text}");
        let shown = text.lines().filter(|line| line.contains(": number ")).count();
        match found {
            40 => assert!(shown >= 3 && text.contains(&format!("+{} more in findings.csv", 40 - shown)), "{text}"),
            _ => assert_eq!(shown, found, "{text}"),
        }
        assert!(thresholds.is_empty() || text.contains("FAIL  loops"), "{text}");
    }
}

#[test]
fn junit_has_one_case_for_each_threshold() {
    let text = rendered(&fixture::run(), &THRESHOLDS, "junit.xml");
    assert_eq!(text.matches("<testcase ").count(), THRESHOLDS.len());
    assert_eq!(text.matches("<failure ").count(), 1);
    assert!(!text.contains("<pilot>"), "escaped: {text}");
    crate::page::assert_balanced(&text);
    insta::assert_snapshot!("junit.xml", text);
}

/// Held to a grammar with no more in it than both of the common ones allow, by xmllint (Debian:
/// libxml2-utils).
#[test]
fn junit_is_what_build_servers_read() {
    let grammar = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/report/junit.xsd");
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let file = dir.path().join("junit.xml");
    let read = |what: &str, text: &str| {
        std::fs::write(&file, text).expect("the test's own directory");
        let read = std::process::Command::new("xmllint").args(["--noout", "--schema", grammar]).arg(&file).output();
        let read = read.expect("xmllint is installed (tests/all does it)");
        assert!(read.status.success(), "{what}: {}\n{text}", String::from_utf8_lossy(&read.stderr));
    };
    let mut nameless = fixture::run();
    nameless.header.host.name.clear();
    nameless.end.as_mut().expect("ended").aborted = Some(fixture::aborted());
    for (name, results) in every_run().into_iter().chain([("nameless", nameless)]) {
        for thresholds in [&THRESHOLDS[..2], &[]] {
            let text = rendered(&results, thresholds, "junit.xml");
            assert!(text.contains("<testcase "), "{name}: a file without a case is an error to Jenkins");
            read(name, &text);
        }
    }
    let found = [
        finding(Severity::Critical, "", "at 400 \"agents\" & <more>"),
        finding(Severity::Warning, "trunk_00", "]]> \u{7}"),
    ];
    let judgement = judged(&fixture::run(), &THRESHOLDS);
    let files = render_all(&fixture::run(), &judgement, &found);
    let junit = files.into_iter().find(|(name, _)| *name == "junit.xml").expect("a file of every run").1;
    read("findings", &String::from_utf8(junit).expect("UTF-8"));
}

#[test]
fn golden_files() {
    for file in ["intervals.csv", "responses.csv", "agents.csv", "summary.csv"] {
        // Line ends are tested apart; the snapshot keeps the text.
        insta::assert_snapshot!(file, rendered(&fixture::run(), &THRESHOLDS, file).replace("\r\n", "\n"));
    }
}

#[test]
fn the_summary_fits_and_names_what_matters() {
    let results = fixture::run();
    insta::assert_snapshot!("summary", summary::render(&results, &judged(&results, &THRESHOLDS), &[], "results/nj"));
    let many: Vec<_> = (0..60).map(|_| ("loops", "== 0")).collect();
    for (name, mut results) in every_run() {
        // Every outcome, every reason to doubt: the longest summary there is.
        results.totals.sums.status = [1; 9];
        results.totals.sums.ceiling_refused = 3;
        (results.totals.generator.send_errors, results.totals.generator.socket_drops) = (4, 5);
        let text = summary::render(&results, &judged(&results, &many), &[], "results/nj");
        assert!(text.lines().count() <= 25, "{name}:\n{text}");
        assert!(
            text.contains("missed") && text.lines().last().is_some_and(|line| line.contains("results/nj")),
            "{text}"
        );
    }
}
