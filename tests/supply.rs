//! What the program is built of, held against `deny.toml`: licences, sources, crates that must not
//! be there, and crates that are there twice. The same file is read by cargo-deny; this test needs
//! nothing but cargo, so it holds on every machine.

use serde_json::Value;
use spdx::Expression;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The packages in use on this platform, as cargo resolved them.
fn packages() -> Vec<Value> {
    let metadata = cargo(&["metadata", "--format-version", "1", "--locked", "--filter-platform", &host()]);
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo's JSON");
    let nodes = metadata["resolve"]["nodes"].as_array().expect("a resolved graph");
    let used: BTreeSet<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let packages = metadata["packages"].as_array().expect("packages");
    let packages: Vec<Value> =
        packages.iter().filter(|package| used.contains(package["id"].as_str().expect("an id"))).cloned().collect();
    assert!(packages.len() > 100, "only {} packages found", packages.len());
    packages
}

fn host() -> String {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc beside cargo");
    let text = String::from_utf8(rustc.stdout).expect("text");
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host").to_owned()
}

fn cargo(args: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn rules() -> toml::Table {
    include_str!("../deny.toml").parse().expect("deny.toml is TOML")
}

fn text<'v>(package: &'v Value, key: &str) -> &'v str {
    package[key].as_str().unwrap_or_default()
}

/// A list of texts below two keys.
fn listed(rules: &toml::Table, table: &str, key: &str) -> BTreeSet<String> {
    let list = rules[table][key].as_array().expect("a list");
    let name = |entry: &toml::Value| entry.as_str().or_else(|| entry.get("crate")?.as_str()).map(str::to_owned);
    list.iter().map(|entry| name(entry).expect("a name")).collect()
}

#[test]
fn every_licence_permits_what_ours_does() {
    let allowed = listed(&rules(), "licenses", "allow");
    let mut refused = Vec::new();
    for package in packages() {
        let (name, written) = (text(&package, "name"), text(&package, "license"));
        let is_fine = match Expression::parse_mode(written, spdx::ParseMode::LAX) {
            Ok(expression) => expression.evaluate(|requirement| allowed.contains(&requirement.to_string())),
            // No expression: the text itself must be one that is known.
            Err(_) => licence_text(&package).contains("MIT License"),
        };
        if !is_fine {
            refused.push(format!("{name}: {written}"));
        }
    }
    assert!(refused.is_empty(), "not among the licences of deny.toml: {refused:?}");
}

/// The licence a package keeps in a file instead of naming it.
fn licence_text(package: &Value) -> String {
    let manifest = std::path::Path::new(text(package, "manifest_path"));
    std::fs::read_to_string(manifest.with_file_name(text(package, "license_file"))).unwrap_or_default()
}

#[test]
fn everything_comes_from_the_registry() {
    let elsewhere: Vec<String> = packages()
        .iter()
        .filter(|package| text(package, "name") != "regstorm")
        .filter(|package| text(package, "source") != "registry+https://github.com/rust-lang/crates.io-index")
        .map(|package| format!("{} from {}", text(package, "name"), text(package, "source")))
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}

#[test]
fn what_stands_twice_is_known_and_what_is_banned_is_absent() {
    let rules = rules();
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let packages = packages();
    for package in &packages {
        let (name, version) = (text(package, "name").to_owned(), text(package, "version").to_owned());
        versions.entry(name).or_default().insert(version);
    }
    for banned in listed(&rules, "bans", "deny") {
        assert!(!versions.contains_key(&banned), "{banned} is banned by deny.toml");
    }
    let known = listed(&rules, "bans", "skip");
    let is_known = |name: &str, version: &str| known.contains(&format!("{name}@{version}"));
    for (name, versions) in &versions {
        let unknown: Vec<&String> = versions.iter().filter(|version| !is_known(name, version)).collect();
        assert!(
            unknown.len() <= 1,
            "{name} stands {} times: {unknown:?}; update, or name the older one",
            unknown.len()
        );
    }
    for entry in &known {
        let (name, version) = entry.split_once('@').expect("crate@version");
        let there = versions.get(name).is_some_and(|there| there.len() > 1 && there.contains(version));
        assert!(there, "{entry} is an exception for nothing");
    }
}

#[test]
fn no_dependency_needs_a_newer_compiler_than_we_promise() {
    let promised = env!("CARGO_PKG_RUST_VERSION");
    let number = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap_or(0)).collect() };
    let newer: Vec<String> = packages()
        .iter()
        .filter(|package| number(text(package, "rust_version")) > number(promised))
        .map(|package| format!("{} wants {}", text(package, "name"), text(package, "rust_version")))
        .collect();
    assert!(newer.is_empty(), "Cargo.toml promises {promised}: {newer:?}");
}
