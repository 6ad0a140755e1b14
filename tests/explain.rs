//! `regstorm explain`, as typed.

mod support;

use serde_json::Value;
use std::time::Duration;
use support::program::{Finished, Regstorm};

fn explain(args: &[&str]) -> Finished {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    Regstorm::run(dir.path(), &[&["explain"], args].concat(), Duration::from_secs(60))
}

#[test]
fn a_code_and_a_finding_are_explained() {
    let forbidden = explain(&["403"]);
    forbidden.expect_code(0);
    for part in ["before any challenge", "after credentials", "from the N-th registration on", "Kamailio"] {
        assert!(forbidden.stdout().contains(part), "{part} is missing in: {}", forbidden.stdout());
    }
    let finding = explain(&["realm.mismatch", "--json"]);
    finding.expect_code(0);
    let value: Value = serde_json::from_slice(&finding.stdout).expect("JSON on stdout");
    assert_eq!(value[0]["topic"], "finding");
    assert!(value[0]["look_at"].as_array().is_some_and(|places| places.len() > 1), "{value}");
}

#[test]
fn an_unknown_name_exits_2_and_offers_the_nearest() {
    let finished = explain(&["limit.concurent"]);
    finished.expect_code(2);
    assert!(finished.stdout.is_empty());
    assert!(finished.stderr().contains("limit.concurrent"), "{}", finished.stderr());
}
