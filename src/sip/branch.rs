//! The branch parameter of the topmost Via: it names the agent and its transaction, so an answer
//! finds its way back without a table (RFC 3261 §8.1.1.7, §17.1.3).

use super::search::ends_in;
use crate::vocab::{AgentId, RunTag};
use wide::u8x16;

/// A branch value: `z9hG4bK`, then run tag, agent and transaction serial as eight hex digits each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Branch {
    text: [u8; Branch::LEN],
}

/// What a branch of ours says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    pub agent: AgentId,
    /// Transaction number within the agent's life, from 1.
    pub serial: u32,
}

impl Branch {
    /// Every branch has this length, so that messages of one trunk can have equal lengths.
    pub const LEN: usize = 7 + 24;
    /// What may follow, any number of times, to make a request longer.
    pub const FILLER: u8 = b'-';
    const COOKIE: &'static [u8; 7] = b"z9hG4bK";

    #[expect(clippy::cast_possible_truncation, reason = "a branch carries the lower half of the run's tag")]
    pub fn new(run: RunTag, token: Token) -> Self {
        let numbers = u128::from(run.0 as u32) << 64 | u128::from(token.agent.0) << 32 | u128::from(token.serial);
        let mut text = [0; Self::LEN];
        text[7..].copy_from_slice(&hex32(&numbers.to_be_bytes())[8..]);
        text[..7].copy_from_slice(Self::COOKIE);
        Branch { text }
    }

    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.text
    }

    /// Reads a branch of this run; `None` for any other.
    pub fn parse(run: RunTag, text: &[u8]) -> Option<Token> {
        let (own, filler) = text.split_first_chunk::<{ Self::LEN }>()?;
        if !ends_in(text, filler.len(), Self::FILLER) {
            return None;
        }
        let (head, numbers) = own.split_first_chunk()?;
        let (numbers, _) = numbers.split_first_chunk()?;
        if *head != Self::head(run) && !Self::is_head(run, head) {
            return None;
        }
        let numbers = unhex16(numbers)?;
        #[expect(clippy::cast_possible_truncation, reason = "the lower of two numbers")]
        let serial = numbers as u32;
        Some(Token { agent: AgentId((numbers >> 32) as u32), serial })
    }

    /// What every branch of a run begins with.
    #[expect(clippy::cast_possible_truncation, reason = "a branch carries the lower half of the run's tag")]
    fn head(run: RunTag) -> [u8; 15] {
        let mut text = [0; 15];
        text[..7].copy_from_slice(Self::COOKIE);
        text[7..].copy_from_slice(&hex8(run.0 as u32));
        text
    }

    /// Whether this is that beginning with its digits in either case.
    #[cold]
    #[expect(clippy::cast_possible_truncation, reason = "a branch carries the lower half of the run's tag")]
    fn is_head(run: RunTag, text: &[u8; 15]) -> bool {
        let (cookie, digits) = text.split_at(Self::COOKIE.len());
        cookie == Self::COOKIE && digits.eq_ignore_ascii_case(&hex8(run.0 as u32))
    }
}

/// `value` as eight lower-case hex digits: all at once, a digit in each byte of a word, without a
/// table or a loop.
pub fn hex8(value: u32) -> [u8; 8] {
    let mut nibbles = u64::from(value);
    nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff;
    nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles | nibbles << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // Six more carry a nibble from ten on into the next bit, and a letter lies 39 further than its
    // digit would.
    let letters = (nibbles + EACH * 6) >> 4 & EACH;
    (nibbles + EACH * u64::from(b'0') + letters * 39).to_be_bytes()
}

/// One in each byte of a word.
const EACH: u64 = 0x0101_0101_0101_0101;

/// `value` as sixteen lower-case hex digits.
pub fn hex16(value: u64) -> [u8; 16] {
    let nibbles = |word: u64| {
        let mut text = [0; WIDTH];
        text[..8].copy_from_slice(&(word & (EACH * 15)).to_be_bytes());
        u8x16::new(text)
    };
    digits(u8x16::unpack_low(nibbles(value >> 4), nibbles(value)))
}

/// Sixteen bytes as lower-case hex digits, a vector of nibbles at once.
pub fn hex32(bytes: &[u8; 16]) -> [u8; 32] {
    let word = u128::from_le_bytes(*bytes);
    let nibbles = |word: u128| u8x16::new((word & (u128::MAX / 255 * 15)).to_le_bytes());
    let (high, low) = (nibbles(word >> 4), nibbles(word));
    let mut text = [0; 32];
    text[..16].copy_from_slice(&digits(u8x16::unpack_low(high, low)));
    text[16..].copy_from_slice(&digits(u8x16::unpack_high(high, low)));
    text
}

/// Bytes in a vector.
const WIDTH: usize = 16;

/// The digits of the numbers below sixteen.
#[inline(always)]
fn digits(nibbles: u8x16) -> [u8; WIDTH] {
    // A letter lies 39 further than its digit would.
    let letters = nibbles.simd_eq(nibbles.max(u8x16::splat(10))) & u8x16::splat(39);
    (nibbles + u8x16::splat(b'0') + letters).to_array()
}

