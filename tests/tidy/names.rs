//! One name, one thing: no two types of the crate are called the same, whatever room they live in.

use crate::lex::Source;
use std::collections::BTreeMap;

/// Names that stand for several types: each with the reason why that helps a reader. Entries only
/// leave.
const SHARED: [(&str, &str); 0] = [];

/// Each name that more than one struct, enum, union, trait or type alias bears, with the places.
pub fn twice(sources: &[Source]) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for source in sources {
        for (name, line) in types(source) {
            places.entry(name).or_default().push(format!("{}:{line}", source.path));
        }
    }
    places.retain(|name, places| places.len() > 1 && !SHARED.iter().any(|(shared, _)| shared == name));
    places.into_iter().map(|(name, places)| format!("`{name}` is {}", places.join(" and "))).collect()
}

/// The types that a file declares, wherever in it; those that belong to a trait's implementation
/// (`type Item = …` inside an `impl`) are the trait's.
fn types(source: &Source) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    let mut depth = 0u32;
    // Depths of the braces that an `impl` or a `trait` opened.
    let mut associated: Vec<u32> = Vec::new();
    let mut opens_associated = false;
    for at in 0..source.tokens.len() {
        match (source.word(at), source.punct(at)) {
            (_, Some('{')) => {
                depth += 1;
                if std::mem::take(&mut opens_associated) {
                    associated.push(depth);
                }
            }
            (_, Some('}')) => {
                if associated.last() == Some(&depth) {
                    associated.pop();
                }
                depth = depth.saturating_sub(1);
            }
            (Some(word @ ("struct" | "enum" | "union" | "trait" | "type")), _) => {
                let is_associated = word == "type" && associated.last() == Some(&depth);
                let name = source.word(at + 1).filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase()));
                if let Some(name) = name.filter(|_| !is_associated) {
                    found.push((name, source.tokens[at + 1].line));
                }
                opens_associated |= word == "trait";
            }
            // At the beginning of an item; elsewhere it stands for a type.
            (Some("impl"), _) if at == 0 || begins_item(source, at - 1) => opens_associated = true,
            _ => {}
        }
    }
    found
}

fn begins_item(source: &Source, before: usize) -> bool {
    matches!(source.punct(before), Some('}' | '{' | ';' | ']')) || source.word(before) == Some("unsafe")
}
