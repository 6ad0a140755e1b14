//! `regstorm simulate` as a rehearsal: the dry run's figures and warnings, and that they are the
//! same each time.

mod support;

use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use support::program::{Finished, Regstorm, profile};
use support::results::ResultDir;

const LIMIT: Duration = Duration::from_secs(60);

/// 200 agents at 20/s in the order of their list, each a handshake of two requests, from two
/// addresses in turn; one refresh each after 18 s or so.
fn text(further: &str) -> String {
    format!(
        "[run]\nname = \"dress\"\ninterval = \"5s\"\nseed = 7\nworkers = 2\n\n\
         [[trunk]]\nid = \"lab\"\nregistrar = \"embedded\"\ndomain = \"nj.test\"\nexpires = \"20s\"\n\
         source = [\"127.0.0.1\", \"127.0.0.2\"]\n\
         agents = {{ count = 200, user = \"agent{{n:05}}\", password = \"secret\" }}\n\n\
         [[load]]\nrate = 20\nfor = \"10s\"\n[[load]]\nhold = \"20s\"\n\n\
         [arrivals]\norder = \"listed\"\n\n{further}"
    )
}

fn simulate(dir: &Path, text: &str, further: &[&str]) -> Finished {
    let mut args = vec!["simulate", profile(dir, text)];
    args.extend(further);
    Regstorm::run(dir, &args, LIMIT)
}

fn document(dir: &Path, name: &str) -> Value {
    let bytes = std::fs::read(dir.join(name)).expect("a file of the rehearsal");
    serde_json::from_slice(&bytes).expect("JSON")
}

#[test]
fn the_dry_run_says_what_a_run_would_ask_for() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let run = simulate(dir.path(), &text(""), &["--out", "out"]);
    run.expect_code(0);
    let said = run.stdout();
    for line in ["dry run", "by sender", "registrations", "bandwidth", "this machine", "warnings      none: no limit"] {
        assert!(said.lines().any(|said| said.starts_with(line)), "{line} is missing in\n{said}");
    }
    let results = ResultDir::open(&dir.path().join("out"));
    let dry = document(&dir.path().join("out"), "dry-run.json");
    let number = |at: &str| dry.pointer(at).and_then(Value::as_f64).unwrap_or_else(|| panic!("{at} in {dry:#}"));
    assert_eq!(dry["schema"], "regstorm.dry-run/1");
    assert_eq!(number("/messages/sent") as u64, results.total("messages_sent"));
    assert_eq!(number("/messages/received") as u64, results.total("messages_received"));
    assert_eq!((number("/messages/sent_per_s/peak"), number("/messages/refused")), (40.0, 0.0));
    assert_eq!(number("/registrations/peak"), 200.0);
    // Twenty arrive each second; their refreshes, by chance a little sooner or later, may bunch.
    assert!((20.0..35.0).contains(&number("/registrations_per_s/peak")), "{dry:#}");
    let sources = dry["sources"].as_array().expect("a list");
    assert_eq!(sources.len(), 2);
    for (source, name) in sources.iter().zip(["127.0.0.1", "127.0.0.2"]) {
        assert_eq!((&source["name"], &source["requests_per_s"]["peak"]), (&Value::from(name), &Value::from(20.0)));
    }
    assert_eq!(number("/aor/requests_per_s/peak"), 2.0, "a handshake");
    assert_eq!(number("/contacts/contacts"), 1.0);
    // A REGISTER has some hundreds of bytes, at forty a second.
    let up = number("/bandwidth_bit_per_s/up/peak");
    assert!((40.0 * 300.0 * 8.0..40.0 * 900.0 * 8.0).contains(&up), "{up}");
    assert_eq!(dry["local_ports"]["needed"]["127.0.0.2"], 2, "one for each sender thread");
    assert!(number("/file_descriptors/needed") >= 4.0 && number("/memory_bytes/needed") > 1e6);
    let steps = dry["over_time"].as_array().expect("a list");
    let sum: f64 = steps.iter().map(|s| s["sent_per_s"].as_f64().unwrap() * s["length_s"].as_f64().unwrap()).sum();
    assert_eq!(sum.round() as u64, results.total("messages_sent"), "the steps hold every message");
    assert_eq!(dry["warnings"], Value::Array(Vec::new()));
}

