//! Challenges and the check of credentials (RFC 3261 §22, RFC 7616 §3, RFC 8760 §2).
//!
//! The digest itself is `sip::digest`, the same function the agents use. HA1 is computed for each
//! request: it costs one hash of three, about as much as a look-up in a table of a million users,
//! and needs no memory.

use super::address::{Address, same_target};
use super::config::{Config, Credential, FaultKind, KnownUsers, OfferedQop};
use super::nonce::{NonceState, Nonces};
use crate::sip::challenge::{self, Credentials, Role};
use crate::sip::{Algorithm, Ha1, Request, contact, digest};
use crate::vocab::{Time, Word};
use std::borrow::Cow;
use std::collections::HashMap;

/// A realm as it stands between quotes: escaped once, compared and hashed as it travels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Realm {
    quoted: Vec<u8>,
}

/// Which realm is challenged and which is checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct RealmPair<'a> {
    pub challenge: &'a Realm,
    pub verify: &'a Realm,
    /// Credentials for another realm are refused instead of challenged again.
    pub forbid_others: bool,
}

/// What credentials are worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Proof {
    Valid,
    /// Right, but for a nonce past its lifetime.
    Stale,
    /// Wrong response, realm or algorithm, or a nonce that is not ours: challenged again, as
    /// Kamailio does.
    Wrong,
    /// For another realm, where that is forbidden.
    OtherRealm,
    /// The digest's `uri` is not the Request-URI (RFC 7616 §3.4.6: 400).
    OtherUri,
}

/// What is needed to challenge and to check.
#[derive(Debug)]
pub(super) struct Authority {
    realm: Realm,
    users: KnownUsers,
    algorithms: Vec<Algorithm>,
    qop: OfferedQop,
    /// The names behind their hashes, where challenges ask for those: a row for each name, realm
    /// and algorithm. `None`: names come as they are.
    hashed: Option<HashMap<Vec<u8>, Vec<u8>>>,
    nonces: Nonces,
}

impl Realm {
    pub(super) fn new(text: &str) -> Self {
        let mut quoted = Vec::with_capacity(text.len());
        for byte in text.bytes() {
            if matches!(byte, b'"' | b'\\') {
                quoted.push(b'\\');
            }
            quoted.push(byte);
        }
        Realm { quoted }
    }
}

impl Authority {
    pub(super) fn new(config: &Config, nonces: Nonces) -> Self {
        let (users, algorithms) = (config.users.clone(), config.algorithms.clone());
        let others = config.faults.iter().flat_map(|fault| match &fault.kind {
            FaultKind::Realm { challenge, verify } => vec![challenge, verify],
            _ => Vec::new(),
        });
        let realms = others.chain([&config.realm]).map(String::as_str);
        let hashed = config.userhash.then(|| hashed_names(&users, &algorithms, realms));
        Authority { realm: Realm::new(&config.realm), users, algorithms, qop: config.qop, hashed, nonces }
    }

