//! Bytes as they come from a network.

use regstorm::sip::contact::{SentContact, address_of_record, binding, bindings, contacts, granted, listed};
use regstorm::sip::framing::{Framed, cut_every, frame, frame_within, is_sip, resynchronise};
use regstorm::sip::mask::{mask_credentials, mask_echoes};
use regstorm::sip::scan::{branch_of, request, response};
use regstorm::sip::{AlgorithmSet, Response, challenge as challenges};

/// Bytes that may be a response, or a request.
pub fn scanner(bytes: &[u8]) {
    if let Ok(response) = response(bytes) {
        assert!((100..=699).contains(&response.code));
        let parts = [response.reason, response.branch, response.from(), response.to(), response.call_id()];
        assert!(parts.iter().chain([&response.to_tag(), &response.body()]).all(|part| is_within(bytes, part)));
        let via = response.topmost_via();
        assert!(is_within(bytes, via.sent_by));
        let _ = (response.expires(), response.min_expires(), response.retry_after(), via);
        let _ = response.via_is_ours(b"127.0.0.1:5060", b"127.0.0.1");
        // Every header that is there is walked over, once.
        let walked = response.walk().filter(|(name, _)| name.eq_ignore_ascii_case(b"Contact")).count();
        assert!(response.headers("Contact").count() >= walked);
    }
    if let Ok(request) = request(bytes) {
        let parts = [request.method, request.uri, request.branch, request.from, request.to, request.call_id];
        assert!(parts.iter().chain([&request.body()]).all(|part| is_within(bytes, part)));
        let _ = (request.topmost_via(), address_of_record(request.to), contacts(&request).count());
    }
    if let Some(branch) = branch_of(bytes) {
        assert!(is_within(bytes, branch));
    }
    let mut masked = bytes.to_vec();
    mask_credentials(&mut masked);
    assert_eq!(masked.len(), bytes.len(), "masking moves nothing");
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let mut masked = first.to_vec();
    mask_echoes(&mut masked, second);
    assert_eq!(masked.len(), first.len());
}

/// Bytes that come over a connection, in pieces.
pub fn framer(bytes: &[u8]) {
    const MOST: usize = 4096;
    let mut rest = bytes;
    // Each step uses up at least a byte, or ends it.
    while !rest.is_empty() {
        let framed = frame_within(rest, MOST);
        // What is whole is so whatever comes behind it, and what is not sooner was not decided
        // otherwise.
        if let Framed::Message { length } = framed {
            assert!(length > 0 && length <= rest.len());
            assert_eq!(frame(&rest[..length]), framed);
            for short in [1, length / 2, length - 1] {
                let before = frame(&rest[..short.min(length - 1)]);
                assert!(
                    matches!(before, Framed::Incomplete | Framed::Message { .. } | Framed::Blank { .. }),
                    "{before:?}"
                );
            }
        }
        let used = match framed {
            Framed::Blank { used } => used,
            Framed::Message { length } => length,
            Framed::NotSip => {
                let (skipped, _) = resynchronise(&rest[1..]);
                1 + skipped
            }
            Framed::Incomplete => break,
        };
        assert!(used > 0 && used <= rest.len());
        rest = &rest[used..];
    }
    let _ = is_sip(bytes);
    if let Some(every) = cut_every(bytes) {
        assert!(every > 0 && every < bytes.len() && is_sip(&bytes[every..]));
    }
}

/// The value of a challenge; everything around it is sound.
pub fn challenge(bytes: &[u8]) {
    let head = "Via: SIP/2.0/UDP a;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n";
    let mut message = format!("SIP/2.0 401 Unauthorized\r\n{head}WWW-Authenticate: ").into_bytes();
    message.extend_from_slice(bytes);
    message.extend_from_slice(b"\r\n\r\n");
    if let Ok(response) = response(&message) {
        challenged(&message, &response);
    }
    let mut message = format!("REGISTER sip:b SIP/2.0\r\n{head}Authorization: ").into_bytes();
    message.extend_from_slice(bytes);
    message.extend_from_slice(b"\r\n\r\n");
    if let Ok(request) = request(&message) {
        for credentials in challenges::all_credentials(&request) {
            let _ = credentials.plain_username();
        }
        let _ = challenges::credentials(&request);
    }
}

fn challenged(message: &[u8], response: &Response<'_>) {
    let (offered, chosen) = challenges::survey(response, AlgorithmSet::ALL);
    let again = challenges::choose(response, AlgorithmSet::ALL);
    assert_eq!(format!("{again:?}"), format!("{chosen:?}"), "one choice, however asked for");
    if let Ok(chosen) = chosen {
        assert!(is_within(message, chosen.realm) && is_within(message, chosen.nonce));
    }
    let _ = (offered, challenges::offered(response), challenges::demands(response, AlgorithmSet::ALL));
    let _ = challenges::challenges(response).count();
    for offer in challenges::offers(response) {
        let _ = offer.qops().count();
    }
    let _ = challenges::next_nonce(response, challenges::Role::Registrar);
}

/// The values of Contact headers of a 200.
pub fn contact(bytes: &[u8]) {
    let mut message = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\nExpires: 60\r\nContact: ".to_vec();
    message.extend_from_slice(bytes);
    message.extend_from_slice(b"\r\n\r\n");
    let Ok(response) = response(&message) else { return };
    let own = SentContact { user: b"agent00001", host: b"127.0.0.1:5060", instance: Some(b"0123456789abcdef") };
    let count = bindings(&response).count();
    assert_eq!(usize::from(listed(&response)), count.min(usize::from(u16::MAX)));
    for each in bindings(&response) {
        assert!(is_within(&message, each.uri));
        if let Some((user, host)) = each.address() {
            assert!(is_within(&message, user) && is_within(&message, host));
        }
    }
    let found = binding(&response, &own);
    assert_eq!(found.expires, granted(&response, &own));
    let _ = address_of_record(bytes);
}

/// Whether a part lies in the whole, as everything must that borrows from it.
fn is_within(whole: &[u8], part: &[u8]) -> bool {
    let (all, some) = (whole.as_ptr_range(), part.as_ptr_range());
    part.is_empty() || all.start <= some.start && some.end <= all.end
}