#[test]
fn what_agents_ask_besides_is_foretold() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let asking = text("").replace("expires = \"20s\"", "expires = \"20s\"\naudit = 1.0\nqualify = \"5s\"");
    let checked = Regstorm::run(dir.path(), &["check", profile(dir.path(), &asking)], LIMIT);
    checked.expect_code(0);
    let said = checked.stdout().split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "about 200 agents ask for their bindings, up to 20 a second at first, then 3.3",
        "every agent sends OPTIONS every 5s, 40 a second when all are registered",
    ] {
        assert!(said.contains(part), "{part:?} is missing in\n{said}");
    }
    let run = simulate(dir.path(), &asking, &["--out", "out"]);
    run.expect_code(0);
    assert!(run.stdout().lines().any(|line| line.starts_with("of which")), "{}", run.stdout());
    let (dry, results) = (document(&dir.path().join("out"), "dry-run.json"), ResultDir::open(&dir.path().join("out")));
    let number = |at: &str| dry.pointer(at).and_then(Value::as_f64).unwrap_or_else(|| panic!("{at} in {dry:#}"));
    assert_eq!(number("/messages/sent") as u64, results.total("messages_sent"), "they are part of it");
    // Arrived within 10 s, each asks every 5 s until the end at 30 s or a little later.
    let (options, audits) = (number("/checks/options"), number("/checks/audits"));
    assert!((900.0..1_300.0).contains(&options) && (200.0..450.0).contains(&audits), "{dry:#}");
    assert!((25.0..=40.0).contains(&number("/checks/options_per_s")), "{dry:#}");
}

#[test]
fn every_limit_that_would_be_passed_gets_one_line() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let expect = "[expect]\nregistrations = 150\nregistrations_per_second = 15\nmessages_per_second = 30\n\
                  messages_per_second_per_source = 10\nmessages_per_second_per_aor = 1\nbandwidth = \"64kbit\"\n\n\
                  [safety]\nmax_message_rate = 30\n";
    let run = simulate(dir.path(), &text(expect), &["--out", "out", "--json"]);
    let printed: Value = serde_json::from_slice(&run.stdout).expect("run.json on stdout");
    assert_eq!(printed["dry_run"]["schema"], Value::Null, "the same figures without a head of their own");
    let mut dry = document(&dir.path().join("out"), "dry-run.json");
    dry.as_object_mut().expect("an object").remove("schema");
    assert_eq!(printed["dry_run"], dry);
    let limits: Vec<&str> =
        dry["warnings"].as_array().expect("a list").iter().map(|w| w["limit"].as_str().expect("a name")).collect();
    assert!(limits.contains(&"safety.max_message_rate"), "{limits:?}");
    assert!(document(&dir.path().join("out"), "run.json").get("dry_run").is_none(), "`report` could not rebuild it");

    // Without a ceiling of our own all six limits of the others are passed, each once, in this
    // order.
    let free = text(&expect.replace("max_message_rate = 30", "max_message_rate = 50000"));
    let run = simulate(dir.path(), &free, &["--out", "free"]);
    let said = run.stdout();
    let dry = document(&dir.path().join("free"), "dry-run.json");
    let warnings = dry["warnings"].as_array().expect("a list");
    let text_of = |limit: &str| {
        let of: Vec<&Value> = warnings.iter().filter(|warning| warning["limit"] == limit).collect();
        assert_eq!(of.len(), 1, "{limit}: {warnings:#?}");
        of[0]["text"].as_str().expect("text").to_owned()
    };
    for (limit, words) in [
        ("expect.registrations", "200 agents registered at once from 7.5s on, expect.registrations is 150: register"),
        ("expect.registrations_per_second", "registrations/s from 0s on, expect.registrations_per_second is 15: "),
        ("expect.messages_per_second", "up to 40 requests/s from 0s on, expect.messages_per_second is 30: lower"),
        ("expect.messages_per_second_per_source", "up to 20 requests/s from 127.0.0.1 from 0s on"),
        ("expect.messages_per_second_per_source", "spread the agents over 4 addresses (trunk.source)"),
        ("expect.messages_per_second_per_aor", "up to 2 requests/s of agent00000@nj.test from 0s on"),
        ("expect.bandwidth", "expect.bandwidth is 64kbit: lower the [[load]] rate"),
    ] {
        let text = text_of(limit);
        assert!(text.contains(words), "{words} is not in: {text}");
        assert!(said.contains(&text), "{text} is not printed:\n{said}");
    }
    assert_eq!(warnings.len(), 6, "{warnings:#?}");
}

