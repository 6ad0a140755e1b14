//! What an agent or a probe keeps of a challenge in order to answer it, and to answer with it again
//! (RFC 7616 §3.4, RFC 8760 §2.4).
//!
//! An authentication session lasts from one challenge to the next (RFC 7616 §3.6). Refreshes and a
//! `nextnonce` stay within it: they go on counting, or start again at 1 with a new nonce, but keep
//! the key computed for the first answer.

use super::exchange::{Challenger, Exchange};
use super::identity::Credential;
use crate::sip::branch::hex16;
use crate::sip::challenge::{REALMS, Role, next_nonce};
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

/// The challenges of the realms on the way, of a registrar and of proxies before it (RFC 3261
/// §22.3), by role and realm.
#[derive(Clone, Debug, Default)]
pub(super) struct Authentication {
    /// Whoever challenged first, mostly the only one.
    first: Option<Held>,
    /// Further realms are rare; agents without one pay a pointer.
    others: Option<Box<[Option<Held>; REALMS - 1]>>,
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

impl Authentication {
    /// The places behind the first; none before they are needed.
    fn further(&self) -> &[Option<Held>] {
        self.others.as_deref().map_or(&[], |others| others)
    }

    /// What is held, by place.
    fn places(&self) -> impl DoubleEndedIterator<Item = &Option<Held>> {
        std::iter::once(&self.first).chain(self.further())
    }

    fn each(&self) -> impl DoubleEndedIterator<Item = &Held> {
        self.first.iter().chain(self.further().iter().flatten())
    }

    fn each_mut(&mut self) -> impl Iterator<Item = &mut Held> {
        let further = self.others.as_deref_mut().map_or(&mut [][..], |others| others);
        self.first.iter_mut().chain(further.iter_mut().flatten())
    }

    /// The latest of a role.
    pub(super) fn held(&self, role: Role) -> Option<&Held> {
        self.each().rfind(|held| held.role == role)
    }

    /// Who challenges with this role and realm, for [`Exchange`]: the place that such a challenge
    /// has or would have here. `None` when this exchange has answered as many others as there are
    /// places.
    pub(super) fn place(&self, role: Role, realm: &[u8], exchange: Exchange) -> Option<Challenger> {
        let known = self.places().position(|place| place.as_ref().is_some_and(|held| held.is_of(role, realm)));
        // An empty place before one of a realm that did not challenge this time.
        let free = || self.places().take(REALMS).position(Option::is_none);
        let further = || (self.others.is_none() && self.first.is_some()).then_some(1);
        let idle = || (0..REALMS).find(|&place| !exchange.has_answered(Challenger::nth(place)));
        known.or_else(free).or_else(further).or_else(idle).map(Challenger::nth)
    }

    /// Whether what is held of this challenger is this nonce.
    pub(super) fn has_nonce(&self, by: Challenger, nonce: &[u8]) -> bool {
        self.places().nth(by.place()).is_some_and(|place| place.as_ref().is_some_and(|held| held.nonce() == nonce))
    }

    /// Whether this exchange has answered a challenge of this role.
    pub(super) fn has_answered(&self, role: Role, exchange: Exchange) -> bool {
        let is_it = |held: &Held| held.role == role;
        self.places()
            .enumerate()
            .any(|(n, place)| place.as_ref().is_some_and(is_it) && exchange.has_answered(Challenger::nth(n)))
    }

    /// A new attempt begins: what is held is carried if `reuse`.
    pub(super) fn begin(&mut self, reuse: bool) {
        for held in self.each_mut() {
            held.carried = reuse;
        }
    }

    /// A new request is about to be built: every carried nonce is used once more (RFC 7616 §3.4:
    /// `nc`).
    pub(super) fn next_request(&mut self) {
        for held in self.each_mut().filter(|held| held.carried) {
            held.nc = held.nc.saturating_add(1);
        }
    }

    pub(super) fn carries_any(&self) -> bool {
        self.each().any(|held| held.carried)
    }

    /// Takes up the challenge of a 401 or 407 for the next request, in the place that
    /// [`place`](Self::place) told. Requests carry the cnonce of the first call.
    pub(super) fn accept(
        &mut self,
        by: Challenger,
        challenge: &Challenge<'_>,
        answerer: Answerer<'_>,
        cnonce: impl FnOnce() -> u64,
    ) {
        self.cnonce = self.cnonce.or_else(|| NonZeroU64::new(cnonce()));
        let cnonce = &self.cnonce();
        let slot = match by.place() {
            0 => &mut self.first,
            further => &mut self.others.get_or_insert_default()[further - 1],
        };
        Held::take(slot, challenge, answerer, cnonce);
    }

    /// Goes on with the nonces that a 2xx names for next time (RFC 7616 §3.5: "The server MAY send
    /// this header with a nextnonce field as a means of implementing one-time nonces or otherwise
    /// changing nonces").
    pub(super) fn renew(&mut self, response: &Response<'_>) {
        for held in self.each_mut().filter(|held| held.carried) {
            if let Some(nonce) = next_nonce(response, held.role) {
                held.replace_nonce(nonce);
            }
        }
    }

    /// The algorithm of the credentials that the current request carries, as a position in
    /// [`Algorithm::ALL`]; the registrar's before a proxy's.
    pub(super) fn answered(&self) -> Option<u8> {
        let carried = |role| self.each().rfind(|held| held.carried && held.role == role);
        carried(Role::Registrar).or_else(|| carried(Role::Proxy)).map(Held::algorithm)
    }

    /// Lets `write` write the current request with the credentials that it carries, each with a
    /// digest of the request: the registrar's before those of proxies, and of one role the latest
    /// first.
    pub(super) fn authorize<T>(
        &self,
        username: &[u8],
        digest: impl Fn(Algorithm, &Ha1, &[u8], Option<Qop<'_>>) -> HexDigest,
        write: impl FnOnce(&[Authorization<'_>]) -> T,
    ) -> T {
        let cnonce = self.cnonce();
        let of = |held: &Held| digest(held.algorithm, &held.ha1, held.nonce(), held.qop(&cnonce));
        let mut carried = self.each().filter(|held| held.carried);
        match (carried.next(), carried.next()) {
            (None, _) => write(&[]),
            (Some(only), None) => write(&[only.authorization(username, &of(only), &cnonce)]),
            (Some(one), Some(_)) => {
                let of_role = |role| self.each().rev().filter(move |held| held.carried && held.role == role);
                let (mut all, mut count) = ([one; REALMS], 0);
                for held in of_role(Role::Registrar).chain(of_role(Role::Proxy)) {
                    all[count] = held;
                    count += 1;
                }
                let digests = all.map(of);
                let each: [_; REALMS] = std::array::from_fn(|n| all[n].authorization(username, &digests[n], &cnonce));
                write(&each[..count])
            }
        }
    }

    /// Whatever is carried was accepted, and so has a cnonce; none is kept of a draw of 0.
    fn cnonce(&self) -> [u8; 16] {
        hex16(self.cnonce.map_or(0, NonZeroU64::get))
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
        // RFC 7616 §3.4: `nc` counts the requests with this nonce, also when the registrar hands it
        // out again.
        let again = slot.as_ref().filter(|held| held.is_of(challenge.role, realm) && held.nonce() == challenge.nonce);
        let nc = again.map_or(0, |held| held.nc);
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
            nc,
            ha1,
            carried: true,
        });
    }

    fn is_of(&self, role: Role, realm: &[u8]) -> bool {
        self.role == role && self.realm() == realm
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
