//! A worker's record on its way: each frame in parts that a message can carry, put together again
//! in any order, each frame once.
//!
//! A part says which it is, so nothing depends on the order in which a board hands them out, on how
//! often one was sent, or on what the board remembers of it.

use std::collections::BTreeMap;

/// What a part carries at most.
pub const PART_BYTES: usize = 512 << 10;
/// The longest frame that is put together: what a million agents that change in one interval take,
/// several times.
pub const LONGEST_FRAME: usize = 256 << 20;
/// What stands before the bytes of a part.
const HEAD: usize = 16;
/// Frames that may wait for the one before them.
const MOST_WAITING: usize = 256;

/// Which part of which frame a message holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartHead {
    /// Position of the frame in its record, from 0.
    pub frame: u32,
    /// Position of the part in its frame, from 0.
    pub part: u32,
    pub parts: u32,
}

impl PartHead {
    /// The id of the message, the same however often it is sent.
    pub fn id(self, run: &str, worker: &str) -> String {
        format!("{run}:{worker}:{}:{}", self.frame, self.part)
    }

    /// Reads the head of a message; `None` when it is no part.
    fn read(message: &[u8]) -> Option<(PartHead, &[u8])> {
        let (head, bytes) = message.split_at_checked(HEAD)?;
        let word = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let (magic, found) = (word(0)?, PartHead { frame: word(4)?, part: word(8)?, parts: word(12)? });
        let most = LONGEST_FRAME.div_ceil(PART_BYTES);
        let sound = found.part < found.parts && found.parts as usize <= most && bytes.len() <= PART_BYTES;
        // All parts but the last are full: another length would be another frame.
        let full = found.part + 1 == found.parts || bytes.len() == PART_BYTES;
        (magic == MAGIC && sound && full).then_some((found, bytes))
    }
}

/// The messages of one frame, in order.
pub fn parts_of(frame: u32, bytes: &[u8]) -> impl Iterator<Item = (PartHead, Vec<u8>)> + '_ {
    let parts = u32::try_from(bytes.len().div_ceil(PART_BYTES).max(1)).unwrap_or(u32::MAX);
    (0..parts).map(move |part| {
        let from = part as usize * PART_BYTES;
        let piece = &bytes[from..bytes.len().min(from + PART_BYTES)];
        let mut message = Vec::with_capacity(HEAD + piece.len());
        for word in [MAGIC, frame, part, parts] {
            message.extend_from_slice(&word.to_le_bytes());
        }
        message.extend_from_slice(piece);
        (PartHead { frame, part, parts }, message)
    })
}

/// One worker's frames as they come together.
#[derive(Default, Debug)]
pub struct FrameAssembly {
    /// The frame that is handed out next.
    next: u32,
    /// By frame: what is there of it.
    waiting: BTreeMap<u32, FramePieces>,
    /// Messages that were no part of a frame, or of one that cannot be.
    pub refused: u64,
    /// Parts that were there already.
    pub repeated: u64,
}

#[derive(Debug)]
struct FramePieces {
    parts: u32,
    there: BTreeMap<u32, Vec<u8>>,
}

impl FrameAssembly {
    /// Takes a message, and hands out the frames that are whole and whose turn it is.
    pub fn take(&mut self, message: &[u8]) -> Vec<Vec<u8>> {
        let Some((head, bytes)) = PartHead::read(message) else {
            self.refused += 1;
            return Vec::new();
        };
        if head.frame < self.next {
            self.repeated += 1;
            return Vec::new();
        }
        if head.frame - self.next >= u32::try_from(MOST_WAITING).unwrap_or(u32::MAX) {
            self.refused += 1;
            return Vec::new();
        }
        let pieces =
            self.waiting.entry(head.frame).or_insert_with(|| FramePieces { parts: head.parts, there: BTreeMap::new() });
        if pieces.parts != head.parts {
            self.refused += 1;
            return Vec::new();
        }
        match pieces.there.entry(head.part) {
            std::collections::btree_map::Entry::Vacant(place) => _ = place.insert(bytes.to_vec()),
            std::collections::btree_map::Entry::Occupied(_) => self.repeated += 1,
        }
        self.whole()
    }

