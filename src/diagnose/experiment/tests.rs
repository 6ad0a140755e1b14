//! Investigations against registrars that are functions: what is granted follows from what was
//! changed.

use super::*;
use crate::sip::challenge::Unusable;
use crate::sip::{Algorithm, AlgorithmSet, Protection};
use crate::vocab::Place;
use proptest::prelude::*;
use std::time::Duration;

const REALM: &str = "genesyscloud.test";
const TENANT: &str = "genesyscloud.test;tenant=acme";

fn subject() -> TrialSubject {
    TrialSubject {
        user: "alice".to_owned(),
        auth_user: "alice".to_owned(),
        domain: REALM.to_owned(),
        configured_realm: Some(TENANT.to_owned()),
        has_password: true,
        servable: AlgorithmSet::ALL,
        expires_s: 3600,
        local: "127.0.0.3:40000".parse().expect("an address"),
        target: "127.0.0.1:5060".parse().expect("an address"),
        other_sources: ["127.0.0.3", "127.0.0.2"].map(|text| text.parse().expect("an address")).to_vec(),
        other_agent: Some("bob".to_owned()),
        pause: Duration::from_secs(10),
    }
}

fn seen(answer: Answer, place: Place) -> TrialOutcome {
    let offer = |algorithm: Algorithm| TrialChallenge {
        realm: REALM.to_owned(),
        algorithm: algorithm.as_str().to_owned(),
        known: Some(algorithm),
        qops: vec!["auth".to_owned()],
    };
    let challenged = place == Place::AfterCredentials || matches!(answer, Answer::Unusable(_));
    let used = Used { algorithm: Algorithm::Sha256, qop: Some(Protection::Auth), header_realm: REALM.to_owned() };
    TrialOutcome {
        answer,
        place,
        offers: if challenged { vec![offer(Algorithm::Sha256), offer(Algorithm::Md5)] } else { Vec::new() },
        used: (place == Place::AfterCredentials).then_some(used),
        seen_from: None,
        retry_after_s: None,
        took: Duration::from_millis(1),
    }
}

fn refused(code: u16, place: Place) -> TrialOutcome {
    seen(Answer::Refused { code, reason: "No".to_owned() }, place)
}

fn granted() -> TrialOutcome {
    seen(Answer::Granted, Place::AfterCredentials)
}

/// Investigates until the conclusion; `world` answers the nth trial.
fn investigate(
    subject: &TrialSubject,
    mut world: impl FnMut(usize, &Trial) -> TrialOutcome,
) -> (ExperimentConclusion, Investigation) {
    let mut investigation = Investigation::new(subject, world(0, &Trial::Baseline));
    for n in 1.. {
        match investigation.next() {
            NextMove::Conclude(conclusion) => return (conclusion, investigation),
            NextMove::Try(trial) => investigation.record(world(n, &trial)),
        }
    }
    unreachable!("an investigation ends")
}

/// A registrar that grants these changes and answers everything else with `refusal`.
fn only(helps: &[Change], refusal: &TrialOutcome) -> impl FnMut(usize, &Trial) -> TrialOutcome {
    move |_, trial| match trial {
        Trial::Changed(change) if helps.contains(change) => granted(),
        _ => refusal.clone(),
    }
}

fn names(investigation: &Investigation) -> Vec<String> {
    let name = |row: &TrialRow| match &row.trial {
        Trial::Baseline => "-".to_owned(),
        Trial::Changed(change) => change.to_string(),
    };
    investigation.rows().iter().map(name).collect()
}

#[test]
fn a_healthy_agent_needs_no_experiment() {
    let (conclusion, investigation) = investigate(&subject(), |_, _| granted());
    assert_eq!(conclusion.to_string(), "conclusion: none = nobody is refused: the agent registers");
    assert_eq!(investigation.rows().len(), 1);
    assert_eq!(
        ExperimentConclusion::Healthy { agents: 3 }.to_string(),
        "conclusion: none = nobody is refused: all 3 agents tried register"
    );
}

#[test]
fn a_realm_is_found_repeated_and_taken_apart() {
    let refusal = refused(403, Place::AfterCredentials);
    let (conclusion, investigation) = investigate(&subject(), only(&[Change::Realm(TENANT.to_owned())], &refusal));
    assert_eq!(conclusion.to_string(), format!("conclusion: realm = {TENANT}"));
    let realm = format!("realm = {TENANT}");
    let (header, hash) = (format!("realm-in-header = {TENANT}"), format!("realm-in-hash = {TENANT}"));
    assert_eq!(names(&investigation), ["-", &realm, "-", &realm, &header, &hash, "-"]);
}

