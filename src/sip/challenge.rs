//! `WWW-Authenticate` and `Proxy-Authenticate` (RFC 7616 §3.3), and the choice among several (RFC 8760 §2.4);
//! `Authorization` as a registrar reads it (RFC 7616 §3.4).

use super::digest::{Algorithm, AlgorithmSet};
use super::scan::{Request, Response};

/// Whose challenge it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// 401, `WWW-Authenticate` / `Authorization`.
    Registrar,
    /// 407, `Proxy-Authenticate` / `Proxy-Authorization`.
    Proxy,
}

/// One Digest challenge. Quoted values are given raw, without their quotes and with escapes as received: RFC 7616
/// hashes and echoes them unchanged.
#[derive(Clone, Debug)]
pub struct Challenge<'a> {
    pub role: Role,
    pub realm: &'a [u8],
    pub nonce: &'a [u8],
    pub opaque: Option<&'a [u8]>,
    pub algorithm: Algorithm,
    /// False when the challenge had no `algorithm` parameter (then MD5 is meant, and the answer names none).
    pub algorithm_named: bool,
    /// `auth` was among the offered qop values. False with no qop at all (RFC 2069 style).
    pub qop_auth: bool,
    pub stale: bool,
}

/// Why no challenge of a 401/407 can be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unusable {
    #[error("the response carries no Digest challenge")]
    NoChallenge,
    #[error("none of the offered algorithms is accepted")]
    NoAcceptedAlgorithm,
    #[error("the challenge offers only qop values that are not supported")]
    UnsupportedQop,
    #[error("a challenge lacks its realm or nonce")]
    Incomplete,
    #[error("the challenged realm is not the required one")]
    Realm,
}

/// The topmost challenge that uses an accepted algorithm (RFC 8760 §2.4): header by header, within a header from left
/// to right. A 401 is searched for `WWW-Authenticate`, a 407 for `Proxy-Authenticate`.
///
/// # Errors
/// When there is none.
pub fn choose<'a>(_response: &Response<'a>, _accepted: AlgorithmSet) -> Result<Challenge<'a>, Unusable> {
    todo!()
}

/// The credentials of a request: the parameters of `Authorization: Digest …`, values as in [`Challenge`].
#[derive(Clone, Debug)]
pub struct Credentials<'a> {
    pub username: &'a [u8],
    pub realm: &'a [u8],
    pub nonce: &'a [u8],
    pub uri: &'a [u8],
    pub response: &'a [u8],
    pub algorithm: Option<Algorithm>,
    /// (nc as sent, cnonce) when `qop=auth`.
    pub qop_auth: Option<(u32, &'a [u8])>,
}

/// The first Digest credentials of a request, if it carries any that can be read.
pub fn credentials<'a>(_request: &Request<'a>) -> Option<Credentials<'a>> {
    todo!()
}
