//! Views over the bytes of a received message: one pass, no copy, liberal in what it accepts.
//!
//! Accepted beyond the strict grammar: empty lines before the message (RFC 3261 §7.5), lone LF line ends, compact and oddly
//! cased names, blanks before colons, folded values, no reason phrase, several blanks in the start line. A header line
//! without a colon is passed over like an unknown header ("SHOULD ignore any malformed header fields that are not necessary
//! for processing requests", RFC 3261 §8.2.2). Of a header that may stand only once the first counts. The empty line that
//! ends the headers may be missing from a datagram when its last line is complete and the mandatory headers are there: some
//! senders forget it, and the length of the datagram says as much. What follows the empty line is the body; only `auth-int` asks for it.
//!
//! Not here: what header values mean ([`challenge`](super::challenge), [`contact`](super::contact)), framing of streams.
//!
//! Read first: RFC 3261 §7, §8.1.1, §25.1.

use super::branch::Branch;
use super::fields::{Params, find_unquoted, is_blank, number, short_number, skip_blanks, token_len, trim};
use super::search::{LineFeeds, Start, find};
use memchr::memchr;
use std::ops::Range;

/// Why bytes are not a SIP message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    #[error("the start line is not that of a SIP message")]
    StartLine,
    #[error("a mandatory header (Via, From, To, Call-ID, CSeq) is missing")]
    MissingHeader,
    #[error("a mandatory header has an unreadable value")]
    Header,
    #[error("the message ends before its headers do")]
    Truncated,
}

/// A response as the client needs it. All slices borrow from the datagram; folded values still contain their line
/// breaks (the parsers of this room treat CR LF followed by a blank as a blank).
#[derive(Clone, Debug)]
pub struct Response<'a> {
    /// 100–699.
    pub code: u16,
    pub reason: &'a [u8],
    /// `branch` of the topmost Via; empty when it has none.
    pub branch: &'a [u8],
    pub from: &'a [u8],
    pub to: &'a [u8],
    pub call_id: &'a [u8],
    pub cseq: u32,
    pub cseq_method: &'a [u8],
    /// Values of `Expires`, `Min-Expires` and `Retry-After` in seconds where present and readable; one too large for
    /// 32 bits is the greatest.
    pub expires: Option<u32>,
    pub min_expires: Option<u32>,
    pub retry_after: Option<u32>,
    via: &'a [u8],
    headers: Headers<'a>,
}

/// What a response's topmost Via says of the sender: ourselves, as others saw us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Via<'a> {
    /// `host[:port]` as it came back; empty when the value cannot be read.
    pub sent_by: &'a [u8],
    /// Where the request really came from (RFC 3261 §18.2.1), where a server said so.
    pub received: Option<&'a [u8]>,
    /// The port it came from (RFC 3581 §4).
    pub rport: Option<&'a [u8]>,
}

/// A request as the registrar needs it.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub method: &'a [u8],
    pub uri: &'a [u8],
    /// `branch` of the topmost Via; empty when it has none.
    pub branch: &'a [u8],
    pub from: &'a [u8],
    pub to: &'a [u8],
    pub call_id: &'a [u8],
    pub cseq: u32,
    /// The method that `CSeq` names; one that differs from [`Request::method`] deserves a 400 (RFC 3261 §8.1.1.5).
    pub cseq_method: &'a [u8],
    /// `Expires` in seconds, as in [`Response::expires`].
    pub expires: Option<u32>,
    headers: Headers<'a>,
}

/// Scans a response.
///
/// # Errors
/// When the start line, a mandatory header or the end of the headers is missing.
pub fn response(bytes: &[u8]) -> Result<Response<'_>, Malformed> {
    let (line, rest) = start_line(bytes)?;
    let (code, reason) = status_line(line).ok_or(Malformed::StartLine)?;
    let fields = Known::read(rest)?;
    let (cseq, cseq_method) = fields.cseq()?;
    Ok(Response {
        code,
        reason,
        branch: branch(fields.via),
        from: fields.from,
        to: fields.to,
        call_id: fields.call_id,
        cseq,
        cseq_method,
        expires: fields.expires,
        min_expires: fields.min_expires,
        retry_after: fields.retry_after,
        via: fields.via,
        headers: fields.headers,
    })
}