#[test]
fn the_smaller_part_is_named_when_it_is_enough() {
    let helps = [Change::Realm(TENANT.to_owned()), Change::RealmInHash(TENANT.to_owned())];
    let (conclusion, _) = investigate(&subject(), only(&helps, &refused(401, Place::AfterCredentials)));
    assert_eq!(conclusion, ExperimentConclusion::Explained(Change::RealmInHash(TENANT.to_owned())));
    let helps = [Change::Source("127.0.0.2".parse().expect("an address")), Change::Port];
    let (conclusion, _) = investigate(&subject(), only(&helps, &refused(403, Place::Unchallenged)));
    assert_eq!(conclusion, ExperimentConclusion::Explained(Change::Port));
}

#[test]
fn before_a_challenge_the_source_comes_first_and_credentials_cannot_matter() {
    let source = Change::Source("127.0.0.2".parse().expect("an address"));
    let (conclusion, investigation) =
        investigate(&subject(), only(std::slice::from_ref(&source), &refused(403, Place::Unchallenged)));
    assert_eq!(conclusion.to_string(), "conclusion: source = 127.0.0.2");
    assert_eq!(investigation.rows()[1].trial, Trial::Changed(source));
    for change in ["realm", "algorithm", "qop", "auth_user"] {
        let skipped = investigation.skipped().iter().find(|skipped| skipped.change == change);
        assert!(skipped.is_some_and(|skipped| skipped.reason.contains("before any challenge")), "{change}");
    }
}

#[test]
fn an_algorithm_the_profile_leaves_out_is_tried_when_none_fits() {
    let refusal = seen(Answer::Unusable(Unusable::NoAcceptedAlgorithm), Place::Unchallenged);
    let md5 = Change::Algorithm(Algorithm::Md5);
    let (conclusion, _) = investigate(&subject(), only(&[md5], &refusal));
    assert_eq!(conclusion.to_string(), "conclusion: algorithm = MD5");
    let (conclusion, _) = investigate(&subject(), only(&[], &refusal));
    assert_eq!(conclusion, ExperimentConclusion::Open(vec![OpenCause::Algorithm]));
}

#[test]
fn with_a_precomputed_ha1_its_realm_and_user_are_left_alone() {
    let subject =
        TrialSubject { has_password: false, servable: AlgorithmSet::EMPTY.with(Algorithm::Sha256), ..subject() };
    let (_, investigation) = investigate(&subject, only(&[], &refused(401, Place::AfterCredentials)));
    let tried = names(&investigation).join("\n");
    assert!(tried.contains("realm-in-header = ") && !tried.contains("realm = ") && !tried.contains("auth_user"));
    assert!(!tried.contains("algorithm"), "an HA1 has one length:\n{tried}");
}

#[test]
fn what_helps_by_itself_is_nobodys_merit() {
    // Up from the third attempt on, whatever is sent.
    let refusal = refused(403, Place::AfterCredentials);
    let (conclusion, _) = investigate(&subject(), |n, _| if n < 3 { refusal.clone() } else { granted() });
    assert_eq!(conclusion, ExperimentConclusion::Open(vec![OpenCause::Intermittent]));
    // A change that helps once only.
    let mut grants = 1;
    let (conclusion, _) = investigate(&subject(), |_, trial| match trial {
        Trial::Changed(Change::AuthUser(_)) if grants > 0 => {
            grants -= 1;
            granted()
        }
        _ => refusal.clone(),
    });
    let ExperimentConclusion::Open(causes) = conclusion else { panic!("{conclusion}") };
    assert_eq!(causes[0], OpenCause::Intermittent);
    // Gone when all has been tried.
    let (conclusion, _) = investigate(&subject(), |n, trial| match trial {
        Trial::Baseline if n > 5 => granted(),
        _ => refusal.clone(),
    });
    assert_eq!(conclusion, ExperimentConclusion::Open(vec![OpenCause::Intermittent]));
}

#[test]
fn the_control_and_the_answers_narrow_the_open_causes() {
    let open = |refusal: &TrialOutcome, control: bool| {
        let helps = if control { vec![Change::Agent("bob".to_owned())] } else { Vec::new() };
        investigate(&subject(), only(&helps, refusal)).0.to_string()
    };
    let after = |code| refused(code, Place::AfterCredentials);
    assert_eq!(open(&after(401), true), "conclusion: open: password, account");
    assert_eq!(open(&after(401), false), "conclusion: open: password, account, realm");
    assert_eq!(open(&after(403), true), "conclusion: open: password, account");
    assert_eq!(open(&after(403), false), "conclusion: open: password, account, realm, limit");
    assert_eq!(open(&after(503), false), "conclusion: open: server, limit");
    assert_eq!(open(&refused(404, Place::Unchallenged), false), "conclusion: open: account, domain");
    assert_eq!(open(&refused(403, Place::Unchallenged), false), "conclusion: open: source-address, domain, account");
    assert_eq!(
        open(&seen(Answer::Silence, Place::Unchallenged), false),
        "conclusion: open: network, source-address, server"
    );
}

