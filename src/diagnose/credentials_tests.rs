//! Accounts as carriers would answer for them, and what a platform's answer then means.

use super::*;
use crate::agent::probe::{Call, ProbeAnswer, ProbeStep, SentCredentials};
use crate::seed::Seed;
use crate::sip::Protection;
use crate::vocab::Confidence;
use crate::vocab::Unusable;
use std::time::Duration;

fn answer(code: u16, reason: &str, offers: &[Algorithm]) -> ProbeAnswer {
    let offer = |algorithm: &Algorithm| ProbeOffer {
        realm: "carrier.test".to_owned(),
        algorithm: algorithm.as_str().to_owned(),
        known: Some(*algorithm),
        qops: vec!["auth".to_owned()],
        stale: false,
        unusable: None,
    };
    ProbeAnswer {
        code,
        reason: reason.to_owned(),
        offers: offers.iter().map(offer).collect(),
        granted_s: None,
        contacts: Vec::new(),
        received: None,
        rport: None,
        date: None,
        server: None,
        retry_after_s: None,
        min_expires_s: None,
    }
}

/// An exchange: a challenge with these offers if any, the last answer if it went so far.
fn tried(algorithm: Algorithm, offers: &[Algorithm], last: Option<(u16, &str)>) -> CredentialTry {
    let step = |place, answer| {
        let credentials = (place == Place::AfterCredentials).then(|| SentCredentials {
            username: "a".to_owned(),
            algorithm,
            qop: Some(Protection::Auth),
            header_realm: "carrier.test".to_owned(),
            hash_realm: None,
        });
        ProbeStep { place, credentials, retransmissions: 0, provisional: None, took: Duration::ZERO, answer }
    };
    let challenge = (!offers.is_empty()).then(|| step(Place::Unchallenged, Some(answer(401, "Unauthorized", offers))));
    let place = if offers.is_empty() { Place::Unchallenged } else { Place::AfterCredentials };
    let last_step = last.map(|(code, reason)| step(place, Some(answer(code, reason, &[]))));
    let end = match (&challenge, &last_step) {
        (_, Some(_)) => ProbeEnd::Answered,
        (Some(_), None) => ProbeEnd::Unusable(Unusable::NoAcceptedAlgorithm),
        (None, None) => ProbeEnd::TimedOut,
    };
    let mut steps: Vec<ProbeStep> = challenge.into_iter().chain(last_step).collect();
    if steps.is_empty() {
        steps.push(step(Place::Unchallenged, None));
    }
    let outcome = ProbeOutcome { steps, end, asked_expires_s: 0, strays: 0, call: Call::new(Seed(1), 0) };
    CredentialTry { algorithm, seen: Some(ProbeSeen { outcome, unix_ns: 0 }) }
}

fn reading(tries: Vec<CredentialTry>) -> CredentialReading {
    CredentialReading {
        trunk_id: "trunk_jkt_04".to_owned(),
        platform_id: None,
        auth_user: "acct".to_owned(),
        is_ha1: false,
        registrar: "sip:carrier.test".to_owned(),
        target: "127.0.0.1:5060".parse().map_err(|_| String::new()),
        realm: None,
        doubts: Vec::new(),
        tries,
        tried_with: None,
    }
}

const MD5: Algorithm = Algorithm::Md5;
const SHA: Algorithm = Algorithm::Sha256;
const OK: Option<(u16, &str)> = Some((200, "OK"));

fn untried(algorithm: Algorithm) -> CredentialTry {
    CredentialTry { algorithm, seen: None }
}

fn md5_only() -> CredentialReading {
    reading(vec![tried(MD5, &[MD5], OK), untried(SHA)])
}

fn one(reading: CredentialReading, answer: Option<&str>) -> CredentialJudgement {
    let answer = answer.map(|text| PlatformRefusal::read(text).expect("an answer"));
    judge(&[reading], answer.as_ref()).remove(0)
}

