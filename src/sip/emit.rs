//! Messages written into a caller's buffer: REGISTER from a per-flow template, and responses.
//!
//! Strict out: one header per line, long names, no folding, `nc` as eight hex digits, user parts
//! escaped. Nothing here allocates or formats once a template is compiled. Which values to send is
//! decided elsewhere.
//!
//! Read first: RFC 3261 §8.1.1 (requests), §8.2.6 (responses), §10.2, §25.1; RFC 3581; RFC 7616
//! §3.4.

mod contact;
mod laid_out;
mod question;

use super::branch::{Branch, hex8};
use super::challenge::{Challenge, Familiar, Offered, Role, Unusable, survey};
use super::digest::{self, Algorithm, AlgorithmSet, Covered, FUNCTIONS, Ha1, HexDigest, Protection, Qop};
use super::fields::{Param, Params, find_unquoted, is_blank, leaves_quote_open};
use super::scan::{Request, Response, via_parts};
use super::search::find;
use crate::vocab::Transport;
use contact::ContactExtras;
pub use contact::{INSTANCE, MOST_CONTACTS};
use laid_out::{Blanks, CredentialsBlanks, LaidOut, Shape};
use memchr::memchr;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The buffer was too small for the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the message does not fit into {0} bytes")]
pub struct Overflow(pub usize);

/// What all REGISTERs of one trunk over one local address have in common.
#[derive(Clone, Debug)]
pub struct TemplateParts<'a> {
    /// Host of Request-URI and address of record.
    pub domain: &'a str,
    pub transport: Transport,
    /// Via sent-by and Contact host: `127.0.0.1:40000`, `[::1]:40000`.
    pub sent_by: &'a str,
    /// `Route` value, e.g. `<sip:127.0.0.1:5060;lr>`.
    pub route: Option<&'a str>,
    pub user_agent: &'a str,
    /// Extra headers in order.
    pub headers: &'a [(String, String)],
}

/// A compiled template: literal bytes with named gaps. Writing is a row of copies, no formatting;
/// for most requests it is one copy, with what fills the gaps written over it.
///
/// All gaps but the user name, the sequence number and the lifetime have a fixed width, so that the
/// messages of one trunk can have equal lengths. Those of fixed width are part of the text and
/// written over.
///
/// Templates of several addresses share their text, see [`RegisterTemplate::at`].
#[derive(Clone, Debug)]
pub struct RegisterTemplate {
    shared: Arc<TemplateText>,
    /// What fills the gaps for our own address: Via sent-by, and the Contact's host.
    sent_by: Box<[u8]>,
    /// The Contact's host where it was learnt from answers.
    learnt: Option<Box<[u8]>>,
    /// `None` in a template of one agent: what it would save that agent is not worth its memory.
    kept: Option<Box<TemplateMemory>>,
}

/// The text of a template.
#[derive(Clone, Debug)]
struct TemplateText {
    transport: Transport,
    /// All pieces, one after another.
    text: Vec<u8>,
    /// Where in `text` the pieces before each of [`GAPS`] gaps of varying width end: our address
    /// (Via), user (From), user (To), CSeq, user (Contact), our address (Contact), lifetime,
    /// credentials. The last piece ends with `text`.
    ends: [usize; GAPS],
    /// Where in `text` the gaps of fixed width begin; the branch in the second piece, the tag in
    /// the third, the Call-ID in the fourth.
    branch: usize,
    from_tag: usize,
    call_id: usize,
    uri: Range<usize>,
    /// Where the URI of the Contact ends.
    contact_end: usize,
    /// Where the number of the phone begins in the parameter [`INSTANCE`] of the Contact; a
    /// template without it has the tag's place here, which gets the same number.
    instance: usize,
    /// User and `host[:port]` of the Contact where they are not those of the address of record and
    /// of the Via.
    contact_user: Option<Box<[u8]>>,
    contact_host: Option<Box<[u8]>>,
    /// H(A2) of REGISTER and `uri` by [`Algorithm::function`].
    method_digests: [HexDigest; FUNCTIONS],
    /// Requests have a multiple of so many bytes.
    multiple: usize,
    extras: Option<ContactExtras>,
    learns: bool,
}

