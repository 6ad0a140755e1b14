//! Rust sources as tokens: enough of the language to tell code from comments, strings and test
//! code, and paths from words. No types, no expansion of macros; what a macro writes is seen as it
//! stands in the source.

use std::path::PathBuf;

/// One token, with the line it begins on (from 1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    pub kind: Kind,
    pub line: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A word or keyword; `r#type` is `type`.
    Word(String),
    Punct(char),
    /// A string, character or number, as written.
    Literal(String),
    Lifetime,
}

/// A source file, read.
pub struct Source {
    /// Below the package, with forward slashes: `src/agent/mod.rs`.
    pub path: String,
    pub text: String,
    /// Code outside `#[cfg(test)]` and `#[test]` items.
    pub tokens: Vec<Token>,
    /// Every comment, its text and line.
    pub comments: Vec<(String, usize)>,
}

/// A path as written or as a `use` declaration spells it out: `crate::vocab::Time`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    pub segments: Vec<String>,
    pub line: usize,
    pub role: Role,
}

/// What a path is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It stands in code.
    Named,
    /// By `use`.
    Imported,
    /// By `pub use`, to whomever that may be restricted.
    Exported,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let (tokens, comments) = lex(text);
        Source { path: path.to_owned(), text: text.to_owned(), tokens: without_tests(&tokens), comments }
    }

    /// All sources of this package.
    pub fn all() -> Vec<Source> {
        Self::below(std::path::Path::new(env!("CARGO_MANIFEST_DIR")))
    }

    /// All `.rs` files below the `src` of a package, sorted, without files that are modules under
    /// `#[cfg(test)]`.
    pub fn below(root: &std::path::Path) -> Vec<Source> {
        let mut waiting = vec![root.join("src")];
        let mut files = Vec::new();
        while let Some(folder) = waiting.pop() {
            for entry in std::fs::read_dir(&folder).expect("the sources are readable") {
                let path = entry.expect("the sources are readable").path();
                if path.is_dir() {
                    waiting.push(path);
                } else if path.extension().is_some_and(|e| e == "rs") {
                    files.push(path);
                }
            }
        }
        files.sort();
        let test_only: Vec<PathBuf> = files.iter().flat_map(|file| test_modules(file)).collect();
        files.retain(|file| !test_only.contains(file));
        let read = |file: &PathBuf| {
            let text = std::fs::read_to_string(file).expect("the sources are UTF-8");
            let below = file.strip_prefix(root).expect("found below it");
            Source::new(&below.display().to_string().replace('\\', "/"), &text)
        };
        files.iter().map(read).collect()
    }

    /// The first word below `src`: a folder, or a file that is a room of its own (`seed`, `plan`,
    /// `main`).
    pub fn room(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let first = below.split('/').next().unwrap_or(below);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// How many `super` lead from this file's module to the crate's root.
    pub fn depth(&self) -> usize {
        let below = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let parts = below.split('/').filter(|part| !matches!(*part, "mod" | "lib" | "main"));
        parts.count()
    }

    /// Every path with at least two segments, and every path of a `use` declaration.
    pub fn paths(&self) -> Vec<Path> {
        let mut paths = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            // `use<'_>` names what a type captures, not a path.
            if self.word(at) == Some("use") && self.punct(at + 1) != Some('<') {
                let known = paths.len();
                let end = use_tree(&self.tokens, at + 1, &mut Vec::new(), &mut paths);
                if at > 0 && (self.word(at - 1) == Some("pub") || self.punct(at - 1) == Some(')')) {
                    paths[known..].iter_mut().for_each(|path| path.role = Role::Exported);
                }
                at = end.max(at + 1);
            } else if self.word(at).is_some() {
                let (path, end) = plain_path(&self.tokens, at);
                if path.segments.len() > 1 {
                    paths.push(path);
                }
                at = end;
            } else {
                at += 1;
            }
        }
        paths
    }

    pub fn word(&self, at: usize) -> Option<&str> {
        word(&self.tokens, at)
    }

    pub fn punct(&self, at: usize) -> Option<char> {
        punct(&self.tokens, at)
    }
}

pub fn word(tokens: &[Token], at: usize) -> Option<&str> {
    match tokens.get(at).map(|token| &token.kind) {
        Some(Kind::Word(word)) => Some(word),
        _ => None,
    }
}

pub fn punct(tokens: &[Token], at: usize) -> Option<char> {
    match tokens.get(at).map(|token| &token.kind) {
        Some(Kind::Punct(c)) => Some(*c),
        _ => None,
    }
}

