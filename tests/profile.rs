//! Profiles from the outside: the shipped ones, what is refused and in which words, defaults,
//! `--set`, secrets.
//!
//! Each `tests/broken_profiles/NAME.toml` stands beside the message it must get, `NAME.txt`; with
//! `UPDATE_EXPECT=1` in the environment the messages are written instead of compared, to be read
//! before they are committed.

use proptest::prelude::*;
use regstorm::agent::{Credential, RealmPolicy};
use regstorm::command::source::DiskSource;
use regstorm::plan::{Plan, RegistrarChoice};
use regstorm::profile::{self, Profile, ProfileError, Source};
use regstorm::registrar::KnownUsers;
use regstorm::vocab::{AgentId, parse_duration};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files and variables of a test.
#[derive(Default)]
struct Fixture {
    files: BTreeMap<String, Vec<u8>>,
    env: BTreeMap<String, String>,
}

impl Fixture {
    fn profile(text: &str) -> Fixture {
        Fixture::default().file("p.toml", text)
    }

    fn file(mut self, name: &str, text: &str) -> Fixture {
        self.files.insert(name.to_owned(), text.as_bytes().to_vec());
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Fixture {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn load(&self, sets: &[&str]) -> Result<Profile, ProfileError> {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        profile::load(self, "p.toml", &sets)
    }

    fn plan(&self, sets: &[&str]) -> Result<Plan, ProfileError> {
        self.load(sets).and_then(|profile| Plan::new(&profile))
    }

    /// The resolved profile as `run.json` shows it.
    fn json(&self, sets: &[&str]) -> Value {
        let plan = self.plan(sets).unwrap_or_else(|error| panic!("{error}"));
        serde_json::from_str(&plan.profile_json).expect("a plan's own JSON")
    }

    /// What a profile is refused with.
    fn refusal(&self, sets: &[&str]) -> String {
        self.plan(sets).expect_err("this profile is broken").to_string()
    }
}

impl Source for Fixture {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.files.get(path).cloned().ok_or_else(|| "there is no such file".to_owned())
    }

    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }
}

const TRUNK: &str = r#"
[[trunk]]
id = "nj"
registrar = "embedded"
domain = "genesyscloud.test"
agents = { count = 5, user = "agent{n:03}", password = "hunter2" }

[[load]]
rate = 5
for = "1s"
"#;

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn toml_files(name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory(name)).expect("a directory of this repository");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

#[test]
fn every_shipped_profile_plans_without_a_doubt() {
    let files = toml_files("profiles");
    let names: Vec<_> = files.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
    let expected = [
        "apac-byoc",
        "avalanche",
        "go-live",
        "kamailio",
        "limit-403",
        "limits",
        "loop-403",
        "nightly-soak",
        "pilot",
        "rehearsal",
    ];
    assert_eq!(names, expected);
    for file in files {
        let path = file.to_str().expect("UTF-8");
        let plan = profile::load(&DiskSource, path, &[]).and_then(|profile| Plan::new(&profile));
        let plan = plan.unwrap_or_else(|error| panic!("{error}"));
        assert!(plan.warnings.is_empty(), "{path}: {:?}", plan.warnings);
        // A search for limits brings its own load.
        if !path.ends_with("/limits.toml") {
            plan.require_load().unwrap_or_else(|error| panic!("{error}"));
            assert!(!plan.thresholds.is_empty(), "{path}");
        }
    }
}

