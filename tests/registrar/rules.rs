//! RFC 3261 §10.3 and the digest, without faults.

use crate::trace::{Packet, Phone, REALM, Trace, at_ms, config};
use regstorm::registrar::{Config, MAX_CONTACTS, OfferedQop};
use regstorm::sip::{Algorithm, AlgorithmSet};
use regstorm::vocab::Word;

fn trace() -> Trace {
    Trace::new(config())
}

const ALICE: &str = "<sip:alice@127.0.0.1:40000>";

#[test]
fn a_registration_from_challenge_to_binding() {
    let (mut t, mut alice) = (trace(), Phone::new("alice"));
    t.at(0).send(&alice.register());
    let challenge = t.expect(401);
    let offered = challenge.headers("WWW-Authenticate");
    assert_eq!(offered.len(), 2, "one for each algorithm");
    for (header, algorithm) in offered.iter().zip(["SHA-256", "MD5"]) {
        assert!(header.starts_with(&format!("Digest realm=\"{REALM}\", nonce=\"")), "{header}");
        assert!(header.ends_with(&format!("\", qop=\"auth\", algorithm={algorithm}")), "{header}");
    }
    assert_eq!(challenge.to, alice.from);
    assert!(challenge.headers("To")[0].contains(";tag="));
    assert_eq!(t.registrar.bindings(t.now), 0);

    t.at(20).send(&alice.answer(&challenge));
    let ok = t.expect(200);
    assert_eq!(ok.headers("Contact"), [format!("{ALICE};expires=60")]);
    assert_eq!(ok.headers("CSeq"), ["2 REGISTER"]);
    assert_eq!(ok.headers("Call-ID"), ["alice@call"]);
    assert_eq!((t.registrar.bindings(t.now), t.registrar.contacts()), (1, 1));

    let counts = t.registrar.counts();
    assert_eq!((counts.received, counts.registers, counts.challenges, counts.registered), (2, 2, 1, 1));
    assert_eq!((counts.rejected_credentials, counts.bindings, counts.bindings_peak, counts.added), (0, 1, 1, 1));
    assert_eq!(counts.replies_sent, 2);
}

#[test]
fn every_algorithm_with_and_without_qop() {
    for algorithm in Algorithm::ALL {
        // A session cannot be opened without qop.
        for without_qop in [false, true].into_iter().filter(|without| !without || !algorithm.is_session()) {
            let mut t = Trace::new(Config { algorithms: vec![algorithm], ..config() });
            let accepts = AlgorithmSet::EMPTY.with(algorithm);
            let mut alice = Phone { accepts, without_qop, ..Phone::new("alice") };
            assert_eq!(t.handshake(&mut alice).code(), 200, "{algorithm:?} {without_qop}");
        }
    }
}

#[test]
fn an_algorithm_that_was_not_offered_is_not_accepted() {
    let mut t = Trace::new(Config { algorithms: vec![Algorithm::Sha256], ..config() });
    let mut alice = Phone::new("alice");
    t.send(&alice.register());
    let mut challenge = t.expect(401);
    challenge.text = challenge.text.replace("SHA-256", "MD5");
    t.send(&alice.answer(&challenge));
    t.expect(401);
    assert_eq!(t.registrar.counts().rejected_credentials, 1);
}

#[test]
fn wrong_credentials_are_challenged_again() {
    for (wrong, what) in [
        (Phone { password: "guess".into(), ..Phone::new("alice") }, "password"),
        (Phone { force_realm: Some("other.test".into()), ..Phone::new("alice") }, "realm"),
    ] {
        let (mut t, mut alice) = (trace(), wrong);
        let reply = t.handshake(&mut alice);
        assert_eq!((reply.code(), reply.is_stale()), (401, false), "{what}");
        assert_eq!(t.registrar.counts().rejected_credentials, 1, "{what}");
        assert_eq!(t.registrar.bindings(t.now), 0, "{what}");
    }
}

#[test]
fn the_authentication_name_may_differ_from_the_user() {
    let mut alice = Phone { auth_user: "trunk-7".into(), ..Phone::new("alice") };
    assert_eq!(trace().handshake(&mut alice).code(), 200);
}

