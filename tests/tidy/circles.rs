//! Circles: files of one room that use each other, directly or through others. Where two files need
//! each other, what both need belongs into one of them, or into a third.
//!
//! What counts as use: a file names another file's item, in a `use` or in a path, also by way of a
//! third file that brings the name (`super::Item` is a use of the file the parent has it from).
//!
//! A parent and its children are one thing seen from outside and from inside, so between them the
//! rule is milder. What a parent declares (`mod child;`) and hands out (`pub use child::Item;`) is
//! no use, it is the room's door. And a child may use what its parent itself defines: types of a
//! folder stand in its `mod.rs`. A parent that uses a child does use it, so a circle that leaves
//! the child for a third file and comes back to the parent is seen.

use super::lex::{Role, Source};
use std::collections::{BTreeMap, BTreeSet};

/// The modules of a package: for each the file it is, and where it has the names from that are not
/// its own.
struct Modules<'a> {
    files: BTreeMap<Vec<String>, &'a str>,
    brought: BTreeMap<Vec<String>, BTreeMap<String, Vec<String>>>,
}

/// Every circle, as the files in it with what they use of each other.
pub fn circles(sources: &[Source]) -> Vec<String> {
    let uses = uses(sources);
    let reached: BTreeMap<&str, BTreeSet<&str>> = uses.keys().map(|file| (*file, reached(&uses, file))).collect();
    let mut circles = BTreeSet::new();
    for (file, others) in &reached {
        let meets = |other: &&&str| reached.get(**other).is_some_and(|back| back.contains(file));
        let circle: BTreeSet<&str> = others.iter().filter(meets).copied().collect();
        if !circle.is_empty() {
            circles.insert(circle);
        }
    }
    circles.iter().map(|circle| told(circle, &uses)).collect()
}

type Uses<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

fn told(circle: &BTreeSet<&str>, uses: &Uses<'_>) -> String {
    let inside = |file: &&str| {
        let used: Vec<&str> = uses[*file].intersection(circle).copied().collect();
        format!("{file} uses {}", used.join(", "))
    };
    circle.iter().map(inside).collect::<Vec<_>>().join("; ")
}

/// By file: the files of its room that it uses.
fn uses(sources: &[Source]) -> Uses<'_> {
    let modules = Modules::of(sources);
    let mut uses = Uses::new();
    for source in sources {
        let own = module(source);
        let used = uses.entry(&source.path).or_default();
        for path in source.paths().into_iter().filter(|path| path.role != Role::Exported) {
            let Some(place) = modules.place(&own, &path.segments, DEPTH) else { continue };
            let parent = place.len() < own.len() && own.starts_with(&place);
            if place != own && !parent && place.first() == own.first() {
                used.insert(modules.files[&place]);
            }
        }
    }
    uses
}

fn reached<'a>(uses: &Uses<'a>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<&str> = uses[from].iter().copied().collect();
    while let Some(file) = waiting.pop() {
        if reached.insert(file) {
            waiting.extend(uses[file].iter());
        }
    }
    reached
}

/// `src/agent/probe/mod.rs` is the module `agent::probe`.
fn module(source: &Source) -> Vec<String> {
    let below = source.path.trim_start_matches("src/").trim_end_matches(".rs");
    below.split('/').filter(|part| !matches!(*part, "mod" | "lib" | "main")).map(str::to_owned).collect()
}

impl<'a> Modules<'a> {
    fn of(sources: &'a [Source]) -> Self {
        let files = sources.iter().map(|source| (module(source), source.path.as_str())).collect();
        let brought = sources.iter().map(|source| {
            let named = source.paths().into_iter().filter(|path| path.role != Role::Named);
            let by_name = named.filter_map(|path| Some((path.segments.last()?.clone(), path.segments)));
            (module(source), by_name.collect())
        });
        Modules { files, brought: brought.collect() }
    }

    /// The module that defines what a path names in the module `from`; `None` for what is not of
    /// this package.
    fn place(&self, from: &[String], path: &[String], depth: usize) -> Option<Vec<String>> {
        let supers = path.iter().take_while(|segment| *segment == "super").count();
        let spelt: Vec<String> = match path.first()?.as_str() {
            "crate" | "regstorm" => path[1..].to_vec(),
            "super" => [from.get(..from.len().checked_sub(supers)?)?, &path[supers..]].concat(),
            "self" => [from, &path[1..]].concat(),
            first if self.files.contains_key(&[from, &[first.to_owned()]].concat()) => [from, path].concat(),
            _ => return None,
        };
        let known = (1..=spelt.len()).rev().find(|&length| self.files.contains_key(&spelt[..length]))?;
        let (place, rest) = spelt.split_at(known);
        let elsewhere = rest.first().and_then(|item| self.brought.get(place)?.get(item));
        match elsewhere.filter(|_| depth > 0 && place != from) {
            Some(brought) => self.place(place, brought, depth - 1),
            None => Some(place.to_vec()),
        }
    }
}

/// Files through which a name may come.
const DEPTH: usize = 8;