/// What a template keeps of its first requests and answers, for all that are like them.
#[derive(Clone, Default, Debug)]
struct TemplateMemory {
    /// Whole requests, like the first one that was written without credentials and the first one
    /// with some.
    laid_out: [OnceLock<LaidOut>; 2],
    /// What these requests are challenged with.
    challenges: Familiar,
}

/// What the length of a padded request is a multiple of. The branch grows to 46 characters at most,
/// as long as those of phones in use; some stacks are said to cut longer ones.
pub const PADDED: usize = 16;

/// Gaps of varying width.
const GAPS: usize = 8;

/// The varying parts of one REGISTER.
#[derive(Clone, Debug)]
pub struct Register<'a> {
    /// Plain; what a SIP URI cannot hold is escaped when written.
    pub user: &'a [u8],
    pub branch: &'a Branch,
    /// Local part of the Call-ID; fixed width (32 lower-case hex digits).
    pub call_id: &'a [u8; 32],
    /// From tag; fixed width (16 lower-case hex digits).
    pub from_tag: &'a [u8; 16],
    pub cseq: u32,
    /// Seconds asked for; 0 removes the binding.
    pub expires: u32,
    /// One for each realm on the way.
    pub authorizations: &'a [Authorization<'a>],
}

/// One `Authorization` or `Proxy-Authorization`. The `uri` parameter is the template's Request-URI.
#[derive(Clone, Debug)]
pub struct Authorization<'a> {
    pub role: Role,
    /// Plain; quotes and backslashes are escaped when written.
    pub username: &'a [u8],
    /// `username` is a hash, and the answer says so (RFC 7616 §3.4.4).
    pub userhash: bool,
    pub realm: &'a [u8],
    pub nonce: &'a [u8],
    pub opaque: Option<&'a [u8]>,
    /// Named in the answer only when the challenge named it.
    pub algorithm: Option<Algorithm>,
    pub qop: Option<Qop<'a>>,
    pub response: &'a HexDigest,
}

impl RegisterTemplate {
    /// Compiles the template. Header names and values must be free of CR and LF (the profile room
    /// checks).
    pub fn new(parts: &TemplateParts<'_>) -> Self {
        Self::with_contact(parts, None, None)
    }

    /// As [`new`](Self::new), with a Contact of its own: another user (plain) than that of the
    /// address of record, another `host[:port]` than the one the request is sent from.
    pub fn with_contact(parts: &TemplateParts<'_>, user: Option<&str>, host: Option<&str>) -> Self {
        let mut build = Build::default();
        build.text("REGISTER ");
        let uri = build.span(&format!("sip:{}", parts.domain));
        // `rport` asks for the answer to come back to where the request came from (RFC 3581 §3).
        build.text(&format!(" SIP/2.0\r\nVia: SIP/2.0/{} ", parts.transport));
        build.gap();
        build.text(";branch=");
        let branch = build.blank(Branch::LEN);
        build.text(";rport\r\nMax-Forwards: 70\r\n");
        if let Some(route) = parts.route {
            build.text(&format!("Route: {route}\r\n"));
        }
        build.text("From: <sip:");
        build.gap();
        build.text(&format!("@{}>;tag=", parts.domain));
        let from_tag = build.blank(16);
        build.text("\r\nTo: <sip:");
        build.gap();
        build.text(&format!("@{}>\r\nCall-ID: ", parts.domain));
        let call_id = build.blank(32);
        build.text("\r\nCSeq: ");
        build.gap();
        build.text(" REGISTER\r\nContact: <sip:");
        build.gap();
        build.text("@");
        build.gap();
        // Without it the registrar would send to this contact over UDP (RFC 3263 §4.1).
        if let Some(transport) = parts.transport.uri_parameter() {
            build.text(&format!(";transport={transport}"));
        }
        let contact_end = build.text.len();
        build.text(">\r\nExpires: ");
        build.gap();
        build.text(&format!("\r\nUser-Agent: {}\r\n", parts.user_agent));
        for (name, value) in parts.headers {
            build.text(&format!("{name}: {value}\r\n"));
        }
        build.gap();
        build.text("Content-Length: 0\r\n\r\n");
        debug_assert_eq!(build.gaps, GAPS);
        let [contact_user, contact_host] = [user, host].map(|own| own.map(|own| own.as_bytes().into()));
        let Build { text, ends, .. } = build;
        let functions = [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256];
        let method_digests = functions.map(|algorithm| digest::method_digest(algorithm, METHOD, &text[uri.clone()]));
        let multiple = 1;
        let shared = TemplateText {
            transport: parts.transport,
            text,
            ends,
            branch,
            from_tag,
            call_id,
            uri,
            contact_end,
            instance: from_tag,
            contact_user,
            contact_host,
            method_digests,
            multiple,
            extras: None,
            learns: false,
        };
        RegisterTemplate {
            shared: Arc::new(shared),
            sent_by: parts.sent_by.as_bytes().into(),
            learnt: None,
            kept: Some(Box::default()),
        }
    }

