//! Credentials before they are submitted to a platform, and why the platform refused them: what
//! the carrier's own registrar says of them, held against the platform's answer.
//!
//! A refusal of the platform's API says nothing of the carrier, and a carrier that takes an account
//! says nothing of the platform's fields. Only both side by side tell whose doing a 400 is.

mod answer;

pub use answer::{AnswerCause, AnswerJudgement, FieldExplained};

use super::readiness::{ProbeSeen, place, said};
use crate::agent::probe::{ProbeEnd, ProbeOffer, ProbeOutcome};
use crate::record::refusal::PlatformRefusal;
use crate::sip::Algorithm;
use crate::vocab::Place;
use serde::Serialize;
use std::net::SocketAddr;

/// What was seen of one account on its trunk.
#[derive(Clone, Debug)]
pub struct CredentialReading {
    pub trunk_id: String,
    /// What the platform calls the trunk.
    pub platform_id: Option<String>,
    pub auth_user: String,
    /// A hash instead of a password.
    pub is_ha1: bool,
    /// The profile's `registrar` value.
    pub registrar: String,
    pub target: Result<SocketAddr, String>,
    /// The profile's, which is what would be submitted.
    pub realm: Option<String>,
    pub doubts: Vec<FieldDoubt>,
    /// At most one for each algorithm.
    pub tries: Vec<CredentialTry>,
    /// An earlier trunk with the same account at the same address and another secret: no account is
    /// tried more often than once.
    pub tried_with: Option<String>,
}

/// Something about a field that a platform or a carrier may refuse.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FieldDoubt {
    /// Key of the profile: `auth_user`, `password`, `ha1`, `realm`.
    pub field: &'static str,
    /// The end of a sentence that begins with the field.
    pub what: String,
    pub remedy: String,
    /// The platform's own rules, as the profile states them, refuse it.
    pub breaks_rule: bool,
}

/// One REGISTER that asks for no lifetime, with one algorithm: it proves the account and binds
/// nothing, so whoever uses the account stays registered.
#[derive(Clone, Debug)]
pub struct CredentialTry {
    pub algorithm: Algorithm,
    /// `None`: it is not offered, or there was no time or no way to try it.
    pub seen: Option<ProbeSeen>,
}

/// What a carrier says of an algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CarrierWord {
    Accepted,
    /// Taken without having been asked for credentials.
    NotAsked,
    /// Refused after credentials.
    Refused,
    /// Refused before any credentials were asked for.
    RefusedBefore,
    NotOffered,
    /// Offered, and cannot be answered with what there is.
    Unanswerable,
    /// An answer that says nothing of credentials, or none.
    Unclear,
    NotTried,
}

/// An algorithm and what became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AlgorithmResult {
    pub algorithm: &'static str,
    pub word: CarrierWord,
    /// How the exchange ended, where there was one.
    pub said: String,
}

/// An account, judged.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CredentialJudgement {
    pub trunk_id: String,
    pub platform_id: Option<String>,
    pub auth_user: String,
    pub registrar: String,
    pub realm: Option<String>,
    /// The realms of the carrier's challenges.
    pub challenged_realms: Vec<String>,
    pub algorithms: Vec<AlgorithmResult>,
    /// Whether the carrier takes the credentials; `None`: it is not known.
    pub accepted: Option<bool>,
    pub doubts: Vec<FieldDoubt>,
    /// Of the platform's answer, where it is about this trunk.
    pub answer: Option<AnswerJudgement>,
    pub conclusion: String,
    /// Nothing is known to speak against submitting them, or it is known what does.
    pub ready: bool,
}

/// Judges accounts, and the platform's answer about one of them.
pub fn judge(readings: &[CredentialReading], answer: Option<&PlatformRefusal>) -> Vec<CredentialJudgement> {
    let about = answer.and_then(|answer| answer::about(answer, readings));
    let of = |(n, reading): (usize, &CredentialReading)| judged(reading, answer.filter(|_| about == Some(n)));
    readings.iter().enumerate().map(of).collect()
}