/// Scans a request.
///
/// # Errors
/// As [`response`].
pub fn request(bytes: &[u8]) -> Result<Request<'_>, Malformed> {
    let (line, rest) = start_line(bytes)?;
    let (method, uri) = request_line(line).ok_or(Malformed::StartLine)?;
    let fields = Known::read(rest)?;
    let (cseq, cseq_method) = fields.cseq()?;
    Ok(Request {
        method,
        uri,
        branch: branch(fields.via),
        from: fields.from,
        to: fields.to,
        call_id: fields.call_id,
        cseq,
        cseq_method,
        expires: fields.expires,
        headers: fields.headers,
    })
}

/// The `branch` of the topmost Via of a request or response that may be cut off (an ICMP error returns only the
/// beginning of what was sent).
///
/// A branch at the very end of the bytes may be half a branch, so it does not count.
pub fn branch_of(bytes: &[u8]) -> Option<&[u8]> {
    let start = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n'))?;
    let after_start_line = start + memchr(b'\n', &bytes[start..])? + 1;
    let mut lines = Lines { rest: &bytes[after_start_line..] };
    while let Some(line) = lines.next_line() {
        let via = match line {
            Line::Header { name, value } if Name::of(name) == Name::Via => value,
            Line::Cut(text) => {
                let colon = memchr(b':', text)?;
                if Name::of(trim(&text[..colon])) != Name::Via {
                    return None;
                }
                // Kept untrimmed: the last byte must stay visible as the place of the cut.
                &text[colon + 1..]
            }
            Line::Header { .. } | Line::Other => continue,
            Line::Empty => return None,
        };
        let branch = branch(via);
        let cut = branch.as_ptr_range().end == bytes.as_ptr_range().end;
        return (!branch.is_empty() && !cut).then_some(branch);
    }
    None
}

impl<'a> Response<'a> {
    /// The topmost Via: `sent-protocol LWS sent-by *( SEMI via-params )` (RFC 3261 §25.1).
    pub fn topmost_via(&self) -> Via<'a> {
        Via::read(self.via, self.branch)
    }

    /// Whether the topmost Via is as nearly every server returns one that was written with `sent_by`: nothing but the
    /// `rport` that was asked for (RFC 3581 §4) and `host` as the address it came from stand behind its branch. What any
    /// other says tells [`topmost_via`](Self::topmost_via).
    pub fn via_is_ours(&self, sent_by: &[u8], host: &[u8]) -> bool {
        let params = || {
            let via = self.via.strip_prefix(b"SIP/2.0/")?;
            let via = via.strip_prefix(b"UDP ").or_else(|| via.strip_prefix(b"TCP "))?;
            via.strip_prefix(sent_by)?.strip_prefix(b";branch=")?.strip_prefix(self.branch)
        };
        params().is_some_and(|params| is_origin(params, host))
    }

    /// Whether it has an `Authentication-Info`, or a proxy's.
    pub(super) fn has_info(&self) -> bool {
        !self.headers.infos.is_empty()
    }

    /// The values of all headers called `name` (long form, any case; compact names are matched too), in order.
    #[inline]
    pub fn headers(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.headers.called(name)
    }
}

impl<'a> Via<'a> {
    /// Reads a value of which the branch is known.
    fn read(value: &'a [u8], branch: &[u8]) -> Self {
        let (head, mut params) = via_parts(value);
        // As nearly everybody writes it, the branch comes first, and need not be read again.
        if let Some(behind) = params.rest().strip_prefix(b";branch=").and_then(|text| text.strip_prefix(branch)) {
            params = Params::new(behind);
        }
        let head = trim(head);
        let sent_by = head.iter().rposition(|&b| is_blank(b)).map_or(&head[..0], |blank| &head[blank + 1..]);
        // Of a repeated parameter the first counts.
        let (mut received, mut rport) = (None, None);
        for param in params {
            if param.is("received") {
                received.get_or_insert(param.value());
            } else if param.is("rport") {
                rport.get_or_insert(param.value());
            }
        }
        let given = |value: Option<Option<&'a [u8]>>| value.flatten().filter(|value| !value.is_empty());
        Via { sent_by, received: given(received), rport: given(rport) }
    }
}