    /// The same for requests sent from another address; the two share their text.
    pub fn at(&self, sent_by: &str) -> Self {
        RegisterTemplate {
            shared: self.shared.clone(),
            sent_by: sent_by.as_bytes().into(),
            learnt: None,
            kept: self.kept.is_some().then(Box::default),
        }
    }

    /// Brings every request to a multiple of [`PADDED`] bytes by a longer branch, so that requests
    /// of users with names of about one length have one length, and can leave together.
    pub fn padded(self) -> Self {
        let text = Arc::unwrap_or_clone(self.shared);
        RegisterTemplate { shared: Arc::new(TemplateText { multiple: PADDED, ..text }), ..self }
    }

    pub fn transport(&self) -> Transport {
        self.shared.transport
    }

    /// For the requests of one agent alone, of which there may be as many templates as agents:
    /// takes a kilobyte less, and some hundred instructions more for each request.
    pub fn of_one_agent(self) -> Self {
        RegisterTemplate { kept: None, ..self }
    }

    /// The Request-URI: what the digest is computed over.
    pub fn uri(&self) -> &[u8] {
        self.shared.uri()
    }

    /// What a 401 or 407 to a request of this template offers, and the challenge to answer, as
    /// [`survey`] reads them.
    ///
    /// # Errors
    /// The second is as [`choose`](super::choose).
    pub fn survey<'a>(
        &self,
        response: &Response<'a>,
        accepted: AlgorithmSet,
    ) -> (Offered<'a>, Result<Challenge<'a>, Unusable>) {
        match &self.kept {
            Some(kept) => kept.challenges.survey(response, accepted),
            None => survey(response, accepted),
        }
    }

    /// `request-digest` of RFC 7616 §3.4.1 for a request of this template, which has no body.
    pub fn request_digest(&self, algorithm: Algorithm, ha1: &Ha1, nonce: &[u8], qop: Option<Qop<'_>>) -> HexDigest {
        match qop {
            Some(Qop { protection: Protection::AuthInt, .. }) => {
                let covered = Covered { nonce, qop, method: METHOD, uri: self.uri(), body: b"" };
                digest::request_digest(algorithm, ha1, &covered)
            }
            _ => digest::digest_of(algorithm, ha1, nonce, qop, &self.shared.method_digests[algorithm.function()]),
        }
    }

    /// Writes one REGISTER and returns its length.
    ///
    /// # Errors
    /// When `out` is too small.
    pub fn write(&self, register: &Register<'_>, out: &mut [u8]) -> Result<usize, Overflow> {
        let mut out = Out { buffer: out, len: 0 };
        let write_pieces =
            |out: &mut Out<'_>| self.shared.write_pieces(register, [&self.sent_by, self.contact_host()], out);
        let Some(kept) = &self.kept else { return write_pieces(&mut out).map(|_| out.len) };
        let shape = Shape::of(register);
        let like = &kept.laid_out[usize::from(!register.authorizations.is_empty())];
        match (like.get(), shape) {
            (Some(laid_out), Some(shape)) if laid_out.has(shape) => laid_out.write(register, &mut out)?,
            (Some(_), _) | (None, None) => _ = write_pieces(&mut out)?,
            (None, Some(shape)) => {
                let places = write_pieces(&mut out)?;
                like.get_or_init(|| LaidOut::new(&out.buffer[..out.len], shape, places));
            }
        }
        Ok(out.len)
    }
}

impl TemplateText {
    fn uri(&self) -> &[u8] {
        &self.text[self.uri.clone()]
    }

    fn tells_phones_apart(&self) -> bool {
        self.instance != self.from_tag
    }

