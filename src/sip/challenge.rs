//! `WWW-Authenticate` and `Proxy-Authenticate` (RFC 7616 §3.3), and the choice among several (RFC
//! 8760 §2.4); `Authorization` as a registrar reads it (RFC 7616 §3.4); the `nextnonce` of
//! `Authentication-Info` (RFC 7616 §3.5).
//!
//! Accepted beyond the grammar: schemes and names in any case, blanks around equal signs, quoted or
//! bare values wherever the other is due, missing or doubled commas, other schemes in between. Read
//! and left alone: `charset` and `domain` of a challenge; `username*` of credentials, which say
//! nothing that a UTF-8 `username` does not. Not here: computing responses ([`digest`]).

mod familiar;

pub use familiar::Familiar;

use super::digest::{self, Algorithm, AlgorithmSet, Covered, Ha1, Protection, Qop};
use super::fields::{is_blank, quoted, skip_blanks, token_len, trim};
use super::scan::{Request, Response};
use super::search::Start;
pub use crate::vocab::Unusable;
use std::borrow::Cow;

/// Whose challenge it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// 401, `WWW-Authenticate` / `Authorization`.
    Registrar,
    /// 407, `Proxy-Authenticate` / `Proxy-Authorization`.
    Proxy,
}

impl Role {
    /// Whose challenge a status code announces (RFC 3261 §22.2, §22.3); `None` for all but 401 and
    /// 407.
    pub const fn of(code: u16) -> Option<Role> {
        match code {
            401 => Some(Role::Registrar),
            407 => Some(Role::Proxy),
            _ => None,
        }
    }

    const fn other(self) -> Role {
        match self {
            Role::Registrar => Role::Proxy,
            Role::Proxy => Role::Registrar,
        }
    }

    const fn challenge_header(self) -> &'static str {
        match self {
            Role::Registrar => "WWW-Authenticate",
            Role::Proxy => "Proxy-Authenticate",
        }
    }

    const fn info_header(self) -> &'static str {
        match self {
            Role::Registrar => "Authentication-Info",
            Role::Proxy => "Proxy-Authentication-Info",
        }
    }

    const fn credentials_header(self) -> &'static str {
        match self {
            Role::Registrar => "Authorization",
            Role::Proxy => "Proxy-Authorization",
        }
    }
}

/// One Digest challenge. Quoted values are given raw, without their quotes and with escapes as
/// received: RFC 7616 hashes and echoes them unchanged.
#[derive(Clone, Debug)]
pub struct Challenge<'a> {
    pub role: Role,
    pub realm: &'a [u8],
    pub nonce: &'a [u8],
    pub opaque: Option<&'a [u8]>,
    pub algorithm: Algorithm,
    /// False when the challenge had no `algorithm` parameter (then MD5 is meant, and the answer
    /// names none).
    pub algorithm_named: bool,
    /// What to answer with of the offered qop values: `auth` before `auth-int`. `None` with no qop
    /// at all (RFC 2069 style).
    pub protection: Option<Protection>,
    pub stale: bool,
    /// The user name is to be sent as a hash (RFC 7616 §3.4.4).
    pub userhash: bool,
}

/// The topmost challenge that uses an accepted algorithm (RFC 8760 §2.4): header by header, within
/// a header from left to right. A 401 is searched for `WWW-Authenticate`, a 407 for
/// `Proxy-Authenticate`.
///
/// Servers list their challenges in order of preference, and the client takes the topmost that it
/// supports (RFC 8760 §2.3, §2.4). A challenge that is broken or offers only unknown qop values is
/// not supported and passed over like one with a foreign algorithm.
///
/// # Errors
/// When there is none. Of several reasons the one that came closest to an answer is given: an
/// unsupported or incomplete challenge with an accepted algorithm outweighs challenges with other
/// algorithms.
pub fn choose<'a>(response: &Response<'a>, accepted: AlgorithmSet) -> Result<Challenge<'a>, Unusable> {
    let mut best = Err(Unusable::NoChallenge);
    for result in judged(response, accepted) {
        best = better(best, result);
        if best.is_ok() {
            break;
        }
    }
    best
}

/// Of what a challenge earlier in the order came to and what a later one does: the one to go by.
fn better<'a>(
    best: Result<Challenge<'a>, Unusable>,
    later: Result<Challenge<'a>, Unusable>,
) -> Result<Challenge<'a>, Unusable> {
    match (&best, &later) {
        (Ok(_), _) => best,
        (Err(reason), Err(Unusable::NoAcceptedAlgorithm)) if *reason != Unusable::NoChallenge => best,
        _ => later,
    }
}