#[test]
fn two_contacts_of_one_user_are_counted() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let rows: String = (0..9).map(|n| format!("user{},secret\n", n % 4)).collect();
    std::fs::write(dir.path().join("agents.csv"), format!("user,password\n{rows}")).expect("the test's own directory");
    let agents = "agents = { count = 200, user = \"agent{n:05}\", password = \"secret\" }";
    let text = text("[expect]\ncontacts_per_aor = 2\n").replace(agents, "agents = { csv = \"agents.csv\" }");
    let run = simulate(dir.path(), &text, &["--out", "out"]);
    assert!(run.stdout().contains("user0@nj.test has 3 contacts, expect.contacts_per_aor is 2: "), "{}", run.stdout());
}

/// What a name leads to by `hosts` is rehearsed as a run would find it: one of the addresses is
/// dead, or has no capacity, or refuses.
#[test]
fn several_addresses_of_a_name_are_rehearsed() {
    let fault = |kind: &str| format!("[[registrar.fault]]\n{kind}\naddresses = [\"10.0.0.2\"]\n");
    let (silent, full) = ("kind = \"drop\"\nprobability = 1.0", "kind = \"deny\"\ncode = 503");
    let refusing = "kind = \"refuse\"\ncode = 403";
    for transport in ["", ";transport=tcp"] {
        for (kind, went_on, found) in
            [(silent, "silent", "dns"), (full, "unavailable", "dns"), (refusing, "", "node.failing")]
        {
            let dir = tempfile::tempdir().expect("a directory under /tmp");
            let named = format!(
                "registrar = \"sip:edge.test:5060{transport}\"\nhosts = {{ \"edge.test\" = [\"10.0.0.1\", \"10.0.0.2\"] }}"
            );
            let text = text(&fault(kind)).replace("registrar = \"embedded\"", &named).replace("\"20s\"", "\"60s\"");
            let out = dir.path().join("out");
            let seen = format!("{transport} {kind}");
            simulate(dir.path(), &text, &["--out", "out"]);
            let results = ResultDir::open(&out);
            let addresses = results.run["trunks"][0]["addresses"].as_array().cloned().unwrap_or_default();
            let [first, second] = ["10.0.0.1:5060", "10.0.0.2:5060"].map(|address| {
                let row = addresses.iter().find(|row| row["address"] == address);
                row.unwrap_or_else(|| panic!("{seen}: no {address} in {addresses:?}")).clone()
            });
            assert_eq!(second["ended"]["registered"], Value::Null, "{seen}: {second}");
            let found_there = results.table("findings.csv").rows.iter().any(|row| {
                row["id"] == found && row["summary"].contains("10.0.0.2:5060") && row["summary"].contains("edge.test")
            });
            assert!(found_there, "{seen}: {:?}", results.table("findings.csv").rows);
            let agents = results.table("agents.csv").rows;
            let ended_at = |address: &str| agents.iter().filter(|row| row["last_address"] == address).count();
            if went_on.is_empty() {
                let refused = second["ended"]["authentication_failed"].as_u64().expect("refused there");
                assert_eq!(results.total("authentication_failed"), refused, "{seen}: nobody else was");
                assert!((60..140).contains(&ended_at("10.0.0.2:5060")), "{seen}: half of the agents prefer it");
            } else {
                // Everybody is registered in the end, within the first attempt.
                assert_eq!(
                    (results.total("agents_registered_at_end"), ended_at("10.0.0.1:5060")),
                    (200, 200),
                    "{seen}"
                );
                let left = second["went_on"][went_on].as_u64().unwrap_or_default();
                assert!((60..=200).contains(&left), "{seen}: {second}");
                assert!(first["ended"]["registered"].as_u64() >= Some(200), "{seen}: {first}");
            }
        }
    }
}

