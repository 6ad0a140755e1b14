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
use super::search::{LineFeeds, Start, find, is_undivided, skip};
use memchr::memchr;

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
    pub cseq: u32,
    pub cseq_method: &'a [u8],
    via: &'a [u8],
    head: Head<'a>,
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
    head: Head<'a>,
}

/// Scans a response.
///
/// # Errors
/// When the start line, a mandatory header or the end of the headers is missing.
pub fn response(bytes: &[u8]) -> Result<Response<'_>, Malformed> {
    let (line, rest) = start_line(bytes)?;
    let (code, reason) = usual_status_line(line).or_else(|| status_line(trim(line))).ok_or(Malformed::StartLine)?;
    let mut head = Head::of(rest.text, rest.start);
    head.read(rest.feeds)?;
    let (cseq, cseq_method) = head.cseq()?;
    let via = head.first(Name::Via);
    Ok(Response { code, reason, branch: branch(via), cseq, cseq_method, via, head })
}

/// Scans a request.
///
/// # Errors
/// As [`response`].
pub fn request(bytes: &[u8]) -> Result<Request<'_>, Malformed> {
    let (line, rest) = start_line(bytes)?;
    let (method, uri) = request_line(trim(line)).ok_or(Malformed::StartLine)?;
    let mut head = Head::of(rest.text, rest.start);
    head.read(rest.feeds)?;
    let (cseq, cseq_method) = head.cseq()?;
    Ok(Request {
        method,
        uri,
        branch: branch(head.first(Name::Via)),
        from: head.first(Name::From),
        to: head.first(Name::To),
        call_id: head.first(Name::CallId),
        cseq,
        cseq_method,
        expires: head.expires,
        head,
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
    /// The value of `From`: there always, but told apart only for those who look at it; so are the next two.
    pub fn from(&self) -> &'a [u8] {
        self.head.first(Name::From)
    }

    pub fn to(&self) -> &'a [u8] {
        self.head.first(Name::To)
    }

    pub fn call_id(&self) -> &'a [u8] {
        self.head.first(Name::CallId)
    }

    /// The value of `Expires` in seconds where present and readable; one too large for 32 bits is the greatest. So are the
    /// next two.
    pub fn expires(&self) -> Option<u32> {
        self.head.expires
    }

    pub fn min_expires(&self) -> Option<u32> {
        self.head.min_expires
    }

    pub fn retry_after(&self) -> Option<u32> {
        self.head.retry_after
    }

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

    /// The value of the header called `name` where that stands alone, as nearly everybody writes a challenge.
    #[inline(always)]
    pub(super) fn only(&self, name: &'static str) -> Option<&'a [u8]> {
        self.head.only(name)
    }

    /// Whether it has an `Authentication-Info`, or a proxy's.
    pub(super) fn has_info(&self) -> bool {
        self.head.infos.count > 0
    }

    /// The values of all headers called `name` (long form, any case; compact names are matched too), in order.
    #[inline(always)]
    pub fn headers(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.head.called(name)
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
        self.head.called(name)
    }

    /// The body: what follows the empty line, as far as Content-Length says (RFC 3261 §18.3: "additional bytes in the
    /// transport packet beyond the end of the body" are discarded). Walks over all headers.
    pub fn body(&self) -> &'a [u8] {
        let mut lines = Lines { rest: self.head.lines() };
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
    // As nearly everybody writes it: first of the parameters; as long as those of this crate, and of no characters but
    // those that say nothing of where it ends.
    let params = &via[find(via, *b";,\"").unwrap_or(via.len())..];
    if let Some(value) = params.strip_prefix(b";branch=")
        && let Some((own, rest)) = value.split_first_chunk::<{ Branch::LEN }>()
        // The halves overlap, so that each is a vector.
        && own.first_chunk().is_some_and(is_undivided)
        && own.last_chunk().is_some_and(is_undivided)
    {
        // What may make it longer.
        let behind = skip(rest, Branch::FILLER);
        if behind.first().is_none_or(|&b| matches!(b, b';' | b',') || is_blank(b)) {
            return &value[..value.len() - behind.len()];
        }
    }
    any_branch(via)
}

#[cold]
fn any_branch(via: &[u8]) -> &[u8] {
    via_parts(via).1.value("branch").unwrap_or_default()
}

/// The lines of a message's head, and where those stand that every registration asks for.
///
/// Of the names that may stand several times the lines from the first to the last are kept apart, so that reading a
/// challenge or the contacts does not walk over the other headers once more.
#[derive(Clone, Copy, Debug)]
struct Head<'a> {
    /// With the start line before them.
    text: &'a [u8],
    /// Where they begin.
    start: u32,
    /// Values of the headers of which the first counts, with the line's end, by [`Name`]: Via, From, To, Call-ID, CSeq.
    first: [Place; SINGLE],
    challenges: Kin,
    contacts: Kin,
    infos: Kin,
    expires: Option<u32>,
    min_expires: Option<u32>,
    retry_after: Option<u32>,
}