    /// How many frames have been handed out.
    pub fn frames(&self) -> u32 {
        self.next
    }

    fn whole(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let Some(first) = self.waiting.first_entry() {
            let FramePieces { parts, there } = first.get();
            if *first.key() != self.next || there.len() < *parts as usize {
                break;
            }
            frames.push(first.remove().there.into_values().collect::<Vec<_>>().concat());
            self.next += 1;
        }
        frames
    }
}

const MAGIC: u32 = u32::from_le_bytes(*b"rsf1");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn messages(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let parts = (0..).zip(frames).flat_map(|(n, bytes)| parts_of(n, bytes).map(|(_, message)| message));
        parts.collect()
    }

    #[test]
    fn a_long_frame_takes_several_messages() {
        let frame: Vec<u8> = (0..=255).cycle().take(2 * PART_BYTES + 3).collect();
        let sent = messages(std::slice::from_ref(&frame));
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [HEAD + PART_BYTES, HEAD + PART_BYTES, HEAD + 3]);
        let mut assembly = FrameAssembly::default();
        let got: Vec<Vec<u8>> = sent.iter().rev().flat_map(|message| assembly.take(message)).collect();
        assert_eq!(got, [frame]);
        assert_eq!((assembly.frames(), assembly.refused, assembly.repeated), (1, 0, 0));
    }

    #[test]
    fn what_cannot_be_is_refused_and_counted() {
        let mut assembly = FrameAssembly::default();
        let head = |words: [u32; 4], bytes: usize| {
            let mut message: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            message.resize(HEAD + bytes, 0);
            message
        };
        let most = u32::try_from(LONGEST_FRAME / PART_BYTES).expect("a small number");
        for message in [
            head([MAGIC + 1, 0, 0, 1], 1),
            head([MAGIC, 0, 1, 1], 1),
            head([MAGIC, 0, 0, 0], 1),
            head([MAGIC, 0, 0, most + 1], PART_BYTES),
            head([MAGIC, 0, 0, 2], 5),
            head([MAGIC, 0, 0, 1], PART_BYTES + 1),
            head([MAGIC, 1_000, 0, 1], 1),
            b"short".to_vec(),
            Vec::new(),
        ] {
            assert!(assembly.take(&message).is_empty());
        }
        assert_eq!((assembly.refused, assembly.frames()), (9, 0));
        // The same frame cannot have two lengths.
        assembly.take(&head([MAGIC, 0, 0, 2], PART_BYTES));
        assembly.take(&head([MAGIC, 0, 2, 3], 1));
        assert_eq!(assembly.refused, 10);
        assert_eq!(assembly.take(&head([MAGIC, 0, 1, 2], 1)).len(), 1);
    }

    proptest! {
        /// Parts in any order, each any number of times: every frame once, in its order.
        #[test]
        fn each_frame_once_in_order(
            lengths in prop::collection::vec(prop_oneof![0usize..9, (PART_BYTES - 1)..(PART_BYTES + 2)], 1..6),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
            seed in any::<u8>()
        ) {
            let frames: Vec<Vec<u8>> =
                (0u8..).zip(&lengths).map(|(n, &length)| vec![n.wrapping_add(seed); length]).collect();
            let sent = messages(&frames);
            // Some at random and some of them twice, then all: what was missing comes in the end.
            let mut on_the_way: Vec<&Vec<u8>> = order.iter().map(|index| index.get(&sent)).collect();
            on_the_way.extend(sent.iter().rev());
            let mut assembly = FrameAssembly::default();
            let got: Vec<Vec<u8>> = on_the_way.iter().flat_map(|message| assembly.take(message)).collect();
            prop_assert_eq!(got, frames);
            prop_assert_eq!(assembly.refused, 0);
            prop_assert_eq!(assembly.repeated as usize, order.len());
        }

        #[test]
        fn no_message_is_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut assembly = FrameAssembly::default();
            assembly.take(&bytes);
        }
    }
}