fn judged(reading: &CredentialReading, refusal: Option<&PlatformRefusal>) -> CredentialJudgement {
    let algorithms: Vec<AlgorithmResult> = reading.tries.iter().map(|tried| result(reading, tried)).collect();
    let mut doubts = reading.doubts.clone();
    doubts.extend(realm_doubts(reading));
    let has = |word| algorithms.iter().any(|result| result.word == word);
    let accepted = match () {
        () if has(CarrierWord::Accepted) => Some(true),
        () if has(CarrierWord::Refused) => Some(false),
        () => None,
    };
    let carrier = carrier(reading, &algorithms);
    let challenged_realms = challenged_realms(reading);
    let facts = answer::CarrierFacts { accepted, algorithms: &algorithms, realms: &challenged_realms };
    let answer = refusal.map(|refusal| answer::explain(refusal, reading, &doubts, &facts));
    let conclusion = match &answer {
        Some(answer) => format!("{carrier}; {}", answer.text),
        None => carrier,
    };
    let sound = accepted == Some(true) && !doubts.iter().any(|doubt| doubt.breaks_rule);
    let ready = sound && answer.as_ref().is_none_or(AnswerJudgement::is_explained);
    CredentialJudgement {
        trunk_id: reading.trunk_id.clone(),
        platform_id: reading.platform_id.clone(),
        auth_user: reading.auth_user.clone(),
        registrar: reading.registrar.clone(),
        realm: reading.realm.clone(),
        challenged_realms,
        algorithms,
        accepted,
        doubts,
        answer,
        conclusion,
        ready,
    }
}

/// Every challenge that came.
fn offers(reading: &CredentialReading) -> impl Iterator<Item = &ProbeOffer> {
    reading.tries.iter().filter_map(|tried| tried.seen.as_ref()).flat_map(|seen| seen.outcome.offers())
}

/// Whether an algorithm is among the challenges of an exchange.
pub fn is_offered(outcome: &ProbeOutcome, algorithm: Algorithm) -> bool {
    outcome.offers().iter().any(|offer| offer.known == Some(algorithm))
}

fn challenged_realms(reading: &CredentialReading) -> Vec<String> {
    let mut realms: Vec<String> = Vec::new();
    for offer in offers(reading) {
        if !realms.contains(&offer.realm) {
            realms.push(offer.realm.clone());
        }
    }
    realms
}

fn result(reading: &CredentialReading, tried: &CredentialTry) -> AlgorithmResult {
    let (word, said) = match &tried.seen {
        Some(seen) => (word(reading, tried.algorithm, &seen.outcome), said(&seen.outcome) + place(&seen.outcome)),
        None => (untried(reading, tried.algorithm), String::new()),
    };
    AlgorithmResult { algorithm: tried.algorithm.as_str(), word, said }
}

/// Of an algorithm that was not tried: the challenges to the other may show that it is not offered.
fn untried(reading: &CredentialReading, algorithm: Algorithm) -> CarrierWord {
    let mut offers = offers(reading).peekable();
    let lacking = offers.peek().is_some() && offers.all(|offer| offer.known != Some(algorithm));
    if lacking { CarrierWord::NotOffered } else { CarrierWord::NotTried }
}

fn word(reading: &CredentialReading, algorithm: Algorithm, outcome: &ProbeOutcome) -> CarrierWord {
    if outcome.is_granted() {
        let asked = outcome.credentials().is_some();
        return if asked { CarrierWord::Accepted } else { CarrierWord::NotAsked };
    }
    let offered = offers(reading).any(|offer| offer.known == Some(algorithm));
    match (&outcome.end, outcome.place(), outcome.answer().map(|answer| answer.code)) {
        (ProbeEnd::Unusable(_), ..) if offered => CarrierWord::Unanswerable,
        (ProbeEnd::Unusable(_), ..) => CarrierWord::NotOffered,
        (ProbeEnd::Answered, Place::AfterCredentials, Some(401 | 403 | 407)) => CarrierWord::Refused,
        (ProbeEnd::Answered, Place::Unchallenged, Some(400..=499)) => CarrierWord::RefusedBefore,
        _ => CarrierWord::Unclear,
    }
}

