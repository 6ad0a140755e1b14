//! The reference part of the book is held against the program: every key of the schema, every
//! column of every file, every command, and every path that is named.
//!
//! What a key means and its default are said once, in the doc comments of the profile's types, from
//! which the schema has them; what a column means in the data dictionary. The book's tables repeat
//! both; with `UPDATE_EXPECT=1` in the environment they are written anew.

mod support;

use regstorm::live::{Metrics, RunFacts};
use regstorm::report::dictionary;
use regstorm::report::watch::{PlatformTrunk, exposition, platform_exposition};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use support::program::{Regstorm, profile};
use support::results::{FILES, ResultDir, STATUSES};

const PROFILE: &str = include_str!("../docs/reference/profile.md");
const FILE_PAGE: &str = include_str!("../docs/reference/files.md");
const METRICS: &str = include_str!("../docs/reference/metrics.md");
const COMMANDS: &str = include_str!("../docs/reference/commands.md");
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn every_key_of_the_profile_is_in_its_reference() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let finished = Regstorm::run(dir.path(), &["schema"], LIMIT);
    finished.expect_code(0);
    let schema: Value = serde_json::from_slice(&finished.stdout).expect("JSON on stdout");
    let mut keys = BTreeSet::new();
    collect_keys(&schema, &mut keys);
    assert!(keys.len() > 40, "only {keys:?}: the walk is broken");
    expect_mentioned(keys.iter().map(String::as_str), PROFILE);
}

#[test]
fn the_tables_of_keys_say_what_the_schema_says() {
    let schema = regstorm::profile::schema();
    let mut page = PROFILE.to_owned();
    let marks: Vec<&str> = PROFILE.lines().filter(|line| line.starts_with(KEYS)).collect();
    assert_eq!(marks.len(), 14, "{marks:?}");
    for mark in marks {
        let name = mark.strip_prefix(KEYS).and_then(|rest| rest.strip_suffix(" -->")).expect("a name of the schema");
        let keys = schema["$defs"][name]["properties"].as_object().unwrap_or_else(|| panic!("no {name}"));
        page = page.replacen(table_behind(PROFILE, mark), &table_of_keys(keys, table_behind(PROFILE, mark)), 1);
    }
    expect_written("docs/reference/profile.md", PROFILE, &page);
}

#[test]
fn the_tables_of_columns_say_what_the_dictionary_says() {
    let mut page = FILE_PAGE.to_owned();
    for file in FILES.iter().chain(&["avalanche.csv"]).filter(|file| file.ends_with(".csv")) {
        let mark = format!("{COLUMNS}{file} -->");
        let table = table_behind(FILE_PAGE, &mark);
        let rows = dictionary::columns(file).map(|column| format!("| `{}` | {} |\n", column.name, column.meaning));
        let meant = format!("| column | means |\n|---|---|\n{}", rows.collect::<String>());
        page = page.replacen(&format!("{mark}\n{table}"), &format!("{mark}\n{meant}"), 1);
    }
    expect_written("docs/reference/files.md", FILE_PAGE, &page);
}

/// What stands before a table of the columns of a file.
const COLUMNS: &str = "<!-- columns of ";

/// The table behind a mark, up to the next empty line.
fn table_behind<'a>(page: &'a str, mark: &str) -> &'a str {
    let start = page.find(mark).unwrap_or_else(|| panic!("no {mark}")) + mark.len() + 1;
    &page[start..start + page[start..].find("\n\n").expect("an end") + 1]
}

/// A page that is meant to be as the program says; `UPDATE_EXPECT=1` writes it.
fn expect_written(file: &str, ours: &str, meant: &str) {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(file), meant).expect("writable");
    } else if let Some((ours, meant)) = ours.lines().zip(meant.lines()).find(|(ours, meant)| ours != meant) {
        panic!("{file} says\n{ours}\nand the program\n{meant}");
    } else {
        assert_eq!(ours.len(), meant.len());
    }
}

/// What stands before a table of the book that lists the keys of one table of the profile.
const KEYS: &str = "<!-- keys of ";

/// A table as the schema has it, in the order in which the README lists its keys, new ones last.
fn table_of_keys(keys: &serde_json::Map<String, Value>, table: &str) -> String {
    let listed = table.lines().skip(2).filter_map(|row| row.split('`').nth(1));
    let mut order: Vec<&str> = listed.filter(|key| keys.contains_key(*key)).collect();
    order.extend(keys.keys().map(String::as_str).filter(|key| !table.contains(&format!("\n| `{key}` |"))));
    let with_default = keys.values().any(|key| key.get("default").is_some());
    let mut text =
        if with_default { "| key | default | means |\n|---|---|---|\n" } else { "| key | means |\n|---|---|\n" }
            .to_owned();
    for name in order {
        let means = keys[name]["description"].as_str().expect("a doc comment").replace('\n', " ").replace('|', "\\|");
        let default = match keys[name].get("default") {
            Some(value) => format!("| `{}` ", value.to_string().replace("\",\"", "\", \"")),
            None if with_default => "| ".to_owned(),
            None => String::new(),
        };
        text += &format!("| `{name}` {default}| {means} |\n");
    }
    text
}