/// What a 401 or 407 offers, acceptable or not.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Offered<'a> {
    /// Of the first Digest challenge; empty when there is none. Raw, as in [`Challenge`].
    pub realm: &'a [u8],
    /// Over all Digest challenges.
    pub algorithms: AlgorithmSet,
    /// Some challenge is for an algorithm that nobody here knows.
    pub unknown: bool,
    /// There are several challenges, or some beside those of the role that the code names: see
    /// [`demands`].
    pub several: bool,
}

/// Everything that is on offer: what [`choose`] chose from.
pub fn offered<'a>(response: &Response<'a>) -> Offered<'a> {
    survey(response, AlgorithmSet::EMPTY).0
}

/// [`offered`] and [`choose`] in one walk over the challenges.
///
/// # Errors
/// The second is as [`choose`].
pub fn survey<'a>(response: &Response<'a>, accepted: AlgorithmSet) -> (Offered<'a>, Result<Challenge<'a>, Unusable>) {
    let mut all = Offered::default();
    let mut best = Err(Unusable::NoChallenge);
    let mut first = true;
    let Some(role) = Role::of(response.code) else { return (all, best) };
    for value in response.headers(role.challenge_header()) {
        for set in DigestSets::of(value) {
            if std::mem::take(&mut first) {
                all.realm = set.realm.unwrap_or_default();
            } else {
                all.several = true;
            }
            let algorithm = set.algorithm();
            match algorithm {
                Some(algorithm) => all.algorithms = all.algorithms.with(algorithm),
                None => all.unknown = true,
            }
            if best.is_err() {
                best = better(best, set.challenge(role, algorithm, accepted));
            }
        }
    }
    all.several |= response.headers(role.other().challenge_header()).next().is_some();
    (all, best)
}

/// What one realm on the way wants: RFC 3261 §22.3 has a proxy that forks put the challenges of all
/// into one answer, and a client answer each of them.
#[derive(Clone, Debug)]
pub struct Demand<'a> {
    pub role: Role,
    pub offered: Offered<'a>,
    /// As [`choose`], among the challenges of this realm.
    pub chosen: Result<Challenge<'a>, Unusable>,
}

/// The realms that a 401 or 407 asks credentials for, in order, those of the role that the code
/// names before the other; at most [`REALMS`].
pub fn demands<'a>(response: &Response<'a>, accepted: AlgorithmSet) -> [Option<Demand<'a>>; REALMS] {
    let mut demands = [const { None }; REALMS];
    let Some(role) = Role::of(response.code) else { return demands };
    for role in [role, role.other()] {
        for set in response.headers(role.challenge_header()).flat_map(DigestSets::of) {
            let realm = set.realm.unwrap_or_default();
            let is_its = |demand: &Option<Demand<'a>>| {
                demand.as_ref().is_none_or(|demand| demand.role == role && demand.offered.realm == realm)
            };
            let Some(demand) = demands.iter_mut().find(|demand| is_its(demand)) else { continue };
            let offered = Offered { realm, ..Offered::default() };
            let demand = demand.get_or_insert(Demand { role, offered, chosen: Err(Unusable::NoChallenge) });
            let algorithm = set.algorithm();
            match algorithm {
                Some(algorithm) => demand.offered.algorithms = demand.offered.algorithms.with(algorithm),
                None => demand.offered.unknown = true,
            }
            let chosen = std::mem::replace(&mut demand.chosen, Err(Unusable::NoChallenge));
            demand.chosen = better(chosen, set.challenge(role, algorithm, accepted));
        }
    }
    demands
}

/// Realms on one way that are answered, and whose credentials are kept: those of a registrar and of
/// the proxies before it. A way with more has not been seen.
pub const REALMS: usize = 4;

/// Characters of the longest nonce that is answered: what carries it back has room for 4096 bytes
/// in all.
pub const LONGEST_NONCE: usize = 3000;

/// All Digest challenges of a 401 or 407 in order, or why each cannot be answered by anyone; other
/// schemes are left out.
pub fn challenges<'a>(response: &Response<'a>) -> impl Iterator<Item = Result<Challenge<'a>, Unusable>> + use<'a> {
    judged(response, AlgorithmSet::ALL)
}

