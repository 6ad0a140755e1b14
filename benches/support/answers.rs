//! What a registrar answers to the requests of a fleet, as Kamailio writes it.

use regstorm::sip::{Algorithm, scan};

/// What Kamailio answers first; see `tests/messages/kamailio-401.sip`.
pub fn challenge(request: &[u8], algorithm: Algorithm) -> Vec<u8> {
    let request = scan::request(request).expect("a REGISTER");
    let nonce = &request.call_id[request.call_id.len() - 16..];
    let nonce = String::from_utf8_lossy(nonce);
    let algorithm = algorithm.as_str();
    let own = format!(
        "WWW-Authenticate: Digest realm=\"genesyscloud.test\", nonce=\"ZvJQ3m{nonce}\", qop=\"auth\", algorithm={algorithm}"
    );
    answer(&request, "401 Unauthorized", &own)
}

/// What it answers then; see `tests/messages/kamailio-200.sip`.
pub fn grant(request: &[u8]) -> Vec<u8> {
    let request = scan::request(request).expect("a REGISTER");
    assert!(request.headers("Authorization").next().is_some(), "the challenge was answered");
    let contact = request.headers("Contact").next().expect("a Contact");
    answer(&request, "200 OK", &format!("Contact: {};expires=3600", String::from_utf8_lossy(contact)))
}

fn answer(request: &scan::Request<'_>, status: &str, own: &str) -> Vec<u8> {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let via = text(request.headers("Via").next().expect("a Via"));
    format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=b27e1a1d33761e85846fc98f5f3a7e58.9f1e\r\nCall-ID: {}\r\n\
         CSeq: {} REGISTER\r\n{own}\r\nServer: kamailio (5.6.3 (x86_64/linux))\r\nContent-Length: 0\r\n\r\n",
        via.replace(";rport", ";rport=40000;received=127.0.0.1"),
        text(request.from),
        text(request.to),
        text(request.call_id),
        request.cseq,
    )
    .into_bytes()
}
