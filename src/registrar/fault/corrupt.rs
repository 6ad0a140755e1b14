//! `corrupt`: replies that no client can read, made with a probability.
//!
//! Three ways take turns by chance: the reply ends before its mandatory headers do, a bit of a
//! mandatory header's name is flipped, or all of it behind the topmost Via is noise. The status
//! line and the topmost Via stay, so that a client can tell whose reply it was: that one is
//! malformed for certain, and nobody else's exchange is touched.

use super::{FaultScope, FaultSubject};
use crate::seed::{Purpose, unit};
use crate::vocab::floor_usize;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use std::ops::Range;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Damage {
    chance: ChaCha8Rng,
    scope: FaultScope,
    probability: f64,
}

impl Damage {
    pub(super) fn new(scope: FaultScope, probability: f64) -> Self {
        Damage { chance: scope.seed.stream(Purpose::Fault, scope.id, STREAM), scope, probability }
    }

    /// Spoils a reply in its place: its new length, or `None` when it is spared.
    pub(super) fn spoil(&mut self, elapsed: Duration, subject: &FaultSubject<'_>, reply: &mut [u8]) -> Option<usize> {
        if !self.scope.covers(elapsed, subject) {
            return None;
        }
        // Always three numbers, so that what happens to one reply does not shift the fate of those
        // after it.
        let [hit, way, place] = [0; 3].map(|_| self.chance.next_u64());
        (unit(hit) < self.probability).then(|| match way % 3 {
            0 => truncate(place, reply),
            1 => flip(place, reply),
            _ => garble(place, reply),
        })
    }
}

/// Ends the reply somewhere behind the topmost Via and before it has said all of From, To, Call-ID
/// and CSeq; what comes after these a liberal client can do without.
fn truncate(place: u64, reply: &mut [u8]) -> usize {
    let keep = behind_top_via(reply);
    let end = mandatory_names(reply).last().map_or(keep, |name| name.end);
    keep + pick(place, end - keep)
}

/// Flips the lowest bit of a letter in the name of From, To, Call-ID or CSeq; without one of these,
/// of any byte.
fn flip(place: u64, reply: &mut [u8]) -> usize {
    let names = mandatory_names(reply);
    let total: usize = names.iter().map(ExactSizeIterator::len).sum();
    let nth = pick(place, total);
    let at = names.into_iter().flatten().nth(nth).unwrap_or_else(|| pick(place, reply.len()));
    if let Some(byte) = reply.get_mut(at) {
        // Not the bit of upper and lower case, which names do not tell apart.
        *byte ^= 1;
    }
    reply.len()
}

/// Overwrites everything behind the topmost Via with noise from `place`.
fn garble(place: u64, reply: &mut [u8]) -> usize {
    let keep = behind_top_via(reply);
    let mut state = place | 1;
    for byte in &mut reply[keep..] {
        // Xorshift: noise needs no more, and one word keeps the stream's draws fixed.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = (state >> 32 & 0xff) as u8;
    }
    reply.len()
}

/// Where the line after the topmost Via begins: the third line, as replies are written here; the
/// end of shorter ones.
fn behind_top_via(reply: &[u8]) -> usize {
    lines(reply).nth(2).map_or(reply.len(), |line| line.start)
}

/// The places of the names From, To, Call-ID and CSeq.
fn mandatory_names(reply: &[u8]) -> Vec<Range<usize>> {
    let mut names = Vec::with_capacity(4);
    for line in lines(reply).skip(2) {
        let text = &reply[line.clone()];
        let Some(colon) = text.iter().position(|&b| b == b':') else { continue };
        let name = text[..colon].trim_ascii_end();
        if [&b"From"[..], b"To", b"Call-ID", b"CSeq"].iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(line.start..line.start + name.len());
        }
    }
    names
}

/// The places of the lines, each with its end.
fn lines(reply: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    reply.split_inclusive(|&b| b == b'\n').map(move |line| {
        let range = start..start + line.len();
        start = range.end;
        range
    })
}

/// A number below `count`; 0 when that is 0.
fn pick(place: u64, count: usize) -> usize {
    floor_usize(unit(place) * count as f64)
}

const STREAM: u64 = 10 << 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::scan;
    use proptest::prelude::*;

    const REPLY: &str = "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1\r\n\
                         From: <sip:a@x>;tag=1\r\nTo: <sip:a@x>;tag=2\r\nCall-ID: 1@a\r\nCSeq: 1 REGISTER\r\n\
                         WWW-Authenticate: Digest realm=\"x\", nonce=\"n\"\r\nContent-Length: 0\r\n\r\n";

    proptest! {
        #[test]
        fn what_is_spoilt_is_malformed_and_its_owner_known(place: u64) {
            for way in [truncate, flip, garble] {
                let mut reply = REPLY.as_bytes().to_vec();
                let len = way(place, &mut reply);
                reply.truncate(len);
                prop_assert!(scan::response(&reply).is_err(), "{}", String::from_utf8_lossy(&reply));
                prop_assert_eq!(scan::branch_of(&reply), Some(&b"z9hG4bK1"[..]));
            }
        }

        #[test]
        fn any_bytes(place: u64, bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            for way in [truncate, flip, garble] {
                prop_assert!(way(place, &mut bytes.clone()) <= bytes.len());
            }
        }
    }
}
