//! The phones that were seen, and the trunks they register on.
//!
//! A trunk is one registrar (its address, or the name a log gives it) and one domain. A phone is a
//! user of that domain; the same user on two telephones at once, told apart by Call-ID and Contact,
//! is two phones with one name.

use super::ObserveError;
use super::entry::{SeenTexts, TextId};
use super::trace::{HeadersSeen, TrunkTrace};
use crate::record::{RegistrarHeader, TrunkHeader};
use crate::sip::Request;
use crate::sip::challenge::all_credentials;
use crate::vocab::{Transport, saturating_u16, saturating_u32};
use std::collections::HashMap;
use std::net::IpAddr;

/// Where a request went.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct TrunkKey {
    /// `10.0.0.5:5060`, or the trunk's name in a log; empty when a log names none.
    pub(super) registrar: String,
    /// In lower case: host names know no case (RFC 3261 §19.1.4).
    pub(super) domain: String,
}

#[derive(Debug)]
struct TrunkSeen {
    key: TrunkKey,
    transport: Option<Transport>,
    sources: Vec<IpAddr>,
    agents: u32,
    expires_s: u32,
}

/// A phone as it stands in the results.
#[derive(Debug)]
pub(super) struct AgentSeen {
    pub(super) user: String,
    pub(super) trunk: u16,
    /// Position among the trunk's sources.
    pub(super) source: u8,
    /// The first one seen.
    pub(super) call_id: String,
    /// The name in its credentials, where it is another than the user.
    pub(super) auth_user: Option<String>,
    pub(super) user_agent: Option<TextId>,
    /// The lifetime it asked for last, and whether it was heard before.
    pub(super) asked_s: Option<u32>,
    heard: bool,
}

#[derive(Debug, Default)]
pub(super) struct Roster {
    trunks: Vec<TrunkSeen>,
    trunk_places: HashMap<TrunkKey, u16>,
    pub(super) agents: Vec<AgentSeen>,
    /// The phones of a user, in order of appearance.
    users: HashMap<(u16, String), Vec<u32>>,
    headers: HeadersSeen,
}

impl Roster {
    /// The trunk of this key, new or known.
    pub(super) fn trunk(&mut self, key: TrunkKey, transport: Option<Transport>) -> Result<u16, ObserveError> {
        if let Some(&place) = self.trunk_places.get(&key) {
            return Ok(place);
        }
        if self.trunks.len() >= MAX_TRUNKS {
            return Err(ObserveError::TooManyTrunks(MAX_TRUNKS));
        }
        let place = saturating_u16(self.trunks.len());
        self.trunk_places.insert(key.clone(), place);
        self.trunks.push(TrunkSeen { key, transport, sources: Vec::new(), agents: 0, expires_s: 0 });
        Ok(place)
    }

    /// The phones of this user seen so far.
    pub(super) fn phones(&self, trunk: u16, user: &str) -> &[u32] {
        // A lookup must not cost an allocation for every message, but the standard map wants its
        // own key type.
        self.users.get(&(trunk, user.to_owned())).map_or(&[], Vec::as_slice)
    }

    pub(super) fn add_phone(&mut self, trunk: u16, user: &str, source: Option<IpAddr>, call_id: &[u8]) -> u32 {
        let agent = saturating_u32(self.agents.len());
        let seen = &mut self.trunks[usize::from(trunk)];
        seen.agents += 1;
        let source = source.map_or(0, |source| position(&mut seen.sources, source));
        self.users.entry((trunk, user.to_owned())).or_default().push(agent);
        self.agents.push(AgentSeen {
            user: user.to_owned(),
            trunk,
            source,
            call_id: String::from_utf8_lossy(&call_id[..call_id.len().min(MAX_CALL_ID)]).into_owned(),
            auth_user: None,
            user_agent: None,
            asked_s: None,
            heard: false,
        });
        agent
    }

    /// What a request says of its phone beyond the registration: once of what stays the same.
    pub(super) fn note(
        &mut self,
        agent: u32,
        asked_s: Option<u32>,
        request: Option<&Request<'_>>,
        words: &mut SeenTexts,
    ) {
        let phone = &mut self.agents[agent as usize];
        phone.asked_s = asked_s.or(phone.asked_s);
        let Some(request) = request else { return };
        if !std::mem::replace(&mut phone.heard, true) {
            phone.user_agent = request.headers("User-Agent").next().map(|value| words.of(value));
            for (name, value) in request.every_header() {
                self.headers.add(phone.trunk, name, value);
            }
        }
        if phone.auth_user.is_none()
            && let Some(credentials) = all_credentials(request).next()
            && credentials.username != phone.user.as_bytes()
        {
            phone.auth_user = String::from_utf8(credentials.username.to_vec()).ok();
        }
    }

    /// The trunks as a trace lists them.
    pub(super) fn traced(&self) -> Vec<TrunkTrace> {
        let of = |(place, trunk): (usize, &TrunkSeen)| TrunkTrace {
            registrar: trunk.key.registrar.clone(),
            domain: trunk.key.domain.clone(),
            transport: trunk.transport,
            sources: trunk.sources.len(),
            headers: self.headers.of(saturating_u16(place)),
            ..TrunkTrace::default()
        };
        self.trunks.iter().enumerate().map(of).collect()
    }

    /// The trunk's agents ask for this lifetime; the first one stands for all.
    pub(super) fn asked(&mut self, trunk: u16, expires_s: u32) {
        let seen = &mut self.trunks[usize::from(trunk)];
        if seen.expires_s == 0 {
            seen.expires_s = expires_s;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.agents.len()
    }

    pub(super) fn trunks(&self) -> usize {
        self.trunks.len()
    }

    /// The trunks as a record's header lists them. A domain is its trunk's id, unless several
    /// registrars serve it.
    pub(super) fn headers(&self) -> Vec<TrunkHeader> {
        self.trunks.iter().map(|trunk| self.header(trunk)).collect()
    }

    fn header(&self, trunk: &TrunkSeen) -> TrunkHeader {
        let TrunkKey { registrar, domain } = &trunk.key;
        let alone = self.trunks.iter().filter(|other| other.key.domain == *domain).count() == 1;
        let id = match (registrar.as_str(), domain.as_str()) {
            ("", domain) => domain.to_owned(),
            (registrar, "") => registrar.to_owned(),
            (_, domain) if alone => domain.to_owned(),
            (registrar, domain) => format!("{domain}@{registrar}"),
        };
        let several = trunk.sources.len() > 1;
        TrunkHeader {
            id,
            registrar: RegistrarHeader::At(format!("sip:{}", if registrar.is_empty() { domain } else { registrar })),
            target: registrar.clone(),
            transport: trunk.transport,
            domain: domain.clone(),
            agents: trunk.agents,
            expires_s: trunk.expires_s,
            sources: if several { trunk.sources.iter().map(IpAddr::to_string).collect() } else { Vec::new() },
            ..TrunkHeader::default()
        }
    }
}

/// The position of `source`; the last one stands for all beyond 255.
fn position(sources: &mut Vec<IpAddr>, source: IpAddr) -> u8 {
    let place = sources.iter().position(|known| *known == source);
    let place = place.unwrap_or_else(|| {
        if sources.len() <= usize::from(u8::MAX) {
            sources.push(source);
        }
        sources.len() - 1
    });
    u8::try_from(place).unwrap_or(u8::MAX)
}

/// Trunks of one observation: each costs histograms in every interval in which it is used.
const MAX_TRUNKS: usize = 4_096;
const MAX_CALL_ID: usize = 256;
