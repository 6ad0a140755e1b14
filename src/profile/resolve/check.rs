//! The clipboard of a check: problems and doubts as they are found, and the checks that many keys
//! share.
//!
//! A check that fails notes its problem and hands back a value that keeps the others going; a
//! profile with any problem is thrown away whole, so such a value is never used.

use crate::profile::Source;
use crate::profile::error::{Problem, nearest};
use crate::profile::file::{DurationText, WordText};
use crate::profile::places::{Path, Places};
use crate::vocab::{Word, parse_duration};
use std::net::IpAddr;
use std::time::Duration;

pub(super) struct Checker<'a> {
    pub(super) places: &'a Places,
    pub(super) source: &'a dyn Source,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

impl Checker<'_> {
    /// A value that is wrong.
    pub(super) fn bad(&mut self, path: &Path, message: impl Into<String>) {
        self.problems.push(Problem::with_value(self.places, path, message.into()));
    }

    /// A value that is wrong, and what to do instead.
    pub(super) fn advise(&mut self, path: &Path, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem::with_value(self.places, path, message.into()).remedy(remedy));
    }

    /// A key that should not be here.
    pub(super) fn bad_key(&mut self, path: &Path, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem::with_key(self.places, path, message.into()).remedy(remedy));
    }

    /// A key that is needed and not written.
    pub(super) fn missing(&mut self, path: &Path, remedy: impl Into<String>) {
        self.problems.push(Problem::with_key(self.places, path, "is missing".to_owned()).remedy(remedy));
    }

    pub(super) fn duration(&mut self, path: &Path, written: Option<&DurationText>, default: &str) -> Duration {
        let text = written.map_or(default, |text| text.0.as_str());
        parse_duration(text).unwrap_or_else(|error| {
            self.bad(path, error.to_string());
            Duration::MAX
        })
    }

    /// A duration above zero.
    pub(super) fn positive(&mut self, path: &Path, written: Option<&DurationText>, default: &str) -> Duration {
        let span = self.duration(path, written, default);
        if span.is_zero() {
            self.bad(path, "must be longer than 0s");
        }
        span
    }

    /// A duration of whole seconds, as `Expires` carries it (RFC 3261 §20.19).
    pub(super) fn whole_seconds(&mut self, path: &Path, written: Option<&DurationText>, default: &str) -> Duration {
        let span = self.duration(path, written, default);
        if span == Duration::MAX {
            return span;
        }
        if span.subsec_nanos() != 0 || span.is_zero() {
            self.bad(path, "must be whole seconds, at least 1s");
        } else if u32::try_from(span.as_secs()).is_err() {
            self.bad(path, "must fit into 32 bits of seconds");
        }
        span
    }

    /// A number in [0, 1].
    pub(super) fn share(&mut self, path: &Path, written: Option<f64>, default: f64) -> f64 {
        let share = written.unwrap_or(default);
        if !(0.0..=1.0).contains(&share) {
            self.bad(path, format!("must be a share from 0 to 1, not {share}"));
        }
        share
    }

    /// The code of a final refusal (RFC 3261 §7.2).
    pub(super) fn refusal_code(&mut self, path: &Path, code: u16) {
        if !(300..=699).contains(&code) {
            self.bad(path, format!("must be a refusal, 300 to 699, not {code}"));
        }
    }

    /// A whole number of at least one.
    pub(super) fn at_least_one(&mut self, path: &Path, written: Option<u32>, default: u32) -> u32 {
        let number = written.unwrap_or(default);
        if number == 0 {
            self.bad(path, "must be at least 1");
        }
        number
    }

    /// One of a few words; the default when none is written.
    pub(super) fn word<T: Word>(&mut self, path: &Path, written: Option<&WordText<T>>, default: T) -> T {
        let names: Vec<&str> = T::ALL.iter().map(|word| word.as_str()).collect();
        written.and_then(|text| self.one_of(path, &text.0, &names)).map_or(default, |at| T::ALL[at])
    }

    /// The place of a word among those it may be.
    pub(super) fn one_of(&mut self, path: &Path, word: &str, names: &[&str]) -> Option<usize> {
        let known = names.iter().position(|name| *name == word);
        if known.is_none() {
            let remedy = did_you_mean(word, names).unwrap_or_else(|| format!("use {}", list(names)));
            self.advise(path, format!("\"{word}\" is unknown here"), remedy);
        }
        known
    }

    /// Digest algorithms by their registered names (RFC 7616 §6.1), in any case.
    pub(super) fn algorithms(
        &mut self,
        path: &Path,
        written: Option<&Vec<String>>,
        default: &[&'static str],
    ) -> Vec<&'static str> {
        let Some(written) = written else { return default.to_vec() };
        if written.is_empty() {
            self.advise(path, "names no algorithm", format!("use {}", list(&ALGORITHMS)));
        }
        let mut algorithms = Vec::new();
        for (n, name) in written.iter().enumerate() {
            let at = path.index(n);
            let known = ALGORITHMS.iter().find(|known| known.eq_ignore_ascii_case(name));
            match known {
                Some(known) if algorithms.contains(known) => self.bad(&at, format!("{known} is named twice")),
                Some(known) => algorithms.push(*known),
                None => self.unknown_algorithm(&at, name),
            }
        }
        algorithms
    }

    fn unknown_algorithm(&mut self, path: &Path, name: &str) {
        let remedy = did_you_mean(name, &ALGORITHMS).unwrap_or_else(|| format!("use {}", list(&ALGORITHMS)));
        self.advise(path, format!("\"{name}\" is not a digest algorithm"), remedy);
    }

    pub(super) fn addresses(&mut self, path: &Path, written: Option<&Vec<String>>) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for (n, text) in written.into_iter().flatten().enumerate() {
            match text.parse() {
                Ok(address) => addresses.push(address),
                Err(_) => self.bad(&path.index(n), format!("\"{text}\" is not an IP address")),
            }
        }
        addresses
    }

    /// A text that goes between the quotes of a header parameter: not empty, nothing that would
    /// need an escape.
    pub(super) fn quotable(&mut self, path: &Path, text: &str) {
        if text.is_empty() {
            self.bad(path, "must not be empty");
        } else if text.chars().any(|c| c.is_control() || c == '"' || c == '\\') {
            self.bad(path, "must not contain quotes, backslashes or control characters");
        }
    }

    /// Text of one line.
    pub(super) fn one_line(&mut self, path: &Path, text: &str) {
        if text.chars().any(char::is_control) {
            self.bad(path, "must not contain line ends or other control characters");
        }
    }
}

/// The registered names of the digest algorithms that can be computed here.
pub(super) const ALGORITHMS: [&str; 6] =
    ["SHA-512-256", "SHA-256", "MD5", "SHA-512-256-sess", "SHA-256-sess", "MD5-sess"];

/// The nearest of some names, as a question.
pub(super) fn did_you_mean(name: &str, known: &[&str]) -> Option<String> {
    nearest(name, known.iter().copied()).map(|near| format!("did you mean \"{near}\"?"))
}

/// `"a", "b" or "c"`.
pub(super) fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [firsts @ .., last] => format!("{} or {last}", firsts.join(", ")),
    }
}
