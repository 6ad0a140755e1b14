//! What was seen to happen, kept until all of it is known and can be replayed in order: the words
//! of [`crate::measure::Event`] without borrowed texts.
//!
//! Memory: 48 bytes per entry, and a registration with its challenge makes seven, the end of it 80
//! more.

use crate::measure::Echo;
use crate::vocab::{Kind, LoopKind, Place, RequestFate, RequestKind, Status, Why, saturating_u32};
use std::collections::HashMap;

/// One thing that happened to one phone. Times are nanoseconds since the Unix epoch.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) at: u64,
    pub(super) agent: u32,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Arrived,
    Retired,
    Started {
        kind: Kind,
    },
    /// `proved`: it carries credentials.
    Request {
        kind: Kind,
        bytes: u32,
        proved: bool,
    },
    Retransmitted {
        bytes: u32,
        first_sent: Option<u64>,
    },
    RequestEnded {
        kind: RequestKind,
        fate: RequestFate,
        bytes: u32,
        sent: u64,
    },
    Received {
        bytes: u32,
    },
    Challenged {
        kind: Kind,
        code: u16,
        reason: TextId,
        since: u64,
    },
    Offered {
        realm: TextId,
        offered: u8,
        answered: Option<u8>,
        stale: bool,
    },
    Granted {
        kind: Kind,
        asked_s: u32,
        granted_s: u32,
        listed: u16,
        echo: Echo,
        example: TextId,
    },
    /// Apart, for it is larger than the rest and comes once in seven.
    Ended(Box<SeenEnd>),
    Registered {
        until: u64,
    },
    Lapsed,
    Unregistered,
    UnregisterEnded {
        code: u16,
        reason: Why<TextId>,
        ok: bool,
        sent: u64,
    },
    LateResponse,
    DuplicateResponse,
}

const _: () = assert!(size_of::<Entry>() <= 48);

/// The end of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeenEnd {
    pub(super) kind: Kind,
    pub(super) status: Status,
    pub(super) loop_kind: LoopKind,
    /// 0: no response.
    pub(super) code: u16,
    pub(super) reason: Why<TextId>,
    pub(super) place: Place,
    /// When the first REGISTER was sent.
    pub(super) sent: u64,
    pub(super) credentials_sent: Option<u64>,
    pub(super) stale: bool,
    /// Position in `sip::Algorithm::ALL`.
    pub(super) algorithm: Option<u8>,
    pub(super) retry_after: Option<u32>,
}

/// A text, by its place in [`SeenTexts`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TextId(u32);

/// SeenTexts that come again and again: reason phrases, realms, addresses.
#[derive(Debug)]
pub(super) struct SeenTexts {
    texts: Vec<Box<[u8]>>,
    places: HashMap<Box<[u8]>, u32>,
}

impl SeenTexts {
    pub(super) fn new() -> Self {
        let mut words = SeenTexts { texts: Vec::new(), places: HashMap::new() };
        let (none, rest) = (words.of(b""), words.of(b"(other)"));
        debug_assert_eq!((none, rest), (TextId::NONE, REST));
        words
    }

    pub(super) fn of(&mut self, text: &[u8]) -> TextId {
        let text = &text[..text.len().min(MAX_TEXT)];
        if let Some(&place) = self.places.get(text) {
            return TextId(place);
        }
        if self.texts.len() >= MAX_WORDS {
            return REST;
        }
        let place = saturating_u32(self.texts.len());
        self.texts.push(text.into());
        self.places.insert(text.into(), place);
        TextId(place)
    }

    pub(super) fn text(&self, word: TextId) -> &[u8] {
        &self.texts[word.0 as usize]
    }
}

impl TextId {
    pub(super) const NONE: TextId = TextId(0);
}

/// Stands for every text beyond [`MAX_WORDS`].
const REST: TextId = TextId(1);
/// A capture in which every answer has a phrase of its own must not cost more than 20 MB.
const MAX_WORDS: usize = 65_536;
const MAX_TEXT: usize = 200;
