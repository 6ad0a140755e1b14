//! What an agent or a probe keeps of a challenge in order to answer it, and to answer with it again
//! (RFC 7616 §3.4, RFC 8760 §2.4).
//!
//! An authentication session lasts from one challenge to the next (RFC 7616 §3.6). Refreshes and a
//! `nextnonce` stay within it: they count on, or begin to count anew, with the key that its first
//! answer made.

use super::identity::Credential;
use crate::sip::branch::hex16;
use crate::sip::challenge::{Role, next_nonce};
use crate::sip::digest;
use crate::sip::emit::Authorization;
use crate::sip::{Algorithm, AlgorithmSet, Challenge, Ha1, HexDigest, Protection, Qop, Response};
use crate::vocab::saturating_u16;
use std::num::NonZeroU64;

/// One challenge as kept between requests. The buffer is reused by a challenge of the same length,
/// as those of one registrar are; so answering allocates nothing from an agent's second challenge
/// on.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// Realm, hashed user name, opaque and nonce one after another.
    text: Box<[u8]>,
    realm_len: u16,
    /// 0: the user name goes in clear.
    userhash_len: u16,
    opaque_len: u16,
    has_opaque: bool,
    pub algorithm: Algorithm,
    algorithm_named: bool,
    pub protection: Option<Protection>,
    role: Role,
    /// Nonce count of the request sent last with this nonce.
    nc: u32,
    /// With a `-sess` algorithm the session's.
    ha1: Ha1,
    /// The current request carries it.
    pub carried: bool,
}

/// The challenges of a registrar and of a proxy before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Authentication {
    registrar: Option<Held>,
    /// Proxies that challenge are rare; agents without one pay a pointer.
    proxy: Option<Box<Held>>,
    /// One client nonce for an agent's life, drawn for its first answer: the nonce count sets its
    /// requests apart, and the key of a `-sess` session stays that of the first (RFC 7616 §3.4.2).
    /// In hex on the wire.
    cnonce: Option<NonZeroU64>,
}

/// Who answers a challenge, and with which realm.
#[derive(Clone, Copy)]
pub(super) struct Answerer<'a> {
    pub auth_user: &'a [u8],
    pub credential: &'a Credential,
    /// The `realm` parameter of the credentials.
    pub realm: &'a [u8],
    /// The realm within HA1, where it is another one.
    pub hashed_realm: Option<&'a [u8]>,
}

/// The digests of a request, computed before its text is written.
pub(super) struct Answers {
    digests: [Option<HexDigest>; 2],
    cnonce: [u8; 16],
}

impl Authentication {
    pub(super) fn held(&self, role: Role) -> Option<&Held> {
        match role {
            Role::Registrar => self.registrar.as_ref(),
            Role::Proxy => self.proxy.as_deref(),
        }
    }

    fn each(&mut self) -> impl Iterator<Item = &mut Held> {
        self.registrar.as_mut().into_iter().chain(self.proxy.as_deref_mut())
    }

    /// A new attempt begins: what is held is carried if `reuse`.
    pub(super) fn begin(&mut self, reuse: bool) {
        for held in self.each() {
            held.carried = reuse;
        }
    }

    /// A new request is about to be built: every carried nonce is used once more (RFC 7616 §3.4:
    /// `nc`).
    pub(super) fn next_request(&mut self) {
        for held in self.each().filter(|held| held.carried) {
            held.nc = held.nc.saturating_add(1);
        }
    }

    pub(super) fn carries_any(&self) -> bool {
        [Role::Registrar, Role::Proxy].into_iter().any(|role| self.held(role).is_some_and(|held| held.carried))
    }

