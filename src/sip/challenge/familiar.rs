//! The fast path for challenges like one that was read before: a registrar challenges all its
//! clients with the same text but for the nonce, so a challenge is compared with the first, and, if
//! alike, reuses how the first was parsed.
//!
//! Nothing is taken on trust: the text before the nonce and the text behind it are the same byte
//! for byte, and the nonce has no quote or backslash that could end it elsewhere. Whatever differs
//! is read by the slow twin, [`survey`].

use super::super::digest::AlgorithmSet;
use super::super::scan::Response;
use super::super::search::find;
use super::{Challenge, Offered, Role, Unusable, survey};
use std::ops::Range;
use std::sync::OnceLock;

/// Reads challenges as [`survey`] does, and those like the first one sooner.
#[derive(Clone, Default, Debug)]
pub struct Familiar(OnceLock<First>);

impl Familiar {
    /// What is on offer, and the challenge to answer.
    ///
    /// # Errors
    /// The second is as [`choose`](super::choose).
    pub fn survey<'a>(
        &self,
        response: &Response<'a>,
        accepted: AlgorithmSet,
    ) -> (Offered<'a>, Result<Challenge<'a>, Unusable>) {
        let only = Role::of(response.code).and_then(|role| Some((role, response.only(role.challenge_header())?)));
        let Some((role, value)) = only else { return survey(response, accepted) };
        match self.0.get() {
            Some(first) if first.is_like(role, value, accepted) => first.as_in(role, value),
            Some(_) => survey(response, accepted),
            None => {
                let (offered, chosen) = survey(response, accepted);
                if let Ok(challenge) = &chosen
                    && let Some(first) = First::of(value, &offered, challenge, accepted)
                {
                    self.0.get_or_init(|| first);
                }
                (offered, chosen)
            }
        }
    }
}

/// The first challenge that could be answered: a header that stood alone, and what it was read as.
#[derive(Clone, Debug)]
struct First {
    value: Box<[u8]>,
    role: Role,
    accepted: AlgorithmSet,
    nonce: Range<usize>,
    realm: Range<usize>,
    opaque: Option<Range<usize>>,
    /// Without what borrows from it.
    offered: Offered<'static>,
    offered_realm: Range<usize>,
    challenge: Challenge<'static>,
}

impl First {
    /// `None` when its nonce stands without quotes.
    fn of(value: &[u8], offered: &Offered<'_>, challenge: &Challenge<'_>, accepted: AlgorithmSet) -> Option<First> {
        let nonce = place(value, challenge.nonce)?;
        let (b'"', b'"') = (value.get(nonce.start.checked_sub(1)?)?, value.get(nonce.end)?) else { return None };
        Some(First {
            value: value.into(),
            role: challenge.role,
            accepted,
            nonce,
            realm: place(value, challenge.realm)?,
            opaque: match challenge.opaque {
                Some(opaque) => Some(place(value, opaque)?),
                None => None,
            },
            offered: Offered { realm: b"", ..*offered },
            offered_realm: place(value, offered.realm)?,
            challenge: Challenge { realm: b"", nonce: b"", opaque: None, ..*challenge },
        })
    }

    /// Whether a header's value differs from this one in nothing but the nonce.
    fn is_like(&self, role: Role, value: &[u8], accepted: AlgorithmSet) -> bool {
        let Range { start, end } = self.nonce;
        (role, accepted, value.len()) == (self.role, self.accepted, self.value.len())
            && value[..start] == self.value[..start]
            && value[end..] == self.value[end..]
            && find(&value[start..end], *b"\"\\").is_none()
    }

    /// What such a value says.
    fn as_in<'a>(&self, role: Role, value: &'a [u8]) -> (Offered<'a>, Result<Challenge<'a>, Unusable>) {
        let part = |place: &Range<usize>| &value[place.clone()];
        let challenge = Challenge {
            role,
            realm: part(&self.realm),
            nonce: part(&self.nonce),
            opaque: self.opaque.as_ref().map(part),
            ..self.challenge
        };
        (Offered { realm: part(&self.offered_realm), ..self.offered }, Ok(challenge))
    }
}

/// Where in `text` this part of it stands; `None` when it is none.
fn place(text: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let place = start..start.checked_add(part.len())?;
    text.get(place.clone()).is_some().then_some(place)
}

