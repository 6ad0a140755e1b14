//! The header lines of a message: where those stand that a registration asks for, and a walk over
//! all of them.
//!
//! The fast path, `Head::fast_lines`, reads a head without folded lines in one pass: it recognises
//! a name by one machine word and does not parse values. Its slow twin, `Head::any_lines`, reads
//! any head, line by line. Values are taken apart when somebody looks at them.

use super::super::fields::{is_blank, number, short_number, skip_blanks, token_len, trim};
use super::super::search::{LineFeeds, Start, find};
use super::Malformed;

/// What follows a start line.
pub(super) struct Rest<'a> {
    /// With the start line.
    pub(super) text: &'a [u8],
    /// Where the start line ends.
    pub(super) start: usize,
    /// The line feeds behind it.
    pub(super) feeds: LineFeeds<'a>,
}

/// The lines of a message's head, and where those stand that every registration asks for.
///
/// Of the names that may stand several times the lines from the first to the last are kept apart,
/// so that reading a challenge or the contacts does not walk over the other headers once more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    /// With the start line before them.
    text: &'a [u8],
    /// Where they begin.
    start: u32,
    /// Values of the headers of which the first counts, with the line's end, by [`HeaderName`]:
    /// Via, From, To, Call-ID, CSeq.
    first: [HeadSpan; SINGLE],
    challenges: Kin,
    contacts: Kin,
    infos: Kin,
    pub(super) expires: Option<u32>,
    pub(super) min_expires: Option<u32>,
    pub(super) retry_after: Option<u32>,
}

/// From where to where in the lines of a head something stands.
#[derive(Clone, Copy, Default, Debug)]
struct HeadSpan {
    start: u32,
    end: u32,
}

impl HeadSpan {
    /// [`Head`] holds fewer bytes than a place may count.
    #[expect(clippy::cast_possible_truncation, reason = "a head is shorter than 4 GiB")]
    const fn new(start: usize, end: usize) -> HeadSpan {
        HeadSpan { start: start as u32, end: end as u32 }
    }

    const fn is_missing(self) -> bool {
        self.end == 0
    }

    fn of(self, text: &[u8]) -> &[u8] {
        &text[self.start as usize..self.end as usize]
    }
}

/// The lines of one kind, and what stands between them.
#[derive(Clone, Copy, Default, Debug)]
struct Kin {
    place: HeadSpan,
    /// How many they are.
    count: u32,
}

impl Kin {
    fn add(&mut self, line: HeadSpan) {
        let start = if self.count == 0 { line.start } else { self.place.start };
        *self = Kin { place: HeadSpan { start, end: line.end }, count: self.count + 1 };
    }
}

/// Names of which the first header counts: the first of [`HeaderName`].
const SINGLE: usize = 5;

/// Compact header names: RFC 3261 §7.3.3 and the registry of header fields.
fn compact_of(name: &str) -> Option<u8> {
    const COMPACT: [(&str, u8); 20] = [
        ("Accept-Contact", b'a'),
        ("Allow-Events", b'u'),
        ("Call-ID", b'i'),
        ("Contact", b'm'),
        ("Content-Encoding", b'e'),
        ("Content-Length", b'l'),
        ("Content-Type", b'c'),
        ("Event", b'o'),
        ("From", b'f'),
        ("Identity", b'y'),
        ("Identity-Info", b'n'),
        ("Refer-To", b'r'),
        ("Referred-By", b'b'),
        ("Reject-Contact", b'j'),
        ("Request-Disposition", b'd'),
        ("Session-Expires", b'x'),
        ("Subject", b's'),
        ("Supported", b'k'),
        ("To", b't'),
        ("Via", b'v'),
    ];
    COMPACT.iter().find(|(long, _)| long.eq_ignore_ascii_case(name)).map(|&(_, short)| short)
}