    /// Takes up the challenge of a 401 or 407 for the next request. Requests carry the cnonce of
    /// the first call.
    pub(super) fn accept(&mut self, challenge: &Challenge<'_>, by: Answerer<'_>, cnonce: impl FnOnce() -> u64) {
        self.cnonce = self.cnonce.or_else(|| NonZeroU64::new(cnonce()));
        let cnonce = &self.cnonce();
        match challenge.role {
            Role::Registrar => Held::take(&mut self.registrar, challenge, by, cnonce),
            Role::Proxy => {
                let mut slot = self.proxy.take().map(|held| *held);
                Held::take(&mut slot, challenge, by, cnonce);
                self.proxy = slot.map(Box::new);
            }
        }
    }

    /// Goes on with the nonces that a 2xx names for next time (RFC 7616 §3.5: "The server MAY send
    /// this header with a nextnonce field as a means of implementing one-time nonces or otherwise
    /// changing nonces").
    pub(super) fn renew(&mut self, response: &Response<'_>) {
        for held in self.each().filter(|held| held.carried) {
            if let Some(nonce) = next_nonce(response, held.role) {
                held.replace_nonce(nonce);
            }
        }
    }

    /// The algorithm of the credentials that the current request carries, as a position in
    /// [`Algorithm::ALL`]; the registrar's before a proxy's.
    pub(super) fn answered(&self) -> Option<u8> {
        let roles = [Role::Registrar, Role::Proxy].into_iter();
        roles.filter_map(|role| self.held(role)).find(|held| held.carried).map(Held::algorithm)
    }

    /// What the current request is answered with, by a digest of it; `None` when it carries no
    /// credentials.
    pub(super) fn answers(
        &self,
        digest: impl Fn(Algorithm, &Ha1, &[u8], Option<Qop<'_>>) -> HexDigest,
    ) -> Option<Answers> {
        let carried = |role| self.held(role).filter(|held| held.carried);
        let (registrar, proxy) = (carried(Role::Registrar), carried(Role::Proxy));
        if registrar.is_none() && proxy.is_none() {
            return None;
        }
        let cnonce = self.cnonce();
        let of = |held: &Held| digest(held.algorithm, &held.ha1, held.nonce(), held.qop(&cnonce));
        Some(Answers { digests: [registrar.map(of), proxy.map(of)], cnonce })
    }

    /// Whatever is carried was accepted, and so has a cnonce; none is kept of a draw of 0.
    fn cnonce(&self) -> [u8; 16] {
        hex16(self.cnonce.map_or(0, NonZeroU64::get))
    }

    pub(super) fn authorizations<'a>(
        &'a self,
        username: &'a [u8],
        answers: Option<&'a Answers>,
    ) -> [Option<Authorization<'a>>; 2] {
        let Some(answers) = answers else { return [None, None] };
        let [registrar, proxy] = &answers.digests;
        let one = |role, digest: &'a Option<HexDigest>| {
            let held = self.held(role)?;
            digest.as_ref().map(|digest| held.authorization(username, digest, &answers.cnonce))
        };
        [one(Role::Registrar, registrar), one(Role::Proxy, proxy)]
    }
}

