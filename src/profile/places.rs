//! Where every key and value of a profile was written: the file's text, and behind it the texts of
//! `--set` flags.
//!
//! File and flags share one address space (byte offsets into one text), so that whatever is found
//! wrong later can be traced to the line or to the flag that said it. Nothing here knows what a key
//! means.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The texts of a profile: the file's, then each flag's on a line of its own.
#[derive(Clone)]
pub(crate) struct Texts {
    /// The profile's path as given.
    pub(crate) name: String,
    pub(crate) all: String,
    file_end: usize,
    flags: Vec<Range<usize>>,
}

/// The way to a key: `trunk.0.agents.count`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Path(Vec<PathStep>);

/// One step of a [`Path`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PathStep {
    Key(String),
    Index(usize),
}

/// Where something was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Origin<'a> {
    /// Offsets into the file's text.
    File(Range<usize>),
    /// The text of a `--set` flag.
    Flag(&'a str),
}

/// A profile's texts with the place of each of its keys.
#[derive(Clone)]
pub(crate) struct Places {
    pub(crate) texts: Texts,
    root: WrittenValue,
}

/// One value: where its key and itself stand, and what is in it.
#[derive(Clone)]
struct WrittenValue {
    key: Range<usize>,
    value: Range<usize>,
    inside: Inside,
}

#[derive(Clone)]
enum Inside {
    Table(BTreeMap<String, WrittenValue>),
    List(Vec<WrittenValue>),
    Leaf(&'static str),
}

impl Path {
    pub(crate) fn root(key: &str) -> Path {
        Path::default().key(key)
    }

    pub(crate) fn key(&self, key: &str) -> Path {
        self.with(PathStep::Key(key.to_owned()))
    }

    pub(crate) fn index(&self, index: usize) -> Path {
        self.with(PathStep::Index(index))
    }

    pub(crate) fn steps(&self) -> &[PathStep] {
        &self.0
    }

    pub(crate) fn first_key(&self) -> Option<&str> {
        self.0.first().and_then(PathStep::as_key)
    }

    /// The last key on the way; positions in a list do not count.
    pub(crate) fn last_key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(PathStep::as_key)
    }

    fn with(&self, step: PathStep) -> Path {
        let mut steps = self.0.clone();
        steps.push(step);
        Path(steps)
    }
}

impl PathStep {
    pub(crate) fn as_key(&self) -> Option<&str> {
        match self {
            PathStep::Key(key) => Some(key),
            PathStep::Index(_) => None,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            let dot = if n == 0 { "" } else { "." };
            match step {
                PathStep::Key(key) if is_bare(key) => write!(f, "{dot}{key}")?,
                PathStep::Key(key) => write!(f, "{dot}{key:?}")?,
                PathStep::Index(index) => write!(f, "{dot}{index}")?,
            }
        }
        Ok(())
    }
}

impl Texts {
    pub(crate) fn new(name: &str, file: &str, flags: &[String]) -> Texts {
        let mut texts = Texts {
            name: name.to_owned(),
            all: file.to_owned(),
            file_end: file.len(),
            flags: Vec::with_capacity(flags.len()),
        };
        for flag in flags {
            texts.all.push('\n');
            let start = texts.all.len();
            texts.all.push_str(flag);
            texts.flags.push(start..texts.all.len());
        }
        texts
    }

    /// The file's own text.
    pub(crate) fn file(&self) -> &str {
        &self.all[..self.file_end]
    }

    /// Where each flag's text begins and ends.
    pub(crate) fn flags(&self) -> &[Range<usize>] {
        &self.flags
    }

    /// Who wrote what stands at `span`.
    pub(crate) fn origin(&self, span: &Range<usize>) -> Origin<'_> {
        match self.flags.iter().find(|flag| flag.start <= span.start && span.start <= flag.end) {
            Some(flag) => Origin::Flag(&self.all[flag.clone()]),
            None => Origin::File(span.start.min(self.file_end)..span.end.min(self.file_end)),
        }
    }
}

impl Places {
    pub(crate) fn new(texts: &Texts, tree: &Spanned<DeTable<'_>>) -> Places {
        let root = WrittenValue { key: 0..0, value: 0..0, inside: table(tree.get_ref()) };
        Places { texts: texts.clone(), root }
    }