/// One Digest challenge as it is offered, whether or not anybody can answer it.
#[derive(Clone, Debug)]
pub struct OfferedChallenge<'a> {
    pub realm: Option<&'a [u8]>,
    /// The token as written, known or not; `None` means MD5.
    pub algorithm: Option<&'a [u8]>,
    /// The qop list as written, see [`OfferedChallenge::qops`].
    pub qop: Option<&'a [u8]>,
    pub stale: bool,
    /// How it would be answered, or why it cannot be.
    pub usable: Result<Challenge<'a>, Unusable>,
}

impl<'a> OfferedChallenge<'a> {
    /// The qop values on offer, as written.
    pub fn qops(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.qop.unwrap_or_default().split(|&b| b == b',').map(trim).filter(|qop| !qop.is_empty())
    }
}

/// All Digest challenges of a 401 or 407 in order with what each offers; for those who compare
/// offers.
pub fn offers<'a>(response: &Response<'a>) -> impl Iterator<Item = OfferedChallenge<'a>> + use<'a> {
    sets(response).map(|(role, set)| OfferedChallenge {
        realm: set.realm,
        algorithm: set.algorithm,
        qop: set.qop,
        stale: is_true(set.stale),
        usable: set.challenge(role, set.algorithm(), AlgorithmSet::ALL),
    })
}

fn judged<'a>(
    response: &Response<'a>,
    accepted: AlgorithmSet,
) -> impl Iterator<Item = Result<Challenge<'a>, Unusable>> + use<'a> {
    sets(response).map(move |(role, set)| set.challenge(role, set.algorithm(), accepted))
}

/// The Digest challenges of a 401 or 407 as written.
fn sets<'a>(response: &Response<'a>) -> impl Iterator<Item = (Role, DigestSet<'a>)> + use<'a> {
    let role = Role::of(response.code);
    let name = role.unwrap_or(Role::Registrar).challenge_header();
    let values = role.map(|role| response.headers(name).map(move |value| (role, value)));
    values.into_iter().flatten().flat_map(|(role, value)| DigestSets::of(value).map(move |set| (role, set)))
}

/// The credentials of a request: the parameters of `Authorization: Digest …`, values as in
/// [`Challenge`].
#[derive(Clone, Debug)]
pub struct Credentials<'a> {
    pub role: Role,
    pub username: &'a [u8],
    pub realm: &'a [u8],
    pub nonce: &'a [u8],
    pub uri: &'a [u8],
    pub response: &'a [u8],
    pub opaque: Option<&'a [u8]>,
    /// `None` when the credentials name none: MD5 is meant.
    pub algorithm: Option<Algorithm>,
    /// (nc as sent, cnonce) when there is a qop, `auth` or `auth-int`.
    pub qop_auth: Option<(u32, &'a [u8])>,
    /// The qop is `auth-int`.
    pub integrity: bool,
    /// `username` is a hash (RFC 7616 §3.4.4), to be compared with [`digest::user_hash`].
    pub userhash: bool,
}

impl<'a> Credentials<'a> {
    /// The user name as its owner knows it: with the escapes of the quoted string undone.
    pub fn plain_username(&self) -> Cow<'a, [u8]> {
        if !self.username.contains(&b'\\') {
            return Cow::Borrowed(self.username);
        }
        let mut escaped = false;
        let plain = self.username.iter().copied().filter(|&byte| {
            escaped = byte == b'\\' && !escaped;
            !escaped
        });
        Cow::Owned(plain.collect())
    }

    /// What the response was computed over, for a request with this method and body; its URI is the
    /// one named in the credentials, which the caller holds against the Request-URI (RFC 7616
    /// §3.4.6).
    pub fn covered<'c>(&self, method: &'c [u8], body: &'c [u8]) -> Covered<'c>
    where
        'a: 'c,
    {
        let protection = if self.integrity { Protection::AuthInt } else { Protection::Auth };
        let qop = self.qop_auth.map(|(nc, cnonce)| Qop { protection, nc, cnonce });
        Covered { nonce: self.nonce, qop, method, uri: self.uri, body }
    }

    /// Whether the response is right for H(username ":" realm ":" password), by the algorithm the
    /// credentials name (MD5 when none, RFC 7616 §3.3). A `-sess` response is taken for one whose
    /// session began with its own nonce and cnonce: a server that hands out a `nextnonce` keeps the
    /// session's [`Ha1`] instead and compares with
    /// [`digest::request_digest`].
    pub fn prove(&self, ha1: &Ha1, method: &[u8], body: &[u8]) -> bool {
        let algorithm = self.algorithm.unwrap_or(Algorithm::Md5);
        let session = match self.qop_auth {
            Some((_, cnonce)) if algorithm.is_session() => Some(ha1.session(algorithm, self.nonce, cnonce)),
            _ => None,
        };
        let ha1 = session.as_ref().unwrap_or(ha1);
        digest::request_digest(algorithm, ha1, &self.covered(method, body)).matches(self.response)
    }
}