#[test]
fn the_digest_uri_must_be_the_request_uri() {
    for (uri, code) in [
        ("sip:GenesysCloud.test", 200),
        ("sip:genesyscloud.test:5060;transport=udp", 200),
        ("sip:127.0.0.1:5060", 200),
        ("sip:elsewhere.test", 400),
        ("sip:bob@genesyscloud.test", 400),
    ] {
        let mut alice = Phone { force_uri: Some(uri.into()), ..Phone::new("alice") };
        assert_eq!(trace().handshake(&mut alice).code(), code, "{uri}");
    }
}

#[test]
fn credentials_for_our_realm_are_found_among_others() {
    let (mut t, mut alice) = (trace(), Phone::new("alice"));
    alice.extra =
        "Proxy-Authorization: Digest username=\"a\", realm=\"p\", nonce=\"n\", uri=\"sip:x\", response=\"0\"\r\n\
                   Authorization: Digest username=\"a\", realm=\"q\", nonce=\"n\", uri=\"sip:x\", response=\"0\"\r\n"
            .into();
    t.send(&alice.register());
    let challenge = t.expect(401);
    t.send(&alice.answer(&challenge));
    t.expect(200);
}

#[test]
fn a_nonce_is_good_for_its_lifetime_and_stale_after() {
    let (mut t, mut alice) = (trace(), Phone::new("alice"));
    t.at(0).send(&alice.register());
    let challenge = t.expect(401);
    for (ms, nc) in [(10, 1), (30_000, 2), (300_000, 3)] {
        t.at(ms).send(&alice.answer_counted(&challenge, nc));
        t.expect(200);
    }
    t.at(300_001).send(&alice.answer_counted(&challenge, 4));
    let stale = t.expect(401);
    assert!(stale.headers("WWW-Authenticate").iter().all(|header| header.ends_with(", stale=true")));
    t.at(300_020).send(&alice.answer(&stale));
    t.expect(200);
    assert_eq!((t.registrar.counts().stale_challenges, t.registrar.counts().rejected_credentials), (1, 0));
}

#[test]
fn only_the_nonce_being_at_fault_makes_it_stale() {
    let (mut t, mut eve) = (trace(), Phone { password: "guess".into(), ..Phone::new("alice") });
    t.at(0).send(&eve.register());
    let challenge = t.expect(401);
    t.at(400_000).send(&eve.answer(&challenge));
    assert!(!t.expect(401).is_stale(), "a wrong password stays wrong");

    let (mut t, mut alice) = (trace(), Phone::new("alice"));
    t.at(0).send(&alice.register());
    let mut forged = t.expect(401);
    forged.text = forged.text.replace("nonce=\"0", "nonce=\"1");
    t.at(1).send(&alice.answer(&forged));
    assert!(!t.expect(401).is_stale(), "a nonce that was never issued is unknown");
}

#[test]
fn the_lifetime_comes_from_contact_then_header_then_maximum() {
    for (wants, granted) in [
        ("Contact: <sip:alice@127.0.0.1:40000>;expires=30\r\nExpires: 60\r\n", 30),
        ("Contact: <sip:alice@127.0.0.1:40000>\r\nExpires: 60\r\n", 60),
        ("Contact: <sip:alice@127.0.0.1:40000>\r\n", 3_600),
        ("Contact: <sip:alice@127.0.0.1:40000>;expires=5\r\n", 5),
        ("Contact: <sip:alice@127.0.0.1:40000>;expires=7200\r\n", 3_600),
        ("m: <sip:alice@127.0.0.1:40000>;expires=4294967295\r\n", 3_600),
    ] {
        let ok = trace().handshake(&mut Phone::new("alice").wanting(wants));
        assert_eq!(ok.headers("Contact"), [format!("{ALICE};expires={granted}")], "{wants}");
    }
}