/// Whether Via parameters are nothing but an `rport` of digits and `host` as `received`, where they are anything.
fn is_origin(mut params: &[u8], host: &[u8]) -> bool {
    while !params.is_empty() {
        let behind = match params.strip_prefix(b";rport=") {
            Some(port) => port.iter().position(|b| !b.is_ascii_digit()).map(|end| &port[end..]),
            None => match params.strip_prefix(b";received=").and_then(|address| address.strip_prefix(host)) {
                Some(behind) => Some(behind),
                None => return false,
            },
        };
        params = behind.unwrap_or_default();
    }
    true
}

impl<'a> Request<'a> {
    /// The topmost Via: who sent this request over the last hop.
    pub fn topmost_via(&self) -> Via<'a> {
        Via::read(self.headers("Via").next().unwrap_or_default(), self.branch)
    }

    /// As [`Response::headers`].
    pub fn headers(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.headers.called(name)
    }

    /// The body: what follows the empty line, as far as Content-Length says (RFC 3261 §18.3: "additional bytes in the
    /// transport packet beyond the end of the body" are discarded). Walks over all headers.
    pub fn body(&self) -> &'a [u8] {
        let mut lines = Lines { rest: self.headers.all };
        while matches!(lines.next_line(), Some(Line::Header { .. } | Line::Other)) {}
        let line_end = if lines.rest.starts_with(b"\r") { 2 } else { 1 };
        let body = lines.rest.get(line_end..).unwrap_or_default();
        let length = self.headers("Content-Length").find_map(number).map_or(body.len(), |length| length as usize);
        &body[..length.min(body.len())]
    }
}

/// Splits the topmost Via off a Via value: what stands before its parameters, and the parameters with what follows.
pub(super) fn via_parts(via: &[u8]) -> (&[u8], Params<'_>) {
    let end = find_unquoted(via, b';', b',');
    (&via[..end], Params::new(&via[end..]))
}

fn branch(via: &[u8]) -> &[u8] {
    let (head, params) = via_parts(via);
    // As nearly everybody writes it: first of the parameters, a token.
    if let Some(value) = via[head.len()..].strip_prefix(b";branch=") {
        let ends = |b: Option<&u8>| b.is_none_or(|&b| matches!(b, b';' | b',') || is_blank(b));
        // As long as those of this crate, which are letters and digits.
        if let Some((own, rest)) = value.split_first_chunk::<{ Branch::LEN }>()
            && is_alphanumeric(own)
        {
            // What may make it longer.
            let filler = rest.iter().take_while(|&&b| b == Branch::FILLER).count();
            if ends(rest.get(filler)) {
                return &value[..Branch::LEN + filler];
            }
        }
        let (token, rest) = value.split_at(token_len(value));
        if !token.is_empty() && ends(rest.first()) {
            return token;
        }
    }
    params.value("branch").unwrap_or_default()
}

fn is_alphanumeric(text: &[u8; Branch::LEN]) -> bool {
    // The halves overlap, so that each is of a size the compiler can compare at once.
    let half = |half: &[u8; 16]| half.iter().fold(true, |all, b| all & b.is_ascii_alphanumeric());
    text.first_chunk().is_some_and(half) && text.last_chunk().is_some_and(half)
}

/// The lines of a message's head. Of the names that every registration asks for again the lines from the first to the
/// last are kept apart, so that reading a challenge or the contacts does not walk over the other headers once more.
#[derive(Clone, Copy, Debug)]
struct Headers<'a> {
    all: &'a [u8],
    challenges: &'a [u8],
    contacts: &'a [u8],
    infos: &'a [u8],
}

impl<'a> Headers<'a> {
    #[inline]
    fn called(self, name: &'static str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (rest, compact) = match Name::of(name.as_bytes()) {
            Name::Challenge => (self.challenges, None),
            Name::Contact => (self.contacts, Some(b'm')),
            Name::Info => (self.infos, None),
            _ => (self.all, compact_of(name)),
        };
        let mut lines = Lines { rest };
        std::iter::from_fn(move || {
            if let Some(value) = lines.next_called(name) {
                return Some(value);
            }
            loop {
                match lines.next_line()? {
                    Line::Header { name: found, value }
                        if found == name.as_bytes()
                            || found.eq_ignore_ascii_case(name.as_bytes())
                            || matches!((found, compact), ([one], Some(short)) if one.eq_ignore_ascii_case(&short)) =>
                    {
                        return Some(value);
                    }
                    Line::Header { .. } | Line::Other => {}
                    Line::Empty | Line::Cut(_) => return None,
                }
            }
        })
    }
}

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