    /// Writes a request piece by piece.
    fn write_pieces(
        &self,
        register: &Register<'_>,
        [sent_by, own]: [&[u8]; 2],
        out: &mut Out<'_>,
    ) -> Result<Blanks, Overflow> {
        let Register { user, branch, call_id, from_tag, cseq, expires, .. } = *register;
        let [via, head, from, to, sequence, host, contact, lifetime] = self.ends;
        let mut places = Blanks::default();
        out.put(&self.text[..via])?;
        out.put(sent_by)?;
        places.branch = out.len + self.branch - via;
        out.put_over(&self.text[via..head], self.branch - via, branch.as_bytes())?;
        places.users[0] = out.len;
        out.put_user(user)?;
        places.from_tag = out.len + self.from_tag - head;
        out.put_over(&self.text[head..from], self.from_tag - head, from_tag)?;
        places.users[1] = out.len;
        out.put_user(user)?;
        places.call_id = out.len + self.call_id - from;
        out.put_over(&self.text[from..to], self.call_id - from, call_id)?;
        places.cseq = out.len;
        out.put_decimal(cseq)?;
        out.put(&self.text[to..sequence])?;
        let address = out.len;
        places.users[2] = if self.contact_user.is_none() { address } else { places.users[1] };
        out.put_user(self.contact_user.as_deref().unwrap_or(user))?;
        out.put(&self.text[sequence..host])?;
        out.put(own)?;
        let piece = out.len;
        places.instance = places.from_tag;
        if self.tells_phones_apart() {
            places.instance = out.len + self.instance - host;
            out.put_over(&self.text[host..contact], self.instance - host, from_tag)?;
        } else {
            out.put(&self.text[host..contact])?;
        }
        if let Some(extras) = &self.extras {
            extras.write(out, (piece, host), address..piece, (self.contact_end, from_tag))?;
        }
        out.put_decimal(expires)?;
        out.put(&self.text[contact..lifetime])?;
        for authorization in register.authorizations {
            places.credentials = out.put_authorization(authorization, self.uri())?;
        }
        out.put(&self.text[lifetime..])?;
        let short = out.len.next_multiple_of(self.multiple) - out.len;
        out.widen(places.branch + Branch::LEN, short, Branch::FILLER)?;
        Ok(places.behind(short))
    }
}

/// What a template's requests ask for.
const METHOD: &[u8] = b"REGISTER";

/// A template while it is compiled.
#[derive(Default)]
struct Build {
    text: Vec<u8>,
    ends: [usize; GAPS],
    gaps: usize,
}

impl Build {
    fn text(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    fn span(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text(text);
        start..self.text.len()
    }

    /// Leaves room for a part of fixed width; returns where.
    fn blank(&mut self, width: usize) -> usize {
        let start = self.text.len();
        self.text.resize(start + width, b'-');
        start
    }

    /// A part of varying width comes here.
    fn gap(&mut self) {
        self.ends[self.gaps] = self.text.len();
        self.gaps += 1;
    }
}

/// The parts of one OPTIONS outside a dialog (RFC 3261 §11.1): "are you there, and what can you
/// do".
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// Asked of: `sip:{domain}`, without a user.
    pub domain: &'a str,
    pub transport: Transport,
    /// Via sent-by: `127.0.0.1:40000`, `[::1]:40000`.
    pub sent_by: &'a str,
    pub route: Option<&'a str>,
    pub user_agent: &'a str,
    /// Who asks, plain.
    pub user: &'a [u8],
    pub branch: &'a Branch,
    pub call_id: &'a [u8; 32],
    pub from_tag: &'a [u8; 16],
    pub cseq: u32,
    pub authorizations: &'a [Authorization<'a>],
}