/// From where to where in the lines of a head something stands.
#[derive(Clone, Copy, Default, Debug)]
struct Place {
    start: u32,
    end: u32,
}

impl Place {
    /// [`Head`] holds fewer bytes than a place may count.
    const fn new(start: usize, end: usize) -> Place {
        Place { start: start as u32, end: end as u32 }
    }

    const fn is_missing(self) -> bool {
        self.end == 0
    }

    fn of(self, text: &[u8]) -> &[u8] {
        &text[self.start as usize..self.end as usize]
    }
}

/// The lines of one name, and what stands between them.
#[derive(Clone, Copy, Default, Debug)]
struct Kin {
    place: Place,
    /// How many they are.
    count: u32,
}

impl Kin {
    fn add(&mut self, line: Place) {
        let start = if self.count == 0 { line.start } else { self.place.start };
        *self = Kin { place: Place { start, end: line.end }, count: self.count + 1 };
    }
}

/// Names of which the first header counts: the first of [`Name`].
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

impl<'a> Head<'a> {
    /// One of which nothing is read.
    #[inline(always)]
    fn of(text: &'a [u8], start: usize) -> Self {
        Head {
            text,
            start: start as u32,
            first: [Place::default(); SINGLE],
            challenges: Kin::default(),
            contacts: Kin::default(),
            infos: Kin::default(),
            expires: None,
            min_expires: None,
            retry_after: None,
        }
    }

    /// Reads what it was not read of yet.
    #[inline(always)]
    fn read(&mut self, feeds: LineFeeds<'a>) -> Result<(), Malformed> {
        // No header of a SIP message lies so far behind.
        if self.text.len() > u32::MAX as usize {
            return Err(Malformed::Truncated);
        }
        let complete = self.usual_lines(feeds) || self.any_lines()?;
        if self.first.iter().any(|place| place.is_missing()) {
            return Err(if complete { Malformed::MissingHeader } else { Malformed::Truncated });
        }
        Ok(())
    }