/// `contacts`, `outbound` and `contact` of a trunk are played as a run would play them.
#[test]
fn what_requests_say_of_contacts_is_rehearsed() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let sent = |keys: &str, further: &str| {
        let text = text(further).replace("expires = \"20s\"", &format!("expires = \"20s\"\n{keys}"));
        simulate(dir.path(), &text, &["--out", "out"]);
        let results = ResultDir::open(&dir.path().join("out"));
        let contacts = document(&dir.path().join("out"), "dry-run.json")["contacts"]["contacts"].as_f64();
        std::fs::remove_dir_all(dir.path().join("out")).expect("the rehearsal's directory");
        (results.total("bytes_sent"), contacts, results.total("registered"))
    };
    let (plain, one, registered) = sent("", "");
    let (outbound, ..) = sent("outbound = true", "");
    // Each request names an instance, and `Supported`.
    assert!(outbound > plain + 400 * 60, "{outbound} after {plain}");
    let (_, two, both) = sent("contacts = 2", "");
    assert_eq!((one, two, both), (Some(1.0), Some(2.0), registered));
    let (.., refused) = sent("contacts = 2", "[registrar]\nmax_contacts = 1\n");
    assert_eq!(refused, 0, "a registrar that holds one contact of each user");
    let (learnt, ..) = sent("contact = \"learnt\"", "");
    assert!(learnt >= plain, "nobody's address is translated here: {learnt} after {plain}");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let fault = "[[registrar.fault]]\nkind = \"drop\"\nprobability = 0.1\n\n\
                 [[registrar.fault]]\nkind = \"refuse\"\nshare = 0.1\n\n\
                 [[registrar.fault]]\nkind = \"delay\"\nlognormal = { median = \"20ms\", sigma = 0.5 }\n";
    // Each in a folder of its own: a report says what it finds beside it.
    for out in ["one/out", "two/out"] {
        std::fs::create_dir(dir.path().join(&out[..3])).expect("the test's own directory");
        simulate(dir.path(), &text(fault), &["--out", out]).expect_code(1);
    }
    let bytes = |out: &str, name: &str| std::fs::read(dir.path().join(out).join("out").join(name)).expect("a file");
    let names =
        std::fs::read_dir(dir.path().join("one/out")).expect("a directory").map(|entry| entry.expect("readable"));
    let names: Vec<String> = names.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect();
    assert!(names.iter().any(|name| name == "dry-run.json") && names.iter().any(|name| name == "record.bin"));
    for name in names {
        assert!(bytes("one", &name) == bytes("two", &name), "{name} differs");
    }
}