/// The headers that every registration needs, by what is done with them; first those of which the
/// first alone counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HeaderName {
    Via,
    From,
    To,
    CallId,
    CSeq,
    Contact,
    Expires,
    MinExpires,
    RetryAfter,
    Challenge,
    /// `Authentication-Info` and the proxy's.
    Info,
    Other,
}

impl HeaderName {
    /// Compares with at most two names: those of the same length.
    #[inline]
    pub(super) fn of(name: &[u8]) -> HeaderName {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match name.len() {
            1 => match name[0] | 0x20 {
                b'v' => HeaderName::Via,
                b'f' => HeaderName::From,
                b't' => HeaderName::To,
                b'i' => HeaderName::CallId,
                b'm' => HeaderName::Contact,
                _ => HeaderName::Other,
            },
            2 if is(b"To") => HeaderName::To,
            3 if is(b"Via") => HeaderName::Via,
            4 if is(b"From") => HeaderName::From,
            4 if is(b"CSeq") => HeaderName::CSeq,
            7 if is(b"Call-ID") => HeaderName::CallId,
            7 if is(b"Contact") => HeaderName::Contact,
            7 if is(b"Expires") => HeaderName::Expires,
            11 if is(b"Min-Expires") => HeaderName::MinExpires,
            11 if is(b"Retry-After") => HeaderName::RetryAfter,
            16 if is(b"WWW-Authenticate") => HeaderName::Challenge,
            18 if is(b"Proxy-Authenticate") => HeaderName::Challenge,
            19 if is(b"Authentication-Info") => HeaderName::Info,
            25 if is(b"Proxy-Authentication-Info") => HeaderName::Info,
            _ => HeaderName::Other,
        }
    }
}

impl<'a> Head<'a> {
    /// A head before it is read: no header has been found.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a head is shorter than 4 GiB")]
    pub(super) fn of(text: &'a [u8], start: usize) -> Self {
        Head {
            text,
            start: start as u32,
            first: [HeadSpan::default(); SINGLE],
            challenges: Kin::default(),
            contacts: Kin::default(),
            infos: Kin::default(),
            expires: None,
            min_expires: None,
            retry_after: None,
        }
    }

    /// Finds the headers: by the fast path, and where that gives up, by the slow one from the
    /// beginning.
    #[inline(always)]
    pub(super) fn read(&mut self, feeds: LineFeeds<'a>) -> Result<(), Malformed> {
        // No header of a SIP message lies so far behind.
        if self.text.len() > u32::MAX as usize {
            return Err(Malformed::Truncated);
        }
        let complete = self.fast_lines(feeds) || self.any_lines()?;
        if self.first.iter().any(|place| place.is_missing()) {
            return Err(if complete { Malformed::MissingHeader } else { Malformed::Truncated });
        }
        Ok(())
    }

