//! What a platform's answer to submitted credentials means, given what the carrier says of them.

use super::{AlgorithmResult, CarrierWord, CredentialReading, FieldDoubt};
use crate::record::refusal::{PlatformRefusal, RefusedField};
use crate::vocab::Confidence;
use serde::Serialize;

/// Whose doing an answer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerCause {
    /// The platform's own check of what was submitted.
    FieldCheck,
    /// The credentials, which the carrier refuses too.
    Credentials,
    /// The token of whoever asked the platform, or what it may do.
    Token,
    Permission,
    NoSuchTrunk,
    /// Something changed meanwhile, or exists already.
    Conflict,
    TooOften,
    TooLarge,
    PlatformFault,
    Unknown,
}

/// An answer, explained.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct AnswerJudgement {
    pub cause: AnswerCause,
    pub confidence: Confidence,
    /// The fields it names.
    pub fields: Vec<FieldExplained>,
    /// What else it could be, each with what would tell.
    pub rivals: Vec<String>,
    /// The end of the conclusion.
    pub text: String,
}

/// A field that a platform named.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FieldExplained {
    pub field_name: String,
    pub error_code: String,
    /// What is known of what was submitted there.
    pub hints: Vec<String>,
}

/// What the carrier says, as far as answers are explained by it.
pub(super) struct CarrierFacts<'a> {
    pub accepted: Option<bool>,
    pub algorithms: &'a [AlgorithmResult],
    pub realms: &'a [String],
}

impl AnswerJudgement {
    /// Whether it is known whose doing it is.
    pub(super) fn is_explained(&self) -> bool {
        self.confidence != Confidence::Open
    }
}

/// Which of the accounts an answer is about: the one it names, or the only one.
pub(super) fn about(answer: &PlatformRefusal, readings: &[CredentialReading]) -> Option<usize> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
    let words: Vec<&str> = answer.message.split(|c| !is_part(c)).map(|word| word.trim_matches(['.', ':'])).collect();
    let named = |reading: &CredentialReading| {
        let ids = [Some(&reading.trunk_id), reading.platform_id.as_ref()];
        ids.into_iter().flatten().any(|id| words.contains(&id.as_str()))
    };
    readings.iter().position(named).or((readings.len() == 1).then_some(0))
}

/// What of the submitted credentials a field's name means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meant {
    Password,
    Realm,
    Algorithm,
    User,
}

fn meant(field_name: &str) -> Option<Meant> {
    let name = field_name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    match () {
        () if has(&["pass", "pwd", "secret", "ha1"]) => Some(Meant::Password),
        () if has(&["realm", "domain"]) => Some(Meant::Realm),
        () if has(&["algorithm", "digest", "hash"]) => Some(Meant::Algorithm),
        () if has(&["user", "login", "account", "authname", "auth_name"]) => Some(Meant::User),
        () => None,
    }
}

/// Explains an answer.
pub(super) fn explain(
    answer: &PlatformRefusal,
    reading: &CredentialReading,
    doubts: &[FieldDoubt],
    carrier: &CarrierFacts<'_>,
) -> AnswerJudgement {
    let status = answer.status.unwrap_or_else(|| status_of(&answer.code));
    let cause = match status {
        401 => AnswerCause::Token,
        403 => AnswerCause::Permission,
        404 => AnswerCause::NoSuchTrunk,
        409 | 412 => AnswerCause::Conflict,
        413 => AnswerCause::TooLarge,
        429 => AnswerCause::TooOften,
        500..=599 => AnswerCause::PlatformFault,
        400 | 422 => return checked(status, answer, reading, doubts, carrier),
        _ => AnswerCause::Unknown,
    };
    let means = match cause {
        AnswerCause::Token => "is about the token of whoever asked the platform, and not the SIP credentials",
        AnswerCause::Permission => "is about what whoever asked the platform may do there, and not the SIP credentials",
        AnswerCause::NoSuchTrunk => "says that the platform has no such trunk; the SIP credentials were not looked at",
        AnswerCause::Conflict => "says that the trunk was changed meanwhile: fetch it again and submit once more",
        AnswerCause::TooLarge => "says that the request was too large; the SIP credentials were not looked at",
        AnswerCause::TooOften => "says that the platform is asked too often; the SIP credentials were not looked at",
        AnswerCause::PlatformFault => "is a fault of the platform's and says nothing of the SIP credentials",
        _ => "is no refusal of fields, and what it means is not known",
    };
    let confidence = if cause == AnswerCause::Unknown { Confidence::Open } else { Confidence::High };
    AnswerJudgement { cause, confidence, fields: Vec::new(), rivals: Vec::new(), text: format!("the {status} {means}") }
}

/// The status that goes with a platform's word, where only that is known.
fn status_of(code: &str) -> u16 {
    let code = code.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| code.contains(word));
    match () {
        () if has(&["bad.credentials", "unauthorized", "authentication.required"]) => 401,
        () if has(&["permission", "not.authorized", "forbidden"]) => 403,
        () if has(&["not.found"]) => 404,
        () if has(&["conflict", "version"]) => 409,
        () if has(&["too.large"]) => 413,
        () if has(&["too.many", "rate.limit"]) => 429,
        () if has(&["internal"]) => 500,
        () => 400,
    }
}

