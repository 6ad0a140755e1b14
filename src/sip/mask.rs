//! Making a message harmless to show: what proves knowledge of a password is overwritten, in place.
//!
//! Whoever holds a digest and the values it was computed over can try passwords without ever asking
//! the server (RFC 7616 §5.7, offline dictionary attacks). A REGISTER carries such a digest in
//! `response`, an `Authentication-Info` the server's in `rspauth` (RFC 7616 §3.5). Both go; realm,
//! nonce, cnonce, nc, qop, uri, algorithm and user name stay, since without a digest they prove
//! nothing, and they are what a person looks at. Credentials of another scheme than Digest (a
//! profile may set any header) go as a whole: in Basic they are the password.
//!
//! The message is not parsed. What arrives may be malformed or quote our own headers back at us in
//! any place, so every `response=` and `rspauth=` counts, wherever it stands, and we would rather
//! overwrite too much than too little. No length changes: Content-Length, packet sizes and offsets
//! stay true.

use super::fields::{is_blank, skip_blanks, token_len};
use std::ops::Range;

/// What stands in place of an overwritten byte: allowed in a token as in a quoted string, and no
/// hex digit.
const MASK: u8 = b'*';

/// Parameters whose value is a digest over the password.
const DIGESTS: [&[u8]; 2] = [b"response", b"rspauth"];

/// Hexadecimal digits of an MD5.
const SHORTEST_DIGEST: usize = 32;

/// Ends the names of both headers that carry credentials.
const CREDENTIALS: &[u8] = b"authorization";

/// Overwrites in `message` whatever would let somebody try passwords against it. Blanks and line
/// breaks stay, so that folded values remain values.
pub fn mask_credentials(message: &mut [u8]) {
    // From the end: a parameter inside a value that only pretends to be quoted is seen before that
    // value is overwritten.
    for at in (0..message.len()).rev() {
        if let Some(secret) = secret_at(message, at) {
            message[secret].iter_mut().filter(|byte| !is_blank(**byte)).for_each(|byte| *byte = MASK);
        }
    }
}

/// Overwrites in `message` every digest that `request` carried, wherever it stands: a server may
/// quote it back in a reason phrase, a realm or a Contact.
pub fn mask_echoes(message: &mut [u8], request: &[u8]) {
    for at in 0..request.len() {
        let Some(secret) = secret_at(request, at) else { continue };
        let secret = &request[secret];
        // What is shorter is no digest, and might be any word.
        if secret.len() < SHORTEST_DIGEST {
            continue;
        }
        let found = |message: &[u8]| message.windows(secret.len()).position(|part| part.eq_ignore_ascii_case(secret));
        while let Some(place) = found(message) {
            message[place..place + secret.len()].fill(MASK);
        }
    }
}

/// Where the value stands whose name begins at `at`.
fn secret_at(message: &[u8], at: usize) -> Option<Range<usize>> {
    let text = &message[at..];
    let value = match text.first()? | 0x20 {
        b'r' if at == 0 || token_len(&message[at - 1..at]) == 0 => digest(text)?,
        b'a' => credentials(text)?,
        _ => return None,
    };
    Some(at + value.start..at + value.end)
}

fn digest(text: &[u8]) -> Option<Range<usize>> {
    let name = &text[..token_len(text)];
    DIGESTS.iter().find(|digest| name.eq_ignore_ascii_case(digest))?;
    let value = skip_blanks(skip_blanks(&text[name.len()..]).strip_prefix(b"=")?);
    let start = text.len() - value.len();
    Some(match value.strip_prefix(b"\"") {
        Some(inner) => start + 1..start + 1 + quoted_end(inner),
        None => {
            let ends = |&byte: &u8| is_blank(byte) || matches!(byte, b',' | b';' | b'"');
            start..start + value.iter().position(ends).unwrap_or(value.len())
        }
    })
}

/// Credentials of a scheme without digests.
fn credentials(text: &[u8]) -> Option<Range<usize>> {
    let name = text.get(..CREDENTIALS.len()).filter(|name| name.eq_ignore_ascii_case(CREDENTIALS))?;
    let value = skip_blanks(skip_blanks(&text[name.len()..]).strip_prefix(b":")?);
    let scheme = &value[..token_len(value)];
    if scheme.eq_ignore_ascii_case(b"Digest") {
        return None;
    }
    let start = text.len() - value.len() + scheme.len();
    Some(start..start + line_end(&text[start..]))
}

/// Where a quoted string ends whose opening quote stands before `text`; one that is never closed
/// ends with its line.
fn quoted_end(text: &[u8]) -> usize {
    let line = &text[..line_end(text)];
    let mut escaped = false;
    let closes = |&byte: &u8| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    };
    line.iter().position(closes).unwrap_or(line.len())
}

