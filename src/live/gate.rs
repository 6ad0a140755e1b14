//! `GET /go`, `/go/TRUNK`, `/healthz` and `/metrics`: a dialler's gate over HTTP/1.1, and what
//! Prometheus reads, on one port. What is said is made by whoever opened it.

use super::endpoint::{Endpoint, OPENMETRICS, PLAIN, Served, reads_only, response};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Response, StatusCode};
use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;

/// Callers at the same time: diallers ask for every call.
const CONNECTIONS: usize = 512;
const JSON: &str = "application/json";

/// What a gate has to say.
pub trait GateKeeper: Send + Sync + 'static {
    /// Of one trunk: whether it is go, and a JSON document; `None`: there is no such trunk.
    fn trunk(&self, id: &str) -> Option<(bool, String)>;
    /// Of all of them together.
    fn all(&self) -> (bool, String);
    /// Whether whoever watches goes on doing so.
    fn health(&self) -> (bool, String);
    /// For Prometheus.
    fn metrics(&self) -> String;
}

struct GateSite(Arc<dyn GateKeeper>);

/// Opens a gate on a listener that is bound already.
///
/// # Errors
/// When the thread cannot be started.
pub fn open_gate(listener: TcpListener, keeper: Arc<dyn GateKeeper>) -> io::Result<Endpoint> {
    Endpoint::open(listener, Arc::new(GateSite(keeper)), CONNECTIONS)
}

impl Served for GateSite {
    fn answer(&self, method: &Method, path: &str, _peer: IpAddr) -> Response<Full<Bytes>> {
        if let Some(refused) = reads_only(method) {
            return refused;
        }
        let status = |good: bool| if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let judged = |(good, text): (bool, String)| response(status(good), JSON, text);
        match path {
            "/go" | "/go/" => judged(self.0.all()),
            "/healthz" => judged(self.0.health()),
            "/metrics" => response(StatusCode::OK, OPENMETRICS, self.0.metrics()),
            "/" => {
                let text = "regstorm: /go, /go/TRUNK, /healthz, /metrics\n".to_owned();
                response(StatusCode::OK, PLAIN, text)
            }
            other => {
                let known = other.strip_prefix("/go/").map(decoded).and_then(|id| self.0.trunk(&id));
                let unknown = || response(StatusCode::NOT_FOUND, PLAIN, "there is no such trunk or page\n".to_owned());
                known.map_or_else(unknown, judged)
            }
        }
    }
}

/// A part of a path without its percent signs (RFC 3986 §2.1).
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_may_be_written_with_percent_signs() {
        for (written, meant) in [("nj", "nj"), ("a%20b", "a b"), ("%41%", "A%"), ("100%25", "100%"), ("%zz", "%zz")] {
            assert_eq!(decoded(written), meant);
        }
    }

    proptest! {
        #[test]
        fn any_path_is_a_name(text in ".{0,30}") {
            let _ = decoded(&text);
        }
    }
}
