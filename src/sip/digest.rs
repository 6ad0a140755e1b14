//! The digest response of RFC 7616 §3.4.1 (and RFC 2617/2069 where a challenge has no qop), over
//! the bytes exactly as received and as sent. The only digest in the house: client and embedded
//! registrar both use it.
//!
//! An answer is built in three steps: [`Ha1::compute`] from the password, [`Ha1::session`] for the
//! `-sess` algorithms, [`request_digest`] over one request. [`response`] does the last two at once
//! for a session's first request.
//!
//! Read first: RFC 7616 §3.4, RFC 8760 §2.

use super::branch::{hex8, hex32};
use crate::vocab::Secret;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

/// A digest algorithm. The `-sess` ones key each authentication session with a secret of its own
/// (RFC 7616 §3.4.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Algorithm {
    Md5,
    Sha256,
    Sha512_256,
    Md5Sess,
    Sha256Sess,
    Sha512_256Sess,
}

impl Algorithm {
    pub const ALL: [Algorithm; 6] = [
        Algorithm::Md5,
        Algorithm::Sha256,
        Algorithm::Sha512_256,
        Algorithm::Md5Sess,
        Algorithm::Sha256Sess,
        Algorithm::Sha512_256Sess,
    ];

    /// The token of RFC 7616 §6.1: `MD5`, `SHA-256`, `SHA-512-256`, each with `-sess` for sessions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha512_256 => "SHA-512-256",
            Algorithm::Md5Sess => "MD5-sess",
            Algorithm::Sha256Sess => "SHA-256-sess",
            Algorithm::Sha512_256Sess => "SHA-512-256-sess",
        }
    }

    /// Reads the token in any case; `None` for an unknown algorithm.
    pub fn parse(token: &[u8]) -> Option<Algorithm> {
        Self::ALL.into_iter().find(|a| a.as_str().as_bytes().eq_ignore_ascii_case(token))
    }

    /// Whether it is a `-sess` one. Such a digest needs a client nonce, hence a challenge with qop.
    pub const fn is_session(self) -> bool {
        matches!(self, Algorithm::Md5Sess | Algorithm::Sha256Sess | Algorithm::Sha512_256Sess)
    }

    /// Its position among the three hash functions: a `-sess` algorithm has that of the one it is
    /// made of.
    pub(super) const fn function(self) -> usize {
        self as usize % FUNCTIONS
    }

    /// Length of its output in bytes.
    const fn size(self) -> usize {
        match self {
            Algorithm::Md5 | Algorithm::Md5Sess => 16,
            Algorithm::Sha256 | Algorithm::Sha512_256 | Algorithm::Sha256Sess | Algorithm::Sha512_256Sess => 32,
        }
    }
}

/// Hash functions: the first algorithms of [`Algorithm::ALL`], which the `-sess` ones follow in the
/// same order.
pub(super) const FUNCTIONS: usize = 3;

/// The algorithms a trunk accepts. `MD5` and `MD5-sess` are two, as are the others.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct AlgorithmSet(u8);

impl AlgorithmSet {
    pub const EMPTY: AlgorithmSet = AlgorithmSet(0);
    pub const ALL: AlgorithmSet = {
        let mut all = AlgorithmSet::EMPTY;
        let mut n = 0;
        while n < Algorithm::ALL.len() {
            all = all.with(Algorithm::ALL[n]);
            n += 1;
        }
        all
    };

    pub const fn with(self, algorithm: Algorithm) -> Self {
        AlgorithmSet(self.0 | 1 << algorithm as u8)
    }

    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & 1 << algorithm as u8 != 0
    }

    /// One bit per algorithm, by position in [`Algorithm::ALL`]; the highest is never set.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set of such bits; those that stand for no algorithm are left out.
    pub const fn from_bits(bits: u8) -> Self {
        AlgorithmSet(bits & Self::ALL.0)
    }

    /// Its algorithms, in the order of [`Algorithm::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(move |&algorithm| self.contains(algorithm))
    }
}

/// H(A1) as raw bytes: 16 of MD5, 32 of the others. Of the user, or of a session. Never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ha1 {
    bytes: [u8; 32],
    len: u8,
}

impl std::fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ha1(***)")
    }
}

/// What proves an identity.
#[derive(Clone, Debug)]
pub enum Credential {
    Password(Secret),
    /// For one realm, and for the algorithms of its length only. Apart, for it is twice as long as
    /// what leads to a password, and a list has a credential for each agent.
    Ha1(Box<Ha1>),
}

const _: () = assert!(size_of::<Credential>() <= 24);

/// A digest as lower-case hex: 32 or 64 characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HexDigest {
    text: [u8; 64],
    len: u8,
}

impl std::fmt::Debug for HexDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HexDigest(***)")
    }
}

