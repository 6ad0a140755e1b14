//! The handshake: challenges answered, refused and repeated, nonces carried on, a lifetime too
//! brief.

use super::*;

#[test]
fn a_next_nonce_replaces_the_nonce_silently() {
    let mut phone = Phone::new();
    let contact = "Contact: <sip:alice@127.0.0.1:40000>;expires=20\r\n";
    let next = |nonce| format!("{contact}Authentication-Info: nextnonce=\"{nonce}\"\r\n");
    phone.arrive(0).challenge(1, "n1", "").reply(2, 200, &next("n2")).due();
    let now = phone.now;
    phone.reply(now + 1, 200, &next("n3")).due().then_ok(20).due();
    let credentials: Vec<String> = phone.requests().into_iter().map(|request| request.3).collect();
    assert_eq!(credentials, ["", "n1/1", "n2/1", "n3/1", "n3/2"]);
    assert_eq!((phone.seen("challenged"), phone.seen("ended registered")), (1, 3));
    // Refused all the same, it is a nonce from before this attempt.
    let now = phone.now;
    phone.challenge(now + 1, "n4", "").then_ok(20);
    assert_eq!((phone.seen("challenged"), phone.seen("ended registered")), (2, 4));
}

#[test]
fn without_reuse_a_refresh_starts_bare() {
    let mut phone = Phone::new();
    phone.policy.reuse_nonce = false;
    phone.arrive(0).challenge(1, "n1", "").ok(2, 20).due();
    assert_eq!(phone.requests()[2].3, "");
}

#[test]
fn a_401_to_an_old_nonce_is_this_attempts_challenge() {
    for more in ["", ", stale=true"] {
        let mut phone = Phone::new();
        phone.arrive(0).challenge(1, "n1", "").ok(2, 20).due().challenge(20_000, "n2", more).then_ok(20);
        assert_eq!(phone.requests()[3].3, "n2/1", "{more}");
        assert_eq!(phone.seen("ended registered"), 2, "{more}");
    }
}

#[test]
fn a_second_401_ends_the_attempt() {
    let mut phone = Phone::new();
    phone.arrive(0).challenge(1, "n1", "").challenge(2, "n2", "");
    assert_eq!(phone.seen("ended authentication_failed 401 AfterCredentials"), 1);
    assert_eq!(phone.sent.len(), 2);
}

#[test]
fn one_stale_is_answered_a_second_ends_it() {
    let mut phone = Phone::new();
    phone.arrive(0).challenge(1, "n1", "").challenge(2, "n2", ", stale=true");
    assert_eq!(phone.requests()[2].3, "n2/1");
    phone.challenge(3, "n3", ", stale=TRUE");
    assert_eq!(phone.seen("ended authentication_failed 401"), 1);
    assert_eq!(phone.sent.len(), 3);
}

#[test]
fn a_proxy_and_a_registrar_may_both_challenge() {
    let mut phone = Phone::new();
    let proxy = "Proxy-Authenticate: Digest realm=\"edge\", nonce=\"p1\", qop=\"auth\", algorithm=SHA-256\r\n";
    phone.arrive(0).reply(1, 407, proxy).challenge(2, "n1", "").ok(3, 60);
    let last = phone.last();
    assert!(last.contains("Proxy-Authorization: Digest") && last.contains("\r\nAuthorization: Digest"), "{last}");
    assert_eq!(phone.seen("ended registered"), 1);
}

#[test]
fn realms_that_ask_in_one_answer_are_answered_in_one_request() {
    let both = "Proxy-Authenticate: Digest realm=\"edge\", nonce=\"p1\", qop=\"auth\"\r\n\
                Proxy-Authenticate: Digest realm=\"core\", nonce=\"c1\", algorithm=SHA-256, Digest realm=\"core\", nonce=\"c2\"\r\n\
                WWW-Authenticate: Digest realm=\"example.test\", nonce=\"n1\", qop=\"auth\"\r\n";
    for code in [401, 407] {
        let mut phone = Phone::new();
        phone.arrive(0).reply(1, code, both);
        let last = phone.last();
        for (realm, nonce) in [("edge", "p1"), ("core", "c1"), ("example.test", "n1")] {
            assert!(last.contains(&format!("realm=\"{realm}\", nonce=\"{nonce}\"")), "{realm}: {last}");
        }
        assert_eq!(phone.clues.len(), 3, "{:?}", phone.clues);
        phone.ok(2, 60);
        assert_eq!((phone.sent.len(), phone.seen("ended registered")), (2, 1));
    }
}

#[test]
fn realms_that_ask_one_after_another_are_answered_up_to_a_number() {
    let of = |realm: usize| format!("WWW-Authenticate: Digest realm=\"r{realm}\", nonce=\"n{realm}\"\r\n");
    let mut phone = Phone::new();
    phone.policy.realm = None;
    phone.arrive(0);
    for realm in 0..4 {
        phone.reply(1 + realm as u64, 401, &of(realm));
        assert_eq!(phone.last().matches("\r\nAuthorization: ").count(), realm + 1);
    }
    phone.reply(5, 401, &of(4));
    assert_eq!(phone.sent.len(), 5);
    assert_eq!(phone.seen("ended authentication_failed 401 AfterCredentials"), 1);
}

