//! `--set KEY=VALUE`: puts a value into the TOML tree before it is read, so that it is checked like
//! the file's own.
//!
//! A key is a dotted path: `run.seed`, `trunk.0.agents.count`, `trunk.trunk_nj_01.expires`,
//! `load.0.rate`, `thresholds.register.p99`. A value is TOML; what is no TOML (`30s`, `embedded`,
//! `>= 0.99`) is a string.

use super::error::Problem;
use super::places::{PathStep, Texts};
use std::borrow::Cow;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A flag's text split into its path and its value.
struct Flag<'t> {
    text: &'t str,
    /// Where the text stands among all texts.
    span: Range<usize>,
    steps: Vec<String>,
    /// Where the value begins, from the start of the text.
    value_at: usize,
}

/// Value texts as TOML documents of one key, so padded that every offset is the one the flag has
/// among all texts. They are kept apart because the tree borrows from them.
pub(crate) fn value_documents(texts: &Texts) -> Vec<String> {
    texts
        .flags()
        .iter()
        .map(|span| {
            let text = &texts.all[span.clone()];
            // One blank less than the position of "=", whose place the key "v" takes. A flag
            // without "=" is refused when it is applied.
            let equals = text.find('=').unwrap_or(0);
            format!("{}v{}", " ".repeat(span.start + equals - 1), &text[equals..])
        })
        .collect()
}

/// Applies every flag in turn; `documents` are those of [`value_documents`].
///
/// # Errors
/// One problem for each flag that is no `KEY=VALUE` or leads nowhere.
pub(crate) fn apply<'i>(
    tree: &mut Spanned<DeTable<'i>>,
    texts: &'i Texts,
    documents: &'i [String],
) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    for (span, document) in texts.flags().iter().zip(documents) {
        let outcome = Flag::new(texts, span).and_then(|flag| {
            let value = flag.value(document);
            put(tree.get_mut(), &flag, value).map_err(|message| (flag.steps.join("."), message))
        });
        if let Err((key, message)) = outcome {
            problems.push(Problem::at(texts, span.clone(), key, message));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

impl<'t> Flag<'t> {
    fn new(texts: &'t Texts, span: &Range<usize>) -> Result<Flag<'t>, (String, String)> {
        let text = &texts.all[span.clone()];
        let Some(equals) = text.find('=').filter(|at| *at > 0) else {
            return Err((String::new(), "is not KEY=VALUE, like run.seed=9".to_owned()));
        };
        let steps = split_path(&text[..equals]).ok_or_else(|| {
            (String::new(), format!("\"{}\" is not a dotted path, like trunk.0.expires", &text[..equals]))
        })?;
        Ok(Flag { text, span: span.clone(), steps, value_at: equals + 1 })
    }

    /// The value as TOML, or else as a string.
    fn value<'i>(&self, document: &'i str) -> Spanned<DeValue<'i>> {
        if let Ok(table) = DeTable::parse(document)
            && table.get_ref().len() == 1
            && let Some((_, value)) = table.into_inner().into_iter().next()
        {
            return value;
        }
        let text = &self.text[self.value_at..];
        let start = self.span.start + self.value_at;
        Spanned::new(start..self.span.end, DeValue::String(Cow::Owned(text.trim().to_owned())))
    }
}

/// Puts a value where the flag's path leads, making tables that are not there yet.
fn put<'i>(tree: &mut DeTable<'i>, flag: &Flag<'_>, value: Spanned<DeValue<'i>>) -> Result<(), String> {
    let (last, parents) = match flag.steps.as_slice() {
        // The names of thresholds hold dots themselves, and so do those of figures and conditions.
        [table, name @ ..] if matches!(table.as_str(), "thresholds" | "compare") && !name.is_empty() => {
            (name.join("."), &flag.steps[..1])
        }
        [safety, abort_on, name @ ..] if safety == "safety" && abort_on == "abort_on" && !name.is_empty() => {
            (name.join("."), &flag.steps[..2])
        }
        [parents @ .., last] => (last.clone(), parents),
        [] => return Err("is empty".to_owned()),
    };
    let mut table = tree;
    let mut walked = String::new();
    let mut steps = parents.iter().peekable();
    while let Some(step) = steps.next() {
        if !table.contains_key(step.as_str()) {
            // A table can be made, an item of a list that is not there cannot.
            if let Some(item) = steps.peek().filter(|next| next.parse::<usize>().is_ok()) {
                let list = if walked.is_empty() { step.clone() } else { format!("{walked}.{step}") };
                return Err(format!("there is no \"{list}.{item}\"; the profile has none"));
            }
            let span = flag.span.clone();
            let key = Spanned::new(span.clone(), Cow::Owned(step.clone()));
            table.insert(key, Spanned::new(span, DeValue::Table(DeTable::new())));
        }
        walked = if walked.is_empty() { step.clone() } else { format!("{walked}.{step}") };
        let node = table.get_mut(step.as_str()).ok_or_else(|| format!("there is no \"{walked}\""))?.get_mut();
        table = match node {
            DeValue::Table(inner) => inner,
            DeValue::Array(list) => {
                let item = steps.next().ok_or_else(|| format!("\"{walked}\" is a list; name one: {walked}.0"))?;
                let inner = pick(list, item, &walked)?;
                walked = format!("{walked}.{item}");
                inner
            }
            leaf => return Err(format!("\"{walked}\" is no table, it is of type {}", leaf.type_str())),
        };
    }
    // Removed first: an insertion over an old key would keep the old key's place.
    table.remove(last.as_str());
    table.insert(Spanned::new(flag.span.clone(), Cow::Owned(last)), value);
    Ok(())
}

