//! OpenSIPS, modules `mi_datagram` and `mi_http`: its statistics of usrloc.

use super::json_rpc::Question;
use super::kamailio::sum_of;
use serde_json::Value;

pub(super) const QUESTION: Question =
    Question { method: "get_statistics", params: r#"{"statistics": ["usrloc:", "registrar:"]}"# };

/// The contacts of every table of usrloc: `usrloc:location-contacts` and those of other domains.
pub(super) fn contacts(result: &Value) -> Option<u64> {
    sum_of(result, "usrloc:", "-contacts")
}
