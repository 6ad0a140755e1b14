//! The server's own count beside ours, by a real server: Kamailio 5.6 on loopback, asked by the
//! program as a user would have it asked, through a run in which it is killed and started again.
//!
//! Needs `kamailio` and `sipsak`; `tests/all` installs them. The tests take turns (see
//! `clock::alone`).

mod support;

use regstorm::diagnose::truth::accounts;
use regstorm::net::clock::Clock;
use regstorm::record::{self, Results};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::clock;
use support::kamailio::{Kamailio, PASSWORD, REALM, Settings};
use support::program::{Regstorm, profile};
use support::results::{ResultDir, number};

const LIMIT: Duration = Duration::from_secs(120);

/// A run of `agents` agents at Kamailio, which is asked five times a second.
fn text(kamailio: &Kamailio, agents: u32, load: &str, more: &str) -> String {
    format!(
        "[run]\ninterval = \"2s\"\n[thresholds]\nsuccess_ratio = \">= 0\"\n\
         [[truth]]\nkind = \"kamailio\"\naddress = \"unix:{}\"\nevery = \"200ms\"\nsweep = \"1s\"\n\
         [[trunk]]\nid = \"lab\"\nregistrar = \"sip:{}\"\ndomain = \"{REALM}\"\nexpires = \"5s\"\nrefresh_at = 0.7\n\
         retry = {{ preset = \"hammer\", interval = \"1s\" }}\n\
         agents = {{ count = {agents}, user = \"agent{{n:05}}\", password = \"{PASSWORD}\" }}\n{load}\n{more}",
        kamailio.rpc_socket().display(),
        kamailio.address(),
    )
}

/// Phones that are no part of the run.
fn others(kamailio: &Kamailio, count: u32) {
    for n in 0..count {
        let registered = Command::new("sipsak")
            .args(["-U", "-i", "-x", "600", "-a", PASSWORD])
            .args(["-s", &format!("sip:other{n}@{}", kamailio.address())])
            .output()
            .expect("sipsak is installed (tests/all does it)");
        assert!(registered.status.success(), "{registered:?}");
    }
    assert_eq!(kamailio.contacts(), u64::from(count));
}

fn results(dir: &Path) -> Results {
    let file = std::fs::File::open(dir.join("out/record.bin")).expect("a record");
    record::read(file).expect("a whole record")
}

#[test]
fn both_count_the_same_from_the_first_phone_to_the_last() {
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings::default());
    others(&kamailio, 5);
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let load = "[[load]]\nrate = 100\nfor = \"3s\"\n[[load]]\nhold = \"9s\"";
    let args = ["run", profile(dir.path(), &text(&kamailio, 300, load, "")), "--out", "out", "--live", "plain"];
    let finished = Regstorm::run(dir.path(), &args, LIMIT);
    finished.expect_code(0);
    assert!(finished.stderr().contains(" | server 305"), "{}", finished.stderr());

    let results = results(dir.path());
    let accounts = accounts(&results);
    let [account] = accounts.as_slice() else { panic!("one server: {accounts:?}") };
    assert_eq!((account.server.before, account.peak()), (Some(5), Some(305)));
    assert!(account.compared.len() > 20, "{} samples", account.compared.len());
    for compared in &account.compared {
        assert_eq!((compared.missing(), compared.surplus()), (0, 0), "{compared:?}");
    }
    // All were removed again; the others are there.
    assert_eq!(account.samples.last().and_then(|last| last.count), Some(5));

    let shown = ResultDir::open(&dir.path().join("out"));
    assert_eq!(shown.number("/truth/0/before"), 5.0);
    assert_eq!((shown.number("/truth/0/below"), shown.number("/truth/0/above")), (0.0, 0.0));
    let rows = shown.table("availability.csv");
    let last = rows.rows.last().expect("an interval");
    assert_eq!((number(&last["agents_registered"]), number(&last["server_registered"])), (300.0, 305.0));
    let page = String::from_utf8(shown.bytes("report.html")).expect("text");
    assert!(page.contains("held by the server") && page.contains("By its own count the server of lab held 305"));

    // An old run shows the same.
    let before = shown.bytes("run.json");
    std::fs::remove_file(dir.path().join("out/run.json")).expect("our own file");
    Regstorm::run(dir.path(), &["report", "out"], LIMIT).expect_code(0);
    let again = ResultDir::open(&dir.path().join("out"));
    assert_eq!(again.bytes("run.json"), before);
}

