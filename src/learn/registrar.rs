//! What the registrar was seen to do, as far as the embedded one can do the same: lifetimes, realm,
//! algorithms, how long a nonce is good for.

use super::group::ClientGroup;
use super::waits::seconds;
use crate::observe::Trace;
use crate::record::Observed;
use crate::sip::Algorithm;
use crate::vocab::{Kind, Status, Transport, floor_u64};
use std::collections::BTreeMap;

/// How long a nonce is good for where nothing says otherwise.
const USUAL_S: f64 = 300.0;

#[derive(Debug)]
pub(super) struct RegistrarHabits {
    pub(super) realm: Option<String>,
    /// On offer, by position in `Algorithm::ALL`.
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) min_expires_s: u32,
    pub(super) max_expires_s: u32,
    pub(super) nonce_lifetime_s: Option<u64>,
    /// What most phones spoke over.
    pub(super) transport: Transport,
    /// Refusals by code, and silences as 0: how often.
    pub(super) refusals: BTreeMap<u16, u64>,
    several_transports: bool,
    several_realms: bool,
    /// Phones whose first message carried credentials: they were there before watching began.
    there_before: usize,
    challenges: u64,
}

impl RegistrarHabits {
    /// Also decides what the groups ask for.
    pub(super) fn of(trace: &Trace, groups: &mut [ClientGroup]) -> RegistrarHabits {
        let max_expires_s = lifetimes(groups);
        let realms: BTreeMap<&str, usize> =
            trace.trunks.iter().filter_map(|trunk| trunk.realm.as_deref()).fold(BTreeMap::new(), |mut all, realm| {
                *all.entry(realm).or_default() += 1;
                all
            });
        let offered = trace.trunks.iter().fold(0, |all, trunk| all | trunk.offered);
        let mut transports: BTreeMap<&str, (usize, Transport)> = BTreeMap::new();
        for group in groups.iter() {
            let transport = trace.trunks[group.trunk].transport.unwrap_or(Transport::Udp);
            transports.entry(transport.as_str()).or_insert((0, transport)).0 += group.phones.len();
        }
        let acts = || trace.phones.iter().flat_map(|phone| &phone.acts).filter(|act| act.kind != Kind::Unregister);
        let mut refusals = BTreeMap::new();
        for act in acts().filter(|act| act.status.is_some_and(|status| status != Status::Registered)) {
            *refusals.entry(act.code).or_default() += 1;
        }
        RegistrarHabits {
            realm: realms.iter().max_by_key(|(_, trunks)| **trunks).map(|(realm, _)| (*realm).to_owned()),
            algorithms: algorithms(offered),
            min_expires_s: groups.iter().map(|group| group.expires_s).min().unwrap_or(5).clamp(1, 5),
            max_expires_s,
            nonce_lifetime_s: nonce_lifetime(trace),
            transport: transports.values().max_by_key(|(phones, _)| *phones).map_or(Transport::Udp, |most| most.1),
            refusals,
            several_transports: transports.len() > 1,
            several_realms: realms.len() > 1,
            there_before: trace
                .phones
                .iter()
                .filter(|phone| phone.acts.first().is_some_and(|act| act.proved_at_once))
                .count(),
            challenges: acts().map(|act| u64::from(act.challenges)).sum(),
        }
    }

    pub(super) fn remarks(&self, trace: &Trace) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.there_before > 0 {
            remarks.push(format!(
                "{} of {} phones were registered before watching began, and refreshed with the nonce they had; an agent \
                 begins with the full handshake, so the first round of the replay has up to two messages more for each",
                self.there_before,
                trace.phones.len()
            ));
        }
        if trace.source == Observed::EventLog {
            remarks.push(
                "an event log shows no lifetimes, no user agents, no headers, no algorithms and no repeated messages: \
                 these are this program's own"
                    .to_owned(),
            );
        } else if self.challenges == 0 && !trace.answers_missing {
            remarks.push(
                "no challenge was seen, and the embedded registrar challenges everybody: a rehearsal has twice as many \
                 messages"
                    .to_owned(),
            );
        }
        if trace.answers_missing {
            remarks
                .push("no answer was seen, so every REGISTER is a row of the replay and no habit is known".to_owned());
        }
        if self.several_transports {
            remarks
                .push("the phones use several transports; a rehearsal uses the most frequent one for all".to_owned());
        }
        if self.several_realms {
            remarks.push("there are several realms; the embedded registrar challenges with the first".to_owned());
        }
        remarks
    }
}

