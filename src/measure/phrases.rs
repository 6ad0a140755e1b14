//! Short texts that repeat, kept once each and named by a number: reason phrases, realms, the names
//! of software.
//!
//! The row of an agent takes two bytes for its last reason, and an event costs one look-up and no
//! allocation.

use crate::vocab::without_digests;
use std::collections::HashMap;
use std::sync::Arc;

/// Distinct texts kept; further ones read [`OTHER`].
pub(super) const MAX_PHRASES: usize = 256;
/// Stands for every text beyond the limit.
pub(super) const OTHER: &str = "(other)";
/// A text beyond this is cut: 256 of them stay under 64 KB.
const MAX_PHRASE_BYTES: usize = 200;

/// A text by number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct PhraseId(u16);

impl PhraseId {
    /// No text yet.
    pub(super) const NONE: PhraseId = PhraseId(0);
    pub(super) const OTHER: PhraseId = PhraseId(1);
}

/// The texts seen so far.
#[derive(Clone, Debug)]
pub(super) struct Phrases {
    kept: Vec<Arc<str>>,
    by_bytes: HashMap<Box<[u8]>, PhraseId>,
    /// The two texts asked for last, the latest first: nearly all answers are one of a challenge
    /// and its 200.
    recent: [(Vec<u8>, PhraseId); 2],
}

impl Phrases {
    pub(super) fn new() -> Self {
        let by_bytes = HashMap::from([(Box::from(&b""[..]), PhraseId::NONE)]);
        let recent = std::array::from_fn(|_| (Vec::new(), PhraseId::NONE));
        Phrases { kept: vec![Arc::from(""), Arc::from(OTHER)], by_bytes, recent }
    }

    /// The number of a text as received; bytes that are no UTF-8 read as U+FFFD, digests as
    /// asterisks, and a long text is cut.
    pub(super) fn id(&mut self, text: &[u8]) -> PhraseId {
        // What is kept holds no digest and is short, so a text that equals it needs no look.
        if let Some((_, id)) = self.recent.iter().find(|(recent, _)| recent == text) {
            return *id;
        }
        let whole = without_digests(text);
        let text = &whole[..whole.len().min(MAX_PHRASE_BYTES)];
        let id = self.look_up(text);
        self.recent.swap(0, 1);
        let (latest, number) = &mut self.recent[0];
        latest.clear();
        latest.extend_from_slice(text);
        *number = id;
        id
    }

    fn look_up(&mut self, text: &[u8]) -> PhraseId {
        if let Some(&id) = self.by_bytes.get(text) {
            return id;
        }
        if self.kept.len() >= MAX_PHRASES {
            return PhraseId::OTHER;
        }
        let id = PhraseId(u16::try_from(self.kept.len()).expect("at most MAX_PHRASES texts are kept"));
        self.kept.push(Arc::from(String::from_utf8_lossy(text)));
        self.by_bytes.insert(Box::from(text), id);
        id
    }

    pub(super) fn text(&self, id: PhraseId) -> Arc<str> {
        Arc::clone(&self.kept[usize::from(id.0)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_and_other_stands_for_the_rest() {
        let mut texts = Phrases::new();
        let ids: Vec<_> = (0..1_000).map(|n| texts.id(format!("reason {n}").as_bytes())).collect();
        assert_eq!(&*texts.text(ids[0]), "reason 0");
        assert_eq!(&*texts.text(ids[999]), OTHER);
        assert_eq!(texts.kept.len(), MAX_PHRASES);
        assert_eq!(texts.id(b"reason 0"), ids[0]);
        assert_eq!(&*texts.text(texts.clone().id(b"")), "");
    }
}