impl HexDigest {
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }

    /// Whether a received `response` is this digest. RFC 7616 §3.4 writes it in lower case; upper
    /// case is let pass.
    pub fn matches(&self, received: &[u8]) -> bool {
        self.as_bytes().eq_ignore_ascii_case(received)
    }

    fn of(bytes: &[u8; 32], len: u8) -> Self {
        let mut text = [0; 64];
        let ([first, second], _) = bytes.as_chunks() else { unreachable!("two halves") };
        text[..32].copy_from_slice(&hex32(first));
        if len > 16 {
            text[32..].copy_from_slice(&hex32(second));
        }
        HexDigest { text, len: len * 2 }
    }
}

impl Ha1 {
    /// H(username ":" realm ":" password) (RFC 7616 §3.4.2): what a `-sess` algorithm starts from,
    /// and what a registrar may store (RFC 7616 §5.1).
    pub fn compute(algorithm: Algorithm, username: &[u8], realm: &[u8], password: &Secret) -> Ha1 {
        hash(algorithm, [username, b":", realm, b":", password.reveal().as_bytes()])
    }

    /// The key of the session that begins with this server nonce and client nonce: H(H(A1) ":"
    /// nonce ":" cnonce).
    ///
    /// "This is computed only once - on the first request by the client following receipt of a
    /// WWW-Authenticate challenge" (RFC 7616 §3.4.2): later requests keep it, with another cnonce
    /// and after a `nextnonce` too.
    pub fn session(&self, algorithm: Algorithm, nonce: &[u8], cnonce: &[u8]) -> Ha1 {
        hash(algorithm, [self.hex().as_bytes(), b":", nonce, b":", cnonce])
    }

    /// Reads a pre-computed HA1 of 32 or 64 hex digits; `None` when it is neither.
    #[expect(clippy::cast_possible_truncation, reason = "two hex digits; 64 of them at most")]
    pub fn from_hex(text: &str) -> Option<Ha1> {
        if !matches!(text.len(), 32 | 64) {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = (high << 4 | low) as u8;
        }
        Some(Ha1 { bytes, len: text.len() as u8 / 2 })
    }

    /// Whether this HA1 can serve `algorithm` (its length fits).
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        usize::from(self.len) == algorithm.size()
    }

    fn hex(&self) -> HexDigest {
        HexDigest::of(&self.bytes, self.len)
    }
}

/// What a digest protects (`qop`, RFC 7616 §3.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// `auth`: method and URI.
    Auth,
    /// `auth-int`: the body too.
    AuthInt,
}

impl Protection {
    pub const fn as_str(self) -> &'static str {
        match self {
            Protection::Auth => "auth",
            Protection::AuthInt => "auth-int",
        }
    }
}

/// The qop of an answer with its nonce count and client nonce.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Qop<'a> {
    pub protection: Protection,
    pub nc: u32,
    pub cnonce: &'a [u8],
}

/// The nonce count and client nonce of `qop=auth`.
#[derive(Clone, Copy, Debug)]
pub struct QopAuth<'a> {
    pub nc: u32,
    pub cnonce: &'a [u8],
}

/// What a digest is computed over besides H(A1). `nonce`, `uri` and `cnonce` are hashed as they
/// stand between their quotes: unq(X) is "the value of the quoted-string X without the surrounding
/// quotes" (RFC 7616 §3.3).
#[derive(Clone, Copy, Debug)]
pub struct Covered<'a> {
    pub nonce: &'a [u8],
    /// `None` is RFC 2069's digest.
    pub qop: Option<Qop<'a>>,
    pub method: &'a [u8],
    pub uri: &'a [u8],
    /// Counts with `auth-int` only (RFC 7616 §3.4.3).
    pub body: &'a [u8],
}

/// H(A2) of a request by its method and URI (RFC 7616 §3.4.3), in the hex it is hashed in: the same
/// for all requests to one target, but for those with `auth-int`.
pub fn method_digest(algorithm: Algorithm, method: &[u8], uri: &[u8]) -> HexDigest {
    hash(algorithm, [method, b":", uri]).hex()
}

/// `request-digest` of RFC 7616 §3.4.1. `ha1` is the session's for a `-sess` algorithm, see
/// [`Ha1::session`].
pub fn request_digest(algorithm: Algorithm, ha1: &Ha1, covered: &Covered<'_>) -> HexDigest {
    let Covered { nonce, qop, method, uri, body } = *covered;
    // A2 = Method ":" request-uri, with auth-int Method ":" request-uri ":" H(entity-body) (RFC
    // 7616 §3.4.3).
    let ha2 = match qop {
        Some(Qop { protection: Protection::AuthInt, .. }) => {
            hash(algorithm, [method, b":", uri, b":", hash(algorithm, [body]).hex().as_bytes()]).hex()
        }
        _ => method_digest(algorithm, method, uri),
    };
    digest_of(algorithm, ha1, nonce, qop, &ha2)
}

