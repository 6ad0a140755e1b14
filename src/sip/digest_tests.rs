//! Digests against the vectors of the RFCs and against values computed independently.

use super::*;
use Algorithm::{Md5 as MD5, Md5Sess, Sha256 as SHA256, Sha256Sess, Sha512_256 as SHA512_256, Sha512_256Sess};
use Protection::{Auth, AuthInt};
use proptest::prelude::*;

struct Vector {
    algorithm: Algorithm,
    username: &'static str,
    realm: &'static str,
    password: &'static str,
    nonce: &'static str,
    qop: Option<(u32, &'static str)>,
    method: &'static str,
    uri: &'static str,
    response: &'static str,
}

fn check(v: &Vector) {
    let ha1 = Ha1::compute(v.algorithm, v.username.as_bytes(), v.realm.as_bytes(), &Secret::new(v.password));
    let qop = v.qop.map(|(nc, cnonce)| QopAuth { nc, cnonce: cnonce.as_bytes() });
    let digest = response(v.algorithm, &ha1, v.nonce.as_bytes(), qop, v.method.as_bytes(), v.uri.as_bytes());
    assert_eq!(std::str::from_utf8(digest.as_bytes()), Ok(v.response));
    assert!(ha1.fits(v.algorithm));
    assert!(digest.matches(v.response.to_uppercase().as_bytes()));
    assert!(!digest.matches(&v.response.as_bytes()[1..]));
}

#[test]
fn rfc_2617_section_3_5() {
    check(&Vector {
        algorithm: MD5,
        username: "Mufasa",
        realm: "testrealm@host.com",
        password: "Circle Of Life",
        nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        qop: Some((1, "0a4f113b")),
        method: "GET",
        uri: "/dir/index.html",
        response: "6629fae49393a05397450978507c4ef1",
    });
}

#[test]
fn rfc_7616_section_3_9_1() {
    for (algorithm, response) in [
        (MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (SHA256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        check(&Vector {
            algorithm,
            username: "Mufasa",
            realm: "http-auth@example.org",
            password: "Circle of Life",
            nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            qop: Some((1, "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")),
            method: "GET",
            uri: "/dir/index.html",
            response,
        });
    }
}

/// The printed example was computed with a draft of SHA-512/256; erratum 4897 gives the value of
/// the final standard. The user name is hashed in clear there as well: `userhash` changes only what
/// the header shows.
#[test]
fn rfc_7616_section_3_9_2_with_erratum_4897() {
    check(&Vector {
        algorithm: SHA512_256,
        username: "J\u{e4}s\u{f8}n Doe",
        realm: "api@example.org",
        password: "Secret, or not?",
        nonce: "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
        qop: Some((1, "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v")),
        method: "GET",
        uri: "/doe.json",
        response: "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
    });
}

/// Computed with Python's hashlib: no qop, and nonce counts whose decimal and hexadecimal forms
/// differ.
const REGISTERS: [(Algorithm, Option<u32>, &str); 15] = [
    (MD5, None, "61d149d88bff67717dc0f09b8c71b04b"),
    (MD5, Some(1), "ca556bd98126fb08ab6fc9a98379fadc"),
    (MD5, Some(10), "5f50acb2808bba153fb3679922818276"),
    (MD5, Some(0x300), "35f6cc93f5182dfe914d4b8ca4324d49"),
    (MD5, Some(u32::MAX), "713c1f1dc55a412d2612e4937e1cfb99"),
    (SHA256, None, "ec1c4f732b8e184769e6cdf342e448755dd71fe5496aba23361caca846c802c3"),
    (SHA256, Some(1), "4fd4c91008ef5fc5bb21e4fdbe986c8766e053d1b3b3be41a7329a284ea3e42e"),
    (SHA256, Some(10), "232b96051b7392703c5bbeed6c1406fd1f75b39cd5332fe628b8482fd266e4e6"),
    (SHA256, Some(0x300), "66de95d8d7c88cd34842fe1d11887afc56758b645215f20aa2404cea85f86e0a"),
    (SHA256, Some(u32::MAX), "5c1f4014412c60272ccf5aef5b02f1017028fa03c6c2313774346f45f86dc32c"),
    (SHA512_256, None, "638e356f7a587871a584017420c0a8c7d67e0083f15df96c6911522dcbf5cd5b"),
    (SHA512_256, Some(1), "d21506092384c4b1feab34c744280788249b93b553e7f8316124684cde5232b1"),
    (SHA512_256, Some(10), "8da6dbc39b40627e8e5d4708e60ed23244ef2e0971a6e7056a0950e186f11bfa"),
    (SHA512_256, Some(0x300), "613e12beea1d64cdc6e2d4f1f92c8cef4d83121e3b0a9e29b159c07415852761"),
    (SHA512_256, Some(u32::MAX), "ba67767b17d370889b0e72cff6ad9f0b0e4b77bfb04178225b928d7fbc655121"),
];

#[test]
fn registers_as_hashlib_computes_them() {
    for (algorithm, nc, response) in REGISTERS {
        check(&Vector {
            algorithm,
            username: "agent00001",
            realm: "genesyscloud.test",
            password: "secret",
            nonce: "84a4cc6f3082121f32b42a2187831a9e",
            qop: nc.map(|nc| (nc, "0a4f113b")),
            method: "REGISTER",
            uri: "sip:genesyscloud.test",
            response,
        });
    }
}

#[test]
fn a_computed_ha1_can_be_given_as_hex() {
    let hex = "e4c6e8441c9b5d91e74985813238eceb";
    let computed = Ha1::compute(MD5, b"agent00001", b"genesyscloud.test", &Secret::new("secret"));
    assert_eq!(Ha1::from_hex(hex), Some(computed));
    assert_eq!(Ha1::from_hex(&hex.to_uppercase()), Some(computed));
    assert!(!computed.fits(SHA256));
    let long = Ha1::from_hex(&hex.repeat(2)).expect("64 digits");
    assert!(long.fits(SHA256) && long.fits(SHA512_256) && !long.fits(MD5));
    for wrong in ["", "e4", &hex[1..], &format!("{}g", &hex[1..]), &"é".repeat(16), &hex.repeat(3)] {
        assert_eq!(Ha1::from_hex(wrong), None, "{wrong}");
    }
}

#[test]
fn nothing_secret_is_printed() {
    let ha1 = Ha1::from_hex("e4c6e8441c9b5d91e74985813238eceb").expect("32 digits");
    assert_eq!(format!("{ha1:?} {:?}", ha1.hex()), "Ha1(***) HexDigest(***)");
}

proptest! {
    #[test]
    fn any_change_of_an_input_changes_the_response(
        nonce in "[a-zA-Z0-9+/=]{1,40}", cnonce in "[a-f0-9]{8,32}", nc: u32, other: u32, which in 0usize..6,
    ) {
        let algorithm = Algorithm::ALL[which];
        let ha1 = Ha1::compute(algorithm, b"u", b"r", &Secret::new("p"));
        let qop = |nc| Some(QopAuth { nc, cnonce: cnonce.as_bytes() });
        let of = |qop, nonce: &str, uri: &[u8]| response(algorithm, &ha1, nonce.as_bytes(), qop, b"REGISTER", uri);
        let base = of(qop(nc), &nonce, b"sip:a");
        prop_assert_eq!(base, of(qop(nc), &nonce, b"sip:a"));
        prop_assert_ne!(base, of(qop(nc), &nonce, b"sip:b"));
        prop_assert_ne!(base, of(qop(nc), &format!("{nonce}x"), b"sip:a"));
        prop_assert_ne!(base, of(None, &nonce, b"sip:a"));
        prop_assert_eq!(base == of(qop(other), &nonce, b"sip:a"), nc == other);
    }
}

/// The same example hides the user name; the printed value is of the draft too, this is erratum
/// 4897's.
#[test]
fn rfc_7616_section_3_9_2_hides_the_user_name() {
    let hidden = user_hash(SHA512_256, "J\u{e4}s\u{f8}n Doe".as_bytes(), b"api@example.org");
    assert_eq!(hidden.as_bytes(), b"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b");
}

/// Computed with Python's hashlib, like all that follow: (algorithm, protection, nc, body,
/// response).
const PROTECTED: [(Algorithm, Protection, u32, &str, &str); 21] = [
    (Md5Sess, Auth, 1, "", "4cc952c2be1651061b31c5d7a37796b3"),
    (Md5Sess, Auth, 0x300, "", "c15d278d10165fe93a6858347d2b13b6"),
    (Md5Sess, AuthInt, 1, "", "b07e955a5c5ab35e6281776f81a7feff"),
    (Md5Sess, AuthInt, 0x300, "", "81ad3648577230ae0c0987618ce47357"),
    (MD5, AuthInt, 1, "", "70672e67abc610fad9cb58d9c6c84af9"),
    (MD5, AuthInt, 0x300, "", "df914aeaca0e0880a64790e0224a6785"),
    (MD5, AuthInt, 1, "v=0\r\n", "4a1988839583635c0aa83a0ac1808271"),
    (Sha256Sess, Auth, 1, "", "e66b7a55f1e319b47de479b33e86625d9c7d43b675025ba2e100726a327f2056"),
    (Sha256Sess, Auth, 0x300, "", "c5484a8501e63b40c6f2caf18fbcaf003c024dd196f4e550129c2fb12cf70426"),
    (Sha256Sess, AuthInt, 1, "", "96ceef07cd2302c8917287f0190c80527126b407eb2914cb43395d4c42df1170"),
    (Sha256Sess, AuthInt, 0x300, "", "1d1d2f85dcce613690481d63686a40c9690d9caf356d246bb04ed9e547ba5c7e"),
    (SHA256, AuthInt, 1, "", "0e1aa69faf9fc4dfc130930612d2944a6d19c445a90002c8da0b95f90801f265"),
    (SHA256, AuthInt, 0x300, "", "6d57221aad4ba15aa4c0298dabd623674b5e616b3aef9d0be52fd44a1b14b344"),
    (SHA256, AuthInt, 1, "v=0\r\n", "5aabc99b03523ff282fbcfbafd20c6437e7bb1b75efbbf4d8612619a378be730"),
    (Sha512_256Sess, Auth, 1, "", "ef05baa88dec12bef247bf7d1a3c5ba90429140c81cce404df15d3ec89bafacc"),
    (Sha512_256Sess, Auth, 0x300, "", "c36dad3f105af86559ae488fd81f118961eeb17e08210db712cf6774049d590d"),
    (Sha512_256Sess, AuthInt, 1, "", "f3fe66500e62b39bd6bb127c0cc8e5249427adc7120f0d3e49eb04bea14d1fe2"),
    (Sha512_256Sess, AuthInt, 0x300, "", "5b8d4fd97783e6395029fd161267708992ee2c7ac26c0d860b4e4ed7b2c3f167"),
    (SHA512_256, AuthInt, 1, "", "92f9917f49b88c45ee76d5253fbeca8cc8c72a23e82b0b0f0853a87c8036467a"),
    (SHA512_256, AuthInt, 0x300, "", "1eae1f38397515e78778e20f794cc4b88b4d6b5cf6b8772907e97359af4654ae"),
    (SHA512_256, AuthInt, 1, "v=0\r\n", "c0366805321f2946506474566385df92af1163aed4654b77ed2caedb4ff30bee"),
];

const NONCE: &[u8] = b"84a4cc6f3082121f32b42a2187831a9e";
const CNONCE: &[u8] = b"0a4f113b";

fn agent_ha1(algorithm: Algorithm) -> Ha1 {
    Ha1::compute(algorithm, b"agent00001", b"genesyscloud.test", &Secret::new("secret"))
}

fn covered<'a>(nonce: &'a [u8], qop: Qop<'a>, body: &'a str) -> Covered<'a> {
    Covered { nonce, qop: Some(qop), method: b"REGISTER", uri: b"sip:genesyscloud.test", body: body.as_bytes() }
}

fn text(digest: HexDigest) -> String {
    String::from_utf8_lossy(digest.as_bytes()).into_owned()
}

#[test]
fn sessions_and_bodies_as_hashlib_computes_them() {
    for (algorithm, protection, nc, body, expected) in PROTECTED {
        let base = agent_ha1(algorithm);
        let ha1 = if algorithm.is_session() { base.session(algorithm, NONCE, CNONCE) } else { base };
        let qop = Qop { protection, nc, cnonce: CNONCE };
        assert_eq!(text(request_digest(algorithm, &ha1, &covered(NONCE, qop, body))), expected, "{algorithm:?}");
        if protection == Auth {
            let qop = Some(QopAuth { nc, cnonce: CNONCE });
            let at_once = response(algorithm, &base, NONCE, qop, b"REGISTER", b"sip:genesyscloud.test");
            assert_eq!(text(at_once), expected, "{algorithm:?}: one call for a session's first request");
        }
    }
}

/// A session keeps the key of its first nonce and cnonce, whatever later requests carry.
#[test]
fn a_session_outlives_its_first_nonce() {
    for (algorithm, expected) in [
        (Md5Sess, "6981a65b898d8ed3d8d56be2694a2c6b"),
        (Sha256Sess, "65b7842980ff436678ec418098a678d3abe21737166b97aeb83835f19e79a3d6"),
        (Sha512_256Sess, "b52d31d975a9d8f7edcb3e585fe839cdcc5ec19191417b32f7d88c2d91c9cc2c"),
    ] {
        let key = agent_ha1(algorithm).session(algorithm, NONCE, CNONCE);
        let later = Qop { protection: Auth, nc: 1, cnonce: b"ffff0000" };
        assert_eq!(text(request_digest(algorithm, &key, &covered(b"nextnonce-1", later, ""))), expected);
    }
}

#[test]
fn user_hashes_as_hashlib_computes_them() {
    for (algorithm, expected) in [
        (MD5, "ac42f7e374db8631a5cb9fd20167395a"),
        (SHA256, "58058459cef29b072c2ebca97fc5d43d9dc7ece05f3a60fecc3d006d35c918b5"),
        (SHA512_256, "6e85de176c72a3d682e33757d7ac7edfce19f544cae5b36614b1f6042fca3442"),
        (Sha512_256Sess, "6e85de176c72a3d682e33757d7ac7edfce19f544cae5b36614b1f6042fca3442"),
    ] {
        assert_eq!(text(user_hash(algorithm, b"agent00001", b"genesyscloud.test")), expected, "{algorithm:?}");
    }
}

/// A registrar's password file serves the sessions as well (RFC 7616 §5.1).
#[test]
fn a_given_ha1_opens_sessions() {
    let given = Ha1::from_hex("e4c6e8441c9b5d91e74985813238eceb").expect("32 digits");
    assert_eq!(given, agent_ha1(Md5Sess));
    assert!(given.fits(Md5Sess) && !given.fits(Sha256Sess));
    let key = given.session(Md5Sess, NONCE, CNONCE);
    let qop = Qop { protection: Auth, nc: 1, cnonce: CNONCE };
    assert_eq!(text(request_digest(Md5Sess, &key, &covered(NONCE, qop, ""))), "4cc952c2be1651061b31c5d7a37796b3");
}

#[test]
fn every_algorithm_has_its_own_name_and_place() {
    for (n, algorithm) in Algorithm::ALL.into_iter().enumerate() {
        assert_eq!(Algorithm::parse(algorithm.as_str().to_lowercase().as_bytes()), Some(algorithm));
        let only = AlgorithmSet::EMPTY.with(algorithm);
        let held: Vec<_> = Algorithm::ALL.into_iter().filter(|&other| only.contains(other)).collect();
        assert_eq!(held, [algorithm]);
        assert!(AlgorithmSet::ALL.contains(algorithm));
        assert_eq!(algorithm.is_session(), n >= 3);
    }
    for unknown in ["", "MD5-", "MD5-session", "SHA-512", "SHA-256-SESS ", "AKAv1-MD5"] {
        assert_eq!(Algorithm::parse(unknown.as_bytes()), None, "{unknown}");
    }
}

/// Texts of any length, below, at and beyond what is gathered and padded in one piece.
#[test]
fn md5_is_that_of_the_hasher_at_every_length() {
    let text: Vec<u8> = (0..2 * GATHERED).map(|n| n as u8).collect();
    for len in 0..text.len() {
        let (one, other) = text[..len].split_at(len / 3);
        assert!(hash(Algorithm::Md5, [one, other]) == hash_with::<Md5>(&[one, other]), "{len}");
    }
}
