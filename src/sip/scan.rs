//! Views over the bytes of a received message: one pass, no copy, liberal in what it accepts.
//!
//! Accepted beyond the strict grammar: empty lines before the message (RFC 3261 §7.5), lone LF line
//! ends, compact and oddly cased names, blanks before colons, folded values, no reason phrase,
//! several blanks in the start line. A header line without a colon is passed over like an unknown
//! header ("SHOULD ignore any malformed header fields that are not necessary for processing
//! requests", RFC 3261 §8.2.2). If a header that may appear only once is repeated, the first
//! counts. The empty line that ends the headers may be missing from a datagram when its last line
//! is complete and the mandatory headers are there: some senders forget it, and the length of the
//! datagram says as much. What follows the empty line is the body; only `auth-int` asks for it.
//!
//! Not here: what header values mean ([`challenge`](super::challenge),
//! [`contact`](super::contact)), framing of streams.
//!
//! Read first: RFC 3261 §7, §8.1.1, §25.1.

mod head;

use super::branch::Branch;
use super::fields::{Params, find_unquoted, is_blank, skip_blanks, token_len, trim};
use super::search::{LineFeeds, find, is_undivided, skip};
use head::{Head, HeadLine, HeadLines, HeaderName, Rest};
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

/// A response as the client needs it. All slices borrow from the datagram; folded values still
/// contain their line breaks (the parsers of this room treat CR LF followed by a blank as a blank).
#[derive(Clone, Debug)]
pub struct Response<'a> {
    /// 100–699.
    pub code: u16,
    pub reason: &'a [u8],
    /// `branch` of the topmost Via; empty when it has none.
    pub branch: &'a [u8],
    pub cseq: u32,
    pub cseq_method: &'a [u8],
    pub(super) via: &'a [u8],
    head: Head<'a>,
}

impl<'a> Response<'a> {
    /// The message as it came, from its start line on.
    pub fn bytes(&self) -> &'a [u8] {
        self.head.text()
    }
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
    /// The method that `CSeq` names; one that differs from [`Request::method`] deserves a 400 (RFC
    /// 3261 §8.1.1.5).
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
    let (code, reason) = fast_status_line(line).or_else(|| status_line(trim(line))).ok_or(Malformed::StartLine)?;
    let mut head = Head::of(rest.text, rest.start);
    head.read(rest.feeds)?;
    let (cseq, cseq_method) = head.cseq()?;
    let via = head.first(HeaderName::Via);
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
        branch: branch(head.first(HeaderName::Via)),
        from: head.first(HeaderName::From),
        to: head.first(HeaderName::To),
        call_id: head.first(HeaderName::CallId),
        cseq,
        cseq_method,
        expires: head.expires,
        head,
    })
}

/// The `branch` of the topmost Via of a request or response that may be cut off (an ICMP error
/// returns only the beginning of what was sent).
///
/// A branch at the very end of the bytes may be half a branch, so it does not count.
pub fn branch_of(bytes: &[u8]) -> Option<&[u8]> {
    let start = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n'))?;
    let after_start_line = start + memchr(b'\n', &bytes[start..])? + 1;
    let mut lines = HeadLines { rest: &bytes[after_start_line..] };
    while let Some(line) = lines.next_line() {
        let via = match line {
            HeadLine::Header { name, value } if HeaderName::of(name) == HeaderName::Via => value,
            HeadLine::Cut(text) => {
                let colon = memchr(b':', text)?;
                if HeaderName::of(trim(&text[..colon])) != HeaderName::Via {
                    return None;
                }
                // Kept untrimmed: the last byte must stay visible as the place of the cut.
                &text[colon + 1..]
            }
            HeadLine::Header { .. } | HeadLine::Other => continue,
            HeadLine::Empty => return None,
        };
        let branch = branch(via);
        let cut = branch.as_ptr_range().end == bytes.as_ptr_range().end;
        return (!branch.is_empty() && !cut).then_some(branch);
    }
    None
}

