//! Challenges taken up and answered, each answer read back from the bytes of a REGISTER and checked
//! as a registrar would.

use super::super::identity::Identity;
use super::super::policy::{RealmPolicy, TrunkPolicy};
use super::*;
use crate::sip::challenge::{Credentials, Unusable, credentials};
use crate::sip::emit::{Register, RegisterTemplate, TemplateParts};
use crate::sip::{Branch, Token, scan};
use crate::vocab::{AgentId, RunTag, Secret, Transport, TrunkId};

const CNONCE: [u8; 16] = *b"0a4f113b0a4f113b";
const CNONCE_DRAWN: u64 = 0x0a4f_113b_0a4f_113b;

/// What an agent holds, and whose it is.
struct Side {
    authentication: Authentication,
    policy: TrunkPolicy,
    credential: Credential,
}

impl Side {
    fn new() -> Self {
        Side {
            authentication: Authentication::default(),
            policy: TrunkPolicy {
                realm: Some("forced.test".into()),
                expires_s: 60,
                ..TrunkPolicy::plain("example.test")
            },
            credential: Credential::Password(Secret::new("secret")),
        }
    }

    fn reply(&mut self, code: u16, headers: &str, take: impl FnOnce(&mut Self, &Response<'_>)) {
        let text = format!(
            "SIP/2.0 {code} Reason\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n\
             Call-ID: c\r\nCSeq: 1 REGISTER\r\n{headers}\r\n"
        );
        take(self, &scan::response(text.as_bytes()).expect("well-formed"));
    }

    fn challenged(&mut self, code: u16, parameters: &str) -> Result<(), Unusable> {
        let name = if code == 401 { "WWW" } else { "Proxy" };
        let mut result = Ok(());
        self.reply(code, &format!("{name}-Authenticate: Digest {parameters}\r\n"), |side, response| {
            let Side { authentication, policy, credential } = side;
            let identity = identity(credential);
            let usable = usable(policy.algorithms, identity.credential);
            result = crate::sip::choose(response, usable).and_then(|challenge| {
                let answerer = Answerer {
                    auth_user: identity.auth_user.as_bytes(),
                    credential: identity.credential,
                    realm: policy.answered_realm(challenge.role, challenge.realm)?,
                    hashed_realm: None,
                };
                let by = authentication.place(challenge.role, answerer.realm, Exchange::default());
                authentication.accept(by.expect("a place"), &challenge, answerer, || CNONCE_DRAWN);
                Ok(())
            });
        });
        result
    }

    fn renewed(&mut self, headers: &str) {
        self.reply(200, headers, |side, response| side.authentication.renew(response));
    }

    /// The next request as it is written.
    fn request(&mut self) -> String {
        self.authentication.next_request();
        let parts = TemplateParts {
            domain: "example.test",
            transport: Transport::Udp,
            sent_by: "127.0.0.1:40000",
            route: None,
            user_agent: "regstorm",
            headers: &[],
        };
        let template = RegisterTemplate::new(&parts);
        let mut out = [0; 2048];
        let write = |authorizations: &[Authorization<'_>]| {
            let register = Register {
                user: b"alice",
                branch: &Branch::new(RunTag(1), Token { agent: AgentId(0), serial: 1 }),
                call_id: b"00112233445566778899aabbccddeeff",
                from_tag: b"0123456789abcdef",
                cseq: 1,
                expires: 60,
                authorizations,
            };
            template.write(&register, &mut out)
        };
        let digest = |algorithm, ha1: &Ha1, nonce: &[u8], qop: Option<Qop<'_>>| {
            template.request_digest(algorithm, ha1, nonce, qop)
        };
        let length = self.authentication.authorize(b"alice-auth", digest, write).expect("fits");
        String::from_utf8(out[..length].to_vec()).expect("text")
    }
}

fn identity(credential: &Credential) -> Identity<'_> {
    Identity { trunk: TrunkId(0), number: 0, user: "alice", auth_user: "alice-auth", credential }
}

fn read(request: &str) -> Credentials<'_> {
    credentials(&scan::request(request.as_bytes()).expect("own request")).expect("credentials")
}

fn ha1(algorithm: Algorithm, realm: &str) -> Ha1 {
    Ha1::compute(algorithm, b"alice-auth", realm.as_bytes(), &Secret::new("secret"))
}

/// Nonce and nonce count of a request's credentials.
fn nonce_of(request: &str) -> (String, u32) {
    let given = read(request);
    (String::from_utf8_lossy(given.nonce).into_owned(), given.qop_auth.map_or(0, |(nc, _)| nc))
}