#[test]
fn every_broken_profile_gets_its_message() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut different = Vec::new();
    let files = toml_files("tests/broken_profiles");
    assert!(files.len() >= 25, "{} broken profiles", files.len());
    for file in files {
        let name = file.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        let fixture = broken(&file);
        let message = match profile::load(&fixture, name, &[]).and_then(|profile| Plan::new(&profile)) {
            Ok(_) => "accepted\n".to_owned(),
            Err(error) => format!("{error}\n"),
        };
        assert!(!message.contains("hunter2") && !message.contains("12345"), "{name} shows a secret:\n{message}");
        let expected = file.with_extension("txt");
        if update {
            std::fs::write(&expected, &message).expect("writable");
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != message {
            different.push(message);
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// A broken profile with the CSV files beside it.
fn broken(file: &Path) -> Fixture {
    let mut fixture = Fixture::default();
    for entry in std::fs::read_dir(directory("tests/broken_profiles")).expect("a directory of this repository") {
        let path = entry.expect("readable").path();
        if path == file || path.extension().is_some_and(|extension| extension == "csv") {
            let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
            fixture.files.insert(name, std::fs::read(&path).expect("readable"));
        }
    }
    fixture
}

#[test]
fn every_message_names_its_place_and_key() {
    for file in toml_files("tests/broken_profiles") {
        let name = file.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        let error = profile::load(&broken(&file), name, &[]).and_then(|profile| Plan::new(&profile)).expect_err(name);
        for problem in error.problems {
            let head = problem.to_string();
            let place =
                head.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')).unwrap_or_else(|| panic!("{head}"));
            let mut numbers = place.splitn(3, ':');
            let (line, column) = (numbers.next(), numbers.next());
            assert!(line.is_some_and(|line| line.parse::<u32>().is_ok_and(|n| n > 0)), "{head}");
            assert!(column.is_some_and(|column| column.parse::<u32>().is_ok_and(|n| n > 0)), "{head}");
            assert!(!problem.key.is_empty() || problem.message.contains("TOML"), "{head}");
        }
    }
}

#[test]
fn a_profile_that_cannot_be_read_says_why() {
    let refusal = profile::load(&Fixture::default(), "gone.toml", &[]).expect_err("no file").to_string();
    assert_eq!(refusal, "gone.toml: cannot be read: there is no such file");
    let mut fixture = Fixture::default();
    fixture.files.insert("p.toml".into(), vec![0xff, 0xfe]);
    assert_eq!(fixture.refusal(&[]), "p.toml: is not UTF-8 text");
}

#[test]
fn a_run_needs_a_trunk_and_a_load() {
    let needs = |text: &str| {
        let plan = Fixture::profile(text).plan(&[]).unwrap_or_else(|error| panic!("{error}"));
        plan.require_load().expect_err("nothing to run").to_string()
    };
    assert_eq!(needs("").lines().next(), Some("p.toml: run needs at least one [[trunk]]"));
    let (trunk, _) = TRUNK.split_once("[[load]]").expect("the text above");
    assert_eq!(needs(trunk).lines().next(), Some("p.toml: run needs at least one [[load]]"));
}

#[test]
fn every_default_of_the_schema_is_the_resolved_one() {
    let secured = TRUNK.replace("[[load]]", "tls = {}\nws = {}\n[[load]]");
    let tables =
        "[[registrar.fault]]\nkind = \"limit\"\nconcurrent = 1\n[[truth]]\nkind = \"exec\"\ncommand = \"echo 1\"\n";
    let resolved = Fixture::profile(&format!("{secured}\n{tables}")).json(&[]);
    let schema = profile::schema();
    let mut defaults = Vec::new();
    collect_defaults(&schema, &schema, &resolved, "", &mut defaults);
    assert_eq!(defaults.len(), count_defaults(&schema), "{defaults:#?}");
    assert!(defaults.len() > 30);
    for (path, stated, resolved) in defaults {
        assert_eq!(resolved.as_ref().map(in_seconds), Some(in_seconds(&stated)), "{path}");
    }
}

/// Durations by their length: "60s" is resolved to "1m". The embedded registrar's password is
/// stated, but never shown.
fn in_seconds(value: &Value) -> Value {
    match value.as_str() {
        Some("secret") => json!("***"),
        Some(text) => parse_duration(text).map_or_else(|_| value.clone(), |span| json!(span.as_secs_f64())),
        None => value.clone(),
    }
}

fn count_defaults(schema: &Value) -> usize {
    match schema {
        Value::Object(table) => {
            // A key of a profile that is called "default" would hold a schema, and would have no
            // type beside it.
            let here = table.get("default").is_some_and(|value| !value.is_object() || table.contains_key("type"));
            let here = usize::from(here);
            here + table.values().map(count_defaults).sum::<usize>()
        }
        Value::Array(list) => list.iter().map(count_defaults).sum(),
        _ => 0,
    }
}

/// Walks schema and resolved profile side by side, the first item of each list.
fn collect_defaults(
    root: &Value,
    schema: &Value,
    resolved: &Value,
    path: &str,
    out: &mut Vec<(String, Value, Option<Value>)>,
) {
    let schema = match schema.get("$ref").and_then(Value::as_str) {
        Some(name) => root.pointer(name.trim_start_matches('#')).expect("a definition of the schema"),
        None => schema,
    };
    for (key, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{path}/{key}");
        let value = resolved.get(key);
        if let Some(default) = property.get("default") {
            out.push((path.clone(), default.clone(), value.cloned()));
        }
        // `retry` is left out of the text above: its defaults are those of an empty table.
        if let Some(value) = value {
            collect_defaults(root, property, value, &path, out);
        }
    }
    if let (Some(items), Some(first)) = (schema.get("items"), resolved.get(0)) {
        collect_defaults(root, items, first, path, out);
    }
}

#[test]
fn the_schema_knows_every_key_of_the_shipped_profiles_and_no_null() {
    let schema = profile::schema();
    assert!(!schema.to_string().contains("\"null\""));
    assert_eq!(schema["additionalProperties"], json!(false));
    assert_eq!(schema["$defs"]["TrunkFile"]["required"], json!(["id", "registrar", "domain", "agents"]));
    for file in toml_files("profiles") {
        let text = std::fs::read_to_string(&file).expect("readable");
        let value: toml::Table = toml::from_str(&text).expect("valid TOML");
        let value = serde_json::to_value(value).expect("JSON");
        check_keys(&schema, &schema, &value, &file.display().to_string());
    }
}

fn check_keys(root: &Value, schema: &Value, value: &Value, place: &str) {
    let schema = match schema.get("$ref").and_then(Value::as_str) {
        Some(name) => root.pointer(name.trim_start_matches('#')).expect("a definition of the schema"),
        None => schema,
    };
    match value {
        Value::Object(table) => {
            for (key, inner) in table {
                let property = schema.get("properties").and_then(|properties| properties.get(key));
                let property = property.or_else(|| schema.get("additionalProperties").filter(|free| free.is_object()));
                let property = property.unwrap_or_else(|| panic!("{place}: the schema has no {key}"));
                check_keys(root, property, inner, &format!("{place} {key}"));
            }
        }
        Value::Array(list) => list.iter().for_each(|item| check_keys(root, &schema["items"], item, place)),
        _ => {}
    }
}

#[test]
fn set_reaches_every_kind_of_key() {
    let text = format!("{TRUNK}\n[[registrar.fault]]\nkind = \"refuse\"\ncode = 500\n");
    let shown = Fixture::profile(&text).json(&[
        "run.seed=9",
        "run.name=7",
        "trunk.0.agents.count=3",
        "trunk.nj.expires=30s",
        "trunk.0.headers.X-Site=NJ",
        "trunk.0.retry={ preset = \"hammer\", max = 3 }",
        "load.0.rate=50",
        "safety.max_message_rate=100",
        "thresholds.register.p99=< 250ms",
        "compare.register.p99=+1ms",
        "compare.request_timeout=off",
        "safety.abort_on.trunk.nj.loops=> 100",
        "registrar.fault.0.kind=deny",
        "trunk.0.agents.password=1234",
    ]);
    assert_eq!(shown["run"]["seed"], 9);
    assert_eq!(shown["run"]["name"], "7");
    assert_eq!(shown["trunk"][0]["agents"]["count"], 3);
    assert_eq!(shown["trunk"][0]["agents"]["password"], "***");
    assert_eq!(shown["trunk"][0]["expires"], "30s");
    assert_eq!(shown["trunk"][0]["headers"], json!({ "X-Site": "NJ" }));
    assert_eq!(shown["trunk"][0]["retry"]["interval"], "1s");
    assert_eq!(shown["trunk"][0]["retry"]["max"], 3);
    assert_eq!(shown["load"][0]["rate"], 50.0);
    assert_eq!(shown["safety"]["max_message_rate"], 100);
    assert_eq!(shown["thresholds"], json!({ "register.p99": "< 250ms" }));
    let compare = shown["compare"].as_object().expect("a table");
    assert_eq!((&compare["register.p99"], &compare["request_timeout"]), (&json!("+1ms"), &json!("off")));
    assert_eq!((compare.len(), &compare["success_ratio"]), (7, &json!("-0.1%")), "the other defaults stay");
    assert_eq!(shown["safety"]["abort_on"], json!({ "trunk.nj.loops": "> 100" }));
    assert_eq!(shown["registrar"]["fault"][0]["kind"], "deny");
}

#[test]
fn the_last_set_wins_and_an_id_comes_before_a_position() {
    let text = TRUNK.replace("\"nj\"", "\"1\"") + &TRUNK.replace("agent{n", "other{n");
    let shown = Fixture::profile(&text).json(&["trunk.1.expires=30s", "trunk.1.expires=40s"]);
    assert_eq!((&shown["trunk"][0]["expires"], &shown["trunk"][1]["expires"]), (&json!("40s"), &json!("1h")));
}

#[test]
fn what_is_wrong_with_a_set_names_the_flag() {
    for (set, message) in [
        ("run.sed=9", "--set run.sed=9: run.sed: no such key\n = did you mean \"seed\"?"),
        (
            "run.drain=35",
            "--set run.drain=35: run.drain: must be a duration in quotes with its unit, like \"10s\", not the integer 35",
        ),
        (
            "run.interval=5",
            "--set run.interval=5: run.interval: must be a duration in quotes with its unit, like \"10s\", not the integer 5",
        ),
        (
            "run.interval=soon",
            "--set run.interval=soon: run.interval: \"soon\" is not a duration; write it like \"250ms\", \"10s\" or \"1h30m\"",
        ),
        ("trunk.0.refresh_at=2", "--set trunk.0.refresh_at=2: trunk.0.refresh_at: must be between 0 and 1, not 2"),
        (
            "trunk.ny.expires=30s",
            "--set trunk.ny.expires=30s: trunk.ny.expires: there is no \"trunk.ny\"; the profile has 1, counted from 0 or by id: nj",
        ),
        (
            "load.3.rate=5",
            "--set load.3.rate=5: load.3.rate: there is no \"load.3\"; the profile has 1, counted from 0",
        ),
        ("load.rate=5", "--set load.rate=5: load.rate: \"load\" is a list; name one: load.0"),
        ("trunk.0.id.x=5", "--set trunk.0.id.x=5: trunk.0.id.x: \"trunk.0.id\" is no table, it is of type string"),
        ("seed", "--set seed: is not KEY=VALUE, like run.seed=9"),
        ("run..seed=9", "--set run..seed=9: \"run..seed\" is not a dotted path, like trunk.0.expires"),
        (
            "trunk.0.agents.password=[1]",
            "--set trunk.0.agents.password=***: trunk.0.agents.password: must be a string in quotes, not a list",
        ),
        (
            "thresholds.los=== 0",
            "--set thresholds.los=== 0: thresholds.los: \"los\" is no metric; did you mean \"loops\"?",
        ),
        (
            "trunk.0.registrar=sip:a;transport=sctp",
            "--set trunk.0.registrar=sip:a;transport=sctp: trunk.0.registrar: the transport \"sctp\" is unknown; use udp, tcp, tls, ws or wss",
        ),
        (
            "registrar.fault.0.kind=limit",
            "--set registrar.fault.0.kind=limit: registrar.fault.0.kind: there is no \"registrar.fault.0\"; the profile has none",
        ),
    ] {
        let refusal = Fixture::profile(TRUNK).refusal(&[set]);
        assert_eq!(refusal, message, "{set}");
    }
}

#[test]
fn no_secret_is_shown_anywhere() {
    let text = TRUNK.to_owned()
        + r#"
[[trunk]]
id = "ny"
registrar = "embedded"
domain = "ny.test"
agents = { csv = "agents.csv", password_env = "SIP_PASSWORD" }

[registrar]
password = "hunter2-registrar"
"#;
    let csv = "user,password,ha1\nalice,hunter2-alice,\nbob,,0123456789abcdef0123456789abcdef\ncarol,,\n";
    let fixture = Fixture::profile(&text).file("agents.csv", csv).variable("SIP_PASSWORD", "hunter2-env");
    let profile = fixture.load(&["trunk.0.agents.password=hunter2-set"]).unwrap_or_else(|error| panic!("{error}"));
    let plan = Plan::new(&profile).unwrap_or_else(|error| panic!("{error}"));
    let shown = format!("{profile:?}{profile:#?}{plan:?}{plan:#?}{}", plan.profile_json);
    assert!(!shown.contains("hunter2") && !shown.contains("0123456789abcdef"), "{shown}");
    assert!(plan.profile_json.contains("***"));
}

#[test]
fn csv_rows_belong_to_their_trunk() {
    let text = TRUNK.replace(
        "agents = { count = 5, user = \"agent{n:03}\", password = \"hunter2\" }",
        "agents = { csv = \"lists/agents.csv\", password = \"shared\" }",
    );
    let csv = "\u{feff}comment, user ,trunk_id,auth_user,password\n\
               x,alice,,,\nx,bob,ny,,\nx,carol,nj,carol-auth,own\nx,\"dave\",gone,,\n";
    let fixture = Fixture::profile(&text).file("lists/agents.csv", csv);
    let plan = fixture.plan(&[]).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<_> = plan.identities.iter().map(|agent| (agent.user, agent.auth_user, agent.number)).collect();
    assert_eq!(names, [("alice", "alice", 0), ("carol", "carol-auth", 1)]);
    assert_eq!(plan.warnings.len(), 1, "{:?}", plan.warnings);
    assert!(plan.warnings[0].starts_with("lists/agents.csv: 2 rows name a trunk_id"), "{:?}", plan.warnings);
}

/// A profile whose agents are `agents` and come in their order, beside a file `users.csv`.
fn listed(agents: &str, file: &str) -> Fixture {
    let text = TRUNK.replace("{ count = 5, user = \"agent{n:03}\", password = \"hunter2\" }", agents);
    Fixture::profile(&format!("{text}\n[arrivals]\norder = \"listed\"\n")).file("users.csv", file)
}

#[test]
fn an_injection_file_of_sipp_names_the_agents() {
    let file = "USER\r\n#user;domain;auth\r\nalice;x.test;[authentication username=alice-a password=hunter2]\r\n\
                bob;x.test;[authentication password=hunter2]\r\ncarol\r\n";
    let plan = listed("{ sipp_csv = \"users.csv\", password = \"hunter2-all\" }", file).plan(&[]);
    let plan = plan.unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<_> = plan.identities.iter().map(|agent| (agent.user, agent.auth_user, agent.number)).collect();
    assert_eq!(names, [("alice", "alice-a", 0), ("bob", "bob", 1), ("carol", "carol", 2)]);
    assert!(plan.warnings.is_empty() && !plan.trunks[0].drawn_order, "{:?}", plan.warnings);
    assert!(!format!("{plan:?}").contains("hunter2"));
    let shown: Value = serde_json::from_str(&plan.profile_json).expect("a plan's own JSON");
    let agents = json!({ "count": 3, "sipp_csv": "users.csv", "user_field": 0, "order": "user" });
    assert_eq!(shown["trunk"][0]["agents"], agents);
    let other =
        listed("{ sipp_csv = \"users.csv\", user_field = 1, password = \"p\" }", "SEQUENTIAL,PRINTF=3\nx;u%02d\n");
    let plan = other.plan(&[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(plan.identities.iter().map(|agent| agent.user).collect::<Vec<_>>(), ["u00", "u01", "u02"]);
}

#[test]
fn random_rows_come_once_each_in_an_order_of_the_seed() {
    let file = "RANDOM,PRINTF=50\nuser%02d\n";
    let order = |seed: u64| {
        let mut plan = listed("{ sipp_csv = \"users.csv\", password = \"p\" }", file)
            .plan(&[])
            .unwrap_or_else(|error| panic!("{error}"));
        plan.draw(regstorm::seed::Seed(seed));
        plan.identities.iter().map(|agent| agent.user.to_owned()).collect::<Vec<_>>()
    };
    let (one, mut sorted) = (order(7), order(7));
    assert_eq!(one, sorted);
    assert_ne!(one, order(8));
    sorted.sort();
    assert_ne!(one, sorted);
    assert_eq!(sorted, (0..50).map(|n| format!("user{n:02}")).collect::<Vec<_>>());
}

#[test]
fn users_that_come_twice_are_warned_of() {
    let rows = "a\nb\na\nb\nc\na\nc\nd\nd\n";
    let warned = |agents: &str, file: &str| {
        let plan = listed(agents, file).plan(&[]).unwrap_or_else(|error| panic!("{error}"));
        (plan.identities.len(), plan.warnings.into_iter().filter(|doubt| doubt.contains("repeat")).collect::<Vec<_>>())
    };
    let message = "users.csv: 5 rows repeat a user: \"a\" (lines 2 and 4), \"b\" (lines 3 and 5), \"c\" (lines 6 and 8), …; \
                   agents of one user share its address of record";
    let expected = (9, vec![message.to_owned()]);
    assert_eq!(warned("{ csv = \"users.csv\", password = \"p\" }", &format!("user\n{rows}")), expected);
    assert_eq!(warned("{ sipp_csv = \"users.csv\", password = \"p\" }", &format!("USER\n{rows}")), expected);
    let (_, none) = warned("{ sipp_csv = \"users.csv\", password = \"p\" }", "USER\na\nb\n");
    assert!(none.is_empty());
}

#[test]
fn an_empty_line_ends_a_file_for_sipp_but_not_here() {
    let plan = listed("{ sipp_csv = \"users.csv\", password = \"p\" }", "USER\na\nb\nc\n\nd\ne\n\n").plan(&[]);
    let plan = plan.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(plan.identities.len(), 5);
    let message = "users.csv line 5 is empty: SIPp stops reading there, the rows behind it count here";
    assert_eq!(plan.warnings, [message]);
}

#[test]
fn tls_on_a_trunk_that_is_not_encrypted_is_doubted() {
    let warnings = |registrar: &str| {
        let text = TRUNK.replace("registrar = \"embedded\"", &format!("{registrar}\ntls = {{ verify = true }}"));
        let plan = Fixture::profile(&text).plan(&[]).unwrap_or_else(|error| panic!("{error}"));
        plan.warnings.into_iter().filter(|warning| warning.contains("tls")).collect::<Vec<_>>()
    };
    let plain = warnings("registrar = \"sip:127.0.0.1\"");
    assert!(plain.len() == 1 && plain[0].contains("over UDP, in clear; for TLS write"), "{plain:?}");
    assert_eq!(warnings("registrar = \"sip:127.0.0.1;transport=tls\""), [""; 0]);
}

#[test]
fn trunks_are_interleaved_by_their_number_of_agents() {
    let text = TRUNK.replace("count = 5", "count = 6")
        + "[[trunk]]\nid = \"ny\"\nregistrar = \"embedded\"\ndomain = \"ny.test\"\n\
           agents = { count = 2, user = \"ny{n}\", password = \"p\" }\n";
    let plan = Fixture::profile(&text).plan(&[]).unwrap_or_else(|error| panic!("{error}"));
    let order: Vec<_> = plan.identities.iter().map(|agent| agent.user).collect();
    let expected = ["agent000", "agent001", "ny0", "agent002", "agent003", "agent004", "ny1", "agent005"];
    assert_eq!(order, expected);
    assert_eq!(plan.warnings, ["the load plans 5 arrivals for 8 agents: 3 never arrive"]);
}

#[test]
fn targets_and_proxies_are_read() {
    let plan = Fixture::profile(TRUNK)
        .plan(&[
            "trunk.0.registrar=sip:edge.example.net",
            "trunk.0.outbound_proxy=sip:127.0.0.1:5070",
            "trunk.0.headers={ X-Site = \"NJ\", user-agent = \"desk phone\" }",
        ])
        .unwrap_or_else(|error| panic!("{error}"));
    let trunk = &plan.trunks[0];
    let RegistrarChoice::Target(target) = &trunk.registrar else { panic!("{trunk:?}") };
    assert_eq!((target.host.as_str(), target.port), ("edge.example.net", 5060));
    let proxy = trunk.outbound_proxy.as_ref().expect("set above");
    assert_eq!((proxy.route.as_str(), proxy.target.port), ("<sip:127.0.0.1:5070;lr>", 5070));
    // RFC 3327: a proxy on the way hears that its Path is understood.
    let headers = [("X-Site", "NJ"), ("Supported", "path")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(trunk.headers, headers);
    assert_eq!(trunk.user_agent.as_deref(), Some("desk phone"));
}

#[test]
fn presets_become_policies() {
    use regstorm::agent::Backoff::{Exponential, Fixed, Never};
    use regstorm::agent::{OnIcmp, Patience, Refresh, RetryAfter, RetryPolicy};
    use std::time::Duration;
    let secs = Duration::from_secs;
    let policy = |retry: &str| {
        let set = format!("trunk.0.retry={retry}");
        Fixture::profile(TRUNK).plan(&[&set]).unwrap_or_else(|error| panic!("{error}")).trunks[0].policy.retry
    };
    let rfc = policy("{}");
    assert_eq!(rfc.recoverable, Exponential { base: secs(30), cap: secs(1800), jitter: 0.5 });
    assert_eq!(rfc, RetryPolicy::RFC);
    let rfc = policy("{ interval = \"5s\", forbidden_interval = \"2s\", max = 10, jitter = 0.1 }");
    assert_eq!(rfc.recoverable, Exponential { base: secs(5), cap: secs(1800), jitter: 0.1 });
    assert_eq!((rfc.forbidden, rfc.max), (Fixed { interval: secs(2), jitter: 0.1 }, Some(10)));
    let hammer = policy("{ preset = \"hammer\", interval = \"2s\", max = \"unlimited\" }");
    let again = Fixed { interval: secs(2), jitter: 0.0 };
    assert_eq!((hammer.recoverable, hammer.forbidden, hammer.refused), (again, again, again));
    assert_eq!((hammer.retry_after, hammer.max), (RetryAfter::Ignored, None));
    assert_eq!(policy("{ preset = \"hammer\" }"), RetryPolicy::HAMMER);
    let pjsua = policy("{ preset = \"pjsua\" }");
    assert_eq!(pjsua, RetryPolicy::PJSUA);
    let pjsua = policy("{ preset = \"pjsua\", interval = \"40s\", max = 3 }");
    assert_eq!((pjsua.recoverable, pjsua.max), (Fixed { interval: secs(40), jitter: 0.25 }, Some(3)));
    let asterisk = policy("{ preset = \"asterisk\" }");
    assert_eq!(asterisk, RetryPolicy::ASTERISK);
    assert_eq!(policy("{ preset = \"baresip\" }"), RetryPolicy::BARESIP);
    let baresip =
        policy("{ preset = \"baresip\", forbidden_interval = \"30s\", icmp = \"heed\", challenges = 2, stales = 3 }");
    assert_eq!((baresip.forbidden, baresip.on_icmp), (Fixed { interval: secs(30), jitter: 0.0 }, OnIcmp::Heed));
    assert_eq!(baresip.patience, Patience::RFC);
    let asterisk =
        policy("{ preset = \"asterisk\", forbidden_interval = \"300s\", max = \"unlimited\", jitter = 0.1 }");
    let waits = |interval| Fixed { interval: secs(interval), jitter: 0.1 };
    assert_eq!((asterisk.recoverable, asterisk.forbidden, asterisk.max), (waits(60), waits(300), None));
    let sets = ["trunk.0.retry={ preset = \"pjsua\" }", "trunk.0.refresh_at=0.5"];
    let plan = Fixture::profile(TRUNK).plan(&sets).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(plan.trunks[0].policy.retry.refresh, Refresh::Share, "what is written wins");
    let none = policy("{ preset = \"none\" }");
    assert_eq!((none.recoverable, none.forbidden, none.refused, none.max), (Never, Never, Never, Some(0)));
}

#[test]
fn a_nonce_is_used_twice_by_those_clients_that_do() {
    let reuses = |sets: &[&str]| {
        let plan = Fixture::profile(TRUNK).plan(sets).unwrap_or_else(|error| panic!("{error}"));
        plan.trunks[0].policy.reuse_nonce
    };
    for (preset, expected) in
        [("rfc", true), ("hammer", true), ("baresip", true), ("asterisk", false), ("pjsua", false)]
    {
        let set = format!("trunk.0.retry={{ preset = \"{preset}\" }}");
        assert_eq!(reuses(&[&set]), expected, "{preset}");
        assert!(reuses(&[&set, "trunk.0.reuse_nonce=true"]), "{preset}");
        assert!(!reuses(&[&set, "trunk.0.reuse_nonce=false"]), "{preset}");
    }
    // Of a share of the agents too.
    let text = TRUNK.replace("[[load]]", "[[trunk.mix]]\nshare = 0.2\nretry = { preset = \"asterisk\" }\n[[load]]");
    let plan = Fixture::profile(&text).plan(&[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((plan.trunks[0].policy.reuse_nonce, plan.variants[0].reuse_nonce), (true, false));
}

#[test]
fn a_mix_is_exact_and_spread_evenly() {
    let text = TRUNK.replace("count = 5", "count = 20").replace(
        "[[load]]",
        "[[trunk.mix]]\nshare = 0.2\nwrong = \"password\"\n[[trunk.mix]]\nshare = 0.1\nwrong = \"realm\"\n\
         [[trunk.mix]]\nshare = 0.05\nwrong = \"user\"\nretry = { preset = \"hammer\" }\n[[load]]",
    );
    let fixture = Fixture::profile(&text);
    let plan = fixture.plan(&[]).unwrap_or_else(|error| panic!("{error}"));
    let book = &plan.identities;
    let policies: Vec<usize> = (0..20).map(|n| book.policy(AgentId(n))).collect();
    let wrong_passwords: Vec<u32> = (0..20)
        .filter(|n| match book.get(AgentId(*n)).credential {
            Credential::Password(secret) => secret.reveal() != "hunter2",
            Credential::Ha1(_) => false,
        })
        .collect();
    assert_eq!(wrong_passwords, [2, 7, 12, 17]);
    let at = |policy| -> Vec<usize> { (0..20).filter(|n| policies[*n] == policy).collect() };
    assert_eq!((at(1), at(2)), (vec![4, 15], vec![9]));
    assert_eq!(at(0).len(), 17);
    assert_eq!(book.get(AgentId(9)).user, "unknown-agent009");
    assert_eq!(book.iter().filter(|agent| agent.user.starts_with("unknown-")).count(), 1);
    let [realm, user] = plan.variants.as_slice() else { panic!("{:?}", plan.variants) };
    assert_eq!((realm.realm.as_deref(), realm.realm_policy), (Some("wrong.genesyscloud.test"), RealmPolicy::Force));
    assert_eq!((user.retry.preset, user.realm_policy), ("hammer", RealmPolicy::Expect));
    assert!(plan.warnings.iter().any(|warning| warning.contains("wrong = \"user\"")), "{:?}", plan.warnings);
    assert_eq!(fixture.json(&[])["trunk"][0]["mix"][0], json!({ "share": 0.2, "wrong": "password" }));
}

#[test]
fn a_registrar_needs_no_profile() {
    let sets = ["registrar.min_expires=60s".to_owned()];
    let profile = profile::empty(&Fixture::default(), &sets).unwrap_or_else(|error| panic!("{error}"));
    let plan = Plan::new(&profile).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((plan.registrar.min_expires_s, plan.registrar.max_expires_s), (60, 3600));
    assert_eq!(plan.listen.len(), 1);
}

proptest! {
    /// Whatever a slip of the pen makes of a profile or a flag, it is planned or refused.
    #[test]
    fn any_slip_of_the_pen_is_planned_or_refused(at in 0usize..2_000, cut in 0usize..8, put in "[\\[\\]{}=\".,#é\n a0-]{0,4}", set in ".{0,30}") {
        let whole = BROKEN_BY_SLIPS;
        let boundary = |mut at: usize| { while !whole.is_char_boundary(at) { at -= 1; } at };
        let start = boundary(at % whole.len());
        let end = boundary((start + cut).min(whole.len()));
        let text = format!("{}{put}{}", &whole[..start], &whole[end..]);
        for sets in [vec![], vec![set.as_str()]] {
            if let Err(error) = Fixture::profile(&text).plan(&sets) {
                prop_assert!(!error.problems.is_empty());
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}

const BROKEN_BY_SLIPS: &str = r#"
[run]
name = "nj – phase 2"
interval = "10s"

[safety]
allow_targets = ["127.0.0.0/8", "::1/128"]

[[trunk]]
id = "nj"
registrar = "sip:[::1]:5060"
domain = "genesyscloud.test"
expires = "1h30m"
agents = { count = 5, user = "agent{n:03}", password = """hün"ter2""" }
headers = { "X-Site" = "NJ" }
retry = { preset = "hammer", max = "unlimited", jitter = 0.1 }

[[load]]
ramp = 5
for = "10s"

[[load]]
hold = "1m"

[thresholds]
"register.p99" = "< 250ms"

[[registrar.fault]]
kind = "delay"
lognormal = { median = "20ms", sigma = 0.5 }
"#;

/// Two trunks, each with agents of its own, and what `[registrar]` says.
fn two_trunks([one, other]: [&str; 2], registrar: &str) -> KnownUsers {
    let trunk = |id: &str, domain: &str, agents: &str| {
        format!("[[trunk]]\nid = \"{id}\"\nregistrar = \"embedded\"\ndomain = \"{domain}\"\nagents = {agents}\n")
    };
    let text = trunk("one", "One.test", one) + &trunk("other", "other.test", other) + registrar;
    let rows = "user,auth_user,password\nalice,alice-a,a\nbob,,b\n";
    let plan = Fixture::profile(&text).file("users.csv", rows).plan(&[]);
    plan.unwrap_or_else(|error| panic!("{error}")).registrar.users
}

#[test]
fn the_embedded_registrar_knows_the_trunks_own_agents() {
    let pattern = |password: &str| format!("{{ count = 3, user = \"u{{n}}\", password = \"{password}\" }}");
    let (red, blue) = (&*pattern("red"), &*pattern("blue"));
    let list = "{ csv = \"users.csv\" }";
    let is =
        |users: &KnownUsers, password: &str| matches!(users, KnownUsers::Anybody(known) if known.reveal() == password);

    assert!(is(&two_trunks([red, red], ""), "red"), "one password is enough for all");
    assert!(is(&two_trunks([red, blue], "[registrar]\npassword = \"green\"\n"), "green"), "as it is told");
    let KnownUsers::ByDomain(domains) = two_trunks([red, list], "") else { panic!("two kinds of agents") };
    assert_eq!(domains.len(), 2);
    assert!(is(&domains["one.test".as_bytes()], "red"), "domains are compared in lower case");
    let KnownUsers::Listed(users) = &domains["other.test".as_bytes()] else { panic!("two passwords") };
    let mut names: Vec<_> = users.keys().map(|name| String::from_utf8_lossy(name)).collect();
    names.sort();
    assert_eq!(names, ["alice-a", "bob"]);
    let KnownUsers::Listed(users) = two_trunks([red, blue], "[registrar]\nusers = \"users.csv\"\n") else {
        panic!("a list is told")
    };
    assert_eq!(users.len(), 2);
}
