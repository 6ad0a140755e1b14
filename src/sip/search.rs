//! Bytes looked for sixteen at a time: the ends of lines, and what ends a value.
//!
//! Values and lines of SIP are short, so what counts is the cost of starting a search; `memchr` is
//! built for long stretches.

use wide::u8x16;

/// Bytes in a vector.
const WIDTH: usize = 16;

/// Bytes of which line ends are found in one go.
const BLOCK: usize = 64;

/// Position of the first byte that is one of `wanted`.
#[inline(always)]
pub(super) fn find<const N: usize>(text: &[u8], wanted: [u8; N]) -> Option<usize> {
    let (vectors, _) = text.as_chunks::<WIDTH>();
    for (at, vector) in vectors.iter().enumerate() {
        let found = places(vector, wanted);
        if found != 0 {
            return Some(at * WIDTH + found.trailing_zeros() as usize);
        }
    }
    find_in_rest(text, wanted)
}

/// The same where all whole vectors of the text hold none of `wanted`.
#[inline(always)]
fn find_in_rest<const N: usize>(text: &[u8], wanted: [u8; N]) -> Option<usize> {
    match text.last_chunk::<WIDTH>() {
        // The last vector reaches back into what was searched, where nothing was found.
        Some(last) => {
            let found = places(last, wanted);
            (found != 0).then(|| text.len() - WIDTH + found.trailing_zeros() as usize)
        }
        None => text.iter().position(|byte| wanted.contains(byte)),
    }
}

/// The text behind all of `byte` that it begins with.
#[inline(always)]
pub(super) fn skip(text: &[u8], byte: u8) -> &[u8] {
    // Few, as a rule.
    let count = text.first_chunk().map_or(WIDTH, |vector| (!places(vector, [byte])).trailing_zeros() as usize);
    if count < WIDTH {
        return &text[count..];
    }
    let end = text.iter().position(|&other| other != byte).unwrap_or(text.len());
    &text[end..]
}

/// Whether the last `count` bytes of a text are all `byte`.
#[inline(always)]
pub(super) fn ends_in(text: &[u8], count: usize, byte: u8) -> bool {
    match text.last_chunk() {
        Some(last) if count <= WIDTH => (places(last, [byte]) << WIDTH).leading_ones() as usize >= count,
        _ => text.iter().rev().take(count).all(|&other| other == byte),
    }
}

/// Whether all is above the blanks, quotes and commas, and no semicolon: nothing that could end a
/// value or quote it.
#[inline(always)]
pub(super) fn is_undivided(text: &[u8; WIDTH]) -> bool {
    let vector = u8x16::new(*text);
    let below = vector.min(u8x16::splat(b'0' - 1)).simd_eq(vector);
    (below | vector.simd_eq(u8x16::splat(b';'))).to_bitmask() == 0
}

/// A bit for each byte of the vector that is one of `wanted`, the first byte's the lowest.
#[inline(always)]
fn places<const N: usize>(vector: &[u8; WIDTH], wanted: [u8; N]) -> u32 {
    let vector = u8x16::new(*vector);
    wanted.into_iter().fold(u8x16::ZERO, |found, byte| found | vector.simd_eq(u8x16::splat(byte))).to_bitmask()
}

/// The line feeds of a text, one after another.
#[derive(Clone, Debug)]
pub(super) struct LineFeeds<'a> {
    text: &'a [u8],
    /// Where the block begins whose line feeds are being told.
    block: usize,
    /// Those of the block that were not told, a bit each.
    left: u64,
}

impl<'a> LineFeeds<'a> {
    #[inline(always)]
    pub(super) fn of(text: &'a [u8]) -> Self {
        LineFeeds { text, block: 0, left: line_feeds(text) }
    }

    /// Position of the next one.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<usize> {
        while self.left == 0 {
            self.block += BLOCK;
            if self.block >= self.text.len() {
                return None;
            }
            self.left = match self.text[self.block..].first_chunk() {
                Some(block) => line_feeds_in(block),
                None => line_feeds_of_rest(self.text, self.text.len() - self.block),
            };
        }
        let at = self.block + self.left.trailing_zeros() as usize;
        self.left &= self.left - 1;
        Some(at)
    }
}

/// Those of the first block.
#[inline(always)]
fn line_feeds(text: &[u8]) -> u64 {
    match text.first_chunk() {
        Some(block) => line_feeds_in(block),
        None => line_feeds_of_rest(text, text.len()),
    }
}

/// Those of the last `rest` bytes, which are less than a block.
#[expect(clippy::cast_possible_truncation, reason = "fewer than a block")]
fn line_feeds_of_rest(text: &[u8], rest: usize) -> u64 {
    match text.last_chunk() {
        Some(block) => line_feeds_in(block).unbounded_shr((BLOCK - rest) as u32),
        None => {
            let mut block = [0; BLOCK];
            block[..text.len()].copy_from_slice(text);
            line_feeds_in(&block)
        }
    }
}

#[inline(always)]
fn line_feeds_in(block: &[u8; BLOCK]) -> u64 {
    let (vectors, _) = block.as_chunks::<WIDTH>();
    vectors.iter().rev().fold(0, |found, vector| found << WIDTH | u64::from(places(vector, [b'\n'])))
}

/// How a text may begin, at most eight bytes, as a word to compare with.
#[derive(Clone, Copy)]
pub(super) struct Start {
    text: u64,
    mask: u64,
}

impl Start {
    pub(super) const fn of<const N: usize>(start: &[u8; N]) -> Start {
        let (mut text, mut at) = (0, N);
        while at > 0 {
            at -= 1;
            text = text << 8 | start[at] as u64;
        }
        Start { text, mask: u64::MAX >> (64 - 8 * N) }
    }

    /// Whether a text with these first eight bytes, the first the lowest, begins so.
    #[inline(always)]
    pub(super) fn begins(self, head: u64) -> bool {
        head & self.mask == self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn line_feeds_are_all_told(text in proptest::collection::vec(prop::sample::select(&b"\n\r a"[..]), 0..200)) {
            let mut found = Vec::new();
            let mut feeds = LineFeeds::of(&text);
            while let Some(at) = feeds.next() {
                found.push(at);
            }
            let expected: Vec<_> = (0..text.len()).filter(|&at| text[at] == b'\n').collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(feeds.next(), None);
        }

        #[test]
        fn the_first_is_found(text in proptest::collection::vec(prop::sample::select(&b"aaaaaaaaaaaaaaaaaaaaa\"\\;"[..]), 0..80)) {
            let first = |wanted: &[u8]| text.iter().position(|byte| wanted.contains(byte));
            prop_assert_eq!(find(&text, *b"\"\\"), first(b"\"\\"));
            prop_assert_eq!(find(&text, *b";,\""), first(b";,\""));
        }
    }
}