/// What the carrier says, in one sentence.
fn carrier(reading: &CredentialReading, results: &[AlgorithmResult]) -> String {
    if let Err(why) = &reading.target {
        return format!("carrier cannot be asked: {why}");
    }
    if let Some(other) = &reading.tried_with {
        return format!(
            "carrier was not asked: trunk {other} has the same account with another secret, and that was tried"
        );
    }
    let with = |word| results.iter().filter(move |result| result.word == word);
    if with(CarrierWord::NotAsked).next().is_some() {
        return "carrier takes anybody without asking for credentials, so it says nothing of them".to_owned();
    }
    if let Some(result) = with(CarrierWord::RefusedBefore).next() {
        return format!("carrier refuses before it asks for credentials ({})", result.said);
    }
    let names = |word| {
        let names: Vec<&str> = with(word).map(|result| result.algorithm).collect();
        (!names.is_empty()).then(|| names.join(" and "))
    };
    let mut parts: Vec<String> = Vec::new();
    parts.extend(names(CarrierWord::Accepted).map(|names| format!("accepts {names}")));
    parts.extend(with(CarrierWord::Refused).map(|result| format!("refuses {} ({})", result.algorithm, result.said)));
    parts.extend(with(CarrierWord::Unclear).map(|one| format!("says nothing of {} ({})", one.algorithm, one.said)));
    let unanswerable = with(CarrierWord::Unanswerable);
    parts.extend(unanswerable.map(|one| format!("offers {}, which cannot be answered ({})", one.algorithm, one.said)));
    parts.extend(names(CarrierWord::NotOffered).map(|names| format!("offers no {names}")));
    match parts.as_slice() {
        [] => "carrier was not asked".to_owned(),
        [one] => format!("carrier {one}"),
        [most @ .., last] => format!("carrier {} and {last}", most.join(", ")),
    }
}

/// What is odd about the realm that would be submitted.
fn realm_doubts(reading: &CredentialReading) -> Vec<FieldDoubt> {
    let mut doubts = Vec::new();
    let mut add = |what: String, remedy: String| {
        doubts.push(FieldDoubt { field: "realm", what, remedy, breaks_rule: false });
    };
    let realms = challenged_realms(reading);
    let challenged: Vec<String> = realms.iter().map(|realm| format!("\"{realm}\"")).collect();
    let challenged = challenged.join(" and ");
    match &reading.realm {
        Some(realm) if !realms.is_empty() && !realms.contains(realm) => {
            let what = format!("is \"{realm}\", and the carrier challenges with {challenged}");
            add(what, "submit the carrier's: the hash is made over it".to_owned());
            if reading.is_ha1 {
                let what = "is another one than that of the HA1, if it was made for the profile's".to_owned();
                add(what, format!("have the HA1 made over user:REALM:password with {challenged}"));
            }
        }
        _ => {}
    }
    for realm in reading.realm.iter().chain(&realms) {
        if realm.trim() != realm {
            add(
                format!("\"{realm}\" begins or ends with a blank"),
                "it belongs to the hash: submit it as it is".to_owned(),
            );
        } else if !realm.is_ascii() || realm.chars().any(char::is_control) {
            add(format!("\"{realm}\" has characters beyond plain ASCII"), "many fields refuse them: ask".to_owned());
        }
    }
    let wrong = realms.len() <= 1 && reading.is_ha1 && reading.realm.is_none();
    let refused = reading.tries.iter().any(|tried| {
        let seen = tried.seen.as_ref().map(|seen| word(reading, tried.algorithm, &seen.outcome));
        seen == Some(CarrierWord::Refused)
    });
    if wrong && refused {
        let what = format!("of the HA1 is not known, and the carrier challenges with {challenged}");
        add(what, "an HA1 holds for one realm: have it made over user:REALM:password with that".to_owned());
    }
    doubts
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
