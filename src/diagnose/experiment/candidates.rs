//! Which changes are worth trying, in which order, given how the unchanged attempt ended; and why
//! others are not.

use super::change::{Answer, Change, TrialOutcome, TrialSubject};
use crate::sip::challenge::Unusable;
use crate::sip::{Algorithm, Protection};
use crate::vocab::Place;
use std::time::Duration;

/// A change that is not tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    /// As [`Change::name`].
    pub change: &'static str,
    pub reason: String,
}

/// The longest `Retry-After` that is waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The lifetime tried instead of a longer one, seconds: the shortest that registrars commonly
/// grant.
const SHORT_EXPIRES_S: u32 = 60;

/// The changes to try after `first`, in order, and those left out.
pub(super) fn candidates(subject: &TrialSubject, first: &TrialOutcome) -> (Vec<Change>, Vec<Skipped>) {
    let mut list = Candidates { subject, first, changes: Vec::new(), skipped: Vec::new() };
    match &first.answer {
        Answer::Unusable(unusable) => {
            match unusable {
                Unusable::Realm => list.realms(),
                _ => list.algorithms(),
            }
            list.skip_all(&["source", "port", "domain", "agent"], "the challenge itself cannot be answered");
        }
        Answer::Transport(_) => {
            list.sources();
            list.skip_all(&["port", "domain", "agent"], "nothing reaches the registrar");
        }
        _ if first.was_challenged() => {
            list.credentials();
            list.surroundings();
            list.sources();
            list.domain();
            list.pause();
            list.wrong_password();
            list.control();
        }
        _ => {
            let reason = match first.answer {
                Answer::Silence => "no answer before any challenge: credentials were not looked at",
                _ => "refused before any challenge: credentials were not looked at",
            };
            list.skip_all(&["realm", "algorithm", "qop", "auth_user"], reason);
            list.sources();
            list.surroundings();
            list.domain();
            list.pause();
            list.control();
        }
    }
    (list.changes, list.skipped)
}

struct Candidates<'a> {
    subject: &'a TrialSubject,
    first: &'a TrialOutcome,
    changes: Vec<Change>,
    skipped: Vec<Skipped>,
}