/// The headers that every registration needs, by what is done with them; first those of which the first alone counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Name {
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

impl Name {
    /// Compares with at most two names: those of the same length.
    #[inline]
    fn of(name: &[u8]) -> Name {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match name.len() {
            1 => match name[0] | 0x20 {
                b'v' => Name::Via,
                b'f' => Name::From,
                b't' => Name::To,
                b'i' => Name::CallId,
                b'm' => Name::Contact,
                _ => Name::Other,
            },
            2 if is(b"To") => Name::To,
            3 if is(b"Via") => Name::Via,
            4 if is(b"From") => Name::From,
            4 if is(b"CSeq") => Name::CSeq,
            7 if is(b"Call-ID") => Name::CallId,
            7 if is(b"Contact") => Name::Contact,
            7 if is(b"Expires") => Name::Expires,
            11 if is(b"Min-Expires") => Name::MinExpires,
            11 if is(b"Retry-After") => Name::RetryAfter,
            16 if is(b"WWW-Authenticate") => Name::Challenge,
            18 if is(b"Proxy-Authenticate") => Name::Challenge,
            19 if is(b"Authentication-Info") => Name::Info,
            25 if is(b"Proxy-Authentication-Info") => Name::Info,
            _ => Name::Other,
        }
    }
}

/// What the one pass over the head gathers.
struct Known<'a> {
    via: &'a [u8],
    from: &'a [u8],
    to: &'a [u8],
    call_id: &'a [u8],
    cseq: &'a [u8],
    expires: Option<u32>,
    min_expires: Option<u32>,
    retry_after: Option<u32>,
    headers: Headers<'a>,
}

impl<'a> Known<'a> {
    /// Inlined, so that a response is put together in place and not copied.
    #[inline(always)]
    fn read(rest: &'a [u8]) -> Result<Self, Malformed> {
        let mut gathered = Gathered::default();
        let complete = gathered.usual_head(rest) || {
            gathered = Gathered::default();
            gathered.any_head(rest)?
        };
        let [Some(via), Some(from), Some(to), Some(call_id), Some(cseq)] = gathered.single else {
            return Err(if complete { Malformed::MissingHeader } else { Malformed::Truncated });
        };
        let Gathered { expires, min_expires, retry_after, challenges, contacts, infos, .. } = gathered;
        let headers =
            Headers { all: rest, challenges: challenges.of(rest), contacts: contacts.of(rest), infos: infos.of(rest) };
        Ok(Known { via, from, to, call_id, cseq, expires, min_expires, retry_after, headers })
    }

    /// RFC 3261 §20.16: "a single decimal sequence number and the request method". §8.1.1.5 keeps it below 2³¹; up to
    /// 2³²-1 is let pass, more is unreadable, since a saturated number would match nobody's request.
    #[inline]
    fn cseq(&self) -> Result<(u32, &'a [u8]), Malformed> {
        // As nearly everybody echoes ours.
        if let Some((number, behind)) = short_number(self.cseq)
            && behind == b" REGISTER"
        {
            return Ok((number, &behind[1..]));
        }
        self.any_cseq()
    }