/// The nonce a server wants to see next, from the `Authentication-Info` (of a proxy:
/// `Proxy-Authentication-Info`) of its answer to credentials (RFC 7616 §3.5). Raw, as in
/// [`Challenge`]; an empty one is none.
pub fn next_nonce<'a>(response: &Response<'a>, role: Role) -> Option<&'a [u8]> {
    if !response.has_info() {
        return None;
    }
    let parameters = |value| {
        let mut rest = DigestSets::of(value);
        std::iter::from_fn(move || rest.parameter())
    };
    let (_, nonce) = response
        .headers(role.info_header())
        .flat_map(parameters)
        .find(|(name, _)| name.eq_ignore_ascii_case(b"nextnonce"))?;
    Some(nonce).filter(|nonce| !nonce.is_empty())
}

/// The first Digest credentials of a request, if it carries any that can be read: those of
/// `Authorization` before those of `Proxy-Authorization`. Credentials with an unknown algorithm or
/// qop, or without a mandatory parameter, cannot be read.
pub fn credentials<'a>(request: &Request<'a>) -> Option<Credentials<'a>> {
    all_credentials(request).next()
}

/// All Digest credentials of a request that can be read, in the order of [`credentials`]: a request
/// may carry some for each realm on its way (RFC 3261 §22.3).
pub fn all_credentials<'a>(request: &Request<'a>) -> impl Iterator<Item = Credentials<'a>> + use<'a> {
    let values = |role: Role| request.headers(role.credentials_header()).map(move |value| (role, value));
    values(Role::Registrar)
        .chain(values(Role::Proxy))
        .flat_map(|(role, value)| DigestSets::of(value).map(move |set| (role, set)))
        .filter_map(|(role, set)| set.credentials(role))
}

/// The parameters after one `Digest`, as written: a challenge, or credentials. Of a repeated
/// parameter the first counts.
#[derive(Default)]
struct DigestSet<'a> {
    realm: Option<&'a [u8]>,
    nonce: Option<&'a [u8]>,
    opaque: Option<&'a [u8]>,
    algorithm: Option<&'a [u8]>,
    qop: Option<&'a [u8]>,
    stale: Option<&'a [u8]>,
    username: Option<&'a [u8]>,
    uri: Option<&'a [u8]>,
    response: Option<&'a [u8]>,
    nc: Option<&'a [u8]>,
    cnonce: Option<&'a [u8]>,
    userhash: Option<&'a [u8]>,
    /// One of its quotes is never closed.
    unclosed: bool,
}

impl<'a> DigestSet<'a> {
    /// The fast path of [`put`](Self::put) for parameters of a challenge in lower case with the
    /// equal sign right behind: the place of the one at the beginning of `text`, and where its
    /// value begins.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the first byte of the word")]
    fn fast_place(&mut self, text: &[u8]) -> Option<(&mut Option<&'a [u8]>, usize)> {
        let head = u64::from_le_bytes(*text.first_chunk()?);
        let is = |start: Start| start.begins(head);
        match head as u8 {
            b'r' if is(Start::of(b"realm=")) => Some((&mut self.realm, 6)),
            b'n' if is(Start::of(b"nonce=")) => Some((&mut self.nonce, 6)),
            b'q' if is(Start::of(b"qop=")) => Some((&mut self.qop, 4)),
            b'o' if is(Start::of(b"opaque=")) => Some((&mut self.opaque, 7)),
            b's' if is(Start::of(b"stale=")) => Some((&mut self.stale, 6)),
            b'a' if is(Start::of(b"algorith")) && text[8..].starts_with(b"m=") => Some((&mut self.algorithm, 10)),
            _ => None,
        }
    }