#[cfg(test)]
mod tests {
    use super::super::super::{Algorithm, scan};
    use super::*;
    use proptest::prelude::*;

    const NONCE: &str = "ZvJQ3m0123456789abcdef";
    const VALUE: &str =
        "Digest realm=\"genesyscloud.test\", nonce=\"ZvJQ3m0123456789abcdef\", qop=\"auth\", algorithm=MD5";

    fn unauthorized(headers: &[&str]) -> String {
        let headers: String = headers.iter().map(|value| format!("WWW-Authenticate: {value}\r\n")).collect();
        format!(
            "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n{headers}\r\n"
        )
    }

    /// Reads with and without what is familiar; whether both say the same.
    fn agree(familiar: &Familiar, text: &str, accepted: AlgorithmSet) -> Result<(), TestCaseError> {
        let response = scan::response(text.as_bytes()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let (soon, late) = (familiar.survey(&response, accepted), survey(&response, accepted));
        prop_assert_eq!(format!("{soon:?}"), format!("{late:?}"), "{}", text);
        Ok(())
    }

    #[test]
    fn another_nonce_is_familiar_and_anything_else_is_not() {
        let texts =
            [VALUE.to_owned(), VALUE.replace(NONCE, "0000000000000000000000")].map(|value| unauthorized(&[&value]));
        let [first, second] = texts.each_ref().map(|text| scan::response(text.as_bytes()).expect("a response"));
        let familiar = Familiar::default();
        let (_, chosen) = familiar.survey(&first, AlgorithmSet::ALL);
        assert_eq!(chosen.expect("a challenge").nonce, NONCE.as_bytes());
        let known = familiar.0.get().expect("what was read first");
        let value = second.only("WWW-Authenticate").expect("a value");
        assert!(known.is_like(Role::Registrar, value, AlgorithmSet::ALL));
        assert!(!known.is_like(Role::Proxy, value, AlgorithmSet::ALL));
        assert!(!known.is_like(Role::Registrar, value, AlgorithmSet::EMPTY));
        assert!(!known.is_like(Role::Registrar, &value[1..], AlgorithmSet::ALL));
        for (what, other) in
            [("realm=\"g", "realm=\"G"), ("MD5", "MD6"), ("00000\"", "0000\"\""), ("00000\"", "0000\\\"")]
        {
            let value = String::from_utf8_lossy(value).replacen(what, other, 1);
            assert!(!known.is_like(Role::Registrar, value.as_bytes(), AlgorithmSet::ALL), "{value}");
        }
    }

    proptest! {
        #[test]
        fn the_familiar_reads_as_anything_does(
            values in proptest::collection::vec(
                proptest::collection::vec(
                    "(Digest |digest|Basic x, |)(realm=\"(r|s|)\", ?)?((nonce|Nonce) ?= ?\"([ab]{3}|\\\\\"a|a\", )\", ?|nonce=[ab]{3}, )?\
                     (opaque=\"[ab]\",)?(qop=\"(auth|auth-int|x)\")?(, algorithm=(MD5|SHA-256|MD5-sess|x))?(, stale=(true|false))?",
                    0..3,
                ),
                1..6,
            ),
            md5_only: bool,
        ) {
            let accepted = if md5_only { AlgorithmSet::EMPTY.with(Algorithm::Md5) } else { AlgorithmSet::ALL };
            let familiar = Familiar::default();
            for headers in &values {
                agree(&familiar, &unauthorized(&headers.iter().map(String::as_str).collect::<Vec<_>>()), accepted)?;
            }
        }

        #[test]
        fn a_changed_challenge_reads_as_any(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), "[a\"\\\\, =]"), 0..4),
            within_nonce: bool,
        ) {
            let familiar = Familiar::default();
            agree(&familiar, &unauthorized(&[VALUE]), AlgorithmSet::ALL)?;
            let nonce = VALUE.find(NONCE).map_or(0, |start| start);
            let mut value = VALUE.to_owned();
            for (at, with) in changes {
                let at = if within_nonce { nonce + at.index(NONCE.len()) } else { at.index(value.len()) };
                value.replace_range(at..=at, &with);
            }
            agree(&familiar, &unauthorized(&[&value]), AlgorithmSet::ALL)?;
        }
    }
}