    /// All of the message.
    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }

    pub(super) fn lines(&self) -> &'a [u8] {
        &self.text[self.start as usize..]
    }

    /// The fast path: reads a head of which no line is folded, with the empty line at its end;
    /// false for any other, which is to be read by the slow twin, [`any_lines`](Self::any_lines).
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the first byte of the word")]
    fn fast_lines(&mut self, mut feeds: LineFeeds<'a>) -> bool {
        let text = self.text;
        let mut start = self.start as usize;
        while let Some(head) = text[start..].first_chunk() {
            let head = u64::from_le_bytes(*head);
            let is = |start: Start| start.begins(head);
            let Some(feed) = feeds.next() else { return false };
            let line = HeadSpan::new(start, feed + 1);
            start = feed + 1;
            match head as u8 {
                b'V' if is(Start::of(b"Via:")) => self.put_first(HeaderName::Via, line, 4),
                b'F' if is(Start::of(b"From:")) => self.put_first(HeaderName::From, line, 5),
                b'T' if is(Start::of(b"To:")) => self.put_first(HeaderName::To, line, 3),
                b'C' if is(Start::of(b"Call-ID:")) => self.put_first(HeaderName::CallId, line, 8),
                b'C' if is(Start::of(b"CSeq:")) => self.put_first(HeaderName::CSeq, line, 5),
                b'C' if is(Start::of(b"Contact:")) => self.contacts.add(line),
                b'C' if is(Start::of(b"Content-")) => {}
                b'W' if is(Start::of(b"WWW-Auth")) && line.of(text)[8..].starts_with(b"enticate:") => {
                    self.challenges.add(line);
                }
                // No name that is looked for begins so.
                b'S' | b'U' | b'D' => {}
                b'\r' | b'\n' => return is_end(line.of(text)),
                b' ' | b'\t' => return false,
                _ => self.put(line),
            }
        }
        is_end(&text[start..])
    }

    /// The slow twin of [`fast_lines`](Self::fast_lines): reads any head; whether the empty line at
    /// its end is there.
    fn any_lines(&mut self) -> Result<bool, Malformed> {
        let mut at = self.start as usize;
        *self = Head::of(self.text, at);
        loop {
            let text = &self.text[at..];
            if text.is_empty() || is_end(text) {
                return Ok(!text.is_empty());
            }
            let end = at + line_len(text).ok_or(Malformed::Truncated)?;
            self.put(HeadSpan::new(at, end));
            at = end;
        }
    }

    /// Takes up a line, if it is one that somebody looks for.
    #[inline(never)]
    #[expect(clippy::cast_possible_truncation, reason = "a line is shorter than 4 GiB")]
    fn put(&mut self, line: HeadSpan) {
        if let Some((name, behind)) = name_of(line.of(self.text)) {
            self.put_named(name, line, behind as u32);
        }
    }

    /// Takes up a line of this name, whose value begins `behind` its beginning.
    fn put_named(&mut self, name: HeaderName, line: HeadSpan, behind: u32) {
        let number = || number(HeadSpan { start: line.start + behind, ..line }.of(self.text));
        match name {
            HeaderName::Via | HeaderName::From | HeaderName::To | HeaderName::CallId | HeaderName::CSeq => {
                self.put_first(name, line, behind)
            }
            HeaderName::Challenge => self.challenges.add(line),
            HeaderName::Contact => self.contacts.add(line),
            HeaderName::Info => self.infos.add(line),
            HeaderName::Expires => self.expires = self.expires.or_else(number),
            HeaderName::MinExpires => self.min_expires = self.min_expires.or_else(number),
            HeaderName::RetryAfter => self.retry_after = self.retry_after.or_else(number),
            HeaderName::Other => {}
        }
    }

    /// The same for a name of which the first header counts.
    #[inline(always)]
    fn put_first(&mut self, name: HeaderName, line: HeadSpan, behind: u32) {
        let first = &mut self.first[name as usize];
        if first.is_missing() {
            *first = HeadSpan { start: line.start + behind, end: line.end };
        }
    }

    /// The value of a header of which the first counts.
    #[inline]
    pub(super) fn first(&self, name: HeaderName) -> &'a [u8] {
        trim_line(self.first[name as usize].of(self.text))
    }

    /// RFC 3261 §20.16: "a single decimal sequence number and the request method". §8.1.1.5 keeps
    /// it below 2³¹; up to 2³²-1 is let pass, more is unreadable, since a saturated number would
    /// match nobody's request.
    #[inline]
    pub(super) fn cseq(&self) -> Result<(u32, &'a [u8]), Malformed> {
        // The fast path for our own CSeq echoed as it was sent; the slow twin is `any_cseq`.
        if let [b' ', text @ .., b'\r', b'\n'] = self.first[HeaderName::CSeq as usize].of(self.text)
            && let Some((number, behind)) = short_number(text)
            && behind == b" REGISTER"
        {
            return Ok((number, &behind[1..]));
        }
        self.any_cseq()
    }

    #[cold]
    pub(super) fn any_cseq(&self) -> Result<(u32, &'a [u8]), Malformed> {
        let (mut rest, mut number, mut digits) = (self.first(HeaderName::CSeq), 0u32, 0);
        while let [digit @ b'0'..=b'9', behind @ ..] = rest {
            let more = number.checked_mul(10).and_then(|number| number.checked_add(u32::from(digit - b'0')));
            number = more.ok_or(Malformed::Header)?;
            digits += 1;
            rest = behind;
        }
        if digits == 0 {
            return Err(Malformed::Header);
        }
        let method = skip_blanks(rest);
        let method_len = token_len(method);
        if method_len == 0 || method.len() == rest.len() {
            return Err(Malformed::Header);
        }
        Ok((number, &method[..method_len]))
    }

    /// Whether it has an `Authentication-Info`, or a proxy's.
    pub(super) fn has_info(&self) -> bool {
        self.infos.count > 0
    }

    /// Name and value of every header, in order. Walks over the whole head.
    pub(super) fn walk(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut lines = HeadLines { rest: self.lines() };
        std::iter::from_fn(move || {
            loop {
                match lines.next_line()? {
                    HeadLine::Header { name, value } => return Some((name, value)),
                    HeadLine::Other => {}
                    HeadLine::Empty | HeadLine::Cut(_) => return None,
                }
            }
        })
    }

    /// What follows the empty line, as far as Content-Length says (RFC 3261 §18.3: "additional
    /// bytes in the transport packet beyond the end of the body" are discarded). Walks over all
    /// headers.
    pub(super) fn body(&self) -> &'a [u8] {
        let mut lines = HeadLines { rest: self.lines() };
        while matches!(lines.next_line(), Some(HeadLine::Header { .. } | HeadLine::Other)) {}
        let line_end = if lines.rest.starts_with(b"\r") { 2 } else { 1 };
        let body = lines.rest.get(line_end..).unwrap_or_default();
        let length = self.called("Content-Length").find_map(number).map_or(body.len(), |length| length as usize);
        &body[..length.min(body.len())]
    }

    /// The lines called `name`, in its usual spelling, when they are kept apart, and its compact
    /// form. With a name that is known at compile time nothing is compared.
    #[inline(always)]
    fn kin(&self, name: &'static str) -> Option<(Kin, Option<u8>)> {
        match name {
            "WWW-Authenticate" | "Proxy-Authenticate" => Some((self.challenges, None)),
            "Contact" => Some((self.contacts, Some(b'm'))),
            "Authentication-Info" | "Proxy-Authentication-Info" => Some((self.infos, None)),
            _ => None,
        }
    }

    /// The value of the only header of its kind, when it is called `name` to the letter; `None`
    /// also for a kind whose lines are not kept apart.
    #[inline(always)]
    pub(super) fn only(&self, name: &'static str) -> Option<&'a [u8]> {
        let (kin, _) = self.kin(name)?;
        if kin.count == 1 { value_of(kin.place.of(self.text), name).map(trim_line) } else { None }
    }

    /// The values of all headers called `name`.
    #[inline(always)]
    pub(super) fn called(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut only = self.only(name);
        let (rest, compact) = match self.kin(name) {
            Some((kin, compact)) => (kin.place.of(self.text), compact),
            None => (self.lines(), compact_of(name)),
        };
        let mut lines = HeadLines { rest: if only.is_some() { &[] } else { rest } };
        std::iter::from_fn(move || {
            if let Some(value) = only.take() {
                return Some(value);
            }
            if let Some(value) = lines.next_called(name) {
                return Some(value);
            }
            loop {
                match lines.next_line()? {
                    HeadLine::Header { name: found, value }
                        if found == name.as_bytes()
                            || found.eq_ignore_ascii_case(name.as_bytes())
                            || matches!((found, compact), ([one], Some(short)) if one.eq_ignore_ascii_case(&short)) =>
                    {
                        return Some(value);
                    }
                    HeadLine::Header { .. } | HeadLine::Other => {}
                    HeadLine::Empty | HeadLine::Cut(_) => return None,
                }
            }
        })
    }
}

