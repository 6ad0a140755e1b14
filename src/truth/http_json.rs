//! A URL that answers with JSON, and where in it the number is.

use super::json_rpc::number;
use super::wire::web;
use super::{Adapter, Deadline, TruthPlace, TruthSource, shown};
use crate::net::http::{HttpClient, basic};
use serde_json::Value;

/// A URL that is fetched.
pub(super) struct HttpJson {
    url: String,
    pointer: String,
    /// `Authorization`, where there is a secret.
    authorization: Option<String>,
    client: Result<HttpClient, String>,
}

impl HttpJson {
    pub(super) fn new(source: &TruthSource) -> HttpJson {
        let TruthPlace::Http { url, .. } = &source.place else {
            let client = Err("has no URL".to_owned());
            return HttpJson { url: String::new(), pointer: String::new(), authorization: None, client };
        };
        let secret = source.secret.reveal();
        let authorization = (!secret.is_empty()).then(|| match source.username.as_str() {
            "" => format!("Bearer {secret}"),
            username => basic(username, secret),
        });
        HttpJson { url: url.clone(), pointer: source.pointer.clone(), authorization, client: web(&source.place) }
    }
}

impl Adapter for HttpJson {
    fn count(&mut self, _: Deadline) -> Result<u64, String> {
        let client = self.client.as_ref().map_err(Clone::clone)?;
        let headers: Vec<(&str, &str)> =
            self.authorization.iter().map(|value| ("Authorization", value.as_str())).collect();
        let answer = client.get(&self.url, &headers).map_err(|error| error.to_string())?;
        if answer.status != 200 {
            return Err(format!("answers {}", answer.status));
        }
        read(&answer.body, &self.pointer)
    }
}

/// The number at a place of a document.
fn read(bytes: &[u8], pointer: &str) -> Result<u64, String> {
    let document: Value =
        serde_json::from_slice(bytes).map_err(|_| format!("no JSON: {}", shown(&String::from_utf8_lossy(bytes))))?;
    let found = document.pointer(pointer).ok_or_else(|| format!("nothing at {}", shown(pointer)))?;
    number(found).ok_or_else(|| format!("no count at {}: {}", shown(pointer), shown(&found.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_number_is_where_the_pointer_says() {
        let text = br#"{"sip": {"bindings": 137, "users": ["12", -1, 1.5]}}"#;
        assert_eq!(read(text, "/sip/bindings"), Ok(137));
        assert_eq!(read(text, "/sip/users/0"), Ok(12));
        assert_eq!(read(b"7", ""), Ok(7));
        for pointer in ["/sip/users/1", "/sip/users/2", "/sip", "/none", "sip"] {
            assert!(read(text, pointer).is_err(), "{pointer}");
        }
        assert!(read(b"<html>", "").expect_err("no JSON").starts_with("no JSON: <html>"));
    }

    proptest! {
        #[test]
        fn any_document_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100), pointer in ".{0,20}") {
            let _ = read(&bytes, &pointer);
        }
    }
}
