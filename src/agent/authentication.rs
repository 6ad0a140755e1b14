//! What an agent keeps of a challenge in order to answer it, and to answer with it again (RFC 7616 §3.4, RFC 8760 §2.4).

use super::identity::{Credential, Identity};
use super::policy::{RealmPolicy, TrunkPolicy};
use crate::sip::challenge::{Role, Unusable, next_nonce};
use crate::sip::digest::{self, QopAuth};
use crate::sip::emit::Authorization;
use crate::sip::{Algorithm, AlgorithmSet, Challenge, Ha1, HexDigest, choose};

/// One challenge as kept between requests. The buffer is reused, so answering allocates nothing once it has grown.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// Realm, nonce and opaque one after another.
    text: Vec<u8>,
    realm_len: u16,
    nonce_len: u16,
    has_opaque: bool,
    algorithm: Algorithm,
    algorithm_named: bool,
    qop_auth: bool,
    role: Role,
    /// Nonce count of the request sent last with this nonce.
    nc: u32,
    ha1: Ha1,
    /// Received within the current attempt.
    pub fresh: bool,
    /// The current request carries it.
    pub carried: bool,
}

/// The challenges of a registrar and of a proxy before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Authentication {
    registrar: Option<Held>,
    /// Proxies that challenge are rare; agents without one pay a pointer.
    proxy: Option<Box<Held>>,
}

/// The digests of a request, computed before its text is written.
pub(super) struct Answers {
    digests: [Option<HexDigest>; 2],
    cnonce: [u8; 16],
}

impl Authentication {
    pub fn held(&self, role: Role) -> Option<&Held> {
        match role {
            Role::Registrar => self.registrar.as_ref(),
            Role::Proxy => self.proxy.as_deref(),
        }
    }

    fn each(&mut self) -> impl Iterator<Item = &mut Held> {
        self.registrar.as_mut().into_iter().chain(self.proxy.as_deref_mut())
    }

    /// A new attempt begins: nothing is fresh; what is held is carried if `reuse`.
    pub fn begin(&mut self, reuse: bool) {
        for held in self.each() {
            held.fresh = false;
            held.carried = reuse;
        }
    }

    /// A new request is about to be built: every carried nonce is used once more (RFC 7616 §3.4: `nc`).
    pub fn next_request(&mut self) {
        for held in self.each().filter(|held| held.carried) {
            held.nc = held.nc.saturating_add(1);
        }
    }

    pub fn carries_any(&self) -> bool {
        [Role::Registrar, Role::Proxy].into_iter().any(|role| self.held(role).is_some_and(|held| held.carried))
    }

    /// Takes up the challenge of a 401 or 407 for the next request.
    pub fn accept(
        &mut self,
        response: &crate::sip::Response<'_>,
        policy: &TrunkPolicy,
        identity: &Identity<'_>,
    ) -> Result<(), Unusable> {
        let challenge = choose(response, usable(policy.algorithms, identity.credential))?;
        let realm = match (policy.realm_policy, &policy.realm) {
            (RealmPolicy::Force, Some(realm)) => realm.as_bytes(),
            (RealmPolicy::Require, Some(realm)) if realm.as_bytes() != challenge.realm => return Err(Unusable::Realm),
            _ => challenge.realm,
        };
        match challenge.role {
            Role::Registrar => Held::take(&mut self.registrar, &challenge, realm, identity),
            Role::Proxy => {
                let mut slot = self.proxy.take().map(|held| *held);
                Held::take(&mut slot, &challenge, realm, identity);
                self.proxy = slot.map(Box::new);
            }
        }
        Ok(())
    }

    /// Takes over the nonces that a 2xx names for the next request.
    pub fn renew(&mut self, response: &crate::sip::Response<'_>) {
        for held in self.each() {
            if let Some(nonce) = next_nonce(response, held.role) {
                held.renew(nonce);
            }
        }
    }

    /// Whether the challenge that would be answered says `stale` (RFC 7616 §3.3): only the nonce was refused.
    pub fn is_stale(&self, response: &crate::sip::Response<'_>, policy: &TrunkPolicy, identity: &Identity<'_>) -> bool {
        choose(response, usable(policy.algorithms, identity.credential)).is_ok_and(|challenge| challenge.stale)
    }