#[test]
fn what_the_carrier_says_is_one_sentence() {
    let refused = Some((403, "Forbidden"));
    for (tries, expected, accepted) in [
        (vec![tried(MD5, &[MD5], OK), untried(SHA)], "carrier accepts MD5 and offers no SHA-256", Some(true)),
        (vec![tried(MD5, &[SHA, MD5], OK), tried(SHA, &[SHA, MD5], OK)], "carrier accepts MD5 and SHA-256", Some(true)),
        (
            vec![tried(MD5, &[SHA], None), tried(SHA, &[SHA], OK)],
            "carrier accepts SHA-256 and offers no MD5",
            Some(true),
        ),
        (
            vec![tried(MD5, &[SHA, MD5], OK), tried(SHA, &[SHA, MD5], refused)],
            "carrier accepts MD5 and refuses SHA-256 (403 Forbidden, after credentials)",
            Some(true),
        ),
        (
            vec![tried(MD5, &[MD5], refused), untried(SHA)],
            "carrier refuses MD5 (403 Forbidden, after credentials) and offers no SHA-256",
            Some(false),
        ),
        (
            vec![tried(MD5, &[], refused), untried(SHA)],
            "carrier refuses before it asks for credentials (403 Forbidden, before any challenge)",
            None,
        ),
        (
            vec![tried(MD5, &[], OK), untried(SHA)],
            "carrier takes anybody without asking for credentials, so it says nothing of them",
            None,
        ),
        (vec![tried(MD5, &[], None), untried(SHA)], "carrier says nothing of MD5 (no answer)", None),
        (
            vec![tried(MD5, &[MD5], Some((503, "Busy"))), untried(SHA)],
            "carrier says nothing of MD5 (503 Busy, after credentials) and offers no SHA-256",
            None,
        ),
    ] {
        let judged = one(reading(tries), None);
        assert_eq!((judged.conclusion.as_str(), judged.accepted), (expected, accepted));
        assert_eq!(judged.ready, accepted == Some(true), "{expected}");
    }
}

#[test]
fn a_field_that_is_named_is_the_platforms_check_whatever_the_carrier_says() {
    let text = r#"{"message":"Invalid SIP credentials provided for trunk ID: trunk_jkt_04","code":"bad.request",
        "status":400,"details":[{"errorCode":"invalid.value","fieldName":"credentials.realm"}]}"#;
    let judged = one(md5_only(), Some(text));
    let what = "the 400 is the platform's field check: fieldName credentials.realm (invalid.value)";
    assert_eq!(judged.conclusion, format!("carrier accepts MD5 and offers no SHA-256; {what}"));
    let told = judged.answer.expect("judged");
    assert_eq!((told.cause, told.confidence), (AnswerCause::FieldCheck, Confidence::High));
    assert_eq!(told.fields[0].hints, ["the carrier challenges with \"carrier.test\": submit exactly that"]);
    assert!(judged.ready);
    let refused = reading(vec![tried(MD5, &[MD5], Some((403, "Forbidden"))), untried(SHA)]);
    let judged = one(refused, Some(text));
    assert!(judged.conclusion.starts_with("carrier refuses MD5") && judged.conclusion.ends_with(what), "{judged:?}");
    assert!(!judged.ready, "the carrier refuses them too");
}

#[test]
fn a_400_without_a_field_keeps_its_rivals() {
    let text = r#"400 {"message":"Invalid SIP credentials provided for trunk ID: trunk_jkt_04"}"#;
    let told = one(md5_only(), Some(text)).answer.expect("judged");
    assert_eq!((told.cause, told.confidence), (AnswerCause::FieldCheck, Confidence::Medium));
    assert!(told.rivals.iter().any(|rival| rival.contains("SHA-256 only")), "{:?}", told.rivals);
    let refused = reading(vec![tried(MD5, &[MD5], Some((401, "Unauthorized"))), untried(SHA)]);
    let told = one(refused, Some(text)).answer.expect("judged");
    assert_eq!((told.cause, told.confidence), (AnswerCause::Credentials, Confidence::Medium));
    let silent = reading(vec![tried(MD5, &[], None), untried(SHA)]);
    let told = one(silent, Some(text)).answer.expect("judged");
    assert_eq!((told.cause, told.confidence), (AnswerCause::Unknown, Confidence::Open));
}