#[test]
fn a_lifetime_below_the_minimum_is_refused_with_it() {
    let (mut t, mut alice) = (trace(), Phone::new("alice").wanting(&format!("Contact: {ALICE};expires=4\r\n")));
    let refusal = t.handshake(&mut alice);
    assert_eq!((refusal.code(), refusal.reason()), (423, "Interval Too Brief"));
    assert_eq!(refusal.headers("Min-Expires"), ["5"]);
    assert_eq!((t.registrar.bindings(t.now), t.registrar.counts().refused(423)), (0, 1));
    alice.wants = format!("Contact: {ALICE};expires=5\r\n");
    assert_eq!(t.handshake(&mut alice).code(), 200);
}

/// RFC 7616 §3.3: what protects less than was asked for is no answer.
#[test]
fn a_digest_without_the_body_is_refused_where_the_body_counts() {
    for (qop, expected) in [(OfferedQop::Auth, 200), (OfferedQop::Both, 200), (OfferedQop::AuthInt, 401)] {
        let mut t = Trace::new(Config { qop, ..config() });
        let mut a = Phone::new("a");
        t.at(0).send(&a.register());
        let challenge = t.expect(401);
        assert!(challenge.text.contains(&format!("qop=\"{}\"", qop.as_str())), "{}", challenge.text);
        t.at(1).send(&a.answer(&challenge));
        t.expect(expected);
    }
}

#[test]
fn an_hour_is_never_too_brief() {
    let mut t = Trace::new(Config { min_expires_s: 7_200, max_expires_s: 86_400, ..config() });
    let mut alice = Phone::new("alice").wanting(&format!("Contact: {ALICE};expires=3600\r\n"));
    assert_eq!(t.handshake(&mut alice).headers("Contact"), [format!("{ALICE};expires=7200")]);
    alice.wants = format!("Contact: {ALICE};expires=3599\r\n");
    assert_eq!(t.handshake(&mut alice).code(), 423);
}

#[test]
fn a_binding_expires() {
    let (mut t, mut alice) = (trace(), Phone::new("alice"));
    t.at(0).handshake(&mut alice);
    assert_eq!(t.registrar.next_wake(), Some(at_ms(60_000)));
    assert_eq!((t.registrar.bindings(at_ms(59_999)), t.registrar.bindings(at_ms(60_000))), (1, 0));
    t.at(60_000).expect_silence();
    let counts = t.registrar.counts();
    assert_eq!((counts.bindings, counts.bindings_peak, counts.expired), (0, 1, 1));
    assert_eq!(t.registrar.next_wake(), None);
}

#[test]
fn a_refresh_extends_and_a_query_only_lists() {
    let (mut t, mut alice) = (trace(), Phone::new("alice"));
    t.at(0).handshake(&mut alice);
    t.at(50_000).handshake(&mut alice);
    assert_eq!((t.registrar.counts().added, t.registrar.counts().refreshed), (1, 1));
    let mut asking = alice.clone().wanting("");
    let list = t.at(70_500).handshake(&mut asking);
    assert_eq!(list.headers("Contact"), [format!("{ALICE};expires=39")]);
    assert_eq!(t.registrar.bindings(at_ms(109_999)), 1);
    assert_eq!(t.registrar.bindings(at_ms(110_000)), 0);
}

#[test]
fn zero_removes_one_contact_and_the_wildcard_all() {
    let (mut t, mut alice) = (trace(), Phone::new("alice"));
    alice.wants =
        "Contact: <sip:a@h1>, \"Two, of them\" <sip:a@h2>;expires=30\r\nContact: sip:a@h3;expires=40\r\n".into();
    let all = t.handshake(&mut alice);
    assert_eq!(all.headers("Contact"), ["<sip:a@h1>;expires=3600", "<sip:a@h2>;expires=30", "<sip:a@h3>;expires=40"]);
    alice.wants = "Contact: <sip:a@h2>;expires=0\r\n".into();
    assert_eq!(t.handshake(&mut alice).headers("Contact").len(), 2);
    alice.wants = "Contact: <sip:a@unknown>\r\nExpires: 0\r\n".into();
    assert_eq!(t.handshake(&mut alice).headers("Contact").len(), 2, "removing what is not there is no error");
    alice.wants = "Contact: *\r\nExpires: 0\r\n".into();
    let none = t.handshake(&mut alice);
    assert_eq!((none.code(), none.headers("Contact").len()), (200, 0));
    assert_eq!((t.registrar.bindings(t.now), t.registrar.contacts(), t.registrar.counts().removed), (0, 0, 3));
}

