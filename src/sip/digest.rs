//! The digest response of RFC 7616 §3.4.1 (and RFC 2617/2069 where a challenge has no qop), over the bytes exactly as
//! received and as sent. The only digest in the house: client and embedded registrar both use it.

use crate::vocab::Secret;

/// A digest algorithm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Algorithm {
    Md5,
    Sha256,
    Sha512_256,
}

impl Algorithm {
    pub const ALL: [Algorithm; 3] = [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256];

    /// The token of RFC 7616 §6.1: `MD5`, `SHA-256`, `SHA-512-256`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha512_256 => "SHA-512-256",
        }
    }

    /// Reads the token in any case; `None` for an unknown algorithm.
    pub fn parse(token: &[u8]) -> Option<Algorithm> {
        Self::ALL.into_iter().find(|a| a.as_str().as_bytes().eq_ignore_ascii_case(token))
    }
}

/// The algorithms a trunk accepts.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct AlgorithmSet(u8);

impl AlgorithmSet {
    pub const EMPTY: AlgorithmSet = AlgorithmSet(0);

    pub const fn with(self, algorithm: Algorithm) -> Self {
        AlgorithmSet(self.0 | 1 << algorithm as u8)
    }

    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & 1 << algorithm as u8 != 0
    }
}

/// H(A1) as raw bytes: 16 of MD5, 32 of the others. Never printed.
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
}

impl Ha1 {
    /// H(username ":" realm ":" password) (RFC 7616 §3.4.2).
    pub fn compute(_algorithm: Algorithm, _username: &[u8], _realm: &[u8], _password: &Secret) -> Ha1 {
        let _ = (Ha1 { bytes: [0; 32], len: 16 }.bytes, Ha1 { bytes: [0; 32], len: 16 }.len);
        todo!()
    }

    /// Reads a pre-computed HA1 of 32 or 64 hex digits; `None` when it is neither.
    pub fn from_hex(_text: &str) -> Option<Ha1> {
        todo!()
    }

    /// Whether this HA1 can serve `algorithm` (its length fits).
    pub fn fits(&self, _algorithm: Algorithm) -> bool {
        todo!()
    }
}

/// The nonce count and client nonce of `qop=auth`.
#[derive(Clone, Copy, Debug)]
pub struct QopAuth<'a> {
    pub nc: u32,
    pub cnonce: &'a [u8],
}

/// `request-digest` for a request without body: with `qop` RFC 7616 §3.4.1, without it RFC 2069's.
pub fn response(
    _algorithm: Algorithm,
    _ha1: &Ha1,
    _nonce: &[u8],
    _qop: Option<QopAuth<'_>>,
    _method: &[u8],
    _uri: &[u8],
) -> HexDigest {
    let _ = HexDigest { text: [0; 64], len: 0 };
    todo!()
}