#[test]
fn other_answers_are_not_taken_for_a_check_of_the_credentials() {
    for (text, cause) in [
        (r#"{"message":"x","code":"bad.credentials"}"#, AnswerCause::Token),
        (r#"{"message":"x","code":"missing.any.permissions"}"#, AnswerCause::Permission),
        (r#"{"message":"x","status":404}"#, AnswerCause::NoSuchTrunk),
        (r#"HTTP/1.1 409 Conflict {"message":"x"}"#, AnswerCause::Conflict),
        (r#"{"message":"x","code":"too.many.requests"}"#, AnswerCause::TooOften),
        (r#"{"message":"x","status":"413"}"#, AnswerCause::TooLarge),
        (r#"{"message":"x","status":503}"#, AnswerCause::PlatformFault),
    ] {
        assert_eq!(one(md5_only(), Some(text)).answer.expect("judged").cause, cause, "{text}");
    }
}

#[test]
fn an_answer_is_about_the_trunk_it_names() {
    let other = CredentialReading { trunk_id: "trunk_jkt_0".to_owned(), ..md5_only() };
    let answer = PlatformRefusal::read(r#"{"message":"Invalid for trunk ID: trunk_jkt_04."}"#).expect("an answer");
    let about: Vec<bool> =
        judge(&[other.clone(), md5_only()], Some(&answer)).iter().map(|judged| judged.answer.is_some()).collect();
    assert_eq!(about, [false, true]);
    let unnamed = PlatformRefusal::read(r#"{"message":"Invalid"}"#).expect("an answer");
    assert!(judge(&[other, md5_only()], Some(&unnamed)).iter().all(|judged| judged.answer.is_none()));
}

#[test]
fn a_hint_fits_the_field() {
    let of = |field: &str, reading: CredentialReading| {
        let text = format!(r#"{{"message":"x","details":[{{"fieldName":"{field}"}}]}}"#);
        one(reading, Some(&text)).answer.expect("judged").fields[0].hints.join(" ")
    };
    let blank = FieldDoubt {
        field: "password",
        what: "begins or ends with a blank".to_owned(),
        remedy: "leave it out".to_owned(),
        breaks_rule: false,
    };
    let doubted = CredentialReading { doubts: vec![blank], ..md5_only() };
    assert_eq!(of("sipPassword", doubted), "password begins or ends with a blank; leave it out");
    assert!(of("digestAlgorithm", md5_only()).contains("takes MD5 and offers no SHA-256"));
    assert!(of("userName", md5_only()).contains("submitted as \"acct\", and the carrier takes it"));
    let elsewhere = CredentialReading { realm: Some("other.test".to_owned()), ..md5_only() };
    let hint = of("realm", elsewhere.clone());
    assert!(hint.contains("is \"other.test\", and the carrier challenges with \"carrier.test\""), "{hint}");
    let hashed = CredentialReading { is_ha1: true, ..elsewhere };
    assert!(of("realm", hashed).contains("another one than that of the HA1"));
    assert_eq!(of("callerId", md5_only()), "");
}

#[test]
fn a_broken_rule_is_no_go_although_the_carrier_takes_them() {
    let broken = FieldDoubt {
        field: "password",
        what: "is longer than the platform takes".to_owned(),
        remedy: String::new(),
        breaks_rule: true,
    };
    assert!(!one(CredentialReading { doubts: vec![broken], ..md5_only() }, None).ready);
}
