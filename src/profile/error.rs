//! What is wrong with a profile, and where: one [`Problem`] each, all that could be found together
//! in a
//! [`ProfileError`].
//!
//! A problem names the file, line and column (or the `--set` flag), the key, what is wrong and what
//! to do instead, and shows the line. Passwords on that line are masked: an error goes to terminals
//! and CI logs.

use super::places::{Origin, Path, Places, Texts};
use std::fmt;
use std::ops::Range;

/// A profile that cannot be used. Nothing was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProfileError {
    /// In the order of the file, never empty.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    pub place: ProblemPlace,
    /// Dotted path of the key, empty when the file itself is the problem.
    pub key: String,
    /// What is wrong, one clause.
    pub message: String,
    /// What to do instead.
    pub remedy: Option<String>,
    /// The line as written, secrets masked, and the columns (from 0) it is about.
    pub excerpt: Option<(String, Range<usize>)>,
}

/// Where a problem was written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ProblemPlace {
    /// Line and column count from 1, columns in characters.
    File { path: String, line: usize, column: usize },
    /// The text behind `--set`.
    Flag(String),
    /// The whole of a file.
    Whole { path: String },
}

impl ProfileError {
    /// Problems, put in the order of the file, those of flags last.
    pub fn new(mut problems: Vec<Problem>) -> ProfileError {
        problems.sort_by(|a, b| a.place.cmp(&b.place));
        problems.dedup();
        ProfileError { problems }
    }

    /// A problem of a file as a whole.
    pub fn whole(path: &str, message: impl Into<String>, remedy: Option<String>) -> ProfileError {
        let place = ProblemPlace::Whole { path: path.to_owned() };
        let problem = Problem { place, key: String::new(), message: message.into(), remedy, excerpt: None };
        ProfileError { problems: vec![problem] }
    }
}

impl Problem {
    /// A problem with what stands at `span`.
    pub(crate) fn at(texts: &Texts, span: Range<usize>, key: String, message: String) -> Problem {
        Problem::with_secrets(texts, span, key, message, &secret_ranges(&texts.all))
    }

    /// A problem with the syntax at `span`: quotes and equal signs cannot be relied upon to say
    /// where a secret ends.
    pub(crate) fn of_syntax(texts: &Texts, span: Range<usize>, message: String) -> Problem {
        Problem::with_secrets(texts, span, String::new(), message, &suspected_ranges(&texts.all))
    }

    fn with_secrets(
        texts: &Texts,
        span: Range<usize>,
        key: String,
        message: String,
        secrets: &[Range<usize>],
    ) -> Problem {
        let (place, excerpt) = match texts.origin(&span) {
            // What somebody typed in a hurry may be no TOML at all.
            Origin::Flag(flag) => (ProblemPlace::Flag(masked(flag, 0..flag.len(), &suspected_ranges(flag))), None),
            Origin::File(span) => {
                let (place, excerpt) = in_file(texts, span, secrets);
                (place, Some(excerpt))
            }
        };
        Problem { place, key, message, remedy: None, excerpt }
    }

    /// A problem with the value of a key; the innermost table around it when the key was not
    /// written.
    pub(crate) fn with_value(places: &Places, path: &Path, message: String) -> Problem {
        Problem::at(&places.texts, places.value(path), path.to_string(), message)
    }

    /// A problem with a key itself.
    pub(crate) fn with_key(places: &Places, path: &Path, message: String) -> Problem {
        Problem::at(&places.texts, places.key(path), path.to_string(), message)
    }

    /// Adds what to do instead.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Problem {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ProfileError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        let line = match self.place {
            ProblemPlace::File { line, .. } => line.to_string(),
            _ => String::new(),
        };
        let margin = " ".repeat(line.len());
        if let Some((text, columns)) = &self.excerpt {
            let carets = "^".repeat(columns.len().max(1));
            write!(f, "\n{margin} |\n{line} | {text}\n{margin} | {}{carets}", " ".repeat(columns.start))?;
        }
        match &self.remedy {
            Some(remedy) => write!(f, "\n{margin} = {remedy}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ProblemPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProblemPlace::File { path, line, column } => write!(f, "{path}:{line}:{column}"),
            ProblemPlace::Flag(flag) => write!(f, "--set {flag}"),
            ProblemPlace::Whole { path } => f.write_str(path),
        }
    }
}