/// As [`request_digest`], with H(A2) known: [`method_digest`], unless the qop is `auth-int`.
pub fn digest_of(algorithm: Algorithm, ha1: &Ha1, nonce: &[u8], qop: Option<Qop<'_>>, ha2: &HexDigest) -> HexDigest {
    let ha1 = ha1.hex();
    let (ha1, ha2) = (ha1.as_bytes(), ha2.as_bytes());
    let digest = match qop {
        Some(Qop { protection, nc, cnonce }) => {
            let count = hex8(nc);
            let qop = protection.as_str().as_bytes();
            hash(algorithm, [ha1, b":", nonce, b":", &count, b":", cnonce, b":", qop, b":", ha2])
        }
        None => hash(algorithm, [ha1, b":", nonce, b":", ha2]),
    };
    digest.hex()
}

/// The digest of a request without body that opens its session, from H(username ":" realm ":"
/// password).
pub fn response(
    algorithm: Algorithm,
    ha1: &Ha1,
    nonce: &[u8],
    qop: Option<QopAuth<'_>>,
    method: &[u8],
    uri: &[u8],
) -> HexDigest {
    let session = qop.filter(|_| algorithm.is_session()).map(|qop| ha1.session(algorithm, nonce, qop.cnonce));
    let qop = qop.map(|QopAuth { nc, cnonce }| Qop { protection: Protection::Auth, nc, cnonce });
    let covered = Covered { nonce, qop, method, uri, body: b"" };
    request_digest(algorithm, session.as_ref().unwrap_or(ha1), &covered)
}

/// What stands in `username` when a challenge says `userhash=true`: H(username ":" realm) (RFC 7616
/// §3.4.4).
pub fn user_hash(algorithm: Algorithm, username: &[u8], realm: &[u8]) -> HexDigest {
    hash(algorithm, [username, b":", realm]).hex()
}

/// Inlined, so that parts of a length known where it is called are a store or two.
#[inline(always)]
fn hash<const N: usize>(algorithm: Algorithm, parts: [&[u8]; N]) -> Ha1 {
    let mut text = [0; GATHERED];
    let len = gather(parts, &mut text);
    match (algorithm, len) {
        (Algorithm::Md5 | Algorithm::Md5Sess, Some(len)) if len + PADDING <= GATHERED => md5(&mut text, len),
        (_, Some(len)) => hash_parts(algorithm, &[&text[..len]]),
        (_, None) => hash_parts(algorithm, &parts),
    }
}

fn hash_parts(algorithm: Algorithm, parts: &[&[u8]]) -> Ha1 {
    match algorithm {
        Algorithm::Md5 | Algorithm::Md5Sess => hash_with::<Md5>(parts),
        Algorithm::Sha256 | Algorithm::Sha256Sess => hash_with::<Sha256>(parts),
        Algorithm::Sha512_256 | Algorithm::Sha512_256Sess => hash_with::<Sha512_256>(parts),
    }
}

/// MD5 of the first `len` bytes, with zeros and room for its padding behind them: three blocks make
/// a registration, and handing the text over to a hasher, which keeps and pads what does not fill a
/// block, costs a third of one of them.
fn md5(text: &mut [u8; GATHERED], len: usize) -> Ha1 {
    // RFC 1321 §3.1, §3.2: a one bit, zeros up to eight bytes before a block's end, and the length
    // in bits.
    let end = (len + PADDING).next_multiple_of(BLOCK);
    text[len] = 0x80;
    text[end - 8..end].copy_from_slice(&(len as u64 * 8).to_le_bytes());
    let mut state = MD5_START;
    md5::block_api::compress(&mut state, text[..end].as_chunks().0);
    let mut bytes = [0; 32];
    for (slot, word) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
        *slot = word.to_le_bytes();
    }
    Ha1 { bytes, len: 16 }
}

/// RFC 1321 §3.3.
const MD5_START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// Bytes of an MD5 block.
const BLOCK: usize = 64;

/// The least that follows a text in its last blocks.
const PADDING: usize = 9;

#[expect(clippy::cast_possible_truncation, reason = "32 bytes at most")]
fn hash_with<D: Digest>(parts: &[&[u8]]) -> Ha1 {
    let output = parts.iter().fold(D::new(), |state, part| state.chain_update(part)).finalize();
    let mut bytes = [0; 32];
    bytes[..output.len()].copy_from_slice(&output);
    Ha1 { bytes, len: output.len() as u8 }
}

/// Writes the parts one after another and returns their length; `None` when they do not fit. One
/// update of a hasher costs more than a copy does.
#[inline(always)]
fn gather<const N: usize>(parts: [&[u8]; N], text: &mut [u8; GATHERED]) -> Option<usize> {
    let mut len = 0;
    for part in parts {
        text.get_mut(len..len + part.len())?.copy_from_slice(part);
        len += part.len();
    }
    Some(len)
}

/// What is hashed of a registration is shorter than this; longer texts are hashed part by part.
const GATHERED: usize = 320;

#[cfg(test)]
#[path = "digest_tests.rs"]
mod tests;
