//! Readings as a registrar would cause them, and the words they come to.

use super::*;
use crate::agent::probe::{Call, ProbeStep, SentCredentials};
use crate::seed::Seed;
use crate::sip::{Algorithm, Protection};

fn answer(code: u16, reason: &str) -> ProbeAnswer {
    ProbeAnswer {
        code,
        reason: reason.to_owned(),
        offers: Vec::new(),
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

fn challenge_of(realm: &str) -> ProbeAnswer {
    let offer = |algorithm: &str, known| ProbeOffer {
        realm: realm.to_owned(),
        algorithm: algorithm.to_owned(),
        known,
        qops: vec!["auth".to_owned()],
        stale: false,
        unusable: None,
    };
    let offers = vec![offer("SHA-256", Some(Algorithm::Sha256)), offer("AKAv1-MD5", None)];
    ProbeAnswer { offers, ..answer(401, "Unauthorized") }
}

fn step(place: Place, answer: Option<ProbeAnswer>) -> ProbeStep {
    let credentials = (place == Place::AfterCredentials).then(|| SentCredentials {
        username: "a".to_owned(),
        algorithm: Algorithm::Sha256,
        qop: Some(Protection::Auth),
        header_realm: "r".to_owned(),
        hash_realm: None,
    });
    ProbeStep { place, credentials, retransmissions: 0, provisional: None, took: Duration::from_millis(2), answer }
}

fn seen(steps: Vec<ProbeStep>, end: ProbeEnd) -> ProbeSeen {
    let outcome = ProbeOutcome { steps, end, asked_expires_s: 3600, strays: 0, call: Call::new(Seed(1), 0) };
    // 2026-11-21T12:00:00Z.
    ProbeSeen { outcome, unix_ns: 1_795_262_400_000_000_000 }
}

fn direct(answer: ProbeAnswer) -> ProbeSeen {
    seen(vec![step(Place::Unchallenged, Some(answer))], ProbeEnd::Answered)
}

fn challenged(realm: &str, last: ProbeAnswer) -> ProbeSeen {
    let first = step(Place::Unchallenged, Some(challenge_of(realm)));
    seen(vec![first, step(Place::AfterCredentials, Some(last))], ProbeEnd::Answered)
}

fn silent() -> ProbeSeen {
    seen(vec![step(Place::Unchallenged, None)], ProbeEnd::TimedOut)
}

fn way(source: &str, register: ProbeSeen) -> Way {
    let removal = register.outcome.is_granted().then(|| direct(answer(200, "OK")));
    let local = source.parse().expect("an address");
    let target = "127.0.0.1:5060".parse().expect("an address");
    Way { user: "a".to_owned(), target, local: Ok(local), register: Some(register), removal }
}

fn reading(options: ProbeSeen, ways: Vec<Way>) -> Reading {
    Reading {
        trunk_id: "lab".to_owned(),
        registrar: "sip:edge.test".to_owned(),
        target: Ok("127.0.0.1:5060".parse().expect("an address")),
        names: None,
        expected_realm: Some("r".to_owned()),
        accepted: AlgorithmSet::ALL,
        layers: None,
        options: Some(options),
        ways,
        untried: 0,
    }
}

fn one(register: ProbeSeen) -> Reading {
    reading(direct(answer(200, "OK")), vec![way("127.0.0.1:4000", register)])
}

fn text<'a>(readiness: &'a Readiness, name: &str) -> (CheckState, &'a str) {
    let check = readiness.checks.iter().find(|check| check.name == name).expect("a check of this name");
    (check.state, &check.text)
}

#[test]
fn a_trunk_is_ready_when_an_agent_was_registered() {
    let last = ProbeAnswer {
        granted_s: Some(600),
        received: Some("198.51.100.7".to_owned()),
        rport: Some(4000),
        date: Some("Sat, 21 Nov 2026 12:02:00 GMT".to_owned()),
        server: Some("Edge 3.0".to_owned()),
        ..answer(200, "OK")
    };
    let readiness = judge(&one(challenged("r", last)));
    assert!(readiness.ready && readiness.why.is_empty());
    assert_eq!(text(&readiness, "realm"), (CheckState::Ok, "\"r\", as expected"));
    let algorithms = "SHA-256 (qop auth), AKAv1-MD5 (qop auth, not known); answered with SHA-256, qop auth";
    assert_eq!(text(&readiness, "algorithms"), (CheckState::Ok, algorithms));
    assert_eq!(text(&readiness, "register"), (CheckState::Ok, "a from 127.0.0.1: 200 OK in 4.0 ms"));
    assert_eq!(text(&readiness, "lifetime"), (CheckState::Warn, "600 s granted, 3600 s asked: 6 times the refreshes"));
    let from =
        "198.51.100.7:4000, sent from 127.0.0.1:4000: a NAT is in between, and an allow-list must name 198.51.100.7";
    assert_eq!(text(&readiness, "seen from"), (CheckState::Warn, from));
    assert_eq!(text(&readiness, "clock"), (CheckState::Warn, "the server's is 120 s ahead: align both with NTP"));
    assert_eq!(text(&readiness, "server"), (CheckState::Ok, "Edge 3.0"));
    assert_eq!(text(&readiness, "removal").0, CheckState::Ok);
}

#[test]
fn a_ping_proves_the_path_and_not_the_account() {
    let readiness = judge(&one(challenged("r", answer(403, "Authentication Failed"))));
    assert!(!readiness.ready);
    assert_eq!(
        readiness.why,
        [
            "OPTIONS is fine and the credentials are refused (403 Authentication Failed): the ping proves the path, not the \
          account"
        ]
    );
    let expected = "a from 127.0.0.1: 403 Authentication Failed in 4.0 ms, after credentials";
    assert_eq!(text(&readiness, "register"), (CheckState::Fail, expected));
}

#[test]
fn a_realm_that_is_not_the_expected_one_is_part_of_the_reason() {
    let readiness = judge(&one(challenged("r;tenant=acme", answer(401, "Unauthorized"))));
    assert!(
        readiness.why[0].ends_with("; the realm \"r;tenant=acme\" is not the expected \"r\""),
        "{:?}",
        readiness.why
    );
    assert_eq!(text(&readiness, "realm").0, CheckState::Warn);
}

#[test]
fn what_preceded_the_refusal_decides_what_it_means() {
    let why = |register: ProbeSeen| judge(&one(register)).why.concat();
    assert!(why(direct(answer(403, "Forbidden"))).contains("before any challenge"));
    assert!(why(direct(answer(404, "Not Found"))).contains("not known"));
    assert!(why(direct(answer(503, "Busy"))).contains("cannot serve it (503 Busy)"));
    assert!(why(silent()).contains("REGISTER is not answered, though OPTIONS is"));
    let refused = seen(vec![step(Place::Unchallenged, None)], ProbeEnd::Transport("port unreachable".to_owned()));
    assert!(why(refused).contains("port unreachable"));
    let nothing = judge(&reading(silent(), vec![way("127.0.0.1:4000", silent())]));
    assert!(nothing.why[0].starts_with("no answer at all"), "{:?}", nothing.why);
    assert_eq!(text(&nothing, "OPTIONS").0, CheckState::Warn);
}

#[test]
fn a_source_that_is_refused_alone_is_named() {
    let served = way("127.0.0.2:4000", challenged("r", answer(200, "OK")));
    let refused = way("127.0.0.3:4000", direct(answer(403, "Forbidden")));
    let readiness = judge(&reading(direct(answer(200, "OK")), vec![served, refused]));
    assert!(!readiness.ready);
    assert_eq!(readiness.why.len(), 1);
    assert!(readiness.why[0].starts_with("from 127.0.0.3: refused before any challenge"), "{:?}", readiness.why);
}

#[test]
fn a_name_that_does_not_resolve_is_all_there_is_to_say() {
    let mut reading = one(silent());
    reading.target = Err("the name edge.test does not resolve".to_owned());
    let readiness = judge(&reading);
    assert_eq!(readiness.why, ["the name edge.test does not resolve"]);
    assert_eq!(readiness.checks.len(), 1);
}

#[test]
fn a_lifetime_raised_by_a_423_is_worth_a_look() {
    let mut register = challenged("r", answer(200, "OK"));
    register.outcome.steps.insert(0, step(Place::Unchallenged, Some(answer(423, "Interval Too Brief"))));
    let readiness = judge(&one(register));
    assert_eq!(
        text(&readiness, "lifetime"),
        (CheckState::Warn, "3600 s granted, 3600 s asked, raised after a 423: set expires to it")
    );
}

/// The exchanges are of 2026-11-21.
#[test]
fn a_certificate_that_ends_soon_is_worth_a_look() {
    let judged = |until: &str| {
        let told = LayersTold { text: "TLSv1_3; a certificate".to_owned(), valid_until: Some(until.to_owned()) };
        let reading = Reading { layers: Some(("TLS", Ok(told))), ..one(direct(answer(200, "OK"))) };
        let readiness = judge(&reading);
        let (state, said) = text(&readiness, "TLS");
        (state, said.to_owned(), readiness.ready)
    };
    let says = |what: &str| format!("TLSv1_3; a certificate{what}");
    assert_eq!(judged("2027-06-30"), (CheckState::Ok, says(""), true));
    assert_eq!(judged("2026-12-01"), (CheckState::Warn, says(": it ends in 10 days"), true));
    assert_eq!(judged("2026-11-21"), (CheckState::Warn, says(": it ends within a day"), true));
    assert_eq!(judged("no date"), (CheckState::Ok, says(""), true));
}
