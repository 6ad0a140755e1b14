//! Nonces that need no memory: the time of issue, and a keyed hash of it that only this registrar
//! can compute (RFC 7616 §3.3 `nonce`, §5.4).
//!
//! Nonce counts are not remembered: a replayed request would refresh the same binding and no more.

use crate::seed::{Purpose, Seed};
use crate::sip::branch::hex16;
use crate::vocab::Time;
use std::time::Duration;

/// Issues and recognises nonces.
#[derive(Clone, Debug)]
pub(super) struct Nonces {
    seed: Seed,
    lifetime: Duration,
}

/// What a nonce brought back is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NonceState {
    Fresh,
    /// Ours, but older than its lifetime.
    Expired,
    /// Never issued here.
    Unknown,
}

/// Sixteen hex digits of time, sixteen of hash.
pub(super) const NONCE_LEN: usize = 32;

impl Nonces {
    pub(super) fn new(seed: Seed, lifetime: Duration) -> Self {
        Nonces { seed, lifetime }
    }

    pub(super) fn issue(&self, now: Time) -> [u8; NONCE_LEN] {
        let mut text = [0; NONCE_LEN];
        text[..16].copy_from_slice(&hex16(now.as_nanos()));
        text[16..].copy_from_slice(&hex16(self.hash(now)));
        text
    }

    pub(super) fn check(&self, now: Time, nonce: &[u8]) -> NonceState {
        let issued = nonce.get(..16).and_then(unhex16).map(Time::from_nanos);
        match issued {
            Some(issued) if issued <= now && self.issue(issued) == nonce => {
                if now.since(issued) > self.lifetime {
                    NonceState::Expired
                } else {
                    NonceState::Fresh
                }
            }
            _ => NonceState::Unknown,
        }
    }

    /// The first word of a ChaCha8 stream whose key holds seed and time: as good as a keyed hash,
    /// and no state.
    fn hash(&self, issued: Time) -> u64 {
        self.seed.draw(Purpose::Registrar, issued.as_nanos(), NONCE_DRAW)
    }
}

fn unhex16(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0u64, |value, &byte| Some(value << 4 | u64::from((byte as char).to_digit(16)?)))
}

/// The draw of a time's stream that makes its nonce.
const NONCE_DRAW: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIFETIME: Duration = Duration::from_secs(300);

    #[test]
    fn a_nonce_is_fresh_then_expired() {
        let nonces = Nonces::new(Seed(7), LIFETIME);
        let nonce = nonces.issue(Time::from_secs(10));
        assert_eq!(nonces.check(Time::from_secs(10), &nonce), NonceState::Fresh);
        assert_eq!(nonces.check(Time::from_secs(310), &nonce), NonceState::Fresh);
        assert_eq!(nonces.check(Time::from_secs(311), &nonce), NonceState::Expired);
        assert_eq!(nonces.check(Time::from_secs(9), &nonce), NonceState::Unknown, "from the future");
        assert_eq!(Nonces::new(Seed(8), LIFETIME).check(Time::from_secs(10), &nonce), NonceState::Unknown);
    }

    proptest! {
        #[test]
        fn a_changed_nonce_is_unknown(place in 0..NONCE_LEN, byte: u8) {
            let nonces = Nonces::new(Seed(7), LIFETIME);
            let mut nonce = nonces.issue(Time::from_secs(10));
            prop_assume!(nonce[place] != byte);
            nonce[place] = byte;
            prop_assert_eq!(nonces.check(Time::from_secs(10), &nonce), NonceState::Unknown);
            prop_assert_eq!(nonces.check(Time::NEVER, &nonce), NonceState::Unknown);
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(Nonces::new(Seed(7), LIFETIME).check(Time::NEVER, &bytes), NonceState::Unknown);
        }
    }
}