    fn lines(&self) -> &'a [u8] {
        &self.text[self.start as usize..]
    }

    /// Reads a head of which no line is folded, with the empty line at its end; false for any other, which is to be read
    /// by [`any_lines`](Self::any_lines).
    #[inline(always)]
    fn usual_lines(&mut self, mut feeds: LineFeeds<'a>) -> bool {
        let text = self.text;
        let mut start = self.start as usize;
        while let Some(head) = text[start..].first_chunk() {
            let head = u64::from_le_bytes(*head);
            let is = |start: Start| start.begins(head);
            let Some(feed) = feeds.next() else { return false };
            let line = Place::new(start, feed + 1);
            start = feed + 1;
            match head as u8 {
                b'V' if is(Start::of(b"Via:")) => self.put_first(Name::Via, line, 4),
                b'F' if is(Start::of(b"From:")) => self.put_first(Name::From, line, 5),
                b'T' if is(Start::of(b"To:")) => self.put_first(Name::To, line, 3),
                b'C' if is(Start::of(b"Call-ID:")) => self.put_first(Name::CallId, line, 8),
                b'C' if is(Start::of(b"CSeq:")) => self.put_first(Name::CSeq, line, 5),
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

    /// Reads any head; whether the empty line at its end is there.
    fn any_lines(&mut self) -> Result<bool, Malformed> {
        let mut at = self.start as usize;
        *self = Head::of(self.text, at);
        loop {
            let text = &self.text[at..];
            if text.is_empty() || is_end(text) {
                return Ok(!text.is_empty());
            }
            let end = at + line_len(text).ok_or(Malformed::Truncated)?;
            self.put(Place::new(at, end));
            at = end;
        }
    }

    /// Takes up a line, if it is one that somebody looks for.
    #[inline(never)]
    fn put(&mut self, line: Place) {
        if let Some((name, behind)) = name_of(line.of(self.text)) {
            self.put_named(name, line, behind as u32);
        }
    }

    /// Takes up a line of this name, whose value begins `behind` its beginning.
    fn put_named(&mut self, name: Name, line: Place, behind: u32) {
        let number = || number(Place { start: line.start + behind, ..line }.of(self.text));
        match name {
            Name::Via | Name::From | Name::To | Name::CallId | Name::CSeq => self.put_first(name, line, behind),
            Name::Challenge => self.challenges.add(line),
            Name::Contact => self.contacts.add(line),
            Name::Info => self.infos.add(line),
            Name::Expires => self.expires = self.expires.or_else(number),
            Name::MinExpires => self.min_expires = self.min_expires.or_else(number),
            Name::RetryAfter => self.retry_after = self.retry_after.or_else(number),
            Name::Other => {}
        }
    }

    /// The same for a name of which the first header counts.
    #[inline(always)]
    fn put_first(&mut self, name: Name, line: Place, behind: u32) {
        let first = &mut self.first[name as usize];
        if first.is_missing() {
            *first = Place { start: line.start + behind, end: line.end };
        }
    }

    /// The value of a header of which the first counts.
    fn first(&self, name: Name) -> &'a [u8] {
        trim_line(self.first[name as usize].of(self.text))
    }

    /// RFC 3261 §20.16: "a single decimal sequence number and the request method". §8.1.1.5 keeps it below 2³¹; up to
    /// 2³²-1 is let pass, more is unreadable, since a saturated number would match nobody's request.
    #[inline]
    fn cseq(&self) -> Result<(u32, &'a [u8]), Malformed> {
        // As nearly everybody echoes ours.
        if let [b' ', text @ .., b'\r', b'\n'] = self.first[Name::CSeq as usize].of(self.text)
            && let Some((number, behind)) = short_number(text)
            && behind == b" REGISTER"
        {
            return Ok((number, &behind[1..]));
        }
        self.any_cseq()
    }

    #[cold]
    fn any_cseq(&self) -> Result<(u32, &'a [u8]), Malformed> {
        let (mut rest, mut number, mut digits) = (self.first(Name::CSeq), 0u32, 0);
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

    /// The value of the only header of its kind, when it is called `name` to the letter; `None` also for a kind whose lines
    /// are not kept apart.
    #[inline(always)]
    fn only(&self, name: &'static str) -> Option<&'a [u8]> {
        let kin = match Name::of(name.as_bytes()) {
            Name::Challenge => self.challenges,
            Name::Contact => self.contacts,
            Name::Info => self.infos,
            _ => return None,
        };
        if kin.count == 1 { value_of(kin.place.of(self.text), name).map(trim_line) } else { None }
    }

    /// The values of all headers called `name`.
    #[inline(always)]
    fn called(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut only = self.only(name);
        let (rest, compact) = match Name::of(name.as_bytes()) {
            Name::Challenge => (self.challenges.place.of(self.text), None),
            Name::Contact => (self.contacts.place.of(self.text), Some(b'm')),
            Name::Info => (self.infos.place.of(self.text), None),
            _ => (self.lines(), compact_of(name)),
        };
        let mut lines = Lines { rest: if only.is_some() { &[] } else { rest } };
        std::iter::from_fn(move || {
            if let Some(value) = only.take() {
                return Some(value);
            }
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
        let value = value_of(self.rest, name)?;
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

/// The start line without its line feed, and what follows it.
#[inline(always)]
fn start_line(bytes: &[u8]) -> Result<(&[u8], Rest<'_>), Malformed> {
    let text = match bytes {
        [b'\r' | b'\n', ..] => skip_empty_lines(bytes),
        _ => bytes,
    };
    let mut feeds = LineFeeds::of(text);
    match feeds.next() {
        Some(end) => Ok((&text[..end], Rest { text, start: end + 1, feeds })),
        None if text.is_empty() => Err(Malformed::StartLine),
        None => Err(Malformed::Truncated),
    }
}

/// RFC 3261 §7.5: "Implementations processing SIP messages over stream-oriented transports MUST ignore any CRLF appearing
/// before the start-line"; the same is harmless in a datagram.
#[cold]
fn skip_empty_lines(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
    &bytes[start..]
}

/// What follows a start line.
struct Rest<'a> {
    /// With the start line.
    text: &'a [u8],
    /// Where the start line ends.
    start: usize,
    /// The line feeds behind it.
    feeds: LineFeeds<'a>,
}

const VERSION: &[u8] = b"SIP/2.0";

fn is_version(text: &[u8]) -> bool {
    // RFC 3261 §7.1: "The string is case-insensitive, but implementations MUST send upper-case."
    text == VERSION || text.eq_ignore_ascii_case(VERSION)
}

/// A status line as nearly everybody writes it.
#[inline]
fn usual_status_line(line: &[u8]) -> Option<(u16, &[u8])> {
    let text = line.strip_prefix(b"SIP/2.0 ")?;
    let ([hundreds @ b'1'..=b'6', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b' '], reason) = text.split_first_chunk()?
    else {
        return None;
    };
    let code = [hundreds, tens, ones].into_iter().fold(0, |code, &digit| code * 10 + u16::from(digit - b'0'));
    match reason {
        [reason @ .., b'\r'] if reason.first() > Some(&b' ') && reason.last() > Some(&b' ') => Some((code, reason)),
        _ => None,
    }
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