/// A registrar that takes ten registrations a second, three hundred phones that come back at once.
#[test]
fn an_avalanche_compares_how_clients_come_back() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let text = text("[expect]\nregistrations_per_second = 10\n").replace("\"20s\"", "\"120s\"");
    let text = text.replace("[[load]]\nhold", "[[load]]\noutage = 1.0\nfor = \"30s\"\n[[load]]\nhold");
    for out in ["one", "two"] {
        simulate(dir.path(), &text, &["--avalanche", "--out", out]).expect_code(0);
    }
    let files =
        |out: &str| ["avalanche.csv", "avalanche.html"].map(|name| std::fs::read(dir.path().join(out).join(name)));
    let [one, two] = ["one", "two"].map(|out| files(out).map(|file| file.expect("written")));
    assert!(one == two, "the same seed gives the same files");

    let run = simulate(dir.path(), &text, &["--avalanche", "--json", "--out", "three"]);
    let document: Value = serde_json::from_slice(&run.stdout).expect("JSON on stdout");
    assert_eq!((&document["schema"], &document["expires_s"]), (&"regstorm.avalanche/1".into(), &120.0.into()));
    assert_eq!((&document["outage_s"], &document["share"]), (&30.0.into(), &1.0.into()));
    assert_eq!(document["registrar"][0], "more than 10 registrations/s get 503");
    let of = |preset: &str, jitter: bool| {
        let all = document["comebacks"].as_array().expect("a list");
        let mut own = all.iter().filter(|one| one["preset"] == preset && one["refresh_jitter"] == jitter);
        own.next().unwrap_or_else(|| panic!("no {preset} {jitter} in {document:#}")).clone()
    };
    let number = |value: &Value, key: &str| value[key].as_f64().unwrap_or_else(|| panic!("{key} in {value:#}"));
    for jitter in [true, false] {
        // All at once: 200 first requests and as many answers to challenges.
        let rfc = of("rfc", jitter);
        assert_eq!((number(&rfc, "peak_per_s"), number(&rfc, "peak_at_s")), (400.0, 0.0), "{rfc:#}");
        let hammer = of("hammer", jitter);
        assert_eq!(number(&hammer, "returned"), 200.0);
        // Ten at once, then ten a second, whatever else is sent.
        let after = hammer["registered_again_after_s"][3].as_f64().expect("all came back");
        assert!((18.0..25.0).contains(&after), "{hammer:#}");
        assert!(number(&hammer, "failed") > number(&rfc, "failed"), "a hammer is refused more often");
        // Asterisk's own pause of one to ten seconds makes the peak a tenth.
        let asterisk = of("asterisk", jitter);
        assert!(number(&asterisk, "peak_per_s") < 100.0, "{asterisk:#}");
    }
    let csv = String::from_utf8(one[0].clone()).expect("UTF-8");
    assert_eq!(csv.lines().count(), 9, "four clients, with and without jitter\n{csv}");
    assert!(csv.starts_with("preset,refresh_jitter,agents,returned,registered_50_s,"), "{csv}");
}

/// Without a limit everybody is back at once, and due again at once: jitter is what spreads the
/// echo.
#[test]
fn jitter_spreads_the_echo() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let text = text("").replace("\"20s\"", "\"600s\"");
    let run = simulate(dir.path(), &text, &["--avalanche", "--json", "--out", "out"]);
    let document: Value = serde_json::from_slice(&run.stdout).expect("JSON on stdout");
    for one in document["comebacks"].as_array().expect("a list") {
        let echo = one["echo_per_s"].as_u64().expect("a number");
        let at = one["echo_at_s"].as_u64().expect("a number");
        assert_eq!(one["returned"], 200, "{one:#}");
        // A nonce is old after 300 s: each refresh is challenged, and so two requests.
        match (one["preset"].as_str(), one["refresh_jitter"].as_bool()) {
            (Some("rfc" | "hammer"), Some(false)) => assert_eq!((echo, at), (400, 540), "all at once: {one:#}"),
            (Some("pjsua"), Some(false)) => assert_eq!((echo, at), (400, 595), "five seconds before the end: {one:#}"),
            (Some("asterisk"), Some(false)) => assert!(echo < 80 && at > 585, "spread by the start alone: {one:#}"),
            (_, Some(true)) => assert!(echo < 40 && (500..590).contains(&at), "over a minute: {one:#}"),
            other => panic!("{other:?}"),
        }
    }
}

/// Nobody is to take a rehearsal for a run because of its name.
#[test]
fn a_directory_says_that_it_holds_a_rehearsal() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    for name in ["dress", "dress-rehearsal"] {
        simulate(dir.path(), &text("").replace("\"dress\"", &format!("{name:?}")), &[]).expect_code(0);
    }
    let made = std::fs::read_dir(dir.path().join("results")).expect("results");
    let names: Vec<String> =
        made.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    assert!(names.len() == 2 && names.iter().all(|name| name.starts_with("dress-rehearsal-2")), "{names:?}");
}