/// The table of a list that a step names: by its `id`, else by its position from 0.
fn pick<'a, 'i>(list: &'a mut [Spanned<DeValue<'i>>], step: &str, walked: &str) -> Result<&'a mut DeTable<'i>, String> {
    let id_of = |item: &Spanned<DeValue<'i>>| {
        item.get_ref().as_table().and_then(|table| table.get("id")?.get_ref().as_str().map(str::to_owned))
    };
    let ids: Vec<String> = list.iter().filter_map(id_of).collect();
    let count = list.len();
    let index = list
        .iter()
        .position(|item| id_of(item).is_some_and(|id| id == step))
        .or_else(|| step.parse().ok().filter(|n| *n < count));
    match index.map(|index| list[index].get_mut()) {
        Some(DeValue::Table(table)) => Ok(table),
        Some(_) => Err(format!("\"{walked}.{step}\" is not a table")),
        None if ids.is_empty() => {
            Err(format!("there is no \"{walked}.{step}\"; the profile has {count}, counted from 0"))
        }
        None => Err(format!(
            "there is no \"{walked}.{step}\"; the profile has {count}, counted from 0 or by id: {}",
            ids.join(", ")
        )),
    }
}

/// Splits at dots outside quotes: `trunk.0.headers."X.Y"`.
fn split_path(text: &str) -> Option<Vec<String>> {
    let mut steps = vec![String::new()];
    let mut quote = None;
    for c in text.trim().chars() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('.', None) => steps.push(String::new()),
            (c, _) => steps.last_mut()?.push(c),
        }
    }
    let sound = quote.is_none() && steps.iter().all(|step| !step.trim().is_empty());
    sound.then(|| steps.into_iter().map(|step| step.trim().to_owned()).collect())
}

/// Takes the value at `steps` out of the tree, for the next look at what is left; a list item goes
/// with its list.
pub(crate) fn remove(table: &mut DeTable<'_>, steps: &[PathStep]) -> bool {
    let [PathStep::Key(key), rest @ ..] = steps else { return false };
    if let Some(node) = table.get_mut(key.as_str())
        && remove_below(node.get_mut(), rest)
    {
        return true;
    }
    table.remove(key.as_str()).is_some()
}

fn remove_below(node: &mut DeValue<'_>, steps: &[PathStep]) -> bool {
    match (node, steps) {
        (DeValue::Table(inner), [PathStep::Key(_), ..]) => remove(inner, steps),
        (DeValue::Array(list), [PathStep::Index(index), rest @ ..]) => {
            list.get_mut(*index).is_some_and(|item| remove_below(item.get_mut(), rest))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_outside_quotes() {
        let split = |text| split_path(text).unwrap_or_default();
        assert_eq!(split("trunk.0.expires"), ["trunk", "0", "expires"]);
        assert_eq!(split("trunk.0.headers.\"X.Y\""), ["trunk", "0", "headers", "X.Y"]);
        assert!(split_path("run..seed").is_none());
        assert!(split_path("run.\"seed").is_none());
    }
}
