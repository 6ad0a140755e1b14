//! The lexical ground of SIP header values that all parsers of this room share: blanks, quoted
//! strings, parameters, comma lists, numbers. Nothing here knows which header it reads.
//!
//! Read first: RFC 3261 §7.3.1 (folding, lists), §25.1 (LWS, SEMI, EQUAL, quoted-string).

use super::search::find;

/// A blank inside a value. Line breaks count: RFC 3261 §7.3.1 "any line breaks and the whitespace
/// at the beginning of the next line are treated as a single SP character", and a break without
/// such a blank ends the value before it gets here.
pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `text` without the blanks at its beginning.
pub(super) fn skip_blanks(text: &[u8]) -> &[u8] {
    let from = text.iter().position(|&b| !is_blank(b)).unwrap_or(text.len());
    &text[from..]
}

/// `text` without the blanks at both ends.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let text = skip_blanks(text);
    let to = text.iter().rposition(|&b| !is_blank(b)).map_or(0, |last| last + 1);
    &text[..to]
}

/// Length of the token at the beginning of `text` (RFC 3261 §25.1).
pub(super) fn token_len(text: &[u8]) -> usize {
    let is_token = |&b: &u8| IS_TOKEN[usize::from(b)];
    // Eight at a time as far as they all belong to it: a branch or nonce is long.
    let (words, _) = text.as_chunks::<8>();
    let whole =
        8 * words.iter().position(|word| !word.iter().fold(true, |all, b| all & is_token(b))).unwrap_or(words.len());
    whole + text[whole..].iter().position(|b| !is_token(b)).unwrap_or(text.len() - whole)
}

/// Whether a byte may stand in a token, by its value.
#[expect(clippy::cast_possible_truncation, reason = "below 128")]
const IS_TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"-.!%*_+`'~";
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

/// Splits a text that begins just after an opening quote into the raw content and what follows the
/// closing quote. `None` when the quote is never closed.
pub(super) fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        at += find(text.get(at..)?, *b"\"\\")?;
        if text[at] == b'"' {
            return Some((&text[..at], &text[at + 1..]));
        }
        // quoted-pair: the next byte, whatever it is, does not end the string.
        at += 2;
    }
}

/// Whether a quote begins in it and does not end.
pub(super) fn leaves_quote_open(text: &[u8]) -> bool {
    let Some(first) = memchr::memchr(b'"', text) else { return false };
    let (mut open, mut rest) = (false, text[first..].iter());
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => open = !open,
            b'\\' if open => drop(rest.next()),
            _ => {}
        }
    }
    open
}

/// Position of the first `one` or `other` outside quoted strings, else the length of `text`. An
/// unclosed quote swallows the rest.
#[inline]
pub(super) fn find_unquoted(text: &[u8], one: u8, other: u8) -> usize {
    let mut at = 0;
    while let Some(found) = find(&text[at..], [one, other, b'"']) {
        at += found;
        if text[at] != b'"' {
            return at;
        }
        match quoted(&text[at + 1..]) {
            Some((_, after)) => at = text.len() - after.len(),
            None => break,
        }
    }
    text.len()
}

/// One `;name=value`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Param<'a> {
    pub name: &'a [u8],
    /// The whole parameter without its semicolon.
    pub raw: &'a [u8],
}

impl<'a> Param<'a> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.len() == name.len() && self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Without quotes; `None` when there is no equal sign. Looked for only when asked: most
    /// parameters are passed over.
    pub(super) fn value(&self) -> Option<&'a [u8]> {
        skip_blanks(&self.raw[self.name.len()..]).strip_prefix(b"=").map(|value| unquote(skip_blanks(value)))
    }
}

/// The parameters at the beginning of a text that starts at, or with rubbish before, its first
/// semicolon. Ends at a comma outside quotes: what follows belongs to the next list element.
#[derive(Clone, Debug)]
pub(super) struct Params<'a> {
    rest: &'a [u8],
}

impl<'a> Params<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Params { rest: text }
    }

    /// What has not been read: after the last parameter, the comma and the list elements behind it.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The value of the first parameter called `name`.
    pub(super) fn value(mut self, name: &str) -> Option<&'a [u8]> {
        self.find(|param| param.is(name))?.value()
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        match self.rest.first()? {
            b';' => {}
            _ => self.rest = &self.rest[find_unquoted(self.rest, b';', b',')..],
        }
        let text = self.rest.strip_prefix(b";")?;
        let end = find_unquoted(text, b';', b',');
        self.rest = &text[end..];
        let raw = trim(&text[..end]);
        let name = &raw[..raw.iter().position(|&b| b == b'=' || is_blank(b)).unwrap_or(raw.len())];
        Some(Param { name, raw })
    }
}

/// The content of a quoted string, or a bare value up to the first blank.
fn unquote(value: &[u8]) -> &[u8] {
    match value.strip_prefix(b"\"") {
        Some(inner) => quoted(inner).map_or(inner, |(content, _)| content),
        None => &value[..value.iter().position(|&b| is_blank(b)).unwrap_or(value.len())],
    }
}

/// The elements of a comma list, trimmed; commas in quotes or angle brackets do not separate, empty
/// elements are left out.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = element_end(rest);
            let element = trim(&rest[..end]);
            rest = rest.get(end + 1..).unwrap_or_default();
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    })
}

fn element_end(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at += find_unquoted(&text[at..], b',', b'<');
        if text.get(at) != Some(&b'<') {
            return at;
        }
        match memchr::memchr(b'>', &text[at..]) {
            Some(close) => at += close + 1,
            None => return text.len(),
        }
    }
}