/// Whether the empty line that ends a head stands here.
fn is_end(text: &[u8]) -> bool {
    matches!(text, [b'\n', ..] | [b'\r', b'\n', ..])
}

/// Length of the line at the beginning of `text` with its end, folded ones as one; `None` when the
/// bytes end within it.
#[inline]
fn line_len(text: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        end += find(&text[end..], [b'\n'])? + 1;
        // Folded: RFC 3261 §7.3.1.
        if !matches!(text.get(end), Some(b' ' | b'\t')) {
            return Some(end);
        }
    }
}

/// What header a line is, and where its value begins; `None` for one that nobody looks for, or
/// without a colon.
#[inline]
fn name_of(line: &[u8]) -> Option<(HeaderName, usize)> {
    // No name that is looked for begins otherwise, and none begins like Content-Length.
    match line.first()? | 0x20 {
        b'w' if line.starts_with(b"WWW-Authenticate:") => Some((HeaderName::Challenge, b"WWW-Authenticate:".len())),
        b'c' if line.starts_with(b"Content-") => None,
        b'v' | b'f' | b't' | b'i' | b'm' | b'c' | b'e' | b'r' | b'w' | b'p' | b'a' => {
            let (name, value) = split_line(line)?;
            Some((HeaderName::of(name), line.len() - value.len()))
        }
        _ => None,
    }
}