/// The index behind the bracket that closes the one at `open`.
pub fn behind_bracket(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for at in open..tokens.len() {
        match punct(tokens, at) {
            Some('(' | '[' | '{') => depth += 1,
            Some(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

fn is_separator(tokens: &[Token], at: usize) -> bool {
    punct(tokens, at) == Some(':') && punct(tokens, at + 1) == Some(':')
}

/// A path beginning at a word; generic arguments end it, which loses nothing we look for.
fn plain_path(tokens: &[Token], start: usize) -> (Path, usize) {
    let mut path = Path { segments: Vec::new(), line: tokens[start].line, role: Role::Named };
    let mut at = start;
    while let Some(segment) = word(tokens, at) {
        path.segments.push(segment.to_owned());
        at += 1;
        if !is_separator(tokens, at) {
            break;
        }
        at += 2;
    }
    (path, at)
}

/// Spells out one tree of a `use` declaration below `prefix`; returns the index behind it.
fn use_tree(tokens: &[Token], start: usize, prefix: &mut Vec<String>, paths: &mut Vec<Path>) -> usize {
    let known = prefix.len();
    let line = tokens.get(start).map_or(0, |token| token.line);
    let mut at = if is_separator(tokens, start) { start + 2 } else { start };
    loop {
        match tokens.get(at).map(|token| &token.kind) {
            Some(Kind::Word(segment)) => prefix.push(segment.clone()),
            Some(Kind::Punct('*')) => prefix.push("*".to_owned()),
            Some(Kind::Punct('{')) => {
                let end = behind_bracket(tokens, at);
                at += 1;
                while at + 1 < end {
                    at = use_tree(tokens, at, prefix, paths);
                    at += usize::from(punct(tokens, at) == Some(','));
                }
                prefix.truncate(known);
                return end;
            }
            _ => break,
        }
        at += 1;
        if !is_separator(tokens, at) {
            break;
        }
        at += 2;
    }
    if word(tokens, at) == Some("as") {
        at += 2;
    }
    if !prefix.is_empty() {
        paths.push(Path { segments: prefix.clone(), line, role: Role::Imported });
    }
    prefix.truncate(known);
    // A token that fits nowhere must not hold us up.
    at.max(start + 1)
}

// ---- Test code ----

/// The tokens without items under `#[cfg(test)]` (or `all(test, …)`) and `#[test]`.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match test_attribute(tokens, at) {
            Some(behind) => at = behind_item(tokens, behind),
            None => {
                kept.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    kept
}

/// The index behind a test attribute that begins at `at`.
fn test_attribute(tokens: &[Token], at: usize) -> Option<usize> {
    if punct(tokens, at) != Some('#') || punct(tokens, at + 1) != Some('[') {
        return None;
    }
    let behind = behind_bracket(tokens, at + 1);
    let first = word(tokens, at + 2)?;
    let words = || (at + 3..behind).filter_map(|i| word(tokens, i));
    let tests = first == "test"
        || first == "cfg" && words().any(|w| w == "test") && !words().any(|w| matches!(w, "not" | "any"));
    tests.then_some(behind)
}

/// The index behind the item at `at`: its block, or its semicolon.
fn behind_item(tokens: &[Token], mut at: usize) -> usize {
    while at < tokens.len() {
        match punct(tokens, at) {
            Some(';') => return at + 1,
            Some('{') => return behind_bracket(tokens, at),
            Some('(' | '[') => at = behind_bracket(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// The files of `#[cfg(test)] mod name;` in this file, also with `#[path = "…"]`.
fn test_modules(file: &std::path::Path) -> Vec<PathBuf> {
    let (tokens, _) = lex(&std::fs::read_to_string(file).expect("the sources are UTF-8"));
    let folder = match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("mod" | "lib" | "main") => file.with_file_name(""),
        _ => file.with_extension(""),
    };
    let mut files = Vec::new();
    for mut at in (0..tokens.len()).filter_map(|at| test_attribute(&tokens, at)) {
        while punct(&tokens, at) == Some('#') {
            if let (Some("path"), Some(Kind::Literal(path))) =
                (word(&tokens, at + 2), tokens.get(at + 4).map(|t| &t.kind))
            {
                // Relative to the folder the file lies in, whatever module it is.
                files.push(file.with_file_name(path.trim_matches('"')));
            }
            at = behind_bracket(&tokens, at + 1);
        }
        if let (Some("mod"), Some(name), Some(';')) = (word(&tokens, at), word(&tokens, at + 1), punct(&tokens, at + 2))
        {
            files.extend([folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")]);
        }
    }
    files
}

// ---- Characters ----

fn lex(text: &str) -> (Vec<Token>, Vec<(String, usize)>) {
    let mut lexer = Lexer { chars: text.chars().collect(), at: 0, line: 1, tokens: Vec::new(), comments: Vec::new() };
    while lexer.at < lexer.chars.len() {
        lexer.step();
    }
    (lexer.tokens, lexer.comments)
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    tokens: Vec<Token>,
    comments: Vec<(String, usize)>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn bump(&mut self) -> char {
        let c = self.peek(0);
        self.line += usize::from(c == '\n');
        self.at += 1;
        c
    }

    fn push(&mut self, kind: Kind, line: usize) {
        self.tokens.push(Token { kind, line });
    }

    fn push_literal(&mut self, start: usize, line: usize) {
        let end = self.at.min(self.chars.len());
        self.push(Kind::Literal(self.chars[start.min(end)..end].iter().collect()), line);
    }

    fn step(&mut self) {
        let line = self.line;
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => self.line_comment(),
            ('/', '*') => self.block_comment(),
            ('"', _) => self.string(),
            ('\'', _) => self.quote(),
            (c, _) if c.is_alphabetic() || c == '_' => self.word_or_prefixed(),
            (c, _) if c.is_ascii_digit() => self.number(),
            (c, _) => {
                self.bump();
                if !c.is_whitespace() {
                    self.push(Kind::Punct(c), line);
                }
            }
        }
    }

    fn line_comment(&mut self) {
        let (start, line) = (self.at, self.line);
        while self.at < self.chars.len() && self.peek(0) != '\n' {
            self.at += 1;
        }
        self.comments.push((self.chars[start..self.at].iter().collect(), line));
    }

    /// Block comments nest.
    fn block_comment(&mut self) {
        let (start, line) = (self.at, self.line);
        let mut depth = 0;
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    self.bump();
                    continue;
                }
            }
            self.at += 2;
            if depth == 0 {
                break;
            }
        }
        self.comments.push((self.chars[start..self.at].iter().collect(), line));
    }

    fn string(&mut self) {
        let (start, line) = (self.at, self.line);
        self.bump();
        while self.at < self.chars.len() {
            match self.bump() {
                '\\' => drop(self.bump()),
                '"' => break,
                _ => {}
            }
        }
        self.push_literal(start, line);
    }

    /// `'a'`, `'\''` and `'"'` are characters, `'a` is a lifetime.
    fn quote(&mut self) {
        let (start, line) = (self.at, self.line);
        self.bump();
        if self.peek(0) != '\\' && self.peek(1) != '\'' {
            while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
                self.bump();
            }
            return self.push(Kind::Lifetime, line);
        }
        while self.at < self.chars.len() {
            match self.bump() {
                '\\' => drop(self.bump()),
                '\'' => break,
                _ => {}
            }
        }
        self.push_literal(start, line);
    }

    fn word_or_prefixed(&mut self) {
        let line = self.line;
        let mut text = String::new();
        while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
            text.push(self.bump());
        }
        match (text.as_str(), self.peek(0), self.peek(1)) {
            ("b" | "c", '"', _) => self.string(),
            ("b", '\'', _) => self.quote(),
            ("r" | "br" | "cr", '"', _) | ("r" | "br" | "cr", '#', '"' | '#') => self.raw_string(line),
            ("r", '#', _) => drop(self.bump()),
            _ => self.push(Kind::Word(text), line),
        }
    }

    fn raw_string(&mut self, line: usize) {
        let start = self.at;
        let mut hashes = 0;
        while self.peek(0) == '#' {
            self.bump();
            hashes += 1;
        }
        self.bump();
        while self.at < self.chars.len() {
            if self.bump() == '"' && (0..hashes).all(|ahead| self.peek(ahead) == '#') {
                self.at += hashes;
                break;
            }
        }
        self.push_literal(start, line);
    }

    /// Digits, suffix, exponent; a range's dots are not part of it.
    fn number(&mut self) {
        let (start, line) = (self.at, self.line);
        while self.peek(0).is_alphanumeric()
            || self.peek(0) == '_'
            || self.peek(0) == '.' && self.peek(1).is_ascii_digit()
        {
            self.bump();
        }
        self.push_literal(start, line);
    }
}