/// Writes an OPTIONS and returns its length. For single requests: it formats, where a template
/// copies.
///
/// # Errors
/// When `out` is too small.
pub fn write_options(options: &Options<'_>, out: &mut [u8]) -> Result<usize, Overflow> {
    let mut out = Out { buffer: out, len: 0 };
    let Options { domain, transport, sent_by, cseq, user_agent, .. } = *options;
    let overflow = Overflow(out.buffer.len());
    write!(out, "OPTIONS sip:{domain} SIP/2.0\r\nVia: SIP/2.0/{transport} {sent_by};branch=").map_err(|_| overflow)?;
    out.put(options.branch.as_bytes())?;
    out.put(b";rport\r\nMax-Forwards: 70\r\n")?;
    if let Some(route) = options.route {
        write!(out, "Route: {route}\r\n").map_err(|_| overflow)?;
    }
    out.put(b"From: <sip:")?;
    out.put_user(options.user)?;
    write!(out, "@{domain}>;tag=").map_err(|_| overflow)?;
    out.put(options.from_tag)?;
    write!(out, "\r\nTo: <sip:{domain}>\r\nCall-ID: ").map_err(|_| overflow)?;
    out.put(options.call_id)?;
    write!(out, "\r\nCSeq: {cseq} OPTIONS\r\nAccept: application/sdp\r\nUser-Agent: {user_agent}\r\n")
        .map_err(|_| overflow)?;
    let uri = [b"sip:", domain.as_bytes()].concat();
    for authorization in options.authorizations {
        out.put_authorization(authorization, &uri)?;
    }
    out.put(b"Content-Length: 0\r\n\r\n")?;
    Ok(out.len)
}

/// Writes a response to `request`: status line, Via (all, unchanged but for `received`/`rport` of
/// the topmost, RFC 3581 §4), From, To (with `to_tag` when it has none), Call-ID, CSeq, then
/// `extra` (complete header lines, each with its CR LF), `Content-Length: 0`. Returns its length.
///
/// Serves any method. Folds of copied values are undone. `from` is where the request came from; an
/// empty `to_tag` adds none.
///
/// # Errors
/// When `out` is too small.
pub fn write_response(
    request: &Request<'_>,
    code: u16,
    reason: &str,
    from: SocketAddr,
    to_tag: &[u8],
    extra: &[u8],
    out: &mut [u8],
) -> Result<usize, Overflow> {
    let mut out = Out { buffer: out, len: 0 };
    out.put(b"SIP/2.0 ")?;
    out.put_decimal(u32::from(code))?;
    out.put(b" ")?;
    out.put_line(reason.as_bytes())?;
    for (n, via) in request.headers("Via").enumerate() {
        out.put(b"\r\nVia: ")?;
        if n == 0 { out.put_top_via(via, from)? } else { out.put_line(via)? }
    }
    out.put(b"\r\nFrom: ")?;
    out.put_line(request.from)?;
    out.put(b"\r\nTo: ")?;
    out.put_line(request.to)?;
    if !to_tag.is_empty() && tag_of(request.to).is_none() {
        out.put(b";tag=")?;
        out.put(to_tag)?;
    }
    out.put(b"\r\nCall-ID: ")?;
    out.put_line(request.call_id)?;
    out.put(b"\r\nCSeq: ")?;
    out.put_decimal(request.cseq)?;
    out.put(b" ")?;
    out.put(request.cseq_method)?;
    out.put(b"\r\n")?;
    out.put(extra)?;
    out.put(b"Content-Length: 0\r\n\r\n")?;
    Ok(out.len)
}

/// The `tag` of a From or To value (RFC 3261 §19.3); parameters of a URI in brackets are not the
/// header's.
pub fn tag_of(value: &[u8]) -> Option<&[u8]> {
    let bracket = find_unquoted(value, b'<', b'<');
    let params = match memchr(b'>', &value[bracket..]) {
        Some(close) => &value[bracket + close + 1..],
        None => value,
    };
    Params::new(params).value("tag")
}

