//! Tests of challenges and credentials: the dresses they come in, the choice among several, and
//! digests verified from what was written to what was read.

use super::super::digest::{Ha1, request_digest};
use super::super::scan;
use super::*;
use crate::vocab::Secret;
use proptest::prelude::*;

const AUTH: Option<Protection> = Some(Protection::Auth);
const INTEGRITY: Option<Protection> = Some(Protection::AuthInt);
const SHA_ONLY: AlgorithmSet = AlgorithmSet::EMPTY.with(Algorithm::Sha256);

fn message(start_line: &str, headers: &str) -> String {
    format!(
        "{start_line}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n\
         Call-ID: c\r\nCSeq: 1 REGISTER\r\n{headers}\r\n"
    )
}

fn with_choice<T>(headers: &str, accepted: AlgorithmSet, read: impl FnOnce(Result<Challenge<'_>, Unusable>) -> T) -> T {
    let text = message("SIP/2.0 401 Unauthorized", headers);
    read(choose(&scan::response(text.as_bytes()).expect("a response"), accepted))
}

/// Algorithm and nonce of the challenge chosen.
fn chosen(headers: &str, accepted: AlgorithmSet) -> Result<(Algorithm, String), Unusable> {
    with_choice(headers, accepted, |choice| {
        choice.map(|c| (c.algorithm, String::from_utf8_lossy(c.nonce).into_owned()))
    })
}

#[test]
fn a_challenge_in_every_dress() {
    for (value, expected) in [
        // RFC 2617 §3.5, on one line.
        ("Digest realm=\"r\", qop=\"auth,auth-int\", nonce=\"n\", opaque=\"o\"", (Algorithm::Md5, false, AUTH, false)),
        ("digest realm = \"r\" ,nonce\t=\r\n \"n\", opaque= \"o\"", (Algorithm::Md5, false, None, false)),
        (
            "DIGEST REALM=\"r\",NONCE=\"n\",OPAQUE=\"o\",ALGORITHM=sha-256,STALE=TRUE",
            (Algorithm::Sha256, true, None, true),
        ),
        (
            "Digest realm=\"r\", nonce=\"n\", opaque=\"o\", algorithm=\"MD5\", stale=\"true\"",
            (Algorithm::Md5, true, None, true),
        ),
        ("Digest realm=\"r\", nonce=\"n\", opaque=\"o\", stale=false, qop=auth", (Algorithm::Md5, false, AUTH, false)),
        (
            "Digest realm=\"r\",, nonce=\"n\" , opaque=\"o\" qop=\"auth-int , AUTH\",",
            (Algorithm::Md5, false, AUTH, false),
        ),
        (
            "Digest\trealm=r,nonce=n,opaque=o,qop=\"\",domain=\"sip:a,b\",x-new=\"\\\",nonce=\"",
            (Algorithm::Md5, false, None, false),
        ),
        (
            "Digest realm=\"r\", nonce=\"n\", nonce=\"m\", opaque=\"o\", algorithm=SHA-512-256",
            (Algorithm::Sha512_256, true, None, false),
        ),
        (
            "Digest realm=\"r\", nonce=\"n\", opaque=\"o\", qop=\"token, Auth-Int ,\", charset=UTF-8, userhash=false",
            (Algorithm::Md5, false, INTEGRITY, false),
        ),
        (
            "Digest realm=\"r\", nonce=\"n\", opaque=\"o\", qop=auth-int, algorithm=md5-SESS, stale=true",
            (Algorithm::Md5Sess, true, INTEGRITY, true),
        ),
        (
            "Digest realm=\"r\", nonce=\"n\", opaque=\"o\", qop=\"auth-int,auth\", algorithm=SHA-512-256-sess",
            (Algorithm::Sha512_256Sess, true, AUTH, false),
        ),
    ] {
        with_choice(&format!("WWW-Authenticate: {value}\r\n"), AlgorithmSet::ALL, |choice| {
            let c = choice.expect(value);
            assert_eq!((c.realm, c.nonce, c.opaque), (&b"r"[..], &b"n"[..], Some(&b"o"[..])), "{value}");
            assert_eq!((c.algorithm, c.algorithm_named, c.protection, c.stale), expected, "{value}");
            assert_eq!((c.role, c.userhash), (Role::Registrar, false));
        });
    }
}

#[test]
fn commas_and_quotes_inside_a_realm_are_kept_raw() {
    with_choice(
        "WWW-Authenticate: Digest realm=\"a, \\\"b\\\\\", nonce=\"n\", opaque=\"\"\r\n",
        AlgorithmSet::ALL,
        |choice| {
            let challenge = choice.expect("a challenge");
            assert_eq!(challenge.realm, b"a, \\\"b\\\\");
            assert_eq!((challenge.nonce, challenge.opaque), (&b"n"[..], Some(&b""[..])));
        },
    );
}

#[test]
fn the_topmost_accepted_challenge_wins() {
    let one_each = "WWW-Authenticate: Digest realm=\"r\",nonce=\"512\",algorithm=SHA-512-256\r\n\
                    X: y\r\n\
                    www-authenticate: Digest realm=\"r\",nonce=\"256\",algorithm=SHA-256\r\n\
                    WWW-Authenticate: Digest realm=\"r\",nonce=\"md5\",algorithm=MD5\r\n";
    let md5_sha = AlgorithmSet::EMPTY.with(Algorithm::Md5).with(Algorithm::Sha256);
    assert_eq!(chosen(one_each, AlgorithmSet::ALL), Ok((Algorithm::Sha512_256, "512".to_owned())));
    assert_eq!(chosen(one_each, md5_sha), Ok((Algorithm::Sha256, "256".to_owned())));
    assert_eq!(chosen(one_each, AlgorithmSet::EMPTY), Err(Unusable::NoAcceptedAlgorithm));
    let in_one = "WWW-Authenticate: Negotiate dG9rZW4=, Basic realm=\"basic, Digest nonce=\\\"x\\\"\", \
                  Digest realm=\"r\", algorithm=MD5-sess, nonce=\"sess\", NTLM, Digest realm=\"r\",nonce=\"md5\" ,\r\n \
                  Digest nonce=\"256\", algorithm=SHA-256, realm=\"r\", Other\r\n";
    assert_eq!(chosen(in_one, AlgorithmSet::ALL), Ok((Algorithm::Md5, "md5".to_owned())));
    assert_eq!(chosen(in_one, SHA_ONLY), Ok((Algorithm::Sha256, "256".to_owned())));
    let text = message("SIP/2.0 401 Unauthorized", in_one);
    let response = scan::response(text.as_bytes()).expect("a response");
    let all: Vec<_> = challenges(&response).map(|c| c.map(|c| c.algorithm)).collect();
    assert_eq!(all, [Err(Unusable::SessionWithoutQop), Ok(Algorithm::Md5), Ok(Algorithm::Sha256)]);
}

#[test]
fn md5_and_its_sessions_are_accepted_apart() {
    let headers = "WWW-Authenticate: Digest realm=\"r\",nonce=\"s\",qop=auth,algorithm=MD5-sess, \
                   Digest realm=\"r\",nonce=\"p\",qop=auth,algorithm=MD5, Digest realm=\"r\",nonce=\"d\",qop=auth\r\n";
    let md5 = AlgorithmSet::EMPTY.with(Algorithm::Md5);
    let sessions = AlgorithmSet::EMPTY.with(Algorithm::Md5Sess);
    assert_eq!(chosen(headers, md5), Ok((Algorithm::Md5, "p".to_owned())));
    assert_eq!(chosen(headers, sessions), Ok((Algorithm::Md5Sess, "s".to_owned())));
    let unnamed = "WWW-Authenticate: Digest realm=\"r\",nonce=\"d\",qop=auth\r\n";
    assert_eq!(chosen(unnamed, md5), Ok((Algorithm::Md5, "d".to_owned())));
    assert_eq!(chosen(unnamed, sessions), Err(Unusable::NoAcceptedAlgorithm));
}

#[test]
fn a_challenge_asks_for_a_hashed_user_name() {
    for (value, asked) in [("true", true), ("\"TRUE\"", true), ("false", false), ("1", false)] {
        let header = format!("WWW-Authenticate: Digest realm=\"r\",userhash={value},nonce=\"n\",charset=\"UTF-8\"\r\n");
        with_choice(&header, AlgorithmSet::ALL, |choice| assert_eq!(choice.expect("a challenge").userhash, asked));
    }
}

#[test]
fn the_next_nonce_of_a_2xx() {
    let next = |role, headers: &str| {
        let text = message("SIP/2.0 200 OK", headers);
        let response = scan::response(text.as_bytes()).expect("a response");
        next_nonce(&response, role).map(|nonce| String::from_utf8_lossy(nonce).into_owned())
    };
    for (headers, registrar, proxy) in [
        ("", None, None),
        ("Authentication-Info: nextnonce=\"a,b\"\r\n", Some("a,b"), None),
        (
            "authentication-info : qop=auth, rspauth=\"6629\", cnonce=\"c\", nc=00000001 , NextNonce = n=\r\n",
            Some("n="),
            None,
        ),
        ("Proxy-Authentication-Info: nextnonce=p\r\nAuthentication-Info: nextnonce=\"r\"\r\n", Some("r"), Some("p")),
        ("Authentication-Info: rspauth=\"x\"\r\nX: y\r\nAuthentication-Info: nextnonce=\"2\"\r\n", Some("2"), None),
        ("Authentication-Info: x=\"nextnonce=\\\"no\\\"\",\r\n nextnonce=\"yes\"\r\n", Some("yes"), None),
        ("Authentication-Info: nextnonce=\"\"\r\n", None, None),
        ("Authentication-Info: nextnonce=\"open\r\n", None, None),
        ("Authentication-Info: nextnonce\r\n", None, None),
        ("Authentication-Info: \r\n", None, None),
    ] {
        let expected = (registrar.map(str::to_owned), proxy.map(str::to_owned));
        assert_eq!((next(Role::Registrar, headers), next(Role::Proxy, headers)), expected, "{headers}");
    }
}

#[test]
fn a_proxy_challenges_with_407_only() {
    let headers =
        "WWW-Authenticate: Digest realm=\"r\",nonce=\"w\"\r\nProxy-Authenticate: Digest realm=\"r\",nonce=\"p\"\r\n";
    let of = |line: &str| {
        let text = message(line, headers);
        let choice = choose(&scan::response(text.as_bytes()).expect("a response"), AlgorithmSet::ALL);
        choice.map(|c| (c.role, c.nonce[0]))
    };
    assert_eq!(of("SIP/2.0 401 Unauthorized"), Ok((Role::Registrar, b'w')));
    assert_eq!(of("SIP/2.0 407 Proxy Authentication Required"), Ok((Role::Proxy, b'p')));
    assert_eq!(of("SIP/2.0 403 Forbidden"), Err(Unusable::NoChallenge));
}

#[test]
fn why_no_challenge_can_be_answered() {
    for (headers, reason) in [
        ("", Unusable::NoChallenge),
        ("WWW-Authenticate: \r\n", Unusable::NoChallenge),
        ("WWW-Authenticate: Basic realm=\"r\"\r\n", Unusable::NoChallenge),
        ("WWW-Authenticate: DigestX realm=\"r\",nonce=\"n\"\r\n", Unusable::NoChallenge),
        ("Proxy-Authenticate: Digest realm=\"r\",nonce=\"n\"\r\n", Unusable::NoChallenge),
        ("WWW-Authenticate: Digest\r\n", Unusable::Incomplete),
        ("WWW-Authenticate: Digest nonce=\"n\"\r\n", Unusable::Incomplete),
        ("WWW-Authenticate: Digest realm=\"r\"\r\n", Unusable::Incomplete),
        ("WWW-Authenticate: Digest realm=\"r, nonce=n\r\n", Unusable::Unclosed),
        ("WWW-Authenticate: Digest nonce=\"n\", realm=\"r\r\n", Unusable::Unclosed),
        ("WWW-Authenticate: Digest realm=\"r\", nonce=\"\"\r\n", Unusable::Incomplete),
        ("WWW-Authenticate: Digest realm=\"r\",nonce=\"n\",qop=\"auth-conf, authx\"\r\n", Unusable::UnsupportedQop),
        ("WWW-Authenticate: Digest realm=\"r\",nonce=\"n\",algorithm=MD5-sess\r\n", Unusable::SessionWithoutQop),
        ("WWW-Authenticate: Digest realm=\"r\",nonce=\"n\",algorithm=MD5-sess,qop=x\r\n", Unusable::UnsupportedQop),
        ("WWW-Authenticate: Digest realm=\"r\",nonce=\"n\",algorithm=AKAv1-MD5\r\n", Unusable::NoAcceptedAlgorithm),
        ("WWW-Authenticate: Digest realm=\"r\",nonce=\"n\",algorithm=SHA256\r\n", Unusable::NoAcceptedAlgorithm),
        (
            "WWW-Authenticate: Digest realm=\"r\",nonce=\"n\",qop=none, Digest realm=\"r\",nonce=\"n\",algorithm=x\r\n",
            Unusable::UnsupportedQop,
        ),
    ] {
        assert_eq!(chosen(headers, AlgorithmSet::ALL), Err(reason), "{headers}");
    }
    let broken_first = "WWW-Authenticate: Digest realm=\"r\", Digest realm=\"r\",nonce=\"n\"\r\n";
    assert_eq!(chosen(broken_first, AlgorithmSet::ALL), Ok((Algorithm::Md5, "n".to_owned())));
}

fn with_credentials<T>(headers: &str, read: impl FnOnce(Option<Credentials<'_>>) -> T) -> T {
    let text = message("REGISTER sip:b SIP/2.0", headers);
    read(credentials(&scan::request(text.as_bytes()).expect("a request")))
}

#[test]
fn credentials_of_a_request() {
    // RFC 3261 §20.7, completed to what RFC 7616 §3.4 asks for.
    with_credentials(
        "Authorization: Digest username=\"Alice\", realm=\"atlanta.com\",\r\n nonce=\"84a4\", uri = \"sip:b\", \
         response=\"7587245234b3434cc3412213e5f113a5\", qop=auth, nc=0000000a, cnonce=\"0a4f113b\", opaque=\"o\"\r\n",
        |read| {
            let c = read.expect("credentials");
            assert_eq!((c.role, c.username, c.realm), (Role::Registrar, &b"Alice"[..], &b"atlanta.com"[..]));
            assert_eq!((c.nonce, c.uri, c.opaque), (&b"84a4"[..], &b"sip:b"[..], Some(&b"o"[..])));
            assert_eq!((c.algorithm, c.qop_auth), (None, Some((10, &b"0a4f113b"[..]))));
        },
    );
    let base = "Digest username=\"a\\\"\\\\b\",realm=\"r\",nonce=\"n\",uri=\"u\",response=\"x\"";
    with_credentials(&format!("Authorization: Basic YTpi\r\nProxy-Authorization: {base},algorithm=md5\r\n"), |read| {
        let c = read.expect("credentials");
        assert_eq!((c.role, c.algorithm, c.qop_auth), (Role::Proxy, Some(Algorithm::Md5), None));
        assert_eq!((c.username, &*c.plain_username()), (&b"a\\\"\\\\b"[..], &b"a\"\\b"[..]));
    });
    let whole =
        format!("Authorization: {base},qop=Auth-INT,nc=0000000B,cnonce=c,algorithm=SHA-256-SESS,userhash=TRUE\r\n");
    with_credentials(&whole, |read| {
        let c = read.expect("credentials");
        assert_eq!((c.algorithm, c.qop_auth), (Some(Algorithm::Sha256Sess), Some((11, &b"c"[..]))));
        assert!(c.integrity && c.userhash);
    });
    for more in [
        ",algorithm=MD5-sess",
        ",algorithm=MD5-sess,cnonce=c",
        ",qop=auth-conf,nc=00000001,cnonce=c",
        ",qop=auth,nc=1,cnonce=c",
        ",qop=auth,nc=00000001",
        ",qop=auth,nc=0000000g,cnonce=c",
    ] {
        with_credentials(&format!("Authorization: {base}{more}\r\n"), |read| assert!(read.is_none(), "{more}"));
    }
    for missing in ["username", "realm", "nonce", "uri", "response"] {
        let text = base.replace(missing, "x");
        with_credentials(&format!("Authorization: {text}\r\n"), |read| assert!(read.is_none(), "{missing}"));
    }
    let both = format!("Authorization: {base}\r\nAuthorization: {}\r\n", base.replace("\"r\"", "\"s\""));
    let text = message("REGISTER sip:b SIP/2.0", &both);
    let request = scan::request(text.as_bytes()).expect("a request");
    assert_eq!(all_credentials(&request).map(|c| c.realm[0]).collect::<Vec<_>>(), [b'r', b's']);
}

proptest! {
    #[test]
    fn never_panics_and_ends(value in "(Digest |Basic |[-a-z=\",\\\\ \t]){0,24}") {
        let text = message("SIP/2.0 401 Unauthorized", &format!("WWW-Authenticate: {value}\r\n"));
        let response = scan::response(text.as_bytes()).expect("a response");
        prop_assert!(challenges(&response).count() <= value.len());
        let _ = choose(&response, SHA_ONLY);
        with_credentials(&format!("Authorization: {value}\r\n"), |read| { let _ = read.map(|c| c.plain_username().len()); });
    }

    #[test]
    fn parameters_are_the_same_by_the_short_way(
        parameters in proptest::collection::vec(
            "(realm|nonce|qop|opaque|stale|algorithm|algorithms|Realm|qo|uri|)=?(\"[a, =\\\\]{0,3}\"?|auth|MD5|true|)(,|, | )", 0..6,
        ),
        first in "Digest( |  |,|\t)",
    ) {
        let all = |rest: &str| -> Vec<String> {
            let text = |value: Option<&[u8]>| value.map(|value| String::from_utf8_lossy(value).to_lowercase());
            let sets = DigestSets::of(rest.as_bytes());
            sets.map(|s| format!("{:?}", [s.realm, s.nonce, s.qop, s.opaque, s.stale, s.algorithm, s.uri].map(text))).collect()
        };
        // Letters in the other case make no difference, but keep a parameter from the short way.
        let short = format!("{first}{}", parameters.concat());
        let slow = |name: &str| name.to_uppercase();
        let long = ["realm=", "nonce=", "qop=", "opaque=", "stale=", "algorithm="].into_iter();
        let long = long.fold(short.clone(), |text, name| text.replace(name, &slow(name))).replace("Digest", "DIGEST");
        prop_assert_eq!(all(&short), all(&long));
    }

    #[test]
    fn any_bytes_in_the_value(bytes in proptest::collection::vec(any::<u8>().prop_filter("a line", |b| *b != b'\n'), 0..80)) {
        let mut text = message("SIP/2.0 401 Unauthorized", "").into_bytes();
        text.truncate(text.len() - 2);
        text.extend_from_slice(b"WWW-Authenticate: Digest ");
        text.extend_from_slice(&bytes);
        text.extend_from_slice(b"\r\n\r\n");
        let response = scan::response(&text).expect("a response");
        prop_assert!(challenges(&response).count() >= 1);
    }

    /// RFC 8760 §2.4: whatever stands around it and however the list is cut into headers, the first
    /// challenge that is acceptable is the one.
    #[test]
    fn the_topmost_acceptable_one_wherever_it_stands(
        offers in proptest::collection::vec(offer(), 0..10), accepts in proptest::collection::vec(any::<bool>(), 6), code in 0usize..2,
    ) {
        let accepted = Algorithm::ALL.into_iter().zip(&accepts).filter(|(_, yes)| **yes).map(|(algorithm, _)| algorithm);
        let accepted = accepted.fold(AlgorithmSet::EMPTY, AlgorithmSet::with);
        let (line, name, other) = [
            ("SIP/2.0 401 Unauthorized", "WWW-Authenticate", "Proxy-Authenticate"),
            ("SIP/2.0 407 Proxy Authentication Required", "Proxy-authenticate", "www-authenticate"),
        ][code];
        let mut headers = format!("{other}: Digest realm=\"r\", nonce=\"other\", qop=\"auth\"\r\n");
        for (n, offer) in offers.iter().enumerate() {
            let text = offer.text.replace("NONCE", &format!("{n}"));
            headers += &match (n, offer.joined) {
                (1.., true) => format!(", {text}"),
                (0, _) => format!("{name}: {text}"),
                _ => format!("\r\nX-Between: Digest nonce=\"x\"\r\n{name} :{text}"),
            };
        }
        let text = message(line, &format!("{headers}{}", if offers.is_empty() { "" } else { "\r\n" }));
        let response = scan::response(text.as_bytes()).expect("a response");
        let expected = offers.iter().position(|offer| offer.usable.is_some_and(|algorithm| accepted.contains(algorithm)));
        let chosen = choose(&response, accepted).map(|c| String::from_utf8_lossy(c.nonce).into_owned());
        prop_assert_eq!(chosen.ok(), expected.map(|n| n.to_string()), "{}", text);
    }

    /// What the registrar offers, the client chooses; what the client computes, the registrar
    /// verifies.
    #[test]
    fn a_digest_is_verified_from_challenge_to_credentials(
        realm in "[a-z.;=, ]{1,20}", nonce in "[A-Za-z0-9+/=]{1,44}", password in "[ -~]{0,20}", nc in 1u32..,
        offered in proptest::sample::subsequence(Algorithm::ALL.to_vec(), 1..=6), qop in 0usize..3, space in "[ \t]{0,2}",
        body in "[a-z\r\n]{0,12}",
    ) {
        let qop_offer = ["", "qop=\"auth-int,auth\",", "qop=auth-int,"][qop];
        let headers: String = offered.iter().map(|algorithm| {
            format!("WWW-Authenticate: Digest {qop_offer}realm{space}={space}\"{realm}\",algorithm={},nonce=\"{nonce}\"\r\n", algorithm.as_str())
        }).collect();
        prop_assume!(qop > 0 || !offered[0].is_session());
        let secret = Secret::new(password);
        let authorization = with_choice(&headers, AlgorithmSet::ALL, |choice| {
            let c = choice.expect("the first");
            assert_eq!(c.algorithm, offered[0]);
            assert_eq!(c.protection, [None, AUTH, INTEGRITY][qop]);
            let base = Ha1::compute(c.algorithm, b"alice", c.realm, &secret);
            let key = if c.algorithm.is_session() { base.session(c.algorithm, c.nonce, b"c0ffee") } else { base };
            let qop = c.protection.map(|protection| Qop { protection, nc, cnonce: b"c0ffee" });
            let covered = Covered { nonce: c.nonce, qop, method: b"REGISTER", uri: b"sip:b", body: body.as_bytes() };
            let response = request_digest(c.algorithm, &key, &covered);
            let qop = c.protection.map_or(String::new(), |p| format!(",qop={},nc={nc:08x},cnonce=\"c0ffee\"", p.as_str()));
            let response = String::from_utf8_lossy(response.as_bytes()).into_owned();
            format!("Authorization: Digest username=\"alice\",realm=\"{realm}\",nonce=\"{nonce}\",uri=\"sip:b\",\
                     response=\"{response}\",algorithm={}{qop}\r\n", c.algorithm.as_str())
        });
        let text = message("REGISTER sip:b SIP/2.0", &format!("{authorization}l: {}\r\n", body.len())) + &body + "junk";
        let request = scan::request(text.as_bytes()).expect("a request");
        let c = credentials(&request).expect("credentials");
        let proves = |secret: &Secret, body: &[u8]| {
            let ha1 = Ha1::compute(offered[0], c.username, c.realm, secret);
            c.prove(&ha1, request.method, body)
        };
        prop_assert!(proves(&secret, request.body()));
        prop_assert!(!proves(&Secret::new(secret.reveal().to_owned() + "x"), request.body()));
        prop_assert_eq!(proves(&secret, b"another"), qop < 2);
    }
}

#[test]
fn offers_tell_what_nobody_can_answer_too() {
    let headers = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth, auth-int,\", algorithm=SHA-1\r\n\
                   WWW-Authenticate: Basic realm=\"b\", Digest realm=\"s\", nonce=\"n\", stale=TRUE\r\n";
    let text = message("SIP/2.0 401 Unauthorized", headers);
    let response = scan::response(text.as_bytes()).expect("a response");
    let all: Vec<super::OfferedChallenge<'_>> = offers(&response).collect();
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].realm, all[0].algorithm, all[0].stale), (Some(&b"r"[..]), Some(&b"SHA-1"[..]), false));
    assert_eq!(all[0].qops().collect::<Vec<_>>(), [&b"auth"[..], b"auth-int"]);
    assert_eq!(all[0].usable.as_ref().err(), Some(&Unusable::NoAcceptedAlgorithm));
    assert_eq!((all[1].realm, all[1].algorithm, all[1].stale), (Some(&b"s"[..]), None, true));
    assert!(all[1].usable.is_ok() && all[1].qops().next().is_none());
}

