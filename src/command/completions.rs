//! `regstorm completions SHELL` and `regstorm man`.

use super::failure::{Exit, Failure};
use super::output::print;
use super::shipped;
use crate::cli::{self, CompletionsArgs, ManArgs, Vocabulary};
use crate::diagnose::explain;
use crate::profile::schema;
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) fn completions(args: &CompletionsArgs) -> Result<Exit, Failure> {
    print(&String::from_utf8_lossy(&cli::completions(args.shell, &vocabulary())))?;
    Ok(Exit::Success)
}

pub(super) fn man(args: &ManArgs) -> Result<Exit, Failure> {
    if let Some(directory) = &args.out {
        let unwritable = |error| Failure::could_not(format!("--out {}: {error}", directory.display()));
        cli::manual_pages(directory).map_err(unwritable)?;
        return Ok(Exit::Success);
    }
    print(&String::from_utf8_lossy(&cli::manual().map_err(Failure::could_not)?))?;
    Ok(Exit::Success)
}

fn vocabulary() -> Vocabulary {
    let names: BTreeSet<String> = explain::all().into_iter().map(|text| text.name).collect();
    let mut keys = Vec::new();
    let schema = schema();
    paths(&schema, &schema, "", &mut keys);
    Vocabulary { names: names.into_iter().collect(), shipped: shipped::names(), keys }
}

/// The dotted paths of all keys below a place of the schema; of lists the first element's.
fn paths(root: &Value, place: &Value, above: &str, into: &mut Vec<String>) {
    let place = resolved(root, place);
    let Some(Value::Object(keys)) = place.get("properties") else {
        into.extend((!above.is_empty()).then(|| above.to_owned()));
        return;
    };
    for (key, below) in keys {
        let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        let below = resolved(root, below);
        match below.get("items").filter(|items| items.get("$ref").is_some()) {
            Some(items) => paths(root, items, &format!("{path}.0"), into),
            None => paths(root, below, &path, into),
        }
    }
}

/// What a place refers to, alone or as the first of several forms.
fn resolved<'a>(root: &'a Value, place: &'a Value) -> &'a Value {
    let name = |place: &Value| place.get("$ref")?.as_str()?.strip_prefix("#/$defs/").map(str::to_owned);
    let of = place.get("anyOf").and_then(Value::as_array).and_then(|forms| forms.first()).unwrap_or(place);
    name(of).and_then(|name| root["$defs"].get(&name)).unwrap_or(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_can_be_typed_behind_set() {
        let known = vocabulary();
        for key in ["run.seed", "trunk.0.expires", "trunk.0.agents.count", "load.0.rate", "registrar.fault.0.kind"] {
            assert!(known.keys.iter().any(|path| path == key), "{key} is missing in {:?}", known.keys);
        }
        assert!(known.names.iter().any(|name| name == "limit.concurrent"), "{:?}", known.names);
    }
}