/// The caller's buffer as it fills.
struct Out<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl Out<'_> {
    /// Inlined, so that words known at compile time are a store or two.
    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) -> Result<(), Overflow> {
        self.put_open(bytes).map(|_| ())
    }

    /// The same, and gives what was put, to be written over.
    #[inline(always)]
    fn put_open(&mut self, bytes: &[u8]) -> Result<&mut [u8], Overflow> {
        let overflow = Overflow(self.buffer.len());
        let gap = self.buffer.get_mut(self.len..self.len + bytes.len()).ok_or(overflow)?;
        gap.copy_from_slice(bytes);
        self.len += bytes.len();
        Ok(gap)
    }

    /// A piece of a template, with `part` written over what stands at `at` in it.
    fn put_over<const N: usize>(&mut self, piece: &[u8], at: usize, part: &[u8; N]) -> Result<(), Overflow> {
        let at = self.len + at;
        self.put(piece)?;
        self.buffer[at..at + N].copy_from_slice(part);
        Ok(())
    }

    /// Makes room for `more` bytes at `at` and fills it.
    fn widen(&mut self, at: usize, more: usize, filler: u8) -> Result<(), Overflow> {
        if more > 0 {
            let len = self.len + more;
            let room = Overflow(self.buffer.len());
            let text = self.buffer.get_mut(..len).ok_or(room)?;
            text.copy_within(at..self.len, at + more);
            text[at..at + more].fill(filler);
            self.len = len;
        }
        Ok(())
    }

    /// What must stay on one line: the line breaks of a fold are left out, its blanks remain. A
    /// lone CR, which was read as a blank, becomes one.
    fn put_line(&mut self, text: &[u8]) -> Result<(), Overflow> {
        if is_on_one_line(text) {
            return self.put(text);
        }
        let mut pieces = text.split(|&b| b == b'\r' || b == b'\n').filter(|piece| !piece.is_empty());
        self.put(pieces.next().unwrap_or_default())?;
        pieces.try_for_each(|piece| {
            self.put(if is_blank(piece[0]) { b"" } else { b" " })?;
            self.put(piece)
        })
    }

    #[inline]
    fn put_decimal(&mut self, value: u32) -> Result<(), Overflow> {
        // Eight digits at once, written over what comes next, as far as there is room for that.
        if value < 100_000_000
            && let Some(gap) = self.buffer[self.len..].first_chunk_mut()
        {
            let digits = eight_digits(value);
            // The last digit stands, be it a zero.
            let zeros = (digits ^ ZEROS).trailing_zeros().min(56) / 8;
            *gap = (digits >> (8 * zeros)).to_le_bytes();
            self.len += 8 - zeros as usize;
            return Ok(());
        }
        self.put_any_decimal(value)
    }

    fn put_any_decimal(&mut self, mut value: u32) -> Result<(), Overflow> {
        let mut digits = [b'0'; 10];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                return self.put(&digits[start..]);
            }
        }
    }

    /// A user part, with what it cannot hold escaped (RFC 3261 §25.1 `user`, `escaped`). A per cent
    /// sign is a character like others: names are given plain.
    fn put_user(&mut self, user: &[u8]) -> Result<(), Overflow> {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        if is_plain(user) {
            return self.put(user);
        }
        user.iter().try_for_each(|&b| match b {
            _ if is_user_char(b) => self.put(&[b]),
            _ => self.put(&[b'%', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]),
        })
    }

    /// The inside of a quoted string. CR and LF have no escape there (RFC 3261 §25.1
    /// `quoted-pair`); rather than break the message they are left out.
    fn put_quoted(&mut self, text: &[u8]) -> Result<(), Overflow> {
        if is_quotable(text) {
            return self.put(text);
        }
        text.iter().try_for_each(|&b| match b {
            b'\r' | b'\n' => Ok(()),
            b'"' | b'\\' => self.put(&[b'\\', b]),
            _ => self.put(&[b]),
        })
    }

    /// RFC 7616 §3.4: user name, realm, nonce, uri, response, cnonce and opaque are quoted;
    /// algorithm, qop and nc are not. Realm, nonce and opaque go back as they came, escapes
    /// included. Returns where its parts stand.
    fn put_authorization(
        &mut self,
        authorization: &Authorization<'_>,
        uri: &[u8],
    ) -> Result<CredentialsBlanks, Overflow> {
        let mut places = CredentialsBlanks::default();
        self.put(match authorization.role {
            Role::Registrar => b"Authorization: Digest username=\"",
            Role::Proxy => b"Proxy-Authorization: Digest username=\"",
        })?;
        places.username = self.len;
        self.put_quoted(authorization.username)?;
        self.put(b"\", realm=\"")?;
        places.realm = self.len;
        self.put_line(authorization.realm)?;
        self.put(b"\", nonce=\"")?;
        places.nonce = self.len;
        self.put_line(authorization.nonce)?;
        self.put(b"\", uri=\"")?;
        self.put(uri)?;
        self.put(b"\", response=\"")?;
        places.response = self.len;
        self.put(authorization.response.as_bytes())?;
        self.put(b"\"")?;
        if let Some(algorithm) = authorization.algorithm {
            self.put(b", algorithm=")?;
            self.put(algorithm.as_str().as_bytes())?;
        }
        if let Some(Qop { protection, nc, cnonce }) = authorization.qop {
            self.put(b", cnonce=\"")?;
            places.cnonce = self.len;
            self.put(cnonce)?;
            self.put(b"\", qop=")?;
            self.put(protection.as_str().as_bytes())?;
            self.put(b", nc=")?;
            places.nc = self.len;
            self.put(&hex8(nc))?;
        }
        if authorization.userhash {
            self.put(b", userhash=true")?;
        }
        if let Some(opaque) = authorization.opaque {
            self.put(b", opaque=\"")?;
            places.opaque = self.len;
            self.put_line(opaque)?;
            self.put(b"\"")?;
        }
        self.put(b"\r\n")?;
        Ok(places)
    }

    /// The topmost Via with the source of the request filled in, and any further Via of the same
    /// header behind it.
    ///
    /// RFC 3581 §4: a server that finds `rport` without a value "MUST set the value of the
    /// parameter to the source port of the request" and "MUST also insert a "received" parameter"
    /// even where it equals the sent-by. Without `rport` RFC 3261 §18.2.1 holds: `received` when
    /// the sent-by is another address or a name.
    fn put_top_via(&mut self, via: &[u8], from: SocketAddr) -> Result<(), Overflow> {
        let ip = from.ip().to_canonical();
        let (head, params) = via_parts(via);
        // `;rport=` is as good as `;rport`.
        let asks = |param: &Param<'_>| param.is("rport") && param.value().unwrap_or_default().is_empty();
        let asks_rport = params.clone().any(|param| asks(&param));
        let add_received = asks_rport || sent_by_ip(head) != Some(ip);
        self.put_line(head.trim_ascii_end())?;
        // Behind a quote that never ends it would be part of what is quoted.
        let first = add_received && leaves_quote_open(via);
        if first {
            write!(self, ";received={ip}").map_err(|_| Overflow(self.buffer.len()))?;
        }
        let mut params = params;
        for param in params.by_ref() {
            if asks(&param) {
                self.put(b";rport=")?;
                self.put_decimal(u32::from(from.port()))?;
            } else if !(param.is("received") && add_received) {
                self.put(b";")?;
                self.put_line(param.raw)?;
            }
        }
        if add_received && !first {
            write!(self, ";received={ip}").map_err(|_| Overflow(self.buffer.len()))?;
        }
        self.put_line(params.rest())
    }
}