proptest! {
    #[test]
    fn offers_and_challenges_agree(offered in proptest::collection::vec(offer(), 0..6), noise in "[\\PC]{0,40}") {
        let lines = offered.iter().map(|offer| format!("WWW-Authenticate: {}\r\n", offer.text));
        let headers = lines.chain([format!("WWW-Authenticate: Digest {noise}\r\n")]).collect::<String>();
        let text = message("SIP/2.0 401 Unauthorized", &headers);
        let response = scan::response(text.as_bytes()).expect("a response");
        let usable: Vec<_> = offers(&response).map(|offer| offer.usable.map(|c| c.algorithm)).collect();
        let read: Vec<_> = challenges(&response).map(|read| read.map(|c| c.algorithm)).collect();
        prop_assert_eq!(usable, read);
    }
}

/// One element of a list of challenges.
#[derive(Clone, Debug)]
struct OfferedChallenge {
    /// With `NONCE` for its nonce.
    text: String,
    /// Its algorithm, where it can be answered at all.
    usable: Option<Algorithm>,
    /// In the header of the one before.
    joined: bool,
}

fn offer() -> impl Strategy<Value = OfferedChallenge> {
    let others = [
        "Basic realm=\"Digest nonce=\\\"x\\\", realm=\"",
        "Negotiate dG9rZW4=",
        "NTLM",
        "Negotiate a/b+c==",
        "Bearer realm=\"r\", algorithm=MD5, nonce=\"NONCE\", error=\"invalid, token\"",
        "Digest realm=\"r\", nonce=\"NONCE\", qop=\"auth\", algorithm=AKAv1-MD5",
        "Digest realm=\"r\", nonce=\"NONCE\", qop=\"auth-conf\"",
        "Digest realm=\"r\", nonce=\"NONCE\", algorithm=MD5-sess",
        "Digest nonce=\"NONCE\", qop=\"auth\"",
        "Digest realm=\"r\", qop=\"auth\", algorithm=SHA-256",
    ];
    let foreign = proptest::sample::select(others.to_vec()).prop_map(|text| (text.to_owned(), None));
    let parameters = (0usize..7, 0usize..4, any::<bool>(), any::<bool>());
    let digest = parameters.prop_map(|(which, qop, first, folded)| {
        let algorithm = Algorithm::ALL.get(which).copied();
        let qop = if algorithm.is_some_and(Algorithm::is_session) { qop.max(1) } else { qop };
        let qop = ["", "qop=\"auth\"", "qop=\"auth-int\"", "qop=\"auth,auth-int\""][qop];
        let name = algorithm.map_or(String::new(), |algorithm| format!("algorithm={}", algorithm.as_str()));
        let mut parts = vec!["realm=\"a, Digest \\\"r\\\"\"", "nonce=\"NONCE\"", qop, &name, "opaque=\"\""];
        parts.retain(|part| !part.is_empty());
        if first {
            parts.reverse();
        }
        let text = format!("Digest {}", parts.join(if folded { " ,\r\n\t" } else { ", " }));
        // Without a name MD5 is meant.
        (text, Some(algorithm.unwrap_or(Algorithm::Md5)))
    });
    (prop_oneof![1 => foreign, 2 => digest], any::<bool>()).prop_map(|((text, usable), joined)| OfferedChallenge {
        text,
        usable,
        joined,
    })
}
