//! JSON that is as safe on a terminal as in a file: every control or invisible character is written
//! as an escape (`\u009b`), so a parser gets it back and a terminal never acts on it.

use crate::vocab::is_unseen;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use std::io::{self, Write};

/// A document of several lines, with a line end.
pub(super) fn pretty(value: &impl Serialize) -> Vec<u8> {
    written(value, PrettyFormatter::new())
}

/// One line, with its end.
pub(super) fn line(value: &impl Serialize) -> Vec<u8> {
    written(value, CompactFormatter)
}

/// The same as text.
pub(super) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

fn written(value: &impl Serialize, layout: impl Formatter) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, Escaping(layout));
    value.serialize(&mut serializer).expect("keys are strings, and a vector grows");
    bytes.push(b'\n');
    bytes
}

/// A layout whose strings hold nothing unseen.
struct Escaping<F>(F);

/// Hands every piece of the layout on as it is.
macro_rules! as_laid_out {
    ($($piece:ident($($name:ident: $kind:ty),*);)*) => {
        $(fn $piece<W: ?Sized + Write>(&mut self, to: &mut W $(, $name: $kind)*) -> io::Result<()> {
            self.0.$piece(to $(, $name)*)
        })*
    };
}

impl<F: Formatter> Formatter for Escaping<F> {
    as_laid_out! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, to: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, unseen)) = rest.char_indices().find(|(_, c)| is_unseen(*c)) {
            to.write_all(&rest.as_bytes()[..at])?;
            for unit in unseen.encode_utf16(&mut [0; 2]) {
                write!(to, "\\u{unit:04x}")?;
            }
            rest = &rest[at + unseen.len_utf8()..];
        }
        to.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn what_is_unseen_is_an_escape() {
        let value = json!({ "reason": "a\u{9b}b\u{7f}\u{202e}\u{e0041}c\n" });
        assert_eq!(text(line(&value)), "{\"reason\":\"a\\u009bb\\u007f\\u202e\\udb40\\udc41c\\n\"}\n");
        assert_eq!(text(pretty(&json!([1]))), "[\n  1\n]\n");
    }

    proptest! {
        #[test]
        fn every_character_comes_back(text in any::<String>()) {
            let bytes = pretty(&json!({ "a": [text.clone()] }));
            let read: Value = serde_json::from_slice(&bytes).expect("JSON");
            prop_assert_eq!(read["a"][0].as_str(), Some(&*text));
            let shown = String::from_utf8(bytes).expect("UTF-8");
            prop_assert!(!shown.contains(|c: char| is_unseen(c) && c != '\n'));
        }
    }
}
