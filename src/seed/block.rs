//! The first number of a ChaCha8 stream without the rest of it: one block, of which eight bytes are
//! used.
//!
//! The four rows of the state are four vectors, so that a quarter round does its four columns at
//! once; between the rounds the rows are turned, so that the diagonals stand in columns.
//!
//! Read first: RFC 8439 §2.1–2.3; here with eight rounds, and block counter and nonce of zero.

use wide::u32x4;

/// "expand 32-byte k" (RFC 8439 §2.3).
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// Two rounds each.
const DOUBLE_ROUNDS: usize = 4;

/// What the generator with this key, its words in order, gives first.
pub(super) fn first_number(key: [u64; 4]) -> u64 {
    let constants = u32x4::new(CONSTANTS);
    let mut rows = [constants, row(key[0], key[1]), row(key[2], key[3]), u32x4::ZERO];
    for _ in 0..DOUBLE_ROUNDS {
        let [a, b, c, d] = quarter_rounds(rows);
        let [a, b, c, d] = quarter_rounds([a, turned::<1>(b), turned::<2>(c), turned::<3>(d)]);
        rows = [a, turned::<3>(b), turned::<2>(c), turned::<1>(d)];
    }
    let [low, high, ..] = (rows[0] + constants).to_array();
    u64::from(high) << 32 | u64::from(low)
}

fn row(first: u64, second: u64) -> u32x4 {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    let halves = |word: u64| (word as u32, (word >> 32) as u32);
    let ((a, b), (c, d)) = (halves(first), halves(second));
    u32x4::new([a, b, c, d])
}

/// RFC 8439 §2.1, on all four columns.
#[inline(always)]
fn quarter_rounds([mut a, mut b, mut c, mut d]: [u32x4; 4]) -> [u32x4; 4] {
    a += b;
    d = rotated(d ^ a, 16);
    c += d;
    b = rotated(b ^ c, 12);
    a += b;
    d = rotated(d ^ a, 8);
    c += d;
    b = rotated(b ^ c, 7);
    [a, b, c, d]
}

/// Each number rotated left by `bits`.
#[inline(always)]
fn rotated(row: u32x4, bits: u32) -> u32x4 {
    row << bits | row >> (32 - bits)
}

/// The row with its numbers moved `N` places towards the first.
#[inline(always)]
fn turned<const N: usize>(row: u32x4) -> u32x4 {
    let row = row.to_array();
    u32x4::new(std::array::from_fn(|at| row[(at + N) % 4]))
}