    pub fn answers(&self, uri: &[u8], cnonce: [u8; 16]) -> Answers {
        let digest = |role| self.held(role).filter(|held| held.carried).map(|held| held.digest(uri, &cnonce));
        Answers { digests: [digest(Role::Registrar), digest(Role::Proxy)], cnonce }
    }

    pub fn authorizations<'a>(&'a self, username: &'a [u8], answers: &'a Answers) -> [Option<Authorization<'a>>; 2] {
        let [registrar, proxy] = &answers.digests;
        let one = |role, digest: &'a Option<HexDigest>| {
            let held = self.held(role)?;
            digest.as_ref().map(|digest| held.authorization(username, digest, &answers.cnonce))
        };
        [one(Role::Registrar, registrar), one(Role::Proxy, proxy)]
    }
}

impl Held {
    fn take(slot: &mut Option<Held>, challenge: &Challenge<'_>, realm: &[u8], identity: &Identity<'_>) {
        let known = slot.as_ref().filter(|held| held.algorithm == challenge.algorithm && held.realm() == realm);
        let ha1 = match (known, identity.credential) {
            (Some(held), _) => held.ha1,
            (None, Credential::Ha1(ha1)) => *ha1,
            (None, Credential::Password(password)) => {
                Ha1::compute(challenge.algorithm, identity.auth_user.as_bytes(), realm, password)
            }
        };
        let mut text = slot.take().map(|held| held.text).unwrap_or_default();
        text.clear();
        text.extend_from_slice(realm);
        text.extend_from_slice(challenge.nonce);
        text.extend_from_slice(challenge.opaque.unwrap_or_default());
        *slot = Some(Held {
            text,
            // A datagram is shorter than 64 KiB, so its parts are too.
            realm_len: realm.len() as u16,
            nonce_len: challenge.nonce.len() as u16,
            has_opaque: challenge.opaque.is_some(),
            algorithm: challenge.algorithm,
            algorithm_named: challenge.algorithm_named,
            qop_auth: challenge.qop_auth,
            role: challenge.role,
            nc: 0,
            ha1,
            fresh: true,
            carried: true,
        });
    }

    fn renew(&mut self, nonce: &[u8]) {
        let start = usize::from(self.realm_len);
        self.text.splice(start..start + usize::from(self.nonce_len), nonce.iter().copied());
        // A datagram is shorter than 64 KiB, so its parts are too.
        self.nonce_len = nonce.len() as u16;
        self.nc = 0;
    }

    fn realm(&self) -> &[u8] {
        &self.text[..usize::from(self.realm_len)]
    }

    fn nonce(&self) -> &[u8] {
        &self.text[usize::from(self.realm_len)..][..usize::from(self.nonce_len)]
    }

    fn opaque(&self) -> Option<&[u8]> {
        self.has_opaque.then(|| &self.text[usize::from(self.realm_len) + usize::from(self.nonce_len)..])
    }

    fn qop<'a>(&self, cnonce: &'a [u8; 16]) -> Option<QopAuth<'a>> {
        self.qop_auth.then_some(QopAuth { nc: self.nc, cnonce })
    }

    fn digest(&self, uri: &[u8], cnonce: &[u8; 16]) -> HexDigest {
        digest::response(self.algorithm, &self.ha1, self.nonce(), self.qop(cnonce), b"REGISTER", uri)
    }

    fn authorization<'a>(
        &'a self,
        username: &'a [u8],
        digest: &'a HexDigest,
        cnonce: &'a [u8; 16],
    ) -> Authorization<'a> {
        Authorization {
            role: self.role,
            username,
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
fn usable(accepted: AlgorithmSet, credential: &Credential) -> AlgorithmSet {
    match credential {
        Credential::Password(_) => accepted,
        Credential::Ha1(ha1) => Algorithm::ALL
            .into_iter()
            .filter(|&algorithm| accepted.contains(algorithm) && ha1.fits(algorithm))
            .fold(AlgorithmSet::EMPTY, AlgorithmSet::with),
    }
}
