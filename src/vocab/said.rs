//! What others said, as it may be kept, and as it may be shown.
//!
//! A server, a proxy or the writer of a file chooses these bytes, and they end on terminals, in
//! pages, in spreadsheets and in the comments of packets. Two steps make them harmless. [`said`] is
//! taken when a text is received: a digest that comes back would let whoever reads the results try
//! passwords (RFC 7616 §5.7), so it is masked before anything is kept. [`printable`] and
//! [`in_cell`] are taken when a text leaves, by what it is printed to: characters that steer a
//! terminal or hide among others never reach an eye, and no cell of a spreadsheet is a formula.
//! JSON keeps every character, written as an escape (`report::json`).

use std::borrow::Cow;

/// The hexadecimal digits of the shortest digest, MD5.
const DIGEST: usize = 32;

/// A text of a server's as it is kept: bytes that are no UTF-8 read as U+FFFD, digests as
/// asterisks.
pub fn said(text: &[u8]) -> String {
    String::from_utf8_lossy(&without_digests(text)).into_owned()
}

/// The text with asterisks in place of each run of at least as many hexadecimal digits as a digest
/// has; its length stays.
pub fn without_digests(text: &[u8]) -> Cow<'_, [u8]> {
    // Nearly every phrase is too short to hold one.
    if text.len() < DIGEST || next_digest(text, 0).is_none() {
        return Cow::Borrowed(text);
    }
    let mut masked = text.to_vec();
    let mut at = 0;
    while let Some((start, end)) = next_digest(&masked, at) {
        masked[start..end].fill(b'*');
        at = end;
    }
    Cow::Owned(masked)
}

/// Where the next run of digits begins and ends.
fn next_digest(text: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut start = from;
    for at in from..=text.len() {
        if text.get(at).is_some_and(u8::is_ascii_hexdigit) {
            continue;
        }
        if at - start >= DIGEST {
            return Some((start, at));
        }
        start = at + 1;
    }
    None
}

/// A text for terminals, pages and the comments of packets: what steers or hides becomes U+FFFD.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(is_unseen) { Cow::Owned(text.replace(is_unseen, "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// A text of several lines for a terminal: as [`printable`], but for line ends and tabs.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    let steers = |c: char| is_unseen(c) && c != '\n' && c != '\t';
    if text.contains(steers) { Cow::Owned(text.replace(steers, "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// A text for a cell: printable, and with an apostrophe before what a spreadsheet would compute.
/// Numbers, of which a telephone number may be one, stay as they are.
pub fn in_cell(text: &str) -> Cow<'_, str> {
    let shown = printable(text);
    let computed = shown.len() > 1 && shown.starts_with(FORMULA) && shown.parse::<f64>().is_err();
    if computed { Cow::Owned(format!("'{shown}")) } else { shown }
}

/// What a formula begins with; the wide forms count where they are typed.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Whether a character moves a cursor, changes the direction of writing, or takes no room: control
/// characters (C0, DEL, C1), line and paragraph separators, marks of direction, joiners, blanks
/// without width, tags, and what is no character.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}' | '\u{ffff}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_masked_and_other_words_are_not() {
        let md5 = "5ec7e75ec7e75ec7e75ec7e75ec7e700";
        assert_eq!(said(format!("Bad response {md5}, try again").as_bytes()), {
            format!("Bad response {}, try again", "*".repeat(32))
        });
        assert_eq!(said(md5.repeat(2).as_bytes()), "*".repeat(64));
        assert_eq!(said(format!("{md5} {md5}").as_bytes()), format!("{0} {0}", "*".repeat(32)));
        for harmless in ["Registration limit exceeded", "tenant 123e4567-e89b-12d3-a456-426614174000", &md5[1..]] {
            assert_eq!(said(harmless.as_bytes()), harmless);
        }
        assert_eq!(said(b"caf\xe9"), "caf\u{fffd}");
    }

    #[test]
    fn nothing_that_steers_or_hides_is_shown() {
        let wicked = "a\u{1b}[31mb\u{0}c\u{9b}d\u{7f}e\u{202e}f\u{200b}g\u{feff}h\u{2066}i\u{2028}j\u{e0041}k\r\nl";
        assert_eq!(
            printable(wicked),
            "a\u{fffd}[31mb\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f\u{fffd}g\u{fffd}h\u{fffd}i\u{fffd}j\u{fffd}k\u{fffd}\u{fffd}l"
        );
        assert_eq!(printable_lines("a\tb\r\nc"), "a\tb\u{fffd}\nc");
        for seen in ["Größe", "注册", "Ωmega 1 %", "🙂"] {
            assert_eq!(printable(seen), seen);
        }
    }

    #[test]
    fn a_spreadsheet_computes_nothing() {
        for (text, cell) in [
            ("=cmd|'/c calc'!A1", "'=cmd|'/c calc'!A1"),
            ("+1+1", "'+1+1"),
            ("-2+3", "'-2+3"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("\t=1", "\u{fffd}=1"),
            // Numbers, and a dash for what is not there.
            ("-5.25", "-5.25"),
            ("+15551234567", "+15551234567"),
            ("-", "-"),
            ("Not Found", "Not Found"),
        ] {
            assert_eq!(in_cell(text), cell, "{text}");
        }
    }
}