impl Candidates<'_> {
    fn skip(&mut self, change: &'static str, reason: impl Into<String>) {
        self.skipped.push(Skipped { change, reason: reason.into() });
    }

    fn skip_all(&mut self, changes: &[&'static str], reason: &str) {
        changes.iter().for_each(|change| self.skip(change, reason));
    }

    fn credentials(&mut self) {
        self.realms();
        self.algorithms();
        self.qops();
        self.auth_users();
    }

    fn realms(&mut self) {
        let used = self.first.used.as_ref().map(|used| used.header_realm.as_str());
        let challenged = self.first.offers.first().map(|offer| offer.realm.as_str());
        let Some(challenged) = challenged.or(used) else {
            return self.skip("realm", "the challenge names none");
        };
        // Nothing is in use yet when the challenge could not be answered.
        let variants = realm_variants(challenged, used.unwrap_or_default(), self.subject);
        if variants.is_empty() {
            return self.skip("realm", "the profile suggests no other than the one challenged");
        }
        if !self.subject.has_password {
            self.skip("realm-in-hash", "a precomputed HA1 holds its realm; write the password to try others");
        }
        for variant in variants {
            if !self.subject.has_password {
                self.changes.push(Change::RealmInHeader(variant));
                continue;
            }
            let whole = Change::Realm(variant);
            // A registrar may compare one realm and hash with another; only the profile's own is
            // worth so many attempts.
            let is_configured = self.subject.configured_realm.as_ref() == Some(&whole.value());
            let parts = if is_configured { whole.parts() } else { Vec::new() };
            self.changes.push(whole);
            self.changes.extend(parts);
        }
    }

    fn algorithms(&mut self) {
        let used = self.first.used.as_ref().map(|used| used.algorithm);
        let mut known: Vec<Algorithm> = self.first.offers.iter().filter_map(|offer| offer.known).collect();
        known.retain(|algorithm| Some(*algorithm) != used);
        let mut others: Vec<Algorithm> = Vec::new();
        for algorithm in known {
            if !others.contains(&algorithm) && self.subject.servable.contains(algorithm) {
                others.push(algorithm);
            } else if !self.subject.servable.contains(algorithm) {
                self.skip("algorithm", format!("{}: the HA1 has another length", algorithm.as_str()));
            }
        }
        for offer in self.first.offers.iter().filter(|offer| offer.known.is_none()) {
            self.skipped.push(Skipped { change: "algorithm", reason: format!("{} is not known", offer.algorithm) });
        }
        if others.is_empty() {
            self.skip("algorithm", "no other one is offered");
        }
        self.changes.extend(others.into_iter().map(Change::Algorithm));
    }

    fn qops(&mut self) {
        let Some(used) = self.first.used.clone() else { return self.skip("qop", "no credentials were sent") };
        let offer = self.first.offers.iter().find(|offer| offer.known == Some(used.algorithm));
        let offers = |qop: Protection| {
            offer.is_some_and(|offer| offer.qops.iter().any(|offered| offered.eq_ignore_ascii_case(qop.as_str())))
        };
        let mut others: Vec<Option<Protection>> =
            [Protection::Auth, Protection::AuthInt].into_iter().filter(|&qop| offers(qop)).map(Some).collect();
        // Every registrar knew it once (RFC 2069), but a session's key needs the client's nonce.
        if !used.algorithm.is_session() {
            others.push(None);
        }
        others.retain(|qop| *qop != used.qop);
        if others.is_empty() {
            self.skip("qop", "no other one can be answered");
        }
        self.changes.extend(others.into_iter().map(Change::Qop));
    }

    fn auth_users(&mut self) {
        if !self.subject.has_password {
            return self.skip("auth_user", "a precomputed HA1 holds its user; write the password to try others");
        }
        let TrialSubject { user, domain, auth_user, .. } = self.subject;
        let mut others = vec![user.clone(), format!("{user}@{domain}"), format!("sip:{user}@{domain}")];
        others.retain(|other| other != auth_user);
        self.changes.extend(others.into_iter().map(Change::AuthUser));
    }

    /// What is about the binding rather than about who asks for it.
    fn surroundings(&mut self) {
        if matches!(self.first.code(), Some(401 | 407)) && self.first.place == Place::AfterCredentials {
            self.skip_all(&["contact", "expires"], "the credentials are refused, not the binding");
        } else {
            self.contact();
            self.expires();
        }
        self.changes.push(Change::CallId);
        if !self.changes.contains(&Change::Port) {
            self.changes.push(Change::Port);
        }
    }

    fn contact(&mut self) {
        match self.first.seen_from {
            None => self.skip("contact", "the registrar does not say which address it sees"),
            Some(seen) if seen == self.subject.local => {
                self.skip("contact", "the registrar sees the address of the Contact");
            }
            Some(seen) => self.changes.push(Change::Contact(seen.to_string())),
        }
    }

    fn expires(&mut self) {
        if self.subject.expires_s > SHORT_EXPIRES_S {
            self.changes.push(Change::Expires(SHORT_EXPIRES_S));
        } else {
            self.skip("expires", "the lifetime is short already");
        }
    }

    fn sources(&mut self) {
        let own = self.subject.local.ip();
        let others: Vec<_> = self.subject.other_sources.iter().filter(|&&source| source != own).copied().collect();
        if others.is_empty() {
            self.skip("source", "the profile names no other local address (source = [...])");
        }
        self.changes.extend(others.into_iter().map(Change::Source));
    }

    fn domain(&mut self) {
        let address = match self.subject.target.ip() {
            std::net::IpAddr::V4(ip) => ip.to_string(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        };
        if address == self.subject.domain {
            self.skip("domain", "the domain is the registrar's address already");
        } else {
            self.changes.push(Change::Domain(address));
        }
    }

    fn pause(&mut self) {
        if matches!(self.first.code(), Some(401 | 404 | 407 | 423)) {
            return self.skip("pause", "this refusal does not pass by waiting");
        }
        match self.first.retry_after_s.map(|seconds| Duration::from_secs(seconds.into())) {
            Some(asked) if asked > LONGEST_PAUSE => {
                self.skip("pause", format!("the registrar asks for {} s, longer than 60 s", asked.as_secs()));
            }
            // A little more, so that the registrar's clock agrees.
            Some(asked) => self.changes.push(Change::Pause((asked + Duration::from_secs(1)).max(self.subject.pause))),
            None => self.changes.push(Change::Pause(self.subject.pause)),
        }
    }

    /// A 401 or 407 says itself that the credentials were not taken.
    fn wrong_password(&mut self) {
        let refused = self.first.code().is_some_and(|code| !matches!(code, 401 | 407));
        if refused && self.first.place == Place::AfterCredentials && self.subject.has_password {
            self.changes.push(Change::WrongPassword);
        }
    }

    fn control(&mut self) {
        match &self.subject.other_agent {
            Some(user) => self.changes.push(Change::Agent(user.clone())),
            None => self.skip("agent", "the trunk has no other agent to compare with"),
        }
    }
}

/// Realms to answer with instead of `used`: what the profile says, then what becomes of a tenant
/// suffix (`;tenant=…`) that one side writes and the other drops, then the domain, then another
/// case.
fn realm_variants(challenged: &str, used: &str, subject: &TrialSubject) -> Vec<String> {
    let split = |realm: &str| realm.split_once(';').map(|(host, suffix)| (host.to_owned(), suffix.to_owned()));
    let bare = |realm: &str| split(realm).map_or_else(|| realm.to_owned(), |(host, _)| host);
    let configured = subject.configured_realm.as_deref();
    let suffix = configured.and_then(split).or_else(|| split(challenged)).map(|(_, suffix)| suffix);
    let mut variants: Vec<String> = configured.map(str::to_owned).into_iter().collect();
    variants.push(challenged.to_owned());
    variants.extend(suffix.iter().map(|suffix| format!("{};{suffix}", bare(challenged))));
    variants.push(bare(challenged));
    variants.extend(configured.map(bare));
    variants.push(subject.domain.clone());
    variants.extend(suffix.iter().map(|suffix| format!("{};{suffix}", bare(&subject.domain))));
    variants.extend([challenged.to_ascii_lowercase(), subject.domain.to_ascii_lowercase()]);
    let mut unique: Vec<String> = Vec::new();
    for variant in variants {
        // What stands between quotes cannot be escaped by guess.
        let sound = !variant.is_empty() && !variant.contains(['"', '\\']);
        if sound && variant != used && !unique.contains(&variant) {
            unique.push(variant);
        }
    }
    unique
}
