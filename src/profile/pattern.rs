//! Names made from a number: `agent{n}`, zero-padded `agent{n:05}`.

use std::fmt::Write;

/// A checked pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamePattern {
    text: String,
    pieces: Vec<PatternPiece>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum PatternPiece {
    Literal(String),
    /// The number, zero-padded to this width.
    Number(usize),
}

/// Why a text is no pattern.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PatternError {
    #[error("the pattern is empty")]
    Empty,
    #[error("\"{{\" at character {0} is not closed")]
    Open(usize),
    #[error("\"}}\" at character {0} closes nothing")]
    Close(usize),
    #[error("\"{{{0}}}\" is not a number's place")]
    Unknown(String),
}

impl NamePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it is empty or holds braces that are neither `{n}` nor `{n:0W}` with a width W from 1
    /// to 20.
    pub fn parse(text: &str) -> Result<NamePattern, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let column = || text[..text.len() - rest.len() + at].chars().count() + 1;
            if rest[at..].starts_with('}') {
                return Err(PatternError::Close(column()));
            }
            let end = rest[at..].find('}').ok_or_else(|| PatternError::Open(column()))?;
            if at > 0 {
                pieces.push(PatternPiece::Literal(rest[..at].to_owned()));
            }
            pieces.push(PatternPiece::Number(width(&rest[at + 1..at + end])?));
            rest = &rest[at + end + 1..];
        }
        if !rest.is_empty() {
            pieces.push(PatternPiece::Literal(rest.to_owned()));
        }
        Ok(NamePattern { text: text.to_owned(), pieces })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the number appears at all, that is whether different numbers give different names.
    pub fn has_number(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, PatternPiece::Number(_)))
    }

    /// Appends the name of number `n`.
    pub fn write(&self, n: u32, out: &mut String) {
        for piece in &self.pieces {
            match piece {
                PatternPiece::Literal(text) => out.push_str(text),
                // Writing to a String cannot fail.
                PatternPiece::Number(width) => {
                    let _ = write!(out, "{n:0width$}");
                }
            }
        }
    }

    /// The name of number `n`.
    pub fn name(&self, n: u32) -> String {
        let mut out = String::new();
        self.write(n, &mut out);
        out
    }
}

/// The width of `n` (0) or `n:0W`.
fn width(inside: &str) -> Result<usize, PatternError> {
    if inside == "n" {
        return Ok(0);
    }
    inside
        .strip_prefix("n:0")
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .filter(|width| (1..=20).contains(width))
        .ok_or_else(|| PatternError::Unknown(inside.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_padded() {
        let name = |text, n| NamePattern::parse(text).map(|pattern| pattern.name(n));
        assert_eq!(name("agent{n:05}", 42), Ok("agent00042".into()));
        assert_eq!(name("{n}-x{n:02}", 7), Ok("7-x07".into()));
        assert_eq!(name("agent{n:03}", 123_456), Ok("agent123456".into()));
        assert_eq!(name("alice", 1), Ok("alice".into()));
    }

    #[test]
    fn braces_that_mean_nothing_are_refused() {
        assert_eq!(NamePattern::parse(""), Err(PatternError::Empty));
        assert_eq!(NamePattern::parse("ab{n"), Err(PatternError::Open(3)));
        assert_eq!(NamePattern::parse("ab}"), Err(PatternError::Close(3)));
        for inside in ["i", "n:", "n:5", "n:0", "n:099", "n:0+5", ""] {
            let text = format!("a{{{inside}}}");
            assert_eq!(NamePattern::parse(&text), Err(PatternError::Unknown(inside.into())), "{text}");
        }
    }
}