/// The nearest of `names`, when it is near enough to be what was meant.
pub(crate) fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&written, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.len().max(written.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn in_file(texts: &Texts, span: Range<usize>, secrets: &[Range<usize>]) -> (ProblemPlace, (String, Range<usize>)) {
    let file = texts.file();
    let before = &file[..span.start];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line_end = file[line_start..].find('\n').map_or(file.len(), |at| line_start + at);
    let line_end = line_start + file[line_start..line_end].trim_end().len();
    let line = before.matches('\n').count() + 1;
    let column = file[line_start..span.start].chars().count();
    let text = masked(file, line_start..line_end, secrets);
    let start = masked(file, line_start..span.start.min(line_end), secrets).chars().count();
    let width = masked(file, span.start..span.end.min(line_end), secrets).chars().count();
    let excerpt = (text, start..start + width.max(1));
    (ProblemPlace::File { path: texts.name.clone(), line, column: column + 1 }, excerpt)
}

/// The text of `range` with every secret as `***` and tabs as blanks.
fn masked(text: &str, range: Range<usize>, secrets: &[Range<usize>]) -> String {
    let mut out = String::new();
    let mut at = range.start;
    for secret in secrets.iter().filter(|secret| secret.start < range.end && secret.end > range.start) {
        out.push_str(&text[at..secret.start.max(at)]);
        out.push_str("***");
        at = secret.end.min(range.end);
    }
    out.push_str(text.get(at..range.end).unwrap_or_default());
    out.replace('\t', " ")
}

/// Whether a text of a profile or of `--set` writes a secret down.
pub fn writes_secrets(text: &str) -> bool {
    !secret_ranges(text).is_empty()
}

/// Where passwords and HA1 stand in a TOML text, found by the words before "=" alone so that it
/// works on broken documents too.
fn secret_ranges(text: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (equals, _) in text.match_indices('=') {
        let before = text[..equals].trim_end_matches([' ', '\t', '"', '\'']);
        let word = before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
        let word = &before[word.map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8))..];
        if ranges.last().is_none_or(|last| last.end <= equals) && is_secret(word) {
            let value = text[equals + 1..].trim_start_matches([' ', '\t']);
            let start = text.len() - value.len();
            ranges.push(start..start + secret_len(value));
        }
    }
    ranges
}

/// Where secrets may stand in a text that is no TOML: from behind the name of one to the end of its
/// line, and when a quote is left open there to the end of its table.
fn suspected_ranges(text: &str) -> Vec<Range<usize>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(is_word).map(|more| at + more) {
        let end = text[start..].find(|c| !is_word(c)).map_or(text.len(), |more| start + more);
        at = end;
        if is_secret(&text[start..end]) {
            let value = text[end..].trim_start_matches([' ', '\t', '"', '\'', '=', ':']);
            // Quotes behind the sign are the value's own; those before it close the name.
            let behind = &text[end..text.len() - value.len()];
            let sign = behind.find(['=', ':']).map_or(0, |sign| sign + 1);
            let begin = end + sign + behind[sign..].len() - behind[sign..].trim_start_matches([' ', '\t']).len();
            at = begin + suspected_len(&text[begin..]);
            ranges.push(begin..at);
        }
    }
    ranges
}

fn suspected_len(value: &str) -> usize {
    let line = value.find('\n').unwrap_or(value.len());
    let quotes = value[..line].matches(['"', '\'']).count();
    let open = quotes % 2 == 1 || value.contains("\"\"\"") || value.contains("'''");
    if !open {
        return line;
    }
    let closed = secret_len(value);
    value[closed..].find("\n[").map_or(value.len(), |more| closed + more)
}

/// Whether a key holds a secret, also under a name that was mistyped or guessed: that line is shown
/// as an error.
fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    let guessed = ["pass", "pwd", "secret"].iter().any(|part| key.contains(part));
    !key.ends_with("_env") && (guessed || nearest(&key, SECRET_KEYS).is_some())
}

/// How far a secret reaches, quotes included; an unclosed one reaches to the end of its line.
fn secret_len(value: &str) -> usize {
    for quote in ["\"\"\"", "'''", "\"", "'"] {
        let Some(inside) = value.strip_prefix(quote) else { continue };
        let escapes = quote.starts_with('"');
        let mut skip = false;
        for (at, c) in inside.char_indices() {
            if skip {
                skip = false;
            } else if escapes && c == '\\' {
                skip = true;
            } else if inside[at..].starts_with(quote) {
                return at + 2 * quote.len();
            } else if c == '\n' && quote.len() == 1 {
                return at + quote.len();
            }
        }
        return value.len();
    }
    value.find('\n').unwrap_or(value.len())
}

