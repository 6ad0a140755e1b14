//! From text to [`ProfileFile`]: TOML syntax, then keys and types. Every wrong key and every value
//! of the wrong type is reported, not only the first: after each the offender is taken out and the
//! rest is read again.

use super::error::{Problem, SECRET_KEYS, nearest};
use super::file::ProfileFile;
use super::overrides::remove;
use super::places::{Origin, Path, PathStep, Places, Texts};
use serde::Deserialize;
use std::borrow::Cow;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

/// The most wrong keys and types reported at once.
const MAX_PROBLEMS: usize = 50;

/// The TOML tree of the file's text.
///
/// # Errors
/// Its syntax errors.
pub(crate) fn tree(texts: &Texts) -> Result<Spanned<DeTable<'_>>, Vec<Problem>> {
    let (tree, errors) = DeTable::parse_recoverable(texts.file());
    if errors.is_empty() {
        return Ok(tree);
    }
    let end = texts.file().len();
    // One slip of the pen makes the parser stumble several times; what follows on the same line is
    // noise.
    let mut problems: Vec<Problem> = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or(end..end);
        let problem = Problem::of_syntax(texts, span, syntax(error.message()));
        let line = |problem: &Problem| match problem.place {
            super::ProblemPlace::File { line, .. } => Some(line),
            _ => None,
        };
        if problems.last().is_none_or(|last| line(last) != line(&problem)) {
            problems.push(problem);
        }
    }
    Err(problems)
}

/// The keys and values of a tree.
///
/// # Errors
/// Unknown keys and values of the wrong type.
pub(crate) fn file(mut tree: Spanned<DeTable<'_>>, places: &Places) -> Result<ProfileFile, Vec<Problem>> {
    let mut problems = Vec::new();
    loop {
        let error = match ProfileFile::deserialize(Deserializer::from(tree.clone())) {
            Ok(file) if problems.is_empty() => return Ok(file),
            Ok(_) => return Err(problems),
            Err(error) => error,
        };
        let span = error.span().unwrap_or(0..0);
        let path = places.path_at(&span);
        if retry_as_text(tree.get_mut(), places, &path, error.message()) {
            continue;
        }
        problems.push(explain(error.message(), places, &path));
        if problems.len() >= MAX_PROBLEMS || !remove(tree.get_mut(), path.steps()) {
            return Err(problems);
        }
    }
}

/// A shell strips the quotes of `--set run.name="7"`: where a string is wanted, a flag's number is
/// one.
fn retry_as_text(tree: &mut DeTable<'_>, places: &Places, path: &Path, message: &str) -> bool {
    let Some((kind, text)) = places.leaf(path) else { return false };
    let from_flag = matches!(places.texts.origin(&places.value(path)), Origin::Flag(_));
    if !from_flag || kind == "string" || !message.ends_with("expected a string") {
        return false;
    }
    let Some(value) = value_mut(tree, path.steps()) else { return false };
    if matches!(value, DeValue::String(_)) {
        return false;
    }
    *value = DeValue::String(Cow::Owned(text.to_owned()));
    true
}

fn value_mut<'a, 'i>(tree: &'a mut DeTable<'i>, steps: &[PathStep]) -> Option<&'a mut DeValue<'i>> {
    let (first, rest) = steps.split_first()?;
    let mut value = tree.get_mut(first.as_key()?)?.get_mut();
    for step in rest {
        value = match (value, step) {
            (DeValue::Table(table), PathStep::Key(key)) => table.get_mut(key.as_str())?.get_mut(),
            (DeValue::Array(list), PathStep::Index(index)) => list.get_mut(*index)?.get_mut(),
            _ => return None,
        };
    }
    Some(value)
}

/// A syntax error in one line.
fn syntax(message: &str) -> String {
    format!("is not valid TOML: {}", message.trim().replace('\n', ", "))
}

/// What serde found, in the words of the profile.
fn explain(message: &str, places: &Places, path: &Path) -> Problem {
    if message.starts_with("unknown field") {
        return unknown_key(message, places, path);
    }
    let Some((_, expected)) = message.split_once(", expected ") else {
        return Problem::with_value(places, path, message.to_owned());
    };
    let secret = path.last_key().is_some_and(|key| SECRET_KEYS.contains(&key));
    let found = match places.leaf(path) {
        Some((kind, _)) if secret => with_article(kind),
        Some(("string", text)) => text.to_owned(),
        Some((kind, text)) => format!("the {kind} {text}"),
        None => with_article(places.kind(path)),
    };
    let problem = Problem::with_value(places, path, format!("must be {}, not {found}", in_words(expected)));
    let nested = places.kind(path) == "table";
    match path.steps() {
        [PathStep::Key(table), PathStep::Key(_)] if table == "thresholds" && nested => {
            problem.remedy("put a name with dots in quotes: \"register.p99\" = \"< 250ms\"")
        }
        [PathStep::Key(table), PathStep::Key(_)] if table == "compare" && nested => {
            problem.remedy("put a name with dots in quotes: \"register.p99\" = \"+10%\"")
        }
        [PathStep::Key(_), PathStep::Key(table), PathStep::Key(_)] if table == "abort_on" && nested => {
            problem.remedy("put a name with dots in quotes: \"trunk.nj.loops\" = \"> 100\"")
        }
        [.., PathStep::Key(key)] if nested && expected == "a sequence" => {
            problem.remedy(format!("write [[{}]], with two brackets", list_name(path, key)))
        }
        _ => problem,
    }
}

fn list_name(path: &Path, key: &str) -> String {
    match path.first_key() {
        Some("registrar") => format!("registrar.{key}"),
        _ => key.to_owned(),
    }
}

/// serde lists the keys it knows between backticks, the offending one first.
fn unknown_key(message: &str, places: &Places, path: &Path) -> Problem {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let written = quoted.next().unwrap_or_default();
    let mut known: Vec<&str> = quoted.collect();
    known.sort_unstable();
    let problem = Problem::with_key(places, path, "no such key".to_owned());
    match nearest(written, known.iter().copied()) {
        Some(name) => problem.remedy(format!("did you mean \"{name}\"?")),
        None => problem.remedy(format!("the keys here are {}", known.join(", "))),
    }
}

fn with_article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {kind}")
}

/// A type in words.
fn in_words(expected: &str) -> String {
    let words = match expected {
        "a string" => "a string in quotes",
        "a boolean" => "true or false",
        "f64" => "a number",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number of at least 0",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    words.to_owned()
}
