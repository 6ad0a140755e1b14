//! As much of SIP as a registrar needs, read the plain way: lines, colons, commas.

use super::spec::{Reply, Spec};
use md5::Md5;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::Write;
use std::net::SocketAddr;

/// A request.
#[derive(Debug)]
pub struct Message {
    pub method: String,
    /// `user@host` of the To header.
    pub aor: String,
    pub call_id: String,
    pub branch: String,
    /// The name-addr without parameters behind it; `None` where there is no Contact.
    pub contact: Option<String>,
    pub expires: u32,
    /// The parameters of the first Authorization header.
    pub authorization: Option<HashMap<String, String>>,
    /// Header lines that an answer repeats.
    echoed: Vec<String>,
}

impl Message {
    pub fn parse(bytes: &[u8]) -> Option<Message> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.split("\r\n").take_while(|line| !line.is_empty());
        let mut start = lines.next()?.split(' ');
        let (method, _, version) = (start.next()?, start.next()?, start.next()?);
        if version != "SIP/2.0" {
            return None;
        }
        let mut message = Message {
            method: method.to_owned(),
            aor: String::new(),
            call_id: String::new(),
            branch: String::new(),
            contact: None,
            expires: 3_600,
            authorization: None,
            echoed: Vec::new(),
        };
        let mut own_expires = None;
        for line in lines {
            let (name, value) = line.split_once(':')?;
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "via" | "from" | "cseq" => {
                    if name.eq_ignore_ascii_case("via") && message.branch.is_empty() {
                        message.branch = parameter(value, "branch").unwrap_or_default() + method;
                    }
                    message.echoed.push(line.to_owned());
                }
                "to" => {
                    message.aor = value.split_once("sip:")?.1.split(['>', ';']).next()?.to_owned();
                    message.echoed.push(line.to_owned());
                }
                "call-id" => {
                    message.call_id = value.to_owned();
                    message.echoed.push(line.to_owned());
                }
                "expires" => message.expires = value.parse().ok()?,
                "contact" if value == "*" => message.contact = None,
                "contact" => {
                    own_expires = parameter(value, "expires").and_then(|text| text.parse().ok());
                    message.contact = Some(value.split_once('>').map_or(value, |(uri, _)| uri).to_owned() + ">");
                }
                "authorization" => message.authorization = Some(parameters(value.strip_prefix("Digest")?)),
                _ => {}
            }
        }
        message.expires = own_expires.unwrap_or(message.expires);
        Some(message)
    }

    pub fn removes(&self) -> bool {
        self.expires == 0
    }

    /// The digits of the user's name, as a number.
    pub fn number(&self) -> u32 {
        let user = self.aor.split('@').next().unwrap_or_default();
        user.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(u32::MAX)
    }

    pub fn answer(&self, reply: &Reply, to_tag: &str, spec: &Spec, node: usize, from: SocketAddr) -> Vec<u8> {
        let mut text = format!("SIP/2.0 {} {}\r\n", reply.code, reply.reason);
        for line in &self.echoed {
            let (name, _) = line.split_once(':').unwrap_or((line, ""));
            let more = match name.to_ascii_lowercase().as_str() {
                "to" => format!(";tag={to_tag}"),
                "via" => format!(";received={}", spec.received.unwrap_or(from.ip())),
                _ => String::new(),
            };
            let line = if more.starts_with(";received") {
                line.replace(";rport", &format!(";rport={}", from.port()))
            } else {
                line.clone()
            };
            let line = match &spec.sent_by {
                Some(other) if name.eq_ignore_ascii_case("via") => rewritten(&line, other),
                _ => line,
            };
            let _ = write!(text, "{line}{more}\r\n");
        }
        for line in &reply.headers {
            let _ = write!(text, "{line}\r\n");
        }
        let own = Some(&spec.nodes[node].server).filter(|own| !own.is_empty()).unwrap_or(&spec.server);
        let server = reply.server.as_ref().unwrap_or(own);
        if !server.is_empty() {
            let _ = write!(text, "Server: {server}\r\n");
        }
        if !reply.body.is_empty() {
            text += "Content-Type: text/plain\r\n";
        }
        let _ = write!(text, "Content-Length: {}\r\n\r\n{}", reply.body.len(), reply.body);
        text.into_bytes()
    }
}

/// A Via with another sent-by.
fn rewritten(via: &str, sent_by: &str) -> String {
    match (via.split_once("/UDP "), via.split_once(';')) {
        (Some((protocol, _)), Some((_, parameters))) => format!("{protocol}/UDP {sent_by};{parameters}"),
        _ => via.to_owned(),
    }
}

fn parameter(value: &str, name: &str) -> Option<String> {
    let found = value.split(';').skip(1).filter_map(|part| part.split_once('='));
    found.into_iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, text)| text.trim().to_owned())
}

/// `name=value` and `name="value"` between commas.
fn parameters(text: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut rest = text.trim_start();
    while let Some((name, behind)) = rest.split_once('=') {
        let (value, next) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => behind.split_at(behind.find(',').unwrap_or(behind.len())),
        };
        found.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        rest = next.trim_start_matches([',', ' ']);
    }
    found
}

/// RFC 7616 §3.4.1 with `qop=auth`, or RFC 2069 without.
pub fn digest(algorithm: &str, given: &HashMap<String, String>, password: &str, method: &str) -> String {
    let of = |name: &str| given.get(name).map_or("", String::as_str);
    let hash = |text: String| if algorithm == "MD5" { hex::<Md5>(&text) } else { hex::<Sha256>(&text) };
    let ha1 = hash(format!("{}:{}:{password}", of("username"), of("realm")));
    let ha2 = hash(format!("{method}:{}", of("uri")));
    match of("qop") {
        "" => hash(format!("{ha1}:{}:{ha2}", of("nonce"))),
        qop => hash(format!("{ha1}:{}:{}:{}:{qop}:{ha2}", of("nonce"), of("nc"), of("cnonce"))),
    }
}

fn hex<D: Digest>(text: &str) -> String {
    let mut out = String::new();
    for byte in D::digest(text.as_bytes()) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}