    fn any_cseq(&self) -> Result<(u32, &'a [u8]), Malformed> {
        let (mut rest, mut number, mut digits) = (self.cseq, 0u32, 0);
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
}

/// What the lines so far say.
#[derive(Default)]
struct Gathered<'a> {
    /// Headers of which the first counts, by [`Name`]: Via, From, To, Call-ID, CSeq.
    single: [Option<&'a [u8]>; SINGLE],
    expires: Option<u32>,
    min_expires: Option<u32>,
    retry_after: Option<u32>,
    challenges: Span,
    contacts: Span,
    infos: Span,
}

impl<'a> Gathered<'a> {
    /// Reads a head of which no line is folded, with the empty line at its end; false for any other, which is to be read
    /// by [`any_head`](Self::any_head).
    #[inline(always)]
    fn usual_head(&mut self, rest: &'a [u8]) -> bool {
        let mut feeds = LineFeeds::of(rest);
        let mut start = 0;
        while let Some(head) = rest[start..].first_chunk() {
            let head = u64::from_le_bytes(*head);
            let is = |start: Start| start.begins(head);
            let known = match head as u8 {
                b'V' if is(Start::of(b"Via:")) => Some((Name::Via, 4)),
                b'F' if is(Start::of(b"From:")) => Some((Name::From, 5)),
                b'T' if is(Start::of(b"To:")) => Some((Name::To, 3)),
                b'C' if is(Start::of(b"Call-ID:")) => Some((Name::CallId, 8)),
                b'C' if is(Start::of(b"CSeq:")) => Some((Name::CSeq, 5)),
                b'C' if is(Start::of(b"Contact:")) => Some((Name::Contact, 8)),
                b'E' if is(Start::of(b"Expires:")) => Some((Name::Expires, 8)),
                b'\r' | b'\n' => return is_end(&rest[start..]),
                b' ' | b'\t' => return false,
                _ => None,
            };
            let Some(feed) = feeds.next() else { return false };
            let from = std::mem::replace(&mut start, feed + 1);
            match known {
                Some((name, behind)) if (name as usize) < SINGLE => {
                    self.single[name as usize].get_or_insert(trim_line(&rest[from + behind..=feed]));
                }
                Some((name, behind)) => self.add(name, rest, from..start, behind),
                None => {
                    if let Some((name, behind)) = name_of(&rest[from..start]) {
                        self.add(name, rest, from..start, behind);
                    }
                }
            }
        }
        is_end(&rest[start..])
    }

    /// Reads any head; whether the empty line at its end is there.
    fn any_head(&mut self, rest: &'a [u8]) -> Result<bool, Malformed> {
        let mut at = 0;
        loop {
            let text = &rest[at..];
            if text.is_empty() || is_end(text) {
                return Ok(!text.is_empty());
            }
            let line = at..at + line_len(text).ok_or(Malformed::Truncated)?;
            at = line.end;
            if let Some((name, behind)) = name_of(&rest[line.clone()]) {
                self.add(name, rest, line, behind);
            }
        }
    }

    /// A line of the head `rest`, whose value begins `behind` its beginning.
    fn add(&mut self, name: Name, rest: &'a [u8], line: Range<usize>, behind: usize) {
        let value = &rest[line.start + behind..line.end];
        match name {
            Name::Via | Name::From | Name::To | Name::CallId | Name::CSeq => {
                self.single[name as usize].get_or_insert(trim_line(value));
            }
            Name::Challenge => self.challenges.add(line),
            Name::Contact => self.contacts.add(line),
            Name::Info => self.infos.add(line),
            Name::Expires => self.expires = self.expires.or_else(|| number(value)),
            Name::MinExpires => self.min_expires = self.min_expires.or_else(|| number(value)),
            Name::RetryAfter => self.retry_after = self.retry_after.or_else(|| number(value)),
            Name::Other => {}
        }
    }
}

/// Names of which the first header counts: the first of [`Name`].
const SINGLE: usize = 5;

/// The lines from the first to the last of one kind.
#[derive(Default)]
struct Span(Range<usize>);

impl Span {
    fn add(&mut self, line: Range<usize>) {
        let first = if self.0.is_empty() { line.start } else { self.0.start };
        self.0 = first..line.end;
    }

    fn of(self, text: &[u8]) -> &[u8] {
        &text[self.0]
    }
}

/// Whether the empty line that ends a head stands here.
fn is_end(text: &[u8]) -> bool {
    matches!(text, [b'\n', ..] | [b'\r', b'\n', ..])
}

/// Length of the line at the beginning of `text` with its end, folded ones as one; `None` when the bytes end within it.
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

/// What header a line is, and where its value begins; `None` for one that nobody looks for, or without a colon.
#[inline]
fn name_of(line: &[u8]) -> Option<(Name, usize)> {
    // No name that is looked for begins otherwise, and none begins like Content-Length.
    match line.first()? | 0x20 {
        b'w' if line.starts_with(b"WWW-Authenticate:") => Some((Name::Challenge, b"WWW-Authenticate:".len())),
        b'c' if line.starts_with(b"Content-") => None,
        b'v' | b'f' | b't' | b'i' | b'm' | b'c' | b'e' | b'r' | b'w' | b'p' | b'a' => {
            let (name, value) = split_line(line)?;
            Some((Name::of(name), line.len() - value.len()))
        }
        _ => None,
    }
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
        // As nearly everybody writes it; all blanks are below.
        [b' ', text @ .., b'\r', b'\n'] if text.first() > Some(&b' ') && text.last() > Some(&b' ') => text,
        _ => trim(value),
    }
}