#[test]
fn a_wildcard_stands_alone_and_with_zero() {
    for wants in ["Contact: *\r\n", "Contact: *\r\nExpires: 60\r\n", "Contact: *, <sip:a@h>\r\nExpires: 0\r\n"] {
        assert_eq!(trace().handshake(&mut Phone::new("alice").wanting(wants)).code(), 400, "{wants}");
    }
}

#[test]
fn an_older_cseq_changes_nothing() {
    let (mut t, mut alice) = (trace(), Phone::new("alice"));
    t.send(&alice.register());
    let challenge = t.expect(401);
    let mut late = alice.clone();
    let overtaken = late.answer(&challenge);
    alice.cseq = 10;
    t.send(&alice.answer(&challenge));
    t.expect(200);
    t.at(5_000).send(&overtaken);
    t.expect(500);
    let wildcard = late.clone().wanting("Contact: *\r\nExpires: 0\r\n").answer(&challenge);
    t.send(&wildcard);
    t.expect(500);
    assert_eq!(t.registrar.bindings(at_ms(59_999)), 1);
    assert_eq!(t.registrar.bindings(at_ms(60_000)), 0, "not extended");

    let mut restarted = Phone { call_id: "another".into(), ..Phone::new("alice") };
    assert_eq!(t.handshake(&mut restarted).code(), 200, "another Call-ID starts anew");
}

#[test]
fn a_retransmission_is_answered_without_a_change() {
    let (mut t, mut alice) = (trace(), Phone::new("alice"));
    t.send(&alice.register());
    let challenge = t.expect(401);
    let request = alice.answer(&challenge);
    t.at(0).send(&request);
    let first = t.expect(200);
    let again = t.send(&request).expect(200);
    assert_eq!(again.text, first.text, "same answer, same To tag");
    t.at(2_000).send(&request);
    t.expect(200);
    assert_eq!(t.registrar.bindings(at_ms(60_000)), 0, "not extended");
    assert_eq!((t.registrar.counts().added, t.registrar.counts().refreshed), (1, 0));
    assert_eq!(t.registrar.counts().registered, 3);
}

#[test]
fn contacts_of_one_address_are_bounded() {
    let (mut t, mut alice) = (trace(), Phone::new("alice"));
    for n in 0..MAX_CONTACTS + 3 {
        alice.wants = format!("Contact: <sip:alice@127.0.0.1:{}>\r\n", 40_000 + n);
        t.at(n as u64).handshake(&mut alice);
    }
    alice.wants.clear();
    let list = t.handshake(&mut alice);
    assert_eq!(list.headers("Contact").len(), MAX_CONTACTS);
    assert!(!list.text.contains(":40002>") && list.text.contains(":40003>"), "{}", list.text);
    assert_eq!((t.registrar.bindings(t.now), t.registrar.counts().replaced), (1, 3));
}

#[test]
fn addresses_of_record_are_canonical_and_any_domain_is_served() {
    let mut t = trace();
    t.handshake(&mut Phone::new("alice"));
    t.handshake(&mut Phone { domain: "GENESYSCLOUD.test".into(), ..Phone::new("%61lice") });
    assert_eq!((t.registrar.bindings(t.now), t.registrar.contacts()), (1, 2));
    t.handshake(&mut Phone { domain: "another.test".into(), ..Phone::new("alice") });
    assert_eq!(t.registrar.bindings(t.now), 2);
}

#[test]
fn a_realm_with_quotes_travels_and_verifies() {
    let mut t = Trace::new(Config { realm: "a \"quoted\" \\ realm".into(), ..config() });
    assert_eq!(t.handshake(&mut Phone::new("alice")).code(), 200);
}