    /// Where the value at `path` stands, or the nearest thing around it that was written.
    pub(crate) fn value(&self, path: &Path) -> Range<usize> {
        self.nearest(path).value.clone()
    }

    /// Where the key at `path` stands, or the nearest thing around it that was written.
    pub(crate) fn key(&self, path: &Path) -> Range<usize> {
        self.nearest(path).key.clone()
    }

    /// Whether the key at `path` was written.
    pub(crate) fn has(&self, path: &Path) -> bool {
        self.depth(path) == path.steps().len()
    }

    /// What was written at `path`, as TOML text with the name of its type; `None` for lists, tables
    /// and nothing.
    pub(crate) fn leaf(&self, path: &Path) -> Option<(&'static str, &str)> {
        let node = self.nearest(path);
        match node.inside {
            Inside::Leaf(kind) if self.has(path) => Some((kind, self.texts.all.get(node.value.clone())?)),
            _ => None,
        }
    }

    /// The type of what was written at `path`.
    pub(crate) fn kind(&self, path: &Path) -> &'static str {
        match self.nearest(path).inside {
            Inside::Table(_) => "table",
            Inside::List(_) => "list",
            Inside::Leaf(kind) => kind,
        }
    }

    /// The way to the innermost value or key whose text holds the whole of `span`.
    pub(crate) fn path_at(&self, span: &Range<usize>) -> Path {
        let mut path = Path::default();
        let mut node = &self.root;
        while let Some((step, next)) = node.child_holding(span) {
            path = path.with(step);
            if holds(&next.key, span) && !holds(&next.value, span) {
                break;
            }
            node = next;
        }
        path
    }

    fn nearest(&self, path: &Path) -> &WrittenValue {
        path.steps().iter().try_fold(&self.root, |node, step| node.child(step).ok_or(node)).unwrap_or_else(|last| last)
    }

    fn depth(&self, path: &Path) -> usize {
        let mut node = &self.root;
        let down = path.steps().iter().take_while(|step| match node.child(step) {
            Some(child) => {
                node = child;
                true
            }
            None => false,
        });
        down.count()
    }
}

impl fmt::Debug for Places {
    /// Only the name: the texts may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").field("name", &self.texts.name).finish_non_exhaustive()
    }
}

impl WrittenValue {
    fn child(&self, step: &PathStep) -> Option<&WrittenValue> {
        match (&self.inside, step) {
            (Inside::Table(table), PathStep::Key(key)) => table.get(key),
            (Inside::List(list), PathStep::Index(index)) => list.get(*index),
            _ => None,
        }
    }

    fn child_holding(&self, span: &Range<usize>) -> Option<(PathStep, &WrittenValue)> {
        match &self.inside {
            Inside::Table(table) => {
                table.iter().find(|(_, node)| node.holds(span)).map(|(key, node)| (PathStep::Key(key.clone()), node))
            }
            Inside::List(list) => {
                list.iter().enumerate().find(|(_, node)| node.holds(span)).map(|(n, node)| (PathStep::Index(n), node))
            }
            Inside::Leaf(_) => None,
        }
    }

    /// Whether `span` lies in this key, value or one of its parts. The span of a `[table]` covers
    /// its header only, and a flag's value lies elsewhere than the table it was put into, so the
    /// parts are asked too.
    fn holds(&self, span: &Range<usize>) -> bool {
        holds(&self.key, span) || holds(&self.value, span) || self.child_holding(span).is_some()
    }
}

/// Whether a key needs no quotes in TOML.
pub(crate) fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn holds(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

fn table(table: &DeTable<'_>) -> Inside {
    Inside::Table(table.iter().map(|(key, value)| (key.get_ref().to_string(), node(key.span(), value))).collect())
}

fn node(key: Range<usize>, value: &Spanned<DeValue<'_>>) -> WrittenValue {
    let inside = match value.get_ref() {
        DeValue::Table(inner) => table(inner),
        DeValue::Array(list) => Inside::List(list.iter().map(|item| node(item.span(), item)).collect()),
        leaf => Inside::Leaf(leaf.type_str()),
    };
    WrittenValue { key, value: value.span(), inside }
}