/// The digits of a number below 10⁸, one in each byte of a word, the first the lowest: halves of
/// four, quarters of two, each divided by a multiplication.
fn eight_digits(value: u32) -> u64 {
    let halves = u64::from(value / 10_000) | u64::from(value % 10_000) << 32;
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let quarters = hundreds | (halves - hundreds * 100) << 16;
    let tens = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (quarters - tens * 10) << 8 | ZEROS
}

/// Eight digits of zero.
const ZEROS: u64 = u64::from_le_bytes(*b"00000000");

impl Write for Out<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.put(text.as_bytes()).map_err(|_| std::fmt::Error)
    }
}

/// The address in the sent-by of a Via without its parameters; `None` when it is a name.
fn sent_by_ip(head: &[u8]) -> Option<IpAddr> {
    let sent_by = std::str::from_utf8(head).ok()?.split_ascii_whitespace().last()?;
    match sent_by.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0.parse().ok(),
        None => sent_by.split(':').next()?.parse().ok(),
    }
}

/// Whether a text stands between quotes as it is.
#[inline]
fn is_quotable(text: &[u8]) -> bool {
    find(text, *b"\"\\\r\n").is_none()
}

/// Whether a text holds no line break.
#[inline]
fn is_on_one_line(text: &[u8]) -> bool {
    find(text, *b"\r\n").is_none()
}

/// Whether a user part needs no escapes.
pub(super) fn is_plain(user: &[u8]) -> bool {
    user.iter().copied().all(is_user_char)
}

fn is_user_char(byte: u8) -> bool {
    IS_USER_CHAR[usize::from(byte)]
}

/// `unreserved` and `user-unreserved` of RFC 3261 §25.1, by byte.
#[expect(clippy::cast_possible_truncation, reason = "below 128")]
const IS_USER_CHAR: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"-_.!~*'()&=+$,;?/";
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
#[path = "emit_tests.rs"]
mod tests;