/// Keys whose values are never shown.
pub(crate) const SECRET_KEYS: [&str; 2] = ["password", "ha1"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        masked(text, 0..text.len(), &secret_ranges(text))
    }

    #[test]
    fn secrets_are_masked_however_they_are_written() {
        assert_eq!(shown(r#"a = { password = "p\"w", user = "u" }"#), r#"a = { password = ***, user = "u" }"#);
        assert_eq!(shown("password='p'"), "password=***");
        assert_eq!(shown("\"password\" = \"open\nnext = 1"), "\"password\" = ***\nnext = 1");
        assert_eq!(shown("ha1 = \"\"\"a\nb\"\"\" # x"), "ha1 = *** # x");
        assert_eq!(shown("trunk.0.agents.password=bare word"), "trunk.0.agents.password=***");
        assert_eq!(shown("password_env = \"NAME\""), "password_env = \"NAME\"");
        assert_eq!(shown("x = 1\npasword = \"p\"\ny = 1"), "x = 1\npasword = ***\ny = 1");
        assert_eq!(shown("é=1 {passwd='a=b'}"), "é=1 {passwd=***}");
        assert_eq!(shown("user = \"u\", loops = \">= 1\""), "user = \"u\", loops = \">= 1\"");
    }

    #[test]
    fn where_toml_is_broken_everything_behind_the_name_of_a_secret_is_masked() {
        let shown = |text: &str| masked(text, 0..text.len(), &suspected_ranges(text));
        for (text, expected) in [
            (r#"a = { password = "hun"ter2" }"#, "a = { password = ***"),
            (r#"a = { password = "hun", ter2" }"#, "a = { password = ***"),
            (r#"a = { "password" = "hun", n = 1 }"#, r#"a = { "password" = ***"#),
            ("password: hunter2\nn = 1", "password: ***\nn = 1"),
            ("password hunter2\nn = 1", "password ***\nn = 1"),
            ("password \"hunter2\"\nn = 1", "password ***\nn = 1"),
            ("password = \"hunter2\" more2\nn = 1", "password = ***\nn = 1"),
            ("pasword = \"hun\nter2\"\nx = 1\n[run]\nn = 1", "pasword = ***\n[run]\nn = 1"),
            ("ha1 = \"\"\"a\n[b\"\"\" x\n[run]\nn = 1", "ha1 = ***\n[run]\nn = 1"),
            ("password_env = \"NAME\" x", "password_env = \"NAME\" x"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    proptest! {
        /// Whatever slips of the pen surround a password, no part of it is shown.
        #[test]
        fn no_slip_of_the_pen_shows_a_secret(
            before in "(a = \\{ |\\[|x = 1, )?", quote in "['\"]{0,3}", sign in "( ?[=:] ?| )['\"]{0,3}",
            after in "['\"]{0,3}", end in "[]}\"',= ]{0,4}",
        ) {
            let text = format!("{before}{quote}password{quote}{sign}SESAME{after}{end}\nn = 1\n");
            let problem = Problem::of_syntax(&Texts::new("p", &text, &[]), 0..1, "wrong".to_owned()).to_string();
            prop_assert!(!problem.contains("SESAME"), "{problem}");
            let mut parts = text.clone();
            parts.insert(text.find("SES").unwrap_or(0) + 3, '"');
            for at in 0..parts.len() {
                let problem = Problem::of_syntax(&Texts::new("p", &parts, &[]), at..at, "wrong".to_owned());
                let shown = problem.to_string();
                prop_assert!(!shown.contains("SES") && !shown.contains("AME"), "{shown}");
            }
        }
    }

    #[test]
    fn the_nearest_name_is_near() {
        assert_eq!(nearest("intervall", ["interval", "name"]), Some("interval"));
        assert_eq!(nearest("HOLD", ["hold", "rate"]), Some("hold"));
        assert_eq!(nearest("colour", ["interval", "name"]), None);
    }

    #[test]
    fn carets_stay_under_what_they_mean_behind_a_secret() {
        let texts = Texts::new("p.toml", "a = { password = \"long secret\", n = 1 }\n", &[]);
        let at = texts.all.find("n = 1").map(|at| at..at + 1).expect("in the text");
        let problem = Problem::at(&texts, at, "a.n".into(), "is wrong".into());
        assert_eq!(
            problem.to_string(),
            "p.toml:1:33: a.n: is wrong\n  |\n1 | a = { password = ***, n = 1 }\n  |                       ^"
        );
    }
}