/// Walks over the lines of a message's head, folded ones as one.
struct Lines<'a> {
    rest: &'a [u8],
}

enum Line<'a> {
    /// Name without the blanks before the colon, value trimmed.
    Header { name: &'a [u8], value: &'a [u8] },
    /// A line without a colon.
    Other,
    /// The end of the head.
    Empty,
    /// The bytes end within this line.
    Cut(&'a [u8]),
}

impl<'a> Lines<'a> {
    /// The value of the next line when it begins with this name and a colon; `None`, and nothing passed over, otherwise.
    #[inline]
    fn next_called(&mut self, name: &str) -> Option<&'a [u8]> {
        let value = self.rest.strip_prefix(name.as_bytes())?.strip_prefix(b":")?;
        let (value, after) = value.split_at(line_len(value)?);
        self.rest = after;
        Some(trim_line(value))
    }

    /// `None` at the end of the bytes.
    fn next_line(&mut self) -> Option<Line<'a>> {
        let text = self.rest;
        if text.is_empty() {
            return None;
        }
        if is_end(text) {
            return Some(Line::Empty);
        }
        let Some(length) = line_len(text) else {
            self.rest = &[];
            return Some(Line::Cut(text));
        };
        let (line, rest) = text.split_at(length);
        self.rest = rest;
        Some(match split_line(line) {
            Some((name, value)) => Line::Header { name, value: trim_line(value) },
            None => Line::Other,
        })
    }
}

/// The start line without its line end, and what follows it.
fn start_line(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    // RFC 3261 §7.5: "Implementations processing SIP messages over stream-oriented transports MUST ignore any CRLF
    // appearing before the start-line"; the same is harmless in a datagram.
    let start = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')).ok_or(Malformed::StartLine)?;
    let text = &bytes[start..];
    let end = find(text, [b'\n']).ok_or(Malformed::Truncated)?;
    let line = match &text[..end] {
        // As nearly everybody writes it.
        [line @ .., b'\r'] if line.first() > Some(&b' ') && line.last() > Some(&b' ') => line,
        line => trim(line),
    };
    Ok((line, &text[end + 1..]))
}

const VERSION: &[u8] = b"SIP/2.0";

fn is_version(text: &[u8]) -> bool {
    // RFC 3261 §7.1: "The string is case-insensitive, but implementations MUST send upper-case."
    text == VERSION || text.eq_ignore_ascii_case(VERSION)
}

fn status_line(line: &[u8]) -> Option<(u16, &[u8])> {
    let (version, rest) = line.split_at_checked(VERSION.len())?;
    let text = skip_blanks(rest);
    if !is_version(version) || text.len() == rest.len() {
        return None;
    }
    let (digits, reason) = text.split_at_checked(3)?;
    let code = digits.iter().try_fold(0u16, |code, &b| b.is_ascii_digit().then(|| code * 10 + u16::from(b - b'0')))?;
    let delimited = reason.first().is_none_or(|&b| is_blank(b));
    (delimited && (100..700).contains(&code)).then(|| (code, skip_blanks(reason)))
}

fn request_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (method, rest) = line.split_at(token_len(line));
    let (middle, version) = rest.split_at_checked(rest.len().checked_sub(VERSION.len())?)?;
    let uri = trim(middle);
    let blanks_around = middle.first().copied().is_some_and(is_blank) && middle.last().copied().is_some_and(is_blank);
    // A blank inside the Request-URI leaves open where it ends (RFC 4475 §3.1.2.8).
    let sound = !method.is_empty() && !uri.is_empty() && !uri.iter().copied().any(is_blank);
    (sound && blanks_around && is_version(version)).then_some((method, uri))
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