/// A 400 or 422: what was submitted did not please.
fn checked(
    status: u16,
    answer: &PlatformRefusal,
    reading: &CredentialReading,
    doubts: &[FieldDoubt],
    carrier: &CarrierFacts<'_>,
) -> AnswerJudgement {
    let named = answer.details.iter().filter(|detail| !detail.field_name.is_empty());
    let fields: Vec<FieldExplained> = named.map(|detail| explained(detail, reading, doubts, carrier)).collect();
    if !fields.is_empty() {
        let list = fields.iter().map(|field| match field.error_code.as_str() {
            "" => format!("fieldName {}", field.field_name),
            code => format!("fieldName {} ({code})", field.field_name),
        });
        let list: Vec<String> = list.collect();
        let text = format!("the {status} is the platform's field check: {}", list.join(", "));
        return AnswerJudgement {
            cause: AnswerCause::FieldCheck,
            confidence: Confidence::High,
            fields,
            rivals: Vec::new(),
            text,
        };
    }
    let (cause, confidence, text) = match carrier.accepted {
        Some(true) => (
            AnswerCause::FieldCheck,
            Confidence::Medium,
            format!("the {status} is the platform's field check, which names no field"),
        ),
        Some(false) => (
            AnswerCause::Credentials,
            Confidence::Medium,
            format!("the {status} names no field, and the carrier refuses the credentials too: mend them first"),
        ),
        None => (
            AnswerCause::Unknown,
            Confidence::Open,
            format!("the {status} names no field, and it is not known whether the carrier takes the credentials"),
        ),
    };
    AnswerJudgement { cause, confidence, fields, rivals: rivals(carrier, doubts), text }
}

/// What a 400 that names no field could be besides.
fn rivals(carrier: &CarrierFacts<'_>, doubts: &[FieldDoubt]) -> Vec<String> {
    let word = |name: &str| carrier.algorithms.iter().find(|one| one.algorithm == name).map(|one| one.word);
    let mut rivals: Vec<String> =
        doubts.iter().map(|doubt| format!("{} {}: submit it without that once", doubt.field, doubt.what)).collect();
    if word("SHA-256") == Some(CarrierWord::NotOffered) {
        let text = "the platform registers with SHA-256 only, which the carrier does not offer: ask the platform which \
                    algorithms its trunks answer with";
        rivals.push(text.to_owned());
    }
    let text = "the platform registered before it answered and passes the carrier's refusal of its own address on: the \
                carrier's log shows whether a REGISTER came in that second";
    rivals.push(text.to_owned());
    rivals
}

fn explained(
    detail: &RefusedField,
    reading: &CredentialReading,
    doubts: &[FieldDoubt],
    carrier: &CarrierFacts<'_>,
) -> FieldExplained {
    let of = |fields: &[&str]| -> Vec<String> {
        let own = doubts.iter().filter(|doubt| fields.contains(&doubt.field));
        own.map(|doubt| format!("{} {}; {}", doubt.field, doubt.what, doubt.remedy)).collect()
    };
    let taken = if carrier.accepted == Some(true) { ", and the carrier takes it" } else { "" };
    let or = |hints: Vec<String>, otherwise: String| if hints.is_empty() { vec![otherwise] } else { hints };
    let hints = match meant(&detail.field_name) {
        Some(Meant::Password) => {
            let otherwise =
                format!("the password shows nothing that is often refused{taken}: ask for the platform's rule");
            or(of(&["password", "ha1"]), otherwise)
        }
        Some(Meant::User) => {
            let otherwise =
                format!("it was submitted as \"{}\"{taken}: ask for the platform's form", reading.auth_user);
            or(of(&["user", "auth_user"]), otherwise)
        }
        Some(Meant::Realm) => or(of(&["realm"]), realm_hint(reading, carrier)),
        Some(Meant::Algorithm) => vec![algorithm_hint(carrier)],
        None => Vec::new(),
    };
    FieldExplained { field_name: detail.field_name.clone(), error_code: detail.error_code.clone(), hints }
}

fn realm_hint(reading: &CredentialReading, carrier: &CarrierFacts<'_>) -> String {
    match (carrier.realms, &reading.realm) {
        ([], _) => "the carrier's realm is not known".to_owned(),
        ([own], None) => format!("the carrier challenges with \"{own}\": submit exactly that"),
        ([own], Some(_)) => {
            format!("\"{own}\" is what the carrier challenges with, so the platform's rule is at odds with the carrier")
        }
        (several, _) => format!("the carrier challenges with {}: ask it which one is meant", several.join(" and ")),
    }
}

fn algorithm_hint(carrier: &CarrierFacts<'_>) -> String {
    let with = |word| {
        let names = carrier.algorithms.iter().filter(move |one| one.word == word).map(|one| one.algorithm);
        names.collect::<Vec<_>>().join(" and ")
    };
    let (accepted, missing) = (with(CarrierWord::Accepted), with(CarrierWord::NotOffered));
    match (accepted.as_str(), missing.as_str()) {
        ("", _) => "which algorithm the carrier takes is not known".to_owned(),
        (accepted, "") => format!("the carrier takes {accepted}"),
        (accepted, missing) => {
            format!(
                "the carrier takes {accepted} and offers no {missing}: submit {accepted}, or have the carrier add it"
            )
        }
    }
}
