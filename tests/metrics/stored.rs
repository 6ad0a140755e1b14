//! A whole run in a real Prometheus, and every expression of the dashboard against it.

use super::prometheus::{Prometheus, free_port};
use super::{LIMIT, start, two_trunks};
use crate::support::clock;
use crate::support::results::{ResultDir, STATUSES};
use serde_json::Value;
use std::collections::BTreeSet;

const DASHBOARD: &str = include_str!("../../docs/grafana/regstorm.json");
/// Longer than the run, on any machine.
const RANGE_S: u64 = 180;

#[test]
fn prometheus_stores_a_whole_run_and_the_dashboard_shows_it() {
    let _alone = clock::alone();
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let target = format!("127.0.0.1:{}", free_port());
    let prometheus = Prometheus::start(dir.path(), &target);
    let (run, _) = start(dir.path(), &two_trunks(""), &target, &[]);
    // It ends by itself once Prometheus has the last values.
    let finished = run.wait(LIMIT);
    assert!(matches!(finished.status.code(), Some(1 | 3)), "{finished:?}");
    let results = ResultDir::open(&dir.path().join("out"));
    expect_stored(&prometheus, &results);
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    expect_every_expression(&prometheus, &dashboard);
    expect_every_variable(&prometheus, &dashboard);
}

fn expect_stored(prometheus: &Prometheus, results: &ResultDir) {
    let stored = |expr: &str| prometheus.value(expr).unwrap_or_else(|| panic!("{expr} has no value"));
    // Scraping goes in a moment later than it was answered.
    clock::until("the last scrape to be stored", LIMIT, || {
        prometheus.value(&format!("last_over_time(regstorm_run_verdict[{RANGE_S}s])"))
    });
    for status in STATUSES {
        let expr = format!("sum(last_over_time(regstorm_attempts_total{{status=\"{status}\"}}[{RANGE_S}s]))");
        assert_eq!(stored(&expr) as u64, results.total(status), "{status}");
    }
    let registered = results.total("registered");
    println!("registered: {registered} in run.json, the same in Prometheus");
    assert!(registered >= 280, "{registered}");
    let peak = stored(&format!("max_over_time(sum(regstorm_agents_registered)[{RANGE_S}s:200ms])"));
    assert!(peak > 0.0 && peak <= results.number("/totals/agents_registered_peak"), "{peak}");
    // The whole run, not only its end: the first scrapes saw nothing registered yet.
    assert_eq!(stored(&format!("min_over_time(sum(regstorm_attempts_total)[{RANGE_S}s:200ms])")), 0.0);
    let p99 = format!(
        "histogram_quantile(0.99, sum by (le) (last_over_time(regstorm_latency_seconds_bucket{{phase=\"register\"}}[{RANGE_S}s])))"
    );
    // A bucket is at most twice as wide as it begins.
    let (p99, exact) = (stored(&p99), results.number("/latency_us/register/p99") / 1e6);
    assert!(p99 >= exact / 2.1 && p99 <= exact.max(0.00005) * 2.1, "{p99} and {exact}");
}

fn expect_every_expression(prometheus: &Prometheus, dashboard: &Value) {
    let mut asked = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expr = target["expr"].as_str().expect("an expression");
            let filled = filled(expr);
            let (series, values) = prometheus.range(&filled, RANGE_S);
            println!("{series:>3} series, {values:>5} values: {}: {filled}", panel["title"]);
            assert!(values > 0, "{}: no data for {filled}", panel["title"]);
            asked.insert(expr);
        }
    }
    assert!(asked.len() > 30, "only {} expressions: the walk is broken", asked.len());
}

/// The expression as Grafana sends it.
fn filled(expr: &str) -> String {
    let range = format!("{RANGE_S}s");
    let filled = [("$__range", range.as_str()), ("$window", "5s"), ("$instance", ".*"), ("$trunk", "nj|tx")]
        .iter()
        .fold(expr.to_owned(), |expr, (name, value)| expr.replace(name, value));
    assert!(!filled.contains('$'), "a variable that the dashboard does not define: {filled}");
    filled
}

fn expect_every_variable(prometheus: &Prometheus, dashboard: &Value) {
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let queried = variables.iter().filter(|variable| variable["type"] == "query");
    let found: Vec<(String, Vec<String>)> = queried
        .map(|variable| {
            let query = variable["query"]["query"].as_str().expect("a query");
            let inner = query.strip_prefix("label_values(").and_then(|query| query.strip_suffix(')'));
            let (metric, label) = inner.and_then(|inner| inner.rsplit_once(", ")).expect("label_values(metric, label)");
            let name = variable["name"].as_str().expect("a name").to_owned();
            (name, prometheus.label_values(&filled(metric), label))
        })
        .collect();
    assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["instance", "trunk"]);
    assert_eq!((found[0].1.len(), found[1].1.join(" ")), (1, "nj tx".to_owned()), "{found:?}");
}