#[test]
fn every_algorithm_and_protection_is_answered() {
    for algorithm in Algorithm::ALL {
        for (offer, integrity) in [("auth", false), ("auth-int", true), ("auth-int,auth", false)] {
            let mut side = Side::new();
            let name = algorithm.as_str();
            side.challenged(401, &format!("realm=\"r\", nonce=\"n\", qop=\"{offer}\", algorithm={name}, opaque=\"o\""))
                .expect(name);
            for nc in 1..=3 {
                let request = side.request();
                let given = read(&request);
                assert_eq!((given.algorithm, given.integrity), (Some(algorithm), integrity), "{offer}");
                assert_eq!((given.qop_auth, given.opaque), (Some((nc, &CNONCE[..])), Some(&b"o"[..])));
                assert!(given.prove(&ha1(algorithm, "r"), b"REGISTER", b""), "{name} {offer} {nc}");
            }
        }
    }
}

/// A second session has another key, though nothing but the nonce changed.
#[test]
fn each_challenge_begins_a_session_of_its_own() {
    let mut side = Side::new();
    for nonce in ["n1", "n2"] {
        side.challenged(401, &format!("realm=\"r\", nonce=\"{nonce}\", qop=auth, algorithm=SHA-256-sess"))
            .expect(nonce);
        let request = side.request();
        assert_eq!(nonce_of(&request), (nonce.to_owned(), 1));
        assert!(read(&request).prove(&ha1(Algorithm::Sha256Sess, "r"), b"REGISTER", b""), "{nonce}");
    }
}

#[test]
fn a_next_nonce_begins_to_count_anew() {
    let mut side = Side::new();
    side.challenged(401, "realm=\"r\", nonce=\"first\", qop=auth, opaque=\"o\"").expect("usable");
    side.request();
    side.request();
    side.renewed("Authentication-Info: qop=auth, nextnonce=\"a longer second\"\r\n");
    let request = side.request();
    assert_eq!(nonce_of(&request), ("a longer second".to_owned(), 1));
    let given = read(&request);
    assert_eq!((given.realm, given.opaque), (&b"r"[..], Some(&b"o"[..])));
    assert!(given.prove(&ha1(Algorithm::Md5, "r"), b"REGISTER", b""));
    side.renewed("Authentication-Info: rspauth=\"x\"\r\n");
    assert_eq!(nonce_of(&side.request()), ("a longer second".to_owned(), 2));
}

/// RFC 7616 §3.4.2: the key is computed once, after a `WWW-Authenticate`.
#[test]
fn a_next_nonce_leaves_the_key_of_a_session() {
    let mut side = Side::new();
    side.challenged(401, "realm=\"r\", nonce=\"first\", qop=auth-int, algorithm=MD5-sess").expect("usable");
    side.request();
    side.renewed("Authentication-Info: nextnonce=\"second\"\r\n");
    let request = side.request();
    let given = read(&request);
    let key = ha1(Algorithm::Md5Sess, "r").session(Algorithm::Md5Sess, b"first", &CNONCE);
    let expected = digest::request_digest(Algorithm::Md5Sess, &key, &given.covered(b"REGISTER", b""));
    assert!(expected.matches(given.response));
}

#[test]
fn registrar_and_proxy_renew_apart() {
    let mut side = Side::new();
    side.challenged(407, "realm=\"p\", nonce=\"p1\", qop=auth").expect("usable");
    side.challenged(401, "realm=\"r\", nonce=\"r1\", qop=auth").expect("usable");
    side.request();
    side.renewed("Proxy-Authentication-Info: nextnonce=\"p2\"\r\n");
    let request = side.request();
    assert!(request.contains("nonce=\"r1\"") && request.contains("nonce=\"p2\""), "{request}");
    assert!(request.contains("nc=00000002") && request.contains("nc=00000001"), "{request}");
}

/// RFC 7616 §3.4: the count is of requests with this nonce, whoever hands it out once more.
#[test]
fn a_nonce_handed_out_again_is_counted_on() {
    let mut side = Side::new();
    for (nonce, count) in [("n", 1), ("n", 2), ("m", 1), ("n", 1)] {
        side.challenged(401, &format!("realm=\"r\", nonce=\"{nonce}\", qop=auth")).expect("usable");
        let request = side.request();
        assert_eq!(nonce_of(&request), (nonce.to_owned(), count));
        assert!(read(&request).prove(&ha1(Algorithm::Md5, "r"), b"REGISTER", b""));
    }
}