    fn put(&mut self, name: &[u8], value: &'a [u8]) {
        // Lower case first: it is what is mostly written.
        let is = |other: &str| name == other.as_bytes() || name.eq_ignore_ascii_case(other.as_bytes());
        let slot = match name.len() {
            2 if is("nc") => &mut self.nc,
            3 if is("qop") => &mut self.qop,
            3 if is("uri") => &mut self.uri,
            5 if is("realm") => &mut self.realm,
            5 if is("nonce") => &mut self.nonce,
            5 if is("stale") => &mut self.stale,
            6 if is("opaque") => &mut self.opaque,
            6 if is("cnonce") => &mut self.cnonce,
            8 if is("username") => &mut self.username,
            8 if is("response") => &mut self.response,
            8 if is("userhash") => &mut self.userhash,
            9 if is("algorithm") => &mut self.algorithm,
            _ => return,
        };
        slot.get_or_insert(value);
    }

    /// RFC 7616 §3.3: "If this is not present, it is assumed to be "MD5"". `None` is one that is
    /// not understood.
    fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm.map_or(Some(Algorithm::Md5), Algorithm::parse)
    }

    /// As a challenge for `algorithm`.
    fn challenge(
        &self,
        role: Role,
        algorithm: Option<Algorithm>,
        accepted: AlgorithmSet,
    ) -> Result<Challenge<'a>, Unusable> {
        // RFC 7616 §3.3: "If the algorithm is not understood, the challenge SHOULD be ignored".
        let algorithm = algorithm.filter(|&a| accepted.contains(a)).ok_or(Unusable::NoAcceptedAlgorithm)?;
        if self.unclosed {
            return Err(Unusable::Unclosed);
        }
        // An empty nonce is none: credentials with one carry nothing (3GPP TS 24.229 §5.1.1.2.2).
        let (Some(realm), Some(nonce @ [_, ..])) = (self.realm, self.nonce) else {
            return Err(Unusable::Incomplete);
        };
        if nonce.len() > LONGEST_NONCE {
            return Err(Unusable::NonceTooLong);
        }
        let protection = self.protection()?;
        // Its key is made of the client's nonce, which an answer without qop does not carry (RFC
        // 2617 §3.2.2).
        if algorithm.is_session() && protection.is_none() {
            return Err(Unusable::SessionWithoutQop);
        }
        Ok(Challenge {
            role,
            realm,
            nonce,
            opaque: self.opaque,
            algorithm,
            algorithm_named: self.algorithm.is_some(),
            protection,
            stale: is_true(self.stale),
            userhash: is_true(self.userhash),
        })
    }

    /// What is answered of the offered qop values. Over a body that is empty `auth-int` protects no
    /// more than `auth`, which more servers can check. An empty list offers nothing, which is what
    /// no list does: an answer without qop.
    fn protection(&self) -> Result<Option<Protection>, Unusable> {
        // The fast path: the only value offered.
        if self.qop == Some(b"auth") {
            return Ok(Some(Protection::Auth));
        }
        let mut best = Ok(None);
        for offer in self.qop.unwrap_or_default().split(|&b| b == b',').map(trim).filter(|offer| !offer.is_empty()) {
            if offer == b"auth" || offer.eq_ignore_ascii_case(b"auth") {
                return Ok(Some(Protection::Auth));
            } else if offer.eq_ignore_ascii_case(b"auth-int") {
                best = Ok(Some(Protection::AuthInt));
            } else if best == Ok(None) {
                best = Err(Unusable::UnsupportedQop);
            }
        }
        best
    }

    fn credentials(&self, role: Role) -> Option<Credentials<'a>> {
        let algorithm = match self.algorithm {
            Some(token) => Some(Algorithm::parse(token)?),
            None => None,
        };
        if self.unclosed {
            return None;
        }
        let integrity = self.qop.is_some_and(|qop| qop.eq_ignore_ascii_case(b"auth-int"));
        let qop_auth = match self.qop {
            Some(qop) if integrity || qop.eq_ignore_ascii_case(b"auth") => Some((nonce_count(self.nc?)?, self.cnonce?)),
            Some(_) => return None,
            // Nobody could tell the session's key.
            None if algorithm.is_some_and(Algorithm::is_session) => return None,
            None => None,
        };
        Some(Credentials {
            role,
            username: self.username?,
            realm: self.realm?,
            nonce: self.nonce?,
            uri: self.uri?,
            response: self.response?,
            opaque: self.opaque,
            algorithm,
            qop_auth,
            integrity,
            userhash: is_true(self.userhash),
        })
    }
}