#[test]
fn a_server_that_lost_its_memory_is_seen_to_hold_fewer_until_the_phones_are_back() {
    let _turn = clock::alone();
    let mut kamailio = Kamailio::start(Settings::default());
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let load = "[[load]]\nrate = 200\nfor = \"1s\"\n[[load]]\nhold = \"30s\"";
    let args = ["run", profile(dir.path(), &text(&kamailio, 200, load, "")), "--out", "out", "--live", "plain"];
    let regstorm = Regstorm::start(dir.path(), &args);
    clock::until("200 contacts", Duration::from_secs(30), || (kamailio.contacts() == 200).then_some(()));
    let down = unix_ns();
    kamailio.kill();
    clock::until("the run to miss it", LIMIT, || {
        regstorm.stderr_so_far().contains("what kamailio at unix:").then_some(())
    });
    kamailio.restart();
    let up = unix_ns();
    let finished = regstorm.wait(LIMIT);
    finished.expect_code(0);
    assert!(finished.stderr().contains("tells its count again"), "{}", finished.stderr());

    let results = results(dir.path());
    let accounts = accounts(&results);
    let account = &accounts[0];
    let at = |ns: u64| results.header.unix_ns(ns);
    // A phone that was bound just before the restart refreshes after 3.5 s and a little; its retry
    // may take a second more.
    let back = up + 6_000_000_000;
    let lost = account.compared.iter().filter(|one| one.missing() > 0);
    assert!(lost.clone().next().is_some(), "nobody saw that {:?} was forgotten", account.peak());
    for one in lost {
        assert!(at(one.at_ns) > down && at(one.at_ns) < back, "{one:?}, {down} to {back}, {}", at(one.at_ns));
    }
    for one in &account.compared {
        assert_eq!(one.surplus(), 0, "{one:?}");
    }
    let unknown = account.samples.iter().filter(|sample| sample.count.is_none());
    assert!(unknown.clone().next().is_some());
    for sample in unknown {
        assert!(at(sample.answered_ns()) > down && at(sample.asked_ns) < back, "{sample:?}");
    }
}

#[test]
fn a_server_that_cannot_be_asked_disturbs_nothing() {
    let _turn = clock::alone();
    let kamailio = Kamailio::start(Settings::default());
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let more = "[[truth]]\nkind = \"kamailio\"\naddress = \"unix:/nowhere/rpc\"\n\
                [[truth]]\nkind = \"exec\"\ncommand = \"echo none\"";
    let load = "[[load]]\nrate = 50\nfor = \"2s\"";
    let args = ["run", profile(dir.path(), &text(&kamailio, 100, load, more)), "--out", "out", "--json"];
    let finished = Regstorm::run(dir.path(), &args, LIMIT);
    finished.expect_code(0);
    let shown = ResultDir::open(&dir.path().join("out"));
    assert_eq!(shown.total("registered"), 100);
    assert_eq!(shown.text("/truth/1/why_unknown"), "there is no such socket");
    assert_eq!(shown.text("/truth/2/why_unknown"), "the command printed no number: none");
    assert_eq!(shown.run.pointer("/truth/1/before"), Some(&serde_json::Value::Null));
    assert_eq!(shown.number("/truth/0/before"), 0.0);
}

#[test]
fn nothing_is_asked_outside_the_allowed_targets() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let text = "[[truth]]\nkind = \"kamailio\"\naddress = \"udp:192.0.2.7:8090\"\n\
                [[trunk]]\nid = \"lab\"\nregistrar = \"embedded\"\ndomain = \"a.test\"\n\
                agents = { count = 1, user = \"a\", password = \"secret\" }\n[[load]]\nrate = 1\nfor = \"1s\"\n";
    let finished = Regstorm::run(dir.path(), &["run", profile(dir.path(), text), "--out", "out"], LIMIT);
    finished.expect_code(2);
    assert!(finished.stderr().contains("192.0.2.7") && finished.stderr().contains("allow_targets"));
}

fn unix_ns() -> i128 {
    i128::from(Clock::new().unix_ns())
}