/// Reads sixteen hex digits in either case.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the two halves of a vector")]
fn unhex16(text: &[u8; 16]) -> Option<u64> {
    // As they are written here, all at once: what is above nine as a digit, counted from zero, is
    // above any digit, and what is above five as a letter, counted from `a`, is none.
    let vector = u8x16::new(*text);
    let (digits, letters) = (vector - u8x16::splat(b'0'), vector - u8x16::splat(b'a'));
    let are_digits = digits.simd_eq(digits.min(u8x16::splat(9)));
    let are_letters = letters.simd_eq(letters.min(u8x16::splat(5)));
    if (are_digits | are_letters).to_bitmask() != 0xffff {
        return unhex16_in_either_case(text);
    }
    let nibbles = (digits & are_digits) | ((letters + u8x16::splat(10)) & are_letters);
    let nibbles = u128::from_be_bytes(nibbles.to_array());
    Some(u64::from(packed((nibbles >> 64) as u64)) << 32 | u64::from(packed(nibbles as u64)))
}

/// Numbers below sixteen, one in each byte, as one number; the lowest byte's is its lowest digit.
#[expect(clippy::cast_possible_truncation, reason = "the upper half is empty by then")]
fn packed(mut nibbles: u64) -> u32 {
    nibbles = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles | nibbles >> 8) & 0x0000_ffff_0000_ffff;
    (nibbles | nibbles >> 16) as u32
}

#[cold]
fn unhex16_in_either_case(text: &[u8; 16]) -> Option<u64> {
    // What is no digit is looked for once, at the end.
    let mut all = 0;
    let mut value = 0;
    for &byte in text {
        let digit = DIGIT[usize::from(byte)];
        all |= digit;
        value = value << 4 | u64::from(digit);
    }
    (all < 16).then_some(value)
}

/// The value of a hex digit, by its byte; [`u8::MAX`] for any other byte.
#[expect(clippy::cast_possible_truncation, reason = "below sixteen")]
const DIGIT: [u8; 256] = {
    let mut table = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        let digit = b"0123456789abcdef"[value];
        table[digit as usize] = value as u8;
        table[digit.to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_are_those_of_the_formatter() {
        for value in [0, 1, 9, 0xa, 0xf, 0x10, 0x0123_4567, 0x89ab_cdef, 0xdead_beef, u32::MAX] {
            assert_eq!(hex8(value), *format!("{value:08x}").as_bytes());
        }
        for byte in 0..=u8::MAX {
            let mut text = [b'0'; 16];
            text[15] = byte;
            assert_eq!(unhex16(&text), char::from(byte).to_digit(16).map(u64::from));
        }
    }

    proptest! {
        #[test]
        fn hex_reads_back_in_either_case(value: u64) {
            let text = hex16(value);
            prop_assert_eq!(text.to_vec(), format!("{value:016x}").into_bytes());
            prop_assert_eq!(hex8(value as u32).to_vec(), format!("{:08x}", value as u32).into_bytes());
            prop_assert_eq!(unhex16(&text), Some(value));
            prop_assert_eq!(unhex16(&text.map(|digit| digit.to_ascii_uppercase())), Some(value));
        }

        #[test]
        fn bytes_are_written_as_by_the_formatter(bytes: [u8; 16]) {
            let expected: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            prop_assert_eq!(hex32(&bytes).to_vec(), expected.into_bytes());
        }

        #[test]
        fn what_is_no_digit_is_told(text in proptest::array::uniform16(prop_oneof![
            40 => prop::sample::select(&b"09afAF"[..]),
            1 => prop::sample::select(&b"\x10\x19@`gG/:\x80\xb0\xe1"[..]),
        ])) {
            let expected = std::str::from_utf8(&text).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
            prop_assert_eq!(unhex16(&text), expected);
        }

        #[test]
        fn reads_back(run: u64, agent: u32, serial: u32) {
            let token = Token { agent: AgentId(agent), serial };
            let branch = Branch::new(RunTag(run), token);
            prop_assert_eq!(Branch::parse(RunTag(run), branch.as_bytes()), Some(token));
            let longer = [branch.as_bytes(), &b"---"[..]].concat();
            prop_assert_eq!(Branch::parse(RunTag(run), &longer), Some(token));
            prop_assert_eq!(Branch::parse(RunTag(run), &[&longer[..], b"a"].concat()), None);
            prop_assert_eq!(Branch::parse(RunTag(run), &branch.as_bytes()[..Branch::LEN - 1]), None);
            let mut upper = branch.as_bytes().to_ascii_uppercase();
            prop_assert_eq!(Branch::parse(RunTag(run), &upper), None);
            upper[..7].copy_from_slice(Branch::COOKIE);
            prop_assert_eq!(Branch::parse(RunTag(run), &upper), Some(token));
            prop_assert_eq!(Branch::parse(RunTag(run ^ 1), branch.as_bytes()), None);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Branch::parse(RunTag(1), &bytes);
        }
    }
}