fn algorithms(bits: u8) -> Vec<Algorithm> {
    let mut all: Vec<Algorithm> = Algorithm::ALL.into_iter().filter(|&one| bits & 1 << one as u8 != 0).collect();
    // The better one is named first.
    all.sort_by_key(|one| (one.is_session(), *one == Algorithm::Md5));
    all
}

/// The longest lifetime the embedded registrar grants. Where one cap explains all lifetimes that
/// were shortened, groups ask for what the phones asked for; else for what they got.
fn lifetimes(groups: &mut [ClientGroup]) -> u32 {
    let pairs: Vec<(u32, u32)> =
        groups.iter().map(|group| (group.expires_s, group.granted_s.unwrap_or(group.expires_s))).collect();
    let caps: Vec<u32> = pairs.iter().filter(|(asked, granted)| granted < asked).map(|pair| pair.1).collect();
    if let Some(&cap) = caps.first()
        && pairs.iter().all(|&(asked, granted)| granted == asked.min(cap))
    {
        return cap;
    }
    for (group, (asked_s, granted_s)) in groups.iter_mut().zip(pairs) {
        if granted_s != asked_s {
            group.expires_s = granted_s;
            group.expires_why = Some(format!("they asked for {asked_s} s and got this"));
        }
    }
    groups.iter().map(|group| group.expires_s).max().unwrap_or(3_600).max(1)
}

/// Between the nonces that were taken and those that were not, by age; `None`: no nonce was used
/// again.
fn nonce_lifetime(trace: &Trace) -> Option<u64> {
    // Seconds, and whether it was taken.
    let mut ages: Vec<(f64, bool)> = Vec::new();
    for phone in &trace.phones {
        let mut since = None;
        for act in &phone.acts {
            if let Some(since) = since.filter(|_| act.proved_at_once && act.status.is_some()) {
                let age = seconds(act.began_ns.saturating_sub(since));
                if act.challenges > 0 || act.stale {
                    ages.push((age, false));
                } else if act.code >= 200 {
                    // Whatever was answered then, it was no challenge.
                    ages.push((age, true));
                }
            }
            if act.challenges > 0 {
                since = Some(act.began_ns);
            }
        }
    }
    ages.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let (oldest, _) = *ages.last()?;
    let seconds = match border(&ages) {
        Some(border) => border,
        None => (oldest * 2.0).max(USUAL_S),
    };
    Some(floor_u64(seconds).clamp(1, 10 * 86_400))
}

/// The age that sets apart what was taken from what was not with the fewest exceptions, which
/// counted nonces (RFC 7616 §3.4) and restarts make; `None`: all were taken.
fn border(ages: &[(f64, bool)]) -> Option<f64> {
    if ages.iter().all(|(_, taken)| *taken) {
        return None;
    }
    // Were it below all of them, each that was taken would be an exception.
    let mut exceptions = ages.iter().filter(|(_, taken)| *taken).count();
    let mut best = (exceptions, ages[0].0);
    for (n, (age, taken)) in ages.iter().enumerate() {
        exceptions = if *taken { exceptions - 1 } else { exceptions + 1 };
        if exceptions < best.0 {
            let next = ages.get(n + 1).map_or(*age, |(next, _)| *next);
            best = (exceptions, f64::midpoint(*age, next));
        }
    }
    Some(best.1)
}