#[test]
fn a_required_extension_is_refused() {
    let (mut t, mut alice) = (trace(), Phone::new("alice"));
    alice.extra = "Require: path\r\nRequire: gruu, outbound\r\n".into();
    t.send(&alice.register());
    assert_eq!(t.expect(420).headers("Unsupported"), ["path", "gruu, outbound"]);
}

#[test]
fn other_methods() {
    let (mut t, mut alice) = (trace(), Phone::new("alice").wanting(""));
    t.send(&alice.request("OPTIONS", ""));
    assert_eq!(t.expect(200).headers("Allow"), ["REGISTER, OPTIONS"]);
    t.send(&alice.request("INVITE", ""));
    assert_eq!(t.expect(405).headers("Allow"), ["REGISTER, OPTIONS"]);
    t.send(&alice.request("ACK", "")).expect_silence();
    let counts = t.registrar.counts();
    assert_eq!((counts.options, counts.options_answered, counts.other_methods, counts.ignored), (1, 1, 1, 1));
    assert_eq!(counts.refused(405), 1);
}

#[test]
fn what_is_no_request_is_counted_and_at_most_answered_400() {
    let (mut t, mut alice) = (trace(), Phone::new("alice"));
    let from = alice.from;
    let good = alice.register().text;
    let send = |t: &mut Trace, text: &str| _ = t.send(&Packet { from, text: text.into() });
    for silent in ["", "\r\n\r\n", "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n\r\n"] {
        send(&mut t, silent);
        t.expect_silence();
    }
    assert_eq!((t.registrar.counts().ignored, t.registrar.counts().malformed), (3, 0));

    for (line, replacement) in [("Call-ID: alice@call\r\n", ""), ("CSeq: 1 REGISTER", "CSeq: one REGISTER")] {
        assert!(good.contains(line));
        send(&mut t, &good.replace(line, replacement));
        let reply = t.expect(400);
        assert_eq!(reply.headers("Via"), ["SIP/2.0/UDP 127.0.0.1:40000;rport;branch=z9hG4bK1"]);
    }
    send(&mut t, &good.replace("CSeq: 1 REGISTER", "CSeq: 1 OPTIONS"));
    t.expect(400);
    send(&mut t, "hello");
    send(&mut t, "REGISTER sip:x SIP/2.0\r\nTo: <sip:a@x>\r\n\r\n");
    t.expect_silence();
    assert_eq!((t.registrar.counts().malformed, t.registrar.counts().refused(400)), (5, 3));
}

#[test]
fn unreadable_addresses_are_refused_after_authentication() {
    let (mut t, mut alice) = (trace(), Phone::new("alice"));
    t.send(&alice.register());
    let challenge = t.expect(401);
    let mut packet = alice.answer(&challenge);
    packet.text = packet.text.replace("To: <sip:alice@", "To: <tel:+1@");
    t.send(&packet);
    t.expect(400);
    alice.wants = "Contact: <>\r\n".into();
    assert_eq!(t.handshake(&mut alice).code(), 400);
    assert_eq!(t.registrar.bindings(t.now), 0);
}

#[test]
fn replies_go_to_where_the_request_came_from() {
    let (mut t, mut alice) = (trace(), Phone::new("alice"));
    let mut packet = alice.register();
    packet.from = "127.0.0.9:6000".parse().expect("an address");
    t.send(&packet);
    let reply = t.expect(401);
    assert_eq!(reply.to, packet.from);
    let via = reply.headers("Via")[0];
    assert!(via.contains("received=127.0.0.9") && via.contains("rport=6000"), "{via}");
}

#[test]
fn a_reply_too_long_for_the_buffer_is_counted_and_gone() {
    let (mut t, mut alice) = (trace(), Phone::new("alice"));
    t.send(&alice.register());
    assert_eq!(t.registrar.poll_transmit(t.now, &mut [0; 100]), None);
    t.expect_silence();
    assert_eq!((t.registrar.counts().replies_discarded, t.registrar.counts().replies_sent), (1, 0));
}