#[test]
fn every_column_and_every_file_is_in_its_reference() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let text = "[run]\nname = \"small\"\nseed = 7\n\n[[trunk]]\nid = \"lab\"\nregistrar = \"embedded\"\n\
                domain = \"genesyscloud.test\"\n\
                agents = { count = 20, user = \"agent{n:05}\", password = \"secret\" }\n\n\
                [[load]]\nrate = 100\nfor = \"200ms\"\n\n[generator]\nlate = \"90ms\"\n";
    Regstorm::run(dir.path(), &["run", profile(dir.path(), text), "--out", "out"], LIMIT).expect_code(0);
    let results = ResultDir::open(&dir.path().join("out"));
    let reference = FILE_PAGE;
    expect_mentioned(FILES.into_iter(), reference);
    for file in FILES.iter().filter(|file| file.ends_with(".csv")) {
        // Each file has a part of its own, so that a column of one does not vouch for that of
        // another.
        let part = reference.split("\n## ").find(|part| part.starts_with(&format!("`{file}`")));
        let part = part.unwrap_or_else(|| panic!("the file reference has no heading for {file}"));
        expect_mentioned(results.table(file).header.iter().map(String::as_str), part);
    }
    let part = reference.split("\n## ").find(|part| part.starts_with("`run.json`")).expect("a heading for run.json");
    for object in ["", "/totals", "/generator", "/schedule_lag_us", "/cpu", "/latency_us/register"] {
        let value = results.run.pointer(object).and_then(Value::as_object);
        let value = value.unwrap_or_else(|| panic!("run.json has no object {object}"));
        let own = value.keys().map(String::as_str).filter(|key| !STATUSES.contains(key));
        expect_mentioned(own, part);
    }
}

#[test]
fn every_command_is_in_the_book() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let help = Regstorm::run(dir.path(), &["--help"], LIMIT);
    help.expect_code(0);
    let help = help.stdout();
    let listed = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let named = listed.take_while(|line| line.starts_with("  ")).filter_map(|line| line.split_whitespace().next());
    let commands: Vec<&str> = named.filter(|name| !name.is_empty() && *name != "help").collect();
    assert!(commands.contains(&"run") && commands.contains(&"schema"), "{commands:?}");
    for command in commands {
        assert!(COMMANDS.contains(&format!("`regstorm {command}")), "`regstorm {command}` is not in the book");
    }
}

#[test]
fn every_metric_is_in_its_reference_and_every_other_one_is_not() {
    let facts = RunFacts {
        name: "small".to_owned(),
        version: "0",
        seed: 7,
        started_unix_ns: 0,
        interval: LIMIT,
        warmup: Duration::ZERO,
        load_lasts: LIMIT,
        trunks: vec![("lab".to_owned(), 1)],
    };
    let metrics = Metrics::new(facts);
    metrics.end("pass");
    let run = metrics.render();
    let watch = exposition(&[("lab".to_owned(), true)], 0);
    let trunk = PlatformTrunk { trunk_id: "lab".to_owned(), registered: Some(true), flips: 3, period_s: Some(60.0) };
    let platform = platform_exposition("gc", &[trunk], 0);
    let families = run
        .lines()
        .chain(watch.lines())
        .chain(platform.lines())
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let sampled =
        families.map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() });
    let there: BTreeSet<String> = sampled.collect();
    let words = METRICS.split('`').skip(1).step_by(2);
    let named: BTreeSet<String> =
        words.filter(|word| word.starts_with("regstorm_") && !word.contains(' ')).map(str::to_owned).collect();
    assert_eq!(named, there);
}

#[test]
fn every_path_the_pages_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = BTreeSet::new();
    for page in ["README.md", "CONTRIBUTING.md", "docs/guide", "docs/reference", "docs/background"] {
        let page = root.join(page);
        let files = std::fs::read_dir(&page).map(|files| files.map(|file| file.expect("readable").path()).collect());
        for file in files.unwrap_or_else(|_| vec![page]) {
            let text = std::fs::read_to_string(&file).expect("a page");
            let words = text.split(|c: char| c.is_whitespace() || "`()[]\"<>|".contains(c));
            let own = |word: &&str| OWN.iter().any(|folder| word.starts_with(folder));
            paths.extend(words.map(|word| word.trim_end_matches(['.', ','])).filter(own).map(str::to_owned));
        }
    }
    assert!(paths.contains("profiles/limits.toml"), "{paths:?}");
    for path in paths {
        assert!(root.join(&path).exists(), "a page names {path}");
    }
}

/// Folders of this repository.
const OWN: [&str; 7] = ["profiles/", "tests/", "benches/", "src/", "docs/", "LICENSES/", ".ci/"];

/// The names under every `properties` of a schema, at any depth.
fn collect_keys(schema: &Value, keys: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                keys.extend(properties.keys().cloned());
            }
            object.values().for_each(|value| collect_keys(value, keys));
        }
        Value::Array(values) => values.iter().for_each(|value| collect_keys(value, keys)),
        _ => {}
    }
}

/// Each name stands in the text as code, alone or as the last part of a dotted path.
#[track_caller]
fn expect_mentioned<'a>(names: impl Iterator<Item = &'a str>, text: &str) {
    let code: BTreeSet<&str> =
        text.split('`').skip(1).step_by(2).flat_map(|code| code.split(['.', ' ', ','])).collect();
    let files: BTreeSet<&str> = text.split('`').skip(1).step_by(2).collect();
    let missing: Vec<&str> = names.filter(|name| !code.contains(name) && !files.contains(name)).collect();
    assert!(missing.is_empty(), "not in the book: {missing:?}");
}