/// RFC 7616 §3.3: "A case-insensitive flag".
fn is_true(flag: Option<&[u8]>) -> bool {
    flag.is_some_and(|flag| flag.eq_ignore_ascii_case(b"true"))
}

/// `nc-value = 8LHEX` (RFC 7616 §3.4).
fn nonce_count(text: &[u8]) -> Option<u32> {
    if text.len() != 8 {
        return None;
    }
    text.iter().try_fold(0, |value, &b| Some(value << 4 | char::from(b).to_digit(16)?))
}

/// The Digest parts of one header value, which may hold several challenges of several schemes.
///
/// A comma separates parameters and challenges alike, so what follows it decides: a token and an
/// equal sign are a parameter, a token alone begins the next challenge (RFC 7235 §4.1 names the
/// trap).
struct DigestSets<'a> {
    rest: &'a [u8],
    /// A quote that was read is never closed.
    unclosed: bool,
}

impl<'a> Iterator for DigestSets<'a> {
    type Item = DigestSet<'a>;

    fn next(&mut self) -> Option<DigestSet<'a>> {
        while !self.rest.is_empty() {
            let scheme = self.scheme()?;
            let mut set = DigestSet::default();
            self.parameters(&mut set);
            set.unclosed = self.unclosed;
            if scheme == b"Digest" || scheme.eq_ignore_ascii_case(b"Digest") {
                return Some(set);
            }
        }
        None
    }
}

impl<'a> DigestSets<'a> {
    fn of(value: &'a [u8]) -> Self {
        DigestSets { rest: value, unclosed: false }
    }

    /// All parameters up to what is none.
    fn parameters(&mut self, set: &mut DigestSet<'a>) {
        while !self.rest.is_empty() {
            // The fast path: a comma and a blank. `skip_separators` takes any number of either.
            self.rest = self.rest.strip_prefix(b", ").unwrap_or(self.rest);
            self.skip_separators();
            match set.fast_place(self.rest) {
                Some((place, behind)) => _ = place.get_or_insert(self.value(&self.rest[behind..])),
                None => match self.parameter() {
                    Some((name, value)) => set.put(name, value),
                    None => return,
                },
            }
        }
    }

    /// The next scheme name; whatever cannot be one is passed over.
    fn scheme(&mut self) -> Option<&'a [u8]> {
        // The fast path: the scheme to the letter. The loop below finds it in any case and behind
        // anything.
        if self.rest.starts_with(b"Digest ") {
            let (scheme, rest) = self.rest.split_at(b"Digest".len());
            self.rest = rest;
            return Some(scheme);
        }
        loop {
            let (token, rest) = self.rest.split_at(token_len(self.rest));
            self.rest = rest;
            self.rest = match rest.split_first() {
                Some((b'"', inner)) => quoted(inner)?.1,
                Some((&b, _)) if !token.is_empty() && (is_blank(b) || b == b',') => return Some(token),
                Some((_, after)) => after,
                None => return Some(token).filter(|token| !token.is_empty()),
            };
        }
    }

    /// The next `name=value`; `None`, with nothing consumed but separators, where something else
    /// stands.
    fn parameter(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        self.skip_separators();
        let (name, after) = self.rest.split_at(token_len(self.rest));
        let value = skip_blanks(after).strip_prefix(b"=").filter(|_| !name.is_empty())?;
        Some((name, self.value(value)))
    }

    #[inline]
    fn skip_separators(&mut self) {
        while let [separator, rest @ ..] = self.rest
            && (*separator == b',' || is_blank(*separator))
        {
            self.rest = rest;
        }
    }

    /// The value at the beginning of `text`, behind its equal sign; goes on behind it.
    #[inline]
    fn value(&mut self, text: &'a [u8]) -> &'a [u8] {
        let text = if text.first() > Some(&b' ') { text } else { skip_blanks(text) };
        let (value, rest) = match text.strip_prefix(b"\"") {
            // A string that is never closed: where it should end is anyone's guess, so nothing of
            // it is used.
            Some(inner) => quoted(inner).unwrap_or_else(|| {
                self.unclosed = true;
                (&inner[..0], &[])
            }),
            None => text.split_at(text.iter().position(|&b| is_blank(b) || b == b',').unwrap_or(text.len())),
        };
        self.rest = rest;
        value
    }
}

#[cfg(test)]
#[path = "challenge_tests.rs"]
mod tests;