#[test]
fn a_wrong_password_that_is_answered_otherwise_clears_the_right_one() {
    let by = |code| {
        let registrar = move |_: usize, trial: &Trial| match trial {
            Trial::Changed(Change::WrongPassword) => refused(code, Place::AfterCredentials),
            _ => refused(403, Place::AfterCredentials),
        };
        investigate(&subject(), registrar).0.to_string()
    };
    assert_eq!(by(401), "conclusion: open: account, limit");
    // It says the same to both: nothing is known.
    assert_eq!(by(403), "conclusion: open: password, account, realm, limit");
    let (_, refused_already) = investigate(&subject(), only(&[], &refused(401, Place::AfterCredentials)));
    assert!(!names(&refused_already).contains(&"password = a wrong one".to_owned()));
}

#[test]
fn two_causes_are_not_one() {
    // The other source leads to a challenge, and then the credentials are refused too.
    let (conclusion, _) = investigate(&subject(), |_, trial| match trial {
        Trial::Changed(Change::Source(_)) => refused(401, Place::AfterCredentials),
        _ => refused(403, Place::Unchallenged),
    });
    let ExperimentConclusion::Open(causes) = conclusion else { panic!("{conclusion}") };
    assert_eq!(causes[0], OpenCause::Several);
}

#[test]
fn retry_after_is_waited_for_within_reason() {
    let pause = |seconds| {
        let refusal = TrialOutcome { retry_after_s: Some(seconds), ..refused(503, Place::AfterCredentials) };
        let (_, investigation) = investigate(&subject(), only(&[], &refusal));
        names(&investigation).into_iter().find(|name| name.starts_with("pause"))
    };
    assert_eq!(pause(30).as_deref(), Some("pause = 31s"));
    assert_eq!(pause(1).as_deref(), Some("pause = 10s"));
    assert_eq!(pause(3600), None);
}

/// Every change that could be tried on some agent.
fn changes() -> impl Strategy<Value = Change> {
    let source = Change::Source("127.0.0.2".parse().expect("an address"));
    prop_oneof![
        Just(Change::Realm(TENANT.to_owned())),
        Just(Change::RealmInHeader(TENANT.to_owned())),
        Just(Change::RealmInHash(TENANT.to_owned())),
        Just(Change::Algorithm(Algorithm::Md5)),
        Just(Change::Qop(None)),
        Just(Change::AuthUser(format!("alice@{REALM}"))),
        Just(source),
        Just(Change::Port),
        Just(Change::CallId),
        Just(Change::Expires(60)),
        Just(Change::Domain("127.0.0.1".to_owned())),
        Just(Change::Pause(Duration::from_secs(10))),
    ]
}

proptest! {
    /// Whichever single change helps, it is found, and nothing else is blamed.
    #[test]
    fn the_one_change_that_helps_is_the_conclusion(change in changes()) {
        let (conclusion, investigation) = investigate(&subject(), only(std::slice::from_ref(&change), &refused(403, Place::AfterCredentials)));
        prop_assert_eq!(conclusion, ExperimentConclusion::Explained(change));
        prop_assert!(investigation.rows().len() <= SEARCH_TRIALS + 10);
    }

    /// A registrar that grants at random: an end comes, in bounded time, and what is blamed was
    /// seen to help twice with a refusal of the unchanged attempt in between, and one at the end.
    #[test]
    fn a_fickle_registrar_proves_nothing_unrepeated(grants in proptest::collection::vec(any::<bool>(), 64)) {
        let refusal = refused(403, Place::AfterCredentials);
        let answer = |n: usize, _: &Trial| if *grants.get(n).unwrap_or(&false) { granted() } else { refusal.clone() };
        let (conclusion, investigation) = investigate(&subject(), answer);
        let rows = investigation.rows();
        prop_assert!(rows.len() <= SEARCH_TRIALS + 10, "{}", rows.len());
        if let ExperimentConclusion::Explained(change) = conclusion {
            let helped = rows.iter().filter(|row| row.trial == Trial::Changed(change.clone()) && row.observation.is_granted());
            prop_assert!(helped.count() >= 2);
            prop_assert!(rows.iter().filter(|row| row.trial == Trial::Baseline).all(|row| !row.observation.is_granted()));
        }
    }

    /// Realms of any shape: every variant is sound between quotes, and none is tried twice.
    #[test]
    fn realm_variants_are_sound_and_unique(challenged in "[a-zA-Z.;=\"\\\\]{0,12}", configured in proptest::option::of("[a-zA-Z.;=]{1,12}")) {
        let mut first = refused(401, Place::AfterCredentials);
        first.offers[0].realm = challenged;
        let subject = TrialSubject { configured_realm: configured, ..subject() };
        let (_, investigation) = investigate(&subject, |_, _| first.clone());
        let realms: Vec<String> = investigation.rows().iter().filter_map(|row| match &row.trial {
            Trial::Changed(Change::Realm(realm)) => Some(realm.clone()),
            _ => None,
        }).collect();
        prop_assert!(realms.iter().all(|realm| !realm.is_empty() && !realm.contains(['"', '\\'])));
        let unique: std::collections::BTreeSet<&String> = realms.iter().collect();
        prop_assert_eq!(unique.len(), realms.len());
    }
}
