//! Who answered, and in which words: marks that tell one machine behind an address from another,
//! and what a refusal says beside its reason phrase.

use serde::{Deserialize, Serialize};

/// Marks of the machine that made an answer, as far as all its answers share them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Marks<'a> {
    /// Its `Server`, else its `User-Agent`; empty where it names none.
    pub software: &'a [u8],
    pub form: AnswerForm,
}

/// The marks that are no text. Two machines with the same software share them, as a rule; Kamailio
/// and OpenSIPS begin their To tags with a digest of their own addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
pub struct AnswerForm {
    /// Digest of the part of its To tags that is the same in all of them; 0: none is known.
    pub stem: u32,
    /// How its To tags are built, as bits: see `agent::answer`.
    pub tag: u8,
    /// Digest of the order of the headers that every answer has.
    pub order: u16,
    /// It names the address that the request came from (`received`).
    pub received: bool,
}

impl Marks<'_> {
    /// Stands for them in a comparison; never 0.
    pub fn digest(&self) -> u16 {
        let AnswerForm { stem, tag, order, received } = self.form;
        let form = [stem.to_be_bytes(), [tag, u8::from(received), order.to_be_bytes()[0], order.to_be_bytes()[1]]];
        let hash = fold(self.software.iter().chain(form.as_flattened()));
        (((hash >> 16) ^ hash) & 0xffff) as u16 | 1
    }
}

/// FNV-1a.
pub fn fold<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> u32 {
    bytes.into_iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// What a refusal says in words beside its reason phrase; each part is empty where it has none.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Words<'a> {
    /// The text of `Warning` (RFC 3261 §20.43).
    pub warning: &'a [u8],
    /// The text of `Reason` (RFC 3326).
    pub reason: &'a [u8],
    /// The comment of `Retry-After` (RFC 3261 §20.33).
    pub comment: &'a [u8],
    /// The beginning of a body of text.
    pub body: &'a [u8],
}
