//! What answers say of the way requests take: Path and Service-Route of a 2xx, and where
//! redirections lead. A few texts each; the rest of a hostile server's is not kept.

use super::rows::MAX_TEXT;
use crate::vocab::said;
use serde::{Deserialize, Serialize};

/// What was said, or done about it. The order is that of the record: append, and raise its version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoutingWord {
    /// RFC 3327.
    Path,
    /// RFC 3608: for other requests than REGISTER.
    ServiceRoute,
    /// A redirection that was followed,
    Followed,
    /// and those that were not: to an address that is not allowed,
    NotAllowed,
    /// to a host name that nobody looked up,
    ByName,
    /// over another transport,
    OtherTransport,
    /// to nowhere that can be read,
    Nowhere,
    /// or one of too many in one attempt.
    TooMany,
    /// The address a registrar sees a flow at, taken for its Contact,
    Learnt,
    /// and another one than was learnt before: a translator forgot the flow.
    LearntAnew,
    /// RFC 7339, of the topmost Via.
    Overload,
    /// RFC 5627: addresses of one phone's own that the registrar made for it.
    PubGruu,
    TempGruu,
    /// Redirections that were not followed: to a name that leads nowhere,
    NameUnknown,
    /// or to one of which nobody said in time where it leads.
    NameSlow,
}

impl RoutingWord {
    pub const fn as_str(self) -> &'static str {
        match self {
            RoutingWord::Path => "Path",
            RoutingWord::ServiceRoute => "Service-Route",
            RoutingWord::Followed => "redirected, followed",
            RoutingWord::NotAllowed => "redirected to an address that is not allowed; nothing was sent there",
            RoutingWord::ByName => "redirected to a name, which was not looked up",
            RoutingWord::OtherTransport => "redirected to another transport, not followed",
            RoutingWord::Nowhere => "redirected without a usable Contact",
            RoutingWord::Learnt => "Contact learnt",
            RoutingWord::LearntAnew => "Contact learnt anew, after a translator forgot the flow",
            RoutingWord::Overload => "overload control",
            RoutingWord::PubGruu => "pub-gruu",
            RoutingWord::TempGruu => "temp-gruu",
            RoutingWord::NameUnknown => "redirected to a name that leads nowhere",
            RoutingWord::NameSlow => "redirected to a name of which nobody said in time where it leads",
            RoutingWord::TooMany => "redirected too often in one attempt",
        }
    }

    /// Of a redirection that was not followed.
    pub const fn stays(self) -> bool {
        matches!(
            self,
            RoutingWord::NotAllowed
                | RoutingWord::ByName
                | RoutingWord::OtherTransport
                | RoutingWord::Nowhere
                | RoutingWord::TooMany
                | RoutingWord::NameUnknown
                | RoutingWord::NameSlow
        )
    }
}

/// One text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RoutingRow {
    pub trunk: u16,
    pub word: RoutingWord,
    pub text: String,
    /// Path and Service-Route are looked at in a sample of the answers.
    pub count: u64,
}

/// Phrases of each kind and trunk.
const MOST: usize = 8;

/// Counts a text as it came.
pub(super) fn count(rows: &mut Vec<RoutingRow>, trunk: u16, word: RoutingWord, text: &[u8]) {
    let text = said(&text[..text.len().min(MAX_TEXT)]);
    add(rows, trunk, word, &text, 1);
}

/// Adds what another worker, or a later interval, saw.
pub(super) fn merge(rows: &mut Vec<RoutingRow>, other: &RoutingRow) {
    add(rows, other.trunk, other.word, &other.text, other.count);
}

fn add(rows: &mut Vec<RoutingRow>, trunk: u16, word: RoutingWord, text: &str, count: u64) {
    let mut others = 0;
    for row in rows.iter_mut().filter(|row| row.trunk == trunk && row.word == word) {
        if row.text == text {
            row.count += count;
            return;
        }
        others += 1;
    }
    if others < MOST {
        rows.push(RoutingRow { trunk, word, text: text.to_owned(), count });
    }
}