impl Held {
    fn take(slot: &mut Option<Held>, challenge: &Challenge<'_>, by: Answerer<'_>, cnonce: &[u8; 16]) {
        let Answerer { auth_user, credential, realm, hashed_realm } = by;
        let algorithm = challenge.algorithm;
        // A session's key is of no use to the next one, and the realm within another one is not
        // kept.
        let lasts = !algorithm.is_session() && hashed_realm.is_none();
        let known = slot.as_ref().filter(|held| lasts && held.algorithm == algorithm && held.realm() == realm);
        let hashed_realm = hashed_realm.unwrap_or(realm);
        let ha1 = match (known, credential) {
            (Some(held), _) => held.ha1,
            (None, Credential::Ha1(ha1)) => **ha1,
            (None, Credential::Password(password)) => Ha1::compute(algorithm, auth_user, hashed_realm, password),
        };
        let ha1 = if algorithm.is_session() { ha1.session(algorithm, challenge.nonce, cnonce) } else { ha1 };
        let userhash = challenge.userhash.then(|| digest::user_hash(algorithm, auth_user, hashed_realm));
        let userhash = userhash.as_ref().map_or(&b""[..], HexDigest::as_bytes);
        let opaque = challenge.opaque.unwrap_or_default();
        let parts = [realm, userhash, opaque, challenge.nonce];
        let length = parts.iter().map(|part| part.len()).sum();
        let kept = slot.take().map(|held| held.text).filter(|text| text.len() == length);
        let mut text = kept.unwrap_or_else(|| vec![0; length].into());
        let mut rest = &mut text[..];
        for part in parts {
            let (place, behind) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = behind;
        }
        // A datagram is shorter than 64 KiB, so its parts are too.
        let [realm_len, userhash_len, opaque_len] = [realm, userhash, opaque].map(|part| saturating_u16(part.len()));
        *slot = Some(Held {
            text,
            realm_len,
            userhash_len,
            opaque_len,
            has_opaque: challenge.opaque.is_some(),
            algorithm,
            algorithm_named: challenge.algorithm_named,
            protection: challenge.protection,
            role: challenge.role,
            nc: 0,
            ha1,
            carried: true,
        });
    }

    /// As a position in [`Algorithm::ALL`].
    pub(super) fn algorithm(&self) -> u8 {
        self.algorithm as u8
    }

    pub(super) fn realm(&self) -> &[u8] {
        &self.text[..usize::from(self.realm_len)]
    }

    fn userhash(&self) -> Option<&[u8]> {
        let hash = &self.text[usize::from(self.realm_len)..][..usize::from(self.userhash_len)];
        Some(hash).filter(|hash| !hash.is_empty())
    }

    fn opaque(&self) -> Option<&[u8]> {
        let end = self.nonce_start();
        self.has_opaque.then(|| &self.text[end - usize::from(self.opaque_len)..end])
    }

    /// The nonce comes last: it alone is replaced within a session.
    fn nonce_start(&self) -> usize {
        usize::from(self.realm_len) + usize::from(self.userhash_len) + usize::from(self.opaque_len)
    }

    /// Goes on with another nonce within the session.
    fn replace_nonce(&mut self, nonce: &[u8]) {
        let start = self.nonce_start();
        if self.text.len() == start + nonce.len() {
            self.text[start..].copy_from_slice(nonce);
        } else {
            self.text = [&self.text[..start], nonce].concat().into();
        }
        self.nc = 0;
    }

    fn nonce(&self) -> &[u8] {
        &self.text[self.nonce_start()..]
    }

    fn qop<'a>(&self, cnonce: &'a [u8; 16]) -> Option<Qop<'a>> {
        self.protection.map(|protection| Qop { protection, nc: self.nc, cnonce })
    }

    fn authorization<'a>(
        &'a self,
        username: &'a [u8],
        digest: &'a HexDigest,
        cnonce: &'a [u8; 16],
    ) -> Authorization<'a> {
        Authorization {
            role: self.role,
            username: self.userhash().unwrap_or(username),
            userhash: self.userhash_len > 0,
            realm: self.realm(),
            nonce: self.nonce(),
            opaque: self.opaque(),
            algorithm: self.algorithm_named.then_some(self.algorithm),
            qop: self.qop(cnonce),
            response: digest,
        }
    }
}

/// A pre-computed HA1 serves only the algorithms of its length.
pub(super) fn usable(accepted: AlgorithmSet, credential: &Credential) -> AlgorithmSet {
    match credential {
        Credential::Password(_) => accepted,
        Credential::Ha1(ha1) => Algorithm::ALL
            .into_iter()
            .filter(|&algorithm| accepted.contains(algorithm) && ha1.fits(algorithm))
            .fold(AlgorithmSet::EMPTY, AlgorithmSet::with),
    }
}

#[cfg(test)]
#[path = "authentication_tests.rs"]
mod tests;
