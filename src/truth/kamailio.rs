//! Kamailio, module `jsonrpcs`: its statistics of usrloc and registrar, which take half a
//! millisecond. Never `ul.dump`: of a thousand contacts it is larger than a datagram may be, and
//! then nothing is answered.

use super::json_rpc::{Question, number};
use serde_json::Value;

pub(super) const QUESTION: Question = Question { method: "stats.fetchn", params: r#"["usrloc:", "registrar:"]"# };

/// The contacts of every table of usrloc: `usrloc.location_contacts` and those of other domains.
pub(super) fn contacts(result: &Value) -> Option<u64> {
    sum_of(result, "usrloc.", "_contacts")
}

/// The sum of all counters with this beginning and end; `None` when there is none, or one of them
/// is no number.
pub(super) fn sum_of(result: &Value, begins: &str, ends: &str) -> Option<u64> {
    let counters = result.as_object()?.iter().filter(|(name, _)| name.starts_with(begins) && name.ends_with(ends));
    counters
        .map(|(_, value)| number(value))
        .try_fold(None, |sum: Option<u64>, value| Some(Some(sum.unwrap_or(0).saturating_add(value?))))?
}