/// What follows this name and a colon at the beginning of a text.
#[inline(always)]
fn value_of<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    text.strip_prefix(name.as_bytes())?.strip_prefix(b":")
}

/// Name without the blanks before the colon, and value, not yet trimmed.
fn split_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    // Names are short: a plain loop beats a vectorised search.
    let colon = line.iter().position(|&b| b == b':')?;
    let (mut name, value) = (&line[..colon], &line[colon + 1..]);
    while let [before @ .., last] = name
        && is_blank(*last)
    {
        name = before;
    }
    Some((name, value))
}

/// A value without the blanks around it, the line's end among them.
#[inline]
fn trim_line(value: &[u8]) -> &[u8] {
    match value {
        // The fast path, one blank before and the line's end behind; the slow twin is `trim`. All
        // blanks are below b' '.
        [b' ', text @ .., b'\r', b'\n'] if text.first() > Some(&b' ') && text.last() > Some(&b' ') => text,
        _ => trim(value),
    }
}

/// Walks over the lines of a message's head, folded ones as one.
pub(super) struct HeadLines<'a> {
    pub(super) rest: &'a [u8],
}

pub(super) enum HeadLine<'a> {
    /// Name without the blanks before the colon, value trimmed.
    Header { name: &'a [u8], value: &'a [u8] },
    /// A line without a colon.
    Other,
    /// The end of the head.
    Empty,
    /// The bytes end within this line.
    Cut(&'a [u8]),
}

impl<'a> HeadLines<'a> {
    /// The value of the next line when it begins with this name and a colon; `None`, and nothing
    /// passed over, otherwise.
    #[inline]
    fn next_called(&mut self, name: &str) -> Option<&'a [u8]> {
        let value = value_of(self.rest, name)?;
        let (value, after) = value.split_at(line_len(value)?);
        self.rest = after;
        Some(trim_line(value))
    }

    /// `None` at the end of the bytes.
    pub(super) fn next_line(&mut self) -> Option<HeadLine<'a>> {
        let text = self.rest;
        if text.is_empty() {
            return None;
        }
        if is_end(text) {
            return Some(HeadLine::Empty);
        }
        let Some(length) = line_len(text) else {
            self.rest = &[];
            return Some(HeadLine::Cut(text));
        };
        let (line, rest) = text.split_at(length);
        self.rest = rest;
        Some(match split_line(line) {
            Some((name, value)) => HeadLine::Header { name, value: trim_line(value) },
            None => HeadLine::Other,
        })
    }
}