#[test]
fn one_of_two_realms_refuses_credentials() {
    let realm =
        |realm: &str, nonce: &str| format!("Proxy-Authenticate: Digest realm=\"{realm}\", nonce=\"{nonce}\"\r\n");
    let mut phone = Phone::new();
    phone.arrive(0).reply(1, 407, &realm("edge", "p1")).challenge(2, "n1", "").reply(3, 407, &realm("edge", "p2"));
    assert_eq!(phone.seen("ended authentication_failed 407 AfterCredentials"), 1);
    // A refresh carries both, and answers what one of them finds too old.
    let mut phone = Phone::new();
    phone.arrive(0).reply(1, 407, &realm("edge", "p1")).challenge(2, "n1", "").ok(3, 60).due();
    assert!(phone.last().contains("nonce=\"p1\"") && phone.last().contains("nonce=\"n1\""), "{}", phone.last());
    let now = phone.now;
    phone.reply(now + 1, 407, &realm("edge", "p2"));
    assert!(phone.last().contains("nonce=\"p2\"") && phone.last().contains("nonce=\"n1\""), "{}", phone.last());
    phone.then_ok(60);
    assert_eq!(phone.seen("ended registered"), 2);
}

#[test]
fn a_challenge_that_follows_a_423_is_answered() {
    let mut phone = Phone::new();
    phone.arrive(0).challenge(1, "n1", "").reply(2, 423, "Min-Expires: 120\r\n").challenge(3, "n2", "").ok(4, 120);
    assert_eq!((phone.requests()[3].2, phone.requests()[3].3.as_str()), (120, "n2/1"));
    assert_eq!(phone.seen("ended registered"), 1);
}

#[test]
fn a_proxy_has_a_realm_of_its_own_whatever_is_required_of_the_registrars() {
    for policy in [RealmPolicy::Require, RealmPolicy::Force, RealmPolicy::Expect] {
        let mut phone = Phone::new();
        phone.policy.realm_policy = policy;
        let proxy = "Proxy-Authenticate: Digest realm=\"edge\", nonce=\"p1\"\r\n";
        phone.arrive(0).reply(1, 407, proxy).challenge(2, "n1", "").ok(3, 60);
        assert!(phone.last().contains("realm=\"edge\"") && phone.last().contains("realm=\"example.test\""));
        assert_eq!(phone.seen("ended registered"), 1, "{policy:?}");
    }
}

#[test]
fn a_next_nonce_replaces_the_nonce() {
    let mut phone = Phone::new();
    let granted = |next: &str| format!("Contact: <sip:alice@127.0.0.1:40000>;expires=60\r\n{next}");
    phone.arrive(0).challenge(1, "n1", ", opaque=\"o\"");
    phone.reply(2, 200, &granted("Authentication-Info: qop=auth, NextNonce=\"longer-n2\", nc=00000001\r\n"));
    phone.due();
    assert_eq!(phone.requests()[2].3, "longer-n2/1", "the refresh carries it at once");
    assert!(
        phone.last().contains("opaque=\"o\"") && phone.last().contains("realm=\"example.test\""),
        "{}",
        phone.last()
    );
    let now = phone.now;
    phone.reply(now + 1, 200, &granted("Authentication-Info: nextnonce=\"\"\r\n")).due();
    assert_eq!(phone.requests()[3].3, "longer-n2/2", "an empty one is none");
}

#[test]
fn one_423_is_answered_with_its_minimum_and_remembered() {
    let mut phone = Phone::new();
    phone.arrive(0).challenge(1, "n1", "").reply(2, 423, "Min-Expires: 120\r\n");
    assert_eq!(phone.requests()[2], (2, 3, 120, "n1/2".into()));
    assert_eq!((phone.seen("challenged 401"), phone.seen("challenged 423")), (1, 1), "both are told");
    phone.ok(3, 120).until(115_000);
    assert_eq!(phone.requests()[3].2, 120, "the next attempt asks for it at once");
}

#[test]
fn a_second_423_ends_the_attempt() {
    let mut phone = Phone::new();
    phone.arrive(0).reply(1, 423, "Min-Expires: 120\r\n").reply(2, 423, "Min-Expires: 240\r\n");
    assert_eq!(phone.seen("ended registration_rejected 423"), 1);
    let mut phone = Phone::new();
    phone.arrive(0).reply(1, 423, "");
    assert_eq!(phone.seen("ended registration_rejected 423"), 1, "without Min-Expires there is nothing to ask for");
}

#[test]
fn an_unusable_challenge_is_a_protocol_error() {
    let unknown = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=AKAv1-MD5\r\n";
    let long = format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"{}\"\r\n", "n".repeat(3001));
    let unclosed = "WWW-Authenticate: Digest nonce=\"n\", realm=\"r\r\n";
    let empty = "WWW-Authenticate: Digest realm=\"r\", nonce=\"\"\r\n";
    for headers in [unknown, "", "WWW-Authenticate: Basic realm=\"r\"\r\n", &long, unclosed, empty] {
        let mut phone = Phone::new();
        phone.arrive(0).reply(1, 401, headers);
        assert_eq!(phone.seen("ended protocol_error 401"), 1, "{headers}");
    }
}

#[test]
fn realm_policies() {
    let other = "WWW-Authenticate: Digest realm=\"other\", nonce=\"n\", qop=\"auth\"\r\n";
    let realm_sent = |policy| {
        let mut phone = Phone::new();
        phone.policy.realm_policy = policy;
        phone.arrive(0).reply(1, 401, other);
        let text = phone.last();
        let view = scan::request(text.as_bytes()).expect("own");
        credentials(&view).map(|c| String::from_utf8_lossy(c.realm).into_owned())
    };
    assert_eq!(realm_sent(RealmPolicy::Expect).as_deref(), Some("other"));
    assert_eq!(realm_sent(RealmPolicy::Force).as_deref(), Some("example.test"));
    assert_eq!(realm_sent(RealmPolicy::Require), None);
}