/// RFC 3261 §22.3: credentials for each realm on the way, in every request from then on.
#[test]
fn credentials_of_all_realms_are_kept() {
    let mut side = Side::new();
    side.policy.realm_policy = RealmPolicy::Force;
    for (code, realm) in [(407, "edge"), (401, "r"), (407, "core"), (401, "r2")] {
        side.challenged(code, &format!("realm=\"{realm}\", nonce=\"of {realm}\", qop=auth")).expect("usable");
    }
    let request = side.request();
    let order: Vec<_> = request.lines().filter(|line| line.contains("uthorization:")).collect();
    // The registrar's realm is forced, and is one; those of proxies are their own.
    let starts = [
        "Authorization: Digest username=\"alice-auth\", realm=\"forced.test\", nonce=\"of r2\"",
        "Proxy-Authorization: Digest username=\"alice-auth\", realm=\"core\"",
        "Proxy-Authorization: Digest username=\"alice-auth\", realm=\"edge\"",
    ];
    assert!(order.len() == 3 && order.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{request}");
    let all = scan::request(request.as_bytes()).expect("own request");
    for given in crate::sip::challenge::all_credentials(&all) {
        let realm = String::from_utf8_lossy(given.realm).into_owned();
        assert!(given.prove(&ha1(Algorithm::Md5, &realm), b"REGISTER", b""), "{realm}");
    }
}

/// What was not used has not been renewed: the next attempt starts bare, and a nonce out of the
/// blue starts nothing.
#[test]
fn only_a_carried_nonce_is_renewed() {
    let mut side = Side::new();
    side.renewed("Authentication-Info: nextnonce=\"x\"\r\n");
    assert!(!side.authentication.carries_any());
    side.challenged(401, "realm=\"r\", nonce=\"first\", qop=auth").expect("usable");
    side.authentication.begin(false);
    side.renewed("Authentication-Info: nextnonce=\"x\"\r\n");
    side.authentication.begin(true);
    assert_eq!(nonce_of(&side.request()), ("first".to_owned(), 1));
}

#[test]
fn a_user_name_is_hashed_where_asked_and_with_the_realm_sent() {
    for (policy, realm) in [(RealmPolicy::Expect, "r"), (RealmPolicy::Force, "forced.test")] {
        let mut side = Side::new();
        side.policy.realm_policy = policy;
        let parameters = "realm=\"r\", nonce=\"n\", qop=auth, userhash=true, algorithm=SHA-256, opaque=\"o\"";
        side.challenged(401, parameters).expect("usable");
        let request = side.request();
        let given = read(&request);
        assert!(given.userhash && !request.contains("alice-auth"), "{request}");
        let hashed = digest::user_hash(Algorithm::Sha256, b"alice-auth", realm.as_bytes());
        assert_eq!((given.username, given.realm), (hashed.as_bytes(), realm.as_bytes()));
        assert_eq!((given.nonce, given.opaque), (&b"n"[..], Some(&b"o"[..])));
        // The digest itself is over the name in clear.
        assert!(given.prove(&ha1(Algorithm::Sha256, realm), b"REGISTER", b""));
        side.challenged(401, "realm=\"r\", nonce=\"n\", qop=auth, userhash=false").expect("usable");
        assert!(side.request().contains("username=\"alice-auth\""));
    }
}

#[test]
fn a_given_ha1_serves_the_sessions_of_its_length() {
    let mut side = Side::new();
    side.credential = Credential::Ha1(Box::new(ha1(Algorithm::Md5, "r")));
    let both = "realm=\"r\", nonce=\"s\", qop=auth, algorithm=SHA-256-sess, Digest realm=\"r\", nonce=\"m\", qop=auth, \
                algorithm=MD5-sess";
    for _ in 0..2 {
        side.challenged(401, both).expect("MD5-sess");
        let request = side.request();
        assert_eq!(read(&request).algorithm, Some(Algorithm::Md5Sess));
        assert!(read(&request).prove(&ha1(Algorithm::Md5Sess, "r"), b"REGISTER", b""));
    }
    let refused = side.challenged(401, "realm=\"r\", nonce=\"s\", qop=auth, algorithm=SHA-256-sess");
    assert_eq!(refused, Err(Unusable::NoAcceptedAlgorithm));
}

#[test]
fn an_algorithm_that_changes_changes_the_key() {
    let mut side = Side::new();
    for name in ["MD5-sess", "MD5", "SHA-256", "SHA-256-sess", "SHA-256-sess", "SHA-256", "SHA-512-256"] {
        side.challenged(401, &format!("realm=\"r\", nonce=\"n\", qop=auth, algorithm={name}")).expect(name);
        let request = side.request();
        let algorithm = read(&request).algorithm.expect("named");
        assert_eq!(algorithm.as_str(), name);
        assert!(read(&request).prove(&ha1(algorithm, "r"), b"REGISTER", b""), "{name}");
    }
}
