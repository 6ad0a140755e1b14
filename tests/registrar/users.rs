//! Whom the registrar knows, and how many contacts each may have.

use crate::trace::{Phone, REALM, Trace, config, fault};
use regstorm::registrar::{Config, Credential, FaultKind, KnownUsers, LimitScope, MaxContacts};
use regstorm::sip::{Algorithm, AlgorithmSet, Ha1};
use regstorm::vocab::Secret;
use std::sync::Arc;

fn knowing(users: impl IntoIterator<Item = (&'static str, Credential)>) -> Trace {
    let users = users.into_iter().map(|(name, credential)| (name.as_bytes().to_vec(), credential)).collect();
    Trace::new(Config { users: KnownUsers::Listed(Arc::new(users)), ..config() })
}

fn password(text: &str) -> Credential {
    Credential::Password(Secret::new(text))
}

#[test]
fn each_has_a_password_of_its_own() {
    let mut t = knowing([("alice", password("a1")), ("bob", password("b2"))]);
    for (user, given, code) in [("alice", "a1", 200), ("bob", "b2", 200), ("alice", "b2", 401), ("bob", "secret", 401)]
    {
        let mut phone = Phone { password: given.into(), ..Phone::new(user) };
        assert_eq!(t.handshake(&mut phone).code(), code, "{user} {given}");
    }
}

#[test]
fn a_stranger_is_challenged_without_end_and_learns_nothing() {
    let mut t = knowing([("alice", password("a1"))]);
    let mut eve = Phone { password: "a1".into(), ..Phone::new("eve") };
    let mut challenge = t.handshake(&mut eve);
    for _ in 0..5 {
        assert_eq!((challenge.code(), challenge.is_stale()), (401, false));
        t.send(&eve.answer(&challenge));
        challenge = t.expect(401);
    }
    let counts = t.registrar.counts();
    assert_eq!((counts.rejected_credentials, counts.refusals.len()), (6, 0));
}

#[test]
fn the_authentication_name_is_what_counts() {
    let mut t = knowing([("pbx", password("p"))]);
    for (user, auth_user, code) in [("alice", "pbx", 200), ("bob", "pbx", 200), ("pbx", "alice", 401)] {
        let mut phone = Phone { auth_user: auth_user.into(), password: "p".into(), ..Phone::new(user) };
        assert_eq!(t.handshake(&mut phone).code(), code, "{user} as {auth_user}");
    }
}

#[test]
fn an_ha1_serves_the_algorithms_of_its_length() {
    let ha1 = |algorithm| Ha1::compute(algorithm, b"alice", REALM.as_bytes(), &Secret::new("secret"));
    for known in [Algorithm::Md5, Algorithm::Sha256] {
        for used in [Algorithm::Md5, Algorithm::Sha256] {
            let mut t = knowing([("alice", Credential::Ha1(Box::new(ha1(known))))]);
            let mut alice = Phone { accepts: AlgorithmSet::EMPTY.with(used), ..Phone::new("alice") };
            let expected = if known == used { 200 } else { 401 };
            assert_eq!(t.handshake(&mut alice).code(), expected, "{known:?} {used:?}");
        }
    }
}

#[test]
fn a_user_belongs_to_a_domain() {
    let of = |text: &str| KnownUsers::Anybody(Secret::new(text));
    let domains = [("one.test", of("a1")), ("other.test", of("b2"))];
    let domains = domains.into_iter().map(|(domain, users)| (domain.as_bytes().to_vec(), users)).collect();
    let users = KnownUsers::ByDomain(Arc::new(domains));
    for (domain, password, code) in [
        ("one.test", "a1", 200),
        ("ONE.test", "a1", 200),
        ("one.test", "b2", 401),
        ("other.test", "b2", 200),
        ("third.test", "a1", 401),
    ] {
        let mut t = Trace::new(Config { users: users.clone(), ..config() });
        let mut phone = Phone { domain: domain.into(), password: password.into(), ..Phone::new("alice") };
        assert_eq!(t.handshake(&mut phone).code(), code, "{domain} {password}");
    }
}

// ---- Contacts ----

fn at_most(contacts: u32) -> Trace {
    Trace::new(Config { max_contacts: Some(MaxContacts { contacts, code: 403 }), ..config() })
}

/// The answer to a REGISTER of these contacts, by an agent with a Call-ID for each.
fn register(t: &mut Trace, wants: &str) -> u16 {
    let call_id = format!("{wants}@call");
    t.handshake(&mut Phone { call_id, ..Phone::new("alice") }.wanting(wants)).code()
}

#[test]
fn one_contact_too_many_is_refused_and_changes_nothing() {
    let mut t = at_most(2);
    assert_eq!(register(&mut t, "Contact: <sip:a@h:1>;expires=60\r\n"), 200);
    assert_eq!(register(&mut t, "Contact: <sip:a@h:2>;expires=60\r\n"), 200);
    let mut third = Phone::new("alice").wanting("Contact: <sip:a@h:3>;expires=60\r\n");
    let refused = t.handshake(&mut third);
    assert_eq!((refused.code(), refused.reason()), (403, "Too Many Contacts"));
    assert_eq!((t.registrar.contacts(), t.registrar.counts().replaced), (2, 0));
    assert_eq!(register(&mut t, "Contact: <sip:a@h:1>;expires=90\r\n"), 200, "a refresh");
    assert_eq!(register(&mut t, "Contact: <sip:a@h:2>;expires=0\r\n"), 200, "a removal");
    assert_eq!(t.handshake(&mut third).code(), 200, "there is room again");
    assert_eq!(t.handshake(&mut Phone::new("bob")).code(), 200, "each address has its own");
}

#[test]
fn what_a_request_removes_makes_room_for_what_it_adds() {
    let mut t = at_most(1);
    assert_eq!(register(&mut t, "Contact: <sip:a@h:1>;expires=60\r\n"), 200);
    assert_eq!(register(&mut t, "Contact: <sip:a@h:2>;expires=60, <sip:a@h:1>;expires=0\r\n"), 200);
    let list = t.handshake(&mut Phone::new("alice").wanting(""));
    assert_eq!(list.headers("Contact").len(), 1);
    assert!(list.headers("Contact")[0].starts_with("<sip:a@h:2>"), "{}", list.text);
    assert_eq!(register(&mut t, "Contact: <sip:a@h:3>;expires=60, <sip:a@h:3>;expires=60\r\n"), 403);
}

#[test]
fn a_contact_named_twice_is_one_and_expiry_makes_room() {
    let mut t = at_most(1);
    assert_eq!(register(t.at(0), "Contact: <sip:a@h:1>;expires=60, <sip:a@h:1>;expires=60\r\n"), 200);
    assert_eq!(register(t.at(59_999), "Contact: <sip:a@h:2>;expires=60\r\n"), 403);
    assert_eq!(register(t.at(60_000), "Contact: <sip:a@h:2>;expires=60\r\n"), 200);
}

#[test]
fn a_retransmission_of_what_was_done_is_answered_like_it() {
    let (mut t, mut alice) = (at_most(1), Phone::new("alice"));
    t.at(0).send(&alice.register());
    let challenge = t.expect(401);
    let request = alice.answer(&challenge);
    for ms in [1, 500] {
        t.at(ms).send(&request);
        t.expect(200);
    }
}

#[test]
fn more_than_the_usual_ten_may_be_allowed_and_the_code_is_the_profiles() {
    let mut t = Trace::new(Config {
        max_contacts: Some(MaxContacts { contacts: 12, code: 503 }),
        faults: vec![fault(FaultKind::Limit {
            concurrent: 1,
            scope: LimitScope::Trunk,
            code: 403,
            reason: "full".into(),
        })],
        ..config()
    });
    for n in 0..12 {
        assert_eq!(register(&mut t, &format!("Contact: <sip:a@h:{n}>;expires=60\r\n")), 200);
    }
    assert_eq!(register(&mut t, "Contact: <sip:a@h:99>;expires=60\r\n"), 503);
    assert_eq!((t.registrar.contacts(), t.registrar.bindings(t.now)), (12, 1));
}