    /// The protection without a fault: one realm for both.
    pub(super) fn protection(&self) -> RealmPair<'_> {
        RealmPair { challenge: &self.realm, verify: &self.realm, forbid_others: false }
    }

    /// Checks the credentials of a request, if it carries any for a registrar: those for the realm
    /// checked against before others (RFC 3261 §22.3).
    pub(super) fn check(&self, now: Time, request: &Request<'_>, protection: &RealmPair<'_>) -> Option<Proof> {
        let mut all = challenge::all_credentials(request).filter(|given| given.role == Role::Registrar);
        let first = all.next()?;
        let ours = |given: &Credentials<'_>| given.realm == protection.verify.quoted;
        let given = if ours(&first) { first } else { all.find(ours).unwrap_or(first) };
        Some(self.prove(now, request, &given, protection))
    }

    /// A nonce of ours comes first: nobody else's credentials are worth a hash.
    fn prove(&self, now: Time, request: &Request<'_>, given: &Credentials<'_>, protection: &RealmPair<'_>) -> Proof {
        let state = self.nonces.check(now, given.nonce);
        // Without the parameter MD5 is meant (RFC 7616 §3.3).
        let algorithm = given.algorithm.unwrap_or(Algorithm::Md5);
        if state == NonceState::Unknown || !self.algorithms.contains(&algorithm) {
            return Proof::Wrong;
        }
        let verify = &protection.verify.quoted;
        if given.realm != verify {
            return match state {
                _ if !protection.forbid_others => Proof::Wrong,
                NonceState::Expired => Proof::Stale,
                _ => Proof::OtherRealm,
            };
        }
        if !same_target(given.uri, request.uri) {
            return Proof::OtherUri;
        }
        // What was not offered proves nothing.
        let offered = match self.qop {
            OfferedQop::Auth => !given.integrity,
            OfferedQop::AuthInt => given.integrity,
            OfferedQop::Both => true,
        };
        if !offered {
            return Proof::Wrong;
        }
        let name = self.name(given, algorithm, request);
        let Some(ha1) = name.and_then(|name| ha1(&self.users, algorithm, &name, verify, request.uri)) else {
            return Proof::Wrong;
        };
        let body = if given.integrity { request.body() } else { b"" };
        match state {
            _ if !given.prove(&ha1, request.method, body) => Proof::Wrong,
            NonceState::Expired => Proof::Stale,
            _ => Proof::Valid,
        }
    }

    /// The name that credentials are of. Where any name will do, a hashed one is that of the
    /// address of record, or nobody's.
    fn name<'a>(
        &'a self,
        given: &Credentials<'a>,
        algorithm: Algorithm,
        request: &Request<'a>,
    ) -> Option<Cow<'a, [u8]>> {
        if !given.userhash {
            return Some(given.plain_username());
        }
        let hash = given.username.to_ascii_lowercase();
        if let Some(name) = self.hashed.as_ref()?.get(&hash) {
            return Some(Cow::Borrowed(name));
        }
        let (user, _) = contact::address_of_record(request.to)?;
        digest::user_hash(algorithm, user, given.realm).matches(given.username).then_some(Cow::Borrowed(user))
    }

    /// Writes one `WWW-Authenticate` line for each algorithm, in the configured order (RFC 8760
    /// §2.3).
    pub(super) fn write_challenges(&self, now: Time, realm: &Realm, stale: bool, out: &mut Vec<u8>) {
        let nonce = self.nonces.issue(now);
        for algorithm in &self.algorithms {
            out.extend_from_slice(b"WWW-Authenticate: Digest realm=\"");
            out.extend_from_slice(&realm.quoted);
            out.extend_from_slice(b"\", nonce=\"");
            out.extend_from_slice(&nonce);
            out.extend_from_slice(b"\", qop=\"");
            out.extend_from_slice(self.qop.as_str().as_bytes());
            out.extend_from_slice(b"\", algorithm=");
            out.extend_from_slice(algorithm.as_str().as_bytes());
            if self.hashed.is_some() {
                out.extend_from_slice(b", userhash=true");
            }
            out.extend_from_slice(if stale { b", stale=true\r\n" } else { b"\r\n" });
        }
    }
}

/// The names that are known, by their hashes.
fn hashed_names<'r>(
    users: &KnownUsers,
    algorithms: &[Algorithm],
    realms: impl Iterator<Item = &'r str>,
) -> HashMap<Vec<u8>, Vec<u8>> {
    let mut hashed = HashMap::new();
    for realm in realms.map(Realm::new) {
        users.each_name(&mut |name| {
            for &algorithm in algorithms {
                let hash = digest::user_hash(algorithm, name, &realm.quoted);
                hashed.insert(hash.as_bytes().to_vec(), name.to_vec());
            }
        });
    }
    hashed
}

/// `None` for somebody unknown, who is challenged again like one with a wrong password: a registrar
/// does not tell strangers who exists (Kamailio's `auth_db` does the same). An HA1 of another
/// length cannot be checked.
fn ha1(users: &KnownUsers, algorithm: Algorithm, username: &[u8], realm: &[u8], target: &[u8]) -> Option<Ha1> {
    let password = match users {
        KnownUsers::Anybody(password) => password,
        KnownUsers::Listed(users) => match users.get(username)? {
            Credential::Password(password) => password,
            Credential::Ha1(ha1) => return ha1.fits(algorithm).then_some(**ha1),
        },
        KnownUsers::ByDomain(domains) => {
            let domain = Address::parse(target)?.host.to_ascii_lowercase();
            return ha1(domains.get(&domain)?, algorithm, username, realm, target);
        }
    };
    Some(Ha1::compute(algorithm, username, realm, password))
}
