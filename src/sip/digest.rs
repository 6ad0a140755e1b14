//! The digest response of RFC 7616 §3.4.1 (and RFC 2617/2069 where a challenge has no qop), over the bytes exactly as
//! received and as sent. The only digest in the house: client and embedded registrar both use it.
//!
//! Left out on purpose, with room in [`Algorithm`] and [`QopAuth`]: the `-sess` variants, `auth-int` and `userhash`.
//! Read first: RFC 7616 §3.4, RFC 8760 §2.

use super::branch::hex8;
use crate::vocab::Secret;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

/// A digest algorithm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Algorithm {
    Md5,
    Sha256,
    Sha512_256,
}

impl Algorithm {
    pub const ALL: [Algorithm; 3] = [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256];

    /// The token of RFC 7616 §6.1: `MD5`, `SHA-256`, `SHA-512-256`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha512_256 => "SHA-512-256",
        }
    }

    /// Reads the token in any case; `None` for an unknown algorithm.
    pub fn parse(token: &[u8]) -> Option<Algorithm> {
        Self::ALL.into_iter().find(|a| a.as_str().as_bytes().eq_ignore_ascii_case(token))
    }

    /// Length of its output in bytes.
    const fn size(self) -> usize {
        match self {
            Algorithm::Md5 => 16,
            Algorithm::Sha256 | Algorithm::Sha512_256 => 32,
        }
    }
}

/// The algorithms a trunk accepts.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct AlgorithmSet(u8);

impl AlgorithmSet {
    pub const EMPTY: AlgorithmSet = AlgorithmSet(0);
    pub const ALL: AlgorithmSet =
        AlgorithmSet::EMPTY.with(Algorithm::Md5).with(Algorithm::Sha256).with(Algorithm::Sha512_256);

    pub const fn with(self, algorithm: Algorithm) -> Self {
        AlgorithmSet(self.0 | 1 << algorithm as u8)
    }

    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & 1 << algorithm as u8 != 0
    }
}

/// H(A1) as raw bytes: 16 of MD5, 32 of the others. Never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ha1 {
    bytes: [u8; 32],
    len: u8,
}

impl std::fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ha1(***)")
    }
}

/// A digest as lower-case hex: 32 or 64 characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HexDigest {
    text: [u8; 64],
    len: u8,
}

impl std::fmt::Debug for HexDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HexDigest(***)")
    }
}

impl HexDigest {
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }

    /// Whether a received `response` is this digest. RFC 7616 §3.4 writes it in lower case; upper case is let pass.
    pub fn matches(&self, received: &[u8]) -> bool {
        self.as_bytes().eq_ignore_ascii_case(received)
    }

    fn of(bytes: &[u8]) -> Self {
        let mut text = [0; 64];
        for (pair, chunk) in text.chunks_exact_mut(8).zip(bytes.chunks_exact(4)) {
            hex8(pair, u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]));
        }
        HexDigest { text, len: bytes.len() as u8 * 2 }
    }
}

impl Ha1 {
    /// H(username ":" realm ":" password) (RFC 7616 §3.4.2).
    pub fn compute(algorithm: Algorithm, username: &[u8], realm: &[u8], password: &Secret) -> Ha1 {
        hash(algorithm, &[username, b":", realm, b":", password.reveal().as_bytes()])
    }

    /// Reads a pre-computed HA1 of 32 or 64 hex digits; `None` when it is neither.
    pub fn from_hex(text: &str) -> Option<Ha1> {
        if !matches!(text.len(), 32 | 64) {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = (high << 4 | low) as u8;
        }
        Some(Ha1 { bytes, len: text.len() as u8 / 2 })
    }

    /// Whether this HA1 can serve `algorithm` (its length fits).
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        usize::from(self.len) == algorithm.size()
    }

    fn hex(&self) -> HexDigest {
        HexDigest::of(&self.bytes[..usize::from(self.len)])
    }
}

/// The nonce count and client nonce of `qop=auth`.
#[derive(Clone, Copy, Debug)]
pub struct QopAuth<'a> {
    pub nc: u32,
    pub cnonce: &'a [u8],
}

/// `request-digest` for a request without body: with `qop` RFC 7616 §3.4.1, without it RFC 2069's.
///
/// `nonce`, `uri` and `cnonce` are hashed as they stand between their quotes: unq(X) is "the value of the quoted-string X
/// without the surrounding quotes" (RFC 7616 §3.3).
pub fn response(
    algorithm: Algorithm,
    ha1: &Ha1,
    nonce: &[u8],
    qop: Option<QopAuth<'_>>,
    method: &[u8],
    uri: &[u8],
) -> HexDigest {
    let ha1 = ha1.hex();
    // A2 = Method ":" request-uri (RFC 7616 §3.4.3); the body takes part only in auth-int.
    let ha2 = hash(algorithm, &[method, b":", uri]).hex();
    let (ha1, ha2) = (ha1.as_bytes(), ha2.as_bytes());
    let digest = match qop {
        Some(QopAuth { nc, cnonce }) => {
            let mut count = [0; 8];
            hex8(&mut count, nc);
            hash(algorithm, &[ha1, b":", nonce, b":", &count, b":", cnonce, b":auth:", ha2])
        }
        None => hash(algorithm, &[ha1, b":", nonce, b":", ha2]),
    };
    digest.hex()
}

fn hash(algorithm: Algorithm, parts: &[&[u8]]) -> Ha1 {
    match algorithm {
        Algorithm::Md5 => hash_with::<Md5>(parts),
        Algorithm::Sha256 => hash_with::<Sha256>(parts),
        Algorithm::Sha512_256 => hash_with::<Sha512_256>(parts),
    }
}

fn hash_with<D: Digest>(parts: &[&[u8]]) -> Ha1 {
    let mut state = D::new();
    for part in parts {
        state.update(part);
    }
    let output = state.finalize();
    let mut bytes = [0; 32];
    bytes[..output.len()].copy_from_slice(&output);
    Ha1 { bytes, len: output.len() as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Algorithm::{Md5 as MD5, Sha256 as SHA256, Sha512_256 as SHA512_256};
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

    /// The printed example was computed with a draft of SHA-512/256; erratum 4897 gives the value of the final standard.
    /// The user name is hashed in clear there as well: `userhash` changes only what the header shows.
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

    /// Computed with Python's hashlib: no qop, and nonce counts whose decimal and hexadecimal forms differ.
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
            nonce in "[a-zA-Z0-9+/=]{1,40}", cnonce in "[a-f0-9]{8,32}", nc: u32, other: u32, which in 0usize..3,
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
}