/// The number at the beginning of a text of eight bytes or more, and what follows it; at most the
/// first eight digits. `None` where there is no digit, or the text is shorter.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the sum of both halves stands in the lower one")]
pub(super) fn short_number(text: &[u8]) -> Option<(u32, &[u8])> {
    let digits = u64::from_le_bytes(*text.first_chunk()?) ^ (EACH * u64::from(b'0'));
    // What is above nine sets the high bit of its byte; what it carries into the next one comes
    // behind the first of them.
    let others = (digits.wrapping_add(EACH * (0x80 - 10)) | digits) & (EACH << 7);
    let count = others.trailing_zeros() as usize / 8;
    if count == 0 {
        return None;
    }
    // Zeros before them; then pairs of digits, pairs of pairs, and the two halves.
    let digits = digits << (64 - 8 * count);
    let pairs = (digits.wrapping_mul(10).wrapping_add(digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((quads.wrapping_mul(10_000).wrapping_add(quads >> 32) as u32, &text[count..]))
}

/// One in each byte of a word.
const EACH: u64 = 0x0101_0101_0101_0101;

/// A decimal number of seconds or of a sequence, at the beginning of `text`. Values beyond 32 bits
/// become the greatest one ("at least that long"); `None` when there are no digits or something
/// else than a delimiter follows them, as in `-1` or `10s`.
#[expect(clippy::cast_possible_truncation, reason = "held below 32 bits in the loop")]
pub(super) fn number(text: &[u8]) -> Option<u32> {
    let text = if text.first() > Some(&b' ') { text } else { skip_blanks(text) };
    let (mut value, mut digits) = (0, 0);
    while let Some(digit @ b'0'..=b'9') = text.get(digits) {
        value = (value * 10 + u64::from(digit - b'0')).min(u64::from(u32::MAX));
        digits += 1;
    }
    let delimited = text.get(digits).is_none_or(|&b| is_blank(b) || matches!(b, b';' | b',' | b'('));
    (digits > 0 && delimited).then_some(value as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn params(text: &str) -> Vec<(String, Option<String>)> {
        let text_of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Params::new(text.as_bytes()).map(|p| (text_of(p.name), p.value().map(text_of))).collect()
    }

    #[test]
    fn parameters_in_every_dress() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            params("x ; a=1;b ; c = \"q;,\\\"=\" ;d=;;e\r\n = 2 rubbish, ;f=3"),
            [
                ("a".to_owned(), some("1")),
                ("b".to_owned(), None),
                ("c".to_owned(), some("q;,\\\"=")),
                ("d".to_owned(), some("")),
                (String::new(), None),
                ("e".to_owned(), some("2")),
            ]
        );
        assert!(params("no parameters").is_empty());
    }

    #[test]
    fn the_rest_begins_at_the_next_element() {
        let mut all = Params::new(b";a=\",\" , second;b");
        assert_eq!(all.by_ref().count(), 1);
        assert_eq!(all.rest(), b", second;b");
    }

    #[test]
    fn lists_split_at_plain_commas_only() {
        let elements: Vec<_> = list(b" ,\"a,b\" <sip:x,y>;p=\",\" ,, <sip:z> , ").collect();
        assert_eq!(elements, [&b"\"a,b\" <sip:x,y>;p=\",\""[..], b"<sip:z>"]);
        assert_eq!(list(b"<open, bracket").count(), 1);
        assert_eq!(list(b"\"open, quote").count(), 1);
    }

    #[test]
    fn numbers_stop_at_delimiters_and_saturate() {
        let table: [(&[u8], Option<u32>); 9] = [
            (b"0", Some(0)),
            (b" 3600 ", Some(3600)),
            (b"120 (meeting)", Some(120)),
            (b"5;duration=9", Some(5)),
            (b"4294967295", Some(u32::MAX)),
            (b"99999999999999999999999999999", Some(u32::MAX)),
            (b"-1", None),
            (b"10s", None),
            (b"", None),
        ];
        for (text, expected) in table {
            assert_eq!(number(text), expected, "{}", String::from_utf8_lossy(text));
        }
    }

    proptest! {
        #[test]
        fn a_short_number_is_the_number(text in "[0-9]{0,9}[0-9 a:/\u{80}\u{ff}]{0,9}") {
            let text = text.as_bytes();
            let count = text.iter().take(8).take_while(|b| b.is_ascii_digit()).count();
            let expected = std::str::from_utf8(&text[..count]).ok().and_then(|digits| digits.parse().ok());
            let expected = expected.filter(|_| text.len() >= 8).map(|number: u32| (number, &text[count..]));
            prop_assert_eq!(short_number(text), expected);
        }

        #[test]
        fn nothing_panics_and_everything_ends(bytes in proptest::collection::vec(any::<u8>(), 0..96)) {
            prop_assert!(Params::new(&bytes).count() <= bytes.len());
            prop_assert!(list(&bytes).count() <= bytes.len());
            let _ = (number(&bytes), quoted(&bytes), trim(&bytes), token_len(&bytes));
        }

        #[test]
        fn nothing_panics_on_likely_bytes(text in "[a=;,\"\\\\<> \r\n]{0,48}") {
            prop_assert!(Params::new(text.as_bytes()).count() <= text.len());
            prop_assert!(list(text.as_bytes()).count() <= text.len());
        }
    }
}
