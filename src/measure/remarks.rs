//! What there is to say of a trunk's connections beyond counts: what was agreed on for TLS, and the
//! words that went with a failure. A few texts each; the rest of a hostile server's is not kept.

use super::rows::MAX_TEXT;
use crate::vocab::FlowLoss;
use serde::{Deserialize, Serialize};

/// One text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RemarkRow {
    pub trunk: u16,
    /// What it is said of; `None`: of connections that were secured.
    pub why: Option<FlowLoss>,
    pub text: String,
    pub count: u64,
}

/// Phrases of each kind and trunk.
const MOST: usize = 8;

/// Adds a text to those there are, unless there are enough.
pub(super) fn remark(rows: &mut Vec<RemarkRow>, trunk: u16, why: Option<FlowLoss>, text: &str, count: u64) {
    let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= MAX_TEXT).last();
    let text = &text[..end.unwrap_or(0)];
    let mut others = 0;
    for row in rows.iter_mut().filter(|row| row.trunk == trunk && row.why == why) {
        if row.text == text {
            row.count += count;
            return;
        }
        others += 1;
    }
    if others < MOST {
        rows.push(RemarkRow { trunk, why, text: text.to_owned(), count });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_texts_are_kept_and_equal_ones_are_counted() {
        let mut rows = Vec::new();
        for n in 0..100 {
            remark(&mut rows, 0, None, "TLSv1_3", 1);
            remark(&mut rows, 1, Some(FlowLoss::NotTls), &"ä".repeat(n), 1);
        }
        assert_eq!((rows.len(), rows[0].count), (1 + MOST, 100));
        assert!(rows.iter().all(|row| row.text.len() <= MAX_TEXT));
    }
}