/// Where a header's line ends: at a line break that no blank follows (RFC 3261 §7.3.1, folding).
fn line_end(text: &[u8]) -> usize {
    let breaks = |&at: &usize| text[at] == b'\n' && !matches!(text.get(at + 1), Some(b' ' | b'\t'));
    (0..text.len()).find(breaks).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        mask_credentials(&mut bytes);
        String::from_utf8(bytes).expect("a mask is ASCII, and covers whole values")
    }

    #[test]
    fn what_a_person_looks_at_stays() {
        let header = "Authorization: Digest username=\"agent00001\", realm=\"a.test\", nonce=\"0011\", \
                      uri=\"sip:a.test\", response=\"d3adbeef\", algorithm=MD5, cnonce=\"c0ffee\", qop=auth, nc=00000001\r\n";
        assert_eq!(masked(header), header.replace("d3adbeef", "********"));
    }

    #[test]
    fn a_digest_in_every_dress() {
        for (text, expected) in [
            ("RESPONSE = \"ab\" ,x", "RESPONSE = \"**\" ,x"),
            ("response=ab,nc=1", "response=**,nc=1"),
            ("a=1,response\r\n =\r\n\t\"ab\r\n cd\"", "a=1,response\r\n =\r\n\t\"**\r\n **\""),
            ("rspauth=\"ab\"", "rspauth=\"**\""),
            ("response=\"ab\\\"cd\", x", "response=\"******\", x"),
            ("response=\"ab\r\nTo: c", "response=\"**\r\nTo: c"),
            ("response=", "response="),
            // Another name, and a word that is no parameter.
            ("xresponse=ab", "xresponse=ab"),
            ("responses=ab", "responses=ab"),
            ("a late response came", "a late response came"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn a_digest_that_comes_back_is_masked_wherever_it_stands() {
        let digest = "5ec7e75ec7e75ec7e75ec7e75ec7e700";
        let request = format!("Authorization: Digest nonce=\"ab\", response=\"{digest}\"\r\n\r\n");
        let answer = format!(
            "SIP/2.0 403 Wrong {}\r\nContact: <sip:{digest}@a.test>\r\nWWW-Authenticate: Digest realm=\"{digest}\", nonce=\"ab\"\r\n\r\n",
            digest.to_uppercase()
        );
        let mut shown = answer.clone().into_bytes();
        mask_echoes(&mut shown, request.as_bytes());
        let shown = String::from_utf8(shown).expect("a mask is ASCII");
        let stars = "*".repeat(32);
        assert_eq!(shown, answer.replace(digest, &stars).replace(&digest.to_uppercase(), &stars));
        let mut other = answer.clone().into_bytes();
        mask_echoes(&mut other, b"response=\"\"\r\nresponse=ab\r\n");
        assert_eq!(other, answer.as_bytes(), "nothing long enough to be a digest was sent");
    }

    #[test]
    fn a_value_that_pretends_to_be_another_hides_nothing() {
        let shown = masked("opaque=\"x response=\", response=\"5ec7e7\"");
        assert!(!shown.contains("5ec7e7"), "{shown}");
    }

    #[test]
    fn other_schemes_go_as_a_whole() {
        assert_eq!(
            masked("Proxy-Authorization: Basic dTpw\r\n ZZ==\r\nTo: x\r\n"),
            "Proxy-Authorization: Basic ****\r\n ****\r\nTo: x\r\n"
        );
        assert_eq!(masked("authorization:Bearer a.b, c\r\n\r\n"), "authorization:Bearer **** *\r\n\r\n");
    }

    /// What may stand around a parameter, as written by peers of every habit.
    fn dressed() -> impl Strategy<Value = (String, String)> {
        let digest = "[0-9a-f]{32}|[0-9a-f]{64}";
        let name = prop::sample::select(vec!["response", "Response", "RESPONSE", "rspauth"]);
        let equal = prop::sample::select(vec!["=", " = ", "=\r\n ", "\t=\t"]);
        (digest, name, equal, any::<bool>()).prop_map(|(digest, name, equal, quoted)| {
            let quote = if quoted { "\"" } else { "" };
            (format!("{name}{equal}{quote}{digest}{quote}"), digest)
        })
    }

    proptest! {
        #[test]
        fn no_digest_is_left_and_no_length_changes(
            before in "([a-z]{1,8}=(\"[ -!#-\\[\\]-~]{0,12}\"|[a-z0-9]{0,8}), ?){0,4}",
            (parameter, digest) in dressed(),
            after in "(, ?[a-z]{1,8}=[a-z0-9\"]{0,8}){0,3}",
        ) {
            let text = format!("Authorization: Digest {before}{parameter}{after}\r\nContent-Length: 0\r\n\r\n");
            let shown = masked(&text);
            prop_assert_eq!(shown.len(), text.len());
            prop_assert!(!shown.contains(&digest), "{}", shown);
            prop_assert!(shown.ends_with("\r\nContent-Length: 0\r\n\r\n"), "{}", shown);
            prop_assert_eq!(&masked(&shown), &shown, "a mask has nothing more to mask");
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..96), text in "[a=;,\"\\\\ \r\n]{0,16}") {
            let mut bytes = [b"response=", text.as_bytes(), b"authorization:", &bytes].concat();
            let length = bytes.len();
            mask_credentials(&mut bytes);
            prop_assert_eq!(bytes.len(), length);
        }
    }
}
