//! JSON-RPC 2.0 as Kamailio (`jsonrpcs`) and OpenSIPS (`mi_datagram`, `mi_http`) speak it: one
//! request, one response, over whatever carries it.

use super::wire::{self, WireQuestion};
use super::{Adapter, Deadline, TruthPlace, TruthSource, shown};
use serde_json::{Value, json};

/// A method and its parameters, as JSON.
#[derive(Clone, Copy)]
pub(super) struct Question {
    pub method: &'static str,
    pub params: &'static str,
}

/// Reads the count out of a result.
type ReadCount = fn(&Value) -> Option<u64>;

/// A server that is asked by JSON-RPC.
pub(super) struct JsonRpc {
    place: TruthPlace,
    question: Question,
    reading: ReadCount,
    /// The id of the last request: an answer that was late is that of another one.
    id: u64,
}

impl JsonRpc {
    pub(super) fn new(source: &TruthSource, question: Question, reading: ReadCount) -> JsonRpc {
        JsonRpc { place: source.place.clone(), question, reading, id: 0 }
    }
}

impl Adapter for JsonRpc {
    fn count(&mut self, wait: Deadline) -> Result<u64, String> {
        self.id += 1;
        let exchange = WireQuestion { place: &self.place, request: &request(self.question, self.id), whole };
        let answer = wire::exchange(&exchange, wait)?;
        read(&answer, self.id, self.reading)
    }
}

fn request(question: Question, id: u64) -> Vec<u8> {
    let params: Value = serde_json::from_str(question.params).unwrap_or_default();
    json!({"jsonrpc": "2.0", "id": id, "method": question.method, "params": params}).to_string().into_bytes()
}

/// Whether these bytes of a stream are a whole response.
fn whole(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

/// The count in a response to request `id`.
fn read(bytes: &[u8], id: u64, reading: ReadCount) -> Result<u64, String> {
    let answer: Value = serde_json::from_slice(bytes).map_err(|_| {
        let text = String::from_utf8_lossy(bytes);
        if text.trim().is_empty() { "an empty answer".to_owned() } else { format!("no JSON: {}", shown(&text)) }
    })?;
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        let message = error.get("message").and_then(Value::as_str).unwrap_or("without a message");
        return Err(format!("an error: {}", shown(message)));
    }
    if answer.get("id").and_then(Value::as_u64).is_some_and(|answered| answered != id) {
        return Err("the answer to another request".to_owned());
    }
    let result = answer.get("result").ok_or_else(|| "an answer without a result".to_owned())?;
    reading(result).ok_or_else(|| format!("an answer without a count of contacts: {}", shown(&result.to_string())))
}

/// A count as a number or in digits.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::{kamailio, opensips};
    use proptest::prelude::*;

    #[test]
    fn kamailio_tells_the_contacts_of_all_its_tables() {
        let answer = |text: &str| read(text.as_bytes(), 7, kamailio::contacts);
        let one = r#"{"jsonrpc":"2.0","result":{"registrar.accepted_regs":"12","usrloc.location_contacts":"9",
            "usrloc.location_expires":"0","usrloc.location_users":"4","usrloc.registered_users":"4"},"id":7}"#;
        assert_eq!(answer(one), Ok(9));
        let two = r#"{"jsonrpc":"2.0","result":{"usrloc.location_contacts":"9","usrloc.devices_contacts":2},"id":7}"#;
        assert_eq!(answer(two), Ok(11));
    }

    #[test]
    fn opensips_tells_the_same_with_a_dash() {
        let text = r#"{"jsonrpc":"2.0","result":{"usrloc:registered_users":3,"usrloc:location-users":3,
            "usrloc:location-contacts":5,"registrar:max_contacts":1},"id":1}"#;
        assert_eq!(read(text.as_bytes(), 1, opensips::contacts), Ok(5));
    }

    #[test]
    fn what_is_not_known_is_no_zero() {
        let why = |text: &str| read(text.as_bytes(), 1, kamailio::contacts).expect_err(text);
        assert_eq!(why(""), "an empty answer");
        assert!(why("<html>").starts_with("no JSON: <html>"));
        let error = why(r#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":1}"#);
        assert_eq!(error, "an error: Method not found");
        assert_eq!(why(r#"{"result":{"usrloc.location_contacts":"5"},"id":2}"#), "the answer to another request");
        assert!(why(r#"{"result":{},"id":1}"#).contains("without a count"));
        assert!(why(r#"{"result":{"usrloc.location_contacts":"many"},"id":1}"#).contains("without a count"));
        assert!(why(r#"{"id":1}"#).contains("without a result"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&bytes, 1, kamailio::contacts).is_err());
        }

        /// Whatever else a server counts, the contacts are what is said.
        #[test]
        fn the_contacts_are_what_was_told(contacts in any::<u32>(), users in any::<u32>()) {
            let text = json!({"result": {"usrloc.location_contacts": contacts.to_string(), "usrloc.registered_users": users}, "id": 1});
            prop_assert_eq!(read(text.to_string().as_bytes(), 1, kamailio::contacts), Ok(contacts.into()));
        }
    }
}