impl<'a> Response<'a> {
    /// The value of `From`: there always, but told apart only for those who look at it; so are the
    /// next two.
    pub fn from(&self) -> &'a [u8] {
        self.head.first(HeaderName::From)
    }

    pub fn to(&self) -> &'a [u8] {
        self.head.first(HeaderName::To)
    }

    pub fn call_id(&self) -> &'a [u8] {
        self.head.first(HeaderName::CallId)
    }

    /// The `tag` of To; empty when it has none.
    pub fn to_tag(&self) -> &'a [u8] {
        let to = self.to();
        let params = to.iter().rposition(|&b| b == b'>').map_or(to, |end| &to[end..]);
        Params::new(params).value("tag").unwrap_or_default()
    }

    /// The value of `Expires` in seconds where present and readable; one too large for 32 bits is
    /// the greatest. So are the next two.
    pub fn expires(&self) -> Option<u32> {
        self.head.expires
    }

    pub fn min_expires(&self) -> Option<u32> {
        self.head.min_expires
    }

    pub fn retry_after(&self) -> Option<u32> {
        self.head.retry_after.or_else(|| self.retry_at())
    }

    /// The topmost Via: `sent-protocol LWS sent-by *( SEMI via-params )` (RFC 3261 §25.1).
    pub fn topmost_via(&self) -> Via<'a> {
        Via::read(self.via, self.branch)
    }

    /// The fast path of [`topmost_via`](Self::topmost_via): whether the topmost Via is the one that
    /// was written with `sent_by`, with nothing behind its branch but the `rport` that was asked
    /// for (RFC 3581 §4) and `host` as the address it came from.
    pub fn via_is_ours(&self, sent_by: &[u8], host: &[u8]) -> bool {
        let params = || {
            let via = self.via.strip_prefix(b"SIP/2.0/")?;
            let via = via.strip_prefix(b"UDP ").or_else(|| via.strip_prefix(b"TCP "))?;
            via.strip_prefix(sent_by)?.strip_prefix(b";branch=")?.strip_prefix(self.branch)
        };
        params().is_some_and(|params| is_origin(params, host))
    }

    /// The value of the header called `name` where that stands alone: the fast path of
    /// [`headers`](Self::headers).
    #[inline(always)]
    pub(super) fn only(&self, name: &'static str) -> Option<&'a [u8]> {
        self.head.only(name)
    }

    /// Whether it has an `Authentication-Info`, or a proxy's.
    pub(super) fn has_info(&self) -> bool {
        self.head.has_info()
    }

    /// Name and value of every header, in order. Walks over the whole head.
    pub fn walk(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.head.walk()
    }

    /// As [`Request::body`].
    pub fn body(&self) -> &'a [u8] {
        self.head.body()
    }

    /// The values of all headers called `name` (long form, any case; compact names are matched
    /// too), in order.
    #[inline(always)]
    pub fn headers(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.head.called(name)
    }
}

impl<'a> Via<'a> {
    /// Reads a value of which the branch is known.
    fn read(value: &'a [u8], branch: &[u8]) -> Self {
        let (head, mut params) = via_parts(value);
        // The fast path: a branch that comes first is known already, and need not be read again.
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

/// Whether Via parameters are nothing but an `rport` of digits and `host` as `received`, where they
/// are anything.
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

    /// Name and value of every header, in order.
    pub fn every_header(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.head.walk()
    }

    /// The body, empty where there is none.
    pub fn body(&self) -> &'a [u8] {
        self.head.body()
    }
}

/// Splits the topmost Via off a Via value: what stands before its parameters, and the parameters
/// with what follows.
pub(super) fn via_parts(via: &[u8]) -> (&[u8], Params<'_>) {
    let end = find_unquoted(via, b';', b',');
    (&via[..end], Params::new(&via[end..]))
}

fn branch(via: &[u8]) -> &[u8] {
    // The fast path for a branch of ours, echoed first of the parameters: as long as those of this
    // crate, and of no characters but those that say nothing of where it ends. The slow twin is
    // `any_branch`.
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

/// RFC 3261 §7.5: "Implementations processing SIP messages over stream-oriented transports MUST
/// ignore any CRLF appearing before the start-line"; the same is harmless in a datagram.
#[cold]
fn skip_empty_lines(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
    &bytes[start..]
}

const VERSION: &[u8] = b"SIP/2.0";

fn is_version(text: &[u8]) -> bool {
    // RFC 3261 §7.1: "The string is case-insensitive, but implementations MUST send upper-case."
    text == VERSION || text.eq_ignore_ascii_case(VERSION)
}

/// The fast path of [`status_line`]: one blank between the parts, a reason phrase, CR LF.
#[inline]
fn fast_status_line(line: &[u8]) -> Option<(u16, &[u8])> {
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
